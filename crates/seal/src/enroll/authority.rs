//! Check that a TPM's maker vouches for its endorsement key: an X.509 chain to a known root.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use tally_core::seal::SealLabel;
use tally_core::time::Time;
use webpki::{EndEntityCert, KeyUsage, ring};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

use super::credential::EndorsementKey;
use super::{EnrollError, MAX_CERTIFICATE_DER};

/// tcg-kp-EKCertificate (TCG EK Credential Profile, 3.2.16).
const EK_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.1");
const EK_USAGE_BYTES: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];
const TPM_MANUFACTURER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.2.1");
const TPM_MODEL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.2.2");

/// Makers of TPMs that are programs: their state is a file, whoever signed their certificate.
const SOFTWARE: [&str; 3] = [LIBTPMS, "VMW", "GOOG"];
/// The letters that stand for libtpms, which has IBM's number, and their number in a certificate.
const LIBTPMS: &str = "IBM";
const LIBTPMS_NUMBER: u32 = 0x1014;

/// What an authority's word is worth.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trust {
    /// A hardware maker's root: its TPMs are hardware.
    Hardware,
    /// The root of TPMs in software, for development networks only.
    Development,
    /// Between a root and a TPM: worth nothing alone, needed to build chains.
    Intermediate,
}

/// An authority's certificate, in DER, and what its word is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authority {
    pub(crate) trust: Trust,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    /// Reads the certificates in `bytes`: one in DER, or any number in PEM.
    ///
    /// # Errors
    /// [`EnrollError::Chain`] when they are none.
    pub fn read(bytes: &[u8], trust: Trust) -> Result<Vec<Self>, EnrollError> {
        let none = |_| EnrollError::Chain("this is no certificate in PEM or DER");
        let certificates = if bytes.starts_with(&[0x30]) {
            vec![Certificate::from_der(bytes).map_err(none)?]
        } else {
            Certificate::load_pem_chain(bytes).map_err(none)?
        };
        if certificates.is_empty() {
            return Err(EnrollError::Chain("there is no certificate in this file"));
        }
        let ders = certificates.iter().map(|c| c.to_der().map_err(none));
        ders.map(|der| der.map(|der| Self { trust, der })).collect()
    }

    /// What its word is worth.
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// The certificate, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whom the certificate names.
    pub fn subject(&self) -> String {
        Certificate::from_der(&self.der)
            .map_or_else(|_| "?".into(), |c| c.tbs_certificate().subject().to_string())
    }
}

/// A TPM's endorsement key with a maker's word for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Endorsed {
    pub(crate) key: EndorsementKey,
    /// SHA-256 of its certificate: the same TPM has the same.
    pub(crate) certificate: [u8; 32],
    pub(crate) label: SealLabel,
    /// Whether it is hardware by nobody's word.
    pub(crate) development: bool,
}

/// Checks the certificate of an endorsement key: a path to one of the roots, valid at `now`, for
/// this use, on a curve that a credential can be made for.
pub(crate) fn check(
    certificate: &[u8],
    chain: &[Vec<u8>],
    authorities: &[Authority],
    now: Time,
) -> Result<Endorsed, EnrollError> {
    let rooted = |trust| reaches(certificate, chain, authorities, trust, now);
    // A TPM that a hardware maker vouches for is not made worse by a development root beside it.
    let development = match rooted(Trust::Hardware) {
        Ok(()) => false,
        Err(e) => rooted(Trust::Development).map(|()| true).map_err(|_| e)?,
    };
    let bad = "the TPM's certificate is not one of an endorsement key";
    let parsed = Certificate::from_der(certificate).map_err(|_| EnrollError::Chain(bad))?;
    let tbs = parsed.tbs_certificate();
    let usage = tbs.get_extension::<ExtendedKeyUsage>().map_err(|_| EnrollError::Chain(bad))?;
    if !usage.is_some_and(|(_, usage)| usage.0.contains(&EK_USAGE)) {
        return Err(EnrollError::Chain(bad));
    }
    let point = tbs.subject_public_key_info().subject_public_key.as_bytes();
    let key = point.and_then(EndorsementKey::new).ok_or(EnrollError::Chain(
        "the TPM's endorsement key is on neither P-256 nor P-384: use its certificate for an ECC key",
    ))?;
    let names = tbs.get_extension::<SubjectAltName>().map_err(|_| EnrollError::Chain(bad))?;
    let (maker, model) = names.map(|(_, names)| maker_and_model(&names)).unwrap_or_default();
    let development = development || SOFTWARE.contains(&maker.as_str());
    let label = label(&maker, &model);
    Ok(Endorsed { key, certificate: Sha256::digest(certificate).into(), label, development })
}

