//! What counts as a difference, and that pins which cannot be read let nothing pass.

use serde_json::json;

use super::*;

fn tool(name: &str) -> Value {
    json!({
        "name": name, "description": "Reads the log.", "inputSchema": { "type": "object" },
    })
}

fn list(items: &[Value]) -> PinnedList {
    PinnedList::of("git 1.0", items, Some("Use it."))
}

fn pinned(items: &[Value]) -> BackendPins {
    let pinned = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_180_000);
    BackendPins { pinned, list: list(items) }
}

fn kinds(changes: &[PinChange]) -> Vec<(&'static str, &PinSubject)> {
    changes.iter().map(|change| (change.kind(), &change.subject)).collect()
}

#[test]
fn order_of_members_and_white_space_are_no_difference() {
    let before = json!({
        "name": "log", "title": "Log", "description": "Reads  the\n log.",
        "inputSchema": { "type": "object", "properties": { "a": { "type": "string", "title": "x" } } },
        "annotations": { "readOnlyHint": true, "title": "t" },
    });
    let after: Value = serde_json::from_str(
        r#"{ "annotations": {"title":"t","readOnlyHint":true}, "outputSchema": null, "_meta": {"x": 1},
             "inputSchema": {"properties":{"a":{"title":"x","type":"string"}},"type":"object"},
             "description": " Reads the log.", "title": "Log", "icons": [], "name": "log" }"#,
    )
    .unwrap();
    assert_eq!(list(&[before]).changes(&list(&[after])), []);
}

#[test]
fn each_part_counts() {
    let before = list(&[tool("log")]);
    for (key, value) in [
        ("description", json!("Reads the log. <IMPORTANT>")),
        // Nobody sees it.
        ("description", json!("Reads the\u{200b} log.")),
        ("title", json!("Log")),
        ("inputSchema", json!({ "type": "object", "required": [] })),
        ("inputSchema", json!({ "type": "object", "description": "two  spaces" })),
        ("outputSchema", json!({ "type": "object" })),
        ("annotations", json!({ "readOnlyHint": true })),
    ] {
        let mut now = tool("log");
        now[key] = value;
        let now = list(&[now]);
        let changes = before.changes(&now);
        assert_eq!(kinds(&changes), [("changed", &PinSubject::Tool("log".to_owned()))], "{key}");
        // What was accepted is no difference any more.
        let mut accepted = before.clone();
        accepted.accept(&changes[0]);
        assert_eq!(accepted, now);
    }
}

#[test]
fn what_is_new_or_gone_is_a_difference_with_a_digest_of_its_own() {
    let before = list(&[tool("log"), tool("push")]);
    let now = PinnedList::of("git 2.0", &[tool("log"), tool("pull")], None);
    let changes = before.changes(&now);
    let tool = |name: &str| PinSubject::Tool(name.to_owned());
    assert_eq!(
        kinds(&changes),
        [("gone", &PinSubject::Instructions), ("new", &tool("pull")), ("gone", &tool("push"))]
    );
    let digests: BTreeSet<&String> = changes.iter().map(|change| &change.digest).collect();
    assert_eq!(digests.len(), 3);
    let mut accepted = before;
    changes.iter().for_each(|change| accepted.accept(change));
    assert_eq!(accepted.changes(&now), []);
    // Of two with one name the first counts, as in the list.
    let mut second = self::tool("log");
    second["description"] = "Another.".into();
    assert_eq!(list(&[self::tool("log"), second]), list(&[self::tool("log")]));
}

#[test]
fn digests_decide() {
    let home = tempfile::tempdir().unwrap();
    let store = PinStore::new(home.path().join("pins"));
    assert!(store.server_pins("git").is_none());
    let items = [tool("log"), tool("push")];
    let pins = pinned(&items);
    store.replace("git", None, &pins).unwrap();
    assert_eq!(store.read("git").unwrap().as_ref(), Some(&pins));
    let decides = store.server_pins("git");
    assert!(decides.doubts(&items).is_empty() && decides.gone(&items).is_empty());
    let mut changed = tool("push");
    changed["description"] = "Pushes.".into();
    let now = [changed, tool("pull")];
    let doubts = decides.doubts(&now);
    assert_eq!(doubts.get("push"), Some(&PinDoubt::Changed));
    assert_eq!(doubts.get("pull"), Some(&PinDoubt::New));
    assert_eq!(decides.gone(&now), ["log"]);
    assert!(decides.allow_instructions(Some(" Use it. ")));
    for other in [None, Some("Use it always.")] {
        assert!(!decides.allow_instructions(other));
    }
    assert!(ServerPins::None.allow_instructions(Some("x")));
    // Whoever has seen something else does not decide.
    assert!(matches!(store.replace("git", None, &pins), Err(PinError::Changed(_))));
    assert_eq!(store.backends().unwrap(), ["git"]);
    store.remove("git").unwrap();
    assert!(store.read("git").unwrap().is_none());
}

#[cfg(unix)]
#[test]
fn pins_that_cannot_be_read_let_nothing_pass() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let store = PinStore::new(home.path().join("pins"));
    let items = [tool("log")];
    store.replace("git", None, &pinned(&items)).unwrap();
    let path = store.path("git");
    let text = fs::read_to_string(&path).unwrap();
    let holds = || {
        let pins = store.server_pins("git");
        pins.doubts(&items).get("log") == Some(&PinDoubt::Unusable)
            && !pins.allow_instructions(Some("Use it."))
    };
    for damaged in [
        "{".to_owned(),
        text.replace("Reads the log.", "Reads everything."),
        text.replace("\"git\"", "\"hub\""),
        text.replace("\"form\": 1", "\"form\": 2"),
    ] {
        assert_ne!(damaged, text);
        fs::write(&path, damaged).unwrap();
        assert!(holds());
        // It is not written over unseen, either.
        assert!(store.replace("git", None, &pinned(&items)).is_err());
    }
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
    assert!(holds());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!holds());
}
