//! An answer that is another thing than its tool declares.

use super::CallError;

/// An answer of another kind than its tool declares. Usually the operator's `url`, a login page or
/// what is in front of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "backend \"{backend}\" answered {request} with HTTP {status} and {sent} instead of {declared}{}; {}",
    .landed.as_ref().map(|path| format!(", after a redirect to {path}")).unwrap_or_default(),
    self.advice()
)]
pub struct MediaTypeError {
    /// The name of the backend.
    pub backend: String,
    /// The method and the path below the base URL.
    pub request: String,
    /// The status of the answer.
    pub status: u16,
    /// What it is: `a web page (text/html)`, `text/plain`.
    pub sent: String,
    /// What was expected.
    pub declared: String,
    /// The path to which redirects led.
    pub landed: Option<String>,
    /// The path in which base URLs of the API end, where that of the backend does not.
    pub missing: Option<String>,
    /// Whether it is a page of a browser.
    pub is_page: bool,
}

impl MediaTypeError {
    /// Says what to look at.
    fn advice(&self) -> String {
        let missing = self.missing.as_deref();
        match (missing.map(missing_path), self.is_page) {
            (_, true) => page_advice(missing),
            (Some(question), false) => question,
            (None, false) => "the descriptor does not fit what this server answers".to_owned(),
        }
    }
}

impl From<MediaTypeError> for CallError {
    fn from(error: MediaTypeError) -> Self {
        Self::MediaType(Box::new(error))
    }
}

/// Says what to look at where a page came; base URLs of the API end in `missing`, where that of the
/// backend does not.
pub(in crate::executor) fn page_advice(missing: Option<&str>) -> String {
    missing.map_or_else(
        || {
            "the operator should check `url` of the backend, and whether a login page or a proxy \
             answers in its place"
                .to_owned()
        },
        missing_path,
    )
}

/// Asks whether the base URL lacks `path`.
pub(in crate::executor) fn missing_path(path: &str) -> String {
    format!("is `url` of the backend missing {path}? Base URLs of this API end in it")
}
