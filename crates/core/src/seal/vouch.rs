//! Decide whose word for a seal counts, for one coin: the rules that need no curve.

use crate::id::TxId;
use crate::keys::PublicKey;
use crate::seal::{EnrollmentError, SealCertificate, Slot, SlotProof, SlotVerifier};
use crate::time::Time;

/// What is known of a coin when its seal's proof is checked.
#[derive(Clone, Copy, Debug)]
pub struct Vouch<'a> {
    /// The enrollers whose word counts for the coin's asset; absent where the verifier alone says.
    pub enrollers: Option<&'a [PublicKey]>,
    /// Certificates that came with the coin, unchecked.
    pub certificates: &'a [SealCertificate],
    /// Whether the notary has certified the spend: what was revoked since does not undo it.
    pub certified: bool,
}

/// A verifier that is asked about coins of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Scoped<'a> {
    pub(crate) seals: &'a dyn SlotVerifier,
    pub(crate) vouch: Vouch<'a>,
}

impl SlotVerifier for Scoped<'_> {
    fn proves(&self, slot: &Slot, tx_id: &TxId, proof: &SlotProof) -> bool {
        self.seals.proves(slot, tx_id, proof)
    }

    fn proves_until(&self, slot: &Slot, until: Time, tx_id: &TxId, proof: &SlotProof) -> bool {
        self.seals.proves_for(&self.vouch, slot, until, tx_id, proof)
    }
}

impl SealCertificate {
    /// Whether this certificate vouches for `slot` up to `until`, by the word of one of
    /// `enrollers`. Its signature is not checked here ([`SealCertificate::check`]).
    ///
    /// # Errors
    /// [`EnrollmentError`] for the first rule that it breaks.
    pub fn covers(
        &self,
        slot: &Slot,
        until: Time,
        enrollers: &[PublicKey],
        development: bool,
    ) -> Result<(), EnrollmentError> {
        let terms = self.terms();
        if !enrollers.contains(&terms.enroller) {
            Err(EnrollmentError::Enroller)
        } else if terms.development && !development {
            Err(EnrollmentError::Development)
        } else if self.seal() != slot.seal || terms.expires < until {
            Err(EnrollmentError::Ends)
        } else {
            Ok(())
        }
    }
}
