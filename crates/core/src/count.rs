//! Count the signatures that this process makes and checks, to show what a payment costs.
//!
//! Only with the feature `count`, which nothing but the measurements turns on.

use core::sync::atomic::{AtomicUsize, Ordering};

pub(crate) static MADE: AtomicUsize = AtomicUsize::new(0);
pub(crate) static CHECKED: AtomicUsize = AtomicUsize::new(0);

/// How many signatures this process has made, and how many it has checked.
pub fn signatures() -> (usize, usize) {
    (MADE.load(Ordering::Relaxed), CHECKED.load(Ordering::Relaxed))
}

pub(crate) fn one(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}
