//! Try, with the owner's rights and a power switch, to get two proofs for one slot.
//!
//! That a slot has one proof rests on two things that a model of TPM does or does not do: a command
//! belongs to one audit session at most, and a counter never shows a value twice, also after it was
//! deleted or the TPM was cleared. [`run`] looks for a case in which they do not hold. It proves
//! slots, deletes counters and makes them anew, clears the TPM, cuts its power between commands and
//! mingles sessions, in an order drawn from a seed, and takes every attestation for a proof of
//! whatever slot it fits, as a payee would. One duplicate shows that the model is no seal; none
//! shows that this many tries found none.
//!
//! It wears the TPM like so many payments, and a Clear takes the keys of *every* program on the
//! machine with it, such as those of an encrypted disk. It is for a machine that is there for it.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_core::hash::sha256;
use tally_core::id::{NetworkId, TxId};
use tally_core::keys::SecretKey;
use tally_core::seal::tpm::SLOT_TAG;
use tally_core::seal::{
    CERTIFICATE_VERSION, Hardware, HardwareProof, SealCertificate, SealLabel, SealTerms, TpmAudit,
    TpmSeal, verify_slot,
};
use tally_core::time::Time;

use super::chip::{FIRST_BASE, MAX_POOLS};
use super::session::AuditSession;
use super::swtpm::SoftwareTpm;
use super::{Address, Chip, TpmError};

/// How many counters the audit plays with.
const COUNTERS: u16 = 3;
/// Behind the ranges that seals use, so that its counters are never taken for a seal's.
const BASE: u32 = FIRST_BASE + MAX_POOLS * 256;
/// Commands of one proof: start, read, hash, increment, read, attest.
const STEPS: u8 = 6;

/// How much is tried. The actions come in an order drawn from `seed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditPlan {
    /// At least so many proofs.
    pub proofs: u64,
    /// So often a counter is deleted and made anew.
    pub deletes: u64,
    /// So often the TPM is cleared: this destroys the keys of every program.
    pub clears: u64,
    /// So often the power is cut, or the connection where nobody can, between two commands.
    pub kills: u64,
    /// So many pairs of sessions are mingled.
    pub mingles: u64,
    /// What the order, counters and messages are drawn from.
    pub seed: u64,
    /// Goes ahead on a TPM with a seal's counters, whose coins a Clear would lock until their
    /// locks end.
    pub despite_seals: bool,
}

impl AuditPlan {
    /// A minute on a chip, without a Clear.
    pub const SHORT: Self = Self {
        proofs: 60,
        deletes: 20,
        clears: 0,
        kills: 20,
        mingles: 20,
        seed: 1,
        despite_seals: false,
    };
    /// What an enroller runs for a model before it trusts its maker's root for it.
    pub const LONG: Self = Self {
        proofs: 5000,
        deletes: 1000,
        clears: 1000,
        kills: 1000,
        mingles: 1000,
        seed: 1,
        despite_seals: false,
    };
}

/// What was done and found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct AuditReport {
    /// Four letters that name the TPM's maker.
    pub maker: String,
    /// Version of its firmware.
    pub firmware: u64,
    /// Whether kills were power cuts; else connections were cut.
    pub power_cut: bool,
    /// What the order was drawn from.
    pub seed: u64,
    /// Slots that were proved.
    pub proofs: u64,
    /// Counters that were deleted and made anew.
    pub deletes: u64,
    /// Clears.
    pub clears: u64,
    /// Power or connection cuts between commands.
    pub kills: u64,
    /// Pairs of sessions that were mingled.
    pub mingles: u64,
    /// Attestations that prove no slot.
    pub void: u64,
    /// Slots that were proved for a second message: each is a fork.
    pub duplicates: u64,
    /// Counters that showed a value that they, or one before them, had left.
    pub regressions: u64,
}

impl AuditReport {
    /// Whether nothing was found that a seal must not do.
    pub const fn found_nothing(&self) -> bool {
        self.duplicates == 0 && self.regressions == 0
    }
}

