//! Have the wallet's TPM enrolled: over TCP, or by files.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tally_core::seal::{Hardware, SealCertificate, TpmSeal};
use tally_seal::SealError;
use tally_seal::enroll::{
    Authority, Enrollment, MAX_CERTIFICATE_DER, MAX_CHAIN, MAX_MESSAGE, Progress, Trust, Want,
};
use tally_seal::tpm2::{Address, Chip, TpmError};
use tally_transport::Channel;
use tally_transport::file::{self, Existing};
use tally_transport::tcp::{self, Limits};
use tally_wallet::Wallet;

use super::enroller::read_key;
use crate::args::EnrollArgs;
use crate::context::{Context, entropy};
use crate::error::{CliError, Exit};
use crate::output::{Done, Report};
use crate::show::{date, short};

#[derive(Serialize, Default)]
struct Stand {
    /// `enrolled`, `waiting`, `asked` or `given up`.
    state: &'static str,
    enrollment: String,
    seal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enroller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counters: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::output::path_if_any"
    )]
    out: Option<PathBuf>,
}

impl Report for Stand {
    fn text(&self) -> String {
        let Self { state, enrollment, seal, .. } = self;
        match *state {
            "enrolled" => format!(
                "enrolled: seal {}, {} counters, until {}\n  payees read: {}\n  enroller  {}\n  device    {}\n\
                 next: give your card to others with `tally contact card`, and renew with `tally seal enroll` in time\n",
                short(seal),
                self.counters.unwrap_or(0),
                self.expires.as_deref().unwrap_or("?"),
                self.tier.as_deref().unwrap_or("?"),
                self.enroller.as_deref().unwrap_or("?"),
                self.device.as_deref().map_or("?", short),
            ),
            "waiting" => format!(
                "all is proved; the enroller's owner has to approve {}\nnext: run the same command again later\n",
                short(enrollment)
            ),
            "asked" => {
                let out = self.out.as_ref().map(|out| out.display().to_string());
                format!(
                    "written: {}\nnext: bring it to the enroller (`tally enroller answer`), and its answer back with --answer\n",
                    out.unwrap_or_default()
                )
            }
            _ => "this wallet has no hardware seal any more: its payments are Signed\n".into(),
        }
    }
}

/// Goes on with the enrollment as far as it goes now.
pub fn run(at: &Context, args: &EnrollArgs) -> Result<Done, CliError> {
    let expected = args.expect.as_deref().map(read_key).transpose()?;
    let mut wallet = at.open_any()?;
    let Some(address) = wallet.tpm().cloned() else {
        let next =
            "make a new wallet with `tally init --seal tpm2`: the seal is part of who a device is";
        return Err(CliError::usage("SEAL_SOFTWARE", "this wallet was made without a TPM", next));
    };
    let path = Wallet::enrollment_file(&at.dir);
    if args.give_up {
        wallet.forget_tpm()?;
        if let Some(enrollment) = Enrollment::resume(&path)? {
            enrollment.abandon(&mut Chip::open(&address).map_err(SealError::Tpm)?)?;
        }
        return Ok(Done::new(&Stand { state: "given up", ..Stand::default() }));
    }
    let network = wallet.device().me().network;
    let enrolled = wallet.enrollment().map(|certificate| certificate.terms().hardware);
    // Some TPMs in software serve one connection at a time.
    drop(wallet);
    let mut chip = Chip::open(&address).map_err(SealError::Tpm)?;
    let mut anew = false;
    let enrollment = match Enrollment::resume(&path)? {
        Some(enrollment) => enrollment,
        None => {
            let want = match enrolled {
                Some(Hardware::Tpm(seal)) => {
                    anew = mend(&mut chip, seal)?;
                    Want::Renew(seal)
                }
                _ => Want::New { counters: args.counters },
            };
            let chain = chain(&args.chain)?;
            Enrollment::begin(&path, &mut chip, network, want, chain, &entropy()?)?
        }
    };
    let stand = Stand {
        enrollment: enrollment.id().to_string(),
        seal: enrollment.seal().to_string(),
        ..Stand::default()
    };
    match ask(&enrollment, &mut chip, args)? {
        Progress::Send(message) => {
            let out = args.out.as_deref().ok_or_else(|| {
                let next = "add --out FILE, and bring that to the enroller";
                CliError::usage("NO_PLACE", "there is a message for the enroller", next)
            })?;
            file::write(out, &message, Existing::Keep)?;
            Ok(Done::new(&Stand { state: "asked", out: Some(out.to_owned()), ..stand }))
        }
        Progress::Waiting(_) => Ok(Done::new(&Stand { state: "waiting", ..stand })),
        Progress::Enrolled(certificate) => {
            let enroller = &certificate.terms().enroller;
            if expected.is_some_and(|expected| expected != *enroller) {
                let what = format!("the certificate is by another enroller, {enroller}");
                let next = "ask the right one, or give the new one's key with --expect";
                return Err(CliError::new(Exit::Refused, "ENROLLER_OTHER", what, next));
            }
            drop(chip);
            let wallet = bind(at, &address, certificate.clone(), anew)?;
            enrollment.finish()?;
            Ok(Done::new(&of_certificate(stand, &wallet, &certificate)))
        }
    }
}

