//! `setup --list` and `setup --forget`: what is stored, without values. No settings are read: what
//! is stored may belong to a backend that is in none of them any more.

use std::{collections::BTreeMap, io::Write as _};

use dadl_text::names::{meant_or, nearest_name};
use serde_json::{Map, Value, json};

use super::{
    console::{BAD, Console, NAME},
    exit::ExitReason,
    failure::CliFailure,
};
use crate::config::{
    binding::join_origins,
    credentials::CredentialResolver,
    env_vars::Environment,
    store::{CredentialListing, CredentialStore, RemovedCredentials, StorePlace},
};

/// Lists what is stored, by backend.
pub(super) fn list_stored(
    as_json: bool,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let credentials = CredentialResolver::new(environment);
    let store = credentials.store().map_err(CliFailure::settings)?;
    let all = store.list().map_err(CliFailure::settings)?;
    let is_complete = all.iter().all(|listed| listed.entries.is_ok());
    if as_json || !console.out_is_terminal {
        let backends: Vec<Value> = all.iter().map(|listed| to_json(listed, store)).collect();
        console.print_json(&json!({ "backends": backends }))?;
    } else {
        for listed in &all {
            write_listing(listed, store, console)?;
        }
        if all.is_empty() {
            console.print_note("nothing is stored")?;
        }
    }
    Ok(if is_complete { ExitReason::Ok } else { ExitReason::Failed })
}

fn place_word(place: StorePlace) -> &'static str {
    match place {
        StorePlace::File => "file",
        StorePlace::Keyring => "keyring",
    }
}

fn to_json(listed: &CredentialListing, store: &CredentialStore) -> Value {
    let mut value = json!({
        "backend": listed.backend,
        "place": place_word(listed.place),
        "where": store.name(listed.place),
    });
    let (key, more): (&str, Value) = match &listed.entries {
        Ok(entries) => {
            let entries: Map<String, Value> =
                entries.iter().map(|(name, origins)| (name.clone(), json!(origins))).collect();
            ("credentials", entries.into())
        }
        Err(error) => ("error", error.to_string().into()),
    };
    if let Value::Object(map) = &mut value {
        map.insert(key.to_owned(), more);
    }
    value
}

fn write_listing(
    all: &CredentialListing,
    store: &CredentialStore,
    console: &mut Console,
) -> Result<(), CliFailure> {
    let CredentialListing { backend, place, entries } = all;
    writeln!(console.out, "{NAME}{backend}{NAME:#}  in {}", store.name(*place))?;
    match entries {
        Ok(entries) => {
            for (name, origins) in entries {
                let origins = match origins {
                    Some(origins) => join_origins(origins),
                    None => "not bound yet".to_owned(),
                };
                writeln!(console.out, "  `{name}`  {origins}")?;
            }
        }
        Err(error) => writeln!(console.out, "  {BAD}{error}{BAD:#}")?,
    }
    Ok(())
}

/// Removes what is stored for a backend, and says what that was.
pub(super) fn forget_backend(
    backend: &str,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let credentials = CredentialResolver::new(environment);
    let store = credentials.store().map_err(CliFailure::settings)?;
    let known = store.backends().map_err(CliFailure::settings)?;
    let forgotten = if known.contains_key(backend) {
        store.forget(backend).map_err(CliFailure::settings)?
    } else {
        None
    };
    let Some(RemovedCredentials { place, names }) = forgotten else {
        return Err(nothing_stored(backend, &known));
    };
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let what = if names.is_empty() { "the credentials".to_owned() } else { names.join(", ") };
    writeln!(console.out, "removed {what} of backend \"{backend}\" from {}", store.name(place))?;
    Ok(ExitReason::Ok)
}

fn nothing_stored(backend: &str, known: &BTreeMap<String, StorePlace>) -> CliFailure {
    let failure = CliFailure::usage(format!("nothing is stored for a backend \"{backend}\""));
    failure.hint(meant_or(nearest_name(backend, known.keys().map(String::as_str)), || {
        "`dadl-mcp setup --list` shows what is stored".to_owned()
    }))
}
