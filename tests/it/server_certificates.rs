//! Logins at MCP servers whose certificates nothing vouches for: a person has to have seen them.

use dadl_mcp::config::CertificatePin;
use serde_json::Value;

use crate::{
    authorization_server::{Protected, Temper},
    setup::{Home, Run},
    terminal::{Input, on_terminal_of},
    tls::acceptor,
};

fn home(protected: &Protected, more: &str) -> Home {
    let text = format!(
        "backends: [ {{ name: fake, transport: http, url: '{}'{more} }} ]\n",
        protected.url()
    );
    Home::new("type: bearer, credential: none", "", "http://127.0.0.1:1").with_settings(&text)
}

/// The fingerprint that a run shows last.
fn shown(run: &Run) -> CertificatePin {
    let words = run.err.split_whitespace();
    let is_digit = |c: char| c.is_ascii_hexdigit();
    let mut found = words.filter_map(|word| word.trim_matches(|c| !is_digit(c)).parse().ok());
    found.next_back().unwrap_or_else(|| panic!("{}", run.err))
}

#[tokio::test]
async fn nothing_is_sent_before_the_certificate_of_a_server_is_pinned() {
    let (tls, _) = acceptor("127.0.0.1");
    let protected = Protected::speaking(Temper::default(), Some(tls), None).await;
    let run = home(&protected, "").run(&["setup", "fake", "--yes"], "").await;
    assert_ne!(run.code, 0);
    assert!(run.err.contains("NOT trusted") && run.err.contains("nothing was sent"), "{}", run.err);
    assert!(run.err.contains("tls_fingerprint"), "{}", run.err);
    assert!(protected.world().asked.is_empty());
    // With it the login goes on to whoever gives access.
    let pinned = format!(", tls_fingerprint: '{}'", shown(&run));
    let run = home(&protected, &pinned).run(&["setup", "fake"], "").await;
    assert!(run.err.contains(&protected.there), "{}", run.err);
    assert!(run.err.contains("nobody can be asked whether to log in"), "{}", run.err);
    assert!(!protected.world().asked.is_empty());
}

#[tokio::test]
async fn nothing_is_sent_to_an_authorization_server_before_its_certificate_is_seen() {
    let (tls, _) = acceptor("127.0.0.1");
    let protected = Protected::speaking(Temper::default(), None, Some(tls)).await;
    let run = home(&protected, "").run(&["setup", "fake", "--yes"], "").await;
    assert_ne!(run.code, 0);
    let expected = format!("{} was not asked", protected.there);
    assert!(run.err.contains(&expected) && run.err.contains("nothing was sent"), "{}", run.err);
    assert!(run.err.contains("at a terminal"), "{}", run.err);
    // The server itself was asked, and nobody else.
    assert!(protected.asked("GET /.well-known/oauth-authorization-server").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_seen_the_certificates_logs_in_and_they_count_from_then_on() {
    let ((here, _), (there, _)) = (acceptor("127.0.0.1"), acceptor("127.0.0.1"));
    let protected = Protected::speaking(Temper::default(), Some(here), Some(there)).await;
    let keys = ", auth: { type: mcp, flow: client_credentials, client_id: robot, \
                client_secret: { credential: robot_secret } }";
    let home = home(&protected, keys).with("CREDENTIAL_ROBOT_SECRET", "s3cret-of-the-robot");
    let command = home.command(&["setup", "--yes"]).into_std();
    let typed = Input::Typed("y\ny\n".to_owned());
    let shown = tokio::task::spawn_blocking(move || on_terminal_of(400, command, typed));
    let shown = String::from_utf8(shown.await.unwrap()).unwrap();
    assert!(shown.contains("shall backend \"fake\" be pinned to it?"), "{shown}");
    let asked = format!("shall the login at {} be pinned to it?", protected.there);
    assert!(shown.contains(&asked), "{shown}");
    assert!(shown.contains("the server accepts the login"), "{shown}");
    let record: Value = serde_json::from_str(&home.stored("fake_login").unwrap()).unwrap();
    assert_eq!(record["pins"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!(record["pins"][0]["origin"], protected.there);
    // The second time nothing of it is asked again; the certificate of the server is for its settings.
    let run = home.run(&["setup", "fake", "--yes"], "").await;
    assert!(run.err.contains("NOT trusted") && !run.err.contains(&protected.there), "{}", run.err);
}
