//! Logins against a server that answers what the test says: what is asked for a token, when it is
//! asked for again, and what a person reads when that fails.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use dadl_descriptor::model::CredentialName;
use dadl_mcp::config::credentials::{CredentialSource, CredentialValue, SourceError};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::{
    api::api,
    harness::Harness,
    upstream::{Answer, Upstream},
};

/// Credentials that can be replaced, as long as the store works.
#[derive(Clone, Default)]
pub(crate) struct Vault {
    values: Arc<Mutex<Vec<(String, String)>>>,
    broken: Arc<Mutex<bool>>,
}

impl Vault {
    pub(crate) fn new(values: &[(&str, &str)]) -> Self {
        let vault = Self::default();
        for (name, value) in values {
            vault.set(name, value);
        }
        vault
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        let mut values = self.values.lock().unwrap();
        values.retain(|(other, _)| other != name);
        values.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let values = self.values.lock().unwrap();
        values.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    }

    fn set_broken(&self, broken: bool) {
        *self.broken.lock().unwrap() = broken;
    }
}

impl CredentialSource for Vault {
    fn find(&self, name: &CredentialName) -> Result<SecretString, SourceError> {
        let missing = || SourceError::Missing(format!("`{name}` is not set"));
        self.get(&name.0).map(Into::into).ok_or_else(missing)
    }

    fn replace(&self, name: &CredentialName, new: &CredentialValue) -> Result<(), SourceError> {
        if *self.broken.lock().unwrap() {
            return Err(SourceError::Missing("the disk is full".to_owned()));
        }
        self.set(&name.0, new.value.expose_secret());
        Ok(())
    }
}

const ID: &str = "client-identifier-7";
const SECRET: &str = "s3cr3t-of-the-client";
const REFRESH: &str = "refresh-token-number-0";

fn vault() -> Vault {
    Vault::new(&[("id", ID), ("secret", SECRET), ("refresh", REFRESH)])
}

/// An API with the credential of a test.
pub(crate) const DESCRIPTOR: &str = api!(
    top: "requires: { features: [refresh_token_rotation] }",
    auth: "AUTH",
    backend: r#"
  defaults: { headers: { X-Version: "3" }, errors: { message_path: $.error, retry_on: [503], retry_strategy: { max_retries: 1, backoff: fixed, initial_delay: 1ms } } }
  tools:
    get: { method: GET, path: /things, access: read, description: Things. }
    post: { method: POST, path: /things, access: read, description: Posts., params: { name: { type: string, in: body } } }
    send: { method: POST, path: /import, access: read, description: Sends., content_type: application/octet-stream }
"#
);

/// Loads a backend whose API and whose token endpoint are both `upstream`.
fn bench(upstream: &Upstream, keys: &str, vault: &Vault) -> Harness {
    let address = upstream.address;
    let keys = keys.replace("HOST", &format!("http://{address}"));
    Harness::new(&DESCRIPTOR.replace("AUTH", &keys), &upstream.url(), vault.clone(), |_| {})
}

const CLIENT: &str = "type: oauth2, token_url: HOST/token, client_id_credential: id, \
                      client_secret_credential: secret";
const REFRESHING: &str = "type: oauth2, flow: refresh_token, token_url: HOST/token, \
                          client_id_credential: id, client_secret_credential: secret, \
                          refresh_token_credential: refresh";
const ROTATING: &str = "type: oauth2, flow: refresh_token, token_url: HOST/token, \
                        client_id_credential: id, client_secret_credential: secret, \
                        refresh_token_credential: refresh, rotates_refresh_token: true";
const SESSION: &str = r#"type: session,
    login: { method: POST, path: /login, body: { user_credential: id, deep: [ "credential:secret" ], kind: 1 }, extract: { token: $.session.token } },
    inject: [ { header: X-Auth, value: "Token {{token}}" }, { header: Cookie, value: "a={{token}}" }, { header: Cookie, value: "b=1" } ]"#;

