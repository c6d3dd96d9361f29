//! What an OpenAPI document (3.0, 3.1 or Swagger 2.0) adds to a descriptor: descriptions, hints
//! about values, and shapes of results.
//!
//! The descriptor rules. What it says stays, and nothing of the document decides about a call: it
//! may be older or newer than the server, and a limit that is wrong there would refuse what the
//! server takes. References are followed within the document, to a bounded depth, and nothing is
//! fetched for them.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{
    model::{Descriptor, Location, Method, Param, ParamKind, TYPE_REF, Tool, Types},
    yaml,
};
use crate::json::cost;

/// Larger documents are not read, in bytes.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The values of a document take at most so many bytes of memory; those of a large one by others take a
/// third.
const MAX_TREE: u64 = 512 * 1024 * 1024;

/// A reference leads to a reference at most so often.
const MAX_HOPS: usize = 8;

/// Schemas nest at most so deep.
const MAX_DEPTH: usize = 24;

/// The schemas that are kept have at most so many nodes together.
const MAX_NODES: usize = 100_000;

/// A longer description is cut, in characters: models read it in each conversation.
const MAX_DESCRIPTION: usize = 240;

/// A longer list of values is no help.
const MAX_VALUES: usize = 24;

/// What a kept schema says; the rest only validates.
const KEYWORDS: [&str; 5] = ["type", "required", "enum", "description", "format"];

/// Reads a document, JSON or YAML.
///
/// # Errors
///
/// Says why it is none, in words that follow a colon.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let document: Value = if text.starts_with('{') {
        if cost::of(text) > MAX_TREE {
            return Err("it has too many values or levels".to_owned());
        }
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?
    } else {
        let mut findings = Vec::new();
        match (yaml::parse(text, &mut findings), findings.first()) {
            (Some(root), _) => root.to_json(),
            (None, Some(finding)) => return Err(format!("it is not YAML: {}", finding.message)),
            (None, None) => return Err("it is empty".to_owned()),
        }
    };
    let version = ["openapi", "swagger"].iter().find_map(|key| document.get(key));
    match version.map(|version| version.as_str().map_or(version.to_string(), str::to_owned)) {
        Some(version) if version.starts_with("3.") || version.starts_with("2.") => Ok(document),
        Some(version) => Err(format!("OpenAPI {version} is not known")),
        None => Err("it has neither `openapi` nor `swagger`".to_owned()),
    }
}

/// Adds to `descriptor` what it does not say and `document` does; returns the number of tools that
/// the document knows.
pub(crate) fn enrich(descriptor: &mut Descriptor, document: &Value) -> usize {
    let operations = operations(document);
    let base = base_path(descriptor.base_url.as_deref());
    let mut keeper = Keeper {
        document,
        own: descriptor.types.keys().cloned().collect(),
        types: Types::new(),
        wanted: Vec::new(),
        nodes: 0,
    };
    let mut known = 0;
    // A document has no operation for a JSON-RPC method.
    for tool in descriptor.tools.iter_mut().filter(|tool| tool.rpc.is_none()) {
        let path = tool.path.as_str().split('?').next().unwrap_or_default();
        let found = [path.to_owned(), format!("{base}{path}")]
            .iter()
            .find_map(|path| operations.get(&(tool.method, normalized(path))));
        let Some(operation) = found else { continue };
        known += 1;
        operation.describe(tool, document);
        // A transform makes another shape, and a file or a stream has none.
        let response = &tool.response;
        let is_kept =
            response.transform.is_none() && !response.binary && !response.streaming.is_declared;
        if tool.returns.is_none() && is_kept {
            tool.returns = operation.returns(tool, &mut keeper);
        }
    }
    keeper.follow();
    let types = keeper.types;
    for (name, schema) in types {
        descriptor.types.entry(name).or_insert(schema);
    }
    known
}

