//! Authentication that makes requests of its own: OAuth 2.0 (RFC 6749) and session logins.
//!
//! Values of these types are checked: URLs are absolute and encrypted or on this machine, the
//! path of a login stays below the base URL, every placeholder of a session's fields is one that
//! the login extracts.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use crate::model::{
    RequestMethod,
    auth::credential::{CredentialName, TokenPlacement},
    json_path::JsonPath,
    template::PathTemplate,
};

/// Begins a text in a login's body that names a credential: `credential:example_password`.
pub const CREDENTIAL_MARK: &str = "credential:";

/// `type: oauth2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// What is given for an access token.
    pub grant: OAuth2Grant,
    /// The token endpoint (RFC 6749, section 3.2); `None` for [`OAuth2Grant::JwtBearer`] whose service
    /// account names one.
    pub token_url: Option<Url>,
    /// How the client authenticates to the token endpoint.
    pub client_auth: ClientAuth,
    /// The rights that are asked for (RFC 6749, section 3.3).
    pub scopes: Vec<String>,
    /// How long before its end an access token is renewed.
    pub renew_before: Duration,
    /// Where the access token goes.
    pub placement: TokenPlacement,
    /// The resource that tokens are asked for (RFC 8707); no descriptor names one.
    pub resource: Option<String>,
}

/// What is given for an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OAuth2Grant {
    /// The client's own credentials (RFC 6749, section 4.4).
    ClientCredentials {
        /// Names the client identifier.
        client_id: CredentialName,
        /// Names the client secret.
        client_secret: CredentialName,
    },
    /// A signed assertion (RFC 7523, section 2.1), made with the key of a service account.
    JwtBearer {
        /// Names the credential that holds the service account, a JSON object with
        /// `client_email` and `private_key`.
        service_account: CredentialName,
        /// The `sub` claim, when it is somebody else.
        subject: Option<String>,
    },
    /// A refresh token (RFC 6749, section 6); with [`AuthorizationConsent`] it comes from the authorization
    /// code flow (section 4.1), whose first half a person goes through in `setup`.
    RefreshToken {
        /// Names the client identifier.
        client_id: CredentialName,
        /// Names the client secret; public clients have none.
        client_secret: Option<CredentialName>,
        /// Names the refresh token.
        refresh_token: CredentialName,
        /// Whether each use gives a new refresh token and ends the old one.
        rotates: bool,
        /// How a person agrees, for `flow: authorization_code`.
        consent: Option<Box<AuthorizationConsent>>,
    },
}

/// How a person agrees that this program acts in their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationConsent {
    /// The authorization endpoint (RFC 6749, section 3.1).
    pub authorize_url: Url,
    /// More parameters of the authorization request.
    pub parameters: Vec<(String, String)>,
    /// Where the browser is sent afterwards; a port of this machine when absent.
    pub redirect_uri: Option<Url>,
}

/// How the client authenticates to the token endpoint (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the `Authorization` field.
    Basic,
    /// In the body.
    #[default]
    Post,
}

/// `type: session`.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionAuth {
    /// The request that logs in.
    pub login: LoginRequest,
    /// What is taken from the answer: names, and where in its JSON they are.
    pub extract: Vec<(String, JsonPath)>,
    /// The header fields that then go with every request.
    pub inject: Vec<(HeaderName, FieldTemplate)>,
}

/// The request that logs in.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginRequest {
    /// The method.
    pub method: RequestMethod,
    /// The path below the base URL; it has no placeholders.
    pub path: PathTemplate,
    /// The JSON body.
    pub body: Option<LoginValue>,
    /// `defaults.headers`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// JSON in which texts can be credentials.
#[derive(Debug, Clone, PartialEq)]
pub enum LoginValue {
    /// A list.
    Array(Vec<Self>),
    /// The value of a credential.
    Credential(CredentialName),
    /// Anything that is no secret.
    Literal(Value),
    /// An object, its members in the order of the file.
    Object(Vec<(String, Self)>),
}

/// The value of a header field with `{{name}}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTemplate(Vec<FieldPiece>);

