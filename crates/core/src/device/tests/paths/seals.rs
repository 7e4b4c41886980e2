//! `spec/paths.md`: whose word for a seal counts, and which revocation list is heard, on every path.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::scene::{LOCK, NOW, Person, Scene};
use super::super::sealed;
use super::super::tpm::{ENROLLED_UNTIL, FakeTpm, enroller, revocation};
use super::{compare, next};
use crate::card::Signed;
use crate::cbor::List;
use crate::device::{Change, Event, Input};
use crate::id::NetworkId;
use crate::keys::SecretKey;
use crate::message::{Findings, Message};
use crate::seal::{Revocation, RevocationTerms, SealCertificate, SealIdentity, SealTerms};

/// Whose word counts for no asset here.
fn nobody() -> SecretKey {
    SecretKey::new([0x77; 32]).expect("a scalar")
}

fn elsewhere() -> NetworkId {
    NetworkId::new(9).expect("not zero")
}

/// How a certificate of Alice's (0) seal comes to whoever decides whether it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    /// Alice is enrolled, and pays.
    Own,
    /// On a card that Bob (1) imports, before she offers him something.
    Card,
    /// On a newer card, with which she says hello.
    Hello,
    /// Beside the coins that she offers.
    Offer,
    /// Beside the coins with which she pays an invoice.
    Payment,
}

const PATHS: [Path; 5] = [Path::Own, Path::Card, Path::Hello, Path::Offer, Path::Payment];

/// One rule, and a certificate that breaks it and no other.
struct Case {
    rule: &'static str,
    certificate: fn() -> SealCertificate,
    /// Whether its enroller has taken it back.
    is_revoked: bool,
}

fn altered(alter: fn(&mut SealTerms), key: &SecretKey) -> SealCertificate {
    let mut terms = FakeTpm::new(1).enrolled(ENROLLED_UNTIL).terms().clone();
    alter(&mut terms);
    SealCertificate::issue(terms, key)
}

fn cases() -> Vec<Case> {
    let of = |rule, certificate| Case { rule, certificate, is_revoked: false };
    let good = || FakeTpm::new(1).enrolled(ENROLLED_UNTIL);
    alloc::vec![
        of("nothing is wrong", good),
        of("its enroller issued it", || altered(|_| (), &nobody())),
        of("it is of this network", || altered(|terms| terms.network = elsewhere(), &enroller())),
        of("the asset names its enroller", || {
            FakeTpm::new(1).enrolled_by(ENROLLED_UNTIL, &nobody(), false)
        }),
        of("it lasts until the lock ends", || FakeTpm::new(1).enrolled(NOW.plus(LOCK - 1))),
        of("it is of the coin's seal", || FakeTpm::new(9).enrolled(ENROLLED_UNTIL)),
        Case { rule: "its enroller has not taken it back", certificate: good, is_revoked: true },
    ]
}

/// Alice's card with this certificate or none.
fn card(alice: &Person, certificate: Option<SealCertificate>) -> Signed {
    let card = alice.card().open_card().expect("a good card");
    Signed::card(&crate::card::Card { enrollment: certificate, ..card }, &alice.key).expect("short")
}

/// Alice has a coin under her seal; of that Bob knows nothing, but that there is one.
fn unknown() -> Scene {
    let mut scene = sealed::scene(2);
    let alice = scene.id(0);
    let bare = card(&scene.people[0], None);
    scene.people[1].tell(Input::RemoveContact(alice)).expect("nothing rests on her");
    scene.people[1].tell(Input::Contact(bare)).expect("a good card");
    scene
}

/// Alice decides herself, by this certificate alone.
fn own(case: &Case) -> String {
    let mut scene = sealed::scene(2);
    let asset = scene.asset;
    let coins = scene.people[0].device.ledger().pockets().cloned().collect::<Vec<_>>();
    let bob = scene.people[1].card();
    let mut alice = Person::hardware(1);
    alice.tell(Input::Policy(scene.people[1].device.policies()[&asset].clone())).expect("good");
    alice.tell(Input::Contact(bob)).expect("a good card");
    coins.into_iter().for_each(|coin| alice.device.apply(Change::Pocket(coin.into())));
    if let Err(error) = alice.tell(Input::Enrolled((case.certificate)().into())) {
        return alloc::format!("`{}`", error.code());
    }
    if case.is_revoked {
        let list = revocation(1, alice.device.me().seal);
        alice.tell(Input::Revoked(list.into())).expect("a newer list");
    }
    scene.people[0] = alice;
    match scene.start(0, 1, 10) {
        Ok(()) => "counts".to_string(),
        Err(error) => alloc::format!("`{}`", error.code()),
    }
}