/// An operation of the document.
struct Operation<'doc> {
    /// The names in its path, in their order.
    placeholders: Vec<&'doc str>,
    /// Its parameters, references resolved; those of the path item come last.
    parameters: Vec<&'doc Value>,
    content: &'doc Value,
}

/// Returns the operations by method and path; the path also with that of the server before it.
fn operations(document: &Value) -> HashMap<(Method, String), Operation<'_>> {
    let mut operations = HashMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    let server = server_path(document);
    for (path, item) in paths.into_iter().flatten() {
        let item = resolve(document, item);
        for method in Method::ALL {
            let Some(content) = item.get(method.as_str().to_ascii_lowercase()) else { continue };
            let parameters = || {
                let lists = [content.get("parameters"), item.get("parameters")];
                let all = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
                all.map(|parameter| resolve(document, parameter)).collect()
            };
            let placeholders: Vec<&str> = placeholders(path).collect();
            for path in [normalized(path), normalized(&format!("{server}{path}"))] {
                let placeholders = placeholders.clone();
                operations.entry((method, path)).or_insert_with(|| Operation {
                    placeholders,
                    parameters: parameters(),
                    content,
                });
            }
        }
    }
    operations
}

/// Returns the names in braces.
fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

/// Returns a path with the names of its placeholders and a slash at its end left out.
fn normalized(path: &str) -> String {
    let mut parts = path.split('{');
    let mut normalized = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        normalized.push_str("{}");
        normalized.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    normalized.truncate(normalized.trim_end_matches('/').len());
    normalized
}

/// Returns the path of the server, which OpenAPI puts before all paths.
fn server_path(document: &Value) -> String {
    let server = document.pointer("/servers/0/url").or_else(|| document.get("basePath"));
    base_path(server.and_then(Value::as_str))
}

/// Returns the path of a URL, or of what stands for one.
fn base_path(url: Option<&str>) -> String {
    let url = url.unwrap_or_default();
    let after_host = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        // `{HOST}/api`
        None if url.starts_with('{') => {
            url.find('/').and_then(|at| url.get(at..)).unwrap_or_default()
        }
        None => url,
    };
    after_host.trim_end_matches('/').to_owned()
}

/// Follows a reference within the document.
fn resolve<'doc>(document: &'doc Value, mut value: &'doc Value) -> &'doc Value {
    for _ in 0..MAX_HOPS {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        let found = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        value = found.unwrap_or(&Value::Null);
    }
    &Value::Null
}

