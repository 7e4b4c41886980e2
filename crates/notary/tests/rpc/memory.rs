//! A node as a process of its own, and how much memory strangers can make it take.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tally_notary::call::MAX_BODY;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::world::spend;

/// More than the limits of the interface allow in bodies, and than a test may leak unnoticed.
const MAX_GROWTH_KB: u64 = 128 << 10;

/// Files that the test itself has open beside its connections.
const OWN_FILES: usize = 200;

/// A node in a child process; dies with the test.
struct Node {
    child: Child,
    address: SocketAddr,
}

impl Node {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "serve::serve", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let place = said.lines().find_map(|line| serde_json::from_str::<Value>(&line.ok()?).ok());
        let place = place.expect("a line of JSON");
        let url = place["urls"][0].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self { child, address }
    }

    /// A line of what the kernel says of the process, in KB or as a count.
    fn status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The most memory that it ever had, in KB.
    fn most(&self) -> u64 {
        self.status("VmHWM")
    }

    async fn assert_serves(&self, source: u16) {
        let certify =
            async { Client::connect(self.address).await.certify(&spend(source, 1)).await };
        let answer = timeout(Duration::from_secs(60), certify).await.expect("in time");
        assert_eq!(answer["status"], "SUCCESS");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many connections this process may still open.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let allowed: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    allowed.saturating_sub(OWN_FILES).min(10_000)
}

/// Ten thousand connections that stay open, or as many as the system lets one process have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(target_os = "linux")]
async fn ten_thousand_open_connections_cost_a_node_little_memory() {
    let node = Node::start();
    node.assert_serves(1).await;
    let before = node.most();
    let mut open = Vec::new();
    for _ in 0..connections() {
        let stream = TcpStream::connect(node.address).await.unwrap();
        // Each has begun a request that it does not finish.
        let _ = stream.try_write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{");
        open.push(stream);
    }
    let grown = node.most() - before;
    eprintln!("{} connections open at once: {grown} KB more", open.len());
    assert!(open.len() >= 500, "this system lets a process have {} only", open.len());
    assert!(grown < MAX_GROWTH_KB, "{grown} KB");
    // The node's limit for one address holds them off; when they are gone, others are served.
    drop(open);
    node.assert_serves(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(target_os = "linux")]
async fn bodies_of_a_hundred_megabytes_and_deep_ones_cost_a_node_little_memory() {
    let node = Node::start();
    node.assert_serves(1).await;
    let before = node.most();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64usize {
        let address = node.address;
        tasks.spawn(async move {
            let mut client = Client::connect(address).await;
            if number % 2 == 0 {
                return flood(&mut client).await;
            }
            for _ in 0..8 {
                let body = ["[", "{\"a\":"][number / 2 % 2].repeat(MAX_BODY / 5);
                assert_eq!(client.post(body).await.word(), "RPC_DEPTH");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let grown = node.most() - before;
    eprintln!("32 bodies of 100 MB and 256 deep ones: {grown} KB more");
    assert!(grown < MAX_GROWTH_KB, "{grown} KB");
    node.assert_serves(2).await;
}

/// A hundred megabytes in chunks, as long as the node takes them.
async fn flood(client: &mut Client) {
    let chunk = [b"10000\r\n", &[b' '; 0x10000][..], b"\r\n"].concat();
    let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    if client.send(head.as_bytes()).await.is_err() {
        return;
    }
    for _ in 0..1_600 {
        let sent = timeout(Duration::from_secs(5), client.send(&chunk)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("a node took a body of 100 MB");
}
