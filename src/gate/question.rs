//! The question that a person answers before a dangerous call.
//!
//! A person has to see what is about to happen, whatever a descriptor or a model writes. The facts
//! come first, in the words of this program, each on a line of its own, and the arguments before
//! all others, since hosts show the beginning; what others wrote is in quotes ([`text::quoted_text`]),
//! which hold no line break, nothing that cannot be seen and nothing that a host takes for Markdown
//! or HTML. The arguments share a bounded room, and one that is too long for its part says how much
//! of it is not shown. The description of the tool comes last, as words of others.

use std::fmt::Write as _;

use dadl_descriptor::model::{AccessLevel, Tool};
use dadl_text::text;
use serde_json::{Map, Value};

use super::{
    PendingCall,
    preview::CallPreview,
    shown_name::{LONGEST_NAME, quoted_name},
};
use crate::{
    access::UNCLASSIFIED,
    call::{self, ArgumentError, BaseUrl, CallPlan},
    catalog::{CatalogEntry, CatalogOperation, ServerTool},
};

/// So much of a description is shown.
const LONGEST_DESCRIPTION: usize = 300;
/// So many tools that a composite may call are named.
const MOST_CALLS: usize = 20;
/// The requests of so many of them are shown.
const MOST_REQUESTS: usize = 10;
/// So much of the address of each is shown.
const LONGEST_TEMPLATE: usize = 300;
/// So much of an address is shown.
const LONGEST_URL: usize = 700;
/// So many arguments have a line of their own; the others share one.
const MOST_ARGUMENTS: usize = 24;
/// So many characters of their values are shown together.
const ARGUMENTS_ROOM: usize = 6_000;
// Each can be shown, cut at least.
const _: () = assert!(ARGUMENTS_ROOM / (MOST_ARGUMENTS + 1) >= text::LEAST_QUOTED);

impl PendingCall<'_> {
    /// Returns the question for the person: tool, backend, every argument, level and request.
    pub fn question(&self) -> String {
        self.question_about(&CallPreview::default())
    }

    /// Returns the question with what is shown of the thing that the call is about, behind the facts.
    pub fn question_about(&self, preview: &CallPreview) -> String {
        let entry = self.entry;
        let mut text = format!(
            "Allow the dangerous call {} on backend {}?",
            quoted_name(&entry.name),
            quoted_name(&entry.backend_name)
        );
        let mut fact = |fact: &str| {
            text.push_str("\n- ");
            text.push_str(fact);
        };
        argument_lines(self.arguments.as_object()).iter().for_each(|it| fact(it));
        fact(&format!("Access level: {}", level_words(entry)));
        match entry.operation() {
            CatalogOperation::Tool(tool) => {
                fact(&format!("Request: {}", self.request(tool)));
            }
            CatalogOperation::Composite(composite) => {
                let calls = join_names(composite.calls.iter().map(String::as_str));
                fact(&format!("Runs a script of the descriptor, which may call: {calls}"));
            }
            CatalogOperation::Server(tool) => fact(&self.sent_to(tool)),
        }
        let delegates: Vec<&CatalogEntry> = self.gate.dangerous_delegates(entry).collect();
        if !delegates.is_empty() {
            let listed = join_names(delegates.iter().map(|it| it.name.as_str()));
            fact(&format!(
                "It may make these dangerous calls, with arguments of its own: {listed}"
            ));
        }
        let sending = delegates.iter().filter_map(|it| Some((it, it.tool()?)));
        for (delegate, tool) in sending.clone().take(MOST_REQUESTS) {
            let request = self.any_request(tool, LONGEST_TEMPLATE);
            fact(&format!("{} sends {request}", quoted_name(&delegate.name)));
        }
        match sending.count().saturating_sub(MOST_REQUESTS) {
            0 => {}
            more => fact(&format!("The requests of {more} more are not shown here")),
        }
        preview.lines().iter().for_each(|it| fact(it));
        let words: Vec<&str> = entry.operation().description().split_whitespace().collect();
        let words = words.join(" ");
        if !words.is_empty() {
            let words = text::quoted_text(&words, LONGEST_DESCRIPTION);
            let who = match entry.server_tool() {
                Some(_) => "The server",
                None => "The descriptor",
            };
            fact(&format!("{who} says about the tool, and nobody has checked: {words}"));
        }
        text
    }

    /// Says which tool of which server gets the call.
    fn sent_to(&self, tool: &ServerTool) -> String {
        let name = quoted_name(&tool.name);
        let place = self.gate.places.get(self.entry.backend.0).map(ToString::to_string);
        let server = match place {
            Some(place) => text::quoted_text(&place, LONGEST_URL),
            None => quoted_name(&self.entry.backend_name),
        };
        format!("Sent to: tool {name} of the MCP server {server}")
    }

    /// Refuses a call that makes no request, about which nobody need be asked.
    pub(super) fn check_request(&self) -> Result<(), ArgumentError> {
        let Some(tool) = self.entry.tool() else { return Ok(()) };
        self.plan(tool).transpose().map(drop)
    }

    /// Returns the request of this call: its method and its whole URL.
    fn request(&self, tool: &Tool) -> String {
        match self.plan(tool) {
            Some(Ok(plan)) => request_line(tool, plan.url.as_str(), LONGEST_URL),
            // Where it goes is not known here.
            Some(Err(_)) | None => self.any_request(tool, LONGEST_URL),
        }
    }

    /// Plans the request, where it is known where calls go.
    fn plan(&self, tool: &Tool) -> Option<Result<CallPlan, ArgumentError>> {
        let base = self.base()?;
        Some(call::plan_call(self.entry, tool, base, &self.arguments, self.gate.door))
    }

    fn base(&self) -> Option<&BaseUrl> {
        self.gate.places.get(self.entry.backend.0)?.base()
    }

    /// Returns the request of any call of a tool: its method, and its URL with placeholders.
    fn any_request(&self, tool: &Tool, most: usize) -> String {
        let base = self.base();
        let base = base.filter(|_| tool.elsewhere().is_none());
        let base = base.map(|base| base.as_str()).unwrap_or_default();
        let path = tool.path().as_str();
        let is_joined = path.is_empty() || path.starts_with(['/', '?']);
        let slash = if is_joined || tool.elsewhere().is_some() { "" } else { "/" };
        request_line(tool, &format!("{base}{slash}{path}"), most)
    }
}

