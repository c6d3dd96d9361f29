//! `switch` of `_dadl_mcp`: how an API is told what comes through MCP, and how its administrator
//! turns that off.

use http::{HeaderName, HeaderValue};

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    params::{HeaderNameError, header_name},
    rules::{lower_conditions, one_or_more},
};
use crate::{
    code,
    diagnostic::RuleCode,
    model::{
        AccessLevel, Descriptor, Param, ParamLocation, Shared, Tool,
        switch::{McpSwitch, OffAnswers, SwitchState},
    },
    yaml::YamlValue,
};

const KEYS: &[&str] = &["headers", "off", "state"];
const OFF_KEYS: &[&str] = &["status", "when"];
const STATE_KEYS: &[&str] = &["on", "tool"];

/// Fields with a meaning of their own, which would be lost.
const MEANINGFUL: &[&str] = &[
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-type",
    "expect",
    "if-range",
    "last-event-id",
    "range",
    "te",
    "trailer",
    "upgrade",
];

/// Lowers `switch`; the tools are known.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<McpSwitch> {
    let section = context.subsection(extension, "switch", KEYS)?;
    let headers = lower_headers(&section, descriptor, context);
    let off = lower_off(&section, context);
    let state = lower_state(&section, descriptor, context);
    if headers.is_empty() {
        let span = section.entry("headers").map_or(&section.span, |entry| &entry.key_span).clone();
        // Fields that cannot be set have findings of their own.
        let has_some =
            section.entry("headers").is_some_and(|entry| !entry.value.entries().is_empty());
        if !has_some {
            context
                .error(code::SWITCH, &span, "nothing tells the API which calls come through MCP")
                .help("write the header fields that it asks for: `headers: { X-Client: mcp }`");
        }
        return None;
    }
    Some(McpSwitch { headers, off, state })
}

fn lower_headers<'tree>(
    section: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::new();
    let Some(entry) = section.entry("headers") else { return fields };
    let place = MappingPlace::Key("headers");
    let Some(section) = context.open(&entry.value, &entry.key_span, place) else { return fields };
    for entry in section.entries() {
        let what = format_args!("the header `{}`", entry.key);
        let Some(text) = context.node_text(&entry.value, what) else { continue };
        let name = mark_header(&entry.key, descriptor);
        let value = HeaderValue::from_str(text.value).ok().filter(|_| {
            let is_plain = text.value.is_ascii() && !text.value.trim().is_empty();
            is_plain && text.value.trim() == text.value
        });
        match (name, value) {
            (Ok(name), Some(value)) => fields.push((name, value)),
            (Err(error), _) => {
                context
                    .error(code::SWITCH, &entry.key_span, error.to_string())
                    .label("it would not tell the API what it should")
                    .help("take a field that nothing else has");
            }
            (Ok(_), None) => {
                let message = format!("this cannot be the value of the header `{}`", entry.key);
                context.error(code::SWITCH, &text.span, message);
            }
        }
    }
    fields
}

/// Why a header field cannot tell the API where calls come from. The author's fault.
#[derive(Debug, thiserror::Error)]
enum MarkError<'name> {
    /// It has a meaning of its own.
    #[error("the header `{0}` means something else")]
    Meaningful(&'name str),
    /// No descriptor may set it.
    #[error("{0}")]
    Name(HeaderNameError<'name>),
    /// Something else sets it.
    #[error("the header `{name}` is set by {by} too")]
    Taken { name: &'name str, by: String },
}

/// Returns the name of a field that nothing else has.
fn mark_header<'name>(
    name: &'name str,
    descriptor: &Descriptor,
) -> Result<HeaderName, MarkError<'name>> {
    let field = header_name(name, Some(&descriptor.auth)).map_err(MarkError::Name)?;
    if MEANINGFUL.contains(&field.as_str()) {
        return Err(MarkError::Meaningful(name));
    }
    match occupied_by(&field, descriptor) {
        Some(by) => Err(MarkError::Taken { name, by }),
        None => Ok(field),
    }
}

/// Returns what else sets a header field, for people: a model's argument, or the descriptor.
fn occupied_by(name: &HeaderName, descriptor: &Descriptor) -> Option<String> {
    if descriptor.auth_rules.logins.values().any(|login| login.uses_header(name)) {
        return Some("a login".to_owned());
    }
    let is_it = |param: &Shared<Param>| {
        param.is_in(ParamLocation::Header) && param.name.eq_ignore_ascii_case(name.as_str())
    };
    let sets = |tool: &Tool| {
        tool.headers.iter().any(|(field, _)| field == name)
            || tool.idempotency.as_deref() == Some(name)
            || tool.params.iter().any(is_it)
    };
    let checks = descriptor.health.iter().map(|health| &health.tool);
    let tool = descriptor.tools.iter().chain(checks).find(|tool| sets(tool))?;
    Some(format!("the tool `{}`", tool.name))
}

fn lower_off<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<OffAnswers> {
    let off = context.subsection(section, "off", OFF_KEYS)?;
    for key in OFF_KEYS {
        if off.entry(key).is_none() {
            context.report_missing(&off, key);
        }
    }
    let mut statuses = Vec::new();
    for node in one_or_more(&off, "status") {
        let status = match &node.value {
            YamlValue::Number(number, _) => number.as_u64(),
            _ => None,
        };
        match status.and_then(|status| u16::try_from(status).ok()) {
            // 401 is about the credential.
            Some(status @ 400..=599) if status != 401 => statuses.push(status),
            _ => {
                context
                    .error(code::SWITCH_OFF, &node.span, "this is no 4xx or 5xx status besides 401")
                    .help("write a status such as 503, or a list of them");
            }
        }
    }
    let when = lower_conditions(&off, "when", context);
    if let (true, Some(entry)) = (when.is_empty(), off.entry("when")) {
        let is_list = matches!(&entry.value.value, YamlValue::Sequence(items) if items.is_empty());
        if is_list {
            context
                .error(code::SWITCH_OFF, &entry.key_span, "`when` has no condition")
                .label("an outage would look the same")
                .help("write a condition on the body, such as `$.code == \"mcp_disabled\"`");
        }
    }
    (!statuses.is_empty() && !when.is_empty()).then_some(OffAnswers { statuses, when })
}

