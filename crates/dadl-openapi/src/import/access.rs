//! What a call may do, guessed from the method and the words of an operation.

use dadl_descriptor::model::{AccessLevel, RequestMethod};
use dadl_text::names::{path::fixed_parts, split_words, verbs};

use crate::{
    hint::{AccessHint, EXPOSURE},
    model::ApiOperation,
};

/// Words of an operation that loses data or interrupts service.
const DANGEROUS: &[&str] = &[
    "delete",
    "destroy",
    "drain",
    "drop",
    "emergency",
    "erase",
    "evacuate",
    "evict",
    "force",
    "format",
    "hard",
    "kill",
    "poweroff",
    "purge",
    "reboot",
    "remove",
    "reset",
    "restart",
    "restore",
    "revert",
    "revoke",
    "rollback",
    "shutdown",
    "terminate",
    "truncate",
    "uninstall",
    "wipe",
];

/// Words of what decides who may do what.
const ADMIN: &[&str] = &[
    "acl",
    "acls",
    "admin",
    "apikey",
    "apikeys",
    "auth",
    "authorization",
    "authorizations",
    "collaborator",
    "collaborators",
    "credential",
    "credentials",
    "grant",
    "grants",
    "iam",
    "invitation",
    "invitations",
    "oauth",
    "password",
    "permission",
    "permissions",
    "policies",
    "policy",
    "privilege",
    "privileges",
    "role",
    "rolebinding",
    "rolebindings",
    "roles",
    "secret",
    "secrets",
    "sso",
    "token",
    "tokens",
    "user",
    "users",
];

/// What is taken off an object and can be put on again.
const MARKS: &[&str] = &[
    "assignee",
    "assignees",
    "bookmark",
    "favorite",
    "favorites",
    "favourite",
    "follow",
    "following",
    "label",
    "labels",
    "like",
    "likes",
    "mute",
    "pin",
    "reaction",
    "reactions",
    "star",
    "starred",
    "subscription",
    "tag",
    "tags",
    "vote",
    "votes",
    "watch",
];

/// Returns the level and what speaks for it: the method and the words, and no less than the API
/// itself asks for.
pub(super) fn guess(operation: &ApiOperation, name: &str) -> (AccessLevel, String) {
    let (guessed, reason) = from_words(operation, name);
    match &operation.hint {
        Some(AccessHint { word, key, .. }) if word.is_exceeded_by(Some(&guessed)) => {
            let least = word.least().unwrap_or(guessed);
            // A word of two is said by the key itself.
            let said =
                if key.eq_ignore_ascii_case(EXPOSURE) { format!(" {word}") } else { String::new() };
            (least, format!("{reason}, and {key}{said}"))
        }
        _ => (guessed, reason),
    }
}

