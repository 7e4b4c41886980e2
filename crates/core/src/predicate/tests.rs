use super::*;
use crate::cbor::Blob;
use crate::device::tests::tpm::{ENROLLED_UNTIL, FakeTpm};
use crate::id::NetworkId;
use crate::keys::SecretKey;
use crate::seal::{
    EnrollmentError, KnownSeals, NoSeals, SealCertificate, SealId, SlotError, SlotVerifier, Word,
};

/// FAKE: not a seal. It takes the slot's value and the transaction, in the clear, as the proof; so
/// it keeps the promise of [`SlotVerifier`] only as long as a test makes one proof a slot.
pub(crate) struct FakeSeals;

impl SlotVerifier for FakeSeals {
    fn attests(
        &self,
        certificate: &SealCertificate,
        slot: &Slot,
        tx: &TxId,
        proof: &SlotProof,
    ) -> Result<(), SlotError> {
        let proves = certificate.seal() == slot.seal && *proof == fake_proof(slot, tx);
        if proves { Ok(()) } else { Err(SlotError::Signature) }
    }
}

pub(crate) fn fake_proof(slot: &Slot, tx: &TxId) -> SlotProof {
    let mut bytes = to_bytes(slot);
    bytes.extend_from_slice(tx.as_bytes());
    SlotProof::new(bytes).expect("short")
}

pub(crate) fn slot(value: u64) -> Slot {
    Slot { seal: SealId::new(Digest::new([4; 32])), counter: 7, value }
}

/// The enrollment of the fake hardware that these tests and those of evidence have.
pub(crate) fn enrollment() -> SealCertificate {
    FakeTpm::new(4).enrolled(ENROLLED_UNTIL)
}

/// A slot of that hardware.
pub(crate) fn enrolled_slot(value: u64) -> Slot {
    enrollment().slot(1, value)
}

const COIN: CoinId = CoinId::new([1; 32]);
const TX: TxId = TxId::new([2; 32]);
const UNTIL: Time = Time::from_unix(1000);
const BEFORE: Time = Time::from_unix(999);

fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).expect("a scalar")
}

fn sign(byte: u8) -> Signature {
    key(byte).sign(&spend_digest(&COIN, &TX))
}

fn consent(byte: u8) -> Signature {
    key(byte).sign(&consent_digest(&COIN, &TX))
}

fn signature() -> Predicate {
    Predicate::Signature(key(1).public())
}

fn sealed() -> Predicate {
    Predicate::Sealed(Sealed { key: key(1).public(), slot: enrolled_slot(5), until: UNTIL })
}

fn reserved() -> Predicate {
    Predicate::Reserved(Reserved { key: key(1).public(), payee: key(2).public(), until: UNTIL })
}

fn check(predicate: &Predicate, unlock: &Unlock, now: Time) -> Result<(), UnlockError> {
    check_by(&FakeSeals, predicate, unlock, now)
}

fn check_by(
    proofs: &dyn SlotVerifier,
    predicate: &Predicate,
    unlock: &Unlock,
    now: Time,
) -> Result<(), UnlockError> {
    let came = [enrollment()];
    let named = [enrollment().terms().enroller.clone()];
    let word = Word::Asset { named: &named, network: None };
    let seals = KnownSeals::none(proofs);
    let judge = Judge { network: NetworkId::LOCAL, seals, word, came: &came };
    predicate.check(&COIN, &TX, unlock, now, &judge).map(drop)
}

#[test]
fn a_signature_predicate_opens_for_its_key_only() {
    assert_eq!(check(&signature(), &Unlock::Signature(sign(1)), BEFORE), Ok(()));
    let other = check(&signature(), &Unlock::Signature(sign(2)), BEFORE);
    assert_eq!(other, Err(UnlockError::OwnerSignature));
    let elsewhere = key(1).sign(&spend_digest(&COIN, &TxId::new([3; 32])));
    let elsewhere = check(&signature(), &Unlock::Signature(elsewhere), BEFORE);
    assert_eq!(elsewhere, Err(UnlockError::OwnerSignature));
}

#[test]
fn a_sealed_coin_needs_its_slots_proof_for_this_very_transaction() {
    let with = |slot: Slot, tx: TxId| Unlock::Sealed(sign(1), fake_proof(&slot, &tx));
    assert_eq!(check(&sealed(), &with(enrolled_slot(5), TX), BEFORE), Ok(()));
    let wrong = Err(UnlockError::SlotProof(SlotError::Signature.into()));
    assert_eq!(check(&sealed(), &with(enrolled_slot(6), TX), BEFORE), wrong, "another slot");
    assert_eq!(
        check(&sealed(), &with(enrolled_slot(5), TxId::new([9; 32])), BEFORE),
        wrong,
        "another tx"
    );
    let unlock = with(enrolled_slot(5), TX);
    assert_eq!(check_by(&NoSeals, &sealed(), &unlock, BEFORE), wrong, "no seal is trusted");
    let late =
        Sealed { key: key(1).public(), slot: enrolled_slot(5), until: ENROLLED_UNTIL.plus(1) };
    let ends = Err(UnlockError::SlotProof(EnrollmentError::Ends.into()));
    assert_eq!(check(&Predicate::Sealed(late), &unlock, BEFORE), ends, "a longer lock");
    let stolen = Unlock::Sealed(sign(2), fake_proof(&enrolled_slot(5), &TX));
    assert_eq!(check(&sealed(), &stolen, BEFORE), Err(UnlockError::OwnerSignature));
}

