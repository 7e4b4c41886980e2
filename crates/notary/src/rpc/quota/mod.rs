//! Decide who may ask how much: requests a second and a month, by key or by address.
//!
//! The subscription file is JSON, read at start and again whenever it changes; a file that does not read
//! leaves the old one in force. Keys themselves are not in it, only their SHA-256:
//!
//! ```json
//! {
//!   "anonymous": { "per_second": 20, "may_certify": false },
//!   "keys": [ { "name": "shop", "sha256": "9f86…0a08", "per_second": 100, "per_month": 1000000 } ]
//! }
//! ```
//!
//! A key comes in the header `X-API-Key`. Each call counts once, each of an array too. Without a key,
//! `anonymous` applies to each address by itself; it has no count for the month. How much of a month is
//! used is kept in a file beside the subscription file, so that a restart gives nothing away.

mod bucket;
mod file;
mod month;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tally_core::hash::sha256;
use tokio::time::Instant;

use super::Clock;
use bucket::Bucket;
pub use file::{Allowance, MAX_KEYS, MAX_SUBSCRIPTION_FILE, QuotaError, Subscriptions};
use file::{KeyHash, Usage};
use month::Month;

/// How often the file is looked at, and use written down.
pub(super) const REFRESH: Duration = Duration::from_secs(2);

/// Most addresses that are remembered; beyond it, those that have been quiet are forgotten first.
pub const MAX_ADDRESSES: usize = 65_536;

/// What a caller may not do, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// A key is needed for this.
    KeyNeeded,
    /// There is no such key.
    KeyUnknown,
    /// Too much in this second.
    Second(Duration),
    /// Too much in this month.
    Month(Duration),
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Who {
    Key(KeyHash),
    Address(IpAddr),
}

/// The subscriptions in force, and what was used of them.
#[derive(Debug)]
pub(super) struct Quotas {
    path: Option<PathBuf>,
    clock: Clock,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    subscriptions: Subscriptions,
    version: Option<(SystemTime, u64)>,
    buckets: HashMap<Who, Bucket>,
    month: Month,
    used: BTreeMap<KeyHash, u64>,
    unsaved: bool,
}

impl Quotas {
    /// Reads the subscription file, if there is to be one.
    pub(super) fn open(path: Option<PathBuf>, clock: Clock) -> Result<Self, QuotaError> {
        let mut state = State { month: Month::of(clock.now()), ..State::default() };
        if let Some(path) = &path {
            state.version = version(path);
            state.subscriptions = Subscriptions::read(path)?;
            let usage = Usage::read(&usage_path(path))?;
            if usage.month == state.month {
                state.used = usage.used;
            }
        }
        Ok(Self { path, clock, started: Instant::now(), state: Mutex::new(state) })
    }

    /// Takes `calls` calls of a caller into account, or none of them.
    pub(super) fn admit(
        &self,
        key: Option<&[u8]>,
        address: IpAddr,
        calls: u32,
        certifies: bool,
    ) -> Result<(), Denied> {
        if self.path.is_none() {
            return Ok(());
        }
        let (now, time) = (self.started.elapsed(), self.clock.now());
        let mut guard = self.state();
        let state = &mut *guard;
        let (who, allowance) = match key.map(|key| KeyHash(sha256(key))) {
            Some(hash) => {
                let known = state.subscriptions.key(&hash).ok_or(Denied::KeyUnknown)?;
                (Who::Key(hash), known)
            }
            None => (Who::Address(address), state.subscriptions.anonymous()),
        };
        if certifies && !allowance.may_certify {
            return Err(Denied::KeyNeeded);
        }
        state.count_month(who, &allowance, calls, Month::of(time)).map_err(|()| {
            Denied::Month(Duration::from_secs(Month::of(time).next().starts().since(time)))
        })?;
        if let Err(wait) = state.count_second(who, &allowance, calls, now) {
            state.give_back(who, calls);
            return Err(Denied::Second(wait));
        }
        Ok(())
    }

    /// Reads the subscription file again if it changed, and writes down what was used.
    pub(super) fn refresh(&self) {
        let Some(path) = &self.path else { return };
        let found = version(path);
        if found.is_some() && found != self.state().version {
            match Subscriptions::read(path) {
                Ok(subscriptions) => {
                    self.state().subscriptions = subscriptions;
                    tracing::info!("subscriptions read again");
                }
                Err(error) => tracing::warn!(%error, "subscriptions stay as they were"),
            }
            self.state().version = found;
        }
        self.save();
    }

    /// Writes down what was used this month.
    pub(super) fn save(&self) {
        let Some(path) = &self.path else { return };
        let usage = {
            let mut state = self.state();
            if !std::mem::take(&mut state.unsaved) {
                return;
            }
            Usage { month: state.month, used: state.used.clone() }
        };
        if let Err(error) = replace(&usage_path(path), &usage.to_json()) {
            self.state().unsaved = true;
            tracing::warn!(%error, "cannot write down what was used of the quotas");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counting does not panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count_month(
        &mut self,
        who: Who,
        allowance: &Allowance,
        calls: u32,
        month: Month,
    ) -> Result<(), ()> {
        // A clock that is set back does not give a month a second time.
        if month > self.month {
            self.month = month;
            self.used.clear();
        }
        let Who::Key(key) = who else { return Ok(()) };
        let used = self.used.entry(key).or_default();
        let after = used.saturating_add(calls.into());
        if allowance.per_month.is_some_and(|limit| after > limit) {
            return Err(());
        }
        *used = after;
        self.unsaved = true;
        Ok(())
    }

    fn give_back(&mut self, who: Who, calls: u32) {
        if let Who::Key(key) = who
            && let Some(used) = self.used.get_mut(&key)
        {
            *used = used.saturating_sub(calls.into());
        }
    }

    fn count_second(
        &mut self,
        who: Who,
        allowance: &Allowance,
        calls: u32,
        now: Duration,
    ) -> Result<(), Duration> {
        let Some(rate) = allowance.per_second else { return Ok(()) };
        if self.buckets.len() >= MAX_ADDRESSES && !self.buckets.contains_key(&who) {
            self.buckets.retain(|_, bucket| !bucket.is_idle(now));
            if self.buckets.len() >= MAX_ADDRESSES {
                return Err(Duration::from_secs(1));
            }
        }
        self.buckets.entry(who).or_default().take(rate, calls, now)
    }
}

/// What tells one state of a file from another.
fn version(path: &Path) -> Option<(SystemTime, u64)> {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn usage_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".used");
    name.into()
}

/// Writes a file so that a crash leaves the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = fs::File::create(&name)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&name, path)
}

#[cfg(test)]
mod tests;
