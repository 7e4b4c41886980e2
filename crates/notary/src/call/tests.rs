//! Untrusted bytes in, calls or faults out.

use proptest::prelude::*;
use tally_core::cbor::to_bytes;
use tally_core::keys::SecretKey;
use tally_core::notary::{CertificationData, CertificationRequest, StateHash, TransactionHash};

use super::*;
use crate::backend::{MAX_BATCH, MAX_FORKS, MAX_RECORDS, Page};
use crate::hex::encode as hex;

fn request(source: u8, transaction: u8) -> CertificationRequest {
    let key = SecretKey::new([7; 32]).unwrap();
    let (source, transaction) =
        (StateHash::new([source; 32]), TransactionHash::new([transaction; 32]));
    CertificationRequest::new(CertificationData::signed(&key, source, transaction, None))
}

fn call(method: &str, params: &str) -> Result<Call, Fault> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    match parse(body.as_bytes()) {
        Body::One(request) => request.call,
        Body::Many(_) => unreachable!("it is no array"),
    }
}

fn word(body: &str) -> &'static str {
    match parse(body.as_bytes()) {
        Body::One(request) => request.call.unwrap_err().word,
        Body::Many(_) => "MANY",
    }
}

#[test]
fn the_sdk_forms_of_its_three_methods_are_read() {
    let sent = request(1, 2);
    let text = format!("\"{}\"", hex(&to_bytes(&sent)));
    let Ok(Call::Certify(read, _)) = call("certification_request", &text) else { panic!() };
    assert_eq!(*read, sent);
    let state = format!(r#"{{"stateId":"{}"}}"#, sent.state_id);
    let expected = Call::Inclusion(sent.state_id, std::time::Duration::ZERO);
    assert_eq!(call("get_inclusion_proof.v2", &state), Ok(expected));
    assert_eq!(call("get_block_height", "{}"), Ok(Call::Height));
}

#[test]
fn numbers_come_as_numbers_or_decimal_text() {
    let expected = Ok(Call::Block(BlockNumber::Number(12)));
    assert_eq!(call("get_block", r#"{"blockNumber":12}"#), expected);
    assert_eq!(call("get_block", r#"{"blockNumber":"12"}"#), expected);
    let latest = call("get_block", r#"{"blockNumber":"latest"}"#);
    assert_eq!(latest, Ok(Call::Block(BlockNumber::Latest)));
    for wrong in
        ["-1", "1.5", "\"+1\"", "\"1e3\"", "\"\"", "null", "[]", "\"18446744073709551616\""]
    {
        let fault = call("get_block", &format!(r#"{{"blockNumber":{wrong}}}"#)).unwrap_err();
        assert_eq!(fault.code, FaultCode::Params, "{wrong}");
    }
}

#[test]
fn pages_have_a_limited_size() {
    let all = Page { from: 0, limit: u16::try_from(MAX_FORKS).unwrap() };
    assert_eq!(call("get_fork_proofs", "{}"), Ok(Call::Forks(all)));
    for limit in [0, MAX_RECORDS + 1, 70_000] {
        let params = format!(r#"{{"blockNumber":1,"limit":{limit}}}"#);
        assert_eq!(call("get_block_records", &params).unwrap_err().code, FaultCode::Params);
    }
}

#[test]
fn waiting_has_an_upper_limit() {
    let params = format!(r#"{{"stateId":"{}","waitMs":20001}}"#, request(1, 2).state_id);
    assert_eq!(call("get_inclusion_proof.v2", &params).unwrap_err().code, FaultCode::Params);
}

#[test]
fn unknown_parameters_are_refused_rather_than_passed_over() {
    let params = format!(r#"{{"stateId":"{}","waitms":5}}"#, request(1, 2).state_id);
    assert_eq!(call("get_inclusion_proof.v2", &params).unwrap_err().code, FaultCode::Params);
    assert_eq!(call("get_status", r#"{"all":true}"#).unwrap_err().code, FaultCode::Params);
}

#[test]
fn a_batch_is_of_one_transaction_and_of_distinct_states() {
    let batch = |requests: &[CertificationRequest]| {
        let texts: Vec<_> = requests.iter().map(|r| format!("\"{}\"", hex(&to_bytes(r)))).collect();
        call("certify", &format!(r#"{{"requests":[{}]}}"#, texts.join(",")))
    };
    assert!(batch(&[request(1, 9), request(2, 9)]).is_ok());
    assert_eq!(batch(&[]).unwrap_err().word, "BATCH_COUNT");
    let many: Vec<_> = (0..=MAX_BATCH).map(|i| request(i as u8, 9)).collect();
    assert_eq!(batch(&many).unwrap_err().word, "BATCH_COUNT");
    assert_eq!(batch(&[request(1, 9), request(2, 8)]).unwrap_err().word, "BATCH_TRANSACTIONS");
    assert_eq!(batch(&[request(1, 9), request(1, 9)]).unwrap_err().word, "BATCH_REPEATED");
}

#[test]
fn every_envelope_that_breaks_a_rule_says_which() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let long = " ".repeat(MAX_BODY + 1);
    let long_id =
        format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"get_status"}}"#, "x".repeat(200));
    for (body, expected) in [
        ("", "RPC_NOT_JSON"),
        ("{", "RPC_NOT_JSON"),
        ("{} {}", "RPC_NOT_JSON"),
        ("[]", "RPC_CALL_COUNT"),
        ("[1", "RPC_NOT_JSON"),
        ("7", "RPC_NO_CALL"),
        ("\"get_status\"", "RPC_NO_CALL"),
        ("null", "RPC_NO_CALL"),
        (deep.as_str(), "RPC_DEPTH"),
        (long.as_str(), "RPC_BODY_SIZE"),
        (long_id.as_str(), "RPC_ID"),
        (r#"{"jsonrpc":"2.0","method":"get_status"}"#, "RPC_ID"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"get_status"}"#, "RPC_ID"),
        (r#"{"jsonrpc":"2.0","id":{"a":1},"method":"get_status"}"#, "RPC_ID"),
        (r#"{"jsonrpc":"2.0","id":true,"method":"get_status"}"#, "RPC_ID"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"get_status"}"#, "RPC_VERSION"),
        (r#"{"id":1,"method":"get_status"}"#, "RPC_VERSION"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "RPC_NO_METHOD"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "RPC_NO_CALL"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"get_status"}"#, "RPC_NO_CALL"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"get_inclusion_proof"}"#, "RPC_NO_SUCH_METHOD"),
    ] {
        assert_eq!(word(body), expected, "{}", &body[..body.len().min(80)]);
    }
}

#[test]
fn too_many_calls_at_once_are_one_fault() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"get_status"}"#;
    let array = |n: usize| format!("[{}]", vec![call; n].join(","));
    assert_eq!(word(&array(MAX_CALLS)), "MANY");
    assert_eq!(word(&array(MAX_CALLS + 1)), "RPC_CALL_COUNT");
}

#[test]
fn a_fault_never_quotes_more_than_a_little_of_what_was_sent() {
    let params = format!(r#"{{"{}":1}}"#, "ü".repeat(50_000));
    assert!(call("get_status", &params).unwrap_err().message.len() <= 400);
}

#[test]
fn every_field_of_a_request_is_canonical_or_refused() {
    let bytes = to_bytes(&request(1, 2));
    for cut in 0..bytes.len() {
        let text = format!("\"{}\"", hex(&bytes[..cut]));
        assert_eq!(call("certification_request", &text).unwrap_err().code, FaultCode::Validation);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let text = format!("\"{}\"", hex(&longer));
    assert_eq!(call("certification_request", &text).unwrap_err().word, "DECODE_TRAILING");
    for wrong in ["\"0\"", "\"zz\"", "\"0x00\"", "7", "[]", "null"] {
        assert!(call("certification_request", wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body: Vec<u8>) {
        let _ = parse(&body);
    }

    #[test]
    fn arbitrary_parameters_never_panic(method in prop::sample::select(METHODS.to_vec()), params in ".{0,200}") {
        let _ = call(method, &params);
    }

    #[test]
    fn an_id_is_echoed_as_it_was_written(id in "[0-9]{1,20}|\"[a-z0-9-]{0,40}\"") {
        prop_assume!(id.starts_with('"') || !id.starts_with('0'));
        let body = format!(r#"{{"jsonrpc":"2.0","method":"get_status","id":{id}}}"#);
        let Body::One(request) = parse(body.as_bytes()) else { unreachable!() };
        prop_assert_eq!(request.id.as_str(), id);
    }
}

#[test]
fn what_takes_megabytes_to_answer_is_heavy() {
    let numbered = r#"{"blockNumber":"1"}"#;
    for (method, params) in [("get_block", numbered), ("get_block_records", numbered)] {
        let call = call(method, params).unwrap_or_else(|fault| panic!("{method}: {fault:?}"));
        assert!(call.is_heavy(), "{method}");
    }
    assert!(Call::Consistency(0, BlockNumber::Latest).is_heavy());
    assert!(!Call::Status.is_heavy() && !Call::Height.is_heavy());
}
