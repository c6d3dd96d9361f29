//! Logins that fail for a moment, and those that are refused: what becomes of a task that is watched,
//! what a script and a person are told.

use std::process::Output;

use dadl_mcp::executor::CallError;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    api::api,
    auth::Vault,
    harness::Harness,
    tasks::lines,
    upstream::{Answer, Upstream},
};

/// An API with a login, a task, and scripts that say what they catch.
const SHOP: &str = api!(
    top: r#"
requires: { features: [composites] }
_dadl_mcp:
  tasks:
    only: [begin]
    started: { status: 202 }
    id: $.task
    watch: { tool: look, arguments: { task: "{task}" }, poll: [100ms] }
    state: { path: $.state, running: [RUNS], succeeded: [DONE], failed: [BAD] }"#,
    name: "shop",
    auth: "AUTH",
    backend: r#"
  defaults: { errors: { message_path: $.error, retry_on: [503], retry_strategy: { max_retries: 1, backoff: fixed, initial_delay: 1ms } } }
  tools:
    begin: { method: POST, path: /begin, access: write, description: "Begins." }
    list: { method: GET, path: /things, access: read, description: "Lists.", params: { page: { type: integer, in: query } }, pagination: { strategy: page, behavior: auto, request: { page_param: page }, response: { has_more: $.more }, max_pages: 5 }, response: { result_path: $.items } }
    look: { method: GET, path: "/tasks/{task}", access: read, description: "Looks.", params: { task: { type: string, in: path, required: true } } }
  composites:
    listed:
      access: read
      description: "Says what it catches of a list."
      code: |
        try { return await api.list({}); } catch (error) { return [error.code, error.message]; }
    begun:
      access: write
      description: "Says what it catches of a task."
      code: |
        try { return await api.begin({}); } catch (error) { return [error.code, error.message]; }
"#
);

const SESSION: &str = r#"type: session, login: { method: POST, path: /login, body: { p: "credential:secret" }, extract: { t: $.t } }, inject: [{ header: X-Session, value: "{{t}}" }]"#;

const CLIENT: &str = "type: oauth2, token_url: HOST/token, client_id_credential: id, \
                      client_secret_credential: secret";

/// Loads the shop, whose API and whose token endpoint are both `upstream`.
fn shop(upstream: &Upstream, auth: &str) -> Harness {
    let auth = auth.replace("HOST", &format!("http://{}", upstream.address));
    let vault = Vault::new(&[("id", "client-identifier-7"), ("secret", "s3cr3t-of-the-shop")]);
    Harness::new(&SHOP.replace("AUTH", &auth), &upstream.url(), vault, |_| {})
}

