//! People whose devices have hardware: what it stops, and what an honest owner sees of it.

mod given;

use alloc::vec::Vec;

use super::scene::{LOCK, NOW, Person, Scene, mint};
use super::tpm::{ENROLLED_UNTIL, enroller, revocation, revocation_by};
use crate::amount::Amount;
use crate::cbor::List;
use crate::device::{Basis, Event, Input, Mode, OutgoingState, Sign, Terms};
use crate::evidence::Evidence;
use crate::id::TxId;
use crate::keys::SecretKey;
use crate::message::{Accept, Message, Offer};
use crate::policy::Policy;
use crate::predicate::tests::fake_proof;
use crate::predicate::{Predicate, Sealed, Unlock};
use crate::seal::{SealIdentity, Slot};
use crate::tier::Tier;
use crate::time::Time;

pub(super) fn vouched(policy: &mut Policy) {
    policy.offline.enrollers = List::new(alloc::vec![enroller().public()]).expect("one");
}

/// So many people with hardware, under an asset that names their enroller; the first has a coin of
/// 1000 that is locked to a counter of its own.
pub(super) fn scene(people: u8) -> Scene {
    let people = (1..=people).map(|n| Person::sealed(n, ENROLLED_UNTIL)).collect();
    let mut scene = Scene::of(people, vouched);
    mint_sealed(&mut scene, 0, 1, 1000);
    scene
}

pub(super) fn mint_sealed(scene: &mut Scene, person: usize, serial: u64, units: u64) {
    let asset = scene.asset;
    let person = &mut scene.people[person];
    person.look_for_a_counter();
    let owner = person.device.predicate_for(&person.world(), &asset);
    assert!(matches!(owner, Predicate::Sealed(_)), "a counter is free");
    let minted = mint(&scene.issuer, asset, serial, units, owner);
    person.tell(Input::Mint(minted.into())).expect("a good mint");
}

fn slots(person: &Person) -> Vec<(u32, u64)> {
    let pockets = person.device.ledger().pockets().filter_map(|p| p.coin.as_ref());
    let slot = |owner: &Predicate| match owner {
        Predicate::Sealed(sealed) => Some((sealed.slot.counter, sealed.slot.value)),
        _ => None,
    };
    pockets.filter_map(|(_, coin)| slot(&coin.owner)).collect()
}

/// The tier of what a person received last.
pub(super) fn tier(person: &Person) -> Option<Tier> {
    person.events.iter().rev().find_map(|event| match event {
        Event::Received { tier, .. } => Some(*tier),
        _ => None,
    })
}

/// Whether all that a person accepted was of tier `Sealed`.
fn all_sealed(person: &Person) -> bool {
    let incoming = person.device.incoming();
    !incoming.is_empty() && incoming.values().all(|i| i.accepted && i.tier == Tier::Sealed)
}

fn given_up(person: &Person) -> Option<Option<Time>> {
    person.events.iter().find_map(|event| match event {
        Event::GivenUp { until, .. } => Some(*until),
        _ => None,
    })
}

/// A payment of an invoice that a patched device makes: it unlocks as `unlock` says.
fn forged(
    payer: &mut Person,
    payee: crate::id::DeviceId,
    invoice: crate::invoice::Invoice,
    unlock: impl Fn(&Person, &TxId, &crate::device::SpendToSign) -> Unlock,
) -> Message {
    let input = Input::PayInvoice { payee, invoice: invoice.into() };
    let mut output = payer.device.handle(&payer.world(), input).expect("can be paid");
    let Some(Sign::Prove { tx, .. }) = output.sign.pop() else { panic!("nothing to prove") };
    let proved = Input::Proved { tx };
    let mut output = payer.device.handle(&payer.world(), proved).expect("it waits");
    let Some(Sign::Spend { inputs, .. }) = output.sign.pop() else { panic!("nothing to sign") };
    let unlocks = inputs.iter().map(|input| unlock(payer, &tx, input)).collect();
    let signed = payer.device.handle(&payer.world(), Input::Signed { tx, unlocks });
    signed.expect("it waits").send.pop().expect("a payment").1
}

