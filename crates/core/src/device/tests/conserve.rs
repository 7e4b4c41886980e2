//! Nothing that the network or a crash does makes value, loses it, or convicts an honest device.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::scene::{LOCK, NOW, Person, Scene};
use super::sealed;
use crate::device::{Apart, Basis, DeviceError, Input, Mode, OutgoingState, RecoveryError};
use crate::id::TxId;

const PEOPLE: u8 = 4;
const TOTAL: u64 = 4000;

#[derive(Clone, Debug)]
enum Act {
    Offer(u8, u8, u64),
    Invoice(u8, u8, u64),
    Deliver(u8, bool),
    Reorder(u8),
    Lose(u8),
    Retry(u8, u8),
    Meet(u8, u8),
    Crash(u8),
    DieIn(u8, u32),
    /// Hardware is taken out, or put back.
    Away(u8, bool),
    /// What waits for proofs first, or last, is given up.
    GiveUp(u8, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..PEOPLE;
    let pair = (who.clone(), who.clone());
    prop_oneof![
        3 => (pair.clone(), 1u64..600).prop_map(|((a, b), n)| Act::Offer(a, b, n)),
        2 => (pair.clone(), 1u64..600).prop_map(|((a, b), n)| Act::Invoice(a, b, n)),
        12 => (who.clone(), any::<bool>()).prop_map(|(a, twice)| Act::Deliver(a, twice)),
        1 => who.clone().prop_map(Act::Reorder),
        1 => who.clone().prop_map(Act::Lose),
        1 => pair.clone().prop_map(|(a, b)| Act::Retry(a, b)),
        1 => pair.prop_map(|(a, b)| Act::Meet(a, b)),
        1 => who.clone().prop_map(Act::Crash),
        1 => (who.clone(), 0u32..8).prop_map(|(a, n)| Act::DieIn(a, n)),
        1 => (who.clone(), any::<bool>()).prop_map(|(a, away)| Act::Away(a, away)),
        1 => (who, any::<bool>()).prop_map(|(a, last)| Act::GiveUp(a, last)),
    ]
}

fn carry(scene: &mut Scene, from: usize, twice: bool) {
    let Some((to, message)) = scene.people[from].out.pop_front() else { return };
    let to = scene.people.iter().position(|p| p.id() == to).expect("somebody here");
    let id = scene.id(from);
    for _ in 0..1 + u8::from(twice) {
        scene.people[to].hear(id, &message).expect("a message from a contact is heard");
    }
}

fn give_up(person: &mut Person, last: bool) {
    let proving = person.device.pending().filter(|o| o.state == OutgoingState::Proving);
    let proving: Vec<TxId> = proving.map(|outgoing| outgoing.tx).collect();
    let Some(tx) = (if last { proving.last() } else { proving.first() }).copied() else { return };
    let input = Input::SlotsLost { tx: Some(tx), slots: Vec::new() };
    person.tell(input).expect("it waits");
}

/// Does one thing; a wish that cannot be met is no failure.
fn perform(scene: &mut Scene, act: &Act) {
    let at = |who: &u8| usize::from(*who);
    match act {
        Act::Offer(a, b, n) if a != b => drop(scene.start(at(a), at(b), *n)),
        Act::Invoice(a, b, n) if a != b => {
            let invoice = scene.invoice(at(b), *n);
            let input = Input::PayInvoice { payee: scene.id(at(b)), invoice: invoice.into() };
            drop(scene.people[at(a)].tell(input));
        }
        Act::Deliver(a, twice) => carry(scene, at(a), *twice),
        Act::Reorder(a) => {
            let out = &mut scene.people[at(a)].out;
            out.make_contiguous().reverse();
        }
        Act::Lose(a) => drop(scene.people[at(a)].out.pop_front()),
        Act::Retry(a, b) if a != b => {
            let payee = scene.id(at(b));
            scene.people[at(a)].tell(Input::Retry { payee }).expect("always possible");
        }
        Act::Meet(a, b) if a != b => {
            let contact = scene.id(at(b));
            scene.people[at(a)].tell(Input::Meet { contact }).expect("a contact");
        }
        Act::Crash(a) => scene.people[at(a)].restart(),
        Act::DieIn(a, n) => scene.people[at(a)].dies_in = Some(*n),
        Act::Away(a, away) => scene.people[at(a)].tpm.iter().for_each(|tpm| tpm.take_away(*away)),
        Act::GiveUp(a, last) => give_up(&mut scene.people[at(a)], *last),
        _ => {}
    }
}

/// What is signed or intended and has not reached its payee.
fn in_flight(scene: &Scene) -> u64 {
    let reached = |tx| scene.people.iter().any(|p| p.device.incoming().contains_key(tx));
    let out = scene.people.iter().flat_map(|p| p.device.outgoing().values());
    out.filter(|o| !reached(&o.tx)).map(|o| o.payment.offer.amount.units()).sum()
}

fn heal(scene: &mut Scene) {
    scene.people.iter_mut().for_each(|p| p.dies_in = None);
    scene.deliver();
    for one in 0..usize::from(PEOPLE) {
        for other in (0..usize::from(PEOPLE)).filter(|other| *other != one) {
            scene.meet(one, other);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn value_is_conserved_and_nobody_honest_is_convicted(acts in prop::collection::vec(act(), 1..120)) {
        let mut scene = Scene::new(PEOPLE, 0);
        for person in 0..usize::from(PEOPLE) {
            scene.mint_to(person, person as u64 + 1, TOTAL / u64::from(PEOPLE));
        }
        for act in &acts {
            perform(&mut scene, act);
            let held: u64 = scene.balances().iter().sum();
            prop_assert_eq!(held + in_flight(&scene), TOTAL, "after {:?}", act);
        }
        heal(&mut scene);
        prop_assert_eq!(scene.balances().iter().sum::<u64>(), TOTAL);
        prop_assert!(!scene.anyone_convicted());
        let out = scene.people.iter().flat_map(|p| p.device.outgoing().values());
        let waiting: Vec<_> = out.filter(|o| o.state != OutgoingState::Receipted).collect();
        prop_assert!(waiting.is_empty(), "everything that was signed has arrived");
    }
}

/// What happens to one person: a backup somewhere in a life, then the loss of the device, while others
/// are gone.
#[derive(Clone, Debug)]
struct Loss {
    before: Vec<Act>,
    after: Vec<Act>,
    gone: [bool; 2],
    /// Whether the journal is at hand.
    journal: bool,
}

fn loss() -> impl Strategy<Value = Loss> {
    let acts = || prop::collection::vec(act(), 0..25);
    (acts(), acts(), any::<[bool; 2]>(), any::<bool>())
        .prop_map(|(before, after, gone, journal)| Loss { before, after, gone, journal })
}

impl Loss {
    /// Those who are there: the first of the others always is.
    fn there(&self) -> Vec<usize> {
        let last = (2..usize::from(PEOPLE)).zip(self.gone).filter(|(_, gone)| !gone);
        [1].into_iter().chain(last.map(|(person, _)| person)).collect()
    }
}

/// Whether anybody but the first has seen this payment of the first's.
fn is_held(scene: &Scene, tx: &TxId) -> bool {
    let mut others = scene.people.iter().skip(1);
    others.any(|person| {
        let device = &person.device;
        let seen = || device.sightings().iter().any(|sighting| sighting.branch.tx_id() == *tx);
        device.incoming().contains_key(tx) || seen()
    })
}

/// The first person's device is lost, and restored from a backup.
fn lose_device(scene: &mut Scene, loss: &Loss) {
    loss.before.iter().for_each(|act| perform(scene, act));
    let backup = scene.people[0].disk.clone();
    loss.after.iter().for_each(|act| perform(scene, act));
    scene.people.iter_mut().for_each(|person| person.dies_in = None);
    scene.people[0].out.clear();
    let held: Vec<TxId> =
        scene.people[0].signed().filter(|tx| is_held(scene, tx)).copied().collect();
    scene.people[0].forget_signed(|tx| held.contains(tx));
    scene.people[0].restore(backup);
}

/// Ends the recovery with those who are there; says whether the owner's word was false.
fn recover(scene: &mut Scene, loss: &Loss) -> bool {
    let gone = (1..usize::from(PEOPLE)).filter(|person| !loss.there().contains(person));
    scene.gone = gone.map(|person| scene.id(person)).collect();
    for _ in 0..2 {
        loss.there().into_iter().for_each(|person| scene.meet(0, person));
    }
    for contact in scene.gone.clone() {
        scene.people[0].tell(Input::GiveUp { contact }).expect("a contact");
    }
    let at = scene.people[0].device.goes_on_from();
    let journal = scene.people[0].journal.filter(|journal| loss.journal && journal.seq >= at.seq);
    if let Some(journal) = journal {
        // As a wallet does that finds its journal: the owner's word is true.
        let basis = if journal == at { Basis::Journal } else { Basis::JournalBeyond(journal) };
        let confirmed = scene.people[0].tell(Input::ConfirmRecovery(basis));
        confirmed.expect("recovery always has an end");
        return false;
    }
    let refused = scene.people[0].tell(Input::ConfirmRecovery(Basis::Contacts)).err();
    let asked_from = match refused {
        None => return false,
        Some(DeviceError::Recovery(RecoveryError::EndOpen(seq))) => seq,
        Some(error) => panic!("{error}"),
    };
    // What waits here was perhaps signed: that is no other step.
    let waiting: Vec<TxId> = scene.people[0].device.pending().map(|o| o.tx).collect();
    let is_false = scene.people[0].signed_after(asked_from).any(|tx| !waiting.contains(tx));
    let confirmed = scene.people[0].tell(Input::ConfirmRecovery(Basis::OwnersWord));
    confirmed.expect("recovery always has an end");
    if is_false {
        scene.people[0].forget_signed_after(asked_from);
    }
    is_false
}

/// Has signed what waits for the seal, as a wallet does once it is confirmed.
fn finish_intents(scene: &mut Scene) {
    for payee in (0..usize::from(PEOPLE)).map(|person| scene.id(person)).collect::<Vec<_>>() {
        scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    }
    scene.deliver();
}

/// What the first person has that is not in question.
fn free(scene: &Scene) -> u64 {
    let apart = scene.people[0].device.set_apart();
    let apart = apart.filter(|(_, why)| !matches!(why, Apart::Spent(_)));
    let apart: u64 = apart.map(|(pocket, _)| pocket.amount().units()).sum();
    scene.balances()[0] - apart
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_was_lost_recovery_ends_and_pays_and_convicts_nobody_honest(
        losses in prop::collection::vec(loss(), 1..3),
    ) {
        let mut scene = Scene::new(PEOPLE, 0);
        for serial in 0..u64::from(PEOPLE) * 2 {
            let person = usize::try_from(serial).expect("small") / 2;
            scene.mint_to(person, serial + 1, TOTAL / u64::from(PEOPLE) / 2);
        }
        for loss in &losses {
            lose_device(&mut scene, loss);
            let is_false = recover(&mut scene, loss);
            prop_assert_eq!(scene.people[0].device.mode(), &Mode::Normal);
            finish_intents(&mut scene);
            let (amount, before) = (free(&scene), scene.balances()[1]);
            if amount > 0 {
                scene.pay(0, 1, amount);
                scene.meet(0, 1);
                prop_assert_eq!(scene.balances()[1], before + amount, "it pays");
            }
            if is_false {
                // Those who are gone hold what would convict: they never come back.
                prop_assert!(!scene.anyone_convicted());
                return Ok(());
            }
            scene.gone.clear();
            heal(&mut scene);
            heal(&mut scene);
            prop_assert!(!scene.anyone_convicted());
            prop_assert!(scene.balances().iter().sum::<u64>() <= TOTAL, "nothing was made");
        }
    }
}

/// The same for a device with hardware that comes and goes: most of what happens is its own.
fn hardware_loss() -> impl Strategy<Value = Loss> {
    let payee = || 1..PEOPLE;
    let act = prop_oneof![
        4 => (payee(), 1u64..600).prop_map(|(b, n)| Act::Invoice(0, b, n)),
        3 => any::<bool>().prop_map(|away| Act::Away(0, away)),
        3 => any::<bool>().prop_map(|last| Act::GiveUp(0, last)),
        1 => payee().prop_map(|b| Act::Retry(0, b)),
        1 => (0u32..8).prop_map(|n| Act::DieIn(0, n)),
        4 => Just(Act::Deliver(0, false)),
        2 => act(),
    ];
    let acts = prop::collection::vec(act, 0..16);
    (acts.clone(), acts, any::<[bool; 2]>(), any::<bool>())
        .prop_map(|(before, after, gone, journal)| Loss { before, after, gone, journal })
}

/// The coins of the first person that are not in question.
fn free_coins(scene: &Scene) -> Vec<u64> {
    let device = &scene.people[0].device;
    let apart: Vec<_> = device.set_apart().map(|(pocket, _)| pocket.id).collect();
    let free = device.ledger().pockets().filter(|pocket| !apart.contains(&pocket.id));
    free.map(|pocket| pocket.amount().units()).filter(|units| *units > 0).collect()
}

/// The hardware of the first is away for good, and all locks have ended.
fn end_locks(scene: &mut Scene) {
    scene
        .people
        .iter()
        .filter_map(|person| person.tpm.as_ref())
        .for_each(|tpm| tpm.take_away(false));
    scene.people[0].tpm.as_ref().expect("hardware").take_away(true);
    scene.people[0].tell(Input::Away(true)).expect("always possible");
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_waited_for_hardware_recovery_ends_and_pays_and_convicts_nobody_honest(loss in hardware_loss()) {
        let mut scene = sealed::scene(PEOPLE);
        sealed::mint_sealed(&mut scene, 0, 2, 500);
        sealed::mint_sealed(&mut scene, 0, 3, 400);
        (4..7).for_each(|serial| scene.mint_to(0, serial, 300));
        (1..4).for_each(|person| scene.mint_to(person, person as u64 + 10, 400));
        let total: u64 = scene.balances().iter().sum();
        lose_device(&mut scene, &loss);
        let is_false = recover(&mut scene, &loss);
        prop_assert_eq!(scene.people[0].device.mode(), &Mode::Normal);
        end_locks(&mut scene);
        finish_intents(&mut scene);
        // What stood on one of these was refused until it came.
        scene.meet(0, 1);
        for _ in 0..free_coins(&scene).len() {
            let (amount, before) = (free_coins(&scene)[0], scene.balances()[1]);
            scene.pay(0, 1, amount);
            scene.meet(0, 1);
            prop_assert_eq!(scene.balances()[1], before + amount, "it pays");
        }
        prop_assert!(free_coins(&scene).is_empty());
        prop_assert!(!scene.anyone_convicted());
        if !is_false {
            scene.gone.clear();
            heal(&mut scene);
            heal(&mut scene);
            prop_assert!(!scene.anyone_convicted());
            prop_assert!(scene.balances().iter().sum::<u64>() <= total, "nothing was made");
        }
    }
}
