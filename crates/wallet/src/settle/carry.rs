//! Carry an errand's questions to its endpoints, and the answers back.
//!
//! Nothing is decided here. Each endpoint has a thread that puts one question at a time, so one that
//! hangs holds up nobody else. When the errand has ended, a thread that still waits for an answer ends
//! by itself with its question's time.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tally_agent::settle::{self, Answer, Ask, AskId, Errand, Input, Learned, Order, Progress};
use tally_core::fork::ForkProof;
use tally_transport::http::Url;

use crate::WalletError;
use crate::notary::NotaryClient;

/// What the wallet does with what was learnt: it says which fork proofs it knows by that.
pub(super) type Take<'a> = &'a mut dyn FnMut(Learned) -> Result<Vec<ForkProof>, WalletError>;

/// Runs an errand to its end. `urls` are its endpoints.
pub(super) fn carry(
    errand: Errand,
    urls: &[Url],
    progress: &mut dyn FnMut(Progress),
    take: Take<'_>,
) -> Result<settle::Settling, WalletError> {
    let mut lines = Lines::new(urls);
    let mut machine = settle::Settling::new(errand);
    let began = Instant::now();
    let mut shown = None;
    // What takes time here takes none of an answer's: each is given as of when it came.
    let (mut at, mut inputs) = (Duration::ZERO, VecDeque::from([Input::Woke]));
    loop {
        let mut end = None;
        while let Some(input) = inputs.pop_front() {
            let output = machine.handle(at, input);
            for learned in output.learned {
                let known = take(learned)?;
                if !known.is_empty() {
                    inputs.push_back(Input::Forks(known));
                }
            }
            lines.put(output.asks);
            if shown.replace(output.progress) != Some(output.progress) {
                progress(output.progress);
            }
            end = output.wake;
        }
        let Some(wake) = end else { return Ok(machine) };
        let input;
        (at, input) = lines.next(began, wake);
        inputs.push_back(input);
    }
}

/// One thread an endpoint, and where their answers come together.
struct Lines {
    urls: Vec<Url>,
    out: Vec<Option<Sender<(AskId, Ask)>>>,
    home: Sender<Home>,
    answers: Receiver<Home>,
}

/// An answer, and when it came.
type Home = (Instant, AskId, Answer);

impl Lines {
    fn new(urls: &[Url]) -> Self {
        let (home, answers) = channel();
        Self { urls: urls.to_vec(), out: vec![None; urls.len()], home, answers }
    }

    fn put(&mut self, orders: Vec<Order>) {
        for Order { id, endpoint, ask } in orders {
            let (Some(line), Some(url)) = (self.out.get_mut(endpoint), self.urls.get(endpoint))
            else {
                continue;
            };
            let line = line.get_or_insert_with(|| open(url.clone(), self.home.clone()));
            // A thread that is gone answers nothing, and the machine's own deadline notices.
            let _ = line.send((id, ask));
        }
    }

    /// The next answer, or that the time is over; and how long after the beginning that was.
    fn next(&self, began: Instant, wake: Duration) -> (Duration, Input) {
        // What has come already is taken even when the time is over.
        match self.answers.recv_timeout(wake.saturating_sub(began.elapsed())) {
            Ok((at, id, answer)) => (at.duration_since(began), Input::Answered(id, answer)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                (began.elapsed(), Input::Woke)
            }
        }
    }
}

/// A thread that puts questions to one endpoint, until nobody has any more.
fn open(url: Url, home: Sender<Home>) -> Sender<(AskId, Ask)> {
    let (line, questions) = channel::<(AskId, Ask)>();
    thread::spawn(move || {
        let client = NotaryClient::new(url);
        for (id, ask) in questions {
            let answer = client.ask(&ask);
            if home.send((Instant::now(), id, answer)).is_err() {
                break;
            }
        }
    });
    line
}
