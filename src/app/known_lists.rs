//! The list of a server that is in use: where it comes from, and what another one would change.

use std::{collections::BTreeMap, path::Path, time::SystemTime};

use dadl_text::text::{cut_text, one_line, text_fingerprint};
use serde_json::Value;

use crate::{
    config::{
        known_list::{KeptFileError, KnownList, KnownListPlace},
        tool_pins::{PinnedList, ServerPins},
    },
    mcp_client::{ServerLink, ServerList},
    outcome::timestamp::rfc3339,
};

/// A longer text of a server about itself is cut.
const LONGEST_NAME: usize = 100;

/// What came of asking a server for what it has.
#[derive(Debug, Clone, Default)]
pub enum ServerFound {
    /// It was not asked.
    #[default]
    NotAsked,
    /// It has answered.
    Listed(Box<FoundServer>),
    /// It has not, or was not asked, and what it listed in an earlier run is used.
    Known(Box<KnownServer>),
    /// It has not, and why.
    Failed(String),
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub struct FoundServer {
    /// Its name and version, on one line.
    pub name: String,
    /// The revision of the protocol.
    pub revision: String,
    /// How many of each it has: tools, resources, templates, prompts.
    pub counts: [usize; 4],
}

/// A server whose last known list is used.
#[derive(Debug, Clone)]
pub struct KnownServer {
    /// What it said of itself.
    pub found: FoundServer,
    /// When it listed what is used.
    pub listed: SystemTime,
    /// Why there is no newer list; `None` where none was wanted (`start: lazy`).
    pub why: Option<String>,
}

impl KnownServer {
    /// Says which list is used, and why.
    pub fn sentence(&self) -> String {
        let [tools, ..] = self.found.counts;
        let when = rfc3339(self.listed);
        match &self.why {
            Some(why) => format!("its last known list of {tools} tools, of {when}, is used: {why}"),
            None => format!(
                "its last known list of {tools} tools, of {when}, is used until a call starts it"
            ),
        }
    }
}

/// What is known of the lists of a server besides its tools.
#[derive(Debug, Clone, Default)]
pub struct ServerListing {
    /// Where its last list is kept.
    pub(super) place: Option<KnownListPlace>,
    /// What a person has pinned.
    pub(crate) pins: ServerPins,
    /// What tells the list in use from another one.
    digests: ListDigests,
    /// What the link had told when the list was asked for.
    seen: Option<SeenNews>,
}

/// What had happened at a server before its list was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenNews {
    /// How often it has said that a list of its changed.
    pub(super) changes: u64,
    /// How often it has introduced itself.
    pub(super) starts: u64,
}

/// What is different in another list of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListNews {
    /// The names of tools that are new.
    pub added: Vec<String>,
    /// Of tools that say something else.
    pub changed: Vec<String>,
    /// Of tools that are gone.
    pub removed: Vec<String>,
    /// Whether its resources or templates are others.
    pub resources: bool,
    /// Whether its prompts are.
    pub prompts: bool,
    /// Whether how it is used is said otherwise.
    pub instructions: bool,
    /// What an operator should know of the list.
    pub remarks: Vec<String>,
}

impl ListNews {
    /// Returns whether hosts would see other tools.
    pub fn has_other_tools(&self) -> bool {
        !(self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty())
    }

    /// Returns whether nothing is different.
    pub fn is_empty(&self) -> bool {
        !(self.has_other_tools() || self.resources || self.prompts || self.instructions)
    }
}

/// Digests of the parts of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ListDigests {
    tools: BTreeMap<String, String>,
    resources: String,
    prompts: String,
    instructions: String,
}

/// That of a server which has nothing.
impl Default for ListDigests {
    fn default() -> Self {
        Self::of(&ServerList::default())
    }
}

impl ListDigests {
    fn of(list: &ServerList) -> Self {
        let digest = |values: &[&[Value]]| {
            text_fingerprint(&serde_json::to_string(values).unwrap_or_default())
        };
        let tools = list.tools.iter().filter_map(|item| {
            Some((item.get("name")?.as_str()?.to_owned(), text_fingerprint(&item.to_string())))
        });
        Self {
            tools: tools.collect(),
            resources: digest(&[&list.resources, &list.templates]),
            prompts: digest(&[&list.prompts]),
            instructions: text_fingerprint(list.instructions.as_deref().unwrap_or_default()),
        }
    }

    fn news(&self, now: &Self) -> ListNews {
        let named = |names: &Self, is_wanted: &dyn Fn(&str, &str) -> bool| {
            let names = names.tools.iter().filter(|(name, digest)| is_wanted(name, digest));
            names.map(|(name, _)| name.clone()).collect()
        };
        ListNews {
            added: named(now, &|name, _| !self.tools.contains_key(name)),
            changed: named(now, &|name, digest| {
                self.tools.get(name).is_some_and(|before| before != digest)
            }),
            removed: named(self, &|name, _| !now.tools.contains_key(name)),
            resources: self.resources != now.resources,
            prompts: self.prompts != now.prompts,
            instructions: self.instructions != now.instructions,
            remarks: Vec::new(),
        }
    }
}

