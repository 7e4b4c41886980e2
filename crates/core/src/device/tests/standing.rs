//! The root is computed anew from the pockets, and compared with what was signed.

use super::own::certified;
use super::scene::{NOW, Scene};
use super::settle::settle;
use crate::amount::Amount;
use crate::device::{Change, Incoming, Input, Pocket, Standing};

fn standing(scene: &mut Scene) -> Standing {
    scene.people[0].restart();
    scene.people[0].device.standing()
}

/// Alice, who was paid before and after her latest step.
fn alice() -> Scene {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 300);
    scene.pay(1, 0, 50);
    scene.pay(0, 1, 100);
    scene.pay(1, 0, 20);
    scene.mint_to(0, 7, 5);
    scene
}

#[test]
fn the_pockets_of_the_latest_step_give_the_root_that_it_signed() {
    let mut scene = Scene::new(2, 1000);
    assert_eq!(standing(&mut scene), Standing::Unsigned);
    let mut scene = alice();
    let last = scene.people[0].device.outgoing().values().max_by_key(|o| o.transaction.step.seq);
    let root = last.expect("a payment").transaction.step.root;
    assert_eq!(standing(&mut scene), Standing::Signed(root));
    assert_ne!(scene.people[0].device.ledger().root(), root, "more has come in since");
}

#[test]
fn a_pocket_that_was_altered_or_lost_differs_from_what_was_signed() {
    let mut scene = alice();
    let pockets: alloc::vec::Vec<Pocket> =
        scene.people[0].device.ledger().pockets().cloned().collect();
    let incoming = scene.people[0].device.incoming().clone();
    let came = |pocket: &Pocket| incoming.values().find(|i| Incoming::coin(&i.tx) == pocket.id);
    let old = pockets.iter().filter(|pocket| came(pocket).is_some_and(|i| i.after < 2));
    for pocket in old.clone().filter(|pocket| pocket.coin.is_some()) {
        let mut altered = pocket.clone();
        if let Some((_, coin)) = &mut altered.coin {
            coin.amount = Amount::new(coin.amount.units() + 1);
        }
        let before = scene.people[0].disk.clone();
        scene.people[0].store(&[Change::Pocket(altered.into())]);
        assert_eq!(standing(&mut scene), Standing::Differs);
        scene.people[0].disk = before;
    }
    for pocket in old {
        let before = scene.people[0].disk.clone();
        scene.people[0].disk.remove(&Change::Pocket(pocket.clone().into()).key());
        assert_eq!(standing(&mut scene), Standing::Differs);
        scene.people[0].disk = before;
    }
    let head = scene.people[1].device.head();
    scene.people[0].store(&[Change::Step { seq: 2, head }]);
    assert_eq!(standing(&mut scene), Standing::Differs, "another head");
}

#[test]
fn a_step_that_was_learned_from_contacts_is_not_compared_and_the_next_one_is() {
    let mut scene = Scene::new(2, 1000);
    let backup = scene.people[0].disk.clone();
    scene.pay(0, 1, 300);
    scene.people[0].restore(backup);
    scene.meet(0, 1);
    assert_eq!(standing(&mut scene), Standing::Learned);
    let confirm = Input::ConfirmRecovery(crate::device::Basis::Contacts);
    scene.people[0].tell(confirm).expect("all were met");
    scene.pay(0, 1, 10);
    assert!(matches!(standing(&mut scene), Standing::Signed(_)));
}

#[test]
fn what_a_device_paid_itself_is_no_flaw_before_and_after_it_is_certified() {
    let steps: [fn(&mut Scene); 3] = [
        |scene| {
            let asset = scene.asset;
            scene.mint_to(0, 9, 5);
            settle(&mut scene.people[0]);
            scene.people[0].tell(Input::Refresh { asset }).expect("two coins");
        },
        |scene| {
            let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(5));
            let until = NOW.plus(1000);
            scene.people[0].tell(Input::Reserve { payee, asset, amount, until }).expect("aside");
        },
        |scene| {
            let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(5));
            let until = NOW.plus(1000);
            scene.people[0].tell(Input::Reserve { payee, asset, amount, until }).expect("aside");
            settle(&mut scene.people[0]);
            scene.people[0].tell(Input::Release { payee, asset }).expect("asked");
        },
    ];
    for step in steps {
        let mut scene = certified(2);
        step(&mut scene);
        let found = standing(&mut scene);
        assert!(matches!(found, Standing::Signed(_)), "{found:?}");
        // A release that nobody consented to is certified once the lock has ended.
        scene.people[0].now = NOW.plus(1000);
        settle(&mut scene.people[0]);
        let found = standing(&mut scene);
        assert!(matches!(found, Standing::Signed(_)), "{found:?}");
    }
}
