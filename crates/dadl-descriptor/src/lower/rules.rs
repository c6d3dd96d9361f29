//! The parts of `_dadl_mcp` that say how requests and answers of all tools are: `base_path`, `errors`,
//! `rate_limit` and `omit_false`.

use std::sync::Arc;

use super::{
    context::{LowerContext, MappingPlace, YamlSection, YamlText},
    errors,
};
use crate::{
    code,
    model::{
        Descriptor, ErrorHint, ErrorRules, ParamKind, ParamLocation, RequestRate, Shared, Tool,
        condition::AnswerCondition, json_path::JsonPath,
    },
    yaml::{YamlNode, YamlValue},
};

/// No API counts requests over a longer time than a day.
const LONGEST_PERIOD: u64 = 24 * 3600;

/// Reads these parts into the tools of `descriptor`.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    error_rules(extension, descriptor, context);
    descriptor.pace = lower_pace(extension, context);
    omit_false(extension, descriptor, context);
    lower_enforced(extension, descriptor, context);
}

/// Reads the path in which base URLs of the API end.
pub(super) fn base_path<'tree>(
    extension: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<String> {
    let text = context.text(extension, "base_path")?;
    let path = text.value.strip_prefix('/').unwrap_or_default();
    let is_segment = |segment: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@".contains(c);
        !matches!(segment, "" | "." | "..") && segment.chars().all(fits)
    };
    if path.split('/').all(is_segment) {
        return Some(text.value.to_owned());
    }
    context
        .error(code::BASE_URL, &text.span, "`base_path` is no path of a base URL")
        .help("write a path such as `/rest/v0`, without a slash at its end");
    None
}

/// Reads a condition or a list of them.
pub(super) fn lower_conditions<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
    context: &mut LowerContext<'tree>,
) -> Vec<AnswerCondition> {
    let mut conditions = Vec::new();
    for node in one_or_more(section, key) {
        let Some(text) = context.node_text(node, format_args!("`{key}`")) else { continue };
        match AnswerCondition::compile(text.value) {
            Ok(condition) => conditions.push(condition),
            Err(error) => {
                context
                    .error(code::JSON_PATH, &text.span, format!("`{key}` is not a condition"))
                    .label(error.to_string())
                    .help("write a path, or a comparison such as `$.status == \"FAILURE\"`");
            }
        }
    }
    conditions
}

/// Returns the value of a key that may be a list of values.
pub(super) fn one_or_more<'tree>(
    section: &YamlSection<'tree>,
    key: &str,
) -> &'tree [YamlNode<'tree>] {
    match section.entry(key).map(|entry| &entry.value) {
        None => &[],
        Some(YamlNode { value: YamlValue::Sequence(items), .. }) => items,
        Some(node) => std::slice::from_ref(node),
    }
}

fn all_tools(descriptor: &mut Descriptor) -> impl Iterator<Item = &mut Tool> {
    let check = descriptor.health.iter_mut().map(|health| &mut health.tool);
    descriptor.tools.iter_mut().chain(check)
}

fn error_rules<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(section) =
        context.subsection(extension, "errors", &["failed", "hints", "message", "results"])
    else {
        return;
    };
    let messages: Vec<JsonPath> = match section.entry("message").map(|entry| &entry.value.value) {
        Some(YamlValue::Sequence(_)) => context.json_paths(&section, "message"),
        _ => context.json_path(&section, "message").into_iter().collect(),
    };
    let failed = lower_conditions(&section, "failed", context);
    let results = lower_conditions(&section, "results", context);
    let hints: Arc<[ErrorHint]> = lower_hints(&section, context).into();
    if section.entries().is_empty() {
        context
            .warning(code::ERROR_RULES, &section.span, "`errors` says nothing")
            .help("write where messages are, or remove it");
    }
    // Most tools have the rules of the defaults in common, and then these as well.
    let mut last: Option<[Shared<ErrorRules>; 2]> = None;
    for tool in all_tools(descriptor) {
        if let Some([before, after]) = &last
            && tool.errors.is_same(before)
        {
            tool.errors = after.clone();
            continue;
        }
        let before = tool.errors.clone();
        let rules = &mut *tool.errors;
        rules.messages.clone_from(&messages);
        rules.failed.clone_from(&failed);
        rules.results.clone_from(&results);
        rules.hints = Arc::clone(&hints);
        last = Some([before, tool.errors.clone()]);
    }
}

