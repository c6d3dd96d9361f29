//! What becomes of small documents, each with one thing in it.

mod access;
mod bodies;
mod differences;
mod ledger;
mod operations;
mod references;
mod schemas;

use dadl_descriptor::{
    check,
    format::format,
    model::{
        AuthScheme, BodyKind, BodyRules, Descriptor, ListDelimiter, Param, ParamKind,
        ParamLocation, ParamStyle, StylePrefix, TokenPlacement, Tool, WholePart,
    },
    source::SourceText,
};
use serde_json::{Value, json};

use super::{
    drift::drift,
    import::{ImportError, ImportOptions, ImportedDescriptor, import_api},
    read_document,
    report::{ImportRemarks, RemarkKind},
};

/// A document with these paths.
fn lower_document(paths: Value) -> Value {
    json!({ "openapi": "3.0.3", "info": { "title": "Example API", "version": "1.2" },
        "servers": [{ "url": "https://api.example.com/v1" }], "paths": paths })
}

fn swagger(paths: Value) -> Value {
    json!({ "swagger": "2.0", "info": { "title": "Old", "version": "1" },
        "host": "old.example.com", "basePath": "/v2/", "schemes": ["http", "https"], "paths": paths })
}

fn imported_with(
    document: &Value,
    options: &ImportOptions,
) -> (Result<ImportedDescriptor, ImportError>, ImportRemarks) {
    let (api, mut remarks) = read_document(document.to_string().as_bytes()).unwrap();
    let imported = import_api(&api, options, &mut remarks);
    (imported, remarks)
}

/// Imports a document, and checks what holds for every one.
fn import_of(document: &Value) -> (Descriptor, String, Vec<String>) {
    let (imported, remarks) = imported_with(document, &ImportOptions::default());
    let text = imported.unwrap().text;
    let source = SourceText::new("t", text.as_str());
    let checked = check(&source);
    let findings: Vec<_> = checked.diagnostics.iter().filter(|it| it.code.0 != "D702").collect();
    assert!(findings.is_empty(), "{text}\n{findings:#?}");
    assert_eq!(format(&source).unwrap(), text, "the layout is another");
    let descriptor = checked.descriptor.unwrap();
    let (api, _) = read_document(document.to_string().as_bytes()).unwrap();
    let found = drift(&descriptor, &api);
    assert!(found.differences.is_empty(), "{text}\n{:#?}", found.differences);
    let lines = remarks.list().iter().map(|it| format!("{} {}: {}", it.kind, it.place, it.message));
    (descriptor, text, lines.collect())
}

/// Returns the tool of a document with one.
fn tool(document: &Value) -> (Tool, Vec<String>) {
    let (descriptor, text, lines) = import_of(document);
    assert_eq!(descriptor.tools.len(), 1, "{text}");
    (descriptor.tools.into_iter().next().unwrap(), lines)
}

fn get(parameters: Value) -> Value {
    lower_document(
        json!({ "/vms": { "get": { "operationId": "listVms", "parameters": parameters } } }),
    )
}

fn post(content: Value) -> Value {
    lower_document(json!({ "/vms": { "post": { "operationId": "createVm",
        "requestBody": { "required": true, "content": content } } } }))
}

fn param<'tool>(tool: &'tool Tool, name: &str) -> &'tool Param {
    let found = tool.params.iter().find(|param| param.name == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {:?}", tool.params))
}

fn said(tool: &Tool, name: &str) -> String {
    param(tool, name).description.clone().unwrap_or_default()
}

/// Reads, imports and compares whatever `bytes` are.
fn holds(bytes: &[u8]) {
    let Ok((api, mut remarks)) = read_document(bytes) else { return };
    match import_api(&api, &ImportOptions::default(), &mut remarks) {
        Ok(imported) => {
            let loaded = check(&SourceText::new("t", imported.text.as_str()));
            let Some(descriptor) = loaded.descriptor else { panic!("{:#?}", loaded.diagnostics) };
            assert_eq!(descriptor.tools.len(), imported.tools);
            let (again, mut other) = read_document(bytes).unwrap();
            let second = import_api(&again, &ImportOptions::default(), &mut other).unwrap();
            assert_eq!(second.text, imported.text);
            // What a check had taken out is missing on one side.
            let was_whole = !remarks.list().iter().any(|it| it.message.contains("is left out: "));
            if was_whole {
                let found = drift(&descriptor, &api).differences;
                assert!(found.is_empty(), "{}\n{found:#?}", imported.text);
            }
        }
        Err(ImportError::Wrong(what)) => panic!("{what}"),
        Err(_) => {}
    }
    assert!(remarks.list().iter().all(|it| it.kind != RemarkKind::Lost || !it.help.is_empty()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        cases: 512,
        ..proptest::prelude::ProptestConfig::default()
    })]

    #[test]
    fn no_change_of_a_document_is_too_much(
        at in 0.0..1.0_f64,
        removed in 0..40_usize,
        inserted in "([-{}\\[\\]\":,/$#a-c0-9]|null|\"type\":){0,6}",
    ) {
        let mut text = dirty().to_string();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
        let at = (at * text.len() as f64) as usize;
        let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = (at + removed..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
        text.replace_range(at..end, &inserted);
        holds(text.as_bytes());
    }

    #[test]
    fn no_name_is_too_odd(name in "\\PC{1,12}", place in "query|header|path|cookie|body") {
        let parameter = json!([{ "name": name, "in": place, "description": name, "schema": { "enum": [name] } }]);
        let odd = lower_document(json!({ format!("/{{{name}}}/x"): { "post": { "operationId": name, "summary": name,
            "parameters": parameter, "tags": [name] } } }));
        holds(odd.to_string().as_bytes());
    }
}

/// A document with something of everything.
fn dirty() -> Value {
    let mut document = lower_document(json!({
        "/vms/{id}": {
            "parameters": [{ "$ref": "#/components/parameters/Id" }],
            "get": { "operationId": "getVm", "parameters": [
                { "name": "fields", "in": "query", "schema": { "type": "array", "items": { "enum": ["a", "b"] } } },
                { "name": "filter", "in": "query", "style": "deepObject", "schema": { "$ref": "#/components/schemas/Vm" } },
                { "name": "page", "in": "query", "type": "integer" },
            ], "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Vm" } } } } } },
            "put": { "operationId": "getVm", "requestBody": { "content": {
                "application/json": { "schema": { "allOf": [{ "$ref": "#/components/schemas/Vm" }, { "required": [null] }] } } } } },
        },
        "/upload": { "post": { "security": [{ "nobody": [] }], "requestBody": { "content": { "multipart/form-data": { "schema": {
            "properties": { "f": { "type": "string", "format": "binary" } } } } } } } },
    }));
    document["components"] = json!({
        "parameters": { "Id": { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } } },
        "schemas": { "Vm": { "type": "object", "required": ["name", null], "properties": {
            "name": { "type": "string", "minLength": 1 }, "parent": { "$ref": "#/components/schemas/Vm" },
            "state": { "oneOf": [{ "type": "string", "enum": ["on"] }, { "type": "null" }] } } } },
        "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "X-Key" } },
    });
    document
}
