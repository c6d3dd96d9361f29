//! `type: jsonrpc`: tools that are methods of a JSON-RPC 2.0 API, all at one path.
//!
//! This is an extension of ours (`docs/extensions.md`). DADL knows the type `rest` alone and has
//! its consumers refuse others, so that no program takes such a file for what it is not.

use std::sync::Arc;

use super::context::{LowerContext, YamlSection};
use crate::{
    code,
    model::{RpcMethod, template::PathTemplate},
    yaml::{YamlEntry, YamlValue},
};

const KEYS: &[&str] = &["path", "errors"];

/// Keys of a tool that say how a request of another kind is made.
const FOREIGN_TOOL_KEYS: &[(&str, &str)] = &[
    ("method", "requests are POSTs; `rpc_method` names the method"),
    ("path", "all tools have the path of `jsonrpc`"),
    ("content_type", "requests are JSON"),
    ("pagination", "pages are asked for in a query, which these requests do not have"),
];

/// Longer names are none.
const LONGEST_NAME: usize = 200;

/// The method of JSON-RPC servers that says which methods there are.
const LIST_METHODS: &str = "system.listMethods";

/// What all methods of an API share.
pub(super) struct JsonRpcShared {
    /// Where requests go.
    path: Option<PathTemplate>,
    codes: Arc<[(i64, String)]>,
    lists_methods: Option<Arc<str>>,
}

/// Reads the type of the backend and, when it is JSON-RPC, what its tools share.
pub(super) fn lower<'tree>(
    backend: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<JsonRpcShared> {
    let kind = context.required_text(backend, "type");
    let is_rpc = kind.and_then(|text| {
        context.choice(&text, "backend type", &[("rest", false), ("jsonrpc", true)])
    });
    if is_rpc != Some(true) {
        if let (Some(false), Some(entry)) = (is_rpc, backend.entry("jsonrpc")) {
            context
                .error(code::JSONRPC, &entry.key_span, "`jsonrpc` is about a backend of that type")
                .help("write `type: jsonrpc`, or remove the section");
        }
        return None;
    }
    for key in ["pagination", "content_type"] {
        let defaults = backend.entry("defaults").map(|entry| entry.value.entries());
        let found = defaults.unwrap_or_default().iter().find(|entry| entry.key == key);
        if let Some(entry) = found {
            report_foreign_key(entry, "`defaults`", "remove it", context);
        }
    }
    let lists_methods = lists_methods(backend);
    let nothing = JsonRpcShared { path: None, codes: Arc::default(), lists_methods: None };
    if backend.entry("jsonrpc").is_none() {
        context
            .error(code::JSONRPC, &backend.span, "nothing says where JSON-RPC requests go")
            .help("write `jsonrpc: { path: /api/v1 }` beside `type`");
        return Some(nothing);
    }
    let Some(section) = context.subsection(backend, "jsonrpc", KEYS) else {
        return Some(nothing);
    };
    let path = lower_path(&section, context);
    let codes = lower_codes(&section, context).into();
    Some(JsonRpcShared { path, codes, lists_methods })
}

fn lower_path<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<PathTemplate> {
    let text = context.required_text(section, "path")?;
    let template = context.compile_template(&text, Some("/api/v1"))?;
    if let Some(name) = template.placeholders().next() {
        let message = format!("the path of all requests has the placeholder `{{{name}}}`");
        context
            .error(code::JSONRPC, &text.span, message)
            .help("arguments are members of `params`; write the path without placeholders");
        return None;
    }
    Some(template)
}

/// Reads the semantic codes by error code (JSON-RPC 2.0, section 5.1).
fn lower_codes<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<(i64, String)> {
    let Some(entry) = section.entry("errors") else { return Vec::new() };
    let place = super::context::MappingPlace::Key("errors");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else {
        return Vec::new();
    };
    let mut codes = Vec::new();
    for entry in section.entries() {
        // Decided by the program: a caller has to be told what it means.
        let number = entry.key.parse::<i64>().ok().filter(|number| *number != -32601);
        let Some(number) = number else {
            let message = format!("`{}` is not a code that can be named", entry.key);
            context
                .error(code::RPC_CODE, &entry.key_span, message)
                .help("write the number of an error, such as `1: not_found`; -32601 has a name");
            continue;
        };
        if let Some(text) = context.node_text(&entry.value, "a semantic code") {
            codes.push((number, text.value.to_owned()));
        }
    }
    codes
}

/// Returns the name of the tool that says which methods the server has.
fn lists_methods(backend: &YamlSection<'_>) -> Option<Arc<str>> {
    let tools = backend.entry("tools")?.value.entries();
    let is_it = |tool: &&YamlEntry<'_>| {
        let method = tool.value.entries().iter().find(|entry| entry.key == "rpc_method");
        matches!(method.map(|entry| &entry.value.value), Some(YamlValue::String(text)) if text == LIST_METHODS)
    };
    tools.iter().find(is_it).map(|tool| Arc::from(tool.key.as_ref()))
}

/// Reports a key that says how a request of another kind is made.
pub(super) fn report_foreign_key<'tree>(
    entry: &YamlEntry<'tree>,
    place: &str,
    help: &str,
    context: &mut LowerContext<'tree>,
) {
    let message = format!("`{}` has no meaning in {place} of a JSON-RPC backend", entry.key);
    context.error(code::RPC_KEY, &entry.key_span, message).help(help);
}

