//! `_dadl_mcp.shown`: what a model gets of results, and who gets the whole.

use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, serve_compact, serve_descriptor, text},
    upstream::{Answer, Upstream},
};

const SHOWN: &str = api!(
    top: "requires: { features: [composites, returns] }\n_dadl_mcp: { members: [fields], shown: { \"*\": { omit: [href], empty: false }, get_all: { omit: [], empty: true } } }",
    backend: r#"
  types:
    Thing: { type: object, required: [note], properties: { id: { type: integer }, note: { type: string } } }
  tools:
    list: { method: GET, path: /things, access: read, description: "Lists.", params: { fields: { type: string, in: query, default: "id,tags" } }, response: { allow_jq_override: true } }
    get: { method: GET, path: /thing, access: read, description: "Gets.", returns: Thing }
    get_all: { method: GET, path: /thing, access: read, description: "Gets all of it.", returns: Thing }
  composites:
    whole: { description: "The whole.", access: read, code: "return await api.list()" }
"#
);

const LIST: &str = r#"[{"id":1,"href":"/1","tags":[],"size":0,"on":false,"memory":{"size":null}},{"id":2,"href":"/2","note":""}]"#;
const LESS: &str = r#"[{"id":1,"size":0,"on":false,"memory":{"size":null}},{"id":2}]"#;
const THING: &str = r#"{"id":null,"note":"","href":"/1","name":"a"}"#;

async fn upstream(body: &str, count: usize) -> Upstream {
    Upstream::start(vec![Answer::json(200, body); count]).await
}

/// The text that a client gets of a call, and the structured content.
async fn called(client: &mut Client, tool: &str, arguments: Value) -> (String, Value) {
    let answer = client.call(1, tool, arguments).await;
    (text(&answer).to_owned(), answer["result"]["structuredContent"].clone())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_model_gets_less_and_whoever_asks_gets_all() {
    let upstream = upstream(LIST, 6).await;
    let mut client = Client::legacy(serve_descriptor(SHOWN, &upstream.url()), json!({})).await;
    let (shown, structured) = called(&mut client, "list", json!({})).await;
    assert_eq!((shown.as_str(), &structured), (LESS, &json!({ "result": value(LESS) })));
    // What is asked for by its name stays, and `*` names all.
    let (shown, _) = called(&mut client, "list", json!({ "fields": "id,tags,note" })).await;
    assert!(shown.contains(r#""tags":[]"#) && shown.contains(r#""note":"""#), "{shown}");
    assert!(!shown.contains("href"), "{shown}");
    for whole in [json!({ "fields": "*" }), json!({ "jq": "." })] {
        let (shown, structured) = called(&mut client, "list", whole).await;
        assert_eq!((shown.as_str(), &structured["result"]), (LIST, &value(LIST)));
    }
    // A composite works with the whole, and gives what it gives.
    let (shown, _) = called(&mut client, "whole", json!({})).await;
    assert_eq!(shown, LIST);
}

#[tokio::test]
async fn the_command_line_and_scripts_get_the_whole() {
    let upstream = upstream(LIST, 2).await;
    let harness =
        Harness::new(SHOWN, &upstream.url(), Fixed(Ok("t0ken-of-the-test".into())), |_| {});
    assert_eq!(harness.value("list", json!({})).await, value(LIST));
    let mut client = Client::legacy(serve_compact(harness), json!({})).await;
    let code = "return await api.list()";
    let (shown, _) = called(&mut client, "api_read", json!({ "code": code })).await;
    assert_eq!(shown, LIST);
}

#[tokio::test]
async fn a_call_through_the_compact_surface_is_a_models_call() {
    let upstream = upstream(LIST, 1).await;
    let harness =
        Harness::new(SHOWN, &upstream.url(), Fixed(Ok("t0ken-of-the-test".into())), |_| {});
    let mut client = Client::legacy(serve_compact(harness), json!({})).await;
    let (shown, _) = called(&mut client, "api_read", json!({ "tool": "list" })).await;
    assert_eq!(shown, LESS);
}

#[tokio::test]
async fn what_a_type_requires_stays() {
    let upstream = upstream(THING, 2).await;
    let mut client = Client::legacy(serve_descriptor(SHOWN, &upstream.url()), json!({})).await;
    let (_, structured) = called(&mut client, "get", json!({})).await;
    assert_eq!(structured, json!({ "note": "", "name": "a" }));
    let (shown, _) = called(&mut client, "get_all", json!({})).await;
    assert_eq!(shown, THING);
}

#[tokio::test]
async fn a_cut_counts_what_is_shown_and_the_file_has_the_whole() {
    let item = r#"{"id":1,"href":"/a/long/address/of/an/item","tags":[]}"#;
    let list = format!("[{}]", [item; 40].join(","));
    let upstream = upstream(&list, 2).await;
    let served = serve_descriptor(SHOWN, &upstream.url()).changed(|it| it.with_most_chars(400));
    let mut client = Client::legacy(served, json!({})).await;
    // Forty short items fit.
    let (shown, _) = called(&mut client, "list", json!({})).await;
    assert_eq!(shown, format!("[{}]", [r#"{"id":1}"#; 40].join(",")));

    let served = serve_descriptor(SHOWN, &upstream.url()).changed(|it| it.with_most_chars(100));
    let files = served.files();
    let mut client = Client::legacy(served, json!({})).await;
    let (shown, structured) = called(&mut client, "list", json!({})).await;
    assert_eq!(shown, format!("[{}]", [r#"{"id":1}"#; 11].join(",")));
    assert!(structured["_note"].as_str().unwrap().starts_with("cut to the first 11 of 40 items"));
    let kept = std::fs::read_dir(files).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> =
        kept.filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), list);
}

#[tokio::test]
async fn what_is_read_on_begins_anew_where_the_whole_has_another_largest_list() {
    let links = vec!["/a/long/address/of/a/link"; 30];
    let items: Vec<u32> = (100..160).collect();
    let upstream = upstream(&json!({ "href": links, "items": items }).to_string(), 1).await;
    let served = serve_descriptor(SHOWN, &upstream.url()).changed(|it| it.with_most_chars(120));
    let mut client = Client::legacy(served, json!({})).await;
    let (_, structured) = called(&mut client, "list", json!({})).await;
    let note = structured["_note"].as_str().unwrap();
    assert!(note.contains("of 60 items of `items`"), "{note}");
    assert!(note.contains(r#"{"file":"list.json","from":0}"#), "{note}");
}
