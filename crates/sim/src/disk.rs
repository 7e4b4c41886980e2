//! Keep what a device made durable, as bytes, and make the device anew from it.

use std::collections::BTreeMap;

use tally_core::cbor::from_bytes;
use tally_core::device::{Change, Device, Me};

/// Encoded changes, each under its own key: what a crash leaves.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Disk(BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk {
    /// Makes changes durable.
    pub fn store(&mut self, changes: &[Change]) {
        for change in changes {
            match change.value() {
                Some(value) => self.0.insert(change.key(), value),
                None => self.0.remove(&change.key()),
            };
        }
    }

    /// The encoded changes.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().map(Vec::as_slice)
    }

    /// The device that a restart makes of what is here.
    pub fn device(&self, me: &Me) -> Device {
        let mut device = Device::new(me.clone());
        for value in self.0.values() {
            device.apply(from_bytes(value).expect("a stored change decodes"));
        }
        device
    }
}
