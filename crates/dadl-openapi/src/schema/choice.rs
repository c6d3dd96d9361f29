//! Schemas that stand for others: the value of a member, the `discriminator`, tells for which one.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use dadl_descriptor::model::ParamKind;
use serde_json::{Map, Value};

use super::{
    JsonTypes, SchemaReader, ShapeMember, ValueShape,
    merge::{merge_shapes, unite_shapes},
};
use crate::{
    documents::{DocumentSet, is_reference},
    report::{excerpt, place_at},
};

/// So many forms of a body are read, of a member of one, and of its items; below that only their names
/// count.
const MAX_FORMS: [usize; 3] = [100, 20, 10];

/// So many schemas that extend another one are known.
const MAX_CHILDREN: usize = 20_000;

/// How a schema came to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaOrigin {
    /// A value has this schema, and may have that of each child.
    Itself,
    /// It is a part of one of its children, or a child of what is being read.
    Part,
}

/// Which schemas extend which: those that have another one in their `allOf`.
#[derive(Debug, Default)]
pub(super) struct SchemaFamily {
    /// The names and places of children, by the places of their parents.
    children: HashMap<String, Vec<(String, String)>>,
    /// The places of parents, by those of their children.
    parents: HashMap<String, Vec<String>>,
}

impl SchemaFamily {
    fn new(documents: &DocumentSet) -> Self {
        let mut family = Self::default();
        let mut count = 0;
        for (root, file) in documents.roots() {
            let mut named: Vec<(String, &Value, String)> = Vec::new();
            for pointer in ["/components/schemas", "/definitions"] {
                if let Some((Value::Object(map), place)) = documents.at(&format!("{root}{pointer}"))
                {
                    named.extend(
                        map.iter().map(|(name, it)| (name.clone(), it, place_at(&place, name))),
                    );
                }
            }
            // A file may be a schema, or have several by their names.
            if let (false, Value::Object(map)) = (root.is_empty(), file) {
                named.push((name_of(&root).to_owned(), file, root.clone()));
                named
                    .extend(map.iter().map(|(name, it)| (name.clone(), it, place_at(&root, name))));
            }
            for (name, value, place) in named {
                let Some((value, place)) = documents.end(value, place) else { continue };
                let parts = value.get("allOf").and_then(Value::as_array).into_iter().flatten();
                for reference in parts.filter_map(|part| part.get("$ref")?.as_str()) {
                    let parent = documents.find(reference, &place).ok();
                    let parent = parent.and_then(|(value, place)| documents.end(value, place));
                    let Some((_, parent)) = parent else { continue };
                    let children = family.children.entry(parent.clone()).or_default();
                    if count >= MAX_CHILDREN || children.iter().any(|(_, it)| *it == place) {
                        continue;
                    }
                    count += 1;
                    children.push((name.clone(), place.clone()));
                    family.parents.entry(place.clone()).or_default().push(parent);
                }
            }
        }
        family
    }

    /// Returns the children of the schema at a place, and theirs.
    fn descendants(&self, place: &str) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        let mut seen = HashSet::from([place]);
        let mut open = vec![place];
        while let Some(parent) = open.pop() {
            for (name, child) in self.children.get(parent).into_iter().flatten() {
                if seen.insert(child) {
                    all.push((name.clone(), child.clone()));
                    open.push(child);
                }
            }
        }
        all
    }

    /// Returns what the schema at a place extends, and what that does.
    fn ancestors(&self, place: &str) -> Vec<&str> {
        let mut all = Vec::new();
        let mut seen = HashSet::from([place]);
        let mut open = vec![place];
        while let Some(child) = open.pop() {
            for parent in self.parents.get(child).into_iter().flatten() {
                if seen.insert(parent) {
                    all.push(parent.as_str());
                    open.push(parent);
                }
            }
        }
        all
    }
}

/// What a discriminator says.
struct DiscriminatorChoice<'doc> {
    /// The member whose value tells.
    property: &'doc str,
    /// The values that the document lists, with the schema and its place.
    mapped: Vec<(&'doc str, &'doc Value, String)>,
    has_mapping: bool,
}

