//! The merchant's terminal: take payments over TCP, and say of each what it is worth.
//!
//! Every connection has a thread that waits for its messages; the wallet is used by one of them at a
//! time, for one message. So nobody who is silent or slow keeps others from paying.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tally_core::device::Event;
use tally_transport::tcp::{HangUp, Limits, Listener, Stopper, TcpChannel};
use tally_transport::{Channel, TransportError};
use tally_wallet::{Visit, Wallet, WalletError, farewell};

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Names, Shown};

/// Most connections at once; for one more, one is closed: first those that never said anything, and of
/// them, or else of all, the one that was silent longest.
const MAX_GUESTS: usize = 64;
/// How long a connection may stay without saying anything at first.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Listening {
    event: &'static str,
    address: String,
}

impl Report for Listening {
    fn text(&self) -> String {
        format!("listening on {} (Ctrl-C ends)\n", self.address)
    }
}

#[derive(Serialize)]
struct Dropped {
    event: &'static str,
    code: String,
    message: String,
}

impl Report for Dropped {
    fn text(&self) -> String {
        format!("a connection ended early [{}]: {}\n", self.code, self.message)
    }
}

/// Serves connections, `count` of them or until it is stopped.
pub fn run(at: &Context, out: Out, address: &str, count: Option<u64>) -> Result<Done, CliError> {
    let wallet = at.open()?;
    let listener = Listener::bind(address).map_err(|error| {
        let error = CliError::from(error);
        CliError { exit: Exit::Failure, ..error }
    })?;
    let stopper = listener.stopper();
    end_on_interrupt(stopper.clone())?;
    let local = listener.local_addr()?.to_string();
    out.now(&Listening { event: "listening", address: local })?;
    let desk = Arc::new(Desk {
        out,
        stopper,
        wallet: Mutex::new(Some(wallet)),
        guests: Mutex::new(Guests { left: count, ..Guests::default() }),
    });
    desk.end_if_done();
    let limits = Limits { idle: FIRST_MESSAGE, ..Limits::default() };
    let ended = loop {
        match listener.accept(&limits) {
            Ok(channel) => desk.welcome(channel),
            Err(error) => break error,
        }
    };
    // Whatever is at work is finished first; after that nobody finds the wallet any more.
    let wallet = lock(&desk.wallet).take();
    drop(wallet);
    let mut guests = lock(&desk.guests);
    match (guests.failed.take(), ended) {
        (Some(error), _) => Err(error),
        (None, TransportError::Interrupted) if guests.left == Some(0) => Ok(Done::silent(Exit::Ok)),
        (None, TransportError::Interrupted) => Ok(Done::silent(Exit::Interrupted)),
        (None, error) => Err(error.into()),
    }
}

/// The wallet, and who is there.
struct Desk {
    out: Out,
    stopper: Stopper,
    wallet: Mutex<Option<Wallet>>,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Guests {
    /// How many more connections count, if that is limited.
    left: Option<u64>,
    /// How many of those that count are not over.
    busy: usize,
    next: u64,
    here: BTreeMap<u64, Guest>,
    failed: Option<CliError>,
}

struct Guest {
    spoke: bool,
    heard: Instant,
    hang_up: HangUp,
}

/// What is known of one connection.
#[derive(Default)]
struct Talk {
    visit: Visit,
    met: bool,
    names: Option<Names>,
}

/// How a connection ended.
enum Ended {
    /// Nothing ever came, and nothing is to be said of it.
    Silent,
    /// The other side closed it, or it was closed for a reason that was shown.
    Over,
}

impl Desk {
    /// Gives a connection a thread of its own.
    fn welcome(self: &Arc<Self>, channel: TcpChannel) {
        // If the system is short of handles the connection is closed, and the next may have more luck.
        let Ok(hang_up) = channel.hang_up_handle() else { return };
        let guest = {
            let mut guests = lock(&self.guests);
            if guests.here.len() >= MAX_GUESTS {
                let place = |guest: &Guest| (guest.spoke, guest.heard);
                let longest = guests.here.iter().min_by_key(|(_, guest)| place(guest));
                let longest = longest.map(|(id, _)| *id);
                if let Some(guest) = longest.and_then(|id| guests.here.remove(&id)) {
                    guest.hang_up.now();
                }
            }
            let id = guests.next;
            guests.next = guests.next.wrapping_add(1);
            guests.here.insert(id, Guest { spoke: false, heard: Instant::now(), hang_up });
            id
        };
        let desk = Arc::clone(self);
        let served = thread::Builder::new().spawn(move || desk.serve(guest, channel));
        if served.is_err() {
            lock(&self.guests).here.remove(&guest);
        }
    }