/// A part of a [`FieldTemplate`].
#[derive(Debug, Clone, PartialEq, Eq)]
enum FieldPiece {
    Extracted(String),
    Literal(String),
}

impl OAuth2 {
    /// Renewal this long before the end unless the descriptor says otherwise.
    pub const USUAL_RENEW_BEFORE: Duration = Duration::from_secs(60);

    /// Returns how a person agrees, where that is how the refresh token comes.
    pub fn consent(&self) -> Option<&AuthorizationConsent> {
        match &self.grant {
            OAuth2Grant::RefreshToken { consent, .. } => consent.as_deref(),
            _ => None,
        }
    }

    /// Returns the name of the refresh token when each use of it gives a new one.
    pub fn rotating(&self) -> Option<&CredentialName> {
        match &self.grant {
            OAuth2Grant::RefreshToken { refresh_token, rotates: true, .. } => Some(refresh_token),
            _ => None,
        }
    }
}

impl OAuth2Grant {
    /// Returns the credentials that an operator has to give; the refresh token of an
    /// authorization comes last, since `setup` obtains it.
    pub fn credentials(&self) -> Vec<&CredentialName> {
        match self {
            Self::ClientCredentials { client_id, client_secret } => vec![client_id, client_secret],
            Self::JwtBearer { service_account, .. } => vec![service_account],
            Self::RefreshToken { client_id, client_secret, refresh_token, .. } => {
                let mut names = vec![client_id];
                names.extend(client_secret);
                names.push(refresh_token);
                names
            }
        }
    }

    /// Returns the value of `flow`.
    pub fn flow(&self) -> &'static str {
        match self {
            Self::ClientCredentials { .. } => "client_credentials",
            Self::JwtBearer { .. } => "jwt_bearer",
            Self::RefreshToken { consent: None, .. } => "refresh_token",
            Self::RefreshToken { consent: Some(_), .. } => "authorization_code",
        }
    }
}

impl LoginValue {
    /// Adds the credentials that occur in it to `names`, each once.
    pub fn credentials<'value>(&'value self, names: &mut Vec<&'value CredentialName>) {
        match self {
            Self::Array(items) => items.iter().for_each(|item| item.credentials(names)),
            Self::Object(members) => members.iter().for_each(|(_, item)| item.credentials(names)),
            Self::Credential(name) if !names.contains(&name) => names.push(name),
            Self::Credential(_) | Self::Literal(_) => {}
        }
    }

    /// Puts the values that `find` gives in the place of the names.
    ///
    /// # Errors
    ///
    /// The first error of `find`.
    pub fn fill<E>(
        &self,
        find: &mut impl FnMut(&CredentialName) -> Result<String, E>,
    ) -> Result<Value, E> {
        Ok(match self {
            Self::Array(items) => {
                items.iter().map(|item| item.fill(find)).collect::<Result<Vec<_>, E>>()?.into()
            }
            Self::Credential(name) => find(name)?.into(),
            Self::Literal(value) => value.clone(),
            Self::Object(members) => {
                let filled = members.iter().map(|(key, item)| Ok((key.clone(), item.fill(find)?)));
                filled.collect::<Result<Map<_, _>, E>>()?.into()
            }
        })
    }
}

/// Why a text is no template of a header field. The author's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldTemplateError {
    /// No field can hold it.
    #[error("it has characters that a header field cannot hold")]
    Characters,
    /// The braces hold no name.
    #[error("`{{{{ }}}}` needs a name")]
    Name,
    /// Nothing closes the braces.
    #[error("`{{{{` has no `}}}}`")]
    Open,
}

