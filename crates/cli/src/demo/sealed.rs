//! Act three: a wallet under a TPM is cloned and patched, and the second merchant refuses.

use std::fs;
use std::path::Path;

use serde::Serialize;
use tally_core::cbor::List;
use tally_core::device::Event;
use tally_core::id::{AssetId, NetworkId, TxId};
use tally_core::invoice::Invoice;
use tally_core::policy::{AssetKind, OfflineRules, Policy, Ticker};
use tally_core::predicate::Unlock;
use tally_core::seal::{SealCertificate, SlotProof};
use tally_core::tier::Tier;
use tally_seal::SealError;
use tally_seal::enroll::{Enroller, Enrollment, Progress, Settings, Trust, Want};
use tally_seal::machine::HostMachine;
use tally_seal::software::Place;
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Chip, TpmError};
use tally_seal::unlock::{KdfParams, Unlock as Opens};
use tally_transport::Channel;
use tally_wallet::Wallet;

use super::patched::Patched;
use super::stage::{Home, over_tcp};
use super::{DECIMALS, Story, broken, expect, refusal, screen_of, whole};
use crate::cmd::policy_of;
use crate::context::{entropy, now};
use crate::error::CliError;
use crate::show::{Names, Shown};

/// What a seal did against a clone.
#[derive(Serialize, Debug, Default)]
pub struct Sealed {
    /// Why there was no act three, if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
    /// What the first merchant's screen said.
    word: String,
    tier: &'static str,
    seals: Vec<String>,
    /// What the clone's own program, unpatched, came to.
    clone_unpatched: String,
    /// What the second merchant's terminal refused the patched clone with.
    clone_patched: String,
}

/// A TPM that is enrolled, and an asset for which that counts.
struct Set {
    _tpm: SoftwareTpm,
    policy: Policy,
    asset: AssetId,
}

const ALICE: &str = "Alice-2";
const CLONE: &str = "Alice-2-clone";

