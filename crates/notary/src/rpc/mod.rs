//! Answer clients over HTTP: JSON-RPC 2.0 at `/`, and what an operator and a browser need beside it.
//!
//! | path | what is there |
//! |---|---|
//! | `POST /` | the methods of [`call::METHODS`](crate::call::METHODS) |
//! | `GET /` | a page of live rounds, for a browser |
//! | `GET /openapi.json` | every method with its parameters and results |
//! | `GET /health`, `/ready` | whether the node lives; whether it certifies |
//! | `GET /metrics` | measurements, as Prometheus reads them |
//!
//! An answer of JSON-RPC has status 200, whatever it says, as clients of the wire format expect. Statuses
//! 401 (a key is needed or unknown), 408, 413 and 429 (a quota) come with the same form of body; 404 never
//! comes from `/`, because clients read it as "not certified yet".
//!
//! Everything that a stranger can make the node hold is limited ([`Limits`]), and who may ask how much is
//! in a subscription file ([`quota`]). HTTP/1.1 only: put a proxy in front for TLS.

mod answer;
mod body;
mod counters;
mod files;
mod http;
mod limits;
mod listen;
pub mod quota;
mod shape;
mod stalled;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tally_core::time::Time;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use files::OPENAPI;
pub use limits::{
    Limits, MAX_BUFFERED, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_HEADERS, MAX_HEAVY,
    MAX_HELD, MAX_IN_FLIGHT, MAX_READ_BUFFER,
};

use crate::backend::Backend;
use http::App;
use quota::{QuotaError, Quotas};

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What to take at once.
    pub limits: Limits,
    /// The subscription file; without one, everybody may ask anything.
    pub subscriptions: Option<PathBuf>,
    /// The clock, which decides when a month ends.
    pub clock: Clock,
}

impl Config {
    /// Serves everybody at this address, within the limits that are the default.
    pub fn new(listen: SocketAddr) -> Self {
        let (limits, clock) = (Limits::default(), Clock::system());
        Self { listen, limits, subscriptions: None, clock }
    }
}

/// Tells the time of day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Time::from_unix(since.as_secs())
        })
    }

    /// The time.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened at.
    #[error("cannot listen at {0}: choose another address or port: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The subscription file is not usable.
    #[error(transparent)]
    Quota(#[from] QuotaError),
}

impl ServeError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Listen(..) => "RPC_LISTEN",
            Self::Quota(error) => error.code(),
        }
    }
}

/// A running interface. Dropping it stops accepting; [`stop`](Self::stop) also waits for open calls.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `backend` on the current Tokio runtime.
    ///
    /// # Errors
    /// [`ServeError`] when the address or the subscription file is not usable.
    pub async fn start<B: Backend>(config: Config, backend: B) -> Result<Self, ServeError> {
        let quotas = Quotas::open(config.subscriptions, config.clock)?;
        let refused = |error| ServeError::Listen(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (stop, stopped) = watch::channel(false);
        let app = Arc::new(App::new(backend, config.limits, quotas));
        let task = tokio::spawn(listen::run(listener, app, stopped));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, and ends when open calls are answered or have had their time.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // An error means that the task is gone already.
        let _ = self.task.await;
    }
}
