//! OpenAPI documents: what an API says about itself (OpenAPI 3.0, 3.1, Swagger 2.0).
//!
//! [`read_document()`] makes an [`ApiModel`] of a document: what a descriptor can say about it, with a remark
//! for each thing that a descriptor cannot say, and for each that is wrong in the document and was
//! mended. [`import_api()`] writes an [`ApiModel`] down as a descriptor, [`drift()`] compares one with a
//! descriptor, and [`enrich()`] fills in what a descriptor does not say.
//!
//! The reader works on plain JSON values and not on a typed model of OpenAPI: typed readers refuse
//! a document for its first mistake, and nearly every document that an API serves has some. Whatever
//! the document holds, reading ends, in bounded time and space, and never fails for a part of it.
//!
//! ```
//! use dadl_openapi::{import::ImportOptions, import_api, read_document};
//!
//! let document = br#"{
//!     "openapi": "3.1.0",
//!     "info": { "title": "Shop" },
//!     "servers": [{ "url": "https://shop.example/v1" }],
//!     "paths": { "/orders": { "get": { "operationId": "listOrders", "responses": {} } } }
//! }"#;
//! let (api, mut remarks) = read_document(document)?;
//! let imported = import_api(&api, &ImportOptions::default(), &mut remarks)?;
//! assert!(imported.text.contains("list_orders:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is a part of dadl-mcp and promises no stability: any version may change anything.

mod dialect;
mod document;
mod documents;
pub mod drift;
mod enrich;
pub mod exceptions;
pub mod fit;
mod hint;
pub mod import;
mod ledger;
mod matching;
mod model;
pub mod pattern;
mod read;
pub mod report;
mod results;
mod schema;
mod text;

pub use document::{DocumentError, MAX_BYTES};
pub use documents::SiblingFiles;
pub use drift::drift;
pub use enrich::{enrich, enrich_beside};
pub use hint::{AccessHint, AccessWord};
pub use import::import_api;
pub use model::{
    ApiAuth, ApiBase, ApiModel, ApiOperation, BodyEncoding, CredentialNeed, OperationAnswer,
    OperationInput, SecurityScheme,
};
pub use read::{read_beside, read_document};
pub use schema::{JsonTypes, ShapeMember, ValueShape};

#[cfg(test)]
mod tests;
