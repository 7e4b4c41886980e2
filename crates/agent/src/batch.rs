//! Say what has to be durable together, and how it is read back.

use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;

use tally_core::card::{Name, Signed};
use tally_core::device::{Change, Forgotten, Me};
use tally_core::id::{AssetId, DeviceId, Head, TxId};
use tally_core::notary::TrustBase;
use tally_transport::session::KemSecret;
use zeroize::Zeroizing;

/// What an issuer has issued of one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Issued {
    /// The serial number of the next mint.
    pub next: u64,
    /// The sum of all mints, in smallest units.
    pub total: u64,
}

/// All that one turn makes durable: all of it or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The device's records.
    pub changes: Vec<Change>,
    /// The sessions with each of these contacts, encrypted under [`Keys::database`].
    pub sessions: Vec<(DeviceId, Vec<u8>)>,
    /// What was issued.
    pub issued: Vec<(AssetId, Issued)>,
    /// The hash of a packet, and the payment that it brought.
    pub packet: Option<([u8; 32], TxId)>,
    /// Records of the shell, by name.
    pub meta: Vec<(&'static str, Vec<u8>)>,
    /// The last signed step, if the journal knows it and that is not stored yet. It is never written by
    /// itself.
    pub observed: Option<Head>,
}

impl Batch {
    /// Contacts that are gone, and their sessions with them.
    pub fn gone(&self) -> impl Iterator<Item = DeviceId> {
        self.changes.iter().filter_map(|change| match change {
            Change::Forgotten(Forgotten::Contact(device)) => Some(*device),
            _ => None,
        })
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.sessions.is_empty()
            && self.issued.is_empty()
            && self.packet.is_none()
            && self.meta.is_empty()
    }
}

/// Where batches become durable.
pub trait Store {
    /// Why a batch was not written.
    type Error;

    /// Writes the batch, all of it or none. When this gives `Ok`, the batch survives a loss of power,
    /// and nobody else has written since this store was last read or written. No type can see that: every
    /// store is run against `tally_testkit::conformance`.
    ///
    /// An empty batch writes nothing; the store still confirms that nobody else has written.
    ///
    /// # Errors
    /// The store's own. Nothing was written where somebody else has; where the medium failed, the batch is there
    /// whole or not at all. The caller then reads everything anew, as after a crash.
    fn commit(&mut self, batch: &Batch) -> impl Future<Output = Result<(), Self::Error>>;
}

/// The secrets that the agent encrypts with. They are wiped when dropped.
pub struct Keys {
    /// Opens hellos.
    pub kem: KemSecret,
    /// Encrypts sessions at rest.
    pub database: Zeroizing<[u8; 32]>,
}

/// All that is durable, as an agent starts from it.
pub struct Loaded {
    /// Who the device is.
    pub me: Me,
    /// Its owner's name.
    pub name: Name,
    /// Its own card.
    pub card: Signed,
    /// The validators whose certificates count, if any.
    pub trust: Option<TrustBase>,
    /// The device's records.
    pub changes: Vec<Change>,
    /// The sessions with each contact, encrypted.
    pub sessions: Vec<(DeviceId, Vec<u8>)>,
    /// What was issued.
    pub issued: Vec<(AssetId, Issued)>,
    /// The packets whose repetition is recognised, the oldest first.
    pub packets: Vec<([u8; 32], TxId)>,
    /// The last signed step of which the journal is known to know.
    pub observed: Option<Head>,
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl core::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name: String = self.name.as_str().into();
        f.debug_struct("Loaded").field("name", &name).finish_non_exhaustive()
    }
}
