use super::*;
use crate::amount::Amount;
use crate::fields::{Fields, MEMO};
use crate::id::{AssetId, Nonce};
use crate::invoice::{INVOICE_VERSION, Invoice};
use crate::message::Accept;
use crate::packet::{HELLO_VERSION, Hello};
use crate::predicate::Predicate;
use crate::seal::{AttestationKey, CERTIFICATE_VERSION, Hardware, SealLabel, SealTerms, TpmSeal};
use crate::tier::Tier;
use crate::time::Time;

fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32]).expect("a scalar")
}

fn card(byte: u8) -> Card {
    Card {
        version: CARD_VERSION,
        network: NetworkId::LOCAL,
        name: Name::new("Ada").expect("a name"),
        owner: key(byte).public(),
        seal: SealIdentity::Software,
        session_key: Blob::new(alloc::vec![0; SESSION_KEY_BYTES]).expect("short"),
        fields: Fields::at(Time::from_unix(7)),
        enrollment: None,
    }
}

/// A field that nobody may overlook, and that nobody knows.
fn unknown() -> Fields {
    Fields::default().with(2, Vec::new()).expect("short")
}

fn signed(tag: Tag, payload: Vec<u8>, by: &SecretKey) -> Signed {
    let signature = by.sign(&Signed::digest(tag, &payload));
    Signed::new(payload, signature).expect("short")
}

#[test]
fn each_rule_of_a_card_has_its_refusal() {
    let good = Signed::card(&card(1), &key(1)).expect("short");
    assert_eq!(good.open_card(), Ok(card(1)));
    let newer = signed(Tag::Card, to_bytes(&Card { version: 3, ..card(1) }), &key(1));
    assert_eq!(newer.open_card(), Err(SignedError::Version));
    let forged = signed(Tag::Card, to_bytes(&card(1)), &key(2));
    assert_eq!(forged.open_card(), Err(SignedError::Signature));
    let elsewhere = signed(Tag::Invoice, to_bytes(&card(1)), &key(1));
    assert_eq!(elsewhere.open_card(), Err(SignedError::Signature), "signed for another purpose");
    let overlooked = Card { fields: unknown(), ..card(1) };
    let overlooked = Signed::card(&overlooked, &key(1)).expect("short");
    assert_eq!(overlooked.open_card(), Err(SignedError::Field));
    let note = Card { fields: Fields::default().with(MEMO, Vec::new()).expect("short"), ..card(1) };
    assert_eq!(Signed::card(&note, &key(1)).expect("short").open_card(), Ok(note));
    let cut = signed(Tag::Card, Vec::new(), &key(1));
    assert_eq!(cut.open_card(), Err(SignedError::Decode(DecodeError::Truncated)));
    assert_eq!(
        Signed::new(alloc::vec![0; MAX_SIGNED + 1], key(1).sign(&Digest::new([0; 32]))),
        Err(DecodeError::TooLarge)
    );
}

#[test]
fn a_card_of_version_1_is_read_and_has_no_fields() {
    let old = Card { version: OLD_CARD_VERSION, fields: Fields::default(), ..card(1) };
    let bytes = to_bytes(&old);
    assert_eq!(bytes[0], 0x86, "as it always was");
    assert_eq!(Signed::card(&old, &key(1)).expect("short").open_card(), Ok(old));
    // Neither version has the other's form.
    let mut relabelled = bytes.clone();
    relabelled[1] = CARD_VERSION;
    let wrong = Err(SignedError::Decode(DecodeError::WrongLength));
    assert_eq!(signed(Tag::Card, relabelled, &key(1)).open_card(), wrong);
    let mut longer = to_bytes(&card(1));
    longer[1] = OLD_CARD_VERSION;
    assert!(signed(Tag::Card, longer, &key(1)).open_card().is_err());
}

#[test]
fn a_card_shows_the_enrollment_of_its_own_seal_only() {
    let hardware = |byte: u8| {
        let key = AttestationKey::from_coordinates(&[byte; 32], &[byte; 32]);
        Hardware::Tpm(TpmSeal { key, base: 0x0180_0000, counters: 4, firmware: 1 })
    };
    let enrolled = |byte: u8, network: NetworkId, by: u8| {
        let terms = SealTerms {
            version: CERTIFICATE_VERSION,
            network,
            hardware: hardware(byte),
            label: SealLabel::new("TPM").expect("short"),
            development: false,
            expires: Time::from_unix(9),
            enroller: key(9).public(),
        };
        SealCertificate::issue(terms, &key(by))
    };
    let seal = SealIdentity::Hardware(hardware(5).seal());
    let with = |seal, enrollment| {
        let card = Card { seal, enrollment: Some(enrollment), ..card(1) };
        let signed = Signed::card(&card, &key(1)).expect("short");
        signed.open_card().map(|opened| assert_eq!(opened, card))
    };
    let local = NetworkId::LOCAL;
    assert_eq!(with(seal, enrolled(5, local, 9)), Ok(()));
    let refused = Err(SignedError::Enrollment);
    assert_eq!(with(seal, enrolled(6, local, 9)), refused, "another seal's");
    assert_eq!(with(SealIdentity::Software, enrolled(5, local, 9)), refused, "no hardware");
    let elsewhere = NetworkId::new(9).expect("a network");
    assert_eq!(with(seal, enrolled(5, elsewhere, 9)), refused, "of another network");
    assert_eq!(with(seal, enrolled(5, local, 8)), refused, "not signed by its enroller");
}

