//! What a part of `requests` says, before it is known of which tools.

use std::ops::Range;

use dadl_text::names::nearest_name;
use http::HeaderValue;
use mime::Mime;
use serde_json::{Map, Value as Json};

use crate::{
    code,
    lower::{
        context::{LowerContext, MappingPlace, YamlSection, YamlText},
        params::KINDS,
        rules::one_or_more,
        values,
    },
    model::{KindList, ParamKind},
    yaml::{YamlEntry, YamlValue},
};

const KEYS: &[&str] = &["accept", "body", "nulls", "params"];

const BODY_KEYS: &[&str] = &["file", "open", "required"];

/// The keys of a parameter that are no keywords of JSON Schema.
const PARAM_KEYS: [&str; 11] = [
    "allow_reserved",
    "content_type",
    "default",
    "description",
    "explode",
    "in",
    "name",
    "nullable",
    "style",
    "type",
    "whole",
];

/// What is said of a tool.
pub(super) struct ToolRules<'tree> {
    pub(super) accept: Option<HeaderValue>,
    pub(super) body: Option<BodySaid>,
    pub(super) nulls_declared: Option<bool>,
    pub(super) params: Vec<ParamSaid<'tree>>,
    /// Where something is that no composite has.
    pub(super) about_request: Option<Range<usize>>,
}

/// What is said of a body.
pub(super) struct BodySaid {
    pub(super) required: Option<bool>,
    pub(super) open: Option<bool>,
    pub(super) file: Option<bool>,
    pub(super) span: Range<usize>,
}

/// What is said of a parameter.
pub(super) struct ParamSaid<'tree> {
    pub(super) name: &'tree str,
    pub(super) span: Range<usize>,
    pub(super) kind: Option<(KindSaid, Range<usize>)>,
    pub(super) nullable: Option<bool>,
    pub(super) style: Option<YamlText<'tree>>,
    pub(super) explode: Option<bool>,
    pub(super) allow_reserved: Option<bool>,
    pub(super) content_type: Option<Mime>,
    pub(super) place: Option<PlaceSaid>,
    /// The name on the wire.
    pub(super) wire: Option<YamlText<'tree>>,
    pub(super) whole: Option<bool>,
    pub(super) required: Option<bool>,
    pub(super) default: Option<Json>,
    pub(super) description: Option<String>,
    pub(super) keywords: Map<String, Json>,
    /// Where something is that no parameter of a composite has.
    pub(super) about_request: Option<Range<usize>>,
}

/// What `type` says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KindSaid {
    Files,
    One(ParamKind),
}

/// What `in` says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceSaid {
    Body,
    Cookie,
    Header,
    Query,
    Querystring,
}

/// Reads what is said under the name of a tool.
pub(super) fn read_rules<'tree>(
    entry: &'tree YamlEntry<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<ToolRules<'tree>> {
    let place = MappingPlace::Named("requests of", &entry.key);
    let section = context.section(&entry.value, &entry.key_span, place, KEYS)?;
    let nulls = context.text(&section, "nulls");
    let nulls_declared =
        nulls.and_then(|text| context.choice(&text, "rule for nulls", &[("declared", true)]));
    let about_request = section.entries().iter().find(|entry| entry.key != "params");
    Some(ToolRules {
        accept: read_accept(&section, context),
        body: read_body(&section, context),
        nulls_declared,
        params: read_params(&section, context),
        about_request: about_request.map(|entry| entry.key_span.clone()),
    })
}

/// Reads media types as `Accept` has them (RFC 9110, section 12.5.1).
fn read_accept<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<HeaderValue> {
    let text = context.text(section, "accept")?;
    let are_types = text.value.split(',').all(|one| one.trim().parse::<Mime>().is_ok());
    let value = HeaderValue::from_str(text.value).ok().filter(|_| are_types);
    if value.is_none() {
        let message = "`accept` is not a list of media types";
        context
            .error(code::REQUEST_NAME, &text.span, message)
            .help("write it like `text/csv, application/json;q=0.5`");
    }
    value
}

fn read_body<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<BodySaid> {
    let body = context.subsection(section, "body", BODY_KEYS)?;
    Some(BodySaid {
        required: context.boolean(&body, "required"),
        open: context.boolean(&body, "open"),
        file: context.boolean(&body, "file"),
        span: body.span,
    })
}

fn read_params<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<ParamSaid<'tree>> {
    let Some(entry) = section.entry("params") else { return Vec::new() };
    let Some(section) = context.open(&entry.value, &entry.key_span, MappingPlace::Key("params"))
    else {
        return Vec::new();
    };
    section.entries().iter().filter_map(|entry| read_param(entry, context)).collect()
}

