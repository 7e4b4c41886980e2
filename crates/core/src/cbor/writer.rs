//! The encoding side: `minicbor` writes shortest heads; this fixes the sink.

use alloc::vec::Vec;
use minicbor::Encoder;

/// Appends CBOR items to a buffer. Writing to memory cannot fail.
#[derive(Debug)]
pub struct Writer {
    out: Encoder<Vec<u8>>,
}

/// `Vec<u8>` as a sink has [`core::convert::Infallible`] for its error.
const INFALLIBLE: &str = "writing to memory cannot fail";

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty buffer, with room for an object of usual size.
    pub fn new() -> Self {
        Self { out: Encoder::new(Vec::with_capacity(256)) }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out.into_writer()
    }

    /// An unsigned integer.
    pub fn uint(&mut self, n: u64) {
        self.out.u64(n).expect(INFALLIBLE);
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.bytes(bytes).expect(INFALLIBLE);
    }

    /// A text string.
    pub fn text(&mut self, text: &str) {
        self.out.str(text).expect(INFALLIBLE);
    }

    /// The head of an array of `n` items, which follow.
    pub fn array(&mut self, n: u64) {
        self.out.array(n).expect(INFALLIBLE);
    }

    /// The head of a map of `n` pairs, which follow, keys ascending.
    pub fn map(&mut self, n: u64) {
        self.out.map(n).expect(INFALLIBLE);
    }

    /// A tag on the item that follows.
    pub fn tag(&mut self, tag: u64) {
        self.out.tag(minicbor::data::Tag::new(tag)).expect(INFALLIBLE);
    }

    /// The absent value.
    pub fn null(&mut self) {
        self.out.null().expect(INFALLIBLE);
    }
}
