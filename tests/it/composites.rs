//! Composites from the descriptor to the result: what is sent, what comes back, what is refused.

use std::time::Duration;

use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    config::{BackendSettings, ConfirmPolicy},
    executor::CallContext,
    gate::{CallConsent, CallRefusal},
    outcome::AnswerPayload,
};
use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{self, Client, serve_tools},
    upstream::{Answer, Upstream},
};

/// Some tools, and room for composites.
const TOOLS: &str = api!(top: "requires: { features: [composites] }", backend: r#"
  defaults:
    errors: { message_path: "$.error", code_path: "$.code" }
  tools:
    get: { method: GET, path: "/things/{id}", access: read, description: "Gets.", params: { id: { type: integer, in: path, required: true } } }
    list: { method: GET, path: /things, access: read, description: "Lists.", params: { "filter[a]": { type: string, in: query } }, response: { max_items: 2 } }
    put: { method: PUT, path: "/things/{id}", access: write, description: "Puts.", params: { id: { type: integer, in: path, required: true }, owner: { type: integer, in: body }, name: { type: string, in: body } } }
    delete: { method: DELETE, path: "/things/{id}", access: dangerous, description: "Deletes.", params: { id: { type: integer, in: path, required: true } } }
    text: { method: GET, path: /text, access: read, description: "Text." }
    file: { method: GET, path: /file, access: read, description: "A file.", response: { binary: true } }
  composites:
"#);

/// Adds a composite called `run` to the tools.
fn descriptor(keys: &str, code: &str) -> String {
    let code: String = code.lines().map(|line| format!("        {line}\n")).collect();
    format!("{TOOLS}    run:\n      description: \"Runs.\"\n{keys}      code: |\n{code}")
}

fn bench(url: &str, keys: &str, code: &str) -> Harness {
    bench_with(url, keys, code, |_| {})
}

fn bench_with(
    url: &str,
    keys: &str,
    code: &str,
    change: impl FnOnce(&mut BackendSettings),
) -> Harness {
    Harness::new(&descriptor(keys, code), url, Fixed(Ok(String::new())), change)
}

/// Runs a composite that reads; each request gets the next of `answers`.
async fn value(answers: Vec<Answer>, code: &str) -> (Value, Vec<String>) {
    let upstream = Upstream::start(answers).await;
    let value = bench(&upstream.url(), "", code).value("run", json!({})).await;
    let requests = upstream.requests();
    let lines = requests.iter().map(|it| it.lines().next().unwrap().to_owned()).collect();
    (value, lines)
}

async fn failure(answers: Vec<Answer>, keys: &str, code: &str) -> String {
    let upstream = Upstream::start(answers).await;
    bench(&upstream.url(), keys, code).call("run", json!({})).await.unwrap_err().for_model()
}

fn ok(body: &str) -> Answer {
    Answer::json(200, body)
}

/// The line of `code` in the descriptor, from 1.
fn line(keys: &str, code: &str, of: &str) -> usize {
    descriptor(keys, code).lines().position(|line| line.contains(of)).unwrap() + 1
}

#[tokio::test]
async fn a_composite_joins_what_its_calls_give() {
    let code = "const all: { id: number }[] = await api.list({ 'filter[a]': 'x y' });\n\
                const first = await api.get({ id: all[0]!.id });\n\
                return { name: first.name, all: all.length } as const;";
    let (value, requests) = value(vec![ok(r#"[{"id":7}]"#), ok(r#"{"name":"ü"}"#)], code).await;
    assert_eq!(value, json!({ "name": "ü", "all": 1 }));
    let expected = ["GET /api/things?filter%5Ba%5D=x%20y HTTP/1.1", "GET /api/things/7 HTTP/1.1"];
    assert_eq!(requests, expected);
}

#[tokio::test]
async fn params_have_their_declared_names_and_defaults() {
    let keys = "      params: { \"a.b\": { type: integer, default: 5 }, c: { type: object }, d: { type: string, required: true } }\n";
    let bench = bench("http://127.0.0.1:9", keys, "return [params, params['a.b']];");
    let given = json!({ "d": "x", "c": { "__proto__": 1 } });
    let expected: Value =
        serde_json::from_str(r#"[{"a.b":5,"c":{"__proto__":1},"d":"x"},5]"#).unwrap();
    assert_eq!(bench.value("run", given).await, expected);
    let Value::Object(wrong) = json!({ "e": 1 }) else { panic!("not an object") };
    let refusal = bench.gate.check("run", wrong).unwrap_err().to_string();
    assert!(refusal.contains("there is no parameter `e`"), "{refusal}");
    assert!(refusal.contains("`d` (string) is required"), "{refusal}");
    let entry = bench.gate.catalog().find("run").unwrap();
    assert_eq!(entry.input_schema()["properties"]["a.b"]["default"], 5);
}

/// Answers none of `count` requests before it has all of them.
async fn together(count: usize) -> String {
    let backend = Upstream::by_hand().await;
    let url = backend.url();
    tokio::spawn(async move {
        let mut all = Vec::new();
        while all.len() < count {
            all.push(backend.asked().await);
        }
        for mut asked in all {
            let id = asked.head.split(['/', ' ']).nth(4).unwrap().to_owned();
            asked.answer(&Answer::json(200, &id)).await;
        }
    });
    url
}

#[tokio::test]
async fn calls_that_are_awaited_together_are_in_flight_together() {
    let url = together(3).await;
    let code = "return Promise.all([3, 1, 2].map(id => api.get({ id })));";
    assert_eq!(bench(&url, "", code).value("run", json!({})).await, json!([3, 1, 2]));
}

#[tokio::test]
async fn each_kind_of_answer_has_its_value() {
    let answers = vec![
        Answer::full(200, &[("Content-Type", "text/plain")], "plain ü".as_bytes()),
        Answer::full(204, &[], b""),
        Answer::full(200, &[("Content-Type", "application/octet-stream")], b"bytes"),
    ];
    let code = "return [await api.text(), await api.text(), await api.file()];";
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream.url(), "", code);
    let value = bench.value("run", json!({})).await;
    assert_eq!(value[0], "plain ü");
    assert_eq!(value[1], Value::Null);
    assert_eq!((&value[2]["size"], bench.files().len()), (&json!(5), 1));
    assert!(value[2]["path"].as_str().unwrap().contains("file"));
}

#[tokio::test]
async fn what_was_cut_is_a_note_of_the_composite() {
    let upstream = Upstream::start(vec![ok("[1,2,3]")]).await;
    let bench = bench(&upstream.url(), "", "return (await api.list()).length;");
    let outcome = bench.call("run", json!({})).await.unwrap();
    assert_eq!(outcome.notes.len(), 1, "{:?}", outcome.notes);
    assert!(outcome.notes[0].starts_with("list: "), "{:?}", outcome.notes);
    assert!(matches!(outcome.payload, AnswerPayload::Json(text) if text.as_str() == "2"));
}

#[tokio::test]
async fn identifiers_keep_their_digits_from_answer_to_request_to_result() {
    let answers = vec![ok(r#"{"owner":9007199254740993,"id":18446744073709551615}"#), ok("{}")];
    let upstream = Upstream::start(answers).await;
    let code = "const a = await api.get({ id: 1 });\n\
                await api.put({ id: a.id, owner: a.owner });\n\
                return a;";
    let bench = bench(&upstream.url(), "", code);
    let AnswerPayload::Json(text) = bench.call("run", json!({})).await.unwrap().payload else {
        panic!("no JSON")
    };
    assert_eq!(text.as_str(), r#"{"owner":9007199254740993,"id":18446744073709551615}"#);
    let put = &upstream.requests()[1];
    assert!(put.starts_with("PUT /api/things/18446744073709551615 "), "{put}");
    assert!(put.ends_with(r#"{"owner":9007199254740993}"#), "{put}");
}

#[tokio::test]
async fn a_failed_call_throws_its_four_members() {
    let code = "try { await api.get({ id: 1 }) }\n\
                catch (e) { return [e.code, e.http_status, e.message, e.provider_code] }";
    let gone = || Answer::json(404, r#"{"error":"no such thing","code":"E1"}"#);
    let expected = json!(["not_found", 404, "no such thing; code: \"E1\"", "E1"]);
    assert_eq!(value(vec![gone()], code).await.0, expected);

    let code = "// one\nreturn await api.get({ id: 1 });";
    let error = failure(vec![gone()], "", code).await;
    let line = line("", code, "api.get");
    assert_eq!(
        error,
        format!(
            "composite \"run\" failed: api.get: [not_found] HTTP 404: no such thing; code: \"E1\" \
             (code E1) (GET /things/1); check the identifier: look it up with a tool that lists \
             (line {line} of the descriptor)"
        )
    );
}

#[tokio::test]
async fn a_call_that_is_wrong_throws_before_anything_is_sent() {
    let code = "try { await api.get({ id: 'x', other: 1 }) } catch (e) { return [e.code, e.http_status, e.message] }";
    let (value, requests) = value(vec![ok("1")], code).await;
    assert_eq!((value[0].as_str(), value[1].is_null()), (Some("invalid_input"), true));
    let message = value[2].as_str().unwrap();
    assert!(
        message.contains("`other`") && message.contains("`id` must be an integer"),
        "{message}"
    );
    assert_eq!(requests, Vec::<String>::new());
}

#[tokio::test]
async fn errors_name_the_line_of_the_descriptor() {
    let code = "const a = {};\n\nreturn a.b.c;";
    let error = failure(vec![], "", code).await;
    let line = line("", code, "a.b.c");
    assert!(error.ends_with(&format!("(line {line} of the descriptor)")), "{error}");

    // Folding joins lines, so that those of the file are others.
    let folded = descriptor("", "const a = {};\n\nreturn a.b.c;").replace("code: |", "code: >");
    let bench = Harness::new(&folded, "http://127.0.0.1:9", Fixed(Ok(String::new())), |_| {});
    let error = bench.call("run", json!({})).await.unwrap_err().for_model();
    assert!(error.ends_with("(line 2 of its code)"), "{error}");
}

#[tokio::test]
async fn a_call_that_nobody_awaits_is_finished() {
    let upstream = Upstream::start(vec![Answer::json(500, "{}")]).await;
    let bench = bench(&upstream.url(), "", "api.put({ id: 1 });\nreturn 'early';");
    let outcome = bench.call("run", json!({})).await.unwrap();
    assert_eq!(upstream.requests().len(), 1, "{outcome:?}");
    let note = &outcome.notes[0];
    assert!(note.starts_with("put: not awaited, and failed: [internal]"), "{note}");
}

#[tokio::test]
async fn a_failure_that_nobody_handles_is_a_note() {
    let upstream = Upstream::start(vec![ok("1")]).await;
    let code = "api.put({ no: 1 });\nfor (let i = 0; i < 20; i++) await api.list();\nreturn 1;";
    let bench = bench(&upstream.url(), "", code);
    let outcome = bench.call("run", json!({})).await.unwrap();
    let notes = outcome.notes.join("\n");
    assert!(notes.contains("1 failure was not handled by the composite"), "{notes}");

    // One that is handled later is none.
    let code = "const a = api.put({ no: 1 });\nfor (let i = 0; i < 20; i++) await api.list();\n\
                return a.catch(e => e.code);";
    let bench = bench_with(&upstream.url(), "", code, |_| {});
    let outcome = bench.call("run", json!({})).await.unwrap();
    assert!(outcome.notes.is_empty(), "{:?}", outcome.notes);
}

#[tokio::test]
async fn the_time_limit_covers_the_calls() {
    let keys = "      timeout: 1s\n";
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new())]).await;
    let bench = bench(&upstream.url(), keys, "return api.get({ id: 1 });");
    let error = bench.call("run", json!({})).await.unwrap_err().for_model();
    assert!(error.starts_with("composite \"run\" failed: it did not end within 1 s"), "{error}");
    upstream.connection_closed().await;

    let error = failure(vec![], keys, "for (;;) {}").await;
    assert!(error.contains("it did not end within"), "{error}");
}

#[tokio::test]
async fn composites_wait_for_each_other_within_their_time() {
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new())]).await;
    let text = descriptor("", "return api.list();")
        + "    short: { description: \"S.\", timeout: 1s, code: \"return 1\" }\n";
    let bench = Harness::new(&text, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    assert_eq!(bench.value("short", json!({})).await, json!(1));
    let all = futures_util::future::join_all((0..16).map(|_| bench.call("run", json!({}))));
    let short = async {
        // Each run has its slot when its request is there.
        while upstream.requests().len() < 16 {
            upstream.request_arrived().await;
        }
        bench.call("short", json!({})).await.unwrap_err().for_model()
    };
    let error = tokio::select! {
        _ = all => panic!("nothing answers"),
        error = short => error,
    };
    assert!(error.ends_with("16 others were running for 1 s; try again later"), "{error}");
}

#[tokio::test]
async fn cancelling_a_composite_drops_its_calls() {
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new())]).await;
    let bench = bench(&upstream.url(), "", "return api.get({ id: 1 });");
    {
        let call = bench.call("run", json!({}));
        tokio::select! {
            outcome = call => panic!("{outcome:?}"),
            () = upstream.request_arrived() => {}
        }
    }
    upstream.connection_closed().await;
}

#[tokio::test]
async fn a_result_that_is_too_large_is_an_error() {
    let small = |settings: &mut BackendSettings| settings.max_response_bytes = 1000;
    let bench = bench_with("http://127.0.0.1:9", "", "return 'x'.repeat(2000);", small);
    let error = bench.call("run", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("larger than 1000 bytes (`max_response_size`"), "{error}");
}

#[tokio::test]
async fn an_inner_call_is_denied_as_the_callers_own() {
    let reads = |settings: &mut BackendSettings| {
        settings.policy =
            AccessPolicy { levels: AccessLevels::new(["read"]), ..AccessPolicy::default() };
    };
    let code = "try { await api.put({ id: 1 }) } catch (e) { return [e.code, e.message] }";
    let upstream = Upstream::start(vec![ok("{}")]).await;
    let bench = bench_with(&upstream.url(), "      access: read\n", code, reads);
    let value = bench.value("run", json!({})).await;
    assert_eq!(value[0], "forbidden");
    assert!(value[1].as_str().unwrap().contains("access level `write` is not allowed"));
    assert_eq!(upstream.requests().len(), 0);

    // Without a level of its own the composite has that of the tool that it calls.
    let bench = bench_with(&upstream.url(), "", code, reads);
    let refusal = bench.gate.check("run", Default::default()).unwrap_err();
    assert!(matches!(refusal, CallRefusal::Denied { .. }), "{refusal}");
}

#[tokio::test]
async fn a_dangerous_call_needs_a_consent_that_names_it() {
    let upstream = Upstream::start(vec![ok("{}")]).await;
    let code =
        "try { return await api.delete({ id: 1 }) } catch (e) { return [e.code, e.message] }";

    // The composite is consented to, but does not delegate.
    let bench = bench_with(&upstream.url(), "", code, |_| {});
    let entry = bench.gate.catalog().find("run").unwrap();
    assert_eq!(entry.access().unwrap().as_str(), "dangerous");
    let value = bench.value("run", json!({})).await;
    assert_eq!(value[0], "forbidden");
    assert!(value[1].as_str().unwrap().contains("does not list it in `delegates`"), "{value}");
    assert_eq!(upstream.requests().len(), 0);

    // It delegates: the question names the tool, whatever the composite's own level is.
    let keys = "      access: write\n      delegates: [delete]\n";
    let bench = bench_with(&upstream.url(), keys, code, |_| {});
    let pending = bench.gate.check("run", Default::default()).unwrap();
    assert!(pending.needs_consent());
    let question = pending.question();
    assert!(question.contains("dangerous calls, with arguments of its own: delete"), "{question}");
    let annotations = bench.gate.catalog().find("run").unwrap().annotations;
    assert!(annotations.destructive && !annotations.read_only);
    assert!(pending.admit().is_err());
    assert_eq!(bench.value("run", json!({})).await, json!({}));
    assert_eq!(upstream.requests().len(), 1);

    // The operator wants no questions.
    let never = |settings: &mut BackendSettings| settings.confirm = ConfirmPolicy::Never;
    let bench = bench_with(&upstream.url(), "", code, never);
    let pending = bench.gate.check("run", Default::default()).unwrap();
    let call = pending.admit().unwrap();
    let outcome = bench.executor.execute(call, &CallContext::default()).await.unwrap();
    assert!(matches!(outcome.payload, AnswerPayload::Json(text) if text.as_str() == "{}"));
}

#[tokio::test]
async fn a_consent_to_another_call_is_none() {
    let keys = "      delegates: [delete]\n      params: { id: { type: integer } }\n";
    let bench = bench("http://127.0.0.1:9", keys, "return api.delete({ id: params.id });");
    let check = |id: u64| {
        let Value::Object(arguments) = json!({ "id": id }) else { panic!("not an object") };
        bench.gate.check("run", arguments).unwrap()
    };
    let consent = CallConsent::given_for(check(1).digest());
    assert!(check(2).admit_with(&consent).is_err());
}

#[tokio::test]
async fn composites_call_tools_and_no_composites() {
    let text = descriptor("", "try { return await api.other() } catch (e) { return e.message }")
        + "    other: { description: \"O.\", code: \"return 1\" }\n";
    let bench = Harness::new(&text, "http://127.0.0.1:9", Fixed(Ok(String::new())), |_| {});
    let value = bench.value("run", json!({})).await;
    assert_eq!(value, "not a function");
}

#[tokio::test]
async fn a_dry_run_runs_nothing() {
    let upstream = Upstream::start(vec![ok("{}")]).await;
    let bench = bench(&upstream.url(), "", "await api.get({ id: 1 });\nreturn api.list();");
    let pending = bench.gate.check("run", Default::default()).unwrap();
    let shown = bench.executor.dry_run(&pending).unwrap().to_string();
    assert!(shown.contains("the composite run would run"), "{shown}");
    assert!(shown.ends_with("It may call get, list"), "{shown}");
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn hosts_see_a_composite_as_a_tool() {
    let upstream = Upstream::start(vec![Answer::json(200, "[1,2,3]")]).await;
    let keys = "      params: { n: { type: integer, default: 2, description: \"How many.\" } }\n";
    let text = descriptor(keys, "return { n: params.n, all: await api.list() };");
    let served = serve_tools(&text, &upstream.url(), |_| {});
    let mut client = Client::legacy(served, json!({})).await;
    let answer = client.request(1, "tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let tool = tools.iter().find(|tool| tool["name"] == "run").unwrap();
    let property = json!({ "type": "integer", "description": "How many.", "default": 2 });
    assert_eq!(tool["inputSchema"]["properties"], json!({ "n": property }));
    assert_eq!(tool["annotations"]["readOnlyHint"], true);
    let answer = client.call(2, "run", json!({ "n": "7" })).await;
    let note = "list: cut to the first 2 of 3 items; narrow the call to see the others";
    let expected = json!({ "_note": note, "n": 7, "all": [1, 2] });
    assert_eq!(answer["result"]["structuredContent"], expected, "{answer}");
    assert_eq!(answer["result"]["content"][0]["text"], note, "{answer}");
    let answer = client.call(3, "run", json!({ "m": 7 })).await;
    assert!(mcp_support::failure(&answer).contains("there is no parameter `m`"));
}

#[tokio::test]
async fn a_person_is_asked_about_the_composite_with_its_dangerous_calls() {
    let upstream = Upstream::start(vec![Answer::full(204, &[], b"")]).await;
    let keys = "      delegates: [delete]\n      params: { ids: { type: array } }\n";
    let code = "return Promise.all(params.ids.map(id => api.delete({ id })));";
    let served = serve_tools(&descriptor(keys, code), &upstream.url(), |_| {});
    let mut client = Client::legacy(served, json!({ "elicitation": {} })).await;
    for (id, action) in [(1, "decline"), (2, "accept")] {
        let call = json!({ "name": "run", "arguments": { "ids": [4, 5] } });
        client.start(id, "tools/call", call).await;
        let question = client.receive().await;
        let message = question["params"]["message"].as_str().unwrap();
        assert!(message.contains("ids = [4,5]"), "{message}");
        assert!(
            message.contains("dangerous calls, with arguments of its own: delete"),
            "{message}"
        );
        let result = json!({ "action": action });
        let reply = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
        client.send(&reply).await;
        let answer = client.receive().await;
        if action == "accept" {
            assert_eq!(mcp_support::text(&answer), "[null,null]");
        } else {
            assert!(mcp_support::failure(&answer).contains("was not called"));
            assert_eq!(upstream.requests().len(), 0);
        }
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn cancelling_over_the_protocol_drops_the_calls() {
    let upstream = Upstream::start(vec![Answer::Hang(Vec::new())]).await;
    let text = descriptor("", "return api.list();");
    let served = serve_tools(&text, &upstream.url(), |_| {});
    let mut client = Client::legacy(served, json!({})).await;
    client.start(1, "tools/call", json!({ "name": "run", "arguments": {} })).await;
    upstream.request_arrived().await;
    client.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    upstream.connection_closed().await;
}

#[tokio::test]
async fn composites_that_run_at_once_do_not_meet() {
    let upstream = Upstream::start(vec![ok("1")]).await;
    let keys = "      params: { n: { type: integer } }\n";
    let code = "Array.prototype.seen = (Array.prototype.seen ?? 0) + 1;\n\
                await api.get({ id: params.n });\n\
                return [params.n, [].seen];";
    let bench = bench(&upstream.url(), keys, code);
    let runs = (0..40).map(|n| bench.value("run", json!({ "n": n })));
    let values =
        tokio::time::timeout(Duration::from_secs(120), futures_util::future::join_all(runs));
    let expected: Vec<Value> = (0..40).map(|n| json!([n, 1])).collect();
    assert_eq!(values.await.unwrap(), expected);
}
