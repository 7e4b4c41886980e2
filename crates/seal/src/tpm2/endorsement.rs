//! The part of a TPM that its maker vouches for, as enrollment needs it.

use tally_core::seal::{ClockInfo, TpmSeal};
use tpm2_protocol::data::{TpmCc, TpmRcBase};

use super::session::Attested;
use super::tpm::{Fault, RH_ENDORSEMENT, RH_NULL, Tpm};
use super::wire::{Auth, Bytes, Command, Fields, malformed};
use super::{Chip, TpmError};

const ECC: u16 = 0x0023;
const AES: u16 = 0x0006;
const CFB: u16 = 0x0043;
const NULL: u16 = 0x0010;
const SHA256: u16 = 0x000b;
const SHA384: u16 = 0x000c;
/// fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt; with
/// userWithAuth from template H on.
const LOW: u32 = 0x0003_00b2;
const HIGH: u32 = 0x0003_00f2;

/// PolicySecret(endorsement): "PolicyA" of the TCG EK Credential Profile, B.3.
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
/// "PolicyB" with SHA-256, B.6.
const POLICY_B_256: [u8; 32] = [
    0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3,
    0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0,
];
/// "PolicyB" with SHA-384, B.6.
const POLICY_B_384: [u8; 48] = [
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
    0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
    0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];

/// The templates of endorsement keys on elliptic curves (TCG EK Credential Profile, annex B).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Endorsement {
    /// P-256, certificate at 0x01c0000a.
    L2,
    /// P-256, certificate at 0x01c00014.
    H2,
    /// P-384, certificate at 0x01c00016.
    H3,
}

impl Endorsement {
    const ALL: [Self; 3] = [Self::H3, Self::H2, Self::L2];

    const fn certificate_index(self) -> u32 {
        match self {
            Self::L2 => 0x01c0_000a,
            Self::H2 => 0x01c0_0014,
            Self::H3 => 0x01c0_0016,
        }
    }

    fn template(self) -> Vec<u8> {
        let (hash, attributes, policy, bits, curve) = match self {
            Self::L2 => (SHA256, LOW, &POLICY_A[..], 128, 0x0003),
            Self::H2 => (SHA256, HIGH, &POLICY_B_256[..], 128, 0x0003),
            Self::H3 => (SHA384, HIGH, &POLICY_B_384[..], 256, 0x0004),
        };
        let coordinate: &[u8] = if self == Self::L2 { &[0; 32] } else { &[] };
        let template = Bytes::default()
            .u16(ECC)
            .u16(hash)
            .u32(attributes)
            .sized(policy)
            .u16(AES)
            .u16(bits)
            .u16(CFB)
            .u16(NULL)
            .u16(curve)
            .u16(NULL)
            .sized(coordinate)
            .sized(coordinate);
        template.into_vec()
    }

