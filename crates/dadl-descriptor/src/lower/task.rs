//! `tasks` of `_dadl_mcp`: how calls begin work that goes on after their answer.
//!
//! Every tool and parameter that the block names is looked up here, so that a task which began can
//! be watched.

use std::{collections::BTreeSet, time::Duration};

use dadl_text::names::nearest_name;
use serde_json::{Map, Value as Json};

use super::{
    context::{LowerContext, MappingPlace, YamlSection, join_names},
    named::{KnownTools, declared_names, named_tool, tool_names, value_fits},
    rules::{lower_conditions, one_or_more},
    task_state::{lower_errors, lower_state, lower_steps, required_path},
    verdict,
};
use crate::{
    code,
    model::{
        BodyKind, Param, ParamKind, Shared, Tool,
        condition::AnswerCondition,
        json_path::JsonPath,
        task::{TASK, TaskCall, TaskRules, carried},
    },
    units,
    yaml::YamlValue,
};

const KEYS: &[&str] = &[
    "only",
    "except",
    "having",
    "started",
    "id",
    "watch",
    "state",
    "result",
    "error",
    "progress",
    "progress_of",
    "message",
    "steps",
    "cancel",
    "max_wait",
    "details",
    "outcome",
];

/// The waits between two looks when the file does not say.
const POLL: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

/// No look follows the one before it sooner.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// A ladder with more rungs says nothing that a shorter one does not.
const MOST_WAITS: usize = 50;

/// The longest wait for a task when the file does not say.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Lowers `tasks`; `tools` are those of the file that are well formed.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    backend: &YamlSection<'tree>,
    tools: &[Tool],
    context: &mut LowerContext<'tree>,
) -> Option<TaskRules> {
    let section = context.subsection(extension, "tasks", KEYS)?;
    let known = KnownTools { tools, names: declared_names(backend, &["tools"]) };
    let started = lower_started(&section, context);
    let id = required_path(&section, "id", context);
    let watch = lower_watch(&section, &known, context);
    let state = lower_state(&section, context);
    let CancelRules { call: cancel, stopping, stop_requested } =
        lower_cancel(&section, &known, context);
    let max_wait = max_wait(&section, watch.as_ref(), context);
    let progress_of = progress_of(&section, context);
    let result = context.json_path(&section, "result");
    let errors = lower_errors(&section, context);
    let details = context.json_path(&section, "details");
    let progress = context.json_path(&section, "progress");
    let message = context.json_path(&section, "message");
    let steps = lower_steps(&section, context);
    let starters = lower_starters(&section, &known, watch.as_ref(), cancel.as_ref(), context);
    let verdicts = verdict::lower(&section, &starters, &known, context);
    let calls = [
        ("watch", watch.as_ref().map(|watch| &watch.call)),
        ("watch", watch.as_ref().and_then(|watch| watch.blocking.as_ref())),
        ("cancel", cancel.as_ref()),
    ];
    let calls = calls.into_iter().filter_map(|(key, call)| Some((key, call?)));
    let carried = super::carried::lower(&section, calls, &starters, tools, context);
    let (statuses, when) = started?;
    let WatchRules { call: watch, blocking, poll } = watch?;
    let (state, states) = state?;
    Some(TaskRules {
        starters,
        statuses,
        when,
        id: id?,
        watch,
        blocking,
        poll,
        state,
        states,
        result,
        errors,
        details,
        verdicts,
        progress,
        progress_of,
        message,
        steps,
        cancel,
        stopping,
        stop_requested,
        carried,
        max_wait,
    })
}

/// How a task is asked to stop.
#[derive(Default)]
struct CancelRules {
    call: Option<TaskCall>,
    stopping: Option<BTreeSet<String>>,
    stop_requested: Option<JsonPath>,
}

fn lower_cancel<'tree>(
    section: &YamlSection<'tree>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> CancelRules {
    let keys = &["tool", "arguments", "only", "requested"];
    let Some(cancel) = context.subsection(section, "cancel", keys) else {
        return CancelRules::default();
    };
    let stopping = tool_names(&cancel, "only", known, context);
    let stopping = stopping.map(|names| names.into_iter().map(str::to_owned).collect());
    let stop_requested = context.json_path(&cancel, "requested");
    CancelRules { call: lower_call(&cancel, known, context), stopping, stop_requested }
}

