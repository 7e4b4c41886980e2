//! Enroll a TPM in software with an enroller of its own, and every way in which that is refused.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{UNTIL, tx};
use tally_core::id::NetworkId;
use tally_core::seal::{
    EnrollmentError, Judge, Revocations, SealCertificate, TpmProofs, hear, verify_slot,
};
use tally_core::time::Time;
use tally_seal::enroll::{
    Approval, DEFAULT_LIFETIME, EnrollError, Enroller, Enrollment, MAX_OPEN_FOR, Progress,
    Settings, Trust, Want,
};
use tally_seal::machine::HostMachine;
use tally_seal::software::{Place, SoftwareSeal};
use tally_seal::tpm2::swtpm::SoftwareTpm;
use tally_seal::tpm2::{Chip, Tpm2Seal};
use tally_seal::unlock::{KdfParams, Unlock};
use tally_seal::{Entropy, Seal};
use tempfile::TempDir;

/// After swtpm's certificates begin, whenever the test runs.
const NOW: Time = Time::from_unix(4_000_000_000);

fn settings() -> Settings {
    Settings { allow_software_tpm: true, ..Settings::new(NetworkId::LOCAL) }
}

fn by_hand() -> Settings {
    Settings { approval: Approval::ByHand, ..settings() }
}

/// A TPM in software with a maker's certificate, and an enroller that knows the maker.
struct Scene {
    dir: TempDir,
    swtpm: SoftwareTpm,
    root: PathBuf,
    enroller: Enroller,
    used: u8,
}

fn unlock(dir: &std::path::Path) -> Unlock {
    Unlock::KeyFile(dir.join("enroller").join("keystore.key"))
}

fn enroller_at(dir: &std::path::Path, settings: Settings) -> Result<Enroller, EnrollError> {
    let (machine, params) = (HostMachine::new(), KdfParams::WEAK_FOR_TESTS);
    let entropy = Entropy::new([0x21; 32]);
    Enroller::init(&dir.join("enroller"), &machine, &unlock(dir), params, settings, entropy)
}

impl Scene {
    fn new(settings: Settings) -> Self {
        let mut scene = Self::without_authorities(settings);
        let root = fs::read(&scene.root).expect("a root");
        let issuer = fs::read(scene.root.with_file_name("issuercert.pem")).expect("an issuer");
        assert_eq!(scene.enroller.trust(&root, Trust::Development).expect("a root"), 1);
        assert_eq!(scene.enroller.trust(&issuer, Trust::Intermediate).expect("one"), 1);
        scene
    }

    fn without_authorities(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let tpm = dir.path().join("tpm");
        let root = SoftwareTpm::manufacture(&tpm).expect("a TPM in software");
        let swtpm = SoftwareTpm::start(&tpm).expect("a TPM in software");
        let enroller = enroller_at(dir.path(), settings).expect("an enroller");
        Self { dir, swtpm, root, enroller, used: 0 }
    }

    fn chip(&self) -> Chip {
        Chip::open(&self.swtpm.address()).expect("a TPM")
    }

    fn entropy(&mut self) -> Entropy {
        self.used += 1;
        Entropy::new([self.used; 32])
    }

    fn begin(&mut self, want: Want) -> Enrollment {
        let (path, entropy) = (self.dir.path().join("enrollment"), self.entropy());
        let mut chip = self.chip();
        Enrollment::begin(&path, &mut chip, NetworkId::LOCAL, want, Vec::new(), &entropy)
            .expect("a request")
    }

    fn ask_at(&mut self, now: Time, message: &[u8]) -> Vec<u8> {
        let entropy = self.entropy();
        self.enroller.answer(message, now, entropy).expect("an answer").bytes().to_vec()
    }

    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.ask_at(NOW, message)
    }

    fn run(&mut self, enrollment: &Enrollment) -> Result<Progress, EnrollError> {
        let mut chip = self.chip();
        enrollment.run(&mut chip, |message| Ok(self.ask(message)))
    }

    fn enroll(&mut self) -> SealCertificate {
        let enrollment = self.begin(Want::New { counters: 4 });
        certificate(self.run(&enrollment).expect("enrolled"))
    }

    fn refusal(&mut self, message: &[u8]) -> &'static str {
        let entropy = self.entropy();
        self.enroller.answer(message, NOW, entropy).expect("an answer").refused().expect("refused")
    }

    fn restart(&mut self) {
        let dir = self.dir.path().to_owned();
        let machine = HostMachine::new();
        // The lock is held while the old one exists.
        let elsewhere = tempfile::tempdir().expect("a folder");
        let stand_in = enroller_at(elsewhere.path(), settings()).expect("an enroller");
        drop(std::mem::replace(&mut self.enroller, stand_in));
        self.enroller =
            Enroller::open(&dir.join("enroller"), &machine, &unlock(&dir)).expect("open");
    }
}

