//! What is read of schemas and parameters, also of those that are wrong.

use super::*;

#[test]
fn containers_go_where_their_style_sends_them() {
    let array = json!({ "type": "array", "items": { "type": "string" } });
    let object = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let query = |schema: &Value, style: Value| {
        let mut parameter = json!({ "name": "q", "in": "query", "schema": schema });
        parameter.as_object_mut().unwrap().extend(style.as_object().unwrap().clone());
        tool(&get(json!([parameter])))
    };
    let kind = |schema: &Value, style: Value| query(schema, style).0.params[0].kind;
    assert_eq!(kind(&array, json!({})), ParamKind::Array);
    assert_eq!(kind(&array, json!({ "explode": false })), ParamKind::Array);
    assert_eq!(kind(&array, json!({ "style": "pipeDelimited" })), ParamKind::Array);
    assert_eq!(kind(&object, json!({ "style": "deepObject" })), ParamKind::Object);
    let (found, lines) = query(&object, json!({}));
    assert_eq!((found.params[0].name.as_str(), found.params[0].kind), ("a", ParamKind::Integer));
    assert!(lines[0].contains("members of `q` are parameters"), "{lines:?}");
    let joined = ParamStyle::Listed {
        lead: StylePrefix::None,
        between: ListDelimiter::Comma,
        explode: false,
    };
    let (found, _) = query(&array, json!({ "explode": false }));
    assert_eq!((found.params[0].kind, found.params[0].form.style), (ParamKind::Array, joined));
    assert_eq!(found.value_hints["q"]["items"], json!({ "type": "string" }));
    let (found, lines) = query(&json!({ "type": "object" }), json!({}));
    assert_eq!(lines, Vec::<String>::new());
    let style = ParamStyle::Listed {
        lead: StylePrefix::None,
        between: ListDelimiter::Comma,
        explode: true,
    };
    assert_eq!((found.params[0].kind, found.params[0].form.style), (ParamKind::Object, style));
    let (_, lines) = query(&json!({ "type": "object" }), json!({ "style": "nonsense" }));
    assert!(lines[0].starts_with("lost"), "{lines:?}");
    let content = json!([{ "name": "q", "in": "query", "content": { "application/json": { "schema": object } } }]);
    let (found, _) = tool(&get(content));
    assert_eq!(found.params[0].description.as_deref(), Some("{a?: integer} JSON."));
    assert_eq!(
        (found.params[0].kind, found.params[0].form.style),
        (ParamKind::Object, ParamStyle::Json)
    );
    let old = json!({ "/x": { "get": { "parameters": [
        { "name": "csv", "in": "query", "type": "array", "items": { "type": "string" } },
        { "name": "multi", "in": "query", "type": "array", "items": { "type": "string" }, "collectionFormat": "multi" },
    ] } } });
    let (found, _) = tool(&swagger(old));
    assert_eq!(
        (param(&found, "csv").kind, param(&found, "csv").form.style),
        (ParamKind::Array, joined)
    );
    assert_eq!(param(&found, "multi").kind, ParamKind::Array);
}

