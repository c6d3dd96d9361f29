//! What a document adds to a descriptor: descriptions, hints about values, and shapes of results.
//!
//! The descriptor rules. What it says stays, and nothing of the document decides about a call: it
//! may be older or newer than the server, and a limit that is wrong there would refuse what the
//! server takes.

use std::sync::Arc;

use dadl_descriptor::model::{Descriptor, Param, ParamKind, ParamLocation, Tool};
use serde_json::{Map, Number, Value, json};

use super::{
    document::DocumentError,
    documents::{DocumentSet, NoSiblings, SiblingFiles},
    matching::{self, PathTargets},
    model::{ApiOperation, OperationInput},
    read::read_for_descriptor,
    results::ResultSchemas,
    schema::ValueShape,
    text,
    text::clean_description,
};

/// So many members of an item are listed.
const MAX_MEMBERS: usize = 12;

/// A longer list of values is no help.
const MAX_VALUES: usize = 24;

/// Adds to `descriptor` what it does not say and the document does; returns the number of tools that
/// the document knows.
///
/// # Errors
///
/// Says why the bytes are no document.
pub fn enrich(descriptor: &mut Descriptor, document: &[u8]) -> Result<usize, DocumentError> {
    enrich_beside(descriptor, document, &mut NoSiblings)
}

/// Does the same with a document that may refer to files beside it.
///
/// # Errors
///
/// Says why the bytes are no document.
pub fn enrich_beside(
    descriptor: &mut Descriptor,
    document: &[u8],
    beside: &mut dyn SiblingFiles,
) -> Result<usize, DocumentError> {
    let documents = DocumentSet::read(document, beside)?;
    let api = read_for_descriptor(&documents);
    let targets = PathTargets::new(&api, descriptor.base_url.as_deref());
    let mut results = ResultSchemas::new(&documents, &descriptor.types);
    let mut known = 0;
    for tool in &mut descriptor.tools {
        let Some(target) = targets.of(tool) else { continue };
        let Some(operation) = api.operations.get(target.operation) else { continue };
        known += 1;
        describe_tool(tool, operation, &target.fixed);
        // A transform makes another shape, and a file or a stream has none.
        let response = &tool.response;
        let is_kept =
            response.transform.is_none() && !response.binary && !response.streaming.is_declared;
        if tool.returns.is_none() && is_kept {
            tool.returns = results.of(tool, &operation.answer).map(Box::new);
        }
    }
    for (name, schema) in results.into_types() {
        descriptor.types.entry(name).or_insert(schema);
    }
    Ok(known)
}

/// Adds descriptions and hints to a tool and its parameters.
fn describe_tool(tool: &mut Tool, operation: &ApiOperation, fixed: &[(usize, String)]) {
    if tool.description.is_empty() {
        let texts = [&operation.summary, &operation.description];
        tool.description =
            texts.into_iter().find_map(|text| clean_description(text)).unwrap_or_default();
    }
    let elsewhere = operation.inputs.iter().filter(|input| input.location != ParamLocation::Path);
    let mut pairs = matching::in_path(tool, operation, fixed);
    pairs.extend(
        elsewhere.filter_map(|input| Some((matching::matching_param(tool, input)?, input))),
    );
    let mut shapes: Vec<(usize, &ValueShape)> =
        pairs.into_iter().filter_map(|(at, input)| Some((at, input.shape.as_deref()?))).collect();
    for (at, param) in tool.params.iter().enumerate() {
        let is_dotted = param.is_in(ParamLocation::Body) && param.name.contains('.');
        if is_dotted && !shapes.iter().any(|(known, _)| *known == at) {
            shapes.extend(nested(&operation.inputs, &param.name).map(|shape| (at, shape)));
        }
    }
    for (at, shape) in shapes {
        let Some(param) = tool.params.get_mut(at) else { continue };
        if param.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
            param.description = shape.description.as_deref().and_then(clean_description);
        }
        widen(param, shape);
        let hints = schema_hints(param, shape);
        if !hints.is_empty() {
            tool.value_hints.entry(param.name.clone()).or_insert(hints);
        }
    }
}

/// Lets through what the server takes and the descriptor does not know.
fn widen(param: &mut Param, shape: &ValueShape) {
    let Some(rules) = param.rules.as_mut().filter(|rules| !rules.choices.is_empty()) else {
        return;
    };
    let theirs = shape.values.iter().filter_map(Value::as_str);
    let mut words = rules.choices.to_vec();
    words.extend(
        theirs.filter(|it| rules.choices.iter().all(|known| known != it)).map(str::to_owned),
    );
    // A text of which the document says no more may be any.
    let is_any = shape.values.is_empty() && shape.kinds.contains(ParamKind::String);
    rules.choices = if is_any { Arc::default() } else { words.into() };
}

