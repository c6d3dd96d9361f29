//! One case per rule; each is a fragment in a document that is otherwise fine.

use std::time::Duration;

use crate::{
    diagnostic::Severity,
    load,
    model::{
        AccessLevel, AuthScheme, BodyKind, CredentialName, Descriptor, ErrorFormat, PageBehavior,
        PageStrategy, ParamKind, StreamHandling, TokenPlacement, Tool,
        auth::login::{ClientAuth, OAuth2Grant},
    },
    source::SourceText,
};

const HEAD: &str = "\
spec: https://dadl.ai/spec/dadl-spec-v0.2
backend:
  name: example
  type: rest
  description: An example.
";
const AUTH: &str = "  auth: {type: bearer, credential: token}\n";
const TOOL: &str = "    get: {method: GET, path: /x, description: Reads.}\n";

/// Returns `code line: message`, a line per finding.
fn check(yaml: &str) -> String {
    let source = SourceText::new("test.dadl", yaml);
    let loaded = load(&source);
    let lines: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|finding| {
            let line = source.position(finding.span.start).line;
            format!("{} {line}: {}", finding.code.0, finding.message)
        })
        .collect();
    let has_error = loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(loaded.descriptor.is_none(), has_error, "{yaml}");
    lines.join("\n")
}

fn descriptor(yaml: &str) -> Descriptor {
    let loaded = load(&SourceText::new("test.dadl", yaml));
    loaded.descriptor.unwrap_or_else(|| panic!("{yaml}\n{:#?}", loaded.diagnostics))
}

/// Puts keys into `backend`.
fn backend(keys: &str) -> String {
    format!("{HEAD}{keys}{AUTH}  tools:\n{TOOL}")
}

/// Puts `auth: {..}` into `backend`.
fn auth(keys: &str) -> String {
    format!("{HEAD}  auth: {{{keys}}}\n  tools:\n{TOOL}")
}

/// Puts `defaults: {..}` beside one tool that has `keys`.
fn with_defaults(defaults: &str, keys: &str) -> String {
    format!(
        "{HEAD}{AUTH}  defaults: {{{defaults}}}\n  tools:\n    t: {{description: T., {keys}}}\n"
    )
}

/// A document with one tool that has `keys`.
fn tool(keys: &str) -> String {
    format!("{HEAD}{AUTH}  tools:\n    t: {{description: T., {keys}}}\n")
}

fn first_line(yaml: &str) -> Tool {
    descriptor(yaml).tools.remove(0)
}

fn is_clean(yaml: &str) {
    assert_eq!(check(yaml), "", "{yaml}");
}

#[track_caller]
fn finds(yaml: &str, expected: &str) {
    let found = check(yaml);
    assert!(found.lines().any(|line| line == expected), "expected {expected}\nfound {found}");
}

#[test]
fn a_small_document_is_clean() {
    is_clean(&backend(""));
    is_clean(&backend("  version: 3.0\n"));
    assert_eq!(descriptor(&backend("  version: 1.10\n")).version.as_deref(), Some("1.10"));
}

#[test]
fn the_document_needs_its_parts() {
    finds("", "D006 1: the file is empty");
    finds("# nothing\n", "D006 1: the file is empty");
    finds("[]", "D006 1: the file must be a mapping, not a list");
    finds("spec: https://dadl.ai/spec/dadl-spec-v0.1.md\n", "D009 1: the file has no `backend`");
    let found = check("spec: x\nbackend: {}\n");
    for key in ["name", "type", "auth", "tools"] {
        assert!(found.contains(&format!("D009 2: `backend` has no `{key}`")), "{found}");
    }
}

#[test]
fn underscore_keys_are_ignored_at_the_top_only() {
    is_clean(&format!("_mine: [1, 2]\n{}", backend("")));
    finds(&backend("  _mine: 1\n"), "D008 6: unknown key `_mine` in `backend`");
    finds(
        &format!("mine: 1\n{}", backend("")),
        "D008 1: unknown key `mine` at the top of the file",
    );
}

