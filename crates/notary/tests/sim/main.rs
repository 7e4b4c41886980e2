//! Whole networks under one seed, on simulated links and disks: what must hold whatever fails.

mod world;

use std::time::Duration;

use commonware_runtime::{Runner as _, deterministic};
use tally_core::keys::SecretKey;
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};
use tally_notary::backend::{Batch, Outcome};
use tally_notary::rules::TallyEngine;
use tally_notary::validator::Submitted;
use world::{Shape, World, beginning};

fn word(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The request to spend coin `coin` in payment `payment`.
pub fn request(coin: u64, payment: u64) -> CertificationRequest {
    let key = SecretKey::new([7; 32]).expect("a scalar");
    let (source, transaction) = (StateHash::new(word(coin)), TransactionHash::new(word(payment)));
    CertificationRequest::new(CertificationData::signed(&key, source, transaction, None))
}

fn run<F, Fut>(seed: u64, shape: Shape, scene: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    let config = deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(beginning())
        .with_timeout(Some(Duration::from_secs(600)));
    deterministic::Runner::new(config).start(async move |context| {
        let world = World::new(context, shape).await;
        scene(world).await;
    });
}

fn calm(validators: u8) -> Shape {
    Shape {
        validators,
        twins: 0,
        latency: Duration::from_millis(10),
        lossy: false,
        skews: Vec::new(),
    }
}

#[test]
fn four_validators_certify_what_one_of_them_is_asked_and_a_client_accepts_the_proof() {
    run(1, calm(4), async |world| {
        world.pass(3_000).await;
        for v in world.honest() {
            eprintln!(
                "final {} applied {} fail {:?} ready {:?} {}",
                v.final_height(),
                v.applied_height(),
                v.failure(),
                v.ready(),
                v.metrics()
            );
        }
        for (coin, number) in [(1u64, 0usize), (2, 1), (3, 2), (4, 3)] {
            let wanted = request(coin, 10);
            let submitted = world.validator(number).submit(Batch::from(wanted.clone()));
            let Ok(Submitted::Waiting(outcome)) = submitted else { panic!("{submitted:?}") };
            let outcome = outcome.await.expect("decided");
            assert!(matches!(outcome, Outcome::Certified { .. }), "{outcome:?}");
            let proof = world.validator(number).inclusion(&wanted.state_id).expect("ready");
            let engine = TallyEngine::default();
            proof.proof.verify(&wanted.data.spend(), &world.trust, &engine).expect("a proof");
        }
        world.pass(1_000).await;
        let rival = world.validator(2).submit(Batch::from(request(1, 11)));
        let Ok(Submitted::Done(Outcome::Refused(conflict))) = rival else { panic!("{rival:?}") };
        assert_eq!(conflict.winner, request(1, 10).data.transaction);
    });
}
