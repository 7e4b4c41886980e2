//! Clients that ask all along, and remember every answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::notary::{NoEngine, ProofResponse};
use tally_notary::devnet::Devnet;
use tally_transport::http::{Client, HttpLimits, Url};

use crate::requests::request;

/// Clients at once.
const CLIENTS: u64 = 3;

/// For each coin, the payments that were said to be certified.
pub type Certified = BTreeMap<u64, BTreeSet<u64>>;

/// What clients were told.
#[derive(Default)]
struct Told {
    certified: Certified,
    refused: BTreeMap<u64, BTreeMap<u64, String>>,
    unanswered: u64,
}

pub struct Checker {
    urls: Vec<Url>,
    stop: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
    clients: Vec<JoinHandle<()>>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn call(url: &Url, method: &str, params: &Value) -> Option<Value> {
    let limits = HttpLimits { call: Duration::from_secs(8), ..HttpLimits::default() };
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = Client::new(limits).post_json(url, &[], &body.to_string(), Duration::ZERO).ok()?;
    serde_json::from_str(&answer).ok()
}

fn submit(url: &Url, coin: u64, payment: u64) -> Option<Value> {
    let params = json!({ "request": hex(&to_bytes(&request(coin, payment))), "waitMs": 3_000 });
    call(url, "certification_request", &params)
}

impl Checker {
    pub fn start(network: &Devnet) -> Self {
        let urls: Vec<_> = network.urls().iter().map(|url| Url::new(url).expect("a URL")).collect();
        let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Told>>::default());
        let clients = (0..CLIENTS).map(|number| {
            let (urls, stop, told) = (urls.clone(), Arc::clone(&stop), Arc::clone(&told));
            thread::spawn(move || {
                let mut round = number;
                while !stop.load(Ordering::Relaxed) {
                    // Neighbours fight over each coin; each asks another validator every time.
                    let (coin, payment) = (round / 2, number);
                    let url = &urls[(round as usize) % urls.len()];
                    let answer = submit(url, coin, payment);
                    told.lock().expect("no panic").learn(coin, payment, answer);
                    round += 1;
                }
            })
        });
        let clients = clients.collect();
        Self { urls, stop, told, clients }
    }

    /// What one validator answers, as soon as it does.
    pub fn ask(&self, number: usize, coin: u64, payment: u64) -> Value {
        for _ in 0..100 {
            if let Some(answer) = submit(&self.urls[number], coin, payment) {
                return answer;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("validator {number} does not answer")
    }

    /// What was certified so far, as clients were told.
    pub fn certified(&self) -> Certified {
        let told = self.told.lock().expect("no panic");
        told.certified.clone()
    }

    /// Waits until so many coins more are certified than now.
    pub fn wait_for_more(&self, coins: usize) {
        let wanted = self.certified().len() + coins;
        for _ in 0..600 {
            if self.certified().len() >= wanted {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("in a minute there were not {coins} certificates");
    }

    /// A validator proves all of this.
    pub fn proves(&self, network: &Devnet, number: usize, certified: &Certified) {
        assert!(!certified.is_empty(), "nothing was certified");
        // It may be a moment behind the one that answered.
        let proof = |coin| {
            for _ in 0..100 {
                if let Some(proof) = inclusion(&self.urls[number], coin) {
                    return proof;
                }
                thread::sleep(Duration::from_millis(100));
            }
            panic!("validator {number} does not prove coin {coin}")
        };
        for (coin, payments) in certified {
            assert_eq!(payments.len(), 1, "coin {coin} was certified for {payments:?}");
            let (coin, payment) = (*coin, *payments.first().expect("one"));
            let wanted = request(coin, payment);
            proof(coin)
                .proof
                .verify(&wanted.data.spend(), network.trust_base(), &NoEngine)
                .expect("the proof of what was certified");
        }
    }

    /// Stops asking, and compares what was answered with what every validator proves now.
    pub fn finish(mut self, network: &Devnet) {
        thread::sleep(Duration::from_secs(1));
        self.stop.store(true, Ordering::Relaxed);
        self.clients.drain(..).for_each(|client| client.join().expect("a client never panics"));
        let certified = self.certified();
        for number in 0..self.urls.len() {
            self.proves(network, number, &certified);
        }
        let told = self.told.lock().expect("no panic");
        for (coin, refused) in &told.refused {
            let found = inclusion(&self.urls[0], *coin).expect("somebody won");
            let won = found.proof.leaf.expect("a leaf").data.transaction.to_string();
            for (payment, winner) in refused {
                assert_eq!(&won, winner, "coin {coin}: another winner than was told");
                assert_ne!(won, request(*coin, *payment).data.transaction.to_string());
            }
        }
        let (certified, refused) = (told.certified.len(), told.refused.len());
        eprintln!("{certified} coins certified, {refused} refused, {} unanswered", told.unanswered);
    }
}

/// The proof that a validator has of a coin's spend.
fn inclusion(url: &Url, coin: u64) -> Option<ProofResponse> {
    let state = hex(request(coin, 0).state_id.as_bytes());
    let params = json!({ "stateId": state, "waitMs": 1_000 });
    let answer = call(url, "get_inclusion_proof.v2", &params)?;
    let reply: ProofResponse = from_bytes(&unhex(answer["result"].as_str()?)).expect("a proof");
    reply.proof.leaf.is_some().then_some(reply)
}

impl Told {
    fn learn(&mut self, coin: u64, payment: u64, answer: Option<Value>) {
        let Some(answer) = answer else {
            self.unanswered += 1;
            return;
        };
        let result = &answer["result"];
        match result["status"].as_str() {
            Some("SUCCESS") if result["certified"] == true => {
                self.certified.entry(coin).or_default().insert(payment);
            }
            Some("STATE_ID_EXISTS") => {
                let winner = result["transactionHash"].as_str().expect("a winner").to_owned();
                self.refused.entry(coin).or_default().insert(payment, winner);
            }
            // Queued, or the validator does not take anything now.
            _ => self.unanswered += 1,
        }
    }
}