impl ServerListing {
    pub(super) fn new(place: Option<KnownListPlace>, pins: ServerPins) -> Self {
        Self { place, pins, ..Self::default() }
    }

    /// Returns where the last list of the server is kept.
    pub(crate) fn place(&self) -> Option<&Path> {
        self.place.as_ref().map(KnownListPlace::path)
    }

    /// Reads the last known list.
    pub(super) fn known(&self, backend: &str) -> Option<KnownList<ServerList>> {
        match self.place.as_ref()?.read() {
            Ok(known) => Some(known),
            Err(KeptFileError::Missing) => None,
            Err(error) => {
                tracing::warn!(backend, "the last known list of the server is not used: {error}");
                None
            }
        }
    }

    /// Keeps a list for the next start.
    pub(super) fn keep(&self, backend: &str, list: &ServerList) {
        let Some(place) = &self.place else { return };
        match place.write(list, SystemTime::now()) {
            // Another process has asked the same server.
            Ok(()) | Err(KeptFileError::Busy) => {}
            Err(error) => tracing::debug!(backend, "the list of the server is not kept: {error}"),
        }
    }

    /// Notes that a list is in use; returns what is different since the one before.
    pub(super) fn note(&mut self, list: &ServerList) -> ListNews {
        let digests = ListDigests::of(list);
        let news = self.digests.news(&digests);
        self.digests = digests;
        news
    }

    /// Notes what the server had told before the list in use was read.
    pub(super) fn note_news(&mut self, seen: Option<SeenNews>) {
        self.seen = seen;
    }

    pub(super) fn seen(&self) -> Option<SeenNews> {
        self.seen
    }
}

impl SeenNews {
    /// Returns what a server has told so far.
    pub(super) fn of(link: &ServerLink) -> Self {
        Self { changes: *link.changes().borrow(), starts: *link.starts().borrow() }
    }
}

/// Returns what a list says of its server, for people.
pub(super) fn found(list: &ServerList) -> FoundServer {
    let name = server_name(list);
    FoundServer {
        name: cut_text(one_line(&name).trim(), LONGEST_NAME).into_owned(),
        revision: cut_text(&one_line(&list.revision), LONGEST_NAME).into_owned(),
        counts: [list.tools.len(), list.resources.len(), list.templates.len(), list.prompts.len()],
    }
}

fn server_name(list: &ServerList) -> String {
    let text = |key: &str| list.server.get(key).and_then(|it| it.as_str()).unwrap_or_default();
    format!("{} {}", text("name"), text("version"))
}

/// Returns what pins hold of a list.
pub(crate) fn pinned_list(list: &ServerList) -> PinnedList {
    PinnedList::of(&found(list).name, &list.tools, list.instructions.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(tools: &[(&str, &str)]) -> ServerList {
        let item = |(name, text): &(&str, &str)| json!({ "name": name, "description": text });
        ServerList { tools: tools.iter().map(item).collect(), ..ServerList::default() }
    }

    #[test]
    fn news_are_what_is_different() {
        let mut listing = ServerListing::default();
        let first = listing.note(&list(&[("a", "1"), ("b", "1"), ("c", "1")]));
        assert_eq!(first.added, ["a", "b", "c"]);
        let same = listing.note(&list(&[("c", "1"), ("b", "1"), ("a", "1")]));
        assert!(same.is_empty(), "{same:?}");
        let mut other = list(&[("a", "1"), ("b", "2"), ("d", "1")]);
        other.prompts.push(json!({ "name": "greet" }));
        let news = listing.note(&other);
        assert_eq!(
            (&news.added[..], &news.removed[..]),
            (&["d".to_owned()][..], &["c".to_owned()][..])
        );
        assert_eq!(news.changed, ["b"]);
        assert!(news.prompts && !news.resources && !news.instructions && news.has_other_tools());
        other.instructions = Some("Use it.".to_owned());
        other.resources.push(json!({ "uri": "a:b" }));
        let news = listing.note(&other);
        assert!(news.instructions && news.resources && !news.has_other_tools() && !news.is_empty());
    }

    #[test]
    fn a_list_is_kept_whole() {
        let mut list = list(&[("a", "1")]);
        list.instructions = Some("Use it.".to_owned());
        list.server = json!({ "name": "git", "version": "1" });
        list.remarks.push("it is cut".to_owned());
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<ServerList>(&text).unwrap(), list);
        // What a later version adds is no reason to lose the rest.
        let more = text.replacen('{', "{\"new\":[],", 1);
        assert_eq!(serde_json::from_str::<ServerList>(&more).unwrap(), list);
        assert_eq!(found(&list).name, "git 1");
    }
}
