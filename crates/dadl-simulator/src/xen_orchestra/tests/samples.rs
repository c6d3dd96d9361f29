//! Answers that a real server gave (`xo-samples.md`), asked for again.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::client::Client;

#[track_caller]
fn same(answer: &super::client::Answer, status: u16, expected: Value) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
}

fn invalid(name: &str, message: &str, value: Value) -> Value {
    json!({"error": {name: {"message": message, "value": value}}, "data": {}})
}

#[tokio::test]
async fn queries_are_checked() {
    let client = Client::new().await;
    let message = "invalid boolean value";
    for (target, name, value) in [
        ("/users?ndjson", "ndjson", ""),
        ("/users?ndjson=1", "ndjson", "1"),
        ("/users?markdown", "markdown", ""),
    ] {
        same(&client.get(target).await, 422, invalid(name, message, json!(value)));
    }
    let server = client.find("servers", "label:Old").await;
    for value in ["", "1"] {
        let target = format!("/servers/{server}/actions/connect?sync={value}");
        same(&client.post(&target, "").await, 422, invalid("sync", message, json!(value)));
    }
    let task = client.find("tasks", "").await;
    let answer = client.get(&format!("/tasks/{task}?wait=result")).await;
    same(&answer, 422, invalid("wait", message, json!("result")));
    let answer = client.get("/users?limit=abc").await;
    same(&answer, 422, invalid("limit", "invalid float number", json!("abc")));
    same(
        &client.get("/users?ndjson=true&markdown=true").await,
        422,
        json!({
            "error": "Cannot use both ndjson and markdown output formats simultaneously",
            "data": {},
        }),
    );
    same(
        &client.get("/users?filter=((").await,
        400,
        json!({
            "error": "parse error: expected end of input at position 0",
            "data": {"stringToParse": "(("},
        }),
    );
    same(
        &client.get("/tasks?watch=true").await,
        400,
        json!({"error": "watch=true requires ndjson=true"}),
    );
    assert_eq!(client.get("/users?unknown=1").await.status, 200);
    assert_eq!(client.objects("/vms?limit=-1").await.len(), 44);
    assert_eq!(client.objects("/vms?limit=3").await.len(), 3);
}

