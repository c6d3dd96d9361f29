//! `responses`: what an operation answers when all is well.

use dadl_text::names::snake;
use serde_json::{Map, Value};

use super::{OpenApiDialect, OpenApiReader, list_of};
use crate::{
    ledger::DocumentObject,
    model::OperationAnswer,
    report::place_at,
    schema::{JsonTypes, ValueShape, schema_flag},
};

/// Answers that mean that all is well, the most telling first.
const STATUSES: [&str; 8] = ["200", "201", "203", "206", "2XX", "2xx", "202", "default"];

/// Members of an answer that hold what belongs to paging.
const META: [&str; 9] = [
    "meta",
    "metadata",
    "pagination",
    "paging",
    "page_info",
    "response_metadata",
    "cursors",
    "list_metadata",
    "links",
];

/// So many media types are asked for.
const MAX_MEDIA: usize = 8;

/// So many members of an answer are looked at.
const MAX_MEMBERS: usize = 200;

impl<'doc> OpenApiReader<'doc> {
    /// Reads the answer of an operation.
    pub(super) fn read_answer(
        &mut self,
        operation: &'doc Map<String, Value>,
        place: &str,
    ) -> OperationAnswer {
        let responses = self.schemas.member(operation, place, "responses");
        let Some((Value::Object(responses), place)) = responses else {
            return OperationAnswer::default();
        };
        self.schemas.account_keys(responses, &place, is_status);
        let media = self.media(operation, responses, &place);
        let mut found = None;
        for status in STATUSES {
            let Some(response) = responses.get(status) else { continue };
            let place = place_at(&place, status);
            let Some((Value::Object(response), place)) = self.schemas.resolve(response, &place)
            else {
                continue;
            };
            // One without content says less than a later one.
            let has_content = response.contains_key("content") || response.contains_key("schema");
            if found.is_none() || has_content {
                found = Some((status, response, place));
            }
            if has_content {
                break;
            }
        }
        let Some((status, response, place)) = found else { return OperationAnswer::default() };
        self.schemas.account(DocumentObject::Response, response, &place);
        let headers = self.read_followed(response, &place, "headers", DocumentObject::Header);
        let has_link = headers.iter().any(|name| name.eq_ignore_ascii_case("link"));
        self.read_followed(response, &place, "links", DocumentObject::Link);
        let mut answer = match self.dialect {
            OpenApiDialect::OpenApi3 => self.read_content(response, &place),
            OpenApiDialect::Swagger2 => self.read_produced(operation, response, &place),
        };
        answer.has_link = has_link;
        answer.media = media;
        // What stands for all others may be an error.
        answer.schema = answer.schema.filter(|_| status.starts_with('2'));
        answer
    }

