//! Whom nothing can be encrypted to: refused wherever a card enters, and a record of before says so.

use super::scene::{Person, Scene, rebuild};
use crate::card::{Card, SESSION_KEY_BYTES, Signed};
use crate::cbor::{Blob, to_bytes};
use crate::device::{Change, Contact, Input};
use crate::hash::Tag;
use crate::invoice::Invoice;

/// This person's card with another session key, signed well.
fn card_with(person: &Person, session_key: &[u8]) -> Signed {
    let card = person.card().open_card().expect("a good card");
    let session_key = Blob::new(session_key.to_vec()).expect("short");
    Signed::card(&Card { session_key, ..card }, &person.key).expect("short")
}

/// One of another length, and one that is no ML-KEM key.
fn malformed() -> [alloc::vec::Vec<u8>; 3] {
    let mut unreduced = alloc::vec![0; SESSION_KEY_BYTES];
    unreduced[..2].fill(0xff);
    [alloc::vec![0; SESSION_KEY_BYTES - 1], alloc::vec::Vec::new(), unreduced]
}

fn refused(scene: &mut Scene, input: Input) -> &'static str {
    let before = scene.people[0].device.clone();
    let code = scene.people[0].tell(input).expect_err("it cannot be taken").code();
    assert_eq!(scene.people[0].device, before, "nothing has changed");
    code
}

#[test]
fn a_malformed_session_key_is_refused_wherever_a_card_enters() {
    let mut scene = Scene::new(2, 1000);
    let (bob, carol) = (scene.people[1].clone(), Person::new(9));
    for key in malformed() {
        let by_file = Input::Contact(card_with(&carol, &key));
        assert_eq!(refused(&mut scene, by_file), "SIGNED_SESSION_KEY");
        let by_hello = Input::Stranger(card_with(&carol, &key));
        assert_eq!(refused(&mut scene, by_hello), "SIGNED_SESSION_KEY");
        let newer = Input::Contact(card_with(&bob, &key));
        assert_eq!(refused(&mut scene, newer), "SIGNED_SESSION_KEY", "of a known contact");
        let invoice = Invoice { card: card_with(&bob, &key), ..scene.invoice(1, 5) };
        let payload = to_bytes(&invoice);
        let signature = bob.key.sign(&Signed::digest(Tag::Invoice, &payload));
        let signed = Signed::new(payload, signature).expect("short");
        assert_eq!(Invoice::open(&signed).err().map(|e| e.code()), Some("SIGNED_SESSION_KEY"));
    }
}

#[test]
fn a_record_of_before_loads_is_not_paid_and_is_mended_by_a_newer_card() {
    let mut scene = Scene::new(3, 1000);
    for key in malformed() {
        let known = scene.people[0].device.contacts()[&scene.id(1)].clone();
        let card = card_with(&scene.people[1], &key).into();
        let bad = Change::Contact(alloc::boxed::Box::new(Contact { card, ..known }));
        scene.people[0].store(core::slice::from_ref(&bad));
        scene.people[0].device.apply(bad);
        let alice = &scene.people[0];
        assert_eq!(rebuild(alice.device.me().clone(), &alice.disk), alice.device, "it loads");
        let (payee, asset, amount) = (scene.id(1), scene.asset, crate::amount::Amount::new(1));
        let offer = Input::Pay { payee, asset, amount };
        assert_eq!(refused(&mut scene, offer), "SIGNED_SESSION_KEY");
        let invoice = scene.invoice(1, 5).into();
        let pay = Input::PayInvoice { payee, invoice };
        assert_eq!(refused(&mut scene, pay), "SIGNED_SESSION_KEY", "nothing is intended");
        scene.pay(0, 2, 5);
        let good = scene.people[1].card();
        scene.people[0].tell(Input::Contact(good)).expect("a newer card of the same device");
        scene.pay(0, 1, 5);
    }
    assert_eq!(scene.balances(), [970, 15, 15]);
}
