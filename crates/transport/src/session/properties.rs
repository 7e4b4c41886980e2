//! What holds whatever the carrier does: loses, repeats and reorders envelopes, between restarts.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::tests::pair;
use super::*;

/// What happens next; `from` is the side (0 or 1) that acts.
#[derive(Clone, Debug)]
enum Event {
    Send { from: usize, size: usize },
    Deliver { from: usize, index: usize, keep: bool },
    Alter { from: usize, index: usize, bit: usize },
    Pay { from: usize },
    Accept { from: usize },
    Receipt { from: usize },
    Restart { from: usize },
}

fn event() -> impl Strategy<Value = Event> {
    let from = 0..2_usize;
    let index = 0..8_usize;
    prop_oneof![
        6 => (from.clone(), 0..60_usize).prop_map(|(from, size)| Event::Send { from, size }),
        6 => (from.clone(), index.clone(), any::<bool>())
            .prop_map(|(from, index, keep)| Event::Deliver { from, index, keep }),
        1 => (from.clone(), index, 0..600_usize)
            .prop_map(|(from, index, bit)| Event::Alter { from, index, bit }),
        2 => from.clone().prop_map(|from| Event::Pay { from }),
        2 => from.clone().prop_map(|from| Event::Accept { from }),
        2 => from.clone().prop_map(|from| Event::Receipt { from }),
        1 => from.prop_map(|from| Event::Restart { from }),
    ]
}

struct World {
    sides: [Session; 2],
    /// Envelopes under way from each side, each with the number of its message.
    flying: [VecDeque<(u64, Vec<u8>)>; 2],
    messages: Vec<(usize, Vec<u8>)>,
    opened: BTreeSet<u64>,
    /// Hint and counter of every envelope: they choose its key.
    used: BTreeSet<Vec<u8>>,
    /// Payments by each side: how many are signed, accepted, receipted.
    signed: [u8; 2],
    accepted: [u8; 2],
    receipted: [u8; 2],
}

impl World {
    fn new() -> Self {
        Self {
            sides: pair().into(),
            flying: Default::default(),
            messages: Vec::new(),
            opened: BTreeSet::new(),
            used: BTreeSet::new(),
            signed: [0; 2],
            accepted: [0; 2],
            receipted: [0; 2],
        }
    }

    fn link(payer: usize, number: u8) -> [u8; 32] {
        let mut link = [number; 32];
        link[0] = payer as u8;
        link
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Send { from, size } => {
                self.send(from, size);
            }
            Event::Deliver { from, index, keep } => self.deliver(from, index, keep),
            Event::Alter { from, index, bit } => self.alter(from, index, bit),
            Event::Pay { from } => {
                let link = Self::link(from, self.signed[from] + 1);
                if self.sides[from].expect(&link).is_ok() {
                    self.signed[from] += 1;
                }
            }
            Event::Accept { from } => {
                if self.accepted[from] < self.signed[from] {
                    self.accepted[from] += 1;
                    let link = Self::link(from, self.accepted[from]);
                    // A payer that was allowed to sign is never refused by its payee.
                    self.sides[1 - from].advance_as_payee(&link).unwrap();
                }
            }
            Event::Receipt { from } => {
                if self.receipted[from] < self.accepted[from] {
                    self.receipted[from] += 1;
                    let link = Self::link(from, self.receipted[from]);
                    self.sides[from].advance_as_payer(&link).unwrap();
                }
            }
            Event::Restart { from } => {
                self.sides[from] = Session::from_bytes(&self.sides[from].to_bytes()).unwrap();
            }
        }
    }

    fn send(&mut self, from: usize, size: usize) -> u64 {
        let number = self.messages.len() as u64;
        let mut message = number.to_be_bytes().to_vec();
        message.resize(8 + size, from as u8);
        let envelope = self.sides[from].seal(&message).unwrap();
        let header = envelope[..envelope.len() - message.len() - TAG_BYTES].to_vec();
        assert!(self.used.insert(header), "a key was used twice");
        self.messages.push((from, message));
        self.flying[from].push_back((number, envelope));
        number
    }

    fn deliver(&mut self, from: usize, index: usize, keep: bool) {
        let Some((number, envelope)) = self.flying[from].get(index).cloned() else {
            return;
        };
        if !keep {
            self.flying[from].remove(index);
        }
        let before = self.sides[1 - from].to_bytes();
        match self.sides[1 - from].open(&envelope) {
            Ok(message) => {
                assert_eq!(self.messages[number as usize], (from, message));
                assert!(self.opened.insert(number), "message {number} opened twice");
            }
            Err(_) => assert_eq!(self.sides[1 - from].to_bytes(), before),
        }
    }

    fn alter(&mut self, from: usize, index: usize, bit: usize) {
        let Some((_, envelope)) = self.flying[from].get(index) else {
            return;
        };
        let mut envelope = envelope.clone();
        let bit = bit % (envelope.len() * 8);
        envelope[bit / 8] ^= 1 << (bit % 8);
        let before = self.sides[1 - from].to_bytes();
        self.sides[1 - from].open(&envelope).unwrap_err();
        assert_eq!(self.sides[1 - from].to_bytes(), before);
    }

    /// A message sent now and delivered next is always understood.
    fn check_talking(&mut self) {
        for from in [0, 1] {
            let number = self.send(from, 0);
            let newest = self.flying[from].len() - 1;
            self.deliver(from, newest, false);
            assert!(self.opened.contains(&number), "{:?}", self.sides);
        }
    }
}

proptest! {
    #[test]
    fn each_key_seals_once_each_message_opens_once_and_a_fresh_one_always_opens(
        events in proptest::collection::vec((event(), prop::bool::weighted(0.1)), 0..120)
    ) {
        let mut world = World::new();
        for (event, check) in events {
            world.apply(event);
            if check {
                world.check_talking();
            }
        }
        world.check_talking();
    }

    #[test]
    fn no_bytes_make_a_session_fail_otherwise_than_by_an_error(
        envelope in proptest::collection::vec(any::<u8>(), 0..80),
        stored in proptest::collection::vec(any::<u8>(), 0..800),
    ) {
        let (mut session, _) = pair();
        prop_assert!(session.open(&envelope).is_err());
        prop_assert!(KemPublic::from_bytes(&stored).is_err());
        if let Ok(mut session) = Session::from_bytes(&stored) {
            let _ = session.open(&envelope);
            let _ = session.seal(b"x");
        }
    }
}