#[test]
fn what_cannot_be_said_is_reported_with_its_place() {
    for (parameter, expected) in [
        (json!({ "name": "a b", "in": "cookie" }), "lost"),
        (json!({ "name": "a\tb", "in": "query" }), "lost"),
        (json!({ "name": "q", "in": "querystring" }), "lost"),
        (json!({ "name": "Host", "in": "header" }), "lost"),
        (json!({ "name": "ö", "in": "header" }), "lost"),
        (json!({ "name": "Accept", "in": "header" }), "changed"),
        (json!({ "name": "x", "in": "nowhere" }), "lost"),
        (json!({ "in": "query" }), "lost"),
        (json!(null), "lost"),
        (json!({ "$ref": "#/components/parameters/none" }), "lost"),
        (json!({ "$ref": "other.yaml#/x" }), "lost"),
        (json!({ "name": "id", "in": "path", "required": true }), "lost"),
    ] {
        // Beside one that is known, so that a tool stays.
        let known = json!({ "name": "known", "in": "query", "schema": { "type": "string" } });
        let (found, lines) = tool(&get(json!([parameter, known])));
        assert_eq!(found.params.len(), 1, "{parameter}: {:?}", found.params);
        let expected = format!("{expected} /paths/~1vms/get/parameters/0");
        assert!(lines[0].starts_with(&expected), "{parameter}: {lines:?}");
    }
    let methods = json!({ "/x": { "options": {}, "trace": {}, "get": {} }, "/a#b": { "get": {} } });
    let (descriptor, text, lines) = import_of(&lower_document(methods));
    assert_eq!(descriptor.tools.len(), 1);
    assert!(text.contains("# 3 of 4 operations are no tools here."), "{text}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("lost")).count(), 3, "{lines:?}");
}

#[test]
fn plain_mistakes_are_mended() {
    let dirty = json!({ "/vms/{id}/{part:[a-z]+}": { "get": { "operationId": "getVm", "parameters": [
        { "name": "id", "in": "path", "schema": { "type": "str" } },
        { "name": "id", "in": "path", "required": true },
        { "name": "n", "in": "Query", "type": "int", "required": "true" },
    ] } } });
    let (found, lines) = tool(&lower_document(dirty));
    assert_eq!(param(&found, "n").kind, ParamKind::Integer);
    assert!(param(&found, "n").required);
    assert_eq!(param(&found, "part").location(), Some(ParamLocation::Path));
    let text = lines.join("\n");
    for expected in [
        "`str` is not a type of JSON",
        "`id` is declared twice",
        "`{part:[a-z]+}` is not plain",
        "`{part}` is not declared",
        "`id` is not required",
        "`in: Query` was read as `query`",
        "the type stands beside the parameter",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let body = post(json!({ "application/json": { "schema": {
        "required": [null, "name"], "enum": 1, "allOf": {}, "properties": { "name": {}, "odd": 7 } } } }));
    let (found, lines) = tool(&body);
    assert!(param(&found, "name").required);
    // The rest means nothing that could be sent.
    assert_eq!(lines.iter().filter(|line| line.starts_with("mended")).count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("lost")).count(), 3, "{lines:?}");
    let express =
        json!({ "vms/:id": { "get": { "parameters": [{ "name": "id", "in": "path" }] } } });
    assert_eq!(tool(&lower_document(express)).0.path().as_str(), "/vms/{id}");
}

#[test]
fn keys_that_occur_twice_are_reported() {
    let json = r#"{"openapi":"3.0.0","paths":{"/a":{"get":{}},"/b":{"get":{}},"/a":{"post":{"tags":[{},{"x":1,"x":2}]}}}}"#;
    let yaml = "swagger: '2.0'\npaths:\n  /a: {get: {}}\n  /a: {post: {}}\n";
    let places = |text: &str| -> Vec<String> {
        let (_, remarks) = read_document(text.as_bytes()).unwrap();
        let twice = remarks.list().iter().filter(|it| it.message.contains("twice"));
        twice.map(|it| format!("{} {}", it.place, it.message)).collect()
    };
    let found = places(json);
    assert!(found[0].starts_with("/paths/~1a "), "{found:?}");
    assert!(found[1].starts_with("/paths/~1a/post/tags/1/x "), "{found:?}");
    let found = places(yaml);
    assert!(found[0].starts_with(" line 4: "), "{found:?}");
}

#[test]
fn compositions_are_merged() {
    let schema = json!({
        "allOf": [
            { "type": "object", "properties": { "kind": { "type": "string" } } },
            { "required": ["kind"] },
        ],
        "oneOf": [
            { "properties": { "a": { "type": "integer" }, "both": { "type": "string" } }, "required": ["a", "both"] },
            { "properties": { "b": { "anyOf": [{ "type": "string" }, { "type": "null" }] }, "both": { "type": "string" } }, "required": ["both"] },
        ],
    });
    let (found, lines) = tool(&post(json!({ "application/json": { "schema": schema } })));
    let required: Vec<&str> =
        found.params.iter().filter(|it| it.required).map(|it| it.name.as_str()).collect();
    assert_eq!(required, ["kind", "both"]);
    assert_eq!(param(&found, "b").kind, ParamKind::String);
    assert!(lines[0].contains("several forms"), "{lines:?}");
    let several =
        json!({ "properties": { "x": { "oneOf": [{ "type": "string" }, { "type": "object" }] } } });
    let (found, lines) = tool(&post(json!({ "application/json": { "schema": several } })));
    assert_eq!(param(&found, "x").kind.to_string(), "string or object");
    assert_eq!(lines, [""; 0]);
}

#[test]
fn schemas_in_circles_end() {
    let mut circle =
        post(json!({ "application/json": { "schema": { "$ref": "#/components/schemas/A" } } }));
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    circle["components"] = json!({ "schemas": {
        "A": { "type": "object", "properties": { "a": reference("A"), "b": reference("B"), "c": reference("C") },
            "allOf": [reference("A"), reference("A"), reference("C")] },
        "B": { "type": "array", "items": reference("A") },
        "C": { "oneOf": [reference("C"), reference("A")] },
    } });
    let (found, _) = tool(&circle);
    assert_eq!(param(&found, "b").kind, ParamKind::Array);
    circle["paths"]["/vms"]["post"]["requestBody"] =
        json!({ "$ref": "#/components/requestBodies/R" });
    circle["components"]["requestBodies"] =
        json!({ "R": { "$ref": "#/components/requestBodies/R" } });
    let (imported, remarks) = imported_with(&circle, &ImportOptions::default());
    assert!(matches!(imported, Err(ImportError::Nothing)), "no hollow tool stays");
    assert!(remarks.list()[0].message.contains("in a circle"), "{:?}", remarks.list());
}

#[test]
fn a_bomb_of_schemas_is_read_in_part() {
    let mut schemas = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({ "$ref": format!("#/components/schemas/S{}", level + 1) });
        schemas.insert(
            format!("S{level}"),
            json!({ "allOf": [next, next, next], "properties": { "x": next, "y": next } }),
        );
    }
    let mut bomb =
        post(json!({ "application/json": { "schema": { "$ref": "#/components/schemas/S0" } } }));
    bomb["components"] = json!({ "schemas": schemas });
    let (_, lines) = tool(&bomb);
    assert!(lines.iter().any(|line| line.contains("too large")), "{lines:?}");
}

