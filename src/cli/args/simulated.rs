//! Arguments of what is only there with the simulator.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use crate::cli::{
    possible_values::parse_address,
    simulate::values::{parse_duration, parse_size, parse_token, products},
};

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Save the demo's export to this directory instead of a temporary one
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub files: Option<PathBuf>,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(
    after_help = "The data are the same at each start, dated from today, and gone at the end. mcp is a \
                  server of the Model Context Protocol on standard input and output, or with --http"
)]
pub(crate) struct SimulateArgs {
    /// The product
    #[arg(value_name = "PRODUCT", value_parser = products())]
    pub product: String,
    /// Listen on this address; a port alone means 127.0.0.1, and 0 any port
    #[arg(long, value_name = "ADDR", value_parser = parse_address, default_value = "0")]
    pub listen: SocketAddr,
    /// Let other machines reach it, when the address does; whoever has the token can do everything
    #[arg(long)]
    pub allow_remote: bool,
    /// Accept this credential instead of the one that everybody knows
    #[arg(long, value_name = "TOKEN", value_parser = parse_token)]
    pub token: Option<String>,
    /// Let an action that becomes a task take so long, such as 30s [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub task_duration: Option<Duration>,
    /// Make each exported disk or machine so large, such as 100MB [default: 8MB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub export_size: Option<u64>,
    /// Let an object change by itself so many times a second, where the product has events
    #[arg(long, value_name = "PER_SECOND")]
    pub changes: Option<NonZeroU32>,
    /// Refuse calls through MCP, as an administrator can have it, where the product has the switch
    #[arg(long)]
    pub mcp_off: bool,
    /// Have what plugins add, where the product has plugins
    #[arg(long)]
    pub plugins: bool,
    /// With mcp: listen on this address, for streamable HTTP at /mcp; a port alone means 127.0.0.1, and
    /// nothing any port
    #[arg(
        long,
        value_name = "ADDR",
        value_parser = parse_address,
        num_args = 0..=1,
        default_missing_value = "0"
    )]
    pub http: Option<SocketAddr>,
    /// With mcp: do what this script says (YAML or JSON)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub script: Option<PathBuf>,
}
