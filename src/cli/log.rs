//! The log: to standard error alone, because standard output is the protocol's or the result's.

use std::io;

use tracing_subscriber::EnvFilter;

use super::{
    args::{GlobalArgs, LogFormat},
    failure::Failure,
};
use crate::config::env_vars::{self, Environment};

/// Starts the log. `DADL_MCP_LOG` is a filter of its own; `-v` and `-q` are short for three.
pub(super) fn start(
    args: &GlobalArgs,
    environment: &Environment,
    color: bool,
) -> Result<(), Failure> {
    let filter = match environment.get(env_vars::LOG) {
        Some(filter) if args.verbose == 0 && !args.quiet => EnvFilter::try_new(filter)
            .map_err(|error| Failure::settings(format!("{}: {error}", env_vars::LOG)))?,
        _ => EnvFilter::new(match (args.quiet, args.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "warn,dadl_mcp=debug",
            // The protocol library writes arguments and results into its debug log.
            (false, _) => "debug,rmcp=warn,dadl_mcp=trace",
        }),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // An error means that a test has started it already.
    let _ = match args.log_format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.with_ansi(color).with_target(args.verbose > 1).try_init(),
    };
    Ok(())
}
