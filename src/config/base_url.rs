//! Which base URL a backend has: the operator's `url`, or the descriptor's `base_url`.

use url::{Host, Url};

use super::BackendSettings;

/// Why a backend has no base URL that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlProblem {
    /// The operator: neither file has one.
    #[error("it has no `url`, and its descriptor has no `base_url`")]
    Missing,
    /// The author, most likely: a downloaded file points into the operator's network.
    #[error(
        "its descriptor points to the private address {host}; set `url`, or \
         `allow_private_url: true`"
    )]
    Private {
        /// The address.
        host: String,
    },
}

impl BackendSettings {
    /// Returns the base URL with its `{NAME}` placeholders replaced; those without a value stay.
    ///
    /// # Errors
    ///
    /// See [`BaseUrlProblem`].
    pub fn base_url(&self, of_descriptor: Option<&str>) -> Result<String, BaseUrlProblem> {
        if let Some(url) = &self.url {
            return Ok(self.filled(url));
        }
        let template = of_descriptor.ok_or(BaseUrlProblem::Missing)?;
        let url = self.filled(template);
        // A host that the operator supplied through `options` is the operator's own.
        if !self.allow_private_url
            && !authority(template).contains('{')
            && let Some(host) = private_host(&url)
        {
            return Err(BaseUrlProblem::Private { host });
        }
        Ok(url)
    }

    fn filled(&self, template: &str) -> String {
        self.variables.iter().fold(template.to_owned(), |url, (name, value)| {
            url.replace(&format!("{{{name}}}"), value)
        })
    }
}

/// Returns the part of a URL between `//` and the path; all of it without a scheme.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Returns the host when it is a literal that leads into the operator's own network. Names are
/// not resolved here.
fn private_host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host()?;
    let private = match &host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => is_private(*address),
        Host::Ipv6(address) => {
            let mapped = address.to_ipv4_mapped().is_some_and(is_private);
            mapped
                || address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    };
    private.then(|| host.to_string())
}

fn is_private(address: std::net::Ipv4Addr) -> bool {
    // 100.64.0.0/10 (RFC 6598) is shared by carriers and by overlay networks.
    let [first, second, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || first == 0
        || (first == 100 && (64..128).contains(&second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_url(url: Option<&str>, of_descriptor: Option<&str>) -> Result<String, String> {
        let mut backend = BackendSettings::new("b", "b.dadl");
        backend.url = url.map(str::to_owned);
        backend.variables.insert("HOST".to_owned(), "http://127.0.0.1".to_owned());
        backend.base_url(of_descriptor).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_operators_url_wins_and_may_be_private() {
        let url = base_url(Some("http://10.0.0.1/rest"), Some("https://x.example"));
        assert_eq!(url.as_deref(), Ok("http://10.0.0.1/rest"));
        assert_eq!(base_url(None, Some("{HOST}/v1")).as_deref(), Ok("http://127.0.0.1/v1"));
        assert_eq!(base_url(None, Some("https://x.example")).as_deref(), Ok("https://x.example"));
        assert_eq!(
            base_url(None, None).unwrap_err(),
            "it has no `url`, and its descriptor has no `base_url`"
        );
    }

    #[test]
    fn a_descriptor_does_not_lead_into_the_operators_network() {
        for url in [
            "http://127.0.0.1:80/x",
            "http://10.1.2.3",
            "http://169.254.169.254/latest",
            "http://[::1]",
            "http://[fd00::1]/x",
            "http://[::ffff:192.168.0.1]/x",
            "http://localhost:8080",
            "http://0x7f.1/",
            "http://100.64.0.1",
        ] {
            let error = base_url(None, Some(url)).unwrap_err();
            assert!(error.contains("private address"), "{url}: {error}");
        }
    }
}
