//! The command line's types. Nothing here does anything: help, completions, the man page and
//! the tables of `docs/configuration.md` come from the same definitions.

#[cfg(feature = "simulator")]
mod simulated;

mod backends;
mod hosts;
mod pin;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr as _};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use dadl_openapi::pattern::SchemaPattern;

use self::backends::BESIDES_DEMO;
#[cfg(feature = "simulator")]
pub(crate) use self::simulated::{DemoArgs, SimulateArgs};
pub(crate) use self::{
    backends::{BackendArgs, SimulatedArgs},
    hosts::{ImportHostsArgs, ImportKind},
    pin::{AcceptedChange, LEAST_DIGITS, PinArgs},
};
use super::{
    possible_values::{parse_address, parse_backend_name},
    report::ReportFormat,
};
use crate::{
    config::{CertificatePin, Surface},
    finding::MOST_QUERIES,
    outcome::task_report::TaskHandle,
};

/// Serve HTTP APIs that a DADL file describes as MCP tools
///
/// Settings come from flags, then from the environment, then from backends.yaml.
#[derive(Debug, Parser)]
#[command(name = "dadl-mcp", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Flags of every subcommand.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum CliCommand {
    /// Call a tool and print its result
    Call(CallArgs),
    /// Report everything that is wrong with descriptors
    Check(CheckArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    #[cfg(feature = "simulator")]
    /// Show the main job on a simulated Xen Orchestra
    Demo(DemoArgs),
    /// Examine settings, credentials and backends
    Doctor(DoctorArgs),
    /// Compare a descriptor with an OpenAPI document
    Drift(DriftArgs),
    /// Explain a code that `check` reports, such as D303
    Explain(ExplainArgs),
    /// Ask backends whether they are well
    Health(HealthArgs),
    /// Make a descriptor of an OpenAPI document, or backends of a host's MCP servers
    Import(ImportArgs),
    /// Run jq filters for another dadl-mcp process
    #[command(name = crate::worker::SUBCOMMAND, hide = true)]
    JqWorker,
    /// Write descriptors in one layout, comments and all
    Fmt(FmtArgs),
    /// List the tools
    List(ListArgs),
    /// Print the manual page, or that of a subcommand
    Man(ManArgs),
    /// Pin what the tools of other MCP servers are, and look at what has changed since
    Pin(PinArgs),
    /// Find tools by what they do, in words, and show how a model calls them
    Search(SearchArgs),
    /// Serve the tools to an MCP host, on stdio or over HTTP
    Serve(ServeArgs),
    /// Ask for the credentials of a backend, try them and store them
    Setup(SetupArgs),
    /// Show one tool: its arguments, where it is defined, who may call it
    Show(ShowArgs),
    #[cfg(feature = "simulator")]
    /// Serve the simulated API of a product, to try things on, until Ctrl-C
    Simulate(SimulateArgs),
    /// Go on with a task that a call began: wait for it, or cancel it
    Task(TaskArgs),
    /// Print the events of a backend as they come, one JSON value a line
    Watch(WatchArgs),
}

/// Flags of every subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct GlobalArgs {
    /// Color the output
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    pub color: ColorChoice,
    /// Log more to standard error; twice for everything
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Write the log in this form
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, global = true)]
    pub log_format: LogFormat,
}

/// When to color.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// Always
    Always,
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Never
    Never,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line
    Json,
    /// Text for people
    #[default]
    Text,
}

/// Arguments of `call`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 ok, 2 arguments do not fit, 3 settings, 4 refused, \
                        5 the backend said no, 6 the backend did not answer")]
pub(crate) struct CallArgs {
    /// The tool
    pub tool: String,
    /// Its arguments: key=text, or key:=json for a value that is not text; a repeated key makes
    /// a list
    #[arg(value_name = "KEY=VALUE")]
    pub arguments: Vec<String>,
    /// Take arguments from a JSON object, from @FILE, or from standard input (-)
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub args: Option<String>,
    /// Print the request without sending it
    #[arg(long)]
    pub dry_run: bool,
    /// Agree to a dangerous call without being asked
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON in every case
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Or none.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The descriptors
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Mend what has one obvious mending, and report what is left
    #[arg(long)]
    pub fix: bool,
    /// With --fix: list the changes without making them
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// Write the findings in this form
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: FormatArg,
}

