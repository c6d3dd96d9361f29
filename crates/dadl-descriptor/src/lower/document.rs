//! The top level and `backend`.

use dadl_text::names::{
    nearest_name,
    path::{self, BraceError},
};
use thiserror::Error;

use super::{
    auth, composite,
    context::{LowerContext, MappingPlace, YamlSection},
    defaults::{Defaults, defaults_fit, lower_defaults},
    extension, fix, health, include, jsonrpc, meta,
    meta::description,
    named::declared_names,
    tool, types,
};
use crate::{
    code,
    diagnostic::Diagnostic,
    model::{
        AuthScheme, Descriptor, HeaderFields, Shared, UnlistedParams, auth::rules::AuthRules,
        keywords::SearchKeywords,
    },
    programs::ProgramCheck,
    source::SourceText,
    yaml::{YamlEntry, YamlNode, YamlValue},
};

const TOP_KEYS: &[&str] =
    &["spec", "requires", "credits", "source_name", "source_url", "date", "backend", "includes"];

const BACKEND_KEYS: &[&str] = &[
    "name",
    "type",
    "jsonrpc",
    "version",
    "base_url",
    "description",
    "openapi_source",
    "arazzo_source",
    "auth",
    "health",
    "defaults",
    "types",
    "tools",
    "composites",
    "examples",
    "coverage",
    "hints",
    "setup",
];

/// The feature identifiers of DADL 0.2, and whether this version has them.
const FEATURES: &[(&str, bool)] = &[
    ("authorization_code", true),
    ("composites", true),
    ("deprecation", true),
    ("file_url", true),
    ("health", true),
    ("idempotency", true),
    ("jwt_bearer", true),
    ("redact", true),
    ("refresh_token", true),
    ("refresh_token_rotation", true),
    ("returns", true),
    ("semantic_errors", true),
];

/// Lowers a whole document; the descriptor counts only when no finding is an error. Where `is_checked`,
/// what costs one tool when the file is served is an error.
pub(crate) fn lower<'tree>(
    root: &'tree YamlNode<'tree>,
    source: &'tree SourceText,
    programs: &'tree ProgramCheck<'tree>,
    is_checked: bool,
) -> (Option<Descriptor>, Vec<Diagnostic>) {
    let programs = Some(programs);
    let mut context = LowerContext { is_checked, programs, ..LowerContext::new(source, root) };
    let descriptor = lower_document(root, &mut context);
    (descriptor, context.findings)
}

fn lower_document<'tree>(
    root: &'tree YamlNode<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Descriptor> {
    let start = root.span.start..root.span.start;
    if matches!(root.value, YamlValue::Null) {
        context.error(code::WRONG_TYPE, &start, "the file is empty");
        return None;
    }
    let top = context.open(root, &start, MappingPlace::Only("the file"))?;
    if include::is_fragment(top.entries()) {
        context
            .error(code::FRAGMENT, &start, "this is a fragment, not a descriptor")
            .help("name the descriptor that includes it");
        return None;
    }
    for entry in top.entries() {
        if !TOP_KEYS.contains(&entry.key.as_ref()) && !entry.key.starts_with('_') {
            let finding = context.warning(
                code::UNKNOWN_KEY,
                &entry.key_span,
                format!("unknown key `{}` at the top of the file", entry.key),
            );
            finding.label("ignored when the file is served");
            finding.meant_or(nearest_name(&entry.key, TOP_KEYS.iter().copied()), || {
                "begin a key of your own with `_`".to_owned()
            });
            finding.fix = fix::renamed_key(entry, top.entries(), TOP_KEYS).map(Box::new);
        }
    }
    check_spec(&top, context);
    check_requires(&top, context);
    check_credits(&top, context);
    let source_name = context.string(&top, "source_name");
    let source_url = meta::lower_url(&top, "source_url", context);
    let date = meta::lower_date(&top, "date", context);
    let has_value = |entry: &&YamlEntry<'_>| !matches!(entry.value.value, YamlValue::Null);
    let Some(entry) = top.entry("backend").filter(has_value) else {
        context.report_missing(&top, "backend");
        return None;
    };
    let place = MappingPlace::Key("backend");
    let backend = context.section(&entry.value, &entry.key_span, place, BACKEND_KEYS)?;
    let (mut descriptor, headers) = lower_backend(&backend, context)?;
    extension::lower(&top, &backend, &headers, &mut descriptor, context);
    descriptor.date = date;
    descriptor.source_name = source_name;
    descriptor.source_url = source_url;
    Some(descriptor)
}

fn check_credits<'tree>(top: &YamlSection<'tree>, context: &mut LowerContext<'tree>) {
    if let Some(entry) = top.entry("credits")
        && matches!(&entry.value.value, YamlValue::Sequence(items) if items.is_empty())
    {
        context
            .warning(code::WRONG_TYPE, &entry.key_span, "`credits` names nobody")
            .help("remove the key, or name somebody");
    }
    context.texts(top, "credits");
}

/// Reads the specification that the file follows; an unknown one may give keys another meaning.
fn check_spec<'tree>(top: &YamlSection<'tree>, context: &mut LowerContext<'tree>) {
    let Some(text) = context.required_text(top, "spec") else { return };
    match text.value.strip_suffix(".md").unwrap_or(text.value) {
        "https://dadl.ai/spec/dadl-spec-v0.1" => context.is_v01 = true,
        "https://dadl.ai/spec/dadl-spec-v0.2" => {}
        _ => {
            context
                .error(code::SPEC, &text.span, "this is not a specification that is supported")
                .help("write https://dadl.ai/spec/dadl-spec-v0.2.md");
        }
    }
}

