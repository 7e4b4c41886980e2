//! Give back to a device the steps of its own that it may have lost.

use alloc::vec::Vec;

use super::Room;
use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::evidence::Hop;
use crate::fork::Branch;
use crate::id::TxId;

/// Most steps that one message gives back.
pub const MAX_HISTORY: usize = 64;

/// A step of the receiver's own, signed by it, as far as it is known to whoever tells it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    /// The transaction, with what unlocked its coins.
    Whole(Hop),
    /// One spend of it, without the transaction's body.
    Branch(Branch),
}

impl Told {
    /// The number of the step.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Whole(hop) => hop.tx.step.seq,
            Self::Branch(branch) => branch.step.seq,
        }
    }

    /// The transaction.
    pub fn tx_id(&self) -> TxId {
        match self {
            Self::Whole(hop) => hop.tx.id(),
            Self::Branch(branch) => branch.tx_id(),
        }
    }
}

/// Steps of the receiver's own, in the order of their numbers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct History {
    /// The steps.
    pub steps: List<Told, MAX_HISTORY>,
    /// Whether there are more: the receiver asks again, after the last of these.
    pub more: bool,
}

record!(History { steps, more });

impl History {
    /// The first of these steps, which are sorted by number, as far as there is room. All that is told
    /// of one step is told at once.
    pub(super) fn page(room: &mut Room, mut told: Vec<Told>) -> Self {
        let mut steps = room.fill::<_, MAX_HISTORY>(&mut told).into_vec();
        let next = told.first().map(Told::seq);
        let part = steps.iter().position(|step| Some(step.seq()) == next);
        if let Some(at) = part.filter(|at| *at > 0) {
            steps.truncate(at);
        }
        Self { steps: List::truncated(steps), more: next.is_some() }
    }
}

impl Encode for Told {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        match self {
            Self::Whole(hop) => {
                w.uint(0);
                hop.encode(w);
            }
            Self::Branch(branch) => {
                w.uint(1);
                branch.encode(w);
            }
        }
    }
}

impl Decode for Told {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 1) => Decode::decode(r).map(Self::Whole),
            (1, 1) => Decode::decode(r).map(Self::Branch),
            (0 | 1, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}
