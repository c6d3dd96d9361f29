//! Reads a document, whatever is wrong with it.

mod answer;
mod body;
mod duplicates;
mod params;
mod security;
mod server;
mod twins;

pub(super) use answer::essence;
pub(super) use params::push;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{
    document::DocumentError,
    documents::{Alone, Beside, Documents},
    exposure::{self, Exposure},
    model::{Api, Base, Operation},
    report::{Remarks, at, excerpt},
    schema::{Schemas, flag},
    text,
};
use crate::{
    descriptor::{
        model::{BodyRules, Location, Method},
        template::PathTemplate,
    },
    names::{
        joined,
        path::{Piece, anonymous, pieces},
    },
    text::cut_prose,
};

/// So many operations are read.
const MAX_OPERATIONS: usize = 20_000;

/// So many parameters are read; a descriptor has room for fewer.
const MAX_INPUTS: usize = 100_000;

/// A longer path is no path.
const MAX_PATH: usize = 2_000;

/// The longest description of an operation, in characters: models read it in each conversation.
const MAX_DESCRIPTION: usize = 300;

/// The longest description of an API, in characters.
const MAX_API_DESCRIPTION: usize = 600;

/// The methods of OpenAPI, in the order in which the tools of a path are written.
const METHODS: [(&str, Option<Method>); 9] = [
    ("get", Some(Method::Get)),
    ("head", Some(Method::Head)),
    ("post", Some(Method::Post)),
    ("put", Some(Method::Put)),
    ("patch", Some(Method::Patch)),
    ("delete", Some(Method::Delete)),
    ("options", None),
    ("trace", None),
    ("query", None),
];

/// The generation of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// Swagger 2.0.
    Swagger2,
    /// OpenAPI 3.
    OpenApi3,
}

/// Reads a document, JSON or YAML, that is no file.
///
/// # Errors
///
/// Says why the bytes are no document.
pub fn read(bytes: &[u8]) -> Result<(Api, Remarks), DocumentError> {
    read_beside(bytes, &mut Alone)
}

/// Reads a document, JSON or YAML, and the files beside it that it refers to.
///
/// # Errors
///
/// Says why the bytes are no document. What cannot be followed is a remark.
pub fn read_beside(bytes: &[u8], beside: &mut dyn Beside) -> Result<(Api, Remarks), DocumentError> {
    let documents = Documents::read(bytes, beside)?;
    let mut reader = Reader::new(&documents);
    duplicates::report(bytes, &mut reader.schemas.remarks);
    let api = reader.api();
    Ok((api, reader.schemas.remarks))
}

/// Reads a document for filling in a descriptor, which has its own login, and in which parameters
/// have more to say than in a comparison.
pub(super) fn read_for_descriptor(documents: &Documents) -> Api {
    let mut reader = Reader::new(documents);
    reader.keeps_shapes = true;
    reader.api()
}

/// Reads one document.
struct Reader<'doc> {
    root: &'doc Value,
    dialect: Dialect,
    schemas: Schemas<'doc>,
    base: Base,
    security: security::Security,
    /// The field or query parameter that the credential goes into.
    credential: Option<(Location, String)>,
    /// How many operations there are.
    found: usize,
    /// How many descriptions were cut.
    cut: usize,
    /// Whether a descriptor is filled in.
    keeps_shapes: bool,
}

/// A path with what all of its operations share.
struct Item<'doc> {
    /// The path as the document has it.
    path: &'doc str,
    /// Where it is among the paths.
    place: String,
    /// What says what it is, with the place: itself, and what it refers to.
    parts: Vec<(&'doc Map<String, Value>, String)>,
}

impl<'doc> Item<'doc> {
    /// Returns what the item has below a key, and where.
    fn get(&self, key: &str) -> Option<(&'doc Value, String)> {
        self.parts.iter().find_map(|(map, place)| Some((map.get(key)?, at(place, key))))
    }
}

/// An operation before it is read.
struct Found<'doc> {
    item: usize,
    rank: usize,
    method: Method,
    value: &'doc Map<String, Value>,
    /// Where it is among the paths.
    place: String,
    /// Where its words are: elsewhere, if it is a reference.
    body: String,
}

impl<'doc> Reader<'doc> {
    fn new(documents: &'doc Documents) -> Self {
        let root = documents.root();
        let is_swagger = root.get("openapi").is_none();
        Self {
            root,
            dialect: if is_swagger { Dialect::Swagger2 } else { Dialect::OpenApi3 },
            schemas: Schemas::new(documents),
            base: Base::default(),
            security: security::Security::default(),
            credential: None,
            found: 0,
            cut: 0,
            keeps_shapes: false,
        }
    }

