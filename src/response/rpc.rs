//! JSON-RPC 2.0 answers (section 5 of its specification), and the lists that some servers send in
//! their place: a first line with the response object, then a JSON value a line.

use bytes::Bytes;
use dadl_text::{
    growth,
    json::{cost, scan},
    text::cut_text,
};
use serde_json::Value;

use super::{
    decode,
    decode_error::{DecodeError, excerpt, skip_blank},
};
use crate::outcome::{AnswerPayload, JsonText};

/// The line before a list is not longer; what is, begins another answer.
pub const LONGEST_HEAD: usize = 4 * 1024;

/// The member of a result that says what follows it, and the one value that is known.
const MARK: (&str, &str) = ("$responseType", "\"ndjson\"");

/// A response object.
#[derive(Debug, Clone, PartialEq)]
pub enum RpcReply {
    /// `error`
    Error(RpcError),
    /// `result`
    Result(JsonText),
}

/// An error object (section 5.1).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RpcError {
    /// Says what kind of error it is; `None` when the server gave no whole number.
    pub code: Option<i64>,
    /// One sentence, or whatever the server put there.
    pub message: String,
    /// Anything; may hold what nobody should see.
    pub data: Option<Value>,
}

/// What the first line of an answer is.
#[derive(Debug, Clone, PartialEq)]
pub enum RpcHead {
    /// It announces a list: its items follow, one a line.
    List,
    /// It is part of a response object.
    Other,
}

/// Reads the first line of an answer to the request `id`.
///
/// # Errors
///
/// It announces a list that is the answer to another request.
pub fn read_head(line: &[u8], id: u64) -> Result<RpcHead, DecodeError> {
    let Ok(line) = std::str::from_utf8(line) else { return Ok(RpcHead::Other) };
    let Ok(text) = JsonText::parse(line.trim()) else { return Ok(RpcHead::Other) };
    let Some(RpcMembers { id: given, result: Some(result), .. }) = RpcMembers::of(&text) else {
        return Ok(RpcHead::Other);
    };
    let result = JsonText::trusted(result.to_owned());
    if result.member(&[MARK.0]).is_none_or(|mark| mark.as_str() != MARK.1) {
        return Ok(RpcHead::Other);
    }
    check_id(given, id).map_err(|error| odd_answer(error.to_string(), line.as_bytes()))?;
    Ok(RpcHead::List)
}

/// Reads a whole answer to the request `id`.
///
/// # Errors
///
/// It is no response object, or that of another request.
pub fn read_reply(whole: Bytes, id: u64) -> Result<RpcReply, DecodeError> {
    // The body becomes the text.
    let start = skip_blank(&whole).to_vec();
    let body = start.as_slice();
    let AnswerPayload::Json(text) = decode::decode(whole, Some("application/json"), 0)? else {
        return Err(odd_answer("it is empty".to_owned(), body));
    };
    let none = "it is no JSON object with `result` or `error`";
    let members = RpcMembers::of(&text).ok_or_else(|| odd_answer(none.to_owned(), body))?;
    if let Some(error) = members.error {
        // A server that cannot read a request does not know its id.
        if members.id.is_some_and(|id| id != "null") {
            check_id(members.id, id).map_err(|error| odd_answer(error.to_string(), body))?;
        }
        return Ok(RpcReply::Error(RpcError::of(error)));
    }
    let result = members.result.ok_or_else(|| odd_answer(none.to_owned(), body))?;
    check_id(members.id, id).map_err(|error| odd_answer(error.to_string(), body))?;
    // It is a part of the text, and what is around it goes.
    let start = result.as_ptr().addr().saturating_sub(text.as_str().as_ptr().addr());
    let end = start + result.len();
    let mut text = text.into_string();
    let before = text.len();
    text.truncate(end);
    text.drain(..start);
    Ok(RpcReply::Result(JsonText::trusted(growth::shortened(text, before))))
}

/// Says why a body is no answer.
pub(crate) fn odd_answer(reason: String, body: &[u8]) -> DecodeError {
    DecodeError { expected: "JSON-RPC 2.0 answer", reason, excerpt: excerpt(body) }
}

/// Why an answer is not that of a request. The server's fault.
#[derive(Debug, thiserror::Error)]
enum IdError<'answer> {
    /// It belongs to none.
    #[error("it has no id, and that of the request is {id}")]
    Absent { id: u64 },
    /// It belongs to another.
    #[error("its id is {}, and that of the request is {id}", cut_text(.given, 40))]
    Other { given: &'answer str, id: u64 },
}

fn check_id(given: Option<&str>, id: u64) -> Result<(), IdError<'_>> {
    match given {
        Some(given) if given == id.to_string() => Ok(()),
        Some(given) => Err(IdError::Other { given, id }),
        None => Err(IdError::Absent { id }),
    }
}

/// The members of a response object.
struct RpcMembers<'text> {
    id: Option<&'text str>,
    result: Option<&'text str>,
    /// Absent when it is null, as version 1.0 has it.
    error: Option<&'text str>,
}

