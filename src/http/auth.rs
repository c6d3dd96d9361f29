//! Adds a backend's credential to its requests.
//!
//! Credentials are looked up when the first call needs them, and kept until a backend refuses them
//! (401). A missing one is an error
//! that names the variables that were tried: a call never leaves without its credential. When a
//! backend renews the credential's cookie (`Set-Cookie` for the same name), the new value
//! replaces the old one for that backend.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::descriptor::model::{Auth, CredentialName, Placement};

/// Finds the value of a credential.
///
/// The text of an error is shown to callers: it names variables, never values.
pub trait CredentialSource: Send + Sync {
    /// Returns the value of `name`.
    ///
    /// # Errors
    ///
    /// A sentence that says where the credential was looked for.
    fn find(&self, name: &CredentialName) -> Result<SecretString, String>;
}

/// Authenticates the requests of one backend.
pub struct Authenticator {
    auth: Auth,
    source: Box<dyn CredentialSource>,
    current: RwLock<Option<Arc<Applied>>>,
}

/// A credential in the form in which it is sent.
#[derive(Default)]
pub(crate) struct Applied {
    header: Option<(HeaderName, HeaderValue)>,
    query: Option<(String, SecretString)>,
    secrets: Vec<SecretString>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authenticator").field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Authenticates by `auth` with values from `source`.
    pub fn new(auth: Auth, source: Box<dyn CredentialSource>) -> Self {
        Self { auth, source, current: RwLock::new(None) }
    }

    /// Returns the credential in the form in which it is sent.
    ///
    /// # Errors
    ///
    /// A sentence that says which credential is missing or unusable.
    pub(crate) fn applied(&self) -> Result<Arc<Applied>, String> {
        if let Some(applied) = &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(applied));
        }
        let applied = Arc::new(self.prepare()?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&applied));
        Ok(applied)
    }

    /// Forgets the credential that a backend refused: the next call looks it up again, so that a
    /// new token in its file is found without a restart.
    pub(crate) fn forget(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Describes where the credential goes, with its value masked: one line for a dry run.
    pub fn masked(&self) -> Option<String> {
        match &self.auth {
            Auth::None => None,
            Auth::Basic { .. } => Some("Authorization: Basic [REDACTED]".to_owned()),
            Auth::Token { placement, .. } => Some(match placement {
                Placement::Cookie(name) => format!("Cookie: {name}=[REDACTED]"),
                Placement::Header { name, prefix } => format!("{name}: {prefix}[REDACTED]"),
                Placement::Query(name) => format!("(query) {name}=[REDACTED]"),
            }),
        }
    }

    /// Takes over a renewed cookie from an answer of the backend.
    pub(crate) fn observe(&self, headers: &HeaderMap) {
        let Auth::Token { placement: Placement::Cookie(name), .. } = &self.auth else { return };
        let renewed = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter_map(|cookie| cookie.split(';').next()?.trim().split_once('='))
            .filter(|(cookie, value)| cookie == name && !value.is_empty())
            .map(|(_, value)| value)
            .next_back();
        let Some(value) = renewed else { return };
        let Ok(applied) = Applied::cookie(name, value) else { return };
        tracing::info!(cookie = %name, "the backend renewed the credential's cookie");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(applied));
    }

    fn prepare(&self) -> Result<Applied, String> {
        match &self.auth {
            Auth::None => Ok(Applied::default()),
            Auth::Basic { username, password } => {
                let username = self.source.find(username)?;
                let password = match password {
                    Some(name) => self.source.find(name)?,
                    None => SecretString::default(),
                };
                if username.expose_secret().contains(':') {
                    return Err("a user name for Basic authentication cannot contain `:`".into());
                }
                let pair = format!("{}:{}", username.expose_secret(), password.expose_secret());
                let encoded = STANDARD.encode(pair);
                let value = sensitive(&format!("Basic {encoded}"))?;
                Ok(Applied {
                    header: Some((header::AUTHORIZATION, value)),
                    query: None,
                    secrets: vec![password, encoded.into()],
                })
            }
            Auth::Token { credential, placement } => {
                let token = self.source.find(credential)?;
                let describe = |error| format!("credential `{credential}` {error}");
                match placement {
                    Placement::Cookie(name) => {
                        Applied::cookie(name, token.expose_secret()).map_err(describe)
                    }
                    Placement::Header { name, prefix } => {
                        let value = sensitive(&format!("{prefix}{}", token.expose_secret()))
                            .map_err(describe)?;
                        let header = Some((name.clone(), value));
                        Ok(Applied { header, query: None, secrets: vec![token] })
                    }
                    Placement::Query(name) => Ok(Applied {
                        header: None,
                        query: Some((name.clone(), token.clone())),
                        secrets: vec![token],
                    }),
                }
            }
        }
    }
}

