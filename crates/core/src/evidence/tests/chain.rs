//! A minted coin and its moves from hand to hand, to be bent by the tests.

use alloc::vec::Vec;

use super::super::*;
use super::network::{Spent, certify, trust_base};
use crate::device::tests::scene::{NOW, mint, policy};
use crate::id::{AssetId, Head, NetworkId, Root};
use crate::keys::SecretKey;
use crate::notary::TrustBase;
use crate::policy::Policy;
use crate::predicate::tests::{FakeSeals, enrollment};
use crate::predicate::{Predicate, spend_digest};
use crate::seal::{Certificates, KnownSeals};
use crate::transaction::{BODY_VERSION, Body, Step};

pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).expect("a scalar")
}

pub(crate) fn signature(byte: u8) -> Predicate {
    Predicate::Signature(key(byte).public())
}

/// What a verifier of these tests knows. The seals are fake.
pub(crate) struct Knows {
    pub(crate) policies: BTreeMap<AssetId, Policy>,
    pub(crate) notary: Option<TrustBase>,
    pub(crate) bricked: Vec<PublicKey>,
    pub(crate) viewer: Option<PublicKey>,
    pub(crate) now: Time,
    pub(crate) enrolled: Certificates,
}

impl Knows {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            policies: [(policy.id(), policy.clone())].into(),
            notary: Some(trust_base()),
            bricked: Vec::new(),
            viewer: None,
            now: NOW,
            enrolled: [(enrollment().seal(), alloc::vec![enrollment()])].into(),
        }
    }

    pub(crate) fn verify(
        &self,
        evidence: &Evidence,
    ) -> Result<BTreeMap<CoinId, Holding>, EvidenceError> {
        self.with(|trust| evidence.verify(trust, self.now).map(|holdings| holdings.get().clone()))
    }

    pub(crate) fn with<T>(&self, f: impl FnOnce(&Trust<'_>) -> T) -> T {
        let bricked = |key: &PublicKey| self.bricked.contains(key);
        f(&Trust {
            network: NetworkId::LOCAL,
            policies: &self.policies,
            notary: self.notary.as_ref(),
            seals: KnownSeals { certificates: &self.enrolled, ..KnownSeals::none(&FakeSeals) },
            bricked: &bricked,
            viewer: self.viewer.as_ref(),
        })
    }
}

pub(crate) struct Chain {
    pub(crate) policy: Policy,
    pub(crate) evidence: Evidence,
    /// The coin at the end.
    pub(crate) last: (CoinId, Coin),
    seq: u64,
}

impl Chain {
    /// A policy after `edit`, and 100 of it, minted to `owner`.
    pub(crate) fn of(edit: impl FnOnce(&mut Policy), owner: Predicate) -> Self {
        let mut policy = policy(&key(0xee));
        edit(&mut policy);
        let minted = mint(&key(0xee), policy.id(), 1, 100, owner);
        let last = minted.mint.coin();
        Self { policy, evidence: Evidence::of_minted(minted), last, seq: 0 }
    }

    pub(crate) fn new() -> Self {
        Self::of(|_| (), signature(1))
    }

    pub(crate) fn knows(&self) -> Knows {
        Knows::new(&self.policy)
    }

    pub(crate) fn coin(&self, units: u64, owner: Predicate) -> Coin {
        Coin { asset: self.policy.id(), amount: Amount::new(units), owner }
    }

    /// The last coin, whole, to `owner`, after `edit`.
    pub(crate) fn body(&self, owner: Predicate) -> Body {
        Body {
            version: BODY_VERSION,
            network: NetworkId::LOCAL,
            inputs: List::truncated([self.last.0].into()),
            outputs: List::truncated([self.coin(self.last.1.amount.units(), owner)].into()),
            memo: None,
            expires_at: None,
        }
    }

    pub(crate) fn transaction(&mut self, body: Body) -> Transaction {
        self.seq += 1;
        let n = u8::try_from(self.seq).unwrap_or(u8::MAX);
        let step = Step { seq: self.seq, head: Head::new([n; 32]), root: Root::new([n; 32]) };
        Transaction { body, link: Link::new([n; 32]), step }
    }

    /// Appends a transaction, unlocked by `unlock` for every input, and makes its first output the
    /// last coin.
    pub(crate) fn push(&mut self, body: Body, unlock: impl Fn(&CoinId, &TxId) -> Unlock) {
        let tx = self.transaction(body);
        let id = tx.id();
        let witness = |coin: &CoinId| Witness { unlock: unlock(coin, &id), certified: None };
        let witnesses = tx.body.inputs.iter().map(witness).collect();
        let (last, coin) = tx.made().next().expect("an output");
        self.last = (last, coin.clone());
        let hop = Hop { tx, witnesses: List::truncated(witnesses) };
        self.evidence = self.evidence.with(hop).expect("short");
    }

    /// Moves the whole last coin from key to key, by signature.
    pub(crate) fn pay(&mut self, from: u8, to: Predicate) {
        let body = self.body(to);
        self.push(body, |coin, tx| Unlock::Signature(key(from).sign(&spend_digest(coin, tx))));
    }

    /// What the last transaction spends first.
    pub(crate) fn spent(&self, owner: Predicate) -> Spent {
        let hop = self.evidence.hops.last().expect("a hop");
        (owner, hop.tx.body.inputs[0], hop.tx.id())
    }

    pub(crate) fn edit_hop(&mut self, edit: impl FnOnce(&mut Hop)) {
        let mut hops = self.evidence.hops.to_vec();
        edit(hops.last_mut().expect("a hop"));
        self.evidence.hops = List::truncated(hops);
    }

    /// Certifies the last transaction, a spend of a coin of `owner`, at `time`.
    pub(crate) fn certify(&mut self, owner: Predicate, time: Time) {
        let (certificate, mut places) = certify(&[self.spent(owner)], time, 3);
        let mut certificates = self.evidence.certificates.to_vec();
        let mut place = places.remove(0);
        place.certificate = u8::try_from(certificates.len()).expect("few");
        certificates.push(certificate);
        self.evidence.certificates = List::truncated(certificates);
        self.edit_hop(|hop| {
            let unlock = hop.witnesses[0].unlock.clone();
            let witness = Witness { unlock, certified: Some(place) };
            hop.witnesses = List::truncated([witness].into());
        });
    }
}