/// Why an audit did not take place, or not to its end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuditError {
    /// There is a seal in the TPM.
    #[error(
        "this TPM has a seal's counters at {base:#010x}, which may hold coins: spend them first, or say that the audit may lock them"
    )]
    Occupied {
        /// Handle of the first of its counters.
        base: u32,
    },
    /// The TPM did not do it.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

impl AuditError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Occupied { .. } => "AUDIT_OCCUPIED",
            Self::Tpm(e) => e.code(),
        }
    }
}

/// Who can take the TPM's power.
pub trait Power {
    /// Cuts it and gives it back. False when nobody can, so that the connection is cut alone.
    ///
    /// # Errors
    /// [`TpmError::Absent`] when it does not come back.
    fn cut(&mut self) -> Result<bool, TpmError>;
}

/// Nobody, as with a chip on a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoPower;

impl Power for NoPower {
    fn cut(&mut self) -> Result<bool, TpmError> {
        Ok(false)
    }
}

impl Power for SoftwareTpm {
    fn cut(&mut self) -> Result<bool, TpmError> {
        self.cut_power();
        self.switch_on().map(|()| true)
    }
}

/// Runs the audit against the TPM at `address`. `progress` is told after each action.
///
/// # Errors
/// [`AuditError::Occupied`] when the TPM has a seal's counters and the plan does not go ahead
/// despite that; [`AuditError::Tpm`] for a TPM that does not answer as one must, or is not the
/// caller's to clear.
pub fn run(
    address: &Address,
    power: &mut dyn Power,
    plan: &AuditPlan,
    progress: &mut dyn FnMut(&AuditReport),
) -> Result<AuditReport, AuditError> {
    let mut audit = Audit::begin(address, plan)?;
    while let Some(action) = audit.next_action(plan) {
        match action {
            Action::Prove => audit.prove()?,
            Action::Delete => audit.delete()?,
            Action::Clear => audit.clear()?,
            Action::Kill => audit.kill(power)?,
            Action::Mingle => audit.mingle()?,
        }
        progress(&audit.report);
    }
    let seal = audit.seal;
    audit.chip()?.delete_counters(&seal)?;
    Ok(audit.report)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Prove,
    Delete,
    Clear,
    Kill,
    Mingle,
}

/// A slot's proof on its way: the next command, and the session that it runs in.
struct Sequence {
    counter: u32,
    message: TxId,
    step: u8,
    session: Option<AuditSession>,
    attested: Option<TpmAudit>,
}

struct Audit {
    address: Address,
    /// None while the connection is cut: some TPMs in software serve one at a time.
    chip: Option<Chip>,
    seal: TpmSeal,
    certificate: SealCertificate,
    draw: Draw,
    /// The message that each slot was proved for.
    proved: BTreeMap<(u32, u64), TxId>,
    /// The highest value that each counter showed.
    highest: BTreeMap<u32, u64>,
    report: AuditReport,
}

impl Audit {
    fn begin(address: &Address, plan: &AuditPlan) -> Result<Self, AuditError> {
        let mut chip = Chip::open(address)?;
        let used = chip.tpm().handles(FIRST_BASE).map_err(TpmError::from)?;
        if let Some(base) = used.into_iter().find(|handle| *handle < BASE)
            && !plan.despite_seals
        {
            return Err(AuditError::Occupied { base });
        }
        let report = AuditReport {
            maker: chip.maker()?,
            firmware: chip.firmware(),
            seed: plan.seed,
            ..AuditReport::default()
        };
        let seal = chip.make_counters(BASE, COUNTERS)?;
        let mut audit = Self {
            address: address.clone(),
            certificate: certificate(seal),
            chip: Some(chip),
            seal,
            draw: Draw(plan.seed),
            proved: BTreeMap::new(),
            highest: BTreeMap::new(),
            report,
        };
        audit.look()?;
        Ok(audit)
    }

