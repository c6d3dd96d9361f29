//! What a model reads of the tools that it asked for.

use std::sync::Arc;

use dadl_text::text::about_tokens;

use super::{request::LEAST_BUDGET, *};
use crate::{
    access::{AccessLevels, AccessPolicy},
    catalog::{BackendTools, Catalog},
};

const API: &str = r#"
backend:
  name: api
  type: rest
  description: Machines and what they need.
  base_url: https://api.example.com
  auth: { type: bearer, credential: none }
  types:
    VM:
      type: object
      properties:
        id: { type: string }
        size: { type: integer, description: Bytes }
  tools:
    list_vms: { method: GET, path: /vms, access: read, description: "VMs. Ordered by name.", returns: { type: array, items: VM }, params: { limit: { type: integer, in: query, default: 100 }, state: { type: string, in: query, description: "On or off" } } }
    get_vm: { method: GET, path: "/vms/{id}", access: read, description: "One VM.", returns: VM, params: { id: { type: string, in: path, required: true } } }
    delete_vm: { method: DELETE, path: "/vms/{id}", access: dangerous, description: "Destroy a VM.", params: { id: { type: string, in: path, required: true } } }
    list_vm_alarms: { method: GET, path: "/vms/{id}/alarms", access: read, description: "Alarms of a VM.", params: { id: { type: string, in: path, required: true } } }
    list_host_alarms: { method: GET, path: "/hosts/{id}/alarms", access: read, description: "Alarms of a host.", params: { id: { type: string, in: path, required: true } } }
    list_pool_alarms: { method: GET, path: "/pools/{id}/alarms", access: read, description: "Alarms of a pool.", params: { id: { type: string, in: path, required: true } } }
    list_sr_alarms: { method: GET, path: "/srs/{id}/alarms", access: read, description: "Alarms of an SR.", params: { id: { type: string, in: path, required: true } } }
"#;

fn finder(levels: &[&str]) -> ToolFinder {
    finder_with(levels, "")
}

/// Makes a finder of the tools above and of more.
fn finder_with(levels: &[&str], more: &str) -> ToolFinder {
    let text = format!(
        "spec: https://dadl.ai/spec/dadl-spec-v0.2.md\ncredits: [\"dadl-mcp's tests\"]\nsource_name: \"Test API\"\nsource_url: https://example.com/docs\ndate: \"2026-11-01\"\n{}{more}",
        API.trim_start()
    );
    let loaded = dadl_descriptor::load(&dadl_descriptor::source::SourceText::new("api.dadl", text));
    let descriptor = loaded.descriptor.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let policy = AccessPolicy {
        levels: AccessLevels::new(levels.iter().copied()),
        ..AccessPolicy::default()
    };
    let backend = BackendTools {
        name: "api",
        descriptor: Arc::new(descriptor),
        server: None,
        policy: &policy,
        task_wait: None,
    };
    ToolFinder::new(Arc::new(Catalog::build(&[backend])))
}

#[test]
fn how_filters_are_written_is_said_once_behind_the_signatures() {
    let language = "_dadl_mcp: {filters: {filter: {or: '|(a b)', said: 'terms with blanks between must all hold'}}}\n";
    let list = |kind: &str| {
        format!(
            "    list_{kind}: {{ method: GET, path: /{kind}, access: read, description: \"All {kind}.\", \
             params: {{ filter: {{ type: string, in: query }} }} }}\n"
        )
    };
    let finder =
        finder_with(&["all"], &format!("{}{}{language}", list("routers"), list("switches")));
    let mut request = SearchRequest::new(vec!["list_routers".to_owned(), "switches".to_owned()]);
    let said = "\n// filter: terms with blanks between must all hold\n";
    let answer = finder.search(&request).text;
    assert!(answer.contains("list_routers(") && answer.contains("list_switches("), "{answer}");
    assert_eq!(answer.matches(said).count(), 1, "{answer}");
    request.queries = vec!["delete_vm".to_owned()];
    let answer = finder.search(&request).text;
    assert!(!answer.contains("// filter"), "{answer}");
}

fn text(finder: &ToolFinder, query: &str) -> String {
    finder.search(&SearchRequest::new(vec![query.to_owned()])).text
}

#[test]
fn a_tool_is_found_with_its_signature() {
    let text = text(&finder(&["all"]), "list all virtual machines");
    let line = text.lines().next().unwrap();
    assert_eq!(
        line,
        "list_vms(limit?: integer = 100, state?: string (On or off)): {id: string, size: integer (Bytes)}[]  \
         // read. VMs. Ordered by name."
    );
}

#[test]
fn a_family_takes_one_line() {
    let text = text(&finder(&["all"]), "alarms of a host");
    assert!(text.starts_with("list_host_alarms(id: string)"), "{text}");
    assert!(text.contains("Alike: list_{vm,pool,sr}_alarms"), "{text}");
    assert_eq!(text.matches("_alarms").count(), 2, "{text}");
}

#[test]
fn what_may_not_be_called_is_not_found() {
    let finder = finder(&["read"]);
    assert!(!text(&finder, "delete a vm").contains("delete_vm"));
    assert_eq!(finder.describe("delete_vm"), None);
}

