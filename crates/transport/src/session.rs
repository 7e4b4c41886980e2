//! Keep messages between two contacts private and authentic on any carrier.
//!
//! Two contacts agree a [`RootKey`] once, by a hello ([`greet`], [`open`]), and keep a [`Session`] each.
//! A session turns a message into an envelope and back:
//!
//! ```text
//! envelope = hint (8) ‖ counter (varint, 1 byte up to 127) ‖ ciphertext ‖ tag (16)
//! ```
//!
//! # How keys move forward
//!
//! Each of the two directions in which money can flow has a chain of keys, one entry a completed
//! payment: `key' = HKDF(key, link)`. The keys of an *epoch* come from one entry of each chain, so
//! the order in which payments in opposite directions finish does not matter, and two payments that
//! cross on the way leave both sides with the same keys.
//!
//! | event | payer's call | payee's call | from then on |
//! |---|---|---|---|
//! | the payer has signed, the commit is about to leave | [`expect`](Session::expect) | | the payer can read the next epoch |
//! | the payee has accepted | | [`advance_as_payee`](Session::advance_as_payee) | the payee can read both; it still sends in the old one, which the payer surely reads |
//! | the receipt has arrived | [`advance_as_payer`](Session::advance_as_payer) | | the payer sends in the next epoch, and still reads both |
//! | a message in the next epoch is opened | (by itself) | (by itself) | the old epoch is dropped |
//!
//! Hence each side only ever sends in an epoch that the other can read, whatever was lost: a payer
//! that never got its receipt keeps using the old epoch, and the payee answers in it. This rests on
//! both sides keeping their state. A side that lost state (a restored backup) must not use the
//! session again, since a counter used twice would encrypt two messages with one key: it starts a new
//! one. For the same reason a hello is heard once: [`Heard`] remembers which were.
//!
//! A caller makes [`Session::to_bytes`] durable before it releases an envelope, for the same reason. What
//! is stored is ahead by [`RESERVED`] counters, so a caller need not store a session again for each
//! envelope: only while [`Session::is_covered`] says no. A restart skips what was reserved and not used.

mod budget;
mod chain;
mod heard;
mod hello;
mod kem;
mod keys;
mod persist;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::MAX_MESSAGE;
use crate::varint::{self, Read};
use chain::Chain;
use keys::{Direction, Epoch};

pub use budget::Budget;
pub use heard::{Gone, Heard, MARGIN, MAX_AHEAD, next_generation};
pub use hello::{
    Greeting, HELLO_OVERHEAD, HELLO_VERSION, MAX_HELLO, MAX_HELLO_TEXT, MAX_TRIES, Opened, greet,
    open,
};
pub use kem::{KemCiphertext, KemPublic, KemSecret, RootKey};

/// Length of the hint that starts an envelope, in bytes.
pub const HINT_BYTES: usize = 8;
/// Length of the authentication tag that ends an envelope, in bytes.
pub const TAG_BYTES: usize = 16;
/// Most bytes that an envelope adds to its message; it adds 25 up to counter 127.
pub const MAX_OVERHEAD: usize = HINT_BYTES + varint::MAX_BYTES + TAG_BYTES;
/// Longest message that can be sealed, so that its envelope fits every carrier.
pub const MAX_PLAINTEXT: usize = MAX_MESSAGE - MAX_OVERHEAD;
/// Most messages in a row that may be lost before the next one is refused.
pub const MAX_SKIP: u64 = 1000;
/// How many counters a stored session is ahead, so that so many messages need no store of their own.
pub const RESERVED: u64 = 16;
/// Most payments in one direction whose receipt may be missing at once.
pub const MAX_PENDING: usize = 4;

/// The public start of an envelope, by which a receiver finds the session it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hint(pub [u8; HINT_BYTES]);

impl Hint {
    /// The hint of an envelope.
    ///
    /// # Errors
    /// [`SessionError::Malformed`] if it is shorter than any envelope.
    pub fn of(envelope: &[u8]) -> Result<Self, SessionError> {
        Ok(Parts::split(envelope)?.hint)
    }
}

/// Which side of the hello a session stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Said hello: called [`greet`].
    Initiator,
    /// Heard it: called [`open`].
    Responder,
}

