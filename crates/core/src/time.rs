//! Take time as an argument: seconds since 1970 (Unix time), as the caller's clock has them.

use core::fmt;

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};

/// A point in time, in Unix seconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Time(u64);

impl Time {
    /// Takes Unix seconds.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Unix seconds.
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// The time `seconds` later, at most the end of time.
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this time, 0 if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for Time {
    fn encode(&self, w: &mut Writer) {
        w.uint(self.0);
    }
}

impl Decode for Time {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.uint().map(Self)
    }
}
