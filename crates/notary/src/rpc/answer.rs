//! Ask the backend what a call asks, and turn its answer into a result or a fault.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tally_core::cbor::to_bytes;

use super::shape::{
    BlockReply, Certification, Consistent, Exclusions, ForkTaken, Forks, Height, NoDeletion,
    PresenceShape, Records, StatusShape,
};
use crate::backend::{Backend, Block, LookupError, Outcome, Page, SubmitError};
use crate::call::{BlockNumber, Call, Fault, FaultCode};
use crate::hex;

/// When to come back to a node that is being stopped, or that has certified nothing yet.
const LATER: Duration = Duration::from_secs(5);

/// The longest that a call waits by its own wish.
pub(super) fn wait(call: &Call) -> Duration {
    match call {
        Call::Certify(_, wait) | Call::CertifyAll(_, wait) | Call::Inclusion(_, wait) => *wait,
        _ => Duration::ZERO,
    }
}

/// The result of a call, as JSON.
pub(super) async fn answer<B: Backend>(backend: &B, call: Call) -> Result<Box<RawValue>, Fault> {
    match call {
        Call::Certify(request, wait) => outcome(backend.certify((*request).into(), wait).await),
        Call::CertifyAll(batch, wait) => outcome(backend.certify(batch, wait).await),
        Call::Inclusion(state, wait) => {
            let proof = backend.inclusion(state, wait).await.map_err(lookup)?;
            result(&hex::encode(&to_bytes(&proof)))
        }
        Call::Exclusion(state) => {
            result(&Exclusions::from(backend.exclusion(state).await.map_err(lookup)?))
        }
        Call::Consistency(from, to) => {
            let to = height(backend, to).await?;
            let consistency = backend.consistency(from, to).await.map_err(lookup)?;
            result(&Consistent::from(&consistency))
        }
        Call::NoDeletion(from, to) => {
            let to = height(backend, to).await?;
            let from = from.unwrap_or(to.saturating_sub(1));
            let consistency = backend.consistency(from, to).await.map_err(lookup)?;
            result(&NoDeletion::from(&consistency))
        }
        Call::Height => {
            let block_number = backend.height().await.map_err(lookup)?.to_string();
            result(&Height { block_number })
        }
        Call::Block(number) => result(&BlockReply::from(&block(backend, number).await?)),
        Call::Records(number, page) => records(backend, number, page).await,
        Call::SubmitFork(proof) => {
            let refused = |error: tally_core::fork::ForkError| {
                Fault::new(FaultCode::Validation, error.code(), error.to_string())
            };
            let kind = proof.check().map_err(refused)?;
            let receipt = backend.submit_fork(*proof).await.map_err(submit)?;
            result(&ForkTaken::new(receipt, kind))
        }
        Call::Forks(page) => {
            let forks = backend.forks_since(page).await.map_err(lookup)?;
            result(&Forks::new(page, &forks))
        }
        Call::Presence(nonce) => {
            result(&PresenceShape::from(backend.presence(nonce).await.map_err(lookup)?))
        }
        Call::Status => result(&StatusShape::from(&backend.status().await.map_err(lookup)?)),
    }
}

async fn height<B: Backend>(backend: &B, number: BlockNumber) -> Result<u64, Fault> {
    match number {
        BlockNumber::Number(number) => Ok(number),
        BlockNumber::Latest => backend.height().await.map_err(lookup),
    }
}

async fn block<B: Backend>(backend: &B, number: BlockNumber) -> Result<Block, Fault> {
    let number = match number {
        BlockNumber::Number(number) => Some(number),
        BlockNumber::Latest => None,
    };
    backend.block(number).await.map_err(lookup)
}

async fn records<B: Backend>(
    backend: &B,
    number: BlockNumber,
    page: Page,
) -> Result<Box<RawValue>, Fault> {
    let block = block(backend, number).await?;
    let records = backend.records(block.number, page).await.map_err(lookup)?;
    result(&Records::new(&block, page, &records))
}

fn outcome(outcome: Result<Outcome, SubmitError>) -> Result<Box<RawValue>, Fault> {
    result(&Certification::of(outcome).map_err(submit)?)
}

fn result<T: Serialize>(shape: &T) -> Result<Box<RawValue>, Fault> {
    to_raw_value(shape).map_err(|error| {
        Fault::new(FaultCode::Internal, "RPC_RESULT", format!("cannot write the result: {error}"))
    })
}

fn submit(error: SubmitError) -> Fault {
    let (word, message) = (error.code(), error.to_string());
    match error {
        SubmitError::Overloaded { retry_after } => Fault::later(word, message, retry_after),
        SubmitError::ShuttingDown | SubmitError::NotReady => Fault::later(word, message, LATER),
        SubmitError::DiskFull => Fault::new(FaultCode::Storage, word, message),
        SubmitError::Invalid { .. } => Fault::new(FaultCode::Validation, word, message),
    }
}

fn lookup(error: LookupError) -> Fault {
    let (word, message) = (error.code(), error.to_string());
    match error {
        LookupError::Overloaded { retry_after } => Fault::later(word, message, retry_after),
        LookupError::ShuttingDown => Fault::later(word, message, LATER),
        LookupError::NoBlock(_) => Fault::new(FaultCode::NoBlock, word, message),
        LookupError::Range => Fault::new(FaultCode::Params, word, message),
        LookupError::Store => Fault::new(FaultCode::Storage, word, message),
        // Upstream answers these two as failures of its own.
        LookupError::NotReady | LookupError::Shard => {
            Fault::new(FaultCode::Internal, word, message)
        }
    }
}