impl<'doc> Operation<'doc> {
    /// Adds descriptions and hints to a tool and its parameters.
    fn describe(&self, tool: &mut Tool, document: &'doc Value) {
        if tool.description.is_empty()
            && let Some(text) = ["summary", "description"]
                .iter()
                .find_map(|key| description(self.content.get(*key)))
        {
            tool.description = text;
        }
        let positions: HashMap<String, usize> =
            tool.path.placeholders().enumerate().map(|(at, name)| (name.to_owned(), at)).collect();
        let body = self.body(document);
        let mut all_hints = std::mem::take(&mut tool.value_hints);
        for param in &mut tool.params {
            let found = match param.location {
                Location::Body => body.and_then(|body| member(document, body, &param.name, 0)),
                _ => None,
            };
            let found = found.or_else(|| self.parameter(param, positions.get(&param.name)));
            let Some(found) = found else { continue };
            // OpenAPI 3 has the type in `schema`, Swagger 2 beside the name.
            let schema = resolve(document, found.get("schema").unwrap_or(found));
            if param.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
                let texts = [found.get("description"), schema.get("description")];
                param.description = texts.into_iter().find_map(description);
            }
            let hints = hints(param, schema);
            if !hints.is_empty() {
                all_hints.entry(param.name.clone()).or_insert(hints);
            }
        }
        tool.value_hints = all_hints;
    }

    /// Finds the parameter of a path by its place, of a query or header by its name.
    fn parameter(&self, param: &Param, position: Option<&usize>) -> Option<&'doc Value> {
        let (wanted_in, name) = match param.location {
            Location::Path => ("path", *self.placeholders.get(*position?)?),
            Location::Query => ("query", param.name.as_str()),
            Location::Header => ("header", param.name.as_str()),
            Location::Body => ("formData", param.name.as_str()),
            Location::Result | Location::Stream => return None,
        };
        let plain = |name: &str| name.trim_end_matches("[]").to_ascii_lowercase();
        self.parameters.iter().copied().find(|candidate| {
            let is = |key: &str| candidate.get(key).and_then(Value::as_str).unwrap_or_default();
            is("in") == wanted_in
                && if wanted_in == "header" {
                    is("name").eq_ignore_ascii_case(name)
                } else {
                    is("name") == name || (name.ends_with("[]") && plain(is("name")) == plain(name))
                }
        })
    }

    /// Returns the schema of the request body.
    fn body(&self, document: &'doc Value) -> Option<&'doc Value> {
        if let Some(body) = self.content.get("requestBody") {
            return media(resolve(document, body)).map(|schema| resolve(document, schema));
        }
        let is_body = |it: &&&Value| it.get("in").and_then(Value::as_str) == Some("body");
        let body = self.parameters.iter().find(is_body)?;
        body.get("schema").map(|schema| resolve(document, schema))
    }

    /// Returns the shape of the result: of the first 2xx answer in JSON, and in it what the
    /// tool's `result_path` selects.
    fn returns(&self, tool: &Tool, keeper: &mut Keeper<'doc>) -> Option<Value> {
        let document = keeper.document;
        let responses = self.content.get("responses")?.as_object()?;
        let schema = responses.iter().filter(|(status, _)| status.starts_with('2')).find_map(
            |(_, response)| {
                let response = resolve(document, response);
                media(response).or_else(|| response.get("schema"))
            },
        )?;
        let schema = match &tool.response.result_path {
            None => schema,
            Some(path) => select(document, schema, path.as_str())?,
        };
        let kept = keeper.keep(schema, 0)?;
        kept.as_object().is_some_and(|kept| !kept.is_empty()).then_some(kept)
    }
}

/// Returns the schema of JSON, or else of a form, in `content`.
fn media(holder: &Value) -> Option<&Value> {
    let content = holder.get("content")?.as_object()?;
    let is_json = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind == "application/json" || kind.ends_with("+json")
    };
    let is_form = |kind: &str| kind.contains("form");
    let find = |wanted: &dyn Fn(&str) -> bool| {
        content.iter().find(|(kind, _)| wanted(kind)).and_then(|(_, media)| media.get("schema"))
    };
    find(&is_json).or_else(|| find(&is_form))
}

/// Finds a member of an object schema; a dotted name leads into members.
fn member<'doc>(
    document: &'doc Value,
    schema: &'doc Value,
    name: &str,
    depth: usize,
) -> Option<&'doc Value> {
    if depth > MAX_HOPS {
        return None;
    }
    let schema = resolve(document, schema);
    if let Some(found) = schema.get("properties").and_then(|all| all.get(name)) {
        return Some(found);
    }
    let parts = ["allOf", "oneOf", "anyOf"];
    let parts = parts.iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
    if let Some(found) =
        parts.take(MAX_VALUES).find_map(|part| member(document, part, name, depth + 1))
    {
        return Some(found);
    }
    let (first, rest) = name.split_once('.')?;
    let inner = schema.get("properties")?.get(first)?;
    member(document, inner, rest, depth + 1)
}

