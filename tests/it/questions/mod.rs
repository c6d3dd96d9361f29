//! What people ask about Xen Orchestra, answered with calls through MCP: `tests/questions.yaml`,
//! played with the access levels read, write and all.
//!
//! Each question runs against the real program and a simulator whose requests are recorded. What
//! changes something has both of its own; what only reads, or is refused, shares them, because
//! the recorder shows that nothing left.
//!
//! `QUESTION=id` plays one question only and prints what was called and answered;
//! `cargo test --test it questions:: -- --nocapture` prints how many characters each answer takes.

mod script;
mod session;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    time::Duration,
};

use dadl_simulator::{RecordedRequest, SimulatorOptions, XenOrchestra};
use serde_json::{Value, json};

use self::script::{Account, Bound, Outcome, Question, Step, Why, questions};
pub(crate) use self::{
    script::{Over, Person},
    session::Session,
};
use crate::mcp_support::text;

/// A simulator, and a host that is attached to it.
struct Stage {
    simulator: XenOrchestra,
    session: Session,
    /// The listed tools, and whether they only read.
    tools: BTreeMap<String, bool>,
    home: tempfile::TempDir,
}

impl Stage {
    async fn set(access: &str, over: Over, person: Person, account: Account) -> Self {
        let options = SimulatorOptions {
            record: true,
            export_size: EXPORT_SIZE,
            task_duration: Duration::ZERO,
            ..SimulatorOptions::default()
        };
        let simulator = XenOrchestra::start(options).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let files = home.path().join(FILES);
        fs::create_dir(&files).unwrap();
        let suffix = match account {
            Account::Administrator => "",
            Account::Alice => "-alice",
        };
        let (url, token) = (simulator.url(), format!("{}{suffix}", simulator.token()));
        let arguments = [
            "--dadl",
            "xen-orchestra",
            "--url",
            &url,
            "--access",
            access,
            "--files",
            files.to_str().unwrap(),
        ];
        let environment = [("CREDENTIAL_XEN_ORCHESTRA_TOKEN", token.as_str())];
        let mut session = Session::start(over, person, &arguments, &environment, home.path()).await;
        let tools = session.tools().await.into_iter().map(|tool| {
            let reads = tool["annotations"]["readOnlyHint"] == true;
            (tool["name"].as_str().unwrap().to_owned(), reads)
        });
        let tools = tools.collect();
        Self { simulator, session, tools, home }
    }

    /// Plays a question and returns how many calls and characters the answer took.
    async fn play(&mut self, question: &Question, outcome: &Outcome) -> Result<Cost, String> {
        for (name, length) in &question.files {
            let length = usize::try_from(length.as_u64().ok_or("a file has a length")?).unwrap();
            fs::write(self.home.path().join(FILES).join(name), vec![7; length]).unwrap();
        }
        let mut bound = Bound::default();
        let mut cost = Cost::default();
        for (number, step) in question.steps.iter().enumerate() {
            let place = |error| format!("step {}, {}: {error}", number + 1, step.call);
            match outcome {
                Outcome::Refused { tool, why } if *tool == step.call => {
                    return self.refuse(step, why, &bound, cost).await.map_err(place);
                }
                _ => self.step(step, &mut bound, &mut cost).await.map_err(place)?,
            }
        }
        match outcome {
            Outcome::Answered => Ok(cost),
            Outcome::Refused { tool, .. } => Err(format!("no step calls {tool}")),
        }
    }

    /// Makes the calls of a step, which must go well.
    async fn step(
        &mut self,
        step: &Step,
        bound: &mut Bound,
        cost: &mut Cost,
    ) -> Result<(), String> {
        let reads = *self.tools.get(&step.call).ok_or("the tool is not listed")?;
        let items = match &step.each {
            None => vec![None],
            Some(name) => {
                let items = bound.get(name)?.as_array().ok_or("`each` needs a list")?.clone();
                items.into_iter().map(Some).collect()
            }
        };
        if items.is_empty() {
            return Err("`each` has nothing to call the tool for".to_owned());
        }
        for item in items {
            if let Some(item) = item {
                bound.insert("item", item);
            }
            let arguments = bound.fill(&step.with)?;
            let answer = self.call(&step.call, &arguments, cost).await?;
            for request in self.simulator.take_requests() {
                // To subscribe to events is to look.
                if reads && request.method != "GET" && !is_about_events(&request) {
                    return Err(format!(
                        "it reads, and sent {} {}",
                        request.method, request.target
                    ));
                }
            }
            let value = match (&step.fails, failure(&answer)) {
                (None, None) => value(&answer),
                (None, Some(error)) => return Err(format!("it failed with {arguments}: {error}")),
                (Some(words), None) => return Err(format!("it went well; expected `{words}`")),
                (Some(words), Some(error)) => {
                    let words = bound.fill_text(words)?;
                    if !error.contains(&words) {
                        return Err(format!("expected an error with `{words}`: {error}"));
                    }
                    json!(error)
                }
            };
            self.check_file(&value)?;
            if let Some(words) = &step.notes {
                let note = &answer["result"]["structuredContent"]["_note"];
                if !note.as_str().is_some_and(|note| note.contains(words.as_str())) {
                    return Err(format!("expected a note with `{words}`: {note}"));
                }
            }
            for (name, program) in &step.bind {
                let program = program.as_str().ok_or("`bind` has jq programs")?;
                let found = bound.run(program, &value)?;
                if found.is_null() {
                    return Err(format!("`{program}` finds no {name} in {}", short(&value)));
                }
                bound.insert(name, found);
            }
            for (program, expected) in &step.expect {
                let expected = bound.fill(expected)?;
                let found = bound.run(program, &value)?;
                if found != expected {
                    let value = short(&value);
                    return Err(format!("`{program}` is {found}, not {expected}, in {value}"));
                }
            }
        }
        Ok(())
    }

