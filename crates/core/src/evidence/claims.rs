//! Say what of a history a notary can certify, and take in what it certified.
//!
//! A payment signed offline is certified as it is: every input is one [`Claim`], and the notary
//! certifies those of one transaction together or not at all ([`Claims`]). What it answers comes back
//! as a [`Settlement`]: any number of spends under one certificate (spec `SETTLE-1` to `SETTLE-4`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Certification, Evidence, EvidenceError, Hop, Minted, Witness};
use crate::cbor::{Blob, DecodeError, List};
use crate::coin::Coin;
use crate::id::{AssetId, CoinId, SerialId, TxId};
use crate::notary::{
    CertificationData, CertificationRequest, CertifiedRoot, Spend, StateHash, StateId,
    TransactionHash, UnicityCertificate, WirePredicate,
};
use crate::policy::Policy;
use crate::predicate::{Predicate, Unlock};
use crate::seal::{Judge, KnownSeals, SealCertificate, Word};
use crate::time::Time;

/// One spend that a notary can certify.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Claim {
    /// What locks the state.
    pub owner: Predicate,
    /// The state: a coin, or the serial of a mint.
    pub source: CoinId,
    /// The transaction or mint that spends it.
    pub tx: TxId,
    /// The time from which it may no longer be certified, if it says one.
    pub expires_at: Option<Time>,
    /// What unlocks it.
    pub unlock: Unlock,
    /// The enrollment of the seal that proved it, if one did: a notary sees no cards.
    pub enrollment: Option<SealCertificate>,
    /// Whether the evidence has a certification of it already.
    pub certified: bool,
}

/// The spends of one transaction, or of one mint.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Claims {
    /// The transaction or mint.
    pub tx: TxId,
    /// One spend an input, in order.
    pub spends: Vec<Claim>,
}

/// That a notary has certified one spend.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Proof {
    /// The state.
    pub source: CoinId,
    /// The transaction or mint that spent it first.
    pub tx: TxId,
    /// Reference time of the round that certified it.
    pub time: Time,
    /// The way from the spend to the certificate's root.
    pub path: tally_tree::InclusionCertificate,
}

/// What a notary has certified, all under one certificate.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Settlement {
    /// The certificate.
    pub certificate: UnicityCertificate,
    /// The spends.
    pub proofs: Vec<Proof>,
}

impl Claim {
    /// What the notary is asked.
    pub fn request(&self) -> CertificationRequest {
        let unlock = Blob::new(self.unlock.to_wire(&self.owner, self.enrollment.as_ref()));
        CertificationRequest::new(CertificationData {
            predicate: self.owner.to_wire(),
            source: self.source.into(),
            transaction: self.tx.into(),
            expires_at: self.expires_at,
            unlock: unlock.expect("an unlock of ours is far below the wire's limit"),
        })
    }

    /// Where the spend is in the notary's tree.
    pub fn state_id(&self) -> StateId {
        StateId::of(&self.owner.to_wire(), &StateHash::from(self.source))
    }

    /// What a proof of this claim has to prove; `wire` is the owner's [`Predicate::to_wire`].
    pub fn spend<'a>(&self, wire: &'a WirePredicate) -> Spend<'a> {
        Spend {
            predicate: wire,
            source: self.source.into(),
            transaction: TransactionHash::from(self.tx),
            expires_at: self.expires_at,
        }
    }

    /// Whether a notary would take it at `now`, as far as `judge` can tell; the claim's enrollment
    /// comes to what it knows.
    pub fn is_unlocked(&self, now: Time, judge: &Judge<'_>) -> bool {
        let judge = Judge { came: self.enrollment.as_slice(), ..*judge };
        self.owner.check(&self.source, &self.tx, &self.unlock, now, &judge).is_ok()
    }

    /// Checks what a notary certified of this claim (spec `EVID-6`).
    pub(crate) fn check(
        &self,
        proof: &Proof,
        root: &CertifiedRoot,
        judge: &Judge<'_>,
    ) -> Result<(), EvidenceError> {
        let wire = self.owner.to_wire();
        let certified = root.includes(&self.spend(&wire), proof.time, &proof.path);
        let at = certified.map_err(|_| EvidenceError::Certification)?.reference_time();
        self.owner.check(&self.source, &self.tx, &self.unlock, at, judge)?;
        Ok(())
    }
}

impl Claims {
    /// Whether every spend is certified.
    pub fn certified(&self) -> bool {
        self.spends.iter().all(|claim| claim.certified)
    }

    /// The earliest end of a lock that what is not certified of it rests on.
    pub fn until(&self) -> Option<Time> {
        let open = self.spends.iter().filter(|claim| !claim.certified);
        open.filter_map(|claim| claim.owner.until()).min()
    }
}

impl Settlement {
    /// What was certified of this spend.
    pub fn proof(&self, source: &CoinId, tx: &TxId) -> Option<&Proof> {
        self.proofs.iter().find(|proof| proof.source == *source && proof.tx == *tx)
    }
}

