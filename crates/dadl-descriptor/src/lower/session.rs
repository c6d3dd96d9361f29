//! `auth.type: session`.

use std::collections::BTreeSet;

use dadl_text::names::{header, nearest_name};
use http::HeaderName;

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText, join_names},
    placement::lower_credential,
};
use crate::{
    code,
    model::{
        RequestMethod,
        auth::login::{CREDENTIAL_MARK, FieldTemplate, LoginRequest, LoginValue, SessionAuth},
        json_path::JsonPath,
        template::PathTemplate,
    },
    yaml::{YamlNode, YamlValue},
};

/// Ends a key whose value names a credential: `password_credential` fills `password`.
const CREDENTIAL_KEY: &str = "_credential";

/// Ends of the names of members that hold a secret; `token_type` is none.
const SECRET_WORDS: &[&str] = &["apikey", "api_key", "passphrase", "password", "secret", "token"];

/// Spellings of the one refresh there is, without case and separators.
const TRIGGERS: &[&str] = &["401", "on401", "status401", "http401", "unauthorized"];
const ACTIONS: &[&str] = &["login", "relogin"];

/// Lowers the keys of `session`; `None` when there is a finding that is an error.
pub(super) fn lower<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<SessionAuth> {
    check_refresh(section, context);
    if section.entry("inject").is_none() {
        context.report_missing(section, "inject");
    }
    if section.entry("login").is_none() {
        context.report_missing(section, "login");
    }
    let keys = &["method", "path", "body", "extract"];
    let request = context.subsection(section, "login", keys);
    let extract =
        request.as_ref().map(|request| lower_extract(request, context)).unwrap_or_default();
    let inject = lower_inject(section, &extract, context);
    let login = lower_login(&request?, context);
    let extract =
        extract.into_iter().filter_map(|(name, path)| Some((name.value.to_owned(), path?)));
    Some(SessionAuth { extract: extract.collect(), login: login?, inject: inject? })
}

fn lower_login<'tree>(
    request: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<LoginRequest> {
    let method = match context.required_text(request, "method") {
        Some(text) => {
            let methods = RequestMethod::ALL.map(|method| (method.as_str(), method));
            context.choice(&text, "method", &methods)
        }
        None => None,
    };
    let path = context.required_text(request, "path").and_then(|text| lower_path(&text, context));
    let body = match request.entry("body") {
        Some(entry) if matches!(entry.value.value, YamlValue::Mapping(_)) => {
            lower_value(&entry.value, None, context).map(Some)
        }
        Some(entry) => {
            context.wrong_type(&entry.value, "`body`", "a mapping");
            None
        }
        None => Some(None),
    };
    Some(LoginRequest { method: method?, path: path?, body: body?, headers: Vec::new() })
}

fn lower_path<'tree>(
    text: &YamlText<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<PathTemplate> {
    let path = context.compile_template(text, None)?;
    if path.placeholders().next().is_some() {
        context
            .error(code::LOGIN_REQUEST, &text.span, "the path of a login has no placeholders")
            .help("a login has no arguments; values of credentials belong into its body");
        return None;
    }
    Some(path)
}

/// Reads a part of the body. `credential:x` and, in a mapping, `y_credential: x` stand for the
/// value of the credential `x`.
fn lower_value<'tree>(
    node: &'tree YamlNode<'tree>,
    key: Option<&str>,
    context: &mut LowerContext<'tree>,
) -> Option<LoginValue> {
    match &node.value {
        YamlValue::String(text) => {
            let Some(name) = text.strip_prefix(CREDENTIAL_MARK) else {
                if let Some(key) = key.filter(|key| names_a_secret(key) && !text.is_empty()) {
                    context
                        .warning(
                            code::LOGIN_LITERAL,
                            &node.span,
                            format!("`{key}` looks like a secret and is written out"),
                        )
                        .label("everybody who has the file can read it")
                        .help(format!("write `{CREDENTIAL_MARK}NAME`, and set that credential"));
                }
                return Some(LoginValue::Literal(node.to_json()));
            };
            let text = YamlText { value: name, span: node.span.clone() };
            Some(LoginValue::Credential(lower_credential(&text, context)?))
        }
        YamlValue::Sequence(items) => {
            let items: Vec<_> = items.iter().map(|item| lower_value(item, None, context)).collect();
            items.into_iter().collect::<Option<_>>().map(LoginValue::Array)
        }
        YamlValue::Mapping(entries) => {
            let mut seen = BTreeSet::new();
            let mut members = Some(Vec::new());
            for entry in *entries {
                let own = entry.key.as_ref();
                let named = own.strip_suffix(CREDENTIAL_KEY).filter(|name| {
                    !name.is_empty() && matches!(entry.value.value, YamlValue::String(_))
                });
                let member = named.unwrap_or(own);
                if !seen.insert(member) {
                    context
                        .error(
                            code::LOGIN_REQUEST,
                            &entry.key_span,
                            format!("the login's body has `{member}` twice"),
                        )
                        .help(format!("`{member}{CREDENTIAL_KEY}: x` fills `{member}`"));
                    members = None;
                    continue;
                }
                let lowered = match (named, &entry.value.value) {
                    (Some(_), YamlValue::String(text)) => {
                        let name = text.strip_prefix(CREDENTIAL_MARK).unwrap_or(text);
                        let text = YamlText { value: name, span: entry.value.span.clone() };
                        lower_credential(&text, context).map(LoginValue::Credential)
                    }
                    _ => lower_value(&entry.value, Some(own), context),
                };
                members = match (members, lowered) {
                    (Some(mut members), Some(lowered)) => {
                        members.push((member.to_owned(), lowered));
                        Some(members)
                    }
                    _ => None,
                };
            }
            members.map(LoginValue::Object)
        }
        YamlValue::Bool(_) | YamlValue::Null | YamlValue::Number(..) => {
            Some(LoginValue::Literal(node.to_json()))
        }
    }
}

fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.ends_with(word))
}

/// Reads `extract`. A name whose path is wrong keeps its place, so that it is not called unknown.
fn lower_extract<'tree>(
    request: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<(YamlText<'tree>, Option<JsonPath>)> {
    let Some(entry) = request.entry("extract") else { return Vec::new() };
    let place = MappingPlace::Key("extract");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else {
        return Vec::new();
    };
    let entries = section.entries().iter();
    entries
        .map(|entry| {
            let path = context.json_path(&section, &entry.key);
            (YamlText { value: entry.key.as_ref(), span: entry.key_span.clone() }, path)
        })
        .collect()
}

fn lower_inject<'tree>(
    section: &YamlSection<'tree>,
    extract: &[(YamlText<'tree>, Option<JsonPath>)],
    context: &mut LowerContext<'tree>,
) -> Option<Vec<(HeaderName, FieldTemplate)>> {
    let mut fields = Some(Vec::new());
    let mut used = BTreeSet::new();
    let items = context.items(section, "inject");
    if let (Some(entry), []) = (section.entry("inject"), items) {
        context
            .error(code::MISSING_KEY, &entry.key_span, "`inject` has no item")
            .label("requests would go without the session")
            .help("add `{header: Authorization, value: \"Bearer {{token}}\"}`");
        return None;
    }
    for item in items {
        let place = MappingPlace::Only("an item of `inject`");
        let field = context
            .section(item, &item.span, place, &["header", "value"])
            .and_then(|item| lower_field(&item, extract, &mut used, context));
        fields = match (fields, field) {
            (Some(mut fields), Some(field)) => {
                fields.push(field);
                Some(fields)
            }
            _ => None,
        };
    }
    for (name, _) in extract.iter().filter(|(name, _)| !used.contains(name.value)) {
        context
            .warning(
                code::UNUSED_EXTRACT,
                &name.span,
                format!("`{}` is extracted, but `inject` does not use it", name.value),
            )
            .help(format!("write `{{{{{}}}}}` in the value of a field, or remove it", name.value));
    }
    fields
}

fn lower_field<'tree>(
    item: &YamlSection<'tree>,
    extract: &[(YamlText<'tree>, Option<JsonPath>)],
    used: &mut BTreeSet<&'tree str>,
    context: &mut LowerContext<'tree>,
) -> Option<(HeaderName, FieldTemplate)> {
    let header = context.required_text(item, "header");
    let text = context.required_text(item, "value");
    let name = header.and_then(|text| {
        let name = HeaderName::from_bytes(text.value.as_bytes()).ok();
        let name = name.filter(|name| !header::frames(name.as_str()));
        if name.is_none() {
            context.error(
                code::AUTH_HEADER,
                &text.span,
                format!("`{}` is not a header that can carry a credential", text.value),
            );
        }
        name
    });
    let text = text?;
    let template = match FieldTemplate::parse(text.value) {
        Ok(template) => template,
        Err(error) => {
            context.error(code::SESSION_PLACEHOLDER, &text.span, error.to_string());
            return None;
        }
    };
    let names: Vec<&str> = extract.iter().map(|(name, _)| name.value).collect();
    let mut complete = true;
    for placeholder in template.names() {
        if let Some(name) = names.iter().find(|name| **name == placeholder) {
            used.insert(name);
            continue;
        }
        complete = false;
        let finding = context.error(
            code::SESSION_PLACEHOLDER,
            &text.span,
            format!("`{{{{{placeholder}}}}}` is not a name under `extract`"),
        );
        finding.meant_or(nearest_name(placeholder, names.iter().copied()), || {
            match names.as_slice() {
                [] => format!("add `extract: {{{placeholder}: \"$.{placeholder}\"}}` to `login`"),
                names => format!("`extract` has {}", join_names(names)),
            }
        });
    }
    Some((name.filter(|_| complete)?, template))
}

/// Reads `refresh`: a login is repeated when a request is answered with 401, whatever it says.
fn check_refresh<'tree>(section: &YamlSection<'tree>, context: &mut LowerContext<'tree>) {
    let Some(refresh) = context.subsection(section, "refresh", &["trigger", "action"]) else {
        return;
    };
    for (key, known) in [("trigger", TRIGGERS), ("action", ACTIONS)] {
        let Some(text) = context.text(&refresh, key) else { continue };
        let plain: String = text
            .value
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        if !known.contains(&plain.as_str()) {
            context
                .warning(
                    code::SESSION_REFRESH,
                    &text.span,
                    format!("the {key} `{}` is not known", text.value),
                )
                .label("has no effect")
                .help(
                    "a 401 answer makes the program log in again, once; other answers do where \
                     `_dadl_mcp.auth.refused` says so",
                );
        }
    }
}
