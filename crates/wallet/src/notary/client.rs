//! Call a validator. Whatever comes back is only its word.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tally_core::cbor::{Decode, from_bytes, to_bytes};
use tally_core::fork::ForkProof;
use tally_core::id::Digest;
use tally_core::notary::{
    CertificationRequest, ProofResponse, StateId, TransactionHash, UnicityCertificate,
};
use tally_transport::http::{Client, HttpLimits, Url};
use tally_tree::{ConsistencyProof, ExclusionCertificate, Key, Value as LeafValue};

use super::{NotaryError, hex};

/// Most states that one call asks for: what an array of calls may have.
pub(crate) const MAX_AT_ONCE: usize = 16;
/// Most fork proofs that one call brings.
const MAX_FORKS: usize = 64;
/// Longest answer, in bytes: growth comes in steps of some megabytes.
const MAX_ANSWER: usize = 64 << 20;

/// A validator that can be called.
#[derive(Clone, Debug)]
pub struct NotaryClient {
    http: Client,
    url: Url,
}

/// What a validator says of a request. Only a proof shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// It is certified.
    Certified,
    /// It is accepted, and not decided yet.
    Queued,
    /// Another transaction spent this state first; nothing of the request was certified.
    Spent {
        /// The state.
        state: StateId,
        /// The transaction that spent it.
        winner: TransactionHash,
    },
}

/// What a validator says of a state, with the proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exclusion {
    /// It is unspent.
    Unspent {
        /// From where it would be to the root.
        path: ExclusionCertificate,
        /// The root's certificate.
        certificate: Box<UnicityCertificate>,
    },
    /// It is spent.
    Spent(Box<ProofResponse>),
}

/// How a validator says that the tree grew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Growth {
    /// Certificate of the round from which it grew; none for the empty tree.
    pub before: Option<UnicityCertificate>,
    /// Certificate of the round up to which the answer goes.
    pub after: UnicityCertificate,
    /// One batch of leaves after another.
    pub steps: Vec<Step>,
}

/// A batch of leaves by which the tree grew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The root with the batch.
    pub root: Digest,
    /// The leaves, as they were added.
    pub leaves: Vec<(Key, LeafValue)>,
    /// That nothing else changed.
    pub proof: ConsistencyProof,
}

#[derive(Deserialize)]
struct Reply<T> {
    #[serde(default = "Option::default")]
    result: Option<T>,
    #[serde(default)]
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<FaultData>,
}

