//! The library: what comes from `jaq`, without what reaches beyond the input, and what jq has
//! beside it.

use jaq_core::{
    Bind, Native, RunPtr,
    data::JustLut,
    load::parse::Def,
    native::{Filter, bome, run, unary, v},
};
use jaq_json::{Map, Rc, Val};

use super::{number, print, program};

/// What programs work on.
type Data = JustLut<Val>;

/// Filters of `jaq` that do not exist here: they end the process, read the environment or the
/// machine's time zone.
const REMOVED: &[&str] = &["env", "halt", "localtime", "strflocaltime"];

/// Definitions of `jaq` that do not exist here, or that are replaced.
const REPLACED: &[&str] = &["halt", "halt_error", "tostring"];

/// Returns all definitions; later ones use and hide those before them. Ours are last, but for what
/// the definitions of `jaq` use themselves.
pub(super) fn definitions<'text>() -> impl Iterator<Item = Def<&'text str>> {
    let first = program::definitions(
        "def tostring: _tostring;
         def limit($n; f): if $n < 0 then f else _limit($n; f) end;",
    );
    let theirs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !REPLACED.contains(&definition.name));
    let ours = program::definitions(include_str!("defs.jq"));
    // A definition of the program has a shorter life; these take part in it.
    let shorter = |definition: Def<&'static str>| -> Def<&'text str> { definition };
    first.into_iter().chain(theirs).chain(ours).map(shorter)
}