#[test]
fn a_bomb_of_operations_is_read_in_part() {
    let parameters: Vec<Value> = (0..900)
        .map(|n| json!({ "name": format!("p{n}"), "in": "query", "type": "string" }))
        .collect();
    let mut paths = serde_json::Map::new();
    for n in 0..2_000 {
        paths.insert(format!("/p{n}"), json!({ "$ref": "#/components/pathItems/i" }));
    }
    let mut bomb = lower_document(Value::Object(paths));
    bomb["components"] =
        json!({ "pathItems": { "i": { "parameters": parameters, "get": {}, "put": {} } } });
    let (api, remarks) = read_document(bomb.to_string().as_bytes()).unwrap();
    let inputs: usize = api.operations.iter().map(|it| it.inputs.len()).sum();
    assert!(inputs < 101_000, "{inputs}");
    let lost = |it: &crate::report::ImportRemark| it.message.contains("parameters are read");
    assert!(remarks.list().iter().any(lost));
}

#[test]
fn what_is_cut_says_so_with_one_mark() {
    let long = "One thing and another. ".repeat(20);
    let words = "word ".repeat(100);
    let value = "v".repeat(80);
    let members: serde_json::Map<String, Value> =
        (0..80).map(|number| (format!("member_{number}"), json!({ "type": "string" }))).collect();
    let (found, lines) = tool(&get(json!([
        { "name": "sentences", "in": "query", "description": long, "schema": { "enum": ["a"] } },
        { "name": "words", "in": "query", "description": words, "schema": { "enum": ["a"] } },
        { "name": "value", "in": "query", "schema": { "type": "string", "enum": [value, "b"] } },
        { "name": format!("x{}\u{7}", "y".repeat(90)), "in": "cookie", "schema": {} },
        { "name": "members", "in": "query", "content": { "application/json": { "schema":
            { "type": "object", "properties": members } } } },
    ])));
    let said = |name: &str| said(&found, name);
    assert!(said("sentences").ends_with("another. … Always a."), "{}", said("sentences"));
    assert!(said("words").ends_with("word word… Always a."), "{}", said("words"));
    assert_eq!(said("value"), format!("One of {}…, b.", "v".repeat(60)));
    assert!(said("members").contains(", …}"), "{}", said("members"));
    let cookie = lines.iter().find(|line| line.contains("has a space")).unwrap();
    assert!(cookie.contains(&format!("`x{}…`", "y".repeat(79))), "{cookie}");
    assert!(!lines.iter().any(|line| line.contains("..")), "{lines:?}");
}

#[test]
fn required_members_that_nothing_describes_are_parameters() {
    let schema = json!({ "type": "object", "required": ["name", "team_id"], "properties": {
        "name": { "type": "string" } } });
    let (tool, lines) = tool(&post(json!({ "application/json": { "schema": schema } })));
    assert!(param(&tool, "team_id").required);
    assert!(lines.iter().any(|it| it.contains("`team_id` is required and not described")));
    let one_of = json!({ "type": "object", "properties": { "a": { "type": "integer" } },
        "anyOf": [{ "required": ["a"] }, { "required": ["b"] }] });
    let (tool, _) = self::tool(&post(json!({ "application/json": { "schema": one_of } })));
    assert_eq!(param(&tool, "a").kind, ParamKind::Integer);
    assert!(!param(&tool, "a").required && !param(&tool, "b").required);
}
