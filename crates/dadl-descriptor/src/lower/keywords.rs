//! `_dadl_mcp.keywords`: the words of people, for whoever searches among the tools.

use std::collections::HashSet;

use super::context::{LowerContext, MappingPlace, YamlSection};
use crate::{
    code,
    model::{Descriptor, keywords::SearchKeywords},
    yaml::{YamlEntry, YamlValue},
};

const KEYS: &[&str] = &["tools", "words"];

/// So many words of a file can be said otherwise: each of them is an entry of the index.
const MOST_KEYS: usize = 1_000;

/// So much can be said for one word or tool.
const MOST_WORDS: usize = 512;

/// Nobody asks in longer words, in characters.
const LONGEST: usize = 64;

/// Reads what people say into `descriptor`.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    let Some(section) = context.subsection(extension, "keywords", KEYS) else { return };
    let mut keywords = SearchKeywords::default();
    let words = entries(&section, "words", context);
    if let Some(entry) = words.get(MOST_KEYS) {
        let message = format!("`words` has more than {MOST_KEYS} keys");
        context.error(code::TOO_COMPLEX, &entry.key_span, message).help(
            "a search needs the words that people have for things, not all words of the file",
        );
    }
    for entry in words.iter().take(MOST_KEYS) {
        let said = lower_words(entry, context);
        keywords.words.push((entry.key.to_string(), said));
    }
    let names: HashSet<&str> = descriptor.names().collect();
    for entry in entries(&section, "tools", context) {
        let said = lower_words(entry, context);
        if names.contains(&*entry.key) {
            keywords.tools.insert(entry.key.to_string(), said);
            continue;
        }
        let message = format!("there is no tool `{}`", entry.key);
        let meant = context.nearest_tool(&entry.key, descriptor.names());
        context.warning(code::KEYWORDS, &entry.key_span, message).meant(meant);
    }
    descriptor.keywords = keywords;
}

/// Returns the entries of a mapping whose keys are words or names of the file.
fn entries<'tree>(
    section: &YamlSection<'tree>,
    key: &'static str,
    context: &mut LowerContext<'tree>,
) -> &'tree [YamlEntry<'tree>] {
    let Some(entry) = section.entry(key) else { return &[] };
    let section = context.open(&entry.value, &entry.key_span, MappingPlace::Key(key));
    section.map_or(&[], |section| section.entries())
}

/// Reads what people say.
fn lower_words<'tree>(
    entry: &'tree YamlEntry<'tree>,
    context: &mut LowerContext<'tree>,
) -> Vec<String> {
    let items = match &entry.value.value {
        YamlValue::Sequence(items) => items,
        YamlValue::String(text) => {
            return lower_text(entry, text, context);
        }
        _ => {
            context.wrong_type(&entry.value, &format!("`{}`", entry.key), "a list of words");
            return Vec::new();
        }
    };
    if items.is_empty() || items.len() > MOST_WORDS {
        let message = format!("`{}` has no list of 1 to {MOST_WORDS} words", entry.key);
        context.warning(code::KEYWORDS, &entry.value.span, message);
    }
    let mut said = Vec::new();
    for item in *items {
        let Some(text) = context.node_text(item, format_args!("a word")) else { continue };
        if text.value.chars().count() > LONGEST || !text.value.contains(char::is_alphanumeric) {
            let message = format!("`{}` is no word of up to {LONGEST} characters", entry.key);
            context.warning(code::KEYWORDS, &text.span, message);
            continue;
        }
        said.push(text.value.to_owned());
    }
    said.truncate(MOST_WORDS);
    said
}

/// Reads a text that has words with commas between them. It is kept as one where nothing is wrong with it: hardly any
/// use of a file searches, and each word would be a value of its own.
fn lower_text<'tree>(
    entry: &'tree YamlEntry<'tree>,
    text: &str,
    context: &mut LowerContext<'tree>,
) -> Vec<String> {
    let span = &entry.value.span;
    let words = || text.split(',').map(str::trim);
    let is_word =
        |word: &&str| word.chars().count() <= LONGEST && word.contains(char::is_alphanumeric);
    let is_many = words().count() > MOST_WORDS;
    let is_wrong = !words().all(|word| is_word(&word));
    if is_many {
        let message = format!("`{}` has no list of 1 to {MOST_WORDS} words", entry.key);
        context.warning(code::KEYWORDS, span, message);
    }
    if is_wrong {
        let message = format!("`{}` is no word of up to {LONGEST} characters", entry.key);
        context.warning(code::KEYWORDS, span, message);
    }
    if is_many || is_wrong {
        return words().filter(is_word).take(MOST_WORDS).map(str::to_owned).collect();
    }
    vec![text.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadedDescriptor, load, model::keywords::said_words, source::SourceText};

    fn loaded(keywords: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp: {{keywords: {keywords}}}\n\
             backend:\n  name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             list_vms: {{method: GET, path: /x, access: read, description: All VMs.}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn loaded_text(keywords: &str) -> std::collections::BTreeMap<String, Vec<String>> {
        let loaded = loaded(keywords);
        assert_eq!(loaded.diagnostics, []);
        loaded.descriptor.unwrap().keywords.tools
    }

    #[test]
    fn words_of_people_are_kept() {
        let loaded = loaded("{words: {vm: [server, port group]}, tools: {list_vms: [inventory]}}");
        assert_eq!(loaded.diagnostics, []);
        let keywords = loaded.descriptor.unwrap().keywords;
        let said = vec!["server".to_owned(), "port group".to_owned()];
        assert_eq!(keywords.words, [("vm".to_owned(), said)]);
        assert_eq!(keywords.tools["list_vms"], ["inventory"]);

        let text = loaded_text("{tools: {list_vms: 'inventory, what we have'}}");
        let said: Vec<&str> = said_words(&text["list_vms"]).collect();
        assert_eq!(said, ["inventory", "what we have"]);
    }

    #[test]
    fn the_number_of_words_is_bounded() {
        let keys = |count: usize| {
            let keys: Vec<String> = (0..count).map(|at| format!("w{at}: [a]")).collect();
            loaded(&format!("{{words: {{{}}}}}", keys.join(", ")))
        };
        assert_eq!(keys(MOST_KEYS).diagnostics, []);
        let many = keys(MOST_KEYS + 1);
        let [finding] = many.diagnostics.as_slice() else { panic!("{:?}", many.diagnostics) };
        assert_eq!(finding.code, code::TOO_COMPLEX);
        assert_eq!(finding.message, "`words` has more than 1000 keys");
        assert!(many.descriptor.is_none());

        let said: Vec<String> = (0..=MOST_WORDS).map(|at| format!("a{at}")).collect();
        let long = loaded(&format!("{{words: {{vm: [{}]}}}}", said.join(", ")));
        assert_eq!(long.diagnostics[0].message, "`vm` has no list of 1 to 512 words");
        assert_eq!(long.descriptor.unwrap().keywords.words[0].1.len(), MOST_WORDS);
    }

    #[test]
    fn words_that_lead_nowhere_are_found() {
        for (keywords, expected) in [
            ("{tools: {list_vm: [a]}}", "D785 there is no tool `list_vm`"),
            ("{words: {vm: []}}", "D785 `vm` has no list of 1 to 512 words"),
            ("{words: {vm: 'a, !'}}", "D785 `vm` is no word of up to 64 characters"),
            ("{words: {vm: ['!']}}", "D785 `vm` is no word of up to 64 characters"),
        ] {
            let found = loaded(keywords).diagnostics;
            let found: Vec<_> =
                found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect();
            assert_eq!(found, [expected], "{keywords}");
        }
    }
}
