//! How much of each kind of trouble a model explores, and how a result is told.

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Budgets. What is not here is unbounded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Budget {
    /// Messages that arrive once more.
    pub(super) repeats: u8,
    /// Crashes, of anybody.
    pub(super) crashes: u8,
    /// Meetings of two people.
    pub(super) meetings: u8,
}

/// Explores all of a model, or what it takes to find that a property does not hold, and tells how
/// much that was.
pub(super) fn explore<M>(name: &str, model: M) -> impl Checker<M>
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Send + Sync + Clone + PartialEq,
    M::Action: Send + Sync + std::fmt::Debug + Clone + PartialEq,
{
    explore_until(name, model, HasDiscoveries::AnyFailures)
}

/// Fails unless this property does not hold, whatever else does not.
pub(super) fn assert_breaks<M>(name: &str, model: M, property: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Send + Sync + Clone + PartialEq,
    M::Action: Send + Sync + std::fmt::Debug + Clone + PartialEq,
{
    let found = explore_until(name, model, HasDiscoveries::AllOf([property].into()));
    let steps = found.discovery(property).map(stateright::Path::into_actions);
    eprintln!("{name}: {steps:#?}");
    assert!(steps.is_some(), "{name}: nothing breaks");
}

fn explore_until<M>(name: &str, model: M, when: HasDiscoveries) -> impl Checker<M>
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Send + Sync + Clone + PartialEq,
    M::Action: Send + Sync + std::fmt::Debug + Clone + PartialEq,
{
    let began = std::time::Instant::now();
    let checker = model.checker().threads(2).finish_when(when).spawn_bfs().join();
    eprintln!(
        "{name}: {} states, {} of them different, up to {} steps deep, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    checker
}

/// Fails with the steps that lead there, not with the state that they lead to.
pub(super) fn assert_all<M>(name: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: std::fmt::Debug + std::hash::Hash + Send + Sync + Clone + PartialEq,
    M::Action: Send + Sync + std::fmt::Debug + Clone + PartialEq,
{
    let found = explore(name, model);
    for property in found.model().properties() {
        let discovery = found.discovery(property.name).map(stateright::Path::into_actions);
        let sought = property.expectation == Expectation::Sometimes;
        assert_eq!(discovery.is_some(), sought, "{}: {discovery:#?}", property.name);
    }
}
