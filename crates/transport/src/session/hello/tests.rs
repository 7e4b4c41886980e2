use super::*;
use proptest::prelude::*;

const CONTEXT: [u8; 32] = [3; 32];

fn secret(byte: u8) -> KemSecret {
    KemSecret::from_seed([byte; 32])
}

fn hello_to(receiver: &KemSecret, randomness: u8, text: &[u8]) -> Vec<u8> {
    greet(&receiver.public(), &[randomness; 64]).unwrap().seal(&CONTEXT, text).unwrap().0
}

fn read(mine: &[&KemSecret], hello: &[u8]) -> Result<Opened, SessionError> {
    open(mine, hello, &mut Budget::default())
}

fn code(mine: &[&KemSecret], hello: &[u8]) -> &'static str {
    read(mine, hello).map(|_| "").unwrap_or_else(|error| error.code())
}

#[test]
fn a_hello_shows_its_text_to_its_receiver_only() {
    let text = b"Alice's card, and her signature";
    let hello = hello_to(&secret(1), 9, text);
    assert_eq!(hello.len(), text.len() + HELLO_OVERHEAD);
    assert_eq!(HELLO_OVERHEAD, 1145);
    let opened = read(&[&secret(1)], &hello).unwrap();
    assert_eq!(opened.text, text);
    assert_eq!(opened.ciphertext.as_bytes()[..], hello[9..1129]);
    assert_eq!(code(&[&secret(2)], &hello), "SESSION_ELSEWHERE");
    assert!(!hello.windows(5).any(|part| part == b"Alice"));
}

#[test]
fn whoever_has_several_keys_is_found_by_the_hint_and_decrypts_once() {
    let keys = [1, 2, 3, 4].map(secret);
    let mine: Vec<&KemSecret> = keys.iter().collect();
    for (place, key) in keys.iter().enumerate() {
        let mut budget = Budget::new(1);
        let opened = open(&mine, &hello_to(key, 9, b"x"), &mut budget).unwrap();
        assert_eq!((opened.key, budget.left()), (place, 0));
    }
}

#[test]
fn two_hellos_to_one_receiver_share_neither_hint_nor_ciphertext() {
    let hints = [5, 6].map(|randomness| hello_to(&secret(1), randomness, b"x")[..HEADER].to_vec());
    assert_ne!(hints[0], hints[1]);
    assert_eq!(hints.map(|hint| hint[0]), [HELLO_VERSION; 2]);
}

#[test]
fn junk_costs_no_decryption_and_what_is_altered_at_most_two() {
    let (mine, hello) = (secret(1), hello_to(&secret(1), 9, b"x"));
    let mut budget = Budget::new(3);
    let mut junk = hello.clone();
    junk[20] ^= 1;
    assert_eq!(open(&[&mine], &junk, &mut budget).unwrap_err(), SessionError::Elsewhere);
    assert_eq!(budget.left(), 3, "the hint fits no more");
    let mut altered = hello.clone();
    *altered.last_mut().unwrap() ^= 1;
    // As if a hint fitted many keys: the same one, four times.
    let many = [&mine; 4];
    assert_eq!(open(&many, &altered, &mut budget).unwrap_err(), SessionError::Forged);
    assert_eq!(budget.left(), 1, "two keys were tried");
    assert_eq!(open(&many, &altered, &mut budget).unwrap_err(), SessionError::Budget);
    assert_eq!(open(&[&mine], &hello, &mut budget).unwrap_err(), SessionError::Budget);
    budget.vouch();
    open(&[&mine], &hello, &mut budget).unwrap();
    assert_eq!(budget.left(), 2);
}

#[test]
fn every_altered_byte_is_noticed() {
    let (mine, hello) = (secret(1), hello_to(&secret(1), 9, b"a text"));
    for at in (0..hello.len()).step_by(61).chain([0, 1, 8, 9, 1128, 1129, hello.len() - 1]) {
        let mut bent = hello.clone();
        bent[at] ^= 0x10;
        assert_ne!(code(&[&mine], &bent), "", "byte {at}");
    }
    for end in [0, 1, 8, 9, 1128, 1129, 1144, hello.len() - 1] {
        assert_ne!(code(&[&mine], &hello[..end]), "", "{end} bytes");
    }
    assert_eq!(code(&[&mine], &[&hello[..], &[0]].concat()), "SESSION_FORGED");
}

#[test]
fn each_shape_that_is_no_hello_has_its_code() {
    let mine = secret(1);
    assert_eq!(code(&[&mine], &[]), "SESSION_MALFORMED");
    assert_eq!(code(&[&mine], &[HELLO_VERSION + 1; 2000]), "SESSION_VERSION");
    assert_eq!(code(&[&mine], &[HELLO_VERSION; HELLO_OVERHEAD - 1]), "SESSION_MALFORMED");
    let longest = HELLO_OVERHEAD + MAX_HELLO_TEXT;
    assert_eq!(code(&[&mine], &vec![HELLO_VERSION; longest + 1]), "SESSION_MALFORMED");
    assert_eq!(code(&[&mine], &vec![HELLO_VERSION; longest]), "SESSION_ELSEWHERE");
    let greeting = greet(&mine.public(), &[9; 64]).unwrap();
    let long = greeting.seal(&CONTEXT, &vec![0; MAX_HELLO_TEXT + 1]);
    assert_eq!(long.unwrap_err().code(), "SESSION_TOO_LARGE");
    assert_eq!(code(&[&mine], &hello_to(&mine, 9, &vec![0; MAX_HELLO_TEXT])), "");
}

#[test]
fn a_signature_may_come_later_and_after_a_restart() {
    let receiver = secret(1);
    let before = greet(&receiver.public(), &[9; 64]).unwrap();
    // The same bytes give the same greeting, so that keeping them is enough.
    let after = greet(&receiver.public(), &[9; 64]).unwrap();
    assert_eq!(before.ciphertext(), after.ciphertext());
    let (hello, root) = after.seal(&CONTEXT, b"signed").unwrap();
    let opened = read(&[&receiver], &hello).unwrap();
    assert_eq!(root.0.0, opened.root(&CONTEXT).0.0);
    assert_ne!(root.0.0, opened.root(&[4; 32]).0.0, "the context is bound");
}

/// HPKE is asked for nothing but the caller's bytes: with others it is another greeting.
#[test]
fn all_64_random_bytes_count() {
    let public = secret(1).public();
    let of = |bytes: [u8; 64]| *greet(&public, &bytes).unwrap().ciphertext().as_bytes();
    let plain = of([9; 64]);
    for at in [0, 31, 32, 60] {
        let mut other = [9; 64];
        other[at] ^= 0x40;
        assert_ne!(of(other), plain, "byte {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_lead_to_a_panic_or_open(mut bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
        if let Some(version) = bytes.first_mut() {
            *version &= 1;
        }
        prop_assert!(read(&[&secret(1)], &bytes).is_err());
    }
}
