//! What a server may have or lack (`_dadl_mcp.fit`): where it says so, and what tools need.
//!
//! Nothing here allows or refuses a call. It is about which tools are worth listing, and about the
//! words for an operation that the server does not have.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use crate::model::json_path::JsonPath;

/// A version: up to three numbers. What follows a hyphen or a plus does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion([u32; 3]);

/// A text is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version has up to three numbers with dots between them")]
pub struct VersionError;

/// How a server says what it has.
#[derive(Debug, Clone)]
pub struct ServerFit {
    /// Where it says so.
    pub source: FitSource,
    /// Whether it is asked without the credential, so that the answer depends on nobody's rights.
    pub public: bool,
    /// What the versions count, such as `rest-api`.
    pub product: String,
    /// What says the version, where the source does not.
    pub version: Option<FitVersion>,
    /// Before this version the source leaves out what the server has.
    pub complete_since: Option<ServerVersion>,
    /// The first versions of releases that people know, ascending.
    pub releases: Vec<(ServerVersion, String)>,
    /// How a server becomes newer.
    pub update: Option<String>,
    /// The first version of a tool or composite, by its name.
    pub since: BTreeMap<String, ServerVersion>,
    /// What a tool or composite needs that few servers have, by its name.
    pub needs: BTreeMap<String, Arc<ToolNeeds>>,
}

/// Where a server says what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FitSource {
    /// An OpenAPI document, by its path below the base URL, which begins with a slash.
    OpenApi(String),
    /// The result of a tool: the names of the JSON-RPC methods.
    Methods(String),
}

/// What says the version of a server.
#[derive(Debug, Clone)]
pub struct FitVersion {
    /// A tool that only reads and needs no argument.
    pub tool: String,
    /// Where the version is in its result; without it, the result is the version.
    pub path: Option<JsonPath>,
}

/// What a group of tools needs.
#[derive(Debug, Clone, Default)]
pub struct ToolNeeds {
    /// A plugin of the server.
    pub plugin: Option<String>,
    /// Tools that are there exactly when these are, where the source leaves these out.
    pub shown_by: Vec<String>,
    /// The first version in which that is so.
    pub shown_since: Option<ServerVersion>,
    /// What a person can do.
    pub remedy: Option<String>,
    /// A tool to call instead, which goes no further.
    pub instead: Option<String>,
}

impl FromStr for ServerVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = numbers.split('.');
        let mut version = [0; 3];
        for (at, number) in version.iter_mut().enumerate() {
            let Some(part) = parts.next() else {
                if at == 0 {
                    return Err(VersionError);
                }
                break;
            };
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            *number = part.parse().ok().filter(|_| is_number).ok_or(VersionError)?;
        }
        if parts.next().is_some() { Err(VersionError) } else { Ok(Self(version)) }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

impl FitSource {
    /// Says in a line what is asked, and with which words a note about it begins.
    pub fn line(&self) -> String {
        match self {
            Self::OpenApi(path) => format!("openapi {path}"),
            Self::Methods(tool) => format!("methods {tool}"),
        }
    }
}

impl ServerFit {
    /// Names a version for people: `rest-api 0.33.0 (XO 6.5)`.
    pub fn named(&self, version: ServerVersion) -> String {
        let release = self.releases.iter().rev().find(|(first, _)| *first <= version);
        match release {
            Some((_, release)) => format!("{} {version} ({release})", self.product),
            None => format!("{} {version}", self.product),
        }
    }

    /// Returns the last version that anybody has tried, when the author says so.
    pub fn last_tried(&self) -> Option<ServerVersion> {
        self.releases.last().map(|(version, _)| *version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> ServerVersion {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_has_up_to_three_numbers() {
        for (text, expected) in [
            ("1", "1.0.0"),
            ("1.2", "1.2.0"),
            ("v1.2.3", "1.2.3"),
            ("0.31.6-beta.1", "0.31.6"),
            ("0.31.6+5", "0.31.6"),
        ] {
            assert_eq!(version(text).to_string(), expected, "{text}");
        }
        for text in
            ["", "v", "a", "1.", ".1", "1..2", "1.2.3.4", "1.x", "+1", "1.+2", "99999999999"]
        {
            assert_eq!(text.parse::<ServerVersion>(), Err(VersionError), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn versions_compare_by_their_numbers(left: [u16; 3], right: [u16; 3]) {
            let text = |[major, minor, patch]: [u16; 3]| format!("{major}.{minor}.{patch}");
            prop_assert_eq!(version(&text(left)).cmp(&version(&text(right))), left.cmp(&right));
            prop_assert!(version("0.9.0") < version("0.10.0"));
        }
    }
}
