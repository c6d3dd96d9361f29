//! What the server answers when no script says otherwise.

use serde_json::{Map, Value, json};

use super::{
    content::ServerContent,
    refusal::{
        HonestError, INVALID_PARAMS, METHOD_NOT_FOUND, RESOURCE_NOT_FOUND, UNSUPPORTED_VERSION,
    },
};

/// The revisions with `initialize`, newest first.
const WITH_INITIALIZE: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The revision without.
pub(super) const STATELESS: &str = "2026-07-28";

/// A picture of one dot.
const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Returns whether a request is of the revision without `initialize`.
pub(super) fn is_stateless(params: &Value) -> bool {
    let version = params.pointer("/_meta/io.modelcontextprotocol~1protocolVersion");
    version.and_then(Value::as_str) == Some(STATELESS)
}

/// Answers a request of a server that has this.
pub(super) fn answer(
    method: &str,
    params: &Value,
    content: &ServerContent,
) -> Result<Value, HonestError> {
    let version = params.pointer("/_meta/io.modelcontextprotocol~1protocolVersion");
    let is_stateless = is_stateless(params);
    let mut result = match content.answer(method, params) {
        Some(answer) => answer?,
        None => usual_answer(method, params, version, content)?,
    };
    if let (true, Some(members)) = (is_stateless, result.as_object_mut()) {
        complete(method, members);
    }
    Ok(result)
}

fn usual_answer(
    method: &str,
    params: &Value,
    version: Option<&Value>,
    content: &ServerContent,
) -> Result<Value, HonestError> {
    let is_stateless = is_stateless(params);
    let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
    Ok(match method {
        "initialize" => initialize(text("protocolVersion"), content),
        "server/discover" if is_stateless => json!({
            "supportedVersions": [STATELESS], "capabilities": capabilities(content),
            "instructions": "Greets and adds.",
            "_meta": { "io.modelcontextprotocol/serverInfo": info() },
        }),
        "server/discover" => {
            let mut error = HonestError::new(UNSUPPORTED_VERSION, "unsupported protocol version");
            error.data = Some(json!({ "supported": [STATELESS], "requested": version }));
            return Err(error);
        }
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
        "tools/list" => json!({ "tools": tools() }),
        "tools/call" => call(text("name"), params.get("arguments").unwrap_or(&Value::Null))?,
        "resources/list" => json!({ "resources": [{
            "uri": "note://welcome", "name": "welcome", "mimeType": "text/plain",
        }] }),
        "resources/templates/list" => json!({ "resourceTemplates": [{
            "uriTemplate": "note://{name}", "name": "note", "mimeType": "text/plain",
        }] }),
        "resources/read" => read(text("uri"))?,
        "prompts/list" => json!({ "prompts": [{
            "name": "greet", "description": "Greets somebody.",
            "arguments": [{ "name": "name", "required": true }],
        }] }),
        "prompts/get" if text("name") == "greet" => {
            let name = params.pointer("/arguments/name").and_then(Value::as_str);
            let words = format!("Greet {}.", name.unwrap_or("everybody"));
            json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": words } }] })
        }
        "prompts/get" => return Err(HonestError::new(INVALID_PARAMS, "there is no such prompt")),
        "completion/complete" => {
            json!({ "completion": { "values": ["Ada", "Grace"], "total": 2, "hasMore": false } })
        }
        _ => return Err(HonestError::new(METHOD_NOT_FOUND, format!("no method {method}"))),
    })
}

/// Adds what each result of the stateless revision has.
fn complete(method: &str, members: &mut Map<String, Value>) {
    members.insert("resultType".to_owned(), "complete".into());
    if method.ends_with("/list") || matches!(method, "server/discover" | "resources/read") {
        members.insert("ttlMs".to_owned(), 0.into());
        members.insert("cacheScope".to_owned(), "private".into());
    }
}

fn initialize(wanted: &str, content: &ServerContent) -> Value {
    let [newest, ..] = WITH_INITIALIZE;
    let known = WITH_INITIALIZE.into_iter().find(|version| *version == wanted);
    json!({
        "protocolVersion": known.unwrap_or(newest), "capabilities": capabilities(content),
        "serverInfo": info(), "instructions": "Greets and adds.",
    })
}

fn info() -> Value {
    json!({ "name": "simulated", "version": "1.0.0" })
}

fn capabilities(content: &ServerContent) -> Value {
    if let Some(capabilities) = &content.capabilities {
        return capabilities.clone();
    }
    json!({
        "tools": { "listChanged": true }, "resources": { "subscribe": true, "listChanged": true },
        "prompts": { "listChanged": true }, "logging": {}, "completions": {},
    })
}

fn tools() -> Value {
    let numbers = json!({ "a": { "type": "number" }, "b": { "type": "number" } });
    json!([
        {
            "name": "echo", "title": "Echo", "description": "Says what it is told.",
            "inputSchema": {
                "type": "object", "required": ["text"],
                "properties": { "text": { "type": "string", "description": "The words" } },
            },
            "annotations": { "readOnlyHint": true },
        },
        {
            "name": "add", "description": "Adds two numbers.",
            "inputSchema": { "type": "object", "properties": numbers, "required": ["a", "b"] },
            "outputSchema": {
                "type": "object", "properties": { "sum": { "type": "number" } }, "required": ["sum"],
            },
            "annotations": { "readOnlyHint": true, "idempotentHint": true },
        },
        { "name": "picture", "description": "Paints a dot.", "inputSchema": { "type": "object" } },
        {
            "name": "forget", "description": "Forgets everything, and fails.",
            "inputSchema": { "type": "object" }, "annotations": { "destructiveHint": true },
        },
    ])
}

fn call(name: &str, arguments: &Value) -> Result<Value, HonestError> {
    let number = |key: &str| arguments.get(key).and_then(Value::as_f64);
    Ok(match name {
        "echo" => match arguments.get("text").and_then(Value::as_str) {
            Some(text) => json!({ "content": [{ "type": "text", "text": text }] }),
            None => failed("`text` is missing"),
        },
        "add" => match (number("a"), number("b")) {
            (Some(a), Some(b)) => {
                let sum = json!({ "sum": a + b });
                let text = sum.to_string();
                json!({ "content": [{ "type": "text", "text": text }], "structuredContent": sum })
            }
            _ => failed("`a` and `b` have to be numbers"),
        },
        "picture" => {
            json!({ "content": [{ "type": "image", "data": DOT, "mimeType": "image/png" }] })
        }
        "forget" => failed("nothing can be forgotten"),
        _ => return Err(HonestError::new(INVALID_PARAMS, format!("no tool {name}"))),
    })
}

fn failed(why: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": why }], "isError": true })
}

fn read(uri: &str) -> Result<Value, HonestError> {
    let name = uri.strip_prefix("note://");
    let name = name.ok_or_else(|| HonestError::new(RESOURCE_NOT_FOUND, "there is no such note"))?;
    let text = format!("This is the note {name}.");
    Ok(json!({ "contents": [{ "uri": uri, "mimeType": "text/plain", "text": text }] }))
}
