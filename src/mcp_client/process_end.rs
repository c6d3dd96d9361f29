//! How the process of a server ended.

use std::fmt;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessEnd {
    /// Its exit code, if there is one; a signal counts from 128 on.
    pub code: Option<i32>,
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            // As shells count.
            Some(code @ 129..=192) => write!(formatter, "by signal {}", code - 128),
            Some(code) => write!(formatter, "with status {code}"),
            None => formatter.write_str("without a status"),
        }
    }
}
