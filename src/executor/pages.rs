//! Walks through the pages of a list (`behavior: auto`).
//!
//! The pages are asked for one after the other and joined. The walk ends where the backend says so,
//! at an empty or a repeated page, after `max_pages`, or with the items that `max_items` lets
//! through; where more was left, the result says so and how to get it. A page that cannot be had
//! fails the call: a list with a hole in it looks whole.

use std::collections::HashSet;

use url::Url;

use super::{
    CallContext, CallError, Executor, callers_jq,
    result::{Answer, Target, finish, to_usize},
};
use crate::{
    call::{self, Arguments, CallPlan},
    descriptor::model::{PageStrategy, Pagination, Tool},
    outcome::{Outcome, Payload, Progress},
    response::{
        join::{Added, Joined},
        page::{self, Following, More, Page, Signals, Step, Total},
    },
};

/// A call whose pages are walked through.
pub(super) struct Walk<'call> {
    pub(super) executor: &'call Executor,
    pub(super) target: Target<'call>,
    pub(super) pagination: &'call Pagination,
}

/// Why a walk ended before the last page.
enum Left {
    /// `max_pages` were read.
    Pages(u32),
    /// `max_items` are there.
    Items(usize),
    /// The backend gave the same cursor or link twice.
    Loop,
    /// The next page is on another host or outside of the base path.
    Elsewhere(Url),
    /// The backend says that there is more, but not where.
    NoWay,
}

