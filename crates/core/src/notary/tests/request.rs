//! What a notary refuses to take.

use super::super::*;
use super::scene::{SPENT_AT, Scene, partition};
use crate::cbor::Blob;

fn request() -> CertificationRequest {
    CertificationRequest::new(Scene::new().data)
}

fn verdict(request: &CertificationRequest) -> Result<(), RequestError> {
    request.verify(&partition().shard, &NoEngine, SPENT_AT)
}

#[test]
fn a_signed_request_is_taken_until_its_deadline() {
    assert_eq!(verdict(&request()), Ok(()));
    let at = |time| request().verify(&partition().shard, &NoEngine, time);
    assert_eq!(at(SPENT_AT.plus(59)), Ok(()));
    assert_eq!(at(SPENT_AT.plus(60)), Err(RequestError::Expired));
    assert_eq!(RequestError::Expired.code(), "REQUEST_EXPIRED");
}

#[test]
fn invalid_public_key_format() {
    let mut request = request();
    request.data.predicate = WirePredicate::new(ENGINE_BUILT_IN, &[1], &[5; 33]).unwrap();
    let request = CertificationRequest::new(request.data);
    assert_eq!(verdict(&request).unwrap_err().code(), "INVALID_PUBLIC_KEY_FORMAT");
}

#[test]
fn state_id_mismatch() {
    let mut request = request();
    request.state_id = StateId::new([0xff; 32]);
    assert_eq!(verdict(&request).unwrap_err().code(), "STATE_ID_MISMATCH");
}

#[test]
fn invalid_shard() {
    let other = ShardId::from_wire(&[0x40]).unwrap();
    let error = request().verify(&other, &NoEngine, SPENT_AT).unwrap_err();
    assert_eq!(error.code(), "INVALID_SHARD");
}

#[test]
fn invalid_signature_format() {
    let mut request = request();
    request.data.unlock = Blob::new(alloc::vec![0; 64]).unwrap();
    assert_eq!(verdict(&request).unwrap_err().code(), "INVALID_SIGNATURE_FORMAT");
}

#[test]
fn signature_verification_failed() {
    let mut request = request();
    request.data.transaction = TransactionHash::new([0; 32]);
    assert_eq!(verdict(&request).unwrap_err().code(), "SIGNATURE_VERIFICATION_FAILED");
}

/// Unlocks everything of its own engine.
struct Anything;

impl Engine for Anything {
    fn unlocks(&self, _: &Spend<'_>, _: &[u8], _: crate::time::Time) -> bool {
        true
    }
}

#[test]
fn the_forms_of_the_built_in_signature_bind_no_other_engine() {
    let mut data = request().data;
    data.predicate = WirePredicate::new(ENGINE_TALLY, &[1], &[5; 33]).unwrap();
    data.unlock = Blob::default();
    assert!(!data.predicate.is_signature());
    assert_eq!(data.predicate.as_signature(), None);
    let request = CertificationRequest::new(data);
    assert_eq!(request.verify(&ShardId::whole(), &Anything, SPENT_AT), Ok(()));
}
