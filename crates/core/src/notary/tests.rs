//! What the notary's wire must do, against bytes of another implementation and against a network made here.

mod cases;
mod certificate;
mod golden;
mod mutation;
mod presence;
mod proof;
mod request;
mod scene;
mod token;
mod trust;
mod vectors;

use alloc::vec::Vec;

/// What an honest notary answers about some spend.
pub(crate) fn some_proof() -> super::InclusionProof {
    scene::Scene::new().proof()
}

/// Decodes hexadecimal digits of the test's own making.
fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "pairs of digits");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().expect("32 bytes")
}
