//! Names that differ in one place alone become one text: `list_{vm,host,pool}_alarms`.

/// So many kinds are named.
const MOST_KINDS: usize = 30;
/// Where names have nothing in common, so many of them are written.
const MOST_NAMES: usize = 10;

/// Writes names that `own`, which is not written, is alike with: folded where each of them is exactly what
/// can be read from the text, and whole where any is not.
pub(super) fn fold(own: &str, names: &[&str]) -> String {
    let around = NamesAround::of(own, names).filter(|_| names.len() > 1);
    let folded = around.and_then(|around| around.folded(own, names));
    let (text, shown) = folded.unwrap_or_else(|| {
        let shown = names.get(..MOST_NAMES).unwrap_or(names);
        (shown.join(", "), shown.len())
    });
    match names.len() - shown {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// How many bytes all names have in common, before and behind what differs.
struct NamesAround {
    before: usize,
    behind: usize,
}

impl NamesAround {
    /// Finds what names have in common, in whole words; `None` where that is nothing, or the rest is no text
    /// that could stand between braces.
    fn of(own: &str, names: &[&str]) -> Option<Self> {
        let all = || names.iter().copied().chain([own]);
        let same = |of: fn(&str, &str) -> usize| all().map(|name| of(own, name)).min();
        let most_before = same(alike_at_start)?;
        let before = (0..=most_before)
            .rev()
            .find(|at| all().all(|name| begins_word(name, *at)))
            .unwrap_or_default();
        let shortest = all().map(str::len).min()?;
        // Something is left of each name.
        let most_behind = same(alike_at_end)?.min(shortest.saturating_sub(before + 1));
        let behind = (0..=most_behind)
            .rev()
            .find(|length| all().all(|name| begins_word(name, name.len() - length)))
            .unwrap_or_default();
        let around = Self { before, behind };
        let is_plain = |name: &str| {
            let kind = around.kind(name).unwrap_or_default();
            !kind.is_empty() && !kind.contains([',', '{', '}', ' '])
        };
        (before + behind > 0 && all().all(is_plain)).then_some(around)
    }

    fn kind<'name>(&self, name: &'name str) -> Option<&'name str> {
        name.get(self.before..name.len().checked_sub(self.behind)?)
    }

    /// Returns the text, and how many names it has.
    fn folded(&self, own: &str, names: &[&str]) -> Option<(String, usize)> {
        let kinds = names.iter().take(MOST_KINDS).map(|name| self.kind(name));
        let kinds: Vec<&str> = kinds.collect::<Option<_>>()?;
        let before = own.get(..self.before)?;
        let behind = own.get(own.len() - self.behind..)?;
        Some((format!("{before}{{{}}}{behind}", kinds.join(",")), kinds.len()))
    }
}

fn alike_at_start(one: &str, other: &str) -> usize {
    let alike = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    alike.map(|(letter, _)| letter.len_utf8()).sum()
}

fn alike_at_end(one: &str, other: &str) -> usize {
    let alike = one.chars().rev().zip(other.chars().rev()).take_while(|(one, other)| one == other);
    alike.map(|(letter, _)| letter.len_utf8()).sum()
}

/// Returns whether a word of a name begins at a byte, or ends before it: names are cut between words.
fn begins_word(name: &str, at: usize) -> bool {
    let (Some(start), Some(rest)) = (name.get(..at), name.get(at..)) else { return false };
    let mut rest = rest.chars();
    let (Some(before), Some(first)) = (start.chars().next_back(), rest.next()) else { return true };
    let is_sign = |letter: char| !letter.is_alphanumeric();
    let begins = before.is_lowercase() || before.is_numeric();
    let ends_capitals = rest.next().is_some_and(char::is_lowercase);
    is_sign(before) || is_sign(first) || first.is_uppercase() && (begins || ends_capitals)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Reads the names from a text.
    fn read(text: &str) -> Vec<String> {
        let text = text.split(" and ").next().unwrap();
        let Some((before, rest)) = text.split_once('{') else {
            return text.split(", ").map(str::to_owned).collect();
        };
        let (kinds, behind) = rest.split_once('}').unwrap();
        kinds.split(',').map(|kind| format!("{before}{kind}{behind}")).collect()
    }

    #[test]
    fn names_are_folded_between_words() {
        for (own, names, expected) in [
            ("list_vm_alarms", &["list_vdi_alarms", "list_sr_alarms"][..], "list_{vdi,sr}_alarms"),
            ("listVmAlarms", &["listVdiAlarms", "listSRAlarms"], "list{Vdi,SR}Alarms"),
            ("LIST_VM_DISK", &["LIST_HOST_DISK", "LIST_SR_DISK"], "LIST_{HOST,SR}_DISK"),
            ("list-vm.alarms", &["list-host.alarms", "list-sr.alarms"], "list-{host,sr}.alarms"),
            // Names that are written in two ways.
            ("list_vm_tags", &["listHostTags", "list_sr_tags"], "list{HostTags,_sr_tags}"),
            ("vm", &["vms", "host"], "vms, host"),
            ("list_vm_tags", &["list_sr_tags"], "list_sr_tags"),
        ] {
            assert_eq!(fold(own, names), expected);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..40).map(|at| format!("get_k{at}_x")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = fold("get_own_x", &names);
        assert!(text.ends_with(",k29}_x and 10 more"), "{text}");
        let names: Vec<String> = (0..40).map(|at| format!("k{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(fold("own", &names).ends_with(", k9 and 30 more"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn every_name_that_can_be_read_exists(
            start in "(api_|api-|)(list|List|LIST)",
            kinds in proptest::collection::btree_set("[_-]?(vm|Vm|VM|Host|sr2)([_.]?(disk|Disk))?[_-]?|é|", 2..50),
            end in "Alarms|alarms|_ALARMS|",
        ) {
            let names: Vec<String> = kinds.iter().map(|kind| format!("{start}{kind}{end}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (own, others) = names.split_first().unwrap();
            let text = fold(own, others);
            let read = read(&text);
            let known: BTreeSet<&str> = others.iter().copied().collect();
            proptest::prop_assert!(read.iter().all(|name| known.contains(name.as_str())), "{}", text);
            let told: usize = text.rsplit_once(" and ").map_or(0, |(_, more)| {
                more.trim_end_matches(" more").parse().unwrap()
            });
            proptest::prop_assert_eq!(read.len() + told, others.len());
        }
    }
}
