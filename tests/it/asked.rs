//! What is asked of a person, and what a person asks for: consent, completions, filled-in prompts.

use dadl_simulator::{SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    live::events::xen_orchestra,
    mcp_http::Site,
    mcp_support::{
        Client, failure, serve, serve_descriptor, serve_harness, text, with_capabilities, with_meta,
    },
    upstream::{Answer, Upstream},
};

const DROP: &str = "drop_thing";

fn dangerous() -> Value {
    json!({ "name": DROP, "arguments": { "id": "a" } })
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_model_learns_what_to_do() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let says = |answer: &Value, what: &str| {
        let reason = failure(answer);
        for word in [what, "dadl-mcp call drop_thing", "confirm: never", "\"fake\""] {
            assert!(reason.contains(word), "{word}: {reason}");
        }
    };
    for capabilities in [json!({}), json!({ "elicitation": { "url": {} } })] {
        let mut client = Client::legacy(serve(&upstream.url()), capabilities.clone()).await;
        says(&client.request(1, "tools/call", dangerous()).await, "cannot ask");
        let mut later = Client::connect(serve(&upstream.url()));
        let call = with_capabilities(dangerous(), capabilities);
        says(&later.request(1, "tools/call", call).await, "cannot ask");
    }
    // Hosts that say they can ask, and then do not.
    for (answer, what) in [
        (json!({ "error": { "code": -32601, "message": "Method not found" } }), "cannot ask"),
        (json!({ "result": { "action": "decline" } }), "declined, by the person or by a host"),
        (json!({ "result": { "action": "cancel" } }), "by a host that shows none"),
        (json!({ "result": { "confirm": true } }), "no answer"),
    ] {
        let capabilities = json!({ "elicitation": {} });
        let mut client = Client::legacy(serve(&upstream.url()), capabilities).await;
        client.start(1, "tools/call", dangerous()).await;
        let question = client.receive().await;
        let mut reply = json!({ "jsonrpc": "2.0", "id": question["id"] });
        for (name, value) in answer.as_object().unwrap() {
            reply[name] = value.clone();
        }
        client.send(&reply).await;
        says(&client.receive().await, what);
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_state_that_was_tampered_with_is_an_error_of_the_protocol() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let site = Site::start(&upstream.url()).await;
    let mut client = Client::connect(serve(&upstream.url()));
    let yes = json!({ "confirm": { "action": "accept", "content": { "confirm": true } } });
    let asked = client.stateless_call(1, dangerous()).await;
    let state = asked["result"]["requestState"].as_str().unwrap().to_owned();
    let mut changed = state.clone();
    changed.replace_range(state.len() - 4.., "AAAA");
    let cut = state[..state.len() / 2].to_owned();
    for forged in [changed, cut, format!("{state}x"), String::new(), "rs1.AAAA.BBBB".to_owned()] {
        let mut call = dangerous();
        call["requestState"] = json!(forged);
        call["inputResponses"] = yes.clone();
        let answers = [
            client.stateless_call(2, call.clone()).await,
            site.stateless("tools/call", call).await.json().await,
        ];
        for answer in answers {
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(
                message.contains("requestState") && message.contains("without it"),
                "{message}"
            );
        }
    }
    assert!(upstream.requests().is_empty());
    // A host that did not put the question is asked again, and the state before is spent.
    let mut call = dangerous();
    call["requestState"] = json!(state);
    let again = client.stateless_call(3, call.clone()).await;
    assert_eq!(again["result"]["resultType"], "input_required", "{again}");
    call["inputResponses"] = yes.clone();
    assert!(failure(&client.stateless_call(4, call.clone()).await).contains("used already"));
    call["requestState"] = again["result"]["requestState"].clone();
    assert_eq!(text(&client.stateless_call(5, call).await), "done (HTTP 204)");
    assert_eq!(upstream.requests().len(), 1);
}

/// A backend whose one tool takes a jq program of the caller.
const WITH_JQ: &str = api!(
    auth: "type: bearer, credential: token",
    backend: r#"
  tools:
    drop_thing:
      method: DELETE
      path: "/things/{id}"
      access: dangerous
      description: "Drops."
      params: { id: { type: string, in: path }, note: { type: string, in: query } }
      response: { allow_jq_override: true }
"#
);

#[tokio::test]
async fn nobody_is_asked_about_a_call_that_sends_nothing() {
    let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
    let serve = |credential: Result<String, String>| {
        serve_harness(Harness::new(WITH_JQ, &upstream.url(), Fixed(credential), |_| {}), "")
    };
    let set = || Ok("t0ken-of-the-test".to_owned());
    let unset = || Err("credential `token` is not set".to_owned());
    let no_file = "dadl-file:0a1b2c3d4e5f60718293a4b5c6d7e8f9#base64";
    for (credential, arguments, reason) in [
        (set(), json!({ "id": "a", "jq": ".[" }), "`jq`"),
        (set(), json!({ "id": "a", "note": no_file }), "is not in the store"),
        (unset(), json!({ "id": "a" }), "credential `token` is not set"),
    ] {
        let call = json!({ "name": DROP, "arguments": arguments });
        let capabilities = json!({ "elicitation": {} });
        let mut host = Client::legacy(serve(credential.clone()), capabilities).await;
        let answer = host.request(1, "tools/call", call.clone()).await;
        assert!(failure(&answer).contains(reason), "{answer}");
        let mut later = Client::connect(serve(credential));
        let answer = later.stateless_call(1, call).await;
        assert!(failure(&answer).contains(reason), "{answer}");
    }
    assert!(upstream.requests().is_empty());
    let mut later = Client::connect(serve(set()));
    let call = json!({ "name": DROP, "arguments": { "id": "a", "jq": "." } });
    let asked = later.stateless_call(1, call).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
}

/// A backend whose example takes values.
const EXAMPLES: &str = r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
_dadl_mcp:
  values: { mode: { enum: [fast, careful, Full] } }
backend:
  name: fake
  type: rest
  description: "A fake"
  auth: { type: bearer, credential: fake_token }
  tools:
    get_thing:
      method: GET
      path: "/things/{id}"
      access: read
      description: "One thing."
      params: { id: { type: string, in: path, required: true }, mode: { type: string, in: query }, deep: { type: boolean, in: query } }
  examples:
    - name: Look
      description: Looks at a thing.
      code: "return await api.get_thing({ id: params.thing, mode: params.how, deep: params.deep });"
"#;

fn complete(reference: Value, name: &str, value: &str) -> Value {
    json!({ "ref": reference, "argument": { "name": name, "value": value } })
}

fn of_prompt(name: &str, argument: &str, value: &str) -> Value {
    complete(json!({ "type": "ref/prompt", "name": name }), argument, value)
}

fn of_template(uri: &str, argument: &str, value: &str) -> Value {
    complete(json!({ "type": "ref/resource", "uri": uri }), argument, value)
}

fn values(answer: &Value) -> Vec<&str> {
    let values = answer["result"]["completion"]["values"].as_array();
    let values = values.unwrap_or_else(|| panic!("{answer}"));
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_prompt_is_filled_in() {
    let mut client =
        Client::legacy(serve_descriptor(EXAMPLES, "http://127.0.0.1:9/"), json!({})).await;
    let listed = client.request(1, "prompts/list", json!({})).await;
    let prompt = &listed["result"]["prompts"][0];
    let names: Vec<&Value> =
        prompt["arguments"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["thing", "how", "deep"]);
    assert_eq!(prompt["arguments"][0]["required"], true);
    let mut get = async |arguments: Value| {
        let params = json!({ "name": prompt["name"], "arguments": arguments });
        client.request(2, "prompts/get", params).await
    };
    let said = |answer: &Value| {
        let message = &answer["result"]["messages"][0]["content"]["text"];
        message.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let filled = get(json!({ "thing": "a\"\n```b", "deep": "" })).await;
    let filled = said(&filled);
    assert!(filled.contains("`params.thing` is \"a\\\"\\n```b\""), "{filled}");
    assert!(filled.contains("`params.deep` is not given: ask"), "{filled}");
    assert!(filled.contains("`params.how` is not given: ask"), "{filled}");
    // Hosts that show prompts as commands give none.
    assert!(said(&get(json!(null)).await).contains("`params.thing` is not given"));
    for (arguments, expected) in [
        (json!({ "other": "x" }), "it takes: thing, how, deep"),
        (json!({ "thing": 1 }), "`thing` must be text"),
        (json!({ "thing": "x".repeat(1001) }), "has 1001 characters, and may have 1000"),
    ] {
        let answer = get(arguments).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(expected), "{answer}");
    }
}

#[tokio::test]
async fn what_a_descriptor_knows_is_offered() {
    let served = || serve_descriptor(EXAMPLES, "http://127.0.0.1:9/");
    let mut client = Client::connect(served());
    let answer = client.request(
        0,
        "initialize",
        json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "t", "version": "1" },
        }),
    );
    assert_eq!(answer.await["result"]["capabilities"]["completions"], json!({}));
    client.notify("notifications/initialized", json!({})).await;
    let mut later = Client::connect(served());
    for (argument, typed, expected) in [
        ("how", "", &["fast", "careful", "Full"] as &[&str]),
        ("how", "F", &["fast", "Full"]),
        ("how", "x", &[]),
        ("deep", "t", &["true"]),
        ("thing", "", &[]),
    ] {
        let params = of_prompt("fake_look", argument, typed);
        let answer = client.request(1, "completion/complete", params.clone()).await;
        assert_eq!(values(&answer), expected, "{argument} {typed}");
        assert_eq!(answer["result"]["completion"]["total"], expected.len());
        let answer = later.request(1, "completion/complete", with_meta(params)).await;
        assert_eq!(values(&answer), expected);
    }
    for (params, expected) in [
        (of_prompt("nope", "how", ""), "unknown prompt \"nope\""),
        (of_prompt("fake_look", "nope", ""), "it takes: thing, how, deep"),
        (of_template("xo://nope/{id}", "id", ""), "no resource template"),
        (of_template("dadl-file:{id}{?offset,length}", "nope", ""), "has no variable"),
    ] {
        let answer = client.request(2, "completion/complete", params).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(expected), "{answer}");
    }
    // Who knows the id of a file may read it.
    let params = of_template("dadl-file:{id}{?offset,length}", "id", "");
    assert!(values(&client.request(3, "completion/complete", params).await).is_empty());
}

