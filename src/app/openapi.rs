//! OpenAPI documents for descriptors that name one: a file beside the descriptor, or what the backend
//! itself has, when its operator allows it (`fetch_openapi`).
//!
//! A fetched document comes from below the backend's own base URL, with its credential, and within
//! bounds of time and size: a start never waits long, and one without the document is a start all
//! the same. All backends are asked at once. A login that this takes is the one that calls use: the
//! authenticator is the backend's own, and the client is not, as its connections end with the
//! runtime that made them.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use dadl_descriptor::{
    LoadedDescriptor, code,
    diagnostic::{Diagnostic, Severity},
    model::fit::FitSource,
};
use dadl_openapi::DocumentError;
use futures_util::future::join_all;
use url::Url;

use super::LoadedBackend;
use crate::{
    call::CallChannel,
    config::descriptor_folder::{BesideDocument, DescriptorFolder},
    files::FileStore,
    http::{
        auth::Authenticator,
        backend::Backend,
        document::{DocumentFetchError, fetch_document},
        settled,
    },
};

/// A start waits so long for all documents together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the document of a backend is not used, in words that follow a colon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Nothing says where it is.
    #[error("the descriptor has no `openapi_source`")]
    NoSource,
    /// It is read without being fetched.
    #[error("it is a file beside the descriptor, and `fetch_openapi` has no effect")]
    IsBeside,
    /// The descriptor has something else where its URL should be.
    #[error("{0} is no URL: {1}")]
    NoUrl(String, url::ParseError),
    /// The credential does not go there.
    #[error("{0} is not below the base URL of the backend")]
    Elsewhere(String),
    /// No runtime can be made.
    #[error("{0}")]
    Runtime(Arc<io::Error>),
    /// It takes too long.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// It cannot be had.
    #[error("{0}")]
    Fetch(#[from] DocumentFetchError),
    /// What came is none.
    #[error("{0}")]
    Document(DocumentError),
    /// It is that of another API, or of another version.
    #[error("it has none of the tools")]
    NoTools,
}

/// Fills in what a descriptor does not say, out of the document beside it; one that is of no use is a
/// finding.
pub(crate) fn fill_in(loaded: &mut LoadedDescriptor, folder: &DescriptorFolder) {
    let Some(document) = loaded.document.clone() else { return };
    let path = &document.path;
    let unreadable = |reason: &dyn fmt::Display| {
        Some(format!("the OpenAPI document `{path}` cannot be read: {reason}"))
    };
    let mut beside = BesideDocument::within(folder, path);
    let message = match folder.read(path, dadl_openapi::MAX_BYTES) {
        Ok((_, bytes)) => match &mut loaded.descriptor {
            Some(descriptor) => {
                match dadl_openapi::enrich_beside(descriptor, &bytes, &mut beside) {
                    Ok(0) => Some(format!("the OpenAPI document `{path}` has none of the tools")),
                    Ok(_) => None,
                    Err(error) => unreadable(&error),
                }
            }
            // Every problem is told at once.
            None => dadl_openapi::read_beside(&bytes, &mut beside)
                .err()
                .and_then(|error| unreadable(&error)),
        },
        Err(error) => unreadable(&error),
    };
    if let Some(message) = message {
        loaded.add(Diagnostic {
            code: code::OPENAPI,
            severity: Severity::Warning,
            message,
            span: document.span,
            label: "the tools are served without it".to_owned(),
            help: None,
            fix: None,
        });
    }
}

