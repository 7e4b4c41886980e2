//! Count what the interface does, as Prometheus reads it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::call::METHODS;

/// Upper bounds of the buckets of answering times, in seconds.
const BOUNDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0];

/// Why something was turned away before it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    Connection,
    InFlight,
    Memory,
    Heavy,
    TooLarge,
    TooSlow,
    Quota,
    Key,
}

const TURNED: [(Turned, &str); 8] = [
    (Turned::Connection, "connections"),
    (Turned::InFlight, "in_flight"),
    (Turned::Memory, "memory"),
    (Turned::Heavy, "heavy"),
    (Turned::TooLarge, "too_large"),
    (Turned::TooSlow, "too_slow"),
    (Turned::Quota, "quota"),
    (Turned::Key, "key"),
];

/// All counters of an interface. Calls without a known method are counted behind the last method.
#[derive(Debug, Default)]
pub(super) struct Counters {
    results: [AtomicU64; METHODS.len() + 1],
    faults: [AtomicU64; METHODS.len() + 1],
    times: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    turned: [AtomicU64; TURNED.len()],
    connections: Arc<AtomicU64>,
    accepted: AtomicU64,
    calls: Arc<AtomicU64>,
}

/// Something open, counted until it is dropped.
pub(super) struct Open(Arc<AtomicU64>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    pub(super) fn connection(&self) -> Open {
        self.accepted.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed);
        Open(self.connections.clone())
    }

    pub(super) fn connection_refused(&self) {
        self.turned(Turned::Connection);
    }

    pub(super) fn call(&self) -> Open {
        self.calls.fetch_add(1, Relaxed);
        Open(self.calls.clone())
    }

    pub(super) fn answered(&self, method: Option<&'static str>, ok: bool, took: Duration) {
        let index = method.and_then(|name| METHODS.iter().position(|known| *known == name));
        let kind = if ok { &self.results } else { &self.faults };
        kind[index.unwrap_or(METHODS.len())].fetch_add(1, Relaxed);
        let bucket = BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound);
        self.times[bucket.unwrap_or(BOUNDS.len())].fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn turned(&self, why: Turned) {
        let index = TURNED.iter().position(|(known, _)| *known == why);
        self.turned[index.unwrap_or(0)].fetch_add(1, Relaxed);
    }

    /// The counters in the text format of Prometheus, version 0.0.4.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(4096);
        self.write(&mut text).expect("a string takes what is written");
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        head(to, "tally_rpc_calls_total", "counter", "Calls answered, by method and outcome.")?;
        for (index, name) in METHODS.into_iter().chain(["other"]).enumerate() {
            for (outcome, counts) in [("result", &self.results), ("fault", &self.faults)] {
                let count = counts[index].load(Relaxed);
                let labels = format!("method=\"{name}\",outcome=\"{outcome}\"");
                writeln!(to, "tally_rpc_calls_total{{{labels}}} {count}")?;
            }
        }
        self.write_times(to)?;
        let what = "Connections and calls turned away, by reason.";
        head(to, "tally_rpc_turned_away_total", "counter", what)?;
        for ((_, why), count) in TURNED.iter().zip(&self.turned) {
            writeln!(
                to,
                "tally_rpc_turned_away_total{{reason=\"{why}\"}} {}",
                count.load(Relaxed)
            )?;
        }
        for (name, kind, what, value) in [
            ("tally_rpc_connections", "gauge", "Open connections.", &*self.connections),
            ("tally_rpc_connections_total", "counter", "Connections taken.", &self.accepted),
            ("tally_rpc_posts_open", "gauge", "Posts being worked on.", &*self.calls),
        ] {
            head(to, name, kind, what)?;
            writeln!(to, "{name} {}", value.load(Relaxed))?;
        }
        Ok(())
    }

    fn write_times(&self, to: &mut String) -> std::fmt::Result {
        const NAME: &str = "tally_rpc_seconds";
        head(to, NAME, "histogram", "Time to answer a call, waiting for its outcome included.")?;
        let mut count = 0;
        for (bound, times) in BOUNDS.iter().zip(&self.times) {
            count += times.load(Relaxed);
            writeln!(to, "{NAME}_bucket{{le=\"{bound}\"}} {count}")?;
        }
        count += self.times[BOUNDS.len()].load(Relaxed);
        writeln!(to, "{NAME}_bucket{{le=\"+Inf\"}} {count}")?;
        let seconds = Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64();
        writeln!(to, "{NAME}_sum {seconds}\n{NAME}_count {count}")
    }
}

fn head(to: &mut String, name: &str, kind: &str, what: &str) -> std::fmt::Result {
    writeln!(to, "# HELP {name} {what}\n# TYPE {name} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let counters = Counters::default();
        for millis in [0, 7, 300, 60_000] {
            counters.answered(Some("certify"), true, Duration::from_millis(millis));
        }
        counters.answered(None, false, Duration::ZERO);
        let text = counters.text();
        for line in [
            "tally_rpc_seconds_bucket{le=\"0.001\"} 2",
            "tally_rpc_seconds_bucket{le=\"0.01\"} 3",
            "tally_rpc_seconds_bucket{le=\"20\"} 4",
            "tally_rpc_seconds_bucket{le=\"+Inf\"} 5",
            "tally_rpc_seconds_count 5",
            "tally_rpc_calls_total{method=\"certify\",outcome=\"result\"} 4",
            "tally_rpc_calls_total{method=\"other\",outcome=\"fault\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_open_is_counted_until_it_is_dropped() {
        let counters = Counters::default();
        let open = counters.connection();
        assert!(counters.text().contains("tally_rpc_connections 1\n"));
        drop(open);
        assert!(counters.text().contains("tally_rpc_connections 0\n"));
        assert!(counters.text().contains("tally_rpc_connections_total 1\n"));
    }
}
