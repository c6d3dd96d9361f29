//! Who may see and call what: pure predicates over tools.
//!
//! A backend allows a set of access levels and, optionally, named tools only; exclusion wins over
//! inclusion. The operator's `--access` is an upper bound that no file can lift. What is not
//! clearly allowed is denied, and a denial names the setting that would allow the call. A tool whose
//! path names a host is denied, whatever its level, unless the operator admits that host.

mod levels;
mod origin;
mod profile;

use std::fmt;

use dadl_descriptor::model::{AccessLevel, template::OtherHost};
use dadl_text::text::cut_text;
use url::Url;

pub(crate) use self::origin::NoOrigin;
pub use self::{
    levels::LevelMap,
    origin::AllowedOrigin,
    profile::{ProfileBound, ProfiledTool},
};

/// The word for tools whose author gave no level.
pub const UNCLASSIFIED: &str = "unclassified";
/// The word that allows every level, unclassified and custom ones included.
pub const ALL: &str = "all";

/// A set of access levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLevels(Vec<String>);

impl Default for AccessLevels {
    /// Read alone.
    fn default() -> Self {
        Self(vec![AccessLevel::Read.as_str().to_owned()])
    }
}

impl AccessLevels {
    /// Makes a set of the given words; [`ALL`] and [`UNCLASSIFIED`] have a meaning of their own.
    pub fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut words: Vec<String> = words.into_iter().map(Into::into).collect();
        words.sort();
        words.dedup();
        Self(words)
    }

    /// Returns whether a tool of this level is in the set.
    pub fn contains(&self, access: Option<&AccessLevel>) -> bool {
        let word = access.map_or(UNCLASSIFIED, AccessLevel::as_str);
        self.0.iter().any(|level| level == ALL || level == word)
    }
}

impl fmt::Display for AccessLevels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(", "))
    }
}

/// What one backend allows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccessPolicy {
    /// The levels that the backend's settings allow.
    pub levels: AccessLevels,
    /// The operator's upper bound (`--access`), when given.
    pub bound: Option<AccessLevels>,
    /// Only these tools, when given.
    pub tools: Option<ToolPatterns>,
    /// Never these tools.
    pub exclude_tools: ToolPatterns,
    /// Where tools may lead whose paths name a host.
    pub origins: Vec<AllowedOrigin>,
}

/// A longer pattern names no tool, in bytes.
pub const LONGEST_PATTERN: usize = 512;

/// So many alternatives in braces a pattern may have: they may be nested.
const MOST_BRACES: usize = 32;

/// Names and globs of tools.
#[derive(Debug, Clone, Default)]
pub struct ToolPatterns {
    patterns: Vec<(String, globset::GlobMatcher)>,
}

impl PartialEq for ToolPatterns {
    fn eq(&self, other: &Self) -> bool {
        let texts =
            |it: &Self| it.patterns.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        texts(self) == texts(other)
    }
}

/// Why a text is no pattern. The operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Compiling it would take long.
    #[error(
        "`{}` is no glob: one has at most {LONGEST_PATTERN} bytes and {MOST_BRACES} braces",
        cut_text(.0, 40)
    )]
    Large(String),
    /// It is no glob.
    #[error("`{text}` is no glob: {kind}")]
    Malformed {
        /// What was written.
        text: String,
        /// What is wrong with it.
        kind: globset::ErrorKind,
    },
}

impl ToolPatterns {
    /// Compiles `patterns`.
    ///
    /// # Errors
    ///
    /// One of them is no glob.
    pub fn new(
        patterns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, PatternError> {
        let compiled = patterns.into_iter().map(|pattern| {
            let text = pattern.into();
            if text.len() > LONGEST_PATTERN || text.matches('{').count() > MOST_BRACES {
                return Err(PatternError::Large(text));
            }
            match globset::Glob::new(&text) {
                Ok(glob) => Ok((text, glob.compile_matcher())),
                Err(error) => Err(PatternError::Malformed { text, kind: error.kind().clone() }),
            }
        });
        Ok(Self { patterns: compiled.collect::<Result<_, _>>()? })
    }

    /// Returns the first pattern that matches `tool`.
    pub fn matching(&self, tool: &str) -> Option<&str> {
        self.patterns.iter().find(|(_, glob)| glob.is_match(tool)).map(|(text, _)| text.as_str())
    }

    /// Returns whether one of the patterns is this name.
    pub fn names(&self, tool: &str) -> bool {
        self.patterns.iter().any(|(text, _)| text == tool)
    }

    /// Returns the patterns that match none of `tools`: they are probably mistyped.
    pub fn without_match<'tool>(
        &self,
        tools: impl Iterator<Item = &'tool str> + Clone,
    ) -> Vec<&str> {
        self.patterns
            .iter()
            .filter(|(_, glob)| !tools.clone().any(|tool| glob.is_match(tool)))
            .map(|(text, _)| text.as_str())
            .collect()
    }
}

/// Whether a tool may be listed and called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessDecision {
    /// It may.
    Allow,
    /// It may not, and why.
    Deny(AccessDenial),
}

