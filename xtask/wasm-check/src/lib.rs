//! A module without a single import: no clock, no random numbers, no files, no network. What the
//! agent is made of pays in it, with entropy that the caller gives.
//!
//! Linked without `std`, so that the absence of imports says something: `std` would stand in for a
//! clock or a thread by a panic at run time.

#![no_std]

extern crate alloc;

// A crate that nobody names is not linked.
extern crate tally_agent as _;

mod heap;
mod payment;

/// One device pays `units` of 1,000 to another, over an encrypted session, all from `entropy`.
///
/// Returns what the payee has afterwards, in units.
#[unsafe(no_mangle)]
pub extern "C" fn payee_has(entropy: u32, units: u64) -> u64 {
    payment::run(entropy, units)[1]
}

/// The same payment; returns what the payer has afterwards, in units.
#[unsafe(no_mangle)]
pub extern "C" fn payer_has(entropy: u32, units: u64) -> u64 {
    payment::run(entropy, units)[0]
}

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
