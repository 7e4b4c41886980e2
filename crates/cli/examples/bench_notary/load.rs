//! Clients on sockets of their own, that cost this machine as little as they can.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tally_core::cbor::to_bytes;
use tally_core::notary::StateId;

use super::Failure;
use super::requests::request;

/// Clients that send as much as they can.
const CLIENTS: usize = 8;

/// Requests of one call: as many as a validator takes.
const MANY: usize = 16;

/// Clients that wait for one certificate at a time.
const PROBES: usize = 8;

/// More requests than a network of four lets wait.
const WAITING: u64 = 50_000;

/// What a request counts that was not certified.
const FAILED: Duration = Duration::from_secs(20);

/// How long the load runs before it is measured.
const WARM: Duration = Duration::from_secs(5);

/// A connection that stays open.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(url: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(url.trim_start_matches("http://"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn post(&mut self, body: &str) -> io::Result<String> {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().map_err(io::Error::other)?;
            } else if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        String::from_utf8(answer).map_err(io::Error::other)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|d| char::from(DIGITS[usize::from(d)]))
        .collect()
}

fn call(request: &[u8], wait: u32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"certification_request","params":{{"request":"{}","waitMs":{wait}}}}}"#,
        hex(request)
    )
}

fn body(requests: &[Vec<u8>]) -> String {
    let calls: Vec<_> = requests.iter().map(|request| call(request, 0)).collect();
    format!("[{}]", calls.join(","))
}

/// Signs requests on all cores.
fn sign(first: u64, count: u64) -> Vec<Vec<u8>> {
    let half = count / 2;
    let part =
        |from: u64, to: u64| (from..to).map(|n| to_bytes(&request(n, n))).collect::<Vec<_>>();
    thread::scope(|scope| {
        let other = scope.spawn(move || part(first + half, first + count));
        let mut all = part(first, first + half);
        all.extend(other.join().expect("no panic"));
        all
    })
}

/// How many states are spent, as a validator says.
fn leaves(url: &str) -> Result<u64, Failure> {
    let answer = Client::new(url)?.post(r#"{"jsonrpc":"2.0","id":1,"method":"get_status"}"#)?;
    let answer: Value = serde_json::from_str(&answer)?;
    let leaves = &answer["result"]["leaves"];
    let number = leaves.as_u64().or_else(|| leaves.as_str().and_then(|text| text.parse().ok()));
    number.ok_or_else(|| format!("no number of leaves in {answer}").into())
}

/// Whether a validator has a proof that a state is spent.
pub fn is_proved(url: &str, state: &StateId) -> bool {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"get_inclusion_proof.v2","params":{{"stateId":"{state}"}}}}"#
    );
    let answer = Client::new(url).and_then(|mut client| client.post(&body));
    answer.is_ok_and(|text| text.contains("\"result\":\""))
}

/// Requests certified a second, at most so many: what all validators can take, for so long.
pub fn throughput(urls: &[String], seconds: u64, most: u64) -> Result<f64, Failure> {
    let time = Duration::from_secs(seconds);
    let requests = sign(1, most * (seconds + WARM.as_secs()) + WAITING);
    let chunks: Vec<_> = requests.chunks(MANY).collect();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (url, chunks) = (&urls[number % urls.len()], &chunks);
            let (next, stop) = (&next, &stop);
            scope.spawn(move || flood(url, chunks, next, stop));
        }
        thread::sleep(WARM);
        let measured = measure(&urls[0], time);
        stop.store(true, Ordering::Relaxed);
        if next.load(Ordering::Relaxed) >= chunks.len() {
            return Err("all requests were sent before the end: sign more".into());
        }
        measured
    })
}

fn measure(url: &str, time: Duration) -> Result<f64, Failure> {
    let (before, begin) = (leaves(url)?, Instant::now());
    thread::sleep(time);
    let after = leaves(url)?;
    Ok((after - before) as f64 / begin.elapsed().as_secs_f64())
}

