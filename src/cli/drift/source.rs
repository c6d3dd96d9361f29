//! What is compared: a descriptor, and a document that lies in a file or is fetched from a server.
//!
//! A server is asked as a call would ask it: with the credential of the backend, which goes to its own
//! origin alone, and under the rules for addresses.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use dadl_descriptor::{
    diagnostic::Severity,
    model::{Descriptor, fit::FitSource},
    source::SourceText,
};
use dadl_openapi::ApiModel;
use url::Url;

use super::super::{
    args::DriftArgs, console::Console, exit::ExitReason, failure::CliFailure, import, load,
    process_secrets::SECRETS,
};
use crate::{
    app::{App, openapi::document_url},
    call::CallChannel,
    catalog::BackendId,
    config::{
        Settings, SettingsOverrides,
        bundled::{self, DescriptorPaths},
        credentials::CredentialResolver,
        env_vars::Environment,
    },
    http::{
        backend::ExchangeError,
        document::{DocumentFetchError, fetch_document},
    },
};

/// A server has so long to send its document.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a document's address ends with, rather than that of an API.
const ENDINGS: [&str; 3] = [".json", ".yaml", ".yml"];

/// The two sides.
pub(super) struct ComparedSides {
    pub(super) source: SourceText,
    pub(super) descriptor: Descriptor,
    pub(super) api: ApiModel,
    /// Where the document is.
    pub(super) document: String,
}

impl ComparedSides {
    /// Returns the line on which a tool is described.
    pub(super) fn line(&self, tool: &str) -> usize {
        let begins = |line: &str| {
            let line = line.trim_start();
            line.strip_prefix(tool).is_some_and(|rest| rest.starts_with(':'))
        };
        self.source.text().lines().position(begins).map_or(1, |at| at + 1)
    }
}