/// Reads what shows that a task began: statuses, and conditions on the answer.
fn lower_started<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<(Vec<u16>, Vec<AnswerCondition>)> {
    if section.entry("started").is_none() {
        context.report_missing(section, "started");
    }
    let started = context.subsection(section, "started", &["status", "when"])?;
    let mut statuses = Vec::new();
    for node in one_or_more(&started, "status") {
        let status = match &node.value {
            YamlValue::Number(number, _) => number.as_u64(),
            _ => None,
        };
        match status.and_then(|status| u16::try_from(status).ok()) {
            Some(status @ 200..=299) => statuses.push(status),
            _ => {
                context
                    .error(code::STATUS, &node.span, "a task begins with a 2xx status")
                    .help("write a status such as 202, or a list of them");
            }
        }
    }
    let when = lower_conditions(&started, "when", context);
    if started.entry("status").is_none() && started.entry("when").is_none() {
        context
            .error(code::TASK_START, &started.span, "nothing shows that a task began")
            .label("every answer would be taken for one")
            .help("write `status: 202`, or `when` with a condition on the answer");
        return None;
    }
    Some((statuses, when))
}

/// How a task is watched.
struct WatchRules {
    call: TaskCall,
    blocking: Option<TaskCall>,
    poll: Vec<Duration>,
}

fn lower_watch<'tree>(
    section: &YamlSection<'tree>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> Option<WatchRules> {
    if section.entry("watch").is_none() {
        context.report_missing(section, "watch");
    }
    let keys = &["tool", "arguments", "blocking", "poll"];
    let watch = context.subsection(section, "watch", keys)?;
    let poll = lower_poll(&watch, context);
    let tool = named_tool(&watch, known, context)?;
    let call = lower_arguments(&watch, "arguments", tool, context);
    let blocking = watch.entry("blocking");
    let blocking = blocking.and_then(|_| lower_arguments(&watch, "blocking", tool, context));
    if let Some(entry) = watch.entry("tool") {
        if tool.response.binary {
            context
                .error(code::TASK_CALL, &entry.value.span, "a task cannot be watched by a download")
                .help("name a tool that answers JSON");
        }
        if tool.may_change() {
            let message = format!("`{}`, which watches tasks, may change something", tool.name);
            context
                .warning(code::TASK_SAFE, &entry.value.span, message)
                .label("it is called again and again")
                .help("name a GET, or a tool with `access: read`");
        }
    }
    Some(WatchRules { call: call?, blocking, poll })
}

fn lower_poll<'tree>(
    watch: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<Duration> {
    if watch.entry("poll").is_none() {
        return POLL.to_vec();
    }
    let items = context.items(watch, "poll");
    if let (true, Some(entry)) = (items.is_empty() || items.len() > MOST_WAITS, watch.entry("poll"))
    {
        context
            .error(code::TASK_WAIT, &entry.key_span, "`poll` has no waits, or too many")
            .help("write a list such as `[1s, 2s, 5s]`; the last one repeats");
    }
    let mut waits = Vec::new();
    for item in items.iter().take(MOST_WAITS) {
        let Some(text) = context.node_text(item, "an item of `poll`") else { continue };
        match units::parse_duration(text.value) {
            Some(wait) if wait >= SHORTEST_WAIT => waits.push(wait),
            Some(_) => {
                context
                    .error(code::TASK_WAIT, &text.span, "this wait is too short")
                    .help("wait 100ms or longer between two looks");
            }
            None => {
                let message = format!("`{}` is not a duration", text.value);
                context
                    .error(code::DURATION, &text.span, message)
                    .help("write a number and a unit, such as `500ms` or `2s`");
            }
        }
    }
    waits
}