    fn api(&mut self) -> Api {
        let info = self.root.get("info");
        let text = |key: &str| info.and_then(|info| info.get(key)).and_then(Value::as_str);
        let title = text("title").map(text::prose).unwrap_or_default();
        let version = text("version").map(str::trim).map(str::to_owned);
        let description = text("description").map(text::paragraph).unwrap_or_default();
        let description = cut_prose(&description, MAX_API_DESCRIPTION).0.into_owned();
        let docs = self.root.pointer("/externalDocs/url").and_then(Value::as_str);
        for key in ["webhooks", "x-webhooks"] {
            if let Some(Value::Object(hooks)) = self.root.get(key).filter(|_| key == "webhooks")
                && !hooks.is_empty()
            {
                let message = format!("{} webhooks: requests that the API makes", hooks.len());
                let help = "a descriptor holds requests to the API only";
                self.schemas.remarks.lost("/webhooks", message, help);
            }
        }
        let items = self.items();
        let found = self.found(&items);
        let pairs: Vec<(&Found<'_>, &Item<'_>)> =
            found.iter().filter_map(|found| Some((found, items.get(found.item)?))).collect();
        let servers = self.servers(&pairs);
        if !self.keeps_shapes {
            self.security = self.security(&pairs);
            self.credential = self.security.place();
        }
        let mut operations = Vec::new();
        let mut seen = HashSet::new();
        let mut inputs = 0;
        for (index, (found, item)) in pairs.iter().enumerate() {
            if servers.get(index).is_some_and(|is_here| !is_here) {
                continue;
            }
            let Some(operation) = self.operation(found, item) else { continue };
            if !seen.insert((operation.method, anonymous(&operation.path))) {
                let message = "the same method and path as another operation, which counts";
                self.schemas.remarks.lost(
                    &operation.place,
                    message,
                    "join the two in the document: a server cannot tell them apart",
                );
                continue;
            }
            inputs += operation.inputs.len();
            operations.push(operation);
            if inputs > MAX_INPUTS {
                let message = format!("only {MAX_INPUTS} parameters are read");
                self.schemas.remarks.lost("/paths", message, "split the document");
                break;
            }
        }
        if self.cut > 0 {
            let message = format!("{} descriptions were shortened", self.cut);
            let help = "look at those of tools that you use most";
            self.schemas.remarks.changed("", message, help);
        }
        Api {
            title,
            version,
            description,
            docs: docs.map(str::to_owned),
            base: self.base.clone(),
            auth: self.security.auth.clone(),
            found: self.found,
            operations,
        }
    }

