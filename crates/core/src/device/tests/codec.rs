//! Every object has one encoding, and nothing else decodes.

extern crate std;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::samples::{Sample, samples};
use crate::cbor::{Blob, DecodeError};
use crate::object::{MAGIC, MAX_OBJECT_FILE, Object};
use crate::packet::{MAX_ENVELOPE, MAX_HELLO, MAX_PACKET, Packet};

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(samples);

#[test]
fn there_is_one_of_every_kind() {
    let kinds: BTreeSet<&str> = SAMPLES.iter().map(|s| s.kind).collect();
    for message in [
        "offer",
        "accept",
        "commit",
        "payment",
        "receipt",
        "refuse",
        "sync",
        "sync reply",
        "sync end",
        "own step",
        "recovered",
        "apart",
    ] {
        assert!(kinds.contains(message), "{message}");
    }
    assert!(kinds.len() >= 25, "{kinds:?}");
}

#[test]
fn every_object_survives_the_round_trip() {
    for sample in SAMPLES.iter() {
        assert_eq!((sample.again)(&sample.bytes), Ok(sample.bytes.clone()), "{}", sample.kind);
    }
}

#[test]
fn every_object_cut_short_or_followed_by_something_is_refused() {
    for sample in SAMPLES.iter() {
        for end in 0..sample.bytes.len() {
            let cut = (sample.again)(&sample.bytes[..end]);
            assert_eq!(cut, Err(DecodeError::Truncated), "{} at {end}", sample.kind);
        }
        let longer = [&sample.bytes[..], &[0xf6]].concat();
        assert_eq!((sample.again)(&longer), Err(DecodeError::Trailing), "{}", sample.kind);
    }
}

#[test]
fn files_begin_with_their_mark() {
    let file = |bytes: &[u8]| Object::from_file(bytes).map(|object| object.to_file());
    for sample in SAMPLES.iter().filter(|s| s.kind == "object") {
        let good = [MAGIC.as_slice(), &sample.bytes].concat();
        assert_eq!(file(&good), Ok(good.clone()));
        assert_eq!(file(&sample.bytes), Err(DecodeError::Unknown));
        let object = Object::from_file(&good).expect("good");
        assert!(!object.kind().is_empty());
    }
    assert_eq!(file(b"TALLY1\x82\x07\x00"), Err(DecodeError::Unknown));
    assert_eq!(file(&alloc::vec![0; MAX_OBJECT_FILE + 1]), Err(DecodeError::TooLarge));
}

#[test]
fn packets_are_plain_or_open_a_session() {
    assert_eq!(Packet::from_wire(&[]), Err(DecodeError::Truncated));
    for taken in [0, 2, 3, 4, 6] {
        assert_eq!(Packet::from_wire(&[taken, 0]), Err(DecodeError::Unknown));
    }
    let longest = Packet {
        hello: Some(Blob::new(alloc::vec![7; MAX_HELLO]).expect("no longer than may be")),
        envelope: Blob::new(alloc::vec![8; MAX_ENVELOPE]).expect("no longer than may be"),
    };
    assert_eq!(Packet::from_wire(&longest.to_wire()), Ok(longest));
    assert_eq!(Packet::from_wire(&alloc::vec![1; MAX_PACKET + 1]), Err(DecodeError::TooLarge));
    let plain = Packet::from_wire(&[1, 7, 8]).expect("a packet");
    assert_eq!((plain.hello.is_none(), plain.envelope.as_slice()), (true, &[7u8, 8][..]));
    assert_eq!(plain.to_wire(), [1, 7, 8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    /// Whatever is done to an object's bytes, it is refused, or it is the one encoding of another.
    #[test]
    fn altered_bytes_are_refused_or_canonical(
        which: prop::sample::Index,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
    ) {
        let sample = which.get(&SAMPLES);
        let mut bytes = sample.bytes.clone();
        for (at, byte, how) in edits {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        if let Ok(again) = (sample.again)(&bytes) {
            prop_assert_eq!(again, bytes, "{}", sample.kind);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(which: prop::sample::Index, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let sample = which.get(&SAMPLES);
        if let Ok(again) = (sample.again)(&bytes) {
            prop_assert_eq!(again, bytes);
        }
    }
}
