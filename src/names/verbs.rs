//! What the verbs of an operation say about it.

/// Words that begin the name of an operation that only reads, for certain.
pub(crate) const READS: &[&str] = &[
    "aggregate",
    "autocomplete",
    "calculate",
    "check",
    "compare",
    "compute",
    "convert",
    "count",
    "describe",
    "diff",
    "download",
    "estimate",
    "evaluate",
    "explain",
    "export",
    "fetch",
    "filter",
    "find",
    "get",
    "inspect",
    "list",
    "lookup",
    "match",
    "ping",
    "preview",
    "probe",
    "query",
    "read",
    "render",
    "resolve",
    "retrieve",
    "search",
    "show",
    "simulate",
    "suggest",
    "summarize",
    "test",
    "translate",
    "validate",
    "verify",
    "view",
];

/// Words of operations that mostly read. They speak for an author who says so, and for nobody else:
/// to take a level from them would let something change without a question.
const MAY_READ: &[&str] = &[
    "analyze",
    "decode",
    "detect",
    "encode",
    "extract",
    "format",
    "graphql",
    "load",
    "monitor",
    "parse",
    "predict",
    "recommend",
    "report",
    "return",
    "returns",
    "scan",
    "select",
    "status",
    "traceroute",
];

/// Words that begin the name of an operation that changes something, whatever its method.
const CHANGES: &[&str] = &[
    "accept",
    "activate",
    "add",
    "approve",
    "archive",
    "assign",
    "attach",
    "cancel",
    "clear",
    "close",
    "connect",
    "create",
    "deactivate",
    "delete",
    "destroy",
    "detach",
    "disable",
    "disconnect",
    "enable",
    "execute",
    "insert",
    "install",
    "invite",
    "kill",
    "lock",
    "logout",
    "merge",
    "migrate",
    "move",
    "patch",
    "pause",
    "post",
    "publish",
    "purge",
    "put",
    "reboot",
    "register",
    "reject",
    "release",
    "remove",
    "rename",
    "replace",
    "reset",
    "restart",
    "restore",
    "resume",
    "revert",
    "revoke",
    "rollback",
    "run",
    "save",
    "scale",
    "send",
    "set",
    "shutdown",
    "start",
    "stop",
    "submit",
    "suspend",
    "sync",
    "terminate",
    "toggle",
    "transfer",
    "trigger",
    "unlock",
    "update",
    "upgrade",
    "upload",
    "upsert",
    "wipe",
    "write",
];

/// Returns whether an operation whose name begins with this word only reads.
pub fn reads(word: &str) -> bool {
    READS.contains(&word)
}

/// Returns whether a word says that an operation may well only read; a known word may go on, as in
/// `searchroute` and `lists`.
pub fn may_read(word: &str) -> bool {
    READS.iter().chain(MAY_READ).any(|known| {
        word.strip_prefix(known)
            .is_some_and(|rest| known.len() > 3 || rest.is_empty() || rest == "s")
    })
}

/// Returns whether an operation whose name begins with this word changes something.
pub fn changes(word: &str) -> bool {
    CHANGES.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_certain_is_also_possible() {
        for word in READS {
            assert!(reads(word) && may_read(word) && !changes(word), "{word}");
        }
        for word in MAY_READ {
            assert!(!reads(word) && may_read(word) && !changes(word), "{word}");
        }
        for word in CHANGES {
            assert!(changes(word) && !reads(word), "{word}");
        }
    }

    #[test]
    fn a_known_word_may_go_on() {
        assert!(may_read("lists") && may_read("searchroute") && may_read("gets"));
        assert!(!may_read("getaway") && !reads("lists"));
    }
}