    /// Draws one of the actions that are still to be done, in proportion to how many of each.
    fn next_action(&mut self, plan: &AuditPlan) -> Option<Action> {
        let (all, done) = (plan, &self.report);
        let left = [
            (Action::Prove, all.proofs.saturating_sub(done.proofs)),
            (Action::Delete, all.deletes.saturating_sub(done.deletes)),
            (Action::Clear, all.clears.saturating_sub(done.clears)),
            (Action::Kill, all.kills.saturating_sub(done.kills)),
            (Action::Mingle, all.mingles.saturating_sub(done.mingles)),
        ];
        let total = left.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
        let mut at = self.draw.below(total);
        left.into_iter().find_map(|(action, n)| {
            let found = at < n;
            at = at.saturating_sub(n);
            found.then_some(action)
        })
    }

    fn chip(&mut self) -> Result<&mut Chip, TpmError> {
        let chip = match self.chip.take() {
            Some(chip) => chip,
            None => Chip::open(&self.address)?,
        };
        Ok(self.chip.insert(chip))
    }

    fn sequence(&mut self) -> Sequence {
        let counter = self.draw.counter();
        self.sequence_on(counter)
    }

    fn sequence_on(&mut self, counter: u32) -> Sequence {
        let message = TxId::new(sha256(&self.draw.next().to_be_bytes()));
        Sequence { counter, message, step: 0, session: None, attested: None }
    }

    fn prove(&mut self) -> Result<(), TpmError> {
        let mut sequence = self.sequence();
        while sequence.step < STEPS {
            self.step(&mut sequence)?;
        }
        self.end(sequence)
    }

    fn delete(&mut self) -> Result<(), TpmError> {
        let counter = self.draw.counter();
        let one = TpmSeal { base: BASE + counter, counters: 1, ..self.seal };
        // Sometimes in the middle of a proof, which goes on with the new counter.
        let mut sequence = self.sequence_on(counter);
        let cut = self.draw.step();
        while sequence.step < cut {
            self.step(&mut sequence)?;
        }
        let chip = self.chip()?;
        chip.delete_counters(&one)?;
        chip.make_counters(one.base, 1)?;
        self.report.deletes += 1;
        self.look()?;
        while sequence.step < STEPS {
            self.step(&mut sequence)?;
        }
        self.end(sequence)
    }

    fn clear(&mut self) -> Result<(), TpmError> {
        let mut sequence = self.sequence();
        let cut = self.draw.step();
        while sequence.step < cut {
            self.step(&mut sequence)?;
        }
        self.chip()?.tpm().clear()?;
        self.report.clears += 1;
        self.reopen()?;
        self.end(sequence)
    }

    fn kill(&mut self, power: &mut dyn Power) -> Result<(), TpmError> {
        let mut sequence = self.sequence();
        let cut = self.draw.step();
        while sequence.step < cut {
            self.step(&mut sequence)?;
        }
        self.report.power_cut = power.cut()?;
        self.report.kills += 1;
        self.reopen()?;
        self.end(sequence)
    }

    /// Runs two proofs on one counter at the same time, their commands in an order that is drawn,
    /// with increments outside of both now and then.
    fn mingle(&mut self) -> Result<(), TpmError> {
        let counter = self.draw.counter();
        let mut pair = [self.sequence_on(counter), self.sequence_on(counter)];
        while pair.iter().any(|sequence| sequence.step < STEPS) {
            let which = usize::from(self.draw.below(2) == 1);
            if let Some(sequence) = pair.get_mut(which).filter(|s| s.step < STEPS) {
                self.step(sequence)?;
            }
            if self.draw.below(12) == 0 {
                self.chip()?.tpm().nv_increment(BASE + counter)?;
            }
        }
        self.report.mingles += 1;
        pair.into_iter().try_for_each(|sequence| self.end(sequence))
    }

