//! The generations of OpenAPI documents.

/// The generation of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenApiDialect {
    /// Swagger 2.0.
    Swagger2,
    /// OpenAPI 3.
    OpenApi3,
}
