//! Other MCP servers as a client sees them: real processes, honest ones and those that a script breaks.

use std::{process::Command, sync::Mutex, time::Duration};

use dadl_mcp::{
    config::env_vars::Environment,
    mcp_client::{
        INHERITED, LinkPlace, LinkSettings, LinkState, ProcessSettings, ServerEra, ServerError,
        ServerFault, ServerLink, ToolAnswer,
    },
    secrets::Secrets,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dadl-mcp");

/// Longer than anything here takes.
const TIME: Duration = Duration::from_secs(120);

/// A server that does what a script says.
pub(crate) struct Scripted {
    pub(crate) folder: TempDir,
    pub(crate) link: ServerLink,
}

impl Scripted {
    pub(crate) fn new(script: &Value) -> Self {
        Self::with(script, |_| {})
    }

    pub(crate) fn with(script: &Value, change: impl FnOnce(&mut LinkSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.json");
        std::fs::write(&path, script.to_string()).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let mut settings = settings(PROGRAM, ["simulate", "mcp", "--script", &path]);
        change(&mut settings);
        Self { folder, link: ServerLink::new(settings, Secrets::default()) }
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ServerError> {
        self.raw(tool, arguments).await.map(|text| serde_json::from_str(&text).unwrap())
    }

    async fn raw(&self, tool: &str, arguments: Value) -> Result<String, ServerError> {
        let Value::Object(arguments) = arguments else { panic!("no arguments") };
        match self.link.call(tool, arguments, TIME, &|_| {}).await? {
            ToolAnswer::Done(result) => Ok(result.as_str().to_owned()),
            other => panic!("{other:?}"),
        }
    }

    /// Calls the tool that every simulated server has.
    async fn works(&self) {
        let result = self.call("echo", json!({ "text": "still here" })).await.unwrap();
        assert_eq!(result["content"][0]["text"], "still here");
    }
}

pub(crate) fn settings<'a>(
    command: &str,
    arguments: impl IntoIterator<Item = &'a str>,
) -> LinkSettings {
    LinkSettings {
        backend: "other".to_owned(),
        place: LinkPlace::Process(ProcessSettings {
            command: command.to_owned(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            variables: Vec::new(),
            environment: Environment::of_process(),
            directory: None,
            supervisor: Some(PROGRAM.into()),
        }),
        limits: Default::default(),
        first_era: ServerEra::default(),
        offer: Default::default(),
    }
}

fn process(settings: &mut LinkSettings) -> &mut ProcessSettings {
    match &mut settings.place {
        LinkPlace::Process(process) => process,
        LinkPlace::Http(http) => panic!("{http:?}"),
    }
}

fn shell(script: &str) -> LinkSettings {
    settings("sh", ["-c", script])
}

fn fault(error: Result<impl Sized, ServerError>) -> ServerFault {
    let error = error.err().unwrap();
    assert_eq!(error.backend, "other");
    error.fault
}

/// Steps that answer with the text of a tool.
fn says(text: &str) -> Value {
    json!([{ "result": { "content": [{ "type": "text", "text": text }] } }])
}

#[tokio::test]
async fn an_honest_server_is_listed_and_called_in_both_eras() {
    for (era, revision) in
        [(ServerEra::Initialize, "2025-11-25"), (ServerEra::Discover, "2026-07-28")]
    {
        let server = Scripted::with(&json!({}), |settings| settings.first_era = era);
        assert_eq!(server.link.state(), LinkState::Idle);
        let list = server.link.list(TIME).await.unwrap();
        assert_eq!((list.era, list.revision.as_str()), (era, revision));
        let names: Vec<_> = list.tools.iter().map(|tool| &tool["name"]).collect();
        assert_eq!(names, ["echo", "add", "picture", "forget"]);
        assert_eq!(list.resources[0]["uri"], "note://welcome");
        assert_eq!(list.templates[0]["uriTemplate"], "note://{name}");
        assert_eq!(list.prompts[0]["name"], "greet");
        assert_eq!(list.server["name"], "simulated");
        assert_eq!(list.instructions.as_deref(), Some("Greets and adds."));
        assert_eq!(list.capabilities["tools"]["listChanged"], true);
        assert_eq!(list.remarks, [""; 0]);
        let sum = server.call("add", json!({ "a": 1, "b": 2 })).await.unwrap();
        assert_eq!(sum["structuredContent"]["sum"], 3.0);
        let failed = server.call("forget", json!({})).await.unwrap();
        assert_eq!(failed["isError"], true);
        server.link.ping(TIME).await.unwrap();
        let up = LinkState::Up { era, revision: revision.to_owned() };
        assert_eq!(server.link.state(), up);
        server.link.end().await;
        assert_eq!(fault(server.link.ping(TIME).await), ServerFault::Stopped);
    }
}

#[tokio::test]
async fn a_server_of_one_era_is_introduced_to_in_that() {
    // It says that it does not know the method.
    let refusing =
        json!({ "on": { "initialize": [{ "error": { "code": -32601, "message": "no" } }] } });
    let list = Scripted::new(&refusing).link.list(TIME).await.unwrap();
    assert_eq!(list.era, ServerEra::Discover);
    // It ends when it does not know its first message.
    let ending = json!({ "on": { "server/discover": [{ "exit": 1 }] } });
    let server = Scripted::with(&ending, |settings| settings.first_era = ServerEra::Discover);
    assert_eq!(server.link.list(TIME).await.unwrap().era, ServerEra::Initialize);
    // Older revisions are spoken as they are.
    let old = json!({ "on": { "initialize": [{ "result": {
        "protocolVersion": "2024-11-05", "capabilities": { "tools": {} },
        "serverInfo": { "name": "old", "version": "0" },
    } }] } });
    let list = Scripted::new(&old).link.list(TIME).await.unwrap();
    assert_eq!((list.revision.as_str(), list.resources.len()), ("2024-11-05", 0));
    let neither = json!({ "on": {
        "initialize": [{ "error": { "code": -1, "message": "go\naway" } }],
        "server/discover": [{ "error": { "code": -1, "message": "and stay away" } }],
    } });
    let fault = fault(Scripted::new(&neither).link.list(TIME).await);
    assert!(fault.to_string().contains("error -1: go"), "{fault}");
    assert!(!fault.is_unsure());
    let unknown = json!({ "on": { "initialize": [{ "result": {
        "protocolVersion": "2031-01-01", "capabilities": {}, "serverInfo": { "name": "x", "version": "0" },
    } }] } });
    let fault = self::fault(Scripted::new(&unknown).link.list(TIME).await);
    assert!(fault.to_string().contains("2031-01-01"), "{fault}");
}

#[tokio::test]
async fn a_result_comes_as_the_server_wrote_it() {
    let result = r#"{"content":[{"type":"of the future","n":123456789012345678901234567890}],"z":1.0,"a":{"id":7}}"#;
    let spaced = result.replace(',', " , ");
    let line = format!("{{ \"result\": {spaced} , \"id\": \"$id\", \"jsonrpc\": \"2.0\" }}\r\n");
    let server = Scripted::new(&json!({ "on": { "tools/call it": [{ "text": line }] } }));
    assert_eq!(server.raw("it", json!({})).await.unwrap(), result);
    // Arguments arrive as they were given.
    let script = json!({ "on": { "tools/call it": [{ "result": { "got": "$params" } }] } });
    let server = Scripted::new(&script);
    let arguments = json!({ "a": [1, 2.5, null, "é\n"], "b": { "c": 9_007_199_254_740_993_u64 } });
    let got = server.call("it", arguments.clone()).await.unwrap();
    assert_eq!(got["got"]["arguments"], arguments);
    assert_eq!(got["got"]["name"], "it");
}

#[tokio::test]
async fn what_is_no_result_is_told_from_one() {
    let script = json!({ "on": {
        "tools/call task": [{ "result": { "resultType": "task", "taskId": "7" } }],
        "tools/call input": [{ "result": { "resultType": "input_required", "inputRequests": {} } }],
        "tools/call other": [{ "result": { "resultType": "magic" } }],
        "tools/call error": [{ "error": { "code": -32602, "message": "it is s3cret-word", "data": [1] } }],
        "tools/call secret": says("it is s3cret-word"),
    } });
    let server = Scripted::new(&script);
    let secrets = Secrets::default();
    secrets.add("token", "s3cret-word");
    let path = server.folder.path().join("script.json");
    let own = settings(PROGRAM, ["simulate", "mcp", "--script", path.to_str().unwrap()]);
    let link = ServerLink::new(own, secrets);
    let call = async |tool: &str| link.call(tool, Map::new(), TIME, &|_| {}).await;
    assert!(matches!(call("task").await, Ok(ToolAnswer::Task(_))));
    assert!(matches!(call("input").await, Ok(ToolAnswer::InputNeeded(_))));
    assert!(matches!(fault(call("other").await), ServerFault::Unreadable(_)));
    let ServerFault::Rpc(failure) = fault(call("error").await) else { panic!() };
    assert_eq!((failure.code, failure.message.as_str()), (-32602, "it is [REDACTED]"));
    assert_eq!(failure.data.as_deref(), Some("[1]"));
    let Ok(ToolAnswer::Done(result)) = call("secret").await else { panic!() };
    assert!(result.as_str().contains("it is [REDACTED]"), "{}", result.as_str());
}

#[tokio::test]
async fn pages_are_read_to_their_end_and_no_further() {
    let page = |name: &str, cursor: &str| {
        json!([{ "result": {
        "tools": [{ "name": name }], "nextCursor": cursor,
    } }])
    };
    let rounds = [page("a", "1"), page("b", "2"), page("c", "")];
    let server = Scripted::new(&json!({ "on": { "tools/list": { "rounds": rounds } } }));
    let list = server.link.list(TIME).await.unwrap();
    assert_eq!(
        list.tools,
        [json!({ "name": "a" }), json!({ "name": "b" }), json!({ "name": "c" })]
    );
    let server = Scripted::new(&json!({ "on": { "tools/list": page("a", "again") } }));
    let list = server.link.list(TIME).await.unwrap();
    assert_eq!(list.tools.len(), 2);
    assert_eq!(list.remarks, ["its list of tools is cut: a cursor comes twice"]);
    let many: Vec<Value> =
        (0..1000).map(|number| json!({ "name": format!("tool_{number}") })).collect();
    let script = json!({ "on": { "tools/list": [{ "result": { "tools": many } }] } });
    assert_eq!(Scripted::new(&script).link.list(TIME).await.unwrap().tools, many);
    // A server that has no list of a kind has nothing of it.
    let script =
        json!({ "on": { "prompts/list": [{ "error": { "code": -32601, "message": "" } }] } });
    assert_eq!(Scripted::new(&script).link.list(TIME).await.unwrap().prompts.len(), 0);
}

#[tokio::test]
async fn progress_is_heard_and_a_call_that_nobody_waits_for_is_cancelled() {
    // The server goes on only when it hears that the call was cancelled.
    let script = json!({ "on": { "tools/call slow": [
        { "notify": { "method": "notifications/progress", "params": {
            "progressToken": "$token", "progress": 0.25, "total": 1, "message": "a quarter",
        } } },
        { "await": "notifications/cancelled" },
    ] } });
    let server = Scripted::new(&script);
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let listener = move |progress: &dadl_mcp::mcp_client::ServerProgress| {
        sender.send(progress.clone()).unwrap();
    };
    let link = server.link.clone();
    let call = async { link.call("slow", Map::new(), TIME, &listener).await };
    tokio::select! {
        _ = call => panic!("it was answered"),
        progress = heard.recv() => {
            let progress = progress.unwrap();
            assert_eq!((progress.progress, progress.total), (0.25, Some(1.0)));
            assert_eq!(progress.message.as_deref(), Some("a quarter"));
        }
    }
    server.works().await;
    // When its time is over, the same.
    let late = server.link.call("slow", Map::new(), Duration::from_millis(50), &|_| {}).await;
    let fault = fault(late);
    assert_eq!(fault, ServerFault::Timeout { after: Duration::from_millis(50) });
    assert!(fault.is_unsure());
    server.works().await;
}

#[tokio::test]
async fn a_server_that_ends_fails_what_is_under_way_and_is_started_again() {
    let script = json!({ "on": {
        "tools/call dies": [
            { "await": "tools/call" },
            { "stderr": "out of \u{1b}[31mcoffee\n" },
            { "text": "{\"jsonrpc\":\"2.0\",\"id\":\"$id\",\"resu" },
            { "exit": 3 },
        ],
    } });
    let server = Scripted::new(&script);
    server.works().await;
    let (first, second) =
        tokio::join!(server.call("dies", json!({})), server.call("echo", json!({ "text": "" })));
    for failed in [first, second] {
        let fault = fault(failed);
        assert!(fault.is_unsure());
        let text = fault.to_string();
        assert!(text.starts_with("ended with status 3; it said last: out of "), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    assert_eq!(server.link.state(), LinkState::Ended);
    server.works().await;
}

#[tokio::test]
async fn a_server_that_ends_again_and_again_gets_a_pause() {
    let server = Scripted::new(&json!({ "on": { "tools/call dies": [{ "exit": 3 }] } }));
    let mut pausing = None;
    // How many starts there are before is a matter of how long they take.
    for _ in 0..20 {
        match fault(server.call("dies", json!({})).await) {
            ServerFault::Ended { .. } => {}
            fault => {
                pausing = Some(fault);
                break;
            }
        }
    }
    let pausing = pausing.unwrap();
    assert!(matches!(pausing, ServerFault::Pausing { .. }), "{pausing}");
    assert!(!pausing.is_unsure());
    let text = pausing.to_string();
    assert!(text.starts_with("ended with status 3; it can be started again in "), "{text}");
}

#[tokio::test]
async fn noise_on_the_output_of_a_server_is_skipped() {
    let script = json!({
        "greeting": "Welcome!\n\n\u{1b}[1mlistening on stdio\n{\"unfinished\n[1,2]\n",
        "on": { "tools/call it": [
            { "text": "{\"debug\": \"a server\"}\n\u{feff}{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"}\n" },
            { "text": "{\"jsonrpc\":\"2.0\",\"id\":123456,\"result\":{}}\n" },
            { "text": "{\"jsonrpc\":\"2.0\",\"id\":\"nobody\",\"error\":{}}\n" },
            // All of a batch counts, and a number may come as its text.
            { "text": "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}," },
            { "text": "{\"jsonrpc\":\"2.0\",\"id\":\"$id\",\"result\":{\"n\":1}}]\n" },
            // It has an answer.
            { "text": "{\"jsonrpc\":\"2.0\",\"id\":\"$id\",\"result\":{\"n\":2}}\n" },
        ] },
    });
    let server = Scripted::new(&script);
    for _ in 0..3 {
        assert_eq!(server.call("it", json!({})).await.unwrap(), json!({ "n": 1 }));
    }
    server.works().await;
    let fault = fault(
        ServerLink::new(shell("while :; do echo hello; done"), Secrets::default()).ping(TIME).await,
    );
    assert!(matches!(&fault, ServerFault::NotAServer { line } if line == "hello"), "{fault}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_its_call_alone() {
    let server = Scripted::new(&json!({ "on": {
        "tools/call it": [{ "text": "{\"id\":\"$id\",\"result\":{\"a\":}}\n" }],
        "tools/call twice": [{ "text": "{\"result\":{},\"id\":\"$id\",\"result\":{}}\n" }],
    } }));
    for tool in ["it", "twice"] {
        let fault = fault(server.call(tool, json!({})).await);
        assert!(matches!(fault, ServerFault::Unreadable(_)), "{fault}");
    }
    server.works().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_started_says_why() {
    let ping =
        async |settings| fault(ServerLink::new(settings, Secrets::default()).ping(TIME).await);
    let missing = ping(settings("dadl-no-such-program", [])).await;
    assert!(missing.to_string().contains("no program \"dadl-no-such-program\""), "{missing}");
    assert!(!missing.is_unsure());
    let mut elsewhere = shell("cat");
    process(&mut elsewhere).directory = Some("/no/such/place".into());
    assert!(ping(elsewhere).await.to_string().contains("/no/such/place"));
    let ended = ping(shell("echo no licence >&2; exit 4")).await;
    assert_eq!(ended.to_string(), "ended with status 4; it said last: no licence");
    let killed = ping(shell("kill -KILL $$")).await;
    assert_eq!(killed.to_string(), "ended by signal 9");
    let mut silent = shell("echo waiting >&2; cat >/dev/null");
    silent.limits.start = Duration::from_millis(300);
    let silent = ping(silent).await;
    assert!(matches!(silent, ServerFault::Introduction { .. }), "{silent}");
}

#[tokio::test]
async fn a_server_gets_the_listed_environment_and_a_home() {
    let script = json!({ "on": { "tools/call it": [{
        "result": { "environment": "$environment", "directory": "$directory" },
    }] } });
    let server = Scripted::with(&script, |settings| {
        let process = process(settings);
        process.environment = Environment::of_process()
            .with("GITHUB_TOKEN", "t")
            .with("DADL_MCP_LOG", "debug")
            .with("HOME", std::env::temp_dir().to_str().unwrap());
        process.variables = vec![("API_KEY".to_owned(), "given".to_owned().into())];
    });
    let result = server.call("it", json!({})).await.unwrap();
    let environment = result["environment"].as_object().unwrap();
    assert_eq!(
        (&environment["API_KEY"], environment.contains_key("PATH")),
        (&json!("given"), true)
    );
    let names = environment.keys().filter(|name| *name != "API_KEY");
    let others: Vec<_> = names.filter(|name| !INHERITED.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "{others:?}");
    let home = std::fs::canonicalize(std::env::temp_dir()).unwrap();
    assert_eq!(result["directory"], home.to_str().unwrap());
}

#[tokio::test]
async fn floods_hold_nobody_up() {
    let line = "\"jsonrpc\":\"2.0\",\"method\"";
    let script = json!({ "on": { "tools/call it": [
        { "stderr": "again and again and again\n", "times": 50_000 },
        { "text": format!("{{{line}:\"notifications/message\",\"params\":{{\"level\":\"info\",\"data\":1}}}}\n"),
          "times": 20_000 },
        { "text": format!("{{{line}:\"notifications/tools/list_changed\"}}\n"), "times": 20_000 },
        { "text": format!("{{{line}:\"notifications/unknown\",\"params\":{{}}}}\n"), "times": 20_000 },
        { "text": format!("{{{line}:\"notifications/cancelled\",\"params\":{{\"requestId\":1}}}}\n"),
          "times": 20_000 },
        { "text": format!("{{\"id\":1,{line}:\"ping\"}}\n"), "times": 200 },
        { "text": format!("{{\"id\":2,{line}:\"elicitation/create\",\"params\":7}}\n"), "times": 200 },
        { "ask": { "method": "ping" } },
        { "ask": { "method": "sampling/createMessage", "params": { "messages": [], "maxTokens": 1 } } },
        { "result": { "heard": "$answer" } },
    ] } });
    let server = Scripted::new(&script);
    let changes = server.link.changes();
    let result = server.call("it", json!({})).await.unwrap();
    assert!(result["heard"]["error"]["code"].is_number(), "{result}");
    assert_eq!(*changes.borrow(), 20_000);
    let lines = server.link.last_lines();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line == "again and again and again"), "{lines:?}");
    server.works().await;
}

#[test]
fn what_cannot_be_run_is_said_as_shells_do() {
    for (program, code) in [("/no/such/program", 127), ("/", 126)] {
        let output = Command::new(PROGRAM).args(["mcp-child", program]).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(program), "{said}");
    }
}

#[cfg(target_os = "linux")]
mod processes {
    //! What is left of processes, and what ours takes, as Linux counts it.

    use std::{
        io::{BufRead as _, BufReader},
        process::{Child, ChildStdout, Stdio},
    };

    use super::*;

    /// What a process of these tests does instead of running them.
    const PROBE: &str = "DADL_MCP_TEST_PROBE";

    /// A process of its own that runs one of the probes below.
    struct Probe {
        child: Child,
        output: BufReader<ChildStdout>,
    }

    impl Probe {
        fn start(name: &str) -> Self {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let test = "mcp_client::processes::what_a_probe_does";
            command.args(["--exact", test, "--nocapture"]).env(PROBE, name);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            Self { child, output }
        }

        /// Returns the next line that the probe says, without the mark of one.
        fn line(&mut self) -> String {
            loop {
                let mut line = String::new();
                assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the probe ended");
                if let Some(said) = line.split_once("probe: ") {
                    return said.1.trim().to_owned();
                }
            }
        }
    }

    /// Runs as a process of its own, when the environment says so; else it is no test.
    #[tokio::test]
    async fn what_a_probe_does() {
        let environment = Environment::of_process();
        match environment.get(PROBE) {
            Some("large lines") => large_lines().await,
            Some("stubborn server") => stubborn_server().await,
            _ => {}
        }
    }

    /// Says a line to the test that started this process.
    fn say(line: &str) {
        std::io::Write::write_all(&mut std::io::stdout(), format!("probe: {line}\n").as_bytes())
            .unwrap();
    }

    fn is_alive(process: u64) -> bool {
        // One that has ended and was not waited for is gone as far as anybody is hurt.
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = status.rsplit_once(')').and_then(|(_, rest)| rest.trim().chars().next());
        state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
    }

    fn until_gone(process: u64) {
        while is_alive(process) {
            std::thread::yield_now();
        }
    }

    /// A server that hears no signal that can be ignored, lives on without its input, and has started
    /// another one in a session of its own, whose number is in a file.
    fn stubborn(folder: &std::path::Path) -> LinkSettings {
        let script = json!({ "ignores_end": true,
                             "on": { "tools/call process": [{ "result": { "process": "$process" } }] } });
        let path = folder.join("script.json");
        std::fs::write(&path, script.to_string()).unwrap();
        let (path, other) = (path.display(), folder.join("other"));
        let mut own = shell(&format!(
            "trap '' TERM INT HUP; setsid sh -c 'echo $$ >{}; exec sleep 10000' & \
             exec {PROGRAM} simulate mcp --script {path}",
            other.display()
        ));
        own.limits.end = Duration::from_millis(100);
        own
    }

    async fn processes(link: &ServerLink, folder: &std::path::Path) -> [u64; 2] {
        let answer = link.call("process", Map::new(), TIME, &|_| {}).await.unwrap();
        let ToolAnswer::Done(result) = answer else { panic!("{answer:?}") };
        let result: Value = serde_json::from_str(result.as_str()).unwrap();
        let other = loop {
            let number = std::fs::read_to_string(folder.join("other")).unwrap_or_default();
            match number.trim().parse() {
                Ok(number) => break number,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        [result["process"].as_u64().unwrap(), other]
    }

    async fn stubborn_server() {
        let folder = tempfile::tempdir().unwrap();
        let link = ServerLink::new(stubborn(folder.path()), Secrets::default());
        let [server, other] = processes(&link, folder.path()).await;
        say(&format!("{server} {other}"));
        std::future::pending::<()>().await;
    }

    #[test]
    fn a_server_that_ignores_its_end_is_gone_when_we_are_killed() {
        let mut probe = Probe::start("stubborn server");
        let line = probe.line();
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        assert!(numbers.iter().all(|number| is_alive(*number)));
        probe.child.kill().unwrap();
        probe.child.wait().unwrap();
        numbers.into_iter().for_each(until_gone);
    }

    #[tokio::test]
    async fn a_server_that_ignores_its_end_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let link = ServerLink::new(stubborn(folder.path()), Secrets::default());
        let numbers = processes(&link, folder.path()).await;
        link.end().await;
        assert_eq!(numbers.map(is_alive), [false, false]);
        // Without a word, it takes a moment longer.
        let link = ServerLink::new(stubborn(folder.path()), Secrets::default());
        let numbers = processes(&link, folder.path()).await;
        drop(link);
        numbers.into_iter().for_each(until_gone);
    }

    fn peak_memory() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    async fn large_lines() {
        let long = json!({ "text": "x".repeat(1000), "times": 100_000 });
        let (open, id) = ("{\"jsonrpc\":\"2.0\",", "\"id\":\"$id\"");
        let result = "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"";
        let script = json!({ "on": {
            "tools/call first": [{ "text": format!("{open}{id},{result}") }, long, { "text": "\"}]}}\n" }],
            "tools/call last": [
                { "text": format!("{open}{result}") }, long, { "text": format!("\"}}]}},{id}}}\n") },
            ],
            "tools/call none": [{ "text": open }, long, { "text": "\n" }, { "result": {} }],
        } });
        let server = Scripted::with(&script, |settings| settings.limits.message = 4 * 1024 * 1024);
        server.works().await;
        let before = peak_memory();
        let limit = 4 * 1024 * 1024;
        for tool in ["first", "last"] {
            let (large, other) = tokio::join!(
                server.call(tool, json!({})),
                server.call("echo", json!({ "text": "" }))
            );
            assert_eq!(fault(large), ServerFault::TooLarge { limit });
            other.unwrap();
        }
        server.call("none", json!({})).await.unwrap();
        server.works().await;
        say(&(peak_memory() - before).to_string());
    }

    #[test]
    fn a_line_of_100_megabytes_fails_its_call_alone_in_bounded_memory() {
        let mut probe = Probe::start("large lines");
        let growth: u64 = probe.line().parse().unwrap();
        assert!(growth < 24 * 1024, "{growth} KiB");
        assert!(probe.child.wait().unwrap().success());
    }
}

/// A server of another reading of the protocol: our own.
#[tokio::test]
async fn our_own_server_is_listed_and_called_in_both_eras() {
    for era in [ServerEra::Initialize, ServerEra::Discover] {
        let mut own = settings(PROGRAM, ["serve", "--demo"]);
        own.first_era = era;
        process(&mut own).variables =
            vec![("XDG_CACHE_HOME".to_owned(), "/dev/null".to_owned().into())];
        let link = ServerLink::new(own, Secrets::default());
        let list = link.list(TIME).await.unwrap();
        assert_eq!(list.era, era);
        assert!(list.tools.iter().any(|tool| tool["name"] == "list_vms"));
        let answer = link.call("ping", Map::new(), TIME, &|_| {}).await.unwrap();
        let ToolAnswer::Done(result) = answer else { panic!("{answer:?}") };
        let result: Value = serde_json::from_str(result.as_str()).unwrap();
        assert_eq!(result["structuredContent"]["result"], "pong");
        link.end().await;
    }
}

#[tokio::test]
async fn a_call_that_does_not_wait_for_the_start_lets_it_go_on() {
    let script = json!({ "on": { "initialize": [{ "await": "notifications/never" }] } });
    let server = Scripted::new(&script);
    let time = Duration::from_millis(50);
    let fault = fault(server.link.ping(time).await);
    assert_eq!(fault, ServerFault::Starting { after: time });
    assert!(!fault.is_unsure());
    assert_eq!(server.link.state(), LinkState::Starting);
}

/// Calls one after the other and at the same time give each its own answer.
#[tokio::test]
async fn each_call_gets_its_own_answer() {
    let server = Scripted::new(&json!({}));
    let answers = Mutex::new(Vec::new());
    let calls = (0..200).map(|number| {
        let (server, answers) = (&server, &answers);
        async move {
            let text = format!("call {number}");
            let answer = server.call("echo", json!({ "text": text })).await.unwrap();
            answers.lock().unwrap().push((text, answer["content"][0]["text"].clone()));
        }
    });
    futures_util::future::join_all(calls).await;
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), 200);
    assert!(answers.iter().all(|(text, answer)| answer == text));
}

#[tokio::test]
async fn fifty_servers_are_listed_at_once() {
    let servers: Vec<Scripted> = (0..50).map(|_| Scripted::new(&json!({}))).collect();
    let lists = servers.iter().map(|server| server.link.list(TIME));
    for list in futures_util::future::join_all(lists).await {
        assert_eq!(list.unwrap().tools.len(), 4);
    }
    futures_util::future::join_all(servers.iter().map(|server| server.link.end())).await;
}
