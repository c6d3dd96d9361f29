//! The name that another MCP server gives to a task, as a handle has it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The name of a task in the letters of a handle: what a handle cannot have is percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerTaskId(String);

impl ServerTaskId {
    /// Writes the name that a server gives.
    pub(crate) fn of(name: &str) -> Self {
        let mut written = String::with_capacity(name.len());
        for c in name.chars() {
            if c == '%' || c.is_whitespace() || c.is_control() {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    written.push_str(&format!("%{byte:02X}"));
                }
            } else {
                written.push(c);
            }
        }
        Self(written)
    }

    /// Returns it as a handle has it.
    pub(crate) fn into_inner(self) -> String {
        self.0
    }

    /// Reads the name that a server knows from what a handle has.
    pub(crate) fn name_in(id: &str) -> Cow<'_, str> {
        percent_decode_str(id).decode_utf8_lossy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for (name, expected) in [
            ("0c8-a:b/1", "0c8-a:b/1"),
            ("50% of\n it", "50%25%20of%0A%20it"),
            ("a\u{a0}\u{85}é", "a%C2%A0%C2%85é"),
            ("%41", "%2541"),
        ] {
            let written = ServerTaskId::of(name).into_inner();
            assert_eq!(written, expected);
            assert_eq!(ServerTaskId::name_in(&written), name);
        }
    }
}
