//! What a notary certifies, and what becomes of whoever comes second.

use alloc::vec::Vec;

use super::adversary::forked;
use super::scene::{NOW, Person, Scene};
use crate::accept::AcceptPolicy;
use crate::device::{Direction, Event, Input, Mode};
use crate::evidence::tests::network::{Spent, certify, trust_base};
use crate::evidence::{Claim, Evidence, MAX_CERTIFICATES, Proof, Settlement};
use crate::id::{CoinId, TxId};
use crate::keys::PublicKey;
use crate::notary::{InclusionProof, LeafProof};
use crate::time::Time;

/// Whatever a person has that is not certified.
pub(crate) fn open(person: &Person) -> Vec<Claim> {
    let mut claims = Vec::<Claim>::new();
    let all = person.device.unsettled().into_iter().flat_map(|unsettled| unsettled.claims);
    for claim in all.flat_map(|claims| claims.spends) {
        if !claims.contains(&claim) {
            claims.push(claim);
        }
    }
    claims
}

/// What a notary answers to whoever asks first for all of these.
pub(crate) fn settlement(claims: &[Claim], time: Time) -> Settlement {
    let spent = |c: &Claim| -> Spent { (c.owner.clone(), c.source, c.tx) };
    let spent: Vec<Spent> = claims.iter().map(spent).collect();
    let (certificate, places) = certify(&spent, time, 3);
    let proof = |(claim, place): (&Claim, crate::evidence::Certification)| Proof {
        source: claim.source,
        tx: claim.tx,
        time,
        path: place.path,
    };
    Settlement { certificate, proofs: claims.iter().zip(places).map(proof).collect() }
}

/// What a notary shows of one claim, which it has certified.
pub(super) fn shown(claim: &Claim) -> InclusionProof {
    let mut all = settlement(core::slice::from_ref(claim), NOW);
    let path = all.proofs.remove(0).path;
    let leaf = LeafProof { data: claim.request().data, reference_time: NOW, path };
    InclusionProof { leaf: Some(leaf), certificate: all.certificate }
}

/// Has everything of a person's certified.
pub(crate) fn settle(person: &mut Person) {
    person.notary = Some(trust_base());
    let settlement = settlement(&open(person), person.now);
    person.tell(Input::Certified(settlement.into())).expect("certified");
}

fn only_evidence(person: &Person) -> Evidence {
    person.device.ledger().pockets().find(|p| p.is_ready()).expect("a coin").evidence.clone()
}

/// Whose claim of a coin there is.
pub(super) fn spend_by(person: &Person, key: &PublicKey) -> Claim {
    open(person).into_iter().find(|c| c.owner.key() == key).expect("a spend by this key")
}

#[test]
fn what_is_certified_is_settled_and_shares_one_certificate() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 400);
    scene.pay(1, 2, 300);
    let claims = open(&scene.people[2]);
    assert_eq!(claims.len(), 3, "the mint, and two moves");
    settle(&mut scene.people[2]);
    let evidence = only_evidence(&scene.people[2]);
    assert_eq!((evidence.longest_uncertified(), evidence.certificates.len()), (0, 1));
    assert!(scene.people[2].device.unsettled().is_empty());
    assert!(scene.people[2].device.incoming().values().all(|i| i.settled));
    let told =
        |e: &Event| matches!(e, Event::Settled { direction: Direction::In, accepted: true, .. });
    assert_eq!(scene.people[2].events.iter().filter(|e| told(e)).count(), 1);
    let before = scene.people[2].device.clone();
    scene.people[2].restart();
    assert_eq!(scene.people[2].device.unsettled(), before.unsettled(), "for good");
}

#[test]
fn a_payer_settles_what_it_paid_and_the_payee_finds_it_settled() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 1000);
    let (payer, payee) = (open(&scene.people[0]), open(&scene.people[1]));
    assert_eq!(payer, payee, "both ask for the same");
    settle(&mut scene.people[0]);
    let tx = payer[1].tx;
    assert_eq!(scene.people[0].device.settled_at(&tx), Some(NOW));
    assert!(scene.people[0].device.unsettled().is_empty());
    assert!(scene.people[0].device.incoming().values().all(|i| i.settled), "the mint too");
    let out = |e: &Event| matches!(e, Event::Settled { direction: Direction::Out, .. });
    assert_eq!(scene.people[0].events.iter().filter(|e| out(e)).count(), 1);
    scene.people[0].restart();
    assert_eq!(scene.people[0].device.settled_at(&tx), Some(NOW));
}

