//! Runs one function over several pieces of work, on several threads where the platform has them.

use alloc::vec::Vec;

/// What `run` gives for each item, in their order, on up to `threads` threads.
pub(crate) fn map<T: Send, R: Send>(
    threads: usize,
    items: Vec<T>,
    run: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    for_each(threads, items.into_iter().zip(&mut results), |(item, result)| {
        *result = Some(run(item));
    });
    results.into_iter().flatten().collect()
}

/// Calls `run` on every item, on up to `threads` threads; each takes the next item when it is done
/// with one.
#[cfg(feature = "std")]
pub(crate) fn for_each<T: Send>(
    threads: usize,
    items: impl Iterator<Item = T> + Send,
    run: impl Fn(T) + Sync,
) {
    if threads <= 1 {
        return items.for_each(run);
    }
    let queue = std::sync::Mutex::new(items);
    let work = || {
        loop {
            // A poisoned lock means that another thread panicked in `next`; the scope passes that
            // panic on.
            let Some(item) = queue.lock().ok().and_then(|mut queue| queue.next()) else {
                return;
            };
            run(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread is to be had, those that are there do all of the work.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}

/// Calls `run` on every item, one after the other.
#[cfg(not(feature = "std"))]
pub(crate) fn for_each<T>(_threads: usize, items: impl Iterator<Item = T>, run: impl Fn(T)) {
    items.for_each(run);
}
