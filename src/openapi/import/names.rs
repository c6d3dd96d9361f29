//! Names of tools: that of the operation, or of its method and path.

use std::collections::{HashMap, HashSet};

use crate::{
    catalog::{RESERVED, TOOL_NAME_MAX},
    openapi::{
        model::{Operation, anonymous},
        report::{Remarks, at},
        schema::excerpt,
        text::{hashed, snake, words},
    },
};

/// A tool may not have these: the program has tools of these names.
const TAKEN: [&str; 1] = ["health"];

/// Returns a name for each operation. It depends on that operation alone, unless two would have the
/// same: then each of them gets a suffix, so that the order decides nothing.
pub(super) fn names(operations: &[Operation], remarks: &mut Remarks) -> Vec<String> {
    let plain: Vec<String> = operations.iter().map(plain).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in &plain {
        *counts.entry(name).or_default() += 1;
    }
    let mut taken: HashSet<String> = HashSet::new();
    let mut names = Vec::with_capacity(plain.len());
    for (name, operation) in plain.iter().zip(operations) {
        let is_shared = counts.get(name.as_str()).copied().unwrap_or_default() > 1;
        let is_reserved = RESERVED.contains(&name.as_str()) || TAKEN.contains(&name.as_str());
        let is_long = name.len() > TOOL_NAME_MAX;
        let identity = format!("{} {}", operation.method, anonymous(&operation.path));
        let mut own = name.clone();
        if is_shared || is_reserved || is_long {
            own = hashed(name, &identity, TOOL_NAME_MAX);
        }
        if is_shared && let Some(id) = &operation.id {
            let message = format!("several operations are called `{}`; now `{own}`", excerpt(id));
            let help = "give each operation an id of its own";
            remarks.mended(&at(&operation.place, "operationId"), message, help);
        }
        let mut salt = 0_u32;
        while !taken.insert(own.clone()) {
            salt += 1;
            own = hashed(name, &format!("{identity} {salt}"), TOOL_NAME_MAX);
        }
        names.push(own);
    }
    names
}

fn plain(operation: &Operation) -> String {
    let own = operation.id.as_deref().map(snake).unwrap_or_default();
    let name = if own.is_empty() { from_path(operation) } else { own };
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name
    } else {
        format!("{}_{name}", operation.method.as_str().to_ascii_lowercase())
    }
}

/// `GET /users/{id}/repos` is `get_users_repos_by_id`.
fn from_path(operation: &Operation) -> String {
    let mut parts = vec![operation.method.as_str().to_ascii_lowercase()];
    let mut by = Vec::new();
    for segment in operation.path.split(['/', '?', '=', '&']) {
        let mut rest = segment;
        while let Some((before, after)) = rest.split_once('{') {
            parts.extend(words(before));
            let (name, tail) = after.split_once('}').unwrap_or((after, ""));
            by.extend(words(name));
            rest = tail;
        }
        parts.extend(words(rest));
    }
    if !by.is_empty() {
        parts.push("by".to_owned());
        parts.append(&mut by);
    }
    parts.join("_")
}
