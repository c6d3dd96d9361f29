//! Says what is wrong with a request that does not have the shape of its method.
//!
//! The protocol library only finds that such a request is none that it knows.

use dadl_text::text::quoted_text;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta as _, JsonRpcMessage};
use serde_json::{Map, Value};

/// The method that opens a session.
pub(super) const INITIALIZE: &str = "initialize";
/// So much of a method is repeated.
const LONGEST_METHOD: usize = 100;

/// What a member of the parameters must be.
#[derive(Debug, Clone, Copy)]
struct ParamMember {
    name: &'static str,
    kind: MemberKind,
    /// What it is, behind "it must be".
    what: &'static str,
    is_required: bool,
}

#[derive(Debug, Clone, Copy)]
enum MemberKind {
    Text,
    TextOrNumber,
    /// An object with these members.
    Object(&'static [ParamMember]),
    Array,
}

impl MemberKind {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::TextOrNumber => value.is_string() || value.is_i64() || value.is_u64(),
            Self::Object(_) => value.is_object(),
            Self::Array => value.is_array(),
        }
    }
}

const fn required_member(name: &'static str, kind: MemberKind, what: &'static str) -> ParamMember {
    ParamMember { name, kind, what, is_required: true }
}

const fn optional_member(name: &'static str, kind: MemberKind, what: &'static str) -> ParamMember {
    ParamMember { name, kind, what, is_required: false }
}

const CLIENT: &[ParamMember] = &[
    required_member("name", MemberKind::Text, "the name of the client"),
    required_member("version", MemberKind::Text, "its version, as text"),
];
const INTRODUCTION: &[ParamMember] = &[
    required_member("protocolVersion", MemberKind::Text, "a revision such as \"2025-11-25\""),
    required_member("capabilities", MemberKind::Object(&[]), "an object, which may be empty"),
    required_member(
        "clientInfo",
        MemberKind::Object(CLIENT),
        "an object with `name` and `version`",
    ),
];
const NAMED: &[ParamMember] = &[
    required_member("name", MemberKind::Text, "the name of a prompt"),
    optional_member("arguments", MemberKind::Object(&[]), "an object"),
];
const OF_URI: &[ParamMember] = &[required_member("uri", MemberKind::Text, "the URI of a resource")];
const OF_TASK: &[ParamMember] = &[required_member("taskId", MemberKind::Text, "the id of a task")];
const ANSWERED: &[ParamMember] = &[
    required_member("taskId", MemberKind::Text, "the id of a task"),
    required_member("inputResponses", MemberKind::Object(&[]), "an object with answers"),
];
const OF_PAGE: &[ParamMember] = &[optional_member(
    "cursor",
    MemberKind::Text,
    "the text that came as `nextCursor`, or not there",
)];
const COMPLETION: &[ParamMember] = &[
    required_member(
        "ref",
        MemberKind::Object(&[required_member(
            "type",
            MemberKind::Text,
            "`ref/prompt` or `ref/resource`",
        )]),
        "an object such as {\"type\": \"ref/prompt\", \"name\": ..}",
    ),
    required_member(
        "argument",
        MemberKind::Object(&[
            required_member("name", MemberKind::Text, "the name of the argument"),
            required_member("value", MemberKind::Text, "what there is of its value, as text"),
        ]),
        "an object with `name` and `value`",
    ),
    optional_member("context", MemberKind::Object(&[]), "an object"),
];
const LISTENING: &[ParamMember] = &[required_member(
    "notifications",
    MemberKind::Object(&[optional_member(
        "resourceSubscriptions",
        MemberKind::Array,
        "an array of URIs",
    )]),
    "an object that says which notifications are wanted",
)];
const META: ParamMember = optional_member(
    "_meta",
    MemberKind::Object(&[optional_member(
        "progressToken",
        MemberKind::TextOrNumber,
        "text or a whole number",
    )]),
    "an object",
);

/// Returns the members of a method's parameters; `None` for one that there is not.
fn method_members(method: &str) -> Option<&'static [ParamMember]> {
    Some(match method {
        INITIALIZE => INTRODUCTION,
        "ping" | "server/discover" => &[],
        "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" => OF_PAGE,
        "prompts/get" => NAMED,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => OF_URI,
        "completion/complete" => COMPLETION,
        "tasks/get" | "tasks/cancel" => OF_TASK,
        "tasks/update" => ANSWERED,
        "subscriptions/listen" => LISTENING,
        _ => return None,
    })
}

