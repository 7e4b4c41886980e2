//! Runs one function over several pieces of work, on several threads where the platform has them.

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
            scope.spawn(work);
        }
        work();
    });
}

/// Calls `run` on every item, one after the other.
#[cfg(not(feature = "std"))]
pub(crate) fn for_each<T>(_threads: usize, items: impl Iterator<Item = T>, run: impl Fn(T)) {
    items.for_each(run);
}
