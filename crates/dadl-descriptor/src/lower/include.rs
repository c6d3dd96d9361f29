//! `includes`: fragments of other files, merged into the tree before it is lowered.
//!
//! DADL 0.2, section 11.2: a deep merge in which `overrides` win and lists are replaced, one level
//! deep. The specification does not say what happens to a key that the file has itself. Here the
//! file keeps it: what stands in a file holds, and a fragment fills in the rest.

use std::{
    collections::{HashMap, hash_map},
    ops::Range,
};

use super::context::{LowerContext, MappingPlace, YamlSection};
use crate::{
    FolderError, code,
    diagnostic::Diagnostic,
    source::{MAX_BYTES, SourceText},
    yaml::{self, MAX_NODES, YamlArena, YamlEntry, YamlNode, YamlValue},
};

/// A file includes no more fragments than this.
const MAX_INCLUDES: usize = 64;

/// `merge_into` names no more keys than this; a deeper one is not DADL.
const MAX_KEYS: usize = 16;

/// The key that marks a fragment.
const MARK: &str = "_fragment";

/// Where the texts of fragments are in their source, or why one has no text; by the path that
/// `includes` gives.
pub(crate) type FragmentTexts = HashMap<String, Result<Range<usize>, FolderError>>;

/// Returns the paths that a file includes, each once.
pub(crate) fn include_paths(root: &YamlNode<'_>) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for item in include_items(root).take(MAX_INCLUDES) {
        let YamlValue::Mapping(keys) = &item.value else { continue };
        let path = keys.iter().find(|entry| entry.key == "path").map(|entry| &entry.value.value);
        if let Some(YamlValue::String(path)) = path
            && !paths.iter().any(|known| known == path)
        {
            paths.push(path.clone().into_owned());
        }
    }
    paths
}

/// Puts the fragments behind the file in `source`; together they may be as large as one file.
pub(crate) fn read_fragments(
    paths: Vec<String>,
    source: &mut SourceText,
    read: &mut dyn FnMut(&str) -> Result<SourceText, FolderError>,
) -> FragmentTexts {
    let mut room = MAX_BYTES;
    let mut fragments = FragmentTexts::new();
    for path in paths {
        let text = read(&path).and_then(|fragment| {
            room = room.checked_sub(fragment.text().len()).ok_or(FolderError::NoRoom(MAX_BYTES))?;
            Ok(source.append(&fragment))
        });
        fragments.insert(path, text);
    }
    fragments
}

/// Returns whether the tree is that of a fragment, which is no descriptor of its own.
pub(super) fn is_fragment(entries: &[YamlEntry<'_>]) -> bool {
    entries
        .iter()
        .any(|entry| entry.key == MARK && matches!(entry.value.value, YamlValue::Bool(true)))
}

fn include_items<'tree>(
    root: &'tree YamlNode<'tree>,
) -> impl Iterator<Item = &'tree YamlNode<'tree>> {
    let entry = match &root.value {
        YamlValue::Mapping(entries) => entries.iter().find(|entry| entry.key == "includes"),
        _ => None,
    };
    let items = match entry.map(|entry| &entry.value.value) {
        Some(YamlValue::Sequence(items)) => *items,
        _ => &[],
    };
    items.iter()
}

/// What became of the includes of a file.
pub(crate) enum IncludeOutcome<'tree> {
    /// There are none.
    Nothing,
    /// The tree with the fragments in it.
    Tree(&'tree YamlNode<'tree>),
    /// At least one is missing; what it would have brought says nothing about the file.
    Broken,
}

/// Merges the fragments into a copy of the tree.
pub(crate) fn merge_fragments<'tree>(
    root: &'tree YamlNode<'tree>,
    source: &'tree SourceText,
    fragments: &'tree FragmentTexts,
    arena: &'tree YamlArena<'tree>,
    findings: &mut Vec<Diagnostic>,
) -> IncludeOutcome<'tree> {
    let YamlValue::Mapping(entries) = &root.value else { return IncludeOutcome::Nothing };
    if !entries.iter().any(|entry| entry.key == "includes") {
        return IncludeOutcome::Nothing;
    }
    let mut context = LowerContext::new(source, root);
    let (parsed, room) = (HashMap::new(), MAX_NODES);
    let mut merger = IncludeMerger { tree: root.clone(), arena, parsed, room };
    let mut whole = true;
    let start = root.span.start..root.span.start;
    if let Some(top) = context.open(root, &start, MappingPlace::Only("the file")) {
        for (number, item) in context.items(&top, "includes").iter().enumerate() {
            if number == MAX_INCLUDES {
                let message = format!("a file can include {MAX_INCLUDES} fragments");
                context.error(code::INCLUDE, &item.span, message);
                whole = false;
                break;
            }
            whole &= merger.merge_include(item, fragments, &mut context).is_some();
        }
    }
    findings.append(&mut context.findings);
    if whole { IncludeOutcome::Tree(arena.node(merger.tree)) } else { IncludeOutcome::Broken }
}

