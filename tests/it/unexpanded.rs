//! Credentials that are still the name of a variable, because nobody put the value in.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::{
    mcp_http::Site,
    mcp_support::serve,
    upstream::{Answer, Upstream},
};

const REFERENCE: &str = "${XO_TOKEN}";
const VARIABLE: &str = "CREDENTIAL_XEN_ORCHESTRA_TOKEN";

/// Runs the program with these variables and nothing else; returns its exit code and its words.
fn run(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command.args(arguments).current_dir(&home).env_clear().env("HOME", home.path());
    command.envs(variables.iter().copied()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that refuses to start reads nothing.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), out + &String::from_utf8(output.stderr).unwrap())
}

fn is_explained(text: &str, variable: &str) {
    for word in [variable, REFERENCE, "the host did not put the value in", "_FILE"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("[REDACTED]"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_sent_and_each_door_says_why() {
    let upstream = Upstream::start(vec![Answer::json(200, "[]")]).await;
    let url = upstream.url();
    let backend = ["--dadl", "xen-orchestra", "--url", url.as_str()];
    let with = |command: &[&'static str]| [command, &backend].concat();
    for reference in [REFERENCE, " ${XO_TOKEN} "] {
        let (code, text) = run(&with(&["call", "list_vms"]), &[(VARIABLE, reference)], "");
        assert_ne!(code, Some(0), "{text}");
        is_explained(&text, VARIABLE);
    }
    let file = format!("{VARIABLE}_FILE");
    let (code, text) = run(&with(&["call", "list_vms"]), &[(&file, REFERENCE)], "");
    assert_ne!(code, Some(0), "{text}");
    is_explained(&text, &file);
    let (_, text) = run(&with(&["doctor"]), &[(VARIABLE, REFERENCE)], "");
    is_explained(&text, VARIABLE);
    // Other backends may work, so that the server starts.
    let introduction = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "t", "version": "1" } } });
    let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "list_vms" } });
    let input = format!("{introduction}\n{call}\n");
    let (code, text) = run(&with(&["serve"]), &[(VARIABLE, REFERENCE)], &input);
    assert_eq!(code, Some(0), "{text}");
    is_explained(&text, VARIABLE);
    // What a server has is asked for without the credential.
    for request in upstream.requests() {
        assert!(request.contains("/docs/swagger.json HTTP/1.1"), "{request}");
        assert!(!request.contains("authorization:") && !request.contains("cookie:"), "{request}");
    }
}

#[test]
fn settings_are_not_taken_from_it() {
    for variable in ["DADL_MCP_CONFIG", "DADL_MCP_ACCESS", "DADL_MCP_FILES"] {
        let arguments = ["list", "--url", "http://127.0.0.1:9", "--dadl", "xen-orchestra"];
        let arguments = if variable == "DADL_MCP_CONFIG" { &arguments[..1] } else { &arguments };
        let (code, text) = run(arguments, &[(variable, REFERENCE)], "");
        assert_ne!(code, Some(0), "{variable}: {text}");
        assert!(text.contains(&format!("{variable} holds `{REFERENCE}`")), "{text}");
    }
    let arguments = ["serve", "--demo", "--http", "127.0.0.1:0"];
    for variable in ["DADL_MCP_HTTP_TOKEN", "DADL_MCP_HTTP_TOKEN_FILE"] {
        let (code, text) = run(&arguments, &[(variable, REFERENCE)], "");
        assert_ne!(code, Some(0), "{text}");
        is_explained(&text, variable);
    }
}

#[tokio::test]
async fn a_client_that_presents_it_is_told() {
    let site = Site::start_served(serve("http://127.0.0.1:9/"), |options| {
        options.token = Some("sesame".to_owned().into());
    })
    .await;
    for (path, reference) in
        [("/mcp", "${MCP_TOKEN}"), ("/files/x", "$MCP_TOKEN"), ("/mcp", "%TOKEN%")]
    {
        let bearer = format!("Bearer {reference}");
        let mut reply = site.send("GET", path, &[("Authorization", &bearer)], "").await;
        assert_eq!(reply.status, 401, "{path}");
        let text = reply.text().await;
        assert!(text.contains(reference) && text.contains("did not put the value"), "{text}");
    }
    let mut reply = site.send("GET", "/mcp", &[("Authorization", "Bearer $ecret")], "").await;
    let text = reply.text().await;
    assert!(reply.status == 401 && !text.contains("$ecret"), "{text}");
}

#[test]
fn what_was_left_in_a_file_or_a_url_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{REFERENCE}\n")).unwrap();
    let (file, path) = (format!("{VARIABLE}_FILE"), path.to_str().unwrap());
    let backend = ["--dadl", "xen-orchestra", "--url", "http://127.0.0.1:9"];
    for command in [["call", "list_vms"].as_slice(), &["doctor"]] {
        let (code, text) = run(&[command, &backend].concat(), &[(&file, path)], "");
        assert_ne!(code, Some(0), "{text}");
        let said = format!("{path} holds `{REFERENCE}`, the name of a variable");
        assert!(text.contains(&said), "{text}");
    }
    let (code, text) = run(&["list", "--dadl", "xen-orchestra", "--url", "${XO_URL}"], &[], "");
    assert_ne!(code, Some(0), "{text}");
    assert!(text.contains("--url: it is `${XO_URL}`, the name of a variable"), "{text}");
}

#[test]
fn a_value_within_a_reference_is_shown_nowhere() {
    let secret = "hunter2-real-secret";
    let reference = format!("${{XO_TOKEN:-{secret}}}");
    let backend = ["--dadl", "xen-orchestra", "--url", "http://127.0.0.1:9"];
    for command in [["call", "list_vms"].as_slice(), &["doctor"]] {
        let (_, text) = run(&[command, &backend].concat(), &[(VARIABLE, &reference)], "");
        assert!(text.contains("${XO_TOKEN:-..}") && !text.contains(secret), "{text}");
    }
}
