//! Search lives for rules that are taken out: `scripts/campaign.sh` puts this beside the lives, in a copy of the
//! repository in which rules have switches.
//!
//! Each life is a process, which may crash or hang. Even seeds live without all rules that are left, odd ones
//! without half of them, lest one that is out hides another. Of a life that fails the least that makes it fail
//! is looked for: one rule, which is found and comes back, or several together, which are out together no more.

#[path = "lives/end.rs"]
mod end;
#[path = "lives/events.rs"]
mod events;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use events::{Random, live};
use tally_core::{REMOVED, RULES};

/// A life that takes so long has failed.
const MOST: Duration = Duration::from_secs(15);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// One life, `LIFE`, without the rules in `WITHOUT`.
#[test]
#[ignore = "the search runs it"]
fn life() {
    let without = std::env::var("WITHOUT").unwrap_or_default();
    for rule in without.split(',').filter(|name| !name.is_empty()) {
        let rule = RULES.iter().position(|of| *of == rule).expect("a rule that has a switch");
        REMOVED[rule].store(true, Ordering::Relaxed);
    }
    live(number("LIFE", 0), std::env::var("LOUD").is_ok());
}

/// What went wrong in a life, if something did.
fn fails(seed: u64, without: &[usize]) -> Option<String> {
    let names: Vec<&str> = without.iter().map(|rule| RULES[*rule]).collect();
    let mut life = Command::new(std::env::current_exe().expect("a program"))
        .args(["--ignored", "--exact", "--nocapture", "life"])
        .env("LIFE", seed.to_string())
        .env("WITHOUT", names.join(","))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = life.try_wait().expect("a process") {
            break Some(status);
        }
        if began.elapsed() > MOST {
            let _ = life.kill();
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let output = life.wait_with_output().expect("a process");
    match status {
        None => Some("does not end".into()),
        Some(status) if status.success() => None,
        Some(_) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let panic = said.lines().skip_while(|line| !line.contains("panicked at")).take(2);
            Some(panic.collect::<Vec<_>>().join(" ").chars().take(240).collect())
        }
    }
}

/// The least of these rules without which the life still fails.
fn least(seed: u64, mut rules: Vec<usize>) -> Vec<usize> {
    let mut parts = 2;
    'less: while rules.len() > 1 {
        let size = rules.len().div_ceil(parts);
        let chunks: Vec<Vec<usize>> = rules.chunks(size).map(<[usize]>::to_vec).collect();
        for chunk in &chunks {
            if fails(seed, chunk).is_some() {
                (rules, parts) = (chunk.clone(), 2);
                continue 'less;
            }
        }
        for chunk in chunks.iter().filter(|_| parts > 2) {
            let rest: Vec<usize> = rules.iter().copied().filter(|of| !chunk.contains(of)).collect();
            if fails(seed, &rest).is_some() {
                (rules, parts) = (rest, (parts - 1).max(2));
                continue 'less;
            }
        }
        if size == 1 {
            break;
        }
        parts = (2 * parts).min(rules.len());
    }
    rules
}

/// What is searched, and what was found.
#[derive(Default)]
struct Search {
    left: BTreeSet<usize>,
    together: Vec<Vec<usize>>,
    /// Lives that fail with every rule: a fault of what is here.
    faults: Vec<u64>,
}

impl Search {
    /// What a life is lived without.
    fn chosen(&self, seed: u64) -> Vec<usize> {
        let mut random = Random::new(!seed);
        let half = seed % 2 == 1 && self.left.len() > 1;
        let mut all = self.left.clone();
        all.retain(|_| !half || random.below(2) == 0);
        for of in &self.together {
            if of.iter().all(|rule| all.contains(rule)) {
                all.remove(&of[random.below(of.len())]);
            }
        }
        all.into_iter().collect()
    }

    fn live(&mut self, seed: u64) {
        loop {
            let chosen = self.chosen(seed);
            if fails(seed, &chosen).is_none() {
                return;
            }
            if let Some(why) = fails(seed, &[]) {
                say(&format!("life {seed} fails with every rule: {why}"));
                return self.faults.push(seed);
            }
            let least = least(seed, chosen);
            let names: Vec<&str> = least.iter().map(|rule| RULES[*rule]).collect();
            let why = fails(seed, &least).unwrap_or_default();
            say(&format!("| `{}` | {seed} | {why}", names.join("`, `")));
            match least[..] {
                [rule] => drop(self.left.remove(&rule)),
                [] => return,
                _ => self.together.push(least),
            }
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// `LIVES` lives from `FIRST` on, of which none begins after `WITHIN` seconds, without the rules in `RULES`, or all.
#[test]
#[ignore = "it takes an hour"]
fn search() {
    let (first, lives) = (number("FIRST", 0), number("LIVES", 10_000));
    let (began, within) = (Instant::now(), number("WITHIN", u64::MAX));
    let names = std::env::var("NAMES").unwrap_or_default();
    let is_meant = |name: &str| names.is_empty() || names.split(' ').any(|of| of == name);
    let left = (0..RULES.len()).filter(|rule| is_meant(RULES[*rule])).collect();
    let mut search = Search { left, ..Search::default() };
    let mut lived = 0;
    for seed in first..first + lives {
        if began.elapsed().as_secs() >= within || search.left.is_empty() {
            break;
        }
        search.live(seed);
        lived += 1;
    }
    let left: Vec<&str> = search.left.iter().map(|rule| RULES[*rule]).collect();
    say(&format!("{lived} lives from {first} on; not found: {}", left.join(" ")));
    assert!(search.faults.is_empty(), "lives that fail with every rule: {:?}", search.faults);
}
