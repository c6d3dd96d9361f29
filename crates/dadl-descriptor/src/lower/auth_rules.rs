//! `auth` of `_dadl_mcp`: other logins, how long a session lasts, and how an API says that a
//! credential is refused.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderName, HeaderValue};

use super::{
    auth,
    context::{LowerContext, MappingPlace, YamlSection},
    rules::one_or_more,
};
use crate::{
    code,
    model::{
        AuthScheme, Descriptor, ParamLocation, Tool,
        auth::rules::{AuthRules, OptionalAuth, RefusalRules},
    },
    yaml::YamlValue,
};

const KEYS: &[&str] = &["also", "lifetime", "logins", "optional", "refused"];

/// Lowers `auth`; `headers` are those that every request has.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    headers: &[(HeaderName, HeaderValue)],
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) -> AuthRules {
    let Some(section) = context.subsection(extension, "auth", KEYS) else {
        return AuthRules::default();
    };
    lower_also(&section, descriptor, context);
    let optional = lower_optional(&section, descriptor, context);
    let refused = lower_refused(&section, context);
    let lifetime = context.duration(&section, "lifetime");
    let logins = lower_logins(&section, headers, descriptor, context);
    let is_session = |auth: &AuthScheme| matches!(auth, AuthScheme::Session(_));
    if let Some(entry) = section.entry("lifetime") {
        if lifetime.is_some_and(|lifetime| lifetime.is_zero()) {
            context
                .error(code::LOGINS, &entry.value.span, "a session lasts longer than no time")
                .help("write how long one lasts, such as `1h`");
        } else if !is_session(&descriptor.auth) && !logins.values().any(is_session) {
            context
                .warning(code::LOGINS, &entry.key_span, "`lifetime` is that of a session")
                .label("has no effect: there is no login of `type: session`")
                .help("remove it");
        }
    }
    AuthRules { refused, lifetime, logins, optional }
}

/// Reads the credentials that go along with that of `backend.auth`.
fn lower_also<'tree>(
    section: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(entry) = section.entry("also") else { return };
    let is_plain =
        |auth: &AuthScheme| matches!(auth, AuthScheme::Basic { .. } | AuthScheme::Token { .. });
    if !is_plain(&descriptor.auth) {
        context
            .error(
                code::CREDENTIALS,
                &entry.key_span,
                "`backend.auth` has no credential to go with",
            )
            .help("credentials go along with one of the type `bearer`, `apikey` or `basic`");
        return;
    }
    let mut all = vec![descriptor.auth.clone()];
    for node in one_or_more(section, "also") {
        let Some(auth) = auth::lower_at(node, &node.span, MappingPlace::Key("also"), context)
        else {
            continue;
        };
        if !is_plain(&auth) {
            context
                .error(code::CREDENTIALS, &node.span, "a login cannot go along with a credential")
                .help("write one of the type `bearer`, `apikey` or `basic`");
        } else if all.iter().any(|other| other.collides(&auth)) {
            context
                .error(code::CREDENTIALS, &node.span, "another credential has this place already")
                .help("write another header, query parameter or cookie");
        } else if let Some((tool, header)) = occupied_header(&auth, &descriptor.tools) {
            let message = format!("it goes into `{header}`, which `{tool}` sets");
            context
                .error(code::CREDENTIALS, &node.span, message)
                .help("let the credential have a header field of its own");
        } else {
            all.push(auth);
        }
    }
    if all.len() > 1 {
        descriptor.auth = AuthScheme::Several(all);
    }
}

