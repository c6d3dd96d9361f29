//! What the index is told about a tool.

use std::borrow::Cow;

/// The texts of a tool, and what it does.
#[derive(Debug, Clone, Default)]
pub struct ToolText<'a> {
    /// The name, in words that `_`, `-` or capitals part.
    pub name: Cow<'a, str>,
    /// The name that callers use, where it is another one.
    pub listed_name: Cow<'a, str>,
    /// The backend that it belongs to; empty where it belongs to none, and questions about any find it.
    pub backend: Cow<'a, str>,
    /// What it does, for a model.
    pub description: Cow<'a, str>,
    /// Its parameters.
    pub params: Vec<ParamText<'a>>,
    /// Words of its result: names of members, and what is said of them.
    pub result: Cow<'a, str>,
    /// What else its author says.
    pub hints: Cow<'a, str>,
    /// Words that people have for it and its texts lack.
    pub keywords: Vec<Cow<'a, str>>,
    /// What a call does.
    pub effect: ToolEffect,
    /// Whether it gives many things rather than one.
    pub gives_list: bool,
    /// Whether it is told of by itself, however alike it is to others: it belongs to no family.
    pub stands_alone: bool,
}

/// One parameter of a tool.
#[derive(Debug, Clone, Default)]
pub struct ParamText<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it means.
    pub description: Cow<'a, str>,
    /// The words that it may be.
    pub values: Vec<Cow<'a, str>>,
}

/// What a call does, as far as finding it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ToolEffect {
    /// It only reads.
    #[default]
    Reads,
    /// It may change something.
    Changes,
}

/// Words of one backend that people say otherwise: the word, and what they say.
#[derive(Debug, Clone, Default)]
pub struct BackendWords<'a> {
    /// The backend.
    pub backend: Cow<'a, str>,
    /// A word, or several with spaces between them, as the texts of the tools have it; and the words of people.
    pub words: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
}
