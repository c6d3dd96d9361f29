//! Paths, and the placeholders of frameworks in them.

use std::collections::HashMap;

use dadl_descriptor::model::{ListDelimiter, ParamStyle, StylePrefix, template::PathTemplate};
use dadl_text::names::{
    joined_name,
    path::{PathPiece, path_pieces},
};

use super::{DeclaredParameter, OpenApiReader, PathItem};
use crate::report::excerpt;

/// A longer path is no path.
const MAX_PATH: usize = 2_000;

/// A path as a descriptor has it.
#[derive(Default)]
pub(super) struct DescriptorPath {
    /// The template.
    pub(super) text: String,
    /// The new names of placeholders by their old ones.
    pub(super) renamed: HashMap<String, String>,
    /// How the values of placeholders are written, where that is not the usual way.
    pub(super) styles: HashMap<String, ParamStyle>,
}

/// What stands between two braces.
#[derive(Debug, PartialEq, Eq)]
enum BraceContent {
    /// A parameter of the path.
    Path {
        name: String,
        style: ParamStyle,
        /// Whether it stands there as it is declared.
        is_own: bool,
        /// Whether a plain name was meant.
        is_mended: bool,
        /// What stands before it.
        lead: &'static str,
    },
    /// Parameters of the query (RFC 6570).
    Query(Vec<String>),
    /// Nothing that a descriptor can say.
    Other,
}

