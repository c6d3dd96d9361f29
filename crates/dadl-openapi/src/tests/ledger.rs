//! What stands in a document and is in no descriptor is told, and what is mended changes no request.

use dadl_descriptor::FolderError;

use super::*;
use crate::{SiblingFiles, model::BodyEncoding, read_beside};

fn told(document: &Value) -> Vec<String> {
    let (_, remarks) = imported_with(document, &ImportOptions::default());
    remarks.list().iter().map(|it| format!("{} {}: {}", it.kind, it.place, it.message)).collect()
}

fn has(lines: &[String], expected: &str) {
    assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}\n{lines:#?}");
}

#[test]
fn words_that_nobody_reads_are_lost_wherever_they_stand() {
    let schema = json!({ "type": "object", "if": { "required": ["a"] }, "then": { "required": ["b"] },
        "dependentSchemas": { "a": { "properties": { "c": {} } } }, "properties": {
            "a": { "type": "array", "prefixItems": [{}], "items": { "type": "string", "odd": 1 } },
            "b": { "$ref": "#/components/schemas/B" } } });
    let mut document = post(
        json!({ "application/json": { "schema": schema, "itemSchema": { "type": "string" } } }),
    );
    document["openapi"] = json!("3.2.0");
    document["components"] =
        json!({ "schemas": { "B": { "not": { "type": "string" }, "minimun": 1 } } });
    document["servers"][0]["odd"] = json!(1);
    document["paths"]["/vms"]["additionalOperations"] =
        json!({ "COPY": {}, "LINK": {}, "x-no": {} });
    document["paths"]["/vms"]["post"]["parameters"] = json!([{ "name": "q", "in": "query", "odd": 1,
        "schema": { "type": "string" } }]);
    document["paths"]["/vms"]["post"]["responses"] = json!({ "2OO": {}, "200": { "odd": 1,
        "headers": { "Link": { "odd": 1 } } } });
    let lines = told(&document);
    let body = "/paths/~1vms/post/requestBody/content/application~1json";
    for expected in [
        "/servers/0/odd: `odd`",
        "/paths/~1vms/additionalOperations/COPY: a descriptor cannot send COPY",
        "/paths/~1vms/additionalOperations/LINK: a descriptor cannot send LINK",
        "/paths/~1vms/post/parameters/0/odd: `odd`",
        "/paths/~1vms/post/responses/2OO: `2OO`",
        "/paths/~1vms/post/responses/200/odd: `odd`",
        "/paths/~1vms/post/responses/200/headers/Link/odd: `odd`",
        &format!("{body}/itemSchema: `itemSchema`"),
        &format!("{body}/schema/if: `if`"),
        &format!("{body}/schema/then: `then`"),
        &format!("{body}/schema/dependentSchemas: `dependentSchemas`"),
        &format!("{body}/schema/properties/a/prefixItems: `prefixItems`"),
        &format!("{body}/schema/properties/a/items/odd: `odd`"),
        "/components/schemas/B/not: `not`",
        "/components/schemas/B/minimun: `minimun`",
    ] {
        has(&lines, &format!("lost {expected}"));
    }
    assert!(!lines.iter().any(|line| line.contains("x-no")), "{lines:#?}");
    let (api, _) = read_document(document.to_string().as_bytes()).unwrap();
    assert_eq!((api.found, api.operations.len()), (3, 1));
}

