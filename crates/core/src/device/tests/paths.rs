//! `spec/paths.md`: every rule on every path by which a payment comes. The table is walked cell by cell.

extern crate std;

mod consents;
mod forks;
mod seals;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::scene::{NOW, Scene, mint, open_policy};
use super::wishes::fork_of;
use crate::accept::{AcceptPolicy, TierLimits};
use crate::amount::Amount;
use crate::cbor::List;
use crate::device::{Change, Event, Input};
use crate::evidence::Evidence;
use crate::id::{Head, Link, NetworkId, Root, TxId};
use crate::message::{Commit, Message, Offer, Payment, Spend};
use crate::predicate::{Predicate, Reserved, Unlock, spend_digest};
use crate::trade;

/// How a payment comes to its payee, Bob (1), from a patched wallet of Alice's (0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    /// The first message on a connection: nothing is signed yet.
    Offer,
    /// The last message on a connection, to an offer that was answered.
    Commit,
    /// All in one, on an invoice of Bob's, as a code, file or a message sent again brings it.
    Payment,
    /// The same, to a Bob who was restored since and no longer knows that he asked.
    Restored,
}

const PATHS: [Path; 4] = [Path::Offer, Path::Commit, Path::Payment, Path::Restored];

/// One rule, and a payment that breaks it and no other.
struct Case {
    rule: &'static str,
    scene: fn() -> Scene,
    /// What is otherwise with Bob.
    world: fn(&mut Scene),
    /// What is wrong with the offer. What follows from it is signed.
    offer: Option<fn(&Scene, &mut Offer)>,
    /// What is wrong with whom it pays, or with what is signed.
    payment: Option<fn(&Scene, &mut Payment)>,
}

/// Carol (2) has paid Alice 1000, who has paid Bob 10 of it.
fn usual() -> Scene {
    let mut scene = Scene::new(3, 0);
    scene.mint_to(2, 1, 1000);
    scene.pay(2, 0, 1000);
    scene.pay(0, 1, 10);
    scene
}

/// Alice's coin is set aside for Carol until `NOW + 100`, which is over by Alice's clock.
fn reserved() -> Scene {
    let mut scene = Scene::new(3, 0);
    let [alice, carol] = [0, 2].map(|i| scene.people[i].key.public());
    let owner = Predicate::Reserved(Reserved { key: alice, payee: carol, until: NOW.plus(100) });
    let minted = mint(&scene.issuer, scene.asset, 1, 1000, owner);
    scene.people[0].tell(Input::Mint(minted.into())).expect("a good mint");
    scene.people[0].now = NOW.plus(100);
    scene
}

/// Alice has 200 that are set aside for Bob, and 100 that are not.
fn set_aside() -> Scene {
    let mut scene = Scene::new(3, 0);
    let [alice, bob] = [0, 1].map(|i| scene.people[i].key.public());
    let aside = Reserved { key: alice.clone(), payee: bob, until: NOW.plus(100) };
    let coins = [(1, 200, Predicate::Reserved(aside)), (2, 100, Predicate::Signature(alice))];
    for (serial, units, owner) in coins {
        let minted = mint(&scene.issuer, scene.asset, serial, units, owner);
        scene.people[0].tell(Input::Mint(minted.into())).expect("a good mint");
    }
    scene
}

/// The issuer lets 300 be paid without a network.
fn capped() -> Scene {
    let mut scene = Scene::with_policy(3, |policy| policy.offline.cap = Some(Amount::new(300)));
    scene.mint_to(0, 1, 1000);
    scene
}

const GOOD: Case = Case { rule: "", scene: usual, world: |_| (), offer: None, payment: None };

fn of_offer(rule: &'static str, offer: fn(&Scene, &mut Offer)) -> Case {
    Case { rule, offer: Some(offer), ..GOOD }
}

fn of_payment(rule: &'static str, payment: fn(&Scene, &mut Payment)) -> Case {
    Case { rule, payment: Some(payment), ..GOOD }
}

fn of_world(rule: &'static str, world: fn(&mut Scene)) -> Case {
    Case { rule, world, ..GOOD }
}

fn convict(scene: &mut Scene, person: usize) {
    let proof = fork_of(&scene.people[person].key);
    scene.people[1].tell(Input::Fork(proof.into())).expect("a good proof");
}

