//! Values and the types that they are fitted to.

use dadl_descriptor::model::{ListDelimiter, ParamForm, StylePrefix};
use serde_json::json;

use super::*;

const LISTED: ParamStyle =
    ParamStyle::Listed { lead: StylePrefix::None, between: ListDelimiter::Comma, explode: false };

fn param(kinds: &[&str]) -> Param {
    let kinds = kinds.iter().map(|word| match *word {
        "array" => ParamKind::Array,
        "boolean" => ParamKind::Boolean,
        "integer" => ParamKind::Integer,
        "number" => ParamKind::Number,
        "object" => ParamKind::Object,
        _ => ParamKind::String,
    });
    let kind = ParamKind::Union(KindList::of(kinds));
    Param::new("x", ParamRole::Sent(ParamLocation::Body), kind)
}

/// What becomes of a value in a JSON body.
fn json_of(kinds: &[&str], value: Value) -> Conversion {
    fit_value(&param(kinds), WireFormat::Json, value)
}

/// What becomes of a value in a query.
fn items(kinds: &[&str], value: Value) -> Conversion {
    fit_value(&param(kinds), WireFormat::Items, value)
}

#[test]
fn a_value_keeps_the_kind_that_the_caller_gave() {
    let scalar: &[&str] = &["integer", "string"];
    let list: &[&str] = &["string", "array"];
    for (kinds, value) in [
        (scalar, json!(7)),
        (scalar, json!("7")),
        (scalar, json!("")),
        (&["string", "number"], json!(5.5)),
        (list, json!("a")),
        (list, json!("a,b")),
        (list, json!("[a")),
        (list, json!(["a", 1])),
        (&["string", "object"], json!({"a": 1})),
        (&["boolean", "string"], json!("true")),
        (&[], json!("[1]")),
        (&[], json!(null)),
    ] {
        assert_eq!(json_of(kinds, value.clone()), Conversion::Value(value), "{kinds:?}");
    }
}

#[test]
fn text_that_is_json_of_a_container_is_one_where_the_types_have_it() {
    let list: &[&str] = &["string", "array"];
    assert_eq!(json_of(list, json!(" [\"a\",1]")), Conversion::Value(json!(["a", 1])));
    assert_eq!(
        json_of(&["object", "string"], json!("{\"a\":1}")),
        Conversion::Value(json!({"a": 1}))
    );
    // Of another type it is text.
    assert_eq!(json_of(list, json!("{\"a\":1}")), Conversion::Value(json!("{\"a\":1}")));
    assert_eq!(json_of(&["string"], json!("[1]")), Conversion::Value(json!("[1]")));
}

#[test]
fn what_fits_nowhere_becomes_the_first_that_loses_nothing() {
    for (kinds, value, expected) in [
        (&["integer", "array"] as &[&str], json!("5"), json!(5)),
        (&["integer", "array"], json!(5.0), json!(5)),
        (&["number", "boolean"], json!("1.5"), json!(1.5)),
        (&["number", "boolean"], json!("True"), json!(true)),
        (&["string", "array"], json!(7), json!("7")),
        (&["string"], json!({"k": 1}), json!("{\"k\":1}")),
        (&["string"], json!([1, "a"]), json!("[1,\"a\"]")),
    ] {
        assert_eq!(json_of(kinds, value), Conversion::Value(expected), "{kinds:?}");
    }
    for (kinds, value) in [
        (&["integer"] as &[&str], json!("five")),
        (&["integer", "boolean"], json!([1])),
        (&["array"], json!("a,b")),
        (&["array"], json!(1)),
        (&["object"], json!([1])),
    ] {
        assert_eq!(json_of(kinds, value.clone()), Conversion::Wrong(value), "{kinds:?}");
    }
}

