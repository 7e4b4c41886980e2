//! Verify where a coin comes from, and so what it is worth.
//!
//! A coin travels with its evidence: the mints and transactions behind it, each input of a
//! transaction with a *witness* of its uniqueness. [`Evidence::verify`] is one pure function, and
//! nothing else makes a [`Verified`] (spec `EVID-1` to `EVID-12`). The notary sees only hashes and
//! checks no amounts, so certified transactions stay part of the evidence too.

mod claims;
mod verify;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use claims::{Claim, Claims, Proof, Settlement};
pub(crate) use verify::oldest;
pub use verify::{EvidenceError, Trust, Verified};

use crate::amount::Amount;
use crate::cbor::{Decode, DecodeError, Encode, List, Reader, Writer, record};
use crate::coin::Coin;
use crate::fork::Branch;
use crate::id::{CoinId, Link, TxId};
use crate::keys::PublicKey;
use crate::mint::{Mint, MintStanding};
use crate::notary::UnicityCertificate;
use crate::predicate::{Predicate, Unlock};
use crate::seal::{SealCertificate, SealId};
use crate::tier::Tier;
use crate::time::Time;
use crate::transaction::{MAX_INPUTS, Transaction};

/// Most mints behind one payment.
pub const MAX_MINTS: usize = 64;
/// Most transactions behind one payment.
pub const MAX_HOPS: usize = 256;
/// Most transactions behind one coin that are not yet certified.
pub const MAX_UNCERTIFIED: usize = 32;
/// Most network certificates that evidence shares.
pub const MAX_CERTIFICATES: usize = 8;
/// Most enrollments of seals that evidence brings along.
pub const MAX_ENROLLMENTS: usize = 64;

/// Where a spend is in the notary's certified tree.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Certification {
    /// Reference time of the round that certified it.
    pub time: Time,
    /// The way from the spend to the certified root.
    pub path: tally_tree::InclusionCertificate,
    /// Which of the evidence's certificates has that root.
    pub certificate: u8,
}

/// Why one input of a transaction is spent here and nowhere else.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Witness {
    /// What unlocked the coin.
    pub unlock: Unlock,
    /// The notary's word that this was its first spend, once there is one.
    pub certified: Option<Certification>,
}

/// A transaction, with one witness an input.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hop {
    /// The transaction.
    pub tx: Transaction,
    /// A witness for each input, in order.
    pub witnesses: List<Witness, MAX_INPUTS>,
}

record!(Hop { tx, witnesses });

/// A mint, with the notary's word that its serial was not minted before, once there is one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Minted {
    /// The mint.
    pub mint: Mint,
    /// A certification for each signature's issuer, or none.
    pub certified: Option<Certification>,
}

/// What lies behind one coin or several: mints, then transactions, each after those that made its
/// inputs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Evidence {
    /// Where the value came into being.
    pub mints: List<Minted, MAX_MINTS>,
    /// How it moved since.
    pub hops: List<Hop, MAX_HOPS>,
    /// The network certificates to which the witnesses refer.
    pub certificates: List<UnicityCertificate, MAX_CERTIFICATES>,
    /// The enrollments of the seals that proved something in it, as far as they are not known
    /// otherwise: a payee has its payer's from the payer's card.
    pub enrollments: List<SealCertificate, MAX_ENROLLMENTS>,
}

/// A coin that verified evidence leaves unspent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Holding {
    /// The coin's identity.
    pub id: CoinId,
    /// The coin.
    pub coin: Coin,
    /// The pocket that the coin is in: the coin under which the value first came to its owner.
    pub pocket: CoinId,
    /// The link that last moved the pocket.
    pub link: Link,
    /// The weakest tier of any transaction behind it that is not certified.
    pub tier: Tier,
    /// What the mints behind it rest on, the weakest of them. The tier does not speak of it.
    pub minted: MintStanding,
    /// How many transactions behind it are not certified.
    pub uncertified: u32,
    /// The earliest end of a lock that its tier rests on: settle before.
    pub settle_by: Option<Time>,
    /// Reference time of the last certified transaction behind it.
    pub certified_at: Option<Time>,
}

/// A step that evidence shows of some device.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sighting {
    /// The device's key.
    pub key: PublicKey,
    /// What it signed.
    pub branch: Branch,
}

record!(Sighting { key, branch });

impl Evidence {
    /// Evidence of one mint.
    pub fn of_minted(minted: Minted) -> Self {
        Self { mints: List::truncated(alloc::vec![minted]), ..Self::default() }
    }

    /// Every coin that this evidence ever made, in order: of each mint, then of each transaction.
    /// A payment names a coin by its place here.
    pub fn made(&self) -> Vec<CoinId> {
        let minted = self.mints.iter().map(|m| m.mint.coin().0);
        let moved = self.hops.iter().flat_map(|hop| hop.tx.made().map(|(id, _)| id));
        minted.chain(moved).collect()
    }