#[test]
fn all_problems_are_found_at_once() {
    let yaml = tool("method: get, path: /x/../y, acess: read, params: {p: {type: text, in: body}}");
    let found = check(&yaml);
    let codes: Vec<&str> = found.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(codes, ["D010", "D303", "D008", "D010"]);
}

#[test]
fn features_and_versions() {
    let requires =
        |features: &str| format!("requires: {{features: [{features}]}}\n{}", backend(""));
    is_clean(&requires("deprecation, semantic_errors"));
    is_clean(&requires("health, returns"));
    finds(
        &requires("telepathy"),
        "D902 1: the feature `telepathy` is not supported by this version",
    );
    let noted = format!("requires: {{toolmesh: '>=0.9'}}\n{}", backend(""));
    finds(&noted, "D107 1: `toolmesh` only documents and is ignored");
    let old = tool("method: GET, path: /x, retry_unsafe: true").replace("v0.2", "v0.1");
    finds(&old, "D106 8: `retry_unsafe` is a feature of DADL 0.2, but the file declares 0.1");
}

#[test]
fn base_urls() {
    for good in ["https://x/y", "http://localhost:8080", "'{HOST}/api'", "'https://{NAME}.x.de'"] {
        is_clean(&backend(&format!("  base_url: {good}\n")));
    }
    for bad in ["/x", "ftp://x", "https://u:p@x", "https://x?y", "https://x#y", "'{}/x'", "'{a'"] {
        let found = check(&backend(&format!("  base_url: {bad}\n")));
        assert!(found.starts_with("D104 6: "), "{bad}: {found}");
    }
}

#[test]
fn token_authentication() {
    let placement = |keys: &str| match descriptor(&auth(keys)).auth {
        AuthScheme::Token { placement, .. } => placement,
        other => panic!("{other:?}"),
    };
    let header = |name: &'static str, prefix: &str| TokenPlacement::Header {
        name: http::HeaderName::from_static(name),
        prefix: prefix.to_owned(),
    };
    assert_eq!(placement("type: bearer, credential: a"), header("authorization", "Bearer "));
    assert_eq!(placement("type: bearer, credential: a, prefix: ''"), header("authorization", ""));
    assert_eq!(placement("type: apikey, credential: a"), header("x-api-key", ""));
    assert_eq!(
        placement("type: api_key, credential: a, header_name: X-Token, prefix: 'T '"),
        header("x-token", "T ")
    );
    assert_eq!(
        placement("type: bearer, credential: a, header_name: cookie, prefix: session="),
        TokenPlacement::Cookie("session".to_owned())
    );
    assert_eq!(
        placement("type: apikey, credential: a, inject_into: query, query_param: key"),
        TokenPlacement::Query("key".to_owned())
    );
}

/// The keys that most flows have.
const OAUTH2: &str = "type: oauth2, token_url: 'https://a.example/token', client_id_credential: id";

#[test]
fn flows_of_oauth2() {
    let oauth2 = |keys: &str| match descriptor(&auth(keys)).auth {
        AuthScheme::OAuth2(oauth2) => oauth2,
        other => panic!("{other:?}"),
    };
    let plain = oauth2(&format!("{OAUTH2}, client_secret_credential: s"));
    assert_eq!(plain.grant.flow(), "client_credentials");
    assert_eq!(plain.client_auth, ClientAuth::Post);
    assert_eq!(plain.renew_before.as_secs(), 60);
    let names: Vec<&str> = plain.grant.credentials().iter().map(|name| name.0.as_str()).collect();
    assert_eq!(names, ["id", "s"]);
    let bearer =
        TokenPlacement::Header { name: http::header::AUTHORIZATION, prefix: "Bearer ".to_owned() };
    assert_eq!(plain.placement, bearer);

    let more = "client_secret_credential: none, refresh_token_credential: r, flow: refresh_token, \
                token_auth: basic, refresh_before_expiry: 5m, scopes: [a, b], inject_into: query, \
                query_param: t";
    let refreshing = oauth2(&format!("{OAUTH2}, {more}"));
    assert_eq!(refreshing.grant.flow(), "refresh_token");
    assert_eq!(refreshing.client_auth, ClientAuth::Basic);
    assert_eq!(refreshing.renew_before.as_secs(), 300);
    assert_eq!(refreshing.scopes, ["a", "b"]);
    assert_eq!(refreshing.placement, TokenPlacement::Query("t".to_owned()));
    assert_eq!(refreshing.rotating(), None);
    assert_eq!(refreshing.grant.credentials().len(), 2);

    let more = "refresh_token_credential: r, flow: authorization_code, rotates_refresh_token: true, \
                authorize_url: 'http://localhost:1/a', authorization_params: {prompt: x}";
    let consented = oauth2(&format!("{OAUTH2}, {more}"));
    assert_eq!(consented.rotating(), Some(&CredentialName("r".to_owned())));
    let OAuth2Grant::RefreshToken { consent: Some(consent), .. } = &consented.grant else {
        panic!("{consented:?}")
    };
    assert_eq!(consent.parameters, [("prompt".to_owned(), "x".to_owned())]);

    let signed =
        oauth2("type: oauth2, flow: jwt_bearer, service_account_credential: a, subject: b");
    assert_eq!((signed.grant.flow(), signed.token_url), ("jwt_bearer", None));
}

