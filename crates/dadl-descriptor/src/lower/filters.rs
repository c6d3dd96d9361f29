//! The parts of `_dadl_mcp` that say what the values of parameters are: `filters`, `members` and
//! `choices`.

use std::sync::Arc;

use super::context::{LowerContext, MappingPlace, YamlSection, YamlText};
use crate::{
    code,
    model::{
        Descriptor, Param, ParamKind, ValueRules,
        filters::{FilterLanguage, PairSyntax},
    },
    yaml::{YamlEntry, YamlValue},
};

const KEYS: &[&str] = &["and", "compare", "equals", "not", "or", "said", "units"];

/// A model reads it when nothing was found, in characters.
const LONGEST_SAID: usize = 400;

/// So many values are compared with.
const MOST_CHOICES: usize = 200;

/// Reads these parts into the tools whose parameters they name.
pub(super) fn lower<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    lower_filters(extension, descriptor, context);
    lower_members(extension, descriptor, context);
    lower_choices(extension, descriptor, context);
}

fn lower_filters<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    for entry in named_entries(extension, "filters", context) {
        let place = MappingPlace::Named("filter", &entry.key);
        let Some(section) = context.section(&entry.value, &entry.key_span, place, KEYS) else {
            continue;
        };
        let language = Arc::new(lower_language(&section, context));
        let set = |param: &mut Param| rules_mut(param).language = Some(Arc::clone(&language));
        if !change_each_param(descriptor, &entry.key, is_text, set) {
            let message = format!("no tool has a parameter `{}` that is text", entry.key);
            report_unknown(entry, message, descriptor, context);
        }
    }
}

fn lower_language<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> FilterLanguage {
    let mut pair = |key: &'static str, example: &str| {
        let text = context.text(section, key)?;
        let pair = PairSyntax::parse(text.value);
        if pair.is_none() {
            let message = format!("`{key}` does not show how `a` and `b` are written together");
            context
                .error(code::FILTERS, &text.span, message)
                .help(format!("write an example with signs alone, such as `{example}`"));
        }
        pair
    };
    let (or, and, equals) = (pair("or", "|(a b)"), pair("and", "a b"), pair("equals", "a:b"));
    let mut sign = |key: &'static str, example: &str, behind: &str| {
        let text = context.text(section, key)?;
        let around = if key == "not" { text.value.strip_suffix('a') } else { None };
        let between = || text.value.strip_prefix('a')?.strip_suffix(behind);
        let sign = around.or_else(between).filter(|sign| !sign.contains(char::is_alphanumeric));
        let sign = sign.filter(|sign| key != "not" || !sign.is_empty());
        if sign.is_none() {
            let message = format!("`{key}` does not show how it is written");
            context
                .error(code::FILTERS, &text.span, message)
                .help(format!("write an example such as `{example}`"));
        }
        sign.map(str::to_owned)
    };
    let (not, compare) = (sign("not", "!a", "a"), sign("compare", "a:>1", ">1"));
    let units = context.boolean(section, "units").unwrap_or(true);
    let said = lower_said(section, context);
    FilterLanguage { or, and, not, equals, compare, units, said }
}

/// Reads the sentence for who gets nothing.
fn lower_said<'tree>(section: &YamlSection<'tree>, context: &mut LowerContext<'tree>) -> String {
    let Some(text) = context.required_text(section, "said") else { return String::new() };
    let length = text.value.chars().count();
    if length > LONGEST_SAID || text.value.contains('\n') {
        let message = format!("`said` is no sentence of up to {LONGEST_SAID} characters");
        context
            .error(code::FILTERS, &text.span, message)
            .help("say on one line how filters are written, with an example of each sign");
    }
    text.value.trim().to_owned()
}

fn lower_members<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    for text in context.texts(extension, "members") {
        let set = |param: &mut Param| rules_mut(param).names_members = true;
        if !change_each_param(descriptor, text.value, is_text, set) {
            let message = format!("no tool has a parameter `{}` that is text", text.value);
            let meant = context.nearest(text.value, param_names(descriptor));
            context.warning(code::FILTERS, &text.span, message).meant(meant);
        }
    }
}

fn lower_choices<'tree>(
    extension: &YamlSection<'tree>,
    descriptor: &mut Descriptor,
    context: &mut LowerContext<'tree>,
) {
    for entry in named_entries(extension, "choices", context) {
        let Some(words) = lower_words(entry, context) else { continue };
        let words: Arc<[String]> = words.iter().map(|text| text.value.to_owned()).collect();
        let set = |param: &mut Param| rules_mut(param).choices = Arc::clone(&words);
        if change_each_param(descriptor, &entry.key, is_text, set) {
            continue;
        }
        // `tool.parameter`, where tools have different parameters of one name.
        let found = entry.key.split_once('.').and_then(|(tool, name)| {
            let tool = descriptor.tools.iter_mut().find(|it| it.name == tool)?;
            tool.params.iter_mut().find(|param| param.name == name && is_text(param))
        });
        match found {
            Some(param) => set(param),
            None => {
                let message = format!("no tool has a parameter `{}` that is text", entry.key);
                report_unknown(entry, message, descriptor, context);
            }
        }
    }
}

