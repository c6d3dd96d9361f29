//! Where a request goes: scheme, host and port. What a credential is bound to.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

/// The scheme, host and port of an `http` or `https` URL, as `https://host` or
/// `https://host:port`; two texts that mean the same are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

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

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
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