    /// Runs the next command of a proof. Its session is lost when the TPM or the line was cut.
    fn step(&mut self, sequence: &mut Sequence) -> Result<(), TpmError> {
        let handle = BASE + sequence.counter;
        let chip = self.chip()?;
        let key = chip.key_handle();
        let tpm = chip.tpm();
        match (sequence.step, sequence.session.as_mut()) {
            (0, _) => sequence.session = Some(AuditSession::start(tpm)?),
            (1 | 4, Some(session)) => {
                let value = session.read_counter(tpm, handle)?;
                self.saw(sequence.counter, value);
            }
            (2, Some(session)) => session.hash_message(tpm, sequence.message.as_bytes())?,
            (3, Some(session)) => session.increment_counter(tpm, handle)?,
            (_, Some(session)) => {
                sequence.attested = session.attest(tpm, key, SLOT_TAG)?.audit();
            }
            (_, None) => {}
        }
        sequence.step += 1;
        Ok(())
    }

    /// Ends a sequence, and takes what was attested for a proof of whatever slot it fits.
    fn end(&mut self, sequence: Sequence) -> Result<(), TpmError> {
        if let Some(session) = sequence.session {
            // After a Clear or a cut it is gone already.
            let _ = session.end(self.chip()?.tpm());
        }
        let Some(audit) = sequence.attested else { return Ok(()) };
        let proof = HardwareProof::TpmAudit(audit).into();
        let (counter, message) = (sequence.counter, sequence.message);
        let highest = self.highest.get(&counter).copied().unwrap_or_default();
        // More than two sessions never run at a time, so its slot is among the last few.
        let fits = (highest.saturating_sub(8)..=highest).find(|value| {
            let slot = self.certificate.slot(counter, *value);
            verify_slot(&self.certificate, &slot, &message, &proof).is_ok()
        });
        match fits {
            None => self.report.void += 1,
            Some(value) => {
                self.report.proofs += 1;
                if self.proved.insert((counter, value), message).is_some() {
                    self.report.duplicates += 1;
                }
            }
        }
        Ok(())
    }

    /// Opens the TPM again and makes the counters that are gone.
    fn reopen(&mut self) -> Result<(), TpmError> {
        self.chip = None;
        self.seal = self.chip()?.make_counters(BASE, COUNTERS)?;
        self.look()
    }

    /// Looks at every counter, of which some may be new: none may be at a slot that was proved.
    fn look(&mut self) -> Result<(), TpmError> {
        for counter in 0..u32::from(COUNTERS) {
            let seal = self.seal;
            let value = self.chip()?.value(&seal, counter)?;
            if self.proved.contains_key(&(counter, value)) {
                self.report.regressions += 1;
            }
            self.saw(counter, value);
        }
        Ok(())
    }

    fn saw(&mut self, counter: u32, value: u64) {
        let highest = self.highest.entry(counter).or_default();
        if value < *highest {
            self.report.regressions += 1;
        }
        *highest = value.max(*highest);
    }
}

/// What a payee would hold of the audit's counters. Nobody's word: whoever audits believes the TPM.
fn certificate(seal: TpmSeal) -> SealCertificate {
    let nobody = SecretKey::new([1; 32]).expect("one is below the order");
    let terms = SealTerms {
        version: CERTIFICATE_VERSION,
        network: NetworkId::LOCAL,
        hardware: Hardware::Tpm(seal),
        label: SealLabel::new("audit").expect("five printable characters"),
        development: true,
        expires: Time::from_unix(0),
        enroller: nobody.public(),
    };
    SealCertificate::issue(terms, &nobody)
}

/// SplitMix64: the same seed gives the same audit. Nothing secret depends on it.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, or zero.
    fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or_default()
    }

    fn counter(&mut self) -> u32 {
        u32::try_from(self.below(COUNTERS.into())).unwrap_or_default()
    }

    /// How many commands of a proof run before it is interrupted: none to all.
    fn step(&mut self) -> u8 {
        u8::try_from(self.below(u64::from(STEPS) + 1)).unwrap_or_default()
    }
}
