//! `spec/vectors/core-rules.json`: each rule of policies, mints, transactions, owners' limits, unlocks and cards,
//! kept and broken.

use alloc::vec::Vec;

use serde_json::{Value as Json, json};

use super::text;
use crate::accept::tests::facts;
use crate::accept::{AcceptPolicy, Facts};
use crate::amount::Amount;
use crate::card::{Card, OLD_CARD_VERSION, SESSION_KEY_BYTES, Signed, SignedError};
use crate::cbor::{Blob, Encode, List, to_bytes};
use crate::coin::Coin;
use crate::device::tests::scene::{NOW, Person, Scene, policy};
use crate::device::tests::tpm::ENROLLED_UNTIL;
use crate::evidence::EvidenceError;
use crate::evidence::tests::chain::{Chain, Knows, key, signature};
use crate::fields::{Fields, TIME};
use crate::hash::Tag;
use crate::id::{AssetId, CoinId, DeviceId, Head, Link, NetworkId, Root, TxId};
use crate::invoice::Invoice;
use crate::mint::{IssuerSignature, MINT_VERSION, Mint, MintBody};
use crate::packet::{HELLO_VERSION, Hello};
use crate::policy::Policy;
use crate::predicate::tests::{fake_proof, slot};
use crate::predicate::{Predicate, Reserved, Sealed, Unlock, consent_digest, spend_digest};
use crate::seal::{Judge, NoSeals};
use crate::tier::Tier;
use crate::time::Time;
use crate::transaction::{BODY_VERSION, Body, Step, Transaction};

