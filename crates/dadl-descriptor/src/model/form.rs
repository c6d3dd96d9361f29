//! How a value is written and what it may be, beyond what DADL can say (`_dadl_mcp.requests`).

use std::fmt;

use mime::Mime;

use super::ParamKind;

/// What `_dadl_mcp.requests` says about a parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// How a list or an object is written.
    pub style: Style,
    /// Whether null is a value.
    pub nullable: bool,
    /// Whether `:/?@!$()*,;` stay in the values of a query or a form.
    pub allow_reserved: bool,
    /// Whether it is all of the body or of the query.
    pub whole: Option<Whole>,
    /// Whether it takes several files.
    pub several: bool,
    /// `Content-Type` of its field in a multipart body.
    pub content_type: Option<Mime>,
    /// Its name on the wire, where another parameter has that name as well.
    pub name: Option<String>,
    /// Names that its members cannot have in the query: the credential has them.
    pub not: Vec<String>,
}

impl Form {
    /// Returns whether the members of a value are pairs of their own.
    pub fn spreads(&self) -> bool {
        let Style::Listed { lead: Lead::None, explode, .. } = self.style else { return false };
        explode
    }
}

/// How a list or an object is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// As its place usually has it: a repeated name, `name[key]`, JSON.
    #[default]
    Usual,
    /// As one text with delimiters (RFC 6570, OpenAPI's `style`).
    Listed {
        /// What goes before it.
        lead: Lead,
        /// What goes between items.
        between: Between,
        /// Whether an object's names and values have `=` between, and the items of a query or
        /// those behind a lead stand for themselves.
        explode: bool,
    },
    /// As JSON text.
    Json,
    /// Text of a path, whose `/` stay.
    Segments,
}

impl Style {
    /// Returns whether a caller may give a list, a list as JSON text, or the text with delimiters.
    pub fn is_listed(self) -> bool {
        matches!(self, Self::Listed { .. })
    }
}

/// What goes before a value in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// Nothing: `simple` and `form`.
    None,
    /// `.`: `label`.
    Dot,
    /// `;` and the name: `matrix`.
    Semicolon,
}

/// What goes between the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
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
pub enum Whole {
    /// All of the query.
    Query,
    /// A JSON body: the value itself; text that is no JSON may name a file.
    Json,
    /// A body of text, XML included: the text itself, or `dadl-file:ID`.
    Text,
    /// A body of any bytes: a file, or text where the type is that.
    Bytes,
}

impl Whole {
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

/// A type of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Basic {
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

/// Types in their order, without repetition; none means any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KindList {
    list: [Option<Basic>; 6],
}

impl KindList {
    /// Returns the list that has every type.
    pub fn any() -> Self {
        Self { list: [None; 6] }
    }

    /// Returns the list of these types; the name of a file is text.
    pub fn of(kinds: impl IntoIterator<Item = ParamKind>) -> Self {
        let mut known = Self::any();
        for kind in kinds {
            let basic = match kind {
                ParamKind::Array => Basic::Array,
                ParamKind::Boolean => Basic::Boolean,
                ParamKind::Integer => Basic::Integer,
                ParamKind::Number => Basic::Number,
                ParamKind::Object => Basic::Object,
                ParamKind::FileUrl | ParamKind::String => Basic::String,
                ParamKind::Union(kinds) => {
                    if kinds.is_any() {
                        return Self::any();
                    }
                    return Self::of(known.iter().chain(kinds.iter()).collect::<Vec<_>>());
                }
            };
            if known.list.contains(&Some(basic)) {
                continue;
            }
            if let Some(place) = known.list.iter_mut().find(|place| place.is_none()) {
                *place = Some(basic);
            }
        }
        known
    }

    /// Returns the types; none when any will do.
    pub fn iter(self) -> impl Iterator<Item = ParamKind> {
        self.list.into_iter().flatten().map(|basic| match basic {
            Basic::Array => ParamKind::Array,
            Basic::Boolean => ParamKind::Boolean,
            Basic::Integer => ParamKind::Integer,
            Basic::Number => ParamKind::Number,
            Basic::Object => ParamKind::Object,
            Basic::String => ParamKind::String,
        })
    }

    /// Returns whether a value of this type fits.
    pub fn contains(self, kind: ParamKind) -> bool {
        self.is_any() || self.iter().any(|known| known == kind)
    }

    /// Returns whether every value fits.
    pub fn is_any(self) -> bool {
        self.list.iter().all(Option::is_none)
    }
}

/// Names the types as JSON Schema does.
impl fmt::Display for KindList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return formatter.write_str("any value");
        }
        for (at, kind) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { " or " };
            write!(formatter, "{separator}{kind}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_keep_their_order_and_occur_once() {
        let kinds = KindList::of([ParamKind::String, ParamKind::Array, ParamKind::String]);
        assert_eq!(kinds.iter().collect::<Vec<_>>(), [ParamKind::String, ParamKind::Array]);
        assert_eq!(kinds.to_string(), "string or array");
        assert!(kinds.contains(ParamKind::Array) && !kinds.contains(ParamKind::Integer));
        let more = KindList::of([ParamKind::Integer, ParamKind::Union(kinds)]);
        assert_eq!(more.to_string(), "integer or string or array");
        assert!(KindList::of([]).is_any() && KindList::any().contains(ParamKind::Object));
        let any = KindList::of([ParamKind::Integer, ParamKind::Union(KindList::any())]);
        assert!(any.is_any());
    }

    #[test]
    fn a_body_is_json_text_or_bytes() {
        for (mime, expected) in [
            ("application/json", Whole::Json),
            ("application/json-patch+json", Whole::Json),
            ("text/json", Whole::Json),
            ("text/plain; charset=utf-8", Whole::Text),
            ("application/xml", Whole::Text),
            ("application/soap+xml", Whole::Text),
            ("application/x-ndjson", Whole::Text),
            ("image/png", Whole::Bytes),
            ("application/octet-stream", Whole::Bytes),
            ("application/zip", Whole::Bytes),
        ] {
            assert_eq!(Whole::of(&mime.parse().unwrap()), expected, "{mime}");
        }
    }
}
