//! Which tools hosts are shown.

use std::{fmt, str::FromStr};

/// Which tools hosts are shown; every allowed tool can be called by its name, shown or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Surface {
    /// Each allowed tool.
    #[default]
    Tools,
    /// A few tools that find the others, call them and run scripts over them.
    Compact,
    /// [`Compact`](Self::Compact) where there are many tools, [`Tools`](Self::Tools) where there are few.
    Auto,
}

/// A text that is no surface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no surface of this name: write tools, compact or auto")]
pub struct UnknownSurface;

impl Surface {
    /// All names.
    pub const NAMES: [&'static str; 3] = ["tools", "compact", "auto"];

    /// With more tools than this, `auto` is `compact`.
    pub const MOST_TOOLS: usize = 64;

    /// With a list of more bytes than this, which are some 8,000 tokens, `auto` is `compact`.
    pub const MOST_BYTES: usize = 32_000;

    /// Returns whether the tools are shown by a few others, for a list of so many tools and bytes.
    pub fn is_compact(self, tools: usize, bytes: usize) -> bool {
        match self {
            Self::Tools => false,
            Self::Compact => true,
            Self::Auto => tools > Self::MOST_TOOLS || bytes > Self::MOST_BYTES,
        }
    }
}

impl FromStr for Surface {
    type Err = UnknownSurface;

    fn from_str(text: &str) -> Result<Self, UnknownSurface> {
        match text {
            "tools" => Ok(Self::Tools),
            "compact" => Ok(Self::Compact),
            "auto" => Ok(Self::Auto),
            _ => Err(UnknownSurface),
        }
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tools => "tools",
            Self::Compact => "compact",
            Self::Auto => "auto",
        })
    }
}
