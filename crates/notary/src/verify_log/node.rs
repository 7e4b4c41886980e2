//! Ask a node, and read its answers.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tally_core::cbor::{Decode, DecodeError, from_bytes};
use tally_core::id::Digest;
use tally_tree::{ConsistencyProof, Key, Value};

use super::{AuditError, Checkpoint, Fetch};
use crate::hex;

/// Bytes of a leaf in an answer: its key and its value.
const LEAF: usize = 64;

/// Most bytes of a node's own words that are shown.
const MAX_WORDS: usize = 200;

/// The result of a call.
pub(super) fn ask<T: DeserializeOwned>(
    node: &mut (impl Fetch + ?Sized),
    method: &str,
    params: &str,
) -> Result<T, AuditError> {
    let call = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let text = node.post(&call).map_err(AuditError::Fetch)?;
    let reply: Reply<T> =
        serde_json::from_str(&text).map_err(|error| AuditError::Answer(error.to_string()))?;
    match (reply.result, reply.error) {
        (Some(result), None) => Ok(result),
        (_, Some(error)) => Err(error.into()),
        (None, None) => Err(AuditError::Answer("there is neither a result nor an error".into())),
    }
}

/// An object that is written as hexadecimal text.
pub(super) fn object<T: Decode>(text: &str) -> Result<T, AuditError> {
    from_bytes(&unhex(text)?).map_err(|error: DecodeError| AuditError::Answer(error.to_string()))
}

pub(super) fn unhex(text: &str) -> Result<Vec<u8>, AuditError> {
    hex::decode(text).ok_or_else(|| AuditError::Answer("bytes are not hexadecimal text".into()))
}

#[derive(Deserialize)]
struct Reply<T> {
    #[serde(default = "Option::default")]
    result: Option<T>,
    #[serde(default)]
    error: Option<ErrorReply>,
}

#[derive(Deserialize)]
struct ErrorReply {
    code: i64,
    message: String,
    data: Option<WordReply>,
}

#[derive(Deserialize)]
struct WordReply {
    code: String,
}

impl From<ErrorReply> for AuditError {
    fn from(error: ErrorReply) -> Self {
        let code = error.data.map_or_else(|| error.code.to_string(), |data| data.code);
        // They are a stranger's: neither long, nor anything that a terminal acts on.
        let plain = |text: String| -> String {
            text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
        };
        Self::Fault { code: plain(code), message: plain(error.message) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeightReply {
    pub(super) block_number: String,
}

#[derive(Deserialize)]
pub(super) struct BlockReply {
    pub(super) block: CertificateReply,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateReply {
    pub(super) unicity_certificate: String,
}

#[derive(Deserialize)]
pub(super) struct ConsistencyReply {
    pub(super) to: String,
    pub(super) after: String,
    pub(super) steps: Vec<StepReply>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepReply {
    pub(super) block_number: String,
    pub(super) root_hash: String,
    pub(super) leaves: String,
    pub(super) proof: String,
}

/// Growth that was verified.
pub(super) struct Step {
    pub(super) after: Checkpoint,
    pub(super) leaves: Vec<(Key, Value)>,
}

impl StepReply {
    /// Verifies the step from `last`, which leads to no later block than `to`.
    pub(super) fn verify(&self, last: &Checkpoint, to: u64) -> Result<Step, AuditError> {
        let height: Option<u64> = self.block_number.parse().ok();
        let height = height
            .filter(|height| *height > last.height && *height <= to)
            .ok_or(AuditError::Range { from: last.height, to })?;
        let root = Digest::from_hex(&self.root_hash)
            .ok_or_else(|| AuditError::Answer("a root is not 64 hexadecimal digits".into()))?;
        let leaves = leaves(&unhex(&self.leaves)?)?;
        let growth = |error| AuditError::Growth { height, error };
        let proof = ConsistencyProof::decode(&unhex(&self.proof)?).map_err(growth)?;
        let (before, after) = ((*last.root.as_bytes()).into(), (*root.as_bytes()).into());
        proof.verify(&before, &after, &leaves).map_err(growth)?;
        Ok(Step { after: Checkpoint { height, root }, leaves })
    }
}

fn leaves(bytes: &[u8]) -> Result<Vec<(Key, Value)>, AuditError> {
    let (pairs, rest) = bytes.as_chunks::<LEAF>();
    if !rest.is_empty() {
        return Err(AuditError::Answer("leaves are not of 64 bytes each".into()));
    }
    let half = |pair: &[u8]| <[u8; 32]>::try_from(pair).expect("half of 64 bytes");
    Ok(pairs.iter().map(|pair| (half(&pair[..32]).into(), half(&pair[32..]).into())).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExclusionReply {
    pub(super) spent: bool,
    pub(super) exclusion_certificate: Option<String>,
    pub(super) unicity_certificate: Option<String>,
}
