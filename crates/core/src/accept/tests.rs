use super::*;

const NOW: Time = Time::from_unix(1_000_000);

/// A payment of so many smallest units on a signature alone, by somebody who owes nothing.
pub(crate) fn facts(units: u64) -> Facts {
    Facts {
        tier: Tier::Signed,
        amount: Amount::new(units),
        decimals: 2,
        payer_outstanding: Amount::ZERO,
        total_outstanding: Amount::ZERO,
        payer_unsettled: 0,
        settle_by: None,
        certified_at: None,
    }
}

fn default(facts: Facts) -> Option<Refusal> {
    AcceptPolicy::default().check(&facts, NOW).err()
}

#[test]
fn by_default_little_is_taken_on_a_signature_alone() {
    assert_eq!(default(facts(500)), None);
    assert_eq!(default(facts(501)), Some(Refusal::PerPayment));
    let owing = |units| Facts { payer_outstanding: Amount::new(units), ..facts(500) };
    assert_eq!(default(owing(1500)), None);
    assert_eq!(default(owing(1501)), Some(Refusal::PerPayer));
    assert_eq!(default(owing(u64::MAX)), Some(Refusal::PerPayer), "what cannot be counted");
    assert_eq!(default(Facts { tier: Tier::Certified, ..facts(u64::MAX) }), None);
}

#[test]
fn each_tier_is_ruled_by_its_own_limits() {
    for tier in Tier::ALL {
        let mut policy = AcceptPolicy::default();
        policy.limits_mut(tier).accept = false;
        for other in Tier::ALL {
            let refusal = policy.check(&Facts { tier: other, ..facts(1) }, NOW).err();
            assert_eq!(refusal, (other == tier).then_some(Refusal::Tier));
        }
    }
}

#[test]
fn each_rule_of_an_owner_has_its_refusal() {
    let check = |edit: fn(&mut AcceptPolicy), facts: Facts| {
        let mut policy = AcceptPolicy::default();
        edit(&mut policy);
        policy.check(&facts, NOW).err()
    };
    let total = Facts { total_outstanding: Amount::new(950), ..facts(50) };
    assert_eq!(check(|p| p.signed.total = Some(10), total), None);
    let total = Facts { total_outstanding: Amount::new(951), ..facts(50) };
    assert_eq!(check(|p| p.signed.total = Some(10), total), Some(Refusal::Total));
    let unsettled = |n| Facts { payer_unsettled: n, ..facts(1) };
    assert_eq!(check(|p| p.max_unsettled = Some(3), unsettled(2)), None);
    assert_eq!(check(|p| p.max_unsettled = Some(3), unsettled(3)), Some(Refusal::Unsettled));
    let certified =
        |ago| Facts { certified_at: Some(Time::from_unix(NOW.unix() - ago)), ..facts(1) };
    assert_eq!(check(|p| p.max_certified_age = Some(60), certified(60)), None);
    assert_eq!(
        check(|p| p.max_certified_age = Some(60), certified(61)),
        Some(Refusal::CertifiedAge)
    );
    assert_eq!(check(|p| p.max_certified_age = Some(60), facts(1)), Some(Refusal::CertifiedAge));
}

#[test]
fn a_lock_that_ends_too_soon_is_refused() {
    let day = 24 * 60 * 60;
    let ends = |at| default(Facts { tier: Tier::Sealed, settle_by: Some(at), ..facts(1) });
    assert_eq!(ends(NOW.plus(day)), None);
    assert_eq!(ends(NOW.plus(day - 1)), Some(Refusal::SettleMargin));
    assert_eq!(ends(Time::from_unix(1)), Some(Refusal::SettleMargin), "one that has ended");
    let hasty = AcceptPolicy { settle_margin: 0, ..AcceptPolicy::default() };
    let ends = |at| hasty.check(&Facts { settle_by: Some(at), ..facts(1) }, NOW).err();
    assert_eq!(ends(NOW.plus(1)), None);
    assert_eq!(ends(NOW), Some(Refusal::SettleMargin), "no margin is no reason to take it");
}

#[test]
fn a_limit_beyond_counting_is_no_limit() {
    let mut policy = AcceptPolicy::default();
    policy.signed.per_payment = Some(u64::MAX);
    policy.signed.per_payer = None;
    assert_eq!(policy.check(&facts(u64::MAX), NOW), Ok(()));
}
