//! The address below which all requests of a backend stay.

use std::{borrow::Cow, fmt, str::FromStr};

use dadl_descriptor::model::{
    Tool,
    template::{OtherHost, PathTemplate},
};
use dadl_text::names::path::path_placeholders;
use url::Url;

/// An `http` or `https` URL without credentials, query and fragment; its path has no trailing
/// slash, so that a tool's path can be appended to it as text.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
    /// `https://host:port/path`, without a trailing slash.
    text: String,
    /// Where the path begins in `text`.
    path_at: usize,
}

/// Why a text is no base URL. The operator's fault, or the author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// Credentials have a place of their own, where they are kept secret.
    #[error("a base URL must not contain a user name or a password; use a credential")]
    Credentials,
    /// A fragment is never sent.
    #[error("a base URL must not have a fragment (`#`)")]
    Fragment,
    /// Not a URL at all. The text is left out: it may hold a secret.
    #[error("not an absolute URL: {0}")]
    Malformed(#[from] url::ParseError),
    /// `{NAME}` was not replaced.
    #[error("the placeholder `{{{0}}}` has no value; add it to the backend's `options`")]
    Placeholder(String),
    /// A query would end up in the middle of every URL.
    #[error("a base URL must not have a query (`?`)")]
    Query,
    /// Only `http` and `https` are spoken.
    #[error("a base URL must begin with http:// or https://, not {0}:")]
    Scheme(String),
}

/// A path that is not below the base URL. The author's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path leads out of the base URL")]
pub struct LeadsOut;

impl BaseUrl {
    /// Parses a base URL. Its path is kept; a trailing slash makes no difference.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let text = text.trim();
        if let Some(name) = path_placeholders(text).next() {
            return Err(BaseUrlError::Placeholder(name.to_owned()));
        }
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(BaseUrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BaseUrlError::Credentials);
        }
        if url.query().is_some() {
            return Err(BaseUrlError::Query);
        }
        if url.fragment().is_some() {
            return Err(BaseUrlError::Fragment);
        }
        let origin = url.origin().ascii_serialization();
        let path = url.path().trim_end_matches('/');
        let text = format!("{origin}{path}");
        // The path is normalized by now: it has no dot segments, and is not normalized again.
        let url = Url::parse(&text)?;
        Ok(Self { url, path_at: origin.len(), text })
    }

    /// Returns the address below which the requests of `tool` stay: this one, or the origin that its
    /// path names. `None` when nobody can say which that is.
    pub fn of_tool(&self, tool: &Tool) -> Option<Cow<'_, Self>> {
        match tool.elsewhere() {
            None => Some(Cow::Borrowed(self)),
            Some(OtherHost::Origin(url)) => {
                Self::parse(&url.origin().ascii_serialization()).ok().map(Cow::Owned)
            }
            Some(OtherHost::Unclear) => None,
        }
    }

    /// Returns the URL; its path is `/` when it is empty.
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// Returns the URL without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the scheme, the host and the port, as they are written.
    pub(crate) fn origin(&self) -> &str {
        self.text.get(..self.path_at).unwrap_or_default()
    }

    /// Returns the path without a trailing slash: empty, or `/` and something.
    pub fn path(&self) -> &str {
        self.text.get(self.path_at..).unwrap_or_default()
    }

    /// Returns the URL of a path without placeholders.
    ///
    /// # Errors
    ///
    /// The path leads elsewhere.
    pub fn join(&self, path: &PathTemplate) -> Result<Url, LeadsOut> {
        let path = path.as_str();
        let slash = if path.starts_with(['/', '?']) || path.is_empty() { "" } else { "/" };
        let url = Url::parse(&format!("{self}{slash}{path}")).ok();
        url.filter(|url| self.contains(url)).ok_or(LeadsOut)
    }

    /// Returns whether the path ends in the segments of `path`, which begins with a slash.
    pub fn ends_in(&self, path: &str) -> bool {
        self.path().ends_with(path.trim_end_matches('/'))
    }

    /// Returns whether requests are encrypted.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns the path of `url` below this one, for messages: the host says nothing to a model.
    pub fn relative_path<'url>(&self, url: &'url Url) -> &'url str {
        let path = url.path();
        path.strip_prefix(self.path()).unwrap_or(path)
    }

    /// Returns whether `url` has this scheme, host and port, and is at or below this path.
    pub fn contains(&self, url: &Url) -> bool {
        is_same_origin(url, &self.url)
            && url
                .path()
                .strip_prefix(self.path())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Returns whether both are of HTTP and have the same scheme, host and port: what `Url::origin` compares,
/// without its copies.
pub(crate) fn is_same_origin(left: &Url, right: &Url) -> bool {
    matches!(left.scheme(), "http" | "https")
        && left.scheme() == right.scheme()
        && left.host() == right.host()
        && left.port_or_known_default() == right.port_or_known_default()
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> String {
        BaseUrl::parse(text).unwrap().to_string()
    }

    fn error(text: &str) -> BaseUrlError {
        BaseUrl::parse(text).unwrap_err()
    }

    #[test]
    fn the_path_is_kept_and_slashes_are_normalized() {
        assert_eq!(base("https://xo.example/rest/v0/"), "https://xo.example/rest/v0");
        assert_eq!(base("https://XO.example:443/rest/v0//"), "https://xo.example/rest/v0");
        assert_eq!(base("http://[::1]:8080"), "http://[::1]:8080");
        assert_eq!(base("http://h/a/../b"), "http://h/b");
        assert_eq!(BaseUrl::parse("http://h/").unwrap().path(), "");
        assert_eq!(BaseUrl::parse("http://h/a b/").unwrap().path(), "/a%20b");
    }

    #[test]
    fn refuses_what_is_no_base() {
        assert!(matches!(error("xo.example/rest"), BaseUrlError::Malformed(_)));
        assert_eq!(error("ftp://h/"), BaseUrlError::Scheme("ftp".to_owned()));
        assert_eq!(error("https://h/?a=1"), BaseUrlError::Query);
        assert_eq!(error("https://h/#a"), BaseUrlError::Fragment);
        assert_eq!(error("https://user@h/"), BaseUrlError::Credentials);
        assert_eq!(error("https://:secret@h/"), BaseUrlError::Credentials);
        assert_eq!(error("https://{HOST}/"), BaseUrlError::Placeholder("HOST".to_owned()));
        assert!(!error("https://user:secret@/").to_string().contains("secret"));
    }

    #[test]
    fn a_fixed_path_is_joined_below() {
        let join = |path: &str| {
            let path = PathTemplate::parse(path).unwrap();
            BaseUrl::parse("https://h/rest").unwrap().join(&path).unwrap().to_string()
        };
        assert_eq!(join("/login"), "https://h/rest/login");
        assert_eq!(join("login?a=b c"), "https://h/rest/login?a=b%20c");
        assert_eq!(join(""), "https://h/rest");
    }

    #[test]
    fn knows_what_is_below_it() {
        let below = |url: &str| {
            BaseUrl::parse("https://h/rest").unwrap().contains(&Url::parse(url).unwrap())
        };
        assert!(below("https://h/rest") && below("https://h:443/rest/a?b"));
        assert!(!below("https://h/restore") && !below("https://h/") && !below("http://h/rest"));
        assert!(!below("https://other/rest") && !below("https://h:444/rest"));
    }
}