#[test]
fn flows_need_their_keys_and_no_others() {
    finds(&auth("type: oauth2"), "D009 6: `auth` has no `token_url`");
    finds(&auth("type: oauth2"), "D009 6: `auth` has no `client_secret_credential`");
    let flow = |flow: &str, more: &str| auth(&format!("{OAUTH2}, flow: {flow}{more}"));
    finds(&flow("refresh_token", ""), "D009 6: `auth` has no `refresh_token_credential`");
    finds(&flow("authorization_code", ""), "D009 6: `auth` has no `authorize_url`");
    finds(&flow("jwt_bearer", ""), "D009 6: `auth` has no `service_account_credential`");
    let foreign = "D201 6: `client_id_credential` does not belong to the flow `jwt_bearer`";
    finds(&flow("jwt_bearer", ", service_account_credential: a"), foreign);
    let foreign = "D201 6: `subject` does not belong to the flow `refresh_token`";
    finds(&flow("refresh_token", ", subject: a"), foreign);
    let foreign = "D201 6: `login` does not belong to the flow `refresh_token`";
    finds(&flow("refresh_token", ", login: {}"), foreign);
    finds(
        &flow("refresh_token", ", token_auth: mtls"),
        "D010 6: unknown way to authenticate `mtls`",
    );
    let rotating =
        flow("refresh_token", ", refresh_token_credential: r, rotates_refresh_token: true");
    let undeclared = "D109 6: `rotates_refresh_token` is used, but `requires.features` does not list \
                      refresh_token_rotation";
    finds(&rotating, undeclared);
    let old = rotating.replace("dadl-spec-v0.2", "dadl-spec-v0.1");
    finds(&old, "D106 6: `flow` is a feature of DADL 0.2, but the file declares 0.1");
    for url in ["http://a.example/token", "ftp://a.example", "token", "https://u:p@a.example/"] {
        let yaml = auth(&format!(
            "type: oauth2, token_url: '{url}', client_id_credential: i, client_secret_credential: s"
        ));
        assert_eq!(check(&yaml), "D204 6: `token_url` cannot be used", "{url}");
    }
}

