//! What other MCP servers ask for while they are called: of persons, of the host's model, and of us; in
//! both eras of servers and of hosts.

use serde_json::{Value, json};

use crate::{
    process::Process,
    servers::{House, called, levels, text},
};

const NEWEST: &str = "2026-07-28";

/// A form of a server.
fn form() -> Value {
    json!({
        "message": "What is your name?\nThe backend \"bank\" asks.",
        "requestedSchema": {
            "type": "object", "required": ["name"],
            "properties": {
                "name": { "type": "string", "title": "Name" },
                "deep": { "type": "object", "properties": {} },
            },
        },
    })
}

/// A page that a server wants to be opened.
fn page() -> Value {
    json!({
        "mode": "url", "message": "Log in, please.", "url": "https://example.com/login",
        "elicitationId": "e1",
    })
}

/// A server of the older revisions, which asks while it is called.
fn older(method: &str, params: &Value) -> Value {
    json!({ "on": { "tools/call echo": [
        { "ask": { "method": method, "params": params } },
        { "result": { "content": [], "structuredContent": { "heard": "$answer" } } },
    ] } })
}

/// A server of the newest revision, which is called again with the answer.
fn newer(method: &str, params: &Value) -> Value {
    let needed = json!({
        "resultType": "input_required", "requestState": "state-of-the-server",
        "inputRequests": { "who": { "method": method, "params": params } },
    });
    let done = json!({
        "resultType": "complete", "content": [], "structuredContent": { "heard": "$params" },
    });
    json!({ "on": { "tools/call echo": { "rounds": [
        [{ "result": needed }], [{ "result": done }],
    ] } } })
}

/// Each era of servers, with where the answer to a question is in what it heard.
fn servers(method: &str, params: &Value) -> [(House, &'static str); 2] {
    let house = |script: &Value, protocol: &str| {
        let mut settings = levels();
        settings["protocol"] = protocol.into();
        House::new().server("notes", script, settings)
    };
    [
        (house(&older(method, params), "2025-11-25"), "/heard/result"),
        (house(&newer(method, params), NEWEST), "/heard/inputResponses/who"),
    ]
}

/// Starts a server for a host of an older revision that can do this.
fn host(house: &House, capabilities: Value) -> Process {
    let mut process = house.start();
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": capabilities,
        "clientInfo": { "name": "test", "version": "1" },
    });
    process.request(1, "initialize", &params);
    process.write(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    process
}

