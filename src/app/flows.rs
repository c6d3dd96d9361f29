//! Which credentials a descriptor gets, and where they go.
//!
//! A descriptor names the credentials that it wants, so that one by somebody else could name those
//! of other backends. One credential goes to one place, unless `env` of the settings says
//! otherwise; and what a descriptor inside the binary or another backend uses goes to no address
//! that a descriptor alone gives.

use std::{collections::BTreeSet, fmt};

use dadl_descriptor::model::{CredentialName, auth::receivers::CredentialReceiver};
use serde_json::{Value, json};
use url::Url;

use super::{
    BuildProblem, LoadedBackend,
    credential_problem::{CredentialOwner, CredentialProblem},
};
use crate::config::{
    AddressKey, BackendSettings, Origin, bundled,
    credentials::{CredentialResolver, OutsidePlace},
};

/// A credential that a descriptor gets, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFlow {
    /// The name that the descriptor uses.
    pub credential: CredentialName,
    /// Where it goes.
    pub goals: Vec<CredentialDestination>,
    /// Whether it goes to a token endpoint that it names itself, too.
    pub names_endpoint: bool,
}

/// A place to which a credential goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialDestination {
    /// The place.
    pub origin: Origin,
    /// The key that leads there.
    pub key: AddressKey,
    /// Whether only the access token goes there that the credential gives.
    pub is_derived: bool,
    /// Whether the operator says so, and not the descriptor alone.
    pub is_given: bool,
}

impl CredentialFlow {
    /// Describes it for a program.
    pub fn to_json(&self) -> Value {
        let origins = |is_derived| -> Vec<&str> {
            let goals = self.goals.iter().filter(|goal| goal.is_derived == is_derived);
            goals.map(|goal| goal.origin.as_str()).collect()
        };
        json!({
            "name": self.credential.0,
            "sentTo": origins(false),
            "accessTokenSentTo": origins(true),
        })
    }

    fn origins(&self) -> BTreeSet<Origin> {
        self.goals.iter().map(|goal| goal.origin.clone()).collect()
    }
}

impl fmt::Display for CredentialFlow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = |is_derived| -> Vec<String> {
            let goals = self.goals.iter().filter(|goal| goal.is_derived == is_derived);
            goals.map(|goal| goal.origin.to_string()).collect()
        };
        let mut direct = texts(false);
        if self.names_endpoint {
            direct.push("the token endpoint that it names".to_owned());
        }
        write!(formatter, "`{}` goes to {}", self.credential, direct.join(" and "))?;
        match texts(true).as_slice() {
            [] => Ok(()),
            places => {
                write!(formatter, ", the access token that it gives to {}", places.join(" and "))
            }
        }
    }
}

impl LoadedBackend {
    /// Returns the credentials that its descriptor gets, and where they go.
    pub fn flows(&self) -> Vec<CredentialFlow> {
        // What a process gets, the operator writes beside its command.
        let Some(api) = self.web() else { return Vec::new() };
        let (base, auth) = (api.base.as_url(), &self.descriptor.auth);
        let names = auth.credentials().into_iter();
        names.map(|name| self.flow(base, name, &auth.receivers(name))).collect()
    }