#[test]
fn sessions() {
    let login = "method: POST, path: /login, extract: {t: $.t}";
    let inject = "inject: [{header: X-T, value: '{{t}}'}]";
    let session =
        |login: &str, more: &str| auth(&format!("type: session, login: {{{login}}}, {more}"));
    let body = "body: {user_credential: u, kind: 1, deep: [{token: 'credential:t'}]}";
    let lowered = descriptor(&session(&format!("{login}, {body}"), inject)).auth;
    let names: Vec<&str> = lowered.credentials().iter().map(|name| name.0.as_str()).collect();
    assert_eq!(names, ["u", "t"]);
    assert!(lowered.uses_header(&http::HeaderName::from_static("x-t")));
    finds(&auth("type: session"), "D009 6: `auth` has no `login`");
    finds(&auth("type: session"), "D009 6: `auth` has no `inject`");
    finds(
        &session("method: POST, path: /a", inject),
        "D209 6: `{{t}}` is not a name under `extract`",
    );
    finds(
        &session(&login.replace("/login", "/../x"), inject),
        "D303 6: a path cannot contain dot segments",
    );
    finds(
        &session(&login.replace("/login", "'https://b/x'"), inject),
        "D303 6: a path cannot name another host",
    );
    finds(&session(login, "inject: []"), "D009 6: `inject` has no item");
    let twice = format!("{login}, body: {{p_credential: x, p: y}}");
    finds(&session(&twice, inject), "D207 6: the login's body has `p` twice");
    let literal = format!("{login}, body: {{token_type: bearer, new_password: x}}");
    assert_eq!(
        check(&session(&literal, inject)),
        "D208 6: `new_password` looks like a secret and is written out"
    );
    let host = "inject: [{header: Host, value: '{{t}}'}]";
    finds(&session(login, host), "D202 6: `Host` is not a header that can carry a credential");
    for refresh in ["trigger: 401", "trigger: on_401, action: re_login", "action: login"] {
        let yaml = session(login, &format!("{inject}, refresh: {{{refresh}}}"));
        assert!(!check(&yaml).contains("D211"), "{refresh}");
    }
}

#[test]
fn other_authentication() {
    assert_eq!(
        descriptor(&auth("type: apikey, credential: none, inject_into: query")).auth,
        AuthScheme::None
    );
    assert_eq!(
        descriptor(&auth("type: basic, username_credential: u")).auth,
        AuthScheme::Basic { username: CredentialName("u".to_owned()), password: None }
    );
    finds(&auth("type: basic"), "D009 6: `auth` has no `username_credential`");
    finds(&auth("type: bearer"), "D009 6: `auth` has no `credential`");
    finds(&auth("type: oauth2, flow: magic"), "D010 6: unknown flow `magic`");
    finds(&auth("type: baerer"), "D010 6: unknown authentication type `baerer`");
    finds(&auth("type: bearer, credential: a, inject_into: body"), "D010 6: unknown place `body`");
}

#[test]
fn credentials_have_a_place() {
    let cookie = "type: bearer, credential: a, header_name: Cookie";
    finds(&auth(cookie), "D202 6: a cookie needs a name");
    finds(&auth(&format!("{cookie}, prefix: 'a b='")), "D202 6: a cookie needs a name");
    finds(
        &auth("type: bearer, credential: a, header_name: Host"),
        "D202 6: `Host` is not a header that can carry a credential",
    );
    finds(
        &auth("type: bearer, credential: a, prefix: \"a\\nb\""),
        "D202 6: the prefix cannot stand in a header",
    );
    finds(&auth("type: bearer, credential: ''"), "D203 6: this cannot name a credential");
    finds(
        &auth("type: bearer, credential: a, query_param: q"),
        "D201 6: `query_param` has no effect with `inject_into: header`",
    );
}

#[test]
fn paths_and_their_parameters() {
    let with = |path: &str, params: &str| {
        tool(&format!("method: GET, path: '{path}', params: {{{params}}}"))
    };
    let id = "id: {type: string, in: path}";
    is_clean(&with("/x/{id}", id));
    assert!(first_line(&with("/x/{id}", id)).params[0].required, "path parameters are required");
    finds(&with("/x/{id}", ""), "D301 8: the placeholder `{id}` has no path parameter");
    finds(&with("/x", id), "D302 8: the path has no placeholder `{id}`");
    finds(&with("//evil/x", ""), "D303 8: a path cannot name another host");
    finds(
        &with("/x/{id}", "id: {type: string, in: path, required: false}"),
        "D307 8: the path parameter `id` cannot be optional",
    );
}

#[test]
fn the_span_of_a_path_error_is_exact() {
    let yaml = tool("method: GET, path: \"/a/../b\"");
    let source = SourceText::new("t", yaml);
    let span = load(&source).diagnostics[0].span.clone();
    assert_eq!(source.slice(span), "..");
    let yaml = tool("method: GET, path: '/ä/{id}'");
    let source = SourceText::new("t", yaml);
    let span = load(&source).diagnostics[0].span.clone();
    assert_eq!(source.slice(span), "{id}");
}