impl Walk<'_> {
    /// Goes on after the first page, which `plan` brought.
    pub(super) async fn run(
        &self,
        mut plan: CallPlan,
        answer: Answer,
        context: &CallContext<'_>,
    ) -> Result<Outcome, CallError> {
        let Target { backend, call, tool, .. } = self.target;
        let status = answer.status;
        let mut arguments = call.arguments().clone();
        // Who names a page wants that page.
        let filters = &self.executor.filters.of(&context.client);
        let Answer { headers, payload, mut size, mut notes, is_cut, .. } = answer;
        let text = match payload {
            // Behind a part of a page comes its rest, and no other page.
            Payload::Json(text) if !self.names_page(&arguments) && !is_cut => text,
            payload => {
                let answer = Answer { status, headers, payload, size, notes, is_cut };
                return finish(self.target, &plan, answer, filters).await;
            }
        };
        let before = text.as_str().len();
        let begun = || {
            let signals = Signals::read(self.pagination, &plan.url, &headers, &text);
            let selected = self.target.select(text, &plan)?;
            let after = selected.as_str().len() as u64;
            Ok::<_, CallError>((signals, after, Joined::begin(selected)))
        };
        let (mut signals, after, joined) = self.target.room.work(before, begun).await?;
        self.target.resize(before as u64, after, &plan)?;
        let mut joined = match joined {
            Ok(joined) => joined,
            // No list, and so no pages.
            Err(text) => return self.target.shape(text, status, &plan, filters).await,
        };
        let mut following;
        let mut seen = HashSet::new();
        let mut number = 1;
        let left = loop {
            let before = joined.count() - joined.last_length();
            following = page::following(
                self.pagination,
                Page {
                    arguments: &arguments,
                    url: &plan.url,
                    signals: &signals,
                    items: Some(joined.last_length()),
                    before,
                },
            );
            if following.more == More::No || self.is_short(&following, &joined, number) {
                break None;
            }
            if let Some(most) = self.enough(tool, joined.count(), &following) {
                break Some(Left::Items(most));
            }
            let Some(step) = following.step.clone() else {
                break (following.more == More::Yes).then_some(Left::NoWay);
            };
            if number >= self.pagination.max_pages {
                // A page that is short of what was asked for is the last one of most backends.
                break (following.more != More::Unknown).then_some(Left::Pages(number));
            }
            if !seen.insert(key(&step)) {
                break Some(Left::Loop);
            }
            number += 1;
            context.observer.progress(Progress {
                done: u64::from(number - 1),
                total: following.total.and_then(|total| pages(total, &joined)),
                message: format!("read {} items on {} pages", joined.count(), number - 1),
            });
            plan = match self.step(step, &plan, &mut arguments) {
                Ok(plan) => plan?,
                Err(target) => break Some(Left::Elsewhere(target)),
            };
            let next = match self.fetch(&plan).await {
                Ok(next) => next,
                Err(error) if following.more != More::Yes && is_past_the_end(&error) => break None,
                Err(error) => return Err(on_page(number, error)),
            };
            size += next.size;
            notes.extend(next.notes);
            let is_cut = next.is_cut;
            if size > backend.settings().max_response_bytes {
                return Err(on_page(number, self.target.too_large(&plan)));
            }
            let text = match next.payload {
                Payload::Json(text) => text,
                // Nothing at all is a page without items.
                Payload::Empty => break None,
                Payload::File(_) | Payload::Task(_) | Payload::Text { .. } => {
                    return Err(on_page(number, self.odd(&plan)));
                }
            };
            let before = text.as_str().len();
            let added = || {
                let signals = Signals::read(self.pagination, &plan.url, &next.headers, &text);
                let page = self.target.select(text, &plan)?;
                let added = joined.add(&page);
                let after = if added == Added::Yes { page.as_str().len() } else { 0 };
                self.target.resize(before as u64, after as u64, &plan)?;
                Ok::<_, CallError>((signals, added))
            };
            let added = self.target.room.work(before, added).await;
            let (next, added) = added.map_err(|error| on_page(number, error))?;
            signals = next;
            match added {
                Added::Yes => {}
                Added::Repeated => break None,
                Added::Odd => return Err(on_page(number, self.odd(&plan))),
            }
            if is_cut {
                break None;
            }
        };
        let items = joined.count();
        let whole = self.target.room.work(to_usize(size), || joined.into_text()).await;
        let mut outcome = self.target.shape(whole, status, &plan, filters).await?;
        outcome.notes.extend(notes);
        if let Some(left) = left {
            self.tell(left, &following, items, &mut outcome);
        }
        Ok(outcome)
    }

    /// Returns whether the caller asked for a page of its own.
    fn names_page(&self, arguments: &Arguments) -> bool {
        let (PageStrategy::Cursor { param, .. }
        | PageStrategy::LinkHeader { param }
        | PageStrategy::Offset { param }
        | PageStrategy::Page { param }) = &self.pagination.strategy;
        let Some(param) = param.as_deref() else { return false };
        let given = arguments.iter().find(|(known, _)| known.name == param);
        // A default is what every call without an argument has.
        given.is_some_and(|(known, value)| known.default.as_ref() != Some(value))
    }

    /// Returns whether a later page ends the list by being shorter than the first one. The first
    /// page may be short because the backend gives less than it is asked for.
    fn is_short(&self, following: &Following, joined: &Joined, number: u32) -> bool {
        following.more == More::Unknown
            && number > 1
            && joined.last_length() < joined.first_length()
    }

    /// Returns `max_items` when more pages could not add to the result. What a program makes of
    /// the items, nobody knows before.
    fn enough(&self, tool: &Tool, items: usize, following: &Following) -> Option<usize> {
        let most = tool.response.max_items?;
        if tool.response.transform.is_some() || callers_jq(self.target.call).is_some() {
            return None;
        }
        (items > most || (items == most && following.more == More::Yes)).then_some(most)
    }

    /// Plans the request of the next page; gives a target back that must not be followed.
    fn step(
        &self,
        step: Step,
        plan: &CallPlan,
        arguments: &mut Arguments,
    ) -> Result<Result<CallPlan, CallError>, Url> {
        let Target { backend, call, tool, .. } = self.target;
        match step {
            Step::Argument(name, value) => {
                // Every strategy's parameter is one of the tool's: the catalog adds it.
                arguments.set(&name, value);
                Ok(call::plan(call.entry(), tool, backend.base(), arguments, call.door())
                    .map_err(CallError::from))
            }
            Step::Target(url) => {
                let has_credentials = !url.username().is_empty() || url.password().is_some();
                if has_credentials || !backend.base().contains(&url) {
                    return Err(url);
                }
                Ok(Ok(CallPlan { url, ..plan.clone() }))
            }
        }
    }

    async fn fetch(&self, plan: &CallPlan) -> Result<Answer, CallError> {
        let exchange = self.executor.send(self.target, plan).await?;
        self.executor.answer(self.target, plan, exchange).await
    }

    fn odd(&self, plan: &CallPlan) -> CallError {
        CallError::PageShape { request: self.target.backend.request_line(plan) }
    }

    /// Says what was left and how to get it.
    fn tell(&self, left: Left, following: &Following, items: usize, outcome: &mut Outcome) {
        let all = Total(following.total);
        let entry = self.target.call.entry();
        let mut go_on = |reason: String| {
            let step = following.step.as_ref().and_then(|step| match step {
                Step::Argument(wire, value) => {
                    Some((page::property(entry, wire)?.to_owned(), value.clone()))
                }
                Step::Target(_) => None,
            });
            match step {
                Some((property, value)) => {
                    let note = format!("{reason}; go on with {property}={value}");
                    outcome.next = Some([(property, value)].into_iter().collect());
                    note
                }
                None => format!("{reason}; narrow the call to see the others"),
            }
        };
        let note = match left {
            Left::Pages(number) => go_on(format!(
                "stopped after {number} pages with {items} items{all} (`max_pages`): there is more"
            )),
            Left::Items(most) if items > most => return,
            Left::Items(most) => format!("these are the first {most} items (`max_items`){all}"),
            Left::Loop => format!(
                "stopped after {items} items{all}: the backend gave the same next page twice"
            ),
            Left::Elsewhere(url) => format!(
                "stopped after {items} items{all}: the next page is at {}, outside of the backend's \
                 base URL",
                url.origin().ascii_serialization()
            ),
            Left::NoWay => format!(
                "these are {items} items{all}; the backend says that there are more, but not where"
            ),
        };
        outcome.notes.push(note);
    }
}

/// What a loop repeats.
fn key(step: &Step) -> String {
    match step {
        Step::Argument(_, value) => value.to_string(),
        Step::Target(url) => url.to_string(),
    }
}

/// Some backends answer a page behind the last one with an error.
fn is_past_the_end(error: &CallError) -> bool {
    matches!(error, CallError::Api(error) if matches!(error.status, 400 | 404 | 416 | 422))
}

fn on_page(number: u32, error: CallError) -> CallError {
    CallError::Page { number, error: Box::new(error) }
}

/// Returns on how many pages `total` items are.
fn pages(total: u64, joined: &Joined) -> Option<u64> {
    let length = joined.first_length() as u64;
    (length > 0).then(|| total.div_ceil(length))
}
