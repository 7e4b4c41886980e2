//! Say what is to be done outside, once a turn is durable.

use alloc::boxed::Box;
use alloc::vec::{self, Vec};

use tally_core::card::Signed;
use tally_core::device::Event;
use tally_core::id::{DeviceId, TxId};
use tally_core::seal::Slot;

use crate::{AgentError, ProveOrder, SignOrder, StepOrder, Way};

/// One thing to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Show it to the owner.
    Show(Box<Event>),
    /// Send a packet. Packets of one way go in the order in which they come here.
    Send {
        /// Which way.
        way: Way,
        /// The bytes.
        packet: Vec<u8>,
    },
    /// What this way was for has ended, well or badly. A connection may be closed. Of a payment by file
    /// or code it says that its packet is there, or that it was given up: neither is to be guessed.
    Over {
        /// Which way.
        way: Way,
        /// What came of it.
        end: Result<Done, AgentError>,
    },
    /// Sign, and answer with [`crate::Input::Signed`].
    Sign(SignOrder),
    /// Write a step into the journal, and answer with [`crate::Input::Observed`].
    Observe(StepOrder),
    /// Leave a slot of a hardware counter, and answer with [`crate::Input::Proved`].
    Prove(ProveOrder),
    /// Find a counter that is free for a coin, none of these, and answer with
    /// [`crate::Input::Counter`].
    FreeCounter(Vec<Slot>),
    /// The invoice that was asked for.
    Invoice(Box<Signed>),
    /// Something cannot be said to this contact: its session key is not one, or the message is too
    /// long. A payment stays signed, and waits until the contact gives a new card.
    Unsendable {
        /// To whom.
        contact: DeviceId,
        /// The payment that it would have made, if it was one.
        tx: Option<TxId>,
        /// Why.
        why: AgentError,
    },
}

/// What came of a connection, or of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Done {
    /// A payment was made and, on a connection, receipted.
    Paid(TxId),
    /// So many payments that waited are receipted.
    Resent(usize),
    /// Both sides have compared what they saw.
    Met,
    /// The other side hung up.
    Served,
}

/// What a turn wants done, in order.
#[derive(Debug, Default)]
#[must_use]
pub struct Effects(Vec<Effect>);

impl Effects {
    pub(crate) const fn new(effects: Vec<Effect>) -> Self {
        Self(effects)
    }
}

impl IntoIterator for Effects {
    type Item = Effect;
    type IntoIter = vec::IntoIter<Effect>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
