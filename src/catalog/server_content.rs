//! What another MCP server has besides tools, as data: resources, templates of them, and prompts.
//!
//! All of it is the text of a stranger. Addresses and names are kept as they came, for the server; what
//! people and models read is cleaned and bounded here. What cannot be shown, or not be named, is left out
//! and told.

use std::{collections::HashSet, sync::Arc};

use dadl_text::text::{cut_prose, cut_text, first_hidden};
use serde_json::{Map, Value};

use super::collapse_spaces;

/// So many resources of a server are listed, so many templates, and so many prompts.
const MOST_LISTED: usize = 1000;

/// A longer address is none, in bytes.
const LONGEST_URI: usize = 2048;

/// A longer name is none, in bytes.
const LONGEST_NAME: usize = 256;

/// A longer title is cut, in characters.
const LONGEST_TITLE: usize = 100;

/// A longer description is cut, in characters.
const LONGEST_DESCRIPTION: usize = 1000;

/// A longer media type is none, in bytes.
const LONGEST_TYPE: usize = 200;

/// A prompt has no more arguments.
const MOST_ARGUMENTS: usize = 64;

/// What a server has besides tools.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerContent {
    /// Whether it has resources, listed or not.
    pub has_resources: bool,
    /// Whether it tells of changes of its resources.
    pub can_subscribe: bool,
    /// Whether it knows values for arguments.
    pub can_complete: bool,
    /// The resources that it listed.
    pub resources: Arc<[ServerResource]>,
    /// How the addresses are made of those that it did not list.
    pub templates: Arc<[ServerTemplate]>,
    /// Its prompts.
    pub prompts: Arc<[ServerPrompt]>,
}

/// What a server says of a resource or of a template, cleaned and bounded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContentWords {
    /// What it is called.
    pub name: String,
    /// What it is called for people.
    pub title: Option<String>,
    /// What is said of it.
    pub description: Option<String>,
    /// What kind of data it is.
    pub mime_type: Option<String>,
    /// `audience`, `priority` and `lastModified`.
    pub annotations: Option<Value>,
}

/// A resource that a server listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerResource {
    /// The address that the server knows.
    pub uri: String,
    /// What it says of it.
    pub words: ContentWords,
    /// How many bytes it says that it has.
    pub size: Option<u64>,
}

/// How the addresses of some resources are made.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerTemplate {
    /// The template of RFC 6570 that the server knows.
    pub uri: String,
    /// What it says of them.
    pub words: ContentWords,
}

/// A prompt of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerPrompt {
    /// The name that the server knows.
    pub name: String,
    /// What it is called for people.
    pub title: Option<String>,
    /// What the server says of it.
    pub description: Option<String>,
    /// What it takes.
    pub arguments: Vec<PromptParam>,
}

/// An argument of a prompt; each is a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptParam {
    /// The name that the server knows.
    pub name: String,
    /// What it is called for people.
    pub title: Option<String>,
    /// What the server says of it.
    pub description: Option<String>,
    /// Whether the prompt needs it.
    pub required: bool,
}

/// Why something of a server is not offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerContentError {
    /// The item at this place cannot be named.
    #[error(
        "item {at} of the server's list of {list} has no {member} that can be used: it is missing, longer than {most} bytes, or has characters that nobody sees"
    )]
    Name {
        /// Which list.
        list: &'static str,
        /// Where, from 0.
        at: usize,
        /// What cannot be used.
        member: &'static str,
        /// How long it may be.
        most: usize,
    },
    /// The list has more than is offered.
    #[error("the server lists {found} {list}, of which {MOST_LISTED} are offered")]
    TooMany {
        /// Which list.
        list: &'static str,
        /// How many there are.
        found: usize,
    },
}