/// One side's keys and counters for one contact.
///
/// ```
/// use tally_transport::session::{Budget, KemSecret, Role, Session, greet, open};
/// let secret = KemSecret::from_seed([7; 32]);
/// let greeting = greet(&secret.public(), &[9; 64])?;
/// // What the payer signs of the greeting's ciphertext and of what else it says.
/// let digest = [1; 32];
/// let (hello, root) = greeting.seal(&digest, b"the payer's card and signature")?;
/// let mut payer = Session::new(&root, Role::Initiator, 1);
///
/// let opened = open(&[&secret], &hello, &mut Budget::default())?;
/// assert_eq!(opened.text, b"the payer's card and signature");
/// let mut payee = Session::new(&opened.root(&digest), Role::Responder, 1);
///
/// let envelope = payer.seal(b"offer")?;
/// assert_eq!(envelope.len(), 5 + 25);
/// assert_eq!(payee.open(&envelope)?, b"offer");
/// # Ok::<(), tally_transport::session::SessionError>(())
/// ```
#[derive(Clone)]
pub struct Session {
    role: Role,
    generation: u64,
    /// Payments that this side makes.
    paying: Chain,
    /// Payments that this side receives.
    paid: Chain,
    /// Counter of the next message sent in the sending epoch.
    send_counter: u64,
    /// First counter that a session read back from the store might use again.
    covered: u64,
    /// Whether the store lacks a key that this session has made.
    grown: bool,
    /// Smallest counter still taken in the oldest epoch that is read.
    next_counter: u64,
    /// The keys of every epoch that can be read, by the numbers of its entries in the two chains.
    epochs: BTreeMap<(u64, u64), Epoch>,
}

impl Session {
    /// Starts a session from the root key that both sides agreed.
    ///
    /// `generation` numbers the hellos between two contacts; both sides must give the same.
    pub fn new(root: &RootKey, role: Role, generation: u64) -> Self {
        let [by_initiator, by_responder] = keys::first(&root.0, generation).map(Chain::new);
        let (paying, paid) = match role {
            Role::Initiator => (by_initiator, by_responder),
            Role::Responder => (by_responder, by_initiator),
        };
        Self {
            role,
            generation,
            paying,
            paid,
            send_counter: 0,
            covered: 0,
            grown: true,
            next_counter: 0,
            epochs: BTreeMap::new(),
        }
        .prepared()
    }

    /// Which side of the hello this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The number of the hello that started this session.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many completed payments the epoch that this side sends in rests on.
    pub fn epoch(&self) -> u64 {
        self.paying.send_index().saturating_add(self.paid.send_index())
    }

    /// Whether what was last stored has every key of this session, and keeps a restart from using a
    /// counter again. If not, the session is stored before its latest envelope is released.
    pub fn is_covered(&self) -> bool {
        !self.grown && self.send_counter <= self.covered
    }

    /// Notes that [`Session::to_bytes`], as it is now, is durable.
    pub fn stored(&mut self) {
        self.covered = self.send_counter.saturating_add(RESERVED);
        self.grown = false;
    }

    /// Encrypts `message` (at most [`MAX_PLAINTEXT`] bytes) for the peer.
    ///
    /// # Errors
    /// [`SessionError::TooLarge`], or [`SessionError::Exhausted`] after 2^64 messages.
    pub fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, SessionError> {
        if message.len() > MAX_PLAINTEXT {
            return Err(SessionError::TooLarge { size: message.len(), most: MAX_PLAINTEXT });
        }
        let counter = self.send_counter;
        let next = counter.checked_add(1).ok_or(SessionError::Exhausted)?;
        let epoch = &self.epochs[&(self.paying.send_index(), self.paid.send_index())];
        let direction = Direction::from(self.role);
        let mut envelope = Vec::with_capacity(message.len() + MAX_OVERHEAD);
        envelope.extend_from_slice(&epoch.hint(direction).0);
        varint::write(counter, &mut envelope);
        let sealed = epoch.encrypt(direction, counter, &envelope, message);
        envelope.extend_from_slice(&sealed);
        self.send_counter = next;
        Ok(envelope)
    }

