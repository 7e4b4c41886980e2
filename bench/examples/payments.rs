//! Make so many payments in memory, for a profiler to watch, and print what they cost beside their signatures.

#![allow(clippy::print_stdout)] // It prints one line, for whoever watches.

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(800);
    let compute = tally_bench::compute::repeat_payment(rounds);
    println!("{:.1} us / {:.1} us = {:.3}", compute.payment, compute.signatures, compute.ratio());
}
