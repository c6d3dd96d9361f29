//! A decoded answer becomes the result: `result_path`, `transform`, `redact`, the caller's jq,
//! `max_items`.
//!
//! The order is a matter of security: a caller's program sees what redaction left, and redaction
//! sees what the author's program made. Filters run elsewhere; the caller says how.

use serde_json::Value;

use super::{MASK, page};
use crate::{
    descriptor::{json_path::JsonPath, model::ResponseRules},
    outcome::JsonText,
};

/// Runs jq programs.
pub(crate) trait RunFilter {
    /// What a program fails with.
    type Error;

    /// Runs `program` on a JSON text and returns a JSON text.
    fn run(
        &self,
        program: &str,
        input: &JsonText,
    ) -> impl Future<Output = Result<JsonText, Self::Error>> + Send;
}

/// Why there is no result; `E` is what a filter fails with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ShapeError<E> {
    /// The caller's program failed.
    Jq(E),
    /// Nothing is where `result_path` looks.
    NothingAt(String),
    /// The value has to be taken apart and is nested too deeply for that.
    TooDeep(String),
    /// The author's program failed.
    Transform(E),
}

/// The result on its way: text until something has to be taken out of it.
pub(crate) enum Shaped {
    Text(JsonText),
    Tree(Value),
}

impl Shaped {
    /// Returns how many items the result has, when it is a list.
    pub(crate) fn items(&self) -> Option<usize> {
        match self {
            Self::Text(text) => text.items().map(|items| items.len()),
            Self::Tree(value) => value.as_array().map(Vec::len),
        }
    }

    fn tree<E>(self) -> Result<Value, ShapeError<E>> {
        match self {
            Self::Text(text) => {
                text.value().map_err(|error| ShapeError::TooDeep(error.to_string()))
            }
            Self::Tree(value) => Ok(value),
        }
    }

    pub(crate) fn text(self) -> JsonText {
        match self {
            Self::Text(text) => text,
            Self::Tree(value) => JsonText::from(&value),
        }
    }
}

/// Makes the result of what `result_path` selected, and the sentence that belongs to it.
pub(crate) async fn shape<F: RunFilter>(
    mut shaped: Shaped,
    rules: &ResponseRules,
    jq: Option<&str>,
    filters: &F,
) -> Result<(JsonText, Option<String>), ShapeError<F::Error>> {
    if let Some(transform) = &rules.transform {
        let made = filters.run(transform.as_str(), &shaped.text()).await;
        shaped = Shaped::Text(made.map_err(ShapeError::Transform)?);
    }
    if !rules.redact.is_empty() {
        let mut value = shaped.tree()?;
        for path in &rules.redact {
            path.replace_all(&mut value, &Value::from(MASK));
        }
        shaped = Shaped::Tree(value);
    }
    if let Some(jq) = jq {
        let made = filters.run(jq, &shaped.text()).await;
        shaped = Shaped::Text(made.map_err(ShapeError::Jq)?);
    }
    match shaped {
        Shaped::Tree(mut value) => {
            let note = page::cut(&mut value, rules.max_items);
            Ok((JsonText::from(&value), note))
        }
        Shaped::Text(text) => Ok(cut(text, rules.max_items)),
    }
}

/// Selects the result: one value, or an array where the path can match several.
pub(crate) fn select<E>(text: JsonText, path: Option<&JsonPath>) -> Result<Shaped, ShapeError<E>> {
    let shaped = Shaped::Text(text);
    let Some(path) = path else { return Ok(shaped) };
    let nothing = || ShapeError::NothingAt(path.as_str().to_owned());
    if let (Shaped::Text(text), Some(names)) = (&shaped, path.names()) {
        // A path of names only is followed in the text, where numbers keep their digits.
        return text.member(&names).map(Shaped::Text).ok_or_else(nothing);
    }
    let mut value = shaped.tree()?;
    if path.is_singular() {
        return path.take(&mut value).map(Shaped::Tree).ok_or_else(nothing);
    }
    let found = path.all(&value).into_iter().cloned().collect();
    Ok(Shaped::Tree(Value::Array(found)))
}

/// Cuts an array to `max_items` without taking its items apart.
fn cut(text: JsonText, max_items: Option<usize>) -> (JsonText, Option<String>) {
    let items = match max_items {
        Some(_) => text.items().unwrap_or_default(),
        None => return (text, None),
    };
    let note = page::cut_note(items.len(), max_items);
    match max_items.filter(|_| note.is_some()) {
        Some(most) => {
            let items: Vec<&str> = items.iter().take(most).map(|item| item.get()).collect();
            (JsonText::array(&items), note)
        }
        None => (text, None),
    }
}
