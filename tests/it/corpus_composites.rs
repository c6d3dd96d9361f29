//! The composites of descriptors by other authors, against a backend that answers what their APIs
//! would: each runs to its end, and sends what its code says.
//!
//! The answers are made up after what the code reads. `DADL_CORPUS` names the folder; see
//! `corpus.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use dadl_mcp::descriptor::{load, source::Source};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use crate::{
    corpus::{corpus, texts},
    harness::{Fixed, Harness},
};

/// One call of a composite.
struct Case {
    file: &'static str,
    composite: &'static str,
    arguments: Value,
    /// Requests without their query, and their answers; a `*` stands for one segment.
    answers: Vec<(&'static str, Value)>,
    /// What the result holds at some JSON pointers.
    gives: Vec<(&'static str, Value)>,
    /// What some body or query holds.
    sends: Vec<&'static str>,
}

/// What a backend got: the method and the path, and all of the request.
type Log = Arc<Mutex<Vec<(String, String)>>>;

/// Starts a backend with these answers.
async fn backend(answers: &[(&'static str, Value)]) -> (String, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = Log::default();
    let (seen, answers) = (Arc::clone(&log), Arc::new(answers.to_vec()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, answers) = (Arc::clone(&seen), Arc::clone(&answers));
            tokio::spawn(async move {
                // A client that goes away is no failure.
                let _ = converse(stream, &answers, &seen).await;
            });
        }
    });
    (url, log)
}

async fn converse(
    stream: TcpStream,
    answers: &[(&'static str, Value)],
    seen: &Mutex<Vec<(String, String)>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let request = format!("{method} {}", target.split('?').next().unwrap());
        let same = |pattern: &str| {
            let mut parts = request.split('/');
            pattern.split('/').all(|one| parts.next().is_some_and(|it| one == "*" || one == it))
                && parts.next().is_none()
        };
        let answer = answers.iter().find(|(pattern, _)| same(pattern));
        let (status, text) = match answer {
            Some((_, value)) => (200, value.to_string()),
            None => (404, "{}".to_owned()),
        };
        seen.lock().await.push((request, head + &String::from_utf8_lossy(&body)));
        let head = format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n");
        let answer = format!("{head}Content-Length: {}\r\n\r\n{text}", text.len());
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// A search answer of Graylog with these rows.
fn graylog(rows: Value) -> Value {
    let messages =
        json!([{ "message": { "timestamp": "t", "source": "s", "level": 3, "message": "m" } }]);
    let result = json!({ "rows": rows, "messages": messages, "total_results": 1 });
    json!({ "results": { "q": { "search_types": { "st": result } } } })
}

fn cases() -> Vec<Case> {
    let case = |file, composite, arguments, answers: &[(&'static str, Value)]| Case {
        file,
        composite,
        arguments,
        answers: answers.to_vec(),
        gives: Vec::new(),
        sends: Vec::new(),
    };
    let mut cases = Vec::new();
    let mut add = |case: Case, gives: &[(&'static str, Value)], sends: &[&'static str]| {
        cases.push(Case { gives: gives.to_vec(), sends: sends.to_vec(), ..case });
    };

    let hits = json!({ "hits": [{ "objectID": "7", "title": "T", "author": "a", "points": 5, "comment_text": "c" }], "page": 0, "nbPages": 1 });
    let search = ("GET /search", hits.clone());
    let by_date = ("GET /search_by_date", hits);
    let file = "algolia-hn-search.dadl";
    let found = [("/0/id", json!("7"))];
    add(
        case(
            file,
            "search_stories",
            json!({ "query": "x y", "min_points": 3 }),
            std::slice::from_ref(&search),
        ),
        &found,
        &["points%3E3", "query=x%20y"],
    );
    add(
        case(
            file,
            "search_recent_comments",
            json!({ "query": "x" }),
            std::slice::from_ref(&by_date),
        ),
        &[("/0/text", json!("c"))],
        &["tags=comment"],
    );
    add(
        case(file, "get_front_page", json!({}), std::slice::from_ref(&search)),
        &found,
        &["hitsPerPage=30"],
    );
    add(
        case(file, "search_distilled", json!({ "query": "x" }), &[search]),
        &found,
        &["tags=story"],
    );
    add(
        case(
            file,
            "search_distilled",
            json!({ "query": "x", "sort": "date" }),
            std::slice::from_ref(&by_date),
        ),
        &found,
        &[],
    );
    let user = json!({ "username": "u", "karma": 9, "created_at": "t" });
    add(
        case(
            file,
            "get_user_activity",
            json!({ "username": "u" }),
            &[("GET /users/u", user), by_date],
        ),
        &[("/user/karma", json!(9)), ("/recent_stories/0/id", json!("7"))],
        &["author_u"],
    );

    let file = "dokuwiki.dadl";
    let page =
        ("POST /core.getPage", json!({ "result": "== A ==\none two one\n== B ==\n", "error": {} }));
    let save = ("POST /core.savePage", json!({ "result": true }));
    let replace = json!({ "page": "p", "search": "one", "replace": "three" });
    add(
        case(file, "page_search_and_replace", replace, &[page.clone(), save.clone()]),
        &[("/replacements", json!(2))],
        &["three two three"],
    );
    let append = json!({ "page": "p", "after_heading": "A", "content": "new" });
    add(
        case(file, "page_append_section", append, &[page.clone(), save.clone()]),
        &[("/inserted_at_line", json!(2))],
        &["new"],
    );
    let chunk = json!({ "session_id": "s", "page": "p", "chunk_index": 0, "text": "t" });
    add(
        case(file, "chunked_save_page", chunk, std::slice::from_ref(&save)),
        &[("/buffered", json!(true))],
        &["_chunked_uploads:s"],
    );
    let last =
        json!({ "session_id": "s", "page": "p", "chunk_index": 1, "text": "t", "finalize": true });
    add(
        case(
            file,
            "chunked_save_page",
            last,
            &[page, save, ("POST /core.appendPage", json!({ "result": true }))],
        ),
        &[("/chunks_assembled", json!(2))],
        &[],
    );

    let file = "graylog.dadl";
    let range = json!({ "type": "relative", "range": 300 });
    let leaf = graylog(
        json!([{ "source": "leaf", "key": ["k", "g"], "values": [{ "key": ["a", "c"], "value": 4, "source": "row-leaf" }] }]),
    );
    let sync = [("POST /views/search/sync", leaf)];
    add(
        case(
            file,
            "aggregate_by_field",
            json!({ "time_range": range, "field": "f", "streams": ["s1"] }),
            &sync,
        ),
        &[("/0/count", json!(4))],
        &[r#""id":"s1""#],
    );
    add(
        case(file, "aggregate_pivot", json!({ "time_range": range, "row_fields": ["f"] }), &sync),
        &[("/0/count", json!(4))],
        &[r#""field":"f""#],
    );
    add(
        case(
            file,
            "histogram_grouped",
            json!({ "time_range": range, "interval": "PT5M", "group_by": "g" }),
            &sync,
        ),
        &[("/0/group_key", json!("g"))],
        &[r#""timeunit":"5m""#],
    );
    add(
        case(file, "field_stats", json!({ "time_range": range, "field": "f" }), &sync),
        &[("/c", json!(4))],
        &[r#""card""#],
    );
    add(
        case(file, "search_messages_compact", json!({ "time_range": range }), &sync),
        &[("/messages/0/msg", json!("m"))],
        &[r#""limit":200"#],
    );
    add(
        case(file, "incident_window", json!({ "timestamp": "2026-01-02T03:04:05Z" }), &sync),
        &[("/window/from", json!("2026-01-02T03:01:05.000Z")), ("/top_errors/0/count", json!(4))],
        &["2026-01-02T02:01:05.000Z"],
    );

    let file = "hackernews.dadl";
    let item =
        ("GET /item/*", json!({ "id": 8863, "type": "story", "title": "T", "kids": [1, 2] }));
    add(
        case(
            file,
            "get_top_stories_full",
            json!({ "limit": 2 }),
            &[("GET /topstories.json", json!([1, 2, 3])), item.clone()],
        ),
        &[("/1/id", json!(8863))],
        &[],
    );
    add(
        case(file, "get_story_with_comments", json!({ "id": 8863 }), std::slice::from_ref(&item)),
        &[("/comments/1/title", json!("T"))],
        &["GET /item/2.json"],
    );
    add(
        case(
            file,
            "get_user_stories",
            json!({ "username": "u" }),
            &[("GET /user/u.json", json!({ "submitted": [5, 6] })), item],
        ),
        &[("/0/title", json!("T"))],
        &["GET /item/6.json"],
    );

    let file = "mempool.dadl";
    let block = ("GET /v1/block/*", json!({ "id": "h", "height": 1 }));
    add(
        case(
            file,
            "get_chain_tip",
            json!({}),
            &[("GET /blocks/tip/hash", json!("h")), block.clone()],
        ),
        &[("/height", json!(1))],
        &["/v1/block/h "],
    );
    let address = [
        ("GET /address/a", json!({ "address": "a" })),
        ("GET /address/a/utxo", json!([])),
        ("GET /address/a/txs", json!([{ "txid": "t" }])),
    ];
    add(
        case(file, "get_address_full_history", json!({ "address": "a" }), &address),
        &[("/recent_txs/0/txid", json!("t"))],
        &[],
    );
    add(
        case(
            file,
            "wait_for_tx_confirmation",
            json!({ "txid": "t", "max_attempts": 3 }),
            &[("GET /tx/t/status", json!({ "confirmed": false }))],
        ),
        &[("/confirmed", json!(false))],
        &[],
    );
    let fees = [
        ("GET /v1/fees/recommended", json!({ "fastestFee": 1 })),
        ("GET /v1/fees/mempool-blocks", json!([])),
        ("GET /mempool", json!({ "count": 2 })),
    ];
    add(case(file, "get_fee_dashboard", json!({}), &fees), &[("/mempool/count", json!(2))], &[]);
    add(
        case(
            file,
            "get_block_with_first_txs",
            json!({ "hash": "h", "tx_limit": 30 }),
            &[block, ("GET /block/h/txs/*", json!([{ "txid": "t" }]))],
        ),
        &[("/txs/1/txid", json!("t"))],
        &["/txs/25"],
    );

    let file = "opnsense.dadl";
    let saved = json!({ "result": "saved" });
    let select = json!({ "inet": { "value": "IPv4", "selected": 1 }, "inet6": { "value": "IPv6", "selected": 0 } });
    let gateway = [
        (
            "GET /routing/settings/get_gateway/u",
            json!({ "gateway_item": { "name": "g", "ipprotocol": select } }),
        ),
        ("POST /routing/settings/set_gateway/u", saved.clone()),
        ("POST /routing/settings/reconfigure", json!({ "status": "ok" })),
    ];
    add(
        case(
            file,
            "update_gateway",
            json!({ "uuid": "u", "changes": { "name": "new" }, "apply": true }),
            &gateway,
        ),
        &[("/ok", json!(true))],
        &["ipprotocol%5D=inet", "name%5D=new"],
    );
    let group = [
        (
            "GET /routing/group_settings/get/u",
            json!({ "gateway_group": { "name": "g", "item": "" } }),
        ),
        ("POST /routing/group_settings/set/u", saved.clone()),
    ];
    add(
        case(
            file,
            "update_gateway_group",
            json!({ "uuid": "u", "tiers": { "1": ["a", "b"] } }),
            &group,
        ),
        &[("/tiers/1/1", json!("b"))],
        &["item%5D=a%2Cb"],
    );
    let hasync = [
        (
            "GET /core/hasync/get",
            json!({ "hasync": { "syncitems": { "a": { "selected": 1 }, "b": { "selected": 0 } } } }),
        ),
        ("POST /core/hasync/set", saved.clone()),
    ];
    add(
        case(file, "update_hasync_settings", json!({ "enable_syncitems": ["b"] }), &hasync),
        &[("/syncitems", json!(["a", "b"]))],
        &["syncitems%5D=a%2Cb"],
    );
    let radvd = [
        ("GET /radvd/settings/get_entry/u", json!({ "entries": { "mode": select } })),
        ("POST /radvd/settings/set_entry/u", saved),
    ];
    add(
        case(file, "update_radvd", json!({ "uuid": "u", "changes": { "x": "1" } }), &radvd),
        &[("/ok", json!(true))],
        &["mode%5D=inet"],
    );

    let devices = json!({ "isok": true, "data": { "devices": { "d1": { "name": "Lamp", "type": "t", "category": "relay", "room_id": 1, "cloud_online": true, "gen": 1 } } } });
    let status = json!({ "isok": true, "data": { "devices_status": { "d1": { "_dev_info": { "id": "d1", "code": "c", "gen": "G1", "online": true }, "relays": [{ "ison": true }] } } } });
    let answers = [("POST /interface/device/list", devices), ("POST /device/all_status", status)];
    add(
        case("shelly-cloud.dadl", "get_named_status", json!({ "only_on": true }), &answers),
        &[("/0/name", json!("Lamp"))],
        &[],
    );

    let file = "vikunja.dadl";
    let task = json!({ "id": 5, "title": "old", "done": false, "project_id": 2, "position": 1.5, "priority": 1 });
    add(
        case(
            file,
            "update_task",
            json!({ "id": 5, "done": true }),
            &[("GET /tasks/5", task.clone()), ("POST /tasks/5", task.clone())],
        ),
        &[("/id", json!(5))],
        &[r#""title":"old""#, r#""done":true"#],
    );
    let views = json!([{ "id": 9, "view_kind": "kanban", "title": "K", "default_bucket_id": 3 }]);
    let board = json!([{ "id": 3, "title": "Todo", "tasks": [{ "id": 1, "title": "a", "done": false, "position": 10 }] }]);
    let create = [
        ("PUT /projects/2/tasks", task.clone()),
        ("GET /projects/2/views", views.clone()),
        ("GET /projects/2/views/9/tasks", board.clone()),
        ("POST /tasks/5/position", json!({})),
    ];
    add(
        case(file, "create_task", json!({ "project_id": 2, "title": "new" }), &create),
        &[("/id", json!(5))],
        &[r#""title":"new""#, r#""project_view_id":9"#],
    );
    let view = [("GET /projects/2/views", views), ("POST /projects/2/views/9", json!({ "id": 9 }))];
    add(
        case(
            file,
            "set_default_bucket",
            json!({ "project_id": 2, "view_id": 9, "default_bucket_id": 4 }),
            &view,
        ),
        &[("/id", json!(9))],
        &[r#""default_bucket_id":4"#],
    );
    let buckets = [
        (
            "GET /projects/2/views/9/buckets",
            json!([{ "id": 3, "title": "B", "limit": 0, "position": 100 }]),
        ),
        ("POST /projects/2/views/9/buckets/3", json!({ "id": 3 })),
    ];
    add(
        case(
            file,
            "set_bucket_position",
            json!({ "project_id": 2, "view_id": 9, "bucket_id": 3 }),
            &buckets,
        ),
        &[("/id", json!(3))],
        &[r#""position":50"#],
    );
    let project = [
        ("GET /projects/2", json!({ "id": 2, "title": "P", "position": 1 })),
        ("POST /projects/2", json!({ "id": 2 })),
    ];
    add(
        case(file, "update_project", json!({ "id": 2, "is_favorite": true }), &project),
        &[("/id", json!(2))],
        &[r#""title":"P""#],
    );

    let file = "zulip.dadl";
    let message = json!({ "id": 1, "type": "stream", "display_recipient": "general", "subject": "t", "sender_full_name": "S", "sender_email": "s@example.com" });
    let messages = ("GET /api/v1/messages", json!({ "messages": [message], "result": "success" }));
    let send = [
        ("GET /api/v1/get_stream_id", json!({ "stream_id": 4 })),
        ("POST /api/v1/messages", json!({ "id": 2 })),
    ];
    add(
        case(
            file,
            "send_channel_message",
            json!({ "channel_name": "general", "topic": "t", "content": "c" }),
            &send,
        ),
        &[("/id", json!(2))],
        &["to=4"],
    );
    add(
        case(
            file,
            "search_messages",
            json!({ "query": "q", "sender": "s" }),
            std::slice::from_ref(&messages),
        ),
        &[],
        &["%22sender%22"],
    );
    add(
        case(
            file,
            "get_recent_in_topic",
            json!({ "channel": "c", "topic": "t" }),
            std::slice::from_ref(&messages),
        ),
        &[],
        &["num_before=20"],
    );
    let mark = [
        ("GET /api/v1/streams/4", json!({ "stream": { "name": "general" } })),
        ("POST /api/v1/messages/flags/narrow", json!({ "result": "success" })),
    ];
    add(
        case(file, "mark_all_in_channel_read", json!({ "stream_id": 4 }), &mark),
        &[("/result", json!("success"))],
        &["general"],
    );
    let users = [(
        "GET /api/v1/users",
        json!({ "members": [{ "user_id": 1, "full_name": "Ada", "is_active": true, "is_bot": false }] }),
    )];
    add(
        case(file, "search_users", json!({ "query": "ad" }), &users),
        &[("/0/user_id", json!(1))],
        &[],
    );
    add(
        case(file, "daily_summary", json!({}), &[messages]),
        &[("/channels/0/channel", json!("general"))],
        &["num_after=500"],
    );
    cases
}

#[tokio::test]
async fn composites_of_real_descriptors_run() {
    let Some(folder) = corpus() else { return };
    let mut texts: BTreeMap<String, String> = texts(&folder)
        .into_iter()
        .map(|(name, text)| (name, String::from_utf8(text).unwrap()))
        .collect();
    // What other parts of the language keep from loading runs as soon as they are there.
    let mut composites = BTreeSet::new();
    texts.retain(|name, text| {
        let Some(descriptor) = load(&Source::new(name.as_str(), text.as_str())).descriptor else {
            println!("skipped: {name} does not load");
            return false;
        };
        let names = descriptor.composites.into_iter().map(|it| it.name);
        composites.extend(names.map(|composite| (name.clone(), composite)));
        true
    });
    for case in cases() {
        let Some(text) = texts.get(case.file) else { continue };
        composites.remove(&(case.file.to_owned(), case.composite.to_owned()));
        let (url, log) = backend(&case.answers).await;
        let bench = Harness::new(text, &url, Fixed(Ok("a-secret-of-the-test".to_owned())), |_| {});
        let what = format!("{} {}", case.file, case.composite);
        let entry = bench.gate.catalog().entries().iter();
        let entry = entry.clone().find(|entry| entry.declared_name() == case.composite).unwrap();
        let value = bench.value(&entry.name, case.arguments).await;
        for (pointer, expected) in &case.gives {
            assert_eq!(value.pointer(pointer), Some(expected), "{what}: {value}");
        }
        let seen = log.lock().await.clone();
        for (pattern, _) in &case.answers {
            let start = pattern.split('*').next().unwrap();
            let sent = seen.iter().any(|(request, _)| request.starts_with(start));
            assert!(sent, "{what} did not send {pattern}: {seen:?}");
        }
        for part in &case.sends {
            let sent = seen.iter().any(|(_, all)| all.contains(part));
            assert!(sent, "{what} did not send {part}: {seen:?}");
        }
        let unanswered = seen.iter().filter(|(request, _)| {
            !case.answers.iter().any(|(it, _)| request.starts_with(it.split('*').next().unwrap()))
        });
        assert_eq!(unanswered.count(), 0, "{what}: {seen:?}");
    }
    assert_eq!(composites, BTreeSet::new(), "composites without a case");
}
