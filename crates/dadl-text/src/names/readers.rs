//! Which operations read what another one changes, by what they are called after.

use super::{KnownOperation, operation::stem, split_words, verbs};

/// Returns the names of the operations of `known` that read the thing which `changed` changes: what shows
/// one of them first. Of `create_vm_from_template` the whole thing counts before its first words do.
pub fn readers<'known>(
    changed: &str,
    known: impl IntoIterator<Item = KnownOperation<'known>>,
) -> Vec<&'known str> {
    let thing = split_words(changed);
    let thing: Vec<&str> = thing.iter().skip(1).map(|word| stem(word)).collect();
    let mut found: Vec<(usize, bool, &str)> = Vec::new();
    for known in known {
        let words = split_words(known.declared);
        let Some((verb, of)) = words.split_first() else { continue };
        let is_of = |(one, other): (&String, &&str)| stem(one) == *other;
        if verbs::reads(verb)
            && !of.is_empty()
            && of.len() <= thing.len()
            && of.iter().zip(&thing).all(is_of)
        {
            let is_many = of.last().is_some_and(|word| stem(word) != word);
            found.push((of.len(), is_many, known.name));
        }
    }
    let most = found.iter().map(|(length, ..)| *length).max().unwrap_or_default();
    found.retain(|(length, ..)| *length == most);
    found.sort_by_key(|(_, is_many, _)| *is_many);
    found.into_iter().map(|(.., name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_a_thing_is_called_after_it() {
        let known = [
            "list_vms",
            "get_vm",
            "delete_vm",
            "get_vm_stats",
            "list_vm_snapshots",
            "get_vdi",
            "list_backup_jobs",
            "restart",
            "get",
        ];
        for (changed, expected) in [
            ("create_vm", &["get_vm", "list_vms"][..]),
            ("create_vm_from_template", &["get_vm", "list_vms"]),
            ("delete_vm_snapshot", &["list_vm_snapshots"]),
            ("startVM", &["get_vm", "list_vms"]),
            ("run_backup_job", &["list_backup_jobs"]),
            ("reboot_host", &[]),
            ("restart", &[]),
            ("", &[]),
        ] {
            assert_eq!(readers(changed, known.map(KnownOperation::named)), expected, "{changed}");
        }
    }
}
