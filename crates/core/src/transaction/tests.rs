use alloc::vec::Vec;

use super::*;
use crate::keys::SecretKey;
use crate::predicate::Predicate;

fn owner(byte: u8) -> Predicate {
    Predicate::Signature(SecretKey::new([byte; 32]).expect("a scalar").public())
}

fn coin(asset: u8, units: u64, key: u8) -> Coin {
    Coin { asset: AssetId::new([asset; 32]), amount: Amount::new(units), owner: owner(key) }
}

fn transaction(outputs: Vec<Coin>) -> Transaction {
    let inputs = [CoinId::new([1; 32]), CoinId::new([2; 32])].into();
    let body = Body {
        version: BODY_VERSION,
        network: NetworkId::LOCAL,
        inputs: List::truncated(inputs),
        outputs: List::truncated(outputs),
        memo: None,
        expires_at: None,
    };
    let step = Step { seq: 1, head: Head::new([3; 32]), root: Root::new([4; 32]) };
    Transaction { body, link: Link::new([5; 32]), step }
}

fn good() -> Transaction {
    transaction([coin(7, 6, 2), coin(7, 9, 1)].into())
}

/// The coins that the inputs name: 10 and 5 of asset 7, both of key 1.
fn refused(edit: impl FnOnce(&mut Transaction)) -> Option<TransactionError> {
    let mut tx = good();
    edit(&mut tx);
    tx.check(&[&coin(7, 10, 1), &coin(7, 5, 1)], NetworkId::LOCAL).err()
}

#[test]
fn each_rule_of_a_transaction_has_its_refusal() {
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|t| t.body.version = 2), Some(TransactionError::Version));
    let other = NetworkId::new(9).expect("not zero");
    assert_eq!(refused(|t| t.body.network = other), Some(TransactionError::Network));
    assert_eq!(refused(|t| t.body.inputs = List::default()), Some(TransactionError::Inputs));
    let twice = [CoinId::new([1; 32]), CoinId::new([1; 32])];
    assert_eq!(
        refused(|t| t.body.inputs = List::truncated(twice.into())),
        Some(TransactionError::Inputs)
    );
    assert_eq!(refused(|t| t.body.outputs = List::default()), Some(TransactionError::Outputs));
    assert_eq!(refused(|t| t.step.seq = 0), Some(TransactionError::Seq));
}

#[test]
fn an_output_of_zero_is_refused() {
    let outputs = [coin(7, 15, 2), coin(7, 0, 1)];
    assert_eq!(
        refused(|t| t.body.outputs = List::truncated(outputs.into())),
        Some(TransactionError::Outputs)
    );
}

#[test]
fn change_comes_back_once() {
    let outputs = [coin(7, 6, 2), coin(7, 4, 1), coin(7, 5, 1)];
    assert_eq!(
        refused(|t| t.body.outputs = List::truncated(outputs.into())),
        Some(TransactionError::Change)
    );
}

#[test]
fn value_is_neither_made_nor_lost() {
    let cases: [&[Coin]; 5] = [
        &[coin(7, 16, 2)],
        &[coin(7, 14, 2)],
        &[coin(8, 15, 2)],
        &[coin(7, 15, 2), coin(8, 1, 3)],
        &[coin(7, u64::MAX, 2), coin(7, 16, 3)],
    ];
    for outputs in cases {
        let refusal = refused(|t| t.body.outputs = List::truncated(outputs.to_vec()));
        assert_eq!(refusal, Some(TransactionError::Conservation), "{outputs:?}");
    }
    let huge = [&coin(7, u64::MAX, 1), &coin(7, 16, 1)];
    let wrapped = good().check(&huge, NetworkId::LOCAL);
    assert_eq!(wrapped, Err(TransactionError::Conservation), "inputs that cannot be counted");
}

#[test]
fn all_inputs_are_of_one_owner() {
    let mixed = [&coin(7, 10, 1), &coin(7, 5, 3)];
    assert_eq!(good().check(&mixed, NetworkId::LOCAL), Err(TransactionError::Owners));
}

#[test]
fn no_coins_at_all_are_refused() {
    assert_eq!(good().check(&[], NetworkId::LOCAL), Err(TransactionError::Inputs));
}

#[test]
fn the_identity_covers_body_link_and_step() {
    let edits: [fn(&mut Transaction); 7] = [
        |t| t.body.memo = Some(Digest::new([1; 32])),
        |t| t.body.expires_at = Some(Time::from_unix(1)),
        |t| t.link = Link::new([6; 32]),
        |t| t.step.seq = 2,
        |t| t.step.head = Head::new([6; 32]),
        |t| t.step.root = Root::new([6; 32]),
        |t| t.body.version = 9,
    ];
    for edit in edits {
        let mut tx = good();
        edit(&mut tx);
        assert_ne!(tx.id(), good().id());
    }
}

#[test]
fn a_head_covers_step_and_link() {
    let step = good().step;
    let head = |s: Step, l: u8| s.head_after(&Link::new([l; 32]));
    let base = head(step, 5);
    assert_ne!(base, head(step, 6));
    assert_ne!(base, head(Step { seq: 2, ..step }, 5));
    assert_ne!(base, head(Step { head: Head::new([9; 32]), ..step }, 5));
    assert_ne!(base, head(Step { root: Root::new([9; 32]), ..step }, 5));
}
