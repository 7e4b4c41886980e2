//! Read and verify a token of the Unicity network: a mint, and the transfers after it.
//!
//! Tally's own coins do not travel in this form. It is here so that the wire types are held against whole
//! histories made by another implementation, and so that a wallet can look into one. A token minted as part
//! of a split is refused, because its justification is a second history that this module does not follow.

use alloc::vec::Vec;

use super::predicate::{Engine, WirePredicate};
use super::proof::{InclusionProof, ProofError};
use super::state::{Spend, StateHash, TransactionHash, name32};
use super::tagged_record;
use super::trust::TrustBase;
use crate::cbor::{
    Blob, Decode, DecodeError, Encode, List, Reader, Writer, from_bytes, record, to_bytes,
};
use crate::hash::sha256;
use crate::id::{Digest, NetworkId};
use crate::keys::SecretKey;
use crate::time::Time;

/// Longest data or justification of a transaction, in bytes.
pub const MAX_DATA: usize = 1 << 16;

/// Most transfers of a token.
pub const MAX_TRANSFERS: usize = 256;

/// Most roots of a split.
pub const MAX_MANIFEST: usize = 64;

/// Its hash stands in the mint's source state, beside the token's id.
const MINT_SUFFIX: &[u8] = b"TOKENID";

/// Stands in the derivation of the key that signs a token's mint. The key is public on purpose: a mint needs
/// no permission, only that no other mint has its id.
const MINTER: &[u8] = b"I_AM_UNIVERSAL_MINTER_FOR_";

name32! {
    /// A token: the hash of its salt and network.
    TokenId
}

/// A byte string of `MIN` to `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Span<const MIN: usize, const MAX: usize>(Blob<MAX>);

impl<const MIN: usize, const MAX: usize> Span<MIN, MAX> {
    /// Takes `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`] when there are fewer than `MIN` or more than `MAX`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        if bytes.len() < MIN {
            return Err(DecodeError::WrongLength);
        }
        Blob::new(bytes).map(Self)
    }
}

impl<const MIN: usize, const MAX: usize> Encode for Span<MIN, MAX> {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl<const MIN: usize, const MAX: usize> Decode for Span<MIN, MAX> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(r.bytes(MAX)?.into())
    }
}

/// A deadline: never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Deadline(Time);

impl Deadline {
    /// Takes a time that is not 0.
    pub fn new(time: Time) -> Option<Self> {
        (time.unix() != 0).then_some(Self(time))
    }

    /// The time.
    pub fn time(self) -> Time {
        self.0
    }
}

impl Encode for Deadline {
    fn encode(&self, w: &mut Writer) {
        self.0.encode(w);
    }
}

impl Decode for Deadline {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(Time::decode(r)?).ok_or(DecodeError::OutOfRange)
    }
}

/// Makes a token: `39041([2, network, recipient, salt, kind, justification, data, expires_at])`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MintTransaction {
    /// The network, which is part of the token's id.
    pub network: NetworkId,
    /// The first owner.
    pub recipient: WirePredicate,
    /// Makes the token's id unique.
    pub salt: Span<16, 64>,
    /// What kind of token it is.
    pub kind: Span<1, 64>,
    /// Why it may be minted, where the kind needs a reason.
    pub justification: Option<Blob<MAX_DATA>>,
    /// Anything else.
    pub data: Option<Blob<MAX_DATA>>,
    /// The time from which it may no longer be certified.
    pub expires_at: Option<Deadline>,
}

tagged_record!(MintTransaction, 39041, version 2 {
    network, recipient, salt, kind, justification, data, expires_at
});

impl MintTransaction {
    /// The token's id.
    pub fn token_id(&self) -> TokenId {
        TokenId::new(hash_pair(&self.salt, &self.network))
    }

    /// The state that the mint spends: one for each token id, so that an id is minted once.
    pub fn source(&self) -> StateHash {
        let suffix = sha256(MINT_SUFFIX);
        StateHash::new(hash_pair(&self.token_id(), &suffix))
    }

    /// The key that signs this mint. Everybody can compute it.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] for about one token id in 2^127, which cannot be minted.
    pub fn minter(&self) -> Result<SecretKey, DecodeError> {
        let mut w = Writer::new();
        w.array(2);
        w.bytes(MINTER);
        self.token_id().encode(&mut w);
        SecretKey::new(sha256(&w.into_bytes()))
    }

    /// The hash that the notary certifies.
    pub fn hash(&self) -> TransactionHash {
        TransactionHash::new(sha256(&to_bytes(self)))
    }

    /// The state that the first owner has.
    pub fn next_state(&self) -> StateHash {
        next_state(&self.source(), &self.token_id())
    }
}

/// Hands a token on: `39045([2, recipient, state_mask, data, expires_at])`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TransferTransaction {
    /// The next owner.
    pub recipient: WirePredicate,
    /// Blinds the next state.
    pub state_mask: Span<16, 64>,
    /// Anything else.
    pub data: Option<Blob<MAX_DATA>>,
    /// The time from which it may no longer be certified.
    pub expires_at: Option<Deadline>,
}

tagged_record!(TransferTransaction, 39045, version 2 { recipient, state_mask, data, expires_at });

