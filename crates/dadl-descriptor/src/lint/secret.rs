//! Secrets in a file that is meant to be shared.
//!
//! Tokens that carry the mark of their issuer are found anywhere, comments included. Other secrets
//! have no form of their own, so they are looked for only where a key or a word before them says
//! that one is there, and count only when they look random. Names of credentials, placeholders and
//! examples of documentation are none.

use std::{collections::HashSet, sync::LazyLock};

use dadl_text::names::split_words;
use regex::Regex;

use super::{LintContext, LintText, each_text};
use crate::{code, diagnostic::Severity, yaml::YamlNode};

/// Forms that belong to one issuer; the first group is what must look random.
static MARKED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        \b(?:
            gh[opsur]_([A-Za-z0-9]{30,})
          | github_pat_([A-Za-z0-9_]{22,})
          | glpat-([A-Za-z0-9_-]{20,})
          | [rs]k_(?:live|test)_([A-Za-z0-9]{16,})
          | whsec_([A-Za-z0-9+/]{24,})
          | xox[abeoprs]-([A-Za-z0-9-]{16,})
          | (?:AKIA|ASIA)([0-9A-Z]{16})\b
          | AIza([0-9A-Za-z_-]{35})
          | npm_([A-Za-z0-9]{36})
          | pypi-([A-Za-z0-9_-]{50,})
          | hf_([A-Za-z]{34})\b
          | dop_v1_([0-9a-f]{64})
          | sk-(?:ant-|proj-|or-v1-)?([A-Za-z0-9_-]{32,})
          | SG\.([A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})
          | eyJ([A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,})
        )
        | -----BEGIN\ (?:[A-Z]+\ )*PRIVATE\ KEY(?:\ BLOCK)?-----(?:\\n|\s)*([A-Za-z0-9+/=]{32,})
        | [a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]{6,})@[A-Za-z0-9]
        ",
    )
    .ok()
});

/// A word for a secret, and what is written behind it.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        \b(?:
            (?:password|passwd|passphrase|secret|token|credential|api[_-]?key|access[_-]?key)
            ["']? \s* (?:=|:|\bis\b) \s*
          | (?:bearer|basic) \s+
        )
        ["'`]? ([A-Za-z0-9+/=_.~!$%^&*-]{12,}) ["'`]?
        "#,
    )
    .ok()
});

/// Words in the key of a value that is a secret.
const SECRET_WORDS: &[&str] =
    &["apikey", "authorization", "cookie", "passphrase", "passwd", "password", "secret", "token"];

/// Reports secrets in the text of the file.
pub(super) fn check(root: &YamlNode<'_>, lint: &mut LintContext<'_>) {
    let mut found: HashSet<(usize, usize)> = HashSet::new();
    let text = lint.source.text();
    if let Some(marked) = MARKED.as_ref() {
        for captures in marked.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            let secret = captures.iter().skip(1).flatten().next();
            if secret.is_some_and(|secret| is_random(secret.as_str(), 8))
                && !is_placeholder(whole.as_str())
            {
                found.insert((whole.start(), whole.end()));
            }
        }
    }
    each_text(root, &mut |text| check_named(text, lint, &mut found));
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    let mut end = 0;
    for (start, stop) in found {
        // A secret that two rules know is one.
        if start < end {
            continue;
        }
        end = stop;
        lint.report(
            Severity::Warning,
            code::SECRET,
            &(start..stop),
            "this looks like a secret".to_owned(),
        )
        .label("everybody who gets the file gets it")
        .help(
            "revoke it, name a credential instead, and write a placeholder such as `YOUR_TOKEN` \
             in examples",
        );
    }
}

/// Finds values whose key or whose words say that they are secret.
fn check_named(
    text: &LintText<'_, '_>,
    lint: &LintContext<'_>,
    found: &mut HashSet<(usize, usize)>,
) {
    let mut add = |value: &str| {
        let span = lint.place(text.span, value);
        found.insert((span.start, span.end));
    };
    if is_secret_value(text.path) {
        let value = text.value.trim();
        let value = value.rsplit([' ', '=']).next().unwrap_or(value);
        if value.len() >= 12 && is_random(value, 8) && !is_placeholder(value) {
            add(value);
        }
        return;
    }
    let Some(pattern) = NAMED.as_ref() else { return };
    for captures in pattern.captures_iter(text.value) {
        let Some(value) = captures.get(1) else { continue };
        let value = value.as_str().trim_end_matches('.');
        if looks_generated(value) && !is_placeholder(value) {
            add(value);
        }
    }
}

/// Returns whether a value under these keys is sent, and its name says that it is secret: a
/// default header, or the default of a parameter.
fn is_secret_value(path: &[&str]) -> bool {
    let name = match path {
        [.., "headers", name] | [.., "params", name, "default"] => *name,
        _ => return false,
    };
    names_a_secret(name)
}

/// Returns whether a name says that its value is secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    let words = split_words(name);
    let joined = words.concat();
    SECRET_WORDS.iter().any(|known| words.iter().any(|word| word == known) || joined == *known)
        || joined.ends_with("apikey")
}

/// Returns whether a word of prose looks like something that a machine made: letters of both
/// cases, or letters with digits all over, and no words with separators between them.
fn looks_generated(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let longest_word =
        value.split(|other: char| !other.is_ascii_lowercase()).map(str::len).max().unwrap_or(0);
    digits >= 2 && letters >= 4 && longest_word < 8 && is_random(value, 9)
}

/// Returns whether the characters vary as in a random text: at least `distinct` of them, and more
/// than three bits each.
fn is_random(text: &str, distinct: usize) -> bool {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX).max(1));
    let seen = || counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    let entropy: f64 = seen().map(|share| -share * share.log2()).sum();
    // A short text cannot have many bits for each character.
    seen().count() >= distinct && entropy > length.log2().min(4.0) * 0.75
}

/// Returns whether a text stands for a secret and is none.
fn is_placeholder(text: &str) -> bool {
    const MARKS: &[&str] = &[
        "...",
        "<",
        "{",
        "$",
        "*",
        "example",
        "your",
        "xxx",
        "placeholder",
        "changeme",
        "dummy",
        "sample",
        "redacted",
        "insert",
        "abcdef",
        "12345678",
        "foobar",
        "123abc",
        "abc123",
        "replace",
        "notreal",
    ];
    let lower = text.to_ascii_lowercase();
    MARKS.iter().any(|mark| lower.contains(mark)) || lower.starts_with("vault/")
}
