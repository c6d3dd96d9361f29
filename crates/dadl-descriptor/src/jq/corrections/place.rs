//! Values at paths: set, deleted, and made room for, as jq does it.

use jaq_json::{Error, Map, Rc, Val, ValR};

use super::number;

/// An index beyond this is refused, as it would only fill the memory.
const LARGEST_INDEX: usize = 50_000_000;

/// Returns the parts of a path.
pub(super) fn path_parts(path: &Val) -> Result<&[Val], Error> {
    match path {
        Val::Arr(parts) => Ok(parts),
        _ => Err(Error::str("a path must be specified as an array")),
    }
}

/// Puts `new` at `path`; what is missing on the way is made.
pub(super) fn set_path(value: Val, path: &[Val], new: Val) -> ValR {
    let Some((first, rest)) = path.split_first() else { return Ok(new) };
    change_at(value, first, |member| set_path(member, rest, new))
}

/// Makes what is missing on the way to `path`, so that an update finds it.
pub(super) fn grow_path(value: Val, path: &[Val]) -> ValR {
    let Some((first, rest)) = path.split_first() else { return Ok(value) };
    match (&value, first) {
        // What is there need not be made, and what is wrong fails where it is used.
        (Val::Null | Val::Obj(_), Val::TStr(_)) | (Val::Null | Val::Arr(_), Val::Num(_)) => {
            change_at(value, first, |member| grow_path(member, rest))
        }
        _ => Ok(value),
    }
}

/// Changes the member, item or slice that `part` names.
fn change_at(value: Val, part: &Val, change: impl FnOnce(Val) -> ValR) -> ValR {
    match (value, part) {
        (Val::Null, Val::TStr(_)) => change_at(Val::obj(Map::default()), part, change),
        (Val::Null, Val::Num(_) | Val::Obj(_)) => change_at(Val::Arr(Rc::default()), part, change),
        (Val::Obj(mut members), key @ Val::TStr(_)) => {
            let member = Rc::make_mut(&mut members).entry(key.clone()).or_default();
            *member = change(std::mem::take(member))?;
            Ok(Val::Obj(members))
        }
        (Val::Arr(mut items), Val::Num(index)) => {
            let index = number::round_whole(index.clone(), f64::floor).as_isize();
            let at = index.and_then(|index| match usize::try_from(index) {
                Ok(at) => Some(at),
                Err(_) => items.len().checked_add_signed(index),
            });
            let at = at.ok_or_else(|| Error::str("out of bounds negative array index"))?;
            if at > LARGEST_INDEX {
                return Err(Error::str("array index too large"));
            }
            let array = Rc::make_mut(&mut items);
            if at >= array.len() {
                array.resize(at + 1, Val::Null);
            }
            if let Some(item) = array.get_mut(at) {
                *item = change(std::mem::take(item))?;
            }
            Ok(Val::Arr(items))
        }
        (Val::Arr(mut items), Val::Obj(bounds)) => {
            let (start, end) = slice(bounds, items.len());
            let array = Rc::make_mut(&mut items);
            let part: Vec<Val> = array.get(start..end).unwrap_or_default().to_vec();
            let Val::Arr(part) = change(Val::Arr(Rc::new(part)))? else {
                return Err(Error::str("a slice of an array can only be assigned another array"));
            };
            array.splice(start..end, part.iter().cloned());
            Ok(Val::Arr(items))
        }
        (value, part) => Err(Error::index(value, part.clone())),
    }
}

/// Deletes what is at `path`, keeping the order of the other members.
pub(super) fn delete_path(value: Val, path: &[Val]) -> ValR {
    let Some((first, rest)) = path.split_first() else { return Ok(Val::Null) };
    match (value, first) {
        (Val::Null, _) => Ok(Val::Null),
        (Val::Obj(mut members), key @ Val::TStr(_)) => {
            let object = Rc::make_mut(&mut members);
            if rest.is_empty() {
                object.shift_remove(key);
            } else if let Some(member) = object.get_mut(key) {
                *member = delete_path(std::mem::take(member), rest)?;
            }
            Ok(Val::Obj(members))
        }
        (Val::Arr(mut items), Val::Num(index)) => {
            let length = items.len();
            let index =
                number::round_whole(index.clone(), f64::floor).as_isize().and_then(|index| {
                    let at = if index < 0 {
                        length.checked_add_signed(index)
                    } else {
                        usize::try_from(index).ok()
                    };
                    at.filter(|at| *at < length)
                });
            let Some(index) = index else { return Ok(Val::Arr(items)) };
            let array = Rc::make_mut(&mut items);
            if rest.is_empty() {
                array.remove(index);
            } else if let Some(item) = array.get_mut(index) {
                *item = delete_path(std::mem::take(item), rest)?;
            }
            Ok(Val::Arr(items))
        }
        (Val::Arr(mut items), Val::Obj(bounds)) => {
            let (start, end) = slice(bounds, items.len());
            let array = Rc::make_mut(&mut items);
            if start < end {
                if rest.is_empty() {
                    array.drain(start..end);
                } else {
                    let part: Vec<Val> = array.drain(start..end).collect();
                    let part = delete_path(Val::Arr(Rc::new(part)), rest)?;
                    if let Val::Arr(part) = part {
                        array.splice(start..start, part.iter().cloned());
                    }
                }
            }
            Ok(Val::Arr(items))
        }
        (value, part) => Err(Error::index(value, part.clone())),
    }
}

/// Returns the bounds of a slice of `length` items.
fn slice(bounds: &Map, length: usize) -> (usize, usize) {
    let bound = |name: &str, round: fn(f64) -> f64, default: usize| {
        let number = match bounds.get(&Val::from(name.to_owned())) {
            Some(Val::Num(number)) => number::round_whole(number.clone(), round).as_isize(),
            _ => None,
        };
        number.map_or(default, |at| {
            let from_end = length.saturating_add_signed(at);
            if at < 0 { from_end } else { at.unsigned_abs().min(length) }
        })
    };
    let start = bound("start", f64::floor, 0);
    (start, bound("end", f64::ceil, length).max(start))
}
