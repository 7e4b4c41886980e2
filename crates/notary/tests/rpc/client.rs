//! A client of HTTP/1.1, written out so that it can also misbehave.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub struct Client {
    stream: BufReader<TcpStream>,
    headers: String,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The stable word of the fault.
    pub fn word(&self) -> String {
        self.json()["error"]["data"]["code"].as_str().unwrap_or("NO_FAULT").to_owned()
    }
}

impl Client {
    pub async fn connect(to: SocketAddr) -> Self {
        let stream = BufReader::new(TcpStream::connect(to).await.unwrap());
        Self { stream, headers: String::new() }
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// The next answer; nothing if the connection was closed instead.
    pub async fn reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        let length = reply.header("content-length").map_or(0, |text| text.parse().unwrap());
        reply.body.resize(length, 0);
        self.stream.read_exact(&mut reply.body).await.ok()?;
        Some(reply)
    }

    pub async fn post_raw(&mut self, body: &[u8]) -> Option<Reply> {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{}\r\n",
            body.len(),
            self.headers
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        // A server may answer and close before it has read everything.
        let _ = self.send(&bytes).await;
        let reply = self.reply().await?;
        crate::schema::check(body, &reply.json());
        Some(reply)
    }

    pub async fn post(&mut self, body: impl AsRef<[u8]>) -> Reply {
        self.post_raw(body.as_ref()).await.expect("an answer")
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{}\r\n", self.headers);
        self.send(head.as_bytes()).await.unwrap();
        self.reply().await.expect("an answer")
    }

    pub async fn call(&mut self, method: &str, params: Value) -> Reply {
        let call = json!({ "jsonrpc": "2.0", "id": "call-1", "method": method, "params": params });
        self.post(call.to_string()).await
    }

    /// The result of a call that has one.
    pub async fn result(&mut self, method: &str, params: Value) -> Value {
        let reply = self.call(method, params).await;
        assert_eq!(reply.status, 200);
        let mut json = reply.json();
        assert_eq!(json["id"], "call-1", "{json}");
        assert!(json.get("error").is_none(), "{method}: {json}");
        json["result"].take()
    }
}
