//! Keeps a result within what a host shows a model.
//!
//! A larger answer is cut where an item ends. The whole goes to the directory of files, and the
//! result says how much of it is shown, where the rest is and which arguments ask for less, unless a
//! second call would change something.

use std::{fmt::Write as _, io, time::Duration};

use bytes::Bytes;
use dadl_descriptor::model::ParamRole;
use dadl_text::text;
use rmcp::model::{CallToolResult, MetaObject, ProtocolVersion};
use serde_json::{Map, Value, json};

use super::{omission::Omission, result};
use crate::{
    catalog::{CatalogEntry, EntryParam},
    executor::AnswerMemory,
    files::{FileError, FileStore, IncomingFile, SavePurpose, extension_of},
    outcome::{AnswerPayload, CallOutcome, SavedFile},
    response::budget::{self, CutResult, CutUnit, JsonCut},
    shares::ClientKey,
};

/// How long a whole answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a list is in an answer is said in so many characters: it consists of names of a server.
const LONGEST_PLACE: usize = 200;

/// The bytes are there already.
const IDLE: Duration = Duration::from_secs(60);

/// What programs read about a cut, below `_meta` of the result.
const META: &str = "dadl-mcp/cut";

/// Words in the names of parameters that make an answer smaller, in the order in which they are
/// advised: fewer members of each item, then fewer items.
const NARROWING: &[&[&str]] = &[
    &["fields", "field", "select", "columns", "properties"],
    &["filter", "query", "search", "where", "q"],
    &["limit", "size", "top", "count", "max"],
];

/// A result that was cut.
#[derive(Debug)]
pub(super) struct CutNotice {
    shown: usize,
    total: usize,
    unit: CutUnit,
    place: String,
    /// The whole answer, or why it could not be kept.
    whole: Result<SavedFile, FileError>,
    /// The first item or line of the whole that is not shown; 0 where neither is counted.
    rest: usize,
    advice: String,
}

/// Cuts `outcome`, of which a model does not get what is in `omission`, to `most` characters.
pub(super) async fn fit_outcome(
    outcome: CallOutcome,
    (entry, omission): (Option<&CatalogEntry>, Option<&Omission<'_>>),
    files: &FileStore,
    most: usize,
    room: &AnswerMemory,
) -> (CallOutcome, Option<CutNotice>) {
    let CallOutcome { status, payload, notes, next, held } = outcome;
    let size = usize::try_from(payload.bytes()).unwrap_or(usize::MAX);
    let (whole, content_type, payload, counted) = match payload {
        AnswerPayload::Json(text) => {
            let step = || {
                let rest = omission.and_then(|it| it.rest_of(&text));
                let cut = budget::cut_json(rest.as_ref().unwrap_or(&text), most);
                (cut, rest)
            };
            match room.work(size, step).await {
                (JsonCut::Fits, rest) => {
                    let text = rest.unwrap_or(text);
                    let payload = AnswerPayload::Json(text);
                    return (CallOutcome { status, payload, notes, next, held }, None);
                }
                (JsonCut::Items(cut), _) => {
                    let (part, counted) = take_value(cut);
                    (
                        text.into_string(),
                        "application/json".to_owned(),
                        AnswerPayload::Json(part),
                        counted,
                    )
                }
                (JsonCut::Characters(cut), _) => {
                    let (part, counted) = take_value(cut);
                    let content_type = "application/json".to_owned();
                    let part =
                        AnswerPayload::Text { content_type: content_type.clone(), text: part };
                    (text.into_string(), content_type, part, counted)
                }
            }
        }
        AnswerPayload::Text { content_type, text } => {
            match room.work(size, || budget::characters(&text, most)).await {
                None => {
                    let payload = AnswerPayload::Text { content_type, text };
                    return (CallOutcome { status, payload, notes, next, held }, None);
                }
                Some(cut) => {
                    let (part, counted) = take_value(cut);
                    let part =
                        AnswerPayload::Text { content_type: content_type.clone(), text: part };
                    (text, content_type, part, counted)
                }
            }
        }
        payload @ (AnswerPayload::Content(_)
        | AnswerPayload::Empty
        | AnswerPayload::File(_)
        | AnswerPayload::Task(_)) => {
            return (CallOutcome { status, payload, notes, next, held }, None);
        }
    };
    let rest = first_left_out(&payload, (&whole, &content_type), &counted, most);
    let whole = keep_whole(whole, &content_type, entry, (files, room.client())).await;
    let CutResult { shown, total, unit, place, .. } = counted;
    let place = text::start_of(&place, LONGEST_PLACE);
    let notice = CutNotice {
        shown,
        total,
        unit,
        place,
        whole,
        rest,
        advice: entry.map(paging_advice).unwrap_or_default(),
    };
    (CallOutcome { status, payload, notes, next, held }, Some(notice))
}

/// Separates a part from the figures about it.
fn take_value<T>(cut: CutResult<T>) -> (T, CutResult<()>) {
    let CutResult { part, shown, total, unit, place } = cut;
    (part, CutResult { part: (), shown, total, unit, place })
}

/// Returns the first item or line that is not shown; 0 where a part is counted in neither.
fn first_left_out(
    part: &AnswerPayload,
    (whole, content_type): (&str, &str),
    cut: &CutResult<()>,
    most: usize,
) -> usize {
    // The answer was cut without the members that are left out; with them another list may be the largest.
    let is_counted_alike =
        || budget::largest_value(whole, most).is_some_and(|largest| largest.place == cut.place);
    match (part, cut.unit) {
        (_, CutUnit::Items) if is_counted_alike() => cut.shown,
        (_, CutUnit::Items) => 0,
        // The start of a JSON text is no part of its lines.
        (AnswerPayload::Text { text, .. }, _) if content_type != "application/json" => {
            text.matches('\n').count()
        }
        _ => 0,
    }
}

/// Saves a whole answer.
async fn keep_whole(
    text: String,
    content_type: &str,
    entry: Option<&CatalogEntry>,
    (files, client): (&FileStore, &ClientKey),
) -> Result<SavedFile, FileError> {
    let extension = extension_of(content_type).unwrap_or("txt");
    let name = entry.map_or("result", |entry| &entry.name);
    let name = format!("{name}.{extension}");
    let incoming = IncomingFile {
        name: &name,
        content_type,
        total: Some(text.len() as u64),
        ttl: Some(KEPT),
        idle: IDLE,
        purpose: SavePurpose::Spilled,
        client,
    };
    let body = futures_util::stream::iter([Ok::<_, io::Error>(Bytes::from(text))]);
    files.save(incoming, body, &()).await
}

/// Names the arguments that would make the answer smaller. Nobody is advised to make a call again that
/// changes something or begins a task.
fn paging_advice(entry: &CatalogEntry) -> String {
    if !entry.annotations.read_only || entry.tasks().is_some() {
        return String::new();
    }
    let of_wire = |words: &[&str]| -> Vec<&str> {
        let is_one = |known: &&EntryParam| {
            let name = known.property.to_ascii_lowercase();
            let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
            !known.param.fixed
                && matches!(known.param.role, ParamRole::Sent(_) | ParamRole::Script)
                && parts.into_iter().any(|it| words.contains(&it))
        };
        entry.params.iter().filter(is_one).map(|known| known.property.as_str()).collect()
    };
    let mut names: Vec<&str> = NARROWING.iter().flat_map(|words| of_wire(words)).collect();
    names.extend(entry.property_of(ParamRole::Jq));
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => format!("; `{last}` would give less"),
        Some((last, others)) => {
            let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            format!("; {} or `{last}` would give less", others.join(", "))
        }
    }
}

