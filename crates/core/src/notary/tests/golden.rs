//! The worked example of the outside format, every value of it.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value as Json;
use tally_tree::Tree;

use super::super::token::{MintTransaction, SplitManifest, Token, TransferTransaction};
use super::super::*;
use super::{hex, hex32};
use crate::cbor::{Decode, Encode, from_bytes, to_bytes};
use crate::id::{Digest, NetworkId};
use crate::keys::{PublicKey, SecretKey};
use crate::time::Time;

pub(super) struct Golden(Json);

impl Golden {
    pub(super) fn flow() -> Self {
        let text = include_str!("../../../../../spec/vectors/unicity-flow.json");
        Self(serde_json::from_str(text).unwrap())
    }

    fn text(&self, name: &str) -> String {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name}")).into()
    }

    pub(super) fn bytes(&self, name: &str) -> Vec<u8> {
        hex(&self.text(name))
    }

    fn hash(&self, name: &str) -> [u8; 32] {
        hex32(&self.text(name))
    }

    fn object<T: Decode + Encode>(&self, name: &str) -> T {
        let bytes = self.bytes(name);
        let object = from_bytes(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(to_bytes(&object) == bytes, "{name} is not encoded as it was");
        object
    }
}

pub(super) fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).unwrap()
}

/// The example's network: one validator, whose key is 32 times 11.
pub(super) fn trust() -> TrustBase {
    let node = RootNode { id: NodeId::new("NODE").unwrap(), key: key(0x11).public(), stake: 1 };
    let partition =
        Partition { id: 1, shard: ShardId::whole(), configuration: Digest::new([0; 32]) };
    TrustBase::new(NetworkId::LOCAL, 1, partition, [node].into(), 1).unwrap()
}

/// Checks all values of one step of the example, `mint` or `xfer`.
fn check_step(golden: &Golden, step: &str, owner: &SecretKey, source: StateHash, tree: &mut Tree) {
    let name = |field: &str| alloc::format!("{step}.{field}");
    let predicate: WirePredicate = golden.object(&name("lockScript"));
    assert_eq!(predicate, WirePredicate::signature(&owner.public()));
    assert_eq!(predicate.as_signature(), Some(owner.public()));
    assert_eq!(source.as_bytes(), &golden.hash(&name("sourceStateHash")));
    let transaction = TransactionHash::new(golden.hash(&name("txHash")));
    let spend = Spend { predicate: &predicate, source, transaction, expires_at: None };
    assert_eq!(spend.state_id().as_bytes(), &golden.hash(&name("stateId")));

    let request =
        CertificationRequest::new(CertificationData::signed(owner, source, transaction, None));
    assert_eq!(request.data.unlock.as_slice(), golden.bytes(&name("unlockScript")));
    assert_eq!(to_bytes(&request), golden.bytes(&name("certificationRequest")));
    assert_eq!(golden.object::<CertificationRequest>(&name("certificationRequest")), request);

    let time = Time::from_unix(golden.text(&name("tau")).parse().unwrap());
    let value = LeafValue::of(&transaction, time);
    assert_eq!(value.as_bytes(), &golden.hash(&name("leafValue")));
    tree.insert(spend.state_id().into(), value.into()).unwrap();
    assert_eq!(tree.root().as_bytes(), &golden.hash(&name("smtRoot")));
    let path = tree.prove(&spend.state_id().into()).unwrap();
    assert_eq!(path.encode(), golden.bytes(&name("inclusionCertificate")));

    let certificate: UnicityCertificate = golden.object(&name("uc"));
    check_certificate(golden, &name, &certificate);
    let leaf = LeafProof { data: request.data.clone(), reference_time: time, path };
    let proof = InclusionProof { leaf: Some(leaf), certificate: certificate.clone() };
    let block_number = certificate.record.round;
    let response: ProofResponse = golden.object(&name("response"));
    assert_eq!(response, ProofResponse { block_number, proof: proof.clone() });
    let certified = proof.verify(&spend, &trust(), &NoEngine).unwrap();
    assert_eq!((certified.round(), certified.reference_time()), (block_number, time));

    let pending: ProofResponse = golden.object(&name("pendingResponse"));
    let unanswered = InclusionProof { leaf: None, certificate };
    assert_eq!(pending, ProofResponse { block_number, proof: unanswered });
    assert_eq!(pending.proof.verify(&spend, &trust(), &NoEngine), Err(ProofError::Pending));
}