fn certificate(progress: Progress) -> SealCertificate {
    match progress {
        Progress::Enrolled(certificate) => certificate,
        other => unreachable!("not enrolled: {other:?}"),
    }
}

fn sent(progress: Progress) -> Vec<u8> {
    match progress {
        Progress::Send(message) => message,
        other => unreachable!("nothing to send: {other:?}"),
    }
}

#[test]
fn an_enrolled_tpm_proves_slots_that_count_by_the_enrollers_word() {
    let mut scene = Scene::new(settings());
    let certificate = scene.enroll();
    let terms = certificate.terms();
    assert_eq!(certificate.check(NetworkId::LOCAL), Ok(()));
    assert_eq!((&terms.enroller, terms.development), (&scene.enroller.key(), true));
    assert_eq!(terms.expires, NOW.plus(DEFAULT_LIFETIME));
    assert_eq!(terms.label.as_str(), "TPM 2.0 IBM swtpm");
    assert!(terms.to_string().starts_with("DEVELOPMENT ONLY"), "{terms}");

    let place = Place::new(scene.dir.path().join("wallet"), scene.dir.path().join("state"));
    let unlock = Unlock::KeyFile(place.key_file());
    let params = KdfParams::WEAK_FOR_TESTS;
    let software =
        SoftwareSeal::create(&place, &HostMachine::new(), &unlock, params, scene.entropy());
    let software = software.expect("a keystore");
    let address = scene.swtpm.address();
    let mut seal = Tpm2Seal::open(&place, software, &address, certificate.clone()).expect("a seal");
    let lock = seal.lock(UNTIL, &[]).expect("a free counter");
    let proof = seal.prove(&lock.slot, &tx(1)).expect("a proof");
    assert_eq!(verify_slot(&certificate, &lock.slot, &tx(1), &proof), Ok(()));
    let (named, came) = ([scene.enroller.key()], [certificate]);
    let on = |network| {
        let judge = Judge { came: &came, ..Judge::of_notary(network, &TpmProofs, &named) };
        judge.proved(&lock.slot, UNTIL, &tx(1), &proof)
    };
    assert_eq!(on(NetworkId::LOCAL), Ok(&came[0]));
    let value = NetworkId::new(9).expect("not zero");
    assert_eq!(on(value), Err(EnrollmentError::Development.into()));
}

#[test]
fn each_message_can_be_sent_again_and_both_sides_may_crash_at_any_point() {
    let mut scene = Scene::new(by_hand());
    let path = scene.dir.path().join("enrollment");
    let request = scene.begin(Want::New { counters: 2 }).message();
    let resume = || Enrollment::resume(&path).expect("readable").expect("begun");
    let enrollment = resume();
    assert_eq!(enrollment.message(), request);
    let challenge = scene.ask(&request);
    scene.restart();
    assert_eq!(scene.ask(&request), challenge, "the same challenge");
    let proof = sent(enrollment.answer(&mut scene.chip(), &challenge).expect("a proof"));
    let waits = scene.ask(&proof);
    let progress = enrollment.answer(&mut scene.chip(), &waits).expect("an answer");
    assert_eq!(progress, Progress::Waiting(enrollment.id()));
    scene.restart();
    for message in [&request, &proof] {
        assert_eq!(scene.ask(message), waits);
    }
    let candidate = scene.enroller.waiting().next().expect("one waits");
    assert_eq!((candidate.id, candidate.seal), (enrollment.id(), enrollment.seal()));
    assert!(candidate.development && !candidate.known);
    let issued = scene.enroller.approve(&candidate.id, NOW).expect("approved");
    assert_eq!(
        scene.enroller.approve(&candidate.id, NOW).expect_err("done").code(),
        "ENROLL_UNKNOWN"
    );
    scene.restart();
    for message in [&request, &proof] {
        let answer = scene.ask(message);
        let progress = resume().answer(&mut scene.chip(), &answer).expect("an answer");
        assert_eq!(progress, Progress::Enrolled(issued.clone()));
    }
    assert_eq!(scene.enroller.issued()[0].certificate(), &issued);
    resume().finish().expect("removed");
    assert!(Enrollment::resume(&path).expect("readable").is_none());
}