impl<'text> RpcMembers<'text> {
    fn of(text: &'text JsonText) -> Option<Self> {
        let mut members = RpcMembers { id: None, result: None, error: None };
        for (name, value) in text.members()? {
            match scan::unquote(name).unwrap_or_default().as_ref() {
                "id" => members.id = Some(value),
                "result" => members.result = Some(value),
                "error" => members.error = Some(value).filter(|value| *value != "null"),
                _ => {}
            }
        }
        Some(members)
    }
}

impl RpcError {
    fn of(text: &str) -> Self {
        if text.starts_with('"') {
            let message = scan::unquote(text).unwrap_or_default().into_owned();
            return Self { message, ..Self::default() };
        }
        let mut error = Self::default();
        // No object has nothing that a person could use.
        for (name, value) in scan::object_members(text).into_iter().flatten() {
            match scan::unquote(name).unwrap_or_default().as_ref() {
                "code" => error.code = value.parse().ok(),
                "message" => error.message = scan::unquote(value).unwrap_or_default().into_owned(),
                // Nor has what is too large or too deep to be shown.
                "data" => error.data = cost::small(value),
                _ => {}
            }
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn error(body: &str) -> String {
        read_reply(Bytes::copy_from_slice(body.as_bytes()), 7).unwrap_err().to_string()
    }

    fn result(body: &str) -> String {
        match read_reply(Bytes::copy_from_slice(body.as_bytes()), 7).unwrap() {
            RpcReply::Result(text) => text.into_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn results_keep_every_digit() {
        let body = r#" {"id": 7, "jsonrpc": "2.0", "result": [1.50, 18446744073709551616]} "#;
        assert_eq!(result(body), "[1.50,18446744073709551616]");
        assert_eq!(result(r#"{"jsonrpc":"2.0","result":null,"error":null,"id":7}"#), "null");
    }

    #[test]
    fn an_answer_to_another_request_is_none() {
        assert!(
            error(r#"{"id":8,"result":1}"#).contains("its id is 8, and that of the request is 7")
        );
        assert!(error(r#"{"id":"7","result":1}"#).contains(r#"its id is "7""#));
        assert!(error(r#"{"result":1}"#).contains("it has no id"));
        assert!(error(r#"{"id":8,"error":{"code":1,"message":"x"}}"#).contains("its id is 8"));
        let list = br#"{"id":8,"result":{"$responseType":"ndjson"}}"#;
        assert!(read_head(list, 7).unwrap_err().to_string().contains("its id is 8"));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        for body in ["", "[]", "1", "{}", r#"{"id":7}"#, r#"[{"id":7,"result":1}]"#] {
            assert!(error(body).contains("JSON-RPC 2.0 answer"), "{body}");
        }
        assert!(error("<html>").contains("no valid JSON"));
    }

    #[test]
    fn errors_are_read_with_and_without_an_id() {
        for id in ["7", "null"] {
            let body = format!(r#"{{"id":{id},"error":{{"code":-1,"message":"m","data":[2]}}}}"#);
            let expected =
                RpcError { code: Some(-1), message: "m".to_owned(), data: Some(json!([2])) };
            assert_eq!(
                read_reply(Bytes::copy_from_slice(body.as_bytes()), 7).unwrap(),
                RpcReply::Error(expected)
            );
        }
        for (body, message) in [(r#"{"error":"gone"}"#, "gone"), (r#"{"error":{}}"#, "")] {
            let expected = RpcError { message: message.to_owned(), ..RpcError::default() };
            assert_eq!(
                read_reply(Bytes::copy_from_slice(body.as_bytes()), 7).unwrap(),
                RpcReply::Error(expected)
            );
        }
    }

    #[test]
    fn only_the_mark_announces_a_list() {
        let list = r#"  {"id":7,"jsonrpc":"2.0","result":{"$responseType":"ndjson"}}"#;
        assert_eq!(read_head(list.as_bytes(), 7), Ok(RpcHead::List));
        for other in [r#"{"id":7,"result":{"a":1}}"#, r#"{"id":7,"#, "[1]", "1", "\u{feff}", ""] {
            assert_eq!(read_head(other.as_bytes(), 7), Ok(RpcHead::Other), "{other}");
        }
        let other = list.replace("ndjson", "xml");
        assert_eq!(read_head(other.as_bytes(), 7), Ok(RpcHead::Other));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_head(&body, 1);
            let _ = read_reply(body.into(), 1);
        }

        #[test]
        fn any_response_is_read_or_refused(id in any::<u64>(), members in "[{}a-z0-9:,\"$\\[\\]]{0,60}") {
            let body = format!(r#"{{"id":{id},"jsonrpc":"2.0",{members}}}"#);
            let _ = read_head(body.as_bytes(), id);
            if let Ok(RpcReply::Result(text)) = read_reply(Bytes::copy_from_slice(body.as_bytes()), id) {
                prop_assert!(JsonText::parse(text.as_str()).is_ok());
            }
        }
    }
}
