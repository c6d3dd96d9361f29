//! Finds the tool that a question is about, among thousands.
//!
//! A model that sees hundreds of tools pays for all of them in each conversation; one that can ask for those
//! it needs pays for these. It asks in the words of the person whom it serves, and the tools have those of
//! their API, so that words are brought to their stems, typos repaired, and general words for the same thing
//! known (`server` is a machine, `get rid of` is `delete`). What an API calls things otherwise, its
//! [words of people](BackendWords) say, and what they say word for word for one tool its keywords. Of a story the
//! clause that asks counts most. Tools that are alike but for the kind of thing are a
//! [family](ToolFamily), so that they do not drown the others. Something is always nearest: which questions no
//! tool fits is [said as well](SearchFindings).
//!
//! It is pure: no socket, no file, no environment; and the same texts and questions give the same answer.
//!
//! ```
//! use dadl_search::{SearchIndex, SearchQuery, ToolEffect, ToolText};
//!
//! let tools = [
//!     ToolText { name: "list_vms".into(), description: "VMs.".into(), ..ToolText::default() },
//!     ToolText {
//!         name: "delete_vm".into(),
//!         description: "Destroy a VM and its disks.".into(),
//!         effect: ToolEffect::Changes,
//!         ..ToolText::default()
//!     },
//! ];
//! let index = SearchIndex::build(&tools, &[]);
//! let queries = ["how do I get rid of a machine".to_owned()];
//! let found = index.search(SearchQuery { queries: &queries, backend: None });
//! assert_eq!(found.hits[0].position, 1);
//! ```
//!
//! It is a part of dadl-mcp and promises no stability: any version may change anything.

mod clauses;
mod family;
mod fit;
mod glob;
mod index;
mod phrases;
mod query;
mod rank;
mod reading;
mod spelling;
mod thesaurus;
mod tool_text;
mod words;

pub use self::{
    family::ToolFamily,
    index::SearchIndex,
    rank::{MOST_QUERIES, SearchFindings, SearchHit, SearchQuery},
    tool_text::{BackendWords, ParamText, ToolEffect, ToolText},
    words::text_stems,
};