/// Why a tool may not be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessDenial {
    /// `--access` leaves the level out.
    Bound {
        /// The tool's level.
        level: String,
    },
    /// `exclude_tools` has a pattern that matches.
    Excluded {
        /// The pattern.
        pattern: String,
    },
    /// The backend's `access` leaves the level out.
    Level {
        /// The tool's level.
        level: String,
    },
    /// Nobody has given a level to this tool of an MCP server.
    NoLevel,
    /// `tools` is given and no pattern of it matches.
    NotIncluded,
    /// The path of the tool is at another host, which `allow_origins` does not have.
    Origin {
        /// The scheme, host and port.
        origin: String,
    },
    /// The path of the tool is at another host, and nobody can say which.
    Host,
    /// The profile that is served leaves it out.
    Profile {
        /// The name of the profile.
        name: String,
    },
    /// A person has pinned the tools of this MCP server, and this is not what they saw.
    Pin(PinDoubt),
}

/// Why a tool is not what a person has pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinDoubt {
    /// It was something else.
    Changed,
    /// It was not there.
    New,
    /// Nobody knows: the pins cannot be read.
    Unusable,
}

impl AccessPolicy {
    /// Returns whether reading is allowed at all.
    pub fn may_read(&self) -> bool {
        let read = Some(&AccessLevel::Read);
        self.levels.contains(read) && self.bound.as_ref().is_none_or(|bound| bound.contains(read))
    }

    /// Decides about the tool called `name` in its descriptor, whose path leads to `elsewhere` if it
    /// names a host.
    pub fn decide(
        &self,
        name: &str,
        access: Option<&AccessLevel>,
        elsewhere: Option<&OtherHost>,
    ) -> AccessDecision {
        let is_admitted = |url: &Url| self.origins.iter().any(|allowed| allowed.is_at(url));
        match elsewhere {
            None => {}
            Some(OtherHost::Unclear) => return AccessDecision::Deny(AccessDenial::Host),
            Some(OtherHost::Origin(url)) if is_admitted(url) => {}
            Some(OtherHost::Origin(url)) => {
                let origin = url.origin().ascii_serialization();
                return AccessDecision::Deny(AccessDenial::Origin { origin });
            }
        }
        let level = || access.map_or(UNCLASSIFIED, AccessLevel::as_str).to_owned();
        if let Some(pattern) = self.exclude_tools.matching(name) {
            return AccessDecision::Deny(AccessDenial::Excluded { pattern: pattern.to_owned() });
        }
        if self.tools.as_ref().is_some_and(|tools| tools.matching(name).is_none()) {
            return AccessDecision::Deny(AccessDenial::NotIncluded);
        }
        if !self.levels.contains(access) {
            return AccessDecision::Deny(AccessDenial::Level { level: level() });
        }
        if self.bound.as_ref().is_some_and(|bound| !bound.contains(access)) {
            return AccessDecision::Deny(AccessDenial::Bound { level: level() });
        }
        AccessDecision::Allow
    }
}

impl AccessDenial {
    /// Says which setting of `backend` would allow `tool`.
    pub fn remedy(&self, backend: &str, tool: &str) -> String {
        match self {
            Self::Bound { level } => format!("start dadl-mcp with `{level}` in --access"),
            Self::Excluded { pattern } => {
                format!("remove `{pattern}` from `exclude_tools` of backend `{backend}`")
            }
            Self::Level { level } => {
                format!("add `{level}` to `access` of backend `{backend}` in backends.yaml")
            }
            Self::NoLevel => format!(
                "give it one under `levels` of backend `{backend}` in backends.yaml, such as \
                 `{tool}: read` where it changes nothing"
            ),
            Self::NotIncluded => format!("add `{tool}` to `tools` of backend `{backend}`"),
            Self::Origin { origin } => format!(
                "if you trust that host, write `allow_origins: [\"{origin}\"]` for backend \
                 `{backend}` in backends.yaml, or add `--allow-origin {origin}`"
            ),
            Self::Host => format!("correct the `path` of `{tool}` in the descriptor"),
            Self::Profile { name } => {
                format!("add it to profile `{name}` in backends.yaml, or use another profile")
            }
            Self::Pin(PinDoubt::Changed | PinDoubt::New) => format!(
                "`dadl-mcp pin --review {backend}` shows what is different, and asks a person"
            ),
            Self::Pin(PinDoubt::Unusable) => "`dadl-mcp pin --list` says why".to_owned(),
        }
    }
}

