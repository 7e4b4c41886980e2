//! Ask for a payment, and pay what is asked for.

use alloc::boxed::Box;

use tally_core::amount::Amount;
use tally_core::card::Signed;
use tally_core::cbor::to_bytes;
use tally_core::device::{self, DeviceError, Event, OnTerms, Terms};
use tally_core::fields::Fields;
use tally_core::hash::Tag;
use tally_core::id::{AssetId, Nonce};
use tally_core::invoice::{INVOICE_VERSION, Invoice};
use tally_core::keys::Signature;
use tally_core::message::{Accept, Message};
use tally_core::trade::TradeError;

use crate::engine::{Engine, Step};
use crate::outbox::Item;
use crate::{AgentError, Effect, OrderId, PeerError, SignOrder, Way};

/// Most invoices that wait for their signature at once.
const MAX_UNSIGNED: usize = 64;

impl Engine {
    /// Gives terms, and has the invoice of them signed.
    pub(crate) fn invoice(
        &mut self,
        step: &mut Step<'_>,
        asset: AssetId,
        amount: Amount,
        valid_for: u64,
    ) -> Result<(), AgentError> {
        let world = self.world(step.cx.now);
        let owner = self.device.predicate_for(&world, &asset);
        let least = self.device.least_tier(&world, asset, amount)?;
        let expires_at = step.cx.now.plus(valid_for);
        let nonce = Nonce::new(step.noise.draw());
        let terms = Terms { payer: None, asset, amount, owner: owner.clone(), expires_at };
        if self.invoices.len() >= MAX_UNSIGNED {
            return Err(AgentError::Full);
        }
        self.tell(step, device::Input::Ask { nonce, terms }, None)?;
        let invoice = Invoice {
            version: INVOICE_VERSION,
            card: self.card.clone(),
            asset,
            amount,
            accept: Accept { nonce, owner },
            expires_at,
            least,
            fields: Fields::at(step.cx.now),
        };
        let payload = to_bytes(&invoice);
        let digests = alloc::vec![Signed::digest(Tag::Invoice, &payload)];
        self.invoices.insert(nonce, payload);
        if let Some(key) = &self.key {
            let signature = digests.first().map(|digest| key.sign(digest));
            return signature
                .map_or(Ok(()), |signature| self.invoice_signed(step, nonce, signature));
        }
        step.effects.push(Effect::Sign(SignOrder { order: OrderId::Invoice(nonce), digests }));
        Ok(())
    }

    pub(crate) fn invoice_signed(
        &mut self,
        step: &mut Step<'_>,
        nonce: Nonce,
        signature: Signature,
    ) -> Result<(), AgentError> {
        let Some(payload) = self.invoices.remove(&nonce) else { return Ok(()) };
        let signed = Signed::new(payload, signature).map_err(PeerError::Decode)?;
        step.effects.push(Effect::Invoice(Box::new(signed)));
        Ok(())
    }

    /// Pays an invoice. Paying it again is the same payment, in a session that its payee can read.
    pub(crate) fn pay_invoice(
        &mut self,
        step: &mut Step<'_>,
        signed: &Signed,
    ) -> Result<(), AgentError> {
        let (invoice, card) = Invoice::open(signed).map_err(PeerError::Signed)?;
        let payee = card.device();
        step.way = Some(Way::File);
        let paid = match self.device.on_terms(payee, invoice.accept.nonce) {
            OnTerms::Paid(paid) => paid.clone(),
            OnTerms::Nothing => return self.pay_anew(step, payee, invoice),
            OnTerms::Waits(waits) => {
                if !self.device.can_sign(waits, step.cx.now) {
                    return Err(DeviceError::from(TradeError::Waiting).into());
                }
                let sign = self.device.to_sign(waits, step.cx.now);
                self.order(step, sign, None);
                return Ok(());
            }
        };
        let (tx, offer) = (paid.tx, &paid.payment.offer);
        let event = Event::Paid { tx, payee, asset: offer.asset, amount: offer.amount };
        step.effects.push(Effect::Show(Box::new(event)));
        let message = Message::Payment(paid.payment.clone());
        let item = Item::paying(payee, message, Way::File, tx);
        self.put_out(step, Item { fresh: Some(0), ..item });
        Ok(())
    }

    fn pay_anew(
        &mut self,
        step: &mut Step<'_>,
        payee: tally_core::id::DeviceId,
        invoice: Invoice,
    ) -> Result<(), AgentError> {
        self.device.may_step()?;
        let card = invoice.card.clone();
        let pay = device::Input::PayInvoice { payee, invoice: Box::new(invoice) };
        // Whom the owner pays is a contact; of one who is, the card may be newer.
        let known = self.device.contacts().contains_key(&payee);
        let add = if known { device::Input::Stranger } else { device::Input::Contact };
        self.tell_all(step, alloc::vec![add(card), pay])
    }
}
