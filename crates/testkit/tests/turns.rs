//! What a turn writes, when its effects leave, and which answers count.

use tally_agent::{AgentError, Goal, Input, OrderId, Way};
use tally_core::amount::Amount;
use tally_core::device::{self, Event, Mode, OutgoingState};
use tally_core::id::{Digest, Head, TxId};
use tally_testkit::{DiskError, Ended, Person, Scene};

/// How many batches payer and payee write while something happens.
fn writes(scene: &mut Scene, happens: impl FnOnce(&mut Scene)) -> (usize, usize) {
    let count = |scene: &Scene| (scene.people[0].disk.writes, scene.people[1].disk.writes);
    let before = count(scene);
    happens(scene);
    let after = count(scene);
    (after.0 - before.0, after.1 - before.1)
}

fn pays_live(scene: &mut Scene) {
    scene.pay(0, 1, 10).expect("a payment");
}

fn pays_by_code(scene: &mut Scene) {
    let invoice = scene.invoice(1, 10).expect("an invoice");
    let paid = scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment").files();
    let file = |bytes: &Vec<u8>| Input::File { bytes: bytes.clone(), agree: false };
    let receipt = scene.give(1, file(&paid[0])).expect("a receipt").files();
    let given = scene.give(0, file(&receipt[0])).expect("taken");
    assert!(matches!(given.shown[..], [Event::Receipted { .. }]));
}

#[test]
fn a_payment_is_one_write_of_its_payer_and_one_of_its_payee_beside_terms_and_receipt() {
    for (inside, first, then) in [(true, (3, 2), (2, 2)), (false, (4, 2), (3, 2))] {
        let mut scene = Scene::new(2, 1000);
        scene.people.iter_mut().for_each(|person| person.signs_inside = inside);
        // Hello; step and signatures; receipt. Terms; payment.
        assert_eq!(writes(&mut scene, pays_live), first, "inside: {inside}");
        assert_eq!(writes(&mut scene, pays_live), then, "inside: {inside}");
    }
}

#[test]
fn a_payment_by_code_writes_no_more_than_over_a_connection() {
    for (inside, first, then) in [(true, (2, 2), (2, 2)), (false, (4, 2), (3, 2))] {
        let mut scene = Scene::new(2, 1000);
        scene.people.iter_mut().for_each(|person| person.signs_inside = inside);
        assert_eq!(writes(&mut scene, pays_by_code), first, "inside: {inside}");
        assert_eq!(writes(&mut scene, pays_by_code), then, "inside: {inside}");
    }
}

#[test]
fn nothing_leaves_that_the_journal_contradicts() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).unwrap();
    let invoice = scene.invoice(1, 10).unwrap();
    // Somebody else has written another step meanwhile.
    let elsewhere = scene.people[0].journal.map(|(seq, _)| (seq + 1, Head::new([9; 32])));
    scene.people[0].journal = elsewhere;
    let given = scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
    assert!(given.files().is_empty(), "no packet");
    assert!(
        !given.shown.iter().any(|event| matches!(event, Event::Paid { .. })),
        "{:?}",
        given.shown
    );
    assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly);
}

#[test]
fn a_step_that_the_journal_contradicts_leaves_with_no_later_connection() {
    for (inside, restarts) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut scene = Scene::new(2, 1000);
        scene.people[0].signs_inside = inside;
        scene.pay(0, 1, 10).unwrap();
        let invoice = scene.invoice(1, 10).unwrap();
        let elsewhere = scene.people[0].journal.map(|(seq, _)| (seq + 1, Head::new([9; 32])));
        scene.people[0].journal = elsewhere;
        scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
        if restarts {
            scene.restart(0);
        }
        let payee = scene.id(1);
        // Whatever these come to, nothing of the step is in them.
        let _ = scene.connect(0, 1, Goal::Resend { payee });
        let _ = scene.meet(0, 1);
        assert_eq!(scene.people[1].device().incoming().len(), 1, "{inside} {restarts}");
    }
}

#[test]
fn a_payment_that_the_journal_contradicts_is_not_said_to_be_made() {
    for inside in [true, false] {
        let mut scene = Scene::new(2, 1000);
        scene.people[0].signs_inside = inside;
        scene.pay(0, 1, 10).unwrap();
        let elsewhere = scene.people[0].journal.map(|(seq, _)| (seq + 1, Head::new([9; 32])));
        scene.people[0].journal = elsewhere;
        // A key elsewhere has signed nothing, so that its connection has nothing to say of it.
        let why = if inside { AgentError::SetBack } else { AgentError::Closed };
        assert_eq!(scene.pay(0, 1, 10), Err(Ended::Refused(why)), "{inside}");
    }
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).unwrap();
    let invoice = scene.invoice(1, 10).unwrap();
    scene.people[0].journal = Some((2, Head::new([9; 32])));
    let given = scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
    assert_eq!(given.over, [(Way::File, Err(AgentError::SetBack))], "by code, too");
}

