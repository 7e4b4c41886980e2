//! Count bytes. Everything here is exact, and a test holds it to the byte.

use tally_core::cbor::to_bytes;
use tally_tree::{Key, Tree, Value};

use crate::hardware::Hardware;
use crate::scene::{Scene, Traffic};

/// Smallest, mean and largest of something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: usize,
    /// The sum, so that the mean is exact.
    pub sum: usize,
    /// The largest.
    pub max: usize,
    /// Of how many.
    pub count: usize,
}

impl Spread {
    /// Of these; all zero if there are none.
    pub fn of(sizes: impl IntoIterator<Item = usize>) -> Self {
        let none = Self { min: usize::MAX, sum: 0, max: 0, count: 0 };
        sizes.into_iter().fold(none, |s, size| Self {
            min: s.min.min(size),
            sum: s.sum + size,
            max: s.max.max(size),
            count: s.count + 1,
        })
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }
}

/// A key that looks random, as every pocket's is.
pub fn key(n: u64) -> Key {
    Key::from(tally_core::hash::sha256(&n.to_be_bytes()))
}

/// Root, inclusion certificate and successor root, for every pocket of a device that has so many.
pub fn step_proofs(pockets: u64) -> Spread {
    let mut tree = Tree::new();
    let leaves: Vec<_> = (0..pockets).map(|n| (key(n), Value::from([1; 32]))).collect();
    tree.insert_batch(&leaves).expect("distinct keys");
    let proof = |(key, _): &(Key, Value)| {
        let certificate = tree.prove(key).expect("the key was inserted");
        32 + certificate.encoded_len() + 32
    };
    Spread::of(leaves.iter().map(proof))
}

/// The payments of a payer with 256 pockets, one after the other, each with a coin as minted.
pub fn repeat_payments(count: usize) -> Vec<Traffic> {
    let mut scene = Scene::new(256);
    scene.pay();
    (0..count).map(|_| scene.pay()).collect()
}

/// The same with coins under the payer's hardware, to a payee who has hardware too.
pub fn sealed_payments(hardware: &Hardware, count: usize) -> Vec<Traffic> {
    let mut scene = Scene::sealed(hardware, 256);
    scene.pay();
    (0..count).map(|_| scene.pay()).collect()
}

/// The invoice flow between people of whom the payer has 256 pockets: what each code holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceFlow {
    /// The signed invoice.
    pub invoice: usize,
    /// The payment, with a session that is there.
    pub payment: usize,
    /// The payment and the hello of a payer who opens the session with it.
    pub first: usize,
}

/// The same payment of an invoice, by a payer who has a session and by one who says hello.
pub fn invoice_flow() -> InvoiceFlow {
    let scene = || {
        let mut scene = Scene::new(256);
        scene.pay();
        scene
    };
    let (invoice, payment) = scene().pay_invoice();
    let mut without_session = scene();
    without_session.forget_session();
    let (_, first) = without_session.pay_invoice();
    InvoiceFlow { invoice: invoice.len(), payment: payment.len(), first: first.len() }
}

/// What a device keeps for one contact after so many payments: the contact, and the sessions with it,
/// encrypted.
pub fn relationship(payments: usize) -> (usize, usize) {
    let mut scene = Scene::new(payments as u64);
    for _ in 0..payments {
        scene.pay();
    }
    let (payer, payee) = (scene.payer(), scene.payee().id());
    let contact = to_bytes(&payer.device().contacts()[&payee]).len();
    (contact, payer.disk.session(&payee).expect("they have met").len())
}
