//! Messages that are lost on the way, and connections that end at any point.

use tally_core::amount::Amount;
use tally_core::device::{Event, OutgoingState};
use tally_transport::{Channel, TransportError};

use super::scene::{Town, balance, over_tcp, pay, sync};
use crate::{Class, WalletError};

/// A channel whose connection ends after so many messages, sent and received: those sent after
/// the last one leave, and never arrive.
struct Cut<'a> {
    channel: &'a mut dyn Channel,
    left: u32,
}

impl Channel for Cut<'_> {
    fn send(&mut self, message: &[u8]) -> Result<(), TransportError> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.channel.send(message)
            }
            None => Ok(()),
        }
    }

    fn recv(&mut self) -> Result<Vec<u8>, TransportError> {
        self.left = self.left.checked_sub(1).ok_or(TransportError::Closed)?;
        self.channel.recv()
    }
}

#[test]
fn a_connection_that_ends_after_any_message_leaves_one_payment_or_none() {
    for messages in 0..5 {
        let town = Town::new();
        let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
        let to = bob.device().id();
        let met = over_tcp(&mut bob, |channel, show| {
            let mut cut = Cut { channel, left: messages };
            alice.pay_over(&mut cut, to, asset, Amount::new(250), show)
        });
        let made = alice.device().outgoing().len() as u64;
        match met.payer {
            Ok(_) => assert_eq!(messages, 4),
            Err(WalletError::Waiting { tx, .. }) => {
                assert_eq!(alice.device().outgoing()[&tx].state, OutgoingState::Signed);
                assert!(matches!(met.shown[..], [Event::Paid { .. }]));
            }
            Err(error) => {
                assert_eq!((made, error.class()), (0, Class::Unreachable), "{messages}: {error}");
            }
        }
        // Trying again sends what waits first, and nothing is paid twice.
        pay(&mut alice, &mut bob, asset, 100).payer.unwrap();
        let paid = 250 * made + 100;
        assert_eq!((balance(&alice, &asset), balance(&bob, &asset)), (1000 - paid, paid));
        let outgoing = alice.device().outgoing().values();
        assert!(outgoing.clone().all(|o| o.state == OutgoingState::Receipted));
        pay(&mut bob, &mut alice, asset, 50).payer.unwrap();
    }
}

#[test]
fn a_receipt_that_is_lost_comes_again_at_the_next_meeting() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    let to = bob.device().id();
    let met = over_tcp(&mut bob, |channel, show| {
        alice.pay_over(&mut Cut { channel, left: 3 }, to, asset, Amount::new(250), show)
    });
    let refused = met.payer.unwrap_err();
    assert_eq!((refused.code(), refused.class()), ("WALLET_WAITING", Class::Unreachable));
    assert_eq!(balance(&bob, &asset), 250);
    let met = sync(&mut alice, &mut bob);
    met.payer.unwrap();
    assert!(met.shown.iter().any(|e| matches!(e, Event::Receipted { .. })), "{:?}", met.shown);
    assert_eq!(balance(&bob, &asset), 250);
}

#[test]
fn a_refusal_before_signing_costs_nothing() {
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    bob.set_accept_policy(Default::default()).unwrap();
    let refused = pay(&mut alice, &mut bob, asset, 1000).payer;
    if let Err(refused) = refused {
        assert_eq!(refused.class(), Class::Refused, "{refused}");
        assert_eq!((balance(&alice, &asset), alice.device().seq()), (1000, 0));
    }
    let short = pay(&mut alice, &mut bob, asset, 5000).payer.unwrap_err();
    assert_eq!(short.class(), Class::InsufficientFunds);
}

#[test]
fn a_repeat_payment_stays_within_its_bytes() {
    /// Counts what crosses, each way.
    struct Count<'a>(&'a mut dyn Channel, usize);
    impl Channel for Count<'_> {
        fn send(&mut self, message: &[u8]) -> Result<(), TransportError> {
            self.1 += message.len() + if message.len() < 128 { 1 } else { 2 };
            self.0.send(message)
        }
        fn recv(&mut self) -> Result<Vec<u8>, TransportError> {
            let message = self.0.recv()?;
            self.1 += message.len() + if message.len() < 128 { 1 } else { 2 };
            Ok(message)
        }
    }
    let town = Town::new();
    let ([mut alice, mut bob], asset) = town.people(["alice", "bob"]);
    pay(&mut alice, &mut bob, asset, 1).payer.unwrap();
    let to = bob.device().id();
    let mut bytes = 0;
    let met = over_tcp(&mut bob, |channel, show| {
        let mut count = Count(channel, 0);
        let paid = alice.pay_over(&mut count, to, asset, Amount::new(1), show);
        bytes = count.1;
        paid
    });
    met.payer.unwrap();
    assert!(bytes <= 1150, "a repeat payment with its receipt took {bytes} bytes");
}
