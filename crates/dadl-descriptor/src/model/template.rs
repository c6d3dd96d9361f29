//! Path templates such as `/vms/{id}.{format}`, split once at load time.
//!
//! A template names something below the base URL: an absolute URL, a network-path reference
//! (`//host`), a dot segment or a fragment is an error here, so that later stages have nothing to
//! check and credentials cannot leave the host they belong to. The path of a tool alone may name a
//! host, which it then says: whether anything is sent there, the operator decides.

use std::ops::Range;

use dadl_text::names::path::is_dot_segment;
use url::Url;

/// The path of a tool, relative to the base URL or to a host of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    pieces: Box<[TemplatePiece]>,
    query: Option<Box<str>>,
    elsewhere: Option<Box<OtherHost>>,
}

/// Where a path leads that names a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherHost {
    /// To this scheme, host and port.
    Origin(Url),
    /// Nobody can say where: the host has placeholders or a user name, or the scheme is another.
    Unclear,
}

/// A part of a path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePiece {
    /// Text that is sent as it is; may contain `/`.
    Literal(Box<str>),
    /// The name of a path parameter.
    Placeholder(Box<str>),
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The reason, without the template itself.
    pub message: String,
    /// The bytes of the template that are wrong.
    pub range: Range<usize>,
}

/// What is said about a path that names a host.
pub(crate) const NAMES_A_HOST: &str = "a path cannot name another host";

impl OtherHost {
    /// Returns where `text` leads if it names a host, and the rest, which is a path.
    fn of(text: &str) -> Option<(Self, &str)> {
        let first = text.split(['/', '?', '#', '{']).next().unwrap_or_default();
        if !first.contains(':') && !text.starts_with("//") {
            return None;
        }
        Some(
            Self::origin(text).map_or((Self::Unclear, ""), |(url, rest)| (Self::Origin(url), rest)),
        )
    }

    fn origin(text: &str) -> Option<(Url, &str)> {
        let (scheme, behind) = text.split_once("://")?;
        let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
        let (host, rest) = behind.split_at_checked(end)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        // What a URL parser would read as something else names nothing.
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
            || host.is_empty()
            || !host.bytes().all(is_plain)
        {
            return None;
        }
        let url = Url::parse(&format!("{scheme}://{host}/")).ok()?;
        url.has_host().then_some((url, rest))
    }
}

impl PathTemplate {
    /// Splits `text`; it may end in a fixed query (`/search?kind=vm`).
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if OtherHost::of(text).is_some() {
            return Err(TemplateError { message: NAMES_A_HOST.to_owned(), range: 0..text.len() });
        }
        Self::below(text)
    }

    /// Does what [`parse`](Self::parse) does for the path of a tool, which may name a host.
    pub fn parse_of_tool(text: &str) -> Result<Self, TemplateError> {
        let Some((elsewhere, path)) = OtherHost::of(text) else { return Self::below(text) };
        let at = text.len() - path.len();
        let mut template = Self::below(path).map_err(|error| {
            let range = error.range.start + at..error.range.end + at;
            TemplateError { range, ..error }
        })?;
        text.clone_into(&mut template.text);
        Ok(Self { elsewhere: Some(Box::new(elsewhere)), ..template })
    }

    /// Splits a path that names no host.
    fn below(text: &str) -> Result<Self, TemplateError> {
        let fail = |message: &str, range: Range<usize>| {
            Err(TemplateError { message: message.to_owned(), range })
        };
        // URL parsers read a backslash as a slash.
        let is_wrong = |other: char| matches!(other, '#' | '\\') || other.is_control();
        if let Some((at, wrong)) = text.char_indices().find(|(_, other)| is_wrong(*other)) {
            let range = at..at + wrong.len_utf8();
            return fail("a path cannot contain `#`, `\\` or control characters", range);
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query.into())),
            None => (text, None),
        };
        if query.as_deref().is_some_and(|query: &str| query.contains(['{', '}'])) {
            let at = path.len();
            return fail("placeholders belong into the path, not into its query", at..text.len());
        }
        let mut offset = 0;
        for segment in path.split('/') {
            if is_dot_segment(segment) {
                return fail("a path cannot contain dot segments", offset..offset + segment.len());
            }
            offset += segment.len() + 1;
        }
        let pieces = split_pieces(path)?.into();
        Ok(Self { text: text.to_owned(), pieces, query, elsewhere: None })
    }

    /// Returns where it leads, when it names a host.
    pub fn elsewhere(&self) -> Option<&OtherHost> {
        self.elsewhere.as_deref()
    }

    /// Returns the template as the author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the parts of the path, without the query.
    pub fn pieces(&self) -> &[TemplatePiece] {
        &self.pieces
    }

    /// Returns the fixed query, without `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the placeholders from left to right.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            TemplatePiece::Placeholder(name) => Some(&**name),
            TemplatePiece::Literal(_) => None,
        })
    }
}

