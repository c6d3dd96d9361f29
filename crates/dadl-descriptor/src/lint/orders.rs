//! Texts that try to steer the model instead of describing the API.
//!
//! Descriptions, hints and examples become part of what a model reads, so a descriptor of somebody
//! else can speak to it. What is looked for are orders about the conversation: to ignore other
//! instructions, to keep something from the user, to call this tool whatever was asked for, to hand
//! over what the model knows. Orders about the API ("must be a UUID", "call `list_vms` first to
//! get the id") describe it and are none.
//!
//! Characters that nobody sees are looked for in every text and name of the file, and in what is
//! no part of it, such as comments: there they make a file read otherwise than it is.

use std::{ops::Range, sync::LazyLock};

use dadl_text::text::{first_hidden, plain_text};
use regex::Regex;

use super::{LintContext, LintText, each_text};
use crate::{
    code,
    diagnostic::Severity,
    yaml::{YamlNode, YamlValue},
};

static ORDERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?isx)
        # Other instructions are void.
          \b(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|every|the|your|of|these|those|my|our)\s+){0,3}
            (?:previous|prior|above|earlier|preceding|other|existing|system|original|safety)\s+
            (?:instruction|direction|prompt|rule|guideline|message|command|context|polic)\w*
        | \b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+
            (?:you|above|before|that\s+(?:you|was|came))\b
        | \b(?:your|the)\s+(?:new|real|actual|true)\s+(?:instructions|task|goal|objective|role|system\s+prompt)\b\s*(?:is|are|:)
        | \b(?:your|the)\s+system\s+prompt\b
        # The user must not know.
        | \b(?:do\s+not|don'?t|never|must\s+not|should\s+not|without)\s+
            (?:tell|inform|telling|informing|mention|mentioning|reveal|revealing|notify|notifying|disclose|disclosing|alert|alerting|asking|ask)
            (?:\s+\w+){0,3}?\s+(?:to\s+)?(?:the\s+)?(?:user|human|operator|person|anyone|anybody)\b
        | \b(?:hide|conceal|keep)\s+(?:this|it|that|these)\s+(?:\w+\s+){0,3}?from\s+(?:the\s+)?(?:user|human|operator|person)\b
        # The tool comes first, whatever was asked for.
        | \b(?:you|assistant|model|agent|llm|ai|claude|gpt)\s+(?:must|should|shall|have\s+to|need\s+to|are\s+required\s+to)\s+
            (?:always|first|never|immediately)\s+
            (?:call|use|invoke|run|answer|respond|reply|obey|follow|include|send|say|tell|mention|trust|approve|ask)\b
        | \b(?:always|must|first)\s+(?:\w+\s+){0,2}?(?:call|use|invoke|run|execute)\s+this\s+(?:tool|function)\b
            (?:\s+\w+){0,3}?\s+(?:before|prior\s+to|after|instead)\b\s+(?:of\s+)?(?:any|every|all|each|other|answering|responding|replying)
        | \b(?:before|prior\s+to)\s+(?:using|calling|running)\s+any\s+(?:other\s+)?(?:tool|function)s?\b
        | \b(?:prefer|use|choose|call)\s+this\s+(?:tool|function)\s+(?:over|instead\s+of)\s+(?:any|all|every)\b
        | \bimportant\s*(?::|!|-|\u{2014})\s*(?:you\s+)?(?:must\s+)?(?:always|never)\b[^.]{0,60}\b(?:this\s+tool|the\s+user|any\s+other|every\s+(?:answer|response|reply|request|conversation))\b
        # Another speaker, or another role.
        | <\s*/?\s*(?:important|system|instructions?|secret|admin|assistant|system[-_]prompt)\s*>
        | \[/?(?:INST|SYSTEM)\]
        | <\|(?:im_start|im_end|system|endoftext)\|>
        | \b(?:you\s+are\s+now|from\s+now\s+on,?\s+you|pretend\s+(?:to\s+be|that\s+you)|act\s+as\s+(?:if\s+you|an?\s+(?:unrestricted|different)))\b
        # What the model knows goes out.
        | \b(?:send|include|attach|forward|append|pass|copy|insert|put|add|post|exfiltrate|leak)\s+
            (?:\w+\s+){0,6}?(?:the\s+|this\s+|your\s+)?
            (?:conversation(?:\s+history)?|chat\s+history|entire\s+context|whole\s+context|previous\s+messages|
               other\s+tools'?\s+(?:results?|outputs?)|~/\.ssh|id_rsa|/etc/passwd|environment\s+variables\s+of\s+(?:this|your))
            \s+(?:as|in|into|to|with|along)\b
        ",
    )
    .ok()
});

