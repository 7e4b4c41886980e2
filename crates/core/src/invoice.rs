//! Ask for a payment: the signed invoice that lets one be made in a single message.

use crate::amount::Amount;
use crate::card::{Card, Signed, SignedError};
use crate::cbor::{from_bytes, record};
use crate::fields::Fields;
use crate::hash::Tag;
use crate::id::{AssetId, DeviceId};
use crate::message::Accept;
use crate::tier::Tier;
use crate::time::Time;

/// The invoice version that this program reads and writes.
pub const INVOICE_VERSION: u8 = 2;

/// What a payee asks for. It carries the payee's card, so that a stranger can pay it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Invoice {
    /// Version of this form.
    pub version: u8,
    /// The payee's card.
    pub card: Signed,
    /// Which asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// The payee's terms: its challenge and the predicate that it wants to be paid under.
    pub accept: Accept,
    /// When the invoice ends.
    pub expires_at: Time,
    /// The weakest tier that the payee accepts for so much: whoever cannot reach it does not sign.
    pub least: Tier,
    /// What else it says.
    pub fields: Fields,
}

record!(Invoice { version, card, asset, amount, accept, expires_at, least, fields });

impl Invoice {
    /// Reads a signed invoice, and the card in it (spec `INV-1`, `INV-2`).
    ///
    /// # Errors
    /// [`SignedError`] for the first rule that it breaks.
    pub fn open(signed: &Signed) -> Result<(Self, Card), SignedError> {
        if signed.version()? != u64::from(INVOICE_VERSION) {
            return Err(SignedError::Version);
        }
        let invoice: Self = from_bytes(signed.payload())?;
        let card = invoice.card.open_card()?;
        signed.verify(Tag::Invoice, &card.owner)?;
        if !invoice.fields.are_understood() {
            return Err(SignedError::Field);
        }
        if invoice.accept.owner.key() != &card.owner {
            return Err(SignedError::Signature);
        }
        Ok((invoice, card))
    }

    /// The payee.
    ///
    /// # Errors
    /// [`SignedError`] when the card in the invoice is not valid.
    pub fn payee(&self) -> Result<DeviceId, SignedError> {
        self.card.open_card().map(|card| card.device())
    }
}
