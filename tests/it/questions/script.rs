//! The question set as it is written down; the head of `tests/questions.yaml` explains it.

use dadl_descriptor::jq::JqProgram;
use serde_json::{Map, Value, json};

const TEXT: &str = include_str!("../../questions.yaml");

/// All questions, in the order of the file.
pub(crate) fn questions() -> Vec<Question> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        questions: Vec<Question>,
    }
    serde_saphyr::from_str::<Document>(TEXT).unwrap().questions
}

/// What somebody asks, how a good answer is found, and who may have it.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// A name for messages.
    pub(crate) id: String,
    /// The words of the person.
    pub(crate) ask: String,
    #[serde(default)]
    pub(crate) over: Over,
    #[serde(default)]
    pub(crate) person: Person,
    /// Whose token the server has.
    #[serde(default, rename = "as")]
    pub(crate) account: Account,
    /// Names and lengths of files that are there to be sent.
    #[serde(default)]
    pub(crate) files: Map<String, Value>,
    pub(crate) access: ByAccess,
    pub(crate) steps: Vec<Step>,
}

/// How the host reaches the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Over {
    #[default]
    Stdio,
    Http,
}

/// Who is asked before a dangerous call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Person {
    #[default]
    Agrees,
    Declines,
    /// The host cannot ask anybody.
    Absent,
}

/// Who the server is to Xen Orchestra.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Account {
    #[default]
    Administrator,
    /// May see VMs, hosts, pools and tasks, and start and stop VMs.
    Alice,
}

/// What becomes of a question with each access.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ByAccess {
    pub(crate) read: Outcome,
    pub(crate) write: Outcome,
    pub(crate) all: Outcome,
}

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Outcome {
    /// All steps go well.
    Answered,
    /// The call of this tool is refused.
    Refused { tool: String, why: Why },
}

/// Why a tool is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its access level is not allowed.
    Needs(String),
    /// The error has these words.
    Says(String),
}

impl TryFrom<String> for Outcome {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = |tool: &str, why| Self::Refused { tool: tool.to_owned(), why };
        match text.split_once(" needs ").or_else(|| text.split_once(" says ")) {
            None if text == "answered" => Ok(Self::Answered),
            None => Err(format!("`{text}` is no outcome")),
            Some((tool, level)) if text.contains(" needs ") => {
                Ok(refused(tool, Why::Needs(level.to_owned())))
            }
            Some((tool, words)) => Ok(refused(tool, Why::Says(words.to_owned()))),
        }
    }
}

/// One call, or one for each of several values.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// The tool.
    pub(crate) call: String,
    /// Its arguments, with `${name}` for bound values.
    #[serde(default = "no_arguments")]
    pub(crate) with: Value,
    /// The name of a bound list; the call is made for each item, which is `${item}`.
    pub(crate) each: Option<String>,
    /// New names and the jq programs that find their values in the answer.
    #[serde(default)]
    pub(crate) bind: Map<String, Value>,
    /// jq programs on the answer, and what they must give.
    #[serde(default)]
    pub(crate) expect: Map<String, Value>,
    /// The call fails, with these words in the error.
    pub(crate) fails: Option<String>,
    /// The answer has a note with these words.
    pub(crate) notes: Option<String>,
}

fn no_arguments() -> Value {
    json!({})
}

/// The values that earlier steps found.
#[derive(Debug, Default, Clone)]
pub(crate) struct Bound(Map<String, Value>);

impl Bound {
    /// Keeps a value under a name.
    pub(crate) fn insert(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Returns a value.
    pub(crate) fn get(&self, name: &str) -> Result<&Value, String> {
        self.0.get(name).ok_or_else(|| format!("nothing is bound to `{name}`"))
    }

    /// Replaces `${name}` in all strings of a value; one that is nothing else keeps its type.
    pub(crate) fn fill(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match alone(text) {
                Some(name) => self.get(name)?.clone(),
                None => self.fill_text(text)?.into(),
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let filled = members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.fill(value)?)))
                    .collect::<Result<_, String>>()?;
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }

    /// Replaces `${name}` in a text.
    pub(crate) fn fill_text(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or("a `${` has no end")?;
            filled.push_str(before);
            match self.get(name)? {
                Value::String(value) => filled.push_str(value),
                other => filled.push_str(&other.to_string()),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Runs a jq program on an answer; bound values are `$name`.
    pub(crate) fn run(&self, program: &str, answer: &Value) -> Result<Value, String> {
        let mut text = String::new();
        for name in self.0.keys() {
            text.push_str(&format!(".bound.{name} as ${name} | "));
        }
        text.push_str(&format!(".answer | ({program})"));
        let compiled =
            JqProgram::compile(&text).map_err(|error| format!("`{program}`: {error}"))?;
        let input = json!({ "bound": self.0, "answer": answer }).to_string();
        let output =
            compiled.run(input, 1 << 20).map_err(|error| format!("`{program}`: {error}"))?;
        serde_json::from_slice(&output).map_err(|error| format!("`{program}`: {error}"))
    }
}

/// Returns the name when a text is one `${name}` and nothing else.
fn alone(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains('}')).then_some(name)
}
