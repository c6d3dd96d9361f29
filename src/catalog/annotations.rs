//! MCP's behavior hints, from the access level and the request method.
//!
//! Hosts ask a person before calls that do not claim to be reads, so that a missing hint costs a
//! click on each read; a wrong one may cost data. The author's word goes before the method.

use std::collections::HashSet;

use dadl_descriptor::model::{AccessLevel, Composite, Descriptor, RequestMethod, Tool};

use super::{CatalogOperation, ServerTool};

/// MCP's tool annotations, all four given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolHints {
    /// `readOnlyHint`: the author says `access: read` (a search by POST included), or says nothing
    /// and the method is safe.
    pub read_only: bool,
    /// `destructiveHint`: the level is `dangerous`, the method is DELETE, or the author gave no
    /// level to a method that is not safe: MCP's own default, since nobody said otherwise.
    pub destructive: bool,
    /// `idempotentHint`: a second call changes nothing more.
    pub idempotent: bool,
    /// `openWorldHint`: true of an API. Every tool talks to a server whose state others change too;
    /// false would promise a closed world, and this program cannot know that. An MCP server may.
    pub open_world: bool,
}

impl ToolHints {
    /// Derives the hints of an operation of `descriptor`.
    pub(crate) fn of(operation: CatalogOperation<'_>, descriptor: &Descriptor) -> Self {
        match operation {
            CatalogOperation::Tool(tool) => Self::of_tool(tool),
            CatalogOperation::Composite(composite) => Self::of_composite(composite, descriptor),
            CatalogOperation::Server(tool) => Self::of_server_tool(tool),
        }
    }

    /// What a server says of itself never makes a call more harmless than the operator's level: hosts ask
    /// nobody before a read.
    fn of_server_tool(ServerTool { access, proposed, .. }: &ServerTool) -> Self {
        let read_only = *access == Some(AccessLevel::Read);
        let is_dangerous = *access == Some(AccessLevel::Dangerous);
        // Where it says nothing, MCP's own defaults count.
        let destructive = is_dangerous || proposed.destructive.unwrap_or(true);
        Self {
            read_only,
            destructive: !read_only && destructive,
            idempotent: read_only || proposed.idempotent.unwrap_or(false),
            open_world: proposed.open_world.unwrap_or(true),
        }
    }

    /// A composite is as harmless as the least harmless tool that it may call.
    fn of_composite(composite: &Composite, descriptor: &Descriptor) -> Self {
        let names: HashSet<&str> = composite.calls.iter().map(String::as_str).collect();
        let called = || {
            let checks = descriptor.health.iter().map(|health| &health.tool);
            let tools = descriptor.tools.iter().chain(checks);
            let is_called = |tool: &&Tool| names.contains(tool.name.as_str());
            tools.filter(is_called).map(Self::of_tool)
        };
        let read_only =
            composite.access == Some(AccessLevel::Read) && called().all(|it| it.read_only);
        let harmful = matches!(composite.access, None | Some(AccessLevel::Dangerous));
        Self {
            read_only,
            destructive: !read_only && (harmful || called().any(|it| it.destructive)),
            // Two harmless steps may make a harmful sequence when they are repeated.
            idempotent: read_only,
            open_world: true,
        }
    }

    fn of_tool(tool: &Tool) -> Self {
        let read_only = match &tool.access {
            // Searches are POSTs; a read that puts or deletes is a slip.
            Some(AccessLevel::Read) if tool.lowered => false,
            Some(AccessLevel::Read) => {
                tool.method().is_safe() || tool.method() == RequestMethod::Post
            }
            Some(_) => false,
            None => tool.method().is_safe(),
        };
        let harmful = matches!(tool.access, None | Some(AccessLevel::Dangerous))
            || tool.method() == RequestMethod::Delete;
        Self {
            read_only,
            destructive: !read_only && harmful,
            idempotent: read_only || tool.method().is_idempotent(),
            open_world: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::fixture;

    /// Returns the hints that are set, `openWorldHint` left out.
    fn hints(method: &str, access: Option<&str>) -> String {
        let mut tool = fixture::tool(method, "/x", &[]);
        tool.access = access.map(AccessLevel::from_word);
        let hints = ToolHints::of_tool(&tool);
        assert!(hints.open_world);
        [(hints.read_only, "r"), (hints.destructive, "d"), (hints.idempotent, "i")]
            .into_iter()
            .filter_map(|(set, letter)| set.then_some(letter))
            .collect()
    }

    #[test]
    fn the_authors_word_goes_before_the_method() {
        assert_eq!(hints("GET", Some("read")), "ri");
        assert_eq!(hints("POST", Some("read")), "ri");
        assert_eq!(hints("PUT", Some("read")), "i");
        assert_eq!(hints("DELETE", Some("read")), "di");
        assert_eq!(hints("GET", Some("dangerous")), "di");
        assert_eq!(hints("POST", Some("write")), "");
        assert_eq!(hints("PUT", Some("admin")), "i");
        assert_eq!(hints("POST", Some("dangerous")), "d");
        assert_eq!(hints("DELETE", Some("write")), "di");
        assert_eq!(hints("POST", Some("audit")), "");
    }

    #[test]
    fn without_a_level_only_safe_methods_are_harmless() {
        assert_eq!(hints("GET", None), "ri");
        assert_eq!(hints("HEAD", None), "ri");
        assert_eq!(hints("POST", None), "d");
        assert_eq!(hints("DELETE", None), "di");
    }
}
