//! Error bodies in XML, as values that JSONPath can search.
//!
//! An element without attributes and elements in it is its text; any other is an object, with
//! attributes under `@name` and its own text under `#text`. Elements of one name become an array.
//! Names are without their namespace prefix. Entities other than the predefined ones, which an
//! answer could use to grow without bound, stay as they are written.

use quick_xml::{
    Reader,
    escape::resolve_xml_entity,
    events::{BytesStart, Event},
};
use serde_json::{Map, Value};

/// Deeper documents are read as text.
const DEEPEST: usize = 64;

/// So are those with more elements and attributes, whose values would take many times their memory.
const MOST_NODES: usize = 2_000;

/// An element whose end has not come.
#[derive(Default)]
struct XmlElement {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// Reads a document as an object with the root element in it; `None` when it is not well formed.
pub(crate) fn xml_value(body: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text);
    let mut open = vec![XmlElement::default()];
    let mut nodes = 0;
    loop {
        if nodes > MOST_NODES {
            return None;
        }
        match reader.read_event().ok()? {
            Event::Start(start) => {
                nodes += 1;
                if open.len() > DEEPEST {
                    return None;
                }
                open.push(XmlElement::begin(&start, &mut nodes)?);
            }
            Event::Empty(start) => {
                nodes += 1;
                close_element(XmlElement::begin(&start, &mut nodes)?, &mut open)?;
            }
            Event::End(_) => {
                let element = open.pop()?;
                close_element(element, &mut open)?;
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text.xml10_content()),
            Event::CData(text) => open.last_mut()?.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let into = &mut open.last_mut()?.text;
                match reference.resolve_char_ref() {
                    Ok(Some(character)) => into.push(character),
                    _ => {
                        let name = reference.xml10_content();
                        match resolve_xml_entity(&name) {
                            Some(text) => into.push_str(text),
                            None => into.extend(["&", &name, ";"]),
                        }
                    }
                }
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    let document = open.pop()?;
    (open.is_empty() && document.members.len() == 1).then_some(Value::Object(document.members))
}

impl XmlElement {
    fn begin(start: &BytesStart<'_>, nodes: &mut usize) -> Option<Self> {
        let mut element = Self { name: start.local_name().as_ref().to_owned(), ..Self::default() };
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            *nodes += 1;
            if *nodes > MOST_NODES {
                return None;
            }
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let name = format!("@{}", attribute.key.local_name().as_ref());
            let value = quick_xml::escape::unescape(&attribute.value).ok()?;
            element.members.insert(name, value.into_owned().into());
        }
        Some(element)
    }
}

/// Puts an element into the one around it.
fn close_element(element: XmlElement, open: &mut [XmlElement]) -> Option<()> {
    let XmlElement { name, mut members, text } = element;
    let text = text.trim();
    let value = if members.is_empty() {
        Value::from(text)
    } else {
        if !text.is_empty() {
            members.insert("#text".to_owned(), text.into());
        }
        Value::Object(members)
    };
    match open.last_mut()?.members.entry(name) {
        serde_json::map::Entry::Vacant(place) => {
            place.insert(value);
        }
        serde_json::map::Entry::Occupied(mut place) => match place.get_mut() {
            Value::Array(items) => items.push(value),
            first => *first = Value::Array(vec![first.take(), value]),
        },
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Option<Value> {
        xml_value(text.as_bytes())
    }

    #[test]
    fn elements_become_members() {
        let text = r#"<?xml version="1.0"?>
            <s:Error xmlns:s="urn:x" code="7 &lt; 8"><!-- c -->
              <Code>NoSuchKey</Code><Message>a &amp; b &#228;<![CDATA[ <c>]]></Message>
              <Item>1</Item><Item/><Item><Id>3</Id>x</Item>
            </s:Error>"#;
        let expected = json!({"Error": {
            "@code": "7 < 8",
            "Code": "NoSuchKey",
            "Message": "a & b ä <c>",
            "Item": ["1", "", {"Id": "3", "#text": "x"}],
        }});
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn entities_do_not_grow() {
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>"#;
        assert_eq!(read(bomb), Some(json!({"x": "&b;"})));
    }

    #[test]
    fn what_is_not_well_formed_is_no_value() {
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        let many = format!("<a>{}</a>", "<b/>".repeat(2_000));
        for text in ["", "x", "<a>", "<a></b>", "<a/><b/>", "{}", "</a>", &deep, &many] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused(
            text in "(<[ab]( x='1')?/?>|</[ab]>|&[a-z#0-9]{1,4};|<!\\[CDATA\\[|\\]\\]>|<!--|-->|x| |é){0,30}",
        ) {
            let _ = read(&text);
        }
    }
}
