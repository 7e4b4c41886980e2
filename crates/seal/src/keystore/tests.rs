use super::*;
use crate::machine::Factor;
use crate::unlock::Passphrase;
use proptest::prelude::*;
use zeroize::Zeroizing;

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Passphrase::new(Zeroizing::new(text.into())).unwrap())
}

fn fingerprint(board: &str, system: &str) -> Fingerprint {
    Fingerprint {
        hardware: Factor::new(&[("board serial", board.into())]),
        environment: Factor::new(&[("machine id", system.into())]),
    }
}

fn master() -> Key {
    Key::new([0x5a; 32])
}

fn keystore() -> Keystore {
    Keystore::seal(
        &master(),
        &passphrase("open"),
        KdfParams::WEAK_FOR_TESTS,
        &fingerprint("a", "b"),
        false,
        &Entropy::new([3; 32]),
    )
    .unwrap()
}

/// Bytes whose checksum fits, as someone who edits the file on purpose would leave them.
fn with_fitting_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len() - 34;
    let checksum = sha256(&bytes[..content]);
    bytes[content + 2..].copy_from_slice(&checksum);
    bytes
}

#[test]
fn it_opens_with_passphrase_and_machine_and_anywhere_for_rebind() {
    let keystore = Keystore::from_bytes(&keystore().to_bytes()).unwrap();
    let here = fingerprint("a", "b");
    let opened = keystore.open(&passphrase("open"), &here).unwrap();
    assert_eq!(opened.expose(), master().expose());
    let anywhere = keystore.open_anywhere(&passphrase("open")).unwrap();
    assert_eq!(anywhere.expose(), master().expose());
    for result in
        [keystore.open(&passphrase("Open"), &here), keystore.open_anywhere(&passphrase("Open"))]
    {
        assert_eq!(result.unwrap_err().code(), "SEAL_WRONG_PASSPHRASE");
    }
}

#[test]
fn each_factor_is_named_when_it_differs() {
    for (board, system, expected) in
        [("x", "b", Differs::Hardware), ("a", "x", Differs::Environment), ("x", "x", Differs::Both)]
    {
        let error = keystore().open(&passphrase("open"), &fingerprint(board, system)).unwrap_err();
        assert!(matches!(error, SealError::OtherMachine { differs } if differs == expected));
        assert!(error.to_string().contains("tally seal rebind"));
    }
}

#[test]
fn the_bound_slot_needs_the_factors_themselves_not_only_their_tags() {
    // A thief's program does not compare tags: it makes the key of what the machine has.
    let stolen = keystore();
    let unlocked = passphrase("open").key(stolen.header.method, &stolen.header.salt).unwrap();
    let open_on = |board, system| {
        stolen.open_slot(&stolen.bound, &bound_key(&unlocked, &fingerprint(board, system)))
    };
    assert_eq!(open_on("a", "b").unwrap().expose(), master().expose());
    for (board, system) in [("x", "b"), ("a", "y"), ("x", "y")] {
        let code = open_on(board, system).unwrap_err().code();
        assert_eq!(code, "SEAL_WRONG_PASSPHRASE", "{board} {system}");
    }
}

#[test]
fn no_part_of_a_keystore_shows_a_secret() {
    let bytes = keystore().to_bytes();
    for secret in [*master().expose(), *Entropy::new([3; 32]).key(Label::NewDataKey).expose()] {
        assert!(!bytes.windows(8).any(|w| secret.windows(8).any(|s| s == w)));
    }
    assert!(!format!("{:?}", keystore()).contains("bound"));
}

#[test]
fn the_journal_flag_is_authenticated() {
    let keystore = keystore();
    let flagged = keystore.clone().with_journal(&master());
    assert!(flagged.journal_expected());
    flagged.open_anywhere(&passphrase("open")).unwrap();
    let forged = Keystore { journal: false, ..flagged };
    let forged = Keystore::from_bytes(&forged.to_bytes()).unwrap();
    let code = forged.open_anywhere(&passphrase("open")).unwrap_err().code();
    assert_eq!(code, "SEAL_DAMAGED");
}

#[test]
fn the_file_format_is_pinned() {
    let bytes = keystore().to_bytes();
    assert_eq!(bytes.len(), 396);
    assert_eq!(
        tally_core::id::Digest::new(sha256(&bytes)).to_string(),
        "3e06442490a6c0a5e2229cd396ddac6ac7ef3ed560006506c6be936504ec2a96"
    );
}

#[test]
fn every_flipped_bit_and_every_cut_is_damage() {
    let bytes = keystore().to_bytes();
    for at in 0..bytes.len() {
        assert_eq!(Keystore::from_bytes(&bytes[..at]).unwrap_err().code(), "SEAL_DAMAGED");
        for bit in 0..8 {
            let mut bent = bytes.clone();
            bent[at] ^= 1 << bit;
            assert_eq!(Keystore::from_bytes(&bent).unwrap_err().code(), "SEAL_DAMAGED");
        }
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Keystore::from_bytes(&longer).unwrap_err().code(), "SEAL_DAMAGED");
    let endless = vec![0; MAX_KEYSTORE + 1];
    assert_eq!(Keystore::from_bytes(&endless).unwrap_err().code(), "SEAL_DAMAGED");
}

proptest! {
    #[test]
    fn an_edited_keystore_never_opens(at in 0usize..362, flip in 1u8..) {
        let mut bytes = keystore().to_bytes();
        bytes[at] ^= flip;
        let bytes = with_fitting_checksum(bytes);
        if let Ok(edited) = Keystore::from_bytes(&bytes) {
            prop_assert_eq!(edited.to_bytes(), bytes);
            // A keystore may name a cost of up to 256 MiB: what is tried here stays cheap.
            if edited.params() == KdfParams::WEAK_FOR_TESTS {
                let here = fingerprint("a", "b");
                let unlock = passphrase("open");
                for opened in [edited.open(&unlock, &here), edited.open_anywhere(&unlock)] {
                    let e = opened.expect_err("the authenticator covers every byte");
                    let codes =
                        ["SEAL_DAMAGED", "SEAL_WRONG_PASSPHRASE", "SEAL_OTHER_MACHINE", "SEAL_UNLOCK"];
                    prop_assert!(codes.contains(&e.code()), "{}", e.code());
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        prop_assert!(Keystore::from_bytes(&bytes).is_err());
    }
}
