//! Names of tools: that of the operation, or of its method and path.

use std::collections::{HashMap, HashSet};

use dadl_text::{
    names::{
        RESERVED, SUFFIX, TOOL_NAME_MAX,
        path::{PathPiece, anonymous, path_pieces},
        snake, suffixed,
    },
    text::text_head,
};

use crate::{
    model::ApiOperation,
    report::{ImportRemarks, excerpt, place_at},
};

/// A tool may not have these: the program has tools of these names.
const TAKEN: [&str; 1] = ["health"];

/// Returns a name for each operation.
///
/// It is made of the id. Operations that share one get names made of their methods and paths, and
/// where these are taken or a name is too long, a suffix that depends on method and path. So the
/// order decides nothing, and another operation changes no name unless the two would be the same.
pub(super) fn tool_names(operations: &[ApiOperation], remarks: &mut ImportRemarks) -> Vec<String> {
    let by_id: Vec<Option<String>> = operations.iter().map(by_id).collect();
    let by_path: Vec<String> = operations.iter().map(by_path).collect();
    let ids = counted(by_id.iter().flatten());
    let is_own = |id: &String| ids.get(id.as_str()) == Some(&1);
    // What is left is named by the path.
    let rest: Vec<&String> = by_id
        .iter()
        .zip(&by_path)
        .filter(|(id, _)| !id.as_ref().is_some_and(is_own))
        .map(|(_, path)| path)
        .collect();
    let paths = counted(rest.into_iter());
    let mut taken: HashSet<String> = HashSet::new();
    let mut names = Vec::with_capacity(operations.len());
    for ((id, path), operation) in by_id.iter().zip(&by_path).zip(operations) {
        let (name, is_unique) = match id {
            Some(id) if is_own(id) => (id, true),
            _ => (path, paths.get(path.as_str()) == Some(&1) && !ids.contains_key(path.as_str())),
        };
        let is_reserved = RESERVED.contains(&name.as_str()) || TAKEN.contains(&name.as_str());
        let is_long = name.len() > TOOL_NAME_MAX;
        let identity = format!("{} {}", operation.method, anonymous(&operation.path));
        let mut own = name.clone();
        if !is_unique || is_reserved || is_long {
            own = hashed(name, &identity);
        }
        let mut salt = 0_u32;
        while !taken.insert(own.clone()) {
            salt += 1;
            own = hashed(name, &format!("{identity} {salt}"));
        }
        if id.as_ref().is_some_and(|id| !is_own(id)) {
            let id = excerpt(operation.id.as_deref().unwrap_or_default());
            let message = format!("several operations are called `{id}`; this one is `{own}`");
            let help = "give each operation an id of its own";
            remarks.mended(&place_at(&operation.place, "operationId"), message, help);
        }
        names.push(own);
    }
    names
}

fn counted<'name>(names: impl Iterator<Item = &'name String>) -> HashMap<&'name str, usize> {
    let mut counts = HashMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

/// Returns the id in the form of a tool name.
fn by_id(operation: &ApiOperation) -> Option<String> {
    let name = snake(operation.id.as_deref()?);
    if name.is_empty() {
        None
    } else if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        Some(name)
    } else {
        Some(format!("{}_{name}", operation.method.as_str().to_ascii_lowercase()))
    }
}

/// `GET /users/{id}/repos` is `get_users_repos_by_id`.
fn by_path(operation: &ApiOperation) -> String {
    let mut parts = vec![operation.method.as_str().to_ascii_lowercase()];
    let mut by = Vec::new();
    for piece in path_pieces(&operation.path) {
        let (text, parts) = match piece {
            PathPiece::Literal(text) => (text, &mut parts),
            PathPiece::Placeholder(name) | PathPiece::Open(name) => (name, &mut by),
        };
        parts.extend(Some(snake(text)).filter(|words| !words.is_empty()));
    }
    if !by.is_empty() {
        parts.push("by".to_owned());
        parts.append(&mut by);
    }
    parts.join("_")
}

/// Returns a name with a hash of what it stands for; a long one is cut where a word ends.
fn hashed(name: &str, identity: &str) -> String {
    let stem = text_head(name, TOOL_NAME_MAX - SUFFIX);
    let end = if stem.len() < name.len() { stem.rfind('_') } else { None };
    let end = end.filter(|end| *end > stem.len() / 2).unwrap_or(stem.len());
    suffixed(stem.get(..end).unwrap_or(stem), identity.as_bytes(), TOOL_NAME_MAX)
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::{BodyRules, RequestMethod};

    use super::*;
    use crate::model::{BodyEncoding, OperationAnswer};

    fn operation(method: RequestMethod, path: &str, id: &str) -> ApiOperation {
        ApiOperation {
            method,
            path: path.to_owned(),
            place: format!("/paths/{path}"),
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            summary: String::new(),
            description: String::new(),
            tags: Vec::new(),
            deprecated: false,
            credential: crate::model::CredentialNeed::Yes,
            hint: None,
            inputs: Vec::new(),
            hopeless: None,
            unsaid: Vec::new(),
            body: BodyEncoding::None,
            body_rules: BodyRules::default(),
            accept: None,
            media: Vec::new(),
            answer: OperationAnswer::default(),
        }
    }

    fn named(operations: &[(RequestMethod, &str, &str)]) -> Vec<String> {
        let operations: Vec<ApiOperation> =
            operations.iter().map(|(method, path, id)| operation(*method, path, id)).collect();
        tool_names(&operations, &mut ImportRemarks::default())
    }

    #[test]
    fn ids_name_tools_and_paths_name_the_rest() {
        let names = named(&[
            (RequestMethod::Get, "/vms", "GetVms"),
            (RequestMethod::Get, "/srs", "GetSrs"),
            (RequestMethod::Get, "/sms", "GetSrs"),
            (RequestMethod::Get, "/users/{id}/repos", ""),
            (RequestMethod::Get, "/", ""),
            (RequestMethod::Post, "/3d", "3d"),
            (RequestMethod::Get, "/日本", "日本"),
        ]);
        let expected =
            ["get_vms", "get_srs", "get_sms", "get_users_repos_by_id", "get", "post_3d", "get_"];
        for (name, expected) in names.iter().zip(expected) {
            assert!(name.starts_with(expected), "{names:?}");
        }
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }

    #[test]
    fn names_fit_and_depend_on_their_own_operation() {
        let long = "readCoreV1NamespacedReplicationControllerScaleStatus";
        let one = [(RequestMethod::Get, "/a", long), (RequestMethod::Get, "/b", "task_wait")];
        let mut two = one.to_vec();
        two.insert(0, (RequestMethod::Post, "/c", "other"));
        let (one, two) = (named(&one), named(&two));
        assert_eq!(one, two[1..]);
        assert!(one.iter().all(|name| name.len() <= TOOL_NAME_MAX), "{one:?}");
        assert!(one[1].starts_with("task_wait_"), "{one:?}");
    }

    #[test]
    fn long_names_end_at_a_word() {
        let name = "read_core_v1_namespaced_replication_controller_scale_status_of_all";
        let long = hashed(name, "x");
        let stem = "read_core_v1_namespaced_replication_";
        assert!(long.starts_with(stem) && long.len() == stem.len() + SUFFIX - 1, "{long}");
        assert_ne!(long, hashed(name, "y"));
    }
}
