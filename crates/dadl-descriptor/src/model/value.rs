//! What the kinds of parameters accept: JSON Schema's type words and the lossless conversions.
//!
//! Models send `"5"` for 5, `"true"` for true and JSON in a string for an object. Such a value is
//! converted when nothing is lost by it; everything else stays wrong, and the caller says so.

use serde_json::{Number, Value};

use super::ParamKind;

/// Integers up to here are exact in a double (2^53). A larger one that arrives as a double may
/// have lost digits when it was parsed.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl ParamKind {
    /// Returns JSON Schema's words for the types; none for any.
    pub fn schema_types(self) -> Vec<&'static str> {
        match self {
            Self::Union(kinds) => kinds.iter().map(Self::word).collect(),
            one => vec![one.word()],
        }
    }

    /// Returns whether `value` is of this kind as it is.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Array => value.is_array(),
            Self::Boolean => value.is_boolean(),
            Self::FileUrl | Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Object => value.is_object(),
            Self::Union(kinds) => kinds.is_any() || kinds.iter().any(|kind| kind.accepts(value)),
        }
    }

    /// Returns `value` as this kind when nothing is lost by it, and the value itself otherwise.
    pub fn coerce(self, value: Value) -> Result<Value, Value> {
        if self.accepts(&value) {
            return Ok(value);
        }
        let converted = match (self, &value) {
            (Self::Union(kinds), _) => {
                kinds.iter().find_map(|kind| kind.coerce(value.clone()).ok())
            }
            (Self::Array | Self::Object, Value::String(text)) => {
                serde_json::from_str(text).ok().filter(|inner| self.accepts(inner))
            }
            // Python writes them with a capital letter.
            (Self::Boolean, Value::String(text)) => {
                let is = |word: &str| text.eq_ignore_ascii_case(word);
                (is("true") || is("false")).then(|| Value::Bool(is("true")))
            }
            (Self::Integer, Value::Number(number)) => integer(number),
            (Self::Integer, Value::String(text)) => {
                serde_json::from_str(text).ok().and_then(|number| integer(&number))
            }
            (Self::Number, Value::String(text)) => {
                serde_json::from_str(text).ok().map(Value::Number)
            }
            (Self::String, Value::Bool(flag)) => Some(Value::String(flag.to_string())),
            (Self::String, Value::Number(number)) => text(number),
            _ => None,
        };
        converted.ok_or(value)
    }
}

/// Returns a number without a fraction as an integer.
fn integer(number: &Number) -> Option<Value> {
    if number.is_i64() || number.is_u64() {
        return Some(Value::Number(number.clone()));
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT)?;
    // Exact: there is no fraction, and the magnitude is at most 2^53.
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    Some(Value::from(float as i64))
}

/// Returns the digits of a number that has kept all of them.
fn text(number: &Number) -> Option<Value> {
    let kept = number.as_f64().is_some_and(|float| float.abs() < EXACT)
        || number.is_i64()
        || number.is_u64();
    kept.then(|| Value::String(number.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn gives(kind: ParamKind, value: Value, expected: Value) {
        assert_eq!(kind.coerce(value), Ok(expected));
    }

    fn refuses(kind: ParamKind, value: Value) {
        assert_eq!(kind.coerce(value.clone()), Err(value));
    }

    #[test]
    fn integers_keep_their_digits() {
        let kind = ParamKind::Integer;
        gives(kind, json!("5"), json!(5));
        gives(kind, json!(5.0), json!(5));
        gives(kind, json!("-1"), json!(-1));
        gives(kind, json!("9007199254740993"), json!(9_007_199_254_740_993_u64));
        gives(kind, json!(u64::MAX.to_string()), json!(u64::MAX));
        gives(kind, json!(i64::MIN.to_string()), json!(i64::MIN));
        refuses(kind, json!("18446744073709551616"));
        refuses(kind, serde_json::from_str("18446744073709551616").unwrap());
        for wrong in [json!("5.5"), json!(5.5), json!("007"), json!("five"), json!(""), json!(true)]
        {
            refuses(kind, wrong);
        }
    }

    #[test]
    fn other_scalars_convert_where_nothing_is_lost() {
        gives(ParamKind::Number, json!("1.5"), json!(1.5));
        gives(ParamKind::Boolean, json!("true"), json!(true));
        gives(ParamKind::Boolean, json!("false"), json!(false));
        gives(ParamKind::Boolean, json!("True"), json!(true));
        gives(ParamKind::String, json!(5), json!("5"));
        gives(ParamKind::String, json!(true), json!("true"));
        gives(ParamKind::String, json!(u64::MAX), json!("18446744073709551615"));
        refuses(ParamKind::Number, json!("NaN"));
        refuses(ParamKind::Boolean, json!("yes"));
        refuses(ParamKind::Boolean, json!(1));
        refuses(ParamKind::String, json!(1e30));
        refuses(ParamKind::String, json!({}));
        refuses(ParamKind::FileUrl, json!(5));
    }

    #[test]
    fn containers_come_out_of_strings_and_scalars_are_not_wrapped() {
        gives(ParamKind::Array, json!("[1]"), json!([1]));
        gives(ParamKind::Object, json!("{\"a\":1}"), json!({"a": 1}));
        refuses(ParamKind::Array, json!("a"));
        refuses(ParamKind::Array, json!(1));
        refuses(ParamKind::Array, json!("{}"));
        refuses(ParamKind::Object, json!("[]"));
    }
}
