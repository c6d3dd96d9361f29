//! `import` of documents in several files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Map, Value, json};

use crate::openapi_documents::own;

fn import(document: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command.args(["import".as_ref(), document.as_os_str()]).env_clear();
    command.env("HOME", std::env::temp_dir()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn write(folder: &Path, name: &str, value: &Value) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}

/// Makes references into the document itself lead to it from a file that is `depth` folders below.
fn moved(value: &Value, depth: usize) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|it| moved(it, depth)).collect(),
        Value::Object(map) => {
            // References, and what a mapping names.
            let moved = map.iter().map(|(key, value)| match value.as_str() {
                Some(text) if text.starts_with("#/") => {
                    (key.clone(), json!(format!("{}api.json{text}", "../".repeat(depth))))
                }
                _ => (key.clone(), moved(value, depth)),
            });
            Value::Object(moved.collect())
        }
        other => other.clone(),
    }
}

const METHODS: [&str; 6] = ["get", "put", "post", "delete", "patch", "head"];

/// Writes a document with a file for each path, operation, list of parameters, and definition.
fn split(document: &Value, folder: &Path) -> PathBuf {
    let mut document = document.clone();
    let mut items = Map::new();
    let paths = document["paths"].take();
    for (at, (path, item)) in paths.as_object().unwrap().iter().enumerate() {
        let mut item = moved(item, 1);
        for word in METHODS.into_iter().chain(["parameters"]) {
            let Some(part) = item.get_mut(word).filter(|part| part.get("$ref").is_none()) else {
                continue;
            };
            let name = format!("parts/{word}/{at} of {}.json", path.len());
            write(folder, &format!("paths/{name}"), &moved(&paths[path.as_str()][word], 3));
            *part = json!({ "$ref": name.replace(' ', "%20") });
        }
        write(folder, &format!("paths/{at}.json"), &item);
        items.insert(path.clone(), json!({ "$ref": format!("./paths/{at}.json") }));
    }
    document["paths"] = Value::Object(items);
    for place in ["/components/schemas", "/definitions", "/components/parameters"] {
        let Some(Value::Object(map)) = document.pointer_mut(place) else { continue };
        for (name, value) in map.iter_mut() {
            let file = format!("shared{place}/{name}.json");
            let depth = file.matches('/').count();
            write(folder, &file, &moved(value, depth));
            *value = json!({ "$ref": file });
        }
    }
    write(folder, "api.json", &document);
    folder.join("api.json")
}

#[test]
fn a_document_in_pieces_is_the_same() {
    for path in own() {
        let bytes = fs::read(&path).unwrap();
        let whole: Value = serde_saphyr::from_str(text(&bytes)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "whole/api.json", &whole);
        let expected = import(&folder.path().join("whole/api.json"));
        let pieces = split(&whole, &folder.path().join("pieces"));
        let found = import(&pieces);
        assert!(expected.status.success() && found.status.success(), "{}", text(&found.stderr));
        assert_eq!(text(&found.stdout), text(&expected.stdout), "{path:?}");
    }
}

#[cfg(unix)]
#[test]
fn nothing_outside_of_the_folder_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside.json");
    let operation = json!({ "operationId": "stolen", "summary": "SECRET", "responses": {} });
    fs::write(&outside, operation.to_string()).unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("link.json")).unwrap();
    fs::write(inside.join("notes.txt"), "token: [SECRET").unwrap();
    assert!(Command::new("mkfifo").arg(inside.join("pipe.json")).status().unwrap().success());
    let references = [
        "../outside.json",
        "%2e%2e/outside.json",
        "..\\outside.json",
        outside.to_str().unwrap(),
        &format!("file://{}", outside.display()),
        "https://127.0.0.1:9/outside.json",
        "link.json",
        "pipe.json",
        "notes.txt",
        "/dev/zero",
    ];
    let mut paths = Map::new();
    paths.insert("/here".to_owned(), json!({ "get": { "operationId": "here" } }));
    for (at, reference) in references.iter().enumerate() {
        paths.insert(format!("/p{at}"), json!({ "get": { "$ref": reference } }));
    }
    let document = json!({ "openapi": "3.1.0", "info": { "title": "T", "version": "1" },
        "servers": [{ "url": "https://api.example.com" }], "paths": paths });
    write(&inside, "api.json", &document);
    let output = import(&inside.join("api.json"));
    let (descriptor, report) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{report}");
    assert_eq!(descriptor.matches("method: ").count(), 1, "{descriptor}");
    assert!(!descriptor.contains("SECRET") && !report.contains("SECRET"), "{report}");
    for at in 0..references.len() {
        assert!(report.contains(&format!("lost: /paths/~1p{at}/get")), "{at}: {report}");
    }
}