/// Fetches what is to be fetched and adds it to the descriptors; returns a sentence for each
/// document that is not there. The backends and `authenticators` have the same order.
pub(super) fn fetch_all(
    backends: &mut [LoadedBackend],
    authenticators: &[Authenticator],
    files: &FileStore,
) -> Vec<String> {
    let mut wanted = Vec::new();
    let mut warnings = Vec::new();
    for (at, (backend, authenticator)) in backends.iter().zip(authenticators).enumerate() {
        if let Some(api) = backend.api().filter(|_| backend.settings.fetch_openapi) {
            match document_url(backend) {
                Ok(url) => wanted.push((at, url, backend.client(api, authenticator.clone()))),
                Err(reason) => warnings.push(fetch_warning(backend, &reason)),
            }
        }
    }
    if wanted.is_empty() {
        return warnings;
    }
    // The caller may be on a runtime, which cannot wait for another one on its own thread.
    let fetched = std::thread::scope(|scope| scope.spawn(|| wait_for_all(&wanted, files)).join());
    let fetched = fetched.unwrap_or_default();
    for ((at, ..), bytes) in wanted.iter().zip(fetched) {
        let Some(backend) = backends.get_mut(*at) else { continue };
        let added = bytes.and_then(|bytes| {
            let descriptor = Arc::make_mut(&mut backend.descriptor);
            match dadl_openapi::enrich(descriptor, &bytes).map_err(FetchError::Document)? {
                0 => Err(FetchError::NoTools),
                count => Ok(count),
            }
        });
        match added {
            Ok(tools) => {
                tracing::debug!(backend = %backend.settings.name, tools, "read the OpenAPI document");
            }
            Err(reason) => warnings.push(fetch_warning(backend, &reason)),
        }
    }
    warnings
}

fn fetch_warning(backend: &LoadedBackend, reason: &FetchError) -> String {
    let name = &backend.settings.name;
    format!("backend \"{name}\": its OpenAPI document is not used: {reason}")
}

/// Returns where the document is: below the base URL, as it is or as the descriptor has it.
pub(crate) fn document_url(backend: &LoadedBackend) -> Result<Url, FetchError> {
    let base = &backend.api().ok_or(FetchError::NoSource)?.base;
    let Some(source) = &backend.descriptor.openapi_source else {
        // What says which tools there are says what they take, too.
        let fit = backend.descriptor.fit.as_ref().map(|fit| &fit.source);
        let Some(FitSource::OpenApi(path)) = fit else { return Err(FetchError::NoSource) };
        let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|error| FetchError::NoUrl(text, error))?;
        let elsewhere = || FetchError::Elsewhere(url.to_string());
        return if base.contains(&url) { Ok(url) } else { Err(elsewhere()) };
    };
    if !source.contains("://") {
        return Err(FetchError::IsBeside);
    }
    // An operator who names another place means the document of that place.
    let declared = backend.descriptor.base_url.as_deref().map(|base| base.trim_end_matches('/'));
    let below = declared.and_then(|base| source.strip_prefix(base)?.strip_prefix('/'));
    let text = match below {
        Some(rest) => format!("{}/{rest}", base.as_str().trim_end_matches('/')),
        None => source.clone(),
    };
    let url = Url::parse(&text).map_err(|error| FetchError::NoUrl(text, error))?;
    if base.contains(&url) { Ok(url) } else { Err(FetchError::Elsewhere(source.clone())) }
}

type DocumentRequest = (usize, Url, Backend);

/// Fetches all documents on a runtime of their own.
fn wait_for_all(wanted: &[DocumentRequest], files: &FileStore) -> Vec<Result<Bytes, FetchError>> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Arc::new(error);
            return wanted.iter().map(|_| Err(FetchError::Runtime(Arc::clone(&error)))).collect();
        }
    };
    let fetched = runtime.block_on(async {
        let fetched = wanted.iter().map(|(_, url, backend)| async move {
            // The operator asks, at the start.
            let fetched =
                fetch_document(backend, url, files, CallChannel::Terminal, dadl_openapi::MAX_BYTES);
            match tokio::time::timeout(TIMEOUT, fetched).await {
                Ok(bytes) => Ok(bytes?),
                Err(_) => Err(FetchError::Timeout),
            }
        });
        let fetched = join_all(fetched).await;
        // The end of the runtime would be that of a login, with the refresh token that it brings.
        settled().await;
        fetched
    });
    // A keyring may be waiting for a person.
    runtime.shutdown_background();
    fetched
}
