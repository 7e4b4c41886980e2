//! The one function that decides what evidence proves.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::{Certification, Evidence, Holding, Hop, MAX_UNCERTIFIED, Minted, Witness};
use crate::amount::Amount;
use crate::coin::Coin;
use crate::id::{AssetId, CoinId, Link, NetworkId, SerialId, TxId};
use crate::keys::PublicKey;
use crate::mint::{MintError, MintStanding};
use crate::notary::{CertifiedRoot, Spend, StateHash, TransactionHash, TrustBase};
use crate::policy::Policy;
use crate::predicate::{Predicate, UnlockError};
use crate::seal::{Judge, KnownSeals, SealCertificate, Word};
use crate::tier::Tier;
use crate::time::Time;
use crate::transaction::TransactionError;

/// What a verifier trusts, and for whom it verifies.
#[derive(Clone, Copy)]
pub struct Trust<'a> {
    /// The network; objects of another one are refused.
    pub network: NetworkId,
    /// The policies of the assets that are known.
    pub policies: &'a BTreeMap<AssetId, Policy>,
    /// The validators whose certificates count, if any.
    pub notary: Option<&'a TrustBase>,
    /// What is known of seals.
    pub seals: KnownSeals<'a>,
    /// Whose keys are convicted of a fork.
    pub bricked: &'a dyn Fn(&PublicKey) -> bool,
    /// The key of the payee who asks, for whom a reservation may hold.
    pub viewer: Option<&'a PublicKey>,
}

impl fmt::Debug for Trust<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("network", &self.network).finish_non_exhaustive()
    }
}

/// What only a verifier can make: proof that a value was checked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Verified<T> {
    value: T,
    enrollments: Vec<SealCertificate>,
}

impl<T> Verified<T> {
    /// The checked value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The certificates under which the proofs of seals in it count, each once. No other has to be
    /// kept, or is to be shown to anybody.
    pub fn enrollments(&self) -> &[SealCertificate] {
        &self.enrollments
    }
}

/// Why evidence proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// A coin of an asset whose policy is not known here.
    #[error("the coin is of an unknown asset: import the asset first")]
    UnknownAsset,
    /// A mint is not valid.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// A transaction is not valid.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// A transaction spends a coin that nothing before it made.
    #[error("the coin's history has a gap: ask the payer for all of it")]
    MissingInput,
    /// Two transactions of the evidence spend one coin, or two mints one serial.
    #[error("the coin's history spends one coin, or uses one mint's serial, twice: refuse it")]
    SpentTwice,
    /// A transaction does not have one witness for each input.
    #[error("the coin's history lacks a signature: ask the payer for all of it")]
    Witnesses,
    /// An input stays locked.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// A transaction that is not certified may expire.
    #[error("the payment expires, so it may never settle: ask for one without an end")]
    Expires,
    /// More than 32 transactions behind a coin are not certified.
    #[error(
        "the coin has moved 32 times without a network: it must be settled before it moves again"
    )]
    TooManyHops,
    /// The asset's policy does not allow this offline.
    #[error("the asset's issuer does not allow this payment offline: pay online")]
    OfflineRule,
    /// A transaction that is not certified is by a device that is convicted of a fork.
    #[error(
        "the coin's history has an unsettled payment by a device that was proved to cheat: refuse it"
    )]
    Bricked,
    /// A certification does not hold under the trusted validators.
    #[error(
        "the coin's history claims a settlement that the trusted validators did not certify: refuse it; if this wallet has no notary yet, add the one of this network, with its trust base"
    )]
    Certification,
}

impl EvidenceError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownAsset => "EVIDENCE_UNKNOWN_ASSET",
            Self::Mint(e) => e.code(),
            Self::Transaction(e) => e.code(),
            Self::MissingInput => "EVIDENCE_MISSING_INPUT",
            Self::SpentTwice => "EVIDENCE_SPENT_TWICE",
            Self::Witnesses => "EVIDENCE_WITNESSES",
            Self::Unlock(e) => e.code(),
            Self::Expires => "EVIDENCE_EXPIRES",
            Self::TooManyHops => "EVIDENCE_TOO_MANY_HOPS",
            Self::OfflineRule => "EVIDENCE_OFFLINE_RULE",
            Self::Bricked => "EVIDENCE_BRICKED",
            Self::Certification => "EVIDENCE_CERTIFICATION",
        }
    }
}

