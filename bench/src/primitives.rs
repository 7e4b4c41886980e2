//! What this machine's own primitives cost: no payment can be cheaper than what it is made of.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::Write;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use tally_core::hash::sha256;
use tally_core::id::Digest;
use tally_core::keys::SecretKey;

use crate::timing::{Samples, per_one};

/// Usual costs in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Primitives {
    /// One secp256k1 signature.
    pub sign: f64,
    /// One check of a signature.
    pub verify: f64,
    /// SHA-256 of 64 bytes.
    pub sha256: f64,
    /// ChaCha20-Poly1305 of 1,024 bytes.
    pub aead: f64,
    /// Appending 64 bytes to a file, until they are on the disk.
    pub fsync: f64,
}

impl Primitives {
    /// Measures them.
    pub fn measure() -> Self {
        let key = SecretKey::new([7; 32]).expect("a small scalar is one");
        let (public, digest) = (key.public(), Digest::new([9; 32]));
        let signature = key.sign(&digest);
        let cipher = ChaCha20Poly1305::new(&[1; 32].into());
        let kilobyte = [5_u8; 1024];
        Self {
            sign: per_one(40, 10, || {
                black_box(key.sign(black_box(&digest)));
            }),
            verify: per_one(40, 10, || {
                black_box(public.verify(black_box(&digest), &signature));
            }),
            sha256: per_one(100, 1000, || {
                black_box(sha256(black_box(&[3; 64])));
            }),
            aead: per_one(100, 100, || {
                let sealed = cipher.encrypt(&Nonce::default(), black_box(&kilobyte[..]));
                drop(black_box(sealed));
            }),
            fsync: fsync(),
        }
    }
}

fn fsync() -> f64 {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join("log");
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.expect("a file in a folder of our own");
    let append = || {
        file.write_all(&[1; 64]).expect("room for 64 bytes");
        file.sync_data().expect("a disk that syncs");
    };
    Samples::of(100, append).median()
}