#[test]
fn a_sealed_coin_pays_with_change_under_the_next_slot_and_reaches_the_payees_counter() {
    let mut scene = scene(3);
    assert_eq!(slots(&scene.people[0]), [(0, 5)]);
    scene.pay(0, 1, 250);
    assert_eq!(tier(&scene.people[1]), Some(Tier::Sealed));
    assert_eq!(slots(&scene.people[0]), [(0, 6)], "change waits at the next value");
    assert_eq!(slots(&scene.people[1]), [(0, 5)], "the payee's own counter");
    scene.pay(0, 1, 100);
    assert_eq!(slots(&scene.people[1]).len(), 2, "another counter for another coin");
    scene.pay(1, 2, 300);
    assert_eq!(tier(&scene.people[2]), Some(Tier::Sealed));
    assert_eq!(scene.balances(), [650, 50, 300]);
}

#[test]
fn whoever_never_met_the_first_payer_has_its_enrollment_from_the_evidence() {
    let mut scene = scene(2);
    scene.pay(0, 1, 250);
    let mut carol = Person::sealed(3, ENROLLED_UNTIL);
    let policy = scene.people[0].device.policies().values().next().cloned().expect("one");
    carol.tell(Input::Policy(policy)).expect("good");
    carol.tell(Input::AcceptPolicy(super::scene::open_policy())).expect("always");
    carol.tell(Input::Contact(scene.people[1].card())).expect("a card");
    scene.people[1].tell(Input::Contact(carol.card())).expect("a card");
    scene.people.push(carol);
    scene.pay(1, 2, 200);
    assert_eq!(tier(&scene.people[2]), Some(Tier::Sealed));
    let device = &scene.people[2].device;
    let pocket = device.ledger().pockets().next().expect("a coin");
    assert_eq!(pocket.evidence.seals().len(), 2);
    assert_eq!(pocket.evidence.enrollments.len(), 2, "both can be shown to whoever is next");
}

#[test]
fn a_copy_that_shares_the_hardware_gets_no_second_proof() {
    let mut scene = scene(3);
    let copy = scene.people[0].clone();
    scene.pay(0, 1, 600);
    let honest = core::mem::replace(&mut scene.people[0], copy);
    scene.pay(0, 2, 600);
    assert!(given_up(&scene.people[0]).is_some(), "the copy's wallet says that it cannot");
    assert_eq!(scene.balances()[1..], [600, 0]);
    scene.people[0] = honest;
    scene.meet(1, 2);
    assert!(!scene.anyone_convicted(), "nothing was signed twice");
}

#[test]
fn a_patched_copy_is_refused_whatever_it_shows_instead_of_a_proof() {
    type Forge = fn(&Person, &TxId, &crate::device::SpendToSign, Slot, TxId) -> Unlock;
    let cases: [(&str, &str, Forge); 3] = [
        ("only a signature", "UNLOCK_LOCKED", |p, _, input, _, _| {
            Unlock::Signature(p.key.sign(&input.digest))
        }),
        ("the first payment's proof", "UNLOCK_SLOT_PROOF", |p, _, input, slot, first| {
            Unlock::Sealed(p.key.sign(&input.digest), fake_proof(&slot, &first))
        }),
        ("a proof for another slot", "UNLOCK_SLOT_PROOF", |p, tx, input, slot, _| {
            let next = slot.next().expect("not at its end");
            Unlock::Sealed(p.key.sign(&input.digest), fake_proof(&next, tx))
        }),
    ];
    for (name, code, forge) in cases {
        let mut scene = scene(3);
        let mut copy = scene.people[0].clone();
        let seal = scene.people[0].tpm.clone().expect("hardware").identity();
        let SealIdentity::Hardware(seal) = seal else { panic!("hardware") };
        let slot = Slot { seal, counter: 0, value: 5 };
        scene.pay(0, 1, 600);
        let first = *scene.people[0].device.outgoing().keys().next().expect("paid");
        let invoice = scene.invoice(2, 600);
        let payment = forged(&mut copy, scene.id(2), invoice, |person, tx, input| {
            forge(person, tx, input, slot, first)
        });
        scene.people[2].hear(copy.id(), &payment).expect("a contact");
        assert_eq!(scene.refusals(2), [code], "{name}");
        assert_eq!(scene.balances()[2], 0, "{name}");
    }
}

