//! From the tree to the checked model.
//!
//! One file per section of the document. Each function reports every problem it meets and goes
//! on with what is left; whether the descriptor can be used is decided once, at the end, by the
//! severities. Three rules run through all sections:
//!
//! * An unknown key is a warning: `check` fails, the program loads the file.
//! * An unknown value of a field that decides behavior is an error.
//! * A construct that this version lacks is an error when ignoring it would change what a call
//!   does, and a note when it only documents.

mod auth;
mod auth_rules;
mod body;
mod calls;
mod carried;
mod composite;
mod context;
mod defaults;
mod document;
mod effects;
mod entries;
mod errors;
mod events;
mod extension;
mod filters;
mod fit;
mod fix;
mod health;
pub(super) mod include;
mod jsonrpc;
mod keywords;
mod meta;
mod named;
mod oauth2;
mod pagination;
mod params;
mod placement;
mod preview;
mod requests;
mod response;
mod rules;
mod session;
mod settles;
mod shown;
mod switch;
mod task;
mod task_state;
mod tool;
mod transform;
mod types;
mod unlisted;
mod unlisted_composites;
mod uploads;
mod values;
mod verdict;

pub(super) use document::lower;

use std::ops::Range;

use crate::{diagnostic::Diagnostic, model::AuthScheme, source::SourceText, yaml::YamlNode};

/// Lowers a block that is like `backend.auth` and stands in another file.
pub(super) fn lower_auth(
    node: &YamlNode<'_>,
    key: &Range<usize>,
) -> (Option<AuthScheme>, Vec<Diagnostic>) {
    // What is written for a part of a text is shown for the whole of it.
    let source = SourceText::new(String::new(), String::new());
    let mut context = context::LowerContext::new(&source, node);
    // Nobody else reads that file.
    context.features = vec!["refresh_token_rotation"];
    let auth = auth::lower_at(node, key, context::MappingPlace::Key("auth"), &mut context);
    (auth, context.findings)
}

#[cfg(test)]
mod tests;