fn check_certificate(
    golden: &Golden,
    name: &dyn Fn(&str) -> String,
    certificate: &UnicityCertificate,
) {
    assert_eq!(golden.object::<InputRecord>(&name("inputRecord")), certificate.record);
    assert_eq!(certificate.record.hash.as_bytes(), &golden.hash(&name("smtRoot")));
    let leaf = certificate.record.leaf(certificate.technical.as_ref(), &certificate.configuration);
    let shard = certificate.shard.root(leaf);
    assert_eq!(shard.as_bytes(), &golden.hash(&name("shardTreeRoot_r")));
    assert_eq!(certificate.root().as_bytes(), &golden.hash(&name("sealHash")));
    assert_eq!(certificate.seal.signed_digest().as_bytes(), &golden.hash(&name("sealSignedHash")));
    let mut seal = UnicitySeal { signatures: None, ..certificate.seal.clone() };
    seal.sign(NodeId::new("NODE").unwrap(), &key(0x11));
    assert_eq!(seal, certificate.seal);
    let root = certificate.verify(&trust()).unwrap();
    assert_eq!(root.root(), certificate.record.hash);
    assert_eq!(root.time(), certificate.record.timestamp);
}

#[test]
fn every_value_of_the_worked_example_is_reproduced() {
    let golden = Golden::flow();
    let public = |name| PublicKey::secp256k1(&golden.bytes(name).try_into().unwrap()).unwrap();
    assert_eq!(public("rootPub"), key(0x11).public());
    assert_eq!(public("alicePub"), key(0x22).public());
    assert_eq!(public("bobPub"), key(0x33).public());

    let mint: MintTransaction = golden.object("mint.txCBOR");
    assert_eq!(mint.token_id().as_bytes(), &golden.hash("tokenId"));
    assert_eq!(public("mintPub"), mint.minter().unwrap().public());
    assert_eq!(mint.recipient, WirePredicate::signature(&key(0x22).public()));
    assert_eq!(mint.hash().as_bytes(), &golden.hash("mint.txHash"));
    let mut tree = Tree::new();
    check_step(&golden, "mint", &mint.minter().unwrap(), mint.source(), &mut tree);
    let minted = mint.next_state();
    assert_eq!(minted.as_bytes(), &golden.hash("mint.nextStateHash"));

    let transfer: TransferTransaction = golden.object("xfer.txCBOR");
    assert_eq!(transfer.recipient, WirePredicate::signature(&key(0x33).public()));
    assert_eq!(transfer.hash().as_bytes(), &golden.hash("xfer.txHash"));
    check_step(&golden, "xfer", &key(0x22), minted, &mut tree);
    let state = transfer.next_state(&minted);
    assert_eq!(state.as_bytes(), &golden.hash("xfer.nextStateHash"));

    let token: Token = golden.object("token");
    assert_eq!(token.genesis.transaction, mint);
    assert_eq!(token.transfers[0].transaction, transfer);
    let verified = token.verify(&trust(), &NoEngine).unwrap();
    assert_eq!((verified.id(), verified.state()), (mint.token_id(), state));
    assert_eq!(*verified.owner(), transfer.recipient);
    assert_eq!(golden.text("verify"), "OK");
}

#[test]
fn signed_digests_are_those_of_the_worked_example() {
    let golden = Golden::flow();
    for (step, digest) in [
        ("mint", "f93c7f3f2628279bdadc98cb3fcddc51a8cb8906c5e6261949300f0d80645edd"),
        ("xfer", "0f4af7dfcfb88c2e25a77a9ddfd996f23fa990541b0b4d9aa2d37aca75cb267b"),
    ] {
        let request =
            golden.object::<CertificationRequest>(&alloc::format!("{step}.certificationRequest"));
        assert_eq!(request.data.spend().signed_digest().as_bytes(), &hex32(digest));
    }
}

#[test]
fn the_leaf_value_is_the_one_that_other_sdks_compute() {
    let transaction = TransactionHash::new(core::array::from_fn(|i| i as u8));
    let value = LeafValue::of(&transaction, Time::from_unix(1_755_000_000));
    let expected = "0235bd52cfa10c9785dfa01942bc396f201fe715dbc3896ee117a97e895e1e36";
    assert_eq!(LeafValue::from_hex(expected), Some(value));
}

#[test]
fn a_shard_with_a_sibling_leads_to_the_known_root() {
    let text = include_str!("../../../../../spec/vectors/unicity-tree.json");
    let all: Json = serde_json::from_str(text).unwrap();
    let golden = Golden(all["shard"].clone());
    let record: InputRecord = golden.object("ir");
    let shard: ShardTreeCertificate = golden.object("stc");
    let leaf = record.leaf(Some(&Digest::new([7; 32])), &Digest::new([8; 32]));
    assert_eq!(shard.root(leaf).as_bytes(), &golden.hash("root"));
    let manifest: SplitManifest = Golden(all).object("manifest");
    assert_eq!(manifest.0.len(), 1);
}
