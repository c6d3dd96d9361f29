//! Why a certificate is accepted, or is not.

use std::{error::Error, io};

use rustls::{CertificateError, OtherError};

use super::certificate::CertificateDetails;
use crate::config::CertificatePin;

/// Why a certificate is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateTrust {
    /// Any is (`tls_skip_verify`).
    Any,
    /// An authority vouches for it.
    Chain,
    /// It is in `ca_file` itself.
    File,
    /// Its fingerprint is in `tls_fingerprint`.
    Pin,
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCertificate {
    /// The operator pinned others.
    #[error("its certificate is not one of `tls_fingerprint`: it has the SHA-256 fingerprint {0}")]
    Changed(CertificatePin),
    /// No authority vouches for it.
    #[error(
        "its certificate is not trusted: {reason}; it has the SHA-256 fingerprint {fingerprint}"
    )]
    Untrusted {
        /// That of the certificate.
        fingerprint: CertificatePin,
        /// What the check said.
        reason: String,
    },
}

impl RefusedCertificate {
    /// Returns the fingerprint of the certificate that came.
    pub fn fingerprint(&self) -> CertificatePin {
        match self {
            Self::Changed(fingerprint) | Self::Untrusted { fingerprint, .. } => *fingerprint,
        }
    }
}

/// What a server presents.
#[derive(Debug, Clone)]
pub struct PresentedCertificate {
    /// What the certificate says.
    pub details: CertificateDetails,
    /// Its fingerprint.
    pub fingerprint: CertificatePin,
    /// Whether it is accepted.
    pub trust: Result<CertificateTrust, RefusedCertificate>,
}

/// Returns why a certificate was refused, when that is why a request failed.
pub(super) fn certificate_refusal<'error>(
    error: &'error (dyn Error + 'static),
) -> Option<&'error RefusedCertificate> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other)))) =
            innermost_error(error).downcast_ref()
        {
            return other.downcast_ref();
        }
        next = error.source();
    }
    None
}

/// Returns what an I/O error was made of: it is no source of it.
fn innermost_error<'error>(error: &'error (dyn Error + 'static)) -> &'error (dyn Error + 'static) {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match inner {
        Some(inner) => innermost_error(inner),
        None => error,
    }
}
