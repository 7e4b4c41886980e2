use tally_core::keys::SecretKey;
use tally_core::notary::RequestError;

use super::*;
use crate::backend::{Backend as _, Batch, Outcome, SubmitError};
use crate::testing::sealed;
use crate::validator::Service;

/// What a network with these enrollers says of a sealed spend whose seal `enroller` enrolled.
fn asks(enrollers: Vec<PublicKey>, enroller: &SecretKey) -> Result<Outcome, SubmitError> {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { enrollers, ..Options::new(1) };
    let network = Devnet::start_with(folder.path(), &options).expect("a network");
    let validator = network.node(0).expect("it runs").validator();
    let spend = Batch::from(sealed(enroller, validator.clock().now()));
    let service = Service::new(validator.clone());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(service.certify(spend, Duration::from_secs(15)))
}

#[test]
fn a_sealed_spend_is_certified_with_its_enroller_configured_and_refused_without() {
    let enroller = SecretKey::new([3; 32]).expect("a small scalar");
    let certified = asks(vec![enroller.public()], &enroller);
    assert!(matches!(certified, Ok(Outcome::Certified { .. })), "{certified:?}");
    let refused = asks(Vec::new(), &enroller);
    let reason = RequestError::NotAuthenticated;
    assert!(
        matches!(&refused, Err(SubmitError::Invalid { error, .. }) if *error == reason),
        "{refused:?}"
    );
}
