//! Let what needs a counter wait until the hardware has said which is free.
//!
//! What is parked is never pushed out: whoever comes when there is no room is told so. The owner's
//! wishes have room of their own, and so have contacts beside strangers.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use tally_core::amount::Amount;
use tally_core::device;
use tally_core::id::{AssetId, DeviceId};
use tally_core::predicate::Sealed;

use crate::engine::{Engine, Step};
use crate::packet::Via;
use crate::{AgentError, Effect, Way};

/// Most wishes of the owner that wait at once.
pub(crate) const MAX_WISHES: usize = 64;
/// Most messages of others that wait at once.
pub(crate) const MAX_HEARD: usize = 64;
/// How many of those may be of strangers.
pub(crate) const MAX_STRANGE: usize = 32;
/// How many of those may be of one device.
pub(crate) const MAX_HEARD_OF_ONE: usize = 4;

/// Something that waits to be told which counter is free.
#[derive(Clone, Debug)]
pub(crate) enum Parked {
    /// Wishes of the owner.
    Wished(Vec<device::Input>),
    /// An invoice.
    Invoice(AssetId, Amount, u64),
    /// A release.
    Release(DeviceId, AssetId),
    /// What another device said.
    Heard(Box<device::Input>, Via),
}

/// All that is parked, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parking(VecDeque<(Option<Way>, Parked)>);

impl Parking {
    /// Who said what is parked of other devices.
    fn heard(&self) -> impl Iterator<Item = DeviceId> {
        self.0.iter().filter_map(|(_, parked)| match parked {
            Parked::Heard(_, via) => Some(via.contact),
            _ => None,
        })
    }

    /// Whether another wish of the owner has room.
    fn has_room(&self) -> bool {
        self.0.len().saturating_sub(self.heard().count()) < MAX_WISHES
    }

    /// Whether another message of a device has room.
    fn has_room_for(&self, from: &DeviceId, is_stranger: impl Fn(&DeviceId) -> bool) -> bool {
        let of_strangers = self.heard().filter(|device| is_stranger(device)).count();
        self.heard().count() < MAX_HEARD
            && self.heard().filter(|device| device == from).count() < MAX_HEARD_OF_ONE
            && (!is_stranger(from) || of_strangers < MAX_STRANGE)
    }
}

impl Engine {
    /// Waits to be told which counter is free.
    ///
    /// # Errors
    /// [`AgentError::Full`] when too many wishes wait; see [`Engine::may_park`] for messages.
    pub(crate) fn park(&mut self, step: &mut Step<'_>, parked: Parked) -> Result<(), AgentError> {
        match &parked {
            Parked::Heard(_, via) => self.may_park(&via.contact)?,
            _ if !self.parking.has_room() => return Err(AgentError::Full),
            _ => {}
        }
        self.parking.0.push_back((step.way, parked));
        step.effects.push(Effect::FreeCounter(self.device.taken(step.cx.now)));
        Ok(())
    }

    /// Whether a message of this device may be parked: to be asked before anything of it is kept.
    ///
    /// # Errors
    /// [`AgentError::Full`].
    pub(crate) fn may_park(&self, from: &DeviceId) -> Result<(), AgentError> {
        let has_room = self.parking.has_room_for(from, |device| self.is_stranger(device));
        if has_room { Ok(()) } else { Err(AgentError::Full) }
    }

    /// Asks again for a counter for all that is parked.
    pub(crate) fn ask_for_counters(&self, step: &mut Step<'_>) {
        let now = step.cx.now;
        let ask = |_| Effect::FreeCounter(self.device.taken(now));
        step.effects.extend(self.parking.0.iter().map(ask));
    }

    /// The hardware has said which counter is free: what waited longest goes on. Where it cannot, the
    /// connection that it came by ends, or the answer is refused.
    pub(crate) fn counter(
        &mut self,
        step: &mut Step<'_>,
        lock: Option<Sealed>,
    ) -> Result<(), AgentError> {
        self.tell(step, device::Input::Lock(lock), None)?;
        let Some((way, parked)) = self.parking.0.pop_front() else { return Ok(()) };
        step.way = way;
        match (self.go_on_with(step, parked), way) {
            (Err(error), Some(Way::Conn(conn))) => {
                self.fail(step, conn, error);
                Ok(())
            }
            (gone_on, _) => gone_on,
        }
    }

    fn go_on_with(&mut self, step: &mut Step<'_>, parked: Parked) -> Result<(), AgentError> {
        match parked {
            Parked::Wished(inputs) => self.tell_all(step, inputs),
            Parked::Invoice(asset, amount, valid_for) => {
                self.invoice(step, asset, amount, valid_for)
            }
            Parked::Release(payee, asset) => self.release(step, payee, asset),
            Parked::Heard(input, via) => self.tell(step, *input, Some(&via)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::LineId;

    fn id(who: u8) -> DeviceId {
        DeviceId::new([who; 32])
    }

    /// Whoever has an even number is a stranger.
    fn is_stranger(device: &DeviceId) -> bool {
        device.as_bytes()[0].is_multiple_of(2)
    }

    fn hear(parking: &mut Parking, who: u8) -> bool {
        let has_room = parking.has_room_for(&id(who), is_stranger);
        if has_room {
            let via = Via { contact: id(who), line: LineId::none(), packet: [0; 32] };
            parking.0.push_back((None, Parked::Heard(Box::new(device::Input::Locks), via)));
        }
        has_room
    }

    #[test]
    fn strangers_leave_room_for_contacts_and_both_for_the_owner() {
        let mut parking = Parking::default();
        let taken = (2..=254).step_by(2).filter(|who| hear(&mut parking, *who)).count();
        assert_eq!(taken, MAX_STRANGE);
        let taken = (1..=255).step_by(2).filter(|who| hear(&mut parking, *who)).count();
        assert_eq!(taken, MAX_HEARD - MAX_STRANGE);
        for _ in 0..MAX_WISHES {
            assert!(parking.has_room());
            parking.0.push_back((None, Parked::Wished(Vec::new())));
        }
        assert!(!parking.has_room());
    }

    #[test]
    fn one_device_waits_a_few_times_only() {
        let mut parking = Parking::default();
        assert_eq!((0..9).filter(|_| hear(&mut parking, 1)).count(), MAX_HEARD_OF_ONE);
        assert!(hear(&mut parking, 3), "others are heard");
    }
}
