//! URLs in the words of others without the user and the password that some have.

use crate::text::MASK;

/// Hides what stands before `@` in each URL.
pub fn without_login(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let is_end = |other: char| other.is_whitespace() || matches!(other, '"' | '\'' | '`' | ',');
        let url = after.split(is_end).next().unwrap_or_default();
        rest = match url.rfind('@') {
            Some(at) => {
                clean.push_str(MASK);
                after.get(at..).unwrap_or_default()
            }
            None => after,
        };
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_host_is_hidden() {
        for (text, expected) in [
            ("s3://KEY:s3cr3t@host/b is gone", "s3://[REDACTED]@host/b is gone"),
            ("a://u:p@h, b://u@h", "a://[REDACTED]@h, b://[REDACTED]@h"),
            ("https://host/a@b", "https://[REDACTED]@b"),
            ("nothing here", "nothing here"),
            ("https://host/path", "https://host/path"),
        ] {
            assert_eq!(without_login(text), expected);
        }
    }
}
