//! Why this program gets no access to an MCP server.

use dadl_descriptor::model::auth::login::EndpointError;
use url::Url;

use crate::{
    config::{PrivateAddress, server_login::shown_url},
    http::{certificate_trust::RefusedCertificate, client_error::ClientError},
};

/// Why nothing came of asking who gives access to a server: sentences for the operator.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The operator: a client for the address cannot be made.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The operator: nothing vouches for the certificate of an authorization server, and nobody has seen it.
    #[error("{} was not asked: {refused}", shown_url(url))]
    Certificate {
        /// Where.
        url: Box<Url>,
        /// Why it is not accepted.
        refused: Box<RefusedCertificate>,
    },
    /// The operator: the client of the settings is the URL of a document that is not taken.
    #[error(
        "`client_id` is the URL of a metadata document, and {issuer} does not say that it takes such; \
         remove it to let `setup` register, or give the id that was registered there"
    )]
    ClientDocument {
        /// The authorization server.
        issuer: String,
    },
    /// The remote: what it says of itself cannot be used.
    #[error("what {url} says of {what} cannot be used: {problem}")]
    Metadata {
        /// Where it says so.
        url: String,
        /// Whom it describes.
        what: &'static str,
        /// What is wrong.
        problem: MetadataProblem,
    },
    /// The network or the remote: no answer.
    #[error("{url} was not reached: {reason}")]
    NoAnswer {
        /// Where.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The operator: nothing gives this program a client.
    #[error(
        "{issuer} registers nobody by itself: register dadl-mcp there, and write the `client_id` that it \
         gets under `auth` of the backend"
    )]
    NoClient {
        /// The authorization server.
        issuer: String,
    },
    /// The remote: nobody describes the authorization server.
    #[error("{issuer} does not describe itself at any of the usual places ({tried})")]
    NoServerMetadata {
        /// The authorization server.
        issuer: String,
        /// Where it was looked for.
        tried: String,
    },
    /// The operator: the server does not name the authorization server of the settings.
    #[error("the server names {named} as authorization server, and not {wanted}; correct `issuer`")]
    OtherIssuer {
        /// What the settings say.
        wanted: String,
        /// What the server says.
        named: String,
    },
    /// The remote: it names a private address.
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    /// The remote: it registers this program not, or in a way that is of no use.
    #[error("{issuer} does not register dadl-mcp: {reason}")]
    Registration {
        /// The authorization server.
        issuer: String,
        /// What it said.
        reason: String,
    },
    /// The operator: one of several has to be chosen.
    #[error(
        "the server names several authorization servers: write one of {named} as `issuer` under `auth`"
    )]
    SeveralIssuers {
        /// All of them.
        named: String,
    },
    /// The remote: it takes too long.
    #[error("asking who gives access took longer than {0} s")]
    Slow(u64),
    /// The remote: it is no MCP server, or it cannot answer now.
    #[error("{url} answered HTTP {status} to the introduction of MCP; is `url` right?")]
    Status {
        /// The server.
        url: String,
        /// The status.
        status: u16,
    },
}

/// What is wrong with what a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataProblem {
    /// It leads where no secret goes.
    #[error("`{key}` is no address to use: {error}")]
    Endpoint {
        /// The key.
        key: &'static str,
        /// Why.
        error: EndpointError,
    },
    /// It is somebody else's.
    #[error("its `issuer` is {theirs}, not {wanted}")]
    Issuer {
        /// What it says.
        theirs: String,
        /// What it should say.
        wanted: String,
    },
    /// It is about something else.
    #[error("its `resource` is {theirs}, which is neither {server} nor a parent of it")]
    Resource {
        /// What it says.
        theirs: String,
        /// The server.
        server: String,
    },
    /// Something is missing or of another type.
    #[error("it has no usable `{0}`")]
    Missing(&'static str),
    /// It is no JSON object.
    #[error("it is no JSON object")]
    NotJson,
    /// Codes could be used by whoever sees them.
    #[error(
        "it does not know PKCE with S256 (`code_challenge_methods_supported`){}",
        if *.is_unsaid { ", or does not say so; if it does, write `assume_pkce: true` under `auth`" } else { "" }
    )]
    Pkce {
        /// Whether it says nothing about it.
        is_unsaid: bool,
    },
    /// It leads in circles, or away.
    #[error("it answers with redirect {0}, which is not followed")]
    Redirect(u16),
    /// It is not there.
    #[error("it answers HTTP {0}")]
    Status(u16),
    /// It is larger than any such document.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
}
