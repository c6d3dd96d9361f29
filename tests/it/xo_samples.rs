//! Answers of a real server, asked of the simulator again: status, content type and the form of the
//! body. `xo_samples.txt` says what was asked and what came; the bodies word for word are in the
//! tests of the simulator.
//!
//! `DADL_XO_SAMPLES` names a page with the recorded answers themselves: then the table is compared
//! with it, which `cargo test` ignores.

#![expect(clippy::disallowed_methods, reason = "the program itself has no such variables")]

use std::{collections::BTreeMap, env, fs};

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{mcp_http::Reply, xo_world::World};

/// One line of the table.
struct Sample {
    name: &'static str,
    login: &'static str,
    method: &'static str,
    target: &'static str,
    content_type: &'static str,
    body: &'static str,
    answer: Form,
}

/// What is compared of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    status: u16,
    media: String,
    shape: String,
}

fn samples() -> Vec<Sample> {
    let lines = include_str!("xo_samples.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [name, login, request, content_type, body, status, media, shape] =
                line.split(" | ").collect::<Vec<_>>()[..]
            else {
                panic!("eight columns: {line}")
            };
            let (method, target) = request.split_once(' ').unwrap_or((request, ""));
            let optional = |text: &'static str| if text == "-" { "" } else { text };
            let answer = Form {
                status: status.parse().unwrap(),
                media: optional(media).to_owned(),
                shape: shape.to_owned(),
            };
            let (content_type, body) = (optional(content_type), optional(body));
            Sample { name, login, method, target, content_type, body, answer }
        })
        .collect()
}

/// The form of a value, as the table writes it.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "z".to_owned(),
        Value::Bool(_) => "b".to_owned(),
        Value::Number(_) => "n".to_owned(),
        Value::String(_) => "s".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map(shape).unwrap_or_default()),
        Value::Object(members) => {
            let mut members: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}:{}", shape(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn form(status: u16, media: &str, body: &str) -> Form {
    let body = body.trim();
    let shape = match media {
        _ if body.is_empty() => "-".to_owned(),
        media if media.contains("ndjson") => {
            shape(&serde_json::from_str(body.lines().next().unwrap()).unwrap())
        }
        media if media.contains("json") => shape(&serde_json::from_str(body).unwrap()),
        _ => "text".to_owned(),
    };
    Form { status, media: media.to_owned(), shape }
}

fn login(name: &str) -> &'static str {
    match name {
        "admin" => "Cookie: authenticationToken=demo-token\r\n",
        "alice" => "Cookie: authenticationToken=demo-token-alice\r\n",
        // admin@admin.net:admin, and the same with the password wrong
        "basic" => "Authorization: Basic YWRtaW5AYWRtaW4ubmV0OmFkbWlu\r\n",
        "basic-wrong" => "Authorization: Basic YWRtaW5AYWRtaW4ubmV0Ondyb25n\r\n",
        "bearer-alone" => "Authorization: Bearer\r\n",
        "both" => {
            "Cookie: authenticationToken=demo-token\r\n\
             Authorization: Basic YWRtaW5AYWRtaW4ubmV0OmFkbWlu\r\n"
        }
        "cookie-token" => "Cookie: token=demo-token\r\n",
        "none" => "",
        other => panic!("no login {other}"),
    }
}

/// The objects that targets and bodies name; what a sample has made is the last of its kind.
async fn fill(world: &World, text: &str, stream: &str) -> String {
    let mut filled = text.replace("{stream}", stream);
    for (name, collection, filter) in [
        ("{connecting}", "tasks", "properties:name:connect"),
        ("{group}", "groups", "name:g1"),
        ("{login}", "tasks", "properties:name:authentication"),
        ("{other}", "users", "name:bob"),
        ("{repository}", "backup-repositories", "url:file"),
        ("{role}", "acl-roles", "name:r1"),
        ("{server}", "servers", "label:fake"),
        ("{task}", "tasks", ""),
        ("{user}", "users", "name:admin"),
    ] {
        if filled.contains(name) {
            filled = filled.replace(name, &world.find(collection, filter).await);
        }
    }
    filled
}

#[tokio::test]
async fn recorded_answers_come_again() {
    let world = World::start().await;
    let stream = world.stream().await;
    let group = world.find("groups", "name:developers").await;
    let user = world.find("users", "name:bob").await;
    let mut wrong = Vec::new();
    for sample in samples() {
        match sample.name {
            // The recorded group had a member, and the role was the user's already.
            "r_group" => {
                let id = world.find("groups", "name:g1").await;
                world.act("PUT", &format!("/groups/{id}/users/{user}"), &Value::Null).await;
            }
            "role_dup_attach" => {
                let id = world.find("acl-roles", "name:r1").await;
                world.act("PUT", &format!("/acl-roles/{id}/users/{user}"), &Value::Null).await;
            }
            // And a user without any group.
            "u403_post" => {
                world.act("DELETE", &format!("/groups/{group}/users/{user}"), &Value::Null).await;
                let id = world.find("groups", "name:g1").await;
                world.act("DELETE", &format!("/groups/{id}/users/{user}"), &Value::Null).await;
            }
            _ => {}
        }
        let target = fill(&world, sample.target, &stream).await;
        let body = fill(&world, sample.body, &stream).await;
        let mut request = format!(
            "{} /rest/v0{target} HTTP/1.1\r\nHost: xo\r\n{}",
            sample.method,
            login(sample.login)
        );
        if !sample.content_type.is_empty() {
            request.push_str(&format!("Content-Type: {}\r\n", sample.content_type));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut connection = TcpStream::connect(world.simulator.address()).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Reply::read(connection).await;
        let text = if sample.method == "HEAD" { String::new() } else { reply.whole().await };
        let mut came = form(reply.status, &reply.field("content-type").unwrap_or_default(), &text);
        if sample.answer.shape == "*" {
            came.shape = "*".to_owned();
        }
        if came != sample.answer {
            wrong.push(format!("{}: {came:?}\n  not {:?}", sample.name, sample.answer));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Reads a page of recorded answers: a heading with the name, then head and body in a block.
fn recorded(page: &str) -> BTreeMap<&str, Form> {
    let mut answers = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let (name, rest) = section.split_once('\n').unwrap();
        if name.starts_with("proxy_") {
            // Another product.
            continue;
        }
        let block = rest.trim_start().trim_start_matches("```\n");
        let block = block.split("\n```").next().unwrap();
        let (head, body) = block.split_once("\n\n").unwrap_or((block, ""));
        let mut lines = head.lines();
        let Some(status) = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok())
        else {
            continue;
        };
        let media = lines.find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
        // Of HEAD requests the page has more heads instead of a body.
        let body = if name == "head" { "" } else { body };
        answers.insert(name, form(status, media, body));
    }
    answers
}

#[test]
#[ignore = "needs DADL_XO_SAMPLES"]
fn the_table_is_what_was_recorded() {
    let page = env::var_os("DADL_XO_SAMPLES").expect("DADL_XO_SAMPLES names a page");
    let page = fs::read_to_string(page).unwrap();
    let mut recorded = recorded(&page);
    for sample in samples() {
        let mut answer = recorded
            .remove(sample.name)
            .unwrap_or_else(|| panic!("{} was not recorded", sample.name));
        if sample.answer.shape == "*" {
            answer.shape = "*".to_owned();
        }
        assert_eq!(answer, sample.answer, "{}", sample.name);
    }
    assert!(recorded.is_empty(), "not in the table: {:?}", recorded.keys());
}
