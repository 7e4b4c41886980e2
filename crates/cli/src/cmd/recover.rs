//! End recovery, and free what is set apart by the owner's word.

use serde::Serialize;
use tally_core::device::{DeviceError, Meeting, Mode, RecoveryError};
use tally_core::id::AssetId;
use tally_wallet::{Wallet, WalletError};

use super::backup::restored;
use super::own::only_asset;
use super::settle::{self, Settled};
use crate::args::Recover;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Locked, Money, Names, SetApart};

/// What the owner is told before their word frees coins that are set apart.
const WARNING: &str = "a payment that was lost may have spent these coins, and that the network shows them as unspent does not rule it out; if a lost payee comes back with a payment of one of them, this device is convicted, and its identity is refused for good";

/// What the owner's word came to.
#[derive(Serialize)]
struct Freed {
    warning: &'static str,
    freed: Money,
    tx: String,
    certified: bool,
    settled: Settled,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    set_apart: Vec<SetApart>,
}

impl Report for Freed {
    fn text(&self) -> String {
        let freed = if self.certified {
            format!("freed by your word: {}\n", self.freed.text())
        } else {
            "signed, but not certified: it is free once `tally settle` is through\n".to_owned()
        };
        let left = self.set_apart.iter().map(SetApart::text);
        self.settled.text() + &freed + &left.collect::<String>()
    }

    fn exit(&self) -> Exit {
        self.settled.exit()
    }
}

/// Confirms that everyone who was paid since the backup has been met, and frees what is set apart if
/// that is asked for.
///
/// Whoever is given up on may have been paid since the backup, and convict this wallet of a fork.
pub fn run(at: &Context, out: Out, args: &Recover) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    for name in &args.give_up {
        let contact = wallet.find_contact(name)?;
        wallet.give_up(contact)?;
        out.note(&format!("given up: {name}"));
    }
    if args.without_tpm {
        warn_of_locks(&mut wallet, out);
    }
    confirm(&mut wallet, out, args)?;
    let Some(asset) = &args.free else { return Ok(restored(&wallet)) };
    let asset = match asset {
        Some(name) => wallet.find_asset(name)?,
        None => only_asset(&wallet, "tally recover --free ASSET")?,
    };
    free(&mut wallet, out, asset, args.nobody_was_paid_with_them)
}

fn confirm(wallet: &mut Wallet, out: Out, args: &Recover) -> Result<(), CliError> {
    let word = args.nothing_paid_since_backup;
    if word && *wallet.device().mode() != Mode::Normal {
        let last = wallet.last_known_step();
        out.note(&format!(
            "WARNING: nobody confirms that this wallet signed nothing after step {last}. If it did, its next payment is a fork: it is proved to all, and this identity is refused for good."
        ));
    }
    let confirmed = if args.without_tpm {
        wallet.confirm_recovery_without_tpm(word)
    } else {
        wallet.confirm_recovery(word)
    };
    confirmed.map_err(|error| match error {
        WalletError::Seal(tally_seal::SealError::RolledBack(_)) => {
            let last = wallet.last_known_step();
            let next = format!(
                "meet whoever was paid (tally sync), or give your word that nothing was paid after step {last}: tally recover --nothing-paid-since-backup"
            );
            CliError { next, ..error.into() }
        }
        error => {
            let is_open = error.code() == "NOT_RECOVERED";
            let error = CliError::from(error);
            let due = wallet.device().contacts().values().filter(|c| c.met == Meeting::Due);
            let due: Vec<&str> = due.map(|contact| contact.name.as_str()).collect();
            if !is_open || due.is_empty() {
                return error;
            }
            CliError { message: format!("{} ({})", error.message, due.join(", ")), ..error }
        }
    })
}

/// Says what giving the TPM up locks, before it is given up.
fn warn_of_locks(wallet: &mut Wallet, out: Out) {
    let locks = wallet.locks();
    let locked = Locked::by_giving_up(&Names::of(wallet.device()), &locks);
    if !locked.is_empty() {
        let locked: Vec<String> = locked.iter().map(Locked::what).collect();
        out.note(&format!(
            "WARNING: with the TPM given up, this pays nobody before its lock ends, whether or not the TPM comes back: {}.",
            locked.join(", ")
        ));
    }
}

fn free(wallet: &mut Wallet, out: Out, asset: AssetId, word: bool) -> Result<Done, CliError> {
    let names = Names::of(wallet.device());
    let apart = SetApart::in_question(wallet.device(), &names, &asset);
    let apart =
        apart.ok_or_else(|| WalletError::from(DeviceError::from(RecoveryError::NotApart)))?;
    if !word {
        return Err(CliError::usage(
            "WORD_NEEDED",
            format!("{} is set apart: {WARNING}", apart.money.text()),
            &format!(
                "if you are sure that nobody was paid with it: tally recover --free {} --nobody-was-paid-with-them",
                apart.money.name()
            ),
        ));
    }
    out.note(&format!("WARNING: {WARNING}."));
    let mut seen = Vec::new();
    let mut show = |event: &tally_core::device::Event| seen.push(event.clone());
    let moved = wallet.free(asset, &mut |progress| settle::note(out, progress), &mut show)?;
    let device = wallet.device();
    let made = device.outgoing().get(&moved.tx).map(|outgoing| outgoing.payment.offer.amount);
    Ok(Done::new(&Freed {
        warning: WARNING,
        freed: Money::of(&names, &asset, made.unwrap_or_default()),
        tx: moved.tx.to_string(),
        certified: moved.certified,
        set_apart: SetApart::all(device, &names),
        settled: Settled::of(wallet, moved.settling, &seen),
    }))
}
