//! Carry requests, signatures on seals and fork proofs between validators.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Spawner};
use futures::future::{self, Either};
use tally_core::cbor::{DecodeError, Reader, Writer, to_bytes};
use tally_core::notary::NodeId;
use tokio::sync::mpsc;

use super::executor::Task;
use crate::block::MAX_ENTRY_BYTES;
use crate::certify::SealMessage;
use crate::validator::{Outgoing, Validator};

/// Most bytes of a message with requests.
pub(super) const MAX_REQUESTS_MESSAGE: usize = 1 << 18;

/// Most batches in a message.
const MAX_ENTRIES: usize = 4_096;

/// How often a validator looks whether it lacks a certificate, and asks for it.
const ASK: Duration = Duration::from_secs(1);

/// Fork proofs that are told again in one go, for validators that were away.
const RETOLD: usize = 16;

/// The three channels of our own, and who is behind a key.
pub(super) struct Gossip<S, R> {
    pub(super) validator: Validator,
    pub(super) names: Arc<BTreeMap<PublicKey, NodeId>>,
    pub(super) requests: (S, R),
    pub(super) seals: (S, R),
    pub(super) forks: (S, R),
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    pub(super) tasks: mpsc::UnboundedSender<Task>,
}

impl<S, R> Gossip<S, R>
where
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    /// Starts a task for each channel, and one that sends.
    pub(super) fn start<E: Spawner + Clock>(self, context: &E) {
        let Self { validator, names, requests, seals, forks, outgoing, tasks } = self;
        let (seals_out, tasks_out) = (seals.0.clone(), tasks.clone());
        let senders = Senders { requests: requests.0, seals: seals_out, forks: forks.0 };
        let teller = validator.clone();
        context
            .child("tell")
            .spawn(move |context| senders.run(context, teller, outgoing, tasks_out));

        let admitter = validator.clone();
        let mut receiver = requests.1;
        context.child("requests").spawn(move |_| async move {
            while let Ok((from, message)) = receiver.recv().await {
                let bytes = message.as_ref();
                if unpack(bytes, |entry| admitter.admit(entry)).is_err() {
                    tracing::debug!(?from, "requests that do not decode");
                }
            }
        });

        let judge = validator.clone();
        let mut receiver = forks.1;
        context.child("forks").spawn(move |_| async move {
            while let Ok((from, message)) = receiver.recv().await {
                if !judge.admit_fork(message.as_ref()) {
                    tracing::debug!(?from, "a fork proof that convicts nobody");
                }
            }
        });

        let (mut sender, mut receiver) = seals;
        context.child("seals").spawn(move |_| async move {
            while let Ok((from, message)) = receiver.recv().await {
                let Some(name) = names.get(&from) else { continue };
                let Ok(message) = SealMessage::decode(message.as_ref()) else { continue };
                let (answer, certificate) = validator.hear(name, message);
                if let Some(answer) = answer {
                    sender.send(Recipients::One(from), answer.encode(), true);
                }
                if let Some(certificate) = certificate {
                    let _ = tasks.send(Task::Certified(Box::new(certificate)));
                }
            }
        });
    }
}

/// What is sent, and over which channel.
struct Senders<S> {
    requests: S,
    seals: S,
    forks: S,
}

impl<S: Sender<PublicKey = PublicKey>> Senders<S> {
    async fn run<E: Clock>(
        mut self,
        context: E,
        validator: Validator,
        mut outgoing: mpsc::Receiver<Outgoing>,
        tasks: mpsc::UnboundedSender<Task>,
    ) {
        let mut told = 0;
        let mut due = context.current() + ASK;
        loop {
            let next = {
                let (next, asked) = (pin!(outgoing.recv()), pin!(context.sleep_until(due)));
                match future::select(asked, next).await {
                    Either::Left(_) => None,
                    Either::Right((next, _)) => Some(next),
                }
            };
            match next {
                Some(Some(first)) => self.send(first, &mut outgoing),
                Some(None) => return,
                None => {
                    due = context.current() + ASK;
                    if let Some(certificate) = validator.ask() {
                        let _ = tasks.send(Task::Certified(Box::new(certificate)));
                    }
                    told = self.retell(&validator, told);
                }
            }
        }
    }

    /// Sends a message, and everything that waits behind it: requests go together.
    fn send(&mut self, first: Outgoing, outgoing: &mut mpsc::Receiver<Outgoing>) {
        let mut next = Some(first);
        let (mut entries, mut size) = (Vec::new(), 0);
        while let Some(message) = next {
            match message {
                Outgoing::Entry(entry) => {
                    size += entry.as_bytes().len() + 5;
                    entries.push(entry);
                    if size + MAX_ENTRY_BYTES > MAX_REQUESTS_MESSAGE || entries.len() == MAX_ENTRIES
                    {
                        self.requests.send(Recipients::All, pack(&entries), false);
                        (entries, size) = (Vec::new(), 0);
                    }
                }
                Outgoing::Seal(message) => {
                    self.seals.send(Recipients::All, message.encode(), true);
                }
                Outgoing::Fork(proof) => {
                    self.forks.send(Recipients::All, to_bytes(&*proof), false);
                }
            }
            next = outgoing.try_recv().ok();
        }
        if !entries.is_empty() {
            self.requests.send(Recipients::All, pack(&entries), false);
        }
    }

    /// Tells a few fork proofs again, round and round.
    fn retell(&mut self, validator: &Validator, told: u64) -> u64 {
        let proofs = validator.retell_forks(told + 1, RETOLD);
        for (_, proof) in &proofs {
            self.forks.send(Recipients::All, to_bytes(proof), false);
        }
        proofs.last().map_or(0, |(number, _)| *number)
    }
}

/// Batches in one message: a list of byte strings.
fn pack(entries: &[crate::block::Entry]) -> Vec<u8> {
    let mut w = Writer::new();
    w.array(entries.len() as u64);
    entries.iter().for_each(|entry| w.bytes(entry.as_bytes()));
    w.into_bytes()
}

/// Hands each batch of a message to `each`, and stops at the first that it does not want.
fn unpack(bytes: &[u8], each: impl Fn(&[u8]) -> bool) -> Result<(), DecodeError> {
    let mut r = Reader::new(bytes);
    let entry = |r: &mut Reader<'_>| {
        let entry = r.bytes(MAX_ENTRY_BYTES)?;
        if each(entry) { Ok(()) } else { Err(DecodeError::OutOfRange) }
    };
    r.list(MAX_ENTRIES, entry)?;
    r.finish()
}
