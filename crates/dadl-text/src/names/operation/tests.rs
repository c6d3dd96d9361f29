//! Names that models and people get wrong, over tables and over real descriptors.

use super::*;

/// Names with how far they go: `r`, `w`, `a` or `d` in front.
fn known<'a>(names: &'a [&'a str]) -> Vec<KnownOperation<'a>> {
    let known = |name: &&'a str| {
        let (level, name) = name.split_once(' ').unwrap();
        let danger = match level {
            "r" => DangerLevel::Reads,
            "w" => DangerLevel::Writes,
            "a" => DangerLevel::Administers,
            _ => DangerLevel::Endangers,
        };
        KnownOperation { name, declared: name, backend: "", danger }
    };
    names.iter().map(known).collect()
}

const NAMES: &[&str] = &[
    "r list_vms",
    "r get_vm",
    "r list_vm_snapshots",
    "r get_task",
    "r list_networks",
    "r search_logs",
    "w update_vm",
    "w start_vm",
    "w resume_vm",
    "w pause_vm",
    "w clean_shutdown_vm",
    "w clean_reboot_vm",
    "d hard_reboot_vm",
    "d rolling_update_pool",
    "d emergency_shutdown_pool",
    "w hard_reboot_host",
    "w create_network",
    "d delete_network",
    "d delete_vm",
    "d delete_vm_snapshot",
    "w delete_task",
    "d delete_tasks",
    "w attach_disk",
    "d detach_host",
    "a create_user",
    "a update_user",
    "d delete_user",
    "d revert_vm_to_snapshot",
    "w scan_sr",
    "d delete_contact",
    "w update_contact",
];

fn near(wanted: &str) -> Option<&'static str> {
    nearest_operation(wanted, known(NAMES))
}

#[test]
fn nobody_is_led_to_a_worse_operation() {
    for wanted in [
        "update_network",
        "rename_network",
        "clone_network",
        "enable_network",
        "resume_network",
        "update_pool",
        "shutdown_pool",
        "attach_host",
        "detach_vm",
        "remove_host_tag",
        // Not what the verb says, and what undoes it.
        "undo_delete_vm",
        "undelete_vm",
        "bulk_delete_vm",
        "simulate_delete_vm",
        "force_update_vm",
        "unpause_vm",
        // What is deleted is another thing, or more of it.
        "delete_vm_disk",
        "delete_template",
        "delete_contract",
        "delete_vm_tag",
        "delete",
        "vm",
        "snapshot_vm",
        // Words that are near, and none of them mistyped.
        "deleted_vms",
        "smart_vm",
        "stat_vm",
        "deletes_vm",
        "start",
        "scan_vm_sr",
        "get_sr",
        "xo.undo_delete_vm",
        "undo.delete_vm",
        "mcp_xo_undo_delete_vm",
        "",
        "___",
    ] {
        let found = near(wanted);
        let danger = |name| known(NAMES).into_iter().find(|it| it.name == name).unwrap().danger;
        assert!(found.is_none_or(|it| danger(it) == DangerLevel::Reads), "{wanted}: {found:?}");
    }
    assert_eq!(near("rename_vm"), Some("update_vm"), "and not resume_vm");
    assert_eq!(near("reboot_vm"), Some("clean_reboot_vm"), "and not hard_reboot_vm");
    assert_eq!(near("restart_host"), None, "hard_reboot_host is at the same level");
    assert_eq!(near("remove_task"), Some("delete_task"), "and not all of them");
    assert_eq!(near("remove_tasks"), Some("delete_tasks"));
    assert_eq!(near("remove_user"), Some("delete_user"), "and not create_user");
    assert_eq!(near(&"delete_vm".repeat(100_000)), None);
}

#[test]
fn what_was_meant_is_found() {
    for (wanted, expected) in [
        ("list_vm", "list_vms"),
        ("show_vm", "get_vm"),
        ("fetch_vms", "list_vms"),
        ("getVm", "get_vm"),
        ("GetVMs", "get_vm"),
        ("get-vm", "get_vm"),
        ("listvms", "list_vms"),
        ("vms", "list_vms"),
        ("snapshots", "list_vm_snapshots"),
        ("list_snapshots", "list_vm_snapshots"),
        ("lst_vms", "list_vms"),
        ("find_log", "search_logs"),
        ("vm_start", "start_vm"),
        ("vm.start", "start_vm"),
        ("strat_vm", "start_vm"),
        ("boot_vm", "start_vm"),
        ("stop_vm", "clean_shutdown_vm"),
        ("udpate_vm", "update_vm"),
        ("edit_vm", "update_vm"),
        ("add_network", "create_network"),
        ("creat_network", "create_network"),
        ("create_netwrok", "create_network"),
        ("attach_disks", "attach_disk"),
        ("dlete_vm", "delete_vm"),
        ("delte_vm", "delete_vm"),
        ("delete_vms", "delete_vm"),
        ("destroy_vm", "delete_vm"),
        ("delete_snapshot", "delete_vm_snapshot"),
        ("hard_reboot_vms", "hard_reboot_vm"),
        ("edit_user", "update_user"),
    ] {
        assert_eq!(near(wanted), Some(expected), "{wanted}");
    }
}