    /// Makes the call of a step, which must be refused before anything is sent.
    async fn refuse(
        &mut self,
        step: &Step,
        why: &Why,
        bound: &Bound,
        mut cost: Cost,
    ) -> Result<Cost, String> {
        let mut bound = bound.clone();
        if let Some(name) = &step.each {
            let first = bound.get(name)?.get(0).ok_or("`each` is empty")?.clone();
            bound.insert("item", first);
        }
        let arguments = bound.fill(&step.with)?;
        self.simulator.take_requests();
        let answer = self.call(&step.call, &arguments, &mut cost).await?;
        let requests = self.simulator.take_requests();
        // A stream that an earlier step has opened goes on, and what the server has is learned beside
        // the calls.
        let is_beside = |request: &&RecordedRequest| {
            is_about_events(request)
                || request.target.ends_with("/docs/swagger.json")
                // What a person is shown of what the call is about.
                || request.method == "GET"
        };
        if let Some(request) = requests.iter().find(|request| !is_beside(request)) {
            return Err(format!("it was called: {} {}", request.method, request.target));
        }
        let error = failure(&answer).ok_or_else(|| format!("it went well: {answer}"))?;
        let words: Vec<String> = match why {
            Why::Needs(level) => {
                vec![format!("\"{}\"", step.call), format!("`{level}`"), "access".into()]
            }
            Why::Says(words) => vec![words.clone()],
        };
        if let Some(missing) = words.iter().find(|words| !error.contains(words.as_str())) {
            return Err(format!("the refusal does not say {missing}: {error}"));
        }
        if matches!(why, Why::Needs(_)) == self.tools.contains_key(&step.call) {
            return Err("only tools that are allowed may be listed".to_owned());
        }
        Ok(cost)
    }

    async fn call(
        &mut self,
        tool: &str,
        arguments: &Value,
        cost: &mut Cost,
    ) -> Result<Value, String> {
        let answer = self.session.call(tool, arguments).await;
        let Some(blocks) = answer["result"]["content"].as_array() else {
            return Err(format!("it is a protocol error with {arguments}: {answer}"));
        };
        let texts = blocks.iter().filter_map(|block| block["text"].as_str());
        cost.calls += 1;
        cost.characters += texts.map(|text| text.chars().count()).sum::<usize>();
        if wanted().is_some() {
            say(&format!(
                "    {tool} {arguments}\n      {}",
                answer["result"]["structuredContent"]
            ));
            if let Some(error) = failure(&answer) {
                say(&format!("      {error}"));
            }
        }
        Ok(answer)
    }

    /// Compares an answer that is a file with the file.
    fn check_file(&self, value: &Value) -> Result<(), String> {
        let (Some(path), Some(size)) = (value["path"].as_str(), value["size"].as_u64()) else {
            return Ok(());
        };
        let length = fs::metadata(path).map_err(|error| format!("{path}: {error}"))?.len();
        if length != size {
            return Err(format!("{path} has {length} bytes, not {size}"));
        }
        Ok(())
    }

    /// Returns whether a play of `question` changes nothing.
    fn only_reads(&self, question: &Question, outcome: &Outcome) -> bool {
        let refused = match outcome {
            Outcome::Answered => None,
            Outcome::Refused { tool, .. } => Some(tool),
        };
        let mut made = question.steps.iter().map(|step| &step.call);
        let made = made.by_ref().take_while(|tool| Some(*tool) != refused);
        made.into_iter().all(|tool| self.tools.get(tool).copied().unwrap_or(true))
    }
}