/// Adds a mint to Alice that is not behind the coin that she pays with.
fn add_mint(scene: &Scene, offer: &mut Offer) {
    let owner = Predicate::Signature(scene.people[0].key.public());
    let more = Evidence::of_minted(mint(&scene.issuer, scene.asset, 9, 1000, owner));
    offer.evidence = offer.evidence.merge(&more).expect("short");
    // What is spent is named by its place, which is now one later.
    let mut spends = offer.spends.to_vec();
    spends.iter_mut().for_each(|spend| spend.coin += 1);
    offer.spends = List::truncated(spends);
}

fn add_enrollments(scene: &Scene, offer: &mut Offer) {
    let junk = |n: u8| {
        let until = NOW.plus(u64::from(n));
        super::tpm::FakeTpm::new(n).enrolled_by(until, &scene.people[0].key, false)
    };
    offer.evidence.enrollments = List::truncated((1..64).map(junk).collect());
}

/// The witness of Carol's payment to Alice is by somebody else.
fn unsign_a_move(scene: &Scene, offer: &mut Offer) {
    let mut hops = offer.evidence.hops.to_vec();
    let mut witnesses = hops[0].witnesses.to_vec();
    let (coin, tx) = (hops[0].tx.body.inputs[0], hops[0].tx.id());
    let signature = scene.people[0].key.sign(&spend_digest(&coin, &tx));
    witnesses[0].unlock = Unlock::Signature(signature);
    hops[0].witnesses = List::truncated(witnesses);
    offer.evidence.hops = List::truncated(hops);
}

fn double_the_mint(_: &Scene, offer: &mut Offer) {
    let mut mints = offer.evidence.mints.to_vec();
    mints[0].mint.body.amount = Amount::new(2000);
    offer.evidence.mints = List::truncated(mints);
}

fn know_another_mint(scene: &mut Scene) {
    let (asset, mint) = (scene.asset, Some(TxId::new([1; 32])));
    scene.people[1].device.apply(Change::Minted { asset, serial: 1, mint });
}

fn take_no_signatures(scene: &mut Scene) {
    let none = TierLimits { accept: false, ..TierLimits::default() };
    let policy = AcceptPolicy { signed: none, ..open_policy() };
    scene.people[1].tell(Input::AcceptPolicy(policy)).expect("always");
}

fn by_somebody_else(scene: &Scene, payment: &mut Payment) {
    let signature = scene.people[2].key.sign(&crate::id::Digest::new([1; 32]));
    payment.commit.unlocks = List::truncated([Unlock::Signature(signature)].into());
}

fn cases() -> Vec<Case> {
    alloc::vec![
        Case { rule: "nothing is wrong", ..GOOD },
        of_world("the payer is a contact", |scene| {
            let alice = scene.id(0);
            scene.people[1].device.contacts.remove(&alice);
        }),
        of_world("the payer is not convicted", |scene| convict(scene, 0)),
        of_world("nobody behind it is convicted", |scene| convict(scene, 2)),
        of_world("its asset is known", |scene| scene.people[1].device.policies.clear()),
        of_world("its serial was minted once", know_another_mint),
        of_world("the owner takes such payments", take_no_signatures),
        of_world("its terms hold", |scene| {
            scene.people[1].now = NOW.plus(600 + 30 * 24 * 60 * 60);
        }),
        of_offer("both stand at one link", |_, offer| offer.link = Link::new([1; 32])),
        of_offer("it spends something", |_, offer| offer.spends = List::default()),
        of_offer("its coins have a whole history", |_, offer| {
            offer.evidence.mints = List::default();
        }),
        of_offer("every move behind it is signed", unsign_a_move),
        of_offer("its mint is signed", double_the_mint),
        of_offer("it pays something", |_, offer| offer.amount = Amount::ZERO),
        of_offer("its coins hold so much", |_, offer| offer.amount = Amount::new(1001)),
        of_offer("its pockets are under its root", |_, offer| offer.root = Root::new([1; 32])),
        of_offer("its step follows the one before", |_, offer| offer.head = Head::new([1; 32])),
        of_offer("its step comes after those seen", |_, offer| offer.seq -= 1),
        of_offer("it pays what was asked for", |_, offer| offer.amount = Amount::new(249)),
        of_offer("it brings only what is behind its coins", add_mint),
        of_offer("it brings only enrollments that count", add_enrollments),
        Case {
            rule: "its issuer lets so much be paid offline",
            scene: capped,
            offer: Some(|_, offer| offer.amount = Amount::new(301)),
            ..GOOD
        },
        Case { rule: "its coins are not set aside for another", scene: reserved, ..GOOD },
        Case { rule: "what is set aside for its payee is paid", scene: set_aside, ..GOOD },
        Case {
            rule: "what is left of that stays set aside",
            scene: set_aside,
            offer: Some(|_, offer| {
                offer.spends = List::truncated(offer.spends.iter().rev().cloned().collect());
            }),
            ..GOOD
        },
        of_payment("it is to its payee's key", |scene, payment| {
            payment.accept.owner = Predicate::Signature(scene.people[2].key.public());
        }),
        of_payment("its payer signed it", by_somebody_else),
        of_payment("each input is unlocked", |_, payment| {
            payment.commit.unlocks = List::default();
        }),
        of_payment("its root follows", |_, payment| payment.commit.root = Root::new([1; 32])),
    ]
}

