//! Where credentials go, and for how long they count.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dadl_descriptor::model::{CredentialName, TokenPlacement};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use secrecy::SecretString;
use url::Url;

use super::{applied::AppliedCredential, state::AuthState, *};
use crate::{
    config::{credentials::SourceError, store::StoreUse},
    http::login::LoginError,
};

struct Fixed(&'static str);

impl CredentialSource for Fixed {
    fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
        Ok(self.0.into())
    }
}

/// Nothing here waits.
fn looked_up(state: &AuthState) -> Result<Arc<AppliedCredential>, LoginError> {
    state.looked_up().now_or_never().unwrap()
}

fn sent(auth: AuthScheme, value: &'static str) -> (String, HeaderMap) {
    let authenticator = Authenticator::new(auth, Box::new(Fixed(value)));
    let mut url = Url::parse("http://h/p?a=1").unwrap();
    let mut headers = HeaderMap::new();
    looked_up(&authenticator.state).unwrap().apply(&mut url, &mut headers);
    (url.to_string(), headers)
}

fn lower_token(placement: TokenPlacement) -> AuthScheme {
    AuthScheme::Token { credential: CredentialName("t".into()), placement }
}

#[test]
fn puts_a_token_where_the_descriptor_says() {
    let (_, headers) = sent(lower_token(TokenPlacement::Cookie("session".into())), "tok");
    assert_eq!(headers[header::COOKIE], "session=tok");
    let bearer =
        TokenPlacement::Header { name: header::AUTHORIZATION, prefix: "Bearer ".to_owned() };
    let (_, headers) = sent(lower_token(bearer), "tok");
    assert_eq!(headers[header::AUTHORIZATION], "Bearer tok");
    assert!(headers[header::AUTHORIZATION].is_sensitive());
    let (url, _) = sent(lower_token(TokenPlacement::Query("key".into())), "a b");
    assert_eq!(url, "http://h/p?a=1&key=a+b");
}

#[test]
fn a_cookie_joins_those_of_the_operator() {
    let auth = lower_token(TokenPlacement::Cookie("session".into()));
    let authenticator = Authenticator::new(auth, Box::new(Fixed("tok")));
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_static("lang=en"));
    let mut url = Url::parse("http://h/").unwrap();
    looked_up(&authenticator.state).unwrap().apply(&mut url, &mut headers);
    assert_eq!(headers[header::COOKIE], "lang=en; session=tok");
    assert!(headers[header::COOKIE].is_sensitive());
}

/// A source that has these credentials and no others.
struct Only(&'static [&'static str]);

impl CredentialSource for Only {
    fn find(&self, name: &CredentialName) -> Result<SecretString, SourceError> {
        let is_set = self.0.contains(&name.0.as_str());
        is_set.then(|| "tok".into()).ok_or_else(|| SourceError::Missing(format!("no {name}")))
    }
}

fn two() -> AuthScheme {
    let token = |name: &str, placement| AuthScheme::Token {
        credential: CredentialName(name.into()),
        placement,
    };
    let header = TokenPlacement::Header {
        name: http::HeaderName::from_static("x-id"),
        prefix: String::new(),
    };
    AuthScheme::Several(vec![token("a", header), token("b", TokenPlacement::Query("key".into()))])
}

#[test]
fn several_credentials_go_together() {
    let (url, headers) = sent(two(), "tok");
    assert_eq!(
        (url.as_str(), &headers["x-id"]),
        ("http://h/p?a=1&key=tok", &HeaderValue::from_static("tok"))
    );
    let authenticator = Authenticator::new(two(), Box::new(Fixed("tok")));
    assert_eq!(authenticator.masked().unwrap(), "x-id: [REDACTED]\n(query) key=[REDACTED]");
    let names: Vec<String> = two().credentials().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn an_optional_credential_goes_when_it_is_set_and_all_of_it() {
    let applied = |set: &'static [&'static str], is_optional: bool| {
        let authenticator = Authenticator::new(two(), Box::new(Only(set)));
        let site = || Err(LoginError::Interrupted);
        let applied = authenticator.applied("/", is_optional, site).now_or_never().unwrap()?;
        let mut url = Url::parse("http://h/").unwrap();
        applied.apply(&mut url, &mut HeaderMap::new());
        Ok::<_, LoginError>(url.query().map(str::to_owned))
    };
    assert_eq!(applied(&[], true).unwrap(), None);
    assert_eq!(applied(&["a", "b"], true).unwrap().as_deref(), Some("key=tok"));
    // One alone is a mistake, and so is none where it is needed.
    for (set, is_optional) in [(&["a"][..], true), (&[][..], false)] {
        let error = applied(set, is_optional).unwrap_err().to_string();
        assert!(error.starts_with("no "), "{error}");
    }
}

#[test]
fn encodes_basic_credentials() {
    let auth = AuthScheme::Basic {
        username: CredentialName("u".into()),
        password: Some(CredentialName("p".into())),
    };
    let (_, headers) = sent(auth, "Aladdin");
    assert_eq!(headers[header::AUTHORIZATION], "Basic QWxhZGRpbjpBbGFkZGlu");
}