/// Says what is wrong with the parameters of a request that does not have the shape of its method;
/// `None` when there is no such method.
pub(super) fn wrong(method: &str, params: Option<&Value>) -> Option<String> {
    if method == "tools/call" {
        return Some(wrong_call(params));
    }
    let members = method_members(method)?;
    let no_params = Map::new();
    let params = match params {
        None => &no_params,
        Some(Value::Object(params)) => params,
        Some(_) => return Some(format!("{method}: `params` must be an object")),
    };
    let mut faults = Vec::new();
    for member in members.iter().chain([&META]) {
        check_member(member, params, "", &mut faults);
    }
    if method == "completion/complete" && faults.is_empty() {
        faults.extend(wrong_reference(params.get("ref")));
    }
    Some(if faults.is_empty() {
        format!("the parameters of {method} do not have its shape")
    } else {
        format!("{method}: {}", faults.join("; "))
    })
}

/// Collects what is wrong with a member, whose name stands behind that of what it is in.
fn check_member(
    member: &ParamMember,
    of: &Map<String, Value>,
    within: &str,
    faults: &mut Vec<String>,
) {
    let ParamMember { name, kind, what, is_required } = *member;
    let path = format!("{within}{name}");
    match (of.get(name), kind) {
        (None | Some(Value::Null), _) if !is_required => {}
        (None, _) => faults.push(format!("`{path}` is missing: it must be {what}")),
        (Some(value), _) if !kind.holds(value) => {
            faults.push(format!("`{path}` must be {what}"));
        }
        (Some(Value::Object(value)), MemberKind::Object(members)) => {
            for member in members {
                check_member(member, value, &format!("{path}."), faults);
            }
        }
        (Some(_), _) => {}
    }
}

/// Says what is wrong with what a completion is for.
fn wrong_reference(reference: Option<&Value>) -> Option<String> {
    let of = |name: &str| reference.and_then(|it| it.get(name)).and_then(Value::as_str);
    match of("type") {
        Some("ref/prompt") if of("name").is_none() => {
            Some("`ref.name` must be the name of a prompt".to_owned())
        }
        Some("ref/resource") if of("uri").is_none() => {
            Some("`ref.uri` must be a URI template".to_owned())
        }
        Some("ref/prompt" | "ref/resource") => None,
        _ => Some("`ref.type` must be `ref/prompt` or `ref/resource`".to_owned()),
    }
}

fn wrong_call(params: Option<&Value>) -> String {
    let of = |name: &str| params.and_then(|params| params.get(name));
    if !of("name").is_some_and(Value::is_string) {
        "`name` must be the name of a tool".to_owned()
    } else if of("arguments").is_some_and(|arguments| !arguments.is_object()) {
        "`arguments` must be an object".to_owned()
    } else {
        let mut faults = Vec::new();
        if let Some(Value::Object(params)) = params {
            check_member(&META, params, "", &mut faults);
        }
        match faults.pop() {
            Some(fault) => fault,
            None => "the parameters of tools/call do not have its shape".to_owned(),
        }
    }
}

/// Says what is wrong with a text that is JSON and no request of the protocol, if it names a method.
pub(super) fn wrong_request(text: &Value) -> Option<String> {
    let method = text.get("method")?.as_str()?;
    // Another version of JSON-RPC has other shapes.
    (text.get("jsonrpc")?.as_str()? == "2.0").then(|| wrong(method, text.get("params"))).flatten()
}

/// Says that there is no such method.
pub(super) fn unknown_method(method: &str) -> String {
    format!("unknown method {}", quoted_text(method, LONGEST_METHOD))
}

