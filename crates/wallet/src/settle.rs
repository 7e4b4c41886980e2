//! Settle: have everything certified that is not, and live with what the notary says.
//!
//! What is to be certified follows from what is durable, and a notary answers the same question in the
//! same way at any time; so there is nothing to remember between two attempts, and a settlement that
//! was killed goes on where it was (spec `SETTLE-9`).

mod decide;
mod proofs;

use std::collections::{BTreeMap, BTreeSet};

use tally_core::device::{Event, Input, Lost, Mode};
use tally_core::evidence::{Claim, Claims, Minted, Settlement};
use tally_core::fork::ForkProof;
use tally_core::id::{CoinId, TxId};
use tally_core::notary::{InclusionProof, ProofError, StateId};
use tally_core::policy::Policy;
use tally_core::seal::{Judge, NoSeals, TpmProofs};
use tally_core::time::Time;
use tally_transport::http::Url;

use self::decide::{Decision, decide_all};
use crate::notary::{
    Endpoint, Exclusion, Notaries, NotaryClient, NotaryError, SplitView, Verdict, Verifier, Watch,
};
use crate::wallet::now;
use crate::{Wallet, WalletError};

/// Under which name the notary's record is kept.
pub(crate) const NOTARY: &str = "notary";
/// Most pages of fork proofs that are taken over at one contact; the rest comes at the next.
const MAX_PAGES: usize = 64;

/// How far a settlement has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Progress {
    /// Transactions and mints that are decided.
    pub decided: usize,
    /// Those that were to be decided when it began.
    pub total: usize,
}

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
}

