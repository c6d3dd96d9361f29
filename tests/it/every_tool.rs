//! Every tool of the Xen Orchestra descriptor is called against the simulator, and the request
//! that leaves is compared with an independent reading of the descriptor: this file reads the YAML
//! itself, and decodes requests with its own code.

use std::{collections::BTreeMap, time::Duration};

use dadl_descriptor::model::Tool;
use dadl_simulator::{RecordedRequest, SimulatorOptions, XenOrchestra};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::harness::{Fixed, Harness};

const DESCRIPTOR: &str = include_str!("../../dadl/xen-orchestra.dadl");

/// What goes into a string argument: everything that encodings get wrong.
const STRINGS: &[&str] = &[
    "plain",
    "a/b",
    "../../x",
    "a b",
    "100%",
    "%2e%2e",
    "a?b#c&d=e+f;g",
    "\"quoted\" <b>'x'</b>",
    "zürich 東京",
    "🦀",
    "{id}",
    "back\\slash",
    "~.-_",
];

#[derive(serde::Deserialize)]
struct Document {
    backend: Backend,
}

#[derive(serde::Deserialize)]
struct Backend {
    tools: BTreeMap<String, RawTool>,
}

/// A tool as the descriptor has it.
#[derive(serde::Deserialize)]
pub(crate) struct RawTool {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: Option<String>,
    #[serde(default)]
    pub(crate) params: BTreeMap<String, RawParam>,
}

/// A parameter of a tool.
#[derive(serde::Deserialize)]
pub(crate) struct RawParam {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(rename = "in")]
    pub(crate) place: String,
    #[serde(default)]
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
}

/// The tools of the descriptor, read without the library.
pub(crate) fn tools() -> BTreeMap<String, RawTool> {
    serde_saphyr::from_str::<Document>(DESCRIPTOR).unwrap().backend.tools
}

/// A value of the right type; `round` varies it.
fn argument(param: &RawParam, round: usize) -> Value {
    let text = || match round.checked_sub(STRINGS.len()) {
        None => STRINGS[round].to_owned(),
        Some(_) => "0123456789".repeat(1000) + "é/",
    };
    let choices = match param.kind.as_str() {
        "string" => json!([text()]),
        "integer" => json!([0, 1, -1, 9_007_199_254_740_993_u64, u64::MAX, i64::MIN]),
        "number" => json!([0.5, -1.25, 1e21]),
        "boolean" => json!([true, false]),
        "array" => json!([[text(), 7, true], [], [{ "a": text() }]]),
        "object" => json!([{ "key": text() }, { "a": { "b": [1, text()] } }]),
        other => panic!("unknown type {other}"),
    };
    let choices = choices.as_array().unwrap();
    choices[round % choices.len()].clone()
}

struct Run {
    simulator: XenOrchestra,
    harness: Harness,
}

impl Run {
    async fn start() -> Self {
        let options = SimulatorOptions {
            record: true,
            export_size: 1024,
            task_duration: Duration::ZERO,
            ..SimulatorOptions::default()
        };
        let simulator = XenOrchestra::start(options).await.unwrap();
        let token = Fixed(Ok(simulator.token().to_owned()));
        // Streams have no end, and this test calls them often.
        let descriptor = DESCRIPTOR.replace("max_duration: 10s", "max_duration: 1ms");
        assert_ne!(descriptor, DESCRIPTOR);
        // So is what is refused before it is sent.
        let (before, rest) = descriptor.split_once("  filters:\n").unwrap();
        let (_, after) = rest.split_once("  tasks:\n").unwrap();
        let descriptor = format!("{before}  tasks:\n{after}");
        // An upload that is compared with a disk first is another test's matter.
        let (before, rest) = descriptor.split_once("  uploads:\n").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let descriptor = format!("{before}\n{after}");
        let harness = Harness::new(&descriptor, &simulator.url(), token, |_| {});
        let files = harness.executor.files().directory();
        std::fs::create_dir(files).unwrap();
        std::fs::write(files.join("upload.bin"), b"raw bytes").unwrap();
        Self { simulator, harness }
    }

