//! Sizes to the byte: whoever changes one sees it here, and in `docs/benchmarks.md`.

use std::thread;

use tally_bench::scene::{Traffic, framed};
use tally_bench::sizes::{self, InvoiceFlow, Spread};
use tally_transport::Channel;
use tally_transport::qr::MAX_STILL;
use tally_transport::tcp::{Limits, Listener, connect};

fn spread(payments: &[Traffic], of: impl Fn(&Traffic) -> usize) -> Spread {
    Spread::of(payments.iter().map(of))
}

#[test]
fn root_certificate_and_next_root_of_4096_pockets() {
    let proofs = sizes::step_proofs(4096);
    assert_eq!(proofs, Spread { min: 384, sum: 2_010_592, max: 608, count: 4096 });
    assert!(proofs.mean() <= 500.0);
}

#[test]
fn a_repeat_payment_between_contacts() {
    let payments = sizes::repeat_payments(200);
    let to_final = spread(&payments, Traffic::to_final);
    assert_eq!(to_final, REPEAT);
    assert!(to_final.max <= 1000);
    assert_eq!((payments[0].accept, payments[0].commit, payments[0].receipt), (88, 131, 130));
}

#[test]
fn an_invoice_and_its_payment_fit_one_code_each() {
    let flow = sizes::invoice_flow();
    assert_eq!(flow, INVOICE);
    assert!(flow.invoice <= MAX_STILL && flow.payment <= MAX_STILL);
}

/// What a first payment took while its hello was in clear, with a generation of 1.
const FIRST_IN_CLEAR: usize = 3393;

#[test]
fn a_first_payment_grew_by_at_most_64_bytes_when_its_hello_was_encrypted() {
    let first = sizes::invoice_flow().first;
    assert!(first <= FIRST_IN_CLEAR + 64, "{first}");
}

#[test]
fn what_is_kept_of_a_relationship_does_not_grow() {
    assert_eq!(sizes::relationship(1), RELATIONSHIP);
    assert_eq!(sizes::relationship(200), RELATIONSHIP);
}

#[test]
fn the_framing_that_is_counted_is_what_tcp_sends() {
    for size in [1, 127, 128, 823, 16_383, 16_384] {
        let listener = Listener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let sender = thread::spawn(move || {
            let mut channel = connect(&address, &Limits::default()).expect("somebody listens");
            channel.send(&vec![7; size]).expect("somebody reads");
            channel.sent_bytes()
        });
        let mut channel = listener.accept(&Limits::default()).expect("somebody connects");
        assert_eq!(channel.recv().expect("a message").len(), size);
        assert_eq!(sender.join().expect("no panic"), framed(size) as u64);
    }
}

const REPEAT: Spread = Spread { min: 786, sum: 172_443, max: 948, count: 200 };
const INVOICE: InvoiceFlow = InvoiceFlow { invoice: 1532, payment: 823, first: 3409 };
const RELATIONSHIP: (usize, usize) = (1497, 295);
