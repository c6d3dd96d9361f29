//! `_dadl_mcp` at the top of the file: what dadl-mcp understands beyond DADL.
//!
//! Other programs ignore keys that begin with `_`; `docs/extensions.md` describes this one.

use http::{HeaderName, HeaderValue};

use super::{
    auth_rules,
    context::{LowerContext, YamlSection},
    effects, entries, events, fit, named, preview, requests, rules, settles, shown, switch, task,
    unlisted, unlisted_composites,
};
use crate::{code, model::Descriptor};

const KEY: &str = "_dadl_mcp";

const KEYS: &[&str] = &[
    "auth",
    "base_path",
    "choices",
    "effects",
    "entries",
    "errors",
    "events",
    "enforced",
    "filters",
    "fit",
    "keywords",
    "members",
    "omit_false",
    "preview",
    "private",
    "rate_limit",
    "requests",
    "settles",
    "shown",
    "switch",
    "tasks",
    "unlisted_composites",
    "unlisted_params",
    "uploads",
    "values",
];

/// Reads the extension into `descriptor`; `backend` is the section that the rest of it is from, and
/// `headers` are those that every request has.
pub(super) fn lower<'tree>(
    top: &YamlSection<'tree>,
    backend: &YamlSection<'tree>,
    headers: &[(HeaderName, HeaderValue)],
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(extension) = context.subsection(top, KEY, KEYS) else { return };
    context.is_extension = true;
    if let Some(path) = rules::base_path(&extension, context) {
        descriptor.base_path = Some(path);
    }
    descriptor.auth_rules = auth_rules::lower(&extension, headers, descriptor, context);
    requests::lower(&extension, descriptor, context);
    descriptor.unlisted_params = unlisted::lower(&extension, descriptor, context);
    rules::lower(&extension, descriptor, context);
    descriptor.switch = switch::lower(&extension, descriptor, context);
    descriptor.events = events::lower(&extension, descriptor, context);
    super::uploads::lower(&extension, descriptor, context);
    super::values::lower(&extension, descriptor, context);
    super::filters::lower(&extension, descriptor, context);
    descriptor.tasks = task::lower(&extension, backend, &descriptor.tools, context);
    descriptor.settles = settles::lower(&extension, backend, &descriptor.tools, context);
    let names = named::declared_names(backend, &["tools"]);
    let known = named::KnownTools { tools: &descriptor.tools, names };
    descriptor.entries = entries::lower(&extension, &known, context);
    lower_private(&extension, descriptor, context);
    effects::lower(&extension, descriptor, context);
    shown::lower(&extension, descriptor, context);
    descriptor.previews = preview::lower(&extension, descriptor, context);
    unlisted_composites::lower(&extension, descriptor, context);
    descriptor.fit = fit::lower(&extension, descriptor, context);
    super::keywords::lower(&extension, descriptor, context);
    context.is_extension = false;
}

/// Reads the names of tools whose answers go to a private file and to nobody.
fn lower_private<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    for text in context.texts(extension, "private") {
        if let Some(tool) = descriptor.tools.iter_mut().find(|tool| tool.name == text.value) {
            tool.response.is_private = true;
            continue;
        }
        let names = descriptor.tools.iter().map(|tool| tool.name.as_str());
        let meant = context.nearest_tool(text.value, names);
        let message = format!("there is no tool `{}`", text.value);
        // Whoever misspells it shows what nobody may see.
        context.error(code::UNKNOWN_TOOL, &text.span, message).meant(meant);
    }
}
