use std::sync::OnceLock;

use tally_transport::qr::{Collector, Progress};
use tally_transport::session::{Budget, Hint, KemSecret, Role, RootKey, Session, greet, open};
use tally_transport::tcp::frame::{join, split};

static ROOT: OnceLock<RootKey> = OnceLock::new();

/// Only the other side's envelope opens; a stored session has one encoding.
pub fn session(bytes: &[u8]) {
    let root = ROOT.get_or_init(|| {
        let secret = KemSecret::from_seed([1; KemSecret::BYTES]);
        let greeting = greet(&secret.public(), &[2; 64]).expect("a good key");
        greeting.seal(&[3; 32], b"fuzz").expect("a short text").1
    });
    let mut payer = Session::new(root, Role::Initiator, 1);
    let mut payee = Session::new(root, Role::Responder, 1);
    drop(Hint::of(bytes));
    assert!(payee.open(bytes).is_err(), "nobody but the payer makes an envelope");
    let envelope = payer.seal(bytes).expect("the message is short");
    assert_eq!(payee.open(&envelope).as_deref(), Ok(bytes));
    assert!(payee.open(&envelope).is_err(), "an envelope opens once");
    if let Ok(mut stored) = Session::from_bytes(bytes) {
        assert_eq!(stored.to_bytes().as_slice(), bytes);
        drop(stored.open(&envelope));
        drop(stored.seal(b"next"));
    }
}

/// Nobody but the holder of a card makes a hello to it, and none leads to a panic.
pub fn hello(bytes: &[u8]) {
    static SECRET: OnceLock<KemSecret> = OnceLock::new();
    let secret = SECRET.get_or_init(|| KemSecret::from_seed([1; KemSecret::BYTES]));
    let mut budget = Budget::new(2);
    assert!(open(&[secret, secret, secret], bytes, &mut budget).is_err());
}

/// What a connection carries: a message has one frame, and is found only once all of it is there.
pub fn frame(bytes: &[u8]) {
    const MAX: usize = 300;
    if let Ok(Some(range)) = split(bytes, MAX) {
        let message = &bytes[range.clone()];
        assert!(message.len() <= MAX);
        assert_eq!(join(message), &bytes[..range.end], "a length has one form");
        for all_but in 1..=range.end {
            let part = split(&bytes[..range.end - all_but], MAX);
            assert!(matches!(part, Ok(None)), "half a message is none");
        }
    }
    let whole = join(bytes);
    match split(&whole, MAX) {
        Ok(found) => assert_eq!(&whole[found.expect("all of it is there")], bytes),
        Err(error) => assert!(bytes.len() > MAX, "{error}"),
    }
}

/// Frames of a strange size or content are refused; none leads to a panic or an endless message.
pub fn qr(bytes: &[u8]) {
    let mut collector = Collector::new();
    let mut rest = bytes;
    while let Some((&length, after)) = rest.split_first() {
        let (frame, next) = after.split_at(usize::from(length).min(after.len()));
        if let Ok(Progress::Done(message)) = collector.push(frame) {
            assert!(message.len() <= tally_transport::MAX_MESSAGE);
        }
        rest = next;
    }
    drop(collector.push(bytes));
}