#[test]
fn a_burned_slot_gives_the_payment_up_and_its_coin_waits_for_its_lock_to_end() {
    let mut scene = scene(2);
    mint_sealed(&mut scene, 0, 2, 100);
    scene.people[0].tpm.as_ref().expect("hardware").fail_in(0);
    scene.pay(0, 1, 600);
    let until = NOW.plus(LOCK);
    assert_eq!(given_up(&scene.people[0]), Some(Some(until)));
    assert_eq!(scene.balances(), [1100, 0], "nothing is lost");
    let state = |scene: &Scene| scene.people[0].device.outgoing().values().next().map(|o| o.state);
    assert_eq!(state(&scene), Some(OutgoingState::GivenUp));
    let locked = scene.start(0, 1, 600).expect_err("its slot is gone");
    assert_eq!(locked.code(), "UNLOCK_LOCKED");
    scene.pay(0, 1, 70);
    assert_eq!(scene.balances(), [1030, 70], "another coin pays the same payee");
    scene.people[0].restart();
    assert_eq!(scene.start(0, 1, 600).expect_err("still").code(), "UNLOCK_LOCKED");
    scene.people.iter_mut().for_each(|person| person.now = until);
    scene.pay(0, 1, 600);
    assert_eq!(scene.balances(), [430, 670]);
    assert_eq!(tier(&scene.people[1]), Some(Tier::Signed), "a lock that ended stops nobody");
    assert!(!scene.anyone_convicted());
}

#[test]
fn the_terms_of_a_payment_that_was_given_up_can_be_paid_anew() {
    let mut scene = scene(2);
    mint_sealed(&mut scene, 0, 2, 900);
    let invoice = scene.invoice(1, 250);
    scene.people[0].tpm.as_ref().expect("hardware").fail_in(0);
    scene.pay_invoice(0, 1, &invoice);
    assert!(given_up(&scene.people[0]).is_some());
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.balances(), [1650, 250]);
}

#[test]
fn of_a_payment_from_several_coins_none_is_lost_when_one_slot_is() {
    let mut scene = scene(2);
    mint_sealed(&mut scene, 0, 2, 900);
    scene.people[0].tpm.as_ref().expect("hardware").fail_in(1);
    scene.pay(0, 1, 1500);
    assert_eq!(scene.balances(), [1900, 0]);
    assert_eq!(scene.people[0].device.burned().count(), 2, "both counters have moved");
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
    scene.pay(0, 1, 1500);
    assert_eq!(scene.balances(), [400, 1500]);
}

#[test]
fn paying_from_several_coins_frees_their_counters() {
    let mut scene = scene(2);
    mint_sealed(&mut scene, 0, 2, 900);
    scene.pay(0, 1, 1500);
    assert_eq!(scene.balances(), [400, 1500]);
    assert_eq!(slots(&scene.people[0]).len(), 1);
    assert_eq!(tier(&scene.people[1]), Some(Tier::Sealed));
}

#[test]
fn without_a_free_counter_a_coin_is_taken_under_its_key() {
    let mut scene = scene(2);
    for _ in 0..4 {
        scene.pay(0, 1, 10);
    }
    assert_eq!(slots(&scene.people[1]).len(), 3, "as many as there are counters");
    assert_eq!(scene.people[1].device.ledger().pockets().count(), 4);
    assert_eq!(tier(&scene.people[1]), Some(Tier::Sealed), "what the payer's seal proved holds");
}

