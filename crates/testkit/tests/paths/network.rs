//! Fork proofs that a network tells.

use std::collections::BTreeMap;

use tally_core::device::{self, Event};
use tally_core::fork::{Branch, ForkProof};
use tally_core::id::{BodyHash, CoinId, Head, Link, Root, TxId};
use tally_core::keys::SecretKey;
use tally_core::predicate::spend_digest;
use tally_core::transaction::Step;
use tally_testkit::Scene;

use super::compare;

/// What the validators tell: of Alice (0), who hears it, and of Bob (1), whom she knows.
type Case = (&'static str, fn(&mut Scene) -> ForkProof);

const CASES: [Case; 7] = [
    ("nothing is wrong", |scene| fork(&bob(scene), &bob(scene), [(7, 7), (7, 7)])),
    ("whom it accuses signed both", |scene| {
        let another = scene.issuer.clone();
        fork(&bob(scene), &another, [(7, 7), (7, 7)])
    }),
    ("its steps are two", |scene| {
        let proof = fork(&bob(scene), &bob(scene), [(7, 7), (7, 7)]);
        ForkProof { b: proof.a.clone(), ..proof }
    }),
    ("they contradict each other", |scene| fork(&bob(scene), &bob(scene), [(7, 7), (9, 9)])),
    ("it is not known yet", |scene| {
        let proof = fork(&bob(scene), &bob(scene), [(7, 7), (7, 7)]);
        let (now, known) = (scene.now, device::Input::Fork(Box::new(proof.clone())));
        scene.people[0].wish(now, known).expect("a good proof");
        proof
    }),
    ("it is not of the device's own key", |scene| {
        let mine = scene.people[0].key().clone();
        fork(&mine, &mine, [(1, 7), (1, 7)])
    }),
    ("it shows no later step of the device's own", |scene| {
        let mine = scene.people[0].key().clone();
        fork(&mine, &mine, [(2, 7), (2, 7)])
    }),
];

fn bob(scene: &Scene) -> SecretKey {
    scene.people[1].key().clone()
}

/// Two steps by number and head, the second of which somebody signed for the accused.
fn fork(accused: &SecretKey, second: &SecretKey, steps: [(u64, u8); 2]) -> ForkProof {
    let branch = |n: u8, (seq, head): (u64, u8), key: &SecretKey| {
        let step = Step { seq, head: Head::new([head; 32]), root: Root::new([n; 32]) };
        let (body, link, coin) = (BodyHash::new([n; 32]), Link::new([n; 32]), CoinId::new([n; 32]));
        let digest = spend_digest(&coin, &TxId::of(&body, &link, &step));
        Branch { body, link, step, coin, signature: key.sign(&digest) }
    };
    let [first, other] = steps;
    let (a, b) = (branch(1, first, accused).into(), branch(2, other, second).into());
    ForkProof { key: accused.public(), a, b }
}

/// What Alice, who has taken one step, makes of it when she settles, as a cell says it.
fn outcome(make: fn(&mut Scene) -> ForkProof) -> String {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 2, 10).expect("paid");
    let proof = make(&mut scene);
    // One that holds follows it, and is taken over whatever comes of the first.
    let stranger = SecretKey::new([0x66; 32]).expect("a scalar");
    scene.network.plant(proof.clone());
    scene.network.plant(fork(&stranger, &stranger, [(3, 3), (3, 3)]));
    scene.people[0].shown.clear();
    let before = scene.people[0].device().is_bricked(&proof.key);
    scene.settle(0).expect("the network is there");
    scene.restart(0);
    let alice = &scene.people[0];
    assert!(alice.device().is_bricked(&stranger.public()), "the other one is taken over");
    let told = |of: fn(&Event) -> bool| alice.shown.iter().any(of);
    let accused = told(|event| matches!(event, Event::Accused { .. }));
    let convicts = !before && alice.device().is_bricked(&proof.key);
    match (convicts, alice.is_normal(), accused) {
        (true, true, false) => "convicts",
        (false, false, true) => "receives only",
        (false, true, true) => "told",
        (false, true, false) => "nothing",
        other => unreachable!("{other:?}"),
    }
    .to_owned()
}

#[test]
fn what_a_network_tells_convicts_as_the_table_says() {
    let walked = |(rule, make): &Case| ((*rule).to_owned(), vec![outcome(*make)]);
    let found: BTreeMap<String, Vec<String>> = CASES.iter().map(walked).collect();
    compare("what must hold of a proof that a network tells", &found);
}
