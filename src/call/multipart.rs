//! `multipart/form-data` bodies (RFC 7578), framed as browsers do (WHATWG HTML, "multipart form
//! data").
//!
//! What is here is pure: the parts of a plan, the text around each of them, and a boundary that
//! none of the fields holds. The bytes of files join while the body is sent.

use std::fmt;

use mime::Mime;
use serde_json::Value;

use super::encode;

/// A planned multipart body; it has no boundary yet, because a boundary is random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartBody {
    /// The fields in the order in which they are sent.
    pub fields: Vec<MultipartField>,
}

/// One field of a multipart body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartField {
    /// The name; the same name may occur again.
    pub name: String,
    /// What it holds.
    pub value: FieldValue,
    /// Its type, where the descriptor says one; else text has none, and a file its own.
    pub content_type: Option<Mime>,
}

/// What a field of a multipart body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// The bytes of a file, streamed; the reference is what the caller wrote.
    File(String),
    /// This text.
    Text(String),
}

impl MultipartBody {
    /// Adds the values of a parameter: an array repeats the field, and an object, or a container
    /// within an array, is JSON text. Null and an empty array add nothing.
    pub(super) fn push(&mut self, name: &str, value: &Value) {
        match value {
            Value::Array(items) => {
                for item in items.iter().filter(|item| !item.is_null()) {
                    self.push_text(name, item);
                }
            }
            other => self.push_text(name, other),
        }
    }

    fn push_text(&mut self, name: &str, value: &Value) {
        let text = match encode::scalar_text(value) {
            Some(text) => text.into_owned(),
            None if value.is_null() => return,
            None => value.to_string(),
        };
        let value = FieldValue::Text(text);
        self.fields.push(MultipartField { name: name.to_owned(), value, content_type: None });
    }

    /// Adds a file.
    pub(super) fn push_file(&mut self, name: &str, reference: &str) {
        let value = FieldValue::File(reference.to_owned());
        self.fields.push(MultipartField { name: name.to_owned(), value, content_type: None });
    }

    /// Says of which type the fields with this name are.
    pub(super) fn set_type(&mut self, name: &str, content_type: &Mime) {
        for field in self.fields.iter_mut().filter(|field| field.name == name) {
            field.content_type = Some(content_type.clone());
        }
    }

    /// Returns a boundary that no name and no text holds, the first such that `random` gives.
    /// The bytes of files are not known yet: 128 random bits see to those.
    pub(crate) fn boundary(&self, mut random: impl FnMut() -> String) -> String {
        loop {
            let boundary = format!("dadl-mcp-{}", random());
            let occurs = self.fields.iter().any(|field| {
                let held = |text: &str| text.contains(&boundary);
                held(&field.name) || matches!(&field.value, FieldValue::Text(text) if held(text))
            });
            if !occurs {
                return boundary;
            }
        }
    }
}

impl fmt::Display for MultipartBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, field) in self.fields.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{}: ", escape_name(&field.name))?;
            match &field.value {
                FieldValue::File(reference) => write!(formatter, "<bytes of {reference}>")?,
                FieldValue::Text(text) => formatter.write_str(text)?,
            }
        }
        Ok(())
    }
}

/// Returns what goes before the bytes of a field, which may be those of a file.
pub(crate) fn part_head(
    boundary: &str,
    name: &str,
    file_name: Option<&str>,
    content_type: Option<&str>,
) -> String {
    let mut head =
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", escape_name(name));
    if let Some(name) = file_name {
        head.push_str(&format!("; filename=\"{}\"", escape_name(name)));
    }
    if let Some(content_type) = content_type {
        head.push_str(&format!("\r\nContent-Type: {content_type}"));
    }
    head.push_str("\r\n\r\n");
    head
}

/// What goes after the bytes of a field.
pub(crate) const AFTER_FIELD: &str = "\r\n";

/// Returns what ends the body.
pub(crate) fn closing_boundary(boundary: &str) -> String {
    format!("--{boundary}--\r\n")
}

/// Escapes what would end the quoted name or its line; nothing else, as browsers do.
fn escape_name(name: &str) -> String {
    name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22")
}

#[cfg(test)]
mod tests;