/// Splits a path into literals and placeholders.
fn split_pieces(path: &str) -> Result<Vec<TemplatePiece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find(['{', '}']) {
        let (literal, from_brace) = rest.split_at(open);
        let at = path.len() - from_brace.len();
        let close = from_brace.find('}').filter(|_| from_brace.starts_with('{'));
        let Some(close) = close else {
            let message = "a brace has no partner".to_owned();
            return Err(TemplateError { message, range: at..at + 1 });
        };
        let name = from_brace.get(1..close).unwrap_or_default();
        if name.is_empty() || name.contains(['{', '/']) {
            let message = "a placeholder needs a name between its braces".to_owned();
            return Err(TemplateError { message, range: at..at + close + 1 });
        }
        if !literal.is_empty() {
            pieces.push(TemplatePiece::Literal(literal.into()));
        }
        pieces.push(TemplatePiece::Placeholder(name.into()));
        rest = from_brace.get(close + 1..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(TemplatePiece::Literal(rest.into()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(text: &str) -> Vec<String> {
        PathTemplate::parse(text).unwrap().placeholders().map(str::to_owned).collect()
    }

    fn error(text: &str) -> String {
        PathTemplate::parse(text).unwrap_err().message
    }

    #[test]
    fn finds_placeholders_in_any_place() {
        assert_eq!(placeholders("/vms/{id}.{format}"), ["id", "format"]);
        assert_eq!(placeholders("/ping"), Vec::<String>::new());
        assert_eq!(placeholders("/fetch?url=http://x"), Vec::<String>::new());
        assert_eq!(placeholders("{a}{b}"), ["a", "b"]);
    }

    #[test]
    fn keeps_a_fixed_query() {
        let template = PathTemplate::parse("/search/?kind=vm").unwrap();
        assert_eq!(template.query(), Some("kind=vm"));
        assert_eq!(template.pieces(), [TemplatePiece::Literal("/search/".into())]);
    }

    /// Where the path of a tool leads, and its pieces as text.
    fn of_tool(text: &str) -> (Option<String>, String) {
        let template = PathTemplate::parse_of_tool(text).unwrap();
        assert_eq!(template.as_str(), text);
        let origin = template.elsewhere().map(|elsewhere| match elsewhere {
            OtherHost::Origin(url) => url.origin().ascii_serialization(),
            OtherHost::Unclear => "?".to_owned(),
        });
        let pieces = template.pieces().iter().map(|piece| match piece {
            TemplatePiece::Literal(text) => text.to_string(),
            TemplatePiece::Placeholder(name) => format!("<{name}>"),
        });
        let path: String = pieces.collect();
        (origin, path + template.query().map_or("", |_| "?"))
    }

    #[test]
    fn the_path_of_a_tool_may_name_a_host() {
        for (text, origin, path) in [
            ("https://other.example/v2/x/{id}?k=v", "https://other.example", "/v2/x/<id>?"),
            ("HTTP://Other.example:80", "http://other.example", ""),
            ("http://[::1]:8080?a=b", "http://[::1]:8080", "?"),
            ("https://h.example:8443/", "https://h.example:8443", "/"),
        ] {
            assert_eq!(of_tool(text), (Some(origin.to_owned()), path.to_owned()), "{text}");
            assert_eq!(error(text), NAMES_A_HOST);
        }
        for unclear in [
            "//evil.example/x",
            "https:evil.example",
            "https:/evil.example/{id}",
            "https://{region}.example.com/{id}",
            "https://user@evil.example/",
            "https://good.example@evil.example/",
            "https://good.example\\.evil.example/",
            "https://:8080/",
            "https://h.example:99999/",
            "https://h%2eexample/",
            "ftp://h.example/",
            "javascript:alert(1)",
            "https:///evil.example",
        ] {
            assert_eq!(of_tool(unclear), (Some("?".to_owned()), String::new()), "{unclear}");
            assert_eq!(error(unclear), NAMES_A_HOST);
        }
        assert_eq!(of_tool("/fetch?url=http://x"), (None, "/fetch?".to_owned()));
        let wrong = |text: &str| PathTemplate::parse_of_tool(text).unwrap_err();
        assert_eq!(wrong("https://h.example/a/../b").range, 20..22);
        assert!(wrong("https://h.example/a#b").message.contains('#'));
        assert!(wrong("https://h.example/a\\b").message.contains("control"));
    }

    #[test]
    fn refuses_what_leaves_the_base() {
        assert!(error("https://evil.example/x").contains("another host"));
        assert!(error("//evil.example/x").contains("another host"));
        assert!(error("https:evil.example").contains("another host"));
        assert!(error("/a/../b").contains("dot segments"));
        assert!(error("/a/%2E%2e/b").contains("dot segments"));
        assert!(error("/a/.%2e").contains("dot segments"));
        assert!(error("/a\\..\\b").contains("control"));
        assert_eq!(PathTemplate::parse("/a\u{85}").unwrap_err().range, 2..4);
        assert!(error("/a/{b").contains("partner"));
        assert!(error("/a/}").contains("partner"));
        assert!(error("/a/{}").contains("name"));
        assert!(error("/a#b").contains('#'));
    }
}
