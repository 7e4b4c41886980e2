//! Write down what hardware signs for a slot.

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer, from_bytes, to_bytes};
use crate::seal::SlotProof;

/// Longest proof of a TPM on the wire, in bytes.
pub const MAX_TPM_PROOF: usize = 90;

const KIND_TPM_AUDIT: u64 = 1;
const SAFE: u8 = 1;
const EXCLUSIVE: u8 = 2;

/// What a TPM says of its clock in everything that it attests (TPM 2.0 Part 2, 10.11.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClockInfo {
    /// Milliseconds of powered time since the TPM was last cleared.
    pub clock: u64,
    /// How often it was reset since then.
    pub resets: u32,
    /// How often it was resumed since the last reset.
    pub restarts: u32,
    /// Whether no higher clock was ever shown.
    pub safe: bool,
}

/// A TPM's signature over the digest of an audit session that held exactly the four commands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TpmAudit {
    /// ECDSA on P-256 in the form R‖S, with a low S.
    pub signature: [u8; 64],
    /// The TPM's clock.
    pub clock: ClockInfo,
    /// Whether no command came between that was not in the session.
    pub exclusive: bool,
}

/// What a seal's hardware gives as proof for a slot. Numbers 2 and 3 are kept for a phone's
/// single-use key and for an applet in a secure element.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum HardwareProof {
    /// By a TPM 2.0.
    TpmAudit(TpmAudit),
}

impl From<HardwareProof> for SlotProof {
    fn from(proof: HardwareProof) -> Self {
        Self::new(to_bytes(&proof)).expect("a proof of any kind is far below the limit")
    }
}

impl TryFrom<&SlotProof> for HardwareProof {
    type Error = DecodeError;

    fn try_from(proof: &SlotProof) -> Result<Self, DecodeError> {
        from_bytes(proof.as_bytes())
    }
}

impl Encode for HardwareProof {
    fn encode(&self, w: &mut Writer) {
        let Self::TpmAudit(audit) = self;
        let safe = if audit.clock.safe { SAFE } else { 0 };
        let exclusive = if audit.exclusive { EXCLUSIVE } else { 0 };
        w.array(6);
        w.uint(KIND_TPM_AUDIT);
        audit.signature.encode(w);
        audit.clock.clock.encode(w);
        audit.clock.resets.encode(w);
        audit.clock.restarts.encode(w);
        w.uint(u64::from(safe + exclusive));
    }
}

impl Decode for HardwareProof {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (KIND_TPM_AUDIT, 5) => {
                let signature = Decode::decode(r)?;
                let (clock, resets, restarts) =
                    (Decode::decode(r)?, Decode::decode(r)?, Decode::decode(r)?);
                let flags = u8::decode(r)?;
                if flags > (SAFE + EXCLUSIVE) {
                    return Err(DecodeError::OutOfRange);
                }
                let clock = ClockInfo { clock, resets, restarts, safe: flags & SAFE != 0 };
                let exclusive = flags & EXCLUSIVE != 0;
                Ok(Self::TpmAudit(TpmAudit { signature, clock, exclusive }))
            }
            (KIND_TPM_AUDIT, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}
