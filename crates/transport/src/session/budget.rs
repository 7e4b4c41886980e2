//! Bound the work that a source causes before anybody vouches for it.

use super::SessionError;

/// How many decryptions of hellos one source may still cause: a connection, or a queue. Each source has
/// its own, so that a stranger's junk does not keep a contact's hello from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    most: u32,
    left: u32,
}

impl Budget {
    /// What a stranger's connection gets.
    pub const STRANGER: u32 = 8;

    /// A source that may cause `most` decryptions.
    pub const fn new(most: u32) -> Self {
        Self { most, left: most }
    }

    /// How many are left.
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// Pays for one decryption, before it is made.
    ///
    /// # Errors
    /// [`SessionError::Budget`] when nothing is left.
    pub fn spend(&mut self) -> Result<(), SessionError> {
        self.left = self.left.checked_sub(1).ok_or(SessionError::Budget)?;
        Ok(())
    }

    /// Begins anew: the source has shown a hello that its sender signed.
    pub fn vouch(&mut self) {
        self.left = self.most;
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::STRANGER)
    }
}