#[test]
fn a_name_gives_all_about_a_tool() {
    let finder = finder(&["all"]);
    let full = finder.describe("list_vms").unwrap();
    assert!(full.ends_with("\n  state: On or off"), "{full}");
    assert_eq!(finder.describe("api.list_vms"), Some(full.clone()));
    assert!(text(&finder, "list_vms").starts_with(&full));
}

#[test]
fn the_budget_is_kept() {
    let more: String = (0..60)
        .map(|at| format!("    get_part_{at}: {{ method: GET, path: /parts/{at}, access: read, description: \"One part of a machine, the {at}th.\" }}\n"))
        .collect();
    let finder = finder_with(&["all"], &more);
    let mut request = SearchRequest::new(vec!["part".to_owned(), "*".to_owned(), "*_*".to_owned()]);
    for budget in [0, 200, 400, 1_500] {
        request.budget = budget;
        let answer = finder.search(&request);
        assert!(about_tokens(&answer.text) <= budget.max(LEAST_BUDGET), "{}", answer.text);
        assert!(
            answer.text.contains("Also: ") && answer.text.contains("other words"),
            "{}",
            answer.text
        );
    }
}

#[test]
fn what_no_tool_does_is_said_first() {
    let finder = finder(&["all"]);
    let only = text(&finder, "create backup schedule");
    assert!(only.starts_with("No tool does \"create backup schedule\"; nearest:\n"), "{only}");
    assert!((3..=7).contains(&only.lines().count()) && only.len() < 800, "{only}");
    let request = SearchRequest::new(vec!["create user".to_owned(), "list vms".to_owned()]);
    let both = finder.search(&request).text;
    assert!(both.starts_with("No tool does \"create user\".\nlist_vms("), "{both}");
    assert!(!text(&finder, "delete vm").contains("No tool"), "{both}");
}

#[test]
fn nothing_says_what_there_is() {
    let finder = finder(&["all"]);
    assert!(text(&finder, "weather").contains("api (7 tools)"));
    let mut request = SearchRequest::new(vec!["vm".to_owned()]);
    request.only_backend = Some("other".to_owned());
    assert!(
        finder.search(&request).text.contains("no backend of that name. Backends: api (7 tools)")
    );
}

#[test]
fn tools_of_a_server_are_found_like_all_others() {
    let all = serde_json::json!([
        {
            "name": "create_issue", "description": "Open a new issue\u{e0041} in a repository.",
            "inputSchema": {
                "properties": {
                    "repo": { "$ref": "#/$defs/Repo" },
                    "labels": { "type": "array", "items": { "type": "string" } },
                },
                "required": ["repo"],
                "$defs": { "Repo": { "type": "string", "description": "owner/name" } },
            },
            "outputSchema": {
                "type": "object",
                "properties": { "number": { "type": "integer" }, "url": { "type": "string" } },
            },
        },
        { "name": "push_files", "description": "Push files.", "inputSchema": {} },
        { "name": "secret_tool", "description": "Open an issue.", "inputSchema": {} },
    ]);
    let levels = [("create_*", "write"), ("push_*", "write")];
    let catalog = crate::catalog::fixture::server_catalog(&all, &levels, &["read", "write"]);
    let finder = ToolFinder::new(Arc::new(catalog));
    let found = text(&finder, "file a bug: create an issue in the repository");
    assert!(
        found.contains(
            "create_issue(repo: string (owner/name), labels?: string[]): {number: integer, url: string}  // \
             write. Open a new issue in a repository."
        ),
        "{found}"
    );
    assert!(!found.contains("secret_tool"), "{found}");
    let described = finder.describe("git.push_files").unwrap();
    assert_eq!(described, "push_files()  // write. Push files.");
}

#[test]
fn names_in_camel_case_are_folded_as_they_are() {
    let kinds = ["Vm", "VmDisk", "Host", "SR", "pool2"];
    let more: String = kinds
        .iter()
        .map(|kind| format!("    check{kind}Health: {{ method: GET, path: \"/{kind}/{{id}}\", access: read, description: \"Health.\", params: {{ id: {{ type: string, in: path, required: true }} }} }}\n"))
        .collect();
    let finder = finder_with(&["all"], &more);
    let text = text(&finder, "check health of a host");
    assert!(text.starts_with("checkHostHealth("), "{text}");
    assert!(!text.contains('{') || !text.contains("_Health"), "{text}");
    for kind in kinds.iter().filter(|kind| **kind != "pool2") {
        assert!(text.contains(kind), "{kind}: {text}");
    }
}

#[test]
fn tools_of_the_program_are_found_whatever_the_backend() {
    let builtin = BuiltinText {
        name: "task_wait".to_owned(),
        description: "Wait for a task to end.".to_owned(),
        signature: "task_wait(task: string)  // read. Wait for a task to end.".to_owned(),
        reads: true,
    };
    let finder = finder(&["all"]).with_builtins(vec![builtin]);
    let mut request = SearchRequest::new(vec!["wait for a task".to_owned()]);
    request.only_backend = Some("api".to_owned());
    let answer = finder.search(&request);
    assert_eq!(answer.tools, [FoundTool::Builtin(0)], "{}", answer.text);
    request.only_backend = Some("other".to_owned());
    assert!(finder.search(&request).text.starts_with("There is no backend of that name"));
}

