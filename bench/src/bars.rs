//! All measurements, in the order in which they are shown.

use std::hint::black_box;

use tally_transport::qr;
use tally_transport::session::{Budget, KemSecret, Role, Session, greet, open};

use crate::compute::{self, Compute, SIGNATURES, VERIFICATIONS};
use crate::hardware::Hardware;
use crate::live;
use crate::primitives::Primitives;
use crate::report::Report;
use crate::scene::{Scene, Traffic};
use crate::seals;
use crate::sizes::{self, Spread};
use crate::timing::{Samples, per_one};
use crate::trees;

/// Measures everything. `count` says how many signatures were made and checked so far.
pub fn measure(count: fn() -> (usize, usize)) -> Report {
    let mut report = Report::default();
    primitives(&mut report);
    let proof = proof_sizes(&mut report);
    let traffic = payment_sizes(&mut report);
    relationship(&mut report);
    signatures(&mut report, count);
    let compute = computing(&mut report);
    tree(&mut report);
    carriers(&mut report);
    hardware_seals(&mut report);
    let live = to_final(&mut report);
    comparison(&mut report, proof, traffic, compute, &live);
    report
}

fn primitives(report: &mut Report) {
    report.group("This machine's primitives, one core");
    let p = Primitives::measure();
    report.value("secp256k1 sign (recoverable, RFC 6979)", format!("{:.1} us", p.sign));
    report.value("secp256k1 verify (by recovery, low S)", format!("{:.1} us", p.verify));
    report.value("SHA-256 of 64 bytes", format!("{:.3} us", p.sha256));
    report.value("ChaCha20-Poly1305 of 1 KiB", format!("{:.2} us", p.aead));
    report.value("append of 64 bytes until it is on the disk", format!("{:.0} us", p.fsync));
}

fn proof_sizes(report: &mut Report) -> f64 {
    report.group("Sizes (exact, and held by tests)");
    let proof = sizes::step_proofs(4096).mean();
    let what = "root + certificate + next root, 4,096 pockets, mean";
    report.at_most(what, proof, 500.0, "bytes");
    proof
}

fn payment_sizes(report: &mut Report) -> Spread {
    let payments = sizes::repeat_payments(200);
    let traffic = Spread::of(payments.iter().map(Traffic::to_final));
    let what = "messages 1 to 3 on TCP, 256 pockets, Signature: largest of 200";
    report.at_most(what, traffic.max as f64, 1000.0, "bytes");
    report.value("  the same, mean", format!("{:.2} bytes", traffic.mean()));
    report.value("  message 4, the receipt", format!("{} bytes", payments[0].receipt + 2));
    let sealed = sizes::sealed_payments(&Hardware::recorded(), 200);
    let sealed = Spread::of(sealed.iter().map(Traffic::to_final));
    let what = "the same, Sealed to Sealed, a TPM's recorded proofs: largest";
    report.at_most(what, sealed.max as f64, 1150.0, "bytes");
    report.value("  the same, mean", format!("{:.2} bytes", sealed.mean()));
    let flow = sizes::invoice_flow();
    let still = qr::MAX_STILL as f64;
    report.at_most(
        "invoice with the payee's card, one QR code",
        flow.invoice as f64,
        still,
        "bytes",
    );
    report.at_most("payment of an invoice, one QR code", flow.payment as f64, still, "bytes");
    let first = format!("{} bytes, {}", flow.first, frames(flow.first));
    report.value("  with the hello of a payer who was never met", first);
    traffic
}

fn frames(bytes: usize) -> String {
    let frames = qr::Frames::new(&vec![0; bytes], qr::FRAME_BYTES).expect("a message that fits");
    format!("{} animated frames", frames.needed())
}

fn relationship(report: &mut Report) {
    let (one, many) = (sizes::relationship(1), sizes::relationship(200));
    let more = (many.0 + many.1) as f64 - (one.0 + one.1) as f64;
    let what = "state of a relationship: growth from 1 to 200 payments";
    report.at_most(what, more, 0.0, "bytes");
    let text = format!("{} + {} bytes", many.0, many.1);
    report.value("  contact with its card, and session", text);
}

fn signatures(report: &mut Report, count: fn() -> (usize, usize)) {
    report.group("Computing, both sides on one core, in memory");
    let mut scene = Scene::new(256);
    scene.pay();
    let before = count();
    scene.pay();
    let after = count();
    let made = (after.0 - before.0) as f64;
    let checked = (after.1 - before.1) as f64;
    report.at_most("signatures made in a payment, counted", made, SIGNATURES as f64, "");
    report.at_most("signatures checked in a payment, counted", checked, VERIFICATIONS as f64, "");
}

fn computing(report: &mut Report) -> Compute {
    let compute = compute::repeat_payment(800);
    let what = "repeat payment, encrypted, with receipt / its signatures";
    report.at_most(what, compute.ratio(), 1.25, "x");
    report.value("  the payment", format!("{:.0} us", compute.payment));
    report.value("  its 2 signatures and 3 checks", format!("{:.0} us", compute.signatures));
    let what = "after 10,000 payments, 20,000 pockets / early, 256 pockets";
    report.at_most(what, compute::after_many(10_000), 1.5, "x");
    compute
}

