//! Health checks, as models and operators get them.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_descriptor},
    upstream::{Answer, Upstream},
};

const TOKEN: &str = "s3cret-token-of-the-test";

/// A descriptor with this health check.
fn descriptor(health: &str) -> String {
    api!(
        top: "requires: { features: [health, semantic_errors] }",
        name: "shop",
        auth: "type: bearer, credential: shop_token",
        backend: r#"
  base_url: http://127.0.0.1:1/
  defaults: { errors: { message_path: $.error, retry_on: [503] } }
  health: HEALTH
  tools:
    status: { method: GET, path: /status, access: read, description: "Status.", response: { result_path: $.none }, params: { deep: { type: boolean, in: query, default: false }, more: { type: string, in: query } } }
    purge: { method: POST, path: /purge, access: dangerous, description: "Purges." }
"#
    )
    .replace("HEALTH", health)
}

/// Makes the check against these answers; returns the result without its times, and the requests.
async fn check(health: &str, answers: Vec<Answer>) -> (Value, Vec<String>) {
    let upstream = Upstream::start(answers).await;
    let credential = Fixed(Ok(TOKEN.into()));
    let harness = Harness::new(&descriptor(health), &upstream.url(), credential, |_| {});
    let mut result = harness.value("health", json!({})).await;
    let fields = result.as_object_mut().unwrap();
    assert!(fields.remove("latency_ms").unwrap().is_u64());
    let checked_at = fields.remove("checked_at").unwrap();
    let checked_at = checked_at.as_str().unwrap();
    assert!(checked_at.len() == 20 && checked_at.ends_with('Z'), "{checked_at}");
    assert!(!result.to_string().contains(TOKEN), "{result}");
    (result, upstream.requests())
}

