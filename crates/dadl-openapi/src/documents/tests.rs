//! Documents of several files: which references lead where, and which lead nowhere.

use std::io;

use super::*;

/// Files by their paths.
struct Fixed(Vec<(&'static str, String)>, Vec<String>);

impl Fixed {
    fn new(files: &[(&'static str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (*path, (*text).to_owned())).collect(), Vec::new())
    }
}

impl SiblingFiles for Fixed {
    fn name(&self) -> Option<&str> {
        Some("api.yaml")
    }

    fn bytes(&mut self, path: &str, _: usize) -> Result<Vec<u8>, FolderError> {
        self.1.push(path.to_owned());
        let found = self.0.iter().find(|(known, _)| *known == path);
        let missing = || FolderError::Unreadable(io::Error::from(io::ErrorKind::NotFound));
        found.map(|(_, text)| text.clone().into_bytes()).ok_or_else(missing)
    }
}

fn read(document: &str, files: &mut Fixed) -> DocumentSet {
    DocumentSet::read(format!("openapi: 3.1.0\n{document}").as_bytes(), files).unwrap()
}

#[test]
fn references_lead_to_files_and_back() {
    let mut files = Fixed::new(&[
        ("ops/get.yml", "a: {$ref: '../parts/p.json#/deep'}\nb: {$ref: '../api.yaml#/x'}"),
        ("parts/p.json", r#"{"deep": {"$ref": "../ops/get.yml#/a"}, "k#y": {"z": 1}}"#),
        ("with space.yaml", "- 1"),
    ]);
    let all = read("x: {$ref: ./ops/get.yml}\ny: {$ref: 'with%20space.yaml#/0'}", &mut files);
    let (found, place) = all.find("./ops/get.yml", "/x").unwrap();
    assert_eq!((found.get("a").is_some(), place.as_str()), (true, "ops/get.yml#"));
    let (_, place) = all.find("../parts/p.json#/deep", "ops/get.yml#/a").unwrap();
    assert_eq!(place, "parts/p.json#/deep");
    let (_, place) = all.find("../api.yaml#/x", "ops/get.yml#/b").unwrap();
    assert_eq!(place, "/x");
    let (found, place) = all.find("#/k%23y/z", "parts/p.json#/deep").unwrap();
    assert_eq!((found, place.as_str()), (&1.into(), "parts/p.json#/k#y/z"));
    assert_eq!(all.at("parts/p.json#/k#y/z").unwrap().0, &Value::from(1));
    assert_eq!(all.find("with%20space.yaml#/0", "/y").unwrap().0, &Value::from(1));
    files.1.sort();
    assert_eq!(files.1, ["ops/get.yml", "parts/p.json", "with space.yaml"], "each once");
}

#[test]
fn pointers_lead_through_references() {
    let mut files = Fixed::new(&[
        ("schemas.yaml", "Vm: {$ref: vm.yaml}\nLoop: {$ref: '#/Loop/x'}"),
        ("vm.yaml", "properties: {id: {type: string}}"),
    ]);
    let all = read("components: {schemas: {$ref: schemas.yaml}}", &mut files);
    let (found, place) = all.find("#/components/schemas/Vm/properties/id", "").unwrap();
    assert_eq!(found.get("type"), Some(&"string".into()));
    assert_eq!(place, "vm.yaml#/properties/id");
    assert_eq!(all.find("schemas.yaml#/Loop/y", ""), Err(UnresolvedReference::Circle));
    assert_eq!(all.find("#/components/schemas/None", ""), Err(UnresolvedReference::Nothing));
}

#[test]
fn anchors_and_addresses_are_found() {
    let mut files = Fixed::new(&[("f.yaml", "x: {$anchor: far, type: number}")]);
    let all = read(
        "$self: https://example.com/api\nx: {$ref: 'f.yaml#far'}\ncomponents: {schemas: {\
         A: {$anchor: near, type: integer}, B: {$id: 'https://example.com/b', k: {type: boolean}}}}",
        &mut files,
    );
    let place = |reference| all.find(reference, "/x").map(|found| found.1);
    assert_eq!(place("#near").as_deref(), Ok("/components/schemas/A"));
    assert_eq!(place("f.yaml#far").as_deref(), Ok("f.yaml#/x"));
    assert_eq!(place("https://example.com/b#/k").as_deref(), Ok("/components/schemas/B/k"));
    assert_eq!(
        place("https://example.com/api#/components/schemas/A").as_deref(),
        Ok("/components/schemas/A")
    );
    assert_eq!(place("#other"), Err(UnresolvedReference::Nothing));
}

#[test]
fn nothing_outside_is_asked_for() {
    let mut files = Fixed::new(&[]);
    let outside = [
        ("../up.yaml", UnresolvedReference::Leaves),
        ("a/../../up.yaml", UnresolvedReference::Leaves),
        ("%2e%2e/up.yaml", UnresolvedReference::Leaves),
        ("/etc/passwd", UnresolvedReference::Leaves),
        ("\\\\host\\share", UnresolvedReference::Leaves),
        ("a\\..\\b.yaml", UnresolvedReference::Name),
        ("a/c:stream", UnresolvedReference::Name),
        ("a%00.yaml", UnresolvedReference::Name),
        ("a%3fb", UnresolvedReference::Name),
        ("file:///etc/passwd", UnresolvedReference::Address),
        ("https://example.com/a.yaml", UnresolvedReference::Address),
        ("//example.com/a.yaml", UnresolvedReference::Address),
        ("c:a.yaml", UnresolvedReference::Address),
    ];
    let list: Vec<Value> =
        outside.iter().map(|(path, _)| serde_json::json!({ "$ref": path })).collect();
    let all = read(&format!("x: {}", Value::from(list)), &mut files);
    assert_eq!(files.1, Vec::<String>::new());
    for (path, gone) in outside {
        assert_eq!(all.find(path, "/x"), Err(gone), "{path}");
    }
}

#[test]
fn what_is_no_document_is_not_quoted() {
    let mut files = Fixed::new(&[
        ("secret.env", "TOKEN=hunter2"),
        ("page.html", "<!doctype html><p>hunter2"),
        ("broken.yaml", "a: [hunter2"),
        ("broken.json", "{\"hunter2\": hunter2}"),
        ("empty.yaml", ""),
    ]);
    let names = ["secret.env", "page.html", "broken.yaml", "broken.json", "empty.yaml", "none"];
    let list: Vec<Value> = names.iter().map(|path| serde_json::json!({ "$ref": path })).collect();
    let all = read(&format!("x: {}", Value::from(list)), &mut files);
    for name in names {
        let gone = all.find(name, "/x").unwrap_err();
        assert!(!gone.to_string().contains("hunter2") && !gone.help().is_empty(), "{name}: {gone}");
    }
}

#[test]
fn bounds_are_those_of_all_files_together() {
    let half = format!("x: '{}'", "a".repeat(MAX_BYTES / 2));
    let mut files = Fixed::new(&[("a.yaml", &half), ("b.yaml", &half)]);
    let all = read("a: {$ref: a.yaml}\nb: {$ref: b.yaml}", &mut files);
    assert!(all.find("a.yaml", "/a").is_ok());
    assert_eq!(all.find("b.yaml", "/b"), Err(UnresolvedReference::TooLarge));

    let mut many = Many(0);
    let all = DocumentSet::read(br#"{"openapi": "3.0.0", "x": {"$ref": "0"}}"#, &mut many).unwrap();
    assert_eq!((all.list.len(), many.0), (MAX_FILES, MAX_FILES - 1));
}

/// Each file refers to the next one.
struct Many(usize);

impl SiblingFiles for Many {
    fn name(&self) -> Option<&str> {
        Some("api")
    }

    fn bytes(&mut self, _: &str, _: usize) -> Result<Vec<u8>, FolderError> {
        self.0 += 1;
        Ok(format!(r#"{{"$ref": "{}"}}"#, self.0).into_bytes())
    }
}

#[test]
fn a_document_without_a_folder_says_so() {
    let bytes = br#"{"openapi": "3.0.0", "x": {"$ref": "a.yaml"}}"#;
    let all = DocumentSet::read(bytes, &mut NoSiblings).unwrap();
    assert_eq!(all.find("a.yaml", "/x"), Err(UnresolvedReference::NoFolder));
}
