//! What the verbs of an operation say about it.

/// Words that begin the name of an operation that only reads, for certain.
pub const READS: &[&str] = &[
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

/// More words that begin the names of operations and say that they change something. The names that
/// people and models make up have them; from the level of an operation they take nothing.
const ALSO_CHANGE: &[&str] = &[
    "abort",
    "allow",
    "ban",
    "bind",
    "block",
    "boot",
    "build",
    "change",
    "clone",
    "commit",
    "configure",
    "copy",
    "deny",
    "deploy",
    "drop",
    "duplicate",
    "edit",
    "eject",
    "empty",
    "erase",
    "evict",
    "flush",
    "forget",
    "format",
    "grant",
    "halt",
    "import",
    "join",
    "leave",
    "link",
    "login",
    "make",
    "mark",
    "modify",
    "mount",
    "mute",
    "open",
    "overwrite",
    "pin",
    "plug",
    "power",
    "promote",
    "provision",
    "prune",
    "rebuild",
    "reclaim",
    "redeploy",
    "reload",
    "renew",
    "reopen",
    "resize",
    "rotate",
    "star",
    "subscribe",
    "switch",
    "trim",
    "truncate",
    "unarchive",
    "unassign",
    "unban",
    "unbind",
    "unblock",
    "undelete",
    "undo",
    "unfollow",
    "uninstall",
    "unlink",
    "unload",
    "unmount",
    "unmute",
    "unpause",
    "unpin",
    "unplug",
    "unregister",
    "unset",
    "unstar",
    "unsubscribe",
    "untag",
];

/// Words of changes that mean the same.
const ALIKE: &[&[&str]] = &[
    REMOVALS,
    &["add", "create", "insert", "make"],
    &["change", "configure", "edit", "modify", "patch", "rename", "set", "update"],
    &["boot", "start"],
    &["halt", "shutdown", "stop"],
    &["reboot", "restart"],
    &["clone", "copy", "duplicate"],
];

/// Words of operations after which something is gone.
const REMOVALS: &[&str] = &["delete", "destroy", "drop", "erase", "remove"];

/// Words that say that nothing is spared, in names of operations and arguments.
const HARM: &[&str] = &[
    "bypass",
    "cascade",
    "delete",
    "destroy",
    "discard",
    "drop",
    "emergency",
    "erase",
    "force",
    "forced",
    "hard",
    "ignore",
    "kill",
    "overwrite",
    "purge",
    "recursive",
    "remove",
    "skip",
    "unsafe",
    "wipe",
];

/// What the verb of an operation says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerbKind {
    /// It reads, or may well do so and no more.
    Reads,
    /// It changes something; all verbs that mean the same have the first of them.
    Changes(&'static str),
}

impl VerbKind {
    /// Returns what a verb says; `None` for a word that is none.
    pub fn of(word: &str) -> Option<Self> {
        let change = CHANGES.iter().chain(ALSO_CHANGE).copied().find(|known| *known == word);
        if let Some(change) = change {
            let alike = ALIKE.iter().find(|alike| alike.contains(&change));
            return Some(Self::Changes(alike.and_then(|it| it.first()).copied().unwrap_or(change)));
        }
        may_read(word).then_some(Self::Reads)
    }

    /// Returns whether something is gone afterwards.
    pub fn removes(self) -> bool {
        matches!(self, Self::Changes(verb) if REMOVALS.contains(&verb))
    }
}

/// Returns whether a word says that nothing is spared.
pub fn harms(word: &str) -> bool {
    HARM.contains(&word)
}

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
pub fn is_changing(word: &str) -> bool {
    CHANGES.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_certain_is_also_possible() {
        for word in READS {
            assert!(reads(word) && may_read(word) && !is_changing(word), "{word}");
        }
        for word in MAY_READ {
            assert!(!reads(word) && may_read(word) && !is_changing(word), "{word}");
        }
        for word in CHANGES {
            assert!(is_changing(word) && !reads(word), "{word}");
        }
    }

    #[test]
    fn verbs_that_mean_the_same_are_of_one_kind() {
        assert_eq!(VerbKind::of("destroy"), VerbKind::of("delete"));
        assert_eq!(VerbKind::of("edit"), VerbKind::of("update"));
        assert_ne!(VerbKind::of("update"), VerbKind::of("delete"));
        assert_ne!(VerbKind::of("rename"), VerbKind::of("resume"));
        assert_eq!(VerbKind::of("describe"), Some(VerbKind::Reads));
        assert_eq!(VerbKind::of("format"), Some(VerbKind::Changes("format")), "a disk, say");
        assert_eq!(VerbKind::of("network"), None);
        for alike in ALIKE.iter().copied().flatten() {
            let kind = VerbKind::of(alike).unwrap();
            assert_ne!(kind, VerbKind::Reads, "{alike}");
            assert_eq!(kind.removes(), REMOVALS.contains(alike), "{alike}");
        }
        for also in ALSO_CHANGE {
            assert!(!is_changing(also) && !reads(also), "{also} has its place already");
        }
    }

    #[test]
    fn a_known_word_may_go_on() {
        assert!(may_read("lists") && may_read("searchroute") && may_read("gets"));
        assert!(!may_read("getaway") && !reads("lists"));
    }
}