impl Evidence {
    /// Checks everything behind the coins that this evidence leaves unspent, and says what they are
    /// worth at `now`.
    ///
    /// # Errors
    /// [`EvidenceError`] for the first rule that it breaks, mints first, then in order.
    pub fn verify(
        &self,
        trust: &Trust<'_>,
        now: Time,
    ) -> Result<Verified<BTreeMap<CoinId, Holding>>, EvidenceError> {
        let roots = certified_roots(self, trust)?;
        let mut walk = Walk {
            trust,
            now,
            roots,
            enrollments: &self.enrollments,
            counted: Vec::new(),
            unspent: BTreeMap::new(),
            spent: Vec::new(),
        };
        for minted in self.mints.iter() {
            walk.mint(minted)?;
        }
        for hop in self.hops.iter() {
            walk.hop(hop)?;
        }
        Ok(walk.ended())
    }
}

impl Verified<BTreeMap<CoinId, Holding>> {
    /// Checks one more transaction, not yet certified, that spends coins which evidence left
    /// unspent: all that a payee has left to check once it has seen the evidence. `enrollments` are
    /// those that came with that evidence.
    ///
    /// # Errors
    /// [`EvidenceError`] for the first rule that it breaks.
    pub fn extend(
        &self,
        hop: &Hop,
        enrollments: &[SealCertificate],
        trust: &Trust<'_>,
        now: Time,
    ) -> Result<Self, EvidenceError> {
        let (unspent, counted) = (self.value.clone(), self.enrollments.clone());
        let (roots, spent) = (Vec::new(), Vec::new());
        let mut walk = Walk { trust, now, roots, enrollments, counted, unspent, spent };
        walk.hop(hop)?;
        Ok(walk.ended())
    }
}

/// Checks each shared certificate's signatures once.
fn certified_roots(
    evidence: &Evidence,
    trust: &Trust<'_>,
) -> Result<Vec<CertifiedRoot>, EvidenceError> {
    let verify = |certificate: &crate::notary::UnicityCertificate| {
        let validators = trust.notary.ok_or(EvidenceError::Certification)?;
        certificate.verify(validators).map_err(|_| EvidenceError::Certification)
    };
    evidence.certificates.iter().map(verify).collect()
}

struct Walk<'a> {
    trust: &'a Trust<'a>,
    now: Time,
    roots: Vec<CertifiedRoot>,
    /// Enrollments of seals that came with the evidence, unchecked.
    enrollments: &'a [SealCertificate],
    /// Those under which something counted.
    counted: Vec<SealCertificate>,
    unspent: BTreeMap<CoinId, Holding>,
    spent: Vec<CoinId>,
}

/// What the inputs of a transaction have in common once they are unlocked.
struct Standing {
    tier: Tier,
    minted: MintStanding,
    uncertified: u32,
    settle_by: Option<Time>,
    certified_at: Option<Time>,
}

impl<'a> Walk<'a> {
    fn ended(self) -> Verified<BTreeMap<CoinId, Holding>> {
        Verified { value: self.unspent, enrollments: self.counted }
    }

