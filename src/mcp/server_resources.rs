//! Resources of other MCP servers: listed as those say, read by them, and handed on with the URIs that hosts
//! know.
//!
//! What a server answers is a stranger's content: it came without our secrets, within the bounds of a
//! message. It is looked at where something can be hidden in it, and nothing else of it is changed; what it
//! says besides (`_meta`, icons) is left out.

use dadl_text::text::{cut_text, one_line};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        Annotations, CacheScope, MetaObject, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate,
    },
    service::RequestContext,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    McpServer, file_resources,
    notes::{META_NOTE, ResultNotes},
    progress::{self, ProgressReporter},
    request_owner::client_key,
    result,
    shutdown::StopReason,
};
use crate::{
    catalog::{BackendId, ContentWords, OfferedContents},
    executor::{CallContext, CallError},
    mcp_client::ServerFault,
};

/// So many resources of all servers are listed.
const MOST_LISTED: usize = 5000;

/// A result has no more contents.
const MOST_CONTENTS: usize = 1000;

/// A longer error of a server is cut, in characters.
const LONGEST_ERROR: usize = 1000;

/// A longer media type is cut, in characters.
const LONGEST_TYPE: usize = 200;

/// The code of JSON-RPC for a resource that is not there.
const RESOURCE_NOT_FOUND: i64 = -32002;

/// The code for parameters that cannot be used.
const INVALID_PARAMS: i64 = -32602;

/// What a server says that a resource is.
#[derive(Deserialize)]
struct ReadResult {
    contents: Vec<ReadContents>,
}

/// A part of a resource.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadContents {
    #[serde(default)]
    pub(super) uri: String,
    #[serde(default)]
    pub(super) mime_type: Option<String>,
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) blob: Option<String>,
}

/// Lists what servers listed.
pub(super) fn listed_resources(contents: &OfferedContents) -> impl Iterator<Item = Resource> {
    contents.resources().take(MOST_LISTED).map(|(uri, offered)| {
        let ContentWords { name, title, description, mime_type, .. } = &offered.item.words;
        let mut resource = Resource::new(uri, name.clone());
        resource.title.clone_from(title);
        resource.description.clone_from(description);
        resource.mime_type.clone_from(mime_type);
        resource.size = offered.item.size;
        resource.annotations = annotations(&offered.item.words);
        resource
    })
}

/// Lists how URIs are made of what servers did not list.
pub(super) fn listed_templates(
    contents: &OfferedContents,
) -> impl Iterator<Item = ResourceTemplate> {
    contents.templates().map(|(uri, offered)| {
        let ContentWords { name, title, description, mime_type, .. } = &offered.item.words;
        let mut template = ResourceTemplate::new(uri, name.clone());
        template.title.clone_from(title);
        template.description.clone_from(description);
        template.mime_type.clone_from(mime_type);
        template.annotations = annotations(&offered.item.words);
        template
    })
}

fn annotations(words: &ContentWords) -> Option<Annotations> {
    read_annotations(words.annotations.clone()?)
}

/// Makes annotations of what [`content_annotations`](crate::catalog::content_annotations) left.
pub(super) fn read_annotations(annotations: Value) -> Option<Annotations> {
    serde_json::from_value(annotations).ok()
}

