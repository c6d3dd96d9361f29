//! What operations ask of the credential: `security`, against what a descriptor can send.

use serde_json::Value;

use crate::model::{CredentialNeed, SecurityScheme};

/// A scheme of the document.
pub(super) struct KnownScheme {
    pub(super) name: String,
    pub(super) place: String,
    /// None when a descriptor cannot have it.
    pub(super) scheme: Option<SecurityScheme>,
    /// Whether it is a client certificate: the operator has it.
    pub(super) is_certificate: bool,
}

/// Schemes that are needed together, with their scopes.
pub(super) type SecurityRequirement = Vec<(String, Vec<String>)>;

/// Returns the alternatives of a `security` list.
pub(super) fn read_requirements(value: Option<&Value>) -> Vec<SecurityRequirement> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(Value::as_object)
        .map(|schemes| {
            let scopes = |value: &Value| -> Vec<String> {
                let items = value.as_array().into_iter().flatten();
                items.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            schemes.iter().map(|(name, value)| (name.clone(), scopes(value))).collect()
        })
        .collect()
}

/// Returns what the credential made of the schemes `chosen` is to an operation with these
/// alternatives; `None` when it fits none of them.
pub(super) fn credential_need(
    alternatives: &[SecurityRequirement],
    chosen: &[&KnownScheme],
) -> Option<CredentialNeed> {
    if alternatives.is_empty() || alternatives.iter().any(Vec::is_empty) {
        return Some(CredentialNeed::Optional);
    }
    alternatives.iter().any(|one| is_met(one, chosen)).then_some(CredentialNeed::Yes)
}

/// Returns whether these schemes are all that a requirement asks for.
fn is_met(requirement: &SecurityRequirement, chosen: &[&KnownScheme]) -> bool {
    !requirement.is_empty()
        && requirement.iter().all(|(name, _)| chosen.iter().any(|known| known.name == *name))
}

/// What was chosen of the schemes of a document.
pub(super) struct ChosenSchemes<'known> {
    /// Schemes that go together; never none.
    pub(super) schemes: Vec<&'known KnownScheme>,
    /// Whether no operation asks for it.
    pub(super) is_unasked: bool,
}

/// Returns the schemes that a descriptor can have and that most operations accept: one, or several
/// that go together.
pub(super) fn choose_schemes<'known>(
    known: &'known [KnownScheme],
    root: &[SecurityRequirement],
    needed: &[&[SecurityRequirement]],
) -> Option<ChosenSchemes<'known>> {
    let usable = |name: &str| known.iter().find(|it| it.name == name && it.scheme.is_some());
    let mut candidates: Vec<Vec<&KnownScheme>> =
        known.iter().filter(|it| it.scheme.is_some()).map(|it| vec![it]).collect();
    for requirement in root.iter().chain(needed.iter().copied().flatten()) {
        let schemes: Option<Vec<&KnownScheme>> =
            requirement.iter().map(|(name, _)| usable(name)).collect();
        let Some(schemes) = schemes.filter(|schemes| schemes.len() > 1) else { continue };
        if go_together(&schemes) && !candidates.iter().any(|other| are_same(other, &schemes)) {
            candidates.push(schemes);
        }
    }
    let count = |schemes: &[&KnownScheme]| {
        let accept = needed.iter().filter(|all| all.iter().any(|one| is_met(one, schemes)));
        accept.count()
    };
    // Of two that as many accept, the one that the whole document asks for counts, then the
    // smaller one, then a part of what somebody asks for.
    let is_usual = |schemes: &[&KnownScheme]| {
        root.iter().any(|one| one.len() == schemes.len() && is_met(one, schemes))
    };
    let is_part = |schemes: &[&KnownScheme]| {
        let mut all = root.iter().chain(needed.iter().copied().flatten());
        all.any(|one| one.iter().any(|(name, _)| schemes.iter().any(|known| known.name == *name)))
    };
    let rated: Vec<_> = candidates
        .into_iter()
        .map(|schemes| {
            let few = usize::MAX - schemes.len();
            ((count(&schemes), is_usual(&schemes), few, is_part(&schemes)), schemes)
        })
        .collect();
    let best = rated.iter().map(|(rate, _)| *rate).max()?;
    let (rate, schemes) = rated.into_iter().find(|(rate, _)| *rate == best)?;
    let is_asked = !needed.iter().all(|all| all.is_empty() || all.iter().any(Vec::is_empty));
    Some(ChosenSchemes { schemes, is_unasked: rate.0 == 0 && !is_asked })
}

/// Returns whether a request can carry all of them, and nobody has to log in for one.
fn go_together(schemes: &[&KnownScheme]) -> bool {
    let places: Option<Vec<(u8, String)>> = schemes
        .iter()
        .map(|known| match known.scheme.as_ref()? {
            SecurityScheme::Basic | SecurityScheme::Bearer => Some((0, "authorization".to_owned())),
            SecurityScheme::Header(name) => Some((0, name.to_ascii_lowercase())),
            SecurityScheme::Cookie(name) => Some((1, name.clone())),
            SecurityScheme::Query(name) => Some((2, name.clone())),
            SecurityScheme::None
            | SecurityScheme::ClientCredentials { .. }
            | SecurityScheme::AuthorizationCode { .. } => None,
        })
        .collect();
    places.is_some_and(|places| {
        places
            .iter()
            .enumerate()
            .all(|(at, place)| !places.iter().skip(at + 1).any(|it| it == place))
    })
}

fn are_same(one: &[&KnownScheme], other: &[&KnownScheme]) -> bool {
    one.len() == other.len() && one.iter().all(|it| other.iter().any(|that| that.name == it.name))
}
