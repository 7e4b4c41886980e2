//! Name what stops a second spend of a payment: the one word that a payee looks at.

use core::fmt;

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};

/// What stops a second spend, weakest first. The order is the order of strength.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Tier {
    /// Nothing stops it; it is detected, provable and punished when the two histories meet.
    Signed,
    /// Nothing stops it; a certified bond larger than the exposure is forfeited.
    Bonded,
    /// The value was locked to this payee by a certified transaction.
    Reserved,
    /// The coin is bound to a hardware counter that moves past each value once.
    Sealed,
    /// A notary holds the first spend of this state in a certified tree.
    Certified,
}

impl Tier {
    /// Every tier, weakest first.
    pub const ALL: [Self; 5] =
        [Self::Signed, Self::Bonded, Self::Reserved, Self::Sealed, Self::Certified];

    /// The tier's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signed => "Signed",
            Self::Bonded => "Bonded",
            Self::Reserved => "Reserved",
            Self::Sealed => "Sealed",
            Self::Certified => "Certified",
        }
    }

    /// The assumption that the tier rests on: never show the tier's promise without it.
    pub const fn assumption(self) -> &'static str {
        match self {
            Self::Signed => {
                "nothing stops a second spend; it is detected and proved once payees sync, and it costs the payer's identity"
            }
            Self::Bonded => {
                "holds if fewer than 1/3 of the validators are malicious and the payer's total exposure is below its bond"
            }
            Self::Reserved => {
                "holds if fewer than 1/3 of the validators are malicious and you settle before the lock ends"
            }
            Self::Sealed => {
                "holds if the payer's hardware is genuine and unbroken, its enroller honest and known to the validators, and you settle before the lock ends"
            }
            Self::Certified => "holds if fewer than 1/3 of the validators are malicious",
        }
    }

    /// Reads a tier's name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Encode for Tier {
    fn encode(&self, w: &mut Writer) {
        w.uint(*self as u64);
    }
}

impl Decode for Tier {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let n = r.uint()?;
        Self::ALL.into_iter().find(|tier| *tier as u64 == n).ok_or(DecodeError::Unknown)
    }
}
