//! Bodies that are no object with members of known names, values of several types, and nulls.

use super::*;

fn body(schema: Value) -> (Tool, Vec<String>) {
    tool(&post(json!({ "application/json": { "schema": schema } })))
}

fn read_rules(tool: &Tool) -> BodyRules {
    tool.http().unwrap().rules
}

#[test]
fn a_map_is_given_whole_or_by_its_members() {
    for schema in [
        json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        json!({ "type": "object", "properties": {}, "additionalProperties": true }),
        json!({ "type": "object" }),
    ] {
        let (found, lines) = body(schema);
        assert_eq!(param(&found, "file").kind.to_string(), "object");
        assert!(!param(&found, "file").required);
        assert_eq!(read_rules(&found), BodyRules { open: true, required: true, only_file: false });
        assert_eq!(lines, [""; 0]);
    }
    let mixed = json!({ "type": "object", "required": ["name"],
        "properties": { "name": { "type": "string" } }, "additionalProperties": {} });
    let (found, lines) = body(mixed);
    assert_eq!((found.params.len(), found.body()), (1, Some(&BodyKind::Json)));
    assert_eq!(read_rules(&found), BodyRules { open: true, ..BodyRules::default() });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_whole_body_has_its_types() {
    for (schema, expected) in [
        (json!({ "type": "array", "items": { "type": "integer" } }), "array"),
        (json!({ "type": "integer" }), "integer"),
        (json!({ "type": "string" }), "string"),
        (json!({ "oneOf": [{ "type": "string" }, { "type": "array" }] }), "string or array"),
        (json!({}), "any value"),
    ] {
        let (found, _) = body(schema);
        let file = param(&found, "file");
        assert_eq!(file.kind.to_string(), expected);
        assert!(file.required && file.form.whole == Some(WholePart::Json));
        assert_eq!(read_rules(&found), BodyRules::default());
    }
    let patch = json!({ "application/json-patch+json": { "schema": { "type": "array" } } });
    let (found, lines) = tool(&post(patch));
    let mime: mime::Mime = "application/json-patch+json".parse().unwrap();
    assert_eq!(found.body(), Some(&BodyKind::Raw(Box::new(mime))));
    assert_eq!(lines, [""; 0]);
    let xml = json!({ "application/xml": { "schema": { "type": "object" } } });
    let (found, _) = tool(&post(xml));
    assert_eq!(param(&found, "file").kind, ParamKind::String);
    assert_eq!(param(&found, "file").form.whole, Some(WholePart::Text));
}

#[test]
fn an_object_or_a_list_of_them_is_given_by_members_or_whole() {
    let item = json!({ "type": "object", "required": ["name"],
        "properties": { "name": { "type": "string" } } });
    let (found, _) = body(json!({ "oneOf": [item, { "type": "array", "items": item }] }));
    assert_eq!(found.body(), Some(&BodyKind::Json));
    let file = param(&found, "file");
    assert_eq!(file.kind.to_string(), "array or object");
    assert!(file.form.whole == Some(WholePart::Json) && !file.required);
    assert!(!param(&found, "name").required);
}

#[test]
fn a_required_body_without_a_required_member_is_never_left_out() {
    let optional = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let content = |media: &str| post(json!({ media: { "schema": optional } }));
    for media in ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let (found, _) = tool(&content(media));
        assert!(read_rules(&found).required, "{media}");
        let mut document = content(media);
        document["paths"]["/vms"]["post"]["requestBody"]["required"] = json!(false);
        assert!(!read_rules(&tool(&document).0).required, "{media}");
    }
    let old = json!({ "/x": { "post": { "parameters": [{ "name": "b", "in": "body",
        "required": true, "schema": optional }] } } });
    assert!(read_rules(&tool(&swagger(old)).0).required);
}

#[test]
fn forms_have_fields_of_any_name_and_several_files() {
    let open = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    for media in ["application/x-www-form-urlencoded", "multipart/form-data"] {
        let (found, lines) = tool(&post(json!({ media: { "schema": open } })));
        assert!(read_rules(&found).open && read_rules(&found).required, "{media}");
        assert_eq!((found.params.len(), lines.len()), (0, 0), "{media}");
    }
    let files = json!({ "multipart/form-data": { "schema": { "type": "object", "required": ["f"],
        "properties": { "f": { "type": "array", "items": { "type": "string", "format": "binary" } } } } } });
    let (found, lines) = tool(&post(files));
    assert!(param(&found, "f").form.several && param(&found, "f").required);
    assert_eq!(lines, [""; 0]);
}

#[test]
fn null_is_a_value_where_the_document_says_so() {
    let (found, _) = body(json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": "string", "nullable": true },
        "b": { "anyOf": [{ "type": "integer" }, { "type": "null" }] },
        "c": { "type": ["string", "null"] },
        "d": { "enum": ["x", null] },
        "e": { "type": "string" },
    } }));
    assert!(found.nulls_declared);
    for (name, expected) in [("a", true), ("b", true), ("c", true), ("d", true), ("e", false)] {
        assert_eq!(param(&found, name).form.nullable, expected, "{name}");
    }
    assert!(param(&found, "a").required);
}

