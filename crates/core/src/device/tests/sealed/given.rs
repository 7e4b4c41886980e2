//! Locks of this device's hardware that it gave, and those that others write it.

use super::{mint_sealed, scene, tier};
use crate::cbor::List;
use crate::device::tests::scene::{NOW, Person, Scene};
use crate::device::{Event, Mode};
use crate::message::{Accept, Message};
use crate::predicate::tests::fake_proof;
use crate::predicate::{Predicate, Sealed, Unlock};
use crate::tier::Tier;
use crate::time::Time;

/// A payment of Alice's on an invoice of Bob's, paid by her patched wallet under another lock of his seal.
fn paid_under(scene: &mut Scene, until: Time, edit: impl FnOnce(&mut Sealed)) -> Message {
    let invoice = scene.invoice(1, 250);
    scene.pay_invoice(0, 1, &invoice);
    let (_, message) = scene.people[0].out.pop_front().expect("a payment");
    let Message::Payment(mut payment) = message else { panic!("a payment") };
    let Predicate::Sealed(mut sealed) = invoice.accept.owner else { panic!("sealed") };
    sealed.until = until;
    edit(&mut sealed);
    payment.accept =
        Accept { nonce: crate::id::Nonce::new([0x77; 16]), owner: Predicate::Sealed(sealed) };
    let outgoing = scene.people[0].device.outgoing().values().next().cloned().expect("one");
    let (offer, accept, bob) = (&payment.offer, &payment.accept, scene.id(1));
    let network = crate::id::NetworkId::LOCAL;
    let tx = crate::trade::transaction(offer, accept, &outgoing.sources, &bob, network);
    let (id, root) = tx.map(|tx| (tx.id(), tx.step.root)).expect("like any other");
    let unlock = |source: &crate::trade::Source| {
        let digest = crate::predicate::spend_digest(&source.id, &id);
        let Predicate::Sealed(sealed) = &source.coin.owner else { panic!("sealed") };
        Unlock::Sealed(scene.people[0].key.sign(&digest), fake_proof(&sealed.slot, &id))
    };
    let unlocks = List::truncated(outgoing.sources.iter().map(unlock).collect());
    payment.commit = crate::message::Commit { root, unlocks };
    Message::Payment(payment)
}

fn held(person: &Person) -> usize {
    person.events.iter().filter(|event| matches!(event, Event::Held { .. })).count()
}

/// What a stranger writes about this device's counters is not believed.
#[test]
fn a_lock_that_this_device_did_not_give_is_held_and_its_slot_is_never_left() {
    let until = NOW.plus(1000);
    let edits: [fn(&mut Sealed); 2] =
        [|sealed| sealed.slot.value = 1 << 40, |sealed| sealed.slot.counter = 3];
    for edit in edits {
        let mut scene = scene(3);
        let message = paid_under(&mut scene, until, edit);
        let alice = scene.id(0);
        scene.people[1].hear(alice, &message).expect("heard");
        scene.deliver();
        assert_eq!((held(&scene.people[1]), scene.balances()[1]), (1, 250));
        assert_eq!(scene.people[1].device.taken(NOW).len(), 1, "the invoice's own counter");
        for _ in 0..2 {
            let refused = scene.start(1, 2, 250).expect_err("locked, whatever the hardware says");
            assert_eq!(refused.code(), "UNLOCK_LOCKED");
            scene.people[1].restart();
        }
        mint_sealed(&mut scene, 1, 9, 100);
        scene.pay(1, 2, 100);
        assert_eq!(tier(&scene.people[2]), Some(Tier::Sealed), "what is its own goes on");
        scene.people.iter_mut().for_each(|person| person.now = until);
        scene.pay(1, 2, 250);
        assert_eq!(scene.balances()[1..], [0, 350], "its key moves it when the lock has ended");
        assert_eq!(*scene.people[1].device.mode(), Mode::Normal);
    }
}

#[test]
fn two_payers_of_one_sealed_invoice_do_not_share_its_slot() {
    let mut scene = scene(3);
    mint_sealed(&mut scene, 2, 9, 1000);
    let invoice = scene.invoice(1, 250);
    let Predicate::Sealed(lock) = invoice.accept.owner.clone() else { panic!("sealed") };
    for payer in [0, 2] {
        scene.pay_invoice(payer, 1, &invoice);
        scene.deliver();
    }
    assert_eq!((held(&scene.people[1]), scene.balances()[1]), (1, 500));
    scene.pay(1, 0, 250);
    assert_eq!(tier(&scene.people[0]), Some(Tier::Sealed), "the first has the counter");
    assert_eq!(scene.start(1, 0, 250).expect_err("locked").code(), "UNLOCK_LOCKED");
    scene.people.iter_mut().for_each(|person| person.now = lock.until);
    scene.pay(1, 0, 250);
    assert_eq!(scene.balances()[1], 0);
    assert_eq!(*scene.people[1].device.mode(), Mode::Normal);
}
