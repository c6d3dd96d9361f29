//! Where a descriptor may lead: whoever wrote it may not send this program into the operator's own
//! network, unless the operator says so.
//!
//! The operator's `url` is the operator's word for its whole origin, and so is `allow_private_url`
//! for the descriptor's `base_url`. Every other address that a descriptor gives must be public, or
//! be named in `allow_private_hosts`. A number and some names are judged here; what a name leads
//! to is known where the connection is made (`http::guard`).

use std::{fmt, net::IpAddr, str::FromStr};

use dadl_text::names::path::{PathPiece, path_pieces};
use url::{Host, Url};

use super::{BackendSettings, SettingsProvenance, address, shell::shell_quoted};

/// A key of a descriptor whose value is an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKey {
    /// Who gives access to another MCP server, and what that says about itself.
    AuthorizationServer,
    /// Where a person agrees.
    AuthorizeUrl,
    /// What all paths are below, the OpenAPI document and session logins included.
    BaseUrl,
    /// Where access tokens come from.
    TokenUrl,
    /// Where the path of a tool leads that names a host.
    ToolPath,
}

impl AddressKey {
    /// Returns the key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationServer => "authorization_servers",
            Self::AuthorizeUrl => "authorize_url",
            Self::BaseUrl => "base_url",
            Self::TokenUrl => "token_url",
            Self::ToolPath => "path",
        }
    }
}

/// An address of a descriptor that leads into the operator's own network, unasked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PrivateAddress {
    /// The key that gives it.
    pub key: AddressKey,
    /// The descriptor, as the settings name it; of another MCP server the name of the backend.
    pub descriptor: String,
    /// The host, with its port unless that is the usual one.
    pub host: String,
    /// What the host was resolved to, when it had to be.
    pub address: Option<IpAddr>,
    /// Whether the backend comes from flags, so that flags can say that it is meant.
    pub is_from_flags: bool,
}

impl fmt::Display for PrivateAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, descriptor, host, address, is_from_flags } = self;
        match key {
            AddressKey::AuthorizationServer => {
                write!(formatter, "the MCP server \"{descriptor}\" says that logins lead to ")?;
            }
            _ => write!(formatter, "`{}` of the descriptor {descriptor} leads to ", key.as_str())?,
        }
        match address {
            Some(address) => write!(formatter, "{host}, which has the private address {address}")?,
            None => write!(formatter, "the private address {host}")?,
        }
        let is_base = *key == AddressKey::BaseUrl;
        if *is_from_flags {
            let url = if is_base { "give it with `--url`, or " } else { "" };
            let host = shell_quoted(host);
            return write!(formatter, "; if that is meant, {url}add `--allow-private-host {host}`");
        }
        let url = if is_base { "set `url` of the backend, or " } else { "" };
        write!(
            formatter,
            "; if that is meant, {url}write `allow_private_hosts: [\"{host}\"]` for the backend"
        )
    }
}

/// A host that an operator lets have a private address: `name`, or `name:port` for that port alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateHost {
    /// As URLs have it, without a dot at its end.
    host: String,
    port: Option<u16>,
}

impl FromStr for PrivateHost {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        if text.contains(['/', '\\', '*', '@', '?', '#', '%']) || text.trim() != text {
            return Err(NoHost);
        }
        // A scheme hides its usual port, so that two of them are asked.
        let parse = |scheme: &str| Url::parse(&format!("{scheme}://{text}/")).map_err(|_| NoHost);
        let (plain, tls) = (parse("http")?, parse("https")?);
        let host = host_of(&plain).ok_or(NoHost)?;
        Ok(Self { host, port: plain.port().or(tls.port()) })
    }
}

impl PrivateHost {
    /// Names the host of `url`, with its port alone.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        Some(Self { host: host_of(url)?, port: Some(url.port_or_known_default()?) })
    }
}

impl fmt::Display for PrivateHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

/// A text names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no host; write a name such as `sso.example.com`, or `sso.example.com:8443`; an IPv6 \
     address in brackets"
)]
pub struct NoHost;

/// Where one backend may lead; see the module.
#[derive(Debug, Clone)]
pub struct NetworkReach {
    /// The origin that is the operator's own choice.
    own: Option<url::Origin>,
    named: Vec<PrivateHost>,
    descriptor: String,
    is_from_flags: bool,
}

impl BackendSettings {
    /// Returns where the backend at `base` may lead; `of_descriptor` is the `base_url` of its
    /// descriptor.
    pub fn reach(&self, base: &Url, of_descriptor: Option<&str>) -> NetworkReach {
        let is_own = self.allow_private_url || self.gives_base(base, of_descriptor);
        NetworkReach {
            own: is_own.then(|| base.origin()),
            named: self.allow_private_hosts.clone(),
            descriptor: if self.server.is_some() { &self.name } else { &self.dadl }.clone(),
            is_from_flags: self.provenance == SettingsProvenance::Flags,
        }
    }
}

