//! Name every command and flag.

mod recover;
mod seals;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tally_core::time::Time;

pub use recover::Recover;
pub use seals::{
    AuditArgs, EnrollArgs, EnrollerCommand, EnrollerInit, SealChoice, SealCommand, TpmAddress,
};

/// Pay and be paid face to face, both offline, and see what every payment rests on.
#[derive(Parser, Debug)]
#[command(name = "tally", version, about, after_help = AFTER, disable_help_subcommand = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "Exit codes: 0 done, 1 failure, 2 usage, 3 refused by the protocol or a policy, \
4 unreachable, 5 insufficient funds, 6 conflict or fork, 130 interrupted.";

/// What holds for every command.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// The wallet's folder [default: $XDG_DATA_HOME/tally or ~/.local/share/tally]
    #[arg(
        long,
        global = true,
        env = "TALLY_WALLET",
        value_name = "DIR",
        hide_env_values = true,
        display_order = 900
    )]
    pub wallet: Option<PathBuf>,
    /// Print one JSON document on the standard output, and everything else on the standard error
    #[arg(long, global = true, display_order = 901)]
    pub json: bool,
    /// Open the wallet with the passphrase in this file ("-": the standard input) [default: the
    /// key file beside the wallet's keystore]
    #[arg(
        long,
        global = true,
        env = "TALLY_PASSPHRASE_FILE",
        value_name = "FILE",
        hide_env_values = true,
        display_order = 902
    )]
    pub passphrase_file: Option<PathBuf>,
    /// Where the journal lies that notices a wallet set back; never inside of a backup
    #[arg(
        long,
        global = true,
        env = "TALLY_STATE",
        value_name = "DIR",
        hide = true,
        hide_env_values = true
    )]
    pub state_dir: Option<PathBuf>,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a new wallet
    Init {
        /// Your name, as others will see it
        #[arg(long)]
        name: String,
        /// The network that the wallet is on
        #[arg(long, value_name = "NUMBER", default_value_t = 3)]
        network: u16,
        /// What keeps its device from forking
        #[arg(long, value_enum, default_value_t = SealChoice::Software)]
        seal: SealChoice,
        /// Where the TPM is: device:PATH, unix:PATH or tcp:HOST:PORT [default: device:/dev/tpmrm0]
        #[arg(long, value_name = "ADDR")]
        tpm: Option<TpmAddress>,
    },
    /// Show who this wallet is
    Id,
    /// Exchange contact cards
    #[command(subcommand)]
    Contact(ContactCommand),
    /// Create or import an asset
    #[command(subcommand)]
    Asset(AssetCommand),
    /// Make new money of an asset that this wallet issues
    Mint {
        /// Ticker, or the first digits of the asset's id
        asset: String,
        /// How much, such as 100.00
        amount: String,
        /// For whom: a contact, a file with a card, or an invoice of theirs for this amount, which
        /// may ask for a lock to their seal
        #[arg(long, value_name = "CARD")]
        to: String,
        /// Where to put it
        #[command(flatten)]
        deliver: Deliver,
    },
    /// Take in a mint or a payment from a file or a picture of a code
    Receive {
        /// An object file, or a PNG with its code
        file: PathBuf,
        /// Where to put the receipt, for the payer to `receive`
        #[command(flatten)]
        deliver: Deliver,
    },
    /// Ask for a payment
    Invoice {
        /// Ticker, or the first digits of the asset's id
        asset: String,
        /// How much
        amount: String,
        /// How long it holds, such as 15m or 2h
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
        valid_for: Duration,
        /// Where to put it
        #[command(flatten)]
        deliver: Deliver,
    },
    /// Pay an invoice, or a contact who listens
    Pay(Pay),
    /// Take payments over TCP: the merchant's terminal
    Listen {
        /// Where to listen, such as 0.0.0.0:7117; port 0 takes a free one
        addr: String,
        /// End after the first connection
        #[arg(long, conflicts_with = "count")]
        once: bool,
        /// End after so many connections
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
    /// Send again what waits for a contact
    Resend {
        /// Name, or the first digits of the device's id
        contact: String,
        /// Where the contact listens
        #[arg(long, value_name = "ADDR", conflicts_with_all = ["out", "png", "qr"])]
        connect: Option<String>,
        /// Where to put it, if the contact is not there
        #[command(flatten)]
        deliver: Deliver,
    },
    /// Meet a contact who listens: exchange receipts, heads and fork proofs
    Sync {
        /// Name, or the first digits of the device's id
        contact: String,
        /// Where the contact listens
        #[arg(long, value_name = "ADDR")]
        connect: String,
    },
    /// Show what is in the wallet, and what it rests on
    Balance,
    /// List payments and mints, newest first
    History {
        /// Show at most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Have the network certify everything that is not certified yet
    Settle,
    /// Make one certified coin of several, and bind it to the seal if there is one
    Refresh {
        /// Ticker, or the first digits of the asset's id; not needed if there is only one
        asset: Option<String>,
    },
    /// Set value aside for a contact while online, to pay it offline at tier Reserved
    Reserve {
        /// Name, or the first digits of the device's id
        contact: String,
        /// How much
        amount: String,
        /// Ticker, or the first digits of the asset's id
        asset: String,
        /// When the lock ends: from now, such as 2h or 7d, or a date such as 2030-01-31T12:00:00Z
        #[arg(long, value_name = "TIME", value_parser = crate::cmd::parse_until)]
        until: Time,
    },
    /// Take back what is set aside for a contact, who has to consent; or consent
    Release(Release),
    /// Show what is certified, what is at risk, and what is locked until when
    Status,
    /// Show what any object is; needs no wallet
    Inspect {
        /// An object file, or a PNG with its code
        file: PathBuf,
    },
    /// Check an object as far as it can be checked without a wallet
    Verify {
        /// An object file, or a PNG with its code
        file: PathBuf,
        /// Refuse objects of other networks
        #[arg(long, value_name = "NUMBER")]
        network: Option<u16>,
    },
    /// Say which payments to accept
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Proofs that a device paid twice with the same money
    #[command(subcommand)]
    Fork(ForkCommand),
    /// Write the whole wallet into one encrypted file
    Backup(Backup),
    /// Make a wallet from a backup; it receives only until its latest step is known
    Restore {
        /// The backup
        file: PathBuf,
        /// The passphrase of the backup is in this file ("-": the standard input)
        #[arg(long, value_name = "FILE")]
        backup_passphrase_file: Option<PathBuf>,
    },
    /// Confirm that everyone who was paid since the backup has been met
    Recover(Recover),
    /// The seal: what keeps this device from forking
    #[command(subcommand)]
    Seal(SealCommand),
    /// The enroller: say whose TPMs are seals
    #[command(subcommand)]
    Enroller(EnrollerCommand),
    /// The notary: run a validator of it, or check one from outside
    #[command(subcommand)]
    Notary(NotaryCommand),
    /// A whole notary on this machine, for tests and demonstrations
    #[command(subcommand)]
    Devnet(DevnetCommand),
    /// Check the wallet and its surroundings
    Doctor,
    /// Print a script that completes commands in a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Watch a story with real wallets: payments, a clone that pays twice, and how it ends
    Demo {
        /// Keep the wallets in this folder, which must not exist
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
}

/// How to take back what is set aside, or to let it go.
#[derive(Args, Clone, Debug)]
pub struct Release {
    /// For whom it is set aside: name, or the first digits of the device's id
    #[arg(required_unless_present = "agree")]
    pub contact: Option<String>,
    /// Ticker, or the first digits of the asset's id
    #[arg(required_unless_present = "agree")]
    pub asset: Option<String>,
    /// Consent to what a contact asks for in this file: it pays you from it no more
    #[arg(long, value_name = "FILE", conflicts_with_all = ["contact", "asset"])]
    pub agree: Option<PathBuf>,
    /// Where to put the question or the answer, for the other to take in
    #[command(flatten)]
    pub deliver: Deliver,
}

/// Commands about the notary.
#[derive(Subcommand, Debug)]
pub enum NotaryCommand {
    /// Make a new network: keys, configurations, genesis and trust base
    Init(NotaryInit),
    /// Run one validator
    Run {
        /// Its configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// End when the standard input does
        #[arg(long, hide = true)]
        until_input_ends: bool,
    },
    /// Check from outside that a node's tree of spent states only grew
    VerifyLog(VerifyLog),
    /// Believe these validators, and ask the one at this address
    Add {
        /// The URL of a validator
        #[arg(long, value_name = "URL")]
        url: String,
        /// The network's trust base, from its operator
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
    },
    /// List the validators that are asked, and compare what they say
    List {
        /// Ask nobody
        #[arg(long)]
        offline: bool,
    },
}

/// What a new network is to be.
#[derive(Args, Clone, Debug)]
pub struct NotaryInit {
    /// How many validators: 1, 4, 7, …; less than a third of them may fail
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub validators: u16,
    /// Where to write the files
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The address at which all of them listen; edit the configurations for several machines
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// The first validator serves clients here, the next ones at the following ports; behind those
    /// are the ports between validators
    #[arg(long, value_name = "PORT", default_value_t = 7200)]
    pub port: u16,
    /// The network's number
    #[arg(long, value_name = "NUMBER", default_value_t = 3)]
    pub network: u16,
    /// Take this enroller's word for hardware seals: its key in hexadecimal, or a file with it
    #[arg(long, value_name = "KEY")]
    pub enroller: Vec<String>,
}

/// How to check a node's log.
#[derive(Args, Clone, Debug)]
pub struct VerifyLog {
    /// The node
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// The network's trust base
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
    /// Begin at the certified root of this block
    #[arg(long, value_name = "BLOCK", default_value_t = 0)]
    pub from: u64,
    /// The root that was verified for that block before: if another one is shown now, history was changed
    #[arg(long, value_name = "ROOT", requires = "from")]
    pub root: Option<String>,
    /// End at this block [default: the latest]
    #[arg(long, value_name = "BLOCK")]
    pub to: Option<u64>,
    /// Check the certificate of every block, and not only those at which growth is proved
    #[arg(long)]
    pub every: bool,
    /// Look up so many of the leaves, and so many states that nobody spent
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub spots: u16,
}

/// Commands about a notary on this machine.
#[derive(Subcommand, Debug)]
pub enum DevnetCommand {
    /// Run a network until Ctrl-C; prints where it is and the path of its trust base
    Up {
        /// How many validators: 1, 4, 7, …
        #[arg(long, value_name = "N", default_value_t = 4)]
        validators: usize,
        /// Keep the network here, and go on with one that is there [default: a temporary folder]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The first validator serves clients here, the next ones at the following ports [default:
        /// free ones]
        #[arg(long, value_name = "PORT")]
        port: Option<u16>,
        /// Take this enroller's word for hardware seals, in a network that is made new: its key in
        /// hexadecimal, or a file with it
        #[arg(long, value_name = "KEY")]
        enroller: Vec<String>,
    },
    /// Run a TPM in software until Ctrl-C, to try seals with; whoever copies its folder can pay twice
    Tpm {
        /// Its folder: made if it is not there, gone on with otherwise
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Where to put an object.
#[derive(Args, Clone, Debug, Default)]
pub struct Deliver {
    /// Write an object file; an existing one is kept
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write a picture of its code (PNG, or a loop of frames as APNG)
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// Show its code in the terminal
    #[arg(long)]
    pub qr: bool,
}

/// Commands about contacts.
#[derive(Subcommand, Debug)]
pub enum ContactCommand {
    /// Give your own card
    Card(Deliver),
    /// Add somebody's card
    Add {
        /// An object file, or a PNG with its code
        file: PathBuf,
    },
    /// List the contacts
    List,
    /// Remove a contact on whom nothing rests: no money, payment or fork
    Remove {
        /// Name, or the first digits of the device's id
        name: String,
    },
}

/// Commands about assets.
#[derive(Subcommand, Debug)]
pub enum AssetCommand {
    /// Create an asset that this wallet issues
    Create {
        /// Short name: 1 to 12 of A-Z and 0-9, a letter first
        #[arg(long)]
        ticker: String,
        /// Digits behind the decimal point, 0 to 18
        #[arg(long)]
        decimals: u8,
        /// Most that may ever be minted, in whole units
        #[arg(long, value_name = "N")]
        max_supply: Option<String>,
        /// Single things instead of amounts
        #[arg(long)]
        unique: bool,
        /// Whose word makes a hardware seal count for it: an enroller's key, or the file with it
        #[arg(long, value_name = "KEY|FILE")]
        enroller: Vec<String>,
        /// Nothing may be paid offline on a signature alone
        #[arg(long)]
        sealed_only: bool,
        /// Where to put it
        #[command(flatten)]
        deliver: Deliver,
    },
    /// Import an asset that somebody else created
    Import {
        /// An object file, or a PNG with its code
        file: PathBuf,
    },
    /// List the assets that this wallet knows
    List,
}

/// How to pay.
#[derive(Args, Debug)]
pub struct Pay {
    /// Name, or the first digits of the device's id
    #[arg(required_unless_present = "invoice", conflicts_with = "invoice")]
    pub contact: Option<String>,
    /// How much
    #[arg(required_unless_present = "invoice")]
    pub amount: Option<String>,
    /// Ticker, or the first digits of the asset's id
    #[arg(required_unless_present = "invoice")]
    pub asset: Option<String>,
    /// Where the contact listens
    #[arg(
        long,
        value_name = "ADDR",
        required_unless_present = "invoice",
        conflicts_with = "invoice"
    )]
    pub connect: Option<String>,
    /// Pay this invoice: an object file, or a PNG with its code
    #[arg(long, value_name = "FILE")]
    pub invoice: Option<PathBuf>,
    /// Have the network certify the payment at once; settles everything before it too
    #[arg(long)]
    pub online: bool,
    /// Where to put the payment
    #[command(flatten)]
    pub deliver: Deliver,
}

/// Commands about what to accept.
#[derive(Subcommand, Debug)]
pub enum PolicyCommand {
    /// Show which payments are accepted
    Show,
    /// Change it; whatever is not named stays
    Set(PolicySet),
}

/// What to change of the acceptance policy.
#[derive(Args, Debug)]
pub struct PolicySet {
    /// For payments of this tier: signed, bonded, reserved, sealed, certified
    #[arg(long)]
    pub tier: Option<String>,
    /// Whether to accept the tier
    #[arg(long, requires = "tier", value_name = "yes|no", hide_possible_values = true)]
    pub accept: Option<YesNo>,
    /// Most that one payment may bring, in whole units, or none
    #[arg(long, requires = "tier", value_name = "N|none")]
    pub per_payment: Option<Limit>,
    /// Most that one payer may owe unsettled, in whole units, or none
    #[arg(long, requires = "tier", value_name = "N|none")]
    pub per_payer: Option<Limit>,
    /// Most that all payers may owe unsettled, in whole units, or none
    #[arg(long, requires = "tier", value_name = "N|none")]
    pub total: Option<Limit>,
    /// Least time between accepting a coin and the end of its lock, such as 24h
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub settle_margin: Option<Duration>,
    /// Most unsettled payments of one payer, or none
    #[arg(long, value_name = "N|none")]
    pub max_unsettled: Option<Limit>,
    /// Oldest that the payer's last certified transaction may be, such as 7days, or none
    #[arg(long, value_name = "TIME|none")]
    pub max_certified_age: Option<Age>,
}

/// Yes or no.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum YesNo {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// A number, or no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit(pub Option<u64>);

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            number => {
                let number = number.parse().map_err(|_| "give a whole number, or none")?;
                Ok(Self(Some(number)))
            }
        }
    }
}

/// A time in seconds, or no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Age(pub Option<u64>);

impl std::str::FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            time => {
                let time = humantime::parse_duration(time).map_err(|e| e.to_string())?;
                Ok(Self(Some(time.as_secs())))
            }
        }
    }
}

/// Commands about forks.
#[derive(Subcommand, Debug)]
pub enum ForkCommand {
    /// List the devices that were convicted
    List,
    /// Give the proof against a device
    Export {
        /// The first digits of the convicted key, or the contact's name
        key: String,
        /// Where to put it
        #[command(flatten)]
        deliver: Deliver,
    },
    /// Check a proof, and refuse its device for good
    Import {
        /// An object file, or a PNG with its code
        file: PathBuf,
    },
}

/// How to back up.
#[derive(Args, Debug)]
pub struct Backup {
    /// The file to write
    pub file: PathBuf,
    /// Encrypt it with the passphrase in this file ("-": the standard input) [default: the
    /// wallet's own]
    #[arg(long, value_name = "FILE")]
    pub backup_passphrase_file: Option<PathBuf>,
}