/// Reads a list of words.
fn lower_words<'tree>(
    entry: &'tree YamlEntry<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Vec<YamlText<'tree>>> {
    let YamlValue::Sequence(items) = &entry.value.value else {
        context.wrong_type(&entry.value, &format!("`{}`", entry.key), "a list of words");
        return None;
    };
    if items.is_empty() || items.len() > MOST_CHOICES {
        let message = format!("`{}` has no list of 1 to {MOST_CHOICES} words", entry.key);
        context.error(code::CHOICES, &entry.value.span, message);
        return None;
    }
    let words = items.iter().map(|item| context.node_text(item, format_args!("a word")));
    words.collect()
}

/// Returns the entries of a mapping whose keys are names of parameters.
fn named_entries<'tree>(
    extension: &YamlSection<'tree>,
    key: &'static str,
    context: &mut LowerContext<'tree>,
) -> &'tree [YamlEntry<'tree>] {
    let Some(entry) = extension.entry(key) else { return &[] };
    let section = context.open(&entry.value, &entry.key_span, MappingPlace::Key(key));
    section.map_or(&[], |section| section.entries())
}

/// Changes each parameter of this name that fits; returns whether there is one.
fn change_each_param(
    descriptor: &mut Descriptor,
    name: &str,
    fits: fn(&Param) -> bool,
    mut change: impl FnMut(&mut Param),
) -> bool {
    let tools = descriptor.tools.iter_mut().map(|tool| &mut tool.params);
    let params = tools.chain(descriptor.composites.iter_mut().map(|it| &mut it.params)).flatten();
    let mut found = false;
    for param in params.filter(|param| param.name == name && fits(param)) {
        change(param);
        found = true;
    }
    found
}

fn is_text(param: &Param) -> bool {
    match param.kind {
        ParamKind::Union(kinds) => !kinds.is_any() && kinds.contains(ParamKind::String),
        kind => kind == ParamKind::String,
    }
}

fn rules_mut(param: &mut Param) -> &mut ValueRules {
    param.rules.get_or_insert_default()
}

fn param_names(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    descriptor.tools.iter().flat_map(|tool| &tool.params).map(|param| param.name.as_str())
}

fn report_unknown(
    entry: &YamlEntry<'_>,
    message: String,
    descriptor: &Descriptor,
    context: &mut LowerContext<'_>,
) {
    let meant = context.nearest(&entry.key, param_names(descriptor));
    context.warning(code::FILTERS, &entry.key_span, message).meant(meant);
}

#[cfg(test)]
mod tests {
    use crate::{LoadedDescriptor, load, source::SourceText};

    fn loaded(extension: &str) -> LoadedDescriptor {
        let text = format!(
            "spec: https://dadl.ai/spec/dadl-spec-v0.2\n_dadl_mcp: {extension}\nbackend:\n  \
             name: example\n  type: rest\n  description: An example.\n  \
             auth: {{type: bearer, credential: none}}\n  tools:\n    \
             list: {{method: GET, path: /x, access: read, description: L., params: {{\
             filter: {{type: string, in: query}}, fields: {{type: string, in: query}}, \
             type: {{type: string, in: query}}}}}}\n    \
             make: {{method: POST, path: /x, access: write, description: M., params: {{\
             type: {{type: string, in: body}}, fields: {{type: array, in: body}}}}}}\n"
        );
        load(&SourceText::new("t", text))
    }

    fn findings(extension: &str) -> Vec<String> {
        let found = loaded(extension).diagnostics;
        found.iter().map(|it| format!("{} {}", it.code.0, it.message)).collect()
    }

    #[test]
    fn rules_reach_the_parameters() {
        let loaded = loaded(
            "{filters: {filter: {or: '|(a b)', not: '!a', compare: 'a:>1', units: false, said: S.}}, \
             members: [fields], choices: {make.type: [a, b]}}",
        );
        assert_eq!(loaded.diagnostics, []);
        let tools = loaded.descriptor.unwrap().tools;
        let rules = |tool: usize, param: usize| tools[tool].params[param].rules.clone();
        let filter = rules(0, 0).unwrap().language.clone().unwrap();
        assert_eq!(filter.misuse("a or b").unwrap().instead.as_deref(), Some("|(a b)"));
        assert_eq!(filter.misuse("a:>2KiB").unwrap().instead.as_deref(), Some("a:>2048"));
        assert_eq!(filter.misuse("a=b"), None);
        assert_eq!(filter.said, "S.");
        assert!(rules(0, 1).unwrap().names_members);
        assert!(rules(0, 2).is_none() && rules(1, 1).is_none());
        assert_eq!(*rules(1, 0).unwrap().choices, ["a".to_owned(), "b".to_owned()]);
    }

    #[test]
    fn what_says_nothing_clearly_is_found() {
        for (extension, expected) in [
            (
                "{filters: {filter: {or: a or b, said: S.}}}",
                "D780 `or` does not show how `a` and `b` are written together",
            ),
            (
                "{filters: {filter: {not: not a, said: S.}}}",
                "D780 `not` does not show how it is written",
            ),
            (
                "{filters: {filter: {compare: 'a:1', said: S.}}}",
                "D780 `compare` does not show how it is written",
            ),
            ("{filters: {filter: {or: '|(a b)'}}}", "D009 filter `filter` has no `said`"),
            (
                "{filters: {fitler: {said: S.}}}",
                "D780 no tool has a parameter `fitler` that is text",
            ),
            ("{members: [field]}", "D780 no tool has a parameter `field` that is text"),
            ("{choices: {type: []}}", "D781 `type` has no list of 1 to 200 words"),
            ("{choices: {list.typ: [a]}}", "D780 no tool has a parameter `list.typ` that is text"),
        ] {
            assert_eq!(findings(extension), [expected], "{extension}");
        }
    }
}
