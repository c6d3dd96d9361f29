//! No secret comes back, in whatever spelling, through whatever door.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dadl_mcp::{executor::CallError, outcome::AnswerPayload};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    answers,
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_harness},
    spell::{ByteChoices, says},
    upstream::{Answer, Upstream},
};

const TOKEN: &str = "s3cr3t/T0ken&q-7";

const TOOLS: &str = api!(
    top: "requires: { features: [redact] }",
    auth: r#"type: bearer, credential: fake_token, header_name: Cookie, prefix: "session=""#,
    backend: r#"
  tools:
    get: { method: GET, path: /things, access: read, description: "Lists things." }
    hiding: { method: GET, path: /hidden, access: read, description: "Hides.", response: { redact: ["$.password"] } }
    save: { method: GET, path: /file, access: read, description: "Saves.", response: { binary: true } }
"#
);

fn bench(url: &str, token: &str) -> Harness {
    Harness::new(TOOLS, url, Fixed(Ok(token.to_owned())), |_| {})
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

/// Ways to write the token in a JSON string.
fn spellings() -> Vec<String> {
    let escaped: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let upper: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
    let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let html: String = TOKEN.bytes().map(|byte| format!("&#x{byte:x};")).collect();
    vec![
        TOKEN.to_owned(),
        TOKEN.replace('/', "\\/"),
        TOKEN.replace('&', "\\u0026"),
        TOKEN.replace('&', "%26").replace('/', "%2F"),
        TOKEN.replace('&', "&amp;"),
        TOKEN.replace('&', "%2526"),
        escaped,
        upper,
        percent.replace('%', "\\u0025"),
        percent,
        html,
        hex(TOKEN),
        STANDARD.encode(TOKEN),
        STANDARD.encode(format!("user:{TOKEN}")),
        STANDARD.encode(format!("me:{TOKEN}!")),
        STANDARD.encode(STANDARD.encode(TOKEN)),
        STANDARD.encode(TOKEN).replace('=', "%3D").replace('c', "\\u0063"),
    ]
}

/// What is left of the token for whoever decodes.
#[track_caller]
fn hides(text: &str) {
    let plain = text.replace("\\/", "/").replace("\\u0026", "&").replace("%26", "&");
    assert!(!plain.contains(TOKEN), "{text}");
    let hex = hex(TOKEN);
    assert!(!text.contains(&hex) && !text.contains(&STANDARD.encode(TOKEN)[..16]), "{text}");
    assert!(text.contains("[REDACTED]"), "{text}");
}

#[tokio::test]
async fn results_hold_the_token_in_no_spelling() {
    for spelled in spellings() {
        let body = format!("{{\"a\":\"x{spelled} y\",\"{spelled}\":1}}");
        let upstream = Upstream::start(vec![Answer::json(200, &body)]).await;
        let value = bench(&upstream.url(), TOKEN).value("get", json!({})).await;
        hides(&value.to_string());
        assert_eq!(value.as_object().unwrap().len(), 2, "{value}");
    }
}

#[tokio::test]
async fn errors_quote_the_token_in_no_spelling() {
    for spelled in spellings() {
        for (status, kind, body) in [
            (500, "application/json", format!("{{\"error\":\"no {spelled}\"}}")),
            (404, "text/plain", format!("no {spelled}")),
            (200, "application/json", format!("{{\"a\":\"{spelled}\"")),
            (200, "application/x-ndjson", format!("{{}}\n{{\"a\":\"{spelled}\"\n{{}}\n")),
        ] {
            let answer = Answer::full(status, &[("Content-Type", kind)], body.as_bytes());
            let upstream = Upstream::start(vec![answer]).await;
            let error = bench(&upstream.url(), TOKEN).call("get", json!({})).await;
            hides(&error.unwrap_err().for_model());
        }
    }
}

#[tokio::test]
async fn utf_16_hides_nothing() {
    let wide: Vec<u8> =
        format!("\u{FEFF}a {TOKEN} b").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for kind in ["text/plain; charset=utf-16le", "text/plain", "application/json"] {
        let upstream =
            Upstream::start(vec![Answer::full(200, &[("Content-Type", kind)], &wide)]).await;
        let text = match bench(&upstream.url(), TOKEN).call("get", json!({})).await {
            Ok(outcome) => format!("{:?}", outcome.payload),
            Err(error) => error.for_model(),
        };
        let shown: String = text
            .replace("\\0", "")
            .replace("\\u0000", "")
            .chars()
            .filter(|it| *it != '\0')
            .collect();
        hides(&shown);
    }
}

#[tokio::test]
async fn data_of_events_are_masked_after_they_are_joined() {
    let events = format!("data: {{\"a\":\ndata: \"{TOKEN}\"}}\n\nid: 1\ndata: x{TOKEN}\n\n");
    let answer = Answer::Close(
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{events}").into_bytes(),
    );
    let upstream = Upstream::start(vec![answer]).await;
    let value = bench(&upstream.url(), TOKEN).value("get", json!({})).await;
    hides(&value.to_string());
    assert_eq!(value[0]["data"], json!({ "a": "[REDACTED]" }), "{value}");
}

#[tokio::test]
async fn short_secrets_are_values_and_no_parts_of_words() {
    let body = r#"{"token":"tiny7","note":"tiny7 in tiny77","list":["tiny7"],"b":"dGlueTc="}"#;
    let upstream = Upstream::start(vec![Answer::json(200, body)]).await;
    let value = bench(&upstream.url(), "tiny7").value("get", json!({})).await;
    let mask = "[REDACTED]";
    let expected =
        json!({"token": mask, "note": "tiny7 in tiny77", "list": [mask], "b": "[REDACTED]="});
    assert_eq!(value, expected);
}

#[tokio::test]
async fn a_number_that_is_the_secret_leaves_json() {
    let upstream =
        Upstream::start(vec![Answer::json(200, r#"{"a":[1234567890,1],"b":"x"}"#)]).await;
    let value = bench(&upstream.url(), "1234567890").value("get", json!({})).await;
    assert_eq!(value, json!({"a": ["[REDACTED]", 1], "b": "x"}));
}

#[tokio::test]
async fn a_file_is_saved_byte_for_byte_under_a_masked_name() {
    let name = format!("attachment; filename=\"{}.txt\"", TOKEN.replace('/', "%2F"));
    let headers = [("Content-Type", "text/plain"), ("Content-Disposition", name.as_str())];
    let upstream = Upstream::start(vec![Answer::full(200, &headers, TOKEN.as_bytes())]).await;
    let bench = bench(&upstream.url(), TOKEN);
    let AnswerPayload::File(file) = bench.call("save", json!({})).await.unwrap().payload else {
        panic!()
    };
    assert_eq!(std::fs::read_to_string(&file.path).unwrap(), TOKEN);
    let names = bench.files().concat();
    assert!(names.contains("REDACTED") && !names.contains("s3cr3t"), "{names}");
}

#[tokio::test]
async fn messages_of_the_protocol_are_masked_at_the_last_door() {
    let name = "attachment; filename=\"x.txt\"".to_owned();
    let headers = [("Content-Type", "text/plain"), ("Content-Disposition", name.as_str())];
    let body = format!("file with {TOKEN}");
    let upstream = Upstream::start(vec![Answer::full(200, &headers, body.as_bytes())]).await;
    let harness = bench(&upstream.url(), TOKEN);
    let mut client = Client::legacy(serve_harness(harness, "One fake."), json!({})).await;
    let saved = client.request(2, "tools/call", json!({"name": "save", "arguments": {}})).await;
    let uri = saved["result"]["content"]
        .as_array()
        .and_then(|all| all.iter().find_map(|it| it["uri"].as_str()))
        .unwrap_or_else(|| panic!("{saved}"))
        .to_owned();
    let read = client.request(3, "resources/read", json!({ "uri": uri })).await;
    assert_eq!(read["result"]["contents"][0]["text"], "file with [REDACTED]", "{read}");
    // What a client says itself comes back no other way.
    let echoed = client.request(4, "tools/call", json!({"name": TOKEN, "arguments": {}})).await;
    hides(&echoed.to_string());
}

fn cookie(status: u16, field: &str) -> Answer {
    let headers = [("Content-Type", "application/json"), ("Set-Cookie", field)];
    Answer::full(status, &headers, b"{}")
}

/// The cookies of calls that are answered so.
async fn cookies(answers: Vec<Answer>) -> Vec<String> {
    let calls = answers.len();
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url(), "configured-1");
    for _ in 0..calls {
        let _ = bench.call("get", json!({})).await;
    }
    let sent = upstream.requests();
    let field = |request: &String| {
        let line = request.lines().find_map(|line| line.strip_prefix("cookie: session="));
        line.unwrap_or_default().to_owned()
    };
    sent.iter().map(field).collect()
}

#[tokio::test]
async fn a_refusal_does_not_replace_a_good_token() {
    for status in [401, 403] {
        let ended = "session=gone; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        for field in [ended, "session=other-one; Path=/"] {
            let sent = cookies(vec![cookie(status, field), Answer::json(200, "{}")]).await;
            assert!(sent.iter().all(|cookie| cookie == "configured-1"), "{status} {sent:?}");
        }
    }
}

#[tokio::test]
async fn a_renewed_cookie_that_ends_or_is_refused_makes_room_for_the_configured_one() {
    let renewed = || cookie(200, "session=renewed-1; Path=/");
    let ended = cookie(200, "session=x; Path=/; Max-Age=0");
    let sent = cookies(vec![renewed(), ended, Answer::json(200, "{}")]).await;
    assert_eq!(sent, ["configured-1", "renewed-1", "configured-1"]);
    let refused = Answer::json(401, "{}");
    let sent = cookies(vec![renewed(), refused, Answer::json(200, "{}")]).await;
    assert_eq!(sent, ["configured-1", "renewed-1", "configured-1", "configured-1"]);
    let elsewhere = cookie(200, "session=x; Path=/elsewhere");
    let other_host = cookie(200, "session=x; Path=/; Domain=example.com");
    let over_tls = cookie(200, "session=x; Path=/; Secure");
    let sent = cookies(vec![elsewhere, other_host, over_tls, Answer::json(200, "{}")]).await;
    assert!(sent.iter().all(|cookie| cookie == "configured-1"), "{sent:?}");
}

#[tokio::test]
async fn the_values_of_a_cookie_before_and_after_its_renewal_are_masked() {
    let body = r#"["configured-1","renewed-1"]"#;
    let headers =
        [("Content-Type", "application/json"), ("Set-Cookie", "session=renewed-1; Path=/")];
    let upstream = Upstream::start(vec![Answer::full(200, &headers, body.as_bytes())]).await;
    let bench = bench(&upstream.url(), "configured-1");
    for _ in 0..2 {
        assert_eq!(bench.value("get", json!({})).await, json!(["[REDACTED]", "[REDACTED]"]));
    }
}

#[tokio::test]
async fn errors_hide_what_results_hide() {
    let shown = async |status, kind: &str, body: &str| {
        let answer = Answer::full(status, &[("Content-Type", kind)], body.as_bytes());
        let upstream = Upstream::start(vec![answer]).await;
        let error: CallError =
            bench(&upstream.url(), TOKEN).call("hiding", json!({})).await.unwrap_err();
        error.for_model()
    };
    for (status, kind, body) in [
        (400, "application/json", r#"{"message":"bad hunter-22","password":"hunter-22"}"#),
        (400, "application/json", r#"{"sent":{"password":"hunter-22"}}"#),
        (400, "application/json", r#"{"sent":"{\"password\":\"hunter-22\"}"}"#),
        (500, "application/json", r#"{"password":"hunter-22""#),
        (500, "text/plain", "password hunter-22"),
        (500, "text/html", "<html>hunter-22</html>"),
        (200, "application/json", r#"{"password":"hunter-22""#),
        (200, "application/x-ndjson", "{}\n{\"password\":\"hunter-22\"\n"),
        (200, "text/plain", "hunter-22"),
        (200, "application/octet-stream", "hunter-22"),
    ] {
        let text = shown(status, kind, body).await;
        assert!(!text.contains("hunter-22"), "{text}");
    }
    let text = shown(500, "text/plain", "password hunter-22").await;
    assert!(text.contains("HTTP 500") && text.contains("not shown"), "{text}");
}

/// Runs the program; returns all that it printed.
fn run(arguments: &[&str], url: &str, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let dadl = folder.path().join("fake.dadl");
    std::fs::write(&dadl, TOOLS).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(arguments)
        .arg("--dadl")
        .arg(&dadl)
        .args(["--url", url])
        .env_clear()
        .envs(variables.iter().copied())
        .env("HOME", folder.path())
        .env("CREDENTIAL_FAKE_TOKEN", TOKEN)
        .output()
        .unwrap();
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_and_the_log_are_masked() {
    let spelled = TOKEN.replace('&', "\\u0026");
    for (status, body) in [
        (200, format!("{{\"a\":\"{spelled}\"}}")),
        (500, format!("{{\"message\":\"{spelled}\"}}")),
        (200, format!("{{\"a\":\"{spelled}\"")),
    ] {
        let upstream = Upstream::start(vec![Answer::json(status, &body)]).await;
        let url = upstream.url();
        let said = tokio::task::spawn_blocking(move || {
            run(&["call", "get", "-vv"], &url, &[("HTTP_PROXY", "")])
        });
        hides(&said.await.unwrap());
    }
    // What is typed is shown as little.
    let said = run(&["call", TOKEN], "http://127.0.0.1:1/", &[]);
    assert!(!said.contains(TOKEN) || !said.contains("configured"), "{said}");
}

#[tokio::test]
async fn fields_of_the_operator_are_secrets() {
    let upstream = Upstream::start(vec![Answer::json(
        200,
        r#"{"a":"Bearer op-secret-77","b":"op-secret-77","c":"plain-value-9"}"#,
    )])
    .await;
    let bench = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(TOKEN.to_owned())), |settings| {
        for (name, value) in [("x-api-key", "Bearer op-secret-77"), ("x-source", "plain-value-9")] {
            settings.headers.push((name.parse().unwrap(), value.parse().unwrap()));
        }
    });
    let value: Value = bench.value("get", json!({})).await;
    assert_eq!(value, json!({"a": "[REDACTED]", "b": "[REDACTED]", "c": "plain-value-9"}));
}

/// Calls a tool that gets this answer as a host does; returns the message that comes back.
async fn shown(answer: Vec<u8>) -> Value {
    let upstream = Upstream::start(vec![Answer::Close(answer)]).await;
    let harness =
        Harness::new(TOOLS, &upstream.url(), Fixed(Ok(GENERATED.to_owned())), |settings| {
            settings.timeouts.call = std::time::Duration::from_secs(5);
        });
    let mut client = Client::legacy(serve_harness(harness, ""), json!({})).await;
    client.call(1, "get", json!({})).await
}

const GENERATED: &str = "Gen3rated/tok+n-5";

#[test]
fn generated_answers_show_no_secret() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config =
        ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() };
    proptest!(config, |(bytes in prop::collection::vec(any::<u8>(), 0..400))| {
        let answer = answers::answer(GENERATED, &mut ByteChoices::new(&bytes));
        let wire = String::from_utf8_lossy(&answer).into_owned();
        let message = runtime.block_on(shown(answer));
        prop_assert!(message["result"].is_object(), "{}", message);
        let text = message.to_string();
        prop_assert!(!says(text.as_bytes(), GENERATED.as_bytes(), 2), "{} -> {}", wire, text);
    });
}