#[derive(Deserialize)]
struct FaultData {
    #[serde(default)]
    code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertifyReply {
    status: String,
    #[serde(default)]
    certified: Option<bool>,
    #[serde(default)]
    state_id: Option<String>,
    #[serde(default)]
    transaction_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExclusionReply {
    spent: bool,
    #[serde(default)]
    exclusion_certificate: Option<String>,
    #[serde(default)]
    unicity_certificate: Option<String>,
    #[serde(default)]
    inclusion_proof: Option<String>,
}

#[derive(Deserialize)]
struct GrowthReply {
    before: Option<String>,
    after: String,
    steps: Vec<StepReply>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StepReply {
    root_hash: String,
    leaves: String,
    proof: String,
}

#[derive(Deserialize)]
struct BlockReply {
    block: BlockShape,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockShape {
    unicity_certificate: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForksReply {
    fork_proofs: Vec<ForkShape>,
    next: String,
}

#[derive(Deserialize)]
struct ForkShape {
    proof: String,
}

impl NotaryClient {
    /// A client of the validator at this address.
    pub fn new(url: Url) -> Self {
        let limits = HttpLimits {
            connect: Duration::from_secs(3),
            call: Duration::from_secs(10),
            max_answer: MAX_ANSWER,
        };
        Self { http: Client::new(limits), url }
    }

    /// Where the validator is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks to certify the spends of one transaction, all or none, and waits so long for the outcome.
    /// The same question may be asked any number of times.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`], also for a request that breaks a rule.
    pub fn submit(
        &self,
        requests: &[CertificationRequest],
        wait: Duration,
    ) -> Result<Answer, NotaryError> {
        let encoded: Vec<String> = requests.iter().map(|r| hex::encode(&to_bytes(r))).collect();
        let params = json!({ "requests": encoded, "waitMs": millis(wait) });
        let reply: CertifyReply = self.call("certify", params, wait)?;
        match (reply.status.as_str(), reply.certified) {
            ("SUCCESS", Some(true)) => Ok(Answer::Certified),
            ("SUCCESS", _) => Ok(Answer::Queued),
            ("STATE_ID_EXISTS", _) => {
                let state = reply.state_id.as_deref().and_then(StateId::from_hex);
                let winner = reply.transaction_hash.as_deref().and_then(TransactionHash::from_hex);
                let (state, winner) = state.zip(winner).ok_or(self.no("refusal"))?;
                Ok(Answer::Spent { state, winner })
            }
            (word, _) => Err(NotaryError::Fault {
                url: self.url.to_string(),
                word: word.to_owned(),
                message: "the request breaks a rule: see the word".into(),
                later: word == "SERVICE_NOT_READY",
            }),
        }
    }

    /// The first spend of a state; waits so long for there to be one.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`], [`NotaryError::Answer`].
    pub fn inclusion(&self, state: StateId, wait: Duration) -> Result<ProofResponse, NotaryError> {
        let params = json!({ "stateId": state.to_string(), "waitMs": millis(wait) });
        let proof: String = self.call("get_inclusion_proof.v2", params, wait)?;
        self.object(&proof, "inclusion proof")
    }

    /// The first spends of up to 16 states, asked for in one go.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`], [`NotaryError::Answer`].
    pub(crate) fn inclusions(&self, states: &[StateId]) -> Result<Vec<ProofResponse>, NotaryError> {
        let call = |(id, state): (usize, &StateId)| {
            let params = json!({ "stateId": state.to_string() });
            json!({ "jsonrpc": "2.0", "id": id, "method": "get_inclusion_proof.v2", "params": params })
        };
        let calls: Vec<Value> = states.iter().enumerate().map(call).collect();
        let text = self.post(&Value::Array(calls), Duration::ZERO)?;
        let replies: Result<Vec<Reply<String>>, _> = serde_json::from_str(&text);
        let replies = replies.map_err(|_| self.no("list of proofs"))?;
        if replies.len() != states.len() {
            return Err(self.no("list of proofs"));
        }
        let read = |reply: Reply<String>| self.object(&self.result(reply)?, "inclusion proof");
        replies.into_iter().map(read).collect()
    }

    /// Whether a state is unspent.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`], [`NotaryError::Answer`].
    pub fn exclusion(&self, state: StateId) -> Result<Exclusion, NotaryError> {
        let params = json!({ "stateId": state.to_string() });
        let reply: ExclusionReply = self.call("get_exclusion_proof", params, Duration::ZERO)?;
        let no = || self.no("exclusion proof");
        if reply.spent {
            let proof = reply.inclusion_proof.ok_or_else(no)?;
            return Ok(Exclusion::Spent(Box::new(self.object(&proof, "inclusion proof")?)));
        }
        let path = reply.exclusion_certificate.as_deref().and_then(hex::decode).ok_or_else(no)?;
        let path = ExclusionCertificate::decode(&path).map_err(|_| no())?;
        let certificate = reply.unicity_certificate.ok_or_else(no)?;
        let certificate = Box::new(self.object(&certificate, "certificate")?);
        Ok(Exclusion::Unspent { path, certificate })
    }

    /// How the tree grew from one round to another. The answer may stop before `to`.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`], [`NotaryError::Answer`].
    pub fn growth(&self, from: u64, to: u64) -> Result<Growth, NotaryError> {
        let params = json!({ "from": from.to_string(), "to": to.to_string() });
        let reply: GrowthReply = self.call("get_consistency_proof", params, Duration::ZERO)?;
        let before = reply.before.map(|text| self.object(&text, "certificate")).transpose()?;
        let steps = reply.steps.iter().map(|step| self.step(step)).collect::<Result<_, _>>()?;
        Ok(Growth { before, after: self.object(&reply.after, "certificate")?, steps })
    }

    fn step(&self, step: &StepReply) -> Result<Step, NotaryError> {
        let no = || self.no("consistency proof");
        let root = Digest::from_hex(&step.root_hash).ok_or_else(no)?;
        let leaves = hex::decode(&step.leaves).ok_or_else(no)?;
        let (pairs, rest) = leaves.as_chunks::<64>();
        if !rest.is_empty() {
            return Err(no());
        }
        let leaf = |pair: &[u8; 64]| {
            let (mut key, mut value) = ([0; 32], [0; 32]);
            key.copy_from_slice(&pair[..32]);
            value.copy_from_slice(&pair[32..]);
            (Key::from(key), LeafValue::from(value))
        };
        let proof = hex::decode(&step.proof).ok_or_else(no)?;
        let proof = ConsistencyProof::decode(&proof).map_err(|_| no())?;
        Ok(Step { root, leaves: pairs.iter().map(leaf).collect(), proof })
    }

    /// The certificate of a round; of the latest one for `None`.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`], [`NotaryError::Answer`].
    pub fn certificate(&self, round: Option<u64>) -> Result<UnicityCertificate, NotaryError> {
        let number = round.map_or_else(|| "latest".into(), |round| round.to_string());
        let reply: BlockReply =
            self.call("get_block", json!({ "blockNumber": number }), Duration::ZERO)?;
        self.object(&reply.block.unicity_certificate, "certificate")
    }

    /// Publishes a fork proof. The same one may be published any number of times.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`].
    pub fn submit_fork(&self, proof: &ForkProof) -> Result<(), NotaryError> {
        let params = json!({ "proof": hex::encode(&to_bytes(proof)) });
        self.call::<Value>("submit_fork_proof", params, Duration::ZERO).map(|_| ())
    }

    /// Published fork proofs from this number on, and the number from which to ask next. There are
    /// more if there are any.
    ///
    /// # Errors
    /// [`NotaryError::Http`], [`NotaryError::Fault`], [`NotaryError::Answer`].
    pub fn forks_since(&self, since: u64) -> Result<(Vec<ForkProof>, u64), NotaryError> {
        let params = json!({ "since": since.to_string(), "limit": MAX_FORKS });
        let reply: ForksReply = self.call("get_fork_proofs", params, Duration::ZERO)?;
        let proofs = reply.fork_proofs.iter().take(MAX_FORKS);
        let proofs = proofs.map(|fork| self.object(&fork.proof, "fork proof"));
        let next = reply.next.parse().map_err(|_| self.no("list of fork proofs"))?;
        Ok((proofs.collect::<Result<_, _>>()?, next))
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        longer: Duration,
    ) -> Result<T, NotaryError> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let text = self.post(&call, longer)?;
        let reply: Reply<T> = serde_json::from_str(&text).map_err(|_| self.no("JSON-RPC"))?;
        self.result(reply)
    }

    fn post(&self, body: &Value, longer: Duration) -> Result<String, NotaryError> {
        Ok(self.http.post_json(&self.url, &[], &body.to_string(), longer)?)
    }

    fn result<T>(&self, reply: Reply<T>) -> Result<T, NotaryError> {
        // Overload, and what JSON-RPC calls a failure inside: no certificate yet, or stopping.
        const LATER: [i64; 2] = [-32006, -32603];
        match reply {
            Reply { error: Some(fault), .. } => {
                let word = fault.data.and_then(|data| data.code);
                Err(NotaryError::Fault {
                    url: self.url.to_string(),
                    word: word.unwrap_or_else(|| fault.code.to_string()),
                    message: fault.message,
                    later: LATER.contains(&fault.code),
                })
            }
            Reply { result: Some(result), .. } => Ok(result),
            Reply { result: None, .. } => Err(self.no("result")),
        }
    }

    fn object<T: Decode>(&self, text: &str, what: &'static str) -> Result<T, NotaryError> {
        let bytes = hex::decode(text).ok_or(self.no(what))?;
        from_bytes(&bytes).map_err(|_| self.no(what))
    }

    fn no(&self, what: &'static str) -> NotaryError {
        NotaryError::Answer { url: self.url.to_string(), what }
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