impl FieldTemplate {
    /// Splits `text` at its `{{name}}`; a brace pair without a partner is an error.
    pub(crate) fn parse(text: &str) -> Result<Self, FieldTemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, tail) = after.split_once("}}").ok_or(FieldTemplateError::Open)?;
            let name = name.trim();
            if name.is_empty() || name.contains(['{', '}']) {
                return Err(FieldTemplateError::Name);
            }
            if !before.is_empty() {
                pieces.push(FieldPiece::Literal(before.to_owned()));
            }
            pieces.push(FieldPiece::Extracted(name.to_owned()));
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(FieldPiece::Literal(rest.to_owned()));
        }
        let is_legal = |piece: &FieldPiece| match piece {
            FieldPiece::Literal(text) => HeaderValue::from_str(text).is_ok(),
            FieldPiece::Extracted(_) => true,
        };
        if !pieces.iter().all(is_legal) {
            return Err(FieldTemplateError::Characters);
        }
        Ok(Self(pieces))
    }

    /// Returns the names between the braces, from left to right.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            FieldPiece::Extracted(name) => Some(name.as_str()),
            FieldPiece::Literal(_) => None,
        })
    }

    /// Returns the value with `find(name)` in the place of each `{{name}}`.
    pub fn fill<'value>(&self, find: impl Fn(&str) -> &'value str) -> String {
        let texts = self.0.iter().map(|piece| match piece {
            FieldPiece::Extracted(name) => find(name),
            FieldPiece::Literal(text) => text,
        });
        texts.collect()
    }
}

/// Why no secret is sent to a URL. The fault of whoever gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It holds a secret itself.
    #[error("it cannot hold a user name or a password")]
    Credentials,
    /// A fragment is never sent.
    #[error("it cannot have a fragment")]
    Fragment,
    /// Anybody on the way could read it.
    #[error("secrets go there, so that it must be https")]
    Plain,
    /// It is no address on the web.
    #[error("the scheme must be https")]
    Scheme,
}

/// Returns why a token or authorization endpoint cannot be used: a secret goes there, so that it
/// has to be encrypted or on this machine.
pub fn check_endpoint(url: &Url) -> Result<(), EndpointError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::Credentials);
    }
    if url.fragment().is_some() {
        return Err(EndpointError::Fragment);
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err(EndpointError::Plain),
        _ => Err(EndpointError::Scheme),
    }
}

/// Returns whether the host of `url` is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_filled_from_what_was_extracted() {
        let fill = |text: &str| {
            FieldTemplate::parse(text)
                .map(|template| template.fill(|name| if name == "token" { "t0k" } else { "?" }))
                .map_err(|error| error.to_string())
        };
        assert_eq!(fill("Bearer {{token}}").as_deref(), Ok("Bearer t0k"));
        assert_eq!(fill("a={{ token }}; b={{other}}").as_deref(), Ok("a=t0k; b=?"));
        assert_eq!(fill("plain").as_deref(), Ok("plain"));
        assert_eq!(fill("{{token"), Err("`{{` has no `}}`".to_owned()));
        assert_eq!(fill("{{}}"), Err("`{{ }}` needs a name".to_owned()));
        let odd = "it has characters that a header field cannot hold";
        assert_eq!(fill("a\nb"), Err(odd.to_owned()));
    }

    #[test]
    fn credentials_are_filled_in_at_any_depth() {
        let name = |text: &str| LoginValue::Credential(CredentialName(text.to_owned()));
        let body = LoginValue::Object(vec![
            ("user".to_owned(), name("u")),
            ("more".to_owned(), LoginValue::Array(vec![name("p"), name("u")])),
            ("kind".to_owned(), LoginValue::Literal(json!(1))),
        ]);
        let mut names = Vec::new();
        body.credentials(&mut names);
        assert_eq!(names.iter().map(|name| name.0.as_str()).collect::<Vec<_>>(), ["u", "p"]);
        let filled = body.fill(&mut |name| Ok::<_, ()>(format!("<{name}>")));
        assert_eq!(filled, Ok(json!({ "user": "<u>", "more": ["<p>", "<u>"], "kind": 1 })));
        assert_eq!(body.fill(&mut |_| Err("missing")), Err("missing"));
    }

    #[test]
    fn secrets_go_over_tls_or_stay_on_this_machine() {
        let check = |text: &str| check_endpoint(&Url::parse(text).unwrap()).is_ok();
        for good in ["https://a/token", "http://127.0.0.1:1/t", "http://localhost/t?x=1"] {
            assert!(check(good), "{good}");
        }
        for bad in ["http://a/t", "ftp://a/t", "https://u:p@a/", "https://a/#f", "http://10.0.0.1/"]
        {
            assert!(!check(bad), "{bad}");
        }
    }
}