/// Reads what to do about errors that say more than their status.
fn lower_hints<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<ErrorHint> {
    let mut hints = Vec::new();
    for node in context.items(section, "hints") {
        let keys = &["code", "hint", "says", "status", "when"];
        let place = MappingPlace::Only("an item of `hints`");
        let Some(item) = context.section(node, &node.span, place, keys) else { continue };
        let statuses = errors::statuses_of(one_or_more(&item, "status"), "status", context);
        let statuses = statuses.into_iter().map(|(status, _)| status).collect();
        let when = lower_conditions(&item, "when", context);
        let says = one_or_more(&item, "says").iter();
        let says: Vec<YamlText<'tree>> = says
            .filter_map(|node| context.node_text(node, "`says`"))
            .filter(|text| !text.value.is_empty())
            .collect();
        if item.entry("when").is_none() && says.is_empty() {
            let message = "this hint is for every error of its status";
            context
                .warning(code::ERROR_RULES, &node.span, message)
                .help("add `says` with a part of the message, or `when` with a condition");
        }
        let Some(hint) = context.required_text(&item, "hint") else { continue };
        let (hint, says) = (hint.value.to_owned(), says.iter().map(|it| it.value.to_owned()));
        let code = context.text(&item, "code").map(|code| code.value.to_owned());
        hints.push(ErrorHint { statuses, when, says: says.collect(), hint, code });
    }
    hints
}

fn lower_pace<'tree>(
    extension: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<RequestRate> {
    let section = context.subsection(extension, "rate_limit", &["per", "requests"])?;
    for key in ["requests", "per"] {
        if section.entry(key).is_none() {
            context.report_missing(&section, key);
        }
    }
    let requests = context.count(&section, "requests");
    let per = context.duration(&section, "per");
    let mut refuse = |key: &str, is_fine: bool, help: &str| {
        if let (false, Some(entry)) = (is_fine, section.entry(key)) {
            let message = format!("`{key}` of a rate limit is out of range");
            context.error(code::RATE_LIMIT, &entry.value.span, message).help(help.to_owned());
        }
        is_fine
    };
    let requests = requests.and_then(|requests| {
        let number = u32::try_from(requests).ok().filter(|number| (1..=100_000).contains(number));
        refuse("requests", number.is_some(), "write 1 to 100000").then_some(number).flatten()
    });
    let per = per.filter(|per| {
        let is_fine = !per.is_zero() && per.as_secs() <= LONGEST_PERIOD;
        refuse("per", is_fine, "write a duration up to `1d`, such as `1m`")
    });
    Some(RequestRate { requests: requests?, per: per? })
}

fn omit_false<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    for text in context.texts(extension, "omit_false") {
        let mut found = false;
        for param in all_tools(descriptor).flat_map(|tool| &mut tool.params) {
            if param.name != text.value {
                continue;
            }
            if param.kind == ParamKind::Boolean && param.is_in(ParamLocation::Query) {
                param.omit_false = true;
                found = true;
            }
        }
        if !found {
            let message = format!("no tool has a boolean parameter `{}` in its query", text.value);
            report_unknown_tool(&text, message, code::OMIT_FALSE, descriptor, context);
        }
    }
}