    /// Returns the path items by path, references followed.
    fn items(&mut self) -> Vec<Item<'doc>> {
        let mut items = Vec::new();
        let Some(paths) = self.root.get("paths") else { return items };
        let Some((paths, root)) = self.schemas.resolve(paths, "/paths") else { return items };
        let Value::Object(paths) = paths else {
            let message = "`paths` is not an object";
            self.schemas.remarks.lost("/paths", message, "write an object of path items");
            return items;
        };
        for (path, value) in paths {
            if path.starts_with("x-") {
                continue;
            }
            let place = at(&root, path);
            let parts = self.parts(value, &place);
            if !parts.is_empty() {
                items.push(Item { path, place, parts });
            }
        }
        items.sort_by(|left, right| left.path.cmp(right.path));
        items
    }

    /// Returns a path item and what it refers to: its own words count first.
    fn parts(
        &mut self,
        value: &'doc Value,
        place: &str,
    ) -> Vec<(&'doc Map<String, Value>, String)> {
        let (mut value, mut place) = (value, place.to_owned());
        let mut parts: Vec<(&'doc Map<String, Value>, String)> = Vec::new();
        loop {
            let Value::Object(map) = value else {
                let message = "a path item is not an object, and was left out";
                self.schemas.remarks.mended(&place, message, "write an object of operations");
                break;
            };
            if parts.iter().any(|(_, known)| *known == place) {
                let message = "the reference leads in a circle";
                self.schemas.remarks.lost(&place, message, "write what it stands for");
                break;
            }
            for key in map.keys() {
                if let Some((_, own)) = parts.iter().find(|(own, _)| own.contains_key(key))
                    && key != "$ref"
                {
                    let message = format!("`{}` is beside the reference as well", excerpt(key));
                    let help = "what stands beside the reference counted: remove one of the two";
                    let own = at(own, key);
                    self.schemas.remarks.lost(&own, message, help);
                }
            }
            parts.push((map, place.clone()));
            let Some(reference) = map.get("$ref").and_then(Value::as_str) else { break };
            let Some(found) = self.schemas.follow(reference, &place) else { break };
            (value, place) = found;
        }
        parts
    }

    fn found(&mut self, items: &[Item<'doc>]) -> Vec<Found<'doc>> {
        let mut all = Vec::new();
        for (item, path) in items.iter().enumerate() {
            for (rank, (word, method)) in METHODS.into_iter().enumerate() {
                let Some((operation, body)) = path.get(word) else { continue };
                let place = at(&path.place, word);
                self.found += 1;
                // What cannot be followed is reported: what the operation takes is not known.
                let Some((operation, body)) = self.schemas.resolve(operation, &body) else {
                    continue;
                };
                let Value::Object(operation) = operation else {
                    let message = "an operation is not an object, and was left out";
                    self.schemas.remarks.mended(&place, message, "write an operation object");
                    continue;
                };
                let Some(method) = method else {
                    let message = format!("a descriptor cannot send {}", word.to_uppercase());
                    let help = "call it with another program, or ask for another method";
                    self.schemas.remarks.lost(&place, message, help);
                    continue;
                };
                if all.len() >= MAX_OPERATIONS {
                    let message = format!("only {MAX_OPERATIONS} operations are read");
                    self.schemas.remarks.lost("/paths", message, "split the document");
                    return all;
                }
                all.push(Found { item, rank, method, value: operation, place, body });
            }
        }
        all.sort_by_key(|found| (found.item, found.rank));
        all
    }

    fn operation(&mut self, found: &Found<'doc>, item: &Item<'doc>) -> Option<Operation> {
        let Found { method, value, place, body, .. } = found;
        let (declared, gone) = self.declared(value, item, body);
        // A descriptor has its own words, and needs those of the answer.
        if gone && declared.is_empty() && !self.keeps_shapes {
            self.hollow(place, "parameters");
            return None;
        }
        let (path, renamed) = self.path(item, &declared)?;
        let mut operation = Operation {
            method: *method,
            path,
            place: place.clone(),
            id: text_of(value, "operationId"),
            summary: self.line(text_of(value, "summary")),
            description: self.line(text_of(value, "description").map(|it| first(&it))),
            tags: list_of(value, "tags"),
            deprecated: flag(value, "deprecated"),
            exposure: self.exposure(value, item, body),
            inputs: Vec::new(),
            unsaid: Vec::new(),
            body: super::model::Body::None,
            body_rules: BodyRules::default(),
            accept: None,
            media: Vec::new(),
            answer: self.answer(value, body),
        };
        self.inputs(&mut operation, &declared, &renamed);
        if !self.body(&mut operation, value, body, &declared) && !self.keeps_shapes {
            self.hollow(place, "body");
            return None;
        }
        self.settle(&mut operation);
        if let Some(Value::Object(callbacks)) = value.get("callbacks")
            && !callbacks.is_empty()
        {
            let message = format!("{} callbacks: requests that the API makes", callbacks.len());
            let help = "a descriptor holds requests to the API only";
            self.schemas.remarks.lost(&at(body, "callbacks"), message, help);
        }
        Some(operation)
    }

    /// Reports an operation whose tool would lack what it sends.
    fn hollow(&mut self, place: &str, what: &str) {
        let message = format!("what the operation takes as its {what} is elsewhere; left out");
        let help = "see the reference that cannot be followed";
        self.schemas.remarks.lost(place, message, help);
    }

    /// Returns the word of the API about giving the operation to a model: its own, or that of its
    /// path. One that nobody knows may mean anything, and counts as the strictest.
    fn exposure(
        &mut self,
        operation: &Map<String, Value>,
        item: &Item<'doc>,
        place: &str,
    ) -> Option<Exposure> {
        let word = operation.get(exposure::KEY).or_else(|| Some(item.get(exposure::KEY)?.0))?;
        let known = Exposure::read(word);
        if known.is_none() {
            let message =
                format!("`{}` is none of allow, confirm, deny: taken for deny", exposure::KEY);
            let help = "look at the access level of the tool";
            self.schemas.remarks.mended(&at(place, exposure::KEY), message, help);
        }
        Some(known.unwrap_or(Exposure::Deny))
    }

    /// Returns prose of at most one description's length.
    fn line(&mut self, text: Option<String>) -> String {
        let prose = text.map(|text| text::prose(&text)).unwrap_or_default();
        let (line, was_cut) = cut_prose(&prose, MAX_DESCRIPTION);
        self.cut += usize::from(was_cut);
        line.into_owned()
    }

    /// Returns the path as a template, and the new names of placeholders by their old ones.
    fn path(
        &mut self,
        item: &Item<'doc>,
        declared: &[params::Declared<'doc>],
    ) -> Option<(String, HashMap<String, String>)> {
        let mut path = item.path.trim().to_owned();
        let place = item.place.as_str();
        let lost = |reader: &mut Self, message: &str| {
            let help = "describe the operation by hand, if the path can be written otherwise";
            reader.schemas.remarks.lost(place, format!("{message}; left out"), help);
        };
        if path.len() > MAX_PATH {
            lost(self, "the path is too long");
            return None;
        }
        if !path.starts_with('/') {
            self.schemas.remarks.mended(place, "the path does not begin with `/`", "add it");
            path.insert(0, '/');
        }
        let in_path: Vec<&str> = declared
            .iter()
            .filter(|declared| declared.location == "path")
            .map(|declared| declared.name.as_str())
            .collect();
        // `/vms/:id` is how web frameworks write it.
        if !path.contains('{') && path.contains("/:") {
            let segments = path.split('/').map(|segment| match segment.strip_prefix(':') {
                Some(name) if in_path.contains(&name) => format!("{{{name}}}"),
                _ => segment.to_owned(),
            });
            let written = segments.collect::<Vec<_>>().join("/");
            if written != path {
                let message = "`:name` in the path is no placeholder; `{name}` was taken";
                self.schemas.remarks.mended(place, message, "write `{name}`");
                path = written;
            }
        }
        let (mut written, mut renamed) = (String::new(), HashMap::new());
        for piece in pieces(&path) {
            let inside = match piece {
                Piece::Literal(text) => {
                    written.push_str(text);
                    continue;
                }
                Piece::Placeholder(inside) => inside,
                Piece::Open(_) => {
                    lost(self, "a brace in the path has no partner");
                    return None;
                }
            };
            let name = self.placeholder(inside, &in_path, place);
            let Some(name) = name else {
                lost(self, "a placeholder has no name");
                return None;
            };
            // Names that no parameter can have; the server never sees them.
            let usable = usable_name(&name);
            if usable != name {
                renamed.insert(name, usable.clone());
            }
            written.push_str(&format!("{{{usable}}}"));
        }
        match PathTemplate::parse(&written) {
            Ok(_) => Some((written, renamed)),
            Err(error) => {
                lost(self, &error.message);
                None
            }
        }
    }

    /// Returns the name of a placeholder: frameworks write `{id:[0-9]+}`, `{path*}` and `{+path}`.
    fn placeholder(&mut self, inside: &str, declared: &[&str], place: &str) -> Option<String> {
        if declared.contains(&inside) && !inside.is_empty() {
            return Some(inside.to_owned());
        }
        let name = inside.split(':').next().unwrap_or_default();
        let name = name.trim().trim_start_matches(['+', '#', '.', ';', '*', '?', '$', '&']);
        let name = name.trim_end_matches(['+', '*', '?']);
        if name != inside && !name.is_empty() {
            let message = format!("the placeholder `{{{}}}` is not plain", excerpt(inside));
            self.schemas.remarks.mended(place, message, "write a name alone between the braces");
        }
        Some(name.to_owned()).filter(|name| !name.is_empty())
    }
}

/// Makes a name that a path parameter can have.
fn usable_name(name: &str) -> String {
    let plain = |other: char| {
        !other.is_whitespace() && !other.is_control() && !matches!(other, '/' | '?' | '#' | '\\')
    };
    if name.chars().all(plain) {
        return name.to_owned();
    }
    joined(name, plain)
}

fn text_of(map: &Map<String, Value>, key: &str) -> Option<String> {
    let text = map.get(key).and_then(Value::as_str)?;
    Some(text.to_owned()).filter(|text| !text.trim().is_empty())
}

fn list_of(map: &Map<String, Value>, key: &str) -> Vec<String> {
    let items = map.get(key).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns the first paragraph of a text, with the next one if it is a heading.
fn first(text: &str) -> String {
    text::paragraph(text)
}