/// One file beside a document.
struct File(&'static str);

impl SiblingFiles for File {
    fn name(&self) -> Option<&str> {
        Some("api.json")
    }

    fn bytes(&mut self, _: &str, _: usize) -> Result<Vec<u8>, FolderError> {
        Ok(self.0.as_bytes().to_vec())
    }
}

#[test]
fn a_place_in_another_file_says_the_file() {
    let document =
        post(json!({ "application/json": { "schema": { "$ref": "parts/vm.yaml#/Vm" } } }));
    let mut file =
        File("Vm: {type: object, odd: 1, properties: {a: {wrong: 1}}}\nunused: {odd: 1}\n");
    let (_, remarks) = read_beside(document.to_string().as_bytes(), &mut file).unwrap();
    let mut places: Vec<&str> = remarks.list().iter().map(|it| it.place.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["parts/vm.yaml#/Vm/odd", "parts/vm.yaml#/Vm/properties/a/wrong"]);
}

#[test]
fn words_of_swagger_are_accounted_for_as_well() {
    let mut old = swagger(
        json!({ "/x": { "servers": [], "post": { "schemes": ["http"], "operationId": "addX",
        "parameters": [
            { "name": "a", "in": "query", "type": "string", "pattern": "^[a-z]+$", "style": "form" },
            { "name": "b", "in": "formData", "type": "array", "items": { "type": "string", "odd": 1 }, "odd": 1 },
        ] } } }),
    );
    old["components"] = json!({ "schemas": {} });
    old["odd"] = json!(1);
    old["definitions"] = json!({ "Odd": { "odd": 1 } });
    let lines = told(&old);
    for expected in [
        "/odd: `odd`",
        "/paths/~1x/servers: `servers`",
        "/paths/~1x/post/schemes: the operation is called by http",
        "/paths/~1x/post/parameters/0/style: `style`",
        "/paths/~1x/post/parameters/1/odd: `odd`",
        "/paths/~1x/post/parameters/1/items/odd: `odd`",
    ] {
        has(&lines, &format!("lost {expected}"));
    }
    assert_eq!(lines.iter().filter(|line| line.contains("Odd")).count(), 0, "{lines:?}");
    let (descriptor, _, _) = import_of(&old);
    assert_eq!(said(&descriptor.tools[0], "a"), "Matches `^[a-z]+$`.");
}

#[test]
fn what_the_server_checks_is_in_the_description_or_lost() {
    let long = "[a-z]".repeat(20);
    let schema = json!({ "type": "object", "minProperties": 1, "properties": {
        "code": { "type": "string", "pattern": "^[A-Z]{2}$", "minLength": 2 },
        "size": { "type": "integer", "multipleOf": 512 },
        "tags": { "type": "array", "uniqueItems": true, "items": { "type": "string" } },
        "labels": { "type": "object", "maxProperties": 5 },
        "long": { "type": "string", "pattern": long },
        "inner": { "type": "object", "properties": { "n": { "type": "string", "pattern": "x" } } },
    } });
    let (found, lines) = tool(&post(json!({ "application/json": { "schema": schema } })));
    assert_eq!(said(&found, "code"), "At least 2 characters. Matches `^[A-Z]{2}$`.");
    assert_eq!(said(&found, "size"), "A multiple of 512.");
    assert_eq!(said(&found, "tags"), "Each once.");
    assert_eq!(said(&found, "labels"), "At most 5 members.");
    let body = "lost /paths/~1vms/post/requestBody/content/application~1json";
    has(&lines, &format!("{body}: how many members the body has"));
    has(&lines, &format!("{body}/schema/properties/long/pattern: the pattern is too long"));
    has(&lines, &format!("{body}/schema/properties/inner: what the server checks within"));
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn fields_of_a_form_are_written_as_the_document_says() {
    let schema = json!({ "type": "object", "properties": {
        "colors": { "type": "array", "items": { "type": "string" } },
        "pipes": { "type": "array", "items": { "type": "string" } },
        "range": { "type": "object", "properties": { "from": { "type": "integer" } } },
        "meta": { "type": "object", "properties": { "a": { "type": "integer" } } },
        "link": { "type": "string" },
        "blob": { "type": "string" },
        "plain": { "type": "string" },
    } });
    let encoding = json!({
        "colors": { "explode": false },
        "pipes": { "style": "pipeDelimited" },
        "range": { "style": "form" },
        "meta": { "contentType": "application/json" },
        "link": { "allowReserved": true },
        "blob": { "contentType": "image/png" },
        "plain": { "contentType": "text/plain; charset=utf-8", "headers": { "X-A": {} } },
        "none": {},
    });
    let (found, lines) = tool(&post(
        json!({ "application/x-www-form-urlencoded": { "schema": schema, "encoding": encoding } }),
    ));
    let style = |name: &str| param(&found, name).form.style;
    let listed =
        |between, explode| ParamStyle::Listed { lead: StylePrefix::None, between, explode };
    assert_eq!(style("colors"), listed(ListDelimiter::Comma, false));
    assert_eq!(style("pipes"), listed(ListDelimiter::Pipe, false));
    assert_eq!(style("range"), listed(ListDelimiter::Comma, true));
    assert_eq!((style("meta"), style("plain")), (ParamStyle::Json, ParamStyle::Usual));
    assert!(param(&found, "link").form.allow_reserved);
    let encoding =
        "/paths/~1vms/post/requestBody/content/application~1x-www-form-urlencoded/encoding";
    has(&lines, &format!("lost {encoding}/blob/contentType: a field of a form cannot have"));
    has(&lines, &format!("lost {encoding}/plain/headers: `headers`"));
    has(&lines, &format!("lost {encoding}/none: the form has no field `none`"));
    assert_eq!(lines.len(), 3, "{lines:?}");
    let (_, lines) = tool(&post(
        json!({ "application/json": { "schema": schema, "encoding": { "link": {} } } }),
    ));
    has(&lines, "lost /paths/~1vms/post/requestBody/content/application~1json/encoding: ");
}

#[test]
fn parts_have_the_types_that_the_document_says() {
    let schema = json!({ "type": "object", "properties": {
        "sdp": { "type": "string" },
        "session": { "type": "object", "properties": { "a": { "type": "integer" } } },
        "quoted": { "type": "string" },
        "picture": {},
        "pictures": { "type": "array", "items": {} },
        "any": { "type": "string", "format": "binary" },
        "list": { "type": "array", "items": { "type": "string" } },
    } });
    let encoding = json!({
        "sdp": { "contentType": "application/sdp" },
        "session": { "contentType": "application/json" },
        "quoted": { "contentType": "application/json" },
        "picture": { "contentType": "image/png" },
        "pictures": { "contentType": "image/png, image/jpeg" },
        "any": { "contentType": "application/*" },
        "list": { "style": "form", "explode": false },
    });
    let mut document =
        post(json!({ "multipart/form-data": { "schema": schema, "encoding": encoding } }));
    let (old, lines) = tool(&document);
    let places = ["style", "explode"].map(|key| {
        format!("/paths/~1vms/post/requestBody/content/multipart~1form-data/encoding/list/{key}")
    });
    assert!(places.iter().all(|place| lines.iter().any(|line| line.contains(place))), "{lines:?}");
    assert_eq!(param(&old, "list").form.style, ParamStyle::Usual);
    document["openapi"] = json!("3.1.0");
    let (found, lines) = tool(&document);
    let mime = |name: &str| param(&found, name).form.content_type.as_ref().map(ToString::to_string);
    assert_eq!(mime("sdp").as_deref(), Some("application/sdp"));
    assert_eq!(mime("session").as_deref(), Some("application/json"));
    assert_eq!(mime("picture").as_deref(), Some("image/png"));
    assert_eq!((mime("pictures"), mime("any"), mime("list")), (None, None, None));
    assert_eq!(param(&found, "quoted").form.style, ParamStyle::Json);
    assert_eq!(param(&found, "picture").kind, ParamKind::FileUrl);
    assert!(param(&found, "pictures").form.several);
    assert_eq!(said(&found, "pictures"), "Of the type image/png, image/jpeg.");
    let style = ParamStyle::Listed {
        lead: StylePrefix::None,
        between: ListDelimiter::Comma,
        explode: false,
    };
    assert_eq!(param(&found, "list").form.style, style);
    assert_eq!(lines, [""; 0]);
}

#[test]
fn parameters_say_how_they_are_written() {
    let parameters = json!([
        { "name": "q", "in": "query", "allowReserved": true, "schema": { "type": "string" } },
        { "name": "o", "in": "query", "allowReserved": true, "schema": { "type": "object",
            "properties": { "a": { "type": "string" } } } },
        { "name": "X-A", "in": "header", "allowReserved": true, "schema": { "type": "string" } },
        { "name": "s", "in": "query", "style": "matrix", "schema": { "type": "string" } },
        { "name": "e", "in": "query", "allowEmptyValue": true, "schema": { "type": "integer" } },
        { "name": "t", "in": "query", "allowEmptyValue": true, "schema": { "type": "string" } },
        { "name": "c", "in": "query", "content": { "application/json": { "schema": { "type": "object", "odd": 1 } },
            "text/plain": {} } },
    ]);
    let (found, lines) = tool(&get(parameters));
    assert!(param(&found, "q").form.allow_reserved && param(&found, "a").form.allow_reserved);
    let place = "lost /paths/~1vms/get/parameters";
    for expected in [
        "2/allowReserved: the reserved",
        "3/style: `matrix` is no style of a query",
        "4/allowEmptyValue: `e` may be empty",
        "6/content: `c` has several media types",
        "6/content/application~1json/schema/odd: `odd`",
    ] {
        has(&lines, &format!("{place}/{expected}"));
    }
    assert_eq!(lines.iter().filter(|line| line.starts_with("lost")).count(), 5, "{lines:?}");
}

#[test]
fn what_is_mended_is_the_same_request() {
    // Each with what is right in its place: nothing of the descriptor may be another.
    let parameter = |parameter: Value| get(json!([parameter]));
    let body = |schema: Value| post(json!({ "application/json": { "schema": schema } }));
    let path = |path: &str| {
        lower_document(json!({ path: { "get": { "operationId": "getVm", "parameters": [
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }] } } }))
    };
    let right =
        json!({ "name": "n", "in": "query", "required": true, "schema": { "type": "integer" } });
    let twice = get(json!([right, right]));
    for (wrong, right) in [
        (
            parameter(json!({ "name": "n", "in": "Query", "required": "true", "type": "int" })),
            parameter(right.clone()),
        ),
        (twice, parameter(right)),
        (
            body(
                json!({ "type": "dict", "required": "a", "properties": { "a": { "type": "any" } } }),
            ),
            body(json!({ "type": "object", "required": ["a"], "properties": { "a": {} } })),
        ),
        (
            body(json!({ "required": [null, "a"], "properties": { "a": { "type": "str" } } })),
            body(json!({ "required": ["a"], "properties": { "a": { "type": "string" } } })),
        ),
        (
            body(json!({ "properties": { "a": { "type": "string", "required": true } } })),
            body(json!({ "required": ["a"], "properties": { "a": { "type": "string" } } })),
        ),
        (
            body(json!({ "allOf": { "properties": { "a": { "type": "string" } } } })),
            body(json!({ "allOf": [{ "properties": { "a": { "type": "string" } } }] })),
        ),
        (path("vms/{id}"), path("/vms/{id}")),
        (path("/vms/:id"), path("/vms/{id}")),
        (path("/vms/{id:[0-9]+}"), path("/vms/{id}")),
        (path("/vms/{ id }"), path("/vms/{id}")),
    ] {
        let (_, found, lines) = import_of(&wrong);
        assert!(lines.iter().any(|line| line.starts_with("mended ")), "{wrong}: {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("lost ")), "{wrong}: {lines:?}");
        let (_, expected, _) = import_of(&right);
        assert_eq!(found, expected);
    }
}

#[test]
fn what_was_left_out_is_lost() {
    let body = |schema: Value| told(&post(json!({ "application/json": { "schema": schema } })));
    for schema in [
        json!({ "properties": [] }),
        json!({ "properties": { "a": { "enum": "x" } } }),
        json!({ "properties": { "a": { "type": "strange" } } }),
        json!({ "properties": { "a": 7 } }),
        json!({ "properties": { "a": { "allOf": 1 } } }),
        json!({ "properties": { "a": {} }, "required": 1 }),
        json!({ "properties": { "a": { "items": [{}, {}] } } }),
        json!({ "properties": { "a": { "minimum": "1" } } }),
    ] {
        let lines = body(schema.clone());
        assert!(lines.iter().any(|line| line.starts_with("lost ")), "{schema}: {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("mended ")), "{schema}: {lines:?}");
    }
    let text = r#"{"openapi":"3.0.0","paths":{"/a":{"get":{"summary":"a","summary":"b"}}}}"#;
    let (_, remarks) = read_document(text.as_bytes()).unwrap();
    assert_eq!(remarks.list()[0].kind, RemarkKind::Lost);
}

#[test]
fn a_required_parameter_without_a_place_leaves_no_tool() {
    for parameter in [
        json!({ "name": "q", "in": "nowhere", "required": true, "schema": { "type": "string" } }),
        json!({ "name": "q", "in": "querystring", "required": true, "content": {} }),
        json!({ "in": "query", "required": true, "schema": { "type": "string" } }),
    ] {
        let lines = told(&get(json!([parameter])));
        has(&lines, "lost /paths/~1vms/get/parameters/0: ");
        has(&lines, "lost /paths/~1vms/get: left out, since no call could succeed");
    }
}

#[test]
fn a_default_that_a_check_minds_is_asked_for() {
    let (found, lines) = tool(&get(json!([{ "name": "q", "in": "query", "required": true,
        "schema": { "type": "string", "default": "<|endoftext|>" } }])));
    assert!(param(&found, "q").required && param(&found, "q").default.is_none());
    has(&lines, "lost /paths/~1vms/get/parameters/0: the default of `q` is left out: ");
}

#[test]
fn a_client_certificate_is_what_the_operator_has() {
    let with = |security: Value| {
        let mut document = get(json!([]));
        document["components"] = json!({ "securitySchemes": { "card": { "type": "mutualTLS" },
            "key": { "type": "apiKey", "in": "header", "name": "X-Key" } } });
        document["security"] = security;
        import_of(&document)
    };
    let (descriptor, text, lines) = with(json!([{ "card": [], "key": [] }]));
    assert!(matches!(&descriptor.auth, AuthScheme::Token { .. }));
    assert_eq!(
        descriptor.auth_rules.optional,
        dadl_descriptor::model::auth::rules::OptionalAuth::No
    );
    assert!(text.contains("`client_cert` and `client_key`"), "{text}");
    has(&lines, "changed /components/securitySchemes/card: the API asks for a client certificate");
    assert!(!lines.iter().any(|line| line.starts_with("lost")), "{lines:?}");
    let (descriptor, _, lines) = with(json!([{ "card": [] }]));
    assert_ne!(
        descriptor.auth_rules.optional,
        dadl_descriptor::model::auth::rules::OptionalAuth::No
    );
    assert!(!lines.iter().any(|line| line.starts_with("lost")), "{lines:?}");
    let (_, _, lines) = with(json!({ "key": [] }));
    has(&lines, "lost /security: `security` is no list of schemes");
}

#[test]
fn a_whole_body_says_what_is_in_it() {
    let schema = json!({ "type": "array", "minItems": 1, "items": { "type": "object", "required": ["op"],
        "properties": { "op": { "type": "string" }, "path": { "type": "string" } } } });
    let document = post(json!({ "application/json": { "schema": schema } }));
    let (api, _) = read_document(document.to_string().as_bytes()).unwrap();
    assert!(matches!(api.operations[0].body, BodyEncoding::Raw(_)));
    let (found, lines) = tool(&document);
    assert_eq!(said(&found, "file"), "{op: string, path?: string} At least 1 items.");
    assert_eq!(lines, [""; 0]);
}
