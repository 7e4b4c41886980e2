//! Somebody dies at each point of what is done with value that is set aside.

use super::{agree, certified, ready, release, reserve, reserved};
use crate::device::tests::scene::Scene;
use crate::device::tests::settle::settle;
use crate::device::{Event, Input};

/// What is done while somebody dies.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Reserve,
    Pay,
    PayInvoice,
    Release,
}

fn dies_at(deed: Deed, who: usize, point: u32, lost: bool) -> bool {
    let mut scene = if matches!(deed, Deed::Reserve) { certified(2) } else { reserved(2, 400) };
    let invoice = matches!(deed, Deed::PayInvoice).then(|| scene.invoice(1, 150));
    scene.people[who].dies_in = Some(point);
    match (deed, invoice) {
        (Deed::Reserve, _) => reserve(&mut scene, 400).expect("set aside"),
        (Deed::Pay, _) => scene.start(0, 1, 150).expect("an offer"),
        (Deed::Release, _) => release(&mut scene).expect("asked"),
        (Deed::PayInvoice, invoice) => scene.pay_invoice(0, 1, &invoice.expect("made")),
    }
    scene.deliver();
    if matches!(deed, Deed::Release) && scene.people[1].restarts == 0 {
        let asked = |e: &Event| matches!(e, Event::ReleaseAsked { .. });
        if scene.people[1].events.iter().any(asked) {
            agree(&mut scene);
        }
    }
    let reached = scene.people[who].restarts > 0;
    scene.people[who].dies_in = None;
    if lost {
        scene.people.iter_mut().for_each(|p| p.out.clear());
    }
    scene.deliver();
    let context = alloc::format!("{deed:?}, {who} at {point}, lost: {lost}");
    resume(&mut scene, deed);
    assert!(ready(&scene.people[0]), "{context}: all of it is complete");
    let sum: u64 = scene.balances().iter().sum();
    assert_eq!(sum, 1000, "{context}");
    assert!(matches!(scene.balances()[1], 0 | 150), "{context}");
    settle(&mut scene.people[0]);
    scene.pay(0, 1, 850);
    assert!(matches!(scene.balances()[..], [0, 1000] | [150, 850]), "{context}: life goes on");
    assert!(!scene.anyone_convicted(), "{context}");
    reached
}

fn resume(scene: &mut Scene, deed: Deed) {
    let (me, payee) = (scene.id(0), scene.id(1));
    for payee in [me, payee] {
        scene.people[0].tell(Input::Retry { payee }).expect("always possible");
        scene.deliver();
    }
    if matches!(deed, Deed::Release) && release(scene).is_ok() {
        scene.deliver();
        if !ready(&scene.people[0]) {
            agree(scene);
            scene.deliver();
        }
    }
}

#[test]
fn setting_aside_paying_from_it_and_taking_it_back_survive_a_crash_at_every_point() {
    for deed in [Deed::Reserve, Deed::Pay, Deed::PayInvoice, Deed::Release] {
        for who in [0, 1] {
            for lost in [false, true] {
                let reached = (0..40).take_while(|point| dies_at(deed, who, *point, lost)).count();
                let least = if matches!((deed, who), (Deed::Reserve, 1)) { 0 } else { 3 };
                assert!((least..40).contains(&reached), "{deed:?}, {who}: {reached} points");
            }
        }
    }
}
