//! What happened to a document on its way: each thing with its place.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use dadl_text::text::start_of;

/// Of a text of the document so many characters are shown.
const MAX_SHOWN: usize = 80;

/// So many remarks of a kind are kept; the rest is counted.
const MAX_REMARKS: usize = 20_000;

/// What kind of thing a remark tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RemarkKind {
    /// The document says something that the descriptor cannot say.
    Lost,
    /// The document is wrong, and what it means was taken.
    Mended,
    /// The descriptor says it in another way.
    Changed,
}

impl RemarkKind {
    /// Every kind, the one that matters most first.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Mended, Self::Changed];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Mended => "mended",
            Self::Changed => "changed",
        }
    }
}

impl fmt::Display for RemarkKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One thing that was lost, mended or said in another way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImportRemark {
    /// What kind of thing.
    pub kind: RemarkKind,
    /// Where in the document: a JSON Pointer (RFC 6901).
    pub place: String,
    /// What it is.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
}

/// Remarks in the order in which they were made, each once.
#[derive(Debug, Default)]
pub struct ImportRemarks {
    list: Vec<ImportRemark>,
    seen: HashSet<ImportRemark>,
    counts: HashMap<RemarkKind, usize>,
    dropped: usize,
}

impl ImportRemarks {
    /// Adds a remark, unless it is there or there are too many.
    pub(super) fn add(
        &mut self,
        kind: RemarkKind,
        place: &str,
        message: impl Into<String>,
        help: &'static str,
    ) {
        let remark = ImportRemark { kind, place: place.to_owned(), message: message.into(), help };
        if self.seen.contains(&remark) {
            return;
        }
        // What is lost must not be crowded out by what is less.
        let count = self.counts.entry(kind).or_default();
        if *count >= MAX_REMARKS {
            self.dropped += 1;
            return;
        }
        *count += 1;
        self.seen.insert(remark.clone());
        self.list.push(remark);
    }

    /// Adds what is lost.
    pub(super) fn lost(&mut self, place: &str, message: impl Into<String>, help: &'static str) {
        self.add(RemarkKind::Lost, place, message, help);
    }

    /// Adds what was mended.
    pub(super) fn mended(&mut self, place: &str, message: impl Into<String>, help: &'static str) {
        self.add(RemarkKind::Mended, place, message, help);
    }

    /// Adds what is said in another way.
    pub(super) fn changed(&mut self, place: &str, message: impl Into<String>, help: &'static str) {
        self.add(RemarkKind::Changed, place, message, help);
    }

    /// Returns the remarks.
    pub fn list(&self) -> &[ImportRemark] {
        &self.list
    }

    /// Returns how many remarks there were no room for.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Returns how many remarks of a kind are kept.
    pub fn count(&self, kind: RemarkKind) -> usize {
        self.counts.get(&kind).copied().unwrap_or_default()
    }
}

/// Returns what a remark shows of a text of the document.
pub(super) fn excerpt(text: &str) -> String {
    start_of(text, MAX_SHOWN)
}

/// Returns the pointer to the member `key` of what is at `place`.
pub(super) fn place_at(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Returns the pointer to an item of the list at `place`.
pub(super) fn place_item(place: &str, index: usize) -> String {
    format!("{place}/{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_remark_is_made_once() {
        let mut remarks = ImportRemarks::default();
        for _ in 0..2 {
            remarks.lost("/a", "gone", "look");
            remarks.mended("/a", "gone", "look");
        }
        assert_eq!((remarks.list().len(), remarks.count(RemarkKind::Lost)), (2, 1));
    }

    #[test]
    fn pointers_escape_their_separators() {
        assert_eq!(place_at("/paths", "/a~b"), "/paths/~1a~0b");
    }
}
