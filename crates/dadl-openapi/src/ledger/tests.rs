//! Which keywords are told, by object and version, and that each of the specifications has one fate.

use serde_json::{Value, json};

use super::*;
use crate::{
    documents::{DocumentSet, NoSiblings},
    report::ImportRemarks,
};

/// Goes through one object of a document; returns what is lost.
fn lost(version: Value, object: DocumentObject, map: &Value) -> Vec<String> {
    let documents = DocumentSet::read(version.to_string().as_bytes(), &mut NoSiblings).unwrap();
    let mut schemas = SchemaReader::new(&documents);
    let map = map.as_object().unwrap();
    // Only what a document holds lives as long as it does.
    let map = Box::leak(Box::new(map.clone()));
    schemas.account(object, map, "/at");
    lines(&schemas.remarks)
}

fn lines(remarks: &ImportRemarks) -> Vec<String> {
    remarks.list().iter().map(|it| format!("{} {}: {}", it.kind, it.place, it.message)).collect()
}

fn columns(object: DocumentObject, dialect: OpenApiDialect, key: &str) -> usize {
    let keywords = object.keywords(dialect);
    let lost = keywords.lost.iter().filter(|(known, _)| *known == key).count();
    let of = |list: &[&str]| list.iter().filter(|known| **known == key).count();
    lost + of(keywords.read) + of(keywords.silent)
}

#[test]
fn every_keyword_of_the_specifications_is_in_one_column() {
    use DocumentObject::*;
    // The names of the properties in the schemas of OpenAPI 3.0, 3.1 and 3.2.
    for (object, keys) in [
        (
            Root,
            "openapi $self info jsonSchemaDialect servers paths webhooks components security tags externalDocs",
        ),
        (Info, "title summary description termsOfService contact license version"),
        (Server, "url description name variables"),
        (Variable, "enum default description"),
        (
            Components,
            "schemas responses parameters examples requestBodies headers securitySchemes links callbacks pathItems mediaTypes",
        ),
        (
            PathItem,
            "$ref summary description servers parameters additionalOperations get put post delete options head patch trace query",
        ),
        (
            Operation,
            "tags summary description externalDocs operationId parameters requestBody responses callbacks deprecated security servers",
        ),
        (
            Parameter,
            "name in description required deprecated allowEmptyValue schema content style explode allowReserved example examples",
        ),
        (RequestBody, "description content required"),
        (
            Media,
            "description schema itemSchema encoding prefixEncoding itemEncoding example examples",
        ),
        (
            Encoding,
            "contentType headers style explode allowReserved encoding prefixEncoding itemEncoding",
        ),
        (Response, "summary description headers content links"),
        (
            Header,
            "description required deprecated schema content style explode example examples allowEmptyValue allowReserved",
        ),
        (Link, "operationRef operationId parameters requestBody description server"),
        (
            Scheme,
            "type description name in scheme bearerFormat flows openIdConnectUrl oauth2MetadataUrl deprecated",
        ),
        (Flows, "implicit password clientCredentials authorizationCode deviceAuthorization"),
        (Flow, "authorizationUrl deviceAuthorizationUrl tokenUrl refreshUrl scopes"),
        (Discriminator, "propertyName mapping defaultMapping"),
        (Schema, SCHEMA),
    ] {
        for key in keys.split_whitespace() {
            assert_eq!(columns(object, OpenApiDialect::OpenApi3, key), 1, "{object:?}: {key}");
        }
    }
    for (object, keys) in [
        (
            Root,
            "swagger info host basePath schemes consumes produces paths definitions parameters responses securityDefinitions security tags externalDocs",
        ),
        (PathItem, "$ref get put post delete options head patch parameters"),
        (
            Operation,
            "tags summary description externalDocs operationId consumes produces parameters responses schemes deprecated security",
        ),
        (Parameter, "name in description required schema allowEmptyValue collectionFormat"),
        (Response, "description schema headers examples"),
        (Scheme, "type description name in flow authorizationUrl tokenUrl scopes"),
    ] {
        for key in keys.split_whitespace() {
            assert_eq!(columns(object, OpenApiDialect::Swagger2, key), 1, "{object:?}: {key}");
        }
    }
}

/// The keywords of Swagger 2.0, OpenAPI 3.0 and 3.1, and of JSON Schema from draft 4 to 2020-12.
const SCHEMA: &str = "$ref title multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength \
    pattern maxItems minItems uniqueItems maxProperties minProperties required enum type allOf oneOf anyOf not \
    items properties additionalProperties description format default nullable discriminator readOnly writeOnly \
    example examples externalDocs deprecated xml $id $schema $anchor $vocabulary $comment $defs $dynamicRef \
    $dynamicAnchor $recursiveRef $recursiveAnchor prefixItems contains maxContains minContains patternProperties \
    propertyNames if then else dependentSchemas dependentRequired dependencies additionalItems unevaluatedItems \
    unevaluatedProperties const contentEncoding contentMediaType contentSchema definitions id";

