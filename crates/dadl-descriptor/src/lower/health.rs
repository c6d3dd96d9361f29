//! `health`: the request that says whether a backend is there and takes the credential (DADL 0.2,
//! section 4.6).

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::{
    context::{LowerContext, YamlSection},
    defaults::Defaults,
    jsonrpc,
    tool::unknown_tool,
};
use crate::{
    code,
    model::{
        AccessLevel, BodyKind, BodyRules, ErrorRules, HealthCheck, RequestMethod, RestOperation,
        Shared, Tool, ToolRequest,
    },
    yaml::YamlValue,
};

const KEYS: &[&str] = &[
    "tool",
    "method",
    "path",
    "expect_status",
    "expect_path",
    "auth_expires_path",
    "timeout",
    "expose",
];

/// How long a check may take when the file does not say.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Lowers `health`, after the tools: one of them may be the check.
pub(super) fn lower<'tree>(
    backend: &YamlSection<'tree>,
    name: Option<&str>,
    defaults: &Defaults<'tree>,
    tools: &[Tool],
    names: &BTreeSet<&'tree str>,
    context: &mut LowerContext<'tree>,
) -> Option<HealthCheck> {
    let section = context.subsection(backend, "health", KEYS)?;
    context.since_v02(backend, "health");
    if defaults.rpc.is_some() {
        for key in ["method", "path"] {
            if let Some(entry) = section.entry(key) {
                let help = "write `tool` and the name of a tool that only reads";
                jsonrpc::report_foreign_key(entry, "`health`", help, context);
                return None;
            }
        }
    }
    let expect_status = expect_status(&section, context);
    let expect_path = context.json_path(&section, "expect_path");
    let auth_expires_path = context.json_path(&section, "auth_expires_path");
    let timeout = context.duration(&section, "timeout").unwrap_or(TIMEOUT);
    let mut expose = context.boolean(&section, "expose").unwrap_or(true);
    if expose && names.contains(HealthCheck::NAME) {
        context
            .warning(code::HEALTH_NAME, &section.span, "a tool is called `health` already")
            .label("the check is not offered to models")
            .help("write `expose: false`, or rename the tool");
        expose = false;
    }
    let (declared, mut tool) = match section.entry("tool") {
        Some(_) => lower_declared(backend, &section, tools, names, context)?,
        None => (None, lower_inline(&section, defaults, context)?),
    };
    if tool.may_change() {
        context
            .warning(code::HEALTH_SAFE, &section.span, "the health check may change something")
            .help("use a GET, or a tool with `access: read`");
    }
    tool.name = HealthCheck::NAME.to_owned();
    tool.description = format!(
        "Whether the backend {} can be reached and takes the credential: `ok`, else `error`.",
        name.unwrap_or_default()
    );
    tool.returns = Some(Box::new(result_schema()));
    // The state of now, and not that after a while.
    tool.errors.retry.max_retries = 0;
    Some(HealthCheck {
        tool,
        declared,
        expect_status,
        expect_path,
        auth_expires_path,
        timeout,
        expose,
    })
}

fn expect_status<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<u16> {
    let status = context.count(section, "expect_status")?;
    let valid = u16::try_from(status).ok().filter(|status| (100..=599).contains(status));
    if let (None, Some(entry)) = (valid, section.entry("expect_status")) {
        let message = format!("`{status}` is not an HTTP status");
        context.error(code::STATUS, &entry.value.span, message);
    }
    valid
}

/// Makes the check out of a tool of the file: what it sends without any argument.
fn lower_declared<'tree>(
    backend: &YamlSection<'tree>,
    section: &YamlSection<'tree>,
    tools: &[Tool],
    names: &BTreeSet<&'tree str>,
    context: &mut LowerContext<'tree>,
) -> Option<(Option<String>, Tool)> {
    for key in ["method", "path"] {
        if let Some(entry) = section.entry(key) {
            context
                .error(code::HEALTH, &entry.key_span, format!("`health` has `tool` and `{key}`"))
                .label("the tool says it already")
                .help(format!("remove `{key}`, or `tool`"));
        }
    }
    let text = context.text(section, "tool")?;
    let composites = backend.entry("composites").map(|entry| &entry.value.value);
    let is_composite = matches!(composites, Some(YamlValue::Mapping(entries))
        if entries.iter().any(|entry| entry.key == text.value));
    let Some(tool) = tools.iter().find(|tool| tool.name == text.value) else {
        // A tool with errors is not among the tools, and has its own findings.
        unknown_tool(text.value, &text.span, "health.tool", names, context);
        if is_composite {
            let message = format!("`{}` is a composite, and a check is one request", text.value);
            context.error(code::HEALTH, &text.span, message).help("name a tool");
        }
        return None;
    };
    let mut tool = tool.clone();
    let body_file = matches!(tool.body(), Some(BodyKind::Raw(_)));
    if let Some(param) = tool.params.iter().find(|param| param.is_needed()) {
        let message = format!("the tool `{}` requires `{}`", tool.name, param.name);
        context
            .error(code::HEALTH_PARAMS, &text.span, message)
            .label("a check has no arguments")
            .help("name a tool without required parameters");
    } else if body_file {
        let message = format!("the tool `{}` requires a file", tool.name);
        context.error(code::HEALTH_PARAMS, &text.span, message).label("a check has no arguments");
    }
    tool.params.retain(|param| param.default.is_some());
    tool.response = Shared::default();
    if let Some(http) = tool.http_mut() {
        http.pagination = None;
    }
    tool.hints.clear();
    tool.deprecated = None;
    tool.depends_on.clear();
    Some((Some(text.value.to_owned()), tool))
}

