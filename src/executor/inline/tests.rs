//! What goes out in the place of handles, and what it costs.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{super::call_bounds::CallBounds, *};
use crate::{
    call::{BaseUrl, CallChannel, PlannedBody},
    catalog::{Catalog, fixture},
    config::{FileSettings, OperatorLimits},
    files::{IncomingFile, REFERENCE},
    shares::ClientKey,
};

/// A store whose server is known under a URL.
fn store(home: &tempfile::TempDir) -> FileStore {
    let public_url = Some("https://mcp.example".to_owned());
    let settings = FileSettings { public_url, ..FileSettings::default() };
    let store = FileStore::with_settings(home.path().join("files"), settings);
    store.publish();
    store
}

/// Stores a file and returns its reference.
async fn stored(store: &FileStore, bytes: &'static [u8]) -> String {
    let incoming = IncomingFile {
        name: "a.txt",
        content_type: "text/plain; charset=utf-8",
        total: None,
        ttl: None,
        idle: Duration::from_secs(60),
        purpose: crate::files::SavePurpose::Upload,
        client: &ClientKey::only(),
    };
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(bytes))]);
    store.save(incoming, body, &()).await.unwrap().reference.unwrap()
}

fn bounds(memory: u64) -> CallBounds {
    CallBounds::new(OperatorLimits { memory, ..OperatorLimits::default() }, std::iter::empty())
}

#[tokio::test]
async fn each_form_is_the_file() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let file = stored(&store, b"\xfb\xff\xfe!").await;
    let id = file.strip_prefix(REFERENCE).unwrap();
    let room = bounds(1000).room(&ClientKey::only());
    for (form, expected) in [
        ("base64", "+//+IQ==".to_owned()),
        ("dataurl", "data:text/plain;charset=utf-8;base64,+//+IQ==".to_owned()),
        ("url", format!("https://mcp.example/files/{id}")),
    ] {
        let handle = format!("{file}#{form}");
        let (texts, charge) = texts(&store, &[&handle], &room).await.unwrap();
        assert_eq!(texts[&handle], expected);
        assert_eq!(charge.bytes, 3 * expected.len() as u64, "{form}");
    }
    let empty = format!("{}#base64", stored(&store, b"").await);
    assert_eq!(texts(&store, &[&empty], &room).await.unwrap().0[&empty], "");
}

#[tokio::test]
async fn each_place_counts_and_is_given_back() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let handle = format!("{}#base64", stored(&store, b"abc").await);
    let bounds = bounds(30);
    let room = bounds.room(&ClientKey::only());
    let (texts_of_two, charge) = texts(&store, &[&handle, &handle], &room).await.unwrap();
    assert_eq!((texts_of_two.len(), bounds.used()), (1, 24));
    drop(charge);
    assert_eq!(bounds.used(), 0);
    let error = texts(&store, &[&handle, &handle, &handle], &room).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let said = "the call was not made: its files and all answers that are being read have 30 bytes \
                together (`max_memory` of `limits`); try again later";
    assert_eq!(error.to_string(), said);
    assert_eq!(bounds.used(), 0);
}

#[tokio::test]
async fn a_file_that_was_changed_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let store = store(&home);
    let file = stored(&store, b"abc").await;
    let id = file.strip_prefix(REFERENCE).unwrap();
    let handle = format!("{file}#base64");
    let room = bounds(1000).room(&ClientKey::only());
    std::fs::write(store.directory().join(".store").join(id), "more of it").unwrap();
    let error = texts(&store, &[&handle], &room).await.unwrap_err();
    assert!(error.to_string().contains("is not in the store"), "{error}");
}

/// Two handles, which stand for these texts.
const HANDLES: [(&str, &str); 2] = [
    ("dadl-file:0123456789abcdef0123456789abcdef#base64", "+//+"),
    ("dadl-file:0123456789abcdef0123456789abcdef#dataurl", "data:text/plain;base64,+//+"),
];

/// A text: a handle, one that is only nearly alone, or another.
fn words() -> impl Strategy<Value = String> {
    let handle = proptest::sample::select(HANDLES.map(|(handle, _)| handle.to_owned()).to_vec());
    prop_oneof![
        handle.clone(),
        handle.clone().prop_map(|handle| format!("{handle} ")),
        handle.clone().prop_map(|handle| format!("[\"{handle}\"]")),
        handle.prop_map(|handle| handle.split_once('#').unwrap().0.to_owned()),
        "[a-z\"#\\\\é]{0,4}",
    ]
}

/// Any JSON with such texts at any depth, as values and as names.
fn lower_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        3 => words().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => proptest::sample::select(vec![Value::Null, json!(true)]),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(words(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What has to arrive.
fn expected(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let known = HANDLES.iter().find(|(handle, _)| handle == text);
            known.map_or_else(|| value.clone(), |(_, text)| json!(text))
        }
        Value::Array(items) => items.iter().map(expected).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), expected(member)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

static CATALOG: std::sync::LazyLock<Catalog> = std::sync::LazyLock::new(|| {
    let mut tool = fixture::tool("POST", "/x", &["any:body:any", "text:body:string=\"no\""]);
    tool.http_mut().unwrap().rules.open = true;
    fixture::catalog(vec![tool])
});

/// Returns the body of a call with these arguments; a caller gave them, or nobody.
fn sent(arguments: &Value, is_callers: bool) -> Value {
    let entry = &CATALOG.entries()[0];
    let base = BaseUrl::parse("https://host.example/").unwrap();
    let arguments = call::check_arguments(entry, arguments.as_object().unwrap().clone()).unwrap();
    let arguments = if is_callers { arguments.of_caller() } else { arguments };
    let found = arguments.handles();
    let texts: HashMap<String, String> = HANDLES
        .iter()
        .filter(|(handle, _)| found.contains(handle))
        .map(|(handle, text)| ((*handle).to_owned(), (*text).to_owned()))
        .collect();
    let arguments = arguments.with_inlined(&texts);
    let plan =
        call::plan_call(entry, entry.tool().unwrap(), &base, &arguments, CallChannel::Mcp).unwrap();
    let PlannedBody::Bytes(bytes) = plan.body else { panic!("a body") };
    serde_json::from_slice(&bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exactly_the_handles_are_replaced(value in lower_values(), other in lower_values()) {
        let arguments = json!({ "any": value, "other": other });
        let whole = json!({ "any": expected(&value), "text": "no", "other": expected(&other) });
        prop_assert_eq!(sent(&arguments, true), whole);
        // What an API said stays what it is.
        let same = json!({ "any": value, "text": "no", "other": other });
        prop_assert_eq!(sent(&arguments, false), same);
    }
}
