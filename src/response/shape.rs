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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Notes what it runs, and gives what the program says after a colon; `.items` gives an item.
    #[derive(Default)]
    struct Noting(Mutex<Vec<String>>);

    impl RunFilter for Noting {
        type Error = String;

        async fn run(&self, program: &str, input: &JsonText) -> Result<JsonText, String> {
            self.0.lock().unwrap().push(format!("{program} <- {}", input.as_str()));
            match program.split_once(':') {
                None if program == ".items" => Ok(JsonText::trusted(r#"[{"k":1}]"#.to_owned())),
                Some((_, given)) => Ok(JsonText::trusted(given.to_owned())),
                None => Err(format!("{program} failed")),
            }
        }
    }

    fn rules(path: &str, transform: &str, redact: &[&str], most: Option<usize>) -> ResponseRules {
        let compile = |path: &&str| JsonPath::compile(path).unwrap();
        ResponseRules {
            result_path: Some(path).filter(|path| !path.is_empty()).as_ref().map(compile),
            transform: Some(transform)
                .filter(|it| !it.is_empty())
                .map(|it| crate::jq::Filter::new(it).unwrap()),
            redact: redact.iter().map(compile).collect(),
            max_items: most,
            ..ResponseRules::default()
        }
    }

    /// Shapes a text; returns the result with its note, and what the filters saw.
    fn shaped(
        text: &str,
        rules: &ResponseRules,
        jq: Option<&str>,
    ) -> (Result<String, ShapeError<String>>, Vec<String>) {
        let filters = Noting::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = JsonText::parse(text).unwrap();
        let result = runtime.block_on(async {
            shape(select(text, rules.result_path.as_ref())?, rules, jq, &filters).await
        });
        let result = result.map(|(text, note)| text.into_string() + &note.unwrap_or_default());
        (result, filters.0.into_inner().unwrap())
    }

    #[test]
    fn the_order_is_path_transform_redact_jq_and_cut() {
        let rules = rules("$.a", ".items", &["$[*].k"], Some(1));
        let (result, seen) = shaped(r#"{"a":[1]}"#, &rules, Some("j:[1,2]"));
        assert_eq!(seen, [".items <- [1]", r#"j:[1,2] <- [{"k":"[REDACTED]"}]"#]);
        let note = "cut to the first 1 of 2 items; narrow the call to see the others";
        assert_eq!(result, Ok(format!("[1]{note}")));
    }

    #[test]
    fn a_caller_sees_what_redaction_left() {
        let rules = rules("", "", &["$[*].k"], None);
        let (result, seen) = shaped(r#"[{"k":"hidden"}]"#, &rules, Some("j:7"));
        assert_eq!(seen, [r#"j:7 <- [{"k":"[REDACTED]"}]"#]);
        assert_eq!(result, Ok("7".to_owned()));
    }

    #[test]
    fn a_filter_that_fails_ends_it() {
        let of_author = rules("", "error", &[], None);
        let (result, _) = shaped("[1]", &of_author, Some("j:7"));
        assert_eq!(result, Err(ShapeError::Transform("error failed".to_owned())));
        let (result, _) = shaped("[1]", &rules("", "", &[], None), Some("j"));
        assert_eq!(result, Err(ShapeError::Jq("j failed".to_owned())));
    }

    #[test]
    fn text_is_not_taken_apart_without_need() {
        let digits = "[1.000,123456789012345678901234567890]";
        let of = |path: &str, most| shaped(digits, &rules(path, "", &[], most), None).0;
        assert_eq!(of("", None).as_deref(), Ok(digits));
        assert_eq!(of("$", None).as_deref(), Ok(digits));
        assert!(of("", Some(1)).is_ok_and(|it| it.starts_with("[1.000]cut")));
        assert_eq!(of("$[1]", None).as_deref(), Ok("1.2345678901234568e+29"));
        assert_eq!(of("$.x", None), Err(ShapeError::NothingAt("$.x".to_owned())));
        assert_eq!(of("$[7]", None), Err(ShapeError::NothingAt("$[7]".to_owned())));
        let deep = rules("$.a.b-c", "", &[], None);
        let (result, _) = shaped(r#"{"x":[{}],"a":{"b-c":1,"b-c":2.50}}"#, &deep, None);
        assert_eq!(result.as_deref(), Ok("2.50"));
        let all = rules("$[*].a", "", &[], None);
        assert_eq!(shaped(r#"[{"a":1},{},{"a":2}]"#, &all, None).0.as_deref(), Ok("[1,2]"));
    }
}
