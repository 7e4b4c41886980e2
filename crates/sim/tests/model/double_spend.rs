//! A payer who may at any time copy its device and later go on with the copy; two honest payees.

use stateright::{Model, Property};
use tally_core::amount::Amount;
use tally_core::device::Input;
use tally_sim::{Bare, check};

use crate::bounds::{Budget, assert_all};
use crate::state::{Envelope, Group, Setting};

const MINTED: u64 = 1000;
const PAYER: usize = 0;
const PAYEES: [usize; 2] = [1, 2];

/// Who pays whom how much, each once, at any time.
type Plan = &'static [(usize, usize, u64)];

#[derive(Clone, Debug)]
struct DoubleSpend {
    setting: Setting,
    plan: Plan,
    budget: Budget,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    group: Group,
    copy: Option<Box<Bare>>,
    may_copy: bool,
    paid: Vec<bool>,
    budget: Budget,
    meetings: Vec<Meeting>,
}

/// What is remembered of a meeting of the two payees.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Meeting {
    /// Whether they held contradicting payments when it began.
    conflict: bool,
    /// Whether it is over, for each.
    over: [bool; 2],
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Action {
    Pay(usize),
    Deliver(Envelope),
    Repeat(Envelope),
    DieOver(Envelope),
    Crash(usize),
    Retry(usize),
    Copy,
    GoOnWithCopy,
    Meet,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pay(n) => write!(f, "payment {n} begins"),
            Self::Deliver(envelope) => write!(f, "{}", envelope.label()),
            Self::Repeat(envelope) => write!(f, "{}, and is still on its way", envelope.label()),
            Self::DieOver(envelope) => write!(f, "{}, who dies over it", envelope.label()),
            Self::Crash(node) => write!(f, "{node} crashes"),
            Self::Retry(payee) => write!(f, "the payer tries {payee} again"),
            Self::Copy => write!(f, "the payer copies its device"),
            Self::GoOnWithCopy => write!(f, "the payer goes on with the copy"),
            Self::Meet => write!(f, "the payees meet"),
        }
    }
}

impl Model for DoubleSpend {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            group: self.setting.start.clone(),
            copy: None,
            may_copy: true,
            paid: vec![false; self.plan.len()],
            budget: self.budget,
            meetings: Vec::new(),
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
        actions.extend(PAYEES.map(Action::Retry));
        if state.may_copy {
            actions.push(Action::Copy);
        }
        if state.copy.is_some() {
            actions.push(Action::GoOnWithCopy);
        }
        if state.budget.meetings > 0 {
            actions.push(Action::Meet);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let group = &mut state.group;
        match action {
            Action::Pay(n) => {
                let (payer, payee, units) = self.plan[n];
                state.paid[n] = true;
                let (payee, amount) = (group.device(payee).id(), Amount::new(units));
                let input = Input::Pay { payee, asset: self.setting.asset, amount };
                group.tell(&self.setting, payer, input)?;
            }
            Action::Deliver(envelope) => state.hear(&self.setting, &envelope, false)?,
            Action::Repeat(envelope) => {
                state.budget.repeats -= 1;
                state.hear(&self.setting, &envelope, true)?;
            }
            Action::DieOver(envelope) => {
                state.budget.crashes -= 1;
                group.die_over(&envelope);
            }
            Action::Crash(node) => {
                state.budget.crashes -= 1;
                group.crash(node);
            }
            Action::Retry(payee) => {
                let payee = group.device(payee).id();
                group.tell(&self.setting, PAYER, Input::Retry { payee })?;
            }
            Action::Copy => {
                state.may_copy = false;
                state.copy = Some(Box::new(group.nodes[PAYER].clone()));
            }
            Action::GoOnWithCopy => group.nodes[PAYER] = *state.copy.take()?,
            Action::Meet => state.meet(&self.setting)?,
        }
        Some(state).filter(|state| state != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "no value is created among honest wallets",
                |model: &Self, state: &State| state.conserves(model),
            ),
            Property::always(
                "conflicts are proved once their holders have met",
                |_, state: &State| {
                    state.meetings.iter().all(|m| !m.conflict || !m.over[0] || !m.over[1])
                        || state.all_convicted()
                },
            ),
            Property::always("no payee is convicted", |_, state: &State| {
                let nodes = &state.group.nodes;
                PAYEES.iter().all(|payee| {
                    let key = &nodes[*payee].device.me().owner;
                    nodes.iter().all(|node| !node.device.is_bricked(key))
                })
            }),
            Property::sometimes(
                "both payees hold the same money",
                |model: &Self, state: &State| {
                    !state.conflicts().is_empty() && state.held(model) > MINTED
                },
            ),
            Property::sometimes("both payees can prove it", |_, state: &State| {
                state.all_convicted()
            }),
        ]
    }
}