#[test]
fn a_closed_connection_says_nothing_of_a_payment_that_the_journal_contradicts() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).unwrap();
    scene.people[0].journal_is_here = false;
    let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(10));
    let (conn, there) = (scene.people[0].next_conn(), scene.people[1].next_conn());
    let goal = Goal::Pay { payee, asset, amount };
    let offered = scene.give(0, Input::Opened { conn, goal }).unwrap().on(conn);
    scene.give(1, Input::Opened { conn: there, goal: Goal::Serve }).unwrap();
    for bytes in offered {
        let answered = scene.give(1, Input::Packet { conn: there, bytes }).unwrap().on(there);
        for bytes in answered {
            assert!(scene.give(0, Input::Packet { conn, bytes }).unwrap().on(conn).is_empty());
        }
    }
    let closed = scene.give(0, Input::Closed { conn, why: None }).unwrap();
    assert!(closed.over.is_empty(), "it is not said yet that it is made");
    (scene.people[0].journal_is_here, scene.people[0].journal) =
        (true, Some((2, Head::new([9; 32]))));
    let given = scene.give(0, Input::Remind).unwrap();
    assert_eq!(given.over, [(Way::Conn(conn), Err(AgentError::SetBack))]);
    assert!(!given.shown.iter().any(|event| matches!(event, Event::Paid { .. })));
}

#[test]
fn what_waits_for_the_journal_has_a_limit_and_the_network_is_no_way_around_it() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).unwrap();
    scene.people[0].journal_is_here = false;
    let invoice = scene.invoice(1, 10).unwrap();
    scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
    let last = scene.people[0].device().seq();
    let mut steps = scene.people[0].device().outgoing().values();
    let waits = steps.find(|o| o.transaction.step.seq == last).expect("the last").tx;
    scene.settle(0).unwrap();
    assert_eq!(scene.people[0].device().settled_at(&waits), None);
    let contact = scene.id(1);
    let meets = |scene: &mut Scene| {
        let conn = scene.people[0].next_conn();
        scene.give(0, Input::Opened { conn, goal: Goal::Meet { contact } })?;
        Ok::<_, Ended>(conn)
    };
    // What waits for a connection that is closed waits no more.
    for _ in 0..2000 {
        let conn = meets(&mut scene).unwrap();
        scene.give(0, Input::Closed { conn, why: None }).unwrap();
    }
    let most = (0..2000).take_while(|_| meets(&mut scene).is_ok()).count();
    assert!((500..1024).contains(&most), "{most}: before the connections run out");
    assert_eq!(meets(&mut scene), Err(Ended::Refused(AgentError::Full)));
    scene.people[0].journal_is_here = true;
    let given = scene.give(0, Input::Remind).unwrap();
    assert_eq!(given.files().len(), 1, "the payment leaves");
    scene.settle(0).unwrap();
    assert!(scene.people[0].device().settled_at(&waits).is_some());
}

#[test]
fn an_answer_that_is_not_taken_holds_up_no_other() {
    let mut scene = Scene::with(vec![Person::sealed(1), Person::new(2), Person::new(3)], 0);
    scene.mint_to(1, 2000);
    scene.pay(1, 0, 1000).unwrap();
    scene.pay(1, 0, 1000).unwrap();
    for payee in [1, 2] {
        let invoice = scene.invoice(payee, 900).unwrap();
        // Nobody waits for that: the proof is still to come.
        scene.people[0].instead_of_a_proof = Some(Input::Counter(None));
        scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
    }
    let payer = &mut scene.people[0];
    assert_eq!(payer.device().pending().count(), 2);
    payer.instead_of_a_proof = Some(Input::File { bytes: vec![0], agree: false });
    assert!(matches!(scene.give(0, Input::Remind), Err(Ended::Refused(AgentError::Peer(_)))));
    assert_eq!(scene.people[0].device().pending().count(), 1, "the other payment is made");
    scene.give(0, Input::Remind).unwrap();
    assert_eq!(scene.people[0].device().pending().count(), 0);
}