/// Returns the shape that a dotted name leads to, from a member of the body on.
fn nested<'api>(inputs: &'api [OperationInput], name: &str) -> Option<&'api ValueShape> {
    let (first, mut rest) = name.split_once('.')?;
    let is_first =
        |input: &&OperationInput| input.location == ParamLocation::Body && input.wire() == first;
    let mut shape = inputs.iter().find(is_first)?.shape.as_deref()?;
    loop {
        let member = |name: &str| shape.members.iter().find(|member| member.name == name);
        if let Some(found) = member(rest) {
            return Some(&found.shape);
        }
        let (next, after) = rest.split_once('.')?;
        shape = &member(next)?.shape;
        rest = after;
    }
}

/// Returns what the listed schema may say about the values of a parameter, when the document
/// means the same type. Hosts refuse formats that they do not know, so that one only is listed.
fn schema_hints(param: &Param, shape: &ValueShape) -> Map<String, Value> {
    let mut hints = Map::new();
    let is_same = match param.kind {
        ParamKind::Array | ParamKind::Integer | ParamKind::String => {
            shape.kinds.contains(param.kind)
        }
        ParamKind::Number => {
            shape.kinds.contains(ParamKind::Integer) || shape.kinds.contains(ParamKind::Number)
        }
        ParamKind::Boolean | ParamKind::FileUrl | ParamKind::Object | ParamKind::Union(_) => false,
    };
    if !is_same {
        return hints;
    }
    let mut add = |key: &str, value: Option<Value>| {
        hints.extend(value.map(|value| (key.to_owned(), value)));
    };
    match param.kind {
        ParamKind::Integer | ParamKind::Number => {
            let default = param.default.as_deref().and_then(Value::as_f64);
            let bound = |limit: &Option<Number>, fits: fn(f64, f64) -> bool| {
                let limit = limit.clone()?;
                let own = default.zip(limit.as_f64());
                own.is_none_or(|(own, limit)| fits(own, limit)).then_some(Value::Number(limit))
            };
            add("minimum", bound(&shape.minimum, |own, least| own >= least));
            add("maximum", bound(&shape.maximum, |own, most| own <= most));
        }
        ParamKind::String => {
            let values = &shape.values;
            let texts = values.iter().all(|it| it.as_str().is_some_and(|it| !it.is_empty()));
            let fits = param.default.as_deref().is_none_or(|default| values.contains(default));
            let is_short = (1..=MAX_VALUES).contains(&values.len());
            add("enum", (texts && fits && is_short).then(|| values.clone().into()));
            let is_time = shape.format.as_deref() == Some("date-time");
            add("format", is_time.then(|| "date-time".into()));
        }
        ParamKind::Array => {
            add("items", shape.items.as_deref().and_then(item_schema));
        }
        ParamKind::Boolean | ParamKind::FileUrl | ParamKind::Object | ParamKind::Union(_) => {}
    }
    hints
}

/// Returns the schema of an item, with the members of an object and no more.
fn item_schema(shape: &ValueShape) -> Option<Value> {
    let kind = only_kind(shape)?;
    if kind == ParamKind::Array {
        return None;
    }
    let mut schema = Map::from_iter([("type".to_owned(), json!(text::kind_word(kind)))]);
    if kind == ParamKind::Object {
        let kinds = shape.members.iter().filter_map(|it| Some((&it.name, only_kind(&it.shape)?)));
        let members: Map<String, Value> = kinds
            .take(MAX_MEMBERS)
            .map(|(name, kind)| (name.clone(), json!({ "type": text::kind_word(kind) })))
            .collect();
        schema.insert("properties".to_owned(), members.into());
    }
    Some(schema.into())
}

