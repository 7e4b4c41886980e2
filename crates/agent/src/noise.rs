//! Draw any number of random bytes from the 32 that a turn is given.

use hkdf::Hkdf;
use sha2::Sha256;

/// A turn's random bytes: HKDF-Expand of its entropy, each drawing under a number of its own.
pub(crate) struct Noise {
    from: Hkdf<Sha256>,
    drawn: u64,
}

impl Noise {
    pub(crate) fn new(entropy: &[u8; 32]) -> Self {
        Self { from: Hkdf::new(Some(b"tally/v1/agent/noise"), entropy), drawn: 0 }
    }

    /// Bytes that no other drawing of this or another turn gives.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let number = self.drawn.to_be_bytes();
        self.drawn = self.drawn.saturating_add(1);
        self.from.expand(&number, &mut bytes).expect("at most 64 bytes, and HKDF gives 8,160");
        bytes
    }
}

impl core::fmt::Debug for Noise {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Noise(..)")
    }
}