#[test]
fn what_the_owner_declines_is_not_enrolled() {
    let mut scene = Scene::new(by_hand());
    let enrollment = scene.begin(Want::New { counters: 1 });
    let challenge = scene.ask(&enrollment.message());
    let proof = sent(enrollment.answer(&mut scene.chip(), &challenge).expect("a proof"));
    scene.ask(&proof);
    scene.enroller.decline(&enrollment.id()).expect("declined");
    assert_eq!(scene.refusal(&proof), "ENROLL_UNKNOWN");
    assert_eq!(scene.enroller.waiting().count(), 0);
    let mut chip = scene.chip();
    let base = chip.free_base().expect("a range");
    enrollment.abandon(&mut chip).expect("given up");
    assert!(chip.free_base().expect("a range") < base, "its counters are gone");
}

#[test]
fn a_tpm_in_software_is_refused_unless_a_development_network_allows_it() {
    let main = NetworkId::new(1).expect("not zero");
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = Settings { network: main, ..settings() };
    let error = enroller_at(dir.path(), wrong).expect_err("not for development");
    assert_eq!(error.code(), "ENROLL_SOFTWARE_TPM");

    let mut scene = Scene::without_authorities(Settings::new(NetworkId::LOCAL));
    let root = fs::read(&scene.root).expect("a root");
    let issuer = fs::read(scene.root.with_file_name("issuercert.pem")).expect("an issuer");
    let error = scene.enroller.trust(&root, Trust::Development).expect_err("not allowed");
    assert_eq!(error.code(), "ENROLL_SOFTWARE_TPM");
    let request = scene.begin(Want::New { counters: 1 }).message();
    assert_eq!(scene.refusal(&request), "ENROLL_CHAIN", "nobody vouches for it");
    // Not even when its owner takes the maker of programs for one of hardware.
    scene.enroller.trust(&root, Trust::Hardware).expect("a root");
    scene.enroller.trust(&issuer, Trust::Intermediate).expect("an issuer");
    assert_eq!(scene.refusal(&request), "ENROLL_SOFTWARE_TPM");
}

#[test]
fn a_tpm_that_no_known_maker_vouches_for_is_refused() {
    let mut scene = Scene::new(settings());
    let stranger = Scene::without_authorities(settings());
    let path = scene.dir.path().join("stranger");
    let begin = |chip: &mut Chip, chain| {
        let (local, want) = (NetworkId::LOCAL, Want::New { counters: 1 });
        Enrollment::begin(&path, chip, local, want, chain, &Entropy::new([9; 32]))
    };
    let request = begin(&mut stranger.chip(), Vec::new()).expect("a request").message();
    assert_eq!(scene.refusal(&request), "ENROLL_CHAIN");
    // An intermediate certificate that the device brings along helps only if a known root signed it.
    let pem = fs::read(stranger.root.with_file_name("issuercert.pem")).expect("an issuer");
    let issuer = der(&pem);
    let brings = begin(&mut stranger.chip(), vec![issuer]).expect("a request").message();
    assert_eq!(scene.refusal(&brings), "ENROLL_CHAIN");
    let root = fs::read(&stranger.root).expect("a root");
    scene.enroller.trust(&root, Trust::Development).expect("a root");
    assert_eq!(scene.refusal(&request), "ENROLL_CHAIN", "the link between is missing");
    let entropy = scene.entropy();
    let answer = scene.enroller.answer(&brings, NOW, entropy).expect("an answer");
    assert_eq!(answer.refused(), None);
    // Before its certificates begin.
    let entropy = scene.entropy();
    let early = scene.enroller.answer(&request, Time::from_unix(1), entropy).expect("an answer");
    assert_eq!(early.refused(), Some("ENROLL_CHAIN"));
    let long = begin(&mut stranger.chip(), vec![vec![0; 4097]]).expect_err("too long");
    assert_eq!(long.code(), "ENROLL_MESSAGE");
}

fn der(pem: &[u8]) -> Vec<u8> {
    use x509_cert::der::Encode;
    let chain = x509_cert::Certificate::load_pem_chain(pem).expect("a certificate");
    chain[0].to_der().expect("DER")
}

