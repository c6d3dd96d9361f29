//! Names that every MCP host accepts, one to one with the names in descriptors.
//!
//! Hosts prepend a prefix of their own and refuse dots and long names, and one bad name can make
//! a host refuse all tools. A name that needs no change stays as it is; where two names become
//! the same, each that had to change gets a short hash of what it stands for. The outcome depends
//! on the set of names only, never on their order: adding a tool renames no other tool, unless
//! the two collide.

use std::collections::{HashMap, HashSet};

use dadl_text::names::{RESERVED, TOOL_NAME_MAX, joined_name, suffixed};

/// The longest property name.
pub(crate) const PROPERTY_NAME_MAX: usize = 64;

/// A name on its way to being unique.
#[derive(Debug)]
struct NameCandidate {
    /// What the name stands for; no two candidates have the same.
    identity: String,
    /// The name with all characters mapped, at any length.
    mapped: String,
    /// Whether the mapping changed nothing.
    exact: bool,
}

/// Returns the MCP names of tools, given as pairs of backend and tool name.
///
/// One backend's tools keep their own names; those of several get the backend's name in front.
pub(crate) fn tool_names(backends: usize, tools: &[(&str, &str)]) -> Vec<String> {
    let full = |&(backend, tool): &(&str, &str)| match backends {
        0 | 1 => tool.to_owned(),
        _ => format!("{backend}_{tool}"),
    };
    // This is nearly always so.
    let names: Vec<String> = tools.iter().map(full).collect();
    if need_no_change(&names) {
        return names;
    }
    let candidates: Vec<_> = tools
        .iter()
        .zip(names)
        .map(|(&(backend, tool), full)| {
            let mapped: String = full.chars().map(|c| if is_word(c) { c } else { '_' }).collect();
            NameCandidate {
                identity: format!("{backend}\0{tool}"),
                exact: mapped == full && full.len() <= TOOL_NAME_MAX,
                mapped,
            }
        })
        .collect();
    settle_names(&candidates, TOOL_NAME_MAX, &RESERVED)
}

/// Returns whether hosts accept all of the names, and no two are the same.
fn need_no_change(names: &[String]) -> bool {
    let mut seen = HashSet::with_capacity(names.len());
    names.iter().all(|name| {
        name.len() <= TOOL_NAME_MAX
            && name.chars().all(is_word)
            && !RESERVED.contains(&name.as_str())
            && seen.insert(name.as_str())
    })
}

/// Returns the property names of parameters, given by their names on the wire.
pub(crate) fn property_names(wire: &[&str]) -> Vec<String> {
    // Names on the wire are unique, so that nothing collides where nothing has to change. This is
    // nearly always so.
    if wire.iter().all(|name| is_property_name(name)) {
        return wire.iter().map(|&name| name.to_owned()).collect();
    }
    let candidates: Vec<_> = wire
        .iter()
        .map(|&name| {
            let exact = is_property_name(name);
            let mapped =
                if exact { name.to_owned() } else { joined_name(name, is_property_character) };
            NameCandidate { identity: name.to_owned(), mapped, exact }
        })
        .collect();
    settle_names(&candidates, PROPERTY_NAME_MAX, &[])
}

/// Returns whether hosts accept `name` for a property.
pub(crate) fn is_property_name(name: &str) -> bool {
    (1..=PROPERTY_NAME_MAX).contains(&name.len()) && name.chars().all(is_property_character)
}

fn is_property_character(character: char) -> bool {
    is_word(character) || matches!(character, '.' | '-')
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Makes the names unique and short enough, and none of `reserved`.
fn settle_names(candidates: &[NameCandidate], max: usize, reserved: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = candidates
        .iter()
        .map(|candidate| {
            if candidate.mapped.len() <= max {
                candidate.mapped.clone()
            } else {
                with_hash(candidate, max, 0)
            }
        })
        .collect();
    let mut owners: HashMap<&str, Vec<usize>> = HashMap::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        owners.entry(name).or_default().push(at);
    }
    let exact = |at: &usize| candidates.get(*at).is_some_and(|candidate| candidate.exact);
    let mut colliding = Vec::new();
    for group in owners.values().filter(|group| group.len() > 1) {
        // The one that needed no change keeps its name; it is what the author would type.
        let mut exact_owners = group.iter().filter(|at| exact(at));
        let keeper = exact_owners.next().filter(|_| exact_owners.next().is_none());
        colliding.extend(group.iter().filter(|at| Some(*at) != keeper));
    }
    for (name, owners) in &owners {
        // Those of a larger group are all there already, but for the one that would keep the name.
        if reserved.contains(name) {
            colliding.retain(|at| !owners.contains(at));
            colliding.extend(owners);
        }
    }
    if colliding.is_empty() {
        return names;
    }
    let renamed: HashSet<usize> = colliding.iter().copied().collect();
    let mut taken: HashSet<String> = names
        .iter()
        .enumerate()
        .filter(|(at, _)| !renamed.contains(at))
        .map(|(_, name)| name.clone())
        .collect();
    // Sorted by identity, so that the order of the file decides nothing.
    let mut colliding: Vec<(&NameCandidate, usize)> = colliding
        .into_iter()
        .filter_map(|at| candidates.get(at).map(|candidate| (candidate, at)))
        .collect();
    colliding.sort_by(|a, b| a.0.identity.cmp(&b.0.identity));
    for (candidate, at) in colliding {
        let mut salt = 0;
        let mut name = with_hash(candidate, max, salt);
        while taken.contains(&name) {
            salt += 1;
            name = with_hash(candidate, max, salt);
        }
        taken.insert(name.clone());
        if let Some(slot) = names.get_mut(at) {
            *slot = name;
        }
    }
    names
}

