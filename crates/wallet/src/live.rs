//! Pay, be paid and meet over a connection.

use std::sync::{Arc, Weak};

use tally_agent::{AgentError, Conn, Done, Goal, Input};
use tally_core::amount::Amount;
use tally_core::device::Event;
use tally_core::id::{AssetId, DeviceId, TxId};
use tally_transport::{Channel, TransportError};

use crate::driver::Given;
use crate::wallet::Agent;
use crate::{Wallet, WalletError};

/// One connection that is served, message by message: see [`Wallet::answer`].
#[derive(Debug, Default)]
pub struct Visit(Option<(Conn, Arc<()>)>);

/// A visit whose connection the agent knows, until nobody holds it any more.
pub(crate) type Guest = (Conn, Weak<()>);

impl Wallet {
    /// Pays a contact who is at the other end of `channel`: sends what waits for them first, then
    /// offers, pays, and waits for the receipt. Events are shown as soon as they are durable.
    ///
    /// # Errors
    /// Before the payment is signed nothing has happened: [`WalletError::Device`],
    /// [`WalletError::Refused`], [`WalletError::Transport`]. After it: [`WalletError::Waiting`]. In between, while
    /// the seal gives no proof: [`WalletError::Unproved`].
    pub fn pay_over(
        &mut self,
        channel: &mut dyn Channel,
        payee: DeviceId,
        asset: AssetId,
        amount: Amount,
        show: &mut dyn FnMut(&Event),
    ) -> Result<TxId, WalletError> {
        self.ready()?;
        self.device().may_step()?;
        match self.pursue(channel, Goal::Pay { payee, asset, amount }, show)? {
            Done::Paid(tx) => Ok(tx),
            Done::Resent(_) | Done::Met | Done::Served => Err(TransportError::Closed.into()),
        }
    }

    /// Sends again what waits for a contact who is at the other end of `channel`, each payment until
    /// it is receipted. Nothing is paid anew. Gives how many payments waited.
    ///
    /// # Errors
    /// [`WalletError::Waiting`] for the first payment that is not receipted, with the reason;
    /// [`WalletError::Store`].
    pub fn resend_over(
        &mut self,
        channel: &mut dyn Channel,
        payee: DeviceId,
        show: &mut dyn FnMut(&Event),
    ) -> Result<usize, WalletError> {
        match self.pursue(channel, Goal::Resend { payee }, show)? {
            Done::Resent(count) => Ok(count),
            Done::Paid(_) | Done::Met | Done::Served => Err(TransportError::Closed.into()),
        }
    }

    /// Meets a contact: sends what waits, compares what both have seen, takes back what was lost.
    ///
    /// # Errors
    /// [`WalletError::Device`] when there is no such contact; [`WalletError::Transport`],
    /// [`WalletError::Peer`], [`WalletError::Store`].
    pub fn sync_over(
        &mut self,
        channel: &mut dyn Channel,
        contact: DeviceId,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        self.pursue(channel, Goal::Meet { contact }, show).map(|_| ())
    }

    /// Serves one connection, as the payee of a payment or the other side of a meeting, until the
    /// peer closes it.
    ///
    /// # Errors
    /// [`WalletError::Transport`] when the connection fails otherwise, [`WalletError::Peer`] when
    /// what comes cannot be read, [`WalletError::Store`]. None of them loses a payment.
    pub fn serve_one(
        &mut self,
        channel: &mut dyn Channel,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        self.pursue(channel, Goal::Serve, show).map(|_| ())
    }

    /// Takes one message of a connection that is served, and gives the answers, to be sent in order.
    ///
    /// Between two messages of one connection others may be served, so that nobody who is slow or
    /// silent keeps the wallet busy.
    ///
    /// # Errors
    /// As for [`Wallet::serve_one`]; the connection is then to be closed, after [`farewell`].
    pub fn answer(
        &mut self,
        visit: &mut Visit,
        message: &[u8],
        show: &mut dyn FnMut(&Event),
    ) -> Result<Vec<Vec<u8>>, WalletError> {
        self.ready()?;
        let conn = match &visit.0 {
            Some((conn, _)) => *conn,
            None => {
                let conn = self.next_conn();
                let held = Arc::new(());
                self.guests.push((conn, Arc::downgrade(&held)));
                visit.0 = Some((conn, held));
                self.give(Input::Opened { conn, goal: Goal::Serve }, show)?;
                conn
            }
        };
        if self.waits_for_journal().is_some() {
            self.remind(show)?;
        }
        let given = self.give(Input::Packet { conn, bytes: message.to_vec() }, show)?;
        Ok(given.whole()?.packets)
    }

