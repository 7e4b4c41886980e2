//! What was sent once is sent again, by somebody for whom it would pay.

use tally_core::notary::{CertificationRequest, ProofError};

use crate::coin::{coin, somebody, spend, transaction};
use crate::network::{Answer, Network};

#[test]
fn re_send_of_an_old_state_after_transfer() {
    let network = Network::shared();
    let (alice, bob) = (somebody(), somebody());
    let (coin_of_alice, coin_of_bob) = (coin(), coin());
    let to_bob = spend(&alice, coin_of_alice, transaction());
    let to_carol = spend(&bob, coin_of_bob, transaction());
    assert_eq!(network.settle(0, &to_bob), Answer::Certified);
    assert_eq!(network.settle(1, &to_carol), Answer::Certified);
    // Alice gives the state that she had once to Dave, after it went on from Bob to Carol.
    let to_dave = spend(&alice, coin_of_alice, transaction());
    for node in network.validators() {
        let answer = network.settle(node, &to_dave);
        assert_eq!(answer, Answer::Exists(to_bob.data.transaction));
        assert_eq!(network.certified(node, &to_dave), Err(ProofError::TransactionHashMismatch));
    }
    // The very bytes of the old transfer change nothing, however often they come.
    let before = network.certified(0, &to_bob).expect("certified");
    for node in network.validators() {
        assert_eq!(network.settle(node, &to_bob), Answer::Certified);
        let after = network.certified_soon(node, &to_bob).expect("certified");
        assert_eq!(after.reference_time(), before.reference_time(), "it is the same leaf");
    }
}

#[test]
fn a_later_owner_replays_an_earlier_state() {
    let network = Network::shared();
    let (alice, bob) = (somebody(), somebody());
    let (coin_of_alice, coin_of_bob) = (coin(), coin());
    let to_bob = spend(&alice, coin_of_alice, transaction());
    let to_carol = spend(&bob, coin_of_bob, transaction());
    // Carol has the whole history, with all signatures in it, and wants Alice's state for herself.
    let mut redirected = to_bob.clone();
    redirected.data.transaction = transaction().into();
    let mut own_name = spend(&somebody(), coin_of_alice, transaction());
    let forged: [CertificationRequest; 2] = {
        own_name.state_id = to_bob.state_id;
        [redirected, own_name]
    };
    let words = ["SIGNATURE_VERIFICATION_FAILED", "STATE_ID_MISMATCH"];
    let refused = |node| {
        for (request, word) in forged.iter().zip(words) {
            assert_eq!(network.settle(node, request), Answer::Refused(word.into()));
        }
    };
    // Before anything is settled, in between, and after.
    network.validators().for_each(refused);
    assert!(network.is_unspent(0, to_bob.state_id));
    assert_eq!(network.settle(2, &to_bob), Answer::Certified);
    assert_eq!(network.settle(3, &to_carol), Answer::Certified);
    for node in network.validators() {
        network.certified_soon(node, &to_bob).expect("certified");
        network.certified_soon(node, &to_carol).expect("certified");
        // A spent state names its winner, whoever asks with whatever signature; or the forgery is named.
        for request in &forged {
            assert_ne!(network.settle(node, request), Answer::Certified);
            assert!(network.certified(node, request).is_err());
        }
    }
}