/// The records of two processes are taken in turn, the journal beside them is one.
#[test]
fn a_step_whose_journal_went_another_way_convicts_nobody() {
    for inside in [true, false] {
        let mut scene = Scene::new(3, 1000);
        scene.people[0].signs_inside = inside;
        scene.pay(0, 1, 10).unwrap();
        let older = scene.people[0].disk.clone();
        let invoice = scene.invoice(1, 10).unwrap();
        // Power fails between the records and the journal.
        scene.people[0].journal_is_here = false;
        scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
        let newer = scene.people[0].disk.clone();
        scene.people[0].journal_is_here = true;
        let go_on_with = |scene: &mut Scene, mut disk: tally_testkit::Disk| {
            disk.writes = disk.writes.max(scene.people[0].disk.writes);
            scene.people[0].disk = disk;
            scene.restart(0);
        };
        go_on_with(&mut scene, older);
        scene.pay(0, 2, 500).unwrap();
        go_on_with(&mut scene, newer);
        let _ = (scene.meet(0, 1), scene.meet(1, 2));
        assert!(!scene.people[0].is_normal());
        let proofs = |person: usize| scene.people[person].device().forks().len();
        assert_eq!((proofs(1), proofs(2)), (0, 0), "{inside}");
    }
}

/// Alice has paid Bob, and has made a second payment whose packet is made; gives the journal before it.
fn second_payment(inside: bool) -> (Scene, Option<(u64, Head)>) {
    let mut scene = Scene::new(2, 1000);
    scene.people[0].signs_inside = inside;
    scene.pay(0, 1, 10).expect("a payment");
    let (before, invoice) = (scene.people[0].journal, scene.invoice(1, 10).expect("an invoice"));
    let given = scene.give(0, Input::PayInvoice(Box::new(invoice))).expect("a payment");
    assert_eq!(given.files().len(), 1);
    (scene, before)
}

#[test]
fn a_crash_between_the_records_and_the_journal_sets_nobody_back() {
    let (mut scene, before) = second_payment(true);
    let (now, payee, after) = (scene.now, scene.id(1), scene.people[0].journal);
    scene.people[0].journal = before;
    scene.people[0].journal_is_here = false;
    scene.restart(0);
    assert!(scene.people[0].is_normal());
    let resent = scene.give(0, Input::Resend { payee }).unwrap();
    assert!(resent.packets.is_empty(), "nothing leaves before the journal knows the step");
    scene.people[0].journal_is_here = true;
    let told = scene.people[0].give(now, Input::Remind).unwrap();
    assert_eq!(scene.people[0].journal, after, "the journal was told again");
    assert_eq!(told.files().len(), 1, "what was held back");
    scene.connect(0, 1, Goal::Resend { payee }).unwrap();
    assert_eq!(scene.balances(), [980, 20]);
}

#[test]
fn a_journal_alone_that_is_behind_what_was_written_after_it_is_noticed() {
    type After = fn(&mut Scene);
    let receipted: After = |scene| {
        let payee = scene.id(1);
        scene.connect(0, 1, Goal::Resend { payee }).unwrap();
    };
    let was_minted: After = |scene| scene.mint_to(0, 5);
    let met_another: After = |scene| {
        let card = Person::new(50).card();
        scene.give(0, Input::Wish(vec![device::Input::Contact(card)])).unwrap();
    };
    let nothing: After = |_| {};
    // Signatures of a key elsewhere are written after the journal's answer.
    let cases = [(true, receipted), (true, was_minted), (true, met_another), (false, nothing)];
    for (case, (inside, after)) in cases.into_iter().enumerate() {
        let (mut scene, before) = second_payment(inside);
        after(&mut scene);
        scene.restart(0);
        assert!(scene.people[0].is_normal(), "{case}: the journal is level");
        scene.people[0].journal = before;
        scene.restart(0);
        assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly, "{case}");
    }
}

#[test]
fn records_alone_that_are_behind_the_journal_are_noticed() {
    for inside in [true, false] {
        let mut scene = Scene::new(2, 1000);
        scene.people[0].signs_inside = inside;
        let mut disks = Vec::new();
        for by_code in [false, true, true, false] {
            disks.push(scene.people[0].disk.clone());
            if by_code { pays_by_code(&mut scene) } else { pays_live(&mut scene) }
        }
        let (journal, writes) = (scene.people[0].journal, scene.people[0].disk.writes);
        for (at, mut disk) in disks.into_iter().enumerate() {
            // The count of writes outside the disk is set back as well, so that the journal is alone.
            disk.writes = writes;
            scene.people[0].disk = disk;
            scene.people[0].journal = journal;
            scene.restart(0);
            assert_eq!(*scene.people[0].device().mode(), Mode::ReceiveOnly, "before payment {at}");
        }
    }
}

#[test]
fn a_step_above_one_that_waits_is_not_signed_before_the_journal_knows_both() {
    let mut scene = Scene::new(2, 1000);
    // A second coin, so that the second payment does not wait for what the first gives back.
    scene.mint_to(0, 1000);
    scene.people[0].journal_is_here = false;
    scene.people[0].signs_inside = false;
    for units in [20, 30] {
        let invoice = scene.invoice(1, units).unwrap();
        let given = scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
        assert!(given.files().is_empty(), "the journal is away");
        scene.people[0].signs_inside = true;
    }
    let device = scene.people[0].device();
    assert_eq!(device.pending().count(), 2, "neither is signed");
    scene.people[0].journal_is_here = true;
    scene.restart(0);
    assert!(scene.people[0].is_normal());
    scene.meet(0, 1).unwrap();
    assert_eq!(scene.balances(), [1950, 50]);
}

