//! Find contacts and assets by what people call them.

use tally_core::id::{AssetId, DeviceId};

use crate::{Wallet, WalletError};

/// Fewest digits of an id that name something.
const MIN_DIGITS: usize = 6;

impl Wallet {
    /// The contact with this name (in any case), or whose id starts with these digits (at least 6).
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Ambiguous`].
    pub fn find_contact(&self, text: &str) -> Result<DeviceId, WalletError> {
        let wanted = text.to_lowercase();
        let contacts = self.device().contacts().values();
        let named = contacts.filter(|c| c.name.as_str().to_lowercase() == wanted);
        let ids = self.device().contacts().keys();
        choose("contact", text, named.map(|c| c.device).collect(), ids.copied())
    }

    /// The asset with this ticker, or whose id starts with these digits (at least 6).
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Ambiguous`].
    pub fn find_asset(&self, text: &str) -> Result<AssetId, WalletError> {
        let policies = self.device().policies();
        let named = policies.iter().filter(|(_, p)| p.ticker.as_str().eq_ignore_ascii_case(text));
        choose("asset", text, named.map(|(id, _)| *id).collect(), policies.keys().copied())
    }
}

/// The one thing that is called so; else the one whose id starts so.
fn choose<Id: ToString + Copy>(
    what: &'static str,
    text: &str,
    named: Vec<Id>,
    all: impl Iterator<Item = Id>,
) -> Result<Id, WalletError> {
    let digits = text.to_ascii_lowercase();
    let hex = digits.len() >= MIN_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let found = match named.is_empty() {
        true if hex => all.filter(|id| id.to_string().starts_with(&digits)).collect(),
        _ => named,
    };
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(WalletError::NotFound { what, name: text.into() }),
        many => Err(WalletError::Ambiguous {
            what,
            name: text.into(),
            ids: many.iter().map(Id::to_string).collect(),
        }),
    }
}