impl JsonRpcShared {
    /// Returns the method that a tool is, and where its requests go.
    pub(super) fn lower_method<'tree>(
        &self,
        tool: &YamlSection<'tree>,
        context: &mut LowerContext<'tree>,
    ) -> Option<RpcMethod> {
        for (key, help) in FOREIGN_TOOL_KEYS {
            if let Some(entry) = tool.entry(key) {
                report_foreign_key(entry, &tool.place.to_string(), help, context);
            }
        }
        let method = lower_name(tool, context)?;
        Some(RpcMethod {
            path: self.path.clone()?,
            method,
            codes: Arc::clone(&self.codes),
            lists_methods: self.lists_methods.clone(),
        })
    }
}

/// Reads the name of a method.
fn lower_name<'tree>(
    tool: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let has_value = |entry: &&YamlEntry<'_>| !matches!(entry.value.value, YamlValue::Null);
    if tool.entry("rpc_method").filter(has_value).is_none() {
        let message = format!("{} does not say which method it calls", tool.place);
        context
            .error(code::RPC_METHOD, &tool.span, message)
            .label("`rpc_method` is required")
            .help("write `rpc_method: backup.listVmBackups`, as the API has it");
        return None;
    }
    let text = context.text(tool, "rpc_method")?;
    let is_odd = |other: char| other.is_whitespace() || other.is_control();
    if text.value.is_empty() || text.value.len() > LONGEST_NAME || text.value.contains(is_odd) {
        context
            .error(code::RPC_METHOD, &text.span, "this is not the name of a method")
            .help(format!("write a name without spaces, of up to {LONGEST_NAME} bytes"));
        return None;
    }
    Some(text.value.to_owned())
}

/// Reports the name of a method where requests have none.
pub(super) fn refuse_name<'tree>(tool: &YamlSection<'tree>, context: &mut LowerContext<'tree>) {
    let Some(entry) = tool.entry("rpc_method") else { return };
    context
        .error(
            code::REST_RPC,
            &entry.key_span,
            "`rpc_method` is for backends of the type `jsonrpc`",
        )
        .label("the backend's type is `rest`")
        .help("write `method` and `path`, or `type: jsonrpc` for the backend");
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, source::SourceText};

    fn loaded(backend: &str, tool: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: example\n  \
             description: An example.\n  auth: {{type: bearer, credential: none}}\n{backend}  tools:\n    \
             list: {{rpc_method: system.listMethods, access: read, description: L.}}\n    t: {tool}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn codes(backend: &str, tool: &str) -> Vec<&'static str> {
        loaded(backend, tool).diagnostics.iter().map(|finding| finding.code.0).collect()
    }

    const RPC: &str = "  type: jsonrpc\n  jsonrpc: {path: /api/v1, errors: {1: not_found}}\n";
    const TOOL: &str =
        "{rpc_method: a.b, access: read, description: D., params: {x: {type: string}}}";

    #[test]
    fn a_method_has_the_path_of_all() {
        let loaded = loaded(RPC, TOOL);
        assert_eq!(loaded.diagnostics, []);
        let descriptor = loaded.descriptor.unwrap();
        let tool = &descriptor.tools[1];
        let rpc = tool.rpc().unwrap();
        assert_eq!((rpc.method.as_str(), rpc.path.as_str()), ("a.b", "/api/v1"));
        assert_eq!(tool.line(), "POST /api/v1 a.b");
        assert_eq!(rpc.codes.as_ref(), [(1, "not_found".to_owned())]);
        assert_eq!(rpc.lists_methods.as_deref(), Some("list"));
        assert!(tool.only_reads());
    }

    #[test]
    fn what_belongs_to_rest_is_refused() {
        let tool = |more: &str| TOOL.replace("access", &format!("{more}, access"));
        for key in ["method: POST", "path: /x", "content_type: a/b", "pagination: none"] {
            assert_eq!(codes(RPC, &tool(key)), ["D752"], "{key}");
        }
        for param in ["{type: string, in: query}", "{type: string, in: path}", "{type: file_url}"] {
            let tool = TOOL.replace("{type: string}", param);
            assert_eq!(codes(RPC, &tool), ["D754"], "{param}");
        }
        assert!(codes(RPC, &TOOL.replace("string}", "string, in: body}")).is_empty());
        for defaults in ["pagination: {strategy: page}", "content_type: a/b"] {
            let backend = format!("{RPC}  defaults: {{{defaults}}}\n");
            assert!(codes(&backend, TOOL).contains(&"D752"), "{defaults}");
        }
        let health = format!("{RPC}  health: {{path: /ping}}\n");
        assert_eq!(codes(&health, TOOL), ["D752"]);
        let health = format!("{RPC}  health: {{tool: list}}\n");
        assert!(codes(&health, TOOL).is_empty());
    }

    #[test]
    fn names_codes_and_the_section_are_checked() {
        for name in ["''", "a b", "null"] {
            let tool = TOOL.replace("a.b", name);
            assert_eq!(codes(RPC, &tool), ["D751"], "{name}");
        }
        assert_eq!(codes(RPC, "{access: read, description: D.}"), ["D751"]);
        assert_eq!(codes("  type: jsonrpc\n", TOOL), ["D750"]);
        assert_eq!(codes("  type: jsonrpc\n  jsonrpc: {path: '/x/{id}'}\n", TOOL), ["D750"]);
        assert_eq!(codes("  type: jsonrpc\n  jsonrpc: {errors: {1: a}}\n", TOOL), ["D009"]);
        for code in ["x", "-32601", "1.5"] {
            let backend = RPC.replace("1: not_found", &format!("'{code}': a"));
            assert_eq!(codes(&backend, TOOL), ["D755"], "{code}");
        }
        let rest = "{method: GET, path: /x, access: read, description: D.}";
        let found = codes("  type: rest\n  jsonrpc: {path: /x}\n", rest);
        assert!(found.contains(&"D750") && found.contains(&"D753"), "{found:?}");
        assert_eq!(codes("  type: grpc\n", rest)[0], "D010");
    }
}