/// Reads both sides.
pub(super) async fn open_sides(
    args: &DriftArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ComparedSides, CliFailure> {
    let url = args.document.as_deref().and_then(Path::to_str);
    let url = url.filter(|text| text.starts_with("http://") || text.starts_with("https://"));
    let Some(document) = args.document.as_deref().filter(|_| url.is_none()) else {
        return of_server(args, url, environment, console).await;
    };
    let places = DescriptorPaths { base: Some(PathBuf::new()), ..DescriptorPaths::default() };
    let (source, descriptor) = read_descriptor(&args.descriptor, &places, console)?;
    refuse_rpc(&descriptor, &args.descriptor)?;
    let (api, _) = import::read_document(document)?;
    Ok(ComparedSides { source, descriptor, api, document: document.display().to_string() })
}

/// Fetches the document of a server: at a URL, or that of a backend of the settings.
async fn of_server(
    args: &DriftArgs,
    url: Option<&str>,
    environment: Environment,
    console: &mut Console,
) -> Result<ComparedSides, CliFailure> {
    let (settings, named) = match url {
        Some(text) => at_url(args, text, &environment)?,
        None => (of_settings(args, &environment)?, None),
    };
    load::print_warnings(&settings);
    let app = App::build(&settings, &CredentialResolver::new(environment).noting(&SECRETS))?;
    let nothing = || CliFailure::settings("there is no backend");
    let (Some(backend), Some(client)) = (app.backends.first(), app.executor.api(BackendId(0)))
    else {
        return Err(nothing());
    };
    let (source, descriptor) = read_descriptor(&backend.settings.dadl, &settings.places, console)?;
    refuse_rpc(&descriptor, &args.descriptor)?;
    let (document, is_public) = match named {
        Some(url) => (url, false),
        None => document_place(&descriptor, backend)?,
    };
    if !client.base().contains(&document) {
        let message = format!("{document} is not below the URL of the backend, {}", client.base());
        return Err(CliFailure::settings(message));
    }
    let anonymous = is_public.then(|| client.without_credential());
    let client = anonymous.as_ref().unwrap_or(client);
    let files = app.executor.files();
    let fetched =
        fetch_document(client, &document, files, CallChannel::Terminal, dadl_openapi::MAX_BYTES);
    let bytes = match tokio::time::timeout(TIMEOUT, fetched).await {
        Ok(fetched) => fetched.map_err(|error| unfetched_failure(&document, error))?,
        Err(_) => {
            let message = format!("{document}: no answer within {} s", TIMEOUT.as_secs());
            return Err(CliFailure::new(ExitReason::Unreachable, anyhow::Error::msg(message)));
        }
    };
    let (api, _) = dadl_openapi::read_document(&bytes).map_err(|reason| {
        CliFailure::settings(format!("{document} is no OpenAPI document: {reason}"))
            .hint("name the URL of the document itself")
    })?;
    Ok(ComparedSides { source, descriptor, api, document: document.to_string() })
}

fn unfetched_failure(document: &Url, error: DocumentFetchError) -> CliFailure {
    let exit = match &error {
        DocumentFetchError::Status(..)
        | DocumentFetchError::Page { .. }
        | DocumentFetchError::TooLarge(_) => ExitReason::Api,
        DocumentFetchError::Exchange(ExchangeError::Login(..) | ExchangeError::Client(..)) => {
            ExitReason::Settings
        }
        _ => ExitReason::Unreachable,
    };
    CliFailure::new(exit, anyhow::Error::new(error).context(format!("{document} cannot be had")))
}

/// Makes settings for the server at a URL, and gives the URL of the document if it is that.
fn at_url(
    args: &DriftArgs,
    text: &str,
    environment: &Environment,
) -> Result<(Settings, Option<Url>), CliFailure> {
    let url = Url::parse(text).map_err(|error| CliFailure::usage(format!("no URL: {error}")))?;
    if url.query().is_some() || url.fragment().is_some() {
        let message = "a URL with `?` or `#` is not fetched: it may hold a secret, and is shown";
        return Err(CliFailure::usage(message));
    }
    let is_document = ENDINGS.iter().any(|ending| url.path().ends_with(ending));
    let base = if is_document { url.origin().ascii_serialization() } else { text.to_owned() };
    let overrides = SettingsOverrides {
        dadl: Some(args.descriptor.clone()),
        url: Some(base),
        ca_file: args.ca_file.clone(),
        tls_fingerprint: args.tls_fingerprints.clone(),
        tls_skip_verify: args.tls_skip_verify,
        ..SettingsOverrides::default()
    };
    if is_document && (!url.username().is_empty() || url.password().is_some()) {
        let message = "a URL must not contain a user name or a password; use a credential";
        return Err(CliFailure::usage(message));
    }
    let settings = Settings::load(&overrides, environment, Path::new(""))?;
    Ok((settings, is_document.then_some(url)))
}

/// Returns the settings of the backend that is named.
fn of_settings(args: &DriftArgs, environment: &Environment) -> Result<Settings, CliFailure> {
    let overrides =
        SettingsOverrides { config: args.config.clone(), ..SettingsOverrides::default() };
    let settings = Settings::load(&overrides, environment, Path::new(""))?;
    let alone = settings.only(&args.descriptor);
    if alone.backends.is_empty() {
        let names: Vec<&str> = settings.backends.iter().map(|it| it.name.as_str()).collect();
        let message = format!(
            "there is no backend \"{}\" in the settings, which have {}",
            args.descriptor,
            names.join(", ")
        );
        return Err(CliFailure::settings(message).hint("name a document, or the URL of a server"));
    }
    Ok(alone)
}

/// Returns where a server has its document, and whether that needs no login.
fn document_place(
    descriptor: &Descriptor,
    backend: &crate::app::LoadedBackend,
) -> Result<(Url, bool), CliFailure> {
    if let Some(fit) = &descriptor.fit
        && let FitSource::OpenApi(path) = &fit.source
        && let Some(api) = backend.api()
    {
        let text = format!("{}{path}", api.base.as_str().trim_end_matches('/'));
        let url =
            Url::parse(&text).map_err(|error| CliFailure::settings(format!("{text}: {error}")))?;
        return Ok((url, fit.public));
    }
    let url = document_url(backend).map_err(|error| {
        CliFailure::settings(format!("nothing says where the server has its document: {error}"))
            .hint("name its URL, such as URL/openapi.json")
    })?;
    Ok((url, false))
}

fn refuse_rpc(descriptor: &Descriptor, name: &str) -> Result<(), CliFailure> {
    let Some(tool) = descriptor.tools.iter().find(|tool| tool.rpc().is_some()) else {
        return Ok(());
    };
    let message = format!(
        "{name} describes a JSON-RPC API, and OpenAPI knows operations by method and path only: \
         nothing can be compared with \"{}\"; `dadl-mcp doctor` compares the methods of a server",
        tool.name
    );
    Err(CliFailure::settings(message))
}

/// Reads a descriptor by its path or its name.
fn read_descriptor(
    dadl: &str,
    places: &DescriptorPaths,
    console: &mut Console,
) -> Result<(SourceText, Descriptor), CliFailure> {
    let mut text = bundled::locate_descriptor(dadl, places).map_err(CliFailure::settings)?;
    if let Some(unused) = text.unused.take() {
        console.print_note(&unused.to_string())?;
    }
    let name = text.origin.clone();
    let mut folder = text.folder();
    let source =
        text.into_source().map_err(|error| CliFailure::settings(format!("{name}: {error}")))?;
    let (source, loaded) = dadl_descriptor::load_with(source, &mut folder);
    match loaded.descriptor {
        Some(descriptor) => Ok((source, descriptor)),
        None => {
            for finding in &loaded.diagnostics {
                if finding.severity == Severity::Error {
                    let line = source.position(finding.span.start).line;
                    writeln!(console.err, "{name}:{line}: {}", finding.message)?;
                }
            }
            Err(CliFailure::settings(format!("the descriptor {name} cannot be used"))
                .hint("`dadl-mcp check` shows what is wrong with it"))
        }
    }
}