    /// The first endorsement key that the TPM has a certificate for, with that in DER.
    pub(crate) fn find(tpm: &mut Tpm) -> Result<Option<(Self, Vec<u8>)>, TpmError> {
        for kind in Self::ALL {
            match tpm.nv_read_all(kind.certificate_index()) {
                Ok(content) => {
                    if let Some(certificate) = first_der(&content) {
                        return Ok(Some((kind, certificate.to_vec())));
                    }
                }
                Err(e) if e.is_no_such_handle() => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(None)
    }

    /// The key's point, uncompressed.
    #[cfg(test)]
    pub(crate) fn point(self, tpm: &mut Tpm) -> Result<Vec<u8>, TpmError> {
        let own = tpm.create_primary(&self.template())?;
        tpm.flush(own.handle)?;
        let mut r = Fields::new(&own.public);
        let read = || {
            let (_kind, _hash, _attributes, _policy) = (r.u16()?, r.u16()?, r.u32()?, r.sized()?);
            let (_algorithms, x, y) = (r.take(12)?, r.sized()?, r.sized()?);
            Some([&[4][..], x, y].concat())
        };
        let point = { read }();
        point.ok_or_else(|| malformed(TpmCc::CreatePrimary))
    }

    /// Has the TPM open a credential that was made for this endorsement key and the attestation
    /// key. None when it was made for others.
    pub(crate) fn activate(
        self,
        chip: &mut Chip,
        blob: &[u8],
        seed: &[u8],
    ) -> Result<Option<Vec<u8>>, TpmError> {
        let attestation_key = chip.key_handle();
        let tpm = chip.tpm();
        let own = tpm.create_primary(&self.template())?;
        let opened = self.open_with(tpm, own.handle, attestation_key, blob, seed);
        tpm.flush(own.handle)?;
        match opened {
            Ok(secret) => Ok(Some(secret)),
            Err(e) if matches!(e.base(), Some(TpmRcBase::Integrity | TpmRcBase::Value)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn open_with(
        self,
        tpm: &mut Tpm,
        own: u32,
        attestation_key: u32,
        blob: &[u8],
        seed: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let parameters = Bytes::default().sized(blob).sized(seed);
        let command = Command::new(TpmCc::ActivateCredential, &[attestation_key, own], parameters);
        let response = if self == Self::L2 {
            let session = policy_session(tpm)?;
            let auth = Auth::session(session, Vec::new(), 0x01, Vec::new());
            let response = tpm.run(&command, &[Auth::empty(), auth]);
            let _ = tpm.flush(session);
            response?
        } else {
            tpm.run(&command, &[Auth::empty(), Auth::empty()])?
        };
        let secret = Fields::new(&response.parameters).sized().map(<[u8]>::to_vec);
        secret.ok_or_else(|| malformed(TpmCc::ActivateCredential).into())
    }
}

/// A session that satisfies policy A: the owner of the endorsement hierarchy agrees.
fn policy_session(tpm: &mut Tpm) -> Result<u32, Fault> {
    const POLICY: u8 = 1;
    let parameters = Bytes::default().sized(&[0; 16]).sized(&[]).u8(POLICY).u16(NULL).u16(SHA256);
    let start = Command::new(TpmCc::StartAuthSession, &[RH_NULL, RH_NULL], parameters);
    let session = tpm.run(&start, &[])?.handle;
    let parameters = Bytes::default().sized(&[]).sized(&[]).sized(&[]).u32(0);
    let secret = Command::new(TpmCc::PolicySecret, &[RH_ENDORSEMENT, session], parameters);
    match tpm.run(&secret, &[Auth::empty()]) {
        Ok(_) => Ok(session),
        Err(e) => {
            let _ = tpm.flush(session);
            Err(e)
        }
    }
}

/// A counter's value as the attestation key says it, with when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CertifiedCounter {
    pub(crate) value: u64,
    pub(crate) clock: ClockInfo,
    pub(crate) signature: [u8; 64],
}

/// Has the attestation key attest a counter of the seal for `nonce` (TPM2_NV_Certify).
pub(crate) fn certify_counter(
    chip: &mut Chip,
    seal: &TpmSeal,
    counter: u32,
    nonce: &[u8; 32],
) -> Result<CertifiedCounter, TpmError> {
    let handle = seal.handle(counter).ok_or(TpmError::CounterDeleted { counter })?;
    let handles = [chip.key_handle(), handle, handle];
    let parameters = Bytes::default().sized(nonce).u16(NULL).u16(8).u16(0);
    let command = Command::new(TpmCc::NvCertify, &handles, parameters);
    let response = match chip.tpm().run(&command, &[Auth::empty(), Auth::empty()]) {
        Err(e) if e.is_no_such_handle() => return Err(TpmError::CounterDeleted { counter }),
        response => response?,
    };
    let read = || {
        let attested = Attested::read(&response.parameters)?;
        let mut r = Fields::new(&attested.bytes);
        let (_magic, _kind, _signer, _nonce) = (r.u32()?, r.u16()?, r.sized()?, r.sized()?);
        let (clock, resets, restarts) = (r.u64()?, r.u32()?, r.u32()?);
        let clock = ClockInfo { clock, resets, restarts, safe: r.u8()? != 0 };
        let (_firmware, _name, _offset) = (r.u64()?, r.sized()?, r.u16()?);
        let value = Fields::new(r.sized()?).u64()?;
        Some(CertifiedCounter { value, clock, signature: attested.signature })
    };
    let certified = { read }();
    certified.ok_or_else(|| malformed(TpmCc::NvCertify))
}

/// The first object in DER: makers leave room behind a certificate.
fn first_der(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x30, 0x82, high, low, ..] => {
            bytes.get(..4 + usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_where_it_says() {
        let bytes = [0x30, 0x82, 0, 2, 7, 8, 0xff, 0xff];
        assert_eq!(first_der(&bytes), Some(&bytes[..6]));
        assert_eq!(first_der(&bytes[..5]), None);
        assert_eq!(first_der(&[0xff; 16]), None);
        assert_eq!(first_der(&[]), None);
    }
}