/// Returns all native filters.
pub(super) fn filters<'text>() -> impl Iterator<Item = (&'text str, Box<[Bind]>, Native<Data>)> {
    let theirs = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
    theirs
        .filter(|(name, ..)| !REMOVED.contains(name))
        .map(|(name, arguments, filter)| (renamed(name), arguments, filter))
        .chain(ours())
        .map(|(name, arguments, filter)| (name as &'text str, arguments, filter))
}

/// Gives a name to filters of `jaq` that definitions of the same name here use.
fn renamed(name: &'static str) -> &'static str {
    match name {
        "limit" => "_limit",
        "ltrimstr" => "_ltrimstr",
        "rtrimstr" => "_rtrimstr",
        "tojson" => "_jaq_tojson",
        "implode" => "_implode",
        "strptime" => "_strptime",
        "mktime" => "_mktime",
        "gmtime" => "_gmtime",
        "strftime" => "_strftime",
        other => other,
    }
}

fn ours() -> impl Iterator<Item = Filter<Native<Data>>> {
    let filters: [Filter<RunPtr<Data>>; 8] = [
        ("_tostring", v(0), |cv| bome(Ok(print::string(cv.1)))),
        ("tojson", v(0), |cv| bome(Ok(Val::utf8_str(print::json(&cv.1))))),
        ("_isnull", v(0), |cv| bome(Ok(Val::from(matches!(cv.1, Val::Null))))),
        ("_floor", v(0), |cv| bome(Ok(rounded(cv.1, f64::floor)))),
        ("_ceil", v(0), |cv| bome(Ok(rounded(cv.1, f64::ceil)))),
        ("_base32", v(0), |cv| bome(text(cv.1).map(|it| Val::utf8_str(base32(&it))))),
        ("_base32d", v(0), |cv| {
            bome(text(cv.1).and_then(|it| match from_base32(&it) {
                Some(bytes) => Ok(Val::utf8_str(bytes)),
                None => Err(jaq_json::Error::str("the input is not valid base32 data")),
            }))
        }),
        ("_delpath", v(1), |cv| {
            unary(cv, |value, path| match path {
                Val::Arr(path) => delete(value, &path),
                other => Err(jaq_json::Error::typ(other, "path")),
            })
        }),
    ];
    filters.into_iter().map(run::<Data>)
}

/// Makes an index of a number with a fraction.
fn rounded(value: Val, round: fn(f64) -> f64) -> Val {
    match value {
        Val::Num(number) => Val::Num(number::whole(number, round)),
        other => other,
    }
}

/// Returns `$__loc__`, which says nothing here.
pub(super) fn location() -> Val {
    let members = [("file", Val::from("<top-level>".to_owned())), ("line", Val::from(1_usize))];
    let members = members.map(|(key, value)| (Val::from(key.to_owned()), value));
    Val::obj(members.into_iter().collect::<Map>())
}

/// Deletes what is at `path`, keeping the order of the other members.
fn delete(value: Val, path: &[Val]) -> jaq_json::ValR {
    let Some((first, rest)) = path.split_first() else { return Ok(Val::Null) };
    let fail = |value: Val| {
        Err(jaq_json::Error::str(format_args!("Cannot delete field at index of {}", kind(&value))))
    };
    match (value, first) {
        (Val::Null, _) => Ok(Val::Null),
        (Val::Obj(mut members), key @ Val::TStr(_)) => {
            let object = Rc::make_mut(&mut members);
            if rest.is_empty() {
                object.shift_remove(key);
            } else if let Some(member) = object.get_mut(key) {
                *member = delete(std::mem::take(member), rest)?;
            }
            Ok(Val::Obj(members))
        }
        (Val::Arr(mut items), Val::Num(index)) => {
            let length = items.len();
            let index = number::whole(index.clone(), f64::floor).as_isize().and_then(|index| {
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
                *item = delete(std::mem::take(item), rest)?;
            }
            Ok(Val::Arr(items))
        }
        (Val::Arr(mut items), Val::Obj(bounds)) => {
            let length = items.len();
            let bound = |name: &str, round: fn(f64) -> f64, default: usize| {
                let number = match bounds.get(&Val::from(name.to_owned())) {
                    Some(Val::Num(number)) => number::whole(number.clone(), round).as_isize(),
                    _ => None,
                };
                number.map_or(default, |at| {
                    let at =
                        if at < 0 { length.saturating_add_signed(at) } else { at.unsigned_abs() };
                    at.min(length)
                })
            };
            let (start, end) = (bound("start", f64::floor, 0), bound("end", f64::ceil, length));
            let array = Rc::make_mut(&mut items);
            if start < end {
                if rest.is_empty() {
                    array.drain(start..end);
                } else {
                    let part: Vec<Val> = array.drain(start..end).collect();
                    let part = delete(Val::Arr(Rc::new(part)), rest)?;
                    if let Val::Arr(part) = part {
                        array.splice(start..start, part.iter().cloned());
                    }
                }
            }
            Ok(Val::Arr(items))
        }
        (value, _) => fail(value),
    }
}

fn kind(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "boolean",
        Val::Num(_) => "number",
        Val::TStr(_) | Val::BStr(_) => "string",
        Val::Arr(_) => "array",
        Val::Obj(_) => "object",
    }
}

/// Returns the bytes of a string.
fn text(value: Val) -> Result<Vec<u8>, jaq_json::Error> {
    match value {
        Val::TStr(bytes) | Val::BStr(bytes) => Ok(bytes.to_vec()),
        other => Err(jaq_json::Error::typ(other, "string")),
    }
}

/// The digits of RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, at| {
            bits << 8 | u64::from(group.get(at).copied().unwrap_or_default())
        });
        let digits = (group.len() * 8).div_ceil(5);
        for at in 0..8 {
            let digit = BASE32.get((bits >> (35 - 5 * at) & 31) as usize).copied();
            text.push(if at < digits { digit.unwrap_or(b'=') } else { b'=' });
        }
    }
    text
}

fn from_base32(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.trim_ascii_end();
    let end = digits.iter().rposition(|byte| *byte != b'=').map_or(0, |at| at + 1);
    let mut bytes = Vec::with_capacity(end * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.get(..end)? {
        let value = BASE32.iter().position(|known| known == digit)?;
        bits = (bits << 5 | u32::try_from(value).ok()?) & 0xFFFF;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    Some(bytes)
}
