//! Tasks of other MCP servers, which go on after the call that began them: the built-in tools, the tasks of
//! the protocol and the command line, with servers of both eras.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    process::Process,
    servers::{House, called, text},
};

const NEWEST: &str = "2026-07-28";
const HANDLE: &str = "notes:slow:t1";

/// A kind of server.
#[derive(Clone, Copy, PartialEq)]
enum Era {
    /// 2025-11-25
    Older,
    /// 2026-07-28
    Newer,
}

const ERAS: [Era; 2] = [Era::Older, Era::Newer];

impl Era {
    /// A state of the task; who looks at it looks again at once.
    fn state(self, status: &str, more: Value) -> Value {
        let mut state = json!({
            "taskId": "t1", "status": status, "createdAt": "2026-11-30T00:00:00Z",
            "lastUpdatedAt": "2026-11-30T00:00:00Z",
        });
        let members = state.as_object_mut().unwrap();
        match self {
            Self::Older => {
                members.insert("ttl".to_owned(), Value::Null);
                members.insert("pollInterval".to_owned(), 50.into());
            }
            Self::Newer => {
                members.insert("ttlMs".to_owned(), Value::Null);
                members.insert("pollIntervalMs".to_owned(), 50.into());
                members.insert("resultType".to_owned(), "complete".into());
            }
        }
        members.extend(more.as_object().unwrap().clone());
        json!([{ "result": state }])
    }

    /// The answer to the call: nobody looks at the task before the call has waited for long enough.
    fn begun(self) -> Value {
        let late = json!({ "pollInterval": 60_000, "pollIntervalMs": 60_000 });
        let mut begun = self.state("working", late);
        match self {
            Self::Older => json!([{ "result": { "task": begun[0]["result"] } }]),
            Self::Newer => {
                begun[0]["result"]["resultType"] = "task".into();
                begun
            }
        }
    }

    /// A state of a task that has ended well.
    fn completed(self) -> Value {
        match self {
            Self::Older => self.state("completed", json!({})),
            Self::Newer => self.state("completed", json!({ "result": at_last() })),
        }
    }

    /// A server whose `slow` goes on as a task, which is so each time that somebody looks.
    fn script(self, looks: &[Value], more: Value) -> Value {
        let support = if self == Self::Older { "required" } else { "optional" };
        let tools = json!([
            { "name": "slow", "inputSchema": { "type": "object" }, "execution": { "taskSupport": support } },
            { "name": "seen", "inputSchema": { "type": "object" } },
        ]);
        let mut listed = json!([{ "result": { "tools": tools } }]);
        let mut capabilities = json!({ "tools": {} });
        if self == Self::Newer {
            let members = listed[0]["result"].as_object_mut().unwrap();
            let more = json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private" });
            members.extend(more.as_object().unwrap().clone());
            capabilities["extensions"] = json!({ "io.modelcontextprotocol/tasks": {} });
        }
        let seen = json!({ "content": [], "structuredContent": { "seen": "$seen" } });
        let mut on = json!({
            "tools/list": listed, "tools/call slow": self.begun(), "tasks/get": { "rounds": looks },
            "tasks/result": [{ "result": at_last() }], "tools/call seen": [{ "result": seen }],
        });
        on.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "on": on, "capabilities": capabilities })
    }

    fn settings(self) -> Value {
        let protocol = if self == Self::Older { "2025-11-25" } else { NEWEST };
        json!({
            "protocol": protocol, "levels": { "*": "read" },
            "options": { "task_wait": "50ms", "task_after": "0s" },
        })
    }

    fn house(self, looks: &[Value], more: Value) -> House {
        House::new().server("notes", &self.script(looks, more), self.settings())
    }
}

fn at_last() -> Value {
    json!({ "content": [{ "type": "text", "text": "at last" }] })
}

fn wait(process: &mut Process, id: u32, seconds: Option<u64>) -> Value {
    let mut arguments = json!({ "task": HANDLE });
    if let Some(seconds) = seconds {
        arguments["wait"] = seconds.into();
    }
    called(process, id, "task_wait", arguments)
}

