//! The keywords of OpenAPI 3.0, 3.1 and 3.2, Swagger 2.0 and JSON Schema, by what becomes of them.

/// An object of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::openapi) enum Object {
    Components,
    Discriminator,
    Encoding,
    Flow,
    Flows,
    Header,
    Info,
    Link,
    /// What a body of this media type holds.
    Media,
    Operation,
    Parameter,
    PathItem,
    RequestBody,
    Response,
    Root,
    Schema,
    Scheme,
    Server,
    Variable,
}

/// What becomes of the keywords of an object: of every other one nothing is known.
pub(super) struct Keywords {
    /// The reader looks at them, and tells itself what it cannot use.
    pub(super) read: &'static [&'static str],
    /// They say nothing of a request.
    pub(super) silent: &'static [&'static str],
    /// They say something that no descriptor can say, each with what to do.
    pub(super) lost: &'static [(&'static str, &'static str)],
}

const DEPENDS: &str = "say in the description of the tool what depends on what, and add parameters that only \
                       stand there";
const ITEMS: &str = "say in the description of the parameter what its items are";
const NAMES: &str = "say in the description of the tool which names and values there are";
const OTHERWISE: &str = "say in the description of the parameter what it cannot be";
const PARTS: &str = "use another media type, or describe the whole body by hand";

/// Keys of an object that may be a reference, or stand for one.
const PARAMETER: &[&str] = &[
    "allowEmptyValue",
    "allowReserved",
    "content",
    "deprecated",
    "description",
    "example",
    "examples",
    "explode",
    "in",
    "name",
    "required",
    "schema",
    "style",
];

const SCHEMA: &[&str] = &[
    "$dynamicRef",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "deprecated",
    "description",
    "discriminator",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "readOnly",
    "required",
    "title",
    "type",
    "unevaluatedProperties",
    "uniqueItems",
];

