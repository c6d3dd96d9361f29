//! The authorization that MCP itself specifies for servers at a URL, as a client.
//!
//! A server that lets nobody in says who gives access to it ([`BearerChallenge`], RFC 9728); whoever that
//! is describes itself (RFC 8414, OpenID Connect Discovery) and registers this program, if it has to be
//! (RFC 7591). What comes of it is a [`ServerLogin`](crate::config::server_login::ServerLogin), which
//! `setup` stores and a run makes an ordinary login of ([`AuthorizedServer`]).
//!
//! **Invariants:** all of it is the word of strangers, and bounded. Who describes something is whom it is
//! about; what is sent goes to encrypted addresses or stays on this machine; no redirect is followed. An
//! address that a server names is public, unless the operator names it or the server is in the same
//! network: no server has us ask what only we can reach. Without PKCE nobody is sent anywhere.

mod authorized;
mod challenge;
mod discovery;
mod documents;
mod error;
mod registration;
mod requests;
mod stored_login;

pub(crate) use self::stored_login::StoredLogin;
pub use self::{
    authorized::{AuthorizedServer, LoginProblem},
    challenge::{BearerChallenge, ServerRefusal, scopes_in},
    discovery::{Discovery, discover},
    documents::{IssuerMetadata, ResourceMetadata},
    error::{AuthorizationError, MetadataProblem},
    registration::{RegisteredClient, client_auth, register_client},
    requests::{IntroductionAnswer, ServerSite},
};

/// So many rights are looked at.
const MOST_SCOPES: usize = 64;

/// So many authorization servers of one server.
const MOST_ISSUERS: usize = 16;

/// A document that is larger is none.
const MOST_BYTES: usize = 256 * 1024;
