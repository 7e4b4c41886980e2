//! End recovery, and free what is set apart by the owner's word. What is asked and in which order is for
//! [`tally_agent::recovery`] to say; here it is done.

use tally_agent::recovery::{Coins, Here, Recovery, Step, Word, last_known_step};
use tally_core::device::{Event, Input};
use tally_core::id::{AssetId, DeviceId};

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
        last_known_step(self.device(), self.seal.journal())
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

    fn recover(&mut self, nothing_paid: bool, without_seal: bool) -> Result<(), WalletError> {
        self.ready()?;
        let mut recovery = Recovery::new(Word { nothing_paid, without_seal });
        loop {
            let here = Here {
                device: self.device(),
                now: now(),
                trust: self.notaries.as_ref().map(Notaries::trust),
                journal: self.seal.journal(),
            };
            match recovery.next(&here)? {
                Step::Ask(states) => recovery.answered(&self.standings(states)?),
                Step::Look { given_up } => {
                    self.look_at_counters(given_up)?;
                    recovery.looked();
                }
                Step::Adopt(at) => self.seal.adopt(at.seq, &at.head)?,
                Step::Confirm(basis) => {
                    self.run(vec![Input::ConfirmRecovery(basis)], &mut |_| {})?;
                    self.remind(&mut |_| {})?;
                }
                Step::Done => return Ok(()),
            }
        }
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
        let coins = Coins::in_question(self.device(), &asset);
        let unspent = coins.unspent(&self.standings(coins.states())?);
        self.move_own(Input::Free { asset, unspent }, progress, show)
    }
}
