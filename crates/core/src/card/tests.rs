use super::*;
use crate::amount::Amount;
use crate::id::{AssetId, Nonce};
use crate::invoice::{INVOICE_VERSION, Invoice};
use crate::message::Accept;
use crate::packet::Hello;
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
        session_key: Blob::default(),
        enrollment: None,
    }
}

fn signed(tag: Tag, payload: Vec<u8>, by: &SecretKey) -> Signed {
    let signature = by.sign(&Signed::digest(tag, &payload));
    Signed::new(payload, signature).expect("short")
}

#[test]
fn each_rule_of_a_card_has_its_refusal() {
    let good = Signed::card(&card(1), &key(1)).expect("short");
    assert_eq!(good.open_card(), Ok(card(1)));
    let newer = signed(Tag::Card, to_bytes(&Card { version: 2, ..card(1) }), &key(1));
    assert_eq!(newer.open_card(), Err(SignedError::Version));
    let forged = signed(Tag::Card, to_bytes(&card(1)), &key(2));
    assert_eq!(forged.open_card(), Err(SignedError::Signature));
    let elsewhere = signed(Tag::Invoice, to_bytes(&card(1)), &key(1));
    assert_eq!(elsewhere.open_card(), Err(SignedError::Signature), "signed for another purpose");
    let cut = signed(Tag::Card, Vec::new(), &key(1));
    assert_eq!(cut.open_card(), Err(SignedError::Decode(DecodeError::Truncated)));
    assert_eq!(
        Signed::new(alloc::vec![0; MAX_SIGNED + 1], key(1).sign(&Digest::new([0; 32]))),
        Err(DecodeError::TooLarge)
    );
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
    }
}

#[test]
fn each_rule_of_an_invoice_has_its_refusal() {
    let open = |invoice: &Invoice, by: u8| {
        Invoice::open(&signed(Tag::Invoice, to_bytes(invoice), &key(by))).map(|(i, _)| i)
    };
    assert_eq!(open(&invoice(), 1), Ok(invoice()));
    assert_eq!(open(&Invoice { version: 2, ..invoice() }, 1), Err(SignedError::Version));
    assert_eq!(open(&invoice(), 2), Err(SignedError::Signature), "not by the card's owner");
    let bad_card = Invoice { card: signed(Tag::Card, to_bytes(&card(1)), &key(2)), ..invoice() };
    assert_eq!(open(&bad_card, 1), Err(SignedError::Signature), "the card is forged");
    let mut elsewhere = invoice();
    elsewhere.accept.owner = Predicate::Signature(key(2).public());
    assert_eq!(open(&elsewhere, 1), Err(SignedError::Signature), "pays somebody else");
}

#[test]
fn a_hello_is_signed_by_its_card() {
    let card_of = |byte: u8| Signed::card(&card(byte), &key(byte)).expect("short");
    let (to, ciphertext) = (card(2).device(), Blob::new(alloc::vec![7; 9]).expect("short"));
    let digest = Hello::digest(&card(1).device(), &to, 3, &ciphertext);
    let signature = key(1).sign(&digest);
    let hello = Hello { card: card_of(1), to, generation: 3, ciphertext, signature };
    assert_eq!(hello.open(), Ok(card(1)));
    let again = Hello { generation: 4, ..hello.clone() };
    assert_eq!(again.open(), Err(SignedError::Signature));
    let elsewhere = Hello { to: card(3).device(), ..hello.clone() };
    assert_eq!(elsewhere.open(), Err(SignedError::Signature));
    let stolen = Hello { card: card_of(3), ..hello.clone() };
    assert_eq!(stolen.open(), Err(SignedError::Signature));
    let other = Hello { ciphertext: Blob::default(), ..hello };
    assert_eq!(other.open(), Err(SignedError::Signature));
}
