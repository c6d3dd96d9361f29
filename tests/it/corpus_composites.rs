//! The composites of our descriptors and of those by other authors, against a backend that answers what their APIs
//! would: each runs to its end, and sends what its code says.
//!
//! The answers are made up after what the code reads. `DADL_CORPUS` names the folder; see
//! `corpus.rs`.

use std::collections::{BTreeMap, BTreeSet};

use dadl_descriptor::{load, source::SourceText};
use serde_json::{Value, json};

use crate::{
    corpus::{corpus, own},
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream, request_line},
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

/// The cases that have been written down so far.
#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn add(&mut self, case: Case, gives: &[(&'static str, Value)], sends: &[&'static str]) {
        self.0.push(Case { gives: gives.to_vec(), sends: sends.to_vec(), ..case });
    }
}

fn case(
    file: &'static str,
    composite: &'static str,
    arguments: Value,
    answers: &[(&'static str, Value)],
) -> Case {
    let answers = answers.to_vec();
    Case { file, composite, arguments, answers, gives: Vec::new(), sends: Vec::new() }
}

/// A search answer of Graylog with these rows.
fn graylog(rows: Value) -> Value {
    let messages =
        json!([{ "message": { "timestamp": "t", "source": "s", "level": 3, "message": "m" } }]);
    let result = json!({ "rows": rows, "messages": messages, "total_results": 1 });
    json!({ "results": { "q": { "search_types": { "st": result } } } })
}

fn algolia(cases: &mut Cases) {
    let hits = json!({ "hits": [{ "objectID": "7", "title": "T", "author": "a", "points": 5, "comment_text": "c" }], "page": 0, "nbPages": 1 });
    let search = ("GET /search", hits.clone());
    let by_date = ("GET /search_by_date", hits);
    let file = "algolia-hn-search.dadl";
    let found = [("/0/id", json!("7"))];
    cases.add(
        case(
            file,
            "search_stories",
            json!({ "query": "x y", "min_points": 3 }),
            std::slice::from_ref(&search),
        ),
        &found,
        &["points%3E3", "query=x%20y"],
    );
    cases.add(
        case(
            file,
            "search_recent_comments",
            json!({ "query": "x" }),
            std::slice::from_ref(&by_date),
        ),
        &[("/0/text", json!("c"))],
        &["tags=comment"],
    );
    cases.add(
        case(file, "get_front_page", json!({}), std::slice::from_ref(&search)),
        &found,
        &["hitsPerPage=30"],
    );
    cases.add(
        case(file, "search_distilled", json!({ "query": "x" }), &[search]),
        &found,
        &["tags=story"],
    );
    cases.add(
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
    cases.add(
        case(
            file,
            "get_user_activity",
            json!({ "username": "u" }),
            &[("GET /users/u", user), by_date],
        ),
        &[("/user/karma", json!(9)), ("/recent_stories/0/id", json!("7"))],
        &["author_u"],
    );
}

fn dokuwiki(cases: &mut Cases) {
    let file = "dokuwiki.dadl";
    let page =
        ("POST /core.getPage", json!({ "result": "== A ==\none two one\n== B ==\n", "error": {} }));
    let save = ("POST /core.savePage", json!({ "result": true }));
    let replace = json!({ "page": "p", "search": "one", "replace": "three" });
    cases.add(
        case(file, "page_search_and_replace", replace, &[page.clone(), save.clone()]),
        &[("/replacements", json!(2))],
        &["three two three"],
    );
    let append = json!({ "page": "p", "after_heading": "A", "content": "new" });
    cases.add(
        case(file, "page_append_section", append, &[page.clone(), save.clone()]),
        &[("/inserted_at_line", json!(2))],
        &["new"],
    );
    let chunk = json!({ "session_id": "s", "page": "p", "chunk_index": 0, "text": "t" });
    cases.add(
        case(file, "chunked_save_page", chunk, std::slice::from_ref(&save)),
        &[("/buffered", json!(true))],
        &["_chunked_uploads:s"],
    );
    let last =
        json!({ "session_id": "s", "page": "p", "chunk_index": 1, "text": "t", "finalize": true });
    cases.add(
        case(
            file,
            "chunked_save_page",
            last,
            &[page, save, ("POST /core.appendPage", json!({ "result": true }))],
        ),
        &[("/chunks_assembled", json!(2))],
        &[],
    );
}

fn graylog_searches(cases: &mut Cases) {
    let file = "graylog.dadl";
    let range = json!({ "type": "relative", "range": 300 });
    let leaf = graylog(
        json!([{ "source": "leaf", "key": ["k", "g"], "values": [{ "key": ["a", "c"], "value": 4, "source": "row-leaf" }] }]),
    );
    let sync = [("POST /views/search/sync", leaf)];
    cases.add(
        case(
            file,
            "aggregate_by_field",
            json!({ "time_range": range, "field": "f", "streams": ["s1"] }),
            &sync,
        ),
        &[("/0/count", json!(4))],
        &[r#""id":"s1""#],
    );
    cases.add(
        case(file, "aggregate_pivot", json!({ "time_range": range, "row_fields": ["f"] }), &sync),
        &[("/0/count", json!(4))],
        &[r#""field":"f""#],
    );
    cases.add(
        case(
            file,
            "histogram_grouped",
            json!({ "time_range": range, "interval": "PT5M", "group_by": "g" }),
            &sync,
        ),
        &[("/0/group_key", json!("g"))],
        &[r#""timeunit":"5m""#],
    );
    cases.add(
        case(file, "field_stats", json!({ "time_range": range, "field": "f" }), &sync),
        &[("/c", json!(4))],
        &[r#""card""#],
    );
    cases.add(
        case(file, "search_messages_compact", json!({ "time_range": range }), &sync),
        &[("/messages/0/msg", json!("m"))],
        &[r#""limit":200"#],
    );
    cases.add(
        case(file, "incident_window", json!({ "timestamp": "2026-01-02T03:04:05Z" }), &sync),
        &[("/window/from", json!("2026-01-02T03:01:05.000Z")), ("/top_errors/0/count", json!(4))],
        &["2026-01-02T02:01:05.000Z"],
    );
}

fn hackernews(cases: &mut Cases) {
    let file = "hackernews.dadl";
    let item =
        ("GET /item/*", json!({ "id": 8863, "type": "story", "title": "T", "kids": [1, 2] }));
    cases.add(
        case(
            file,
            "get_top_stories_full",
            json!({ "limit": 2 }),
            &[("GET /topstories.json", json!([1, 2, 3])), item.clone()],
        ),
        &[("/1/id", json!(8863))],
        &[],
    );
    cases.add(
        case(file, "get_story_with_comments", json!({ "id": 8863 }), std::slice::from_ref(&item)),
        &[("/comments/1/title", json!("T"))],
        &["GET /item/2.json"],
    );
    cases.add(
        case(
            file,
            "get_user_stories",
            json!({ "username": "u" }),
            &[("GET /user/u.json", json!({ "submitted": [5, 6] })), item],
        ),
        &[("/0/title", json!("T"))],
        &["GET /item/6.json"],
    );
}

fn mempool(cases: &mut Cases) {
    let file = "mempool.dadl";
    let block = ("GET /v1/block/*", json!({ "id": "h", "height": 1 }));
    cases.add(
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
    cases.add(
        case(file, "get_address_full_history", json!({ "address": "a" }), &address),
        &[("/recent_txs/0/txid", json!("t"))],
        &[],
    );
    cases.add(
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
    cases.add(
        case(file, "get_fee_dashboard", json!({}), &fees),
        &[("/mempool/count", json!(2))],
        &[],
    );
    cases.add(
        case(
            file,
            "get_block_with_first_txs",
            json!({ "hash": "h", "tx_limit": 30 }),
            &[block, ("GET /block/h/txs/*", json!([{ "txid": "t" }]))],
        ),
        &[("/txs/1/txid", json!("t"))],
        &["/txs/25"],
    );
}

fn opnsense(cases: &mut Cases) {
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
    cases.add(
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
    cases.add(
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
    cases.add(
        case(file, "update_hasync_settings", json!({ "enable_syncitems": ["b"] }), &hasync),
        &[("/syncitems", json!(["a", "b"]))],
        &["syncitems%5D=a%2Cb"],
    );
    let radvd = [
        ("GET /radvd/settings/get_entry/u", json!({ "entries": { "mode": select } })),
        ("POST /radvd/settings/set_entry/u", saved),
    ];
    cases.add(
        case(file, "update_radvd", json!({ "uuid": "u", "changes": { "x": "1" } }), &radvd),
        &[("/ok", json!(true))],
        &["mode%5D=inet"],
    );
}

fn shelly(cases: &mut Cases) {
    let file = "shelly-cloud.dadl";
    let devices = json!({ "isok": true, "data": { "devices": { "d1": { "name": "Lamp", "type": "t", "category": "relay", "room_id": 1, "cloud_online": true, "gen": 1 } } } });
    let status = json!({ "isok": true, "data": { "devices_status": { "d1": { "_dev_info": { "id": "d1", "code": "c", "gen": "G1", "online": true }, "relays": [{ "ison": true }] } } } });
    let answers = [("POST /interface/device/list", devices), ("POST /device/all_status", status)];
    cases.add(
        case(file, "get_named_status", json!({ "only_on": true }), &answers),
        &[("/0/name", json!("Lamp"))],
        &[],
    );
}

fn vikunja(cases: &mut Cases) {
    let file = "vikunja.dadl";
    let task = json!({ "id": 5, "title": "old", "done": false, "project_id": 2, "position": 1.5, "priority": 1 });
    cases.add(
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
    cases.add(
        case(file, "create_task", json!({ "project_id": 2, "title": "new" }), &create),
        &[("/id", json!(5))],
        &[r#""title":"new""#, r#""project_view_id":9"#],
    );
    let view = [("GET /projects/2/views", views), ("POST /projects/2/views/9", json!({ "id": 9 }))];
    cases.add(
        case(
            file,
            "set_default_bucket",
            json!({ "project_id": 2, "view_id": 9, "default_bucket_id": 4 }),
            &view,
        ),
        &[("/id", json!(9))],
        &[r#""default_bucket_id":4"#],
    );
}

fn vikunja_boards(cases: &mut Cases) {
    let file = "vikunja.dadl";
    let buckets = [
        (
            "GET /projects/2/views/9/buckets",
            json!([{ "id": 3, "title": "B", "limit": 0, "position": 100 }]),
        ),
        ("POST /projects/2/views/9/buckets/3", json!({ "id": 3 })),
    ];
    cases.add(
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
    cases.add(
        case(file, "update_project", json!({ "id": 2, "is_favorite": true }), &project),
        &[("/id", json!(2))],
        &[r#""title":"P""#],
    );
}

fn zulip(cases: &mut Cases) {
    let file = "zulip.dadl";
    let message = json!({ "id": 1, "type": "stream", "display_recipient": "general", "subject": "t", "sender_full_name": "S", "sender_email": "s@example.com" });
    let messages = ("GET /api/v1/messages", json!({ "messages": [message], "result": "success" }));
    let send = [
        ("GET /api/v1/get_stream_id", json!({ "stream_id": 4 })),
        ("POST /api/v1/messages", json!({ "id": 2 })),
    ];
    cases.add(
        case(
            file,
            "send_channel_message",
            json!({ "channel_name": "general", "topic": "t", "content": "c" }),
            &send,
        ),
        &[("/id", json!(2))],
        &["to=4"],
    );
    cases.add(
        case(
            file,
            "search_messages",
            json!({ "query": "q", "sender": "s" }),
            std::slice::from_ref(&messages),
        ),
        &[],
        &["%22sender%22"],
    );
    cases.add(
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
    cases.add(
        case(file, "mark_all_in_channel_read", json!({ "stream_id": 4 }), &mark),
        &[("/result", json!("success"))],
        &["general"],
    );
    let users = [(
        "GET /api/v1/users",
        json!({ "members": [{ "user_id": 1, "full_name": "Ada", "is_active": true, "is_bot": false }] }),
    )];
    cases.add(
        case(file, "search_users", json!({ "query": "ad" }), &users),
        &[("/0/user_id", json!(1))],
        &[],
    );
    cases.add(
        case(file, "daily_summary", json!({}), &[messages]),
        &[("/channels/0/channel", json!("general"))],
        &["num_after=500"],
    );
}

fn library(cases: &mut Cases) {
    let file = "library.dadl";
    let late = [
        (
            "GET /loans",
            json!({ "rows": [{ "id": 1, "book": "b1", "late": true }, { "id": 2, "book": "b2" }] }),
        ),
        ("GET /books/b1", json!({ "id": "b1", "reader": "ada" })),
    ];
    cases.add(
        case(file, "find_late_readers", json!({}), &late),
        &[("/readers", json!(["ada"])), ("/counts/ada", json!(1))],
        &["limit=30"],
    );
    let lend = [
        ("GET /books", json!({ "books": [{ "id": "b7", "title": "T", "authors": [] }] })),
        ("POST /loans", json!({ "id": 9 })),
    ];
    cases.add(
        case(file, "lend_by_title", json!({ "title": "T", "reader": "ada" }), &lend),
        &[("/id", json!(9))],
        &["book=b7", "notes%5B%5D=by%20title", "sort=-title"],
    );
}

/// Runs these cases; each composite of the descriptors must have one.
async fn run(texts: BTreeMap<String, Vec<u8>>, cases: Cases) {
    let mut composites = BTreeSet::new();
    for (name, text) in &texts {
        let loaded = load(&SourceText::from_bytes(&**name, text.clone()).unwrap());
        let names = loaded.descriptor.expect(name).composites.into_iter().map(|it| it.name);
        composites.extend(names.map(|composite| (name.clone(), composite)));
    }
    for case in cases.0 {
        let what = format!("{} {}", case.file, case.composite);
        let text = texts.get(case.file).expect(case.file);
        let text = std::str::from_utf8(text).unwrap();
        composites.remove(&(case.file.to_owned(), case.composite.to_owned()));
        let answers = case.answers.iter();
        let answers: Vec<(&str, Answer)> = answers
            .map(|(pattern, value)| (*pattern, Answer::json(200, &value.to_string())))
            .collect();
        let upstream = Upstream::routes(&answers).await;
        let url = format!("http://{}", upstream.address);
        let bench = Harness::new(text, &url, Fixed(Ok("a-secret-of-the-test".to_owned())), |_| {});
        let entry = bench.gate.catalog().entries().iter();
        let entry = entry.clone().find(|entry| entry.declared_name() == case.composite).unwrap();
        let value = bench.value(&entry.name, case.arguments).await;
        for (pointer, expected) in &case.gives {
            assert_eq!(value.pointer(pointer), Some(expected), "{what}: {value}");
        }
        let seen = upstream.requests();
        let is_for = |request: &String, pattern: &str| {
            request_line(request).starts_with(pattern.split('*').next().unwrap())
        };
        for (pattern, _) in &case.answers {
            let sent = seen.iter().any(|request| is_for(request, pattern));
            assert!(sent, "{what} did not send {pattern}: {seen:?}");
        }
        for part in &case.sends {
            let sent = seen.iter().any(|request| request.contains(part));
            assert!(sent, "{what} did not send {part}: {seen:?}");
        }
        let is_answered = |request: &String| case.answers.iter().any(|(it, _)| is_for(request, it));
        assert!(seen.iter().all(is_answered), "{what}: {seen:?}");
    }
    assert_eq!(composites, BTreeSet::new(), "composites without a case");
}

/// Those of `dadl` have tests of their own.
#[tokio::test]
async fn composites_of_our_descriptors_run() {
    let mut texts = own();
    texts.retain(|name, _| name == "library.dadl");
    let mut cases = Cases::default();
    library(&mut cases);
    run(texts, cases).await;
}

#[tokio::test]
#[ignore = "needs DADL_CORPUS"]
async fn composites_of_real_descriptors_run() {
    let mut cases = Cases::default();
    for add in [
        algolia,
        dokuwiki,
        graylog_searches,
        hackernews,
        mempool,
        opnsense,
        shelly,
        vikunja,
        vikunja_boards,
        zulip,
    ] {
        add(&mut cases);
    }
    run(corpus(), cases).await;
}