/// What an answer takes.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    calls: usize,
    characters: usize,
}

/// Returns what a tool answered, as a program sees it.
fn value(answer: &Value) -> Value {
    let mut structured = answer["result"]["structuredContent"].clone();
    if let Some(members) = structured.as_object_mut() {
        members.shift_remove("_note");
    }
    match &structured {
        Value::Null => json!(text(answer)),
        Value::Object(members) if members.len() == 1 && members.contains_key("result") => {
            members["result"].clone()
        }
        _ => structured,
    }
}

/// Returns the text of a call that failed.
fn failure(answer: &Value) -> Option<String> {
    let result = &answer["result"];
    (result["isError"] == true).then(|| result["content"][0]["text"].as_str().unwrap().to_owned())
}

/// Says whether a request has to do with a stream of events.
fn is_about_events(request: &RecordedRequest) -> bool {
    request.target.starts_with("/rest/v0/events")
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(1500).collect()
}

/// The one question that is to be played.
#[expect(clippy::disallowed_methods, reason = "the program itself has no such variable")]
fn wanted() -> Option<String> {
    env::var("QUESTION").ok()
}

#[expect(clippy::print_stdout, reason = "shown with --nocapture, or when a test fails")]
fn say(line: &str) {
    println!("{line}");
}

/// Plays all questions with these access levels.
async fn play(access: &str, outcome_of: impl Fn(&Question) -> &Outcome) {
    let mut shared: Vec<((Over, Person, Account), Stage)> = Vec::new();
    let mut wrong = Vec::new();
    let mut total = Cost::default();
    for question in questions() {
        if wanted().is_some_and(|id| id != question.id) {
            continue;
        }
        if wanted().is_some() {
            say(&format!("  {access}: {}", question.ask));
        }
        let outcome = outcome_of(&question);
        let kind = (question.over, question.person, question.account);
        let at = match shared.iter().position(|(known, _)| *known == kind) {
            Some(at) => at,
            None => {
                let stage = Stage::set(access, question.over, question.person, question.account);
                shared.push((kind, stage.await));
                shared.len() - 1
            }
        };
        let stage = &mut shared[at].1;
        let played = if stage.only_reads(&question, outcome) {
            stage.play(&question, outcome).await
        } else {
            let stage = Stage::set(access, question.over, question.person, question.account);
            let mut own = stage.await;
            own.play(&question, outcome).await
        };
        match played {
            Ok(cost) => {
                if *outcome == Outcome::Answered {
                    let Cost { calls, characters } = cost;
                    say(&format!("{access:>10} {characters:>7} {calls:>3}  {}", question.id));
                    total.calls += calls;
                    total.characters += characters;
                }
            }
            Err(error) => wrong.push(format!("{}: {}\n  {error}", question.id, question.ask)),
        }
    }
    let Cost { calls, characters } = total;
    say(&format!("{access}: {characters} characters in {calls} calls"));
    assert!(wrong.is_empty(), "with access {access}:\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn answered_with_access_read() {
    play("read", |question| &question.access.read).await;
}

#[tokio::test]
async fn answered_with_access_write() {
    play("read,write", |question| &question.access.write).await;
}

#[tokio::test]
async fn answered_with_access_all() {
    play("all", |question| &question.access.all).await;
}

#[test]
fn the_set_is_large_and_sound() {
    let questions = questions();
    assert!(questions.len() >= 60, "{} questions", questions.len());
    let names: BTreeSet<&str> = questions.iter().map(|question| &*question.id).collect();
    assert_eq!(names.len(), questions.len(), "two questions share a name");
    for question in &questions {
        assert!(!question.steps.is_empty(), "{}", question.id);
        let outcomes = [&question.access.read, &question.access.write, &question.access.all];
        // Who may more does not get less.
        let answered = outcomes.map(|outcome| *outcome == Outcome::Answered);
        assert!(answered.is_sorted(), "{}: {answered:?}", question.id);
        let looks = question
            .steps
            .iter()
            .any(|it| !it.expect.is_empty() || it.fails.is_some() || it.notes.is_some());
        assert!(looks, "{} expects nothing", question.id);
    }
    let refused = |outcome: fn(&Question) -> &Outcome| {
        questions.iter().filter(|question| *outcome(question) != Outcome::Answered).count()
    };
    let counts = [
        refused(|it| &it.access.read),
        refused(|it| &it.access.write),
        refused(|it| &it.access.all),
    ];
    assert!(counts[0] >= 20 && counts[1] >= 10 && counts[2] >= 2, "{counts:?} refusals");
}

/// The bytes of each export.
const EXPORT_SIZE: u64 = 100_000;
const FILES: &str = "files";
