//! The decoding side: every token is read by `minicbor` and then held to its shortest form.

use alloc::vec::Vec;
use minicbor::Decoder;
use minicbor::data::Type;

use super::{DecodeError, MAX_DEPTH};

/// Reads canonical CBOR items one after another.
#[derive(Debug)]
pub struct Reader<'b> {
    input: Decoder<'b>,
    depth: u32,
}

impl<'b> Reader<'b> {
    /// Starts at the first byte of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { input: Decoder::new(bytes), depth: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.input.position()
    }

    /// The bytes read since `start`, a former [`Reader::position`]: to hash what was decoded.
    pub fn since(&self, start: usize) -> &'b [u8] {
        self.input.input().get(start..self.input.position()).unwrap_or(&[])
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.input.position() == self.input.input().len() {
            Ok(())
        } else {
            Err(DecodeError::Trailing)
        }
    }

    /// An unsigned integer in its shortest form.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.expect_type(|t| matches!(t, Type::U8 | Type::U16 | Type::U32 | Type::U64))?;
        let start = self.position();
        let n = self.input.u64().map_err(truncated)?;
        self.shortest(start, n, 0)?;
        Ok(n)
    }

    /// A byte string of at most `max` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else.
    pub fn bytes(&mut self, max: usize) -> Result<&'b [u8], DecodeError> {
        self.expect_type(|t| t == Type::Bytes)?;
        let start = self.position();
        let bytes = self.input.bytes().map_err(truncated)?;
        self.shortest(start, bytes.len() as u64, bytes.len())?;
        if bytes.len() > max {
            return Err(DecodeError::TooLarge);
        }
        Ok(bytes)
    }

    /// A text string of at most `max` bytes of UTF-8.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else.
    pub fn text(&mut self, max: usize) -> Result<&'b str, DecodeError> {
        self.expect_type(|t| t == Type::String)?;
        let start = self.position();
        let text = self.input.str().map_err(|e| {
            if e.is_end_of_input() { DecodeError::Truncated } else { DecodeError::OutOfRange }
        })?;
        self.shortest(start, text.len() as u64, text.len())?;
        if text.len() > max {
            return Err(DecodeError::TooLarge);
        }
        Ok(text)
    }

    /// An array of exactly `n` items, read by `fields`.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else, or from `fields`.
    pub fn record<T>(
        &mut self,
        n: u64,
        fields: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.array_head()? != n {
            return Err(DecodeError::WrongLength);
        }
        self.nested(fields)
    }

    /// An array of `short` or `long` items, read by `fields`, which is told whether it is long.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else, or from `fields`.
    pub fn optional_tail<T>(
        &mut self,
        short: u64,
        long: u64,
        fields: impl FnOnce(&mut Self, bool) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.counted(short, long, |r, n| match n {
            n if n == short => fields(r, false),
            n if n == long => fields(r, true),
            _ => Err(DecodeError::WrongLength),
        })
    }

    /// An array of `least` to `most` items, read by `fields`, which is told how many there are.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else, or from `fields`.
    pub fn counted<T>(
        &mut self,
        least: u64,
        most: u64,
        fields: impl FnOnce(&mut Self, u64) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let n = self.array_head()?;
        if !(least..=most).contains(&n) {
            return Err(DecodeError::WrongLength);
        }
        self.nested(|r| fields(r, n))
    }

    /// An array of at most `max` items, each read by `item`.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else, or from `item`.
    pub fn list<T>(
        &mut self,
        max: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let n = self.array_head()?;
        if n > max as u64 {
            return Err(DecodeError::TooLarge);
        }
        self.nested(|r| {
            let mut items = Vec::new();
            for _ in 0..n {
                items.push(item(r)?);
            }
            Ok(items)
        })
    }

    /// An array whose first item is an unsigned integer that says what follows.
    ///
    /// `variant` gets that integer and the number of items behind it.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else, or from `variant`.
    pub fn variant<T>(
        &mut self,
        variant: impl FnOnce(&mut Self, u64, u64) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let n = self.array_head()?;
        let Some(rest) = n.checked_sub(1) else {
            return Err(DecodeError::WrongLength);
        };
        self.nested(|r| {
            let kind = r.uint()?;
            variant(r, kind, rest)
        })
    }

    /// A map of at most `max` pairs, keys in strictly ascending order of their encoding.
    ///
    /// # Errors
    /// [`DecodeError`] when the next item is anything else, or from `pair`.
    pub fn map<K, V>(
        &mut self,
        max: usize,
        mut key: impl FnMut(&mut Self) -> Result<K, DecodeError>,
        mut value: impl FnMut(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<Vec<(K, V)>, DecodeError> {
        self.expect_type(|t| t == Type::Map)?;
        let start = self.position();
        let n = self.input.map().map_err(truncated)?.ok_or(DecodeError::NotShortest)?;
        self.shortest(start, n, 0)?;
        if n > max as u64 {
            return Err(DecodeError::TooLarge);
        }
        self.nested(|r| {
            let mut pairs = Vec::new();
            let mut last: Option<&'b [u8]> = None;
            for _ in 0..n {
                let at = r.position();
                let k = key(r)?;
                let encoded = r.since(at);
                if last.is_some_and(|last| last >= encoded) {
                    return Err(DecodeError::Unsorted);
                }
                last = Some(encoded);
                pairs.push((k, value(r)?));
            }
            Ok(pairs)
        })
    }

    /// The tag `tag`, and the item that it is on.
    ///
    /// # Errors
    /// [`DecodeError::Unknown`] for another tag, [`DecodeError`] for another item.
    pub fn tagged<T>(
        &mut self,
        tag: u64,
        item: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.expect_type(|t| t == Type::Tag)?;
        let start = self.position();
        let found = self.input.tag().map_err(truncated)?.as_u64();
        self.shortest(start, found, 0)?;
        if found != tag {
            return Err(DecodeError::Unknown);
        }
        self.nested(item)
    }

    /// Takes a null if that is the next item, and says whether it was.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end of the input.
    pub fn null(&mut self) -> Result<bool, DecodeError> {
        if self.datatype()? != Type::Null {
            return Ok(false);
        }
        self.input.null().map_err(truncated)?;
        Ok(true)
    }

    /// Whether the next item is a byte string.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end of the input.
    pub fn is_bytes(&self) -> Result<bool, DecodeError> {
        Ok(self.datatype()? == Type::Bytes)
    }

    fn array_head(&mut self) -> Result<u64, DecodeError> {
        self.expect_type(|t| t == Type::Array)?;
        let start = self.position();
        let n = self.input.array().map_err(truncated)?.ok_or(DecodeError::NotShortest)?;
        self.shortest(start, n, 0)?;
        Ok(n)
    }

    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::TooLarge);
        }
        self.depth += 1;
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn datatype(&self) -> Result<Type, DecodeError> {
        self.input.datatype().map_err(truncated)
    }

    fn expect_type(&self, wanted: impl FnOnce(Type) -> bool) -> Result<(), DecodeError> {
        match self.datatype()? {
            Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef => {
                Err(DecodeError::NotShortest)
            }
            t if wanted(t) => Ok(()),
            _ => Err(DecodeError::WrongType),
        }
    }

    /// Checks that the head read since `start`, for argument `n` with `body` bytes behind it, was
    /// as short as can be.
    fn shortest(&self, start: usize, n: u64, body: usize) -> Result<(), DecodeError> {
        let head = match n {
            0..24 => 1,
            24..0x100 => 2,
            0x100..0x1_0000 => 3,
            0x1_0000..0x1_0000_0000 => 5,
            _ => 9,
        };
        if self.position() - start == head + body { Ok(()) } else { Err(DecodeError::NotShortest) }
    }
}

/// Types are checked before a token is read, so what is left to fail is the end of the input.
fn truncated(_: minicbor::decode::Error) -> DecodeError {
    DecodeError::Truncated
}
