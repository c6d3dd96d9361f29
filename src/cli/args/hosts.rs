//! Arguments of `import hosts`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// What else than a document can be imported.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportKind {
    /// Make backends of the MCP servers in the settings of a host
    Hosts(ImportHostsArgs),
}

/// Arguments of `import hosts`.
///
/// A server becomes a backend of backends.yaml. Secrets are not written: they become credentials, for which
/// `setup` asks. Without a file nothing is read, and the places where hosts keep their settings are listed.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 backends were written, 1 no file has a server, or the output is there \
                        already, 3 a file cannot be used"
)]
pub(crate) struct ImportHostsArgs {
    /// The settings of Claude, Cursor, VS Code, Windsurf, Gemini (JSON) or Codex (TOML); - reads them from
    /// standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Write the backends to this file, which must not be there yet, instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "files")]
    pub output: Option<PathBuf>,
}
