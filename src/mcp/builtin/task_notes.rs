//! Says how to go on: with which call of a built-in tool.

use serde_json::{Value, json};

use super::BuiltinTool;
use crate::{
    mcp::McpServer,
    outcome::{AnswerPayload, CallOutcome},
};

/// Returns the words for a call of a built-in tool: by itself where hosts see it, else through what they
/// see.
pub(in crate::mcp) fn way(server: &McpServer, builtin: BuiltinTool, arguments: &Value) -> String {
    let name = builtin.name();
    if !server.is_compact() {
        return format!("call {name} with {arguments}");
    }
    let through = if builtin.only_reads() { BuiltinTool::ApiRead } else { BuiltinTool::ApiChange };
    let call = json!({ "tool": name, "arguments": arguments });
    format!("call {} with {call}", through.name())
}

/// Says in a result how to go on with a task that does.
pub(in crate::mcp) fn advise(outcome: &mut CallOutcome, server: &McpServer) {
    if let AnswerPayload::Task(report) = &outcome.payload
        && report.is_running
        && server.builtins().contains(&BuiltinTool::TaskWait)
    {
        let arguments = json!({ "task": report.handle.to_string() });
        let stops = if report.stops { "" } else { "; it cannot be stopped" };
        let way = way(server, BuiltinTool::TaskWait, &arguments);
        outcome.notes.push(format!("the task goes on: {way} to wait for its outcome{stops}"));
    }
}