impl McpServer {
    /// Reads a resource of another MCP server; `None` when the URI leads to none.
    pub(super) async fn read_of_server(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Option<Result<ReadResourceResult, ErrorData>> {
        let (backend, known) = self.gate().catalog().contents().find(uri)?;
        Some(self.read_known(uri, (backend, &known), context).await)
    }

    async fn read_known(
        &self,
        uri: &str,
        (backend, known): (BackendId, &str),
        context: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResult, ErrorData> {
        let reporter = ProgressReporter::default();
        let client = client_key(&context.extensions);
        let room = self.executor().room(&client);
        let carried = CallContext::heard_by(&reporter).of(client);
        let read = Box::pin(self.executor().read_server_resource(backend, known, &carried));
        let read = progress::run_reporting(context, self.ending(), &reporter, read).await;
        let read =
            read.map_err(|why: StopReason| ErrorData::internal_error(why.to_string(), None))?;
        // What the answer takes is counted until the contents are made.
        let (text, _held) = read.map_err(|error| server_error(uri, &error))?.into_counted();
        let offered = self.gate().catalog().contents();
        let host_uri = |found: &str| match found == known || found.is_empty() {
            true => uri.to_owned(),
            false => offered.host_uri(backend, found).unwrap_or_else(|| uri.to_owned()),
        };
        let size = text.as_str().len();
        let made = room.work(size, || read_contents(text.as_str(), &host_uri)).await;
        let contents = made.map_err(|why| {
            let uri = cut_text(uri, LONGEST_TYPE);
            ErrorData::internal_error(format!("the server answers for \"{uri}\" with {why}"), None)
        })?;
        let result = ReadResourceResult::new(contents).with_ttl_ms(0);
        Ok(result.with_cache_scope(CacheScope::Private))
    }
}

/// Says why a server gave nothing.
pub(super) fn server_error(uri: &str, error: &CallError) -> ErrorData {
    let text = cut_text(&one_line(&error.for_model()), LONGEST_ERROR).into_owned();
    let code = match error {
        CallError::Server(error) => match &error.fault {
            ServerFault::Rpc(failure) => failure.code,
            _ => 0,
        },
        _ => 0,
    };
    match code {
        RESOURCE_NOT_FOUND => file_resources::not_found(uri, text),
        INVALID_PARAMS => ErrorData::invalid_params(text, None),
        _ => ErrorData::internal_error(text, None),
    }
}

/// Reads the contents of a result, with the URIs that hosts know.
fn read_contents(
    text: &str,
    host_uri: &dyn Fn(&str) -> String,
) -> Result<Vec<ResourceContents>, String> {
    let ReadResult { contents } =
        serde_json::from_str(text).map_err(|_| "what is no resource".to_owned())?;
    if contents.len() > MOST_CONTENTS {
        return Err(format!("{} parts; there may be {MOST_CONTENTS}", contents.len()));
    }
    let mut made = Vec::with_capacity(contents.len());
    for part in contents {
        let uri = host_uri(&part.uri);
        let mut notes = ResultNotes::of(None, None, &[]);
        let part = part.shown(&uri, &mut notes).ok_or("a part that is neither text nor base64")?;
        match notes.joined() {
            None => made.push(part),
            // Hosts show contents and nothing else.
            Some(note) => {
                let meta = Map::from_iter([(META_NOTE.to_owned(), note.as_str().into())]);
                let note = ResourceContents::text(note, uri).with_mime_type("text/plain");
                made.extend([note, part.with_meta(MetaObject(meta))]);
            }
        }
    }
    Ok(made)
}

impl ReadContents {
    /// Makes what a host gets; `None` where it is nothing that could be shown.
    pub(super) fn shown(self, uri: &str, notes: &mut ResultNotes) -> Option<ResourceContents> {
        let Self { mime_type, text, blob, .. } = self;
        let (contents, usual) = match (text, blob) {
            (Some(text), _) => {
                let text = result::shown_masked(text).told(notes);
                (ResourceContents::text(text, uri), Some("text/plain".to_owned()))
            }
            (None, Some(blob)) if is_base64(&blob) => (ResourceContents::blob(blob, uri), None),
            (None, _) => return None,
        };
        let mime_type = mime_type.map(|it| cut_text(&one_line(&it), LONGEST_TYPE).into_owned());
        Some(match mime_type.filter(|it| !it.is_empty()).or(usual) {
            Some(mime_type) => contents.with_mime_type(mime_type),
            None => contents,
        })
    }
}

/// Returns whether a text can be bytes in base64, in either alphabet.
pub(super) fn is_base64(text: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\r' | b'\n')
    };
    text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(result: &Value) -> Result<Value, String> {
        let contents = read_contents(&result.to_string(), &|uri| format!("b+{uri}"))?;
        Ok(serde_json::to_value(contents).unwrap())
    }

    #[test]
    fn contents_have_the_uris_of_hosts_and_nothing_hidden() {
        let result = json!({ "contents": [
            { "uri": "a:1", "mimeType": "text/x\n", "text": "a", "_meta": { "x": 1 } },
            { "uri": "a:2", "blob": "AA==" },
            { "uri": "a:3", "text": "b\u{e0041}" },
        ], "more": [1] });
        let note = "1 character that nobody sees and that can hide text was replaced";
        let expected = json!([
            { "uri": "b+a:1", "mimeType": "text/x", "text": "a" },
            { "uri": "b+a:2", "blob": "AA==" },
            { "uri": "b+a:3", "mimeType": "text/plain", "text": note },
            { "uri": "b+a:3", "mimeType": "text/plain", "text": "b\u{fffd}", "_meta": { META_NOTE: note } },
        ]);
        assert_eq!(read(&result), Ok(expected));
        for wrong in [
            json!({}),
            json!({ "contents": {} }),
            json!({ "contents": [{ "uri": "a:1" }] }),
            json!({ "contents": [{ "uri": "a:1", "blob": "no base64!" }] }),
            json!({ "contents": vec![json!({ "uri": "a:1", "text": "" }); 1001] }),
        ] {
            assert!(read(&wrong).is_err(), "{wrong:.100}");
        }
    }
}