    /// Calls a tool and returns the one request that its arguments made.
    async fn request(&self, name: &str, arguments: Map<String, Value>) -> RecordedRequest {
        // Whether the simulator likes the arguments is not the question here.
        let _ = self.harness.call(name, Value::Object(arguments)).await;
        let mut requests = self.simulator.take_requests();
        // A redirect is followed with a request of its own.
        requests.truncate(1);
        requests.pop().unwrap_or_else(|| panic!("{name} sent nothing"))
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// Checks that `request` is what the descriptor and the arguments say, and nothing more.
fn assert_request(
    name: &str,
    tool: &RawTool,
    arguments: &Map<String, Value>,
    request: &RecordedRequest,
) {
    let context = || format!("{name}({}): {request:?}", Value::Object(arguments.clone()));
    assert_eq!(request.method, tool.method, "{}", context());
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, query),
        None => (request.target.as_str(), ""),
    };
    // Only unreserved characters and escapes: nothing that a server could read another way.
    assert!(
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte)),
        "{}",
        context()
    );
    let template: Vec<&str> = tool.path.split('/').collect();
    let path = path.strip_prefix("/rest/v0").unwrap();
    let segments: Vec<&str> = path.split('/').collect();
    assert_eq!(segments.len(), template.len(), "{}", context());
    for (segment, pattern) in segments.iter().zip(template) {
        let mut expected = pattern.to_owned();
        for (param, value) in arguments {
            if tool.params.get(param).is_some_and(|param| param.place == "path") {
                // Placeholders are replaced once: values may look like placeholders.
                let marker = format!("{{{param}}}");
                if pattern.contains(&marker) {
                    expected = expected.replacen(&marker, value.as_str().unwrap(), 1);
                }
            }
        }
        assert_eq!(decode(segment), expected, "{}", context());
    }
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let mut expected = Vec::new();
    let mut body = Map::new();
    for (param, value) in arguments {
        match tool.params.get(param).map(|param| param.place.as_str()) {
            Some("query") => expected.extend(query_pairs(param, value)),
            Some("body") => {
                body.insert(param.clone(), value.clone());
            }
            _ => {}
        }
    }
    for (name, param) in tool.params.iter().filter(|(_, param)| param.place == "query") {
        if let Some(default) = param.default.as_ref().filter(|_| !arguments.contains_key(name)) {
            expected.extend(query_pairs(name, default));
        }
    }
    pairs.sort();
    expected.sort();
    assert_eq!(pairs, expected, "{}", context());
    match tool.content_type.as_deref() {
        Some(raw) if raw != "application/json" => {
            assert_eq!(&*request.body, b"raw bytes", "{}", context());
            assert_eq!(request.header("content-type"), Some(raw), "{}", context());
        }
        _ if body.is_empty() => {
            assert_eq!(request.body_length, 0, "{}", context());
            assert_eq!(request.header("content-type"), None, "{}", context());
        }
        _ => {
            let sent: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(sent, Value::Object(body), "{}", context());
            assert_eq!(request.header("content-type"), Some("application/json"), "{}", context());
        }
    }
    assert_eq!(request.header("cookie"), Some("authenticationToken=demo-token"), "{}", context());
    assert_eq!(request.header("authorization"), None, "{}", context());
}

fn query_pairs(name: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        // Scalars repeat the key; the members of an object need to know which item is theirs.
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(index, item)| match item {
                Value::Object(_) => query_pairs(&format!("{name}[{index}]"), item),
                scalar => query_pairs(name, scalar),
            })
            .collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| query_pairs(&format!("{name}[{key}]"), value))
            .collect(),
        Value::String(text) => vec![(name.to_owned(), text.clone())],
        Value::Null => Vec::new(),
        other => vec![(name.to_owned(), other.to_string())],
    }
}

/// Calls all tools with arguments that `choose` picks from their parameters.
async fn call_all(choose: impl Fn(&RawParam) -> bool, rounds: usize) {
    let run = Run::start().await;
    let tools = tools();
    assert!(tools.len() >= 260, "{} tools", tools.len());
    for (name, tool) in &tools {
        for round in 0..rounds {
            let mut arguments: Map<String, Value> = tool
                .params
                .iter()
                .filter(|(_, param)| param.required || choose(param))
                .map(|(name, param)| (name.clone(), argument(param, round)))
                .collect();
            // `wait` and `watch` would keep the answer open.
            for blocking in ["wait", "watch"] {
                if arguments.contains_key(blocking) {
                    arguments.insert(blocking.to_owned(), json!(false));
                }
            }
            if tool.content_type.is_some() {
                arguments.insert(Tool::RAW_BODY_PARAM.to_owned(), json!("upload.bin"));
            }
            let request = run.request(name, arguments.clone()).await;
            assert_request(name, tool, &arguments, &request);
        }
    }
}

#[tokio::test]
async fn required_arguments_make_the_right_request() {
    call_all(|_| false, STRINGS.len() + 1).await;
}

#[tokio::test]
async fn all_arguments_make_the_right_request() {
    call_all(|_| true, STRINGS.len() + 1).await;
}

#[tokio::test]
async fn ids_that_would_change_the_path_are_refused() {
    let run = Run::start().await;
    for (name, tool) in tools() {
        for (param, _) in tool.params.iter().filter(|(_, param)| param.place == "path") {
            let alone = tool.path.split('/').any(|segment| segment == format!("{{{param}}}"));
            let refused: &[&str] = if alone { &["", ".", ".."] } else { &[""] };
            for value in refused {
                let mut arguments: Map<String, Value> = tool
                    .params
                    .iter()
                    .filter(|(_, param)| param.required)
                    .map(|(name, param)| (name.clone(), argument(param, 0)))
                    .collect();
                if tool.content_type.is_some() {
                    arguments.insert(Tool::RAW_BODY_PARAM.to_owned(), json!("upload.bin"));
                }
                arguments.insert(param.clone(), json!(value));
                let pending = run.harness.gate.check(&name, arguments);
                let refusal = match pending {
                    Err(refusal) => refusal.to_string(),
                    Ok(pending) => run.harness.executor.dry_run(&pending).unwrap_err().for_model(),
                };
                assert!(refusal.contains(param.as_str()), "{name} {param}={value:?}: {refusal}");
            }
        }
    }
    assert!(run.simulator.take_requests().is_empty());
}

#[tokio::test]
async fn live_tokens_are_hidden() {
    let run = Run::start().await;
    let tokens = run.harness.value("list_auth_tokens", json!({ "id": "me" })).await;
    let tokens = tokens.as_array().unwrap();
    assert!(!tokens.is_empty());
    assert!(tokens.iter().all(|token| token["id"] == "[REDACTED]"), "{tokens:?}");
    let proxies = run.harness.value("list_proxies", json!({ "fields": "*" })).await;
    assert!(proxies.as_array().unwrap().iter().all(|proxy| proxy["url"] == "[REDACTED]"));
}
