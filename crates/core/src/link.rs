//! Chain one device's payments to another, 32 bytes a payment, the same on both sides.
//!
//! Each direction has a chain of its own: were there one for both, two people who pay each other at
//! the same time would each have moved it, and neither could ever take the other's payment.

use crate::hash::{Tag, hash};
use crate::id::{BodyHash, Challenge, DeviceId, Link, Nonce};

impl Challenge {
    /// A payee's challenge: `H("challenge", payee, nonce)` (spec `LINK-1`).
    pub fn of(payee: &DeviceId, nonce: &Nonce) -> Self {
        Self::new(hash(Tag::Challenge, &[payee, nonce]))
    }
}

impl Link {
    /// The first link of two devices, whichever of them asks (spec `LINK-2`).
    pub fn first(a: &DeviceId, b: &DeviceId) -> Self {
        Self::new(hash(Tag::Pair, &[a.min(b), a.max(b)]))
    }

    /// The link after a payment: `H("link", link, body, challenge)` (spec `LINK-3`).
    pub fn next(&self, body: &BodyHash, challenge: &Challenge) -> Self {
        Self::new(hash(Tag::Link, &[self, body, challenge]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_begin_with_the_same_link() {
        let (a, b, c) = (DeviceId::new([1; 32]), DeviceId::new([2; 32]), DeviceId::new([3; 32]));
        assert_eq!(Link::first(&a, &b), Link::first(&b, &a));
        assert_ne!(Link::first(&a, &b), Link::first(&a, &c));
    }

    #[test]
    fn every_operand_moves_the_link() {
        let link = Link::new([1; 32]);
        let next =
            |l: Link, b: u8, c: u8| l.next(&BodyHash::new([b; 32]), &Challenge::new([c; 32]));
        let base = next(link, 1, 1);
        assert_ne!(base, next(Link::new([2; 32]), 1, 1));
        assert_ne!(base, next(link, 2, 1));
        assert_ne!(base, next(link, 1, 2));
    }
}
