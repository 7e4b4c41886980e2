//! A network of four validators in memory, as each of its rounds left it.
//!
//! It takes a spend by the rule by which a validator takes it, certifies at once, and keeps all rounds,
//! so that a validator can show an old one. What a validator does with a question is its [`Manner`].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use tally_agent::settle::{Answer, Ask, EndpointId, Exclusion, Growth, Said, Step, Trouble};
use tally_core::fork::ForkProof;
use tally_core::id::{Digest, NetworkId, TxId};
use tally_core::keys::{PublicKey, SecretKey};
use tally_core::notary::{
    CertificationData, CertificationRequest, InclusionProof, LeafProof, LeafValue, NodeId,
    Presence, RootNode, ShardId, StateId, TransactionHash, TrustBase, UnicityCertificate,
};
use tally_core::predicate::TallyEngine;
use tally_core::seal::{Judge, TpmProofs};
use tally_core::time::Time;
use tally_tree::{Key, Tree, Value};

use crate::certificate::{certificate, partition};
use crate::chip::enroller;

/// How many validators there are; three make a quorum.
pub const VALIDATORS: usize = 4;

/// What a validator does with a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Manner {
    /// It keeps to the rules.
    #[default]
    Honest,
    /// It says that all is certified, shows what is not asked for, forges what it can and answers
    /// with garbage.
    Lying,
    /// It certifies nothing, and shows this round for ever.
    Stale(u64),
    /// It says of everything that it waits, and certifies nothing.
    Queues,
    /// It says that all is certified, and does nothing.
    Boasts,
    /// It answers everything with what it is not.
    Garbage,
    /// It is not reached.
    CutOff,
    /// It does not answer.
    Silent,
}

#[derive(Clone, Debug)]
struct Round {
    tree: Tree,
    certificate: UnicityCertificate,
    leaves: Vec<(Key, Value)>,
}

#[derive(Clone, Debug)]
struct Spent {
    data: CertificationData,
    at: Time,
}

/// All rounds, the first of them number 1, and all spends.
#[derive(Clone, Debug)]
pub struct Network {
    trust: TrustBase,
    enrollers: [PublicKey; 1],
    rounds: Vec<Round>,
    spent: BTreeMap<StateId, Spent>,
    forks: Vec<ForkProof>,
    /// What each validator does.
    pub manners: [Manner; VALIDATORS],
    /// How many lies were told.
    lies: u64,
}

/// A validator's key.
pub fn node_key(validator: usize) -> SecretKey {
    SecretKey::new([u8::try_from(validator).unwrap_or(0) + 0xa1; 32]).expect("a scalar")
}

/// A validator's name.
pub fn node_name(validator: usize) -> NodeId {
    NodeId::new(&format!("validator-{validator}")).expect("a name")
}

impl Network {
    /// A network in its first round.
    pub fn new(now: Time) -> Self {
        let node = |n| RootNode { id: node_name(n), key: node_key(n).public(), stake: 1 };
        let nodes = (0..VALIDATORS).map(node).collect();
        let trust = TrustBase::new(NetworkId::LOCAL, 1, partition(), nodes, 3).expect("four nodes");
        let mut network = Self {
            trust,
            enrollers: [enroller().public()],
            rounds: Vec::new(),
            spent: BTreeMap::new(),
            forks: Vec::new(),
            manners: [Manner::Honest; VALIDATORS],
            lies: 0,
        };
        network.round(now, Vec::new());
        network
    }

    /// Validators that check nothing tell this from now on, whatever it proves.
    pub fn plant(&mut self, proof: ForkProof) {
        self.forks.push(proof);
    }

    /// Whose certificates count.
    pub const fn trust(&self) -> &TrustBase {
        &self.trust
    }

    /// The number of the latest round.
    pub fn latest(&self) -> u64 {
        self.rounds.len() as u64
    }

    /// The certificate of the round of this number.
    pub fn certificate(&self, round: u64) -> UnicityCertificate {
        self.number(round).expect("a round that was").certificate.clone()
    }

    /// How many states are spent.
    pub fn spends(&self) -> usize {
        self.spent.len()
    }

    /// Ends a round in which nothing is spent, so that the latest one is of this time.
    pub fn tick(&mut self, now: Time) {
        self.round(now, Vec::new());
    }

    fn round(&mut self, now: Time, spends: Vec<CertificationData>) {
        let mut tree = self.rounds.last().map(|last| last.tree.clone()).unwrap_or_default();
        let mut leaves = Vec::new();
        for data in spends {
            let state = data.spend().state_id();
            let value = LeafValue::of(&data.transaction, now);
            tree.insert(Key::from(state), Value::from(value)).expect("nothing is there");
            leaves.push((Key::from(state), Value::from(value)));
            self.spent.insert(state, Spent { data, at: now });
        }
        leaves.sort();
        let number = self.latest() + 1;
        let certificate = certificate(number, root_of(&tree), now, &[0, 1, 2]);
        self.rounds.push(Round { tree, certificate, leaves });
    }