/// Follows the names and indexes of a JSONPath through schemas.
fn select<'doc>(document: &'doc Value, schema: &'doc Value, path: &str) -> Option<&'doc Value> {
    let mut schema = schema;
    let rest = path.strip_prefix('$')?;
    for part in rest.split('.').skip(1) {
        let (name, index) = match part.split_once('[') {
            Some((name, index)) => (name, Some(index)),
            None => (part, None),
        };
        schema = member(document, schema, name, 0)?;
        match index.map(|index| index.trim_end_matches(']').parse::<i64>()) {
            None => {}
            Some(Ok(_)) => schema = resolve(document, schema).get("items")?,
            Some(Err(_)) => return None,
        }
    }
    let head = rest.split('.').next().unwrap_or_default();
    head.is_empty().then_some(schema)
}

/// Returns a description on one line, cut at a word.
fn description(text: Option<&Value>) -> Option<String> {
    let text = text?.as_str()?;
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() > MAX_DESCRIPTION {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    (!line.is_empty()).then_some(line)
}

/// Returns what the listed schema may say about the values of a parameter, when the document
/// means the same type. Hosts refuse formats that they do not know, so that one only is listed.
fn hints(param: &Param, schema: &Value) -> Map<String, Value> {
    let mut hints = Map::new();
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let same = |kind: &&str| match param.kind {
        ParamKind::Array => *kind == "array",
        ParamKind::Integer => *kind == "integer",
        ParamKind::Number => matches!(*kind, "integer" | "number"),
        ParamKind::String => *kind == "string",
        ParamKind::Boolean | ParamKind::FileUrl | ParamKind::Object => false,
    };
    if !kinds.iter().any(same) {
        return hints;
    }
    let number = |key: &str| schema.get(key).filter(|value| value.is_number()).cloned();
    let mut add = |key: &str, value: Option<Value>| {
        hints.extend(value.map(|value| (key.to_owned(), value)));
    };
    match param.kind {
        ParamKind::Integer | ParamKind::Number => {
            let fits = |value: &Value| {
                let default = param.default.as_ref().and_then(Value::as_f64);
                default.zip(value.as_f64())
            };
            let minimum = number("minimum");
            add("minimum", minimum.filter(|it| fits(it).is_none_or(|(own, least)| own >= least)));
            let maximum = number("maximum");
            add("maximum", maximum.filter(|it| fits(it).is_none_or(|(own, most)| own <= most)));
        }
        ParamKind::String => {
            let values = schema.get("enum").and_then(Value::as_array).filter(|values| {
                let texts = values.iter().all(|it| it.as_str().is_some_and(|it| !it.is_empty()));
                let fits = param.default.as_ref().is_none_or(|default| values.contains(default));
                texts && fits && (1..=MAX_VALUES).contains(&values.len())
            });
            add("enum", values.cloned().map(Value::Array));
            let format = schema.get("format").filter(|format| *format == "date-time");
            add("format", format.cloned());
        }
        ParamKind::Array => {
            let item = schema.get("items").and_then(|items| items.get("type"));
            let plain = ["string", "integer", "number", "boolean"];
            let item = item.and_then(Value::as_str).filter(|kind| plain.contains(kind));
            add("items", item.map(|kind| json!({ "type": kind })));
        }
        ParamKind::Boolean | ParamKind::FileUrl | ParamKind::Object => {}
    }
    hints
}

/// Collects the schemas that results need.
struct Keeper<'doc> {
    document: &'doc Value,
    /// The author's types; those of the document do not replace them.
    own: BTreeSet<String>,
    types: Types,
    /// References that were kept and not followed yet.
    wanted: Vec<&'doc str>,
    nodes: usize,
}