    fn serve(&self, guest: u64, mut channel: TcpChannel) {
        let mut counted = false;
        let ended = self.talk(guest, &mut channel, &mut counted);
        let mut guests = lock(&self.guests);
        guests.here.remove(&guest);
        if matches!(ended, Ok(Ended::Over)) && !counted {
            guests.left = guests.left.map(|left| left.saturating_sub(1));
        }
        guests.busy = guests.busy.saturating_sub(usize::from(counted));
        if let Err(error) = ended {
            guests.failed.get_or_insert(error);
            drop(guests);
            self.stopper.stop();
            return;
        }
        drop(guests);
        self.end_if_done();
    }

    /// Takes message after message. An error ends the terminal.
    fn talk(
        &self,
        guest: u64,
        channel: &mut TcpChannel,
        counted: &mut bool,
    ) -> Result<Ended, CliError> {
        let mut talk = Talk::default();
        loop {
            let message = match channel.recv() {
                Ok(message) => message,
                Err(TransportError::Closed) => return Ok(Ended::Over),
                Err(TransportError::Timeout { .. }) if !*counted => return Ok(Ended::Silent),
                Err(error) => return self.dropped(error.into()).map(|()| Ended::Over),
            };
            if !*counted {
                *counted = self.count_in();
                if !*counted {
                    return Ok(Ended::Silent);
                }
                channel.wait_for(Limits::default().idle);
            }
            if let Some(guest) = lock(&self.guests).here.get_mut(&guest) {
                (guest.spoke, guest.heard) = (true, Instant::now());
            }
            let answered = self.answer(&mut talk, &message)?;
            let sent = match answered {
                Ok(packets) => packets.iter().try_for_each(|packet| channel.send(packet)),
                Err(error) => {
                    // The connection is over whether or not this arrives.
                    let _ = farewell(&error).map(|last| channel.send(&last));
                    return self.dropped(error).map(|()| Ended::Over);
                }
            };
            match sent {
                Ok(()) => {}
                Err(TransportError::Closed) => return Ok(Ended::Over),
                Err(error) => return self.dropped(error.into()).map(|()| Ended::Over),
            }
        }
    }

    /// Whether one more connection counts.
    fn count_in(&self) -> bool {
        let mut guests = lock(&self.guests);
        if guests.left == Some(0) {
            return false;
        }
        guests.left = guests.left.map(|left| left - 1);
        guests.busy += 1;
        true
    }

    /// Gives one message to the wallet, and shows what comes of it at once: the payee waits for it.
    #[allow(clippy::type_complexity)]
    fn answer(
        &self,
        talk: &mut Talk,
        message: &[u8],
    ) -> Result<Result<Vec<Vec<u8>>, WalletError>, CliError> {
        let mut wallet = lock(&self.wallet);
        // The terminal is ending.
        let Some(wallet) = wallet.as_mut() else {
            return Ok(Err(TransportError::Closed.into()));
        };
        let Talk { visit, met, names } = talk;
        let names = names.get_or_insert_with(|| Names::of(wallet.device()));
        let mut shown = Ok(());
        let answered = wallet.answer(visit, message, &mut |event| {
            // One meeting has several rounds.
            if matches!(event, Event::Met { .. }) && std::mem::replace(met, true) {
                return;
            }
            let now = self.out.now(&Shown::of(names, event));
            if shown.is_ok() {
                shown = now;
            }
        });
        shown?;
        match answered {
            // A wallet that cannot keep what it accepts must not go on accepting.
            Err(error @ WalletError::Store(_)) => Err(error.into()),
            other => Ok(other),
        }
    }

    /// Says why a connection ended. Nobody who connects can end the terminal.
    fn dropped(&self, error: WalletError) -> Result<(), CliError> {
        if matches!(error, WalletError::Transport(TransportError::Closed)) {
            return Ok(());
        }
        let CliError { code, message, .. } = error.into();
        self.out.now(&Dropped { event: "dropped", code, message })
    }

    fn end_if_done(&self) {
        let guests = lock(&self.guests);
        let done = guests.left == Some(0) && guests.busy == 0;
        drop(guests);
        if done {
            self.stopper.stop();
        }
    }
}

/// A thread that panicked leaves nothing half done here: the wallet reads what is durable anew.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets Ctrl-C end a listener: at once when it waits, after the connection otherwise, and at once when
/// asked twice.
///
/// # Errors
/// [`CliError`] when the system does not let it.
pub fn end_on_interrupt(stopper: Stopper) -> Result<(), CliError> {
    ctrlc::set_handler(move || {
        if stopper.is_stopped() {
            // Asked twice: whatever is at work is not waited for.
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
        stopper.stop();
    })
    .map_err(|e| {
        CliError::new(
            Exit::Failure,
            "SIGNALS",
            format!("Ctrl-C cannot be watched ({e})"),
            "try again in another terminal",
        )
    })
}
