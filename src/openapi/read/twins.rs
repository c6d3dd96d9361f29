//! Two parameters of one name: a descriptor has one namespace for all places.

use std::collections::{HashMap, HashSet};

use super::Reader;
use crate::{
    descriptor::model::Location,
    openapi::{
        model::{Input, Operation},
        report::excerpt,
    },
};

impl Reader<'_> {
    /// Makes the names of an operation's inputs unique: a descriptor has one namespace for all
    /// places.
    pub(super) fn settle(&mut self, operation: &mut Operation) {
        let rank = |location: Location| match location {
            Location::Path => 0,
            Location::Query => 1,
            Location::Header => 2,
            Location::Cookie => 3,
            Location::Body => 4,
        };
        operation.inputs.sort_by_key(|input| rank(input.location));
        self.rename_placeholders(operation);
        self.drop_twins(operation);
    }

    /// Renames each placeholder whose name is also elsewhere: it may have any name.
    fn rename_placeholders(&mut self, operation: &mut Operation) {
        let count =
            |inputs: &[Input], name: &str| inputs.iter().filter(|input| input.name == name).count();
        let clashing: Vec<String> = operation
            .inputs
            .iter()
            .filter(|input| input.location == Location::Path)
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
                if input.location == Location::Path && input.name == name {
                    let message = format!("`{}` is also elsewhere: now `{other}`", excerpt(&name));
                    let help = "the name of a path parameter is never sent";
                    self.schemas.remarks.changed(&input.place, message, help);
                    input.name.clone_from(&other);
                }
            }
        }
    }

    /// Leaves one of two parameters with one name: the one that a call must have, else the first.
    fn drop_twins(&mut self, operation: &mut Operation) {
        let mut kept: HashMap<String, usize> = HashMap::new();
        let mut lost = HashSet::new();
        for (index, input) in operation.inputs.iter().enumerate() {
            let key = match input.location {
                Location::Header => format!("\0{}", input.name.to_ascii_lowercase()),
                _ => input.name.clone(),
            };
            // Two header fields that differ by case are one.
            for key in [key, input.name.clone()] {
                match kept.get(&key).copied() {
                    Some(other) if other != index => {
                        let other_required =
                            operation.inputs.get(other).is_some_and(|other| other.required);
                        if input.required && !other_required {
                            lost.insert(other);
                            kept.insert(key, index);
                        } else {
                            lost.insert(index);
                        }
                    }
                    Some(_) => {}
                    None => {
                        kept.insert(key, index);
                    }
                }
            }
        }
        let mut index = 0;
        let Operation { inputs, unsaid, .. } = operation;
        let remarks = &mut self.schemas.remarks;
        inputs.retain(|input| {
            let is_lost = lost.contains(&index);
            index += 1;
            if is_lost {
                let message = format!(
                    "`{}` is the name of two parameters; that in the {} was left out",
                    excerpt(&input.name),
                    input.location.as_str()
                );
                let help = "a descriptor has one parameter of a name: change which one it is";
                remarks.lost(&input.place, message, help);
                unsaid.push((input.location, input.name.clone()));
            }
            !is_lost
        });
    }
}
