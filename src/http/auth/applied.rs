//! A credential as requests carry it.

use dadl_descriptor::model::TokenPlacement;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::http::login::UnsendableValue;

/// A credential in the form in which it is sent.
#[derive(Default)]
pub(crate) struct AppliedCredential {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    query: Vec<(String, SecretString)>,
    /// Whether a backend gave it instead of the configured one.
    pub(super) is_renewed: bool,
}

impl AppliedCredential {
    /// Sends `headers`.
    pub(crate) fn fields(headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { headers, ..Self::default() }
    }

    /// Sends `token` at `placement`.
    pub(crate) fn token(
        placement: &TokenPlacement,
        token: &SecretString,
    ) -> Result<Self, UnsendableValue> {
        let value = token.expose_secret();
        let (field, query) = match placement {
            TokenPlacement::Cookie(name) => {
                (Some((header::COOKIE, cookie_field(name, value)?)), None)
            }
            TokenPlacement::Header { name, prefix } => {
                (Some((name.clone(), sensitive_value(&format!("{prefix}{value}"))?)), None)
            }
            TokenPlacement::Query(name) => (None, Some((name.clone(), token.clone()))),
        };
        let (headers, query) = (field.into_iter().collect(), query.into_iter().collect());
        Ok(Self { headers, query, is_renewed: false })
    }

    /// Sends a cookie as a backend has set it.
    pub(super) fn renewed_cookie(name: &str, value: &str) -> Result<Self, UnsendableValue> {
        let fields = vec![(header::COOKIE, sensitive_value(&format!("{name}={value}"))?)];
        Ok(Self { is_renewed: true, ..Self::fields(fields) })
    }

    /// Sends `other` as well.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.headers.extend(other.headers);
        self.query.extend(other.query);
        self
    }

    /// Adds the credential to a request.
    pub(crate) fn apply(&self, url: &mut Url, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            match headers.get(name).filter(|_| *name == header::COOKIE) {
                Some(others) => {
                    let joined = [others.as_bytes(), b"; ", value.as_bytes()].concat();
                    // Both are legal, and what joins them is.
                    if let Ok(mut joined) = HeaderValue::from_bytes(&joined) {
                        joined.set_sensitive(true);
                        headers.insert(name, joined);
                    }
                }
                None => {
                    headers.insert(name, value.clone());
                }
            }
        }
        for (name, value) in &self.query {
            url.query_pairs_mut().append_pair(name, value.expose_secret());
        }
    }
}

/// Makes the value of a `Cookie` field.
pub(super) fn cookie_field(name: &str, value: &str) -> Result<HeaderValue, UnsendableValue> {
    if value.contains([';', ',', ' ', '"', '\\']) {
        return Err(UnsendableValue::Cookie);
    }
    sensitive_value(&format!("{name}={value}"))
}

/// Makes a header value that `Debug` does not print.
pub(crate) fn sensitive_value(text: &str) -> Result<HeaderValue, UnsendableValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| UnsendableValue::Field)?;
    value.set_sensitive(true);
    Ok(value)
}