    /// The contact, who is no stranger, that has been heard on this connection.
    pub fn contact_on(&self, visit: &Visit) -> Option<DeviceId> {
        let Agent::Idle(agent) = &self.agent else { return None };
        visit.0.as_ref().and_then(|(conn, _)| agent.contact_on(*conn))
    }

    /// Goes through a connection until its goal is reached, or cannot be.
    fn pursue(
        &mut self,
        channel: &mut dyn Channel,
        goal: Goal,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Done, WalletError> {
        self.ready()?;
        self.remind(show)?;
        let (conn, before) = (self.next_conn(), self.unsigned());
        let mut given = self.give(Input::Opened { conn, goal }, show)?;
        loop {
            let sent = given.packets.iter().try_for_each(|packet| channel.send(packet));
            let is_set_back = matches!(given.over, Some(Err(AgentError::SetBack)));
            if let Some(error) = given.failed.take_if(|_| is_set_back) {
                // The journal says more of it.
                return Err(error);
            }
            if let Some(end) = given.over {
                return end.map_err(|error| {
                    // The connection is over whether or not this arrives.
                    let _ = tally_agent::farewell(&error).map(|last| channel.send(&last));
                    error.into()
                });
            }
            // What the seal did not do waits, and this connection does not wait for it.
            if let Some(waits) = self.unproved(&before, given.failed.as_ref()) {
                self.hang_up(conn, None, show)?;
                return Err(waits);
            }
            if let Some(error) = given.failed {
                self.hang_up(conn, None, show)?;
                return Err(error);
            }
            given = match sent.and_then(|()| channel.recv()) {
                Ok(bytes) => self.give(Input::Packet { conn, bytes }, show)?,
                Err(error) => return self.broken(conn, error, show),
            };
        }
    }

    /// The connection has ended before its goal was reached.
    fn broken(
        &mut self,
        conn: Conn,
        error: TransportError,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Done, WalletError> {
        let in_order = matches!(error, TransportError::Closed);
        let why = (!in_order).then(|| error.to_string());
        match self.hang_up(conn, why, show)?.over {
            Some(Ok(done)) => Ok(done),
            Some(Err(AgentError::Closed | AgentError::Carrier(_))) | None => Err(error.into()),
            Some(Err(AgentError::Waiting { tx, .. })) => {
                Err(WalletError::Waiting { tx, why: error.to_string() })
            }
            Some(Err(other)) => Err(other.into()),
        }
    }

    fn hang_up(
        &mut self,
        conn: Conn,
        why: Option<String>,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Given, WalletError> {
        self.give(Input::Closed { conn, why }, show)
    }

    /// The number of a new connection. Those of visits that nobody holds any more are closed.
    fn next_conn(&mut self) -> Conn {
        let gone = |guest: &Guest| guest.1.strong_count() == 0;
        let gone: Vec<Conn> =
            self.guests.iter().filter(|guest| gone(guest)).map(|guest| guest.0).collect();
        self.guests.retain(|(conn, _)| !gone.contains(conn));
        for conn in gone {
            // Closing what nobody holds writes nothing, so it cannot fail in a way that matters.
            let _ = self.hang_up(conn, None, &mut |_| {});
        }
        self.conns = self.conns.saturating_add(1);
        Conn(self.conns)
    }
}

/// What to send before a connection is closed because of this error, if anything: whoever wanted
/// somebody else is told so.
pub fn farewell(error: &WalletError) -> Option<Vec<u8>> {
    match error {
        WalletError::Peer(error) => tally_agent::farewell(&AgentError::Peer(error.clone())),
        _ => None,
    }
}
