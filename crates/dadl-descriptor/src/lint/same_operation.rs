//! Two tools that send the same request.

use std::collections::HashMap;

use dadl_text::names::path::path_placeholders;

use super::{LintContext, tool::ToolView};
use crate::{
    code,
    diagnostic::Severity,
    yaml::{YamlEntry, YamlNode},
};

/// So many placeholders of a path are renamed; more have no meaning.
const MAX_PLACEHOLDERS: usize = 64;

/// What tells two requests apart. Two tools of one path are right when their answers are read
/// differently, their bodies are written differently, or a default chooses another operation.
#[derive(PartialEq, Eq, Hash)]
struct RequestIdentity<'tree> {
    method: &'tree str,
    /// Or the name of a JSON-RPC method.
    path: String,
    content_type: Option<&'tree str>,
    /// The tool's own `response` as JSON; the default is that of all the others.
    response: String,
    /// Place, name, type and default of each parameter; those of the path by their number.
    params: Vec<(String, String, String, String)>,
}

/// Reports each tool that repeats an earlier one.
pub(super) fn check(tools: &[ToolView<'_>], lint: &mut LintContext<'_>) {
    let mut seen: HashMap<RequestIdentity<'_>, &str> = HashMap::new();
    for tool in tools {
        let is_rpc = tool.rpc_method.is_some();
        if !is_rpc && (tool.method.is_empty() || tool.path.is_empty()) {
            continue;
        }
        let Some(other) = seen.insert(request_identity(tool), tool.name) else { continue };
        let request = match tool.rpc_method {
            Some(method) => method.to_owned(),
            None => format!("{} {}", tool.method, tool.path),
        };
        let message = format!("`{}` sends the same request as `{other}`: {request}", tool.name);
        let (same, wrong) = match is_rpc {
            true => ("same method and parameters", "method"),
            false => ("same method, path and parameters", "path"),
        };
        let help = format!(
            "correct the {wrong}, or remove one of the two: a model cannot choose between them"
        );
        lint.report(Severity::Warning, code::SAME_OPERATION, tool.path_span, message)
            .label(same)
            .help(help);
    }
}

fn request_identity<'tree>(tool: &ToolView<'tree>) -> RequestIdentity<'tree> {
    let mut path = tool.rpc_method.unwrap_or(tool.path).to_owned();
    let mut renamed: Vec<(String, String)> = Vec::new();
    for (number, name) in placeholder_names(tool.path).into_iter().enumerate() {
        path = path.replace(&format!("{{{name}}}"), &format!("{{{number}}}"));
        renamed.push((name.to_owned(), format!("{{{number}}}")));
    }
    let mut params: Vec<_> = tool
        .params
        .iter()
        .map(|param: &YamlEntry<'_>| {
            let text = |key: &str| param.value.get(key).map(node_json).unwrap_or_default();
            let known = renamed.iter().find(|(name, _)| *name == param.key);
            let name = known.map_or_else(|| param.key.to_string(), |(_, number)| number.clone());
            (text("in"), name, text("type"), text("default"))
        })
        .collect();
    params.sort();
    RequestIdentity {
        method: tool.method,
        path,
        content_type: tool.content_type,
        response: tool.own_response.map(node_json).unwrap_or_default(),
        params,
    }
}

/// A value in one form, to be compared; long ones are written nowhere.
fn node_json(node: &YamlNode<'_>) -> String {
    node.to_json().to_string()
}

/// Returns the names between braces, each once.
fn placeholder_names(path: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in path_placeholders(path).take(MAX_PLACEHOLDERS) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