/// Reads a call: a tool and its arguments.
fn lower_call<'tree>(
    section: &YamlSection<'tree>,
    known: &KnownTools<'tree, '_>,
    context: &mut LowerContext<'tree>,
) -> Option<TaskCall> {
    let tool = named_tool(section, known, context)?;
    lower_arguments(section, "arguments", tool, context)
}

/// Reads the arguments under `key` and holds them against the parameters of `tool`.
fn lower_arguments<'tree>(
    section: &YamlSection<'tree>,
    key: &'static str,
    tool: &Tool,
    context: &mut LowerContext<'tree>,
) -> Option<TaskCall> {
    let Some(entry) = section.entry(key) else {
        context.report_missing(section, key).help(format!("write `{key}: {{ id: \"{TASK}\" }}`"));
        return None;
    };
    let given = context.open(&entry.value, &entry.key_span, MappingPlace::Key(key))?;
    let mut arguments = Map::new();
    let (mut names_task, mut is_unknown) = (false, false);
    for argument in given.entries() {
        let name = argument.key.as_ref();
        let value = argument.value.to_json();
        let names_it = value.to_string().contains(TASK);
        names_task |= names_it;
        let is_filled = names_it || !carried::names_in(&value).is_empty();
        let Some(param) = tool.params.iter().find(|param| param.name == name) else {
            let message = format!("the tool `{}` has no parameter `{name}`", tool.name);
            let params = tool.params.iter().map(|param| param.name.as_str());
            let meant = nearest_name(name, params.clone());
            context.error(code::TASK_CALL, &argument.key_span, message).meant_or(meant, || {
                format!("it takes {}", join_names(&params.collect::<Vec<_>>()))
            });
            is_unknown = true;
            continue;
        };
        if let Some(unknown) = stray_placeholder(&value) {
            names_task = true;
            let message = format!("`{unknown}` stands for nothing");
            context
                .error(code::TASK_CALL, &argument.value.span, message)
                .help(format!("write `{TASK}`, or `{{call.NAME}}` for a value of the call"));
        } else if !is_filled && !value_fits(param, &value) {
            let message = format!("`{name}` of `{}` takes no {}", tool.name, argument.value.kind());
            context.error(code::TASK_CALL, &argument.value.span, message);
        }
        arguments.insert(name.to_owned(), value);
    }
    if !names_task {
        context
            .error(code::TASK_CALL, &given.span, format!("`{key}` does not say which task"))
            .help(format!("give one argument the value \"{TASK}\""));
    }
    let is_missing =
        |param: &&Shared<Param>| param.is_needed() && !arguments.contains_key(&param.name);
    // What is missing was probably meant by what is not known, or by what is not there.
    let is_said = is_unknown || !names_task;
    for param in tool.params.iter().filter(is_missing).filter(|_| !is_said) {
        let message = format!("the tool `{}` requires `{}`", tool.name, param.name);
        context
            .error(code::TASK_CALL, &given.span, message)
            .help(format!("add `{}` to `{key}`", param.name));
    }
    let sends_file = |param: &Shared<Param>| param.kind == ParamKind::FileUrl;
    if matches!(tool.body(), Some(BodyKind::Raw(_) | BodyKind::Multipart))
        || tool.params.iter().any(sends_file)
    {
        let message = format!("the tool `{}` sends files", tool.name);
        context.error(code::TASK_CALL, &given.span, message).help("name another tool");
    }
    Some(TaskCall { tool: tool.name.clone(), arguments })
}

/// Returns a placeholder in braces that is none.
fn stray_placeholder(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => {
            let rest = text.replace(TASK, "");
            let start = rest.find('{')?;
            let inner = rest.get(start + 1..)?;
            let name = inner.get(..inner.find('}')?)?;
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
            is_name.then(|| format!("{{{name}}}"))
        }
        Json::Array(items) => items.iter().find_map(stray_placeholder),
        Json::Object(members) => members.values().find_map(stray_placeholder),
        _ => None,
    }
}

