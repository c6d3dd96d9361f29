//! Prompts of other MCP servers: listed under names of ours, and got from those servers.
//!
//! A person picks one in the host, and the model reads what the server says. It is a stranger's text, and
//! says so: its description names the server. What it brings is bounded as results of tools are.

use std::{collections::HashSet, fmt};

use dadl_text::{
    names::{TOOL_NAME_MAX, suffixed},
    text::{cut_text, one_line, quoted_text},
};
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ContentBlock, GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument,
        PromptMessage, ProtocolVersion, Resource, ResourceContents, Role,
    },
    service::RequestContext,
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    McpServer,
    notes::ResultNotes,
    progress::{self, ProgressReporter},
    prompts::{ArgumentError, ExamplePrompt},
    request_owner::client_key,
    result,
    server_content::annotated,
    server_resources::{ReadContents, is_base64, server_error},
    shutdown::StopReason,
};
use crate::{
    catalog::{
        BackendId, Offered, OfferedContents, PromptParam, ServerPrompt, collapse_spaces,
        content_annotations,
    },
    executor::CallContext,
};

/// A longer value of an argument is refused, in bytes.
const LONGEST_VALUE: usize = 64 * 1024;

/// A prompt has no more messages; the rest is left out.
const MOST_MESSAGES: usize = 200;

/// A longer text of a server about something is cut, in characters.
const LONGEST_TEXT: usize = 1000;

/// Larger annotations are left out, in bytes.
const LARGEST_ANNOTATIONS: usize = 4096;

/// Returns the prompts of servers by the names that hosts see, none of which an example has.
pub(super) fn named<'a>(
    contents: &'a OfferedContents,
    examples: &[ExamplePrompt],
) -> impl Iterator<Item = (String, Offered<'a, ServerPrompt>)> {
    let mut taken: HashSet<String> = examples.iter().map(|it| it.prompt.name.clone()).collect();
    contents.prompts().map(move |(name, offered)| {
        let mut name = name.to_owned();
        while !taken.insert(name.clone()) {
            let identity = format!("{}\0{}\0{name}", offered.backend_name, offered.item.name);
            name = suffixed(&name, identity.as_bytes(), TOOL_NAME_MAX);
        }
        (name, offered)
    })
}

/// Makes a prompt as hosts list it.
pub(super) fn listed(name: String, offered: &Offered<'_, ServerPrompt>) -> Prompt {
    let ServerPrompt { title, description, arguments, .. } = offered.item;
    let description = told_by(offered.backend_name, description.as_deref());
    let arguments = arguments.iter().map(|param| {
        let PromptParam { name, title, description, required } = param;
        let mut argument = PromptArgument::new(name.clone()).with_required(*required);
        argument.title.clone_from(title);
        argument.description.clone_from(description);
        argument
    });
    let arguments: Vec<PromptArgument> = arguments.collect();
    let mut prompt = Prompt::new(name, Some(description), None);
    prompt.title.clone_from(title);
    prompt.arguments = (!arguments.is_empty()).then_some(arguments);
    prompt
}

/// Says whose words a description is.
fn told_by(backend: &str, description: Option<&str>) -> String {
    let whose = format!("From the MCP server of backend \"{backend}\"");
    match description {
        Some(description) => format!("{whose}: {description}"),
        None => whose,
    }
}

impl McpServer {
    /// Returns the prompts of servers, as hosts list them.
    pub(super) fn server_prompts(&self) -> impl Iterator<Item = Prompt> {
        let named = named(self.gate().catalog().contents(), self.prompts());
        named.map(|(name, offered)| listed(name, &offered))
    }

