use super::*;
use crate::cbor::{DecodeError, from_bytes, to_bytes};
use crate::device::tests::scene::policy;
use crate::keys::SecretKey;

fn good() -> Policy {
    policy(&SecretKey::new([9; 32]).expect("a scalar"))
}

fn refused(edit: impl FnOnce(&mut Policy)) -> Option<PolicyError> {
    let mut policy = good();
    edit(&mut policy);
    policy.check().err()
}

#[test]
fn each_rule_of_a_policy_has_its_refusal() {
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|p| p.version = 2), Some(PolicyError::Version));
    assert_eq!(refused(|p| p.decimals = 19), Some(PolicyError::Decimals));
    assert_eq!(refused(|p| p.decimals = 18), None);
    assert_eq!(refused(|p| p.kind = AssetKind::Unique), Some(PolicyError::Decimals));
    assert_eq!(refused(|p| p.threshold = 0), Some(PolicyError::Issuers));
    assert_eq!(refused(|p| p.threshold = 2), Some(PolicyError::Issuers));
    assert_eq!(refused(|p| p.issuers = List::default()), Some(PolicyError::Issuers));
    let twice = |p: &mut Policy| {
        p.issuers = List::truncated([p.issuers[0].clone(), p.issuers[0].clone()].into())
    };
    assert_eq!(refused(twice), Some(PolicyError::Issuers));
    assert_eq!(refused(|p| p.max_supply = Some(Amount::ZERO)), Some(PolicyError::Limit));
    assert_eq!(refused(|p| p.offline.cap = Some(Amount::ZERO)), Some(PolicyError::Limit));
}

#[test]
fn every_field_moves_the_asset() {
    let id = good().id();
    let edits: [fn(&mut Policy); 6] = [
        |p| p.decimals = 3,
        |p| p.ticker = Ticker::new("USD").expect("a ticker"),
        |p| p.max_supply = Some(Amount::new(1)),
        |p| p.offline.sealed_only = true,
        |p| p.offline.certified_mint = true,
        |p| p.metadata = Some(Digest::new([1; 32])),
    ];
    for edit in edits {
        let mut other = good();
        edit(&mut other);
        assert_ne!(other.id(), id);
    }
}

#[test]
fn tickers_are_capital_letters_and_digits() {
    for text in ["", "eur", "1EUR", "EU R", "ABCDEFGHIJKLM", "ÄÖ"] {
        assert_eq!(Ticker::new(text), None, "{text}");
    }
    let mut w = Writer::new();
    w.text("eur");
    assert_eq!(from_bytes::<Ticker>(&w.into_bytes()), Err(DecodeError::OutOfRange));
    assert_eq!(from_bytes::<AssetKind>(&to_bytes(&2u8)), Err(DecodeError::Unknown));
}

#[test]
fn offline_rules_hold_amount_and_tier() {
    let rules =
        OfflineRules { cap: Some(Amount::new(5)), sealed_only: true, ..OfflineRules::default() };
    assert!(rules.allows(Amount::new(5), Tier::Sealed));
    assert!(!rules.allows(Amount::new(6), Tier::Sealed));
    assert!(!rules.allows(Amount::new(5), Tier::Signed));
}
