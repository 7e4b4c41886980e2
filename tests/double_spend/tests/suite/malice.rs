//! Validators that run twice with one key, and so vote for two histories.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tally_core::notary::{NodeId, TrustBase, UnicityCertificate};
use tally_notary::devnet::{Devnet, Options};
use tally_notary::node::Node;
use tally_notary::setup::Config;
use tally_notary::verify_log::{AuditError, Options as Audit, Start, verify_log};

use crate::coin::two_payments;
use crate::network::{Answer, Network, folder};

/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// How long a network may take until it certifies.
const READY: Duration = Duration::from_secs(60);

/// How long until whoever was seen to contradict itself is heard again: it is shut out for a minute, and may be
/// seen once more before it has caught up.
const HEARD_AGAIN: Duration = Duration::from_secs(180);

/// The files of four validators, not running yet.
struct Four {
    folder: PathBuf,
    trust: TrustBase,
    configs: Vec<Config>,
}

impl Four {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        let devnet = Devnet::prepare(&folder, &Options::new(4)).expect("the files of a network");
        let configs =
            (0..devnet.validators()).map(|number| devnet.config(number).1.clone()).collect();
        Self { folder, trust: devnet.trust_base().clone(), configs }
    }

    fn name(&self, number: usize) -> String {
        self.configs[number].name.clone()
    }

    /// The same validator once more, at another address and with another store.
    fn twin(&self, number: usize) -> Config {
        let mut twin = self.configs[number].clone();
        twin.data = self.folder.join(format!("twin-of-{number}"));
        [twin.listen, twin.rpc] = [free(), free()];
        twin
    }

    /// A configuration that reaches only those that are named, each there.
    fn knowing(&self, mut config: Config, reached: &[(usize, SocketAddr)]) -> Config {
        for number in 0..self.configs.len() {
            let at = reached.iter().find(|(known, _)| *known == number);
            let at = at.map_or(NOWHERE.to_owned(), |(_, address)| address.to_string());
            config.peers.insert(self.name(number), at);
        }
        config
    }
}

