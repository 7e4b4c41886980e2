use proptest::prelude::*;

use super::*;
use crate::testing::{START, certificate, genesis, trust, validator, validator_key, word};

fn sealer(number: u8) -> Sealer {
    Sealer::new(validator(number), validator_key(number))
}

fn share(number: u8, height: u64) -> Signature {
    sealer(number).sign(&certificate(height))
}

fn collector() -> Collector {
    Collector::new(trust(), 0)
}

#[test]
fn two_thirds_of_the_validators_make_a_certificate_that_a_client_accepts() {
    let mut collector = collector();
    assert_eq!(collector.open(certificate(1)), None);
    assert_eq!(collector.share(1, validator(0), share(0, 1)), None);
    assert_eq!(collector.share(1, validator(0), share(0, 1)), None, "nobody counts twice");
    assert_eq!(collector.share(1, validator(2), share(2, 1)), None);
    let made = collector.share(1, validator(3), share(3, 1)).expect("a quorum");
    assert!(made.verify(&trust()).is_ok());
    assert_eq!(collector.signed()[&validator(3)], 1);
}

#[test]
fn signatures_may_come_before_the_block() {
    let mut collector = collector();
    for number in [1, 2, 3] {
        assert_eq!(collector.share(5, validator(number), share(number, 5)), None);
    }
    assert!(collector.open(certificate(5)).is_some());
    assert_eq!(collector.share(6 + MAX_AHEAD, validator(1), share(1, 6)), None);
    assert!(collector.early.is_empty(), "too far ahead");
}

#[test]
fn wrong_signatures_and_strangers_count_nothing() {
    let mut collector = collector();
    collector.open(certificate(1));
    assert_eq!(collector.share(1, validator(0), share(0, 1)), None);
    assert_eq!(collector.share(1, validator(1), share(0, 1)), None, "another's");
    assert_eq!(collector.share(1, validator(1), share(1, 2)), None, "for another height");
    assert_eq!(collector.share(1, validator(9), share(9, 1)), None, "a stranger's");
    assert_eq!(collector.share(1, validator(2), share(2, 1)), None);
    assert!(collector.share(1, validator(1), share(1, 1)).is_some());
}

#[test]
fn another_validators_certificate_is_taken_only_if_it_holds_and_is_for_the_same_block() {
    let mut donor = collector();
    donor.open(certificate(1));
    let shares = [0, 1, 2].map(|number| donor.share(1, validator(number), share(number, 1)));
    let made = shares.into_iter().flatten().next().expect("a quorum");

    let mut collector = collector();
    assert_eq!(collector.take(made.clone()), None, "the block is not final here");
    collector.open(certificate(1));
    let mut weak = made.clone();
    weak.seal.signatures.as_mut().expect("signed").remove(&validator(1));
    assert_eq!(collector.take(weak), None);
    assert_eq!(collector.take(made.clone()), Some(made));
}

#[test]
fn whoever_lacks_certificates_still_hears_signatures_on_new_blocks() {
    let mut collector = collector();
    let far = 10 * MAX_AHEAD;
    // It followed all these blocks while nobody's signature came through.
    for height in 1..=far {
        assert_eq!(collector.open(certificate(height)), None);
    }
    for number in [1, 2, 3] {
        assert_eq!(collector.share(far + 1, validator(number), share(number, far + 1)), None);
    }
    assert!(collector.open(certificate(far + 1)).is_some(), "they waited for the block");
    collector.share(far + 2 + MAX_AHEAD, validator(1), share(1, 1));
    assert!(collector.early.is_empty(), "too far ahead");
}

#[test]
fn open_heights_are_limited() {
    let mut collector = collector();
    for height in 1..=MAX_OPEN as u64 + 5 {
        collector.open(certificate(height));
    }
    assert_eq!(collector.open.len(), MAX_OPEN);
    assert!(!collector.open.contains_key(&5));
}

#[test]
fn a_round_without_new_leaves_names_no_block_and_any_other_does() {
    let empty = certificate(3);
    assert_eq!(empty.record.block, None);
    let header = Header { root: Digest::new(word(1)), height: 4, ..genesis().header().clone() };
    let grown = unsigned(&trust(), &header, genesis().hash(), Digest::new(word(3)));
    let grown = grown.expect("one shard");
    assert_eq!(grown.record.block, Some(genesis().hash().digest()));
    assert_eq!((grown.record.timestamp, grown.seal.timestamp), (START, START));
    assert_eq!(grown.seal.hash, grown.root());
}

#[test]
fn a_seal_names_the_one_before() {
    let (one, other) = (certificate(3), {
        let header = Header { height: 3, ..genesis().header().clone() };
        unsigned(&trust(), &header, genesis().hash(), Digest::new(word(8))).expect("one shard")
    });
    assert_ne!(one.seal.signed_digest(), other.seal.signed_digest());
}

#[test]
fn messages_decode_to_themselves() {
    let messages = [
        SealMessage::Share(7, share(1, 7)),
        SealMessage::Want(9),
        SealMessage::Certificate(Box::new(certificate(2))),
    ];
    for message in messages {
        assert_eq!(SealMessage::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn a_sealer_does_not_show_its_key() {
    assert_eq!(format!("{:?}", sealer(1)), "Sealer(validator-1)");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = SealMessage::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}
