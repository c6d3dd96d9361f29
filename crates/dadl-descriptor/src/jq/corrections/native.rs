//! The library: what comes from `jaq`, without what reaches beyond the input, and what jq has
//! beside it.

use std::{collections::HashMap, sync::LazyLock};

use jaq_core::{
    Bind, Native, RunPtr,
    data::JustLut,
    load::parse::Def,
    native::{Filter, bome, run, unary, v},
};
use jaq_json::{Error, Map, Num, Val, read};

use super::{number, pattern, place, rewrite};
use crate::jq::{definitions, print};

/// What programs work on.
type JqData = JustLut<Val>;

/// Filters of `jaq` that do not exist here: they end the process, read the environment or the
/// machine's time zone.
const REMOVED: &[&str] = &["env", "halt", "localtime", "strflocaltime"];

/// Definitions of `jaq` that do not exist here, or that are replaced.
const REPLACED: &[&str] = &["halt", "halt_error", "tostring"];

/// All definitions; later ones use and hide those before them. Ours are last, but for what the
/// definitions of `jaq` use themselves.
struct JqLibrary {
    definitions: Vec<Def>,
    /// Where the definitions of a name are.
    places: HashMap<&'static str, Vec<usize>>,
    /// The places of what a definition may use.
    uses: Vec<Vec<usize>>,
}

static LIBRARY: LazyLock<JqLibrary> = LazyLock::new(|| {
    let first = definitions::definitions(
        "def tostring: _tostring;
         def has($key): _has($key);
         def limit($n; f): if $n < 0 then f else _limit($n; f) end;",
    );
    let theirs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !REPLACED.contains(&definition.name));
    let ours = definitions::definitions(include_str!("defs.jq"));
    let definitions: Vec<Def> = first.into_iter().chain(theirs).chain(ours).collect();
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, definition) in definitions.iter().enumerate() {
        places.entry(definition.name).or_default().push(at);
    }
    let places_of = |text: &str| -> Vec<usize> {
        lower_words(text).filter_map(|word| places.get(word)).flatten().copied().collect()
    };
    // Their names are words of what `Debug` prints, among others.
    let uses = definitions.iter().map(|it| places_of(&format!("{:?}", it.body))).collect();
    JqLibrary { definitions, places, uses }
});

/// Returns the definitions that a program with this text may use, in the order in which they hide
/// each other. The others would only take time to compile.
pub(in crate::jq) fn definitions<'text>(text: &str) -> Vec<Def<&'text str>> {
    let library = &*LIBRARY;
    let mut wanted: Vec<usize> = lower_words(text)
        .chain(rewrite::DEFINITIONS.iter().copied())
        .filter_map(|word| library.places.get(word))
        .flatten()
        .copied()
        .collect();
    let mut is_used = vec![false; library.definitions.len()];
    while let Some(at) = wanted.pop() {
        if let Some(seen) = is_used.get_mut(at)
            && !std::mem::replace(seen, true)
        {
            wanted.extend(library.uses.get(at).into_iter().flatten());
        }
    }
    // A definition of the program has a shorter life; these take part in it.
    let shorter = |definition: Def<&'static str>| -> Def<&'text str> { definition };
    let used = library.definitions.iter().zip(is_used).filter(|(_, is_used)| *is_used);
    used.map(|(definition, _)| shorter(definition.clone())).collect()
}

/// Returns the name and the number of arguments of each definition.
#[cfg(test)]
pub(in crate::jq) fn names() -> impl Iterator<Item = (&'static str, usize)> {
    LIBRARY.definitions.iter().map(|definition| (definition.name, definition.args.len()))
}

/// Returns all that could be a name in a program, with the `@` of a format.
fn lower_words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@');
    text.split(move |c| !is_part(c)).filter(|word| !word.is_empty())
}