#[test]
fn open_terms_keep_their_counter() {
    let mut scene = scene(2);
    let owners: Vec<Predicate> = (0..4).map(|_| scene.invoice(1, 5).accept.owner).collect();
    let sealed = owners.iter().filter(|o| matches!(o, Predicate::Sealed(_))).count();
    assert_eq!(sealed, 3);
    assert!(owners.iter().enumerate().all(|(i, owner)| !owners[..i].contains(owner)));
}

#[test]
fn a_payee_asks_for_its_seal_only_where_it_counts() {
    let people = alloc::vec![Person::new(1), Person::sealed(2, ENROLLED_UNTIL)];
    let mut scene = Scene::of(people, |_| ());
    let owner = scene.invoice(1, 5).accept.owner;
    assert_eq!(owner, Predicate::Signature(scene.people[1].key.public()));
    let people = alloc::vec![Person::new(1), Person::sealed(2, NOW.plus(LOCK).plus(1))];
    let mut scene = Scene::of(people, vouched);
    assert!(matches!(scene.invoice(1, 5).accept.owner, Predicate::Sealed(_)));
    scene.people[1].now = NOW.plus(2);
    let owner = scene.invoice(1, 5).accept.owner;
    assert!(matches!(owner, Predicate::Signature(_)), "it ends before the lock would");
}

#[test]
fn a_lock_that_is_not_this_devices_own_or_is_over_is_not_offered() {
    let mut scene = scene(2);
    let asset = scene.asset;
    let person = &mut scene.people[1];
    let tpm = person.tpm.clone().expect("hardware");
    let free = tpm.free(&person.key.public(), NOW.plus(LOCK), &[]).expect("a counter");
    let other = scene.people[0].tpm.clone().expect("hardware");
    let theirs = other.free(&scene.people[0].key.public(), NOW.plus(LOCK), &[]).expect("one");
    let person = &mut scene.people[1];
    let bad = [
        Sealed { key: theirs.key.clone(), ..free.clone() },
        Sealed { slot: theirs.slot, ..free.clone() },
        Sealed { until: NOW, ..free.clone() },
    ];
    let world = person.world();
    person.device.handle(&world, Input::Lock(Some(free.clone()))).expect("always");
    assert_eq!(person.device.predicate_for(&world, &asset), Predicate::Sealed(free));
    for lock in bad {
        person.device.handle(&world, Input::Lock(Some(lock.clone()))).expect("always");
        let owner = person.device.predicate_for(&world, &asset);
        assert!(matches!(owner, Predicate::Signature(_)), "{lock:?}");
    }
}

/// A payee of whom the payer's seal is hidden, or shown with a flaw, refuses before anything is signed.
#[test]
fn a_seal_that_does_not_count_is_refused_before_anything_is_signed() {
    type Edit = fn(&mut Scene);
    let cases: [(&str, Edit); 3] = [
        ("ENROLLMENT_ENROLLER", |scene| {
            let payer = &scene.people[0];
            let other = SecretKey::new([0xbb; 32]).expect("a scalar");
            let tpm = payer.tpm.clone().expect("hardware");
            let enrollment = tpm.enrolled_by(ENROLLED_UNTIL, &other, false);
            show_instead(scene, Some(enrollment));
        }),
        ("ENROLLMENT_ENDS", |scene| {
            let tpm = scene.people[0].tpm.clone().expect("hardware");
            show_instead(scene, Some(tpm.enrolled(NOW.plus(LOCK - 1))));
        }),
        ("ENROLLMENT_REVOKED", |scene| {
            let list = revocation(1, scene.people[0].device.me().seal);
            scene.people[1].tell(Input::Revoked(list.into())).expect("a newer list");
        }),
    ];
    for (code, edit) in cases {
        let mut scene = scene(2);
        edit(&mut scene);
        scene.start(0, 1, 600).expect("an offer");
        scene.deliver();
        assert_eq!(scene.refusals(1), [code]);
        assert!(scene.people[0].device.outgoing().is_empty(), "{code}");
    }
}

