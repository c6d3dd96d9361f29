//! Scripts that callers bring: what they reach, what they are refused, and what is told of their changes.

use std::sync::Mutex;

use dadl_mcp::{
    catalog::CatalogEntry,
    config::ConfirmPolicy,
    executor::{
        CallContext, CallerScript, ChangeApproval, ChangeQuestion, ChangeRefusal, ScriptError,
        ScriptGuide,
    },
    gate::script::ScriptScope,
    outcome::{AnswerPayload, CallOutcome},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

pub(crate) const TOOLS: &str = api!(top: "requires: { features: [composites] }\n_dadl_mcp: { effects: { none: [search], some: [pop] } }", backend: r#"
  tools:
    get: { method: GET, path: "/things/{id}", access: read, description: "Gets.", params: { id: { type: integer, in: path, required: true } } }
    list: { method: GET, path: /things, access: read, description: "Lists." }
    search: { method: POST, path: /search, access: read, description: "Searches.", params: { text: { type: string, in: body } } }
    query: { method: POST, path: /query, access: read, description: "Queries.", params: { text: { type: string, in: body } } }
    pop: { method: GET, path: /pop, access: read, description: "Takes one out." }
    file: { method: GET, path: /file, access: read, description: "A file.", response: { binary: true } }
    put: { method: PUT, path: "/things/{id}", access: write, description: "Puts.", params: { id: { type: integer, in: path, required: true }, name: { type: string, in: body } } }
    delete: { method: DELETE, path: "/things/{id}", access: dangerous, description: "Deletes.", params: { id: { type: integer, in: path, required: true } } }
  composites:
    both: { description: "Two.", access: read, code: "return [await api.list(), await api.get({ id: 1 })]" }
    clear: { description: "Clears.", access: write, delegates: [delete], code: "return api.delete({ id: 1 })" }
    sneak: { description: "Sneaks.", access: write, code: "return api.delete({ id: 1 })" }
    guess: { description: "Guesses.", access: write, code: "return api['del' + 'ete']({ id: 1 })" }
    sly: { description: "Says less than it does.", access: read, code: "return api.put({ id: 9 })" }
"#);

/// Knows one signature.
struct Guide;

impl ScriptGuide for Guide {
    fn search(&self, queries: Vec<String>) -> String {
        format!("found for {}", queries.join(", "))
    }

    fn describe(&self, name: &str) -> Option<String> {
        (name == "get").then(|| "get(id: integer)".to_owned())
    }

    fn signature(&self, entry: &CatalogEntry) -> String {
        format!("{}(..)", entry.name)
    }
}

/// A person with one answer, who keeps the questions.
struct Person(Result<(), ChangeRefusal>, Mutex<Vec<ChangeQuestion>>);

impl Person {
    fn who_says(answer: Result<(), ChangeRefusal>) -> Self {
        Self(answer, Mutex::default())
    }

    fn questions(&self) -> Vec<ChangeQuestion> {
        self.1.lock().unwrap().clone()
    }
}

impl ChangeApproval for Person {
    fn approve(&self, question: ChangeQuestion) -> BoxFuture<'_, Result<(), ChangeRefusal>> {
        self.1.lock().unwrap().push(question);
        std::future::ready(self.0.clone()).boxed()
    }
}

struct Bench {
    harness: Harness,
    upstream: Upstream,
}

impl Bench {
    async fn new(answers: Vec<Answer>) -> Self {
        let upstream = Upstream::start(answers).await;
        let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |settings| {
            settings.confirm = ConfirmPolicy::Ask;
        });
        Self { harness, upstream }
    }

    async fn run(
        &self,
        scope: ScriptScope,
        code: &str,
        person: Option<&Person>,
    ) -> Result<CallOutcome, ScriptError> {
        let script = CallerScript::new(code.to_owned(), scope);
        let Harness { gate, executor, .. } = &self.harness;
        let person = person.map(|person| person as &dyn ChangeApproval);
        executor.run_script(gate, &script, person, &Guide, &CallContext::default()).await
    }

    async fn reads(&self, code: &str) -> Value {
        shown(self.run(ScriptScope::Reads, code, None).await.unwrap())
    }

    async fn failure(&self, scope: ScriptScope, code: &str) -> String {
        self.run(scope, code, None).await.unwrap_err().for_model()
    }
}

