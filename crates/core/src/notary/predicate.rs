//! Carry any predicate as the notary does: an engine, a code, and parameters.

use super::state::Spend;
use crate::cbor::{Blob, Decode, DecodeError, Encode, Reader, Writer};
use crate::keys::{PublicKey, Signature};
use crate::time::Time;

/// Engine of the predicates that the wire format defines itself.
pub const ENGINE_BUILT_IN: u64 = 1;

/// Engine of Tally's own predicates.
pub const ENGINE_TALLY: u64 = 84;

/// Longest code of a predicate, in bytes.
pub const MAX_CODE: usize = 32;

/// Longest parameters of a predicate, in bytes.
pub const MAX_PARAMS: usize = 1024;

/// Longest proof that a predicate is unlocked, in bytes.
pub const MAX_UNLOCK: usize = 4096;

/// The built-in code of a predicate that one key's signature unlocks.
const CODE_SIGNATURE: &[u8] = &[1];

/// The built-in code of a predicate that nothing unlocks.
const CODE_BURN: &[u8] = &[2];

/// Who may spend a state, in the wire's general form: `39032([engine, code, params])` (`WIRE-3`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct WirePredicate {
    /// Which set of rules `code` belongs to.
    pub engine: u64,
    /// Which rule.
    pub code: Blob<MAX_CODE>,
    /// What the rule is about, in a form that it defines.
    pub params: Blob<MAX_PARAMS>,
}

impl WirePredicate {
    /// A predicate of any engine.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_CODE`] or [`MAX_PARAMS`] bytes.
    pub fn new(engine: u64, code: &[u8], params: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { engine, code: Blob::new(code.into())?, params: Blob::new(params.into())? })
    }

    /// What one key's signature unlocks: 42 bytes on the wire.
    pub fn signature(key: &PublicKey) -> Self {
        Self::new(ENGINE_BUILT_IN, CODE_SIGNATURE, key.as_bytes()).expect("a key is short")
    }

    /// What nothing unlocks; `reason` says why the value was destroyed.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`] above [`MAX_PARAMS`] bytes.
    pub fn burn(reason: &[u8]) -> Result<Self, DecodeError> {
        Self::new(ENGINE_BUILT_IN, CODE_BURN, reason)
    }

    /// Whether this is, in form, a predicate that one key's signature unlocks.
    pub fn is_signature(&self) -> bool {
        self.engine == ENGINE_BUILT_IN && self.code.as_slice() == CODE_SIGNATURE
    }

    /// The key whose signature unlocks this predicate, if it is of that kind and the key is a point.
    pub fn as_signature(&self) -> Option<PublicKey> {
        PublicKey::secp256k1(self.signature_key()?).ok()
    }

    /// The bytes of the key whose signature unlocks this predicate, if it is of that kind.
    pub fn signature_key(&self) -> Option<&[u8; 33]> {
        self.params.as_slice().try_into().ok().filter(|_| self.is_signature())
    }
}

impl Encode for WirePredicate {
    fn encode(&self, w: &mut Writer) {
        w.tag(39032);
        w.array(3);
        self.engine.encode(w);
        self.code.encode(w);
        self.params.encode(w);
    }
}

impl Decode for WirePredicate {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.tagged(39032, |r| {
            r.record(3, |r| {
                Ok(Self {
                    engine: Decode::decode(r)?,
                    code: Decode::decode(r)?,
                    params: Decode::decode(r)?,
                })
            })
        })
    }
}

/// Decides whether predicates of other engines than the built-in one are unlocked. Pure.
pub trait Engine {
    /// Whether `unlock` unlocks the predicate of `spend` for its transaction at time `at`, the reference
    /// time under which the notary certified or would certify it.
    fn unlocks(&self, spend: &Spend<'_>, unlock: &[u8], at: Time) -> bool;
}

/// Unlocks nothing: for a verifier that knows the built-in predicates only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoEngine;

impl Engine for NoEngine {
    fn unlocks(&self, _: &Spend<'_>, _: &[u8], _: Time) -> bool {
        false
    }
}

/// Whether the owner of the state allowed the transaction (`WIRE-20`). Built-in predicates are decided
/// here, so that no engine can widen them.
pub(super) fn unlocked(spend: &Spend<'_>, unlock: &[u8], engine: &dyn Engine, at: Time) -> bool {
    if spend.predicate.engine != ENGINE_BUILT_IN {
        return engine.unlocks(spend, unlock, at);
    }
    // Whether the key is a point need not be asked: a key that is none has no signature (`KEY-5`).
    let key = spend.predicate.signature_key().and_then(|key| PublicKey::in_form(key).ok());
    let (Some(key), Ok(signature)) = (key, unlock.try_into()) else {
        return false;
    };
    key.verify(&spend.signed_digest(), &Signature::secp256k1(signature))
}
