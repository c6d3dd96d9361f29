//! What a request must have and no caller needs to say.

use dadl_descriptor::model::{ParamKind, ParamLocation, ParamStyle};
use serde_json::Value;

use crate::model::{ApiOperation, OperationInput};

/// A longer default is left to the caller, in bytes of JSON.
const MAX_DEFAULT: usize = 200;

/// Leaves a default to the inputs that every request has, in the type that they have. An optional
/// one that is absent is what the server knows best.
pub(super) fn settle_defaults(operation: &mut ApiOperation) {
    for input in &mut operation.inputs {
        let default = input.default.take().filter(|_| input.required);
        input.default = default.and_then(|default| of_kind(default, input));
    }
}

fn of_kind(default: Value, input: &OperationInput) -> Option<Value> {
    if input.form.style != ParamStyle::Usual || input.form.whole.is_some() {
        return None;
    }
    let takes_text = input.union.is_none_or(|kinds| kinds.contains(ParamKind::String));
    // In a JSON body a number is no text.
    let is_text = takes_text && input.union.is_some() && input.location != ParamLocation::Body;
    let fits = match (&default, input.kind) {
        // Nothing says what it is but the value itself.
        (Value::Number(number), ParamKind::String) if is_text => {
            return Some(number.to_string().into());
        }
        (Value::Bool(value), ParamKind::String) if is_text => {
            return Some(value.to_string().into());
        }
        _ if !takes_text => false,
        (Value::String(text), ParamKind::String) => !text.is_empty(),
        (Value::Number(number), ParamKind::Integer) => number.is_i64() || number.is_u64(),
        (Value::Number(_), ParamKind::Number) | (Value::Bool(_), ParamKind::Boolean) => true,
        (Value::Array(_), ParamKind::Array) | (Value::Object(_), ParamKind::Object) => true,
        _ => false,
    };
    (fits && default.to_string().len() <= MAX_DEFAULT).then_some(default)
}

#[cfg(test)]
mod tests {
    use dadl_descriptor::model::KindList;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_default_has_the_type_of_its_parameter() {
        let made = |kind, value: Value| {
            let input = OperationInput::new("it", ParamLocation::Query, kind, "/");
            of_kind(value, &input)
        };
        assert_eq!(made(ParamKind::String, json!("a")), Some(json!("a")));
        assert_eq!(made(ParamKind::Integer, json!(3)), Some(json!(3)));
        assert_eq!(made(ParamKind::Integer, json!(3.5)), None);
        assert_eq!(made(ParamKind::String, json!(3)), None);
        assert_eq!(made(ParamKind::String, json!("a".repeat(300))), None);
        assert_eq!(made(ParamKind::FileUrl, json!("a")), None);
        assert_eq!(made(ParamKind::Array, json!(["a"])), Some(json!(["a"])));
        let any = |location, value| {
            let union = Some(KindList::any());
            of_kind(
                value,
                &OperationInput {
                    union,
                    ..OperationInput::new("it", location, ParamKind::String, "/")
                },
            )
        };
        assert_eq!(any(ParamLocation::Header, json!(3)), Some(json!("3")));
        assert_eq!(any(ParamLocation::Body, json!(3)), None);
        assert_eq!(any(ParamLocation::Body, json!("a")), Some(json!("a")));
    }
}
