//! Why a text is not YAML, in words for an author.

use std::ops::Range;

use serde_saphyr::granit_parser::ErrorKind;

use super::MAX_DEPTH;
use crate::{
    code,
    diagnostic::{Diagnostic, Severity},
};

/// Describes text that YAML does not allow.
pub(super) fn not_yaml(message: String, span: Range<usize>, label: &str) -> Diagnostic {
    let label = label.to_owned();
    Diagnostic {
        code: code::NOT_YAML,
        severity: Severity::Error,
        message,
        span,
        label,
        help: None,
        fix: None,
    }
}

/// Describes a file that is beyond the limits of this program.
pub(super) fn too_complex(message: String, span: Range<usize>) -> Diagnostic {
    Diagnostic {
        code: code::TOO_COMPLEX,
        severity: Severity::Error,
        message,
        span,
        label: "the limit is reached here".to_owned(),
        help: Some("split the descriptor into several backends".to_owned()),
        fix: None,
    }
}

/// Says what the parser could not read.
pub(super) fn syntax_error(kind: &ErrorKind, span: Range<usize>) -> Diagnostic {
    let (message, help) = match kind {
        ErrorKind::RecursionLimitExceeded => {
            return too_complex(format!("values nest more than {MAX_DEPTH} levels deep"), span);
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => ("a tab is not allowed here", "indent with spaces"),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("a quoted text has no end", "close the quotes")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            "something follows the end of a quoted text",
            "double a quote inside single quotes, escape it inside double quotes",
        ),
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidUnicodeEscape => (
            "double quotes hold an escape that YAML does not know",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("a bracket or brace has no partner", "close it")
        }
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            ("a bracket or brace closes nothing", "remove it, or open it before")
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => (
            "a comma is missing between two values",
            "separate values with commas; quote text that contains `: `, `,` or brackets",
        ),
        ErrorKind::UnknownAnchor => {
            ("an alias refers to an anchor that does not exist", "define it above with `&name`")
        }
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey => (
            "a `key: value` pair cannot stand here",
            "quote text that contains `: `, and check the indentation",
        ),
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidBlockScalarIndent
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidFlowScalarIndent => {
            ("the indentation does not fit", "align the line with its neighbors")
        }
        ErrorKind::UnexpectedCharacter { .. } => {
            ("a value cannot begin with this character", "put the text in quotes")
        }
        _ => ("this is not YAML", "check the indentation and the quotes of this line"),
    };
    let mut finding = not_yaml(message.to_owned(), span, "");
    finding.help = Some(help.to_owned());
    finding
}
