//! Request bodies with files, as a server that reads sockets sees them.

use dadl_mcp::outcome::AnswerPayload;
use serde_json::json;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(backend: r#"
  tools:
    attach:
      method: POST
      path: /attachments
      access: write
      description: "Attaches."
      content_type: multipart/form-data
      max_body_size: 1KB
      params:
        file: { type: file_url, in: body, required: true }
        "tags[]": { type: array, in: body }
        meta: { type: object, in: body }
    note: { method: POST, path: /notes, access: write, description: "Notes.", max_body_size: 10B, params: { text: { type: string, in: body } } }
    import: { method: PUT, path: /import, access: write, description: "Imports.", content_type: application/zip, max_body_size: 10B }
    labels: { method: PUT, path: /labels, access: write, description: "Labels.", content_type: application/json, max_body_size: 40B, params: { file: { type: file_url, in: body } } }
    list: { method: PUT, path: /list, access: write, description: "Lists.", content_type: application/json, params: { file: { type: file_url, in: body, required: true } } }
    name: { method: PUT, path: /name, access: write, description: "Names.", content_type: application/json, params: { file: { type: file_url, in: body, required: true } } }
    xml: { method: PUT, path: /xml, access: write, description: "Sends XML.", content_type: application/xml, params: { file: { type: file_url, in: body, required: true } } }
    old: { method: PUT, path: /old, access: write, description: "As before.", content_type: application/xml, params: { file: { type: file_url, in: body, required: true } } }
    several: { method: POST, path: /several, access: write, description: "Sends.", content_type: multipart/form-data, params: { files: { type: file_url, in: body, required: true } } }
    typed: { method: POST, path: /typed, access: write, description: "Sends.", content_type: multipart/form-data, params: { meta: { type: object, in: body }, note: { type: string, in: body }, photo: { type: file_url, in: body } } }
    seen: { method: GET, path: /seen, access: read, description: "Looks." }
    empty: { method: POST, path: /empty, access: write, description: "Sends.", content_type: multipart/form-data, params: { note: { type: string, in: body } } }
_dadl_mcp:
  requests:
    labels: { body: { open: true, required: true } }
    list: { params: { file: { type: array } } }
    name: { params: { file: { type: string } } }
    old: { body: { file: true } }
    several: { params: { files: { type: files } } }
    typed: { params: { meta: { content_type: application/json }, photo: { content_type: image/x-raw } } }
    seen: { params: { lang: { in: cookie, type: string } } }
    empty: { body: { required: true } }
"#);

async fn bench() -> (Upstream, Harness) {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    std::fs::create_dir(harness.executor.files().directory()).unwrap();
    (upstream, harness)
}

fn write(harness: &Harness, name: &str, bytes: &[u8]) {
    std::fs::write(harness.executor.files().directory().join(name), bytes).unwrap();
}

async fn failure(harness: &Harness, tool: &str, arguments: serde_json::Value) -> String {
    harness.call(tool, arguments).await.unwrap_err().for_model()
}

#[tokio::test]
async fn a_multipart_body_arrives_with_its_length() {
    let (upstream, harness) = bench().await;
    write(&harness, "a \"b\".png", b"\x00\r\n--\xff");
    let arguments = json!({ "file": "a \"b\".png", "tags": ["x", "ü"], "meta": { "n": 1 } });
    let outcome = harness.call("attach", arguments).await.unwrap();
    assert!(matches!(outcome.payload, AnswerPayload::Json(_)));
    let request = upstream.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let (_, boundary) = head.split_once("content-type: multipart/form-data; boundary=").unwrap();
    let boundary = boundary.lines().next().unwrap();
    assert!(head.contains("content-length: ") && !head.contains("chunked"), "{head}");
    let lossy = String::from_utf8_lossy(b"\x00\r\n--\xff").into_owned();
    let part = |head: &str, text: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n")
    };
    let expected = [
        part("name=\"tags[]\"", "x"),
        part("name=\"tags[]\"", "ü"),
        part("name=\"meta\"", "{\"n\":1}"),
        part("name=\"file\"; filename=\"a %22b%22.png\"\r\nContent-Type: image/png", &lossy),
        format!("--{boundary}--\r\n"),
    ];
    assert_eq!(body, expected.concat());
}