#[test]
fn defaults_of_parameters() {
    let with = |kind: &str, value: &str| {
        tool(&format!(
            "method: GET, path: /x, params: {{p: {{type: {kind}, in: query, default: {value}}}}}"
        ))
    };
    for (kind, value) in [
        ("string", "text"),
        ("string", "on"),
        ("integer", "5"),
        ("number", "0.5"),
        ("number", "5"),
        ("boolean", "true"),
        ("array", "[1]"),
        ("object", "{a: 1}"),
    ] {
        is_clean(&with(kind, value));
    }
    for (kind, value) in
        [("integer", "'5'"), ("boolean", "'true'"), ("array", "'[]'"), ("string", "5")]
    {
        let yaml = with(kind, value);
        assert!(check(&yaml).starts_with("D305"), "{kind} {value}");
        assert!(first_line(&yaml).params[0].default.is_some(), "{kind} {value}");
    }
    for (kind, value) in [("integer", "1.5"), ("integer", "x"), ("boolean", "yes"), ("array", "1")]
    {
        assert!(
            load(&SourceText::new("t", with(kind, value))).descriptor.is_none(),
            "{kind} {value}"
        );
    }
    let default = &first_line(&with("string", "1.10")).params[0].default;
    assert_eq!(default.as_deref(), Some(&"1.10".into()));
}

#[test]
fn names_that_yaml_1_1_would_change() {
    let yaml = tool("method: GET, path: /x, params: {on: {type: boolean, in: query}}");
    assert_eq!(first_line(&yaml).params[0].name, "on");
}

#[test]
fn headers_that_belong_to_the_program() {
    let param = |name: &str| {
        tool(&format!("method: GET, path: /x, params: {{'{name}': {{type: string, in: header}}}}"))
    };
    for name in ["Authorization", "cookie", "HOST", "Content-Length", "Transfer-Encoding"] {
        let expected = format!("D306 8: the header `{name}` is set by the program only");
        finds(&param(name), &expected);
        finds(
            &with_defaults(&format!("headers: {{{name}: x}}"), "method: GET, path: /x"),
            &format!("D306 7: the header `{name}` is set by the program only"),
        );
    }
    finds(&param("a b"), "D306 8: `a b` is not the name of a header");
    is_clean(&param("X-Request-ID"));
    let key = auth("type: apikey, credential: a")
        .replace("  tools:", "  defaults: {headers: {X-API-Key: secret}}\n  tools:");
    finds(&key, "D306 7: the header `X-API-Key` carries the credential");
}

#[test]
fn content_type_of_the_defaults_is_no_header() {
    let tool = first_line(&with_defaults(
        "headers: {Content-Type: application/json, Accept: text/csv}",
        "method: GET, path: /x",
    ));
    let names: Vec<&str> = tool.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["accept"]);
    assert_eq!(tool.body(), Some(&BodyKind::Json));
}

#[test]
fn raw_bodies() {
    let raw = |keys: &str| tool(&format!("path: /x, content_type: application/gzip, {keys}"));
    let gzip = BodyKind::Raw(Box::new("application/gzip".parse().unwrap()));
    assert_eq!(first_line(&raw("method: POST")).body(), Some(&gzip));
    let one = "method: PUT, params: {data: {type: file_url, in: body}}";
    assert_eq!(first_line(&raw(one)).body(), Some(&gzip));
    finds(
        &raw("method: PUT, params: {data: {type: object, in: body}}"),
        "D308 8: `data` is the whole body and must be text or a file",
    );
    finds(
        &raw("method: PUT, params: {file: {type: string, in: query}}"),
        "D308 8: this parameter has the name of the raw body",
    );
    finds(&raw("method: GET"), "D402 8: `content_type` has no effect without a body");
    let inherited = with_defaults("content_type: text/plain", "method: POST, path: /x");
    assert_eq!(
        first_line(&inherited).body(),
        Some(&BodyKind::Json),
        "nothing is sent, so nothing is raw"
    );
}

