//! How many requests a network of four processes certifies here, and how long one takes.
//!
//! `bench_notary PATH_OF_TALLY [SECONDS]`: clients, validators and their disks share this machine. Requests are signed
//! beforehand. The first part sends as much as goes, in calls of many requests; the second one request at a
//! time, at about half that load, and asks for its proof.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tally_core::cbor::to_bytes;
use tally_core::keys::SecretKey;
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};
use tally_notary::devnet::{Devnet, Options};
use tally_transport::http::{Client, HttpLimits, Url};

/// Clients at once.
const CLIENTS: usize = 8;

/// Requests of one call in the first part.
const MANY: u64 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let program: PathBuf = args.next().ok_or("give the path of tally")?.into();
    let seconds: u64 = match args.next() {
        Some(text) => text.to_str().ok_or("a number of seconds")?.parse()?,
        None => 60,
    };
    let verify = signature_check();
    let folder = tempfile::tempdir()?;
    let begin = Instant::now();
    let network = Devnet::start_with(folder.path(), &Options::processes(4, &program))?;
    let ready = begin.elapsed();
    let urls = network.urls().iter().map(|url| Url::new(url)).collect::<Result<Vec<_>, _>>()?;
    let rate = throughput(&urls, Duration::from_secs(seconds));
    let times = latency(&urls, Duration::from_secs(seconds / 2), rate / 2.0);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(0);
    let cores = thread::available_parallelism()?.get();
    let bound = cores as f64 / (4.0 * verify.as_secs_f64());
    let mut out = std::io::stdout().lock();
    writeln!(out, "| what | here | bar |\n|---|---|---|")?;
    writeln!(out, "| one signature check | {:.1} µs | |", verify.as_secs_f64() * 1e6)?;
    writeln!(out, "| {cores} cores, four checks a request | {bound:.0}/s | |")?;
    writeln!(out, "| certified in {seconds} s | {rate:.0}/s | {:.0}/s |", bound / 2.0)?;
    writeln!(out, "| submit to proof, p50 | {} ms | 150 ms |", at(0.5))?;
    writeln!(out, "| submit to proof, p99 | {} ms | 500 ms |", at(0.99))?;
    writeln!(out, "| four processes to ready | {:.1} s | 5 s |", ready.as_secs_f64())?;
    Ok(())
}

fn request(number: u64) -> String {
    let mut word = [0; 32];
    word[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    word[8..16].copy_from_slice(&number.to_be_bytes());
    let key = SecretKey::new([7; 32]).expect("a scalar");
    let (source, transaction) = (StateHash::new(word), TransactionHash::new(word));
    let data = CertificationData::signed(&key, source, transaction, None);
    to_bytes(&CertificationRequest::new(data)).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long a signature takes to check.
fn signature_check() -> Duration {
    let key = SecretKey::new([7; 32]).expect("a scalar");
    let digest = tally_core::id::Digest::new([9; 32]);
    let (signature, public) = (key.sign(&digest), key.public());
    let begin = Instant::now();
    (0..2_000).for_each(|_| assert!(public.verify(&digest, &signature)));
    begin.elapsed() / 2_000
}

fn client() -> Client {
    Client::new(HttpLimits { call: Duration::from_secs(60), ..HttpLimits::default() })
}

fn call(number: u64) -> Value {
    let params = json!({ "request": request(number), "waitMs": 10_000 });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "certification_request", "params": params })
}

/// Requests certified a second.
fn throughput(urls: &[Url], time: Duration) -> f64 {
    let (certified, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let next = AtomicU64::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let url = &urls[number % urls.len()];
            let (certified, stop, next) = (&certified, &stop, &next);
            scope.spawn(move || {
                let client = client();
                while !stop.load(Ordering::Relaxed) {
                    let first = next.fetch_add(MANY, Ordering::Relaxed);
                    let calls: Vec<_> = (first..first + MANY).map(call).collect();
                    let body = Value::from(calls).to_string();
                    let Ok(text) = client.post_json(url, &[], &body, Duration::ZERO) else {
                        continue;
                    };
                    let done = text.matches("\"certified\":true").count();
                    certified.fetch_add(done as u64, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    certified.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

/// Milliseconds from the request to its proof, in ascending order, at this many a second or fewer.
fn latency(urls: &[Url], time: Duration, rate: f64) -> Vec<u128> {
    let times = Mutex::new(Vec::new());
    let pause = Duration::from_secs_f64(CLIENTS as f64 / rate.max(1.0));
    let begin = Instant::now();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (url, times) = (&urls[number % urls.len()], &times);
            scope.spawn(move || {
                let client = client();
                let mut next = 1_000_000_000 * (number as u64 + 1);
                while begin.elapsed() < time {
                    next += 1;
                    let body = call(next).to_string();
                    let start = Instant::now();
                    let certified = client.post_json(url, &[], &body, Duration::ZERO);
                    let certified = certified.is_ok_and(|text| text.contains("\"certified\":true"));
                    let proof = json!({
                        "jsonrpc": "2.0", "id": 1, "method": "get_inclusion_proof.v2",
                        "params": { "stateId": state(next) },
                    });
                    let proved = client.post_json(url, &[], &proof.to_string(), Duration::ZERO);
                    if certified && proved.is_ok() {
                        times.lock().expect("no panic").push(start.elapsed().as_millis());
                    }
                    thread::sleep(pause.saturating_sub(start.elapsed()));
                }
            });
        }
    });
    let mut times = times.into_inner().expect("no panic");
    times.sort_unstable();
    times
}

fn state(number: u64) -> String {
    let bytes = request(number);
    // The state's name follows the head of the request: a tag, an array, a version and a length.
    bytes[14..78].to_owned()
}
