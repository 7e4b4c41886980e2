//! Send a person on errands to the network, and take over what was learnt.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use tally_agent::recovery::Coins;
use tally_agent::settle::{
    Ask, Decision, Errand, Learned, Settling, SplitView, Standing, Told, Trouble,
};
use tally_agent::{AgentError, Input as Tell};
use tally_core::device;
use tally_core::evidence::{Claims, Proof, Settlement};
use tally_core::fork::ForkProof;
use tally_core::hash::sha256;
use tally_core::id::{CoinId, Digest, TxId};
use tally_core::notary::StateId;
use tally_core::time::Time;

use crate::errand::{Run, run_errand};
use crate::network::VALIDATORS;
use crate::person::{Ended, Person};
use crate::scene::Scene;

/// How long an answer takes.
pub const LATENCY: Duration = Duration::from_millis(20);

/// What a settlement has come to.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// What became of each transaction that was to be certified.
    pub decisions: BTreeMap<TxId, Decision>,
    /// What was shown of each state that was looked up.
    pub standings: BTreeMap<StateId, Standing>,
    /// The states whose races were lost.
    pub lost: BTreeSet<CoinId>,
    /// What the device does not take over though it was shown, and why.
    pub refused: BTreeMap<TxId, AgentError>,
    /// Contradictions between certificates.
    pub splits: Vec<SplitView>,
}

impl Settled {
    /// What is certified now, and was not before.
    pub fn certified(&self) -> BTreeSet<TxId> {
        let is_certified = |(_, d): &(&TxId, &Decision)| **d == Decision::Certified;
        self.decisions.iter().filter(is_certified).map(|(tx, _)| *tx).collect()
    }

    /// What could not be decided, and why.
    pub fn failed(&self) -> Vec<(TxId, Trouble)> {
        let failed = |(tx, decision): (&TxId, &Decision)| match decision {
            Decision::Failed(_, trouble) => Some((*tx, trouble.clone())),
            _ => None,
        };
        self.decisions.iter().filter_map(failed).collect()
    }
}

impl Scene {
    /// Somebody has everything certified that is not, and exchanges fork proofs.
    ///
    /// # Errors
    /// [`Ended`], of whatever was to be taken over.
    pub fn settle(&mut self, person: usize) -> Result<Settled, Ended> {
        self.give(person, Tell::Remind)?;
        let agent = self.people[person].agent();
        let histories: Vec<Vec<Claims>> =
            agent.unsettled().into_iter().map(|unsettled| unsettled.claims).collect();
        let forks = Some(self.people[person].known_forks());
        let errand = Errand { watch: true, forks, histories, ..self.errand(person) };
        self.run(person, errand)
    }

    /// Somebody looks at the network whether the coins that are here are spent: those that are, are spent
    /// here too.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn look_up(&mut self, person: usize) -> Result<Settled, Ended> {
        let states = Coins::held(self.people[person].device()).states();
        self.ask_for(person, states)
    }

    /// Somebody asks whether these states are spent: coins that are, are spent here too.
    pub(crate) fn ask_for(
        &mut self,
        person: usize,
        states: Vec<StateId>,
    ) -> Result<Settled, Ended> {
        let errand = Errand { states, ..self.errand(person) };
        self.run(person, errand)
    }

    fn errand(&mut self, person: usize) -> Errand {
        self.errands += 1;
        self.network.tick(self.now);
        let who = &self.people[person];
        let mut endpoints = who.told.clone();
        endpoints.resize(VALIDATORS, Told::default());
        Errand {
            trust: self.network.trust().clone(),
            endpoints,
            kept: who.kept.clone(),
            nonce: Digest::new(sha256(&self.errands.to_be_bytes())),
            now: self.now.plus(who.clock_ahead),
            watch: false,
            forks: None,
            histories: Vec::new(),
            states: Vec::new(),
        }
    }

    fn run(&mut self, person: usize, errand: Errand) -> Result<Settled, Ended> {
        let Self { people, network, now, .. } = self;
        let (who, now) = (&mut people[person], *now);
        let mut settled = Settled::default();
        let answer = |endpoint, ask: &Ask| Some((LATENCY, network.answer(endpoint, now, ask)?));
        let learn = |learned| who.take(now, learned, &mut settled).map(Some);
        let Run { machine, .. } = run_errand(errand, answer, learn)?;
        who.keep(&machine);
        settled.decisions = machine.decisions();
        settled.standings = machine.standings();
        settled.splits = machine.splits().to_vec();
        Ok(settled)
    }
}

/// What a wallet does with what was learnt.
impl Person {
    fn known_forks(&self) -> Vec<ForkProof> {
        self.device().forks().values().cloned().collect()
    }

    fn keep(&mut self, machine: &Settling) {
        if let Some(newest) = machine.newest() {
            self.kept = Some(newest.clone());
        }
    }

    /// Takes over one thing, and says which fork proofs are known by then.
    fn take(
        &mut self,
        now: Time,
        learned: Learned,
        settled: &mut Settled,
    ) -> Result<Vec<ForkProof>, Ended> {
        self.told.resize(VALIDATORS, Told::default());
        match learned {
            Learned::Consents { tx, consents } => {
                if self.device().outgoing().contains_key(&tx) {
                    self.tell(now, device::Input::Consents { tx, consents })?;
                }
            }
            Learned::Certified(settlement) => self.take_certified(now, &settlement, settled)?,
            Learned::Lost { source, proof } => {
                self.tell(now, device::Input::Lost { source, proof })?;
                settled.lost.insert(source);
            }
            Learned::Spent { state, proof } => {
                if let Some(coin) = Coins::held(self.device()).coin(&state) {
                    self.tell(now, device::Input::Spent { coin, proof })?;
                }
            }
            Learned::Forks { endpoint, proofs, next } => {
                for proof in proofs {
                    self.told[endpoint].keys.insert(proof.key.clone());
                    self.tell(now, device::Input::Fork(Box::new(proof)))?;
                }
                self.told[endpoint].since = next;
            }
            Learned::Told { endpoint, key } => {
                self.told[endpoint].keys.insert(key);
            }
        }
        Ok(self.known_forks())
    }

    /// All together; if the device refuses something of it, those of each transaction alone.
    fn take_certified(
        &mut self,
        now: Time,
        settlement: &Settlement,
        settled: &mut Settled,
    ) -> Result<(), Ended> {
        let all = device::Input::Certified(Box::new(settlement.clone()));
        if self.tell(now, all)?.is_none() {
            return Ok(());
        }
        let mut each: BTreeMap<TxId, Vec<Proof>> = BTreeMap::new();
        for proof in &settlement.proofs {
            each.entry(proof.tx).or_default().push(proof.clone());
        }
        for (tx, proofs) in each {
            let alone = Settlement { certificate: settlement.certificate.clone(), proofs };
            let refused = self.tell(now, device::Input::Certified(Box::new(alone)))?;
            settled.refused.extend(refused.map(|why| (tx, why)));
        }
        Ok(())
    }

    /// Tells the device; says why it refuses, if it does. What it refuses stops nothing else.
    fn tell(&mut self, now: Time, input: device::Input) -> Result<Option<AgentError>, Ended> {
        match self.wish(now, input) {
            Ok(_) => Ok(None),
            Err(Ended::Refused(why)) => Ok(Some(why)),
            Err(cut) => Err(cut),
        }
    }
}
