//! An honest payer who loses its device, restores an old backup, and pays again; two payees.

use std::collections::BTreeSet;

use stateright::{Checker, Model, Property};
use tally_core::amount::Amount;
use tally_core::device::{Basis, Input, Mode};
use tally_core::id::TxId;
use tally_sim::Disk;

use crate::bounds::{Budget, assert_all, explore};
use crate::state::{Did, Envelope, Group, Setting};

const MINTED: u64 = 1000;
const PAYER: usize = 0;

/// Whom the payer pays, each once, at any time.
const PLAN: [(usize, u64); 2] = [(1, 600), (2, 300)];

/// What a wallet does with a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Restoring {
    /// It receives only until it has met everybody.
    AsItShould,
    /// It takes the backup for its latest state.
    WithoutReceiveOnly,
    /// As it should; but a payment was still on its way, and arrives later.
    WhileSomethingIsOnItsWay,
}

#[derive(Clone, Debug)]
struct Recovery {
    setting: Setting,
    budget: Budget,
    restoring: Restoring,
    /// Whether people also meet before the backup is restored.
    early_meetings: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    group: Group,
    backup: Option<Disk>,
    restored: bool,
    paid: [bool; 2],
    budget: Budget,
    /// What the payer signed and somebody else has, or may get: the step and the payment.
    signed: BTreeSet<(u64, TxId)>,
    /// Payments that were signed after the backup was restored.
    signed_since: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Action {
    Pay(usize),
    Deliver(Envelope),
    Repeat(Envelope),
    DieOver(Envelope),
    Crash(usize),
    BackUp,
    Restore,
    Meet(usize),
    Confirm,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pay(n) => write!(f, "payment {n} begins"),
            Self::Deliver(envelope) => write!(f, "{}", envelope.label()),
            Self::Repeat(envelope) => write!(f, "{}, and is still on its way", envelope.label()),
            Self::DieOver(envelope) => write!(f, "{}, who dies over it", envelope.label()),
            Self::Crash(node) => write!(f, "{node} crashes"),
            Self::BackUp => write!(f, "the payer makes a backup"),
            Self::Restore => write!(f, "the payer restores its backup"),
            Self::Meet(payee) => write!(f, "the payer meets {payee}"),
            Self::Confirm => write!(f, "the payer confirms its recovery"),
        }
    }
}

impl Model for Recovery {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            group: self.setting.start.clone(),
            backup: None,
            restored: false,
            paid: [false; 2],
            budget: self.budget,
            signed: BTreeSet::new(),
            signed_since: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let open = state.paid.iter().enumerate().filter(|(_, paid)| !**paid);
        actions.extend(open.map(|(n, _)| Action::Pay(n)));
        for envelope in &state.group.network {
            actions.push(Action::Deliver(envelope.clone()));
            if state.budget.repeats > 0 {
                actions.push(Action::Repeat(envelope.clone()));
            }
            if state.budget.crashes > 0 {
                actions.push(Action::DieOver(envelope.clone()));
            }
        }
        if state.budget.crashes > 0 {
            actions.extend((0..state.group.nodes.len()).map(Action::Crash));
        }
        if !state.restored {
            let now = if state.backup.is_none() { Action::BackUp } else { Action::Restore };
            actions.push(now);
        } else if state.group.device(PAYER).mode() != &Mode::Normal {
            actions.push(Action::Confirm);
        }
        if state.budget.meetings > 0 && (state.restored || self.early_meetings) {
            actions.extend([1, 2].map(Action::Meet));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let (group, setting) = (&mut state.group, &self.setting);
        let did = match action {
            Action::Pay(n) => {
                let (payee, units) = PLAN[n];
                state.paid[n] = true;
                let (payee, amount) = (group.device(payee).id(), Amount::new(units));
                group.tell(setting, PAYER, Input::Pay { payee, asset: setting.asset, amount })?
            }
            Action::Deliver(envelope) => group.hear(setting, &envelope, false)?,
            Action::Repeat(envelope) => {
                state.budget.repeats -= 1;
                group.hear(setting, &envelope, true)?
            }
            Action::DieOver(envelope) => {
                state.budget.crashes -= 1;
                group.die_over(&envelope);
                Did::default()
            }
            Action::Crash(node) => {
                state.budget.crashes -= 1;
                group.crash(node);
                Did::default()
            }
            Action::BackUp => {
                state.backup = Some(group.nodes[PAYER].disk.clone());
                Did::default()
            }
            Action::Restore => state.restore(setting, self.restoring)?,
            Action::Meet(payee) => {
                state.budget.meetings -= 1;
                let contact = group.device(payee).id();
                group.tell(setting, PAYER, Input::Meet { contact })?
            }
            Action::Confirm => {
                group.tell(setting, PAYER, Input::ConfirmRecovery(Basis::Contacts))?
            }
        };
        state.signed_since |= state.restored && !did.signed.is_empty();
        state.signed.extend(did.signed);
        Some(state).filter(|state| state != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "a recovered wallet never signs two successors",
                |_, state: &State| {
                    let steps: BTreeSet<u64> = state.signed.iter().map(|(seq, _)| *seq).collect();
                    steps.len() == state.signed.len()
                },
            ),
            Property::always("nobody is convicted", |_, state: &State| {
                state.group.nodes.iter().all(|node| node.device.forks().is_empty())
            }),
            Property::sometimes("a recovered wallet pays again", |_, state: &State| {
                state.signed_since && state.signed.len() == PLAN.len()
            }),
        ]
    }
}