#[test]
fn a_file_is_a_part_or_the_whole_body() {
    let post = |keys: &str| tool(&format!("method: POST, path: /x, {keys}"));
    let file = "params: {f: {type: file_url, in: body}}";
    let two = "params: {f: {type: file_url, in: body}, n: {type: string, in: body}}";
    let multipart = "content_type: multipart/form-data; boundary=x";
    for params in [file, two, "params: {}"] {
        let tool = first_line(&post(&format!("{multipart}, {params}")));
        assert_eq!(tool.body(), Some(&BodyKind::Multipart), "{params}");
    }
    let whole =
        |kind: &str| first_line(&post(&format!("content_type: {kind}, {file}"))).body().cloned();
    for kind in ["application/json", "application/x-www-form-urlencoded", "image/png"] {
        assert_eq!(whole(kind), Some(BodyKind::Raw(Box::new(kind.parse().unwrap()))));
    }
    finds(&post(file), "D311 8: the file `f` has no content type of its own");
    finds(
        &post(&format!("content_type: application/json, {two}")),
        "D308 8: a body of the type `application/json` has a single parameter",
    );
    finds(
        &post("params: {f: {type: file_url, in: query}}"),
        "D312 8: the file `f` is not in the body",
    );
    finds(
        &post(&format!("content_type: multipart/mixed, {file}")),
        "D310 8: a body of the type `multipart/mixed` cannot be built",
    );
    finds(
        &tool(&format!("method: GET, path: /x, {multipart}")),
        "D402 8: `content_type` has no effect without a body",
    );
}

#[test]
fn answers_that_are_files() {
    let with = |keys: &str| tool(&format!("method: GET, path: /x, response: {{{keys}}}"));
    let rules =
        first_line(&with("type: file_url, ttl: 1h, result_path: $, allow_jq_override: false"));
    assert_eq!(rules.response.ttl, Some(Duration::from_secs(3600)));
    assert!(rules.response.binary);
    is_clean(&with("binary: true, ttl: 1d"));
    assert!(!first_line(&with("type: json")).response.binary);
    finds(&with("type: json"), "D415 8: unknown type of a response `json`");
    finds(&with("ttl: 1h"), "D416 8: `ttl` says how long a file is kept");
    finds(&with("binary: true, ttl: soon"), "D403 8: `ttl` is not a duration: `soon`");
    finds(&with("binary: true, ttl: 0s"), "D408 8: `ttl` must be longer than zero");
    finds(
        &with("binary: true, result_path: $.data"),
        "D417 8: `result_path` has no effect on an answer that is saved to a file",
    );
}

#[test]
fn pagination_of_the_defaults_is_for_lists() {
    let defaults = "pagination: {strategy: offset, request: {offset_param: o, limit_default: 9}}";
    let has = |keys: &str| first_line(&with_defaults(defaults, keys)).pagination().is_some();
    assert!(has("method: GET, path: /x"));
    assert!(!has("method: POST, path: /x"));
    assert!(!has("method: GET, path: /x, pagination: none"));
    assert!(!has("method: GET, path: /x, response: {binary: true}"));
    assert!(has("method: POST, path: /x, pagination: {strategy: page}"));
    let own = "method: GET, path: /x, pagination: {strategy: cursor, response: {next_cursor: $.n}}";
    let pagination = first_line(&with_defaults(defaults, own)).pagination().unwrap().clone();
    assert!(matches!(pagination.strategy, PageStrategy::Cursor { next: Some(_), .. }));
    assert_eq!(pagination.limit_default, None, "objects are replaced as a whole");
}

