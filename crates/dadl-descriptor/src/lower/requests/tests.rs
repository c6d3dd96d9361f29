//! What is said about requests reaches the tools, or is found.

use serde_json::json;

use crate::{
    LoadedDescriptor, load,
    model::{ListDelimiter, ParamForm, ParamLocation, ParamStyle, StylePrefix, Tool, WholePart},
    source::SourceText,
};

fn loaded(requests: &str) -> LoadedDescriptor {
    let text = format!(
        "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp: {{requests: {requests}}}\nbackend:\n  \
         name: example\n  type: rest\n  description: An example.\n  \
         auth: {{type: apikey, credential: key, inject_into: header, header_name: Cookie, \
         prefix: 'sid='}}\n  health: {{tool: list}}\n  tools:\n    \
         list: {{method: GET, path: /x, access: read, description: L., params: {{\
         fields: {{type: string, in: query, default: 'a,b'}}, limit: {{type: integer, in: query, default: 5}}}}}}\n    \
         make: {{method: POST, path: '/x/{{id}}', access: write, description: M., params: {{\
         id: {{type: string, in: path}}, size: {{type: integer, in: body}}, \
         fields: {{type: object, in: body}}}}}}\n    \
         send: {{method: POST, path: /y, access: write, description: S., \
         content_type: multipart/form-data, params: {{file: {{type: file_url, in: body}}}}}}\n    \
         put: {{method: PUT, path: /z, access: write, description: P., \
         content_type: application/json, params: {{file: {{type: file_url, in: body}}}}}}\n  \
         composites:\n    \
         c: {{access: read, description: D., code: 'return 1', params: {{names: {{type: array}}}}}}\n"
    );
    load(&SourceText::new("t", text))
}

fn tools(requests: &str) -> Vec<Tool> {
    let loaded = loaded(requests);
    assert_eq!(loaded.diagnostics, [], "{requests}");
    loaded.descriptor.unwrap().tools
}

fn findings(requests: &str) -> Vec<String> {
    let found = loaded(requests).diagnostics;
    found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect()
}

fn listed(lead: StylePrefix, between: ListDelimiter, explode: bool) -> ParamForm {
    ParamForm { style: ParamStyle::Listed { lead, between, explode }, ..ParamForm::default() }
}

#[test]
fn what_is_said_of_all_counts_where_it_fits() {
    let tools = tools(
        "{'*': {nulls: declared, params: {fields: {style: form, explode: false}}}, \
         make: {accept: text/csv, body: {required: true, open: true}, \
         params: {size: {type: [integer, string], nullable: true}}}}",
    );
    assert!(tools.iter().all(|tool| tool.nulls_declared));
    let [list, make, ..] = tools.as_slice() else { panic!() };
    assert_eq!(*list.params[0].form, listed(StylePrefix::None, ListDelimiter::Comma, false));
    assert_eq!(list.params[0].kind.to_string(), "array or string");
    // In a JSON body nothing is written so.
    assert_eq!(*make.params[2].form, ParamForm::default());
    assert_eq!(make.params[1].kind.to_string(), "integer or string");
    assert!(make.params[1].form.nullable);
    let http = make.http().unwrap();
    assert!(http.rules.required && http.rules.open && !http.rules.only_file);
    assert_eq!(http.accept.as_deref().unwrap(), "text/csv");
    assert_eq!(list.http().unwrap().accept, None);
}

#[test]
fn the_health_check_sends_what_its_tool_sends() {
    let loaded = loaded("{list: {accept: text/csv, params: {fields: {style: pipeDelimited}}}}");
    let health = loaded.descriptor.unwrap().health.unwrap();
    assert_eq!(health.tool.http().unwrap().accept.as_deref().unwrap(), "text/csv");
    let piped = listed(StylePrefix::None, ListDelimiter::Pipe, false);
    assert_eq!(*health.tool.params[0].form, piped);
}

