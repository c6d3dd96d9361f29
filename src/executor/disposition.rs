//! The file name in `Content-Disposition` (RFC 6266).

use std::{iter::Peekable, str::Chars};

use encoding_rs::Encoding;
use percent_encoding::percent_decode_str;

/// Takes the file name from a field: in the extended form (RFC 8187) where there is one. Its path is
/// dropped later.
pub(super) fn file_name(field: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    let mut rest = field.chars().peekable();
    // The type, `attachment` as a rule.
    while rest.next_if(|character| *character != ';').is_some() {}
    while let Some((name, value)) = next_parameter(&mut rest) {
        if name.eq_ignore_ascii_case("filename*") {
            extended = extended.or_else(|| decode_value(&value));
        } else if name.eq_ignore_ascii_case("filename") {
            plain = plain.or(Some(value));
        }
    }
    [extended, plain].into_iter().flatten().find(|name| !name.trim().is_empty())
}

/// Reads `; name=value` and `; name="value"`, where a backslash stands before any character.
fn next_parameter(rest: &mut Peekable<Chars<'_>>) -> Option<(String, String)> {
    rest.next()?;
    let mut name = String::new();
    while let Some(character) = rest.next_if(|character| !matches!(character, '=' | ';')) {
        name.push(character);
    }
    let name = name.trim().to_owned();
    if rest.next_if_eq(&'=').is_none() {
        return Some((name, String::new()));
    }
    while rest.next_if(|character| character.is_whitespace()).is_some() {}
    let mut value = String::new();
    if rest.next_if_eq(&'"').is_none() {
        while let Some(character) = rest.next_if(|character| *character != ';') {
            value.push(character);
        }
        return Some((name, value.trim().to_owned()));
    }
    loop {
        match rest.next() {
            None | Some('"') => break,
            // Paths of Windows are sent as they are: only what must be escaped is.
            Some('\\') => {
                value.push(rest.next_if(|next| matches!(next, '"' | '\\')).unwrap_or('\\'));
            }
            Some(character) => value.push(character),
        }
    }
    while rest.next_if(|character| *character != ';').is_some() {}
    Some((name, value))
}

/// Decodes `UTF-8'en'na%C3%AFve.txt`.
fn decode_value(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, text) = rest.split_once('\'')?;
    let encoding = Encoding::for_label(charset.trim().as_bytes())?;
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes)?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_as_servers_write_them() {
        for (field, expected) in [
            ("attachment; filename=a.csv", Some("a.csv")),
            ("attachment; filename=\"a b.csv\"", Some("a b.csv")),
            ("attachment;filename=\"a;b.csv\"; size=3", Some("a;b.csv")),
            (r#"attachment; filename="a\"b\\c.csv""#, Some(r#"a"b\c.csv"#)),
            (r#"attachment; filename="C:\new\a.csv""#, Some(r"C:\new\a.csv")),
            ("inline; FileName = a.csv ; x", Some("a.csv")),
            ("attachment; filename*=UTF-8''na%C3%AFve.txt", Some("naïve.txt")),
            ("attachment; filename=x.txt; filename*=utf-8'en'%e2%82%ac.txt", Some("€.txt")),
            ("attachment; filename*=UTF-8''%e2%82.txt; filename=x.txt", Some("x.txt")),
            ("attachment; filename*=iso-8859-1''%e9.txt", Some("é.txt")),
            ("attachment; filename*=nonsense; filename=x.txt", Some("x.txt")),
            ("attachment; name=\"filename=y\"; filename=x.txt", Some("x.txt")),
            ("attachment; filename=\"open", Some("open")),
            ("attachment; filename=", None),
            ("attachment; filename=\" \"", None),
            ("filename=a.csv", None),
            ("attachment", None),
            ("", None),
        ] {
            assert_eq!(file_name(field).as_deref(), expected, "{field}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(name in "[^\\p{Cc}]*[a-z]", before in "(; x=\"[a-z;=]*\")?") {
            let quoted = name.replace('\\', r"\\").replace('"', r#"\""#);
            let field = format!("attachment{before}; filename=\"{quoted}\"");
            prop_assert_eq!(file_name(&field), Some(name.clone()));
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let field = format!("{field}; filename*=UTF-8''{encoded}");
            prop_assert_eq!(file_name(&field), Some(name));
        }

        #[test]
        fn no_field_is_too_strange(field in ".*") {
            let _ = file_name(&field);
        }
    }
}
