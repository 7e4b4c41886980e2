use std::collections::BTreeMap;

use tally_core::amount::Amount;
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::device::{Device, Input, Sign};
use tally_core::id::{DeviceId, TxId};
use tally_core::message::Message;
use tally_sim::{Scene, check};

const PEOPLE: usize = 3;

/// Messages on their way: from whom, to whom, which bytes.
type Network = Vec<(usize, usize, Vec<u8>)>;

/// Whatever is lost, repeated, altered or forgotten: no value is made or lost, no step is signed
/// twice, and nobody is convicted. Each operation is three bytes: what, who and with what.
pub fn trade(bytes: &[u8]) {
    let mut scene = Scene::new(3, 1000);
    scene.mint_to(1, 300);
    let (mut network, mut steps) = (Network::new(), BTreeMap::new());
    for &[what, who, with] in bytes.as_chunks::<3>().0.iter().take(64) {
        act(&mut scene, &mut network, what % 10, usize::from(who), with);
        collect(&mut scene, &mut network, &mut steps);
        let all: Vec<&Device> = scene.people.iter().map(|person| &person.device).collect();
        check::conserves(&all, &scene.asset).expect("value comes from its payer");
        check::nothing_is_lost(&all, &scene.asset, scene.minted).expect("nothing is lost or made");
        check::convicts_nobody_honest(&all).expect("all are honest");
    }
}

fn act(scene: &mut Scene, network: &mut Network, what: u8, who: usize, with: u8) {
    let (one, other) = (who % PEOPLE, (who + 1 + who / PEOPLE % (PEOPLE - 1)) % PEOPLE);
    let contact: DeviceId = scene.id(other);
    let asset = scene.asset;
    // A wish that cannot be met changes nothing.
    let mut tell = |input| drop(scene.people[one].tell(input));
    match what {
        0 => tell(Input::Pay { payee: contact, asset, amount: Amount::new(with.into()) }),
        1 => tell(Input::Retry { payee: contact }),
        2 => tell(Input::Meet { contact }),
        3 => scene.people[one].crash(),
        _ if network.is_empty() => {}
        4 => drop(network.remove(usize::from(with) % network.len())),
        5 => network.push(network[usize::from(with) % network.len()].clone()),
        6 => {
            let (from, to, mut bytes) = network[0].clone();
            let at = who.wrapping_mul(7) % bytes.len();
            bytes[at] ^= with.max(1);
            hear(scene, from, to, &bytes);
        }
        _ => {
            let place = if what == 7 { usize::from(with) % network.len() } else { 0 };
            let (from, to, bytes) = network.remove(place);
            hear(scene, from, to, &bytes);
        }
    }
}

fn hear(scene: &mut Scene, from: usize, to: usize, bytes: &[u8]) {
    let Ok(message) = from_bytes::<Message>(bytes) else { return };
    let from = scene.id(from);
    scene.people[to].hear(from, &message).expect("a message from a contact is heard");
}

fn collect(scene: &mut Scene, network: &mut Network, steps: &mut BTreeMap<(usize, u64), TxId>) {
    for person in 0..PEOPLE {
        while let Some((to, message)) = scene.people[person].out.pop_front() {
            let to = scene.who(&to).expect("contacts are in the scene");
            network.push((person, to, to_bytes(&message)));
        }
        for sign in scene.people[person].signed.drain(..) {
            if let Sign::Spend { tx, seq, .. } = sign {
                assert_eq!(*steps.entry((person, seq)).or_insert(tx), tx, "one payment a step");
            }
        }
    }
    network.truncate(64);
}
