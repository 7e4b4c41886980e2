//! Say whether bytes are a session key: an X-Wing public key (draft-connolly-cfrg-xwing-kem).
//!
//! ```text
//! key = ML-KEM-768 key (1,184: 768 coefficients of 12 bits, then 32 bytes) ‖ X25519 key (32)
//! ```
//!
//! A key of another length, or with a coefficient of 3,329 or more, is one that nothing can be
//! encrypted to (FIPS 203, 7.2). Whoever took it would find out when a payment is to leave.

/// Length of a session key, in bytes.
pub const SESSION_KEY_BYTES: usize = 1216;
/// Where the coefficients of the ML-KEM key end.
const COEFFICIENTS: usize = 768 * 12 / 8;
/// The modulus of ML-KEM: every coefficient is below it.
const MODULUS: u16 = 3329;

/// Whether something can be encrypted to `key` (spec `CARD-7`).
pub fn is_session_key(key: &[u8]) -> bool {
    let Some(coefficients) = key.get(..COEFFICIENTS) else { return false };
    let (pairs, _) = coefficients.as_chunks::<3>();
    let reduced = |[low, middle, high]: &[u8; 3]| {
        let first = u16::from(*low) | u16::from(*middle & 0x0f) << 8;
        let second = u16::from(*middle >> 4) | u16::from(*high) << 4;
        first < MODULUS && second < MODULUS
    };
    key.len() == SESSION_KEY_BYTES && pairs.iter().all(reduced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// What the crate that encrypts says.
    fn encrypts(key: &[u8]) -> bool {
        x_wing::EncapsulationKey::try_from(key).is_ok()
    }

    fn with(place: usize, coefficient: u16) -> Vec<u8> {
        let mut key = vec![0; SESSION_KEY_BYTES];
        let at = place / 2 * 3;
        let [low, high] = coefficient.to_le_bytes();
        if place.is_multiple_of(2) {
            (key[at], key[at + 1]) = (low, high);
        } else {
            (key[at + 1], key[at + 2]) = (low << 4, low >> 4 | high << 4);
        }
        key
    }

    #[test]
    fn every_coefficient_is_below_the_modulus() {
        for place in 0..768 {
            for (coefficient, good) in [(0, true), (3328, true), (3329, false), (4095, false)] {
                let key = with(place, coefficient);
                assert_eq!(is_session_key(&key), good, "{coefficient} at {place}");
                assert_eq!(encrypts(&key), good, "{coefficient} at {place}");
            }
        }
    }

    #[test]
    fn a_key_has_its_length() {
        for length in [0, 1, 1152, 1184, 1215, 1217, 2048] {
            assert!(!is_session_key(&vec![0; length]), "{length}");
            assert!(!encrypts(&vec![0; length]), "{length}");
        }
        // What follows the coefficients is any bytes.
        let mut key = vec![0xff; SESSION_KEY_BYTES];
        key[..COEFFICIENTS].fill(0);
        assert!(is_session_key(&key) && encrypts(&key));
    }

    proptest! {
        #[test]
        fn it_says_what_the_crate_that_encrypts_says(
            places in prop::collection::vec((0..768_usize, 3000..3700_u16), 0..4),
            rest in prop::collection::vec(any::<u8>(), 64),
        ) {
            let mut key = vec![0; COEFFICIENTS];
            for (place, coefficient) in places {
                let one = with(place, coefficient);
                key.iter_mut().zip(one).for_each(|(byte, more)| *byte |= more);
            }
            key.extend(rest);
            prop_assert_eq!(is_session_key(&key), encrypts(&key));
        }

        #[test]
        fn random_bytes_are_judged_alike(key in prop::collection::vec(any::<u8>(), 1210..1220)) {
            prop_assert_eq!(is_session_key(&key), encrypts(&key));
        }
    }
}
