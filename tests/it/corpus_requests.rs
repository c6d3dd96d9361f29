//! Every tool of our descriptors, and of those by others, is called with generated arguments, and the request that leaves is
//! compared with an independent reading of the descriptor: this file reads the YAML itself, and
//! takes requests apart with its own code.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use dadl_descriptor::model::{ParamLocation, ParamRole};
use dadl_mcp::catalog::CatalogEntry;
use percent_encoding::percent_decode_str;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::{
    corpus,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

/// What every file of the files directory holds.
const CONTENT: &[u8] = b"raw\r\n\0bytes";

/// The credential, which some backends take in the query.
const TOKEN: &str = "s3cr3t-of-the-test";

#[derive(serde::Deserialize)]
struct Document {
    backend: Backend,
}

#[derive(serde::Deserialize)]
struct Backend {
    #[serde(default)]
    defaults: Defaults,
    tools: BTreeMap<String, Tool>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Defaults {
    headers: BTreeMap<String, Value>,
    content_type: Option<String>,
    nest_body_keys: bool,
    pagination: Option<Pagination>,
}

#[derive(serde::Deserialize)]
struct Tool {
    method: String,
    path: String,
    content_type: Option<String>,
    nest_body_keys: Option<bool>,
    #[serde(default)]
    params: BTreeMap<String, Param>,
    pagination: Option<Value>,
    #[serde(default)]
    response: Response,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Response {
    binary: bool,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Clone, serde::Deserialize)]
struct Pagination {
    #[serde(default)]
    request: PageRequest,
}

#[derive(Clone, Default, serde::Deserialize)]
#[serde(default)]
struct PageRequest {
    limit_param: Option<String>,
    limit_default: Option<u64>,
}

#[derive(serde::Deserialize)]
struct Param {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "in")]
    place: String,
    default: Option<Value>,
}

/// A request as it came.
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let value = fields.next().map(|(_, value)| value.as_str());
        assert!(fields.next().is_none(), "{name} came twice");
        value
    }
}

/// Takes a request apart.
fn request(text: &str) -> Request {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap().split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let fields =
        lines.map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")));
    let headers = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (method, target) = (method.to_owned(), target.to_owned());
    let request = Request { method, target, headers, body: body.as_bytes().to_vec() };
    assert!(request.header("transfer-encoding").is_none(), "sizes are known");
    request
}

/// Values of one property of an input schema, given where its parameter goes.
fn values(schema: &Value, location: ParamLocation) -> BoxedStrategy<Value> {
    let text = match location {
        // Dots alone are refused, and so are control characters; that has tests of its own.
        ParamLocation::Path => "[^\\p{C}]{0,6}[^\\p{C}.]",
        ParamLocation::Header => "[!-~]([ -~]{0,6}[!-~])?",
        _ => "\\PC{0,8}|[a&=+%#?/;\\[\\]{}\"'\\\\]{1,6}",
    };
    let scalar = prop_oneof![
        text.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    match schema["type"].as_str().unwrap() {
        "string" => text.prop_map(Value::from).boxed(),
        "integer" => prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            Just(json!(9_007_199_254_740_993_u64)),
        ]
        .boxed(),
        "number" => any::<i32>().prop_map(|it| json!(f64::from(it) / 8.0)).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "array" => proptest::collection::vec(scalar, 1..4).prop_map(Value::from).boxed(),
        "object" => proptest::collection::btree_map("[a-z_]{1,5}|[é.\\[ \\]-]{1,3}", scalar, 1..3)
            .prop_map(|members| json!(members))
            .boxed(),
        other => panic!("unknown type {other}"),
    }
}