#[test]
fn a_later_settlement_replaces_older_certificates() {
    let mut scene = Scene::new(2, 1000);
    settle(&mut scene.people[0]);
    scene.people[1].notary = Some(trust_base());
    for later in 1..20 {
        scene.pay(0, 1, 10);
        scene.people[0].now = NOW.plus(later);
        let all: Vec<Claim> = {
            let unsettled = scene.people[0].device.unsettled();
            unsettled.into_iter().flat_map(|u| u.claims).flat_map(|c| c.spends).collect()
        };
        let mut distinct = Vec::<Claim>::new();
        all.into_iter().for_each(|c| {
            if !distinct.iter().any(|d| (d.source, d.tx) == (c.source, c.tx)) {
                distinct.push(c);
            }
        });
        let answer = settlement(&distinct, NOW.plus(later));
        scene.people[0].tell(Input::Certified(answer.into())).expect("certified");
        let evidence = only_evidence(&scene.people[0]);
        let found = (evidence.hops.len() as u64, evidence.certificates.len());
        assert_eq!(found, (later, 1), "each payment is behind it, all under one certificate");
    }
}

/// What is not certified yet, answered alone: each time under a certificate of its own.
fn settle_only_what_is_new(person: &mut Person, time: Time) {
    let new: Vec<Claim> = open(person).into_iter().filter(|claim| !claim.certified).collect();
    person.tell(Input::Certified(settlement(&new, time).into())).expect("certified");
}

#[test]
fn a_history_with_no_room_for_a_certificate_holds_up_no_other() {
    let mut scene = Scene::new(2, 1000);
    settle(&mut scene.people[0]);
    scene.people[1].notary = Some(trust_base());
    for later in 1..8 {
        scene.pay(0, 1, 10);
        settle_only_what_is_new(&mut scene.people[0], NOW.plus(later));
    }
    assert_eq!(only_evidence(&scene.people[0]).certificates.len(), MAX_CERTIFICATES);
    scene.pay(0, 1, 10);
    scene.mint_to(0, 2, 500);
    settle_only_what_is_new(&mut scene.people[0], NOW.plus(8));
    let open_after = scene.people[0].device.unsettled();
    assert_eq!(open_after.len(), 2, "the payment and its change, and not what was minted");
    settle(&mut scene.people[0]);
    assert!(scene.people[0].device.unsettled().is_empty(), "asked together, they share one");
}

#[test]
fn what_frees_a_payer_of_its_debt_is_that_it_is_settled() {
    let mut scene = Scene::new(2, 3000);
    scene.people[1].tell(Input::AcceptPolicy(AcceptPolicy::default())).expect("always");
    for _ in 0..4 {
        scene.pay(0, 1, 500);
    }
    assert_eq!(scene.balances()[1], 2000);
    scene.pay(0, 1, 100);
    assert_eq!(scene.refusals(1), ["ACCEPT_PER_PAYER"]);
    settle(&mut scene.people[1]);
    scene.pay(0, 1, 500);
    assert_eq!(scene.balances()[1], 2500);
}

#[test]
fn each_flaw_of_a_settlement_is_refused() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 400);
    let claims = open(&scene.people[1]);
    let good = settlement(&claims, NOW);
    let refused = |scene: &mut Scene, answer: Settlement| {
        let before = scene.people[1].device.clone();
        let error = scene.people[1].tell(Input::Certified(answer.into())).expect_err("a flaw");
        assert_eq!(error.code(), "EVIDENCE_CERTIFICATION");
        assert_eq!(scene.people[1].device, before, "nothing has changed");
    };
    refused(&mut scene, good.clone());
    scene.people[1].notary = Some(trust_base());
    let spent: Vec<Spent> = claims.iter().map(|c| (c.owner.clone(), c.source, c.tx)).collect();
    let (few, _) = certify(&spent, NOW, 2);
    refused(&mut scene, Settlement { certificate: few, ..good.clone() });
    let mut elsewhere = good.clone();
    elsewhere.proofs[0].path = good.proofs[1].path.clone();
    refused(&mut scene, elsewhere);
    let mut earlier = good.clone();
    earlier.proofs[1].time = Time::from_unix(NOW.unix() - 1);
    refused(&mut scene, earlier);
    scene.people[1].tell(Input::Certified(good.into())).expect("certified");
}