/// Returns the type of a value that has one.
fn only_kind(shape: &ValueShape) -> Option<ParamKind> {
    match shape.kinds.iter().collect::<Vec<_>>().as_slice() {
        [ParamKind::Integer, ParamKind::Number] => Some(ParamKind::Number),
        [one] => Some(*one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::{load, model::ValueRules, source::SourceText};

    use super::*;

    fn descriptor(base: &str, tools: &str) -> Descriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\nbackend:\n  name: example\n  type: rest\n  \
             base_url: {base}\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  types: {{Own: {{type: string}}}}\n  \
             tools:\n{tools}"
        );
        let loaded = load(&SourceText::new("t", text));
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
        assert_eq!(enrich(&mut descriptor, DOCUMENT.as_bytes()).unwrap(), 2, "{base}");
        descriptor
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
    fn words_that_the_server_takes_are_not_refused() {
        let choices = |document: &str| {
            let mut descriptor = descriptor("https://example.com/v1", TOOLS);
            let rules = ValueRules { choices: ["on".to_owned()].into(), ..ValueRules::default() };
            descriptor.tools[0].params[1].rules = Some(Box::new(rules));
            enrich(&mut descriptor, document.as_bytes()).unwrap();
            descriptor.tools[0].params[1].rules.clone().unwrap().choices.to_vec()
        };
        assert_eq!(choices(DOCUMENT), ["on", "off"]);
        assert_eq!(choices(&DOCUMENT.replace(r#""enum": ["on", "off"], "#, "")), [""; 0]);
        assert_eq!(choices(&DOCUMENT.replace("\"state\"", "\"status\"")), ["on"]);
    }

    #[test]
    fn a_list_says_what_it_has() {
        let items = |items: Value| {
            let document = DOCUMENT.replace(
                r#""schema": { "type": "array", "items": { "type": "string" } }"#,
                &format!(r#""schema": {{ "type": "array", "items": {items} }}"#),
            );
            assert_ne!(document, DOCUMENT);
            let mut filled = descriptor("https://example.com/v1", TOOLS);
            enrich(&mut filled, document.as_bytes()).unwrap();
            filled.tools[1].value_hints.get("tags[]").map(|hints| hints["items"].clone())
        };
        let object = json!({ "type": "object", "properties": {
            "a": { "type": "string" },
            "b": { "type": "array", "items": { "type": "string" } },
            "c": {},
            "d": { "oneOf": [{ "type": "integer" }, { "type": "number" }] },
        } });
        let expected = json!({ "type": "object", "properties": {
            "a": { "type": "string" }, "b": { "type": "array" }, "d": { "type": "number" },
        } });
        assert_eq!(items(object), Some(expected));
        let number = json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }] });
        assert_eq!(items(number), Some(json!({ "type": "number" })));
        for unknown in
            [json!({}), json!({ "type": "array" }), json!({ "type": ["string", "integer"] })]
        {
            assert_eq!(items(unknown), None);
        }
    }

    #[test]
    fn results_refer_to_the_schemas_that_they_need() {
        let descriptor = enriched("https://example.com/v1");
        let vm = Some(json!({ "$ref": "#/$defs/Vm" }));
        assert_eq!(descriptor.tools[0].returns.as_deref(), vm.as_ref());
        assert_eq!(descriptor.tools[1].returns.as_deref(), vm.as_ref(), "behind the result path");
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
        assert_eq!(enrich(&mut descriptor, document.as_bytes()).unwrap(), 2);
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
        assert_eq!(enrich(&mut descriptor, document.as_bytes()).unwrap(), 1);
        let tool = &descriptor.tools[1];
        assert_eq!(tool.params[0].description.as_deref(), Some("A name."));
        assert_eq!(tool.value_hints["name"]["enum"], json!(["a", "b"]));
        assert_eq!(tool.returns.as_deref(), Some(&json!({ "type": "string" })));
    }

    #[test]
    fn the_server_of_a_document_is_read_as_import_reads_it() {
        let variable = DOCUMENT.replace(
            "https://example.com/v1\" }",
            "https://{host}/{v}\", \"variables\": {
                \"host\": { \"default\": \"example.com\" }, \"v\": { \"default\": \"v1\" } } }",
        );
        let mut filled = descriptor("https://example.com", &TOOLS.replace("/vms", "/v1/vms"));
        assert_eq!(enrich(&mut filled, variable.as_bytes()).unwrap(), 2);
        let swagger = r#"{"swagger": "2.0", "host": "example.com", "basePath": "/v1/",
            "paths": {"/vms": {"post": {}}}}"#;
        let mut filled = descriptor("https://example.com", &TOOLS.replace("/vms", "/v1/vms"));
        assert_eq!(enrich(&mut filled, swagger.as_bytes()).unwrap(), 1);
    }

    #[test]
    fn an_answer_for_all_other_statuses_is_no_result() {
        let error = DOCUMENT.replace("\"200\"", "\"default\"");
        let mut filled = descriptor("https://example.com/v1", TOOLS);
        assert_eq!(enrich(&mut filled, error.as_bytes()).unwrap(), 2);
        assert_eq!(filled.tools[0].returns, None);
    }

    #[test]
    fn references_and_marks_are_read_as_import_reads_them() {
        let document = DOCUMENT
            .replace("schemas/Named\"", "schemas/N%61med\"")
            .replace("A name.", "A <b>name</b> of *the* [VM](https://example.com/vm).");
        let mut filled = descriptor("https://example.com/v1", TOOLS);
        enrich(&mut filled, document.as_bytes()).unwrap();
        let text = filled.tools[1].params[0].description.as_deref();
        assert_eq!(text, Some("A name of *the* VM."));
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
        enrich(&mut descriptor, document.as_bytes()).unwrap();
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
            // Most of them are no document.
            let _ = enrich(&mut descriptor("https://example.com/v1", TOOLS), text.as_bytes());
        }
    }
}
