//! Errors of JSON-RPC APIs as callers see them.

use dadl_descriptor::model::template::PathTemplate;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn rpc(lists: Option<&str>) -> RpcMethod {
    RpcMethod {
        path: PathTemplate::parse("/api/v1").unwrap(),
        method: "backup.run".to_owned(),
        codes: vec![(1, "not_found".to_owned()), (10, "invalid_input".to_owned())].into(),
        lists_methods: lists.map(Into::into),
    }
}

fn shown_for(params: Value, code: i64, message: &str, data: Value) -> String {
    let Value::Object(params) = params else { panic!("params are an object") };
    let error = RpcError { code: Some(code), message: message.to_owned(), data: Some(data) };
    api_error(RefusedCall {
        error,
        rpc: &rpc(Some("list_methods")),
        results: &ResponseRules::default(),
        rules: &ErrorRules::default(),
        params: &params,
        property: &|name| name.replace('-', "_"),
        status: 200,
        request: "POST /api/v1 backup.run".to_owned(),
        retry_after: None,
        attempts: 1,
    })
    .to_string()
}

fn shown(code: i64, message: &str, data: Value) -> String {
    shown_for(json!({}), code, message, data)
}

const END: &str = "(POST /api/v1 backup.run)";

#[test]
fn a_method_that_is_not_there_is_named() {
    assert_eq!(
        shown(-32601, "method not found: backup.run", json!("backup.run")),
        format!(
            "[method_not_found] the server has no method `backup.run`: it is too old or too new \
             for this tool; system.listMethods (tool `list_methods`) says which methods it has \
             (code -32601) {END}"
        )
    );
}

#[test]
fn the_codes_of_the_descriptor_go_before_those_of_the_specification() {
    let code = |number| {
        let shown = shown(number, "m", Value::Null);
        shown.split([']', '[']).nth(1).unwrap().to_owned()
    };
    assert_eq!(
        [1, 10, 2, -32700, -32600, -32602, -32603, -32000, -32050, -32100].map(code),
        [
            "not_found",
            "invalid_input",
            "error",
            "invalid_request",
            "invalid_request",
            "invalid_input",
            "internal",
            "internal",
            "internal",
            "error"
        ]
    );
}

#[test]
fn wrong_parameters_are_named() {
    let cases = [
        (
            json!({"errors": [
                {"instancePath": "/remote", "keyword": "type", "message": "must be object"},
                {"instancePath": "", "params": {"missingProperty": "sr-id"}, "message": "must have required property 'sr-id'"},
                {"instancePath": "/job", "params": {"additionalProperty": "x"}, "message": "must NOT have additional properties"},
            ]}),
            "`remote` must be object; `sr_id` must have required property 'sr-id'; \
             `job.x` must NOT have additional properties",
        ),
        (
            json!([{"dataPath": ".remotes['a'].url", "message": "should be string"}]),
            "`remotes.a.url` should be string",
        ),
        (json!([{"property": "@.vm", "message": "must be string"}]), "`vm` must be string"),
        (json!([{"message": "must match"}, "no"]), "must match; no"),
    ];
    for (data, expected) in cases {
        let expected = format!("[invalid_input] invalid parameters: {expected} (code 10) {END}");
        assert_eq!(shown(10, "invalid parameters", data), expected);
    }
    let many: Vec<String> = (0..25).map(|number| format!("e{number}")).collect();
    assert!(shown(10, "m", json!(many)).contains("e19; and 5 more ("));
}

#[test]
fn what_is_missing_is_shown() {
    assert_eq!(
        shown(1, "no such object", json!({"id": "x", "type": "method"})),
        format!(
            "[not_found] no such object; data: {{\"id\":\"x\",\"type\":\"method\"}} (code 1) {END}"
        )
    );
    assert_eq!(
        shown(2, "", json!("n7")),
        format!("[error] the server gave no message; data: n7 (code 2) {END}")
    );
}

#[test]
fn errors_of_the_server_show_a_word_of_their_data() {
    let data = json!({"message": "ENOENT: no such file", "code": "ENOENT", "path": "/run/secret", "stack": "x"});
    assert_eq!(
        shown(-32000, "unknown error from the peer", data),
        format!("[internal] unknown error from the peer: ENOENT: no such file (code -32000) {END}")
    );
    let data = json!({"code": "EACCES", "config": {"url": "https://x"}});
    assert_eq!(shown(-32000, "no", data), format!("[internal] no (EACCES) (code -32000) {END}"));
    assert_eq!(shown(-32603, "no", json!("stack")), format!("[internal] no (code -32603) {END}"));
}

#[test]
fn stacks_are_shown_nowhere() {
    let stacks = [
        "Error: x\n    at run (file:///opt/xo-proxy/app/mixins/backups.mjs:12:34)\n    at async b",
        "x\n    at /opt/xo-proxy/index.js:3:1",
        "x\n    at new Promise (<anonymous>)\n    at y",
        "x\n\tat com.example.Foo.bar(Foo.java:12)",
        "{\"stack\":\"Error: x\\n    at Api.call (/opt/api.mjs:1:2)\"}",
        "x Traceback (most recent call last):\n  File \"/opt/x.py\", line 3, in <module>",
        "Cannot find module 'y'\nRequire stack:\n- /opt/xo-proxy/index.js",
        "x at Object.<anonymous> (/opt/xo.js:10:15)",
        "x\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    ];
    for stack in stacks {
        for code in [-32000, 1, 10, 2, -32602] {
            for (message, data) in [
                (stack, Value::Null),
                ("m", json!(stack)),
                ("m", json!({"stack": stack})),
                ("m", json!({"stackTrace": [stack], "error": {"traceback": stack}})),
                ("m", json!({"inner": {"message": stack, "deep": [stack, {"text": stack}]}})),
                ("m", json!([{"message": stack, "instancePath": "/a"}])),
            ] {
                let shown = shown(code, message, data);
                for secret in ["/opt", "    at ", "Promise", ".java", "processTicks", ".py"] {
                    assert!(!shown.contains(secret), "{secret}: {shown}");
                }
            }
        }
    }
}

#[test]
fn sentences_are_no_stacks() {
    for text in [
        "failed at 10:30:15",
        "look at this: 12",
        "cannot connect at https://xo.example.com:443/api",
        "File \"a.txt\" is missing",
    ] {
        assert_eq!(shown(2, text, Value::Null), format!("[error] {text} (code 2) {END}"));
    }
}

#[test]
fn what_the_caller_sent_as_a_secret_does_not_come_back() {
    let params = json!({
        "token": "t0ken-value",
        "xapi": {"credentials": {"username": "root", "password": "p4ssw0rd"}},
        "remote": {"url": "smb://me:hunter2@domain\\host"},
    });
    let message = "root cannot use p4ssw0rd nor t0ken-value at 's3://AK:SK/x@h/b', nfs://h:/x";
    let shown = shown_for(params, -32000, message, json!({"message": "smb://me:hunter2@h/"}));
    assert_eq!(
        shown,
        format!(
            "[internal] root cannot use [REDACTED] nor [REDACTED] at 's3://[REDACTED]@h/b', \
             nfs://h:/x: smb://[REDACTED]@h/ (code -32000) {END}"
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_error_has_words(message in "\\PC{0,60}", text in "[ -~\\n\\\\:/@(0-9)at]{0,60}") {
        let shown = shown(2, &message, json!({"a": [text.clone()], "errors": [{"message": text}]}));
        prop_assert!(shown.starts_with("[error] ") && shown.ends_with(END));
    }
}
