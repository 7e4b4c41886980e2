//! Decide, from bytes alone, what a payment is worth.
//!
//! This crate is the Tally protocol: its encoding, its objects, the one verifier that every payee
//! and every notary runs, and the state machine of a device. It performs no I/O, reads no clock and
//! draws no randomness: time and random bytes are arguments. It builds without `std`.
//!
//! Validity has three levels, and a type for each: bytes become an object (*structural*), the
//! object is checked on its own ([`evidence::Verified`], *semantic*), and a [`device::Device`]
//! applies it to what it knows (*contextual*).
//!
//! The numbered rules (`LINK-3`, `STEP-2`, …) are in the repository's `spec/` folder.

#![no_std]

extern crate alloc;

pub mod accept;
pub mod amount;
pub mod card;
pub mod cbor;
pub mod coin;
#[cfg(feature = "count")]
pub mod count;
pub mod device;
pub mod evidence;
pub mod fields;
pub mod fork;
pub mod hash;
pub mod id;
pub mod invoice;
pub mod keys;
pub mod link;
pub mod message;
pub mod mint;
pub mod notary;
pub mod object;
pub mod packet;
pub mod policy;
pub mod predicate;
pub mod seal;
pub mod tier;
pub mod time;
pub mod trade;
pub mod transaction;
