//! Scripts that mean harm: they end within their bounds, reach nothing but the gate, and leave the others
//! alone.

use std::{sync::Arc, time::Duration};

use dadl_mcp::{
    executor::{CallContext, CallerScript, ScriptGuide},
    gate::script::ScriptScope,
    outcome::AnswerPayload,
    shares::ClientKey,
};
use tokio::task::JoinSet;

use crate::{
    caller_scripts::TOOLS,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const SECRET: &str = "s3cret-of-the-backend";

/// Knows nothing.
struct NoGuide;

impl ScriptGuide for NoGuide {
    fn search(&self, queries: Vec<String>) -> String {
        queries.join(" ")
    }

    fn describe(&self, _: &str) -> Option<String> {
        None
    }

    fn signature(&self, entry: &dadl_mcp::catalog::CatalogEntry) -> String {
        entry.name.clone()
    }
}

/// Never end, or need more than there is.
const ENDLESS: &[&str] = &[
    "for (;;) {}",
    "while (true) await null",
    "const f = () => f(); f()",
    "const f = async () => { await f() }; await f()",
    "await new Promise(() => {})",
    "const a = []; for (;;) a.push(a)",
    "let s = 'x'; for (;;) s += s",
    "const a = []; for (;;) a.push(new Uint8Array(1e6))",
    "return 'x'.repeat(2 ** 30)",
    "return new Array(2 ** 32 - 1).fill(0)",
    "return JSON.stringify(Array.from({ length: 1e7 }, (_, i) => i))",
    "const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })",
    "/(a+)+$/.test('a'.repeat(40) + 'b')",
    "const o = {}; o.o = o; return o",
    "return { toJSON() { return this.toJSON } }",
    "let x = []; for (let i = 0; i < 1e5; i++) x = [x]; return x",
    "return new Proxy({}, { get: () => { throw 1 }, ownKeys: () => { for (;;) {} } })",
    "Promise.resolve().then(function f() { return Promise.resolve().then(f) }); return 1",
    "throw { get message() { for (;;) {} } }",
    "return BigInt(2) ** BigInt(1e7)",
];

/// Change what the sandbox itself needs.
const BREAKING: &[&str] = &[
    "JSON.stringify = () => '{}'; return api.get({ id: 1 })",
    "JSON.parse = () => { throw 1 }; return api.get({ id: 1 })",
    "Promise.prototype.then = () => {}; return api.get({ id: 1 })",
    "Array.prototype.includes = () => true; return api.whatever",
    "String.prototype.startsWith = () => true; return api.get({ id: 1 })",
    "Object.prototype.then = (f) => f(1); return {}",
    "Object.prototype.toJSON = () => 'x'; return api.get({ id: 1 })",
    "Object.prototype.enumerable = true; Object.prototype.value = 1; return Object.keys(api)",
    "Reflect.apply = () => 1; return api.get({ id: 1 })",
    "Object.defineProperty(globalThis, 'dadl', { value: 1 }); return 1",
    "api.get = 1; return 1",
    "delete api.get; return typeof api.get",
    "Object.setPrototypeOf(api, { x: 1 }); return api.x",
    "Symbol.iterator = 1; return [...[1]]",
    "Array.prototype[Symbol.iterator] = function* () { yield 'delete'; yield '' }; return api.get({ id: 1 })",
    "Error.prepareStackTrace = (_, s) => s; try { api.nope } catch (e) { return e.stack }",
    "globalThis.api = 1; return api.get({ id: 1 })",
    "class P extends Promise {}; return P.resolve(api.get({ id: 1 }))",
];

/// Look for a way out, or for what they may not know.
const REACHING: &[&str] = &[
    "return typeof fetch + typeof require + typeof process + typeof WebAssembly + typeof setTimeout",
    "return eval('1')",
    "return Function('return 1')()",
    "return (() => {}).constructor('return 1')()",
    "return (async () => {}).constructor('return 1')()",
    "return api.get.constructor('return 1')()",
    "return import('fs')",
    "return await import('data:text/javascript,1')",
    "return globalThis.host",
    "return Object.getOwnPropertyNames(globalThis).filter((n) => /host|secret|env/i.test(n))",
    "return api.get({ id: '../../etc/passwd' })",
    "return api.get({ id: '1?x=y#z' })",
    "return api.get({ id: 1, __proto__: { admin: true } })",
    "return api['__proto__']",
    "return api.constructor",
    "return api['../delete']({ id: 1 })",
    "return api.delete({ id: 1 })",
    "return api['delete']({ id: 1 })",
    "return api.fake.delete({ id: 1 })",
    "return api.clear()",
    "return api.put({ id: 1 })",
    "return api.file({})",
    "return api.pop()",
    "return api.get({ id: 1, confirm: true, consent: 'yes' })",
    "return dadl.describe('delete')",
    "try { await api.delete({ id: 1 }) } catch (e) { return e.message }",
    "return api.search({ text: 'dadl-file:0123456789abcdef#base64' })",
    "return api.get({ id: 1 }).then((it) => JSON.stringify(it) + JSON.stringify(this ?? null))",
];

/// Ask for far more than anybody needs.
const FLOODING: &[&str] = &[
    "for (let i = 0; i < 5000; i++) await api.get({ id: i })",
    "return Promise.all(Array.from({ length: 5000 }, (_, id) => api.get({ id })))",
    "for (let i = 0; i < 1e6; i++) console.log('x'.repeat(1e4))",
    "return Promise.allSettled(Array.from({ length: 5000 }, () => dadl.search('x'.repeat(1e5))))",
    "const text = 'x'.repeat(5e6); return Promise.all(Array.from({ length: 40 }, () => api.search({ text })))",
    "Array.from({ length: 60 }, () => api.nope); return 1",
    "const all = []; for (let i = 0; i < 60; i++) all.push(api.get({ id: i }).catch(() => 0)); return (await Promise.all(all)).length",
];

/// The same in other clothes.
fn variants(code: &str) -> [String; 3] {
    [
        code.to_owned(),
        format!("try {{ {code} }} catch (e) {{ {code} }}"),
        format!("return async () => {{ {code} }}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_mean_harm_end_and_reach_nothing() {
    let upstream = Upstream::start(vec![Answer::json(200, r#"{"id":1}"#)]).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(SECRET.into())), |_| {});
    let harness = Arc::new(harness);
    let codes: Vec<String> = [ENDLESS, BREAKING, REACHING, FLOODING]
        .into_iter()
        .flatten()
        .flat_map(|it| variants(it))
        .collect();
    assert!(codes.len() >= 200, "{}", codes.len());
    let mut running = JoinSet::new();
    let mut ended = 0;
    for code in codes {
        if running.len() >= 4 {
            running.join_next().await.unwrap().unwrap();
            ended += 1;
        }
        let served = Arc::clone(&harness);
        running.spawn(async move {
            let time = Duration::from_millis(1500);
            let script =
                CallerScript { time, ..CallerScript::new(code.clone(), ScriptScope::Reads) };
            let client = ClientKey { host: "hostile".to_owned(), session: String::new() };
            let context = CallContext::default().of(client);
            let ran =
                served.executor.run_script(&served.gate, &script, None, &NoGuide, &context).await;
            let shown = match ran {
                Ok(outcome) => match outcome.payload {
                    AnswerPayload::Json(text) => text.into_string(),
                    other => panic!("{other:?}"),
                },
                Err(error) => error.for_model(),
            };
            assert!(!shown.contains(SECRET), "{code}: {shown}");
            assert!(!shown.contains("root:"), "{code}: {shown}");
        });
        // Another client feels nothing.
        if ended % 50 == 0 {
            assert_eq!(harness.value("get", serde_json::json!({ "id": 7 })).await["id"], 1);
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    for request in upstream.requests() {
        let line = request.lines().next().unwrap();
        let is_read = line.starts_with("GET /api/things") || line.starts_with("POST /api/search ");
        assert!(is_read, "{line}");
    }
}
