//! Credentials for every kind of endorsement key, opened by a TPM.

use std::fs;
use std::path::Path;
use std::process::Command;

use tally_core::cbor::{Decode, Encode, Reader, Writer, from_bytes, to_bytes};
use tally_core::id::NetworkId;
use tally_core::seal::tpm::Name;
use tally_core::seal::{AttestationKey, ClockInfo, TpmSeal};
use tally_core::time::Time;
use zeroize::Zeroizing;

use super::authority::{self, Authority, Endorsed, Trust};
use super::credential::EndorsementKey;
use super::message::{Attested, Request, ToDevice, ToEnroller};
use super::{Approval, EnrollError, MAX_CERTIFICATE_DER, MAX_CHAIN, MAX_MESSAGE, Settings};
use crate::Entropy;
use crate::tpm2::swtpm::SoftwareTpm;
use crate::tpm2::{Chip, Endorsement};

#[test]
fn a_credential_opens_in_the_tpm_with_both_keys_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let swtpm = SoftwareTpm::start(dir.path()).expect("a TPM in software");
    let mut chip = Chip::open(&swtpm.address()).unwrap();
    for kind in [Endorsement::L2, Endorsement::H2, Endorsement::H3] {
        let point = kind.point(chip.tpm()).unwrap();
        let key = EndorsementKey::new(&point).unwrap();
        let credential = key.make_credential(&chip.key_name(), &[7; 32], &Entropy::new([1; 32]));
        let opened = kind.activate(&mut chip, &credential.blob, &credential.seed).unwrap();
        assert_eq!(opened, Some(vec![7; 32]), "{kind:?}");

        let other = Name::of(b"another key");
        let credential = key.make_credential(&other, &[7; 32], &Entropy::new([1; 32]));
        let opened = kind.activate(&mut chip, &credential.blob, &credential.seed).unwrap();
        assert_eq!(opened, None, "{kind:?}: another attestation key");
        let twice = key.make_credential(&other, &[7; 32], &Entropy::new([2; 32]));
        assert_ne!(twice, credential);
    }
    assert!(EndorsementKey::new(&[4; 65]).is_none());
}

/// After the test authority's certificates begin, whenever the test runs.
const NOW: Time = Time::from_unix(4_000_000_000);

