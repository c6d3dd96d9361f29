//! Kinds of objects, and which tool lists those of a kind.
//!
//! A descriptor says how one object is read. What lists them is the tool whose path is that of the
//! reader without its last segment, where it only reads and needs no argument.

use dadl_descriptor::model::{RequestMethod, RestOperation, ToolRequest, events::ObjectReader};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Map;

use super::{BackendResources, ResourceHub};
use crate::{
    access::AccessDecision,
    catalog::{BackendId, CatalogEntry},
    gate::PendingCall,
};

/// What is escaped in an identifier (RFC 3986, section 2.3).
const NO_SEGMENT: AsciiSet =
    NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'@');

/// A kind of object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObjectKind<'a> {
    backend: &'a BackendResources,
    reader: &'a ObjectReader,
}

impl ObjectKind<'_> {
    /// Returns its collection.
    pub(crate) fn collection(&self) -> &str {
        &self.reader.collection
    }

    /// Returns the name of its backend.
    pub(crate) fn backend(&self) -> &str {
        &self.backend.name
    }

    /// Returns the URI of one of them.
    pub(crate) fn uri(&self, id: &str) -> String {
        let id = utf8_percent_encode(id, &NO_SEGMENT);
        format!("{}://{}/{id}", self.backend.scheme, self.reader.collection)
    }

    /// Returns the members of a listed object that may have its identifier, the likeliest first.
    pub(crate) fn id_members(&self) -> [&str; 3] {
        [&self.reader.param, "id", "uuid"]
    }
}

impl ResourceHub {
    /// Finds the kind whose URIs are made so, such as `xo://VM/{id}`.
    pub(crate) fn kind_of_template(&self, template: &str) -> Option<ObjectKind<'_>> {
        let (scheme, rest) = template.split_once("://")?;
        let collection = rest.strip_suffix("/{id}")?;
        let mut backends = self.inner.backends.iter();
        let backend = backends.find(|it| it.scheme.eq_ignore_ascii_case(scheme))?;
        object_kind(backend, |reader| reader.collection.eq_ignore_ascii_case(collection))
    }

    /// Finds the kind that is called so, whatever the case.
    pub(crate) fn kind_named(&self, backend: BackendId, name: &str) -> Option<ObjectKind<'_>> {
        let backend = self.backend(backend)?;
        object_kind(backend, |reader| reader.collection.eq_ignore_ascii_case(name))
    }

    /// Finds the kind of which a tool reads one by this argument.
    pub(crate) fn kind_read_by(
        &self,
        backend: BackendId,
        tool: &str,
        param: &str,
    ) -> Option<ObjectKind<'_>> {
        let backend = self.backend(backend)?;
        object_kind(backend, |reader| reader.tool == tool && reader.param == param)
    }

    /// Returns the call that lists a kind, when there is one that may be made.
    pub(crate) fn list_call(&self, kind: ObjectKind<'_>) -> Option<PendingCall<'_>> {
        let gate = &self.inner.gate;
        let ObjectKind { backend, reader } = kind;
        let one = gate.catalog().find_declared(backend.id, &reader.tool)?;
        let all = entry_path(one)?.strip_suffix(&format!("/{{{}}}", reader.param))?;
        let lists = |entry: &&CatalogEntry| {
            entry.backend == backend.id
                && entry.decision == AccessDecision::Allow
                && entry.annotations.read_only
                && entry_path(entry) == Some(all)
                && entry.params.iter().all(|it| !it.param.required)
        };
        let entry = gate.catalog().entries().iter().find(lists)?;
        let pending = gate.check(&entry.name, Map::new()).ok()?;
        (!pending.needs_consent()).then_some(pending)
    }

    /// Returns the kinds of which a few are listed, with the calls that list them.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (ObjectKind<'_>, PendingCall<'_>)> {
        let gate = &self.inner.gate;
        self.inner.backends.iter().flat_map(move |backend| {
            let listers = backend.events.resources.as_ref().map_or(&[][..], |it| &it.listers);
            listers.iter().filter_map(move |lister| {
                let kind = object_kind(backend, |reader| reader.collection == lister.collection)?;
                let entry = gate.catalog().find_declared(backend.id, &lister.tool)?;
                let may = entry.decision == AccessDecision::Allow && entry.annotations.read_only;
                let pending = may.then(|| gate.check(&entry.name, Map::new()).ok())??;
                (!pending.needs_consent()).then_some((kind, pending))
            })
        })
    }

    fn backend(&self, id: BackendId) -> Option<&BackendResources> {
        self.inner.backends.iter().find(|backend| backend.id == id)
    }
}

fn object_kind(
    backend: &BackendResources,
    is_it: impl Fn(&&ObjectReader) -> bool,
) -> Option<ObjectKind<'_>> {
    let reader = backend.readers.iter().find(is_it)?;
    Some(ObjectKind { backend, reader })
}

/// Returns the path of a tool that gets values.
fn entry_path(entry: &CatalogEntry) -> Option<&str> {
    let tool = entry.tool()?;
    let gives_values = !tool.response.binary && !tool.response.is_stream();
    match &tool.request {
        ToolRequest::Http(RestOperation { method, path, .. })
            if *method == RequestMethod::Get && gives_values =>
        {
            Some(path.as_str())
        }
        ToolRequest::Http(_) | ToolRequest::Rpc(_) => None,
    }
}