#[tokio::test]
async fn a_backend_that_is_well() {
    let answer = || vec![Answer::json(200, r#"{"up":null,"expires":1790857845}"#)];
    let (result, requests) = check("{ path: /up }", answer()).await;
    assert_eq!(result, json!({ "ok": true, "http_status": 200 }));
    assert!(requests[0].starts_with("GET /api/up HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[0].contains(&format!("authorization: Bearer {TOKEN}")), "{requests:?}");
    let health = "{ tool: status, expect_path: $.up, auth_expires_path: $.expires }";
    let (result, requests) = check(health, answer()).await;
    let expected =
        json!({ "ok": true, "http_status": 200, "auth_expires_at": "2026-10-01T12:30:45Z" });
    assert_eq!(result, expected, "the pipeline of the tool does not apply");
    assert!(requests[0].starts_with("GET /api/status?deep=false HTTP/1.1\r\n"), "{requests:?}");
    let (result, _) =
        check("{ path: /up, method: HEAD, expect_status: 404 }", vec![Answer::full(404, &[], b"")])
            .await;
    assert_eq!(result, json!({ "ok": true, "http_status": 404 }));
}

#[tokio::test]
async fn a_backend_that_is_not_well_is_a_result() {
    let answer = Answer::json(503, &format!(r#"{{"error":"no {TOKEN} here"}}"#));
    let (result, requests) = check("{ path: /up }", vec![answer]).await;
    assert_eq!(
        result,
        json!({
            "ok": false, "http_status": 503,
            "error": "[unavailable] HTTP 503: no [REDACTED] here (GET /up)",
        })
    );
    assert_eq!(requests.len(), 1, "the state of now, not that after some retries");
    let ok = || vec![Answer::json(200, "{}")];
    let (result, _) = check("{ path: /up, expect_status: 204 }", ok()).await;
    assert_eq!(result["error"], "GET /up was answered with HTTP 200, not 204");
    let (result, _) = check("{ path: /up, expect_path: $.up }", ok()).await;
    assert_eq!(result["error"], "the answer to GET /up has nothing at $.up");
    let page = vec![Answer::full(200, &[("Content-Type", "text/html")], b"<p>")];
    let (result, _) = check("{ path: /up, expect_path: $.up }", page).await;
    let error = result["error"].as_str().unwrap();
    assert!(error.contains("answered GET /up with HTTP 200 and a web page"), "{error}");
    let leak = vec![Answer::json(200, r#"{"expires":"another secret"}"#)];
    let (result, _) = check("{ path: /up, auth_expires_path: $.expires }", leak).await;
    assert_eq!(result, json!({ "ok": true, "http_status": 200 }));
}

#[tokio::test]
async fn a_backend_that_does_not_answer_is_a_result() {
    let (result, _) = check("{ path: /up, timeout: 50ms }", vec![Answer::Hang(Vec::new())]).await;
    assert_eq!((&result["ok"], &result["error_code"]), (&json!(false), &json!("timeout")));
    assert!(result.get("http_status").is_none(), "{result}");
    let credential = Fixed(Ok(TOKEN.into()));
    // Nobody listens on the discard port of a test machine.
    let harness =
        Harness::new(&descriptor("{ path: /up }"), "http://127.0.0.1:9/", credential, |_| {});
    let result = harness.value("health", json!({})).await;
    assert_eq!(result["error_code"], "connection_refused", "{result}");
    let missing = Fixed(Err("set CREDENTIAL_SHOP_TOKEN".into()));
    let harness =
        Harness::new(&descriptor("{ path: /up }"), "http://127.0.0.1:9/", missing, |_| {});
    let result = harness.value("health", json!({})).await;
    assert_eq!(result["error_code"], "not_configured");
    assert!(result["error"].as_str().unwrap().contains("set CREDENTIAL_SHOP_TOKEN"), "{result}");
}

#[tokio::test]
async fn models_see_a_read_that_takes_nothing() {
    let upstream = Upstream::start(vec![Answer::json(500, "{}")]).await;
    let served = serve_descriptor(&descriptor("{ tool: status }"), &upstream.url());
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.request(1, "tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let tool = tools.iter().find(|tool| tool["name"] == "health").unwrap();
    assert_eq!(tool["inputSchema"], json!({ "type": "object", "properties": {} }));
    assert_eq!(tool["annotations"]["readOnlyHint"], true);
    let answer = client.call(2, "health", json!({})).await;
    assert_eq!(answer["result"]["isError"], false, "{answer}");
    assert_eq!(answer["result"]["structuredContent"]["ok"], false);
    let structured = &answer["result"]["structuredContent"];
    assert!(jsonschema::draft202012::is_valid(&tool["outputSchema"], structured));
}

#[tokio::test]
async fn a_check_is_no_way_around_the_access_levels() {
    let names = |health: &str, change: fn(&mut dadl_mcp::config::BackendSettings)| {
        let credential = Fixed(Ok(TOKEN.into()));
        let harness = Harness::new(&descriptor(health), "http://127.0.0.1:9/", credential, change);
        let listed: Vec<String> =
            harness.gate.catalog().listed().map(|entry| entry.name.clone()).collect();
        let operator = harness.gate.check_health(dadl_mcp::catalog::BackendId(0));
        (listed, operator.map(|pending| pending.is_ok()))
    };
    let read: fn(&mut dadl_mcp::config::BackendSettings) =
        |settings| settings.policy = dadl_mcp::access::AccessPolicy::default();
    assert_eq!(
        names("{ tool: status }", read),
        (vec!["status".into(), "health".into()], Some(true))
    );
    assert_eq!(names("{ tool: purge }", read), (vec!["status".into()], Some(false)));
    assert_eq!(names("{ path: /x, method: DELETE }", read), (vec!["status".into()], Some(false)));
    let excluded: fn(&mut dadl_mcp::config::BackendSettings) = |settings| {
        settings.policy.exclude_tools = dadl_mcp::access::ToolPatterns::new(["stat*"]).unwrap();
    };
    assert_eq!(names("{ tool: status }", excluded), (vec!["purge".into()], Some(true)));
    let hidden = "{ tool: status, expose: false }";
    assert_eq!(names(hidden, read), (vec!["status".into()], Some(true)));
}

/// Runs `dadl-mcp health` with a backend `shop` at `url`, a broken one and one without a check.
fn run(url: &str, arguments: &[&str]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("shop.dadl"), descriptor("{ tool: status, expose: false }"))
        .unwrap();
    let plain = descriptor("{}").replace("  health: {}\n", "");
    fs::write(home.path().join("plain.dadl"), plain.replace("[health, ", "[")).unwrap();
    let backends = format!(
        "backends:\n  - {{name: shop, dadl: shop.dadl, url: '{url}'}}\n  \
         - {{name: down, dadl: shop.dadl, url: 'http://127.0.0.1:9/', env: {{shop_token: \
         shop_token}}}}\n  \
         - {{name: plain, dadl: plain.dadl, url: '{url}'}}\n"
    );
    fs::write(home.path().join("backends.yaml"), backends).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["health", "--config", "backends.yaml"])
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("CREDENTIAL_SHOP_TOKEN", TOKEN)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_how_all_backends_are() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let url = upstream.url();
    let (code, out, _) = run(&url, &["--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["ok"]), (1, &json!(false)));
    let states = report["backends"].as_array().unwrap();
    assert_eq!((&states[0]["backend"], &states[0]["ok"]), (&json!("shop"), &json!(true)));
    assert_eq!(states[1]["error_code"], "connection_refused");
    assert_eq!(states[2], json!({ "backend": "plain", "declared": false }));
    let (code, out, _) = run(&url, &["shop"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["ok"]), (0, &json!(true)), "{out}");
    let (code, out, _) = run(&url, &["plain"]);
    assert_eq!(code, 1, "nothing was checked: {out}");
    let (code, _, err) = run(&url, &["shup"]);
    assert_eq!(code, 3);
    assert!(err.contains("there is no backend \"shup\"; did you mean \"shop\"?"), "{err}");
    assert!(err.contains("hint: `dadl-mcp list") && err.contains("names all"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_makes_the_declared_check() {
    let upstream = Upstream::start(vec![Answer::json(401, r#"{"error":"expired"}"#)]).await;
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("shop.dadl"), descriptor("{ path: /up, expose: false }")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["doctor", "--json", "--dadl", "shop.dadl", "--url", &upstream.url()])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("CREDENTIAL_SHOP_TOKEN", TOKEN)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let line = report["checks"].as_array().unwrap().last().unwrap();
    assert_eq!((&line["subject"], &line["health"]), (&json!("health"), &json!("FAIL")));
    assert!(line["finding"].as_str().unwrap().contains("HTTP 401: expired (GET /up)"), "{line}");
    assert!(line["hint"].as_str().unwrap().starts_with("the credential is wrong"), "{line}");
}

#[tokio::test]
async fn a_composite_makes_the_check_as_a_call() {
    let composite = "  composites:\n    look: { access: read, description: \"Looks.\", code: \"const it = await api.health(); return { ok: it.ok, status: it.http_status };\" }\n";
    let text = descriptor("{ path: /up }") + composite;
    assert_eq!(
        dadl_descriptor::load(&dadl_descriptor::source::SourceText::new("t", text.clone()))
            .diagnostics,
        []
    );
    let upstream = Upstream::start(vec![Answer::json(503, "{}")]).await;
    let harness = Harness::new(&text, &upstream.url(), Fixed(Ok(TOKEN.into())), |_| {});
    let result = harness.value("look", json!({})).await;
    assert_eq!(result, json!({ "ok": false, "status": 503 }));
}