/// Arguments that fit the listed schema: what is required, and some of the rest.
fn arguments(entry: &CatalogEntry) -> BoxedStrategy<Map<String, Value>> {
    let schema = entry.input_schema();
    let required: BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut all: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
    for (property, schema) in schema["properties"].as_object().unwrap() {
        let known = entry.params.iter().find(|known| known.property == *property).unwrap();
        let location = known.param.location().unwrap_or(ParamLocation::Body);
        // A program of the caller is not sent.
        if matches!(known.param.role, ParamRole::Jq | ParamRole::Wait) {
            continue;
        }
        let is_file = format!("{:?}", known.param.kind) == "FileUrl";
        let values =
            if is_file { Just(json!("upload.bin")).boxed() } else { values(schema, location) };
        let property = property.clone();
        let pair = values.prop_map(move |value| (property.clone(), value));
        all.push(if required.contains(known.property.as_str()) {
            pair.prop_map(Some).boxed()
        } else {
            proptest::option::of(pair).boxed()
        });
    }
    all.prop_map(|pairs| pairs.into_iter().flatten().collect()).boxed()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The pairs of a query or a form.
fn pairs(name: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(|item| pairs(name, item)).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| pairs(&format!("{name}[{key}]"), value))
            .collect(),
        scalar => vec![(name.to_owned(), plain(scalar))],
    }
}

fn split_pairs(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = text
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    all.sort();
    all
}

/// Puts `a.b` into the object `a`.
fn nest(into: &mut Map<String, Value>, name: &str, value: &Value) {
    match name.split_once('.') {
        Some((first, rest)) => {
            let inner = into.entry(first).or_insert_with(|| json!({}));
            nest(inner.as_object_mut().unwrap(), rest, value);
        }
        None => {
            into.insert(name.to_owned(), value.clone());
        }
    }
}

/// The parts of a multipart body: name, file name, content.
fn parts(content_type: &str, body: &[u8]) -> Vec<(String, Option<String>, Vec<u8>)> {
    let boundary = content_type.split("boundary=").nth(1).unwrap().trim_matches('"');
    let find = |from: usize, needle: &[u8]| {
        body[from..].windows(needle.len()).position(|it| it == needle).map(|at| at + from)
    };
    let delimiter = format!("\r\n--{boundary}");
    let mut parts = Vec::new();
    let first = format!("--{boundary}\r\n");
    assert!(body.starts_with(first.as_bytes()));
    let mut at = first.len();
    loop {
        let head_end = find(at, b"\r\n\r\n").unwrap();
        let head = String::from_utf8(body[at..head_end].to_vec()).unwrap();
        let content_end = find(head_end + 2, delimiter.as_bytes()).unwrap();
        let unescape =
            |text: &str| text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
        let field = |key: &str| {
            let from = head.find(&format!("; {key}=\""))? + key.len() + 4;
            Some(unescape(head[from..].split('"').next().unwrap()))
        };
        let content = body[(head_end + 4).min(content_end)..content_end].to_vec();
        parts.push((field("name").unwrap(), field("filename"), content));
        at = content_end + delimiter.len() + 2;
        if &body[content_end + delimiter.len()..at] == b"--" {
            return parts;
        }
    }
}

/// Compares a request with what the descriptor and the arguments say.
fn compare(tool: &Tool, defaults: &Defaults, given: &BTreeMap<String, Value>, request: &Request) {
    assert_eq!(request.method, tool.method);
    let all = with_defaults(tool, defaults, given);
    let (path, query) = tool.path.split_once('?').unwrap_or((&tool.path, ""));
    let (sent_path, sent_query) =
        request.target.split_once('?').unwrap_or((request.target.as_str(), ""));
    compare_path(path, &all, sent_path.strip_prefix("/base").unwrap());

    // Query, headers, body: each value once, and nothing else.
    let of = |place: &str| {
        let place = place.to_owned();
        all.iter().filter(move |(name, _)| {
            let declared = tool.params.get(*name).map(|param| param.place.as_str());
            // What pagination adds goes into the query.
            let fallback = if tool.params.contains_key(*name) { "" } else { "query" };
            // The synthetic file of a body without parameters.
            let fallback = if *name == "file" && fallback == "query" { "body" } else { fallback };
            declared.unwrap_or(fallback) == place
        })
    };
    let mut expected_query = split_pairs(query);
    expected_query.extend(of("query").flat_map(|(name, value)| pairs(name, value)));
    expected_query.sort();
    let mut sent_query = split_pairs(sent_query);
    sent_query.retain(|(_, value)| value != TOKEN);
    assert_eq!(sent_query, expected_query);
    for (name, value) in of("header") {
        let expected = match value {
            Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
            scalar => plain(scalar),
        };
        assert_eq!(request.header(name), Some(expected.as_str()), "{name}");
    }
    let body: BTreeMap<&String, &Value> = of("body").collect();
    let default_type = defaults.content_type.clone().or_else(|| {
        let mut headers = defaults.headers.iter();
        headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, it)| plain(it))
    });
    let kind = tool.content_type.clone().or(default_type).unwrap_or("application/json".into());
    compare_body(tool, defaults, &kind, &body, request);
}

