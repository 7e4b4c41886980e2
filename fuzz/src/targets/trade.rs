use std::collections::BTreeMap;

use tally_core::amount::Amount;
use tally_core::cbor::{from_bytes, to_bytes};
use tally_core::device::{Device, Input, Sign};
use tally_core::id::{AssetId, DeviceId, TxId};
use tally_core::keys::SecretKey;
use tally_core::message::Message;
use tally_sim::{Bare, Effects, check};
use tally_testkit::Scene;

const PEOPLE: usize = 3;

/// Messages on their way: from whom, to whom, which bytes.
type Network = Vec<(usize, usize, Vec<u8>)>;

/// The people's devices, what is on its way between them, and what each signed by step.
struct Trade {
    keys: Vec<SecretKey>,
    devices: Vec<Bare>,
    asset: AssetId,
    network: Network,
    steps: BTreeMap<(usize, u64), TxId>,
}

/// Whatever is lost, repeated, altered or forgotten: no value is made or lost, no step is signed
/// twice, and nobody is convicted. Each operation is three bytes: what, who and with what.
pub fn trade(bytes: &[u8]) {
    let mut trade = Trade::new(&[1000, 300]);
    for &[what, who, with] in bytes.as_chunks::<3>().0.iter().take(64) {
        trade.act(what % 10, usize::from(who), with);
        trade.network.truncate(64);
        let all: Vec<&Device> = trade.devices.iter().map(|bare| &bare.device).collect();
        check::conserves(&all, &trade.asset).expect("value comes from its payer");
        check::nothing_is_lost(&all, &trade.asset, 1300).expect("nothing is lost or made");
        check::convicts_nobody_honest(&all).expect("all are honest");
    }
}

impl Trade {
    /// The devices of a scene, the first of which have these units.
    fn new(units: &[u64]) -> Self {
        let mut scene = Scene::new(3, 0);
        units.iter().enumerate().for_each(|(person, units)| scene.mint_to(person, *units));
        Self {
            keys: scene.people.iter().map(|person| person.key().clone()).collect(),
            devices: scene.people.iter().map(Bare::of).collect(),
            asset: scene.asset,
            network: Network::new(),
            steps: BTreeMap::new(),
        }
    }

    fn act(&mut self, what: u8, who: usize, with: u8) {
        let (one, other) = (who % PEOPLE, (who + 1 + who / PEOPLE % (PEOPLE - 1)) % PEOPLE);
        let contact: DeviceId = self.devices[other].device.id();
        let (asset, amount) = (self.asset, Amount::new(with.into()));
        let place = usize::from(with) % self.network.len().max(1);
        match what {
            0 => self.wish(one, Input::Pay { payee: contact, asset, amount }),
            1 => self.wish(one, Input::Retry { payee: contact }),
            2 => self.wish(one, Input::Meet { contact }),
            3 => self.devices[one].crash(),
            _ if self.network.is_empty() => {}
            4 => drop(self.network.remove(place)),
            5 => self.network.push(self.network[place].clone()),
            6 => {
                let (from, to, mut bytes) = self.network[0].clone();
                let at = who.wrapping_mul(7) % bytes.len();
                bytes[at] ^= with.max(1);
                self.hear(from, to, &bytes);
            }
            _ => {
                let (from, to, bytes) = self.network.remove(if what == 7 { place } else { 0 });
                self.hear(from, to, &bytes);
            }
        }
    }

    /// A wish that cannot be met changes nothing.
    fn wish(&mut self, person: usize, input: Input) {
        let effects = self.devices[person].act(&self.keys[person], input);
        self.follow(person, effects.unwrap_or_default());
    }

    fn hear(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let Ok(message) = from_bytes::<Message>(bytes) else { return };
        let from = self.devices[from].device.id();
        let nonce = self.devices[to].nonce_for(&message);
        let input = Input::Message { from, message: Box::new(message), nonce };
        let effects = self.devices[to].act(&self.keys[to], input);
        self.follow(to, effects.expect("a message from a contact is heard"));
    }

    fn follow(&mut self, person: usize, effects: Effects) {
        for (to, message) in effects.send {
            let to = self.devices.iter().position(|bare| bare.device.id() == to);
            let to = to.expect("contacts are in the scene");
            self.network.push((person, to, to_bytes(&message)));
        }
        for sign in effects.signed {
            if let Sign::Spend { tx, seq, .. } = sign {
                assert_eq!(
                    *self.steps.entry((person, seq)).or_insert(tx),
                    tx,
                    "one payment a step"
                );
            }
        }
    }
}
