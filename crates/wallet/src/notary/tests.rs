//! What a wallet keeps of its notaries, and reads of their trust base.

use tally_core::cbor::Blob;
use tally_core::device::MAX_STRANGE_FORKS;
use tally_core::id::{Digest, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::notary::{
    InputRecord, NodeId, Partition, RootNode, ShardId, ShardTreeCertificate, TrustBase,
    UnicityCertificate, UnicitySeal, UnicityTreeCertificate,
};
use tally_core::time::Time;

use super::{Notaries, SplitView, read_trust_base, write_trust_base};

const AT: Time = Time::from_unix(1_755_000_000);

fn secret(n: u8) -> SecretKey {
    SecretKey::new([n; 32]).unwrap()
}

fn name(n: u8) -> NodeId {
    NodeId::new(&format!("validator-{n}")).unwrap()
}

fn trust() -> TrustBase {
    let node = |n: u8| RootNode { id: name(n), key: secret(n).public(), stake: 1 };
    TrustBase::new(NetworkId::LOCAL, 1, partition(), (1..=4).map(node).collect(), 3).unwrap()
}

fn partition() -> Partition {
    Partition { id: 7, shard: ShardId::whole(), configuration: Digest::new([9; 32]) }
}

/// A certificate of a root; `alter` before the seal's hash is made, then who signs.
fn certificate_with(
    round: u64,
    root: Digest,
    alter: impl FnOnce(&mut UnicityCertificate),
    signers: &[(u8, u8)],
) -> UnicityCertificate {
    let record = InputRecord {
        round,
        epoch: 1,
        previous: Some(Digest::new([0; 32])),
        hash: root,
        summary: Blob::default(),
        timestamp: AT,
        block: Some(Digest::new([5; 32])),
        fees: 0,
        executed: None,
    };
    let pinned = partition();
    let mut certificate = UnicityCertificate {
        record,
        technical: Some(Digest::new([0; 32])),
        configuration: pinned.configuration,
        shard: ShardTreeCertificate::new(pinned.shard, Vec::new()).unwrap(),
        partition: UnicityTreeCertificate { id: pinned.id, steps: Default::default() },
        seal: UnicitySeal {
            network: NetworkId::LOCAL,
            round,
            epoch: 1,
            timestamp: AT,
            previous: Some(Digest::new([0; 32])),
            hash: Digest::new([0; 32]),
            signatures: None,
        },
    };
    alter(&mut certificate);
    if certificate.seal.hash == Digest::new([0; 32]) {
        certificate.seal.hash = certificate.root();
    }
    for (who, key) in signers {
        certificate.seal.sign(name(*who), &secret(*key));
    }
    certificate
}

fn certificate(round: u64, root: Digest) -> UnicityCertificate {
    certificate_with(round, root, |_| {}, &[(1, 1), (2, 2), (3, 3)])
}

#[test]
fn a_trust_base_file_is_read_as_it_was_written() {
    let file = write_trust_base(&trust());
    assert_eq!(read_trust_base(file.as_bytes()).unwrap(), trust());
}

#[test]
fn a_trust_base_file_that_leaves_something_open_is_refused() {
    let good = write_trust_base(&trust());
    let refused = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let bad = good.replace(from, to);
        read_trust_base(bad.as_bytes()).unwrap_err().code().to_owned()
    };
    assert_eq!(refused("\"partition\"", "\"partitionId\""), "TRUST_FILE");
    assert_eq!(refused("\"shardId\"", "\"shard\""), "TRUST_FILE");
    assert_eq!(refused("\"configuration\"", "\"configurationHash\""), "TRUST_FILE");
    assert_eq!(refused("\"version\": \"1\"", "\"version\": \"2\""), "TRUST_FILE");
    assert_eq!(refused("\"networkId\": 3", "\"networkId\": 0"), "TRUST_FILE");
    assert_eq!(refused("\"quorumThreshold\": \"3\"", "\"quorumThreshold\": \"2\""), "TRUST_QUORUM");
    assert_eq!(refused("validator-2", "validator-1"), "TRUST_DUPLICATE_ID");
    assert_eq!(refused("\"stake\": \"1\"", "\"stake\": \"0\""), "TRUST_STAKE");
    assert_eq!(
        read_trust_base(&vec![b' '; super::MAX_TRUST_FILE + 1]).unwrap_err().code(),
        "TRUST_FILE"
    );
}

#[test]
fn what_is_kept_of_a_notary_is_read_as_it_was_written() {
    let mut notaries = Notaries::new(write_trust_base(&trust()).as_bytes()).unwrap();
    let url = tally_transport::http::Url::new("http://127.0.0.1:1/").unwrap();
    notaries.add(url.clone()).unwrap();
    notaries.add(url).unwrap();
    notaries.kept = Some(certificate(3, Digest::new([1; 32])));
    let (a, b) = (certificate(3, Digest::new([1; 32])), certificate(3, Digest::new([2; 32])));
    assert!(notaries.keep(vec![SplitView { a, b }]));
    notaries.endpoints[0].note_told(secret(1).public());
    assert_eq!(notaries.endpoints().len(), 1, "the same address once");
    assert_eq!(Notaries::from_record(&notaries.to_record()).unwrap(), notaries);
}

#[test]
fn it_is_remembered_of_all_proofs_that_are_kept_that_a_validator_was_told() {
    let mut notaries = Notaries::new(write_trust_base(&trust()).as_bytes()).unwrap();
    notaries.add(tally_transport::http::Url::new("http://127.0.0.1:1/").unwrap()).unwrap();
    let key = |n: usize| {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        SecretKey::new(bytes).unwrap().public()
    };
    let told = &mut notaries.endpoints[0];
    let keys: Vec<_> = (1..=MAX_STRANGE_FORKS + 1).map(key).collect();
    keys.iter().for_each(|key| told.note_told(key.clone()));
    told.note_told(keys[0].clone());
    assert_eq!(told.told[..], keys, "each once");
    told.keep_told(|key| *key == keys[1]);
    assert_eq!(told.told[..], keys[1..2], "and of nothing else");
}
