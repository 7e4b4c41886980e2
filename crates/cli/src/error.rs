//! Say what went wrong, what to do next, and with which exit code the program ends.

use std::fmt;

use serde::Serialize;
use tally_core::card::SignedError;
use tally_core::cbor::DecodeError;
use tally_core::device::DeviceError;
use tally_core::fork::ForkError;
use tally_core::policy::PolicyError;
use tally_seal::SealError;
use tally_seal::enroll::EnrollError;
use tally_transport::TransportError;
use tally_transport::file::FileError;
use tally_transport::http::HttpError;
use tally_transport::qr::QrError;
use tally_wallet::{Class, WalletError};

use crate::show::advice;

/// How the program ends. Scripts rely on the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It failed for a reason that has no number of its own.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A rule of the protocol, or somebody's policy, says no.
    Refused = 3,
    /// Nobody is there.
    Unreachable = 4,
    /// There is not enough money.
    Funds = 5,
    /// Two things contradict each other: a fork, or two programs in one wallet.
    Conflict = 6,
    /// It is done, and what came of it could not be written.
    Unshown = 7,
    /// The user stopped it.
    Interrupted = 130,
}

/// Why a command did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CliError {
    /// How the program ends.
    pub exit: Exit,
    /// Stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// The payment that is made all the same, if one is.
    pub payment: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    next: &'a str,
    exit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<&'a str>,
}

impl CliError {
    /// An error with all that a user needs.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>, next: &str) -> Self {
        Self { exit, code: code.into(), message: message.into(), next: next.into(), payment: None }
    }

    /// A command line that makes no sense.
    pub fn usage(code: &str, message: impl Into<String>, next: &str) -> Self {
        Self::new(Exit::Usage, code, message, next)
    }

    /// A mistake in this program, and where.
    pub fn internal(place: &str) -> Self {
        Self::new(
            Exit::Failure,
            "INTERNAL",
            format!("a mistake in this program ended the command ({place})"),
            "run `tally doctor`, then try again; please report it with what you did",
        )
    }

    /// A refusal, by this wallet or by the other side.
    ///
    /// A device that was proved to have forked is a conflict, whoever says so.
    pub fn refused(code: &str, text: &str) -> Self {
        let exit = if is_conviction(code) {
            Exit::Conflict
        } else if code == "INSUFFICIENT_FUNDS" {
            Exit::Funds
        } else {
            Exit::Refused
        };
        Self::from_text(exit, code, text)
    }

    /// An error whose text holds both what happened and what to do next.
    pub fn from_text(exit: Exit, code: &str, text: &str) -> Self {
        let (message, next) = split(text);
        let next = if next.is_empty() { "run `tally doctor`" } else { next };
        Self::new(exit, code, message, next)
    }

    /// The error as one JSON document.
    pub fn json(&self) -> String {
        let body = Body {
            code: &self.code,
            message: &self.message,
            next: &self.next,
            exit: self.exit as u8,
            payment: self.payment.as_deref(),
        };
        serde_json::to_string(&Document { error: body }).expect("texts are always JSON")
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.code, self.message)?;
        writeln!(f, "next: {}", self.next)
    }
}

/// Whether a refusal is because the device was proved to have paid twice with the same money.
pub fn is_conviction(code: &str) -> bool {
    matches!(code, "BRICKED" | "EVIDENCE_BRICKED" | "TRADE_FORK")
}

/// Splits "what happened: what to do", or "what happened; what to do", where the advice begins.
fn split(text: &str) -> (&str, &str) {
    text.rsplit_once("; ").or_else(|| text.rsplit_once(": ")).unwrap_or((text, ""))
}

impl From<WalletError> for CliError {
    fn from(error: WalletError) -> Self {
        let exit = match error.class() {
            Class::Failure if is_refusal(&error) => Exit::Refused,
            Class::Failure => Exit::Failure,
            Class::Refused => Exit::Refused,
            Class::Unreachable => Exit::Unreachable,
            Class::InsufficientFunds => Exit::Funds,
            Class::Conflict => Exit::Conflict,
        };
        if let WalletError::Refused { code, text } = &error {
            // Of the other side's refusals only the code travels.
            let advice =
                if text.is_empty() { format!(": {}", advice(code)) } else { String::new() };
            return Self::refused(code, &format!("{error}{advice}"));
        }
        let payment = error.made().map(|tx| tx.to_string());
        let made = Self { payment, ..Self::from_text(exit, error.code(), &error.to_string()) };
        match error {
            WalletError::NotFound { what: "asset", .. } => Self {
                next: "check the spelling, or import it: tally asset import FILE".into(),
                ..made
            },
            _ => made,
        }
    }
}