impl<'doc> Keeper<'doc> {
    /// Returns a schema without what only validates; `None` when there is no room.
    fn keep(&mut self, schema: &'doc Value, depth: usize) -> Option<Value> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return None;
        }
        let Value::Object(object) = schema else { return Some(json!({})) };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let Some(name) = type_name(reference) else { return Some(json!({})) };
            if self.own.contains(name) {
                return Some(json!({}));
            }
            self.wanted.push(reference);
            return Some(json!({ "$ref": format!("{TYPE_REF}{name}") }));
        }
        let mut kept = Map::new();
        for (key, value) in object {
            let value = match key.as_str() {
                "description" => description(Some(value)).map(Value::from),
                key if KEYWORDS.contains(&key) => Some(value.clone()),
                "items" | "additionalProperties" if value.is_object() => {
                    Some(self.keep(value, depth + 1).unwrap_or_else(|| json!({})))
                }
                "properties" => value.as_object().map(|properties| {
                    let kept = properties.iter().map(|(name, property)| {
                        let property = self.keep(property, depth + 1);
                        (name.clone(), property.unwrap_or_else(|| json!({})))
                    });
                    Value::Object(kept.collect())
                }),
                "oneOf" | "anyOf" | "allOf" => value.as_array().map(|parts| {
                    let kept = parts.iter().map(|part| self.keep(part, depth + 1));
                    kept.map(|part| part.unwrap_or_else(|| json!({}))).collect()
                }),
                _ => None,
            };
            kept.extend(value.map(|value| (key.clone(), value)));
        }
        Some(Value::Object(kept))
    }

    /// Keeps the schemas that are referred to, and those that these refer to.
    fn follow(&mut self) {
        while let Some(reference) = self.wanted.pop() {
            let Some(name) = type_name(reference) else { continue };
            if self.types.contains_key(name) {
                continue;
            }
            let found = reference.strip_prefix('#').and_then(|it| self.document.pointer(it));
            let schema = found.and_then(|schema| self.keep(schema, 0));
            self.types.insert(name.to_owned(), schema.unwrap_or_else(|| json!({})));
        }
    }
}

/// Returns the name that a reference to a schema of the document ends in.
fn type_name(reference: &str) -> Option<&str> {
    let prefixes = ["#/components/schemas/", "#/definitions/"];
    prefixes.iter().find_map(|prefix| reference.strip_prefix(prefix)).filter(|it| !it.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{load, source::Source};

    fn descriptor(base: &str, tools: &str) -> Descriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: example\n  type: rest\n  \
             base_url: {base}\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  types: {{Own: {{type: string}}}}\n  \
             tools:\n{tools}"
        );
        let loaded = load(&Source::new("t", text));
        loaded.descriptor.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
    }

    const TOOLS: &str = "    get:
      method: GET
      path: /vms/{id}
      description: R.
      params:
        id: {type: string, in: path}
        state: {type: string, in: query}
        n: {type: integer, in: query, default: 5, description: Mine.}
        odd: {type: integer, in: query}
    make:
      method: POST
      path: /vms
      description: W.
      response: {result_path: '$.data[0]'}
      params:
        name: {type: string, in: body}
        disk.size: {type: integer, in: body}
        'tags[]': {type: array, in: query}
