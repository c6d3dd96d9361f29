//! What holds for every argument: it arrives exactly once, and decodes to what was given.

use std::sync::LazyLock;

use dadl_descriptor::model::{
    BodyKind, KindList, ListDelimiter, ParamKind, ParamStyle, StylePrefix, Tool, WholePart,
    template::PathTemplate,
};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    ArgumentError, BaseUrl, CallChannel, CallPlan, PlannedBody, check_arguments, plan_call,
};
use crate::catalog::{Catalog, fixture};

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    fixture::catalog(vec![fixture::tool(
        "POST",
        "/objects/{a}/sub-{b}.json/?fixed=1",
        &[
            "a:path:string",
            "b:path:integer",
            "q:query:string",
            "n:query:integer",
            "f:query:number",
            "l[]:query:array",
            "s:body:string",
            "i:body:integer",
            "o:body:object",
        ],
    )])
});

fn planned(arguments: &Value) -> Result<CallPlan, ArgumentError> {
    let entry = &CATALOG.entries()[0];
    let base = BaseUrl::parse("https://host.example/base/v1/").unwrap();
    let arguments: Map<String, Value> = arguments.as_object().unwrap().clone();
    plan_call(
        entry,
        entry.tool().unwrap(),
        &base,
        &check_arguments(entry, arguments)?,
        CallChannel::Mcp,
    )
}

static OPEN: LazyLock<Catalog> = LazyLock::new(|| {
    let mut open = fixture::tool("POST", "/x", &["any:body:any", "union:body:any", "q:query:any"]);
    let kinds = [ParamKind::String, ParamKind::Number, ParamKind::Boolean, ParamKind::Object];
    open.params[1].kind = ParamKind::Union(KindList::of(kinds));
    open.http_mut().unwrap().rules.open = true;
    let mut whole = fixture::tool("POST", "/x", &["file:body:file_url"]);
    let body = BodyKind::Raw(Box::new(mime::APPLICATION_JSON));
    body.settle(&mut whole.params[0]);
    whole.http_mut().unwrap().body = body;
    fixture::catalog(vec![open, Tool { name: "whole".to_owned(), ..whole }])
});

fn planned_open(entry: usize, arguments: Value) -> CallPlan {
    let entry = &OPEN.entries()[entry];
    let base = BaseUrl::parse("https://host.example/").unwrap();
    let arguments = check_arguments(entry, arguments.as_object().unwrap().clone()).unwrap();
    plan_call(entry, entry.tool().unwrap(), &base, &arguments, CallChannel::Mcp).unwrap()
}

/// Any JSON.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer(),
        short().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(short(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same for another tool.
fn planned_of(tool: Tool, arguments: &Value) -> Result<CallPlan, ArgumentError> {
    let catalog = fixture::catalog(vec![tool]);
    let entry = &catalog.entries()[0];
    let base = BaseUrl::parse("https://host.example/base/v1/").unwrap();
    let arguments: Map<String, Value> = arguments.as_object().unwrap().clone();
    plan_call(
        entry,
        entry.tool().unwrap(),
        &base,
        &check_arguments(entry, arguments)?,
        CallChannel::Mcp,
    )
}

/// Text with everything that means something in a URL or in JSON.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => short(), 1 => "[a-z/%ü]{10240}"]
}

/// The same without the long ones: a URL holds one or two of those.
fn short() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>(),
        4 => proptest::collection::vec(
            proptest::sample::select(vec![
                "/", "..", ".", "%", "%2e", "%2F", " ", "+", "&", "=", "?", "#", "[", "]", "\\",
                "\"", "'", "ü", "日本", "😀", "a", "0", ";", ":", "@", "null", "{", "}",
            ]),
            0..8,
        )
        .prop_map(|parts| parts.concat()),
    ]
}

fn integer() -> impl Strategy<Value = Value> {
    prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from)]
}

