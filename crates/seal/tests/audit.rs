//! An adversary with the owner's rights and a power switch, against a TPM in software.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Scene, owner};
use tally_seal::tpm2::audit::{AuditError, AuditPlan, AuditReport, NoPower, Power, run};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Chip, TpmError};
use tempfile::TempDir;

fn tpm() -> (TempDir, SoftwareTpm) {
    let dir = tempfile::tempdir().expect("a folder");
    let swtpm = SoftwareTpm::start(&dir.path().join("tpm")).expect("a TPM in software");
    (dir, swtpm)
}

fn audit(swtpm: &mut SoftwareTpm, plan: &AuditPlan) -> AuditReport {
    let address = swtpm.address();
    run(&address, swtpm, plan, &mut |_| {}).expect("an audit")
}

#[test]
fn an_adversary_with_the_owners_rights_gets_one_proof_a_slot() {
    let (_dir, mut swtpm) = tpm();
    let plan = AuditPlan { clears: 20, ..AuditPlan::SHORT };
    let report = audit(&mut swtpm, &plan);
    assert!(report.found_nothing(), "{report:?}");
    assert!(report.proofs >= plan.proofs && report.power_cut, "{report:?}");
    assert!(report.deletes == 20 && report.clears == 20, "{report:?}");
    assert!(report.kills == 20 && report.mingles == 20, "{report:?}");
    // Mingled sessions and interrupted proofs were attested too, and prove nothing.
    assert!(report.void > 0, "{report:?}");
    assert_eq!(report.maker, "IBM");
    assert!(serde_json::to_string(&report).expect("JSON").contains("\"duplicates\":0"));
}

#[test]
#[ignore = "takes minutes: `just seal-audit-long`"]
fn long_audit() {
    let (_dir, mut swtpm) = tpm();
    let address = swtpm.address();
    let mut actions = 0_u64;
    let report = run(&address, &mut swtpm, &AuditPlan::LONG, &mut |report| {
        actions += 1;
        if actions.is_multiple_of(500) {
            eprintln!("{}", serde_json::to_string(report).expect("JSON"));
        }
    });
    let report = report.expect("an audit");
    eprintln!("{}", serde_json::to_string(&report).expect("JSON"));
    assert!(report.found_nothing(), "{report:?}");
    assert!(report.proofs >= 5000, "{report:?}");
}

/// Sets the TPM's own state back to what it was, each time the power is cut.
struct SetsBack<'a> {
    swtpm: &'a mut SoftwareTpm,
    backup: PathBuf,
}

impl Power for SetsBack<'_> {
    fn cut(&mut self) -> Result<bool, TpmError> {
        self.swtpm.cut_power();
        let state = self.swtpm.dir().to_owned();
        if self.backup.exists() {
            copy(&self.backup, &state);
        } else {
            copy(&state, &self.backup);
        }
        self.swtpm.switch_on().map(|()| true)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

#[test]
fn a_tpm_that_can_be_set_back_is_found_out() {
    let (dir, mut swtpm) = tpm();
    let address = swtpm.address();
    let mut power = SetsBack { swtpm: &mut swtpm, backup: dir.path().join("backup") };
    let report = run(&address, &mut power, &AuditPlan::SHORT, &mut |_| {}).expect("an audit");
    assert!(report.duplicates > 0 && report.regressions > 0, "{report:?}");
    assert!(!report.found_nothing());
}

#[test]
fn the_same_seed_does_the_same_and_another_does_not() {
    let report = |seed| {
        let (_dir, mut swtpm) = tpm();
        let plan = AuditPlan { seed, mingles: 10, kills: 5, deletes: 5, ..AuditPlan::SHORT };
        audit(&mut swtpm, &plan)
    };
    let first = report(7);
    assert_eq!(report(7), first);
    let other = report(8);
    assert_ne!((other.proofs, other.void), (first.proofs, first.void));
}

#[test]
fn an_audit_leaves_a_seals_tpm_alone_unless_told_otherwise() {
    let mut scene = Scene::with(2);
    let before = scene.chip().value(&scene.counters, 0).expect("a value");
    let (address, base) = (scene.swtpm.address(), scene.counters.base);
    let refused = run(&address, &mut NoPower, &AuditPlan::SHORT, &mut |_| {}).expect_err("a seal");
    assert_eq!(refused, AuditError::Occupied { base });
    assert_eq!(refused.code(), "AUDIT_OCCUPIED");
    assert!(refused.to_string().contains("0x01807a00"), "{refused}");
    let mut actions = 0;
    let plan = AuditPlan { despite_seals: true, proofs: 5, ..AuditPlan::SHORT };
    let report = run(&address, &mut scene.swtpm, &plan, &mut |_| actions += 1).expect("an audit");
    assert!(report.found_nothing() && actions > 5, "{report:?}");
    // Without a Clear the seal's counters are as they were, and the audit's own are gone.
    let mut chip = scene.chip();
    assert_eq!(chip.value(&scene.counters, 0), Ok(before));
    chip.check(&scene.counters).expect("all are there");
}

#[test]
fn without_a_power_switch_connections_are_cut() {
    let (_dir, swtpm) = tpm();
    let report = run(&swtpm.address(), &mut NoPower, &AuditPlan::SHORT, &mut |_| {});
    let report = report.expect("an audit");
    assert!(report.found_nothing() && !report.power_cut && report.kills == 20, "{report:?}");
}

#[test]
fn a_clear_that_is_not_the_callers_to_do_ends_the_audit() {
    let (_dir, mut swtpm) = tpm();
    let address = swtpm.address();
    let mut chip = Chip::open(&address).expect("a TPM");
    owner::set_password(&mut chip, owner::RH_LOCKOUT, b"mine");
    drop(chip);
    let plan = AuditPlan { clears: 1, ..AuditPlan::SHORT };
    let error = run(&address, &mut swtpm, &plan, &mut |_| {}).expect_err("not allowed");
    assert_eq!(error.code(), "TPM_OWNER_AUTH");
    assert!(error.to_string().contains("lockout hierarchy"), "{error}");
}
