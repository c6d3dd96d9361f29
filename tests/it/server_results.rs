//! What tools of other MCP servers give: content of all types, tasks, and what is asked again.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    process::Process,
    servers::{House, called, everything, levels, text},
};

/// A picture of one dot.
const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A script whose `echo` gives this result.
fn gives(result: Value) -> Value {
    json!({ "on": { "tools/call echo": [{ "result": result }] } })
}

fn serving(result: Value) -> (House, Process) {
    let house = House::new().server("notes", &gives(result), levels());
    let process = house.serve();
    (house, process)
}

fn echoed(process: &mut Process, id: u32) -> Value {
    called(process, id, "echo", json!({ "text": "a" }))
}

/// The bytes of a file that begins as a PNG does.
fn png(size: usize) -> Vec<u8> {
    let mut bytes = STANDARD.decode(DOT).unwrap();
    bytes.resize(size, 7);
    bytes
}

#[test]
fn blocks_come_to_a_host_as_what_they_are() {
    let sound = STANDARD.encode(b"RIFF\x04\0\0\0WAVEfmt ");
    let meta = json!({ "secret": 1 });
    let content = json!([
        { "type": "text", "text": "first", "_meta": meta },
        { "type": "image", "data": DOT, "mimeType": "image/png", "_meta": meta },
        { "type": "text", "text": "second" },
        { "type": "audio", "data": sound, "mimeType": "audio/wav" },
        { "type": "resource_link", "uri": "note://a", "name": "a", "mimeType": "text/plain", "_meta": meta },
        { "type": "resource", "resource": { "uri": "note://b", "mimeType": "text/plain", "text": "b" } },
        { "type": "resource", "resource": { "uri": "note://c", "mimeType": "image/x", "blob": "AAEC" } },
        { "type": "new", "what": [1], "_meta": meta },
    ]);
    let (_house, mut process) = serving(json!({ "content": content, "_meta": meta }));
    let result = echoed(&mut process, 2);
    let expected = json!([
        { "type": "text", "text": "first" },
        { "type": "image", "data": DOT, "mimeType": "image/png" },
        { "type": "text", "text": "second" },
        { "type": "audio", "data": sound, "mimeType": "audio/wav" },
        { "type": "resource_link", "uri": "note://a", "name": "a", "mimeType": "text/plain" },
        { "type": "resource", "resource": { "uri": "note://b", "mimeType": "text/plain", "text": "b" } },
        { "type": "resource", "resource": { "uri": "note://c", "mimeType": "image/x", "blob": "AAEC" } },
        { "type": "text", "text": "{\"type\":\"new\",\"what\":[1]}" },
    ]);
    assert_eq!(result["content"], expected, "{result}");
    assert_eq!((&result["_meta"], &result["structuredContent"]), (&Value::Null, &Value::Null));
    assert_ne!(result["isError"], true);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_value_stays_a_value_beside_other_content() {
    let picture = json!({ "type": "image", "data": DOT, "mimeType": "image/png" });
    let words = json!({ "type": "text", "text": "one and a picture" });
    let value = json!({ "count": 1 });
    for (content, expected) in [
        (json!([picture]), json!([{ "type": "text", "text": "{\"count\":1}" }, picture])),
        (json!([words, picture]), json!([words, picture])),
        (json!([words]), json!([words])),
        (json!([]), json!([{ "type": "text", "text": "{\"count\":1}" }])),
    ] {
        let (_house, mut process) =
            serving(json!({ "content": content, "structuredContent": value }));
        let result = echoed(&mut process, 2);
        assert_eq!(result["structuredContent"], value, "{result}");
        assert_eq!(result["content"], expected, "{result}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn words_are_those_of_the_server_though_they_are_json() {
    let value = json!({ "count": 1, "of": [] });
    let words = json!([{
        "type": "text", "text": "{\n  \"count\": 1,\n  \"of\": []\n}",
        "annotations": { "audience": ["user"], "priority": 0.5 },
    }]);
    for structured in [Value::Null, value.clone()] {
        let result = json!({ "content": words, "structuredContent": structured });
        let (_house, mut process) = serving(result);
        let result = echoed(&mut process, 2);
        assert_eq!(result["content"], words, "{result}");
        assert_eq!(result["structuredContent"], structured, "{result}");
        assert_eq!(process.end(), Some(0));
    }
    // Nothing stays nothing, whatever is said to programs.
    let nothing = json!([{ "type": "text", "text": "" }]);
    let (_house, mut process) =
        serving(json!({ "content": nothing, "structuredContent": { "content": "" } }));
    assert_eq!(echoed(&mut process, 2)["content"], nothing);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn bytes_are_shown_once() {
    let large = STANDARD.encode(png(200_000));
    for (data, most) in [(DOT, DOT.len()), (large.as_str(), 100)] {
        let picture = json!({ "type": "image", "data": data, "mimeType": "image/png" });
        let value = json!({ "content": [picture] });
        let (_house, mut process) =
            serving(json!({ "content": [picture], "structuredContent": value }));
        let result = echoed(&mut process, 2);
        assert_eq!(result["content"], json!([picture]));
        let shown = result["structuredContent"]["content"][0]["data"].as_str().unwrap();
        assert!(shown.len() <= most, "{} characters", shown.len());
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_long_list_in_words_is_cut_where_an_item_ends() {
    let words: Vec<Value> = (0..30_000).map(|id| json!({ "id": id })).collect();
    let text_block = json!({ "type": "text", "text": Value::from(words).to_string() });
    let (_house, mut process) = serving(json!({ "content": [text_block] }));
    let result = echoed(&mut process, 2);
    assert!(text(&result).contains("of 30000 items"), "{}", text(&result));
    assert_eq!(result["structuredContent"], Value::Null);
    let part: Value = serde_json::from_str(result["content"][1]["text"].as_str().unwrap()).unwrap();
    assert_eq!(part[1], json!({ "id": 1 }));
    assert_eq!(process.end(), Some(0));
}

#[test]
fn what_is_too_large_for_a_model_is_saved_and_told() {
    let large = png(5_000);
    let content = json!([
        { "type": "text", "text": "look" },
        { "type": "image", "data": STANDARD.encode(&large), "mimeType": "image/png" },
    ]);
    let house = House::new()
        .server("notes", &gives(json!({ "content": content })), levels())
        .top("limits", json!({ "max_media_size": "1kB" }));
    let mut process = house.serve();
    let result = echoed(&mut process, 2);
    let blocks = result["content"].as_array().unwrap();
    assert!(blocks.iter().all(|it| it["type"] != "image"), "{result}");
    assert!(text(&result).contains("5000 bytes") && text(&result).contains("saved to"), "{result}");
    assert_eq!(blocks[1]["text"], "look", "{result}");
    let link = blocks.iter().find(|it| it["type"] == "resource_link").unwrap();
    let params = json!({ "uri": link["uri"] });
    let read = process.request(3, "resources/read", &params);
    let blob = read["result"]["contents"][0]["blob"].as_str().unwrap();
    assert_eq!(STANDARD.decode(blob).unwrap(), large);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_picture_that_is_none_is_shown_to_no_model() {
    for (data, told) in [(STANDARD.encode("<html>"), "saved to"), ("n%%".to_owned(), "no Base64")] {
        let content = json!([{ "type": "image", "data": data, "mimeType": "image/png" }]);
        let (_house, mut process) = serving(json!({ "content": content }));
        let result = echoed(&mut process, 2);
        let blocks = result["content"].as_array().unwrap();
        assert!(blocks.iter().all(|it| it["type"] != "image"), "{result}");
        assert!(text(&result).contains(told), "{result}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn a_result_without_content_says_nothing_of_http() {
    let (house, mut process) = serving(json!({ "content": [] }));
    let result = echoed(&mut process, 2);
    assert_eq!(text(&result), "done, without content", "{result}");
    assert_eq!(process.end(), Some(0));
    let run = house.run(&["call", "echo", "text=a"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""), "{}", run.err);
    assert!(run.err.contains("without content") && !run.err.contains("HTTP"), "{}", run.err);
    assert_eq!(house.run(&["call", "echo", "text=a", "--json"]).json(), Value::Null);
}

#[test]
fn a_value_that_is_not_what_was_declared_is_told_and_no_failure() {
    let result = json!({ "content": [], "structuredContent": { "sum": "many" } });
    let script = json!({ "on": { "tools/call add": { "rounds": [
        [{ "result": result }], [{ "result": { "content": [{ "type": "text", "text": "3" }] } }],
    ] } } });
    let house = House::new().server("notes", &script, levels());
    let mut process = house.serve();
    let wrong = called(&mut process, 2, "add", json!({ "a": 1, "b": 2 }));
    assert_ne!(wrong["isError"], true, "{wrong}");
    assert!(text(&wrong).contains("is not what the server declares"), "{wrong}");
    assert!(wrong["structuredContent"].to_string().contains("many"), "{wrong}");
    // Words alone are no value that is wrong.
    let words = called(&mut process, 3, "add", json!({ "a": 1, "b": 2 }));
    assert_eq!(text(&words), "3", "{words}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn scripts_and_terminals_get_pictures_as_files() {
    let house =
        House::new().server("notes", &json!({}), everything()).top("surface", json!("compact"));
    let mut process = house.serve();
    let code = "const shown = await api.picture({}); return shown.content[0]";
    let result = called(&mut process, 2, "api_read", json!({ "code": code }));
    let file = &result["structuredContent"];
    assert_eq!((&file["type"], &file["content_type"]), (&json!("image"), &json!("image/png")));
    let path = file["path"].as_str().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), STANDARD.decode(DOT).unwrap());
    assert_eq!(process.end(), Some(0));
    let shown = house.run(&["call", "picture"]).json();
    let path = shown["content"][0]["path"].as_str().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), STANDARD.decode(DOT).unwrap());
}

#[test]
fn a_long_text_is_cut_and_kept_with_what_is_beside_it() {
    let words = "0123456789\n".repeat(100_000);
    let content = json!([
        { "type": "text", "text": words },
        { "type": "image", "data": DOT, "mimeType": "image/png" },
    ]);
    let (_house, mut process) = serving(json!({ "content": content }));
    let result = echoed(&mut process, 2);
    let blocks = result["content"].as_array().unwrap();
    assert!(text(&result).contains("cut to the first"), "{}", text(&result));
    assert!(blocks.iter().any(|it| it["type"] == "image"));
    assert!(result.to_string().len() < 200_000);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_result_of_ten_megabytes_takes_a_few_times_that() {
    let head = "{\"jsonrpc\":\"2.0\",\"id\":\"$id\",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"";
    let script = json!({ "on": { "tools/call echo": [
        { "text": head }, { "text": "[1,2,[3]],", "times": 1_000_000 }, { "text": "\"}]}}\n" },
    ] } });
    let house = House::new().server("notes", &script, levels());
    let mut process = house.serve();
    let result = echoed(&mut process, 2);
    assert!(text(&result).contains("cut to the first"), "{}", text(&result));
    #[cfg(target_os = "linux")]
    assert!(process.peak_memory() < 120 * 1024, "{} KiB", process.peak_memory());
    assert_eq!(process.end(), Some(0));
}

/// A server that ends in its first call, and works when it is started again.
#[cfg(unix)]
fn mortal(level: &str) -> House {
    let house = House::new();
    let bad = json!({ "on": { "tools/call echo": [{ "exit": 3 }] } });
    let path = |name: &str| house.home.path().join(name).to_str().unwrap().to_owned();
    let (bad_path, good_path, mark) = (path("bad.json"), path("good.json"), path("mark"));
    std::fs::write(&bad_path, bad.to_string()).unwrap();
    std::fs::write(&good_path, "{}").unwrap();
    let program = env!("CARGO_BIN_EXE_dadl-mcp");
    let script = format!(
        "if [ -e '{mark}' ]; then exec '{program}' simulate mcp --script '{good_path}'; \
         else : > '{mark}'; exec '{program}' simulate mcp --script '{bad_path}'; fi"
    );
    house.backend(json!({
        "name": "notes", "transport": "stdio", "command": "/bin/sh", "args": ["-c", script],
        "levels": { "echo": level }, "access": [level],
    }))
}

#[cfg(unix)]
#[test]
fn a_call_is_made_again_only_where_the_operator_says_that_it_reads() {
    let house = mortal("read");
    let mut process = house.serve();
    let result = echoed(&mut process, 2);
    assert_ne!(result["isError"], true, "{result}");
    assert!(text(&result).contains("was asked again"), "{result}");
    assert_eq!(result["content"][1]["text"], "a", "{result}");
    assert_eq!(process.end(), Some(0));
    // What the server says of itself counts for nothing.
    let house = mortal("write");
    let mut process = house.serve();
    let result = echoed(&mut process, 2);
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(&result).contains("may have been done"), "{result}");
    assert_eq!(process.end(), Some(0));
}

/// The settings of a server that speaks the newest revision.
fn newest() -> Value {
    let mut settings = levels();
    settings["protocol"] = "2026-07-28".into();
    settings
}

/// A task of that revision.
fn task(status: &str, more: Value) -> Value {
    let mut task = json!({
        "taskId": "t1", "status": status, "createdAt": "2026-11-30T00:00:00Z",
        "lastUpdatedAt": "2026-11-30T00:00:00Z", "ttlMs": null, "pollIntervalMs": 50,
    });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!([{ "result": task }])
}

#[test]
fn a_task_is_followed_to_its_result() {
    let done = json!({ "content": [{ "type": "text", "text": "at last" }] });
    let script = json!({ "on": {
        "tools/call echo": task("working", json!({ "resultType": "task" })),
        "tasks/get": { "rounds": [
            task("working", json!({ "resultType": "complete", "statusMessage": "half\nway" })),
            task("completed", json!({ "resultType": "complete", "result": done })),
        ] },
    } });
    let house = House::new().server("notes", &script, newest());
    let mut process = house.serve();
    let params = json!({
        "name": "echo", "arguments": { "text": "a" }, "_meta": { "progressToken": "mine" },
    });
    let (told, answer) = process.request_with_notifications(2, "tools/call", &params);
    assert_eq!(text(&answer["result"]), "at last", "{answer}");
    let told: Vec<String> = told.iter().map(Value::to_string).collect();
    assert!(told.iter().any(|it| it.contains("task notes:echo:t1: ")), "{told:?}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_task_of_2025_11_25_is_asked_for_where_the_server_wants_it() {
    let tools = json!([{
        "name": "slow", "inputSchema": { "type": "object" },
        "execution": { "taskSupport": "required" },
    }]);
    let script = json!({ "on": {
        "tools/list": [{ "result": { "tools": tools } }],
        "tools/call slow": [{ "result": { "task": {
            "taskId": "t1", "status": "working", "createdAt": "2026-11-30T00:00:00Z",
            "ttl": null, "pollInterval": 50,
        }, "_meta": { "asked": "$params" } } }],
        "tasks/get": { "rounds": [task("working", json!({})), task("completed", json!({}))] },
        "tasks/result": [{ "result": { "content": [], "structuredContent": { "of": "$params" } } }],
    } });
    let house = House::new().server("notes", &script, json!({ "levels": { "slow": "read" } }));
    let mut process = house.serve();
    let result = called(&mut process, 2, "slow", json!({}));
    assert_eq!(result["structuredContent"]["of"]["taskId"], "t1", "{result}");
    assert_eq!(process.end(), Some(0));
}