fn check_requires<'tree>(top: &YamlSection<'tree>, context: &mut LowerContext<'tree>) {
    let Some(requires) = context.subsection(top, "requires", &["toolmesh", "features"]) else {
        return;
    };
    // Another program's version says nothing about this one.
    context.text(&requires, "toolmesh");
    context.warn_ignored(&requires, "toolmesh");
    context.since_v02(&requires, "features");
    for feature in context.texts(&requires, "features") {
        context.features.push(feature.value);
        let known = FEATURES.iter().find(|(name, _)| *name == feature.value);
        if known.is_some_and(|(_, supported)| *supported) {
            continue;
        }
        let finding = context.error(
            code::MISSING_FEATURE,
            &feature.span,
            format!("the feature `{}` is not supported by this version", feature.value),
        );
        let names = FEATURES.iter().map(|(name, _)| *name);
        finding.meant(nearest_name(feature.value, names).filter(|_| known.is_none()));
    }
}

/// Lowers `backend`; gives the header fields of every request too.
fn lower_backend<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<(Descriptor, Shared<HeaderFields>)> {
    let name = backend_name(backend, context);
    let rpc = jsonrpc::lower(backend, context);
    let version = meta::lower_version(backend, context);
    let base_url = base_url(backend, context);
    let description = description(backend, context);
    context.text(backend, "arazzo_source");
    context.warn_ignored(backend, "arazzo_source");
    let openapi_source = openapi_source(backend, context);
    let known_types = types::declared_names(backend);
    let types = types::lower(backend, &known_types, context);
    let mut auth = auth::lower(backend, context);
    if !defaults_fit(backend, context) {
        return None;
    }
    let mut defaults = Defaults { rpc, ..lower_defaults(backend, context) };
    if let Some(AuthScheme::Session(session)) = &mut auth {
        session.login.headers.clone_from(&defaults.headers.fields);
    }
    defaults.headers.refuse_credential(auth.as_ref(), context);
    let parser = composite::begin_parsing(backend);
    let known_tools = declared_names(backend, &["tools", "composites"]);
    let (tools, mut hints) =
        tool::lower_all(backend, &defaults, auth.as_ref(), &known_tools, &known_types, context);
    let health = health::lower(backend, name.as_deref(), &defaults, &tools, &known_tools, context);
    let composites =
        composite::lower_all(backend, parser, &tools, health.as_ref(), &mut hints, context);
    let examples = meta::lower_examples(backend, context);
    let coverage = meta::lower_coverage(backend, context);
    let setup = meta::lower_setup(backend, context);
    let descriptor = Descriptor {
        types,
        openapi_source,
        health,
        unlisted_params: UnlistedParams::default(),
        keywords: SearchKeywords::default(),
        tasks: None,
        settles: Vec::new(),
        previews: Vec::new(),
        entries: Vec::new(),
        events: None,
        auth_rules: AuthRules::default(),
        pace: None,
        switch: None,
        fit: None,
        name: name?,
        version,
        base_path: Some(path::of_base_url(base_url.as_deref()))
            .filter(|path| !path.is_empty() && !path.contains('{'))
            .map(str::to_owned),
        base_url,
        description,
        auth: auth?,
        tools,
        composites,
        examples,
        coverage,
        setup,
        date: None,
        source_name: None,
        source_url: None,
    };
    Some((descriptor, defaults.headers.fields))
}

fn backend_name<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let text = context.required_text(backend, "name")?;
    let tail_is_fine =
        text.value.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if tail_is_fine && text.value.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some(text.value.to_owned());
    }
    context
        .error(code::BACKEND_NAME, &text.span, format!("`{}` is not a backend name", text.value))
        .help("begin with a lower-case letter, go on with a-z, 0-9 and `-`");
    None
}

/// Reads where the OpenAPI document is: beside the file, or at a URL that only the operator can let
/// us fetch.
fn openapi_source<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let text = context.text(backend, "openapi_source")?;
    if text.value.contains("://")
        && let Some(entry) = backend.entry("openapi_source")
    {
        let message = "`openapi_source` only documents, unless the operator lets it be fetched";
        context.note(code::IGNORED, &entry.key_span, message);
    }
    Some(text.value.to_owned())
}

fn base_url<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let text = context.text(backend, "base_url")?;
    if let Err(reason) = check_base_url(text.value) {
        context
            .error(code::BASE_URL, &text.span, reason.to_string())
            .help("write `https://host/path`, or leave it out and set `url` for the backend");
        return None;
    }
    Some(text.value.to_owned())
}

/// Why a text is no base URL.
#[derive(Debug, Clone, Copy, Error)]
enum NoBaseUrl {
    #[error(transparent)]
    Braces(#[from] BraceError),
    #[error("this is not an absolute URL")]
    Malformed,
    #[error("the scheme must be http or https")]
    Scheme,
    #[error("a base URL cannot hold a credential")]
    Credential,
    #[error("a base URL cannot have a query or a fragment")]
    Query,
}

fn check_base_url(text: &str) -> Result<(), NoBaseUrl> {
    let plain = path::filled_with_x(text)?;
    let url = url::Url::parse(&plain).map_err(|_| NoBaseUrl::Malformed)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NoBaseUrl::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NoBaseUrl::Credential);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(NoBaseUrl::Query);
    }
    Ok(())
}
