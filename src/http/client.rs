//! Builds the pooled HTTP client of one backend, when its first request needs it.
//!
//! Reading the system's certificates takes longer than everything else at start, so it waits
//! until there is something to send, and is left out for a plain `http` base URL.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect::Policy};
use rustls::ClientConfig;
use url::Url;

use super::{
    client_error::ClientError, connection_guard::ConnectionGuard,
    crypto_provider::install_provider, tls::read_certificates,
};
use crate::config::{AddressKey, BackendSettings, BackendTimeouts};

/// The user agent that backends see.
const USER_AGENT: &str = concat!("dadl-mcp/", env!("CARGO_PKG_VERSION"));

/// How long a connection without a timeout is silent before the system asks whether the other end
/// is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientPurpose {
    /// Answers that are read at once.
    Answers,
    /// Files that are saved, which may take long to be prepared. A connection that carried one keeps a large buffer, and so hardly any of
    /// these stays open for a next one.
    Downloads,
    /// Files that are sent, and answers without an end: the silence of the backend has no bound.
    Lasting,
    /// Messages of another protocol, whose answers begin when they do: whoever waits has a bound.
    Messages,
}

impl ClientPurpose {
    /// Returns whether each runtime has connections of its own: files move for longer than it takes to wake
    /// another thread, and their connections are dear.
    pub(super) fn is_of_runtime(self) -> bool {
        matches!(self, Self::Answers | Self::Messages)
    }

    /// How many connections to a backend stay open for the next request. With fewer of them than calls run
    /// at once, a burst of answers closes connections that the next calls open again.
    fn idle_connections(self, settings: &BackendSettings) -> usize {
        match self {
            Self::Answers | Self::Messages => settings.max_calls,
            Self::Downloads | Self::Lasting => 4,
        }
    }
}

/// Builds a client for the origin of `url`, which `key` gives; `guard` decides where it connects, and `tls` gives the
/// settings of TLS where the origin has it.
///
/// The read timeout of the client runs from the start of a request, however long that takes to be
/// sent; the clients for what lasts and for files leave it out: [`super::upload::UploadActivity`] takes its
/// place, or `first_byte_timeout` and `stall_timeout` do.
pub(crate) fn build_client(
    settings: &BackendSettings,
    (key, url): (AddressKey, &Url),
    guard: &ConnectionGuard,
    tls: impl FnOnce() -> Result<ClientConfig, ClientError>,
    purpose: ClientPurpose,
) -> Result<Client, ClientError> {
    install_provider();
    let BackendTimeouts { connect, read, .. } = settings.timeouts;
    let mut builder: ClientBuilder = Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect)
        .referer(false)
        .pool_max_idle_per_host(purpose.idle_connections(settings))
        // Redirects are followed by `redirect`, which knows what may be repeated where.
        .redirect(Policy::none());
    builder = if purpose != ClientPurpose::Answers {
        // A peer that is gone without a word is noticed, however long nothing is to be said.
        builder.tcp_keepalive(KEEP_ALIVE)
    } else {
        builder.read_timeout(read)
    };
    builder = if url.scheme() == "https" {
        builder.tls_backend_preconfigured(tls()?)
    } else {
        if let Some(path) = &settings.ca_file {
            // A mistake is told all the same.
            read_certificates(path)?;
        }
        // A plain backend needs no certificates; redirects to TLS are another origin.
        builder.tls_certs_only([])
    };
    let builder = guard.watch(builder, key, url)?;
    builder.build().map_err(|error| ClientError::Client(crate::outcome::chain(&error)))
}
