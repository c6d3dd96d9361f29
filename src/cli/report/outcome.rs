//! How many files were checked, and how many findings there are.

/// What a run found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOutcome {
    /// Files that were named.
    pub files: usize,
    /// Files whose text could be read.
    pub readable: usize,
    /// Findings that keep a file from being served.
    pub errors: usize,
    /// Findings that `check` fails for.
    pub warnings: usize,
    /// Findings that are worth knowing.
    pub notes: usize,
    /// Findings of any severity that `--fix` would mend: those in fragments stay.
    pub fixable: usize,
}

impl CheckOutcome {
    /// Returns the exit status: 0 clean, 1 findings, 3 nothing could be read.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self { readable: 0, .. } => 3,
            Self { errors: 0, warnings: 0, .. } => 0,
            _ => 1,
        }
    }
}