    /// Finds the prompt of a server by the name that hosts see.
    pub(super) fn find_server_prompt(&self, name: &str) -> Option<Offered<'_, ServerPrompt>> {
        let mut named = named(self.gate().catalog().contents(), self.prompts());
        named.find(|(known, _)| known == name).map(|(_, offered)| offered)
    }

    /// Gets a prompt of a server; `None` when none has this name.
    pub(super) async fn get_of_server(
        &self,
        request: &GetPromptRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Option<Result<GetPromptResult, ErrorData>> {
        let offered = self.find_server_prompt(&request.name)?;
        let given = request.arguments.clone().unwrap_or_default();
        if let Err(error) = check_arguments(offered.item, &given) {
            return Some(Err(ErrorData::invalid_params(error.to_string(), None)));
        }
        Some(self.get_offered(offered, given, context).await)
    }

    async fn get_offered(
        &self,
        offered: Offered<'_, ServerPrompt>,
        given: Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetPromptResult, ErrorData> {
        let Offered { backend, backend_name, item } = offered;
        let reporter = ProgressReporter::default();
        let client = client_key(&context.extensions);
        let room = self.executor().room(&client);
        let carried = CallContext::heard_by(&reporter).of(client);
        let got = self.executor().get_server_prompt(backend, &item.name, given, &carried);
        let got = progress::run_reporting(context, self.ending(), &reporter, Box::pin(got)).await;
        let got =
            got.map_err(|why: StopReason| ErrorData::internal_error(why.to_string(), None))?;
        // What the answer takes is counted until the result is made.
        let (text, _held) = got.map_err(|error| server_error("", &error))?.into_counted();
        let version = context.protocol_version();
        let mut making = PromptMaking {
            contents: self.gate().catalog().contents(),
            backend,
            version: version.as_ref(),
            chars_left: self.most_chars(),
            media_left: self.most_media(),
        };
        let size = text.as_str().len();
        let made = room.work(size, || making.result(text.as_str())).await;
        let (messages, description) = made.ok_or_else(|| {
            let name = quoted_text(&item.name, LONGEST_TEXT);
            let message = format!(
                "backend \"{backend_name}\" answers for the prompt {name} with what is none"
            );
            ErrorData::internal_error(message, None)
        })?;
        let description = description.or_else(|| item.description.clone());
        let description = told_by(backend_name, description.as_deref());
        Ok(GetPromptResult::new(messages).with_description(description))
    }
}

/// Checks what is given to a prompt: each is a text that it takes, and what it needs is there. Only its server
/// knows what a prompt takes that lists nothing.
fn check_arguments(prompt: &ServerPrompt, given: &Map<String, Value>) -> Result<(), ArgumentError> {
    let listed = &prompt.arguments;
    for (name, value) in given {
        if !listed.is_empty() && listed.iter().all(|param| param.name != *name) {
            let known: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
            return Err(ArgumentError::Unknown { name: name.clone(), known: known.join(", ") });
        }
        match value {
            Value::String(text) if text.len() > LONGEST_VALUE => {
                return Err(ArgumentError::TooLarge { name: name.clone(), most: LONGEST_VALUE });
            }
            Value::String(_) => {}
            _ => return Err(ArgumentError::NoText(name.clone())),
        }
    }
    let missing = |param: &&PromptParam| param.required && !given.contains_key(&param.name);
    match listed.iter().find(missing) {
        Some(param) => Err(ArgumentError::Missing(param.name.clone())),
        None => Ok(()),
    }
}

/// What a server says that a prompt is.
#[derive(Deserialize)]
struct ReadPrompt<'text> {
    #[serde(default)]
    description: Option<String>,
    #[serde(borrow)]
    messages: Vec<ReadMessage<'text>>,
}

#[derive(Deserialize)]
struct ReadMessage<'text> {
    #[serde(default)]
    role: String,
    #[serde(borrow)]
    content: ReadBlock<'text>,
}

/// A content of any kind.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ReadBlock<'text> {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    data: Option<String>,
    mime_type: Option<String>,
    uri: Option<String>,
    name: Option<String>,
    title: Option<String>,
    description: Option<String>,
    size: Option<u64>,
    resource: Option<ReadContents>,
    #[serde(borrow)]
    annotations: Option<&'text RawValue>,
}

/// Makes the messages of a prompt, within what a result may have.
struct PromptMaking<'a> {
    contents: &'a OfferedContents,
    backend: BackendId,
    version: Option<&'a ProtocolVersion>,
    /// So many characters may follow.
    chars_left: usize,
    /// So many bytes of images and the like may follow.
    media_left: u64,
}