#[test]
fn pagination_rules() {
    let with = |keys: &str| tool(&format!("method: GET, path: /x, pagination: {keys}"));
    finds(&with("all"), "D010 8: unknown pagination `all`");
    finds(&with("{}"), "D009 8: `pagination` has no `strategy`");
    finds(&with("{strategy: token}"), "D010 8: unknown pagination strategy `token`");
    let auto = with("{strategy: page, behavior: auto, max_pages: 3}");
    let behavior = first_line(&auto).pagination().unwrap().behavior;
    assert_eq!(behavior, PageBehavior::Auto { max_pages: 3 });
    finds(&with("{strategy: page, max_pages: 0}"), "D408 8: `max_pages` must be at least 1");
    finds(
        &with("{strategy: page, response: {has_more: '$.a < $.b'}}"),
        "D401 8: `has_more` is a comparison, not a path",
    );
    finds(
        &with("{strategy: page, response: {has_more: 'count($.a) > 1'}}"),
        "D402 8: `has_more` is not JSONPath and has no effect",
    );
    finds(
        &with("{strategy: page, behavior: auto, response: {has_more: 'count($.a) > 1'}}"),
        "D401 8: `has_more` is not JSONPath",
    );
    finds(
        &with("{strategy: page, response: {total_pages_header: 'a b'}}"),
        "D306 8: `a b` is not the name of a header",
    );
    let shared = with("{strategy: offset, request: {cursor_param: skip}}");
    let strategy = first_line(&shared).pagination().unwrap().clone().strategy;
    assert!(matches!(strategy, PageStrategy::Offset { param: Some(name) } if name == "skip"));
    finds(
        &with("{strategy: page, request: {limit_default: '100'}}"),
        "D006 8: `limit_default` must be a whole number, not text",
    );
}

#[test]
fn error_rules() {
    let with = |keys: &str| tool(&format!("method: GET, path: /x, errors: {{{keys}}}"));
    let rules = first_line(&with(
        "map: {404: gone}, retry_on: [503], retry_strategy: {initial_delay: 500ms, max_retries: 1}",
    ))
    .errors;
    assert_eq!(rules.map, [(404, "gone".to_owned())]);
    assert_eq!(rules.retry.initial_delay, Duration::from_millis(500));
    assert_eq!((rules.retry.max_retries, rules.retry_on.as_slice()), (1, &[503][..]));
    finds(&with("retry_on: [99]"), "D405 8: 99 is not an HTTP status");
    finds(&with("retry_on: ['503']"), "D006 8: an item of `retry_on` must be a number, not text");
    finds(&with("retry_on: [1], terminal: [1]"), "D405 8: 1 is not an HTTP status");
    finds(&with("map: {4xx: gone}"), "D407 8: `4xx` is not a 3xx, 4xx or 5xx status");
    assert_eq!(first_line(&with("format: xml")).errors.format, ErrorFormat::Xml);
    finds(&with("rate_limit: {header: X Y}"), "D306 8: `X Y` is not the name of a header");
    finds(&with("retry_strategy: {backoff: expo}"), "D010 8: unknown backoff `expo`");
    finds(&with("retry_strategy: {max_retries: 1000}"), "D408 8: 1000 retries are too many");
    let kept = with_defaults("errors: {retry_on: [503]}", "method: GET, path: /x, errors: {}");
    assert!(first_line(&kept).errors.retry_on.is_empty(), "objects are replaced as a whole");
}

#[test]
fn bodies_have_the_form_that_their_type_says() {
    let kind =
        |keys: &str| first_line(&tool(&format!("method: POST, path: /x, {keys}"))).body().cloned();
    assert_eq!(kind("content_type: application/x-www-form-urlencoded"), Some(BodyKind::Form));
    let patch = "application/merge-patch+json";
    let expected = Some(BodyKind::JsonAs(Box::new(patch.parse().unwrap())));
    assert_eq!(kind(&format!("content_type: {patch}")), expected);
    assert!(first_line(&tool("method: POST, path: /x, nest_body_keys: true")).nest_body_keys);
    let nested = with_defaults("nest_body_keys: true", "method: POST, path: /x");
    assert!(first_line(&nested).nest_body_keys);
}

#[test]
fn idempotency_keys_have_a_header_of_their_own() {
    let post = |keys: &str| tool(&format!("method: POST, path: /x, {keys}"));
    let keyed = first_line(&post("idempotency: {header: Idempotency-Key, generate: uuid_v4}"));
    assert_eq!(*keyed.idempotency.unwrap(), "idempotency-key");
    let found = check(&post("idempotency: {header: Idempotency-Key}"));
    assert!(found.contains("D109"), "{found}");
    let reason = |keys: &str| check(&post(keys));
    assert!(reason("idempotency: {header: Authorization}").contains("D306"));
    assert!(reason("idempotency: {header: K, generate: counter}").contains("D010"));
    assert!(reason("idempotency: {}").contains("D009"));
    let param = "idempotency: {header: X-Key}, params: {X-Key: {type: string, in: header}}";
    assert!(reason(param).contains("set by a parameter already"));
}