/// The one task that `task_list` has.
fn listed(process: &mut Process, id: u32) -> Value {
    called(process, id, "task_list", json!({}))["structuredContent"]["tasks"][0].take()
}

/// The methods of all that a server was asked.
fn seen(process: &mut Process, id: u32) -> String {
    called(process, id, "seen", json!({}))["structuredContent"]["seen"].to_string()
}

/// What a host of the newest revision sends with each request.
fn meta(mut params: Value, capabilities: &Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    params
}

/// What a host can do that knows tasks, and more.
fn knows_tasks(more: Value) -> Value {
    let mut capabilities = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    capabilities.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    capabilities
}

/// A host of an older revision that can do this.
fn older_host(house: &House, capabilities: Value) -> Process {
    let mut process = house.start();
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": capabilities,
        "clientInfo": { "name": "test", "version": "1" },
    });
    process.request(1, "initialize", &params);
    process.write(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    process
}

fn form() -> Value {
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    json!({ "message": "What is your name?", "requestedSchema": schema })
}

fn accepted() -> Value {
    json!({ "action": "accept", "content": { "name": "Ada" } })
}

/// A server whose task needs something: looks, and steps for other requests.
fn asking(era: Era) -> (Vec<Value>, Value) {
    let heard = json!({ "content": [], "structuredContent": { "heard": "$answer" } });
    let related = json!({ "io.modelcontextprotocol/related-task": { "taskId": "t1" } });
    let mut params = form();
    params["_meta"] = related;
    match era {
        Era::Older => {
            let ask = json!([
                { "ask": { "method": "elicitation/create", "params": params } }, { "result": heard },
            ]);
            (vec![era.state("input_required", json!({}))], json!({ "tasks/result": ask }))
        }
        Era::Newer => {
            let needed = json!({ "who": { "method": "elicitation/create", "params": form() } });
            let waits = era.state("input_required", json!({ "inputRequests": needed }));
            let updated = json!([{ "result": { "resultType": "complete" } }]);
            (
                vec![waits.clone(), waits.clone(), waits, era.completed()],
                json!({ "tasks/update": updated }),
            )
        }
    }
}

