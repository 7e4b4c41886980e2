//! A sealed payer who has every right on the machine and a patched wallet, against two payees with
//! real wallets: each row of `spec/trust.md` that a TPM is to stop. Whatever she tries, not both hold
//! FINAL for her one coin.
//!
//! The TPM is one in software, which stands in for hardware as long as its own state is left alone;
//! the last test sets that back, and shows why such a TPM is no seal.

use std::fs;

use tally_core::id::TxId;
use tally_core::seal::SlotProof;
use tally_core::tier::Tier;
use tally_seal::tpm2::{AuditSession, Chip};

use super::patched::{Patched, Proposal, Step, as_proof, finals, invoice};
use super::scene::{balance, copy_folder, pay, sync};
use super::sealed::{Scene, scene, tier};
use crate::Wallet;

const NV_UNDEFINE: u32 = 0x122;
const CLEAR: u32 = 0x126;
const OWNER: u32 = 0x4000_0001;
const LOCKOUT: u32 = 0x4000_000a;

/// What a payee answers to a payment whose proof is for anything else.
const NO_PROOF: &str = "UNLOCK_SLOT_PROOF";

/// Alice with her own program, and one payment to each payee that she could make of her one coin.
struct Stage {
    scene: Payees,
    alice: Patched,
    to_bob: Proposal,
    to_carol: Proposal,
}

/// What is left of the scene once Alice's wallet is hers.
struct Payees {
    bob: Wallet,
    carol: Wallet,
    asset: tally_core::id::AssetId,
    tpm: tally_seal::tpm2::swtpm::SoftwareTpm,
    _town: super::scene::Town,
}

fn stage() -> Stage {
    let Scene { town, tpm, counters, alice, mut bob, mut carol, asset } = scene();
    drop(alice);
    let alice = Patched::open(&town, &tpm, counters);
    let to_bob = alice.propose(&invoice(&mut bob, asset, 600));
    let to_carol = alice.propose(&invoice(&mut carol, asset, 600));
    assert_eq!(to_bob.slot(), to_carol.slot(), "one coin");
    assert_ne!(to_bob.tx, to_carol.tx, "two transactions");
    Stage { scene: Payees { bob, carol, asset, tpm, _town: town }, alice, to_bob, to_carol }
}

impl Stage {
    fn shows_bob(&mut self, proof: &SlotProof) -> Result<Tier, String> {
        self.alice.show(&self.to_bob, Some(proof.clone()), &mut self.scene.bob)
    }

    fn shows_carol(&mut self, proof: &SlotProof) -> Result<Tier, String> {
        self.alice.show(&self.to_carol, Some(proof.clone()), &mut self.scene.carol)
    }

    /// Pays Bob with a proof that the TPM made as it should.
    fn pays_bob(&mut self) -> SlotProof {
        let (base, tx) = (self.alice.counters.base, self.to_bob.tx);
        let proof = self.alice.prove(base, &tx);
        assert_eq!(self.shows_bob(&proof), Ok(Tier::Sealed));
        proof
    }

    fn carol_says_no(&mut self, proof: &SlotProof) {
        assert_eq!(self.shows_carol(proof), Err(NO_PROOF.to_owned()));
        self.one_final();
    }

    /// How many of the two hold FINAL: it is never both.
    fn all_final(&self) -> usize {
        let all = [&self.scene.bob, &self.scene.carol].map(|p| finals(p, &self.scene.asset));
        assert!(all[0] + all[1] <= 1, "two payees hold FINAL for one coin: {all:?}");
        all[0] + all[1]
    }

    fn one_final(&self) {
        assert_eq!(self.all_final(), 1);
        assert_eq!(balance(&self.scene.bob, &self.scene.asset), 600);
        assert_eq!(balance(&self.scene.carol, &self.scene.asset), 0);
    }

