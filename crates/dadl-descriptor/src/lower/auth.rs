//! `backend.auth`: which credential goes where.

use std::ops::Range;

use super::{
    context::{Context, Place, Section},
    oauth2,
    placement::{KEYS, Kind, credential, foreign, placement},
    session,
};
use crate::{
    model::Auth,
    yaml::{Node, Value},
};

/// Lowers `auth`; `None` when there is a finding that is an error.
pub(super) fn lower<'tree>(backend: &Section<'tree>, context: &mut Context<'tree>) -> Option<Auth> {
    if backend.entry("auth").is_none_or(|entry| matches!(entry.value.value, Value::Null)) {
        context
            .missing(backend, "auth")
            .help("for a public API write `auth: {type: bearer, credential: none}`");
        return None;
    }
    let entry = backend.entry("auth")?;
    lower_at(&entry.value, &entry.key_span, Place::Key("auth"), context)
}

/// Lowers a value that is like `auth`.
pub(super) fn lower_at<'tree>(
    node: &'tree Node<'tree>,
    span: &Range<usize>,
    place: Place<'tree>,
    context: &mut Context<'tree>,
) -> Option<Auth> {
    let section = context.section(node, span, place, KEYS)?;
    let text = context.required_text(&section, "type")?;
    let kinds = [
        ("bearer", Kind::Bearer),
        ("apikey", Kind::ApiKey),
        ("api_key", Kind::ApiKey),
        ("basic", Kind::Basic),
        ("oauth2", Kind::OAuth2),
        ("session", Kind::Session),
    ];
    let kind = context.choice(&text, "authentication type", &kinds)?;
    match kind {
        Kind::OAuth2 => {
            oauth2::lower(&section, context).map(|oauth2| Auth::OAuth2(Box::new(oauth2)))
        }
        Kind::Session => {
            foreign_keys(&section, text.value, &["login", "inject", "refresh"], context);
            session::lower(&section, context).map(|session| Auth::Session(Box::new(session)))
        }
        Kind::Basic => {
            foreign_keys(
                &section,
                text.value,
                &["username_credential", "password_credential"],
                context,
            );
            basic(&section, context)
        }
        Kind::Bearer | Kind::ApiKey => {
            let own = ["credential", "inject_into", "header_name", "prefix", "query_param"];
            foreign_keys(&section, text.value, &own, context);
            token(&section, kind, context)
        }
    }
}

fn foreign_keys<'tree>(
    section: &Section<'tree>,
    kind: &str,
    own: &[&str],
    context: &mut Context<'tree>,
) {
    foreign(section, &format!("`{kind}` authentication"), own, context);
}

fn basic<'tree>(section: &Section<'tree>, context: &mut Context<'tree>) -> Option<Auth> {
    let username = context.required_text(section, "username_credential");
    let password = context.text(section, "password_credential");
    let username = credential(&username?, context)?;
    let password = match password {
        Some(text) => Some(credential(&text, context)?).filter(|name| name.0 != "none"),
        None => None,
    };
    Some(if username.0 == "none" { Auth::None } else { Auth::Basic { username, password } })
}

fn token<'tree>(
    section: &Section<'tree>,
    kind: Kind,
    context: &mut Context<'tree>,
) -> Option<Auth> {
    let name = context.required_text(section, "credential");
    // Without a credential it does not matter where it would go.
    if name.as_ref().is_some_and(|text| text.value == "none") {
        return Some(Auth::None);
    }
    let placement = placement(section, kind, context);
    let credential = credential(&name?, context)?;
    Some(Auth::Token { credential, placement: placement? })
}
