//! A document with the files that it refers to.
//!
//! A document may come in pieces: an operation, a parameter or a schema in a file of its own. All
//! files are read before the document is, so that one that is not there is a remark and no failure.
//! Nothing is fetched, and nothing is read but what is in the folder of the document and below.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use dadl_descriptor::FolderError;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use thiserror::Error;

use super::{
    dialect::OpenApiDialect,
    document::{self, DocumentError, MAX_BYTES, MAX_TREE},
    report::place_at,
};

/// So many files are read; the document of a cloud has 2,500.
const MAX_FILES: usize = 4_000;

/// Pointers lead through references at most so often.
const MAX_HOPS: usize = 16;

/// The files beside a document.
pub trait SiblingFiles {
    /// Returns the name of the document in its folder.
    fn name(&self) -> Option<&str>;

    /// Reads the file at a path below the folder, but not much more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    fn bytes(&mut self, path: &str, limit: usize) -> Result<Vec<u8>, FolderError>;
}

/// For a document that is no file.
pub(super) struct NoSiblings;

impl SiblingFiles for NoSiblings {
    fn name(&self) -> Option<&str> {
        None
    }

    fn bytes(&mut self, _: &str, _: usize) -> Result<Vec<u8>, FolderError> {
        Err(FolderError::Text)
    }
}

/// Why a reference leads nowhere, in words that follow a colon. Nothing of a file is quoted: it may be
/// any file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum UnresolvedReference {
    /// It is somewhere on the network.
    #[error("it is an address, and nothing is fetched")]
    Address,
    /// The way there is longer than any that ends.
    #[error("it leads in a circle")]
    Circle,
    /// It is elsewhere.
    #[error("it leaves the folder of the document")]
    Leaves,
    /// The name has a character that separates in an address.
    #[error("its name has a character that no file of a document has")]
    Name,
    /// There is no folder.
    #[error("it is another file, and a document that is no file has no folder")]
    NoFolder,
    /// The file has nothing to refer to.
    #[error("{0}")]
    NoDocument(&'static str),
    /// The file, or the whole document, has nothing there.
    #[error("nothing is there")]
    Nothing,
    /// All files together take too much.
    #[error("the files of the document are larger than {} bytes together", MAX_BYTES)]
    TooLarge,
    /// There are too many.
    #[error("only {} files are read", MAX_FILES)]
    TooMany,
    /// The system does not let it be read.
    #[error("{0}")]
    Unreadable(String),
}

impl UnresolvedReference {
    /// Returns what to do about it.
    pub(super) const fn help(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Circle => {
                "add what is missing to the document, or remove the reference"
            }
            Self::NoFolder => "bundle the document into one file, then import that",
            _ => "save it beside the document, or bundle the document into one file",
        }
    }
}

/// A document and the files that it refers to; the first is the document.
#[derive(Debug)]
pub(super) struct DocumentSet {
    list: Vec<DocumentFile>,
    /// The files by their paths below the folder.
    files: HashMap<String, Result<usize, UnresolvedReference>>,
    /// What has an address of its own (`$id`, `$self`): its file, and the pointer to it.
    addresses: HashMap<String, (usize, String)>,
    /// The pointers of all references.
    pointers: BTreeSet<String>,
}

#[derive(Debug)]
struct DocumentFile {
    /// The path below the folder; empty when it is not known.
    path: String,
    root: Value,
    /// Pointers by the names of anchors.
    anchors: HashMap<String, String>,
}