    fn flow(
        &self,
        base: &Url,
        name: &CredentialName,
        receivers: &[CredentialReceiver<'_>],
    ) -> CredentialFlow {
        let gives_base = self.settings.gives_base(base, self.descriptor.base_url.as_deref());
        let goals = receivers.iter().filter_map(|receiver| {
            let (key, url) = match receiver {
                CredentialReceiver::Api | CredentialReceiver::ApiByToken => {
                    (AddressKey::BaseUrl, base)
                }
                CredentialReceiver::Authorize(url) => (AddressKey::AuthorizeUrl, *url),
                CredentialReceiver::Token(url) => (AddressKey::TokenUrl, *url),
                CredentialReceiver::TokenOfItsOwn => return None,
            };
            Some(CredentialDestination {
                origin: Origin::of(url)?,
                key,
                is_derived: *receiver == CredentialReceiver::ApiByToken,
                is_given: gives_base && url.origin() == base.origin(),
            })
        });
        let to_api = receivers.iter().filter_map(|receiver| match receiver {
            CredentialReceiver::Api => Some(false),
            CredentialReceiver::ApiByToken => Some(true),
            CredentialReceiver::Authorize(_)
            | CredentialReceiver::Token(_)
            | CredentialReceiver::TokenOfItsOwn => None,
        });
        // The operator says that it goes there as well.
        let along = to_api.flat_map(|is_derived| {
            self.along(base).map(move |origin| CredentialDestination {
                origin,
                key: AddressKey::ToolPath,
                is_derived,
                is_given: true,
            })
        });
        CredentialFlow {
            credential: name.clone(),
            goals: goals.chain(along).collect(),
            names_endpoint: receivers.contains(&CredentialReceiver::TokenOfItsOwn),
        }
    }

    /// Returns sentences about what is allowed and worth knowing: a descriptor that is not inside
    /// the binary gets the credential of one that is.
    pub fn notes(&self) -> Vec<String> {
        if bundled::is_bundled(&self.source) {
            return Vec::new();
        }
        let owned = self
            .flows()
            .into_iter()
            .filter_map(|flow| Some((credential_owner(&flow.credential)?, flow)));
        owned
            .map(|(owner, flow)| {
                let descriptor = self.source.name();
                format!("the descriptor {descriptor} gets the credential of {owner}: {flow}")
            })
            .collect()
    }
}

/// Returns the descriptor inside the binary to which a credential of this name belongs: one that
/// leads to the same variable, however it is written.
fn credential_owner(name: &CredentialName) -> Option<CredentialOwner> {
    // Without the `env` of a backend.
    let plain = BackendSettings::new("", "");
    let wanted = CredentialResolver::variable_names(&plain, name);
    let found = bundled::bundled_credentials().find(|(_, known)| {
        let known = CredentialResolver::variable_names(&plain, known);
        // The name of a file that holds it is as good.
        wanted.iter().any(|wanted| {
            known.iter().any(|known| wanted.strip_suffix("_FILE").unwrap_or(wanted) == known)
        })
    });
    found.map(|(descriptor, _)| CredentialOwner::Bundled(descriptor))
}

/// A backend that gets a credential which the environment has.
struct CredentialConsumer<'a> {
    backend: &'a LoadedBackend,
    flow: CredentialFlow,
    place: OutsidePlace,
    /// Whether `env` of the backend says so.
    is_told: bool,
    origins: BTreeSet<Origin>,
}

impl CredentialConsumer<'_> {
    fn name(&self) -> &str {
        &self.backend.settings.name
    }

    /// Returns whether `env` names what the credential is called without it.
    fn shares(&self) -> bool {
        let plain = BackendSettings::new("", "");
        let variable = &self.place.variable;
        let variable = variable.strip_suffix("_FILE").unwrap_or(variable);
        CredentialResolver::variable_names(&plain, &self.flow.credential)
            .iter()
            .any(|it| it == variable)
    }

    fn problem(&self, other: &Self) -> BuildProblem {
        let list = |origins: &BTreeSet<Origin>| -> String {
            let origins: Vec<&str> = origins.iter().map(Origin::as_str).collect();
            origins.join(" and ")
        };
        let credential = self.flow.credential.clone();
        BuildProblem::Credential {
            backend: self.name().to_owned(),
            problem: Box::new(CredentialProblem::Shared {
                wanted: credential.0.clone(),
                credential,
                variable: self.place.variable.clone(),
                here: list(&self.origins),
                other: other.name().to_owned(),
                there: list(&other.origins),
            }),
        }
    }
}

/// Returns what keeps credentials of `backends` where they belong; those `beside` are not used now,
/// and keep theirs.
pub(super) fn flow_problems(
    backends: &[LoadedBackend],
    beside: &[LoadedBackend],
    credentials: &CredentialResolver,
) -> Vec<BuildProblem> {
    let all: Vec<CredentialConsumer<'_>> = backends
        .iter()
        .chain(beside)
        .flat_map(|backend| consumers_of(backend, credentials))
        .collect();
    // What an MCP server gets, the operator has written: it takes nothing from others, and others take
    // nothing from it.
    let is_used = |taker: &CredentialConsumer<'_>| {
        let mut descriptors = backends.iter().filter(|it| it.api().is_some());
        descriptors.any(|it| std::ptr::eq(it, taker.backend))
    };
    let shared: Vec<&CredentialConsumer<'_>> = all.iter().filter(|taker| is_used(taker)).collect();
    let mut problems = Vec::new();
    let mut known: Vec<(&str, CredentialName)> = Vec::new();
    for taker in shared {
        if let Some(other) = shared_with(taker, &all) {
            problems.push(taker.problem(other));
            known.push((taker.name(), taker.flow.credential.clone()));
        }
    }
    for backend in backends.iter().filter(|it| it.api().is_some()) {
        for flow in backend.flows() {
            if !known.contains(&(&backend.settings.name, flow.credential.clone())) {
                problems.extend(occupied_by(backend, &flow, &all));
            }
        }
    }
    problems
}

