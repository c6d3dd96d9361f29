//! How a value is written and what it may be, beyond what DADL can say (`_dadl_mcp.requests`).

use mime::Mime;

/// What `_dadl_mcp.requests` says about a parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamForm {
    /// How a list or an object is written.
    pub style: ParamStyle,
    /// Whether null is a value.
    pub nullable: bool,
    /// Whether `:/?@!$()*,;` stay in the values of a query or a form.
    pub allow_reserved: bool,
    /// Whether it is all of the body or of the query.
    pub whole: Option<WholePart>,
    /// Whether it takes several files.
    pub several: bool,
    /// `Content-Type` of its field in a multipart body.
    pub content_type: Option<Mime>,
    /// Its name on the wire, where another parameter has that name as well.
    pub name: Option<String>,
    /// Names that its members cannot have in the query: the credential has them.
    pub not: Vec<String>,
}

impl ParamForm {
    /// Returns whether the members of a value are pairs of their own.
    pub fn spreads(&self) -> bool {
        let ParamStyle::Listed { lead: StylePrefix::None, explode, .. } = self.style else {
            return false;
        };
        explode
    }
}

/// How a list or an object is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParamStyle {
    /// As its place usually has it: a repeated name, `name[key]`, JSON.
    #[default]
    Usual,
    /// As one text with delimiters (RFC 6570, OpenAPI's `style`).
    Listed {
        /// What goes before it.
        lead: StylePrefix,
        /// What goes between items.
        between: ListDelimiter,
        /// Whether an object's names and values have `=` between, and the items of a query or
        /// those behind a lead stand for themselves.
        explode: bool,
    },
    /// As JSON text.
    Json,
    /// Text of a path, whose `/` stay.
    Segments,
}

impl ParamStyle {
    /// Returns whether a caller may give a list, a list as JSON text, or the text with delimiters.
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Listed { .. })
    }
}

/// What goes before a value in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StylePrefix {
    /// Nothing: `simple` and `form`.
    None,
    /// `.`: `label`.
    Dot,
    /// `;` and the name: `matrix`.
    Semicolon,
}

/// What goes between the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListDelimiter {
    /// `,`
    Comma,
    /// A space.
    Space,
    /// A tabulator.
    Tab,
    /// `|`
    Pipe,
}

/// How a parameter is all of its part of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholePart {
    /// All of the query.
    Query,
    /// A JSON body: the value itself; text that is no JSON may name a file.
    Json,
    /// A body of text, XML included: the text itself, or `dadl-file:ID`.
    Text,
    /// A body of any bytes: a file, or text where the type is that.
    Bytes,
}

impl WholePart {
    /// Returns how the one parameter of a body of this type is all of it.
    pub fn of(mime: &Mime) -> Self {
        let subtype = mime.subtype().as_str();
        if subtype == "json" || mime.suffix() == Some(mime::JSON) {
            return Self::Json;
        }
        let is_text = mime.type_() == mime::TEXT
            || mime.suffix() == Some(mime::XML)
            || mime.suffix().is_some_and(|suffix| suffix == "yaml")
            || TEXTS.contains(&subtype);
        if is_text { Self::Text } else { Self::Bytes }
    }
}

/// Types of text that do not begin with `text/`.
const TEXTS: [&str; 13] = [
    "ecmascript",
    "graphql",
    "javascript",
    "jsonl",
    "ndjson",
    "sql",
    "toml",
    "x-javascript",
    "x-jsonlines",
    "x-ndjson",
    "x-yaml",
    "xml",
    "yaml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_text_or_bytes() {
        for (mime, expected) in [
            ("application/json", WholePart::Json),
            ("application/json-patch+json", WholePart::Json),
            ("text/json", WholePart::Json),
            ("text/plain; charset=utf-8", WholePart::Text),
            ("application/xml", WholePart::Text),
            ("application/soap+xml", WholePart::Text),
            ("application/x-ndjson", WholePart::Text),
            ("image/png", WholePart::Bytes),
            ("application/octet-stream", WholePart::Bytes),
            ("application/zip", WholePart::Bytes),
        ] {
            assert_eq!(WholePart::of(&mime.parse().unwrap()), expected, "{mime}");
        }
    }
}
