use super::*;

const CONTEXT: &[u8; 32] = b"what device A signs for device B";
const LINK: [u8; 32] = [1; 32];
const OTHER_LINK: [u8; 32] = [2; 32];

/// Both ends of a hello.
fn greeted(randomness: u8) -> (RootKey, Opened) {
    let secret = KemSecret::from_seed([7; 32]);
    let greeting = greet(&secret.public(), &[randomness; 64]).unwrap();
    let (hello, root) = greeting.seal(CONTEXT, b"it is me").unwrap();
    (root, open(&[&secret], &hello, &mut Budget::default()).unwrap())
}

/// The initiator's and the responder's session.
pub(super) fn pair() -> (Session, Session) {
    let (root, opened) = greeted(9);
    let sides = [(root, Role::Initiator), (opened.root(CONTEXT), Role::Responder)];
    sides.map(|(root, role)| Session::new(&root, role, 1)).into()
}

fn deliver(from: &mut Session, to: &mut Session, message: &[u8]) -> Result<(), SessionError> {
    let envelope = from.seal(message)?;
    assert_eq!(to.open(&envelope)?, message);
    Ok(())
}

/// Both ways, several times: neither side needs anything else to understand the other.
fn assert_talking(left: &mut Session, right: &mut Session) {
    for message in [&b""[..], b"hello", &[0xff; 700]] {
        deliver(left, right, message).unwrap();
        deliver(right, left, message).unwrap();
    }
}

/// A whole payment whose every message arrives.
fn pay(payer: &mut Session, payee: &mut Session, link: &[u8; 32]) {
    deliver(payer, payee, b"offer").unwrap();
    deliver(payee, payer, b"accept").unwrap();
    payer.expect(link).unwrap();
    deliver(payer, payee, b"commit").unwrap();
    payee.advance_as_payee(link).unwrap();
    deliver(payee, payer, b"receipt").unwrap();
    payer.advance_as_payer(link).unwrap();
}

fn stored(session: &Session) -> Vec<u8> {
    session.to_bytes().to_vec()
}

fn refused(session: &mut Session, envelope: &[u8]) -> &'static str {
    let before = stored(session);
    let error = session.open(envelope).unwrap_err();
    assert_eq!(stored(session), before, "{error} changed the session");
    error.code()
}

#[test]
fn both_sides_talk_in_both_directions() {
    let (mut a, mut b) = pair();
    assert_talking(&mut a, &mut b);
}

#[test]
fn an_envelope_adds_25_bytes_up_to_counter_127_and_26_after() {
    let (mut a, mut b) = pair();
    for counter in 0..130_usize {
        let message = vec![0; counter];
        let envelope = a.seal(&message).unwrap();
        let overhead = if counter < 128 { 25 } else { 26 };
        assert_eq!(envelope.len(), message.len() + overhead);
        assert_eq!(b.open(&envelope).unwrap(), message);
    }
    pay(&mut a, &mut b, &LINK);
    assert_eq!(a.seal(b"").unwrap().len(), 25);
}

#[test]
fn the_longest_message_fits_every_carrier() {
    let (mut a, mut b) = pair();
    a.send_counter = u64::MAX - 1;
    b.next_counter = u64::MAX - 1;
    let envelope = a.seal(&vec![1; MAX_PLAINTEXT]).unwrap();
    assert_eq!(envelope.len(), MAX_MESSAGE);
    assert_eq!(b.open(&envelope).unwrap().len(), MAX_PLAINTEXT);
    assert_eq!(a.seal(b"").unwrap_err().code(), "SESSION_EXHAUSTED");
    let error = a.seal(&vec![1; MAX_PLAINTEXT + 1]).unwrap_err();
    assert_eq!(error.code(), "SESSION_TOO_LARGE");
}

#[test]
fn a_replayed_envelope_is_refused() {
    let (mut a, mut b) = pair();
    let envelope = a.seal(b"once").unwrap();
    b.open(&envelope).unwrap();
    assert_eq!(refused(&mut b, &envelope), "SESSION_REPLAY");
    assert_talking(&mut a, &mut b);
}

#[test]
fn an_older_envelope_after_a_newer_is_refused() {
    let (mut a, mut b) = pair();
    let older = a.seal(b"older").unwrap();
    let newer = a.seal(b"newer").unwrap();
    b.open(&newer).unwrap();
    assert_eq!(refused(&mut b, &older), "SESSION_REPLAY");
}

