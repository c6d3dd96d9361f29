//! `drift`, as the real binary does it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::openapi_documents::xen_orchestra;

const DOCUMENT: &str = "\
openapi: 3.0.0
info: {title: Pets, version: '1'}
paths:
  /pets:
    get:
      operationId: listPets
      parameters:
        - {name: kind, in: query, required: true, schema: {type: string, enum: [cat, dog]}}
    post: {operationId: addPet}
";

const DESCRIPTOR: &str = "\
spec: https://dadl.ai/spec/dadl-spec-v0.2.md
backend:
  name: pets
  type: rest
  description: Pets.
  auth: {type: bearer, credential: none}
  tools:
    list_pets:
      method: GET
      path: /pets
      access: read
      description: Pets.
      params:
        kind: {type: string, in: query, required: true, description: cat}
";

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn drift(folder: &Path, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .arg("drift")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with the two files, and one of exceptions.
fn folder(exceptions: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("pets.yaml", DOCUMENT), ("pets.dadl", DESCRIPTOR), ("pets.drift.yaml", exceptions)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn differences_are_shown_and_have_an_exit_code_of_their_own() {
    let folder = folder("");
    let run = drift(folder.path(), &["pets.dadl", "pets.yaml"]);
    assert_eq!(run.code, Some(7), "{}", run.err);
    insta::assert_snapshot!(run.out, @"
    GET /pets
      enum list_pets `kind`: the descriptions do not name dog
    POST /pets
      missing-operation: the descriptor has no tool for it (addPet)
    2 differences in 1 shared operations; 0 with exceptions, 0 stale exceptions; 0 deprecated operations left out
    ");
    let run = drift(folder.path(), &["pets.dadl", "pets.yaml", "--json"]);
    assert_eq!(run.code, Some(7));
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        report["differences"][0],
        json!({ "difference": "enum", "operation": "GET /pets", "tool": "list_pets",
            "parameter": "kind", "message": "the descriptions do not name dog",
            "place": "/paths/~1pets/get/parameters/0" })
    );
}

#[test]
fn exceptions_make_it_clean_until_they_go_stale() {
    let exceptions = "exceptions:\n  - {operation: POST /pets, reason: Nobody adds pets.}\n  \
                      - {difference: enum, parameter: kind, reason: Cats only.}\n";
    let folder = folder(exceptions);
    let arguments = ["pets.dadl", "pets.yaml", "--exceptions", "pets.drift.yaml"];
    let run = drift(folder.path(), &arguments);
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    let fixed = DESCRIPTOR.replace("description: cat}", "description: 'cat, dog'}");
    fs::write(folder.path().join("pets.dadl"), fixed).unwrap();
    let run = drift(folder.path(), &arguments);
    assert_eq!(run.code, Some(7));
    let expected = "stale pets.drift.yaml:3: no difference needs it any more: enum, parameter kind";
    assert!(run.out.contains(expected), "{}", run.out);
}

#[test]
fn what_cannot_be_compared_says_why() {
    let folder = folder("exceptions:\n  - {tool: x}\n");
    for (arguments, expected) in [
        (vec!["pets.dadl", "none.yaml"], "none.yaml cannot be read"),
        (vec!["none.dadl", "pets.yaml"], "descriptor `none.dadl` was not found"),
        (vec!["./pets.yaml", "pets.yaml"], "the descriptor ./pets.yaml cannot be used"),
        // Without a separator it is a name.
        (vec!["pets.yaml", "pets.yaml"], "there is ./pets.yaml: write `./pets.yaml`"),
        (vec!["pets.dadl", "pets.dadl"], "pets.dadl is no OpenAPI document"),
        (
            vec!["pets.dadl", "pets.yaml", "--exceptions", "pets.drift.yaml"],
            "pets.drift.yaml:2: an exception needs a `reason`",
        ),
    ] {
        let run = drift(folder.path(), &arguments);
        assert_eq!(run.code, Some(3), "{arguments:?}: {}", run.err);
        assert!(run.err.contains(expected), "{arguments:?}: {}", run.err);
    }
}

#[test]
#[ignore = "needs DADL_XO_OPENAPI"]
fn the_bundled_descriptor_says_what_xen_orchestra_says() {
    let document = fs::canonicalize(xen_orchestra()).unwrap().display().to_string();
    let arguments =
        ["dadl/xen-orchestra.dadl", &document, "--exceptions", "dadl/xen-orchestra.drift.yaml"];
    let run = drift(&root(), &arguments);
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    // A new release of the API is noticed.
    let text = fs::read_to_string(&document).unwrap();
    let newer = text.replacen("\"/vms/{id}/actions/start\"", "\"/vms/{id}/actions/begin\"", 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.json");
    fs::write(&path, newer).unwrap();
    let newer = path.display().to_string();
    let run = drift(&root(), &["dadl/xen-orchestra.dadl", &newer, "--exceptions", arguments[3]]);
    assert_eq!(run.code, Some(7));
    for expected in ["POST /vms/{id}/actions/begin", "unknown-operation start_vm"] {
        assert!(run.out.contains(expected), "{}", run.out);
    }
}

#[test]
fn a_json_rpc_api_is_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("api.yaml");
    fs::write(&document, DOCUMENT).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["drift", "xo-proxy"])
        .arg(&document)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("xo-proxy describes a JSON-RPC API"), "{text}");
}