impl<'doc> SchemaReader<'doc> {
    /// Returns which schemas extend which.
    fn family(&mut self) -> Rc<SchemaFamily> {
        let documents = self.documents;
        Rc::clone(self.family.get_or_insert_with(|| Rc::new(SchemaFamily::new(documents))))
    }

    /// Returns how a part of the `allOf` of the schema at a place is read.
    pub(super) fn through(&mut self, through: SchemaOrigin, place: &str) -> SchemaOrigin {
        if self.family().parents.contains_key(place) { SchemaOrigin::Part } else { through }
    }

    /// Adds the forms that a schema stands for, or the value that tells which form it is.
    pub(super) fn forms(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
        shape: ValueShape,
        depth: usize,
        composed: usize,
    ) -> ValueShape {
        if self.is_answer {
            return shape;
        }
        let Some(choice) = self.choice(map, place) else {
            return self.told(map, place, shape);
        };
        let parts = ["oneOf", "anyOf"].iter().filter_map(|key| map.get(*key)?.as_array());
        let parts: Vec<&'doc Value> = parts.flatten().collect();
        let mut children: Vec<(String, &'doc Value, String)> = Vec::new();
        let mut add = |value: &str, schema: &'doc Value, place: String| {
            if !children.iter().any(|(known, ..)| known == value) {
                children.push((value.to_owned(), schema, place));
            }
        };
        for (value, schema, place) in &choice.mapped {
            add(value, schema, place.clone());
        }
        let is_mapped = |place: &str| choice.mapped.iter().any(|(.., known)| known == place);
        let documents = self.documents;
        if parts.is_empty() {
            for (name, child) in self.family().descendants(place) {
                if let Some((schema, _)) = documents.at(&child).filter(|_| !is_mapped(&child)) {
                    add(own_value(schema).unwrap_or(&name), schema, child);
                }
            }
        } else {
            for reference in parts.iter().filter_map(|part| part.get("$ref")?.as_str()) {
                let found = documents.find(reference, place).ok();
                let Some((schema, form)) = found.and_then(|(it, at)| documents.end(it, at)) else {
                    continue;
                };
                if !is_mapped(&form) {
                    let name = reference.rsplit(['/', '#']).next().unwrap_or_default();
                    let name = if is_file(reference) { name_of(&form) } else { name };
                    add(own_value(schema).unwrap_or(name), schema, form.clone());
                }
            }
        }
        let mut values: Vec<Value> =
            children.iter().map(|(value, ..)| value.as_str().into()).collect();
        if !choice.has_mapping && parts.is_empty() && !values.is_empty() {
            values.push(own_value_of(map).unwrap_or_else(|| name_of(place)).into());
        }
        let mut shape = if parts.is_empty() && !children.is_empty() {
            self.children(shape, children, place, depth, composed)
        } else {
            shape
        };
        if !values.is_empty() {
            tell_values(&mut shape, choice.property, values, &place_at(place, "discriminator"));
        }
        shape
    }

