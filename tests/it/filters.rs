//! Filters in a language of their own, and words that an API does not take: what is certainly meant
//! otherwise is refused at every door before anything is sent, and what finds nothing says why.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::serve_tools,
    notes::{Door, Host},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(top: r#"requires: { features: [composites] }
_dadl_mcp:
  filters:
    filter: { or: "|(a b)", and: "a b", not: "!a", equals: "a:b", compare: "a:>1", units: false, said: "write tags:|(a b) size:>1" }
  members: [fields]
  choices: { unit: [hours, days] }"#, backend: r#"
  tools:
    list: { method: GET, path: /things, access: read, description: "Lists.", params: { filter: { type: string, in: query }, fields: { type: string, in: query, default: "id" }, unit: { type: string, in: query } } }
    pages: { method: GET, path: /things, access: read, description: "Lists.", params: { filter: { type: string, in: query }, offset: { type: integer, in: query } }, pagination: { strategy: offset, behavior: auto, request: { offset_param: offset } } }
    watch: { method: GET, path: /watch, access: read, description: "Events.", params: { filter: { type: string, in: query } }, response: { streaming: true, max_duration: 50ms } }
  composites:
    find: { access: read, description: "Finds.", params: { which: { type: string } }, code: "return api.list({ filter: params.which });" }
    where: { access: read, description: "Finds.", params: { filter: { type: string } }, code: "return 1;" }
    look: { access: read, description: "Finds.", params: { which: { type: string } }, code: "return api.list({ filter: 'state:broken', fields: 'id,odd' });" }
"#);

const WRONG: &str = "tags:(prod or test) size:>2KiB";
const RIGHT: &str = "tags:|(prod test) size:>2048";

#[tokio::test]
async fn a_filter_of_another_language_is_refused_at_every_door() {
    let upstream = Upstream::start(vec![]).await;
    for door in Door::ALL {
        let mut host = Host::at(door, serve_tools(TOOLS, &upstream.url(), |_| {})).await;
        for (tool, arguments) in [
            ("list", json!({ "filter": WRONG })),
            ("pages", json!({ "filter": WRONG })),
            ("watch", json!({ "filter": WRONG })),
            ("watch", json!({ "filter": WRONG, "open": true })),
            ("find", json!({ "which": WRONG })),
            ("where", json!({ "filter": WRONG })),
        ] {
            let result = host.call(tool, arguments).await;
            let text = result["content"][0]["text"].as_str().unwrap();
            assert_eq!(result["isError"], true, "{tool} at {door:?}: {text}");
            assert!(text.contains(&format!("write `{RIGHT}`")), "{tool} at {door:?}: {text}");
            assert!(text.contains("`filter` would be taken for something else"), "{text}");
        }
    }
    assert_eq!(upstream.requests(), [""; 0], "nothing was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_refuses_it_too_and_says_what_nothing_means() {
    let upstream = Upstream::start(vec![Answer::json(200, "[]")]).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("fake.dadl"), TOOLS).unwrap();
    let run = |argument: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.current_dir(&home).env_clear().env("HOME", home.path()).stdin(Stdio::null());
        command.args(["call", "list", argument, "--dadl", "fake.dadl", "--url", &upstream.url()]);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (went_well, _, err) = run(&format!("filter={WRONG}"));
    assert!(!went_well && err.contains(RIGHT), "{err}");
    assert_eq!(upstream.take(), [""; 0], "nothing was sent");
    let (went_well, _, err) = run("unit=day");
    assert!(!went_well && err.contains("`unit` must be one of hours, days"), "{err}");
    assert_eq!(upstream.take(), [""; 0], "nothing was sent");
    let (went_well, out, err) = run(&format!("filter={RIGHT}"));
    assert!(went_well, "{err}");
    let said = format!("{out}{err}");
    assert!(said.contains("nothing matches `filter`: write tags:|(a b) size:>1"), "{said}");
}

#[tokio::test]
async fn what_may_be_right_is_sent_as_it_is() {
    let upstream = Upstream::start(vec![Answer::json(200, "[{\"id\":1}]")]).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    for filter in [RIGHT, "name:\"a or b\"", "name:/a or b/", "or", "tags:(a or b"] {
        let outcome = harness.call("list", json!({ "filter": filter })).await.unwrap();
        assert_eq!(outcome.notes, [""; 0], "{filter}");
    }
    assert_eq!(upstream.requests().len(), 5);
}

/// The note of a call at a door.
async fn note(tool: &str, arguments: Value, answer: &str) -> Option<String> {
    let upstream = Upstream::start(vec![Answer::json(200, answer)]).await;
    let mut host = Host::at(Door::Stdio, serve_tools(TOOLS, &upstream.url(), |_| {})).await;
    let result = host.call(tool, arguments).await;
    assert_eq!(result["isError"], false, "{result}");
    result["structuredContent"]["_note"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn an_empty_list_says_how_filters_are_written() {
    let expected = Some("nothing matches `filter`: write tags:|(a b) size:>1".to_owned());
    for tool in ["list", "pages"] {
        assert_eq!(note(tool, json!({ "filter": "tags:x" }), "[]").await, expected, "{tool}");
        assert_eq!(note(tool, json!({}), "[]").await, None, "{tool}");
    }
    let within = note("find", json!({ "which": "tags:x" }), "[]").await.unwrap();
    assert!(within.contains("nothing matches `filter`"), "{within}");
    assert_eq!(note("list", json!({ "filter": "tags:x" }), "[{\"id\":1}]").await, None);
}

#[tokio::test]
async fn a_member_that_nothing_has_is_noted() {
    let items = r#"[{"id":1,"memory":{"size":2}},{"id":2,"name":"x"}]"#;
    let of = |fields: &str| note("list", json!({ "fields": fields }), items);
    assert_eq!(of("id,name,memory.size").await, None);
    assert_eq!(of("*").await, None);
    let note = of("id,nmae").await.unwrap();
    assert!(note.starts_with("no item has `nmae`, which `fields` names"), "{note}");
}

/// Every list of Xen Orchestra, and the selectors of privileges, which are filters too.
#[test]
fn every_filter_of_xen_orchestra_is_checked() {
    let descriptor = include_str!("../../dadl/xen-orchestra.dadl");
    let harness = Harness::new(descriptor, "http://127.0.0.1:1", Fixed(Ok(String::new())), |_| {});
    let mut count = 0;
    for entry in harness.gate.catalog().entries() {
        let is_filter = |name: &str| name == "filter" || name == "selector";
        let Some(filter) = entry.params.iter().find(|it| is_filter(&it.property)) else { continue };
        let mut arguments: serde_json::Map<String, Value> = serde_json::Map::new();
        for param in entry.params.iter().filter(|it| it.param.required) {
            // The only one with a choice of words.
            let value = if param.property == "effect" { "allow" } else { "x" };
            arguments.insert(param.property.clone(), value.into());
        }
        arguments.insert(filter.property.clone(), "tags:(prod or test) size:>1KiB".into());
        let refusal = harness.gate.check(&entry.name, arguments).unwrap_err().to_string();
        let right = "write `tags:|(prod test) size:>1024`";
        assert!(refusal.contains(right), "{}: {refusal}", entry.name);
        count += 1;
    }
    assert!(count >= 90, "{count} tools");
}

#[tokio::test]
async fn a_word_that_the_api_does_not_take_is_refused() {
    let upstream = Upstream::start(vec![]).await;
    let mut host = Host::at(Door::Stdio, serve_tools(TOOLS, &upstream.url(), |_| {})).await;
    for (word, expected) in [
        ("Hours", "`unit` must be one of hours, days, did you mean `hours`?"),
        ("day", "`unit` must be one of hours, days, did you mean `days`?"),
        ("centuries", "`unit` must be one of hours, days"),
    ] {
        let result = host.call("list", json!({ "unit": word })).await;
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(result["isError"] == true && text.contains(expected), "{text}");
    }
    assert_eq!(upstream.requests(), [""; 0], "nothing was sent");
}

#[tokio::test]
async fn what_a_script_asks_by_itself_is_not_told() {
    let upstream = Upstream::start(vec![Answer::json(200, "[]")]).await;
    let mut host = Host::at(Door::Stdio, serve_tools(TOOLS, &upstream.url(), |_| {})).await;
    let result = host.call("look", json!({ "which": "all" })).await;
    assert_eq!(result["structuredContent"].get("_note"), None, "{result}");
    // What its caller has written concerns the caller.
    let result = host.call("find", json!({ "which": "state:broken" })).await;
    let note = result["structuredContent"]["_note"].as_str().unwrap_or_default();
    assert!(note.starts_with("list: nothing matches `filter`"), "{result}");
}
