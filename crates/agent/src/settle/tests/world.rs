//! A network in memory, as each of its rounds left it, and endpoints that answer for it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use tally_core::cbor::Blob;
use tally_core::evidence::{Claim, Claims};
use tally_core::id::{CoinId, Digest, NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::notary::{
    CertificationData, InclusionProof, InputRecord, LeafProof, LeafValue, NodeId, Partition,
    Presence, RootNode, ShardId, ShardTreeCertificate, StateId, TrustBase, UnicityCertificate,
    UnicitySeal, UnicityTreeCertificate,
};
use tally_core::predicate::{Predicate, Unlock, spend_digest};
use tally_core::time::Time;
use tally_tree::{Key, Tree, Value};

use crate::settle::{
    Answer, Ask, AskId, EndpointId, Errand, Exclusion, Growth, Input, Learned, Order, Said,
    Settling, Step, Told, Trouble,
};

pub(super) const AT: Time = Time::from_unix(1_755_000_000);
/// How long an answer takes.
const LATENCY: Duration = Duration::from_millis(20);

pub(super) fn secret(n: u8) -> SecretKey {
    SecretKey::new([n; 32]).unwrap()
}

pub(super) fn name(n: u8) -> NodeId {
    NodeId::new(&format!("validator-{n}")).unwrap()
}

pub(super) fn partition() -> Partition {
    Partition { id: 7, shard: ShardId::whole(), configuration: Digest::new([9; 32]) }
}

/// Four validators, of whom three make a quorum.
pub(super) fn trust() -> TrustBase {
    let node = |n: u8| RootNode { id: name(n), key: secret(n).public(), stake: 1 };
    TrustBase::new(NetworkId::LOCAL, 1, partition(), (1..=4).map(node).collect(), 3).unwrap()
}

/// A certificate of a root at a time; `alter` before the seal's hash is made, then who signs.
pub(super) fn certificate_with(
    round: u64,
    root: Digest,
    at: Time,
    alter: impl FnOnce(&mut UnicityCertificate),
    signers: &[(u8, u8)],
) -> UnicityCertificate {
    let record = InputRecord {
        round,
        epoch: 1,
        // No root: the round has changed something.
        previous: Some(Digest::new([0x33; 32])),
        hash: root,
        summary: Blob::default(),
        timestamp: at,
        block: Some(Digest::new([5; 32])),
        fees: 0,
        executed: None,
    };
    let pinned = partition();
    let unset = Digest::new([0; 32]);
    let mut certificate = UnicityCertificate {
        record,
        technical: Some(unset),
        configuration: pinned.configuration,
        shard: ShardTreeCertificate::new(pinned.shard, Vec::new()).unwrap(),
        partition: UnicityTreeCertificate { id: pinned.id, steps: Default::default() },
        seal: UnicitySeal {
            network: NetworkId::LOCAL,
            round,
            epoch: 1,
            timestamp: at,
            previous: Some(unset),
            hash: unset,
            signatures: None,
        },
    };
    alter(&mut certificate);
    if certificate.seal.hash == unset {
        certificate.seal.hash = certificate.root();
    }
    for (who, key) in signers {
        certificate.seal.sign(name(*who), &secret(*key));
    }
    certificate
}

pub(super) fn certificate(round: u64, root: Digest) -> UnicityCertificate {
    certificate_with(round, root, AT, |_| {}, &[(1, 1), (2, 2), (3, 3)])
}

pub(super) fn claim(coin: u8, tx: u8) -> Claim {
    let (source, tx) = (CoinId::new([coin; 32]), TxId::new([tx; 32]));
    let owner = secret(0x22);
    Claim {
        enrollment: None,
        owner: Predicate::Signature(owner.public()),
        source,
        tx,
        expires_at: None,
        unlock: Unlock::Signature(owner.sign(&spend_digest(&source, &tx))),
        certified: false,
    }
}

/// A transaction with one spend.
pub(super) fn claims(coin: u8, tx: u8) -> Claims {
    Claims { tx: TxId::new([tx; 32]), spends: [claim(coin, tx)].into() }
}

pub(super) fn root_of(tree: &Tree) -> Digest {
    Digest::new(*tree.root().as_bytes())
}

/// A round of the network.
#[derive(Clone)]
pub(super) struct Round {
    pub(super) tree: Tree,
    pub(super) certificate: UnicityCertificate,
    leaves: Vec<(Key, Value)>,
}

/// All rounds, the first of them number 1, and all spends.
pub(super) struct Network {
    pub(super) rounds: Vec<Round>,
    spent: BTreeMap<StateId, CertificationData>,
    pending: Vec<CertificationData>,
}

impl Network {
    /// A network in its first round, long ago.
    pub(super) fn new() -> Self {
        let mut network = Self { rounds: Vec::new(), spent: BTreeMap::new(), pending: Vec::new() };
        network.round_at(Time::from_unix(AT.unix() - 86_400));
        network
    }

    /// Certifies what waits, now.
    pub(super) fn round(&mut self) {
        self.round_at(AT);
    }

    fn round_at(&mut self, at: Time) {
        let mut tree = self.rounds.last().map(|last| last.tree.clone()).unwrap_or_default();
        let mut leaves = Vec::new();
        for data in core::mem::take(&mut self.pending) {
            let state = data.spend().state_id();
            if self.spent.contains_key(&state) {
                continue;
            }
            let value = LeafValue::of(&data.transaction, AT);
            tree.insert(Key::from(state), Value::from(value)).unwrap();
            leaves.push((Key::from(state), Value::from(value)));
            self.spent.insert(state, data);
        }
        leaves.sort();
        let number = self.rounds.len() as u64 + 1;
        let signers = [(1, 1), (2, 2), (3, 3)];
        let certificate = certificate_with(number, root_of(&tree), at, |_| {}, &signers);
        self.rounds.push(Round { tree, certificate, leaves });
    }

    /// Has a claim spent.
    pub(super) fn spend(&mut self, claim: &Claim) {
        self.pending.push(claim.request().data);
        self.round();
    }

    pub(super) fn latest(&self) -> usize {
        self.rounds.len()
    }

    /// What a validator says whose newest round is `at`.
    pub(super) fn answer(&self, at: usize, validator: u8, ask: &Ask) -> Answer {
        let round = &self.rounds[at - 1];
        match ask {
            Ask::Presence(nonce) => Answer::Presence(Box::new(Presence::sign(
                name(validator),
                &secret(validator),
                nonce,
                round.certificate.clone(),
            ))),
            Ask::Certificate(number) => match self.rounds.get(*number as usize - 1) {
                Some(round) => Answer::Certificate(Box::new(round.certificate.clone())),
                None => refused(false),
            },
            Ask::Growth { from, to } => self.growth(*from as usize, *to as usize),
            Ask::Submit(all) => Answer::Submitted(all.iter().map(|r| Ok(self.said(r))).collect()),
            Ask::Inclusions(states) => Answer::Inclusions(
                states.iter().map(|state| Ok(self.inclusion(at, state))).collect(),
            ),
            Ask::Exclusions(states) => Answer::Exclusions(
                states.iter().map(|state| Ok(self.exclusion(at, state))).collect(),
            ),
            Ask::Forks(since) => Answer::Forks(Vec::new(), *since),
            Ask::Publish(_) => Answer::Published,
        }
    }

    fn said(&self, requests: &[tally_core::notary::CertificationRequest]) -> Said {
        for request in requests {
            let Some(data) = self.spent.get(&request.state_id) else { return Said::Queued };
            if data.transaction != request.data.transaction {
                return Said::Spent { state: request.state_id, winner: data.transaction };
            }
        }
        Said::Certified
    }

    pub(super) fn inclusion(&self, at: usize, state: &StateId) -> InclusionProof {
        let round = &self.rounds[at - 1];
        let leaf = round.tree.prove(&Key::from(*state)).map(|path| LeafProof {
            data: self.spent[state].clone(),
            reference_time: AT,
            path,
        });
        InclusionProof { leaf, certificate: round.certificate.clone() }
    }

    pub(super) fn exclusion(&self, at: usize, state: &StateId) -> Exclusion {
        let round = &self.rounds[at - 1];
        match round.tree.prove_absence(&Key::from(*state)) {
            Some(path) => {
                Exclusion::Unspent { path, certificate: Box::new(round.certificate.clone()) }
            }
            None => Exclusion::Spent(Box::new(self.inclusion(at, state))),
        }
    }

    fn growth(&self, from: usize, to: usize) -> Answer {
        let mut tree = self.rounds[from - 1].tree.clone();
        let mut steps = Vec::new();
        for round in &self.rounds[from..to] {
            if !round.leaves.is_empty() {
                let proof = tree.insert_batch_with_proof(&round.leaves).unwrap();
                steps.push(Step { root: root_of(&tree), leaves: round.leaves.clone(), proof });
            }
        }
        let before = Some(self.rounds[from - 1].certificate.clone());
        let after = self.rounds[to - 1].certificate.clone();
        Answer::Growth(Box::new(Growth { before, after, steps }))
    }
}

pub(super) fn refused(later: bool) -> Answer {
    Answer::Nothing(Trouble::Fault { word: "NO".into(), message: "no".into(), later })
}

pub(super) fn unreached() -> Answer {
    Answer::Nothing(Trouble::Unreached { code: "HTTP_TIMEOUT".into(), text: "cut off".into() })
}

/// What an endpoint does with a question: an answer after a while, or none at all.
pub(super) type Manner<'a> = Box<dyn FnMut(&mut Network, &Ask) -> Option<Answer> + 'a>;

/// A validator that keeps to the rules, and has what it is asked for certified at once.
pub(super) fn honest<'a>(validator: u8) -> Manner<'a> {
    Box::new(move |network, ask| {
        if let Ask::Submit(all) = ask {
            network.pending.extend(all.iter().flatten().map(|request| request.data.clone()));
            network.round();
        }
        Some(network.answer(network.latest(), validator, ask))
    })
}

/// A validator that shows the first round for ever.
pub(super) fn replays<'a>(validator: u8) -> Manner<'a> {
    Box::new(move |network, ask| Some(network.answer(1, validator, ask)))
}

/// Nobody.
pub(super) fn silent<'a>() -> Manner<'a> {
    Box::new(|_, _| None)
}

/// Somebody who answers everything with what it is not.
pub(super) fn garbage<'a>() -> Manner<'a> {
    Box::new(|_, ask| match ask {
        Ask::Publish(_) => Some(Answer::Forks(Vec::new(), u64::MAX)),
        _ => Some(Answer::Published),
    })
}

/// A validator that says that all is certified, and does nothing.
pub(super) fn says_certified<'a>(validator: u8) -> Manner<'a> {
    Box::new(move |network, ask| match ask {
        Ask::Submit(all) => {
            Some(Answer::Submitted(all.iter().map(|_| Ok(Said::Certified)).collect()))
        }
        other => Some(network.answer(network.latest(), validator, other)),
    })
}

/// A validator that says of everything that it waits, and certifies nothing.
pub(super) fn queues<'a>(validator: u8) -> Manner<'a> {
    Box::new(move |network, ask| match ask {
        Ask::Submit(all) => Some(Answer::Submitted(all.iter().map(|_| Ok(Said::Queued)).collect())),
        other => Some(network.answer(network.latest(), validator, other)),
    })
}

/// An errand to four endpoints that wants nothing yet.
pub(super) fn errand() -> Errand {
    Errand {
        trust: trust(),
        endpoints: alloc::vec![Told::default(); 4],
        kept: None,
        nonce: Digest::new([0x77; 32]),
        now: AT,
        watch: false,
        forks: None,
        histories: Vec::new(),
        states: Vec::new(),
    }
}

/// What came of an errand.
pub(super) struct Run {
    pub(super) machine: Settling,
    pub(super) learned: Vec<Learned>,
    pub(super) took: Duration,
    /// When all that was to be certified was decided.
    pub(super) decided: Option<Duration>,
    /// How often each endpoint was asked.
    pub(super) asked: Vec<usize>,
}

impl Run {
    /// The spends that were certified.
    pub(super) fn certified(&self) -> Vec<(CoinId, TxId)> {
        let of = |learned: &Learned| match learned {
            Learned::Certified(settlement) => settlement.proofs.clone(),
            _ => Vec::new(),
        };
        self.learned.iter().flat_map(of).map(|proof| (proof.source, proof.tx)).collect()
    }
}

/// Runs an errand to its end on a scripted clock, and holds it to one open question an endpoint.
pub(super) fn run(network: &mut Network, errand: Errand, manners: &mut [Manner<'_>]) -> Run {
    timed(network, errand, manners, |_, _| LATENCY)
}

/// As [`run`], where each answer takes its time.
pub(super) fn timed(
    network: &mut Network,
    errand: Errand,
    manners: &mut [Manner<'_>],
    takes: impl Fn(EndpointId, &Ask) -> Duration,
) -> Run {
    let mut machine = Settling::new(errand);
    let mut learned = Vec::new();
    let mut asked = alloc::vec![0; manners.len()];
    let mut open: BTreeMap<EndpointId, AskId> = BTreeMap::new();
    let mut coming: BTreeMap<(Duration, AskId), (EndpointId, Answer)> = BTreeMap::new();
    let (mut clock, mut input, mut decided) = (Duration::ZERO, Input::Woke, None);
    for _ in 0..100_000 {
        let output = machine.handle(clock, input);
        learned.extend(output.learned.iter().cloned());
        if output.progress.decided == output.progress.total {
            decided.get_or_insert(clock);
        }
        for Order { id, endpoint, ask } in &output.asks {
            let before = open.insert(*endpoint, *id);
            let is_late = before.is_some_and(|id| coming.keys().any(|(_, of)| *of == id));
            assert!(!is_late, "endpoint {endpoint} has two questions open");
            asked[*endpoint] += 1;
            if let Some(answer) = manners[*endpoint](network, ask) {
                coming.insert((clock + takes(*endpoint, ask), *id), (*endpoint, answer));
            }
        }
        let Some(wake) = output.wake else {
            return Run { machine, learned, took: clock, decided, asked };
        };
        assert!(wake > clock, "it is woken for something");
        input = match coming.first_key_value() {
            Some(((at, _), _)) if *at <= wake => {
                let ((at, id), (_, answer)) = coming.pop_first().unwrap();
                clock = at;
                Input::Answered(id, answer)
            }
            _ => {
                clock = wake;
                Input::Woke
            }
        };
    }
    panic!("the errand does not end");
}
