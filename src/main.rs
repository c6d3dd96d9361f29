//! The `dadl-mcp` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    dadl_mcp::cli::run(std::env::args_os())
}
