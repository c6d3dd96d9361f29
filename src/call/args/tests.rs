//! Arguments in, what is sent or what is wrong out.

use dadl_descriptor::model::{BodyKind, KindList, WholePart};
use serde_json::json;

use super::*;
use crate::catalog::fixture;

fn checked(params: &[&str], arguments: Value) -> Result<CallArguments, ArgumentError> {
    let path: String = params
        .iter()
        .filter_map(|text| text.split_once(":path:"))
        .map(|(name, _)| format!("/{{{name}}}"))
        .collect();
    let catalog = fixture::catalog(vec![fixture::tool("POST", &path, params)]);
    let Value::Object(arguments) = arguments else { panic!("not an object") };
    check_arguments(&catalog.entries()[0], arguments)
}

fn gives(params: &[&str], arguments: Value, expected: Value) {
    let arguments = checked(params, arguments).unwrap();
    // As text, because the order and the form of numbers count.
    assert_eq!(Value::Object(arguments.as_object()).to_string(), expected.to_string());
}

fn fails(params: &[&str], arguments: Value, expected: &str) {
    let message = checked(params, arguments).unwrap_err().to_string();
    let message = message.strip_prefix("the arguments of `tool` cannot be used: ").unwrap();
    assert_eq!(message, expected);
}

#[test]
fn values_come_in_declared_order_with_defaults() {
    gives(
        &["a:query:string", "b:query:integer=7", "c:body:object", "d:query:string"],
        json!({"c": {"x": 1}, "a": "1"}),
        json!({"a": "1", "b": 7, "c": {"x": 1}}),
    );
}

#[test]
fn what_models_send_is_converted_where_nothing_is_lost() {
    gives(&["n:query:integer"], json!({"n": "5"}), json!({"n": 5}));
    gives(&["n:query:integer"], json!({"n": 5.0}), json!({"n": 5}));
    gives(&["b:query:boolean"], json!({"b": "true"}), json!({"b": true}));
    gives(&["s:path:string"], json!({"s": 5}), json!({"s": "5"}));
    gives(&["o:body:object"], json!({"o": "{\"a\":1}"}), json!({"o": {"a": 1}}));
    gives(&["a:query:array"], json!({"a": "[1,2]"}), json!({"a": [1, 2]}));
    // A string stays a string, whatever it looks like.
    gives(&["s:query:string"], json!({"s": "5"}), json!({"s": "5"}));
}

