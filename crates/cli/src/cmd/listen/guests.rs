//! Who is connected to the terminal, and who is closed to make room for another.
//!
//! Each connection has a thread. There are never more than [`MAX_GUESTS`] and [`MAX_LEAVING`] of them, whoever
//! connects and however fast.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use tally_core::id::DeviceId;
use tally_transport::tcp::HangUp;

/// Most connections at once.
const MAX_GUESTS: usize = 64;
/// Most connections that were closed and whose threads have not ended yet.
const MAX_LEAVING: usize = 64;
/// How many connections one address has before they are the first to be closed.
const MAX_OF_ADDRESS: usize = 16;
/// On how many connections, the latest ones, a contact counts as one.
const MAX_OF_CONTACT: usize = 2;

/// One connection.
#[derive(Debug)]
pub(super) struct Guest {
    address: IpAddr,
    /// The contact who was heard on it, if one was.
    contact: Option<DeviceId>,
    heard: Instant,
    hang_up: Option<HangUp>,
}

impl Guest {
    pub(super) fn new(address: IpAddr, now: Instant, hang_up: HangUp) -> Self {
        Self { hang_up: Some(hang_up), ..Self::at(address, now) }
    }

    fn at(address: IpAddr, heard: Instant) -> Self {
        Self { address: site(address), contact: None, heard, hang_up: None }
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Guests {
    next: u64,
    here: BTreeMap<u64, Guest>,
    /// How many were closed and have not left yet.
    leaving: usize,
    /// How many were closed for others, or were not let in, since that was said last.
    turned_away: u64,
    said: Option<Instant>,
}

impl Guests {
    /// Lets somebody in, for whom another may have to go; nobody as long as many are leaving.
    pub(super) fn enter(&mut self, guest: Guest) -> Option<u64> {
        if self.here.len() + self.leaving >= MAX_GUESTS + MAX_LEAVING {
            self.turned_away = self.turned_away.saturating_add(1);
            return None;
        }
        if self.here.len() >= MAX_GUESTS {
            self.make_room();
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.here.insert(id, guest);
        Some(id)
    }

    /// Closes one connection, if there is any.
    pub(super) fn make_room(&mut self) {
        let Some(guest) = self.first_to_go().and_then(|id| self.here.remove(&id)) else { return };
        if let Some(hang_up) = guest.hang_up {
            hang_up.now();
        }
        self.leaving += 1;
        self.turned_away = self.turned_away.saturating_add(1);
    }

    /// A connection's thread has ended.
    pub(super) fn left(&mut self, guest: u64) {
        if self.here.remove(&guest).is_none() {
            self.leaving = self.leaving.saturating_sub(1);
        }
    }

    /// Whether a connection was not closed.
    pub(super) fn is_here(&self, guest: u64) -> bool {
        self.here.contains_key(&guest)
    }

    /// A connection has said something that the wallet took.
    pub(super) fn spoke(&mut self, guest: u64, now: Instant, contact: Option<DeviceId>) {
        if let Some(guest) = self.here.get_mut(&guest) {
            (guest.contact, guest.heard) = (contact, now);
        }
    }

    /// How many were turned away since it was said, if it is time to say so.
    pub(super) fn turned_away_since(&mut self, now: Instant, every: Duration) -> Option<u64> {
        let is_time = self.said.is_none_or(|said| now.duration_since(said) >= every);
        if self.turned_away == 0 || !is_time {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.turned_away))
    }

    /// Whoever was silent longest: of those with whom no contact was heard, and of them first one of an address
    /// that has many. A contact who has many connections is one on the latest of them.
    fn first_to_go(&self) -> Option<u64> {
        let mut of_address = BTreeMap::<IpAddr, usize>::new();
        for guest in self.here.values() {
            *of_address.entry(guest.address).or_default() += 1;
        }
        let place = |guest: &Guest| {
            let is_crowd = of_address.get(&guest.address).is_some_and(|n| *n > MAX_OF_ADDRESS);
            (self.is_with_contact(guest), !is_crowd, guest.heard)
        };
        self.here.iter().min_by_key(|(_, guest)| place(guest)).map(|(id, _)| *id)
    }

    fn is_with_contact(&self, guest: &Guest) -> bool {
        let is_later = |other: &&Guest| other.contact == guest.contact && other.heard > guest.heard;
        guest.contact.is_some() && self.here.values().filter(is_later).count() < MAX_OF_CONTACT
    }
}

/// What one place has: an address, or of IPv6 the 2^64 that come together.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    struct Terminal {
        guests: Guests,
        now: Instant,
    }

    impl Terminal {
        fn new() -> Self {
            Self { guests: Guests::default(), now: Instant::now() }
        }

