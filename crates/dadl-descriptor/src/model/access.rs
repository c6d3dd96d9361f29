//! How dangerous a call is.

use dadl_text::names::DangerLevel;

/// An access level: DADL's well-known values and any other word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Changes who may do what, or the system itself.
    Admin,
    /// Loses data or interrupts service.
    Dangerous,
    /// A level of the author's own.
    Custom(String),
}

impl AccessLevel {
    /// Returns the level that `word` names.
    pub fn from_word(word: &str) -> Self {
        match word {
            "read" => Self::Read,
            "write" => Self::Write,
            "admin" => Self::Admin,
            "dangerous" => Self::Dangerous,
            other => Self::Custom(other.to_owned()),
        }
    }

    /// Returns how far a tool of this level goes; of one without a level nobody knows.
    pub fn danger(access: Option<&Self>) -> DangerLevel {
        match access {
            Some(Self::Read) => DangerLevel::Reads,
            Some(Self::Write) => DangerLevel::Writes,
            Some(Self::Admin) => DangerLevel::Administers,
            Some(Self::Dangerous | Self::Custom(_)) | None => DangerLevel::Endangers,
        }
    }

    /// Returns the word that names the level.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
            Self::Dangerous => "dangerous",
            Self::Custom(word) => word,
        }
    }
}