#[test]
fn an_unknown_keyword_is_lost_with_its_place_and_an_extension_is_not() {
    let new = json!({ "openapi": "3.1.0", "paths": {} });
    let old = json!({ "swagger": "2.0", "paths": {} });
    let odd = json!({ "odd/word": 1, "x-own": { "any": "thing" } });
    for object in [
        DocumentObject::Components,
        DocumentObject::Encoding,
        DocumentObject::Header,
        DocumentObject::Info,
        DocumentObject::Link,
        DocumentObject::Media,
        DocumentObject::Operation,
        DocumentObject::Parameter,
        DocumentObject::PathItem,
        DocumentObject::RequestBody,
        DocumentObject::Response,
        DocumentObject::Root,
        DocumentObject::Schema,
        DocumentObject::Scheme,
        DocumentObject::Server,
    ] {
        for version in [&new, &old] {
            let found = lost(version.clone(), object, &odd);
            assert_eq!(found, ["lost /at/odd~1word: `odd/word` is not read"], "{object:?}");
        }
    }
}

#[test]
fn a_keyword_of_another_version_counts_as_the_reader_takes_it() {
    let new = json!({ "openapi": "3.0.3", "paths": {} });
    let old = json!({ "swagger": "2.0", "paths": {} });
    for (version, object, key, is_lost) in [
        (&new, DocumentObject::Schema, "const", false),
        (&new, DocumentObject::Parameter, "collectionFormat", true),
        (&new, DocumentObject::Operation, "produces", true),
        (&new, DocumentObject::Operation, "consumes", false),
        (&new, DocumentObject::Root, "host", true),
        (&new, DocumentObject::Root, "securityDefinitions", true),
        (&old, DocumentObject::Parameter, "style", true),
        (&old, DocumentObject::Operation, "servers", true),
        (&old, DocumentObject::Operation, "requestBody", false),
        (&old, DocumentObject::Root, "servers", true),
    ] {
        let found = lost(version.clone(), object, &json!({ key: "x" }));
        assert_eq!(!found.is_empty(), is_lost, "{object:?} {key}: {found:?}");
    }
}

#[test]
fn what_says_nothing_is_silent() {
    let new = json!({ "openapi": "3.1.0", "paths": {} });
    let silent = json!({ "not": {}, "then": null, "prefixItems": [], "unevaluatedItems": false,
        "$comment": "c", "externalDocs": { "odd": 1 }, "xml": { "odd": 1 }, "writeOnly": true });
    assert_eq!(lost(new.clone(), DocumentObject::Schema, &silent), [""; 0]);
    let odd = json!({ "minimum": "5", "uniqueItems": "true", "pattern": 7, "items": "x" });
    let found = lost(new, DocumentObject::Schema, &odd);
    assert_eq!(
        found,
        [
            "lost /at/minimum: `minimum` cannot be `\"5\"`, which says nothing",
            "lost /at/pattern: `pattern` cannot be `7`, which says nothing",
            "lost /at/items: `items` cannot be `\"x\"`, which says nothing",
        ]
    );
}

#[test]
fn a_container_of_what_is_referred_to_is_no_keyword() {
    let document = json!({ "openapi": "3.1.0", "paths": { "/a": { "$ref": "#/parts/a/b" } } });
    let root = json!({ "parts": {}, "part": {}, "parts/a": {} });
    let documents = DocumentSet::read(document.to_string().as_bytes(), &mut NoSiblings).unwrap();
    let mut schemas = SchemaReader::new(&documents);
    schemas.account(DocumentObject::Root, root.as_object().unwrap(), "");
    assert_eq!(
        lines(&schemas.remarks),
        ["lost /part: `part` is not read", "lost /parts~1a: `parts/a` is not read"]
    );
}

#[test]
fn schemas_are_gone_through_as_deep_as_they_are() {
    let mut deep = json!({ "type": "object", "odd": 1 });
    for level in 0..40 {
        deep = match level % 4 {
            0 => json!({ "properties": { "a": deep } }),
            1 => json!({ "items": deep }),
            2 => json!({ "allOf": [deep] }),
            _ => json!({ "additionalProperties": deep }),
        };
    }
    let document = json!({ "openapi": "3.1.0", "deep": deep, "circle": { "$ref": "#/around" },
        "around": { "properties": { "a": { "$ref": "#/circle" }, "b": { "readOnly": true, "odd": 1 } }, "odd": 1 } });
    let documents = DocumentSet::read(document.to_string().as_bytes(), &mut NoSiblings).unwrap();
    let mut schemas = SchemaReader::new(&documents);
    for place in ["/deep", "/circle", "/circle"] {
        let (schema, place) = documents.at(place).unwrap();
        schemas.account_schema(schema, &place);
    }
    let found = lines(&schemas.remarks);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("lost /deep/additionalProperties/allOf/0/items/"), "{found:?}");
    assert_eq!(found[1], "lost /around/odd: `odd` is not read");
}
