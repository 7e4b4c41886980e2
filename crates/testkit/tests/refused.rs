//! Whatever an agent refuses leaves it, and its disk, as they were.

use proptest::prelude::*;
use tally_agent::{Goal, Input};
use tally_core::amount::Amount;
use tally_core::card::Name;
use tally_core::device::{self, Basis};
use tally_core::fields::Fields;
use tally_core::id::{AssetId, DeviceId, Nonce, TxId};
use tally_core::invoice::{INVOICE_VERSION, Invoice};
use tally_core::message::Accept;
use tally_core::predicate::Predicate;
use tally_core::tier::Tier;
use tally_testkit::{Person, Scene};

/// An invoice that is over, or asks for what nobody has.
fn unpayable(scene: &Scene, units: u64) -> Invoice {
    let payee = &scene.people[1];
    let owner = Predicate::Signature(payee.key().public());
    Invoice {
        version: INVOICE_VERSION,
        card: payee.card(),
        asset: scene.asset,
        amount: Amount::new(units),
        accept: Accept { nonce: Nonce::new([3; 16]), owner },
        expires_at: if units.is_multiple_of(2) { scene.now } else { scene.now.plus(60) },
        least: Tier::Certified,
        fields: Fields::default(),
    }
}

fn wishes(scene: &Scene, pick: u8, units: u64) -> Input {
    let (payee, asset, amount) = (scene.id(1), scene.asset, Amount::new(units));
    let nobody = DeviceId::new([9; 32]);
    let wish = match pick % 16 {
        0 => {
            return Input::Opened {
                conn: tally_agent::Conn(units),
                goal: Goal::Pay { payee, asset, amount },
            };
        }
        1 => {
            return Input::Opened {
                conn: tally_agent::Conn(units),
                goal: Goal::Meet { contact: nobody },
            };
        }
        2 => {
            return Input::File {
                bytes: vec![pick; usize::from(pick)],
                agree: pick.is_multiple_of(2),
            };
        }
        3 => return Input::Invoice { asset: AssetId::new([pick; 32]), amount, valid_for: 60 },
        4 => device::Input::Release { payee, asset },
        5 => device::Input::Refresh { asset },
        6 => device::Input::Agree { tx: TxId::new([pick; 32]) },
        7 => device::Input::RemoveContact(nobody),
        8 => device::Input::PayInvoice { payee, invoice: Box::new(unpayable(scene, units)) },
        9 => return Input::PayInvoice(Box::new(scene.people[1].card())),
        10 => device::Input::ConfirmRecovery(Basis::OwnersWord),
        11 => device::Input::Pay { payee, asset, amount },
        12 => device::Input::Contact(scene.people[0].card()),
        13 => return Input::Release { payee, asset },
        14 => device::Input::GiveUp { contact: nobody },
        _ => device::Input::Reserve { payee, asset, amount, until: scene.now.plus(60) },
    };
    Input::Wish(vec![wish])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_refused_input_changes_nothing(picks in prop::collection::vec((any::<u8>(), any::<u64>()), 1..12)) {
        let mut scene = Scene::new(2, 100);
        for (pick, units) in picks {
            let (memory, writes) = (scene.people[0].memory(), scene.people[0].disk.writes);
            let input = wishes(&scene, pick, units);
            if scene.give(0, input).is_err() {
                prop_assert!(scene.people[0].memory() == memory, "{}", pick);
                prop_assert_eq!(scene.people[0].disk.writes, writes);
            }
        }
        scene.pay(0, 1, 100).unwrap();
    }
}

#[test]
fn of_several_wishes_all_are_met_or_none() {
    let mut scene = Scene::new(1, 0);
    let stranger = Person::new(40);
    let good = device::Input::Contact(stranger.card());
    let bad = device::Input::RemoveContact(DeviceId::new([9; 32]));
    let before = scene.people[0].device().clone();
    let wishes = Input::Wish(vec![good.clone(), bad]);
    assert!(scene.give(0, wishes).is_err());
    assert_eq!(scene.people[0].device(), &before);
    scene.give(0, Input::Wish(vec![good])).unwrap();
    let named = scene.people[0].device().contacts().values().next().unwrap().name.clone();
    assert_eq!(named, Name::new("person 40").unwrap());
}