#[tokio::test]
async fn bodies_are_checked() {
    let client = Client::new().await;
    same(
        &client.post("/users", "{}").await,
        422,
        json!({
            "error": {
                "body.password": {"message": "'password' is required"},
                "body.name": {"message": "'name' is required"},
            },
            "data": {},
        }),
    );
    let answer = client.post("/users", "[]").await;
    same(&answer, 422, invalid("body", "invalid object", json!([])));
    let answer = client.post("/users", "{bad").await;
    let message = "Expected property name or '}' in JSON at position 1";
    same(&answer, 500, json!({"error": message}));
    let message = "Unexpected token '\"', \"\"x\"\" is not valid JSON";
    same(&client.post("/users", "\"x\"").await, 500, json!({"error": message}));
    let message = "Unexpected token 'n', \"null\" is not valid JSON";
    same(&client.post("/users", "null").await, 500, json!({"error": message}));
    let message = "Value does not match any allowed schema";
    let body = r#"{"name": "a", "password": "b", "permission": "user"}"#;
    let answer = client.post("/users", body).await;
    same(&answer, 422, invalid("body.permission", message, json!("user")));
    let body = r#"{"name": "a", "password": "b", "zzz": 1}"#;
    let excess = "\"zzz\" is an excess property and therefore is not allowed";
    same(&client.post("/users", body).await, 422, invalid("body", excess, json!({"zzz": 1})));
    let answer = client.post("/vdis", r#"{"sr": "a", "name_label": "x", "size": 1}"#).await;
    let value = json!({"sr": "a", "name_label": "x", "size": 1});
    let issues = "Could not match the intersection against every type. Issues: \
        [{\"body.virtual_size\":{\"message\":\"'virtual_size' is required\"}},\
        {\"body.srId\":{\"message\":\"'srId' is required\"}}]";
    same(&answer, 422, invalid("body", issues, value));
    let body = json!({"action": "read", "resource": "vm", "roleId": "x"});
    let answer = client.post("/acl-privileges", &body.to_string()).await;
    same(&answer, 422, invalid("privilege", message, body));
    let answer = client.post("/events/x/subscriptions", r#"{"collection": "vms"}"#).await;
    same(&answer, 422, invalid("body.collection", message, json!("vms")));
    // Forms are accepted, other types are no body at all.
    let form = Bytes::from("name=form&password=a%3Ab");
    let media_type = "application/x-www-form-urlencoded";
    let answer = client.send(Method::POST, "/users", media_type, form).await;
    assert_eq!(answer.status, 201);
    let body = Bytes::from(r#"{"name": "a", "password": "b"}"#);
    let answer = client.send(Method::POST, "/users", "text/plain", body).await;
    assert_eq!(answer.status, 422);
}

#[tokio::test]
async fn missing_objects_and_routes() {
    let client = Client::new().await;
    let gone = |name: &str, id: &str| json!({"error": format!("no such {name} {id}"), "data": {"id": id, "type": name}});
    same(&client.get("/tasks/nope").await, 404, gone("task", "nope"));
    same(&client.get("/tasks/x?wait=result").await, 404, gone("task", "x"));
    same(&client.get("/users/me?x=y").await, 404, gone("user", "me"));
    same(&client.post("/vms/x/actions/migrate", "{}").await, 404, gone("VM", "x"));
    let target = "/pools/x/actions/create_bonded_network";
    same(&client.post(target, "{}").await, 404, gone("pool", "x"));
    let answer = client.post("/vbds", r#"{"VM": "a", "VDI": "b"}"#).await;
    same(&answer, 404, gone("VM", "a"));
    let answer = client.post("/vdis", r#"{"srId": "a", "virtual_size": 1}"#).await;
    same(&answer, 404, gone("SR", "a"));
    let body = r#"{"collection": "VM", "fields": "*"}"#;
    same(&client.post("/events/x/subscriptions", body).await, 404, gone("event", "x"));
    same(
        &client.post("/pools/x/actions/management_reconfigure", "{}").await,
        404,
        json!({"error": "no such network undefined", "data": {"type": "network"}}),
    );
    for (method, path) in [(Method::GET, "/rest/v0/nope"), (Method::PUT, "/rest/v0/users")] {
        let answer = client.send(method.clone(), path, "", Bytes::new()).await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        let line = format!("<pre>Cannot {method} {path}</pre>");
        assert!(answer.text().contains(&line), "{answer:?}");
    }
}

#[tokio::test]
async fn logins() {
    let mut client = Client::new().await;
    client.identify(&[]);
    assert_eq!(client.get("/ping").await.json()["result"], "pong");
    same(&client.get("/gui-routes").await, 200, json!({"xo5": "/v5", "xo6": "/v6"}));
    same(&client.get("/mcp/status").await, 200, json!({"enabled": true}));
    assert_eq!(client.get("/docs/swagger.json").await.json()["openapi"], "3.0.0");
    let answer = client.get("/users").await;
    same(&answer, 401, json!({"error": "invalid credentials"}));
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"xo\"");
    client.identify(&[("authorization", "Bearer demo-token")]);
    assert_eq!(client.get("/users").await.status, 401);
    client.identify(&[("authorization", "Bearer")]);
    let message = "Malformed Authorization header";
    same(&client.get("/users").await, 400, json!({"error": message}));
    // admin@admin.net:admin
    let right = "Basic YWRtaW5AYWRtaW4ubmV0OmFkbWlu";
    client.identify(&[("authorization", right), ("cookie", "authenticationToken=demo-token")]);
    let message = "Having multiple authentication methods is not supported, please choose one";
    same(&client.get("/users").await, 400, json!({"error": message}));
    client.identify(&[("authorization", right)]);
    assert_eq!(client.objects("/users").await.len(), 3);
    // admin@admin.net:wrong
    client.identify(&[("authorization", "Basic YWRtaW5AYWRtaW4ubmV0Ondyb25n")]);
    assert_eq!(client.get("/users").await.status, 401);
    client.identify(&[("authorization", right)]);
    let message = "too fast authentication tries";
    same(&client.get("/users").await, 500, json!({"error": message}));
    client.identify(&[("cookie", "authenticationToken=demo-token")]);
    let failed = client.objects("/tasks?fields=*&filter=authentication").await;
    assert_eq!(failed[0]["result"]["message"], "invalid credentials");
}

#[tokio::test]
async fn users_who_may_little() {
    let mut client = Client::new().await;
    let admin = client.find("users", "name:admin").await;
    client.identify(&[("cookie", "authenticationToken=demo-token-alice")]);
    assert_eq!(client.objects("/vms").await.len(), 44);
    assert_eq!(client.objects("/srs").await.len(), 0);
    same(
        &client.post("/users", r#"{"name": "a", "password": "b"}"#).await,
        403,
        json!({
            "error": "not enough privileges",
            "data": {"missingPrivileges": [{"action": "create", "resource": "user"}]},
        }),
    );
    same(
        &client.get(&format!("/users/{admin}/authentication_tokens")).await,
        403,
        json!({
            "error": "forbidden operation: get authentication tokens",
            "data": {
                "operation": "get authentication tokens",
                "reason": "can only see own authentication tokens",
            },
        }),
    );
}

#[tokio::test]
async fn redirects() {
    let client = Client::new().await;
    let admin = client.find("users", "name:admin").await;
    for (target, expected) in [
        ("/users/me", format!("/rest/v0/users/{admin}")),
        ("/users/me/groups?fields=*", format!("/rest/v0/users/{admin}/groups?fields=*")),
    ] {
        let answer = client.get(target).await;
        assert_eq!(answer.status, 307);
        assert_eq!(answer.header("location"), expected);
        assert_eq!(answer.text(), format!("Temporary Redirect. Redirecting to {expected}"));
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let answer = client.get("/rest/v0").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, "/rest/v0/docs"));
    let answer = client.get("/docs").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (301, "/rest/v0/docs/"));
}

#[tokio::test]
async fn forms_of_lists() {
    let client = Client::new().await;
    let admin = client.find("users", "name:admin").await;
    let href = format!("/rest/v0/users/{admin}");
    let only = "&filter=name:admin";
    assert_eq!(client.get(&format!("/users?{only}")).await.json(), json!([href]));
    assert_eq!(client.get(&format!("/users?fields={only}")).await.json(), json!([{"href": href}]));
    let expected = json!({
        "email": "admin@admin.net", "permission": "admin", "pw_hash": "***obfuscated***",
        "groups": [], "preferences": {}, "id": admin, "name": "admin@admin.net", "href": href,
    });
    let answer = client.get(&format!("/users?fields=*{only}")).await;
    assert_eq!(answer.text(), format!("{:#}", json!([expected])));
    let answer = client.get(&format!("/users?fields=*&ndjson=true{only}")).await;
    assert_eq!(answer.text(), format!("{expected}\n"));
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    let answer = client.get(&format!("/users?fields=email,permission&markdown=true{only}")).await;
    let table = "| email | permission |\n| --- | --- |\n| admin@admin.net | admin |";
    assert_eq!(answer.text(), table);
    assert_eq!(answer.header("content-type"), "text/markdown; charset=utf-8");
    let answer = client.get("/users?markdown=true&filter=name:nobody").await;
    assert_eq!(answer.text(), "No results.");
    // `fields` means nothing to a single object, and HEAD has the headers of GET.
    let path = format!("/users/{admin}");
    let answer = client.get(&format!("{path}?fields=id")).await;
    assert_eq!(answer.json()["email"], "admin@admin.net");
    let head = client.send(Method::HEAD, &path, "", Bytes::new()).await;
    assert_eq!(head.header("content-length"), answer.header("content-length"));
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn conflicts() {
    let client = Client::new().await;
    let group = client.post("/groups", r#"{"name": "g1"}"#).await.json()["id"].clone();
    same(
        &client.post("/groups", r#"{"name": "g1"}"#).await,
        409,
        json!({
            "error": "group already exists",
            "data": {"objectId": group, "objectType": "group"},
        }),
    );
    let server = r#"{"host": "127.0.0.1:1", "username": "root", "password": "x"}"#;
    let id = client.post("/servers", server).await.json()["id"].clone();
    same(
        &client.post("/servers", server).await,
        409,
        json!({"error": "server already exists", "data": {"objectType": "server"}}),
    );
    let target = format!("/servers/{}/actions/connect?sync=true", id.as_str().unwrap());
    let answer = client.post(&target, "").await;
    assert_eq!(answer.status, 500);
    let user = r#"{"name": "bob", "password": "x"}"#;
    let message = "the user bob already exists";
    same(&client.post("/users", user).await, 500, json!({"error": message}));
    let role = client.find("acl-roles", "name:web").await;
    let user = client.find("users", "name:bob").await;
    let target = format!("/acl-roles/{role}/users/{user}");
    assert_eq!(client.send(Method::PUT, &target, "", Bytes::new()).await.status, 204);
    let answer = client.send(Method::PUT, &target, "", Bytes::new()).await;
    assert_eq!(answer.json()["error"], "userRole already exists");
    assert_eq!(answer.status, 409);
}
