//! What a coin's loss is excused by, and by nothing else.

use tally_agent::Input;
use tally_sim::account::{Book, Forgotten};
use tally_sim::check::Violation;
use tally_testkit::Scene;

/// The first person has 1000 units, makes a backup, pays the second by a code that never arrives, and the
/// third with the change.
fn paid_by_a_lost_code() -> (Scene, Book, tally_testkit::Backup) {
    let mut scene = Scene::new(3, 1000);
    let mut book = Book::default();
    book.mints(&scene.people);
    assert_eq!(book.minted(), 1000);
    let backup = scene.people[0].back_up();
    let invoice = scene.invoice(1, 453).expect("an invoice");
    scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment");
    scene.pay(0, 2, 200).expect("enough");
    book.signs(scene.people[0].device());
    (scene, book, backup)
}

fn all_meet(scene: &mut Scene) {
    for (one, other) in [(0, 1), (0, 2), (1, 2), (0, 1), (0, 2)] {
        scene.meet(one, other).expect("contacts");
    }
}

#[test]
fn a_payment_that_its_payer_forgot_and_its_payee_never_got_is_forgotten_to_the_unit() {
    let (mut scene, mut book, backup) = paid_by_a_lost_code();
    let now = scene.now;
    scene.people[0].restore(now, &backup, false);
    book.restores(scene.people[0].device());
    all_meet(&mut scene);
    scene.recover(0, false).expect("all were met");
    assert_eq!(scene.balances(), [1000 - 453 - 200, 0, 200]);
    let forgotten = book.account(&scene.people, &scene.asset);
    assert_eq!(forgotten, Ok(Forgotten { payments: 453, steps: 0 }));
}

#[test]
fn a_payment_that_somebody_has_excuses_nothing() {
    let (scene, book, _) = paid_by_a_lost_code();
    // The payer has it still, so it is on its way, and is not in a wallet.
    assert_eq!(book.account(&scene.people, &scene.asset), Err(Violation::Gone(453)));
    let (mut scene, book, _) = paid_by_a_lost_code();
    all_meet(&mut scene);
    assert_eq!(book.account(&scene.people, &scene.asset), Ok(Forgotten::default()));
}

#[test]
fn what_nobody_came_back_from_a_backup_for_is_not_excused() {
    let (mut scene, book, backup) = paid_by_a_lost_code();
    let now = scene.now;
    scene.people[0].restore(now, &backup, false);
    // The book does not know of the restore.
    all_meet(&mut scene);
    assert_eq!(book.account(&scene.people, &scene.asset), Err(Violation::Gone(453)));
}

#[test]
fn money_that_was_not_minted_is_noticed() {
    let (mut scene, mut book, _) = paid_by_a_lost_code();
    all_meet(&mut scene);
    scene.mint_to(1, 5);
    book.signs(scene.people[1].device());
    let made = Violation::Total { there: 1005, minted: 1000 };
    assert_eq!(book.account(&scene.people, &scene.asset), Err(made));
}
