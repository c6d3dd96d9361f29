//! `drift` against the document of a running server, and with the exceptions that are built in.

use std::{path::Path, process::Command};

use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};

use crate::upstream::{Answer, Upstream};

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

fn drift(home: &Path, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .arg("drift")
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", "demo-token")
        .env("CREDENTIAL_PETS", "s3cret-of-pets")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

async fn old_xo() -> XenOrchestra {
    let options = SimulatorOptions {
        version: Some("0.33.0".to_owned()),
        lacks: vec!["POST /hosts/{id}/actions/scan_pifs".to_owned()],
        record: true,
        ..SimulatorOptions::default()
    };
    XenOrchestra::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_server_is_compared() {
    let home = tempfile::tempdir().unwrap();
    let simulator = old_xo().await;
    let run = drift(home.path(), &["xen-orchestra", &simulator.url(), "--json"]);
    let report = run.json();
    let document = format!("{}/docs/swagger.json", simulator.url().trim_end_matches('/'));
    assert_eq!(report["document"]["source"], document.as_str());
    assert_eq!(report["document"]["version"], "0.33.0");
    assert_eq!(report["exceptions"], "built in");
    // An older server lacks tools, which is no difference.
    let left_out = report["left_out"].as_array().unwrap();
    let tools: Vec<&str> = left_out.iter().map(|it| it["tool"].as_str().unwrap()).collect();
    assert_eq!(tools.len(), 8, "{tools:?}");
    assert!(tools.contains(&"scan_host_pifs") && tools.contains(&"join_pool"), "{tools:?}");
    let differences = report["differences"].as_array().unwrap();
    assert!(differences.iter().all(|it| it["difference"] != "unknown-operation"), "{report}");
    // The document is public: the credential stays here.
    let requests = simulator.take_requests();
    assert!(requests.iter().all(|request| request.header("cookie").is_none()), "{requests:?}");
    // The URL of the document means the same.
    let named = drift(home.path(), &["xen-orchestra", &document, "--json"]).json();
    assert_eq!(named["differences"], report["differences"]);
    // And so does a backend of the settings.
    let settings = home.path().join("backends.yaml");
    let text =
        format!("backends:\n  - {{name: xo, dadl: xen-orchestra, url: \"{}\"}}\n", simulator.url());
    std::fs::write(&settings, text).unwrap();
    let path = settings.to_str().unwrap();
    let named = drift(home.path(), &["xo", "--config", path, "--json"]).json();
    assert_eq!(named["differences"], report["differences"]);
    let unknown = drift(home.path(), &["shop", "--config", path]);
    assert_eq!(unknown.code, Some(3));
    assert!(unknown.err.contains("no backend \"shop\""), "{}", unknown.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_in_descriptor_brings_its_exceptions() {
    let home = tempfile::tempdir().unwrap();
    let simulator = old_xo().await;
    let url = simulator.url();
    let file = home.path().join("copy.dadl");
    std::fs::write(&file, include_str!("../../dadl/xen-orchestra.dadl")).unwrap();
    let none = home.path().join("none.yaml");
    std::fs::write(&none, "exceptions: []\n").unwrap();
    for (arguments, from) in [
        (vec!["xen-orchestra", &url, "--json"], json!("built in")),
        (vec!["xen-orchestra", &url, "--json", "--no-exceptions"], Value::Null),
        (vec!["./copy.dadl", &url, "--json"], Value::Null),
        (vec!["xen-orchestra", &url, "--json", "--exceptions", "none.yaml"], json!("none.yaml")),
    ] {
        let report = drift(home.path(), &arguments).json();
        assert_eq!(report["exceptions"], from, "{arguments:?}");
    }
    // Stale ones of the program are nobody's fault here.
    std::fs::write(home.path().join("empty.json"), r#"{"openapi": "3.0.0", "paths": {}}"#).unwrap();
    let report = drift(home.path(), &["xen-orchestra", "empty.json"]);
    assert!(!report.out.contains("\nstale "), "{}", report.out);
}

const PETS: &str = "\
spec: https://dadl.ai/spec/dadl-spec-v0.2
backend:
  name: pets
  type: rest
  base_url: https://pets.example
  openapi_source: https://pets.example/openapi.json
  description: Pets.
  auth: {type: bearer, credential: pets}
  tools:
    list_pets: {method: GET, path: /pets, access: read, description: Lists.}
    get_pet: {method: GET, path: /cats, access: read, description: Gets.}
";

const DOCUMENT: &str = r#"{"openapi": "3.0.0", "info": {"title": "Pets", "version": "2"}, "paths": {"/pets": {"get": {}}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_goes_to_no_other_origin() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("pets.dadl"), PETS).unwrap();
    let other = Upstream::routes(&[("GET /api/openapi.json", Answer::json(200, DOCUMENT))]).await;
    let elsewhere = format!("{}/openapi.json", other.url().trim_end_matches('/'));
    let api =
        Upstream::routes(&[("GET /api/openapi.json", Answer::redirect(302, &elsewhere))]).await;
    let document = format!("{}/openapi.json", api.url().trim_end_matches('/'));
    let run = drift(home.path(), &["./pets.dadl", &document]);
    assert!(matches!(run.code, Some(5 | 6)), "{:?} {}", run.code, run.err);
    assert!(!run.err.contains("s3cret"), "{}", run.err);
    assert!(other.requests().is_empty(), "{:?}", other.requests());
    let query = drift(home.path(), &["./pets.dadl", &format!("{document}?token=s3cret-in-url")]);
    assert_eq!(query.code, Some(2));
    assert!(!query.err.contains("s3cret"), "{}", query.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_why() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("pets.dadl"), PETS).unwrap();
    let api = Upstream::routes(&[
        ("GET /api/openapi.json", Answer::json(200, DOCUMENT)),
        (
            "GET /api/page.json",
            Answer::full(200, &[("Content-Type", "text/html")], b"<html></html>"),
        ),
        ("GET /api/gone.json", Answer::json(404, "{}")),
    ])
    .await;
    let at = |path: &str| format!("{}{path}", api.url().trim_end_matches('/'));
    for (document, code, said) in [
        (at("/openapi.json"), 7, "unknown-operation get_pet"),
        (at("/page.json"), 5, "was answered with a web page"),
        (at("/gone.json"), 5, "answered with HTTP 404"),
        ("http://127.0.0.1:1/openapi.json".to_owned(), 6, "cannot be had"),
    ] {
        let run = drift(home.path(), &["./pets.dadl", &document]);
        let all = format!("{}{}", run.out, run.err);
        assert_eq!(run.code, Some(code), "{all}");
        assert!(all.contains(said), "{all}");
    }
}

#[test]
fn sarif_is_what_code_hosts_read() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("pets.dadl"), PETS).unwrap();
    std::fs::write(home.path().join("api.json"), DOCUMENT).unwrap();
    let run = drift(home.path(), &["./pets.dadl", "api.json", "--format", "sarif"]);
    assert_eq!(run.code, Some(7), "{}", run.err);
    let log = run.json();
    assert_eq!(log["version"], "2.1.0");
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{log}");
    assert_eq!(results[0]["ruleId"], "unknown-operation");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "./pets.dadl");
    let line = place["region"]["startLine"].as_u64().unwrap();
    let text = PETS.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
    assert!(text.trim_start().starts_with("get_pet:"), "{text}");
}
