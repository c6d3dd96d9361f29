//! How requests authenticate.

mod credential;
pub mod login;
pub mod receivers;
pub mod rules;

use http::HeaderName;

pub use self::credential::{CredentialName, TokenPlacement};
use self::login::{OAuth2, SessionAuth};

/// How requests authenticate.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthScheme {
    /// RFC 7617; the password may be absent.
    Basic {
        /// Names the credential that holds the user name.
        username: CredentialName,
        /// Names the credential that holds the password.
        password: Option<CredentialName>,
    },
    /// No credential is needed (`credential: none`).
    None,
    /// An access token that the program obtains and renews.
    OAuth2(Box<OAuth2>),
    /// A login request, whose answer holds what later requests carry.
    Session(Box<SessionAuth>),
    /// Several secrets that go together (`_dadl_mcp.auth.also`): each a token or basic.
    Several(Vec<Self>),
    /// One secret, put in one place: DADL's `bearer` and `apikey`.
    Token {
        /// Names the credential.
        credential: CredentialName,
        /// Where it goes.
        placement: TokenPlacement,
    },
}

impl AuthScheme {
    /// Returns the credentials that are needed, each once.
    pub fn credentials(&self) -> Vec<&CredentialName> {
        match self {
            Self::Basic { username, password } => {
                std::iter::once(username).chain(password).collect()
            }
            Self::None => Vec::new(),
            Self::OAuth2(oauth2) => oauth2.grant.credentials(),
            Self::Session(session) => {
                let mut names = Vec::new();
                if let Some(body) = &session.login.body {
                    body.credentials(&mut names);
                }
                names
            }
            Self::Several(all) => {
                let mut names = Vec::new();
                for name in all.iter().flat_map(Self::credentials) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                names
            }
            Self::Token { credential, .. } => vec![credential],
        }
    }

    /// Returns whether two of them would be in one place of a request, where only one can be.
    pub fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Several(all), one) | (one, Self::Several(all)) => {
                all.iter().any(|each| each.collides(one))
            }
            (
                Self::Token { placement: TokenPlacement::Query(name), .. },
                Self::Token { placement: TokenPlacement::Query(other), .. },
            ) => name == other,
            (Self::Token { placement: TokenPlacement::Cookie(name), .. }, other)
            | (other, Self::Token { placement: TokenPlacement::Cookie(name), .. }) => {
                other.uses_cookie(name)
            }
            (Self::Token { placement: TokenPlacement::Header { name, .. }, .. }, other)
            | (other, Self::Token { placement: TokenPlacement::Header { name, .. }, .. }) => {
                other.uses_header(name)
            }
            (Self::Basic { .. }, other) => other.uses_header(&http::header::AUTHORIZATION),
            _ => false,
        }
    }

    /// Returns whether `name` is a header field that carries the credential.
    pub fn uses_header(&self, name: &HeaderName) -> bool {
        let placement = match self {
            Self::Basic { .. } => return *name == http::header::AUTHORIZATION,
            Self::None => return false,
            Self::Session(session) => {
                return session.inject.iter().any(|(field, _)| field == name);
            }
            Self::Several(all) => return all.iter().any(|one| one.uses_header(name)),
            Self::OAuth2(oauth2) => &oauth2.placement,
            Self::Token { placement, .. } => placement,
        };
        matches!(placement, TokenPlacement::Header { name: field, .. } if field == name)
    }

    /// Returns whether `name` is a parameter of the query that carries the credential.
    pub fn uses_query(&self, name: &str) -> bool {
        match self {
            Self::OAuth2(oauth2) => {
                matches!(&oauth2.placement, TokenPlacement::Query(it) if it == name)
            }
            Self::Several(all) => all.iter().any(|one| one.uses_query(name)),
            Self::Token { placement, .. } => {
                matches!(placement, TokenPlacement::Query(it) if it == name)
            }
            Self::Basic { .. } | Self::None | Self::Session(_) => false,
        }
    }

    /// Returns the names of the credentials in the query.
    pub fn query_names(&self) -> Vec<&str> {
        match self {
            Self::OAuth2(oauth2) => oauth2.placement.query_name().into_iter().collect(),
            Self::Token { placement, .. } => placement.query_name().into_iter().collect(),
            Self::Several(all) => all.iter().flat_map(Self::query_names).collect(),
            Self::Basic { .. } | Self::None | Self::Session(_) => Vec::new(),
        }
    }

    /// Returns whether `name` is a cookie that carries the credential.
    pub fn uses_cookie(&self, name: &str) -> bool {
        // What is put into the whole field may hold several.
        let is_in = |field: &str| {
            field.split(';').any(|pair| pair.split('=').next().is_some_and(|it| it.trim() == name))
        };
        let placement = match self {
            Self::Basic { .. } | Self::None => return false,
            Self::Session(session) => {
                let mut fields = session.inject.iter();
                return fields.any(|(field, template)| {
                    *field == http::header::COOKIE && is_in(&template.fill(|_| ""))
                });
            }
            Self::Several(all) => return all.iter().any(|one| one.uses_cookie(name)),
            Self::OAuth2(oauth2) => &oauth2.placement,
            Self::Token { placement, .. } => placement,
        };
        match placement {
            TokenPlacement::Cookie(cookie) => cookie == name,
            TokenPlacement::Header { name: field, prefix } => {
                *field == http::header::COOKIE && is_in(prefix)
            }
            TokenPlacement::Query(_) => false,
        }
    }
}
