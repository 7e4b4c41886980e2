//! Why an answer is missing or is not believed.

use alloc::string::String;

use tally_core::notary::{CertificateError, PresenceError, ProofError};

/// Why a validator's answer is missing, or does not count. It says nothing of whose answer it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    /// The validator was not reached, or not in time: the carrier's code and words.
    #[error("{text}")]
    Unreached {
        /// The carrier's stable code.
        code: String,
        /// The carrier's words.
        text: String,
    },
    /// The validator says that it cannot do what it was asked.
    #[error("it refuses [{word}]: {message}")]
    Fault {
        /// Its stable word.
        word: String,
        /// What it says.
        message: String,
        /// Whether asking again later may help.
        later: bool,
    },
    /// What came is no answer to the question.
    #[error("it answers with what is no {0}: ask another validator (tally notary add)")]
    Answer(&'static str),
    /// It does not show that it is a validator and is there now.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// A certificate is not vouched for by the trusted validators.
    #[error("its certificate is refused: {0}")]
    Certificate(#[from] CertificateError),
    /// A proof does not show what it should.
    #[error("its proof is refused: {0}")]
    Proof(#[from] ProofError),
    /// It says that something is decided, and does not show it.
    #[error("it says that this is decided and shows no proof of it: it is asked last")]
    Unshown,
    /// It shows an old state of the network as if it were the present one.
    #[error(
        "it shows round {round}, and the network is at {newest} or later: ask another validator, or again"
    )]
    Stale {
        /// The round that it shows.
        round: u64,
        /// The newest that is known.
        newest: u64,
    },
    /// What it shows is far from the time of this machine's clock.
    #[error(
        "the round that it shows is {0} seconds away from this machine's clock: check the clock, or ask another validator"
    )]
    Clock(u64),
    /// Too few validators answered for anything to count as the present state.
    #[error(
        "too few validators answered to say that anything is unspent: add addresses of others (tally notary add), one third of the network has to answer"
    )]
    TooFew,
    /// The tree did not only grow.
    #[error(
        "it does not show that its tree only grew since round {0}: settle with another validator, and tell others"
    )]
    Shrunk(u64),
    /// It accepted the request, and did not decide in time.
    #[error("it did not certify in time, and may still: settle again, nothing is paid twice")]
    Late,
    /// It has not answered when its time was over.
    #[error("it did not answer in time: it is asked again at the next settlement")]
    Silent,
    /// There is nobody left to ask.
    #[error("no validator is left to ask: settle again later, or add one (tally notary add)")]
    Nobody,
    /// It was not asked for: what was before it took all the time.
    #[error("it was not asked for in this settlement, which had too much to do: settle again")]
    Unasked,
}

impl Trouble {
    /// Stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreached { code, .. } => code,
            Self::Fault { .. } => "NOTARY_FAULT",
            Self::Answer(_) => "NOTARY_ANSWER",
            Self::Presence(error) => error.code(),
            Self::Certificate(error) => error.code(),
            Self::Proof(error) => error.code(),
            Self::Unshown => "NOTARY_UNSHOWN",
            Self::Stale { .. } => "NOTARY_STALE",
            Self::Clock(_) => "NOTARY_CLOCK",
            Self::TooFew => "NOTARY_TOO_FEW",
            Self::Shrunk(_) => "NOTARY_SHRUNK",
            Self::Late => "NOTARY_LATE",
            Self::Silent => "NOTARY_SILENT",
            Self::Nobody => "NOTARY_NOBODY",
            Self::Unasked => "NOTARY_UNASKED",
        }
    }

    /// Whether the network, or the same validator, may do better later.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreached { .. }
            | Self::Fault { later: true, .. }
            | Self::Late
            | Self::Silent
            | Self::Nobody
            | Self::Unasked => true,
            Self::Fault { later: false, .. }
            | Self::Answer(_)
            | Self::Presence(_)
            | Self::Certificate(_)
            | Self::Proof(_)
            | Self::Unshown
            | Self::Stale { .. }
            | Self::Clock(_)
            | Self::TooFew
            | Self::Shrunk(_) => false,
        }
    }

    /// Whether the endpoint itself is not there, rather than that it says no.
    pub(super) const fn is_absence(&self) -> bool {
        matches!(self, Self::Unreached { .. } | Self::Silent | Self::Answer(_))
    }
}
