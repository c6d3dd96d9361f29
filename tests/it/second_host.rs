//! Tools whose paths are whole URLs: left out, unless the operator admits their origin; and what goes
//! there then.

use dadl_mcp::{config::BackendSettings, gate::CallRefusal};
use serde_json::{Map, Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, failure, serve_harness},
    setup::Home,
    upstream::{Answer, Upstream},
};

const TOKEN: &str = "s3cr3t-token-value";
const HEADER: &str = "s3cr3t-of-the-operator";

/// Each test gives its own `OTHER` and `AUTH`.
const DESCRIPTOR: &str = api!(
    top: "requires: { features: [composites, health] }",
    auth: "AUTH",
    backend: r#"
  defaults: { errors: { retry_strategy: { max_retries: 0 } } }
  health: { tool: far_list }
  tools:
    own: { method: GET, path: /things, access: read, description: Own. }
    far: { method: GET, path: "OTHER/v2/far/{id}?kind=vm", access: read, description: Far., params: { id: { type: string, in: path }, q: { type: string, in: query } } }
    far_list: { method: GET, path: OTHER/list, access: read, description: Lists., pagination: { behavior: auto, strategy: link_header } }
    far_file: { method: GET, path: OTHER/file, access: read, description: A file., response: { binary: true } }
    far_send: { method: POST, path: OTHER/send, access: write, description: Sends., content_type: application/octet-stream }
    far_events: { method: GET, path: OTHER/events, access: read, description: Events., response: { streaming: true } }
    far_wipe: { method: DELETE, path: "OTHER/wipe/{id}", access: dangerous, description: Wipes., params: { id: { type: string, in: path } } }
    unclear: { method: GET, path: "https://{region}.example.com/x", access: read, description: Unclear. }
  composites:
    run: { access: read, description: Runs., code: "return await api.far({ id: 'a' });" }
    try: { access: read, description: Tries., code: "try { return await api.far({ id: 'a' }); } catch (error) { return [error.code, error.message]; }" }
    wipe: { access: write, description: Wipes., delegates: [far_wipe], code: "return await api.far_wipe({ id: 'a' });" }
"#
);

const BEARER: &str = "type: bearer, credential: fake_token";

fn describe(auth: &str, other: &Upstream) -> String {
    DESCRIPTOR.replace("AUTH", auth).replace("OTHER", &origin(other))
}

fn origin(upstream: &Upstream) -> String {
    format!("http://{}", upstream.address)
}

async fn upstream() -> Upstream {
    Upstream::start(vec![Answer::json(200, "[1]")]).await
}

/// The backend at `own`, whose descriptor has tools at `other`.
fn bench(
    auth: &str,
    own: &Upstream,
    other: &Upstream,
    change: impl FnOnce(&mut BackendSettings),
) -> Harness {
    Harness::new(&describe(auth, other), &own.url(), Fixed(Ok(TOKEN.to_owned())), |settings| {
        settings.headers = vec![("x-operator".parse().unwrap(), HEADER.parse().unwrap())];
        change(settings);
    })
}

/// Admits the origin of `other`.
fn admitting(other: &Upstream, credential: bool) -> impl FnOnce(&mut BackendSettings) {
    let mut allowed: dadl_mcp::access::AllowedOrigin = origin(other).parse().unwrap();
    allowed.credential = credential;
    move |settings| settings.policy.origins = vec![allowed]
}

fn denied(harness: &Harness, tool: &str) -> String {
    match harness.gate.check(tool, Map::new()).unwrap_err() {
        refusal @ CallRefusal::Denied { .. } => refusal.to_string(),
        other => panic!("{other}"),
    }
}

