//! Be the agent's outside: store its turns, sign and prove for it, and carry what it says.
//!
//! [`Wallet::give`] has the agent's own loop ([`drive`]) go on from an input until nothing is left to do. What
//! the seal cannot do now waits in the agent by itself, and everything else goes on.

use std::collections::BTreeMap;

use tally_agent::{
    AgentError, Batch, Conn, Cx, Done, Driven, Idle, Input, Ports, ProveOrder, Proved, SignOrder,
    StepOrder, Way, drive,
};
use tally_core::card::Signed;
use tally_core::device::{self, Device, Entry, Event};
use tally_core::id::{DeviceId, TxId};
use tally_core::keys::Signature;
use tally_core::predicate::Sealed;
use tally_core::seal::Slot;
use tally_seal::SealError;
use tally_seal::tpm2::{AwayTpm, TpmError};

use crate::sealed::LOCK_SECONDS;
use crate::store::Store;
use crate::wallet::{Agent, now, random, tick};
use crate::{StoreError, Wallet, WalletError};

/// What came of an input.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The connection that it was about, if it was about one.
    conn: Option<Conn>,
    /// What is to be sent that way, in order.
    pub(crate) packets: Vec<Vec<u8>>,
    /// How what it was for has ended, if it has.
    pub(crate) over: Option<Result<Done, AgentError>>,
    pub(crate) invoice: Option<Signed>,
    /// Why the seal did not do something that was asked of it.
    pub(crate) failed: Option<WalletError>,
}

/// What followed for a connection while another one, or none, was gone on with. It is given with what
/// comes next of that connection.
pub(crate) type Elsewhere = BTreeMap<Conn, (Vec<Vec<u8>>, Option<Result<Done, AgentError>>)>;

impl Given {
    /// What came before for what this input is about.
    fn about(input: &Input, elsewhere: &mut Elsewhere) -> Self {
        let (Input::Opened { conn, .. } | Input::Packet { conn, .. } | Input::Closed { conn, .. }) =
            input
        else {
            return Self::default();
        };
        let (packets, over) = elsewhere.remove(conn).unwrap_or_default();
        Self { conn: Some(*conn), packets, over, ..Self::default() }
    }

    /// Whether something goes the way that this is about: files go with all that is about no connection.
    fn is_about(&self, way: Way) -> bool {
        match way {
            Way::Conn(conn) => self.conn == Some(conn),
            Way::File => self.conn.is_none(),
        }
    }

    /// All that came, unless something was refused or the seal did not do its part.
    pub(crate) fn whole(self) -> Result<Self, WalletError> {
        match self {
            Self { failed: Some(error), .. } => Err(error),
            Self { over: Some(Err(error)), .. } => Err(error.into()),
            given => Ok(given),
        }
    }
}

impl Wallet {
    /// Does what the owner wishes. What waits for the seal is asked for again first, and goes on
    /// waiting if it has to.
    pub(crate) fn act(
        &mut self,
        input: device::Input,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        self.ready()?;
        self.remind(&mut |_| {})?;
        self.run(vec![input], show)
    }

    /// Gives the device the inputs, as one change, and does all that follows from it.
    pub(crate) fn run(
        &mut self,
        inputs: Vec<device::Input>,
        show: &mut dyn FnMut(&Event),
    ) -> Result<(), WalletError> {
        self.give(Input::Wish(inputs), show)?.whole().map(|_| ())
    }

    /// Asks the seal again for what waits for it.
    pub(crate) fn remind(&mut self, show: &mut dyn FnMut(&Event)) -> Result<(), WalletError> {
        self.look_for_tpm()?;
        match self.give(Input::Remind, show)?.failed {
            // The hardware is not there: what waits for it goes on waiting.
            None | Some(WalletError::Seal(SealError::Tpm(_))) => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Keeps records of the shell.
    pub(crate) fn keep(&mut self, batch: Batch) -> Result<(), WalletError> {
        let Batch { issued, meta, .. } = batch;
        self.give(Input::Keep { issued, meta, trust: None }, &mut |_| {}).map(|_| ())
    }

    /// The wallet was set back: it receives only, and gives up its sessions.
    pub(crate) fn set_back(&mut self) -> Result<(), WalletError> {
        self.give(Input::SetBack, &mut |_| {}).map(|_| ())
    }

    /// Gives the agent an input, and does what follows until nothing is left to do.
    pub(crate) fn give(
        &mut self,
        input: Input,
        show: &mut dyn FnMut(&Event),
    ) -> Result<Given, WalletError> {
        let before = self.waits_for_journal();
        let idle = self.take_agent()?;
        let mut given = Given::about(&input, &mut self.elsewhere);
        let mut outside = Outside { wallet: self, given: &mut given, show };
        let Driven { agent, end } = pollster::block_on(drive(idle, &mut outside, input));
        self.agent = match agent {
            Ok(idle) => Agent::Idle(Box::new(idle)),
            Err(torn) => Agent::Torn(torn),
        };
        end?;
        // A step is signed before the journal is told. Where that is what failed, it is made, and waits.
        let made = self.waits_for_journal().filter(|tx| before != Some(*tx));
        given.failed = given.failed.map(|error| match (made, error) {
            (Some(tx), WalletError::Seal(why @ SealError::Io { .. })) => {
                WalletError::Waiting { tx, why: why.to_string() }
            }
            (_, error) => error,
        });
        Ok(given)
    }

    /// The clock as a generation is made of it.
    fn micros(&self) -> u64 {
        #[cfg(test)]
        let ahead = self.ahead;
        #[cfg(not(test))]
        let ahead = 0;
        tick().saturating_add(ahead)
    }

    fn take_agent(&mut self) -> Result<Idle, WalletError> {
        self.ready()?;
        let blank = Box::new(Device::new(self.device().me().clone()));
        match std::mem::replace(&mut self.agent, Agent::Away(blank)) {
            Agent::Idle(idle) => Ok(*idle),
            other @ (Agent::Torn(_) | Agent::Away(_)) => {
                self.agent = other;
                Err(StoreError::Missing(self.dir.clone()).into())
            }
        }
    }

    /// How many payments to this payee are signed and not receipted.
    pub fn waiting(&self, payee: &DeviceId) -> usize {
        self.device().unreceipted(*payee).count()
    }
}

/// What is around the agent while it is driven: the wallet, but for the agent.
struct Outside<'a> {
    wallet: &'a mut Wallet,
    given: &'a mut Given,
    show: &'a mut dyn FnMut(&Event),
}

impl Outside<'_> {
    /// What the seal did, or else nothing: the first reason is kept.
    fn done<T>(&mut self, done: Result<T, WalletError>) -> Option<T> {
        done.map_err(|error| self.given.failed.get_or_insert(error)).ok()
    }

