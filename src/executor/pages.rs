//! Walks through the pages of a list (`behavior: auto`).
//!
//! The pages are asked for one after the other and joined. The walk ends where the backend says so,
//! at an empty or a repeated page, after `max_pages`, or with the items that `max_items` lets
//! through; where more was left, the result says so and how to get it. A page that cannot be had
//! fails the call: a list with a hole in it looks whole.

use std::collections::HashSet;

use serde_json::Map;

use dadl_descriptor::model::{PageBehavior, Pagination};
use url::Url;

use super::{
    CallError,
    result::DecodedAnswer,
    step::{RequestStep, to_usize},
};
use crate::{
    call::{self, CallArguments, CallPlan},
    outcome::{AnswerPayload, CallOutcome, CallProgress, NextPage},
    response::{
        joined_pages::{JoinedPages, PageAddition},
        page::{self, FollowingPage, MorePages, PageSignals, ResultPage, TotalSuffix},
    },
};

/// A call whose pages are walked through.
pub(super) struct PageWalk<'call> {
    step: RequestStep<'call>,
    pagination: &'call Pagination,
    max_pages: u32,
}

/// How far a walk is.
struct WalkProgress {
    /// What brought the last page.
    plan: CallPlan,
    arguments: CallArguments,
    /// What the last page says about the one after it.
    signals: PageSignals,
    joined: JoinedPages,
    /// The number of the last page, from 1.
    number: u32,
    /// The bytes of all pages.
    size: u64,
    notes: Vec<String>,
    /// The ways that were gone.
    seen: HashSet<String>,
}

/// What comes after a page.
enum AfterPage {
    Page(page::PageStep),
    /// Nothing, and why not, when there is more.
    End(Option<WalkStop>),
}

/// Why a walk ended before the last page.
enum WalkStop {
    /// `max_pages` were read.
    Pages(u32),
    /// `max_items` are there.
    Items(usize),
    /// The backend gave the same cursor or link twice.
    Loop,
    /// The next page is on another host than this one or outside of the base path.
    Elsewhere(Url),
    /// The backend says that there is more, but not where.
    NoWay,
}

impl<'call> PageWalk<'call> {
    /// Returns the walk through the pages of a tool that gives all of them at once.
    pub(super) fn of(step: RequestStep<'call>) -> Option<Self> {
        let pagination = step.tool.pagination()?;
        match pagination.behavior {
            PageBehavior::Auto { max_pages } => Some(Self { step, pagination, max_pages }),
            PageBehavior::Expose => None,
        }
    }

    /// Goes on after the first page, which is `answer`.
    pub(super) async fn run(self, answer: DecodedAnswer) -> Result<CallOutcome, CallError> {
        let Self { step, pagination, .. } = self;
        let arguments = step.arguments.clone();
        let DecodedAnswer { status, headers, payload, size, notes, is_cut } = answer;
        let text = match payload {
            // Who names a page wants that page, and behind a part of a page comes its rest.
            AnswerPayload::Json(text) if !self.names_page(&arguments) && !is_cut => text,
            payload => {
                let answer = DecodedAnswer { status, headers, payload, size, notes, is_cut };
                return step.finish(answer).await;
            }
        };
        let before = text.as_str().len();
        let begun = || {
            let signals = PageSignals::read(pagination, &step.plan.url, &headers, &text);
            let selected = step.select(text)?;
            let after = selected.as_str().len() as u64;
            Ok::<_, CallError>((signals, after, JoinedPages::begin(selected)))
        };
        let (signals, after, joined) = step.room.work(before, begun).await?;
        step.resize(before as u64, after)?;
        let joined = match joined {
            Ok(joined) => joined,
            // No list, and so no pages.
            Err(text) => return step.shape(text, status).await,
        };
        let (plan, number, seen) = (step.plan.clone(), 1, HashSet::new());
        let mut walked =
            WalkProgress { plan, arguments, signals, joined, number, size, notes, seen };
        let (left, following) = self.walk(&mut walked).await?;
        let WalkProgress { plan, joined, size, notes, .. } = walked;
        let items = joined.count();
        let whole = step.room.work(to_usize(size), || joined.into_text()).await;
        let mut outcome = step.with(&plan).shape(whole, status).await?;
        outcome.notes.extend(notes);
        if let Some(left) = left {
            self.tell(left, &following, items, &mut outcome);
        }
        Ok(outcome)
    }