#[test]
fn big_integers_keep_their_digits() {
    let big = "9007199254740993";
    gives(&["n:query:integer"], json!({"n": big}), json!({"n": 9_007_199_254_740_993_u64}));
    gives(&["n:query:integer"], json!({"n": u64::MAX}), json!({"n": u64::MAX}));
    let beyond: Value = serde_json::from_str(r#"{"n": 18446744073709551616}"#).unwrap();
    fails(
        &["n:query:integer"],
        beyond,
        "`n` must be an integer of at most 64 bits, not a number that has a fraction or too \
         many digits",
    );
}

#[test]
fn all_problems_come_in_one_message() {
    fails(
        &["id:path:string", "limit:query:integer", "tags:body:array"],
        json!({"limit": "ten", "tags": "a", "limt": 5, "zzz": 1}),
        "there is no parameter `limt`, did you mean `limit`?; there is no parameter `zzz`; \
         `id` (string) is required; `limit` must be an integer of at most 64 bits, not a \
         string; `tags` must be an array, not a string. It takes: id (string, required), \
         limit (integer), tags (array)",
    );
}

#[test]
fn a_tool_without_parameters_says_so() {
    fails(&[], json!({"x": 1}), "there is no parameter `x`. It takes no arguments");
}

#[test]
fn null_is_absent_outside_of_a_json_body() {
    gives(&["q:query:string"], json!({"q": null}), json!({}));
    gives(&["q:query:integer=3"], json!({"q": null}), json!({"q": 3}));
    gives(&["h:header:string"], json!({"h": null}), json!({}));
    gives(&["b:body:string"], json!({"b": null}), json!({"b": null}));
    gives(&["b:body:string=\"x\""], json!({"b": null}), json!({"b": null}));
    gives(&["b:body:object"], json!({}), json!({}));
}

#[test]
fn null_is_no_value_for_what_is_required() {
    let expected = "`x` (string) is required. It takes: x (string, required)";
    fails(&["x:path:string"], json!({"x": null}), expected);
    fails(&["x:query:string!"], json!({"x": null}), expected);
    fails(&["x:body:string!"], json!({"x": null}), expected);
    fails(&[], json!({"x": null}), "there is no parameter `x`. It takes no arguments");
}

#[test]
fn path_and_header_values_have_no_control_characters() {
    let path = "`x` has control characters, which a path must not have";
    fails(&["x:path:string"], json!({"x": "a\r\nb"}), path);
    let header = "`x` has control characters, which a header field must not have";
    fails(&["x:header:string"], json!({"x": "a\nb: c"}), header);
    fails(&["x:path:string"], json!({"x": ""}), "`x` must not be empty: it is part of the path");
    gives(&["x:query:string"], json!({"x": "a\nb"}), json!({"x": "a\nb"}));
    gives(&["x:body:string"], json!({"x": "a\0"}), json!({"x": "a\0"}));
}

#[test]
fn containers_stay_out_of_the_path() {
    let reason = "`x` is an object and cannot be part of a path";
    fails(&["x:path:object"], json!({"x": {"a": 1}}), reason);
    let reason = "`x` is an array and cannot be part of a path";
    fails(&["x:path:array"], json!({"x": ["a"]}), reason);
}

#[test]
fn a_default_is_checked_like_a_value() {
    fails(&["x:path:string=\"\""], json!({}), "`x` must not be empty: it is part of the path");
}

#[test]
fn numeric_property_names_are_names() {
    gives(&["5:query:integer"], json!({"5": "6"}), json!({"5": 6}));
}

#[test]
fn values_are_found_by_their_name_on_the_wire() {
    let arguments = checked(&["f[a]:query:string"], json!({"f_a": "x"})).unwrap();
    assert_eq!(arguments.get("f[a]"), Some(&json!("x")));
    assert_eq!(arguments.get("f_a"), None);
}

/// Checks arguments of a tool with changes.
fn changed(
    params: &[&str],
    change: impl FnOnce(&mut Tool),
    arguments: Value,
) -> Result<Map<String, Value>, String> {
    let mut tool = fixture::tool("POST", "/x", params);
    change(&mut tool);
    let catalog = fixture::catalog(vec![tool]);
    let Value::Object(arguments) = arguments else { panic!("not an object") };
    let checked =
        check_arguments(&catalog.entries()[0], arguments).map_err(|error| error.to_string())?;
    Ok(checked.as_object())
}

fn gives_changed(params: &[&str], change: impl FnOnce(&mut Tool), given: Value, expected: Value) {
    let found = changed(params, change, given).map(Value::Object);
    assert_eq!(found, Ok(expected));
}

#[test]
fn null_is_a_value_where_it_is_declared() {
    let nullable = |tool: &mut Tool| tool.params[0].form.nullable = true;
    let declared = |tool: &mut Tool| tool.nulls_declared = true;
    let null = || json!({"x": null});
    for place in ["body", "query", "header"] {
        for mark in ["", "!"] {
            let params: &[&str] = &[&format!("x:{place}:string{mark}")];
            let is_json = place == "body";
            // Said to be nullable: a value in a JSON body, required or not.
            let found = changed(params, nullable, null());
            match (is_json, mark) {
                (true, _) => assert_eq!(found, Ok(null().as_object().unwrap().clone())),
                (false, "") => assert_eq!(found, Ok(Map::new())),
                (false, _) => assert!(found.unwrap_err().contains("`x` (string) is required")),
            }
            // Nothing said, where the file says which are: as good as absent.
            let found = changed(params, declared, null());
            match mark {
                "" => assert_eq!(found, Ok(Map::new())),
                _ => assert!(found.unwrap_err().contains("`x` (string) is required")),
            }
        }
    }
    // Anything may be null.
    gives_changed(&["x:body:any!"], declared, null(), null());
    // A form has no word for it.
    let form = |tool: &mut Tool| {
        nullable(tool);
        tool.http_mut().unwrap().body = BodyKind::Form;
    };
    gives_changed(&["x:body:string"], form, null(), json!({}));
    // A default stands in for what is absent.
    gives_changed(&["x:body:integer=3"], declared, null(), json!({"x": 3}));
}

#[test]
fn what_nothing_stands_for_is_missing_or_the_default() {
    gives(&["n:query:integer"], json!({"n": ""}), json!({}));
    gives(&["n:query:integer=7"], json!({"n": ""}), json!({"n": 7}));
    let expected = "`n` (integer) is required. It takes: n (integer, required)";
    fails(&["n:query:integer!"], json!({"n": ""}), expected);
    gives(&["s:query:string"], json!({"s": ""}), json!({"s": ""}));
}

#[test]
fn what_models_write_for_lists_and_objects() {
    gives(&["a:query:array"], json!({"a": "1,2"}), json!({"a": ["1", "2"]}));
    gives(&["a:query:array"], json!({"a": 1}), json!({"a": [1]}));
    gives(&["s:body:string"], json!({"s": {"k": 1}}), json!({"s": "{\"k\":1}"}));
    fails(&["a:body:array"], json!({"a": "1,2"}), "`a` must be an array, not a string");
    gives(&["x:body:any"], json!({"x": "[1]"}), json!({"x": "[1]"}));
}

#[test]
fn an_open_body_takes_members_of_any_name() {
    let open = |tool: &mut Tool| tool.http_mut().unwrap().rules.open = true;
    let params = &["name:body:string!", "size:body:integer", "f[a]:query:string"];
    let given = json!({"name": "n", "team": {"a": 1}, "x y": null});
    gives_changed(params, open, given.clone(), given);
    // Nearly the name of what is missing, the name on the wire, and what no member has.
    for (given, expected) in [
        (json!({"nam": "n"}), "there is no parameter `nam`, did you mean `name`?"),
        (json!({"name": "n", "f[a]": "x"}), "there is no parameter `f[a]`, did you mean `f_a`?"),
        (json!({"name": "n", "a\nb": 1}), "there is no parameter `a\nb`"),
        (json!({"name": "n", "": 1}), "there is no parameter ``"),
    ] {
        let error = changed(params, open, given).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let closed = changed(params, |_| {}, json!({"name": "n", "team": 1})).unwrap_err();
    assert!(closed.contains("there is no parameter `team`"), "{closed}");
}

#[test]
fn a_whole_body_or_its_members() {
    let whole = |tool: &mut Tool| {
        tool.params[0].form.whole = Some(WholePart::Json);
        tool.http_mut().unwrap().rules.open = true;
    };
    let params = &["all:body:any!", "name:body:string!", "n:body:integer=3"];
    let all = json!({"all": {"name": "x"}});
    gives_changed(params, whole, all.clone(), all);
    let members = json!({"name": "x", "team": 1});
    gives_changed(params, whole, members, json!({"name": "x", "n": 3, "team": 1}));
    let both = changed(params, whole, json!({"all": {}, "name": "x"})).unwrap_err();
    assert!(both.contains("`name` cannot be given beside `all`"), "{both}");
    let other = changed(params, whole, json!({"all": {}, "team": 1})).unwrap_err();
    assert!(other.contains("`team` cannot be given beside `all`"), "{other}");
    let none = changed(params, whole, json!({})).unwrap_err();
    assert!(none.contains("`all` (any value) is required"), "{none}");
}

#[test]
fn unions_are_told_in_words() {
    let union = |tool: &mut Tool| {
        let kinds = KindList::of([ParamKind::Integer, ParamKind::Array]);
        tool.params[0].kind = ParamKind::Union(kinds);
    };
    gives_changed(&["x:body:string"], union, json!({"x": "5"}), json!({"x": 5}));
    gives_changed(&["x:body:string"], union, json!({"x": "[5]"}), json!({"x": [5]}));
    let error = changed(&["x:body:string"], union, json!({"x": "five"})).unwrap_err();
    let expected = "`x` must be an integer of at most 64 bits or an array, not a string";
    assert!(error.contains(expected), "{error}");
}