fn body(plan: &CallPlan) -> Value {
    match &plan.body {
        PlannedBody::Bytes(bytes) => serde_json::from_slice(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

static ELSEWHERE: LazyLock<Catalog> = LazyLock::new(|| {
    let mut tool = fixture::tool("GET", "/x", &["a:path:string", "q:query:string"]);
    let path = "https://other.example:8443/far/{a}/x-{a}?fixed=1";
    tool.http_mut().unwrap().path = PathTemplate::parse_of_tool(path).unwrap();
    fixture::catalog(vec![tool])
});

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_argument_changes_the_second_host(
        a in "\\PC{1,12}|(\\.|/|@|:|%2e|\\\\|#|\\?|[a-z]){1,8}",
        q in "\\PC{0,12}",
    ) {
        let entry = &ELSEWHERE.entries()[0];
        let base = BaseUrl::parse("https://host.example/base/v1/").unwrap();
        let arguments = json!({ "a": a, "q": q });
        let arguments = check_arguments(entry, arguments.as_object().unwrap().clone());
        let made = arguments.and_then(|arguments| {
            plan_call(entry, entry.tool().unwrap(), &base, &arguments, CallChannel::Mcp)
        });
        if let Ok(plan) = made {
            let CallPlan { url, .. } = plan;
            prop_assert_eq!(url.origin().ascii_serialization(), "https://other.example:8443");
            prop_assert!(url.username().is_empty() && url.password().is_none());
            let mut segments = url.path_segments().unwrap();
            prop_assert_eq!(segments.next(), Some("far"));
            let value = percent_decode_str(segments.next().unwrap()).decode_utf8().unwrap();
            prop_assert_eq!(value, a);
            prop_assert!(segments.next().unwrap().starts_with("x-") && segments.next().is_none());
        }
    }

    #[test]
    fn path_values_arrive_in_their_segment(a in text(), b in integer()) {
        match planned(&json!({"a": a, "b": b})) {
            Ok(plan) => {
                let path = plan.url.path();
                prop_assert!(plan.url.as_str().is_ascii());
                let rest = path.strip_prefix("/base/v1/objects/").unwrap();
                let segments: Vec<&str> = rest.split('/').collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!(segments[2], "");
                let decoded = percent_decode_str(segments[0]).decode_utf8().unwrap();
                prop_assert_eq!(decoded, a.as_str());
                prop_assert_eq!(segments[1], format!("sub-{b}.json"));
                prop_assert_eq!(plan.url.query(), Some("fixed=1"));
                prop_assert_eq!(plan.url.host_str(), Some("host.example"));
                prop_assert_eq!(plan.url.fragment(), None);
            }
            Err(error) => {
                let refused =
                    a.is_empty() || a == "." || a == ".." || a.contains(char::is_control);
                prop_assert!(refused, "{}", error);
            }
        }
    }

    #[test]
    fn query_values_arrive_once(
        q in text(),
        n in integer(),
        f in any::<f64>().prop_filter("JSON has no infinity", |f| f.is_finite()),
        l in proptest::collection::vec(short(), 0..4),
    ) {
        let given = json!({"a": "x", "b": 1, "q": q, "n": n, "f": f, "l": l});
        let plan = planned(&given).unwrap();
        let pairs: Vec<(String, String)> = plan.url.query_pairs().into_owned().collect();
        let mut expected = vec![
            ("fixed".to_owned(), "1".to_owned()),
            ("q".to_owned(), q),
            ("n".to_owned(), n.to_string()),
        ];
        expected.push(("f".to_owned(), pairs[3].1.clone()));
        prop_assert_eq!(pairs[3].1.parse::<f64>().unwrap(), f);
        expected.extend(l.into_iter().map(|item| ("l[]".to_owned(), item)));
        prop_assert_eq!(pairs, expected);
        prop_assert_eq!(plan.body, PlannedBody::None);
    }

    #[test]
    fn body_values_arrive_once(s in text(), i in integer(), key in text(), inner in text()) {
        let mut object = Map::new();
        object.insert(key, Value::from(inner));
        let given = json!({"a": "x", "b": 1, "s": s, "i": i, "o": object});
        let plan = planned(&given).unwrap();
        let expected = json!({"s": given["s"], "i": given["i"], "o": given["o"]});
        prop_assert_eq!(body(&plan).to_string(), expected.to_string());
        prop_assert_eq!(plan.url.query(), Some("fixed=1"));
    }

    #[test]
    fn form_values_arrive_once(
        s in text(),
        i in integer(),
        l in proptest::collection::vec(short(), 0..4),
        key in short(),
    ) {
        let mut form = fixture::tool("POST", "/x", &["s:body:string", "i:body:integer", "l:body:array", "o:body:object"]);
        form.http_mut().unwrap().body = BodyKind::Form;
        let catalog = fixture::catalog(vec![form]);
        let entry = &catalog.entries()[0];
        let given = json!({"s": s, "i": i, "l": l, "o": {key.clone(): {"n": s}}});
        let base = BaseUrl::parse("https://host.example/").unwrap();
        let plan = plan_call(entry, entry.tool().unwrap(), &base, &check_arguments(entry, given.as_object().unwrap().clone()).unwrap(), CallChannel::Mcp).unwrap();
        let PlannedBody::Bytes(bytes) = &plan.body else { panic!("{:?}", plan.body) };
        prop_assert!(bytes.is_ascii());
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(bytes).into_owned().collect();
        let mut expected = vec![("s".to_owned(), s.clone()), ("i".to_owned(), i.to_string())];
        expected.extend(l.into_iter().map(|item| ("l".to_owned(), item)));
        expected.push((format!("o[{key}][n]"), s));
        prop_assert_eq!(pairs, expected);
    }

    #[test]
    fn any_value_arrives_as_given(value in json_value(), name in short()) {
        let is_name = !name.is_empty() && !name.contains(char::is_control);
        let name = if is_name { format!("other {name}") } else { "other".to_owned() };
        let given = json!({"any": value, name: value});
        prop_assert_eq!(body(&planned_open(0, given.clone())), given);
    }

    #[test]
    fn a_value_of_a_union_keeps_its_kind(
        value in prop_oneof![
            short().prop_filter("JSON of an object", |it| !it.trim_start().starts_with('{'))
                .prop_map(Value::from),
            integer(),
            any::<bool>().prop_map(Value::from),
            proptest::collection::btree_map(short(), integer(), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ],
    ) {
        let given = json!({"union": value});
        prop_assert_eq!(body(&planned_open(0, given.clone())), given);
    }

    #[test]
    fn a_whole_body_arrives_as_given(value in json_value()) {
        prop_assume!(!value.is_null());
        let planned = planned_open(1, json!({"file": value}));
        match (&planned.body, &value) {
            (PlannedBody::Named { name, otherwise }, Value::String(text)) => {
                prop_assert_eq!(name, text);
                let sent: Value = serde_json::from_slice(otherwise).unwrap();
                prop_assert_eq!(&sent, &value);
            }
            // Text that is JSON goes out as it is.
            (PlannedBody::Bytes(bytes), Value::String(text)) => {
                prop_assert_eq!(bytes, text.as_bytes());
                prop_assert!(serde_json::from_str::<Value>(text).is_ok());
            }
            _ => prop_assert_eq!(body(&planned), value),
        }
    }

    #[test]
    fn digits_in_strings_stay_whole(i in integer()) {
        let given = json!({"a": i, "b": i.to_string(), "n": i.to_string(), "i": i.to_string()});
        let plan = planned(&given).unwrap();
        let path = format!("/base/v1/objects/{i}/sub-{i}.json/");
        prop_assert_eq!(plan.url.path(), path);
        let query = format!("fixed=1&n={i}");
        prop_assert_eq!(plan.url.query(), Some(query.as_str()));
        prop_assert_eq!(body(&plan), json!({"i": i}));
    }

    #[test]
    fn fractions_keep_their_last_digit(f in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
        // As text, the way a host sends it: parsing must not cost the last digit either.
        let given: Value = serde_json::from_str(&format!(r#"{{"a":"x","b":1,"f":{f:e}}}"#)).unwrap();
        let plan = planned(&given).unwrap();
        let (_, sent) = plan.url.query_pairs().find(|(name, _)| name == "f").unwrap();
        prop_assert_eq!(sent.parse::<f64>().unwrap(), f);
    }

    #[test]
    fn listed_values_arrive_once(
        l in proptest::collection::vec(short(), 1..4),
        at in 0_usize..4,
        q in short(),
    ) {
        let between = [ListDelimiter::Comma, ListDelimiter::Space, ListDelimiter::Tab, ListDelimiter::Pipe][at];
        let style = ParamStyle::Listed { lead: StylePrefix::None, between, explode: false };
        let mut tool = fixture::tool("GET", "/x", &["l:query:array", "q:query:string"]);
        tool.params[0].form.style = style;
        let plan = planned_of(tool, &json!({"l": l, "q": q})).unwrap();
        let query = plan.url.query().unwrap();
        let (list, rest) = query.split_once('&').unwrap();
        let list = list.strip_prefix("l=").unwrap();
        prop_assert!(rest.starts_with("q="));
        // The delimiters are as they were written; a space of an item cannot be told from one.
        if between == ListDelimiter::Comma {
            let items: Vec<String> = list
                .split(',')
                .map(|item| percent_decode_str(item).decode_utf8().unwrap().into_owned())
                .collect();
            prop_assert_eq!(items, l);
        } else {
            let whole = percent_decode_str(list).decode_utf8().unwrap().into_owned();
            let delimiter = [",", " ", "\t", "|"][at];
            prop_assert_eq!(whole, l.join(delimiter));
        }
        prop_assert!(plan.url.as_str().is_ascii());
    }

    #[test]
    fn segments_stay_below(n in short()) {
        let mut tool = fixture::tool("GET", "/files/{n}/raw", &["n:path:string"]);
        tool.params[0].form.style = ParamStyle::Segments;
        let given: Vec<&str> = n.split('/').collect();
        match planned_of(tool, &json!({"n": n})) {
            Ok(plan) => {
                let path = plan.url.path();
                let rest = path.strip_prefix("/base/v1/files/").unwrap();
                let rest = rest.strip_suffix("/raw").unwrap();
                let sent: Vec<String> = rest
                    .split('/')
                    .map(|part| percent_decode_str(part).decode_utf8().unwrap().into_owned())
                    .collect();
                prop_assert_eq!(sent, given);
                prop_assert_eq!(plan.url.query(), None);
            }
            Err(error) => {
                let is_bad = |part: &&str| part.is_empty() || *part == "." || *part == "..";
                let refused = given.iter().any(is_bad) || n.contains(char::is_control);
                prop_assert!(refused, "{}", error);
            }
        }
    }

    #[test]
    fn a_query_that_is_whole_stays_a_query(all in short()) {
        let mut tool = fixture::tool("GET", "/x", &["all:query:string"]);
        tool.params[0].form.whole = Some(WholePart::Query);
        tool.params[0].form.not = vec!["key".to_owned()];
        match planned_of(tool, &json!({"all": all})) {
            Ok(plan) => {
                prop_assert_eq!(plan.url.path(), "/base/v1/x");
                prop_assert_eq!(plan.url.fragment(), None);
                prop_assert_eq!(plan.url.host_str(), Some("host.example"));
                prop_assert!(plan.url.query_pairs().all(|(name, _)| name != "key"));
            }
            Err(error) => prop_assert!(error.to_string().contains("credential"), "{}", error),
        }
    }

    #[test]
    fn a_cookie_holds_one_value(c in short()) {
        let tool = fixture::tool("GET", "/x", &["c:cookie:string", "d:cookie:string"]);
        match planned_of(tool, &json!({"c": c, "d": "e"})) {
            Ok(plan) => {
                let (_, field) =
                    plan.headers.iter().find(|(name, _)| name == http::header::COOKIE).unwrap();
                let pairs: Vec<&str> = field.to_str().unwrap().split("; ").collect();
                prop_assert_eq!(pairs, [format!("c={c}"), "d=e".to_owned()]);
                prop_assert!(!c.contains([';', ',', ' ', '"', '\\']) && c.is_ascii());
            }
            Err(error) => prop_assert!(error.to_string().contains("`c` "), "{}", error),
        }
    }

    #[test]
    fn anything_else_is_an_error_and_never_a_panic(
        name in text(),
        value in text().prop_map(Value::from),
    ) {
        let mut given = Map::new();
        given.insert(name, value);
        prop_assert!(planned(&Value::Object(given)).is_err());
    }
}
