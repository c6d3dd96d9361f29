//! Compiles a program, and runs it on one JSON text.

use std::{fmt, sync::Arc, thread};

use bytes::Bytes;
use dadl_text::text::cut_text;
use jaq_core::{
    Compiler, Ctx, Vars,
    compile::Undefined,
    data::JustLut,
    load::{Arena, File, Loader, lex, parse},
};
use jaq_json::{Val, read};

use super::{
    corrections::{native, rewrite},
    error::{CompileError, RunError},
    parse as input_parser, print,
};

/// A program longer than this is refused, in bytes.
pub const LONGEST_PROGRAM: usize = 16 * 1024;

/// The parser calls itself; this is enough for the deepest program of [`LONGEST_PROGRAM`] bytes.
/// Pages that are not touched cost nothing.
const STACK: usize = 256 * 1024 * 1024;

/// The name under which the program is called; no program can contain it.
const MAIN: &str = "main";

/// Filters of jq that reach beyond the input.
const REFUSED: &[(&str, &str)] = &[
    ("debug_empty", "is not a filter of jq"),
    ("get_search_list", "modules do not exist here"),
    ("halt", "a filter cannot end the program"),
    ("halt_error", "a filter cannot end the program"),
    ("input", "there is one input only, `.`"),
    ("input_filename", "the input is no file"),
    ("input_line_number", "the input is no file"),
    ("inputs", "there is one input only, `.`"),
    ("modulemeta", "modules do not exist here"),
    ("stderr_empty", "is not a filter of jq"),
];

/// A compiled program.
pub struct JqProgram {
    filter: jaq_core::Filter<JustLut<Val>>,
}

impl fmt::Debug for JqProgram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Program")
    }
}

/// The text of a program that compiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JqFilter(Arc<str>);

impl JqFilter {
    /// Takes `text` when it is a program.
    ///
    /// # Errors
    ///
    /// What is wrong first, and where.
    pub fn new(text: &str) -> Result<Self, CompileError> {
        check_program(text)?;
        Ok(Self(text.into()))
    }

    /// Takes `text`, which was compiled before. One that does not compile fails when it is run.
    pub(crate) fn known(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the program.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Compiles `text` and drops what comes of it. Safe for any text: the parser gets a stack that is
/// deep enough.
fn check_program(text: &str) -> Result<(), CompileError> {
    if text.len() > LONGEST_PROGRAM {
        return Err(CompileError::whole(format!(
            "the program is longer than {LONGEST_PROGRAM} bytes"
        )));
    }
    let failed = || CompileError::whole("the program cannot be compiled".to_owned());
    thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || JqProgram::compile(text).map(|_| ()))
            .map_err(|_| failed())?
            .join()
            .map_err(|_| failed())?
    })
}

impl JqProgram {
    /// Compiles `text`. Deeply nested texts overflow a small stack; see `check`.
    ///
    /// # Errors
    ///
    /// What is wrong first, and where.
    pub fn compile(text: &str) -> Result<Self, CompileError> {
        match without_surrogates(text) {
            Some(text) => {
                Self::compiled(&text).map_err(|error| CompileError { span: None, ..error })
            }
            None => Self::compiled(text),
        }
    }

    fn compiled(text: &str) -> Result<Self, CompileError> {
        let tokens = lex::Lexer::new(text).lex().map_err(|errors| lex_error(text, &errors))?;
        if let Some(lex::Token(word, _)) = tokens.first()
            && matches!(*word, "import" | "include" | "module")
        {
            return Err(CompileError::at("modules do not exist here".to_owned(), text, word));
        }
        let body = if tokens.is_empty() {
            // A program of white space is `.`, as in jq.
            parse::Term::Id
        } else {
            parse::Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
                let (expected, found) = errors.into_iter().next().unzip();
                misplaced(text, expected, found.flatten().map(|lex::Token(word, _)| *word))
            })?
        };
        let main = parse::Def { name: MAIN, args: Vec::new(), body: rewrite::rewrite_term(body) };
        let arena = Arena::default();
        let modules = Loader::new(native::definitions(text).into_iter().chain([main]))
            .load(&arena, File { code: MAIN, path: () })
            .map_err(|_| CompileError::whole("the program cannot be compiled".to_owned()))?;
        let filter = Compiler::default()
            .with_funs(native::filters())
            .with_global_vars(["$ENV", "$__loc__"])
            .compile(modules)
            .map_err(|errors| {
                undefined(text, errors.into_iter().flat_map(|(_, found)| found).next())
            })?;
        Ok(Self { filter })
    }

    /// Runs the program on the JSON text `input` and returns its result as compact JSON: the
    /// output when there is one, an array of them when there are several, `null` when there is
    /// none. Without bounds of time, memory and depth; `most` bounds the bytes of the result.
    ///
    /// # Errors
    ///
    /// See [`RunError`].
    pub fn run(&self, input: impl Into<Bytes>, most: usize) -> Result<Vec<u8>, RunError> {
        let input = input.into();
        let input = match input_parser::parse_json(&input) {
            Some(value) => value,
            None => {
                read::parse_single(&input).map_err(|error| RunError::Input(error.to_string()))?
            }
        };
        let location = native::location();
        let variables = Vars::new([Val::obj(jaq_json::Map::default()), location]);
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, variables);
        let mut printed = print::OutputCollector::new(most);
        for output in self.filter.id.run((context, input)) {
            let value = output.map_err(|exception| match exception.get_err() {
                Ok(error) => RunError::Failed(print::error_message(&error.into_val())),
                Err(_) => RunError::Failed("break".to_owned()),
            })?;
            printed.push(&value)?;
        }
        Ok(printed.finish())
    }
}

