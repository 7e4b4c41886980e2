//! Memory that grows and is never given back: one payment needs little.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::sync::atomic::{AtomicUsize, Ordering};

const PAGE: usize = 64 * 1024;

struct Heap {
    /// The first byte that is free; 0 before the first use.
    next: AtomicUsize,
}

// SAFETY: each block lies between the old and the new `next`, in memory that the module grew itself,
// so no two overlap; a module has one thread.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let free = match self.next.load(Ordering::Relaxed) {
            0 => memory_size(0) * PAGE,
            free => free,
        };
        let start = free.next_multiple_of(layout.align());
        let Some(end) = start.checked_add(layout.size()) else {
            return core::ptr::null_mut();
        };
        let missing = end.saturating_sub(memory_size(0) * PAGE).div_ceil(PAGE);
        if missing > 0 && memory_grow(0, missing) == usize::MAX {
            return core::ptr::null_mut();
        }
        self.next.store(end, Ordering::Relaxed);
        start as *mut u8
    }

    unsafe fn dealloc(&self, _pointer: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static HEAP: Heap = Heap { next: AtomicUsize::new(0) };