impl Applied {
    fn cookie(name: &str, value: &str) -> Result<Self, String> {
        if value.contains([';', ',', ' ', '"', '\\']) {
            return Err("has characters that a cookie cannot hold (RFC 6265)".to_owned());
        }
        let header = Some((header::COOKIE, sensitive(&format!("{name}={value}"))?));
        Ok(Self { header, query: None, secrets: vec![value.into()] })
    }

    /// Adds the credential to a request.
    pub(crate) fn apply(&self, url: &mut Url, headers: &mut HeaderMap) {
        if let Some((name, value)) = &self.header {
            headers.insert(name, value.clone());
        }
        if let Some((name, value)) = &self.query {
            url.query_pairs_mut().append_pair(name, value.expose_secret());
        }
    }

    /// Returns the values that must not come back in an answer.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        self.secrets.iter().map(SecretString::expose_secret).collect()
    }
}

/// Makes a header value that `Debug` does not print.
fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "has characters that a header field cannot hold".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str);

    impl CredentialSource for Fixed {
        fn find(&self, _: &CredentialName) -> Result<SecretString, String> {
            Ok(self.0.into())
        }
    }

    fn sent(auth: Auth, value: &'static str) -> (String, HeaderMap) {
        let authenticator = Authenticator::new(auth, Box::new(Fixed(value)));
        let mut url = Url::parse("http://h/p?a=1").unwrap();
        let mut headers = HeaderMap::new();
        authenticator.applied().unwrap().apply(&mut url, &mut headers);
        (url.to_string(), headers)
    }

    fn token(placement: Placement) -> Auth {
        Auth::Token { credential: CredentialName("t".into()), placement }
    }

    #[test]
    fn puts_a_token_where_the_descriptor_says() {
        let (_, headers) = sent(token(Placement::Cookie("session".into())), "tok");
        assert_eq!(headers[header::COOKIE], "session=tok");
        let bearer =
            Placement::Header { name: header::AUTHORIZATION, prefix: "Bearer ".to_owned() };
        let (_, headers) = sent(token(bearer), "tok");
        assert_eq!(headers[header::AUTHORIZATION], "Bearer tok");
        assert!(headers[header::AUTHORIZATION].is_sensitive());
        let (url, _) = sent(token(Placement::Query("key".into())), "a b");
        assert_eq!(url, "http://h/p?a=1&key=a+b");
    }

    #[test]
    fn encodes_basic_credentials() {
        let auth = Auth::Basic {
            username: CredentialName("u".into()),
            password: Some(CredentialName("p".into())),
        };
        let (_, headers) = sent(auth, "Aladdin");
        assert_eq!(headers[header::AUTHORIZATION], "Basic QWxhZGRpbjpBbGFkZGlu");
    }

    #[test]
    fn refuses_a_token_that_would_break_the_header() {
        let auth = token(Placement::Cookie("session".into()));
        let error = Authenticator::new(auth, Box::new(Fixed("a;b"))).applied().err().unwrap();
        assert!(error.contains("cookie cannot hold"), "{error}");
        assert!(!error.contains("a;b"), "{error}");
    }

    #[test]
    fn a_renewed_cookie_replaces_the_token() {
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(Fixed("old")));
        let mut answer = HeaderMap::new();
        let renewed = HeaderValue::from_static("session=new; Path=/; HttpOnly");
        answer.insert(header::SET_COOKIE, renewed);
        authenticator.observe(&answer);
        let mut headers = HeaderMap::new();
        let mut url = Url::parse("http://h/").unwrap();
        authenticator.applied().unwrap().apply(&mut url, &mut headers);
        assert_eq!(headers[header::COOKIE], "session=new");
    }

    #[test]
    fn a_refused_credential_is_looked_up_again() {
        struct Counting(std::sync::atomic::AtomicU32);
        impl CredentialSource for Counting {
            fn find(&self, _: &CredentialName) -> Result<SecretString, String> {
                let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(format!("token-{number}").into())
            }
        }
        let source = Counting(std::sync::atomic::AtomicU32::new(0));
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(source));
        let current = || authenticator.applied().unwrap().secrets().concat();
        assert_eq!([current(), current()], ["token-0", "token-0"]);
        authenticator.forget();
        assert_eq!(current(), "token-1");
    }

    #[test]
    fn debug_shows_no_secret() {
        let auth = token(Placement::Cookie("session".into()));
        let authenticator = Authenticator::new(auth, Box::new(Fixed("s3cr3t")));
        authenticator.applied().unwrap();
        assert!(!format!("{authenticator:?}").contains("s3cr3t"));
    }
}
