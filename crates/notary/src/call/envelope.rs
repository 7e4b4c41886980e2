//! The envelope of JSON-RPC 2.0: one call or an array of them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fault::{Fault, FaultCode};
use super::params::Call;
use super::{MAX_BODY, MAX_CALLS, MAX_ID, MAX_JSON_DEPTH};

/// What a body holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// A single call.
    One(Request),
    /// An array of 1 to [`MAX_CALLS`] calls, answered by an array in the same order.
    Many(Vec<Request>),
}

/// A call with the id under which it is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The id.
    pub id: Id,
    /// The method as it was called, if there is one of this name.
    pub method: Option<&'static str>,
    /// What is asked, or why it cannot be.
    pub call: Result<Call, Fault>,
}

/// The id of a call as the client wrote it: a JSON string or number.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Id(Box<str>);

impl Id {
    /// The id of an answer to something without a readable id.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Reads a body. Whatever the bytes are, there is an answer to give: a fault stands where a call would.
pub fn parse(body: &[u8]) -> Body {
    let text = match text(body) {
        Ok(text) => text,
        Err(fault) => return Body::One(Request::refused(Id::null(), fault)),
    };
    if !text.trim_start_matches(WHITESPACE).starts_with('[') {
        return Body::One(request(text));
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(calls) if (1..=MAX_CALLS).contains(&calls.len()) => {
            Body::Many(calls.into_iter().map(|call| request(call.get())).collect())
        }
        Ok(calls) => {
            let message =
                format!("an array of calls has 1 to {MAX_CALLS}, not {}: split it", calls.len());
            let fault = Fault::new(FaultCode::Request, "RPC_CALL_COUNT", message);
            Body::One(Request::refused(Id::null(), fault))
        }
        Err(error) => Body::One(Request::refused(Id::null(), not_json(&error))),
    }
}

const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

impl Request {
    fn refused(id: Id, fault: Fault) -> Self {
        Self { id, method: None, call: Err(fault) }
    }
}

fn text(body: &[u8]) -> Result<&str, Fault> {
    if body.len() > MAX_BODY {
        let message = format!("the body has more than {MAX_BODY} bytes: split it");
        return Err(Fault::new(FaultCode::Request, "RPC_BODY_SIZE", message));
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| Fault::new(FaultCode::Parse, "RPC_NOT_JSON", "the body is not UTF-8 text"))?;
    if depth(body) > MAX_JSON_DEPTH {
        let message = format!("the body is nested deeper than {MAX_JSON_DEPTH}");
        return Err(Fault::new(FaultCode::Parse, "RPC_DEPTH", message));
    }
    Ok(text)
}

/// How deep arrays and objects are nested, as far as the text is JSON at all.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn request(text: &str) -> Request {
    let envelope: Envelope<'_> = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) if error.is_data() => {
            let message = format!("this is no call of JSON-RPC 2.0: {error}");
            let fault = Fault::new(FaultCode::Request, "RPC_NO_CALL", message);
            return Request::refused(Id::null(), fault);
        }
        Err(error) => return Request::refused(Id::null(), not_json(&error)),
    };
    let id = match id(envelope.id) {
        Ok(id) => id,
        Err(fault) => return Request::refused(Id::null(), fault),
    };
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        let message = "the call must say \"jsonrpc\": \"2.0\"";
        return Request::refused(id, Fault::new(FaultCode::Request, "RPC_VERSION", message));
    }
    let Some(name) = envelope.method.as_deref() else {
        let fault = Fault::new(FaultCode::Request, "RPC_NO_METHOD", "the call names no method");
        return Request::refused(id, fault);
    };
    let Some(method) = super::METHODS.into_iter().find(|known| *known == name) else {
        let message = "there is no such method: GET /openapi.json lists them";
        return Request::refused(id, Fault::new(FaultCode::Method, "RPC_NO_SUCH_METHOD", message));
    };
    let params = envelope.params.map(RawValue::get);
    Request { id, method: Some(method), call: Call::read(method, params) }
}

fn id(raw: Option<&RawValue>) -> Result<Id, Fault> {
    let refused = |message: String| Err(Fault::new(FaultCode::Request, "RPC_ID", message));
    let Some(raw) = raw.map(RawValue::get) else {
        return refused("every method has an answer: give the call an \"id\"".into());
    };
    if raw.len() > MAX_ID {
        return refused(format!("the id has more than {MAX_ID} bytes"));
    }
    if raw.starts_with(['{', '[', 't', 'f']) {
        return refused("the id is a string or a number".into());
    }
    Ok(Id(raw.into()))
}

fn not_json(error: &serde_json::Error) -> Fault {
    Fault::new(FaultCode::Parse, "RPC_NOT_JSON", format!("the body is not JSON: {error}"))
}
