//! Streams of other MCP servers at a URL: news of them, and the transport before this one.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dadl_descriptor::model::{AuthScheme, CredentialName};
use dadl_mcp::{
    call::BaseUrl,
    config::{
        BackendSettings,
        credentials::{CredentialSource, SourceError},
    },
    files::FileStore,
    http::{auth::Authenticator, backend::Backend},
    mcp_client::{
        ClientOffer, HttpSettings, LinkLimits, LinkPlace, LinkSettings, ServerEra, ServerLink,
    },
    secrets::Secrets,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::{
    mcp_site::{McpSite, Reply, discovery, event, introduction, stream, text_result},
    server_http::{Home, chunk, stateless},
    tls::acceptor,
};

/// Longer than anything here takes.
const TIME: Duration = Duration::from_secs(120);

struct NoCredential;

impl CredentialSource for NoCredential {
    fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
        Err(SourceError::NotAsked)
    }
}

/// A link to a server, which is spoken to in this era first.
fn link(site: &McpSite, first_era: ServerEra) -> ServerLink {
    let mut settings = BackendSettings::new("hub", "");
    settings.url = Some(site.url());
    let base = BaseUrl::parse(site.origin()).unwrap();
    let authenticator = Authenticator::new(AuthScheme::None, Box::new(NoCredential));
    let client = Arc::new(Backend::new(settings, base, authenticator));
    let files = FileStore::new(std::env::temp_dir());
    let place = LinkPlace::Http(HttpSettings { client, url: site.url().parse().unwrap(), files });
    let limits = LinkLimits::default();
    let offer = ClientOffer::default();
    let backend = "hub".to_owned();
    let settings = LinkSettings { backend, place, limits, first_era, offer };
    ServerLink::new(settings, Secrets::default())
}

const CHANGED: &str = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}";

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_heard_on_a_stream_that_is_opened_again() {
    let site = McpSite::start(|asked| match (asked.line.as_str(), asked.count) {
        ("GET /mcp", 1) => Reply::cut(&format!("retry: 10\nid: first\ndata: {CHANGED}\n\n")),
        ("GET /mcp", 2) => Reply::events(&format!("data: {CHANGED}\n\n")),
        // The server has forgotten us: a session is opened anew though nobody wants anything.
        ("GET /mcp", 3) => Reply::status(404, ""),
        _ => Reply::Honest,
    });
    let link = link(&site, ServerEra::Initialize);
    link.list(TIME).await.unwrap();
    let counted = link.changes().wait_for(|count| *count >= 3).await.map(|count| *count);
    assert_eq!(counted.unwrap(), 3);
    let news = site.wait_for("GET", 4);
    let from = |at: usize| news[at].field("last-event-id");
    assert_eq!((from(0), from(1), from(3)), (None, Some("first"), None));
    assert_eq!(news[3].field("mcp-session-id"), Some("session-2"));
    link.end().await;
    assert_eq!(site.asked_for("DELETE").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_sessions_is_asked_for_changes() {
    let site = McpSite::start(|asked| match asked.method() {
        "server/discover" => Reply::result(asked, discovery()),
        "subscriptions/listen" if asked.count > 2 => Reply::Endless(stream(""), chunk(b":\n\n")),
        "subscriptions/listen" => {
            let id = json!({ "io.modelcontextprotocol/subscriptionId": asked.message["id"] });
            let told = |method: &str, more: Value| {
                let mut params = json!({ "_meta": id });
                params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                json!({ "jsonrpc": "2.0", "method": method, "params": params })
            };
            let accepted = json!({ "notifications": { "toolsListChanged": true } });
            let begun = told("notifications/subscriptions/acknowledged", accepted);
            let changed = told("notifications/tools/list_changed", json!({}));
            Reply::events(&format!("data: {begun}\n\ndata: {changed}\n\n"))
        }
        _ => stateless(asked),
    });
    let link = link(&site, ServerEra::Discover);
    link.list(TIME).await.unwrap();
    // Two that were told, and what may have changed in between.
    link.changes().wait_for(|count| *count >= 3).await.unwrap();
    assert_eq!(
        site.asked_for("subscriptions/listen")[1].field("mcp-method"),
        Some("subscriptions/listen")
    );
    link.end().await;
}

#[test]
fn the_transport_before_this_one_is_recognized() {
    let pipe = Mutex::new(None);
    let site = McpSite::start(move |asked| match asked.line.as_str() {
        "GET /mcp" => {
            let (sender, receiver) = std::sync::mpsc::channel();
            *pipe.lock().unwrap() = Some(sender);
            Reply::Piped(stream("event: endpoint\ndata: /messages?id=1\n\n"), receiver)
        }
        "POST /messages?id=1" => {
            let result = match asked.method() {
                "initialize" => introduction("2024-11-05"),
                "tools/list" => json!({ "tools": [{ "name": "it", "inputSchema": {} }] }),
                _ => text_result("as ever"),
            };
            if !asked.message["id"].is_null() {
                let pipe = pipe.lock().unwrap();
                pipe.as_ref().unwrap().send(event(asked, &result)).unwrap();
            }
            Reply::status(202, "")
        }
        _ => Reply::status(405, ""),
    });
    let home = Home::new(&site.url(), json!({}));
    assert_eq!(home.run(&["call", "it"]).ok(), "as ever");
    assert!(home.run(&["doctor"]).ok().contains("site 1 speaks MCP 2024-11-05"));
}

/// A door in TLS to a site: its URL, and its authority in PEM.
async fn in_tls(site: &McpSite) -> (String, String) {
    let (acceptor, pem) = acceptor("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/mcp", listener.local_addr().unwrap().port());
    let behind = site.origin().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                // Who does not trust the certificate goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(behind).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut plain).await;
            });
        }
    });
    (url, pem)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_says_of_the_connection_counts() {
    let site = McpSite::honest();
    let (url, pem) = in_tls(&site).await;
    let refused = Home::new(&url, json!({})).run(&["list"]);
    assert!(
        refused.err().contains("TLS failed") && refused.err().contains("`ca_file`"),
        "{}",
        refused.err()
    );
    assert_eq!(site.asked().len(), 0);
    let home = Home::new(&url, json!({ "ca_file": "ca.pem" }));
    std::fs::write(home.path().join("ca.pem"), pem).unwrap();
    assert_eq!(home.run(&["call", "echo", "text=a"]).ok(), "a");
    let pinned = json!({ "tls_fingerprint": "00".repeat(32) });
    let refused = Home::new(&url, pinned).run(&["list"]);
    assert!(refused.err().contains("fingerprint"), "{}", refused.err());
    assert!(refused.err().contains("backend \"hub\" has no tools"), "{}", refused.err());
}
