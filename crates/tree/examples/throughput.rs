//! Measures the tree on this machine, beside the cost of one node's hash in the same run.
//!
//! `cargo run --release -p tally-tree --example throughput [leaves] [batch] [threads]`

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;
use tally_tree::{Digest, Key, Tree, Value, node_hash};

const ROUNDS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut argument = |default| arguments.next().unwrap_or(Ok(default));
    let (count, size, threads) = (argument(1_000_000)?, argument(10_000)?, argument(2)?);
    let mut out = std::io::stdout().lock();

    let hash = nanoseconds_per_hash();
    writeln!(out, "one node's hash                 {hash:9.1} ns")?;
    let mut random = Random(1);
    let mut tree = Tree::new();
    let started = Instant::now();
    while tree.len() < count {
        let fill: Vec<_> = (0..size.min(count - tree.len())).map(|_| random.leaf()).collect();
        tree.insert_batch_on(threads, &fill)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        out,
        "filled with {count} leaves in {seconds:.2} s, {:.0} leaves/s",
        count as f64 / seconds
    )?;

    for threads in [1, threads] {
        let batches: Vec<Vec<_>> =
            (0..ROUNDS).map(|_| (0..size).map(|_| random.leaf()).collect()).collect();
        let started = Instant::now();
        for batch in &batches {
            tree.insert_batch_on(threads, batch)?;
        }
        let each = started.elapsed().as_secs_f64() * 1e9 / (ROUNDS * size) as f64;
        let what = format!("insert, batches of {size}, {threads} threads");
        report(&mut out, &what, each, hash)?;
    }

    let leaves: Vec<_> = tree.iter().collect();
    let picked: Vec<_> =
        (0..200_000).map(|_| leaves[random.next() as usize % leaves.len()]).collect();
    let each = time(&picked, |(key, value)| tree.replace(key, *value).map(drop))?;
    report(&mut out, "replace one leaf", each, hash)?;
    let each = time(&picked, |(key, _)| tree.get(key).ok_or("present").map(drop))?;
    report(&mut out, "get", each, hash)?;
    let each = time(&picked, |(key, _)| tree.prove(key).ok_or("present").map(drop))?;
    report(&mut out, "prove", each, hash)?;
    let proofs: Vec<_> = picked.iter().filter_map(|(key, _)| tree.prove(key)).collect();
    let (root, mut next) = (tree.root(), proofs.iter());
    let each = time(&picked, |(key, value)| {
        next.next().ok_or("proved")?.verify(&root, key, value).map_err(|e| e.code())
    })?;
    report(&mut out, "verify an inclusion certificate", each, hash)?;
    let fresh: Vec<_> = (0..20_000).map(|_| random.leaf()).collect();
    let each = time(&fresh, |(key, value)| tree.insert(*key, *value))?;
    report(&mut out, "insert one leaf", each, hash)?;

    let mut batch: Vec<_> = (0..size).map(|_| random.leaf()).collect();
    let before = tree.root();
    let started = Instant::now();
    let proof = tree.consistency_proof(&batch)?;
    report(
        &mut out,
        "consistency proof, a leaf",
        started.elapsed().as_secs_f64() * 1e9 / size as f64,
        hash,
    )?;
    tree.insert_batch(&batch)?;
    batch.sort();
    let started = Instant::now();
    proof.verify(&before, &tree.root(), &batch)?;
    report(
        &mut out,
        "its verification, a leaf",
        started.elapsed().as_secs_f64() * 1e9 / size as f64,
        hash,
    )?;

    let bytes = proofs.iter().map(|proof| proof.encoded_len()).sum::<usize>() as f64;
    writeln!(out, "inclusion certificate           {:9.1} bytes", bytes / proofs.len() as f64)?;
    writeln!(
        out,
        "consistency proof               {:9.1} bytes a leaf",
        proof.as_bytes().len() as f64 / size as f64
    )?;
    writeln!(
        out,
        "memory                          {:9.1} bytes a leaf",
        tree.memory_bytes() as f64 / tree.len() as f64
    )?;
    Ok(())
}

fn report(out: &mut impl Write, what: &str, nanoseconds: f64, hash: f64) -> std::io::Result<()> {
    let (rate, hashes) = (1e9 / nanoseconds, nanoseconds / hash);
    writeln!(out, "{what:<40} {nanoseconds:8.0} ns {rate:12.0} /s {hashes:8.1} hashes")
}

fn time<T, E>(items: &[T], mut run: impl FnMut(&T) -> Result<(), E>) -> Result<f64, E> {
    let started = Instant::now();
    items.iter().try_for_each(&mut run)?;
    Ok(started.elapsed().as_secs_f64() * 1e9 / items.len() as f64)
}

fn nanoseconds_per_hash() -> f64 {
    const HASHES: u32 = 2_000_000;
    let started = Instant::now();
    let mut hash = Digest::EMPTY;
    for _ in 0..HASHES {
        hash = node_hash(3, &Key::default(), &hash, black_box(&Digest::EMPTY));
    }
    black_box(hash);
    started.elapsed().as_secs_f64() * 1e9 / f64::from(HASHES)
}

/// splitmix64: all that a benchmark needs of randomness, and the same keys every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn leaf(&mut self) -> (Key, Value) {
        let mut bytes = [[0; 32]; 2];
        for word in bytes.as_flattened_mut().as_chunks_mut::<8>().0 {
            *word = self.next().to_be_bytes();
        }
        (Key::from(bytes[0]), Value::from(bytes[1]))
    }
}