fn shown(outcome: CallOutcome) -> Value {
    match outcome.payload {
        AnswerPayload::Json(text) => text.value().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn ok() -> Vec<Answer> {
    vec![Answer::json(200, r#"{"id":1}"#)]
}

#[tokio::test]
async fn a_script_names_tools_in_each_way() {
    let bench = Bench::new(ok()).await;
    let one = json!({ "id": 1 });
    assert_eq!(bench.reads("return api.get({ id: 1 })").await, one);
    assert_eq!(bench.reads("return api.fake.get({ id: 1 })").await, one);
    assert_eq!(bench.reads("const n = 'get'; return api[n]({ id: 1 })").await, one);
    // Who writes a function around it means what it returns.
    assert_eq!(bench.reads("return async () => { return api.get({ id: 1 }) }").await, one);
    assert_eq!(bench.reads("return async (api) => (await api.get({ id: 1 })).id").await, json!(1));
    assert_eq!(bench.reads("return api.both()").await, json!([one, one]));
    assert_eq!(bench.reads("return api.search({ text: 'a' })").await, one);
    let all = "return (await Promise.all([1, 2, 3].map((id) => api.get({ id })))).length";
    assert_eq!(bench.reads(all).await, json!(3));
    let names = bench.reads("return [Object.keys(api), 'get' in api, 'no' in api]").await;
    assert_eq!(names, json!([["get", "list", "search", "both", "fake"], true, false]));
    assert_eq!(bench.reads("return Object.keys(api.fake).length").await, json!(4));
    assert_eq!(bench.reads("return [typeof api.then, String(api.toJSON)]").await[0], "undefined");
}

#[tokio::test]
async fn types_are_taken_out() {
    let bench = Bench::new(ok()).await;
    let code = "interface Thing { id: number }\nconst got = (await api.get({ id: 1 })) as Thing;\n\
                const ids: number[] = [got.id];\nreturn ids";
    assert_eq!(bench.reads(code).await, json!([1]));
    assert_eq!(bench.upstream.requests().len(), 1);
    let code = "const a: number = 1;\nconst b: = 2;";
    let failure = bench.failure(ScriptScope::Reads, code).await;
    assert!(failure.contains("(line 1)"), "{failure}");
    // What fails while it runs is not run again.
    let code = "await api.get({ id: 1 }); JSON.parse('{')";
    assert!(bench.failure(ScriptScope::Reads, code).await.contains("SyntaxError"));
    assert_eq!(bench.upstream.requests().len(), 2);
}

#[tokio::test]
async fn helpers_find_tools_and_dates() {
    let bench = Bench::new(ok()).await;
    assert_eq!(bench.reads("return dadl.search('vms')").await, "found for vms");
    assert_eq!(bench.reads("return dadl.search(['vms', 'disks'])").await, "found for vms, disks");
    for wrong in ["", "1", "[]", "['a', 1]", "Array(9).fill('a')"] {
        let code = format!("try {{ await dadl.search({wrong}) }} catch (e) {{ return e.message }}");
        assert_eq!(
            bench.reads(&code).await,
            "dadl.search takes a text, or a list of 1 to 8 texts",
            "{wrong}"
        );
    }
    assert_eq!(bench.reads("return dadl.describe('get')").await, "get(id: integer)");
    let dates = "return [dadl.iso(0), dadl.iso(1700000000), dadl.iso(1700000000000)]";
    let known =
        ["1970-01-01T00:00:00.000Z", "2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.000Z"];
    assert_eq!(bench.reads(dates).await, json!(known));
    // The clock is read once more after the helper has read it.
    let ago = "return -(dadl.ago(2, 'h') - Date.now()) >= 7200000";
    assert_eq!(bench.reads(ago).await, json!(true));
    let unknown = bench.failure(ScriptScope::Reads, "return dadl.describe('no')").await;
    assert!(unknown.contains("dadl.describe: there is no tool \"no\""), "{unknown}");
}

#[tokio::test]
async fn a_script_that_reads_leaves_nothing_behind() {
    let bench = Bench::new(ok()).await;
    for tool in ["put", "pop", "query", "file"] {
        let code = format!("return api.{tool}({{ id: 1, name: 'x' }})");
        let failure = bench.failure(ScriptScope::Reads, &code).await;
        let call = format!(
            "Make this call by itself: api_change {{\"tool\":\"{tool}\",\"arguments\":{{\"id\":1,\"name\":\"x\"}}}}"
        );
        assert!(failure.contains(&call), "{failure}");
    }
    assert!(bench.upstream.requests().is_empty());
}

#[tokio::test]
async fn nothing_dangerous_is_called_from_a_script() {
    let upstream = Upstream::start(ok()).await;
    let harness = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |settings| {
        settings.confirm = ConfirmPolicy::Never;
    });
    let bench = Bench { harness, upstream };
    for (call, arguments) in [("delete({ id: 1 })", r#"{"id":1}"#), ("clear()", "{}")] {
        let failure = bench.failure(ScriptScope::Changes, &format!("return api.{call}")).await;
        let (tool, _) = call.split_once('(').unwrap();
        let expected = format!("api_change {{\"tool\":\"{tool}\",\"arguments\":{arguments}}}");
        assert!(failure.contains("it is dangerous") && failure.contains(&expected), "{failure}");
    }
    // A composite that delegates nothing, and one that computes what it calls.
    for composite in ["sneak", "guess"] {
        let code = format!("return api.{composite}()");
        let failure = bench.failure(ScriptScope::Changes, &code).await;
        assert!(failure.contains("\"delete\" was not called: it is dangerous"), "{failure}");
    }
    assert!(bench.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_composite_that_says_less_than_it_does_is_a_change() {
    let bench = Bench::new(ok()).await;
    let person = Person::who_says(Ok(()));
    let outcome = bench.run(ScriptScope::Changes, "return api.sly()", Some(&person)).await.unwrap();
    assert_eq!(person.questions()[0].changes, [("sly".to_owned(), 1)]);
    assert_eq!(outcome.notes[0], "1 change by this script: sly {} (done)");
    let failure = bench.failure(ScriptScope::Reads, "return api.sly()").await;
    assert!(failure.contains("may leave something behind"), "{failure}");
}

#[tokio::test]
async fn what_is_too_long_is_not_run() {
    let bench = Bench::new(ok()).await;
    let code = format!("return 1; // {}", "x".repeat(64 * 1024));
    let failure = bench.failure(ScriptScope::Reads, &code).await;
    assert!(failure.contains("the code is longer than 65536 bytes"), "{failure}");
}

#[tokio::test]
async fn a_change_that_may_have_been_done_is_not_said_to_have_failed() {
    let bench = Bench::new(vec![Answer::Close(Vec::new())]).await;
    let failure = bench.failure(ScriptScope::Changes, "return api.put({ id: 1 })").await;
    assert!(failure.contains("put {\"id\":1} (may have been done: look before"), "{failure}");
}

#[tokio::test]
async fn the_end_of_the_program_tells_the_changes() {
    let bench = Bench::new(vec![Answer::json(200, "{}"), Answer::Hang(Vec::new())]).await;
    let script = CallerScript::new(
        "await api.put({ id: 1 }); await api.list()".to_owned(),
        ScriptScope::Changes,
    );
    let ends = CancellationToken::new();
    let context = CallContext::default().until(ends.clone());
    let Harness { gate, executor, .. } = &bench.harness;
    let run = executor.run_script(gate, &script, None, &Guide, &context);
    let stop = async {
        while bench.upstream.requests().len() < 2 {
            bench.upstream.request_arrived().await;
        }
        ends.cancel();
    };
    let (ended, ()) = tokio::join!(run, stop);
    let error = ended.unwrap_err().for_model();
    assert!(
        error.contains("the server is ending") && error.contains("put {\"id\":1} (done)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_mistake_says_where_and_what_is_right() {
    let bench = Bench::new(ok()).await;
    let reads = ScriptScope::Reads;
    let failure = bench.failure(reads, "\nreturn api.get({ ident: 1 })").await;
    assert!(failure.contains("; it is get(..)"), "{failure}");
    assert!(failure.ends_with("(line 2)"), "{failure}");
    let failure = bench.failure(reads, "return api.lst()").await;
    assert!(failure.contains("there is no tool \"lst\"") && failure.contains("list"), "{failure}");
    let failure = bench.failure(reads, "return api.fake.lst()").await;
    assert!(failure.contains("there is no tool \"lst\""), "{failure}");
    let failure = bench.failure(reads, "let a = 1;\nlet b = ;").await;
    assert!(failure.contains("line 2"), "{failure}");
    let caught = "try { await api.get({}) } catch (e) { return [e.code, e.http_status] }";
    assert_eq!(bench.reads(caught).await, json!(["invalid_input", null]));
}

#[tokio::test]
async fn the_first_change_waits_for_a_person() {
    let bench = Bench::new(ok()).await;
    let code = "await api.list(); await Promise.all([1, 2, 3].map((id) => api.put({ id, name: 'n' }))); \
                await api.put({ id: 4 }); return 'done'";
    let person = Person::who_says(Ok(()));
    let outcome = bench.run(ScriptScope::Changes, code, Some(&person)).await.unwrap();
    let question = ChangeQuestion {
        changes: vec![("put".to_owned(), 3)],
        backends: vec!["fake".to_owned()],
        most: 50,
    };
    assert_eq!(person.questions(), [question]);
    assert_eq!(outcome.notes, ["4 changes by this script: put 4 times (all done)"]);
    // Whoever says no is not asked again.
    let bench = Bench::new(ok()).await;
    let person = Person::who_says(Err(ChangeRefusal::Declined));
    let code = "const r = []; for (const id of [1, 2]) { try { await api.put({ id }) } catch (e) { r.push(e.code) } } return r";
    let outcome = bench.run(ScriptScope::Changes, code, Some(&person)).await.unwrap();
    assert_eq!(person.questions().len(), 1);
    assert_eq!(shown(outcome), json!(["forbidden", "forbidden"]));
    assert!(bench.upstream.requests().is_empty());
}

#[tokio::test]
async fn every_end_tells_the_changes() {
    let answers = vec![Answer::json(200, "{}"), Answer::json(409, r#"{"error":"taken"}"#)];
    let bench = Bench::new(answers).await;
    let code = "await api.put({ id: 1 }); await api.put({ id: 2 }); await api.put({ id: 3 })";
    let failure = bench.failure(ScriptScope::Changes, code).await;
    assert!(
        failure
            .contains("2 changes by this script: put {\"id\":1} (done); put {\"id\":2} (failed: "),
        "{failure}"
    );
    assert!(failure.contains("Do not run it again as a whole"), "{failure}");
    let changes = bench.harness.executor.script_changes(&CallContext::default().client);
    assert_eq!(changes[0]["script"], "failed");
    assert_eq!(changes[0]["changes"][0]["end"], "(done)");
    // A script that nobody waits for any more.
    let bench = Bench::new(vec![Answer::json(200, "{}"), Answer::Hang(Vec::new())]).await;
    {
        let code = "await api.put({ id: 1 }); await api.put({ id: 2 })";
        let run = bench.run(ScriptScope::Changes, code, None);
        let second = async {
            while bench.upstream.requests().len() < 2 {
                bench.upstream.request_arrived().await;
            }
        };
        tokio::select! {
            outcome = run => panic!("{outcome:?}"),
            () = second => {}
        }
    }
    let changes = bench.harness.executor.script_changes(&CallContext::default().client);
    assert_eq!(changes[0]["script"], "cancelled");
    let ends: Vec<&Value> =
        changes[0]["changes"].as_array().unwrap().iter().map(|it| &it["end"]).collect();
    assert_eq!(ends, ["(done)", "(sent; its end is not known)"]);
}

#[tokio::test]
async fn a_script_that_reads_has_no_ledger() {
    let bench = Bench::new(ok()).await;
    assert_eq!(bench.reads("return (await api.list()).id").await, json!(1));
    assert!(bench.harness.executor.script_changes(&CallContext::default().client).is_empty());
}