/// Adds the values that nobody gave.
fn with_defaults(
    tool: &Tool,
    defaults: &Defaults,
    given: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let mut all = given.clone();
    for (name, param) in &tool.params {
        if let Some(default) = param.default.as_ref().filter(|default| !default.is_null()) {
            let default = match (param.kind.as_str(), default) {
                ("string", value) => json!(plain(value)),
                (_, Value::String(text)) => serde_json::from_str(text).unwrap(),
                _ => default.clone(),
            };
            all.entry(name.clone()).or_insert(default);
        }
    }
    let is_file = tool.response.binary || tool.response.kind.as_deref() == Some("file_url");
    let paged = match &tool.pagination {
        None if tool.method == "GET" && !is_file => defaults.pagination.clone(),
        Some(Value::Object(_)) if tool.method == "GET" && !is_file => {
            serde_json::from_value(tool.pagination.clone().unwrap()).ok()
        }
        _ => None,
    };
    let (_, query) = tool.path.split_once('?').unwrap_or_default();
    if let Some(PageRequest { limit_param: Some(name), limit_default: Some(limit) }) =
        paged.map(|paged| paged.request)
    {
        let is_fixed = split_pairs(query).iter().any(|(fixed, _)| *fixed == name);
        let is_required = tool.params.get(&name).is_some_and(|param| param.place != "query");
        if !is_fixed && !is_required {
            all.entry(name).or_insert(json!(limit));
        }
    }
    all
}

/// Compares segment by segment.
fn compare_path(path: &str, all: &BTreeMap<String, Value>, sent_path: &str) {
    let (template, sent): (Vec<&str>, Vec<&str>) =
        (path.split('/').collect(), sent_path.split('/').collect());
    assert_eq!(sent.len(), template.len(), "{sent_path}");
    for (segment, pattern) in sent.iter().zip(template) {
        let mut expected = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').unwrap();
            expected.push_str(&decode(before));
            expected.push_str(&plain(&all[name]));
            rest = tail;
        }
        expected.push_str(&decode(rest));
        assert_eq!(decode(segment), expected);
    }
}

fn compare_body(
    tool: &Tool,
    defaults: &Defaults,
    kind: &str,
    body: &BTreeMap<&String, &Value>,
    request: &Request,
) {
    let is_file = |name: &str| tool.params.get(name).is_none_or(|it| it.kind == "file_url");
    if body.is_empty() {
        assert!(request.body.is_empty(), "{:?}", String::from_utf8_lossy(&request.body));
        assert_eq!(request.header("content-type"), None);
        return;
    }
    let nested = tool.nest_body_keys.unwrap_or(defaults.nest_body_keys);
    let mut object = Map::new();
    for (name, value) in body {
        if nested {
            nest(&mut object, name, value);
        } else {
            object.insert((*name).clone(), (*value).clone());
        }
    }
    let sent_type = request.header("content-type").unwrap();
    let essence = kind.split(';').next().unwrap().trim();
    if essence == "multipart/form-data" {
        assert!(sent_type.starts_with("multipart/form-data; boundary="), "{sent_type}");
        let mut sent = parts(sent_type, &request.body);
        let mut expected = Vec::new();
        for (name, value) in &object {
            if is_file(name) {
                expected.push((name.clone(), Some("upload.bin".to_owned()), CONTENT.to_vec()));
                continue;
            }
            let items = match value {
                Value::Array(items) => items.clone(),
                other => vec![other.clone()],
            };
            for item in items {
                expected.push((name.clone(), None, plain(&item).into_bytes()));
            }
        }
        sent.sort();
        expected.sort();
        assert_eq!(sent, expected);
    } else if body.keys().any(|name| is_file(name)) {
        assert_eq!(body.len(), 1);
        assert_eq!(request.body, CONTENT);
    } else if essence == "application/x-www-form-urlencoded" {
        assert_eq!(sent_type, essence);
        let mut expected: Vec<(String, String)> =
            object.iter().flat_map(|(name, value)| pairs(name, value)).collect();
        expected.sort();
        assert_eq!(split_pairs(std::str::from_utf8(&request.body).unwrap()), expected);
    } else if essence == "application/json" || essence.ends_with("+json") {
        assert_eq!(sent_type.split(';').next(), Some(essence));
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(sent, Value::Object(object));
    } else {
        let value = body.values().next().unwrap();
        assert_eq!((body.len(), String::from_utf8_lossy(&request.body)), (1, plain(value).into()));
    }
}

