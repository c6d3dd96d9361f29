//! An API as a document describes it, in the words of a descriptor.
//!
//! What a descriptor cannot say is not here: it was reported while the document was read. `import`
//! writes an [`ApiModel`] down, `drift` compares one with a descriptor, and `enrich` fills in what a
//! descriptor does not say, so that all have the same understanding of a document.

use dadl_descriptor::model::{
    BodyRules, KindList, ParamForm, ParamKind, ParamLocation, RequestMethod, WholePart,
};
use serde_json::{Map, Value};

use super::{
    hint::AccessHint,
    schema::{JsonTypes, ValueShape},
};

/// What a document describes.
#[derive(Debug, Clone, Default)]
pub struct ApiModel {
    /// `info.title`.
    pub title: String,
    /// `info.version`, when it has the form of a descriptor's.
    pub version: Option<String>,
    /// `info.description`, its first paragraph.
    pub description: String,
    /// Where further documentation is.
    pub docs: Option<String>,
    /// Where the API is.
    pub base: ApiBase,
    /// How requests authenticate.
    pub auth: ApiAuth,
    /// How many operations the document has, with those that no descriptor can have.
    pub found: usize,
    /// The operations, sorted by path and method.
    pub operations: Vec<ApiOperation>,
}

/// Where an API is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiBase {
    /// An absolute URL that can be a `base_url`; the document may not know its host.
    pub url: Option<String>,
    /// The path that comes before all others, without a slash at its end.
    pub path: String,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct ApiOperation {
    /// The method.
    pub method: RequestMethod,
    /// The path below the base URL, with the names of the path parameters in braces.
    pub path: String,
    /// Where it is in the document.
    pub place: String,
    /// `operationId`.
    pub id: Option<String>,
    /// What it does, in one line.
    pub summary: String,
    /// More about it, in one line.
    pub description: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it should no longer be used.
    pub deprecated: bool,
    /// What the credential is to it.
    pub credential: CredentialNeed,
    /// Whether models may call it, as the API has it.
    pub hint: Option<AccessHint>,
    /// What it takes, in the order path, query, header, body.
    pub inputs: Vec<OperationInput>,
    /// Why no call of it could succeed, if so: it is no tool.
    pub hopeless: Option<String>,
    /// Parameters that no descriptor can have: place and name.
    pub unsaid: Vec<(ParamLocation, String)>,
    /// How the body is written.
    pub body: BodyEncoding,
    /// What else there is to know about the body.
    pub body_rules: BodyRules,
    /// What `Accept` has to say, where the answer does not say it.
    pub accept: Option<String>,
    /// Every media type that the body may have, in lower case.
    pub media: Vec<String>,
    /// What it answers.
    pub answer: OperationAnswer,
}

/// One thing that an operation takes.
#[derive(Debug, Clone)]
pub struct OperationInput {
    /// Its name on the wire; that of a path parameter may have been changed.
    pub name: String,
    /// The name on the wire, where another input has that name.
    pub wire: Option<String>,
    /// Where it goes.
    pub location: ParamLocation,
    /// Its type in a descriptor.
    pub kind: ParamKind,
    /// The types that fit as well, because the document allows several; empty when all do.
    pub kinds: Vec<ParamKind>,
    /// How it is written, and what else it may be.
    pub form: ParamForm,
    /// Its types, where a descriptor has no word for them.
    pub union: Option<KindList>,
    /// What hosts list about its values: keywords of JSON Schema.
    pub hints: Map<String, Value>,
    /// Whether a call must have it.
    pub required: bool,
    /// What is sent when a caller says nothing: the one value that it may have, or the default of
    /// one that a request must have.
    pub default: Option<Value>,
    /// Its values, when they are listed.
    pub values: Vec<Value>,
    /// What it means, in one line.
    pub description: String,
    /// The part of the description that lists the values.
    pub listing: String,
    /// Whether the type is a guess.
    pub is_guess: bool,
    /// What its schema says; kept only for filling in a descriptor.
    pub(super) shape: Option<Box<ValueShape>>,
    /// Where it is in the document.
    pub place: String,
}

/// How a body is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BodyEncoding {
    /// As a form.
    Form,
    /// As a JSON object; the text is a media type of its own, such as
    /// `application/merge-patch+json`.
    Json(Option<String>),
    /// As `multipart/form-data`.
    Multipart,
    /// There is none.
    #[default]
    None,
    /// The bytes or the text of one parameter, under this media type.
    Raw(String),
}

/// What an operation answers when all is well.
#[derive(Debug, Clone, Default)]
pub struct OperationAnswer {
    /// Whether the answer is a file, and of which media type, if it is always the same.
    pub file: Option<Option<String>>,
    /// Whether the answer is a stream of events.
    pub is_stream: bool,
    /// The media types to ask for, without parameters, the first ones first; empty when it is just
    /// JSON, and when nothing says.
    pub media: Vec<String>,
    /// Whether the answer says in a `Link` header where the next page is.
    pub has_link: bool,
    /// Members of a JSON answer that may tell how a list goes on: paths and types.
    pub members: Vec<(String, JsonTypes)>,
    /// Where the schema of a JSON answer is, of one that says that all is well.
    pub(super) schema: Option<String>,
}

/// How requests authenticate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiAuth {
    /// The schemes that were chosen: one, or several that go together.
    pub schemes: Vec<SecurityScheme>,
    /// Why it is a choice: other schemes of the document, by their names.
    pub others: Vec<String>,
    /// Whether the operator shows a client certificate, which no descriptor has.
    pub has_certificate: bool,
}

/// What the credential is to an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CredentialNeed {
    /// It asks for it, or for another one.
    #[default]
    Yes,
    /// It can do without.
    Optional,
}

/// A way to authenticate that a descriptor can have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SecurityScheme {
    /// A user name and a password.
    Basic,
    /// A token in the `Authorization` header.
    Bearer,
    /// A token in a cookie of this name.
    Cookie(String),
    /// A token in a header of this name.
    Header(String),
    /// None.
    #[default]
    None,
    /// OAuth 2.0 with client credentials.
    ClientCredentials {
        /// Where tokens come from.
        token_url: String,
        /// What is asked for.
        scopes: Vec<String>,
    },
    /// OAuth 2.0 with a person's consent.
    AuthorizationCode {
        /// Where a person consents.
        authorize_url: String,
        /// Where tokens come from.
        token_url: String,
        /// What is asked for.
        scopes: Vec<String>,
    },
    /// A token in a query parameter of this name.
    Query(String),
}

impl OperationInput {
    /// Makes an input about which nothing else is known.
    pub(super) fn new(name: &str, location: ParamLocation, kind: ParamKind, place: &str) -> Self {
        Self {
            name: name.to_owned(),
            wire: None,
            location,
            kind,
            kinds: Vec::new(),
            form: ParamForm::default(),
            union: None,
            hints: Map::new(),
            required: false,
            default: None,
            values: Vec::new(),
            description: String::new(),
            listing: String::new(),
            is_guess: false,
            shape: None,
            place: place.to_owned(),
        }
    }

    /// Returns the name on the wire.
    pub fn wire(&self) -> &str {
        self.wire.as_deref().unwrap_or(&self.name)
    }

    /// Returns whether DADL has such a parameter; another one is said in `_dadl_mcp.requests`.
    pub(super) fn is_in_tools(&self) -> bool {
        self.wire.is_none()
            && self.location != ParamLocation::Cookie
            && self.form.whole != Some(WholePart::Query)
    }
}

impl ApiOperation {
    /// Returns the method and the path, as people write them.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