impl ServerContent {
    /// Reads the items of `resources/list`, `resources/templates/list` and `prompts/list`, and what the
    /// server says that it can do; what is left out is told.
    pub fn read(
        [resources, templates, prompts]: [&[Value]; 3],
        capabilities: &Value,
    ) -> (Self, Vec<ServerContentError>) {
        let mut errors = Vec::new();
        let can =
            |path: &str| capabilities.pointer(path).is_some_and(|it| *it != Value::Bool(false));
        let resource = |item: &Value, at| {
            let uri =
                clean_member(item, "uri", LONGEST_URI).ok_or_else(|| no_uri("resources", at))?;
            let size = item.get("size").and_then(Value::as_u64);
            Ok(ServerResource { words: ContentWords::of(item, &uri), uri, size })
        };
        let template = |item: &Value, at| {
            let uri = clean_member(item, "uriTemplate", LONGEST_URI);
            let uri = uri.ok_or_else(|| no_uri("resourceTemplates", at))?;
            Ok(ServerTemplate { words: ContentWords::of(item, &uri), uri })
        };
        let content = Self {
            has_resources: can("/resources"),
            can_subscribe: can("/resources/subscribe"),
            can_complete: can("/completions"),
            resources: read_items("resources", resources, resource, |it| &it.uri, &mut errors),
            templates: read_items(
                "resourceTemplates",
                templates,
                template,
                |it| &it.uri,
                &mut errors,
            ),
            prompts: read_items("prompts", prompts, ServerPrompt::read, |it| &it.name, &mut errors),
        };
        (content, errors)
    }

    /// Returns the same without resources.
    #[must_use]
    pub fn without_resources(self) -> Self {
        let Self { can_complete, prompts, .. } = self;
        Self { can_complete, prompts, ..Self::default() }
    }

    /// Returns the same without prompts.
    #[must_use]
    pub fn without_prompts(self) -> Self {
        Self { prompts: Arc::default(), ..self }
    }
}

/// Reads the items of a list; what cannot be used is left out, and of two with one name the second.
fn read_items<Item>(
    list: &'static str,
    items: &[Value],
    read: impl Fn(&Value, usize) -> Result<Item, ServerContentError>,
    name: impl Fn(&Item) -> &String,
    errors: &mut Vec<ServerContentError>,
) -> Arc<[Item]> {
    if items.len() > MOST_LISTED {
        errors.push(ServerContentError::TooMany { list, found: items.len() });
    }
    let mut names = HashSet::new();
    let mut kept = Vec::new();
    for (at, item) in items.iter().enumerate().take(MOST_LISTED) {
        match read(item, at) {
            Ok(item) if names.insert(name(&item).clone()) => kept.push(item),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    kept.into()
}

fn no_uri(list: &'static str, at: usize) -> ServerContentError {
    let member = if list == "resources" { "uri" } else { "uriTemplate" };
    ServerContentError::Name { list, at, member, most: LONGEST_URI }
}

impl ContentWords {
    fn of(item: &Value, uri: &str) -> Self {
        let mime_type = clean_member(item, "mimeType", LONGEST_TYPE);
        let name = prose(item, "name", LONGEST_TITLE);
        Self {
            name: name.unwrap_or_else(|| cut_text(uri, LONGEST_TITLE).into_owned()),
            title: prose(item, "title", LONGEST_TITLE),
            description: prose(item, "description", LONGEST_DESCRIPTION),
            mime_type,
            annotations: item.get("annotations").and_then(content_annotations),
        }
    }
}

impl ServerPrompt {
    fn read(item: &Value, at: usize) -> Result<Self, ServerContentError> {
        let unnamed =
            |member| ServerContentError::Name { list: "prompts", at, member, most: LONGEST_NAME };
        let name = clean_member(item, "name", LONGEST_NAME).ok_or_else(|| unnamed("name"))?;
        let params = item.get("arguments").and_then(Value::as_array).into_iter().flatten();
        let param = |param: &Value| {
            Ok(PromptParam {
                name: clean_member(param, "name", LONGEST_NAME)
                    .ok_or_else(|| unnamed("argument with a name"))?,
                title: prose(param, "title", LONGEST_TITLE),
                description: prose(param, "description", LONGEST_DESCRIPTION),
                required: param.get("required") == Some(&Value::Bool(true)),
            })
        };
        let arguments = params.take(MOST_ARGUMENTS).map(param).collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            title: prose(item, "title", LONGEST_TITLE),
            description: prose(item, "description", LONGEST_DESCRIPTION),
            arguments,
        })
    }
}

/// Returns a text that is used as it is, if it can be: it has so many bytes at most, and a person sees all
/// of it.
fn clean_member(item: &Value, name: &str, most: usize) -> Option<String> {
    let text = item.get(name)?.as_str()?;
    is_usable(text, most).then(|| text.to_owned())
}

/// Returns whether an address or a name can be used: what nobody sees would make two look alike.
pub(super) fn is_usable(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && !text.contains(char::is_control)
        && first_hidden(text).is_none()
}

