//! Which seal a device has.

use crate::cbor::{DecodeError, from_bytes, to_bytes};
use crate::id::Digest;
use crate::seal::{SealId, SealIdentity};

const SEAL: SealId = SealId::new(Digest::new([7; 32]));

#[test]
fn a_devices_seal_has_one_form_for_each_kind() {
    let hardware = [&[0x82, 1, 0x58, 0x20][..], &[7; 32]].concat();
    for (identity, bytes) in
        [(SealIdentity::Software, &[0x81, 0][..]), (SealIdentity::Hardware(SEAL), &hardware)]
    {
        assert_eq!(to_bytes(&identity), bytes);
        assert_eq!(from_bytes(bytes), Ok(identity));
    }
    let refused = |bytes: &[u8]| from_bytes::<SealIdentity>(bytes).expect_err("none");
    assert_eq!(refused(&[0x82, 0, 0]), DecodeError::WrongLength);
    assert_eq!(refused(&[0x81, 1]), DecodeError::WrongLength);
    assert_eq!(refused(&[0x81, 2]), DecodeError::Unknown);
}
