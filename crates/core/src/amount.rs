//! Count value in whole smallest units, with checked operations only.

use core::fmt;

use crate::cbor::{Decode, DecodeError, Encode, Reader, Writer};

/// Most decimals that an asset may have.
pub const MAX_DECIMALS: u8 = 18;

/// An amount in an asset's smallest unit.
///
/// There is no `+` and no `-`: an amount that would overflow or go below zero does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Takes a number of smallest units.
    pub const fn new(units: u64) -> Self {
        Self(units)
    }

    /// The number of smallest units.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, if it can be counted.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, if it is not below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum of all, if it can be counted.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// `n` whole units of an asset with so many decimals, if that can be counted.
    pub fn whole(n: u64, decimals: u8) -> Option<Self> {
        10u64.checked_pow(u32::from(decimals)).and_then(|unit| unit.checked_mul(n)).map(Self)
    }

    /// Reads a decimal number such as `12.50`, with at most `decimals` digits behind the point.
    ///
    /// ```
    /// use tally_core::amount::Amount;
    /// assert_eq!(Amount::parse("12.5", 2), Some(Amount::new(1250)));
    /// assert_eq!(Amount::parse("12.555", 2), None);
    /// ```
    pub fn parse(text: &str, decimals: u8) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || decimals > MAX_DECIMALS {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let missing = usize::from(decimals).checked_sub(fraction.len())?;
        let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let fraction = fraction.checked_mul(10u64.checked_pow(u32::try_from(missing).ok()?)?)?;
        Self::whole(whole.parse().ok()?, decimals)?.checked_add(Self(fraction))
    }

    /// Shows the amount as a decimal number of an asset with so many decimals.
    pub const fn display(self, decimals: u8) -> Decimal {
        Decimal { amount: self, decimals }
    }
}

impl Encode for Amount {
    fn encode(&self, w: &mut Writer) {
        w.uint(self.0);
    }
}

impl Decode for Amount {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.uint().map(Self)
    }
}

/// An [`Amount`] with its decimal point, for people.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    amount: Amount,
    decimals: u8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = usize::from(self.decimals);
        match 10u64.checked_pow(u32::from(self.decimals)) {
            Some(unit) if width > 0 => {
                let (whole, rest) = (self.amount.0 / unit, self.amount.0 % unit);
                write!(f, "{whole}.{rest:0width$}")
            }
            _ => self.amount.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn amounts_never_wrap() {
        assert_eq!(Amount::new(u64::MAX).checked_add(Amount::new(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount::new(1)), None);
        assert_eq!(Amount::whole(u64::MAX, 1), None);
        assert_eq!(Amount::parse("99999999999999999999", 0), None);
    }

    #[test]
    fn only_plain_decimal_numbers_parse() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1.2.3", "0x1"] {
            assert_eq!(Amount::parse(text, 2), None, "{text}");
        }
        assert_eq!(Amount::parse("0.10", 1), Some(Amount::new(1)));
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_to_the_same_amount(units: u64, decimals in 0u8..=MAX_DECIMALS) {
            let text = Amount::new(units).display(decimals).to_string();
            prop_assert_eq!(Amount::parse(&text, decimals), Some(Amount::new(units)));
        }
    }
}