impl CutNotice {
    /// Links the whole in a result whose note has the sentence, and says the same to programs.
    pub(super) fn add_to(self, result: &mut CallToolResult, version: Option<&ProtocolVersion>) {
        result
            .content
            .extend(self.whole.as_ref().ok().and_then(|file| result::file_link(file, version)));
        let meta = result.meta.get_or_insert_with(MetaObject::default);
        meta.insert(META.to_owned(), self.value());
    }

    /// Returns the arguments with which `read_result` shows what is not shown here.
    pub(super) fn rest_arguments(&self) -> Option<Value> {
        let file = self.whole.as_ref().ok()?;
        let name = || file.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = file.reference.clone().or_else(name)?;
        Some(json!({ "file": name, "from": self.rest }))
    }

    /// Says it in a sentence; `way` is the call that shows the rest.
    pub(super) fn sentence(&self, way: Option<&str>) -> String {
        let Self { shown, total, unit, place, whole, advice, .. } = self;
        let unit = match unit {
            CutUnit::Characters => "characters",
            CutUnit::Items => "items",
        };
        let mut text = format!("cut to the first {shown} of {total} {unit}");
        // Writing to a string cannot fail.
        if !place.is_empty() {
            let _ = write!(text, " of `{place}`");
        }
        match whole {
            Ok(file) => {
                let path = file.path.to_string_lossy();
                let at = file.reference.as_deref().or(file.url.as_deref()).unwrap_or(&path);
                let _ = write!(text, "; the whole answer is in {at} ({} bytes)", file.size);
                if let Some(way) = way {
                    let _ = write!(text, ": {way}, or with `jq` or `find`");
                }
            }
            Err(reason) => {
                let _ = write!(text, "; the whole answer could not be kept: {reason}");
            }
        }
        text + advice
    }

    fn value(&self) -> Value {
        let mut value = Map::new();
        value.insert("shown".to_owned(), json!(self.shown));
        value.insert("total".to_owned(), json!(self.total));
        let unit = match self.unit {
            CutUnit::Characters => "characters",
            CutUnit::Items => "items",
        };
        value.insert("unit".to_owned(), json!(unit));
        if !self.place.is_empty() {
            value.insert("place".to_owned(), json!(self.place));
        }
        if let Ok(file) = &self.whole {
            value.insert("whole".to_owned(), file.to_value());
        }
        Value::Object(value)
    }
}
