//! Why a backend cannot be used.

use std::fmt;

use dadl_descriptor::{
    diagnostic::Diagnostic,
    model::CredentialName,
    source::{SourceError, SourceText},
};

use super::{
    credential_problem::CredentialProblem, operator::OperatorError, overrides::OverrideError,
};
use crate::{
    call::BaseUrlError,
    config::{BaseUrlProblem, PrivateAddress, bundled::LocateError, credentials::CredentialError},
    http::client_error::IdentityError,
};

/// Why nothing can be served: all problems of all backends.
#[derive(Debug)]
pub struct BuildError {
    /// The problems, in the order of the settings.
    pub problems: Vec<BuildProblem>,
}

/// One reason for which a backend cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildProblem {
    /// The author, most likely: the descriptor leads into the operator's own network.
    Address {
        /// The name of the backend.
        backend: String,
        /// Where it leads, and what to do if that is meant.
        problem: PrivateAddress,
    },
    /// The author, most likely: the descriptor wants the credential of another.
    Credential {
        /// The name of the backend.
        backend: String,
        /// Which one would go where, and what to write if that is meant.
        problem: Box<CredentialProblem>,
    },
    /// The author: the descriptor has errors.
    Descriptor {
        /// The name of the backend.
        backend: String,
        /// The text of the descriptor.
        source: Box<SourceText>,
        /// All findings about it.
        diagnostics: Vec<Diagnostic>,
    },
    /// The operator: a setting is missing or leads nowhere.
    Setting {
        /// The name of the backend.
        backend: String,
        /// What is wrong, and what to do.
        problem: Box<SettingProblem>,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            match problem {
                BuildProblem::Address { backend, problem } => {
                    write!(formatter, "{separator}backend \"{backend}\": {problem}")?;
                }
                BuildProblem::Credential { backend, problem } => {
                    write!(formatter, "{separator}backend \"{backend}\": {problem}")?;
                }
                BuildProblem::Descriptor { backend, source, diagnostics } => {
                    let name = source.name();
                    let count = diagnostics.len();
                    write!(
                        formatter,
                        "{separator}backend \"{backend}\": descriptor {name} has {count} findings"
                    )?;
                }
                BuildProblem::Setting { backend, problem } => {
                    write!(formatter, "{separator}backend \"{backend}\": {problem}")?;
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}

/// A setting that is missing or leads nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingProblem {
    /// The base URL is missing, or is not what the descriptor asks for.
    #[error(transparent)]
    BaseUrl(#[from] BaseUrlProblem),
    /// The client certificate cannot be shown.
    #[error(transparent)]
    ClientCert(#[from] IdentityError),
    /// The descriptor is not there.
    #[error(transparent)]
    Descriptor(#[from] LocateError),
    /// The file is no descriptor.
    #[error("{origin}: {error}")]
    NoDescriptor {
        /// Where it is.
        origin: String,
        /// Why it cannot be one.
        error: SourceError,
    },
    /// Settings that do not fit the descriptor.
    #[error("{}", join_problems(.0))]
    Operator(Vec<OperatorError>),
    /// What is said of single tools does not fit the descriptor.
    #[error("{}", join_problems(.0))]
    Overrides(Vec<OverrideError>),
    /// There is nowhere to keep what a login gives.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// What the base URL came to is none.
    #[error("`url`: {0}")]
    Url(#[from] BaseUrlError),
}

/// Joins problems to one sentence.
pub(super) fn join_problems(problems: &[impl fmt::Display]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// A refresh token that each use replaces, and nowhere to keep the next one. The operator's fault.
#[derive(Debug, thiserror::Error)]
#[error(
    "each use of the refresh token `{name}` gives a new one, which has to be stored, but {error}; \
     set XDG_STATE_HOME to a directory that can be written and that lasts"
)]
pub struct RotationError {
    pub(super) name: CredentialName,
    pub(super) error: Box<CredentialError>,
}
