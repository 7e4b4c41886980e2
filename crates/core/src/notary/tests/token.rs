//! Whole histories that must not verify.

use super::super::token::*;
use super::super::*;
use super::golden::{Golden, trust};
use crate::cbor::{Blob, DecodeError, List, from_bytes, to_bytes};
use crate::id::NetworkId;
use crate::time::Time;

fn token() -> Token {
    Token::from_bytes(&Golden::flow().bytes("token")).unwrap()
}

fn verdict(token: &Token) -> &'static str {
    token.verify(&trust(), &NoEngine).unwrap_err().code()
}

#[test]
fn a_token_of_another_network_is_refused() {
    let mut token = token();
    token.genesis.transaction.network = NetworkId::new(1).unwrap();
    assert_eq!(verdict(&token), "TOKEN_NETWORK");
}

#[test]
fn a_justified_mint_is_refused() {
    let mut token = token();
    token.genesis.transaction.justification = Some(Blob::default());
    assert_eq!(verdict(&token), "TOKEN_JUSTIFICATION");
}

#[test]
fn a_mint_that_is_not_the_certified_one_is_refused() {
    let mut token = token();
    token.genesis.transaction.data = None;
    assert_eq!(verdict(&token), "TOKEN_MINT");
}

#[test]
fn a_transfer_that_is_not_the_certified_one_is_refused() {
    let mut token = token();
    let mut transfers = token.transfers.clone().into_vec();
    transfers[0].transaction.data = Some(Blob::default());
    token.transfers = List::new(transfers).unwrap();
    assert_eq!(verdict(&token), "TOKEN_TRANSFER");
}

#[test]
fn a_transfer_spends_what_the_step_before_left() {
    let mut token = token();
    let mut transfers = token.transfers.clone().into_vec();
    transfers.push(transfers[0].clone());
    token.transfers = List::new(transfers).unwrap();
    let error = token.verify(&trust(), &NoEngine).unwrap_err();
    assert_eq!(error, TokenError::Transfer(ProofError::CertificationDataMismatch));
}

#[test]
fn a_deadline_of_a_transaction_is_never_zero() {
    let mut transfer = token().transfers[0].transaction.clone();
    assert_eq!(Deadline::new(Time::from_unix(0)), None);
    transfer.expires_at = Deadline::new(Time::from_unix(1));
    let mut bytes = to_bytes(&transfer);
    assert_eq!(from_bytes(&bytes), Ok(transfer));
    *bytes.last_mut().unwrap() = 0;
    assert_eq!(from_bytes::<TransferTransaction>(&bytes), Err(DecodeError::OutOfRange));
}

#[test]
fn salts_and_masks_have_sixteen_to_sixty_four_bytes() {
    for (n, allowed) in [(15, false), (16, true), (64, true), (65, false)] {
        assert_eq!(Span::<16, 64>::new(alloc::vec![0; n]).is_ok(), allowed, "{n}");
    }
}
