//! What every [`Store`] has to hold, whatever keeps it: run against each one.
//!
//! A commit that says `Ok` is there after any loss of power; one that says anything else is there whole or
//! not at all; whoever is behind writes and confirms nothing. Types cannot see whether an `Ok` is true, so
//! this is part of the trait.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use tally_agent::{Batch, Issued, Store};
use tally_core::device::{Change, Forgotten};
use tally_core::id::{AssetId, DeviceId, Head, TxId};

use crate::Scene;

/// What is durable, as a program reads it that starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// The device's records.
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The sessions with each contact.
    pub sessions: BTreeMap<DeviceId, Vec<u8>>,
    /// What was issued.
    pub issued: BTreeMap<AssetId, Issued>,
    /// The packets whose repetition is recognised, the oldest first.
    pub packets: Vec<([u8; 32], TxId)>,
    /// Records of the shell, without those that are the store's own.
    pub meta: BTreeMap<String, Vec<u8>>,
    /// The last signed step of which the journal is known to know.
    pub observed: Option<Head>,
}

impl Contents {
    /// Writes a batch.
    pub fn write(&mut self, batch: &Batch) {
        batch.changes.iter().for_each(|change| self.put(change));
        self.sessions.extend(batch.sessions.iter().cloned());
        for contact in batch.gone() {
            self.sessions.remove(&contact);
        }
        self.issued.extend(batch.issued.iter().copied());
        let known =
            |packet: &([u8; 32], TxId)| self.packets.iter().any(|known| known.0 == packet.0);
        let new = batch.packet.filter(|packet| !known(packet));
        self.packets.extend(new);
        self.meta
            .extend(batch.meta.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.observed = batch.observed.or(self.observed);
    }

    /// Writes a record of the device.
    pub fn put(&mut self, change: &Change) {
        match change.value() {
            Some(value) => self.records.insert(change.key(), value),
            None => self.records.remove(&change.key()),
        };
    }

    fn with(&self, batch: &Batch) -> Self {
        let mut with = self.clone();
        with.write(batch);
        with
    }
}

/// A place that keeps what a kind of store writes. Each begins without records.
pub trait Medium {
    /// What writes there.
    type Store: Store<Error: Debug>;

    /// Opens what is there, and reads it, as a program does that starts.
    fn open(&mut self) -> (Self::Store, Contents);

    /// The program lets others open what is there, and does not end.
    fn leave(&mut self, _: &mut Self::Store) {}

    /// It has it open again, and does not read it anew.
    fn come_back(&mut self, _: &mut Self::Store) {}

    /// Has power fail for this store at the `nth` thing, from 0 on, that it does with the medium from now on:
    /// from then on nothing that it does has any effect. `luck` says what becomes of what was not made
    /// durable until then: the medium may keep all of it, any part, or nothing.
    fn cut(&mut self, store: &mut Self::Store, nth: u32, luck: Luck);

    /// Power is back, whether or not it had failed. Gives how much the store did with the medium until then.
    /// No store of before is used again.
    fn power(&mut self) -> u32;
}

/// What a loss of power leaves of what was written and not made durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Luck {
    /// All of it.
    All,
    /// Nothing of it.
    Nothing,
    /// Some of it, in no order, and a part of the last.
    Torn,
}

/// Whether an error says that somebody else has written.
pub type IsMoved<E> = fn(&E) -> bool;

/// Sees whether a kind of store holds what every store has to. `fresh` makes a place without records.
pub fn conforms<M: Medium>(fresh: impl Fn() -> M, is_moved: IsMoved<<M::Store as Store>::Error>) {
    let batches = batches();
    what_is_committed_is_read(&mut fresh(), &batches);
    nothing_to_write_is_confirmed(&mut fresh());
    whoever_is_behind_loses(&mut fresh(), is_moved);
    what_is_dropped_is_whole_or_nothing(&mut fresh(), &batches);
    for luck in [Luck::All, Luck::Nothing, Luck::Torn] {
        for nth in 0..batches.len() {
            let (mut known, batch) = (batches.clone(), batches[nth].clone());
            known.remove(nth);
            power_fails_anywhere(&fresh, &known, &batch, luck);
        }
    }
}

/// Batches of every kind, one of them large.
fn batches() -> Vec<Batch> {
    let mut scene = Scene::new(2, 1000);
    scene.pay(0, 1, 10).expect("a payment");
    let (contact, asset, changes) = (scene.id(1), scene.asset, scene.people[0].disk.changes());
    let issued = vec![(asset, Issued { next: 3, total: 7 })];
    let observed = Some(Head::new([7; 32]));
    let packet = Some(([8; 32], TxId::new([9; 32])));
    let sessions: Vec<_> =
        (0..=255).map(|of| (DeviceId::new([of; 32]), vec![of; 1 << 10])).collect();
    let gone = Change::Forgotten(Forgotten::Contact(contact));
    vec![
        Batch { changes, sessions: vec![(contact, vec![5; 400])], ..Batch::default() },
        Batch { issued, packet, observed, ..Batch::default() },
        Batch { changes: vec![gone], meta: vec![("note", vec![1])], ..Batch::default() },
        Batch { sessions, meta: vec![("note", vec![2; 1 << 18])], ..Batch::default() },
    ]
}

