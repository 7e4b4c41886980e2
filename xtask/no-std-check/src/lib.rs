//! Builds only while no crate of the protocol needs `std`: with it, rustc would find two panic
//! handlers. Never run, so the allocator has nothing to give.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};

// A crate that nobody names is not loaded, and what is not loaded is not checked.
extern crate tally_agent as _;
extern crate tally_core as _;
extern crate tally_tree as _;

struct NoMemory;

// SAFETY: a null pointer is how an allocator says that it has no memory left.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _pointer: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
