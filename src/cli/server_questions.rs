//! What other servers ask for during a call, in plain lines at a terminal.
//!
//! A person sees whose question it is, and answers field by field; an empty line takes what is there
//! already, or leaves the field out. No answer goes anywhere else.

use std::io::{self, Write};

use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Number, Value};

use super::{console::masked_screen, report::ColorMode};
use crate::executor::{Elicitation, QuestionAnswer, ServerQuestion, ServerQuestions};

/// A field is asked for so many times until its answer can be one.
const MOST_TRIES: usize = 3;

/// Asks the person at the terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskingTerminal;

impl ServerQuestions for AskingTerminal {
    fn ask(&self, question: ServerQuestion) -> BoxFuture<'_, QuestionAnswer> {
        async move {
            let ServerQuestion::Person(elicitation) = question else {
                return QuestionAnswer::Unput("there is no model at a terminal".to_owned());
            };
            // Reading a line waits for a person.
            let asked = crate::spawn::blocking(move || {
                let mut screen = masked_screen(io::stderr(), ColorMode::Never);
                ask(&elicitation, &mut screen, &mut io::stdin().lock())
            });
            match asked.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => QuestionAnswer::Closed,
            }
        }
        .boxed()
    }
}

fn ask(
    elicitation: &Elicitation,
    screen: &mut dyn Write,
    input: &mut dyn io::BufRead,
) -> io::Result<QuestionAnswer> {
    let (message, schema) = match elicitation {
        Elicitation::Form { message, schema } => (message, Some(schema)),
        Elicitation::Page { message, .. } => (message, None),
    };
    writeln!(screen, "\n{message}")?;
    if let Elicitation::Page { url, .. } = elicitation {
        writeln!(screen, "It wants you to open this page in a browser:\n  {url}")?;
        let Some(answer) = line("Have you done so? [y/N] ", screen, input)? else {
            return Ok(QuestionAnswer::Closed);
        };
        return Ok(if is_yes(&answer) {
            QuestionAnswer::Given(Value::Object(Map::new()))
        } else {
            QuestionAnswer::Declined
        });
    }
    let Some(answer) = line("Answer it? [y/N] ", screen, input)? else {
        return Ok(QuestionAnswer::Closed);
    };
    if !is_yes(&answer) {
        return Ok(QuestionAnswer::Declined);
    }
    let schema = schema.cloned().unwrap_or_default();
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let fields = schema.get("properties").and_then(Value::as_object);
    let mut given = Map::new();
    for (name, field) in fields.into_iter().flatten() {
        let is_required = required.iter().any(|it| it.as_str() == Some(name));
        match ask_field(name, field, is_required, screen, input)? {
            FieldAnswer::Given(value) => drop(given.insert(name.clone(), value)),
            FieldAnswer::LeftOut => {}
            FieldAnswer::NoneThere => return Ok(QuestionAnswer::Closed),
        }
    }
    Ok(QuestionAnswer::Given(Value::Object(given)))
}

/// What a person says of a field.
enum FieldAnswer {
    Given(Value),
    LeftOut,
    /// The field is needed, and there is no answer that could be one.
    NoneThere,
}

fn ask_field(
    name: &str,
    field: &Value,
    is_required: bool,
    screen: &mut dyn Write,
    input: &mut dyn io::BufRead,
) -> io::Result<FieldAnswer> {
    let text = |key: &str| field.get(key).and_then(Value::as_str);
    if let Some(description) = text("description") {
        writeln!(screen, "{description}")?;
    }
    let choices = choices(field);
    if !choices.is_empty() {
        writeln!(screen, "  {}", choices.join(" | "))?;
    }
    let default = field.get("default");
    let there = default.map(|it| format!(" [{it}]")).unwrap_or_default();
    let needed = if is_required { "" } else { " (optional)" };
    let prompt = format!("{}{needed}{there}: ", text("title").unwrap_or(name));
    for _ in 0..MOST_TRIES {
        let Some(answer) = line(&prompt, screen, input)? else {
            return Ok(FieldAnswer::NoneThere);
        };
        if answer.is_empty() {
            match default {
                Some(default) => return Ok(FieldAnswer::Given(default.clone())),
                None if !is_required => return Ok(FieldAnswer::LeftOut),
                None => continue,
            }
        }
        match value(&answer, field, &choices) {
            Some(value) => return Ok(FieldAnswer::Given(value)),
            None => writeln!(screen, "That is not what is asked for.")?,
        }
    }
    Ok(FieldAnswer::NoneThere)
}