#[test]
fn a_key_that_is_not_in_the_certified_tpm_is_refused() {
    let mut scene = Scene::new(settings());
    let enrollment = scene.begin(Want::New { counters: 1 });
    let challenge = scene.ask(&enrollment.message());
    // Another TPM of the same maker does not open the credential.
    let other = scene.dir.path().join("other");
    SoftwareTpm::manufacture(&other).expect("a TPM");
    let swtpm = SoftwareTpm::start(&other).expect("a TPM");
    let mut chip = Chip::open(&swtpm.address()).expect("a TPM");
    let error = enrollment.answer(&mut chip, &challenge).expect_err("not for it");
    assert_eq!(error.code(), "ENROLL_CREDENTIAL");
    // A patched device that guesses is told apart.
    let mut proof = sent(enrollment.answer(&mut scene.chip(), &challenge).expect("a proof"));
    let at = 1 + 1 + 34 + 2;
    proof[at] ^= 1;
    assert_eq!(scene.refusal(&proof), "ENROLL_CREDENTIAL");
    proof[at] ^= 1;
    assert!(matches!(scene.ask(&proof)[..], [0x82, 2, ..]), "the true one still counts");
}

#[test]
fn a_counter_that_is_not_attested_as_one_is_refused() {
    let mut scene = Scene::new(settings());
    let enrollment = scene.begin(Want::New { counters: 2 });
    let challenge = scene.ask(&enrollment.message());
    let proof = sent(enrollment.answer(&mut scene.chip(), &challenge).expect("a proof"));
    // Each byte of what the key said of the counters is looked at.
    let first = 1 + 1 + 34 + 34 + 1;
    for at in (first..proof.len()).step_by(7) {
        let mut bent = proof.clone();
        bent[at] ^= 1;
        let code = scene.refusal(&bent);
        assert!(["ENROLL_COUNTER", "ENROLL_MESSAGE"].contains(&code), "{code} at {at}");
    }
    let other = scene.begin(Want::New { counters: 2 });
    let stale = scene.ask(&other.message());
    let mixed = sent(other.answer(&mut scene.chip(), &stale).expect("a proof"));
    let swapped = [&mixed[..first], &proof[first..]].concat();
    assert_eq!(scene.refusal(&swapped), "ENROLL_COUNTER", "of another nonce");
    assert!(matches!(scene.ask(&proof)[..], [0x82, 2, ..]));
}

#[test]
fn a_challenge_is_over_after_an_hour_and_asking_again_gives_a_new_one() {
    let mut scene = Scene::new(settings());
    let enrollment = scene.begin(Want::New { counters: 1 });
    let challenge = scene.ask(&enrollment.message());
    let proof = sent(enrollment.answer(&mut scene.chip(), &challenge).expect("a proof"));
    let later = NOW.plus(MAX_OPEN_FOR + 1);
    let answer = scene.ask_at(later, &proof);
    let error = enrollment.answer(&mut scene.chip(), &answer).expect_err("over");
    assert_eq!(error.code(), "ENROLL_REFUSED");
    assert!(error.to_string().contains("ENROLL_UNKNOWN"), "{error}");
    let fresh = scene.ask_at(later, &enrollment.message());
    assert_ne!(fresh, challenge);
    let proof = sent(enrollment.answer(&mut scene.chip(), &fresh).expect("a proof"));
    let answer = scene.ask_at(later, &proof);
    certificate(enrollment.answer(&mut scene.chip(), &answer).expect("enrolled"));
}

#[test]
fn a_renewed_enrollment_is_of_the_same_seal_and_ends_later() {
    let mut scene = Scene::new(settings());
    let first = scene.enroll();
    let tally_core::seal::Hardware::Tpm(tpm) = first.terms().hardware else {
        unreachable!("a TPM")
    };
    let again = scene.begin(Want::Renew(tpm));
    let later = NOW.plus(1000);
    let mut chip = scene.chip();
    let renewed = again.run::<EnrollError>(&mut chip, |m| Ok(scene.ask_at(later, m)));
    let renewed = certificate(renewed.expect("renewed"));
    assert_eq!(renewed.seal(), first.seal());
    assert_eq!(renewed.terms().expires, later.plus(DEFAULT_LIFETIME));
    assert_eq!(scene.enroller.issued().len(), 1);
}

