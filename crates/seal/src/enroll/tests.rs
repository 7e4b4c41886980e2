//! Credentials for every kind of endorsement key, opened by a TPM.

use tally_core::cbor::{Decode, Encode, Reader, Writer, from_bytes, to_bytes};
use tally_core::id::NetworkId;
use tally_core::seal::tpm::Name;
use tally_core::seal::{AttestationKey, ClockInfo, TpmSeal};
use zeroize::Zeroizing;

use super::credential::EndorsementKey;
use super::message::{Attested, Request, ToDevice, ToEnroller};
use super::{Approval, MAX_CERTIFICATE_DER, MAX_CHAIN, MAX_MESSAGE, Settings};
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
    }
}
