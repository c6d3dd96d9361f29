//! Paths and base URLs with placeholders in braces, as their readers see them.
//!
//! Whether a path is well made is for `descriptor::template` to say. What is here reads any text:
//! a placeholder ends at the first brace that closes, and one that nothing closes is none.

use thiserror::Error;

/// A part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathPiece<'text> {
    /// Text that is itself; never empty.
    Literal(&'text str),
    /// A name in braces.
    Placeholder(&'text str),
    /// All behind a brace that nothing closes.
    Open(&'text str),
}

/// Splits a path at its braces.
pub fn path_pieces(path: &str) -> impl Iterator<Item = PathPiece<'_>> + Clone {
    let mut rest = path;
    std::iter::from_fn(move || {
        let Some(inside) = rest.strip_prefix('{') else {
            let (literal, tail) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
            rest = tail;
            return (!literal.is_empty()).then_some(PathPiece::Literal(literal));
        };
        Some(match inside.split_once('}') {
            Some((name, tail)) => {
                rest = tail;
                PathPiece::Placeholder(name)
            }
            None => {
                rest = "";
                PathPiece::Open(inside)
            }
        })
    })
}

/// Returns the names in braces, in their order.
pub fn path_placeholders(path: &str) -> impl Iterator<Item = &str> + Clone {
    path_pieces(path).filter_map(|piece| match piece {
        PathPiece::Placeholder(name) => Some(name),
        PathPiece::Literal(_) | PathPiece::Open(_) => None,
    })
}

/// Returns a path with the names of its placeholders left out, and all behind an open brace.
pub fn anonymous(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    for piece in path_pieces(path) {
        plain.push_str(match piece {
            PathPiece::Literal(text) => text,
            PathPiece::Placeholder(_) | PathPiece::Open(_) => "{}",
        });
    }
    plain
}

/// Returns how a document may write the path of a tool: as it is, with a slash before it, and below the
/// path of the base URL, of which `base` is [`anonymous`].
pub fn spellings(path: &str, base: &str) -> [String; 3] {
    let plain = anonymous(path);
    let rooted = if plain.starts_with('/') { plain.clone() } else { format!("/{plain}") };
    let below = format!("{base}{rooted}");
    [plain, rooted, below]
}

/// Returns the parts between slashes that are itself: without a placeholder, without the query.
pub fn fixed_parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    let path = path.split('?').next().unwrap_or_default();
    path.split('/').filter(|part| !part.is_empty() && !part.contains('{'))
}

/// Returns whether a segment is `.` or `..`; URL parsers decode `%2e` before they look.
pub fn is_dot_segment(segment: &str) -> bool {
    segment.len() <= "%2e%2e".len()
        && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Returns the path of a base URL, whose host may be a placeholder, without a slash at its end.
pub fn of_base_url(url: Option<&str>) -> &str {
    let url = url.unwrap_or_default();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default();
    path.trim_end_matches('/')
}

/// What is wrong with the braces of a base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BraceError {
    /// Nothing closes one.
    #[error("a brace has no partner")]
    Open,
    /// What is in them is no name.
    #[error("a placeholder needs a name of letters, digits and `_`")]
    Name,
}

/// Returns a base URL that can be parsed: `x` stands for each placeholder, and at the start for the
/// scheme as well.
pub fn filled_with_x(url: &str) -> Result<String, BraceError> {
    let mut plain = String::with_capacity(url.len());
    for piece in path_pieces(url) {
        match piece {
            PathPiece::Literal(text) => plain.push_str(text),
            PathPiece::Open(_) => return Err(BraceError::Open),
            PathPiece::Placeholder(name) => {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                if name.is_empty() || !name.bytes().all(is_name) {
                    return Err(BraceError::Name);
                }
                plain.push_str(if plain.is_empty() { "https://x" } else { "x" });
            }
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_its_braces() {
        use PathPiece::{Literal, Open, Placeholder};

        let split = |path| path_pieces(path).collect::<Vec<_>>();
        assert_eq!(split("/a/{b}/c"), [Literal("/a/"), Placeholder("b"), Literal("/c")]);
        assert_eq!(split("{a}{}"), [Placeholder("a"), Placeholder("")]);
        assert_eq!(split("/a}/{b"), [Literal("/a}/"), Open("b")]);
        assert_eq!(split(""), []);
    }

    #[test]
    fn what_nothing_closes_is_no_placeholder() {
        assert_eq!(path_placeholders("/{a}/x{b}/{c").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(anonymous("/{a}/x{b}/{c/d"), "/{}/x{}/{}");
        assert_eq!(anonymous("/a/b"), "/a/b");
    }

    #[test]
    fn parts_of_a_path_are_fixed_or_not() {
        let parts = |path| fixed_parts(path).collect::<Vec<_>>();
        assert_eq!(parts("/a/{b}/c.{d}/e/?f=/g"), ["a", "e"]);
        assert_eq!(parts("a//{b}"), ["a"]);
        assert!(parts("/{a}").is_empty());
    }

    #[test]
    fn every_spelling_of_dots_is_known() {
        for dots in [".", "..", "%2e", "%2E", ".%2e", "%2E.", "%2e%2E"] {
            assert!(is_dot_segment(dots), "{dots}");
        }
        for other in ["", "...", "a.", "%252e", "%2e%2e%2e", ".a"] {
            assert!(!is_dot_segment(other), "{other}");
        }
    }

    #[test]
    fn a_base_url_has_a_path() {
        for (url, expected) in [
            ("https://api.example.com/v1/", "/v1"),
            ("https://api.example.com", ""),
            ("{HOST}/api", "/api"),
            ("https://{HOST}:8000/api", "/api"),
            ("https://api.example.com/v1?a=/b", "/v1"),
            ("/api", "/api"),
            ("v1", ""),
            ("api.example.com/v1", "/v1"),
        ] {
            assert_eq!(of_base_url(Some(url)), expected, "{url}");
        }
        assert_eq!(of_base_url(None), "");
    }

    #[test]
    fn placeholders_of_a_base_url_are_filled() {
        assert_eq!(filled_with_x("{HOST}/api").as_deref(), Ok("https://x/api"));
        assert_eq!(filled_with_x("https://{a}.b/{c}").as_deref(), Ok("https://x.b/x"));
        assert_eq!(filled_with_x("https://{a b}"), Err(BraceError::Name));
        assert_eq!(filled_with_x("https://{}"), Err(BraceError::Name));
        assert_eq!(filled_with_x("https://{a"), Err(BraceError::Open));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn the_pieces_are_the_path(path in "[a/{}]{0,20}") {
            let whole: String = path_pieces(&path)
                .map(|piece| match piece {
                    PathPiece::Literal(text) => text.to_owned(),
                    PathPiece::Placeholder(name) => format!("{{{name}}}"),
                    PathPiece::Open(text) => format!("{{{text}"),
                })
                .collect();
            proptest::prop_assert_eq!(whole, path);
        }
    }
}
