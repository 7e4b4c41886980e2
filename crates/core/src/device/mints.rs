//! Remember which mint used which serial, and notice a second one (spec `MINT-8`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Change, Device, Output};
use crate::evidence::{Evidence, EvidenceError, Minted};
use crate::id::{AssetId, TxId};

/// Most mints of one asset that are remembered; of more, those with the lowest serials are
/// forgotten.
pub(super) const MAX_MINTS_SEEN: usize = 16_384;

/// The mints behind all that was received, by asset and serial.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Mints(BTreeMap<AssetId, BTreeMap<u64, TxId>>);

impl Mints {
    pub(super) fn put(&mut self, asset: AssetId, serial: u64, mint: Option<TxId>) {
        let seen = self.0.entry(asset).or_default();
        match mint {
            Some(mint) => seen.insert(serial, mint),
            None => seen.remove(&serial),
        };
    }

    fn get(&self, minted: &Minted) -> Option<&TxId> {
        self.0.get(&minted.mint.body.asset)?.get(&minted.mint.body.serial)
    }

    fn lowest(&self, asset: &AssetId, most: usize) -> Option<u64> {
        let seen = self.0.get(asset).filter(|seen| seen.len() > most)?;
        seen.first_key_value().map(|(serial, _)| *serial)
    }
}

impl Device {
    /// Refuses evidence, which was verified, with a mint whose serial another mint used that was
    /// seen here. A mint that the notary certified is the one that counts.
    pub(super) fn check_mints(&self, evidence: &Evidence) -> Result<(), EvidenceError> {
        let other = |minted: &&Minted| {
            let known = self.mints.get(minted).is_some_and(|known| *known != minted.mint.body.id());
            known && minted.certified.is_none()
        };
        if evidence.mints.iter().any(|minted| other(&minted)) {
            return Err(EvidenceError::SpentTwice);
        }
        Ok(())
    }

    /// Remembers the mints behind what was received. The first that was seen of a serial stays,
    /// unless another is certified.
    pub(super) fn remember_mints(&mut self, output: &mut Output, evidence: &Evidence) {
        let new = |minted: &&Minted| match self.mints.get(minted) {
            None => true,
            Some(known) => minted.certified.is_some() && *known != minted.mint.body.id(),
        };
        let new: Vec<Minted> = evidence.mints.iter().filter(new).cloned().collect();
        for body in new.iter().map(|minted| &minted.mint.body) {
            let (asset, serial, mint) = (body.asset, body.serial, Some(body.id()));
            self.add(output, [Change::Minted { asset, serial, mint }]);
            if let Some(serial) = self.mints.lowest(&asset, MAX_MINTS_SEEN) {
                self.add(output, [Change::Minted { asset, serial, mint: None }]);
            }
        }
    }
}
