//! What a schema says about a value.

use dadl_descriptor::model::ParamKind;
use serde_json::{Number, Value};

/// An object has at most so many members.
pub(super) const MAX_MEMBERS: usize = 1_000;

/// The JSON types that a value may have; none means any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonTypes(u8);

impl JsonTypes {
    const ORDER: [ParamKind; 6] = [
        ParamKind::String,
        ParamKind::Integer,
        ParamKind::Number,
        ParamKind::Boolean,
        ParamKind::Array,
        ParamKind::Object,
    ];

    /// Returns the set of one type.
    pub(crate) fn one(kind: ParamKind) -> Self {
        let at = Self::ORDER.iter().position(|known| *known == kind);
        Self(at.map_or(0, |at| 1 << at))
    }

    /// Returns whether nothing is known.
    pub fn is_any(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the type is in the set.
    pub fn contains(self, kind: ParamKind) -> bool {
        self.0 & Self::one(kind).0 != 0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the types, scalars first.
    pub fn iter(self) -> impl Iterator<Item = ParamKind> {
        Self::ORDER.into_iter().filter(move |kind| self.contains(*kind))
    }
}

/// What is known about a value.
#[derive(Debug, Clone, Default)]
pub struct ValueShape {
    /// The types that it may have.
    pub kinds: JsonTypes,
    /// The values that it may have, when they are listed; null is left out.
    pub values: Vec<Value>,
    /// `format`.
    pub format: Option<String>,
    /// The least number or length.
    pub min: Option<String>,
    /// The greatest number or length.
    pub max: Option<String>,
    /// `minimum`.
    pub minimum: Option<Number>,
    /// `maximum`.
    pub maximum: Option<Number>,
    /// What else the server checks, each in a sentence.
    pub checks: Vec<String>,
    /// What the server takes when it gets nothing.
    pub default: Option<Value>,
    /// A value that fits.
    pub example: Option<Value>,
    /// What the value means.
    pub description: Option<String>,
    /// Whether it should no longer be sent.
    pub deprecated: bool,
    /// Whether it comes in answers only.
    pub read_only: bool,
    /// Whether null is a value.
    pub nullable: bool,
    /// Whether it is the bytes of a file.
    pub is_binary: bool,
    /// The items of an array.
    pub items: Option<Box<Self>>,
    /// The members of an object.
    pub members: Vec<ShapeMember>,
    /// Whether it says that an object may have other members.
    pub is_open: bool,
    /// Whether it has members that were not read, since they are too deep within others.
    pub is_cut: bool,
    /// Whether one of several sets of members fits.
    pub has_variants: bool,
    /// Required members that are not among `members`: another part may have them.
    pub(crate) wanted: Vec<String>,
}

impl ValueShape {
    /// Makes the members required that another part of the schema requires.
    pub(super) fn settle(&mut self) {
        let members = &mut self.members;
        self.wanted.truncate(MAX_MEMBERS);
        self.wanted.retain(|name| {
            let found = members.iter_mut().find(|member| member.name == *name);
            found.map(|member| member.required = true).is_none()
        });
    }
}

/// A member of an object.
#[derive(Debug, Clone)]
pub struct ShapeMember {
    /// Its name.
    pub name: String,
    /// Whether the object must have it.
    pub required: bool,
    /// Where it is in the document.
    pub place: String,
    /// What it is.
    pub shape: ValueShape,
}
