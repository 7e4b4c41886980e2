//! `spec/paths.md`: what must hold of a contact card and of an asset's policy, on every path by which one comes
//! to an agent.

#[path = "paths/network.rs"]
mod network;
#[path = "paths/policies.rs"]
mod policies;

use std::collections::BTreeMap;

use tally_agent::{AgentError, Goal, Input};
use tally_core::card::{Card, Name, Signed};
use tally_core::cbor::Blob;
use tally_core::device::{self, Contact, Meeting, Mode};
use tally_core::fields::Fields;
use tally_core::hash::Tag;
use tally_core::id::{DeviceId, NetworkId};
use tally_core::time::Time;
use tally_testkit::{Chip, Ended, Given, NOW, Person, Scene};

/// How a card of Bob's (1) comes to Alice (0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    /// She imports a file or a code.
    File,
    /// He says hello on a connection.
    Hello,
    /// He says hello in a packet that she takes as a file: a payment.
    Packet,
    /// On an invoice of his, which she pays.
    Invoice,
    /// In her own backup, from which she comes back.
    Backup,
}

const PATHS: [Path; 5] = [Path::File, Path::Hello, Path::Packet, Path::Invoice, Path::Backup];

/// One rule, and a card that breaks it and no other.
struct Case {
    rule: &'static str,
    /// What Alice knows of Bob before, if anything: a card that he made then.
    knows: Option<u64>,
    /// Whether she was restored from a backup before.
    restored: bool,
    card: fn(&Person) -> Signed,
}

/// When Bob makes his cards.
const EARLIER: u64 = NOW.unix() - 200;
const THEN: u64 = NOW.unix() - 100;
const LATER: u64 = NOW.unix();

const GOOD: Case =
    Case { rule: "nothing is wrong", knows: None, restored: false, card: |bob| made_at(bob, THEN) };

fn of(rule: &'static str, card: fn(&Person) -> Signed) -> Case {
    Case { rule, card, ..GOOD }
}

fn made_at(bob: &Person, at: u64) -> Signed {
    bob.card_made_at(Time::from_unix(at))
}

/// Bob's card with something else in it, signed well.
fn altered(bob: &Person, alter: impl FnOnce(&mut Card)) -> Signed {
    let mut card = bob.card().open_card().expect("a good card");
    alter(&mut card);
    Signed::card(&card, bob.key()).expect("short")
}

/// A card whose name begins with what cannot be seen.
fn with_a_bad_name(bob: &Person) -> Signed {
    let mut payload = bob.card().payload().to_vec();
    let name = bob.card().open_card().expect("a good card").name;
    let name = name.as_str().as_bytes();
    let at = payload.windows(name.len()).position(|part| part == name).expect("its name");
    payload[at] = 7;
    let signature = bob.key().sign(&Signed::digest(Tag::Card, &payload));
    Signed::new(payload, signature).expect("short")
}

fn cases() -> Vec<Case> {
    vec![
        GOOD,
        of("its version is known", |bob| altered(bob, |card| card.version = 3)),
        of("its name is one", with_a_bad_name),
        of("its owner signed it", |bob| {
            let digest = Signed::digest(Tag::Card, bob.card().payload());
            let by = Person::new(77).key().sign(&digest);
            Signed::new(bob.card().payload().to_vec(), by).expect("short")
        }),
        of("it is of this network", |bob| {
            altered(bob, |card| card.network = NetworkId::new(9).expect("not zero"))
        }),
        // He shows another's card, whose key he has not: theirs whose card it is.
        of("it is not of the receiver's own key", |_| Person::sealed(1).card()),
        of("every field that counts is known", |bob| {
            let field = Fields::default().with(2, Vec::new()).expect("short");
            altered(bob, |card| card.fields = field)
        }),
        of("its enrollment is of its own seal", |bob| {
            let another = Chip::new(9).certificate().clone();
            altered(bob, |card| card.enrollment = Some(another))
        }),
        of("its session key is one", |bob| {
            altered(bob, |card| card.session_key = Blob::new(vec![0; 7]).expect("short"))
        }),
        Case {
            rule: "it is newer than the one that is known",
            knows: Some(THEN),
            card: |bob| made_at(bob, EARLIER),
            ..GOOD
        },
        Case {
            rule: "its owner is known by another name",
            knows: Some(THEN),
            card: |bob| {
                altered(bob, |card| {
                    card.name = Name::new("another").expect("a name");
                    card.fields = Fields::at(Time::from_unix(LATER));
                })
            },
            ..GOOD
        },
        Case { rule: "nobody waits for whom only the restored know", restored: true, ..GOOD },
    ]
}

/// Alice, who knows of Bob what she knows, and Bob, who has something, and knows her.
fn scene(case: &Case) -> Scene {
    let mut scene = Scene::with(vec![Person::new(1), Person::new(2)], 1000);
    scene.mint_to(1, 1000);
    let (now, bob) = (scene.now, scene.id(1));
    let known = case.knows.map(|at| made_at(&scene.people[1], at));
    let alice = &mut scene.people[0];
    alice.wish(now, device::Input::RemoveContact(bob)).expect("nothing rests on him");
    if let Some(card) = known {
        alice.wish(now, device::Input::Contact(card)).expect("a good card");
    }
    if case.restored {
        let backup = alice.back_up();
        alice.restore(now, &backup, false);
        assert_eq!(*alice.device().mode(), Mode::ReceiveOnly);
    }
    scene
}

