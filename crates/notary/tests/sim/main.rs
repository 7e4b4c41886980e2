//! Whole networks under one seed, on simulated links and disks: what must hold whatever fails.
//!
//! `SEED=7 cargo test -p tally-notary --test sim` lives one life, `SEEDS=10000` that many, both together that many
//! from that one on.

// What these modules share ends a test as a test does; the lints know only functions marked as one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod life;
mod requests;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use life::Random;
use requests::request;
use tally_core::notary::{CertificationRequest, ProofResponse};
use tally_notary::backend::{Batch, Outcome};
use tally_notary::rules::TallyEngine;
use tally_notary::validator::Submitted;
use world::{Shape, World, beginning};

/// How many lives are lived if nothing else is asked for.
const LIVES: u64 = 200;

fn runner(seed: u64) -> deterministic::Runner {
    let config = deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(beginning())
        .with_timeout(Some(Duration::from_secs(3_600)));
    deterministic::Runner::new(config)
}

/// Lives the life of a seed. What the runtime did, and how much happened.
fn life(seed: u64) -> (String, [usize; 2]) {
    runner(seed).start(async move |context| {
        let mut random = Random::new(seed);
        let shape = life::shape(&mut random);
        let auditor = context.child("auditor");
        let mut world = World::new(context, shape).await;
        let mut memory = life::live(&mut world, &mut random).await;
        life::end(&mut world, &mut memory).await;
        (auditor.auditor().state(), [memory.asked, memory.crashes])
    })
}

/// The seeds that `SEED` or `SEEDS` ask for.
fn seeds() -> Range<u64> {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
    };
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), count) => seed..seed + count.unwrap_or(1),
        (None, Some(count)) => 1..count + 1,
        (None, None) => 1..LIVES + 1,
    }
}

#[test]
fn whatever_fails_no_state_is_certified_twice_and_what_is_certified_stays() {
    let (seeds, next) = (seeds(), AtomicU64::new(seeds().start));
    let (broken, totals) = (Mutex::new(Vec::new()), Mutex::new([0, 0]));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| life(seed))) {
                        Ok((_, [asked, crashes])) => {
                            let mut totals = totals.lock().expect("no panic while it is held");
                            totals[0] += asked;
                            totals[1] += crashes;
                        }
                        Err(_) => broken.lock().expect("no panic while it is held").push(seed),
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("no panic while it is held");
    let [asked, crashes] = totals.into_inner().expect("no panic while it is held");
    let lived = seeds.end - seeds.start;
    eprintln!("{lived} lives, {} broken: {asked} requests, {crashes} crashes", broken.len());
    assert!(broken.is_empty(), "broken: {broken:?}; see `just sim {}`", broken[0]);
}

#[test]
fn a_seed_gives_one_life() {
    let [first, second] = [life(7), life(7)];
    assert_eq!(first.0, second.0);
    assert_ne!(first.0, life(8).0);
}

#[test]
fn four_validators_certify_what_one_of_them_is_asked_and_a_client_accepts_the_proof() {
    runner(1).start(async |context| {
        let world = World::new(context, Shape::calm(4)).await;
        world.pass(3_000).await;
        for (coin, number) in [(1u64, 0usize), (2, 1), (3, 2), (4, 3)] {
            let proof = certified(&world, number, &request(coin, 10)).await;
            let (wanted, engine) = (request(coin, 10), TallyEngine::default());
            proof.proof.verify(&wanted.data.spend(), &world.trust, &engine).expect("a proof");
        }
        world.pass(1_000).await;
        let rival = world.validator(2).submit(Batch::from(request(1, 11)));
        let Ok(Submitted::Done(Outcome::Refused(conflict))) = rival else { panic!("{rival:?}") };
        assert_eq!(conflict.winner, request(1, 10).data.transaction);
    });
}

/// Has a request certified by one validator.
async fn certified(world: &World, number: usize, wanted: &CertificationRequest) -> ProofResponse {
    let submitted = world.validator(number).submit(Batch::from(wanted.clone()));
    let Ok(Submitted::Waiting(outcome)) = submitted else { panic!("{submitted:?}") };
    let outcome = outcome.await.expect("decided");
    assert!(matches!(outcome, Outcome::Certified { .. }), "{outcome:?}");
    world.validator(number).inclusion(&wanted.state_id).expect("ready")
}

#[test]
fn certificates_stay_fresh_when_nobody_asks_for_anything() {
    runner(3).start(async |context| {
        let world = World::new(context, Shape::calm(4)).await;
        world.pass(3_000).await;
        let before = world.validator(1).height().expect("ready");
        world.pass(20_000).await;
        let after = world.validator(1).height().expect("ready");
        assert!(after - before >= 20, "{} certificates in 20 s", after - before);
    });
}

#[test]
fn one_validator_that_signs_on_both_sides_of_a_split_gets_nothing_certified_twice() {
    for seed in 0..10 {
        runner(seed).start(async |context| {
            let shape = Shape { twins: 1, ..Shape::calm(4) };
            let mut world = World::new(context, shape).await;
            world.pass(3_000).await;
            for node in 1..4 {
                // Not ready, or too late, are answers too.
                let _ = world.validator(node).submit(Batch::from(request(1, node as u64)));
            }
            world.pass(20_000).await;
            let mut memory = life::Memory::default();
            life::end(&mut world, &mut memory).await;
        });
    }
}

/// With f+1 malicious validators the promise is void. What remains is the proof of who broke it: names
/// under two seals of one height.
#[test]
fn two_malicious_of_four_certify_a_state_twice_and_both_certificates_name_them() {
    runner(5).start(async |context| {
        // Validators 0 and 1 run twice, once with 2 and once with 3; 2 and 3 do not hear each other.
        let mut sides = Vec::new();
        for (label, others, payment) in [("one", [0, 1, 2], 10), ("two", [0, 1, 3], 11)] {
            let mut world = World::still(context.child(label), Shape::calm(4)).await;
            world.label = label;
            for number in others {
                world.start(number).await;
            }
            // The leader that is not there is waited for.
            world.pass(20_000).await;
            let wanted = request(1, payment);
            let proof = certified(&world, others[2], &wanted).await.proof;
            proof
                .verify(&wanted.data.spend(), &world.trust, &TallyEngine::default())
                .expect("a wallet cannot tell");
            sides.push((world, proof));
        }
        let names = |side: usize, height: u64| {
            let (world, _) = &sides[side];
            let validator = world.honest().last().expect("it runs");
            let certificate = validator.reader().certificate(height).expect("it reads");
            let certificate = certificate.expect("it was certified");
            let names: Vec<_> =
                certificate.seal.signatures.clone().expect("signed").keys().cloned().collect();
            (certificate.seal.hash, names)
        };
        let height = sides.iter().map(|(_, proof)| proof.certificate.record.round).min();
        let height = height.expect("two sides");
        let ((one, first), (two, second)) = (names(0, height), names(1, height));
        assert_ne!(one, two, "two seals of one height");
        let twice: Vec<_> = first.iter().filter(|name| second.contains(name)).collect();
        assert_eq!(twice.len(), 2, "{twice:?}");
        assert!(twice.iter().all(|name| ["v0", "v1"].contains(&name.as_str())), "{twice:?}");
    });
}
