//! Objects of a backend as MCP resources: listed, read, and watched, in both eras of the protocol.

use std::time::Duration;

use dadl_descriptor::source::SourceText;
use dadl_mcp::access::ToolPatterns;
use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};

use crate::{
    harness::{Fixed, Harness},
    live::events::{per_second, xen_orchestra},
    mcp_support::{Client, Served, serve_harness, with_capabilities},
};

async fn simulator() -> XenOrchestra {
    XenOrchestra::start(SimulatorOptions::default()).await.unwrap()
}

fn served(simulator: &XenOrchestra) -> Served {
    serve_harness(xen_orchestra(&simulator.url()), "")
}

/// A server that allows everything but these tools.
fn served_without(simulator: &XenOrchestra, excluded: &str) -> Served {
    let text = include_str!("../../dadl/xen-orchestra.dadl");
    let key = Fixed(Ok("demo-token".into()));
    let harness = Harness::new(text, &simulator.url(), key, |settings| {
        settings.policy.exclude_tools = ToolPatterns::new([excluded]).unwrap();
    });
    serve_harness(harness, "")
}

/// Makes a change to the VM that the simulator changes, and returns its URI.
fn changed(simulator: &XenOrchestra, count: u64) -> String {
    format!("xo://VM/{}", simulator.make_changes(count, per_second(1000)))
}

/// Waits for the next notification about a resource.
async fn updated(client: &mut Client) -> Value {
    let message = client.receive().await;
    assert_eq!(message["method"], "notifications/resources/updated", "{message}");
    message["params"].clone()
}

async fn description(client: &mut Client, id: u32, uri: &str) -> String {
    client.start(id, "resources/read", json!({ "uri": uri })).await;
    loop {
        let answer = client.receive().await;
        // A notification may come before it.
        if answer["id"] == id {
            let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
            let vm: Value = serde_json::from_str(text).unwrap();
            return vm["name_description"].as_str().unwrap().to_owned();
        }
    }
}