/// What comes of a packet on a connection that Alice serves, and that ends after it.
fn serve(scene: &mut Scene) -> Result<(), AgentError> {
    let contact = scene.id(0);
    let (theirs, mine) = (scene.people[1].next_conn(), scene.people[0].next_conn());
    let goal = Goal::Meet { contact };
    let said = scene.give(1, Input::Opened { conn: theirs, goal }).expect("he connects").on(theirs);
    scene.give(0, Input::Opened { conn: mine, goal: Goal::Serve }).expect("she serves");
    for bytes in said {
        let heard = ended(scene.give(0, Input::Packet { conn: mine, bytes }))?;
        if let Some(Err(why)) = heard.end_of(mine) {
            return Err(why);
        }
    }
    Ok(())
}

fn ended(given: Result<Given, Ended>) -> Result<Given, AgentError> {
    given.map_err(|ended| match ended {
        Ended::Refused(why) => why,
        Ended::Disk(error) => unreachable!("{error}"),
    })
}

/// The card comes to Alice; nothing if it cannot come this way.
fn comes(scene: &mut Scene, case: &Case, path: Path) -> Option<Result<(), AgentError>> {
    let (now, card) = (scene.now, (case.card)(&scene.people[1]));
    if path == Path::File {
        let card = device::Input::Contact(card);
        return Some(ended(scene.people[0].wish(now, card)).map(drop));
    }
    if path == Path::Backup {
        return by_backup(scene, case, card);
    }
    let renewed = Input::Renew { card: Box::new(card) };
    scene.give(1, renewed).expect("whatever his wallet is");
    match path {
        Path::Hello => Some(serve(scene)),
        Path::Packet => {
            let asked = scene.invoice(0, 10).expect("she asks");
            let paid = scene.give(1, Input::PayInvoice(Box::new(asked))).expect("he pays");
            let bytes = paid.files().remove(0);
            let heard = ended(scene.give(0, Input::File { bytes, agree: false }));
            Some(
                heard.and_then(|given| {
                    given.over.into_iter().try_for_each(|(_, end)| end.map(drop))
                }),
            )
        }
        Path::Invoice => {
            let asked = scene.invoice(1, 10).expect("he asks");
            Some(ended(scene.give(0, Input::PayInvoice(Box::new(asked)))).map(drop))
        }
        Path::File | Path::Backup => None,
    }
}

/// She made a backup when she knew this card of his and no other. What is refused by every other path is in
/// no backup.
fn by_backup(scene: &mut Scene, case: &Case, card: Signed) -> Option<Result<(), AgentError>> {
    let mut then = self::scene(&Case { knows: None, restored: false, ..*case });
    let now = scene.now;
    then.people[0].wish(now, device::Input::Contact(card)).ok()?;
    let backup = then.people[0].back_up();
    scene.people[0].restore(now, &backup, false);
    Some(Ok(()))
}

fn known(scene: &Scene, bob: DeviceId) -> Option<Contact> {
    scene.people[0].device().contacts().get(&bob).cloned()
}

/// What became of it, as a cell says it.
fn outcome(case: &Case, path: Path) -> String {
    let mut scene = scene(case);
    let bob = scene.id(1);
    let before = known(&scene, bob);
    let card = (case.card)(&scene.people[1]);
    match comes(&mut scene, case, path) {
        None => return "—".to_owned(),
        Some(Err(why)) => {
            assert_eq!(known(&scene, bob), before, "what is refused changes nothing");
            return format!("`{}`", why.code());
        }
        Some(Ok(())) => {}
    }
    let contact = known(&scene, bob).expect("he is known");
    scene.restart(0);
    assert_eq!(known(&scene, bob).as_ref(), Some(&contact), "what is known is durable");
    if case.restored {
        return if contact.met == Meeting::New { "not waited for" } else { "waited for" }
            .to_owned();
    }
    let Some(before) = before else {
        return if contact.stranger.is_some() { "stranger" } else { "contact" }.to_owned();
    };
    let taken = if *contact.card == card { "taken" } else { "the known one stays" };
    let renamed = taken == "taken" && contact.name != before.name;
    if renamed { "taken, with the name".to_owned() } else { taken.to_owned() }
}

/// The rows of the table in the specification: rule, and a cell a path.
fn table(heading: &str) -> BTreeMap<String, Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/paths.md");
    let text = std::fs::read_to_string(path).expect("the specification");
    let first = format!("| {heading} |");
    let rows = text.lines().skip_while(|line| !line.starts_with(&first));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let row = |row: &str| {
        let cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let mut cells: Vec<String> = cells.collect();
        let rule = cells.remove(0);
        (rule, cells[1..].to_vec())
    };
    rows.map(row).collect()
}

/// Holds a table in the specification against what was found: a row for each rule, and no other.
fn compare(heading: &str, found: &BTreeMap<String, Vec<String>>) {
    let table = table(heading);
    let differs = |(rule, cells): &(&String, &Vec<String>)| table.get(*rule) != Some(cells);
    let differing: Vec<String> = found
        .iter()
        .filter(differs)
        .map(|(rule, cells)| format!("| {rule} | | {} |", cells.join(" | ")))
        .collect();
    assert!(differing.is_empty(), "spec/paths.md says otherwise of:\n{}", differing.join("\n"));
    assert!(table.keys().eq(found.keys()), "the table has a row for each case, and no other");
}

#[test]
fn what_must_hold_of_a_card_does_so_on_every_path_as_the_table_says() {
    let walked = |case: &Case| {
        let cells: Vec<String> = PATHS.iter().map(|path| outcome(case, *path)).collect();
        (case.rule.to_owned(), cells)
    };
    compare("what must hold of a card", &cases().iter().map(walked).collect());
}
