//! Prompts of other MCP servers, and values for arguments of theirs: through us to hosts of both eras.

use serde_json::{Value, json};

use crate::{
    process::Process,
    server_resources::{listed, stateless},
    servers::House,
};

fn get(process: &mut Process, id: u32, name: &str, arguments: Value) -> Value {
    process.request(id, "prompts/get", &json!({ "name": name, "arguments": arguments }))
}

fn error(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

fn complete(process: &mut Process, id: u32, of: Value, name: &str, typed: &str) -> Value {
    let params = json!({ "ref": of, "argument": { "name": name, "value": typed } });
    process.request(id, "completion/complete", &params)
}

#[test]
fn a_prompt_is_listed_and_got_with_the_name_of_its_server() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let house = House::new().server("notes", &json!({}), json!({ "protocol": revision }));
        let mut process = house.start();
        let said = process.initialize();
        assert_eq!(said["capabilities"]["prompts"], json!({ "listChanged": true }), "{said}");
        assert_eq!(said["capabilities"]["completions"], json!({}), "{said}");
        let list = process.request(2, "prompts/list", &json!({}));
        let expected = json!([{
            "name": "greet",
            "description": "From the MCP server of backend \"notes\": Greets somebody.",
            "arguments": [{ "name": "name", "required": true }],
        }]);
        assert_eq!(list["result"]["prompts"], expected);
        let got = get(&mut process, 3, "greet", json!({ "name": "Ada" }));
        let message =
            json!({ "role": "user", "content": { "type": "text", "text": "Greet Ada." } });
        assert_eq!(got["result"]["messages"], json!([message]));
        assert_eq!(got["result"]["description"], expected[0]["description"]);
        let params = stateless(json!({ "name": "greet", "arguments": { "name": "Ada" } }));
        let got = process.request(4, "prompts/get", &params);
        assert_eq!(got["result"]["messages"], json!([message]));
        // A wrong argument does not reach the server.
        for (arguments, told) in [
            (json!({}), "needs the argument `name`"),
            (json!({ "name": "a", "age": "7" }), "it takes: name"),
            (json!({ "name": "x".repeat(100_000) }), "too long"),
        ] {
            let answer = get(&mut process, 5, "greet", arguments);
            assert!(error(&answer).contains(told), "{answer}");
        }
        let answer = get(&mut process, 6, "notes_greet", json!({ "name": "a" }));
        assert!(error(&answer).contains("unknown prompt"), "{answer}");
        assert_eq!(process.end(), Some(0));
    }
}

#[test]
fn prompts_of_several_servers_have_names_of_their_own() {
    let script = json!({ "prompts": [
        { "name": "greet", "messages": [{ "role": "user", "content": { "type": "text", "text": "of more" } }] },
        { "name": "say it/loud", "messages": [], "description": "\u{200b}" },
        { "name": "hid\u{200b}den", "messages": [] },
    ] });
    let house = House::new()
        .server("notes", &json!({}), json!({}))
        .server("more", &script, json!({}))
        .server("quiet", &json!({}), json!({ "prompts": false }))
        .server("writing", &json!({}), json!({ "access": ["write"] }))
        .backend(
            json!({ "name": "gone", "transport": "stdio", "command": "no-such-program-here" }),
        );
    let mut process = house.serve();
    let list = process.request(2, "prompts/list", &json!({}));
    let names = listed(&list, "prompts", "name");
    assert_eq!(names, ["notes_greet", "more_greet", "more_say_it_loud"]);
    let got = get(&mut process, 3, "more_greet", json!({}));
    assert_eq!(got["result"]["messages"][0]["content"]["text"], "of more");
    assert_eq!(
        get(&mut process, 4, "more_say_it_loud", json!({}))["result"]["messages"],
        json!([])
    );
    for name in ["greet", "quiet_greet", "writing_greet", "gone_greet"] {
        let answer = get(&mut process, 5, name, json!({}));
        assert!(error(&answer).contains("unknown prompt"), "{answer}");
    }
    assert_eq!(process.end(), Some(0));
    let all = house.run(&["list", "--prompts"]).json();
    assert_eq!(
        (&all[1]["name"], &all[1]["server_prompt"]),
        (&json!("more_greet"), &json!("greet"))
    );
    let shown = house.run(&["show", "notes_greet"]).json();
    assert_eq!(shown["arguments"][0]["name"], "name", "{shown}");
    // What an operator should know.
    let told = house.run(&["list"]);
    assert!(told.err.contains("item 2 of the server's list of prompts"), "{}", told.err);
}

