//! Where an API is, and how requests authenticate.

use std::collections::BTreeSet;

use dadl_descriptor::{
    code,
    model::{AccessLevel, auth::rules::OptionalAuth, template::PathTemplate},
};
use dadl_text::names::verbs;

use super::{super::drift::DifferenceKind, *};

#[test]
fn credentials_come_from_the_schemes() {
    let with = |schemes: Value, security: Value| {
        let mut document =
            get(json!([{ "name": "key", "in": "query", "schema": { "type": "string" } }]));
        document["components"] = json!({ "securitySchemes": schemes });
        document["security"] = security;
        import_of(&document)
    };
    let auth = |scheme: Value| with(json!({ "s": scheme }), json!([{ "s": ["read"] }])).0.auth;
    assert!(matches!(
        auth(json!({ "type": "http", "scheme": "Bearer" })),
        AuthScheme::Token { .. }
    ));
    assert!(matches!(auth(json!({ "type": "http", "scheme": "basic" })), AuthScheme::Basic { .. }));
    assert!(matches!(auth(json!({ "type": "mutualTLS" })), AuthScheme::None));
    let cookie = auth(json!({ "type": "apiKey", "in": "cookie", "name": "sid" }));
    assert!(
        matches!(cookie, AuthScheme::Token { placement: TokenPlacement::Cookie(name), .. } if name == "sid")
    );
    let flows =
        |flow: &str, urls: Value| auth(json!({ "type": "oauth2", "flows": { flow: urls } }));
    let urls =
        json!({ "tokenUrl": "/token", "authorizationUrl": "https://a.example/auth", "scopes": {} });
    assert!(matches!(flows("clientCredentials", urls.clone()), AuthScheme::OAuth2(_)));
    assert!(matches!(flows("authorizationCode", urls.clone()), AuthScheme::OAuth2(_)));
    assert!(matches!(flows("implicit", urls), AuthScheme::Token { .. }));
    let (descriptor, _, lines) = with(
        json!({ "s": { "type": "apiKey", "in": "query", "name": "key" } }),
        json!([{ "s": [] }]),
    );
    assert!(descriptor.tools[0].params.is_empty(), "the credential is no parameter");
    assert!(lines.iter().any(|line| line.contains("carries the credential")), "{lines:?}");
}

#[test]
fn the_scheme_that_most_operations_take_is_chosen() {
    let mut document = lower_document(json!({
        "/a": { "get": {} },
        "/b": { "get": { "security": [{ "other": [] }] } },
        "/c": { "get": { "security": [] } },
        "/d": { "get": { "security": [{ "undefined": [] }] } },
    }));
    document["security"] = json!([{ "main": [] }]);
    document["components"] = json!({ "securitySchemes": {
        "other": { "type": "http", "scheme": "basic" },
        "main": { "type": "apiKey", "in": "header", "name": "X-Key" },
    } });
    let (descriptor, _, lines) = import_of(&document);
    assert!(matches!(descriptor.auth, AuthScheme::Token { .. }));
    let lost: Vec<&String> = lines.iter().filter(|line| line.starts_with("lost")).collect();
    assert_eq!(lost.len(), 2, "{lines:?}");
    assert!(lost.iter().any(|line| line.contains("/paths/~1b/get/security")), "{lost:?}");
    assert!(lost.iter().any(|line| line.contains("`undefined` is not defined")), "{lost:?}");
    let optional = BTreeSet::from(["get_c".to_owned()]);
    assert_eq!(descriptor.auth_rules.optional, OptionalAuth::Tools(optional));
}

/// Two operations, with this `security` of the first one, and four schemes.
fn secured(root: Value, own: Value) -> Value {
    let mut document =
        lower_document(json!({ "/a": { "get": { "security": own } }, "/b": { "get": {} } }));
    document["security"] = root;
    document["components"] = json!({ "securitySchemes": {
        "id": { "type": "apiKey", "in": "header", "name": "X-App-Id" },
        "key": { "type": "apiKey", "in": "header", "name": "X-App-Key" },
        "token": { "type": "http", "scheme": "bearer" },
        "login": { "type": "oauth2", "flows": { "clientCredentials": { "tokenUrl": "https://x.example/t", "scopes": {} } } },
    } });
    document
}

#[test]
fn keys_that_go_together_are_all_sent() {
    let names = |auth: &AuthScheme| -> Vec<String> {
        auth.credentials().into_iter().map(|name| name.0.clone()).collect()
    };
    let pair = json!([{ "id": [], "key": [] }]);
    let (descriptor, text, lines) = import_of(&secured(pair.clone(), pair));
    assert!(matches!(&descriptor.auth, AuthScheme::Several(all) if all.len() == 2), "{text}");
    assert_eq!(names(&descriptor.auth), ["example_api_key", "example_token"]);
    assert_eq!(descriptor.auth_rules.optional, OptionalAuth::No);
    assert!(!lines.iter().any(|line| line.starts_with("lost")), "{lines:?}");
    let all = json!([{ "key": [], "token": [] }]);
    let (descriptor, _, _) = import_of(&secured(all.clone(), all));
    assert_eq!(names(&descriptor.auth), ["example_api_key", "example_token"]);
    // A part of them is all that another operation asks for.
    let (descriptor, _, lines) =
        import_of(&secured(json!([{ "id": [], "key": [] }]), json!([{ "key": [] }])));
    assert!(matches!(descriptor.auth, AuthScheme::Several(_)), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("lost")), "{lines:?}");
    // Two in one field, or one that is a login, cannot go together.
    for pair in [json!([{ "login": [], "id": [] }]), json!([{ "token": [], "login": [] }])] {
        let (descriptor, _, lines) = import_of(&secured(pair.clone(), pair));
        assert!(!matches!(descriptor.auth, AuthScheme::Several(_)));
        let lost =
            lines.iter().filter(|line| line.starts_with("lost") && line.contains("security"));
        assert_eq!(lost.count(), 2, "{lines:?}");
    }
}