/// A certificate for a new key of `kind` by the authority that swtpm's maker made in `dir`.
fn issue(dir: &Path, kind: &[&str], lines: &str) -> Vec<u8> {
    let run = |arguments: &[&str]| {
        let output = Command::new("certtool").current_dir(dir).args(arguments).output();
        let output = output.expect("certtool, which swtpm's packages need too");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let dates = "cn = x\nactivation_date = \"2090-01-01 00:00:00\"\nexpiration_date = \"2100-01-01 00:00:00\"\n";
    fs::write(dir.join("template"), format!("{dates}{lines}")).unwrap();
    run(&[&["--generate-privkey", "--outfile", "key"], kind].concat());
    run(&[
        "--generate-certificate",
        "--load-privkey=key",
        "--load-ca-certificate=ca/issuercert.pem",
        "--load-ca-privkey=ca/signkey.pem",
        "--template=template",
        "--outder",
        "--outfile=certificate",
    ]);
    fs::read(dir.join("certificate")).unwrap()
}

#[test]
fn a_certificate_is_taken_for_its_use_its_key_and_its_time_only() {
    const USE: &str = "key_purpose_oid = 2.23.133.8.1\n";
    let dir = tempfile::tempdir().unwrap();
    let root = SoftwareTpm::manufacture(dir.path()).unwrap();
    let issuer = fs::read(root.with_file_name("issuercert.pem")).unwrap();
    let root = Authority::read(&fs::read(root).unwrap(), Trust::Hardware).unwrap();
    let issuer = Authority::read(&issuer, Trust::Intermediate).unwrap();
    let authorities = [root, issuer.clone()].concat();
    let check = |der: &[u8], now| authority::check(der, &[], &authorities, now);
    let why = |checked: Result<Endorsed, EnrollError>| checked.unwrap_err().to_string();

    let curve = ["--key-type=ecdsa", "--curve=secp256r1"];
    let good = issue(dir.path(), &curve, USE);
    let endorsed = check(&good, NOW).unwrap();
    // No maker of programs is named, and the root is one of hardware.
    assert_eq!((endorsed.development, endorsed.label.as_str()), (false, "TPM 2.0"));
    assert!(why(check(&good, Time::from_unix(4_200_000_000))).contains("expired"));
    assert!(why(check(&good, Time::from_unix(3_700_000_000))).contains("not valid yet"));
    assert!(why(check(&good[1..], NOW)).contains("cannot be read"));
    assert!(why(authority::check(&good, &[], &issuer, NOW)).contains("no accepted authority"));
    let other_use = issue(dir.path(), &curve, "tls_www_server\n");
    assert!(why(check(&other_use, NOW)).contains("does not hold"));
    let no_use = issue(dir.path(), &curve, "");
    assert!(why(check(&no_use, NOW)).contains("not one of an endorsement key"));
    let authority = issue(dir.path(), &curve, &format!("ca\n{USE}"));
    assert!(why(check(&authority, NOW)).contains("does not hold"));
    let rsa = issue(dir.path(), &["--key-type=rsa", "--bits=2048"], USE);
    assert!(why(check(&rsa, NOW)).contains("neither P-256 nor P-384"));
    // No bit of it can be changed.
    for at in 0..good.len() {
        let mut bent = good.clone();
        bent[at] ^= 1 << (at % 8);
        assert!(check(&bent, NOW).is_err(), "byte {at}");
    }
}

#[test]
fn what_is_no_certificate_is_no_authority() {
    for bytes in [&b""[..], b"-----BEGIN CERTIFICATE-----", &[0x30, 0x82, 0, 0], b"text"] {
        assert_eq!(Authority::read(bytes, Trust::Hardware).unwrap_err().code(), "ENROLL_CHAIN");
    }
}

fn seal() -> TpmSeal {
    let key = AttestationKey::from_coordinates(&[2; 32], &[3; 32]);
    TpmSeal { key, base: 0x0180_7a00, counters: 256, firmware: u64::MAX }
}

fn request() -> Request {
    let der = vec![0x30; MAX_CERTIFICATE_DER];
    let chain = vec![der.clone(); MAX_CHAIN];
    Request { network: NetworkId::LOCAL, seal: seal(), certificate: der, chain, nonce: [5; 32] }
}

#[test]
fn the_longest_messages_are_within_the_limit_and_read_as_they_were_written() {
    let clock = ClockInfo { clock: u64::MAX, resets: u32::MAX, restarts: u32::MAX, safe: true };
    let attested = Attested { value: u64::MAX, clock, signature: [255; 64] };
    let (id, secret) = (request().id(), Zeroizing::new([255; 32]));
    let counters = vec![attested; 256];
    let proof = ToEnroller::Proof { id, secret, counters };
    for message in [ToEnroller::Request(request()), proof] {
        let bytes = message.to_bytes();
        assert!(bytes.len() <= MAX_MESSAGE, "{}", bytes.len());
        assert_eq!(ToEnroller::read(&bytes).unwrap(), message);
    }
    let refused = ToDevice::Refused { code: "A".into(), why: "b".into() };
    let (blob, seed) = (vec![1; 84], vec![2; 100]);
    let challenge = ToDevice::Challenge { id, nonce: [1; 32], blob, seed };
    for message in [challenge, ToDevice::Waiting { id }, refused] {
        assert_eq!(ToDevice::read(&message.to_bytes()).unwrap(), message);
    }
}

#[test]
fn messages_of_an_unknown_version_or_kind_are_refused() {
    let bytes = to_bytes(&request());
    let mut newer = bytes.clone();
    newer[1] = 2;
    assert!(from_bytes::<Request>(&bytes).is_ok());
    assert!(from_bytes::<Request>(&newer).is_err());
    for bytes in [[0x82, 0, 0], [0x82, 5, 0], [0x83, 3, 0]] {
        assert!(ToDevice::read(&bytes).is_err());
        assert!(ToEnroller::read(&bytes).is_err());
    }
}

#[test]
fn settings_read_as_they_were_written() {
    for approval in [Approval::Automatic, Approval::ByHand] {
        let settings = Settings { approval, ..Settings::new(NetworkId::LOCAL) };
        let mut w = Writer::new();
        settings.encode(&mut w);
        let bytes = w.into_bytes();
        assert_eq!(Settings::decode(&mut Reader::new(&bytes)).unwrap(), settings);
    }
}

proptest::proptest! {
    #[test]
    fn no_message_makes_a_reader_panic(bytes: Vec<u8>) {
        let _ = ToEnroller::read(&bytes);
        let _ = ToDevice::read(&bytes);
        let _ = Authority::read(&bytes, Trust::Hardware);
        let _ = authority::check(&bytes, &[], &[], NOW);
    }
}