fn consumers_of<'a>(
    backend: &'a LoadedBackend,
    credentials: &CredentialResolver,
) -> impl Iterator<Item = CredentialConsumer<'a>> {
    let of_process = backend.server().filter(|server| server.process().is_some());
    let of_process = of_process.into_iter().flat_map(|server| server.credentials());
    let of_process = of_process.map(|name| {
        let (credential, goals) = (name.clone(), Vec::new());
        (CredentialFlow { credential, goals, names_endpoint: false }, backend.origins())
    });
    let flows = backend.flows().into_iter().map(|flow| {
        let origins = flow.origins();
        (flow, origins)
    });
    flows.chain(of_process).filter_map(move |(flow, origins)| {
        let place = credentials.place(&backend.settings, &flow.credential)?;
        // A server's variable is its own name for it, and no word for others.
        let is_told = backend.api().is_some()
            && backend.settings.credentials.contains_key(&flow.credential.0);
        Some(CredentialConsumer { backend, flow, place, is_told, origins })
    })
}

/// Returns a backend to which the credential of `taker` belongs, when nobody says that `taker` may
/// have it as well.
fn shared_with<'a>(
    taker: &CredentialConsumer<'_>,
    all: &'a [CredentialConsumer<'a>],
) -> Option<&'a CredentialConsumer<'a>> {
    let same = || all.iter().filter(|other| other.place.is(&taker.place));
    let others = || same().filter(|other| other.name() != taker.name());
    let told: BTreeSet<&Origin> =
        same().filter(|other| other.is_told).flat_map(|other| &other.origins).collect();
    let is_stray = |taker: &CredentialConsumer<'_>| {
        !taker.is_told && !taker.origins.iter().all(|origin| told.contains(origin))
    };
    if !is_stray(taker) {
        return None;
    }
    let other = others().find(|other| other.origins != taker.origins)?;
    // Who is trusted with it may be the one to which it belongs: a descriptor inside the binary, one
    // that another backend has it for, and one whose credential was named by `env` of another as
    // what it is called anyway, which says that it is shared.
    let is_trusted = |taker: &CredentialConsumer<'_>| {
        bundled::is_bundled(&taker.backend.source)
            || same().filter(|other| other.is_told).any(|other| {
                let is_shared = other.shares() && other.place == taker.place;
                other.backend.has_text_of(taker.backend)
                    || (is_shared && credential_owner(&taker.flow.credential).is_none())
            })
    };
    if !is_trusted(taker) {
        return Some(other);
    }
    // One of several such has to be told; what others take is their problem.
    let is_rival = |other: &&'a CredentialConsumer<'a>| {
        is_stray(other) && is_trusted(other) && other.origins != taker.origins
    };
    others().find(is_rival)
}

/// Returns what is wrong with an address that only the descriptor gives, and that would get what
/// belongs to others.
fn occupied_by(
    backend: &LoadedBackend,
    flow: &CredentialFlow,
    all: &[CredentialConsumer<'_>],
) -> Option<BuildProblem> {
    if bundled::is_bundled(&backend.source) {
        return None;
    }
    let bundled = credential_owner(&flow.credential);
    let mine = all.iter().find(|taker| {
        std::ptr::eq(taker.backend, backend) && taker.flow.credential == flow.credential
    });
    let mine = mine.filter(|mine| !mine.is_told);
    flow.goals.iter().filter(|goal| !goal.is_given).find_map(|goal| {
        let other = || {
            let mine = mine?;
            let others = all.iter().filter(|other| {
                other.name() != mine.name()
                    && other.place.is(&mine.place)
                    && !other.origins.contains(&goal.origin)
            });
            let other = others.map(|other| other.name().to_owned()).next()?;
            Some(CredentialOwner::Backend(other))
        };
        let owner = bundled.clone().or_else(other)?;
        Some(BuildProblem::Credential {
            backend: backend.settings.name.clone(),
            problem: Box::new(CredentialProblem::Taken {
                credential: flow.credential.clone(),
                key: goal.key,
                descriptor: backend.settings.dadl.clone(),
                origin: goal.origin.clone(),
                owner,
            }),
        })
    })
}