#[test]
fn streams_are_declared() {
    let with = |keys: &str| tool(&format!("method: GET, path: /x, response: {{{keys}}}"));
    let declared = first_line(&with("streaming: true, stream_handling: skip, max_duration: 5s"));
    let streaming = declared.response.streaming;
    assert_eq!(streaming.max_duration, Some(Duration::from_secs(5)));
    assert_eq!(streaming.handling, StreamHandling::Skip);
    finds(
        &with("max_duration: 5s"),
        "D402 8: `max_duration` has no effect without `streaming: true`",
    );
    finds(
        &with("streaming: true, stream_handling: drop"),
        "D010 8: unknown stream handling `drop`",
    );
    is_clean(&with("metadata_path: $.meta"));
}

#[test]
fn switches_may_be_off() {
    let off = "method: POST, path: /x, nest_body_keys: false, response: {allow_jq_override: false}";
    is_clean(&tool(off));
}

#[test]
fn references_between_parts() {
    let yaml = backend("  hints: {get: {a: text, b: 2.50, c: true}}\n");
    is_clean(&yaml);
    let pairs = [("a", "text"), ("b", "2.50"), ("c", "true")];
    assert_eq!(
        first_line(&yaml).hints,
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    finds(
        &backend("  hints: {gett: {a: b}}\n"),
        "D501 6: `hints` names the tool `gett`, which does not exist",
    );
    finds(&backend("  hints: {get: {a: [b]}}\n"), "D502 6: the hint `a` is a list");
    finds(
        &tool("method: GET, path: /x, depends_on: [u]"),
        "D501 8: `depends_on` names the tool `u`, which does not exist",
    );
    let successor = tool("method: GET, path: /x, deprecated: old, replaced_by: t");
    is_clean(&successor);
    let deprecated = first_line(&successor).deprecated.unwrap();
    assert_eq!(
        (deprecated.reason.as_deref(), deprecated.replaced_by.as_deref()),
        (Some("old"), Some("t"))
    );
    assert_eq!(first_line(&tool("method: GET, path: /x, deprecated: false")).deprecated, None);
}

#[test]
fn coverage_counts_what_the_file_lists() {
    is_clean(&backend("  coverage: {endpoints: 1}\n"));
    finds(
        &backend("  coverage: {endpoints: 2}\n"),
        "D503 6: `endpoints` is 2, but the backend has 1 tools",
    );
    let broken = backend("  coverage: {endpoints: 1}\n").replace("GET", "GOT");
    assert!(!check(&broken).contains("D503"), "the tool is listed, though it has an error");
}

#[test]
fn values_of_another_type() {
    finds(&backend("  types: []\n"), "D006 6: `types` must be a mapping, not a list");
    finds(&format!("credits: []\n{}", backend("")), "D006 1: `credits` names nobody");
    finds(&backend("  setup: later\n"), "D006 6: `setup` must be a mapping, not text");
    finds(&backend("  setup:\n"), "D006 6: `setup` has no value");
    finds(&backend("  base_url: 5\n"), "D007 6: `base_url` must be text, not a number");
    finds(
        &tool("method: GET, path: /x, retry_unsafe: yes"),
        "D006 8: `retry_unsafe` must be `true` or `false`, not text",
    );
    let access = first_line(&tool("method: GET, path: /x, access: audit")).access;
    assert_eq!(access, Some(AccessLevel::Custom("audit".to_owned())));
}

#[test]
fn aliases_expand_and_report_once() {
    let yaml = format!(
        "_shared: &id {{type: strin, in: path}}\n{HEAD}{AUTH}  tools:\n    \
         a: {{method: GET, path: '/{{id}}', description: A., params: {{id: *id}}}}\n    \
         b: {{method: GET, path: '/{{id}}', description: B., params: {{id: *id}}}}\n"
    );
    assert_eq!(check(&yaml).matches("unknown parameter type `strin`").count(), 1);
    let good = descriptor(&yaml.replace("strin,", "string,"));
    assert!(good.tools.iter().all(|tool| tool.params[0].kind == ParamKind::String));
}
