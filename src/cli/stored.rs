//! `setup --list` and `setup --forget`: what is stored, without values. No settings are read: what
//! is stored may belong to a backend that is in none of them any more.

use std::{collections::BTreeMap, io::Write as _};

use dadl_text::names::{meant_or, nearest};
use serde_json::{Map, Value, json};

use super::{
    console::{BAD, Console, NAME},
    exit::Exit,
    failure::Failure,
};
use crate::config::{
    binding::listed,
    credentials::Credentials,
    env_vars::Environment,
    store::{Forgotten, Listed, Place, Store},
};

/// Lists what is stored, by backend.
pub(super) fn list(
    as_json: bool,
    environment: Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let credentials = Credentials::new(environment);
    let store = credentials.store().map_err(Failure::settings)?;
    let all = store.list().map_err(Failure::settings)?;
    let is_complete = all.iter().all(|listed| listed.entries.is_ok());
    if as_json || !console.out_is_terminal {
        let backends: Vec<Value> = all.iter().map(|listed| to_json(listed, store)).collect();
        console.json(&json!({ "backends": backends }))?;
    } else {
        for listed in &all {
            write(listed, store, console)?;
        }
        if all.is_empty() {
            console.note("nothing is stored")?;
        }
    }
    Ok(if is_complete { Exit::Ok } else { Exit::Failed })
}

fn word(place: Place) -> &'static str {
    match place {
        Place::File => "file",
        Place::Keyring => "keyring",
    }
}

fn to_json(listed: &Listed, store: &Store) -> Value {
    let mut value = json!({
        "backend": listed.backend,
        "place": word(listed.place),
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

fn write(all: &Listed, store: &Store, console: &mut Console) -> Result<(), Failure> {
    let Listed { backend, place, entries } = all;
    writeln!(console.out, "{NAME}{backend}{NAME:#}  in {}", store.name(*place))?;
    match entries {
        Ok(entries) => {
            for (name, origins) in entries {
                let origins = match origins {
                    Some(origins) => listed(origins),
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
pub(super) fn forget(
    backend: &str,
    environment: Environment,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let credentials = Credentials::new(environment);
    let store = credentials.store().map_err(Failure::settings)?;
    let known = store.backends().map_err(Failure::settings)?;
    let forgotten = if known.contains_key(backend) {
        store.forget(backend).map_err(Failure::settings)?
    } else {
        None
    };
    let Some(Forgotten { place, names }) = forgotten else {
        return Err(nothing(backend, &known));
    };
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let what = if names.is_empty() { "the credentials".to_owned() } else { names.join(", ") };
    writeln!(console.out, "removed {what} of backend \"{backend}\" from {}", store.name(place))?;
    Ok(Exit::Ok)
}

fn nothing(backend: &str, known: &BTreeMap<String, Place>) -> Failure {
    let failure = Failure::usage(format!("nothing is stored for a backend \"{backend}\""));
    failure.hint(meant_or(nearest(backend, known.keys().map(String::as_str)), || {
        "`dadl-mcp setup --list` shows what is stored".to_owned()
    }))
}
