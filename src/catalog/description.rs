//! Descriptions and titles: what a model and a person read before a call.
//!
//! A host shows nothing else of the descriptor, so that deprecations and the author's hints go
//! into the description. It stays within the limit of the strictest host and ends at a sentence
//! or a word.

use std::borrow::Cow;

use dadl_descriptor::model::{Deprecation, Tool};
use dadl_text::{
    names::split_words,
    text::{cut_prose, plain_text},
};

use super::CatalogOperation;

/// The longest description, in characters; Gemini refuses longer ones.
pub(crate) const DESCRIPTION_MAX: usize = 1024;

/// The longest title, in characters.
pub(super) const TITLE_MAX: usize = 120;

/// The longest deprecation notice, in characters: it must not crowd the description out.
const DEPRECATION_MAX: usize = 256;

/// Returns the description; `replacement` is the MCP name of the tool to use instead.
pub(crate) fn tool_description(
    operation: CatalogOperation<'_>,
    replacement: Option<&str>,
) -> String {
    let mut text = collapse_spaces(operation.description());
    if text.is_empty() {
        text = collapse_spaces(&operation.summary());
    }
    if let Some(deprecation) = operation.tool().and_then(|tool| tool.deprecated.as_deref()) {
        let notice = deprecation_notice(deprecation, replacement);
        // Room for a full stop and a space.
        let room = DESCRIPTION_MAX - notice.chars().count() - 2;
        text = cut_prose(&text, room).0.into_owned();
        append_sentence(&mut text, &notice);
    }
    if operation.tool().and_then(Tool::http).is_some_and(|http| http.rules.open) {
        append_sentence(&mut text, "Other arguments become members of the body.");
    }
    for (key, value) in operation.hints() {
        let value = collapse_spaces(value);
        if value.is_empty() {
            continue;
        }
        match key.as_str() {
            // The key says nothing that the value does not.
            "hint" | "note" | "notes" => append_sentence(&mut text, &value),
            _ => {
                append_sentence(&mut text, &format!("{}: {value}", sentence_case(&plain_text(key))))
            }
        }
    }
    cut_prose(&text, DESCRIPTION_MAX).0.into_owned()
}

/// Returns what people call an operation: what its server says, or the words of its name.
pub(crate) fn operation_title(operation: CatalogOperation<'_>) -> String {
    let title = match operation {
        CatalogOperation::Server(tool) => tool.title.as_deref().map(collapse_spaces),
        CatalogOperation::Tool(_) | CatalogOperation::Composite(_) => None,
    };
    let title = title.filter(|title| !title.is_empty());
    let title = title.unwrap_or_else(|| tool_title(operation.declared_name()));
    cut_prose(&title, TITLE_MAX).0.into_owned()
}

/// Returns the tool's name in words: `list_vms` becomes `List VMs`.
pub(crate) fn tool_title(name: &str) -> String {
    let mut title = String::with_capacity(name.len() + 8);
    for word in split_words(&plain_text(name)) {
        if !title.is_empty() {
            title.push(' ');
        }
        push_word(&mut title, &word);
    }
    capitalize(&title)
}

/// Returns the text with every run of white space as one space, and without what a model would
/// read and a person would not see.
pub(crate) fn collapse_spaces(text: &str) -> String {
    collapsed(text).into_owned()
}

/// Does what [`collapse_spaces`] does, without a copy where nothing is to be done.
pub(super) fn collapsed(text: &str) -> Cow<'_, str> {
    let is_simple = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_simple && text.trim_ascii().len() == text.len() && !text.contains("  ") {
        return text.into();
    }
    let text: Cow<'_, str> = plain_text(text);
    let mut result = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !result.is_empty() {
            result.push(' ');
        }
        result.push_str(word);
    }
    result.into()
}

fn deprecation_notice(deprecation: &Deprecation, replacement: Option<&str>) -> String {
    let reason = deprecation.reason.as_deref().map(collapse_spaces).unwrap_or_default();
    let mut notice = String::from("Deprecated");
    if !reason.is_empty() {
        notice.push_str(": ");
        notice.push_str(&cut_prose(&reason, DEPRECATION_MAX).0);
    }
    if let Some(replacement) = replacement {
        append_sentence(&mut notice, &format!("Use {replacement}."));
    }
    end_sentence(&mut notice);
    notice
}

/// Adds a sentence to a text that may lack its full stop.
pub(super) fn append_sentence(text: &mut String, sentence: &str) {
    if !text.is_empty() {
        end_sentence(text);
        text.push(' ');
    }
    text.push_str(sentence);
}