fn commit<S: Store>(store: &mut S, batch: &Batch) -> Result<(), S::Error> {
    crate::person::at_once(store.commit(batch))
}

fn reads<M: Medium>(medium: &mut M) -> Contents {
    medium.open().1
}

/// What is committed is what a program reads that starts, batch after batch.
fn what_is_committed_is_read<M: Medium>(medium: &mut M, batches: &[Batch]) {
    let mut expected = reads(medium);
    for batch in batches {
        let (mut store, read) = medium.open();
        assert!(read == expected, "it is read as it was written");
        commit(&mut store, batch).expect("written");
        expected.write(batch);
        commit(&mut store, batch).expect("the same store goes on");
        expected.write(batch);
        drop(store);
        assert!(reads(medium) == expected, "nothing else is there");
    }
}

/// An empty batch writes nothing, and is confirmed.
fn nothing_to_write_is_confirmed<M: Medium>(medium: &mut M) {
    let (mut store, before) = medium.open();
    for _ in 0..2 {
        commit(&mut store, &Batch::default()).expect("nobody else has written");
    }
    drop(store);
    assert!(reads(medium) == before, "nothing was written");
}

/// Whoever has not read what somebody else wrote writes nothing and confirms nothing.
fn whoever_is_behind_loses<M: Medium>(
    medium: &mut M,
    is_moved: IsMoved<<M::Store as Store>::Error>,
) {
    let [first, second] =
        [1, 2].map(|value| Batch { meta: vec![("note", vec![value])], ..Batch::default() });
    for late in [Batch::default(), first] {
        let (mut stale, _) = medium.open();
        medium.leave(&mut stale);
        let (mut other, before) = medium.open();
        commit(&mut other, &second).expect("it has read all");
        drop(other);
        medium.come_back(&mut stale);
        for _ in 0..2 {
            let error = commit(&mut stale, &late).expect_err("it is behind, and stays so");
            assert!(is_moved(&error), "{error:?}");
        }
        drop(stale);
        assert!(
            reads(medium) == before.with(&second),
            "an error that is no loss of power: nothing is stored"
        );
        let (mut anew, _) = medium.open();
        commit(&mut anew, &late).expect("who has read all goes on");
    }
}

/// A commit that nobody waits for is there whole or not at all; one that was never begun is not.
fn what_is_dropped_is_whole_or_nothing<M: Medium>(medium: &mut M, batches: &[Batch]) {
    for batch in batches {
        let (mut store, before) = medium.open();
        drop(store.commit(batch));
        drop(store);
        assert!(reads(medium) == before, "it was never begun");
        let (mut store, _) = medium.open();
        let begun = pin!(store.commit(batch)).poll(&mut Context::from_waker(Waker::noop()));
        let is_done = matches!(begun, Poll::Ready(Ok(())));
        drop(begun);
        drop(store);
        is_whole(&reads(medium), &before, batch, is_done);
    }
}

/// Power may fail at anything that a commit does with its medium.
fn power_fails_anywhere<M: Medium>(
    fresh: impl Fn() -> M,
    known: &[Batch],
    batch: &Batch,
    luck: Luck,
) {
    let all = power_fails(&mut fresh(), known, batch, u32::MAX, luck);
    assert!(all > 0, "nothing was done with the medium");
    // Of much that is alike in the middle some are enough.
    let some = usize::try_from(all / 12).unwrap_or(0).max(1);
    let ends = (0..all).filter(|nth| *nth < 6 || nth.saturating_add(12) > all);
    let between = (0..all).step_by(some);
    for nth in ends.chain(between) {
        assert_eq!(power_fails(&mut fresh(), known, batch, nth, luck), nth);
    }
}

fn power_fails<M: Medium>(
    medium: &mut M,
    known: &[Batch],
    batch: &Batch,
    nth: u32,
    luck: Luck,
) -> u32 {
    let (mut store, _) = medium.open();
    for known in known {
        commit(&mut store, known).expect("power is there");
    }
    drop(store);
    let (mut store, before) = medium.open();
    assert!(before.with(batch) != before, "what is lost shows");
    medium.cut(&mut store, nth, luck);
    let is_done = commit(&mut store, batch).is_ok();
    drop(store);
    let done = medium.power();
    let (mut store, after) = medium.open();
    is_whole(&after, &before, batch, is_done);
    assert!(is_done || nth < done.saturating_add(1), "only power stops it");
    commit(&mut store, batch).expect("it goes on");
    drop(store);
    is_whole(&reads(medium), &after, batch, true);
    done
}

/// What is there is the old or the new; after `Ok`, the new.
fn is_whole(after: &Contents, before: &Contents, batch: &Batch, is_done: bool) {
    let is_new = *after == before.with(batch);
    assert!(is_new || (!is_done && after == before), "neither the old nor the new, or not kept");
}