    fn execute(&mut self, code: u32, handles: &[u32]) {
        self.alice.chip().tpm().execute(code, handles, 1, &[]).unwrap();
    }

    /// Her program takes the TPM anew, as it has to after a Clear or a power cut.
    fn takes_the_tpm_anew(&mut self) {
        self.alice.chip = None;
        self.alice.chip = Some(Chip::open(&self.scene.tpm.address()).unwrap());
    }

    fn cuts_power(&mut self) {
        self.alice.chip = None;
        self.scene.tpm.switch_on().unwrap();
        self.takes_the_tpm_anew();
    }
}

#[test]
fn a_sealed_payer_who_shows_no_proof_or_replays_one_pays_nobody_twice() {
    let mut stage = stage();
    let bobs = stage.pays_bob();
    stage.carol_says_no(&bobs);
    let without = stage.alice.show(&stage.to_carol, None, &mut stage.scene.carol);
    assert_eq!(without, Err("UNLOCK_LOCKED".to_owned()));
    // Nor to the same payee, for a second payment of the same coin.
    let again = invoice(&mut stage.scene.bob, stage.scene.asset, 300);
    let again = stage.alice.propose(&again);
    let refused = stage.alice.show(&again, Some(bobs), &mut stage.scene.bob);
    assert!(refused.is_err(), "{refused:?}");
    stage.one_final();
}

#[test]
fn a_sealed_payer_who_deletes_and_recreates_the_counter_pays_nobody_twice() {
    let mut stage = stage();
    stage.pays_bob();
    let (base, tx) = (stage.alice.counters.base, stage.to_carol.tx);
    let before = stage.alice.value(0);
    stage.execute(NV_UNDEFINE, &[OWNER, base]);
    stage.alice.chip().make_counters(base, 1).unwrap();
    assert!(stage.alice.value(0) > before, "it starts above all that was ever counted");
    for _ in 0..3 {
        let proof = stage.alice.prove(base, &tx);
        stage.carol_says_no(&proof);
    }
}

#[test]
fn a_sealed_payer_who_clears_the_tpm_pays_nobody_twice() {
    let mut stage = stage();
    stage.pays_bob();
    let (base, tx) = (stage.alice.counters.base, stage.to_carol.tx);
    stage.execute(CLEAR, &[LOCKOUT]);
    stage.takes_the_tpm_anew();
    assert_eq!(stage.alice.chip().key(), stage.alice.counters.key, "the same key as before");
    stage.alice.chip().make_counters(base, 4).unwrap();
    let proof = stage.alice.prove(base, &tx);
    stage.carol_says_no(&proof);
}

#[test]
fn a_sealed_payer_who_moves_the_wrong_counter_pays_nobody_with_it() {
    let mut stage = stage();
    let (base, carols) = (stage.alice.counters.base, stage.to_carol.tx);
    let (bobs_counter, other) = (base, base + 1);
    // Another counter of the same seal, brought to the coin's own value, and mixtures of the two.
    while stage.alice.value(1) < stage.to_carol.slot().value {
        stage.alice.attest(&[Step::Count(other)]);
    }
    let wrong = [
        [Step::Read(other), Step::Hash(carols), Step::Count(other), Step::Read(other)],
        [
            Step::Read(bobs_counter),
            Step::Hash(carols),
            Step::Count(other),
            Step::Read(bobs_counter),
        ],
        [Step::Read(bobs_counter), Step::Hash(carols), Step::Count(other), Step::Read(other)],
    ];
    for steps in wrong {
        let proof = stage.alice.attest(&steps);
        assert_eq!(stage.shows_carol(&proof), Err(NO_PROOF.to_owned()), "{steps:?}");
    }
    stage.pays_bob();
    stage.one_final();
}

