//! Connects only where a backend may lead: an address that a descriptor gave, and that the operator
//! did not name, must be public.
//!
//! What counts is the address of the connection itself: a name is resolved once, by the resolver of
//! the client, which passes on public addresses alone. Numbers are not resolved, and are judged when
//! the client is made. A client serves one origin, so that neither a redirect nor a connection that
//! stays open leads elsewhere. Addresses that the operator covers are resolved as ever.
//!
//! Through a proxy of the operator's, the proxy finds the address: what the name itself says is
//! judged all the same, and no more can be.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{
    ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
};
use url::{Host, Url};

use crate::{
    config::{AddressKey, NetworkReach, PrivateAddress, address},
    files::{HostResolver, SystemResolver},
};

/// Decides about connections of one backend.
#[derive(Clone)]
pub struct ConnectionGuard {
    reach: NetworkReach,
    resolver: Arc<dyn HostResolver>,
}

impl fmt::Debug for ConnectionGuard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl ConnectionGuard {
    /// Lets connections go where `reach` says.
    pub fn new(reach: NetworkReach) -> Self {
        Self { reach, resolver: Arc::new(SystemResolver) }
    }

    /// Finds addresses by `resolver`.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn HostResolver>) -> Self {
        Self { resolver, ..self }
    }

    /// Lets connections go to `url` as well, whatever its address is.
    #[must_use]
    pub(super) fn covering(self, url: &Url) -> Self {
        Self { reach: self.reach.covering(url), ..self }
    }

    /// Lets a client for the origin of `url`, which `key` gives, connect where it may.
    ///
    /// # Errors
    ///
    /// It may not connect at all.
    pub(super) fn watch(
        &self,
        builder: ClientBuilder,
        key: AddressKey,
        url: &Url,
    ) -> Result<ClientBuilder, PrivateAddress> {
        if self.reach.covers(url) {
            return Ok(builder);
        }
        self.reach.check(key, url)?;
        Ok(builder.dns_resolver(Arc::new(self.watcher(key, url))))
    }

    /// Returns the addresses at which `url`, which `key` gives, may be reached.
    ///
    /// # Errors
    ///
    /// There is none, or none that is allowed.
    pub(super) async fn addresses(
        &self,
        key: AddressKey,
        url: &Url,
    ) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        self.reach.check(key, url)?;
        match url.host() {
            Some(Host::Ipv4(address)) => Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => Ok(vec![address.into()]),
            Some(Host::Domain(name)) if self.reach.covers(url) => {
                Ok(self.resolver.resolve(name.to_owned()).await?)
            }
            Some(Host::Domain(name)) => {
                GuardedResolver { proxy: None, ..self.watcher(key, url) }
                    .resolved(name.to_owned())
                    .await
            }
            None => Err("the URL names no host".into()),
        }
    }

    /// Says whether a person may be sent to `url`, which `key` gives.
    ///
    /// # Errors
    ///
    /// The browser would be led into the operator's network.
    pub async fn check(&self, key: AddressKey, url: &Url) -> Result<(), PrivateAddress> {
        self.reach.check(key, url)?;
        if self.reach.covers(url) {
            return Ok(());
        }
        // A name that cannot be resolved here may be known to the browser, which has a proxy.
        match self.addresses(key, url).await {
            Err(error) => match error.downcast::<PrivateAddress>() {
                Ok(refused) => Err(*refused),
                Err(_) => Ok(()),
            },
            Ok(_) => Ok(()),
        }
    }

    fn watcher(&self, key: AddressKey, url: &Url) -> GuardedResolver {
        let refused = self.reach.refused(key, url, None);
        GuardedResolver { refused, proxy: proxy_of(url), resolver: Arc::clone(&self.resolver) }
    }
}

/// Resolves names for one client.
#[derive(Clone)]
struct GuardedResolver {
    /// What is said about an address that is refused.
    refused: PrivateAddress,
    /// The proxy that the client asks for, if any: the operator named it.
    proxy: Option<String>,
    resolver: Arc<dyn HostResolver>,
}

impl GuardedResolver {
    async fn resolved(self, host: String) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        let is_proxy = self.proxy.is_some_and(|proxy| proxy.eq_ignore_ascii_case(&host));
        let mut addresses = self.resolver.resolve(host).await?;
        let private = addresses.iter().copied().find(|found| !address::is_public(*found));
        if !is_proxy {
            addresses.retain(|found| address::is_public(*found));
        }
        match private {
            Some(_) if addresses.is_empty() => {
                Err(PrivateAddress { address: private, ..self.refused }.into())
            }
            _ => Ok(addresses),
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (watcher, host) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let addresses = watcher.resolved(host).await?;
            // The client fills in the port.
            let addresses: Addrs =
                Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// Returns the host of the proxy through which the client goes to `url`. A backend that is itself
/// called like the proxy has no advantage of that.
fn proxy_of(url: &Url) -> Option<String> {
    let target: http::Uri = url.as_str().parse().ok()?;
    // What the client itself asks.
    let proxy = Matcher::from_system().intercept(&target)?;
    let host = proxy.uri().host()?;
    (!target.host()?.eq_ignore_ascii_case(host)).then(|| host.to_owned())
}

/// Returns whether requests to `url` go through a proxy that is spoken to in TLS.
pub(super) fn asks_proxy_in_tls(url: &Url) -> bool {
    let target = url.as_str().parse::<http::Uri>().ok();
    let proxy = target.and_then(|target| Matcher::from_system().intercept(&target));
    proxy.is_some_and(|proxy| proxy.uri().scheme() == Some(&http::uri::Scheme::HTTPS))
}

/// Returns what the guard said, when that is why a request failed.
pub(super) fn address_refusal<'error>(
    error: &'error (dyn Error + 'static),
) -> Option<&'error PrivateAddress> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref() {
            Some(refused) => return Some(refused),
            None => next = error.source(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, future::BoxFuture};
    use proptest::prelude::*;

    use super::*;
    use crate::config::BackendSettings;

    struct Fixed(Vec<IpAddr>);

    impl HostResolver for Fixed {
        fn resolve(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::ready(Ok(self.0.clone())))
        }
    }

    fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
        let v4 = any::<u32>().prop_map(|bits| IpAddr::V4(bits.into()));
        let inner = any::<u32>().prop_map(|bits| IpAddr::V4((0x0a00_0000 | (bits >> 8)).into()));
        let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()));
        let global = any::<u128>().prop_map(|bits| IpAddr::V6(((bits >> 3) | (1 << 125)).into()));
        proptest::collection::vec(prop_oneof![v4, inner, v6, global], 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_name_is_reached_at_its_public_addresses_alone(found in addresses()) {
            let url = Url::parse("https://api.example/v1").unwrap();
            let reach = BackendSettings::new("b", "b.dadl").reach(&url, Some(url.as_str()));
            let guard = ConnectionGuard::new(reach).with_resolver(Arc::new(Fixed(found.clone())));
            let passed = guard.addresses(AddressKey::BaseUrl, &url).now_or_never().unwrap();
            let public: Vec<IpAddr> =
                found.iter().copied().filter(|found| address::is_public(*found)).collect();
            match passed {
                Ok(passed) => prop_assert_eq!(passed, public),
                Err(error) => {
                    let refused = error.downcast_ref::<PrivateAddress>().unwrap();
                    prop_assert!(public.is_empty() && found.first().copied() == refused.address);
                }
            }
        }
    }
}