/// What Alice's patched wallet sends: whatever the payment is, it is signed by her.
fn sign_anew(scene: &Scene, payment: &mut Payment) {
    let outgoing = scene.people[0].device.outgoing.all();
    let outgoing = outgoing.values().find(|o| o.payment.accept.nonce == payment.accept.nonce);
    let made = payment.offer.evidence.made();
    let picked = &outgoing.expect("it was made").sources;
    let of =
        |spend: &Spend| picked.iter().find(|s| Some(&s.id) == made.get(usize::from(spend.coin)));
    let spent: Vec<_> = payment.offer.spends.iter().filter_map(of).cloned().collect();
    let sources = &if spent.len() == picked.len() { spent } else { picked.to_vec() };
    let (offer, accept, bob) = (&payment.offer, &payment.accept, scene.id(1));
    let Ok(tx) = trade::transaction(offer, accept, sources, &bob, NetworkId::LOCAL) else { return };
    let id = tx.id();
    let sign = |source: &trade::Source| {
        Unlock::Signature(scene.people[0].key.sign(&spend_digest(&source.id, &id)))
    };
    let unlocks = List::truncated(sources.iter().map(sign).collect());
    payment.commit = Commit { root: tx.step.root, unlocks };
}

fn next(scene: &mut Scene, person: usize) -> Option<Message> {
    Some(scene.people[person].out.pop_front()?.1)
}

fn by_offer(case: &Case, scene: &mut Scene) -> Option<Message> {
    scene.start(0, 1, 250).expect("an offer");
    let Message::Offer(mut offer) = next(scene, 0)? else { panic!("an offer") };
    case.offer.into_iter().for_each(|edit| edit(scene, &mut offer));
    case.payment.is_none().then_some(Message::Offer(offer))
}

fn by_commit(case: &Case, scene: &mut Scene) -> Option<Message> {
    scene.start(0, 1, 250).expect("an offer");
    let (alice, bob) = (scene.id(0), scene.id(1));
    let Message::Offer(offer) = next(scene, 0)? else { panic!("an offer") };
    scene.people[1].hear(alice, &Message::Offer(offer.clone())).expect("heard");
    let Message::Accept(accept) = next(scene, 1)? else { return None };
    scene.people[0].hear(bob, &Message::Accept(accept.clone())).expect("heard");
    let Message::Commit(commit) = next(scene, 0)? else { panic!("a commit") };
    let mut payment = Payment { offer, accept, commit: commit.clone() };
    case.payment.into_iter().for_each(|edit| edit(scene, &mut payment));
    let shows = case.offer.is_none() && (case.payment.is_none() || payment.commit != commit);
    shows.then_some(Message::Commit(payment.commit))
}

