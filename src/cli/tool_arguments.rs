//! `key=value` words and `--args` become the arguments of a call.

use std::{io::Read as _, path::Path};

use serde_json::{Map, Value, map::Entry};

use super::failure::CliFailure;

/// Reads the arguments: first the object of `--args`, over it the words.
pub(super) fn read_arguments(
    words: &[String],
    args: Option<&str>,
) -> Result<Map<String, Value>, CliFailure> {
    let mut arguments = match args {
        Some(args) => parse_object(&read_text(args)?)?,
        None => Map::new(),
    };
    arguments.extend(parse_words(words).map_err(CliFailure::usage)?);
    Ok(arguments)
}

/// Why a word is no argument. The caller's fault.
#[derive(Debug, thiserror::Error)]
enum WordError<'word> {
    /// Nothing says which argument it is.
    #[error("`{0}` has no name before `=`")]
    Nameless(&'word str),
    /// It was to be JSON.
    #[error("the value of `{key}` is not JSON: {error}")]
    NoJson { key: &'word str, error: serde_json::Error },
    /// It has no value.
    #[error("`{0}` is no argument; write key=value, or key:=json")]
    NoValue(&'word str),
}

/// Reads `key=text` and `key:=json`; values of a repeated key become a list.
fn parse_words(words: &[String]) -> Result<Map<String, Value>, WordError<'_>> {
    let mut arguments = Map::new();
    for word in words {
        let Some((key, text)) = word.split_once('=') else {
            return Err(WordError::NoValue(word));
        };
        let (key, value) = match key.strip_suffix(':') {
            Some(key) => {
                let value = serde_json::from_str(text);
                (key, value.map_err(|error| WordError::NoJson { key, error })?)
            }
            None => (key, Value::from(text)),
        };
        if key.is_empty() {
            return Err(WordError::Nameless(word));
        }
        add_argument(&mut arguments, key, value, words);
    }
    Ok(arguments)
}

fn add_argument(arguments: &mut Map<String, Value>, key: &str, value: Value, words: &[String]) {
    match arguments.entry(key) {
        Entry::Vacant(vacant) => {
            // A list that was given whole stays whole; a key that comes again makes a new one.
            let again = words.iter().filter(|word| names(word, key)).count() > 1;
            vacant.insert(if again { Value::Array(vec![value]) } else { value });
        }
        Entry::Occupied(mut occupied) => {
            if let Value::Array(values) = occupied.get_mut() {
                values.push(value);
            }
        }
    }
}

fn names(word: &str, key: &str) -> bool {
    let before = word.split_once('=').map(|(before, _)| before);
    before.is_some_and(|before| before.strip_suffix(':').unwrap_or(before) == key)
}

/// Returns the JSON text of `--args`.
fn read_text(args: &str) -> Result<String, CliFailure> {
    let fail = |what: &str, error: std::io::Error| {
        CliFailure::usage(format!("--args: {what} cannot be read: {error}"))
    };
    match args.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(Path::new(path)).map_err(|error| fail(path, error)),
        None if args == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| fail("standard input", error))?;
            Ok(text)
        }
        None => Ok(args.to_owned()),
    }
}

fn parse_object(text: &str) -> Result<Map<String, Value>, CliFailure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(CliFailure::usage("--args is no JSON object")),
        Err(error) => Err(CliFailure::usage(format!("--args is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn parsed(words: &[&str]) -> Value {
        Value::Object(parse_words(&owned(words)).unwrap())
    }

    fn error(word: &str) -> String {
        parse_words(&owned(&[word])).unwrap_err().to_string()
    }

    #[test]
    fn words_are_text_unless_marked_as_json() {
        assert_eq!(parsed(&["a=1", "b:=1", "c="]), json!({"a": "1", "b": 1, "c": ""}));
        assert_eq!(parsed(&["a=b=c", "d=e:=f"]), json!({"a": "b=c", "d": "e:=f"}));
        assert_eq!(parsed(&["a:={\"b\": null}"]), json!({"a": {"b": null}}));
    }

    #[test]
    fn a_repeated_key_makes_a_list() {
        assert_eq!(parsed(&["a=1", "b=2", "a=3"]), json!({"a": ["1", "3"], "b": "2"}));
        assert_eq!(parsed(&["a:=[1]", "a=2"]), json!({"a": [[1], "2"]}));
        assert_eq!(parsed(&["a:=[1]"]), json!({"a": [1]}));
    }

    #[test]
    fn says_what_is_no_argument() {
        insta::assert_snapshot!(error("vm"), @"`vm` is no argument; write key=value, or key:=json");
        insta::assert_snapshot!(error("=1"), @"`=1` has no name before `=`");
        insta::assert_snapshot!(error("a:=b"), @"the value of `a` is not JSON: expected value at line 1 column 1");
    }

    #[test]
    fn words_go_over_the_object() {
        let words = ["a=2".to_owned()];
        let arguments = read_arguments(&words, Some(r#"{"a": 1, "b": 1}"#)).unwrap();
        assert_eq!(Value::Object(arguments), json!({"a": "2", "b": 1}));
        assert!(
            read_arguments(&[], Some("[1]")).unwrap_err().to_string().contains("no JSON object")
        );
        assert!(
            read_arguments(&[], Some("@/no/such/file"))
                .unwrap_err()
                .to_string()
                .contains("/no/such/file")
        );
    }
}