fn end_sentence(text: &mut String) {
    if !text.ends_with(['.', '!', '?', '…', ':', ';']) {
        text.push('.');
    }
}

fn sentence_case(key: &str) -> String {
    capitalize(&split_words(key).join(" "))
}

fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    let mut capitalized = String::with_capacity(text.len());
    capitalized.extend(first);
    capitalized.push_str(characters.as_str());
    capitalized
}

/// Abbreviations that the rule of [`push_word`] misses or would take for a plural.
const ACRONYMS: [&str; 40] = [
    "acl", "api", "cpu", "dhcp", "dns", "gpu", "ha", "http", "https", "id", "io", "ip", "iso",
    "json", "ldap", "nfs", "nic", "oidc", "os", "ova", "pci", "pgpu", "pif", "pusb", "saml",
    "smtp", "ssh", "ssl", "tls", "ui", "uri", "url", "usb", "uuid", "vdi", "vif", "vlan", "vgpu",
    "xoa", "xva",
];

/// Appends a word; an abbreviation goes in upper case, a plural `s` behind it left alone.
///
/// Words of up to three letters without a vowel are abbreviations (`vm`, `sr`, `vbd`).
fn push_word(title: &mut String, word: &str) {
    let is_acronym = |word: &str| {
        let letters = |c: u8| c.is_ascii_lowercase() && !b"aeiouy".contains(&c);
        match word.len() {
            2..=3 if word.bytes().all(letters) => true,
            2..=5 => ACRONYMS.contains(&word),
            _ => false,
        }
    };
    let (stem, plural) = match word.strip_suffix('s') {
        Some(stem) if is_acronym(stem) && !ACRONYMS.contains(&word) => (stem, "s"),
        _ => (word, ""),
    };
    let at = title.len();
    title.push_str(stem);
    if is_acronym(stem)
        && let Some(stem) = title.get_mut(at..)
    {
        stem.make_ascii_uppercase();
    }
    title.push_str(plural);
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::Tool;

    use super::*;
    use crate::catalog::fixture;

    fn description(change: impl FnOnce(&mut Tool)) -> String {
        let mut tool = fixture::tool("GET", "/vms", &[]);
        change(&mut tool);
        let text = tool_description(CatalogOperation::Tool(&tool), Some("get_vm"));
        assert!((1..=DESCRIPTION_MAX).contains(&text.chars().count()));
        text
    }

    #[test]
    fn titles_are_words() {
        let cases = [
            ("list_vms", "List VMs"),
            ("get_vm_snapshot", "Get VM snapshot"),
            ("list_vdis", "List VDIs"),
            ("delete_sr", "Delete SR"),
            ("update_dns_record", "Update DNS record"),
            ("getUserById", "Get user by ID"),
            ("vm.start-all", "VM start all"),
            ("ping", "Ping"),
            ("listHTTPServers", "List HTTP servers"),
            ("getVMs", "Get VMs"),
            ("vm2Name", "Vm2 name"),
        ];
        for (name, expected) in cases {
            assert_eq!(tool_title(name), expected);
        }
    }

    #[test]
    fn white_space_collapses_and_a_description_is_never_empty() {
        assert_eq!(description(|tool| tool.description = "  List\n  VMs ".into()), "List VMs");
        assert_eq!(description(|tool| tool.description = " ".into()), "GET /vms");
    }

    #[test]
    fn deprecation_and_hints_follow() {
        let text = description(|tool| {
            tool.description = "List VMs".into();
            tool.deprecated =
                Some(Box::new(Deprecation { reason: Some("too slow".into()), replaced_by: None }));
            tool.hints = vec![
                ("filter_syntax".into(), "power_state:Running".into()),
                ("note".into(), "Lists are long.".into()),
            ];
        });
        assert_eq!(
            text,
            "List VMs. Deprecated: too slow. Use get_vm. Filter syntax: power_state:Running. \
             Lists are long."
        );
    }

    #[test]
    fn long_texts_end_at_a_boundary_and_keep_the_deprecation() {
        let text = description(|tool| {
            tool.description = "Größe ".repeat(400);
            tool.deprecated = Some(Box::new(Deprecation {
                reason: Some("word ".repeat(200)),
                replaced_by: None,
            }));
        });
        assert!(text.ends_with("Use get_vm."), "{text}");
        assert!(text.contains("Größe… Deprecated: word"), "{text}");
        let text = description(|tool| tool.description = "A sentence. ".repeat(100));
        assert!(text.ends_with("sentence. …"), "{text}");
        let text = description(|tool| tool.description = "x".repeat(3000));
        assert!(text.ends_with("x…"), "{text}");
    }
}
