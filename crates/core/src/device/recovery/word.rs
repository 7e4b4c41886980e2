//! Free what is set apart by the owner's word, and strike what the network shows to be spent.

use alloc::collections::BTreeSet;

use super::Apart;
use crate::device::{
    Change, Device, DeviceError, Mode, Output, OwnError, Pocket, RecoveryError, World,
};
use crate::evidence::Claims;
use crate::id::{AssetId, CoinId};
use crate::notary::InclusionProof;
use crate::transaction::MAX_INPUTS;

impl Device {
    /// The owner's word frees coins that are set apart: one payment to oneself moves them, and what it
    /// makes is free once it is certified.
    ///
    /// `unspent` are the coins that the network shows to be unspent now. That is needed, and it is not
    /// enough: what a lost payee has not settled is unspent there. If it comes back with a payment of
    /// one of these coins, this device is convicted.
    pub(in crate::device) fn free(
        &mut self,
        world: &World<'_>,
        asset: AssetId,
        unspent: &[CoinId],
    ) -> Result<Output, DeviceError> {
        self.may_step()?;
        let picked = self.to_free(world, &asset, unspent)?;
        let pockets: BTreeSet<CoinId> = picked.iter().map(|pocket| pocket.id).collect();
        let amount = super::super::own::sum(&picked)?;
        let owner = self.predicate_for(world, &asset);
        let draft = self.own_draft(world, &picked, amount)?;
        let mut output = self.pay_myself(world, draft, owner)?;
        let made = output.changes.iter().find_map(|change| match change {
            Change::Outgoing(outgoing) => Some(CoinId::of(&outgoing.tx, 0)),
            _ => None,
        });
        self.add(&mut output, pockets.into_iter().map(|id| Change::Apart(id, None)));
        self.add(&mut output, made.map(|id| Change::Apart(id, Some(Apart::Freed))));
        Ok(output)
    }

    fn to_free(
        &self,
        world: &World<'_>,
        asset: &AssetId,
        unspent: &[CoinId],
    ) -> Result<alloc::vec::Vec<&Pocket>, DeviceError> {
        let asked = |pocket: &Pocket| {
            let coin = pocket.coin.as_ref();
            pocket.is_ready()
                && coin.is_some_and(|(_, coin)| coin.asset == *asset)
                && pocket.reserved_for(world.now).is_none()
                && self.can_move(pocket)
                && self.locked_pocket(world, pocket).is_ok()
        };
        let apart = self.ledger.set_apart().filter(|(_, apart)| *apart == Apart::Question);
        let apart: alloc::vec::Vec<&Pocket> =
            apart.map(|(pocket, _)| pocket).filter(|p| asked(p)).collect();
        if apart.is_empty() {
            return Err(RecoveryError::NotApart.into());
        }
        let certified =
            |pocket: &&Pocket| pocket.evidence.claims(&self.policies).iter().all(Claims::certified);
        if !apart.iter().any(certified) {
            return Err(OwnError::Uncertified.into());
        }
        let shown =
            |pocket: &&Pocket| pocket.coin.as_ref().is_some_and(|(id, _)| unspent.contains(id));
        let picked = apart.into_iter().filter(certified).filter(shown).take(MAX_INPUTS);
        let picked: alloc::vec::Vec<&Pocket> = picked.collect();
        if picked.is_empty() { Err(RecoveryError::NotUnspent.into()) } else { Ok(picked) }
    }

    /// The network shows that a coin that is here was spent: by a step of this device's own that it
    /// does not know. The coin is spent here too; a device that did not know that it was set back knows
    /// it now.
    pub(in crate::device) fn spent(
        &mut self,
        world: &World<'_>,
        coin: CoinId,
        proof: &InclusionProof,
    ) -> Result<Output, DeviceError> {
        let pocket = self.ledger.holding(&coin).ok_or(DeviceError::NotWaiting)?;
        let id = pocket.id;
        let (_, held) = pocket.coin.as_ref().ok_or(DeviceError::NotWaiting)?;
        let judge = self.decided(world, &[]);
        let (winner, _) = crate::device::settle::winner(world, judge, coin, &held.owner, proof)?;
        if self.ledger.is_spent(&id) {
            return Ok(Output::default());
        }
        let noticed = self.mode == Mode::Normal && self.ledger.apart(&id).is_none();
        let mut output = if noticed { self.restored(world) } else { Output::default() };
        self.add(&mut output, [Change::Apart(id, Some(Apart::Spent(winner.tx)))]);
        Ok(output)
    }

    /// Whether a payment was one to oneself by the owner's word, of coins that were set apart.
    pub(in crate::device) fn was_freed(&self, tx: &crate::id::TxId) -> bool {
        self.ledger.apart(&CoinId::of(tx, 0)) == Some(Apart::Freed)
    }
}