#[test]
fn an_envelope_reflected_to_its_sender_is_refused() {
    let (mut a, mut b) = pair();
    let envelope = a.seal(b"mine").unwrap();
    assert_eq!(refused(&mut a, &envelope), "SESSION_UNKNOWN");
    let envelope = b.seal(b"mine").unwrap();
    assert_eq!(refused(&mut b, &envelope), "SESSION_UNKNOWN");
}

#[test]
fn a_thousand_lost_messages_are_skipped_and_one_more_is_not() {
    let (mut a, b) = pair();
    a.send_counter = MAX_SKIP;
    let last = a.seal(b"last").unwrap();
    let beyond = a.seal(b"beyond").unwrap();
    assert_eq!(b.clone().open(&last).unwrap(), b"last");
    assert_eq!(refused(&mut b.clone(), &beyond), "SESSION_SKIPPED");
}

#[test]
fn any_flipped_bit_is_refused() {
    let (mut a, mut b) = pair();
    let envelope = a.seal(b"pay 5 to B").unwrap();
    for bit in 0..envelope.len() * 8 {
        let mut altered = envelope.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let code = refused(&mut b, &altered);
        let expected: &[&str] = match bit / 8 {
            0..8 => &["SESSION_UNKNOWN"],
            8 => &["SESSION_FORGED", "SESSION_MALFORMED", "SESSION_SKIPPED"],
            _ => &["SESSION_FORGED"],
        };
        assert!(expected.contains(&code), "bit {bit}: {code}");
    }
    b.open(&envelope).unwrap();
}

#[test]
fn any_cut_or_lengthened_envelope_is_refused() {
    let (mut a, mut b) = pair();
    let mut envelope = a.seal(b"message").unwrap();
    for end in 0..envelope.len() {
        let code = refused(&mut b, &envelope[..end]);
        let expected = if end < 25 { "SESSION_MALFORMED" } else { "SESSION_FORGED" };
        assert_eq!(code, expected);
    }
    envelope.push(0);
    assert_eq!(refused(&mut b, &envelope), "SESSION_FORGED");
    let long = vec![0; MAX_MESSAGE + 1];
    assert_eq!(refused(&mut b, &long), "SESSION_MALFORMED");
}

#[test]
fn a_counter_in_more_bytes_than_it_needs_is_refused() {
    let (mut a, mut b) = pair();
    let mut envelope = a.seal(b"message").unwrap();
    envelope.splice(8..9, [0x80, 0x00]);
    assert_eq!(refused(&mut b, &envelope), "SESSION_MALFORMED");
}

#[test]
fn another_context_greeting_or_generation_does_not_open() {
    let (root, opened) = greeted(9);
    let envelope = Session::new(&root, Role::Initiator, 1).seal(b"x").unwrap();
    let (other_greeting, _) = greeted(8);
    for root in [opened.root(&[0; 32]), other_greeting] {
        let mut session = Session::new(&root, Role::Responder, 1);
        assert_eq!(refused(&mut session, &envelope), "SESSION_UNKNOWN");
    }
    let same = opened.root(CONTEXT);
    let mut other_generation = Session::new(&same, Role::Responder, 2);
    assert_eq!(refused(&mut other_generation, &envelope), "SESSION_UNKNOWN");
    Session::new(&same, Role::Responder, 1).open(&envelope).unwrap();
}

#[test]
fn hints_name_exactly_the_envelopes_that_open() {
    let (mut a, mut b) = pair();
    let envelope = a.seal(b"x").unwrap();
    assert_eq!(b.hints(), [Hint::of(&envelope).unwrap()]);
    assert!(!a.hints().contains(&Hint::of(&envelope).unwrap()));
    b.open(&envelope).unwrap();
    let before = b.hints();
    pay(&mut a, &mut b, &LINK);
    assert_eq!(b.hints().len(), 2);
    deliver(&mut a, &mut b, b"in the new epoch").unwrap();
    assert_eq!(b.hints().len(), 1);
    assert!(!before.contains(&b.hints()[0]));
    assert_eq!(Hint::of(b"short").unwrap_err().code(), "SESSION_MALFORMED");
}

