//! Writes values as JSON.
//!
//! What is written is what `serde_json` writes, which writes all of it but the insides of strings: most of a large
//! answer is one string, whose quotes are escaped a block at a time.

use std::{
    cell::{Cell, RefCell},
    fmt::Display,
    io,
};

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};
use serde_json::ser::Formatter;

use super::quote::{append_escaped, quoted_length};
use crate::growth;

/// Most of what is written as JSON is no longer, in bytes.
const USUAL: usize = 4 * 1024;

/// Room is made for a longer string before it is written, in bytes.
const LONG: usize = 4 * 1024;

/// How the names of types begin by which the library tells itself how to write them.
const OWN_NAMES: &str = "$serde_json::private::";

/// Writes a value as JSON.
///
/// # Errors
///
/// Those of the value: a map whose keys are no texts, or what it says by itself.
pub fn json_bytes(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    write(value, None)
}

/// Does the same, but a text in a field of structures that has this name is JSON already, and is written as
/// it is.
///
/// # Errors
///
/// Those of [`json_bytes`].
pub fn json_bytes_with(value: &impl Serialize, field: &'static str) -> serde_json::Result<Vec<u8>> {
    write(value, Some(field))
}

fn write(value: &impl Serialize, raw_field: Option<&'static str>) -> serde_json::Result<Vec<u8>> {
    let written = Written {
        bytes: RefCell::new(Vec::with_capacity(USUAL)),
        beside: Cell::new(Beside::Nothing),
        raw_field,
    };
    let (library, quotes) = (SharedBytes(&written), OwnQuotes(&written));
    let mut inner = serde_json::Serializer::with_formatter(library, quotes);
    value.serialize(TextSerializer { inner: &mut inner, written: &written, is_raw: false })?;
    Ok(written.bytes.into_inner())
}

/// What is written, by the library and beside it.
struct Written {
    bytes: RefCell<Vec<u8>>,
    beside: Cell<Beside>,
    /// The name of fields whose texts are JSON.
    raw_field: Option<&'static str>,
}

/// What was written beside the library of the text that it is about to write, of which nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// A string but for its last quote.
    OpenString,
    /// A value.
    Value,
}

impl Written {
    /// Writes a string but for its last quote.
    fn open_text(&self, text: &str) {
        let mut bytes = self.bytes.borrow_mut();
        let free = bytes.capacity() - bytes.len();
        // It takes as many bytes at least.
        if text.len() > LONG && free < text.len() * 2 {
            let length = bytes.len() + quoted_length(text) + USUAL;
            if length > bytes.capacity() {
                let mut larger = growth::message_buffer(length);
                larger.extend_from_slice(&bytes);
                *bytes = larger;
            }
        }
        bytes.push(b'"');
        append_escaped(text, &mut bytes);
        self.beside.set(Beside::OpenString);
    }

    /// Writes a value that is JSON already.
    fn value(&self, json: &str) {
        growth::append_to(&mut self.bytes.borrow_mut(), json.as_bytes());
        self.beside.set(Beside::Value);
    }
}

/// Where the library writes.
struct SharedBytes<'run>(&'run Written);

impl io::Write for SharedBytes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        growth::append_to(&mut self.0.bytes.borrow_mut(), bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the library writes: as compact as it can, and without the quotes that are written or not wanted.
struct OwnQuotes<'run>(&'run Written);

impl Formatter for OwnQuotes<'_> {
    fn begin_string<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        match self.0.beside.get() {
            Beside::Nothing => writer.write_all(b"\""),
            Beside::OpenString => {
                self.0.beside.set(Beside::Nothing);
                Ok(())
            }
            Beside::Value => Ok(()),
        }
    }

    fn end_string<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        match self.0.beside.replace(Beside::Nothing) {
            Beside::Value => Ok(()),
            _ => writer.write_all(b"\""),
        }
    }
}