fn progress_of<'tree>(section: &YamlSection<'tree>, context: &mut LowerContext<'tree>) -> f64 {
    const PERCENT: f64 = 100.0;
    let Some(entry) = section.entry("progress_of") else { return PERCENT };
    let YamlValue::Number(number, _) = &entry.value.value else {
        context.wrong_type(&entry.value, "`progress_of`", "a number");
        return PERCENT;
    };
    let whole = number.as_f64().filter(|whole| whole.is_finite() && *whole > 0.0);
    if whole.is_none() {
        let message = "`progress_of` must be greater than zero";
        context.error(code::RANGE, &entry.value.span, message);
    }
    whole.unwrap_or(PERCENT)
}

fn max_wait<'tree>(
    section: &YamlSection<'tree>,
    watch: Option<&WatchRules>,
    context: &mut LowerContext<'tree>,
) -> Duration {
    let Some(max_wait) = context.duration(section, "max_wait") else { return MAX_WAIT };
    let longest = watch.and_then(|watch| watch.poll.iter().max().copied()).unwrap_or_default();
    if let (true, Some(entry)) = (max_wait <= longest, section.entry("max_wait")) {
        context
            .error(code::TASK_WAIT, &entry.value.span, "`max_wait` is not longer than the waits")
            .label("the wait would be over before the last of `poll`")
            .help("raise it, or shorten `poll`");
    }
    max_wait
}

/// Finds the tools that can begin a task: those that may change something, unless the file says
/// which.
fn lower_starters<'tree>(
    section: &YamlSection<'tree>,
    known: &KnownTools<'tree, '_>,
    watch: Option<&WatchRules>,
    cancel: Option<&TaskCall>,
    context: &mut LowerContext<'tree>,
) -> BTreeSet<String> {
    let only = tool_names(section, "only", known, context);
    let except = tool_names(section, "except", known, context).unwrap_or_default();
    let having = context.text(section, "having");
    if let Some(text) = &having
        && !known.tools.iter().any(|tool| has_param(tool, text.value))
    {
        let message = format!("no tool has a parameter `{}`", text.value);
        context.error(code::TASK_TOOL, &text.span, message);
        return BTreeSet::new();
    }
    // Cancelling may be a task for the API; waiting for it would be one too many.
    let own = [watch.map(|watch| watch.call.tool.as_str()), cancel.map(|call| call.tool.as_str())];
    let is_starter = |tool: &&Tool| {
        let name = tool.name.as_str();
        let chosen = match (&only, &having) {
            (None, None) => !tool.only_reads(),
            (Some(only), None) => only.contains(name),
            (None, Some(having)) => has_param(tool, having.value),
            (Some(only), Some(having)) => only.contains(name) || has_param(tool, having.value),
        };
        chosen && !except.contains(name) && !own.contains(&Some(name)) && !tool.response.binary
    };
    let starters: Vec<&Tool> = known.tools.iter().filter(is_starter).collect();
    if starters.is_empty() && !context.has_error {
        context
            .error(code::TASK_TOOL, &section.span, "no tool begins a task")
            .label("`tasks` has no effect")
            .help("check `only`, `except` and `having`, or remove `tasks`");
    }
    let watching =
        watch.and_then(|watch| known.tools.iter().find(|tool| tool.name == watch.call.tool));
    let hides = |tool: &&&Tool| !tool.response.redact.is_empty();
    if let Some(watching) = watching.filter(|tool| tool.response.redact.is_empty())
        && let Some(tool) = starters.iter().find(hides)
    {
        let message = format!(
            "`{}` hides values, but `{}` shows the results of tasks with nothing hidden",
            tool.name, watching.name
        );
        context
            .error(code::TASK_REDACTION, &section.span, message)
            .help(format!("give `{}` a `redact` of its own", watching.name));
    }
    starters.into_iter().map(|tool| tool.name.clone()).collect()
}