    /// Returns the media types to ask for: of each answer that says that all is well its JSON, or
    /// all that it has.
    fn media(
        &mut self,
        operation: &'doc Map<String, Value>,
        responses: &'doc Map<String, Value>,
        place: &str,
    ) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let is_well = |status: &str| status.starts_with('2');
        let says_well = responses.keys().any(|status| is_well(status));
        for (status, response) in responses {
            if !(is_well(status) || !says_well && status == "default") {
                continue;
            }
            let place = place_at(place, status);
            let Some((Value::Object(response), place)) = self.schemas.resolve(response, &place)
            else {
                continue;
            };
            let media = match self.dialect {
                OpenApiDialect::Swagger2 if response.contains_key("schema") => {
                    self.produces(operation)
                }
                OpenApiDialect::Swagger2 => continue,
                OpenApiDialect::OpenApi3 => {
                    match self.schemas.member(response, &place, "content") {
                        Some((Value::Object(content), _)) => content.keys().cloned().collect(),
                        _ => continue,
                    }
                }
            };
            let media: Vec<String> = media.iter().map(|media| media_essence(media)).collect();
            let is_plain = |media: &&String| matches!(media.as_str(), "application/json" | "*/*");
            let json = media.iter().find(is_plain).or_else(|| media.iter().find(|it| is_json(it)));
            let wanted = json.map_or(media.as_slice(), std::slice::from_ref);
            for media in wanted.iter().filter(|media| media.parse::<mime::Mime>().is_ok()) {
                if !all.contains(media) {
                    all.push(media.clone());
                }
            }
        }
        let is_said = !all.iter().any(|media| media == "*/*") && all != ["application/json"];
        all.truncate(if is_said { MAX_MEDIA } else { 0 });
        all
    }

    /// Returns what the answers of a Swagger 2 operation are.
    fn produces(&self, operation: &'doc Map<String, Value>) -> Vec<String> {
        match operation.get("produces") {
            Some(_) => list_of(operation, "produces"),
            None => self.root.as_object().map(|root| list_of(root, "produces")).unwrap_or_default(),
        }
    }

    /// Returns the names below a key of an answer; what cannot be followed is reported.
    fn read_followed(
        &mut self,
        response: &'doc Map<String, Value>,
        place: &str,
        key: &str,
        object: DocumentObject,
    ) -> Vec<&'doc str> {
        let Some((Value::Object(map), place)) = self.schemas.member(response, place, key) else {
            return Vec::new();
        };
        for (name, value) in map {
            if let Some((Value::Object(found), place)) =
                self.schemas.resolve(value, &place_at(&place, name))
            {
                self.schemas.account(object, found, &place);
            }
        }
        map.keys().map(String::as_str).collect()
    }

    fn read_content(&mut self, response: &'doc Map<String, Value>, place: &str) -> OperationAnswer {
        let content = self.schemas.member(response, place, "content");
        let Some((Value::Object(content), place)) = content else {
            return OperationAnswer::default();
        };
        if let Some((media, value)) = content.iter().find(|(media, _)| is_json(media)) {
            if let Some((other, _)) = content.iter().find(|(media, _)| is_stream(media)) {
                let message = format!("the answer may also be a stream, `{other}`");
                let help = "write a second tool with `response: {streaming: true}`";
                self.schemas.remarks.lost(&place, message, help);
            }
            let Some((value, place)) = self.schemas.resolve(value, &place_at(&place, media)) else {
                return OperationAnswer::default();
            };
            let Some(schema) = value.get("schema") else { return OperationAnswer::default() };
            // Some write a file as JSON with a binary schema.
            let is_binary = schema.get("format").and_then(Value::as_str) == Some("binary");
            if is_binary {
                return OperationAnswer { file: Some(None), ..OperationAnswer::default() };
            }
            let place = place_at(&place, "schema");
            let members = self.read_paging(schema, &place);
            return OperationAnswer { members, schema: Some(place), ..OperationAnswer::default() };
        }
        if content.keys().any(|media| is_stream(media)) {
            return OperationAnswer { is_stream: true, ..OperationAnswer::default() };
        }
        let is_binary = |value: &Value| {
            let format = value.pointer("/schema/format").and_then(Value::as_str);
            format == Some("binary")
        };
        let files: Vec<&String> = content
            .iter()
            .filter(|(media, value)| is_file(media) || is_binary(value))
            .map(|(media, _)| media)
            .collect();
        match files.as_slice() {
            [] => OperationAnswer::default(),
            [one] if content.len() == 1 => file_answer(Some(one)),
            _ => file_answer(None),
        }
    }

    /// Returns the members that may tell how a list goes on; a descriptor says that itself.
    fn read_paging(&mut self, schema: &'doc Value, place: &str) -> Vec<(String, JsonTypes)> {
        if self.keeps_shapes {
            return Vec::new();
        }
        self.schemas.is_answer = true;
        let shape = self.schemas.read_shape(schema, place);
        self.schemas.is_answer = false;
        paging_members(&shape)
    }

    fn read_produced(
        &mut self,
        operation: &'doc Map<String, Value>,
        response: &'doc Map<String, Value>,
        place: &str,
    ) -> OperationAnswer {
        let produces = self.produces(operation);
        let schema = response.get("schema");
        let word = |key: &str| schema.and_then(|schema| schema.get(key)).and_then(Value::as_str);
        if word("type") == Some("file") || word("format") == Some("binary") {
            return match produces.as_slice() {
                [one] => file_answer(Some(one)),
                _ => file_answer(None),
            };
        }
        if produces.iter().any(|media| is_json(media)) || produces.is_empty() {
            let Some(schema) = schema else { return OperationAnswer::default() };
            let place = place_at(place, "schema");
            let members = self.read_paging(schema, &place);
            return OperationAnswer { members, schema: Some(place), ..OperationAnswer::default() };
        }
        if produces.iter().all(|media| is_stream(media)) {
            return OperationAnswer { is_stream: true, ..OperationAnswer::default() };
        }
        if produces.iter().all(|media| is_file(media)) && !schema_flag(response, "x-no-content") {
            return match produces.as_slice() {
                [one] => file_answer(Some(one)),
                _ => file_answer(None),
            };
        }
        OperationAnswer::default()
    }
}