impl Evidence {
    /// All that a notary can certify of this history, in order. Mints that the asset's first issuer
    /// did not sign are not in it (spec `MINT-7`).
    pub fn claims(&self, policies: &BTreeMap<AssetId, Policy>) -> Vec<Claims> {
        let mut coins = BTreeMap::<CoinId, Coin>::new();
        let mut claims = Vec::new();
        for minted in self.mints.iter() {
            let (id, coin) = minted.mint.coin();
            coins.insert(id, coin);
            claims.extend(minted.claim(policies).map(|c| Claims { tx: c.tx, spends: [c].into() }));
        }
        for hop in self.hops.iter() {
            let tx = hop.tx.id();
            let inputs = hop.tx.body.inputs.iter().zip(hop.witnesses.iter());
            let claim = |(source, witness): (&CoinId, &Witness)| {
                let coin = coins.get(source)?;
                let certified = witness.certified.is_some();
                let shown = || self.enrollment(coin, &witness.unlock, policies.get(&coin.asset)?);
                let enrollment = if certified { None } else { shown().cloned() };
                Some(Claim {
                    enrollment,
                    owner: coin.owner.clone(),
                    source: *source,
                    tx,
                    expires_at: hop.tx.body.expires_at,
                    unlock: witness.unlock.clone(),
                    certified,
                })
            };
            claims.push(Claims { tx, spends: inputs.filter_map(claim).collect() });
            coins.extend(hop.tx.made().map(|(id, coin)| (id, coin.clone())));
        }
        claims
    }

    /// The enrollment under which a notary is asked: one that the judge takes by the word of the
    /// asset's enrollers. A revocation heard since undoes nothing that was taken (spec `SEAL-14`).
    fn enrollment<'a>(
        &'a self,
        coin: &Coin,
        unlock: &Unlock,
        policy: &'a Policy,
    ) -> Option<&'a SealCertificate> {
        let (Predicate::Sealed(sealed), Unlock::Sealed(..)) = (&coin.owner, unlock) else {
            return None;
        };
        let word = Word::Asset { named: &policy.offline.enrollers, network: None };
        let (network, seals) = (policy.network, KnownSeals::default());
        let judge = Judge { network, seals, word, came: &self.enrollments };
        judge.vouched(&sealed.slot, sealed.until).ok()
    }

    /// This evidence with what `settlement` certifies of it, in place of older certifications.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] when that needs more certificates than evidence may share.
    pub fn settled_by(&self, settlement: &Settlement) -> Result<Self, DecodeError> {
        let mut certificates = self.certificates.to_vec();
        let known = certificates.iter().position(|known| *known == settlement.certificate);
        let at = known.unwrap_or(certificates.len());
        if known.is_none() {
            certificates.push(settlement.certificate.clone());
        }
        let certificate = u8::try_from(at).map_err(|_| DecodeError::TooLarge)?;
        let of = |source: &CoinId, tx: &TxId| {
            let proof = settlement.proof(source, tx)?;
            Some(Certification { time: proof.time, path: proof.path.clone(), certificate })
        };
        let mint = |minted: &Minted| {
            let (serial, tx) = (minted.serial(), minted.mint.body.id());
            let certified = of(&serial, &tx).or_else(|| minted.certified.clone());
            Minted { mint: minted.mint.clone(), certified }
        };
        let hop = |hop: &Hop| {
            let tx = hop.tx.id();
            let inputs = hop.tx.body.inputs.iter().zip(hop.witnesses.iter());
            let witness = |(source, witness): (&CoinId, &Witness)| Witness {
                unlock: witness.unlock.clone(),
                certified: of(source, &tx).or_else(|| witness.certified.clone()),
            };
            Hop { tx: hop.tx.clone(), witnesses: List::truncated(inputs.map(witness).collect()) }
        };
        let mints = List::truncated(self.mints.iter().map(mint).collect());
        let hops = List::truncated(self.hops.iter().map(hop).collect());
        let settled = Self::pruned(mints, hops, certificates)?;
        settled.enrolled(self.enrollments.iter().cloned())
    }
}

impl Minted {
    /// The state that the mint spends.
    pub fn serial(&self) -> CoinId {
        let body = &self.mint.body;
        CoinId::new(*SerialId::of(&body.asset, body.serial).as_bytes())
    }

    /// The mint as a spend of its serial by the asset's first issuer, if that issuer signed it.
    pub fn claim(&self, policies: &BTreeMap<AssetId, Policy>) -> Option<Claim> {
        let first = policies.get(&self.mint.body.asset)?.issuers.first()?.clone();
        let signed = self.mint.signatures.iter().find(|signature| signature.issuer == 0)?;
        Some(Claim {
            owner: Predicate::Signature(first),
            source: self.serial(),
            tx: self.mint.body.id(),
            expires_at: None,
            unlock: Unlock::Signature(signed.signature.clone()),
            enrollment: None,
            certified: self.certified.is_some(),
        })
    }
}