#[test]
fn names_show_as_they_are() {
    for text in
        ["", " Ada", "Ada ", "A\nda", "A\u{202e}da", "A\u{200b}da", &"a".repeat(MAX_NAME + 1)]
    {
        assert_eq!(Name::new(text), None, "{text:?}");
    }
    for hidden in "\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{3164}\u{2800}\u{a0}\u{e0041}".chars() {
        assert_eq!(Name::new(&alloc::format!("A{hidden}da")), None, "{hidden:?}");
    }
    let mut w = Writer::new();
    w.text("A\u{202e}da");
    assert_eq!(from_bytes::<Name>(&w.into_bytes()), Err(DecodeError::OutOfRange));
}

#[test]
fn another_seal_is_another_device() {
    let hardware = SealIdentity::Hardware(crate::seal::SealId::new(Digest::new([1; 32])));
    assert_ne!(card(1).device(), Card { seal: hardware, ..card(1) }.device());
    assert_ne!(card(1).device(), card(2).device());
}

fn invoice() -> Invoice {
    Invoice {
        version: INVOICE_VERSION,
        card: Signed::card(&card(1), &key(1)).expect("short"),
        asset: AssetId::new([3; 32]),
        amount: Amount::new(5),
        accept: Accept { nonce: Nonce::new([4; 16]), owner: Predicate::Signature(key(1).public()) },
        expires_at: Time::from_unix(9),
        least: Tier::Signed,
        fields: Fields::default(),
    }
}

#[test]
fn each_rule_of_an_invoice_has_its_refusal() {
    let open = |invoice: &Invoice, by: u8| {
        Invoice::open(&signed(Tag::Invoice, to_bytes(invoice), &key(by))).map(|(i, _)| i)
    };
    assert_eq!(open(&invoice(), 1), Ok(invoice()));
    assert_eq!(open(&Invoice { version: 3, ..invoice() }, 1), Err(SignedError::Version));
    assert_eq!(open(&Invoice { version: 1, ..invoice() }, 1), Err(SignedError::Version));
    let overlooked = Invoice { fields: unknown(), ..invoice() };
    assert_eq!(open(&overlooked, 1), Err(SignedError::Field));
    assert_eq!(open(&invoice(), 2), Err(SignedError::Signature), "not by the card's owner");
    let bad_card = Invoice { card: signed(Tag::Card, to_bytes(&card(1)), &key(2)), ..invoice() };
    assert_eq!(open(&bad_card, 1), Err(SignedError::Signature), "the card is forged");
    let mut elsewhere = invoice();
    elsewhere.accept.owner = Predicate::Signature(key(2).public());
    assert_eq!(open(&elsewhere, 1), Err(SignedError::Signature), "pays somebody else");
}

/// What person 1 says to person 2.
fn hello(version: u8, fields: Fields, by: u8) -> Vec<u8> {
    let (to, card) = (card(2).device(), Signed::card(&card(1), &key(1)).expect("short"));
    let digest = Hello::digest(&card, &to, 3, &fields, &[7; 9]);
    to_bytes(&Hello { version, card, generation: 3, fields, signature: key(by).sign(&digest) })
}

#[test]
fn each_rule_of_a_hello_has_its_refusal() {
    let to = card(2).device();
    let open = |text: &[u8]| Hello::open(text, &to, &[7; 9]);
    let good = hello(HELLO_VERSION, Fields::at(Time::from_unix(5)), 1);
    let greeted = open(&good).expect("a good hello");
    assert_eq!((&greeted.card, greeted.hello.generation), (&card(1), 3));
    assert_eq!(greeted.hello.fields.time(), Some(Time::from_unix(5)));
    let refused = |text: &[u8]| open(text).expect_err("no good hello");
    assert_eq!(refused(&hello(2, Fields::default(), 1)), SignedError::Version);
    assert_eq!(refused(&hello(HELLO_VERSION, unknown(), 1)), SignedError::Field);
    assert_eq!(refused(&hello(HELLO_VERSION, Fields::default(), 2)), SignedError::Signature);
    assert_eq!(refused(&good[..good.len() - 1]), SignedError::Decode(DecodeError::Truncated));
}

#[test]
fn a_hello_is_signed_for_its_receiver_and_binds_all_that_it_says() {
    let (to, text) = (card(2).device(), hello(HELLO_VERSION, Fields::default(), 1));
    let hello = Hello::open(&text, &to, &[7; 9]).expect("a good hello").hello;
    let refused = Err(SignedError::Signature);
    let open = |hello: &Hello| Hello::open(&to_bytes(hello), &to, &[7; 9]).map(|_| ());
    assert_eq!(open(&hello), Ok(()));
    assert_eq!(Hello::open(&text, &card(3).device(), &[7; 9]).map(|_| ()), refused, "passed on");
    assert_eq!(Hello::open(&text, &to, &[8; 9]).map(|_| ()), refused, "in another ciphertext");
    assert_eq!(open(&Hello { generation: 4, ..hello.clone() }), refused);
    let fields = Fields::at(Time::from_unix(5));
    assert_eq!(open(&Hello { fields, ..hello.clone() }), refused);
    let newer = Card { name: Name::new("Eve").expect("a name"), ..card(1) };
    let newer = Signed::card(&newer, &key(1)).expect("short");
    assert_eq!(open(&Hello { card: newer, ..hello.clone() }), refused, "another card of the same");
    let other = Signed::card(&card(3), &key(3)).expect("short");
    assert_eq!(open(&Hello { card: other, ..hello }), refused, "of another sender");
}
