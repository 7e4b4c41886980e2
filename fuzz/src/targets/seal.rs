use tally_seal::journal::{RECORD, Record};
use tally_seal::keystore::{Keystore, MAX_KEYSTORE};

/// A keystore has one encoding, within its limit.
pub fn keystore(bytes: &[u8]) {
    let Ok(keystore) = Keystore::from_bytes(bytes) else { return };
    assert!(bytes.len() <= MAX_KEYSTORE);
    assert_eq!(keystore.to_bytes(), bytes);
}

/// A record of the journal has one block.
pub fn journal(bytes: &[u8]) {
    let Ok(record) = Record::from_bytes(bytes) else { return };
    assert_eq!(bytes.len(), RECORD);
    assert_eq!(record.to_bytes().as_slice(), bytes);
}