struct IncludeMerger<'tree> {
    tree: YamlNode<'tree>,
    arena: &'tree YamlArena<'tree>,
    /// The keys of each fragment; `None` when it cannot be used, which was said.
    parsed: HashMap<&'tree str, Option<Vec<YamlEntry<'tree>>>>,
    /// How many values may still be added.
    room: usize,
}

impl<'tree> IncludeMerger<'tree> {
    /// Merges one include; `None` when that failed, with a finding.
    fn merge_include(
        &mut self,
        item: &'tree YamlNode<'tree>,
        fragments: &'tree FragmentTexts,
        context: &mut LowerContext<'tree>,
    ) -> Option<()> {
        let place = MappingPlace::Only("an include");
        let section =
            context.section(item, &item.span, place, &["path", "merge_into", "overrides"])?;
        let path = context.required_text(&section, "path");
        let into = context.required_text(&section, "merge_into");
        let overrides = lower_overrides(&section, context);
        let (path, into, overrides) = (path?, into?, overrides?);
        let keys = self.fragment_entries(path.value, &path.span, fragments, context)?;
        let size: usize = keys.iter().chain(overrides).map(|entry| 1 + entry.value.size()).sum();
        let Some(room) = self.room.checked_sub(size) else {
            let message = format!("the fragments have more than {MAX_NODES} values together");
            context.error(code::TOO_COMPLEX, &path.span, message);
            return None;
        };
        self.room = room;
        let names: Vec<&str> = into.value.split('.').collect();
        let is_path = names.len() <= MAX_KEYS && names.iter().all(|name| !name.is_empty());
        let first = names.first().copied().unwrap_or_default();
        if !is_path || first == "includes" || first.starts_with('_') {
            context
                .error(
                    code::MERGE_TARGET,
                    &into.span,
                    format!("`{}` is not a place for a fragment", into.value),
                )
                .help("name keys with dots between them, such as `backend.defaults.errors`");
            return None;
        }
        let arena = self.arena;
        let merge = |target: &mut Vec<YamlEntry<'tree>>| {
            fill_missing(target, &keys, arena);
            replace_entries(target, overrides, arena);
        };
        match changed(&self.tree, &names, &into.span, arena, &merge) {
            Ok(tree) => {
                self.tree = tree;
                Some(())
            }
            Err(found) => {
                context
                    .error(
                        code::MERGE_TARGET,
                        &into.span,
                        format!("`{}` leads to {found}, not to a mapping", into.value),
                    )
                    .label("a fragment is merged into a mapping");
                None
            }
        }
    }

    /// Returns the keys of a fragment, those that begin with `_` left out.
    fn fragment_entries(
        &mut self,
        path: &'tree str,
        span: &Range<usize>,
        fragments: &'tree FragmentTexts,
        context: &mut LowerContext<'tree>,
    ) -> Option<Vec<YamlEntry<'tree>>> {
        let range = match fragments.get(path) {
            Some(Ok(range)) => range,
            missing => {
                let reason = match missing {
                    Some(Err(reason)) => reason.to_string(),
                    _ => "its path is no text".to_owned(),
                };
                context
                    .error(
                        code::INCLUDE,
                        span,
                        format!("the fragment `{path}` cannot be read: {reason}"),
                    )
                    .help("write a path below the folder of this file, with `/` between names");
                return None;
            }
        };
        match self.parsed.entry(path) {
            hash_map::Entry::Occupied(known) => known.get().clone(),
            hash_map::Entry::Vacant(place) => {
                place.insert(parse_fragment(path, range, self.arena, context)).clone()
            }
        }
    }
}

