//! Imported documents, called with the program: what of their security and their cookies arrives.

use std::{fs, process::Command};

use dadl_descriptor::{load, source::SourceText};
use serde_json::{Value, json};

use crate::upstream::{Answer, Upstream};

/// A document that was imported, and the API that it is about.
struct Imported {
    home: tempfile::TempDir,
    upstream: Upstream,
    /// The variables of the credentials, in the order of the descriptor.
    variables: Vec<String>,
}

/// What a command came to.
struct Run {
    code: Option<i32>,
    err: String,
}

impl Imported {
    /// Imports a document with these paths, schemes and security.
    async fn new(paths: Value, schemes: Value, security: Value) -> Self {
        let mut document = json!({
            "openapi": "3.0.3",
            "info": { "title": "Shop", "version": "1" },
            "paths": paths,
            "components": { "securitySchemes": schemes },
        });
        if !security.is_null() {
            document["security"] = security;
        }
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("shop.json"), document.to_string()).unwrap();
        let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
        let mut imported = Self { home, upstream, variables: Vec::new() };
        let run = imported.run(&["import", "shop.json", "--output", "shop.dadl"], &[]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        assert_eq!(imported.run(&["check", "shop.dadl"], &[]).code, Some(0));
        let text = fs::read_to_string(imported.home.path().join("shop.dadl")).unwrap();
        let descriptor = load(&SourceText::new("shop.dadl", text)).descriptor.unwrap();
        let names = descriptor.auth.credentials().into_iter();
        let variable = |name: &str| format!("CREDENTIAL_{}", name.to_ascii_uppercase());
        imported.variables = names.map(|name| variable(&name.0)).collect();
        imported
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Run { code: output.status.code(), err: String::from_utf8(output.stderr).unwrap() }
    }

    /// Calls a tool with the first credentials set to these values.
    fn call(&self, tool: &str, arguments: &[&str], secrets: &[&str]) -> Run {
        let url = self.upstream.url();
        let call = ["call", tool, "--dadl", "./shop.dadl", "--url", &url];
        let variables = self.variables.iter().map(String::as_str);
        let environment: Vec<_> = variables.zip(secrets.iter().copied()).collect();
        self.run(&[&call[..], arguments].concat(), &environment)
    }

    /// The heads of the requests since the last look, in lower case but for their values.
    fn heads(&self, from: usize) -> Vec<String> {
        let head = |it: &String| it.split_once("\r\n\r\n").unwrap().0.to_owned();
        self.upstream.requests().iter().skip(from).map(head).collect()
    }
}

/// The value of a field, whose name has any case.
fn field<'head>(head: &'head str, name: &str) -> Option<&'head str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn keys() -> Value {
    json!({
        "id": { "type": "apiKey", "in": "header", "name": "X-App-Id" },
        "key": { "type": "apiKey", "in": "header", "name": "X-App-Key" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_go_together_arrive_together() {
    let paths = json!({
        "/both": { "get": { "operationId": "getBoth" } },
        "/free": { "get": { "operationId": "getFree", "security": [] } },
    });
    let api = Imported::new(paths, keys(), json!([{ "id": [], "key": [] }])).await;
    assert_eq!(api.variables.len(), 2, "{:?}", api.variables);
    let run = api.call("get_both", &[], &["first-secret", "second-secret"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let head = &api.heads(0)[0];
    let mut sent = [field(head, "x-app-id").unwrap(), field(head, "x-app-key").unwrap()];
    sent.sort_unstable();
    assert_eq!(sent, ["first-secret", "second-secret"], "{head}");

    // Half of them is no credential.
    for (secrets, missing) in
        [(&["first-secret"][..], &api.variables[1]), (&[][..], &api.variables[0])]
    {
        let run = api.call("get_both", &[], secrets);
        assert_ne!(run.code, Some(0));
        assert!(run.err.contains(missing.as_str()), "{missing}: {}", run.err);
        assert!(!run.err.contains("first-secret"), "{}", run.err);
    }
    assert_eq!(api.heads(0).len(), 1, "nothing was sent without them");

    // An operation that asks for none goes without as well.
    let run = api.call("get_free", &[], &[]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let head = &api.heads(1)[0];
    assert_eq!((field(head, "x-app-id"), field(head, "x-app-key")), (None, None), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_asks_for_need_not_be_there() {
    let paths = json!({
        "/open": { "get": { "operationId": "getOpen" } },
        "/either": { "get": { "operationId": "getEither", "security": [{}, { "key": [] }] } },
    });
    let api = Imported::new(paths, keys(), Value::Null).await;
    for (tool, secrets, expected) in [
        ("get_open", &[][..], None),
        ("get_either", &[], None),
        ("get_either", &["the-secret"], Some("the-secret")),
    ] {
        let before = api.heads(0).len();
        let run = api.call(tool, &[], secrets);
        assert_eq!(run.code, Some(0), "{tool}: {}", run.err);
        let head = &api.heads(before)[0];
        assert_eq!(field(head, "x-app-key"), expected, "{tool}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_join_the_one_of_the_credential() {
    let cookie = |name: &str, required: bool, schema: Value| json!({ "name": name, "in": "cookie", "required": required, "schema": schema });
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let mut tags = cookie("tags", false, list);
    tags["explode"] = json!(false);
    let paths = json!({ "/page": { "get": { "operationId": "getPage", "parameters": [
        cookie("sid", true, json!({ "type": "string" })),
        cookie("lang", false, json!({ "type": "string", "enum": ["de", "en"] })),
        tags,
    ] } } });
    let scheme = json!({ "login": { "type": "apiKey", "in": "cookie", "name": "auth" } });
    let api = Imported::new(paths, scheme, json!([{ "login": [] }])).await;
    for (arguments, expected) in [
        (&["sid=s1"][..], vec!["auth=the-secret", "sid=s1"]),
        (
            &["sid=s1", "lang=de", "tags=a", "tags=b"],
            vec!["auth=the-secret", "lang=de", "sid=s1", "tags=a,b"],
        ),
    ] {
        let before = api.heads(0).len();
        let run = api.call("get_page", arguments, &["the-secret"]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        let head = &api.heads(before)[0];
        let mut pairs: Vec<&str> = field(head, "cookie").unwrap().split("; ").collect();
        pairs.sort_unstable();
        assert_eq!(pairs, expected, "{head}");
    }
    let before = api.heads(0).len();
    let run = api.call("get_page", &["sid=a; auth=mine"], &["the-secret"]);
    assert_ne!(run.code, Some(0));
    assert!(run.err.contains("`sid` cannot be a cookie"), "{}", run.err);
    assert_eq!(api.heads(0).len(), before, "nothing was sent");
    // What a browser would send by itself is not asked of a caller.
    let run = api.call("get_page", &[], &["the-secret"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(field(&api.heads(before)[0], "cookie"), Some("auth=the-secret"));
}