/// Makes the payee, 1, anew, with a card of the payer, 0, that shows this enrollment.
fn show_instead(scene: &mut Scene, enrollment: Option<crate::seal::SealCertificate>) {
    let policy = scene.people[0].device.policies().values().next().cloned().expect("one");
    let mut payee = Person::sealed(2, ENROLLED_UNTIL);
    payee.tell(Input::Policy(policy)).expect("good");
    payee.tell(Input::AcceptPolicy(super::scene::open_policy())).expect("always");
    let mut shown = scene.people[0].clone();
    shown.enrollment = enrollment;
    let card = shown.card();
    payee.tell(Input::Contact(card)).expect("a card");
    scene.people[1] = payee;
}

#[test]
fn a_seal_that_was_never_enrolled_is_refused_and_its_card_says_so_later() {
    let mut scene = scene(2);
    show_instead(&mut scene, None);
    scene.pay(0, 1, 600);
    assert_eq!(scene.refusals(1), ["SLOT_SEAL"]);
    let card = scene.people[0].card();
    scene.people[1].tell(Input::Contact(card)).expect("the newer card");
    scene.pay(0, 1, 600);
    assert_eq!(tier(&scene.people[1]), Some(Tier::Sealed));
}

/// Before and after the payer signs, the same certificates are at hand: those that came with the offer.
#[test]
fn an_enrollment_that_came_with_an_offer_counts_for_the_payment_too() {
    for by_offer in [true, false] {
        let mut scene = scene(2);
        show_instead(&mut scene, None);
        let came = scene.people[0].enrollment.clone().expect("enrolled");
        let add = |offer: &mut Offer| {
            offer.evidence.enrollments = List::new(alloc::vec![came.clone()]).expect("one");
        };
        if by_offer {
            scene.start(0, 1, 600).expect("an offer");
        } else {
            let invoice = scene.invoice(1, 600);
            scene.pay_invoice(0, 1, &invoice);
        }
        let (_, mut message) = scene.people[0].out.pop_front().expect("a message");
        match &mut message {
            Message::Offer(offer) => add(offer),
            Message::Payment(payment) => add(&mut payment.offer),
            other => panic!("{other:?}"),
        }
        let from = scene.id(0);
        scene.people[1].hear(from, &message).expect("a contact");
        scene.deliver();
        assert_eq!(scene.refusals(1), Vec::<&str>::new(), "by offer: {by_offer}");
        assert_eq!(tier(&scene.people[1]), Some(Tier::Sealed), "by offer: {by_offer}");
        let pocket = scene.people[1].device.ledger().pockets().next().expect("a coin");
        assert_eq!(pocket.evidence.enrollments.to_vec(), [came], "kept for whoever is next");
    }
}

/// A payer with genuine hardware adds certificates that it signed itself, which end late, and as many
/// more as a history may have. A notary that was shown one of those would refuse until the lock ends.
#[test]
fn of_the_enrollments_that_a_payer_adds_only_what_counted_is_kept_and_shown_to_a_notary() {
    for by_offer in [true, false] {
        let mut scene = scene(2);
        let genuine = scene.people[0].enrollment.clone().expect("enrolled");
        let (tpm, own) = (scene.people[0].tpm.clone(), scene.people[0].key.clone());
        let tpm = tpm.expect("hardware");
        let junk = |i: u64| tpm.enrolled_by(ENROLLED_UNTIL.plus(1 + i), &own, false);
        let junk = List::new((0..63).map(junk).collect()).expect("as many as there may be");
        if by_offer {
            scene.start(0, 1, 600).expect("an offer");
        } else {
            let invoice = scene.invoice(1, 600);
            scene.pay_invoice(0, 1, &invoice);
        }
        let (_, mut message) = scene.people[0].out.pop_front().expect("a message");
        match &mut message {
            Message::Offer(offer) => offer.evidence.enrollments = junk,
            Message::Payment(payment) => payment.offer.evidence.enrollments = junk,
            other => panic!("{other:?}"),
        }
        let from = scene.id(0);
        scene.people[1].hear(from, &message).expect("a contact");
        scene.deliver();
        let payee = &scene.people[1].device;
        assert_eq!(tier(&scene.people[1]), Some(Tier::Sealed), "by offer: {by_offer}");
        let pocket = payee.ledger().pockets().next().expect("a coin");
        assert_eq!(*pocket.evidence.enrollments, *core::slice::from_ref(&genuine), "{by_offer}");
        let claims = pocket.evidence.claims(payee.policies());
        let shown = claims.last().and_then(|claims| claims.spends[0].enrollment.clone());
        assert_eq!(shown, Some(genuine), "by offer: {by_offer}");
        scene.pay(1, 0, 100);
        assert_eq!(scene.refusals(0), Vec::<&str>::new(), "and it can be paid on");
    }
}

