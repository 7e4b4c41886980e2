//! The merchant's terminal: take payments over TCP, and say of each what it is worth.
//!
//! Every connection has a thread that waits for its messages; the wallet is used by one of them at a
//! time, for one message. So nobody who is silent or slow keeps others from paying.

mod guests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use guests::{Guest, Guests};
use serde::Serialize;
use tally_core::device::Event;
use tally_transport::tcp::{Limits, Listener, Stopper, TcpChannel};
use tally_transport::{Channel, TransportError};
use tally_wallet::{Visit, Wallet, WalletError, farewell};

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Names, Shown};

/// How long a connection may stay without saying anything at first.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// How long the terminal waits after the system could not take a connection; twice as long each time, up to
/// 1.28 seconds.
const PAUSE: Duration = Duration::from_millis(20);
/// After how many such times in a row, some 25 seconds, it ends.
const MAX_PAUSES: u32 = 25;
/// How often it says that it turned connections away.
const SAY_FULL: Duration = Duration::from_secs(60);

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
struct Full {
    event: &'static str,
    turned_away: u64,
}

impl Report for Full {
    fn text(&self) -> String {
        format!("too many connections: {} were closed to make room for others\n", self.turned_away)
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
        count: Mutex::new(Count { left: count, ..Count::default() }),
        guests: Mutex::default(),
    });
    desk.end_if_done();
    let ended = desk.receive(&listener);
    // Whatever is at work is finished first; after that nobody finds the wallet any more.
    let wallet = lock(&desk.wallet).take();
    drop(wallet);
    let mut count = lock(&desk.count);
    match (count.failed.take(), ended) {
        (Some(error), _) => Err(error),
        (None, TransportError::Interrupted) if count.left == Some(0) => Ok(Done::silent(Exit::Ok)),
        (None, TransportError::Interrupted) => Ok(Done::silent(Exit::Interrupted)),
        (None, error) => Err(error.into()),
    }
}

/// The wallet, and who is there.
struct Desk {
    out: Out,
    stopper: Stopper,
    wallet: Mutex<Option<Wallet>>,
    count: Mutex<Count>,
    guests: Mutex<Guests>,
}

#[derive(Default)]
struct Count {
    /// How many more connections count, if that is limited.
    left: Option<u64>,
    /// How many of those that count are not over.
    busy: usize,
    failed: Option<CliError>,
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
    /// Takes connections until the terminal is stopped. What the system cannot take now it may take when
    /// somebody has left, so that alone does not end the terminal.
    fn receive(self: &Arc<Self>, listener: &Listener) -> TransportError {
        let limits = Limits { idle: FIRST_MESSAGE, ..Limits::default() };
        let mut pauses = 0;
        loop {
            match listener.accept(&limits) {
                Ok(channel) => {
                    pauses = 0;
                    self.welcome(channel);
                }
                Err(TransportError::Interrupted) => return TransportError::Interrupted,
                Err(error) if pauses == MAX_PAUSES => return error,
                Err(_) => {
                    lock(&self.guests).make_room();
                    thread::sleep(PAUSE.saturating_mul(1 << pauses.min(6)));
                    pauses += 1;
                }
            }
            self.say_if_full();
        }
    }

    /// Gives a connection a thread of its own, if there is room for one more.
    fn welcome(self: &Arc<Self>, channel: TcpChannel) {
        // One that is gone already has no address.
        let Ok(peer) = channel.peer_addr() else { return };
        let guest = Guest::new(peer.ip(), Instant::now(), channel.hang_up_handle());
        let Some(guest) = lock(&self.guests).enter(guest) else { return };
        let desk = Arc::clone(self);
        let served = thread::Builder::new().spawn(move || desk.serve(guest, channel));
        if served.is_err() {
            lock(&self.guests).left(guest);
        }
    }

    /// Says now and then that connections were turned away: somebody may be keeping others from paying.
    fn say_if_full(&self) {
        let turned_away = lock(&self.guests).turned_away_since(Instant::now(), SAY_FULL);
        if let Some(turned_away) = turned_away {
            // Whoever cannot be told is told of a payment neither, and that ends the terminal.
            let _ = self.out.now(&Full { event: "full", turned_away });
        }
    }

    /// Serves a connection until it ends. A mistake in this program ends the terminal, as it ends every
    /// other command, and takes nobody's place.
    fn serve(&self, guest: u64, mut channel: TcpChannel) {
        let mut counted = false;
        let talk = AssertUnwindSafe(|| self.talk(guest, &mut channel, &mut counted));
        let ended =
            catch_unwind(talk).unwrap_or_else(|_| Err(CliError::internal("in a connection")));
        drop(channel);
        lock(&self.guests).left(guest);
        let mut count = lock(&self.count);
        if matches!(ended, Ok(Ended::Over)) && !counted {
            count.left = count.left.map(|left| left.saturating_sub(1));
        }
        count.busy = count.busy.saturating_sub(usize::from(counted));
        if let Err(error) = ended {
            count.failed.get_or_insert(error);
            drop(count);
            self.stopper.stop();
            return;
        }
        drop(count);
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
                // It was closed to make room, and does not count.
                Err(_) if !*counted && !lock(&self.guests).is_here(guest) => {
                    return Ok(Ended::Silent);
                }
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
            let answered = self.answer(guest, &mut talk, &message)?;
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
        let mut count = lock(&self.count);
        if count.left == Some(0) {
            return false;
        }
        count.left = count.left.map(|left| left - 1);
        count.busy += 1;
        true
    }

    /// Gives one message to the wallet, and shows what comes of it at once: the payee waits for it.
    #[allow(clippy::type_complexity)]
    fn answer(
        &self,
        guest: u64,
        talk: &mut Talk,
        message: &[u8],
    ) -> Result<Result<Vec<Vec<u8>>, WalletError>, CliError> {
        let mut wallet = lock(&self.wallet);
        // The terminal is ending, or the connection was closed while it waited for its turn.
        let Some(wallet) = wallet.as_mut().filter(|_| lock(&self.guests).is_here(guest)) else {
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
        lock(&self.guests).spoke(guest, Instant::now(), wallet.contact_on(visit));
        match answered {
            // A wallet that cannot keep what it accepts must not go on accepting.
            Err(error @ WalletError::Store(_)) => Err(error.into()),
            other => Ok(other),
        }
    }

    /// Says why a connection ended. What others say ends no terminal.
    fn dropped(&self, error: WalletError) -> Result<(), CliError> {
        if matches!(error, WalletError::Transport(TransportError::Closed)) {
            return Ok(());
        }
        let CliError { code, message, .. } = error.into();
        self.out.now(&Dropped { event: "dropped", code, message })
    }

    fn end_if_done(&self) {
        let count = lock(&self.count);
        let done = count.left == Some(0) && count.busy == 0;
        drop(count);
        if done {
            self.stopper.stop();
        }
    }
}

/// A thread that panicked leaves nothing half done here: the wallet reads what is durable anew, if anybody
/// uses it before the terminal has ended.
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
