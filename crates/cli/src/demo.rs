//! Tell a story with real wallets, real TCP and real pictures of codes; every turn is checked.

mod patched;
mod race;
mod sealed;
mod stage;

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use tally_core::amount::Amount;
use tally_core::device::Event;
use tally_core::id::{AssetId, DeviceId};
use tally_core::mint::MintStanding;
use tally_core::object::{InvoiceFile, Object};
use tally_core::packet::Packet;
use tally_core::policy::{AssetKind, Ticker};
use tally_core::tier::Tier;
use tally_wallet::{Wallet, WalletError};

use crate::cmd::policy_of;
use crate::error::{CliError, Exit, is_conviction};
use crate::output::{Done, Out, Report};
use crate::show::Events;
use stage::{Home, Scanned, Screen, over_tcp, show_and_scan};

const DECIMALS: u8 = 2;

/// Tells the story.
///
/// # Errors
/// [`CliError`] when any turn does not end as told.
pub fn run(keep: Option<&Path>, out: Out) -> Result<Done, CliError> {
    let folder = tempfile::Builder::new().prefix("tally-demo-").tempdir();
    let folder = folder.map_err(|e| {
        let what = format!("no temporary folder can be made ({e})");
        CliError::new(Exit::Failure, "DEMO_FOLDER", what, "set TMPDIR to a folder with some space")
    })?;
    let root = match keep {
        None => folder.path(),
        Some(keep) if keep.exists() => {
            let what = format!("{} exists already", keep.display());
            return Err(CliError::usage("DEMO_FOLDER", what, "name a folder that does not exist"));
        }
        Some(keep) => keep,
    };
    let began = Instant::now();
    let mut story = Story::open(root, out)?;
    story.by_code()?;
    story.over_the_wire()?;
    story.large_is_refused()?;
    story.clone_pays_twice()?;
    story.fork_is_proved()?;
    story.alice_is_refused()?;
    story.race()?;
    story.sealed()?;
    let mut outcome = story.outcome;
    outcome.seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    Ok(Done::new(&outcome))
}

/// How the story went.
#[derive(Serialize, Debug, Default)]
struct Outcome {
    minted: String,
    payments: Vec<Payment>,
    refused_large: String,
    fork: Option<Fork>,
    refused_by: Vec<Refusal>,
    race: Option<race::Race>,
    sealed: Option<sealed::Sealed>,
    assumptions: Vec<&'static str>,
    seconds: f64,
}

#[derive(Serialize, Debug)]
struct Payment {
    to: &'static str,
    amount: String,
    by: &'static str,
    word: &'static str,
    tier: &'static str,
    bytes: u64,
    milliseconds: f64,
}

#[derive(Serialize, Debug)]
struct Fork {
    kind: String,
    proof_bytes: usize,
    known_to: Vec<&'static str>,
}

#[derive(Serialize, Debug)]
struct Refusal {
    by: &'static str,
    code: String,
}

impl Report for Outcome {
    fn text(&self) -> String {
        format!(
            "\nWhat it rested on: {}.\nStronger tiers stop the second spend up front; each names its own assumption \
             (`tally policy show`).\nEverything above was checked as it happened, in {} s.\n",
            self.assumptions.join("; "),
            self.seconds
        )
    }
}

/// A payment by pictures of codes.
struct ByCode {
    invoice: Scanned,
    payment: Scanned,
    milliseconds: f64,
    screen: String,
}

/// The people, and what has happened so far.
struct Story<'a> {
    root: &'a Path,
    out: Out,
    alice: Wallet,
    /// The copy of Alice's wallet, once there is one.
    clone: Option<Wallet>,
    bob: Wallet,
    carol: Wallet,
    ids: [DeviceId; 3],
    asset: AssetId,
    outcome: Outcome,
}

