//! The one gate that every call passes, whichever door it came through.
//!
//! A name and raw arguments go in. What comes out is either a [`Refusal`], before anything was
//! sent, or an [`Admitted`] call, which is the only thing the executor takes. A dangerous call is
//! [`Pending`] until a [`Consent`] for exactly this call is given.
//!
//! **Invariant:** `Admitted` has no public constructor, and a `Consent` holds the digest of the
//! call that a person saw: it fits no other tool, backend or argument.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    access::{Decision, Denial},
    call::{self, ArgumentError, Arguments},
    catalog::{Catalog, Entry},
    config::Confirm,
    descriptor::model::Access,
};

/// Decides about calls.
#[derive(Debug, Clone)]
pub struct Gate {
    catalog: Arc<Catalog>,
    /// By position of the backend.
    confirm: Arc<[Confirm]>,
}

/// Why a call was refused; nothing was sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The caller's fault: the arguments do not fit.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// The operator's decision: the tool is not allowed.
    #[error("tool \"{tool}\" is not allowed: {denial}; {remedy}")]
    Denied {
        /// The tool's MCP name.
        tool: String,
        /// The reason.
        denial: Denial,
        /// The setting that would allow it.
        remedy: String,
    },
    /// Nobody could be asked, or somebody said no.
    #[error("tool \"{tool}\" was not called: {reason}")]
    NotConfirmed {
        /// The tool's MCP name.
        tool: String,
        /// What happened, and what the operator can do.
        reason: String,
    },
    /// The caller's fault: there is no such tool.
    #[error("unknown tool \"{name}\"{}", did_you_mean(nearest.as_deref()))]
    UnknownTool {
        /// The name that was asked for.
        name: String,
        /// A listed tool with a similar name.
        nearest: Option<String>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

/// A call that fits its schema and is allowed; a dangerous one still needs a person's consent.
#[derive(Debug)]
pub struct Pending<'gate> {
    entry: &'gate Entry,
    arguments: Arguments,
    needs_consent: bool,
}

/// A call that may be executed.
#[derive(Debug)]
pub struct Admitted<'gate> {
    entry: &'gate Entry,
    arguments: Arguments,
}

/// The digest of a call: what a consent is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallDigest([u8; 32]);

/// A person's yes to one call.
#[derive(Debug)]
pub struct Consent(CallDigest);

impl Consent {
    /// Records that a person agreed to the call with this digest.
    ///
    /// Only a front end that has asked a person may make one.
    pub fn given_for(digest: CallDigest) -> Self {
        Self(digest)
    }
}

impl CallDigest {
    /// Returns the digest as bytes, for sealing into a state that travels.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Restores a digest from bytes that were sealed.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Gate {
    /// Guards `catalog`; `confirm` is given by position of the backend.
    pub fn new(catalog: Arc<Catalog>, confirm: impl Into<Arc<[Confirm]>>) -> Self {
        Self { catalog, confirm: confirm.into() }
    }

    /// Returns the catalog behind the gate.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Checks that `name` may be called with `arguments`.
    pub fn check(&self, name: &str, arguments: Map<String, Value>) -> Result<Pending<'_>, Refusal> {
        let Some(entry) = self.catalog.find(name) else {
            let nearest = self.catalog.nearest(name).map(str::to_owned);
            return Err(Refusal::UnknownTool { name: name.to_owned(), nearest });
        };
        if let Decision::Deny(denial) = &entry.decision {
            let remedy = denial.remedy(&entry.backend_name, entry.declared_name());
            let tool = entry.name.clone();
            return Err(Refusal::Denied { tool, denial: denial.clone(), remedy });
        }
        let arguments = call::check(entry, arguments)?;
        // A backend without a setting of its own is asked for: fail closed.
        let confirm = self.confirm.get(entry.backend.0).copied().unwrap_or_default();
        let dangerous = entry.access() == Some(&Access::Dangerous);
        let needs_consent = dangerous && confirm == Confirm::Ask;
        Ok(Pending { entry, arguments, needs_consent })
    }
}

impl<'gate> Pending<'gate> {
    /// Returns the tool.
    pub fn entry(&self) -> &'gate Entry {
        self.entry
    }

    /// Returns the checked arguments.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// Returns whether a person has to agree first.
    pub fn needs_consent(&self) -> bool {
        self.needs_consent
    }

    /// Returns what identifies this call: backend, tool and arguments.
    pub fn digest(&self) -> CallDigest {
        let mut hasher = Sha256::new();
        for part in [&*self.entry.backend_name, &*self.entry.name] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(Value::Object(self.arguments.as_object()).to_string().as_bytes());
        CallDigest(hasher.finalize().into())
    }

    /// Returns the question for the person: tool, backend and every argument.
    pub fn question(&self) -> String {
        use fmt::Write as _;
        let operation = self.entry.operation();
        let mut text = format!(
            "Allow the dangerous call {} on backend {}?\n{}",
            self.entry.name,
            self.entry.backend_name,
            operation.description()
        );
        let arguments = self.arguments.as_object();
        if arguments.is_empty() {
            text.push_str("\n(no arguments)");
        }
        for (name, value) in arguments {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {name} = {value}");
        }
        let _ = write!(text, "\n({})", operation.summary());
        text
    }

    /// Admits a call that needs no consent.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotConfirmed`] when a person has to agree first.
    pub fn admit(self) -> Result<Admitted<'gate>, Refusal> {
        if self.needs_consent {
            return Err(self.refused("a person has to confirm dangerous calls"));
        }
        Ok(Admitted { entry: self.entry, arguments: self.arguments })
    }

    /// Admits a call that a person agreed to.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotConfirmed`] when the consent was given for another call.
    pub fn admit_with(self, consent: &Consent) -> Result<Admitted<'gate>, Refusal> {
        if consent.0 != self.digest() {
            return Err(self.refused("the confirmation was given for another call"));
        }
        Ok(Admitted { entry: self.entry, arguments: self.arguments })
    }

    /// Makes the refusal of this call.
    pub fn refused(&self, reason: impl Into<String>) -> Refusal {
        Refusal::NotConfirmed { tool: self.entry.name.clone(), reason: reason.into() }
    }
}

impl<'gate> Admitted<'gate> {
    /// Returns the tool.
    pub fn entry(&self) -> &'gate Entry {
        self.entry
    }

    /// Returns the checked arguments.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }
}