impl Story<'_> {
    /// Alice starts over with a wallet that is sealed by a TPM, and cheats again.
    pub(super) fn sealed(&mut self) -> Result<(), CliError> {
        let set = match self.set_up() {
            Ok(set) => set,
            Err(SetUp::NoTpm(why)) => {
                let text = "\n10. The third act needs a TPM in software, and there is none here:";
                self.say(&format!("{text} {why}."))?;
                self.outcome.sealed = Some(Sealed { skipped: Some(why), ..Sealed::default() });
                return Ok(());
            }
            Err(SetUp::Failed(error)) => return Err(error),
        };
        self.mint_sealed(&set)?;
        let (sealed, proof) = self.pay_bob_sealed(&set)?;
        let (clone_unpatched, clone_patched) = self.clone_pays_carol(&set, &proof)?;
        self.outcome.assumptions.push(
            "a seal's chip is genuine and unbroken, and its enroller honest (here it is software, for development)",
        );
        self.outcome.sealed = Some(Sealed { clone_unpatched, clone_patched, ..sealed });
        Ok(())
    }

    /// Makes a TPM, an enroller that looks at it, a wallet under it, and an asset that names the enroller.
    fn set_up(&mut self) -> Result<Set, SetUp> {
        let dir = self.root.join("tpm");
        let root = match SoftwareTpm::manufacture(&dir) {
            Err(TpmError::Absent { why, .. }) => return Err(SetUp::NoTpm(why)),
            made => made.map_err(SealError::Tpm)?,
        };
        let tpm = SoftwareTpm::start(&dir).map_err(SealError::Tpm)?;
        let home = Home::new(self.root, ALICE);
        drop(home.create_for_tpm(ALICE, &tpm.address())?);
        let certificate = enroll(self.root, &root, &tpm)?;
        drop(home.bind(&tpm.address(), certificate.clone())?);
        let mut mint = Home::new(self.root, "Mint").open()?;
        let enrollers = List::new(vec![certificate.terms().enroller.clone()])?;
        let offline = OfflineRules { enrollers, ..OfflineRules::default() };
        let ticker = Ticker::new("SAFE").expect("four capital letters");
        let kind = AssetKind::Fungible;
        let asset = mint.create_asset_with(ticker, DECIMALS, None, kind, offline)?;
        let policy = policy_of(mint.device(), &asset)?;
        Ok(Set { _tpm: tpm, policy, asset })
    }

    /// The mint pays an invoice of Alice's that asks for a lock to her TPM.
    fn mint_sealed(&mut self, set: &Set) -> Result<(), CliError> {
        let mut alice = Home::new(self.root, ALICE).open()?;
        alice.add_policy(set.policy.clone())?;
        for wallet in [&mut self.bob, &mut self.carol] {
            alice.add_contact(wallet.card().clone())?;
            wallet.add_policy(set.policy.clone())?;
            wallet.add_contact(alice.card().clone())?;
        }
        let asked = alice.invoice(set.asset, whole(100), 600)?;
        let (invoice, _) = Invoice::open(&asked)?;
        let mut mint = Home::new(self.root, "Mint").open()?;
        let minted = mint.mint_under(set.asset, whole(100), invoice.accept.owner)?;
        alice.receive_mint(minted)?;
        expect(alice.locks().len() == 1, "her coin is locked to her TPM")?;
        self.say(
            "\n10. Alice starts over, as Alice-2, on a machine with a TPM. (Here the TPM is a program, so it is enrolled\n    \
             for development only, and every screen says so. With a real chip the same lines say FINAL.) An enroller\n    \
             has checked that her key and counters are in the TPM; the asset SAFE names this enroller. She asks the\n    \
             mint for 100.00 SAFE under a free counter: the coin moves when that counter does, and a counter leaves\n    \
             each value once.",
        )
    }

    /// Alice copies her wallet while the money is still there, and pays Bob.
    fn pay_bob_sealed(&mut self, set: &Set) -> Result<(Sealed, SlotProof), CliError> {
        let home = Home::new(self.root, ALICE);
        home.copy_to(&Home::new(self.root, CLONE))?;
        let mut alice = home.open()?;
        let (bob, asset) = (self.ids[1], set.asset);
        let (paid, screen) = over_tcp(&mut self.bob, |channel| {
            alice.pay_over(channel, bob, asset, whole(60), &mut |_| {})
        })?;
        let proof = proof_of(&alice, &paid?)?;
        let sealed =
            |event: &&(Event, f64)| matches!(event.0, Event::Received { tier: Tier::Sealed, .. });
        let received = screen.events.iter().find(sealed);
        let (received, _) = received.ok_or_else(|| broken("Bob takes the payment as Sealed"))?;
        let names = Names::of(self.bob.device());
        let Shown::Received { worth, .. } = Shown::of(&names, received) else {
            return Err(broken("Bob's screen shows it"));
        };
        self.say(&format!(
            "\n11. She copies wallet and journal to a second folder, as in step 5, and pays Bob 60.00 SAFE. With the payment\n    \
             goes the TPM's proof that the coin's counter moved for this payment and for no other.\n{}",
            screen_of("Bob", &screen.text)
        ))?;
        let (word, tier, seals) = (worth.word.to_owned(), worth.tier, worth.seals);
        Ok((Sealed { word, tier, seals, ..Sealed::default() }, proof))
    }

    /// The clone pays Carol: first with the program as it is, then with a patched one that asks nobody
    /// and shows Bob's proof again. Gives how each was refused.
    fn clone_pays_carol(
        &mut self,
        set: &Set,
        proof: &SlotProof,
    ) -> Result<(String, String), CliError> {
        let copy = Home::new(self.root, CLONE);
        let (carol, asset) = (self.ids[2], set.asset);
        let mut clone = copy.open()?;
        let (device, card) = (clone.device().clone(), clone.card().clone());
        let (paid, _) = over_tcp(&mut self.carol, |channel| {
            clone.pay_over(channel, carol, asset, whole(60), &mut |_| {})
        })?;
        let unpatched = refusal(paid)?;
        drop(clone);
        let mut patched = Patched { device, keystore: copy.keystore()?, card };
        let asked = self.carol.invoice(asset, whole(60), 600)?;
        let packet = patched.pay(carol, Invoice::open(&asked)?.0, proof)?;
        let (sent, screen) = over_tcp(&mut self.carol, |channel| {
            channel.send(&packet)?;
            channel.recv()
        })?;
        sent?;
        let refused = screen.events.iter().find_map(|(event, _)| match event {
            Event::Refused { reason, .. } => Some(reason.code.clone()),
            _ => None,
        });
        let code = refused.ok_or_else(|| broken("Carol's terminal refuses"))?;
        expect(code == "UNLOCK_SLOT_PROOF", "she refuses for the proof, and nothing else")?;
        let held = self.carol.device().ledger().balances().get(&asset).copied();
        expect(held.is_none(), "Carol has nothing of it")?;
        self.say(&format!(
            "\n12. The clone pays Carol with the same coin. Its program asks the TPM for a proof and gets none: the counter\n    \
             has moved on [{unpatched}]. So Alice patches it: sign with her key all the same, and show Carol the proof\n    \
             that Bob got.\n{}    \
             In step 5 both merchants handed over their goods. Here the second did not, offline and alone: that is what\n    \
             a seal adds. It rests on the chip and on whoever enrolled it (docs/seals.md).",
            screen_of("Carol", &screen.text)
        ))?;
        Ok((unpatched, code))
    }
}

