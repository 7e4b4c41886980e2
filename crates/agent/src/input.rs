//! Say what an agent is told, and when.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::device;
use tally_core::id::{AssetId, DeviceId, TxId};
use tally_core::keys::Signature;
use tally_core::notary::TrustBase;
use tally_core::predicate::Sealed;
use tally_core::seal::{Slot, SlotProof};
use tally_core::time::Time;

use crate::{Conn, Goal, Issued, OrderId};

/// What comes from outside with every input.
pub struct Cx {
    /// The time, as the shell's clock has it.
    pub now: Time,
    /// The same in microseconds since 1970: so fine that two hellos do not get one number.
    pub micros: u64,
    /// 32 uniformly random bytes, which are used for this input and never again.
    pub entropy: [u8; 32],
}

/// What an agent is told, by its owner, its keys, its clock or another device.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// The owner's wishes, or what the network showed: all are met, or none.
    Wish(Vec<device::Input>),
    /// The owner asks for a payment. [`crate::Effect::Invoice`] follows.
    Invoice {
        /// Which asset.
        asset: AssetId,
        /// How much.
        amount: Amount,
        /// For how many seconds.
        valid_for: u64,
    },
    /// The owner pays an invoice; the packet is for a file or a code.
    PayInvoice(Box<Signed>),
    /// The owner takes back what is set aside for a contact; the packet is for a file or a code.
    Release {
        /// For whom it is set aside.
        payee: DeviceId,
        /// Which asset.
        asset: AssetId,
    },
    /// Packets of what waits for a payee, for files or codes: a few of the oldest payments.
    Resend {
        /// For whom.
        payee: DeviceId,
    },
    /// A packet came as a file or a code.
    File {
        /// The packet.
        bytes: Vec<u8>,
        /// Whether the owner consents to the release that it may ask for.
        agree: bool,
    },
    /// A connection is there.
    Opened {
        /// Its number.
        conn: Conn,
        /// What it is for.
        goal: Goal,
    },
    /// A message came over a connection.
    Packet {
        /// Which connection.
        conn: Conn,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A connection has ended.
    Closed {
        /// Which.
        conn: Conn,
        /// Why, for the owner; nothing if the other side hung up in order.
        why: Option<String>,
    },
    /// Signatures on the digests of an order, in order.
    Signed {
        /// Which order.
        order: OrderId,
        /// The signatures.
        signatures: Vec<Signature>,
    },
    /// The journal holds the step of this payment; or it knows better, and the device was set back.
    Observed {
        /// The payment.
        tx: TxId,
        /// Whether the step followed on what the journal held.
        fits: bool,
    },
    /// What became of a slot that was to be left for a payment.
    Proved {
        /// The payment.
        tx: TxId,
        /// The slot.
        slot: Slot,
        /// What the hardware gave.
        proved: Proved,
    },
    /// The counter that is free for a coin that arrives, if one is.
    Counter(Option<Sealed>),
    /// Make all orders anew, as after a start or when a key came back.
    Remind,
    /// The device was set back: it receives only from now on, and gives up its sessions.
    SetBack,
    /// All sessions are given up, as when the card has changed: the next packets say hello.
    Renew {
        /// The card from now on.
        card: Box<Signed>,
    },
    /// Records of the shell, and what it knows of the network.
    Keep {
        /// What was issued.
        issued: Vec<(AssetId, Issued)>,
        /// Records, by name.
        meta: Vec<(&'static str, Vec<u8>)>,
        /// The validators whose certificates count, if they are others now.
        trust: Option<Box<TrustBase>>,
    },
}

/// What hardware gave for a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proved {
    /// The proof that it was left for the payment.
    Proof(Box<SlotProof>),
    /// It gives none, ever.
    Never {
        /// All slots of the payment that give none.
        lost: Vec<Slot>,
        /// Whether something but this device has moved the counter, so that the device may have been set
        /// back.
        set_back: bool,
    },
}

impl core::fmt::Debug for Cx {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cx").field("now", &self.now).finish_non_exhaustive()
    }
}
