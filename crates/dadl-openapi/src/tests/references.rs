//! References, of every kind and in every place.

use super::*;

fn lines_of(document: &Value) -> (Option<ImportedDescriptor>, Vec<String>) {
    let (imported, remarks) = imported_with(document, &ImportOptions::default());
    let lines = remarks.list().iter().map(|it| format!("{} {}: {}", it.kind, it.place, it.message));
    (imported.ok(), lines.collect())
}

#[test]
fn everything_may_be_elsewhere() {
    let mut elsewhere = lower_document(json!({ "$ref": "#/x/paths" }));
    elsewhere["x"] = json!({
        "paths": { "/vms/{id}": { "$ref": "#/x/item", "parameters": { "$ref": "#/x/list" } } },
        "item": { "put": { "$ref": "#/x/put" }, "get": { "$ref": "#/x/get" } },
        "list": [{ "$ref": "#/x/id" }],
        "id": { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } },
        "get": { "operationId": "getVm", "responses": { "$ref": "#/x/responses" } },
        "responses": { "200": { "content": { "$ref": "#/x/file" } } },
        "file": { "application/zip": {} },
        "put": { "operationId": "putVm", "requestBody": { "$ref": "#/x/body" } },
        "body": { "required": true, "content": { "$ref": "#/x/content" } },
        "content": { "application/json": { "$ref": "#/x/media" } },
        "media": { "schema": { "$ref": "#/x/schema" } },
        "schema": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } },
    });
    let (descriptor, _, lines) = import_of(&elsewhere);
    assert!(lines.is_empty(), "{lines:#?}");
    let [get, put] = descriptor.tools.as_slice() else { panic!("{:?}", descriptor.tools) };
    assert_eq!(param(get, "id").kind, ParamKind::Integer);
    assert!(get.response.binary);
    assert!(param(put, "name").required && param(put, "id").required);
}

#[test]
fn no_hollow_tool_stays() {
    let (imported, lines) = lines_of(&lower_document(json!({
        "/a": { "get": { "$ref": "ops/a.yml" }, "post": { "$ref": "#/x/none" } },
        "/b": { "$ref": "paths/b.yml" },
        "/c": { "get": { "parameters": [{ "$ref": "parameters.yml#/Limit" }] } },
        "/d": { "post": { "requestBody": { "$ref": "#/components/requestBodies/D" } } },
        "/e": { "post": { "requestBody": { "content": { "application/json": { "$ref": "e.yml" } } } } },
        "/f/{id}": { "get": { "parameters": [{ "$ref": "parameters.yml#/Limit" },
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }] } },
    })));
    let text = imported.unwrap().text;
    assert_eq!(text.matches("method: ").count(), 1, "{text}");
    for place in [
        "/paths/~1a/get",
        "/paths/~1a/post",
        "/paths/~1b",
        "/paths/~1c/get/parameters/0",
        "/paths/~1c/get",
        "/paths/~1d/post/requestBody",
        "/paths/~1d/post",
        "/paths/~1e/post/requestBody/content/application~1json",
        "/paths/~1f~1{id}/get/parameters/0",
    ] {
        assert!(
            lines.iter().any(|it| it.starts_with(&format!("lost {place}: "))),
            "{place}\n{lines:#?}"
        );
    }
    assert!(lines.iter().any(|it| it.contains("a document that is no file has no folder")));
}

#[test]
fn headers_and_links_that_lead_nowhere_are_reported() {
    let (_, lines) = lines_of(&lower_document(json!({ "/a": { "get": { "responses": { "200": {
        "description": "ok",
        "headers": { "Link": { "$ref": "#/components/headers/Link" } },
        "links": { "next": { "$ref": "links.yml#/next" } } } } } } })));
    let lost: Vec<&String> = lines.iter().filter(|it| it.starts_with("lost ")).collect();
    assert_eq!(lost.len(), 2, "{lines:#?}");
}

#[test]
fn siblings_count_from_3_1_on() {
    let body = json!({ "type": "object", "properties": {
        "a": { "$ref": "#/components/schemas/A", "type": "integer", "description": "Mine." },
    } });
    let mut old = post(json!({ "application/json": { "schema": body } }));
    old["components"] = json!({ "schemas": { "A": { "type": "string", "description": "Its." } } });
    let (tool_of_old, lines) = tool(&old);
    assert_eq!(param(&tool_of_old, "a").kind, ParamKind::String);
    assert_eq!(said(&tool_of_old, "a"), "Mine.");
    assert!(lines.iter().any(|it| it.contains("`type` beside `$ref` does not count")), "{lines:?}");
    old["openapi"] = json!("3.1.0");
    old["components"]["schemas"]["A"] = json!({ "minimum": 1 });
    let (tool_of_new, lines) = tool(&old);
    assert_eq!(param(&tool_of_new, "a").kind, ParamKind::Integer);
    assert!(lines.iter().all(|it| !it.contains("beside")), "{lines:?}");
}

#[test]
fn a_path_item_has_its_own_words_and_those_it_refers_to() {
    let mut both =
        lower_document(json!({ "/a": { "$ref": "#/x/item", "get": { "operationId": "mine" } } }));
    both["x"] = json!({ "item": {
        "get": { "operationId": "its" }, "post": { "operationId": "more" } } });
    let (descriptor, _, lines) = import_of(&both);
    let names: Vec<&str> = descriptor.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["mine", "more"]);
    assert!(lines.iter().any(|it| it.starts_with("lost /paths/~1a/get: ")), "{lines:?}");
    both["x"]["item"] = json!({ "$ref": "#/paths/~1a" });
    let (_, lines) = lines_of(&both);
    assert!(lines.iter().any(|it| it.contains("in a circle")), "{lines:?}");
}
