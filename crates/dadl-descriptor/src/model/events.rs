//! Events of an API: which stream carries them and what they are about (`_dadl_mcp.events`).

use std::time::Duration;

use serde_json::Value;

use crate::model::json_path::JsonPath;

/// How an API tells what changes.
///
/// Paths look into an item as `collect` gives it: for server-sent events, an object of `event`,
/// `id` and `data`.
#[derive(Debug, Clone)]
pub struct EventRules {
    /// The tool that opens the stream; it takes no required argument.
    pub stream: String,
    /// How collections are added to an open stream; one without carries all that there is.
    pub subscribe: Option<SubscribeCall>,
    /// Events that say nothing but that the connection is alive; nobody sees them.
    pub keep_alive: Vec<String>,
    /// A connection that is silent for longer is broken; `None` when silence says nothing.
    pub silence: Option<Duration>,
    /// The events that say that an object was added, changed or removed.
    pub changes: Vec<String>,
    /// Where an item names the object that changed.
    pub object: Option<JsonPath>,
    /// Where an item names the collection of that object. Objects are told apart by their
    /// identifiers alone where it is not given, or selects nothing.
    pub collection: Option<JsonPath>,
    /// The objects that can be read as MCP resources.
    pub resources: Option<ResourceRules>,
}

/// The call that adds a collection to an open stream.
#[derive(Debug, Clone)]
pub struct SubscribeCall {
    /// The event that begins a stream, when there is one.
    pub opening: String,
    /// Where that item names the stream.
    pub id: JsonPath,
    /// The tool that is called for each collection.
    pub tool: String,
    /// Its arguments, by the names on the wire.
    pub arguments: Vec<(String, Value)>,
}

/// Objects as resources `scheme://collection/id`.
#[derive(Debug, Clone)]
pub struct ResourceRules {
    /// The scheme of their URIs (RFC 3986, section 3.1), in lower case.
    pub scheme: String,
    /// The collections, each with the tool that reads one of its objects.
    pub readers: Vec<ObjectReader>,
    /// The collections of which a few objects are listed.
    pub listers: Vec<CollectionLister>,
}

/// How the objects of a collection are listed.
#[derive(Debug, Clone)]
pub struct CollectionLister {
    /// The collection, as its reader has it.
    pub collection: String,
    /// The tool; it takes no required argument.
    pub tool: String,
}

/// How an object of a collection is read.
#[derive(Debug, Clone)]
pub struct ObjectReader {
    /// The collection, as events and subscriptions name it.
    pub collection: String,
    /// The tool.
    pub tool: String,
    /// The parameter that takes the identifier, by its name on the wire.
    pub param: String,
}

impl SubscribeCall {
    /// What stands for the identifier of the stream.
    pub const STREAM: &'static str = "{stream}";
    /// What stands for the collection.
    pub const COLLECTION: &'static str = "{collection}";

    /// Returns the arguments for a stream and a collection.
    pub fn arguments_for(
        &self,
        stream: &str,
        collection: &str,
    ) -> impl Iterator<Item = (String, Value)> {
        self.arguments.iter().map(move |(name, value)| {
            let value = match value {
                Value::String(text) if text == Self::STREAM => stream.into(),
                Value::String(text) if text == Self::COLLECTION => collection.into(),
                other => other.clone(),
            };
            (name.clone(), value)
        })
    }
}

impl EventRules {
    /// Returns how an object of this collection is read; upper and lower case are the same, since
    /// clients change the case of what stands before the path of a URI.
    pub fn reader(&self, collection: &str) -> Option<&ObjectReader> {
        let readers = &self.resources.as_ref()?.readers;
        readers.iter().find(|reader| reader.collection.eq_ignore_ascii_case(collection))
    }
}
