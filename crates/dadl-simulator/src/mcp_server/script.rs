//! What a server does when it is asked for something.
//!
//! A script is a mapping. `greeting` is text that the server writes before it reads anything,
//! `ignores_end: true` lets it live on when its input has ended, and `on` has steps for a method
//! (`tools/list`), or for what is named by a request (`tools/call echo`). Steps are a list, or `rounds`
//! with a list of such lists: one for each time, the last one for all that follow. No steps are no
//! answer. `resources`, `templates` and `prompts` are lists of what the server has, as they are listed, with
//! their `text`, `blob` or `messages`; `completions` has lists of values by the name of an argument, and
//! `capabilities` is what the server says that it can do. A step has one of these keys:
//!
//! | key | what the server does |
//! | --- | --- |
//! | `answer: true` | answers as it would without a script |
//! | `result: VALUE` | answers with this result |
//! | `error: {code, message}` | answers with this error |
//! | `notify: {method, params}` | sends a notification |
//! | `ask: {method, params}` | sends a request of its own, and waits for the answer |
//! | `await: METHOD` | waits for a message of this method |
//! | `updated: URI` | tells that a resource has changed, where that was subscribed to |
//! | `changed: LIST` | tells that the list of `tools`, `prompts` or `resources` has changed |
//! | `text: TEXT` | writes this text, without an end of line; with `times: N`, so many times |
//! | `stderr: TEXT` | writes it to standard error; with `times: N` as well |
//! | `exit: CODE` | ends |
//!
//! In all of them these words, as whole strings in their quotes, stand for values: `"$id"` and `"$token"` for
//! the id and the progress token of the request, `"$params"` for its parameters, `"$count"` for how often
//! the same was asked, `"$answer"` for the answer to the last request of the server, `"$subscriptions"` for
//! the resources that are subscribed to, `"$environment"` for the environment, `"$directory"` for the working directory, `"$process"` for the number of the process, and
//! `"$seen"` for the methods of all messages that were handled.

use std::collections::HashMap;

use serde_json::Value;

use super::content::ServerContent;

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A part is of another kind.
    #[error("`{place}` of the script has to be {expected}")]
    Kind {
        /// Its key.
        place: String,
        /// With an article.
        expected: &'static str,
    },
    /// A key means nothing there.
    #[error("the script has a key `{key}` in `{place}`, where only these mean something: {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it is.
        place: String,
        /// Those that mean something.
        known: &'static str,
    },
}

/// What a server does instead of what it would do.
#[derive(Debug, Clone, Default)]
pub struct ServerScript {
    pub(super) greeting: String,
    pub(super) ignores_end: bool,
    pub(super) content: ServerContent,
    /// The steps of each round by method, or by method and name.
    rounds: HashMap<String, Vec<Vec<ScriptStep>>>,
}

/// One thing that a server does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ScriptStep {
    Answer,
    Ask(Value),
    Await(String),
    Changed(String),
    Error(Value),
    Exit(u8),
    Notify(Value),
    Result(Value),
    Text { text: String, times: u64, is_error: bool },
    Updated(String),
}

const TOP: &str =
    "capabilities, completions, greeting, ignores_end, on, prompts, resources, templates";
const STEPS: &str =
    "answer, ask, await, changed, error, exit, notify, result, stderr, text, times, updated";

impl ServerScript {
    /// Reads a script.
    ///
    /// # Errors
    ///
    /// See [`ScriptError`].
    pub fn read(script: &Value) -> Result<Self, ScriptError> {
        let mut read = Self::default();
        let top = script.as_object().ok_or_else(|| kind("", "a mapping"))?;
        for (key, value) in top {
            match key.as_str() {
                "greeting" => read.greeting = text(value, key)?,
                "ignores_end" => {
                    read.ignores_end = value.as_bool().ok_or_else(|| kind(key, "true or false"))?;
                }
                "on" => {
                    let on = value.as_object().ok_or_else(|| kind(key, "a mapping"))?;
                    for (asked, steps) in on {
                        read.rounds.insert(asked.clone(), read_rounds(steps, asked)?);
                    }
                }
                "capabilities" => read.content.capabilities = Some(value.clone()),
                "completions" => {
                    let values = value.as_object().ok_or_else(|| kind(key, "a mapping"))?;
                    read.content.completions = Some(values.clone());
                }
                "prompts" => read.content.prompts = Some(list(value, key)?),
                "resources" => read.content.resources = Some(list(value, key)?),
                "templates" => read.content.templates = Some(list(value, key)?),
                _ => return Err(unknown(key, "the top", TOP)),
            }
        }
        Ok(read)
    }