#[test]
fn a_revoked_seal_is_on_a_signed_list_and_is_not_enrolled_again() {
    let mut scene = Scene::new(settings());
    let certificate = scene.enroll();
    let seal = certificate.seal();
    assert!(scene.enroller.revocation().is_none());
    let list = scene.enroller.revoke(&seal).expect("revoked");
    assert_eq!(list.terms().seals(), [seal]);
    assert_eq!(scene.enroller.revoke(&seal).expect("before"), list);
    scene.restart();
    assert_eq!(scene.enroller.revocation(), Some(&list));
    let key = scene.enroller.key();
    let heard = hear(&list, NetworkId::LOCAL, |by| *by == key, &Revocations::new());
    assert_eq!(heard, Ok(()));
    let tally_core::seal::Hardware::Tpm(tpm) = certificate.terms().hardware else {
        unreachable!("a TPM")
    };
    let again = scene.begin(Want::Renew(tpm)).message();
    assert_eq!(scene.refusal(&again), "ENROLLMENT_REVOKED");
    let stranger = tally_core::seal::SealId::new(tally_core::id::Digest::new([1; 32]));
    assert_eq!(scene.enroller.revoke(&stranger).expect_err("unknown").code(), "ENROLL_UNKNOWN");
    // Another seal of the same TPM can be: the list has its number raised by the next revocation.
    let second = scene.enroll();
    assert_ne!(second.seal(), seal);
    let list = scene.enroller.revoke(&second.seal()).expect("revoked");
    assert_eq!((list.terms().number(), list.terms().seals().len()), (2, 2));
}

#[test]
fn a_request_of_another_network_or_none_at_all_is_refused() {
    let mut scene = Scene::new(settings());
    let (path, other) = (scene.dir.path().join("other"), NetworkId::new(9).expect("not zero"));
    let (want, entropy) = (Want::New { counters: 1 }, Entropy::new([9; 32]));
    let mut chip = scene.chip();
    let request = Enrollment::begin(&path, &mut chip, other, want, Vec::new(), &entropy);
    let request = request.expect("a request").message();
    assert_eq!(scene.refusal(&request), "ENROLLMENT_NETWORK");
    for nothing in [&[][..], &[0x80], &[0x82, 9, 1], &vec![0; 60_000]] {
        assert_eq!(scene.refusal(nothing), "ENROLL_MESSAGE");
    }
    for cut in (0..request.len()).step_by(13) {
        assert_eq!(scene.refusal(&request[..cut]), "ENROLL_MESSAGE");
    }
}

#[test]
fn a_device_takes_only_answers_to_its_own_request() {
    let mut scene = Scene::new(settings());
    let mine = scene.begin(Want::New { counters: 1 });
    let theirs = scene.begin(Want::New { counters: 1 });
    let challenge = scene.ask(&theirs.message());
    let error = mine.answer(&mut scene.chip(), &challenge).expect_err("not its own");
    assert_eq!(error.code(), "ENROLL_UNKNOWN");
    let certificate = scene.run(&theirs).expect("enrolled");
    let Progress::Enrolled(_) = certificate else { unreachable!("enrolled") };
    let answer = scene.ask(&theirs.message());
    let error = mine.answer(&mut scene.chip(), &answer).expect_err("another seal's");
    assert_eq!(error.code(), "ENROLLMENT_SIGNATURE");
    assert_eq!(
        mine.answer(&mut scene.chip(), &[0]).expect_err("nonsense").code(),
        "ENROLL_MESSAGE"
    );
}

#[test]
fn a_tpm_without_a_certificate_says_so() {
    let scene = common::Scene::with(1);
    let path = scene.dir.path().join("enrollment");
    let (want, entropy) = (Want::New { counters: 1 }, Entropy::new([9; 32]));
    let begun =
        Enrollment::begin(&path, &mut scene.chip(), NetworkId::LOCAL, want, Vec::new(), &entropy);
    assert_eq!(begun.expect_err("no certificate").code(), "ENROLL_NO_CERTIFICATE");
}

#[test]
fn the_enrollers_memory_is_for_its_owner_and_a_damaged_one_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let mut scene = Scene::new(settings());
    scene.enroll();
    let path = scene.dir.path().join("enroller/enroller");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = fs::read(&path).expect("a file");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
    let (dir, machine) = (scene.dir.path().to_owned(), HostMachine::new());
    let busy = Enroller::open(&dir.join("enroller"), &machine, &unlock(&dir)).expect_err("open");
    assert_eq!(busy.code(), "SEAL_IN_USE");
    drop(scene.enroller);
    let error =
        Enroller::open(&dir.join("enroller"), &machine, &unlock(&dir)).expect_err("damaged");
    assert_eq!(error.code(), "SEAL_DAMAGED");
}
