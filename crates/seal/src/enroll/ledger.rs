//! What an enroller remembers: one file, whole or old after a crash, for its owner only.

use std::path::Path;

use tally_core::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use tally_core::id::NetworkId;
use tally_core::seal::{
    Hardware, MAX_REVOKED, Revocation, SealCertificate, SealId, SealLabel, TpmSeal,
};
use tally_core::time::Time;

use super::message::{EnrollmentId, MAX_CERTIFICATE_DER};
use super::{Approval, Authority, Settings, Trust};
use crate::{SealError, files};

/// Most authorities of one enroller.
pub const MAX_AUTHORITIES: usize = 64;
/// Most enrollments that are open at a time.
pub const MAX_OPEN: usize = 256;
/// Most certificates of one enroller: it can revoke every seal that it vouched for.
pub const MAX_ISSUED: usize = MAX_REVOKED;

/// First item of the file.
const NAME: &str = "tally/v1/enroller";
/// Longest file, in bytes.
const MAX_FILE: usize = 4 * 1024 * 1024;

/// How far an open enrollment has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// A credential was made: what it was sent as, the SHA-256 of its secret, and the nonce.
    Challenged { sent: Vec<u8>, secret: [u8; 32], nonce: [u8; 32] },
    /// All was proved; the owner has to approve it.
    Proved,
}

/// An enrollment that is open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Open {
    pub(crate) id: EnrollmentId,
    pub(crate) since: Time,
    pub(crate) seal: TpmSeal,
    pub(crate) label: SealLabel,
    pub(crate) development: bool,
    /// SHA-256 of the certificate of the TPM's endorsement key.
    pub(crate) endorsed: [u8; 32],
    pub(crate) stage: Stage,
}

/// A certificate that was issued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    pub(crate) id: EnrollmentId,
    pub(crate) at: Time,
    pub(crate) endorsed: [u8; 32],
    pub(crate) certificate: SealCertificate,
}

impl Issued {
    /// Which enrollment it came from.
    pub const fn id(&self) -> EnrollmentId {
        self.id
    }

    /// When.
    pub const fn at(&self) -> Time {
        self.at
    }

    /// SHA-256 of the certificate of the TPM's endorsement key: which TPM it is, for the
    /// enroller's eyes only.
    pub const fn endorsement(&self) -> &[u8; 32] {
        &self.endorsed
    }

    /// The certificate.
    pub const fn certificate(&self) -> &SealCertificate {
        &self.certificate
    }
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ledger {
    pub(crate) settings: Settings,
    pub(crate) authorities: Vec<Authority>,
    pub(crate) open: Vec<Open>,
    pub(crate) issued: Vec<Issued>,
    pub(crate) revocation: Option<Revocation>,
}

impl Ledger {
    pub(crate) fn new(settings: Settings) -> Self {
        let (authorities, open, issued) = (Vec::new(), Vec::new(), Vec::new());
        Self { settings, authorities, open, issued, revocation: None }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, SealError> {
        let bytes = files::read(path, MAX_FILE)?
            .ok_or_else(|| SealError::Missing { path: path.to_owned() })?;
        if bytes.len() > MAX_FILE {
            return Err(SealError::damaged(DecodeError::TooLarge));
        }
        let mut r = Reader::new(&bytes);
        let ledger = Self::decode(&mut r).map_err(SealError::damaged)?;
        r.finish().map_err(SealError::damaged)?;
        Ok(ledger)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), SealError> {
        let mut w = Writer::new();
        self.encode(&mut w);
        files::replace(path, &w.into_bytes())
    }

    pub(crate) fn is_revoked(&self, seal: &SealId) -> bool {
        let list = self.revocation.as_ref();
        list.is_some_and(|list| list.terms().seals().binary_search(seal).is_ok())
    }
}

impl Encode for Settings {
    fn encode(&self, w: &mut Writer) {
        w.array(4);
        self.network.encode(w);
        self.allow_software_tpm.encode(w);
        (self.approval == Approval::ByHand).encode(w);
        self.lifetime.encode(w);
    }
}

impl Decode for Settings {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(4, |r| {
            let (network, allow_software_tpm) = (NetworkId::decode(r)?, Decode::decode(r)?);
            let by_hand = bool::decode(r)?;
            let approval = if by_hand { Approval::ByHand } else { Approval::Automatic };
            Ok(Self { network, allow_software_tpm, approval, lifetime: Decode::decode(r)? })
        })
    }
}

impl Encode for Authority {
    fn encode(&self, w: &mut Writer) {
        w.array(2);
        w.uint(match self.trust {
            Trust::Hardware => 0,
            Trust::Development => 1,
            Trust::Intermediate => 2,
        });
        w.bytes(&self.der);
    }
}

impl Decode for Authority {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(2, |r| {
            let trust = match r.uint()? {
                0 => Trust::Hardware,
                1 => Trust::Development,
                2 => Trust::Intermediate,
                _ => return Err(DecodeError::Unknown),
            };
            Ok(Self { trust, der: r.bytes(MAX_CERTIFICATE_DER)?.to_vec() })
        })
    }
}

