use tally_core::id::{Digest, NetworkId};
use tally_core::keys::SecretKey;
use tally_core::notary::token::Token;
use tally_core::notary::{CertificationRequest, NoEngine, NodeId, Partition, ProofResponse};
use tally_core::notary::{RootNode, ShardId, TrustBase, UnicityCertificate};
use tally_sim::NOW;

use super::core::canonical;

/// What a node answers has one encoding; a certificate that nobody signed certifies nothing.
pub fn proof(bytes: &[u8]) {
    canonical::<ProofResponse>(bytes);
    if let Some(certificate) = canonical::<UnicityCertificate>(bytes) {
        assert!(certificate.verify(&strangers()).is_err());
    }
}

/// A request has one encoding, and can be checked.
pub fn request(bytes: &[u8]) {
    if let Some(request) = canonical::<CertificationRequest>(bytes) {
        let _ = request.verify(&ShardId::whole(), &NoEngine, NOW);
    }
}

/// A token has one encoding; without the validators' signatures it is worth nothing.
pub fn token(bytes: &[u8]) {
    if let Some(token) = canonical::<Token>(bytes) {
        assert!(token.verify(&strangers(), &NoEngine).is_err());
    }
}

/// Validators who never signed anything.
fn strangers() -> TrustBase {
    let key = SecretKey::new([0x77; 32]).expect("a scalar").public();
    let id = NodeId::new("nobody").expect("a short name");
    let nodes = vec![RootNode { id, key, stake: 1 }];
    let configuration = Digest::new([0; 32]);
    let partition = Partition { id: 1, shard: ShardId::whole(), configuration };
    TrustBase::new(NetworkId::LOCAL, 1, partition, nodes, 1).expect("one node is a majority")
}