/// [`ReportFormat`] as a flag.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum FormatArg {
    /// One JSON object
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// Excerpts of the file
    #[default]
    Text,
}

impl From<FormatArg> for ReportFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Json => Self::Json,
            FormatArg::Sarif => Self::Sarif,
            FormatArg::Text => Self::Text,
        }
    }
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON in every case
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Or none.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

/// Arguments of `drift`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no difference, 3 a file or a setting cannot be used, 5 the \
                        server answered with an error, 6 it did not answer, 7 differences, or \
                        exceptions that no difference needs")]
pub(crate) struct DriftArgs {
    /// The descriptor: a path, or the name of one that is built in; without OPENAPI, the name of a
    /// backend of the settings
    #[arg(value_name = "DESCRIPTOR", value_hint = ValueHint::FilePath)]
    pub descriptor: String,
    /// The document: OpenAPI 3 or Swagger 2, JSON or YAML, - for standard input; or the URL of a server
    /// or of its document
    #[arg(value_name = "OPENAPI", value_hint = ValueHint::FilePath)]
    pub document: Option<PathBuf>,
    /// Leave out the differences in this file, each of which has its reason
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "no_exceptions")]
    pub exceptions: Option<PathBuf>,
    /// Do not use the exceptions that a built-in descriptor has
    #[arg(long)]
    pub no_exceptions: bool,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatArg,
    /// Print JSON in every case
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Read settings from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Trust these certificates (PEM) besides the system's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// Accept a certificate with this SHA-256, and no other
    #[arg(long = "tls-fingerprint", value_name = "SHA256")]
    pub tls_fingerprints: Vec<CertificatePin>,
    /// Accept any certificate
    #[arg(long)]
    pub tls_skip_verify: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The codes; all of them are listed without
    #[arg(value_name = "CODE")]
    pub codes: Vec<String>,
    /// Print JSON in every case
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit codes: 0 a descriptor was made, 1 nothing can be made of the document, \
                        3 it cannot be read"
)]
pub(crate) struct ImportArgs {
    /// Something else.
    #[command(subcommand)]
    pub kind: Option<ImportKind>,
    /// The document: OpenAPI 3 or Swagger 2, JSON or YAML; - reads it from standard input
    #[arg(value_name = "OPENAPI", value_hint = ValueHint::FilePath, required = true)]
    pub document: Option<PathBuf>,
    /// Write the descriptor to this file instead of standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace the output file where it has another content
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Call the backend this [default: made of the title]
    #[arg(long, value_name = "NAME", value_parser = parse_backend_name)]
    pub name: Option<String>,
    /// Take only these operations: the name of a tool, a path, or tag:NAME; * stands for anything
    #[arg(long, value_name = "PATTERN", value_parser = SchemaPattern::new)]
    pub include: Vec<SchemaPattern>,
    /// Leave out these operations, by the same patterns
    #[arg(long, value_name = "PATTERN", value_parser = SchemaPattern::new)]
    pub exclude: Vec<SchemaPattern>,
    /// Leave out deprecated operations instead of marking them
    #[arg(long)]
    pub no_deprecated: bool,
    /// Let the descriptor take result types and hints from this document, by its path beside it
    #[arg(long, value_name = "PATH")]
    pub openapi_source: Option<String>,
    /// Write what was lost, mended and changed to this file, as JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
}

/// Arguments of `health`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 every check went well, 1 one did not, or none is declared, \
                        3 settings")]
