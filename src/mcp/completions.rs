//! Values for what a person types: the arguments of prompts, and the identifiers in URIs.
//!
//! What may stand there is known from the descriptor (the values of a parameter), or from the API:
//! the objects of a kind, as the tool lists them that passes the gate like any call. Of a prompt or template
//! of another MCP server, that server knows.
//!
//! The ids of files are told to nobody: who knows one may read the file.

use std::{sync::Arc, time::Duration};

use dadl_text::text::{one_line, quoted_text};
use rmcp::{
    ErrorData, RoleServer,
    model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference},
    service::RequestContext,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    McpServer, file_resources,
    known_values::{KnownValue, LONGEST, read_values},
    object_calls::list_values,
    progress::{self, ProgressReporter},
    prompts::ExampleArgument,
    request_owner::client_key,
};
use crate::{
    catalog::{BackendId, Offered, template_variables},
    executor::CallContext,
    live::watch::{ObjectKind, ResourceHub},
    mcp_client::{CompletionPlace, CompletionQuestion},
};

/// How long somebody who types waits for a server.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many other arguments are told to a server.
const MOST_KNOWN: usize = 64;
/// A longer value is none that anybody types, in bytes.
const LONGEST_VALUE: usize = 1000;

impl McpServer {
    /// Answers `completion/complete`.
    pub(super) async fn complete_argument(
        &self,
        request: &CompleteRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let invalid = |message: String| ErrorData::invalid_params(message, None);
        let objects = self.objects().resources();
        let name = request.argument.name.as_str();
        let typed = request.argument.value.as_str();
        if let Some((backend, of)) = self.place_at_server(request)? {
            return Ok(CompleteResult::new(self.ask_server(backend, of, request, context).await));
        }
        let known: Arc<[KnownValue]> = match &request.r#ref {
            Reference::Prompt(prompt) => {
                let mut prompts = self.prompts().iter();
                let example = prompts.find(|example| example.prompt.name == prompt.name);
                let example = example.ok_or_else(|| {
                    invalid(format!("unknown prompt {}", quoted_text(&prompt.name, LONGEST)))
                })?;
                let argument = example.argument(name).map_err(|it| invalid(it.to_string()))?;
                match fixed(self, example.backend, argument) {
                    Some(values) => values.into(),
                    None => match kind_of(objects, example.backend, argument) {
                        Some(kind) => self.known_objects(kind, context).await,
                        None => Arc::default(),
                    },
                }
            }
            Reference::Resource(resource) => {
                let template = resource.uri.as_str();
                let files = file_resources::file_templates();
                let is_of_files = files.iter().any(|file| file.uri_template == template);
                let kind = objects.kind_of_template(template);
                if !is_of_files && kind.is_none() {
                    let template = quoted_text(template, LONGEST);
                    return Err(invalid(format!(
                        "no resource template {template}; resources/templates/list says what there is"
                    )));
                }
                if !template_variables(template).any(|variable| variable == name) {
                    let name = quoted_text(name, LONGEST);
                    return Err(invalid(format!("{template} has no variable {name}")));
                }
                match kind {
                    Some(kind) => self.known_objects(kind, context).await,
                    None => Arc::default(),
                }
            }
            _ => {
                return Err(invalid(
                    "`ref.type` must be `ref/prompt` or `ref/resource`".to_owned(),
                ));
            }
        };
        Ok(CompleteResult::new(matching(&known, typed)))
    }

    /// Returns the server that knows the values of an argument, and what the argument is of there; `None`
    /// where it is none of a server.
    fn place_at_server(
        &self,
        request: &CompleteRequestParams,
    ) -> Result<Option<(BackendId, CompletionPlace)>, ErrorData> {
        let name = request.argument.name.as_str();
        let invalid = |of: &str, what: &str| {
            let message = format!("{of} has no {what} {}", quoted_text(name, LONGEST));
            ErrorData::invalid_params(message, None)
        };
        match &request.r#ref {
            Reference::Prompt(prompt) => {
                let is_example = self.prompts().iter().any(|it| it.prompt.name == prompt.name);
                let found = self.find_server_prompt(&prompt.name).filter(|_| !is_example);
                let Some(Offered { backend, item, .. }) = found else { return Ok(None) };
                match item.arguments.iter().any(|it| it.name == name) {
                    true => Ok(Some((backend, CompletionPlace::Prompt(item.name.clone())))),
                    false => Err(invalid("the prompt", "argument")),
                }
            }
            Reference::Resource(resource) => {
                let contents = self.gate().catalog().contents();
                let found = contents.find_template(&resource.uri);
                let Some(Offered { backend, item, .. }) = found else { return Ok(None) };
                match template_variables(&item.uri).any(|variable| variable == name) {
                    true => Ok(Some((backend, CompletionPlace::Template(item.uri.clone())))),
                    false => Err(invalid("the template", "variable")),
                }
            }
            _ => Ok(None),
        }
    }

    /// Asks a server for values; there are none when it gives none in time.
    async fn ask_server(
        &self,
        backend: BackendId,
        of: CompletionPlace,
        request: &CompleteRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> CompletionInfo {
        let contents = self.gate().catalog().contents();
        if !contents.of(backend).is_some_and(|content| content.can_complete) {
            return CompletionInfo::default();
        }
        let known = request.context.iter().filter_map(|it| it.arguments.as_ref()).flatten();
        let question = CompletionQuestion {
            of,
            argument: request.argument.name.clone(),
            typed: request.argument.value.clone(),
            known: known.take(MOST_KNOWN).map(|(name, it)| (name.clone(), it.clone())).collect(),
        };
        let carried = CallContext::default().of(client_key(&context.extensions));
        let asked = Box::pin(self.executor().complete_at_server(backend, question, &carried));
        let asked = tokio::time::timeout(PATIENCE, asked);
        let reporter = ProgressReporter::default();
        let asked = progress::run_reporting(context, self.ending(), &reporter, asked).await;
        match asked {
            Ok(Ok(Ok(result))) => of_result(result.as_str()).unwrap_or_default(),
            Ok(Ok(Err(error))) => {
                tracing::debug!(%error, "nothing to complete with");
                CompletionInfo::default()
            }
            Ok(Err(_)) => {
                tracing::debug!("a server has nothing to complete with in time");
                CompletionInfo::default()
            }
            Err(_) => CompletionInfo::default(),
        }
    }

    /// Returns the objects of a kind; none when the API does not list them in time.
    async fn known_objects(
        &self,
        kind: ObjectKind<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Arc<[KnownValue]> {
        let objects = self.objects().resources();
        let Some(call) = objects.list_call(kind) else { return Arc::default() };
        let name = call.entry().name.clone();
        if let Some(known) = self.known_values().listed_by(&name) {
            return known;
        }
        let Some(text) = list_values(self, call, context).await else { return Arc::default() };
        let known: Arc<[KnownValue]> = read_values(&text, &kind.id_members()).into();
        self.known_values().keep(name, &known);
        known
    }
}

/// Reads the values of a server; those that a person could not tell from others are left out.
fn of_result(result: &str) -> Option<CompletionInfo> {
    let ReadCompletion { completion } = serde_json::from_str(result).ok()?;
    let ReadValues { values, total, has_more } = completion;
    let is_typable =
        |value: &String| value.len() <= LONGEST_VALUE && one_line(value) == value.as_str();
    let most = CompletionInfo::MAX_VALUES;
    let mut info = CompletionInfo::default();
    info.has_more = has_more.or((values.len() > most).then_some(true));
    info.total = total.and_then(|total| u32::try_from(total).ok());
    info.values = values.into_iter().filter(is_typable).take(most).collect();
    Some(info)
}

#[derive(Deserialize)]
struct ReadCompletion {
    completion: ReadValues,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadValues {
    values: Vec<String>,
    #[serde(default)]
    total: Option<u64>,
    #[serde(default)]
    has_more: Option<bool>,
}

/// Returns the values that a descriptor says of a parameter which an argument is given to.
fn fixed(
    server: &McpServer,
    backend: BackendId,
    argument: &ExampleArgument,
) -> Option<Vec<KnownValue>> {
    let catalog = server.gate().catalog();
    argument.uses.iter().find_map(|(tool, param)| {
        let entry = catalog.find_declared(backend, tool)?;
        let known = entry.params.iter().find(|known| known.param.name == *param)?;
        let schema = entry.input_schema();
        let schema = schema.get("properties")?.get(&known.property)?;
        let values: Vec<KnownValue> = match schema.get("enum") {
            Some(Value::Array(values)) => values.iter().filter_map(of_value).collect(),
            _ if schema.get("type") == Some(&Value::from("boolean")) => {
                [false, true].iter().filter_map(|it| of_value(&Value::from(*it))).collect()
            }
            _ => Vec::new(),
        };
        (!values.is_empty()).then_some(values)
    })
}

fn of_value(value: &Value) -> Option<KnownValue> {
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    (!value.is_empty()).then(|| KnownValue { value, name: String::new() })
}

/// Returns the kind of object that an argument names: by where it is given to, or by its own name.
fn kind_of<'own>(
    objects: &'own ResourceHub,
    backend: BackendId,
    argument: &ExampleArgument,
) -> Option<ObjectKind<'own>> {
    let mut uses = argument.uses.iter();
    let read = uses.find_map(|(tool, param)| objects.kind_read_by(backend, tool, param));
    read.or_else(|| {
        let name = argument.name.trim_end_matches("_id").trim_end_matches("Id");
        objects.kind_named(backend, name)
    })
}

