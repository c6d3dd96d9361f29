//! What differs between a descriptor and a document.

use dadl_descriptor::load;

use super::{
    super::{
        drift::{DifferenceKind, DriftReport},
        exceptions::ExceptionFile,
    },
    *,
};

/// A descriptor with these tools.
fn descriptor(tools: &str) -> Descriptor {
    let text = format!(
        "spec: https://dadl.ai/spec/dadl-spec-v0.2.md\nbackend:\n  name: x\n  type: rest\n  \
         description: X.\n  base_url: https://api.example.com/v1\n  \
         auth: {{type: bearer, credential: none}}\n  tools:\n{tools}"
    );
    let loaded = load(&SourceText::new("t", text));
    loaded.descriptor.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

fn compare(tools: &str, document: &Value) -> DriftReport {
    let (api, _) = read_document(document.to_string().as_bytes()).unwrap();
    drift(&descriptor(tools), &api)
}

fn differences(tools: &str, document: &Value) -> Vec<String> {
    let found = compare(tools, document).differences;
    found
        .iter()
        .map(|it| {
            let parameter = it.parameter.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
            format!("{} {}{parameter}: {}", it.what, it.operation, it.message)
        })
        .collect()
}

fn api() -> Value {
    lower_document(json!({
        "/vms": { "get": { "operationId": "listVms", "parameters": [
            { "name": "limit", "in": "query", "schema": { "type": "integer" } },
            { "name": "state", "in": "query", "schema": { "type": "string", "enum": ["on", "off"] } },
        ] } },
        "/vms/{id}": { "get": { "deprecated": true, "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }] } },
        "/vms/{id}.{format}": { "get": { "parameters": [
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
            { "name": "format", "in": "path", "required": true, "schema": { "type": "string", "enum": ["xva", "ova"] } },
        ] } },
    }))
}

#[test]
fn a_descriptor_that_says_the_same_has_no_drift() {
    let same = "    \
    list: {method: GET, path: /vms, access: read, description: L., params: {limit: {type: integer, in: query}, state: {type: string, in: query, description: 'off, on'}}}\n    \
    get: {method: GET, path: '/vms/{uuid}', access: read, deprecated: true, description: G., params: {uuid: {type: string, in: path}}}\n    \
    xva: {method: GET, path: '/vms/{vm}.xva', access: read, description: G., params: {vm: {type: string, in: path}}}\n    \
    ova: {method: GET, path: '/vms/{vm}.ova', access: read, description: G., params: {vm: {type: string, in: path}}}\n";
    assert_eq!(differences(same, &api()), [""; 0]);
}

#[test]
fn each_difference_is_named() {
    let other = "    \
    list: {method: GET, path: /vms, access: read, description: L., params: {limit: {type: string, in: query, required: true}, state: {type: string, in: query, description: 'on, standby'}, offset: {type: integer, in: query}}}\n    \
    get: {method: GET, path: '/vms/{uuid}', access: read, description: G., params: {uuid: {type: string, in: path}}}\n    \
    xva: {method: GET, path: '/vms/{vm}.xva', access: read, description: G., params: {vm: {type: string, in: path}}}\n    \
    make: {method: POST, path: /vms, access: write, description: M.}\n";
    let mut document = api();
    document["paths"]["/srs"] = json!({ "get": { "operationId": "listSrs" } });
    let expected = [
        "missing-operation GET /srs: the descriptor has no tool for it (listSrs)",
        "unknown-parameter GET /vms offset: the API has no such parameter in the query",
        "required GET /vms limit: the API has it optional, the tool required",
        "type GET /vms limit: the API takes integer, the tool string",
        "enum GET /vms state: the descriptions do not name off, and the API does not take standby",
        "unknown-operation POST /vms: the API has the path with GET only",
        "deprecated GET /vms/{id}: the API calls it deprecated, the tool is not marked",
        "enum GET /vms/{id}.{format} format: no tool has ova in its path",
    ];
    assert_eq!(differences(other, &document), expected);
}

#[test]
fn parameters_that_moved_or_were_renamed_are_told_apart() {
    let document = post(json!({ "application/json": { "schema": { "required": ["srId"],
        "properties": { "srId": { "type": "string" }, "size": { "type": "integer" } } } } }));
    let tools = "    \
    make: {method: POST, path: /vms, access: write, description: M., params: {sr_id: {type: string, in: body}, size: {type: integer, in: query}}}\n";
    let expected = [
        "missing-parameter POST /vms srId: the tool lacks the required string in the body; it has `sr_id`",
        "unknown-parameter POST /vms sr_id: the API has no such parameter in the body",
        "place POST /vms size: the API has it in the body, the tool in the query",
    ];
    assert_eq!(differences(tools, &document), expected);
}

#[test]
fn what_is_sent_otherwise_is_no_drift() {
    let document = lower_document(json!({ "/vms": { "post": { "parameters": [
        { "name": "raw", "in": "query", "required": true, "schema": { "type": "boolean" } },
        { "name": "page", "in": "query", "schema": { "type": "integer" } },
        { "name": "X-V", "in": "header", "required": true, "schema": { "type": "string" } },
        { "name": "kind", "in": "query", "required": true, "schema": { "type": "string", "enum": ["a"] } },
    ], "requestBody": { "content": { "application/octet-stream": {} } } } } }));
    let text = "spec: https://dadl.ai/spec/dadl-spec-v0.2.md\nbackend:\n  name: x\n  type: rest\n  \
        description: X.\n  auth: {type: bearer, credential: none}\n  defaults: {headers: {x-v: '1'}}\n  \
        tools:\n    make: {method: POST, path: '/v1/vms?raw=true', access: write, description: M., \
        content_type: application/octet-stream, \
        params: {kind: {type: string, in: query, default: a}}, \
        pagination: {strategy: page, request: {page_param: page}}}\n";
    let descriptor = load(&SourceText::new("t", text)).descriptor.unwrap();
    let (api, _) = read_document(document.to_string().as_bytes()).unwrap();
    let found = drift(&descriptor, &api).differences;
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn exceptions_have_reasons_and_go_stale() {
    let tools = "    list: {method: GET, path: /vms, access: read, description: L., params: {limit: {type: string, in: query}}}\n";
    let found = compare(tools, &api()).differences;
    let whats: Vec<DifferenceKind> = found.iter().map(|it| it.what).collect();
    assert_eq!(
        whats,
        [DifferenceKind::MissingParameter, DifferenceKind::Type, DifferenceKind::MissingOperation]
    );
    let exceptions = ExceptionFile::parse(
        "exceptions:\n  - {difference: type, parameter: lim*, reason: Because.}\n  \
         - {operation: 'GET /vms/{id}.{format}', reason: Later.}\n  \
         - {difference: [enum, place], tool: list, reason: Never.}\n",
    )
    .unwrap();
    let judged = exceptions.judge(&found);
    assert_eq!(judged.left.len(), 1);
    assert_eq!(judged.left[0].parameter.as_deref(), Some("state"));
    assert_eq!(judged.excepted.len(), 2);
    let stale: Vec<(usize, String)> = judged.stale.iter().map(|it| (it.line, it.about())).collect();
    assert_eq!(stale, [(4, "enum, place, tool list".to_owned())]);
}

#[test]
fn files_of_exceptions_are_checked() {
    for (text, expected) in [
        ("a: 1", "1: unknown key `a`"),
        ("exceptions: 1", "1: the file needs a list under `exceptions`"),
        ("[", "1: a bracket or brace has no partner"),
        ("exceptions:\n  - {tool: x}", "2: an exception needs a `reason`"),
        ("exceptions:\n  - {reason: x}", "2: an exception needs at least one of"),
        ("exceptions:\n  - {reason: x, difference: colour}", "2: `colour` is no difference"),
        ("exceptions:\n  - {reason: x, tool: ''}", "2: a pattern is empty"),
        ("exceptions:\n  - {reason: x, tool: a, name: b}", "2: unknown key `name`"),
        ("exceptions:\n  - x", "2: an exception is a mapping"),
    ] {
        let problems = ExceptionFile::parse(text).unwrap_err();
        assert!(
            problems.iter().any(|it| it.to_string().starts_with(expected)),
            "{text}: {problems:?}"
        );
    }
    for text in ["", "# nothing\n", "exceptions:\n", "exceptions: []\n"] {
        assert!(ExceptionFile::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn a_list_of_types_is_that_of_the_document() {
    let types = |schema: Value, types: &str| {
        let document = lower_document(json!({ "/vms": { "get": { "parameters": [
            { "name": "a", "in": "query", "schema": schema },
        ] } } }));
        let (api, _) = read_document(document.to_string().as_bytes()).unwrap();
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2.md\nbackend:\n  name: x\n  type: rest\n  \
             description: X.\n  base_url: https://api.example.com/v1\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    list: {{method: GET, \
             path: /vms, access: read, description: L., params: {{a: {{type: string, in: query}}}}}}\n\
             _dadl_mcp:\n  requests:\n    list: {{params: {{a: {{{types}}}}}}}\n"
        );
        let loaded = load(&SourceText::new("t", text));
        let descriptor = loaded.descriptor.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let found = drift(&descriptor, &api).differences;
        found.into_iter().map(|it| format!("{}: {}", it.what, it.message)).collect::<Vec<_>>()
    };
    let one_of = |kinds: Value| json!({ "type": kinds });
    let none: [&str; 0] = [];
    for (schema, own) in [
        (one_of(json!(["number", "string"])), "type: [number, string]"),
        (one_of(json!(["string", "number"])), "type: [number, string]"),
        // A descriptor may know better which numbers there are.
        (one_of(json!(["string", "number"])), "type: [integer, string]"),
        (one_of(json!(["string", "array", "null"])), "type: [array, string], nullable: true"),
        (one_of(json!(["string", "boolean"])), "type: boolean"),
        (one_of(json!("string")), "type: [string, array], style: form, explode: false"),
        (json!({}), "type: any"),
        (json!({}), "type: [string, boolean]"),
    ] {
        assert_eq!(types(schema.clone(), own), none, "{own}: {schema}");
    }
    for (schema, own, expected) in [
        (
            one_of(json!(["number", "string"])),
            "type: [string, boolean]",
            "type: the API takes string or number, the tool string or boolean",
        ),
        (
            one_of(json!(["boolean", "string", "array"])),
            "type: [string, array]",
            "type: the API takes string or boolean or array, the tool string or array",
        ),
        (one_of(json!("string")), "type: any", "type: the API takes string, the tool any value"),
        (
            one_of(json!("string")),
            "type: [string, array]",
            "type: the API takes string, the tool string or array",
        ),
        (
            one_of(json!(["number", "boolean"])),
            "type: string",
            "type: the API takes number or boolean, the tool string",
        ),
    ] {
        assert_eq!(types(schema.clone(), own), [expected], "{own}: {schema}");
    }
}
