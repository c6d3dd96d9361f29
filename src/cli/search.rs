//! `search`: the tools that a question is about, as a model reads them.

use std::{io::Write as _, sync::Arc};

use serde_json::{Value, json};

use super::{args::SearchArgs, console::Console, exit::ExitReason, failure::CliFailure, load};
use crate::{
    catalog::CatalogEntry,
    config::env_vars::Environment,
    finding::{FoundTool, SearchDetail, SearchRequest, ToolFinder},
};

/// Finds tools.
pub(super) async fn run(
    args: &SearchArgs,
    environment: Environment,
    console: &mut Console,
) -> Result<ExitReason, CliFailure> {
    let loaded =
        load::open_backends(&args.backends, args.simulated, environment, load::ServersNeeded::All)
            .await?;
    let catalog = loaded.app.gate.shared_catalog();
    let finder = ToolFinder::new(Arc::clone(&catalog));
    let mut request = SearchRequest::new(args.queries.clone());
    request.only_backend.clone_from(&args.only);
    request.detail = if args.full { SearchDetail::Full } else { SearchDetail::Signatures };
    if let Some(tokens) = args.tokens {
        request.budget = tokens;
    }
    let answer = finder.search(&request);
    if args.json {
        let found = answer.tools.iter().filter_map(|found| match found {
            FoundTool::Entry(at) => catalog.entries().get(*at),
            FoundTool::Builtin(_) => None,
        });
        let (tools, others): (Vec<&CatalogEntry>, _) = found.partition(|entry| entry.is_listed());
        let names = |of: Vec<&CatalogEntry>| -> Value {
            of.into_iter().map(|entry| entry.name.as_str()).collect()
        };
        let (tools, others) = (names(tools), names(others));
        let answer = json!({ "tools": tools, "not_available": others, "text": answer.text });
        console.print_json(&answer)?;
    } else {
        write!(console.out, "{}", answer.text)?;
    }
    Ok(ExitReason::Ok)
}