/// Parses a fragment and checks that it is one.
fn parse_fragment<'tree>(
    path: &str,
    range: &Range<usize>,
    arena: &'tree YamlArena<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<Vec<YamlEntry<'tree>>> {
    let source: &'tree SourceText = context.source;
    let text = source.text().get(range.clone()).unwrap_or_default();
    let mut findings = Vec::new();
    let root = yaml::parse_part(text, range.start, arena, &mut findings);
    let broken = root.is_none() && !findings.is_empty();
    context.findings.append(&mut findings);
    if broken {
        return None;
    }
    let start = range.start..range.start;
    let Some(YamlNode { value: YamlValue::Mapping(entries), .. }) = root else {
        context.error(code::FRAGMENT, &start, format!("the fragment `{path}` is not a mapping"));
        return None;
    };
    if !is_fragment(entries) {
        context
            .error(code::FRAGMENT, &start, format!("`{path}` is not marked as a fragment"))
            .help("write `_fragment: true` at its top");
        return None;
    }
    if let Some(nested) = entries.iter().find(|entry| entry.key == "includes") {
        context
            .error(code::FRAGMENT, &nested.key_span, "a fragment cannot include others")
            .help("include both from the descriptor");
        return None;
    }
    Some(entries.iter().filter(|entry| !entry.key.starts_with('_')).cloned().collect())
}

/// Returns the keys that win over those of the fragment; `None` when they are no mapping.
fn lower_overrides<'tree>(
    section: &YamlSection<'tree>,
    context: &mut LowerContext<'tree>,
) -> Option<&'tree [YamlEntry<'tree>]> {
    let Some(entry) = section.entry("overrides") else { return Some(&[]) };
    match &entry.value.value {
        YamlValue::Mapping(entries) => Some(entries),
        YamlValue::Null => Some(&[]),
        _ => {
            context.wrong_type(&entry.value, "`overrides`", "a mapping");
            None
        }
    }
}

