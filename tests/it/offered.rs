//! What is offered for a name that nothing has, over the descriptors of our own.

use std::collections::BTreeMap;

use dadl_text::names::{
    DangerLevel, KnownOperation, nearest_operation, split_words, verbs::VerbKind,
};

#[derive(serde::Deserialize)]
struct Document {
    backend: Backend,
}

#[derive(serde::Deserialize)]
struct Backend {
    tools: BTreeMap<String, Tool>,
}

#[derive(serde::Deserialize)]
struct Tool {
    access: Option<String>,
}

/// The names of a descriptor, those that a function accepts.
fn names_of(text: &str) -> Vec<(String, DangerLevel)> {
    let document: Document = serde_saphyr::from_str(text).unwrap();
    let danger = |tool: &Tool| match tool.access.as_deref() {
        Some("read") => DangerLevel::Reads,
        Some("write") => DangerLevel::Writes,
        Some("admin") => DangerLevel::Administers,
        _ => DangerLevel::Endangers,
    };
    document.backend.tools.iter().map(|(name, tool)| (name.clone(), danger(tool))).collect()
}

/// Any verb with any thing of the file: what is offered is at the level that the verb lets expect.
#[test]
fn over_real_descriptors_a_verb_leads_to_its_kind() {
    const VERBS: &[&str] = &[
        "add", "attach", "check", "clone", "connect", "copy", "create", "delete", "describe",
        "destroy", "detach", "disable", "edit", "enable", "export", "find", "get", "import",
        "list", "lock", "migrate", "modify", "move", "pause", "reboot", "remove", "rename",
        "reset", "restart", "restore", "resume", "revert", "run", "search", "set", "show",
        "shutdown", "start", "stop", "suspend", "unlock", "update", "upgrade",
    ];
    for text in [
        include_str!("../../dadl/xen-orchestra.dadl"),
        include_str!("../../dadl/danube-cloud.dadl"),
        include_str!("../../dadl/xo-proxy.dadl"),
    ] {
        let names = names_of(text);
        let known = || {
            names.iter().map(|(name, danger)| KnownOperation {
                name,
                declared: name,
                backend: "",
                danger: *danger,
            })
        };
        let mut things: Vec<String> =
            names.iter().filter_map(|(it, _)| Some(it.split_once('_')?.1.to_owned())).collect();
        things.sort();
        things.dedup();
        // Every third: all of them take long.
        let things: Vec<String> = things.into_iter().step_by(3).collect();
        for verb in VERBS {
            for thing in &things {
                let wanted = format!("{verb}_{thing}");
                let Some(offered) = nearest_operation(&wanted, known()) else { continue };
                let danger = known().find(|it| it.name == offered).unwrap().danger;
                let context = format!("{wanted}: {offered} ({danger:?})");
                let offered_words = split_words(offered);
                if offered == wanted || offered_words[0] == *verb {
                    continue;
                }
                let kind = VerbKind::of(verb).unwrap();
                let of_kind = offered_words.iter().take(2).any(|it| VerbKind::of(it) == Some(kind));
                assert!(of_kind, "{context}");
                match kind {
                    VerbKind::Reads => assert_eq!(danger, DangerLevel::Reads, "{context}"),
                    kind if kind.removes() => {}
                    VerbKind::Changes(_) => assert!(danger < DangerLevel::Endangers, "{context}"),
                }
            }
        }
    }
}
