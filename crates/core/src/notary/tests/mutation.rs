//! Damaged and hostile bytes.

use alloc::vec::Vec;
use proptest::prelude::*;

use super::super::token::Token;
use super::super::*;
use super::golden::{Golden, trust};
use super::scene::Scene;
use crate::cbor::{Decode, Encode, from_bytes, to_bytes};

/// Where the response's block number is, for which nobody vouches.
const BLOCK_NUMBER: usize = 1;

#[test]
fn every_flipped_bit_of_a_certified_answer_is_noticed() {
    let golden = Golden::flow();
    for step in ["mint.response", "xfer.response"] {
        let bytes = golden.bytes(step);
        let honest: ProofResponse = from_bytes(&bytes).unwrap();
        let expected = honest.proof.leaf.unwrap().data;
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(response) = from_bytes::<ProofResponse>(&bytes) else { continue };
            assert_eq!(to_bytes(&response), bytes);
            let verdict = response.proof.verify(&expected.spend(), &trust(), &NoEngine);
            assert_eq!(verdict.is_ok(), bit / 8 == BLOCK_NUMBER, "{step}, bit {bit}: {verdict:?}");
        }
    }
}

#[test]
fn every_cut_of_an_answer_is_an_error() {
    let bytes = Golden::flow().bytes("xfer.response");
    for end in 0..bytes.len() {
        assert!(from_bytes::<ProofResponse>(&bytes[..end]).is_err());
    }
}

/// Whatever decodes is encoded again as the same bytes.
fn one_encoding<T: Decode + Encode>(bytes: &[u8]) {
    if let Ok(object) = from_bytes::<T>(bytes) {
        assert_eq!(to_bytes(&object), bytes);
    }
}

fn one_encoding_of_any(bytes: &[u8]) {
    one_encoding::<ProofResponse>(bytes);
    one_encoding::<CertificationRequest>(bytes);
    one_encoding::<UnicityCertificate>(bytes);
    one_encoding::<WirePredicate>(bytes);
    one_encoding::<ShardId>(bytes);
    one_encoding::<Token>(bytes);
}

fn samples() -> Vec<Vec<u8>> {
    let (golden, scene) = (Golden::flow(), Scene::new());
    let response = ProofResponse { block_number: 12, proof: scene.proof() };
    let mut samples: Vec<_> =
        ["token", "mint.pendingResponse", "xfer.certificationRequest", "mint.uc"]
            .map(|name| golden.bytes(name))
            .into();
    samples.push(to_bytes(&response));
    samples
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        one_encoding_of_any(&bytes);
    }

    #[test]
    fn spoilt_bytes_never_panic_and_have_one_encoding(
        sample in 0usize..5,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
    ) {
        let mut bytes = samples().swap_remove(sample);
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        one_encoding_of_any(&bytes);
        let (scene, data) = (Scene::new(), Scene::new().data);
        if let Ok(response) = from_bytes::<ProofResponse>(&bytes) {
            let _ = response.proof.verify(&data.spend(), &scene.trust, &NoEngine);
        }
        if let Ok(token) = Token::from_bytes(&bytes) {
            let _ = token.verify(&trust(), &NoEngine);
        }
    }
}