pub(crate) struct HealthArgs {
    /// The backend; all of them otherwise
    #[arg(value_name = "NAME")]
    pub backend: Option<String>,
    /// Print JSON in every case
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Or none.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
#[command(after_help = "A line {\"gap\": ..} stands where events may be missing.\n\
                        Exit codes: 1 the stream ended, 2 arguments do not fit, 3 settings, \
                        4 refused, 130 Ctrl-C")]
pub(crate) struct WatchArgs {
    /// The backend
    #[arg(value_name = "BACKEND")]
    pub backend: String,
    /// What to watch, as the API calls it: VM, host, ..
    #[arg(value_name = "COLLECTION")]
    pub collections: Vec<String>,
    /// Watch a simulated Xen Orchestra, the backend xen-orchestra
    #[arg(long, conflicts_with_all = BESIDES_DEMO, help_heading = "Backends")]
    #[cfg_attr(not(feature = "simulator"), arg(hide = true))]
    pub demo: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
}

/// Arguments of `fmt`.
#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// The descriptors; - reads one from standard input and prints it
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Name the files that have another layout, and change nothing
    #[arg(long)]
    pub check: bool,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List tools that may not be called too, with the reason
    #[arg(long)]
    pub all: bool,
    /// Say about how many tokens a model pays for the list, with each surface
    #[arg(long, conflicts_with = "all")]
    pub tokens: bool,
    /// List the resources of other MCP servers, and their templates
    #[arg(long, conflicts_with_all = ["all", "tokens"])]
    pub resources: bool,
    /// List the prompts of other MCP servers
    #[arg(long, conflicts_with_all = ["all", "tokens", "resources"])]
    pub prompts: bool,
    /// Print JSON in every case
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Or none.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The subcommand
    #[arg(value_name = "COMMAND")]
    pub subcommand: Option<String>,
}

/// Arguments of `search`.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What is looked for: questions, words, names, or patterns of names such as '*snapshot*'
    #[arg(value_name = "QUERY", required = true, num_args = 1..=MOST_QUERIES)]
    pub queries: Vec<String>,
    /// Show whole descriptions, and what is said of each parameter
    #[arg(long)]
    pub full: bool,
    /// About how many tokens the answer may have [default: 1500]
    #[arg(long, value_name = "NUMBER")]
    pub tokens: Option<usize>,
    /// Only tools of this backend
    #[arg(long, value_name = "BACKEND")]
    pub only: Option<String>,
    /// Print JSON: the names of the tools, and the text
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Or none.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Serve a simulated Xen Orchestra with every level allowed
    #[arg(long, conflicts_with_all = BESIDES_DEMO, help_heading = "Backends")]
    #[cfg_attr(not(feature = "simulator"), arg(hide = true))]
    pub demo: bool,
    /// Let an object of the simulated Xen Orchestra change so many times a second
    #[arg(long, value_name = "PER_SECOND", requires = "demo", help_heading = "Backends")]
    #[cfg_attr(not(feature = "simulator"), arg(hide = true))]
    pub demo_changes: Option<NonZeroU32>,
    /// Listen on this address instead of serving on stdio; a port alone means 127.0.0.1
    #[arg(long, value_name = "ADDR", value_parser = parse_address, help_heading = "HTTP")]
    pub http: Option<SocketAddr>,
    /// Show hosts each tool, a few that find the others, or what fits: tools, compact, auto
    #[arg(long, value_name = "SURFACE", value_parser = Surface::from_str)]
    pub surface: Option<Surface>,
    /// Serve what this profile of the settings file lets through
    #[arg(long, value_name = "NAME", conflicts_with = "demo")]
    pub profile: Option<String>,
    /// Go on with the settings that were read first, whatever becomes of their files
    #[arg(long)]
    pub no_watch: bool,
    /// Cut results of more characters, and keep the whole in a file [default: 40000]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_result_chars: Option<u32>,
    /// Require the bearer token in this file [env: DADL_MCP_HTTP_TOKEN, DADL_MCP_HTTP_TOKEN_FILE]
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        requires = "http",
        help_heading = "HTTP"
    )]
    pub http_token_file: Option<PathBuf>,
    /// Accept browsers from this origin, such as `https://app.example.com`; may be repeated
    #[arg(long, value_name = "ORIGIN", requires = "http", help_heading = "HTTP")]
    pub allowed_origin: Vec<String>,
    /// Accept requests for this host besides the loopback names; may be repeated
    #[arg(long, value_name = "HOST", requires = "http", help_heading = "HTTP")]
    pub allowed_host: Vec<String>,
}

