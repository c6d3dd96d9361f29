//! How other MCP servers at a URL are connected to: with a client certificate, and through a proxy.

use std::path::Path;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    client_cert::Authority,
    mcp_site::McpSite,
    server_http::{Home, Run},
};

/// Speaks TLS in front of a site, for those who show a certificate of this authority; returns the URL.
async fn guarded(site: &McpSite, authority: &Authority) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (acceptor, behind) = (authority.acceptor(true), site.address());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                // Who shows none goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let Ok(mut site) = TcpStream::connect(behind).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut site).await;
            });
        }
    });
    format!("https://localhost:{port}/mcp")
}

async fn run(home: Home, arguments: &'static [&'static str]) -> Run {
    tokio::task::spawn_blocking(move || home.run(arguments)).await.unwrap()
}

/// Settings with the files of somebody called `name`.
fn files(directory: &Path, authority: &Authority, name: &str) -> Value {
    let (cert, key) = authority.client(name);
    let write = |file: &str, text: &str| {
        let path = directory.join(file);
        std::fs::write(&path, text).unwrap();
        path
    };
    json!({
        "ca_file": write("ca.pem", authority.pem()),
        "client_cert": write("cert.pem", &cert), "client_key": write("key.pem", &key),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_shown_the_client_certificate() {
    let (site, authority) = (McpSite::honest(), Authority::new());
    let url = guarded(&site, &authority).await;
    let directory = tempfile::tempdir().unwrap();
    let mut settings = files(directory.path(), &authority, "hub");
    let called = run(Home::new(&url, settings.clone()), &["call", "echo", "text=hello"]).await;
    assert_eq!(called.ok(), "hello");
    let asked = site.asked_for("tools/call").len();
    for key in ["client_cert", "client_key"] {
        settings.as_object_mut().unwrap().remove(key);
    }
    let refused = run(Home::new(&url, settings), &["call", "echo", "text=hello"]).await;
    assert!(refused.failure().contains("hub"), "{}", refused.err());
    assert_eq!(site.asked_for("tools/call").len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_reached_through_the_proxy_of_the_environment() {
    // The proxy answers in place of a server that nothing else leads to.
    let site = McpSite::honest();
    let proxy = format!("http://{}", site.address());
    let home = Home::new("http://hub.example.test/mcp", json!({})).with("HTTP_PROXY", &proxy);
    let called = run(home, &["call", "echo", "text=hello"]).await;
    assert_eq!(called.ok(), "hello");
    let call = &site.asked_for("tools/call")[0];
    assert_eq!(call.line, "POST http://hub.example.test/mcp");
    assert_eq!(call.field("host"), Some("hub.example.test"));
    // Those that are named go without it.
    let home = Home::new(&site.url(), json!({}))
        .with("HTTP_PROXY", "http://127.0.0.1:9")
        .with("NO_PROXY", "127.0.0.1");
    assert_eq!(run(home, &["call", "echo", "text=hello"]).await.ok(), "hello");
}