impl<'doc> OpenApiReader<'doc> {
    /// Returns the path as a template.
    pub(super) fn read_path(
        &mut self,
        item: &PathItem<'doc>,
        declared: &[DeclaredParameter<'doc>],
    ) -> Option<DescriptorPath> {
        let mut path = item.path.trim().to_owned();
        let place = item.place.as_str();
        if path.len() > MAX_PATH {
            self.lost_path(place, "the path is too long");
            return None;
        }
        if !path.starts_with('/') {
            self.schemas.remarks.mended(place, "the path does not begin with `/`", "add it");
            path.insert(0, '/');
        }
        let in_path: Vec<&str> = declared
            .iter()
            .filter(|declared| declared.location == "path")
            .map(|declared| declared.name.as_str())
            .collect();
        // `/vms/:id` is how web frameworks write it.
        if !path.contains('{') && path.contains("/:") {
            let segments = path.split('/').map(|segment| match segment.strip_prefix(':') {
                Some(name) if in_path.contains(&name) => format!("{{{name}}}"),
                _ => segment.to_owned(),
            });
            let written = segments.collect::<Vec<_>>().join("/");
            if written != path {
                let message = "`:name` in the path is no placeholder; `{name}` was taken";
                self.schemas.remarks.mended(place, message, "write `{name}`");
                path = written;
            }
        }
        let made = self.read_template(&path, &in_path, declared, place)?;
        match PathTemplate::parse(&made.text) {
            Ok(_) => Some(made),
            Err(error) => {
                self.lost_path(place, &error.message);
                None
            }
        }
    }

    fn lost_path(&mut self, place: &str, message: &str) {
        let help = "describe the operation by hand, if the path can be written otherwise";
        self.schemas.remarks.lost(place, format!("{message}; left out"), help);
    }

    /// Makes a template of a path.
    fn read_template(
        &mut self,
        path: &str,
        in_path: &[&str],
        declared: &[DeclaredParameter<'doc>],
        place: &str,
    ) -> Option<DescriptorPath> {
        let mut made = DescriptorPath::default();
        let mut written = String::new();
        let all: Vec<PathPiece<'_>> = path_pieces(path).collect();
        for (at, piece) in all.iter().enumerate() {
            let inside = match piece {
                PathPiece::Literal(text) => {
                    written.push_str(text);
                    continue;
                }
                PathPiece::Placeholder(inside) => *inside,
                PathPiece::Open(_) => {
                    self.lost_path(place, "a brace in the path has no partner");
                    return None;
                }
            };
            let shown = excerpt(inside);
            let found = brace_content(inside, in_path);
            if let BraceContent::Query(names) = &found {
                let is_query = |name: &&str| {
                    declared.iter().any(|it| it.location == "query" && it.name == *name)
                };
                if at + 1 != all.len() || !names.iter().all(|name| is_query(&name.as_str())) {
                    self.lost_path(place, &format!("`{{{shown}}}` is no part of a path"));
                    return None;
                }
                let message = format!("`{{{shown}}}` stands for the query, and was taken out");
                self.schemas.remarks.changed(place, message, "the parameters say what is sent");
                continue;
            }
            let BraceContent::Path { name, style, is_own, is_mended, lead } = found else {
                self.lost_path(
                    place,
                    &format!("`{{{shown}}}` is no placeholder that a descriptor can have"),
                );
                return None;
            };
            if is_mended {
                let message = format!("the placeholder `{{{shown}}}` is not plain");
                self.schemas.remarks.mended(
                    place,
                    message,
                    "write a name alone between the braces",
                );
            } else if !is_own {
                let message =
                    format!("`{{{shown}}}` is `{{{}}}`, written in its style", excerpt(&name));
                let help = "a `/` within a value of several segments stays";
                self.schemas.remarks.changed(place, message, help);
            }
            // Names that no parameter can have; the server never sees them.
            let usable = usable_name(&name);
            if style != ParamStyle::Usual {
                made.styles.insert(usable.clone(), style);
            }
            if usable != name {
                made.renamed.insert(name, usable.clone());
            }
            written.push_str(lead);
            written.push_str(&format!("{{{usable}}}"));
        }
        Some(DescriptorPath { text: written, ..made })
    }
}

/// Reads what frameworks write between braces: `{id:[0-9]+}`, `{path*}`, `{+path}`, `{proxy+}`.
fn brace_content(inside: &str, declared: &[&str]) -> BraceContent {
    let listed = |lead| ParamStyle::Listed { lead, between: ListDelimiter::Comma, explode: false };
    let is_own = declared.contains(&inside) && !inside.is_empty();
    let trimmed = inside.trim();
    let (lead, rest) = match trimmed.chars().next() {
        Some(first @ ('+' | '*' | '.' | ';' | '/' | '?' | '&' | '#')) => {
            (Some(first), trimmed.trim_start_matches(first))
        }
        _ => (None, trimmed),
    };
    if matches!(lead, Some('?' | '&')) {
        let names = rest.split(',').map(|name| name.trim_end_matches('*').to_owned());
        return BraceContent::Query(names.collect());
    }
    let (name, pattern) = match rest.split_once(':') {
        Some((name, pattern)) => (name.trim(), Some(pattern.trim())),
        None => (rest, None),
    };
    let plain = name.trim_start_matches('$').trim_end_matches(['+', '*', '?']);
    let is_many = matches!(lead, Some('+' | '*'))
        || name.ends_with(['+', '*'])
        || pattern.is_some_and(may_hold_slash);
    let style = match lead {
        _ if is_many => ParamStyle::Segments,
        Some('.') => listed(StylePrefix::Dot),
        Some(';') => listed(StylePrefix::Semicolon),
        _ => ParamStyle::Usual,
    };
    if is_own {
        return BraceContent::Path {
            name: inside.to_owned(),
            style: if is_many { ParamStyle::Segments } else { ParamStyle::Usual },
            is_own: true,
            is_mended: false,
            lead: "",
        };
    }
    if plain.is_empty() || plain.contains(',') || lead == Some('#') {
        return BraceContent::Other;
    }
    BraceContent::Path {
        name: plain.to_owned(),
        style,
        is_own: plain == inside,
        is_mended: style == ParamStyle::Usual && lead.is_none() && plain != inside,
        lead: if lead == Some('/') { "/" } else { "" },
    }
}

/// Returns whether what a pattern matches may have a `/`.
fn may_hold_slash(pattern: &str) -> bool {
    pattern == "path"
        || pattern.contains(".*")
        || pattern.contains(".+")
        || pattern.contains("**")
        || pattern.contains("[^") && !pattern.contains("[^/")
}

/// Makes a name that a path parameter can have.
fn usable_name(name: &str) -> String {
    let plain = |other: char| {
        !other.is_whitespace() && !other.is_control() && !matches!(other, '/' | '?' | '#' | '\\')
    };
    if name.chars().all(plain) {
        return name.to_owned();
    }
    joined_name(name, plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_frameworks() {
        for (inside, name, style, is_mended) in [
            ("id", "id", ParamStyle::Usual, false),
            ("id:[0-9]+", "id", ParamStyle::Usual, true),
            ("id:[^/]+", "id", ParamStyle::Usual, true),
            (" id ", "id", ParamStyle::Usual, true),
            ("id?", "id", ParamStyle::Usual, true),
            ("+rest", "rest", ParamStyle::Segments, false),
            ("rest*", "rest", ParamStyle::Segments, false),
            ("proxy+", "proxy", ParamStyle::Segments, false),
            ("*rest", "rest", ParamStyle::Segments, false),
            ("**rest", "rest", ParamStyle::Segments, false),
            ("rest:.*", "rest", ParamStyle::Segments, false),
            ("rest:path", "rest", ParamStyle::Segments, false),
        ] {
            let found = brace_content(inside, &["id"]);
            let BraceContent::Path {
                name: found_name, style: found_style, is_mended: mended, ..
            } = found
            else {
                panic!("{inside}")
            };
            assert_eq!(
                (found_name.as_str(), found_style, mended),
                (name, style, is_mended),
                "{inside}"
            );
        }
        for inside in ["", "#part", "a,b", "+"] {
            assert_eq!(brace_content(inside, &[]), BraceContent::Other, "{inside}");
        }
        let query = BraceContent::Query(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(brace_content("?a,b", &[]), query);
        // A parameter may be declared under the very name.
        let BraceContent::Path { name, is_own, .. } = brace_content("id:x", &["id:x"]) else {
            panic!()
        };
        assert_eq!((name.as_str(), is_own), ("id:x", true));
    }
}
