//! `backend.auth`: which credential goes where.

use std::ops::Range;

use super::{
    context::{LowerContext, MappingPlace, YamlSection},
    oauth2,
    placement::{AuthKind, KEYS, lower_credential, lower_placement, report_foreign_key},
    session,
};
use crate::{
    model::AuthScheme,
    yaml::{YamlNode, YamlValue},
};

/// Lowers `auth`; `None` when there is a finding that is an error.
pub(super) fn lower<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<AuthScheme> {
    if backend.entry("auth").is_none_or(|entry| matches!(entry.value.value, YamlValue::Null)) {
        context
            .report_missing(backend, "auth")
            .help("for a public API write `auth: {type: bearer, credential: none}`");
        return None;
    }
    let entry = backend.entry("auth")?;
    lower_at(&entry.value, &entry.key_span, MappingPlace::Key("auth"), context)
}

/// Lowers a value that is like `auth`.
pub(super) fn lower_at<'tree>(
    node: &'tree YamlNode<'tree>,
    span: &Range<usize>,
    place: MappingPlace<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<AuthScheme> {
    let section = context.section(node, span, place, KEYS)?;
    let text = context.required_text(&section, "type")?;
    let kinds = [
        ("bearer", AuthKind::Bearer),
        ("apikey", AuthKind::ApiKey),
        ("api_key", AuthKind::ApiKey),
        ("basic", AuthKind::Basic),
        ("oauth2", AuthKind::OAuth2),
        ("session", AuthKind::Session),
    ];
    let kind = context.choice(&text, "authentication type", &kinds)?;
    match kind {
        AuthKind::OAuth2 => {
            oauth2::lower(&section, context).map(|oauth2| AuthScheme::OAuth2(Box::new(oauth2)))
        }
        AuthKind::Session => {
            foreign_keys(&section, text.value, &["login", "inject", "refresh"], context);
            session::lower(&section, context).map(|session| AuthScheme::Session(Box::new(session)))
        }
        AuthKind::Basic => {
            foreign_keys(
                &section,
                text.value,
                &["username_credential", "password_credential"],
                context,
            );
            lower_basic(&section, context)
        }
        AuthKind::Bearer | AuthKind::ApiKey => {
            let own = ["credential", "inject_into", "header_name", "prefix", "query_param"];
            foreign_keys(&section, text.value, &own, context);
            lower_token(&section, kind, context)
        }
    }
}

fn foreign_keys<'tree>(
    section: &YamlSection<'tree>,
    kind: &str,
    own: &[&str],
    context: &mut LowerContext<'tree>,
) {
    report_foreign_key(section, &format!("`{kind}` authentication"), own, context);
}

fn lower_basic<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<AuthScheme> {
    let username = context.required_text(section, "username_credential");
    let password = context.text(section, "password_credential");
    let username = lower_credential(&username?, context)?;
    let password = match password {
        Some(text) => Some(lower_credential(&text, context)?).filter(|name| name.0 != "none"),
        None => None,
    };
    Some(if username.0 == "none" {
        AuthScheme::None
    } else {
        AuthScheme::Basic { username, password }
    })
}

fn lower_token<'tree>(
    section: &YamlSection<'tree>,
    kind: AuthKind,
    context: &mut LowerContext<'tree>,
) -> Option<AuthScheme> {
    let name = context.required_text(section, "credential");
    // Without a credential it does not matter where it would go.
    if name.as_ref().is_some_and(|text| text.value == "none") {
        return Some(AuthScheme::None);
    }
    let placement = lower_placement(section, kind, context);
    let credential = lower_credential(&name?, context)?;
    Some(AuthScheme::Token { credential, placement: placement? })
}
