//! Files in the texts of arguments: `#base64`, `#dataurl` and `#url` behind their handles.

use dadl_mcp::{executor::CallError, gate::PendingCall, shares::ClientKey};

use super::*;
use crate::upstream::ByHand;

/// What a file has whose base64 has each of the characters that other places give a meaning.
const BYTES: &[u8] = b"\xfb\xff\xfe";
const TEXT: &str = "+//+";
/// The same in a URL.
const IN_URL: &str = "%2B%2F%2F%2B";
/// What a file has whose base64 is a number: `1234`.
const NUMBER: &[u8] = b"\xd7\x6d\xf8";

const TOOLS: &str = api!(top: "requires: { features: [composites] }", backend: r#"
  defaults:
    errors: { message_path: "$.error" }
  tools:
    put:
      method: POST
      path: "/notes/{id}"
      access: read
      description: "Puts."
      params:
        id: { type: string, in: path, required: true }
        q: { type: string, in: query }
        tags: { type: array, in: query }
        usual: { type: array, in: query }
        filter: { type: object, in: query }
        X-Note: { type: string, in: header }
        text: { type: string, in: body }
        note: { type: string, in: body }
        deep: { type: object, in: body }
        list: { type: array, in: body }
        some: { type: string, in: body }
        count: { type: integer, in: body }
    form: { method: POST, path: /form, access: read, description: "Form.", content_type: application/x-www-form-urlencoded, params: { text: { type: string, in: body }, list: { type: array, in: body } } }
    parts: { method: POST, path: /parts, access: read, description: "Parts.", content_type: multipart/form-data, params: { file: { type: file_url, in: body }, text: { type: string, in: body }, meta: { type: object, in: body } } }
    several: { method: POST, path: /several, access: read, description: "Several.", content_type: multipart/form-data, params: { files: { type: file_url, in: body } } }
    plain: { method: PUT, path: /plain, access: read, description: "Text.", content_type: text/plain, params: { file: { type: file_url, in: body, required: true } } }
    json: { method: PUT, path: /json, access: read, description: "JSON.", content_type: application/json, params: { file: { type: file_url, in: body, required: true } } }
    name: { method: PUT, path: /name, access: read, description: "A text.", content_type: application/json, params: { file: { type: file_url, in: body, required: true } } }
    list: { method: PUT, path: /list, access: read, description: "A list.", content_type: application/json, params: { file: { type: file_url, in: body, required: true } } }
    bytes: { method: PUT, path: /bytes, access: read, description: "Bytes.", content_type: application/zip, params: { file: { type: file_url, in: body, required: true } } }
    below: { method: GET, path: "/below/{rest}/end", access: read, description: "Below.", params: { rest: { type: string, in: path, required: true } } }
    styled: { method: GET, path: /styled, access: read, description: "Styled.", params: { where: { type: string, in: query } } }
    default: { method: GET, path: /default, access: read, description: "Default.", params: { q: { type: string, in: query, default: "dadl-file:00000000000000000000000000000000#base64" } } }
    pages: { method: GET, path: /pages, access: read, description: "Pages.", params: { q: { type: string, in: query } }, pagination: { behavior: auto, strategy: offset, request: { offset_param: offset, limit_param: limit, limit_default: 2 } } }
    small: { method: POST, path: /small, access: read, description: "Small.", max_body_size: 1KB, params: { text: { type: string, in: body } } }
    burn: { method: POST, path: "/burn/{id}", access: dangerous, description: "Burns.", params: { id: { type: string, in: path, required: true }, text: { type: string, in: body } } }
    events: { method: GET, path: /events, access: read, description: "Events.", params: { q: { type: string, in: query } }, response: { streaming: true } }
    look: { method: GET, path: /look, access: read, description: "Looks." }
    export: { method: GET, path: /export.pdf, access: read, description: "Exports.", response: { type: file_url, ttl: 1h } }
  composites:
    run:
      description: "Runs."
      params: { text: { type: string }, file: { type: string }, how: { type: string, required: true } }
      code: |
        const first = await api.look({});
        if (params.how === "given") return api.form({ text: params.text });
        if (params.how === "built") return api.form({ list: [params.file + '#base64', first.text] });
        if (params.how === "saved") return api.form({ text: (await api.export({})).file + '#base64' });
        return params;
_dadl_mcp:
  requests:
    put: { body: { open: true }, params: { tags: { style: form, explode: false }, seen: { in: cookie, type: string }, some: { type: [number, string, array] } } }
    several: { params: { files: { type: files } } }
    name: { params: { file: { type: string } } }
    list: { params: { file: { type: array } } }
    below: { params: { rest: { style: segments } } }
    styled: { params: { where: { style: json, type: [string, object] } } }
"#);

async fn site(answers: Vec<Answer>) -> Site {
    site_with(answers, defaults(), OperatorLimits::default()).await
}

async fn site_with(answers: Vec<Answer>, settings: FileSettings, limits: OperatorLimits) -> Site {
    Site::start_of(TOOLS, answers, settings, limits, |_| {}).await
}

fn ok() -> Answer {
    Answer::json(200, r#"{"text":"fine"}"#)
}

/// A backend of another descriptor, called from a process without clients, over the files of `site`.
fn beside(site: &Site, tools: &str, url: &str) -> Harness {
    let files = site.harness.executor.files().clone();
    Harness::with_files(tools, url, Fixed(Ok(String::new())), |_| {}, |_| files)
}

/// Stores a file and returns its handle.
async fn stored(site: &Site, name: &str, bytes: &[u8]) -> String {
    site.upload(name, bytes).await["file"].as_str().unwrap().to_owned()
}

/// The text of a call that has no result.
async fn error(site: &Site, tool: &str, arguments: Value) -> String {
    let answer = site.call(tool, arguments).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    text(&answer).to_owned()
}

/// The requests that arrived, without what is not about them.
fn bodies(site: &Site) -> Vec<String> {
    let body = |request: String| request.split_once("\r\n\r\n").unwrap().1.to_owned();
    site.upstream.requests().into_iter().map(body).collect()
}

#[tokio::test]
async fn a_handle_is_bytes_anywhere() {
    let site = site(vec![ok()]).await;
    let file = stored(&site, "a.txt", BYTES).await;
    let (base64, data) = (format!("{file}#base64"), format!("{file}#dataurl"));
    let url = format!("data:text/plain;base64,{TEXT}");
    let answer = site
        .call(
            "put",
            json!({
                "id": base64, "q": base64, "tags": [base64, "x"], "usual": [base64, data],
                "filter": { "a": base64 }, "X-Note": data, "seen": base64,
                "text": base64, "note": format!("see {base64}"),
                "deep": { "a": [{ "b": data, (base64.clone()): 1 }, [base64]], "c": file },
                "list": [base64, 1, null], "some": base64, "other": { "x": [data] }, "more": base64,
            }),
        )
        .await;
    assert_eq!(text(&answer), r#"{"text":"fine"}"#, "{answer}");
    let request = site.upstream.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap();
    assert!(path.ends_with(&format!("/notes/{IN_URL}")), "{path}");
    let data_in_url = format!("data%3Atext%2Fplain%3Bbase64%2C{IN_URL}");
    let expected = format!(
        "q={IN_URL}&tags={IN_URL},x&usual={IN_URL}&usual={data_in_url}&filter%5Ba%5D={IN_URL}"
    );
    assert_eq!(query, expected);
    assert!(head.contains(&format!("x-note: {url}\r\n")), "{head}");
    assert!(head.contains(&format!("cookie: seen={TEXT}\r\n")), "{head}");
    let expected = json!({
        "text": TEXT, "note": format!("see {base64}"),
        "deep": { "a": [{ "b": url, (base64.clone()): 1 }, [TEXT]], "c": file },
        "list": [TEXT, 1, null], "some": TEXT, "other": { "x": [url] }, "more": TEXT,
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn a_handle_is_bytes_in_every_body() {
    let site = site(vec![ok()]).await;
    let file = stored(&site, "n", NUMBER).await;
    let base64 = format!("{file}#base64");
    let data = format!("{file}#dataurl");
    let as_data = "data:application/octet-stream;base64,1234";
    // The name of a file of the directory is text as well.
    std::fs::write(site.harness.executor.files().directory().join("1234"), "other").unwrap();
    let parts = json!({ "file": file, "text": base64, "meta": { "a": [base64] } });
    for (tool, arguments) in [
        ("form", json!({ "text": data, "list": [base64, "x"] })),
        ("parts", parts),
        ("plain", json!({ "file": base64 })),
        ("json", json!({ "file": base64 })),
        ("json", json!({ "file": { "a": [base64] } })),
        ("json", json!({ "file": format!("[\"{base64}\"]") })),
        ("name", json!({ "file": base64 })),
        ("list", json!({ "file": [data] })),
        ("bytes", json!({ "file": file })),
    ] {
        let answer = site.call(tool, arguments).await;
        assert_eq!(text(&answer), r#"{"text":"fine"}"#, "{tool}: {answer}");
    }
    let sent = bodies(&site);
    let form = "text=data%3Aapplication%2Foctet-stream%3Bbase64%2C1234&list=1234&list=x";
    assert_eq!(sent[0], form);
    assert!(sent[1].contains("name=\"text\"\r\n\r\n1234\r\n"), "{}", sent[1]);
    assert!(sent[1].contains("name=\"meta\"\r\n\r\n{\"a\":[\"1234\"]}\r\n"), "{}", sent[1]);
    assert!(sent[1].contains("name=\"file\"; filename=\"n\"\r\n"), "{}", sent[1]);
    let text_in_text = format!("[\"{base64}\"]");
    let expected = [
        "1234",
        "\"1234\"",
        r#"{"a":["1234"]}"#,
        &text_in_text,
        "\"1234\"",
        &format!("[\"{as_data}\"]"),
    ];
    assert_eq!(&sent[2..8], expected);
    assert_eq!(sent[8], String::from_utf8_lossy(NUMBER));
}

#[tokio::test]
async fn bytes_are_one_value_whatever_they_look_like() {
    let site = site(vec![ok()]).await;
    let file = stored(&site, "n.txt", NUMBER).await;
    let slashes = stored(&site, "s", BYTES).await;
    site.call("styled", json!({ "where": format!("{file}#base64") })).await;
    site.call("styled", json!({ "where": { "a": format!("{file}#base64") } })).await;
    site.call("below", json!({ "rest": format!("{slashes}#base64") })).await;
    site.call("put", json!({ "id": "x", "tags": format!("{file}#dataurl") })).await;
    let targets = site.upstream.requests();
    let targets: Vec<&str> = targets.iter().map(|it| it.split(' ').nth(1).unwrap()).collect();
    assert!(targets[0].ends_with("/styled?where=%221234%22"), "{}", targets[0]);
    assert!(targets[1].ends_with("/styled?where=%7B%22a%22%3A%221234%22%7D"), "{}", targets[1]);
    assert!(targets[2].ends_with(&format!("/below/{IN_URL}/end")), "{}", targets[2]);
    let data = "data%3Atext%2Fplain%3Bbase64%2C1234";
    assert!(targets[3].ends_with(&format!("/notes/x?tags={data}")), "{}", targets[3]);
}

#[tokio::test]
async fn a_wrong_handle_sends_nothing() {
    let site = site(vec![ok()]).await;
    let file = stored(&site, "a.txt", BYTES).await;
    let unknown = format!("dadl-file:{}", "0".repeat(32));
    for (handle, reason) in [
        (
            format!("{unknown}#base64"),
            "is not in the store; it may have expired; upload it with PUT",
        ),
        ("dadl-file:x#dataurl".to_owned(), "is not in the store"),
        ("dadl-file:#url".to_owned(), "is not in the store"),
        (format!("{file}#BASE64"), "ends in `#BASE64`, which is none of `#base64`, `#dataurl`"),
        (format!("{file}#"), "ends in `#`"),
        (format!("{file}#base64#url"), "ends in `#base64#url`"),
    ] {
        let deep = json!({ "id": "x", "deep": { "a": [{ "b": handle }] } });
        for (tool, arguments) in [
            ("put", deep),
            ("put", json!({ "id": "x", "q": handle })),
            ("put", json!({ "id": "x", "other": [handle] })),
            ("form", json!({ "list": ["x", handle] })),
            ("plain", json!({ "file": handle })),
            ("run", json!({ "text": handle, "how": "given" })),
        ] {
            let said = error(&site, tool, arguments).await;
            assert!(said.starts_with(&format!("file \"{handle}\" {reason}")), "{tool}: {said}");
        }
    }
    let base64 = format!("{file}#base64");
    for (tool, arguments, reason) in [
        ("parts", json!({ "file": base64 }), "`file` takes the file itself"),
        ("several", json!({ "files": [file, base64] }), "`files` takes the file itself"),
        ("bytes", json!({ "file": base64 }), "`file` takes the file itself"),
        ("list", json!({ "file": base64 }), "`file` takes the file itself"),
        ("put", json!({ "id": "x", "count": base64 }), "`count` must be an integer"),
        ("put", json!({ "id": "x", "text": { "a": base64 } }), "a file's handle would stay"),
    ] {
        let said = error(&site, tool, arguments).await;
        assert!(said.contains(reason), "{tool}: {said}");
    }
    *site.now.lock().unwrap() += Duration::from_secs(3 * 24 * 60 * 60);
    let said = error(&site, "put", json!({ "id": "x", "q": format!("{unknown}#url") })).await;
    assert!(said.contains("may have expired"), "{said}");
    assert_eq!(site.upstream.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn ten_megabytes() {
    let site = site(vec![ok()]).await;
    let most = 10 * 1024 * 1024;
    let (file, larger) =
        (stored(&site, "a", &vec![0; most]).await, stored(&site, "b", &vec![0; most + 1]).await);
    let (handle, larger) = (format!("{file}#base64"), format!("{larger}#dataurl"));
    let answer = site.call("form", json!({ "list": [handle, handle, handle] })).await;
    assert_eq!(text(&answer), r#"{"text":"fine"}"#, "{answer}");
    let sent = bodies(&site).remove(0);
    assert_eq!(sent.len(), 3 * (most.div_ceil(3) * 4 + "list=".len() + "%3D%3D".len() - 2) + 2);
    let said = error(&site, "form", json!({ "text": larger })).await;
    assert!(said.contains("has 10485761 bytes, and is larger than the 10485760"), "{said}");
    let said = error(&site, "form", json!({ "list": [handle, handle, handle, handle] })).await;
    assert!(said.contains("more than the 33554432 bytes that a call takes"), "{said}");
    let said = error(&site, "small", json!({ "text": handle })).await;
    assert!(said.contains("`max_body_size`") && said.contains("nothing was sent"), "{said}");
    // No URL is as long.
    let said = error(&site, "put", json!({ "id": "x", "q": handle })).await;
    assert!(said.contains("longer than any server takes"), "{said}");
    assert_eq!(site.upstream.requests().len(), 1);
    assert_eq!(site.harness.executor.bytes_in_memory(), 0);
}

#[tokio::test]
async fn files_in_arguments_count_as_memory() {
    let limits = OperatorLimits { memory: 100_000, ..OperatorLimits::default() };
    let site = site_with(vec![ok()], defaults(), limits).await;
    let (small, large) =
        (stored(&site, "a", &[0; 3000]).await, stored(&site, "b", &[0; 90_000]).await);
    let said = error(&site, "form", json!({ "text": format!("{large}#base64") })).await;
    assert!(said.contains("100000 bytes together (`max_memory` of `limits`)"), "{said}");
    assert_eq!(site.upstream.requests(), Vec::<String>::new());
    let answer = site.call("form", json!({ "text": format!("{small}#base64") })).await;
    assert_eq!(text(&answer), r#"{"text":"fine"}"#, "{answer}");
}

#[tokio::test]
async fn a_question_shows_the_handle() {
    let site = site(vec![ok(), Answer::json(500, r#"{"error":"no"}"#)]).await;
    let file = stored(&site, "a.txt", BYTES).await;
    let handle = format!("{file}#base64");
    let Value::Object(given) = json!({ "id": handle, "text": handle }) else { unreachable!() };
    let pending = site.harness.gate.check("burn", given).unwrap();
    let question = pending.question();
    assert!(question.matches(&handle).count() >= 2, "{question}");
    assert!(question.contains("%23base64") && !question.contains(TEXT), "{question}");
    let shown = site.harness.executor.dry_run(&pending).unwrap().to_string();
    assert!(shown.contains(&format!("{{\"text\":\"{handle}\"}}")), "{shown}");
    let body = json!({ "id": handle, "text": handle });
    site.harness.call("burn", body.clone()).await.unwrap();
    let said = site.harness.call("burn", body).await.unwrap_err().for_model();
    assert!(said.contains("%23base64") && !said.contains(IN_URL), "{said}");
    let sent = bodies(&site);
    assert_eq!(sent, [format!("{{\"text\":\"{TEXT}\"}}"), format!("{{\"text\":\"{TEXT}\"}}")]);
}

#[tokio::test]
async fn a_url_needs_one() {
    let without = site(vec![ok()]).await;
    let file = stored(&without, "a.txt", BYTES).await;
    let said = error(&without, "form", json!({ "text": format!("{file}#url") })).await;
    assert!(said.contains("has no URL: `public_url` of `files` in backends.yaml"), "{said}");
    assert_eq!(without.upstream.requests(), Vec::<String>::new());

    let settings =
        FileSettings { public_url: Some("https://mcp.example".to_owned()), ..defaults() };
    let with = site_with(vec![ok()], settings.clone(), OperatorLimits::default()).await;
    // Of a URL nothing is read, so that it has no bound.
    let file = stored(&with, "a.txt", &vec![0; 11 * 1024 * 1024]).await;
    with.call("json", json!({ "file": { "image": { "url": format!("{file}#url") } } })).await;
    let id = file.strip_prefix("dadl-file:").unwrap();
    assert_eq!(
        bodies(&with),
        [format!(r#"{{"image":{{"url":"https://mcp.example/files/{id}"}}}}"#)]
    );
    let said = error(&with, "form", json!({ "text": "dadl-file:0#url" })).await;
    assert!(said.contains("is not in the store"), "{said}");

    // A process on stdio has the same directory, and gives nothing out.
    let directory = with.harness.executor.files().directory().to_owned();
    let stdio = Harness::with_files(
        TOOLS,
        &with.upstream.url(),
        Fixed(Ok(String::new())),
        |_| {},
        |_| FileStore::with_settings(directory, settings),
    );
    let said = stdio.call("form", json!({ "text": format!("{file}#url") })).await;
    let said = said.unwrap_err().to_string();
    assert!(said.contains("has no URL"), "{said}");
    let small = stored(&with, "n", NUMBER).await;
    stdio.call("form", json!({ "text": format!("{small}#base64") })).await.unwrap();
    let missing = stdio.call("form", json!({ "text": "dadl-file:0#base64" })).await;
    let said = missing.unwrap_err().to_string();
    assert!(said.ends_with("only `serve --http` gives such names to files"), "{said}");
    assert_eq!(bodies(&with)[1..], ["text=1234"]);
}

#[tokio::test]
async fn a_default_is_no_handle() {
    let site = site(vec![ok()]).await;
    let file = stored(&site, "n", NUMBER).await;
    site.call("default", json!({})).await;
    site.call("default", json!({ "q": format!("{file}#base64") })).await;
    let targets = site.upstream.requests();
    assert!(targets[0].contains("?q=dadl-file%3A00000000000000000000000000000000%23base64 "));
    assert!(targets[1].contains("?q=1234 "), "{}", targets[1]);
}

#[tokio::test]
async fn every_page_sends_the_same() {
    let pages = ["[1,2]", "[3,4]", "[5]"].map(|body| Answer::json(200, body));
    let site = site(pages.to_vec()).await;
    let file = stored(&site, "a", BYTES).await;
    let answer = site.call("pages", json!({ "q": format!("{file}#base64") })).await;
    assert_eq!(text(&answer), "[1,2,3,4,5]", "{answer}");
    let requests = site.upstream.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|it| it.contains(&format!("q={IN_URL}"))), "{requests:?}");
}

#[tokio::test]
async fn a_script_hands_its_callers_files_on() {
    let site = site(vec![Answer::json(200, r#"{"text":"look"}"#), ok()]).await;
    let file = stored(&site, "n", NUMBER).await;
    let handle = format!("{file}#base64");
    // The script sees the handle.
    let answer = site.call("run", json!({ "text": handle, "how": "shown" })).await;
    assert_eq!(answer["result"]["structuredContent"]["text"], *handle, "{answer}");
    site.call("run", json!({ "text": handle, "how": "given" })).await;
    site.call("run", json!({ "file": file, "how": "built" })).await;
    let sent = bodies(&site);
    assert_eq!((&*sent[2], &*sent[4]), ("text=1234", "list=1234&list=fine"));
}

#[tokio::test]
async fn what_an_api_says_is_no_handle() {
    let site = site(vec![ok()]).await;
    let (file, other) = (stored(&site, "n", NUMBER).await, stored(&site, "o", BYTES).await);
    let said = Answer::json(200, &json!({ "text": format!("{other}#base64") }).to_string());
    let pdf = Answer::full(200, &[("Content-Type", "application/pdf")], NUMBER);
    let upstream = Upstream::routes(&[
        ("GET /api/look", said),
        ("POST /api/form", ok()),
        ("GET /api/export.pdf", pdf),
    ])
    .await;
    let harness = beside(&site, TOOLS, &upstream.url());
    harness.value("run", json!({ "file": file, "how": "built" })).await;
    // What the script has saved is its caller's.
    harness.value("run", json!({ "how": "saved" })).await;
    let sent = upstream.requests();
    let forms: Vec<&str> = sent
        .iter()
        .filter(|it| it.starts_with("POST"))
        .map(|it| it.split_once("\r\n\r\n").unwrap().1)
        .collect();
    let literal = other.replace(':', "%3A") + "%23base64";
    assert_eq!(forms, [format!("list=1234&list={literal}").as_str(), "text=1234"]);
}

#[tokio::test]
async fn a_stream_is_opened_with_the_file() {
    let site = site(vec![ok()]).await;
    let file = stored(&site, "a", BYTES).await;
    let feed = Upstream::by_hand().await;
    let harness = beside(&site, TOOLS, &feed.origin());
    let arguments = json!({ "q": format!("{file}#base64"), "open": true });
    let Value::Object(arguments) = arguments else { unreachable!() };
    let call = harness.gate.check("events", arguments).and_then(PendingCall::admit).unwrap();
    let hub = dadl_mcp::live::StreamHub::default();
    let owner = dadl_mcp::live::StreamOwner::Session("a".to_owned());
    let client = ClientKey::only();
    let (opened, asked) =
        tokio::join!(hub.open(&harness.executor, &call, owner, &client), begin(&feed));
    assert!(asked.contains(&format!("?q={IN_URL} ")), "{asked}");
    assert_eq!(harness.executor.bytes_in_memory(), 12);
    opened.unwrap();
    drop(hub);
    let wrong = json!({ "q": "dadl-file:0#base64", "open": true });
    let Value::Object(wrong) = wrong else { unreachable!() };
    let call = harness.gate.check("events", wrong).and_then(PendingCall::admit).unwrap();
    let owner = dadl_mcp::live::StreamOwner::Session("a".to_owned());
    let said =
        dadl_mcp::live::StreamHub::default().open(&harness.executor, &call, owner, &client).await;
    assert!(said.unwrap_err().to_string().contains("is not in the store"));
}

async fn begin(feed: &ByHand) -> String {
    let mut asked = feed.asked().await;
    asked.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_owned()).await;
    asked.head
}

#[tokio::test]
async fn a_method_takes_the_file_too() {
    const RPC: &str = api!(kind: "jsonrpc", backend: r#"
  jsonrpc: { path: /rpc }
  tools:
    write: { rpc_method: thing.write, access: read, description: "Writes.", params: { text: { type: string }, deep: { type: object } } }
"#);
    let site = site(vec![ok()]).await;
    let file = stored(&site, "n", NUMBER).await;
    let handle = format!("{file}#base64");
    let upstream = Upstream::start(vec![ok()]).await;
    let harness = beside(&site, RPC, &upstream.url());
    let given = json!({ "text": handle, "deep": { "a": [handle] } });
    let answer = harness.call("write", given).await;
    // The answer is no JSON-RPC; what counts is what arrived.
    assert!(!matches!(answer, Err(CallError::File(_))), "{answer:?}");
    let request = upstream.requests().remove(0);
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["params"], json!({ "text": "1234", "deep": { "a": ["1234"] } }));
    assert_eq!(body["method"], "thing.write");
}
