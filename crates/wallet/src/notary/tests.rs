//! What a wallet believes of a notary: every check, each broken once.

use std::collections::BTreeMap;

use tally_core::cbor::Blob;
use tally_core::evidence::Claim;
use tally_core::id::{CoinId, Digest, NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::notary::{
    CertifiedRoot, InclusionProof, InputRecord, LeafProof, LeafValue, NodeId, Partition,
    ProofResponse, RootNode, ShardId, ShardTreeCertificate, StateId, TransactionHash, TrustBase,
    UnicityCertificate, UnicitySeal, UnicityTreeCertificate,
};
use tally_core::predicate::{Predicate, Unlock, spend_digest};
use tally_core::seal::NoSeals;
use tally_core::time::Time;
use tally_tree::{Key, Tree, Value};

use super::{
    Exclusion, Growth, Notaries, SplitView, Step, Verdict, Verifier, read_trust_base,
    write_trust_base,
};

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

fn claim(coin: u8, tx: u8) -> Claim {
    let (source, tx) = (CoinId::new([coin; 32]), TxId::new([tx; 32]));
    let owner = secret(0x22);
    Claim {
        enrollment: None,
        owner: Predicate::Signature(owner.public()),
        source,
        tx,
        expires_at: None,
        unlock: Unlock::Signature(owner.sign(&spend_digest(&source, &tx))),
        certified: false,
    }
}

fn tree_of(claims: &[Claim]) -> Tree {
    let mut tree = Tree::default();
    for claim in claims {
        let value = LeafValue::of(&TransactionHash::from(claim.tx), AT);
        tree.insert(Key::from(claim.state_id()), Value::from(value)).unwrap();
    }
    tree
}

fn root_of(tree: &Tree) -> Digest {
    Digest::new(*tree.root().as_bytes())
}

fn proof(claim: &Claim, certificate: UnicityCertificate, tree: &Tree) -> InclusionProof {
    let path = tree.prove(&Key::from(claim.state_id())).unwrap();
    let leaf = LeafProof { data: claim.request().data, reference_time: AT, path };
    InclusionProof { leaf: Some(leaf), certificate }
}

fn code_of(certificate: &UnicityCertificate) -> String {
    let trust = trust();
    let verifier = Verifier { trust: &trust, seals: &NoSeals };
    verifier.root(certificate).unwrap_err().code().to_owned()
}

fn altered(alter: impl FnOnce(&mut UnicityCertificate)) -> String {
    code_of(&certificate_with(3, Digest::new([1; 32]), alter, &[(1, 1), (2, 2), (3, 3)]))
}

#[test]
fn a_certificate_of_another_network_is_refused() {
    let other = NetworkId::new(4).unwrap();
    assert_eq!(altered(|c| c.seal.network = other), "NOTARY_NETWORK");
}

#[test]
fn a_certificate_of_another_epoch_is_refused() {
    assert_eq!(altered(|c| c.seal.epoch = 2), "NOTARY_EPOCH");
}

#[test]
fn a_certificate_of_another_partition_is_refused() {
    assert_eq!(altered(|c| c.partition.id = 8), "NOTARY_PARTITION");
}

#[test]
fn a_certificate_of_another_shard_is_refused() {
    let shard = ShardId::from_wire(&[0b0100_0000]).unwrap();
    assert!(!shard.is_empty());
    let of = ShardTreeCertificate::new(shard, vec![Digest::new([0; 32])]).unwrap();
    assert_eq!(altered(|c| c.shard = of), "NOTARY_SHARD");
}

#[test]
fn a_certificate_of_another_configuration_is_refused() {
    assert_eq!(altered(|c| c.configuration = Digest::new([8; 32])), "NOTARY_CONFIGURATION");
}

#[test]
fn a_certificate_whose_seal_is_on_another_root_is_refused() {
    assert_eq!(altered(|c| c.seal.hash = Digest::new([3; 32])), "NOTARY_SEAL_HASH");
}

#[test]
fn two_of_four_validators_are_no_quorum() {
    let two = certificate_with(3, Digest::new([1; 32]), |_| {}, &[(1, 1), (2, 2)]);
    assert_eq!(code_of(&two), "NOTARY_QUORUM");
    let none = certificate_with(3, Digest::new([1; 32]), |_| {}, &[]);
    assert_eq!(code_of(&none), "NOTARY_QUORUM");
}

#[test]
fn one_validator_under_several_names_is_counted_once() {
    // Names that the trust base does not have count nothing, and a name is there once.
    let one = certificate_with(3, Digest::new([1; 32]), |_| {}, &[(1, 1), (2, 2), (5, 1), (6, 2)]);
    assert_eq!(code_of(&one), "NOTARY_QUORUM");
    let again = certificate_with(3, Digest::new([1; 32]), |_| {}, &[(1, 1), (1, 1), (1, 1)]);
    assert_eq!(code_of(&again), "NOTARY_QUORUM");
}

#[test]
fn a_validator_signing_in_the_place_of_another_is_refused() {
    let forged = certificate_with(3, Digest::new([1; 32]), |_| {}, &[(1, 1), (2, 2), (3, 1)]);
    assert_eq!(code_of(&forged), "NOTARY_SIGNATURE");
}

#[test]
fn a_quorum_of_distinct_validators_is_believed() {
    let trust = trust();
    let verifier = Verifier { trust: &trust, seals: &NoSeals };
    let root = verifier.root(&certificate(3, Digest::new([1; 32]))).unwrap();
    assert_eq!((root.round(), root.root()), (3, Digest::new([1; 32])));
}

#[test]
fn a_proof_of_the_claim_is_believed_and_of_anything_else_is_not() {
    let trust = trust();
    let verifier = Verifier { trust: &trust, seals: &NoSeals };
    let (mine, other) = (claim(1, 1), claim(2, 2));
    let tree = tree_of(&[mine.clone(), other.clone()]);
    let good = proof(&mine, certificate(3, root_of(&tree)), &tree);
    assert!(matches!(verifier.verdict(&mine, &good), Ok(Verdict::Certified(_))));
    let wrong =
        |proof: &InclusionProof| verifier.verdict(&mine, proof).unwrap_err().code().to_owned();
    assert_eq!(
        wrong(&proof(&other, certificate(3, root_of(&tree)), &tree)),
        "CERTIFICATION_DATA_MISMATCH"
    );
    assert_eq!(wrong(&proof(&mine, certificate(3, Digest::new([1; 32])), &tree)), "PATH_INVALID");
    let mut late = good.clone();
    late.leaf.as_mut().unwrap().reference_time = AT.plus(1);
    assert_eq!(wrong(&late), "REFERENCE_TIME_AFTER_ROUND");
    let mut unsigned = good.clone();
    unsigned.certificate = certificate_with(3, root_of(&tree), |_| {}, &[(1, 1)]);
    assert_eq!(wrong(&unsigned), "NOTARY_QUORUM");
    let mut forged = good.clone();
    forged.leaf.as_mut().unwrap().data.unlock = Blob::new(vec![0; 65]).unwrap();
    assert_eq!(wrong(&forged), "NOT_AUTHENTICATED");
    let pending = InclusionProof { leaf: None, certificate: certificate(3, root_of(&tree)) };
    assert_eq!(verifier.verdict(&mine, &pending).unwrap(), Verdict::Pending);
}

#[test]
fn another_spend_of_the_state_is_believed_only_if_its_owner_signed_it() {
    let trust = trust();
    let verifier = Verifier { trust: &trust, seals: &NoSeals };
    let (mine, winner) = (claim(1, 1), claim(1, 2));
    let tree = tree_of(std::slice::from_ref(&winner));
    let shown = proof(&winner, certificate(3, root_of(&tree)), &tree);
    assert_eq!(verifier.verdict(&mine, &shown).unwrap(), Verdict::Other(winner.tx));
    let mut invented = shown.clone();
    let of_loser = mine.request().data.unlock;
    invented.leaf.as_mut().unwrap().data.unlock = of_loser;
    assert_eq!(verifier.verdict(&mine, &invented).unwrap_err().code(), "NOT_AUTHENTICATED");
}

#[test]
fn a_state_is_unspent_only_under_the_certified_root() {
    let trust = trust();
    let verifier = Verifier { trust: &trust, seals: &NoSeals };
    let (spent, unspent) = (claim(1, 1), claim(2, 2));
    let tree = tree_of(&[spent.clone(), claim(3, 3)]);
    let path = tree.prove_absence(&Key::from(unspent.state_id())).unwrap();
    let shown = |root| Exclusion::Unspent {
        path: path.clone(),
        certificate: Box::new(certificate(3, root)),
    };
    let root = verifier.unspent(unspent.state_id(), &shown(root_of(&tree))).unwrap();
    assert_eq!(root.map(|root| root.round()), Some(3));
    let wrong = |state: StateId, shown: &Exclusion| {
        verifier.unspent(state, shown).unwrap_err().code().to_owned()
    };
    assert_eq!(wrong(unspent.state_id(), &shown(Digest::new([1; 32]))), "PATH_INVALID");
    assert_eq!(wrong(spent.state_id(), &shown(root_of(&tree))), "PATH_INVALID");
    let proof = proof(&spent, certificate(3, root_of(&tree)), &tree);
    let said = Exclusion::Spent(Box::new(ProofResponse { block_number: 3, proof }));
    assert_eq!(verifier.unspent(spent.state_id(), &said).unwrap(), None);
    assert_eq!(wrong(unspent.state_id(), &said), "CERTIFICATION_DATA_MISMATCH");
}

/// A tree before and after a step, and a notary's answer about it.
fn grown() -> (CertifiedRoot, Growth) {
    let mut tree = tree_of(&[claim(1, 1)]);
    let before = certificate(3, root_of(&tree));
    let more = claim(2, 2);
    let value = LeafValue::of(&TransactionHash::from(more.tx), AT);
    let leaves = vec![(Key::from(more.state_id()), Value::from(value))];
    let proof = tree.insert_batch_with_proof(&leaves).unwrap();
    let after = certificate(5, root_of(&tree));
    let root = before.verify(&trust()).unwrap();
    let steps = vec![Step { root: root_of(&tree), leaves, proof }];
    (root, Growth { before: Some(before), after, steps })
}

#[test]
fn growth_is_followed_from_what_was_verified_and_no_leaf_may_be_missing() {
    let trust = trust();
    let verifier = Verifier { trust: &trust, seals: &NoSeals };
    let (from, good) = grown();
    assert_eq!(verifier.grown(&from, &good).unwrap().round(), 5);
    let wrong = |growth: &Growth| verifier.grown(&from, growth).unwrap_err().code().to_owned();
    let broken: [&dyn Fn(&mut Growth); 6] = [
        &|g| g.steps.clear(),
        &|g| g.steps[0].leaves.clear(),
        &|g| g.steps[0].leaves[0].1 = Value::from([0; 32]),
        &|g| g.before = None,
        &|g| g.before = Some(certificate(3, Digest::new([1; 32]))),
        &|g| g.after = certificate(5, Digest::new([1; 32])),
    ];
    for (number, alter) in broken.iter().enumerate() {
        let mut growth = good.clone();
        alter(&mut growth);
        assert_eq!(wrong(&growth), "NOTARY_SHRUNK", "{number}");
    }
    let mut unsigned = good.clone();
    unsigned.after.seal.signatures = Some(BTreeMap::new());
    assert_eq!(wrong(&unsigned), "NOTARY_QUORUM");
}

#[test]
fn only_two_signed_roots_of_one_round_are_a_split_view() {
    let trust = trust();
    let (a, b) = (certificate(3, Digest::new([1; 32])), certificate(3, Digest::new([2; 32])));
    assert!(SplitView { a: a.clone(), b: b.clone() }.holds(&trust));
    assert!(!SplitView { a: a.clone(), b: a.clone() }.holds(&trust));
    let later = certificate(4, Digest::new([2; 32]));
    assert!(!SplitView { a: a.clone(), b: later }.holds(&trust));
    let unsigned = certificate_with(3, Digest::new([2; 32]), |_| {}, &[(1, 1), (2, 2)]);
    assert!(!SplitView { a, b: unsigned }.holds(&trust));
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
