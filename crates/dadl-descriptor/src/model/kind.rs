//! Types of values that a parameter takes.

use std::fmt;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamKind {
    /// A JSON array.
    Array,
    /// `true` or `false`.
    Boolean,
    /// The name of a file whose bytes are sent.
    FileUrl,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A JSON object.
    Object,
    /// Text.
    String,
    /// One of several types (`_dadl_mcp.requests`).
    Union(KindList),
}

impl ParamKind {
    /// Returns JSON Schema's word for the type; a file is named by text.
    pub fn word(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::FileUrl | Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
            Self::Union(_) => "any value",
        }
    }
}

/// Names the type as JSON Schema does, or the types.
impl fmt::Display for ParamKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Union(kinds) => kinds.fmt(formatter),
            one => formatter.write_str(one.word()),
        }
    }
}

/// A type of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum JsonType {
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
    list: [Option<JsonType>; 6],
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
                ParamKind::Array => JsonType::Array,
                ParamKind::Boolean => JsonType::Boolean,
                ParamKind::Integer => JsonType::Integer,
                ParamKind::Number => JsonType::Number,
                ParamKind::Object => JsonType::Object,
                ParamKind::FileUrl | ParamKind::String => JsonType::String,
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
            JsonType::Array => ParamKind::Array,
            JsonType::Boolean => ParamKind::Boolean,
            JsonType::Integer => ParamKind::Integer,
            JsonType::Number => ParamKind::Number,
            JsonType::Object => ParamKind::Object,
            JsonType::String => ParamKind::String,
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
}