    /// Decrypts an envelope from the peer. Each is opened at most once, and none after a newer one.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] if it is not for this session or from a dropped epoch;
    /// [`SessionError::Replay`], [`SessionError::Skipped`], [`SessionError::Forged`],
    /// [`SessionError::Malformed`]. After any of them the session is as it was.
    pub fn open(&mut self, envelope: &[u8]) -> Result<Vec<u8>, SessionError> {
        let parts = Parts::split(envelope)?;
        let direction = Direction::from(self.role).reversed();
        let (&(paying, paid), epoch) = self
            .epochs
            .iter()
            .find(|(_, epoch)| epoch.hint(direction) == parts.hint)
            .ok_or(SessionError::Unknown)?;
        let oldest = (paying, paid) == (self.paying.first, self.paid.first);
        let expected = if oldest { self.next_counter } else { 0 };
        match parts.counter.checked_sub(expected) {
            None => return Err(SessionError::Replay),
            Some(lost) if lost > MAX_SKIP => return Err(SessionError::Skipped),
            Some(_) => {}
        }
        let message = epoch
            .decrypt(direction, parts.counter, parts.header, parts.sealed)
            .ok_or(SessionError::Forged)?;
        self.seen(paying, paid, parts.counter);
        Ok(message)
    }

    /// The hints of every envelope that this session can open now.
    pub fn hints(&self) -> Vec<Hint> {
        let direction = Direction::from(self.role).reversed();
        self.epochs.values().map(|epoch| epoch.hint(direction)).collect()
    }

    /// As payer, before the commit leaves: be ready to read the epoch after this payment.
    ///
    /// Repeating it for a payment that is still pending changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Pending`] if [`MAX_PENDING`] payments wait for their receipts.
    pub fn expect(&mut self, link: &[u8; 32]) -> Result<(), SessionError> {
        self.paying.extend(link)?;
        self.prepare();
        Ok(())
    }

    /// As payer, when the receipt has arrived: send in the epoch after this payment.
    ///
    /// A receipt also stands for every earlier payment. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Pending`] if the link was not expected and there is no room for it.
    pub fn advance_as_payer(&mut self, link: &[u8; 32]) -> Result<(), SessionError> {
        let offset = self.paying.extend(link)?;
        self.prepare();
        if self.paying.send_from(offset) {
            self.restart_counter();
        }
        Ok(())
    }

    /// As payee, when the payment has been accepted: read the epoch after it as well. What this side
    /// sends, the receipt included, stays in the epoch before until the payer was seen in the next.
    ///
    /// Repeating it for the latest payments changes nothing.
    ///
    /// # Errors
    /// [`SessionError::Pending`] if the payer was seen in none of the last [`MAX_PENDING`] epochs,
    /// which a payer that keeps the rules cannot cause. The payment stands; a new hello is needed.
    pub fn advance_as_payee(&mut self, link: &[u8; 32]) -> Result<(), SessionError> {
        self.paid.extend(link)?;
        self.prepare();
        Ok(())
    }

    /// Drops what the peer has left behind, now that it was seen in the epoch of these entries.
    fn seen(&mut self, paying: u64, paid: u64, counter: u64) {
        let before = (self.paying.send_index(), self.paid.send_index());
        self.paying.drop_before(paying);
        self.paid.drop_before(paid);
        if before != (self.paying.send_index(), self.paid.send_index()) {
            self.restart_counter();
        }
        self.prepare();
        // At 2^64 - 1 the last counter could be replayed; `seal` refuses to use it.
        self.next_counter = counter.saturating_add(1);
    }

    /// In a new epoch counters start again, and nothing stored knows of it yet.
    fn restart_counter(&mut self) {
        (self.send_counter, self.covered) = (0, 0);
    }

    /// Derives the keys of the epochs that can be read now, and forgets those of all others.
    fn prepare(&mut self) {
        let (paying, paid) = (&self.paying, &self.paid);
        let newest = |chain: &Chain| chain.keys().last().map(|(index, _)| index);
        let last = self.epochs.last_key_value().map(|(place, _)| *place);
        self.grown |= last.map(|(a, b)| (Some(a), Some(b))) != Some((newest(paying), newest(paid)));
        self.epochs.retain(|(a, b), _| *a >= paying.first && *b >= paid.first);
        for (a, key_a) in paying.keys() {
            for (b, key_b) in paid.keys() {
                self.epochs.entry((a, b)).or_insert_with(|| match self.role {
                    Role::Initiator => Epoch::new(key_a, key_b),
                    Role::Responder => Epoch::new(key_b, key_a),
                });
            }
        }
    }

