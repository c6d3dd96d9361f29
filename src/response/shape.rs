//! A decoded answer becomes the result: `result_path`, `transform`, `redact`, the caller's jq,
//! `max_items`.
//!
//! The order is a matter of security: a caller's program sees what redaction left, and redaction
//! sees what the author's program made. Filters run elsewhere; the caller says how.

use dadl_descriptor::model::{
    ResponseRules,
    json_path::{JsonPath, PathError},
};
use dadl_text::growth;

use super::{MASK, page};
use crate::outcome::JsonText;

/// What lies outside of this module: the processes that run jq programs, and the room for large answers.
pub(crate) trait RunFilter {
    /// What a program fails with.
    type Error;

    /// Runs `program` on a JSON text and returns a JSON text.
    fn run(
        &self,
        program: &str,
        input: &JsonText,
    ) -> impl Future<Output = Result<JsonText, Self::Error>> + Send;

    /// Notes that a text of `before` bytes became one of `after`.
    ///
    /// # Errors
    ///
    /// There is no room for it; so much there is in all.
    fn resized(&self, before: usize, after: usize) -> Result<(), u64>;

    /// Does what takes time with a text of `size` bytes, where it holds up nobody else.
    fn work<T: Send>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send,
    ) -> impl Future<Output = T> + Send;
}

/// Why there is no result; `E` is what a filter fails with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ShapeError<E> {
    /// The caller's program failed.
    Jq(E),
    /// Nothing is where `result_path` looks.
    NothingAt(String),
    /// A path cannot be followed within bounds: the key that has it, and the path.
    Path(&'static str, String, PathError),
    /// There is no room for it beside the other answers, which share so many bytes.
    Room(u64),
    /// The author's program failed.
    Transform(E),
}

/// Makes the result of what `result_path` selected, and the sentence that belongs to it. It has at most
/// `most` bytes, or as many as were selected.
pub(crate) async fn shape_result<F: RunFilter>(
    mut text: JsonText,
    rules: &ResponseRules,
    jq: Option<&str>,
    filters: &F,
    most: usize,
) -> Result<(JsonText, Option<String>), ShapeError<F::Error>> {
    if let Some(transform) = &rules.transform {
        let made = filters.run(transform.as_str(), &text).await;
        text = made.map_err(ShapeError::Transform)?;
    }
    if !rules.redact.is_empty() {
        let size = text.as_str().len();
        let redacted = filters.work(size, || redact_paths(text, &rules.redact, most)).await;
        text = redacted.map_err(|error| {
            let paths: Vec<&str> = rules.redact.iter().map(JsonPath::as_str).collect();
            ShapeError::Path("redact", paths.join(", "), error)
        })?;
        filters.resized(size, text.as_str().len()).map_err(ShapeError::Room)?;
    }
    if let Some(jq) = jq {
        text = filters.run(jq, &text).await.map_err(ShapeError::Jq)?;
    }
    let Some(most) = rules.max_items else { return Ok((text, None)) };
    Ok(filters.work(text.as_str().len(), || cut_items(text, most)).await)
}

/// Masks what `paths` select.
pub(crate) fn redact_paths(
    text: JsonText,
    paths: &[JsonPath],
    most: usize,
) -> Result<JsonText, PathError> {
    let mask = JsonText::string(MASK);
    let redacted = JsonPath::mask(paths, text.as_str(), mask.as_str(), most)?;
    Ok(redacted.map_or(text, JsonText::trusted))
}

/// Selects the result: one value, or an array where the path can match several.
pub(crate) fn select_path<E>(
    text: JsonText,
    path: Option<&JsonPath>,
    most: usize,
) -> Result<JsonText, ShapeError<E>> {
    let Some(path) = path else { return Ok(text) };
    let written = || path.as_str().to_owned();
    let failed = |error| ShapeError::Path("result_path", written(), error);
    let nothing = || ShapeError::NothingAt(written());
    if let Some(names) = path.names() {
        if names.is_empty() {
            return Ok(text);
        }
        // Such a path is followed however deep the others are nested.
        return text.member(&names).ok_or_else(nothing);
    }
    if path.is_singular() {
        let found = path.first(text.as_str()).map_err(failed)?.ok_or_else(nothing)?;
        return Ok(JsonText::trusted(growth::copy(found)));
    }
    path.array(text.as_str(), most.max(text.as_str().len())).map(JsonText::trusted).map_err(failed)
}

