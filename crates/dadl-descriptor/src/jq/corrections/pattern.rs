//! Regular expressions as jq has them: Oniguruma's syntax, offsets in characters.

use std::cell::RefCell;

use fancy_regex::{Captures, Regex, RegexBuilder};
use jaq_json::{Error, Map, Val};

/// How many expressions are kept compiled: a program uses the same few for each item.
const KEPT: usize = 16;

/// Backtracking beyond this many steps is an error.
const MOST_STEPS: usize = 5_000_000;

thread_local! {
    static COMPILED: RefCell<Vec<(String, String, RegexPattern)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone)]
struct RegexPattern {
    regex: Regex,
    is_global: bool,
}

/// Returns whether `value` matches.
pub(super) fn test(value: &Val, pattern: &Val, flags: &Val) -> Result<Val, Error> {
    let (text, pattern) = (as_text(value)?, compile_pattern(pattern, flags)?);
    pattern.regex.is_match(text).map(Val::from).map_err(regex_error)
}

/// Returns the matches as jq's `match` shows them.
pub(super) fn find_matches(value: &Val, pattern: &Val, flags: &Val) -> Result<Val, Error> {
    let mut offsets = CharOffsets::default();
    each_match(value, pattern, flags, |text, regex, found| {
        let mut groups = found.iter();
        let whole = groups.next().flatten().map(|it| it.start()..it.end()).unwrap_or_default();
        let start = offsets.at(text, whole.start);
        // The groups of a match may stand in any order.
        let mut within = offsets;
        let captures: Val = groups
            .zip(regex.capture_names().skip(1))
            .map(|(group, name)| {
                let name = name.map_or(Val::Null, |name| Val::from(name.to_owned()));
                let Some(group) = group else {
                    return object_of([
                        ("offset", Val::from(-1_isize)),
                        ("string", Val::Null),
                        ("length", Val::from(0_usize)),
                        ("name", name),
                    ]);
                };
                if group.start() < within.bytes {
                    within = offsets;
                }
                let offset = within.at(text, group.start());
                object_of([
                    ("offset", Val::from(offset)),
                    ("length", Val::from(group.as_str().chars().count())),
                    ("string", Val::from(group.as_str().to_owned())),
                    ("name", name),
                ])
            })
            .collect();
        let string = text.get(whole).unwrap_or_default();
        object_of([
            ("offset", Val::from(start)),
            ("length", Val::from(string.chars().count())),
            ("string", Val::from(string.to_owned())),
            ("captures", captures),
        ])
    })
    .map(|(_, matches)| matches.into_iter().collect())
}

/// Returns the texts between the matches, and the named groups of each match.
pub(super) fn split_matches(value: &Val, pattern: &Val, flags: &Val) -> Result<Val, Error> {
    let (gaps, groups) = each_match(value, pattern, flags, |_, regex, found| {
        let named = regex.capture_names().zip(found.iter()).filter_map(|(name, group)| {
            let value = group.map_or(Val::Null, |group| Val::from(group.as_str().to_owned()));
            Some((Val::from(name?.to_owned()), value))
        });
        Val::obj(named.collect())
    })?;
    let gaps: Val = gaps.into_iter().map(|gap| Val::from(gap.to_owned())).collect();
    Ok([gaps, groups.into_iter().collect()].into_iter().collect())
}

/// Puts texts between gaps: one result for each position of a text.
pub(super) fn weave(gaps: &Val, inserts: &Val) -> Result<Val, Error> {
    let (Val::Arr(gaps), Val::Arr(inserts)) = (gaps, inserts) else {
        return Err(Error::str("nothing to put together"));
    };
    let count = inserts.iter().map(|texts| as_list(texts).len()).max().unwrap_or(1);
    let results = (0..count).map(|at| {
        let mut result = Vec::new();
        let mut inserts = inserts.iter();
        for gap in gaps.iter() {
            result.extend_from_slice(as_text(gap)?.as_bytes());
            if let Some(insert) = inserts.next().and_then(|texts| as_list(texts).get(at)) {
                result.extend_from_slice(as_text(insert)?.as_bytes());
            }
        }
        Ok(Val::utf8_str(result))
    });
    results.collect()
}