/// Makes the check out of a method and a path.
fn lower_inline<'tree>(
    section: &YamlSection<'tree>,
    defaults: &Defaults<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Tool> {
    let methods = RequestMethod::ALL.map(|method| (method.as_str(), method));
    let method = match context.text(section, "method") {
        Some(text) => context.choice(&text, "method", &methods)?,
        None => RequestMethod::Get,
    };
    if section.entry("path").is_none() {
        context
            .error(code::HEALTH, &section.span, "`health` says nothing that can be sent")
            .help("write `tool` and the name of a tool, or `path`");
        return None;
    }
    let text = context.required_text(section, "path")?;
    let path = context.compile_template(&text, None)?;
    if let Some(placeholder) = path.placeholders().next() {
        let message = format!("the path of a health check has the placeholder `{{{placeholder}}}`");
        context.error(code::HEALTH, &text.span, message).label("a check has no arguments");
        return None;
    }
    let access = match method {
        RequestMethod::Get | RequestMethod::Head => AccessLevel::Read,
        RequestMethod::Delete => AccessLevel::Dangerous,
        RequestMethod::Patch | RequestMethod::Post | RequestMethod::Put => AccessLevel::Write,
    };
    let http = RestOperation {
        method,
        path,
        body: BodyKind::Json,
        pagination: None,
        rules: BodyRules::default(),
        accept: None,
    };
    Some(Tool {
        access: Some(access),
        headers: defaults.headers.fields.clone(),
        errors: ErrorRules { retry_on: Vec::new(), ..(*defaults.errors).clone() }.into(),
        ..Tool::new(HealthCheck::NAME.to_owned(), ToolRequest::Http(http))
    })
}

/// The shape of the result, which is the same for all backends.
fn result_schema() -> serde_json::Value {
    json!({
        "type": "object",
        "required": ["ok", "latency_ms", "checked_at"],
        "properties": {
            "ok": { "type": "boolean" },
            "http_status": { "type": "integer" },
            "error_code": { "type": "string" },
            "latency_ms": { "type": "integer" },
            "checked_at": { "type": "string", "format": "date-time" },
            "auth_expires_at": { "type": "string", "format": "date-time" },
            "error": { "type": "string" },
        },
    })
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, model::HealthCheck, source::SourceText};

    fn loaded(health: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: example\n  type: rest\n  \
             description: An example.\n  auth: {{type: bearer, credential: none}}\n  \
             health: {health}\n  tools:\n    \
             ping: {{method: GET, path: /ping, access: read, description: Pings., \
             params: {{n: {{type: integer, in: query, default: 1}}, q: {{type: string, in: query}}}}}}\n    \
             get: {{method: GET, path: '/x/{{id}}', access: read, description: R., \
             params: {{id: {{type: string, in: path}}}}}}\n    \
             put: {{method: PUT, path: /x, access: write, description: W.}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn health(text: &str) -> HealthCheck {
        let loaded = loaded(text);
        assert_eq!(loaded.diagnostics, [], "{text}");
        loaded.descriptor.unwrap().health.unwrap()
    }

    #[test]
    fn both_forms() {
        let check = health("{path: /status, expect_status: 204, timeout: 500ms, expose: false}");
        assert_eq!(check.tool.line(), "GET /status");
        assert_eq!((check.expect_status, check.timeout.as_millis()), (Some(204), 500));
        assert!(!check.expose);
        let check = health("{tool: ping, expect_path: $.ok}");
        assert_eq!(check.declared.as_deref(), Some("ping"));
        assert_eq!(check.tool.params.len(), 1, "defaults are sent, the rest is not there");
        assert_eq!(check.timeout.as_secs(), 5);
        assert!(check.expose);
    }

    #[test]
    fn what_cannot_be_checked_is_said() {
        for (health, expected) in [
            ("{tool: get}", "D505 the tool `get` requires `id`"),
            ("{tool: png}", "D501 `health.tool` names the tool `png`, which does not exist"),
            ("{tool: ping, path: /x}", "D506 `health` has `tool` and `path`"),
            ("{method: GET}", "D506 `health` says nothing that can be sent"),
            ("{path: '/x/{id}'}", "D506 the path of a health check has the placeholder `{id}`"),
            ("{path: /../x}", "D303 a path cannot contain dot segments"),
            ("{path: /x, expect_status: 99}", "D405 `99` is not an HTTP status"),
            ("{path: /x, method: POST}", "D510 the health check may change something"),
            ("{tool: put}", "D510 the health check may change something"),
            ("{path: /x, timeout: soon}", "D403 `timeout` is not a duration: `soon`"),
        ] {
            let loaded = loaded(health);
            let found = &loaded.diagnostics[0];
            assert_eq!(format!("{} {}", found.code.0, found.message), expected);
            assert_eq!(loaded.diagnostics.len(), 1);
        }
    }
}
