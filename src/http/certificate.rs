//! What a certificate says about itself, for people who compare it. Nothing here decides whether it is
//! trusted: a person or a fingerprint does.
//!
//! A certificate is DER (X.690, section 8 and 10) by the grammar of RFC 5280; of anything that does
//! not fit, nothing is told.

use std::net::{Ipv4Addr, Ipv6Addr};

use dadl_text::text;

/// So many names are told.
const MOST_NAMES: usize = 20;
/// So much is told of a name, in characters.
const LONGEST: usize = 100;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// UTF8String, PrintableString, TeletexString, IA5String.
const TEXTS: [u8; 4] = [0x0C, 0x13, 0x14, 0x16];
/// `id-at-commonName`, `id-at-organizationName`: the parts of a subject that are told.
const PARTS: [(&[u8], &str); 2] = [(&[0x55, 0x04, 0x03], "CN"), (&[0x55, 0x04, 0x0A], "O")];
/// `id-ce-subjectAltName`.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];

/// What a certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateDetails {
    /// Such as `CN=xo, O=Example`; empty when it says nothing.
    pub subject: String,
    /// The names and addresses for which it is.
    pub names: Vec<String>,
    /// From when it is valid (RFC 3339), when it says that.
    pub from: Option<String>,
    /// Until when.
    pub until: Option<String>,
}

impl CertificateDetails {
    /// Reads a certificate in DER, as far as it can be read.
    pub fn read(der: &[u8]) -> Self {
        read_details(der).unwrap_or_default()
    }
}

fn read_details(der: &[u8]) -> Option<CertificateDetails> {
    let mut signed = DerElements(DerElements(der).next_of(SEQUENCE)?);
    let mut fields = DerElements(signed.next_of(SEQUENCE)?);
    if fields.peek() == Some(VERSION) {
        fields.next()?;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        fields.next()?;
    }
    let mut validity = DerElements(fields.next_of(SEQUENCE)?);
    let from = validity.next().and_then(|(tag, text)| certificate_time(tag, text));
    let until = validity.next().and_then(|(tag, text)| certificate_time(tag, text));
    let subject = subject_text(fields.next_of(SEQUENCE)?);
    let extensions = fields.find(|(tag, _)| *tag == EXTENSIONS);
    let names = extensions.and_then(|(_, content)| alternative_names(content)).unwrap_or_default();
    Some(CertificateDetails { subject, names, from, until })
}

fn subject_text(name: &[u8]) -> String {
    let mut parts = Vec::new();
    for (_, set) in DerElements(name).filter(|(tag, _)| *tag == SET) {
        for (_, pair) in DerElements(set).filter(|(tag, _)| *tag == SEQUENCE) {
            let mut pair = DerElements(pair);
            let part = pair.next_of(OBJECT).and_then(|object| {
                let (_, word) = PARTS.iter().find(|(known, _)| *known == object)?;
                let (tag, text) = pair.next()?;
                TEXTS.contains(&tag).then(|| format!("{word}={}", printable_text(text)))
            });
            parts.extend(part);
        }
    }
    parts.truncate(MOST_NAMES);
    parts.join(", ")
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let all = DerElements(DerElements(extensions).next_of(SEQUENCE)?);
    let found = all.filter(|(tag, _)| *tag == SEQUENCE).find_map(|(_, extension)| {
        let mut extension = DerElements(extension);
        let is_it = extension.next_of(OBJECT)? == ALTERNATIVE_NAMES;
        if extension.peek() == Some(BOOLEAN) {
            extension.next()?;
        }
        is_it.then(|| extension.next_of(OCTETS)).flatten()
    })?;
    let names = DerElements(DerElements(found).next_of(SEQUENCE)?);
    let name = |(tag, content): (u8, &[u8])| match (tag, content.len()) {
        (DNS_NAME, _) => Some(printable_text(content)),
        (IP_ADDRESS, 4) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(content).ok()?).to_string()),
        (IP_ADDRESS, 16) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(content).ok()?).to_string()),
        _ => None,
    };
    Some(names.filter_map(name).take(MOST_NAMES).collect())
}

/// Returns a text of others as it may be shown on a line.
fn printable_text(text: &[u8]) -> String {
    text::cut_text(&text::one_line(&String::from_utf8_lossy(text)), LONGEST).into_owned()
}

/// Writes a time as RFC 3339 does: `YYMMDDHHMMSSZ`, or with the century (RFC 5280, section 4.1.2.5).
fn certificate_time(tag: u8, text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = match (tag, digits.len()) {
        (UTC_TIME, 12) if digits < "50" => format!("20{digits}"),
        (UTC_TIME, 12) => format!("19{digits}"),
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| digits.get(from..to);
    Some(format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    ))
}

/// The elements of a value, with their tags; ends at the first one that is not whole.
struct DerElements<'der>(&'der [u8]);

impl<'der> DerElements<'der> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Returns the next one if it has this tag.
    fn next_of(&mut self, wanted: u8) -> Option<&'der [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }
}

impl<'der> Iterator for DerElements<'der> {
    type Item = (u8, &'der [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            // So many bytes hold the length.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
                let length = bytes.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = date_time_ymd(2026, 1, 31);
        params.not_after = date_time_ymd(2061, 12, 1);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn says_what_a_person_compares() {
        let der = certificate(|params| {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::OrganizationName, "Lab\n\u{202e}x");
            params.distinguished_name.push(DnType::CommonName, "xo.example.com");
        });
        let CertificateDetails { subject, names, from, until } = CertificateDetails::read(&der);
        assert!(subject.contains("CN=xo.example.com") && subject.contains("O=Lab"), "{subject}");
        assert!(!subject.contains(['\n', '\u{202e}']), "{subject}");
        assert_eq!(names, [""; 0]);
        assert_eq!(from.as_deref(), Some("2026-01-31T00:00:00Z"));
        assert_eq!(until.as_deref(), Some("2061-12-01T00:00:00Z"));
        let names = ["xo.example.com", "10.1.2.3", "fd00::1"].map(str::to_owned);
        let der = certificate(|params| {
            params.subject_alt_names =
                CertificateParams::new(names.clone()).unwrap().subject_alt_names;
        });
        assert_eq!(CertificateDetails::read(&der).names, names);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn nothing_is_too_strange(bytes: Vec<u8>, at: usize, byte: u8, end: usize) {
            let _ = CertificateDetails::read(&bytes);
            let mut der = certificate(|_| {});
            let at = at % der.len();
            der[at] = byte;
            let _ = CertificateDetails::read(&der);
            let _ = CertificateDetails::read(&der[..end % der.len()]);
        }
    }
}
