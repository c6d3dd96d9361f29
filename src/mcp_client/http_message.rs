//! One message of ours as it goes over HTTP: which kind it is, and which header fields say what is in it.
//!
//! From 2026-07-28 on, what is between us and a server may read the method, the name and some arguments
//! from header fields; which arguments, the list of tools says (`x-mcp-header`).

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dadl_text::json::{cost, quote, scan};
use http::{HeaderName, HeaderValue, header};
use rmcp::model::RequestId;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The first revision whose messages have such fields, and no sessions.
pub(super) const STATELESS: &str = "2026-07-28";

/// A field with the revision of the protocol.
const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What a server marks an argument with that goes into a field, too.
const MARK: &str = "x-mcp-header";

/// A value that cannot be a field as it is has these around its base64.
const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// The tree of a list of tools takes no more, in bytes.
const LARGEST_LIST: u64 = 64 * 1024 * 1024;

/// An argument that goes into a field is no longer, in bytes.
const LONGEST_VALUE: usize = 8 * 1024;

/// So many arguments of a tool go into fields.
const MOST_MARKS: usize = 64;

/// And they are no deeper.
const DEEPEST_MARK: usize = 16;

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OutgoingKind {
    /// The answer to a request of the server.
    Answer,
    /// A notification; one that takes a request back names it.
    Notification { taken_back: Option<RequestId> },
    /// A request.
    Request(RequestId),
}

/// A message of ours.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The message.
    pub body: Vec<u8>,
    /// What it is.
    pub kind: OutgoingKind,
    method: Option<String>,
    /// The revision that it says it is of.
    revision: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct OwnEnvelope<'text> {
    #[serde(default)]
    id: Option<RequestId>,
    #[serde(borrow, default)]
    method: Option<Cow<'text, str>>,
    #[serde(borrow, default)]
    params: Option<&'text RawValue>,
}

impl Outgoing {
    /// Reads a message of our own; `None` when it is none.
    pub(super) fn read(mut body: Vec<u8>) -> Option<Self> {
        body.truncate(body.trim_ascii_end().len());
        let envelope: OwnEnvelope<'_> = serde_json::from_slice(&body).ok()?;
        let OwnEnvelope { id, method, params } = envelope;
        let params = params.map(RawValue::get).unwrap_or_default();
        let text = |names: &[&str]| {
            scan::member_at(params, names).and_then(scan::unquote).map(Cow::into_owned)
        };
        let method = method.map(Cow::into_owned);
        let named = method.as_deref().and_then(|method| match method {
            "tools/call" | "prompts/get" => Some("name"),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
            "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
            _ => None,
        });
        let name = named.and_then(|key| text(&[key]));
        let revision = text(&["_meta", "io.modelcontextprotocol/protocolVersion"]);
        let kind = match (&method, id) {
            (Some(_), Some(id)) => OutgoingKind::Request(id),
            (Some(method), None) => {
                let taken_back = (method == "notifications/cancelled")
                    .then(|| scan::member_at(params, &["requestId"]))
                    .flatten();
                let taken_back = taken_back.and_then(|id| serde_json::from_str(id).ok());
                OutgoingKind::Notification { taken_back }
            }
            (None, _) => OutgoingKind::Answer,
        };
        Some(Self { body, kind, method, revision, name })
    }

