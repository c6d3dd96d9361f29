//! What is left out of a list, and that nothing else changes by it.

use std::sync::Arc;

use dadl_descriptor::{load, source::SourceText};
use proptest::prelude::*;

use super::*;
use crate::{
    access::{AccessDecision, AccessLevels, AccessPolicy, ToolPatterns},
    catalog::{BackendTools, Catalog, CatalogEntry},
};

const HEAD: &str = "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  fit:\n    \
    openapi: /doc.json\n    product: api\n    complete_since: \"0.5\"\n    \
    releases: {\"1.0\": One, \"2.0\": Two}\n    update: update it\n    \
    since: {\"1.5\": [newer, safely]}\n    needs:\n      \
    - {tools: [add_rule], plugin: sdn, shown_by: [set_rule], shown_since: \"1.2\", remedy: load it}\n      \
    - {tools: [set_rule], plugin: sdn, remedy: load it}\n      \
    - {tools: [join], instead: add, remedy: none has it}\n\
    backend:\n  name: example\n  type: rest\n  base_url: https://example.com/rest/v0\n  \
    description: An example.\n  auth: {type: bearer, credential: key}\n  tools:\n    \
    list: {method: GET, path: /things, access: read, description: L.}\n    \
    get: {method: GET, path: \"/things/{id}\", access: read, description: G., params: {id: {type: string, in: path, required: true}}}\n    \
    add: {method: POST, path: /things/actions/add, access: write, description: A.}\n    \
    join: {method: POST, path: /things/actions/join, access: write, description: J.}\n    \
    newer: {method: POST, path: /things/actions/newer, access: write, description: N.}\n    \
    add_rule: {method: POST, path: /rules/add, access: write, description: R.}\n    \
    set_rule: {method: POST, path: /rules/set, access: write, description: S.}\n  composites:\n    \
    safely: {description: C., code: \"return await api.get({id: 'x'});\"}\n    \
    rules: {description: C., access: write, code: \"await api.add_rule({}); return await api.set_rule({});\"}\n";

const ALL: [&str; 7] = [
    "GET /things",
    "GET /things/{}",
    "POST /things/actions/add",
    "POST /things/actions/join",
    "POST /things/actions/newer",
    "POST /rules/add",
    "POST /rules/set",
];

fn descriptor() -> Arc<Descriptor> {
    let loaded = load(&SourceText::new("t", HEAD.to_owned()));
    Arc::new(loaded.descriptor.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)))
}

fn offer(version: &str, has: &[&str]) -> ServerOffer {
    ServerOffer {
        version: version.parse().ok(),
        below: String::new(),
        has: has.iter().map(|&text| text.to_owned()).collect(),
    }
}

fn said(name: &str, offer: Option<&ServerOffer>) -> String {
    match standing(&descriptor(), name, offer) {
        ToolAvailability::Has => "has".to_owned(),
        ToolAvailability::Lacks(lack) => format!("lacks: {lack}"),
        ToolAvailability::Unknown(Some(lack)) => format!("unknown: {lack}"),
        ToolAvailability::Unknown(None) => "unknown".to_owned(),
    }
}

#[test]
fn what_the_document_lacks_is_lacking() {
    let all = offer("2.1", &ALL);
    for name in ["list", "get", "newer", "join", "add_rule", "set_rule", "safely", "rules"] {
        assert_eq!(said(name, Some(&all)), "has", "{name}");
    }
    let old = offer("1.2", &ALL[..3]);
    assert_eq!(
        said("newer", Some(&old)),
        "lacks: `newer` needs api 1.5.0 (One) or later, and this server has api 1.2.0 (One); update it"
    );
    assert_eq!(
        said("set_rule", Some(&old)),
        "lacks: `set_rule` needs the plugin sdn, which this server (api 1.2.0 (One)) has not loaded; \
         load it"
    );
    assert_eq!(
        said("join", Some(&old)),
        "lacks: this server (api 1.2.0 (One)) has no POST /things/actions/join, which `join` calls; \
         none has it; call `add`"
    );
    let new = offer("3", &ALL[..3]);
    assert_eq!(
        said("newer", Some(&new)),
        "lacks: this server (api 3.0.0 (Two)) has no POST /things/actions/newer, which `newer` calls"
    );
    assert_eq!(
        said("newer", None),
        "unknown: this server may lack what `newer` needs: api 1.5.0 (One) or later; update it; \
         `dadl-mcp doctor` says what it has"
    );
    assert_eq!(said("get", None), "unknown");
}

