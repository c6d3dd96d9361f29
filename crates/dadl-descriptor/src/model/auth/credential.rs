//! The name of a credential, and where it goes in a request.

use std::fmt;

use http::HeaderName;

/// Where a token goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlacement {
    /// A cookie of this name (RFC 6265), merged with other cookies.
    Cookie(String),
    /// A header field whose value is `prefix` and the token.
    Header {
        /// The field name.
        name: HeaderName,
        /// Goes before the token; with `Bearer ` this is RFC 6750.
        prefix: String,
    },
    /// A query parameter.
    Query(String),
}

impl TokenPlacement {
    pub(super) fn query_name(&self) -> Option<&str> {
        match self {
            Self::Query(name) => Some(name),
            Self::Cookie(_) | Self::Header { .. } => None,
        }
    }
}

/// The reference name of a credential, such as `xen_orchestra_token` or `vault/stripe-key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialName(pub String);

impl fmt::Display for CredentialName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
