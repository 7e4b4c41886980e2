//! Carry one question to a validator over HTTP. Whatever comes back is only its word.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tally_agent::settle::{Answer, Ask, Exclusion, Growth, MAX_FORKS, Said, Step, Trouble};
use tally_core::cbor::{Decode, from_bytes, to_bytes};
use tally_core::fork::ForkProof;
use tally_core::id::Digest;
use tally_core::notary::{
    CertificationRequest, InclusionProof, ProofResponse, StateId, TransactionHash,
};
use tally_transport::http::{Client, HttpError, HttpLimits, Url};
use tally_tree::{ConsistencyProof, ExclusionCertificate, Key, Value as LeafValue};

use super::hex;

/// How long it may take to reach a validator.
const CONNECT: Duration = Duration::from_secs(3);

/// Most of a validator's own words that an error repeats, in characters.
const MAX_WORDS: usize = 200;

/// A validator that can be asked. It keeps its connection open between questions.
#[derive(Clone, Debug)]
pub struct NotaryClient {
    http: Client,
    url: Url,
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

#[derive(Deserialize)]
struct PresenceReply {
    presence: String,
}

impl NotaryClient {
    /// A client of the validator at this address.
    pub fn new(url: Url) -> Self {
        Self { http: Client::new(limits(&Ask::Certificate(0))), url }
    }

    /// Where the validator is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Puts a question, and gives the answer or why there is none, in the time that the question has.
    pub fn ask(&self, ask: &Ask) -> Answer {
        self.answer(ask).unwrap_or_else(Answer::Nothing)
    }

    fn answer(&self, ask: &Ask) -> Result<Answer, Trouble> {
        Ok(match ask {
            Ask::Presence(nonce) => {
                let params = json!({ "nonce": nonce.to_string() });
                let reply: PresenceReply = self.call(ask, "get_presence", params)?;
                Answer::Presence(Box::new(object(&reply.presence, "presence")?))
            }
            Ask::Certificate(round) => {
                let params = json!({ "blockNumber": round.to_string() });
                let reply: BlockReply = self.call(ask, "get_block", params)?;
                let certificate = object(&reply.block.unicity_certificate, "certificate")?;
                Answer::Certificate(Box::new(certificate))
            }
            Ask::Growth { from, to } => {
                let params = json!({ "from": from.to_string(), "to": to.to_string() });
                growth(&self.call(ask, "get_consistency_proof", params)?)?
            }
            Ask::Submit(all) => {
                let params = |requests: &Vec<_>| submission(requests);
                Answer::Submitted(self.each(ask, "certify", all, params, said)?)
            }
            Ask::Inclusions(states) => {
                let method = "get_inclusion_proof.v2";
                Answer::Inclusions(self.each(ask, method, states, of_state, inclusion)?)
            }
            Ask::Exclusions(states) => {
                let method = "get_exclusion_proof";
                Answer::Exclusions(self.each(ask, method, states, of_state, exclusion)?)
            }
            Ask::Forks(since) => {
                let params = json!({ "since": since.to_string(), "limit": MAX_FORKS });
                forks(self.call(ask, "get_fork_proofs", params)?)?
            }
            Ask::Publish(proof) => {
                let params = json!({ "proof": hex::encode(&to_bytes(&**proof)) });
                let _: Value = self.call(ask, "submit_fork_proof", params)?;
                Answer::Published
            }
        })
    }

    /// Asks the same of each item, in one array of calls.
    fn each<T, R: DeserializeOwned, A>(
        &self,
        ask: &Ask,
        method: &'static str,
        items: &[T],
        params: impl Fn(&T) -> Value,
        read: impl Fn(R) -> Result<A, Trouble>,
    ) -> Result<Vec<Result<A, Trouble>>, Trouble> {
        let call = |(id, item): (usize, &T)| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params(item) });
        let calls: Vec<Value> = items.iter().enumerate().map(call).collect();
        let text = self.post(ask, &Value::Array(calls))?;
        if let Ok(replies) = serde_json::from_str::<Vec<Reply<R>>>(&text) {
            let read = |reply| result(reply).and_then(&read);
            return Ok(replies.into_iter().map(read).collect());
        }
        // Who refuses all of them together says it once.
        let refused: Reply<R> =
            serde_json::from_str(&text).map_err(|_| Trouble::Answer("JSON-RPC"))?;
        result(refused).and_then(|_| Err(Trouble::Answer("list of answers")))
    }

    fn call<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        method: &'static str,
        params: Value,
    ) -> Result<T, Trouble> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let text = self.post(ask, &call)?;
        result(serde_json::from_str(&text).map_err(|_| Trouble::Answer("JSON-RPC"))?)
    }

    fn post(&self, ask: &Ask, body: &Value) -> Result<String, Trouble> {
        let http = self.http.limited(limits(ask));
        http.post_json(&self.url, &[], &body.to_string(), Duration::ZERO).map_err(unreached)
    }
}

