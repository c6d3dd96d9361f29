//! `openapi_source`: a document beside the descriptor, and one of the backend itself.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tokio::io::AsyncBufReadExt as _;

use crate::{
    api::api,
    upstream::{Answer, Upstream},
};

const DOCUMENT: &str = r#"{
  "openapi": "3.1.0",
  "paths": { "/items/{key}": { "get": {
    "parameters": [
      { "name": "key", "in": "path", "description": "Which item.", "schema": { "type": "string" } },
      { "name": "state", "in": "query", "schema": { "type": "string", "enum": ["new", "old"] } }
    ],
    "responses": { "200": { "content": { "application/json": { "schema": {
      "type": "object", "properties": { "name": { "type": "string" } } } } } } }
  } } }
}"#;

/// A home with a descriptor whose document is at `source`, and a backend at `url`.
fn home(source: &str, url: &str, keys: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let descriptor = api!(name: "shop", auth: "type: bearer, credential: shop_token", backend: r#"
  base_url: https://api.example.com/v1
  openapi_source: SOURCE
  tools:
    get_item:
      method: GET
      path: /items/{id}
      access: read
      description: Returns an item.
      params:
        id: {type: string, in: path}
        state: {type: string, in: query}
"#);
    fs::write(home.path().join("shop.dadl"), descriptor.replace("SOURCE", source)).unwrap();
    let backends = format!("backends: [{{name: shop, dadl: shop.dadl, url: '{url}'{keys}}}]\n");
    fs::write(home.path().join("backends.yaml"), backends).unwrap();
    home
}

/// Returns what `show` says about the tool, and the log.
fn show(home: &tempfile::TempDir) -> (Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["show", "get_item", "--json", "--config", "backends.yaml"])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("CREDENTIAL_SHOP_TOKEN", "s3cret-token")
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{log}")), log)
}

fn is_enriched(tool: &Value) -> bool {
    let properties = &tool["inputSchema"]["properties"];
    let described = properties["id"]["description"] == "Which item.";
    assert_eq!(described, properties["state"]["enum"] == json!(["new", "old"]), "{tool}");
    assert_eq!(described, tool["returns"]["properties"]["name"]["type"] == "string", "{tool}");
    assert_eq!(described, tool["outputSchema"]["type"] == "object", "{tool}");
    described
}

