//! Files as resources on stdio, in both eras of the protocol.

use serde_json::{Value, json};

use crate::{
    mcp_support::{Client, serve, text, with_meta},
    upstream::{Answer, Upstream},
};

async fn export(content: &[u8], content_type: &str) -> Upstream {
    Upstream::start(vec![Answer::full(200, &[("Content-Type", content_type)], content)]).await
}

#[tokio::test]
async fn a_saved_file_is_a_resource() {
    let content = "grün\n".repeat(3);
    let upstream = export(content.as_bytes(), "application/octet-stream").await;
    for era in ["2025-11-25", "2026-07-28"] {
        let served = serve(&upstream.url());
        let mut client = match era {
            "2025-11-25" => Client::legacy(served, json!({})).await,
            _ => Client::connect(served),
        };
        let of_era = |parameters: Value| match era {
            "2025-11-25" => parameters,
            _ => with_meta(parameters),
        };
        let call = of_era(json!({ "name": "export", "arguments": { "id": "a" } }));
        let answer = client.request(1, "tools/call", call).await;
        let path = answer["result"]["structuredContent"]["path"].as_str().unwrap();
        let link = &answer["result"]["content"][1];
        let uri = link["uri"].as_str().unwrap().to_owned();
        assert_eq!(
            (&link["type"], &link["name"]),
            (&json!("resource_link"), &json!("export-a.raw"))
        );
        assert_eq!(uri, format!("file://{path}"));
        assert_eq!(link["size"], content.len());
        let list = client.request(2, "resources/list", of_era(json!({}))).await;
        assert_eq!(list["result"]["resources"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(list["result"]["resources"][0]["uri"], uri);
        let read = of_era(json!({ "uri": format!("{uri}?offset=1&length=4") }));
        let read = client.request(3, "resources/read", read).await;
        let contents = &read["result"]["contents"][0];
        assert_eq!(contents["blob"], "csO8bg==", "{read}");
        assert_eq!(contents["_meta"], json!({ "offset": 1, "length": 4, "size": content.len() }));
        // A file of text is read as text, unless a range cuts a character.
        let directory = std::path::Path::new(path).parent().unwrap();
        std::fs::write(directory.join("a b.txt"), &content).unwrap();
        let uri = format!("file://{}/a%20b.txt", directory.display());
        let read = client.request(4, "resources/read", of_era(json!({ "uri": uri }))).await;
        assert_eq!(read["result"]["contents"][0]["text"], content, "{read}");
        assert_eq!(read["result"]["contents"][0]["mimeType"], "text/plain");
        let cut = of_era(json!({ "uri": format!("{uri}?length=3") }));
        let read = client.request(5, "resources/read", cut).await;
        assert_eq!(read["result"]["contents"][0]["blob"], "Z3LD", "{read}");
        // What is not whole, hidden or elsewhere is no resource.
        std::fs::write(directory.join("x.raw.part"), "x").unwrap();
        std::fs::create_dir_all(directory.join(".store")).unwrap();
        std::fs::write(directory.join(".store/x"), "x").unwrap();
        std::fs::write(directory.join("../outside"), "x").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../outside", directory.join("link")).unwrap();
        let base = format!("file://{}", directory.display());
        for name in ["x.raw.part", ".store/x", "../outside", "%2e%2e/outside", "link", "none", ""] {
            let read = of_era(json!({ "uri": format!("{base}/{name}") }));
            let read = client.request(6, "resources/read", read).await;
            assert!(
                read["error"]["message"].as_str().unwrap().contains("no resource"),
                "{name}: {read}"
            );
        }
        let read = client.request(7, "resources/read", of_era(json!({ "uri": "xo:x" }))).await;
        assert!(read["error"].is_object(), "{read}");
    }
}

#[tokio::test]
async fn an_old_client_gets_no_link() {
    let upstream = export(b"x", "application/octet-stream").await;
    let mut client = Client::connect(serve(&upstream.url()));
    let parameters = json!({
        "protocolVersion": "2025-03-26", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    client.request(0, "initialize", parameters).await;
    client.notify("notifications/initialized", json!({})).await;
    let answer = client.call(1, "export", json!({ "id": "a" })).await;
    assert!(text(&answer).starts_with("saved to "), "{answer}");
    assert_eq!(answer["result"]["content"].as_array().unwrap().len(), 1, "{answer}");
}

async fn read(client: &mut Client, id: u32, uri: &str) -> Vec<Value> {
    let answer = client.request(id, "resources/read", json!({ "uri": uri })).await;
    let contents = answer["result"]["contents"].as_array();
    contents.unwrap_or_else(|| panic!("{uri}: {answer}")).clone()
}

#[tokio::test]
async fn all_that_is_listed_can_be_read() {
    let upstream = export(b"x", "application/octet-stream").await;
    let served = serve(&upstream.url());
    let files = served.files();
    std::fs::create_dir_all(&files).unwrap();
    let (most, text) = (1024 * 1024, format!("a{}", "€".repeat(700_000)));
    std::fs::write(files.join("large.txt"), &text).unwrap();
    std::fs::write(files.join("large.raw"), vec![7; 3 * most]).unwrap();
    std::fs::write(files.join("empty.txt"), "").unwrap();
    std::fs::write(files.join("no-text.txt"), b"a\xFF\xFEb").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(files.join("locked.txt"), "x").unwrap();
        let none = std::fs::Permissions::from_mode(0);
        std::fs::set_permissions(files.join("locked.txt"), none).unwrap();
    }
    let mut client = Client::legacy(served, json!({})).await;
    let listed = client.request(1, "resources/list", json!({})).await;
    let listed = listed["result"]["resources"].as_array().unwrap().clone();
    let is_locked = std::fs::File::open(files.join("locked.txt")).is_err();
    assert_eq!(listed.len(), if is_locked { 4 } else { 5 }, "{listed:?}");
    for (id, resource) in (2..).zip(&listed) {
        let contents = read(&mut client, id, resource["uri"].as_str().unwrap()).await;
        assert!(!contents.is_empty(), "{resource}");
    }
    let base = format!("file://{}", files.canonicalize().unwrap().display());
    let contents = read(&mut client, 100, &format!("{base}/large.raw")).await;
    let note =
        "the first 1048576 of 3145728 bytes; the rest is read with ?offset=1048576 after the URI";
    assert_eq!(contents[0]["text"], note);
    assert_eq!(contents[1]["blob"].as_str().unwrap().len(), most.div_ceil(3) * 4);
    let meta = json!({ "offset": 0, "length": most, "size": 3 * most, "dadl-mcp/note": note });
    assert_eq!(contents[1]["_meta"], meta);
    // Each part of a text ends with a whole character, and the parts are the text.
    let (mut whole, mut offset, mut id) = (String::new(), 0, 200);
    loop {
        let uri = format!(
            "{base}/large.txt{}",
            match offset {
                0 => String::new(),
                offset => format!("?offset={offset}"),
            }
        );
        let contents = read(&mut client, id, &uri).await;
        let last = contents.last().unwrap();
        assert_eq!(contents[0]["uri"], uri);
        whole.push_str(last["text"].as_str().unwrap());
        offset += last["_meta"]["length"].as_u64().unwrap();
        id += 1;
        if contents.len() == 1 {
            break;
        }
        let next = format!("?offset={offset} ");
        assert!(contents[0]["text"].as_str().unwrap().contains(&next), "{}", contents[0]);
    }
    assert!(whole == text && offset == text.len() as u64 && id > 202);
    // A range that was asked for has the bytes that were asked for.
    let contents = read(&mut client, 300, &format!("{base}/large.txt?length=3")).await;
    assert_eq!((contents.len(), &contents[0]["blob"]), (1, &json!("YeKC")));
}