#[test]
fn what_the_notary_says_of_others_changes_nothing_here() {
    let mut scene = Scene::new(3, 1000);
    scene.pay(0, 1, 400);
    let claims = open(&scene.people[1]);
    scene.people[2].notary = Some(trust_base());
    let before = scene.people[2].device.clone();
    scene.people[2].tell(Input::Certified(settlement(&claims, NOW).into())).expect("heard");
    assert_eq!(scene.people[2].device, before);
}

#[test]
fn the_most_urgent_lock_comes_first_and_then_what_is_oldest() {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10);
    scene.people[1].now = NOW.plus(60);
    scene.pay(0, 1, 20);
    let unsettled = scene.people[1].device.unsettled();
    assert_eq!(unsettled.iter().map(|u| u.at).collect::<Vec<_>>(), [NOW, NOW.plus(60)]);
    for one in &unsettled {
        let seen: Vec<CoinId> =
            one.claims.iter().flat_map(|c| &c.spends).map(|s| s.source).collect();
        assert_eq!(seen.len(), one.claims.len(), "one input each");
        let place = |tx: &TxId| one.claims.iter().position(|c| c.tx == *tx);
        let mint = one.claims[0].tx;
        assert_eq!(place(&mint), Some(0), "the oldest first");
    }
}

#[test]
fn whoever_loses_the_race_proves_who_cheated() {
    let (mut scene, _) = forked();
    let alice = scene.people[0].key.public();
    let bobs = spend_by(&scene.people[1], &alice);
    settle(&mut scene.people[1]);
    let carols = spend_by(&scene.people[2], &alice);
    assert_eq!(bobs.source, carols.source, "one coin, two payments");
    scene.people[2].notary = Some(trust_base());
    let lost = Input::Lost { source: carols.source, proof: shown(&bobs).into() };
    scene.people[2].tell(lost.clone()).expect("shown");
    assert!(scene.bricks(2, 0));
    let proof = scene.people[2].device.forks()[&alice].clone();
    assert!(proof.check().is_ok());
    let of_loss = |e: &&Event| matches!(e, Event::Lost { winner, .. } if *winner == bobs.tx);
    assert_eq!(
        scene.people[2].events.iter().filter(of_loss).count(),
        1,
        "who won, and what is lost"
    );
    assert!(scene.people[2].device.unsettled().is_empty(), "there is nothing to settle any more");
    let stuck = scene.start(2, 3, 100).map_err(|e| e.code());
    assert_eq!(stuck, Err("EVIDENCE_BRICKED"));
    scene.people[2].restart();
    assert!(scene.bricks(2, 0));
    assert_eq!(scene.people[2].device.lost()[&carols.source].winner, bobs.tx, "for good");
    let events = scene.people[2].events.len();
    scene.people[2].tell(lost).expect("known");
    assert_eq!(scene.people[2].events.len(), events, "said once");
}

#[test]
fn an_honest_payer_of_lost_money_is_not_convicted() {
    let (mut scene, _) = forked();
    let alice = scene.people[0].key.public();
    let bobs = spend_by(&scene.people[1], &alice);
    scene.pay(2, 3, 400);
    let carols = spend_by(&scene.people[3], &alice);
    for person in [2, 3] {
        scene.people[person].notary = Some(trust_base());
        let lost = Input::Lost { source: carols.source, proof: shown(&bobs).into() };
        scene.people[person].tell(lost).expect("shown");
    }
    assert!(scene.bricks(3, 0) && !scene.bricks(3, 2));
    let out = |e: &Event| matches!(e, Event::Lost { direction: Direction::Out, .. });
    assert!(scene.people[2].events.iter().any(out), "Carol learns that her payment is void");
    let input =
        |e: &Event| matches!(e, Event::Lost { direction: Direction::In, with: Some(_), .. });
    assert!(scene.people[3].events.iter().any(input));
}

