//! Make a credential that only the TPM with one endorsement key and one attestation key can open.
//!
//! It is TPM2_MakeCredential in software (TPM 2.0 Library Specification, Part 1, 24 and annex C.6):
//! a seed agreed with the endorsement key encrypts a secret for whoever has that key and, in the
//! same TPM, the key with the given Name.

use aes::{Aes128, Aes256};
use cfb_mode::Encryptor;
use cfb_mode::cipher::KeyIvInit;
use hmac::{Hmac, KeyInit, Mac};
use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToSec1Point;
use sha2::{Digest, Sha256, Sha384};
use tally_core::seal::tpm::Name;
use zeroize::Zeroizing;

use crate::secret::{Entropy, Label};

const IDENTITY: &[u8] = b"IDENTITY\0";
const STORAGE: &[u8] = b"STORAGE\0";
const INTEGRITY: &[u8] = b"INTEGRITY\0";

/// A TPM's endorsement key, as its maker certified it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum EndorsementKey {
    /// On P-256, with SHA-256 and AES-128.
    P256(p256::PublicKey),
    /// On P-384, with SHA-384 and AES-256.
    P384(p384::PublicKey),
}

/// What TPM2_ActivateCredential takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Credential {
    /// The encrypted secret with its authenticator (TPMS_ID_OBJECT).
    pub(crate) blob: Vec<u8>,
    /// The ephemeral point that the seed was agreed with (TPMS_ECC_POINT).
    pub(crate) seed: Vec<u8>,
}

impl EndorsementKey {
    /// The key on this uncompressed or compressed point, of whichever curve it is.
    pub(crate) fn new(point: &[u8]) -> Option<Self> {
        p256::PublicKey::from_sec1_bytes(point)
            .map(Self::P256)
            .or_else(|_| p384::PublicKey::from_sec1_bytes(point).map(Self::P384))
            .ok()
    }

    /// Encrypts `secret` for the TPM that has this key and the key called `name`.
    pub(crate) fn make_credential(
        &self,
        name: &Name,
        secret: &[u8; 32],
        entropy: &Entropy,
    ) -> Credential {
        let random = Zeroizing::new(ephemeral(entropy));
        match self {
            Self::P256(key) => {
                let own = p256::SecretKey::from_slice(&random[..32]).expect("below the order");
                let shared = diffie_hellman(own.to_nonzero_scalar(), key.as_affine());
                let own = own.public_key().to_sec1_point(false);
                let key = key.to_sec1_point(false);
                let (x, y) = (own.x().expect("a point"), own.y().expect("a point"));
                let parties = [x.as_slice(), key.x().expect("a point")];
                let seed = kdf_e::<Sha256>(shared.raw_secret_bytes(), parties);
                let mac = kdf::<Hmac<Sha256>>(&seed, INTEGRITY, &[], 256);
                let key = kdf::<Hmac<Sha256>>(&seed, STORAGE, name.as_bytes(), 128);
                let blob = encrypt::<Encryptor<Aes128>>(&key, secret);
                let blob = authenticate::<Hmac<Sha256>>(&mac, &blob, name);
                Credential { blob, seed: [sized(x), sized(y)].concat() }
            }
            Self::P384(key) => {
                let own = p384::SecretKey::from_slice(&random[..]).expect("below the order");
                let shared = diffie_hellman(own.to_nonzero_scalar(), key.as_affine());
                let own = own.public_key().to_sec1_point(false);
                let key = key.to_sec1_point(false);
                let (x, y) = (own.x().expect("a point"), own.y().expect("a point"));
                let parties = [x.as_slice(), key.x().expect("a point")];
                let seed = kdf_e::<Sha384>(shared.raw_secret_bytes(), parties);
                let mac = kdf::<Hmac<Sha384>>(&seed, INTEGRITY, &[], 384);
                let key = kdf::<Hmac<Sha384>>(&seed, STORAGE, name.as_bytes(), 256);
                let blob = encrypt::<Encryptor<Aes256>>(&key, secret);
                let blob = authenticate::<Hmac<Sha384>>(&mac, &blob, name);
                Credential { blob, seed: [sized(x), sized(y)].concat() }
            }
        }
    }
}

/// 48 random bytes, of which the first 32 are a scalar too: with the top bit off and the lowest of
/// each on, a number that is not zero and below the order of either curve.
fn ephemeral(entropy: &Entropy) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..32].copy_from_slice(entropy.key(Label::NewEphemeral).expose());
    bytes[32..].copy_from_slice(&entropy.public::<16>(Label::NewEphemeralRest));
    bytes[0] &= 0x7f;
    bytes[31] |= 1;
    bytes
}

/// KDFe (Part 1, 11.4.10.3) for one block of `D`.
fn kdf_e<D: Digest>(shared: &[u8], parties: [&[u8]; 2]) -> Zeroizing<Vec<u8>> {
    let hasher = D::new()
        .chain_update(1_u32.to_be_bytes())
        .chain_update(shared)
        .chain_update(IDENTITY)
        .chain_update(parties[0])
        .chain_update(parties[1]);
    Zeroizing::new(hasher.finalize().to_vec())
}

/// KDFa (Part 1, 11.4.10.2) for at most one block of `M`.
fn kdf<M: Mac + KeyInit>(
    key: &[u8],
    label: &[u8],
    context: &[u8],
    bits: u32,
) -> Zeroizing<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(&1_u32.to_be_bytes());
    mac.update(label);
    mac.update(context);
    mac.update(&bits.to_be_bytes());
    let mut out = mac.finalize().into_bytes().to_vec();
    out.truncate(bits as usize / 8);
    Zeroizing::new(out)
}

/// The secret as a TPM2B, in CFB mode from a zero vector: the key serves once.
fn encrypt<C: KeyIvInit + Cfb>(key: &[u8], secret: &[u8; 32]) -> Vec<u8> {
    let mut text = sized(secret);
    C::new_from_slices(key, &[0; 16])
        .expect("the derived key has the cipher's length")
        .run(&mut text);
    text
}

/// The two ciphers' CFB encryption.
trait Cfb {
    fn run(self, text: &mut [u8]);
}

impl Cfb for Encryptor<Aes128> {
    fn run(self, text: &mut [u8]) {
        self.encrypt(text);
    }
}

impl Cfb for Encryptor<Aes256> {
    fn run(self, text: &mut [u8]) {
        self.encrypt(text);
    }
}

/// The text with its authenticator over it and the Name, in front.
fn authenticate<M: Mac + KeyInit>(key: &[u8], text: &[u8], name: &Name) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.update(name.as_bytes());
    [sized(&mac.finalize().into_bytes()), text.to_vec()].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("at most 48 bytes").to_be_bytes();
    [&length[..], bytes].concat()
}
