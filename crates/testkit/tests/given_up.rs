//! Power fails at every write and every order of a payment under a hardware seal, and the payment is given
//! up: it is shown, written and counted as paid on no path, and the wallet pays on.

use tally_agent::recovery::Word;
use tally_agent::{Done, Goal, Input};
use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::device::{Event, Outgoing, OutgoingState};
use tally_core::id::TxId;
use tally_core::predicate::Predicate;
use tally_core::seal::Slot;
use tally_testkit::{Chip, Ended, Fate, Given, NOW, Person, Scene};

/// Alice's coins, each under a counter of its own, and each of so much. One more is under her key alone.
const COINS: u64 = 4;
const UNITS: u64 = 100;
const PLAIN: u64 = 60;
/// What she pays Bob needs all her coins under counters.
const PAID: u64 = COINS * UNITS - 20;
/// Longer than any lock.
const LOCK: u64 = 40 * 24 * 60 * 60;
/// No payment of hers.
const ANOTHER: TxId = TxId::new([7; 32]);

/// How Bob (1) is paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Invoice,
    Connection,
}

/// Where power fails: at a write or an order, after so many, before it or just after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    Write(u32, bool),
    Order(usize, bool),
}

/// Why the payment is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// The chip is gone, and Alice says so.
    Gone,
    /// Its counters were moved by somebody else, and what it proved is lost.
    Moved,
    /// Power failed between the step of a counter and its proof.
    Unproved,
}

/// Gives the slots of her coins, too.
fn scene() -> (Scene, Vec<Slot>) {
    let people = vec![Person::sealed(1), Person::new(2), Person::new(3)];
    let mut scene = Scene::with(people, 0);
    scene.people[0].signs_inside = false;
    let (owner, mut taken) = (scene.people[0].key().public().clone(), Vec::new());
    for _ in 0..COINS {
        let lock = chip(&mut scene).lock(&owner, NOW, &taken).expect("a counter");
        taken.push(lock.slot);
        scene.mint_under(0, UNITS, Predicate::Sealed(lock));
    }
    scene.mint_to(0, PLAIN);
    (scene, taken)
}

fn chip(scene: &mut Scene) -> &mut Chip {
    scene.people[0].chip.as_mut().expect("she has one")
}

/// What Alice pays on: asked for before anything is cut, and good for longer than any lock.
fn asked(scene: &mut Scene, way: Way) -> Option<Signed> {
    if way == Way::Connection {
        return None;
    }
    let (asset, amount) = (scene.asset, Amount::new(PAID));
    let ask = Input::Invoice { asset, amount, valid_for: 2 * LOCK };
    scene.give(1, ask).expect("he asks").invoice
}

/// Pays, for the first time or again; gives what left as a file, if it was not refused.
fn pay(scene: &mut Scene, asked: Option<&Signed>) -> Result<Vec<Vec<u8>>, Ended> {
    match asked {
        Some(invoice) => {
            let paid = scene.give(0, Input::PayInvoice(Box::new(invoice.clone())));
            paid.map(|given| given.files())
        }
        None => scene.pay(0, 1, PAID).map(|_| Vec::new()),
    }
}

/// The cuts of a payment: two at each of its writes and orders. Gives with how many proofs there were, too.
fn cuts(way: Way) -> (Vec<Cut>, usize) {
    let (mut scene, _) = scene();
    let asked = asked(&mut scene, way);
    let count = |alice: &Person| (alice.disk.writes, alice.power.orders, alice.power.proofs);
    let before = count(&scene.people[0]);
    pay(&mut scene, asked.as_ref()).expect("nothing is cut");
    let after = count(&scene.people[0]);
    let bob = &scene.people[0].device().outgoing().values().next().expect("it is made").sources;
    let sealed = bob.iter().all(|source| matches!(source.coin.owner, Predicate::Sealed(_)));
    assert!(sealed, "every coin has its slot");
    let writes = u32::try_from(after.0 - before.0).expect("few");
    let writes = (0..writes).flat_map(|at| [Cut::Write(at, false), Cut::Write(at, true)]);
    let orders = 0..after.1 - before.1;
    let orders = orders.flat_map(|at| [Cut::Order(at, false), Cut::Order(at, true)]);
    (writes.chain(orders).collect(), after.2 - before.2)
}

