use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Client, HttpError, HttpLimits, Url};

const SHORT: Duration = Duration::from_millis(300);

/// A stand-in for a server: reads one call, answers with these bytes, and gives back what it read.
fn server(answer: &'static [u8], hold: Duration) -> (Url, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut heard = Vec::new();
        let mut chunk = [0; 1024];
        while !whole(&heard) {
            let n = stream.read(&mut chunk).expect("a call");
            if n == 0 {
                break;
            }
            heard.extend_from_slice(&chunk[..n]);
        }
        thread::sleep(hold);
        // The caller may have gone away.
        let _ = stream.write_all(answer);
        String::from_utf8_lossy(&heard).into_owned()
    });
    (Url::new(&url).expect("an address"), thread)
}

/// Whether a call has all of its body.
fn whole(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|l| l.split("\r\n").next());
    length.and_then(|l| l.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}

fn ask(url: &Url, max_answer: usize) -> Result<String, HttpError> {
    let limits = HttpLimits { connect: SHORT, call: Duration::from_secs(5), max_answer };
    Client::new(limits).post_json(url, &[("X-State-ID", "ab")], "{\"a\":1}", Duration::ZERO)
}

#[test]
fn a_call_goes_there_with_its_headers_and_its_answer_comes_back() {
    let (url, server) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Duration::ZERO);
    assert_eq!(ask(&url, 100).expect("an answer"), "{}");
    let heard = server.join().expect("it ends").to_lowercase();
    assert!(heard.starts_with("post / http/1.1\r\n"), "{heard}");
    assert!(heard.contains("x-state-id: ab\r\n") && heard.ends_with("{\"a\":1}"), "{heard}");
    assert!(heard.contains("content-type: application/json\r\n"), "{heard}");
}

#[test]
fn each_way_to_get_no_answer_has_its_code() {
    let cases: [(&'static [u8], &str); 6] = [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", "HTTP_STATUS"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "HTTP_STATUS"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", "HTTP_UNREACHABLE"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff", "HTTP_MALFORMED"),
        (b"SSH-2.0-something\r\n\r\n", "HTTP_MALFORMED"),
        (b"", "HTTP_UNREACHABLE"),
    ];
    for (answer, code) in cases {
        let (url, server) = server(answer, Duration::ZERO);
        let error = ask(&url, 100).expect_err("no answer");
        server.join().expect("it ends");
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn more_bytes_than_allowed_are_not_taken_even_if_no_length_is_given() {
    let long: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(10_000)).into_boxed_str());
    let (url, server) = server(long.as_bytes(), Duration::ZERO);
    assert_eq!(ask(&url, 100).expect_err("too long").code(), "HTTP_TOO_LARGE");
    server.join().expect("it ends");
}

#[test]
fn a_server_that_is_silent_or_absent_does_not_hold_the_caller() {
    let (url, server) = server(b"", Duration::from_secs(2));
    let limits = HttpLimits { connect: SHORT, call: SHORT, max_answer: 100 };
    let error = Client::new(limits).post_json(&url, &[], "{}", Duration::ZERO);
    assert_eq!(error.expect_err("silence").code(), "HTTP_TIMEOUT");
    server.join().expect("it ends");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", gone.local_addr().expect("an address"));
    drop(gone);
    let error = ask(&Url::new(&url).expect("an address"), 100).expect_err("nobody");
    assert_eq!(error.code(), "HTTP_UNREACHABLE", "{error}");
}

#[test]
fn only_plain_addresses_of_servers_are_addresses() {
    for good in ["http://localhost:3000", "http://127.0.0.1:1/", "http://[::1]:80/v1"] {
        assert_eq!(Url::new(good).expect(good).as_str(), good);
    }
    let long = format!("http://{}/", "a".repeat(3000));
    let bad = ["", "localhost:3000", "ftp://x/", "http://", "http://u:p@x/", "http://x/?a", &long];
    for bad in bad {
        assert_eq!(Url::new(bad).expect_err(bad).code(), "HTTP_URL");
    }
    assert_eq!(Url::new("https://x/").is_ok(), cfg!(feature = "tls"));
}
