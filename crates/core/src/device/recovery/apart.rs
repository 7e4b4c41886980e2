//! Set coins apart that a missing step may have spent, and know which a step that is known spent.

use alloc::vec::Vec;

use super::steps::Missing;
use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use crate::device::{Change, Device, Mode, Output, Pocket};
use crate::evidence::Claims;
use crate::id::{CoinId, Nonce, TxId};

/// Why a coin that is here is not paid with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Apart {
    /// A step of this device's own that it does not know may have spent it.
    Question,
    /// The owner's word has freed it, by a payment to oneself that is not certified yet.
    Freed,
    /// This transaction has spent it, whether or not this device knows the rest of that step.
    Spent(TxId),
}

impl Device {
    /// The pockets whose coins are set apart, and why. What was spent by a step that was learnt since
    /// is among them while the rest of that step is not known.
    pub fn set_apart(&self) -> impl Iterator<Item = (&Pocket, Apart)> {
        self.ledger.set_apart()
    }

    /// Sets every coin apart that is here: a step that was lost may have spent it.
    pub(super) fn question_all(&mut self, output: &mut Output) {
        let held = self.ledger.pockets().filter(|pocket| pocket.coin.is_some());
        let held: Vec<CoinId> = held.map(|pocket| pocket.id).collect();
        self.question(output, held);
    }

    /// Sets coins apart, unless it is known that they were spent.
    pub(super) fn question(
        &mut self,
        output: &mut Output,
        pockets: impl IntoIterator<Item = CoinId>,
    ) {
        for id in pockets {
            match self.ledger.apart(&id) {
                Some(Apart::Question | Apart::Spent(_)) => {}
                Some(Apart::Freed) | None => {
                    self.add(output, [Change::Apart(id, Some(Apart::Question))]);
                }
            }
        }
    }

    /// A coin came in. One that a lost step may have spent is set apart: a payer who sends a payment
    /// again, and an issuer a mint, cannot know that it was paid on. Only what is paid on terms that
    /// were given after the restore was surely not here before.
    pub(in crate::device) fn came_in_doubt(
        &mut self,
        output: &mut Output,
        pocket: CoinId,
        nonce: Option<&Nonce>,
    ) {
        let doubt = self.mode != Mode::Normal || !self.recovered.missing.is_empty();
        let fresh = nonce.is_some_and(|nonce| {
            self.terms.contains_key(nonce) && !self.recovered.before.contains(nonce)
        });
        if doubt && !fresh {
            self.question(output, [pocket]);
        }
    }

    /// Whether a missing step may have spent a pocket's coin: it was there before one of them, as far
    /// as is known. A step spends no coin that a later step made.
    fn in_question(&self, pocket: &Pocket, missing: &Missing) -> bool {
        let maker = self.maker(pocket);
        missing.last().is_some_and(|last| maker.is_none_or(|maker| maker < last))
    }

    /// The number of the step of this device's own that made a pocket's coin.
    fn maker(&self, pocket: &Pocket) -> Option<u64> {
        let (coin, _) = pocket.coin.as_ref()?;
        let makes = |hop: &&crate::evidence::Hop| hop.tx.made().any(|(id, _)| id == *coin);
        let hop = pocket.evidence.hops.iter().rev().find(makes)?;
        self.is_my_hop(hop).then_some(hop.tx.step.seq)
    }

    /// Frees what is in question no more.
    pub(super) fn review(&mut self, output: &mut Output) {
        let missing = &self.recovered.missing;
        let free = self.ledger.set_apart().filter(|(pocket, apart)| match apart {
            Apart::Question => !self.in_question(pocket, missing),
            Apart::Freed | Apart::Spent(_) => false,
        });
        let free: Vec<CoinId> = free.map(|(pocket, _)| pocket.id).collect();
        self.add(output, free.into_iter().map(|id| Change::Apart(id, None)));
    }

    /// What the owner's word freed is free once its payment to oneself is certified.
    pub(in crate::device) fn free_certified(&mut self, output: &mut Output) {
        let certified = |pocket: &Pocket| {
            pocket.is_ready()
                && pocket.evidence.claims(&self.policies).iter().all(Claims::certified)
        };
        let free = self.ledger.set_apart();
        let free = free.filter(|(pocket, apart)| *apart == Apart::Freed && certified(pocket));
        let free: Vec<CoinId> = free.map(|(pocket, _)| pocket.id).collect();
        self.add(output, free.into_iter().map(|id| Change::Apart(id, None)));
    }

    /// How many steps there are, at least, after the latest that is known, as the network shows: as many
    /// of those that it shows as are missing may be among those.
    pub fn shown_beyond(&self) -> u64 {
        self.unknown_spends().saturating_sub(self.missing().count())
    }

    /// How many transactions the network shows to have spent coins of this device, and that no step
    /// that is known here is.
    fn unknown_spends(&self) -> u64 {
        let mut spent: Vec<TxId> = self
            .ledger
            .set_apart()
            .filter_map(|(_, apart)| match apart {
                Apart::Spent(tx) => Some(tx),
                Apart::Question | Apart::Freed => None,
            })
            .filter(|tx| !self.steps.has(tx))
            .collect();
        spent.sort_unstable();
        spent.dedup();
        u64::try_from(spent.len()).unwrap_or(u64::MAX)
    }
}

impl Encode for Apart {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Question => {
                w.array(1);
                w.uint(0);
            }
            Self::Freed => {
                w.array(1);
                w.uint(1);
            }
            Self::Spent(tx) => {
                w.array(2);
                w.uint(2);
                tx.encode(w);
            }
        }
    }
}

impl Decode for Apart {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 0) => Ok(Self::Question),
            (1, 0) => Ok(Self::Freed),
            (2, 1) => Decode::decode(r).map(Self::Spent),
            (0..=2, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}
