use super::*;
use crate::backend::Batch;
use crate::testing::{START, entry, request_until};

const SMALL: Limits = Limits { requests: 3, bytes: 10_000 };

#[test]
fn batches_leave_in_the_order_in_which_they_came() {
    let mut pool = Mempool::new(SMALL);
    for payment in [3, 1, 2] {
        assert_eq!(pool.insert(entry(&[payment], payment)), Ok(true));
    }
    let chosen = pool.select(START, |_| false);
    assert_eq!(chosen, [3, 1, 2].map(|payment| entry(&[payment], payment)));
}

#[test]
fn what_waits_is_limited_in_number_and_bytes_and_a_repeat_is_never_refused() {
    let mut pool = Mempool::new(SMALL);
    assert_eq!(pool.insert(entry(&[1, 2], 1)), Ok(true));
    assert_eq!(pool.insert(entry(&[3, 4], 2)), Err(Full));
    assert_eq!(pool.insert(entry(&[3], 2)), Ok(true));
    assert_eq!(pool.insert(entry(&[5], 3)), Err(Full));
    assert_eq!(pool.insert(entry(&[1, 2], 1)), Ok(false));
    pool.remove(&entry(&[1, 2], 1).id());
    assert_eq!(pool.requests(), 1);
    assert_eq!(pool.insert(entry(&[5], 3)), Ok(true));

    let one = entry(&[1], 1);
    let mut tight = Mempool::new(Limits { bytes: one.as_bytes().len(), ..SMALL });
    assert_eq!(tight.insert(one.clone()), Ok(true));
    assert_eq!(tight.insert(entry(&[2], 2)), Err(Full));
    tight.remove(&one.id());
    assert_eq!((tight.requests(), tight.bytes()), (0, 0));
}

#[test]
fn nothing_is_selected_that_is_on_the_way_or_late() {
    let mut pool = Mempool::new(SMALL);
    let late = Batch::from(request_until(1, 1, Some(START)));
    let late = Entry::new(late).expect("short");
    let (known, other) = (entry(&[2], 2), entry(&[3], 3));
    for entry in [&late, &known, &other] {
        pool.insert(entry.clone()).expect("room");
    }
    let skip = |id: &BatchId| *id == known.id();
    assert_eq!(pool.select(START, skip), std::slice::from_ref(&other));
    assert!(pool.has_other(skip));
    assert_eq!(pool.expire(START), [late.id()], "whoever waits for it is told");
    assert!(!pool.contains(&late.id()));
    pool.remove(&other.id());
    assert!(!pool.has_other(skip));
}

#[test]
fn a_selection_fits_a_block() {
    let mut pool = Mempool::new(Limits { requests: 100_000, bytes: 64 << 20 });
    for payment in 0..MAX_BLOCK_REQUESTS as u64 + 10 {
        pool.insert(entry(&[payment], payment)).expect("room");
    }
    let chosen = pool.select(START, |_| false);
    let genesis = crate::testing::genesis();
    let block = crate::block::Block::new(
        genesis.header(),
        genesis.hash(),
        genesis.header().root,
        START,
        chosen,
    );
    assert!(block.is_ok_and(|block| block.entries().len() > MAX_BLOCK_REQUESTS / 2));
}
