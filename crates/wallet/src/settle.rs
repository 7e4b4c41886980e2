//! Settle: have everything certified that is not, and live with what the notary says.
//!
//! What is to be certified follows from what is durable, and a notary answers the same question in the
//! same way at any time; so there is nothing to remember between two attempts, and a settlement that
//! was killed goes on where it was (spec `SETTLE-9`). What to ask and what to believe is decided by
//! [`tally_agent::settle`]; here questions are carried, and what was learnt is made durable.

mod carry;
mod take;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

pub use tally_agent::settle::Progress;
use tally_agent::settle::{
    Decision, EndpointId, Errand, Learned, SplitView, Standing, Told, Trouble, Verdict, Verifier,
};
use tally_core::device::{Event, Lost};
use tally_core::evidence::{Claims, Minted, Settlement};
use tally_core::fork::ForkProof;
use tally_core::id::{Digest, TxId};
use tally_core::notary::{InclusionProof, ProofError, StateId};
use tally_core::policy::Policy;
use tally_core::seal::NoSeals;
use tally_core::time::Time;
use tally_transport::http::Url;

use self::carry::carry;
use self::take::Taken;
pub use self::watch::{Sight, Spent, Watch};
use crate::notary::{Notaries, NotaryError};
use crate::wallet::{now, random};
use crate::{Wallet, WalletError};

/// Under which name the notary's record is kept.
pub(crate) const NOTARY: &str = "notary";

/// What a settlement has come to.
#[derive(Debug, Default)]
pub struct Settling {
    /// Transactions and mints that are certified now and were not before.
    pub certified: BTreeSet<TxId>,
    /// The races that were lost.
    pub lost: Vec<Lost>,
    /// What only its payee can settle as yet, with the time from which this wallet can.
    pub locked: BTreeMap<TxId, Option<Time>>,
    /// What could not be decided, and why.
    pub failed: Vec<(TxId, NotaryError)>,
    /// Contradictions between certificates that were met on the way.
    pub splits: Vec<SplitView>,
    /// Whose answers were not believed, and why. They kept nothing from being settled.
    pub doubts: Vec<NotaryError>,
}

/// Takes over what was learnt, and says which fork proofs are known by that.
type TakeOver<'a> =
    dyn FnMut(&mut Wallet, Learned, &mut Taken) -> Result<Vec<ForkProof>, WalletError> + 'a;

/// What an errand to the network has come to.
struct Brought {
    decisions: BTreeMap<TxId, Decision>,
    standings: BTreeMap<StateId, Standing>,
    sights: Vec<Sight>,
    splits: Vec<SplitView>,
    doubts: Vec<NotaryError>,
    taken: Taken,
    /// The proof that the first history's first spend is certified.
    first: Option<InclusionProof>,
}

impl Wallet {
    /// The notary of this wallet, if it has one.
    pub fn notaries(&self) -> Option<&Notaries> {
        self.notaries.as_ref()
    }

    /// Adds a validator's address. The first one brings the trust base, which all others must share.
    /// Nothing is sent: what was added is durable when this returns.
    ///
    /// # Errors
    /// [`NotaryError::TrustFile`], [`NotaryError::Trust`], [`NotaryError::Foreign`],
    /// [`NotaryError::Add`] when the wallet trusts other validators already.
    pub fn add_notary(&mut self, url: Url, trust_file: &[u8]) -> Result<(), WalletError> {
        self.ready()?;
        let given = Notaries::new(trust_file)?;
        let (mine, theirs) = (self.network, given.trust().network());
        if mine != theirs {
            return Err(NotaryError::Foreign { mine, theirs }.into());
        }
        let mut notaries = match self.notaries.clone() {
            None => given,
            Some(known) if known.trust() == given.trust() => known,
            Some(_) => {
                let why = "the wallet trusts other validators already, and one network has one trust base";
                return Err(NotaryError::Add(why).into());
            }
        };
        notaries.add(url)?;
        self.keep_notaries(notaries)
    }