#[tokio::test]
async fn objects_are_found_by_identifier_and_name() {
    let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
    let served = serve_harness(xen_orchestra(&simulator.url()), "");
    let mut client = Client::legacy(served, json!({})).await;
    let listed = client.call(1, "list_vms", json!({ "fields": "uuid,name_label" })).await;
    let vms = listed["result"]["structuredContent"]["result"].as_array().unwrap().clone();
    let (uuid, name) = (vms[0]["uuid"].as_str().unwrap(), vms[0]["name_label"].as_str().unwrap());
    let examples = client.request(2, "prompts/list", json!({})).await;
    let examples = examples["result"]["prompts"].as_array().unwrap().clone();
    let restart = examples.iter().find(|it| it["title"] == "restart_vm_after_snapshot").unwrap();
    assert_eq!(restart["arguments"][0]["name"], "vm");
    let restart = restart["name"].as_str().unwrap();
    for typed in [&uuid[..8], &uuid[..8].to_uppercase(), &name.to_uppercase()] {
        for params in [of_template("xo://VM/{id}", "id", typed), of_prompt(restart, "vm", typed)] {
            let answer = client.request(3, "completion/complete", params).await;
            assert!(values(&answer).contains(&uuid), "{typed}: {answer}");
        }
    }
    let params = of_template("xo://VM/{id}", "id", "");
    let all = client.request(4, "completion/complete", params).await;
    assert_eq!(all["result"]["completion"]["total"], vms.len());
    assert_eq!(all["result"]["completion"]["hasMore"], vms.len() > 100);
}

