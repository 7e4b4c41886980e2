//! How much a network of four processes certifies on this machine, and how fast.
//!
//! `bench_notary PATH_OF_TALLY [SECONDS [LEAVES]]`: clients, validators and their disks share this machine. Requests
//! are signed beforehand. It prints one table, beside what the machine's own primitives cost.

mod ledger;
mod load;
#[path = "../../../notary/tests/sim/requests.rs"]
mod requests;

use std::io::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tally_core::hash::sha256;
use tally_core::id::Digest;
use tally_core::keys::SecretKey;
use tally_notary::devnet::{Devnet, Options};

/// How long a validator may take until it answers.
const LIMIT: Duration = Duration::from_secs(120);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let program: PathBuf = args.next().ok_or("give the path of tally")?.into();
    let seconds: u64 = args.next().map_or(Ok(60), |text| text.parse())?;
    let leaves: u32 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let mut table = Table::default();

    let cores = thread::available_parallelism()?.get();
    let (verify, hash) = primitives();
    table.row("one secp256k1 check", &format!("{:.1} µs", verify * 1e6), "");
    table.row("one SHA-256 of 64 bytes", &format!("{:.0} ns", hash * 1e9), "");
    let bound = cores as f64 / (4.0 * verify);
    table.row(&format!("{cores} cores ÷ four checks a request"), &format!("{bound:.0}/s"), "");

    let tree = ledger::tree(leaves);
    let title = format!("tree: batches of 10,000 into {leaves} leaves, 2 threads");
    table.row(&title, &format!("{:.0} leaves/s", tree.rates[0]), "1,000,000");
    table.row("the same, with their numbers", &format!("{:.0} leaves/s", tree.rates[1]), "");
    table.row("memory for each leaf", &format!("{:.0} bytes", tree.bytes), "200");
    table.row("inclusion proofs, no HTTP, one core", &format!("{:.0}/s", tree.proofs), "500,000");

    let restart = ledger::restart(&program, leaves)?;
    let title = format!("restart with {leaves} leaves to the first proof");
    table.row(&title, &format!("{:.2} s", restart.as_secs_f64()), "5 s");

    let folder = tempfile::tempdir()?;
    let begin = Instant::now();
    let mut network = Devnet::start_with(folder.path(), &Options::processes(4, &program))?;
    table.row("four processes to ready", &format!("{:.2} s", begin.elapsed().as_secs_f64()), "5 s");
    let rate = load::throughput(&network.urls(), seconds, bound as u64)?;
    let title = format!("certified, sustained {seconds} s, load generator included");
    table.row(&title, &format!("{rate:.0}/s"), &format!("{:.0}/s", bound / 2.0));
    let seen = load::latency(&network.urls(), seconds.div_ceil(2), rate / 2.0)?;
    table.row("half that load, as it was taken", &format!("{:.0}/s", seen.beside), "");
    table.row("submit to certificate beside it, p50", &format!("{} ms", seen.p50), "150 ms");
    table.row("the same, p99", &format!("{} ms", seen.p99), "500 ms");
    network.kill(1);
    let begin = Instant::now();
    network.launch(1)?;
    network.wait_ready(1, LIMIT)?;
    let back = format!("{:.2} s", begin.elapsed().as_secs_f64());
    table.row("killed, restarted and certifying with the others", &back, "");

    std::io::stdout().lock().write_all(table.0.as_bytes())?;
    Ok(())
}

/// Seconds of one signature check, and of one hash.
fn primitives() -> (f64, f64) {
    let key = SecretKey::new([7; 32]).expect("a scalar");
    let digest = Digest::new([9; 32]);
    let (signature, public) = (key.sign(&digest), key.public());
    let begin = Instant::now();
    (0..5_000).for_each(|_| assert!(public.verify(&digest, &signature)));
    let verify = begin.elapsed().as_secs_f64() / 5_000.0;
    let begin = Instant::now();
    let mut word = [0; 64];
    for _ in 0..500_000 {
        let hash = sha256(&word);
        word[..32].copy_from_slice(&hash);
    }
    std::hint::black_box(word);
    (verify, begin.elapsed().as_secs_f64() / 500_000.0)
}

/// Rows of a table in Markdown, told as they come.
struct Table(String);

impl Default for Table {
    fn default() -> Self {
        Self("| what | here | bar |\n|---|---|---|\n".into())
    }
}

impl Table {
    fn row(&mut self, what: &str, here: &str, bar: &str) {
        // An error means that nobody watches.
        let _ = writeln!(std::io::stderr(), "{what}: {here}");
        self.0 += &format!("| {what} | {here} | {bar} |\n");
    }
}
