//! A network of validators, asked as a careful client asks: nothing is believed that is not verified.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tally_core::cbor::{Encode, from_bytes, to_bytes};
use tally_core::fork::{ForkProof, Spending};
use tally_core::id::{CoinId, TxId};
use tally_core::notary::{
    CertificationRequest, Certified, InclusionProof, ProofError, ProofResponse, StateId,
    TransactionHash, TrustBase, UnicityCertificate,
};
use tally_core::time::Time;
use tally_notary::devnet::Devnet;
use tally_notary::rules::TallyEngine;
use tally_notary::verify_log::Fetch;
use tally_transport::http::{Client, HttpLimits, Url};
use tally_tree::ExclusionCertificate;

/// How often something that takes its time is asked for again, at most.
const PATIENCE: usize = 400;

/// How long between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// What a validator answers to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is certified.
    Certified,
    /// It waits for a block.
    Queued,
    /// The state is spent, by this transaction.
    Exists(TransactionHash),
    /// A rule forbids it: the status word of the wire format.
    Refused(String),
}

/// Some validators, and what a wallet of theirs trusts.
pub struct Network {
    urls: Vec<Url>,
    trust: TrustBase,
    client: Client,
    _devnet: Option<Devnet>,
}

/// A folder of the test's own, which is empty.
pub fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("double-spend").join(name);
    // What a test that was stopped has left behind.
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

pub fn now() -> Time {
    Time::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

impl Network {
    /// Four validators, the same for all tests that do not harm them.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Network> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("shared", 4))
    }

    /// A network of its own.
    pub fn start(name: &str, validators: usize) -> Self {
        let devnet = Devnet::start(&folder(name), validators).expect("a network");
        let asked = Self::at(&devnet.urls(), devnet.trust_base().clone());
        Self { _devnet: Some(devnet), ..asked }
    }

    /// Validators that somebody else runs.
    pub fn at(urls: &[String], trust: TrustBase) -> Self {
        let urls = urls.iter().map(|url| Url::new(url).expect("an address")).collect();
        let limits = HttpLimits { max_answer: 64 << 20, ..HttpLimits::default() };
        Self { urls, trust, client: Client::new(limits), _devnet: None }
    }

    pub fn trust(&self) -> &TrustBase {
        &self.trust
    }

    pub fn validators(&self) -> std::ops::Range<usize> {
        0..self.urls.len()
    }

    /// Posts a body to a validator, again if it is too busy.
    fn post(&self, node: usize, body: &Value) -> Value {
        for _ in 0..PATIENCE {
            let text = self.client.post_json(
                &self.urls[node],
                &[],
                &body.to_string(),
                Duration::from_secs(20),
            );
            let answer: Value = serde_json::from_str(&text.expect("an answer")).expect("JSON");
            let busy = |one: &Value| one["error"]["code"] == -32006;
            let is_busy = answer.as_array().map_or(busy(&answer), |all| all.iter().any(busy));
            if !is_busy {
                return answer;
            }
            thread::sleep(PAUSE);
        }
        panic!("validator {node} is always busy");
    }

    fn result(&self, node: usize, method: &str, params: &Value) -> Value {
        let mut answer = self.post(node, &call(method, params));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Sends a request, and waits until it is decided.
    pub fn settle(&self, node: usize, request: &CertificationRequest) -> Answer {
        for _ in 0..PATIENCE {
            let answer = self.submit(node, request, Duration::from_secs(2));
            if answer != Answer::Queued {
                return answer;
            }
        }
        panic!("validator {node} does not decide");
    }

    /// Sends a request, and waits no longer than this.
    pub fn submit(&self, node: usize, request: &CertificationRequest, wait: Duration) -> Answer {
        let params = json!({ "request": hex(request), "waitMs": millis(wait) });
        answer(&self.result(node, "certification_request", &params))
    }

    /// Sends several requests at once, each for itself, in one post.
    pub fn submit_all(
        &self,
        node: usize,
        requests: &[&CertificationRequest],
        wait: Duration,
    ) -> Vec<Answer> {
        let params =
            |r: &CertificationRequest| json!({ "request": hex(r), "waitMs": millis(wait) });
        let calls: Vec<_> =
            requests.iter().map(|r| call("certification_request", &params(r))).collect();
        let answers = self.post(node, &json!(calls));
        answers.as_array().expect("an array").iter().map(|one| answer(&one["result"])).collect()
    }

    /// What a validator has of a state, not verified.
    pub fn proof(&self, node: usize, state: StateId, wait: Duration) -> InclusionProof {
        let params = json!({ "stateId": state.to_string(), "waitMs": millis(wait) });
        let answer = self.result(node, "get_inclusion_proof.v2", &params);
        decode::<ProofResponse>(&answer).proof
    }

    /// Asks a validator to prove that a spend is certified, and verifies it as a wallet does.
    pub fn certified(
        &self,
        node: usize,
        request: &CertificationRequest,
    ) -> Result<Certified, ProofError> {
        let proof = self.proof(node, request.state_id, Duration::ZERO);
        proof.verify(&request.data.spend(), &self.trust, &TallyEngine::default())
    }

    /// Like [`certified`](Self::certified), of a validator that may still have to learn of it.
    pub fn certified_soon(
        &self,
        node: usize,
        request: &CertificationRequest,
    ) -> Result<Certified, ProofError> {
        let proof = self.proof(node, request.state_id, Duration::from_secs(20));
        proof.verify(&request.data.spend(), &self.trust, &TallyEngine::default())
    }

    /// Whether a validator, which may know nothing at all, proves that a spend is certified.
    pub fn can_prove(&self, node: usize, request: &CertificationRequest) -> bool {
        let params = json!({ "stateId": request.state_id.to_string(), "waitMs": 0 });
        let answer = self.post(node, &call("get_inclusion_proof.v2", &params));
        answer["result"].is_string() && self.certified(node, request).is_ok()
    }

    /// Whether a validator proves that a state is unspent.
    pub fn is_unspent(&self, node: usize, state: StateId) -> bool {
        let params = json!({ "stateId": state.to_string() });
        let answer = self.result(node, "get_exclusion_proof", &params);
        if answer["spent"] == true {
            return false;
        }
        let certificate: UnicityCertificate = decode(&answer["unicityCertificate"]);
        let root = certificate.verify(&self.trust).expect("a quorum vouches for the root");
        let path = ExclusionCertificate::decode(&unhex(&answer["exclusionCertificate"]));
        root.excludes(&state, &path.expect("a path")).expect("the state is not in the tree");
        true
    }

    pub fn height(&self, node: usize) -> u64 {
        number(&self.result(node, "get_block_height", &json!({}))["blockNumber"])
    }

    /// A validator's certificate of a block, verified.
    pub fn certificate(&self, node: usize, height: u64) -> UnicityCertificate {
        let block = self.result(node, "get_block", &json!({ "blockNumber": height }));
        let certificate: UnicityCertificate = decode(&block["block"]["unicityCertificate"]);
        certificate.verify(&self.trust).expect("a quorum vouches for the block");
        assert_eq!(certificate.record.round, height);
        certificate
    }

    /// Pairs of states and transactions that a block certified, and those that it refused.
    pub fn records(&self, node: usize, height: u64) -> [Vec<(String, String)>; 2] {
        let params = json!({ "blockNumber": height, "limit": 1_000 });
        let page = self.result(node, "get_block_records", &params);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        ["aggregatorRecords", "refusedRecords"].map(|list| {
            let records = page[list].as_array().expect("a list").iter();
            let pair = |record: &Value| {
                let transaction = &record["certificationData"]["transactionHash"];
                (text(&record["stateId"]), text(transaction))
            };
            records.map(pair).collect()
        })
    }

    pub fn publish_fork(&self, node: usize, proof: &ForkProof) {
        let answer = self.result(node, "submit_fork_proof", &json!(hex(proof)));
        assert!(answer["kind"].is_string());
    }

    /// Whether a validator tells clients of this fork, or soon does.
    pub fn tells_of(&self, node: usize, proof: &ForkProof) -> bool {
        (0..PATIENCE).any(|attempt| {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            let answer = self.result(node, "get_fork_proofs", &json!({ "since": 0 }));
            let proofs = answer["forkProofs"].as_array().expect("a list");
            proofs.iter().any(|known| decode::<ForkProof>(&known["proof"]) == *proof)
        })
    }

    /// A validator for a check of its log.
    pub fn log(&self, node: usize) -> impl Fetch + '_ {
        Log(self, node)
    }

    /// Of two requests for one state exactly one is certified, and all validators prove the same one.
    /// Gives which.
    pub fn one_of(&self, requests: &[CertificationRequest; 2]) -> usize {
        assert_eq!(requests[0].state_id, requests[1].state_id);
        let won = |node| {
            let proof = self.proof(node, requests[0].state_id, Duration::from_secs(20));
            let engine = TallyEngine::default();
            let verify =
                |r: &CertificationRequest| proof.verify(&r.data.spend(), &self.trust, &engine);
            match requests.each_ref().map(verify) {
                [Ok(_), Err(ProofError::TransactionHashMismatch)] => 0,
                [Err(ProofError::TransactionHashMismatch), Ok(_)] => 1,
                other => panic!("validator {node}: {other:?}"),
            }
        };
        let winners: Vec<_> = self.validators().map(won).collect();
        assert!(winners.iter().all(|winner| *winner == winners[0]), "{winners:?}");
        winners[0]
    }
}