/// What an API says about giving its operations to a model.
const EXPOSED: &str = "\
openapi: 3.0.0
info: {title: Pets, version: '1'}
paths:
  /pets:
    get: {operationId: listPets, x-mcp-exposure: deny}
  /cats:
    x-mcp-exposure: confirm
    get: {operationId: listCats}
    post: {operationId: addCat, x-mcp-exposure: allow}
    delete: {operationId: removeCats}
  /dogs:
    get: {operationId: listDogs, x-mcp-exposure: perhaps}
";

#[test]
fn what_an_api_keeps_from_models_is_no_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("api.yaml"), EXPOSED).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
        .args(["import", "api.yaml", "--output", "api.dadl"])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("mended: /paths/~1dogs/get/x-mcp-exposure: "), "{said}");
    let written = fs::read_to_string(folder.path().join("api.dadl")).unwrap();
    let levels: Vec<&str> =
        written.lines().filter_map(|line| line.trim().strip_prefix("access: ")).collect();
    assert_eq!(
        levels,
        [
            "write # review: guessed from GET, and x-mcp-exposure confirm",
            "write # review: guessed from POST",
            "dangerous # review: guessed from DELETE",
            "dangerous # review: guessed from GET, and x-mcp-exposure deny",
            "dangerous # review: guessed from GET, and x-mcp-exposure deny",
        ]
    );
    assert_eq!(drift(folder.path(), &["api.dadl", "api.yaml"]).code, Some(0));
    let generous = written.replace("access: dangerous", "access: admin");
    let generous = generous.replacen("access: write", "access: read", 1);
    fs::write(folder.path().join("api.dadl"), generous).unwrap();
    let run = drift(folder.path(), &["api.dadl", "api.yaml", "--json"]);
    assert_eq!(run.code, Some(7), "{}", run.err);
    let found: Value = serde_json::from_str(&run.out).unwrap();
    let messages: Vec<(&str, &str)> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["difference"].as_str().unwrap(), it["message"].as_str().unwrap()))
        .collect();
    let says = |word: &str, level: &str, least: &str| {
        format!(
            "the API says {word} of it (x-mcp-exposure), and the tool has the level {level}, not {least}"
        )
    };
    let (confirm, deny) = (says("confirm", "read", "write"), says("deny", "admin", "dangerous"));
    assert_eq!(messages, [("access", &*confirm), ("access", &*deny), ("access", &*deny)]);
}

/// A document with one operation that reads, about which its API says this.
fn hinted(path: &str, said: &str) -> String {
    let said = if said.is_empty() { String::new() } else { format!(", {said}") };
    format!(
        "openapi: 3.0.0\ninfo: {{title: Pets, version: '1'}}\npaths:\n  /cats:\n{path}    get: \
         {{operationId: listCats{said}}}\n"
    )
}

#[test]
fn a_hint_that_came_after_the_import_is_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(folder.path().join("api.yaml"), text).unwrap();
    let import = |output: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"))
            .args(["import", "api.yaml", "--force", "--output", output])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    write(&hinted("", ""));
    assert_eq!(import("before.dadl").0, Some(0));
    let compared = |descriptor: &str| {
        let run = drift(folder.path(), &[descriptor, "api.yaml", "--json"]);
        let found: Value = serde_json::from_str(&run.out).unwrap();
        let found = found["differences"].as_array().unwrap().clone();
        assert_eq!(run.code, Some(if found.is_empty() { 0 } else { 7 }), "{}", run.err);
        found.iter().map(|it| it["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (said, key, word, least) in [
        ("x-mcp: {exposure: confirm}", "x-mcp", "confirm", "write"),
        ("x-mcp: {annotations: {destructiveHint: true}}", "x-mcp", "deny", "dangerous"),
        ("x-openai-isConsequential: true", "x-openai-isConsequential", "confirm", "write"),
        ("x-ms-visibility: internal", "x-ms-visibility", "confirm", "write"),
        ("x-mcp-destructive: true", "x-mcp-destructive", "deny", "dangerous"),
        ("x-mcp-exposure: deny", "x-mcp-exposure", "deny", "dangerous"),
        ("x-mcp: false", "x-mcp", "no", "dangerous"),
        ("x-mcp-ignore: 'true'", "x-mcp-ignore", "no", "dangerous"),
        ("x-speakeasy-mcp: {disabled: true}", "x-speakeasy-mcp", "no", "dangerous"),
    ] {
        write(&hinted("", said));
        let expected = format!(
            "the API says {word} of it ({key}), and the tool has the level read, not {least}"
        );
        assert_eq!(compared("before.dadl"), std::slice::from_ref(&expected), "{said}");
        // What stands at the path counts for its operations.
        write(&hinted(&format!("    {said}\n"), ""));
        assert_eq!(compared("before.dadl"), [expected], "{said}");
        write(&hinted("", said));
        let (code, lines) = import("after.dadl");
        if word == "no" {
            // Only a plain no leaves an operation out; here there is no other.
            assert_ne!(code, Some(0));
            assert!(lines.contains("the API gives `list_cats` to no model"), "{said}: {lines}");
        } else {
            assert_eq!((code, lines.contains("0 excluded")), (Some(0), true), "{said}: {lines}");
            assert_eq!(compared("after.dadl"), [""; 0], "{said}");
        }
    }
    for said in ["x-mcp: true", "x-openai-isConsequential: false", "x-other: deny", ""] {
        write(&hinted("", said));
        assert_eq!(compared("before.dadl"), [""; 0], "{said}");
    }
}
