//! Pay and be paid by files and codes.

use tally_agent::Input;
use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::device::{DeviceError, Event};
use tally_core::id::{AssetId, DeviceId};
use tally_core::trade::TradeError;

use crate::{Wallet, WalletError};

/// Why there is no packet, though nothing was refused or given up: what makes it is not there yet.
pub(crate) fn unfinished(events: &[Event]) -> WalletError {
    let signed = events.iter().find_map(|event| match event {
        Event::Paid { tx, .. } | Event::Moved { tx, .. } => Some(*tx),
        _ => None,
    });
    match signed {
        Some(tx) => WalletError::Waiting { tx, why: "its packet is not made yet".to_owned() },
        None => DeviceError::from(TradeError::Waiting).into(),
    }
}

impl Wallet {
    /// A signed request to be paid, to be shown as a code or handed over as a file.
    ///
    /// # Errors
    /// [`WalletError::Device`] when the asset is unknown or the amount is zero; [`WalletError::Store`].
    pub fn invoice(
        &mut self,
        asset: AssetId,
        amount: Amount,
        valid_for: u64,
    ) -> Result<Signed, WalletError> {
        self.ready()?;
        self.remind(&mut |_| {})?;
        let given = self.give(Input::Invoice { asset, amount, valid_for }, &mut |_| {})?.whole()?;
        given.invoice.ok_or_else(|| DeviceError::NotWaiting.into())
    }

    /// Pays an invoice: the packet is for the payee, by file or code. The payment is made when this
    /// returns; if the packet is lost, [`Wallet::resend`] makes another of the same payment.
    ///
    /// Paying one invoice twice gives the same payment again.
    ///
    /// # Errors
    /// [`WalletError::Device`] when it cannot be paid, or not now; [`WalletError::Unproved`] when it is
    /// begun, and made when the seal is back; [`WalletError::Refused`] when the seal gave no proof, so that it
    /// was given up; [`WalletError::Unsent`] when it is made, and no packet has room for it.
    pub fn pay_invoice(&mut self, invoice: &Signed) -> Result<(Vec<u8>, Vec<Event>), WalletError> {
        let mut events = Vec::new();
        let mut show = |event: &Event| events.push(event.clone());
        self.ready()?;
        self.remind(&mut show)?;
        let before = self.unsigned();
        let pay = Input::PayInvoice(Box::new(invoice.clone()));
        let given = self.give(pay, &mut show)?.whole();
        let given = given.map_err(|error| self.unproved(&before, Some(&error)).unwrap_or(error))?;
        match given.packets.into_iter().next() {
            Some(packet) => Ok((packet, events)),
            None => Err(unfinished(&events)),
        }
    }

    /// Takes in a packet that came by file or code: a payment, or a receipt. The answers are packets
    /// for whoever sent it.
    ///
    /// The same packet again gives the same answer again. Of a packet that is refused nothing is kept
    /// but what its sender signed, so that packets may come in any order and be tried again.
    ///
    /// # Errors
    /// [`WalletError::Refused`] with the reason; [`WalletError::Peer`] when the packet cannot be read.
    pub fn receive_packet(
        &mut self,
        bytes: &[u8],
    ) -> Result<(Vec<Event>, Vec<Vec<u8>>), WalletError> {
        self.take_file(bytes, false)
    }

    /// Consents to the release that a packet asks for: what the sender had set aside for this wallet is
    /// its own again. The answer is a packet for it.
    ///
    /// # Errors
    /// [`WalletError::Refused`] when there is nothing to consent to; [`WalletError::Peer`] when the packet
    /// cannot be read, as when it was consented to before: the sender asks again then.
    pub fn agree_to_release(&mut self, bytes: &[u8]) -> Result<(Vec<Event>, Vec<u8>), WalletError> {
        let (events, packets) = self.take_file(bytes, true)?;
        match packets.into_iter().next() {
            Some(packet) => Ok((events, packet)),
            None => Err(unfinished(&events)),
        }
    }

    fn take_file(
        &mut self,
        bytes: &[u8],
        agree: bool,
    ) -> Result<(Vec<Event>, Vec<Vec<u8>>), WalletError> {
        let mut events = Vec::new();
        self.ready()?;
        self.remind(&mut |_| {})?;
        let file = Input::File { bytes: bytes.to_vec(), agree };
        let given = self.give(file, &mut |event| events.push(event.clone()))?.whole()?;
        Ok((events, given.packets))
    }

    /// Packets of the oldest payments that wait for this payee, at most 4: send the others once
    /// these are receipted. Each call opens a fresh session, which the payee can read whatever it
    /// has lost.
    ///
    /// # Errors
    /// [`WalletError::Device`] when the payee is no contact; [`WalletError::Store`].
    pub fn resend(&mut self, payee: DeviceId) -> Result<Vec<Vec<u8>>, WalletError> {
        self.ready()?;
        self.remind(&mut |_| {})?;
        Ok(self.give(Input::Resend { payee }, &mut |_| {})?.whole()?.packets)
    }
}