impl Encode for Stage {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Challenged { sent, secret, nonce } => {
                w.array(4);
                w.uint(0);
                w.bytes(sent);
                secret.encode(w);
                nonce.encode(w);
            }
            Self::Proved => {
                w.array(1);
                w.uint(1);
            }
        }
    }
}

impl Decode for Stage {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const MAX_CHALLENGE: usize = 512;
        r.variant(|r, kind, rest| match (kind, rest) {
            (0, 3) => {
                let sent = r.bytes(MAX_CHALLENGE)?.to_vec();
                Ok(Self::Challenged { sent, secret: Decode::decode(r)?, nonce: Decode::decode(r)? })
            }
            (1, 0) => Ok(Self::Proved),
            (0 | 1, _) => Err(DecodeError::WrongLength),
            _ => Err(DecodeError::Unknown),
        })
    }
}

impl Encode for Open {
    fn encode(&self, w: &mut Writer) {
        w.array(7);
        self.id.encode(w);
        self.since.encode(w);
        Hardware::Tpm(self.seal).encode(w);
        self.label.encode(w);
        self.development.encode(w);
        self.endorsed.encode(w);
        self.stage.encode(w);
    }
}

impl Decode for Open {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(7, |r| {
            let (id, since) = (Decode::decode(r)?, Decode::decode(r)?);
            let Hardware::Tpm(seal) = Decode::decode(r)? else {
                return Err(DecodeError::Unknown);
            };
            let (label, development) = (Decode::decode(r)?, Decode::decode(r)?);
            let (endorsed, stage) = (Decode::decode(r)?, Decode::decode(r)?);
            Ok(Self { id, since, seal, label, development, endorsed, stage })
        })
    }
}

impl Encode for Issued {
    fn encode(&self, w: &mut Writer) {
        w.array(4);
        self.id.encode(w);
        self.at.encode(w);
        self.endorsed.encode(w);
        self.certificate.encode(w);
    }
}

impl Decode for Issued {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(4, |r| {
            let (id, at) = (Decode::decode(r)?, Decode::decode(r)?);
            let (endorsed, certificate) = (Decode::decode(r)?, Decode::decode(r)?);
            Ok(Self { id, at, endorsed, certificate })
        })
    }
}

impl Encode for Ledger {
    fn encode(&self, w: &mut Writer) {
        w.array(6);
        w.text(NAME);
        self.settings.encode(w);
        self.authorities.as_slice().encode(w);
        self.open.as_slice().encode(w);
        self.issued.as_slice().encode(w);
        self.revocation.encode(w);
    }
}

impl Decode for Ledger {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.record(6, |r| {
            if r.text(NAME.len())? != NAME {
                return Err(DecodeError::Unknown);
            }
            Ok(Self {
                settings: Decode::decode(r)?,
                authorities: r.list(MAX_AUTHORITIES, Authority::decode)?,
                open: r.list(MAX_OPEN, Open::decode)?,
                issued: r.list(MAX_ISSUED, Issued::decode)?,
                revocation: Decode::decode(r)?,
            })
        })
    }
}
