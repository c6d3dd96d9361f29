//! The tables of RFC 6570 and OpenAPI, and what callers write in their place.

use dadl_descriptor::model::{ParamForm, ParamRole};
use serde_json::json;

use super::{json_text, *};

fn listed(lead: StylePrefix, between: ListDelimiter, explode: bool) -> ParamStyle {
    ParamStyle::Listed { lead, between, explode }
}

fn comma(lead: StylePrefix, explode: bool) -> ParamStyle {
    listed(lead, ListDelimiter::Comma, explode)
}

fn param(style: ParamStyle, location: ParamLocation, kind: ParamKind) -> Param {
    let form = ParamForm { style, ..ParamForm::default() };
    Param { form: form.into(), ..Param::new("n", ParamRole::Sent(location), kind) }
}

fn lower_path(style: ParamStyle, kind: ParamKind, value: &Value) -> String {
    one_text(&param(style, ParamLocation::Path, kind), value, encode::encode_value)
        .unwrap_or_default()
}

fn lower_query(style: ParamStyle, kind: ParamKind, value: &Value) -> String {
    let pairs =
        styled_pairs(&param(style, ParamLocation::Query, kind), value, encode::encode_value);
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[test]
fn what_goes_into_a_path() {
    let list = json!(["red", "green"]);
    let object = json!({"R": 100, "G": 200});
    for (lead, explode, a_list, an_object, one) in [
        (StylePrefix::None, false, "red,green", "R,100,G,200", "red"),
        (StylePrefix::None, true, "red,green", "R=100,G=200", "red"),
        (StylePrefix::Dot, false, ".red,green", ".R,100,G,200", ".red"),
        (StylePrefix::Dot, true, ".red.green", ".R=100.G=200", ".red"),
        (StylePrefix::Semicolon, false, ";n=red,green", ";n=R,100,G,200", ";n=red"),
        (StylePrefix::Semicolon, true, ";n=red;n=green", ";R=100;G=200", ";n=red"),
    ] {
        let style = comma(lead, explode);
        let (array, text) = (ParamKind::Array, ParamKind::String);
        assert_eq!(lower_path(style, array, &list), a_list);
        assert_eq!(lower_path(style, ParamKind::Object, &object), an_object);
        assert_eq!(lower_path(style, text, &json!("red")), one);
        // As a caller writes it, with what goes before it or without.
        assert_eq!(lower_path(style, array, &json!(a_list)), a_list, "{style:?}");
        assert_eq!(lower_path(style, array, &json!("red,green")), a_list, "{style:?}");
        assert_eq!(lower_path(style, ParamKind::Object, &json!(an_object)), an_object, "{style:?}");
        assert_eq!(lower_path(style, text, &json!(one)), one, "{style:?}");
        // Delimiters of an item are not those of the list.
        let hostile = lower_path(style, array, &json!(["a,b;c=d/e", "f"]));
        assert!(hostile.contains("a%2Cb%3Bc%3Dd%2Fe"), "{hostile}");
    }
    assert_eq!(
        lower_path(comma(StylePrefix::Dot, true), ParamKind::String, &json!("a,b")),
        ".a%2Cb"
    );
    assert_eq!(lower_path(comma(StylePrefix::None, false), ParamKind::Array, &json!([])), "");
    assert_eq!(
        lower_path(comma(StylePrefix::None, false), ParamKind::Array, &json!([null, 1])),
        "1"
    );
}

#[test]
fn what_goes_into_a_query() {
    let list = json!(["a", "b c"]);
    let object = json!({"R": 1, "G": [2, 3], "B": null});
    let array = ParamKind::Array;
    for (between, expected) in [
        (ListDelimiter::Comma, "n=a,b%20c"),
        (ListDelimiter::Space, "n=a%20b%20c"),
        (ListDelimiter::Tab, "n=a%09b%20c"),
        (ListDelimiter::Pipe, "n=a%7Cb%20c"),
    ] {
        assert_eq!(lower_query(listed(StylePrefix::None, between, false), array, &list), expected);
        let exploded = listed(StylePrefix::None, between, true);
        assert_eq!(lower_query(exploded, array, &list), "n=a&n=b%20c");
    }
    let form = |explode| comma(StylePrefix::None, explode);
    assert_eq!(lower_query(form(false), array, &json!("a,b")), "n=a,b");
    assert_eq!(lower_query(form(true), array, &json!("a,b")), "n=a&n=b");
    assert_eq!(lower_query(form(false), array, &json!(["a,b", "c"])), "n=a%2Cb,c");
    assert_eq!(lower_query(form(false), array, &json!(7)), "n=7");
    assert_eq!(lower_query(form(false), array, &json!([])), "");
    assert_eq!(lower_query(form(false), ParamKind::Object, &object), "n=R,1,G,%5B2%2C3%5D");
    assert_eq!(lower_query(form(true), ParamKind::Object, &object), "R=1&G=2&G=3");
    assert_eq!(lower_query(form(true), ParamKind::Object, &json!("a=1&b=2,3")), "a=1&b=2%2C3");
    let pipes = listed(StylePrefix::None, ListDelimiter::Pipe, false);
    assert_eq!(lower_query(pipes, array, &json!("a|b,c")), "n=a%7Cb%2Cc");
    // Text may be one value: a list has a name for each item.
    let either = ParamKind::Union(KindList::of([ParamKind::Array, ParamKind::String]));
    assert_eq!(lower_query(form(true), either, &json!("a,b")), "n=a%2Cb");
    assert_eq!(lower_query(form(false), either, &json!("a,b")), "n=a,b");
}

#[test]
fn json_is_text_that_is_json() {
    let text = |kind, value: Value| {
        let param = param(ParamStyle::Json, ParamLocation::Query, kind);
        json_text(&param, &value).map(Cow::into_owned)
    };
    let object = ParamKind::Object;
    assert_eq!(text(object, json!({"a": 1})).unwrap(), r#"{"a":1}"#);
    assert_eq!(text(object, json!("{ \"a\": 1.0 }")).unwrap(), "{ \"a\": 1.0 }");
    assert_eq!(text(object, json!("a")), None);
    assert_eq!(text(ParamKind::String, json!("a\"")).unwrap(), r#""a\"""#);
    assert_eq!(text(ParamKind::String, Value::Null), None);
    assert_eq!(ascii_json(r#"{"ü😀":"a"}"#), r#"{"\u00fc\ud83d\ude00":"a"}"#);
}
