//! Accept connections, as many as there may be, and serve each until it ends or dawdles.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

use super::http::{App, Peer, router};
use super::limits::{Limits, MAX_HEADERS, MAX_READ_BUFFER};
use super::quota::REFRESH;
use super::stalled::Stalled;
use crate::backend::Backend;

/// Between attempts to accept after the system refused one, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a connection above the limits is told before it is closed.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
content-type: application/json\r\ncontent-length: 161\r\n\r\n\
{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32006,\"message\":\
\"too many connections: try again in a second\",\"data\":{\"code\":\"RPC_CONNECTIONS\",\"retryAfterMs\":1000}}}";

/// Serves until `stop` says true or its sender is gone.
pub(super) async fn run<B: Backend>(
    listener: TcpListener,
    app: Arc<App<B>>,
    mut stop: watch::Receiver<bool>,
) {
    let guests = Arc::new(Guests::new(&app.limits));
    let router = router(app.clone());
    let mut connections = JoinSet::new();
    let mut refresh = time::interval(REFRESH);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            _ = refresh.tick() => {
                let app = app.clone();
                tokio::task::spawn_blocking(move || app.quotas.refresh());
            }
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, address)) = accepted else {
                    time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let Some(seat) = Seat::take(&guests, address.ip()) else {
                    app.counters.connection_refused();
                    // Best effort: nobody waits for a peer that is sent away.
                    let _ = stream.try_write(FULL);
                    continue;
                };
                let (router, app, stop) = (router.clone(), app.clone(), stop.clone());
                connections.spawn(async move {
                    let _open = app.counters.connection();
                    serve(stream, Peer(seat.from), router, &app.limits, stop).await;
                    drop(seat);
                });
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // Those that take longer are cut off when the set is dropped.
    let _ = time::timeout(app.limits.stop_time, all).await;
    app.quotas.save();
}

async fn serve(
    stream: TcpStream,
    peer: Peer,
    router: axum::Router,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) {
    // An answer is written at once; waiting to fill a packet would only delay it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        TowerToHyperService::new(router.clone()).call(request.map(Body::new))
    });
    let io = TokioIo::new(Stalled::new(stream, limits.write_time));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(MAX_READ_BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, service);
    tokio::pin!(connection);
    tokio::select! {
        // What ends a connection early is the peer's affair.
        _ = connection.as_mut() => {}
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Waits until the server is stopped or dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that it was dropped.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Who is connected.
struct Guests {
    all: usize,
    each: usize,
    open: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

impl Guests {
    fn new(limits: &Limits) -> Self {
        let (all, each) = (limits.connections, limits.connections_per_address);
        Self { all, each, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, (usize, HashMap<IpAddr, usize>)> {
        // Counting does not panic half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among the guests, given back when dropped.
struct Seat {
    guests: Arc<Guests>,
    from: IpAddr,
}

impl Seat {
    fn take(guests: &Arc<Guests>, address: IpAddr) -> Option<Self> {
        let from = origin(address);
        let mut open = guests.open();
        let here = open.1.get(&from).copied().unwrap_or(0);
        if open.0 >= guests.all || here >= guests.each {
            return None;
        }
        open.0 += 1;
        open.1.insert(from, here + 1);
        drop(open);
        Some(Self { guests: guests.clone(), from })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.guests.open();
        open.0 = open.0.saturating_sub(1);
        if let Some(here) = open.1.get_mut(&self.from) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                open.1.remove(&self.from);
            }
        }
    }
}

/// What counts as one address: all of an IPv6 /64 does, because one subscriber has as many as it likes.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests(all: usize, each: usize) -> Arc<Guests> {
        let limits =
            Limits { connections: all, connections_per_address: each, ..Limits::default() };
        Arc::new(Guests::new(&limits))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn seats_are_limited_in_all_and_for_each_address_and_come_back() {
        let guests = guests(3, 2);
        let one = Seat::take(&guests, address("10.0.0.1")).unwrap();
        let _two = Seat::take(&guests, address("10.0.0.1")).unwrap();
        assert!(Seat::take(&guests, address("10.0.0.1")).is_none());
        let _three = Seat::take(&guests, address("10.0.0.2")).unwrap();
        assert!(Seat::take(&guests, address("10.0.0.3")).is_none());
        drop(one);
        assert!(Seat::take(&guests, address("10.0.0.3")).is_some());
        assert!(guests.open().1.len() <= 2, "an address without connections is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        assert_eq!(origin(address("2001:db8::1")), origin(address("2001:db8::ffff:1")));
        assert_ne!(origin(address("2001:db8::1")), origin(address("2001:db8:0:1::1")));
        assert_eq!(origin(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }

    #[test]
    fn what_is_said_to_a_guest_too_many_is_a_whole_answer() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