impl<'a> Story<'a> {
    /// Makes the wallets, exchanges cards, and mints for Alice.
    fn open(root: &'a Path, out: Out) -> Result<Self, CliError> {
        let make = |name: &str| Home::new(root, name).create(name);
        let (mut mint, mut alice) = (make("Mint")?, make("Alice")?);
        let (mut bob, mut carol) = (make("Bob")?, make("Carol")?);
        let ticker = Ticker::new("DEMO").expect("four capital letters");
        let asset = mint.create_asset(ticker, DECIMALS, None, AssetKind::Fungible)?;
        let policy = policy_of(mint.device(), &asset)?;
        let cards = [alice.card().clone(), bob.card().clone(), carol.card().clone()];
        for wallet in [&mut alice, &mut bob, &mut carol] {
            wallet.add_policy(policy.clone())?;
            let own = wallet.card().clone();
            for card in cards.iter().filter(|card| **card != own) {
                wallet.add_contact(card.clone())?;
            }
        }
        let minted = mint.mint(asset, whole(100), &alice.card().open_card()?)?;
        alice.receive_mint(minted)?;
        let ids = [alice.device().id(), bob.device().id(), carol.device().id()];
        let minted = money(whole(100));
        let outcome = Outcome { minted: minted.clone(), ..Outcome::default() };
        let story = Self { root, out, alice, clone: None, bob, carol, ids, asset, outcome };
        let held = story.alice.device().ledger().balances().get(&asset).copied();
        expect(held == Some(whole(100)), "Alice holds what was minted")?;
        story.say(&format!(
            "Real wallets, real TCP, real pictures of QR codes, in {}.\n\
             Nobody reaches anybody but the one in front of them. The wallets open with key files, so no\n\
             passphrase has to be stretched.\n\n\
             1. A mint issues {minted} to Alice. Alice, Bob and Carol have exchanged contact cards.",
            root.display()
        ))?;
        Ok(story)
    }

    /// Alice pays Bob twice by code: the first time opens their session.
    fn by_code(&mut self) -> Result<(), CliError> {
        let first = self.invoice_and_payment(1, Amount::new(400))?;
        let second = self.invoice_and_payment(2, Amount::new(100))?;
        self.say(&format!(
            "\n2. Alice pays Bob by QR code. Bob shows an invoice: {}, {} bytes. Alice shows the payment: {},\n   \
             {} bytes, most of it her card and a new session's keys. Signing, checking and storing: {} ms.\n{}   \
             She pays him 1.00 more: now that they know each other, {}, {} bytes.",
            first.invoice.shown,
            first.invoice.size,
            first.payment.shown,
            first.payment.size,
            first.milliseconds,
            screen_of("Bob", &first.screen),
            second.payment.shown,
            second.payment.size,
        ))
    }

    /// An invoice as a picture one way, the payment and its receipt as pictures the other way.
    fn invoice_and_payment(&mut self, number: u8, amount: Amount) -> Result<ByCode, CliError> {
        let name = |what: &str| format!("{what}-{number}.png");
        let signed = self.bob.invoice(self.asset, amount, 600)?;
        let policy = policy_of(self.bob.device(), &self.asset)?;
        let invoice = Object::Invoice(InvoiceFile { policy, invoice: signed });
        let invoice = show_and_scan(self.root, &name("invoice"), &invoice)?;
        let Object::Invoice(asked) = &invoice.object else {
            return Err(broken("the invoice is one"));
        };
        let began = Instant::now();
        let (packet, _) = self.alice.pay_invoice(&asked.invoice)?;
        let signing = began.elapsed();
        let payment = Object::Packet(Packet::from_wire(&packet)?);
        let payment = show_and_scan(self.root, &name("payment"), &payment)?;
        let Object::Packet(paid) = &payment.object else {
            return Err(broken("the payment is one"));
        };
        let began = Instant::now();
        let (events, answers) = self.bob.receive_packet(&paid.to_wire())?;
        let milliseconds = round((signing + began.elapsed()).as_secs_f64() * 1e3);
        let receipt = answers.first().ok_or_else(|| broken("Bob gives a receipt"))?;
        let receipt = Object::Packet(Packet::from_wire(receipt)?);
        let receipt = show_and_scan(self.root, &name("receipt"), &receipt)?;
        let Object::Packet(receipt) = receipt.object else {
            return Err(broken("the receipt is one"));
        };
        let (receipted, _) = self.alice.receive_packet(&receipt.to_wire())?;
        let told = receipted.iter().any(|e| matches!(e, Event::Receipted { .. }));
        expect(told, "Alice has Bob's receipt")?;
        self.paid("Bob", amount, "QR codes", payment.size as u64, milliseconds, events.iter())?;
        let screen = Events::of(self.bob.device(), &events).text();
        Ok(ByCode { invoice, payment, milliseconds, screen })
    }

