use super::*;
use tally_core::cbor::{from_bytes, to_bytes};

fn passphrase(text: &str) -> Unlock {
    Unlock::Passphrase(Passphrase::new(Zeroizing::new(text.into())).unwrap())
}

fn weak() -> Method {
    Method::Passphrase(KdfParams::WEAK_FOR_TESTS)
}

#[test]
fn the_unlock_key_depends_on_passphrase_salt_and_cost() {
    let key = |text, method, salt| *passphrase(text).key(method, &[salt; 16]).unwrap().expose();
    let other_cost = Method::Passphrase(KdfParams::new(8, 2, 1).unwrap());
    assert_eq!(key("a", weak(), 1), key("a", weak(), 1));
    assert_ne!(key("a", weak(), 1), key("b", weak(), 1));
    assert_ne!(key("a", weak(), 1), key("a", weak(), 2));
    assert_ne!(key("a", weak(), 1), key("a", other_cost, 1));
}

#[test]
fn the_strong_cost_is_argon2id_as_others_compute_it() {
    // From the reference implementation: version 19, m = 65536, t = 3, p = 1.
    let passphrase = Passphrase::new(Zeroizing::new("password".into())).unwrap();
    let key = stretch(&passphrase, KdfParams::STRONG, b"somesaltsomesalt").unwrap();
    let expected = "7664ad4ba1a3c999fcdd0991ffc2270f78302d2383233db5e7befc85d1bb1819";
    assert_eq!(Some(*key.expose()), from_hex(expected));
}

#[test]
fn costs_outside_the_limits_do_not_exist() {
    for (memory, passes, lanes) in [
        (7, 1, 1),
        (MAX_MEMORY_KIB + 1, 1, 1),
        (8, 0, 1),
        (8, MAX_PASSES + 1, 1),
        (8, 1, 0),
        (31, 1, 4),
        (64, 1, MAX_LANES + 1),
    ] {
        assert_eq!(KdfParams::new(memory, passes, lanes), None);
    }
    for method in [Method::Passphrase(KdfParams::STRONG), weak(), Method::KeyFile] {
        assert_eq!(from_bytes(&to_bytes(&method)), Ok(method));
    }
    assert_eq!(from_bytes::<Method>(&[0x84, 0, 1, 1, 1]), Err(DecodeError::OutOfRange));
    assert_eq!(from_bytes::<Method>(&[0x82, 1, 1]), Err(DecodeError::WrongLength));
    assert_eq!(from_bytes::<Method>(&[0x81, 2]), Err(DecodeError::Unknown));
}

#[test]
fn empty_and_endless_passphrases_are_refused() {
    for text in [String::new(), "x".repeat(MAX_PASSPHRASE + 1)] {
        assert_eq!(Passphrase::new(Zeroizing::new(text)).unwrap_err().code(), "SEAL_UNLOCK");
    }
}

#[test]
fn the_wrong_kind_of_unlocking_is_told_before_anything_is_read() {
    let file = Unlock::KeyFile("absent".into());
    assert_eq!(file.key(weak(), &[0; 16]).unwrap_err().code(), "SEAL_UNLOCK");
    let code = passphrase("a").key(Method::KeyFile, &[0; 16]).unwrap_err().code();
    assert_eq!(code, "SEAL_UNLOCK");
}

#[test]
fn a_key_file_is_made_once_and_then_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let unlock = Unlock::KeyFile(path.clone());
    let key = || *unlock.key(Method::KeyFile, &[0; 16]).unwrap().expose();
    let code = unlock.key(Method::KeyFile, &[0; 16]).unwrap_err().code();
    assert_eq!(code, "SEAL_KEY_FILE_MISSING");
    unlock.prepare(KdfParams::STRONG, &Entropy::new([1; 32])).unwrap();
    let first = key();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    unlock.prepare(KdfParams::STRONG, &Entropy::new([2; 32])).unwrap();
    assert_eq!(key(), first);
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_command_that_helps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let unlock = Unlock::KeyFile(path.clone());
    unlock.prepare(KdfParams::STRONG, &Entropy::new([1; 32])).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = unlock.key(Method::KeyFile, &[0; 16]).unwrap_err();
        assert_eq!(error.code(), "SEAL_KEY_FILE_EXPOSED");
        assert!(error.to_string().contains("chmod 600"));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    unlock.key(Method::KeyFile, &[0; 16]).unwrap();
}

#[test]
fn what_is_no_key_file_is_called_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let digits = "0".repeat(64);
    for text in [
        String::new(),
        digits.clone(),
        format!("tally-key-v2:{digits}\n"),
        format!("{KEY_FILE_MARK}{digits}0\n"),
        format!("{KEY_FILE_MARK}{digits}\n\n"),
        format!("{KEY_FILE_MARK}{}\n", "é".repeat(32)),
    ] {
        files::replace(&path, text.as_bytes()).unwrap();
        assert_eq!(read_key_file(&path).unwrap_err().code(), "SEAL_KEY_FILE_DAMAGED", "{text}");
    }
    assert_eq!(read_key_file(dir.path()).unwrap_err().code(), "SEAL_KEY_FILE_DAMAGED");
}