/// Whether a coin is spent, as the notary shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spent {
    /// The state that was looked up.
    pub state: StateId,
    /// Whether it is spent.
    pub spent: bool,
    /// The round under whose root that was shown.
    pub round: u64,
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
    /// [`NotaryError::TrustFile`], [`NotaryError::Trust`], [`NotaryError::Network`],
    /// [`NotaryError::Add`] when the wallet trusts other validators already.
    pub fn add_notary(&mut self, url: Url, trust_file: &[u8]) -> Result<(), WalletError> {
        self.ready()?;
        let given = Notaries::new(trust_file)?;
        let (mine, theirs) = (self.network, given.trust().network());
        if mine != theirs {
            return Err(NotaryError::Network { mine, theirs }.into());
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
        let splits = self.watch()?.splits;
        self.exchange_forks(show)?;
        let mut settling = Settling { splits, ..Settling::default() };
        let settled = self.certify(&mut settling, progress, show);
        if !settling.lost.is_empty() {
            self.exchange_forks(show)?;
        }
        settled.map(|()| settling)
    }

    /// Has the serial of a mint of this wallet's certified, so that it mints once. What shows that goes
    /// to the receiver with the mint.
    ///
    /// # Errors
    /// [`NotaryError::None`]; [`WalletError::Mint`] when the network knows another mint of the serial;
    /// [`WalletError::Notary`] when it did not decide: the mint is good, and is certified when its
    /// receiver settles.
    pub fn certify_mint(&mut self, minted: &Minted) -> Result<InclusionProof, WalletError> {
        let notaries = self.notaries.as_ref().ok_or(NotaryError::None)?;
        let claim = minted.claim(self.device().policies());
        let claim = claim.ok_or(WalletError::Mint("its first issuer did not sign it"))?;
        let (clients, tx) = (notaries.clients(), claim.tx);
        let verifier = Verifier { trust: notaries.trust(), seals: &NoSeals };
        let judge = Judge::of_certified(self.network, &NoSeals);
        let histories = [vec![Claims { tx, spends: vec![claim.clone()] }]];
        let mut decisions = decide_all(&clients, &histories, now(), &judge, &mut |_| {});
        match decisions.remove(&tx) {
            Some(Decision::Failed(error)) => return Err(error.into()),
            Some(Decision::Spent(_)) => {
                return Err(WalletError::Mint("the network knows another mint of this serial"));
            }
            _ => {}
        }
        let shown = first(&clients, |client| {
            let proof = client.inclusion(claim.state_id(), std::time::Duration::ZERO)?.proof;
            match verifier.verdict(&claim, &proof)? {
                Verdict::Certified(_) => Ok(proof),
                _ => Err(NotaryError::Late),
            }
        });
        Ok(shown?)
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
        match verifier.verdict(&claim, &proof)? {
            Verdict::Certified(shown) => {
                let certificate = proof.certificate;
                Ok(Some(Settlement { certificate, proofs: vec![*shown] }))
            }
            Verdict::Other(_) => Err(NotaryError::from(ProofError::TransactionHashMismatch).into()),
            Verdict::Pending => Err(NotaryError::from(ProofError::Pending).into()),
        }
    }

    /// Asks each validator for its latest certificate, and compares. What contradicts is kept.
    ///
    /// # Errors
    /// [`NotaryError::None`]; the first validator's error when none gives a certificate that is believed.
    pub fn watch(&mut self) -> Result<Watch, WalletError> {
        let mut notaries = self.notaries.clone().ok_or(NotaryError::None)?;
        let kept = notaries.kept.clone();
        let mut watch = crate::notary::look(&notaries.clients(), notaries.trust(), kept.as_ref());
        let believed = watch.sights.iter().any(|sight| sight.latest.is_ok());
        if !believed && watch.splits.is_empty() && !watch.sights.is_empty() {
            let first = watch.sights.swap_remove(0);
            return Err(first.latest.err().unwrap_or(NotaryError::None).into());
        }
        notaries.keep(watch.splits.clone());
        // What contradicts what was kept does not replace it.
        if watch.splits.is_empty() && believed {
            let round = |c: &tally_core::notary::UnicityCertificate| c.record.round;
            let newer =
                watch.latest.as_ref().filter(|l| kept.as_ref().is_none_or(|k| round(k) < round(l)));
            notaries.kept = newer.cloned().or(kept);
        }
        if self.notaries.as_ref() != Some(&notaries) {
            self.keep_notaries(notaries)?;
        }
        Ok(watch)
    }

    /// Whether the notary has seen a spend of this coin of this wallet's, with the proof checked.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] when the wallet has no such coin; [`WalletError::Notary`].
    pub fn look_up(&mut self, coin: &CoinId) -> Result<Spent, WalletError> {
        let unknown = || WalletError::NotFound { what: "coin", name: coin.to_string() };
        let state = self.state_of(coin).ok_or_else(unknown)?;
        self.look_up_state(state)
    }

    /// Whether the notary has seen a spend of this state, with the proof checked.
    ///
    /// # Errors
    /// [`WalletError::Notary`].
    pub fn look_up_state(&mut self, state: StateId) -> Result<Spent, WalletError> {
        let notaries = self.notaries.as_ref().ok_or(NotaryError::None)?;
        let verifier = Verifier { trust: notaries.trust(), seals: &TpmProofs };
        let looked = first(&notaries.clients(), |client| {
            let exclusion = client.exclusion(state)?;
            let round = match &exclusion {
                Exclusion::Unspent { certificate, .. } => certificate.record.round,
                Exclusion::Spent(proof) => proof.proof.certificate.record.round,
            };
            let spent = verifier.unspent(state, &exclusion)?.is_none();
            Ok(Spent { state, spent, round })
        });
        Ok(looked?)
    }

    /// How many coins that this wallet believes to have are spent for the network: so many steps of its
    /// own it does not know. A network that is not reached says nothing.
    pub(crate) fn spent_elsewhere(&mut self) -> Result<u32, WalletError> {
        let pockets = self.device().ledger().pockets().filter(|pocket| pocket.is_ready());
        let coins: Vec<CoinId> = pockets.filter_map(|p| Some(p.coin.as_ref()?.0)).collect();
        let mut spent = 0u32;
        for coin in coins {
            match self.look_up(&coin) {
                Ok(found) => spent = spent.saturating_add(u32::from(found.spent)),
                Err(WalletError::Notary(error)) if error.is_passing() => break,
                Err(other) => return Err(other),
            }
        }
        Ok(spent)
    }

    /// The state that a coin of this wallet's is for a notary: of a coin that is here, or that was
    /// paid away.
    pub fn state_of(&self, coin: &CoinId) -> Option<StateId> {
        let of = |owner: &tally_core::predicate::Predicate| {
            StateId::of(&owner.to_wire(), &(*coin).into())
        };
        let here = self.device().ledger().holding(coin).and_then(|pocket| pocket.coin.as_ref());
        if let Some((_, coin)) = here {
            return Some(of(&coin.owner));
        }
        let spent = self.device().outgoing().values().flat_map(|outgoing| outgoing.sources.iter());
        spent.clone().find(|source| source.id == *coin).map(|source| of(&source.coin.owner))
    }

    /// Fork proofs that are published come here, and those that are known here are published.
    ///
    /// # Errors
    /// [`NotaryError::None`], [`WalletError::Store`]. A validator that is not reached is passed over.
    pub fn exchange_forks(&mut self, show: &mut dyn FnMut(&Event)) -> Result<(), WalletError> {
        let notaries = self.notaries.clone().ok_or(NotaryError::None)?;
        for (endpoint, client) in notaries.endpoints.iter().zip(notaries.clients()) {
            let mut endpoint = endpoint.clone();
            match self.learn_forks(&mut endpoint, &client, show) {
                Ok(()) | Err(WalletError::Notary(_)) => {}
                Err(other) => return Err(other),
            }
            let untold = |proof: &&ForkProof| !endpoint.told.contains(&proof.key);
            let untold: Vec<ForkProof> =
                self.device().forks().values().filter(untold).cloned().collect();
            for proof in untold {
                match client.submit_fork(&proof) {
                    Ok(()) => endpoint.note_told(proof.key),
                    Err(_) => break,
                }
            }
            self.keep_endpoint(endpoint)?;
        }
        Ok(())
    }

    fn learn_forks(
        &mut self,
        endpoint: &mut Endpoint,
        client: &NotaryClient,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        for _ in 0..MAX_PAGES {
            let (proofs, next) = client.forks_since(endpoint.forks)?;
            if proofs.is_empty() || next <= endpoint.forks {
                break;
            }
            for proof in proofs {
                let (key, mine) = (proof.key.clone(), self.device().me().owner.clone());
                // What proves nothing is passed over; what accuses this very wallet is for its owner
                // to see, not for a stranger to switch it off.
                if key == mine || proof.check().is_err() {
                    continue;
                }
                self.run(vec![Input::Fork(Box::new(proof))], show)?;
                endpoint.note_told(key);
            }
            endpoint.forks = next;
        }
        Ok(())
    }

    fn keep_endpoint(&mut self, endpoint: Endpoint) -> Result<(), WalletError> {
        let Some(mut notaries) = self.notaries.clone() else { return Ok(()) };
        let place = notaries.endpoints.iter_mut().find(|known| known.url == endpoint.url);
        match place {
            Some(place) if *place != endpoint => *place = endpoint,
            _ => return Ok(()),
        }
        self.keep_notaries(notaries)
    }

    fn keep_notaries(&mut self, notaries: Notaries) -> Result<(), WalletError> {
        let meta = vec![(NOTARY, notaries.to_record())];
        let trust = Some(Box::new(notaries.trust().clone()));
        self.give(tally_agent::Input::Keep { issued: Vec::new(), meta, trust }, &mut |_| {})?;
        self.notaries = Some(notaries);
        Ok(())
    }

    fn certify(
        &mut self,
        settling: &mut Settling,
        progress: &mut dyn FnMut(Progress),
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let histories: Vec<Vec<Claims>> =
            self.device().unsettled().into_iter().map(|unsettled| unsettled.claims).collect();
        let notaries = self.notaries.as_ref().ok_or(NotaryError::None)?;
        let clients = notaries.clients();
        let judge = Judge::of_certified(self.network, &TpmProofs);
        let decisions = decide_all(&clients, &histories, now(), &judge, progress);
        let known = |tx: &TxId| matches!(decisions.get(tx), Some(Decision::Certified));
        let fresh = |claims: &&Claims| known(&claims.tx) && !claims.certified();
        let certified: Vec<&Vec<Claims>> =
            histories.iter().filter(|claims| claims.iter().any(|c| fresh(&c))).collect();
        let spends: Vec<Claim> = distinct(certified.iter().flat_map(|claims| {
            let ours = claims.iter().filter(|c| known(&c.tx) || c.certified());
            ours.flat_map(|c| c.spends.iter())
        }));
        self.take_proofs(&clients, &spends, settling, show)?;
        let fresh = histories.iter().flatten().filter(fresh).map(|claims| claims.tx);
        let failed: BTreeSet<TxId> = settling.failed.iter().map(|(tx, _)| *tx).collect();
        settling.certified.extend(fresh.filter(|tx| !failed.contains(tx)));
        for (tx, decision) in decisions {
            match decision {
                Decision::Certified => {}
                Decision::Spent(claim) => self.lose(&clients, *claim, settling, show)?,
                Decision::Locked(until) => {
                    settling.locked.insert(tx, until);
                }
                Decision::Failed(error) => settling.failed.push((tx, error)),
            }
        }
        Ok(())
    }

    /// Another transaction spent a state first: the proof is fetched, checked and kept, and whoever
    /// signed both is convicted.
    fn lose(
        &mut self,
        clients: &[NotaryClient],
        claim: Claim,
        settling: &mut Settling,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        let notaries = self.notaries.as_ref().ok_or(NotaryError::None)?;
        let verifier = Verifier { trust: notaries.trust(), seals: &TpmProofs };
        let shown = first(clients, |client| {
            let proof = client.inclusion(claim.state_id(), std::time::Duration::ZERO)?.proof;
            match verifier.verdict(&claim, &proof)? {
                Verdict::Other(_) => Ok(proof),
                _ => Err(NotaryError::Answer {
                    url: client.url().to_string(),
                    what: "proof of the refusal that it gave",
                }),
            }
        });
        let proof = match shown {
            Ok(proof) => Box::new(proof),
            Err(error) => {
                settling.failed.push((claim.tx, error));
                return Ok(());
            }
        };
        let normal = *self.device().mode() == Mode::Normal;
        let source = claim.source;
        self.run(vec![Input::Lost { source, proof }], show)?;
        if normal && *self.device().mode() != Mode::Normal {
            // Its own key signed the winner: it was set back or copied.
            self.set_back()?;
        }
        settling.lost.extend(self.device().lost().get(&source).cloned());
        Ok(())
    }
}

/// The first answer that a validator gives and that holds; else the last error.
pub(crate) fn first<T>(
    clients: &[NotaryClient],
    mut ask: impl FnMut(&NotaryClient) -> Result<T, NotaryError>,
) -> Result<T, NotaryError> {
    let mut last = NotaryError::None;
    for client in clients {
        match ask(client) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Each spend once, in order.
fn distinct<'a>(claims: impl Iterator<Item = &'a Claim>) -> Vec<Claim> {
    let mut seen = BTreeSet::new();
    claims.filter(|claim| seen.insert((claim.source, claim.tx))).cloned().collect()
}
