//! Remember who asked for a receipt or a consent until it is signed, so that it goes back there.
//!
//! While a key is away nobody is answered, and what is remembered has a limit for each contact and one
//! for all strangers together: nobody pushes out what somebody else waits for. What is pushed out is
//! forgotten: its payer sends the payment again, and asks again by that.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use tally_core::id::DeviceId;

use crate::packet::Via;
use crate::{OrderId, Way};

/// Most answers that one contact waits for, or the owner.
pub(crate) const MAX_ANSWERS: usize = 256;
/// Most answers that all strangers together wait for.
pub(crate) const MAX_STRANGE_ANSWERS: usize = 1024;

/// Who asked for a signature, so that what it makes goes there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) way: Option<Way>,
    pub(crate) via: Option<Via>,
}

/// Who shares a limit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Asker {
    /// What the owner handed over.
    Owner,
    /// Somebody who pays or is paid.
    Contact(DeviceId),
    /// All who have done neither.
    Stranger,
}

impl Asker {
    const fn most(self) -> usize {
        match self {
            Self::Owner | Self::Contact(_) => MAX_ANSWERS,
            Self::Stranger => MAX_STRANGE_ANSWERS,
        }
    }
}

/// All answers that are waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    asked: BTreeMap<OrderId, (Asker, Asked)>,
    /// The orders of each, the oldest first.
    orders: BTreeMap<Asker, VecDeque<OrderId>>,
}

impl Answers {
    /// Remembers who asked. The oldest of whoever asks for too much goes.
    pub(crate) fn insert(&mut self, order: OrderId, asker: Asker, asked: Asked) {
        self.take(&order);
        let orders = self.orders.entry(asker).or_default();
        orders.push_back(order);
        if orders.len() > asker.most()
            && let Some(old) = orders.pop_front()
        {
            self.asked.remove(&old);
        }
        self.asked.insert(order, (asker, asked));
    }

    /// Who asked for this; it is answered now.
    pub(crate) fn take(&mut self, order: &OrderId) -> Option<Asked> {
        let (asker, asked) = self.asked.remove(order)?;
        if let Some(orders) = self.orders.get_mut(&asker) {
            orders.retain(|known| known != order);
            if orders.is_empty() {
                self.orders.remove(&asker);
            }
        }
        Some(asked)
    }

    /// Nobody gets the consents that were asked for.
    pub(crate) fn forget_consents(&mut self) {
        let consents = |order: &OrderId| matches!(order, OrderId::Consent(_));
        for order in self.orders().into_iter().filter(consents) {
            self.take(&order);
        }
    }

    /// All that is waited for.
    pub(crate) fn orders(&self) -> Vec<OrderId> {
        self.asked.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tally_core::id::TxId;

    const NOBODY: Asked = Asked { way: None, via: None };

    fn order(who: u8, number: usize) -> OrderId {
        let mut bytes = [who; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        OrderId::Receipt(TxId::new(bytes))
    }

    fn contact(who: u8) -> Asker {
        Asker::Contact(DeviceId::new([who; 32]))
    }

    #[test]
    fn whoever_asks_too_much_pushes_out_their_own_questions_only() {
        let mut answers = Answers::default();
        answers.insert(order(1, 0), contact(1), NOBODY);
        answers.insert(order(2, 0), Asker::Owner, NOBODY);
        for number in 0..=MAX_STRANGE_ANSWERS {
            answers.insert(order(3, number), Asker::Stranger, NOBODY);
        }
        for number in 0..=MAX_ANSWERS {
            answers.insert(order(4, number), contact(4), NOBODY);
        }
        assert_eq!(answers.orders().len(), MAX_STRANGE_ANSWERS + MAX_ANSWERS + 2);
        for gone in [order(3, 0), order(4, 0)] {
            assert!(answers.take(&gone).is_none(), "the oldest of who asked too much");
        }
        for kept in [order(1, 0), order(2, 0), order(3, 1), order(4, 1)] {
            assert!(answers.take(&kept).is_some(), "{kept:?}");
        }
    }

    #[test]
    fn what_is_asked_again_is_remembered_once() {
        let mut answers = Answers::default();
        for asker in [Asker::Stranger, contact(1), contact(1)] {
            answers.insert(order(1, 0), asker, NOBODY);
        }
        assert_eq!(answers.orders().len(), 1);
        assert!(answers.take(&order(1, 0)).is_some());
        assert!(answers.orders.is_empty(), "nothing is left of it");
    }
}
