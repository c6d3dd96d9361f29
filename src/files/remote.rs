//! Files at `https` URLs that a caller names.
//!
//! A caller is a model, and what it reads may have told it the URL: no URL is fetched unless the
//! operator allows it. The address is checked where the connection is made, after the name was
//! resolved, so that no second lookup can lead elsewhere; redirects take the same way. Nothing
//! is sent but a GET: no credential, no cookie, no proxy that would resolve the name again.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, future::BoxFuture};
use http::header;
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use url::{Host, Url};

use super::{
    ByteStream, FileUpload,
    error::{FetchClientError, ReferenceError, UrlRefusal},
    media_type,
};
use crate::{
    config::{FileHosts, FileSettings, address, file_settings::url_authority},
    outcome::chain,
};

/// More redirects than this are a loop.
const MOST_REDIRECTS: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Finds the addresses of a host; tests bring their own.
pub trait HostResolver: Send + Sync + 'static {
    /// Returns the addresses of `host`.
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl HostResolver for SystemResolver {
    fn resolve(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// From where files are fetched: what the settings say, and what they say of one backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchRules<'store> {
    pub(crate) settings: &'store FileSettings,
    pub(crate) of_backend: &'store FileHosts,
}

impl FetchRules<'_> {
    /// Returns whether the operator lets `host` have a private address; ports were checked before.
    fn may_be_private(self, host: &str) -> bool {
        let Self { settings, of_backend } = self;
        settings.allow_private && names_host(&settings.allow_hosts, host)
            || of_backend.allow_private && names_host(&of_backend.hosts, host)
    }

    /// Returns whether the operator has named this host and port.
    fn names(self, authority: &String) -> bool {
        self.settings.allow_hosts.contains(authority) || self.of_backend.hosts.contains(authority)
    }
}

/// Passes on those addresses alone that may be reached.
struct AddressGuard {
    settings: FileSettings,
    of_backend: FileHosts,
    resolver: Arc<dyn HostResolver>,
}

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().trim_end_matches('.').to_owned();
        let rules = FetchRules { settings: &self.settings, of_backend: &self.of_backend };
        let private = rules.may_be_private(&host);
        let found = self.resolver.resolve(host.clone());
        Box::pin(async move {
            let mut addresses = found.await?;
            addresses.retain(|found| private || address::is_public(*found));
            if addresses.is_empty() {
                return Err(format!("{host} has no public address").into());
            }
            // The client fills in the port.
            let addresses: Addrs =
                Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// Returns whether `host` is among hosts that may have ports.
fn names_host(hosts: &[String], host: &str) -> bool {
    let is_named = |allowed: &String| {
        let port = allowed.rsplit_once(':').filter(|(name, port)| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']'))
        });
        port.map_or(allowed.as_str(), |(name, _)| name) == host
    };
    hosts.iter().any(is_named)
}

/// Says why `url` is not fetched.
fn check_url(rules: FetchRules<'_>, url: &Url) -> Result<(), UrlRefusal> {
    if url.scheme() != "https" {
        return Err(UrlRefusal::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRefusal::Credentials);
    }
    let Some(authority) = url_authority(url) else { return Err(UrlRefusal::NoHost) };
    let host = url.host_str().unwrap_or_default();
    // A host that may be private is reached at the port that was named, and at no other.
    let public = rules.settings.allow_public && !rules.may_be_private(host);
    if !public && !rules.names(&authority) {
        return Err(UrlRefusal::Host(authority));
    }
    // Numbers are not resolved, so that the guard does not see them.
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    match literal {
        Some(literal) if !address::is_public(literal) && !rules.may_be_private(host) => {
            Err(UrlRefusal::Private(literal))
        }
        _ => Ok(()),
    }
}

