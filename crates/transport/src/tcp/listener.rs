//! Wait for peers to connect, until told to stop.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Limits, TcpChannel, failed, resolve};
use crate::channel::TransportError;

/// How long the wake-up call of a [`Stopper`] may take.
const WAKE: Duration = Duration::from_millis(500);

/// A socket that peers connect to.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    stopper: Stopper,
}

/// Makes a waiting [`Listener::accept`] return; may be used from another thread, such as a Ctrl-C handler.
#[derive(Clone, Debug)]
pub struct Stopper {
    stopped: Arc<AtomicBool>,
    wake: SocketAddr,
}

impl Listener {
    /// Listens on `address` (`host:port`; port 0 lets the system choose one).
    ///
    /// # Errors
    /// [`TransportError::Address`] if it cannot be listened on, for example because it is in use.
    pub fn bind(address: &str) -> Result<Self, TransportError> {
        let candidates: Vec<SocketAddr> = resolve(address)?.collect();
        let socket = TcpListener::bind(&candidates[..]).map_err(|error| {
            TransportError::Address { address: address.to_owned(), reason: error.to_string() }
        })?;
        let local =
            socket.local_addr().map_err(|source| failed("asking for the own address", source))?;
        Ok(Self {
            socket,
            stopper: Stopper { stopped: Arc::new(AtomicBool::new(false)), wake: reachable(local) },
        })
    }

    /// The address that peers connect to, with the port that the system chose.
    ///
    /// # Errors
    /// [`TransportError::Io`] if the system does not say.
    pub fn local_addr(&self) -> Result<SocketAddr, TransportError> {
        self.socket.local_addr().map_err(|source| failed("asking for the own address", source))
    }

    /// A handle that stops the waiting.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits for the next peer, for as long as it takes.
    ///
    /// # Errors
    /// [`TransportError::Interrupted`] once the [`Stopper`] was used; [`TransportError::Io`] if the
    /// system cannot take another connection now, as when it is out of descriptors.
    pub fn accept(&self, limits: &Limits) -> Result<TcpChannel, TransportError> {
        while !self.stopper.is_stopped() {
            let accepted = self.socket.accept();
            if self.stopper.is_stopped() {
                break;
            }
            match accepted {
                // One that is gone already is nobody's fault here.
                Ok((stream, _)) => {
                    if let Ok(channel) = TcpChannel::new(stream, limits.clone()) {
                        return Ok(channel);
                    }
                }
                // The peer gave up before its turn came, or a signal arrived: neither is about us.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted
                            | ErrorKind::ConnectionReset
                            | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(failed("waiting for a connection", error)),
            }
        }
        Err(TransportError::Interrupted)
    }
}

impl Stopper {
    /// Stops the listener for good: a waiting `accept` and every later one returns at once.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Only a connection wakes a blocking accept. If it fails, nobody is waiting there any more.
        let _ = TcpStream::connect_timeout(&self.wake, WAKE);
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// An address at which this machine reaches its own socket, also when it listens on all of them.
fn reachable(local: SocketAddr) -> SocketAddr {
    let host = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(host, local.port())
}