#[tokio::test]
async fn what_may_not_be_listed_is_not_offered() {
    let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
    let text = include_str!("../../dadl/xen-orchestra.dadl");
    let key = Fixed(Ok("demo-token".into()));
    let harness = Harness::new(text, &simulator.url(), key, |settings| {
        let excluded = dadl_mcp::access::ToolPatterns::new(["list_vms"]).unwrap();
        settings.policy.exclude_tools = excluded;
    });
    let mut client = Client::legacy(serve_harness(harness, ""), json!({})).await;
    let params = of_template("xo://VM/{id}", "id", "");
    assert!(values(&client.request(1, "completion/complete", params).await).is_empty());
}

#[tokio::test]
async fn an_api_that_is_down_has_nothing_to_offer() {
    let mut client =
        Client::legacy(serve_harness(xen_orchestra("http://127.0.0.1:1"), ""), json!({})).await;
    tokio::time::pause();
    let params = of_template("xo://VM/{id}", "id", "");
    assert!(values(&client.request(1, "completion/complete", params).await).is_empty());
}

#[tokio::test]
async fn names_that_nothing_has_are_repeated_within_a_bound() {
    let mut client = Client::legacy(serve("http://127.0.0.1:9"), json!({})).await;
    let name = "n\u{202e}".repeat(800);
    for method in ["tools/call", "prompts/get"] {
        let answer = client.request(1, method, json!({ "name": name })).await;
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("unknown ") && message.len() < 400, "{message}");
        assert!(!message.contains('\u{202e}'), "{message}");
    }
}
