//! Say what was wrong with a call, in the codes of JSON-RPC and of the wire format.

use std::time::Duration;

/// The number that a client sees: those of JSON-RPC 2.0, and those that the wire format adds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FaultCode {
    /// The body is not JSON.
    Parse,
    /// The body is no call.
    Request,
    /// There is no such method.
    Method,
    /// The parameters are not the method's.
    Params,
    /// The node failed.
    Internal,
    /// An object in the parameters does not decode or is not what it claims.
    Validation,
    /// There is no such block.
    NoBlock,
    /// The node cannot store.
    Storage,
    /// The node, or the caller's quota, is exhausted for now.
    Overload,
}

impl FaultCode {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::Request => -32600,
            Self::Method => -32601,
            Self::Params => -32602,
            Self::Internal => -32603,
            Self::Validation => -32000,
            Self::NoBlock => -32003,
            Self::Storage => -32004,
            Self::Overload => -32006,
        }
    }
}

/// Longest message of a fault, in bytes: it may quote what the client sent.
const MAX_MESSAGE: usize = 400;

/// Why a call has no result.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fault {
    /// The number.
    pub code: FaultCode,
    /// What happened and what to do next, for people.
    pub message: String,
    /// A stable word for programs.
    pub word: &'static str,
    /// When it is worth trying again, where that is known.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault that trying again does not mend.
    pub fn new(code: FaultCode, word: &'static str, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        Self { code, message, word, retry_after: None }
    }

    /// A fault that goes away by waiting.
    pub fn later(word: &'static str, message: impl Into<String>, after: Duration) -> Self {
        Self { retry_after: Some(after), ..Self::new(FaultCode::Overload, word, message) }
    }
}