/// Cuts an array to `most` items without taking its items apart.
fn cut_items(text: JsonText, most: usize) -> (JsonText, Option<String>) {
    let Some(mut items) = text.items() else { return (text, None) };
    // Items are parts of the text.
    let start = text.as_str().as_ptr().addr();
    let (mut shown, mut end) = (0, "[".len());
    for item in items.by_ref().take(most) {
        shown += 1;
        end = item.as_ptr().addr().saturating_sub(start) + item.len();
    }
    let Some(note) = page::cut_note(shown + items.count(), Some(most)) else { return (text, None) };
    let mut part = text.into_string();
    let before = part.len();
    part.truncate(end);
    part.push(']');
    (JsonText::trusted(growth::shortened(part, before)), Some(note))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Nothing in these tests is larger.
    const MOST: usize = 1000;

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

        fn resized(&self, _: usize, _: usize) -> Result<(), u64> {
            Ok(())
        }

        async fn work<T: Send>(&self, _: usize, work: impl FnOnce() -> T + Send) -> T {
            work()
        }
    }

    fn rules(path: &str, transform: &str, redact: &[&str], most: Option<usize>) -> ResponseRules {
        let compile = |path: &&str| JsonPath::compile(path).unwrap();
        ResponseRules {
            result_path: Some(path).filter(|path| !path.is_empty()).as_ref().map(compile),
            transform: Some(transform)
                .filter(|it| !it.is_empty())
                .map(|it| dadl_descriptor::jq::JqFilter::new(it).unwrap()),
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
            let selected = select_path(text, rules.result_path.as_ref(), MOST)?;
            shape_result(selected, rules, jq, &filters, MOST).await
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
        assert_eq!(of("$[1]", None).as_deref(), Ok("123456789012345678901234567890"));
        assert_eq!(of("$.x", None), Err(ShapeError::NothingAt("$.x".to_owned())));
        assert_eq!(of("$[7]", None), Err(ShapeError::NothingAt("$[7]".to_owned())));
        let deep = rules("$.a.b-c", "", &[], None);
        let (result, _) = shaped(r#"{"x":[{}],"a":{"b-c":1,"b-c":2.50}}"#, &deep, None);
        assert_eq!(result.as_deref(), Ok("2.50"));
        let odd = r#"[{"a":1.0,"b":[1.00]}]"#;
        let (redacted, _) = shaped(odd, &rules("", "", &["$[*].a"], None), None);
        assert_eq!(redacted.as_deref(), Ok(r#"[{"a":"[REDACTED]","b":[1.00]}]"#));
        let all = rules("$[*].a", "", &[], None);
        assert_eq!(shaped(r#"[{"a":1},{},{"a":2}]"#, &all, None).0.as_deref(), Ok("[1,2]"));
    }

    #[test]
    fn what_cannot_be_hidden_is_not_shown() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let (result, _) = shaped(&deep, &rules("", "", &["$..a"], None), None);
        let error = ShapeError::Path("redact", "$..a".to_owned(), PathError::Deep);
        assert_eq!(result, Err(error));
        let many = format!("[{}0]", "0,".repeat(200));
        let (result, _) = shaped(&many, &rules("", "", &["$[*]"], None), None);
        assert_eq!(result, Err(ShapeError::Path("redact", "$[*]".to_owned(), PathError::Large)));
        let (result, _) = shaped(&deep, &rules("$..*", "", &[], None), None);
        assert!(matches!(result, Err(ShapeError::Path("result_path", _, PathError::Deep))));
    }
}