#[test]
fn contents_of_all_types_reach_the_host() {
    let contents = [
        json!({ "type": "text", "text": "s3cret-of-the-note \u{e0041}", "_meta": { "a": 1 } }),
        json!({ "type": "image", "data": "AAEC", "mimeType": "image/png" }),
        json!({ "type": "audio", "data": "AAEC", "mimeType": "audio/wav" }),
        json!({ "type": "resource", "resource": { "uri": "note://a", "mimeType": "text/x", "text": "a" } }),
        json!({ "type": "resource", "resource": { "uri": "note://b", "blob": "AAEC" } }),
        json!({ "type": "resource_link", "uri": "note://welcome", "name": "welcome" }),
        json!({ "type": "of the future" }),
    ];
    let messages = contents.map(|content| json!({ "role": "assistant", "content": content }));
    let script = json!({
        "prompts": [{ "name": "all", "messages": messages }, { "name": "none", "messages": 1 }],
        "on": { "prompts/get bad": [] },
    });
    let settings = json!({ "env": { "API_TOKEN": "s3cret-of-the-note" } });
    let house =
        House::new().server("notes", &script, settings).server("more", &json!({}), json!({}));
    let mut process = house.serve();
    let got = get(&mut process, 2, "notes_all", json!({}));
    let messages = got["result"]["messages"].as_array().unwrap_or_else(|| panic!("{got}"));
    assert!(messages.iter().all(|message| message["role"] == "assistant"));
    let contents: Vec<&Value> = messages.iter().map(|message| &message["content"]).collect();
    assert_eq!(*contents[0], json!({ "type": "text", "text": "[REDACTED] \u{fffd}" }));
    assert_eq!(contents[1]["data"], "AAEC");
    assert_eq!(contents[2]["type"], "audio");
    assert_eq!(contents[3]["resource"]["uri"], "notes+note://a");
    assert_eq!(contents[4]["resource"]["blob"], "AAEC");
    let uri = contents[5]["uri"].as_str().unwrap().to_owned();
    assert_eq!(contents[6]["type"], "text");
    // A link leads to what it names.
    let read = process.request(3, "resources/read", &json!({ "uri": uri }));
    assert_eq!(read["result"]["contents"][0]["text"], "This is the note welcome.");
    let answer = get(&mut process, 4, "notes_none", json!({}));
    assert!(error(&answer).contains("with what is none"), "{answer}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn a_prompt_is_cut_where_a_result_would_be() {
    let text = "word ".repeat(100_000);
    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
    let script = json!({ "prompts": [{ "name": "long", "messages": [message, message] }] });
    let house = House::new().server("notes", &script, json!({}));
    let mut process = house.serve();
    let got = get(&mut process, 2, "long", json!({}));
    let messages = got["result"]["messages"].as_array().unwrap();
    let first = messages[0]["content"]["text"].as_str().unwrap();
    assert!(first.ends_with("of 500000 characters are shown]"), "{}", &first[first.len() - 100..]);
    assert!(messages[1]["content"]["text"].as_str().unwrap().len() < 100, "{}", messages[1]);
    assert_eq!(process.end(), Some(0));
}

#[test]
fn arguments_of_prompts_and_templates_are_completed_by_the_server() {
    let script = json!({
        "templates": [{ "uriTemplate": "note://{+folder}/{name}", "name": "note" }],
        "prompts": [{ "name": "greet", "arguments": [{ "name": "who" }], "messages": [] }],
        "completions": { "who": ["Ada", "Alan", "Grace", "A\u{202e}b"], "folder": ["work"] },
    });
    let silent = json!({ "capabilities": { "prompts": {} } });
    let house =
        House::new().server("notes", &script, json!({})).server("silent", &silent, json!({}));
    let mut process = house.serve();
    let prompt = json!({ "type": "ref/prompt", "name": "notes_greet" });
    let answer = complete(&mut process, 2, prompt.clone(), "who", "A");
    let completion = &answer["result"]["completion"];
    assert_eq!(completion["values"], json!(["Ada", "Alan"]), "{answer}");
    let answer = complete(&mut process, 3, prompt, "whom", "A");
    assert!(error(&answer).contains("no argument \"whom\""), "{answer}");
    let template = json!({ "type": "ref/resource", "uri": "notes+note://{+folder}/{name}" });
    let answer = complete(&mut process, 4, template.clone(), "folder", "");
    assert_eq!(answer["result"]["completion"]["values"], json!(["work"]), "{answer}");
    let answer = complete(&mut process, 5, template, "x", "");
    assert!(error(&answer).contains("no variable \"x\""), "{answer}");
    // One that says that it knows none is not asked.
    let prompt = json!({ "type": "ref/prompt", "name": "silent_greet" });
    let answer = complete(&mut process, 6, prompt, "name", "");
    assert_eq!(answer["result"]["completion"]["values"], json!([]), "{answer}");
    let nobodys = json!({ "type": "ref/resource", "uri": "note://{+folder}/{name}" });
    let answer = complete(&mut process, 7, nobodys, "folder", "");
    assert!(error(&answer).contains("no resource template"), "{answer}");
    assert_eq!(process.end(), Some(0));
}

#[test]
fn what_a_server_says_to_the_other_arguments_counts() {
    let script = json!({ "on": { "completion/complete greet": [{ "answer": true }],
        "completion/complete": [{ "result": { "completion": { "values": ["seen"] }, "got": "$params" } }] } });
    let house = House::new().server("notes", &script, json!({}));
    let mut process = house.serve();
    let params = json!({
        "ref": { "type": "ref/prompt", "name": "greet" },
        "argument": { "name": "name", "value": "x" },
        "context": { "arguments": { "other": "y" } },
    });
    let answer = process.request(2, "completion/complete", &params);
    assert_eq!(answer["result"]["completion"]["values"], json!(["seen"]), "{answer}");
    assert_eq!(process.end(), Some(0));
}