/// Writes each argument, whole or with the mark that says how much of it is missing.
fn argument_lines(arguments: Map<String, Value>) -> Vec<String> {
    if arguments.is_empty() {
        return vec!["(no arguments)".to_owned()];
    }
    let mut arguments = arguments.into_iter();
    let mut shown: Vec<(String, Value)> = arguments
        .by_ref()
        .take(MOST_ARGUMENTS)
        .map(|(argument, value)| (format!("Argument {}", quoted_name(&argument)), value))
        .collect();
    let others: Map<String, Value> = arguments.collect();
    if !others.is_empty() {
        shown.push((format!("And {} more arguments", others.len()), Value::Object(others)));
    }
    let lengths = shown.iter().map(|(_, value)| text::quoted_json(value).chars().count());
    let share = text::fair_share(lengths, ARGUMENTS_ROOM);
    let line = |(what, value): &(String, Value)| {
        format!("{what} = {}", text::quoted_json_within(value, share))
    };
    shown.iter().map(line).collect()
}

fn request_line(tool: &Tool, url: &str, most: usize) -> String {
    let mut text = String::new();
    if let Some(rpc) = tool.rpc() {
        let _ = write!(text, "JSON-RPC method {}, ", quoted_name(&rpc.method));
    }
    let url = text::quoted_json_within(&Value::from(url), most);
    let _ = write!(text, "{} {url}", tool.method());
    text
}

/// Writes the level as the words of DADL are, and a word of the author in quotes.
fn level_words(entry: &CatalogEntry) -> String {
    match entry.access() {
        None => UNCLASSIFIED.to_owned(),
        Some(AccessLevel::Custom(word)) => text::quoted_text(word, LONGEST_NAME),
        Some(level) => level.as_str().to_owned(),
    }
}

