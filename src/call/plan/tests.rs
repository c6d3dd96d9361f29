//! Arguments in, the text of a planned request or of its refusal out.

use dadl_descriptor::model::{
    BodyKind, KindList, ListDelimiter, ParamKind, ParamStyle, StylePrefix, Tool, WholePart,
};
use serde_json::json;

use crate::{
    call::{BaseUrl, check_arguments, plan_call},
    catalog::fixture::{self, tool},
};

use super::*;

fn planned(base: &str, tool: Tool, arguments: Value) -> Result<CallPlan, ArgumentError> {
    let catalog = fixture::catalog(vec![tool]);
    let entry = &catalog.entries()[0];
    let Value::Object(arguments) = arguments else { panic!("not an object") };
    plan_call(
        entry,
        entry.tool().unwrap(),
        &BaseUrl::parse(base).unwrap(),
        &check_arguments(entry, arguments)?,
        CallChannel::Mcp,
    )
}

fn with(mut tool: Tool, change: impl FnOnce(&mut Tool)) -> Tool {
    change(&mut tool);
    tool
}

/// The path and query below `https://h/rest`.
fn target(tool: Tool, arguments: Value) -> String {
    let url = planned("https://h/rest/", tool, arguments).unwrap().url;
    url.as_str().strip_prefix("https://h/rest").unwrap().to_owned()
}