/// Returns a text for people on one line, if there is one.
fn prose(item: &Value, name: &str, most: usize) -> Option<String> {
    let text = collapse_spaces(item.get(name)?.as_str()?);
    (!text.is_empty()).then(|| cut_prose(&text, most).0.into_owned())
}

/// Returns what hosts may know of the annotations of a content: for whom it is, how much it matters, and when
/// it was changed.
pub(crate) fn content_annotations(annotations: &Value) -> Option<Value> {
    let mut kept = Map::new();
    let audience = annotations.get("audience").and_then(Value::as_array);
    if let Some(audience) = audience {
        let is_known = |it: &&Value| matches!(it.as_str(), Some("user" | "assistant"));
        let audience: Vec<Value> = audience.iter().filter(is_known).take(2).cloned().collect();
        kept.insert("audience".to_owned(), audience.into());
    }
    let priority = annotations.get("priority").and_then(Value::as_f64);
    if let Some(priority) = priority.filter(|it| (0.0..=1.0).contains(it)) {
        kept.insert("priority".to_owned(), priority.into());
    }
    if let Some(changed) = clean_member(annotations, "lastModified", LONGEST_TITLE) {
        kept.insert("lastModified".to_owned(), changed.into());
    }
    (!kept.is_empty()).then_some(Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(resources: Value, templates: Value, prompts: Value) -> (ServerContent, Vec<String>) {
        let items = |list: &Value| list.as_array().unwrap().clone();
        let lists = [&resources, &templates, &prompts].map(items);
        let [resources, templates, prompts] = &lists;
        let (content, errors) = ServerContent::read([resources, templates, prompts], &json!({}));
        (content, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn words_are_cleaned_and_addresses_are_not() {
        let resource = json!({
            "uri": "file:///a b/%C3%BC", "name": "a\u{202e}b\n c", "title": "", "size": 7,
            "description": "x ".repeat(2000), "mimeType": "text/plain", "_meta": { "a": 1 },
            "annotations": { "audience": ["user", "them"], "priority": 2, "lastModified": "2025" },
        });
        let (content, errors) = read(json!([resource]), json!([]), json!([]));
        assert_eq!(errors, [""; 0]);
        let ServerResource { uri, words, size } = &content.resources[0];
        assert_eq!((uri.as_str(), *size), ("file:///a b/%C3%BC", Some(7)));
        assert_eq!((words.name.as_str(), &words.title), ("ab c", &None));
        assert!(words.description.as_ref().unwrap().chars().count() <= LONGEST_DESCRIPTION);
        let annotations = json!({ "audience": ["user"], "lastModified": "2025" });
        assert_eq!(words.annotations, Some(annotations));
        assert!(!content.has_resources && !content.can_subscribe && !content.can_complete);
    }

    #[test]
    fn what_cannot_be_named_is_left_out() {
        let (content, errors) = read(
            json!([{ "uri": "a:1" }, { "uri": "a:\u{200b}1" }, {}, { "uri": "a:1" }, { "uri": "x".repeat(3000) }, 7]),
            json!([{ "uriTemplate": "a:{b}" }, { "uri": "a:{b}" }]),
            json!([
                { "name": "p", "arguments": [{ "name": "q" }] }, { "name": "\n" },
                { "name": "r", "arguments": [{ "required": true }] },
            ]),
        );
        let uris: Vec<&str> = content.resources.iter().map(|it| it.uri.as_str()).collect();
        assert_eq!((uris, content.templates.len(), content.prompts.len()), (vec!["a:1"], 1, 1));
        assert_eq!(errors.len(), 7, "{errors:?}");
        let many: Vec<Value> = (0..1500).map(|at| json!({ "uri": format!("a:{at}") })).collect();
        let (content, errors) = read(many.into(), json!([]), json!([]));
        assert_eq!(content.resources.len(), MOST_LISTED);
        assert!(errors[0].contains("lists 1500 resources"), "{errors:?}");
    }

    #[test]
    fn what_a_server_can_do_is_what_it_says() {
        let all = json!({ "resources": { "subscribe": true }, "completions": {} });
        let none = json!({ "resources": { "subscribe": false }, "completions": false });
        let of = |capabilities: &Value| {
            let (content, _) = ServerContent::read([&[], &[], &[]], capabilities);
            (content.has_resources, content.can_subscribe, content.can_complete)
        };
        assert_eq!((of(&all), of(&none)), ((true, true, true), (true, false, false)));
    }
}