    /// This evidence and `other` as one, each mint and transaction once, and certified if it is in
    /// either. Transactions stay behind those that made their inputs.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] when the whole exceeds a limit.
    pub fn merge(&self, other: &Self) -> Result<Self, DecodeError> {
        if self.mints.is_empty() && self.hops.is_empty() {
            return Ok(other.clone());
        }
        let mut certificates = self.certificates.to_vec();
        let places: Vec<u8> = other
            .certificates
            .iter()
            .map(|certificate| {
                let at = certificates.iter().position(|known| known == certificate);
                let at = at.unwrap_or_else(|| {
                    certificates.push(certificate.clone());
                    certificates.len() - 1
                });
                u8::try_from(at).unwrap_or(u8::MAX)
            })
            .collect();
        let mut mints = self.mints.to_vec();
        let known: BTreeMap<TxId, usize> =
            (0..).zip(&mints).map(|(i, m)| (m.mint.body.id(), i)).collect();
        for minted in other.mints.iter().map(|minted| minted.moved(&places)) {
            match known.get(&minted.mint.body.id()).and_then(|at| mints.get_mut(*at)) {
                Some(known) => known.certified = known.certified.take().or(minted.certified),
                None => mints.push(minted),
            }
        }
        let mut hops = self.hops.to_vec();
        let known: BTreeMap<TxId, usize> = (0..).zip(&hops).map(|(i, h)| (h.tx.id(), i)).collect();
        for hop in other.hops.iter().map(|hop| hop.moved(&places)) {
            match known.get(&hop.tx.id()).and_then(|at| hops.get_mut(*at)) {
                Some(known) => known.learn(hop),
                None => hops.push(hop),
            }
        }
        let (mints, hops) = (List::new(mints)?, List::new(hops)?);
        let merged = Self::pruned(mints, hops, certificates)?;
        let enrollments = self.enrollments.iter().chain(other.enrollments.iter());
        merged.enrolled(enrollments.cloned())
    }

    /// This evidence with as many of these enrollments as something in it needs, each once.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_ENROLLMENTS`].
    pub fn enrolled(
        self,
        enrollments: impl IntoIterator<Item = SealCertificate>,
    ) -> Result<Self, DecodeError> {
        let mut enrollments = enrollments.into_iter().peekable();
        if enrollments.peek().is_none() {
            return Ok(Self { enrollments: List::default(), ..self });
        }
        let needed = self.seals();
        let mut kept = Vec::<SealCertificate>::new();
        for enrollment in enrollments {
            if needed.contains(&enrollment.seal()) && !kept.contains(&enrollment) {
                kept.push(enrollment);
            }
        }
        Ok(Self { enrollments: List::new(kept)?, ..self })
    }

    /// The seals that proved something in this evidence.
    pub fn seals(&self) -> BTreeSet<SealId> {
        if self.hops.is_empty() {
            return BTreeSet::new();
        }
        let owners = self.predicates();
        let spends = self.hops.iter().flat_map(|hop| {
            let proved = |(_, w): &(&CoinId, &Witness)| matches!(w.unlock, Unlock::Sealed(..));
            hop.tx.body.inputs.iter().zip(hop.witnesses.iter()).filter(proved)
        });
        let seal = |(coin, _): (&CoinId, &Witness)| Some(owners.get(coin)?.slot()?.seal);
        spends.filter_map(seal).collect()
    }

    /// Evidence with only those certificates to which something refers.
    fn pruned(
        mints: List<Minted, MAX_MINTS>,
        hops: List<Hop, MAX_HOPS>,
        certificates: Vec<UnicityCertificate>,
    ) -> Result<Self, DecodeError> {
        if certificates.is_empty() {
            return Ok(Self { mints, hops, ..Self::default() });
        }
        let of_mints = mints.iter().filter_map(|m| m.certified.as_ref());
        let of_hops =
            hops.iter().flat_map(|h| h.witnesses.iter().filter_map(|w| w.certified.as_ref()));
        let used: BTreeSet<u8> = of_mints.chain(of_hops).map(|c| c.certificate).collect();
        let mut places = alloc::vec![u8::MAX; certificates.len()];
        let mut kept = Vec::new();
        for (at, certificate) in certificates.into_iter().enumerate() {
            if u8::try_from(at).is_ok_and(|at| used.contains(&at)) {
                places[at] = u8::try_from(kept.len()).unwrap_or(u8::MAX);
                kept.push(certificate);
            }
        }
        let mints = mints.iter().map(|minted| minted.moved(&places)).collect();
        let hops = hops.iter().map(|hop| hop.moved(&places)).collect();
        Ok(Self {
            mints: List::new(mints)?,
            hops: List::new(hops)?,
            certificates: List::new(kept)?,
            enrollments: List::default(),
        })
    }