fn flood(url: &str, chunks: &[&[Vec<u8>]], next: &AtomicUsize, stop: &AtomicBool) {
    let Ok(mut client) = Client::new(url) else { return };
    while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
        let body = body(chunk);
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            match client.post(&body) {
                Ok(answer) if !answer.contains("\"error\"") => break,
                // It has as much as it takes: the same again, a little later.
                Ok(_) => thread::sleep(Duration::from_millis(50)),
                Err(_) => match Client::new(url) {
                    Ok(new) => client = new,
                    Err(_) => return,
                },
            }
        }
    }
}

/// What clients saw who waited for one certificate at a time.
pub struct Latency {
    /// Milliseconds from a request to its certificate, median and 99th percentile. A request that failed
    /// counts with the time after which it did.
    pub p50: u128,
    pub p99: u128,
    /// What others had accepted meanwhile, requests a second.
    pub beside: f64,
}

/// Waits for certificates, while others send so many requests a second.
pub fn latency(urls: &[String], seconds: u64, rate: f64) -> Result<Latency, Failure> {
    let time = Duration::from_secs(seconds);
    let requests = sign(1 << 40, (rate * seconds as f64) as u64 + MANY as u64);
    let chunks: Vec<_> = requests.chunks(MANY).collect();
    let (times, sent) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let accepted = AtomicU64::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (url, chunks, sent) = (&urls[number % urls.len()], &chunks, &sent);
            let accepted = &accepted;
            scope.spawn(move || pace(url, chunks, sent, accepted, rate, begin + time));
        }
        for number in 0..PROBES {
            let (url, times) = (&urls[number % urls.len()], &times);
            scope.spawn(move || probe(url, (number as u64 + 1) << 48, times, begin + time));
        }
    });
    let mut times = times.into_inner().expect("no panic");
    times.sort_unstable();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied();
    let (p50, p99) = at(0.5).zip(at(0.99)).ok_or("nothing was asked for")?;
    let beside = accepted.load(Ordering::Relaxed) as f64 / time.as_secs_f64();
    if beside < 0.95 * rate {
        return Err(format!("only {beside:.0} of {rate:.0} requests a second were taken").into());
    }
    Ok(Latency { p50, p99, beside })
}

/// Sends its part of so many requests a second.
fn pace(
    url: &str,
    chunks: &[&[Vec<u8>]],
    sent: &AtomicU64,
    accepted: &AtomicU64,
    rate: f64,
    end: Instant,
) {
    let Ok(mut client) = Client::new(url) else { return };
    let begin = Instant::now();
    while Instant::now() < end {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let Some(chunk) = chunks.get(number as usize) else { return };
        let due = Duration::from_secs_f64(number as f64 * MANY as f64 / rate.max(1.0));
        thread::sleep(due.saturating_sub(begin.elapsed()));
        match client.post(&body(chunk)) {
            Ok(answer) => {
                let taken = answer.matches("\"SUCCESS\"").count() as u64;
                accepted.fetch_add(taken, Ordering::Relaxed);
            }
            Err(_) => match Client::new(url) {
                Ok(new) => client = new,
                Err(_) => return,
            },
        }
    }
}

/// Asks for one certificate after the other, and takes the time until its proof is here.
fn probe(url: &str, first: u64, times: &Mutex<Vec<u128>>, end: Instant) {
    let Ok(mut client) = Client::new(url) else { return };
    let mut next = first;
    while Instant::now() < end {
        next += 1;
        let request = request(next, next);
        let body = call(&to_bytes(&request), 20_000);
        let begin = Instant::now();
        let certified = client.post(&body).is_ok_and(|text| text.contains("\"certified\":true"));
        let proved = certified && is_proved(url, &request.state_id);
        let took = if proved { begin.elapsed() } else { begin.elapsed().max(FAILED) };
        times.lock().expect("no panic").push(took.as_millis());
        thread::sleep(Duration::from_millis(100));
    }
}
