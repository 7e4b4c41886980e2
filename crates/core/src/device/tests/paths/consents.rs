//! `spec/paths.md`: what frees the rest of what was set aside, on every path by which a consent comes.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::own::reserved;
use super::super::scene::Scene;
use super::compare;
use crate::cbor::List;
use crate::device::{Event, Input};
use crate::id::{DeviceId, Digest, TxId};
use crate::keys::Signature;
use crate::message::{Message, Receipt};
use crate::predicate::consent_digest;

/// How Bob's (1) consent comes to Alice (0), who has set something aside for him.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    /// With his receipt of what she paid from that.
    Receipt,
    /// With his answer to her, who takes it back.
    Release,
    /// The network shows what he gave to what she paid.
    Paid,
    /// The network shows what he gave to what she takes back.
    TakenBack,
}

const PATHS: [Path; 4] = [Path::Receipt, Path::Release, Path::Paid, Path::TakenBack];

impl Path {
    fn is_by_network(self) -> bool {
        matches!(self, Self::Paid | Self::TakenBack)
    }
}

/// One rule, and what breaks it and no other.
struct Case {
    rule: &'static str,
    alter: fn(&Scene, &mut Receipt),
    /// From whom it comes.
    from: usize,
    /// Whether it came before.
    again: bool,
}

const GOOD: Case = Case { rule: "nothing is wrong", alter: |_, _| (), from: 1, again: false };

const CASES: [Case; 9] = [
    GOOD,
    Case { rule: "it came not before", again: true, ..GOOD },
    Case { rule: "it comes from whom it is asked of", from: 2, ..GOOD },
    Case {
        rule: "what it is to was made here",
        alter: |_, receipt| receipt.tx = TxId::new([1; 32]),
        ..GOOD
    },
    Case {
        rule: "the receipt is signed by who was paid",
        alter: |scene, receipt| receipt.signature = by(scene, 2, &Digest::new([1; 32])),
        ..GOOD
    },
    Case {
        rule: "none is missing",
        alter: |_, receipt| receipt.consents = List::default(),
        ..GOOD
    },
    Case {
        rule: "none is too many",
        alter: |_, receipt| {
            let one = receipt.consents[0].clone();
            receipt.consents = List::truncated([one.clone(), one].into());
        },
        ..GOOD
    },
    Case {
        rule: "each is signed by whom it is set aside for",
        alter: |scene, receipt| consent(scene, receipt, 2, receipt.tx),
        ..GOOD
    },
    Case {
        rule: "each is to this very payment",
        alter: |scene, receipt| consent(scene, receipt, 1, TxId::new([1; 32])),
        ..GOOD
    },
];

fn by(scene: &Scene, person: usize, digest: &Digest) -> Signature {
    scene.people[person].key.sign(digest)
}

/// Somebody consents to a transaction that spends what the right one spends.
fn consent(scene: &Scene, receipt: &mut Receipt, person: usize, tx: TxId) {
    let coin = scene.people[0].device.outgoing()[&receipt.tx].sources[0].id;
    let signature = by(scene, person, &consent_digest(&coin, &tx));
    receipt.consents = List::truncated([signature].into());
}

/// Alice pays Bob from what is set aside, or asks for it back; gives his good answer, which is not heard yet.
fn answered(scene: &mut Scene, path: Path) -> Receipt {
    let (payee, asset) = (scene.id(1), scene.asset);
    match path {
        Path::Receipt | Path::Paid => scene.start(0, 1, 150).expect("an offer"),
        Path::Release | Path::TakenBack => {
            scene.people[0].tell(Input::Release { payee, asset }).expect("it is asked for");
        }
    }
    loop {
        while let Some((from, to, message)) = scene.next() {
            match message {
                Message::Receipt(receipt) => return receipt,
                other => scene.people[to].hear(from, &other).expect("heard"),
            }
        }
        let asked = scene.people[1].events.iter().rev().find_map(|event| match event {
            Event::ReleaseAsked { tx, .. } => Some(*tx),
            _ => None,
        });
        let tx = asked.expect("he was asked");
        scene.people[1].tell(Input::Agree { tx }).expect("he agrees");
    }
}

fn comes(
    scene: &mut Scene,
    path: Path,
    from: DeviceId,
    receipt: &Receipt,
) -> Result<(), &'static str> {
    let alice = &mut scene.people[0];
    let told = if path.is_by_network() {
        alice.tell(Input::Consents { tx: receipt.tx, consents: receipt.consents.to_vec() })
    } else {
        alice.hear(from, &Message::Receipt(receipt.clone()))
    };
    told.map_err(|error| error.code())
}

/// What Alice makes of it, as a cell says it.
fn outcome(case: &Case, path: Path) -> String {
    let mut scene = reserved(3, 400);
    let mut receipt = answered(&mut scene, path);
    let about_the_receipt = case.from != 1 || case.rule.starts_with("the receipt");
    if path.is_by_network() && about_the_receipt {
        return "—".to_string();
    }
    let from = scene.id(case.from);
    if case.again {
        comes(&mut scene, path, from, &receipt).expect("it is good");
    }
    (case.alter)(&scene, &mut receipt);
    scene.people[0].events.clear();
    let (before, told) = (scene.people[0].device.clone(), comes(&mut scene, path, from, &receipt));
    let alice = &scene.people[0];
    let refused = alice.events.iter().find_map(|event| match event {
        Event::Refused { reason, .. } => Some(reason.code.to_string()),
        _ => None,
    });
    if let Some(code) = told.err().map(ToString::to_string).or(refused) {
        assert_eq!(alice.device, before, "what is refused changes nothing");
        return alloc::format!("`{code}`");
    }
    if alice.device == before {
        return "nothing".to_string();
    }
    let waits = alice.device.outgoing().values().any(|one| one.unconsented().next().is_some());
    if waits { "taken without it" } else { "freed" }.to_string()
}

#[test]
fn what_frees_does_so_on_every_path_as_the_table_says() {
    let walked = |case: &Case| {
        let cells: Vec<String> = PATHS.iter().map(|path| outcome(case, *path)).collect();
        (case.rule.to_string(), cells)
    };
    let found: BTreeMap<String, Vec<String>> = CASES.iter().map(walked).collect();
    compare("what must hold of a consent", &found);
}