fn read_param<'tree>(
    entry: &'tree YamlEntry<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<ParamSaid<'tree>> {
    let place = MappingPlace::Named("requests of", &entry.key);
    let section = context.open(&entry.value, &entry.key_span, place)?;
    // `required` of JSON Schema is a list of members.
    let is_flag = |entry: &YamlEntry<'_>| {
        entry.key == "required" && matches!(entry.value.value, YamlValue::Bool(_))
    };
    let is_other =
        |entry: &YamlEntry<'tree>| PARAM_KEYS.contains(&entry.key.as_ref()) || is_flag(entry);
    let keywords = values::lower_keywords(entry, is_other, context)?;
    let choices = [
        ("body", PlaceSaid::Body),
        ("cookie", PlaceSaid::Cookie),
        ("header", PlaceSaid::Header),
        ("query", PlaceSaid::Query),
        ("querystring", PlaceSaid::Querystring),
    ];
    let place = context.text(&section, "in");
    let place = place.and_then(|text| context.choice(&text, "parameter place", &choices));
    let alone = section
        .entries()
        .iter()
        .find(|entry| matches!(entry.key.as_ref(), "default" | "description") || is_flag(entry));
    if let (None, Some(alone)) = (section.entry("in"), alone) {
        let message = format!("`{}` says nothing of a parameter of `tools`", alone.key);
        context
            .warning(code::REQUEST_NAME, &alone.key_span, message)
            .help("write it below `params` of the tool");
    }
    let flag = section.entry("required").filter(|entry| is_flag(entry));
    let about_request = section.entries().iter().find(|entry| {
        !matches!(entry.key.as_ref(), "nullable" | "type")
            && PARAM_KEYS.contains(&entry.key.as_ref())
    });
    Some(ParamSaid {
        name: &entry.key,
        span: entry.key_span.clone(),
        kind: read_kind(&section, context),
        nullable: context.boolean(&section, "nullable"),
        style: context.text(&section, "style"),
        explode: context.boolean(&section, "explode"),
        allow_reserved: context.boolean(&section, "allow_reserved"),
        content_type: content_type(&section, context),
        place,
        wire: context.text(&section, "name"),
        whole: context.boolean(&section, "whole"),
        required: flag.map(|entry| matches!(entry.value.value, YamlValue::Bool(true))),
        default: section.entry("default").map(|entry| entry.value.to_json()),
        description: context.string(&section, "description"),
        keywords,
        about_request: about_request.map(|entry| entry.key_span.clone()),
    })
}

/// Reads a type or a list of types.
fn read_kind<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<(KindSaid, Range<usize>)> {
    let span = section.entry("type")?.value.span.clone();
    let mut kinds = Vec::new();
    let mut alone = None;
    let nodes = one_or_more(section, "type");
    for node in nodes {
        let text = context.node_text(node, "`type`")?;
        let known = KINDS.iter().find(|(word, _)| *word == text.value).map(|(_, kind)| *kind);
        match (text.value, known) {
            ("any", _) => alone = Some(KindSaid::One(ParamKind::Union(KindList::any()))),
            ("files", _) => alone = Some(KindSaid::Files),
            (_, Some(ParamKind::FileUrl)) => alone = Some(KindSaid::One(ParamKind::FileUrl)),
            (_, Some(kind)) => kinds.push(kind),
            (word, None) => {
                let words = KINDS.iter().map(|(word, _)| *word).chain(["any", "files"]);
                let meant = nearest_name(word, words.clone());
                let message = format!("`{word}` is no type of a parameter");
                context.error(code::REQUEST_TYPE, &text.span, message).meant_or(meant, || {
                    format!("the types are {}", words.collect::<Vec<_>>().join(", "))
                });
                return None;
            }
        }
    }
    let said = match (alone, kinds.as_slice()) {
        (Some(alone), []) if nodes.len() == 1 => alone,
        (None, [one]) => KindSaid::One(*one),
        (None, [_, ..]) => KindSaid::One(ParamKind::Union(KindList::of(kinds))),
        _ => {
            let message = "`any`, `files` and `file_url` stand alone";
            context
                .error(code::REQUEST_TYPE, &span, message)
                .help("write one of them, or a list of types of JSON");
            return None;
        }
    };
    Some((said, span))
}

fn content_type<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Mime> {
    let text = context.text(section, "content_type")?;
    let mime = text.value.parse::<Mime>().ok();
    if mime.is_none() {
        let message = format!("`{}` is not a content type", text.value);
        context
            .error(code::REQUEST_NAME, &text.span, message)
            .help("write a type and a subtype, such as `application/json`");
    }
    mime
}