impl PromptMaking<'_> {
    /// Makes messages and description; `None` where the result is no prompt.
    fn result(&mut self, text: &str) -> Option<(Vec<PromptMessage>, Option<String>)> {
        let ReadPrompt { description, messages } = serde_json::from_str(text).ok()?;
        let messages = messages.into_iter().take(MOST_MESSAGES).map(|message| {
            let role = if message.role == "assistant" { Role::Assistant } else { Role::User };
            PromptMessage::new(role, self.block(message.content))
        });
        let messages = messages.collect();
        let description = description.map(|it| short(&collapse_spaces(&it)));
        Some((messages, description.filter(|it| !it.is_empty())))
    }

    fn block(&mut self, block: ReadBlock<'_>) -> ContentBlock {
        let annotations = block.annotations.filter(|it| it.get().len() <= LARGEST_ANNOTATIONS);
        let annotations =
            annotations.and_then(|it| content_annotations(&serde_json::from_str(it.get()).ok()?));
        annotated(self.content(block), annotations)
    }

    fn content(&mut self, block: ReadBlock<'_>) -> ContentBlock {
        let ReadBlock { kind, text, data, mime_type, resource, .. } = block;
        let mime_type = mime_type.as_deref().map(short).unwrap_or_default();
        match (kind.as_str(), text, data, resource) {
            ("text", Some(text), ..) => ContentBlock::text(self.text(text)),
            ("image", _, Some(data), _) => match self.media(&data, None) {
                Ok(()) => ContentBlock::image(data, mime_type),
                Err(why) => left_out(&kind, why),
            },
            ("audio", _, Some(data), _) => {
                match self.media(&data, Some(ProtocolVersion::V_2025_03_26)) {
                    Ok(()) => ContentBlock::Audio(rmcp::model::AudioContent::new(data, mime_type)),
                    Err(why) => left_out(&kind, why),
                }
            }
            ("resource", _, _, Some(resource)) => self.resource(resource),
            ("resource_link", ..) => {
                let ReadBlock { uri, name, title, description, size, .. } = block;
                let uri = uri.unwrap_or_default();
                let name = short(name.as_deref().unwrap_or(&uri));
                let host_uri = self.contents.host_uri(self.backend, &uri);
                match host_uri.filter(|_| self.knows(&ProtocolVersion::V_2025_06_18)) {
                    Some(host_uri) => {
                        let mut link = Resource::new(host_uri, name);
                        link.title = title.as_deref().map(short);
                        link.description = description.as_deref().map(short);
                        link.mime_type = (!mime_type.is_empty()).then_some(mime_type);
                        link.size = size;
                        ContentBlock::resource_link(link)
                    }
                    None => ContentBlock::text(self.text(format!("{name}: {}", short(&uri)))),
                }
            }
            _ => left_out(&kind, "its type is not known here"),
        }
    }

    /// Makes a resource that a prompt has in it.
    fn resource(&mut self, mut resource: ReadContents) -> ContentBlock {
        if let Some(text) = resource.text.take() {
            resource.text = Some(self.text(text));
        } else if let Err(why) = self.media(resource.blob.as_deref().unwrap_or_default(), None) {
            return left_out("resource", why);
        }
        let uri = self.contents.host_uri(self.backend, &resource.uri);
        let uri = uri.unwrap_or_else(|| short(&resource.uri));
        let shown: Option<ResourceContents> =
            resource.shown(&uri, &mut ResultNotes::of(None, None, &[]));
        match shown {
            Some(contents) => ContentBlock::resource(contents),
            None => left_out("resource", "it is neither text nor base64"),
        }
    }

    /// Returns a text without what hides in it, and cut where there is no more room.
    fn text(&mut self, text: String) -> String {
        let text = result::shown_masked(text).told(&mut ResultNotes::of(None, None, &[]));
        let count = text.chars().count();
        if count <= self.chars_left {
            self.chars_left -= count;
            return text;
        }
        let shown = cut_text(&text, self.chars_left);
        let note = format!("{shown}\n[{} of {count} characters are shown]", self.chars_left);
        self.chars_left = 0;
        note
    }

    /// Takes room for an image or the like, which clients of a revision know.
    fn media(
        &mut self,
        data: &str,
        known_since: Option<ProtocolVersion>,
    ) -> Result<(), MediaRefusal> {
        if !is_base64(data) {
            return Err(MediaRefusal::NoBase64);
        }
        if known_since.is_some_and(|since| !self.knows(&since)) {
            return Err(MediaRefusal::UnknownType);
        }
        let size = data.len() as u64 / 4 * 3;
        match self.media_left.checked_sub(size) {
            Some(left) => {
                self.media_left = left;
                Ok(())
            }
            None => Err(MediaRefusal::TooLarge { size, left: self.media_left }),
        }
    }

    fn knows(&self, since: &ProtocolVersion) -> bool {
        self.version.is_none_or(|version| version >= since)
    }
}

/// Why an image or the like is left out of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum MediaRefusal {
    #[error("it is no base64")]
    NoBase64,
    #[error("this client does not know its type")]
    UnknownType,
    #[error("it has {size} bytes, and {left} may follow")]
    TooLarge { size: u64, left: u64 },
}

fn left_out(kind: &str, why: impl fmt::Display) -> ContentBlock {
    ContentBlock::text(format!("[{} left out: {why}]", quoted_text(kind, 50)))
}