/// Returns all native filters.
pub(in crate::jq) fn filters<'text>()
-> impl Iterator<Item = (&'text str, Box<[Bind]>, Native<JqData>)> {
    let theirs = jaq_core::funs::<JqData>().chain(jaq_std::funs()).chain(jaq_json::funs());
    theirs
        .filter(|(name, ..)| !REMOVED.contains(name))
        .map(|(name, arguments, filter)| (renamed(name), arguments, filter))
        .chain(ours())
        .map(|(name, arguments, filter)| (name as &'text str, arguments, filter))
}

/// Gives a name to filters of `jaq` that definitions of the same name here use.
fn renamed(name: &'static str) -> &'static str {
    match name {
        "fromjson" => "_jaq_fromjson",
        "has" => "_has",
        "implode" => "_implode",
        "limit" => "_limit",
        "ltrimstr" => "_ltrimstr",
        "mktime" => "_mktime",
        "rtrimstr" => "_rtrimstr",
        "strftime" => "_strftime",
        "tojson" => "_jaq_tojson",
        other => other,
    }
}

fn ours() -> impl Iterator<Item = Filter<Native<JqData>>> {
    let filters: [Filter<RunPtr<JqData>>; 18] = [
        ("_tostring", v(0), |cv| bome(Ok(print::value_string(cv.1)))),
        ("tojson", v(0), |cv| bome(Ok(Val::utf8_str(print::value_json(&cv.1))))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("_isnull", v(0), |cv| bome(Ok(Val::from(matches!(cv.1, Val::Null))))),
        ("_floor", v(0), |cv| bome(Ok(rounded(cv.1, f64::floor)))),
        ("_ceil", v(0), |cv| bome(Ok(rounded(cv.1, f64::ceil)))),
        ("_trunc", v(0), |cv| bome(Ok(rounded(cv.1, f64::trunc)))),
        ("_divisor", v(0), |cv| bome(divisor(cv.1))),
        ("_base32", v(0), |cv| bome(text(cv.1).map(|it| Val::utf8_str(base32(&it))))),
        ("_base32d", v(0), |cv| bome(decoded(cv.1, "base32", from_base32))),
        ("_base64d", v(0), |cv| bome(decoded(cv.1, "base64", from_base64))),
        ("_delpath", v(1), |cv| {
            unary(cv, |value, path| place::delete_path(value, place::path_parts(&path)?))
        }),
        ("_grow", v(1), |cv| {
            unary(cv, |value, path| place::grow_path(value, place::path_parts(&path)?))
        }),
        ("_setpath", v(2), |mut cv| {
            let (new, path) = (cv.0.pop_var(), cv.0.pop_var());
            bome(place::path_parts(&path).and_then(|path| place::set_path(cv.1, path, new)))
        }),
        ("_test", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(pattern::test(&cv.1, &re, &flags))
        }),
        ("_match", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(pattern::find_matches(&cv.1, &re, &flags))
        }),
        ("_pieces", v(2), |mut cv| {
            let (flags, re) = (cv.0.pop_var(), cv.0.pop_var());
            bome(pattern::split_matches(&cv.1, &re, &flags))
        }),
        ("_weave", v(2), |mut cv| {
            let (inserts, gaps) = (cv.0.pop_var(), cv.0.pop_var());
            bome(pattern::weave(&gaps, &inserts))
        }),
    ];
    filters.into_iter().map(run::<JqData>)
}

/// Parses one JSON text; jq takes `nan` too.
fn from_json(value: &Val) -> Result<Val, Error> {
    let Val::TStr(text) = value else {
        return Err(Error::str(format_args!("{value} cannot be parsed as JSON")));
    };
    if text.trim_ascii() == b"nan" {
        return Ok(Val::Num(Num::Float(f64::NAN)));
    }
    read::parse_single(text)
        .map_err(|error| Error::str(format_args!("{error} (while parsing {value})")))
}

/// Refuses zero: jq does not divide by it.
fn divisor(value: Val) -> Result<Val, Error> {
    let is_zero = matches!(&value, Val::Num(number) if *number == Num::Int(0));
    if is_zero {
        return Err(Error::str("cannot divide, because the divisor is zero"));
    }
    Ok(value)
}

fn decoded(value: Val, name: &str, decode: fn(&[u8]) -> Option<Vec<u8>>) -> Result<Val, Error> {
    let fail = || Error::str(format_args!("the input is not valid {name} data"));
    text(value).and_then(|text| decode(&text).map(Val::utf8_str).ok_or_else(fail))
}

/// Decodes the standard alphabet, with or without padding.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    use base64::{
        Engine as _,
        alphabet::STANDARD,
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |at| at + 1);
    GeneralPurpose::new(&STANDARD, config).decode(text.get(..end)?).ok()
}

/// Makes an index of a number with a fraction.
fn rounded(value: Val, round: fn(f64) -> f64) -> Val {
    match value {
        Val::Num(number) => Val::Num(number::round_whole(number, round)),
        other => other,
    }
}

/// Returns `$__loc__`, which says nothing here.
pub(in crate::jq) fn location() -> Val {
    let members = [("file", Val::from("<top-level>".to_owned())), ("line", Val::from(1_usize))];
    let members = members.map(|(key, value)| (Val::from(key.to_owned()), value));
    Val::obj(members.into_iter().collect::<Map>())
}

/// Returns the bytes of a string.
fn text(value: Val) -> Result<Vec<u8>, Error> {
    match value {
        Val::TStr(bytes) | Val::BStr(bytes) => Ok(bytes.to_vec()),
        other => Err(Error::typ(other, "string")),
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
