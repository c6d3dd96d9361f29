//! Whether a model finds the tool that a question is about: questions as people ask them, and the words
//! that a model looks for instead, in `tests/it/finding`.

use std::sync::Arc;

use dadl_descriptor::{load, source::SourceText};
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    catalog::{BackendTools, Catalog},
    finding::{FoundTool, SearchRequest, ToolFinder},
};

use crate::corpus::{self, Texts};

/// A question is answered when a right tool is among so many.
const FIRST: usize = 5;

const XEN_ORCHESTRA: &[&str] = &[
    include_str!("finding/xen_orchestra.txt"),
    include_str!("finding/later_xen_orchestra.txt"),
    include_str!("finding/last_xen_orchestra.txt"),
    include_str!("finding/more_xen_orchestra.txt"),
    include_str!("finding/plain_xen_orchestra.txt"),
    include_str!("finding/everyday_xen_orchestra.txt"),
    include_str!("finding/upkeep_xen_orchestra.txt"),
    include_str!("finding/indirect_xen_orchestra.txt"),
    include_str!("finding/stories_xen_orchestra.txt"),
];
const OTHERS: &[&str] = &[
    include_str!("finding/others.txt"),
    include_str!("finding/later_others.txt"),
    include_str!("finding/plain_others.txt"),
];

/// Sentences that say little of what their API calls things, about descriptors without words of people.
const EVERYDAY_OTHERS: &str = include_str!("finding/everyday_others.txt");

/// What the APIs cannot do.
const UNMET: &str = include_str!("finding/unmet.txt");

/// A question, and the tools that answer it.
struct Question {
    descriptor: String,
    tools: Vec<String>,
    /// As a person asks.
    asked: String,
    /// As a model looks for it.
    query: String,
}

/// Reads questions: `= NAME` names the descriptor of those behind it.
fn questions(texts: &[&str], descriptor: &str) -> Vec<Question> {
    let mut descriptor = descriptor.to_owned();
    let mut questions = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("= ") {
            name.clone_into(&mut descriptor);
            continue;
        }
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [tools, asked, query] = parts[..] else { panic!("{line}") };
        questions.push(Question {
            descriptor: descriptor.clone(),
            tools: tools.split('/').map(str::to_owned).collect(),
            asked: asked.to_owned(),
            query: query.to_owned(),
        });
    }
    questions
}

/// The tools of one descriptor, all of which may be called.
struct Tools {
    catalog: Arc<Catalog>,
    finder: ToolFinder,
}

impl Tools {
    /// Reads a descriptor.
    fn of(texts: &Texts, name: &str) -> Self {
        let file = format!("{name}.dadl");
        let text = texts.get(&file).expect(name);
        let loaded = load(&SourceText::from_bytes(&*file, text.clone()).unwrap());
        let descriptor = Arc::new(loaded.descriptor.unwrap());
        let policy = AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
        let catalog = Catalog::build(&[BackendTools {
            name,
            descriptor,
            server: None,
            policy: &policy,
            task_wait: None,
        }]);
        let catalog = Arc::new(catalog);
        Self { finder: ToolFinder::new(Arc::clone(&catalog)), catalog }
    }

    /// Returns whether one of `tools` is among the first that `query` finds.
    fn finds(&self, query: &str, tools: &[String]) -> bool {
        let answer = self.finder.search(&SearchRequest::new(vec![query.to_owned()]));
        let names = answer.tools.iter().take(FIRST).map(|found| match found {
            FoundTool::Entry(at) => self.catalog.entries()[*at].name.as_str(),
            FoundTool::Builtin(_) => "",
        });
        names.into_iter().any(|name| tools.iter().any(|tool| tool == name))
    }

    /// Returns whether the answer begins with the words that no tool does this.
    fn says_unmet(&self, query: &str) -> bool {
        let answer = self.finder.search(&SearchRequest::new(vec![query.to_owned()]));
        answer.text.starts_with("No tool does ")
    }
}