#[test]
fn lists_are_guessed_only_where_items_are_text() {
    assert_eq!(items(&["array"], json!("1, 2")), Conversion::Value(json!(["1", "2"])));
    assert_eq!(items(&["array"], json!(1)), Conversion::Value(json!([1])));
    assert_eq!(items(&["array"], json!("[1,2]")), Conversion::Value(json!([1, 2])));
    let object = json!({"a": 1});
    assert_eq!(items(&["array"], object.clone()), Conversion::Wrong(object.clone()));
    assert_eq!(items(&["string"], object), Conversion::Value(json!("{\"a\":1}")));
    assert_eq!(items(&["string"], json!([1])), Conversion::Wrong(json!([1])));
    // Neither a path nor a script.
    for target in [WireFormat::Text, WireFormat::Kept] {
        let value = json!("a,b");
        assert_eq!(fit_value(&param(&["array"]), target, value.clone()), Conversion::Wrong(value));
        let value = json!({"a": 1});
        assert_eq!(fit_value(&param(&["string"]), target, value.clone()), Conversion::Wrong(value));
    }
}

#[test]
fn an_empty_text_stands_for_nothing_where_no_text_is_wanted() {
    for kinds in [&["integer"] as &[&str], &["array", "boolean"], &["object"]] {
        assert_eq!(json_of(kinds, json!("")), Conversion::Absent, "{kinds:?}");
        assert_eq!(items(kinds, json!("")), Conversion::Absent, "{kinds:?}");
    }
}

#[test]
fn a_list_in_one_text_is_given_in_any_way() {
    let mut listed = param(&["array"]);
    listed.form = ParamForm { style: LISTED, ..ParamForm::default() }.into();
    for value in [json!("a,b"), json!(["a", "b"]), json!(5), json!(""), json!({"a": 1})] {
        assert_eq!(fit_value(&listed, WireFormat::Items, value.clone()), Conversion::Value(value));
    }
    assert_eq!(
        fit_value(&listed, WireFormat::Items, json!("[\"a\"]")),
        Conversion::Value(json!(["a"]))
    );
}

#[test]
fn a_whole_body_is_json_or_names_a_file() {
    let whole = |kinds: &[&str], value| {
        let mut param = param(kinds);
        param.form.whole = Some(WholePart::Json);
        fit_value(&param, WireFormat::Json, value)
    };
    let refused = Conversion::Refused("is neither JSON of its type nor the name of a file");
    for value in [json!([1]), json!("[1]"), json!("list.json"), json!("dadl-file:x")] {
        assert_eq!(whole(&["array"], value.clone()), Conversion::Value(value));
    }
    assert_eq!(whole(&["array"], json!("[1")), refused);
    assert_eq!(whole(&["boolean"], json!("True")), Conversion::Value(json!(true)));
    assert_eq!(whole(&["boolean"], json!("true")), Conversion::Value(json!("true")));
    assert_eq!(whole(&["array"], json!("{\"a\":1}")), refused);
    assert_eq!(whole(&["array"], json!(" ")), refused);
    assert_eq!(whole(&["array"], json!(5)), Conversion::Wrong(json!(5)));
    for value in [json!("[1"), json!(""), json!(5), json!({"a": null})] {
        assert_eq!(whole(&[], value.clone()), Conversion::Value(value));
    }
    assert_eq!(whole(&["string"], json!("[1]")), Conversion::Value(json!("[1]")));
    assert!(!is_json_of("[1]", KindList::of([ParamKind::String])));
    assert!(is_json_of("[1]", KindList::any()) && !is_json_of("a", KindList::any()));
}

#[test]
fn several_files_are_names() {
    let mut param = Param::new("f", ParamRole::Sent(ParamLocation::Body), ParamKind::FileUrl);
    param.form.several = true;
    for value in [json!("a.txt"), json!(["a.txt", "b.txt"])] {
        assert_eq!(fit_value(&param, WireFormat::Items, value.clone()), Conversion::Value(value));
    }
    assert_eq!(
        fit_value(&param, WireFormat::Items, json!("[\"a\"]")),
        Conversion::Value(json!(["a"]))
    );
    for value in [json!([]), json!([1]), json!({})] {
        assert!(matches!(fit_value(&param, WireFormat::Items, value), Conversion::Refused(_)));
    }
}
