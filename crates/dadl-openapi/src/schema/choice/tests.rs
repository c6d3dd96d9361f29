//! Schemas with a `discriminator`: the members and values that come of their children.

use serde_json::json;

use super::*;
use crate::documents::NoSiblings;

/// Returns the shape of the schema `name`, and the remarks.
fn read(schemas: &Value, name: &str) -> (ValueShape, Vec<String>) {
    let document = json!({ "openapi": "3.1.0", "components": { "schemas": schemas },
        "asked": { "$ref": format!("#/components/schemas/{name}") } });
    read_in(&document)
}

fn read_in(document: &Value) -> (ValueShape, Vec<String>) {
    let documents = DocumentSet::read(document.to_string().as_bytes(), &mut NoSiblings).unwrap();
    let (asked, place) = documents.at("/asked").unwrap();
    let mut schemas = SchemaReader::new(&documents);
    let shape = schemas.read_shape(asked, &place);
    let lines = schemas.remarks.list().iter().map(|it| format!("{} {}", it.place, it.message));
    (shape, lines.collect())
}

fn names(shape: &ValueShape) -> Vec<&str> {
    shape.members.iter().map(|member| member.name.as_str()).collect()
}

fn member<'shape>(shape: &'shape ValueShape, name: &str) -> &'shape ShapeMember {
    shape.members.iter().find(|member| member.name == name).unwrap()
}

fn child(own: Value) -> Value {
    json!({ "allOf": [{ "$ref": "#/components/schemas/Pet" }, own] })
}

fn pets(discriminator: Value) -> Value {
    json!({
        "Pet": { "type": "object", "required": ["kind"], "discriminator": discriminator,
            "properties": { "kind": { "type": "string" }, "friend": { "$ref": "#/components/schemas/Pet" } } },
        "Cat": child(json!({ "required": ["meow"], "properties": { "meow": { "type": "integer" } } })),
        "Dog": child(json!({ "properties": { "bark": { "type": "boolean" } } })),
        "Puppy": { "allOf": [{ "$ref": "#/components/schemas/Dog" }, { "properties": { "age": { "type": "integer" } } }] },
    })
}

#[test]
fn children_by_all_of_are_forms() {
    let (shape, lines) = read(&pets(json!({ "propertyName": "kind" })), "Pet");
    assert_eq!(names(&shape), ["kind", "friend", "meow", "bark", "age"]);
    assert!(member(&shape, "kind").required && !member(&shape, "meow").required);
    assert!(shape.has_variants && lines.is_empty(), "{lines:?}");
    let mut values: Vec<&str> =
        member(&shape, "kind").shape.values.iter().filter_map(Value::as_str).collect();
    values.sort_unstable();
    assert_eq!(values, ["Cat", "Dog", "Pet", "Puppy"]);
}

#[test]
fn items_of_a_member_have_their_forms_as_well() {
    let mut schemas = pets(json!({ "propertyName": "kind" }));
    let pet = json!({ "$ref": "#/components/schemas/Pet" });
    schemas["Zoo"] = json!({ "properties": { "pets": { "type": "array", "items": pet } } });
    let (shape, _) = read(&schemas, "Zoo");
    let items = member(&shape, "pets").shape.items.as_deref().unwrap();
    assert_eq!(names(items), ["kind", "friend", "meow", "bark", "age"]);
}

#[test]
fn a_mapping_names_the_values() {
    let mapping = json!({ "cat": "#/components/schemas/Cat", "dog": "Dog", "gone": "Bird" });
    let discriminator = json!({ "propertyName": "kind", "mapping": mapping });
    let (shape, lines) = read(&pets(discriminator.clone()), "Pet");
    let values: Vec<&str> =
        member(&shape, "kind").shape.values.iter().filter_map(Value::as_str).collect();
    assert_eq!(values, ["cat", "dog", "Puppy"]);
    assert_eq!(
        lines,
        ["/components/schemas/Pet/discriminator/mapping/gone `Bird` leads to no schema"]
    );
    let (shape, _) = read(&pets(discriminator), "Cat");
    assert_eq!(names(&shape), ["kind", "friend", "meow"], "a cat does not bark");
    assert_eq!(member(&shape, "kind").shape.values, [json!("cat")]);
    assert!(member(&shape, "meow").required);
}

#[test]
fn a_wrapper_is_no_child() {
    let mut schemas = pets(json!({ "propertyName": "kind" }));
    schemas["Box"] = json!({ "properties": { "pet": {
        "description": "Mine.", "allOf": [{ "$ref": "#/components/schemas/Pet" }] } } });
    let (shape, _) = read(&schemas, "Box");
    assert!(names(&member(&shape, "pet").shape).contains(&"meow"));
}

#[test]
fn forms_that_are_listed_are_those() {
    let schemas = json!({
        "Any": { "oneOf": [{ "$ref": "#/components/schemas/A" }, { "$ref": "#/components/schemas/B" }],
            "discriminator": { "propertyName": "kind", "mapping": { "a": "#/components/schemas/A" } } },
        "A": { "required": ["kind"], "properties": { "kind": { "type": "string" }, "x": {} } },
        "B": { "required": ["kind"], "properties": { "kind": { "type": "string" }, "y": {} } },
    });
    let (shape, _) = read(&schemas, "Any");
    assert_eq!(names(&shape), ["kind", "x", "y"]);
    assert_eq!(member(&shape, "kind").shape.values, [json!("a"), json!("B")]);
}

#[test]
fn swagger_2_has_the_name_alone() {
    let document = json!({ "swagger": "2.0", "asked": { "$ref": "#/definitions/Animal" }, "definitions": {
        "Animal": { "discriminator": "kind", "required": ["kind"], "properties": { "kind": { "type": "string" } } },
        "Dog": { "x-ms-discriminator-value": "#dog",
            "allOf": [{ "$ref": "#/definitions/Animal" }, { "properties": { "bark": { "type": "boolean" } } }] },
    } });
    let (shape, _) = read_in(&document);
    assert_eq!(names(&shape), ["kind", "bark"]);
    assert_eq!(member(&shape, "kind").shape.values, [json!("#dog"), json!("Animal")]);
}

#[test]
fn circles_and_thousands_end() {
    let circle = json!({
        "A": { "discriminator": { "propertyName": "k" }, "allOf": [{ "$ref": "#/components/schemas/B" }] },
        "B": { "discriminator": { "propertyName": "k" }, "allOf": [{ "$ref": "#/components/schemas/A" }],
            "oneOf": [{ "$ref": "#/components/schemas/A" }], "properties": { "x": { "$ref": "#/components/schemas/B" } } },
    });
    assert!(names(&read(&circle, "A").0).contains(&"x"));
    let mut many = json!({ "Pet": { "discriminator": { "propertyName": "kind" }, "properties": {
        "kind": { "type": "string" } } } });
    for at in 0..1_000 {
        let name = format!("m{at}");
        many[format!("C{at}")] =
            child(json!({ "properties": { name: { "$ref": "#/components/schemas/Pet" } } }));
    }
    let (shape, lines) = read(&many, "Pet");
    assert_eq!(shape.members.len(), 101);
    assert!(lines.iter().any(|it| it.contains("only 100 of 1000 forms")), "{lines:?}");
}
