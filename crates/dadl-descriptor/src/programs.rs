//! Whether the programs of a file, its filters and scripts, are compiled while it is loaded.
//!
//! Compiling says no more than whether they compile, and is most of the cost of loading a file that has
//! many. Whoever knows that a text was loaded before, by this version and without an error, need not do
//! it again. Everything else about a file is always read and checked.

use std::{cell::Cell, fmt};

/// What was done about the programs of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProgramsChecked {
    /// It has none.
    #[default]
    None,
    /// They were compiled.
    Compiled,
    /// They were known to compile.
    Known,
}

/// Decides about the programs of one file, when the first one is met.
pub(crate) struct ProgramCheck<'known> {
    is_known: Option<&'known dyn Fn(&str) -> bool>,
    done: Cell<ProgramsChecked>,
}

impl<'known> ProgramCheck<'known> {
    /// All are compiled.
    pub(crate) fn of_all() -> Self {
        Self { is_known: None, done: Cell::default() }
    }

    /// All are compiled, unless `is_known` knows the text of the file.
    pub(crate) fn unless(is_known: &'known dyn Fn(&str) -> bool) -> Self {
        Self { is_known: Some(is_known), done: Cell::default() }
    }

    /// Returns whether a program of the file with this text is to be compiled.
    pub(crate) fn is_needed(&self, text: &str) -> bool {
        if self.done.get() == ProgramsChecked::None {
            let is_known = self.is_known.is_some_and(|is_known| is_known(text));
            let done = if is_known { ProgramsChecked::Known } else { ProgramsChecked::Compiled };
            self.done.set(done);
        }
        self.done.get() == ProgramsChecked::Compiled
    }

    /// Returns what was done.
    pub(crate) fn done(&self) -> ProgramsChecked {
        self.done.get()
    }
}

impl fmt::Debug for ProgramCheck<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ProgramCheck").field(&self.done.get()).finish()
    }
}
