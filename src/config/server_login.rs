//! What is kept of a login at an MCP server: who gives access to what, and as whom.
//!
//! `setup` finds that out once, and a person has seen it. A run looks nothing up: it takes the record,
//! which makes an ordinary login of it ([`ServerLogin::auth`]). The record goes to the server alone, by
//! the binding of the store, and the tokens to the server and to who gave them, as it says.

use std::collections::BTreeSet;

use dadl_descriptor::model::{
    AuthScheme, CredentialName, TokenPlacement,
    auth::login::{ClientAuth, EndpointError, OAuth2, OAuth2Grant, check_endpoint},
};
use http::header;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    BackendSettings, LoginPin, Origin,
    binding::CredentialRecipient,
    credentials::{CredentialError, CredentialResolver},
    network_reach::PrivateHost,
};

/// A login at an MCP server, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLogin {
    /// The resource that tokens are for, as the server writes it.
    pub resource: String,
    /// The authorization server, as it writes itself.
    pub issuer: String,
    /// Where tokens come from.
    pub token_endpoint: EndpointUrl,
    /// Where they are given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<EndpointUrl>,
    /// What access tokens are made of.
    pub gives: LoginGift,
    /// The credential that holds the secret of the client; a public one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// How the client shows its secret.
    #[serde(default)]
    pub client_auth: ClientAuthKind,
    /// The rights that were granted, or asked for where the server did not say.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What `setup` registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<ClientRegistration>,
    /// Whether a person agreed that the endpoints have private addresses.
    #[serde(default)]
    pub is_private: bool,
    /// Certificates of the authorization server that a person has seen, and nothing vouches for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<LoginPin>,
}

/// An address that secrets may go to: it is encrypted, or of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl(pub Url);

/// Why a text is no address that secrets may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUrlError {
    /// It is no URL.
    #[error("it is no URL: {0}")]
    Url(#[from] url::ParseError),
    /// It is not encrypted, or has a password.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl TryFrom<String> for EndpointUrl {
    type Error = EndpointUrlError;

    fn try_from(text: String) -> Result<Self, EndpointUrlError> {
        let url = Url::parse(&text)?;
        check_endpoint(&url)?;
        Ok(Self(url))
    }
}

impl From<EndpointUrl> for String {
    fn from(EndpointUrl(url): EndpointUrl) -> Self {
        url.into()
    }
}

/// What a login gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginGift {
    /// An access token alone.
    AccessToken,
    /// The client has credentials of its own.
    ClientCredentials,
    /// A refresh token.
    RefreshToken,
}

/// How a client shows its secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthKind {
    /// In the `Authorization` field.
    Basic,
    /// In the body.
    #[default]
    Post,
}

impl From<ClientAuthKind> for ClientAuth {
    fn from(kind: ClientAuthKind) -> Self {
        match kind {
            ClientAuthKind::Basic => Self::Basic,
            ClientAuthKind::Post => Self::Post,
        }
    }
}

/// A client that `setup` registered (RFC 7591).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRegistration {
    /// Where the browser may come back to.
    pub redirect_uri: EndpointUrl,
    /// When its secret ends, in seconds since 1970; 0 for never.
    #[serde(default)]
    pub secret_ends: u64,
}

/// Why a stored login is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerLoginError {
    /// The operator: it cannot be read, or goes elsewhere.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// Somebody changed it, or a newer version wrote it.
    #[error("the stored login at the MCP server \"{backend}\" cannot be read; run `{command}`")]
    Damaged {
        /// The backend.
        backend: String,
        /// What makes another.
        command: String,
    },
    /// The operator: the URL has changed since.
    #[error(
        "the stored login is for {resource}, and the MCP server \"{backend}\" is at {url}; run `{command}`"
    )]
    Elsewhere {
        /// The backend.
        backend: String,
        /// What the login is for.
        resource: String,
        /// Where the server is.
        url: String,
        /// What makes another.
        command: String,
    },
}

/// What the parts of a login are called in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginNames {
    /// The [`ServerLogin`].
    pub record: CredentialName,
    /// The client.
    pub client_id: CredentialName,
    /// Its secret, where `setup` registered it.
    pub client_secret: CredentialName,
    /// The access token, where there is no other.
    pub access_token: CredentialName,
    /// The refresh token.
    pub refresh_token: CredentialName,
}

impl LoginNames {
    /// Names the parts of the login of `backend`.
    pub fn of(backend: &str) -> Self {
        let name = |part: &str| CredentialName(format!("{backend}_{part}"));
        Self {
            record: name("login"),
            client_id: name("client_id"),
            client_secret: name("client_secret"),
            access_token: name("access_token"),
            refresh_token: name("refresh_token"),
        }
    }
}

impl ServerLogin {
    /// Returns what is stored for the server of `backend` at `url`, or drafted.
    ///
    /// # Errors
    ///
    /// See [`ServerLoginError`].
    pub fn load(
        credentials: &CredentialResolver,
        backend: &BackendSettings,
        url: &Url,
    ) -> Result<Option<Self>, ServerLoginError> {
        let origins: BTreeSet<Origin> = Origin::of(url).into_iter().collect();
        let recipient = CredentialRecipient { backend, origins: &origins };
        let names = LoginNames::of(&backend.name);
        let Some(text) = credentials.kept(recipient, &names.record)? else { return Ok(None) };
        let (backend, command) = (backend.name.clone(), backend.setup_command());
        let Some(login) = Self::read(&text) else {
            return Err(ServerLoginError::Damaged { backend, command });
        };
        let is_here =
            Url::parse(&login.resource).is_ok_and(|resource| covers_server(&resource, url));
        if !is_here {
            let (resource, url) = (login.resource, shown_url(url));
            return Err(ServerLoginError::Elsewhere { backend, resource, url, command });
        }
        Ok(Some(login))
    }

