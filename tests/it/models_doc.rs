//! The page about models: its scripts run, and what it says of the surfaces is so.

use dadl_mcp::{
    executor::{CallContext, CallerScript, ScriptGuide},
    gate::script::ScriptScope,
    outcome::{AnswerPayload, CallOutcome},
};
use dadl_simulator::{SimulatorOptions, XenOrchestra};

use crate::live::events::xen_orchestra;

const PAGE: &str = include_str!("../../docs/models.md");

/// Finds nothing.
struct NoGuide;

impl ScriptGuide for NoGuide {
    fn search(&self, _: Vec<String>) -> String {
        String::new()
    }

    fn describe(&self, _: &str) -> Option<String> {
        None
    }

    fn signature(&self, entry: &dadl_mcp::catalog::CatalogEntry) -> String {
        entry.name.clone()
    }
}

#[tokio::test]
async fn each_script_of_the_page_runs() {
    let simulator = XenOrchestra::start(SimulatorOptions::default()).await.unwrap();
    let harness = xen_orchestra(&simulator.url());
    let scripts: Vec<&str> =
        PAGE.split("```js\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(scripts.len() >= 5);
    for code in scripts {
        let changes = code.contains("add_vm_tag");
        let scope = if changes { ScriptScope::Changes } else { ScriptScope::Reads };
        let script = CallerScript::new(code.to_owned(), scope);
        let context = CallContext::default();
        let ran = harness.executor.run_script(&harness.gate, &script, None, &NoGuide, &context);
        let CallOutcome { payload, .. } =
            ran.await.unwrap_or_else(|error| panic!("{error}\n{code}"));
        let AnswerPayload::Json(text) = payload else { panic!("{payload:?}") };
        assert_ne!(text.as_str(), "null", "{code}");
    }
}
