use super::*;
use crate::device::tests::scene::policy;
use crate::keys::{PublicKey, SecretKey};

fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).expect("a scalar")
}

/// A policy of two of three issuers, and a mint that the first and the last sign.
fn scene(
    edit_policy: impl FnOnce(&mut Policy),
    edit: impl FnOnce(&mut MintBody),
) -> (Policy, Mint) {
    let mut policy = policy(&key(1));
    let issuers: alloc::vec::Vec<PublicKey> = (1..=3).map(|i| key(i).public()).collect();
    (policy.issuers, policy.threshold) = (List::truncated(issuers), 2);
    edit_policy(&mut policy);
    let mut body = MintBody {
        version: MINT_VERSION,
        network: NetworkId::LOCAL,
        asset: policy.id(),
        amount: Amount::new(100),
        owner: Predicate::Signature(key(9).public()),
        serial: 1,
        issued_before: Amount::new(50),
    };
    edit(&mut body);
    let sign = |i: u8| IssuerSignature { issuer: i, signature: key(i + 1).sign(&body.digest()) };
    let signatures = List::truncated([sign(0), sign(2)].into());
    (policy, Mint { body, signatures })
}

fn refused(
    edit_policy: impl FnOnce(&mut Policy),
    edit: impl FnOnce(&mut MintBody),
) -> Option<MintError> {
    let (policy, mint) = scene(edit_policy, edit);
    mint.check(&policy, NetworkId::LOCAL).err()
}

#[test]
fn each_rule_of_a_mint_has_its_refusal() {
    assert_eq!(refused(|_| (), |_| ()), None);
    assert_eq!(refused(|_| (), |m| m.version = 2), Some(MintError::Version));
    let other = NetworkId::new(9).expect("not zero");
    assert_eq!(refused(|_| (), |m| m.network = other), Some(MintError::Network));
    assert_eq!(refused(|p| p.network = other, |_| ()), Some(MintError::Network));
    assert_eq!(refused(|_| (), |m| m.asset = AssetId::new([7; 32])), Some(MintError::Asset));
    assert_eq!(refused(|_| (), |m| m.amount = Amount::ZERO), Some(MintError::Amount));
    assert_eq!(refused(|p| p.kind = AssetKind::Unique, |_| ()), Some(MintError::Amount));
    assert_eq!(refused(|p| p.kind = AssetKind::Unique, |m| m.amount = Amount::new(1)), None);
}

#[test]
fn the_supply_ends_at_its_maximum() {
    assert_eq!(refused(|p| p.max_supply = Some(Amount::new(150)), |_| ()), None);
    assert_eq!(refused(|p| p.max_supply = Some(Amount::new(149)), |_| ()), Some(MintError::Supply));
    let full = |m: &mut MintBody| m.issued_before = Amount::new(u64::MAX);
    assert_eq!(refused(|_| (), full), Some(MintError::Supply), "what cannot be counted");
}

#[test]
fn a_mint_needs_a_threshold_of_distinct_issuers() {
    let edits: [fn(&mut alloc::vec::Vec<IssuerSignature>); 5] = [
        |s| s.truncate(1),
        |s| s[1] = s[0].clone(),
        |s| s[1].issuer = 1,
        |s| s[1].issuer = 3,
        |s| s[1].signature = key(9).sign(&Digest::new([1; 32])),
    ];
    for (i, edit) in edits.iter().enumerate() {
        let (policy, mut mint) = scene(|_| (), |_| ());
        let mut signatures = mint.signatures.into_vec();
        edit(&mut signatures);
        mint.signatures = List::truncated(signatures);
        assert_eq!(mint.check(&policy, NetworkId::LOCAL), Err(MintError::Signatures), "edit {i}");
    }
}

#[test]
fn two_mints_of_one_serial_spend_one_state() {
    let (_, a) = scene(|_| (), |_| ());
    let (_, b) = scene(|_| (), |m| m.amount = Amount::new(101));
    assert_ne!(a.body.id(), b.body.id());
    assert_eq!(
        SerialId::of(&a.body.asset, a.body.serial),
        SerialId::of(&b.body.asset, b.body.serial)
    );
}