/// Not even what was kept by an older version is shown to a notary, if it does not count.
#[test]
fn a_notary_is_asked_under_a_certificate_that_the_judge_takes() {
    let mut scene = scene(2);
    scene.pay(0, 1, 600);
    let payee = &scene.people[1].device;
    let pocket = payee.ledger().pockets().next().expect("a coin").clone();
    let (tpm, own) = (scene.people[0].tpm.clone(), &scene.people[0].key);
    let tpm = tpm.expect("hardware");
    let genuine = scene.people[0].enrollment.clone().expect("enrolled");
    let false_ones =
        [tpm.enrolled_by(ENROLLED_UNTIL.plus(1), own, false), tpm.enrolled(NOW.plus(1))];
    let with = |all: Vec<_>| Evidence {
        enrollments: List::new(all).expect("few"),
        ..pocket.evidence.clone()
    };
    let shown = |evidence: Evidence| {
        let claims = evidence.claims(payee.policies());
        claims.last().and_then(|claims| claims.spends[0].enrollment.clone())
    };
    assert_eq!(shown(with(false_ones.to_vec())), None);
    let all = false_ones.into_iter().chain([genuine.clone()]).collect();
    assert_eq!(shown(with(all)), Some(genuine));
}

#[test]
fn a_payer_whose_own_enrollment_does_not_count_does_not_sign() {
    let mut scene = scene(2);
    let list = revocation(1, scene.people[0].device.me().seal);
    scene.people[0].tell(Input::Revoked(list.into())).expect("a newer list");
    let refused = scene.start(0, 1, 600).expect_err("nobody would take it");
    assert_eq!(refused.code(), "ENROLLMENT_REVOKED");
}

#[test]
fn a_revocation_travels_with_meetings_and_a_notarys_word_outlives_it() {
    let mut scene = scene(3);
    let list = revocation(1, scene.people[0].device.me().seal);
    scene.people[1].tell(Input::Revoked(list.clone().into())).expect("a newer list");
    scene.meet(2, 1);
    assert_eq!(scene.people[2].device.revocations().len(), 1, "told by the one who answered");
    scene.meet(2, 0);
    assert_eq!(scene.people[0].device.revocations().len(), 1, "told by the one who began");
    scene.people[2].restart();
    assert_eq!(scene.people[2].device.revocations().len(), 1, "durable");
    for (list, code) in [
        (list, "ENROLLMENT_STALE"),
        (
            revocation_by(
                &SecretKey::new([0xbb; 32]).expect("a scalar"),
                2,
                scene.people[0].device.me().seal,
            ),
            "ENROLLMENT_ENROLLER",
        ),
    ] {
        let refused = scene.people[2].tell(Input::Revoked(list.into())).expect_err(code);
        assert_eq!(refused.code(), code);
    }
}

#[test]
fn of_too_many_enrollments_of_one_seal_the_one_that_ends_first_goes() {
    let mut scene = scene(2);
    let tpm = scene.people[0].tpm.clone().expect("hardware");
    let ends = |at| tpm.enrolled(ENROLLED_UNTIL.plus(at));
    for at in [3, 1, 4, 2] {
        scene.people[0].tell(Input::Enrolled(ends(at).into())).expect("its own");
    }
    scene.pay(0, 1, 250);
    let outgoing = scene.people[0].device.outgoing().values().next().cloned().expect("paid");
    let evidence = outgoing.payment.evidence_after(&outgoing.transaction).expect("short");
    let kept = scene.people[0].device.with_own_enrollments(evidence).enrollments.to_vec();
    assert_eq!(kept, [4, 3, 2, 1].map(ends));
}

