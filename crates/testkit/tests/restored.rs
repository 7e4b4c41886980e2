//! What a person who came back from a backup can do once everybody was met.

use tally_agent::{Done, Input};
use tally_testkit::Scene;

/// Nobody but a third person, who holds the change, can tell of the payment: its payee never got it.
#[test]
fn a_payment_that_only_others_tell_of_does_not_end_what_its_payee_is_paid() {
    for first in [1, 2] {
        let mut scene = Scene::new(3, 1000);
        let backup = scene.people[0].back_up();
        let invoice = scene.invoice(1, 40).unwrap();
        scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
        scene.pay(0, 2, 38).unwrap();
        let now = scene.now;
        scene.people[0].restore(now, &backup, false);
        for _ in 0..2 {
            scene.meet(0, first).unwrap();
            scene.meet(0, 3 - first).unwrap();
        }
        scene.recover(0, false).unwrap();
        assert_eq!(scene.balances(), [922, 0, 38], "the payment was made, and is not done again");
        assert!(matches!(scene.pay(0, 1, 900), Ok(Done::Paid(_))), "{first} was met first");
        scene.pay(1, 2, 900).unwrap();
        scene.pay(2, 0, 938).unwrap();
    }
}
