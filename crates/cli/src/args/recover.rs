//! What the command line says of recovery.

use clap::Args;

/// How recovery ends, and what the owner's word frees.
#[derive(Args, Debug)]
pub struct Recover {
    /// Give up on meeting this contact: if it was paid since and tells later, that is a fork
    #[arg(long, value_name = "CONTACT")]
    pub give_up: Vec<String>,
    /// Your word that nothing was paid since the backup but what this wallet and its journal know, where
    /// nobody can confirm it: if it is wrong, the next payment is a fork, and this identity is refused
    /// for good
    #[arg(long)]
    pub nothing_paid_since_backup: bool,
    /// Free what is set apart of this asset by your word, through one certified payment to yourself
    #[arg(long, value_name = "ASSET", num_args = 0..=1)]
    pub free: Option<Option<String>>,
    /// Your word for `--free`: if a lost payee comes back with a payment of one of these coins, this
    /// device is convicted, and this identity is refused for good
    #[arg(long, requires = "free")]
    pub nobody_was_paid_with_them: bool,
    /// Give up on the TPM: coins under its counters wait for the end of their locks, and payments
    /// that wait for its proof are not made; also where nothing is to be recovered
    #[arg(long)]
    pub without_tpm: bool,
}