    /// Makes a request for a page of the list of tools, in the name of this one.
    pub(super) fn list_of_tools(&self, page: usize, cursor: Option<&str>) -> Option<Self> {
        let body = std::str::from_utf8(&self.body).ok()?;
        let meta = scan::member_at(body, &["params", "_meta"])?;
        let cursor = cursor.map(|it| format!("\"cursor\":{},", quote::quote_text(it)));
        let cursor = cursor.unwrap_or_default();
        let id = format!("fields-{page}");
        let body = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"method\":\"tools/list\",\"params\":{{{cursor}\"_meta\":{meta}}}}}"
        );
        Self::read(body.into_bytes())
    }

    /// Returns the cursor behind a page of a list, in the answer that has it.
    pub(super) fn next_cursor(answer: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Answer {
            result: Page,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            next_cursor: Option<String>,
        }
        let answer: Answer = serde_json::from_slice(answer).ok()?;
        answer.result.next_cursor.filter(|cursor| !cursor.is_empty())
    }

    /// Returns whether it is of this method.
    pub(super) fn is(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method)
    }

    /// Returns what it asks a session to do until that ends, and whether that begins with it or ends.
    pub(super) fn standing(&self) -> Option<(String, bool)> {
        let begins = match self.method.as_deref()? {
            "logging/setLevel" => return Some(("level".to_owned(), true)),
            "resources/subscribe" => true,
            "resources/unsubscribe" => false,
            _ => return None,
        };
        Some((format!("resource {}", self.name.as_deref()?), begins))
    }

    /// Returns whether it introduces us.
    pub(super) fn is_introduction(&self) -> bool {
        self.is("initialize") || self.is("server/discover")
    }

    /// Returns the revision that it is of, where it does not say so itself that of the connection.
    pub(super) fn revision<'a>(&'a self, of_connection: Option<&'a str>) -> Option<&'a str> {
        self.revision.as_deref().or(of_connection)
    }

    /// Returns the header fields that say what is in it.
    pub(super) fn fields(
        &self,
        of_connection: Option<&str>,
        marks: &MarkedArguments,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let json = HeaderValue::from_static("application/json");
        let both = HeaderValue::from_static("application/json, text/event-stream");
        let mut fields = vec![(header::CONTENT_TYPE, json), (header::ACCEPT, both)];
        let Some(revision) = self.revision(of_connection) else { return fields };
        fields.extend(HeaderValue::from_str(revision).ok().map(|value| (REVISION, value)));
        if revision < STATELESS {
            return fields;
        }
        let mut push = |name: HeaderName, text: &str| {
            fields.extend(HeaderValue::from_str(&field_text(text)).ok().map(|it| (name, it)));
        };
        if let Some(method) = &self.method {
            push(METHOD, method);
        }
        if let Some(name) = &self.name {
            push(NAME, name);
        }
        if let Some(tool) = self.name.as_deref().filter(|_| self.is("tools/call")) {
            let body = std::str::from_utf8(&self.body).unwrap_or_default();
            for MarkedArgument { path, field } in marks.of(tool) {
                let names = ["params", "arguments"].into_iter();
                let names: Vec<&str> = names.chain(path.iter().map(String::as_str)).collect();
                let value = scan::member_at(body, &names).filter(|it| it.len() <= LONGEST_VALUE);
                match value.map(|value| (value.as_bytes().first(), value)) {
                    Some((Some(b'"'), value)) => {
                        push(field, &scan::unquote(value).unwrap_or_default());
                    }
                    Some((Some(b'{' | b'[' | b'n') | None, _)) | None => {}
                    Some((Some(_), value)) => push(field, value),
                }
            }
        }
        fields
    }
}

/// Returns a text as a field can hold it.
fn field_text(text: &str) -> Cow<'_, str> {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let is_hidden = bytes.iter().any(|byte| !(0x20..=0x7e).contains(byte));
    let is_encoded = text.starts_with(ENCODED.0) && text.ends_with(ENCODED.1);
    if !is_hidden && !is_encoded && !is_blank(bytes.first()) && !is_blank(bytes.last()) {
        return text.into();
    }
    format!("{}{}{}", ENCODED.0, STANDARD.encode(text), ENCODED.1).into()
}

/// An argument that goes into a header field, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MarkedArgument {
    path: Vec<String>,
    field: HeaderName,
}

/// Which arguments of which tools go into header fields, as lists of tools said.
#[derive(Debug, Default)]
pub(super) struct MarkedArguments(Mutex<HashMap<String, Vec<MarkedArgument>>>);

impl MarkedArguments {
    /// Learns from a page of a list of tools, in the answer that has it.
    pub(super) fn learn(&self, answer: &[u8]) {
        let finder = memchr::memmem::find(answer, MARK.as_bytes());
        let Some(answer) = finder.and_then(|_| std::str::from_utf8(answer).ok()) else { return };
        let Some(answer) = cost::parse_tree(answer, LARGEST_LIST) else { return };
        let tools = answer.pointer("/result/tools").and_then(Value::as_array);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for tool in tools.into_iter().flatten() {
            let Some(name) = tool.get("name").and_then(Value::as_str) else { continue };
            let mut marks = Vec::new();
            if let Some(schema) = tool.get("inputSchema") {
                marks_of(schema, &mut Vec::new(), &mut marks);
            }
            if marks.is_empty() {
                known.remove(name);
            } else {
                known.insert(name.to_owned(), marks);
            }
        }
    }

    fn of(&self, tool: &str) -> Vec<MarkedArgument> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(tool).cloned().unwrap_or_default()
    }
}

