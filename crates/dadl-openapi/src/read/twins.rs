//! Two parameters of one name: a descriptor has one namespace for all places.

use std::collections::{HashMap, HashSet};

use dadl_descriptor::model::{ParamKind, ParamLocation};

use super::OpenApiReader;
use crate::{
    model::{ApiOperation, OperationInput},
    report::excerpt,
};

impl OpenApiReader<'_> {
    /// Makes the names of an operation's inputs unique: a descriptor has one namespace for all
    /// places.
    pub(super) fn settle_twins(&mut self, operation: &mut ApiOperation) {
        let rank = |location: ParamLocation| match location {
            ParamLocation::Path => 0,
            ParamLocation::Query => 1,
            ParamLocation::Header => 2,
            ParamLocation::Cookie => 3,
            ParamLocation::Body => 4,
        };
        operation.inputs.sort_by_key(|input| rank(input.location));
        self.rename_placeholders(operation);
        self.part_twins(operation);
    }

    /// Renames each placeholder whose name is also elsewhere: it may have any name.
    fn rename_placeholders(&mut self, operation: &mut ApiOperation) {
        let count = |inputs: &[OperationInput], name: &str| {
            inputs.iter().filter(|input| input.name == name).count()
        };
        let clashing: Vec<String> = operation
            .inputs
            .iter()
            .filter(|input| input.location == ParamLocation::Path)
            .filter(|input| count(&operation.inputs, &input.name) > 1)
            .map(|input| input.name.clone())
            .collect();
        for name in clashing {
            let mut other = format!("path_{name}");
            while count(&operation.inputs, &other) > 0 {
                other.insert_str(0, "path_");
            }
            operation.path =
                operation.path.replace(&format!("{{{name}}}"), &format!("{{{other}}}"));
            for input in &mut operation.inputs {
                if input.location == ParamLocation::Path && input.name == name {
                    let message = format!("`{}` is also elsewhere: now `{other}`", excerpt(&name));
                    let help = "the name of a path parameter is never sent";
                    self.schemas.remarks.changed(&input.place, message, help);
                    input.name.clone_from(&other);
                }
            }
        }
    }

    /// Gives the second of two parameters with one name another one. Of two in one place there is
    /// one: the one that a call must have, else the first.
    fn part_twins(&mut self, operation: &mut ApiOperation) {
        self.drop_twins(operation);
        let inputs = &mut operation.inputs;
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut second = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let Some(first) = known.insert(input.name.clone(), index) else { continue };
            // Only the tool itself can have a file, so that it keeps its name.
            second.push(if input.kind == ParamKind::FileUrl { first } else { index });
            if input.kind != ParamKind::FileUrl {
                known.insert(input.name.clone(), first);
            }
        }
        let mut names: HashSet<String> = inputs.iter().map(|input| input.name.clone()).collect();
        for index in second {
            let Some(input) = inputs.get_mut(index) else { continue };
            let place = input.location.as_str();
            let mut other = format!("{place}_{}", input.name);
            while !names.insert(other.clone()) {
                other.insert_str(0, &format!("{place}_"));
            }
            let name = std::mem::replace(&mut input.name, other);
            let message = format!(
                "`{}` is the name of two parameters: that in the {place} is now `{}`",
                excerpt(&name),
                excerpt(&input.name)
            );
            let help = "it is sent under its own name";
            self.schemas.remarks.changed(&input.place, message, help);
            input.wire = Some(name);
        }
    }

    /// Leaves one of two parameters with one name in one place.
    fn drop_twins(&mut self, operation: &mut ApiOperation) {
        let mut kept: HashMap<(ParamLocation, String), usize> = HashMap::new();
        let mut lost = HashSet::new();
        for (index, input) in operation.inputs.iter().enumerate() {
            // Two header fields that differ by case are one.
            let name = match input.location {
                ParamLocation::Header => input.name.to_ascii_lowercase(),
                _ => input.name.clone(),
            };
            let Some(other) = kept.insert((input.location, name.clone()), index) else { continue };
            let other_required = operation.inputs.get(other).is_some_and(|it| it.required);
            if input.required && !other_required {
                lost.insert(other);
            } else {
                lost.insert(index);
                kept.insert((input.location, name), other);
            }
        }
        let mut index = 0;
        let ApiOperation { inputs, unsaid, .. } = operation;
        let remarks = &mut self.schemas.remarks;
        inputs.retain(|input| {
            let is_lost = lost.contains(&index);
            index += 1;
            if is_lost {
                let message = format!(
                    "`{}` is twice in the {}; one was left out",
                    excerpt(&input.name),
                    input.location.as_str()
                );
                let help = "correct the document: a request has one of a name";
                remarks.lost(&input.place, message, help);
                unsaid.push((input.location, input.name.clone()));
            }
            !is_lost
        });
    }
}