    /// Alice pays Carol over TCP.
    fn over_the_wire(&mut self) -> Result<(), CliError> {
        let amount = Amount::new(300);
        let (_, carol) = (self.ids[1], self.ids[2]);
        let (alice, asset) = (&mut self.alice, self.asset);
        let (paid, screen) = over_tcp(&mut self.carol, |channel| {
            alice.pay_over(channel, carol, asset, amount, &mut |_| {})
        })?;
        paid?;
        let ms = self.shown("Carol", amount, &screen)?;
        self.say(&format!(
            "\n3. Alice pays Carol over TCP: offer, accept, commit, receipt, {} bytes in all; on Carol's screen {ms} ms later.\n{}",
            screen.wire,
            screen_of("Carol", &screen.text)
        ))
    }

    /// Bob's policy is the default one.
    fn large_is_refused(&mut self) -> Result<(), CliError> {
        let (bob, asset, before) = (self.ids[1], self.asset, self.alice.device().seq());
        let alice = &mut self.alice;
        let (paid, screen) = over_tcp(&mut self.bob, |channel| {
            alice.pay_over(channel, bob, asset, whole(50), &mut |_| {})
        })?;
        let code = refusal(paid)?;
        expect(code == "ACCEPT_PER_PAYMENT", "the large payment is above Bob's limit")?;
        expect(self.alice.device().seq() == before, "Alice signed nothing")?;
        self.outcome.refused_large.clone_from(&code);
        self.say(&format!(
            "\n4. Alice offers Bob {}. His acceptance policy is the default: Signed up to 5 a payment, 20 a payer.\n{}   \
             Nothing was signed, and Alice still has her money.",
            money(whole(50)),
            screen_of("Bob", &screen.text)
        ))
    }

    /// Alice copies her wallet; both copies pay with the same coin.
    fn clone_pays_twice(&mut self) -> Result<(), CliError> {
        let (home, copy) = (Home::new(self.root, "Alice"), Home::new(self.root, "Alice-clone"));
        // A wallet that is open cannot be copied whole.
        let spare = Home::new(self.root, "Nobody").create("Nobody")?;
        drop(std::mem::replace(&mut self.alice, spare));
        home.copy_to(&copy)?;
        let mut clone = copy.open()?;
        self.alice = home.open()?;
        let amount = Amount::new(450);
        let ([_, bob, carol], asset) = (self.ids, self.asset);
        let alice = &mut self.alice;
        let (paid, at_bob) = over_tcp(&mut self.bob, |channel| {
            alice.pay_over(channel, bob, asset, amount, &mut |_| {})
        })?;
        paid?;
        let (paid, at_carol) = over_tcp(&mut self.carol, |channel| {
            clone.pay_over(channel, carol, asset, amount, &mut |_| {})
        })?;
        paid?;
        self.clone = Some(clone);
        self.shown("Bob", amount, &at_bob)?;
        self.shown("Carol", amount, &at_carol)?;
        self.say(&format!(
            "\n5. Alice cheats. She copies her wallet's folder and, as a patched program would, the journal that exists\n   \
             to notice such copies. Both copies pay with the same coin, one Bob, one Carol.\n{}{}   \
             Each payment is valid alone, and neither payee can see the other. Nothing stopped Alice: that is why\n   \
             both screens say AT RISK, and why step 4 ended as it did.",
            screen_of("Bob", &at_bob.text),
            screen_of("Carol", &at_carol.text)
        ))
    }

    /// Bob and Carol meet, and compare what they have seen.
    fn fork_is_proved(&mut self) -> Result<(), CliError> {
        let (carol, alice) = (self.ids[2], self.alice.device().me().owner.clone());
        let bob = &mut self.bob;
        let mut seen = Vec::new();
        let (met, screen) = over_tcp(&mut self.carol, |channel| {
            bob.sync_over(channel, carol, &mut |event| seen.push(event.clone()))
        })?;
        met?;
        let proof = self.bob.device().forks().get(&alice).cloned();
        let proof = proof.ok_or_else(|| broken("Bob holds a fork proof"))?;
        let kind = proof.check()?;
        expect(self.carol.device().forks().contains_key(&alice), "Carol holds a fork proof")?;
        let size = tally_core::cbor::to_bytes(&proof).len();
        self.outcome.fork = Some(Fork {
            kind: format!("{kind:?}").to_lowercase(),
            proof_bytes: size,
            known_to: vec!["Bob", "Carol"],
        });
        let told = |e: &&Event| matches!(e, Event::Forked { .. });
        let shown = Events::of(self.bob.device(), seen.iter().filter(told)).text();
        self.say(&format!(
            "\n6. Bob and Carol meet, still offline, and compare what they have seen ({} bytes over TCP).\n{}   \
             The proof is {size} bytes: Alice's own signatures on two payments that contradict each other. Anyone\n   \
             can check it with nothing else. Both wallets keep it and pass it on.",
            screen.wire,
            screen_of("Bob", &shown)
        ))
    }