#[test]
fn an_enrollment_of_another_seal_is_not_this_devices() {
    let mut scene = scene(2);
    let theirs = scene.people[1].enrollment.clone().expect("enrolled");
    let refused = scene.people[0].tell(Input::Enrolled(theirs.into())).expect_err("not its own");
    assert_eq!(refused.code(), "NOT_FOR_ME");
}

#[test]
fn a_payment_under_a_lock_that_its_payee_could_never_open_is_not_taken() {
    let stranger = SecretKey::new([0xcc; 32]).expect("a scalar").public();
    let seal = crate::seal::SealId::new(crate::id::Digest::new([1; 32]));
    for lost in [false, true] {
        for foreign_key in [false, true] {
            let mut scene = scene(2);
            let invoice = scene.invoice(1, 250);
            scene.pay_invoice(0, 1, &invoice);
            let (payee, message) = scene.people[0].out.pop_front().expect("a payment");
            let Message::Payment(mut payment) = message else { panic!("a payment") };
            let Predicate::Sealed(sealed) = invoice.accept.owner else { panic!("sealed") };
            payment.accept.owner = if foreign_key {
                Predicate::Signature(stranger.clone())
            } else {
                Predicate::Sealed(Sealed { slot: Slot { seal, ..sealed.slot }, ..sealed })
            };
            if lost {
                // A device that lost its memory does not know its terms, but its own key it does.
                scene.people[1].disk.retain(|key, _| key.first() != Some(&8));
                let disk = scene.people[1].disk.clone();
                scene.people[1].restore(disk);
            }
            let from = scene.id(0);
            scene.people[1].hear(from, &Message::Payment(payment)).expect("a contact");
            assert_eq!(scene.people[1].id(), payee);
            assert_eq!(scene.balances()[1], 0, "lost: {lost}, foreign key: {foreign_key}");
            // The payer signed for other terms, so what was altered is unlocked nowhere.
            let refused = scene.refusals(1);
            if foreign_key || !lost {
                assert_eq!(refused, ["TRADE_TERMS"], "lost: {lost}, foreign key: {foreign_key}");
            }
        }
    }
}

#[test]
fn what_waits_for_the_seal_in_a_backup_is_never_given_up() {
    let mut scene = scene(2);
    let invoice = scene.invoice(1, 250);
    // Dies once the intent is durable, before the seal is asked; a backup is made of that.
    scene.people[0].dies_in = Some(1);
    scene.pay_invoice(0, 1, &invoice);
    let backup = scene.people[0].disk.clone();
    let tx = *scene.people[0].device.outgoing().keys().next().expect("an intent");
    let payee = scene.id(1);
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    // It was signed; whether it arrived, the backup cannot say.
    scene.people[0].out.clear();
    scene.people[0].restore(backup);
    scene.people[0].tell(Input::GiveUp { contact: payee }).expect("a contact");
    scene.people[0].tell(Input::ConfirmRecovery(Basis::OwnersWord)).expect("his word");
    assert_eq!(*scene.people[0].device.mode(), Mode::Normal);
    let slots = alloc::vec![scene.people[0].device.burned().next().expect("doubtful").slot];
    scene.people[0].tell(Input::SlotsLost { tx: Some(tx), slots }).expect("always");
    let outgoing = scene.people[0].device.outgoing()[&tx].clone();
    assert_eq!(outgoing.state, OutgoingState::Intent, "nothing else is ever signed in its place");
    assert!(!scene.people[0].device.can_sign(&outgoing, NOW));
    scene.people.iter_mut().for_each(|person| person.now = NOW.plus(LOCK));
    assert!(scene.people[0].device.can_sign(&outgoing, NOW.plus(LOCK)));
    scene.people[0].tell(Input::Retry { payee }).expect("always possible");
    scene.deliver();
    assert_eq!(scene.people[1].balance(&scene.asset), 250);
    assert!(!scene.anyone_convicted());
}