/// Whether a rule of the protocol was broken, by an object or by another device.
fn is_refusal(error: &WalletError) -> bool {
    match error {
        WalletError::Peer(_) => true,
        WalletError::Device(error) => matches!(
            error,
            DeviceError::Signed(_)
                | DeviceError::Policy(_)
                | DeviceError::Evidence(_)
                | DeviceError::Fork(_)
                | DeviceError::Seal(_)
                | DeviceError::NotForMe
        ),
        WalletError::Seal(SealError::OtherMachine { .. }) => true,
        _ => false,
    }
}

impl From<TransportError> for CliError {
    fn from(error: TransportError) -> Self {
        let exit = match error {
            TransportError::Interrupted => Exit::Interrupted,
            TransportError::TooLarge { .. } => Exit::Failure,
            TransportError::Malformed => Exit::Refused,
            _ => Exit::Unreachable,
        };
        Self::from_text(exit, error.code(), &error.to_string())
    }
}

impl From<SealError> for CliError {
    fn from(error: SealError) -> Self {
        let exit = match error {
            SealError::InUse => Exit::Conflict,
            SealError::OtherMachine { .. } | SealError::RolledBack(_) => Exit::Refused,
            _ => Exit::Failure,
        };
        Self::from_text(exit, error.code(), &error.to_string())
    }
}

impl From<EnrollError> for CliError {
    fn from(error: EnrollError) -> Self {
        match error {
            EnrollError::Seal(error) => error.into(),
            // What a maker's chain or an enroller said is all that is known; there is no advice in it.
            EnrollError::Refused { code, why } => {
                let mut error = Self::from_text(Exit::Refused, "ENROLL_REFUSED", &why);
                error.message = format!("the enroller refused ({code}): {}", error.message);
                error
            }
            other => Self::from_text(Exit::Refused, other.code(), &other.to_string()),
        }
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        let made = Self::from_text(Exit::Failure, error.code(), &error.to_string());
        match error {
            // No command replaces a file.
            FileError::Exists(_) => Self { next: "choose another name".into(), ..made },
            _ => made,
        }
    }
}

/// Makes errors that always end the program in the same way.
macro_rules! always {
    ($($error:ty => $exit:expr;)*) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::from_text($exit, error.code(), &error.to_string())
            }
        })*
    };
}

always! {
    HttpError => Exit::Usage;
    QrError => Exit::Failure;
    DecodeError => Exit::Refused;
    SignedError => Exit::Refused;
    PolicyError => Exit::Refused;
    ForkError => Exit::Refused;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_rooms_below_says_what_to_do_next() {
        let errors: [CliError; 4] = [
            TransportError::Closed.into(),
            SealError::WrongPassphrase.into(),
            DecodeError::Truncated.into(),
            FileError::Missing("x".into()).into(),
        ];
        for error in errors {
            assert!(!error.next.contains("doctor"), "{error}");
            assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn a_reason_with_a_colon_stays_with_what_happened() {
        let error: CliError = TransportError::Unreachable {
            address: "[::1]:9".into(),
            reason: "Connection refused (os error 111)".into(),
        }
        .into();
        assert_eq!(error.exit, Exit::Unreachable);
        assert!(error.message.ends_with("(os error 111)"), "{error}");
        assert!(error.next.starts_with("check that"), "{error}");
    }

    #[test]
    fn a_payment_that_is_made_is_named_and_what_to_do_next_is_not_to_pay_anew() {
        let tx = tally_core::id::TxId::new([7; 32]);
        let why = "a; long: story".to_owned();
        for error in
            [WalletError::Unsent { tx, why: why.clone() }, WalletError::Waiting { tx, why }]
        {
            let error = CliError::from(error);
            assert_eq!(error.exit, Exit::Unreachable);
            assert!(error.next.contains("do not pay anew"), "{error}");
            let json: serde_json::Value = serde_json::from_str(&error.json()).unwrap();
            assert_eq!(json["error"]["payment"], tx.to_string());
        }
        let json: serde_json::Value =
            serde_json::from_str(&CliError::refused("ACCEPT_TIER", "no: stop").json()).unwrap();
        assert_eq!(json["error"].get("payment"), None);
    }

    #[test]
    fn a_fork_is_a_conflict_whoever_says_so() {
        assert_eq!(CliError::refused("BRICKED", "no: stop").exit, Exit::Conflict);
        assert_eq!(CliError::refused("ACCEPT_TIER", "no: stop").exit, Exit::Refused);
    }
}
