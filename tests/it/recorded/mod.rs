//! Requests whose answers were recorded from real servers, played against the simulators: status, wording
//! and shape have to be those of the record. Where the simulator differs, the record says so with the
//! reason; the test fails when another difference appears, and when one of these is gone.
//!
//! The records (`tests/fixtures/*_real.txt`) are shortened by hand. A line means by its first character:
//!
//! ```text
//! # a comment                      ## the name of an exchange, which begins it
//! @ WORDS                          something that the test does before the request
//! > WHO METHOD TARGET              the request; {NAME} is filled in, by the test or by `=`
//! + FIELD: VALUE                   a field of the request, or, behind `<`, of the answer
//! | TEXT                           a line of the request's body; JSON unless a field says otherwise
//! < STATUS MEDIA-TYPE              the answer; without a type any will do
//! . TEXT                           a line of the answer's body; see `Pattern`
//! = NAME POINTER                   keeps what is there (RFC 6901) in the simulator's answer
//! ! PLACE: REASON                  the simulator differs here, and why; PLACE is as the test prints it
//! ```

mod pattern;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::mcp_http::Reply;

/// A request and what a real server answered.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    steps: Vec<String>,
    who: String,
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Option<String>,
    status: u16,
    media: Option<String>,
    answer_fields: Vec<(String, String)>,
    answer: Vec<String>,
    keeps: Vec<(String, String)>,
    /// Where the simulator differs, with the reason.
    known: BTreeMap<String, String>,
}

/// Reads a record.
pub(crate) fn read(record: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in record.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            assert!(exchanges.iter().all(|it| it.name != name), "{name} is there twice");
            exchanges.push(Exchange { name: name.to_owned(), ..Exchange::default() });
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let last = exchanges.last_mut().unwrap_or_else(|| panic!("before the first name: {line}"));
        let (kind, text) = line.split_at(1);
        read_line(last, kind, text.strip_prefix(' ').unwrap_or(text));
    }
    for Exchange { name, status, .. } in &exchanges {
        assert_ne!(*status, 0, "{name} has no answer");
    }
    exchanges
}

fn read_line(exchange: &mut Exchange, kind: &str, text: &str) {
    let pair = |by: &str| {
        let (left, right) = text.split_once(by).unwrap_or_else(|| panic!("no `{by}`: {text}"));
        (left.to_owned(), right.to_owned())
    };
    match kind {
        "@" => exchange.steps.push(text.to_owned()),
        ">" => {
            let [who, method, target] = text.split(' ').collect::<Vec<_>>()[..] else {
                panic!("who, method and target: {text}")
            };
            (exchange.who, exchange.method) = (who.to_owned(), method.to_owned());
            exchange.target = target.to_owned();
        }
        "+" if exchange.status == 0 => exchange.fields.push(pair(": ")),
        "+" => exchange.answer_fields.push(pair(": ")),
        "|" => {
            let body = exchange.body.get_or_insert_default();
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(text);
        }
        "<" => {
            let (status, media) = text.split_once(' ').map_or((text, None), |(a, b)| (a, Some(b)));
            exchange.status = status.parse().unwrap();
            exchange.media = media.map(str::to_owned);
        }
        "." => exchange.answer.push(text.to_owned()),
        "=" => exchange.keeps.push(pair(" ")),
        "!" => {
            let (place, reason) = pair(": ");
            let before = exchange.known.insert(place, reason);
            assert_eq!(before, None, "{} says it twice", exchange.name);
        }
        other => panic!("`{other}` is no mark: {text}"),
    }
}

/// A simulator that is asked.
pub(crate) trait Simulated {
    /// Returns `HOST:PORT`.
    fn address(&self) -> String;

    /// Returns what stands before every target.
    fn base(&self) -> &str;

    /// Returns the fields of a request that say who asks.
    fn login(&self, who: &str) -> Vec<(String, String)>;

    /// Does what stands behind `@`.
    async fn step(&mut self, words: &str, names: &mut BTreeMap<String, String>);
}

