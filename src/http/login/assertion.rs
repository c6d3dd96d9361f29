//! Signed assertions for `jwt_bearer` (RFC 7523), with the key of a service account (RS256,
//! RFC 7518, section 3.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dadl_descriptor::model::auth::login::{EndpointError, check_endpoint};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

/// How long an assertion is good for; servers allow an hour at most.
const LIFETIME: Duration = Duration::from_secs(300);

/// Clocks differ: the assertion claims to be this old.
const LEEWAY: Duration = Duration::from_secs(30);

/// The key of a service account, as Google's consoles write it.
#[derive(Deserialize)]
pub(super) struct ServiceAccount {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// Why a service account is of no use. The operator's fault; the text shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// It is something else.
    #[error("is not a service account: a JSON object with `client_email` and `private_key`")]
    Malformed,
    /// Neither it nor the descriptor says where tokens come from.
    #[error("names no `token_uri`")]
    NoTokenUri,
    /// It is no URL.
    #[error("names a `token_uri` that is no URL")]
    TokenUri,
    /// No secret goes there.
    #[error("names an unusable `token_uri`: {0}")]
    UnusableTokenUri(#[from] EndpointError),
    /// It is no key.
    #[error("has a `private_key` that is no PEM key")]
    NoPem,
    /// It is another kind of key.
    #[error("has a `private_key` that is no RSA key")]
    NoRsa,
    /// It is broken or short.
    #[error("has a `private_key` that is no RSA key of 2048 bits or more")]
    WeakRsa,
    /// It is broken in another way.
    #[error("has a `private_key` that cannot sign")]
    CannotSign,
}

impl ServiceAccount {
    /// Reads a service account.
    pub(super) fn parse(text: &str) -> Result<Self, AccountError> {
        serde_json::from_str(text).map_err(|_| AccountError::Malformed)
    }

    /// Returns the token endpoint that the account names.
    pub(super) fn token_url(&self) -> Result<Url, AccountError> {
        let text = self.token_uri.as_deref().ok_or(AccountError::NoTokenUri)?;
        let url = Url::parse(text).map_err(|_| AccountError::TokenUri)?;
        check_endpoint(&url)?;
        Ok(url)
    }

    /// Signs an assertion for the token endpoint `audience`, by the clock `now`.
    pub(super) fn assertion(
        &self,
        audience: &Url,
        scopes: &[String],
        subject: Option<&str>,
        now: SystemTime,
    ) -> Result<String, AccountError> {
        let seconds = |time: Option<SystemTime>| {
            time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default().as_secs()
        };
        let mut head = json!({ "alg": "RS256", "typ": "JWT" });
        if let (Some(head), Some(id)) = (head.as_object_mut(), &self.private_key_id) {
            head.insert("kid".to_owned(), id.clone().into());
        }
        let mut claims = json!({
            "iss": self.client_email,
            "sub": subject.unwrap_or(&self.client_email),
            "aud": audience.as_str(),
            "iat": seconds(now.checked_sub(LEEWAY)),
            "exp": seconds(now.checked_add(LIFETIME)),
            "jti": Uuid::new_v4().to_string(),
        });
        if let (Some(claims), false) = (claims.as_object_mut(), scopes.is_empty()) {
            claims.insert("scope".to_owned(), scopes.join(" ").into());
        }
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&head), encode(&claims));
        let key = self.key()?;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| AccountError::CannotSign)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Returns the private key, as it was given.
    pub(super) fn private_key(&self) -> &str {
        &self.private_key
    }

    fn key(&self) -> Result<RsaKeyPair, AccountError> {
        let der = PrivateKeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|_| AccountError::NoPem)?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(AccountError::NoRsa),
        };
        key.map_err(|_| AccountError::WeakRsa)
    }
}
