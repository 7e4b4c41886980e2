//! Encode every object in exactly one way: deterministic CBOR (RFC 8949, section 4.2.1).
//!
//! Shortest heads, definite lengths, sorted unique map keys, no trailing bytes. The decoder rejects
//! everything else, so two different byte strings never decode to the same object, and a hash of
//! the bytes is a hash of the object. Tokens are read and written by `minicbor`; [`Reader`] adds
//! the strictness (spec `ENC-1` to `ENC-6`).
//!
//! ```
//! use tally_core::cbor::{from_bytes, to_bytes, DecodeError};
//! assert_eq!(to_bytes(&500u64), [0x19, 0x01, 0xf4]);
//! assert_eq!(from_bytes::<u64>(&[0x19, 0x01, 0xf4]), Ok(500));
//! // 23 in a two-byte head is valid CBOR, but not the shortest.
//! assert_eq!(from_bytes::<u64>(&[0x18, 0x17]), Err(DecodeError::NotShortest));
//! ```

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

use alloc::vec::Vec;

/// Largest object that [`from_bytes`] reads, in bytes.
pub const MAX_OBJECT: usize = 1 << 20;

/// Deepest nesting of arrays, maps and tags that a [`Reader`] follows.
pub const MAX_DEPTH: u32 = 24;

/// Why bytes are not an object: the *structural* level of validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ended inside an item.
    #[error("the data is cut short: ask for it again")]
    Truncated,
    /// Bytes follow the object.
    #[error("bytes follow the end of the data: it was damaged or made by another program")]
    Trailing,
    /// A number, length or tag is not in its shortest form, or a length is indefinite.
    #[error("the data is not in canonical form: it was altered or made by another program")]
    NotShortest,
    /// An item of another type stands where the object needs one.
    #[error("the data has an item of the wrong type: it is not an object of this kind")]
    WrongType,
    /// An array or byte string has the wrong number of elements.
    #[error("the data has an item of the wrong length: it is not an object of this kind")]
    WrongLength,
    /// A length, count or depth is above its limit.
    #[error("the data exceeds a size limit: split it or ask for a smaller one")]
    TooLarge,
    /// Map keys or set elements are not in strictly ascending order.
    #[error("the data has unsorted or repeated entries: it was altered")]
    Unsorted,
    /// A version, kind or tag number that this program does not know.
    #[error("the data is of an unknown kind or version: update this program")]
    Unknown,
    /// A value is outside its range (a zero where none may be, a key that is no point, …).
    #[error("the data has a value outside its range: it was damaged")]
    OutOfRange,
}

impl DecodeError {
    /// Stable code of this error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "DECODE_TRUNCATED",
            Self::Trailing => "DECODE_TRAILING",
            Self::NotShortest => "DECODE_NOT_CANONICAL",
            Self::WrongType => "DECODE_WRONG_TYPE",
            Self::WrongLength => "DECODE_WRONG_LENGTH",
            Self::TooLarge => "DECODE_TOO_LARGE",
            Self::Unsorted => "DECODE_UNSORTED",
            Self::Unknown => "DECODE_UNKNOWN",
            Self::OutOfRange => "DECODE_OUT_OF_RANGE",
        }
    }
}

/// An object with a canonical encoding.
pub trait Encode {
    /// Appends the object's one encoding to `w`.
    fn encode(&self, w: &mut Writer);
}

/// An object that can be read back from its canonical encoding, and from nothing else.
pub trait Decode: Sized {
    /// Reads one object, leaving `r` behind it.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not the canonical encoding of such an object.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The encoding of `object`.
pub fn to_bytes<T: Encode + ?Sized>(object: &T) -> Vec<u8> {
    let mut w = Writer::new();
    object.encode(&mut w);
    w.into_bytes()
}

/// Decodes exactly one object that fills `bytes`, of at most [`MAX_OBJECT`] bytes.
///
/// # Errors
/// [`DecodeError`] when the bytes are not its canonical encoding.
pub fn from_bytes<T: Decode>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_OBJECT {
        return Err(DecodeError::TooLarge);
    }
    let mut r = Reader::new(bytes);
    let object = T::decode(&mut r)?;
    r.finish()?;
    Ok(object)
}