impl OperationAnswer {
    /// Returns the `Accept` field (RFC 9110, section 12.5.1) of an operation that answers several
    /// things that are not all JSON; one alone is said as the type of the answer.
    pub(super) fn accept(&self) -> Option<String> {
        let ([first, others @ ..], false, None) = (&self.media[..], self.is_stream, &self.file)
        else {
            return None;
        };
        let mut text = first.clone();
        for other in others {
            text.push_str(&format!(", {other};q=0.9"));
        }
        // Errors are JSON most of the time.
        if !self.media.iter().any(|media| is_json(media)) {
            text.push_str(", application/json;q=0.5");
        }
        (!others.is_empty()).then_some(text)
    }
}

/// Returns the members at the top of an answer, and those of what belongs to paging.
fn paging_members(shape: &ValueShape) -> Vec<(String, JsonTypes)> {
    let plain = |shape: &ValueShape| -> Vec<(String, JsonTypes)> {
        let members = shape.members.iter().filter(|member| is_plain(&member.name));
        members.map(|member| (member.name.clone(), member.shape.kinds)).collect()
    };
    let mut paths: Vec<(String, JsonTypes)> =
        plain(shape).into_iter().map(|(name, kinds)| (format!("$.{name}"), kinds)).collect();
    let is_meta = |name: &str| is_plain(name) && META.contains(&snake(name).as_str());
    for outer in shape.members.iter().filter(|member| is_meta(&member.name)) {
        let inner = plain(&outer.shape).into_iter();
        paths.extend(inner.map(|(name, kinds)| (format!("$.{}.{name}", outer.name), kinds)));
    }
    paths.truncate(MAX_MEMBERS);
    paths
}

/// Returns whether a name can stand in a JSONPath as it is.
fn is_plain(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

/// Returns whether a key of the answers is the status of one.
fn is_status(key: &str) -> bool {
    let is_digit = |it: u8| it.is_ascii_digit() || it == b'X' || it == b'x';
    key == "default" || (key.len() == 3 && key.bytes().all(is_digit))
}

fn file_answer(media: Option<&String>) -> OperationAnswer {
    let media = media.filter(|media| !media.contains('*') && media.parse::<mime::Mime>().is_ok());
    OperationAnswer { file: Some(media.cloned()), ..OperationAnswer::default() }
}

/// Returns a media type without its parameters.
pub(crate) fn media_essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) fn is_json(media: &str) -> bool {
    let essence = media_essence(media);
    essence == "*/*" || essence.ends_with("/json") || essence.ends_with("+json")
}

fn is_stream(media: &str) -> bool {
    matches!(media_essence(media).as_str(), "text/event-stream")
}

/// Returns whether answers of this media type are saved: no text, and nothing that is decoded.
fn is_file(media: &str) -> bool {
    let essence = media_essence(media);
    let is_read = essence.starts_with("text/")
        || essence.ends_with("xml")
        || essence.ends_with("yaml")
        || essence.ends_with("ndjson")
        || matches!(
            essence.as_str(),
            "application/x-www-form-urlencoded"
                | "application/javascript"
                | "application/jsonl"
                | "application/x-jsonlines"
                | "application/stream+json"
                | "application/graphql"
        );
    !is_read && !essence.is_empty()
}