/// Returns a tree in which the keys of the mapping that `names` leads to are changed, made where they are not
/// there; the error is the kind of value that is in the way.
fn changed<'tree>(
    node: &YamlNode<'tree>,
    names: &[&'tree str],
    span: &Range<usize>,
    arena: &'tree YamlArena<'tree>,
    change: &dyn Fn(&mut Vec<YamlEntry<'tree>>),
) -> Result<YamlNode<'tree>, &'static str> {
    let mut entries = match &node.value {
        YamlValue::Mapping(entries) => entries.to_vec(),
        // A key without a value becomes one.
        YamlValue::Null => Vec::new(),
        _ => return Err(node.kind()),
    };
    match names.split_first() {
        None => change(&mut entries),
        Some((name, rest)) => {
            let null = YamlNode { value: YamlValue::Null, span: span.clone() };
            match entries.iter_mut().find(|entry| entry.key == *name) {
                Some(entry) => entry.value = changed(&entry.value, rest, span, arena, change)?,
                None => entries.push(YamlEntry {
                    key: (*name).into(),
                    key_span: span.clone(),
                    value: changed(&null, rest, span, arena, change)?,
                }),
            }
        }
    }
    let value = YamlValue::Mapping(arena.entries(entries.into_iter()));
    Ok(YamlNode { value, span: node.span.clone() })
}

/// Adds what `target` does not have; a key without a value counts as not there.
fn fill_missing<'tree>(
    target: &mut Vec<YamlEntry<'tree>>,
    fragment: &[YamlEntry<'tree>],
    arena: &'tree YamlArena<'tree>,
) {
    combine_entries(target, fragment, arena, &|own, other| {
        if matches!(own.value, YamlValue::Null) {
            *own = other;
        }
    });
}

/// Puts `overrides` in the place of what `target` has.
fn replace_entries<'tree>(
    target: &mut Vec<YamlEntry<'tree>>,
    overrides: &[YamlEntry<'tree>],
    arena: &'tree YamlArena<'tree>,
) {
    combine_entries(target, overrides, arena, &|own, other| *own = other);
}

/// Merges deeply; `settle` decides about values of which one at least is no mapping.
fn combine_entries<'tree>(
    target: &mut Vec<YamlEntry<'tree>>,
    others: &[YamlEntry<'tree>],
    arena: &'tree YamlArena<'tree>,
    settle: &dyn Fn(&mut YamlNode<'tree>, YamlNode<'tree>),
) {
    let places: HashMap<String, usize> =
        target.iter().enumerate().map(|(at, entry)| (entry.key.to_string(), at)).collect();
    for other in others {
        let own = places.get(other.key.as_ref()).and_then(|at| target.get_mut(*at));
        match own {
            None => target.push(other.clone()),
            Some(own) => match (&own.value.value, &other.value.value) {
                (YamlValue::Mapping(entries), YamlValue::Mapping(others)) => {
                    let mut entries = entries.to_vec();
                    combine_entries(&mut entries, others, arena, settle);
                    own.value.value = YamlValue::Mapping(arena.entries(entries.into_iter()));
                }
                _ => settle(&mut own.value, other.value.clone()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{FolderError, LoadedDescriptor, load, load_with, model::Tool, source::SourceText};

    const BACKEND: &str = "\
backend:
  name: example
  type: rest
  description: An example.
  auth: {type: bearer, credential: token}
  tools:
    get: {method: GET, path: /x, description: Reads.}
";

    /// Loads a file with these includes, beside these fragments.
    fn loaded(
        includes: &str,
        backend: &str,
        fragments: &[(&str, &str)],
    ) -> (SourceText, LoadedDescriptor) {
        let text =
            format!("spec: https://dadl.ai/spec/dadl-spec-v0.2\nincludes: {includes}\n{backend}");
        load_with(SourceText::new("main.dadl", text), &mut Beside(fragments))
    }

    struct Beside<'a>(&'a [(&'a str, &'a str)]);

    impl crate::FragmentFiles for Beside<'_> {
        fn fragment(&mut self, path: &str) -> Result<SourceText, FolderError> {
            let found = self.0.iter().find(|(name, _)| *name == path);
            let missing =
                || FolderError::Unreadable(std::io::Error::other("there is no such file"));
            let (name, text) = found.ok_or_else(missing)?;
            Ok(SourceText::new(*name, *text))
        }
    }

    /// Returns `file:line code: message` for each finding.
    fn findings(includes: &str, backend: &str, fragments: &[(&str, &str)]) -> Vec<String> {
        let (source, loaded) = loaded(includes, backend, fragments);
        let show = |it: &crate::diagnostic::Diagnostic| {
            let (name, at) = (source.name_at(it.span.start), source.position(it.span.start));
            format!("{name}:{} {}: {}", at.line, it.code.0, it.message)
        };
        loaded.diagnostics.iter().map(show).collect()
    }

    fn tools(includes: &str, backend: &str, fragments: &[(&str, &str)]) -> Vec<Tool> {
        let (_, loaded) = loaded(includes, backend, fragments);
        loaded.descriptor.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics)).tools
    }

    const ERRORS: &str = "\
# Shared by several files.
_fragment: true
_statuses: &again [429]
format: text
retry_on: *again
retry_strategy: {max_retries: 7, backoff: fixed}
";

    #[test]
    fn a_fragment_fills_in_what_the_file_does_not_say() {
        let includes = "[{path: e, merge_into: backend.defaults.errors}]";
        let own =
            "  defaults: {errors: {retry_on: [503, 502], retry_strategy: {max_retries: 1}}}\n";
        let tools = tools(includes, &format!("{BACKEND}{own}"), &[("e", ERRORS)]);
        let errors = &tools[0].errors;
        assert_eq!(errors.retry_on, [503, 502], "lists are not joined");
        assert_eq!(errors.retry.max_retries, 1);
        assert_eq!(errors.retry.backoff, crate::model::Backoff::Fixed);
        assert_eq!(errors.format, crate::model::ErrorFormat::Text);
    }

    #[test]
    fn overrides_win() {
        let includes = "[{path: e, merge_into: backend.defaults.errors, \
                        overrides: {retry_strategy: {max_retries: 2}, retry_on: [500]}}]";
        let own = "  defaults: {errors: {retry_strategy: {max_retries: 1}}}\n";
        let tools = tools(includes, &format!("{BACKEND}{own}"), &[("e", ERRORS)]);
        assert_eq!(tools[0].errors.retry.max_retries, 2);
        assert_eq!(tools[0].errors.retry_on, [500]);
    }

    #[test]
    fn one_fragment_can_be_included_twice() {
        let more = "_fragment: true\nput: {method: PUT, path: /y, description: Writes.}\n";
        let includes = "[{path: e, merge_into: backend.tools.get.errors}, \
                        {path: m, merge_into: backend.tools}, \
                        {path: e, merge_into: backend.tools.put.errors}]";
        let tools = tools(includes, BACKEND, &[("e", ERRORS), ("m", more)]);
        let retries: Vec<u32> = tools.iter().map(|tool| tool.errors.retry.max_retries).collect();
        assert_eq!(retries, [7, 7]);
    }

    #[test]
    fn findings_are_in_the_file_that_has_them() {
        let fragment = "_fragment: true\nput:\n  method: PUT\n  path: /{id}\n  description: W.\n";
        let found =
            findings("[{path: a/m, merge_into: backend.tools}]", BACKEND, &[("a/m", fragment)]);
        assert_eq!(found, ["a/m:4 D301: the placeholder `{id}` has no path parameter"]);
        let twice = "_fragment: true\na: 1\na: 2\n";
        let found =
            findings("[{path: m, merge_into: backend.hints.get}]", BACKEND, &[("m", twice)]);
        assert_eq!(found, ["m:3 D003: the key `a` occurs twice"]);
    }

    #[test]
    fn what_cannot_be_merged_is_said() {
        let fragments: &[(&str, &str)] = &[
            ("ok", "_fragment: true\na: b\n"),
            ("list", "[1]"),
            ("empty", ""),
            ("unmarked", "a: b"),
            ("nested", "_fragment: true\nincludes: []\n"),
            ("broken", "_fragment: true\na: [\n"),
        ];
        for (include, expected) in [
            (
                "path: none, merge_into: backend",
                "main.dadl:2 D110: the fragment `none` cannot be read: there is no such file",
            ),
            (
                "path: list, merge_into: backend",
                "list:1 D112: the fragment `list` is not a mapping",
            ),
            (
                "path: empty, merge_into: backend",
                "empty:1 D112: the fragment `empty` is not a mapping",
            ),
            (
                "path: unmarked, merge_into: backend",
                "unmarked:1 D112: `unmarked` is not marked as a fragment",
            ),
            (
                "path: nested, merge_into: backend",
                "nested:2 D112: a fragment cannot include others",
            ),
            (
                "path: broken, merge_into: backend",
                "broken:2 D002: a bracket or brace has no partner",
            ),
            (
                "path: ok, merge_into: backend.name.x",
                "main.dadl:2 D111: `backend.name.x` leads to text, not to a mapping",
            ),
            (
                "path: ok, merge_into: backend..x",
                "main.dadl:2 D111: `backend..x` is not a place for a fragment",
            ),
            (
                "path: ok, merge_into: includes.x",
                "main.dadl:2 D111: `includes.x` is not a place for a fragment",
            ),
            ("path: ok", "main.dadl:2 D009: an include has no `merge_into`"),
            (
                "path: ok, merge_into: backend, overrides: 1",
                "main.dadl:2 D006: `overrides` must be a mapping, not a number",
            ),
        ] {
            let found = findings(&format!("[{{{include}}}]"), BACKEND, fragments);
            assert_eq!(found, [expected]);
        }
    }

    #[test]
    fn many_includes_are_bounded() {
        let many = "{path: ok, merge_into: backend.hints.get},".repeat(70);
        let found = findings(&format!("[{many}]"), BACKEND, &[("ok", "_fragment: true\na: b\n")]);
        assert_eq!(found, ["main.dadl:2 D110: a file can include 64 fragments"]);
        let list = format!("_fragment: true\n_a: &a [{}]\nx: *a\n", "0,".repeat(100_000));
        let three: String =
            (0..5).map(|n| format!("{{path: l, merge_into: backend.hints.g{n}}},")).collect();
        let found = findings(&format!("[{three}]"), BACKEND, &[("l", &list)]);
        assert!(found[0].contains("D004: the fragments have more than 400000 values"), "{found:?}");
    }

    #[test]
    fn a_text_without_folder_includes_nothing_and_a_fragment_is_no_descriptor() {
        let text = format!("includes: [{{path: a, merge_into: backend}}]\n{BACKEND}");
        let found = load(&SourceText::new("t", text)).diagnostics;
        assert_eq!(found[0].message, "the fragment `a` cannot be read: this text has no folder");
        let found = load(&SourceText::new("t", ERRORS)).diagnostics;
        assert_eq!(found[0].message, "this is a fragment, not a descriptor");
        assert_eq!(found.len(), 1);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn no_fragment_makes_it_panic(
            fragment in "(_fragment: true\n)?[-a-c0-9{}\\[\\]:,&*#|>'\"!\\n ]{0,60}",
            into in "(backend|backend\\.tools|[a-z.]{0,12})",
        ) {
            let includes = format!("[{{path: f, merge_into: '{into}'}}]");
            let (source, loaded) = loaded(&includes, BACKEND, &[("f", &fragment)]);
            for finding in &loaded.diagnostics {
                assert!(source.text().get(finding.span.clone()).is_some(), "{finding:?}");
            }
        }
    }
}
