//! Request bodies with files, as a server that reads sockets sees them.

use dadl_mcp::outcome::Payload;
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
    assert!(matches!(outcome.payload, Payload::Json(_)));
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
