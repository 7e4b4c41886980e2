//! Random lives of a few agents: they pay over connections that break, by codes that get lost, lose
//! power, restart, and are without their key for a while. Whatever happens, every wallet opens and
//! pays a third person in the end, nobody is convicted, and no money comes or goes.
//!
//! `LIVES=10000 cargo test --release -p tally-testkit --test lives` lives more of them, and
//! `LIFE=7` one.

use tally_agent::{Goal, Input};
use tally_core::amount::Amount;
use tally_testkit::Scene;

const PEOPLE: usize = 3;
const UNITS: u64 = 1000;

/// Numbers that follow from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).expect("less than a usize")
    }

    fn two(&mut self) -> (usize, usize) {
        let one = self.below(PEOPLE);
        (one, (one + 1 + self.below(PEOPLE - 1)) % PEOPLE)
    }
}

/// One thing happens. What fails is refused or cut off; the end shows what became of it.
fn happen(scene: &mut Scene, random: &mut Random) {
    let (one, other) = random.two();
    let units = 1 + random.next() % 60;
    match random.below(12) {
        0..=2 => {
            let _ = scene.pay(one, other, units);
        }
        3 => {
            scene.cut_after = Some(random.below(9));
            let _ = scene.pay(one, other, units);
        }
        4 => {
            scene.cut_after = Some(random.below(9));
            let _ = scene.meet(one, other);
        }
        5 => {
            let payee = scene.id(other);
            let _ = scene.connect(one, other, Goal::Resend { payee });
        }
        6 | 7 => pay_by_code(scene, random, one, other, units),
        8 => {
            let after = random.below(2) == 0;
            scene.people[one].disk.fuse =
                Some((u32::try_from(random.below(4)).unwrap_or(0), after));
            let _ = scene.pay(one, other, units);
            scene.people[one].disk.fuse = None;
            scene.restart(one);
        }
        9 => {
            scene.people[one].disk.lose_sessions();
            scene.restart(one);
        }
        10 => {
            scene.people[one].key_is_here = !scene.people[one].key_is_here;
            scene.restart(one);
        }
        _ => scene.restart(one),
    }
}

/// An invoice, a payment and a receipt, any of which may get lost or come twice.
fn pay_by_code(scene: &mut Scene, random: &mut Random, payer: usize, payee: usize, units: u64) {
    let Ok(invoice) = scene.invoice(payee, units) else { return };
    let Ok(paid) = scene.give(payer, Input::PayInvoice(Box::new(invoice))) else { return };
    for bytes in paid.files() {
        for _ in 0..random.below(3) {
            let file = Input::File { bytes: bytes.clone(), agree: false };
            let Ok(heard) = scene.give(payee, file) else { continue };
            for bytes in heard.files().into_iter().take(random.below(2)) {
                let _ = scene.give(payer, Input::File { bytes, agree: false });
            }
        }
    }
}

/// Everybody finds the key again and meets everybody.
fn make_up(scene: &mut Scene, seed: u64) {
    for person in 0..PEOPLE {
        scene.people[person].key_is_here = true;
        scene.restart(person);
    }
    for _ in 0..2 {
        for one in 0..PEOPLE {
            for other in (0..PEOPLE).filter(|other| *other != one) {
                let met = scene.meet(one, other);
                assert!(met.is_ok(), "life {seed}: {met:?}");
            }
        }
    }
}

fn live(seed: u64) {
    let mut random = Random(seed);
    let mut scene = Scene::new(3, UNITS);
    scene.mint_to(1, UNITS);
    for _ in 0..30 {
        happen(&mut scene, &mut random);
    }
    make_up(&mut scene, seed);
    let total: u64 = scene.balances().iter().sum();
    assert_eq!(total, 2 * UNITS, "life {seed}: money came or went");
    for one in 0..PEOPLE {
        let person = &scene.people[one];
        assert!(person.device().forks().is_empty(), "life {seed}: somebody was convicted");
        assert!(person.is_normal(), "life {seed}: {one} may not pay");
        let waits = person.device().outgoing().values().filter(|o| o.receipt.is_none()).count();
        assert_eq!(waits, 0, "life {seed}: payments of {one} wait");
        let to = (one + 1) % PEOPLE;
        if scene.balances()[one] > 0 {
            let goal =
                Goal::Pay { payee: scene.id(to), asset: scene.asset, amount: Amount::new(1) };
            let paid = scene.connect(one, to, goal);
            assert!(paid.is_ok(), "life {seed}: {one} cannot pay: {paid:?}");
        }
    }
}

#[test]
fn whatever_happens_every_wallet_opens_pays_and_keeps_its_money() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("LIFE") {
        return live(seed);
    }
    for seed in 0..number("LIVES").unwrap_or(100) {
        live(seed);
    }
}
