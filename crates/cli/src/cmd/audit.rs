//! Attack a TPM as its owner could, and count what it must never do.

use serde::Serialize;
use tally_seal::tpm2::audit::{self, AuditError, AuditPlan, AuditReport, NoPower};

use crate::args::AuditArgs;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};

/// How many actions lie between two lines of progress.
const EVERY: u64 = 500;

#[derive(Serialize)]
struct Audited {
    found_nothing: bool,
    #[serde(flatten)]
    report: AuditReport,
}

impl Report for Audited {
    fn text(&self) -> String {
        let AuditReport { maker, firmware, proofs, deletes, clears, kills, mingles, .. } =
            &self.report;
        let AuditReport { power_cut, void, duplicates, regressions, seed, .. } = &self.report;
        let cuts = if *power_cut { "power cuts" } else { "connection cuts" };
        let verdict = if self.found_nothing {
            "found nothing that a seal must not do. So many tries found none; more might."
        } else {
            "THIS TPM IS NO SEAL: it proved a slot twice, or a counter came back to a value."
        };
        format!(
            "TPM by {maker}, firmware {firmware:#018x}, seed {seed}\n\
             {proofs} proofs, {deletes} deletes, {clears} clears, {kills} {cuts}, {mingles} mingled pairs\n\
             {void} attestations prove nothing, {duplicates} duplicates, {regressions} values shown twice\n{verdict}\n"
        )
    }

    fn exit(&self) -> Exit {
        if self.found_nothing { Exit::Ok } else { Exit::Conflict }
    }
}

/// Runs the adversary against the TPM.
pub fn run(out: Out, args: &AuditArgs) -> Result<Done, CliError> {
    let base = if args.long { AuditPlan::LONG } else { AuditPlan::SHORT };
    let plan = AuditPlan {
        proofs: args.proofs.unwrap_or(base.proofs),
        clears: args.clears.unwrap_or(base.clears),
        seed: args.seed,
        despite_seals: args.despite_seals,
        ..base
    };
    if plan.clears > 0 {
        out.note("this clears the TPM: the keys of every program that uses it are lost");
    }
    let mut actions = 0;
    let report = audit::run(&args.tpm.0, &mut NoPower, &plan, &mut |report| {
        actions += 1;
        if actions % EVERY == 0 {
            out.note(&format!("{} proofs, {} duplicates", report.proofs, report.duplicates));
        }
    });
    let report = report.map_err(|error| refused(&error))?;
    Ok(Done::new(&Audited { found_nothing: report.found_nothing(), report }))
}

fn refused(error: &AuditError) -> CliError {
    let made = CliError::from_text(Exit::Failure, error.code(), &error.to_string());
    match error {
        AuditError::Occupied { .. } => {
            let next = "spend them first, or let the audit lock them: --despite-seals";
            CliError { next: next.into(), ..made }
        }
        AuditError::Tpm(_) => made,
    }
}
