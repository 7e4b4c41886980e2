//! Two agents that know each other, a payment between them over a connection, and a network that
//! certifies it.

use alloc::vec;

use tally_testkit::{Manner, Person, Scene};

const MINTED: u64 = 1_000;
const PAYER: usize = 0;
const PAYEE: usize = 1;

/// Two people who know each other and an asset, of which the first has all that was minted, after one
/// payment of `units`. What the payer cannot pay it refuses, and nothing travels.
fn paid(entropy: u32, units: u64) -> Scene {
    let (payer, payee) = (entropy.wrapping_mul(2), entropy.wrapping_mul(2).wrapping_add(1));
    let people = vec![Person::stranger(payer), Person::stranger(payee)];
    let mut scene = Scene::with(people, MINTED);
    let _ = scene.pay(PAYER, PAYEE, units);
    scene
}

/// What the payer and the payee have after the payment.
pub fn run(entropy: u32, units: u64) -> [u64; 2] {
    let scene = paid(entropy, units);
    [PAYER, PAYEE].map(|person| scene.people[person].balance(&scene.asset))
}

/// How many transactions the payee has certified after the payment, by a network of four validators of
/// which one lies; 0 if anything is left to be certified.
pub fn settled(entropy: u32, units: u64) -> u64 {
    let mut scene = paid(entropy, units);
    scene.network.manners[0] = Manner::Lying;
    let certified = scene.settle(PAYEE).map_or(0, |settled| settled.certified().len());
    let is_all = scene.people[PAYEE].device().unsettled().is_empty();
    if is_all { certified as u64 } else { 0 }
}