/// A change to something good, and what it is called.
type Edit<T> = (&'static str, fn(&mut T));

fn hex(object: &impl Encode) -> alloc::string::String {
    text(&to_bytes(object))
}

fn policies() -> Vec<Json> {
    let edits: [Edit<Policy>; 6] = [
        ("good", |_| ()),
        ("another_version", |p| p.version = 2),
        ("nineteen_decimals", |p| p.decimals = 19),
        ("no_threshold", |p| p.threshold = 0),
        ("a_threshold_above_its_issuers", |p| p.threshold = 2),
        ("a_limit_of_zero", |p| p.max_supply = Some(Amount::ZERO)),
    ];
    let case = |(name, edit): Edit<Policy>| {
        let mut policy = policy(&key(1));
        edit(&mut policy);
        let code = policy.check().err().map(crate::policy::PolicyError::code);
        json!({ "name": name, "policy": hex(&policy), "code": code })
    };
    edits.into_iter().map(case).collect()
}

fn mints() -> Vec<Json> {
    let edits: [Edit<(Policy, MintBody, Vec<u8>)>; 9] = [
        ("good", |_| ()),
        ("another_version", |(_, mint, _)| mint.version = 2),
        ("another_network", |(_, mint, _)| mint.network = NetworkId::new(9).expect("not zero")),
        ("another_asset", |(_, mint, _)| mint.asset = AssetId::new([7; 32])),
        ("of_nothing", |(_, mint, _)| mint.amount = Amount::ZERO),
        ("above_the_supply", |(_, mint, _)| mint.issued_before = Amount::new(901)),
        ("not_to_be_counted", |(_, mint, _)| mint.issued_before = Amount::new(u64::MAX)),
        ("signed_by_nobody", |(_, _, by)| by.clear()),
        ("signed_by_another", |(_, _, by)| *by = alloc::vec![9]),
    ];
    let case = |(name, edit): Edit<(Policy, MintBody, Vec<u8>)>| {
        let mut policy = policy(&key(1));
        policy.max_supply = Some(Amount::new(1000));
        let body = MintBody {
            version: MINT_VERSION,
            network: NetworkId::LOCAL,
            asset: policy.id(),
            amount: Amount::new(100),
            owner: signature(9),
            serial: 1,
            issued_before: Amount::ZERO,
        };
        let mut all = (policy, body, alloc::vec![1]);
        edit(&mut all);
        let (policy, body, by) = all;
        let sign = |by: u8| IssuerSignature { issuer: 0, signature: key(by).sign(&body.digest()) };
        let signatures = List::truncated(by.into_iter().map(sign).collect());
        let mint = Mint { body, signatures };
        let code = mint.check(&policy, NetworkId::LOCAL).err().map(crate::mint::MintError::code);
        json!({ "name": name, "policy": hex(&policy), "mint": hex(&mint), "code": code })
    };
    edits.into_iter().map(case).collect()
}

fn transactions() -> Vec<Json> {
    let coin = |units, key| Coin {
        asset: AssetId::new([7; 32]),
        amount: Amount::new(units),
        owner: signature(key),
    };
    let edits: [Edit<(Transaction, Vec<Coin>)>; 9] = [
        ("good", |_| ()),
        ("another_version", |(tx, _)| tx.body.version = 2),
        ("another_network", |(tx, _)| tx.body.network = NetworkId::new(9).expect("not zero")),
        ("no_inputs", |(tx, _)| tx.body.inputs = List::default()),
        ("no_outputs", |(tx, _)| tx.body.outputs = List::default()),
        ("change_twice", |(tx, _)| {
            let [paid, change] = [tx.body.outputs[0].clone(), tx.body.outputs[1].clone()];
            let part = |units| Coin { amount: Amount::new(units), ..change.clone() };
            tx.body.outputs = List::truncated([paid, part(4), part(5)].into());
        }),
        ("value_made", |(_, inputs)| inputs[0].amount = Amount::new(9)),
        ("of_two_owners", |(_, inputs)| inputs[1].owner = signature(3)),
        ("step_zero", |(tx, _)| tx.step.seq = 0),
    ];
    let case = |(name, edit): Edit<(Transaction, Vec<Coin>)>| {
        let body = Body {
            version: BODY_VERSION,
            network: NetworkId::LOCAL,
            inputs: List::truncated([CoinId::new([1; 32]), CoinId::new([2; 32])].into()),
            outputs: List::truncated([coin(6, 2), coin(9, 1)].into()),
            memo: None,
            expires_at: None,
        };
        let step = Step { seq: 1, head: Head::new([3; 32]), root: Root::new([4; 32]) };
        let tx = Transaction { body, link: Link::new([5; 32]), step };
        let mut all = (tx, alloc::vec![coin(10, 1), coin(5, 1)]);
        edit(&mut all);
        let (tx, inputs) = all;
        let coins: Vec<&Coin> = inputs.iter().collect();
        let refused = tx.check(&coins, NetworkId::LOCAL).err();
        let code = refused.map(crate::transaction::TransactionError::code);
        let inputs: Vec<_> = inputs.iter().map(hex).collect();
        json!({ "name": name, "inputs": inputs, "transaction": hex(&tx), "code": code })
    };
    edits.into_iter().map(case).collect()
}

fn limits() -> Vec<Json> {
    let edits: [Edit<(AcceptPolicy, Facts)>; 9] = [
        ("good", |_| ()),
        ("a_tier_that_is_not_taken", |(policy, _)| policy.signed.accept = false),
        ("above_the_limit_of_a_payment", |(_, facts)| facts.amount = Amount::new(501)),
        ("above_the_limit_of_a_payer", |(_, facts)| facts.payer_outstanding = Amount::new(1501)),
        ("above_the_limit_of_all", |(policy, facts)| {
            (policy.signed.total, facts.total_outstanding) = (Some(10), Amount::new(501));
        }),
        ("a_lock_that_ends_too_soon", |(_, facts)| {
            (facts.tier, facts.settle_by) = (Tier::Sealed, Some(NOW.plus(24 * 60 * 60 - 1)));
        }),
        ("too_many_unsettled", |(policy, facts)| {
            (policy.max_unsettled, facts.payer_unsettled) = (Some(3), 3);
        }),
        ("certified_too_long_ago", |(policy, facts)| {
            policy.max_certified_age = Some(60);
            facts.certified_at = Some(Time::from_unix(NOW.unix() - 61));
        }),
        ("never_certified", |(policy, _)| policy.max_certified_age = Some(60)),
    ];
    let case = |(name, edit): Edit<(AcceptPolicy, Facts)>| {
        let mut all = (AcceptPolicy::default(), facts(500));
        edit(&mut all);
        let (policy, facts) = all;
        json!({
            "name": name, "policy": hex(&policy),
            "facts": {
                "tier": facts.tier.name(), "amount": facts.amount.units(), "decimals": facts.decimals,
                "payerOutstanding": facts.payer_outstanding.units(),
                "totalOutstanding": facts.total_outstanding.units(),
                "payerUnsettled": facts.payer_unsettled,
                "settleBy": facts.settle_by.map(Time::unix),
                "certifiedAt": facts.certified_at.map(Time::unix),
            },
            "code": policy.check(&facts, NOW).err().map(crate::accept::Refusal::code),
        })
    };
    edits.into_iter().map(case).collect()
}

/// Of coin 01…01, spent by transaction 02…02, by whoever knows no seal.
fn unlocks() -> Vec<Json> {
    let (coin, tx, until) = (CoinId::new([1; 32]), TxId::new([2; 32]), NOW.plus(1000));
    let sign = |by: u8| key(by).sign(&spend_digest(&coin, &tx));
    let consent = |by: u8| key(by).sign(&consent_digest(&coin, &tx));
    let (me, payee) = (key(1).public(), key(2).public());
    let reserved = Predicate::Reserved(Reserved { key: me.clone(), payee, until });
    let sealed = Predicate::Sealed(Sealed { key: me, slot: slot(5), until });
    let (alone, both) = (Unlock::Signature(sign(1)), Unlock::Reserved(sign(1), consent(2)));
    let proved = Unlock::Sealed(sign(1), fake_proof(&slot(5), &tx));
    let cases = [
        ("signed", signature(1), alone.clone(), NOW),
        ("signed_by_another", signature(1), Unlock::Signature(sign(2)), NOW),
        ("reserved_and_consented", reserved.clone(), both.clone(), NOW),
        ("reserved_and_locked", reserved.clone(), alone.clone(), NOW),
        ("reserved_until_now", reserved.clone(), alone.clone(), until),
        ("consented_by_another", reserved.clone(), Unlock::Reserved(sign(1), consent(3)), NOW),
        ("a_spend_is_no_consent", reserved.clone(), Unlock::Reserved(sign(1), sign(2)), NOW),
        ("sealed_and_locked", sealed.clone(), alone.clone(), NOW),
        ("sealed_until_now", sealed.clone(), alone, until),
        ("sealed_with_a_proof_that_does_not_count", sealed.clone(), proved.clone(), NOW),
        ("sealed_with_a_consent", sealed, both, NOW),
        ("reserved_with_a_proof", reserved, proved, NOW),
    ];
    let judge = Judge::of_certified(NetworkId::LOCAL, &NoSeals);
    let case = |(name, owner, unlock, at): (&str, Predicate, Unlock, Time)| {
        let refused = owner.check(&coin, &tx, &unlock, at, &judge).err();
        let code = refused.map(crate::predicate::UnlockError::code);
        json!({
            "name": name, "owner": hex(&owner), "coin": text(coin.as_bytes()),
            "transaction": text(tx.as_bytes()), "unlock": hex(&unlock), "at": at.unix(), "code": code,
        })
    };
    cases.into_iter().map(case).collect()
}

fn cards() -> Vec<Json> {
    let card_of = |person: &Person| person.card().open_card().expect("a good card");
    let card = card_of(&Person::new(1));
    let sealed = card_of(&Person::sealed(1, ENROLLED_UNTIL));
    let signed = |card: &Card, by: u8| Signed::card(card, &key(by)).expect("short");
    let with_key = |coefficients: &[u8], length: usize| {
        let mut key = alloc::vec![0; length];
        key[..coefficients.len()].copy_from_slice(coefficients);
        signed(&Card { session_key: Blob::new(key).expect("short"), ..card.clone() }, 1)
    };
    let old = Card { version: OLD_CARD_VERSION, ..card.clone() };
    let with_field = |key: u64, value: &[u8]| {
        let fields = Fields::default().with(key, value.to_vec()).expect("short");
        signed(&Card { fields, ..card.clone() }, 1)
    };
    let cases = [
        ("good", signed(&card, 1)),
        ("of_version_1", signed(&old, 1)),
        ("with_its_time", with_field(TIME, &[0x05])),
        ("with_an_unknown_field_that_is_odd", with_field(301, b"unknown")),
        ("with_an_unknown_field_that_is_even", with_field(300, b"unknown")),
        ("with_the_largest_coefficients", with_key(&[0x00, 0x0d, 0xd0], SESSION_KEY_BYTES)),
        ("with_a_first_coefficient_of_3329", with_key(&[0x01, 0x0d], SESSION_KEY_BYTES)),
        ("with_a_second_coefficient_of_3329", with_key(&[0, 0x10, 0xd0], SESSION_KEY_BYTES)),
        ("with_a_session_key_cut_short", with_key(&[], SESSION_KEY_BYTES - 1)),
        ("with_a_session_key_too_long", with_key(&[], SESSION_KEY_BYTES + 1)),
        ("another_version", signed(&Card { version: 9, ..card.clone() }, 1)),
        ("signed_by_another", signed(&card, 2)),
        ("with_the_enrollment_of_its_seal", signed(&sealed, 1)),
        ("with_the_enrollment_of_another_seal", signed(&Card { seal: card.seal, ..sealed }, 1)),
    ];
    let case = |(name, card): (&str, Signed)| {
        let code = card.open_card().err().map(SignedError::code);
        json!({ "name": name, "card": hex(&card), "code": code })
    };
    cases.into_iter().map(case).collect()
}

fn invoices() -> Vec<Json> {
    let mut scene = Scene::new(2, 0);
    let good = scene.invoice(1, 5);
    let with = |edit: fn(&mut Invoice)| {
        let mut invoice = good.clone();
        edit(&mut invoice);
        invoice
    };
    let unknown = |key| Fields::default().with(key, Vec::new()).expect("short");
    let payee = 2;
    let cases = [
        ("good", good.clone(), payee),
        ("another_version", with(|invoice| invoice.version = 1), payee),
        ("signed_by_another", good.clone(), 1),
        ("that_pays_another", with(|invoice| invoice.accept.owner = signature(1)), payee),
        ("with_its_time", with(|invoice| invoice.fields = Fields::at(NOW)), payee),
        ("with_an_odd_field", Invoice { fields: unknown(301), ..good.clone() }, payee),
        ("with_an_even_field", Invoice { fields: unknown(300), ..good.clone() }, payee),
    ];
    let case = |(name, invoice, by): (&str, Invoice, u8)| {
        let payload = to_bytes(&invoice);
        let signature = key(by).sign(&Signed::digest(Tag::Invoice, &payload));
        let signed = Signed::new(payload, signature).expect("short");
        let code = Invoice::open(&signed).err().map(SignedError::code);
        json!({ "name": name, "invoice": hex(&signed), "code": code })
    };
    cases.into_iter().map(case).collect()
}

/// What device 1 says to device 2 in a KEM ciphertext, which stands here for any.
fn hellos() -> Vec<Json> {
    let (me, to, ciphertext) = (Person::new(1), Person::new(2).id(), [7; 32]);
    let say = |generation: u64, fields: Fields, by: u8| {
        let card = me.card();
        let digest = Hello::digest(&card, &to, generation, &fields, &ciphertext);
        Hello { version: HELLO_VERSION, card, generation, fields, signature: key(by).sign(&digest) }
    };
    let unknown = |key| Fields::default().with(key, Vec::new()).expect("short");
    let good = say(9, Fields::at(NOW), 1);
    let card = Person::new(3).card();
    let cases = [
        ("good", good.clone(), to),
        ("another_version", Hello { version: 2, ..good.clone() }, to),
        ("signed_by_another", say(9, Fields::at(NOW), 3), to),
        ("with_the_card_of_another", Hello { card, ..good.clone() }, to),
        ("of_another_generation", Hello { generation: 10, ..good.clone() }, to),
        ("with_other_fields", Hello { fields: Fields::default(), ..good.clone() }, to),
        ("to_another", good, Person::new(3).id()),
        ("with_an_odd_field", say(9, unknown(301), 1), to),
        ("with_an_even_field", say(9, unknown(300), 1), to),
    ];
    let case = |(name, hello, to): (&str, Hello, DeviceId)| {
        let opened = Hello::open(&to_bytes(&hello), &to, &ciphertext);
        json!({
            "name": name, "hello": hex(&hello), "to": text(to.as_bytes()),
            "ciphertext": text(&ciphertext), "code": opened.as_ref().err().map(|e| e.code()),
            "digest": opened.ok().map(|greeted| text(greeted.digest.as_bytes())),
        })
    };
    cases.into_iter().map(case).collect()
}

/// A payment of 100 by device 1, and who looks at it.
fn histories() -> Vec<Json> {
    let edits: [Edit<(Chain, Knows)>; 6] = [
        ("good", |_| ()),
        ("of_an_unknown_asset", |(_, knows)| knows.policies.clear()),
        ("by_a_convicted_device", |(_, knows)| knows.bricked = alloc::vec![key(1).public()]),
        ("that_ends_and_is_not_certified", |(chain, _)| {
            let body = Body { expires_at: Some(NOW.plus(1000)), ..chain.body(signature(3)) };
            let signed = |coin: &CoinId, tx: &TxId| key(2).sign(&spend_digest(coin, tx));
            chain.push(body, |coin, tx| Unlock::Signature(signed(coin, tx)));
        }),
        ("above_what_its_policy_lets_pay_offline", |(chain, knows)| {
            *chain = Chain::of(|policy| policy.offline.cap = Some(Amount::new(99)), signature(1));
            chain.pay(1, signature(2));
            *knows = Knows { notary: None, ..chain.knows() };
        }),
        ("certified_by_a_network_that_is_not_known", |(chain, _)| {
            chain.certify(signature(1), Time::from_unix(NOW.unix() - 10));
        }),
    ];
    let case = |(name, edit): Edit<(Chain, Knows)>| {
        let mut chain = Chain::new();
        chain.pay(1, signature(2));
        let knows = Knows { notary: None, ..chain.knows() };
        let mut all = (chain, knows);
        edit(&mut all);
        let (chain, knows) = all;
        let bricked: Vec<_> = knows.bricked.iter().map(|key| text(key.as_bytes())).collect();
        json!({
            "name": name, "evidence": hex(&chain.evidence), "bricked": bricked,
            "policies": knows.policies.values().map(hex).collect::<Vec<_>>(),
            "code": knows.verify(&chain.evidence).err().map(EvidenceError::code),
        })
    };
    edits.into_iter().map(case).collect()
}

pub(super) fn rules() -> Json {
    json!({
        "about": "What each rule of POLICY, MINT, TX, ACCEPT, PRED, CARD, INV, HELLO, FIELD and EVID takes and refuses; no code where it holds.",
        "network": 3, "now": NOW.unix(),
        "policies": policies(), "mints": mints(), "transactions": transactions(),
        "limits": limits(), "unlocks": unlocks(), "cards": cards(),
        "invoices": invoices(), "hellos": hellos(), "histories": histories(),
    })
}
