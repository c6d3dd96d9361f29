//! Reads a document, whatever is wrong with it.

mod answer;
mod body;
mod defaults;
mod duplicates;
mod encoding;
mod needs;
mod params;
mod path;
mod security;
mod server;
mod style;
mod twins;
mod verdict;

pub(super) use answer::media_essence;
pub(super) use params::push_sentence;

use std::collections::HashSet;

use dadl_descriptor::model::{BodyRules, ParamKind, ParamLocation, ParamStyle, RequestMethod};
use dadl_text::{names::path::anonymous, text::cut_prose};
use serde_json::{Map, Value};

use super::{
    dialect::OpenApiDialect,
    document::DocumentError,
    documents::{DocumentSet, NoSiblings, SiblingFiles},
    hint::AccessHint,
    ledger::DocumentObject,
    model::{ApiBase, ApiModel, ApiOperation},
    report::{ImportRemarks, excerpt, place_at},
    schema::{SchemaReader, schema_flag},
    text,
};

/// So many operations are read.
const MAX_OPERATIONS: usize = 20_000;

/// So many parameters are read; a descriptor has room for fewer.
const MAX_INPUTS: usize = 100_000;

/// The longest description of an operation, in characters: models read it in each conversation.
const MAX_DESCRIPTION: usize = 300;

/// The longest description of an API, in characters.
const MAX_API_DESCRIPTION: usize = 600;

/// The methods of OpenAPI, in the order in which the tools of a path are written.
const METHODS: [(&str, Option<RequestMethod>); 9] = [
    ("get", Some(RequestMethod::Get)),
    ("head", Some(RequestMethod::Head)),
    ("post", Some(RequestMethod::Post)),
    ("put", Some(RequestMethod::Put)),
    ("patch", Some(RequestMethod::Patch)),
    ("delete", Some(RequestMethod::Delete)),
    ("options", None),
    ("trace", None),
    ("query", None),
];

/// How dialects of JSON Schema begin whose words are read.
const DIALECTS: [&str; 4] = [
    "http://json-schema.org/draft-",
    "https://json-schema.org/draft/",
    "https://spec.openapis.org/oas/3.",
    "https://spec.openapis.org/oas/3/",
];

/// Reads a document, JSON or YAML, that is no file.
///
/// # Errors
///
/// Says why the bytes are no document.
pub fn read_document(bytes: &[u8]) -> Result<(ApiModel, ImportRemarks), DocumentError> {
    read_beside(bytes, &mut NoSiblings)
}

/// Reads a document, JSON or YAML, and the files beside it that it refers to.
///
/// # Errors
///
/// Says why the bytes are no document. What cannot be followed is a remark.
pub fn read_beside(
    bytes: &[u8],
    beside: &mut dyn SiblingFiles,
) -> Result<(ApiModel, ImportRemarks), DocumentError> {
    let documents = DocumentSet::read(bytes, beside)?;
    let mut reader = OpenApiReader::new(&documents);
    duplicates::report_duplicates(bytes, &mut reader.schemas.remarks);
    let api = reader.read_api();
    Ok((api, reader.schemas.remarks))
}

/// Reads a document for filling in a descriptor, which has its own login, and in which parameters
/// have more to say than in a comparison.
pub(super) fn read_for_descriptor(documents: &DocumentSet) -> ApiModel {
    let mut reader = OpenApiReader::new(documents);
    reader.keeps_shapes = true;
    reader.schemas.is_accounted = false;
    reader.read_api()
}

/// Reads one document.
struct OpenApiReader<'doc> {
    root: &'doc Value,
    dialect: OpenApiDialect,
    schemas: SchemaReader<'doc>,
    base: ApiBase,
    security: security::SecurityDecision,
    /// The fields, query parameters and cookies that the credential goes into.
    credential: Vec<(ParamLocation, String)>,
    /// How many operations there are.
    found: usize,
    /// How many descriptions were cut.
    cut: usize,
    /// Whether a descriptor is filled in.
    keeps_shapes: bool,
    /// What the operation must have and does not say where.
    placeless: Option<String>,
}

