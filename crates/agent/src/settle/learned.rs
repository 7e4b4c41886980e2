//! What an errand brings home. All of it was checked.

use alloc::boxed::Box;
use alloc::vec::Vec;

use tally_core::evidence::Settlement;
use tally_core::fork::ForkProof;
use tally_core::id::{CoinId, TxId};
use tally_core::keys::{PublicKey, Signature};
use tally_core::notary::{InclusionProof, StateId};

use super::ask::EndpointId;

/// How far a settlement has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Progress {
    /// Transactions and mints that are decided.
    pub decided: usize,
    /// Those that were to be decided when it began.
    pub total: usize,
}

/// Something that the device, or the record of its endpoints, is to be told, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Learned {
    /// A payment of what was reserved was settled by its payee, whose consents its proof has. To be
    /// checked as those that come with a receipt, before what is certified is taken over.
    Consents {
        /// The payment.
        tx: TxId,
        /// One a coin, in the order of its inputs.
        consents: Vec<Signature>,
    },
    /// These spends are certified.
    Certified(Box<Settlement>),
    /// Another transaction was the first to spend this state.
    Lost {
        /// The state.
        source: CoinId,
        /// The proof of it.
        proof: Box<InclusionProof>,
    },
    /// A state that was looked up is spent.
    Spent {
        /// The state.
        state: StateId,
        /// The proof of it.
        proof: Box<InclusionProof>,
    },
    /// Fork proofs that an endpoint published, each of which holds.
    Forks {
        /// Who published them.
        endpoint: EndpointId,
        /// The proofs.
        proofs: Vec<ForkProof>,
        /// From which number to ask it the next time.
        next: u64,
    },
    /// An endpoint was told of a conviction.
    Told {
        /// Who.
        endpoint: EndpointId,
        /// The convicted key.
        key: PublicKey,
    },
}
