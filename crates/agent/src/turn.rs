//! Hold by types that nothing leaves before it is durable.
//!
//! An agent is [`Idle`] and takes an input, and then it is a [`Turn`] until its batch is stored: a turn
//! takes no input and gives no effect. Storing it gives [`Committed`], the only place where effects can be
//! had. If storing fails, what is in memory may be ahead of what is durable, and all that is left is
//! [`Torn`]: to be read, and to be replaced by what is loaded anew.
//!
//! ```compile_fail,E0599
//! # fn sends(turn: tally_agent::Turn) {
//! // A turn that is not stored has no effects.
//! let effects = turn.into_parts();
//! # }
//! ```
//!
//! ```compile_fail,E0624
//! # async fn stores<S: tally_agent::Store>(turn: tally_agent::Turn, store: &mut S) {
//! // Only the one loop stores a turn.
//! let committed = turn.commit(store).await;
//! # }
//! ```
//!
//! ```compile_fail,E0382
//! # fn twice(idle: tally_agent::Idle, cx: tally_agent::Cx) {
//! let turn = idle.handle(&cx, tally_agent::Input::Remind);
//! // The agent is in the turn until that is stored.
//! let again = idle.handle(&cx, tally_agent::Input::Remind);
//! # }
//! ```
//!
//! ```compile_fail,E0599
//! # fn copies(turn: tally_agent::Turn) {
//! // Whoever could copy a turn could store one and go on from the other.
//! let copy = turn.clone();
//! # }
//! ```
//!
//! ```compile_fail,E0451
//! # fn forges(idle: tally_agent::Idle, effects: tally_agent::Effects) {
//! // Only a store makes this.
//! let committed = tally_agent::Committed { idle, effects };
//! # }
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use tally_core::card::Signed;
use tally_core::device::{Device, Entry, Unsettled};
use tally_core::id::{AssetId, DeviceId, TxId};
use tally_core::keys::SecretKey;

use crate::engine::Engine;
use crate::{AgentError, Batch, Conn, Cx, Effects, Input, Issued, Keys, Loaded, Store};

/// Keeps everybody else away from the records, for as long as it lives: a lock of a file or of the web,
/// or nothing where there is one process only.
pub trait Guard: fmt::Debug + Send {}

/// What was durable at one time. It does not change.
#[derive(Clone, Debug)]
pub struct View {
    device: Arc<Device>,
    card: Signed,
}

impl View {
    /// Everything that the device knew.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its own card.
    pub const fn card(&self) -> &Signed {
        &self.card
    }
}

/// An agent that takes inputs: all that it knows is durable.
#[derive(Debug)]
pub struct Idle(Engine);

/// An agent that has taken an input, whose batch is to be stored.
#[must_use = "nothing of a turn happens before it is stored"]
#[derive(Debug)]
pub struct Turn {
    engine: Engine,
    batch: Batch,
    effects: Effects,
}

/// A turn that is stored.
#[must_use = "what is to be done is in here"]
#[derive(Debug)]
pub struct Committed {
    idle: Idle,
    effects: Effects,
}

/// An agent whose turn was not stored. It takes no input: it may know what is not durable.
#[derive(Debug)]
pub struct Torn(Engine);

/// An agent that refused an input, as it was before.
#[derive(Debug)]
pub struct Refused {
    /// The agent.
    pub idle: Idle,
    /// Why.
    pub why: AgentError,
}

impl Idle {
    /// An agent that knows what was durable. It keeps `guard` for as long as it lives, in whatever state.
    pub fn load(loaded: Loaded, keys: Keys, guard: Box<dyn Guard>) -> Self {
        Self(Engine::load(loaded, keys, guard))
    }

    /// Gives it the owner's key to sign with inside its turns, or takes it away: then, and for coins
    /// under a counter, it orders signatures.
    pub fn hold(&mut self, key: Option<SecretKey>) {
        self.0.key = key;
    }

    /// What is durable now, to be looked at while turns go on. Whoever keeps it makes the next turn copy
    /// what it changes.
    pub fn view(&self) -> View {
        View { device: Arc::clone(&self.0.device), card: self.0.card.clone() }
    }

    /// Takes an input.
    ///
    /// # Errors
    /// [`Refused`] when the wish cannot be met: the agent is as it was.
    pub fn handle(mut self, cx: &Cx, input: Input) -> Result<Turn, Box<Refused>> {
        match self.0.handle(cx, input) {
            Ok((batch, effects)) => {
                Ok(Turn { engine: self.0, batch, effects: Effects::new(effects) })
            }
            Err(why) => Err(Box::new(Refused { idle: self, why })),
        }
    }
}

impl Turn {
    /// What is to be stored.
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Stores the batch. [`crate::drive()`] does it, and nobody else.
    ///
    /// # Errors
    /// The store's error, with what is left of the agent.
    pub(crate) async fn commit<S: Store>(
        self,
        store: &mut S,
    ) -> Result<Committed, (Box<Torn>, S::Error)> {
        match store.commit(&self.batch).await {
            Ok(()) => Ok(Committed { idle: Idle(self.engine), effects: self.effects }),
            Err(error) => Err((Box::new(Torn(self.engine)), error)),
        }
    }
}

impl Committed {
    /// What is durable now.
    pub fn view(&self) -> View {
        self.idle.view()
    }

    /// The agent, which takes inputs again, and what is to be done.
    pub fn into_parts(self) -> (Idle, Effects) {
        (self.idle, self.effects)
    }
}

macro_rules! readable {
    ($($kind:ident),*) => {$(
        impl $kind {
            /// Everything that the device knows.
            pub fn device(&self) -> &Device {
                &self.0.device
            }

            /// Its own card.
            pub fn card(&self) -> &Signed {
                &self.0.card
            }

            /// Where the journal may be, if nothing was set back.
            pub fn entry(&self) -> Entry {
                self.0.entry()
            }

            /// What was issued of an asset.
            pub fn issued(&self, asset: &AssetId) -> Option<Issued> {
                self.0.issued.get(asset).copied()
            }

            /// Whether anything was ever issued.
            pub fn has_issued(&self) -> bool {
                !self.0.issued.is_empty()
            }

            /// How many contacts there are sessions with.
            pub fn sessions(&self) -> usize {
                let peers = &self.0.peers;
                let open = |contact: &DeviceId| peers.get(contact).is_some_and(|p| !p.lines.is_empty());
                peers.contacts().iter().filter(|contact| open(contact)).count()
            }

            /// The contact, who is no stranger, that has been heard on this connection.
            pub fn contact_on(&self, conn: Conn) -> Option<DeviceId> {
                let contact = self.0.conns.get(&conn).and_then(|talk| talk.contact);
                contact.filter(|contact| !self.0.is_stranger(contact))
            }

            /// The payment whose step is signed and waits for the journal, if one does. Nothing of it leaves.
            pub fn waits_for_journal(&self) -> Option<TxId> {
                self.0.waits_for_journal()
            }

            /// What the network is asked to certify now: not what waits for the journal.
            pub fn unsettled(&self) -> Vec<Unsettled> {
                let waits = self.0.waits_for_journal();
                let mut unsettled = self.0.device.unsettled();
                let has_left = |one: &Unsettled| one.claims.iter().all(|of| Some(of.tx) != waits);
                unsettled.retain(has_left);
                unsettled
            }

            /// How many payments to this payee are signed and not receipted.
            pub fn waiting(&self, payee: DeviceId) -> usize {
                self.0.device.unreceipted(payee).count()
            }
        }
    )*};
}

readable!(Idle, Torn);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}