/// Implements [`Encode`] and [`Decode`] for a struct as the CBOR array of the named fields.
macro_rules! record {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::cbor::Encode for $name {
            fn encode(&self, w: &mut $crate::cbor::Writer) {
                w.array($crate::cbor::count!($($field)+));
                $( self.$field.encode(w); )+
            }
        }
        impl $crate::cbor::Decode for $name {
            fn decode(
                r: &mut $crate::cbor::Reader<'_>,
            ) -> Result<Self, $crate::cbor::DecodeError> {
                r.record($crate::cbor::count!($($field)+), |r| {
                    Ok(Self { $( $field: $crate::cbor::Decode::decode(r)?, )+ })
                })
            }
        }
    };
}

/// Counts the identifiers it is given.
macro_rules! count {
    () => { 0u64 };
    ($head:ident $($tail:ident)*) => { 1u64 + $crate::cbor::count!($($tail)*) };
}

pub(crate) use {count, record};

impl Encode for u64 {
    fn encode(&self, w: &mut Writer) {
        w.uint(*self);
    }
}

impl Decode for u64 {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.uint()
    }
}

macro_rules! small_uint {
    ($($t:ty),+) => { $(
        impl Encode for $t {
            fn encode(&self, w: &mut Writer) {
                w.uint(u64::from(*self));
            }
        }
        impl Decode for $t {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                <$t>::try_from(r.uint()?).map_err(|_| DecodeError::OutOfRange)
            }
        }
    )+ };
}
small_uint!(u8, u16, u32);

impl Encode for bool {
    fn encode(&self, w: &mut Writer) {
        w.uint(u64::from(*self));
    }
}

impl Decode for bool {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.uint()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::OutOfRange),
        }
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, w: &mut Writer) {
        w.bytes(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = r.bytes(N)?;
        bytes.try_into().map_err(|_| DecodeError::WrongLength)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, w: &mut Writer) {
        match self {
            None => w.null(),
            Some(x) => x.encode(w),
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if r.null()? { Ok(None) } else { T::decode(r).map(Some) }
    }
}

impl<T: Encode> Encode for alloc::boxed::Box<T> {
    fn encode(&self, w: &mut Writer) {
        (**self).encode(w);
    }
}

impl<T: Decode> Decode for alloc::boxed::Box<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(r).map(Self::new)
    }
}

impl<T: Encode> Encode for alloc::sync::Arc<T> {
    fn encode(&self, w: &mut Writer) {
        (**self).encode(w);
    }
}

impl<T: Decode> Decode for alloc::sync::Arc<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(r).map(Self::new)
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, w: &mut Writer) {
        w.array(self.len() as u64);
        for x in self {
            x.encode(w);
        }
    }
}

/// The list form used by every `Vec` on the wire: an array of at most `MAX` elements.
///
/// The limit is part of the type, so no decoder can be written without one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes `items`.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] when there are more than `MAX`.
    pub fn new(items: Vec<T>) -> Result<Self, DecodeError> {
        if items.len() > MAX {
            return Err(DecodeError::TooLarge);
        }
        Ok(Self(items))
    }

    /// The first `MAX` of `items`.
    pub fn truncated(mut items: Vec<T>) -> Self {
        items.truncate(MAX);
        Self(items)
    }

    /// The items.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> core::ops::Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode(&self, w: &mut Writer) {
        self.0.as_slice().encode(w);
    }
}

impl<T: Decode, const MAX: usize> Decode for List<T, MAX> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.list(MAX, T::decode).map(Self)
    }
}

/// Bytes of any length, to be hashed as a byte string.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Encode for Bytes<'_> {
    fn encode(&self, w: &mut Writer) {
        w.bytes(self.0);
    }
}

/// A byte string of at most `MAX` bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Blob<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Blob<MAX> {
    /// Takes `bytes`.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] when there are more than `MAX`.
    pub fn new(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        if bytes.len() > MAX {
            return Err(DecodeError::TooLarge);
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> Encode for Blob<MAX> {
    fn encode(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
}

impl<const MAX: usize> Decode for Blob<MAX> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(r.bytes(MAX)?.to_vec()))
    }
}

#[cfg(test)]
mod tests;
