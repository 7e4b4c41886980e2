//! The commands and flags of seals and enrollers.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tally_seal::tpm2::Address;

/// What keeps a device from forking.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum SealChoice {
    /// A key in an encrypted file: a second spend is detected, not prevented
    Software,
    /// The counters of a TPM 2.0, beside such a key
    Tpm2,
}

/// Where a TPM is. A path alone is a device of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TpmAddress(pub Address);

impl FromStr for TpmAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self(Address::Device(text.into())));
        }
        let address = text.parse().map_err(|_| "write device:PATH, unix:PATH or tcp:HOST:PORT")?;
        match address {
            // Relative to the folder of this command, and not of the next one.
            Address::Unix(path) => {
                let path = std::path::absolute(path).map_err(|e| e.to_string())?;
                Ok(Self(Address::Unix(path)))
            }
            other => Ok(Self(other)),
        }
    }
}

/// Commands about the seal.
#[derive(Subcommand, Debug)]
pub enum SealCommand {
    /// Say what the seal is, what it stops and what it does not stop
    Status,
    /// Have the wallet's TPM enrolled, or its enrollment renewed
    Enroll(EnrollArgs),
    /// Attack a TPM as its owner could, and count what it must never do
    Audit(AuditArgs),
    /// Hear of seals that an enroller took back
    Revoked {
        /// The enroller's list
        file: PathBuf,
    },
    /// Bind a wallet that you moved on purpose to this machine
    Rebind,
    /// Open the wallet with another passphrase, or a key file, from now on
    Passphrase {
        /// The new passphrase is in this file
        #[arg(long, value_name = "FILE", required_unless_present = "key_file")]
        new_passphrase_file: Option<PathBuf>,
        /// Use a key file instead of a passphrase
        #[arg(long, conflicts_with = "new_passphrase_file")]
        key_file: bool,
    },
}

/// How to be enrolled.
#[derive(Args, Clone, Debug)]
pub struct EnrollArgs {
    /// Where the enroller listens; else messages go by files
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["answer", "out"], required_unless_present_any = ["out", "answer", "give_up"])]
    pub enroller: Option<String>,
    /// By files: take in what the enroller answered
    #[arg(long, value_name = "FILE")]
    pub answer: Option<PathBuf>,
    /// By files: write the next message for the enroller here
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Take a certificate of this enroller only: its key, or the file with it
    #[arg(long, value_name = "KEY|FILE")]
    pub expect: Option<String>,
    /// Most counters of a new seal: as many coins can be under it at a time
    #[arg(long, value_name = "N", default_value_t = tally_seal::tpm2::DEFAULT_COUNTERS)]
    pub counters: u16,
    /// Certificates between the TPM's own and its maker's root (PEM or DER), if the enroller lacks them
    #[arg(long, value_name = "FILE")]
    pub chain: Vec<PathBuf>,
    /// Make it a wallet without hardware instead, and delete the counters that were made
    #[arg(long, conflicts_with_all = ["enroller", "answer", "out"])]
    pub give_up: bool,
}

/// What to try on a TPM.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// Where the TPM is: device:PATH, unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ADDR", default_value = "/dev/tpmrm0")]
    pub tpm: TpmAddress,
    /// Thousands of tries, with a thousand Clears: destroys the keys of every program that uses the TPM
    #[arg(long)]
    pub long: bool,
    /// At least so many proofs
    #[arg(long, value_name = "N")]
    pub proofs: Option<u64>,
    /// So many Clears: each destroys the keys of every program that uses the TPM
    #[arg(long, value_name = "N")]
    pub clears: Option<u64>,
    /// What the order is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Go ahead on a TPM with a seal's counters: a Clear locks their coins until their locks end
    #[arg(long)]
    pub despite_seals: bool,
}

/// Commands of an enroller.
#[derive(Subcommand, Debug)]
pub enum EnrollerCommand {
    /// Make a new enroller: its key, and how it works
    Init(EnrollerInit),
    /// Show its key, and which authorities it believes
    Show {
        /// Its folder
        #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
        dir: PathBuf,
    },
    /// Believe an authority: a maker of TPMs, or one between a maker and its TPMs
    Trust {
        /// Its certificates, in PEM or DER
        file: PathBuf,
        /// It is the root of TPMs in software
        #[arg(long, conflicts_with = "intermediate")]
        development: bool,
        /// It is no root, but stands between one and TPMs
        #[arg(long)]
        intermediate: bool,
        /// The enroller's folder
        #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
        dir: PathBuf,
    },
    /// Enroll whoever connects and proves to have a TPM
    Run {
        /// Where to listen, such as 0.0.0.0:7118; port 0 takes a free one
        addr: String,
        /// End after so many connections
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// Its folder
        #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
        dir: PathBuf,
    },
    /// Answer a message that came as a file
    Answer {
        /// What a device sent
        message: PathBuf,
        /// Where to put the answer
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The enroller's folder
        #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
        dir: PathBuf,
    },
    /// List who waits for approval, and the seals that are enrolled
    List {
        /// Its folder
        #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
        dir: PathBuf,
    },
    /// Approve an enrollment that waits, or decline it
    Approve {
        /// The first digits of its number
        id: String,
        /// Forget it instead
        #[arg(long)]
        decline: bool,
        /// The enroller's folder
        #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
        dir: PathBuf,
    },
    /// Take a seal's enrollment back, for good
    Revoke {
        /// The first digits of the seal; without it, the list of those that were taken back is written
        seal: Option<String>,
        /// Where to put the list, for notaries and wallets
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The enroller's folder
        #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
        dir: PathBuf,
    },
}

/// What a new enroller is to be.
#[derive(Args, Clone, Debug)]
pub struct EnrollerInit {
    /// Its folder
    #[arg(long, value_name = "DIR", env = "TALLY_ENROLLER", hide_env_values = true)]
    pub dir: PathBuf,
    /// The network that it enrolls for
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub network: u16,
    /// Enroll TPMs in software too, which can be copied: on a development network only
    #[arg(long)]
    pub allow_software_tpm: bool,
    /// Its owner approves each enrollment
    #[arg(long)]
    pub by_hand: bool,
    /// How long its certificates last, such as 365days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub lifetime: Option<Duration>,
    /// Write its key here, for `asset create`, `seal enroll` and `notary init`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