/// What Bob does with a payment of Alice's, whose certificate comes by this path.
fn outcome(case: &Case, path: Path) -> String {
    if path == Path::Own {
        return own(case);
    }
    let mut scene = unknown();
    let (alice, certificate) = (scene.id(0), (case.certificate)());
    if case.is_revoked {
        let list = revocation(1, scene.people[0].device.me().seal);
        scene.people[1].tell(Input::Revoked(list.into())).expect("a newer list");
    }
    let on_card = card(&scene.people[0], Some(certificate.clone()));
    let imported = match path {
        Path::Card => scene.people[1].tell(Input::Contact(on_card)),
        Path::Hello => scene.people[1].tell(Input::Stranger(on_card)),
        Path::Own | Path::Offer | Path::Payment => Ok(()),
    };
    if let Err(error) = imported {
        return alloc::format!("`{}`", error.code());
    }
    let along = List::truncated([certificate].into());
    let message = if path == Path::Payment {
        let invoice = scene.invoice(1, 10);
        scene.pay_invoice(0, 1, &invoice);
        let Some(Message::Payment(mut payment)) = next(&mut scene, 0) else { panic!("a payment") };
        payment.offer.evidence.enrollments = along;
        Message::Payment(payment)
    } else {
        scene.start(0, 1, 10).expect("an offer");
        let Some(Message::Offer(mut offer)) = next(&mut scene, 0) else { panic!("an offer") };
        if path == Path::Offer {
            offer.evidence.enrollments = along;
        }
        Message::Offer(offer)
    };
    let bob = &mut scene.people[1];
    bob.out.clear();
    bob.hear(alice, &message).expect("a contact is heard");
    let answers = bob.out.iter().any(|(_, message)| matches!(message, Message::Accept(_)));
    let told = bob.events.iter().find_map(|event| match event {
        Event::Refused { reason, .. } => Some(alloc::format!("`{}`", reason.code)),
        Event::Received { tier, .. } => Some(alloc::format!("{tier:?}")),
        _ => None,
    });
    let counts = answers || told.as_deref() == Some("Sealed");
    if counts { "counts".to_string() } else { told.expect("one or the other") }
}

#[test]
fn whose_word_for_a_seal_counts_does_so_on_every_path_as_the_table_says() {
    let walked = |case: &Case| {
        let cells: Vec<String> = PATHS.iter().map(|path| outcome(case, *path)).collect();
        (case.rule.to_string(), cells)
    };
    compare("what must hold of a certificate", &cases().iter().map(walked).collect());
}

/// One rule, and a list that breaks it and no other, for a device that knows list 2.
type Listed = (&'static str, fn(SealIdentity) -> Revocation);

fn listed(seal: SealIdentity, network: NetworkId, by: &SecretKey, key: &SecretKey) -> Revocation {
    let SealIdentity::Hardware(seal) = seal else { panic!("no hardware") };
    let terms = RevocationTerms::new(network, by.public(), 3, [seal].into());
    Revocation::issue(terms.expect("one seal"), key)
}

const LISTS: [Listed; 6] = [
    ("nothing is wrong", |seal| revocation(3, seal)),
    ("an asset here names its enroller", |seal| {
        listed(seal, NetworkId::LOCAL, &nobody(), &nobody())
    }),
    ("it is newer than the one that is known", |seal| revocation(1, seal)),
    ("it is not the one that is known", |seal| revocation(2, seal)),
    ("its enroller has signed it", |seal| listed(seal, NetworkId::LOCAL, &enroller(), &nobody())),
    ("it is of this network", |seal| listed(seal, elsewhere(), &enroller(), &enroller())),
];

/// What Bob does with a list that he imports, or that Alice tells him at a meeting.
fn heard(make: fn(SealIdentity) -> Revocation, meets: bool) -> String {
    let mut scene = sealed::scene(2);
    let (alice, seal) = (scene.id(0), scene.people[0].device.me().seal);
    let bob = &mut scene.people[1];
    bob.tell(Input::Revoked(revocation(2, seal).into())).expect("a newer list");
    let (list, before) = (make(seal), bob.device.revocations().clone());
    let told = if meets {
        let lists = List::truncated([list].into());
        bob.hear(alice, &Message::Findings(Findings { lists, ..Findings::default() }))
    } else {
        bob.tell(Input::Revoked(list.into()))
    };
    let changed = *bob.device.revocations() != before;
    let after = bob.device.revocations().clone();
    bob.restart();
    assert_eq!(*bob.device.revocations(), after, "what is known is durable");
    match told {
        Ok(()) if changed => "heard".to_string(),
        Ok(()) => "nothing".to_string(),
        Err(error) => {
            assert!(!changed, "what is refused changes nothing");
            alloc::format!("`{}`", error.code())
        }
    }
}

#[test]
fn which_list_is_heard_is_so_on_every_path_as_the_table_says() {
    let walked = |(rule, make): &Listed| {
        let cells = [false, true].map(|meets| heard(*make, meets));
        ((*rule).to_string(), cells.to_vec())
    };
    let found: BTreeMap<String, Vec<String>> = LISTS.iter().map(walked).collect();
    compare("what must hold of a list", &found);
}