/// A path with what all of its operations share.
struct PathItem<'doc> {
    /// The path as the document has it.
    path: &'doc str,
    /// Where it is among the paths.
    place: String,
    /// What says what it is, with the place: itself, and what it refers to.
    parts: Vec<(&'doc Map<String, Value>, String)>,
}

impl<'doc> PathItem<'doc> {
    /// Returns what the item has below a key, and where.
    fn get(&self, key: &str) -> Option<(&'doc Value, String)> {
        self.parts.iter().find_map(|(map, place)| Some((map.get(key)?, place_at(place, key))))
    }
}

/// An operation before it is read.
struct FoundOperation<'doc> {
    item: usize,
    rank: usize,
    method: RequestMethod,
    value: &'doc Map<String, Value>,
    /// Where it is among the paths.
    place: String,
    /// Where its words are: elsewhere, if it is a reference.
    body: String,
}

/// A parameter as the document has it.
struct DeclaredParameter<'doc> {
    name: String,
    /// `path`, `query`, `header`, `cookie`, `body` or `formData`.
    location: String,
    value: &'doc Map<String, Value>,
    place: String,
}

impl<'doc> OpenApiReader<'doc> {
    fn new(documents: &'doc DocumentSet) -> Self {
        let root = documents.root();
        Self {
            root,
            dialect: documents.dialect(),
            schemas: SchemaReader::new(documents),
            base: ApiBase::default(),
            security: security::SecurityDecision::default(),
            credential: Vec::new(),
            found: 0,
            cut: 0,
            keeps_shapes: false,
            placeless: None,
        }
    }

    /// Returns whether the document knows what came with OpenAPI 3.2.
    fn is_3_2(&self) -> bool {
        let version = self.root.get("openapi").and_then(Value::as_str).unwrap_or_default();
        version.starts_with("3.") && !version.starts_with("3.0") && !version.starts_with("3.1")
    }