#[test]
fn values_of_several_types_keep_their_kinds() {
    let (found, lines) = body(json!({ "type": "object", "properties": {
        "input": { "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
        "size": { "type": ["number", "string"] },
        "either": { "oneOf": [{ "type": "array" }, { "type": "object" }] },
        "whatever": {},
    } }));
    for (name, expected) in [
        ("input", "string or array"),
        ("size", "string or number"),
        ("either", "array or object"),
        ("whatever", "any value"),
    ] {
        assert_eq!(param(&found, name).kind.to_string(), expected);
    }
    assert_eq!(json!(found.value_hints["input"]), json!({ "items": { "type": "string" } }));
    assert_eq!(lines, [""; 0]);
    let (found, _) = tool(&get(json!([
        { "name": "id", "in": "query", "schema": { "oneOf": [{ "type": "integer" }, { "type": "array" }] } },
        { "name": "X-Any", "in": "header", "schema": {} },
    ])));
    assert_eq!(param(&found, "id").kind.to_string(), "integer or array");
    assert_eq!(param(&found, "X-Any").kind, ParamKind::String);
}

#[test]
fn fields_are_written_as_their_encoding_says() {
    let text = json!({ "type": "string" });
    let (list, object) = (json!({ "type": "array", "items": text }), json!({ "type": "object" }));
    let binary = json!({ "type": "string", "format": "binary" });
    let objects = json!({ "type": "array", "items": object });
    let media = json!({
        "schema": { "type": "object", "properties": { "sdp": text, "session": object, "all": objects,
            "plain": text, "scan": binary, "any": binary, "several": text } },
        "encoding": { "sdp": { "contentType": "application/sdp" },
            "all": { "contentType": "text/yaml" },
            "scan": { "contentType": "image/png", "headers": { "X-A": {} } },
            "any": { "contentType": "image/png, image/*" },
            "several": { "contentType": "text/a, text/b" } },
    });
    let (found, lines) = tool(&post(json!({ "multipart/form-data": media })));
    for (name, expected) in [
        ("sdp", Some("application/sdp")),
        // OpenAPI has no other word for an object.
        ("session", Some("application/json")),
        ("all", Some("text/yaml")),
        ("plain", None),
        ("scan", Some("image/png")),
        ("any", None),
        ("several", Some("text/a")),
    ] {
        let declared = param(&found, name).form.content_type.as_ref().map(AsRef::as_ref);
        assert_eq!(declared, expected, "{name}");
    }
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("/encoding/scan/headers: `headers` is not read"), "{lines:?}");

    let media = json!({
        "schema": { "type": "object", "properties": { "a": list, "b": list, "c": list, "d": text } },
        "encoding": { "a": { "style": "form", "explode": false }, "b": { "style": "pipeDelimited" },
            "c": { "style": "form" }, "d": { "explode": false } },
    });
    let (found, _) = tool(&post(json!({ "application/x-www-form-urlencoded": media })));
    let joined = |between| ParamStyle::Listed { lead: StylePrefix::None, between, explode: false };
    assert_eq!(param(&found, "a").form.style, joined(ListDelimiter::Comma));
    assert_eq!(param(&found, "b").form.style, joined(ListDelimiter::Pipe));
    assert_eq!(param(&found, "c").form.style, ParamStyle::Usual);
    assert_eq!(param(&found, "d").form.style, ParamStyle::Usual);
}

#[test]
fn what_is_reserved_stays_where_the_document_says_so() {
    let parameter = |name: &str, place: &str| json!({ "name": name, "in": place, "allowReserved": true, "schema": { "type": "string" } });
    let (found, _) = tool(&get(json!([parameter("path", "query"), parameter("X-Path", "header")])));
    assert!(param(&found, "path").form.allow_reserved);
    assert!(!param(&found, "X-Path").form.allow_reserved);
}

#[test]
fn a_default_that_gives_orders_is_left_out_alone() {
    let (found, lines) = tool(&post(json!({ "application/json": { "schema": {
        "type": "object", "required": ["prompt"], "properties": { "prompt": {
            "type": "string", "description": "What to go on with.", "default": "<|endoftext|>" } } } } })));
    let prompt = param(&found, "prompt");
    assert!(prompt.required && prompt.default.is_none());
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_field_that_is_no_file_alone_is_told() {
    let binary = json!({ "type": "string", "format": "binary" });
    for (other, is_told) in [
        (json!({ "type": "object", "properties": { "id": { "type": "string" } } }), true),
        (json!({ "type": "integer" }), true),
        (json!({ "type": "array", "items": { "type": "string" } }), true),
        (json!({ "type": "array", "items": binary }), false),
        (json!({ "type": "string" }), false),
    ] {
        let field = json!({ "oneOf": [binary, other] });
        let schema = json!({ "type": "object", "properties": { "video": field } });
        let (_, lines) = tool(&post(json!({ "multipart/form-data": { "schema": schema } })));
        let told = lines.iter().any(|line| line.contains("`video` is a file or something else"));
        assert_eq!(told, is_told, "{lines:?}");
    }
}