    /// Leaves a slot. No counter moves for a wallet that was set back, and hardware that does not
    /// answer is away from then on.
    fn leave(&mut self, entry: &Entry, order: ProveOrder) -> Result<Input, WalletError> {
        let ProveOrder { tx, slot, all } = order;
        if let Some(told) = self.wallet.journal_is_beside(entry) {
            self.given.failed.get_or_insert(SealError::RolledBack(told).into());
            return Ok(Input::SetBack);
        }
        let proved = match self.wallet.seal.prove(&slot, &tx) {
            Ok(proof) => Proved::Proof(Box::new(proof)),
            Err(SealError::Tpm(why)) if AwayTpm::is_lasting(&why) && why != TpmError::Cleared => {
                self.given.failed.get_or_insert(SealError::Tpm(why).into());
                return Ok(Input::Wish(vec![device::Input::Away(true)]));
            }
            Err(error) => self.wallet.without_proof(&tx, &all, error)?,
        };
        Ok(Input::Proved { tx, slot, proved })
    }
}

impl Ports for Outside<'_> {
    type Store = Store;
    type Error = WalletError;

    fn store(&mut self) -> &mut Store {
        &mut self.wallet.store
    }

    fn cx(&mut self) -> Result<Cx, WalletError> {
        Ok(Cx { now: now(), micros: self.wallet.micros(), entropy: random()? })
    }

    fn sign(&mut self, order: &SignOrder) -> Option<Vec<Signature>> {
        let signatures = order.digests.iter().map(|digest| self.wallet.seal.sign(digest));
        let signatures = signatures.collect::<Result<Vec<_>, _>>();
        self.done(signatures.map_err(Into::into))
    }

    /// If the journal knows better, the wallet only receives from now on.
    fn observe(&mut self, step: &StepOrder) -> Option<bool> {
        match self.wallet.seal.observe(&step.entry) {
            Err(error @ SealError::RolledBack(_)) => {
                self.given.failed.get_or_insert(error.into());
                Some(false)
            }
            told => self.done(told.map(|()| true).map_err(Into::into)),
        }
    }

    fn prove(&mut self, agent: &Idle, order: ProveOrder) -> Option<Input> {
        let left = self.leave(&agent.entry(), order);
        self.done(left)
    }

    /// Without one, or without an answer of the hardware, the coin is taken under its key alone: whoever pays
    /// waits for the answer.
    fn free_counter(&mut self, taken: &[Slot]) -> Option<Option<Sealed>> {
        Some(self.wallet.seal.lock(now().plus(LOCK_SECONDS), taken).ok())
    }

    fn show(&mut self, event: Box<Event>) {
        (self.show)(&event);
    }

    fn send(&mut self, way: Way, packet: Vec<u8>) {
        if self.given.is_about(way) {
            self.given.packets.push(packet);
        } else if let Way::Conn(conn) = way {
            self.wallet.elsewhere.entry(conn).or_default().0.push(packet);
        }
    }

    fn over(&mut self, way: Way, end: Result<Done, AgentError>) {
        if self.given.is_about(way) {
            self.given.over = Some(end);
        } else if let Way::Conn(conn) = way {
            self.wallet.elsewhere.entry(conn).or_default().1 = Some(end);
        }
    }

    fn invoice(&mut self, invoice: Box<Signed>) {
        self.given.invoice = Some(*invoice);
    }

    fn unsendable(&mut self, _: DeviceId, tx: Option<TxId>, why: AgentError) {
        let error = match tx {
            Some(tx) => WalletError::Unsent { tx, why: why.to_string() },
            None => why.into(),
        };
        self.given.failed.get_or_insert(error);
    }

    fn not_taken(&mut self, why: AgentError) {
        self.given.failed.get_or_insert(why.into());
    }
}