    /// Alice tries again, at both.
    fn alice_is_refused(&mut self) -> Result<(), CliError> {
        let ([_, bob, carol], asset) = (self.ids, self.asset);
        let clone = self.clone.as_mut().ok_or_else(|| broken("there is a clone"))?;
        // Each copy goes where its own session is the latest.
        let turns = [
            ("Bob", bob, &mut self.alice, &mut self.bob),
            ("Carol", carol, clone, &mut self.carol),
        ];
        for (by, id, payer, payee) in turns {
            let (paid, _) = over_tcp(payee, |channel| {
                payer.pay_over(channel, id, asset, whole(1), &mut |_| {})
            })?;
            let code = refusal(paid)?;
            expect(is_conviction(&code), &format!("{by} refuses for the fork, not for {code}"))?;
            self.outcome.refused_by.push(Refusal { by, code });
        }
        let code = &self.outcome.refused_by[0].code;
        self.outcome.assumptions = vec![
            "payees meet, or settle, sooner or later",
            "an identity costs something to lose",
            "secp256k1 signatures and SHA-256 hold",
        ];
        self.say(&format!(
            "\n7. Both copies try to pay 1.00 DEMO once more. Bob refuses [{code}], Carol refuses [{code}]: for good.\n   \
             One of the two payments of step 5 can never be settled; the proof says who owes it."
        ))
    }

    /// Checks what a payee's screen shows of a payment over TCP; gives when, in milliseconds.
    fn shown(
        &mut self,
        to: &'static str,
        amount: Amount,
        screen: &Screen,
    ) -> Result<f64, CliError> {
        let at = screen.at(|event| matches!(event, Event::Received { .. }));
        let at = round(at.ok_or_else(|| broken("the payee's screen shows the payment"))?);
        self.paid(to, amount, "TCP", screen.wire, at, screen.events.iter().map(|(e, _)| e))?;
        Ok(at)
    }

    /// Notes a payment, if the payee's wallet took it at the tier that it has.
    fn paid<'e>(
        &mut self,
        to: &'static str,
        amount: Amount,
        by: &'static str,
        bytes: u64,
        milliseconds: f64,
        events: impl Iterator<Item = &'e Event>,
    ) -> Result<(), CliError> {
        let taken = |event: &Event| matches!(event, Event::Received { amount: a, tier: Tier::Signed, .. } if *a == amount);
        expect(events.into_iter().any(taken), "the payee takes the payment as Signed")?;
        let worth = crate::show::Worth::of(Tier::Signed, MintStanding::IssuersWord, None, &[]);
        let (word, tier) = (worth.word, worth.tier);
        let amount = money(amount);
        self.outcome.payments.push(Payment { to, amount, by, word, tier, bytes, milliseconds });
        Ok(())
    }

    fn say(&self, text: &str) -> Result<(), CliError> {
        if self.out.json() { Ok(()) } else { self.out.line(text) }
    }
}

fn whole(units: u64) -> Amount {
    Amount::whole(units, DECIMALS).expect("small numbers of units can be counted")
}

fn money(amount: Amount) -> String {
    format!("{} DEMO", amount.display(DECIMALS))
}

fn round(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

/// Somebody's screen, set off from the story.
fn screen_of(name: &str, text: &str) -> String {
    text.lines().map(|line| format!("   {name:>5} | {line}\n")).collect()
}

fn expect(holds: bool, what: &str) -> Result<(), CliError> {
    if holds { Ok(()) } else { Err(broken(what)) }
}

fn broken(what: &str) -> CliError {
    let message = format!("the story did not go as told: not true that {what}");
    CliError::new(Exit::Failure, "DEMO", message, "run it again with --keep DIR, and report it")
}

/// The code with which the payee refused.
fn refusal<T>(result: Result<T, WalletError>) -> Result<String, CliError> {
    match result {
        Err(WalletError::Refused { code, .. }) => Ok(code),
        Err(other) => Err(other.into()),
        Ok(_) => Err(broken("the payment is refused")),
    }
}