    fn read_api(&mut self) -> ApiModel {
        let info = self.root.get("info");
        let text = |key: &str| info.and_then(|info| info.get(key)).and_then(Value::as_str);
        let title = text("title").map(text::prose).unwrap_or_default();
        let version = text("version").map(str::trim).map(str::to_owned);
        let description = text("description").map(text::paragraph).unwrap_or_default();
        let description = cut_prose(&description, MAX_API_DESCRIPTION).0.into_owned();
        let docs = self.root.pointer("/externalDocs/url").and_then(Value::as_str);
        if let Some(Value::Object(hooks)) = self.root.get("webhooks")
            && !hooks.is_empty()
        {
            let message = format!("{} webhooks: requests that the API makes", hooks.len());
            let help = "a descriptor holds requests to the API only";
            self.schemas.remarks.lost("/webhooks", message, help);
        }
        self.frame();
        let items = self.read_items();
        let found = self.find_operations(&items);
        let pairs: Vec<(&FoundOperation<'_>, &PathItem<'_>)> =
            found.iter().filter_map(|found| Some((found, items.get(found.item)?))).collect();
        let servers = self.read_servers(&pairs);
        if !self.keeps_shapes {
            self.security = self.read_security(&pairs);
            self.credential = self.security.places();
        }
        let mut operations = Vec::new();
        let mut seen = HashSet::new();
        let mut inputs = 0;
        for (index, (found, item)) in pairs.iter().enumerate() {
            if servers.get(index).is_some_and(|is_here| !is_here) {
                continue;
            }
            let Some(mut operation) = self.read_operation(found, item) else { continue };
            operation.credential = self.security.needs.get(index).copied().unwrap_or_default();
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
        ApiModel {
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

    /// Reports what the document says around its paths and nobody reads.
    fn frame(&mut self) {
        let Value::Object(root) = self.root else { return };
        self.schemas.account(DocumentObject::Root, root, "");
        for (key, object) in
            [("info", DocumentObject::Info), ("components", DocumentObject::Components)]
        {
            if let Some((Value::Object(map), place)) = self.schemas.member(root, "", key) {
                self.schemas.account(object, map, &place);
            }
        }
        let dialect = root.get("jsonSchemaDialect").and_then(Value::as_str);
        if let Some(dialect) =
            dialect.filter(|it| !DIALECTS.iter().any(|known| it.starts_with(known)))
        {
            let message = format!("the dialect of schemas, `{}`, is not known", excerpt(dialect));
            let help = "its words were read as those of JSON Schema: check what came out of them";
            self.schemas.remarks.lost("/jsonSchemaDialect", message, help);
        }
    }

    /// Returns the path items by path, references followed.
    fn read_items(&mut self) -> Vec<PathItem<'doc>> {
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
            let place = place_at(&root, path);
            let parts = self.read_parts(value, &place);
            if !parts.is_empty() {
                items.push(PathItem { path, place, parts });
            }
        }
        items.sort_by(|left, right| left.path.cmp(right.path));
        items
    }

    /// Returns a path item and what it refers to: its own words count first.
    fn read_parts(
        &mut self,
        value: &'doc Value,
        place: &str,
    ) -> Vec<(&'doc Map<String, Value>, String)> {
        let (mut value, mut place) = (value, place.to_owned());
        let mut parts: Vec<(&'doc Map<String, Value>, String)> = Vec::new();
        loop {
            let Value::Object(map) = value else {
                let message = "a path item is not an object, and was left out";
                self.schemas.remarks.lost(&place, message, "write an object of operations");
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
                    let own = place_at(own, key);
                    self.schemas.remarks.lost(&own, message, help);
                }
            }
            self.schemas.account(DocumentObject::PathItem, map, &place);
            parts.push((map, place.clone()));
            let Some(reference) = map.get("$ref").and_then(Value::as_str) else { break };
            let Some(found) = self.schemas.follow(reference, &place) else { break };
            (value, place) = found;
        }
        parts
    }

    fn find_operations(&mut self, items: &[PathItem<'doc>]) -> Vec<FoundOperation<'doc>> {
        let mut all = Vec::new();
        for (item, path) in items.iter().enumerate() {
            for (rank, (word, method)) in METHODS.into_iter().enumerate() {
                let Some((operation, body)) = path.get(word) else { continue };
                let place = place_at(&path.place, word);
                self.found += 1;
                // What cannot be followed is reported: what the operation takes is not known.
                let Some((operation, body)) = self.schemas.resolve(operation, &body) else {
                    continue;
                };
                let Value::Object(operation) = operation else {
                    let message = "an operation is not an object, and was left out";
                    self.schemas.remarks.lost(&place, message, "write an operation object");
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
                all.push(FoundOperation { item, rank, method, value: operation, place, body });
            }
        }
        all.sort_by_key(|found| (found.item, found.rank));
        for path in items {
            if let Some((others, place)) = path.get("additionalOperations") {
                self.additional(others, &place);
            }
        }
        all
    }

    /// Reports operations with methods of their own: each counts as one that is no tool.
    fn additional(&mut self, others: &'doc Value, place: &str) {
        let Some((Value::Object(others), place)) = self.schemas.resolve(others, place) else {
            return;
        };
        for method in others.keys().filter(|method| !method.starts_with("x-")) {
            self.found += 1;
            let message = format!("a descriptor cannot send {}", excerpt(method));
            let help = "call it with another program, or ask for another method";
            self.schemas.remarks.lost(&place_at(&place, method), message, help);
        }
    }

    fn read_operation(
        &mut self,
        found: &FoundOperation<'doc>,
        item: &PathItem<'doc>,
    ) -> Option<ApiOperation> {
        let FoundOperation { method, value, place, body, .. } = found;
        self.schemas.account(DocumentObject::Operation, value, body);
        let (declared, gone) = self.read_declared(value, item, body);
        // A descriptor has its own words, and needs those of the answer.
        if gone && declared.is_empty() && !self.keeps_shapes {
            self.hollow(place, "parameters");
            return None;
        }
        let path::DescriptorPath { text: path, renamed, styles } =
            self.read_path(item, &declared)?;
        let mut operation = ApiOperation {
            method: *method,
            path,
            place: place.clone(),
            id: text_of(value, "operationId"),
            summary: self.read_line(text_of(value, "summary")),
            description: self.read_line(text_of(value, "description").map(|it| first_line(&it))),
            tags: list_of(value, "tags"),
            deprecated: schema_flag(value, "deprecated"),
            credential: super::model::CredentialNeed::default(),
            hint: self.read_hint(value, item, body),
            inputs: Vec::new(),
            hopeless: None,
            unsaid: Vec::new(),
            body: super::model::BodyEncoding::None,
            body_rules: BodyRules::default(),
            accept: None,
            media: Vec::new(),
            answer: self.read_answer(value, body),
        };
        operation.accept = operation.answer.accept();
        self.read_inputs(&mut operation, &declared, &renamed);
        for input in operation.inputs.iter_mut().filter(|it| it.location == ParamLocation::Path) {
            if let Some(style) =
                styles.get(&input.name).filter(|_| input.form.style == ParamStyle::Usual)
            {
                input.form.style = *style;
                if *style == ParamStyle::Segments {
                    (input.kind, input.union) = (ParamKind::String, None);
                }
            }
        }
        if !self.read_body(&mut operation, value, body, &declared) && !self.keeps_shapes {
            self.hollow(place, "body");
            return None;
        }
        self.judge(&mut operation, value, &declared);
        self.settle_twins(&mut operation);
        defaults::settle_defaults(&mut operation);
        if let Some(Value::Object(callbacks)) = value.get("callbacks")
            && !callbacks.is_empty()
        {
            let message = format!("{} callbacks: requests that the API makes", callbacks.len());
            let help = "a descriptor holds requests to the API only";
            self.schemas.remarks.lost(&place_at(body, "callbacks"), message, help);
        }
        Some(operation)
    }

    /// Reports an operation whose tool would lack what it sends.
    fn hollow(&mut self, place: &str, what: &str) {
        let message = format!("what the operation takes as its {what} is elsewhere; left out");
        let help = "see the reference that cannot be followed";
        self.schemas.remarks.lost(place, message, help);
    }

    /// Returns what the API says about giving the operation to a model: the operation itself, else
    /// its path, else the document. A word that nobody knows may mean anything, and counts as the
    /// strictest.
    fn read_hint(
        &mut self,
        operation: &'doc Map<String, Value>,
        item: &PathItem<'doc>,
        place: &str,
    ) -> Option<AccessHint> {
        let own = std::iter::once(operation);
        let levels = own.chain(item.parts.iter().map(|(part, _)| *part));
        let hint = AccessHint::read(levels.chain(self.root.as_object()))?;
        if hint.is_odd {
            let message =
                format!("`{}` is none of allow, confirm, deny: taken for deny", excerpt(&hint.key));
            let help = "look at the access level of the tool";
            self.schemas.remarks.mended(&place_at(place, &hint.key), message, help);
        }
        Some(hint)
    }

    /// Returns prose of at most one description's length.
    fn read_line(&mut self, text: Option<String>) -> String {
        let prose = text.map(|text| text::prose(&text)).unwrap_or_default();
        let (line, was_cut) = cut_prose(&prose, MAX_DESCRIPTION);
        self.cut += usize::from(was_cut);
        line.into_owned()
    }
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
fn first_line(text: &str) -> String {
    text::paragraph(text)
}