#[test]
fn styles_have_the_words_of_openapi() {
    let style =
        |tool: usize, param: usize, requests: &str| tools(requests)[tool].params[param].form.style;
    let (dot, semicolon) = (StylePrefix::Dot, StylePrefix::Semicolon);
    for (word, lead) in [("simple", StylePrefix::None), ("label", dot), ("matrix", semicolon)] {
        for explode in [true, false] {
            let requests =
                format!("{{make: {{params: {{id: {{style: {word}, explode: {explode}}}}}}}}}");
            let expected = ParamStyle::Listed { lead, between: ListDelimiter::Comma, explode };
            assert_eq!(style(1, 0, &requests), expected, "{word}");
        }
    }
    assert_eq!(style(1, 0, "{make: {params: {id: {style: segments}}}}"), ParamStyle::Segments);
    assert_eq!(style(0, 0, "{list: {params: {fields: {style: json}}}}"), ParamStyle::Json);
    assert_eq!(style(0, 0, "{list: {params: {fields: {style: deepObject}}}}"), ParamStyle::Usual);
    let form = ParamStyle::Listed {
        lead: StylePrefix::None,
        between: ListDelimiter::Comma,
        explode: true,
    };
    assert_eq!(style(0, 0, "{list: {params: {fields: {style: form}}}}"), form);
}

#[test]
fn a_taken_name_is_sent_from_another_parameter() {
    let tools = tools(
        "{make: {params: {query_size: {name: size, in: query, type: string, default: a}, \
         header_id: {name: id, in: header, type: string, required: true}}}}",
    );
    let [.., size, id] = tools[1].params.as_slice() else { panic!() };
    assert!(size.is_in(ParamLocation::Query) && id.is_in(ParamLocation::Header) && id.required);
    assert_eq!((size.name.as_str(), size.wire(), id.wire()), ("query_size", "size", "id"));
}

#[test]
fn parameters_that_only_we_have() {
    let tools = tools(
        "{list: {params: {lang: {in: cookie, type: string, default: en, description: L.}, \
         all: {in: querystring, type: [string, object]}}}, put: {body: {open: true}, \
         params: {file: {type: array, items: {type: string}}}}, \
         send: {params: {file: {type: files, content_type: text/csv}}}}",
    );
    let lang = &tools[0].params[2];
    assert!(lang.is_in(ParamLocation::Cookie) && !lang.required);
    assert_eq!(lang.default.as_deref(), Some(&json!("en")));
    let all = &tools[0].params[3];
    assert!(all.is_in(ParamLocation::Query) && all.form.whole == Some(WholePart::Query));
    assert!(tools[2].params[0].form.several);
    assert_eq!(tools[2].params[0].form.content_type.as_ref().unwrap(), &mime::TEXT_CSV);
    assert_eq!(tools[3].params[0].kind.to_string(), "array");
    assert_eq!(json!(tools[3].value_hints["file"]), json!({"items": {"type": "string"}}));
}

#[test]
fn a_composite_has_types() {
    let loaded = loaded("{c: {params: {names: {type: [array, string], items: {type: string}}}}}");
    assert_eq!(loaded.diagnostics, []);
    let composite = &loaded.descriptor.unwrap().composites[0];
    assert_eq!(composite.params[0].kind.to_string(), "array or string");
    assert_eq!(json!(composite.value_hints["names"]), json!({"items": {"type": "string"}}));
}

