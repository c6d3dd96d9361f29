//! Trees of JSON texts that are small enough for one.
//!
//! They are read and written here and not where they are wanted, because this library is compiled for speed.

use serde_json::Value;

/// So many bytes of a text are looked at together.
const CHUNK: usize = 16;

/// Builds the tree of a text.
///
/// # Errors
///
/// The text is no JSON, is nested too deeply, or has half of a surrogate pair.
#[inline(never)]
pub fn read_tree(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

/// Appends a tree as JSON.
pub fn write_tree(value: &Value, json: &mut Vec<u8>) {
    match value {
        Value::Null => json.extend_from_slice(b"null"),
        Value::Bool(true) => json.extend_from_slice(b"true"),
        Value::Bool(false) => json.extend_from_slice(b"false"),
        Value::Number(number) => {
            // Writing to a vector cannot fail.
            let _ = serde_json::to_writer(json, number);
        }
        Value::String(text) => write_text(text, json),
        Value::Array(items) => {
            json.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    json.push(b',');
                }
                write_tree(item, json);
            }
            json.push(b']');
        }
        Value::Object(members) => {
            json.push(b'{');
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    json.push(b',');
                }
                write_text(name, json);
                json.push(b':');
                write_tree(value, json);
            }
            json.push(b'}');
        }
    }
}

/// Appends a text as a JSON string.
pub fn write_text(text: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    let mut chunks = text.as_bytes().chunks_exact(CHUNK);
    for chunk in &mut chunks {
        // All of them are looked at, which takes less than to stop.
        let is_plain = !chunk.iter().fold(false, |any, byte| any | is_escaped(*byte));
        if is_plain {
            json.extend_from_slice(chunk);
        } else {
            chunk.iter().for_each(|byte| write_byte(*byte, json));
        }
    }
    chunks.remainder().iter().for_each(|byte| write_byte(*byte, json));
    json.push(b'"');
}

fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[inline]
fn write_byte(byte: u8, json: &mut Vec<u8>) {
    if is_escaped(byte) {
        write_escape(byte, json);
    } else {
        json.push(byte);
    }
}

fn write_escape(byte: u8, json: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        _ => {
            let digit = |of: u8| if of < 10 { b'0' + of } else { b'a' + of - 10 };
            json.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    json.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &Value) -> String {
        let mut json = Vec::new();
        write_tree(value, &mut json);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn every_ascii_character_is_written_as_the_library_does() {
        let all: String = (0..0x80_u8).map(char::from).chain("é€😀".chars()).collect();
        let value = Value::String(all);
        assert_eq!(written(&value), value.to_string());
        for text in [
            r#"{"a":[1,-2.5,1e300,18446744073709551615,true,false,null,{},[]],"b\n\"":{"":"x"}}"#,
            "0",
            "[[[]]]",
        ] {
            let value = read_tree(text).unwrap();
            assert_eq!(written(&value), value.to_string());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn a_text_is_what_the_library_writes(text in "(?s).{0,60}|[a-z\"\\\\\n ]{0,80}") {
            let mut json = Vec::new();
            write_text(&text, &mut json);
            prop_assert_eq!(String::from_utf8(json).unwrap(), Value::String(text).to_string());
        }
    }
}