    /// Walks to the last page, or for as long as there is a use in it; returns what was left, and what
    /// the last page says about the one after it.
    async fn walk(
        &self,
        walked: &mut WalkProgress,
    ) -> Result<(Option<WalkStop>, FollowingPage), CallError> {
        loop {
            let following = self.following(walked);
            let way = match self.next(walked, &following) {
                AfterPage::Page(way) => way,
                AfterPage::End(left) => return Ok((left, following)),
            };
            let (joined, read) = (&walked.joined, walked.number);
            self.step.context.observer.progress(CallProgress {
                done: u64::from(read),
                total: following.total.and_then(|total| pages(total, joined)),
                message: format!("read {} items on {read} pages", joined.count()),
            });
            walked.number += 1;
            walked.plan = match self.plan(way, walked) {
                Ok(plan) => plan?,
                Err(url) => return Ok((Some(WalkStop::Elsewhere(url)), following)),
            };
            match self.add(walked).await {
                Ok(true) => {}
                Ok(false) => return Ok((None, following)),
                Err(error) if following.more != MorePages::Yes && is_past_the_end(&error) => {
                    return Ok((None, following));
                }
                Err(error) => {
                    return Err(CallError::Page { number: walked.number, error: Box::new(error) });
                }
            }
        }
    }

    /// Works out the page after the last one.
    fn following(&self, walked: &WalkProgress) -> FollowingPage {
        let WalkProgress { plan, arguments, signals, joined, .. } = walked;
        let last = joined.last_length();
        let before = joined.count() - last;
        let page = ResultPage { arguments, url: &plan.url, signals, items: Some(last), before };
        page::following_page(self.pagination, page)
    }

    /// Decides whether to go on, and where.
    fn next(&self, walked: &mut WalkProgress, following: &FollowingPage) -> AfterPage {
        let WalkProgress { joined, number, seen, .. } = walked;
        if following.more == MorePages::No || is_short(following, joined, *number) {
            return AfterPage::End(None);
        }
        if let Some(most) = self.enough(joined.count(), following) {
            return AfterPage::End(Some(WalkStop::Items(most)));
        }
        let Some(way) = following.step.clone() else {
            return AfterPage::End((following.more == MorePages::Yes).then_some(WalkStop::NoWay));
        };
        if *number >= self.max_pages {
            // A page that is short of what was asked for is the last one of most backends.
            let is_left = following.more != MorePages::Unknown;
            return AfterPage::End(is_left.then_some(WalkStop::Pages(*number)));
        }
        if !seen.insert(page_key(&way)) {
            return AfterPage::End(Some(WalkStop::Loop));
        }
        AfterPage::Page(way)
    }

    /// Asks for the page of the plan and adds it; returns whether others may follow.
    async fn add(&self, walked: &mut WalkProgress) -> Result<bool, CallError> {
        let WalkProgress { plan, signals, joined, size, notes, .. } = walked;
        let step = self.step.with(plan);
        let odd = || CallError::PageShape { request: step.request_line() };
        let page = step.answer(step.send().await?).await?;
        *size += page.size;
        notes.extend(page.notes);
        if *size > step.backend.settings().max_response_bytes {
            return Err(step.too_large());
        }
        let text = match page.payload {
            AnswerPayload::Json(text) => text,
            // Nothing at all is a page without items.
            AnswerPayload::Empty => return Ok(false),
            AnswerPayload::Content(_)
            | AnswerPayload::File(_)
            | AnswerPayload::Task(_)
            | AnswerPayload::Text { .. } => return Err(odd()),
        };
        let before = text.as_str().len();
        let added = || {
            let signals = PageSignals::read(self.pagination, &step.plan.url, &page.headers, &text);
            let selected = step.select(text)?;
            let added = joined.add(&selected);
            let after = if added == PageAddition::Yes { selected.as_str().len() } else { 0 };
            step.resize(before as u64, after as u64)?;
            Ok::<_, CallError>((signals, added))
        };
        let (read, added) = step.room.work(before, added).await?;
        *signals = read;
        match added {
            PageAddition::Yes => Ok(!page.is_cut),
            PageAddition::Repeated => Ok(false),
            PageAddition::Odd => Err(odd()),
        }
    }

