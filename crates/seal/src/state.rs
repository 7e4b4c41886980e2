//! Say what a seal is worth, in words that its owner understands.

use std::fmt;

use tally_core::seal::{SealCertificate, SealIdentity};

use crate::machine::Fingerprint;

/// The kinds of seal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SealKind {
    /// A key in an encrypted file.
    Software,
    /// The counters of a TPM 2.0, beside a key in an encrypted file.
    Tpm2,
}

/// How many hardware counters a seal has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Counters {
    /// Counters that no coin occupies.
    pub free: u32,
    /// All counters.
    pub total: u32,
}

/// What a seal is and what it can and cannot stop. `Display` prints it for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealState {
    /// Which kind of seal.
    pub kind: SealKind,
    /// Its identity, part of the device's.
    pub identity: SealIdentity,
    /// What opens it.
    pub opens_with: &'static str,
    /// What the machine is recognised by.
    pub bound_to: Vec<&'static str>,
    /// Hardware counters, if it has any.
    pub counters: Option<Counters>,
    /// Whose word it has that it is hardware, in the words that a payee reads.
    pub enrolled: Option<String>,
    /// What is wrong with its hardware, and what to do, if anything is.
    pub fault: Option<String>,
    /// What it stops, one sentence each.
    pub stops: Vec<&'static str>,
    /// What it does not stop, one sentence each.
    pub does_not_stop: Vec<&'static str>,
}

impl SealState {
    /// The state of a software seal.
    pub(crate) fn software(key_file: bool, fingerprint: &Fingerprint) -> Self {
        let Fingerprint { hardware, environment } = fingerprint;
        let mut stops = vec![
            "A copy of this folder does not open on another machine or for another user until `tally seal rebind`.",
            "A wallet that was set back to an older state does not sign, as long as its journal was not set back with it.",
        ];
        let mut does_not_stop = vec![
            "Whoever can open it and runs a patched program can copy the key and pay twice offline. That is detected when the two payments meet, proved to anyone, and ends this identity.",
            "A thief who copied an old backup and knows what opened it then can open that copy, whatever was changed since.",
        ];
        if key_file {
            does_not_stop.push(
                "No passphrase protects it: whoever can read the key file and the keystore has the key.",
            );
        } else {
            stops
                .push("A thief of the folder must guess the passphrase; a weak one will be found.");
        }
        if !hardware.names_one_device() {
            does_not_stop.push(
                "This machine shows no serial number or built-in network address, so the lock to its hardware is weak: another of the same model passes for it.",
            );
        }
        Self {
            kind: SealKind::Software,
            identity: SealIdentity::Software,
            opens_with: if key_file { "key file" } else { "passphrase" },
            bound_to: hardware.parts().iter().chain(environment.parts()).copied().collect(),
            counters: None,
            enrolled: None,
            fault: None,
            stops,
            does_not_stop,
        }
    }

    /// The state of a seal on a TPM, whose key's state this is.
    pub(crate) fn on_tpm(mut self, certificate: &SealCertificate, counters: Counters) -> Self {
        self.kind = SealKind::Tpm2;
        self.identity = SealIdentity::Hardware(certificate.seal());
        self.counters = Some(counters);
        self.enrolled = Some(certificate.terms().to_string());
        if certificate.terms().development {
            self.does_not_stop.insert(0, "The TPM is software, for development: whoever copies its state pays twice, and no payee should take it for hardware.");
        } else {
            self.stops.insert(0, "A coin under one of its counters is paid once before its lock ends, also by a patched program, if the TPM is genuine and unbroken and keeps its highest count over deletion and clearing.");
        }
        self.does_not_stop.push("A power cut in the instant between counting and attesting leaves the coin locked until its lock ends; nothing is lost.");
        self
    }
}

impl fmt::Display for SealState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SealKind::Software => writeln!(f, "seal: software (payments are Signed, not Sealed)")?,
            SealKind::Tpm2 => writeln!(f, "seal: TPM 2.0 (coins under its counters are Sealed)")?,
        }
        writeln!(f, "opens with: {}", self.opens_with)?;
        match self.bound_to.as_slice() {
            [] => writeln!(f, "bound to: nothing; this machine shows nothing to recognise it by")?,
            parts => writeln!(f, "bound to: {}", parts.join(", "))?,
        }
        match self.counters {
            None => writeln!(f, "hardware counters: none")?,
            Some(Counters { free, total }) => {
                writeln!(f, "hardware counters: {free} of {total} free")?;
            }
        }
        if let Some(enrolled) = &self.enrolled {
            writeln!(f, "payees read: {enrolled}")?;
        }
        if let Some(fault) = &self.fault {
            writeln!(f, "NOT AT WORK: {fault}")?;
        }
        writeln!(f, "it stops:")?;
        self.stops.iter().try_for_each(|line| writeln!(f, "  - {line}"))?;
        writeln!(f, "it does not stop:")?;
        self.does_not_stop.iter().try_for_each(|line| writeln!(f, "  - {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Factor;

    fn text(key_file: bool, hardware: &[&'static str]) -> String {
        let factor = |names: &[&'static str]| {
            Factor::new(&names.iter().map(|name| (*name, String::new())).collect::<Vec<_>>())
        };
        let fingerprint = Fingerprint { hardware: factor(hardware), environment: factor(&[]) };
        SealState::software(key_file, &fingerprint).to_string()
    }

    #[test]
    fn the_text_says_that_a_patched_copy_can_pay_twice() {
        for key_file in [false, true] {
            let text = text(key_file, &["board serial"]);
            assert!(text.contains("can copy the key and pay twice offline"));
            assert!(text.contains("hardware counters: none"));
            assert!(text.contains("bound to: board serial"));
            assert_eq!(text.contains("No passphrase protects it"), key_file);
            assert!(!text.contains("passes for it"));
        }
    }

    #[test]
    fn a_machine_without_identifiers_is_told() {
        assert!(text(false, &[]).contains("bound to: nothing"));
        assert!(text(false, &["processor"]).contains("passes for it"));
    }
}
