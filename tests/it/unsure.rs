//! Writes of which nobody knows whether they were done, exports whose first byte takes long, and streams
//! that nothing compresses.

use std::{io::Write as _, time::Duration};

use dadl_mcp::{
    config::BackendSettings,
    executor::CallError,
    outcome::{AnswerPayload, CallOutcome},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(backend: r#"
  defaults: { errors: { retry_strategy: { max_retries: 0 } } }
  tools:
    create_vm: { method: POST, path: /vms, access: write, description: "Makes one.", params: { name: { type: string, in: body } } }
    delete_disk: { method: DELETE, path: /disks/1, access: dangerous, description: "Removes one." }
    find_vm: { method: POST, path: /vms/search, access: read, description: "Finds some.", params: { name: { type: string, in: body } } }
    get_vm: { method: GET, path: /vms/1, access: read, description: "One." }
    list_vms: { method: GET, path: /vms, access: read, description: "All." }
    export_vm: { method: GET, path: /vms/1.xva, access: read, description: "A file.", response: { binary: true } }
    watch: { method: GET, path: /events, access: read, description: "Events.", response: { streaming: true } }
"#);

fn bench(upstream: &Upstream, change: impl FnOnce(&mut BackendSettings)) -> Harness {
    Harness::new(TOOLS, &upstream.url(), Fixed(Ok("a-long-token".to_owned())), change)
}

/// What a tool gives; a backend that is silent is waited for for 20 ms.
async fn called(tool: &str, answer: Answer) -> (Result<CallOutcome, CallError>, usize) {
    let is_silent = matches!(answer, Answer::Hang(_));
    let upstream = Upstream::start(vec![answer]).await;
    let bench = bench(&upstream, |settings| {
        if is_silent {
            settings.timeouts.read = Duration::from_millis(20);
        }
        settings.max_response_bytes = 1000;
    });
    let arguments = if tool == "create_vm" { json!({ "name": "a" }) } else { json!({}) };
    let result = bench.call(tool, arguments).await;
    (result, upstream.requests().len())
}

#[tokio::test]
async fn a_write_that_may_have_been_done_is_not_to_be_repeated() {
    let gateway = Answer::full(504, &[], b"");
    let large = Answer::json(200, &format!("\"{}\"", "x".repeat(2000)));
    let broken = Answer::json(201, "{\"id\":");
    for (answer, what) in [
        (Answer::Hang(Vec::new()), "read_timeout of 0.02 s passed"),
        (Answer::Close(Vec::new()), "the connection broke"),
        (gateway, "HTTP 504"),
        (large, "larger than 1000 bytes"),
        (broken, "no valid JSON"),
    ] {
        let (result, requests) = called("create_vm", answer).await;
        let error = result.unwrap_err();
        assert!(matches!(error, CallError::Unsure(_)) && !error.is_transient(), "{error:?}");
        let text = error.for_model();
        let told = "it may have been done all the same: do not repeat it before you have looked \
                    (get_vm, list_vms)";
        assert!(text.contains(told) && text.contains(what), "{text}");
        for advice in ["trying again", "try again", "narrow the call"] {
            assert!(!text.contains(advice), "{text}");
        }
        assert_eq!(requests, 1, "{text}");
    }
    // Where nothing is called after the thing, what reads is said in general.
    let (result, _) = called("delete_disk", Answer::Hang(Vec::new())).await;
    let text = result.unwrap_err().for_model();
    assert!(text.contains("before you have looked (with a tool that reads)"), "{text}");
}

#[tokio::test]
async fn what_reads_and_what_was_never_sent_may_be_repeated() {
    for tool in ["find_vm", "list_vms"] {
        let (result, _) = called(tool, Answer::Hang(Vec::new())).await;
        let error = result.unwrap_err();
        assert!(
            error.is_transient() && error.for_model().contains("trying again may help"),
            "{error}"
        );
    }
    let (result, _) = called("create_vm", Answer::json(422, r#"{"error": "no"}"#)).await;
    assert!(matches!(result.unwrap_err(), CallError::Api(_)));
    // Nobody listens on the discard port of a test machine.
    let nobody = Harness::new(TOOLS, "http://127.0.0.1:9/", Fixed(Ok("t".repeat(12))), |_| {});
    let error = nobody.call("create_vm", json!({ "name": "a" })).await.unwrap_err();
    assert!(matches!(error, CallError::Send(_)), "{error:?}");
}

#[tokio::test]
async fn an_export_waits_for_its_first_byte_by_a_bound_of_its_own() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    for silent in [Answer::Hang(Vec::new()), Answer::Hang(head.to_vec())] {
        let upstream = Upstream::start(vec![silent]).await;
        let bench = bench(&upstream, |settings| {
            settings.timeouts.first_byte = Duration::from_millis(50);
        });
        let error = bench.call("export_vm", json!({})).await.unwrap_err().for_model();
        assert!(error.contains("first_byte_timeout of 0.05 s passed"), "{error}");
        assert_eq!(bench.files(), [""; 0]);
    }
    let begun = [&head[..], b"3\r\nabc\r\n"].concat();
    let upstream = Upstream::start(vec![Answer::Hang(begun)]).await;
    let bench = bench(&upstream, |settings| {
        settings.timeouts.stall = Duration::from_millis(50);
    });
    let error = bench.call("export_vm", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("no data for 0.05 s"), "{error}");
    assert_eq!(bench.files(), [""; 0]);
}

#[tokio::test]
async fn the_bounds_of_other_answers_do_not_end_an_export() {
    let upstream = Upstream::by_hand().await;
    let bench = Harness::new(TOOLS, &upstream.url(), Fixed(Ok("t".repeat(12))), |settings| {
        settings.timeouts.read = Duration::from_millis(1);
        settings.timeouts.call = Duration::from_millis(1);
    });
    let answer = async {
        let mut asked = upstream.asked().await;
        assert!(asked.says("accept-encoding: identity"));
        asked.send("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n").await;
        asked.send("Content-Length: 6\r\n\r\n").await;
        for piece in ["ab", "cd", "ef"] {
            asked.send(piece).await;
            tokio::task::yield_now().await;
        }
        asked
    };
    let (outcome, _asked) = tokio::join!(bench.call("export_vm", json!({})), answer);
    assert!(matches!(outcome.unwrap().payload, AnswerPayload::File(file) if file.size == 6));
}

#[tokio::test]
async fn streams_and_files_are_asked_for_as_they_are() {
    let lines = Answer::full(200, &[("Content-Type", "application/x-ndjson")], b"1\n2\n");
    for (tool, answer, wanted) in [
        ("watch", lines, "accept-encoding: identity"),
        ("export_vm", Answer::full(200, &[], b"abc"), "accept-encoding: identity"),
        ("list_vms", Answer::json(200, "[]"), "gzip"),
    ] {
        let upstream = Upstream::start(vec![answer]).await;
        bench(&upstream, |_| {}).call(tool, json!({})).await.unwrap();
        let request = upstream.requests()[0].to_lowercase();
        assert!(request.contains(wanted), "{tool}: {request}");
    }
}

#[tokio::test]
async fn a_stream_that_is_compressed_all_the_same_is_read() {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(b"{\"n\":1}\n{\"n\":2}\n").unwrap();
    let fields = [("Content-Type", "application/x-ndjson"), ("Content-Encoding", "gzip")];
    let packed = Answer::full(200, &fields, &packer.finish().unwrap());
    let upstream = Upstream::start(vec![packed]).await;
    let items = bench(&upstream, |_| {}).value("watch", json!({})).await;
    assert_eq!(items, json!([{ "n": 1 }, { "n": 2 }]));
}