impl fmt::Display for AccessDenial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound { level } => write!(formatter, "--access does not allow level `{level}`"),
            Self::Excluded { pattern } => write!(formatter, "excluded by `{pattern}`"),
            Self::Level { level } => write!(formatter, "access level `{level}` is not allowed"),
            Self::NoLevel => formatter.write_str("it has no access level"),
            Self::NotIncluded => formatter.write_str("not among the tools that are allowed"),
            Self::Origin { origin } => write!(formatter, "its path is at another host, {origin}"),
            Self::Host => {
                formatter.write_str("its path is at another host, and not clearly at one")
            }
            Self::Profile { name } => write!(formatter, "profile `{name}` leaves it out"),
            Self::Pin(PinDoubt::Changed) => {
                formatter.write_str("it has changed since it was pinned, and is held back")
            }
            Self::Pin(PinDoubt::New) => {
                formatter.write_str("it is not among the tools that were pinned, and is held back")
            }
            Self::Pin(PinDoubt::Unusable) => {
                formatter.write_str("the pins of its backend cannot be read")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::template::PathTemplate;

    use super::*;

    fn patterns(words: &[&str]) -> ToolPatterns {
        ToolPatterns::new(words.iter().copied()).unwrap()
    }

    fn denial(
        policy: &AccessPolicy,
        tool: &str,
        access: Option<AccessLevel>,
    ) -> Option<AccessDenial> {
        match policy.decide(tool, access.as_ref(), None) {
            AccessDecision::Allow => None,
            AccessDecision::Deny(denial) => Some(denial),
        }
    }

    #[test]
    fn a_pattern_is_bounded() {
        let nested = |levels: usize| "{a,".repeat(levels) + "b" + &"}".repeat(levels);
        for pattern in [nested(5_000), nested(300), nested(33), "?".repeat(200_000)] {
            let error = ToolPatterns::new([pattern]).unwrap_err().to_string();
            assert!(error.contains("at most 512 bytes and 32 braces"), "{error}");
        }
        let long = ToolPatterns::new([nested(32), "*a".repeat(256)]).unwrap();
        assert_eq!(long.matching(&"a".repeat(1_000)).map(str::len), Some(512));
    }

    #[test]
    fn reads_alone_are_allowed_by_default() {
        let policy = AccessPolicy::default();
        assert_eq!(denial(&policy, "list_vms", Some(AccessLevel::Read)), None);
        let level = |word: &str| Some(AccessDenial::Level { level: word.to_owned() });
        assert_eq!(denial(&policy, "start_vm", Some(AccessLevel::Write)), level("write"));
        assert_eq!(denial(&policy, "odd", None), level("unclassified"));
        let audit = Some(AccessLevel::Custom("audit".into()));
        assert_eq!(denial(&policy, "log", audit), level("audit"));
    }

    #[test]
    fn exclusion_wins_and_the_bound_cuts_last() {
        let policy = AccessPolicy {
            levels: AccessLevels::new(["read", "write"]),
            bound: Some(AccessLevels::new(["read"])),
            tools: Some(patterns(&["*_vm", "list_*"])),
            exclude_tools: patterns(&["delete_*"]),
            origins: Vec::new(),
        };
        assert_eq!(denial(&policy, "list_vms", Some(AccessLevel::Read)), None);
        assert!(matches!(
            denial(&policy, "delete_vm", Some(AccessLevel::Read)),
            Some(AccessDenial::Excluded { .. })
        ));
        assert_eq!(
            denial(&policy, "get_host", Some(AccessLevel::Read)),
            Some(AccessDenial::NotIncluded)
        );
        assert!(matches!(
            denial(&policy, "start_vm", Some(AccessLevel::Write)),
            Some(AccessDenial::Bound { .. })
        ));
    }

    #[test]
    fn another_host_is_allowed_by_its_origin_alone() {
        let policy = AccessPolicy {
            levels: AccessLevels::new(["all"]),
            tools: Some(patterns(&["*"])),
            origins: vec!["https://files.example".parse().unwrap()],
            ..AccessPolicy::default()
        };
        let denial = |path: &str| {
            let path = PathTemplate::parse_of_tool(path).unwrap();
            match policy.decide("get", Some(&AccessLevel::Read), path.elsewhere()) {
                AccessDecision::Allow => None,
                AccessDecision::Deny(denial) => Some(denial),
            }
        };
        for allowed in ["/x", "https://files.example/x", "HTTPS://FILES.example:443"] {
            assert_eq!(denial(allowed), None, "{allowed}");
        }
        for (other, origin) in [
            ("http://files.example/x", "http://files.example"),
            ("https://files.example:8443/x", "https://files.example:8443"),
            ("https://files.example.evil/x", "https://files.example.evil"),
            ("https://files.example./x", "https://files.example."),
        ] {
            assert_eq!(denial(other), Some(AccessDenial::Origin { origin: origin.to_owned() }));
        }
        for unclear in ["//files.example/x", "https://{a}files.example/", "https://a@files.example"]
        {
            assert_eq!(denial(unclear), Some(AccessDenial::Host), "{unclear}");
        }
        let excluding = AccessPolicy { exclude_tools: patterns(&["get"]), ..policy.clone() };
        let path = PathTemplate::parse_of_tool("https://files.example/x").unwrap();
        let decision = excluding.decide("get", None, path.elsewhere());
        assert!(matches!(decision, AccessDecision::Deny(AccessDenial::Excluded { .. })));
    }

    #[test]
    fn all_covers_custom_and_unclassified_levels() {
        let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
        assert_eq!(denial(&policy, "x", None), None);
        assert_eq!(denial(&policy, "x", Some(AccessLevel::Custom("audit".into()))), None);
    }
}
