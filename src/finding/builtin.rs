//! Tools of the program itself.

/// A tool of the program itself, which stands in no descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltinText {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// How it is called, as one line of an answer.
    pub signature: String,
    /// Whether it only reads.
    pub reads: bool,
}
