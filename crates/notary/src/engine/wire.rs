//! Give blocks the forms that commonware asks for.

use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error as CodecError, RangeCfg, Read, Write, varint::UInt};
use commonware_consensus::types::Height;
use commonware_consensus::{Block as ConsensusBlock, BoundedBlock, Heightable};
use commonware_cryptography::{Digested, Digestible, sha256};

use crate::block::{Block, BlockHash, MAX_BLOCK_BYTES};

/// A block on the wire and in commonware's stores: a length and the block's own encoding.
#[derive(Clone, Debug)]
pub(super) struct WireBlock(pub(super) Block);

impl WireBlock {
    /// The block with its name, for commonware.
    pub(super) fn digested(block: Block) -> Digested<Self> {
        let digest = to_digest(block.hash());
        Digested::precomputed(Self(block), digest)
    }
}

/// A block's name as commonware has it.
pub(super) fn to_digest(hash: BlockHash) -> sha256::Digest {
    sha256::Digest(*hash.as_bytes())
}

impl Write for WireBlock {
    fn write(&self, buf: &mut impl BufMut) {
        self.0.encode().as_slice().write(buf);
    }
}

impl EncodeSize for WireBlock {
    fn encode_size(&self) -> usize {
        UInt(self.0.size() as u64).encode_size() + self.0.size()
    }
}

impl Read for WireBlock {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, CodecError> {
        let bytes = Vec::<u8>::read_cfg(buf, &(RangeCfg::from(0..=MAX_BLOCK_BYTES), ()))?;
        let block = Block::decode(&bytes);
        block.map(Self).map_err(|error| CodecError::Wrapped("block", Box::new(error)))
    }
}

impl Digestible for WireBlock {
    type Digest = sha256::Digest;

    fn digest(&self) -> sha256::Digest {
        to_digest(self.0.hash())
    }
}

impl Heightable for WireBlock {
    fn height(&self) -> Height {
        Height::new(self.0.height())
    }
}

impl ConsensusBlock for WireBlock {
    fn parent(&self) -> sha256::Digest {
        to_digest(self.0.header().parent)
    }
}

impl BoundedBlock for WireBlock {
    fn max_encode_size(_: &()) -> usize {
        MAX_BLOCK_BYTES + 10
    }
}