        /// Somebody connects from an address, a millisecond after what was before.
        fn enter(&mut self, address: u8) -> Option<u64> {
            self.now += Duration::from_millis(1);
            self.guests.enter(Guest::at(Ipv4Addr::new(192, 0, 2, address).into(), self.now))
        }

        /// A contact, or nobody who is one, says something.
        fn spoke(&mut self, guest: u64, contact: Option<u8>) {
            self.now += Duration::from_millis(1);
            self.guests.spoke(guest, self.now, contact.map(|of| DeviceId::new([of; 32])));
        }

        fn is_here(&self, guest: Option<u64>) -> bool {
            guest.is_some_and(|guest| self.guests.is_here(guest))
        }
    }

    #[test]
    fn a_flood_of_strangers_pushes_out_no_contact() {
        let mut terminal = Terminal::new();
        let contact = terminal.enter(1).unwrap();
        terminal.spoke(contact, Some(1));
        for _ in 0..MAX_GUESTS {
            let stranger = terminal.enter(1).unwrap();
            terminal.spoke(stranger, None);
        }
        assert!(terminal.guests.is_here(contact));
        assert_eq!(terminal.guests.here.len(), MAX_GUESTS);
    }

    #[test]
    fn one_contact_keeps_nobody_out_who_is_new() {
        let mut terminal = Terminal::new();
        for _ in 0..MAX_GUESTS {
            let same = terminal.enter(1).unwrap();
            terminal.spoke(same, Some(1));
        }
        let new = terminal.enter(1);
        for _ in 0..MAX_GUESTS / 2 {
            let same = terminal.enter(1).unwrap();
            terminal.spoke(same, Some(1));
        }
        assert!(terminal.is_here(new), "those of one contact go first");
    }

    #[test]
    fn whoever_comes_outlives_those_who_are_silent_for_longer() {
        let mut terminal = Terminal::new();
        for _ in 0..MAX_GUESTS {
            let stranger = terminal.enter(1).unwrap();
            terminal.spoke(stranger, None);
        }
        let new = terminal.enter(1);
        for _ in 0..MAX_GUESTS - 1 {
            assert!(terminal.is_here(new), "all others go before");
            terminal.enter(1);
        }
        assert!(terminal.is_here(new));
    }

    #[test]
    fn an_address_that_has_many_makes_room_for_the_others() {
        let mut terminal = Terminal::new();
        let other = terminal.enter(1);
        for _ in 0..MAX_GUESTS + 20 {
            terminal.enter(2);
        }
        assert!(terminal.is_here(other));
    }

    #[test]
    fn there_are_never_more_threads_than_the_limit() {
        let mut terminal = Terminal::new();
        let entered: Vec<u64> = (0..1000).filter_map(|_| terminal.enter(1)).collect();
        assert_eq!(entered.len(), MAX_GUESTS + MAX_LEAVING);
        assert_eq!(terminal.enter(2), None);
        terminal.guests.left(entered[0]);
        assert!(terminal.enter(2).is_some(), "one has left");
        for guest in entered {
            terminal.guests.left(guest);
        }
        assert!((terminal.guests.here.len(), terminal.guests.leaving) <= (1, 1));
    }

    #[test]
    fn there_are_not_more_threads_when_the_system_takes_no_connection_now_and_then() {
        let mut terminal = Terminal::new();
        for _ in 0..1000 {
            terminal.guests.make_room();
            terminal.enter(1);
            let guests = &terminal.guests;
            assert!(guests.here.len() + guests.leaving <= MAX_GUESTS + MAX_LEAVING);
        }
    }

    #[test]
    fn that_some_were_turned_away_is_said_now_and_then() {
        let mut terminal = Terminal::new();
        let minute = Duration::from_secs(60);
        assert_eq!(terminal.guests.turned_away_since(terminal.now, minute), None);
        for _ in 0..MAX_GUESTS + 3 {
            terminal.enter(1);
        }
        assert_eq!(terminal.guests.turned_away_since(terminal.now, minute), Some(3));
        terminal.enter(1);
        assert_eq!(terminal.guests.turned_away_since(terminal.now, minute), None);
        assert_eq!(terminal.guests.turned_away_since(terminal.now + minute, minute), Some(1));
    }

    #[test]
    fn neighbours_of_one_network_are_one_place() {
        let site = |text: &str| site(text.parse().unwrap());
        assert_eq!(site("2001:db8::1"), site("2001:db8::ffff:2"));
        assert_ne!(site("2001:db8::1"), site("2001:db8:0:1::1"));
        assert_eq!(site("::ffff:192.0.2.1"), site("192.0.2.1"));
    }
}
