//! The tools through which hosts reach tools that they do not see: one finds them, one calls what has no
//! effect, one calls any.

use dadl_text::text::quoted_text;
use rmcp::{RoleServer, model::CallToolResponse, service::RequestContext};
use serde_json::{Map, Value};

use super::{
    BuiltinTool, api_script,
    arguments::{ArgumentsError, GivenArguments},
};
use crate::{
    executor::CallContext,
    finding::{self, SearchRequest},
    gate::CallRefusal,
    mcp::{
        McpServer, consent::ConsentRetry, result, server::ToolAnswer, structured_text::CopyForm,
    },
    outcome::{AnswerPayload, CallOutcome, HeldMemory},
};

/// So much of a name that nothing has is repeated.
const LONGEST_NAME: usize = 100;

/// Finds tools.
pub(super) fn search(server: &McpServer, arguments: Map<String, Value>) -> CallToolResponse {
    let name = BuiltinTool::ApiSearch.name();
    let mut given = GivenArguments::new(name, arguments);
    let expected = finding::queries_expected();
    let queries = given.required("queries", "what to find", &expected, finding::as_queries);
    let only_backend = given.optional("backend", "the name of a backend", as_text);
    let request =
        queries.map(|queries| SearchRequest { only_backend, ..SearchRequest::new(queries) });
    let request = match given.finish(request) {
        Ok(request) => request,
        Err(error) => return result::failure_result(error.to_string()).into(),
    };
    let text = server.finder().map(|finder| finder.search(&request).text).unwrap_or_default();
    let payload = AnswerPayload::Text { content_type: "text/plain".to_owned(), text };
    let (notes, held) = (Vec::new(), HeldMemory::default());
    let outcome = CallOutcome { status: 200, payload, notes, next: None, held };
    result::success(outcome, None, None, CopyForm::Tree, &|_| true).into()
}

/// What `api_read` is to do.
enum ReadRequest {
    Call { tool: String, arguments: Map<String, Value> },
    Script(String),
}

/// Calls a tool without an effect, or runs a script over such tools.
pub(super) async fn read(
    server: &McpServer,
    arguments: Map<String, Value>,
    retry: ConsentRetry,
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    let request = match read_request(arguments) {
        Ok(request) => request,
        Err(error) => return Ok(result::failure_result(error.to_string()).into()),
    };
    let (tool, arguments) = match request {
        ReadRequest::Script(code) => {
            return Ok(api_script::run_reads(server, code, context, carried).await);
        }
        ReadRequest::Call { tool, arguments } => (tool, arguments),
    };
    let has_effect = match server.builtin(&tool) {
        Some(builtin) => !builtin.only_reads(),
        None => server.gate().catalog().find(&tool).is_some_and(|entry| entry.has_effect()),
    };
    if has_effect {
        let change = BuiltinTool::ApiChange.name();
        let text = format!(
            "nothing was called: {} may leave something behind; call {change} with the same arguments",
            quoted_text(&tool, LONGEST_NAME)
        );
        return Ok(result::failure_result(text).into());
    }
    call(server, &tool, arguments, retry, context, carried).await
}

fn read_request(arguments: Map<String, Value>) -> Result<ReadRequest, ArgumentsError> {
    let mut given = GivenArguments::new(BuiltinTool::ApiRead.name(), arguments);
    let tool = given.optional("tool", "the name of a tool", as_text);
    let code = given.optional("code", "text", as_text);
    let arguments = given.optional("arguments", "an object", as_object);
    let request = match (tool, code) {
        (Some(tool), None) => {
            Some(ReadRequest::Call { tool, arguments: arguments.unwrap_or_default() })
        }
        (None, Some(code)) if arguments.is_none() => Some(ReadRequest::Script(code)),
        (None, Some(_)) => {
            given.problem("`code` takes no `arguments`: write them into its calls".to_owned());
            None
        }
        (Some(_), Some(_)) => {
            given.problem("give either `tool` or `code`".to_owned());
            None
        }
        (None, None) => {
            given.problem("`tool` or `code` is required".to_owned());
            None
        }
    };
    given.finish(request)
}

/// Calls any tool.
pub(super) async fn change(
    server: &McpServer,
    arguments: Map<String, Value>,
    retry: ConsentRetry,
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    let mut given = GivenArguments::new(BuiltinTool::ApiChange.name(), arguments);
    let tool = given.required("tool", "the name of a tool", "text", as_text);
    let arguments = given.optional("arguments", "an object", as_object).unwrap_or_default();
    let (tool, arguments) = match given.finish(tool.map(|tool| (tool, arguments))) {
        Ok(request) => request,
        Err(error) => return Ok(result::failure_result(error.to_string()).into()),
    };
    call(server, &tool, arguments, retry, context, carried).await
}

/// Calls a tool by its name: one of the server, or one of an API, as a direct call does.
async fn call(
    server: &McpServer,
    tool: &str,
    arguments: Map<String, Value>,
    retry: ConsentRetry,
    context: &RequestContext<RoleServer>,
    carried: &CallContext<'_>,
) -> ToolAnswer {
    if let Some(builtin) = server.builtin(tool).filter(|builtin| !builtin.is_of_compact()) {
        return Box::pin(builtin.run(server, arguments, retry, context, carried)).await;
    }
    let pending = match server.gate().check(tool, arguments) {
        Ok(pending) => pending,
        Err(refusal) => {
            let text = explained(server, tool, &refusal);
            return Ok(result::failure_result(text).into());
        }
    };
    Box::pin(server.perform(pending, retry, context, carried.clone())).await
}

/// Says with a refusal what a right call looks like, or how to find one.
fn explained(server: &McpServer, tool: &str, refusal: &CallRefusal) -> String {
    let entry = server.gate().catalog().find(tool);
    match (refusal, entry, server.finder()) {
        (CallRefusal::Arguments(_), Some(entry), Some(finder)) => {
            format!("{refusal}; it is {}", finder.signature(entry))
        }
        (CallRefusal::UnknownTool { .. }, ..) => {
            format!("{refusal}; {} finds tools", BuiltinTool::ApiSearch.name())
        }
        _ => refusal.to_string(),
    }
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Reads an object; some models send it as JSON text.
fn as_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        Value::String(text) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}
