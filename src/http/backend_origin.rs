//! The origins to which requests of a backend go: its own, and those that the operator admits.
//!
//! Each has clients and a rate limit of its own, so that neither a connection nor what a server says
//! about itself counts at another. What belongs to the backend (its credential, the operator's header
//! fields and client certificate) stays at its own origin, unless the operator sends it along; what is
//! accepted of its certificate always does.

use std::{borrow::Cow, sync::OnceLock};

use reqwest::Client;
use rustls::ClientConfig;
use url::Url;

use super::{
    client::{self, ClientPurpose},
    client_certificate::{ClientCertificate, IdentityFiles, RenewingClient},
    client_error::ClientError,
    connection_guard::ConnectionGuard,
    runtime_clients::RuntimeClients,
    throttle::BackendThrottle,
    tls,
};
use crate::{
    access::AllowedOrigin,
    call::{BaseUrl, is_same_origin},
    config::{AddressKey, BackendSettings},
};

/// One origin of a backend.
#[derive(Debug)]
pub(super) struct BackendOrigin {
    url: Url,
    /// Whether it is that of the base URL.
    pub(super) is_own: bool,
    /// Whether requests carry what belongs to the backend.
    pub(super) has_credential: bool,
    /// What its answers said about how much may be asked.
    pub(super) throttle: BackendThrottle,
    /// One for each use: answers, downloads, what lasts, messages.
    clients: [RuntimeClients; 4],
    /// The same, where a certificate is shown.
    renewing: [RenewingClient; 4],
    /// What all of them say to a server that asks for no certificate.
    tls: OnceLock<Result<ClientConfig, ClientError>>,
}

impl BackendOrigin {
    /// The origin of the base URL.
    pub(super) fn own(base: &BaseUrl) -> Self {
        Self::new(base.as_url().clone(), true, true)
    }

    /// Those that the operator admits besides it.
    pub(super) fn others(allowed: &[AllowedOrigin], base: &BaseUrl) -> Vec<Self> {
        let others = allowed.iter().filter(|allowed| !allowed.is_at(base.as_url()));
        others.map(|it| Self::new(it.url().clone(), false, it.credential)).collect()
    }

    fn new(url: Url, is_own: bool, has_credential: bool) -> Self {
        let (throttle, clients, renewing, tls) = Default::default();
        Self { url, is_own, has_credential, throttle, clients, renewing, tls }
    }

    /// Returns whether a request for `url` goes here.
    pub(super) fn has(&self, url: &Url) -> bool {
        is_same_origin(&self.url, url)
    }

    /// Returns the client for `purpose`.
    ///
    /// # Errors
    ///
    /// It cannot be built.
    pub(super) fn client(
        &self,
        settings: &BackendSettings,
        guard: &ConnectionGuard,
        purpose: ClientPurpose,
    ) -> Result<Client, ClientError> {
        let shows = self.has_credential && self.url.scheme() == "https";
        match IdentityFiles::of(settings).filter(|_| shows) {
            None => for_purpose(&self.clients, purpose)
                .client(purpose, || self.build(settings, guard, None, purpose)),
            Some(files) => {
                for_purpose(&self.renewing, purpose).client(files, &self.url, |identity| {
                    self.build(settings, guard, Some(identity), purpose)
                })
            }
        }
    }

    fn build(
        &self,
        settings: &BackendSettings,
        guard: &ConnectionGuard,
        identity: Option<&ClientCertificate>,
        purpose: ClientPurpose,
    ) -> Result<Client, ClientError> {
        let mut settings = Cow::Borrowed(settings);
        let mut guard = Cow::Borrowed(guard);
        if !self.is_own {
            settings.to_mut().tls_skip_verify = false;
            // Who admits it has said where it is.
            guard = Cow::Owned(guard.into_owned().covering(&self.url));
        }
        let key = if self.is_own { AddressKey::BaseUrl } else { AddressKey::ToolPath };
        let tls = || match identity {
            Some(_) => tls::client_config(&settings, &self.url, self.is_own, identity),
            None => {
                let made = || tls::client_config(&settings, &self.url, self.is_own, None);
                self.tls.get_or_init(made).clone()
            }
        };
        client::build_client(&settings, (key, &self.url), &guard, tls, purpose)
    }
}

/// Returns what there is for one use.
fn for_purpose<T>([answers, downloads, lasting, messages]: &[T; 4], purpose: ClientPurpose) -> &T {
    match purpose {
        ClientPurpose::Answers => answers,
        ClientPurpose::Downloads => downloads,
        ClientPurpose::Lasting => lasting,
        ClientPurpose::Messages => messages,
    }
}
