//! Carry optional fields: a map by which a card, an invoice or a hello grows without a new form.
//!
//! Each key stands for one field; its value is a byte string with the field's own encoding. A key that
//! this program does not know is passed over if it is odd, and refused if it is even: whoever adds a
//! field that nobody may overlook gives it an even key (spec `FIELD-2`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cbor::{Blob, Decode, DecodeError, Encode, Reader, Writer, from_bytes, to_bytes};
use crate::time::Time;

/// Most fields of one object.
pub const MAX_FIELDS: usize = 16;
/// Longest value of a field, in bytes.
pub const MAX_FIELD: usize = 256;

/// Key of the time at which the object was made, in Unix seconds.
pub const TIME: u64 = 1;
/// Key that is reserved for what the device takes at once: sizes, counts.
pub const LIMITS: u64 = 3;
/// Key that is reserved for the identity that the device belongs to.
pub const ID: u64 = 5;
/// Key that is reserved for a note to people.
pub const MEMO: u64 = 7;
/// Key that is reserved for where packets for the device can be left.
pub const RELAYS: u64 = 9;

/// The optional fields of an object.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Fields(BTreeMap<u64, Blob<MAX_FIELD>>);

impl Fields {
    /// The time at which the object is made, and nothing else.
    pub fn at(time: Time) -> Self {
        let value = Blob::new(to_bytes(&time)).unwrap_or_default();
        Self(BTreeMap::from([(TIME, value)]))
    }

    /// When the object was made, as its maker's clock had it.
    pub fn time(&self) -> Option<Time> {
        self.get(TIME).and_then(|value| from_bytes(value).ok())
    }

    /// The value of a field.
    pub fn get(&self, key: u64) -> Option<&[u8]> {
        self.0.get(&key).map(Blob::as_slice)
    }

    /// The same with one more field, or with another value of it.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_FIELDS`] fields or [`MAX_FIELD`] bytes; [`DecodeError`] if the
    /// value of a known field is not what it should be.
    pub fn with(mut self, key: u64, value: Vec<u8>) -> Result<Self, DecodeError> {
        check_value(key, &value)?;
        self.0.insert(key, Blob::new(value)?);
        if self.0.len() > MAX_FIELDS { Err(DecodeError::TooLarge) } else { Ok(self) }
    }

    /// Whether this program may act on the object: it knows every field that must not be overlooked.
    pub fn are_understood(&self) -> bool {
        self.0.keys().all(|key| key % 2 == 1)
    }
}

/// Whether the value of a field that this program knows has the form that it should have.
fn check_value(key: u64, value: &[u8]) -> Result<(), DecodeError> {
    if key == TIME { from_bytes::<Time>(value).map(drop) } else { Ok(()) }
}

impl Encode for Fields {
    fn encode(&self, w: &mut Writer) {
        w.map(self.0.len() as u64);
        for (key, value) in &self.0 {
            w.uint(*key);
            value.encode(w);
        }
    }
}

impl Decode for Fields {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let pairs = r.map(MAX_FIELDS, Reader::uint, Blob::decode)?;
        pairs.iter().try_for_each(|(key, value): &(u64, Blob<MAX_FIELD>)| {
            check_value(*key, value.as_slice())
        })?;
        Ok(Self(pairs.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_passed_over_if_odd_and_refused_if_even() {
        assert!(Fields::default().are_understood());
        assert!(Fields::at(Time::from_unix(5)).are_understood());
        for key in [LIMITS, ID, MEMO, RELAYS, 11, 0xffff_ffff_ffff_ffff] {
            let odd = Fields::default().with(key, alloc::vec![1, 2]).expect("short");
            assert!(odd.are_understood(), "{key}");
            assert_eq!(odd.get(key), Some(&[1, 2][..]));
        }
        for key in [0, 2, 10, 0xffff_ffff_ffff_fffe] {
            let even = Fields::default().with(key, Vec::new()).expect("short");
            assert!(!even.are_understood(), "{key}");
        }
    }

    #[test]
    fn fields_have_one_form_and_their_limits() {
        let fields = Fields::at(Time::from_unix(1_800_000_000));
        let fields = fields.with(300, alloc::vec![7; MAX_FIELD]).expect("as long as may be");
        let bytes = to_bytes(&fields);
        assert_eq!(from_bytes::<Fields>(&bytes), Ok(fields.clone()));
        assert_eq!(fields.time(), Some(Time::from_unix(1_800_000_000)));
        assert_eq!(to_bytes(&Fields::default()), [0xa0]);
        let long = fields.clone().with(301, alloc::vec![7; MAX_FIELD + 1]);
        assert_eq!(long, Err(DecodeError::TooLarge));
        let many =
            (0..=MAX_FIELDS as u64).try_fold(Fields::default(), |f, k| f.with(2 * k, Vec::new()));
        assert_eq!(many, Err(DecodeError::TooLarge));
        let refused = |bytes: &[u8]| from_bytes::<Fields>(bytes).expect_err("no map of fields");
        assert_eq!(refused(&[0xa1, 1, 0x41, 0xff]), DecodeError::WrongType, "a time that is none");
        assert_eq!(refused(&[0xa1, 1, 0x42, 5, 5]), DecodeError::Trailing);
        assert_eq!(refused(&[0xa2, 3, 0x40, 3, 0x40]), DecodeError::Unsorted, "a key twice");
        assert_eq!(refused(&[0xa2, 5, 0x40, 3, 0x40]), DecodeError::Unsorted);
        assert_eq!(refused(&[0xa1, 3, 5]), DecodeError::WrongType);
        let seventeen = (0..17).flat_map(|key| [key, 0x40]);
        let seventeen: Vec<u8> = core::iter::once(0xb1).chain(seventeen).collect();
        assert_eq!(refused(&seventeen), DecodeError::TooLarge);
    }
}