    fn prepared(mut self) -> Self {
        self.prepare();
        self
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .field("generation", &self.generation)
            .field("epoch", &self.epoch())
            .field("send_counter", &self.send_counter)
            .field("next_counter", &self.next_counter)
            .finish_non_exhaustive()
    }
}

/// Why a session refused, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    /// No epoch of this session has this hint.
    #[error("the envelope is not for this session; try the other contacts, or say hello again")]
    Unknown,
    /// The counter was used, or a later one was.
    #[error(
        "the envelope was opened before, or a later one was; ask the other side to send the message again"
    )]
    Replay,
    /// The counter is too far ahead.
    #[error("more than {MAX_SKIP} messages are missing before this one; say hello again")]
    Skipped,
    /// The tag is wrong.
    #[error(
        "the envelope was altered or is not from this contact; discard it and ask for it again"
    )]
    Forged,
    /// Not shaped like an envelope.
    #[error("the bytes are not an envelope; discard them and ask the other side to send again")]
    Malformed,
    /// The message is longer than an envelope or a hello may hold.
    #[error("a message of {size} bytes is over the limit of {most}; send less at once")]
    TooLarge {
        /// Its length in bytes.
        size: usize,
        /// The greatest length, in bytes.
        most: usize,
    },
    /// The hello is to another session key.
    #[error("the hello is for somebody else; give it to whom it was made for")]
    Elsewhere,
    /// The hello has a form that this program does not know.
    #[error("the hello is of a version that this program does not know; update this program")]
    Version,
    /// Too many hellos came from one source, and nobody vouched for it.
    #[error("too many hellos that nobody signed came this way; connect again")]
    Budget,
    /// All counters of this epoch are used.
    #[error("no counter is left in this session; say hello again")]
    Exhausted,
    /// Too many payments in one direction have no receipt.
    #[error(
        "{MAX_PENDING} payments wait for their receipts; finish them first, or say hello again"
    )]
    Pending,
    /// Not a usable public key or ciphertext.
    #[error("the {0} is not valid; ask the other side for its contact card or hello again")]
    Key(&'static str),
    /// Not the bytes of a stored session.
    #[error("the stored session cannot be read ({0}); say hello again to start a new one")]
    State(&'static str),
}

impl SessionError {
    /// The stable name of this error, for programs and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "SESSION_UNKNOWN",
            Self::Replay => "SESSION_REPLAY",
            Self::Skipped => "SESSION_SKIPPED",
            Self::Forged => "SESSION_FORGED",
            Self::Malformed => "SESSION_MALFORMED",
            Self::TooLarge { .. } => "SESSION_TOO_LARGE",
            Self::Elsewhere => "SESSION_ELSEWHERE",
            Self::Version => "SESSION_VERSION",
            Self::Budget => "SESSION_BUDGET",
            Self::Exhausted => "SESSION_EXHAUSTED",
            Self::Pending => "SESSION_PENDING",
            Self::Key(_) => "SESSION_KEY",
            Self::State(_) => "SESSION_STATE",
        }
    }
}

/// An envelope taken apart; nothing in it is authentic yet.
struct Parts<'a> {
    hint: Hint,
    counter: u64,
    header: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(envelope: &'a [u8]) -> Result<Self, SessionError> {
        if envelope.len() > MAX_MESSAGE {
            return Err(SessionError::Malformed);
        }
        let (hint, rest) =
            envelope.split_first_chunk::<HINT_BYTES>().ok_or(SessionError::Malformed)?;
        let Read::Number(counter, taken) = varint::read(rest) else {
            return Err(SessionError::Malformed);
        };
        let (header, sealed) = envelope.split_at(HINT_BYTES + taken);
        if sealed.len() < TAG_BYTES {
            return Err(SessionError::Malformed);
        }
        Ok(Self { hint: Hint(*hint), counter, header, sealed })
    }
}