fn short(text: &str) -> String {
    cut_text(&one_line(text), LONGEST_TEXT).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{BackendContent, ServerContent};

    fn contents() -> OfferedContents {
        let prompts = [
            json!({ "name": "greet", "description": "Hi.", "arguments": [
                { "name": "who", "required": true }, { "name": "how" },
            ] }),
            json!({ "name": "open" }),
        ];
        let capabilities = json!({ "resources": {} });
        let (content, _) = ServerContent::read([&[], &[], &prompts], &capabilities);
        let other = BackendContent { name: "other", scheme: None, content: None };
        let notes = BackendContent { name: "notes", scheme: None, content: Some(content) };
        OfferedContents::new(vec![other, notes])
    }

    fn made(version: &ProtocolVersion, messages: &Value) -> Value {
        let contents = contents();
        let mut making = PromptMaking {
            contents: &contents,
            backend: BackendId(1),
            version: Some(version),
            chars_left: 20,
            media_left: 6,
        };
        let (messages, _) = making.result(&json!({ "messages": messages }).to_string()).unwrap();
        serde_json::to_value(messages).unwrap()
    }

    #[test]
    fn a_prompt_says_whose_it_is() {
        let contents = contents();
        let (name, offered) = named(&contents, &[]).next().unwrap();
        let prompt = serde_json::to_value(listed(name, &offered)).unwrap();
        let expected = json!({
            "name": "notes_greet", "description": "From the MCP server of backend \"notes\": Hi.",
            "arguments": [{ "name": "who", "required": true }, { "name": "how", "required": false }],
        });
        assert_eq!(prompt, expected);
    }

    #[test]
    fn arguments_are_checked_before_the_server_is_asked() {
        let contents = contents();
        let (_, offered) = contents.prompts().next().unwrap();
        let check = |given: Value| {
            let checked = check_arguments(offered.item, given.as_object().unwrap());
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(check(json!({ "who": "Ada" })), Ok(()));
        for (given, expected) in [
            (json!({}), "needs the argument `who`"),
            (json!({ "who": 1 }), "`who` must be text"),
            (json!({ "who": "a", "when": "b" }), "it takes: who, how"),
            (json!({ "who": "x".repeat(70_000) }), "may have 65536 bytes"),
        ] {
            let error = check(given).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let (_, open) = contents.prompts().nth(1).unwrap();
        let given = json!({ "who": "Ada" });
        assert!(check_arguments(open.item, given.as_object().unwrap()).is_ok());
        assert!(check_arguments(open.item, json!({ "who": 1 }).as_object().unwrap()).is_err());
    }

    #[test]
    fn contents_of_all_types_arrive_within_bounds() {
        let messages = json!([
            { "role": "assistant", "content": { "type": "text", "text": "a\u{e0041}", "annotations": { "priority": 1 } } },
            { "role": "user", "content": { "type": "image", "data": "AAAA", "mimeType": "image/png" } },
            { "role": "user", "content": { "type": "audio", "data": "AAAA", "mimeType": "audio/wav" } },
            { "role": "user", "content": { "type": "image", "data": "AAAA", "mimeType": "image/png" } },
            { "role": "user", "content": { "type": "resource", "resource": { "uri": "note://1", "text": "b" } } },
            { "role": "user", "content": { "type": "resource_link", "uri": "note://2", "name": "two" } },
            { "role": "user", "content": { "type": "magic" } },
            { "role": "user", "content": { "type": "text", "text": "x".repeat(30) } },
        ]);
        let made = made(&ProtocolVersion::V_2025_11_25, &messages);
        let content = |at: usize| &made[at]["content"];
        assert_eq!(
            (&made[0]["role"], &content(0)["text"]),
            (&json!("assistant"), &json!("a\u{fffd}"))
        );
        assert_eq!(content(0)["annotations"]["priority"], 1.0);
        assert_eq!((&content(1)["type"], &content(2)["type"]), (&json!("image"), &json!("audio")));
        assert!(
            content(3)["text"].as_str().unwrap().contains("3 bytes, and 0 may follow"),
            "{made}"
        );
        assert_eq!(content(4)["resource"]["uri"], "notes+note://1");
        assert_eq!(content(5)["uri"], "notes+note://2");
        assert!(content(6)["text"].as_str().unwrap().contains("not known"), "{made}");
        let cut = content(7)["text"].as_str().unwrap();
        assert!(cut.ends_with("[17 of 30 characters are shown]"), "{cut}");
    }

    #[test]
    fn an_old_client_gets_what_it_knows() {
        let messages = json!([
            { "role": "user", "content": { "type": "audio", "data": "AAAA" } },
            { "role": "user", "content": { "type": "resource_link", "uri": "note://2", "name": "two" } },
        ]);
        let made = made(&ProtocolVersion::V_2024_11_05, &messages);
        assert!(made[0]["content"]["text"].as_str().unwrap().contains("left out"), "{made}");
        assert_eq!(made[1]["content"]["text"], "two: note://2");
    }
}
