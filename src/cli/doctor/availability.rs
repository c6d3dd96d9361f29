//! What `doctor` says about what a server has: it is asked, and what it says is kept for the next start.

use std::collections::BTreeMap;

use dadl_descriptor::{
    model::{Descriptor, fit::ServerFit},
    offer::{ServerOffer, ToolAvailability, standing},
};

use super::DoctorReport;
use crate::{app::App, catalog::BackendId, config::server_notes::NoteError};

/// What the lines are about.
const SUBJECT: &str = "fit";

/// So many names of tools that lack the same are told.
const MOST_NAMED: usize = 5;

/// Asks the server of the only backend of `app` what it has, when its descriptor says how; `asks` says
/// that a call can be made, `reachable` that somebody listens.
pub(super) async fn describe_fit(
    app: &App,
    asks: bool,
    reachable: bool,
    report: &mut DoctorReport,
) {
    let Some(backend) = app.backends.first() else { return };
    let Some(fit) = backend.descriptor.fit.as_ref().filter(|_| backend.settings.fit) else {
        return;
    };
    if !(asks || fit.public && reachable) {
        return;
    }
    match app.executor.learn_now(&app.gate, BackendId(0), &backend.descriptor).await {
        Ok(offer) => describe_offer(&backend.descriptor, fit, &offer, report),
        Err(error) => {
            let finding = format!("nobody knows which tools the server has: {error}");
            report.warn(SUBJECT, finding, "calls say themselves what is missing");
        }
    }
    let Some(place) = app.executor.note_place(BackendId(0)) else { return };
    let path = place.path().display();
    match place.read() {
        Ok(_) => report.ok(SUBJECT, format!("kept for the next start: {path}")),
        Err(NoteError::Missing) => {}
        Err(error) => {
            report.warn(SUBJECT, error.to_string(), format!("remove {path}; it is made anew"));
        }
    }
}

fn describe_offer(
    descriptor: &Descriptor,
    fit: &ServerFit,
    offer: &ServerOffer,
    report: &mut DoctorReport,
) {
    let server = offer.version.map_or_else(|| fit.product.clone(), |it| fit.named(it));
    let (mut all, mut has) = (0_usize, 0_usize);
    // What lacks the same stands once.
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in descriptor.offered_names() {
        let counts = !fit.needs.contains_key(name);
        all += usize::from(counts);
        match standing(descriptor, name, Some(offer)) {
            ToolAvailability::Has | ToolAvailability::Unknown(None) => has += usize::from(counts),
            ToolAvailability::Lacks(lack) | ToolAvailability::Unknown(Some(lack)) => {
                groups.entry(lack.of_all()).or_default().push(name);
            }
        }
    }
    if has == all {
        report.ok(SUBJECT, format!("{server}: all {all} tools"));
    } else {
        let hint = fit.update.clone().unwrap_or_else(|| "update the server".to_owned());
        report.warn(SUBJECT, format!("{server}: {has} of {all} tools"), hint);
    }
    for (lack, names) in groups {
        let shown = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = match names.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        report.ok(SUBJECT, format!("not listed: {shown}{more}: {lack}"));
    }
    if let (Some(version), Some(tried)) = (offer.version, fit.last_tried())
        && version > tried
    {
        let finding =
            format!("{server} is newer than the last that was tried, {}", fit.named(tried));
        report.warn(SUBJECT, finding, "`dadl-mcp drift` says what is new");
    }
}
