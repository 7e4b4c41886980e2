//! Check a wallet and its surroundings.

use serde::Serialize;
use tally_wallet::Finding;

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Report};
use crate::show::{Names, Pending, SetApart};

#[derive(Serialize)]
struct Checked {
    ok: bool,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    ok: bool,
    what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    next: String,
}

impl From<Finding> for Found {
    fn from(Finding { ok, what, next }: Finding) -> Self {
        Self { ok, what, next }
    }
}

impl From<&Pending> for Found {
    fn from(pending: &Pending) -> Self {
        Self { ok: false, what: pending.what(), next: pending.next.into() }
    }
}

impl From<&SetApart> for Found {
    fn from(apart: &SetApart) -> Self {
        Self { ok: false, what: apart.what(), next: apart.next.clone() }
    }
}

impl Report for Checked {
    fn text(&self) -> String {
        let line = |f: &Found| {
            let mark = if f.ok { "ok  " } else { "BAD " };
            let next =
                if f.next.is_empty() { String::new() } else { format!("      next: {}\n", f.next) };
            format!("{mark}  {}\n{next}", f.what)
        };
        self.findings.iter().map(line).collect()
    }

    fn exit(&self) -> Exit {
        if self.ok { Exit::Ok } else { Exit::Failure }
    }
}

/// Looks the wallet over. A wallet that does not open is a finding too.
pub fn run(at: &Context) -> Result<Done, CliError> {
    let findings: Vec<Found> = match at.open() {
        Ok(mut wallet) => {
            let mut findings = wallet.check();
            findings.extend(wallet.check_seal());
            let device = wallet.device();
            let names = Names::of(device);
            let pending = Pending::all(device, &names);
            let apart = SetApart::all(device, &names);
            let findings = findings.into_iter().map(Found::from);
            let findings = findings.chain(pending.iter().map(Found::from));
            findings.chain(apart.iter().map(Found::from)).collect()
        }
        Err(error) => vec![Found {
            ok: false,
            what: format!("the wallet does not open [{}]: {}", error.code, error.message),
            next: error.next,
        }],
    };
    let ok = findings.iter().all(|found| found.ok);
    Ok(Done::new(&Checked { ok, findings }))
}
