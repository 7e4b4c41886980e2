use tally_core::id::{CoinId, TxId};
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};
use tally_core::predicate::{Predicate, Reserved, Unlock, consent_digest, spend_digest};
use tally_core::{cbor::Blob, cbor::to_bytes, keys::SecretKey};

use super::*;
use crate::backend::Batch;
use crate::testing::{START, entry, key, request, request_until, rules, sealed, word};

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

#[test]
fn a_sealed_coin_moves_before_its_lock_ends_by_the_word_of_an_accepted_enroller_only() {
    let [ours, other] = [3, 4].map(|byte| SecretKey::new([byte; 32]).expect("a small scalar"));
    let trusting = |keys: &[&SecretKey], network| {
        let keys = keys.iter().map(|key| key.public()).collect();
        Rules { engine: TallyEngine::trusting(network, keys), ..rules() }
    };
    let spend = Entry::new(Batch::from(sealed(&ours, START))).expect("short");
    let asks = |rules: Rules| rules.check(&spend, START);
    assert_eq!(asks(trusting(&[&other, &ours], NetworkId::LOCAL)), Ok(()));
    let state = spend.requests()[0].state_id;
    let refused = Err((state, RequestError::NotAuthenticated));
    assert_eq!(asks(rules()), refused, "without an enroller");
    assert_eq!(asks(trusting(&[&other], NetworkId::LOCAL)), refused, "another one's word");
    let elsewhere = NetworkId::new(9).expect("a network");
    assert_eq!(asks(trusting(&[&ours], elsewhere)), refused, "on another network");
}
