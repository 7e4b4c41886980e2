//! What can go wrong with a notary, and what to do next.

use tally_agent::settle::Trouble;
use tally_core::id::NetworkId;
use tally_core::notary::TrustBaseError;
use tally_transport::http::Url;

/// Why a wallet has no answer of the network, or cannot ask it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotaryError {
    /// A validator's answer is missing or is not believed.
    #[error("{url}: {trouble}")]
    Validator {
        /// The validator.
        url: Url,
        /// Why.
        trouble: Trouble,
    },
    /// The network as a whole gives no answer, or a proof that came with something else does not hold.
    #[error(transparent)]
    Network(#[from] Trouble),
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
    Foreign {
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
}

impl NotaryError {
    /// Stable code of this error.
    pub fn code(&self) -> &str {
        match self {
            Self::Validator { trouble, .. } | Self::Network(trouble) => trouble.code(),
            Self::TrustFile(_) => "TRUST_FILE",
            Self::Trust(e) => e.code(),
            Self::Foreign { .. } => "TRUST_NETWORK",
            Self::Add(_) => "NOTARY_ADD",
            Self::None => "NOTARY_NONE",
        }
    }

    /// What is wrong with an answer, if it is one.
    pub(crate) const fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Validator { trouble, .. } | Self::Network(trouble) => Some(trouble),
            Self::TrustFile(_)
            | Self::Trust(_)
            | Self::Foreign { .. }
            | Self::Add(_)
            | Self::None => None,
        }
    }
}