/// Says what is wrong with a message that would open a session and cannot; `None` for any other.
pub(super) fn wrong_introduction(message: &ClientJsonRpcMessage) -> Option<String> {
    match message {
        JsonRpcMessage::Request(request) => match &request.request {
            // The revision without sessions has no such method.
            ClientRequest::CustomRequest(custom)
                if custom.method == INITIALIZE
                    && custom.get_meta().protocol_version().is_none() =>
            {
                wrong(INITIALIZE, custom.params.as_ref())
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(method: &str, params: &Value) -> String {
        wrong(method, Some(params)).unwrap()
    }

    #[test]
    fn an_introduction_is_told_what_is_wrong_with_it() {
        let missing = "`clientInfo` is missing: it must be an object with `name` and `version`";
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {} });
        assert_eq!(of(INITIALIZE, &params), format!("initialize: {missing}"));
        let all = wrong(INITIALIZE, None).unwrap();
        assert_eq!(
            all,
            "initialize: `protocolVersion` is missing: it must be a revision such as \
             \"2025-11-25\"; `capabilities` is missing: it must be an object, which may be empty; \
             `clientInfo` is missing: it must be an object with `name` and `version`"
        );
        let params = json!({ "protocolVersion": 1, "capabilities": [], "clientInfo": { "name": null },
            "_meta": { "progressToken": {} } });
        assert_eq!(
            of(INITIALIZE, &params),
            "initialize: `protocolVersion` must be a revision such as \"2025-11-25\"; \
             `capabilities` must be an object, which may be empty; `clientInfo.name` must be the \
             name of the client; `clientInfo.version` is missing: it must be its version, as text; \
             `_meta.progressToken` must be text or a whole number"
        );
        assert_eq!(of(INITIALIZE, &json!([1])), "initialize: `params` must be an object");
    }

    #[test]
    fn other_requests_are_too() {
        for (method, params, expected) in [
            ("tools/call", json!({}), "`name` must be the name of a tool"),
            (
                "tools/call",
                json!({ "name": "x", "arguments": [] }),
                "`arguments` must be an object",
            ),
            ("prompts/get", json!({}), "`name` is missing: it must be the name of a prompt"),
            (
                "prompts/get",
                json!({ "name": "x", "arguments": 1 }),
                "`arguments` must be an object",
            ),
            ("resources/read", json!({ "uri": 1 }), "`uri` must be the URI of a resource"),
            ("resources/subscribe", json!({}), "`uri` is missing"),
            ("resources/unsubscribe", json!({}), "`uri` is missing"),
            ("tools/list", json!({ "cursor": 1 }), "`cursor` must be the text"),
            ("resources/templates/list", json!({ "cursor": {} }), "`cursor` must be the text"),
            ("tasks/get", json!({ "taskId": 1 }), "`taskId` must be the id of a task"),
            ("tasks/update", json!({ "taskId": "a" }), "`inputResponses` is missing"),
            ("completion/complete", json!({}), "`argument` is missing"),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/x" }, "argument": { "name": "a", "value": "" } }),
                "`ref.type` must be",
            ),
            (
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt" }, "argument": { "name": "a", "value": "" } }),
                "`ref.name` must be",
            ),
            ("subscriptions/listen", json!({}), "`notifications` is missing"),
            ("ping", json!({ "_meta": 1 }), "`_meta` must be an object"),
        ] {
            let text = of(method, &params);
            assert!(text.contains(expected), "{method} {params}: {text}");
        }
        assert_eq!(wrong("no/such", None), None);
        assert_eq!(unknown_method("no/such"), "unknown method \"no/such\"");
        assert!(unknown_method(&"x".repeat(4000)).len() < 200);
    }

    #[test]
    fn a_request_without_the_shape_of_one_is_too() {
        let of = |text: Value| wrong_request(&text);
        let params = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": [] });
        assert_eq!(of(params).unwrap(), "initialize: `params` must be an object");
        let meta = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "_meta": 1 } });
        assert_eq!(of(meta).unwrap(), "ping: `_meta` must be an object");
        assert_eq!(of(json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" })), None);
        assert_eq!(
            of(json!({ "jsonrpc": "2.0", "id": 1, "method": "no/such", "params": [] })),
            None
        );
        assert_eq!(of(json!([])), None);
    }

    #[test]
    fn only_an_introduction_that_is_none_is_wrong() {
        let read = |message: Value| serde_json::from_value(message).unwrap();
        let of = |params: Value| {
            wrong_introduction(&read(
                json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }),
            ))
        };
        let right = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "n", "version": "1" } });
        assert_eq!(of(right), None);
        assert!(of(json!({})).is_some());
        let later = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });
        assert_eq!(of(later), None);
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        assert_eq!(wrong_introduction(&read(ping)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the library does not take as an introduction, something is said about it.
        #[test]
        fn nothing_is_left_unsaid(kinds in proptest::collection::vec(0_usize..5, 5)) {
            let value = |kind: usize, right: Value| match kind {
                0 => Some(right),
                1 => None,
                2 => Some(json!(1)),
                3 => Some(json!([])),
                _ => Some(Value::Null),
            };
            let object = |members: [(&str, Option<Value>); 3]| {
                let members = members.into_iter().filter_map(|(name, it)| Some((name.to_owned(), it?)));
                Value::Object(members.collect())
            };
            let client = object([
                ("name", value(kinds[0], json!("n"))),
                ("version", value(kinds[1], json!("1"))),
                ("x", None),
            ]);
            let params = object([
                ("clientInfo", value(kinds[2], client)),
                ("capabilities", value(kinds[3], json!({}))),
                ("protocolVersion", value(kinds[4], json!("2025-11-25"))),
            ]);
            let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
            let message: ClientJsonRpcMessage = serde_json::from_value(message).unwrap();
            let is_right = kinds.iter().all(|kind| *kind == 0);
            match wrong_introduction(&message) {
                None => prop_assert!(is_right, "{params}"),
                Some(text) => prop_assert!(!text.contains("do not have"), "{params}: {text}"),
            }
        }
    }
}