#[test]
fn payments_move_both_sides_forward_and_old_keys_go() {
    let (mut a, mut b) = pair();
    for number in 0..20_u8 {
        let link = [number + 1; 32];
        if number % 3 == 0 {
            pay(&mut b, &mut a, &link);
        } else {
            pay(&mut a, &mut b, &link);
        }
        assert!(a.paying.entries.len() <= 2 && a.paid.entries.len() <= 2);
        assert!(b.paying.entries.len() <= 2 && b.paid.entries.len() <= 2);
    }
    assert_talking(&mut a, &mut b);
    assert_eq!((a.epoch(), b.epoch()), (20, 20));
    assert_eq!((a.hints().len(), b.hints().len()), (1, 1));
}

#[test]
fn a_lost_receipt_leaves_both_talking_and_the_commit_can_be_sent_again() {
    let (mut payer, mut payee) = pair();
    deliver(&mut payer, &mut payee, b"offer").unwrap();
    payer.expect(&LINK).unwrap();
    deliver(&mut payer, &mut payee, b"commit").unwrap();
    payee.advance_as_payee(&LINK).unwrap();
    let lost = payee.seal(b"receipt").unwrap();

    assert_talking(&mut payer, &mut payee);
    assert_eq!((payer.epoch(), payee.epoch()), (0, 0));
    deliver(&mut payer, &mut payee, b"commit").unwrap();
    payee.advance_as_payee(&LINK).unwrap();
    deliver(&mut payee, &mut payer, b"receipt").unwrap();
    payer.advance_as_payer(&LINK).unwrap();
    payer.advance_as_payer(&LINK).unwrap();
    assert_eq!(refused(&mut payer, &lost), "SESSION_REPLAY");
    assert_talking(&mut payer, &mut payee);
    assert_eq!((payer.epoch(), payee.epoch()), (1, 1));
}

#[test]
fn a_payee_that_pays_back_before_the_payer_was_seen_is_understood() {
    let (mut a, mut b) = pair();
    pay(&mut a, &mut b, &LINK);
    deliver(&mut b, &mut a, b"offer in the old epoch").unwrap();
    deliver(&mut a, &mut b, b"accept in the new epoch").unwrap();
    pay(&mut b, &mut a, &OTHER_LINK);
    assert_talking(&mut a, &mut b);
    assert_eq!((a.epoch(), b.epoch()), (2, 2));
}

#[test]
fn payments_that_cross_on_the_way_leave_the_same_keys() {
    let (mut a, mut b) = pair();
    a.expect(&LINK).unwrap();
    b.expect(&OTHER_LINK).unwrap();
    let commit_a = a.seal(b"commit of a").unwrap();
    let commit_b = b.seal(b"commit of b").unwrap();
    b.open(&commit_a).unwrap();
    b.advance_as_payee(&LINK).unwrap();
    a.open(&commit_b).unwrap();
    a.advance_as_payee(&OTHER_LINK).unwrap();
    let receipt_a = a.seal(b"receipt of a").unwrap();
    let receipt_b = b.seal(b"receipt of b").unwrap();
    a.open(&receipt_b).unwrap();
    a.advance_as_payer(&LINK).unwrap();
    b.open(&receipt_a).unwrap();
    b.advance_as_payer(&OTHER_LINK).unwrap();

    let crossing_a = a.seal(b"each is ahead in its own direction").unwrap();
    let crossing_b = b.seal(b"each is ahead in its own direction").unwrap();
    a.open(&crossing_b).unwrap();
    b.open(&crossing_a).unwrap();
    assert_talking(&mut a, &mut b);
    assert_eq!((a.epoch(), b.epoch()), (2, 2));
    assert_eq!((a.hints().len(), b.hints().len()), (1, 1));
}

#[test]
fn crossing_payments_with_one_receipt_lost_still_talk() {
    let (mut a, mut b) = pair();
    a.expect(&LINK).unwrap();
    b.expect(&OTHER_LINK).unwrap();
    deliver(&mut a, &mut b, b"commit").unwrap();
    b.advance_as_payee(&LINK).unwrap();
    b.seal(b"lost receipt").unwrap();
    deliver(&mut b, &mut a, b"commit").unwrap();
    a.advance_as_payee(&OTHER_LINK).unwrap();
    deliver(&mut a, &mut b, b"receipt").unwrap();
    b.advance_as_payer(&OTHER_LINK).unwrap();
    assert_talking(&mut a, &mut b);
    assert_eq!((a.epoch(), b.epoch()), (1, 1));
    a.advance_as_payer(&LINK).unwrap();
    assert_talking(&mut a, &mut b);
    assert_eq!((a.epoch(), b.epoch()), (2, 2));
}