/// The library's serializer, but for strings.
struct TextSerializer<'run, S> {
    inner: S,
    written: &'run Written,
    /// Whether a text is JSON.
    is_raw: bool,
}

/// A value that is written so, wherever it is in another one.
struct WithTexts<'run, T: ?Sized> {
    value: &'run T,
    written: &'run Written,
    is_raw: bool,
}

impl<'run, T: ?Sized> WithTexts<'run, T> {
    fn new(value: &'run T, written: &'run Written) -> Self {
        Self { value, written, is_raw: false }
    }
}

impl<T: Serialize + ?Sized> Serialize for WithTexts<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let Self { written, is_raw, .. } = *self;
        self.value.serialize(TextSerializer { inner, written, is_raw })
    }
}

/// What consists of several values.
struct TextCompound<'run, C> {
    inner: C,
    written: &'run Written,
    /// Whether it is a value of the library, which knows how it is written.
    is_own: bool,
}

/// Hands methods for values without strings on to the library.
macro_rules! handed_on {
    ($($name:ident($kind:ty))*) => {
        $(fn $name(self, value: $kind) -> Result<S::Ok, S::Error> {
            self.inner.$name(value)
        })*
    };
}

impl<'run, S: Serializer> Serializer for TextSerializer<'run, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = TextCompound<'run, S::SerializeSeq>;
    type SerializeTuple = TextCompound<'run, S::SerializeTuple>;
    type SerializeTupleStruct = TextCompound<'run, S::SerializeTupleStruct>;
    type SerializeTupleVariant = TextCompound<'run, S::SerializeTupleVariant>;
    type SerializeMap = TextCompound<'run, S::SerializeMap>;
    type SerializeStruct = TextCompound<'run, S::SerializeStruct>;
    type SerializeStructVariant = TextCompound<'run, S::SerializeStructVariant>;

    handed_on! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128) serialize_f32(f32) serialize_f64(f64) serialize_char(char)
        serialize_bytes(&[u8]) serialize_unit_struct(&'static str)
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        if self.is_raw {
            self.written.value(text);
        } else {
            self.written.open_text(text);
        }
        self.inner.serialize_str("")
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let Self { written, is_raw, .. } = self;
        self.inner.serialize_some(&WithTexts { value, written, is_raw })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &WithTexts::new(value, self.written))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = WithTexts::new(value, self.written);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(TextCompound::new(self.inner.serialize_seq(length)?, self.written))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(TextCompound::new(self.inner.serialize_tuple(length)?, self.written))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(TextCompound::new(self.inner.serialize_tuple_struct(name, length)?, self.written))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner.serialize_tuple_variant(name, index, variant, length)?;
        Ok(TextCompound::new(inner, self.written))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(TextCompound::new(self.inner.serialize_map(length)?, self.written))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let is_own = name.starts_with(OWN_NAMES);
        let inner = self.inner.serialize_struct(name, length)?;
        Ok(TextCompound { is_own, ..TextCompound::new(inner, self.written) })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner.serialize_struct_variant(name, index, variant, length)?;
        Ok(TextCompound::new(inner, self.written))
    }
}

impl<'run, C> TextCompound<'run, C> {
    fn new(inner: C, written: &'run Written) -> Self {
        Self { inner, written, is_own: false }
    }
}

