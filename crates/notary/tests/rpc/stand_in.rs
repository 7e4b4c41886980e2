//! A stand-in for a network: one validator in this process, that keeps nothing on disk. It certifies by
//! the rules of the wire format, so that a strict client accepts it; it agrees with nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tally_core::cbor::Blob;
use tally_core::fork::ForkProof;
use tally_core::hash::sha256;
use tally_core::id::{Digest, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::notary::{
    CertificationData, InclusionProof, InputRecord, LeafProof, LeafValue, NodeId, Partition,
    Presence, ProofResponse, RootNode, ShardId, ShardTreeCertificate, StateId, TrustBase,
    UnicityCertificate, UnicitySeal, UnicityTreeCertificate,
};
use tally_core::predicate::TallyEngine;
use tally_core::seal::{Judge, NoSeals};
use tally_core::time::Time;
use tally_notary::backend::{
    Backend, Batch, Block, Conflict, Consistency, Exclusion, ForkReceipt, Growth, LookupError,
    MAX_GROWTH_LEAVES, NotReady, Outcome, Page, Record, Status, SubmitError, ValidatorStatus,
};
use tally_tree::{Key, Tree, Value};
use tokio::sync::watch;
use tokio::time::timeout;

/// A round this long is a block, if there is anything to do.
const ROUND: Duration = Duration::from_millis(30);
/// Without anything to do, a block each so many rounds.
const HEARTBEAT: u32 = 30;
/// Requests that wait at most.
pub const MAX_PENDING: usize = 64;

#[derive(Clone)]
pub struct StandIn(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    height: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    tree: Tree,
    spent: HashMap<StateId, Spent>,
    pending: Vec<Batch>,
    refused: HashMap<Batch, Conflict>,
    blocks: Vec<Made>,
    forks: Vec<ForkProof>,
    /// Rounds do nothing while it is set.
    frozen: bool,
}

struct Spent {
    data: CertificationData,
    at: Time,
    height: u64,
}

struct Made {
    block: Block,
    records: Vec<Record>,
    growth: Option<Growth>,
}

fn now() -> Time {
    Time::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

fn key() -> SecretKey {
    SecretKey::new([0x11; 32]).unwrap()
}

fn name() -> NodeId {
    NodeId::new("stand-in").unwrap()
}

fn partition() -> Partition {
    let configuration = Digest::new([0; 32]);
    Partition { id: 1, shard: ShardId::whole(), configuration }
}

/// Whom a client of the stand-in has to trust.
pub fn trust() -> TrustBase {
    let node = RootNode { id: name(), key: key().public(), stake: 1 };
    TrustBase::new(NetworkId::LOCAL, 1, partition(), vec![node], 1).unwrap()
}

impl StandIn {
    /// Makes the first block, and more as time goes by.
    pub fn start() -> Self {
        let (height, _) = watch::channel(0);
        let this = Self(Arc::new(Inner { state: Mutex::default(), height }));
        this.round();
        let weak = Arc::downgrade(&this.0);
        tokio::spawn(async move {
            let mut idle = 0;
            loop {
                tokio::time::sleep(ROUND).await;
                let Some(inner) = weak.upgrade() else { return };
                let this = Self(inner);
                let (nothing, frozen) = {
                    let state = this.state();
                    (state.pending.is_empty(), state.frozen)
                };
                idle = if nothing { idle + 1 } else { HEARTBEAT };
                if idle >= HEARTBEAT && !frozen {
                    this.round();
                    idle = 0;
                }
            }
        });
        this
    }

    /// Stops making blocks, or goes on.
    pub fn freeze(&self, frozen: bool) {
        self.state().frozen = frozen;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn round(&self) {
        let height = self.state().make_block(now());
        self.0.height.send_replace(height);
    }

    /// Looks after each block until `look` finds something, for at most `wait`.
    async fn until<T>(&self, wait: Duration, look: impl Fn(&State) -> Option<T>) -> Option<T> {
        let mut height = self.0.height.subscribe();
        let found = async {
            loop {
                let seen = look(&self.state());
                if let Some(seen) = seen {
                    return seen;
                }
                if height.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        // The look comes first even if there is no time to wait.
        timeout(wait, found).await.ok()
    }
}

impl State {
    fn make_block(&mut self, at: Time) -> u64 {
        let number = self.blocks.len() as u64 + 1;
        let (mut records, mut leaves) = (Vec::new(), Vec::new());
        for batch in std::mem::take(&mut self.pending) {
            let conflict = batch.requests().iter().find_map(|request| {
                let spent = self.spent.get(&request.state_id)?;
                let winner = spent.data.transaction;
                let other = winner != request.data.transaction;
                other.then_some(Conflict { state: request.state_id, winner })
            });
            if let Some(conflict) = conflict {
                self.refused.insert(batch.clone(), conflict);
            }
            for request in batch.into_requests() {
                let (index, data) = (records.len() as u64, request.data);
                records.push(Record { index, data: data.clone(), refused_for: conflict });
                if conflict.is_none() && !self.spent.contains_key(&request.state_id) {
                    let value = LeafValue::of(&data.transaction, at);
                    leaves.push((Key::from(request.state_id), Value::from(value)));
                    self.spent.insert(request.state_id, Spent { data, at, height: number });
                }
            }
        }
        leaves.sort();
        let proof = self.tree.insert_batch_with_proof(&leaves).unwrap();
        let root = Digest::new(*self.tree.root().as_bytes());
        let growth = (!leaves.is_empty()).then_some(Growth { height: number, root, leaves, proof });
        let block = self.block(number, root, at, &records);
        self.blocks.push(Made { block, records, growth });
        number
    }

    fn block(&self, number: u64, root: Digest, at: Time, records: &[Record]) -> Block {
        let last = self.blocks.last().map(|made| &made.block);
        let hash = Digest::new(sha256(&[&number.to_be_bytes()[..], root.as_bytes()].concat()));
        let refused = records.iter().filter(|record| record.refused_for.is_some()).count();
        Block {
            number,
            hash,
            parent: last.map_or(Digest::new([0; 32]), |last| last.hash),
            time: at,
            certified: (records.len() - refused) as u64,
            refused: refused as u64,
            certificate: certificate(last.map(|last| &last.certificate), number, root, at, hash),
        }
    }

    fn latest(&self) -> &Block {
        &self.blocks.last().unwrap().block
    }

    fn proof(&self, state: StateId) -> ProofResponse {
        let latest = self.latest();
        let leaf = self.spent.get(&state).map(|spent| LeafProof {
            data: spent.data.clone(),
            reference_time: spent.at,
            path: self.tree.prove(&state.into()).unwrap(),
        });
        let proof = InclusionProof { leaf, certificate: latest.certificate.clone() };
        ProofResponse { block_number: latest.number, proof }
    }

    fn made(&self, number: u64) -> Result<&Made, LookupError> {
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.blocks.get(index)).ok_or(LookupError::NoBlock(number))
    }

    fn decided(&self, batch: &Batch) -> Option<Outcome> {
        if let Some(conflict) = self.refused.get(batch) {
            return Some(Outcome::Refused(*conflict));
        }
        let mut height = 0;
        for request in batch.requests() {
            let spent = self.spent.get(&request.state_id)?;
            let winner = spent.data.transaction;
            if winner != request.data.transaction {
                return Some(Outcome::Refused(Conflict { state: request.state_id, winner }));
            }
            height = height.max(spent.height);
        }
        Some(Outcome::Certified { height })
    }
}

fn certificate(
    before: Option<&UnicityCertificate>,
    round: u64,
    root: Digest,
    at: Time,
    block: Digest,
) -> UnicityCertificate {
    let previous = before.map(|before| before.record.hash);
    let record = InputRecord {
        round,
        epoch: 1,
        previous,
        hash: root,
        summary: Blob::default(),
        timestamp: at,
        block: (previous != Some(root)).then_some(block),
        fees: 0,
        executed: None,
    };
    let pinned = partition();
    let mut certificate = UnicityCertificate {
        record,
        technical: Some(Digest::new([0; 32])),
        configuration: pinned.configuration,
        shard: ShardTreeCertificate::new(pinned.shard, Vec::new()).unwrap(),
        partition: UnicityTreeCertificate { id: pinned.id, steps: Default::default() },
        seal: UnicitySeal {
            network: NetworkId::LOCAL,
            round,
            epoch: 1,
            timestamp: at,
            previous: before.map(|before| before.seal.hash),
            hash: Digest::new([0; 32]),
            signatures: None,
        },
    };
    certificate.seal.hash = certificate.root();
    certificate.seal.sign(name(), &key());
    certificate
}

impl Backend for StandIn {
    async fn certify(&self, batch: Batch, wait: Duration) -> Result<Outcome, SubmitError> {
        if let Some(outcome) = self.state().decided(&batch) {
            return Ok(outcome);
        }
        for request in batch.requests() {
            let state = request.state_id;
            let judge = Judge::of_certified(NetworkId::LOCAL, &NoSeals);
            request
                .verify(&partition().shard, &TallyEngine { judge }, now())
                .map_err(|error| SubmitError::Invalid { state, error })?;
        }
        {
            let mut state = self.state();
            if state.pending.len() >= MAX_PENDING {
                let retry_after = Duration::from_millis(1_500);
                return Err(SubmitError::Overloaded { retry_after });
            }
            state.pending.push(batch.clone());
        }
        let outcome = self.until(wait, |state| state.decided(&batch)).await;
        Ok(outcome.unwrap_or(Outcome::Queued))
    }

    async fn inclusion(
        &self,
        state: StateId,
        wait: Duration,
    ) -> Result<ProofResponse, LookupError> {
        self.until(wait, |now| now.spent.contains_key(&state).then_some(())).await;
        Ok(self.state().proof(state))
    }

    async fn exclusion(&self, state: StateId) -> Result<Exclusion, LookupError> {
        let now = self.state();
        Ok(match now.tree.prove_absence(&state.into()) {
            Some(path) => {
                let certificate = Box::new(now.latest().certificate.clone());
                Exclusion::Unspent { path, certificate }
            }
            None => Exclusion::Spent(Box::new(now.proof(state))),
        })
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Consistency, LookupError> {
        let state = self.state();
        if from >= to {
            return Err(LookupError::Range);
        }
        let certificate = |number| state.made(number).map(|made| made.block.certificate.clone());
        let before = if from == 0 { None } else { Some(certificate(from)?) };
        let (mut steps, mut leaves, mut after) = (Vec::new(), 0, from);
        while after < to && leaves < MAX_GROWTH_LEAVES {
            after += 1;
            let growth = &state.made(after)?.growth;
            leaves += growth.as_ref().map_or(0, |growth| growth.leaves.len());
            steps.extend(growth.clone());
        }
        Ok(Consistency { before, after: certificate(after)?, steps })
    }

    async fn height(&self) -> Result<u64, LookupError> {
        Ok(self.state().latest().number)
    }

    async fn block(&self, number: Option<u64>) -> Result<Block, LookupError> {
        let state = self.state();
        match number {
            None => Ok(state.latest().clone()),
            Some(number) => Ok(state.made(number)?.block.clone()),
        }
    }

    async fn records(&self, number: u64, page: Page) -> Result<Vec<Record>, LookupError> {
        let state = self.state();
        let records = state.made(number)?.records.iter();
        let from = usize::try_from(page.from).unwrap_or(usize::MAX);
        Ok(records.skip(from).take(page.limit.into()).cloned().collect())
    }

    async fn submit_fork(&self, proof: ForkProof) -> Result<ForkReceipt, SubmitError> {
        let forks = &mut self.state().forks;
        let known = forks.iter().position(|known| *known == proof);
        let number = known.unwrap_or_else(|| {
            forks.push(proof);
            forks.len() - 1
        });
        Ok(ForkReceipt { number: number as u64, known: known.is_some() })
    }

    async fn forks_since(&self, page: Page) -> Result<Vec<(u64, ForkProof)>, LookupError> {
        let state = self.state();
        let numbered = state.forks.iter().enumerate().map(|(i, proof)| (i as u64, proof.clone()));
        Ok(numbered.skip_while(|(i, _)| *i < page.from).take(page.limit.into()).collect())
    }

    async fn status(&self) -> Result<Status, LookupError> {
        let state = self.state();
        let (trust, latest) = (trust(), state.latest());
        let validators = trust.nodes().map(|node| ValidatorStatus {
            id: node.id.clone(),
            key: node.key.clone(),
            stake: node.stake,
            last_signed: latest.number,
        });
        Ok(Status {
            node: name(),
            network: trust.network(),
            epoch: trust.epoch(),
            partition: partition(),
            quorum: trust.quorum(),
            validators: validators.collect(),
            height: latest.number,
            root: latest.certificate.record.hash,
            time: latest.time,
            leaves: state.tree.len() as u64,
            pending: state.pending.len() as u64,
            pending_bytes: 0,
            forks: state.forks.len() as u64,
        })
    }

    async fn presence(&self, nonce: Digest) -> Result<Presence, LookupError> {
        let certificate = self.state().latest().certificate.clone();
        Ok(Presence::sign(name(), &key(), &nonce, certificate))
    }

    async fn ready(&self) -> Result<(), NotReady> {
        if self.state().frozen { Err(NotReady("it is frozen".into())) } else { Ok(()) }
    }

    async fn metrics(&self) -> String {
        format!("# TYPE tally_height gauge\ntally_height {}\n", self.state().latest().number)
    }
}
