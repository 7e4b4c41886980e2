//! Look a wallet over, and say what is wrong and what to do.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use tally_core::device::{Device, Meeting, Mode, OutgoingState, Standing};
use tally_seal::journal::Rollback;

use crate::store::Store;
use crate::wallet::now;
use crate::{LockStanding, Wallet};

/// A time before which no clock can be right: 2025-01-01, in Unix seconds.
const EARLIEST: u64 = 1_735_689_600;

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub what: String,
    /// What to do, if it is not; empty otherwise.
    pub next: String,
}

impl Finding {
    fn new(ok: bool, what: impl Into<String>, next: &str) -> Self {
        Self { ok, what: what.into(), next: if ok { String::new() } else { next.into() } }
    }
}

/// Most contacts that are named in one finding.
const SOME_NAMES: usize = 8;

impl Wallet {
    /// Looks over records, root, journal, mode, payments, permissions, room and clock.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = self.check_records();
        findings.push(self.check_journal());
        findings.push(self.check_mode());
        findings.push(self.check_waiting());
        findings.extend(self.check_disputes());
        findings.extend(self.check_accusation());
        findings.extend(self.check_folder());
        let clock = now().unix() >= EARLIEST;
        findings.push(Finding::new(
            clock,
            format!("the clock shows {} seconds since 1970", now().unix()),
            "set the clock: invoices and locks depend on it",
        ));
        findings
    }

    /// Looks over the hardware that seals the wallet, and what it locks. One finding without hardware.
    pub fn check_seal(&mut self) -> Vec<Finding> {
        let state = self.seal_state();
        let Some(counters) = state.counters else {
            return vec![Finding::new(true, "the seal is software: payments are Signed", "")];
        };
        let mut findings = Vec::new();
        let ends = self.enrollment().map(|certificate| certificate.terms().expires);
        match &state.fault {
            Some(fault) => findings.push(Finding::new(false, fault.clone(), MEND)),
            None => {
                let what = format!(
                    "the TPM answers; {} of {} counters are free",
                    counters.free, counters.total
                );
                findings.push(Finding::new(true, what, ""));
                let next = "spend coins, or merge them with `tally refresh`: until then, coins that arrive are under your signature alone, and invoices say so";
                findings.push(Finding::new(
                    counters.free > 0,
                    "counters for coins that arrive",
                    next,
                ));
            }
        }
        if let Some(ends) = ends {
            let soon = now().plus(RENEW_BEFORE) >= ends;
            let what = format!("its enrollment ends {} days from now", ends.since(now()) / DAY);
            findings.push(Finding::new(!soon, what, "renew it: tally seal enroll"));
        }
        findings.extend(self.check_revoked());
        for lock in self.locks() {
            let days = lock.until.since(now()).div_ceil(DAY);
            let what = format!(
                "coin {} is locked to counter {} for {days} days: {}",
                &lock.coin.to_string()[..12],
                lock.slot.counter,
                lock.standing
            );
            let ok = matches!(lock.standing, LockStanding::Ready | LockStanding::Ended);
            let next = match lock.standing {
                LockStanding::Away => MEND,
                _ => "wait for the end of its lock; nothing is lost",
            };
            findings.push(Finding::new(ok, what, next));
        }
        findings
    }

    /// Money in dispute is not lost: whoever settles it first keeps it.
    fn check_disputes(&self) -> Option<Finding> {
        let device = self.device();
        let coins = device.ledger().pockets().filter(|pocket| device.is_in_dispute(pocket)).count();
        let what =
            format!("{coins} of your coins are in dispute: a payer was proved to have paid twice");
        let next = "settle now (tally settle): the first to settle keeps them";
        (coins > 0).then(|| Finding::new(false, what, next))
    }

    /// Others refuse a key that was proved to have paid twice, whoever held the copy that did.
    fn check_accusation(&self) -> Option<Finding> {
        self.device().accusation()?;
        let what = "your own key was proved to have paid twice: the wallet was copied, or went on from a backup";
        let next = "settle what you hold (tally settle), and be paid with a new wallet: others refuse this one's payments";
        Some(Finding::new(false, what, next))
    }

    fn check_revoked(&self) -> Option<Finding> {
        let what = "its enroller has taken the enrollment back: payees who heard of it refuse what it seals";
        let next = "ask the enroller; its coins move by your signature alone when their locks end";
        self.is_seal_revoked().then(|| Finding::new(false, what, next))
    }

    fn check_records(&self) -> Vec<Finding> {
        let loaded = match self.store.load() {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return vec![Finding::new(false, "there are no records", RESTORE)],
            Err(e) => return vec![Finding::new(false, e.to_string(), RESTORE)],
        };
        let count = loaded.changes.len();
        let mut again = Device::new(self.device().me().clone());
        loaded.changes.into_iter().for_each(|change| again.apply(change));
        let same = again.ledger().root() == self.device().ledger().root()
            && again.head() == self.device().head();
        let next = "close the wallet and open it again; if this comes back, keep the folder and restore a backup";
        let read = format!("{count} records can be read, and say what the open wallet says");
        vec![Finding::new(same, read, next), check_root(&again)]
    }

    fn check_journal(&self) -> Finding {
        let differs = self.journal_differs();
        let ok = differs.is_none();
        let at = self.device().entry().to;
        let told = differs.unwrap_or_else(|| match self.seal.check(at.seq, &at.head) {
            Rollback::FirstUse => Rollback::FirstUse,
            // A crash came between: what waits is written when it is signed.
            _ => Rollback::None,
        });
        Finding::new(
            ok,
            told.to_string(),
            "sync with everyone whom you paid, then confirm: tally recover",
        )
    }

    fn check_mode(&self) -> Finding {
        match self.device().mode() {
            Mode::Normal => Finding::new(true, "the wallet may pay", ""),
            Mode::ReceiveOnly => {
                let unmet = self.device().contacts().values().filter(|c| c.met == Meeting::Due);
                let names: Vec<&str> = unmet.map(|contact| contact.name.as_str()).collect();
                let some = names.iter().take(SOME_NAMES).copied().collect::<Vec<_>>().join(", ");
                let what = format!(
                    "the wallet receives only: {} contacts are to be met ({}), {} steps are missing",
                    names.len(),
                    if names.is_empty() { "nobody" } else { &some },
                    self.device().missing().count()
                );
                let next = if names.is_empty() {
                    "confirm: tally recover; it says if your own word is needed, and what it means"
                } else {
                    "sync with these contacts, then confirm: tally recover"
                };
                Finding::new(false, what, next)
            }
        }
    }

    fn check_waiting(&self) -> Finding {
        let outgoing = self.device().outgoing().values();
        let waiting = outgoing.filter(|o| o.state == OutgoingState::Signed).count();
        let what = format!("{waiting} payments wait for a receipt");
        Finding::new(waiting == 0, what, "send them again: tally resend, or sync with the payee")
    }

    fn check_folder(&self) -> Vec<Finding> {
        let file = Store::path_in(&self.dir);
        let private = |path: &std::path::Path| {
            let mode = fs::metadata(path).map(|m| m.permissions().mode() & 0o777);
            let ok = mode.as_ref().is_ok_and(|mode| mode & 0o077 == 0);
            let mode = mode.map_or_else(|e| e.to_string(), |mode| format!("mode {mode:03o}"));
            let next = "let nobody else read it: chmod 700 on the folder, 600 on the file";
            Finding::new(ok, format!("{}: {mode}", path.display()), next)
        };
        vec![private(&self.dir), private(&file), self.check_room()]
    }

    /// Whether a file of a megabyte can be written beside the records. It has no name while it is
    /// written, so that nothing stays of it whenever the program ends.
    fn check_room(&self) -> Finding {
        let written = tempfile::tempfile_in(&self.dir)
            .and_then(|mut probe| probe.write_all(&[0; ROOM]).and_then(|()| probe.sync_all()));
        let what = match &written {
            Ok(()) => "there is room on the disk".to_owned(),
            Err(e) => format!("cannot write in the wallet's folder: {e}"),
        };
        Finding::new(written.is_ok(), what, "free some space, or make the folder writable")
    }
}

/// Compares the root of the pockets in the records with the one that the latest step signed.
fn check_root(device: &Device) -> Finding {
    let (ok, what) = match device.standing() {
        Standing::Unsigned => (true, "the wallet has signed no step yet".to_owned()),
        Standing::Signed(root) => {
            (true, format!("the pockets give the root that step {} signed: {root}", device.seq()))
        }
        Standing::Learned => (
            true,
            format!("step {} was learned from contacts: its root is not compared", device.seq()),
        ),
        Standing::Differs => {
            (false, format!("the pockets do not give the root that step {} signed", device.seq()))
        }
    };
    Finding::new(ok, what, RESTORE)
}

/// Bytes for which there should be room.
const ROOM: usize = 1 << 20;
const MEND: &str = "see what is wrong with the TPM, then `tally seal status`; after a Clear or new firmware `tally seal enroll`; if it is gone for good `tally recover --without-tpm`";
const DAY: u64 = 24 * 60 * 60;
/// How long before its end an enrollment should be renewed, in seconds.
const RENEW_BEFORE: u64 = 31 * DAY;

const RESTORE: &str = "keep the folder, and restore the wallet from a backup (tally restore)";
