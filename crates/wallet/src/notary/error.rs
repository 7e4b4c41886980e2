//! What can go wrong with a notary, and what to do next.

use tally_core::id::NetworkId;
use tally_core::notary::{CertificateError, ProofError, TrustBaseError};
use tally_transport::http::HttpError;

/// Why a notary's answer is missing or is not believed.
#[derive(Debug, thiserror::Error)]
pub enum NotaryError {
    /// The validator was not reached.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The validator says that it cannot do what it was asked.
    #[error("{url} refuses [{word}]: {message}")]
    Fault {
        /// The validator.
        url: String,
        /// Its stable word.
        word: String,
        /// What it says.
        message: String,
        /// Whether asking again later may help.
        later: bool,
    },
    /// The validator's answer is none.
    #[error("{url} answers with what is no {what}: ask another validator (tally notary add)")]
    Answer {
        /// The validator.
        url: String,
        /// What was asked for.
        what: &'static str,
    },
    /// A certificate is not vouched for by the trusted validators.
    #[error("the notary's certificate is refused: {0}")]
    Certificate(#[from] CertificateError),
    /// A proof does not show what it should.
    #[error("the notary's proof is refused: {0}")]
    Proof(#[from] ProofError),
    /// The tree did not only grow.
    #[error(
        "the notary does not show that its tree only grew since round {0}: settle with another validator, and tell others"
    )]
    Shrunk(u64),
    /// The file is no trust base.
    #[error("this is no trust base ({0}): get the file from the network's operator")]
    TrustFile(&'static str),
    /// The trust base makes no sense.
    #[error(transparent)]
    Trust(#[from] TrustBaseError),
    /// The trust base is of another network than the wallet.
    #[error(
        "the trust base is of network {theirs}, the wallet of network {mine}: use the file of your network"
    )]
    Network {
        /// The wallet's.
        mine: NetworkId,
        /// The trust base's.
        theirs: NetworkId,
    },
    /// The wallet trusts other validators already, or has as many addresses as it keeps.
    #[error("the notary cannot be added: {0}")]
    Add(&'static str),
    /// The wallet has no notary.
    #[error("this wallet knows no notary: add one (tally notary add --url U --trust F)")]
    None,
    /// The notary has accepted the request, and did not decide in time.
    #[error(
        "the notary did not certify in time, and may still: settle again, nothing is paid twice"
    )]
    Late,
}

impl NotaryError {
    /// Stable code of this error.
    pub fn code(&self) -> &str {
        match self {
            Self::Http(e) => e.code(),
            Self::Fault { .. } => "NOTARY_FAULT",
            Self::Answer { .. } => "NOTARY_ANSWER",
            Self::Certificate(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Shrunk(_) => "NOTARY_SHRUNK",
            Self::TrustFile(_) => "TRUST_FILE",
            Self::Trust(e) => e.code(),
            Self::Network { .. } => "TRUST_NETWORK",
            Self::Add(_) => "NOTARY_ADD",
            Self::None => "NOTARY_NONE",
            Self::Late => "NOTARY_LATE",
        }
    }

    /// Whether another validator, or the same one later, may do better.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Fault { later: true, .. } | Self::Late)
    }
}
