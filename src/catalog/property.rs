//! The parameters of a tool as a caller sees them: those of the descriptor, those that pagination
//! adds, and the file of a raw body, each under a property name that hosts accept.

use std::sync::Arc;

use dadl_descriptor::model::{
    BodyKind, PageBehavior, PageStrategy, Pagination, Param, ParamKind, ParamLocation, ParamRole,
    RequestMethod, RestOperation, Shared, StreamArgument, Tool, WholePart, events::EventRules,
};
use serde_json::Value;

use super::{CatalogOperation, EntryParam, name};

/// Returns the parameters in the order of the file, the added ones last; `may_wait` when calls can
/// begin a task.
pub(crate) fn entry_params(
    operation: CatalogOperation<'_>,
    is_unlisted: impl Fn(&str) -> bool,
    may_wait: bool,
    events: Option<&EventRules>,
) -> Arc<[EntryParam]> {
    // No model needs to name a page where the program walks through them; one that goes on after
    // the last page that was read, or wants a single one, may.
    let mut walked = Vec::new();
    let mut params = match operation {
        CatalogOperation::Tool(tool) => params_of_tool(tool, events, &mut walked),
        CatalogOperation::Composite(composite) => composite.params.clone(),
        CatalogOperation::Server(tool) => tool.params().to_vec(),
    };
    if may_wait {
        params.extend(wait_param(&params).map(Shared::from));
    }
    for param in &mut params {
        settle_param(param);
    }
    let wire: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
    let properties = name::property_names(&wire);
    properties
        .into_iter()
        .zip(params)
        .map(|(property, param)| {
            let hidden = is_unlisted(&param.name) || walked.contains(&param.name);
            let listed = !param.fixed && (param.required || !hidden);
            EntryParam { property, param, listed }
        })
        .collect()
}

/// Returns the parameters of a tool; the names of those that the program sets go to `walked`.
fn params_of_tool(
    tool: &Tool,
    events: Option<&EventRules>,
    walked: &mut Vec<String>,
) -> Vec<Shared<Param>> {
    let mut params = tool.params.clone();
    if let Some(file) = raw_body_file(tool) {
        params.push(file.into());
    }
    if let Some(RestOperation { method: RequestMethod::Get, pagination: Some(pagination), .. }) =
        tool.http()
        && !tool.response.binary
    {
        let declared = params.len();
        add_pages(tool, pagination, &mut params);
        if matches!(pagination.behavior, PageBehavior::Auto { .. }) {
            walked.extend(params.iter().skip(declared).map(|param| param.name.clone()));
        }
    }
    params.extend(callers_jq(tool, &params).map(Shared::from));
    add_stream_arguments(tool, events, &mut params);
    params
}

/// Adds what a caller may say about a stream.
fn add_stream_arguments(tool: &Tool, events: Option<&EventRules>, params: &mut Vec<Shared<Param>>) {
    if !tool.response.is_stream() {
        return;
    }
    let subscribes = events.is_some_and(|it| it.stream == tool.name && it.subscribe.is_some());
    for argument in StreamArgument::ALL {
        let (kind, description) = match argument {
            StreamArgument::Open => {
                (ParamKind::Boolean, "Keep the stream open and return its handle, for stream_read")
            }
            StreamArgument::Subscribe if !subscribes => continue,
            StreamArgument::Subscribe => (ParamKind::Array, "Collections whose changes to send"),
            StreamArgument::Duration => (ParamKind::Number, "Seconds to collect; not with open"),
            StreamArgument::MaxItems => (ParamKind::Integer, "Items to collect; not with open"),
        };
        let free = |name: &&str| params.iter().all(|param| param.name != **name);
        let Some(name) = argument.names().into_iter().find(free) else { continue };
        params.push(optional_param(name, ParamRole::Stream(argument), kind, description).into());
    }
}

/// Makes `required` and `default` say what a caller meets.
fn settle_param(param: &mut Shared<Param>) {
    if let Some(default) = &param.default {
        // Authors quote numbers; a schema whose default is of another type confuses hosts.
        let settled = match &**default {
            Value::Null => None,
            default => {
                let fit = param.kind.coerce(default.clone());
                Some(fit.unwrap_or_else(|as_written| as_written))
            }
        };
        // What stays as it is stays that of the descriptor.
        if settled.as_ref() != Some(&**default) {
            param.default = settled.map(Box::new);
        }
    }
    let is_needed = param.is_needed();
    if param.required != is_needed {
        param.required = is_needed;
    }
}

