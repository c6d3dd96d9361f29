//! `_dadl_mcp` at the top of the file: what dadl-mcp understands beyond DADL.
//!
//! Other programs ignore keys that begin with `_`; `docs/extensions.md` describes this one.

use super::context::{Context, Section};
use crate::descriptor::{code, diagnostic::nearest, model::Descriptor};

const KEY: &str = "_dadl_mcp";

/// Reads the extension into `descriptor`.
pub(super) fn lower<'tree>(
    top: &Section<'tree>,
    descriptor: &mut Descriptor,
    context: &mut Context<'tree>,
) {
    let Some(extension) = context.subsection(top, KEY, &["unlisted_params"]) else { return };
    let params = || descriptor.tools.iter().flat_map(|tool| &tool.params);
    let mut unlisted = Vec::new();
    for text in context.texts(&extension, "unlisted_params") {
        let mut named = params().filter(|param| param.name == text.value).peekable();
        let (message, help) = if named.peek().is_none() {
            let meant = nearest(text.value, params().map(|param| param.name.as_str()));
            let message = format!("no tool has a parameter `{}`", text.value);
            (message, meant.map(|meant| format!("did you mean `{meant}`?")))
        } else if named.all(|param| param.required) {
            let message = format!("`{}` is required and cannot be unlisted", text.value);
            (message, None)
        } else {
            unlisted.push(text.value.to_owned());
            continue;
        };
        let finding = context.warning(code::UNLISTED_PARAM, &text.span, message);
        if let Some(help) = help {
            finding.help(help);
        }
    }
    descriptor.unlisted_params = unlisted;
}
