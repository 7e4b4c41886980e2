//! A sealed payer with a patched wallet: it keeps copies of itself and goes on with them, asks its
//! hardware for any transaction, shows anybody anything, and goes to the notary itself. Two honest
//! payees, who settle what is FINAL before its lock ends.

mod chip;
mod model;
mod people;

use crate::bounds::{assert_all, assert_breaks};
use model::{Budget, Chip, Cut, Payees, Plan, SealedPayer};
use people::Start;

const PAYS_BOTH: Plan = &[(1, 600), (2, 600)];
const PAYS_BOTH_AND_CHANGE: Plan = &[(1, 600), (2, 600), (2, 300)];

const SMALL: Budget = Budget { copies: 0, crashes: 0, burns: 1 };

fn model(plan: Plan, budget: Budget) -> SealedPayer {
    let (chip, payees, cut) = (Chip::Keeps, Payees::InTime, Cut::Coarse);
    SealedPayer { start: Start::new(), plan, budget, chip, payees, cut }
}

#[test]
fn model_of_a_sealed_payer_never_gives_one_coin_to_two_payees() {
    assert_all("sealed payer", model(PAYS_BOTH, SMALL));
}

#[test]
fn model_of_a_sealed_payer_who_crashes() {
    let budget = Budget { crashes: 1, ..SMALL };
    assert_all("sealed payer, a crash", model(PAYS_BOTH, budget));
}

#[test]
#[ignore = "takes hours and much memory; `just model-check-all` runs it"]
fn model_of_a_sealed_payer_who_pays_with_change() {
    assert_all("sealed payer, change", model(PAYS_BOTH_AND_CHANGE, SMALL));
}

#[test]
#[ignore = "takes hours and much memory; `just model-check-all` runs it"]
fn model_of_a_sealed_payer_message_by_message() {
    let budget = Budget { copies: 1, ..SMALL };
    let model = SealedPayer { cut: Cut::Fine, ..model(PAYS_BOTH, budget) };
    assert_all("sealed payer, each message", model);
}

#[test]
fn model_notices_hardware_whose_state_can_be_set_back() {
    let model = SealedPayer { chip: Chip::CanBeSetBack, ..model(PAYS_BOTH, SMALL) };
    assert_breaks("sealed payer, hardware set back", model, model::ONE_COIN_ONE_FINAL);
}

#[test]
fn model_shows_what_a_payee_risks_who_settles_after_the_locks_end() {
    let model = SealedPayer { payees: Payees::AnyTime, ..model(PAYS_BOTH, SMALL) };
    assert_breaks("sealed payer, late payees", model, model::FINAL_IS_CERTIFIED);
}
