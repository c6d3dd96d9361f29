//! Why a task failed, in the words of its API: the reason, what is said about it, and the steps that
//! failed.

use dadl_text::text::{cut_text, without_login};

use super::{JsonPath, TaskPhase, TaskSteps, scalar_text};

/// A reason may be long: it is all that is left of a task.
const LONGEST_REASON: usize = 2_000;

/// The longest details that are told, in characters.
const LONGEST_DETAILS: usize = 500;

/// The longest reason of a step, in characters.
const LONGEST_OF_STEP: usize = 300;

/// So many failed steps are told.
const MOST_FAILED: usize = 5;

/// So many steps are looked at.
const MOST_LOOKED_AT: usize = 10_000;

/// Where reasons are.
pub(super) struct ReasonPaths<'rules> {
    pub(super) errors: &'rules [JsonPath],
    pub(super) details: Option<&'rules JsonPath>,
    pub(super) steps: Option<&'rules TaskSteps>,
    /// What the states of steps mean.
    pub(super) states: &'rules [(String, TaskPhase)],
}

impl ReasonPaths<'_> {
    /// Returns the reason that `shown` has.
    pub(super) fn read(&self, shown: &str) -> Option<String> {
        let reason = first_text(self.errors, shown);
        let mut parts: Vec<String> = Vec::new();
        let failed = self.failed_steps(shown);
        if let Some(reason) = &reason {
            let details = self.details.and_then(|path| path.look(shown));
            let details = details.filter(|it| !matches!(*it, "null" | "{}" | "[]" | "\"\""));
            parts.push(match details {
                Some(details) => format!("{reason} ({})", cut_text(details, LONGEST_DETAILS)),
                None => reason.clone(),
            });
        }
        for (name, why) in failed.iter().take(MOST_FAILED) {
            parts.push(match why {
                Some(why) if Some(why) != reason.as_ref() => {
                    format!("{name}: {}", cut_text(why, LONGEST_OF_STEP))
                }
                _ => format!("in {name}"),
            });
        }
        if failed.len() > MOST_FAILED {
            parts.push(format!("and {} more steps failed", failed.len() - MOST_FAILED));
        }
        // Reasons repeat what was called, with what opens it.
        let text = without_login(&parts.join("; "));
        (!text.is_empty()).then(|| cut_text(&text, LONGEST_REASON).into_owned())
    }

    /// Returns the steps that failed, with their reasons.
    fn failed_steps(&self, shown: &str) -> Vec<(String, Option<String>)> {
        let Some(steps) = self.steps.filter(|steps| steps.state.is_some()) else {
            return Vec::new();
        };
        let found = steps.path.all(shown).unwrap_or_default().into_iter().take(MOST_LOOKED_AT);
        let has_failed = |step: &&str| {
            matches!(
                steps.phase_of(step, self.states),
                Some(TaskPhase::Failed | TaskPhase::Cancelled)
            )
        };
        let told = |step: &str| {
            let name =
                steps.name.look(step).and_then(scalar_text).unwrap_or_else(|| "a step".into());
            (cut_text(&name, LONGEST_OF_STEP).into_owned(), first_text(&steps.errors, step))
        };
        found.filter(has_failed).map(told).collect()
    }
}

/// Returns the first text that one of `paths` selects.
fn first_text(paths: &[JsonPath], shown: &str) -> Option<String> {
    let text = paths.iter().filter_map(|path| path.look(shown)).find_map(|value| match value {
        "null" => None,
        text if text.starts_with('"') => scalar_text(text).filter(|text| !text.trim().is_empty()),
        other => Some(cut_text(other, LONGEST_REASON).into_owned()),
    })?;
    Some(cut_text(text.trim(), LONGEST_REASON).into_owned())
}