#[tokio::test]
async fn two_calls_have_two_boundaries() {
    let (upstream, harness) = bench().await;
    write(&harness, "a.txt", b"x");
    for _ in 0..2 {
        harness.call("attach", json!({ "file": "a.txt" })).await.unwrap();
    }
    let boundaries: Vec<String> = upstream
        .requests()
        .iter()
        .map(|request| {
            let (_, rest) = request.split_once("boundary=").unwrap();
            rest.lines().next().unwrap().to_owned()
        })
        .collect();
    assert_ne!(boundaries[0], boundaries[1]);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_sent() {
    let (upstream, harness) = bench().await;
    write(&harness, "big.zip", &[b'x'; 1025]);
    write(&harness, "fits.zip", &[b'x'; 1024]);
    assert_eq!(
        failure(&harness, "attach", json!({ "file": "big.zip" })).await,
        "the body of `attach` has 1025 bytes, more than the 1024 bytes of its `max_body_size`; \
         nothing was sent"
    );
    // What is between the fields does not count, but the fields do.
    harness.call("attach", json!({ "file": "fits.zip" })).await.unwrap();
    let error = failure(&harness, "attach", json!({ "file": "fits.zip", "tags": ["a"] })).await;
    assert!(error.contains("has 1025 bytes"), "{error}");
    let error = failure(&harness, "import", json!({ "file": "fits.zip" })).await;
    assert!(error.contains("the body of `import` has 1024 bytes, more than the 10"), "{error}");
    let error = failure(&harness, "note", json!({ "text": "hello" })).await;
    assert!(error.contains("the body of `note` has 16 bytes, more than the 10"), "{error}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_sends_the_whole_file_again() {
    let upstream =
        Upstream::start(vec![Answer::redirect(307, "/api/elsewhere"), Answer::json(200, "{}")])
            .await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    std::fs::create_dir(harness.executor.files().directory()).unwrap();
    write(&harness, "a.txt", b"all of it");
    harness.call("attach", json!({ "file": "a.txt" })).await.unwrap();
    let requests = upstream.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let (_, rest) = request.split_once("boundary=").unwrap();
        let boundary = rest.lines().next().unwrap();
        assert!(request.contains("all of it"), "{request}");
        assert!(request.ends_with(&format!("--{boundary}--\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_file_that_is_missing_sends_nothing() {
    let (upstream, harness) = bench().await;
    let error = failure(&harness, "attach", json!({ "file": "none.png" })).await;
    assert!(error.starts_with("file \"none.png\" cannot be read"), "{error}");
    assert!(upstream.requests().is_empty());
}

/// The body of the only request.
fn body(upstream: &Upstream) -> String {
    let requests = upstream.requests();
    assert_eq!(requests.len(), 1);
    requests[0].split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_body_is_given_inline() {
    for (tool, arguments, expected) in [
        ("labels", json!({ "file": { "team": "infra" } }), r#"{"team":"infra"}"#),
        ("labels", json!({ "file": "{\"team\":\"infra\"}" }), r#"{"team":"infra"}"#),
        ("labels", json!({ "team": "infra" }), r#"{"team":"infra"}"#),
        ("labels", json!({}), "{}"),
        ("list", json!({ "file": [1, 2] }), "[1,2]"),
        ("list", json!({ "file": "[1, 2]" }), "[1, 2]"),
        ("name", json!({ "file": "hello" }), r#""hello""#),
        ("xml", json!({ "file": "<a>1</a>" }), "<a>1</a>"),
    ] {
        let (upstream, harness) = bench().await;
        harness.call(tool, arguments).await.unwrap();
        assert_eq!(body(&upstream), expected, "{tool}");
    }
    let (upstream, harness) = bench().await;
    let error = failure(&harness, "labels", json!({ "file": { "a": "x".repeat(40) } })).await;
    assert!(error.contains("more than the 40"), "{error}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_file_of_the_directory_is_meant_by_its_name() {
    for (tool, file) in
        [("labels", "a.json"), ("list", "a.json"), ("name", "a.json"), ("old", "a.json")]
    {
        let (upstream, harness) = bench().await;
        write(&harness, "a.json", b"[ 3 ]");
        harness.call(tool, json!({ "file": file })).await.unwrap();
        assert_eq!(body(&upstream), "[ 3 ]", "{tool}");
    }
    let (upstream, harness) = bench().await;
    let error = failure(&harness, "list", json!({ "file": "none.json" })).await;
    assert!(error.starts_with("file \"none.json\" cannot be read"), "{error}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn text_is_never_a_name() {
    let (upstream, harness) = bench().await;
    write(&harness, "a.xml", b"<secret/>");
    harness.call("xml", json!({ "file": "a.xml" })).await.unwrap();
    assert_eq!(body(&upstream), "a.xml");
    let error = failure(&harness, "xml", json!({ "file": "dadl-file:0f" })).await;
    assert!(error.starts_with("file \"dadl-file:0f\""), "{error}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_field_has_several_files() {
    let (upstream, harness) = bench().await;
    write(&harness, "a.txt", b"AAA");
    write(&harness, "b.txt", b"BBB");
    harness.call("several", json!({ "files": ["a.txt", "b.txt"] })).await.unwrap();
    let sent = body(&upstream);
    for part in ["name=\"files\"; filename=\"a.txt\"", "AAA", "filename=\"b.txt\"", "BBB"] {
        assert!(sent.contains(part), "{sent}");
    }
    assert_eq!(sent.matches("name=\"files\"").count(), 2, "{sent}");
}

#[tokio::test]
async fn a_field_has_the_type_that_is_said() {
    let (upstream, harness) = bench().await;
    write(&harness, "a.png", b"AAA");
    let arguments = json!({ "meta": { "a": 1 }, "note": "n", "photo": "a.png" });
    harness.call("typed", arguments).await.unwrap();
    let sent = body(&upstream);
    for part in [
        "name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}",
        "name=\"note\"\r\n\r\nn",
        "name=\"photo\"; filename=\"a.png\"\r\nContent-Type: image/x-raw\r\n\r\nAAA",
    ] {
        assert!(sent.contains(part), "{part}: {sent}");
    }
}

#[tokio::test]
async fn a_cookie_of_the_caller_replaces_none_of_the_operator() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |settings| {
        let cookies = http::HeaderValue::from_static("tenant=main");
        settings.headers.push((http::header::COOKIE, cookies));
    });
    harness.call("seen", json!({ "lang": "de" })).await.unwrap();
    let request = upstream.requests().remove(0);
    assert!(request.contains("cookie: tenant=main; lang=de\r\n"), "{request}");
}

#[tokio::test]
async fn a_required_multipart_body_has_no_parts() {
    let (upstream, harness) = bench().await;
    harness.call("empty", json!({})).await.unwrap();
    let request = upstream.requests().remove(0);
    let (_, boundary) = request.split_once("boundary=").unwrap();
    let boundary = boundary.lines().next().unwrap();
    assert!(request.ends_with(&format!("\r\n\r\n--{boundary}--\r\n")), "{request}");
}