    fn policy(&self, asset: &AssetId) -> Result<&'a Policy, EvidenceError> {
        self.trust.policies.get(asset).ok_or(EvidenceError::UnknownAsset)
    }

    fn mint(&mut self, minted: &Minted) -> Result<(), EvidenceError> {
        let mint = &minted.mint;
        let policy = self.policy(&mint.body.asset)?;
        mint.check(policy, self.trust.network)?;
        let serial = CoinId::new(*SerialId::of(&mint.body.asset, mint.body.serial).as_bytes());
        if self.spent.contains(&serial) {
            return Err(EvidenceError::SpentTwice);
        }
        self.spent.push(serial);
        let certified_at = self.certified_mint(minted, policy)?;
        if policy.offline.certified_mint && certified_at.is_none() {
            return Err(EvidenceError::OfflineRule);
        }
        let (id, coin) = mint.coin();
        let holding = Holding {
            id,
            coin,
            pocket: id,
            link: mint.link(),
            tier: Tier::Certified,
            minted: MintStanding::of(certified_at),
            uncertified: 0,
            settle_by: None,
            certified_at,
        };
        self.unspent.insert(id, holding);
        Ok(())
    }

    /// A mint is certified under its asset's first issuer, so that a serial is one state.
    fn certified_mint(
        &self,
        minted: &Minted,
        policy: &Policy,
    ) -> Result<Option<Time>, EvidenceError> {
        let Some(certification) = &minted.certified else {
            return Ok(None);
        };
        let body = &minted.mint.body;
        let by_first = minted.mint.signatures.iter().any(|s| s.issuer == 0);
        let first = policy.issuers.first().filter(|_| by_first);
        let first = first.ok_or(EvidenceError::Certification)?;
        let serial = CoinId::new(*SerialId::of(&body.asset, body.serial).as_bytes());
        let owner = Predicate::Signature(first.clone());
        self.certified(&owner, &serial, &body.id(), None, certification).map(Some)
    }

    /// The reference time of a certification, if it holds.
    fn certified(
        &self,
        owner: &Predicate,
        coin: &CoinId,
        tx: &TxId,
        expires_at: Option<Time>,
        certification: &Certification,
    ) -> Result<Time, EvidenceError> {
        let root = self.roots.get(usize::from(certification.certificate));
        let root = root.ok_or(EvidenceError::Certification)?;
        let wire = owner.to_wire();
        let spend = Spend {
            predicate: &wire,
            source: StateHash::new(*coin.as_bytes()),
            transaction: TransactionHash::new(*tx.as_bytes()),
            expires_at,
        };
        root.includes(&spend, certification.time, &certification.path)
            .map(|certified| certified.reference_time())
            .map_err(|_| EvidenceError::Certification)
    }

    fn hop(&mut self, hop: &Hop) -> Result<(), EvidenceError> {
        let inputs = self.take_inputs(hop)?;
        let coins: Vec<&Coin> = inputs.iter().map(|h| &h.coin).collect();
        hop.tx.check(&coins, self.trust.network)?;
        if hop.witnesses.len() != inputs.len() {
            return Err(EvidenceError::Witnesses);
        }
        let tx = hop.tx.id();
        let standing = self.standing(hop, &tx, &inputs)?;
        if usize::try_from(standing.uncertified).unwrap_or(usize::MAX) > MAX_UNCERTIFIED {
            return Err(EvidenceError::TooManyHops);
        }
        self.make_outputs(hop, tx, &inputs, &standing);
        Ok(())
    }

    fn take_inputs(&mut self, hop: &Hop) -> Result<Vec<Holding>, EvidenceError> {
        let mut inputs = Vec::with_capacity(hop.tx.body.inputs.len());
        for coin in hop.tx.body.inputs.iter() {
            let Some(holding) = self.unspent.remove(coin) else {
                let twice = self.spent.contains(coin);
                let error =
                    if twice { EvidenceError::SpentTwice } else { EvidenceError::MissingInput };
                return Err(error);
            };
            self.spent.push(*coin);
            inputs.push(holding);
        }
        Ok(inputs)
    }

    /// Unlocks every input, and takes the weakest of what they are worth.
    fn standing(
        &mut self,
        hop: &Hop,
        tx: &TxId,
        inputs: &[Holding],
    ) -> Result<Standing, EvidenceError> {
        let mut all_certified = true;
        let mut standing = Standing {
            tier: Tier::Certified,
            minted: MintStanding::Certified,
            uncertified: inputs.iter().map(|i| i.uncertified).max().unwrap_or(0),
            settle_by: None,
            certified_at: None,
        };
        let mut certified = Vec::with_capacity(inputs.len());
        for (input, witness) in inputs.iter().zip(hop.witnesses.iter()) {
            let certified_at = self.unlock(hop, tx, input, witness)?;
            let owner = &input.coin.owner;
            let (tier, lock) = match certified_at {
                Some(_) => (Tier::Certified, None),
                None => {
                    all_certified = false;
                    let tier = owner.tier(&witness.unlock, self.now, self.trust.viewer);
                    (tier, owner.until().filter(|_| tier > Tier::Signed))
                }
            };
            standing.tier = standing.tier.min(tier).min(input.tier);
            standing.minted = standing.minted.min(input.minted);
            certified.push(certified_at.or(input.certified_at));
            standing.settle_by = earlier(standing.settle_by, earlier(lock, input.settle_by));
        }
        standing.certified_at = oldest(certified.into_iter());
        if !all_certified {
            standing.uncertified = standing.uncertified.saturating_add(1);
            self.offline_rules(hop, inputs, standing.tier)?;
        }
        Ok(standing)
    }

    /// Unlocks one input; gives the reference time of its certification, if it has one.
    fn unlock(
        &mut self,
        hop: &Hop,
        tx: &TxId,
        input: &Holding,
        witness: &Witness,
    ) -> Result<Option<Time>, EvidenceError> {
        let owner = &input.coin.owner;
        let certified_at = match &witness.certified {
            None => None,
            Some(c) => Some(self.certified(owner, &input.id, tx, hop.expires_at(), c)?),
        };
        let at = certified_at.unwrap_or(self.now);
        // The issuer says whose word for a seal counts (spec `SEAL-18`), until a notary has decided.
        let named = &self.policy(&input.coin.asset)?.offline.enrollers;
        let word = match certified_at {
            Some(_) => Word::Decided,
            None => Word::Asset { named, network: None },
        };
        let (network, seals) = (self.trust.network, self.trust.seals);
        let judge = Judge { network, seals, word, came: self.enrollments };
        let counts = owner.check(&input.id, tx, &witness.unlock, at, &judge)?;
        if let Some(certificate) = counts.filter(|counts| !self.counted.contains(counts)) {
            self.counted.push(certificate.clone());
        }
        if certified_at.is_none() && (self.trust.bricked)(owner.key()) {
            return Err(EvidenceError::Bricked);
        }
        Ok(certified_at)
    }

    /// What only holds for a transaction that is not certified.
    fn offline_rules(
        &self,
        hop: &Hop,
        inputs: &[Holding],
        tier: Tier,
    ) -> Result<(), EvidenceError> {
        if hop.expires_at().is_some() {
            return Err(EvidenceError::Expires);
        }
        let Some(payer) = inputs.first().map(|input| input.coin.owner.key()) else {
            return Err(EvidenceError::MissingInput);
        };
        let paid = hop.paid_away(payer);
        for asset in inputs.iter().map(|input| input.coin.asset) {
            let rules = &self.policy(&asset)?.offline;
            let amounts = paid.iter().filter(|c| c.asset == asset).map(|c| c.amount);
            let sum = Amount::checked_sum(amounts).ok_or(TransactionError::Conservation)?;
            if !rules.allows(sum, tier) {
                return Err(EvidenceError::OfflineRule);
            }
        }
        Ok(())
    }

    fn make_outputs(&mut self, hop: &Hop, tx: TxId, inputs: &[Holding], standing: &Standing) {
        let change_pocket = inputs.last().map(|input| (input.coin.owner.key(), input.pocket));
        for (i, (id, coin)) in hop.tx.made_as(tx).enumerate() {
            // What is paid comes into a pocket of its own, whosever it is.
            let pocket = match change_pocket {
                Some((payer, pocket)) if i > 0 && coin.owner.key() == payer => pocket,
                _ => id,
            };
            let holding = Holding {
                id,
                coin: coin.clone(),
                pocket,
                link: Link::new(*hop.tx.link.as_bytes()),
                tier: standing.tier,
                minted: standing.minted,
                uncertified: standing.uncertified,
                settle_by: standing.settle_by,
                certified_at: standing.certified_at,
            };
            self.unspent.insert(id, holding);
        }
    }
}

/// The oldest of several times, all of which must be there: new value does not make old value newer.
pub(crate) fn oldest(mut times: impl Iterator<Item = Option<Time>>) -> Option<Time> {
    let first = times.next()??;
    times.try_fold(first, |oldest, time| Some(oldest.min(time?)))
}

/// The earlier of two times of which either may be absent.
fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
