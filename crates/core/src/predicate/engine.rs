//! Decide on the notary's wire what [`Predicate::check`] decides.

use super::{Predicate, Unlock};
use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, from_bytes, to_bytes};
use crate::id::{CoinId, TxId};
use crate::keys::Signature;
use crate::notary::{Engine, Spend};
use crate::seal::{Judge, SealCertificate};
use crate::time::Time;

/// Decides Tally's own predicates on the notary's wire by the one function for all of them.
#[derive(Clone, Copy, Debug)]
pub struct TallyEngine<'a> {
    /// Who decides whether slot proofs count. The enrollment on the wire comes to what it knows.
    pub judge: Judge<'a>,
}

impl Engine for TallyEngine<'_> {
    fn unlocks(&self, spend: &Spend<'_>, unlock: &[u8], at: Time) -> bool {
        let Ok(predicate) = Predicate::from_wire(spend.predicate) else { return false };
        let Ok((unlock, enrollment)) = Unlock::from_wire(&predicate, unlock) else { return false };
        let coin = CoinId::new(*spend.source.as_bytes());
        let tx = TxId::new(*spend.transaction.as_bytes());
        let judge = Judge { came: enrollment.as_slice(), ..self.judge };
        predicate.check(&coin, &tx, &unlock, at, &judge).is_ok()
    }
}

impl Unlock {
    /// The unlock as the notary's wire carries it beside `predicate`: a bare signature for the
    /// wire's own predicate, its encoding for Tally's (spec `PRED-8`). A seal's proof is followed by
    /// the enrollment under which it is to be checked: a notary knows no seals by itself.
    pub fn to_wire(
        &self,
        predicate: &Predicate,
        enrollment: Option<&SealCertificate>,
    ) -> alloc::vec::Vec<u8> {
        match (predicate, self, enrollment) {
            (Predicate::Signature(_), Self::Signature(owner), _) => owner.as_bytes().into(),
            (_, Self::Sealed(owner, proof), Some(enrollment)) => {
                let mut w = Writer::new();
                w.array(4);
                w.uint(KIND_SEALED);
                owner.encode(&mut w);
                proof.encode(&mut w);
                enrollment.encode(&mut w);
                w.into_bytes()
            }
            _ => to_bytes(self),
        }
    }

    /// The unlock that the notary's wire carries beside `predicate`, and the enrollment in it.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none.
    pub fn from_wire(
        predicate: &Predicate,
        bytes: &[u8],
    ) -> Result<(Self, Option<SealCertificate>), DecodeError> {
        match predicate {
            Predicate::Signature(_) => {
                let bytes = bytes.try_into().map_err(|_| DecodeError::WrongLength)?;
                Ok((Self::Signature(Signature::secp256k1(bytes)), None))
            }
            _ => from_bytes(bytes).map(|WireUnlock(unlock, enrollment)| (unlock, enrollment)),
        }
    }
}

const KIND_SEALED: u64 = 1;

/// An unlock of one of Tally's predicates as the wire carries it.
struct WireUnlock(Unlock, Option<SealCertificate>);

impl Decode for WireUnlock {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.is_bytes()? {
            return Ok(Self(Unlock::decode(r)?, None));
        }
        r.variant(|r, kind, rest| match (kind, rest) {
            (KIND_SEALED, 3) => {
                let unlock = Unlock::Sealed(Decode::decode(r)?, Decode::decode(r)?);
                Ok(Self(unlock, Some(Decode::decode(r)?)))
            }
            _ => Unlock::decode_variant(r, kind, rest).map(|unlock| Self(unlock, None)),
        })
    }
}