    /// What a validator answers, if it does.
    pub fn answer(&mut self, validator: EndpointId, now: Time, ask: &Ask) -> Option<Answer> {
        self.answer_as(self.manners[validator], validator, now, ask)
    }

    /// What a validator answers that does so with a question, if it does.
    pub fn answer_as(
        &mut self,
        manner: Manner,
        validator: EndpointId,
        now: Time,
        ask: &Ask,
    ) -> Option<Answer> {
        Some(match (manner, ask) {
            (Manner::Silent, _) => return None,
            (Manner::Honest, _) => self.honest(validator, now, ask),
            (Manner::Lying, _) => self.lie(validator, now, ask),
            (Manner::Stale(round), _) => self.shown(validator, round.clamp(1, self.latest()), ask),
            (Manner::Boasts, Ask::Submit(all)) => all_certified(all),
            (Manner::Queues | Manner::Boasts, _) => self.shown(validator, self.latest(), ask),
            (Manner::Garbage, Ask::Publish(_)) => Answer::Forks(Vec::new(), u64::MAX),
            (Manner::Garbage, _) => Answer::Published,
            (Manner::CutOff, _) => unreached(),
        })
    }

    fn honest(&mut self, validator: EndpointId, now: Time, ask: &Ask) -> Answer {
        match ask {
            Ask::Submit(all) => {
                Answer::Submitted(all.iter().map(|requests| self.submit(now, requests)).collect())
            }
            Ask::Publish(proof) => {
                if proof.check().is_err() {
                    return refused("FORK_INVALID");
                }
                if self.forks.iter().all(|known| known.key != proof.key) {
                    self.forks.push(ForkProof::clone(proof));
                }
                Answer::Published
            }
            _ => self.shown(validator, self.latest(), ask),
        }
    }

    /// Takes the spends of one transaction, all or none, as every validator must.
    fn submit(&mut self, now: Time, requests: &[CertificationRequest]) -> Result<Said, Trouble> {
        let judge = Judge::of_notary(self.trust.network(), &TpmProofs, &self.enrollers);
        let engine = TallyEngine { judge };
        for request in requests {
            if let Some(spent) = self.spent.get(&request.state_id)
                && spent.data.transaction != request.data.transaction
            {
                let winner = spent.data.transaction;
                return Ok(Said::Spent { state: request.state_id, winner });
            }
        }
        let is_open = |r: &&CertificationRequest| !self.spent.contains_key(&r.state_id);
        let open: Vec<&CertificationRequest> = requests.iter().filter(is_open).collect();
        for request in &open {
            request.verify(&ShardId::whole(), &engine, now).map_err(|e| fault(e.code()))?;
        }
        let spends: Vec<CertificationData> = open.iter().map(|r| r.data.clone()).collect();
        if !spends.is_empty() {
            self.round(now, spends);
        }
        Ok(Said::Certified)
    }

    /// What a validator shows whose latest round is `at`; it takes nothing.
    pub fn shown(&self, validator: EndpointId, at: u64, ask: &Ask) -> Answer {
        let Some(round) = self.number(at) else { return refused("NO_ROUND") };
        match ask {
            Ask::Presence(nonce) => Answer::Presence(Box::new(Presence::sign(
                node_name(validator),
                &node_key(validator),
                nonce,
                round.certificate.clone(),
            ))),
            Ask::Certificate(number) => match self.number(*number).filter(|_| *number <= at) {
                Some(round) => Answer::Certificate(Box::new(round.certificate.clone())),
                None => refused("NO_ROUND"),
            },
            Ask::Growth { from, to } => self.growth(*from, (*to).min(at)),
            Ask::Submit(all) => Answer::Submitted(all.iter().map(|_| Ok(Said::Queued)).collect()),
            Ask::Inclusions(states) => {
                Answer::Inclusions(states.iter().map(|s| Ok(self.inclusion(at, s))).collect())
            }
            Ask::Exclusions(states) => {
                Answer::Exclusions(states.iter().map(|s| Ok(self.exclusion(at, s))).collect())
            }
            Ask::Forks(since) => {
                let from = usize::try_from(*since).unwrap_or(usize::MAX).min(self.forks.len());
                Answer::Forks(self.forks[from..].to_vec(), self.forks.len() as u64)
            }
            Ask::Publish(_) => Answer::Published,
        }
    }

