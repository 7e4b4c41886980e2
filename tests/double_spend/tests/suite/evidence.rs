//! Signatures alone: how many validators it takes to certify two histories, and whom that convicts.

use std::collections::BTreeSet;

use tally_core::id::{Digest, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::notary::{NodeId, Partition, RootNode, ShardId, TrustBase, UnicityCertificate};
use tally_core::time::Time;
use tally_notary::block::{Block, Header};
use tally_notary::certify::{Collector, Sealer, unsigned};

/// `3f + 1` validators.
struct Validators {
    f: usize,
    sealers: Vec<Sealer>,
    trust: TrustBase,
}

impl Validators {
    fn new(f: usize) -> Self {
        let count = 3 * f + 1;
        let key = |n: usize| SecretKey::new([n as u8 + 1; 32]).unwrap();
        let name = |n: usize| NodeId::new(&format!("v{n}")).unwrap();
        let node = |n| RootNode { id: name(n), key: key(n).public(), stake: 1 };
        let configuration = Digest::new([9; 32]);
        let partition = Partition { id: 1, shard: ShardId::whole(), configuration };
        let nodes = (0..count).map(node).collect();
        let quorum = 2 * f as u64 + 1;
        let trust = TrustBase::new(NetworkId::LOCAL, 1, partition, nodes, quorum).unwrap();
        let sealers = (0..count).map(|n| Sealer::new(name(n), key(n))).collect();
        Self { f, sealers, trust }
    }

    /// The certificate of round 7 with this root, without signatures.
    fn round(&self, root: u8) -> UnicityCertificate {
        let genesis = Block::genesis(Digest::new([9; 32]), Time::from_unix(1_755_000_000));
        let root = Digest::new([root; 32]);
        let header = Header { height: 7, root, ..genesis.header().clone() };
        unsigned(&self.trust, &header, genesis.hash(), Digest::new([0; 32])).unwrap()
    }

    /// What these validators make of a certificate.
    fn sign(&self, certificate: &UnicityCertificate, who: &[usize]) -> Option<UnicityCertificate> {
        let mut collector = Collector::new(self.trust.clone(), 6);
        collector.open(certificate.clone());
        who.iter().find_map(|n| {
            let sealer = &self.sealers[*n];
            collector.share(7, sealer.node().clone(), sealer.sign(certificate))
        })
    }

    /// Every way in which the honest ones can be told one of two histories each, while `malicious` sign
    /// both; and the certificates of both histories, as far as there are any.
    fn splits(&self, malicious: usize) -> Vec<[Option<UnicityCertificate>; 2]> {
        let honest = self.sealers.len() - malicious;
        let rounds = [self.round(1), self.round(2)];
        let split = |told: u32| {
            let side = |side: u32| {
                let hears = |n: &usize| *n < malicious || told >> (n - malicious) & 1 == side;
                let who: Vec<_> = (0..self.sealers.len()).filter(hears).collect();
                self.sign(&rounds[side as usize], &who)
            };
            [side(0), side(1)]
        };
        (0..1 << honest).map(split).collect()
    }

    fn accepts(&self, certificate: &Option<UnicityCertificate>) -> bool {
        certificate.as_ref().is_some_and(|made| made.verify(&self.trust).is_ok())
    }
}

fn signers(certificate: &UnicityCertificate) -> BTreeSet<NodeId> {
    certificate.seal.signatures.iter().flatten().map(|(node, _)| node.clone()).collect()
}

#[test]
fn f_malicious_validators_certify_nothing_twice() {
    for f in [1, 2] {
        let validators = Validators::new(f);
        let splits = validators.splits(f);
        let both = |made: &[_; 2]| made.iter().all(|made| validators.accepts(made));
        let one = |made: &[_; 2]| made.iter().any(|made| validators.accepts(made));
        assert!(!splits.iter().any(both), "{f} of {}", 3 * f + 1);
        assert!(splits.iter().any(one), "they cannot prevent it either");
    }
}

#[test]
fn f_plus_1_malicious_validators_certify_two_histories_and_are_convicted_by_them() {
    for f in [1, 2] {
        let validators = Validators::new(f);
        let splits = validators.splits(f + 1);
        let mut broken = 0;
        for made in &splits {
            let [Some(a), Some(b)] = made else { continue };
            assert!(validators.accepts(&made[0]) && validators.accepts(&made[1]));
            broken += 1;
            assert_eq!((a.record.round, a.seal.epoch), (b.record.round, b.seal.epoch));
            assert_ne!(a.seal.hash, b.seal.hash, "two roots of one round");
            // Nobody honest signs two: whoever is in both is convicted, and these are all of them.
            let both: BTreeSet<_> = signers(a).intersection(&signers(b)).cloned().collect();
            let malicious: BTreeSet<_> =
                validators.sealers[..=f].iter().map(|sealer| sealer.node().clone()).collect();
            assert!(both.is_subset(&malicious), "nobody honest is accused");
            assert!(both.len() > validators.f, "any two quorums share f + 1");
        }
        assert!(broken > 0, "{} of {}", f + 1, 3 * f + 1);
    }
}