/// How much and how long a question's answer may be.
fn limits(ask: &Ask) -> HttpLimits {
    HttpLimits { connect: CONNECT, call: ask.within(), max_answer: ask.max_answer() }
}

fn unreached(error: HttpError) -> Trouble {
    match error {
        HttpError::Url { .. }
        | HttpError::Unreachable { .. }
        | HttpError::Timeout { .. }
        | HttpError::Status { .. } => {
            Trouble::Unreached { code: error.code().to_owned(), text: error.to_string() }
        }
        HttpError::TooLarge { .. } | HttpError::Malformed { .. } => {
            Trouble::Answer("text over HTTP, or not within its limit")
        }
    }
}

fn result<T>(reply: Reply<T>) -> Result<T, Trouble> {
    // Overload, and what JSON-RPC calls a failure inside: no certificate yet, or stopping.
    const LATER: [i64; 2] = [-32006, -32603];
    match reply {
        Reply { error: Some(fault), .. } => {
            let word = fault.data.and_then(|data| data.code);
            Err(Trouble::Fault {
                word: shortened(&word.unwrap_or_else(|| fault.code.to_string())),
                message: shortened(&fault.message),
                later: LATER.contains(&fault.code),
            })
        }
        Reply { result: Some(result), .. } => Ok(result),
        Reply { result: None, .. } => Err(Trouble::Answer("result")),
    }
}

fn submission(requests: &[CertificationRequest]) -> Value {
    let encoded: Vec<String> = requests.iter().map(|r| hex::encode(&to_bytes(r))).collect();
    let hold = Ask::Submit(Vec::new()).hold().as_millis();
    json!({ "requests": encoded, "waitMs": u64::try_from(hold).unwrap_or_default() })
}

fn said(reply: CertifyReply) -> Result<Said, Trouble> {
    match (reply.status.as_str(), reply.certified) {
        ("SUCCESS", Some(true)) => Ok(Said::Certified),
        ("SUCCESS", _) => Ok(Said::Queued),
        ("STATE_ID_EXISTS", _) => {
            let state = reply.state_id.as_deref().and_then(StateId::from_hex);
            let winner = reply.transaction_hash.as_deref().and_then(TransactionHash::from_hex);
            let (state, winner) = state.zip(winner).ok_or(Trouble::Answer("refusal"))?;
            Ok(Said::Spent { state, winner })
        }
        (word, _) => Err(Trouble::Fault {
            word: shortened(word),
            message: "the request breaks a rule: see the word".into(),
            later: word == "SERVICE_NOT_READY",
        }),
    }
}

fn of_state(state: &StateId) -> Value {
    json!({ "stateId": state.to_string() })
}

fn inclusion(proof: String) -> Result<InclusionProof, Trouble> {
    object::<ProofResponse>(&proof, "inclusion proof").map(|answer| answer.proof)
}

fn exclusion(reply: ExclusionReply) -> Result<Exclusion, Trouble> {
    let no = || Trouble::Answer("exclusion proof");
    if reply.spent {
        let proof = reply.inclusion_proof.ok_or_else(no)?;
        return inclusion(proof).map(|proof| Exclusion::Spent(Box::new(proof)));
    }
    let path = reply.exclusion_certificate.as_deref().and_then(hex::decode).ok_or_else(no)?;
    let path = ExclusionCertificate::decode(&path).map_err(|_| no())?;
    let certificate = reply.unicity_certificate.ok_or_else(no)?;
    let certificate = Box::new(object(&certificate, "certificate")?);
    Ok(Exclusion::Unspent { path, certificate })
}

fn growth(reply: &GrowthReply) -> Result<Answer, Trouble> {
    let before = reply.before.as_deref().map(|text| object(text, "certificate")).transpose()?;
    let steps = reply.steps.iter().map(step).collect::<Result<_, _>>()?;
    let after = object(&reply.after, "certificate")?;
    Ok(Answer::Growth(Box::new(Growth { before, after, steps })))
}

fn step(step: &StepReply) -> Result<Step, Trouble> {
    let no = || Trouble::Answer("consistency proof");
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

fn forks(reply: ForksReply) -> Result<Answer, Trouble> {
    let proofs = reply.fork_proofs.iter().take(MAX_FORKS);
    let proofs = proofs.map(|fork| object::<ForkProof>(&fork.proof, "fork proof"));
    let next = reply.next.parse().map_err(|_| Trouble::Answer("list of fork proofs"))?;
    Ok(Answer::Forks(proofs.collect::<Result<_, _>>()?, next))
}

fn object<T: Decode>(text: &str, what: &'static str) -> Result<T, Trouble> {
    let bytes = hex::decode(text).ok_or(Trouble::Answer(what))?;
    from_bytes(&bytes).map_err(|_| Trouble::Answer(what))
}

/// The beginning of a validator's own words, on one line.
fn shortened(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_WORDS).collect()
}