/// Finds the marks of a schema, which are on a way of `properties` alone.
fn marks_of(schema: &Value, path: &mut Vec<String>, marks: &mut Vec<MarkedArgument>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if marks.len() >= MOST_MARKS || path.len() >= DEEPEST_MARK {
            return;
        }
        path.push(name.clone());
        let mark = schema.get(MARK).and_then(Value::as_str).filter(|mark| !mark.is_empty());
        let field = mark.and_then(|mark| format!("mcp-param-{mark}").parse().ok());
        marks.extend(field.map(|field| MarkedArgument { path: path.clone(), field }));
        marks_of(schema, path, marks);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outgoing(message: &Value) -> Outgoing {
        Outgoing::read(format!("{message}\n").into_bytes()).unwrap()
    }

    fn fields(message: &Outgoing, of_connection: Option<&str>, marks: &MarkedArguments) -> Value {
        let fields = message.fields(of_connection, marks);
        let text = |(name, value): &(HeaderName, HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().into())
        };
        let mut fields: serde_json::Map<String, Value> = fields.iter().map(text).collect();
        assert_eq!(fields.remove("content-type"), Some(json!("application/json")));
        assert_eq!(fields.remove("accept"), Some(json!("application/json, text/event-stream")));
        fields.into()
    }

    #[test]
    fn kinds_are_told_apart() {
        let call = outgoing(&json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" }));
        assert_eq!(call.kind, OutgoingKind::Request(RequestId::Number(7)));
        let taken = json!({ "method": "notifications/cancelled", "params": { "requestId": 7 } });
        let taken_back = Some(RequestId::Number(7));
        assert_eq!(outgoing(&taken).kind, OutgoingKind::Notification { taken_back });
        assert_eq!(outgoing(&json!({ "id": 1, "result": {} })).kind, OutgoingKind::Answer);
        assert!(Outgoing::read(b"no".to_vec()).is_none());
    }

    #[test]
    fn what_a_session_does_until_it_ends_is_known() {
        let standing = |method: &str| {
            let params = json!({ "uri": "note://a", "level": "info" });
            outgoing(&json!({ "id": 1, "method": method, "params": params })).standing()
        };
        let resource = |begins| Some(("resource note://a".to_owned(), begins));
        assert_eq!(standing("resources/subscribe"), resource(true));
        assert_eq!(standing("resources/unsubscribe"), resource(false));
        assert_eq!(standing("logging/setLevel"), Some(("level".to_owned(), true)));
        assert_eq!(standing("resources/read"), None);
    }

    #[test]
    fn a_list_is_asked_for_in_the_name_of_a_call() {
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": STATELESS });
        let call =
            outgoing(&json!({ "id": 1, "method": "tools/call", "params": { "_meta": meta } }));
        let list = call.list_of_tools(1, Some("a\"b")).unwrap();
        assert!(list.is("tools/list") && list.revision(None) == Some(STATELESS));
        let body: Value = serde_json::from_slice(&list.body).unwrap();
        assert_eq!(body["params"], json!({ "cursor": "a\"b", "_meta": meta }));
        let answer = |cursor: Value| json!({ "result": { "nextCursor": cursor } }).to_string();
        assert_eq!(Outgoing::next_cursor(answer(json!("x")).as_bytes()), Some("x".to_owned()));
        assert_eq!(Outgoing::next_cursor(answer(json!("")).as_bytes()), None);
    }

    #[test]
    fn an_older_revision_has_one_field_and_an_introduction_none() {
        let (marks, call) = (MarkedArguments::default(), json!({ "id": 1, "method": "ping" }));
        assert_eq!(fields(&outgoing(&call), None, &marks), json!({}));
        let old = fields(&outgoing(&call), Some("2025-06-18"), &marks);
        assert_eq!(old, json!({ "mcp-protocol-version": "2025-06-18" }));
    }

    #[test]
    fn the_newest_revision_says_what_is_in_a_message() {
        let marks = MarkedArguments::default();
        let properties = json!({
            "region": { "type": "string", "x-mcp-header": "Region" },
            "deep": { "properties": { "n": { "type": "integer", "x-mcp-header": "N" } } },
            "bad": { "type": "string", "x-mcp-header": "a b" },
        });
        let tools = json!([{ "name": "größe", "inputSchema": { "properties": properties } }]);
        marks.learn(json!({ "id": 1, "result": { "tools": tools } }).to_string().as_bytes());
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": STATELESS });
        let arguments = json!({ "region": " eu", "deep": { "n": 3 }, "bad": "x" });
        let params = json!({ "_meta": meta, "name": "größe", "arguments": arguments });
        let call = outgoing(&json!({ "id": 1, "method": "tools/call", "params": params }));
        assert_eq!(
            fields(&call, Some("2025-11-25"), &marks),
            json!({
                "mcp-protocol-version": STATELESS, "mcp-method": "tools/call",
                "mcp-name": "=?base64?Z3LDtsOfZQ==?=", "mcp-param-region": "=?base64?IGV1?=",
                "mcp-param-n": "3",
            })
        );
    }
}
