//! Where tools may lead besides the base URL, on the operator's word.

use std::{fmt, str::FromStr};

use url::Url;

/// A scheme, host and port that the operator admits (`allow_origins`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin {
    url: Url,
    /// Whether requests there carry what those to the base URL carry: the credential, the operator's
    /// header fields and the client certificate.
    pub credential: bool,
}

/// Why a text is no origin. The text is left out: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no origin; write scheme, host and port alone, such as `https://files.example.com` or \
     `https://files.example.com:8443`"
)]
pub struct NoOrigin;

impl AllowedOrigin {
    /// Returns the origin as a URL without a path.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns whether `url` is at this origin.
    pub fn is_at(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }
}

impl FromStr for AllowedOrigin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| NoOrigin)?;
        let is_origin = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && !text.contains(['{', '*', '\\', '@']);
        if is_origin { Ok(Self { url, credential: false }) } else { Err(NoOrigin) }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.url.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_more() {
        for (text, origin) in [
            ("https://Files.example", "https://files.example"),
            ("https://files.example:443/", "https://files.example"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            let allowed: AllowedOrigin = text.parse().unwrap();
            assert_eq!(allowed.to_string(), origin);
            assert!(!allowed.credential && allowed.is_at(&Url::parse(origin).unwrap()));
        }
        for wrong in [
            "",
            "files.example",
            "*",
            "https://*.example",
            "https://{host}",
            "https://files.example/api",
            "https://files.example?x",
            "https://files.example#x",
            "https://user@files.example",
            "https://:s3cret@files.example",
            "ftp://files.example",
            "//files.example",
        ] {
            assert_eq!(wrong.parse::<AllowedOrigin>(), Err(NoOrigin), "{wrong}");
        }
    }
}