/// Plays a record and compares.
pub(crate) async fn play(record: &str, simulated: &mut impl Simulated) {
    let mut names = BTreeMap::new();
    let mut wrong = Vec::new();
    for exchange in read(record) {
        for words in &exchange.steps {
            simulated.step(words, &mut names).await;
        }
        let came = ask(&exchange, simulated, &names).await;
        let found = differences(&exchange, &came);
        let places: BTreeSet<&str> = found.keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = exchange.known.keys().map(String::as_str).collect();
        let name = &exchange.name;
        for place in places.difference(&known) {
            wrong.push(format!("{name}: {place}: {}", found[*place]));
        }
        for place in known.difference(&places) {
            wrong.push(format!("{name}: {place}: no longer differs; take its `!` away"));
        }
        if places.difference(&known).next().is_some() {
            wrong.push(format!("    {} {}", came.status, came.body));
        }
        for (kept, pointer) in &exchange.keeps {
            let value: Value = serde_json::from_str(&came.body).unwrap_or_default();
            match value.pointer(pointer) {
                Some(Value::String(text)) => names.insert(kept.clone(), text.clone()),
                Some(other) => names.insert(kept.clone(), other.to_string()),
                None => {
                    wrong.push(format!("{name}: nothing at {pointer} for {kept}"));
                    None
                }
            };
        }
    }
    assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
}

/// An answer of the simulator.
struct Came {
    status: u16,
    fields: Vec<(String, Option<String>)>,
    media: String,
    body: String,
}

async fn ask(
    exchange: &Exchange,
    simulated: &impl Simulated,
    names: &BTreeMap<String, String>,
) -> Came {
    let fill = |text: &str| {
        names.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
    };
    let (address, body) = (simulated.address(), exchange.body.as_deref().map(fill));
    let mut request = format!(
        "{} {}{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n",
        exchange.method,
        simulated.base(),
        fill(&exchange.target),
    );
    let mut fields = simulated.login(&exchange.who);
    fields.extend(exchange.fields.iter().map(|(name, value)| (name.clone(), fill(value))));
    if body.is_some() && !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        fields.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    for (name, value) in fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = body.unwrap_or_default();
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    let mut reply = sent(&address, &request).await;
    let body = if exchange.method == "HEAD" { String::new() } else { reply.whole().await };
    let wanted = exchange.answer_fields.iter();
    Came {
        status: reply.status,
        fields: wanted.map(|(name, _)| (name.clone(), reply.field(name))).collect(),
        media: reply.field("content-type").unwrap_or_default(),
        body,
    }
}

async fn sent(address: &str, request: &str) -> Reply {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    Reply::read(connection).await
}

/// Sends a request as it is; returns the status and the body of the answer.
pub(crate) async fn send(address: &str, request: &str) -> (u16, String) {
    let mut reply = sent(address, request).await;
    (reply.status, reply.whole().await)
}

/// Returns where an answer differs from the record, and how.
fn differences(exchange: &Exchange, came: &Came) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if came.status != exchange.status {
        found.insert("status".to_owned(), format!("{}, not {}", came.status, exchange.status));
    }
    if let Some(media) = exchange.media.as_ref().filter(|media| **media != came.media) {
        found.insert("type".to_owned(), format!("{}, not {media}", came.media));
    }
    let fields = exchange.answer_fields.iter().zip(&came.fields);
    for ((name, pattern), (_, value)) in fields {
        if !value.as_ref().is_some_and(|value| pattern::fits_text(pattern, value)) {
            found.insert(name.clone(), format!("{value:?}, not {pattern}"));
        }
    }
    pattern::compare(&exchange.answer, &came.body, &mut found);
    found
}

#[test]
fn differences_are_found_and_named() {
    let record = "## a\n> x GET /\n< 200 application/json\n. {\"a\":1,\"b\":[{\"c\":\"no <*>\"},\"<each>\"]}\n";
    let exchange = read(record).remove(0);
    let came = |body: &str| Came {
        status: 200,
        fields: Vec::new(),
        media: "application/json".to_owned(),
        body: body.to_owned(),
    };
    let places = |body: &str| differences(&exchange, &came(body)).into_keys().collect::<Vec<_>>();
    assert!(places(r#"{"b":[{"c":"no x"},{"c":"no y"}],"a":1}"#).is_empty());
    assert_eq!(
        places(r#"{"a":2,"b":[{"c":"yes"},{"c":"no","d":1}]}"#),
        ["$.a", "$.b[0].c", "$.b[1].c", "$.b[1].d"]
    );
    assert_eq!(places(r#"{"b":[]}"#), ["$.a", "$.b"]);
    assert_eq!(places("<html>"), ["body"]);
}