impl DocumentSet {
    /// Reads a document and the files that it refers to.
    ///
    /// # Errors
    ///
    /// Says why the bytes are no document. A file that cannot be read is no error.
    pub(super) fn read(bytes: &[u8], beside: &mut dyn SiblingFiles) -> Result<Self, DocumentError> {
        let (root, mut cost) = document::parse_document(bytes)?;
        let mut size = bytes.len();
        let path = beside.name().unwrap_or_default().to_owned();
        let mut all = Self {
            list: Vec::new(),
            files: HashMap::new(),
            addresses: HashMap::new(),
            pointers: BTreeSet::new(),
        };
        if !path.is_empty() {
            all.files.insert(path.clone(), Ok(0));
        }
        if let Some(own) = root.get("$self").and_then(Value::as_str) {
            all.addresses.insert(own.to_owned(), (0, String::new()));
        }
        let mut wanted = all.add(path, root);
        let mut at = 0;
        while at < wanted.len() {
            let Some((from, file)) = wanted.get(at).cloned() else { break };
            at += 1;
            let base = all.list.get(from).map(|known| known.path.as_str()).unwrap_or_default();
            let Ok(path) = path_of(base, &file) else { continue };
            if all.files.contains_key(&path) || all.addresses.contains_key(&file) {
                continue;
            }
            match all.file(&path, beside, &mut size, &mut cost) {
                Ok(root) => {
                    all.files.insert(path.clone(), Ok(all.list.len()));
                    wanted.extend(all.add(path, root));
                }
                Err(gone) => {
                    all.files.insert(path, Err(gone));
                }
            }
        }
        Ok(all)
    }

    /// Adds a file; returns the files that it refers to, with its number.
    fn add(&mut self, path: String, root: Value) -> Vec<(usize, String)> {
        let number = self.list.len();
        let mut found = CollectedReferences::default();
        found.collect(&root, &mut Vec::new());
        for (address, pointer) in found.addresses {
            self.addresses.entry(address).or_insert((number, pointer));
        }
        self.pointers.extend(found.pointers);
        self.list.push(DocumentFile { path, root, anchors: found.anchors });
        found.files.into_iter().map(|file| (number, file)).collect()
    }

    fn file(
        &self,
        path: &str,
        beside: &mut dyn SiblingFiles,
        size: &mut usize,
        cost: &mut u64,
    ) -> Result<Value, UnresolvedReference> {
        if self.list.len() >= MAX_FILES {
            return Err(UnresolvedReference::TooMany);
        }
        let room = MAX_BYTES.saturating_sub(*size);
        let bytes = beside.bytes(path, room).map_err(|error| match error {
            FolderError::Text | FolderError::Bundled => UnresolvedReference::NoFolder,
            FolderError::PathLeaves => UnresolvedReference::Leaves,
            FolderError::LinkLeaves => UnresolvedReference::Unreadable(
                "a link leads out of the folder of the document".to_owned(),
            ),
            other => UnresolvedReference::Unreadable(other.to_string()),
        })?;
        if bytes.len() > room {
            return Err(UnresolvedReference::TooLarge);
        }
        *size += bytes.len();
        let (root, taken) =
            document::parse_tree(&bytes, MAX_TREE.saturating_sub(*cost)).map_err(|error| {
                match error {
                    DocumentError::Encoding => UnresolvedReference::NoDocument("it is not UTF-8"),
                    DocumentError::Empty => UnresolvedReference::NoDocument("it is empty"),
                    DocumentError::TooLarge | DocumentError::TooComplex => {
                        UnresolvedReference::TooLarge
                    }
                    _ => UnresolvedReference::NoDocument("it is neither JSON nor YAML"),
                }
            })?;
        *cost += taken;
        if root.is_object() || root.is_array() {
            Ok(root)
        } else {
            Err(UnresolvedReference::NoDocument("it is neither JSON nor YAML"))
        }
    }

    /// Returns the document itself.
    pub(super) fn root(&self) -> &Value {
        self.list.first().map_or(&Value::Null, |first| &first.root)
    }

    /// Returns whether what stands beside a `$ref` counts in schemas: from OpenAPI 3.1 on.
    pub(super) fn counts_siblings(&self) -> bool {
        let version = self.root().get("openapi");
        let version = version.map(|it| it.as_str().map_or(it.to_string(), str::to_owned));
        version.is_some_and(|version| !version.starts_with("3.0"))
    }

    /// Returns the generation of the document.
    pub(super) fn dialect(&self) -> OpenApiDialect {
        match self.root().get("openapi") {
            Some(_) => OpenApiDialect::OpenApi3,
            None => OpenApiDialect::Swagger2,
        }
    }

