//! Go on with an input until nothing is left to do: the one loop, whatever the shell is made of.
//!
//! Handle, store, and only then act: no other code stores a turn. What is acted on is answered with inputs,
//! which go the same way. A step that is signed inside its turn waits in the agent until the journal has
//! answered, so that the order of every shell is records, journal, way out.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use tally_core::keys::Signature;
use tally_core::predicate::Sealed;
use tally_core::seal::Slot;

use crate::{
    AgentError, Cx, Effect, Idle, Input, ProveOrder, Refused, SignOrder, StepOrder, Store, Torn,
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

    /// The lock of a free counter that is none of these, if there is one.
    fn free_counter(&mut self, taken: &[Slot]) -> Option<Sealed>;

    /// Does what needs no answer: shows, sends, ends.
    fn carry(&mut self, effect: Effect);
}

/// What is left when nothing is left to do.
#[derive(Debug)]
pub struct Driven<E> {
    /// The agent. Torn, it knows what may not be durable, and is to be loaded anew.
    pub agent: Result<Idle, Box<Torn>>,
    /// Why it did not go on, if it did not.
    pub end: Result<(), E>,
}

/// Gives an agent an input, and does all that follows.
pub async fn drive<P: Ports>(agent: Idle, ports: &mut P, input: Input) -> Driven<P::Error> {
    let (mut agent, mut inputs) = (agent, VecDeque::from([input]));
    while let Some(input) = inputs.pop_front() {
        let cx = match ports.cx() {
            Ok(cx) => cx,
            Err(error) => return Driven { agent: Ok(agent), end: Err(error) },
        };
        let turn = match agent.handle(&cx, input) {
            Ok(turn) => turn,
            Err(refused) => {
                let Refused { idle, why } = *refused;
                return Driven { agent: Ok(idle), end: Err(why.into()) };
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
        Effect::FreeCounter(taken) => Some(Input::Counter(ports.free_counter(&taken))),
        effect @ (Effect::Show(_)
        | Effect::Send { .. }
        | Effect::Over { .. }
        | Effect::Invoice(_)
        | Effect::Unsendable { .. }) => {
            ports.carry(effect);
            None
        }
    }
}