/// Returns what may be chosen.
fn choices(field: &Value) -> Vec<String> {
    let of = |list: Option<&Value>| -> Vec<String> {
        let items = list.and_then(Value::as_array).into_iter().flatten();
        let value = |it: &Value| it.get("const").unwrap_or(it).as_str().map(str::to_owned);
        items.filter_map(value).collect()
    };
    let items = field.get("items");
    let lists = [
        field.get("enum"),
        field.get("oneOf"),
        items.and_then(|it| it.get("enum")),
        items.and_then(|it| it.get("anyOf")),
    ];
    lists.into_iter().flat_map(of).collect()
}

/// Reads what a person wrote as a value of a field.
fn value(answer: &str, field: &Value, choices: &[String]) -> Option<Value> {
    let is_choice = |it: &str| choices.is_empty() || choices.iter().any(|choice| choice == it);
    match field.get("type").and_then(Value::as_str)? {
        "boolean" => match answer.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" => Some(true.into()),
            "n" | "no" | "false" => Some(false.into()),
            _ => None,
        },
        "integer" => answer.parse::<i64>().ok().map(Value::from),
        "number" => answer.parse().ok().and_then(Number::from_f64).map(Value::Number),
        "array" => {
            let items: Vec<&str> = answer.split(',').map(str::trim).collect();
            items.iter().all(|it| is_choice(it)).then(|| items.into())
        }
        _ => is_choice(answer).then(|| answer.into()),
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Asks for a line; there is none at the end of the input.
fn line(
    prompt: &str,
    screen: &mut dyn Write,
    input: &mut dyn io::BufRead,
) -> io::Result<Option<String>> {
    write!(screen, "{prompt}")?;
    screen.flush()?;
    let mut answer = String::new();
    let read = input.read_line(&mut answer)?;
    Ok((read > 0).then(|| answer.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(schema: Value, input: &str) -> (QuestionAnswer, String) {
        let Value::Object(schema) = schema else { panic!("no schema") };
        let form = Elicitation::Form { message: "It asks.".to_owned(), schema };
        let mut screen = Vec::new();
        let answer = ask(&form, &mut screen, &mut input.as_bytes()).unwrap();
        (answer, String::from_utf8(screen).unwrap())
    }

    #[test]
    fn a_form_is_asked_for_field_by_field() {
        let schema = json!({
            "properties": {
                "name": { "type": "string", "title": "Your name" },
                "age": { "type": "integer", "default": 3 },
                "color": { "type": "string", "enum": ["red", "blue"] },
                "sure": { "type": "boolean" },
                "more": { "type": "string" },
            },
            "required": ["name"],
        });
        let (answer, screen) = answered(schema.clone(), "y\n\nAda\n\ngreen\nred\nyes\n\n");
        let expected = json!({ "name": "Ada", "age": 3, "color": "red", "sure": true });
        assert_eq!(answer, QuestionAnswer::Given(expected), "{screen}");
        assert!(screen.contains("It asks.") && screen.contains("Your name: "), "{screen}");
        assert!(screen.contains("red | blue") && screen.contains("[3]"), "{screen}");
        assert_eq!(answered(schema.clone(), "n\n").0, QuestionAnswer::Declined);
        assert_eq!(answered(schema.clone(), "").0, QuestionAnswer::Closed);
        assert_eq!(answered(schema, "y\n\n\n\n").0, QuestionAnswer::Closed);
    }
}
