//! The rules of inclusion proofs, each with a proof that breaks it.

use super::super::*;
use super::cases::CASES;
use super::scene::{ROUND_AT, SPENT_AT, Scene};
use crate::cbor::Blob;
use crate::time::Time;

/// What a verifier reports: a bad certificate by its own code.
pub(super) fn code(error: ProofError) -> &'static str {
    match error {
        ProofError::InvalidTrustBase(inner) => {
            assert_eq!(error.code(), "INVALID_TRUSTBASE");
            inner.code()
        }
        other => other.code(),
    }
}

fn verdict(scene: &Scene, proof: &InclusionProof) -> Result<Certified, &'static str> {
    proof.verify(&scene.data.spend(), &scene.trust, &NoEngine).map_err(code)
}

macro_rules! refused {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let case = CASES.iter().find(|case| case.name == stringify!($name)).unwrap();
            let mut scene = Scene::new();
            let proof = (case.proof)(&mut scene);
            assert_eq!(verdict(&scene, &proof), Err(case.code));
        })+

        #[test]
        fn every_case_is_a_test() {
            let tests = [$(stringify!($name)),+];
            assert!(CASES.iter().map(|case| case.name).eq(tests));
        }
    };
}

refused! {
    not_certified_yet,
    transaction_hash_mismatch,
    certification_data_mismatch_of_the_predicate,
    certification_data_mismatch_of_the_source,
    certification_data_mismatch_of_the_deadline,
    request_expired,
    reference_time_after_round,
    path_invalid,
    path_invalid_for_another_reference_time,
    path_invalid_under_another_root,
    shard_id_mismatch,
    network_of_the_seal,
    epoch_of_the_seal,
    partition_is_pinned,
    shard_is_pinned,
    configuration_is_pinned,
    record_of_round_zero,
    record_without_block,
    record_of_no_change_with_a_block,
    seal_of_round_zero,
    seal_before_its_round,
    seal_hash_mismatch,
    signature_of_a_known_validator_is_wrong,
    quorum_not_reached,
    quorum_not_reached_by_strangers,
    quorum_not_reached_without_signatures,
    not_authenticated,
    not_authenticated_by_a_short_signature,
}

#[test]
fn an_honest_proof_is_accepted() {
    let scene = Scene::new();
    let certified = verdict(&scene, &scene.proof()).unwrap();
    assert_eq!(certified.state_id(), scene.data.spend().state_id());
    assert_eq!(certified.reference_time(), SPENT_AT);
    assert_eq!((certified.round(), certified.certified_at()), (12, ROUND_AT));
}

#[test]
fn the_last_second_before_the_deadline_is_in_time() {
    let mut scene = Scene::new();
    scene.data = Scene::spend_in(&scene.owner, true, Some(SPENT_AT.plus(1)));
    scene.tree = tally_tree::Tree::new();
    let data = scene.data.clone();
    scene.add(&data, SPENT_AT);
    assert!(verdict(&scene, &scene.proof()).is_ok());
}

#[test]
fn a_leaf_may_be_as_young_as_the_round_that_certifies_it() {
    let mut scene = Scene::new();
    let data = scene.data.clone();
    scene.tree = tally_tree::Tree::new();
    scene.add(&data, ROUND_AT);
    let leaf = scene.leaf(&data, ROUND_AT);
    let proof = InclusionProof { leaf: Some(leaf), certificate: scene.certificate(|_| ()) };
    assert_eq!(verdict(&scene, &proof).unwrap().reference_time(), ROUND_AT);
}

#[test]
fn the_first_failure_wins() {
    let mut scene = Scene::new();
    let honest = scene.proof();
    let expected = scene.data.clone();
    scene.data = Scene::spend_in(&scene.owner, false, None);
    let elsewhere = scene.data.clone();
    scene.add(&elsewhere, ROUND_AT.plus(1));

    // Breaks everything at once; then is mended one rule after another.
    let mut proof = InclusionProof {
        leaf: Some(scene.leaf(&elsewhere, ROUND_AT.plus(1))),
        certificate: scene.certificate(|c| c.seal.network = crate::id::NetworkId::new(9).unwrap()),
    };
    let mut wanted = expected.clone();
    let check = |proof: &InclusionProof, wanted: &CertificationData| {
        proof.verify(&wanted.spend(), &scene.trust, &NoEngine).map_err(code).unwrap_err()
    };
    proof.leaf.as_mut().unwrap().data.unlock = Blob::default();
    proof.leaf.as_mut().unwrap().data.transaction = TransactionHash::new([1; 32]);
    assert_eq!(check(&proof, &wanted), "TRANSACTION_HASH_MISMATCH");
    proof.leaf.as_mut().unwrap().data.transaction = expected.transaction;
    assert_eq!(check(&proof, &wanted), "CERTIFICATION_DATA_MISMATCH");
    wanted = CertificationData { expires_at: Some(SPENT_AT), ..elsewhere.clone() };
    proof.leaf.as_mut().unwrap().data.expires_at = Some(SPENT_AT);
    assert_eq!(check(&proof, &wanted), "REQUEST_EXPIRED");
    wanted.expires_at = None;
    proof.leaf.as_mut().unwrap().data.expires_at = None;
    assert_eq!(check(&proof, &wanted), "REFERENCE_TIME_AFTER_ROUND");
    proof.leaf.as_mut().unwrap().reference_time = SPENT_AT;
    assert_eq!(check(&proof, &wanted), "PATH_INVALID");
    scene.tree = tally_tree::Tree::new();
    scene.add(&elsewhere, SPENT_AT);
    let path = scene.leaf(&elsewhere, SPENT_AT).path;
    proof.leaf.as_mut().unwrap().path = path;
    proof.certificate =
        scene.certificate(|c| c.seal.network = crate::id::NetworkId::new(9).unwrap());
    let check = |proof: &InclusionProof, wanted: &CertificationData| {
        proof.verify(&wanted.spend(), &scene.trust, &NoEngine).map_err(code).unwrap_err()
    };
    assert_eq!(check(&proof, &wanted), "SHARD_ID_MISMATCH");
    proof.leaf = honest.leaf.clone();
    proof.leaf.as_mut().unwrap().data.unlock = Blob::default();
    proof.certificate =
        UnicityCertificate { configuration: super::scene::digest(0), ..honest.certificate.clone() };
    assert_eq!(check(&proof, &expected), "NOTARY_CONFIGURATION");
    proof.certificate = honest.certificate;
    assert_eq!(check(&proof, &expected), "NOT_AUTHENTICATED");
}