#[test]
fn a_payer_that_expects_reads_the_next_epoch_without_a_receipt() {
    let (mut a, mut b) = pair();
    a.expect(&LINK).unwrap();
    b.advance_as_payee(&LINK).unwrap();
    // As if the payee had seen the payer in the next epoch and the receipt had been lost.
    b.paid.drop_before(1);
    deliver(&mut b, &mut a, b"in the next epoch").unwrap();
    assert_eq!(a.epoch(), 1);
    assert_talking(&mut a, &mut b);
}

#[test]
fn a_receipt_stands_for_the_earlier_payments() {
    let (mut a, mut b) = pair();
    a.expect(&LINK).unwrap();
    b.advance_as_payee(&LINK).unwrap();
    a.expect(&OTHER_LINK).unwrap();
    b.advance_as_payee(&OTHER_LINK).unwrap();
    a.advance_as_payer(&OTHER_LINK).unwrap();
    a.advance_as_payer(&LINK).unwrap();
    assert_talking(&mut a, &mut b);
    assert_eq!((a.epoch(), b.epoch()), (2, 2));
}

#[test]
fn a_fifth_payment_without_a_receipt_is_refused_to_the_payer() {
    let (mut a, mut b) = pair();
    for number in 0..MAX_PENDING as u8 {
        a.expect(&[number + 1; 32]).unwrap();
        b.advance_as_payee(&[number + 1; 32]).unwrap();
    }
    a.expect(&[1; 32]).unwrap();
    let before = stored(&a);
    assert_eq!(a.expect(&[99; 32]).unwrap_err().code(), "SESSION_PENDING");
    let error = a.advance_as_payer(&[99; 32]).unwrap_err();
    assert_eq!(error.code(), "SESSION_PENDING");
    let error = b.advance_as_payee(&[99; 32]).unwrap_err();
    assert_eq!(error.code(), "SESSION_PENDING");
    assert_eq!(stored(&a), before);
    assert_talking(&mut a, &mut b);
    a.advance_as_payer(&[4; 32]).unwrap();
    assert_talking(&mut a, &mut b);
    a.expect(&[99; 32]).unwrap();
}

#[test]
fn two_different_links_do_not_meet() {
    let (mut a, mut b) = pair();
    b.advance_as_payee(&LINK).unwrap();
    a.advance_as_payer(&OTHER_LINK).unwrap();
    let envelope = a.seal(b"x").unwrap();
    assert_eq!(refused(&mut b, &envelope), "SESSION_UNKNOWN");
}

#[test]
fn a_state_after_a_dropped_epoch_cannot_open_an_earlier_envelope() {
    let (mut a, mut b) = pair();
    let recorded: Vec<_> = (0..3).map(|_| a.seal(b"recorded").unwrap()).collect();
    let old_keys: Vec<[u8; 32]> = [&b.paying, &b.paid].map(|chain| chain.entries[0].key.0).to_vec();
    pay(&mut a, &mut b, &LINK);
    pay(&mut b, &mut a, &OTHER_LINK);
    assert_talking(&mut a, &mut b);
    let stolen = stored(&b);
    for key in &old_keys {
        assert!(!stolen.windows(32).any(|window| window == key));
    }
    let mut thief = Session::from_bytes(&stolen).unwrap();
    thief.next_counter = 0;
    for envelope in recorded {
        assert_eq!(refused(&mut thief, &envelope), "SESSION_UNKNOWN");
    }
}

