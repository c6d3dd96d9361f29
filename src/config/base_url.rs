//! Which base URL a backend has: the operator's `url`, or the descriptor's `base_url`; and which text
//! can be one.

use url::Url;

use super::{AddressKey, BackendSettings, PrivateAddress, env_vars::unexpanded_reference};

/// Why a backend has no base URL that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlProblem {
    /// The operator: neither file has one.
    #[error("it has no `url`, and its descriptor has no `base_url`")]
    Missing,
    /// The author, most likely: a downloaded file points into the operator's network.
    #[error(transparent)]
    Private(#[from] PrivateAddress),
}

impl BackendSettings {
    /// Returns the base URL with its `{NAME}` placeholders replaced; those without a value stay.
    ///
    /// # Errors
    ///
    /// See `BaseUrlProblem`.
    pub fn base_url(&self, of_descriptor: Option<&str>) -> Result<String, BaseUrlProblem> {
        if let Some(url) = &self.url {
            return Ok(self.filled(url));
        }
        let template = of_descriptor.ok_or(BaseUrlProblem::Missing)?;
        let text = self.filled(template);
        // What is no URL is refused where it is read.
        if let Ok(url) = Url::parse(&text) {
            self.reach(&url, of_descriptor).check(AddressKey::BaseUrl, &url)?;
        }
        Ok(text)
    }

    fn filled(&self, template: &str) -> String {
        self.variables.iter().fold(template.to_owned(), |url, (name, value)| {
            url.replace(&format!("{{{name}}}"), value)
        })
    }
}

/// What is wrong with the URL of a setting, in words that follow its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlProblem {
    /// Whoever reads the file reads it too.
    #[error("must not hold a user name or a password; use a credential")]
    Credentials,
    /// It is none.
    #[error("is no URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// Paths are appended to it.
    #[error("must not have a query or a fragment")]
    Query,
    /// Whoever wrote it meant a shell, or a host, to replace it.
    #[error("is `{0}`, the name of a variable that nobody replaced; write the URL itself")]
    Unexpanded(String),
    /// It is something else, or none.
    #[error("must begin with http:// or https://")]
    Scheme,
}

/// Finds what is wrong with a base URL; one with placeholders is checked when they are filled.
pub(super) fn check_url(text: &str) -> Result<(), UrlProblem> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        if let Some(reference) = unexpanded_reference(text) {
            return Err(UrlProblem::Unexpanded(reference.shown.into_owned()));
        }
        let placeholder = text.starts_with('{');
        return if placeholder { Ok(()) } else { Err(UrlProblem::Scheme) };
    }
    if text.contains('{') {
        return Ok(());
    }
    let url = Url::parse(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlProblem::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlProblem::Query);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_url(url: Option<&str>, of_descriptor: Option<&str>) -> Result<String, BaseUrlProblem> {
        let mut backend = BackendSettings::new("b", "b.dadl");
        backend.url = url.map(str::to_owned);
        backend.variables.insert("HOST".to_owned(), "http://127.0.0.1".to_owned());
        backend.base_url(of_descriptor)
    }

    #[test]
    fn the_operators_url_wins_and_may_be_private() {
        let url = base_url(Some("http://10.0.0.1/rest"), Some("https://x.example"));
        assert_eq!(url, Ok("http://10.0.0.1/rest".to_owned()));
        assert_eq!(base_url(None, Some("{HOST}/v1")).unwrap(), "http://127.0.0.1/v1");
        assert_eq!(base_url(None, Some("https://x.example")).unwrap(), "https://x.example");
        assert_eq!(
            base_url(None, None).unwrap_err().to_string(),
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
            "http://[64:ff9b::a00:1]",
            "http://[2002:a00:1::]",
            "http://192.0.2.1",
            "http://xo.internal",
        ] {
            let error = base_url(None, Some(url)).unwrap_err().to_string();
            assert!(error.contains("private address"), "{url}: {error}");
        }
    }
}
