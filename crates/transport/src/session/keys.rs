//! Derive every key of a session: HKDF-SHA-256 (RFC 5869) and ChaCha20-Poly1305 (RFC 8439).

use alloc::vec::Vec;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{HINT_BYTES, Hint, Role};

const FIRST: &[u8] = b"tally/v1/session/first";
const STEP: &[u8] = b"tally/v1/session/step";
const EPOCH: &[u8] = b"tally/v1/session/epoch";
const HINT: &[u8] = b"hint";
const MESSAGE: &[u8] = b"message";

/// 32 secret bytes, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Key(pub(super) [u8; 32]);

/// Which way a message goes.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    FromInitiator,
    FromResponder,
}

impl From<Role> for Direction {
    fn from(sender: Role) -> Self {
        match sender {
            Role::Initiator => Self::FromInitiator,
            Role::Responder => Self::FromResponder,
        }
    }
}

impl Direction {
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::FromInitiator => Self::FromResponder,
            Self::FromResponder => Self::FromInitiator,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::FromInitiator => 0,
            Self::FromResponder => 1,
        }
    }
}

/// The first keys of the two chains: payments by the initiator, payments by the responder.
pub(super) fn first(root: &Key, generation: u64) -> [Key; 2] {
    let hkdf = Hkdf::<Sha256>::new(Some(FIRST), &root.0);
    [0_u8, 1].map(|payer| expand(&hkdf, &[&generation.to_be_bytes(), &[payer]]))
}

/// The key after a payment.
pub(super) fn step(key: &Key, link: &[u8; 32]) -> Key {
    expand(&Hkdf::new(Some(link), &key.0), &[STEP])
}

/// Fills a key from `hkdf`.
pub(super) fn expand(hkdf: &Hkdf<Sha256>, info: &[&[u8]]) -> Key {
    let mut key = Key([0; 32]);
    hkdf.expand_multi_info(info, &mut key.0).expect("32 bytes are within HKDF's limit of 8,160");
    key
}

/// The keys of one epoch, ready to use.
#[derive(Clone)]
pub(super) struct Epoch {
    keys: Hkdf<Sha256>,
    hints: [Hint; 2],
}

impl Epoch {
    pub(super) fn new(by_initiator: &Key, by_responder: &Key) -> Self {
        let mut both = [0; 64];
        both[..32].copy_from_slice(&by_initiator.0);
        both[32..].copy_from_slice(&by_responder.0);
        let keys = Hkdf::new(Some(EPOCH), &both);
        both.zeroize();
        let hints = [0_u8, 1].map(|direction| {
            let mut hint = [0; HINT_BYTES];
            keys.expand_multi_info(&[HINT, &[direction]], &mut hint)
                .expect("8 bytes are within HKDF's limit of 8,160");
            Hint(hint)
        });
        Self { keys, hints }
    }

    pub(super) fn hint(&self, direction: Direction) -> Hint {
        self.hints[usize::from(direction.byte())]
    }

    pub(super) fn encrypt(
        &self,
        direction: Direction,
        counter: u64,
        header: &[u8],
        message: &[u8],
    ) -> Vec<u8> {
        let payload = Payload { msg: message, aad: header };
        self.cipher(direction, counter)
            .encrypt(&once(), payload)
            .expect("a message is at most 256 KiB, far below the cipher's limit")
    }

    pub(super) fn decrypt(
        &self,
        direction: Direction,
        counter: u64,
        header: &[u8],
        sealed: &[u8],
    ) -> Option<Vec<u8>> {
        let payload = Payload { msg: sealed, aad: header };
        self.cipher(direction, counter).decrypt(&once(), payload).ok()
    }

    fn cipher(&self, direction: Direction, counter: u64) -> ChaCha20Poly1305 {
        let counter = counter.to_be_bytes();
        let key = expand(&self.keys, &[MESSAGE, &[direction.byte()], &counter]);
        ChaCha20Poly1305::new((&key.0).into())
    }
}

/// The one nonce: every message has a key of its own.
fn once() -> Nonce {
    Nonce::default()
}