/// Reads which tools can do without the credential, and tells them.
fn lower_optional<'tree>(
    section: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) -> OptionalAuth {
    let Some(entry) = section.entry("optional") else { return OptionalAuth::No };
    let optional = match entry.value.value {
        YamlValue::Bool(true) => OptionalAuth::All,
        YamlValue::Bool(false) => OptionalAuth::No,
        YamlValue::Sequence(_) => {
            let mut known = BTreeSet::new();
            for text in context.texts(section, "optional") {
                if descriptor.tools.iter().any(|tool| tool.name == text.value) {
                    known.insert(text.value.to_owned());
                    continue;
                }
                let names = descriptor.tools.iter().map(|tool| tool.name.as_str());
                let meant = context.nearest_tool(text.value, names);
                let message = format!("there is no tool `{}`", text.value);
                context.warning(code::CREDENTIALS, &text.span, message).meant(meant);
            }
            OptionalAuth::Tools(known)
        }
        _ => {
            context.wrong_type(&entry.value, "`optional`", "`true` or a list of tools");
            OptionalAuth::No
        }
    };
    for tool in &mut descriptor.tools {
        tool.credential_optional = optional.has(&tool.name);
    }
    if let Some(health) = &mut descriptor.health {
        let declared = health.declared.as_deref().unwrap_or_default();
        health.tool.credential_optional = optional.has(declared);
    }
    optional
}

fn lower_refused<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<RefusalRules> {
    let refused = context.subsection(section, "refused", &["status", "when"])?;
    for key in ["status", "when"] {
        if refused.entry(key).is_none() {
            context.report_missing(&refused, key);
        }
    }
    let status = context.count(&refused, "status").and_then(|status| u16::try_from(status).ok());
    let when = super::rules::lower_conditions(&refused, "when", context);
    let status = status.filter(|status| (400..=499).contains(status) && *status != 401);
    if let (None, Some(entry)) = (status, refused.entry("status")) {
        context
            .error(code::CREDENTIAL_REFUSED, &entry.value.span, "this is no 4xx status besides 401")
            .help("401 says already that the credential is refused");
    }
    if let (true, Some(entry)) = (when.is_empty(), refused.entry("when")) {
        context
            .error(code::CREDENTIAL_REFUSED, &entry.key_span, "`when` has no condition")
            .label("a lack of rights would look the same")
            .help("write a condition on the body, such as `$.detail == \"Invalid token.\"`");
        return None;
    }
    Some(RefusalRules { status: status?, when })
}

fn lower_logins<'tree>(
    section: &YamlSection<'tree>,
    headers: &[(HeaderName, HeaderValue)],
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> BTreeMap<String, AuthScheme> {
    let mut logins = BTreeMap::new();
    let Some(entry) = section.entry("logins") else { return logins };
    let place = MappingPlace::Key("logins");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else { return logins };
    for entry in section.entries() {
        let name = entry.key.as_ref();
        let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if !is_name {
            context
                .error(code::LOGINS, &entry.key_span, format!("`{name}` is no name for a login"))
                .help("begin with a lower-case letter, go on with a-z, 0-9, `-` and `_`");
        }
        if !matches!(entry.value.value, YamlValue::Mapping(_)) {
            context.wrong_type(&entry.value, &format!("the login `{name}`"), "a mapping");
            continue;
        }
        let place = MappingPlace::Named("login", name);
        let Some(login) = auth::lower_at(&entry.value, &entry.key_span, place, context) else {
            continue;
        };
        let mut login = login;
        if let AuthScheme::Session(session) = &mut login {
            session.login.headers = headers.to_vec();
        }
        if let Some((tool, header)) = occupied_header(&login, &descriptor.tools) {
            let message = format!(
                "the login `{name}` puts its credential into `{header}`, which `{tool}` sets"
            );
            context
                .error(code::LOGINS, &entry.key_span, message)
                .help("let the credential have a header field of its own");
        }
        logins.insert(name.to_owned(), login);
    }
    logins
}

/// Returns a header field that carries the credential of `login` and that a tool has for itself.
fn occupied_header<'tools>(
    login: &AuthScheme,
    tools: &'tools [Tool],
) -> Option<(&'tools str, HeaderName)> {
    tools.iter().find_map(|tool| {
        let set = tool.headers.iter().map(|(name, _)| name.clone());
        let given = tool
            .params
            .iter()
            .filter(|param| param.is_in(ParamLocation::Header))
            .filter_map(|param| HeaderName::from_bytes(param.name.as_bytes()).ok());
        let field = set.chain(given).find(|field| login.uses_header(field))?;
        Some((tool.name.as_str(), field))
    })
}