    /// Reads a record; `None` for what is none.
    pub fn read(text: &SecretString) -> Option<Self> {
        serde_json::from_str(text.expose_secret()).ok()
    }

    /// Writes the record.
    pub fn write(&self) -> SecretString {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Returns how requests to the server of `backend` log in.
    pub fn auth(&self, backend: &str) -> AuthScheme {
        let names = LoginNames::of(backend);
        let placement =
            TokenPlacement::Header { name: header::AUTHORIZATION, prefix: "Bearer ".to_owned() };
        let client_id = names.client_id;
        let client_secret = self.client_secret.clone().map(CredentialName);
        let grant = match (self.gives, client_secret) {
            (LoginGift::AccessToken, _) | (LoginGift::ClientCredentials, None) => {
                return AuthScheme::Token { credential: names.access_token, placement };
            }
            (LoginGift::ClientCredentials, Some(client_secret)) => {
                OAuth2Grant::ClientCredentials { client_id, client_secret }
            }
            // A server may replace what a public client shows each time, and says so only then.
            (LoginGift::RefreshToken, client_secret) => OAuth2Grant::RefreshToken {
                client_id,
                client_secret,
                refresh_token: names.refresh_token,
                rotates: true,
                consent: None,
            },
        };
        AuthScheme::OAuth2(Box::new(OAuth2 {
            grant,
            token_url: Some(self.token_endpoint.0.clone()),
            client_auth: self.client_auth.into(),
            scopes: self.scopes.clone(),
            renew_before: OAuth2::USUAL_RENEW_BEFORE,
            placement,
            resource: Some(self.resource.clone()),
        }))
    }

    /// Returns where the login of the server at `url` goes, or what it gives.
    pub fn origins(&self, url: &Url) -> BTreeSet<Origin> {
        [url, &self.token_endpoint.0].into_iter().filter_map(Origin::of).collect()
    }

    /// Lets `backend` reach the endpoints where a person agreed to their addresses and certificates.
    pub fn admit(&self, backend: &mut BackendSettings) {
        backend.login_pins.extend(self.pins.iter().cloned());
        let endpoints = std::iter::once(&self.token_endpoint).chain(&self.revocation_endpoint);
        backend
            .allow_private_hosts
            .extend(endpoints.filter(|_| self.is_private).filter_map(|it| PrivateHost::of(&it.0)));
    }
}

/// Returns whether a login for `resource` is one for the server at `server`: it is the same, or its path
/// leads there, and nothing of it is left out.
pub(crate) fn covers_server(resource: &Url, server: &Url) -> bool {
    let is_plain = resource.username().is_empty()
        && resource.password().is_none()
        && resource.fragment().is_none();
    if !is_plain || resource.origin() != server.origin() || !resource.has_host() {
        return false;
    }
    if resource.query().is_some() && resource.query() != server.query() {
        return false;
    }
    let parent = resource.path().trim_end_matches('/');
    let rest = server.path().trim_end_matches('/').strip_prefix(parent);
    rest.is_some_and(|rest| {
        rest.is_empty() || (rest.starts_with('/') && resource.query().is_none())
    })
}

/// Writes the URL of a server without its query, which may hold anything.
pub(crate) fn shown_url(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_the_server_or_a_parent_of_it() {
        let covers = |resource: &str, server: &str| {
            covers_server(&Url::parse(resource).unwrap(), &Url::parse(server).unwrap())
        };
        let server = "https://a.example/x/mcp";
        for resource in [
            "https://a.example/x/mcp",
            "HTTPS://A.example:443/x/mcp/",
            "https://a.example/x",
            "https://a.example/",
            "https://a.example",
        ] {
            assert!(covers(resource, server), "{resource}");
        }
        for resource in [
            "https://b.example/x/mcp",
            "http://a.example/x/mcp",
            "https://a.example:8443/x/mcp",
            "https://a.example/x/mcp/more",
            "https://a.example/x/mc",
            "https://a.example/y",
            "https://a.example/x/../y",
            "https://a.example/x?team=1",
            "https://a.example/x/mcp?team=1",
            "https://u@a.example/x",
            "https://a.example/x#y",
        ] {
            assert!(!covers(resource, server), "{resource}");
        }
        assert!(covers("https://a.example/mcp?team=1", "https://a.example/mcp?team=1"));
        assert!(covers("https://a.example/mcp", "https://a.example/mcp?team=1"));
        assert!(!covers("https://a.example/mcp?team=2", "https://a.example/mcp?team=1"));
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_holds_no_secret() {
        let login = ServerLogin {
            resource: "https://a.example/mcp".to_owned(),
            issuer: "https://auth.example".to_owned(),
            token_endpoint: EndpointUrl(Url::parse("https://auth.example/token").unwrap()),
            revocation_endpoint: None,
            gives: LoginGift::RefreshToken,
            client_secret: None,
            client_auth: ClientAuthKind::Post,
            scopes: vec!["read".to_owned()],
            registration: None,
            is_private: false,
            pins: Vec::new(),
        };
        assert_eq!(ServerLogin::read(&login.write()).as_ref(), Some(&login));
        assert_eq!(ServerLogin::read(&"{}".into()), None);
        let AuthScheme::OAuth2(oauth2) = login.auth("a") else { panic!("no login") };
        assert_eq!(oauth2.resource.as_deref(), Some("https://a.example/mcp"));
        assert_eq!(oauth2.rotating().map(|name| name.0.as_str()), Some("a_refresh_token"));
        let here = Url::parse("https://a.example/mcp").unwrap();
        let origins: Vec<String> = login.origins(&here).into_iter().map(String::from).collect();
        assert_eq!(origins, ["https://a.example", "https://auth.example"]);
    }
}
