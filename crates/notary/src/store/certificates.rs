//! Certificates by height. They may get lost: others have them, and every validator can sign again.

use std::sync::Arc;

use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::notary::UnicityCertificate;

use super::disk::{Disk, DiskFile};
use super::frame::Frame;
use super::{StoreError, u64_at};

/// How many heights back the newest certificate is looked for.
const MAX_SEARCH: u64 = 4_096;

pub(super) struct Certificates {
    log: Arc<dyn DiskFile>,
    index: Arc<dyn DiskFile>,
}

impl Certificates {
    pub(super) fn open(disk: &dyn Disk) -> Result<Self, StoreError> {
        Ok(Self { log: disk.open("certificates")?, index: disk.open("certificates-index")? })
    }

    pub(super) fn put(&self, certificate: &UnicityCertificate) -> Result<(), StoreError> {
        let Some(slot) = slot(certificate.record.round) else { return Ok(()) };
        let at = self.log.append(&Frame::encode(&to_bytes(certificate)))?;
        // 0 is an empty slot.
        self.index.write_at(slot, &(at + 1).to_be_bytes())?;
        Ok(())
    }

    /// The certificate of this height, if it is there and whole.
    pub(super) fn get(&self, height: u64) -> Result<Option<UnicityCertificate>, StoreError> {
        let Some(slot) = slot(height) else { return Ok(None) };
        if slot.saturating_add(8) > self.index.len()? {
            return Ok(None);
        }
        let mut bytes = [0; 8];
        self.index.read_at(slot, &mut bytes)?;
        let Some(at) = u64_at(&bytes, 0).checked_sub(1) else { return Ok(None) };
        let Some(content) = Frame::read(&*self.log, at)? else { return Ok(None) };
        let certificate = from_bytes::<UnicityCertificate>(&content).ok();
        Ok(certificate.filter(|certificate| certificate.record.round == height))
    }

    /// The newest certificate up to this height.
    pub(super) fn latest(&self, height: u64) -> Result<Option<UnicityCertificate>, StoreError> {
        let newest = height.min(self.index.len()? / 8);
        for height in (newest.saturating_sub(MAX_SEARCH)..=newest).rev() {
            if let Some(certificate) = self.get(height)? {
                return Ok(Some(certificate));
            }
        }
        Ok(None)
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.log.sync()?;
        self.index.sync()?;
        Ok(())
    }
}

fn slot(height: u64) -> Option<u64> {
    height.checked_sub(1)?.checked_mul(8)
}