#[test]
fn a_lock_holds_until_its_end_and_not_longer() {
    for predicate in [sealed(), reserved()] {
        let alone = Unlock::Signature(sign(1));
        assert_eq!(check(&predicate, &alone, BEFORE), Err(UnlockError::Locked));
        assert_eq!(check(&predicate, &alone, UNTIL), Ok(()));
        assert_eq!(
            check(&predicate, &Unlock::Signature(sign(2)), UNTIL),
            Err(UnlockError::OwnerSignature)
        );
    }
}

#[test]
fn a_reservation_needs_its_payees_consent() {
    let with = |s: Signature| Unlock::Reserved(sign(1), s);
    assert_eq!(check(&reserved(), &with(consent(2)), BEFORE), Ok(()));
    let wrong = Err(UnlockError::PayeeSignature);
    assert_eq!(check(&reserved(), &with(consent(3)), BEFORE), wrong);
    assert_eq!(check(&reserved(), &with(sign(2)), BEFORE), wrong, "a spend is no consent");
}

#[test]
fn an_unlock_of_another_kind_does_not_open() {
    let sealed_unlock = Unlock::Sealed(sign(1), fake_proof(&enrolled_slot(5), &TX));
    let reserved_unlock = Unlock::Reserved(sign(1), consent(2));
    let cases = [
        (signature(), sealed_unlock.clone()),
        (signature(), reserved_unlock.clone()),
        (sealed(), reserved_unlock),
        (reserved(), sealed_unlock),
    ];
    for (predicate, unlock) in cases {
        assert_eq!(check(&predicate, &unlock, BEFORE), Err(UnlockError::Mismatch));
        assert_eq!(check(&predicate, &unlock, UNTIL), Err(UnlockError::Mismatch));
    }
}

#[test]
fn a_tier_ends_with_its_lock_and_holds_for_its_viewer() {
    let (payee, other) = (key(2).public(), key(3).public());
    let seal = Unlock::Sealed(sign(1), fake_proof(&enrolled_slot(5), &TX));
    assert_eq!(sealed().tier(&seal, BEFORE, Some(&other)), Tier::Sealed);
    assert_eq!(sealed().tier(&seal, UNTIL, Some(&other)), Tier::Signed);
    assert_eq!(sealed().tier(&Unlock::Signature(sign(1)), UNTIL, None), Tier::Signed);
    let both = Unlock::Reserved(sign(1), consent(2));
    assert_eq!(reserved().tier(&both, BEFORE, Some(&payee)), Tier::Reserved);
    assert_eq!(reserved().tier(&both, BEFORE, Some(&other)), Tier::Signed);
    assert_eq!(reserved().tier(&both, BEFORE, None), Tier::Signed);
    assert_eq!(reserved().tier(&both, UNTIL, Some(&payee)), Tier::Signed);
    assert_eq!(signature().tier(&Unlock::Signature(sign(1)), BEFORE, Some(&payee)), Tier::Signed);
}

#[test]
fn what_is_expected_is_what_it_is_worth_once_unlocked() {
    let unlocks = [
        (signature(), Unlock::Signature(sign(1))),
        (sealed(), Unlock::Sealed(sign(1), fake_proof(&enrolled_slot(5), &TX))),
        (reserved(), Unlock::Reserved(sign(1), consent(2))),
    ];
    for (predicate, unlock) in unlocks {
        for now in [BEFORE, UNTIL] {
            for viewer in [key(2).public(), key(3).public()] {
                let expected = predicate.expected_tier(now, &viewer);
                assert_eq!(expected, predicate.tier(&unlock, now, Some(&viewer)));
            }
        }
    }
}

#[test]
fn change_goes_under_the_next_slot() {
    let Some(Predicate::Sealed(change)) = sealed().of_change() else { panic!("sealed change") };
    assert_eq!((change.slot, change.until), (enrolled_slot(6), UNTIL));
    let last = Sealed { key: key(1).public(), slot: enrolled_slot(u64::MAX), until: UNTIL };
    assert_eq!(Predicate::Sealed(last).of_change(), None);
    assert_eq!(reserved().of_change(), Some(reserved()));
}

#[test]
fn predicates_are_what_the_notarys_wire_carries() {
    for predicate in [signature(), sealed(), reserved()] {
        assert_eq!(Predicate::from_wire(&predicate.to_wire()), Ok(predicate.clone()));
        assert_eq!(from_bytes::<Predicate>(&to_bytes(&predicate)), Ok(predicate));
    }
    let unknown = WirePredicate::new(ENGINE_TALLY, &[9], &[]).expect("short");
    assert_eq!(Predicate::from_wire(&unknown), Err(DecodeError::Unknown));
}

#[test]
fn a_slot_proof_has_a_limit() {
    let long = alloc::vec![0; crate::seal::MAX_SLOT_PROOF + 1];
    assert_eq!(SlotProof::new(long.clone()), Err(DecodeError::TooLarge));
    let long = Blob::<1024>::new(long).expect("fits");
    assert_eq!(from_bytes::<SlotProof>(&to_bytes(&long)), Err(DecodeError::TooLarge));
}