impl TransferTransaction {
    /// The hash that the notary certifies.
    pub fn hash(&self) -> TransactionHash {
        TransactionHash::new(sha256(&to_bytes(self)))
    }

    /// The state that the recipient has, after the one that is spent.
    pub fn next_state(&self, source: &StateHash) -> StateHash {
        next_state(source, &self.state_mask)
    }
}

/// A mint with its proof.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CertifiedMint {
    /// The mint.
    pub transaction: MintTransaction,
    /// That it is certified.
    pub proof: InclusionProof,
}

record!(CertifiedMint { transaction, proof });

/// A transfer with its proof.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CertifiedTransfer {
    /// The transfer.
    pub transaction: TransferTransaction,
    /// That it is certified.
    pub proof: InclusionProof,
}

record!(CertifiedTransfer { transaction, proof });

/// A token's whole history: `39040([2, mint, [transfer…]])`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Token {
    /// How it came into being.
    pub genesis: CertifiedMint,
    /// How it came to its owner.
    pub transfers: List<CertifiedTransfer, MAX_TRANSFERS>,
}

tagged_record!(Token, 39040, version 2 { genesis, transfers });

/// The roots of the sum trees, one for each asset, into which a token was split: `39046([root…])`.
///
/// It is only read here, not followed: see [`TokenError::Justification`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SplitManifest(pub List<Digest, MAX_MANIFEST>);

impl Encode for SplitManifest {
    fn encode(&self, w: &mut Writer) {
        w.tag(39046);
        self.0.encode(w);
    }
}

impl Decode for SplitManifest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.tagged(39046, List::decode).map(Self)
    }
}

/// What a verified token is worth knowing for. Only [`Token::verify`] makes one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct VerifiedToken {
    id: TokenId,
    owner: WirePredicate,
    state: StateHash,
}

impl VerifiedToken {
    /// The token.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// Who may spend it.
    pub fn owner(&self) -> &WirePredicate {
        &self.owner
    }

    /// The state that its next transfer spends.
    pub fn state(&self) -> StateHash {
        self.state
    }
}

/// Why a token's history is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It was minted on another network.
    #[error("the token is of another network: it is worth nothing on this one")]
    Network,
    /// No key can sign for this id.
    #[error("the token's id cannot be minted: refuse it")]
    Minter,
    /// It was minted with a justification, which is not followed.
    #[error(
        "the token was minted from others: verify it with a program that follows their histories"
    )]
    Justification,
    /// The mint is not certified.
    #[error("the token's mint is not certified: {0}")]
    Mint(ProofError),
    /// A transfer is not certified.
    #[error("a transfer of the token is not certified: {0}")]
    Transfer(ProofError),
}

impl TokenError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Network => "TOKEN_NETWORK",
            Self::Minter => "TOKEN_MINTER",
            Self::Justification => "TOKEN_JUSTIFICATION",
            Self::Mint(_) => "TOKEN_MINT",
            Self::Transfer(_) => "TOKEN_TRANSFER",
        }
    }
}

impl Token {
    /// Decodes a token.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not its canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_bytes(bytes)
    }

    /// Checks the whole history, each step from the state that the one before left (`WIRE-27`).
    ///
    /// # Errors
    /// [`TokenError`] for the first step that is not certified.
    pub fn verify(
        &self,
        trust: &TrustBase,
        engine: &dyn Engine,
    ) -> Result<VerifiedToken, TokenError> {
        let mint = &self.genesis.transaction;
        if mint.network != trust.network() {
            return Err(TokenError::Network);
        }
        if mint.justification.is_some() {
            return Err(TokenError::Justification);
        }
        let minter = mint.minter().map_err(|_| TokenError::Minter)?.public();
        let spend = Spend {
            predicate: &WirePredicate::signature(&minter),
            source: mint.source(),
            transaction: mint.hash(),
            expires_at: mint.expires_at.map(Deadline::time),
        };
        self.genesis.proof.verify(&spend, trust, engine).map_err(TokenError::Mint)?;
        let (mut owner, mut state) = (&mint.recipient, mint.next_state());
        for CertifiedTransfer { transaction, proof } in self.transfers.iter() {
            let spend = Spend {
                predicate: owner,
                source: state,
                transaction: transaction.hash(),
                expires_at: transaction.expires_at.map(Deadline::time),
            };
            proof.verify(&spend, trust, engine).map_err(TokenError::Transfer)?;
            (owner, state) = (&transaction.recipient, transaction.next_state(&state));
        }
        Ok(VerifiedToken { id: mint.token_id(), owner: owner.clone(), state })
    }
}

/// `SHA-256(CBOR [0000 ‖ source, mask])`; 0000 is the number of SHA-256 in the outside format.
fn next_state(source: &StateHash, mask: &dyn Encode) -> StateHash {
    let mut imprint = [0; 34];
    imprint[2..].copy_from_slice(source.as_bytes());
    StateHash::new(hash_pair(&imprint, mask))
}

fn hash_pair(first: &dyn Encode, second: &dyn Encode) -> [u8; 32] {
    let mut w = Writer::new();
    w.array(2);
    first.encode(&mut w);
    second.encode(&mut w);
    sha256(&w.into_bytes())
}
