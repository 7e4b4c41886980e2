//! A revocation comes late: it undoes nothing that was accepted before.

use super::sealed;
use super::tpm::revocation;
use crate::device::Input;
use crate::tier::Tier;

#[test]
fn a_coin_that_was_accepted_before_a_revocation_stays_as_good_as_its_chip() {
    let mut scene = sealed::scene(2);
    scene.pay(0, 1, 250);
    let list = revocation(1, scene.people[0].device.me().seal);
    scene.people[1].tell(Input::Revoked(list.into())).expect("a newer list");
    scene.people[1].restart();
    let bob = &scene.people[1];
    let pocket = bob.device.ledger().pockets().find(|p| p.is_ready()).expect("a coin");
    let verified = bob.device.verify(&bob.world(), &pocket.evidence).expect("it still holds");
    let (id, _) = pocket.coin.as_ref().expect("a coin");
    assert_eq!(verified.get()[id].tier, Tier::Sealed);
    assert!(bob.device.unsettled().iter().any(|u| !u.claims.is_empty()), "it can be settled");
    // Whatever comes in after that does not count, by connection or by invoice: here the change.
    scene.start(0, 1, 100).expect("the payer has not heard of it");
    scene.deliver();
    assert_eq!(scene.refusals(1), ["UNLOCK_SLOT_PROOF"], "of the payment before it");
    let invoice = scene.invoice(1, 100);
    scene.pay_invoice(0, 1, &invoice);
    scene.deliver();
    assert_eq!(scene.refusals(1)[1..], ["UNLOCK_SLOT_PROOF"]);
    assert_eq!(scene.balances()[1], 250);
}