/// Builds the client that fetches.
pub(crate) fn build_client(
    FetchRules { settings, of_backend }: FetchRules<'_>,
    resolver: Arc<dyn HostResolver>,
) -> Result<Client, FetchClientError> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("dadl-mcp/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .redirect(Policy::none())
        .referer(false)
        // A proxy would resolve the name once more.
        .no_proxy()
        .no_gzip()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .dns_resolver(Arc::new(AddressGuard {
            settings: settings.clone(),
            of_backend: of_backend.clone(),
            resolver,
        }));
    if let Some(path) = &settings.ca_file {
        let fail = |reason| FetchClientError::CaFile { path: path.clone(), reason };
        let pem = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        let certificates =
            Certificate::from_pem_bundle(&pem).map_err(|_| fail("is no PEM file".to_owned()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| FetchClientError::Library(chain(&error)))
}

/// Opens the file at a URL.
pub(crate) async fn open_upload(
    client: &Client,
    rules: FetchRules<'_>,
    reference: &str,
) -> Result<FileUpload, ReferenceError> {
    let mut url = Url::parse(reference)?;
    let mut is_redirect = false;
    for _ in 0..=MOST_REDIRECTS {
        check_url(rules, &url)
            .map_err(|refusal| ReferenceError::Refused { is_redirect, refusal })?;
        let request = client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        let response =
            request.send().await.map_err(|error| ReferenceError::Unreachable(chain(&error)))?;
        let status = response.status();
        if status.is_success() {
            return response_upload(response, &url, rules.settings);
        }
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        match location.filter(|_| status.is_redirection()).map(|to| url.join(to)) {
            Some(Ok(target)) => url = target,
            _ => return Err(ReferenceError::Status(status.as_u16())),
        }
        is_redirect = true;
    }
    Err(ReferenceError::Redirects)
}

fn response_upload(
    response: reqwest::Response,
    url: &Url,
    settings: &FileSettings,
) -> Result<FileUpload, ReferenceError> {
    let most = settings.max_upload_bytes;
    let encoded = response.headers().contains_key(header::CONTENT_ENCODING);
    let size = response.content_length();
    if size.is_some_and(|size| size > most) {
        return Err(ReferenceError::TooLarge(most));
    }
    if encoded {
        return Err(ReferenceError::Encoded);
    }
    let name = name_of(url);
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .filter(|value| value.parse::<mime::Mime>().is_ok())
        .map_or_else(|| media_type::of_name(&name).to_owned(), str::to_owned);
    let mut received = 0_u64;
    let stream: ByteStream = response
        .bytes_stream()
        .map(move |piece| {
            let piece = piece.map_err(|error| io::Error::other(chain(&error)))?;
            received += piece.len() as u64;
            if received > most {
                return Err(io::Error::other(ReferenceError::TooLarge(most)));
            }
            Ok(piece)
        })
        .boxed();
    Ok(FileUpload { name, content_type, size, stream })
}

/// Returns the last part of the path, as the name of a file.
fn name_of(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut segments| segments.next_back());
    let name = percent_encoding::percent_decode_str(last.unwrap_or_default());
    let name: String = name.decode_utf8_lossy().chars().filter(|c| !c.is_control()).collect();
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.is_empty() { "file".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_url(settings: &FileSettings, url: &Url) -> Result<(), UrlRefusal> {
        super::check_url(FetchRules { settings, of_backend: &FileHosts::default() }, url)
    }

    fn refused(settings: &FileSettings, url: &str) -> String {
        check_url(settings, &Url::parse(url).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_backend_may_have_hosts_of_its_own() {
        let settings = FileSettings {
            allow_hosts: vec!["all.example".into(), "10.0.0.1".into()],
            ..FileSettings::default()
        };
        let fetched = |of_backend: &FileHosts, url: &str| {
            super::check_url(
                FetchRules { settings: &settings, of_backend },
                &Url::parse(url).unwrap(),
            )
        };
        let (public, private) = (
            FileHosts {
                hosts: vec!["own.example".into(), "10.0.0.2".into()],
                allow_private: false,
            },
            FileHosts { hosts: vec!["own.example".into(), "10.0.0.2".into()], allow_private: true },
        );
        for of_backend in [&public, &private] {
            assert_eq!(fetched(of_backend, "https://all.example/x"), Ok(()));
            assert_eq!(fetched(of_backend, "https://own.example/x"), Ok(()));
            assert!(fetched(of_backend, "https://other.example/x").is_err());
            // What is said of one list is not said of the other.
            assert!(fetched(of_backend, "https://10.0.0.1/x").is_err());
        }
        assert!(fetched(&FileHosts::default(), "https://own.example/x").is_err());
        assert!(fetched(&public, "https://10.0.0.2/x").is_err());
        assert_eq!(fetched(&private, "https://10.0.0.2/x"), Ok(()));
        assert!(fetched(&private, "https://10.0.0.2:8443/x").is_err());
    }

    #[test]
    fn nothing_is_fetched_unless_the_operator_allows_it() {
        let none = FileSettings::default();
        assert!(refused(&none, "https://example.com/x").contains("not in `allow_hosts`"));
        let named = FileSettings { allow_hosts: vec!["h:8443".into(), "h".into()], ..none };
        assert_eq!(check_url(&named, &Url::parse("https://h:8443/x").unwrap()), Ok(()));
        assert_eq!(check_url(&named, &Url::parse("https://H./x").unwrap()), Ok(()));
        assert!(refused(&named, "https://h:22/x").contains("on h:22"));
        assert!(refused(&named, "https://sub.h/x").contains("on sub.h"));
        assert!(refused(&named, "http://h/x").contains("not https"));
        assert!(refused(&named, "https://u:p@h/x").contains("password"));
    }

    #[test]
    fn public_hosts_have_public_addresses() {
        let public = FileSettings { allow_public: true, ..FileSettings::default() };
        for host in ["127.1", "0x7f000001", "2130706433", "[::1]", "[::ffff:10.0.0.1]", "10.0.0.1"]
        {
            let reason = refused(&public, &format!("https://{host}/x"));
            assert!(reason.contains("no public address"), "{host}: {reason}");
        }
        assert_eq!(check_url(&public, &Url::parse("https://1.1.1.1/x").unwrap()), Ok(()));
        let private = FileSettings {
            allow_private: true,
            allow_hosts: vec!["127.0.0.1:1".into(), "[::1]".into()],
            ..FileSettings::default()
        };
        assert_eq!(check_url(&private, &Url::parse("https://127.0.0.1:1/x").unwrap()), Ok(()));
        assert_eq!(check_url(&private, &Url::parse("https://[::1]/x").unwrap()), Ok(()));
        assert!(refused(&private, "https://127.0.0.1:2/x").contains("not in"));
        let both = FileSettings { allow_public: true, ..private };
        assert!(refused(&both, "https://127.0.0.1:2/x").contains("not in"));
    }

    #[test]
    fn names_come_from_the_path() {
        let name = |url: &str| name_of(&Url::parse(url).unwrap());
        assert_eq!(name("https://h/a/b%20c.png?x=1"), "b c.png");
        assert_eq!(name("https://h/"), "file");
        assert_eq!(name("https://h/..%2f..%2fetc%0d%0apasswd"), "etcpasswd");
    }
}
