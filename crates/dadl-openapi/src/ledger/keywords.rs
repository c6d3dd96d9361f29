//! The keywords of OpenAPI 3.0, 3.1 and 3.2, Swagger 2.0 and JSON Schema, by what becomes of them.

use crate::dialect::OpenApiDialect;

/// An object of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DocumentObject {
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
const PARAMETER_KEYS: &[&str] = &[
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

const SCHEMA_KEYS: &[&str] = &[
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

// What is below them is read where something refers to it.
const COMPONENTS: Keywords = Keywords {
    read: &["securitySchemes"],
    silent: &[
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
    lost: &[],
};

const DISCRIMINATOR: Keywords = Keywords {
    read: &["mapping", "propertyName"],
    silent: &[],
    lost: &[(
        "defaultMapping",
        "say in the description of the parameter which form stands for all others",
    )],
};

const ENCODING: Keywords = Keywords {
    read: &["allowReserved", "contentType", "explode", "style"],
    silent: &["description"],
    lost: &[
        ("encoding", PARTS),
        ("headers", PARTS),
        ("itemEncoding", PARTS),
        ("prefixEncoding", PARTS),
    ],
};

const FLOW: Keywords = Keywords {
    read: &["authorizationUrl", "scopes", "tokenUrl"],
    silent: &["deviceAuthorizationUrl"],
    lost: &[("refreshUrl", "tokens are renewed at `token_url`: write another one below `auth`")],
};

const FLOWS: Keywords = Keywords {
    read: &[
        "accessCode",
        "application",
        "authorizationCode",
        "clientCredentials",
        "deviceAuthorization",
        "implicit",
        "password",
    ],
    silent: &[],
    lost: &[],
};

const HEADER: Keywords =
    Keywords { read: PARAMETER_KEYS, silent: &["collectionFormat"], lost: &[] };

const INFO: Keywords = Keywords {
    read: &["description", "title", "version"],
    silent: &["contact", "license", "summary", "termsOfService"],
    lost: &[],
};

const LINK: Keywords = Keywords {
    read: &["operationRef"],
    silent: &["description", "operationId", "parameters", "requestBody", "server"],
    lost: &[],
};

const MEDIA: Keywords = Keywords {
    read: &["encoding", "schema"],
    silent: &["description", "example", "examples"],
    lost: &[("itemEncoding", PARTS), ("itemSchema", ITEMS), ("prefixEncoding", PARTS)],
};

const OPERATION_OF_3: Keywords = Keywords {
    read: &[
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
    silent: &["externalDocs"],
    lost: &[],
};

const OPERATION_OF_2: Keywords = Keywords {
    read: &[
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
    silent: &["externalDocs"],
    lost: &[],
};

const PARAMETER_OF_3: Keywords = Keywords { read: PARAMETER_KEYS, silent: &["summary"], lost: &[] };

const PARAMETER_OF_2: Keywords = Keywords {
    read: &[
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
    silent: &["summary"],
    lost: &[],
};

const PATH_ITEM_OF_3: Keywords = Keywords {
    read: &[
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
    silent: &["description", "summary"],
    lost: &[],
};

const PATH_ITEM_OF_2: Keywords = Keywords {
    read: &[
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
    silent: &["description", "summary"],
    lost: &[],
};

const REQUEST_BODY: Keywords =
    Keywords { read: &["content", "description", "required"], silent: &["summary"], lost: &[] };

const RESPONSE: Keywords = Keywords {
    read: &["content", "headers", "links", "schema"],
    silent: &["description", "examples", "summary"],
    lost: &[],
};

const ROOT_OF_3: Keywords = Keywords {
    read: &[
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
    silent: &["$schema", "definitions", "tags"],
    lost: &[],
};

const ROOT_OF_2: Keywords = Keywords {
    read: &[
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
    silent: &["$schema", "components", "definitions", "parameters", "responses", "tags"],
    lost: &[],
};

const SCHEMA: Keywords = Keywords {
    read: SCHEMA_KEYS,
    silent: &[
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
    lost: &[
        ("$recursiveRef", "write a `$ref`"),
        ("$vocabulary", "write what its keywords mean for a request"),
        ("additionalItems", ITEMS),
        ("contains", ITEMS),
        ("contentSchema", "say in the description of the parameter what its text holds"),
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
};

const SCHEME_OF_3: Keywords = Keywords {
    read: &["flows", "in", "name", "openIdConnectUrl", "scheme", "type"],
    silent: &["bearerFormat", "deprecated", "description"],
    lost: &[("oauth2MetadataUrl", "write the endpoints below `auth`")],
};

const SCHEME_OF_2: Keywords = Keywords {
    read: &["authorizationUrl", "flow", "in", "name", "scopes", "tokenUrl", "type"],
    silent: &["description"],
    lost: &[],
};

const SERVER: Keywords =
    Keywords { read: &["url", "variables"], silent: &["description", "name"], lost: &[] };

const VARIABLE: Keywords =
    Keywords { read: &["default", "enum"], silent: &["description"], lost: &[] };

impl DocumentObject {
    /// Returns the keywords of such an object in a generation of documents.
    pub(super) const fn keywords(self, dialect: OpenApiDialect) -> Keywords {
        use OpenApiDialect::{OpenApi3, Swagger2};
        match (self, dialect) {
            (Self::Components, _) => COMPONENTS,
            (Self::Discriminator, _) => DISCRIMINATOR,
            (Self::Encoding, _) => ENCODING,
            (Self::Flow, _) => FLOW,
            (Self::Flows, _) => FLOWS,
            (Self::Header, _) => HEADER,
            (Self::Info, _) => INFO,
            (Self::Link, _) => LINK,
            (Self::Media, _) => MEDIA,
            (Self::Operation, OpenApi3) => OPERATION_OF_3,
            (Self::Operation, Swagger2) => OPERATION_OF_2,
            (Self::Parameter, OpenApi3) => PARAMETER_OF_3,
            (Self::Parameter, Swagger2) => PARAMETER_OF_2,
            (Self::PathItem, OpenApi3) => PATH_ITEM_OF_3,
            (Self::PathItem, Swagger2) => PATH_ITEM_OF_2,
            (Self::RequestBody, _) => REQUEST_BODY,
            (Self::Response, _) => RESPONSE,
            (Self::Root, OpenApi3) => ROOT_OF_3,
            (Self::Root, Swagger2) => ROOT_OF_2,
            (Self::Schema, _) => SCHEMA,
            (Self::Scheme, OpenApi3) => SCHEME_OF_3,
            (Self::Scheme, Swagger2) => SCHEME_OF_2,
            (Self::Server, _) => SERVER,
            (Self::Variable, _) => VARIABLE,
        }
    }

    /// Returns whether the keywords of a schema may stand in such an object.
    pub(super) const fn may_be_schema(self) -> bool {
        matches!(self, Self::Header)
    }
}
