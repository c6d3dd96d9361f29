//! Any script ends within its bounds, reaches nothing but the tools that it is given, and what it calls, logs
//! and returns is what the program counts on.
#![no_main]

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool, mpsc},
    thread,
    time::Duration,
};

use dadl_descriptor::script::{
    ScriptParser,
    api::{ScriptApi, ScriptNames, UnknownScriptTool},
    deadline::RunDeadline,
    engine::{self, CallReply, ScriptEvent, ScriptJob},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MOST_CALLS: u32 = 8;
const TOOLS: [&str; 3] = ["list_vms", "get_vm", "fail"];

#[derive(Debug)]
struct FewNames(Vec<String>);

impl ScriptNames for FewNames {
    fn backends(&self) -> &[String] {
        &self.0
    }

    fn tools(&self, _: &str) -> Vec<String> {
        TOOLS.map(str::to_owned).to_vec()
    }

    fn find(&self, backend: &str, name: &str) -> Result<String, UnknownScriptTool> {
        let is_known = (backend.is_empty() || backend == "xo") && TOOLS.contains(&name);
        let unknown = || UnknownScriptTool { name: name.to_owned(), nearest: None };
        is_known.then(|| name.to_owned()).ok_or_else(unknown)
    }
}

fuzz_target!(|text: &str| {
    let Ok(parsed) = ScriptParser::default().parse(text) else { return };
    assert!(parsed.calls.iter().all(|(_, at)| text.get(at.clone()).is_some()));
    let code = parsed.code;
    let run = move || {
        let names = Arc::new(FewNames(vec!["xo".to_owned()]));
        let job = ScriptJob {
            code,
            params: r#"{"vm":"a","n":18446744073709551615}"#.to_owned(),
            api: ScriptApi::Open(names),
            most_calls: MOST_CALLS,
            most_busy: Duration::from_millis(200),
            deadline: Arc::new(RunDeadline::after(Duration::from_millis(500))),
        };
        let (replies, inbox) = mpsc::channel();
        let events = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&events);
        let outbox = move |event| {
            if let ScriptEvent::Call { id, tool, .. } = &event {
                let result = match tool.as_str() {
                    "fail" => Err(r#"{"message":"no","code":"http","whole":"no"}"#.to_owned()),
                    _ => Ok(r#"[{"id":"a","size":9007199254740993,"__proto__":{"x":1}}]"#.to_owned()),
                };
                let _ = replies.send(CallReply { id: *id, result, held: None });
            }
            seen.borrow_mut().push(event);
        };
        engine::run_script(&job, outbox, &inbox, Arc::new(AtomicBool::new(false)));
        let events = events.take();
        let mut ends = 0;
        let (mut calls, mut lines) = (0, 0);
        for event in &events {
            assert_eq!(ends, 0, "nothing follows the end");
            match event {
                ScriptEvent::Call { tool, arguments, .. } => {
                    calls += 1;
                    assert!(TOOLS.contains(&tool.as_str()));
                    let arguments: Value = serde_json::from_str(arguments).expect("JSON");
                    assert!(arguments.is_object());
                }
                ScriptEvent::Waits => {}
                ScriptEvent::Log { .. } => lines += 1,
                ScriptEvent::Done { result, .. } => {
                    ends += 1;
                    match result {
                        Ok(text) => drop(serde_json::from_str::<Value>(text).expect("JSON")),
                        Err(failure) => assert!(!failure.message.is_empty()),
                    }
                }
            }
        }
        assert!(ends == 1 && calls <= MOST_CALLS && lines <= engine::MOST_LINES);
    };
    let thread = thread::Builder::new().stack_size(engine::THREAD_STACK);
    thread.spawn(run).expect("a thread").join().expect("no panic");
});
