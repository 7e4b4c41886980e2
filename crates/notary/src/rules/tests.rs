use tally_core::id::{CoinId, TxId};
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};
use tally_core::predicate::{Predicate, Reserved, Unlock, consent_digest, spend_digest};
use tally_core::{cbor::Blob, cbor::to_bytes, keys::SecretKey};

use super::*;
use crate::backend::Batch;
use crate::testing::{START, entry, key, request, request_until, rules, word};

#[test]
fn a_batch_is_refused_for_its_first_bad_request() {
    let mut bad = request(2, 1);
    let mut unlock = bad.data.unlock.as_slice().to_vec();
    unlock[3] ^= 1;
    bad.data.unlock = Blob::new(unlock).expect("short");
    let state = bad.state_id;
    let batch = Batch::new(vec![request(1, 1), bad, request(3, 1)]).expect("a batch");
    let refused = rules().check(&Entry::new(batch).expect("short"), START);
    assert_eq!(refused, Err((state, RequestError::NotAuthenticated)));
    assert_eq!(rules().check(&entry(&[1, 2, 3], 1), START), Ok(()));
}

/// The request to spend a coin that is reserved for a payee until `until`.
fn reserved(until: Time, consent: bool) -> Entry {
    let payee = SecretKey::new([8; 32]).expect("a small scalar");
    let terms = Reserved { key: key().public(), payee: payee.public(), until };
    let (coin, tx) = (CoinId::new(word(1)), TxId::new(word(2)));
    let owner = key().sign(&spend_digest(&coin, &tx));
    let unlock = if consent {
        Unlock::Reserved(owner, payee.sign(&consent_digest(&coin, &tx)))
    } else {
        Unlock::Signature(owner)
    };
    let data = CertificationData {
        predicate: Predicate::Reserved(terms).to_wire(),
        source: StateHash::from(coin),
        transaction: TransactionHash::from(tx),
        expires_at: None,
        unlock: Blob::new(to_bytes(&unlock)).expect("short"),
    };
    Entry::new(Batch::from(CertificationRequest::new(data))).expect("short")
}

#[test]
fn tallys_own_predicates_are_decided_as_a_wallet_decides_them() {
    let until = START.plus(10);
    let locked = reserved(until, false);
    assert!(rules().check(&reserved(until, true), START).is_ok());
    assert!(rules().check(&locked, START.plus(9)).is_err());
    assert!(rules().check(&locked, until).is_ok());
}

#[test]
fn what_was_valid_later_is_not_taken_as_valid_before() {
    let locked = reserved(START.plus(10), false);
    let mut checked = Checked::default();
    assert!(!checked.knows(&locked, START.plus(10)));
    checked.remember(&locked, START.plus(10));
    assert!(checked.knows(&locked, START.plus(11)));
    assert!(!checked.knows(&locked, START.plus(9)));
}

#[test]
fn a_deadline_is_looked_at_again_each_time() {
    let batch = Batch::from(request_until(1, 1, Some(START.plus(5))));
    let entry = Entry::new(batch).expect("short");
    let mut checked = Checked::default();
    checked.remember(&entry, START);
    assert!(checked.knows(&entry, START.plus(4)));
    assert!(!checked.knows(&entry, START.plus(5)));
}

#[test]
fn what_is_remembered_is_limited() {
    let mut checked = Checked::default();
    let entries: Vec<_> = (0..8).map(|i| entry(&[i], i)).collect();
    entries.iter().for_each(|entry| checked.remember(entry, START));
    checked.old = mem::take(&mut checked.young);
    assert!(entries.iter().all(|entry| checked.knows(entry, START)));
    checked.old = HashMap::new();
    assert!(!checked.knows(&entries[0], START));
}
