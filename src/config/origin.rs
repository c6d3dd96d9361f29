//! Where a request goes: scheme, host and port. What a credential is bound to; that of a server that is
//! started is its command.

use std::{fmt, str::FromStr};

use dadl_text::text::hex_text;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

/// The scheme, host and port of an `http` or `https` URL, as `https://host` or
/// `https://host:port`; two texts that mean the same are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// What the origin of a process begins with.
const PROCESS: &str = "process:";

/// Why a text names no origin. The text is left out: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no address that begins with http:// or https://")]
pub struct OriginError;

impl Origin {
    /// Returns the origin of a URL; `None` when it is no `http` or `https` URL.
    pub fn of(url: &Url) -> Option<Self> {
        let is_ours = matches!(url.scheme(), "http" | "https") && url.has_host();
        is_ours.then(|| Self(url.origin().ascii_serialization()))
    }

    /// Returns the origin of a program with its arguments: another command is another one. It is a
    /// digest, since arguments are long and nobody else's business.
    pub fn of_process<'a>(program: &'a str, args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut digest = Sha256::new();
        for part in std::iter::once(program).chain(args) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(format!("{PROCESS}{}", hex_text(&digest.finalize())))
    }

    /// Returns the text: scheme, host, and the port where it is not the usual one.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    /// Reads the origin of a URL; what comes after it is left out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Url::parse(text.trim()).ok().as_ref().and_then(Self::of).ok_or(OriginError)
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    /// Reads what was stored, which may be the origin of a process: nobody writes one by hand.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digest = text.strip_prefix(PROCESS);
        let is_process = digest.is_some_and(|digest| {
            digest.len() == 64 && digest.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
        });
        if is_process { Ok(Self(text)) } else { text.parse() }
    }
}

impl From<Origin> for String {
    fn from(Origin(text): Origin) -> Self {
        text
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(text: &str) -> Option<String> {
        text.parse::<Origin>().ok().map(String::from)
    }

    #[test]
    fn a_process_is_its_command() {
        let of = |program: &str, args: &[&str]| Origin::of_process(program, args.iter().copied());
        let npx = of("npx", &["-y", "some-server"]);
        assert_eq!(npx, of("npx", &["-y", "some-server"]));
        for other in [of("npx", &["-ysome-server"]), of("npx", &["-y", "other"]), of("npx-y", &[])]
        {
            assert_ne!(npx, other);
        }
        let stored = serde_json::to_string(&npx).unwrap();
        assert!(!stored.contains("some-server"), "{stored}");
        assert_eq!(serde_json::from_str::<Origin>(&stored).unwrap(), npx);
        // The settings name addresses.
        assert!(npx.as_str().parse::<Origin>().is_err());
        assert!(Origin::try_from("process:../..".to_owned()).is_err());
    }

    #[test]
    fn keeps_scheme_host_and_port() {
        let same = "https://xo.example";
        for text in ["https://xo.example/rest/v0", "HTTPS://XO.example:443"] {
            assert_eq!(origin(text).as_deref(), Some(same), "{text}");
        }
        assert_eq!(origin("http://[::1]:8080/x").as_deref(), Some("http://[::1]:8080"));
        assert_eq!(origin("http://[::1]/x").as_deref(), Some("http://[::1]"));
        assert_eq!(origin("https://user:secret@h/?a#b").as_deref(), Some("https://h"));
        for text in ["", "xo.example", "ftp://h/", "file:///etc", "data:,x", "https://"] {
            assert_eq!(origin(text), None, "{text}");
        }
        assert_ne!(origin("http://h"), origin("https://h"));
        assert_ne!(origin("https://h"), origin("https://h:8443"));
        // Resolvers look for a name without a dot at its end in the domains of a site, too.
        assert_ne!(origin("https://h"), origin("https://h."));
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(
            host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}\\.?|\\[::1\\]|10\\.0\\.0\\.1",
            port in proptest::option::of(1_u16..),
            path in "[/?#][ -~]{0,20}",
            tls in any::<bool>(),
        ) {
            let scheme = if tls { "https" } else { "http" };
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let first: Origin = format!("{scheme}://{host}{port}{path}").parse().unwrap();
            let again: Origin = first.as_str().parse().unwrap();
            prop_assert_eq!(&first, &again);
            let json = serde_json::to_string(&first).unwrap();
            prop_assert_eq!(serde_json::from_str::<Origin>(&json).unwrap(), first);
        }
    }
}
