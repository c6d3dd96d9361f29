//! Lists that this program reads page by page, against backends that end them in every way.

use std::sync::Mutex;

use dadl_mcp::{
    executor::CallContext,
    gate::CallConsent,
    outcome::{AnswerPayload, CallObserver, CallProgress},
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

fn descriptor(pagination: &str, more: &str) -> String {
    api!(backend: r#"
  tools:
    list:
      method: GET
      path: /things
      access: read
      description: "Things."
      pagination: { behavior: auto, PAGINATION }
      MORE
"#)
    .replace("PAGINATION", pagination)
    .replace("MORE", more)
}

/// What a call gives: the value, the notes, and the request lines without method and version.
struct Seen {
    value: Value,
    notes: Vec<String>,
    next: Option<Value>,
    more: Option<String>,
    targets: Vec<String>,
}

fn targets(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().map(|request| request.split(' ').nth(1).unwrap().into()).collect()
}

async fn call(descriptor: &str, answers: Vec<Answer>, arguments: Value) -> Seen {
    let upstream = Upstream::start(answers).await;
    let bench = Harness::new(descriptor, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    let outcome = bench.call("list", arguments).await.unwrap_or_else(|error| panic!("{error}"));
    let AnswerPayload::Json(text) = outcome.payload else { panic!("{:?}", outcome.payload) };
    Seen {
        value: text.value().unwrap(),
        notes: outcome.notes,
        next: outcome.next.as_ref().map(|next| Value::Object(next.arguments.clone())),
        more: outcome.next.map(|next| next.reason),
        targets: targets(&upstream),
    }
}

async fn failure(descriptor: &str, answers: Vec<Answer>) -> String {
    let upstream = Upstream::start(answers).await;
    let bench = Harness::new(descriptor, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    bench.call("list", json!({})).await.unwrap_err().for_model()
}

fn list(items: Value) -> Answer {
    Answer::json(200, &items.to_string())
}

fn with(headers: &[(&str, &str)], items: Value) -> Answer {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(headers);
    Answer::full(200, &all, items.to_string().as_bytes())
}

const OFFSET: &str =
    "strategy: offset, request: { offset_param: offset, limit_param: limit, limit_default: 2 }";
const PAGE: &str = "strategy: page, request: { page_param: page }";
const CURSOR: &str = "strategy: cursor, request: { cursor_param: after }, \
                      response: { next_cursor: $.next }";

#[tokio::test]
async fn pages_are_joined_until_an_empty_one() {
    let answers = vec![list(json!([1, 2])), list(json!([3, 4])), list(json!([]))];
    let seen = call(&descriptor(OFFSET, ""), answers, json!({})).await;
    assert_eq!(seen.value, json!([1, 2, 3, 4]));
    assert_eq!(
        seen.targets,
        ["/api/things?limit=2", "/api/things?offset=2&limit=2", "/api/things?offset=4&limit=2"]
    );
    assert!(seen.notes.is_empty() && seen.next.is_none(), "{:?}", seen.notes);
}

#[tokio::test]
async fn a_backend_that_gives_less_than_it_is_asked_for_loses_nothing() {
    // The default asks for 2, the backend gives 1 at most: a short first page says nothing.
    let answers = vec![list(json!([1])), list(json!([2])), list(json!([]))];
    let seen = call(&descriptor(OFFSET, ""), answers, json!({})).await;
    assert_eq!(seen.value, json!([1, 2]));
    assert_eq!(seen.targets[1], "/api/things?offset=1&limit=2");
}

#[tokio::test]
async fn a_later_page_that_is_short_is_the_last() {
    let answers = vec![list(json!([1, 2])), list(json!([3])), list(json!([4]))];
    let seen = call(&descriptor(PAGE, ""), answers, json!({})).await;
    assert_eq!(seen.value, json!([1, 2, 3]));
    assert_eq!(seen.targets, ["/api/things", "/api/things?page=2"]);
}

#[tokio::test]
async fn a_backend_that_ignores_the_page_is_noticed() {
    let seen = call(&descriptor(PAGE, ""), vec![list(json!([1, 2]))], json!({})).await;
    assert_eq!(seen.value, json!([1, 2]));
    assert_eq!(seen.targets.len(), 2);
}

#[tokio::test]
async fn an_error_behind_the_last_page_is_the_end() {
    let answers = vec![list(json!([1])), Answer::json(404, "{}")];
    let seen = call(&descriptor(PAGE, ""), answers, json!({})).await;
    assert_eq!(seen.value, json!([1]));
}

#[tokio::test]
async fn totals_in_the_header_spare_a_request() {
    let pages = "strategy: page, request: { page_param: page }, \
                 response: { total_pages_header: X-Pages }";
    let page = |items| with(&[("X-Pages", "2")], items);
    let answers = vec![page(json!([1])), page(json!([2]))];
    let seen = call(&descriptor(pages, ""), answers, json!({})).await;
    assert_eq!((seen.value, seen.targets.len()), (json!([1, 2]), 2));
    let count = format!("{OFFSET}, response: {{ total_count_header: X-Total }}");
    let answers = vec![with(&[("X-Total", "2")], json!([1, 2]))];
    let seen = call(&descriptor(&count, ""), answers, json!({})).await;
    assert_eq!((seen.value, seen.targets.len()), (json!([1, 2]), 1));
}

#[tokio::test]
async fn a_cursor_is_followed_and_results_are_joined_where_they_are() {
    let more = "response: { result_path: $.items }";
    let answers = vec![
        list(json!({"items": [1], "next": "a b"})),
        list(json!({"items": [2], "next": 7})),
        list(json!({"items": [3], "next": null})),
    ];
    let seen = call(&descriptor(CURSOR, more), answers.clone(), json!({})).await;
    assert_eq!(seen.value, json!([1, 2, 3]));
    assert_eq!(seen.targets, ["/api/things", "/api/things?after=a%20b", "/api/things?after=7"]);
    // Without a path, the page is an object with one list in it.
    let seen = call(&descriptor(CURSOR, ""), answers, json!({})).await;
    assert_eq!(seen.value, json!({"items": [1, 2, 3], "next": "a b"}));
}

#[tokio::test]
async fn a_cursor_may_be_a_url() {
    let url = "https://elsewhere.invalid/things?after=x&limit=1";
    let answers =
        vec![list(json!({"items": [1], "next": url})), list(json!({"items": [2], "next": ""}))];
    let seen = call(&descriptor(CURSOR, ""), answers, json!({})).await;
    assert_eq!(seen.targets[1], "/api/things?after=x");
}

#[tokio::test]
async fn has_more_ends_the_walk() {
    let more = "strategy: page, request: { page_param: page }, \
                response: { has_more: $.page < $.pages }";
    let answers = vec![
        list(json!({"items": [1], "page": 1, "pages": 2})),
        list(json!({"items": [2], "page": 2, "pages": 2})),
    ];
    let seen = call(&descriptor(more, ""), answers, json!({})).await;
    assert_eq!((&seen.value["items"], seen.targets.len()), (&json!([1, 2]), 2));
}

#[tokio::test]
async fn links_are_followed_on_the_own_host_only() {
    let strategy = "strategy: link_header";
    let link = |target: &str| format!("<{target}>; rel=\"next\"");
    let first = link("/api/things?cursor=a%2Fb");
    let answers = vec![with(&[("Link", &first)], json!([1])), list(json!([2]))];
    let seen = call(&descriptor(strategy, ""), answers, json!({})).await;
    assert_eq!(seen.value, json!([1, 2]));
    assert_eq!(seen.targets[1], "/api/things?cursor=a%2Fb");
    for elsewhere in ["http://127.0.0.2/api/things", "/other/things", "/api/../secret", "//h/api"] {
        let answers = vec![with(&[("Link", &link(elsewhere))], json!([1]))];
        let seen = call(&descriptor(strategy, ""), answers, json!({})).await;
        assert_eq!((seen.value, seen.targets.len()), (json!([1]), 1), "{elsewhere}");
        assert!(seen.notes[0].contains("outside of the backend's base URL"), "{:?}", seen.notes);
    }
    let named = "strategy: link_header, request: { page_param: page }";
    let first = link("http://internal:8080/things?page=2&per=1");
    let answers = vec![with(&[("Link", &first)], json!([1])), list(json!([2]))];
    let seen = call(&descriptor(named, ""), answers, json!({})).await;
    assert_eq!(seen.targets[1], "/api/things?page=2");
}

#[tokio::test]
async fn endless_pages_end_and_say_what_was_left() {
    let answers: Vec<Answer> = (0..20).map(|page| list(json!([page, page]))).collect();
    let seen = call(&descriptor(&format!("{OFFSET}, max_pages: 3"), ""), answers, json!({})).await;
    assert_eq!(seen.value, json!([0, 0, 1, 1, 2, 2]));
    assert_eq!(seen.targets.len(), 3);
    let reason = "stopped after 3 pages with 6 items (`max_pages`): there is more";
    assert_eq!(seen.more.as_deref(), Some(reason));
    assert!(seen.notes.is_empty(), "{:?}", seen.notes);
    assert_eq!(seen.next, Some(json!({"offset": 6})));
    let answers = vec![
        list(json!({"items": [1], "next": "a"})),
        list(json!({"items": [2], "next": "b"})),
        list(json!({"items": [3], "next": "a"})),
    ];
    let seen = call(&descriptor(CURSOR, ""), answers, json!({})).await;
    assert_eq!(seen.value["items"], json!([1, 2, 3]));
    assert!(seen.notes[0].contains("the same next page twice"), "{:?}", seen.notes);
}

#[tokio::test]
async fn no_more_pages_are_read_than_max_items_lets_through() {
    let answers = vec![list(json!([1, 2])), list(json!([3, 4])), list(json!([5, 6]))];
    let tool = descriptor(OFFSET, "response: { max_items: 3 }");
    let seen = call(&tool, answers, json!({})).await;
    assert_eq!((seen.value, seen.targets.len()), (json!([1, 2, 3]), 2));
    assert!(seen.notes[0].contains("first 3 of 4"), "{:?}", seen.notes);
}

#[tokio::test]
async fn a_caller_who_names_a_page_gets_that_page() {
    let answers = vec![list(json!([3, 4]))];
    let seen = call(&descriptor(OFFSET, ""), answers, json!({ "offset": 2 })).await;
    assert_eq!((seen.value, seen.targets.len()), (json!([3, 4]), 1));
    assert_eq!(seen.next, Some(json!({"offset": 4})));
}

#[tokio::test]
async fn a_hole_fails_the_call() {
    let page = || list(json!([1, 2]));
    let error = failure(&descriptor(OFFSET, ""), vec![page(), Answer::json(500, "{}")]).await;
    assert!(error.starts_with("page 2: [internal] HTTP 500"), "{error}");
    let odd = vec![page(), list(json!({"error": "x"}))];
    let error = failure(&descriptor(OFFSET, ""), odd).await;
    assert!(error.contains("page 2") && error.contains("has no list"), "{error}");
    let error = failure(&descriptor(CURSOR, ""), {
        vec![list(json!({"items": [1], "next": "a"})), Answer::json(404, "{}")]
    })
    .await;
    assert!(error.starts_with("page 2: [not_found]"), "{error}");
}

#[tokio::test]
async fn all_pages_together_keep_within_the_size_limit() {
    let upstream =
        Upstream::start((0..50).map(|page| list(json!(["x".repeat(100), page]))).collect()).await;
    let tool = descriptor(OFFSET, "");
    let bench = Harness::new(&tool, &upstream.url(), Fixed(Ok(String::new())), |settings| {
        settings.max_response_bytes = 1000;
    });
    let error = bench.call("list", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("page 10") && error.contains("max_response_size"), "{error}");
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl CallObserver for Heard {
    fn progress(&self, progress: CallProgress) {
        self.0.lock().unwrap().push(progress.message);
    }
}

#[tokio::test]
async fn progress_is_told_and_a_cancelled_walk_stops() {
    let hang = Answer::Hang(Vec::new());
    let upstream = Upstream::start(vec![list(json!([1, 2])), hang]).await;
    let tool = descriptor(OFFSET, "");
    let bench = Harness::new(&tool, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    let heard = Heard::default();
    let pending = bench.gate.check("list", serde_json::Map::new()).unwrap();
    let consent = CallConsent::given_for(pending.digest());
    let context = CallContext::heard_by(&heard);
    let call = bench.executor.execute(pending.admit_with(&consent).unwrap(), &context);
    tokio::select! {
        _ = call => panic!("the second page never comes"),
        () = async {
            upstream.request_arrived().await;
            while upstream.requests().len() < 2 {
                upstream.request_arrived().await;
            }
        } => {}
    }
    upstream.connection_closed().await;
    assert_eq!(*heard.0.lock().unwrap(), ["read 2 items on 1 pages"]);
}