fn fails(tool: Tool, arguments: Value, expected: &str) {
    let message = planned("https://h/rest", tool, arguments).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn twins_arrive_in_their_places() {
    let mut twins =
        tool("POST", "/x", &["n:query:string", "query_n:body:string", "header_n:header:string"]);
    for (at, param) in twins.params.iter_mut().enumerate() {
        param.form.name = (at > 0).then(|| "n".to_owned());
    }
    let arguments = json!({ "n": "1", "query_n": "2", "header_n": "3" });
    let plan = planned("https://h", twins, arguments).unwrap();
    assert_eq!(plan.url.as_str(), "https://h/x?n=1");
    assert_eq!(plan.body, crate::call::PlannedBody::Bytes(br#"{"n":"2"}"#.to_vec()));
    assert!(plan.headers.iter().any(|(name, value)| name == "n" && value == "3"));
}

fn text(tool: Tool, arguments: Value) -> String {
    planned("https://h", tool, arguments).unwrap().to_string()
}

#[test]
fn path_values_are_one_segment() {
    let get = || tool("GET", "/vms/{id}/x/", &["id:path:string"]);
    assert_eq!(target(get(), json!({"id": "a/b c"})), "/vms/a%2Fb%20c/x/");
    assert_eq!(target(get(), json!({"id": "%2e%2e"})), "/vms/%252e%252e/x/");
    assert_eq!(target(get(), json!({"id": "../../x"})), "/vms/..%2F..%2Fx/x/");
    assert_eq!(target(get(), json!({"id": "ü😀"})), "/vms/%C3%BC%F0%9F%98%80/x/");
    assert_eq!(target(get(), json!({"id": "a?b#c\\"})), "/vms/a%3Fb%23c%5C/x/");
    assert_eq!(target(get(), json!({"id": "..."})), "/vms/.../x/");
    let number = tool("GET", "/n/{n}", &["n:path:integer"]);
    assert_eq!(target(number, json!({"n": u64::MAX})), "/n/18446744073709551615");
}

#[test]
fn the_path_is_appended_to_the_base() {
    for (base, path, expected) in [
        ("https://h", "/a", "https://h/a"),
        ("https://h/", "a", "https://h/a"),
        ("https://h/b", "", "https://h/b"),
        ("https://h/b", "/", "https://h/b/"),
        ("https://h", "", "https://h/"),
        ("https://h/b/c/", "/a//d/", "https://h/b/c/a//d/"),
        ("https://h/b", "/a:1;v=2", "https://h/b/a:1;v=2"),
        ("http://h:8080/%C3%BC", "/a b", "http://h:8080/%C3%BC/a%20b"),
    ] {
        let plan = planned(base, tool("GET", path, &[]), json!({})).unwrap();
        assert_eq!(plan.url.as_str(), expected);
    }
}

#[test]
fn dot_segments_are_refused() {
    let expected = "`id` makes a path segment `.` or `..`";
    for id in [".", ".."] {
        fails(tool("GET", "/vms/{id}", &["id:path:string"]), json!({"id": id}), expected);
        fails(tool("GET", "{id}", &["id:path:string"]), json!({"id": id}), expected);
    }
    let composed = || tool("GET", "/vms/{a}{b}/x", &["a:path:string", "b:path:string"]);
    fails(composed(), json!({"a": ".", "b": "."}), "`a`, `b` makes a path segment");
    assert_eq!(target(composed(), json!({"a": ".", "b": "a"})), "/vms/.a/x");
    let suffix = tool("GET", "/vms/{a}.", &["a:path:string"]);
    fails(suffix, json!({"a": "."}), "`a` makes a path segment");
    let format = || tool("GET", "/vms/{a}.{b}", &["a:path:string", "b:path:string"]);
    assert_eq!(target(format(), json!({"a": "..", "b": ".."})), "/vms/.....");
    fails(format(), json!({"a": "", "b": "."}), "`a` must not be empty");
}

#[test]
fn queries_follow_the_declared_order_and_the_fixed_part() {
    let get =
        tool("GET", "/s/?kind=vm&sync", &["b:query:array", "a:query:string", "n:query:object"]);
    let arguments = json!({"n": {"k": 1}, "a": "x y", "b": [1, true]});
    assert_eq!(target(get, arguments), "/s/?kind=vm&sync&b=1&b=true&a=x%20y&n%5Bk%5D=1");
    assert_eq!(target(tool("GET", "/s?kind=a'b", &[]), json!({})), "/s?kind=a%27b");
    assert_eq!(target(tool("GET", "/s?", &["a:query:string"]), json!({"a": "1"})), "/s?a=1");
    assert_eq!(target(tool("GET", "/s?", &[]), json!({})), "/s");
    assert_eq!(target(tool("GET", "/s", &["a:query:string"]), json!({"a": null})), "/s");
}

#[test]
fn odd_names_reach_the_wire_as_declared() {
    let get = tool("GET", "/", &["filter[name]:query:string", "ids[]:query:array"]);
    let target = target(get, json!({"filter_name": "x", "ids": [1, 2]}));
    assert_eq!(target, "/?filter%5Bname%5D=x&ids%5B%5D=1&ids%5B%5D=2");
}

#[test]
fn the_default_limit_is_sent() {
    let page = || {
        with(tool("GET", "/vms", &[]), |tool| {
            tool.http_mut().unwrap().pagination = fixture::offset();
        })
    };
    assert_eq!(target(page(), json!({})), "/vms?limit=100");
    assert_eq!(target(page(), json!({"limit": 5, "offset": 10})), "/vms?offset=10&limit=5");
}

#[test]
fn a_json_body_holds_what_was_given() {
    let post = || {
        tool(
            "POST",
            "/vms",
            &["a:body:string", "b:body:integer", "c:body:object", "d.e:body:array"],
        )
    };
    assert_eq!(
        text(post(), json!({"d.e": [], "c": {"z": 1, "a": null}, "b": u64::MAX, "a": null})),
        "POST https://h/vms\naccept: application/json\ncontent-type: application/json\n\n\
         {\"a\":null,\"b\":18446744073709551615,\"c\":{\"z\":1,\"a\":null},\"d.e\":[]}"
    );
    assert_eq!(text(post(), json!({})), "POST https://h/vms\naccept: application/json");
    let delete = tool("DELETE", "/vms", &["force:body:boolean"]);
    assert!(text(delete, json!({"force": true})).ends_with("\n\n{\"force\":true}"));
}

fn header(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

#[test]
fn no_body_has_no_content_type() {
    let get = with(tool("GET", "/vms", &[]), |tool| {
        tool.headers = vec![
            header("content-type", "application/json"),
            header("accept", "text/html"),
            header("x-a", "1"),
        ]
        .into();
    });
    assert_eq!(text(get, json!({})), "GET https://h/vms\naccept: text/html\nx-a: 1");
}

#[test]
fn a_json_dialect_is_kept() {
    let patch = with(tool("PATCH", "/x", &["a:body:string"]), |tool| {
        tool.http_mut().unwrap().body =
            BodyKind::JsonAs(Box::new("application/merge-patch+json".parse().unwrap()));
    });
    let sent = text(patch, json!({"a": "b"}));
    assert!(
        sent.ends_with("content-type: application/merge-patch+json\n\n{\"a\":\"b\"}"),
        "{sent}"
    );
}

#[test]
fn forms_are_pairs_and_nest_in_brackets() {
    let params = &["name:body:string", "n:body:integer", "tags:body:array", "card:body:object"];
    let form =
        || with(tool("POST", "/x", params), |tool| tool.http_mut().unwrap().body = BodyKind::Form);
    let arguments = json!({
        "name": "a b&c=ü", "n": 9_007_199_254_740_993_u64, "tags": ["x", "y"],
        "card": {"number": "1", "owner": {"name": "z"}}
    });
    assert_eq!(
        text(form(), arguments),
        "POST https://h/x\naccept: application/json\n\
         content-type: application/x-www-form-urlencoded\n\n\
         name=a%20b%26c%3D%C3%BC&n=9007199254740993&tags=x&tags=y&\
         card%5Bnumber%5D=1&card%5Bowner%5D%5Bname%5D=z"
    );
    assert!(!text(form(), json!({})).contains("content-type"));
}

#[test]
fn dotted_names_nest_when_the_descriptor_says_so() {
    let params = &["a.b:body:string", "a.c.d:body:integer", "e:body:string", "e.f:body:string"];
    let nested = |nest: bool, arguments: Value| {
        let post = with(tool("POST", "/x", params), |tool| tool.nest_body_keys = nest);
        text(post, arguments).split_once("\n\n").unwrap().1.to_owned()
    };
    let arguments = json!({"a.b": "x", "a.c.d": 1});
    assert_eq!(nested(true, arguments.clone()), r#"{"a":{"b":"x","c":{"d":1}}}"#);
    assert_eq!(nested(false, arguments), r#"{"a.b":"x","a.c.d":1}"#);
    // A value in the way of a member loses neither of the two.
    assert_eq!(nested(true, json!({"e": "1", "e.f": "2"})), r#"{"e":"1","e.f":"2"}"#);
}

#[test]
fn raw_bodies_are_a_file_or_the_text() {
    let raw = |params: &[&str], kind: &str| {
        with(tool("PUT", "/x", params), |tool| {
            tool.http_mut().unwrap().body = BodyKind::Raw(Box::new(kind.parse().unwrap()))
        })
    };
    let stream = "application/octet-stream";
    assert_eq!(
        text(raw(&[], stream), json!({"file": "a.xva"})),
        "PUT https://h/x\naccept: application/json\ncontent-type: application/octet-stream\n\n\
         <bytes of a.xva>"
    );
    let plain = raw(&["data:body:string"], "text/plain; charset=utf-8");
    assert!(
        text(plain.clone(), json!({"data": "a\nb"}))
            .ends_with("content-type: text/plain; charset=utf-8\n\na\nb")
    );
    assert!(!text(plain, json!({})).contains("content-type"));
    fails(raw(&[], stream), json!({}), "`file` (string) is required");
}

/// The body of a tool whose `file` is all of it.
fn whole(media: &str, kinds: Option<&[ParamKind]>, file: Value) -> String {
    let put = with(tool("PUT", "/x", &["file:body:file_url"]), |tool| {
        let body = BodyKind::Raw(Box::new(media.parse().unwrap()));
        body.settle(&mut tool.params[0]);
        if let Some(kinds) = kinds {
            tool.params[0].kind = ParamKind::Union(KindList::of(kinds.iter().copied()));
        }
        tool.http_mut().unwrap().body = body;
    });
    let sent = text(put, json!({ "file": file }));
    let (head, body) = sent.split_once("\n\n").unwrap();
    assert!(head.ends_with(&format!("content-type: {media}")), "{head}");
    body.to_owned()
}

#[test]
fn a_whole_body_is_given_inline_or_as_a_file() {
    use ParamKind::{Array, Integer, String};
    let json = "application/json";
    for (kinds, given, expected) in [
        (None, json!({"a": null}), r#"{"a":null}"#),
        (None, json!(5), "5"),
        (None, json!("{\"n\": 18446744073709551616}"), "{\"n\": 18446744073709551616}"),
        (None, json!("dadl-file:0f"), "<bytes of dadl-file:0f>"),
        (None, json!("a.json"), "<bytes of a.json if there is such a file, else \"a.json\">"),
        (Some(&[Array] as &[ParamKind]), json!([1, 2]), "[1,2]"),
        (Some(&[Array]), json!("[1, 2]"), "[1, 2]"),
        (Some(&[Array]), json!("a.json"), "<bytes of a.json>"),
        (Some(&[Integer]), json!("5"), "5"),
        (Some(&[String]), json!("[1]"), "<bytes of [1] if there is such a file, else \"[1]\">"),
        (Some(&[String, Array]), json!("[1]"), "[1]"),
    ] {
        assert_eq!(whole(json, kinds, given), expected, "{kinds:?}");
    }
    for media in ["application/xml", "text/plain"] {
        assert_eq!(whole(media, None, json!("<a>1</a>")), "<a>1</a>");
        assert_eq!(whole(media, None, json!("a.xml")), "a.xml");
        assert_eq!(whole(media, None, json!("dadl-file:0f")), "<bytes of dadl-file:0f>");
    }
    assert_eq!(whole("image/png", None, json!("a.png")), "<bytes of a.png>");
}

#[test]
fn a_required_body_is_never_left_out() {
    let required = |body: BodyKind| {
        with(tool("POST", "/x", &["a:body:string"]), |tool| {
            let http = tool.http_mut().unwrap();
            http.body = body;
            http.rules.required = true;
        })
    };
    for (body, expected) in [
        (BodyKind::Json, "content-type: application/json\n\n{}"),
        (
            BodyKind::JsonAs(Box::new("application/merge-patch+json".parse().unwrap())),
            "content-type: application/merge-patch+json\n\n{}",
        ),
        (BodyKind::Form, "content-type: application/x-www-form-urlencoded\n\n"),
        (BodyKind::Multipart, "content-type: multipart/form-data\n\n"),
    ] {
        let sent = text(required(body), json!({}));
        assert!(sent.ends_with(expected), "{sent}");
    }
}

#[test]
fn an_open_body_has_the_other_arguments() {
    let open = |body: BodyKind| {
        with(tool("POST", "/x", &["a:body:string"]), |tool| {
            let http = tool.http_mut().unwrap();
            http.body = body;
            http.rules.open = true;
        })
    };
    let given = || json!({"a": "1", "b": ["x", "y"]});
    for (body, expected) in [
        (BodyKind::Json, "\n\n{\"a\":\"1\",\"b\":[\"x\",\"y\"]}"),
        (BodyKind::Form, "\n\na=1&b=x&b=y"),
        (BodyKind::Multipart, "\n\na: 1\nb: x\nb: y"),
    ] {
        let sent = text(open(body), given());
        assert!(sent.ends_with(expected), "{sent}");
    }
}

#[test]
fn several_files_are_a_field_each() {
    let send = with(tool("POST", "/x", &["f:body:file_url", "n:body:string"]), |tool| {
        tool.params[0].form.several = true;
        tool.http_mut().unwrap().body = BodyKind::Multipart;
    });
    let sent = text(send.clone(), json!({"f": ["a.txt", "b.txt"], "n": "x"}));
    assert!(sent.ends_with("n: x\nf: <bytes of a.txt>\nf: <bytes of b.txt>"), "{sent}");
    assert!(text(send, json!({"f": "a.txt"})).ends_with("f: <bytes of a.txt>"));
}

#[test]
fn multipart_bodies_have_fields_and_then_files() {
    let params = ["f:body:file_url", "a:body:array", "o:body:object", "n.m:body:integer"];
    let multipart = |params: &[&str]| {
        with(tool("POST", "/x", params), |tool| tool.http_mut().unwrap().body = BodyKind::Multipart)
    };
    let arguments = json!({"f": "a.png", "a": ["x", 2], "o": {"k": "ü"}, "n.m": 7});
    assert_eq!(
        text(multipart(&params), arguments),
        "POST https://h/x\naccept: application/json\ncontent-type: multipart/form-data\n\n\
         a: x\na: 2\no: {\"k\":\"ü\"}\nn.m: 7\nf: <bytes of a.png>"
    );
    assert!(!text(multipart(&params), json!({})).contains("content-type"));
    assert!(text(multipart(&[]), json!({"file": "b.zip"})).ends_with("\n\nfile: <bytes of b.zip>"));
    fails(multipart(&[]), json!({}), "`file` (string) is required");
}

#[test]
fn binary_answers_are_not_asked_for_as_json() {
    let export = |accept: Option<&'static str>| {
        with(tool("GET", "/x", &[]), |tool| {
            tool.response.binary = true;
            tool.headers =
                accept.map(|value| header("accept", value)).into_iter().collect::<Vec<_>>().into();
        })
    };
    assert!(text(export(None), json!({})).ends_with("accept: */*"));
    assert!(text(export(Some("application/json")), json!({})).ends_with("accept: */*"));
    assert!(text(export(Some("image/png")), json!({})).ends_with("accept: image/png"));
}

#[test]
fn header_parameters_override_and_stay_ascii() {
    let get = || {
        with(
            tool("GET", "/x", &["X-A:header:string", "X-L:header:array", "Accept:header:string"]),
            |tool| {
                tool.headers = vec![header("x-a", "default")].into();
            },
        )
    };
    assert_eq!(
        text(get(), json!({"X-A": "b", "X-L": [1, "c"], "Accept": "text/csv"})),
        "GET https://h/x\nx-a: b\nx-l: 1, c\naccept: text/csv"
    );
    fails(get(), json!({"X-A": "ü"}), "`X-A` cannot be a header field");
    fails(get(), json!({"X-L": [{}]}), "`X-L` cannot be a header field");
    fails(get(), json!({"X-L": ["a\nb: c"]}), "`X-L` cannot be a header field");
}

/// A tool with a style for its first parameter.
fn styled(param: &str, path: &str, style: ParamStyle) -> Tool {
    with(tool("GET", path, &[param]), |tool| tool.params[0].form.style = style)
}

fn listed(lead: StylePrefix, explode: bool) -> ParamStyle {
    ParamStyle::Listed { lead, between: ListDelimiter::Comma, explode }
}

#[test]
fn a_list_is_one_value_where_its_style_says_so() {
    let get = || styled("n:query:array", "/x", listed(StylePrefix::None, false));
    for given in [json!(["a", "b"]), json!("a,b"), json!("[\"a\",\"b\"]")] {
        assert_eq!(target(get(), json!({"n": given})), "/x?n=a,b");
    }
    assert_eq!(target(get(), json!({"n": ["a,b", "c"]})), "/x?n=a%2Cb,c");
    assert_eq!(target(get(), json!({"n": 7})), "/x?n=7");
    assert_eq!(target(get(), json!({"n": []})), "/x");
    let below = || styled("n:path:array", "/x/{n}/y", listed(StylePrefix::None, false));
    assert_eq!(target(below(), json!({"n": [1, "a/b"]})), "/x/1,a%2Fb/y");
    fails(below(), json!({"n": []}), "`n` cannot be part of a path");
    fails(below(), json!({"n": [""]}), "`n` has an empty part");
    fails(below(), json!({"n": [".."]}), "`n` makes a path segment `.` or `..`");
    fails(below(), json!({"n": ["a\nb"]}), "`n` has control characters");
    let label = || styled("n:path:array", "/x/{n}", listed(StylePrefix::Dot, true));
    assert_eq!(target(label(), json!({"n": ["a", "b"]})), "/x/.a.b");
    assert_eq!(target(label(), json!({"n": ".a.b"})), "/x/.a.b");
    fails(label(), json!({"n": "."}), "makes a path segment");
    fails(label(), json!({"n": [""]}), "makes a path segment");
    let header = styled("X-N:header:array", "/x", listed(StylePrefix::None, false));
    let sent = text(header.clone(), json!({"X-N": ["a", "b c"]}));
    assert!(sent.contains("\nx-n: a,b c"), "{sent}");
    fails(header, json!({"X-N": ["a\r\nb: c"]}), "control characters");
}

#[test]
fn members_that_are_pairs_are_nobody_elses() {
    let get = || {
        let tool = tool("GET", "/x?fixed=1", &["n:query:object", "limit:query:integer"]);
        with(tool, |tool| {
            tool.params[0].form.style = listed(StylePrefix::None, true);
            tool.params[0].form.not = vec!["api_key".to_owned()];
        })
    };
    let given = json!({"n": {"a": "b&c", "l": [1, 2]}, "limit": 3});
    assert_eq!(target(get(), given), "/x?fixed=1&a=b%26c&l=1&l=2&limit=3");
    fails(get(), json!({"n": {"limit": 1}}), "`n` has a member `limit`, which is a parameter");
    fails(get(), json!({"n": "fixed=2"}), "`n` has a member `fixed`");
    fails(get(), json!({"n": {"api_key": "k"}}), "where the credential goes");
}

#[test]
fn one_parameter_may_be_the_whole_query() {
    let get = |kind: &str| {
        with(tool("GET", "/x", &[&format!("all:query:{kind}")]), |tool| {
            tool.params[0].form.whole = Some(WholePart::Query);
            tool.params[0].form.not = vec!["key".to_owned()];
        })
    };
    assert_eq!(target(get("string"), json!({"all": "a=1&b=x y#z"})), "/x?a=1&b=x%20y%23z");
    assert_eq!(target(get("string"), json!({"all": "?a=%20"})), "/x?a=%20");
    let object = json!({"all": {"a": "1&2", "b": [1, 2]}});
    assert_eq!(target(get("object"), object), "/x?a=1%262&b=1&b=2");
    fails(get("string"), json!({"all": "a=1&k%65y=2"}), "where the credential goes");
    let json_text = || with(get("object"), |tool| tool.params[0].form.style = ParamStyle::Json);
    for given in [json!({"a": 1}), json!("{\"a\":1}")] {
        assert_eq!(target(json_text(), json!({"all": given})), "/x?%7B%22a%22%3A1%7D");
    }
    fails(json_text(), json!({"all": "a=1"}), "`all` is no JSON");
}

#[test]
fn json_is_one_value_where_its_style_says_so() {
    let get = || styled("n:query:object", "/x", ParamStyle::Json);
    for given in [json!({"a": 1}), json!("{\"a\":1}")] {
        assert_eq!(target(get(), json!({"n": given})), "/x?n=%7B%22a%22%3A1%7D");
    }
    fails(get(), json!({"n": "a"}), "`n` is no JSON");
    let header = styled("X-N:header:object", "/x", ParamStyle::Json);
    let sent = text(header, json!({"X-N": {"a": "ü\n"}}));
    assert!(sent.contains("\nx-n: {\"a\":\"\\u00fc\\n\"}"), "{sent}");
}

#[test]
fn segments_stay_below() {
    let get = || styled("n:path:string", "/files/{n}/raw", ParamStyle::Segments);
    assert_eq!(target(get(), json!({"n": "a/b c/d.txt"})), "/files/a/b%20c/d.txt/raw");
    for wrong in ["../a", "a/..", "a/./b", "..", "/a", "a//b", "a/", "/"] {
        fails(get(), json!({"n": wrong}), "`n` ");
    }
    assert_eq!(target(get(), json!({"n": "%2e%2e/a"})), "/files/%252e%252e/a/raw");
}

#[test]
fn delimiters_stay_where_the_api_allows_them() {
    let get = |kind: &str, style| {
        let tool = styled(&format!("n:query:{kind}"), "/x", style);
        with(tool, |tool| tool.params[0].form.allow_reserved = true)
    };
    let given = json!({"n": "a:/?@!$(),*;b&c=d+e#f'[]"});
    let expected = "/x?n=a:/?@!$(),*;b%26c%3Dd%2Be%23f%27%5B%5D";
    assert_eq!(target(get("string", ParamStyle::Usual), given), expected);
    let list = get("array", listed(StylePrefix::None, false));
    assert_eq!(target(list, json!({"n": ["a/b,c", "d"]})), "/x?n=a/b%2Cc,d");
}

#[test]
fn delimiters_stay_in_a_form_as_well() {
    let post = |kind: &str, style| {
        let tool = tool("POST", "/x", &[&format!("n:body:{kind}"), "m:body:string"]);
        with(tool, |tool| {
            tool.http_mut().unwrap().body = BodyKind::Form;
            tool.params[0].form.style = style;
            tool.params[0].form.allow_reserved = true;
        })
    };
    let sent = text(post("string", ParamStyle::Usual), json!({"n": "a:/?b&c=d", "m": "a/b"}));
    assert!(sent.ends_with("\n\nm=a%2Fb&n=a:/?b%26c%3Dd"), "{sent}");
    let sent = text(post("array", listed(StylePrefix::None, false)), json!({"n": ["a/b,c", "d"]}));
    assert!(sent.ends_with("\n\nn=a/b%2Cc,d"), "{sent}");
}

#[test]
fn cookies_are_one_field() {
    let get = || {
        let tool = tool("GET", "/x", &["a:cookie:string", "b:cookie:integer", "l:cookie:array"]);
        with(tool, |tool| tool.params[2].form.style = listed(StylePrefix::None, false))
    };
    let sent = text(get(), json!({"a": "x=y", "b": 2, "l": ["1", "2;3"]}));
    assert!(sent.ends_with("\ncookie: a=x=y; b=2; l=1,2%3B3"), "{sent}");
    assert!(!text(get(), json!({})).contains("cookie"));
    for wrong in ["a; b=c", "a b", "a,b", "\"a\"", "ü"] {
        fails(get(), json!({"a": wrong}), "`a` cannot be a cookie");
    }
    fails(get(), json!({"a": "a\r\nb"}), "control characters");
}

#[test]
fn what_the_tool_says_about_accept_goes_before_what_follows_from_its_answer() {
    let get = |own: Option<&'static str>| {
        with(tool("GET", "/x", &[]), |tool| {
            tool.http_mut().unwrap().accept =
                Some(Box::new(HeaderValue::from_static("text/csv, */*;q=0.1")));
            tool.headers =
                own.map(|value| header("accept", value)).into_iter().collect::<Vec<_>>().into();
        })
    };
    assert!(text(get(None), json!({})).ends_with("accept: text/csv, */*;q=0.1"));
    assert!(text(get(Some("text/plain")), json!({})).ends_with("accept: text/plain"));
}

#[test]
fn a_form_has_its_styles() {
    let post = |body| {
        with(tool("POST", "/x", &["a:body:array", "b:body:string"]), |tool| {
            tool.http_mut().unwrap().body = body;
            tool.params[0].form.style = ParamStyle::Listed {
                lead: StylePrefix::None,
                between: ListDelimiter::Pipe,
                explode: false,
            };
        })
    };
    let given = || json!({"a": ["x", "y z"], "b": "c,d"});
    let form = text(post(BodyKind::Form), given());
    assert!(form.ends_with("\n\nb=c%2Cd&a=x%7Cy%20z"), "{form}");
    let multipart = text(post(BodyKind::Multipart), given());
    assert!(multipart.ends_with("\n\nb: c,d\na: x|y z"), "{multipart}");
}