#[test]
fn a_sealed_payer_who_proves_two_transactions_in_one_session_pays_one_of_them_at_most() {
    type Steps = fn(u32, TxId, TxId) -> Vec<Step>;
    let sessions: [(&str, Steps); 4] = [
        ("two messages before one increment", |c, a, b| {
            vec![Step::Read(c), Step::Hash(a), Step::Hash(b), Step::Count(c), Step::Read(c)]
        }),
        ("one message before and one after", |c, a, b| {
            vec![Step::Read(c), Step::Hash(a), Step::Count(c), Step::Read(c), Step::Hash(b)]
        }),
        ("two increments", |c, a, b| {
            let first = [Step::Read(c), Step::Hash(a), Step::Count(c), Step::Read(c)];
            let then = [Step::Hash(b), Step::Count(c), Step::Read(c)];
            [&first[..], &then].concat()
        }),
        ("no increment", |c, a, b| {
            vec![Step::Read(c), Step::Hash(a), Step::Hash(b), Step::Read(c)]
        }),
    ];
    for (name, steps) in sessions {
        let mut stage = stage();
        let base = stage.alice.counters.base;
        let proof = stage.alice.attest(&steps(base, stage.to_bob.tx, stage.to_carol.tx));
        assert_eq!(stage.shows_bob(&proof), Err(NO_PROOF.to_owned()), "{name}");
        assert_eq!(stage.shows_carol(&proof), Err(NO_PROOF.to_owned()), "{name}");
        assert_eq!(stage.all_final(), 0, "{name}");
    }
}

#[test]
fn a_sealed_payer_who_attests_halfway_pays_one_payee_and_not_the_other() {
    let mut stage = stage();
    let (base, bobs, carols) = (stage.alice.counters.base, stage.to_bob.tx, stage.to_carol.tx);
    let chip = stage.alice.chip();
    let key = chip.key_handle();
    let mut session = AuditSession::start(chip.tpm()).unwrap();
    let halves = [bobs, carols].map(|tx| {
        let steps = [Step::Read(base), Step::Hash(tx), Step::Count(base), Step::Read(base)];
        steps.iter().for_each(|step| step.run(chip, &mut session).unwrap());
        as_proof(&session.attest(chip.tpm(), key, tally_core::seal::tpm::SLOT_TAG).unwrap())
    });
    session.end(chip.tpm()).unwrap();
    let [first, second] = halves;
    assert_eq!(stage.shows_bob(&first), Ok(Tier::Sealed));
    stage.carol_says_no(&second);
    stage.carol_says_no(&first);
}

#[test]
fn a_sealed_payer_who_interleaves_two_sessions_pays_nobody() {
    let mut stage = stage();
    let (base, txs) = (stage.alice.counters.base, [stage.to_bob.tx, stage.to_carol.tx]);
    let chip = stage.alice.chip();
    let key = chip.key_handle();
    let mut sessions = txs.map(|tx| (tx, AuditSession::start(chip.tpm()).unwrap()));
    type At = fn(u32, TxId) -> Step;
    let steps: [At; 4] =
        [|c, _| Step::Read(c), |_, tx| Step::Hash(tx), |c, _| Step::Count(c), |c, _| Step::Read(c)];
    for step in steps {
        for (tx, session) in &mut sessions {
            step(base, *tx).run(chip, session).unwrap();
        }
    }
    let [bobs, carols] = sessions.map(|(_, session)| {
        let attested = session.attest(chip.tpm(), key, tally_core::seal::tpm::SLOT_TAG).unwrap();
        session.end(chip.tpm()).unwrap();
        as_proof(&attested)
    });
    assert_eq!(stage.shows_bob(&bobs), Err(NO_PROOF.to_owned()));
    assert_eq!(stage.shows_carol(&carols), Err(NO_PROOF.to_owned()));
    assert_eq!(stage.all_final(), 0);
}

