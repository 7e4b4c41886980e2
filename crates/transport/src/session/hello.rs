//! Open a session with one message that only its receiver can read: HPKE (RFC 9180) in base mode,
//! with X-Wing, HKDF-SHA-256 and ChaCha20-Poly1305.
//!
//! ```text
//! hello = version (1 byte: 1) ‖ hint (8) ‖ KEM ciphertext (1,120) ‖ sealed text ‖ tag (16)
//! hint  = SHA-256("tally/v1/hello/hint" ‖ SHA-256(receiver's public key) ‖ KEM ciphertext)[..8]
//! ```
//!
//! The text says who greets, and is the caller's affair: HPKE's base mode proves nobody. So the caller
//! signs the KEM ciphertext, and puts the signature into the text. It may take its time for that:
//! [`greet`] gives what is signed, [`Greeting::seal`] takes what was.
//!
//! Whoever holds the receiver's public key recognises a hello to it by its hint; to everybody else two
//! hellos to one receiver look like hellos to two. A receiver looks at the hint before it decrypts.

use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

use hpke::aead::{AeadCtxR, AeadCtxS, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::keys::Key;
use super::{
    Budget, HINT_BYTES, KemCiphertext, KemPublic, KemSecret, RootKey, SessionError, TAG_BYTES,
};

/// The version of hellos that this program makes and reads.
pub const HELLO_VERSION: u8 = 1;
/// Bytes that a hello has more than its text.
pub const HELLO_OVERHEAD: usize = HEADER + KemCiphertext::BYTES + TAG_BYTES;
/// Longest hello, in bytes: with the longest envelope it fits one message.
pub const MAX_HELLO: usize = 5 * 1024;
/// Longest text of a hello, in bytes.
pub const MAX_HELLO_TEXT: usize = MAX_HELLO - HELLO_OVERHEAD;
/// Most keys that are tried on one hello, however many its hint fits.
pub const MAX_TRIES: usize = 2;

const HEADER: usize = 1 + HINT_BYTES;
const INFO: &[u8] = b"tally/v1/hello";
const HINT: &[u8] = b"tally/v1/hello/hint";

type Sender = AeadCtxS<ChaCha20Poly1305, HkdfSha256, XWing>;
type Receiver = AeadCtxR<ChaCha20Poly1305, HkdfSha256, XWing>;

/// A hello whose text is still to come. It holds the random bytes that it is made of.
#[derive(Clone)]
pub struct Greeting {
    their: KemPublic,
    randomness: Zeroizing<[u8; 64]>,
    ciphertext: KemCiphertext,
}

/// Begins a hello to the holder of `their` key.
///
/// `randomness` is 64 uniformly random bytes, used for one hello only; whoever learns them reads the
/// hello and its session. The same bytes give the same greeting: a caller that waits for a signature
/// longer than it runs keeps them, encrypted at rest.
///
/// # Errors
/// [`SessionError::Key`] if nothing can be encrypted to the key.
pub fn greet(their: &KemPublic, randomness: &[u8; 64]) -> Result<Greeting, SessionError> {
    let (ciphertext, _) = encapsulate(their, randomness)?;
    Ok(Greeting { their: their.clone(), randomness: Zeroizing::new(*randomness), ciphertext })
}

impl Greeting {
    /// What is signed, so that the hello is the signer's and no one else's.
    pub fn ciphertext(&self) -> &KemCiphertext {
        &self.ciphertext
    }

    /// The hello, with a text of at most [`MAX_HELLO_TEXT`] bytes, and the secret of the session that it
    /// opens, for this context: see [`Opened::root`]. One greeting has one text, ever: two would be
    /// encrypted with one key.
    ///
    /// # Errors
    /// [`SessionError::TooLarge`].
    pub fn seal(self, context: &[u8; 32], text: &[u8]) -> Result<(Vec<u8>, RootKey), SessionError> {
        let too_large = SessionError::TooLarge { size: text.len(), most: MAX_HELLO_TEXT };
        if text.len() > MAX_HELLO_TEXT {
            return Err(too_large);
        }
        let (ciphertext, mut sender) = encapsulate(&self.their, &self.randomness)?;
        let header = header_of(&self.their.hash(), &ciphertext);
        let sealed = sender.seal(text, &header).map_err(|_| too_large)?;
        let root = export(|key| sender.export(context, key).is_ok());
        Ok(([&header[..], ciphertext.as_bytes(), &sealed].concat(), root))
    }
}

fn encapsulate(
    their: &KemPublic,
    randomness: &[u8; 64],
) -> Result<(KemCiphertext, Sender), SessionError> {
    let mut given = Given { left: randomness, short: false };
    let made = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &their.0,
        INFO,
        &mut given,
    );
    let (encapsulated, sender) = made.map_err(|_| SessionError::Key("public key"))?;
    if given.short || !given.left.is_empty() {
        return Err(SessionError::Key("randomness"));
    }
    Ok((KemCiphertext::new(encapsulated.to_bytes().into()), sender))
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting").field("ciphertext", &self.ciphertext).finish_non_exhaustive()
    }
}

