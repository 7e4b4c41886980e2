//! Signatures, counted where they are made and checked. One test: it counts the whole process.

use tally_bench::compute::{SIGNATURES, VERIFICATIONS};
use tally_bench::scene::Scene;
use tally_core::count;

#[test]
fn a_payment_is_two_signatures_and_three_checks() {
    let mut scene = Scene::new(2);
    scene.pay();
    let before = count::signatures();
    scene.pay();
    let after = count::signatures();
    assert_eq!((after.0 - before.0, after.1 - before.1), (SIGNATURES, VERIFICATIONS));
}
