//! What a script may do, and what it may not.

use std::time::Duration;

use dadl_descriptor::script::{
    ScriptParser,
    api::ScriptApi,
    deadline::RunDeadline,
    engine::{MOST_BUSY, MOST_CALLS, MOST_LINES, ScriptFailure},
};
use serde_json::{Value, json};

use super::*;

/// A run and what it sent.
struct Ran {
    result: Result<Value, ScriptFailure>,
    calls: Vec<(String, Value)>,
    log: Vec<String>,
}

impl Ran {
    fn value(self) -> Value {
        self.result.unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    fn failure(self) -> String {
        let failure = self.result.unwrap_err();
        failure.line.map_or(failure.message.clone(), |line| format!("{}: {line}", failure.message))
    }
}

/// Runs a script; `answer` gives what its calls give.
async fn run_with(
    code: &str,
    params: &str,
    time: Duration,
    answer: impl Fn(&str, &Value) -> Result<String, String>,
) -> Ran {
    let job = ScriptJob {
        code: code.to_owned(),
        params: params.to_owned(),
        api: ScriptApi::Tools(vec!["get".to_owned(), "set".to_owned()]),
        most_calls: MOST_CALLS,
        most_busy: MOST_BUSY,
        deadline: Arc::new(RunDeadline::after(time)),
    };
    let slot = ScriptSlots::default().take(&ClientKey::only()).await.unwrap();
    let mut run = ScriptRun::start(job, slot).unwrap();
    let (mut calls, mut log) = (Vec::new(), Vec::new());
    loop {
        match run.next().await.unwrap() {
            ScriptEvent::Call { id, tool, arguments } => {
                let arguments: Value = serde_json::from_str(&arguments).unwrap();
                run.reply(CallReply { id, result: answer(&tool, &arguments), held: None });
                calls.push((tool, arguments));
            }
            ScriptEvent::Waits => {}
            ScriptEvent::Log { level, text } => log.push(format!("{level}: {text}")),
            ScriptEvent::Done { result, unlogged, .. } => {
                if unlogged > 0 {
                    log.push(format!("{unlogged} dropped"));
                }
                let result = result.map(|text| serde_json::from_str(&text).unwrap());
                return Ran { result, calls, log };
            }
        }
    }
}

/// Calls give their arguments back.
async fn run(code: &str) -> Ran {
    let echo = |_: &str, arguments: &Value| Ok(arguments.to_string());
    run_with(code, "{}", Duration::from_secs(600), echo).await
}

async fn value(code: &str) -> Value {
    run(code).await.value()
}

/// Runs a script that never ends by itself.
async fn ended(code: &str) -> String {
    let echo = |_: &str, arguments: &Value| Ok(arguments.to_string());
    run_with(code, "{}", Duration::from_millis(300), echo).await.failure()
}

#[tokio::test]
async fn a_script_calls_and_returns() {
    let ran = run("const a = await api.get({ x: 1, y: undefined }); return { a, b: [a.x + 1] };");
    let ran = ran.await;
    assert_eq!(ran.calls, [("get".to_owned(), json!({ "x": 1 }))]);
    assert_eq!(ran.value(), json!({ "a": { "x": 1 }, "b": [2] }));
    assert_eq!(value("return await api.get();").await, json!({}));
    assert_eq!(value("return undefined;").await, Value::Null);
    assert_eq!(value("").await, Value::Null);
    assert_eq!(value("return Object.keys(api);").await, json!(["get", "set"]));
    let all = "return Promise.all([1, 2, 3].map(x => api.get({ x })));";
    assert_eq!(value(all).await, json!([{ "x": 1 }, { "x": 2 }, { "x": 3 }]));
    assert_eq!(value("const c = 1; return c // no line after it").await, json!(1));
}

#[tokio::test]
async fn params_are_plain_data() {
    let echo = |_: &str, arguments: &Value| Ok(arguments.to_string());
    let params = r#"{"__proto__": {"x": 1}, "constructor": 2, "a": null}"#;
    let code = "return [params.x ?? null, ({}).x ?? null, Object.keys(params), params.a === null];";
    let ran = run_with(code, params, Duration::from_secs(600), echo).await;
    assert_eq!(ran.value(), json!([null, null, ["__proto__", "constructor", "a"], true]));
}

#[tokio::test]
async fn data_pollute_nothing_on_their_way() {
    let code = r#"
        const data = await api.get(JSON.parse('{"__proto__": {"polluted": 1}, "a": {"__proto__": 2}}'));
        return [data, ({}).polluted ?? null, Object.keys(data)];"#;
    let expected: Value = serde_json::from_str(
        r#"[{"__proto__": {"polluted": 1}, "a": {"__proto__": 2}}, null, ["__proto__", "a"]]"#,
    )
    .unwrap();
    assert_eq!(value(code).await, expected);
}

#[tokio::test]
async fn what_a_script_changes_does_not_change_what_leaves_it() {
    let code = r#"
        JSON.stringify = () => "evil"; JSON.parse = () => "evil";
        Promise.prototype.then = () => "evil"; Reflect.apply = () => "evil";
        Array.isArray = () => true; Map.prototype.get = () => "evil"; String = () => "evil_1";
        return { a: 1 };"#;
    // `String` belongs to the global object, which nobody may change.
    assert_eq!(run(code).await.failure(), "TypeError: 'String' is read-only: 4");
    let code = code.replace("String = () => \"evil_1\";", "");
    assert_eq!(value(&code).await, json!({ "a": 1 }));
    let code = "Array.prototype.toJSON = () => 'mine'; return [1];";
    assert_eq!(value(code).await, json!("mine"));
    let code =
        "Object.prototype.then = undefined; Object.prototype.x = 1; return api.get({ a: 1 });";
    assert_eq!(value(code).await, json!({ "a": 1 }));
}

#[tokio::test]
async fn integers_keep_their_digits() {
    let big = |_: &str, arguments: &Value| {
        let id = "12345678901234567890123";
        Ok(if arguments["id"].is_null() {
            format!(r#"{{"id":{id},"n":9007199254740991}}"#)
        } else {
            "1".to_owned()
        })
    };
    let limit = Duration::from_secs(60);
    let code = "const a = await api.get(); await api.set({ id: a.id % 10000000000000000000n }); return [typeof a.id, typeof a.n, String(a.id), JSON.stringify(a), a.id === a.id, a.id > 5];";
    let ran = run_with(code, "{}", limit, big).await;
    assert_eq!(ran.calls[1].1, json!({ "id": 5_678_901_234_567_890_123_u64 }));
    let text = r#"{"id":12345678901234567890123,"n":9007199254740991}"#;
    assert_eq!(
        ran.value(),
        json!(["bigint", "number", "12345678901234567890123", text, true, true])
    );
    // Arithmetic that would round is an error that says so.
    let ran = run_with("return (await api.get()).id + 1;", "{}", limit, big).await;
    assert!(ran.failure().contains("BigInt"));
    let code = "return [params.f, params.g, params.h];";
    let params = r#"{"f":1e300,"g":12345678901234567.5,"h":9007199254740993.0}"#;
    let ran = run_with(code, params, limit, big).await;
    assert_eq!(ran.value(), json!([1e300, 12345678901234568_u64, 9007199254740992_u64]));
}

#[tokio::test]
async fn nothing_but_the_language_is_there() {
    let code = r#"
        const names = ["fetch", "require", "process", "setTimeout", "setInterval", "queueMicrotask",
            "eval", "Function", "WebAssembly", "Atomics", "SharedArrayBuffer", "WeakRef",
            "FinalizationRegistry", "performance", "print", "std", "os", "navigator", "Deno"];
        return names.filter(name => name in globalThis);"#;
    assert_eq!(value(code).await, json!([]));
    for code in [
        "return eval('1');",
        "return new Function('return 1')();",
        "return (() => {}).constructor('return 1')();",
        "return (async () => {}).constructor('return 1')();",
        "return (function* () {}).constructor('yield 1')();",
        "return (async function* () {}).constructor('yield 1')();",
        "return Object.getPrototypeOf(async () => {}).constructor('return 1')();",
        "return Reflect.construct(api.get.constructor, ['return 1'])();",
        "return class extends (() => {}).constructor {}",
        "globalThis.x = 1;",
        "undeclared = 1;",
        "api.get = 1;",
        "return api.other();",
        "console.log = 1;",
    ] {
        let failure = run(code).await.failure();
        assert!(failure.contains("Error: "), "{code}: {failure}");
    }
}

#[tokio::test]
async fn limits_end_a_script() {
    let late = "it did not end within its time limit";
    assert_eq!(ended("for (;;) {}").await, late);
    assert_eq!(
        ended("for (;;) { try { for (;;) {} } catch {} finally { for (;;) {} } }").await,
        late
    );
    assert_eq!(
        ended("(function f() { Promise.resolve().then(f) })(); await new Promise(() => {});").await,
        late
    );
    assert_eq!(ended("return { toJSON() { for (;;) {} } };").await, late);
    assert_eq!(
        ended("throw { get message() { for (;;) {} }, get stack() { for (;;) {} } };").await,
        late
    );
    assert_eq!(ended("return /(a+)+$/.test('a'.repeat(60) + 'b');").await, late);
    assert_eq!(
        run("await new Promise(() => {}); return 1;").await.failure(),
        "it waits for a promise that nothing settles"
    );
    let memory = "it needs more than 64 MB of memory: 1";
    assert_eq!(
        run("const a = []; for (;;) a.push('x'.repeat(1e6) + a.length);").await.failure(),
        memory
    );
    let growing = run("let a = 'x'; for (;;) a += a;").await.failure();
    assert!(growing.contains("string too long") || growing.contains("of memory"), "{growing}");
    assert_eq!(
        run("const f = () => f() + 1; return f();").await.failure(),
        "RangeError: Maximum call stack size exceeded: 1"
    );
    let deep = "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; return a;";
    assert!(run(deep).await.result.is_err());
}

#[tokio::test]
async fn calls_are_counted() {
    let ran = run("for (let i = 0; i < 60; i++) await api.get({ i });").await;
    assert_eq!(ran.calls.len(), MOST_CALLS as usize);
    assert_eq!(ran.failure(), "a composite makes at most 50 calls: 1");
    let ran = run("return Promise.all(Array.from({ length: 51 }, () => api.get()));").await;
    assert_eq!(ran.failure(), "a composite makes at most 50 calls: 1");
}

#[tokio::test]
async fn what_leaves_the_sandbox_is_bounded() {
    let code = "const a = 'x'.repeat(5e6); return Promise.all(Array.from({ length: 9 }, () => api.get({ a })));";
    let ran = run(code).await;
    assert_eq!(ran.calls.len(), 6);
    assert_eq!(ran.failure(), "RangeError: the arguments of its calls are too large: 1");
    let long = run("throw new Error('x'.repeat(1e6));").await.failure();
    assert!(long.len() < 2100, "{}", long.len());
}

#[tokio::test]
async fn the_log_is_bounded() {
    let ran = run("for (let i = 0; i < 1000; i++) console.log('x'.repeat(10000), i);").await;
    assert_eq!(ran.log.len(), MOST_LINES as usize + 1);
    assert!(ran.log.iter().all(|line| line.len() < 2100));
    assert_eq!(ran.log.last().unwrap(), "900 dropped");
    let ran = run("console.warn('a', 1, { b: [2n] }, undefined, new Error('e'), '\\ud800');").await;
    assert_eq!(ran.log, ["warn: a 1 {\"b\":[2]} undefined Error: e \u{fffd}"]);
}

#[tokio::test]
async fn failures_say_where() {
    assert_eq!(run("\n\nthrow new Error('no');").await.failure(), "no: 3");
    assert_eq!(
        run("const a = {};\nreturn a.b.c;").await.failure(),
        "TypeError: cannot read property 'c' of undefined: 2"
    );
    assert_eq!(run("throw 'text';").await.failure(), "text");
    assert_eq!(run("throw { a: 1 };").await.failure(), "{\"a\":1}");
    assert_eq!(
        run("return\u{20}api.get(5);").await.failure(),
        "TypeError: api.get takes its arguments as one object: 1"
    );
    assert_eq!(
        run("const f = () => {\n  throw new RangeError('x');\n};\nf();").await.failure(),
        "RangeError: x: 2"
    );
    let cyclic = run("const a = {}; a.a = a; return a;").await.failure();
    assert!(cyclic.contains("circular"), "{cyclic}");
}

#[tokio::test]
async fn failed_calls_throw_what_happened() {
    let fail = |_: &str, _: &Value| {
        Err(json!({"code": "not_found", "http_status": 404, "message": "gone", "provider_code": "E7", "whole": "all of it"}).to_string())
    };
    let limit = Duration::from_secs(60);
    let code = "try { await api.get(); } catch (e) { return [e instanceof Error, e.code, e.http_status, e.message, e.provider_code, Object.keys(e)]; }";
    let ran = run_with(code, "{}", limit, fail).await;
    let keys = ["code", "http_status", "provider_code"];
    assert_eq!(ran.value(), json!([true, "not_found", 404, "gone", "E7", keys]));
    let ran = run_with("const a = 1;\nawait api.get();", "{}", limit, fail).await;
    assert_eq!(ran.failure(), "api.get: all of it: 2");
    let code = "const load = async () =>\n  api.get();\nawait Promise.all([load(), load()]);";
    assert_eq!(run_with(code, "{}", limit, fail).await.failure(), "api.get: all of it: 2");
}

#[tokio::test]
async fn a_script_that_leaves_its_function_gains_nothing() {
    // The parser of the language and the engine see comments like these differently.
    let code = "0 <!--a/*\n}); globalThis.x = fetch; (async () => { //*/\nreturn 1;";
    if let Ok(parsed) = ScriptParser::default().parse(code) {
        assert!(run(&parsed.code).await.result.is_err());
    }
}

#[tokio::test]
async fn nothing_is_left_for_the_next_script() {
    // The thread of one may run the next, in another engine.
    for _ in 0..2 * MOST_READY {
        let code = "const before = Array.prototype.left; Array.prototype.left = Math.left = 1; \
                    api.get.left = 1; return [before ?? null, api.set.left ?? null, Object.keys(api)]";
        assert_eq!(value(code).await, json!([null, null, ["get", "set"]]));
    }
}

#[tokio::test]
async fn waiting_beyond_the_first_deadline_is_no_computing() {
    let deadline = Arc::new(RunDeadline::after(Duration::from_millis(100)));
    let job = ScriptJob {
        code: "return api.get({})".to_owned(),
        params: "{}".to_owned(),
        api: ScriptApi::Tools(vec!["get".to_owned()]),
        most_calls: MOST_CALLS,
        most_busy: Duration::from_millis(50),
        deadline: Arc::clone(&deadline),
    };
    let slot = ScriptSlots::default().take(&ClientKey::only()).await.unwrap();
    let first = deadline.at();
    let mut run = ScriptRun::start(job, slot).unwrap();
    let call = run.next().await.unwrap();
    assert!(matches!(call, ScriptEvent::Call { id: 0, .. }), "{call:?}");
    assert_eq!(run.next().await, Some(ScriptEvent::Waits));
    // A person is asked, who takes longer than the script may.
    deadline.move_to(Duration::from_secs(600));
    let mut event = None;
    while event.is_none() && std::time::Instant::now() < first + Duration::from_millis(100) {
        event = tokio::time::timeout(Duration::from_millis(1), run.next()).await.ok().flatten();
    }
    assert!(matches!(event, None | Some(ScriptEvent::Waits)), "{event:?}");
    run.reply(CallReply { id: 0, result: Ok("7".to_owned()), held: None });
    let done = loop {
        match run.next().await.unwrap() {
            ScriptEvent::Waits => {}
            other => break other,
        }
    };
    let ScriptEvent::Done { result, .. } = done else { panic!("{done:?}") };
    assert_eq!(result, Ok("7".to_owned()));
}

#[tokio::test]
async fn dropping_a_run_ends_it() {
    let slots = ScriptSlots::default();
    let mut busy = Vec::new();
    for _ in 0..MOST_RUNS {
        let job = ScriptJob {
            code: "for (;;) {}".to_owned(),
            params: "{}".to_owned(),
            api: ScriptApi::Tools(Vec::new()),
            most_calls: MOST_CALLS,
            most_busy: MOST_BUSY,
            deadline: Arc::new(RunDeadline::after(Duration::from_secs(600))),
        };
        busy.push(ScriptRun::start(job, slots.take(&ClientKey::only()).await.unwrap()).unwrap());
    }
    drop(busy);
    // There is a slot again, because the threads have ended.
    assert!(slots.take(&ClientKey::only()).await.is_some());
}