/// Arguments of `setup`.
///
/// A credential that the environment has is not asked for. Values are read from the terminal
/// without echo, or one a line from standard input. Nothing is stored unless everything went
/// well.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// The backend; may be left out when there is one only
    #[arg(value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Take the values from the environment, and store them
    #[arg(long)]
    pub from_env: bool,
    /// Store the credentials without trying them
    #[arg(long)]
    pub no_check: bool,
    /// Store the credentials here; by default where the backend's are, for a new one in the
    /// keyring if one answers, else in the file [env: DADL_MCP_STORE]
    #[arg(long, value_name = "PLACE", value_enum)]
    pub store: Option<StoreArg>,
    /// Ask for the address at which the browser ends, for a browser on another machine
    #[arg(long)]
    pub paste: bool,
    /// Agree without being asked that what is stored goes to the address of the backend, or that an
    /// MCP server is logged in to where it says
    #[arg(long, short)]
    pub yes: bool,
    /// Ask for this right at an MCP server as well; may be given more than once
    #[arg(long, value_name = "SCOPE")]
    pub scope: Vec<String>,
    /// List what is stored and where it may go, without values
    #[arg(
        long,
        conflicts_with_all = ["backend", "from_env", "no_check", "store", "paste", "yes", "scope", "forget"]
    )]
    pub list: bool,
    /// Remove what is stored for the backend
    #[arg(
        long,
        requires = "backend",
        conflicts_with_all = ["from_env", "no_check", "store", "paste", "yes", "scope"]
    )]
    pub forget: bool,
    /// With --list: print JSON in every case
    #[arg(long, requires = "list")]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
}

/// Where `setup` stores credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreArg {
    /// Where the backend's credentials are; else the keyring if there is one, else the file
    #[default]
    Auto,
    /// A file that its owner alone may read
    File,
    /// The keyring of the system
    Keyring,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The tool, or the URI of a resource or the name of a prompt of another MCP server
    pub tool: String,
    /// Show the code of the examples
    #[arg(long)]
    pub examples: bool,
    /// Show the schemas of the arguments and of the result
    #[arg(long)]
    pub schema: bool,
    /// Print JSON in every case
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Or none.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

/// Arguments of `task`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 it succeeded, goes on, or was cancelled as asked, 2 no such \
                        task, 3 settings, 4 refused, 5 it failed, 6 the backend did not answer"
)]
pub(crate) struct TaskArgs {
    /// The handle, as the call gave it
    pub handle: TaskHandle,
    /// Wait so many seconds for the end of the task, 0 to look once; as long as it takes otherwise
    #[arg(long, value_name = "SECONDS", conflicts_with = "cancel")]
    pub wait: Option<u64>,
    /// Ask the task to stop
    #[arg(long)]
    pub cancel: bool,
    /// Agree to a dangerous call without being asked
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON in every case
    #[arg(long)]
    pub json: bool,
    /// Which backends.
    #[command(flatten)]
    pub backends: BackendArgs,
    /// Or none.
    #[command(flatten)]
    pub simulated: SimulatedArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_flags_of_one_backend_need_it() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        assert!(parse("dadl-mcp list --dadl x --url https://x.example --name x"));
        assert!(!parse("dadl-mcp list --url https://x.example"));
        let twice = "--allow-private-host a.lan --allow-private-host [fd00::1]:8443";
        assert!(parse(&format!("dadl-mcp list --dadl x {twice}")));
        assert!(!parse("dadl-mcp list --dadl x --allow-private-host https://a.lan"));
        assert!(!parse("dadl-mcp list --allow-private-host a.lan"));
        assert!(parse("dadl-mcp list --dadl x --allow-origin https://a.lan:8443"));
        assert!(!parse("dadl-mcp list --dadl x --allow-origin https://a.lan/path"));
        assert!(!parse("dadl-mcp list --allow-origin https://a.lan"));
        assert!(parse("dadl-mcp list --dadl x --client-cert a.pem --client-key b.pem"));
        assert!(!parse("dadl-mcp list --dadl x --client-key b.pem"));
        assert!(!parse("dadl-mcp list --dadl x --config y"));
        assert!(!parse("dadl-mcp serve --demo --dadl x"));
        assert!(!parse("dadl-mcp call x --demo --url http://x.example"));
        assert!(!parse("dadl-mcp watch --demo --tls-skip-verify xen-orchestra VM"));
        for command in ["call x", "doctor", "health", "list", "show x"] {
            assert!(parse(&format!("dadl-mcp {command} --demo --access read")), "{command}");
            assert!(!parse(&format!("dadl-mcp {command} --demo --config x")), "{command}");
        }
        assert!(!parse("dadl-mcp serve --allowed-host x"));
        assert!(!parse("dadl-mcp -v -q list"));
        assert!(!parse("dadl-mcp list --access re/ad"));
    }
}
