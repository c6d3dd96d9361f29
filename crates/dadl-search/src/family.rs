//! Families of alike tools: `list_vm_alarms`, `list_host_alarms` and their like differ in the kind of thing
//! alone, and would fill a list of the best tools.

use std::collections::BTreeMap;

use crate::{
    tool_text::ToolText,
    words::{name_words, stem},
};

/// Fewer alike tools are no family.
const FEWEST_MEMBERS: usize = 4;

/// Tools whose names differ in one place alone, and which take the same arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFamily {
    /// The positions of the tools, in order, each with the kind of thing that it is for, in stems.
    members: Vec<(usize, Vec<String>)>,
}

impl ToolFamily {
    /// Returns the positions of the tools, in order.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.members.iter().map(|(position, _)| *position)
    }

    /// Returns the kind of thing that the tool at a position is for, in stems.
    pub(crate) fn kind(&self, position: usize) -> Option<&[String]> {
        let at = self.members.binary_search_by_key(&position, |(position, _)| *position).ok()?;
        self.members.get(at).map(|(_, kind)| kind.as_slice())
    }
}

/// What members of a family have in common: backend, words before and after, parameters.
type Pattern<'a> = (&'a str, Vec<String>, Vec<String>, Vec<&'a str>);

/// Finds the families. A tool belongs to the largest of those that it could belong to.
pub(crate) fn families(tools: &[ToolText<'_>]) -> Vec<ToolFamily> {
    let names: Vec<Vec<String>> = tools.iter().map(|tool| name_words(&tool.name)).collect();
    let mut patterns: BTreeMap<Pattern<'_>, Vec<usize>> = BTreeMap::new();
    let all = tools.iter().zip(&names).enumerate();
    for (position, (tool, words)) in all.filter(|(_, (tool, _))| !tool.stands_alone) {
        for (before, after) in cuts(words.len()) {
            let mut params: Vec<&str> = tool.params.iter().map(|it| &*it.name).collect();
            params.sort_unstable();
            let part =
                |range: std::ops::Range<usize>| words.get(range).unwrap_or_default().to_vec();
            let pattern =
                (&*tool.backend, part(0..before), part(words.len() - after..words.len()), params);
            patterns.entry(pattern).or_default().push(position);
        }
    }
    let mut found: Vec<(&Pattern<'_>, &Vec<usize>)> =
        patterns.iter().filter(|(_, members)| members.len() >= FEWEST_MEMBERS).collect();
    // The largest first; of two alike the one with more in common.
    found.sort_by_key(|((_, before, after, _), members)| {
        (std::cmp::Reverse(members.len()), std::cmp::Reverse(before.len() + after.len()))
    });
    let mut taken = vec![false; tools.len()];
    let mut families = Vec::new();
    for ((_, before, after, _), positions) in found {
        let free: Vec<usize> = positions
            .iter()
            .copied()
            .filter(|it| !taken.get(*it).copied().unwrap_or(true))
            .collect();
        if free.len() < FEWEST_MEMBERS {
            continue;
        }
        let members = free.iter().filter_map(|position| {
            if let Some(taken) = taken.get_mut(*position) {
                *taken = true;
            }
            let words = names.get(*position)?;
            let kind = words.get(before.len()..words.len() - after.len())?;
            Some((*position, kind.iter().map(|word| stem(word)).collect()))
        });
        families.push(ToolFamily { members: members.collect() });
    }
    families
}

/// Returns how many words of a name can stand before and after the kind, at least one each.
fn cuts(words: usize) -> impl Iterator<Item = (usize, usize)> {
    // Longer names are no names of a family.
    let most = if words > 8 { 0 } else { words };
    (1..most).flat_map(move |before| (1..most - before).map(move |after| (before, after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool<'a>(name: &'a str, params: &[&'a str]) -> ToolText<'a> {
        let param = |name: &&'a str| crate::tool_text::ParamText {
            name: (*name).into(),
            ..Default::default()
        };
        ToolText {
            name: name.into(),
            params: params.iter().map(param).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn tools_that_differ_in_the_kind_are_a_family() {
        let tools = [
            tool("list_vm_alarms", &["id"]),
            tool("list_vm_snapshot_alarms", &["id"]),
            tool("list_host_alarms", &["id"]),
            tool("list_pool_alarms", &["id"]),
            tool("list_sr_alarms", &["uuid"]),
            tool("list_alarms", &[]),
            tool("list_vms", &[]),
        ];
        let families = families(&tools);
        let [family] = families.as_slice() else { panic!("{families:?}") };
        let positions: Vec<usize> = family.positions().collect();
        assert_eq!(positions, [0, 1, 2, 3], "another parameter is another call");
        assert_eq!(family.kind(1).unwrap(), ["vm", "snapshot"]);
        assert_eq!(family.kind(4), None);
    }

    #[test]
    fn what_stands_alone_belongs_to_no_family() {
        let mut tools =
            ["vm", "host", "pool", "sr", "vdi"].map(|kind| tool(kind, &["id"])).to_vec();
        for tool in &mut tools {
            tool.name = format!("list_{}_alarms", tool.name).into();
        }
        assert_eq!(families(&tools)[0].positions().count(), 5);
        tools[1].stands_alone = true;
        assert_eq!(families(&tools)[0].positions().collect::<Vec<_>>(), [0, 2, 3, 4]);
    }
}
