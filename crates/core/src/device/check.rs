//! Compare a device's pockets with what it signed.

use tally_tree::Tree;

use super::{Device, OutgoingState, Pocket};
use crate::id::{Head, Root};
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
        let mut steps = self.outgoing.all().values();
        let Some(last) = steps.find(|o| o.transaction.step.seq == self.seq) else {
            return Standing::Learned;
        };
        let (step, link) = (last.transaction.step, last.transaction.link);
        let signed = match last.state {
            // Its pockets are as they were before it.
            OutgoingState::GivenUp => last.payment.offer.root,
            _ => step.root,
        };
        let then = |pocket: &&Pocket| {
            let came = self.incoming.in_pocket(&pocket.id);
            came.is_none_or(|incoming| incoming.after < self.seq)
        };
        let root = root_of(self.ledger.pockets().filter(then));
        let whole = last.transaction.id() == last.tx && step.head_after(&link) == self.head;
        if whole && root == signed { Standing::Signed(root) } else { Standing::Differs }
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
