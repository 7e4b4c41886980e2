//! Decide on the notary's wire what [`Predicate::check`] decides.

use core::fmt;

use super::{Predicate, Unlock};
use crate::cbor::{DecodeError, from_bytes, to_bytes};
use crate::id::{CoinId, TxId};
use crate::keys::Signature;
use crate::notary::{Engine, Spend};
use crate::seal::SlotVerifier;
use crate::time::Time;

/// Decides Tally's own predicates on the notary's wire by the one function for all of them.
#[derive(Clone, Copy)]
pub struct TallyEngine<'a> {
    /// How slot proofs are checked.
    pub seals: &'a dyn SlotVerifier,
}

impl fmt::Debug for TallyEngine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TallyEngine")
    }
}

impl Engine for TallyEngine<'_> {
    fn unlocks(&self, spend: &Spend<'_>, unlock: &[u8], at: Time) -> bool {
        let Ok(predicate) = Predicate::from_wire(spend.predicate) else { return false };
        let Ok(unlock) = Unlock::from_wire(&predicate, unlock) else { return false };
        let coin = CoinId::new(*spend.source.as_bytes());
        let tx = TxId::new(*spend.transaction.as_bytes());
        predicate.check(&coin, &tx, &unlock, at, self.seals).is_ok()
    }
}

impl Unlock {
    /// The unlock as the notary's wire carries it beside `predicate`: a bare signature for the
    /// wire's own predicate, its encoding for Tally's (spec `PRED-8`).
    pub fn to_wire(&self, predicate: &Predicate) -> alloc::vec::Vec<u8> {
        match (predicate, self) {
            (Predicate::Signature(_), Self::Signature(owner)) => owner.as_bytes().into(),
            _ => to_bytes(self),
        }
    }

    /// The unlock that the notary's wire carries beside `predicate`.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none.
    pub fn from_wire(predicate: &Predicate, bytes: &[u8]) -> Result<Self, DecodeError> {
        match predicate {
            Predicate::Signature(_) => {
                let bytes = bytes.try_into().map_err(|_| DecodeError::WrongLength)?;
                Ok(Self::Signature(Signature::secp256k1(bytes)))
            }
            _ => from_bytes(bytes),
        }
    }
}
