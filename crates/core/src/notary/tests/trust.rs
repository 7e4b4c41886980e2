//! Trust bases that could let a minority certify, or nobody.

use super::super::*;
use super::scene::{nodes, partition};
use crate::cbor::DecodeError;
use crate::id::NetworkId;

fn trust(nodes: alloc::vec::Vec<RootNode>, quorum: u64) -> Result<TrustBase, TrustBaseError> {
    TrustBase::new(NetworkId::LOCAL, 1, partition(), nodes, quorum)
}

#[test]
fn a_quorum_is_above_two_thirds_of_the_stake_and_at_most_all_of_it() {
    for (quorum, allowed) in [(0, false), (1, false), (2, false), (3, true), (4, true), (5, false)]
    {
        assert_eq!(trust(nodes(), quorum).is_ok(), allowed, "{quorum} of 4");
    }
    let three = || nodes().into_iter().take(3).collect();
    assert_eq!(trust(three(), 2), Err(TrustBaseError::Quorum));
    assert!(trust(three(), 3).is_ok());
}

#[test]
fn stake_counts_not_heads() {
    let mut weighted = nodes();
    weighted[3].stake = 7;
    assert_eq!(trust(weighted.clone(), 3), Err(TrustBaseError::Quorum));
    assert_eq!(trust(weighted, 7).unwrap().quorum(), 7);
}

#[test]
fn a_validator_counts_once() {
    let mut same_name = nodes();
    same_name[1].id = same_name[0].id.clone();
    assert_eq!(trust(same_name, 3).unwrap_err().code(), "TRUST_DUPLICATE_ID");
    let mut same_key = nodes();
    same_key[1].key = same_key[0].key.clone();
    assert_eq!(trust(same_key, 3).unwrap_err().code(), "TRUST_DUPLICATE_KEY");
}

#[test]
fn stake_is_positive_and_countable() {
    for stakes in [[1, 1, 1, 0], [u64::MAX, 1, 1, 1]] {
        let mut odd = nodes();
        odd.iter_mut().zip(stakes).for_each(|(node, stake)| node.stake = stake);
        assert_eq!(trust(odd, 3).unwrap_err().code(), "TRUST_STAKE");
    }
    let mut rich = nodes();
    rich.truncate(1);
    rich[0].stake = u64::MAX;
    assert!(trust(rich.clone(), u64::MAX).is_ok());
    assert_eq!(trust(rich, u64::MAX / 3 * 2).unwrap_err().code(), "TRUST_QUORUM");
}

#[test]
fn there_are_validators_and_not_too_many() {
    assert_eq!(trust([].into(), 0).unwrap_err().code(), "TRUST_NODE_COUNT");
    let crowd = (0..=MAX_NODES).map(|_| nodes().remove(0)).collect();
    assert_eq!(trust(crowd, 1).unwrap_err().code(), "TRUST_NODE_COUNT");
}

#[test]
fn a_trust_base_says_what_it_was_made_of() {
    let trust = trust(nodes(), 3).unwrap();
    assert_eq!((trust.network(), trust.epoch()), (NetworkId::LOCAL, 1));
    assert_eq!(*trust.partition(), partition());
    assert!(trust.nodes().cloned().eq(nodes()));
    assert_eq!(trust.node(&nodes()[2].id), Some(&nodes()[2]));
    assert_eq!(NodeId::new(&"x".repeat(MAX_NODE_ID + 1)), Err(DecodeError::TooLarge));
}
