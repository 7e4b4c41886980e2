//! Time whole payments in memory, both sides on one core, with encryption and receipt.

use std::hint::black_box;
use std::time::Duration;

use tally_core::id::Digest;
use tally_core::keys::SecretKey;

use crate::scene::Scene;
use crate::timing::{Samples, time};

/// Signatures that a payment with one coin makes: the payer's, and the payee's on the receipt.
pub const SIGNATURES: usize = 2;
/// Signatures that it checks: the mint's, the payer's, the receipt's.
pub const VERIFICATIONS: usize = 3;

/// What a payment costs and what its signatures cost, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Compute {
    /// A whole repeat payment.
    pub payment: f64,
    /// Two signatures and three checks, measured between the payments.
    pub signatures: f64,
}

impl Compute {
    /// The ratio of the two.
    pub fn ratio(self) -> f64 {
        self.payment / self.signatures
    }
}

/// Measures payments and signatures in turn, so that both meet the same disturbance.
pub fn repeat_payment(rounds: usize) -> Compute {
    let key = SecretKey::new([7; 32]).expect("a small scalar is one");
    let public = key.public();
    let mut scene = Scene::new(256);
    scene.pay();
    let (mut payments, mut signatures) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 200 == 199 {
            scene = Scene::new(256);
            scene.pay();
        }
        payments.push(time(|| {
            black_box(scene.pay());
        }));
        signatures.push(of_signatures(&key, &public, round));
    }
    let (payments, signatures) = (Samples::new(payments), Samples::new(signatures));
    Compute { payment: payments.median(), signatures: signatures.median() }
}

fn of_signatures(key: &SecretKey, public: &tally_core::keys::PublicKey, round: usize) -> Duration {
    let digest = Digest::new(tally_core::hash::sha256(&round.to_be_bytes()));
    time(|| {
        let mut made = (0..SIGNATURES).map(|_| key.sign(black_box(&digest)));
        let signature = made.next().expect("at least one");
        made.for_each(|another| assert_eq!(another, signature, "signing is deterministic"));
        for _ in 0..VERIFICATIONS {
            assert!(public.verify(black_box(&digest), &signature));
        }
    })
}

/// How much more a payment costs after so many others, with as many pockets left, than early on:
/// the ratio of usual times.
pub fn after_many(payments: u64) -> f64 {
    let mut scene = Scene::new(2 * payments);
    for _ in 0..payments {
        scene.pay();
    }
    let mut fresh = Scene::new(256);
    fresh.pay();
    let (mut late, mut early) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        late.push(time(|| {
            black_box(scene.pay());
        }));
        early.push(time(|| {
            black_box(fresh.pay());
        }));
    }
    Samples::new(late).median() / Samples::new(early).median()
}