/// Returns the name, cut if needed, with a hash of its identity behind.
fn with_hash(candidate: &NameCandidate, max: usize, salt: u32) -> String {
    let mut identity = candidate.identity.clone().into_bytes();
    if salt > 0 {
        identity.extend(salt.to_be_bytes());
    }
    suffixed(&candidate.mapped, &identity, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_tools_keep_their_names() {
        let names = tool_names(1, &[("x", "task_wait"), ("x", "task.wait"), ("x", "wait")]);
        assert!(names.iter().all(|name| name != "task_wait"), "{names:?}");
        assert!(names[0].starts_with("task_wait_") && names[1].starts_with("task_wait_"));
        assert_ne!(names[0], names[1]);
        assert_eq!(names[2], "wait");
    }

    fn tools(backends: usize, tools: &[(&str, &str)]) -> Vec<String> {
        let names = tool_names(backends, tools);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), tools.len(), "not unique");
        assert!(names.iter().all(|name| name.len() <= TOOL_NAME_MAX), "too long: {names:?}");
        assert!(names.iter().all(|name| name.chars().all(is_word)), "not safe: {names:?}");
        let reversed: Vec<_> = tools.iter().rev().copied().collect();
        let mut again = tool_names(backends, &reversed);
        again.reverse();
        assert_eq!(names, again, "the order decides");
        names
    }

    fn properties(wire: &[&str]) -> Vec<String> {
        let names = property_names(wire);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), wire.len(), "not unique");
        assert!(names.iter().all(|name| is_property_name(name)), "not safe: {names:?}");
        names
    }

    #[test]
    fn one_backend_keeps_its_tool_names() {
        assert_eq!(tools(1, &[("xo", "list_vms"), ("xo", "getVM")]), ["list_vms", "getVM"]);
        assert_eq!(tools(1, &[("xo", "vm.get-all")]), ["vm_get_all"]);
    }

    #[test]
    fn reserved_names_are_left_to_their_owners() {
        let named = |tool| tools(1, &[("b", tool)]).remove(0);
        assert!(named("stream_read").starts_with("stream_read_"));
        assert_eq!(named("stream_reader"), "stream_reader");
    }

    #[test]
    fn several_backends_prefix_theirs() {
        let names = tools(2, &[("danube-cloud", "list_vms"), ("xo", "list_vms")]);
        assert_eq!(names, ["danube_cloud_list_vms", "xo_list_vms"]);
    }

    #[test]
    fn long_names_are_cut_and_hashed() {
        let one = "list_virtual_machine_snapshot_virtual_disk_images";
        let two = "list_virtual_machine_snapshot_virtual_disk_imagery";
        let names = tools(1, &[("xo", one), ("xo", two)]);
        assert!(names[0].starts_with("list_virtual_machine_snapshot_virtual_"), "{names:?}");
        assert_eq!(names, tools(1, &[("xo", one), ("xo", two)]));
        let exactly = "x".repeat(TOOL_NAME_MAX);
        assert_eq!(tools(1, &[("xo", &exactly)]), [exactly]);
    }

    #[test]
    fn a_collision_renames_all_but_the_exact_owner() {
        let names = tools(1, &[("b", "get-vm"), ("b", "get_vm"), ("b", "get.vm")]);
        assert_eq!(names[1], "get_vm");
        assert!(names[0].starts_with("get_vm_") && names[2].starts_with("get_vm_"), "{names:?}");
        let names = tools(1, &[("b", "get-vm"), ("b", "get.vm")]);
        assert!(names.iter().all(|name| name.starts_with("get_vm_")), "{names:?}");
        tools(2, &[("a", "b_c"), ("a_b", "c"), ("a-b", "c")]);
    }

    #[test]
    fn a_hashed_name_evades_a_name_that_looks_like_it() {
        let hashed = tools(1, &[("b", "a-b"), ("b", "a_b")])[0].clone();
        let names = tools(1, &[("b", "a-b"), ("b", "a_b"), ("b", &hashed)]);
        assert_eq!(names[2], hashed);
        assert_ne!(names[0], hashed);
    }

    #[test]
    fn property_names_keep_what_hosts_accept() {
        assert_eq!(properties(&["src-address", "a.b", "on"]), ["src-address", "a.b", "on"]);
        assert_eq!(properties(&["filter[name]", "ids[]", "a b"]), ["filter_name", "ids", "a_b"]);
        assert_eq!(properties(&["größe", "日本"]), ["gr_e", "param"]);
    }

    #[test]
    fn property_collisions_stay_apart() {
        let names = properties(&["ids[]", "ids", "ids:"]);
        assert_eq!(names[1], "ids");
        assert!(names[0].starts_with("ids_") && names[2].starts_with("ids_"), "{names:?}");
        properties(&["日本", "中国", &"x".repeat(80), &"x".repeat(81)]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn any_set_of_names_stays_apart(
            names in proptest::collection::btree_set("[a-b._:-]{1,3}|[a-c_-]{44,48}|.{1,70}", 1..20),
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            properties(&names);
            let pairs: Vec<(&str, &str)> = names.iter().map(|name| ("backend", *name)).collect();
            tools(1, &pairs);
            tools(2, &pairs);
        }
    }
}