fn login() -> Answer {
    Answer::json(200, r#"{"t": "s3ssion-of-the-shop"}"#)
}

fn token() -> Answer {
    Answer::json(200, r#"{"access_token": "t0ken-of-the-shop", "token_type": "bearer"}"#)
}

fn begun() -> Answer {
    Answer::json(202, r#"{"task": "7"}"#)
}

fn done() -> Answer {
    Answer::json(200, r#"{"state": "DONE"}"#)
}

fn ended() -> Answer {
    Answer::json(401, "{}")
}

fn page(more: bool) -> Answer {
    Answer::json(200, &json!({ "items": [1], "more": more }).to_string())
}

/// What a login says, or does, that may be otherwise a moment later.
fn away() -> Vec<Answer> {
    vec![
        Answer::json(503, r#"{"error": "starting"}"#),
        Answer::full(502, &[], b"<html>"),
        Answer::full(429, &[("Retry-After", "0")], b"slow down"),
        Answer::json(500, "{}"),
        Answer::Close(b"".to_vec()),
        Answer::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec()),
    ]
}

#[tokio::test]
async fn a_login_that_is_away_for_a_moment_is_no_end_of_a_task() {
    for (auth, given) in [(SESSION, login as fn() -> Answer), (CLIENT, token)] {
        for trouble in away() {
            let answers = vec![given(), begun(), ended(), trouble, given(), done()];
            let upstream = Upstream::start(answers).await;
            let ended = shop(&upstream, auth).call("begin", json!({})).await;
            assert!(ended.is_ok(), "{:?}: {:#?}", ended.err(), lines(&upstream));
            assert_eq!(upstream.requests().len(), 6);
        }
    }
    // RFC 6749 has codes for it, which come with 400.
    let busy = Answer::json(400, r#"{"error": "temporarily_unavailable"}"#);
    let answers = vec![token(), begun(), ended(), busy, token(), done()];
    let upstream = Upstream::start(answers).await;
    shop(&upstream, CLIENT).call("begin", json!({})).await.unwrap();
    assert_eq!(upstream.requests().len(), 6);
}

#[tokio::test]
async fn a_login_that_is_refused_ends_the_watching() {
    let refusal = || Answer::json(401, r#"{"error": "invalid_client"}"#);
    for (auth, given) in [(SESSION, login as fn() -> Answer), (CLIENT, token)] {
        let answers = vec![given(), begun(), ended(), refusal(), given(), done()];
        let upstream = Upstream::start(answers).await;
        let error = shop(&upstream, auth).call("begin", json!({})).await.unwrap_err();
        let text = error.for_model();
        assert!(matches!(error, CallError::Task(_)), "{text}");
        assert!(text.contains("the task shop:begin:7 goes on, perhaps"), "{text}");
        assert!(text.contains("check the credentials") && text.contains("`secret`"), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
        // Another would lock an account.
        assert_eq!(upstream.requests().len(), 4);
    }
}

/// What the script of `tool` catches.
async fn caught(auth: &str, tool: &str, answers: Vec<Answer>) -> (String, String) {
    let upstream = Upstream::start(answers).await;
    let value: Value = shop(&upstream, auth).value(tool, json!({})).await;
    let text = |at: usize| value[at].as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    (text(0), text(1))
}

#[tokio::test]
async fn a_script_is_told_that_a_login_is_away() {
    for trouble in away() {
        for auth in [SESSION, CLIENT] {
            let (code, message) = caught(auth, "listed", vec![trouble.clone()]).await;
            assert_eq!(code, "unavailable", "{message}");
            assert!(message.starts_with("backend \"shop\": "), "{message}");
        }
        // Later pages and looks log in as well.
        let answers = vec![login(), page(true), ended(), trouble];
        let (code, message) = caught(SESSION, "listed", answers).await;
        assert_eq!(code, "unavailable", "{message}");
        assert!(message.starts_with("page 2: backend \"shop\": "), "{message}");
    }
    let refused = || Answer::json(401, r#"{"error": "invalid_client"}"#);
    for auth in [SESSION, CLIENT] {
        let (code, message) = caught(auth, "listed", vec![refused()]).await;
        assert_eq!(code, "internal", "{message}");
    }
    let (code, message) =
        caught(SESSION, "begun", vec![login(), begun(), ended(), refused()]).await;
    assert_eq!(code, "internal", "{message}");
}

#[tokio::test]
async fn a_script_is_told_what_kept_a_page_or_a_look() {
    let gone = || Answer::json(404, "{}");
    let (code, message) = caught(SESSION, "listed", vec![login(), page(true), gone()]).await;
    assert_eq!(code, "not_found", "{message}");
    assert!(message.starts_with("page 2: "), "{message}");
    let (code, message) = caught(SESSION, "begun", vec![login(), begun(), gone()]).await;
    assert_eq!(code, "not_found", "{message}");
    assert!(message.contains("the task shop:begin:7 goes on, perhaps"), "{message}");
    let cut = Answer::Close(Vec::new());
    let (code, message) = caught(SESSION, "listed", vec![login(), page(true), cut]).await;
    assert_eq!(code, "unavailable", "{message}");
}

/// Calls `list` on the command line.
async fn called(answers: Vec<Answer>) -> Output {
    let upstream = Upstream::start(answers).await;
    let home = tempfile::tempdir().unwrap();
    let dadl = home.path().join("shop.dadl");
    std::fs::write(&dadl, SHOP.replace("AUTH", SESSION)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command.args(["call", "list", "--dadl"]).arg(&dadl).args(["--url", &upstream.url()]);
    command.env_clear().env("HOME", home.path()).env("CREDENTIAL_SECRET", "s3cr3t-of-the-shop");
    command.output().await.unwrap()
}

#[tokio::test]
async fn the_exit_code_of_a_login_says_whose_fault_it_is() {
    let away = called(vec![Answer::json(503, "{}")]).await;
    assert_eq!(away.status.code(), Some(6), "{away:?}");
    let refused = called(vec![Answer::json(401, "{}")]).await;
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
}
