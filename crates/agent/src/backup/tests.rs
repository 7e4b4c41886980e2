use alloc::collections::BTreeMap;
use alloc::vec;

use tally_core::id::Head;

use super::*;

const KEY: [u8; 32] = [5; 32];

fn header() -> Header {
    Header { memory_kib: 8, passes: 1, lanes: 1, salt: [1; 16], nonce: [2; 24] }
}

fn sample() -> Backup {
    let issued = Issued { next: 7, total: 40 };
    Backup {
        secret: Zeroizing::new([3; 32]),
        name: Name::new("alice").unwrap(),
        network: NetworkId::LOCAL,
        changes: vec![Change::Step { seq: 9, head: Head::new([8; 32]) }],
        issued: vec![(AssetId::new([4; 32]), issued)],
        meta: BTreeMap::from([("tpm".into(), vec![1, 2, 3]), ("a".into(), vec![])]),
    }
}

/// A file around other bytes than a backup's.
fn around(plain: &[u8]) -> Vec<u8> {
    let mut file = header().to_bytes();
    let payload = Payload { msg: plain, aad: &file };
    let text = XChaCha20Poly1305::new((&KEY).into()).encrypt(&[2; 24].into(), payload).unwrap();
    file.extend(text);
    file
}

#[test]
fn what_is_written_is_read() {
    let file = sample().seal(&header(), &KEY).unwrap();
    assert_eq!(Header::of(&file), Ok(header()));
    let read = Backup::open(&file, &KEY).unwrap();
    assert_eq!((read.secret.as_slice(), &read.name), (&[3; 32][..], &sample().name));
    assert_eq!((&read.changes, &read.issued), (&sample().changes, &sample().issued));
    assert_eq!(read.meta.keys().collect::<Vec<_>>(), ["a", "name", "network", "tpm"]);
    assert_eq!(read.seal(&header(), &KEY).unwrap(), file);
}

#[test]
fn another_key_and_an_altered_byte_open_nothing() {
    let file = sample().seal(&header(), &KEY).unwrap();
    assert_eq!(Backup::open(&file, &[6; 32]), Err(BackupError::WrongPassphrase));
    for at in 0..file.len() {
        let mut bent = file.clone();
        bent[at] ^= 1;
        let error = Backup::open(&bent, &KEY).unwrap_err();
        let is_named = at < MAGIC.len();
        assert!(!is_named || error == BackupError::NotABackup, "byte {at}");
    }
    for cut in 0..file.len() {
        let error = Backup::open(&file[..cut], &KEY).unwrap_err();
        assert_eq!(error == BackupError::NotABackup, cut < HEADER, "cut at {cut}");
    }
}

#[test]
fn what_is_no_backup_inside_is_refused() {
    let plain = sample().plain().unwrap();
    let refused = |plain: &[u8]| Backup::open(&around(plain), &KEY) == Err(BackupError::NotABackup);
    assert!(!refused(&plain));
    assert!((0..plain.len()).all(|cut| refused(&plain[..cut])), "it ends too early");
    assert!(refused(&[&plain, &[0][..]].concat()), "something follows");
    let mut long = plain.to_vec();
    long[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(refused(&long), "more pairs than there are");
    let nobody = [&[3; 32][..], &[0; 12]].concat();
    assert!(refused(&nobody), "no name and no network");
}

#[test]
fn all_that_is_written_was_counted_before() {
    let plain = sample().plain().unwrap();
    assert_eq!(plain.capacity(), plain.len(), "a buffer that grows leaves the secret behind");
}

#[test]
fn what_is_over_the_limit_is_neither_written_nor_read() {
    let mut backup = sample();
    let taken = backup.plain().unwrap().len() + HEADER + TAG;
    backup.meta.insert("tpm".into(), vec![0; MAX_BACKUP - taken + 4]);
    assert_eq!(backup.plain().err(), Some(BackupError::TooLarge));
    assert_eq!(Header::of(&vec![0; MAX_BACKUP + 1]), Err(BackupError::TooLarge));
}
