//! Ask a server over HTTP: a JSON text goes there, and one comes back.
//!
//! A small client that blocks and keeps its connections open between calls. It follows no redirect,
//! knows no proxy and no cookie, and takes neither more bytes nor more time than it was told. What the
//! texts say is not its business, and whoever acts on an answer has to check it: nothing here
//! authenticates the server unless the address begins with `https`, for which the feature `tls` is
//! needed.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use thiserror::Error;
use ureq::Agent;
use ureq::http::{Response, Uri};

#[cfg(test)]
mod tests;

/// Longest answer that is taken unless the limits say otherwise, in bytes (8 MiB).
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Longest address of a server, in bytes.
pub const MAX_URL: usize = 2048;
/// Most of a server's own words that an error repeats, in characters.
const MAX_WORDS: usize = 200;

/// How long and how much a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Time to reach the server.
    pub connect: Duration,
    /// Time for the whole call, from its first byte to the answer's last.
    pub call: Duration,
    /// Longest answer, in bytes.
    pub max_answer: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(30),
            max_answer: MAX_ANSWER,
        }
    }
}

/// Where a server is: an absolute `http` or `https` address without user, query or fragment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Url(String);

impl Url {
    /// Takes an address.
    ///
    /// # Errors
    /// [`HttpError::Url`] when it is none, or names a scheme that this build does not speak.
    pub fn new(text: &str) -> Result<Self, HttpError> {
        let refused = |reason| HttpError::Url { url: shortened(text), reason };
        if text.len() > MAX_URL {
            return Err(refused("it is too long"));
        }
        let uri: Uri = text.parse().map_err(|_| refused("it is no address"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") if cfg!(feature = "tls") => {}
            Some("https") => return Err(refused("this program was built without TLS")),
            _ => return Err(refused("it does not begin with http://")),
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(refused("it names no host"));
        }
        let user = uri.authority().is_some_and(|a| a.as_str().contains('@'));
        if user || uri.query().is_some() || text.contains('#') {
            return Err(refused("it has a user, a query or a fragment"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a call has no answer, and what to do next.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address cannot be used.
    #[error("{url} is not a usable address: {reason}; give it as http://host:port/")]
    Url {
        /// The address as it was given, shortened.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answered there, or the connection broke.
    #[error(
        "could not reach {url}: {reason}; check the address and the connection, then try again"
    )]
    Unreachable {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The server took longer than the limit.
    #[error("{url} did not answer within {limit:?}; try again, or ask another server")]
    Timeout {
        /// The address.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// The server answers with another status than 200.
    #[error("{url} answers with status {status}: {words}; check the address, or try again later")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of what it says.
        words: String,
    },
    /// The answer is longer than the limit.
    #[error("the answer of {url} is over the limit of {max} bytes; ask another server")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit.
        max: usize,
    },
    /// The answer is no text over HTTP.
    #[error("{url} does not answer with text over HTTP: {reason}; check the address and port")]
    Malformed {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
}

impl HttpError {
    /// Stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "HTTP_URL",
            Self::Unreachable { .. } => "HTTP_UNREACHABLE",
            Self::Timeout { .. } => "HTTP_TIMEOUT",
            Self::Status { .. } => "HTTP_STATUS",
            Self::TooLarge { .. } => "HTTP_TOO_LARGE",
            Self::Malformed { .. } => "HTTP_MALFORMED",
        }
    }
}

/// A client, with its open connections.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    limits: HttpLimits,
}

impl Client {
    /// A client that keeps to these limits.
    pub fn new(limits: HttpLimits) -> Self {
        let config = Agent::config_builder()
            .timeout_connect(Some(limits.connect))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("tally/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), limits }
    }

    /// The same client, with the same open connections, for calls of other limits. The time to reach
    /// a server stays as it was.
    pub fn limited(&self, limits: HttpLimits) -> Self {
        let connect = self.limits.connect;
        Self { agent: self.agent.clone(), limits: HttpLimits { connect, ..limits } }
    }

    /// Posts a JSON text, with further headers, and gives the text of the answer. `longer` is added
    /// to the time limit: for calls that the server is asked to hold open.
    ///
    /// # Errors
    /// [`HttpError`]. After any of them the server may or may not have acted on what it got.
    pub fn post_json(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        json: &str,
        longer: Duration,
    ) -> Result<String, HttpError> {
        let limit = self.limits.call.saturating_add(longer);
        let mut request =
            self.agent.post(url.as_str()).config().timeout_global(Some(limit)).build();
        request = request.header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send(json).map_err(|error| self.failed(url, limit, error))?;
        self.read(url, limit, answer)
    }

    fn read(
        &self,
        url: &Url,
        limit: Duration,
        mut answer: Response<ureq::Body>,
    ) -> Result<String, HttpError> {
        let status = answer.status().as_u16();
        let max = self.limits.max_answer;
        let body = answer.body_mut().with_config().limit(max as u64).read_to_vec();
        let body = body.map_err(|error| self.failed(url, limit, error));
        if status != 200 {
            let words = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
            return Err(HttpError::Status { url: url.0.clone(), status, words: shortened(&words) });
        }
        String::from_utf8(body?).map_err(|_| HttpError::Malformed {
            url: url.0.clone(),
            reason: "the answer is not UTF-8".into(),
        })
    }

    fn failed(&self, url: &Url, limit: Duration, error: ureq::Error) -> HttpError {
        let url = url.0.clone();
        let reason = shortened(&error.to_string());
        match error {
            ureq::Error::Timeout(_) => HttpError::Timeout { url, limit },
            ureq::Error::BodyExceedsLimit(_) => {
                HttpError::TooLarge { url, max: self.limits.max_answer }
            }
            ureq::Error::Io(e) if e.kind() == ErrorKind::TimedOut => {
                HttpError::Timeout { url, limit }
            }
            ureq::Error::Io(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Tls(_) => HttpError::Unreachable { url, reason },
            _ => HttpError::Malformed { url, reason },
        }
    }
}

/// The beginning of a text, on one line.
fn shortened(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_WORDS).collect()
}