/// Shares of questions, in percent.
#[derive(Debug)]
struct Shares {
    /// Those that are answered, as people ask and as models do.
    asked: f64,
    queried: f64,
    /// Those of which the answer begins with the words that no tool does this.
    asked_unmet: f64,
    queried_unmet: f64,
}

fn shares(texts: &Texts, questions: &[Question]) -> Shares {
    let mut known: Option<(&str, Tools)> = None;
    let (mut asked, mut queried, mut asked_unmet, mut queried_unmet) = (0, 0, 0, 0);
    for question in questions {
        let name = question.descriptor.as_str();
        if known.as_ref().is_none_or(|(known, _)| *known != name) {
            known = Some((name, Tools::of(texts, name)));
        }
        let (_, tools) = known.as_ref().unwrap();
        for tool in question.tools.iter().filter(|tool| !tool.is_empty()) {
            assert!(tools.catalog.find(tool).is_some(), "{name} has no {tool}");
        }
        asked += usize::from(tools.finds(&question.asked, &question.tools));
        queried += usize::from(tools.finds(&question.query, &question.tools));
        asked_unmet += usize::from(tools.says_unmet(&question.asked));
        queried_unmet += usize::from(tools.says_unmet(&question.query));
    }
    let share = |count: usize| 100.0 * count as f64 / questions.len() as f64;
    Shares {
        asked: share(asked),
        queried: share(queried),
        asked_unmet: share(asked_unmet),
        queried_unmet: share(queried_unmet),
    }
}

impl Shares {
    /// Checks that so many questions are answered, and of few of them the contrary is said.
    fn check(&self, asked: f64, queried: f64) {
        assert!(self.asked >= asked && self.queried >= queried, "{self:.1?}");
        assert!((self.asked_unmet + self.queried_unmet) / 2.0 < 3.0, "{self:.1?}");
    }
}

#[test]
fn questions_about_xen_orchestra_find_their_tools() {
    let questions = questions(XEN_ORCHESTRA, "xen-orchestra");
    assert!(questions.len() > 300);
    shares(&corpus::own(), &questions).check(95.0, 98.0);
}

#[test]
fn questions_about_our_other_descriptors_find_their_tools() {
    let ours = ["danube-cloud", "xo-proxy"];
    let mut questions = questions(OTHERS, "");
    questions.retain(|question| ours.contains(&question.descriptor.as_str()));
    shares(&corpus::own(), &questions).check(90.0, 97.0);
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn questions_about_descriptors_of_others_find_their_tools() {
    let texts = corpus::corpus();
    let mut questions = questions(OTHERS, "");
    questions.retain(|question| {
        let file = format!("{}.dadl", question.descriptor);
        texts.contains_key(&file)
    });
    assert!(questions.len() > 150);
    shares(&texts, &questions).check(70.0, 97.0);
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn sentences_about_descriptors_of_others_find_their_tools() {
    let questions = questions(&[EVERYDAY_OTHERS], "");
    shares(&corpus::corpus(), &questions).check(50.0, 95.0);
}

#[test]
fn what_no_tool_does_is_said() {
    let ours = ["danube-cloud", "xen-orchestra", "xo-proxy"];
    let mut questions = questions(&[UNMET], "");
    questions.retain(|question| ours.contains(&question.descriptor.as_str()));
    let shares = shares(&corpus::own(), &questions);
    assert!(shares.queried_unmet >= 40.0 && shares.asked_unmet >= 10.0, "{shares:.1?}");
}

#[test]
#[ignore = "needs DADL_CORPUS"]
fn what_no_tool_of_others_does_is_said() {
    let texts = corpus::corpus();
    let mut questions = questions(&[UNMET], "");
    questions.retain(|question| texts.contains_key(&format!("{}.dadl", question.descriptor)));
    assert!(questions.len() > 30);
    let shares = shares(&texts, &questions);
    assert!(shares.queried_unmet >= 50.0, "{shares:.1?}");
}
