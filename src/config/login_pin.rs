//! Certificates of authorization servers that a person has seen, and where each is accepted.

use serde::{Deserialize, Serialize};
use url::Url;

use super::CertificatePin;

/// A certificate of whoever gives access to an MCP server, accepted at its origin alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginPin {
    /// Where, such as `https://auth.example.com`.
    origin: String,
    /// Its fingerprint.
    sha256: String,
}

impl LoginPin {
    /// Accepts a certificate at the origin of `url`.
    pub fn new(url: &Url, pin: CertificatePin) -> Self {
        Self { origin: url.origin().ascii_serialization(), sha256: pin.to_string() }
    }

    /// Returns the fingerprint, if it is accepted at the origin of `url`.
    pub fn at(&self, url: &Url) -> Option<CertificatePin> {
        let is_there = url.origin().ascii_serialization() == self.origin;
        is_there.then(|| self.sha256.parse().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_accepted_at_one_origin() {
        let url = |text: &str| Url::parse(text).unwrap();
        let pin = CertificatePin::of(b"certificate");
        let pinned = LoginPin::new(&url("https://auth.example/token"), pin);
        assert_eq!(pinned.at(&url("https://auth.example:443/authorize")), Some(pin));
        for other in ["https://auth.example:8443/", "http://auth.example/", "https://x.example/"] {
            assert_eq!(pinned.at(&url(other)), None, "{other}");
        }
    }
}
