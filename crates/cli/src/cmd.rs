//! Do what a command says: one module a group of commands.

mod asset;
mod audit;
mod backup;
mod contact;
mod doctor;
mod enroll;
mod enroller;
mod fork;
mod init;
mod inspect;
mod invoice;
mod listen;
mod meet;
mod mint;
mod notaries;
mod operate;
mod own;
mod pay;
mod policy;
mod receive;
mod recover;
mod seal;
mod settle;
mod shell;
mod status;
mod toy_tpm;
mod verify;
mod view;

pub use asset::policy_of;
pub use own::parse_until;

use crate::args::{Cli, Command, DevnetCommand, NotaryCommand, SealCommand};
use crate::context::Context;
use crate::demo;
use crate::error::CliError;
use crate::output::{Done, Out};

/// Does what the command line says.
///
/// # Errors
/// [`CliError`] when it cannot be done.
pub fn run(cli: Cli, out: Out) -> Result<Done, CliError> {
    // Some commands need no wallet, and so no folder for one.
    let at = || Context::new(&cli.global);
    match cli.command {
        Command::Init { name, network, seal, tpm } => {
            init::run(&at()?, &name, network, seal, tpm.map(|tpm| tpm.0))
        }
        Command::Id => view::id(&at()?),
        Command::Contact(command) => contact::run(&at()?, out, command),
        Command::Asset(command) => asset::run(&at()?, out, command),
        Command::Mint { asset, amount, to, deliver } => {
            mint::run(&at()?, out, &asset, &amount, &to, &deliver)
        }
        Command::Receive { file, deliver } => receive::run(&at()?, out, &file, &deliver),
        Command::Invoice { asset, amount, valid_for, deliver } => {
            invoice::run(&at()?, out, &asset, &amount, valid_for, &deliver)
        }
        Command::Pay(pay) => pay::run(&at()?, out, &pay),
        Command::Listen { addr, once, count } => {
            listen::run(&at()?, out, &addr, if once { Some(1) } else { count })
        }
        Command::Resend { contact, connect, deliver } => {
            meet::resend(&at()?, out, &contact, connect.as_deref(), &deliver)
        }
        Command::Sync { contact, connect } => meet::sync(&at()?, &contact, &connect),
        Command::Balance => view::balance(&at()?),
        Command::History { limit } => view::history(&at()?, limit),
        Command::Inspect { file } => inspect::run(&file),
        Command::Verify { file, network } => verify::run(&file, network),
        Command::Policy(command) => policy::run(&at()?, command),
        Command::Fork(command) => fork::run(&at()?, out, command),
        Command::Backup(backup) => backup::backup(&at()?, &backup),
        Command::Restore { file, backup_passphrase_file } => {
            backup::restore(&at()?, &file, backup_passphrase_file.as_deref())
        }
        Command::Recover(args) => recover::run(&at()?, out, &args),
        Command::Seal(SealCommand::Audit(args)) => audit::run(out, &args),
        Command::Seal(command) => seal::run(&at()?, out, command),
        Command::Enroller(command) => enroller::run(&cli.global, out, command),
        Command::Settle => settle::run(&at()?, out),
        Command::Refresh { asset } => own::refresh(&at()?, out, asset.as_deref()),
        Command::Reserve { contact, amount, asset, until } => {
            own::reserve(&at()?, out, [&contact, &amount, &asset], until)
        }
        Command::Release(release) => own::release(&at()?, out, &release),
        Command::Status => status::run(&at()?),
        Command::Doctor => doctor::run(&at()?),
        Command::Completions { shell } => Ok(shell::completions(shell)),
        Command::Man => shell::man(),
        Command::Notary(command) => match command {
            NotaryCommand::Init(init) => operate::init(&init),
            NotaryCommand::Run { config, until_input_ends } => {
                operate::run(out, &config, until_input_ends)
            }
            NotaryCommand::VerifyLog(what) => operate::verify_log(out, &what),
            NotaryCommand::Add { url, trust } => notaries::add(&at()?, &url, &trust),
            NotaryCommand::List { offline } => notaries::list(&at()?, offline),
        },
        Command::Devnet(DevnetCommand::Up { validators, dir, port, enroller }) => {
            operate::devnet(out, validators, dir.as_deref(), port, &enroller)
        }
        Command::Devnet(DevnetCommand::Tpm { dir }) => toy_tpm::run(out, &dir),
        Command::Demo { keep } => demo::run(keep.as_deref(), out),
    }
}