fn by_payment(case: &Case, scene: &mut Scene) -> Option<Message> {
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    let Message::Payment(mut payment) = next(scene, 0)? else { panic!("a payment") };
    case.offer.into_iter().for_each(|edit| edit(scene, &mut payment.offer));
    let signed = payment.commit.clone();
    case.payment.into_iter().for_each(|edit| edit(scene, &mut payment));
    if payment.commit == signed {
        sign_anew(scene, &mut payment);
    }
    Some(Message::Payment(payment))
}

/// What a case comes as on a path, if it can, and the scene that it comes into.
fn sent(case: &Case, path: Path) -> Option<(Scene, Message)> {
    let mut scene = (case.scene)();
    let message = match path {
        Path::Offer => by_offer(case, &mut scene)?,
        Path::Commit => by_commit(case, &mut scene)?,
        Path::Payment | Path::Restored => by_payment(case, &mut scene)?,
    };
    if path == Path::Restored {
        let nonces: Vec<_> = scene.people[1].device.terms.keys().copied().collect();
        nonces.into_iter().for_each(|n| scene.people[1].device.apply(Change::Terms(n, None)));
        scene.people[1].tell(Input::Restored).expect("always possible");
    }
    (case.world)(&mut scene);
    Some((scene, message))
}

/// What Bob does with it, as a cell says it.
fn outcome(case: &Case, path: Path) -> String {
    let Some((mut scene, message)) = sent(case, path) else { return "—".to_string() };
    let (alice, before) = (scene.id(0), scene.people[1].device.ledger().root());
    scene.people[1].events.clear();
    if let Err(error) = scene.people[1].hear(alice, &message) {
        return alloc::format!("`{}`", error.code());
    }
    let told = scene.people[1].events.iter().find_map(|event| match event {
        Event::Refused { reason, .. } => Some(alloc::format!("`{}`", reason.code)),
        Event::Held { reason, .. } => Some(alloc::format!("held `{}`", reason.code)),
        Event::Received { .. } => Some("taken".to_string()),
        _ => None,
    });
    let answered = path == Path::Offer && told.is_none();
    let told = if answered {
        "answered".to_string()
    } else {
        told.unwrap_or_else(|| panic!("{} on {path:?}: {:?}", case.rule, scene.people[1].events))
    };
    let changed = scene.people[1].device.ledger().root() != before;
    assert_eq!(changed, told == "taken" || told.starts_with("held"), "{}: {told}", case.rule);
    scene.people[1].device.ledger().pockets().for_each(|pocket| {
        let (coin, _) = pocket.coin.as_ref().expect("nothing was paid on");
        assert_eq!(pocket.evidence.behind(coin), pocket.evidence, "{}: no more", case.rule);
        assert!(pocket.evidence.enrollments.is_empty(), "{}: no seal is behind it", case.rule);
    });
    told
}

/// The rows of a table in the specification, which begins so: rule, and a cell a path.
fn table(heading: &str) -> BTreeMap<String, Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/paths.md");
    let text = std::fs::read_to_string(path).expect("the specification");
    let first = alloc::format!("| {heading} |");
    let rows = text.lines().skip_while(|line| !line.starts_with(&first));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()
    };
    let row = |mut cells: Vec<String>| {
        let rule = cells.remove(0);
        (rule, cells[1..].to_vec())
    };
    rows.map(cells).map(row).collect()
}

/// Holds a table in the specification against what was found: a row for each rule, and no other.
fn compare(heading: &str, found: &BTreeMap<String, Vec<String>>) {
    let table = table(heading);
    let differs = |(rule, cells): &(&String, &Vec<String>)| table.get(*rule) != Some(cells);
    let differing: Vec<String> = found
        .iter()
        .filter(differs)
        .map(|(rule, cells)| alloc::format!("| {rule} | | {} |", cells.join(" | ")))
        .collect();
    assert!(differing.is_empty(), "spec/paths.md says otherwise of:\n{}", differing.join("\n"));
    let rules = |map: &BTreeMap<String, Vec<String>>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(rules(&table), rules(found), "the table has a row for each case, and no other");
}

#[test]
fn every_rule_holds_on_every_path_as_the_table_says() {
    let walked = |case: &Case| {
        let cells: Vec<String> = PATHS.iter().map(|path| outcome(case, *path)).collect();
        (case.rule.to_string(), cells)
    };
    compare("what must hold", &cases().iter().map(walked).collect());
}
