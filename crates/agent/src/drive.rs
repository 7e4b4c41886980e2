//! Go on with an input until nothing is left to do: the one loop, whatever the shell is made of.
//!
//! Handle, store, and only then act: no other code stores a turn. What is acted on is answered with inputs,
//! which go the same way. A step that is signed inside its turn waits in the agent until the journal has
//! answered, so that the order of every shell is records, journal, way out.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use tally_core::card::Signed;
use tally_core::device::Event;
use tally_core::id::{DeviceId, TxId};
use tally_core::keys::Signature;
use tally_core::predicate::Sealed;
use tally_core::seal::Slot;

use crate::{
    AgentError, Cx, Done, Effect, Idle, Input, ProveOrder, Refused, SignOrder, StepOrder, Store,
    Torn, Way,
};

/// What is around an agent. Whatever does not answer now is asked again with [`Input::Remind`].
pub trait Ports {
    /// Where turns become durable.
    type Store: Store;
    /// Why an input led nowhere.
    type Error: From<AgentError> + From<<Self::Store as Store>::Error>;

    /// Where turns become durable.
    fn store(&mut self) -> &mut Self::Store;

    /// The time, and randomness that is never used again.
    ///
    /// # Errors
    /// Without them nothing is done.
    fn cx(&mut self) -> Result<Cx, Self::Error>;

    /// Signs each digest of an order; nothing if the key is not at hand.
    fn sign(&mut self, order: &SignOrder) -> Option<Vec<Signature>>;

    /// Tells the journal of a step; gives whether it followed on what the journal held, if it answers.
    fn observe(&mut self, step: &StepOrder) -> Option<bool>;

    /// Leaves a slot of a counter for a payment of this agent; gives what the agent is to be told, if the
    /// hardware answers.
    fn prove(&mut self, agent: &Idle, order: ProveOrder) -> Option<Input>;

    /// The lock of a free counter that is none of these, or none if there is none: then the coin is taken
    /// under its key alone. Nothing if the hardware answers later.
    fn free_counter(&mut self, taken: &[Slot]) -> Option<Option<Sealed>>;

    /// Shows something to the owner.
    fn show(&mut self, event: Box<Event>);

    /// Sends a packet, after all that went the same way before.
    fn send(&mut self, way: Way, packet: Vec<u8>);

    /// What this way was for has ended.
    fn over(&mut self, way: Way, end: Result<Done, AgentError>);

    /// The invoice that was asked for.
    fn invoice(&mut self, invoice: Box<Signed>);

    /// Something, a payment or not, cannot be said to a contact.
    fn unsendable(&mut self, contact: DeviceId, tx: Option<TxId>, why: AgentError);

    /// The agent did not take an answer. Whatever else was answered is taken all the same.
    fn not_taken(&mut self, why: AgentError);
}

/// What is left when nothing is left to do.
#[derive(Debug)]
pub struct Driven<E> {
    /// The agent. Torn, it knows what may not be durable, and is to be loaded anew.
    pub agent: Result<Idle, Box<Torn>>,
    /// Why it did not go on, if it did not.
    pub end: Result<(), E>,
}

/// Gives an agent an input, and does all that follows. A refusal of that input ends it; an answer that is not
/// taken holds up no other.
pub async fn drive<P: Ports>(agent: Idle, ports: &mut P, input: Input) -> Driven<P::Error> {
    let (mut agent, mut inputs, mut is_answer) = (agent, VecDeque::from([input]), false);
    while let Some(input) = inputs.pop_front() {
        let cx = match ports.cx() {
            Ok(cx) => cx,
            Err(error) => return Driven { agent: Ok(agent), end: Err(error) },
        };
        let turn = match agent.handle(&cx, input) {
            Ok(turn) => turn,
            Err(refused) => {
                let Refused { idle, why } = *refused;
                if !is_answer {
                    return Driven { agent: Ok(idle), end: Err(why.into()) };
                }
                ports.not_taken(why);
                agent = idle;
                continue;
            }
        };
        let effects = match turn.commit(ports.store()).await {
            Ok(committed) => {
                let (idle, effects) = committed.into_parts();
                agent = idle;
                effects
            }
            Err((torn, error)) => return Driven { agent: Err(torn), end: Err(error.into()) },
        };
        is_answer = true;
        for effect in effects {
            inputs.extend(act(&agent, ports, effect));
        }
    }
    Driven { agent: Ok(agent), end: Ok(()) }
}

/// Does what a turn wants done; gives the answer, if there is one.
fn act<P: Ports>(agent: &Idle, ports: &mut P, effect: Effect) -> Option<Input> {
    match effect {
        Effect::Sign(order) => {
            let signatures = ports.sign(&order)?;
            Some(Input::Signed { order: order.order, signatures })
        }
        Effect::Observe(step) => {
            let fits = ports.observe(&step)?;
            Some(Input::Observed { tx: step.tx, fits })
        }
        Effect::Prove(order) => ports.prove(agent, order),
        Effect::FreeCounter(taken) => ports.free_counter(&taken).map(Input::Counter),
        Effect::Show(event) => {
            ports.show(event);
            None
        }
        Effect::Send { way, packet } => {
            ports.send(way, packet);
            None
        }
        Effect::Over { way, end } => {
            ports.over(way, end);
            None
        }
        Effect::Invoice(invoice) => {
            ports.invoice(invoice);
            None
        }
        Effect::Unsendable { contact, tx, why } => {
            ports.unsendable(contact, tx, why);
            None
        }
    }
}
