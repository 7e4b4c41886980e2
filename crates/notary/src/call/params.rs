//! What each method takes.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use tally_core::cbor::{Decode, from_bytes};
use tally_core::fork::ForkProof;
use tally_core::id::Digest;
use tally_core::notary::{CertificationRequest, StateId};

use super::fault::{Fault, FaultCode};
use crate::backend::{Batch, MAX_BATCH, MAX_FORKS, MAX_RECORDS, MAX_WAIT, Page};
use crate::hex;

/// How long a request for certification is held for its outcome unless it says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// A call of one method, with everything decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// `certification_request`: certify one spend.
    Certify(Box<CertificationRequest>, Duration),
    /// `certify`: certify all spends of one transaction, or none.
    CertifyAll(Batch, Duration),
    /// `get_inclusion_proof.v2`: the first spend of a state.
    Inclusion(StateId, Duration),
    /// `get_exclusion_proof`: whether a state is unspent.
    Exclusion(StateId),
    /// `get_consistency_proof`: that the tree only grew between two blocks.
    Consistency(u64, BlockNumber),
    /// `get_no_deletion_proof`: the same, for the latest block if none is named.
    NoDeletion(Option<u64>, BlockNumber),
    /// `get_block_height`.
    Height,
    /// `get_block`.
    Block(BlockNumber),
    /// `get_block_records`.
    Records(BlockNumber, Page),
    /// `submit_fork_proof`.
    SubmitFork(Box<ForkProof>),
    /// `get_fork_proofs`.
    Forks(Page),
    /// `get_status`.
    Status,
    /// `get_presence`: the validator's signature on a nonce and its latest certificate.
    Presence(Digest),
}

/// A block by its number, or the latest one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BlockNumber {
    /// The latest certified one.
    Latest,
    /// The one with this number.
    Number(u64),
}

impl Call {
    /// Whether it asks the network to record something, rather than about what it recorded.
    pub const fn is_write(&self) -> bool {
        matches!(self, Self::Certify(..) | Self::CertifyAll(..) | Self::SubmitFork(_))
    }

    /// Whether it takes megabytes to answer, or its answer may have them.
    pub const fn is_heavy(&self) -> bool {
        matches!(
            self,
            Self::Consistency(..) | Self::NoDeletion(..) | Self::Block(..) | Self::Records(..)
        )
    }

    /// Reads the parameters of one of [`METHODS`](super::METHODS).
    pub(super) fn read(method: &str, params: Option<&str>) -> Result<Self, Fault> {
        match method {
            "certification_request" => Certification::read(params),
            "certify" => Certify::read(params),
            "get_inclusion_proof.v2" => Inclusion::read(params),
            "get_exclusion_proof" => {
                let State { state } = object(params)?;
                state_id(&state).map(Self::Exclusion)
            }
            "get_consistency_proof" => {
                let Heights { from, to } = object(params)?;
                Ok(Self::Consistency(from.0, to))
            }
            "get_no_deletion_proof" => {
                let OptionalHeights { from, to } = optional(params)?;
                Ok(Self::NoDeletion(from.map(|n| n.0), to.unwrap_or(BlockNumber::Latest)))
            }
            "get_block" => {
                let Block { number } = object(params)?;
                Ok(Self::Block(number))
            }
            "get_block_records" => Records::read(params),
            "submit_fork_proof" => {
                let proof = string_or(params, |Proof { proof }: Proof<'_>| proof)?;
                decode(&proof, "fork proof").map(|proof| Self::SubmitFork(Box::new(proof)))
            }
            "get_fork_proofs" => Forks::read(params),
            "get_presence" => {
                let Fresh { nonce } = object(params)?;
                let digits = || invalid("nonce is 64 hexadecimal digits, without a prefix");
                Digest::from_hex(&nonce).ok_or_else(digits).map(Self::Presence)
            }
            "get_block_height" => none(params).map(|()| Self::Height),
            _ => none(params).map(|()| Self::Status),
        }
    }
}

/// Parameters that are the hexadecimal text of one request, or an object that has more to say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certification<'a> {
    #[serde(borrow)]
    request: Cow<'a, str>,
    #[serde(rename = "waitMs", default)]
    wait: Option<u64>,
}

impl Certification<'_> {
    fn read(params: Option<&str>) -> Result<Call, Fault> {
        let (request, wait) = match text(params) {
            Some(request) => (request?, None),
            None => {
                let Certification { request, wait } = object(params)?;
                (request, wait)
            }
        };
        let request = decode(&request, "certification request")?;
        Ok(Call::Certify(Box::new(request), waiting(wait, DEFAULT_WAIT)?))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certify<'a> {
    #[serde(borrow)]
    requests: Vec<Cow<'a, str>>,
    #[serde(rename = "waitMs", default)]
    wait: Option<u64>,
}

impl Certify<'_> {
    fn read(params: Option<&str>) -> Result<Call, Fault> {
        let Certify { requests, wait } = object(params)?;
        if requests.len() > MAX_BATCH {
            let message = format!("a batch has 1 to {MAX_BATCH} requests: split the transaction");
            return Err(Fault::new(FaultCode::Validation, "BATCH_COUNT", message));
        }
        let requests: Result<Vec<_>, _> =
            requests.iter().map(|request| decode(request, "certification request")).collect();
        let batch = Batch::new(requests?)
            .map_err(|error| Fault::new(FaultCode::Validation, error.code(), error.to_string()))?;
        Ok(Call::CertifyAll(batch, waiting(wait, DEFAULT_WAIT)?))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inclusion<'a> {
    #[serde(borrow, rename = "stateId")]
    state: Cow<'a, str>,
    #[serde(rename = "waitMs", default)]
    wait: Option<u64>,
}

