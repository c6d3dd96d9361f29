//! What a descriptor says for people: examples, coverage, setup.

/// A worked example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkedExample {
    /// What it shows.
    pub name: String,
    /// One sentence more.
    pub description: String,
    /// Script text; never run by this program.
    pub code: String,
}

/// What the author says is covered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiCoverage {
    /// The number of tools.
    pub endpoints: Option<u64>,
    /// The number of operations that the API has.
    pub total_endpoints: Option<u64>,
    /// The areas that are covered.
    pub focus: Option<String>,
    /// The areas that are not.
    pub missing: Option<String>,
    /// When somebody last compared.
    pub last_reviewed: Option<String>,
}

/// How an operator obtains a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialSetup {
    /// Steps for a person.
    pub credential_steps: Vec<String>,
    /// The environment variable that the author suggests.
    pub env_var: Option<String>,
    /// An entry for backends.yaml.
    pub backends_yaml: Option<String>,
    /// Rights that the credential needs.
    pub required_scopes: Vec<String>,
    /// Rights that widen what works.
    pub optional_scopes: Vec<String>,
    /// The API's own page about it.
    pub docs_url: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
}