#[test]
fn a_task_outlives_its_call_and_is_waited_for_later() {
    for era in ERAS {
        let half = era.state("working", json!({ "statusMessage": "half\nway" }));
        let house = era.house(&[half.clone(), half, era.completed()], json!({}));
        let mut process = house.serve();
        let begun = called(&mut process, 2, "slow", json!({}));
        let task = &begun["structuredContent"]["task"];
        assert_eq!((&task["handle"], &task["running"]), (&json!(HANDLE), &json!(true)), "{begun}");
        let advice = format!("the task goes on: call task_wait with {{\"task\":\"{HANDLE}\"}}");
        assert!(text(&begun).starts_with(&advice), "{begun}");
        assert_eq!(listed(&mut process, 3)["task"], HANDLE);
        let looked = wait(&mut process, 4, Some(0));
        let task = &looked["structuredContent"]["task"];
        assert_eq!((&task["state"], &task["message"]), (&json!("working"), &json!("half way")));
        let params = json!({
            "name": "task_wait", "arguments": { "task": HANDLE, "wait": 60 },
            "_meta": { "progressToken": "mine" },
        });
        let (told, answer) = process.request_with_notifications(5, "tools/call", &params);
        assert_eq!(text(&answer["result"]), "at last", "{answer}");
        let told: Vec<String> = told.iter().map(Value::to_string).collect();
        let expected = format!("task {HANDLE}: half way: working");
        assert!(told.iter().any(|it| it.contains(&expected)), "{told:?}");
        let ended = listed(&mut process, 6);
        assert_eq!((&ended["running"], &ended["state"]), (&json!(false), &json!("completed")));
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_call_that_is_cancelled_leaves_its_task() {
    for era in ERAS {
        let mut settings = era.settings();
        settings["options"] = json!({});
        let script = era.script(&[era.completed()], json!({}));
        let house = House::new().server("notes", &script, settings);
        let mut process = house.serve();
        let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "slow", "arguments": {}, "_meta": { "progressToken": "mine" },
        } });
        process.write(format!("{call}\n").as_bytes());
        // Whoever gives it up has heard the handle.
        let told = process.line();
        let message = told["params"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("task {HANDLE}: working")), "{told}");
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": 2 } });
        process.write(format!("{cancel}\n").as_bytes());
        assert_eq!(listed(&mut process, 3)["running"], true);
        let ended = wait(&mut process, 4, None);
        assert_eq!(text(&ended), "at last", "{ended}");
        assert!(!seen(&mut process, 5).contains("tasks/cancel"));
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_task_is_asked_to_stop() {
    for era in ERAS {
        let taken = era.state("cancelled", json!({}));
        let looks = [era.state("working", json!({})), era.state("cancelled", json!({}))];
        let house = era.house(&looks, json!({ "tasks/cancel": taken }));
        let mut process = house.serve();
        called(&mut process, 2, "slow", json!({}));
        let stopped = called(&mut process, 3, "task_cancel", json!({ "task": HANDLE }));
        assert_ne!(stopped["isError"], true, "{stopped}");
        assert!(stopped.to_string().contains("the task was cancelled"), "{stopped}");
        assert!(seen(&mut process, 4).contains("tasks/cancel"));
        let after = wait(&mut process, 5, None);
        assert_eq!(after["isError"], true, "{after}");
        assert!(text(&after).contains("was cancelled"), "{after}");
        assert_eq!(process.end(), Some(0));
        // One that has ended cannot be stopped, and says how it ended.
        let refused = json!([{ "error": { "code": -32602, "message": "it has ended" } }]);
        let house = era.house(&[era.completed()], json!({ "tasks/cancel": refused }));
        let mut process = house.serve();
        called(&mut process, 2, "slow", json!({}));
        let stopped = called(&mut process, 3, "task_cancel", json!({ "task": HANDLE }));
        assert!(stopped.to_string().contains("ended with success"), "{stopped}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_host_that_knows_tasks_gets_one() {
    for era in ERAS {
        let half = era.state("working", json!({ "statusMessage": "half way" }));
        let taken = era.state("cancelled", json!({}));
        let house = era.house(&[half, era.completed()], json!({ "tasks/cancel": taken }));
        let mut process = house.start();
        let capabilities = knows_tasks(json!({}));
        let call = meta(json!({ "name": "slow", "arguments": {} }), &capabilities);
        let begun = process.request(1, "tools/call", &call)["result"].take();
        assert_eq!((&begun["resultType"], &begun["status"]), (&json!("task"), &json!("working")));
        let id = begun["taskId"].as_str().unwrap();
        assert!(id.ends_with(HANDLE), "{begun}");
        let get = meta(json!({ "taskId": id }), &capabilities);
        let looked = process.request(2, "tasks/get", &get)["result"].take();
        assert_eq!(looked["status"], "working", "{looked}");
        assert_eq!(looked["statusMessage"], "half way: working", "{looked}");
        let stopped = process.request(3, "tasks/cancel", &get);
        assert_eq!(stopped["result"]["resultType"], "complete", "{stopped}");
        let ended = process.request(4, "tasks/get", &get)["result"].take();
        assert_eq!(ended["status"], "completed", "{ended}");
        assert_eq!(ended["result"]["content"][0]["text"], "at last", "{ended}");
        let call = meta(json!({ "name": "seen", "arguments": {} }), &capabilities);
        let seen = process.request(5, "tools/call", &call).to_string();
        assert!(seen.contains("tasks/cancel"), "{seen}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_task_that_fails_says_why() {
    for era in ERAS {
        let (failed, more) = match era {
            Era::Older => {
                let words = json!({ "content": [{ "type": "text", "text": "out of ink" }], "isError": true });
                (era.state("failed", json!({})), json!({ "tasks/result": [{ "result": words }] }))
            }
            Era::Newer => {
                let error = json!({ "code": -32000, "message": "out of\nink" });
                (era.state("failed", json!({ "error": error })), json!({}))
            }
        };
        let house = era.house(&[failed], more);
        let mut process = house.serve();
        called(&mut process, 2, "slow", json!({}));
        let ended = wait(&mut process, 3, None);
        assert_eq!(ended["isError"], true, "{ended}");
        assert!(text(&ended).contains("out of ink"), "{ended}");
        assert_eq!(listed(&mut process, 4)["running"], false);
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_task_that_the_server_does_not_know_is_told() {
    for era in ERAS {
        let unknown = json!([{ "error": { "code": -32602, "message": "no such task" } }]);
        let house = era.house(&[unknown], json!({}));
        let mut process = house.serve();
        called(&mut process, 2, "slow", json!({}));
        let gone = wait(&mut process, 3, None);
        assert_eq!(gone["isError"], true, "{gone}");
        let told = text(&gone);
        assert!(told.contains("does not know the task notes:slow:t1"), "{told}");
        assert!(told.contains("no such task") && told.contains("started again"), "{told}");
        let known = listed(&mut process, 4);
        assert_eq!(known.get("running"), None, "nobody can tell: {known}");
        // So is it to a host that has it as a task of the protocol.
        let get = meta(json!({ "taskId": format!("1/{HANDLE}") }), &knows_tasks(json!({})));
        assert_eq!(process.end(), Some(0));
        let mut process = house.start();
        let answer = process.request(1, "tasks/get", &get);
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert_eq!(process.end(), Some(0));
    }
}

#[cfg(unix)]
#[test]
fn a_server_that_dies_while_it_is_looked_at_is_asked_again_and_its_word_is_told() {
    for era in ERAS {
        let house = House::new();
        let unknown = json!([{ "error": { "code": -32602, "message": "no such task" } }]);
        let path = |name: &str| house.home.path().join(name).to_str().unwrap().to_owned();
        let (first, second, mark) = (path("first.json"), path("second.json"), path("mark"));
        let dies = era.script(&[json!([{ "exit": 3 }])], json!({}));
        std::fs::write(&first, dies.to_string()).unwrap();
        std::fs::write(&second, era.script(&[unknown], json!({})).to_string()).unwrap();
        let program = env!("CARGO_BIN_EXE_dadl-mcp");
        let script = format!(
            "if [ -e '{mark}' ]; then exec '{program}' simulate mcp --script '{second}'; \
             else : > '{mark}'; exec '{program}' simulate mcp --script '{first}'; fi"
        );
        let mut backend = json!({
            "name": "notes", "transport": "stdio", "command": "/bin/sh", "args": ["-c", script],
        });
        let settings = era.settings();
        backend.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let house = house.backend(backend);
        let mut process = house.serve();
        let begun = called(&mut process, 2, "slow", json!({}));
        assert!(begun.to_string().contains(HANDLE), "{begun}");
        let gone = wait(&mut process, 3, Some(60));
        assert_eq!(gone["isError"], true, "{gone}");
        assert!(text(&gone).contains("does not know the task"), "{gone}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_task_that_needs_a_person_asks_where_it_is_waited_for() {
    for era in ERAS {
        let (looks, more) = asking(era);
        let house = era.house(&looks, more);
        let mut process = older_host(&house, json!({ "elicitation": {} }));
        called(&mut process, 2, "slow", json!({}));
        let params = json!({ "name": "task_wait", "arguments": { "task": HANDLE, "wait": 60 } });
        let mut asked = 0;
        let answer = process.request_answering(3, "tools/call", &params, |request| {
            let message = request["params"]["message"].as_str().unwrap();
            assert!(message.contains("backend \"notes\" asks"), "{message}");
            asked += 1;
            accepted()
        });
        assert_eq!(asked, 1, "{answer}");
        let result = &answer["result"];
        assert_ne!(result["isError"], true, "{answer}");
        match era {
            Era::Older => {
                let heard = &result["structuredContent"]["heard"]["result"];
                assert_eq!(heard, &accepted(), "{answer}");
            }
            Era::Newer => assert_eq!(text(result), "at last", "{answer}"),
        }
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_newer_host_puts_the_question_of_a_task_and_waits_again() {
    for era in ERAS {
        let (looks, more) = asking(era);
        let house = era.house(&looks, more);
        let mut process = house.start();
        let capabilities = json!({ "elicitation": { "form": {} } });
        let call = meta(json!({ "name": "slow", "arguments": {} }), &capabilities);
        process.request(1, "tools/call", &call);
        let arguments = json!({ "task": HANDLE, "wait": 60 });
        let mut waiting =
            meta(json!({ "name": "task_wait", "arguments": arguments }), &capabilities);
        let asked = process.request(2, "tools/call", &waiting)["result"].take();
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        assert_eq!(asked["inputRequests"]["question"]["method"], "elicitation/create");
        waiting["requestState"] = asked["requestState"].clone();
        waiting["inputResponses"] = json!({ "question": accepted() });
        let done = process.request(3, "tools/call", &waiting)["result"].take();
        assert_ne!(done["isError"], true, "{done}");
        assert!(
            done.to_string().contains(if era == Era::Older { "Ada" } else { "at last" }),
            "{done}"
        );
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_host_that_knows_tasks_answers_what_a_task_needs() {
    let era = Era::Newer;
    let (looks, more) = asking(era);
    let house = era.house(&looks, more);
    let mut process = house.start();
    let capabilities = knows_tasks(json!({ "elicitation": { "form": {} } }));
    let call = meta(json!({ "name": "slow", "arguments": {} }), &capabilities);
    let begun = process.request(1, "tools/call", &call)["result"].take();
    let get = meta(json!({ "taskId": begun["taskId"] }), &capabilities);
    let looked = process.request(2, "tasks/get", &get)["result"].take();
    assert_eq!(looked["status"], "input_required", "{looked}");
    let asked = &looked["inputRequests"]["who"];
    assert_eq!(asked["method"], "elicitation/create", "{looked}");
    assert!(asked["params"]["message"].as_str().unwrap().contains("backend \"notes\" asks"));
    let mut update = get.clone();
    update["inputResponses"] = json!({ "who": accepted() });
    let taken = process.request(3, "tasks/update", &update);
    assert_eq!(taken["result"]["resultType"], "complete", "{taken}");
    let ended = process.request(4, "tasks/get", &get)["result"].take();
    assert_eq!(ended["status"], "completed", "{ended}");
    let call = meta(json!({ "name": "seen", "arguments": {} }), &capabilities);
    assert!(process.request(5, "tools/call", &call).to_string().contains("tasks/update"));
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_task_that_needs_a_person_where_nobody_is_gets_a_no_and_it_is_told() {
    for era in ERAS {
        let (looks, more) = asking(era);
        let house = era.house(&looks, more);
        let mut process = house.serve();
        called(&mut process, 2, "slow", json!({}));
        let done = wait(&mut process, 3, Some(60));
        assert!(done.to_string().contains("it was declined"), "{done}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_handle_gives_no_right() {
    let era = Era::Older;
    let mut settings = era.settings();
    settings["levels"] = json!({ "slow": "dangerous", "{seen,other}": "read" });
    let house = House::new().server("notes", &era.script(&[era.completed()], json!({})), settings);
    // The tools for tasks are not there where nothing begins one.
    let mut process = house.serve();
    let listed = process.request(2, "tools/list", &json!({})).to_string();
    assert!(!listed.contains("task_wait"), "{listed}");
    let answer = process.request(
        3,
        "tools/call",
        &json!({ "name": "task_wait",
        "arguments": { "task": HANDLE } }),
    );
    assert!(!answer.to_string().contains("at last"), "{answer}");
    assert_eq!(process.end(), Some(0));
    for (handle, why) in
        [(HANDLE, "not allowed"), ("notes:none:t1", "no tool"), ("other:slow:t1", "no backend")]
    {
        let run = house.run(&["task", handle]);
        assert!(run.failure().contains(why), "{}", run.err);
    }
}

#[test]
fn another_process_goes_on_with_a_task_that_the_server_still_knows() {
    for era in ERAS {
        let house = era.house(&[era.completed()], json!({}));
        let run = house.run(&["task", HANDLE]);
        assert_eq!((run.code, run.out.trim()), (Some(0), "at last"), "{}", run.err);
        let failing = json!({ "tasks/cancel": era.state("cancelled", json!({})) });
        let house = era.house(&[era.state("cancelled", json!({}))], failing);
        let run = house.run(&["task", HANDLE, "--cancel"]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        assert!(run.err.contains("the task was cancelled"), "{}", run.err);
    }
}

/// A server by script at a URL; it ends with this.
struct Simulated {
    child: Child,
    /// What it says goes on.
    _output: BufReader<ChildStdout>,
    url: String,
}

impl Simulated {
    fn start(house: &House, script: &Value) -> Self {
        let path = house.home.path().join("script.json");
        std::fs::write(&path, script.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.args(["simulate", "mcp", "--script"]).arg(path).arg("--http");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/mcp"), "{line}");
        Self { child, _output: output, url }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_task_of_a_server_at_a_url_outlives_the_program() {
    for era in ERAS {
        let house = House::new();
        let script = era.script(&[era.completed()], json!({}));
        let site = Simulated::start(&house, &script);
        let mut backend = json!({ "name": "notes", "transport": "http", "url": site.url });
        backend.as_object_mut().unwrap().extend(era.settings().as_object().unwrap().clone());
        let house = house.backend(backend);
        let mut process = house.serve();
        let begun = called(&mut process, 2, "slow", json!({}));
        assert!(begun.to_string().contains(HANDLE), "{begun}");
        assert!(seen(&mut process, 3).contains("tools/call"));
        assert_eq!(process.end(), Some(0));
        let run = house.run(&["task", HANDLE]);
        assert_eq!((run.code, run.out.trim()), (Some(0), "at last"), "{}", run.err);
    }
}

#[test]
fn a_simulated_server_at_a_url_asks_and_ends_as_its_script_says() {
    let era = Era::Older;
    let house = House::new();
    let heard = json!({ "content": [], "structuredContent": { "heard": "$answer" } });
    let script = era.script(&[], json!({
        "tools/call slow": [{ "exit": 7 }],
        "tools/call seen": [
            { "ask": { "method": "elicitation/create", "params": form() } }, { "result": heard },
        ],
    }));
    let mut site = Simulated::start(&house, &script);
    let mut backend = json!({ "name": "notes", "transport": "http", "url": site.url });
    backend.as_object_mut().unwrap().extend(era.settings().as_object().unwrap().clone());
    let house = house.backend(backend);
    let mut process = older_host(&house, json!({ "elicitation": {} }));
    let params = json!({ "name": "seen", "arguments": {} });
    let answer = process.request_answering(2, "tools/call", &params, |_| accepted());
    assert!(answer["result"]["structuredContent"].to_string().contains("Ada"), "{answer}");
    let broken = called(&mut process, 3, "slow", json!({}));
    assert_eq!(broken["isError"], true, "{broken}");
    assert_eq!(site.child.wait().unwrap().code(), Some(7));
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_name_that_no_handle_could_have_is_written_so_that_it_can() {
    let era = Era::Newer;
    let odd = json!({ "taskId": "50% of\n\"it\"" });
    let begun = {
        let mut begun = era.begun();
        begun[0]["result"].as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
        begun
    };
    let heard = json!({ "content": [], "structuredContent": { "of": "$params" } });
    let ended = era.state("completed", json!({ "result": heard }));
    let house = era.house(&[ended], json!({ "tools/call slow": begun }));
    let mut process = house.serve();
    let begun = called(&mut process, 2, "slow", json!({}));
    let handle = begun["structuredContent"]["task"]["handle"].as_str().unwrap();
    assert_eq!(handle, "notes:slow:50%25%20of%0A\"it\"", "{begun}");
    let done = called(&mut process, 3, "task_wait", json!({ "task": handle }));
    assert_eq!(done["structuredContent"]["of"]["taskId"], odd["taskId"], "{done}");
    assert_eq!(process.end(), Some(0));
}
