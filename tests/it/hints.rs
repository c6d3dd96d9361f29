//! What a caller can do about an error, told by what the error says.

use serde_json::{Value, json};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    mcp_support::{Client, failure, serve_tools},
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(
    top: r#"
requires: { features: [composites] }
_dadl_mcp:
  errors:
    hints:
      - { status: 403, when: $.data.missingPrivileges, hint: "ask for the right" }
      - { says: is blocked, hint: "leave it" }"#,
    backend: r#"
  defaults: { errors: { message_path: "$.error" } }
  tools:
    drop: { method: DELETE, path: /thing, access: write, description: "Drops." }
  composites:
    tidy:
      description: "Drops."
      access: write
      code: await api.drop({});
"#
);

async fn said(status: u16, body: Value) -> String {
    let upstream = Upstream::start(vec![Answer::json(status, &body.to_string())]).await;
    let bench = Harness::new(TOOLS, &upstream.url(), Fixed(Ok(String::new())), |_| {});
    bench.call("drop", json!({})).await.unwrap_err().for_model()
}

#[tokio::test]
async fn what_to_do_is_told_by_the_body() {
    let missing = json!({ "error": "no", "data": { "missingPrivileges": [{ "action": "read" }] } });
    assert!(said(403, missing.clone()).await.ends_with("; ask for the right"));
    let blocked = json!({ "error": "drop is Blocked: protected" });
    let error = said(403, blocked).await;
    assert!(error.ends_with("; leave it") && !error.contains("lacks a right"), "{error}");
    // Where none fits, the status tells.
    let error = said(403, json!({ "error": "no" })).await;
    assert!(error.ends_with("the account lacks a right that its administrator has to grant"));
    assert!(said(409, missing).await.ends_with("its state has to change first"));
}

#[tokio::test]
async fn every_door_tells_it() {
    let blocked = json!({ "error": "drop is blocked" }).to_string();
    let upstream = Upstream::start(vec![Answer::json(403, &blocked)]).await;
    let mut client = Client::legacy(serve_tools(TOOLS, &upstream.url(), |_| {}), json!({})).await;
    for tool in ["drop", "tidy"] {
        let answer = client.call(1, tool, json!({})).await;
        let text = failure(&answer);
        assert!(text.contains("drop is blocked") && text.contains("; leave it"), "{text}");
    }
}
