//! Which credential goes where in a request.

use dadl_text::names::header;
use http::{HeaderName, HeaderValue};

use super::context::{LowerContext, YamlSection, YamlText, join_names};
use crate::{
    code,
    model::{CredentialName, TokenPlacement},
};

/// The keys of every type, so that a key of another type is not called unknown.
pub(super) const KEYS: &[&str] = &[
    "type",
    "credential",
    "inject_into",
    "header_name",
    "prefix",
    "query_param",
    "username_credential",
    "password_credential",
    "flow",
    "token_url",
    "authorize_url",
    "client_id_credential",
    "client_secret_credential",
    "refresh_token_credential",
    "rotates_refresh_token",
    "authorization_params",
    "redirect_uri",
    "token_auth",
    "service_account_credential",
    "subject",
    "scopes",
    "token_cache_key",
    "refresh_before_expiry",
    "login",
    "inject",
    "refresh",
];

/// The types of authentication that take part in what is shared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthKind {
    ApiKey,
    Basic,
    Bearer,
    OAuth2,
    Session,
}

/// Reports the keys of `auth` that are not `own`.
pub(super) fn report_foreign_key<'tree>(
    section: &YamlSection<'tree>,
    what: &str,
    own: &[&str],
    context: &mut LowerContext<'tree>,
) {
    for entry in section.entries() {
        let key = entry.key.as_ref();
        if key != "type" && KEYS.contains(&key) && !own.contains(&key) {
            let own: Vec<&str> = own.iter().copied().filter(|key| *key != "type").collect();
            context
                .warning(
                    code::FOREIGN_AUTH_KEY,
                    &entry.key_span,
                    format!("`{key}` does not belong to {what}"),
                )
                .label("has no effect")
                .help(format!("{what} takes {}", join_names(&own)));
        }
    }
}

/// Reads where a token goes.
pub(super) fn lower_placement<'tree>(
    section: &YamlSection<'tree>,
    kind: AuthKind,
    context: &mut LowerContext<'tree>,
) -> Option<TokenPlacement> {
    let places = [("header", false), ("query", true)];
    let in_query = match context.text(section, "inject_into") {
        Some(text) => context.choice(&text, "place", &places)?,
        None => false,
    };
    if in_query { lower_query(section, context) } else { lower_header(section, kind, context) }
}

fn lower_query<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<TokenPlacement> {
    for key in ["header_name", "prefix"] {
        if let Some(entry) = section.entry(key) {
            context
                .warning(
                    code::FOREIGN_AUTH_KEY,
                    &entry.key_span,
                    format!("`{key}` has no effect with `inject_into: query`"),
                )
                .help("remove it, or write `inject_into: header`");
        }
    }
    let text = context.required_text(section, "query_param")?;
    if text.value.is_empty() {
        context.error(code::AUTH_HEADER, &text.span, "the query parameter has no name");
        return None;
    }
    Some(TokenPlacement::Query(text.value.to_owned()))
}

pub(super) fn lower_header<'tree>(
    section: &YamlSection<'tree>,
    kind: AuthKind,
    context: &mut LowerContext<'tree>,
) -> Option<TokenPlacement> {
    if let Some(entry) = section.entry("query_param") {
        context
            .warning(
                code::FOREIGN_AUTH_KEY,
                &entry.key_span,
                "`query_param` has no effect with `inject_into: header`",
            )
            .help("remove it, or write `inject_into: query`");
    }
    let written = context.text(section, "header_name");
    let prefix = context.text(section, "prefix");
    let usual = if kind == AuthKind::ApiKey { "X-API-Key" } else { "Authorization" };
    let text = written.as_ref().map_or(usual, |text| text.value);
    let name = HeaderName::from_bytes(text.as_bytes()).ok();
    let Some(name) = name.filter(|name| !header::frames(name.as_str())) else {
        let span = written.as_ref().map_or(&section.span, |text| &text.span);
        context.error(
            code::AUTH_HEADER,
            span,
            format!("`{text}` is not a header that can carry a credential"),
        );
        return None;
    };
    if name == http::header::COOKIE {
        return lower_cookie(section, prefix.as_ref(), context);
    }
    let usual = if kind == AuthKind::ApiKey { "" } else { "Bearer " };
    if let Some(prefix) = prefix.as_ref().filter(|text| HeaderValue::from_str(text.value).is_err())
    {
        context.error(code::AUTH_HEADER, &prefix.span, "the prefix cannot stand in a header");
        return None;
    }
    let prefix = prefix.map_or(usual, |text| text.value).to_owned();
    Some(TokenPlacement::Header { name, prefix })
}

/// Reads `prefix: "name="` as the name of a cookie (RFC 6265, section 4.1.1).
pub(super) fn lower_cookie<'tree>(
    section: &YamlSection<'tree>,
    prefix: Option<&YamlText<'tree>>,
    context: &mut LowerContext<'tree>,
) -> Option<TokenPlacement> {
    // A cookie name is a token, as the name of a header is.
    let name = prefix
        .and_then(|text| text.value.strip_suffix('='))
        .filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok());
    if name.is_none() {
        let span = prefix.map_or(&section.span, |text| &text.span);
        context
            .error(code::AUTH_HEADER, span, "a cookie needs a name")
            .help("write the name and `=` as the prefix, such as `prefix: \"session=\"`");
    }
    name.map(|name| TokenPlacement::Cookie(name.to_owned()))
}

/// Reads the name of a credential; it becomes the name of an environment variable.
pub(super) fn lower_credential<'tree>(
    text: &YamlText<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<CredentialName> {
    let has_letter = text.value.chars().any(|character| character.is_ascii_alphanumeric());
    if !has_letter || text.value.contains(|other: char| other.is_whitespace() || other.is_control())
    {
        context
            .error(code::CREDENTIAL_NAME, &text.span, "this cannot name a credential")
            .help("write a name such as `example_token`, not the secret; `none` for no credential");
        return None;
    }
    Some(CredentialName(text.value.to_owned()))
}
