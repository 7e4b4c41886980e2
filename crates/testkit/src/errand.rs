//! Run an errand to the network on a scripted clock.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use tally_agent::settle::{
    Answer, Ask, AskId, EndpointId, Errand, Input, Learned, Order, Output, Settling,
};
use tally_core::fork::ForkProof;

/// Most things that happen in one errand: more would be a loop.
const MAX_EVENTS: usize = 100_000;

/// What came of an errand.
#[derive(Debug)]
pub struct Run {
    /// The machine, at its end.
    pub machine: Settling,
    /// How long it took.
    pub took: Duration,
    /// When all that was to be certified was decided.
    pub decided: Option<Duration>,
    /// How often each endpoint was asked.
    pub asked: Vec<usize>,
}

/// What is on its way, and the clock.
#[derive(Default)]
struct Way {
    clock: Duration,
    decided: Option<Duration>,
    asked: Vec<usize>,
    open: BTreeMap<EndpointId, AskId>,
    /// Answers, by when they come.
    coming: BTreeMap<(Duration, AskId), Answer>,
}

impl Way {
    /// Carries the questions of an output, and says when the machine wants to be woken.
    fn carry(
        &mut self,
        output: Output,
        answer: &mut impl FnMut(EndpointId, &Ask) -> Option<(Duration, Answer)>,
    ) -> Option<Duration> {
        if output.progress.decided == output.progress.total {
            self.decided.get_or_insert(self.clock);
        }
        for Order { id, endpoint, ask } in output.asks {
            let before = self.open.insert(endpoint, id);
            let is_late = before.is_some_and(|id| self.coming.keys().any(|(_, of)| *of == id));
            assert!(!is_late, "endpoint {endpoint} has two questions open");
            self.asked[endpoint] += 1;
            if let Some((after, answer)) = answer(endpoint, &ask) {
                self.coming.insert((self.clock + after, id), answer);
            }
        }
        output.wake
    }

    /// What happens next: an answer comes, or the machine is woken.
    fn next(&mut self, wake: Duration) -> Input {
        assert!(wake > self.clock, "it is woken for something");
        let first = self.coming.first_entry().filter(|first| first.key().0 <= wake);
        match first.map(|first| first.remove_entry()) {
            Some(((at, id), answer)) => {
                self.clock = at;
                Input::Answered(id, answer)
            }
            None => {
                self.clock = wake;
                Input::Woke
            }
        }
    }
}

/// Runs an errand to its end, and holds it to one open question an endpoint.
///
/// `answer` says what an endpoint answers and after how long, if it does. `learn` takes over what was
/// learnt, and says which fork proofs are known by then, if anybody keeps them.
///
/// # Errors
/// What `learn` says.
pub fn run_errand<E>(
    errand: Errand,
    mut answer: impl FnMut(EndpointId, &Ask) -> Option<(Duration, Answer)>,
    mut learn: impl FnMut(Learned) -> Result<Option<Vec<ForkProof>>, E>,
) -> Result<Run, E> {
    let mut way = Way { asked: vec![0; errand.endpoints.len()], ..Way::default() };
    let mut machine = Settling::new(errand);
    let mut input = Input::Woke;
    for _ in 0..MAX_EVENTS {
        let mut output = machine.handle(way.clock, input);
        let learned = core::mem::take(&mut output.learned);
        let mut wake = way.carry(output, &mut answer);
        for learned in learned {
            if let Some(known) = learn(learned)? {
                wake = way.carry(machine.handle(way.clock, Input::Forks(known)), &mut answer);
            }
        }
        let Some(wake) = wake else {
            let Way { clock, decided, asked, .. } = way;
            return Ok(Run { machine, took: clock, decided, asked });
        };
        input = way.next(wake);
    }
    unreachable!("an errand ends")
}