impl Inclusion<'_> {
    fn read(params: Option<&str>) -> Result<Call, Fault> {
        let Inclusion { state, wait } = object(params)?;
        Ok(Call::Inclusion(state_id(&state)?, waiting(wait, Duration::ZERO)?))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State<'a> {
    #[serde(borrow, rename = "stateId")]
    state: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fresh<'a> {
    #[serde(borrow)]
    nonce: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heights {
    from: Number,
    to: BlockNumber,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct OptionalHeights {
    #[serde(default)]
    from: Option<Number>,
    #[serde(default)]
    to: Option<BlockNumber>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    #[serde(rename = "blockNumber")]
    number: BlockNumber,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Records {
    #[serde(rename = "blockNumber")]
    number: BlockNumber,
    #[serde(default)]
    from: Option<Number>,
    #[serde(default)]
    limit: Option<u64>,
}

impl Records {
    fn read(params: Option<&str>) -> Result<Call, Fault> {
        let Self { number, from, limit } = object(params)?;
        Ok(Call::Records(number, page(from, limit, MAX_RECORDS)?))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof<'a> {
    #[serde(borrow)]
    proof: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Forks {
    #[serde(default)]
    since: Option<Number>,
    #[serde(default)]
    limit: Option<u64>,
}

impl Forks {
    fn read(params: Option<&str>) -> Result<Call, Fault> {
        let Self { since, limit } = optional(params)?;
        Ok(Call::Forks(page(since, limit, MAX_FORKS)?))
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A number, or its decimal text.
#[derive(Clone, Copy)]
struct Number(u64);

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number of at most 64 bits, or its decimal text")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
        Ok(Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        let digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.map(Number).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct BlockVisitor;

impl Visitor<'_> for BlockVisitor {
    type Value = BlockNumber;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a block number, its decimal text, or \"latest\"")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<BlockNumber, E> {
        Ok(BlockNumber::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BlockNumber, E> {
        if text == "latest" {
            return Ok(BlockNumber::Latest);
        }
        NumberVisitor.visit_str(text).map(|number| BlockNumber::Number(number.0))
    }
}

impl<'de> Deserialize<'de> for BlockNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BlockVisitor)
    }
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(FaultCode::Params, "RPC_PARAMS", message)
}

fn object<'a, T: Deserialize<'a>>(params: Option<&'a str>) -> Result<T, Fault> {
    let text = params.ok_or_else(|| invalid("the method takes an object of parameters"))?;
    if !text.starts_with('{') {
        return Err(invalid("the parameters of this method are an object"));
    }
    serde_json::from_str(text).map_err(|error| invalid(format!("parameters: {error}")))
}

fn optional<'a, T: Deserialize<'a> + Default>(params: Option<&'a str>) -> Result<T, Fault> {
    match params {
        None | Some("null" | "[]") => Ok(T::default()),
        params => object(params),
    }
}

fn none(params: Option<&str>) -> Result<(), Fault> {
    optional(params).map(|Nothing {}| ())
}

/// The text that the parameters are, if they are a text.
fn text(params: Option<&str>) -> Option<Result<Cow<'_, str>, Fault>> {
    /// Borrows where there is nothing to unescape.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let params = params.filter(|params| params.starts_with('"'))?;
    let text = serde_json::from_str::<Text<'_>>(params);
    Some(text.map(|text| text.0).map_err(|error| invalid(error.to_string())))
}

fn string_or<'a, T: Deserialize<'a>>(
    params: Option<&'a str>,
    from: impl FnOnce(T) -> Cow<'a, str>,
) -> Result<Cow<'a, str>, Fault> {
    match text(params) {
        Some(text) => text,
        None => object(params).map(from),
    }
}

fn waiting(millis: Option<u64>, otherwise: Duration) -> Result<Duration, Fault> {
    let wait = millis.map_or(otherwise, Duration::from_millis);
    if wait > MAX_WAIT {
        return Err(invalid(format!("waitMs is at most {}", MAX_WAIT.as_millis())));
    }
    Ok(wait)
}

fn page(from: Option<Number>, limit: Option<u64>, max: usize) -> Result<Page, Fault> {
    let max = u16::try_from(max).unwrap_or(u16::MAX);
    let limit = match limit {
        None => max,
        Some(limit) => u16::try_from(limit)
            .ok()
            .filter(|limit| (1..=max).contains(limit))
            .ok_or_else(|| invalid(format!("limit is 1 to {max}")))?,
    };
    Ok(Page { from: from.map_or(0, |number| number.0), limit })
}

fn state_id(text: &str) -> Result<StateId, Fault> {
    StateId::from_hex(text)
        .ok_or_else(|| invalid("stateId is 64 hexadecimal digits, without a prefix"))
}

fn decode<T: Decode>(text: &str, what: &str) -> Result<T, Fault> {
    let refused = |word: &'static str, why: &str| {
        Fault::new(FaultCode::Validation, word, format!("Invalid {what}: {why}"))
    };
    let bytes =
        hex::decode(text).ok_or_else(|| refused("RPC_HEX", "it is not hexadecimal text"))?;
    from_bytes(&bytes).map_err(|error| refused(error.code(), &error.to_string()))
}