/// Hands values, one by one, on to the library.
macro_rules! compound {
    ($($kind:ident::$method:ident)*) => {
        $(impl<C: $kind> $kind for TextCompound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.inner.$method(&WithTexts::new(value, self.written))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

compound! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

impl<C: SerializeMap> SerializeMap for TextCompound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&WithTexts::new(value, self.written))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: SerializeStruct> SerializeStruct for TextCompound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), C::Error> {
        if self.is_own {
            return self.inner.serialize_field(name, value);
        }
        let is_raw = self.written.raw_field == Some(name);
        self.inner.serialize_field(name, &WithTexts { value, written: self.written, is_raw })
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
        self.inner.skip_field(name)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: SerializeStructVariant> SerializeStructVariant for TextCompound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), C::Error> {
        self.inner.serialize_field(name, &WithTexts::new(value, self.written))
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
        self.inner.skip_field(name)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json, value::RawValue};

    use super::*;
    use crate::json::path::tests::value;

    #[track_caller]
    fn check(value: &impl Serialize) {
        let expected = serde_json::to_string(value).unwrap();
        assert_eq!(String::from_utf8(json_bytes(value).unwrap()).unwrap(), expected);
    }

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    enum Shape {
        Unit,
        Newtype(String),
        Tuple(String, u8),
        Struct { text: String, none: Option<String> },
    }

    #[derive(Serialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Words { text: String },
    }

    #[derive(Serialize)]
    struct Whole {
        shapes: Vec<Shape>,
        tagged: Tagged,
        #[serde(flatten)]
        more: BTreeMap<String, String>,
        #[serde(flatten)]
        nested: Nested,
        #[serde(skip_serializing_if = "Option::is_none")]
        absent: Option<String>,
        raw: Box<RawValue>,
        numbers: (i8, u64, i128, f32, f64, char, ()),
        keys: BTreeMap<u32, &'static str>,
    }

    #[derive(Serialize)]
    struct Nested {
        said: Option<String>,
        unit: Empty,
        newtype: Text,
    }

    #[derive(Serialize)]
    struct Answer {
        text: String,
        copy: Option<Value>,
        inner: Vec<Value>,
    }

    #[test]
    fn a_text_in_the_named_field_is_json_already() {
        let written = |copy: Option<Value>, field: &'static str| {
            let inner = vec![json!({ "copy": "\"" }), json!("\"")];
            let answer = Answer { text: "\"a\"".to_owned(), copy, inner };
            String::from_utf8(json_bytes_with(&answer, field).unwrap()).unwrap()
        };
        let around = |copy: &str| {
            format!(r#"{{"text":"\"a\"","copy":{copy},"inner":[{{"copy":"\""}},"\""]}}"#)
        };
        let copy = r#"{"b":[1,"\n"]}"#;
        assert_eq!(written(Some(copy.into()), "copy"), around(copy));
        assert_eq!(written(Some(copy.into()), "inner"), around(&json!(copy).to_string()));
        // What is no text is what it was.
        for other in [json!({ "a": "b" }), json!(["a"]), json!(1), json!(null)] {
            assert_eq!(written(Some(other.clone()), "copy"), around(&other.to_string()));
        }
        assert_eq!(written(None, "copy"), around("null"));
    }

    #[derive(Serialize)]
    struct Empty;

    #[derive(Serialize)]
    struct Text(String);

    #[test]
    fn values_of_all_kinds_are_written_as_by_the_library() {
        let text = || "a \"quoted\"\n\u{1}\u{e9}".repeat(999);
        let shapes = vec![
            Shape::Unit,
            Shape::Newtype(text()),
            Shape::Tuple(text(), 1),
            Shape::Struct { text: text(), none: None },
        ];
        let whole = Whole {
            shapes,
            tagged: Tagged::Words { text: text() },
            more: BTreeMap::from([("\"k\"".to_owned(), text())]),
            nested: Nested { said: Some(text()), unit: Empty, newtype: Text(text()) },
            absent: None,
            raw: RawValue::from_string("{\"raw\": [\"\\u0041\", 1.50]}".to_owned()).unwrap(),
            numbers: (-1, u64::MAX, i128::MIN, 0.5, f64::NAN, '"', ()),
            keys: BTreeMap::from([(1, "one")]),
        };
        check(&whole);
        check(&json!(["", { "": "" }, [["\""]]]));
        check(&format_args!("a \"{}\"", 1));
        let number: serde_json::Number = serde_json::from_str("1.5").unwrap();
        check(&number);
        assert!(json_bytes(&BTreeMap::from([(vec![1], 1)])).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_tree_is(value in value()) {
            check(&value);
            check(&value.to_string());
        }
    }
}