    /// This evidence with one more transaction at its end.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] when that exceeds [`MAX_HOPS`].
    pub fn with(&self, hop: Hop) -> Result<Self, DecodeError> {
        let mut hops = self.hops.to_vec();
        hops.push(hop);
        Ok(Self { hops: List::new(hops)?, ..self.clone() })
    }

    /// Only what lies behind `coin`: what a payee of that coin must see, and no more.
    pub fn behind(&self, coin: &CoinId) -> Self {
        self.behind_all([*coin])
    }

    /// Only what lies behind any of `coins`.
    pub fn behind_all(&self, coins: impl IntoIterator<Item = CoinId>) -> Self {
        let mut wanted: BTreeSet<CoinId> = coins.into_iter().collect();
        let mut hops = Vec::new();
        for hop in self.hops.iter().rev() {
            if hop.tx.made().any(|(id, _)| wanted.contains(&id)) {
                wanted.extend(hop.tx.body.inputs.iter().copied());
                hops.push(hop.clone());
            }
        }
        hops.reverse();
        let mints = self.mints.iter().filter(|m| wanted.contains(&m.mint.coin().0)).cloned();
        let (mints, hops) = (List::truncated(mints.collect()), List::truncated(hops));
        let pruned = Self::pruned(mints, hops, self.certificates.to_vec());
        let pruned = pruned.and_then(|all| all.enrolled(self.enrollments.iter().cloned()));
        pruned.expect("fewer than there were")
    }

    /// The most transactions in a row, behind any of its coins, that are not certified.
    pub fn longest_uncertified(&self) -> usize {
        let mut depth = BTreeMap::<CoinId, usize>::new();
        for hop in self.hops.iter() {
            let inputs = hop.tx.body.inputs.iter();
            let before = inputs.filter_map(|coin| depth.get(coin).copied()).max().unwrap_or(0);
            let own = usize::from(hop.witnesses.iter().any(|w| w.certified.is_none()));
            depth.extend(hop.tx.made().map(|(id, _)| (id, before.saturating_add(own))));
        }
        depth.into_values().max().unwrap_or(0)
    }

    /// The keys that signed what is not certified of this evidence.
    pub fn uncertified_keys(&self) -> BTreeSet<PublicKey> {
        if self.hops.is_empty() {
            return BTreeSet::new();
        }
        let owners = self.owners();
        let open = |hop: &Hop| -> Vec<CoinId> {
            let spends = hop.tx.body.inputs.iter().zip(hop.witnesses.iter());
            spends.filter(|(_, w)| w.certified.is_none()).map(|(coin, _)| *coin).collect()
        };
        self.hops.iter().flat_map(open).filter_map(|coin| owners.get(&coin).cloned()).collect()
    }

    /// The steps that this evidence shows, one for each input of each transaction.
    pub fn sightings(&self) -> Vec<Sighting> {
        if self.hops.is_empty() {
            return Vec::new();
        }
        let owners = self.owners();
        let of_hop = |hop: &Hop| -> Vec<Sighting> {
            let sighting = |branch: Branch| {
                owners.get(&branch.coin).map(|key| Sighting { key: key.clone(), branch })
            };
            hop.branches().filter_map(sighting).collect()
        };
        self.hops.iter().flat_map(of_hop).collect()
    }

    /// Who owned each coin that this evidence made.
    fn owners(&self) -> BTreeMap<CoinId, PublicKey> {
        let owners = self.predicates().into_iter();
        owners.map(|(id, owner)| (id, owner.key().clone())).collect()
    }

    /// Under which predicate each coin was that this evidence made.
    fn predicates(&self) -> BTreeMap<CoinId, Predicate> {
        let minted = self.mints.iter().map(|m| m.mint.coin()).map(|(id, coin)| (id, coin.owner));
        let moved = self.hops.iter().flat_map(|hop| {
            hop.tx.made().map(|(id, coin)| (id, coin.owner.clone())).collect::<Vec<_>>()
        });
        minted.chain(moved).collect()
    }
}

impl Hop {
    /// The step that the transaction is, once for each coin that it spends.
    pub fn branches(&self) -> impl Iterator<Item = Branch> {
        let spends = self.tx.body.inputs.iter().zip(self.witnesses.iter());
        spends.map(|(coin, witness)| {
            Branch::of(&self.tx, *coin, witness.unlock.owner_signature().clone())
        })
    }

    /// What the transaction pays to others than `payer`, of all assets, for a cap to be held to.
    fn paid_away(&self, payer: &PublicKey) -> Vec<&Coin> {
        self.tx.body.outputs.iter().filter(|o| o.owner.key() != payer).collect()
    }

    /// The earliest time at which the transaction may no longer be certified, if it says one.
    fn expires_at(&self) -> Option<Time> {
        self.tx.body.expires_at
    }
}

