//! `spec/vectors/seal-certificates.json`: enrollments and revocations for other implementations.

extern crate std;

use alloc::string::String;
use alloc::vec;
use serde_json::{Value as Json, json};

use super::{EXPIRES, OTHER_NETWORK, enroller, public, terms, tpm};
use crate::cbor::{from_bytes, to_bytes};
use crate::id::{Digest, NetworkId};
use crate::keys::{PublicKey, Signature};
use crate::seal::{
    AttestationKey, Hardware, Judge, KnownSeals, Revocation, RevocationTerms, SealCertificate,
    SealId, SealLabel, SealTerms, TpmProofs, TpmSeal, Word, hear,
};
use crate::time::Time;

/// Set this variable to write the vectors anew.
const WRITE: &str = "TALLY_WRITE_VECTORS";

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| alloc::format!("{b:02x}")).collect()
}

/// Certificates that break a rule, by the code that the judge gives where enrollers 1 and 2 count.
fn refused() -> Json {
    let own = || terms(tpm(), 1);
    let network = OTHER_NETWORK;
    let unsigned = SealCertificate::issue(SealTerms { development: false, ..own() }, &enroller(1));
    let mut later = to_bytes(&unsigned);
    // The last byte of `expires`, which ends before the enroller's key and the signature.
    let at = later.len() - 67 - 36 - 1;
    later[at] ^= 1;
    let later: SealCertificate = from_bytes(&later).expect("it decodes");
    assert_ne!(later.terms().expires, EXPIRES);
    let cases = [
        ("SEAL-5", "an unknown version", issue(SealTerms { version: 2, ..own() }, 1)),
        ("SEAL-5", "another network", issue(SealTerms { network, ..own() }, 1)),
        ("SEAL-5", "signed by another enroller", issue(own(), 2)),
        ("SEAL-5", "altered", later),
    ];
    let altered = altered().map(|(name, certificate)| ("SEAL-5", name, certificate));
    let others = [
        ("SEAL-12", "an enroller who does not count", issue(terms(tpm(), 3), 3)),
        (
            "SEAL-12",
            "for development, where there is value",
            issue(SealTerms { development: true, network, ..own() }, 1),
        ),
    ];
    let refuse = |(rule, name, certificate): (&str, &str, SealCertificate)| {
        let (named, came) = ([public(1), public(2)], [certificate.clone()]);
        let word = Word::Asset { named: &named, network: None };
        let seals = KnownSeals::none(&TpmProofs);
        // The one for another network is judged on this one.
        let network = if rule == "SEAL-5" { NetworkId::LOCAL } else { certificate.terms().network };
        let judge = Judge { network, seals, word, came: &came };
        let slot = certificate.slot(0, 5);
        let code = judge.vouched(&slot, Time::from_unix(0)).expect_err(name).code();
        json!({
            "name": name, "rule": rule, "network": network.number(), "code": code,
            "bytes": text(&to_bytes(&certificate)),
        })
    };
    cases.into_iter().chain(altered).chain(others).map(refuse).collect()
}