fn bind(
    at: &Context,
    address: &Address,
    certificate: SealCertificate,
    anew: bool,
) -> Result<Wallet, CliError> {
    let mut wallet = Wallet::bind_to_tpm(&at.dir, &at.setup()?, address, certificate)?;
    if anew {
        wallet.counters_made_anew()?;
    }
    Ok(wallet)
}

fn of_certificate(stand: Stand, wallet: &Wallet, certificate: &SealCertificate) -> Stand {
    let terms = certificate.terms();
    Stand {
        state: "enrolled",
        tier: Some(terms.to_string()),
        enroller: Some(terms.enroller.to_string()),
        expires: Some(date(terms.expires)),
        counters: match terms.hardware {
            Hardware::Tpm(tpm) => Some(tpm.counters),
            _ => None,
        },
        device: Some(wallet.device().id().to_string()),
        ..stand
    }
}

/// After a Clear the same counters are made anew, above every value that they had: the seal stays
/// the same, and the coins that were under it wait for their locks. Gives whether that was needed.
fn mend(chip: &mut Chip, seal: TpmSeal) -> Result<bool, CliError> {
    let now = TpmSeal { firmware: chip.firmware(), ..seal };
    match chip.check(&now) {
        Ok(()) => Ok(false),
        Err(TpmError::Cleared | TpmError::CounterDeleted { .. }) => {
            chip.make_counters(seal.base, seal.counters).map_err(SealError::Tpm)?;
            Ok(true)
        }
        Err(error) => Err(SealError::Tpm(error).into()),
    }
}

/// Sends messages and takes answers: over TCP to the end, by files one at a time.
fn ask(enrollment: &Enrollment, chip: &mut Chip, args: &EnrollArgs) -> Result<Progress, CliError> {
    if let Some(address) = &args.enroller {
        let mut channel = tcp::connect(address, &Limits::default())?;
        return enrollment.run(chip, |message| -> Result<Vec<u8>, CliError> {
            channel.send(message)?;
            Ok(channel.recv()?)
        });
    }
    match &args.answer {
        Some(answer) => Ok(enrollment.answer(chip, &file::read(answer, MAX_MESSAGE)?)?),
        None => Ok(Progress::Send(enrollment.message())),
    }
}

fn chain(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, CliError> {
    const MAX_FILE: usize = 4 * MAX_CHAIN * MAX_CERTIFICATE_DER;
    let mut all = Vec::new();
    for path in files {
        let bytes = file::read(Path::new(path), MAX_FILE)?;
        let read = Authority::read(&bytes, Trust::Intermediate)?;
        all.extend(read.iter().map(|authority| authority.der().to_vec()));
    }
    Ok(all)
}
