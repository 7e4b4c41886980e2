//! Move one's own value while online: make it one coin, set it aside for a contact, take it back.
//!
//! Each is a payment to oneself that is signed and then certified; both can be done again, and what was
//! signed and not certified is certified by the next settlement (spec `OWN-1` to `OWN-6`).

use tally_core::amount::Amount;
use tally_core::device::{Event, Input};
use tally_core::id::{AssetId, DeviceId, TxId};
use tally_core::time::Time;

use crate::packets::unfinished;
use crate::settle::{Progress, Settling};
use crate::{Wallet, WalletError};

/// A payment to oneself, and what the settlement after it came to.
#[derive(Debug)]
pub struct Moved {
    /// The payment.
    pub tx: TxId,
    /// Whether the network has certified it: until then it counts for nobody else.
    pub certified: bool,
    /// The settlement.
    pub settling: Settling,
}

impl Wallet {
    /// Makes one coin of the smallest coins of an asset, as many as one step can spend, and has it
    /// certified. If this wallet has a seal whose word counts for the asset, the coin is bound to it.
    ///
    /// # Errors
    /// Before anything is signed: as [`Wallet::settle`], and [`WalletError::Device`] when nothing of it
    /// is certified. After it: as [`Wallet::settle`], and a settlement completes it.
    pub fn refresh(
        &mut self,
        asset: AssetId,
        progress: &mut dyn FnMut(Progress),
        show: &mut dyn FnMut(&Event),
    ) -> Result<Moved, WalletError> {
        self.ready()?;
        self.device().may_step()?;
        self.settle(progress, show)?;
        self.move_own(Input::Refresh { asset }, progress, show)
    }

    /// Sets value aside for a contact, who can be paid with it at tier `Reserved` offline until the lock
    /// ends. Until then it pays nobody else, unless the contact consents to a release.
    ///
    /// # Errors
    /// As [`Wallet::refresh`].
    pub fn reserve(
        &mut self,
        payee: DeviceId,
        asset: AssetId,
        amount: Amount,
        until: Time,
        progress: &mut dyn FnMut(Progress),
        show: &mut dyn FnMut(&Event),
    ) -> Result<Moved, WalletError> {
        self.ready()?;
        self.device().may_step()?;
        self.settle(progress, show)?;
        self.move_own(Input::Reserve { payee, asset, amount, until }, progress, show)
    }

    pub(crate) fn move_own(
        &mut self,
        input: Input,
        progress: &mut dyn FnMut(Progress),
        show: &mut dyn FnMut(&Event),
    ) -> Result<Moved, WalletError> {
        let mut shown = Vec::new();
        let mut noting = |event: &Event| {
            shown.push(event.clone());
            show(event);
        };
        self.act(input, &mut noting)?;
        let made = shown.iter().find_map(|event| match event {
            Event::Moved { tx, .. } => Some(Ok(*tx)),
            Event::GivenUp { .. } => Some(Err(WalletError::given_up())),
            _ => None,
        });
        let tx = made.unwrap_or_else(|| Err(unfinished(&[])))?;
        let settling = self.settle(progress, show)?;
        let certified = self.device().settled_at(&tx).is_some();
        Ok(Moved { tx, certified, settling })
    }

    /// Asks a contact to consent that what is set aside for it is taken back: the packet is for the
    /// contact, by file or code, whose answer is for [`Wallet::receive_packet`]. Asked again, it is the
    /// same release.
    ///
    /// The step is taken when this returns: what is set aside pays the contact no more. Without consent
    /// it comes back when the lock ends.
    ///
    /// # Errors
    /// [`WalletError::Device`] when nothing is set aside.
    pub fn release_reserved(
        &mut self,
        payee: DeviceId,
        asset: AssetId,
    ) -> Result<(Vec<u8>, Vec<Event>), WalletError> {
        self.ready()?;
        self.device().may_step()?;
        let mut events = Vec::new();
        let mut show = |event: &Event| events.push(event.clone());
        self.remind(&mut show)?;
        let wish = tally_agent::Input::Release { payee, asset };
        let given = self.give(wish, &mut show)?.whole()?;
        match given.packets.into_iter().next() {
            Some(packet) => Ok((packet, events)),
            None => Err(unfinished(&events)),
        }
    }
}