#[test]
fn refuses_a_token_that_would_break_the_header() {
    let auth = lower_token(TokenPlacement::Cookie("session".into()));
    let authenticator = Authenticator::new(auth, Box::new(Fixed("a;b")));
    let error = looked_up(&authenticator.state).err().unwrap().to_string();
    assert!(error.contains("cookie cannot hold"), "{error}");
    assert!(!error.contains("a;b"), "{error}");
}

fn sent_to(authenticator: &Authenticator, path: &str) -> String {
    let state = &authenticator.state;
    let applied = state.renewed(path).or_else(|| state.fresh());
    let applied = applied.unwrap_or_else(|| looked_up(state).unwrap());
    let mut headers = HeaderMap::new();
    applied.apply(&mut Url::parse("http://h/").unwrap(), &mut headers);
    headers[header::COOKIE].to_str().unwrap().to_owned()
}

#[test]
fn a_renewed_cookie_goes_where_it_is_for_until_it_ends_or_is_refused() {
    let auth = lower_token(TokenPlacement::Cookie("session".into()));
    let authenticator = Authenticator::new(auth, Box::new(Fixed("old")));
    let observe = |status: StatusCode, field: &'static str| {
        let mut answer = HeaderMap::new();
        answer.insert(header::SET_COOKIE, HeaderValue::from_static(field));
        let url = Url::parse("http://h/rest/v0/vms").unwrap();
        authenticator.observe(status, &answer, &url);
        sent_to(&authenticator, "/rest/v0")
    };
    assert_eq!(sent_to(&authenticator, "/"), "session=old");
    for status in [401, 403, 407, 429] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(observe(status, "session=x; Path=/"), "session=old");
    }
    assert_eq!(observe(StatusCode::OK, "session=x; Path=/elsewhere"), "session=old");
    assert_eq!(observe(StatusCode::OK, "session=new; Path=/rest; HttpOnly"), "session=new");
    assert_eq!(sent_to(&authenticator, "/restore"), "session=old");
    assert_eq!(observe(StatusCode::OK, "session=x; Max-Age=0"), "session=old");
    assert_eq!(observe(StatusCode::OK, "session=new; Max-Age=9"), "session=new");
    assert_eq!(
        authenticator.secrets().text("an old-value, session=new"),
        "an old-value, session=[REDACTED]"
    );
    let renewed = authenticator.state.renewed("/rest/v0").unwrap();
    assert!(authenticator.is_renewed(&renewed));
    authenticator.forget(&renewed);
    assert_eq!(sent_to(&authenticator, "/rest/v0"), "session=old");
}

#[test]
fn a_refused_credential_is_looked_up_again() {
    struct Counting(std::sync::atomic::AtomicU32);
    impl CredentialSource for Counting {
        fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
            let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(format!("token-{number}").into())
        }
    }
    let source = Counting(std::sync::atomic::AtomicU32::new(0));
    let auth = lower_token(TokenPlacement::Cookie("session".into()));
    let authenticator = Authenticator::new(auth, Box::new(source));
    let state = &authenticator.state;
    let current = || state.fresh().unwrap_or_else(|| looked_up(state).unwrap());
    let cookie = |applied: &AppliedCredential| applied.headers[0].1.to_str().unwrap().to_owned();
    assert_eq!([current(), current()].map(|one| cookie(&one)), ["session=token-0"; 2]);
    let first = current();
    authenticator.forget(&first);
    assert_eq!(cookie(&current()), "session=token-1");
    // A late refusal of the first one does not cost the second.
    authenticator.forget(&first);
    assert_eq!(cookie(&current()), "session=token-1");
}

#[test]
fn debug_shows_no_secret() {
    let auth = lower_token(TokenPlacement::Cookie("session".into()));
    let authenticator = Authenticator::new(auth, Box::new(Fixed("s3cr3t")));
    looked_up(&authenticator.state).unwrap();
    assert!(!format!("{authenticator:?}").contains("s3cr3t"));
}

#[tokio::test]
async fn a_keyring_that_waits_for_somebody_holds_up_nobody_else() {
    struct Locked(Mutex<std::sync::mpsc::Receiver<()>>);
    impl CredentialSource for Locked {
        fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
            let unlocked = self.0.lock().unwrap().recv_timeout(Duration::from_secs(60));
            unlocked.map(|()| "tok".into()).map_err(|_| SourceError::NotAsked)
        }

        fn may_wait(&self, usage: StoreUse) -> bool {
            usage == StoreUse::LookUp
        }
    }
    let (unlock, unlocked) = std::sync::mpsc::channel();
    let source = Box::new(Locked(Mutex::new(unlocked)));
    let auth = lower_token(TokenPlacement::Cookie("session".into()));
    let authenticator = Authenticator::new(auth, source);
    let other = async { unlock.send(()).unwrap() };
    let (found, ()) = tokio::join!(authenticator.state.looked_up(), other);
    assert_eq!(found.unwrap().headers[0].1, "session=tok");
}