fn as_list(value: &Val) -> &[Val] {
    match value {
        Val::Arr(items) => items,
        _ => &[],
    }
}

/// Calls `f` for each match; returns the texts around the matches too.
fn each_match<'value>(
    value: &'value Val,
    pattern: &Val,
    flags: &Val,
    mut f: impl FnMut(&'value str, &Regex, &Captures<'value, str>) -> Val,
) -> Result<(Vec<&'value str>, Vec<Val>), Error> {
    let text = as_text(value)?;
    let pattern = compile_pattern(pattern, flags)?;
    let most = if pattern.is_global { usize::MAX } else { 1 };
    let (mut gaps, mut found, mut end) = (Vec::new(), Vec::new(), 0);
    for captures in pattern.regex.captures_iter(text).take(most) {
        let captures = captures.map_err(regex_error)?;
        let Some(whole) = captures.get(0) else { continue };
        gaps.push(text.get(end..whole.start()).unwrap_or_default());
        end = whole.end();
        found.push(f(text, &pattern.regex, &captures));
    }
    gaps.push(text.get(end..).unwrap_or_default());
    Ok((gaps, found))
}

/// Counts characters up to a byte, from the last place on.
#[derive(Clone, Copy, Default)]
struct CharOffsets {
    bytes: usize,
    characters: usize,
}

impl CharOffsets {
    fn at(&mut self, text: &str, byte: usize) -> usize {
        self.characters += text.get(self.bytes..byte).unwrap_or_default().chars().count();
        self.bytes = byte;
        self.characters
    }
}

fn object_of<const N: usize>(members: [(&str, Val); N]) -> Val {
    Val::obj(members.into_iter().map(|(key, it)| (Val::from(key.to_owned()), it)).collect::<Map>())
}

fn as_text(value: &Val) -> Result<&str, Error> {
    match value {
        Val::TStr(bytes) => std::str::from_utf8(bytes).map_err(Error::str),
        other => Err(Error::str(format_args!("{other} cannot be matched, as it is not a string"))),
    }
}

fn regex_error(error: fancy_regex::Error) -> Error {
    Error::str(format_args!("the regular expression failed: {error}"))
}

fn compile_pattern(pattern: &Val, flags: &Val) -> Result<RegexPattern, Error> {
    let pattern = as_text(pattern)?;
    let flags = if matches!(flags, Val::Null) { "" } else { as_text(flags)? };
    let is_it = |(a, b, _): &&(String, String, RegexPattern)| a == pattern && b == flags;
    let known = COMPILED.with_borrow(|kept| kept.iter().find(is_it).map(|it| it.2.clone()));
    if let Some(known) = known {
        return Ok(known);
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.oniguruma_mode(true).backtrack_limit(MOST_STEPS);
    let mut is_global = false;
    for flag in flags.chars() {
        match flag {
            'g' => is_global = true,
            'i' => drop(builder.case_insensitive(true)),
            'l' => drop(builder.leftmost_longest(true)),
            'n' => drop(builder.find_not_empty(true)),
            'p' => drop(builder.dot_matches_new_line(true)),
            // `^` and `$` mean the whole text already.
            's' => {}
            'x' => drop(builder.ignore_whitespace(true)),
            other => {
                let message = format_args!("{flags} is not a valid modifier string: `{other}`");
                return Err(Error::str(message));
            }
        }
    }
    let regex = builder.build().map_err(|error| {
        Error::str(format_args!("{pattern} is not a valid regular expression: {error}"))
    })?;
    let compiled = RegexPattern { regex, is_global };
    COMPILED.with_borrow_mut(|kept| {
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((pattern.to_owned(), flags.to_owned(), compiled.clone()));
    });
    Ok(compiled)
}
