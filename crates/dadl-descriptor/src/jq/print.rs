//! Values become JSON text.

use bytes::Bytes;
use dadl_text::text::cut_bytes;
use jaq_json::Val;

use super::{RunError, corrections::number};

/// A message of a failed program is cut to this many bytes.
const LONGEST_MESSAGE: usize = 500;

/// Collects the outputs of a program.
pub(super) struct OutputCollector {
    /// Begins with a bracket, which is dropped when there is one output.
    text: Vec<u8>,
    count: usize,
    most: usize,
}

impl OutputCollector {
    pub(super) fn new(most: usize) -> Self {
        Self { text: vec![b'['], count: 0, most }
    }

    pub(super) fn push(&mut self, value: &Val) -> Result<(), RunError> {
        if self.count > 0 {
            self.text.push(b',');
        }
        self.count += 1;
        write_value(value, &mut self.text, self.most)
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        match self.count {
            0 => b"null".to_vec(),
            1 => {
                self.text.remove(0);
                self.text
            }
            _ => {
                self.text.push(b']');
                self.text
            }
        }
    }
}

/// Returns what a failed program says: its message, or the value that it failed with.
pub(super) fn error_message(value: &Val) -> String {
    let text = match value {
        Val::TStr(text) | Val::BStr(text) => text.to_vec(),
        other => value_json(other),
    };
    cut_bytes(&String::from_utf8_lossy(&text), LONGEST_MESSAGE).into_owned()
}

/// Returns `value` as JSON, of any size.
pub(super) fn value_json(value: &Val) -> Vec<u8> {
    let mut text = Vec::new();
    // Without a limit nothing fails but a key that is no text, which ends the text.
    let _ = write_value(value, &mut text, usize::MAX);
    text
}

/// Returns a string as it is, and everything else as JSON.
pub(super) fn value_string(value: Val) -> Val {
    match value {
        Val::TStr(_) => value,
        Val::BStr(bytes) => Val::TStr(bytes),
        other => Val::utf8_str(Bytes::from(value_json(&other))),
    }
}

fn write_value(value: &Val, text: &mut Vec<u8>, most: usize) -> Result<(), RunError> {
    if text.len() > most {
        return Err(RunError::Output(most));
    }
    match value {
        Val::Null => text.extend_from_slice(b"null"),
        Val::Bool(true) => text.extend_from_slice(b"true"),
        Val::Bool(false) => text.extend_from_slice(b"false"),
        Val::Num(number) => number::write_number(number, text),
        Val::TStr(bytes) | Val::BStr(bytes) => write_quoted(bytes, text),
        Val::Arr(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_value(item, text, most)?;
            }
            text.push(b']');
        }
        Val::Obj(members) => {
            text.push(b'{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                match key {
                    Val::TStr(bytes) | Val::BStr(bytes) => write_quoted(bytes, text),
                    // `jaq` has keys of any type; JSON has not.
                    _ => return Err(RunError::Failed("object keys must be strings".to_owned())),
                }
                text.push(b':');
                write_value(value, text, most)?;
            }
            text.push(b'}');
        }
    }
    if text.len() > most {
        return Err(RunError::Output(most));
    }
    Ok(())
}

/// Appends a JSON string (RFC 8259, section 7); bytes that are no UTF-8 become U+FFFD.
fn write_quoted(bytes: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    let lossy = String::from_utf8_lossy(bytes);
    let mut rest = lossy.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..=0x1F | b'"' | b'\\' | 0x7F))
    {
        let (plain, from) = rest.split_at(at);
        text.extend_from_slice(plain);
        let Some((byte, after)) = from.split_first() else { break };
        match byte {
            b'"' => text.extend_from_slice(b"\\\""),
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            0x08 => text.extend_from_slice(b"\\b"),
            0x0C => text.extend_from_slice(b"\\f"),
            control => text.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = after;
    }
    text.extend_from_slice(rest);
    text.push(b'"');
}
