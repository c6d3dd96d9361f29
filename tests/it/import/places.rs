//! Where the objects of a document are that say something of requests: a reading of its own.

use std::collections::HashSet;

use serde_json::Value;

/// What an object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Media,
    Operation,
    Other,
    Parameter,
    PathItem,
    RequestBody,
    Schema,
}

/// Finds objects.
struct Finder<'doc> {
    root: &'doc Value,
    seen: HashSet<String>,
    places: Vec<String>,
}

/// Returns the pointers of the objects of requests.
pub(super) fn places(root: &Value) -> Vec<String> {
    let mut finder = Finder { root, seen: HashSet::new(), places: Vec::new() };
    finder.each("", Kind::Other, &["/info", "/components", "/servers/0"]);
    finder.places.push(String::new());
    for scheme in ["/components/securitySchemes", "/securityDefinitions"] {
        finder.members(scheme, Kind::Other);
    }
    finder.members("/paths", Kind::PathItem);
    finder.places
}

impl Finder<'_> {
    fn each(&mut self, place: &str, kind: Kind, keys: &[&str]) {
        for key in keys {
            self.object(format!("{place}{key}"), kind);
        }
    }

    /// Goes to each member of an object, or item of a list.
    fn members(&mut self, place: &str, kind: Kind) {
        match self.root.pointer(place) {
            Some(Value::Object(map)) => {
                for key in map.keys() {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    self.object(format!("{place}/{key}"), kind);
                }
            }
            Some(Value::Array(list)) => {
                (0..list.len()).for_each(|index| self.object(format!("{place}/{index}"), kind));
            }
            _ => {}
        }
    }

    fn object(&mut self, mut place: String, kind: Kind) {
        let Some(mut value) = self.root.pointer(&place) else { return };
        while let Some(reference) = value["$ref"].as_str() {
            place = reference[1..].to_owned();
            value = self.root.pointer(&place).unwrap();
        }
        let is_of_answers = kind == Kind::Schema && value["readOnly"] == true;
        if !value.is_object() || is_of_answers || !self.seen.insert(place.clone()) {
            return;
        }
        let below = |key: &str| format!("{place}/{key}");
        match kind {
            Kind::PathItem => {
                self.members(&below("parameters"), Kind::Parameter);
                self.each(&place, Kind::Operation, &["/get", "/put", "/post", "/delete", "/patch"]);
            }
            Kind::Operation => {
                self.members(&below("parameters"), Kind::Parameter);
                self.object(below("requestBody"), Kind::RequestBody);
            }
            Kind::Parameter => {
                self.each(&place, Kind::Schema, &["/schema", "/items"]);
                self.members(&below("content"), Kind::Media);
            }
            // Of several media types one is sent.
            Kind::RequestBody if value["content"].as_object().is_some_and(|it| it.len() == 1) => {
                self.members(&below("content"), Kind::Media);
            }
            Kind::Media => {
                self.object(below("schema"), Kind::Schema);
                self.members(&below("encoding"), Kind::Other);
            }
            Kind::Schema => {
                self.each(&place, Kind::Schema, &["/items", "/additionalProperties"]);
                for key in ["properties", "allOf", "oneOf", "anyOf"] {
                    self.members(&below(key), Kind::Schema);
                }
                self.object(below("discriminator"), Kind::Other);
            }
            Kind::Other | Kind::RequestBody => {}
        }
        self.places.push(place);
    }
}