#[test]
fn only_what_waits_for_proofs_is_given_up() {
    let mut scene = scene(2);
    scene.pay(0, 1, 250);
    let tx = *scene.people[0].device.outgoing().keys().next().expect("paid");
    let input = Input::SlotsLost { tx: Some(tx), slots: Vec::new() };
    scene.people[0].tell(input).expect("always");
    assert_eq!(scene.people[0].device.outgoing()[&tx].state, OutgoingState::Receipted);
    let unknown = Input::SlotsLost { tx: Some(TxId::new([9; 32])), slots: Vec::new() };
    assert_eq!(scene.people[0].tell(unknown).expect_err("unknown").code(), "NOT_WAITING");
}

/// Lets one side die at a point of a sealed payment, then both resume; says whether it was reached.
fn dies_at(who: usize, point: u32, lost: bool, by_offer: bool) -> bool {
    let mut scene = scene(2);
    scene.people[who].dies_in = Some(point);
    if by_offer {
        scene.start(0, 1, 250).expect("an offer");
    } else {
        let invoice = scene.invoice(1, 250);
        scene.pay_invoice(0, 1, &invoice);
    }
    scene.deliver();
    let reached = scene.people[who].restarts > 0;
    if lost {
        scene.people.iter_mut().for_each(|p| p.out.clear());
    }
    for (one, other) in [(0, 1), (1, 0)] {
        let payee = scene.id(other);
        scene.people[one].tell(Input::Retry { payee }).expect("always possible");
        scene.deliver();
    }
    let context = alloc::format!("{who} at {point}, lost: {lost}, by offer: {by_offer}");
    match scene.balances()[..] {
        [1000, 0] => assert!(scene.people[0].device.outgoing().is_empty(), "{context}"),
        [750, 250] => assert!(all_sealed(&scene.people[1]), "{context}"),
        ref other => panic!("{context}: {other:?}"),
    }
    scene.pay(0, 1, 100);
    assert!(all_sealed(&scene.people[1]), "{context}");
    assert!(!scene.anyone_convicted(), "{context}");
    reached
}

#[test]
fn a_sealed_payment_survives_a_crash_at_every_point_of_either_side() {
    for who in [0, 1] {
        for (lost, by_offer) in [(false, false), (false, true), (true, false), (true, true)] {
            let reached = (0..40).take_while(|point| dies_at(who, *point, lost, by_offer)).count();
            assert!((4..40).contains(&reached), "{who}: {reached} points");
        }
    }
}

#[test]
fn a_payee_whose_terms_are_sealed_takes_no_other_slot_of_its_own_for_agreed() {
    let mut scene = scene(2);
    let invoice = scene.invoice(1, 250);
    let nonce = invoice.accept.nonce;
    let terms: Terms = scene.people[1].device.terms()[&nonce].clone();
    assert_eq!(terms.owner, invoice.accept.owner);
    let Predicate::Sealed(sealed) = invoice.accept.owner.clone() else { panic!("sealed") };
    let slot = Slot { value: sealed.slot.value + 7, ..sealed.slot };
    let owner = Predicate::Sealed(Sealed { slot, ..sealed });
    let accept = Accept { owner, ..invoice.accept.clone() };
    let altered = crate::invoice::Invoice { accept, ..invoice };
    scene.pay_invoice(0, 1, &altered);
    scene.deliver();
    let held = |e: &Event| matches!(e, Event::Held { reason, .. } if reason.code == "TRADE_TERMS");
    assert!(scene.people[1].events.iter().any(held), "its value is kept, but it is not final");
    assert_eq!(
        scene.people[1].device.incoming().values().next().map(|i| i.amount),
        Some(Amount::new(250))
    );
}