impl NetworkReach {
    /// Returns whether `url` may have any address.
    pub fn covers(&self, url: &Url) -> bool {
        let host = host_of(url);
        let is_named = |named: &PrivateHost| {
            Some(&named.host) == host.as_ref()
                && named.port.is_none_or(|port| url.port_or_known_default() == Some(port))
        };
        self.own.as_ref() == Some(&url.origin()) || self.named.iter().any(is_named)
    }

    /// Covers the origin of `url` alone: somebody vouches for it who is not the descriptor.
    #[must_use]
    pub(crate) fn covering(self, url: &Url) -> Self {
        Self { own: Some(url.origin()), ..self }
    }

    /// Judges what `url` tells by itself.
    ///
    /// # Errors
    ///
    /// It is a private address.
    pub fn check(&self, key: AddressKey, url: &Url) -> Result<(), PrivateAddress> {
        let is_private = url.host().is_some_and(|host| address::is_private_host(&host));
        if is_private && !self.covers(url) { Err(self.refused(key, url, None)) } else { Ok(()) }
    }

    /// Says that `url` leads to a private address.
    pub(crate) fn refused(
        &self,
        key: AddressKey,
        url: &Url,
        address: Option<IpAddr>,
    ) -> PrivateAddress {
        let host = url.host_str().unwrap_or_default();
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let Self { descriptor, is_from_flags, .. } = self;
        let (descriptor, is_from_flags) = (descriptor.clone(), *is_from_flags);
        PrivateAddress { key, descriptor, host, address, is_from_flags }
    }
}

/// Returns the host of a URL without a dot at its end.
fn host_of(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
        address => address.to_string(),
    })
}

/// Returns the placeholder that is all of the host of a `base_url`, and with it all of what comes
/// before a port or a path. One that is a part of the host leaves the rest to the descriptor.
fn host_placeholder(template: &str) -> Option<&str> {
    let template = template.trim();
    let rest = match template.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return None,
        // The placeholder holds the scheme, too.
        None => template,
    };
    let rest = rest.strip_prefix('[').unwrap_or(rest);
    let mut pieces = path_pieces(rest);
    let (Some(PathPiece::Placeholder(name)), behind) = (pieces.next(), pieces.next()) else {
        return None;
    };
    let rest = match behind {
        Some(PathPiece::Literal(rest)) => rest.strip_prefix(']').unwrap_or(rest),
        Some(PathPiece::Placeholder(_) | PathPiece::Open(_)) => return None,
        None => "",
    };
    (rest.is_empty() || rest.starts_with(['/', ':'])).then_some(name)
}

impl BackendSettings {
    /// Returns whether the operator, and not the descriptor alone, says that `base` is the base
    /// URL; `of_descriptor` is that of the descriptor.
    pub fn gives_base(&self, base: &Url, of_descriptor: Option<&str>) -> bool {
        self.url.is_some() || of_descriptor.is_some_and(|template| self.fills_host(base, template))
    }