/// Keys whose text a model reads.
fn is_read(path: &[&str]) -> bool {
    match path {
        [.., "description"] | ["backend", "hints", ..] | ["backend", "examples", ..] => true,
        ["backend", "tools" | "composites", _, key] => matches!(*key, "deprecated" | "returns"),
        [.., "params", _, "default"] => true,
        _ => false,
    }
}

/// Warns about each text with an order or with what nobody sees, at its first one.
pub(super) fn check(root: &YamlNode<'_>, lint: &mut LintContext<'_>) {
    let before = lint.findings.len();
    each_text(root, &mut |text| {
        let key = text.path.last().copied().unwrap_or_default();
        let reader = if is_read(text.path) { TextReader::Model } else { TextReader::Nobody };
        hidden(text.value, text.span, key, reader, lint);
        if is_read(text.path) {
            order(text, lint);
        }
    });
    check_names(root, lint);
    check_elsewhere(before, lint);
}

fn order(text: &LintText<'_, '_>, lint: &mut LintContext<'_>) {
    // A word with a character in it that nobody sees is the word all the same.
    let value = plain_text(text.value);
    let Some(found) = ORDERS.as_ref().and_then(|orders| orders.find(&value)) else { return };
    let span = lint.place(text.span, found.as_str());
    let key = text.path.last().copied().unwrap_or_default();
    let message = format!("`{key}` gives orders to the model");
    lint.report(Severity::Warning, code::ORDERS, &span, message)
        .label("speaks about the conversation, not about the API")
        .help("describe what the operation does and what its values mean");
}

/// Who reads a text besides those who edit it.
#[derive(Debug, Clone, Copy)]
enum TextReader {
    Model,
    Nobody,
}

/// Reports the first character of a text that nobody sees, or that changes how it is read.
fn hidden(
    value: &str,
    span: &Range<usize>,
    key: &str,
    reader: TextReader,
    lint: &mut LintContext<'_>,
) {
    let Some(found) = first_hidden(value) else { return };
    let span = lint.place(span, found.encode_utf8(&mut [0; 4]));
    let message =
        format!("`{key}` has a character that cannot be seen, U+{:04X}", u32::from(found));
    let label = match reader {
        TextReader::Model => "a model reads what a person does not see",
        TextReader::Nobody => "nobody sees what is written here",
    };
    lint.report(Severity::Warning, code::ORDERS, &span, message).label(label).help("remove it");
}

/// Reports names with such characters.
fn check_names(node: &YamlNode<'_>, lint: &mut LintContext<'_>) {
    match &node.value {
        YamlValue::Mapping(entries) => {
            for entry in *entries {
                hidden(
                    &entry.key,
                    &entry.key_span,
                    &plain_text(&entry.key),
                    TextReader::Nobody,
                    lint,
                );
                check_names(&entry.value, lint);
            }
        }
        YamlValue::Sequence(items) => items.iter().for_each(|item| check_names(item, lint)),
        YamlValue::Bool(_) | YamlValue::Null | YamlValue::Number(..) | YamlValue::String(_) => {}
    }
}

/// Reports lines with such characters that no finding after the first `before` is about.
fn check_elsewhere(before: usize, lint: &mut LintContext<'_>) {
    let mut at = 0;
    let mut lines = Vec::new();
    for line in lint.source.text().split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        if let Some(found) = first_hidden(line) {
            lines.push((range, found));
        }
    }
    for (range, found) in lines {
        let about = |span: &Range<usize>| span.start < range.end && range.start < span.end;
        if lint.findings.iter().skip(before).any(|finding| about(&finding.span)) {
            continue;
        }
        let span = lint.place(&range, found.encode_utf8(&mut [0; 4]));
        let message = format!("a character cannot be seen, U+{:04X}", u32::from(found));
        lint.report(Severity::Warning, code::ORDERS, &span, message)
            .label("the line may be read otherwise than it is")
            .help("remove it");
    }
}
