//! A module without a single import: no clock, no random numbers, no files, no network. Two agents pay
//! and settle in it, with keys that follow from what the caller gives.
//!
//! Linked without `std`, so that the absence of imports says something: `std` would stand in for a
//! clock or a thread by a panic at run time.

#![no_std]

extern crate alloc;

mod heap;
mod payment;

/// One agent pays `units` of 1,000 to another, over an encrypted session, all from `entropy`.
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

/// The same payment, which the payee then has certified; returns how many transactions are by then.
#[unsafe(no_mangle)]
pub extern "C" fn payee_settles(entropy: u32, units: u64) -> u64 {
    payment::settled(entropy, units)
}

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
