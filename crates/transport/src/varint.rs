//! Write an unsigned number in as few bytes as it needs (LEB128, seven bits a byte, low bits first).

use alloc::vec::Vec;

/// Longest encoding of a `u64`, in bytes.
pub(crate) const MAX_BYTES: usize = 10;

/// What the start of a buffer holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A number, and how many bytes it took.
    Number(u64, usize),
    /// The buffer ends inside a number.
    Short,
    /// Not the one encoding of a `u64`.
    Bad,
}

/// Appends the one encoding of `number`.
pub(crate) fn write(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads a number from the start of `bytes`; a longer encoding than needed is [`Read::Bad`].
pub(crate) fn read(bytes: &[u8]) -> Read {
    let mut number = 0_u64;
    for (index, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index;
        if index == MAX_BYTES - 1 && byte > 1 {
            return Read::Bad;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            let padded = byte == 0 && index > 0;
            return if padded { Read::Bad } else { Read::Number(number, index + 1) };
        }
    }
    Read::Short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padded_and_overlong_numbers_are_refused() {
        assert_eq!(read(&[0x80, 0x00]), Read::Bad);
        assert_eq!(read(&[0xff; 10]), Read::Bad);
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Read::Bad);
        assert_eq!(read(&[0x80]), Read::Short);
        assert_eq!(read(&[]), Read::Short);
    }

    proptest! {
        #[test]
        fn every_number_has_one_encoding(number: u64, tail: Vec<u8>) {
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            let taken = bytes.len();
            prop_assert!(taken <= MAX_BYTES);
            bytes.extend(tail);
            prop_assert_eq!(read(&bytes), Read::Number(number, taken));
        }

        #[test]
        fn what_reads_writes_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Read::Number(number, taken) = read(&bytes) {
                let mut again = Vec::new();
                write(number, &mut again);
                prop_assert_eq!(&again[..], &bytes[..taken]);
            }
        }
    }
}