    /// Returns the steps for a request that is the first, second, .. of its kind, if it has any.
    pub(super) fn steps(&self, method: &str, name: &str, round: usize) -> Option<&[ScriptStep]> {
        let named = self.rounds.get(&format!("{method} {name}"));
        let rounds = named.or_else(|| self.rounds.get(method))?;
        rounds.get(round).or_else(|| rounds.last()).map(Vec::as_slice)
    }
}

fn read_rounds(value: &Value, place: &str) -> Result<Vec<Vec<ScriptStep>>, ScriptError> {
    match value.get("rounds") {
        Some(Value::Array(rounds)) => rounds.iter().map(|steps| read_steps(steps, place)).collect(),
        Some(_) => Err(kind(place, "a mapping whose `rounds` is a list")),
        None => Ok(vec![read_steps(value, place)?]),
    }
}

fn read_steps(value: &Value, place: &str) -> Result<Vec<ScriptStep>, ScriptError> {
    let steps = value.as_array().ok_or_else(|| kind(place, "a list of steps"))?;
    steps.iter().map(|step| read_step(step, place)).collect()
}

fn read_step(step: &Value, place: &str) -> Result<ScriptStep, ScriptError> {
    let members = step.as_object().ok_or_else(|| kind(place, "a list of mappings"))?;
    let times = match members.get("times") {
        None => 1,
        Some(times) => times.as_u64().ok_or_else(|| kind("times", "a number"))?,
    };
    let mut keys = members.iter().filter(|(key, _)| *key != "times");
    let (Some((key, value)), None) = (keys.next(), keys.next()) else {
        return Err(kind(place, "a list of mappings with one key each"));
    };
    Ok(match key.as_str() {
        "answer" => ScriptStep::Answer,
        "ask" => ScriptStep::Ask(value.clone()),
        "await" => ScriptStep::Await(text(value, key)?),
        "changed" => ScriptStep::Changed(text(value, key)?),
        "error" => ScriptStep::Error(value.clone()),
        "exit" => {
            let code = value.as_u64().and_then(|code| u8::try_from(code).ok());
            ScriptStep::Exit(code.ok_or_else(|| kind(key, "a number up to 255"))?)
        }
        "notify" => ScriptStep::Notify(value.clone()),
        "result" => ScriptStep::Result(value.clone()),
        "stderr" => ScriptStep::Text { text: text(value, key)?, times, is_error: true },
        "text" => ScriptStep::Text { text: text(value, key)?, times, is_error: false },
        "updated" => ScriptStep::Updated(text(value, key)?),
        _ => return Err(unknown(key, place, STEPS)),
    })
}

fn text(value: &Value, place: &str) -> Result<String, ScriptError> {
    value.as_str().map(str::to_owned).ok_or_else(|| kind(place, "text"))
}

fn list(value: &Value, place: &str) -> Result<Vec<Value>, ScriptError> {
    value.as_array().cloned().ok_or_else(|| kind(place, "a list"))
}

fn kind(place: &str, expected: &'static str) -> ScriptError {
    let place = if place.is_empty() { "the top" } else { place };
    ScriptError::Kind { place: place.to_owned(), expected }
}

fn unknown(key: &str, place: &str, known: &'static str) -> ScriptError {
    ScriptError::UnknownKey { key: key.to_owned(), place: place.to_owned(), known }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rounds_go_on_with_the_last_and_a_name_comes_first() {
        let script = ServerScript::read(&json!({ "on": {
            "tools/call": [{ "exit": 1 }],
            "tools/call echo": { "rounds": [[{ "exit": 2 }], []] },
        } }))
        .unwrap();
        let steps = |name: &str, round| script.steps("tools/call", name, round).unwrap().to_vec();
        assert_eq!(steps("other", 5), [ScriptStep::Exit(1)]);
        assert_eq!(steps("echo", 0), [ScriptStep::Exit(2)]);
        assert_eq!(steps("echo", 1), []);
        assert_eq!(steps("echo", 9), []);
        assert!(script.steps("tools/list", "", 0).is_none());
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (script, expected) in [
            (json!([]), "`the top` of the script has to be a mapping"),
            (json!({ "no": 1 }), "a key `no` in `the top`"),
            (json!({ "on": { "ping": [{ "say": 1 }] } }), "a key `say` in `ping`"),
            (json!({ "on": { "ping": [{ "exit": 256 }] } }), "`exit` of the script"),
            (json!({ "on": { "ping": [{ "exit": 1, "text": "" }] } }), "one key each"),
            (json!({ "on": { "ping": { "rounds": 1 } } }), "`rounds` is a list"),
        ] {
            let error = ServerScript::read(&script).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
