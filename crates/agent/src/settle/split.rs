//! Keep the proof that validators contradict each other.

use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::notary::{TrustBase, UnicityCertificate};

/// Two certificates of one round with different roots.
///
/// A quorum signs one root a round. If both are signed, a third of the validators or more signed both:
/// whoever has the two can show it to anyone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SplitView {
    /// One.
    pub a: UnicityCertificate,
    /// The other.
    pub b: UnicityCertificate,
}

impl SplitView {
    /// Whether the two contradict each other, each signed by a quorum of the trusted validators:
    /// anyone with the trust base can check it.
    pub fn holds(&self, trust: &TrustBase) -> bool {
        match (self.a.verify(trust), self.b.verify(trust)) {
            (Ok(a), Ok(b)) => a.round() == b.round() && a.root() != b.root(),
            _ => false,
        }
    }

    /// The round.
    pub fn round(&self) -> u64 {
        self.a.record.round
    }
}

impl Encode for SplitView {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        self.a.encode(w);
        self.b.encode(w);
    }
}

impl Decode for SplitView {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| Ok(Self { a: Decode::decode(r)?, b: Decode::decode(r)? }))
    }
}