fn tree(report: &mut Report) {
    report.group("Tree of 1,000,000 pockets");
    let tree = trees::measure(1_000_000);
    report.at_most("one step: replace a leaf and prove it", tree.step, 10.0, "us");
    report.at_most("memory a pocket", tree.memory, 200.0, "bytes");
    report.value("prove", format!("{:.2} us", tree.prove));
    report.value("verify", format!("{:.2} us", tree.verify));
    let a_second = |n: f64| format!("{:.0} leaves/s", n);
    report.value("insert in batches of 10,000, 1 thread", a_second(tree.one_thread));
    report.value("insert in batches of 10,000, 2 threads", a_second(tree.two_threads));
}

fn hardware_seals(report: &mut Report) {
    report.group("Hardware seals, on a TPM in software (a chip takes 0.3 to 1 s a proof)");
    let costs = match seals::measure() {
        Ok(costs) => costs,
        Err(e) => return report.value("not measured", e.to_string()),
    };
    report.at_most("slot proof in a payment, longest of 200", costs.proof as f64, 90.0, "bytes");
    report.at_most("seal's certificate", costs.certificate as f64, 220.0, "bytes");
    let ratio = costs.verify / costs.primitive;
    report.at_most("check of a slot proof / of one P-256 signature", ratio, 3.0, "x");
    report.value("  check of a slot proof", format!("{:.0} us", costs.verify));
    report.value("  P-256 verify (signature alone)", format!("{:.0} us", costs.primitive));
    report.value("prove a slot: the TPM's commands", format!("{:.0} us", costs.commands));
    report.value("prove a slot, intent and proof durable", format!("{:.0} us", costs.prove));
    let what = "whole sealed payment in memory, both sides and the TPM, p50";
    report.value(what, format!("{:.0} us", costs.payment));
    report.value("  the same without hardware", format!("{:.0} us", costs.plain));
}

fn carriers(report: &mut Report) {
    report.group("Carriers");
    let mut scene = Scene::new(256);
    scene.pay();
    let (_, payment) = scene.pay_invoice();
    let picture = qr::encode_image(&payment).expect("a payment fits");
    let encode = Samples::of(15, || drop(black_box(qr::encode_image(&payment)))).median();
    let decode = Samples::of(15, || drop(black_box(qr::decode_image(&picture)))).median();
    report.value("QR code of a payment: draw", format!("{:.1} ms", encode / 1000.0));
    report.value("QR code of a payment: read", format!("{:.1} ms", decode / 1000.0));
    let (mut sender, mut receiver) = sessions();
    let message = [7; 1024];
    let seal = per_one(20, 25, || drop(black_box(sender.seal(&message))));
    let envelopes = (0..500).map(|_| sender.seal(&message).expect("it fits"));
    let envelopes: Vec<Vec<u8>> = envelopes.collect();
    let mut envelopes = envelopes.iter();
    let open = per_one(20, 25, || {
        let envelope = envelopes.next().expect("as many as are opened");
        black_box(receiver.open(envelope)).expect("fewer were missed than may be");
    });
    report.value("session: seal 1 KiB", format!("{seal:.2} us"));
    report.value("session: open 1 KiB", format!("{open:.2} us"));
}

/// Both ends of a session.
fn sessions() -> (Session, Session) {
    let kem = KemSecret::from_seed([7; 32]);
    let greeting = greet(&kem.public(), &[7; 64]).expect("a good key");
    let (hello, root) = greeting.seal(&[6; 32], b"hello").expect("a short text");
    let opened = open(&[&kem], &hello, &mut Budget::default()).expect("its own hello");
    let taken = Session::new(&opened.root(&[6; 32]), Role::Responder, 1);
    (Session::new(&root, Role::Initiator, 1), taken)
}

fn to_final(report: &mut Report) -> Samples {
    report.group("Two processes, TCP loopback, wallets on this disk");
    let live = live::payments(250);
    let ms = |part: f64| live.at(part) / 1000.0;
    report.at_most("FINAL after the payer confirms, receipt included: p99", ms(0.99), 50.0, "ms");
    report.value("  the same, p50", format!("{:.1} ms", ms(0.5)));
    live
}

fn comparison(report: &mut Report, proof: f64, traffic: Spread, compute: Compute, live: &Samples) {
    report.group("Beside the published figures of the earlier implementation (not run here)");
    let ratio = |theirs: f64, ours: f64| format!("{:.0} x less", theirs / ours);
    report.value("proof: 8,261 bytes there", ratio(8261.0, proof));
    report.value("a payment: about 135 KB there", ratio(135_000.0, traffic.mean()));
    report.value("a payment: 30 s or more there", ratio(30_000_000.0, live.median()));
    let a_second = 1e6 / compute.payment;
    let text = format!("{a_second:.0}/s, {:.0} x as many", a_second / 2.0);
    report.value("signed payments: at most 2 a second there", text);
}