#[test]
fn a_sealed_payer_who_kills_the_tpm_between_commands_pays_one_payee_at_most() {
    let mut paid_carol = 0;
    for commands in 0..=5 {
        let mut stage = stage();
        let (base, carols) = (stage.alice.counters.base, stage.to_carol.tx);
        let bobs = started_for_bob(&mut stage, commands);
        stage.cuts_power();
        // What the power left of the slot is for Carol, if anything is.
        let proof = stage.alice.prove(base, &carols);
        let carol = stage.shows_carol(&proof);
        paid_carol += u32::from(carol.is_ok());
        if let Some(proof) = bobs {
            assert_eq!(stage.shows_bob(&proof), Ok(Tier::Sealed));
        }
        // Bob's session cannot be taken up again: its proof would need another increment.
        let late = stage.alice.prove(base, &stage.to_bob.tx.clone());
        assert!(stage.shows_bob(&late).is_err(), "{commands}");
        let moved = commands >= 3;
        assert_eq!(carol.is_ok(), !moved, "{commands}: {carol:?}");
        assert_eq!(stage.all_final(), usize::from(commands != 3 && commands != 4), "{commands}");
    }
    assert_eq!(paid_carol, 3, "before the increment the slot was as good as new");
}

/// So many commands of a proof for Bob; the fifth is the attestation.
fn started_for_bob(stage: &mut Stage, commands: usize) -> Option<SlotProof> {
    let (base, tx) = (stage.alice.counters.base, stage.to_bob.tx);
    let chip = stage.alice.chip();
    let key = chip.key_handle();
    let mut session = AuditSession::start(chip.tpm()).unwrap();
    let steps = [Step::Read(base), Step::Hash(tx), Step::Count(base), Step::Read(base)];
    steps.iter().take(commands).for_each(|step| step.run(chip, &mut session).unwrap());
    let tag = tally_core::seal::tpm::SLOT_TAG;
    (commands > steps.len()).then(|| as_proof(&session.attest(chip.tpm(), key, tag).unwrap()))
}

/// Why a TPM in software is no seal: its state is a file. What follows is as for any software wallet.
#[test]
fn restoring_a_software_tpms_own_state_forks_and_the_fork_is_found_and_bricks() {
    let Scene { town, mut tpm, alice, mut bob, mut carol, asset, .. } = scene();
    drop(alice);
    let state = tpm.dir().join("tpm2-00.permall");
    tpm.cut_power();
    fs::copy(&state, town.dir("tpm before")).unwrap();
    tpm.switch_on().unwrap();
    for folder in ["alice", "state"] {
        copy_folder(&town.dir(folder), &town.dir(&format!("{folder} before")));
    }
    let mut alice = town.open("alice").unwrap();
    assert_eq!(tier(&pay(&mut alice, &mut bob, asset, 600)), Some(Tier::Sealed));
    drop(alice);
    tpm.cut_power();
    fs::copy(town.dir("tpm before"), &state).unwrap();
    tpm.switch_on().unwrap();
    for folder in ["alice", "state"] {
        fs::remove_dir_all(town.dir(folder)).unwrap();
        copy_folder(&town.dir(&format!("{folder} before")), &town.dir(folder));
    }
    let mut alice = town.open("alice").unwrap();
    assert_eq!(tier(&pay(&mut alice, &mut carol, asset, 600)), Some(Tier::Sealed));
    let both = finals(&bob, &asset) + finals(&carol, &asset);
    assert_eq!(both, 2, "a TPM in software that is set back forks, which is why it is no seal");

    let met = sync(&mut bob, &mut carol);
    assert!(met.payer.is_ok() && met.payee.is_ok(), "{:?} {:?}", met.payer, met.payee);
    let key = alice.device().me().owner.clone();
    for payee in [&mut bob, &mut carol] {
        assert!(payee.device().is_bricked(&key), "the fork is proved by its own signatures");
        let refused = pay(&mut alice, payee, asset, 100);
        assert!(refused.payer.is_err(), "and nobody who knows takes anything of hers again");
        assert_eq!(tier(&refused), None);
    }
}
