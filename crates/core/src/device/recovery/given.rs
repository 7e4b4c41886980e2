//! Give a contact the steps of its own back that this device holds, first-hand or second-hand.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::device::{Contact, Device};
use crate::evidence::{Evidence, Hop};
use crate::id::TxId;
use crate::keys::PublicKey;
use crate::message::{Sync, Told};

impl Device {
    /// The steps of a contact's own, after the number that it says, that it may not remember.
    ///
    /// Whoever stands behind what it once signed is told, whether or not it knows that it does.
    pub(in crate::device) fn history_for(
        &self,
        contact: &Contact,
        theirs: &Sync,
    ) -> Option<Vec<Told>> {
        let next = theirs.seq.checked_add(1)?;
        let paid = self.incoming.steps(contact.device, next, u64::MAX).next().is_some();
        let seen = self.sightings.knows_from(&contact.owner, next);
        (theirs.restored || paid || seen).then(|| self.steps_of(contact, next))
    }

    /// All that is known here of a contact's steps from `next` on: whole as far as they are behind
    /// anything that was ever held here, else as the branches that were seen.
    fn steps_of(&self, contact: &Contact, next: u64) -> Vec<Told> {
        let mut whole = BTreeMap::<(u64, TxId), Hop>::new();
        let mut keep = |hop: &Hop| {
            whole.entry((hop.tx.step.seq, hop.tx.id())).or_insert_with(|| hop.bare());
        };
        let paid = self.incoming.steps(contact.device, next, u64::MAX);
        paid.filter_map(|incoming| incoming.hop.as_ref()).for_each(&mut keep);
        let held = self.ledger.pockets().map(|pocket| &pocket.evidence);
        let paid_on = self.outgoing.all().values().map(|outgoing| &outgoing.payment.offer.evidence);
        for evidence in held.chain(paid_on) {
            hops_by(evidence, &contact.owner, next).into_iter().for_each(&mut keep);
        }
        let branches = self.sightings.branches_from(&contact.owner, next);
        let branches = branches.filter(|b| !whole.contains_key(&(b.step.seq, b.tx_id())));
        let branches: Vec<Told> = branches.cloned().map(Told::Branch).collect();
        let mut told: Vec<Told> = whole.into_values().map(Told::Whole).collect();
        told.extend(branches);
        told.sort_by_key(Told::seq);
        told
    }
}

/// The transactions in a history that `key` signed, from its step `next` on.
fn hops_by<'a>(evidence: &'a Evidence, key: &PublicKey, next: u64) -> Vec<&'a Hop> {
    let late = |hop: &&Hop| hop.tx.step.seq >= next;
    if !evidence.hops.iter().any(|hop| late(&hop)) {
        return Vec::new();
    }
    let theirs = evidence.sightings().into_iter().filter(|sighting| sighting.key == *key);
    let theirs: BTreeSet<TxId> = theirs.map(|sighting| sighting.branch.tx_id()).collect();
    evidence.hops.iter().filter(late).filter(|hop| theirs.contains(&hop.tx.id())).collect()
}
