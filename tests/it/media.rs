//! Images and audio that an API gives: content that a model sees, within a bound, at every door.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    mcp_support::{Client, serve, serve_tools, text},
    notes::{Door, Host},
    upstream::{Answer, Upstream},
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nthe rest of a small image";
const WAV: &[u8] = b"RIFF\x00\x00\x00\x00WAVEfmt and the rest";

async fn upstream(content_type: &str, body: &[u8]) -> Upstream {
    Upstream::start(vec![Answer::full(200, &[("Content-Type", content_type)], body)]).await
}

fn kinds(result: &Value) -> Vec<&str> {
    let blocks = result["content"].as_array().unwrap();
    blocks.iter().map(|block| block["type"].as_str().unwrap()).collect()
}

/// Checks that a file is shown, as this kind of content and this type.
fn check_shown(result: &Value, kind: &str, name: &str, bytes: &[u8]) {
    assert_eq!(kinds(result), ["text", kind], "{result}");
    let medium = &result["content"][1];
    assert_eq!(medium["mimeType"], name, "{result}");
    assert_eq!(STANDARD.decode(medium["data"].as_str().unwrap()).unwrap(), bytes);
    // Hosts that show the structured content show nothing else.
    assert_eq!(result.get("structuredContent"), None, "{result}");
    let file = &result["_meta"]["dadl-mcp/file"];
    assert_eq!((&file["size"], &file["content_type"]), (&json!(bytes.len()), &json!(name)));
    let told = result["content"][0]["text"].as_str().unwrap();
    assert!(told.starts_with("saved to ") && told.contains(file["sha256"].as_str().unwrap()));
}

#[tokio::test]
async fn images_and_audio_are_shown_at_every_door() {
    for (kind, name, bytes) in [("image", "image/png", PNG), ("audio", "audio/wav", WAV)] {
        let upstream = upstream(name, bytes).await;
        for door in Door::ALL {
            let mut host = Host::at(door, serve(&upstream.url())).await;
            check_shown(&host.call("export", json!({ "id": "a" })).await, kind, name, bytes);
        }
    }
}

/// What is shown of this answer with these settings.
async fn shown(name: &str, bytes: &[u8], most: Option<usize>) -> Value {
    let upstream = upstream(name, bytes).await;
    let served = serve(&upstream.url());
    let served = served.changed(|server| match most {
        Some(most) => server.with_most_media(most as u64),
        None => server,
    });
    Host::at(Door::Stdio, served).await.call("export", json!({ "id": "a" })).await
}

#[tokio::test]
async fn the_bound_is_that_of_the_operator() {
    check_shown(&shown("image/png", PNG, Some(PNG.len())).await, "image", "image/png", PNG);
    for most in [PNG.len() - 1, 0] {
        let result = shown("image/png", PNG, Some(most)).await;
        assert_eq!(kinds(&result), ["text", "resource_link"], "{result}");
        assert_eq!(result["structuredContent"]["size"], PNG.len());
        // Of a link with such a type, hosts make an image that no model's provider can fetch.
        assert_eq!(result["content"][1].get("mimeType"), None, "{result}");
    }
    let large = [PNG, &vec![0; 1024 * 1024]].concat();
    assert_eq!(kinds(&shown("image/png", &large, None).await), ["text", "resource_link"]);
}

#[tokio::test]
async fn what_is_no_image_is_not_shown_as_one() {
    for (name, bytes) in [
        ("image/png", &b"<html>log in</html>"[..]),
        ("image/png", b""),
        ("image/png", WAV),
        ("image/svg+xml", b"<svg/>"),
        ("image/tiff", b"II*\0 and the rest"),
        ("video/mp4", b"0000ftypisom"),
        ("application/octet-stream", PNG),
    ] {
        let result = shown(name, bytes, None).await;
        let kinds = kinds(&result);
        assert!(!kinds.contains(&"image") && !kinds.contains(&"audio"), "{name}: {result}");
    }
}

#[tokio::test]
async fn a_type_that_the_server_does_not_name_is_that_of_the_descriptor() {
    let tools = crate::mcp_support::TOOLS.replace(
        "response: { binary: true }",
        "response: { binary: true, content_type: image/png }",
    );
    let upstream = upstream("application/octet-stream", PNG).await;
    let mut host = Host::at(Door::Stdio, serve_tools(&tools, &upstream.url(), |_| {})).await;
    let result = host.call("export", json!({ "id": "a" })).await;
    assert_eq!(kinds(&result), ["text", "image"], "{result}");
    assert_eq!(result["content"][1]["mimeType"], "image/png");
}

#[tokio::test]
async fn an_old_client_hears_nothing_that_it_does_not_know() {
    for (version, name, bytes, expected) in [
        ("2024-11-05", "image/png", PNG, &["text", "image"][..]),
        ("2024-11-05", "audio/wav", WAV, &["text"]),
        ("2025-03-26", "audio/wav", WAV, &["text", "audio"]),
    ] {
        let upstream = upstream(name, bytes).await;
        let mut client = Client::connect(serve(&upstream.url()));
        let parameters = json!({
            "protocolVersion": version, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = client.request(0, "initialize", parameters).await;
        assert_eq!(answer["result"]["protocolVersion"], version);
        client.notify("notifications/initialized", json!({})).await;
        let answer = client.call(1, "export", json!({ "id": "a" })).await;
        assert_eq!(kinds(&answer["result"]), expected, "{version} {name}");
        assert!(text(&answer).starts_with("saved to "), "{answer}");
    }
}

#[tokio::test]
async fn a_script_gets_the_facts() {
    let tools = crate::mcp_support::TOOLS
        .replace("backend:\n", "requires: { features: [composites] }\nbackend:\n")
        .replace(
            "  examples:\n",
            "  composites:\n    look: { access: read, description: \"Looks.\", code: \"return await \
             api.export({ id: 'a' });\" }\n  examples:\n",
        );
    let upstream = upstream("image/png", PNG).await;
    let mut host = Host::at(Door::Stdio, serve_tools(&tools, &upstream.url(), |_| {})).await;
    let result = host.call("look", json!({})).await;
    assert_eq!(result["structuredContent"]["content_type"], "image/png", "{result}");
    assert_eq!(kinds(&result), ["text"]);
}
