//! Many connections to one process, each served on one of its threads.

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{footprint::Served, mcp_http::Reply};

/// More than share a thread.
const CONNECTIONS: usize = 24;

/// Sends a message on a connection that is open.
async fn send(address: &str, stream: &mut TcpStream, session: Option<&str>, message: &str) {
    let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: \
         application/json, text/event-stream\r\n{session}Content-Length: {}\r\n\r\n{message}",
        message.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_session_is_the_same_on_every_connection() {
    let served = Served::demo().await;
    let address = served.address.as_str();
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    })
    .to_string();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(TcpStream::connect(address).await.unwrap());
    }
    let mut sessions = Vec::new();
    for mut stream in connections {
        send(address, &mut stream, None, &hello).await;
        sessions.push(Reply::read(stream).await.field("mcp-session-id").unwrap());
    }
    // All at once, and each on a connection that another thread may serve than that of its session.
    let call = |id: usize| {
        let params = json!({ "name": "list_vms", "arguments": {} });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string()
    };
    let mut asked = Vec::new();
    for (id, session) in sessions.iter().rev().enumerate() {
        let mut stream = TcpStream::connect(address).await.unwrap();
        send(address, &mut stream, Some(session), &call(id)).await;
        asked.push(stream);
    }
    for (id, stream) in asked.into_iter().enumerate() {
        let answer = Reply::read(stream).await.event().await;
        assert_eq!(answer["id"], id);
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
}