";

    const DOCUMENT: &str = r##"{
      "openapi": "3.0.3",
      "servers": [{ "url": "https://example.com/v1" }],
      "paths": {
        "/vms/{uuid}": {
          "parameters": [{ "$ref": "#/components/parameters/Uuid" }],
          "get": {
            "parameters": [
              { "name": "state", "in": "query", "description": "Its\n state.",
                "schema": { "type": "string", "enum": ["on", "off"], "pattern": "o.*" } },
              { "name": "n", "in": "query", "description": "Theirs.",
                "schema": { "type": "integer", "minimum": 6, "maximum": 9 } },
              { "name": "odd", "in": "query", "schema": { "type": "string", "enum": ["a"] } }
            ],
            "responses": { "200": { "$ref": "#/components/responses/Vm" } }
          }
        },
        "/vms": { "post": {
          "parameters": [{ "name": "tags", "in": "query",
            "schema": { "type": "array", "items": { "type": "string" } } }],
          "requestBody": { "content": { "application/json": { "schema": { "allOf": [
            { "$ref": "#/components/schemas/Named" },
            { "properties": { "disk": { "properties": {
              "size": { "type": "integer", "description": "Bytes.", "minimum": 1 } } } } }
          ] } } } },
          "responses": { "201": { "content": { "application/json": { "schema": {
            "properties": { "data": { "type": "array", "items": { "$ref": "#/components/schemas/Vm" } } }
          } } } } }
        } }
      },
      "components": {
        "parameters": { "Uuid": { "name": "uuid", "in": "path", "description": "The id.",
          "schema": { "type": "string", "format": "uuid" } } },
        "responses": { "Vm": { "content": { "application/json; charset=utf-8": {
          "schema": { "$ref": "#/components/schemas/Vm" } } } } },
        "schemas": {
          "Named": { "properties": { "name": { "type": "string", "description": "A name.", "minLength": 1 } } },
          "Own": { "type": "integer" },
          "Vm": { "type": "object", "example": {}, "properties": {
            "id": { "type": "string", "format": "uuid", "nullable": true },
            "own": { "$ref": "#/components/schemas/Own" },
            "host": { "$ref": "#/components/schemas/Host" },
            "far": { "$ref": "https://example.com/x.json" } } },
          "Host": { "properties": { "vms": { "type": "array", "items": { "$ref": "#/components/schemas/Vm" } } } }
        }
      }
    }"##;

    fn enriched(base: &str) -> Descriptor {
        let mut descriptor = descriptor(base, TOOLS);
        let document = parse(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(enrich(&mut descriptor, &document), 2, "{base}");
        descriptor
    }

    #[test]
    fn a_document_of_values_alone_is_not_read() {
        let many = format!(r#"{{"openapi":"3.0.0","x":[{}0]}}"#, "[],".repeat(4_300_000));
        assert!(many.len() < MAX_BYTES);
        assert_eq!(parse(many.as_bytes()).unwrap_err(), "it has too many values or levels");
        let deep =
            format!(r#"{{"openapi":"3.0.0","x":{}{}}}"#, "[".repeat(9_999), "]".repeat(9_999));
        assert_eq!(parse(deep.as_bytes()).unwrap_err(), "it has too many values or levels");
        assert!(parse(br#"{"openapi":"3.0.0","x":[[],[]]}"#).is_ok());
    }

    #[test]
    fn fills_in_what_the_descriptor_does_not_say() {
        let descriptor = enriched("https://example.com/v1");
        let tool = &descriptor.tools[0];
        let texts: Vec<Option<&str>> =
            tool.params.iter().map(|param| param.description.as_deref()).collect();
        assert_eq!(texts, [Some("The id."), Some("Its state."), Some("Mine."), None]);
        let hints = json!(tool.value_hints);
        assert_eq!(hints, json!({ "state": { "enum": ["on", "off"] }, "n": { "maximum": 9 } }));
        let tool = &descriptor.tools[1];
        let texts: Vec<Option<&str>> =
            tool.params.iter().map(|param| param.description.as_deref()).collect();
        assert_eq!(texts, [Some("A name."), Some("Bytes."), None]);
        let hints = json!(tool.value_hints);
        let expected =
            json!({ "disk.size": { "minimum": 1 }, "tags[]": { "items": { "type": "string" } } });
        assert_eq!(hints, expected);
    }

    #[test]
    fn results_refer_to_the_schemas_that_they_need() {
        let descriptor = enriched("https://example.com/v1");
        let vm = Some(json!({ "$ref": "#/$defs/Vm" }));
        assert_eq!(descriptor.tools[0].returns, vm);
        assert_eq!(descriptor.tools[1].returns, vm, "behind the result path");
        let names: Vec<&str> = descriptor.types.keys().map(String::as_str).collect();
        assert_eq!(names, ["Host", "Own", "Vm"]);
        assert_eq!(descriptor.types["Own"], json!({ "type": "string" }), "the author's own stays");
        let expected = json!({ "type": "object", "properties": {
            "id": { "type": "string", "format": "uuid" },
            "own": {},
            "host": { "$ref": "#/$defs/Host" },
            "far": {},
        } });
        assert_eq!(descriptor.types["Vm"], expected);
    }

    #[test]
    fn paths_match_with_and_without_the_path_of_the_server() {
        for base in ["https://other.example/v1", "https://example.com", "'{HOST}/v1/'"] {
            enriched(base);
        }
        let document =
            DOCUMENT.replace("https://example.com/v1", "/").replace("\"/vms", "\"/v1/vms");
        let mut descriptor = descriptor("https://example.com/v1", TOOLS);
        assert_eq!(enrich(&mut descriptor, &parse(document.as_bytes()).unwrap()), 2);
    }

    #[test]
    fn reads_swagger_2_in_yaml() {
        let document = "\
swagger: '2.0'
basePath: /v1
paths:
  /vms:
    post:
      parameters:
        - {in: body, name: body, schema: {$ref: '#/definitions/New'}}
      responses:
        200: {schema: {properties: {data: {type: array, items: {type: string}}}}}
definitions:
  New: {properties: {name: {type: string, description: 'A name.', enum: [a, b]}}}
";
        let mut descriptor = descriptor("https://example.com/v1", TOOLS);
        assert_eq!(enrich(&mut descriptor, &parse(document.as_bytes()).unwrap()), 1);
        let tool = &descriptor.tools[1];
        assert_eq!(tool.params[0].description.as_deref(), Some("A name."));
        assert_eq!(tool.value_hints["name"]["enum"], json!(["a", "b"]));
        assert_eq!(tool.returns, Some(json!({ "type": "string" })));
    }

    #[test]
    fn says_what_is_no_document() {
        for (text, expected) in [
            ("{", "it is not JSON: EOF while parsing an object at line 1 column 1"),
            ("", "it is empty"),
            ("a: [", "it is not YAML: a bracket or brace has no partner"),
            ("{}", "it has neither `openapi` nor `swagger`"),
            ("openapi: 4.0.0", "OpenAPI 4.0.0 is not known"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), expected);
        }
        assert_eq!(parse(b"\xff").unwrap_err(), "it is not UTF-8");
    }

    #[test]
    fn hostile_references_end() {
        let paths = r##""paths":{"/vms":{"post":{"requestBody":{"$ref":"#/components/a"},
            "responses":{"200":{"content":{"application/json":{"schema":
            {"properties":{"data":{"$ref":"#/components/schemas/S"}}}}}}}}}}"##;
        let many: Vec<String> =
            (0..64).map(|n| format!(r##""p{n}":{{"$ref":"#/components/schemas/S"}}"##)).collect();
        let document = format!(
            r##"{{"openapi":"3.1.0",{paths},"components":{{"a":{{"$ref":"#/components/b"}},
            "b":{{"$ref":"#/components/a"}},"schemas":{{"S":{{"items":{{"properties":{{{}}}}},
            "allOf":[{{"$ref":"#/components/schemas/S"}},{{"$ref":"#/components/schemas/S"}}]}}}}}}}}"##,
            many.join(",")
        );
        let mut descriptor = descriptor("https://example.com", TOOLS);
        enrich(&mut descriptor, &parse(document.as_bytes()).unwrap());
        assert!(descriptor.tools[1].returns.is_some());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn no_document_makes_it_panic(
            at in 0..DOCUMENT.len(),
            removed in 0..40_usize,
            inserted in "([-{}\\[\\]\":,/$#a-c0-9]){0,6}",
        ) {
            let mut text = DOCUMENT.to_owned();
            let end = (at + removed).min(text.len());
            text.replace_range(at..end, &inserted);
            if let Ok(document) = parse(text.as_bytes()) {
                enrich(&mut descriptor("https://example.com/v1", TOOLS), &document);
            }
        }
    }
}