    /// Returns whether a reference leads to what is at a place, or to something in it.
    pub(super) fn is_referred(&self, place: &str) -> bool {
        let (_, pointer) = self.split(place);
        let from = (Bound::Included(pointer), Bound::Unbounded);
        let mut behind = self.pointers.range::<str, _>(from);
        // What only begins with the same name comes before what is in it.
        behind.by_ref().take_while(|known| known.starts_with(pointer)).any(|known| {
            known.get(pointer.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Returns each file: the place of its root, and the root.
    pub(super) fn roots(&self) -> impl Iterator<Item = (String, &Value)> {
        let place = |number| self.place(number, "");
        self.list.iter().enumerate().map(move |(number, it)| (place(number), &it.root))
    }

    /// Returns what is at a place, and where that is if a reference leads there.
    pub(super) fn at(&self, place: &str) -> Option<(&Value, String)> {
        let (number, pointer) = self.split(place);
        self.walk(number, pointer, MAX_HOPS).ok()
    }

    /// Returns what the references of a value lead to in the end.
    pub(super) fn end<'all>(
        &'all self,
        mut value: &'all Value,
        mut place: String,
    ) -> Option<(&'all Value, String)> {
        for _ in 0..MAX_HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Some((value, place));
            };
            (value, place) = self.find(reference, &place).ok()?;
        }
        None
    }

    /// Returns what a reference that stands at `place` leads to, with its place.
    ///
    /// # Errors
    ///
    /// Says why it leads nowhere.
    pub(super) fn find(
        &self,
        reference: &str,
        place: &str,
    ) -> Result<(&Value, String), UnresolvedReference> {
        self.found(reference, place, MAX_HOPS)
    }

    fn found(
        &self,
        reference: &str,
        place: &str,
        hops: usize,
    ) -> Result<(&Value, String), UnresolvedReference> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let (from, _) = self.split(place);
        let mut begin = "";
        let number = if file.is_empty() {
            from
        } else if let Some((number, pointer)) = self.addresses.get(file) {
            begin = pointer;
            *number
        } else {
            let base = self.list.get(from).map(|known| known.path.as_str()).unwrap_or_default();
            match self.files.get(&path_of(base, file)?) {
                Some(Ok(number)) => *number,
                Some(Err(gone)) => return Err(gone.clone()),
                None => return Err(UnresolvedReference::Nothing),
            }
        };
        let decoded = percent_decode_str(fragment).decode_utf8_lossy();
        for fragment in [fragment, decoded.as_ref()] {
            let anchor = self.list.get(number).and_then(|known| known.anchors.get(fragment));
            let pointer = match anchor {
                Some(pointer) => pointer.clone(),
                None if fragment.is_empty() || fragment.starts_with('/') => {
                    format!("{begin}{fragment}")
                }
                None => continue,
            };
            match self.walk(number, &pointer, hops) {
                Err(UnresolvedReference::Nothing) => {}
                other => return other,
            }
        }
        Err(UnresolvedReference::Nothing)
    }

    /// Follows a pointer; a container on the way may be a reference itself.
    fn walk(
        &self,
        number: usize,
        pointer: &str,
        hops: usize,
    ) -> Result<(&Value, String), UnresolvedReference> {
        let root =
            self.list.get(number).map(|known| &known.root).ok_or(UnresolvedReference::Nothing)?;
        if let Some(found) = root.pointer(pointer) {
            return Ok((found, self.place(number, pointer)));
        }
        let (mut value, mut place, mut hops) = (root, self.place(number, ""), hops);
        for step in pointer.split('/').skip(1) {
            let key = step.replace("~1", "/").replace("~0", "~");
            let mut next = child(value, &key);
            while next.is_none() {
                let reference = value
                    .get("$ref")
                    .and_then(Value::as_str)
                    .ok_or(UnresolvedReference::Nothing)?;
                hops = hops.checked_sub(1).ok_or(UnresolvedReference::Circle)?;
                (value, place) = self.found(reference, &place, hops)?;
                next = child(value, &key);
            }
            value = next.ok_or(UnresolvedReference::Nothing)?;
            place = place_at(&place, &key);
        }
        Ok((value, place))
    }