/// A hello that was decrypted. Who sent it is for the caller to check, by the signature in the text.
pub struct Opened {
    /// Which of the receiver's keys it was for.
    pub key: usize,
    /// What its sender wrote.
    pub text: Vec<u8>,
    /// What its sender signed.
    pub ciphertext: KemCiphertext,
    receiver: Receiver,
}

/// Decrypts a hello to one of `mine`. At most [`MAX_TRIES`] keys are tried, and each is paid for from
/// `budget` first: a hello to nobody here costs no decryption.
///
/// # Errors
/// [`SessionError::Malformed`], [`SessionError::Version`]; [`SessionError::Elsewhere`] if it is to none
/// of the keys; [`SessionError::Budget`]; [`SessionError::Forged`] if it was altered.
pub fn open(
    mine: &[&KemSecret],
    hello: &[u8],
    budget: &mut Budget,
) -> Result<Opened, SessionError> {
    let (header, ciphertext, sealed) = split(hello)?;
    let fits = |secret: &&&KemSecret| header_of(secret.hash(), &ciphertext) == *header;
    let mut fitting = mine.iter().enumerate().filter(|(_, secret)| fits(secret)).take(MAX_TRIES);
    let Some(first) = fitting.next() else { return Err(SessionError::Elsewhere) };
    for (key, secret) in core::iter::once(first).chain(fitting) {
        budget.spend()?;
        let mut receiver = receive(secret, &ciphertext)?;
        if let Ok(text) = receiver.open(sealed, header) {
            return Ok(Opened { key, text, ciphertext, receiver });
        }
    }
    Err(SessionError::Forged)
}

impl Opened {
    /// The secret of the session that the hello opens. Both sides give the same context, the digest that
    /// the sender signed: a side with another gets another secret.
    pub fn root(&self, context: &[u8; 32]) -> RootKey {
        export(|key| self.receiver.export(context, key).is_ok())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.len();
        f.debug_struct("Opened")
            .field("key", &self.key)
            .field("text", &text)
            .finish_non_exhaustive()
    }
}

type Parts<'a> = (&'a [u8; HEADER], KemCiphertext, &'a [u8]);

fn split(hello: &[u8]) -> Result<Parts<'_>, SessionError> {
    match hello.first() {
        None => return Err(SessionError::Malformed),
        Some(&HELLO_VERSION) => {}
        Some(_) => return Err(SessionError::Version),
    }
    let parts = hello.split_first_chunk::<HEADER>().and_then(|(header, rest)| {
        let (ciphertext, sealed) = rest.split_first_chunk()?;
        Some((header, KemCiphertext::new(*ciphertext), sealed))
    });
    let (header, ciphertext, sealed) = parts.ok_or(SessionError::Malformed)?;
    if !(TAG_BYTES..=TAG_BYTES + MAX_HELLO_TEXT).contains(&sealed.len()) {
        return Err(SessionError::Malformed);
    }
    Ok((header, ciphertext, sealed))
}

fn receive(secret: &KemSecret, ciphertext: &KemCiphertext) -> Result<Receiver, SessionError> {
    let encapsulated = Deserializable::from_bytes(ciphertext.as_bytes());
    let encapsulated = encapsulated.map_err(|_| SessionError::Key("ciphertext"))?;
    setup_receiver(&OpModeR::Base, &secret.key(), &encapsulated, INFO)
        .map_err(|_| SessionError::Key("ciphertext"))
}

/// Version and hint of a hello to the key with this hash.
fn header_of(key: &[u8; 32], ciphertext: &KemCiphertext) -> [u8; HEADER] {
    let hash = Sha256::new().chain_update(HINT).chain_update(key);
    let hash = hash.chain_update(ciphertext.as_bytes()).finalize();
    let mut header = [HELLO_VERSION; HEADER];
    header[1..].copy_from_slice(&hash[..HINT_BYTES]);
    header
}

fn export(fill: impl FnOnce(&mut [u8]) -> bool) -> RootKey {
    let mut key = Key([0; 32]);
    let filled = fill(&mut key.0);
    assert!(filled, "32 bytes are within HPKE's limit of 8,160");
    RootKey(key)
}

/// The caller's random bytes, for HPKE to take: once, and no others.
struct Given<'a> {
    left: &'a [u8],
    short: bool,
}

impl TryRng for Given<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        match self.left.split_at_checked(out.len()) {
            Some((taken, left)) => {
                out.copy_from_slice(taken);
                self.left = left;
            }
            None => self.short = true,
        }
        Ok(())
    }
}

impl TryCryptoRng for Given<'_> {}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
