//! Compare a device's pockets with what it signed.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use tally_tree::Tree;

use super::{Device, Outgoing, OutgoingState, Pocket};
use crate::id::{CoinId, Head, Root};
use crate::trade::held;

/// What a device's pockets are against the latest step that it signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// It has taken no step yet.
    Unsigned,
    /// The pockets that were there at the latest step give the root that it signed.
    Signed(Root),
    /// They give another root, or the head is not that of the latest step: the records are damaged.
    Differs,
    /// The latest step was learned from contacts: what was there at the time is not known.
    Learned,
}

impl Device {
    /// Computes the root anew from the pockets alone, and compares it with the one that the latest step
    /// signed. What came in since that step is left out.
    pub fn standing(&self) -> Standing {
        if root_of(self.ledger.pockets()) != self.ledger.root() {
            return Standing::Differs;
        }
        if self.seq == 0 {
            let fresh = self.head == Head::genesis(&self.id);
            return if fresh { Standing::Unsigned } else { Standing::Differs };
        }
        let counts = |o: &&Arc<Outgoing>| {
            o.transaction.step.seq == self.seq && o.state != OutgoingState::GivenUp
        };
        let Some(last) = self.outgoing.all().values().find(counts) else {
            return Standing::Learned;
        };
        let (step, link) = (last.transaction.step, last.transaction.link);
        let whole = last.transaction.id() == last.tx && step.head_after(&link) == self.head;
        let mut then = self.pockets_then();
        // What this device paid itself comes into a pocket of its own after the step, as what others pay.
        if last.payee == self.id {
            then.remove(&CoinId::of(&last.tx, 0));
        }
        let root = root_of(then.values());
        if whole && root == step.root { Standing::Signed(root) } else { Standing::Differs }
    }

    /// The pockets as they were at the latest step: without what came in since, and with what was given
    /// up since as it was before.
    fn pockets_then(&self) -> BTreeMap<CoinId, Pocket> {
        let there = |pocket: &&Pocket| {
            let came = self.incoming.in_pocket(&pocket.id);
            came.is_none_or(|incoming| incoming.after < self.seq)
        };
        let pockets = self.ledger.pockets().filter(there);
        let mut then: BTreeMap<_, _> = pockets.map(|pocket| (pocket.id, pocket.clone())).collect();
        let since = |o: &&Arc<Outgoing>| o.given_up == Some(self.head);
        for outgoing in self.outgoing.all().values().filter(since) {
            let tx = &outgoing.transaction;
            let opened = tx.made().next().filter(|_| outgoing.payee == self.id);
            if tx.step.seq > self.seq {
                opened.map(|(id, _)| then.remove(&id));
            } else {
                self.put_before(&mut then, outgoing);
            }
        }
        then
    }

    /// Puts in pockets as a payment left them that has been given up since.
    fn put_before(&self, then: &mut BTreeMap<CoinId, Pocket>, outgoing: &Outgoing) {
        let (tx, last) = (&outgoing.transaction, outgoing.sources.len().saturating_sub(1));
        let mut made = tx.made().map(|(id, coin)| (id, coin.clone()));
        let paid = made.next().filter(|_| outgoing.payee == self.id);
        let change = made.next();
        for (i, source) in outgoing.sources.iter().enumerate() {
            let coin = change.clone().filter(|_| i == last);
            then.entry(source.pocket)
                .and_modify(|p| *p = Pocket { link: tx.link, coin, ..p.clone() });
        }
        if let Some((id, coin)) = paid {
            then.entry(id).and_modify(|pocket| pocket.coin = Some((id, coin)));
        }
    }
}

fn root_of<'a>(pockets: impl Iterator<Item = &'a Pocket>) -> Root {
    let mut tree = Tree::default();
    for pocket in pockets {
        let leaf = held(&pocket.link, pocket.amount());
        // Pockets are kept by their key, so no key comes twice.
        let _ = tree.insert(pocket.id.into(), leaf);
    }
    tree.root().into()
}