impl Hop {
    /// The transaction without any certification, as its payer signed it.
    pub(crate) fn bare(&self) -> Self {
        let bare = |w: &Witness| Witness { unlock: w.unlock.clone(), certified: None };
        let witnesses = self.witnesses.iter().map(bare).collect();
        Self { tx: self.tx.clone(), witnesses: List::truncated(witnesses) }
    }

    fn moved(&self, places: &[u8]) -> Self {
        let moved = |w: &Witness| Witness {
            unlock: w.unlock.clone(),
            certified: w.certified.as_ref().map(|c| c.moved(places)),
        };
        let witnesses = self.witnesses.iter().map(moved).collect();
        Self { tx: self.tx.clone(), witnesses: List::truncated(witnesses) }
    }

    /// Takes over the certifications of the same transaction that this one lacks.
    fn learn(&mut self, other: Self) {
        let other = other.witnesses.into_vec();
        let mut witnesses = core::mem::take(&mut self.witnesses).into_vec();
        for (witness, other) in witnesses.iter_mut().zip(other) {
            if witness.certified.is_none() && other.certified.is_some() {
                *witness = other;
            }
        }
        self.witnesses = List::truncated(witnesses);
    }
}

impl Minted {
    fn moved(&self, places: &[u8]) -> Self {
        let certified = self.certified.as_ref().map(|c| c.moved(places));
        Self { mint: self.mint.clone(), certified }
    }
}

impl Certification {
    fn moved(&self, places: &[u8]) -> Self {
        let at = places.get(usize::from(self.certificate)).copied().unwrap_or(u8::MAX);
        Self { certificate: at, ..self.clone() }
    }
}

impl Holding {
    /// The coin's amount.
    pub fn amount(&self) -> Amount {
        self.coin.amount
    }
}

/// Enrollments come last, and are left out when there are none.
impl Encode for Evidence {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.enrollments.is_empty() { 3 } else { 4 });
        self.mints.encode(w);
        self.hops.encode(w);
        self.certificates.encode(w);
        if !self.enrollments.is_empty() {
            self.enrollments.encode(w);
        }
    }
}

impl Decode for Evidence {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(3, 4, |r, enrolled| {
            let evidence = Self {
                mints: Decode::decode(r)?,
                hops: Decode::decode(r)?,
                certificates: Decode::decode(r)?,
                enrollments: if enrolled { Decode::decode(r)? } else { List::default() },
            };
            if enrolled && evidence.enrollments.is_empty() {
                return Err(DecodeError::WrongLength);
            }
            Ok(evidence)
        })
    }
}

impl Encode for Certification {
    fn encode(&self, w: &mut Writer) {
        w.array(3);
        self.time.encode(w);
        w.bytes(&self.path.encode());
        self.certificate.encode(w);
    }
}

impl Decode for Certification {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(3, |r| {
            let time = Decode::decode(r)?;
            let path = decode_path(r)?;
            Ok(Self { time, path, certificate: Decode::decode(r)? })
        })
    }
}

/// Reads an inclusion certificate of the tree.
pub(crate) fn decode_path(
    r: &mut Reader<'_>,
) -> Result<tally_tree::InclusionCertificate, DecodeError> {
    let bytes = r.bytes(tally_tree::MAX_CERTIFICATE_BYTES)?;
    tally_tree::InclusionCertificate::decode(bytes).map_err(|_| DecodeError::OutOfRange)
}

impl Encode for Witness {
    /// The unlock as it is while nothing certifies it: the usual case on the wire.
    fn encode(&self, w: &mut Writer) {
        match &self.certified {
            None => self.unlock.encode(w),
            Some(certified) => {
                w.array(3);
                w.uint(0);
                self.unlock.encode(w);
                certified.encode(w);
            }
        }
    }
}

impl Decode for Witness {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.is_bytes()? {
            return Ok(Self { unlock: Decode::decode(r)?, certified: None });
        }
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 2) => Ok(Self { unlock: Decode::decode(r)?, certified: Some(Decode::decode(r)?) }),
            (0, _) => Err(DecodeError::WrongLength),
            _ => Ok(Self { unlock: Unlock::decode_variant(r, kind, rest)?, certified: None }),
        })
    }
}

impl Encode for Minted {
    fn encode(&self, w: &mut Writer) {
        w.array(if self.certified.is_some() { 3 } else { 2 });
        self.mint.body.encode(w);
        self.mint.signatures.encode(w);
        if let Some(certified) = &self.certified {
            certified.encode(w);
        }
    }
}

impl Decode for Minted {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.optional_tail(2, 3, |r, tail| {
            let mint = Mint { body: Decode::decode(r)?, signatures: Decode::decode(r)? };
            let certified = if tail { Some(Decode::decode(r)?) } else { None };
            Ok(Self { mint, certified })
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