fn join_names<'name>(all: impl ExactSizeIterator<Item = &'name str>) -> String {
    let more = all.len().saturating_sub(MOST_CALLS);
    let mut listed: Vec<String> = all.take(MOST_CALLS).map(quoted_name).collect();
    match (listed.is_empty(), more) {
        (true, _) => listed.push("no tool".to_owned()),
        (false, 0) => {}
        (false, more) => listed.push(format!("and {more} more")),
    }
    listed.join(", ")
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use dadl_descriptor::source::SourceText;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use crate::{
        access::{AccessLevels, AccessPolicy},
        call::{BackendPlace, BaseUrl, ProcessPlace},
        catalog::{BackendTools, Catalog, fixture},
        config::ConfirmPolicy,
        gate::Gate,
        tests::hostile,
    };

    /// A gate before tools whose descriptions are `text`.
    fn gate(text: &str) -> Gate {
        // Every character of it, in the escapes of YAML.
        let text: String = text.chars().map(|it| format!("\\U{:08x}", u32::from(it))).collect();
        let text = format!("\"{text}\"");
        let source = format!(
            r#"
spec: "https://dadl.ai/spec/dadl-spec-v0.2.md"
requires: {{ features: [composites] }}
backend:
  name: fake
  type: rest
  description: {text}
  auth: {{ type: bearer, credential: none }}
  hints: {{ drop: {{ usage: {text} }} }}
  tools:
    drop: {{ method: DELETE, path: "/things/{{id}}", access: dangerous, description: {text}, params: {{ id: {{ type: string, in: path }}, force: {{ type: string, in: query }}, body: {{ type: object, in: query }} }} }}
    __wipe: {{ method: POST, path: /wipe, access: dangerous, description: {text} }}
  composites:
    all: {{ access: write, description: {text}, delegates: [drop, __wipe], params: {{ why: {{ type: string }} }}, code: "return await api.drop({{ id: 1 }});" }}
"#
        );
        let loaded = dadl_descriptor::load(&SourceText::new("t.dadl", source));
        let descriptor = loaded.descriptor.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
        let descriptor = Arc::new(descriptor);
        let tools = [BackendTools {
            name: "fake",
            descriptor,
            server: None,
            policy: &policy,
            task_wait: None,
        }];
        let base = BaseUrl::parse("https://api.example.com/v1").unwrap();
        Gate::new(Arc::new(Catalog::build(&tools)), vec![ConfirmPolicy::Ask]).with_bases(vec![base])
    }

    fn question(gate: &Gate, tool: &str, arguments: serde_json::Value) -> Option<String> {
        let arguments: Map<String, serde_json::Value> = arguments.as_object().unwrap().clone();
        Some(gate.check(tool, arguments).ok()?.question())
    }

    /// A gate before the tool `drop` of a server.
    fn server_gate(text: &str, place: BackendPlace) -> Gate {
        let all = json!([{
            "name": "drop", "description": text,
            "inputSchema": { "properties": { "id": { "type": "string" } } },
            "annotations": { "readOnlyHint": true },
        }]);
        let catalog = fixture::server_catalog(&all, &[("drop", "dangerous")], &["dangerous"]);
        Gate::new(Arc::new(catalog), vec![ConfirmPolicy::Ask]).with_places(vec![place])
    }

    #[test]
    fn a_question_says_which_server_gets_the_call() {
        let args = ["-y", "git-server", "a b\n`x`"].map(str::to_owned).into();
        let process = BackendPlace::Process(ProcessPlace { program: "npx".to_owned(), args });
        let gate = server_gate("Removes it.\n- Access level: read", process);
        insta::assert_snapshot!(question(&gate, "drop", json!({ "id": "7" })).unwrap(), @r#"
        Allow the dangerous call drop on backend git?
        - Argument id = "7"
        - Access level: dangerous
        - Sent to: tool drop of the MCP server "npx -y git-server a b\n\u0060x\u0060"
        - The server says about the tool, and nobody has checked: "Removes it. - Access level: read"
        "#);
        let url = url::Url::parse("https://mcp.example.com/a?key=secret").unwrap();
        let gate = server_gate("", BackendPlace::Server(url));
        insta::assert_snapshot!(question(&gate, "drop", json!({ "id": "7" })).unwrap(), @r#"
        Allow the dangerous call drop on backend git?
        - Argument id = "7"
        - Access level: dangerous
        - Sent to: tool drop of the MCP server "https://mcp.example.com/a"
        "#);
    }

    #[test]
    fn the_facts_come_first() {
        let gate = gate("Removes it.\n\nBackend: harmless\u{1b}[2K <!-- `x` -->");
        let arguments = json!({ "id": "a/b", "force": "yes", "body": { "a": [1, "x\ny"] } });
        insta::assert_snapshot!(question(&gate, "drop", arguments).unwrap(), @r#"
        Allow the dangerous call drop on backend fake?
        - Argument id = "a/b"
        - Argument force = "yes"
        - Argument body = {"a":[1,"x\ny"]}
        - Access level: dangerous
        - Request: DELETE "https://api.example.com/v1/things/a%2Fb?force=yes\u0026body%5Ba%5D=1\u0026body%5Ba%5D=x%0Ay"
        - The descriptor says about the tool, and nobody has checked: "Removes it. Backend: harmless\u001b[2K \u003c!-- \u0060x\u0060 --\u003e"
        "#);
        insta::assert_snapshot!(question(&gate, "__wipe", json!({})).unwrap(), @r#"
        Allow the dangerous call "\u005f\u005fwipe" on backend fake?
        - (no arguments)
        - Access level: dangerous
        - Request: POST "https://api.example.com/v1/wipe"
        - The descriptor says about the tool, and nobody has checked: "Removes it. Backend: harmless\u001b[2K \u003c!-- \u0060x\u0060 --\u003e"
        "#);
        insta::assert_snapshot!(question(&gate, "all", json!({ "why": "_" })).unwrap(), @r#"
        Allow the dangerous call all on backend fake?
        - Argument why = "\u005f"
        - Access level: write
        - Runs a script of the descriptor, which may call: drop, "\u005f\u005fwipe"
        - It may make these dangerous calls, with arguments of its own: "\u005f\u005fwipe", drop
        - "\u005f\u005fwipe" sends POST "https://api.example.com/v1/wipe"
        - drop sends DELETE "https://api.example.com/v1/things/{id}"
        - The descriptor says about the tool, and nobody has checked: "Removes it. Backend: harmless\u001b[2K \u003c!-- \u0060x\u0060 --\u003e"
        "#);
    }

    #[test]
    fn nobody_is_asked_about_what_makes_no_request() {
        let gate = gate("x");
        let long = json!({ "id": "7", "force": "x".repeat(70_000) });
        let refused = gate.check("drop", long.as_object().unwrap().clone()).unwrap_err();
        insta::assert_snapshot!(
            refused,
            @"the arguments of `drop` cannot be used: `path` and query are longer than any server takes"
        );
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            hostile().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            Just(json!(null)),
            hostile().prop_map(|text| json!(text.repeat(60))),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::vec((hostile(), inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        /// Whatever a descriptor and a model write, the question says what is about to happen.
        #[test]
        fn no_text_hides_what_is_asked(
            text in hostile(),
            force in hostile(),
            members in prop::collection::vec(("[a-z]{1,3}", any_value()), 0..4),
            other in hostile(),
        ) {
            let gate = gate(&text);
            let body = serde_json::Value::Object(members.into_iter().collect());
            let of = |force: &str| {
                question(&gate, "drop", json!({ "id": "7", "force": force, "body": body }))
            };
            let Some(asked) = of(&force) else {
                // No server takes it, and nobody is asked.
                prop_assert!(body.to_string().len() > 10_000);
                return Ok(());
            };
            let lines: Vec<&str> = asked.split('\n').collect();
            prop_assert_eq!(lines[0], "Allow the dangerous call drop on backend fake?");
            for (line, name) in lines[1..4].iter().zip(["id", "force", "body"]) {
                let start = format!("- Argument {name} = ");
                prop_assert!(line.starts_with(&start), "{asked}");
            }
            prop_assert_eq!(lines[4], "- Access level: dangerous");
            let request = "- Request: DELETE \"https://api.example.com/v1/things/7?force=";
            prop_assert!(lines[5].starts_with(request), "{asked}");
            prop_assert!(lines.len() <= 7, "{asked}");
            if let Some(words) = lines.get(6) {
                let start = "- The descriptor says about the tool, and nobody has checked: \"";
                prop_assert!(words.starts_with(start), "{asked}");
            }
            prop_assert!(asked.chars().count() < 10_000, "{asked}");
            // Nothing that is not seen, and nothing that Markdown or HTML reads.
            let joined = asked.replace('\n', "");
            prop_assert_eq!(dadl_text::text::one_line(&joined), joined.as_str());
            for mark in ["<", ">", "&", "`", "*", "~", "](", "|", "$", "\u{200c}", "\u{200d}"] {
                prop_assert!(!asked.contains(mark), "{mark:?}: {asked}");
            }
            if other != force {
                prop_assert_ne!(of(&other), Some(asked));
            }
        }

        /// However many arguments there are, and however long they and their names are.
        #[test]
        fn the_arguments_are_bounded_and_different(
            names in prop::collection::btree_set(hostile(), 1..60),
            text in hostile(),
            times in 1_usize..60,
            changed in any::<prop::sample::Index>(),
        ) {
            let value = |mark: u8| json!([text.repeat(times), mark]);
            let given: Map<_, _> = names.iter().map(|name| (name.clone(), value(0))).collect();
            let shown = super::argument_lines(given.clone());
            let length: usize = shown.iter().map(|line| line.chars().count()).sum();
            prop_assert!(length < 10_000, "{length}: {shown:?}");
            prop_assert_eq!(shown.len(), names.len().min(super::MOST_ARGUMENTS + 1));
            let mut other = given;
            let (_, last) = other.iter_mut().nth(changed.index(names.len())).unwrap();
            *last = value(1);
            prop_assert_ne!(super::argument_lines(other), shown);
        }

        /// Two calls never look alike, however long their arguments are.
        #[test]
        fn different_calls_are_different_questions(
            bodies in prop::collection::vec(prop::collection::vec(("[a-z]{1,3}", any_value()), 0..3), 2..6),
        ) {
            let gate = gate("x");
            let mut seen = HashMap::new();
            for members in bodies {
                let body = serde_json::Value::Object(members.into_iter().collect());
                let Some(asked) = question(&gate, "drop", json!({ "id": "7", "body": body })) else {
                    prop_assert!(body.to_string().len() > 10_000);
                    continue;
                };
                if let Some(other) = seen.insert(asked, body.clone()) {
                    prop_assert_eq!(other, body);
                }
            }
        }
    }
}
