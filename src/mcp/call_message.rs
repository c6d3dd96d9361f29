//! A call of a tool, read in one pass.
//!
//! The protocol library reads each message into a tree, and takes it for one kind after the other until it fits.
//! Most messages are calls in one shape: nothing but `jsonrpc`, `id`, `method`, and in `params` nothing but `name`,
//! `arguments` and `_meta`. One in that shape is read as what it is; any other, and whatever is wrong, is left to
//! the library, which says the same of the first.

use std::{borrow::Cow, fmt};

use rmcp::{
    RoleServer,
    model::{
        CallToolRequest, CallToolRequestMethod, CallToolRequestParams, ClientRequest,
        ConstString as _, JsonObject, JsonRpcMessage, MetaObject, RequestId, RequestMetaObject,
    },
    service::RxJsonRpcMessage,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

/// Returns the call that a text is, when it is one and has the usual shape.
pub(super) fn read_call(text: &[u8]) -> Option<RxJsonRpcMessage<RoleServer>> {
    // A list of the same values is no message.
    if text.first() != Some(&b'{') {
        return None;
    }
    let CallMessage { jsonrpc, id, method, params } = serde_json::from_slice(text).ok()?;
    if jsonrpc != "2.0" || method != CallToolRequestMethod::VALUE {
        return None;
    }
    let CallParams { name, arguments, meta } = params;
    let mut call = CallToolRequestParams::new(name);
    call.arguments = arguments;
    let mut request = CallToolRequest::new(call);
    if let Some(meta) = meta {
        request.extensions.insert(RequestMetaObject(MetaObject(meta)));
    }
    Some(JsonRpcMessage::request(ClientRequest::CallToolRequest(request), id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallMessage<'text> {
    #[serde(borrow)]
    jsonrpc: Cow<'text, str>,
    id: RequestId,
    #[serde(borrow)]
    method: Cow<'text, str>,
    params: CallParams,
}

struct CallParams {
    name: String,
    arguments: Option<JsonObject>,
    meta: Option<JsonObject>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum ParamName {
    Name,
    Arguments,
    #[serde(rename = "_meta")]
    Meta,
}

/// By hand, because what is derived takes lists as well.
impl<'de> Deserialize<'de> for CallParams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CallParamsVisitor)
    }
}

struct CallParamsVisitor;

impl<'de> Visitor<'de> for CallParamsVisitor {
    type Value = CallParams;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the parameters of a call")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<CallParams, A::Error> {
        let (mut name, mut arguments, mut meta) = (None, None, None);
        while let Some(key) = members.next_key()? {
            let is_again = match key {
                ParamName::Name => name.replace(members.next_value()?).is_some(),
                ParamName::Arguments => arguments.replace(members.next_value()?).is_some(),
                ParamName::Meta => meta.replace(members.next_value()?).is_some(),
            };
            if is_again {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        let name = name.ok_or_else(|| A::Error::missing_field("name"))?;
        Ok(CallParams { name, arguments: arguments.flatten(), meta: meta.flatten() })
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::GetExtensions as _;

    use super::*;

    type Message = RxJsonRpcMessage<RoleServer>;

    /// What a message says: as it is written, with what stands beside it.
    fn said(
        message: Message,
    ) -> (serde_json::Value, Option<RequestMetaObject>, Option<RequestMetaObject>) {
        let written = serde_json::to_value(&message).unwrap();
        let JsonRpcMessage::Request(request) = message else { panic!("a request") };
        let beside = request.request.extensions().get().cloned();
        let ClientRequest::CallToolRequest(call) = request.request else { panic!("a call") };
        (written, beside, call.params.meta)
    }

    #[test]
    fn a_call_is_what_the_library_reads() {
        for (id, params) in [
            ("1", r#"{"name":"a"}"#),
            ("\"x\\u0041\"", r#"{"name":"a\u00e9","arguments":{}}"#),
            (
                "1.0",
                r#"{"arguments":{"a":[1,2.5,18446744073709551615,-1,1e400],"b":{"c":null}},"name":"a"}"#,
            ),
            (
                "-7",
                r#"{"name":"a","arguments":{"a":1.0,"b":1e2,"a":3,"c":123456789012345678901234567890}}"#,
            ),
            ("9223372036854775807", r#"{"name":"a","arguments":null,"_meta":null}"#),
            (
                "1",
                r#"{"name":"","_meta":{"progressToken":3,"x":{"y":[]}},"arguments":{"_meta":{"a":1}}}"#,
            ),
        ] {
            for text in [
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#),
                format!(
                    r#"{{"params":{params} , "method":"tools\/call","id":{id},"jsonrpc": "2.0"}}"#
                ),
            ] {
                let library = serde_json::from_str::<Message>(&text);
                match (read_call(text.as_bytes()), library) {
                    (Some(call), Ok(library)) => assert_eq!(said(call), said(library), "{text}"),
                    // A number beyond all numbers.
                    (None, Err(_)) => assert!(text.contains("1e400"), "{text}"),
                    (read, library) => panic!("{text}: {read:?}, {library:?}"),
                }
            }
        }
    }

    #[test]
    fn another_shape_is_left_to_the_library() {
        for text in [
            r#"["2.0",1,"tools/call",{"name":"a"}]"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["a"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","inputResponses":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}} x"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"a"}}"#,
            "{}",
            "",
        ] {
            assert!(read_call(text.as_bytes()).is_none(), "{text}");
        }
    }
}