    /// Returns whether the caller asked for a page of its own.
    fn names_page(&self, arguments: &CallArguments) -> bool {
        let Some(param) = self.pagination.strategy.param() else { return false };
        let given = arguments.iter().find(|(known, _)| known.name == param);
        // A default is what every call without an argument has.
        given.is_some_and(|(known, value)| known.default.as_deref() != Some(value))
    }

    /// Returns `max_items` when more pages could not add to the result. What a program makes of
    /// the items, nobody knows before.
    fn enough(&self, items: usize, following: &FollowingPage) -> Option<usize> {
        let RequestStep { call, tool, .. } = self.step;
        let most = tool.response.max_items?;
        if tool.response.transform.is_some() || call.arguments().jq().is_some() {
            return None;
        }
        (items > most || (items == most && following.more == MorePages::Yes)).then_some(most)
    }

    /// Plans the request of the next page; gives a URL back that must not be followed.
    fn plan(
        &self,
        way: page::PageStep,
        walked: &mut WalkProgress,
    ) -> Result<Result<CallPlan, CallError>, Url> {
        let RequestStep { backend, call, tool, .. } = self.step;
        let WalkProgress { plan, arguments, .. } = walked;
        match way {
            page::PageStep::Argument(name, value) => {
                // Every strategy's parameter is one of the tool's: the catalog adds it.
                arguments.set(&name, value);
                Ok(call::plan_call(call.entry(), tool, backend.base(), arguments, call.door())
                    .map_err(CallError::from))
            }
            page::PageStep::Target(url) => {
                let has_credentials = !url.username().is_empty() || url.password().is_some();
                let stays = backend.base().of_tool(tool).is_some_and(|base| base.contains(&url));
                if has_credentials || !stays {
                    return Err(url);
                }
                Ok(Ok(CallPlan { url, ..plan.clone() }))
            }
        }
    }

    /// Says what was left and how to get it.
    fn tell(
        &self,
        left: WalkStop,
        following: &FollowingPage,
        items: usize,
        outcome: &mut CallOutcome,
    ) {
        let all = TotalSuffix(following.total);
        let entry = self.step.call.entry();
        let mut go_on = |reason: String| {
            let step = following.step.as_ref().and_then(|step| match step {
                page::PageStep::Argument(wire, value) => {
                    Some((page::wire_property(entry, wire)?.to_owned(), value.clone()))
                }
                page::PageStep::Target(_) => None,
            });
            match step {
                Some((property, value)) => {
                    let arguments = Map::from_iter([(property, value)]);
                    outcome.next = Some(NextPage { reason, arguments });
                    None
                }
                None => Some(format!("{reason}; narrow the call to see the others")),
            }
        };
        let note = match left {
            WalkStop::Pages(number) => {
                let note = go_on(format!(
                    "stopped after {number} pages with {items} items{all} (`max_pages`): there is \
                     more"
                ));
                let Some(note) = note else { return };
                note
            }
            WalkStop::Items(most) if items > most => return,
            WalkStop::Items(most) => format!("these are the first {most} items (`max_items`){all}"),
            WalkStop::Loop => format!(
                "stopped after {items} items{all}: the backend gave the same next page twice"
            ),
            WalkStop::Elsewhere(url) => format!(
                "stopped after {items} items{all}: the next page is at {}, outside of the backend's \
                 base URL",
                url.origin().ascii_serialization()
            ),
            WalkStop::NoWay => format!(
                "these are {items} items{all}; the backend says that there are more, but not where"
            ),
        };
        outcome.notes.push(note);
    }
}

/// What a loop repeats.
fn page_key(way: &page::PageStep) -> String {
    match way {
        page::PageStep::Argument(_, value) => value.to_string(),
        page::PageStep::Target(url) => url.to_string(),
    }
}

/// Returns whether a later page ends the list by being shorter than the first one. The first page may
/// be short because the backend gives less than it is asked for.
fn is_short(following: &FollowingPage, joined: &JoinedPages, number: u32) -> bool {
    following.more == MorePages::Unknown
        && number > 1
        && joined.last_length() < joined.first_length()
}

/// Some backends answer a page behind the last one with an error.
fn is_past_the_end(error: &CallError) -> bool {
    matches!(error, CallError::Api(error) if matches!(error.status, 400 | 404 | 416 | 422))
}

/// Returns on how many pages `total` items are.
fn pages(total: u64, joined: &JoinedPages) -> Option<u64> {
    let length = joined.first_length() as u64;
    (length > 0).then(|| total.div_ceil(length))
}