fn free() -> SocketAddr {
    // Held no longer than this line; whoever takes it in between makes the test fail loudly.
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

fn start(config: Config) -> Node {
    std::fs::create_dir_all(Path::new(&config.data)).expect("a folder");
    Node::start(config).expect("a validator")
}

fn network(nodes: &[&Node], trust: &TrustBase) -> Network {
    for node in nodes {
        node.wait_ready(READY).expect("a quorum certifies");
    }
    Network::at(&nodes.iter().map(|node| node.url()).collect::<Vec<_>>(), trust.clone())
}

const COINS: usize = 40;

#[test]
fn one_malicious_validator_twin_voting_both_ways() {
    let four = Four::new("one-twin");
    let twin = four.twin(3);
    let at = |number: usize| four.configs[number].listen;
    let all = [(0, at(0)), (1, at(1)), (2, at(2)), (3, at(3))];
    // Two of the honest ones are connected with one half of the fourth, the third with the other half.
    let other = [all[0], all[1], all[2], (3, twin.listen)];
    let honest = [&all[..], &all[..], &other[..]];
    let nodes: Vec<_> = (0..3)
        .map(|number| start(four.knowing(four.configs[number].clone(), honest[number])))
        .collect();
    let one_half = start(four.knowing(four.configs[3].clone(), &all[..2]));
    let other_half = start(four.knowing(twin, &[all[2]]));
    let honest = network(&nodes.iter().collect::<Vec<_>>(), &four.trust);
    let halves = [one_half.url(), other_half.url()];
    let halves = Network::at(&halves, four.trust.clone());
    let coins: Vec<_> = (0..COINS).map(|_| two_payments()).collect();
    let begin = Barrier::new(2);
    // Each side hears of the other payment first, from its half of the traitor and from a client.
    thread::scope(|scope| {
        for side in 0..2 {
            let (honest, halves, coins, begin) = (&honest, &halves, &coins, &begin);
            scope.spawn(move || {
                begin.wait();
                for pair in coins {
                    let _ = halves.submit(side, &pair[side], Duration::ZERO);
                    let _ = honest.submit(2 * side, &pair[side], Duration::ZERO);
                }
            });
        }
    });
    for pair in &coins {
        for (side, request) in pair.iter().enumerate() {
            // Progress, whatever the traitor does: each honest validator decides.
            let answer = honest.settle(side, request);
            assert!(matches!(answer, Answer::Certified | Answer::Exists(_)), "{answer:?}");
        }
        let winner = honest.one_of(pair);
        // Not even the traitor itself can prove the other payment to anybody.
        for half in halves.validators() {
            assert!(!halves.can_prove(half, &pair[1 - winner]));
        }
    }
    assert_one_history(&honest);
    // It did take part, on both sides: the honest ones told each half everything.
    for half in [&one_half, &other_half] {
        half.wait_ready(HEARD_AGAIN).expect("it is one of four");
    }
}

/// At every height all of them have the same certified root.
fn assert_one_history(network: &Network) {
    let lowest = network.validators().map(|node| network.height(node)).min().unwrap_or(0);
    for height in (1..=lowest).rev().take(100) {
        let roots: BTreeSet<_> = network
            .validators()
            .map(|node| network.certificate(node, height).record.hash)
            .collect();
        assert_eq!(roots.len(), 1, "height {height}");
    }
}

#[test]
fn f_plus_1_malicious_validators_break_it_and_what_evidence_remains() {
    let four = Four::new("two-twins");
    let twins = [four.twin(2), four.twin(3)];
    let at = |number: usize| four.configs[number].listen;
    // Two of four run twice. Each honest one is alone with one copy of both, and cannot tell.
    let here = [(0, at(0)), (2, at(2)), (3, at(3))];
    let there = [(1, at(1)), (2, twins[0].listen), (3, twins[1].listen)];
    let [twin_2, twin_3] = twins;
    let side =
        |configs: [Config; 3], reached| configs.map(|config| start(four.knowing(config, reached)));
    let own = |number: usize| four.configs[number].clone();
    let sides = [side([own(0), own(2), own(3)], &here), side([own(1), twin_2, twin_3], &there)];
    let [a, b] = sides.each_ref().map(|side| network(&[&side[0]], &four.trust));
    let kept = audit(&a, &four.trust, Start::Empty).expect("one history so far").checkpoint;
    let pair = two_payments();
    // It is broken: one coin, two payments, and a strict client accepts both proofs.
    for (network, request) in [(&a, &pair[0]), (&b, &pair[1])] {
        assert_eq!(network.settle(0, request), Answer::Certified);
        network.certified(0, request).expect("a quorum vouches for it");
    }
    // The evidence: two certificates of one round with different roots, each signed by a quorum. Whoever
    // signed both is guilty, and those are the two and nobody else.
    let (one, other) = conflicting(&a, &b);
    assert_ne!(one.seal.hash, other.seal.hash);
    let guilty: BTreeSet<NodeId> = signers(&one).intersection(&signers(&other)).cloned().collect();
    let traitors = [2, 3].map(|number| NodeId::new(&four.name(number)).unwrap());
    assert_eq!(guilty, BTreeSet::from(traitors));
    // An outsider who kept a root of one history notices when it is shown the other.
    let later = audit(&a, &four.trust, Start::Checkpoint(kept)).expect("its own history goes on");
    while b.height(0) < later.checkpoint.height {
        thread::sleep(Duration::from_millis(100));
    }
    let error = audit(&b, &four.trust, Start::Checkpoint(later.checkpoint)).unwrap_err();
    assert!(matches!(error, AuditError::Diverged { .. }), "{error}");
}

fn audit(
    network: &Network,
    trust: &TrustBase,
    start: Start,
) -> Result<tally_notary::verify_log::Audit, AuditError> {
    verify_log(&mut network.log(0), trust, start, &Audit::default(), &mut |_| ())
}

/// Certificates of one round with different roots.
fn conflicting(a: &Network, b: &Network) -> (UnicityCertificate, UnicityCertificate) {
    let begin = Instant::now();
    while begin.elapsed() < READY {
        let height = a.height(0).min(b.height(0));
        let pair = (a.certificate(0, height), b.certificate(0, height));
        if pair.0.record.hash != pair.1.record.hash {
            return pair;
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("both histories have the same roots");
}

fn signers(certificate: &UnicityCertificate) -> BTreeSet<NodeId> {
    certificate.seal.signatures.iter().flatten().map(|(node, _)| node.clone()).collect()
}