    /// One lie after the other, those among them that a validator can make of its own key.
    fn lie(&mut self, validator: EndpointId, now: Time, ask: &Ask) -> Answer {
        self.lies += 1;
        let latest = self.latest();
        match (ask, self.lies % 4) {
            (Ask::Presence(_), 0) | (Ask::Publish(_), 1) => Answer::Forks(Vec::new(), u64::MAX),
            (Ask::Presence(nonce), 1) => {
                let other = (validator + 1) % VALIDATORS;
                let forged = certificate(latest + 9, Digest::new([9; 32]), now, &[validator]);
                Answer::Presence(Box::new(Presence::sign(
                    node_name(other),
                    &node_key(validator),
                    nonce,
                    forged,
                )))
            }
            (Ask::Submit(all), _) => all_certified(all),
            (Ask::Inclusions(states), 0) => {
                // Its own tree, under a certificate that nobody else signed.
                let own = |proof: InclusionProof| {
                    let root = proof.certificate.record.hash;
                    let certificate = certificate(latest + 1, root, now, &[validator]);
                    InclusionProof { certificate, ..proof }
                };
                Answer::Inclusions(
                    states.iter().map(|s| Ok(own(self.inclusion(latest, s)))).collect(),
                )
            }
            (Ask::Inclusions(states), 1) => {
                Answer::Inclusions(states.iter().map(|s| Ok(self.inclusion(1, s))).collect())
            }
            (Ask::Inclusions(states), 2) => {
                let first = self.spent.keys().next().copied();
                let of = |s: &StateId| Ok(self.inclusion(latest, &first.unwrap_or(*s)));
                Answer::Inclusions(states.iter().map(of).collect())
            }
            (Ask::Exclusions(states), 0 | 1) => {
                Answer::Exclusions(states.iter().map(|s| Ok(self.exclusion(1, s))).collect())
            }
            (Ask::Growth { from, .. }, 0) => self.growth(1, *from),
            (Ask::Forks(_), 0) => Answer::Published,
            _ => self.shown(validator, latest, ask),
        }
    }

    fn number(&self, round: u64) -> Option<&Round> {
        self.rounds.get(usize::try_from(round.checked_sub(1)?).ok()?)
    }

    /// What the round of this number shows of a state.
    pub fn inclusion(&self, at: u64, state: &StateId) -> InclusionProof {
        let round = self.number(at).expect("a round that was");
        let spent = self.spent.get(state);
        let leaf = spent.zip(round.tree.prove(&Key::from(*state))).map(|(spent, path)| LeafProof {
            data: spent.data.clone(),
            reference_time: spent.at,
            path,
        });
        InclusionProof { leaf, certificate: round.certificate.clone() }
    }

    /// Whether a transaction or mint is certified: its spends are so together or not at all.
    pub fn certifies(&self, tx: &TxId) -> bool {
        let tx = TransactionHash::from(*tx);
        self.spent.values().any(|spent| spent.data.transaction == tx)
    }

    /// Whether a state was spent in the round of this number.
    pub fn exclusion(&self, at: u64, state: &StateId) -> Exclusion {
        let round = self.number(at).expect("a round that was");
        match round.tree.prove_absence(&Key::from(*state)) {
            Some(path) => {
                Exclusion::Unspent { path, certificate: Box::new(round.certificate.clone()) }
            }
            None => Exclusion::Spent(Box::new(self.inclusion(at, state))),
        }
    }

    fn growth(&self, from: u64, to: u64) -> Answer {
        let (Some(first), Some(last)) = (self.number(from), self.number(to)) else {
            return refused("NO_ROUND");
        };
        let mut tree = first.tree.clone();
        let mut steps = Vec::new();
        for round in (from + 1..=to).filter_map(|number| self.number(number)) {
            if !round.leaves.is_empty() {
                let proof = tree.insert_batch_with_proof(&round.leaves).expect("new leaves");
                steps.push(Step { root: root_of(&tree), leaves: round.leaves.clone(), proof });
            }
        }
        let (before, after) = (Some(first.certificate.clone()), last.certificate.clone());
        Answer::Growth(Box::new(Growth { before, after, steps }))
    }
}

/// The root of a tree, as it is certified.
pub fn root_of(tree: &Tree) -> Digest {
    Digest::new(*tree.root().as_bytes())
}

fn fault(word: &str) -> Trouble {
    Trouble::Fault { word: word.into(), message: "no".into(), later: false }
}

fn refused(word: &str) -> Answer {
    Answer::Nothing(fault(word))
}

/// The answer of whoever says that all is certified.
fn all_certified(all: &[Vec<CertificationRequest>]) -> Answer {
    Answer::Submitted(all.iter().map(|_| Ok(Said::Certified)).collect())
}

/// The answer of whoever is not reached.
fn unreached() -> Answer {
    Answer::Nothing(Trouble::Unreached { code: "HTTP_TIMEOUT".into(), text: "cut off".into() })
}
