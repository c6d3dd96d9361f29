//! The fingerprint of a certificate, as an operator writes it down.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a certificate in DER: what `openssl x509 -fingerprint -sha256` and browsers show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificatePin([u8; 32]);

/// A text is no SHA-256 fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint has 64 hexadecimal digits, with or without colons")]
pub struct NoPin;

impl CertificatePin {
    /// Returns that of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl FromStr for CertificatePin {
    type Err = NoPin;

    fn from_str(text: &str) -> Result<Self, NoPin> {
        let digits: Vec<u8> = if text.contains(':') {
            let pairs: Vec<&str> = text.split(':').collect();
            if pairs.iter().any(|pair| pair.len() != 2) {
                return Err(NoPin);
            }
            pairs.concat().into_bytes()
        } else {
            text.as_bytes().to_vec()
        };
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(NoPin);
        }
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let [high, low] = pair else { return Err(NoPin) };
            *byte = digit(high).ok_or(NoPin)? << 4 | digit(low).ok_or(NoPin)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for CertificatePin {
    /// Writes `AB:CD:..`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(formatter, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CertificatePin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_way_to_write_one_is_read(bytes: [u8; 32]) {
            let pin = CertificatePin(bytes);
            let text = pin.to_string();
            for written in [text.clone(), text.to_lowercase(), text.replace(':', "")] {
                prop_assert_eq!(written.parse(), Ok(pin));
            }
            prop_assert_eq!(text.replace(':', "").to_lowercase().parse(), Ok(pin));
        }

        #[test]
        fn no_text_is_too_strange(text in ".*") {
            let _ = text.parse::<CertificatePin>();
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let good = CertificatePin([0xAB; 32]).to_string();
        for bad in [
            "",
            ":",
            "AB",
            &good[..92],
            &format!("{good}:AB"),
            &good.replace("AB:AB", "ABA:B"),
            &good.replacen('A', "G", 1),
            &good.replace(':', "::"),
            &good.replace(':', " "),
        ] {
            assert_eq!(bad.parse::<CertificatePin>(), Err(NoPin), "{bad}");
        }
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(CertificatePin::of(b""), empty.parse().unwrap());
    }
}