#[test]
fn parameters_without_room_are_named() {
    let params: String = (0..60)
        .map(|at| {
            format!(
                "option_{at}: {{ type: string, in: query, description: \"One of many options\" }}, "
            )
        })
        .collect();
    let more = format!(
        "    tune_vm: {{ method: POST, path: /tune, access: write, description: \"Tune a VM.\", params: {{ {params} }} }}\n"
    );
    let text = text(&finder_with(&["all"], &more), "tune a vm");
    let line = text.lines().next().unwrap();
    assert!(line.contains("option_0?: string (One of many options)"), "{line}");
    assert!(line.contains(", option_20?, option_21?, ") && line.contains(" more)"), "{line}");
    assert!(line.len() < 1_200, "{line}");
}

#[test]
fn a_parameter_that_no_list_has_is_found_by_who_asks_for_it() {
    let tool = "    update_vm: { method: PATCH, path: \"/vms/{id}\", access: write, description: \"Change a VM.\", \
                params: { id: { type: string, in: path, required: true }, startDelay: { type: integer, in: body, \
                description: Seconds }, name: { type: string, in: body } } }\n";
    let finder =
        finder_with(&["all"], &format!("{tool}_dadl_mcp: {{ unlisted_params: [startDelay] }}\n"));
    for query in ["startDelay", "vm start delay"] {
        let answer = text(&finder, query);
        let line = answer.lines().next().unwrap();
        assert!(line.starts_with("update_vm(id: string, name?: string)"), "{answer}");
        assert!(line.ends_with(" Takes startDelay, too."), "{answer}");
    }
    assert!(!text(&finder, "change a vm").contains("startDelay"));
    assert!(finder.describe("update_vm").unwrap().ends_with("\n  startDelay?: Seconds"));
}

const FIT: &str = "_dadl_mcp:\n  fit:\n    openapi: /doc.json\n    product: api\n    \
    needs:\n      - { tools: [add_rule, delete_rule, list_network_alarms], plugin: sdn, remedy: an administrator loads it }\n      \
    - { tools: [merge_pools], remedy: no API has it, instead: list_pool_alarms }\n";
const FEW_HAVE: &str = "    \
    add_rule: { method: POST, path: /rules, access: write, description: \"Add a firewall rule.\", params: { port: { type: integer, in: body } } }\n    \
    delete_rule: { method: DELETE, path: /rules, access: write, description: \"Delete a firewall rule.\" }\n    \
    merge_pools: { method: POST, path: /merge, access: write, description: \"Merge two pools.\" }\n    \
    list_network_alarms: { method: GET, path: \"/networks/{id}/alarms\", access: read, description: \"Alarms of a network.\", params: { id: { type: string, in: path, required: true } } }\n";

#[test]
fn what_the_server_lacks_is_found_with_the_reason_and_is_no_call() {
    let finder = finder_with(&["all"], &format!("{FEW_HAVE}{FIT}"));
    let answer = finder.search(&SearchRequest::new(vec!["add a firewall rule".to_owned()]));
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!(
        lines[0],
        "Perhaps not available: add_rule: these need the plugin sdn, and nobody knows whether the server \
         has it; an administrator loads it.",
        "{answer:?}"
    );
    assert!(!answer.text.contains("add_rule(") && !answer.text.contains("port"), "{answer:?}");
    assert!(answer.tools.len() == 1 && !answer.text.contains("No tool does"), "{answer:?}");
    // Its name finds it, too, and so does a pattern.
    for query in ["merge_pools", "merge_*"] {
        let text = text(&finder, query);
        assert_eq!(
            text,
            "Perhaps not available: merge_pools: few servers have these; no API has it; call `list_pool_alarms`.\n"
        );
    }
}

#[test]
fn what_there_is_comes_before_what_there_is_not() {
    let finder = finder_with(&["all"], &format!("{FEW_HAVE}{FIT}"));
    let request = SearchRequest::new(vec!["alarms of a host".to_owned()]);
    let answer = finder.search(&request).text;
    assert!(answer.starts_with("list_host_alarms("), "{answer}");
    assert!(answer.contains("Alike: list_{vm,pool,sr}_alarms"), "{answer}");
    // What fits far better than all there is has the first line.
    let answer = text(&finder, "alarms of a network");
    assert!(answer.starts_with("Perhaps not available: list_network_alarms: "), "{answer}");
    assert!(!answer.contains("list_network_alarms("), "{answer}");
    // Who may not call a tool learns nothing of it.
    let reader = finder_with(&["read"], &format!("{FEW_HAVE}{FIT}"));
    assert!(!text(&reader, "add a firewall rule").contains("add_rule"));
    assert!(!text(&finder, "list all virtual machines").contains("not available"));
}
