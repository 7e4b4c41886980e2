//! End recovery, strike what the network shows to be spent, and free what is set apart by the owner's
//! word (spec `RECOVER-4` to `RECOVER-13`).

use std::collections::BTreeMap;

use tally_agent::settle::Standing;
use tally_core::device::{
    Apart, Basis, Device, DeviceError, Event, Input, Mode, Position, RecoveryError, World,
};
use tally_core::id::{AssetId, CoinId, DeviceId};
use tally_core::notary::StateId;
use tally_core::seal::TpmProofs;
use tally_seal::SealError;
use tally_seal::journal::Rollback;

use crate::notary::Notaries;
use crate::own::Moved;
use crate::settle::Progress;
use crate::wallet::now;
use crate::{Wallet, WalletError};

impl Wallet {
    /// The owner gives up on meeting a contact before recovery is confirmed. Whatever that contact was
    /// paid since the backup, and keeps to itself, may convict this wallet of a fork later.
    ///
    /// # Errors
    /// [`WalletError::Device`] when there is no such contact.
    pub fn give_up(&mut self, contact: DeviceId) -> Result<(), WalletError> {
        self.act(Input::GiveUp { contact }, &mut |_| {}).map(|_| ())
    }

    /// The number of the latest step that this wallet, or its journal on this machine, knows to be signed.
    pub fn last_known_step(&self) -> u64 {
        let last = self.device().last_signed();
        self.seal.journal().map_or(last, |at| at.seq.max(last))
    }

    /// The owner says that everyone who was paid since the backup has been met: sign again.
    ///
    /// The journal on this machine, or at least one contact, has to vouch for the latest step, unless
    /// the owner does: `nothing_paid` is their word that nothing was paid after the latest step that is
    /// known to this wallet or to its journal. If it is wrong, the next payment is a fork.
    ///
    /// # Errors
    /// [`WalletError::Device`] while contacts are to be met, or nothing vouches for the latest step;
    /// [`WalletError::Seal`] when the journal on this machine knows of a later step than the wallet, and
    /// the owner does not give their word that it was the last.
    pub fn confirm_recovery(&mut self, nothing_paid: bool) -> Result<(), WalletError> {
        self.recover(nothing_paid, false)
    }

    /// The same, by an owner who gives the wallet's TPM up: it broke, or stayed behind in another
    /// machine. Coins under its counters wait for the end of their locks, and then move by the key
    /// alone; payments that wait for its proofs are given up. A wallet that may sign does just that, and
    /// has nothing to recover. Never do this while a copy of the wallet is still at work beside the TPM: the two would
    /// contradict each other.
    ///
    /// # Errors
    /// As [`Wallet::confirm_recovery`].
    pub fn confirm_recovery_without_tpm(&mut self, nothing_paid: bool) -> Result<(), WalletError> {
        self.recover(nothing_paid, true)
    }

    fn recover(&mut self, nothing_paid: bool, without_tpm: bool) -> Result<(), WalletError> {
        self.ready()?;
        if *self.device().mode() == Mode::Normal {
            return if without_tpm { self.look_at_counters(true) } else { Ok(()) };
        }
        // Whoever is still to be met may have the steps that are missing.
        self.confirmed(Basis::OwnersWord)?;
        let basis = self.basis(nothing_paid)?;
        self.confirmed(basis)?;
        let before = self.device().shown_beyond();
        if self.notaries.is_some() {
            self.strike_spent()?;
            if self.device().shown_beyond() > before {
                // Any word was given before this was known.
                let last = self.device().last_signed();
                return Err(DeviceError::from(RecoveryError::EndOpen(last)).into());
            }
        }
        // The TPM is given up only now: who is refused may find it in a drawer tomorrow.
        self.look_at_counters(without_tpm)?;
        let Position { seq, head } = self.confirmed(basis)?.entry().to;
        if self.seal.check(seq, &head) != Rollback::None {
            self.seal.adopt(seq, &head)?;
        }
        self.run(vec![Input::ConfirmRecovery(basis)], &mut |_| {})?;
        self.remind(&mut |_| {})
    }

    /// The device as it would be once recovery is confirmed.
    fn confirmed(&self, basis: Basis) -> Result<Device, WalletError> {
        let notary = self.notaries.as_ref().map(Notaries::trust);
        let world = World { now: now(), seals: &TpmProofs, notary };
        let mut device = self.device().clone();
        device.handle(&world, Input::ConfirmRecovery(basis))?;
        Ok(device)
    }

    /// What vouches for the step that the wallet goes on from, whatever is missing below.
    fn basis(&self, nothing_paid: bool) -> Result<Basis, WalletError> {
        let Position { seq, head } = self.device().goes_on_from();
        match (self.seal.check(seq, &head), nothing_paid) {
            (told @ (Rollback::Behind { .. } | Rollback::Contradiction), word) => {
                let beyond = self.seal.journal().filter(|_| word).map(Basis::JournalBeyond);
                Ok(beyond.ok_or(SealError::RolledBack(told))?)
            }
            (_, true) => Ok(Basis::OwnersWord),
            (Rollback::None, false) => Ok(Basis::Journal),
            (_, false) => Ok(Basis::Contacts),
        }
    }

    /// Coins that are here and that the network shows to be spent are spent here too: steps of its own
    /// that this wallet does not know have spent them. A network that shows nothing that counts says
    /// nothing.
    fn strike_spent(&mut self) -> Result<(), WalletError> {
        let held = self.device().ledger().pockets().filter(|pocket| pocket.is_ready());
        let coins = held.filter_map(|pocket| Some(pocket.coin.as_ref()?.0));
        self.unspent(&coins.collect::<Vec<CoinId>>()).map(drop)
    }

    /// The owner's word frees coins of an asset that are set apart, as many as one step can spend and as
    /// the network shows to be unspent: through one payment to oneself, which is certified. If a lost
    /// payee comes back with a payment of one of them, this wallet is convicted.
    ///
    /// # Errors
    /// Before anything is signed: as [`Wallet::settle`], and [`WalletError::Device`] when nothing is set
    /// apart, certified, and shown to be unspent. After it: as [`Wallet::settle`], and a settlement completes it.
    pub fn free(
        &mut self,
        asset: AssetId,
        progress: &mut dyn FnMut(Progress),
        show: &mut dyn FnMut(&Event),
    ) -> Result<Moved, WalletError> {
        self.ready()?;
        self.device().may_step()?;
        self.settle(progress, show)?;
        let apart = self.device().set_apart().filter(|(_, why)| *why == Apart::Question);
        let coins = apart.filter_map(|(pocket, _)| pocket.coin.as_ref());
        let coins = coins.filter(|(_, coin)| coin.asset == asset).map(|(id, _)| *id);
        let unspent = self.unspent(&coins.collect::<Vec<CoinId>>())?;
        self.move_own(Input::Free { asset, unspent }, progress, show)
    }

    /// Those of these coins that the network shows to be unspent now. What it shows to be spent is
    /// struck.
    fn unspent(&mut self, coins: &[CoinId]) -> Result<Vec<CoinId>, WalletError> {
        let states = coins.iter().filter_map(|coin| Some((self.state_of(coin)?, *coin)));
        let states: BTreeMap<StateId, CoinId> = states.collect();
        let shown = self.standings(states.keys().copied().collect())?;
        let unspent = shown.iter().filter(|(_, known)| matches!(known, Standing::Unspent(_)));
        Ok(unspent.filter_map(|(state, _)| states.get(state).copied()).collect())
    }
}