    /// Has everything certified that is not: what is most urgent first, and within a history what is
    /// oldest. Fork proofs go both ways.
    ///
    /// What cannot be decided is in the result, and so are the races that were lost.
    ///
    /// # Errors
    /// [`NotaryError::None`]; [`WalletError::Notary`] when no validator is reached; [`WalletError::Store`].
    pub fn settle(
        &mut self,
        progress: &mut dyn FnMut(Progress),
        show: &mut dyn FnMut(&Event),
    ) -> Result<Settling, WalletError> {
        self.ready()?;
        self.remind(show)?;
        let histories: Vec<Vec<Claims>> =
            self.unsettled().into_iter().map(|unsettled| unsettled.claims).collect();
        let forks = Some(self.known_forks());
        let errand = Errand { watch: true, forks, histories, ..self.errand()? };
        let brought = self.send(errand, progress, show)?;
        let first = brought.sights.first().and_then(|sight| sight.latest.clone().err());
        let nobody = brought.sights.iter().all(|sight| sight.latest.is_err());
        let settling = self.settling(brought);
        match first {
            Some(error) if nobody && settling.certified.is_empty() && settling.lost.is_empty() => {
                Err(error.into())
            }
            _ => Ok(settling),
        }
    }

    fn settling(&self, brought: Brought) -> Settling {
        let Brought { decisions, splits, doubts, taken, .. } = brought;
        let mut settling = Settling { splits, doubts, lost: taken.lost, ..Settling::default() };
        for (tx, decision) in decisions {
            match (decision, taken.refused.get(&tx)) {
                (Decision::Certified, Some(trouble)) => {
                    settling.failed.push((tx, trouble.clone().into()));
                }
                (Decision::Certified, None) => {
                    settling.certified.insert(tx);
                }
                (Decision::Lost(_), _) => {}
                (Decision::Locked(until), _) => {
                    settling.locked.insert(tx, until);
                }
                (Decision::Failed(whose, trouble), _) => {
                    settling.failed.push((tx, self.blame(whose, trouble)));
                }
            }
        }
        settling
    }

    /// Has the serial of a mint of this wallet's certified, so that it mints once. What shows that goes
    /// to the receiver with the mint.
    ///
    /// # Errors
    /// [`NotaryError::None`]; [`WalletError::Mint`] when the network knows another mint of the serial;
    /// [`WalletError::Notary`] when it did not decide: the mint is good, and is certified when its
    /// receiver settles.
    pub fn certify_mint(&mut self, minted: &Minted) -> Result<InclusionProof, WalletError> {
        let claim = minted.claim(self.device().policies());
        let claim = claim.ok_or(WalletError::Mint("its first issuer did not sign it"))?;
        let tx = claim.tx;
        let histories = vec![vec![Claims { tx, spends: vec![claim] }]];
        let errand = Errand { histories, ..self.errand()? };
        // The mint is not this device's to hold: what shows it goes to whoever receives it.
        let mut brought = self.ask(errand, &mut |_| {}, &mut |_, _, _| Ok(Vec::new()))?;
        match (brought.decisions.remove(&tx), brought.first) {
            (Some(Decision::Certified), Some(proof)) => Ok(proof),
            (Some(Decision::Lost(_)), _) => {
                Err(WalletError::Mint("the network knows another mint of this serial"))
            }
            (Some(Decision::Failed(whose, trouble)), _) => Err(self.blame(whose, trouble).into()),
            (Some(Decision::Certified | Decision::Locked(_)) | None, _) => {
                Err(NotaryError::from(Trouble::Late).into())
            }
        }
    }

    /// What a proof that came with a mint shows of it; nothing if this wallet trusts no network, and
    /// cannot tell.
    pub(crate) fn shown_of_mint(
        &self,
        policy: &Policy,
        minted: &Minted,
        proof: InclusionProof,
    ) -> Result<Option<Settlement>, WalletError> {
        let Some(notaries) = self.notaries.as_ref() else { return Ok(None) };
        let claim = minted.claim(&BTreeMap::from([(policy.id(), policy.clone())]));
        let claim = claim.ok_or(WalletError::Mint("its first issuer did not sign it"))?;
        let verifier = Verifier { trust: notaries.trust(), seals: &NoSeals };
        match verifier.verdict(&claim, &proof).map_err(NotaryError::from)? {
            Verdict::Certified(shown) => {
                let certificate = proof.certificate;
                Ok(Some(Settlement { certificate, proofs: vec![*shown] }))
            }
            Verdict::Other(_) => {
                Err(NotaryError::from(Trouble::from(ProofError::TransactionHashMismatch)).into())
            }
            Verdict::Pending => Err(NotaryError::from(Trouble::from(ProofError::Pending)).into()),
        }
    }