#[test]
fn a_document_beside_the_descriptor_fills_in() {
    let home = home("specs/shop.json", "http://127.0.0.1:9/", "");
    fs::create_dir(home.path().join("specs")).unwrap();
    fs::write(home.path().join("specs/shop.json"), DOCUMENT).unwrap();
    assert!(is_enriched(&show(&home).0));
    // Without it, the tools are there all the same.
    fs::remove_file(home.path().join("specs/shop.json")).unwrap();
    assert!(!is_enriched(&show(&home).0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_are_listed_and_not_enforced() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let home = home("shop.json", &upstream.url(), "");
    fs::write(home.path().join("shop.json"), DOCUMENT).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["call", "get_item", "id=1", "state=newer", "--config", "backends.yaml"])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("CREDENTIAL_SHOP_TOKEN", "s3cret-token")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(upstream.requests()[0].starts_with("GET /api/items/1?state=newer "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_the_backend_is_fetched_when_the_operator_allows_it() {
    let source = "https://api.example.com/v1/docs/openapi.json";
    let upstream = Upstream::start(vec![Answer::json(200, DOCUMENT)]).await;
    let (tool, _) = show(&home(source, &upstream.url(), ""));
    assert!(!is_enriched(&tool));
    assert_eq!(upstream.requests().len(), 0, "nothing is sent without leave");
    let (tool, log) = show(&home(source, &upstream.url(), ", fetch_openapi: true"));
    assert!(is_enriched(&tool), "{log}");
    let request = &upstream.requests()[0];
    assert!(request.starts_with("GET /api/docs/openapi.json HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer s3cret-token"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_the_document_is_a_start() {
    let source = "https://api.example.com/v1/openapi.json";
    let endless = Answer::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    for (answer, expected) in [
        (Answer::json(404, "{}"), "GET /openapi.json was answered with HTTP 404"),
        (Answer::json(200, "<html>"), "is `url` of the backend missing /v1?"),
        (Answer::json(200, "{}"), "it has neither `openapi` nor `swagger`"),
        (Answer::json(200, r#"{"openapi":"3.1.0"}"#), "it has none of the tools"),
        (Answer::redirect(302, "https://elsewhere.example/x"), "redirects to another origin"),
        (endless, "it is larger than 33554432 bytes"),
    ] {
        let upstream = Upstream::start(vec![answer]).await;
        let (tool, log) = show(&home(source, &upstream.url(), ", fetch_openapi: true"));
        assert!(!is_enriched(&tool));
        let start = "backend \"shop\": its OpenAPI document is not used: ";
        assert!(log.contains(start) && log.contains(expected), "{expected}: {log}");
        assert!(!log.contains("s3cret"), "{log}");
    }
    let elsewhere =
        home("https://elsewhere.example/x.json", "http://127.0.0.1:9/", ", fetch_openapi: true");
    let (_, log) = show(&elsewhere);
    assert!(log.contains("is not below the base URL of the backend"), "{log}");
}

#[test]
fn show_tells_what_documents_a_tool() {
    let home = home("none.json", "http://127.0.0.1:9/", "");
    let path = home.path().join("shop.dadl");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("backend:\n", "date: '2026-07-30'\nbackend:\n  version: '1.2'\n");
    let more = "      depends_on: [list_items]\n    list_items: {method: GET, path: /items, access: read, \
                description: Lists.}\n  examples:\n    - {name: Look, description: Looks., \
                code: 'return api.get_item({id: 1})'}\n    \
                - {name: Other, description: Else., code: 'return api.get_items()'}\n";
    fs::write(&path, text + more).unwrap();
    let (tool, _) = show(&home);
    let descriptor = json!({ "name": "shop", "version": "1.2", "date": "2026-07-30" });
    assert_eq!(tool["descriptor"], descriptor);
    assert_eq!(tool["dependsOn"], json!(["list_items"]));
    assert_eq!(tool["examples"].as_array().unwrap().len(), 1);
    assert_eq!(tool["examples"][0]["name"], "Look");
}

/// A home whose backend logs in at `origin` with a refresh token that each use replaces.
fn rotating(origin: &str, url: &str) -> tempfile::TempDir {
    let source = "https://api.example.com/v1/openapi.json";
    let host = origin.trim_start_matches("http://");
    let keys = format!(", fetch_openapi: true, allow_private_hosts: ['{host}']");
    let home = home(source, url, &keys);
    let path = home.path().join("shop.dadl");
    let auth = format!(
        "auth: {{type: oauth2, flow: refresh_token, token_url: '{origin}/token', \
         client_id_credential: shop_id, refresh_token_credential: shop_refresh, \
         rotates_refresh_token: true}}"
    );
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("auth: { type: bearer, credential: shop_token }", &auth);
    let requires = "requires: {features: [refresh_token_rotation]}\nbackend:\n";
    fs::write(path, text.replace("backend:\n", requires)).unwrap();
    home
}

fn command(home: &tempfile::TempDir, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command
        .args(arguments)
        .args(["--config", "backends.yaml"])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("CREDENTIAL_SHOP_ID", "client-7")
        .env("CREDENTIAL_SHOP_REFRESH", "refresh-token-0")
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_login_that_fetches_the_document_is_that_of_the_calls() {
    let token = |number: u32| {
        let text = format!(
            r#"{{"access_token":"access-token-{number}","refresh_token":"refresh-token-{number}"}}"#
        );
        Answer::json(200, &text)
    };
    let tokens = Upstream::start(vec![token(1), token(2)]).await;
    let api = Upstream::start(vec![Answer::json(200, DOCUMENT), Answer::json(200, "{}")]).await;
    let home = rotating(&format!("http://{}", tokens.address), &api.url());
    let output = command(&home, &["call", "get_item", "id=1"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let requests = api.requests();
    assert!(requests[0].starts_with("GET /api/openapi.json "), "{requests:?}");
    assert!(requests[1].starts_with("GET /api/items/1 "), "{requests:?}");
    for request in &requests {
        assert!(request.contains("authorization: Bearer access-token-1\r\n"), "{request}");
    }
    assert_eq!(tokens.requests().len(), 1);
}

#[tokio::test]
async fn a_slow_login_for_the_document_keeps_its_refresh_token() {
    let slow = Upstream::by_hand().await;
    let home = rotating(&slow.origin(), &slow.origin());
    let mut command = command(&home, &["list", "-v"]);
    let command = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let mut asked = slow.asked().await;
    // The time for documents ends, and the token endpoint has not answered yet.
    while let Some(line) = log.next_line().await.unwrap() {
        if line.contains("waiting for requests that are under way") {
            break;
        }
    }
    let body = r#"{"access_token":"access-token-1","refresh_token":"refresh-token-1"}"#;
    asked.answer(&Answer::json(200, body)).await;
    let mut rest = String::new();
    while let Some(line) = log.next_line().await.unwrap() {
        rest += &line;
    }
    assert!(child.wait().await.unwrap().success(), "{rest}");
    assert!(rest.contains("no answer within 5 s"), "{rest}");
    let store = home.path().join(".local/state/dadl-mcp/credentials.json");
    let store: Value = serde_json::from_str(&fs::read_to_string(store).unwrap()).unwrap();
    assert_eq!(store["backends"]["shop"]["shop_refresh"]["value"], "refresh-token-1");
}