struct Log<'a>(&'a Network, usize);

impl Fetch for Log<'_> {
    fn post(&mut self, body: &str) -> Result<String, String> {
        let Self(network, node) = self;
        let (url, more) = (&network.urls[*node], Duration::ZERO);
        network.client.post_json(url, &[], body, more).map_err(|error| error.to_string())
    }
}

/// The proof that somebody gave a coin away twice: the request that lost, and the proof that another won.
pub fn fork_proof(loser: &CertificationRequest, winner: &InclusionProof) -> ForkProof {
    let won = &winner.leaf.as_ref().expect("a certified leaf").data;
    let side = |data: &tally_core::notary::CertificationData| {
        let coin = CoinId::new(*data.source.as_bytes());
        let tx = TxId::new(*data.transaction.as_bytes());
        let bare = [&[0x58, 65], data.unlock.as_slice()].concat();
        Spending { coin, tx, signature: from_bytes(&bare).expect("a bare signature") }
    };
    let key = won.predicate.as_signature().expect("an owner's key");
    ForkProof { key, a: side(won).into(), b: side(&loser.data).into() }
}

fn call(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn answer(result: &Value) -> Answer {
    let status = result["status"].as_str().expect("a status");
    match (status, result["certified"].as_bool()) {
        ("SUCCESS", Some(true)) => Answer::Certified,
        ("SUCCESS", _) => Answer::Queued,
        ("STATE_ID_EXISTS", _) => {
            let winner = result["transactionHash"].as_str().and_then(TransactionHash::from_hex);
            Answer::Exists(winner.expect("the winner is named"))
        }
        (word, _) => Answer::Refused(word.to_owned()),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a short time")
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("a number")
}

pub fn hex<T: Encode>(object: &T) -> String {
    to_bytes(object).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("a text");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn decode<T: tally_core::cbor::Decode>(text: &Value) -> T {
    from_bytes(&unhex(text)).expect("an object")
}
