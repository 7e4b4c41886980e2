//! `spec/paths.md`: what convicts, on every path by which it comes.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::adversary::forked;
use super::super::scene::{Person, Scene};
use super::super::wishes::fork_of;
use super::{compare, next};
use crate::cbor::List;
use crate::device::{Event, Input, Mode};
use crate::evidence::Sighting;
use crate::fork::{Branch, ForkProof};
use crate::message::{Findings, Message, Offer, SyncEnd, SyncReply};
use crate::predicate::{Unlock, spend_digest};

/// How two steps of Alice's (0) come to whoever judges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    /// A proof, which its owner imports, or which a network publishes.
    Proof,
    /// A proof that a contact has at a meeting.
    ProofMet,
    /// The second step, which a contact has at a meeting.
    StepMet,
    /// Behind the coins of an offer.
    Offer,
    /// Behind the coins of a payment.
    Payment,
}

const PATHS: [Path; 5] = [Path::Proof, Path::ProofMet, Path::StepMet, Path::Offer, Path::Payment];

/// Two steps of Alice's: the first is known to the judge, and the teller shows the second.
struct Case {
    scene: Scene,
    judge: usize,
    teller: usize,
    steps: [Branch; 2],
    /// What is wrong with the history in which the second comes.
    history: fn(&Scene, &mut Offer),
}

/// Alice's steps by which two were paid.
fn steps(scene: &Scene, payees: [usize; 2]) -> [Branch; 2] {
    payees.map(|payee| {
        let incoming = scene.people[payee].device.incoming().values();
        let alice = scene.id(0);
        let mut hops = incoming.filter(|i| i.payer == Some(alice)).filter_map(|i| i.hop.as_ref());
        hops.next().expect("she has paid").branches().next().expect("a coin")
    })
}

/// Dave (3) was paid by Bob (1) with what Alice has paid, and Carol (2) shows what she was paid.
fn of(mut scene: Scene) -> Case {
    scene.pay(1, 3, 10);
    let steps = steps(&scene, [1, 2]);
    Case { scene, judge: 3, teller: 2, steps, history: |_, _| () }
}

fn good() -> Case {
    of(forked().0)
}

/// The second step is signed by whoever shows it.
fn unsigned(mut case: Case) -> Case {
    let [_, step] = &mut case.steps;
    let key = &case.scene.people[case.teller].key;
    step.signature = key.sign(&spend_digest(&step.coin, &step.tx_id()));
    let history = |scene: &Scene, offer: &mut Offer| {
        let mut hops = offer.evidence.hops.to_vec();
        let mut witnesses = hops[0].witnesses.to_vec();
        let digest = spend_digest(&hops[0].tx.body.inputs[0], &hops[0].tx.id());
        witnesses[0].unlock = Unlock::Signature(scene.people[1].key.sign(&digest));
        hops[0].witnesses = List::truncated(witnesses);
        offer.evidence.hops = List::truncated(hops);
    };
    Case { history, ..case }
}

fn twice_the_same() -> Case {
    let case = good();
    let [first, _] = case.steps;
    Case { teller: 1, steps: [first.clone(), first], ..case }
}

fn honest() -> Case {
    let mut scene = Scene::new(4, 1000);
    scene.pay(0, 1, 400);
    scene.pay(0, 2, 400);
    of(scene)
}

fn known() -> Case {
    let mut case = good();
    let proof = proof_of(&case);
    case.scene.people[3].tell(Input::Fork(proof.into())).expect("a good proof");
    case
}

/// A copy of Alice's wallet has paid Carol. Alice is shown that.
fn ones_own() -> Case {
    let (scene, _) = forked();
    let steps = steps(&scene, [1, 2]);
    Case { scene, judge: 0, teller: 2, steps, history: |_, _| () }
}

/// Alice's disk was set back, and nothing told her. Her later step is shown to her.
fn a_later_one() -> Case {
    let scene = Scene::new(3, 1000);
    let before = scene.people[0].disk.clone();
    a_later_one_of(scene, before)
}

fn a_later_one_of(mut scene: Scene, before: BTreeMap<Vec<u8>, Vec<u8>>) -> Case {
    scene.pay(0, 1, 100);
    scene.people[0].disk = before;
    scene.people[0].restart();
    let proof = fork_of(&scene.people[0].key);
    let step = |side: crate::fork::Side| side.step().expect("both are steps").clone();
    let steps = [step(proof.a), step(proof.b)];
    Case { scene, judge: 0, teller: 1, steps, history: |_, _| () }
}

/// The same, but Bob had paid her meanwhile, too: she does not know any more where his payments stand.
fn refused() -> Case {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(1, 2, 1000);
    let before = scene.people[0].disk.clone();
    scene.pay(1, 0, 7);
    a_later_one_of(scene, before)
}

type Make = fn() -> Case;

