//! A small reader of multipart bodies that knows RFC 7578 alone reads back what was given.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A field as it is read: the name, the name of the file, the content type, the bytes.
type Read = (Vec<u8>, Option<Vec<u8>>, Option<String>, Vec<u8>);

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Takes `name="value"` out of a field of a head; a quote ends the value.
fn parameter(head: &[u8], name: &str) -> Option<Vec<u8>> {
    let start = find(head, format!("; {name}=\"").as_bytes())? + name.len() + 4;
    let end = start + head[start..].iter().position(|byte| *byte == b'"').unwrap();
    Some(head[start..end].to_vec())
}

/// Splits a body at its delimiters (RFC 2046, section 5.1.1).
fn read(body: &[u8], boundary: &str) -> Vec<Read> {
    let delimiter = format!("\r\n--{boundary}");
    let body = [b"\r\n", body].concat();
    let mut rest = &body[find(&body, delimiter.as_bytes()).unwrap() + delimiter.len()..];
    let mut fields = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let next = find(part, delimiter.as_bytes()).unwrap();
        let (field, after) = (&part[..next], &part[next + delimiter.len()..]);
        let blank = find(field, b"\r\n\r\n").unwrap();
        let (head, bytes) = (&field[..blank], &field[blank + 4..]);
        let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
        assert!(lines[0].starts_with(b"Content-Disposition: form-data; name=\""));
        let content_type = lines.get(1).map(|line| {
            let line = std::str::from_utf8(line).unwrap();
            line.strip_prefix("Content-Type: ").unwrap().to_owned()
        });
        assert!(lines.len() < 3, "a name began a line of its own");
        fields.push((
            parameter(lines[0], "name").unwrap(),
            parameter(lines[0], "filename"),
            content_type,
            bytes.to_vec(),
        ));
        rest = after;
    }
    assert_eq!(rest, b"--\r\n");
    fields
}

/// Puts a body together as the sender does; `files` are the bytes behind the references.
fn body(multipart: &MultipartBody, boundary: &str, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut files = files.iter();
    for field in &multipart.fields {
        match &field.value {
            FieldValue::Text(text) => {
                body.extend(part_head(boundary, &field.name, None, None).bytes());
                body.extend(text.bytes());
            }
            FieldValue::File(_) => {
                let (name, bytes) = files.next().unwrap();
                body.extend(part_head(boundary, &field.name, Some(name), Some("a/b")).bytes());
                body.extend(bytes);
            }
        }
        body.extend(AFTER_FIELD.bytes());
    }
    body.extend(closing_boundary(boundary).bytes());
    body
}

/// Browsers leave the percent sign alone, so that this is what a server sees.
fn seen(name: &str) -> Vec<u8> {
    let mut seen = Vec::new();
    for byte in name.bytes() {
        match byte {
            b'"' => seen.extend(b"%22"),
            b'\r' => seen.extend(b"%0D"),
            b'\n' => seen.extend(b"%0A"),
            other => seen.push(other),
        }
    }
    seen
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(
            proptest::sample::select(vec![
                "\r\n",
                "\r",
                "\n",
                "--",
                "\"",
                "%22",
                "; filename=\"x\"",
                "dadl-mcp-",
                "fixed",
                "\0",
                "ü",
                "😀",
                "a",
                ":",
                "Content-Type: x/y\r\n\r\n",
            ]),
            0..8,
        )
        .prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_field_is_read_back(
        texts in proptest::collection::vec((text(), text()), 0..4),
        files in proptest::collection::vec(
            (text(), text(), proptest::collection::vec(any::<u8>(), 0..64)), 0..3,
        ),
    ) {
        let mut multipart = MultipartBody { fields: Vec::new() };
        for (name, value) in &texts {
            multipart.push(name, &json!(value));
        }
        for (name, _, _) in &files {
            multipart.push_file(name, "ref");
        }
        // The first choices occur in the fields now and then.
        let mut choices = ["", "fixed", "another-0123456789"].into_iter();
        let boundary = multipart.boundary(|| choices.next().unwrap().to_owned());
        let sources: Vec<(String, Vec<u8>)> =
            files.iter().map(|(_, name, bytes)| (name.clone(), bytes.clone())).collect();
        let clashes = sources.iter().any(|(name, bytes)| {
            name.contains(&boundary) || find(bytes, boundary.as_bytes()).is_some()
        });
        prop_assume!(!clashes);
        let mut expected: Vec<Read> = texts
            .iter()
            .map(|(name, value)| (seen(name), None, None, value.clone().into_bytes()))
            .collect();
        expected.extend(files.iter().map(|(field, name, bytes)| {
            (seen(field), Some(seen(name)), Some("a/b".to_owned()), bytes.clone())
        }));
        prop_assert_eq!(read(&body(&multipart, &boundary, &sources), &boundary), expected);
    }
}

#[test]
fn arrays_repeat_the_field_and_objects_are_json() {
    let mut multipart = MultipartBody { fields: Vec::new() };
    multipart.push("a[]", &json!([1, "b", null, { "c": [2] }, [3]]));
    multipart.push("o", &json!({ "x": "ü" }));
    multipart.push("n", &json!(null));
    multipart.push("e", &json!([]));
    multipart.push("i", &json!(u64::MAX));
    multipart.push("t", &json!(true));
    let fields: Vec<String> =
        multipart.fields.iter().map(|field| format!("{} {:?}", field.name, field.value)).collect();
    assert_eq!(
        fields,
        [
            r#"a[] Text("1")"#,
            r#"a[] Text("b")"#,
            r#"a[] Text("{\"c\":[2]}")"#,
            r#"a[] Text("[3]")"#,
            r#"o Text("{\"x\":\"ü\"}")"#,
            r#"i Text("18446744073709551615")"#,
            r#"t Text("true")"#,
        ]
    );
}

#[test]
fn a_boundary_that_occurs_is_not_taken() {
    let mut multipart = MultipartBody { fields: Vec::new() };
    multipart.push("a", &json!("x dadl-mcp-1 y"));
    multipart.push("dadl-mcp-2", &json!("x"));
    let mut number = 0;
    let boundary = multipart.boundary(|| {
        number += 1;
        number.to_string()
    });
    assert_eq!(boundary, "dadl-mcp-3");
}