#[test]
fn a_stored_session_goes_on_where_it_stopped() {
    let (mut a, mut b) = pair();
    for number in 0..12_u8 {
        let link = [number + 1; 32];
        a = Session::from_bytes(&a.to_bytes()).unwrap();
        b = Session::from_bytes(&b.to_bytes()).unwrap();
        a.expect(&link).unwrap();
        deliver(&mut a, &mut b, b"commit").unwrap();
        b.advance_as_payee(&link).unwrap();
        b = Session::from_bytes(&b.to_bytes()).unwrap();
        a = Session::from_bytes(&a.to_bytes()).unwrap();
        deliver(&mut b, &mut a, b"receipt").unwrap();
        a.advance_as_payer(&link).unwrap();
    }
    assert_talking(&mut a, &mut b);
    assert_eq!(a.epoch(), 12);
}

#[test]
fn bytes_that_are_no_stored_session_are_refused() {
    let (mut a, mut b) = pair();
    pay(&mut a, &mut b, &LINK);
    let good = stored(&a);
    assert!(good.len() <= persist::MAX_STORED);
    let code = |bytes: &[u8]| Session::from_bytes(bytes).unwrap_err().code();
    for end in 0..good.len() {
        assert_eq!(code(&good[..end]), "SESSION_STATE");
    }
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let (version, role, send, count) = (0, 1, 34, 35);
    for bad in [
        with(version, 2),
        with(role, 2),
        with(send, 2),
        with(count, 0),
        with(count, 6),
        [&good[..], &[0]].concat(),
    ] {
        assert_eq!(code(&bad), "SESSION_STATE");
    }
}

#[test]
fn keys_of_a_wrong_shape_are_refused() {
    let public = KemSecret::from_seed([7; 32]).public();
    let bytes = public.to_bytes();
    assert_eq!(KemPublic::from_bytes(&bytes).unwrap(), public);
    let short = KemPublic::from_bytes(&bytes[1..]).unwrap_err();
    assert_eq!(short.code(), "SESSION_KEY");
    // 0xfff is above the modulus of ML-KEM, so no encoder writes it.
    let out_of_range = KemPublic::from_bytes(&[0xff; KemPublic::BYTES]);
    assert_eq!(out_of_range.unwrap_err().code(), "SESSION_KEY");
}

/// First vector of draft-connolly-cfrg-xwing-kem, appendix C: the start of key and ciphertext.
#[test]
fn the_key_agreement_is_x_wing() {
    let seed = bytes("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
    let randomness = bytes(
        "3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2\
         35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
    );
    let public = KemSecret::from_seed(seed).public();
    let greeting = greet(&public, &randomness).unwrap();
    assert_eq!(public.to_bytes()[..16], bytes::<16>("e2236b35a8c24b39b10aa1323a96a919"));
    assert_eq!(
        greeting.ciphertext().as_bytes()[..16],
        bytes::<16>("b83aa828d4d62b9a83ceffe1d3d3bb1e")
    );
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

#[test]
fn no_key_shows_in_debug_output() {
    let (a, _) = pair();
    let (_, opened) = greeted(9);
    let greeting = greet(&KemSecret::from_seed([0xab; 32]).public(), &[0xab; 64]).unwrap();
    let root = RootKey(keys::Key([0xab; 32]));
    let secret = KemSecret::from_seed([0xab; 32]);
    for text in [
        format!("{a:?}"),
        format!("{root:?}"),
        format!("{secret:?}"),
        format!("{opened:?}"),
        format!("{greeting:?}"),
    ] {
        assert!(!text.contains("171") && !text.contains("ab, ab"), "{text}");
        assert!(text.len() < 120, "{text}");
    }
}

#[test]
fn a_restart_from_what_had_to_be_stored_never_uses_a_counter_twice() {
    let (mut a, mut b) = pair();
    let mut disk = stored(&a);
    a.stored();
    let mut released = std::collections::BTreeSet::new();
    let (mut stores, mut link) = (0, [0; 32]);
    for round in 0_u8..200 {
        let envelope = a.seal(b"x").unwrap();
        if !a.is_covered() {
            disk = stored(&a);
            a.stored();
            stores += 1;
        }
        assert!(released.insert(envelope[..HINT_BYTES + 2].to_vec()), "one key and counter twice");
        assert_eq!(b.open(&envelope).unwrap(), b"x");
        if round % 7 == 3 {
            a = Session::from_bytes(&disk).unwrap();
        }
        if round % 20 == 19 {
            link[0] = round;
            pay(&mut a, &mut b, &link);
        }
    }
    assert!(stores < 80, "storing is rarely needed: {stores}");
}