fn reaches(
    certificate: &[u8],
    chain: &[Vec<u8>],
    authorities: &[Authority],
    trust: Trust,
    now: Time,
) -> Result<(), EnrollError> {
    let der = CertificateDer::from(certificate);
    let leaf = EndEntityCert::try_from(&der)
        .map_err(|_| EnrollError::Chain("the TPM's certificate cannot be read"))?;
    let of = |wanted: Trust| authorities.iter().filter(move |a| a.trust == wanted);
    let roots: Vec<CertificateDer<'_>> =
        of(trust).map(|a| CertificateDer::from(a.der.as_slice())).collect();
    let anchors: Vec<TrustAnchor<'_>> =
        roots.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect();
    let between: Vec<CertificateDer<'_>> = of(Trust::Intermediate)
        .map(|a| a.der.as_slice())
        .chain(chain.iter().map(Vec::as_slice))
        .map(CertificateDer::from)
        .collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unix()));
    let usage = KeyUsage::required_if_present(EK_USAGE_BYTES);
    let algorithms = [
        ring::ECDSA_P256_SHA256,
        ring::ECDSA_P256_SHA384,
        ring::ECDSA_P384_SHA256,
        ring::ECDSA_P384_SHA384,
        ring::RSA_PKCS1_2048_8192_SHA256,
        ring::RSA_PKCS1_2048_8192_SHA384,
        ring::RSA_PKCS1_2048_8192_SHA512,
    ];
    leaf.verify_for_usage(&algorithms, &anchors, &between, now, usage, None, None)
        .map(|_| ())
        .map_err(|e| EnrollError::Chain(why(&e)))
}

fn why(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::CertExpired { .. } => "a certificate in the TPM's chain has expired",
        webpki::Error::CertNotValidYet { .. } => {
            "a certificate in the TPM's chain is not valid yet: check this machine's clock"
        }
        webpki::Error::UnknownIssuer => {
            "no accepted authority vouches for this TPM: give the enroller its maker's root and intermediate certificates"
        }
        _ => "the TPM's certificate chain does not hold",
    }
}

/// Maker, as its letters, and model of the TPM, from the certificate's alternative name.
fn maker_and_model(names: &SubjectAltName) -> (String, String) {
    let (mut maker, mut model) = (String::new(), String::new());
    let directories = names.0.iter().filter_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(name),
        _ => None,
    });
    for attribute in directories.flat_map(|name| name.iter()) {
        let Ok(text) = std::str::from_utf8(attribute.value.value()) else { continue };
        if attribute.oid == TPM_MANUFACTURER {
            maker = letters(text);
        } else if attribute.oid == TPM_MODEL {
            model = text.to_owned();
        }
    }
    (maker, model)
}

/// `id:49465800` is `IFX`; the number of libtpms spells nothing.
fn letters(id: &str) -> String {
    let digits = id.strip_prefix("id:").unwrap_or(id);
    match u32::from_str_radix(digits, 16) {
        Ok(LIBTPMS_NUMBER) => LIBTPMS.into(),
        Ok(number) => {
            let bytes = number.to_be_bytes();
            bytes.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).collect()
        }
        Err(_) => String::new(),
    }
}

fn label(maker: &str, model: &str) -> SealLabel {
    let text: String = ["TPM 2.0", maker, model].join(" ");
    let text: String = text.chars().filter(|c| matches!(c, ' '..='~')).take(24).collect();
    SealLabel::new(text.trim())
        .unwrap_or_else(|| SealLabel::new("TPM 2.0").expect("seven printable characters"))
}

/// Whether a certificate is short enough to be looked at.
pub(crate) const fn fits(der: &[u8]) -> bool {
    der.len() <= MAX_CERTIFICATE_DER
}