/// Replaces pairs such as `\ud83e\udd80` (RFC 8259, section 7), which the lexer does not know, by
/// the character that they mean; `None` when there are none.
fn without_surrogates(text: &str) -> Option<String> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut replaced: Option<String> = None;
    let mut from = 0;
    for (at, _) in text.match_indices("\\u") {
        let pair = unit(at).zip(unit(at + 6)).map(|(high, low)| [high, low]);
        let character = pair.and_then(|pair| char::decode_utf16(pair).next()?.ok());
        if let Some(character) = character.filter(|character| *character > '\u{FFFF}')
            && at >= from
        {
            let result = replaced.get_or_insert_default();
            result.push_str(text.get(from..at).unwrap_or_default());
            result.push(character);
            from = at + 12;
        }
    }
    let mut result = replaced?;
    result.push_str(text.get(from..).unwrap_or_default());
    Some(result)
}

/// Words the first error of the lexer.
fn lex_error(text: &str, errors: &[lex::Error<&str>]) -> CompileError {
    match errors.first() {
        Some((expected, rest)) => {
            // The lexer gives all that remains; the first character is the place.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let part = rest.get(..first).unwrap_or(rest);
            let message = format!("{} expected{}", expected.as_str(), instead(part));
            CompileError::at(message, text, part)
        }
        None => CompileError::whole("the program cannot be read".to_owned()),
    }
}

/// Words the first error of the parser.
fn misplaced(
    text: &str,
    expected: Option<parse::Expect<&str>>,
    found: Option<&str>,
) -> CompileError {
    let expected = expected.as_ref().map_or("something else", parse::Expect::as_str);
    let expected = match expected {
        "nothing" => "the end of the program".to_owned(),
        word if word.chars().all(char::is_alphabetic) && !matches!(word, "then" | "as" | "end") => {
            word.to_owned()
        }
        word if word.contains(' ') => word.to_owned(),
        word => format!("`{word}`"),
    };
    match found {
        Some(found) => {
            CompileError::at(format!("{expected} expected{}", instead(found)), text, found)
        }
        None => {
            let end = text.get(text.len()..).unwrap_or_default();
            CompileError::at(format!("{expected} expected, but the program ends"), text, end)
        }
    }
}

/// Words the first name that means nothing.
fn undefined(text: &str, found: Option<(&str, Undefined)>) -> CompileError {
    let Some((name, kind)) = found else {
        return CompileError::whole("the program cannot be compiled".to_owned());
    };
    let message = match kind {
        Undefined::Filter(arity) => match REFUSED.iter().find(|(refused, _)| *refused == name) {
            Some((_, reason)) => format!("`{name}` cannot be used: {reason}"),
            None => format!("`{name}/{arity}` is not defined"),
        },
        Undefined::Var => format!("`{name}` is not defined"),
        Undefined::Label => format!("the label `{name}` is not defined"),
        _ => "modules do not exist here".to_owned(),
    };
    CompileError::at(message, text, name)
}

/// Names what stands where something else is expected, at most its start.
fn instead(found: &str) -> String {
    match found {
        "" => ", but the program ends".to_owned(),
        found => format!(" instead of `{}`", cut_text(found, 20)),
    }
}
