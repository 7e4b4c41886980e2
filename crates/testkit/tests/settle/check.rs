//! What is believed of an answer: every check, each broken once.

use std::collections::BTreeMap;

use tally_agent::settle::{
    Exclusion, Growth, MAX_AWAY, SplitView, Step, Trouble, Verdict, Verifier, is_present,
};
use tally_core::cbor::Blob;
use tally_core::evidence::Claim;
use tally_core::id::{Digest, NetworkId};
use tally_core::notary::{
    CertifiedRoot, InclusionProof, LeafProof, LeafValue, ShardId, ShardTreeCertificate, StateId,
    TransactionHash, UnicityCertificate,
};
use tally_core::seal::NoSeals;
use tally_core::time::Time;
use tally_testkit::{certificate_with, root_of};
use tally_tree::{Key, Tree, Value};

use crate::endpoints::{AT, certificate, claim, trust};

fn tree_of(claims: &[Claim]) -> Tree {
    let mut tree = Tree::default();
    for claim in claims {
        let value = LeafValue::of(&TransactionHash::from(claim.tx), AT);
        tree.insert(Key::from(claim.state_id()), Value::from(value)).expect("a new leaf");
    }
    tree
}

fn proof(claim: &Claim, certificate: UnicityCertificate, tree: &Tree) -> InclusionProof {
    let path = tree.prove(&Key::from(claim.state_id())).expect("a leaf");
    let leaf = LeafProof { data: claim.request().data, reference_time: AT, path };
    InclusionProof { leaf: Some(leaf), certificate }
}

fn code_of(certificate: &UnicityCertificate) -> String {
    let trust = trust();
    let verifier = Verifier { trust: &trust, seals: &NoSeals };
    verifier.root(certificate).expect_err("it is not good").code().to_owned()
}

fn altered(alter: impl FnOnce(&mut UnicityCertificate)) -> String {
    code_of(&certificate_with(3, Digest::new([1; 32]), AT, alter, &[(0, 0), (1, 1), (2, 2)]))
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
    let two = certificate_with(3, Digest::new([1; 32]), AT, |_| {}, &[(0, 0), (1, 1)]);
    assert_eq!(code_of(&two), "NOTARY_QUORUM");
    let none = certificate_with(3, Digest::new([1; 32]), AT, |_| {}, &[]);
    assert_eq!(code_of(&none), "NOTARY_QUORUM");
}

#[test]
fn one_validator_under_several_names_is_counted_once() {
    // Names that the trust base does not have count nothing, and a name is there once.
    let one =
        certificate_with(3, Digest::new([1; 32]), AT, |_| {}, &[(0, 0), (1, 1), (4, 0), (5, 1)]);
    assert_eq!(code_of(&one), "NOTARY_QUORUM");
    let again = certificate_with(3, Digest::new([1; 32]), AT, |_| {}, &[(0, 0), (0, 0), (0, 0)]);
    assert_eq!(code_of(&again), "NOTARY_QUORUM");
}

#[test]
fn a_validator_signing_in_the_place_of_another_is_refused() {
    let forged = certificate_with(3, Digest::new([1; 32]), AT, |_| {}, &[(0, 0), (1, 1), (2, 0)]);
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
    unsigned.certificate = certificate_with(3, root_of(&tree), AT, |_| {}, &[(0, 0)]);
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
    let (root, is_spent) = verifier.spent(unspent.state_id(), &shown(root_of(&tree))).unwrap();
    assert_eq!((root.round(), is_spent), (3, false));
    let wrong = |state: StateId, shown: &Exclusion| {
        verifier.spent(state, shown).unwrap_err().code().to_owned()
    };
    assert_eq!(wrong(unspent.state_id(), &shown(Digest::new([1; 32]))), "PATH_INVALID");
    assert_eq!(wrong(spent.state_id(), &shown(root_of(&tree))), "PATH_INVALID");
    let proof = proof(&spent, certificate(3, root_of(&tree)), &tree);
    let said = Exclusion::Spent(Box::new(proof));
    assert!(verifier.spent(spent.state_id(), &said).unwrap().1);
    assert_eq!(wrong(unspent.state_id(), &said), "CERTIFICATION_DATA_MISMATCH");
}

#[test]
fn a_root_is_the_present_one_if_nothing_newer_is_known_and_its_time_is_near() {
    let root = certificate(3, Digest::new([1; 32])).verify(&trust()).unwrap();
    assert_eq!(is_present(&root, 3, AT), Ok(()));
    assert_eq!(is_present(&root, 4, AT), Err(Trouble::Stale { round: 3, newest: 4 }));
    for at in [AT.plus(MAX_AWAY), Time::from_unix(AT.unix() - MAX_AWAY)] {
        assert_eq!(is_present(&root, 3, at), Ok(()), "the last second counts, either way");
    }
    for at in [AT.plus(MAX_AWAY + 1), Time::from_unix(AT.unix() - MAX_AWAY - 1)] {
        assert_eq!(is_present(&root, 3, at), Err(Trouble::Clock(MAX_AWAY + 1)));
    }
}

/// A tree before and after a step, and a notary's answer about it.
fn grown() -> (CertifiedRoot, Growth) {
    let mut tree = tree_of(&[claim(1, 1)]);
    let before = certificate(3, root_of(&tree));
    let more = claim(2, 2);
    let value = LeafValue::of(&TransactionHash::from(more.tx), AT);
    let leaves = vec![(Key::from(more.state_id()), Value::from(value))];
    let proof = tree.insert_batch_with_proof(&leaves).expect("new leaves");
    let after = certificate(5, root_of(&tree));
    let root = before.verify(&trust()).expect("a quorum");
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
    let unsigned = certificate_with(3, Digest::new([2; 32]), AT, |_| {}, &[(0, 0), (1, 1)]);
    assert!(!SplitView { a, b: unsigned }.holds(&trust));
}