    /// Returns the place of a pointer: in the document itself the pointer, and in another file its
    /// path with the pointer as the fragment.
    fn place(&self, number: usize, pointer: &str) -> String {
        match self.list.get(number) {
            Some(known) if number > 0 => format!("{}#{pointer}", known.path),
            _ => pointer.to_owned(),
        }
    }

    /// Returns the file and the pointer of a place.
    fn split<'place>(&self, place: &'place str) -> (usize, &'place str) {
        if place.is_empty() || place.starts_with('/') {
            return (0, place);
        }
        // No name of a file has the sign, and a key of one may.
        let (path, pointer) = place.split_once('#').unwrap_or((place, ""));
        match self.files.get(path) {
            Some(Ok(number)) => (*number, pointer),
            _ => (0, pointer),
        }
    }
}

/// Returns whether a value of a discriminator's mapping is a reference, and not the name of a schema.
pub(super) fn is_reference(text: &str) -> bool {
    text.contains(['/', '#'])
        || [".json", ".yaml", ".yml"].iter().any(|ending| text.ends_with(ending))
}

/// Returns the path below the folder that a reference in the file `base` leads to.
fn path_of(base: &str, file: &str) -> Result<String, UnresolvedReference> {
    let decoded = percent_decode_str(file).decode_utf8().map_err(|_| UnresolvedReference::Name)?;
    let scheme = decoded.split(['/', '?', '#']).next().unwrap_or_default();
    if decoded.starts_with("//") || scheme.contains(':') {
        return Err(UnresolvedReference::Address);
    }
    if decoded.starts_with(['/', '\\']) {
        return Err(UnresolvedReference::Leaves);
    }
    if decoded.contains(['\\', ':', '?', '#']) || decoded.chars().any(char::is_control) {
        return Err(UnresolvedReference::Name);
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in decoded.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(UnresolvedReference::Leaves)?;
            }
            other => parts.push(other),
        }
    }
    Ok(parts.join("/"))
}

/// What a file refers to, and what it can be referred to by.
#[derive(Default)]
struct CollectedReferences {
    files: BTreeSet<String>,
    anchors: HashMap<String, String>,
    addresses: Vec<(String, String)>,
    pointers: BTreeSet<String>,
}

/// A step from a value to one in it.
enum PointerStep<'doc> {
    Key(&'doc str),
    Index(usize),
}

impl CollectedReferences {
    fn collect<'doc>(&mut self, value: &'doc Value, way: &mut Vec<PointerStep<'doc>>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value) {
                        ("$ref" | "operationRef" | "$dynamicRef", Value::String(reference)) => {
                            self.refer(reference);
                        }
                        ("mapping", Value::Object(mapping)) => {
                            let texts = mapping.values().filter_map(Value::as_str);
                            texts.filter(|text| is_reference(text)).for_each(|it| self.refer(it));
                        }
                        ("$anchor" | "$dynamicAnchor", Value::String(name)) => {
                            self.anchors.entry(name.clone()).or_insert_with(|| pointer(way));
                        }
                        ("$id", Value::String(address)) => {
                            let address = address.trim_end_matches('#').to_owned();
                            self.addresses.push((address, pointer(way)));
                        }
                        _ => {}
                    }
                    way.push(PointerStep::Key(key));
                    self.collect(value, way);
                    way.pop();
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    way.push(PointerStep::Index(index));
                    self.collect(value, way);
                    way.pop();
                }
            }
            _ => {}
        }
    }

    fn refer(&mut self, reference: &str) {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if !file.is_empty() {
            self.files.insert(file.to_owned());
        }
        if fragment.starts_with('/') && !self.pointers.contains(fragment) {
            self.pointers.insert(fragment.to_owned());
        }
    }
}

fn pointer(way: &[PointerStep<'_>]) -> String {
    way.iter().fold(String::new(), |place, step| match step {
        PointerStep::Key(key) => place_at(&place, key),
        PointerStep::Index(index) => format!("{place}/{index}"),
    })
}

/// Returns what one step of a JSON Pointer (RFC 6901) leads to.
fn child<'all>(value: &'all Value, key: &str) -> Option<&'all Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