/// The payment to Bob, if it was begun.
fn payment(scene: &Scene) -> Option<&Outgoing> {
    let bob = scene.id(1);
    let mut all = scene.people[0].device().outgoing().values().map(AsRef::as_ref);
    all.find(|outgoing| outgoing.payee == bob)
}

fn state(scene: &Scene) -> Option<OutgoingState> {
    payment(scene).map(|outgoing| outgoing.state)
}

/// Whether anything said to Alice that she has paid Bob.
fn said_to_be_paid(scene: &Scene) -> bool {
    let bob = scene.id(1);
    scene.people[0].shown.iter().any(|event| match event {
        Event::Paid { payee, .. } => *payee == bob,
        Event::Receipted { .. } => true,
        _ => false,
    })
}

/// Power fails; gives whether the payment can be given up for this reason at all.
fn fails_at(scene: &mut Scene, slots: &[Slot], asked: Option<&Signed>, cut: Cut, why: Why) -> bool {
    match cut {
        Cut::Write(at, after) => scene.people[0].disk.fuse = Some((at, after)),
        Cut::Order(at, after) => scene.people[0].power.fuse = Some((at, after)),
    }
    let ended = pay(scene, asked);
    assert!(matches!(ended, Err(Ended::Disk(_))), "{cut:?} is reached: {ended:?}");
    let alice = &scene.people[0];
    assert_eq!((alice.disk.fuse, alice.power.fuse), (None, None), "once");
    // What is on the disk, before anything goes on.
    scene.people[0].start();
    let proves = state(scene) == Some(OutgoingState::Proving);
    let last = matches!(cut, Cut::Order(_, true)).then(|| last_proved(scene, slots)).flatten();
    let chip = chip(scene);
    match why {
        Why::Gone => chip.is_here = false,
        Why::Moved => {
            slots.iter().for_each(|slot| drop(chip.prove(slot, &ANOTHER)));
            chip.lose_proofs();
        }
        Why::Unproved => {
            let Some(slot) = last.filter(|_| proves) else { return false };
            chip.lose_proof(&slot);
        }
    }
    true
}

/// The slot that was left last for the payment.
fn last_proved(scene: &Scene, slots: &[Slot]) -> Option<Slot> {
    let (tx, chip) = (payment(scene)?.tx, scene.people[0].chip.as_ref()?);
    let proved = |slot: &&Slot| chip.fate(slot, &tx) == Some(Fate::Proved);
    slots.iter().rev().find(proved).copied()
}

/// Power is back, and the owner does what there is to do: says that the chip is gone, or meets everybody
/// where it turned out that the counters went another way.
fn open(scene: &mut Scene, why: Why) {
    scene.restart(0);
    let without_seal = why == Why::Gone;
    if !scene.people[0].is_normal() {
        scene.meet(0, 1).expect("they meet");
        scene.meet(0, 2).expect("they meet");
    }
    scene.recover_by(0, Word { nothing_paid: false, without_seal }).expect("by the book");
    assert!(scene.people[0].is_normal());
}

/// Everything by which it could be shown, or leave.
fn ask_again(scene: &mut Scene, asked: Option<&Signed>) -> Vec<Vec<u8>> {
    let payee = scene.id(1);
    let mut left = asked.map_or_else(Vec::new, |_| pay(scene, asked).unwrap_or_default());
    let resent = scene.give(0, Input::Resend { payee });
    left.extend(resent.map(|given: Given| given.files()).unwrap_or_default());
    let (on_connection, met) = (scene.pay(0, 1, PAID), scene.connect(0, 1, Goal::Resend { payee }));
    assert!(!matches!(on_connection, Ok(Done::Paid { .. })) || said_to_be_paid(scene));
    assert!(matches!(met, Ok(Done::Resent(_)) | Err(Ended::Refused(_))), "{met:?}");
    scene.meet(0, 1).expect("they meet");
    left
}

