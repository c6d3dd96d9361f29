//! Composed schemas: what all of them say together (`allOf`), and what one of several does (`oneOf`,
//! `anyOf`).

use std::collections::HashSet;

use dadl_descriptor::model::ParamKind;
use serde_json::Value;

use super::shape::{JsonTypes, MAX_MEMBERS, ShapeMember, ValueShape};

/// Joins what two schemas say that must both fit; the first one's words count.
pub(super) fn merge_shapes(first: ValueShape, second: ValueShape) -> ValueShape {
    let kinds = both(first.kinds, second.kinds);
    let values = if first.values.is_empty() {
        second.values
    } else if second.values.is_empty() {
        first.values
    } else {
        let both: Vec<Value> =
            first.values.iter().filter(|value| second.values.contains(value)).cloned().collect();
        if both.is_empty() { first.values } else { both }
    };
    let mut members = first.members;
    let mut room = MAX_MEMBERS.saturating_sub(members.len());
    for member in second.members {
        match members.iter_mut().find(|known| known.name == member.name) {
            Some(known) => {
                known.required |= member.required;
                if known.place.is_empty() {
                    known.place = member.place;
                }
                let own = std::mem::take(&mut known.shape);
                known.shape = merge_shapes(own, member.shape);
            }
            None if room > 0 => {
                room -= 1;
                members.push(member);
            }
            None => {}
        }
    }
    let mut wanted = first.wanted;
    wanted.extend(second.wanted);
    let items = match (first.items, second.items) {
        (Some(first), Some(second)) => Some(Box::new(merge_shapes(*first, *second))),
        (first, second) => first.or(second),
    };
    let mut checks = first.checks;
    checks.extend(second.checks);
    let mut known = HashSet::new();
    checks.retain(|check| known.insert(check.clone()));
    let mut whole = ValueShape {
        kinds,
        values,
        checks,
        members,
        items,
        wanted,
        format: first.format.or(second.format),
        min: first.min.or(second.min),
        max: first.max.or(second.max),
        minimum: first.minimum.or(second.minimum),
        maximum: first.maximum.or(second.maximum),
        default: first.default.or(second.default),
        example: first.example.or(second.example),
        description: first.description.or(second.description),
        deprecated: first.deprecated || second.deprecated,
        read_only: first.read_only || second.read_only,
        nullable: first.nullable || second.nullable,
        is_binary: first.is_binary || second.is_binary,
        is_open: first.is_open || second.is_open,
        is_cut: first.is_cut || second.is_cut,
        has_variants: first.has_variants || second.has_variants,
    };
    whole.settle();
    whole
}

/// Returns the types that fit what two schemas say.
fn both(first: JsonTypes, second: JsonTypes) -> JsonTypes {
    match (first.is_any(), second.is_any()) {
        (true, _) => second,
        (_, true) => first,
        // `number` beside `integer` is an integer.
        _ => {
            let both = first.intersection(second);
            let number = |kinds: JsonTypes| kinds.contains(ParamKind::Number);
            let integer = |kinds: JsonTypes| kinds.contains(ParamKind::Integer);
            if !both.is_any() {
                both
            } else if (number(first) && integer(second)) || (integer(first) && number(second)) {
                JsonTypes::one(ParamKind::Integer)
            } else {
                first
            }
        }
    }
}

/// Joins what schemas say of which one must fit.
pub(super) fn unite_shapes(variants: Vec<ValueShape>) -> ValueShape {
    let count = variants.len();
    let mut variants = variants.into_iter();
    let Some(mut whole) = variants.next() else { return ValueShape::default() };
    let mut seen: Vec<(String, usize)> =
        whole.members.iter().map(|member| (member.name.clone(), 1)).collect();
    let mut differs = false;
    // What one variant requires, the others need not have.
    let mut wanted = std::mem::take(&mut whole.wanted);
    for mut variant in variants {
        loosen(&mut whole, &mut variant);
        wanted.extend(variant.wanted);
        for member in variant.members {
            match whole.members.iter_mut().find(|known| known.name == member.name) {
                Some(known) => {
                    known.required &= member.required;
                    let own = std::mem::take(&mut known.shape);
                    known.shape = unite_shapes(vec![own, member.shape]);
                    if let Some((_, times)) = seen.iter_mut().find(|(name, _)| *name == known.name)
                    {
                        *times += 1;
                    }
                }
                None => {
                    differs = true;
                    if whole.members.len() < MAX_MEMBERS {
                        seen.push((member.name.clone(), 1));
                        whole.members.push(member);
                    }
                }
            }
        }
    }
    for member in &mut whole.members {
        let times =
            seen.iter().find(|(name, _)| *name == member.name).map_or(0, |(_, times)| *times);
        if times < count {
            differs = true;
            member.required = false;
        }
    }
    whole.has_variants |= differs;
    for name in wanted {
        if whole.members.len() < MAX_MEMBERS && whole.members.iter().all(|it| it.name != name) {
            let shape = ValueShape::default();
            whole.members.push(ShapeMember { name, required: false, place: String::new(), shape });
        }
    }
    whole
}

/// Takes out of what is said of a schema what another one, which may stand for it, does not say.
fn loosen(whole: &mut ValueShape, variant: &mut ValueShape) {
    // One that says nothing allows everything.
    whole.kinds = if whole.kinds.is_any() || variant.kinds.is_any() {
        JsonTypes::default()
    } else {
        whole.kinds.union(variant.kinds)
    };
    if whole.values.is_empty() || variant.values.is_empty() {
        whole.values.clear();
    } else {
        for value in std::mem::take(&mut variant.values) {
            if !whole.values.contains(&value) {
                whole.values.push(value);
            }
        }
    }
    whole.format = whole.format.take().filter(|format| variant.format.as_ref() == Some(format));
    whole.min = whole.min.take().filter(|min| variant.min.as_ref() == Some(min));
    whole.max = whole.max.take().filter(|max| variant.max.as_ref() == Some(max));
    whole.minimum = whole.minimum.take().filter(|it| variant.minimum.as_ref() == Some(it));
    whole.maximum = whole.maximum.take().filter(|it| variant.maximum.as_ref() == Some(it));
    whole.checks.retain(|check| variant.checks.contains(check));
    whole.default = whole.default.take().or(variant.default.take());
    whole.example = whole.example.take().or(variant.example.take());
    whole.description = whole.description.take().or(variant.description.take());
    whole.nullable |= variant.nullable;
    whole.is_binary |= variant.is_binary;
    whole.is_open |= variant.is_open;
    whole.is_cut |= variant.is_cut;
    whole.has_variants |= variant.has_variants;
    whole.deprecated &= variant.deprecated;
    whole.read_only &= variant.read_only;
    whole.items = whole.items.take().or(variant.items.take());
}