fn from_words(operation: &ApiOperation, name: &str) -> (AccessLevel, String) {
    let method = operation.method;
    let name_words = split_words(name);
    let fixed: Vec<&str> = fixed_parts(&operation.path).collect();
    let last = fixed.last().map(|last| split_words(last)).unwrap_or_default();
    let first = name_words.first().map(String::as_str).unwrap_or_default();
    let has = |list: &[&str], words: &[String]| -> Option<String> {
        words.iter().find(|word| list.contains(&word.as_str())).cloned()
    };
    // The id names the operation, the end of the path an action.
    let verb = last.first().map(String::as_str).unwrap_or_default();
    match method {
        RequestMethod::Get | RequestMethod::Head => {
            // `/x/reset` that is asked for with GET; `/resets` is a list.
            if verbs::is_changing(first) && !verbs::reads(first) {
                let level = match DANGEROUS.contains(&first) {
                    true => AccessLevel::Dangerous,
                    false => AccessLevel::Write,
                };
                return (level, format!("{method}, but `{first}`"));
            }
            (AccessLevel::Read, method.to_string())
        }
        RequestMethod::Delete => {
            if let Some(mark) = has(MARKS, &last) {
                return (AccessLevel::Write, format!("{method} of `{mark}`"));
            }
            (AccessLevel::Dangerous, method.to_string())
        }
        RequestMethod::Post | RequestMethod::Put | RequestMethod::Patch => {
            if method == RequestMethod::Post {
                let reads = |word: &str| verbs::reads(word) && !verbs::is_changing(word);
                if reads(first) || (reads(verb) && !verbs::is_changing(first)) {
                    let word = if reads(first) { first } else { verb };
                    return (AccessLevel::Read, format!("{method}, but `{word}`"));
                }
            }
            let action: Vec<String> = last.iter().chain(&name_words).cloned().collect();
            if let Some(word) = has(DANGEROUS, &action) {
                return (AccessLevel::Dangerous, format!("{method} and `{word}`"));
            }
            let mut all: Vec<String> = fixed.iter().flat_map(|part| split_words(part)).collect();
            // `/user/repos` is about repositories.
            all.drain(..all.len().saturating_sub(3));
            if let Some(word) = has(ADMIN, &all).filter(|word| !matches!(word.as_str(), "user")) {
                return (AccessLevel::Admin, format!("{method} and `{word}`"));
            }
            (AccessLevel::Write, method.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::BodyRules;

    use super::*;

    use crate::{
        hint::AccessWord,
        model::{BodyEncoding, OperationAnswer},
    };

    fn guessed(method: RequestMethod, path: &str, name: &str) -> &'static str {
        hinted(None, method, path, name).0
    }

    fn hinted(
        hint: Option<(AccessWord, &str)>,
        method: RequestMethod,
        path: &str,
        name: &str,
    ) -> (&'static str, String) {
        let operation = ApiOperation {
            method,
            path: path.to_owned(),
            place: String::new(),
            id: None,
            summary: String::new(),
            description: String::new(),
            tags: Vec::new(),
            deprecated: false,
            credential: crate::model::CredentialNeed::Yes,
            hint: hint.map(|(word, key)| AccessHint { word, key: key.to_owned(), is_odd: false }),
            inputs: Vec::new(),
            hopeless: None,
            unsaid: Vec::new(),
            body: BodyEncoding::None,
            body_rules: BodyRules::default(),
            accept: None,
            media: Vec::new(),
            answer: OperationAnswer::default(),
        };
        let (level, reason) = guess(&operation, name);
        let level = match level {
            AccessLevel::Read => "read",
            AccessLevel::Write => "write",
            AccessLevel::Admin => "admin",
            AccessLevel::Dangerous => "dangerous",
            AccessLevel::Custom(_) => "custom",
        };
        (level, reason)
    }

    #[test]
    fn no_level_is_below_what_the_api_asks_for() {
        let level = |word, method, path: &str, name: &str| {
            hinted(Some((word, EXPOSURE)), method, path, name)
        };
        let (allow, confirm, deny) = (AccessWord::Allow, AccessWord::Confirm, AccessWord::Deny);
        for (word, method, path, expected) in [
            (allow, RequestMethod::Get, "/vms", "read"),
            // The words count as before: an API that allows it may ask nobody.
            (allow, RequestMethod::Delete, "/vms/{id}", "dangerous"),
            (confirm, RequestMethod::Get, "/vms", "write"),
            (confirm, RequestMethod::Post, "/vms", "write"),
            (confirm, RequestMethod::Put, "/users/{id}", "admin"),
            (confirm, RequestMethod::Delete, "/vms/{id}", "dangerous"),
            (deny, RequestMethod::Get, "/vms/{id}/stats", "dangerous"),
            (deny, RequestMethod::Put, "/users/{id}", "dangerous"),
        ] {
            let (found, reason) = level(word, method, path, "it");
            assert_eq!(found, expected, "{word} {method} {path}: {reason}");
        }
        let (_, reason) = level(deny, RequestMethod::Get, "/vms/{id}/stats", "it");
        assert_eq!(reason, "GET, and x-mcp-exposure deny");
        let hint = Some((AccessWord::Confirm, "x-openai-isConsequential"));
        let (found, reason) = hinted(hint, RequestMethod::Get, "/vms", "it");
        assert_eq!((found, reason.as_str()), ("write", "GET, and x-openai-isConsequential"));
    }

    #[test]
    fn levels_follow_methods_and_words() {
        for (method, path, name, expected) in [
            (RequestMethod::Get, "/vms", "list_vms", "read"),
            (RequestMethod::Get, "/sessions/logout", "logout", "write"),
            (RequestMethod::Get, "/vms/{id}/purge", "purge_vm", "dangerous"),
            (RequestMethod::Post, "/vms/search", "vms", "read"),
            (RequestMethod::Post, "/search", "create_search", "write"),
            (RequestMethod::Post, "/vms", "create_vm", "write"),
            (RequestMethod::Post, "/vms/{id}/actions/hard_reboot", "hard_reboot_vm", "dangerous"),
            (RequestMethod::Put, "/users/{id}", "update_user", "admin"),
            (RequestMethod::Delete, "/vms/{id}", "delete_vm", "dangerous"),
            (RequestMethod::Delete, "/vms/{id}/tags/{tag}", "remove_tag", "write"),
            (RequestMethod::Patch, "/vms/{id}", "update_vm", "write"),
        ] {
            assert_eq!(guessed(method, path, name), expected, "{method} {path} {name}");
        }
    }
}
