//! A card that was made anew reaches those who know the older one.

use tally_agent::Input;
use tally_testkit::Scene;

#[test]
fn a_renewed_card_reaches_contacts_with_the_next_hello() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).expect("paid");
    let renewed = scene.people[0].card_made_at(scene.now);
    scene.give(0, Input::Renew { card: Box::new(renewed.clone()) }).expect("its own");
    scene.pay(0, 1, 10).expect("paid");
    let known = &scene.people[1].device().contacts()[&scene.id(0)];
    assert_eq!(*known.card, renewed);
}

#[test]
fn a_renewed_card_reaches_contacts_with_an_invoice() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).expect("paid");
    let renewed = scene.people[1].card_made_at(scene.now);
    scene.give(1, Input::Renew { card: Box::new(renewed.clone()) }).expect("its own");
    let invoice = scene.invoice(1, 10).expect("asked");
    scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("paid");
    let known = &scene.people[0].device().contacts()[&scene.id(1)];
    assert_eq!(*known.card, renewed);
}
