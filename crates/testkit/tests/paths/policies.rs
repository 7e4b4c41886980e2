//! An asset's policy: as a file, beside a mint, and in a backup.

use std::collections::BTreeMap;

use tally_agent::Input;
use tally_core::amount::{Amount, MAX_DECIMALS};
use tally_core::cbor::List;
use tally_core::device;
use tally_core::evidence::Minted;
use tally_core::id::NetworkId;
use tally_core::policy::{Policy, Ticker};
use tally_core::predicate::Predicate;
use tally_testkit::{Scene, issuer, mint, policy};

use super::{compare, ended};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    File,
    Mint,
    Backup,
}

const PATHS: [Path; 3] = [Path::File, Path::Mint, Path::Backup];

/// One rule, and a policy, or a mint beside it, that breaks it.
type Case = (&'static str, fn(&mut Policy), fn(&mut Minted));

const CASES: [Case; 8] = [
    ("nothing is wrong", |_| (), |_| ()),
    ("its version is known", |policy| policy.version = 9, |_| ()),
    (
        "it has no more decimals than are allowed",
        |policy| policy.decimals = MAX_DECIMALS + 1,
        |_| (),
    ),
    ("so many issuers as must sign are named", |policy| policy.threshold = 2, |_| ()),
    ("no limit is zero", |policy| policy.max_supply = Some(Amount::ZERO), |_| ()),
    (
        "it is of this network",
        |policy| policy.network = NetworkId::new(9).expect("not zero"),
        |_| (),
    ),
    ("the mint beside it is signed", |_| (), |minted| minted.mint.signatures = List::default()),
    (
        "the mint beside it is to this device",
        |_| (),
        |minted| {
            let another = tally_testkit::Person::new(9).key().public();
            minted.mint.body.owner = Predicate::Signature(another);
            minted.mint.signatures = signed(minted);
        },
    ),
];

fn signed(minted: &Minted) -> List<tally_core::mint::IssuerSignature, 16> {
    let signature = issuer().sign(&minted.mint.body.digest());
    let signature = tally_core::mint::IssuerSignature { issuer: 0, signature };
    List::new(vec![signature]).expect("one")
}

/// What Alice makes of it, as a cell says it.
fn outcome((_, alter, alter_mint): &Case, path: Path) -> String {
    let mut scene = Scene::new(1, 0);
    let mut policy = policy(&issuer());
    policy.ticker = Ticker::new("NEW").expect("a ticker");
    alter(&mut policy);
    let asset = policy.id();
    let mine = Predicate::Signature(scene.people[0].key().public());
    let mut minted = mint(&issuer(), asset, 1, 0, 100, mine);
    alter_mint(&mut minted);
    let mint_is_wrong = minted.mint.body.owner.key() != &scene.people[0].key().public()
        || minted.mint.signatures.is_empty();
    let brings = device::Input::Policy(policy);
    let inputs = match path {
        Path::File | Path::Backup if mint_is_wrong => return "—".to_owned(),
        Path::File | Path::Backup => vec![brings],
        Path::Mint => vec![brings, device::Input::Mint(Box::new(minted))],
    };
    let came = ended(scene.give(0, Input::Wish(inputs)));
    let (now, alice) = (scene.now, &mut scene.people[0]);
    if path == Path::Backup {
        let backup = alice.back_up();
        alice.restore(now, &backup, false);
    }
    alice.restart(now);
    let (known, has) = (alice.device().policies().contains_key(&asset), alice.balance(&asset));
    match came {
        Ok(_) if path == Path::Mint => {
            assert_eq!((known, has), (true, 100), "both");
            "known".to_owned()
        }
        Ok(_) => {
            assert!(known, "it is durable");
            "known".to_owned()
        }
        Err(why) => {
            assert_eq!((known, has), (false, 0), "neither");
            // What is refused as a file is in no backup.
            if path == Path::Backup { "—".to_owned() } else { format!("`{}`", why.code()) }
        }
    }
}

#[test]
fn what_must_hold_of_a_policy_does_so_on_every_path_as_the_table_says() {
    let walked = |case: &Case| {
        let cells: Vec<String> = PATHS.iter().map(|path| outcome(case, *path)).collect();
        (case.0.to_owned(), cells)
    };
    let found: BTreeMap<String, Vec<String>> = CASES.iter().map(walked).collect();
    compare("what must hold of a policy", &found);
}