/// Returns what begins with what was typed, whatever the case: values first, then names.
fn matching(known: &[KnownValue], typed: &str) -> CompletionInfo {
    let typed = typed.to_lowercase();
    let begins = |text: &str| text.to_lowercase().starts_with(&typed);
    let by_value = known.iter().filter(|known| begins(&known.value));
    let by_name = known.iter().filter(|known| !begins(&known.value) && begins(&known.name));
    let all: Vec<&str> = by_value.chain(by_name).map(|known| known.value.as_str()).collect();
    let most = CompletionInfo::MAX_VALUES;
    let mut info = CompletionInfo::default();
    info.total = u32::try_from(all.len()).ok();
    info.has_more = Some(all.len() > most);
    info.values = all.into_iter().take(most).map(str::to_owned).collect();
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(value: &str, name: &str) -> KnownValue {
        KnownValue { value: value.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn values_come_before_names_and_case_does_not_count() {
        let all = [known("b1", "Alpha"), known("A2", ""), known("c3", "beta"), known("a4", "ab")];
        let values = |typed: &str| matching(&all, typed).values;
        assert_eq!(values(""), ["b1", "A2", "c3", "a4"]);
        assert_eq!(values("a"), ["A2", "a4", "b1"]);
        assert_eq!(values("B"), ["b1", "c3"]);
        assert_eq!(values("bet"), ["c3"]);
        assert_eq!(values("x"), [""; 0]);
        let info = matching(&all, "a");
        assert_eq!((info.total, info.has_more), (Some(3), Some(false)));
    }

    #[test]
    fn there_are_a_hundred_at_most() {
        let all: Vec<KnownValue> =
            (0..250).map(|number| known(&format!("v{number}"), "")).collect();
        let info = matching(&all, "v");
        assert_eq!((info.values.len(), info.total, info.has_more), (100, Some(250), Some(true)));
    }
}