    /// Joins a schema with those that may stand in its place.
    fn children(
        &mut self,
        shape: ValueShape,
        children: Vec<(String, &'doc Value, String)>,
        place: &str,
        depth: usize,
        composed: usize,
    ) -> ValueShape {
        let Some(most) = MAX_FORMS.get(depth).copied() else { return shape };
        if children.len() > most {
            let message = format!("only {most} of {} forms are read", children.len());
            let help = "add the parameters of the others by hand, if you need them";
            self.remarks.lost(&place_at(place, "discriminator"), message, help);
        }
        // A child has this schema as a part: what that says is known.
        self.open.push(place.to_owned());
        let mut forms = vec![shape.clone()];
        for (_, child, child_place) in children.into_iter().take(most) {
            if child_place == place || self.open.contains(&child_place) {
                continue;
            }
            self.open.push(child_place.clone());
            let form =
                self.read_schema(child, &child_place, depth, composed + 1, SchemaOrigin::Part);
            self.account_schema(child, &child_place);
            self.open.pop();
            forms.push(merge_shapes(form, shape.clone()));
        }
        self.open.pop();
        unite_shapes(forms)
    }

    /// Adds the value by which the schema at a place is told from others that extend the same one.
    fn told(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
        mut shape: ValueShape,
    ) -> ValueShape {
        let family = self.family();
        if !family.parents.contains_key(place) || family.children.contains_key(place) {
            return shape;
        }
        for ancestor in family.ancestors(place) {
            let documents = self.documents;
            let Some((Value::Object(parent), parent_place)) = documents.at(ancestor) else {
                continue;
            };
            let Some(choice) = self.choice(parent, &parent_place) else { continue };
            let mapped: Vec<Value> = choice
                .mapped
                .iter()
                .filter(|(.., known)| known == place)
                .map(|(value, ..)| Value::from(*value))
                .collect();
            let values = if !mapped.is_empty() {
                mapped
            } else if !choice.has_mapping {
                vec![own_value_of(map).unwrap_or_else(|| name_of(place)).into()]
            } else {
                continue;
            };
            tell_values(
                &mut shape,
                choice.property,
                values,
                &place_at(&parent_place, "discriminator"),
            );
        }
        shape
    }

    /// Returns what the discriminator of a schema says; what its mapping names and is not there is
    /// reported.
    fn choice(
        &mut self,
        map: &'doc Map<String, Value>,
        place: &str,
    ) -> Option<DiscriminatorChoice<'doc>> {
        let (property, mapping) = match map.get("discriminator")? {
            // Swagger 2 has the name alone.
            Value::String(property) => (property.as_str(), None),
            Value::Object(known) => {
                let mapping = known.get("mapping").and_then(Value::as_object);
                (known.get("propertyName")?.as_str()?, mapping)
            }
            _ => return None,
        };
        let documents = self.documents;
        let mut mapped = Vec::new();
        for (value, target) in mapping.into_iter().flatten() {
            let Some(target) = target.as_str() else { continue };
            let pointer = format!("#{}", place_at("/components/schemas", target));
            let named = documents.find(&pointer, place).or_else(|_| documents.find(&pointer, ""));
            let found = match named {
                Ok(found) => Some(found),
                Err(_) if is_reference(target) => documents.find(target, place).ok(),
                Err(_) => None,
            };
            match found.and_then(|(schema, place)| documents.end(schema, place)) {
                Some((schema, place)) => mapped.push((value.as_str(), schema, place)),
                None => {
                    let place =
                        place_at(&place_at(&place_at(place, "discriminator"), "mapping"), value);
                    let message = format!("`{}` leads to no schema", excerpt(target));
                    let help = "add the schema to the document, or remove the value";
                    self.remarks.lost(&place, message, help);
                }
            }
        }
        Some(DiscriminatorChoice { property, mapped, has_mapping: mapping.is_some() })
    }
}

/// Adds the values of the member that tells, unless the document lists them.
fn tell_values(shape: &mut ValueShape, property: &str, values: Vec<Value>, place: &str) {
    match shape.members.iter_mut().find(|member| member.name == property) {
        Some(member) if member.shape.values.is_empty() => member.shape.values = values,
        Some(_) => {}
        None => shape.members.push(ShapeMember {
            name: property.to_owned(),
            required: false,
            place: place.to_owned(),
            shape: ValueShape {
                kinds: JsonTypes::one(ParamKind::String),
                values,
                ..ValueShape::default()
            },
        }),
    }
}

/// Returns the value that a schema has as its own.
fn own_value(schema: &Value) -> Option<&str> {
    schema.as_object().and_then(own_value_of)
}

fn own_value_of(map: &Map<String, Value>) -> Option<&str> {
    map.get("x-ms-discriminator-value").and_then(Value::as_str)
}

fn is_file(reference: &str) -> bool {
    !reference.contains('#')
}

/// Returns the name of the schema at a place: its key, or the name of its file.
fn name_of(place: &str) -> &str {
    let last = place.trim_end_matches('#').rsplit(['/', '#']).next().unwrap_or_default();
    if place.ends_with('#') { last.split('.').next().unwrap_or_default() } else { last }
}

#[cfg(test)]
mod tests;
