//! The values that a text may be, as TypeScript has them: `"on"|"off"`.

use serde_json::Value;

use crate::catalog::collapse_spaces;

/// How many values are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChoiceRoom {
    /// How many of them.
    pub(super) most: usize,
    /// In how many characters.
    pub(super) characters: usize,
}

/// Writes values, each of them whole; `None` where there is none that has room.
pub(super) fn choice(values: &[Value], room: ChoiceRoom) -> Option<String> {
    let mut text = String::new();
    let mut written = 0;
    let mut is_cut = false;
    for value in values.iter().filter(|value| !value.is_null()) {
        let is_long = value.as_str().is_some_and(|it| it.len() > 4 * room.characters);
        let value = if is_long { String::new() } else { collapse_spaces(&value.to_string()) };
        let length = text.chars().count() + value.chars().count();
        if written == room.most || value.is_empty() || length >= room.characters {
            is_cut = true;
            break;
        }
        if written > 0 {
            text.push('|');
        }
        text.push_str(&value);
        written += 1;
    }
    if is_cut && written > 0 {
        text.push_str("|...");
    }
    (written > 0).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_whole_and_within_their_room() {
        let room = ChoiceRoom { most: 3, characters: 20 };
        let written = |values: Value| choice(values.as_array().unwrap(), room);
        assert_eq!(written(json!(["on", null, "off"])).unwrap(), "\"on\"|\"off\"");
        assert_eq!(written(json!([1, 2, 3, 4])).unwrap(), "1|2|3|...");
        let long = "x".repeat(1_000);
        assert_eq!(written(json!(["on", long])).unwrap(), "\"on\"|...");
        assert_eq!(written(json!([long, "on"])), None);
        assert_eq!(written(json!([])), None);
    }
}