#[test]
fn a_journal_that_misses_one_step_takes_the_next() {
    let mut scene = Scene::new(2, 1000);
    scene.people[0].journal_is_here = false;
    for units in [20, 30] {
        let invoice = scene.invoice(1, units).unwrap();
        scene.give(0, Input::PayInvoice(Box::new(invoice))).unwrap();
        scene.people[0].journal_is_here = true;
    }
    assert!(scene.people[0].is_normal());
    let now = scene.now;
    scene.people[0].give(now, Input::Remind).unwrap();
    scene.meet(0, 1).unwrap();
    assert_eq!(scene.balances(), [950, 50]);
}

#[test]
fn whoever_lost_the_race_for_the_records_does_nothing_more() {
    for stale in [false, true] {
        let mut scene = Scene::new(2, 1000);
        scene.pay(0, 1, 10).unwrap();
        let invoice = scene.invoice(1, 20).unwrap();
        scene.give(0, Input::PayInvoice(Box::new(invoice.clone()))).unwrap();
        let mut beside = scene.people[0].beside();
        if stale {
            scene.mint_to(0, 5);
        }
        let (now, payee) = (scene.now, scene.id(1));
        let moved = Some(Ended::Disk(DiskError::Moved)).filter(|_| stale);
        let journal = beside.journal;
        // Neither of these writes anything.
        assert_eq!(beside.give(now, Input::Remind).err(), moved);
        assert_eq!(beside.journal, journal, "no step was told");
        let mut beside = if stale { stale_again(&mut scene) } else { beside };
        let conn = beside.next_conn();
        let opened = beside.give(now, Input::Opened { conn, goal: Goal::Serve });
        assert_eq!(opened.err(), moved);
        let mut beside = if stale { stale_again(&mut scene) } else { beside };
        let resent = beside.give(now, Input::Resend { payee });
        assert_eq!(resent.is_err(), stale, "nothing is sent");
    }
}

fn stale_again(scene: &mut Scene) -> Person {
    let beside = scene.people[0].beside();
    scene.mint_to(0, 1);
    beside
}

#[test]
fn an_answer_that_nobody_waits_for_is_dropped() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).unwrap();
    let tx = *scene.people[1].device().incoming().keys().next().unwrap();
    let signature = scene.people[1].key().sign(&Digest::new([1; 32]));
    let before = (scene.people[1].disk.writes, scene.people[1].memory());
    let orders = [
        OrderId::Receipt(tx),
        OrderId::Consent(tx),
        OrderId::Spend(tx),
        OrderId::Hello(scene.id(0), Digest::new([1; 32])),
    ];
    for order in orders {
        let signed = Input::Signed { order, signatures: vec![signature.clone()] };
        let given = scene.give(1, signed).unwrap();
        assert!(given.packets.is_empty() && given.shown.is_empty(), "{order:?}");
    }
    for fits in [true, false] {
        scene.give(1, Input::Observed { tx: TxId::new([3; 32]), fits }).unwrap();
    }
    assert_eq!((scene.people[1].disk.writes, scene.people[1].memory()), before);
}

#[test]
fn the_signature_on_an_earlier_hello_is_not_put_on_a_later_one() {
    let mut scene = Scene::new(2, 1000);
    scene.people[0].key_is_here = false;
    let conn = scene.people[0].next_conn();
    let goal = Goal::Pay { payee: scene.id(1), asset: scene.asset, amount: Amount::new(5) };
    scene.give(0, Input::Opened { conn, goal }).unwrap();
    let digest = Digest::new([1; 32]);
    let order = OrderId::Hello(scene.id(1), digest);
    let signatures = vec![scene.people[0].key().sign(&digest)];
    let given = scene.give(0, Input::Signed { order, signatures }).unwrap();
    assert!(given.packets.is_empty(), "the hello waits for its own");
    scene.people[0].key_is_here = true;
    scene.people[0].signs_inside = false;
    assert_eq!(scene.give(0, Input::Remind).unwrap().on(conn).len(), 1);
}

#[test]
fn a_view_shows_what_was_durable_when_it_was_taken() {
    let mut scene = Scene::new(2, 1000);
    let view = scene.people[0].view();
    scene.pay(0, 1, 10).unwrap();
    assert!(view.device().outgoing().is_empty(), "it does not change");
    let now = scene.people[0].view();
    let made = now.device().outgoing().values().next().unwrap();
    assert_eq!(made.state, OutgoingState::Receipted);
    assert_eq!(view.card(), now.card());
}