/// A certificate of which one field was altered after it was signed, for each field that no other
/// rule looks at first.
fn altered() -> [(&'static str, SealCertificate); 10] {
    let toy = SealTerms { development: true, ..terms(tpm(), 1) };
    let toys = enroller(1).sign(&SealCertificate::digest(&toy));
    let real = SealTerms { development: false, ..toy };
    let honest = terms(tpm(), 1);
    let signature = enroller(1).sign(&SealCertificate::digest(&honest));
    let altered = |name, edit: fn(&mut SealTerms)| {
        let mut terms = honest.clone();
        edit(&mut terms);
        (name, SealCertificate::new(terms, signature.clone()))
    };
    let signed = |at: usize| SealCertificate::new(honest.clone(), bent(&signature, at));
    [
        ("altered: development taken off", SealCertificate::new(real, toys)),
        altered("altered: the key", |t| {
            hardware(t).key = AttestationKey::from_coordinates(&[2; 32], &[3; 32])
        }),
        altered("altered: the first counter's handle", |t| hardware(t).base += 1),
        altered("altered: the number of counters", |t| hardware(t).counters += 1),
        altered("altered: the firmware", |t| hardware(t).firmware += 1),
        altered("altered: the label", |t| {
            t.label = SealLabel::new("TPM 2.0, INTC").expect("short")
        }),
        altered("altered: the enroller", |t| t.enroller = public(2)),
        ("altered: the signature's R", signed(0)),
        ("altered: the signature's S", signed(32)),
        ("altered: the signature's V", signed(64)),
    ]
}

fn bent(signature: &Signature, at: usize) -> Signature {
    let mut bytes: [u8; 65] = signature.as_bytes().try_into().expect("R, S and V");
    bytes[at] ^= 1;
    Signature::secp256k1(bytes)
}

fn hardware(terms: &mut SealTerms) -> &mut TpmSeal {
    let Hardware::Tpm(tpm) = &mut terms.hardware;
    tpm
}

/// Lists that break a rule, by their code where enrollers 1 and 2 count, and list 1 of both is known.
fn refused_lists() -> Json {
    let terms = |number, seals: &[u8]| {
        let seals = seals.iter().map(|b| SealId::new(Digest::new([*b; 32]))).collect();
        RevocationTerms::new(NetworkId::LOCAL, public(1), number, seals).expect("short")
    };
    let good = terms(2, &[7]);
    let signature = enroller(1).sign(&Revocation::digest(&good));
    let elsewhere = RevocationTerms::new(OTHER_NETWORK, public(1), 2, vec![]).expect("short");
    let theirs = RevocationTerms::new(NetworkId::LOCAL, public(3), 2, vec![]).expect("short");
    let swapped = RevocationTerms::new(NetworkId::LOCAL, public(2), 2, good.seals().to_vec());
    let mut version = to_bytes(&Revocation::issue(good.clone(), &enroller(1)));
    version[2] = 2;
    let version: Revocation = from_bytes(&version).expect("it decodes");
    let bent = bent(&signature, 0);
    let cases = [
        ("an unknown version", version),
        ("another network", Revocation::issue(elsewhere, &enroller(1))),
        ("an enroller who does not count", Revocation::issue(theirs, &enroller(3))),
        ("signed by another enroller", Revocation::issue(good.clone(), &enroller(2))),
        ("altered: the enroller", Revocation::new(swapped.expect("short"), signature.clone())),
        ("altered: the number", Revocation::new(terms(3, &[7]), signature.clone())),
        ("altered: a seal", Revocation::new(terms(2, &[8]), signature.clone())),
        ("altered: a seal more", Revocation::new(terms(2, &[7, 8]), signature.clone())),
        ("altered: a seal less", Revocation::new(terms(2, &[]), signature.clone())),
        ("altered: the signature", Revocation::new(good, bent)),
        ("not newer", Revocation::issue(terms(1, &[7]), &enroller(1))),
    ];
    let refuse = |(name, list): (&str, Revocation)| {
        let known = [1, 2].map(|by| {
            let first = RevocationTerms::new(NetworkId::LOCAL, public(by), 1, vec![]);
            (public(by), Revocation::issue(first.expect("short"), &enroller(by)))
        });
        let counts = |enroller: &PublicKey| [public(1), public(2)].contains(enroller);
        let code = hear(&list, NetworkId::LOCAL, counts, &known.into()).expect_err(name).code();
        json!({ "name": name, "rule": "SEAL-14", "code": code, "bytes": text(&to_bytes(&list)) })
    };
    cases.into_iter().map(refuse).collect()
}

fn issue(terms: SealTerms, by: u8) -> SealCertificate {
    SealCertificate::issue(terms, &enroller(by))
}

/// Bytes that are no certificate.
fn undecodable() -> Json {
    let good = to_bytes(&issue(terms(tpm(), 1), 1));
    let with = |change: fn(&mut TpmSeal)| {
        let mut tpm = tpm();
        change(&mut tpm);
        to_bytes(&issue(terms(tpm, 1), 1))
    };
    let mut kind = good.clone();
    // Array, array, version, network, array, kind.
    assert_eq!(kind[4..6], [0x85, 1]);
    kind[5] = 2;
    let mut key = good.clone();
    key[8] = 4;
    let cases = [
        ("no counter", with(|t| t.counters = 0)),
        ("too many counters", with(|t| t.counters = 257)),
        ("counters below the handles of NV indices", with(|t| t.base = 0x00ff_ffff)),
        ("counters beyond the handles of NV indices", with(|t| t.base = 0x01ff_fff8)),
        ("an unknown kind of hardware", kind),
        ("a key that is no compressed point", key),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("followed by something", [&good[..], &[0]].concat()),
    ];
    let refuse = |(name, bytes): (&str, vec::Vec<u8>)| {
        let code = from_bytes::<SealCertificate>(&bytes).expect_err(name).code();
        json!({ "name": name, "rule": "SEAL-4", "code": code, "bytes": text(&bytes) })
    };
    cases.into_iter().map(refuse).collect()
}

fn made() -> Json {
    let certificate = issue(terms(tpm(), 1), 1);
    let development =
        SealTerms { development: true, expires: Time::from_unix(9), ..terms(tpm(), 1) };
    let development = issue(development, 1);
    let valid = |c: &SealCertificate| {
        json!({
            "bytes": text(&to_bytes(c)), "seal": text(c.seal().as_bytes()),
            "signed": text(SealCertificate::digest(c.terms()).as_bytes()),
            "shown": alloc::string::ToString::to_string(c.terms()),
        })
    };
    let seals = vec![certificate.seal(), SealId::new(Digest::new([7; 32]))];
    let list = RevocationTerms::new(NetworkId::LOCAL, public(1), 1, seals).expect("short");
    let list = Revocation::issue(list, &enroller(1));
    json!({
        "about": "Enrollments of hardware seals (SEAL-3 to SEAL-5, SEAL-12) and a revocation (SEAL-14). Each is judged for a payee of its network, by the code that it is told. Enrollers 1 to 3 have as secret key 32 times their number; 1 and 2 are accepted.",
        "valid": [valid(&certificate), valid(&development)],
        "refused": refused(),
        "undecodable": undecodable(),
        "revocation": text(&to_bytes(&list)),
        "refused_revocations": refused_lists(),
    })
}

#[test]
fn the_published_enrollments_are_what_this_program_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/seal-certificates.json");
    let text = serde_json::to_string_pretty(&made()).expect("JSON") + "\n";
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, &text).expect("the vectors' folder");
    }
    assert_eq!(std::fs::read_to_string(path).expect("the vectors"), text);
}