impl State {
    fn restore(&mut self, setting: &Setting, restoring: Restoring) -> Option<Did> {
        self.restored = true;
        self.group.nodes[PAYER].disk = self.backup.take()?;
        self.group.crash(PAYER);
        if restoring != Restoring::WhileSomethingIsOnItsWay {
            self.group.network.retain(|envelope| envelope.from != PAYER);
            let nodes = &self.group.nodes;
            let has = |tx: &TxId| nodes.iter().any(|node| node.device.incoming().contains_key(tx));
            self.signed.retain(|(_, tx)| has(tx));
        }
        match restoring {
            Restoring::WithoutReceiveOnly => Some(Did::default()),
            _ => self.group.tell(setting, PAYER, Input::Restored),
        }
    }
}

fn recovery(restoring: Restoring, budget: Budget) -> Recovery {
    Recovery { setting: Setting::new(MINTED), budget, restoring, early_meetings: false }
}

const SMALL: Budget = Budget { repeats: 0, crashes: 0, meetings: 2 };

#[test]
fn model_of_a_restored_payer_never_signs_two_successors() {
    assert_all("restored payer", recovery(Restoring::AsItShould, SMALL));
}

#[test]
#[ignore = "takes minutes; `just model-check` runs it"]
fn model_of_a_restored_payer_that_hears_late_answers_never_signs_two_successors() {
    let model = Recovery { early_meetings: true, ..recovery(Restoring::AsItShould, SMALL) };
    assert_all("restored payer, late answers", model);
}

#[test]
#[ignore = "takes hours and much memory; `just model-check-all` runs it"]
fn model_of_a_restored_payer_with_a_crash_never_signs_two_successors() {
    let budget = Budget { crashes: 1, ..SMALL };
    let model = recovery(Restoring::AsItShould, budget);
    assert_all("restored payer, 1 crash", model);
}

#[test]
fn model_notices_a_wallet_that_trusts_its_backup() {
    let model = recovery(Restoring::WithoutReceiveOnly, SMALL);
    let found = explore("restored payer, broken", model);
    found.assert_any_discovery("a recovered wallet never signs two successors");
}

#[test]
#[ignore = "takes minutes; `just model-check` runs it"]
fn model_shows_what_recovery_assumes_of_payments_on_their_way() {
    let model = recovery(Restoring::WhileSomethingIsOnItsWay, SMALL);
    let found = explore("restored payer, payment on its way", model);
    found.assert_any_discovery("a recovered wallet never signs two successors");
}