#[test]
fn a_credential_that_nothing_asks_for_is_optional() {
    for (root, own, expected) in [
        (json!([]), json!([]), OptionalAuth::All),
        (Value::Null, json!([{}, { "key": [] }]), OptionalAuth::All),
        (json!([{ "key": [] }]), json!([{ "key": [] }]), OptionalAuth::No),
        (
            json!([{ "key": [] }]),
            json!([]),
            OptionalAuth::Tools(BTreeSet::from(["get_a".to_owned()])),
        ),
        (
            json!([{ "key": [] }, {}]),
            json!([{ "key": [] }]),
            OptionalAuth::Tools(BTreeSet::from(["get_b".to_owned()])),
        ),
    ] {
        let (descriptor, text, _) = import_of(&secured(root.clone(), own.clone()));
        assert_eq!(descriptor.auth_rules.optional, expected, "{root} {own}\n{text}");
        assert_ne!(descriptor.auth, AuthScheme::None);
    }
    let (_, _, lines) = import_of(&secured(Value::Null, json!([])));
    assert!(lines.iter().any(|line| line.contains("no operation asks for `id`")), "{lines:?}");
}

#[test]
fn servers_become_a_base_url() {
    let base = |servers: Value| {
        let mut document = get(json!([]));
        document["servers"] = servers;
        import_of(&document).0.base_url
    };
    let url = |text: &str| Some(text.to_owned());
    assert_eq!(base(json!([{ "url": "https://x.example/a/" }])), url("https://x.example/a"));
    assert_eq!(base(json!([{ "url": "/api" }])), None);
    assert_eq!(base(json!([{ "url": "ftp://x.example" }])), None);
    let variables = json!([{ "url": "https://{region}.x.example/{v}", "variables": { "v": { "default": "v2" } } }]);
    assert_eq!(base(variables), url("https://{REGION}.x.example/v2"));
    let (descriptor, _, _) = import_of(&swagger(json!({ "/x": { "get": {} } })));
    assert_eq!(descriptor.base_url, url("https://old.example.com/v2"));
    let elsewhere = json!({ "/a": { "get": {} }, "/b": { "get": {}, "servers": [{ "url": "https://up.example" }] } });
    let (descriptor, _, lines) = import_of(&lower_document(elsewhere));
    assert_eq!(descriptor.tools.len(), 1);
    assert!(lines[0].contains("https://up.example"), "{lines:?}");
}

#[test]
fn what_certainly_reads_is_imported_as_such_and_no_check_asks_why() {
    for verb in verbs::READS {
        let capital = verb[..1].to_uppercase() + &verb[1..];
        for (path, id) in [
            (format!("/things/{verb}"), "things".to_owned()),
            (format!("/things/{verb}/"), "things".to_owned()),
            (format!("/things/{verb}/{{kind}}/"), "things".to_owned()),
            (format!("/things/{verb}Things"), "things".to_owned()),
            (format!("/{{kind}}/{verb}?all=true"), "things".to_owned()),
            ("/things".to_owned(), format!("{verb}Things")),
            ("/things".to_owned(), format!("{verb}_VMs")),
            ("/things".to_owned(), format!("{capital}HTTPServers")),
        ] {
            let document = lower_document(json!({
                "/other": { "get": { "operationId": "other", "summary": "Others" } },
                path.as_str(): { "post": { "operationId": id, "summary": "Some things" } },
            }));
            let (descriptor, text, _) = import_of(&document);
            let tool =
                descriptor.tools.iter().find(|tool| tool.method().as_str() == "POST").unwrap();
            assert_eq!(tool.access, Some(AccessLevel::Read), "{path} {id:?}\n{text}");
            let findings = check(&SourceText::new("t", text.as_str())).diagnostics;
            assert!(findings.iter().all(|it| it.code != code::POST_READ), "{text}\n{findings:#?}");
        }
    }
}

#[test]
fn an_imported_base_url_is_that_of_the_document() {
    for (url, base, below) in [
        ("https://x.example/ü/v1", Some("https://x.example/ü/v1"), "/ü/v1/vms"),
        ("https://{host}/{stage}/v1", Some("https://{HOST}/{STAGE}/v1"), "/{other}/v1/vms"),
        ("https://x.example/{a b}/v1?x=1", None, "/vms"),
        ("/api/{version", None, "/vms"),
    ] {
        let mut document = get(json!([]));
        document["servers"] = json!([{ "url": url }]);
        let (descriptor, text, _) = import_of(&document);
        assert_eq!(descriptor.base_url.as_deref(), base, "{text}");
        // The path of the base URL may also stand before that of each tool.
        let mut whole = descriptor;
        whole.base_url = None;
        whole.tools[0].http_mut().unwrap().path = PathTemplate::parse(below).unwrap();
        let (api, _) = read_document(document.to_string().as_bytes()).unwrap();
        let found = drift(&whole, &api).differences;
        assert!(
            found.iter().all(|it| it.what != DifferenceKind::UnknownOperation),
            "{url}: {found:#?}"
        );
    }
}