fn lower_state<'tree>(
    section: &YamlSection<'tree>,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) -> Option<SwitchState> {
    let state = context.subsection(section, "state", STATE_KEYS)?;
    let name = context.required_text(&state, "tool")?;
    let on = lower_conditions(&state, "on", context).into_iter().next();
    let tool = asked_tool(&name, &descriptor.tools, code::SWITCH_STATE, context)?;
    Some(SwitchState { tool: tool.name.clone(), on })
}

/// Finds a tool that says something about the server: it only reads, and needs no argument.
pub(super) fn asked_tool<'tools, 'tree>(
    name: &YamlText<'tree>,
    tools: &'tools [Tool],
    code: RuleCode,
    context: &mut LowerContext<'tree>,
) -> Option<&'tools Tool> {
    let Some(tool) = tools.iter().find(|tool| tool.name == name.value) else {
        let names = tools.iter().map(|tool| tool.name.as_str());
        let meant = context.nearest_tool(name.value, names);
        let message = format!("the file has no tool `{}`", name.value);
        context.error(code, &name.span, message).meant(meant);
        return None;
    };
    let required = tool.params.iter().find(|param| param.is_needed());
    let (message, help) = if !tool.only_reads() || tool.access != Some(AccessLevel::Read) {
        (format!("the tool `{}` may change something", tool.name), "name one with `access: read`")
    } else if tool.response.binary || tool.response.is_stream() {
        (format!("the answer of the tool `{}` is no JSON", tool.name), "name another tool")
    } else if let Some(param) = required {
        let message = format!("the tool `{}` requires `{}`", tool.name, param.name);
        (message, "name a tool without required parameters")
    } else {
        return Some(tool);
    };
    context.error(code, &name.span, message).help(help.to_owned());
    None
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, source::SourceText};

    fn loaded(switch: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  switch: {switch}\nbackend:\n  \
             name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: apikey, credential: key, header_name: X-Key}}\n  \
             defaults: {{headers: {{X-Client: dadl-mcp}}}}\n  tools:\n    \
             status: {{method: GET, path: /status, access: read, description: S.}}\n    \
             get: {{method: GET, path: \"/things/{{id}}\", access: read, description: G., params: {{\
             id: {{type: string, in: path, required: true}}, \
             X-Who: {{type: string, in: header}}}}}}\n    \
             make: {{method: POST, path: /things, access: write, description: M.}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn findings(switch: &str) -> Vec<String> {
        let found = loaded(switch).diagnostics;
        found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect()
    }

    #[test]
    fn a_switch_is_read() {
        let loaded = loaded(
            "{headers: {X-Door: mcp}, off: {status: [403, 503], when: $.off}, \
             state: {tool: status, on: $.enabled}}",
        );
        assert_eq!(loaded.diagnostics, []);
        let switch = loaded.descriptor.unwrap().switch.unwrap();
        assert_eq!(switch.fields(), "x-door: mcp");
        let off = switch.off.unwrap();
        assert!(off.may_be(403) && off.may_be(503) && !off.may_be(500));
        assert!(off.says(br#"{"off": true}"#) && !off.says(br#"{"off": false}"#));
        assert_eq!(switch.state.unwrap().tool, "status");
    }

    #[test]
    fn what_would_not_reach_the_api_is_found() {
        let nothing = "D765 nothing tells the API which calls come through MCP";
        for (switch, expected) in [
            ("{}", nothing),
            ("{headers: {}}", nothing),
            ("{headers: {X-Key: mcp}}", "D765 the header `X-Key` carries the credential"),
            ("{headers: {Cookie: mcp}}", "D765 the header `Cookie` is set by the program only"),
            ("{headers: {Range: mcp}}", "D765 the header `Range` means something else"),
            (
                "{headers: {x-client: mcp}}",
                "D765 the header `x-client` is set by the tool `status` too",
            ),
            ("{headers: {x-who: mcp}}", "D765 the header `x-who` is set by the tool `get` too"),
            ("{headers: {X-Door: \"\"}}", "D765 this cannot be the value of the header `X-Door`"),
        ] {
            assert_eq!(findings(switch), [expected], "{switch}");
        }
    }

    #[test]
    fn what_says_nothing_clearly_is_found() {
        for (rest, expected) in [
            ("off: {status: 503}", "D009 `off` has no `when`"),
            ("off: {when: $.off}", "D009 `off` has no `status`"),
            ("off: {status: 200, when: $.off}", "D766 this is no 4xx or 5xx status besides 401"),
            ("off: {status: 401, when: $.off}", "D766 this is no 4xx or 5xx status besides 401"),
            ("off: {status: 503, when: []}", "D766 `when` has no condition"),
            ("off: {status: 503, when: off}", "D401 `when` is not a condition"),
            ("state: {on: $.enabled}", "D009 `state` has no `tool`"),
            ("state: {tool: statos}", "D767 the file has no tool `statos`"),
            ("state: {tool: get}", "D767 the tool `get` requires `id`"),
            ("state: {tool: make}", "D767 the tool `make` may change something"),
        ] {
            assert_eq!(
                findings(&format!("{{headers: {{X-Door: mcp}}, {rest}}}")),
                [expected],
                "{rest}"
            );
        }
    }
}
