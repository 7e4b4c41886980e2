//! Wires between validators that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;
use tally_notary::devnet::Devnet;

/// All wires to and from one validator.
pub struct Proxies {
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxies {
    /// Puts wires around a validator of a network that does not run yet.
    pub fn around(network: &Devnet, number: usize) -> Self {
        let proxies = Self { cut: Arc::default(), open: Arc::default() };
        let addresses: Vec<_> =
            (0..network.validators()).map(|n| network.config(n).1.listen).collect();
        let name = |n: usize| network.config(n).1.name.clone();
        let inwards = proxies.wire(addresses[number]);
        for other in (0..network.validators()).filter(|other| *other != number) {
            let mut theirs = network.config(other).1.peers.clone();
            theirs.insert(name(number), inwards.to_string());
            super::configure(network.config(other).0, "peers", json!(theirs));
        }
        let own = (0..addresses.len()).map(|n| {
            let address = if n == number { addresses[n] } else { proxies.wire(addresses[n]) };
            (name(n), json!(address.to_string()))
        });
        super::configure(
            network.config(number).0,
            "peers",
            json!(own.collect::<serde_json::Map<_, _>>()),
        );
        proxies
    }

    /// Cuts all wires, or mends them.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        if cut {
            for stream in self.open.lock().expect("no panic").drain(..) {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    fn wire(&self, to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it listens");
        let (cut, open) = (Arc::clone(&self.cut), Arc::clone(&self.open));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(other) = TcpStream::connect(to) else { continue };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
                open.lock().expect("no panic").extend([clone(&stream), clone(&other)]);
                let (a, b) = (clone(&stream), clone(&other));
                thread::spawn(move || carry(stream, other));
                thread::spawn(move || carry(b, a));
            }
        });
        address
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 1 << 16];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