    /// Returns whether the operator names the host of `base` by what fills the `base_url` of the
    /// descriptor.
    fn fills_host(&self, base: &Url, template: &str) -> bool {
        let Some(value) = host_placeholder(template).and_then(|name| self.variables.get(name))
        else {
            return false;
        };
        let texts = [value.clone(), format!("http://{value}/"), format!("http://[{value}]/")];
        let urls = texts.iter().filter_map(|text| Url::parse(text).ok());
        urls.filter(Url::has_host).any(|url| url.host() == base.host())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn settings(operators: Option<&str>, hosts: &[&str]) -> BackendSettings {
        let mut settings = BackendSettings::new("b", "b.dadl");
        settings.provenance = SettingsProvenance::Own;
        settings.url = operators.map(str::to_owned);
        settings.allow_private_hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        settings
    }

    fn covers(settings: &BackendSettings, base: &str, other: &str) -> bool {
        settings.reach(&url(base), Some("https://of.the.descriptor")).covers(&url(other))
    }

    #[test]
    fn the_operators_url_covers_its_own_origin() {
        let settings = settings(Some("http://10.0.0.1:8080/rest"), &[]);
        let covers = |other| covers(&settings, "http://10.0.0.1:8080/rest", other);
        assert!(covers("http://10.0.0.1:8080/token"));
        for other in ["http://10.0.0.1/token", "https://10.0.0.1:8080/", "http://10.0.0.2:8080/"] {
            assert!(!covers(other), "{other}");
        }
        let error = settings.reach(&url("http://10.0.0.1:8080"), None);
        let error = error.check(AddressKey::TokenUrl, &url("https://10.0.0.1/token")).unwrap_err();
        insta::assert_snapshot!(
            error,
            @r#"`token_url` of the descriptor b.dadl leads to the private address 10.0.0.1; if that is meant, write `allow_private_hosts: ["10.0.0.1"]` for the backend"#
        );
    }

    #[test]
    fn a_backend_of_flags_is_told_the_flags() {
        let mut settings = settings(None, &[]);
        settings.provenance = SettingsProvenance::Flags;
        let refused = |key, private: &str| {
            let reach = settings.reach(&url("http://10.0.0.1"), None);
            reach.check(key, &url(private)).unwrap_err().to_string()
        };
        insta::assert_snapshot!(
            refused(AddressKey::TokenUrl, "https://[fd00::1]:8443/token"),
            @"`token_url` of the descriptor b.dadl leads to the private address [fd00::1]:8443; if that is meant, add `--allow-private-host '[fd00::1]:8443'`"
        );
        insta::assert_snapshot!(
            refused(AddressKey::BaseUrl, "https://10.0.0.2"),
            @"`base_url` of the descriptor b.dadl leads to the private address 10.0.0.2; if that is meant, give it with `--url`, or add `--allow-private-host 10.0.0.2`"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_host_reads_as_it_is_written(
            name in "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9]{0,5}){0,2}\\.?|\\[fd00::[1-9]\\]|10\\.0\\.0\\.[1-9]",
            port in proptest::option::of(1_u16..),
        ) {
            let text = match port {
                Some(port) => format!("{name}:{port}"),
                None => name,
            };
            if let Ok(host) = text.parse::<PrivateHost>() {
                prop_assert_eq!(host.to_string().parse(), Ok(host));
            }
        }
    }

    #[test]
    fn hosts_are_named_with_or_without_a_port() {
        let settings = settings(None, &["sso.example:8443", "[fd00::1]", "NAS.example", "h:80"]);
        let covers = |other| covers(&settings, "https://api.example", other);
        for other in [
            "https://sso.example:8443/token",
            "https://SSO.example.:8443/",
            "https://[fd00:0::1]:5/",
            "http://nas.example/",
            "https://nas.example:444/",
            "http://h/",
            "https://h:80/",
        ] {
            assert!(covers(other), "{other}");
        }
        for other in [
            "https://sso.example/token",
            "https://sso.example:443/",
            "https://x.sso.example:8443/",
            "https://nas.example.evil/",
            "https://h/",
            "https://api.example/",
        ] {
            assert!(!covers(other), "{other}");
        }
        for wrong in ["", "https://x", "x/y", "*.x", "u@x", "x?y", "x#y", " x", "x:", "fd00::1"] {
            let parsed = wrong.parse::<PrivateHost>();
            assert!(parsed.is_err() || wrong == "x:", "{wrong}");
        }
    }

    /// Says whether a descriptor's `base_url` may be private, when `X` is filled in.
    fn may(template: &str, value: &str) -> bool {
        let mut settings = settings(None, &[]);
        settings.variables.insert("X".to_owned(), value.to_owned());
        settings.base_url(Some(template)).is_ok()
    }

    #[test]
    fn a_host_is_the_operators_when_a_placeholder_is_all_of_it() {
        for (own, value) in [
            ("{X}", "http://10.0.0.1"),
            ("{X}/v1", "https://localhost:8443/api"),
            ("https://{X}", "10.0.0.1"),
            ("http://{X}:8080/x", "127.1"),
            ("http://{X}/x", "10.0.0.1:8080"),
            ("http://[{X}]:1", "fd00::1"),
        ] {
            assert!(may(own, value), "{own}");
        }
        for (other, value) in [
            ("https://10.0.0.{X}", "1"),
            ("http://127.0.0.1:{X}", "80"),
            ("http://169.254.169.254\\{X}", "x"),
            ("http://169.254.169.254?{X}", "x"),
            ("http://{X}@10.0.0.1", "x"),
            ("http://{X}:@10.0.0.1", "x"),
            ("http://{X}.localhost", "x"),
            ("http:{X}", "10.0.0.1"),
            ("{X}:/\\10.0.0.1", "http"),
            ("{X}//10.0.0.1", "http:"),
            ("{X}.localhost", "http://a"),
            ("http://10.0.0.1/{X}", "x"),
            ("http:///10.0.0.1/{X}", "x"),
        ] {
            assert!(!may(other, value), "{other}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_template_with_a_private_host_of_its_own_is_refused(
            before in "[a-z0-9.{}:@/\\\\?#\\[\\]\t ]{0,6}",
            after in "(\\{X\\}|[a-z0-9.{}:@/\\\\?#\\]\t ]){0,6}",
            value in "[a-z0-9.:/]{0,6}",
        ) {
            // Whatever surrounds it: a URL whose host is one that the descriptor wrote is judged.
            let mut settings = settings(None, &[]);
            settings.variables.insert("X".to_owned(), value.clone());
            let template = format!("http://{before}127.0.0.1{after}");
            if let Ok(text) = settings.base_url(Some(&template))
                && let Ok(url) = Url::parse(&text)
            {
                prop_assert_ne!(url.host(), Some(Host::Ipv4([127, 0, 0, 1].into())), "{}", template);
            }
        }
    }
}