/// Why the act cannot begin.
enum SetUp {
    NoTpm(String),
    Failed(CliError),
}

impl<E: Into<CliError>> From<E> for SetUp {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The proof that went with a payment.
fn proof_of(wallet: &Wallet, tx: &TxId) -> Result<SlotProof, CliError> {
    let outgoing = wallet.device().outgoing().get(tx);
    let unlock = outgoing.and_then(|o| o.payment.commit.unlocks.first());
    match unlock {
        Some(Unlock::Sealed(_, proof)) => Ok(proof.clone()),
        _ => Err(broken("the payment carries a proof")),
    }
}

/// An enroller looks at the TPM, both in this process.
fn enroll(root: &Path, maker: &Path, tpm: &SoftwareTpm) -> Result<SealCertificate, CliError> {
    let dir = root.join("enroller");
    let unlock = Opens::KeyFile(Place::new(&dir, dir.join("state")).key_file());
    let settings = Settings { allow_software_tpm: true, ..Settings::new(NetworkId::LOCAL) };
    let (machine, params) = (HostMachine::new(), KdfParams::WEAK_FOR_TESTS);
    let mut enroller = Enroller::init(&dir, &machine, &unlock, params, settings, entropy()?)?;
    let intermediate = maker.with_file_name("issuercert.pem");
    for (path, trust) in [(maker, Trust::Development), (&intermediate, Trust::Intermediate)] {
        let certificates =
            fs::read(path).map_err(|_| broken("the TPM's maker has certificates"))?;
        enroller.trust(&certificates, trust)?;
    }
    let mut chip = Chip::open(&tpm.address()).map_err(SealError::Tpm)?;
    let (path, want) = (root.join("enrollment"), Want::New { counters: 4 });
    let (network, entropy_now) = (NetworkId::LOCAL, entropy()?);
    let enrollment = Enrollment::begin(&path, &mut chip, network, want, Vec::new(), &entropy_now)?;
    let progress = enrollment.run(&mut chip, |message| -> Result<Vec<u8>, CliError> {
        Ok(enroller.answer(message, now(), entropy()?)?.bytes().to_vec())
    })?;
    match progress {
        Progress::Enrolled(certificate) => Ok(certificate),
        _ => Err(broken("the TPM is enrolled")),
    }
}
