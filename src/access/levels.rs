//! Levels that an operator gives to tools whose author has none to give: those of other MCP servers.

use dadl_descriptor::model::AccessLevel;

use super::{PatternError, ToolPatterns, UNCLASSIFIED};

/// Which level the tools have whose names fit a pattern; the first pattern that fits counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LevelMap {
    /// Without a level a tool stays unclassified.
    levels: Vec<(ToolPatterns, Option<AccessLevel>)>,
}

impl LevelMap {
    /// Adds a name or a glob, behind those that are there.
    ///
    /// # Errors
    ///
    /// It is no glob.
    pub fn push(&mut self, pattern: &str, level: &str) -> Result<(), PatternError> {
        let level = (level != UNCLASSIFIED).then(|| AccessLevel::from_word(level));
        self.levels.push((ToolPatterns::new([pattern])?, level));
        Ok(())
    }

    /// Returns the level of the tool that its server calls `tool`; `None` where nobody gave it one.
    pub fn level_of(&self, tool: &str) -> Option<&AccessLevel> {
        let mut levels = self.levels.iter();
        levels.find(|(pattern, _)| pattern.matching(tool).is_some())?.1.as_ref()
    }

    /// Returns the patterns that fit none of `tools`: they are probably mistyped.
    pub fn without_match<'tool>(
        &self,
        tools: impl Iterator<Item = &'tool str> + Clone,
    ) -> Vec<&str> {
        let patterns = self.levels.iter().map(|(pattern, _)| pattern);
        patterns.flat_map(|pattern| pattern.without_match(tools.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(levels: &[(&str, &str)]) -> LevelMap {
        let mut map = LevelMap::default();
        levels.iter().for_each(|(pattern, level)| map.push(pattern, level).unwrap());
        map
    }

    #[test]
    fn the_first_pattern_that_fits_counts() {
        let levels = map(&[
            ("delete_draft", "write"),
            ("delete_*", "dangerous"),
            ("get_{secret,key}", "unclassified"),
            ("get_*", "read"),
            ("audit", "audit"),
            ("get_token", "admin"),
        ]);
        let level = |tool| levels.level_of(tool).map(AccessLevel::as_str);
        assert_eq!(level("delete_draft"), Some("write"));
        assert_eq!(level("delete_repo"), Some("dangerous"));
        assert_eq!(level("get_repo"), Some("read"));
        assert_eq!(level("get_token"), Some("read"));
        assert_eq!(level("get_secret"), None);
        assert_eq!(level("audit"), Some("audit"));
        // Case and parts of names mean nothing.
        assert_eq!(
            (level("Delete_repo"), level("undelete_repo"), level("get")),
            (None, None, None)
        );
        assert_eq!(LevelMap::default().level_of("get_repo"), None);
    }

    #[test]
    fn what_fits_no_tool_is_told() {
        let levels = map(&[("get_*", "read"), ("gte_*", "read"), ("delete_*", "dangerous")]);
        let tools = ["get_repo", "delete_repo"];
        assert_eq!(levels.without_match(tools.into_iter()), ["gte_*"]);
    }
}
