//! An answer that was cut is read to its end, by what the note on it says.

use dadl_mcp::files::FileStore;
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, failure, serve_compact, serve_harness, text},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(auth: "type: bearer, credential: fake_token", backend: r#"
  tools:
    list_vms: { method: GET, path: /vms, access: read, description: "Lists VMs." }
    export: { method: GET, path: /export, access: read, description: "Exports.", response: { binary: true } }
"#);

fn items(count: usize) -> Vec<Value> {
    (0..count).map(|number| json!({ "id": format!("vm-{number:08}") })).collect()
}

fn harness(upstream: &Upstream, files: impl FnOnce(std::path::PathBuf) -> FileStore) -> Harness {
    let secret = Fixed(Ok("s3cret-of-the-test".into()));
    Harness::with_files(TOOLS, &upstream.url(), secret, |_| {}, files)
}

async fn client(answer: Answer) -> (Client, Upstream, std::path::PathBuf) {
    let upstream = Upstream::start(vec![answer]).await;
    let served = serve_harness(harness(&upstream, FileStore::new), "");
    let served = served.changed(|server| server.with_most_chars(400));
    let files = served.files();
    (Client::legacy(served, json!({})).await, upstream, files)
}

/// The note on a result.
fn note(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

/// The value behind the note.
fn shown(answer: &Value) -> Value {
    serde_json::from_str(answer["result"]["content"][1]["text"].as_str().unwrap()).unwrap()
}

/// The call that a note says to make.
fn advised(note: &str) -> Option<(String, Value)> {
    let (_, call) = note.split_once("call ")?;
    let (tool, rest) = call.split_once(" with ")?;
    let arguments = serde_json::Deserializer::from_str(rest).into_iter().next()?.unwrap();
    Some((tool.to_owned(), arguments))
}

/// Reads on until no note says how.
async fn read_to_the_end(client: &mut Client, first: &Value) -> Vec<Value> {
    let mut read = shown(first).as_array().unwrap().clone();
    let mut next = advised(note(first));
    while let Some((tool, arguments)) = next {
        let answer = client.call(2, &tool, arguments).await;
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        read.extend(shown(&answer).as_array().unwrap().clone());
        next = advised(note(&answer));
    }
    read
}

#[tokio::test]
async fn the_note_leads_to_the_end() {
    let all = json!(items(100));
    let (mut client, _upstream, _) = client(Answer::json(200, &all.to_string())).await;
    let first = client.call(1, "list_vms", json!({})).await;
    let name = "list_vms.json";
    let call = format!(
        "call read_result with {{\"file\":\"{name}\",\"from\":19}}, or with `jq` or `find`"
    );
    assert!(note(&first).contains(&call), "{}", note(&first));
    assert_eq!(json!(read_to_the_end(&mut client, &first).await), all);
}

#[tokio::test]
async fn it_is_read_with_the_tools_that_are_listed() {
    let all = json!({ "total": 100, "vms": items(100) });
    let upstream = Upstream::start(vec![Answer::json(200, &all.to_string())]).await;
    let served = serve_compact(harness(&upstream, FileStore::new));
    let served = served.changed(|server| server.with_most_chars(400));
    let mut client = Client::legacy(served, json!({})).await;
    let first = client.call(1, "api_read", json!({ "tool": "list_vms" })).await;
    let (tool, arguments) = advised(note(&first)).unwrap();
    assert_eq!((tool.as_str(), &arguments["tool"]), ("api_read", &json!("read_result")));
    let rest = client.call(2, &tool, arguments).await;
    assert!(note(&rest).contains(" of 100 items of `vms`; call api_read with "), "{}", note(&rest));
    let shown_first = shown(&first)["vms"].as_array().unwrap().len();
    assert_eq!(shown(&rest)[0], all["vms"][shown_first]);
}

#[tokio::test]
async fn it_is_asked_by_a_program_and_searched() {
    let all = json!(items(100));
    let (mut client, _upstream, _) = client(Answer::json(200, &all.to_string())).await;
    let cut = client.call(1, "list_vms", json!({})).await;
    let (_, arguments) = advised(note(&cut)).unwrap();
    let file = &arguments["file"];
    let program = json!({ "file": file, "jq": "map(.id) | length" });
    assert_eq!(text(&client.call(2, "read_result", program).await), "100");
    let search = json!({ "file": file, "find": "VM-0000004" });
    let found = client.call(3, "read_result", search).await;
    assert_eq!(note(&found), "10 of 100 items have `VM-0000004`");
    assert_eq!(shown(&found)[9], json!({ "at": 49, "value": { "id": "vm-00000049" } }));
    let wrong = json!({ "file": file, "jq": "map(" });
    assert!(
        failure(&client.call(4, "read_result", wrong).await)
            .starts_with("`jq` is not a jq program")
    );
}

#[tokio::test]
async fn what_a_program_gives_is_cut_and_kept_as_well() {
    let all = json!(items(100));
    let (mut client, _upstream, _) = client(Answer::json(200, &all.to_string())).await;
    client.call(1, "list_vms", json!({})).await;
    let program = json!({ "file": "list_vms.json", "jq": "map(.id)" });
    let cut = client.call(2, "read_result", program).await;
    let ids: Vec<Value> = all.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(read_to_the_end(&mut client, &cut).await, ids);
}

#[tokio::test]
async fn a_text_that_was_saved_is_read_without_secrets() {
    let log = "one\ntwo s3cret-of-the-test\nthree\n";
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{log}",
        log.len()
    );
    let (mut client, _upstream, _) = client(Answer::Bytes(answer.into_bytes())).await;
    let saved = client.call(1, "export", json!({})).await;
    let path = saved["result"]["structuredContent"]["path"].as_str().unwrap();
    for name in [path.to_owned(), format!("file://{path}")] {
        let read = client.call(2, "read_result", json!({ "file": name, "from": 1 })).await;
        assert_eq!(note(&read), "line 1 to 2 of 3 lines");
        let lines = read["result"]["content"][1]["text"].as_str().unwrap();
        assert!(lines.starts_with("two ") && lines.ends_with("\nthree"), "{lines}");
        assert!(!lines.contains("s3cret"), "{lines}");
    }
}

#[tokio::test]
async fn nothing_else_is_read() {
    let all = json!(items(100));
    let (mut client, _upstream, files) = client(Answer::json(200, &all.to_string())).await;
    client.call(1, "list_vms", json!({})).await;
    std::fs::write(files.join("theirs.json"), "[1]").unwrap();
    std::fs::create_dir_all(files.join(".private")).unwrap();
    std::fs::write(files.join(".private/sealed.json"), "[1]").unwrap();
    let outside = files.parent().unwrap().join("outside.json");
    std::fs::write(&outside, "[1]").unwrap();
    let outside = outside.to_string_lossy().into_owned();
    let names = [
        "theirs.json",
        ".private/sealed.json",
        "../outside.json",
        outside.as_str(),
        "dadl-file:00000000000000000000000000000000",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://example.com/a.json",
        ".",
        "",
    ];
    for name in names {
        let answer = client.call(2, "read_result", json!({ "file": name })).await;
        let said = failure(&answer);
        assert!(said.contains("no stored answer is called") || name.is_empty(), "{name}: {said}");
    }
    // What was stored, and changed since, is not what was stored.
    std::fs::write(files.join("list_vms.json"), "[1]").unwrap();
    let answer = client.call(3, "read_result", json!({ "file": "list_vms.json" })).await;
    assert!(failure(&answer).contains("no stored answer"), "{answer}");
}

#[tokio::test]
async fn behind_a_server_it_has_a_name_that_nobody_guesses() {
    let all = json!(items(100));
    let upstream = Upstream::start(vec![Answer::json(200, &all.to_string())]).await;
    let published = |directory| {
        let files = FileStore::new(directory);
        files.publish();
        files
    };
    let served = serve_harness(harness(&upstream, published), "");
    let served = served.changed(|server| server.with_most_chars(400));
    let mut client = Client::legacy(served, json!({})).await;
    let first = client.call(1, "list_vms", json!({})).await;
    let (_, arguments) = advised(note(&first)).unwrap();
    assert!(arguments["file"].as_str().unwrap().starts_with("dadl-file:"), "{arguments}");
    assert_eq!(json!(read_to_the_end(&mut client, &first).await), all);
    let answer = client.call(2, "read_result", json!({ "file": "list_vms.json" })).await;
    assert!(failure(&answer).contains("no stored answer"), "{answer}");
}