#[test]
fn what_cannot_be_is_found() {
    for (requests, expected) in [
        ("{lst: {accept: text/csv}}", "D770 the file has no tool `lst`"),
        ("{list: {accept: csv}}", "D770 `accept` is not a list of media types"),
        ("{list: {params: {field: {nullable: true}}}}", "D770 `list` has no parameter `field`"),
        (
            "{'*': {params: {field: {nullable: true}}}}",
            "D770 `field` is no parameter that this could be said of",
        ),
        (
            "{list: {params: {fields: {default: a}}}}",
            "D770 `default` says nothing of a parameter of `tools`",
        ),
        ("{c: {accept: text/csv}}", "D770 the composite `c` sends no request of its own"),
        ("{c: {params: {names: {style: form}}}}", "D770 `names` is in no request"),
        ("{make: {params: {size: {type: text}}}}", "D771 `text` is no type of a parameter"),
        (
            "{make: {params: {size: {type: [any, string]}}}}",
            "D771 `any`, `files` and `file_url` stand alone",
        ),
        (
            "{make: {params: {size: {type: files}}}}",
            "D771 `size` cannot have this type: several files go into a field of a multipart body",
        ),
        (
            "{send: {params: {file: {type: array}}}}",
            "D771 `file` cannot have this type: a file that is no JSON body has no other type",
        ),
        (
            "{list: {params: {limit: {type: [array, string]}}}}",
            "D771 the default of `limit` is of none of these types",
        ),
        (
            "{list: {params: {fields: {style: matrix}}}}",
            "D772 `fields` cannot be written as `matrix`",
        ),
        (
            "{list: {params: {fields: {explode: true}}}}",
            "D772 `explode` of `fields` has no `style`",
        ),
        ("{make: {params: {size: {style: json}}}}", "D772 `size` cannot be written as `json`"),
        (
            "{make: {params: {size: {allow_reserved: true}}}}",
            "D772 `size` is neither in the query nor in a form",
        ),
        (
            "{list: {params: {fields: {in: cookie, type: string}}}}",
            "D773 `fields` has a place below `tools` already",
        ),
        (
            "{list: {params: {sid: {in: cookie, type: string}}}}",
            "D773 the cookie `sid` carries the credential",
        ),
        (
            "{list: {params: {'a=b': {in: cookie, type: string}}}}",
            "D773 `a=b` is no name of a cookie",
        ),
        (
            "{list: {params: {a: {in: querystring, type: any}, b: {in: querystring, type: any}}}}",
            "D773 `a` is the whole query already",
        ),
        ("{make: {body: {file: true}}}", "D773 `file` cannot be said of this body"),
        ("{send: {params: {file: {whole: true}}}}", "D773 `file` cannot be the whole body"),
        (
            "{make: {params: {size: {content_type: text/csv}}}}",
            "D773 `size` is no field of a multipart body",
        ),
        ("{list: {params: {a: {in: cookie}}}}", "D009 the parameter `a` has no `type`"),
        ("{make: {params: {size: {items: {}}}}}", "D756 `items` does not fit the type of `size`"),
    ] {
        assert_eq!(findings(requests), [expected], "{requests}");
    }
}

#[test]
fn a_name_that_nothing_has_taken_is_found() {
    for (requests, expected) in [
        (
            "{make: {params: {a: {name: size, in: body, type: string}}}}",
            "D773 `size` is in the body already",
        ),
        (
            "{make: {params: {a: {name: other, in: query, type: string}}}}",
            "D773 no other parameter is called `other`: write it below `params`",
        ),
        ("{make: {params: {size: {name: other}}}}", "D773 `name` of `size` has no `in`"),
        (
            "{make: {params: {a: {in: query, type: string}}}}",
            "D773 `a` belongs below `params` of the tool",
        ),
    ] {
        assert_eq!(findings(requests), [expected], "{requests}");
    }
}

#[test]
fn no_member_has_the_name_of_a_credential_in_the_query() {
    let text = "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp:\n  auth: {also: [{type: apikey, \
                credential: b, inject_into: query, query_param: two}]}\n  requests: {list: {params: \
                {all: {in: querystring, type: object}}}}\nbackend:\n  name: example\n  type: rest\n  \
                description: An example.\n  auth: {type: apikey, credential: a, inject_into: query, \
                query_param: one}\n  tools:\n    list: {method: GET, path: /x, access: read, \
                description: L.}\n";
    let descriptor = load(&SourceText::new("t", text)).descriptor.unwrap();
    let all = descriptor.tools[0].params.iter().find(|param| param.name == "all").unwrap();
    assert_eq!(all.form.not, ["one", "two"]);
}
