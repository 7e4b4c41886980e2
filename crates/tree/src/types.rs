//! The three 32-byte things a tree is made of, and the bit arithmetic on keys.

use core::fmt;

/// Bits in a key, and so the largest number of siblings on any path.
pub const KEY_BITS: u16 = 256;

macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The 32 bytes, as they are hashed and sent.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes32! {
    /// Where a leaf is: 32 bytes read most significant bit first, so byte order is the order of the
    /// tree.
    Key
}
bytes32! {
    /// What a leaf holds: 32 bytes, in practice the hash of something.
    Value
}
bytes32! {
    /// A SHA-256 hash: of a leaf, of a node, or of a whole tree (its root).
    Digest
}

impl Digest {
    /// The root of the tree without leaves: 32 zero bytes (TREE-4).
    pub const EMPTY: Self = Self([0; 32]);
}

impl Key {
    /// The side, 0 left or 1 right, that this key takes at a node of this depth.
    pub(crate) fn side(&self, depth: u8) -> usize {
        usize::from(self.0[usize::from(depth >> 3)] >> (7 - (depth & 7)) & 1)
    }

    /// How many leading bits two keys share: 256 when they are equal.
    pub(crate) fn shared_bits(&self, other: &Self) -> u16 {
        let (mine, theirs) = (self.0.as_chunks::<8>().0, other.0.as_chunks::<8>().0);
        let mut shared = 0;
        for (a, b) in mine.iter().zip(theirs) {
            let differing = u64::from_be_bytes(*a) ^ u64::from_be_bytes(*b);
            if differing != 0 {
                return shared + differing.leading_zeros() as u16;
            }
            shared += 64;
        }
        shared
    }

    /// The region of a node of this depth above this key: the first `depth` bits, the rest zero.
    pub(crate) fn region(&self, depth: u8) -> Self {
        let kept = |bits: u32| !u128::MAX.checked_shr(bits).unwrap_or(0);
        let (halves, depth) = (self.0.as_chunks::<16>().0, u32::from(depth));
        let mut bytes = [[0; 16]; 2];
        bytes[0] = (u128::from_be_bytes(halves[0]) & kept(depth)).to_be_bytes();
        bytes[1] = (u128::from_be_bytes(halves[1]) & kept(depth.saturating_sub(128))).to_be_bytes();
        let mut region = [0; 32];
        region.copy_from_slice(bytes.as_flattened());
        Self(region)
    }

    /// The 24 bits just before bit `depth`, as a number; bits before the start of the key count as
    /// zero.
    pub(crate) fn bits_before(&self, depth: u8) -> u32 {
        let last = usize::from(depth >> 3);
        let byte = |back: usize| last.checked_sub(back).map_or(0, |at| self.0[at]);
        let window = u32::from_be_bytes([byte(3), byte(2), byte(1), byte(0)]);
        (window >> (8 - (depth & 7))) & 0x00ff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive_bit(key: &Key, depth: u16) -> u8 {
        key.0[usize::from(depth / 8)] >> (7 - depth % 8) & 1
    }

    proptest! {
        #[test]
        fn bit_arithmetic_agrees_with_single_bits(a: [u8; 32], b: [u8; 32], keep in 0u16..=256, depth: u8) {
            let a = Key(a);
            let mut near = b;
            for bit in 0..keep {
                let mask = 0x80 >> (bit % 8);
                let at = usize::from(bit / 8);
                near[at] = near[at] & !mask | a.0[at] & mask;
            }
            let near = Key(near);
            let shared = (0..256).find(|&d| naive_bit(&a, d) != naive_bit(&near, d)).unwrap_or(256);
            prop_assert_eq!(a.shared_bits(&near), shared);
            prop_assert_eq!(a.side(depth), usize::from(naive_bit(&a, depth.into())));
            for d in 0..256 {
                let expected = if d < u16::from(depth) { naive_bit(&a, d) } else { 0 };
                prop_assert_eq!(naive_bit(&a.region(depth), d), expected);
            }
            let before = (0..24).fold(0u32, |bits, i| {
                let d = i32::from(depth) - 24 + i;
                bits << 1 | if d < 0 { 0 } else { naive_bit(&a, d as u16).into() }
            });
            prop_assert_eq!(a.bits_before(depth), before);
        }
    }
}
