//! What a profile lets through of all that is allowed: it can only narrow.

use dadl_descriptor::model::AccessLevel;

use super::{AccessDenial, AccessLevels, ToolPatterns};

/// What a profile lets through; what is left out of it narrows nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileBound {
    /// Its name.
    pub name: String,
    /// The names of its backends.
    pub backends: Option<Vec<String>>,
    /// The levels of its tools.
    pub levels: Option<AccessLevels>,
    /// Its tools, by the names that their backends or that hosts know.
    pub tools: Option<ToolPatterns>,
    /// What it leaves out, by the same names.
    pub exclude_tools: ToolPatterns,
}

/// A tool, as a profile looks at it.
#[derive(Debug, Clone, Copy)]
pub struct ProfiledTool<'entry> {
    /// The name of its backend.
    pub backend: &'entry str,
    /// The names that its backend and that hosts know.
    pub names: [&'entry str; 2],
    /// Its level.
    pub level: Option<&'entry AccessLevel>,
}

impl ProfileBound {
    /// Returns whether it has this backend.
    pub fn has_backend(&self, name: &str) -> bool {
        self.backends.as_ref().is_none_or(|all| all.iter().any(|known| known == name))
    }

    /// Returns why it leaves a tool out; `None` where it lets it through.
    pub fn denial(&self, tool: ProfiledTool<'_>) -> Option<AccessDenial> {
        let matches = |patterns: &ToolPatterns| {
            tool.names.iter().any(|name| patterns.matching(name).is_some())
        };
        let is_in = self.tools.as_ref().is_none_or(matches);
        self.denial_by_handle(tool).or_else(|| (!is_in).then(|| self.left_out()))
    }

    /// Does the same for what goes on with something that a handle names: `tools` says what is listed, and
    /// does not count.
    pub fn denial_by_handle(&self, tool: ProfiledTool<'_>) -> Option<AccessDenial> {
        let is_out = tool.names.iter().any(|name| self.exclude_tools.matching(name).is_some());
        let has_level = self.levels.as_ref().is_none_or(|levels| levels.contains(tool.level));
        let is_in = self.has_backend(tool.backend) && has_level && !is_out;
        (!is_in).then(|| self.left_out())
    }

    fn left_out(&self) -> AccessDenial {
        AccessDenial::Profile { name: self.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(
        backend: &'static str,
        name: &'static str,
        level: &'static AccessLevel,
    ) -> ProfiledTool<'static> {
        ProfiledTool { backend, names: [name, name], level: Some(level) }
    }

    #[test]
    fn what_it_does_not_name_passes() {
        let bound = ProfileBound { name: "all".to_owned(), ..ProfileBound::default() };
        assert_eq!(bound.denial(tool("xo", "delete_vm", &AccessLevel::Dangerous)), None);
    }

    #[test]
    fn each_word_narrows() {
        let patterns = |words: &[&str]| ToolPatterns::new(words.iter().copied()).unwrap();
        let bound = ProfileBound {
            name: "ops".to_owned(),
            backends: Some(vec!["xo".to_owned()]),
            levels: Some(AccessLevels::new(["read", "write"])),
            tools: Some(patterns(&["*_vm", "xo_list_*"])),
            exclude_tools: patterns(&["stop_*"]),
        };
        let passes = |tool| bound.denial(tool).is_none();
        assert!(passes(tool("xo", "start_vm", &AccessLevel::Write)));
        let by_listed_name = ProfiledTool {
            names: ["list_hosts", "xo_list_hosts"],
            ..tool("xo", "", &AccessLevel::Read)
        };
        assert!(passes(by_listed_name));
        for left_out in [
            tool("git", "start_vm", &AccessLevel::Write),
            tool("xo", "start_vm", &AccessLevel::Dangerous),
            tool("xo", "list_hosts", &AccessLevel::Read),
            tool("xo", "stop_vm", &AccessLevel::Write),
            ProfiledTool { level: None, ..tool("xo", "start_vm", &AccessLevel::Read) },
        ] {
            let denial = bound.denial(left_out).unwrap();
            assert_eq!(denial, AccessDenial::Profile { name: "ops".to_owned() });
        }
        let by_handle = |tool| bound.denial_by_handle(tool).is_none();
        assert!(by_handle(tool("xo", "get_task", &AccessLevel::Read)));
        assert!(!by_handle(tool("xo", "stop_task", &AccessLevel::Read)));
    }
}