async fn streams(simulator: &XenOrchestra, expected: (usize, usize)) {
    while simulator.event_streams() != expected {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn templates_are_listed_and_objects_read() {
    let simulator = simulator().await;
    let mut client = Client::connect(served(&simulator));
    let parameters = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let answer = client.request(0, "initialize", parameters).await;
    assert_eq!(answer["result"]["capabilities"]["resources"], json!({ "subscribe": true }));
    client.notify("notifications/initialized", json!({})).await;
    let answer = client.request(1, "resources/templates/list", json!({})).await;
    let templates = answer["result"]["resourceTemplates"].as_array().unwrap();
    // After those of files.
    assert_eq!(templates.len(), 18);
    assert_eq!(templates[1]["uriTemplate"], "xo://VM/{id}");
    assert_eq!(templates[1]["mimeType"], "application/json");
    let uri = changed(&simulator, 0);
    // Some clients put what looks like a host in lower case.
    for (id, uri) in [(3, uri.clone()), (4, uri.replace("xo://VM", "XO://vm"))] {
        let answer = client.request(id, "resources/read", json!({ "uri": uri })).await;
        let content = &answer["result"]["contents"][0];
        assert_eq!(
            (&content["uri"], &content["mimeType"]),
            (&json!(uri), &json!("application/json"))
        );
        let vm: Value = serde_json::from_str(content["text"].as_str().unwrap()).unwrap();
        assert!(uri.ends_with(vm["id"].as_str().unwrap()), "{vm}");
    }
    for uri in ["xo://VM/nope", "xo://nope/1", "xo://VM/", "xo:VM", "other://VM/1", "xo://VM/1?x"] {
        let answer = client.request(5, "resources/read", json!({ "uri": uri })).await;
        assert_eq!(answer["error"]["code"], -32002, "{uri} {answer}");
    }
}

/// The URIs and names that are listed.
async fn listed(client: &mut Client, id: u32) -> Vec<(String, String)> {
    let answer = client.request(id, "resources/list", json!({})).await;
    let of = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let listed = answer["result"]["resources"].as_array().unwrap();
    listed.iter().map(|it| (of(&it["uri"]), of(&it["name"]))).collect()
}

#[tokio::test]
async fn a_few_objects_are_listed_and_each_can_be_read() {
    let simulator = simulator().await;
    let served = served(&simulator);
    let files = served.files();
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("notes.txt"), "x").unwrap();
    let mut client = Client::legacy(served, json!({})).await;
    let all = listed(&mut client, 1).await;
    let of = |start: &str| all.iter().filter(|(uri, _)| uri.starts_with(start)).count();
    assert!(of("xo://pool/") > 0 && of("xo://host/") > 0, "{all:?}");
    assert_eq!(of("xo://pool/") + of("xo://host/") + 1, all.len(), "{all:?}");
    // The objects come first, so that no number of files hides them.
    assert!(all.last().unwrap().0.ends_with("/notes.txt"), "{all:?}");
    for (id, (uri, name)) in (2..).zip(&all) {
        let answer = client.request(id, "resources/read", json!({ "uri": uri })).await;
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
        assert!(
            !uri.starts_with("xo:") || text.contains(&format!("\"name_label\":\"{name}\"")),
            "{text}"
        );
    }
    // What was listed a moment ago, and cannot be read now, does not end the work of a host.
    drop(simulator);
    let (uri, _) = &all[0];
    let answer = client.request(900, "resources/read", json!({ "uri": uri })).await;
    let contents = &answer["result"]["contents"][0];
    assert!(contents["text"].as_str().unwrap().contains("GET /pools/"), "{answer}");
    assert_eq!(contents["_meta"]["dadl-mcp/error"], contents["text"], "{answer}");
    let answer = client.request(901, "resources/read", json!({ "uri": "xo://pool/other" })).await;
    assert!(answer["error"].is_object(), "{answer}");
}

#[tokio::test]
async fn objects_are_listed_where_that_is_allowed_and_the_api_answers() {
    let simulator = simulator().await;
    let mut client = Client::legacy(served_without(&simulator, "list_pools"), json!({})).await;
    let all = listed(&mut client, 1).await;
    assert!(!all.is_empty() && all.iter().all(|(uri, _)| uri.starts_with("xo://host/")), "{all:?}");
    let mut client = Client::legacy(served_without(&simulator, "get_host"), json!({})).await;
    let all = listed(&mut client, 1).await;
    assert!(!all.is_empty() && all.iter().all(|(uri, _)| uri.starts_with("xo://pool/")), "{all:?}");
    let mut client = Client::legacy(served_without(&simulator, "list_*"), json!({})).await;
    assert_eq!(listed(&mut client, 1).await, []);
    let mut client = Client::legacy(served(&simulator), json!({})).await;
    drop(simulator);
    assert_eq!(listed(&mut client, 1).await, []);
}

#[tokio::test]
async fn a_subscription_is_told_of_changes_until_it_ends() {
    let simulator = simulator().await;
    let mut client = Client::legacy(served(&simulator), json!({})).await;
    assert_eq!(simulator.event_streams(), (0, 0));
    let uri = changed(&simulator, 0);
    let answer = client.request(1, "resources/subscribe", json!({ "uri": uri })).await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    assert_eq!(simulator.event_streams(), (1, 1));
    changed(&simulator, 1);
    assert_eq!(updated(&mut client).await, json!({ "uri": uri }));
    assert_eq!(description(&mut client, 2, &uri).await, "change 0");
    // All subscriptions share one stream.
    for (id, uri) in [(3, "xo://host/1"), (4, "xo://VM/2"), (5, "xo://VM/2")] {
        let answer = client.request(id, "resources/subscribe", json!({ "uri": uri })).await;
        assert_eq!(answer["result"], json!({}), "{answer}");
    }
    assert_eq!(simulator.event_streams(), (1, 2));
    client.request(6, "resources/unsubscribe", json!({ "uri": uri })).await;
    client.request(7, "resources/unsubscribe", json!({ "uri": "xo://VM/2" })).await;
    assert_eq!(simulator.event_streams().0, 1);
    client.request(8, "resources/unsubscribe", json!({ "uri": "xo://host/1" })).await;
    streams(&simulator, (0, 0)).await;
    // And again.
    let answer = client.request(9, "resources/subscribe", json!({ "uri": uri })).await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    changed(&simulator, 1);
    assert_eq!(updated(&mut client).await["uri"], uri);
}

#[tokio::test]
async fn ten_thousand_changes_become_few_notifications_and_the_last_state_is_told() {
    let simulator = simulator().await;
    let mut client = Client::legacy(served(&simulator), json!({})).await;
    let uri = changed(&simulator, 0);
    client.request(1, "resources/subscribe", json!({ "uri": uri })).await;
    changed(&simulator, 10_000);
    let (mut told, mut id) = (0, 2);
    loop {
        assert_eq!(updated(&mut client).await["uri"], uri);
        told += 1;
        // Read as a host would: after it was told.
        client.start(id, "resources/read", json!({ "uri": uri })).await;
        let answer = loop {
            let message = client.receive().await;
            if message["id"] == id {
                break message;
            }
            told += 1;
        };
        id += 1;
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
        if text.contains("\"change 9999\"") {
            break;
        }
    }
    assert!((2..1000).contains(&told), "{told}");
}

#[tokio::test]
async fn after_a_gap_everything_is_told() {
    let simulator = simulator().await;
    let (listen, url) = (simulator.address(), simulator.url());
    let mut client = Client::legacy(served(&simulator), json!({})).await;
    let uris = [changed(&simulator, 0), "xo://task/1".to_owned()];
    for (id, uri) in [1, 2].into_iter().zip(&uris) {
        client.request(id, "resources/subscribe", json!({ "uri": uri })).await;
    }
    drop(simulator);
    let simulator = loop {
        let options = SimulatorOptions { listen, ..SimulatorOptions::default() };
        match XenOrchestra::start(options).await {
            Ok(simulator) => break simulator,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(simulator.url(), url);
    let mut told = Vec::new();
    for _ in &uris {
        told.push(updated(&mut client).await["uri"].as_str().unwrap().to_owned());
    }
    told.sort();
    let mut expected = uris.to_vec();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(simulator.event_streams(), (1, 2));
}

#[tokio::test]
async fn a_client_without_sessions_listens() {
    let simulator = simulator().await;
    let mut client = Client::connect(served(&simulator));
    let uri = changed(&simulator, 0);
    let listen = |uris: Value| {
        with_capabilities(json!({ "notifications": { "resourceSubscriptions": uris } }), json!({}))
    };
    client.start(7, "subscriptions/listen", listen(json!([uri, "nope://1"]))).await;
    let acknowledged = client.receive().await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    // What is not known here is not promised.
    let accepted = &acknowledged["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(*accepted, json!([uri]), "{acknowledged}");
    streams(&simulator, (1, 1)).await;
    // What changed between the acknowledgement and the first event, nobody saw.
    assert_eq!(updated(&mut client).await["uri"], uri);
    changed(&simulator, 1);
    let told = updated(&mut client).await;
    assert_eq!(told["uri"], uri);
    assert_eq!(told["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    client.notify("notifications/cancelled", json!({ "requestId": 7 })).await;
    streams(&simulator, (0, 0)).await;
}

#[tokio::test]
async fn a_subscription_that_cannot_be_had_is_refused() {
    let simulator = simulator().await;
    let mut client = Client::legacy(served(&simulator), json!({})).await;
    let answer = client.request(1, "resources/subscribe", json!({ "uri": "xo://nope/1" })).await;
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    drop(simulator);
    let answer = client.request(2, "resources/subscribe", json!({ "uri": "xo://VM/1" })).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("GET /events"), "{answer}");
}

#[tokio::test]
async fn only_what_is_allowed_is_offered() {
    let simulator = simulator().await;
    let initialize = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    for (excluded, expected, count) in [
        ("get_vm", json!({ "subscribe": true }), 17),
        ("add_event_subscription", json!({}), 18),
        ("open_events_stream", json!({}), 18),
        ("get_*", json!({}), 1),
    ] {
        let mut client = Client::connect(served_without(&simulator, excluded));
        let answer = client.request(0, "initialize", initialize.clone()).await;
        assert_eq!(answer["result"]["capabilities"]["resources"], expected, "{excluded}");
        client.notify("notifications/initialized", json!({})).await;
        let answer = client.request(1, "resources/templates/list", json!({})).await;
        let templates = answer["result"]["resourceTemplates"].as_array().unwrap();
        assert_eq!(templates.len(), count, "{excluded}");
        let answer = client.request(2, "resources/read", json!({ "uri": "xo://VM/1" })).await;
        let is_there = matches!(excluded, "add_event_subscription" | "open_events_stream");
        let message = answer["error"]["message"].as_str().unwrap();
        assert_eq!(message.contains("GET /vms/1"), is_there, "{answer}");
        if expected != json!({ "subscribe": true }) {
            let uri = json!({ "uri": "xo://host/1" });
            let answer = client.request(3, "resources/subscribe", uri).await;
            let code = if is_there { -32601 } else { -32002 };
            assert_eq!(answer["error"]["code"], code, "{excluded} {answer}");
        }
    }
}

#[test]
fn a_descriptor_lists_only_what_it_reads_and_what_needs_no_argument() {
    let text = include_str!("../../dadl/xen-orchestra.dadl");
    for (lister, expected) in [
        ("pool: list_pols", "the tool `list_pols`, which lists `pool`, does not exist"),
        ("pool: get_pool", "needs `uuid`"),
        ("pool: delete_vm", "does not have `access: read`"),
        ("pool: open_events_stream", "answers no list"),
        ("vm: list_vms", "lists what no tool in `read` reads"),
    ] {
        let text = text.replacen("pool: list_pools", lister, 1);
        let loaded = dadl_descriptor::check(&SourceText::new("xo.dadl", text));
        let found = loaded
            .diagnostics
            .iter()
            .any(|it| it.code.0 == "D744" && it.message.contains(expected));
        assert!(found, "{lister}: {:?}", loaded.diagnostics);
    }
}