impl State {
    fn hear(&mut self, setting: &Setting, envelope: &Envelope, repeated: bool) -> Option<()> {
        let did = self.group.hear(setting, envelope, repeated)?;
        if let Some(meeting) = did.met {
            let who = PAYEES.iter().position(|payee| *payee == envelope.to)?;
            self.meetings[usize::from(meeting)].over[who] = true;
        }
        Some(())
    }

    fn meet(&mut self, setting: &Setting) -> Option<()> {
        let number = u8::try_from(self.meetings.len()).ok()?;
        let conflict = !self.conflicts().is_empty();
        self.meetings.push(Meeting { conflict, over: [false; 2] });
        self.budget.meetings -= 1;
        let contact = self.group.device(PAYEES[1]).id();
        self.group.tell_in(setting, PAYEES[0], Input::Meet { contact }, Some(number))?;
        Some(())
    }

    fn conflicts(&self) -> std::collections::BTreeSet<tally_core::keys::PublicKey> {
        check::contradicting(self.group.device(PAYEES[0]), self.group.device(PAYEES[1]))
    }

    fn all_convicted(&self) -> bool {
        let key = &self.group.device(PAYER).me().owner;
        PAYEES.iter().all(|payee| self.group.device(*payee).is_bricked(key))
    }

    fn held(&self, model: &DoubleSpend) -> u64 {
        let balance = |payee: &usize| {
            let balances = self.group.device(*payee).ledger().balances();
            balances.get(&model.setting.asset).copied().unwrap_or_default().units()
        };
        PAYEES.iter().map(balance).sum()
    }

    /// Each payee holds what it was paid less what it paid; and if the two hold more than there is,
    /// what they hold convicts the payer.
    fn conserves(&self, model: &DoubleSpend) -> bool {
        let payees = PAYEES.map(|payee| self.group.device(payee));
        check::conserves(&payees, &model.setting.asset).is_ok()
            && (self.held(model) <= MINTED || !self.conflicts().is_empty())
    }
}

fn model(plan: Plan, budget: Budget) -> DoubleSpend {
    DoubleSpend { setting: Setting::new(MINTED), plan, budget }
}

const TWO_PAYMENTS: Plan = &[(PAYER, 1, 600), (PAYER, 2, 600)];
const A_PAYMENT_ON: Plan = &[(PAYER, 1, 600), (PAYER, 2, 600), (1, 2, 500)];

const CALM: Budget = Budget { repeats: 0, crashes: 0, meetings: 1 };

#[test]
fn model_of_a_copied_payer() {
    assert_all("copied payer", model(TWO_PAYMENTS, CALM));
}

#[test]
#[ignore = "takes minutes; `just model-check` runs it"]
fn model_of_a_copied_payer_with_a_repeated_message() {
    let budget = Budget { repeats: 1, ..CALM };
    assert_all("copied payer, 1 repeat", model(TWO_PAYMENTS, budget));
}

#[test]
#[ignore = "takes minutes; `just model-check` runs it"]
fn model_of_a_copied_payer_with_a_crash() {
    let budget = Budget { crashes: 1, ..CALM };
    assert_all("copied payer, 1 crash", model(TWO_PAYMENTS, budget));
}

#[test]
#[ignore = "takes hours and much memory; `just model-check-all` runs it"]
fn model_of_a_copied_payer_whose_money_is_paid_on() {
    assert_all("copied payer, 3 payments", model(A_PAYMENT_ON, CALM));
}