#[test]
fn a_base_path_on_either_side_matches() {
    let rooted = offer("2", &["GET /rest/v0/things", "GET /rest/v0/things/{}"]);
    assert_eq!(said("get", Some(&rooted)), "has");
    let below = ServerOffer { below: "/rest/v0".to_owned(), ..offer("2", &["GET /things/{}"]) };
    assert_eq!(said("get", Some(&below)), "has");
    let elsewhere = offer("2", &["GET /rest/v1/things/{}"]);
    assert!(said("get", Some(&elsewhere)).starts_with("lacks: "));
}

#[test]
fn an_older_document_judges_nothing() {
    for version in ["0.4", "no version"] {
        let early = offer(version, &ALL[..1]);
        assert_eq!(said("get", Some(&early)), "unknown");
        assert!(said("newer", Some(&early)).starts_with("unknown: "), "{version}");
    }
}

#[test]
fn a_tool_is_shown_by_another() {
    let shown = offer("1.2", &["GET /things", "POST /rules/set"]);
    assert_eq!(said("add_rule", Some(&shown)), "has");
    let not_shown = offer("1.2", &ALL[..1]);
    assert!(said("add_rule", Some(&not_shown)).starts_with("lacks: `add_rule` needs the plugin"));
    let before = offer("1.1", &ALL[..1]);
    assert!(said("add_rule", Some(&before)).starts_with("unknown: "));
}

#[test]
fn a_composite_is_left_out_with_all_its_calls() {
    let both = offer("1.2", &ALL[..3]);
    assert!(said("rules", Some(&both)).starts_with("lacks: `rules` needs the plugin sdn"));
    assert!(said("safely", Some(&both)).starts_with("lacks: `safely` needs api 1.5.0 (One)"));
    let one = offer("1.2", &["POST /rules/set"]);
    assert_eq!(said("rules", Some(&one)), "has");
}

#[test]
fn what_is_half_another_api_is_not_believed() {
    let descriptor = descriptor();
    assert!(offer("2", &ALL[..2]).is_plausible(&descriptor));
    assert!(!offer("2", &ALL[..1]).is_plausible(&descriptor));
    assert!(!offer("2", &[]).is_plausible(&descriptor));
}

fn catalog(policy: &AccessPolicy, offer: Option<ServerOffer>) -> Catalog {
    let backend = BackendTools {
        name: "test",
        descriptor: descriptor(),
        server: None,
        policy,
        task_wait: None,
    };
    Catalog::fitted(&[backend], &[offer.map(Arc::new)])
}

fn listed(catalog: &Catalog) -> Vec<&str> {
    catalog.listed().map(CatalogEntry::declared_name).collect()
}

#[test]
fn who_names_a_tool_wants_it() {
    let levels = AccessLevels::new(["all"]);
    let policy = AccessPolicy { levels: levels.clone(), ..AccessPolicy::default() };
    let unknown = catalog(&policy, None);
    assert_eq!(listed(&unknown), ["list", "get", "add", "newer", "safely", "rules"]);
    let tools = |words: &[&str]| Some(ToolPatterns::new(words.iter().copied()).unwrap());
    let policy =
        AccessPolicy { tools: tools(&["join", "add*"]), levels, ..AccessPolicy::default() };
    assert_eq!(listed(&catalog(&policy, None)), ["add", "join"]);
    // What is known to be missing is not listed for anybody.
    assert_eq!(listed(&catalog(&policy, Some(offer("2", &ALL[..3])))), ["add"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_offer_hides_a_denied_tool_or_allows_one(
        has in proptest::sample::subsequence(ALL.to_vec(), 0..=ALL.len()),
        version in "[0-3]\\.[0-9]",
        level in proptest::sample::select(vec!["read", "write", "all"]),
    ) {
        let policy = AccessPolicy { levels: AccessLevels::new([level]), ..AccessPolicy::default() };
        let without = catalog(&policy, None);
        let with = catalog(&policy, Some(offer(&version, &has)));
        let needs = descriptor().fit.clone().map(|fit| fit.needs).unwrap_or_default();
        for (left, right) in without.entries().iter().zip(with.entries()) {
            prop_assert_eq!(&left.decision, &right.decision);
            prop_assert_eq!(&left.name, &right.name);
            prop_assert_eq!(&left.description, &right.description);
        }
        let before = listed(&without);
        for name in listed(&with) {
            prop_assert!(before.contains(&name) || needs.contains_key(name), "{}", name);
        }
        for entry in with.left_out() {
            prop_assert!(entry.decision == AccessDecision::Allow && entry.absence.is_some());
        }
    }
}