#[test]
fn a_loss_that_the_notary_does_not_show_is_not_believed() {
    let (mut scene, _) = forked();
    let alice = scene.people[0].key.public();
    let bobs = spend_by(&scene.people[1], &alice);
    let carols = spend_by(&scene.people[2], &alice);
    let tell = |scene: &mut Scene, source: CoinId, proof: InclusionProof| {
        let input = Input::Lost { source, proof: proof.into() };
        scene.people[2].tell(input).expect_err("not shown").code()
    };
    let code = "EVIDENCE_CERTIFICATION";
    assert_eq!(tell(&mut scene, carols.source, shown(&bobs)), code, "no notary is known");
    scene.people[2].notary = Some(trust_base());
    assert_eq!(tell(&mut scene, CoinId::new([1; 32]), shown(&bobs)), "NOT_WAITING");
    assert_eq!(tell(&mut scene, carols.source, shown(&carols)), code, "it won");
    let mut forged = bobs.clone();
    forged.tx = TxId::new([9; 32]);
    assert_eq!(tell(&mut scene, carols.source, shown(&forged)), code, "not signed by the owner");
    let mut pending = shown(&bobs);
    pending.leaf = None;
    assert_eq!(tell(&mut scene, carols.source, pending), code);
    let mut unsealed = shown(&bobs);
    unsealed.certificate.seal.signatures = None;
    assert_eq!(tell(&mut scene, carols.source, unsealed), code);
    assert!(!scene.anyone_convicted());
}

#[test]
fn an_issuer_who_mints_one_serial_twice_is_convicted_and_the_first_mint_counts() {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(1, 1, 700);
    let issuer = scene.issuer.public();
    let (alices, bobs) = (spend_by(&scene.people[0], &issuer), spend_by(&scene.people[1], &issuer));
    assert_eq!(alices.source, bobs.source, "one serial, two mints");
    scene.people[1].notary = Some(trust_base());
    let lost = Input::Lost { source: bobs.source, proof: shown(&alices).into() };
    scene.people[1].tell(lost).expect("shown");
    assert!(scene.people[1].device.is_bricked(&issuer));
    let stuck = scene.start(1, 2, 100).map_err(|e| e.code());
    assert_eq!(stuck, Err("EVIDENCE_BRICKED"));
    scene.people[1].restart();
    scene.pay(0, 1, 100);
    assert_eq!(scene.refusals(1), Vec::<&str>::new(), "the mint that counts");
}

#[test]
fn what_is_lost_is_no_longer_owed() {
    let (mut scene, _) = forked();
    scene.people[2].tell(Input::AcceptPolicy(AcceptPolicy::default())).expect("always");
    let mut limits = AcceptPolicy::default();
    limits.signed.total = Some(5);
    scene.people[2].tell(Input::AcceptPolicy(limits)).expect("always");
    scene.mint_to(1, 7, 300);
    let alice = scene.people[0].key.public();
    let bobs = spend_by(&scene.people[1], &alice);
    scene.pay(1, 2, 300);
    assert_eq!(scene.refusals(2), ["ACCEPT_TOTAL"], "4 of Alice's and 3 of Bob's are too much");
    let carols = spend_by(&scene.people[2], &alice);
    scene.people[2].notary = Some(trust_base());
    let lost = Input::Lost { source: carols.source, proof: shown(&bobs).into() };
    scene.people[2].tell(lost).expect("shown");
    scene.people[2].restart();
    scene.pay(1, 2, 300);
    assert_eq!(scene.refusals(2).len(), 1, "what is lost is at nobody's risk any more");
}

#[test]
fn a_copy_that_paid_first_makes_its_owner_stop() {
    let (mut scene, copy) = forked();
    let alice = scene.people[0].key.public();
    let other = open(&copy).into_iter().find(|c| c.owner.key() == &alice).expect("a payment");
    let mine = spend_by(&scene.people[0], &alice);
    assert_eq!(mine.source, other.source);
    scene.people[0].notary = Some(trust_base());
    let lost = Input::Lost { source: mine.source, proof: shown(&other).into() };
    scene.people[0].tell(lost).expect("shown");
    assert_eq!(*scene.people[0].device.mode(), Mode::ReceiveOnly);
    assert!(!scene.bricks(0, 0), "it does not accuse itself");
}