/// The parameters of a call of a host of the newest revision.
fn call(capabilities: &Value, more: Value) -> Value {
    let mut params = json!({
        "name": "echo", "arguments": { "text": "a" },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": NEWEST,
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        },
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

fn accepted() -> Value {
    json!({ "action": "accept", "content": { "name": "Ada", "other": 1 } })
}

/// Checks what a person is shown.
fn check_form(params: &Value) {
    let message = params["message"].as_str().unwrap();
    assert!(message.starts_with("The MCP server of backend \"notes\" asks."), "{message}");
    assert!(message.contains("\n> What is your name?\n> The backend"), "{message}");
    let properties = &params["requestedSchema"]["properties"];
    assert_eq!(properties, &json!({ "name": { "type": "string", "title": "Name" } }));
}

#[test]
fn a_person_at_an_older_host_is_asked_while_the_call_waits() {
    for (house, place) in servers("elicitation/create", &form()) {
        let mut process = host(&house, json!({ "elicitation": {} }));
        let params = json!({ "name": "echo", "arguments": { "text": "a" } });
        let mut asked = 0;
        let answer = process.request_answering(2, "tools/call", &params, |request| {
            assert_eq!(request["method"], "elicitation/create");
            check_form(&request["params"]);
            asked += 1;
            accepted()
        });
        assert_eq!(asked, 1);
        let heard = answer["result"]["structuredContent"].pointer(place);
        let expected = json!({ "action": "accept", "content": { "name": "Ada" } });
        assert_eq!(heard, Some(&expected), "{answer}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_newer_host_puts_the_question_and_calls_again() {
    let capabilities = json!({ "elicitation": { "form": {} } });
    for (house, place) in servers("elicitation/create", &form()) {
        let mut process = house.start();
        let first = process.request(1, "tools/call", &call(&capabilities, json!({})));
        let first = &first["result"];
        assert_eq!(first["resultType"], "input_required", "{first}");
        let asked = &first["inputRequests"]["question"];
        assert_eq!(asked["method"], "elicitation/create");
        check_form(&asked["params"]);
        let again = json!({
            "requestState": first["requestState"], "inputResponses": { "question": accepted() },
        });
        // The answer is that to one call, and to no other.
        let mut other = call(&capabilities, again.clone());
        other["arguments"]["text"] = "b".into();
        let refused = process.request(2, "tools/call", &other);
        assert_eq!(refused["result"]["isError"], true, "{refused}");
        // It is spent now, and the question is put anew.
        let first = process.request(3, "tools/call", &call(&capabilities, again));
        assert!(text(&first["result"]).contains("is over"), "{first}");
        assert_eq!(process.end(), Some(0));

        let mut process = house.start();
        let first = process.request(1, "tools/call", &call(&capabilities, json!({})));
        let again = json!({
            "requestState": first["result"]["requestState"],
            "inputResponses": { "question": accepted() },
        });
        let done = process.request(2, "tools/call", &call(&capabilities, again));
        let heard = done["result"]["structuredContent"].pointer(place);
        let expected = json!({ "action": "accept", "content": { "name": "Ada" } });
        assert_eq!(heard, Some(&expected), "{done}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_server_of_the_newest_revision_gets_its_state_back() {
    let [_, (house, _)] = servers("elicitation/create", &form());
    let mut process = host(&house, json!({ "elicitation": {} }));
    let params = json!({ "name": "echo", "arguments": { "text": "a" } });
    let answer = process.request_answering(2, "tools/call", &params, |_| accepted());
    let heard = &answer["result"]["structuredContent"]["heard"];
    assert_eq!(heard["requestState"], "state-of-the-server", "{answer}");
    assert_eq!(heard["arguments"], json!({ "text": "a" }));
    assert_eq!(process.end(), Some(0));
}

#[test]
fn what_a_person_says_reaches_the_server_as_it_is() {
    for (action, expected) in [("decline", "decline"), ("cancel", "cancel")] {
        let [(house, place), _] = servers("elicitation/create", &form());
        let mut process = host(&house, json!({ "elicitation": {} }));
        let params = json!({ "name": "echo", "arguments": { "text": "a" } });
        let answer =
            process.request_answering(2, "tools/call", &params, |_| json!({ "action": action }));
        let result = &answer["result"];
        let heard = result["structuredContent"].pointer(place);
        assert_eq!(heard, Some(&json!({ "action": expected })), "{answer}");
        assert!(!result["content"].to_string().contains("declined"), "{answer}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn without_a_person_a_question_is_declined_and_told() {
    for (house, place) in servers("elicitation/create", &form()) {
        let mut process = host(&house, json!({}));
        let result = called(&mut process, 2, "echo", json!({ "text": "a" }));
        let heard = result["structuredContent"].pointer(place);
        assert_eq!(heard, Some(&json!({ "action": "decline" })), "{result}");
        assert!(text(&result).contains("it was declined"), "{result}");
        assert_eq!(process.end(), Some(0));
        let run = house.run(&["call", "echo", "text=a"]);
        assert_eq!(run.json().pointer(place), Some(&json!({ "action": "decline" })));
        assert!(run.err.contains("nobody can be asked here"), "{}", run.err);
    }
}

#[test]
fn a_person_is_asked_once_although_the_server_ends() {
    let script = json!({ "on": { "tools/call echo": [
        { "ask": { "method": "elicitation/create", "params": form() } }, { "exit": 3 },
    ] } });
    let house = House::new().server("notes", &script, levels());
    let mut process = host(&house, json!({ "elicitation": {} }));
    let params = json!({ "name": "echo", "arguments": { "text": "a" } });
    let mut asked = 0;
    let answer = process.request_answering(2, "tools/call", &params, |_| {
        asked += 1;
        accepted()
    });
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(asked, 1);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_form_that_no_host_can_show_is_declined_and_told() {
    let mut nested = form();
    nested["requestedSchema"]["required"] = json!(["deep"]);
    for (house, place) in servers("elicitation/create", &nested) {
        let mut process = host(&house, json!({ "elicitation": {} }));
        let result = called(&mut process, 2, "echo", json!({ "text": "a" }));
        let heard = result["structuredContent"].pointer(place);
        assert_eq!(heard, Some(&json!({ "action": "decline" })), "{result}");
        assert!(text(&result).contains("deep"), "{result}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_page_is_opened_by_hosts_that_open_pages() {
    for (house, place) in servers("elicitation/create", &page()) {
        let mut process = host(&house, json!({ "elicitation": { "form": {}, "url": {} } }));
        let params = json!({ "name": "echo", "arguments": { "text": "a" } });
        let answer = process.request_answering(2, "tools/call", &params, |request| {
            let params = &request["params"];
            assert_eq!((&params["mode"], &params["url"]), (&json!("url"), &page()["url"]));
            assert!(params["message"].as_str().unwrap().contains("backend \"notes\" asks"));
            json!({ "action": "accept" })
        });
        let heard = answer["result"]["structuredContent"].pointer(place);
        assert_eq!(heard, Some(&json!({ "action": "accept" })), "{answer}");
        assert_eq!(process.end(), Some(0));
        let mut process = host(&house, json!({ "elicitation": {} }));
        let result = called(&mut process, 2, "echo", json!({ "text": "a" }));
        assert!(text(&result).contains("opens no pages"), "{result}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_host_hears_that_a_page_is_done_with_by_the_id_that_it_knows() {
    let done = |id: &str| {
        let params = json!({ "elicitationId": id });
        json!({ "notify": { "method": "notifications/elicitation/complete", "params": params } })
    };
    for protocol in ["2025-11-25", NEWEST] {
        let mut script = match protocol {
            NEWEST => newer("elicitation/create", &page()),
            _ => older("elicitation/create", &page()),
        };
        // Nobody was asked to open another one, and one is done with once.
        script["on"]["tools/call add"] =
            json!([done("e9"), done("e1"), done("e1"), { "answer": true }]);
        let mut settings = levels();
        settings["protocol"] = protocol.into();
        let house = House::new().server("notes", &script, settings);
        let mut process = host(&house, json!({ "elicitation": { "url": {} } }));
        let params = json!({ "name": "echo", "arguments": { "text": "a" } });
        let mut known = Value::Null;
        process.request_answering(2, "tools/call", &params, |request| {
            known = request["params"]["elicitationId"].clone();
            json!({ "action": "accept" })
        });
        assert!(known.is_string() && known != "e1", "{known}");
        let params = json!({ "name": "add", "arguments": { "a": 1, "b": 2 } });
        let (mut told, _) = process.request_with_notifications(3, "tools/call", &params);
        if told.is_empty() {
            told.push(process.notification());
        }
        assert_eq!(told[0]["method"], "notifications/elicitation/complete");
        assert_eq!(told[0]["params"], json!({ "elicitationId": known }));
        let (more, _) = process.request_with_notifications(4, "ping", &json!({}));
        assert_eq!(told.len() + more.len(), 1, "{more:?}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_page_that_a_call_needs_is_opened_before_it_is_made_again() {
    let error = json!({
        "code": -32042, "message": "log in first", "data": { "elicitations": [page()] },
    });
    let done = json!({ "content": [{ "type": "text", "text": "welcome" }] });
    let script = json!({ "on": { "tools/call echo": { "rounds": [
        [{ "error": error }], [{ "result": done }],
    ] } } });
    let house = House::new().server("notes", &script, levels());
    let params = json!({ "name": "echo", "arguments": { "text": "a" } });
    for (action, expected) in [("accept", "welcome"), ("decline", "page to be opened first")] {
        let mut process = host(&house, json!({ "elicitation": { "url": {} } }));
        let answer = process.request_answering(2, "tools/call", &params, |request| {
            assert_eq!(request["params"]["url"], page()["url"]);
            json!({ "action": action })
        });
        assert!(text(&answer["result"]).contains(expected), "{answer}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn an_answer_to_a_server_is_no_consent() {
    let mut script = older("elicitation/create", &form());
    script["on"]["tools/call forget"] =
        json!([{ "result": { "content": [{ "type": "text", "text": "all is forgotten" }] } }]);
    let settings = json!({
        "levels": { "echo": "read", "forget": "dangerous" }, "access": ["read", "dangerous"],
    });
    let house = House::new().server("notes", &script, settings);
    let mut process = house.start();
    let capabilities = json!({ "elicitation": {} });
    let first = process.request(1, "tools/call", &call(&capabilities, json!({})));
    let state = first["result"]["requestState"].clone();
    assert!(state.is_string(), "{first}");
    for (id, key) in [(2, "question"), (3, "confirm")] {
        let mut again = call(&capabilities, json!({ "requestState": state, "name": "forget" }));
        again["arguments"] = json!({});
        again["inputResponses"] = json!({ key: { "action": "accept", "content": {} } });
        let answer = process.request(id, "tools/call", &again);
        assert!(!answer.to_string().contains("all is forgotten"), "{answer}");
    }
    // Nor is a consent an answer.
    let mut asked = call(&capabilities, json!({ "name": "forget" }));
    asked["arguments"] = json!({});
    let asked = process.request(4, "tools/call", &asked);
    let state = &asked["result"]["requestState"];
    assert!(asked["result"]["inputRequests"]["confirm"].is_object(), "{asked}");
    let again = json!({ "requestState": state, "inputResponses": { "question": accepted() } });
    let answer = process.request(5, "tools/call", &call(&capabilities, again));
    assert!(answer["result"]["structuredContent"].is_null(), "{answer}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn roots_are_those_that_the_operator_names() {
    for (house, _) in servers("roots/list", &json!({})) {
        let run = house.run(&["call", "echo", "text=a"]);
        assert!(!run.out.contains("file://"), "{}", run.out);
    }
    for protocol in ["2025-11-25", NEWEST] {
        let script = match protocol {
            NEWEST => newer("roots/list", &json!({})),
            _ => older("roots/list", &json!({})),
        };
        let mut settings = levels();
        settings["protocol"] = protocol.into();
        settings["roots"] = json!(["some folder"]);
        let house = House::new().server("notes", &script, settings);
        let run = house.run(&["call", "echo", "text=a"]);
        let heard = run.json().to_string();
        let folder = house.home.path().join("some folder");
        let uri = format!("file://{}", folder.display()).replace(' ', "%20");
        assert!(heard.contains(&uri), "{heard}");
    }
}

#[test]
fn the_model_of_a_host_is_lent_where_the_operator_allows_it() {
    let params = json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": "Hello?" } }],
        "maxTokens": 10,
    });
    let result = json!({
        "role": "assistant", "content": { "type": "text", "text": "Hello!" },
        "model": "small", "stopReason": "endTurn",
    });
    for protocol in ["2025-11-25", NEWEST] {
        let script = match protocol {
            NEWEST => newer("sampling/createMessage", &params),
            _ => older("sampling/createMessage", &params),
        };
        let mut settings = levels();
        settings["protocol"] = protocol.into();
        let house = House::new().server("notes", &script, settings.clone());
        let mut process = host(&house, json!({ "sampling": {} }));
        let refused = called(&mut process, 2, "echo", json!({ "text": "a" })).to_string();
        assert!(refused.contains("`sampling`") && !refused.contains("Hello!"), "{refused}");
        assert_eq!(process.end(), Some(0));
        settings["sampling"] = true.into();
        let house = House::new().server("notes", &script, settings);
        let mut process = host(&house, json!({ "sampling": {} }));
        let call = json!({ "name": "echo", "arguments": { "text": "a" } });
        let answer = process.request_answering(2, "tools/call", &call, |request| {
            assert_eq!(request["method"], "sampling/createMessage");
            assert_eq!(request["params"]["messages"], params["messages"]);
            result.clone()
        });
        let heard = answer["result"]["structuredContent"].to_string();
        assert!(heard.contains("Hello!"), "{answer}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_task_that_needs_something_gets_it() {
    let task = |status: &str, more: Value| {
        let mut task = json!({
            "taskId": "t1", "status": status, "createdAt": "2026-11-30T00:00:00Z",
            "lastUpdatedAt": "2026-11-30T00:00:00Z", "ttlMs": null, "pollIntervalMs": 50,
            "resultType": "complete",
        });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{ "result": task }])
    };
    let asked = json!({ "who": { "method": "elicitation/create", "params": form() } });
    let done = json!({ "content": [], "structuredContent": { "done": true } });
    let script = json!({ "on": {
        "tools/call echo": task("working", json!({ "resultType": "task" })),
        "tasks/get": { "rounds": [
            task("input_required", json!({ "inputRequests": asked })),
            task("input_required", json!({ "inputRequests": asked })),
            task("completed", json!({ "result": done })),
        ] },
        "tasks/update": [{ "result": { "resultType": "complete" } }],
    } });
    let mut settings = levels();
    settings["protocol"] = NEWEST.into();
    let house = House::new().server("notes", &script, settings);
    let mut process = host(&house, json!({ "elicitation": {} }));
    let params = json!({ "name": "echo", "arguments": { "text": "a" } });
    let mut asked = 0;
    let answer = process.request_answering(2, "tools/call", &params, |_| {
        asked += 1;
        accepted()
    });
    assert_eq!(asked, 1, "one that has not taken its answer yet asks nobody twice");
    assert_eq!(answer["result"]["structuredContent"]["done"], true, "{answer}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn messages_of_a_server_go_into_the_log_as_the_operator_asks() {
    let told = json!({ "notify": { "method": "notifications/message", "params": {
        "level": "warning", "data": "half\nway\u{1b}[2J",
    } } });
    let asked = json!({ "notify": { "method": "notifications/message", "params": {
        "level": "info", "data": "$params",
    } } });
    let script = json!({ "on": {
        "logging/setLevel": [asked, { "answer": true }], "tools/call echo": [told, { "answer": true }],
    } });
    let mut settings = levels();
    let logged = |settings: &Value| {
        let house = House::new().server("notes", &script, settings.clone());
        let run = house.with("DADL_MCP_LOG", "server=info").run(&["call", "echo", "text=a"]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        run.err
    };
    let log = logged(&settings);
    assert!(log.contains("half way") && log.contains("notes"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log:?}");
    assert!(!log.contains("\"level\""), "nobody asked: {log}");
    settings["log_level"] = "debug".into();
    let log = logged(&settings);
    assert!(log.contains("\"level\":\"debug\""), "{log}");
    // The newest revision says it with each request.
    let heard = json!({ "content": [], "structuredContent": { "heard": "$params" } });
    let script = json!({ "on": { "tools/call echo": [{ "result": heard }] } });
    settings["protocol"] = NEWEST.into();
    let house = House::new().server("notes", &script, settings);
    let heard = house.run(&["call", "echo", "text=a"]).json();
    assert_eq!(heard["heard"]["_meta"]["io.modelcontextprotocol/logLevel"], "debug", "{heard}");
}