fn has_param(tool: &Tool, name: &str) -> bool {
    tool.params.iter().any(|param| param.name == name)
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, model::task::TaskRules, source::SourceText};

    const STATE: &str = "state: {path: $.s, running: [r], succeeded: [d], failed: [f]}";
    const WATCH: &str = "watch: {tool: get, arguments: {id: '{task}'}}";
    const STARTED: &str = "started: {status: 202}";

    fn loaded(tasks: &[&str]) -> LoadedDescriptor {
        let tasks: String = tasks.iter().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  tasks:\n{tasks}backend:\n  \
             name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             run: {{method: POST, path: /run, access: write, description: R., \
             params: {{sync: {{type: boolean, in: query}}}}}}\n    \
             stop: {{method: POST, path: '/x/{{id}}/stop', access: write, description: S., \
             params: {{id: {{type: string, in: path}}, sync: {{type: boolean, in: query}}}}}}\n    \
             get: {{method: GET, path: '/x/{{id}}', access: read, description: G., \
             params: {{id: {{type: string, in: path}}, deep: {{type: boolean, in: query}}}}}}\n    \
             raw: {{method: GET, path: '/x/{{id}}/raw', access: read, description: R., \
             params: {{id: {{type: string, in: path}}}}, response: {{binary: true}}}}\n    \
             put: {{method: PUT, path: '/x/{{id}}', access: write, description: P., \
             content_type: application/octet-stream, \
             params: {{id: {{type: string, in: path}}}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn tasks(lines: &[&str]) -> TaskRules {
        let loaded = loaded(lines);
        assert_eq!(loaded.diagnostics, [], "{lines:?}");
        loaded.descriptor.unwrap().tasks.unwrap()
    }

    #[test]
    fn the_tools_that_begin_tasks() {
        let starters = |more: &[&str]| {
            let lines = [&[STARTED, "id: $.id", WATCH, STATE], more].concat();
            tasks(&lines).starters.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(starters(&[]), ["put", "run", "stop"], "what may change something");
        assert_eq!(starters(&["having: sync"]), ["run", "stop"]);
        assert_eq!(starters(&["having: sync", "except: [stop]"]), ["run"]);
        assert_eq!(starters(&["having: sync", "only: [put]"]), ["put", "run", "stop"]);
        let cancel = "cancel: {tool: stop, arguments: {id: '{task}'}}";
        assert_eq!(starters(&["having: sync", cancel]), ["run"], "cancelling begins no task");
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let tasks = tasks(&[STARTED, "id: $.id", WATCH, STATE]);
        let poll: Vec<u64> = tasks.poll.iter().map(|wait| wait.as_secs()).collect();
        assert_eq!((poll.as_slice(), tasks.max_wait.as_secs()), (&[1, 2, 5][..], 86_400));
        assert_eq!((tasks.statuses, tasks.progress_of), (vec![202], 100.0));
        assert!(tasks.blocking.is_none() && tasks.cancel.is_none() && tasks.result.is_none());
    }

    #[test]
    fn what_tells_an_outcome_and_a_stop_is_read() {
        let outcome = "outcome: {only: [run], values: {at: $.at}, tool: get, \
                       arguments: {id: 'x-{at}'}, state: {path: $.x, running: [r], \
                       succeeded: [d], failed: [f]}, within: 1s}";
        let cancel =
            "cancel: {tool: stop, arguments: {id: '{task}'}, only: [], requested: $.asked}";
        let tasks = tasks(&[STARTED, "id: $.id", WATCH, STATE, outcome, cancel]);
        assert!(!tasks.stops("run") && tasks.stop_requested.is_some());
        let (at, verdict) = tasks.verdict_of("run").unwrap();
        assert_eq!((at, verdict.within.as_millis()), (0, 1000));
        let values = verdict.values_in(r#"{"at":7}"#, "t").unwrap();
        assert_eq!(verdict.call.filled(&values)["id"], "x-7");
        for odd in [r#"{}"#, r#"{"at":"a b"}"#, r#"{"at":{}}"#] {
            assert_eq!(verdict.values_in(odd, "t"), Err("$.at"), "{odd}");
        }
        assert!(tasks.verdict_of("put").is_none());
    }

    #[test]
    #[rustfmt::skip]
    fn what_cannot_work_is_said() {
        let id = "id: $.id";
        let watch = |text: &str| format!("watch: {{tool: get, {text}}}");
        let outcome = |keys: &str, call: &str| format!("outcome: {{{keys}, {call}, {STATE}}}");
        let cases: Vec<(Vec<String>, &str)> = vec![
            (vec!["started: {}".into(), id.into(), WATCH.into(), STATE.into()], "D720 nothing shows that a task began"),
            (vec!["started: {status: 400}".into(), id.into(), WATCH.into(), STATE.into()], "D405 a task begins with a 2xx status"),
            (vec!["started: {when: pending}".into(), id.into(), WATCH.into(), STATE.into()], "D401 `when` is not a condition"),
            (vec![STARTED.into(), id.into(), "watch: {tool: gett, arguments: {id: '{task}'}}".into(), STATE.into()], "D721 there is no tool `gett`"),
            (vec![STARTED.into(), id.into(), watch("arguments: {}"), STATE.into()], "D721 `arguments` does not say which task"),
            (vec![STARTED.into(), id.into(), watch("arguments: {id: '{taks}'}"), STATE.into()], "D721 `{taks}` stands for nothing"),
            (vec![STARTED.into(), id.into(), watch("arguments: {id: '{task}', dep: true}"), STATE.into()], "D721 the tool `get` has no parameter `dep`"),
            (vec![STARTED.into(), id.into(), watch("arguments: {id: '{task}', deep: often}"), STATE.into()], "D721 `deep` of `get` takes no text"),
            (vec![STARTED.into(), id.into(), watch("arguments: {id: '{task}'}, blocking: {deep: true}"), STATE.into()], "D721 `blocking` does not say which task"),
            (vec![STARTED.into(), id.into(), "watch: {tool: raw, arguments: {id: '{task}'}}".into(), STATE.into()], "D721 a task cannot be watched by a download"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), "cancel: {tool: put, arguments: {id: '{task}'}}".into()], "D721 the tool `put` sends files"),
            (vec![STARTED.into(), id.into(), WATCH.into(), "state: {path: $.s, running: [r], succeeded: [d]}".into()], "D722 `state` names no `failed` state"),
            (vec![STARTED.into(), id.into(), WATCH.into(), "state: {path: $.s, running: [r], succeeded: [d], failed: [r]}".into()], "D722 the state `r` is running already"),
            (vec![STARTED.into(), id.into(), watch("arguments: {id: '{task}'}, poll: []"), STATE.into()], "D723 `poll` has no waits, or too many"),
            (vec![STARTED.into(), id.into(), watch("arguments: {id: '{task}'}, poll: [5ms]"), STATE.into()], "D723 this wait is too short"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), "max_wait: 5s".into()], "D723 `max_wait` is not longer than the waits"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), "having: async".into()], "D724 no tool has a parameter `async`"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), "except: [runs]".into()], "D724 there is no tool `runs`"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), "only: []".into()], "D724 no tool begins a task"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), "progress_of: 0".into()], "D408 `progress_of` must be greater than zero"),
            (vec![STARTED.into(), WATCH.into(), STATE.into()], "D009 `tasks` has no `id`"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), outcome("only: [runs]", "tool: get, arguments: {id: '{task}'}")], "D724 there is no tool `runs`"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), outcome("only: [get]", "tool: get, arguments: {id: '{task}'}")], "D727 `get` begins no task"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), outcome("within: 2m", "tool: get, arguments: {id: '{task}'}")], "D727 nobody waits so long for an outcome"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), outcome("within: 2s", "tool: run")], "D727 `run` cannot be called to look"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), outcome("values: {a: $.a}", "tool: get, arguments: {id: '{b}'}")], "D727 `{b}` stands for nothing"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), outcome("values: {a: $.a}", "tool: get, arguments: {id: '{a}', x: 1}")], "D727 the tool `get` has no parameter `x`"),
            (vec![STARTED.into(), id.into(), WATCH.into(), STATE.into(), outcome("values: {a: $.a}", "tool: get")], "D727 the tool `get` requires `id`"),
        ];
        for (lines, expected) in cases {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let found = loaded(&lines).diagnostics;
            assert_eq!(format!("{} {}", found[0].code.0, found[0].message), expected);
            assert_eq!(found.len(), 1, "{found:#?}");
        }
    }
}
