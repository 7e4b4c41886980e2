//! The merchant's terminal: take payments over TCP, and say of each what it is worth.

use serde::Serialize;
use tally_core::device::Event;
use tally_transport::TransportError;
use tally_transport::tcp::{Limits, Listener, Stopper, TcpChannel};
use tally_wallet::{Wallet, WalletError};

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::output::{Done, Out, Report};
use crate::show::{Names, Shown};

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

/// Serves one connection after the other, `count` of them or until it is stopped.
pub fn run(at: &Context, out: Out, address: &str, count: Option<u64>) -> Result<Done, CliError> {
    let mut wallet = at.open()?;
    let listener = Listener::bind(address).map_err(|error| {
        let error = CliError::from(error);
        CliError { exit: Exit::Failure, ..error }
    })?;
    let stopper = listener.stopper();
    end_on_interrupt(stopper.clone())?;
    let local = listener.local_addr()?.to_string();
    out.now(&Listening { event: "listening", address: local })?;
    let mut left = count;
    while left != Some(0) {
        let mut channel = match listener.accept(&Limits::default()) {
            Ok(channel) => channel,
            Err(TransportError::Interrupted) => return Ok(Done::silent(Exit::Interrupted)),
            Err(error) => return Err(error.into()),
        };
        serve(&mut wallet, &mut channel, out)?;
        left = left.map(|left| left - 1);
    }
    Ok(Done::silent(Exit::Ok))
}

fn serve(wallet: &mut Wallet, channel: &mut TcpChannel, out: Out) -> Result<(), CliError> {
    let names = Names::of(wallet.device());
    let mut shown = Ok(());
    let mut met = false;
    let served = wallet.serve_one(channel, &mut |event| {
        // One meeting has several rounds.
        let again = matches!(event, Event::Met { .. }) && std::mem::replace(&mut met, true);
        if again {
            return;
        }
        // At once, and not when the payer hangs up: the payee waits for this line.
        let now = out.now(&Shown::of(&names, event));
        if shown.is_ok() {
            shown = now;
        }
    });
    shown?;
    match served {
        Ok(()) => Ok(()),
        // A wallet that cannot keep what it accepts must not go on accepting.
        Err(error @ WalletError::Store(_)) => Err(error.into()),
        // Nobody who connects can end the terminal.
        Err(error) => {
            let CliError { code, message, .. } = error.into();
            out.now(&Dropped { event: "dropped", code, message })
        }
    }
}

fn end_on_interrupt(stopper: Stopper) -> Result<(), CliError> {
    ctrlc::set_handler(move || {
        if stopper.is_stopped() {
            // Asked twice: a peer that stays silent must not hold the terminal.
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