fn token(number: u32, more: &str) -> Answer {
    Answer::json(
        200,
        &format!(r#"{{"access_token":"access-token-{number}","token_type":"bearer"{more}}}"#),
    )
}

fn ok() -> Answer {
    Answer::json(200, "{}")
}

fn unauthorized() -> Answer {
    Answer::json(401, r#"{"error":"expired"}"#)
}

/// The first lines of the requests.
fn lines(upstream: &Upstream) -> Vec<String> {
    let requests = upstream.requests();
    requests
        .iter()
        .map(|request| request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned())
        .collect()
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

/// What a model reads when a call fails; no secret of this file is in it.
async fn failure(bench: &Harness, tool: &str) -> String {
    let text = bench.call(tool, json!({})).await.unwrap_err().for_model();
    for secret in [ID, SECRET, REFRESH, "access-token-", "refresh-token-number-"] {
        assert!(!text.contains(secret), "{text}");
    }
    text
}

#[tokio::test]
async fn an_access_token_is_asked_for_once_and_then_sent() {
    let upstream = Upstream::start(vec![token(1, r#","expires_in":3600"#), ok()]).await;
    let bench = bench(&upstream, &format!("{CLIENT}, scopes: [a, b]"), &vault());
    for _ in 0..2 {
        bench.value("get", json!({})).await;
    }
    assert_eq!(lines(&upstream), ["POST /token", "GET /api/things", "GET /api/things"]);
    let requests = upstream.requests();
    assert_eq!(
        body(&requests[0]),
        format!("grant_type=client_credentials&scope=a+b&client_id={ID}&client_secret={SECRET}")
    );
    assert!(requests[0].contains("content-type: application/x-www-form-urlencoded\r\n"));
    assert!(requests[2].contains("authorization: Bearer access-token-1\r\n"), "{}", requests[2]);
}

#[tokio::test]
async fn a_client_can_authenticate_in_the_header_and_a_token_can_go_elsewhere() {
    let upstream = Upstream::start(vec![token(1, ""), ok()]).await;
    let keys = format!("{CLIENT}, token_auth: basic, header_name: X-Token, prefix: 'T '");
    let vault = vault();
    vault.set("id", "a:b");
    bench(&upstream, &keys, &vault).value("get", json!({})).await;
    let requests = upstream.requests();
    // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
    let pair = "YSUzQWI6czNjcjN0LW9mLXRoZS1jbGllbnQ=";
    assert!(requests[0].contains(&format!("authorization: Basic {pair}\r\n")), "{}", requests[0]);
    assert_eq!(body(&requests[0]), "grant_type=client_credentials");
    assert!(requests[1].contains("x-token: T access-token-1\r\n"), "{}", requests[1]);
}

#[tokio::test]
async fn calls_at_the_same_time_share_one_login_and_its_failure() {
    let upstream = Upstream::start(vec![token(1, ""), ok()]).await;
    let shared = bench(&upstream, CLIENT, &vault());
    let calls = (0..20).map(|_| shared.call("get", json!({})));
    for outcome in futures_util::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(lines(&upstream).iter().filter(|line| *line == "POST /token").count(), 1);

    let upstream = Upstream::start(vec![Answer::json(401, r#"{"error":"invalid_client"}"#)]).await;
    let shared = bench(&upstream, CLIENT, &vault());
    let calls = (0..20).map(|_| shared.call("get", json!({})));
    for outcome in futures_util::future::join_all(calls).await {
        outcome.unwrap_err();
    }
    assert_eq!(lines(&upstream), ["POST /token"]);
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_call_repeated_once() {
    let answers = vec![token(1, ""), unauthorized(), token(2, ""), ok()];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream, CLIENT, &vault());
    bench.value("post", json!({ "name": "x" })).await;
    let expected = ["POST /token", "POST /api/things", "POST /token", "POST /api/things"];
    assert_eq!(lines(&upstream), expected);
    let requests = upstream.requests();
    assert!(requests[3].contains("authorization: Bearer access-token-2\r\n"));
    assert_eq!(body(&requests[3]), r#"{"name":"x"}"#);
}

#[tokio::test]
async fn a_backend_that_refuses_every_token_is_asked_twice_for_each_call() {
    let answers = vec![token(1, ""), unauthorized(), token(2, ""), unauthorized()];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream, CLIENT, &vault());
    let text = failure(&bench, "get").await;
    assert!(text.starts_with("[unauthorized] HTTP 401: expired (GET /things)"), "{text}");
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn a_renewal_is_no_retry_and_a_retry_no_renewal() {
    let busy = || Answer::json(503, r#"{"error":"busy"}"#);
    let answers = vec![token(1, ""), unauthorized(), token(2, ""), busy(), ok()];
    let upstream = Upstream::start(answers).await;
    bench(&upstream, CLIENT, &vault()).value("get", json!({})).await;
    assert_eq!(upstream.requests().len(), 5);
}

#[tokio::test]
async fn a_file_is_read_anew_when_the_token_was_refused() {
    let answers = vec![token(1, ""), unauthorized(), token(2, ""), ok()];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream, CLIENT, &vault());
    let files = bench.executor.files().directory().to_owned();
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("data.bin"), "all of it").unwrap();
    bench.value("send", json!({ "file": "data.bin" })).await;
    let requests = upstream.requests();
    assert_eq!([body(&requests[1]), body(&requests[3])], ["all of it"; 2]);
}

/// Moves the clock of this process; sockets know nothing of it.
pub(crate) async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let answers = vec![token(1, r#","expires_in":3600"#), ok(), ok(), token(2, ""), ok()];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream, &format!("{CLIENT}, refresh_before_expiry: 5m"), &vault());
    bench.value("get", json!({})).await;
    later(3290).await;
    bench.value("get", json!({})).await;
    later(20).await;
    bench.value("get", json!({})).await;
    let expected =
        ["POST /token", "GET /api/things", "GET /api/things", "POST /token", "GET /api/things"];
    assert_eq!(lines(&upstream), expected);
    assert!(upstream.requests()[4].contains("Bearer access-token-2\r\n"));
}

#[tokio::test]
async fn a_short_lifetime_does_not_renew_for_every_call() {
    let answers = vec![token(1, r#","expires_in":"30""#), ok()];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream, CLIENT, &vault());
    for _ in 0..3 {
        bench.value("get", json!({})).await;
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn a_token_that_still_works_outlives_a_failed_renewal() {
    let down = Answer::full(503, &[], b"");
    let answers =
        vec![token(1, r#","expires_in":100"#), ok(), down, ok(), ok(), token(2, ""), ok()];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream, &format!("{CLIENT}, refresh_before_expiry: 50s"), &vault());
    bench.value("get", json!({})).await;
    later(60).await;
    bench.value("get", json!({})).await;
    bench.value("get", json!({})).await;
    assert_eq!(lines(&upstream).iter().filter(|line| *line == "POST /token").count(), 2);
    later(50).await;
    bench.value("get", json!({})).await;
    assert!(upstream.requests()[6].contains("Bearer access-token-2\r\n"));
}

#[tokio::test]
async fn a_token_that_still_works_outlives_a_refused_renewal() {
    let refused = Answer::json(400, r#"{"error":"invalid_client"}"#);
    let answers =
        vec![token(1, r#","expires_in":100"#), ok(), refused.clone(), ok(), ok(), refused];
    let upstream = Upstream::start(answers).await;
    let bench = bench(&upstream, &format!("{CLIENT}, refresh_before_expiry: 50s"), &vault());
    for passed in [0, 60, 15] {
        later(passed).await;
        bench.value("get", json!({})).await;
    }
    assert_eq!(lines(&upstream).iter().filter(|line| *line == "POST /token").count(), 2);
    later(30).await;
    let text = failure(&bench, "get").await;
    assert!(text.contains("invalid_client"), "{text}");
}

#[tokio::test]
async fn odd_lifetimes_do_not_keep_a_token_from_being_used() {
    for lifetime in ["0", "-1", "1e400", "99999999999999999999", "null", "\"never\""] {
        let upstream =
            Upstream::start(vec![token(1, &format!(r#","expires_in":{lifetime}"#)), ok()]);
        let upstream = upstream.await;
        let bench = bench(&upstream, CLIENT, &vault());
        if lifetime == "1e400" {
            // Not a JSON number that anybody can hold.
            failure(&bench, "get").await;
            continue;
        }
        bench.value("get", json!({})).await;
        later(1_000_000).await;
        bench.value("get", json!({})).await;
        assert_eq!(upstream.requests().len(), 3, "{lifetime}");
    }
}

#[tokio::test]
async fn a_refresh_token_is_used_and_its_replacement_kept() {
    let next = r#","refresh_token":"refresh-token-number-1""#;
    let answers = vec![token(1, next), unauthorized(), token(2, ""), ok()];
    for keys in [REFRESHING, ROTATING] {
        let upstream = Upstream::start(answers.clone()).await;
        let vault = vault();
        bench(&upstream, keys, &vault).value("get", json!({})).await;
        let requests = upstream.requests();
        assert_eq!(
            body(&requests[0]),
            format!(
                "grant_type=refresh_token&refresh_token={REFRESH}&client_id={ID}&client_secret={SECRET}"
            )
        );
        assert!(body(&requests[2]).contains("refresh_token=refresh-token-number-1&"));
        assert_eq!(vault.get("refresh").as_deref(), Some("refresh-token-number-1"));
    }
}

#[tokio::test]
async fn a_revoked_refresh_token_says_what_to_run() {
    let refusal = format!(
        r#"{{"error":"invalid_grant","error_description":"{REFRESH} of {ID} ({SECRET}) was revoked"}}"#
    );
    let upstream = Upstream::start(vec![Answer::json(400, &refusal)]).await;
    let text = failure(&bench(&upstream, REFRESHING, &vault()), "get").await;
    assert_eq!(
        text,
        format!(
            "backend \"fake\": the token endpoint at 127.0.0.1 refuses the login (invalid_grant: \
             [REDACTED] of [REDACTED] ([REDACTED]) was revoked); the refresh token has expired or \
             was revoked; run `dadl-mcp setup fake --dadl test.dadl --url {}/api --name fake`",
            upstream.url().trim_end_matches("/api")
        )
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_another_process_replaced_is_looked_up_again() {
    struct Shared(Vault);
    impl CredentialSource for Shared {
        fn find(&self, name: &CredentialName) -> Result<SecretString, SourceError> {
            let found = self.0.find(name);
            if name.0 == "refresh" {
                // Between the look-up and the request somebody else is faster.
                self.0.set("refresh", "refresh-token-number-9");
            }
            found
        }
    }
    let refusal = Answer::json(400, r#"{"error":"invalid_grant"}"#);
    let upstream = Upstream::start(vec![refusal, token(1, ""), ok()]).await;
    let keys = REFRESHING.replace("HOST", &format!("http://{}", upstream.address));
    let text = DESCRIPTOR.replace("AUTH", &keys);
    let bench = Harness::new(&text, &upstream.url(), Shared(vault()), |_| {});
    bench.value("get", json!({})).await;
    let requests = upstream.requests();
    assert!(body(&requests[0]).contains(REFRESH), "{}", requests[0]);
    assert!(body(&requests[1]).contains("refresh-token-number-9"), "{}", requests[1]);
}

#[tokio::test]
async fn a_replaced_refresh_token_that_cannot_be_stored_stops_the_call_and_is_not_lost() {
    let next = |number: u32| format!(r#","refresh_token":"refresh-token-number-{number}""#);
    let answers = vec![token(1, &next(1)), token(2, &next(2)), ok()];
    let upstream = Upstream::start(answers).await;
    let vault = vault();
    let bench = bench(&upstream, ROTATING, &vault);
    vault.set_broken(true);
    for _ in 0..2 {
        let text = failure(&bench, "get").await;
        assert!(text.contains("cannot be stored (the disk is full)"), "{text}");
    }
    // Neither the API nor, a second time, the token endpoint was asked.
    assert_eq!(lines(&upstream), ["POST /token"]);
    vault.set_broken(false);
    bench.value("get", json!({})).await;
    assert!(body(&upstream.requests()[1]).contains("refresh-token-number-1"));
    assert_eq!(vault.get("refresh").as_deref(), Some("refresh-token-number-2"));
}

#[tokio::test]
async fn a_call_that_is_given_up_does_not_lose_the_new_refresh_token() {
    let next = r#","refresh_token":"refresh-token-number-1""#;
    let upstream = Upstream::start(vec![token(1, next), ok()]).await;
    let vault = vault();
    let bench = bench(&upstream, ROTATING, &vault);
    {
        let call = bench.call("get", json!({}));
        tokio::select! {
            biased;
            _ = call => panic!("the call cannot be done"),
            () = upstream.request_arrived() => {}
        }
    }
    bench.value("get", json!({})).await;
    assert_eq!(lines(&upstream), ["POST /token", "GET /api/things"]);
    assert_eq!(vault.get("refresh").as_deref(), Some("refresh-token-number-1"));
}

#[tokio::test]
async fn redirects_of_the_token_endpoint_are_not_followed() {
    let elsewhere = Upstream::start(vec![token(1, "")]).await;
    let redirect = Answer::redirect(307, &format!("{}/token", elsewhere.url()));
    let upstream = Upstream::start(vec![redirect]).await;
    let text = failure(&bench(&upstream, CLIENT, &vault()), "get").await;
    assert!(text.contains("redirect 307, which is not followed"), "{text}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn answers_of_the_token_endpoint_are_bounded() {
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
    let upstream = Upstream::start(vec![Answer::Endless(endless)]).await;
    let text = failure(&bench(&upstream, CLIENT, &vault()), "get").await;
    assert!(text.contains("larger than 1048576 bytes"), "{text}");
}

#[tokio::test]
async fn tokens_do_not_come_back_in_answers() {
    let next = r#","refresh_token":"refresh-token-number-1""#;
    let echo = format!(r#"["access-token-1","refresh-token-number-1","{REFRESH}","{SECRET}"]"#);
    let answers = vec![token(1, next), Answer::json(200, &echo)];
    let upstream = Upstream::start(answers).await;
    let value = bench(&upstream, REFRESHING, &vault()).value("get", json!({})).await;
    assert_eq!(value, json!(["[REDACTED]", "[REDACTED]", "[REDACTED]", "[REDACTED]"]));
}

#[tokio::test]
async fn a_session_logs_in_and_again_when_it_is_refused() {
    let session = |number: u32| {
        Answer::json(200, &format!(r#"{{"session":{{"token":"session-token-{number}"}}}}"#))
    };
    let echo = Answer::json(200, &format!(r#"["session-token-2","{SECRET}"]"#));
    let upstream = Upstream::start(vec![session(1), unauthorized(), session(2), echo]).await;
    let bench = bench(&upstream, SESSION, &vault());
    let value = bench.value("get", json!({})).await;
    assert_eq!(value, json!(["[REDACTED]", "[REDACTED]"]));
    let expected = ["POST /api/login", "GET /api/things", "POST /api/login", "GET /api/things"];
    assert_eq!(lines(&upstream), expected);
    let requests = upstream.requests();
    let sent: serde_json::Value = serde_json::from_str(body(&requests[0])).unwrap();
    assert_eq!(sent, json!({ "user": ID, "deep": [SECRET], "kind": 1 }));
    assert!(requests[0].contains("x-version: 3\r\n"), "{}", requests[0]);
    assert!(requests[3].contains("x-auth: Token session-token-2\r\n"), "{}", requests[3]);
    assert!(requests[3].contains("cookie: a=session-token-2; b=1\r\n"), "{}", requests[3]);
}

#[tokio::test]
async fn a_refused_session_names_the_credentials_and_not_their_values() {
    let refusal = format!(r#"{{"message":"no user {ID} with {SECRET}"}}"#);
    let upstream = Upstream::start(vec![Answer::json(401, &refusal)]).await;
    let text = failure(&bench(&upstream, SESSION, &vault()), "get").await;
    assert_eq!(
        text,
        "backend \"fake\": the login (POST /login) failed: HTTP 401: no user [REDACTED] with \
         [REDACTED]; check the credentials `id`, `secret`"
    );
    assert_eq!(upstream.requests().len(), 1);
    let upstream = Upstream::start(vec![ok()]).await;
    let text = failure(&bench(&upstream, SESSION, &vault()), "get").await;
    assert!(
        text.ends_with("failed: the answer has no text at $.session.token (`token`)"),
        "{text}"
    );
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again_at_once() {
    let refused = || Answer::json(401, r#"{"message":"no"}"#);
    let session = Answer::json(200, r#"{"session":{"token":"session-token-1"}}"#);
    let upstream = Upstream::start(vec![refused(), refused(), refused(), session, ok()]).await;
    let vault = vault();
    let bench = bench(&upstream, SESSION, &vault);
    for _ in 0..5 {
        failure(&bench, "get").await;
    }
    let text = failure(&bench, "get").await;
    assert!(text.contains("; with the same credentials the next try is in "), "{text}");
    assert_eq!(upstream.requests().len(), 1);
    later(31).await;
    failure(&bench, "get").await;
    assert_eq!(upstream.requests().len(), 2);
    // Another credential is tried at once.
    vault.set("secret", "another-s3cr3t-value");
    failure(&bench, "get").await;
    vault.set("secret", SECRET);
    bench.value("get", json!({})).await;
    assert_eq!(upstream.requests().len(), 5);
}

#[tokio::test]
async fn a_dry_run_logs_in_nowhere_and_shows_where_the_secret_goes() {
    let upstream = Upstream::start(vec![ok()]).await;
    let shown = |keys: &str| {
        let bench = bench(&upstream, keys, &vault());
        let pending = bench.gate.check("get", serde_json::Map::new()).unwrap();
        bench.executor.dry_run(&pending).unwrap().to_string()
    };
    assert!(shown(CLIENT).ends_with("with authorization: Bearer [REDACTED]"), "{}", shown(CLIENT));
    let session = shown(SESSION);
    assert!(session.contains("with x-auth: Token [REDACTED]\ncookie: a=[REDACTED]"), "{session}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_service_account_signs_what_it_claims() {
    let account = include_str!("../fixtures/auth/service_account.json");
    let public_key = include_bytes!("../fixtures/auth/public_key.der");
    let upstream = Upstream::start(vec![token(1, ""), ok()]).await;
    let keys = "type: oauth2, flow: jwt_bearer, token_url: HOST/token, service_account_credential: \
                account, subject: ada@example.com, scopes: [a, b]";
    let vault = Vault::new(&[("account", account)]);
    bench(&upstream, keys, &vault).value("get", json!({})).await;
    let requests = upstream.requests();
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(body(&requests[0]).as_bytes()).into_owned().collect();
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
    assert_eq!(form[0], ("grant_type".to_owned(), grant));
    let [(_, _), (_, assertion)] = form.as_slice() else { panic!("{form:?}") };
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key)
        .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    let read = |text: &str| -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    let (head, claims) = message.split_once('.').unwrap();
    assert_eq!(read(head), json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }));
    let claims = read(claims);
    assert_eq!(claims["iss"], "robot@example.com");
    assert_eq!(claims["sub"], "ada@example.com");
    assert_eq!(claims["scope"], "a b");
    assert_eq!(claims["aud"], format!("http://{}/token", upstream.address));
    let (issued, ends) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!(issued < ends && ends - issued <= 3600);
}

#[tokio::test]
async fn a_service_account_that_is_none_is_named() {
    let upstream = Upstream::start(vec![token(1, ""), ok()]).await;
    let account = include_str!("../fixtures/auth/service_account.json");
    let keys = "type: oauth2, flow: jwt_bearer, service_account_credential: account";
    for (account, expected) in [
        ("s3cr3t-of-the-client".to_owned(), "is not a service account"),
        (account.replace("-----BEGIN", "-----"), "has a `private_key` that is no PEM key"),
        (account.replace("https://auth", "http://auth"), "names an unusable `token_uri`"),
    ] {
        let bench = bench(&upstream, keys, &Vault::new(&[("account", &account)]));
        let text = failure(&bench, "get").await;
        assert!(text.contains(&format!("credential `account` {expected}")), "{text}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_put_right_once() {
    let refusal = |date: &str| {
        let headers = [("Content-Type", "application/json"), ("Date", date)];
        Answer::full(400, &headers, br#"{"error":"invalid_grant"}"#)
    };
    let keys = "type: oauth2, flow: jwt_bearer, token_url: HOST/token, service_account_credential: \
                account";
    let account = include_str!("../fixtures/auth/service_account.json");
    let upstream =
        Upstream::start(vec![refusal("Sun, 06 Nov 1994 08:49:37 GMT"), token(1, ""), ok()]).await;
    let vault = Vault::new(&[("account", account)]);
    bench(&upstream, keys, &vault).value("get", json!({})).await;
    assert_eq!(lines(&upstream), ["POST /token", "POST /token", "GET /api/things"]);
    // A refusal that stays is no matter of clocks.
    let upstream = Upstream::start(vec![refusal("Sun, 06 Nov 1994 08:49:37 GMT")]).await;
    failure(&bench(&upstream, keys, &vault), "get").await;
    assert_eq!(lines(&upstream), ["POST /token", "POST /token"]);
}
