//! Read what a client asks: JSON-RPC 2.0 over the methods of the notary, from untrusted bytes.
//!
//! Pure, and the whole of the parsing: [`parse`] turns a body into [`Call`]s or into a [`Fault`] that says
//! which rule was broken. Nothing here allocates more than a small multiple of the body, and the body is
//! limited to [`MAX_BODY`] before it comes here.
//!
//! ```
//! use tally_notary::call::{parse, Body, Call};
//!
//! let body = br#"{"jsonrpc":"2.0","id":"7","method":"get_block_height","params":{}}"#;
//! let Body::One(request) = parse(body) else { unreachable!() };
//! assert_eq!(request.id.as_str(), "\"7\"");
//! assert_eq!(request.call, Ok(Call::Height));
//! ```

mod envelope;
mod fault;
mod params;

pub use envelope::{Body, Id, Request, parse};
pub use fault::{Fault, FaultCode};
pub use params::{BlockNumber, Call};

/// Longest body, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// Deepest nesting of a body. What the methods take is at most 4 deep, in an array of calls 5.
pub const MAX_JSON_DEPTH: usize = 16;

/// Most calls in one array.
pub const MAX_CALLS: usize = 16;

/// Longest id of a call, in bytes as it is written.
pub const MAX_ID: usize = 128;

/// Names of all methods, in the order of their documentation.
pub const METHODS: [&str; 13] = [
    "certification_request",
    "get_inclusion_proof.v2",
    "get_block_height",
    "get_block",
    "get_block_records",
    "get_no_deletion_proof",
    "certify",
    "get_exclusion_proof",
    "get_consistency_proof",
    "submit_fork_proof",
    "get_fork_proofs",
    "get_status",
    "get_presence",
];

#[cfg(test)]
mod tests;
