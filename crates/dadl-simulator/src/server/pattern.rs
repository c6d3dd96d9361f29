//! Path patterns and query strings.
//!
//! A pattern such as `/vms/{id}.{format}` takes a raw path and gives the decoded captures.
//! Paths are split before they are decoded, so `%2F` never separates segments.

use super::percent_decode;

/// A compiled path pattern.
#[derive(Debug, Clone)]
pub(crate) struct RoutePattern {
    segments: Vec<RouteSegment>,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq)]
enum RouteSegment {
    Capture,
    CaptureWithSuffix,
    Literal(String),
}

impl RoutePattern {
    /// Compiles a pattern; `{name}` captures one segment, `{name}.{name}` two parts of one.
    pub(crate) fn new(text: &str) -> Self {
        let segments = text
            .split('/')
            .skip(1)
            .map(|segment| match (segment.starts_with('{'), segment.contains("}.{")) {
                (true, true) => RouteSegment::CaptureWithSuffix,
                (true, false) => RouteSegment::Capture,
                _ => RouteSegment::Literal(segment.to_owned()),
            })
            .collect();
        Self { segments }
    }

    /// Returns the decoded captures when a raw path matches. One slash at the end is ignored.
    pub(crate) fn captures(&self, path: &str) -> Option<Vec<String>> {
        let path = path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut captures = Vec::new();
        let mut parts = path.split('/');
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                RouteSegment::Literal(literal) if literal == part => {}
                RouteSegment::Capture if !part.is_empty() => captures.push(percent_decode(part)),
                RouteSegment::CaptureWithSuffix => {
                    let (name, suffix) = part.rsplit_once('.')?;
                    captures.extend([percent_decode(name), percent_decode(suffix)]);
                }
                _ => return None,
            }
        }
        parts.next().is_none().then_some(captures)
    }
}

/// The parameters of a query string, in order, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueryParams {
    pairs: Vec<(String, String)>,
}

impl QueryParams {
    /// Reads `a=b&c`; a name without a value has the empty value.
    pub(crate) fn new(text: &str) -> Self {
        let decode = |part: &str| percent_decode(&part.replace('+', " "));
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect();
        Self { pairs }
    }

    /// Returns the first value of a parameter.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// Returns all values of a repeated parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// Returns all pairs, in order.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: Option<&[&str]>) {
        let captures = RoutePattern::new(pattern).captures(path);
        let captures = captures.as_ref().map(|all| all.iter().map(String::as_str).collect());
        assert_eq!(captures, expected.map(<[_]>::to_vec));
    }

    #[test]
    fn matches_paths() {
        check("/vms", "/vms", Some(&[]));
        check("/vms", "/vms/", Some(&[]));
        check("/vms/{id}", "/vms", None);
        check("/vms/{id}", "/vms/a%2Fb", Some(&["a/b"]));
        check("/vms/{id}", "/vms//", None);
        check("/vms/{id}.{format}", "/vms/a.b.xva", Some(&["a.b", "xva"]));
        check("/vms/{id}.{format}", "/vms/a", None);
        check("/vms/{id}/tags/{tag}", "/vms/a/tags/b%20c", Some(&["a", "b c"]));
    }

    #[test]
    fn reads_queries() {
        let query = QueryParams::new("a=1+2&b&c=%C3%A9&a=3");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1 2", "3"]);
        assert_eq!(query.first("b"), Some(""));
        assert_eq!(query.first("c"), Some("é"));
        assert_eq!(query.first("d"), None);
    }
}