#[test]
fn many_leaves_share_one_verified_certificate() {
    let mut scene = Scene::new();
    let others: alloc::vec::Vec<_> = (1..=20u8)
        .map(|i| {
            CertificationData::signed(
                &scene.owner,
                StateHash::new([i; 32]),
                TransactionHash::new([i; 32]),
                None,
            )
        })
        .filter(|data| data.spend().state_id().as_bytes()[0] >= 0x80)
        .filter(|data| data.source != scene.data.source)
        .collect();
    assert!(others.len() > 3);
    others.iter().for_each(|data| scene.add(data, SPENT_AT));
    let root = scene.certificate(|_| ()).verify(&scene.trust).unwrap();
    assert_eq!((root.round(), root.network()), (12, scene.trust.network()));
    for data in &others {
        let leaf = scene.leaf(data, SPENT_AT);
        let certified = leaf.verify(&data.spend(), &root, &NoEngine).unwrap();
        assert_eq!(root.includes(&data.spend(), SPENT_AT, &leaf.path), Ok(certified));
        let other = scene.data.spend();
        assert_eq!(leaf.verify(&other, &root, &NoEngine), Err(ProofError::TransactionHashMismatch));
        assert_eq!(root.includes(&other, SPENT_AT, &leaf.path), Err(ProofError::PathInvalid));
        let unlock = Blob::default();
        let locked = LeafProof { data: CertificationData { unlock, ..data.clone() }, ..leaf };
        assert_eq!(
            locked.verify(&data.spend(), &root, &NoEngine),
            Err(ProofError::NotAuthenticated)
        );
    }
}

#[test]
fn the_proof_that_a_state_is_unspent_counts_in_its_own_shard_only() {
    let scene = Scene::new();
    let root = scene.certificate(|_| ()).verify(&scene.trust).unwrap();
    let [spent, unspent, elsewhere] =
        [scene.data.spend().state_id(), StateId::new([0xab; 32]), StateId::new([0x1b; 32])];
    let absence = |state: StateId| scene.tree.prove_absence(&state.into());
    assert!(absence(spent).is_none());
    let path = absence(unspent).unwrap();
    assert_eq!(root.excludes(&unspent, &path), Ok(()));
    assert_eq!(root.excludes(&spent, &path), Err(ProofError::PathInvalid));
    let path = absence(elsewhere).unwrap();
    assert_eq!(root.excludes(&elsewhere, &path), Err(ProofError::ShardIdMismatch));
}

/// Unlocks by a password, from a time on.
struct Password(&'static [u8], Time);

impl Engine for Password {
    fn unlocks(&self, _: &Spend<'_>, unlock: &[u8], at: Time) -> bool {
        unlock == self.0 && at >= self.1
    }
}

#[test]
fn another_engine_decides_its_own_predicates_at_the_reference_time_and_no_built_in_ones() {
    let mut scene = Scene::new();
    let predicate = WirePredicate::new(ENGINE_TALLY, &[1], b"anything").unwrap();
    scene.data = (0..=u8::MAX)
        .map(|i| CertificationData {
            predicate: predicate.clone(),
            source: StateHash::new([i; 32]),
            unlock: Blob::new(b"sesame".to_vec()).unwrap(),
            ..scene.data.clone()
        })
        .find(|data| data.spend().state_id().as_bytes()[0] >= 0x80)
        .unwrap();
    let data = scene.data.clone();
    scene.add(&data, SPENT_AT);
    let (proof, spend) = (scene.proof(), data.spend());
    let verify = |engine: &dyn Engine| proof.verify(&spend, &scene.trust, engine).is_ok();
    assert!(verify(&Password(b"sesame", SPENT_AT)));
    assert!(!verify(&Password(b"sesame", SPENT_AT.plus(1))));
    assert!(!verify(&Password(b"other", SPENT_AT)));
    assert!(!verify(&NoEngine));

    let burnt = CertificationData { predicate: WirePredicate::burn(b"gone").unwrap(), ..data };
    let everything = Password(b"sesame", Time::from_unix(0));
    let request = CertificationRequest::new(burnt);
    assert_eq!(
        request.verify(&ShardId::whole(), &everything, SPENT_AT),
        Err(RequestError::NotAuthenticated)
    );
}