/// Bob agrees with what Alice says, and with what she has.
fn agrees(scene: &Scene, paid: bool) {
    let bob = &scene.people[1];
    assert_eq!(!bob.device().incoming().is_empty(), paid, "what Bob has");
    let has = if paid { PAID } else { 0 };
    assert_eq!(scene.balances()[1], has);
    assert_eq!(said_to_be_paid(scene), paid, "what Alice was shown");
    assert_eq!(payment(scene).is_some_and(Outgoing::is_signed), paid, "what Alice keeps");
}

/// Goes through one cut, and says whether the payment was given up; nothing if it cannot be for this reason.
fn walk(way: Way, cut: Cut, why: Why) -> Option<bool> {
    use OutgoingState::{GivenUp, Intent, Proving, Receipted, Signed};
    let (mut scene, slots) = scene();
    let asked = asked(&mut scene, way);
    if !fails_at(&mut scene, &slots, asked.as_ref(), cut, why) {
        return None;
    }
    open(&mut scene, why);
    let opened = state(&scene);
    assert_ne!(opened, Some(Proving), "{why:?} gives no proof");
    let made = matches!(opened, Some(Signed | Receipted));
    let left = ask_again(&mut scene, asked.as_ref());
    // Asking may have shown that the counters are elsewhere.
    open(&mut scene, why);
    assert!(made || left.is_empty(), "nothing left as a file");
    agrees(&scene, made);
    // What she may have signed is not hers any more.
    let spent = if made || opened == Some(Intent) { PAID } else { 0 };
    assert_eq!(scene.balances()[0], COINS * UNITS + PLAIN - spent, "{opened:?}");
    scene.pay(0, 2, PLAIN).expect("a third person is paid");
    when_the_locks_are_over(&mut scene, asked.as_ref());
    Some(opened == Some(GivenUp))
}

/// Her key alone moves what is hers: it is paid in the end, and once, however often that is asked for.
fn when_the_locks_are_over(scene: &mut Scene, asked: Option<&Signed>) {
    scene.now = scene.now.plus(LOCK);
    scene.give(0, Input::Remind).expect("always");
    let stands = |scene: &Scene| {
        let bob = scene.id(1);
        let mut all = scene.people[0].device().outgoing().values();
        all.any(|one| one.payee == bob && one.state != OutgoingState::GivenUp)
    };
    for restarts in [false, true] {
        if asked.is_some() || !stands(scene) {
            pay(scene, asked).expect("her key is enough");
        }
        scene.meet(0, 1).expect("they meet");
        let once = [COINS * UNITS - PAID, PAID, PLAIN];
        assert_eq!(scene.balances(), once, "it is paid once; restarted: {restarts}");
        scene.restart(0);
    }
    scene.meet(1, 2).expect("they meet");
    assert!(scene.people.iter().all(|person| person.device().forks().is_empty()));
}

/// Walks all cuts of one way.
fn walk_all(way: Way) {
    let (cuts, proofs) = cuts(way);
    assert_eq!(proofs, usize::try_from(COINS).expect("few"), "a proof a coin");
    let mut all = 0;
    for why in [Why::Gone, Why::Moved, Why::Unproved] {
        let walked: Vec<bool> = cuts.iter().filter_map(|cut| walk(way, *cut, why)).collect();
        let given_up = walked.iter().filter(|given_up| **given_up).count();
        // It is given up from when it is written until all its proofs are: just after the one write, just
        // before the other, and at both sides of each proof's order. Between a counter's step and its
        // proof there is one cut a proof.
        let (reached, expected) = match why {
            Why::Gone | Why::Moved => (cuts.len(), 2 * proofs + 2),
            Why::Unproved => (proofs, proofs),
        };
        assert_eq!((walked.len(), given_up), (reached, expected), "{way:?} {why:?}");
        all += given_up;
    }
    assert!(all >= 16, "{all} of {cuts:?}");
}

#[test]
fn what_was_given_up_at_any_cut_of_a_payment_by_invoice_is_never_paid() {
    walk_all(Way::Invoice);
}

#[test]
fn what_was_given_up_at_any_cut_of_a_payment_on_a_connection_is_never_paid() {
    walk_all(Way::Connection);
}