fn first_lines(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().map(|it| it.lines().next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_rest_of_the_file_serves() {
    let (own, other) = (upstream().await, upstream().await);
    let harness = bench(BEARER, &own, &other, |_| {});
    assert_eq!(harness.value("own", json!({})).await, json!([1]));
    for tool in ["far", "far_list", "far_file", "far_send", "far_events", "far_wipe"] {
        let refused = denied(&harness, tool);
        let host = origin(&other);
        assert!(refused.contains(&format!("its path is at another host, {host}")), "{refused}");
        assert!(refused.contains(&format!("`allow_origins: [\"{host}\"]`")), "{refused}");
    }
    assert!(denied(&harness, "unclear").contains("correct the `path`"));
    // The operator's own check is no way around it.
    assert!(harness.gate.check_health(dadl_mcp::catalog::BackendId(0)).unwrap().is_err());
    let mut client = Client::legacy(serve_harness(harness, ""), json!({})).await;
    let listed = client.request(1, "tools/list", json!({})).await;
    let names = listed["result"]["tools"].as_array().unwrap().iter().map(|it| &it["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["own", "run", "try", "wipe", "read_result"]);
    let answer = client.call(2, "far", json!({ "id": "a" })).await;
    assert!(failure(&answer).contains("another host"), "{answer}");
    assert_eq!(own.requests().len(), 1);
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_tool_is_left_out_with_a_warning() {
    let (own, other) = (upstream().await, upstream().await);
    let home = Home::new(BEARER, "", &own.url()).with("CREDENTIAL_FAKE_TOKEN", TOKEN);
    std::fs::write(home.path().join("fake.dadl"), describe(BEARER, &other)).unwrap();
    let (url, host) = (own.url(), origin(&other));
    let flags = ["--dadl", "fake.dadl", "--url", &url];
    let list = home.run_alone(&[&["list"][..], &flags].concat()).await;
    assert_eq!(list.code, 0, "{}", list.err);
    assert!(list.out.contains("own") && !list.out.contains("far_list"), "{}", list.out);
    let warning = format!("the tool `far` is left out: its path is at another host, {host}");
    assert!(list.err.contains(&warning), "{}", list.err);
    assert!(list.err.contains("`unclear` is left out"), "{}", list.err);
    let call = home.run_alone(&[&["call", "own"][..], &flags].concat()).await;
    assert_eq!(call.code, 0, "{}", call.err);
    let call = home.run_alone(&[&["call", "far", "id=a"][..], &flags].concat()).await;
    assert_eq!(call.code, 4, "{}", call.err);
    assert!(call.err.contains(&format!("--allow-origin {host}")), "{}", call.err);
    assert!(other.requests().is_empty());
    // As it says.
    let admitted = [&flags[..], &["--allow-origin", &host]].concat();
    let call = home.run_alone(&[&["call", "far", "id=a"][..], &admitted].concat()).await;
    assert_eq!(call.code, 0, "{}", call.err);
    assert!(!call.err.contains("`far` is left out"), "{}", call.err);
    let dry =
        home.run_alone(&[&["call", "far", "id=a", "--dry-run"][..], &admitted].concat()).await;
    assert!(dry.out.starts_with(&format!("GET {host}/v2/far/a?kind=vm\n")), "{}", dry.out);
    assert!(!dry.out.contains("[REDACTED]"), "{}", dry.out);
    let dry = home.run_alone(&[&["call", "own", "--dry-run"][..], &admitted].concat()).await;
    assert!(dry.out.contains("authorization: Bearer [REDACTED]"), "{}", dry.out);
    // To its author it is an error.
    let check = home.run_alone(&["check", "fake.dadl"]).await;
    assert_ne!(check.code, 0);
    assert!(check.out.contains("error[D303]"), "{}", check.out);
}

#[tokio::test]
async fn an_admitted_host_gets_no_credential() {
    for auth in [
        BEARER,
        "type: apikey, credential: fake_token, inject_into: query, query_param: key",
        "type: bearer, credential: fake_token, header_name: Cookie, prefix: 'sid='",
    ] {
        let (own, other) = (upstream().await, upstream().await);
        let harness = bench(auth, &own, &other, admitting(&other, false));
        harness.call("far", json!({ "id": "a b", "q": "x" })).await.unwrap();
        harness.call("far_list", json!({})).await.unwrap();
        harness.call("far_file", json!({})).await.unwrap();
        harness.call("far_wipe", json!({ "id": "7" })).await.unwrap();
        let expected = [
            "GET /v2/far/a%20b?kind=vm&q=x HTTP/1.1",
            "GET /list HTTP/1.1",
            "GET /file HTTP/1.1",
            "DELETE /wipe/7 HTTP/1.1",
        ];
        assert_eq!(first_lines(&other), expected, "{auth}");
        for request in other.requests() {
            let head = request.to_ascii_lowercase();
            assert!(!head.contains(TOKEN) && !head.contains(HEADER), "{request}");
            assert!(!head.contains("authorization") && !head.contains("cookie"), "{request}");
            assert!(head.contains(&format!("host: {}", other.address)), "{request}");
        }
        harness.call("own", json!({})).await.unwrap();
        let request = own.requests().concat();
        assert!(request.contains(TOKEN) && request.contains(HEADER), "{request}");
    }
}

#[tokio::test]
async fn the_credential_goes_where_it_is_said() {
    let (own, other) = (upstream().await, upstream().await);
    let harness = bench(BEARER, &own, &other, admitting(&other, true));
    harness.call("far", json!({ "id": "a" })).await.unwrap();
    let request = other.requests().concat();
    assert!(request.contains(TOKEN) && request.contains(HEADER), "{request}");
    assert!(own.requests().is_empty());
}

#[tokio::test]
async fn nothing_of_another_host_counts_here() {
    let cookie = [("Set-Cookie", "sid=theirs; Path=/"), ("Content-Type", "application/json")];
    let auth = "type: bearer, credential: fake_token, header_name: Cookie, prefix: 'sid='";
    for credential in [false, true] {
        let own = upstream().await;
        let other = Upstream::start(vec![Answer::full(200, &cookie, b"[1]")]).await;
        let harness = bench(auth, &own, &other, admitting(&other, credential));
        harness.call("far", json!({ "id": "a" })).await.unwrap();
        harness.call("own", json!({})).await.unwrap();
        let request = own.requests().concat();
        assert!(request.contains(&format!("sid={TOKEN}")), "{request}");
        assert!(!request.contains("theirs"), "{request}");
    }
    // It was asked for no credential, so that its refusal says nothing about one.
    let (own, other) = (upstream().await, Upstream::start(vec![Answer::json(401, "{}")]).await);
    let harness = bench(BEARER, &own, &other, admitting(&other, false));
    let error = harness.call("far", json!({ "id": "a" })).await.unwrap_err().for_model();
    let request = format!("GET {}/v2/far/a", origin(&other));
    assert!(error.contains(&request) && error.contains("401"), "{error}");
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_does_not_cross() {
    let (own, third) = (upstream().await, upstream().await);
    for (target, credential) in [(&own, false), (&third, false), (&own, true), (&third, true)] {
        let to = format!("{}/elsewhere", origin(target));
        let other = Upstream::start(vec![Answer::redirect(307, &to)]).await;
        let harness = bench(BEARER, &own, &other, admitting(&other, credential));
        let error = harness.call("far", json!({ "id": "a" })).await.unwrap_err().for_model();
        assert!(error.contains("redirects to another origin"), "{error}");
    }
    // Nor from here to one that is admitted.
    let other = upstream().await;
    let own = Upstream::start(vec![Answer::redirect(307, &format!("{}/x", origin(&other)))]).await;
    let harness = bench(BEARER, &own, &other, admitting(&other, true));
    let error = harness.call("own", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("redirects to another origin"), "{error}");
    assert!(third.requests().is_empty() && other.requests().is_empty());
    // Within it one is followed.
    let answers = vec![Answer::redirect(307, "/moved"), Answer::json(200, "true")];
    let other = Upstream::start(answers).await;
    let harness = bench(BEARER, &own, &other, admitting(&other, false));
    assert_eq!(harness.value("far", json!({ "id": "a" })).await, json!(true));
    assert_eq!(first_lines(&other)[1], "GET /moved HTTP/1.1");
}

#[tokio::test]
async fn pages_stay() {
    let link = |items: &str, to: &str| {
        let link = format!("<{to}>; rel=\"next\"");
        let head = [("Content-Type", "application/json"), ("Link", &link)];
        Answer::full(200, &head, items.as_bytes())
    };
    let own = upstream().await;
    let answers =
        vec![link("[1]", "/list?page=2"), link("[2]", &format!("{}/api/list", origin(&own)))];
    let other = Upstream::start(answers).await;
    let harness = bench(BEARER, &own, &other, admitting(&other, false));
    let outcome = harness.call("far_list", json!({})).await.unwrap();
    assert!(outcome.notes.concat().contains("the next page is at"), "{:?}", outcome.notes);
    assert_eq!(first_lines(&other), ["GET /list HTTP/1.1", "GET /list?page=2 HTTP/1.1"]);
    assert!(own.requests().is_empty());
}

#[tokio::test]
async fn a_script_is_told() {
    let (own, other) = (upstream().await, upstream().await);
    let harness = bench(BEARER, &own, &other, |_| {});
    let error = harness.call("run", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("\"far\" is not allowed"), "{error}");
    assert!(error.contains("its path is at another host"), "{error}");
    let caught = harness.value("try", json!({})).await;
    assert_eq!(caught[0], "forbidden", "{caught}");
    assert!(other.requests().is_empty());
    let harness = bench(BEARER, &own, &other, admitting(&other, false));
    assert_eq!(harness.value("run", json!({})).await, json!([1]));
    assert!(!other.requests().concat().contains(TOKEN));
}

#[tokio::test]
async fn a_question_shows_the_host() {
    let (own, other) = (upstream().await, upstream().await);
    let harness = bench(BEARER, &own, &other, admitting(&other, false));
    let question = |tool: &str, arguments: Value| {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        harness.gate.check(tool, arguments).unwrap().question()
    };
    let host = origin(&other);
    let asked = question("far_wipe", json!({ "id": "7" }));
    assert!(asked.contains(&format!("- Request: DELETE \"{host}/wipe/7\"")), "{asked}");
    let asked = question("wipe", json!({}));
    assert!(asked.contains(&format!("sends DELETE \"{host}/wipe/{{id}}\"")), "{asked}");
    assert!(!asked.contains(&own.address.to_string()), "{asked}");
}

#[tokio::test]
async fn a_stored_credential_waits_for_setup() {
    let (own, other) = (upstream().await, upstream().await);
    let home = Home::new(BEARER, "", &own.url());
    let settings = home.path().join("settings.yaml");
    let write = |more: &str| {
        let url = own.url();
        let text = format!("backends: [{{ name: fake, dadl: ./fake.dadl, url: '{url}'{more} }}]\n");
        std::fs::write(&settings, text).unwrap();
    };
    let config = ["--config", "settings.yaml"];
    write("");
    let setup = [&["setup"][..], &config].concat();
    let stored = home.run_alone_with(&setup, &format!("{TOKEN}\n")).await;
    assert_eq!(stored.code, 0, "{}", stored.err);
    std::fs::write(home.path().join("fake.dadl"), describe(BEARER, &other)).unwrap();
    let host = origin(&other);
    // Where nothing goes along there is nothing to agree to.
    write(&format!(", allow_origins: ['{host}']"));
    let call = home.run_alone(&[&["call", "far", "id=a"][..], &config].concat()).await;
    assert_eq!(call.code, 0, "{}", call.err);
    assert!(!other.take().concat().contains(TOKEN));
    write(&format!(", allow_origins: [{{ origin: '{host}', credential: true }}]"));
    for tool in [&["call", "far", "id=a"][..], &["call", "own"]] {
        let call = home.run_alone(&[tool, &config].concat()).await;
        assert_eq!(call.code, 3, "{}", call.err);
        assert!(call.err.contains(&format!("not to {host}")), "{}", call.err);
    }
    let setup = home.run_alone(&[&["setup", "--yes"][..], &config].concat()).await;
    assert_eq!(setup.code, 0, "{}", setup.err);
    let call = home.run_alone(&[&["call", "far", "id=a"][..], &config].concat()).await;
    assert_eq!(call.code, 0, "{}", call.err);
    assert!(other.take().concat().contains(TOKEN));
}