impl Object {
    /// Returns the keywords of such an object in OpenAPI 3, or in Swagger 2.
    pub(super) const fn keywords(self, is_swagger: bool) -> Keywords {
        let (read, silent, lost): (&[_], &[_], &[_]) = match (self, is_swagger) {
            // What is below them is read where something refers to it.
            (Self::Components, _) => (
                &["securitySchemes"],
                &[
                    "callbacks",
                    "examples",
                    "headers",
                    "links",
                    "mediaTypes",
                    "parameters",
                    "pathItems",
                    "requestBodies",
                    "responses",
                    "schemas",
                ],
                &[],
            ),
            (Self::Discriminator, _) => (
                &["mapping", "propertyName"],
                &[],
                &[(
                    "defaultMapping",
                    "say in the description of the parameter which form stands for all others",
                )],
            ),
            (Self::Encoding, _) => (
                &["allowReserved", "contentType", "explode", "style"],
                &["description"],
                &[
                    ("encoding", PARTS),
                    ("headers", PARTS),
                    ("itemEncoding", PARTS),
                    ("prefixEncoding", PARTS),
                ],
            ),
            (Self::Flow, _) => (
                &["authorizationUrl", "scopes", "tokenUrl"],
                &["deviceAuthorizationUrl"],
                &[(
                    "refreshUrl",
                    "tokens are renewed at `token_url`: write another one below `auth`",
                )],
            ),
            (Self::Flows, _) => (
                &[
                    "accessCode",
                    "application",
                    "authorizationCode",
                    "clientCredentials",
                    "deviceAuthorization",
                    "implicit",
                    "password",
                ],
                &[],
                &[],
            ),
            (Self::Header, _) => (PARAMETER, &["collectionFormat"], &[]),
            (Self::Info, _) => (
                &["description", "title", "version"],
                &["contact", "license", "summary", "termsOfService"],
                &[],
            ),
            (Self::Link, _) => (
                &["operationRef"],
                &["description", "operationId", "parameters", "requestBody", "server"],
                &[],
            ),
            (Self::Media, _) => (
                &["encoding", "schema"],
                &["description", "example", "examples"],
                &[("itemEncoding", PARTS), ("itemSchema", ITEMS), ("prefixEncoding", PARTS)],
            ),
            (Self::Operation, false) => (
                &[
                    "callbacks",
                    "consumes",
                    "deprecated",
                    "description",
                    "operationId",
                    "parameters",
                    "requestBody",
                    "responses",
                    "security",
                    "servers",
                    "summary",
                    "tags",
                ],
                &["externalDocs"],
                &[],
            ),
            (Self::Operation, true) => (
                &[
                    "callbacks",
                    "consumes",
                    "deprecated",
                    "description",
                    "operationId",
                    "parameters",
                    "produces",
                    "requestBody",
                    "responses",
                    "schemes",
                    "security",
                    "summary",
                    "tags",
                ],
                &["externalDocs"],
                &[],
            ),
            (Self::Parameter, false) => (PARAMETER, &["summary"], &[]),
            (Self::Parameter, true) => (
                &[
                    "allowEmptyValue",
                    "collectionFormat",
                    "content",
                    "deprecated",
                    "description",
                    "example",
                    "examples",
                    "in",
                    "name",
                    "required",
                    "schema",
                ],
                &["summary"],
                &[],
            ),
            (Self::PathItem, false) => (
                &[
                    "$ref",
                    "additionalOperations",
                    "delete",
                    "get",
                    "head",
                    "options",
                    "parameters",
                    "patch",
                    "post",
                    "put",
                    "query",
                    "servers",
                    "trace",
                ],
                &["description", "summary"],
                &[],
            ),
            (Self::PathItem, true) => (
                &[
                    "$ref",
                    "additionalOperations",
                    "delete",
                    "get",
                    "head",
                    "options",
                    "parameters",
                    "patch",
                    "post",
                    "put",
                    "query",
                    "trace",
                ],
                &["description", "summary"],
                &[],
            ),
            (Self::RequestBody, _) => (&["content", "description", "required"], &["summary"], &[]),
            (Self::Response, _) => (
                &["content", "headers", "links", "schema"],
                &["description", "examples", "summary"],
                &[],
            ),
            (Self::Root, false) => (
                &[
                    "$self",
                    "components",
                    "externalDocs",
                    "info",
                    "jsonSchemaDialect",
                    "openapi",
                    "paths",
                    "security",
                    "servers",
                    "webhooks",
                ],
                &["$schema", "definitions", "tags"],
                &[],
            ),
            (Self::Root, true) => (
                &[
                    "basePath",
                    "consumes",
                    "externalDocs",
                    "host",
                    "info",
                    "paths",
                    "produces",
                    "schemes",
                    "security",
                    "securityDefinitions",
                    "swagger",
                    "webhooks",
                ],
                &["$schema", "components", "definitions", "parameters", "responses", "tags"],
                &[],
            ),
            (Self::Schema, _) => (
                SCHEMA,
                &[
                    "$anchor",
                    "$comment",
                    "$defs",
                    "$dynamicAnchor",
                    "$id",
                    "$recursiveAnchor",
                    "$schema",
                    "collectionFormat",
                    "definitions",
                    "externalDocs",
                    "id",
                    "summary",
                    "writeOnly",
                    "xml",
                ],
                &[
                    ("$recursiveRef", "write a `$ref`"),
                    ("$vocabulary", "write what its keywords mean for a request"),
                    ("additionalItems", ITEMS),
                    ("contains", ITEMS),
                    (
                        "contentSchema",
                        "say in the description of the parameter what its text holds",
                    ),
                    ("dependencies", DEPENDS),
                    ("dependentRequired", DEPENDS),
                    ("dependentSchemas", DEPENDS),
                    ("else", DEPENDS),
                    ("if", DEPENDS),
                    ("maxContains", ITEMS),
                    ("minContains", ITEMS),
                    ("not", OTHERWISE),
                    ("patternProperties", NAMES),
                    ("prefixItems", ITEMS),
                    ("propertyNames", NAMES),
                    ("then", DEPENDS),
                    ("unevaluatedItems", ITEMS),
                ],
            ),
            (Self::Scheme, false) => (
                &["flows", "in", "name", "openIdConnectUrl", "scheme", "type"],
                &["bearerFormat", "deprecated", "description"],
                &[("oauth2MetadataUrl", "write the endpoints below `auth`")],
            ),
            (Self::Scheme, true) => (
                &["authorizationUrl", "flow", "in", "name", "scopes", "tokenUrl", "type"],
                &["description"],
                &[],
            ),
            (Self::Server, _) => (&["url", "variables"], &["description", "name"], &[]),
            (Self::Variable, _) => (&["default", "enum"], &["description"], &[]),
        };
        Keywords { read, silent, lost }
    }

    /// Returns whether the keywords of a schema may stand in such an object.
    pub(super) const fn may_be_schema(self) -> bool {
        matches!(self, Self::Header)
    }
}