const CASES: [(&str, Make); 9] = [
    ("nothing is wrong", good),
    ("whom they accuse signed both", || unsigned(good())),
    ("they are two", twice_the_same),
    ("they contradict each other", honest),
    ("it is not known yet", known),
    ("they are not the device's own", ones_own),
    ("none is a later one of the device's own", a_later_one),
    ("a later one is behind what is refused", refused),
    ("a later one is signed by the device", || unsigned(a_later_one())),
];

fn proof_of(case: &Case) -> ForkProof {
    let [a, b] = case.steps.clone().map(Into::into);
    ForkProof { key: case.scene.people[0].key.public(), a, b }
}

/// What a contact tells at a meeting: in the middle of it, with its answer, or at the end.
fn findings(case: &mut Case, path: Path, told: Told) -> Message {
    let mut findings = Findings::default();
    if path == Path::ProofMet {
        findings.forks = List::truncated([proof_of(case)].into());
    } else {
        let [_, branch] = case.steps.clone();
        let step = Sighting { key: case.scene.people[0].key.public(), branch };
        findings.branches = List::truncated([step].into());
    }
    let judge = case.scene.id(case.judge);
    match told {
        Told::Between => Message::Findings(findings),
        Told::Last => Message::SyncEnd(SyncEnd { findings, history: None }),
        Told::Answering => {
            let first = case.scene.people[case.teller].device.open_meeting(judge);
            let Ok(Message::Sync(sync)) = first else { panic!("a page") };
            Message::SyncReply(SyncReply { sync, findings, history: None })
        }
    }
}

/// With what at a meeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Between,
    Answering,
    Last,
}

/// What the teller sends.
fn sent(case: &mut Case, path: Path, told: Told) -> Message {
    let Case { scene, judge, teller, history, .. } = case;
    let (judge, teller, history) = (*judge, *teller, *history);
    match path {
        Path::Proof => unreachable!("it is imported, not sent"),
        Path::ProofMet | Path::StepMet => findings(case, path, told),
        Path::Offer => {
            scene.start(teller, judge, 10).expect("an offer");
            let Some(Message::Offer(mut offer)) = next(scene, teller) else { panic!("an offer") };
            history(scene, &mut offer);
            Message::Offer(offer)
        }
        Path::Payment => {
            let invoice = scene.invoice(judge, 10);
            scene.pay_invoice(teller, judge, &invoice);
            let sent = next(scene, teller);
            let Some(Message::Payment(mut payment)) = sent else { panic!("a payment") };
            history(scene, &mut payment.offer);
            Message::Payment(payment)
        }
    }
}

/// What the judge does, as a cell says it.
fn outcome(mut case: Case, path: Path, told: Told) -> String {
    let message = (path != Path::Proof).then(|| sent(&mut case, path, told));
    let (from, proof) = (case.scene.id(case.teller), proof_of(&case));
    let judge = &mut case.scene.people[case.judge];
    judge.events.clear();
    judge.out.clear();
    let known = judge.device.is_bricked(&proof.key);
    let heard = match message {
        None => judge.tell(Input::Fork(proof.clone().into())),
        Some(message) => judge.hear(from, &message),
    };
    if let Err(error) = heard {
        return alloc::format!("`{}`", error.code());
    }
    let convicts = judge.events.iter().any(|event| matches!(event, Event::Forked { .. }));
    assert_eq!(judge.device.is_bricked(&proof.key), known || convicts);
    if convicts {
        assert!(judge.device.offers.is_empty(), "what was answered is judged anew");
        return "convicts".to_string();
    }
    let receives_only = *judge.device.mode() == Mode::ReceiveOnly;
    let words = became(judge).into_iter().chain(receives_only.then(|| "receives only".to_string()));
    let words: Vec<String> = words.collect();
    if words.is_empty() { "nothing".to_string() } else { words.join(", ") }
}

/// What the judge did with what was sent, if anything.
fn became(judge: &Person) -> Option<String> {
    if judge.out.iter().any(|(_, message)| matches!(message, Message::Accept(_))) {
        return Some("answered".to_string());
    }
    judge.events.iter().find_map(|event| match event {
        Event::Accused { .. } => Some("told".to_string()),
        Event::Refused { reason, .. } => Some(alloc::format!("`{}`", reason.code)),
        Event::Received { .. } => Some("taken".to_string()),
        _ => None,
    })
}

#[test]
fn what_convicts_does_so_on_every_path_as_the_table_says() {
    let walked = |(rule, case): &(&str, Make)| {
        let cell = |path: &Path| {
            let cell = outcome(case(), *path, Told::Between);
            if matches!(path, Path::ProofMet | Path::StepMet) {
                let told = [Told::Answering, Told::Last].map(|told| outcome(case(), *path, told));
                assert_eq!(told, [cell.clone(), cell.clone()], "{rule} on {path:?}");
            }
            cell
        };
        let cells: Vec<String> = PATHS.iter().map(cell).collect();
        (rule.to_string(), cells)
    };
    let found: BTreeMap<String, Vec<String>> = CASES.iter().map(walked).collect();
    compare("what must hold of two steps", &found);
}
