//! Fetches the OpenAPI document of a backend whose operator allows it (`fetch_openapi`).
//!
//! The document comes from below the backend's own base URL, with its credential, and within
//! bounds of time and size: a start never waits long, and one without the document is a start all
//! the same. All backends are asked at once. A login that this takes is the one that calls use: the
//! authenticator is the backend's own, and the client is not, as its connections end with the
//! runtime that made them.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::{StreamExt as _, future::join_all};
use http::{HeaderValue, header::ACCEPT};
use url::Url;

use super::LoadedBackend;
use crate::{
    call::{CallPlan, Door, PlannedBody},
    descriptor::{
        model::{ErrorRules, Method},
        openapi,
    },
    files::FileStore,
    http::{
        auth::Authenticator,
        backend::{Backend, Exchange},
        retry::RetryRules,
        settled,
        upload::Activity,
    },
};

/// A start waits so long for all documents together.
const TIMEOUT: Duration = Duration::from_secs(5);

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
        if backend.settings.fetch_openapi {
            match document_url(backend) {
                Ok(url) => wanted.push((at, url, backend.client(authenticator.clone()))),
                Err(reason) => warnings.push(warning(backend, &reason)),
            }
        }
    }
    if wanted.is_empty() {
        return warnings;
    }
    // The caller may be on a runtime, which cannot wait for another one on its own thread.
    let fetched = std::thread::scope(|scope| scope.spawn(|| wait(&wanted, files)).join());
    let fetched = fetched.unwrap_or_default();
    for ((at, ..), bytes) in wanted.iter().zip(fetched) {
        let Some(backend) = backends.get_mut(*at) else { continue };
        let added = bytes.and_then(|bytes| {
            let document = openapi::parse(&bytes)?;
            let descriptor = Arc::make_mut(&mut backend.descriptor);
            match openapi::enrich(descriptor, &document) {
                0 => Err("it has none of the tools".to_owned()),
                count => Ok(count),
            }
        });
        match added {
            Ok(tools) => {
                tracing::debug!(backend = %backend.settings.name, tools, "read the OpenAPI document");
            }
            Err(reason) => warnings.push(warning(backend, &reason)),
        }
    }
    warnings
}

fn warning(backend: &LoadedBackend, reason: &str) -> String {
    let name = &backend.settings.name;
    format!("backend \"{name}\": its OpenAPI document is not used: {reason}")
}

/// Returns where the document is: below the base URL, as it is or as the descriptor has it.
fn document_url(backend: &LoadedBackend) -> Result<Url, String> {
    let Some(source) = &backend.descriptor.openapi_source else {
        return Err("the descriptor has no `openapi_source`".to_owned());
    };
    if !source.contains("://") {
        return Err("it is a file beside the descriptor, and `fetch_openapi` has no effect".into());
    }
    // An operator who names another place means the document of that place.
    let declared = backend.descriptor.base_url.as_deref().map(|base| base.trim_end_matches('/'));
    let below = declared.and_then(|base| source.strip_prefix(base)?.strip_prefix('/'));
    let text = match below {
        Some(rest) => format!("{}/{rest}", backend.base.as_str().trim_end_matches('/')),
        None => source.clone(),
    };
    let url = Url::parse(&text).map_err(|error| format!("{text} is no URL: {error}"))?;
    if backend.base.contains(&url) {
        Ok(url)
    } else {
        Err(format!("{source} is not below the base URL of the backend"))
    }
}

type Wanted = (usize, Url, Backend);

/// Fetches all documents on a runtime of their own.
fn wait(wanted: &[Wanted], files: &FileStore) -> Vec<Result<Vec<u8>, String>> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return wanted.iter().map(|_| Err(error.to_string())).collect(),
    };
    let fetched = runtime.block_on(async {
        let fetched = wanted.iter().map(|(_, url, backend)| async move {
            match tokio::time::timeout(TIMEOUT, fetch(backend, url, files)).await {
                Ok(bytes) => bytes,
                Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
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

async fn fetch(backend: &Backend, url: &Url, files: &FileStore) -> Result<Vec<u8>, String> {
    let accept = HeaderValue::from_static("application/json, application/yaml;q=0.9, */*;q=0.1");
    let plan = CallPlan {
        method: Method::Get,
        url: url.clone(),
        headers: vec![(ACCEPT, accept)],
        body: PlannedBody::None,
        limit: None,
        // The operator asks, at the start.
        door: Door::Terminal,
    };
    let errors = ErrorRules::default();
    let rules =
        RetryRules { errors: &errors, method: Method::Get, retry_unsafe: false, is_patient: false };
    let sent = backend.send(&plan, rules, false, files, &Activity::default()).await;
    let Exchange { response, .. } = sent.map_err(|error| error.to_string())?;
    let request = backend.request_line(&plan);
    if !response.status().is_success() {
        return Err(format!("{request} was answered with HTTP {}", response.status().as_u16()));
    }
    let mut body = BytesMut::new();
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| backend.failure(&plan, &error).to_string())?;
        if body.len() + piece.len() > openapi::MAX_BYTES {
            return Err(format!("it is larger than {} bytes", openapi::MAX_BYTES));
        }
        body.extend_from_slice(&piece);
    }
    Ok(backend.masked(body.freeze()).await.to_vec())
}
