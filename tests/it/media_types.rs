//! Answers that are another thing than their tool declares: a page where an API should answer, and
//! labels that say something else.

use dadl_mcp::{
    executor::CallError,
    outcome::{AnswerPayload, CallOutcome},
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(top: "_dadl_mcp: { base_path: /rest/v0 }", backend: r#"
  defaults: { errors: { retry_strategy: { max_retries: 0 } } }
  health: { path: /up }
  tools:
    bare: { method: GET, path: /bare, access: read, description: "Things." }
    asked: { method: GET, path: /asked, access: read, description: "Things." }
    shaped: { method: GET, path: /shaped, access: read, description: "Things.", returns: { type: array } }
    json: { method: GET, path: /json, access: read, description: "Things.", response: { content_type: application/json } }
    word: { method: GET, path: /word, access: read, description: "A word.", returns: { type: string } }
    paged:
      method: GET
      path: /paged
      access: read
      description: "Things."
      params: { page: { type: integer, in: query } }
      pagination: { strategy: page, request: { page_param: page }, behavior: auto, max_pages: 3 }
    watch: { method: GET, path: /watch, access: read, description: "Events.", response: { streaming: true } }
    page: { method: GET, path: /page, access: read, description: "Things.", response: { content_type: text/html } }
    export: { method: GET, path: /export, access: read, description: "One as HTML." }
    plain: { method: GET, path: /plain, access: read, description: "Things.", response: { content_type: text/plain } }
    csv: { method: GET, path: /csv, access: read, description: "Things.", response: { content_type: text/csv } }
    saved: { method: GET, path: /saved, access: read, description: "A file.", response: { binary: true } }
    zip: { method: GET, path: /zip, access: read, description: "A file.", response: { binary: true, content_type: application/zip } }
    bytes: { method: GET, path: /bytes, access: read, description: "A file.", response: { binary: true, content_type: application/octet-stream } }
  composites:
    count:
      description: "How many."
      access: read
      code: |
        const all = await api.bare();
        return { count: Array.isArray(all) ? all.length : 0 };
      depends_on: [bare]
    problems:
      description: "What is wrong."
      access: read
      depends_on: [shaped, asked, bare]
      code: |
        const problems = [];
        for (const call of [api.shaped, api.asked, api.bare]) {
          try {
            problems.push(...await call());
          } catch (error) { /* nobody hears of it */ }
        }
        return { problems };
"#);

const PAGE: &[u8] = b"<!DOCTYPE html><html><title>Sign in</title></html>";

fn typed(content_type: &str, body: &[u8]) -> Answer {
    Answer::full(200, &[("Content-Type", content_type)], body)
}

fn page() -> Answer {
    typed("text/html; charset=utf-8", PAGE)
}

/// What `tool` gives with these answers; in the API of the tool `asked` JSON is asked for.
async fn called(tool: &str, answers: Vec<Answer>) -> Result<CallOutcome, CallError> {
    let upstream = Upstream::start(answers).await;
    let asks = "defaults: { headers: { Accept: application/json }, ";
    let text = match tool {
        "asked" => TOOLS.replace("defaults: { ", asks),
        _ => TOOLS.to_owned(),
    };
    let bench = Harness::new(&text, &upstream.url(), credential(), |_| {});
    bench.call(tool, json!({})).await
}

fn credential() -> Fixed {
    Fixed(Ok("a-long-token".to_owned()))
}

async fn refused(tool: &str, answers: Vec<Answer>) -> String {
    let error = called(tool, answers).await.unwrap_err();
    assert!(
        matches!(&error, CallError::MediaType(_))
            || matches!(&error, CallError::Page { error, .. } if matches!(**error, CallError::MediaType(_))),
        "{tool}: {error:?}"
    );
    error.for_model()
}

#[tokio::test]
async fn a_page_where_json_is_declared_is_an_error_that_asks_for_the_path() {
    for tool in ["asked", "shaped", "json", "paged", "watch"] {
        let text = refused(tool, vec![page()]).await;
        let told = format!("GET /{tool} with HTTP 200 and a web page (text/html; charset=utf-8)");
        assert!(text.contains(&told) && text.contains("instead of JSON"), "{text}");
        assert!(text.contains("is `url` of the backend missing /rest/v0?"), "{text}");
        assert!(!text.contains("Sign in"), "{text}");
    }
    // Whatever it says that it is.
    for content_type in ["application/json", "text/plain", "nonsense"] {
        let text = refused("shaped", vec![typed(content_type, PAGE)]).await;
        assert!(text.contains("a web page"), "{content_type}: {text}");
    }
}

#[tokio::test]
async fn a_base_url_that_has_the_path_is_not_asked_for_it() {
    let upstream = Upstream::start(vec![page()]).await;
    let url = upstream.url().replace("/api", "/x/rest/v0/");
    let bench = Harness::new(TOOLS, &url, credential(), |_| {});
    let text = bench.call("json", json!({})).await.unwrap_err().for_model();
    assert!(!text.contains("missing") && text.contains("a login page or a proxy"), "{text}");
}

#[tokio::test]
async fn a_login_page_behind_a_redirect_is_refused_where_nothing_is_declared() {
    let sign_in = Answer::redirect(302, "/signin?next=secret");
    let text = refused("bare", vec![sign_in.clone(), page()]).await;
    assert!(text.contains("after a redirect to /signin;") && !text.contains("next"), "{text}");
    let text = refused("saved", vec![sign_in.clone(), page()]).await;
    assert!(text.contains("after a redirect to /signin"), "{text}");
    // One that says that it answers HTML may lead to it.
    called("export", vec![sign_in, page()]).await.unwrap();
    // Without a redirect there is a note.
    let outcome = called("bare", vec![page()]).await.unwrap();
    assert!(outcome.notes[0].contains("the answer is a web page, not data"), "{:?}", outcome.notes);
}

#[tokio::test]
async fn a_later_page_of_a_list_that_is_a_page_of_a_browser_fails_the_call() {
    let text = refused("paged", vec![Answer::json(200, "[1,2]"), page()]).await;
    assert!(text.starts_with("page 2: ") && text.contains("a web page"), "{text}");
}

#[tokio::test]
async fn what_is_declared_as_a_page_or_as_text_stays_one() {
    for tool in ["page", "plain", "export"] {
        let outcome = called(tool, vec![page()]).await.unwrap();
        assert!(matches!(outcome.payload, AnswerPayload::Text { .. }), "{tool}: {outcome:?}");
    }
    let notes = called("plain", vec![page()]).await.unwrap().notes;
    assert!(notes[0].contains("where text/plain is declared"), "{notes:?}");
    assert_eq!(called("page", vec![page()]).await.unwrap().notes, [""; 0]);
    assert!(refused("csv", vec![page()]).await.contains("instead of text/csv"));
}

#[tokio::test]
async fn json_that_is_labelled_as_text_is_json_where_json_is_declared() {
    for tool in ["asked", "shaped", "json"] {
        let outcome = called(tool, vec![typed("text/plain", b"[1]")]).await.unwrap();
        assert!(
            matches!(&outcome.payload, AnswerPayload::Json(text) if text.as_str() == "[1]"),
            "{tool}"
        );
        assert_eq!(outcome.notes.is_empty(), tool != "json", "{tool}: {:?}", outcome.notes);
    }
    let outcome = called("bare", vec![typed("text/plain", b"[1]")]).await.unwrap();
    assert!(matches!(outcome.payload, AnswerPayload::Text { .. }) && outcome.notes.is_empty());
}

#[tokio::test]
async fn a_text_where_json_is_declared_is_told() {
    let text = refused("json", vec![typed("text/plain", b"OK")]).await;
    assert!(text.contains("and text/plain instead of JSON"), "{text}");
    for tool in ["asked", "shaped"] {
        let outcome = called(tool, vec![typed("text/plain", b"OK")]).await.unwrap();
        assert_eq!(outcome.notes, ["the answer is text/plain, where JSON is declared"], "{tool}");
    }
    for tool in ["word", "bare"] {
        let outcome = called(tool, vec![typed("text/plain", b"OK")]).await.unwrap();
        assert!(outcome.notes.is_empty(), "{tool}: {:?}", outcome.notes);
    }
    let broken = called("json", vec![typed("application/json", b"{\"a\":")]).await.unwrap_err();
    assert!(matches!(broken, CallError::Decode { .. }), "{broken:?}");
    // Another type than the author named, which can be read all the same.
    let notes = called("csv", vec![Answer::json(200, "[1]")]).await.unwrap().notes;
    assert_eq!(notes, ["the answer is application/json, where text/csv is declared"]);
}

#[tokio::test]
async fn a_file_that_is_a_page_is_not_saved_as_an_export() {
    for tool in ["zip", "bytes"] {
        let upstream = Upstream::start(vec![page()]).await;
        let bench = Harness::new(TOOLS, &upstream.url(), credential(), |_| {});
        let error = bench.call(tool, json!({})).await.unwrap_err();
        assert!(matches!(error, CallError::MediaType(_)), "{error:?}");
        assert_eq!(bench.files(), [""; 0]);
    }
    let notes = called("zip", vec![Answer::json(200, "{}")]).await.unwrap().notes;
    assert_eq!(notes, ["the answer is application/json, where application/zip is declared"]);
    let fields =
        [("Content-Type", "text/html"), ("Content-Disposition", "attachment; filename=a.html")];
    let named = called("bytes", vec![Answer::full(200, &fields, PAGE)]).await.unwrap();
    assert!(named.notes.is_empty() && matches!(named.payload, AnswerPayload::File(_)), "{named:?}");
    let notes = called("saved", vec![page()]).await.unwrap().notes;
    assert_eq!(notes, ["the file is a web page (text/html)"]);
    // An image where a list is declared goes to a file, and is told.
    let notes = called("shaped", vec![typed("image/png", b"\x89PNG")]).await.unwrap().notes;
    assert_eq!(notes, ["the answer is image/png, where JSON is declared"]);
}

#[tokio::test]
async fn a_script_takes_no_page_for_data() {
    let error = called("count", vec![page()]).await.unwrap_err().for_model();
    assert!(error.contains("a web page") && error.contains("/rest/v0"), "{error}");
    // One that swallows what it cannot read has not checked it.
    let text = typed("text/plain", b"busy");
    let outcome = called("problems", vec![text, page(), page()]).await.unwrap();
    let AnswerPayload::Json(result) = &outcome.payload else { panic!("{outcome:?}") };
    assert_eq!(result.value().unwrap(), json!({ "problems": [] }));
    for (tool, why) in [("asked", "a web page"), ("bare", "a web page"), ("shaped", "text/plain")] {
        let told =
            outcome.notes.iter().find(|note| note.starts_with(&format!("{tool}: no answer")));
        assert!(told.is_some_and(|told| told.contains(why)), "{tool}: {:?}", outcome.notes);
    }
}

#[tokio::test]
async fn what_a_script_expects_to_fail_is_not_told() {
    let no = || Answer::json(404, r#"{"error": "no such thing"}"#);
    let outcome = called("problems", vec![no(), no(), no()]).await.unwrap();
    assert!(outcome.notes.is_empty(), "{:?}", outcome.notes);
    let down = || Answer::json(500, r#"{"error": "oops"}"#);
    let outcome = called("problems", vec![down(), Answer::json(200, "[]"), no()]).await.unwrap();
    assert_eq!(outcome.notes.len(), 1, "{:?}", outcome.notes);
    assert!(
        outcome.notes[0].starts_with("shaped: no answer, and the composite went on without it: ")
    );
}

#[tokio::test]
async fn a_health_check_that_gets_a_page_is_not_well() {
    let upstream = Upstream::start(vec![page()]).await;
    let bench = Harness::new(TOOLS, &upstream.url(), credential(), |_| {});
    let report: Value = bench.value("health", json!({})).await;
    assert_eq!((&report["ok"], &report["http_status"]), (&json!(false), &json!(200)));
    let error = report["error"].as_str().unwrap();
    assert!(error.contains("a web page") && error.contains("missing /rest/v0?"), "{error}");
}

#[tokio::test]
async fn a_route_that_is_not_there_asks_for_the_path() {
    let missing = Answer::full(
        404,
        &[("Content-Type", "text/html")],
        b"<!DOCTYPE html><pre>Cannot GET /bare</pre>",
    );
    let error = called("bare", vec![missing]).await.unwrap_err().for_model();
    assert!(
        error.contains("Cannot GET /bare; is `url` of the backend missing /rest/v0?"),
        "{error}"
    );
    let missing = Answer::json(404, r#"{"error": "no such thing"}"#);
    let error = called("bare", vec![missing]).await.unwrap_err().for_model();
    assert!(!error.contains("/rest/v0"), "{error}");
}