/// Calls each tool, more than once; returns how many there are.
fn send_what_they_say(texts: corpus::Texts) -> usize {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut tools, calls) = (0, Cell::new(0));
    for (name, text) in texts {
        let text = String::from_utf8(text).unwrap();
        if text.contains("type: jsonrpc") {
            continue;
        }
        // Real files use one alias very often.
        let options = serde_saphyr::options! { budget: None };
        let document: Document = serde_saphyr::from_str_with_options(&text, options).unwrap();
        let nothing = Answer::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
        let upstream = runtime.block_on(Upstream::start(vec![nothing]));
        let url = format!("http://{}/base", upstream.address);
        let token = Fixed(Ok(TOKEN.to_owned()));
        let harness = runtime.block_on(async {
            Harness::new(&text, &url, token, |settings| {
                settings.max_response_bytes = 1000;
            })
        });
        let files = harness.executor.files().directory();
        std::fs::create_dir_all(files).unwrap();
        std::fs::write(files.join("upload.bin"), CONTENT).unwrap();
        for entry in harness.gate.catalog().entries() {
            let Some(tool) = document.backend.tools.get(entry.declared_name()) else { continue };
            tools += 1;
            // Each argument has its own parameter, whatever its name had to be changed to.
            let wire: BTreeSet<&str> =
                entry.params.iter().map(|known| known.param.name.as_str()).collect();
            assert!(tool.params.keys().all(|declared| wire.contains(declared.as_str())));
            let config = Config { cases: 3, failure_persistence: None, ..Config::default() };
            let result = TestRunner::new(config).run(&arguments(entry), |arguments| {
                calls.set(calls.get() + 1);
                let given: BTreeMap<String, Value> = arguments
                    .iter()
                    .map(|(property, value)| {
                        let known = entry.params.iter().find(|it| it.property == *property);
                        (known.unwrap().param.name.clone(), value.clone())
                    })
                    .collect();
                let call = harness.call(&entry.name, Value::Object(arguments));
                let outcome = runtime.block_on(call);
                let requests = upstream.take();
                prop_assert_eq!(requests.len(), 1, "{:?}", outcome.err());
                compare(tool, &document.backend.defaults, &given, &request(&requests[0]));
                Ok(())
            });
            if let Err(failure) = result {
                let text = failure.to_string();
                panic!("{name}: {}: {}", entry.name, text.chars().take(3000).collect::<String>());
            }
        }
    }
    assert!(calls.get() >= 3 * tools, "{tools} tools, {} calls", calls.get());
    tools
}

#[test]
fn every_tool_of_ours_sends_what_its_descriptor_says() {
    let tools = send_what_they_say(corpus::plain());
    assert!(tools >= 20, "{tools}");
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn every_tool_sends_what_its_descriptor_says() {
    let tools = send_what_they_say(corpus::corpus());
    assert!(tools > 3200, "{tools}");
}