#[test]
fn prefixes_of_hosts_are_taken_off() {
    for prefix in [
        "mcp__xo__",
        "mcp__xen-orchestra__",
        "mcp__plugin_xo_xo__",
        "functions.mcp__xo__",
        "functions.",
        "mcp_xo_",
        "mcp_xen-orchestra_",
        "mcp_dadl_mcp_",
        "dadl-mcp.",
        "dadl_mcp__",
        "mcp.xo.",
    ] {
        for name in ["list_vms", "delete_vm", "start_vm"] {
            assert_eq!(near(&format!("{prefix}{name}")), Some(name), "{prefix}");
        }
        assert_eq!(near(&format!("{prefix}list_vm")), Some("list_vms"), "{prefix}");
        assert_eq!(near(&format!("{prefix}update_network")), None, "{prefix}");
    }
    // What these are is a guess.
    for prefix in ["xo.", "xo/", "xo:", "xo__", "a.b."] {
        assert_eq!(near(&format!("{prefix}list_vms")), Some("list_vms"), "{prefix}");
        assert_eq!(near(&format!("{prefix}start_vm")), Some("start_vm"), "{prefix}");
        assert_eq!(near(&format!("{prefix}delete_vm")), None, "{prefix}");
    }
    assert_eq!(near("xo_list_vms"), Some("list_vms"));
    assert_eq!(near("mcp_my_lab_list_vms"), Some("list_vms"));
    assert_eq!(near("my_lab_start_vm"), None);
}

#[test]
fn what_is_meant_for_one_backend_goes_to_no_other() {
    let one = |name, declared, backend, danger| KnownOperation { name, declared, backend, danger };
    let all = [
        one("lab_a_list_vms", "list_vms", "lab-a", DangerLevel::Reads),
        one("lab_a_delete_vm", "delete_vm", "lab-a", DangerLevel::Endangers),
        one("lab_a_start_vm", "start_vm", "lab-a", DangerLevel::Writes),
        one("lab_b_list_vms", "list_vms", "lab-b", DangerLevel::Reads),
        one("lab_b_get_vm", "get_vm", "lab-b", DangerLevel::Reads),
        one("lab_b_delete_vm", "delete_vm", "lab-b", DangerLevel::Endangers),
    ];
    let near = |wanted: &str| nearest_operation(wanted, all);
    assert_eq!(near("list_vms"), Some("lab_a_list_vms"));
    assert_eq!(near("lab_b_list_vm"), Some("lab_b_list_vms"));
    assert_eq!(near("mcp__x__lab-b.list_vms"), Some("lab_b_list_vms"));
    assert_eq!(near("lab-b/delete_vm"), Some("lab_b_delete_vm"));
    assert_eq!(near("lab_a_get_vm"), Some("lab_b_get_vm"));
    assert_eq!(near("lab_b_start_vm"), None);
    assert_eq!(near("lab_b_strat_vm"), None);
    assert_eq!(near("start_vm"), Some("lab_a_start_vm"));
    assert_eq!(near("delete_vm"), None, "of which of the two?");
    assert_eq!(near("destroy_vm"), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// Whatever is in front of a name and whatever is wrong with it, a change needs its verb.
    #[test]
    fn a_change_is_offered_for_a_change_alone(
        wanted in "(mcp__x__|mcp_x_|x\\.|functions\\.)?[a-z]{0,9}[_.-]?(vm|vms|network|user|VM|日本)?[_.]?[a-z]{0,4}"
    ) {
        if let Some(found) = near(&wanted) {
            let danger = known(NAMES).into_iter().find(|it| it.name == found).unwrap().danger;
            if danger > DangerLevel::Reads {
                let offered = split_words(found);
                let is_verb = |word: &String| {
                    offered.iter().take(2).any(|verb| {
                        word == verb
                            || (VerbKind::of(word).is_some() && VerbKind::of(word) == VerbKind::of(verb))
                            || is_slip(word, verb)
                    })
                };
                proptest::prop_assert!(split_words(&wanted).iter().any(is_verb), "{}: {}", wanted, found);
            }
        }
    }

    #[test]
    fn no_name_breaks_it(wanted in ".{0,40}") {
        near(&wanted);
    }
}