/// Returns the file parameter of a raw or multipart body that declares none (imports have this
/// shape).
fn raw_body_file(tool: &Tool) -> Option<Param> {
    let declared = tool.params.iter().any(|param| param.is_in(ParamLocation::Body));
    let is_file = matches!(tool.body(), Some(BodyKind::Multipart | BodyKind::Raw(_)));
    let http = tool.http().filter(|_| is_file && !declared)?;
    if http.body == BodyKind::Multipart && http.rules.open {
        return None;
    }
    let role = ParamRole::Sent(ParamLocation::Body);
    let mut file = Param::new(Tool::RAW_BODY_PARAM, role, ParamKind::FileUrl);
    file.required = !http.rules.open;
    if http.rules.only_file {
        file.form.whole = Some(WholePart::Bytes);
    } else {
        http.body.settle(&mut file);
    }
    Some(file)
}

/// Returns the parameter for a jq program of the caller. A parameter of the tool keeps the name
/// `jq`, and this one gets another.
fn callers_jq(tool: &Tool, params: &[Shared<Param>]) -> Option<Param> {
    let allowed = tool.response.allow_jq && !tool.response.binary;
    let name = free_name(["jq", "jq_filter", "result_jq", "result_jq_filter"], params)?;
    let description = "jq filter applied to the result, such as `map(.id)`";
    allowed.then(|| optional_param(name, ParamRole::Jq, ParamKind::String, description))
}

/// Returns the parameter for how long the caller waits for a task. Its name gives way as that of
/// [`callers_jq`] does.
fn wait_param(params: &[Shared<Param>]) -> Option<Param> {
    let name = free_name(["wait", "wait_seconds", "task_wait", "task_wait_seconds"], params)?;
    // In every conversation, once for each tool: the shortest words that say it.
    Some(optional_param(name, ParamRole::Wait, ParamKind::Integer, "Seconds"))
}

/// Makes a parameter that a caller may leave out.
fn optional_param(name: &str, role: ParamRole, kind: ParamKind, description: &str) -> Param {
    Param { description: Some(description.to_owned()), ..Param::new(name, role, kind) }
}

/// Returns the first name that no parameter has.
fn free_name<const N: usize>(
    names: [&'static str; N],
    params: &[Shared<Param>],
) -> Option<&'static str> {
    names.into_iter().find(|name| params.iter().all(|param| param.name != *name))
}

/// Adds what the caller needs to walk through the pages.
fn add_pages(tool: &Tool, pagination: &Pagination, params: &mut Vec<Shared<Param>>) {
    let (page, kind, description) = match &pagination.strategy {
        PageStrategy::Cursor { param, .. } => {
            (param, ParamKind::String, "Cursor of the next page, from the previous result")
        }
        PageStrategy::LinkHeader { param } => {
            (param, ParamKind::String, "Next page, from the previous result")
        }
        PageStrategy::Offset { param } => (param, ParamKind::Integer, "Items to skip"),
        PageStrategy::Page { param } => (param, ParamKind::Integer, "Page number, from 1"),
    };
    let query = |name: &str, kind, description: &str, default: Option<Value>| {
        let role = ParamRole::Sent(ParamLocation::Query);
        let default = default.map(Box::new);
        Shared::from(Param { default, ..optional_param(name, role, kind, description) })
    };
    if let Some(name) = page
        && !knows_name(tool, params, name)
    {
        params.push(query(name, kind, description, None));
    }
    let Some(name) = &pagination.limit_param else { return };
    let default = pagination.limit_default.map(Value::from);
    if !knows_name(tool, params, name) {
        params.push(query(name, ParamKind::Integer, "Maximum number of items", default));
    } else if let Some(declared) =
        params.iter_mut().find(|param| param.name == *name && param.is_in(ParamLocation::Query))
        && declared.default.is_none()
        && !declared.required
    {
        declared.default = default.map(Box::new);
    }
}

/// Returns whether the tool gives `name` a meaning already, in a parameter or in its fixed query.
fn knows_name(tool: &Tool, params: &[Shared<Param>], name: &str) -> bool {
    let fixed = tool.path().query().unwrap_or_default();
    params.iter().any(|param| param.name == name)
        || fixed.split('&').any(|pair| pair.split('=').next() == Some(name))
}