    /// An errand that wants nothing yet.
    fn errand(&self) -> Result<Errand, WalletError> {
        let notaries = self.notaries.as_ref().ok_or(NotaryError::None)?;
        let told = |known: &crate::notary::Endpoint| Told {
            since: known.forks,
            keys: known.told.iter().cloned().collect(),
        };
        Ok(Errand {
            trust: notaries.trust().clone(),
            endpoints: notaries.endpoints().iter().map(told).collect(),
            kept: notaries.kept.clone(),
            nonce: Digest::new(random()?),
            now: now(),
            watch: false,
            forks: None,
            histories: Vec::new(),
            states: Vec::new(),
        })
    }

    /// Runs an errand, takes over what was learnt, and keeps what was seen of the network.
    fn send(
        &mut self,
        errand: Errand,
        progress: &mut dyn FnMut(Progress),
        show: &mut dyn FnMut(&Event),
    ) -> Result<Brought, WalletError> {
        self.ask(errand, progress, &mut |wallet, learned, taken| wallet.take(learned, taken, show))
    }

    fn ask(
        &mut self,
        errand: Errand,
        progress: &mut dyn FnMut(Progress),
        take: &mut TakeOver<'_>,
    ) -> Result<Brought, WalletError> {
        let mut notaries = self.notaries.clone().ok_or(NotaryError::None)?;
        let urls: Vec<Url> = notaries.endpoints.iter().map(|known| known.url.clone()).collect();
        let endpoints = notaries.endpoints.clone();
        let mut taken = Taken { endpoints, ..Taken::default() };
        let name = errand.histories.first().and_then(|h| h.first()?.spends.first());
        let name = name.map(|claim| (claim.source, claim.tx));
        let machine =
            carry(errand, &urls, progress, &mut |learned| take(self, learned, &mut taken))?;
        notaries.endpoints = std::mem::take(&mut taken.endpoints);
        let known = self.device().forks();
        notaries
            .endpoints
            .iter_mut()
            .for_each(|told| told.keep_told(|key| known.contains_key(key)));
        notaries.keep(machine.splits().to_vec());
        if let Some(newest) = machine.newest() {
            notaries.kept = Some(newest.clone());
        }
        if self.notaries.as_ref() != Some(&notaries) {
            self.keep_notaries(notaries)?;
        }
        let sight = |(at, url): (EndpointId, &Url)| Sight {
            url: url.clone(),
            validator: machine.validator(at).cloned(),
            latest: machine.sight(at).map_err(|trouble| self.blame(Some(at), trouble)),
        };
        let doubts = machine.doubts().iter();
        Ok(Brought {
            sights: urls.iter().enumerate().map(sight).collect(),
            doubts: doubts.map(|d| self.blame(Some(d.endpoint), d.trouble.clone())).collect(),
            decisions: machine.decisions(),
            standings: machine.standings(),
            splits: machine.splits().to_vec(),
            first: name.and_then(|(source, tx)| machine.proof(&source, &tx).cloned()),
            taken,
        })
    }

    /// Says whose answer it was.
    fn blame(&self, whose: Option<EndpointId>, trouble: Trouble) -> NotaryError {
        let endpoints = self.notaries.as_ref().map(Notaries::endpoints).unwrap_or_default();
        match whose.and_then(|at| endpoints.get(at)) {
            Some(known) => NotaryError::Validator { url: known.url.clone(), trouble },
            None => NotaryError::Network(trouble),
        }
    }

    fn keep_notaries(&mut self, notaries: Notaries) -> Result<(), WalletError> {
        let meta = vec![(NOTARY, notaries.to_record())];
        let trust = Some(Box::new(notaries.trust().clone()));
        self.give(tally_agent::Input::Keep { issued: Vec::new(), meta, trust }, &mut |_| {})?;
        self.notaries = Some(notaries);
        Ok(())
    }
}