/// Reads the names of parameters whose `values` are checked before anything is sent.
fn lower_enforced<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    for text in context.texts(extension, "enforced") {
        let mut found = false;
        for param in all_tools(descriptor).flat_map(|tool| &mut tool.params) {
            if param.name == text.value {
                param.enforced = true;
                found = true;
            }
        }
        if !found {
            let message = format!("no tool has a parameter `{}`", text.value);
            report_unknown_tool(&text, message, code::OMIT_FALSE, descriptor, context);
        }
    }
}

fn report_unknown_tool<'tree>(
    text: &YamlText<'tree>,
    message: String,
    code: crate::diagnostic::RuleCode,
    descriptor: &Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let names = descriptor.tools.iter().flat_map(|tool| &tool.params);
    let names = names.map(|param| param.name.as_str()).filter(|name| *name != text.value);
    let meant = context.nearest(text.value, names);
    context.warning(code, &text.span, message).meant(meant);
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, model::AuthScheme, source::SourceText};

    fn loaded(extension: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp: {extension}\nbackend:\n  \
             name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: apikey, credential: key}}\n  \
             defaults: {{headers: {{X-Client: dadl-mcp}}, errors: {{message_path: $.error}}}}\n  \
             health: {{path: /status}}\n  tools:\n    \
             list: {{method: GET, path: /things, access: read, description: L., params: {{\
             full: {{type: boolean, in: query}}, name: {{type: string, in: query}}}}}}\n    \
             make: {{method: POST, path: /things, access: write, description: M., params: {{\
             full: {{type: boolean, in: body}}, name: {{type: string, in: body}}}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn findings(extension: &str) -> Vec<String> {
        let found = loaded(extension).diagnostics;
        found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect()
    }

    #[test]
    fn rules_reach_the_tools_and_the_health_check() {
        let loaded = loaded(
            "{errors: {message: [$.a, $.b], failed: $.bad}, rate_limit: {requests: 3, per: 2s}, \
             omit_false: [full]}",
        );
        assert_eq!(loaded.diagnostics, []);
        let descriptor = loaded.descriptor.unwrap();
        let pace = descriptor.pace.unwrap();
        assert_eq!((pace.requests, pace.per.as_secs()), (3, 2));
        let check = descriptor.health.as_ref().map(|health| &health.tool);
        for tool in descriptor.tools.iter().chain(check) {
            let messages: Vec<&str> =
                tool.errors.messages.iter().map(|path| path.as_str()).collect();
            assert_eq!((messages, tool.errors.failed.len()), (vec!["$.a", "$.b"], 1));
        }
        let flags: Vec<bool> =
            descriptor.tools.iter().map(|tool| tool.params[0].omit_false).collect();
        assert_eq!(flags, [true, false], "only what is in a query");
    }

    #[test]
    fn hints_fit_by_what_an_error_says() {
        let loaded = loaded(
            "{errors: {hints: [{status: [403, 409], when: $.data.missing, hint: rights}, \
             {says: [is Blocked, locked], hint: blocked}, {status: 409, when: [$.a, $.b], \
             says: no, hint: both}]}}",
        );
        assert_eq!(loaded.diagnostics, []);
        let descriptor = loaded.descriptor.unwrap();
        let rules = &descriptor.tools[0].errors;
        let hint = |status, message, body: &str| {
            rules.hint(status, message, Some(body)).map(|it| it.hint.as_str())
        };
        assert_eq!(hint(403, "no", r#"{"data":{"missing":[1]}}"#), Some("rights"));
        assert_eq!(hint(404, "no", r#"{"data":{"missing":[1]}}"#), None, "another status");
        assert_eq!(hint(403, "no", r#"{"data":{"missing":[]}}"#), None, "nothing is there");
        assert_eq!(hint(500, "destroy is blocked: x", "{}"), Some("blocked"), "any case");
        assert_eq!(hint(409, "No way", r#"{"b":true}"#), Some("both"));
        assert_eq!(hint(409, "other", r#"{"b":true}"#), None, "both are needed");
        assert!(rules.hint(409, "no", None).is_none(), "no JSON holds no condition");
        assert_eq!(rules.hint(409, "it is locked", None).unwrap().hint, "blocked");
    }

    #[test]
    fn the_path_of_base_urls_is_that_of_the_file_or_of_its_base_url() {
        let path = |extension: &str| loaded(extension).descriptor.unwrap().base_path;
        assert_eq!(path("{base_path: /rest/v0}").as_deref(), Some("/rest/v0"));
        assert_eq!(path("{omit_false: [full]}"), None);
        for bad in ["rest", "/", "/rest/", "/a//b", "/../x", "'/a?b'", "'/{a}'", "\"/a b\""] {
            let found = findings(&format!("{{base_path: {bad}}}"));
            assert_eq!(found, ["D104 `base_path` is no path of a base URL"], "{bad}");
        }
        let of = |base_url: &str| {
            let text = format!(
                "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: example\n  type: rest\n  \
                 base_url: \"{base_url}\"\n  auth: {{type: bearer, credential: t}}\n  tools:\n    list: {{method: GET, \
                 path: /things, access: read, description: L.}}\n"
            );
            load(&SourceText::new("t", text)).descriptor.unwrap().base_path
        };
        assert_eq!(of("{HOST}/api/v1/").as_deref(), Some("/api/v1"));
        assert_eq!(of("https://x.example").as_deref(), None);
        assert_eq!(of("https://x.example/{TENANT}/v1").as_deref(), None);
    }

    #[test]
    fn what_says_nothing_is_found() {
        for (extension, expected) in [
            (
                "{errors: {hints: [{status: 403, hint: h}]}}",
                "D762 this hint is for every error of its status",
            ),
            ("{errors: {hints: [{says: x}]}}", "D009 an item of `hints` has no `hint`"),
            ("{errors: {failed: no}}", "D401 `failed` is not a condition"),
            ("{rate_limit: {requests: 3}}", "D009 `rate_limit` has no `per`"),
            ("{rate_limit: {requests: 3, per: 2d}}", "D763 `per` of a rate limit is out of range"),
            ("{omit_false: [name]}", "D764 no tool has a boolean parameter `name` in its query"),
            ("{enforced: [nothing]}", "D764 no tool has a parameter `nothing`"),
        ] {
            assert_eq!(findings(extension), [expected], "{extension}");
        }
    }

    #[test]
    fn logins_are_checked_like_the_usual_one() {
        let session = "{type: session, login: {method: POST, path: /login, \
                       extract: {t: $.t}}, inject: [{header: X-Token, value: \"{{t}}\"}]}";
        let text = format!("{{auth: {{lifetime: 1h, logins: {{session: {session}}}}}}}");
        let loaded = loaded(&text);
        assert_eq!(loaded.diagnostics, []);
        let rules = loaded.descriptor.unwrap().auth_rules;
        assert_eq!(rules.lifetime.unwrap().as_secs(), 3600);
        let AuthScheme::Session(session) = &rules.logins["session"] else { panic!() };
        assert_eq!(session.login.headers[0].0, "x-client", "a login has the usual fields");
        for (auth, expected) in [
            ("{lifetime: 1h}", "D760 `lifetime` is that of a session"),
            (
                "{logins: {a b: {type: basic, username_credential: u}}}",
                "D760 `a b` is no name for a login",
            ),
            (
                "{logins: {key: {type: apikey, credential: k, header_name: X-Client}}}",
                "D760 the login `key` puts its credential into `x-client`, which `list` sets",
            ),
            ("{logins: {key: {type: password}}}", "D010 unknown authentication type `password`"),
            ("{refused: {status: 401, when: $.a}}", "D761 this is no 4xx status besides 401"),
            ("{refused: {status: 403}}", "D009 `refused` has no `when`"),
        ] {
            let found = findings(&format!("{{auth: {auth}}}"));
            assert_eq!(found, [expected], "{auth}");
        }
    }
}
