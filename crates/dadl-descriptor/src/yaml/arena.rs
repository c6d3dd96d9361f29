//! Where the collections of a tree are kept.

use std::fmt;

use typed_arena::Arena;

use super::{YamlEntry, YamlNode};

/// Texts have at least so many bytes for an entry of a mapping, as a rule.
const BYTES_OF_ENTRY: usize = 20;

/// And for an item of a sequence.
const BYTES_OF_ITEM: usize = 200;

/// A block with more goes back to the system when it is freed, and so that an allocator learns nothing from it,
/// it gets so much more room, which takes no memory (`DEFAULT_MMAP_THRESHOLD_MAX` of the GNU allocator).
const LARGE: usize = 1024 * 1024;
const BLOCK: usize = 33 * 1024 * 1024;

/// Keeps the collections of trees in a few large blocks, each collection in one piece and without room for more;
/// they are freed at once. A tree of a megabyte of text is otherwise a hundred thousand blocks.
pub struct YamlArena<'text> {
    entries: Arena<YamlEntry<'text>>,
    items: Arena<YamlNode<'text>>,
}

impl Default for YamlArena<'_> {
    /// Has room for small texts.
    fn default() -> Self {
        Self::for_length(4096)
    }
}

impl fmt::Debug for YamlArena<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("YamlArena").finish_non_exhaustive()
    }
}

impl<'text> YamlArena<'text> {
    /// Has room for what a text of so many bytes usually has; there may be more.
    pub fn for_length(bytes: usize) -> Self {
        Self {
            entries: Arena::with_capacity(room::<YamlEntry<'text>>(bytes / BYTES_OF_ENTRY)),
            items: Arena::with_capacity(room::<YamlNode<'text>>(bytes / BYTES_OF_ITEM)),
        }
    }

    /// Keeps the entries of a mapping.
    pub(crate) fn entries(
        &'text self,
        entries: impl ExactSizeIterator<Item = YamlEntry<'text>>,
    ) -> &'text [YamlEntry<'text>] {
        if entries.len() == 0 { &[] } else { self.entries.alloc_extend(entries) }
    }

    /// Keeps a node.
    pub(crate) fn node(&'text self, node: YamlNode<'text>) -> &'text YamlNode<'text> {
        self.items.alloc(node)
    }

    /// Keeps the items of a sequence.
    pub(crate) fn items(
        &'text self,
        items: impl ExactSizeIterator<Item = YamlNode<'text>>,
    ) -> &'text [YamlNode<'text>] {
        if items.len() == 0 { &[] } else { self.items.alloc_extend(items) }
    }
}

/// Returns for how many values a block has room that is to have `wanted`.
fn room<T>(wanted: usize) -> usize {
    let size = size_of::<T>();
    if wanted * size <= LARGE { wanted } else { wanted.max(BLOCK / size) }
}
