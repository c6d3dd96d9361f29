//! The keys of backends.yaml, each with its type, default and meaning.
//!
//! The reader takes its known keys from here, and `docs/configuration.md` its tables.

/// What a backend is, and how it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportKind {
    /// An HTTP API with a descriptor.
    Rest,
    /// An MCP server that is started.
    Stdio,
    /// An MCP server at a URL.
    Http,
}

impl TransportKind {
    /// Every kind.
    pub(crate) const ALL: &[Self] = &[Self::Rest, Self::Stdio, Self::Http];
    /// MCP servers.
    const SERVERS: &[Self] = &[Self::Stdio, Self::Http];
    /// What is reached by HTTP requests.
    const URLS: &[Self] = &[Self::Rest, Self::Http];

    /// Returns the value of `transport`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Stdio => "stdio",
            Self::Http => "http",
        }
    }
}

/// A key of backends.yaml.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "a test compares all of it with docs/configuration.md")
)]
pub(crate) struct ConfigKey {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub kind: &'static str,
    /// What counts when it is absent.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// The backends that it is for; those of the file itself and of `files` are for all.
    pub transports: &'static [TransportKind],
}

impl ConfigKey {
    const fn only(self, transports: &'static [TransportKind]) -> Self {
        Self { transports, ..self }
    }
}

const fn config_key(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> ConfigKey {
    ConfigKey { name, kind, default, meaning, transports: TransportKind::ALL }
}

/// The keys of the file itself.
pub(crate) const FILE: &[ConfigKey] = &[
    config_key("backends", "list", "required", "The backends, in their order"),
    config_key(
        "files",
        "mapping",
        "none",
        "Which files may be sent, and how long files are kept; see below",
    ),
    config_key(
        "limits",
        "mapping",
        "none",
        "How much happens at once, and how much is shown; see below",
    ),
    config_key(
        "surface",
        "text",
        "`tools`",
        "`tools` shows hosts each allowed tool, `compact` a few that find and call the others, `auto` \
         the second where there are many; `--surface` goes before it",
    ),
    config_key("profiles", "mapping", "", "What can be served instead of all, by name; see below"),
];

/// The keys of a profile.
pub(crate) const PROFILE: &[ConfigKey] = &[
    config_key("backends", "list", "all", "The names of its backends"),
    config_key(
        "access",
        "text or list",
        "as the backends have it",
        "The levels of its tools: what a backend does not allow, no profile does",
    ),
    config_key(
        "tools",
        "list",
        "all",
        "Only these tools: names or globs, as a backend or as hosts know them",
    ),
    config_key("exclude_tools", "list", "none", "Never these tools"),
    config_key("surface", "text", "that of the file", "Which tools hosts are shown"),
];

/// The keys of `limits`.
pub(crate) const LIMITS: &[ConfigKey] = &[
    config_key(
        "max_result_chars",
        "number",
        "`40000`",
        "A longer result is cut where an item ends; the whole goes to the directory of files",
    ),
    config_key(
        "max_media_size",
        "size",
        "`1MB`",
        "An image or audio file of up to this size is shown in the result that says where it is; 0 \
         shows none",
    ),
    config_key(
        "max_calls",
        "number",
        "`512`",
        "For calls that wait for an answer at the same time",
    ),
    config_key(
        "max_transfers",
        "number",
        "`256`",
        "For files that calls send or receive at the same time, and as many that clients put at `/files` or fetch there",
    ),
    config_key(
        "max_queued_calls",
        "number",
        "`1024`",
        "For calls that wait for their turn, which goes round among the sessions; one more is \
         refused, or one of those who wait most",
    ),
    config_key(
        "max_memory",
        "size",
        "`256MB`",
        "For all answers that are being read at the same time; a call beyond it fails",
    ),
    config_key(
        "script_timeout",
        "duration",
        "`30s`",
        "For a script of `api_read` or `api_script`; waiting for a person does not count",
    ),
    config_key("max_script_calls", "number", "`50`", "For the calls of such a script"),
    config_key(
        "list_wait",
        "duration",
        "`8s`",
        "How long a start waits for the lists of MCP servers; of one that is later the last known list is \
         used",
    ),
    config_key(
        "shutdown_grace",
        "duration",
        "`10s`",
        "How long calls may go on when `serve` gets a signal to end; the rest is answered with an \
         error, or with the handle of its task",
    ),
];

/// The keys of `files`.
pub(crate) const FILES: &[ConfigKey] = &[
    config_key(
        "allow_hosts",
        "list",
        "none",
        "Fetch files from `https` URLs of these hosts, `name` or `name:port`; their addresses \
         must be public",
    ),
    config_key(
        "allow_public",
        "boolean",
        "`false`",
        "Fetch files from `https` URLs of any host that has a public address",
    ),
    config_key(
        "allow_private",
        "boolean",
        "`false`",
        "Let the hosts of `allow_hosts` have private addresses",
    ),
    config_key(
        "allow_directories",
        "list of paths",
        "none",
        "Send files below these directories too, links resolved; relative to this file",
    ),
    config_key(
        "ca_file",
        "path",
        "none",
        "Certificates (PEM) to trust besides the system's when fetching",
    ),
    config_key(
        "max_upload_size",
        "size",
        "`1GB`",
        "For a file that a client uploads or that is fetched from a URL",
    ),
    config_key(
        "max_total_size",
        "size",
        "`16GB` over HTTP, none on stdio",
        "For all files that were saved or uploaded and have not expired",
    ),
    config_key(
        "max_files",
        "number",
        "`1000` over HTTP, none on stdio",
        "For the number of those files",
    ),
    config_key(
        "ttl",
        "duration",
        "`24h` over HTTP, forever on stdio",
        "How long a file is kept when neither its tool nor `blob_ttl` says",
    ),
    config_key(
        "public_url",
        "URL",
        "none",
        "Where clients reach an HTTP server, such as `https://mcp.example.com`; makes the URLs of \
         saved files absolute, and `dadl-file:ID#url` possible",
    ),
];

/// The keys of an entry of `backends`.
pub(crate) const BACKEND: &[ConfigKey] = &[
    config_key("name", "text", "required", "What people and tool names call it: `[a-z][a-z0-9-]*`"),
    config_key(
        "transport",
        "`rest`, `stdio` or `http`",
        "`rest`",
        "`rest`: an API with a descriptor. `stdio` and `http`: another MCP server, which dadl-mcp \
         starts, or at a URL: see [servers](servers.md)",
    ),
    config_key(
        "dadl",
        "path or name",
        "required",
        "The descriptor: a path relative to this file, when it has a separator or ends in \
         `.dadl`; else the name of one inside dadl-mcp, beside this file or in the `descriptors` \
         directory",
    ).only(&[TransportKind::Rest]),
    config_key(
        "command",
        "path or name",
        "required",
        "The program of the server: a name to look for in `PATH`, or a path relative to this file when \
         it has a separator",
    )
    .only(&[TransportKind::Stdio]),
    config_key(
        "args",
        "list",
        "none",
        "Its arguments, one item each. Anybody on the machine can see them: no secrets",
    )
    .only(&[TransportKind::Stdio]),
    config_key(
        "cwd",
        "path",
        "your home",
        "The directory in which it is started, relative to this file",
    )
    .only(&[TransportKind::Stdio]),
    config_key(
        "url",
        "URL",
        "the descriptor's `base_url`",
        "The base URL of the API, `http` or `https`, or the whole URL of the server, which has to be \
         given; may point anywhere, because it is yours",
    ).only(TransportKind::URLS),
    config_key(
        "api_key_env",
        "text",
        "none",
        "The variable that holds the bearer token of the server; also looked for under the names of \
         other credentials",
    )
    .only(&[TransportKind::Http]),
    config_key(
        "auth",
        "mapping",
        "`{type: mcp}`",
        "How the server lets this program in: `type: mcp` is what MCP specifies, and what `setup` does \
         without this key where there is no `api_key_env` (see below); else as `auth` of a \
         [descriptor](language.md) says it: `bearer`, `apikey`, `basic`, `session`, and `oauth2` with every \
         flow",
    )
    .only(&[TransportKind::Http]),
    config_key("hint", "text", "none", "What models should know about this backend"),
    config_key(
        "access",
        "list or text with commas",
        "`read`",
        "The access levels that are allowed: `read`, `write`, `admin`, `dangerous`, \
         `unclassified`, `all`, or a level of the descriptor's own",
    ),
    config_key("tools", "list", "every tool", "Allow these tools only: names and globs"),
    config_key("include_tools", "list", "every tool", "ToolMesh's word for `tools`"),
    config_key("exclude_tools", "list", "none", "Never allow these tools: names and globs; wins"),
    config_key(
        "levels",
        "mapping",
        "none",
        "Names and globs of the server's tools, and the access level of each; the first that fits \
         counts, and a tool without one is `unclassified`",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "expose_tools",
        "list",
        "none",
        "Show these tools beside those of the surface `compact`: names and globs; \
         with `tools` each allowed tool is shown",
    ),
    config_key(
        "confirm",
        "`ask` or `never`",
        "`ask`",
        "Whether a person is asked before each dangerous call",
    ),
    config_key(
        "start",
        "`eager` or `lazy`",
        "`eager`",
        "Whether the server is started at once, or by the first call when its tools are known from an \
         earlier start",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "protocol",
        "`auto` or a revision",
        "`auto`",
        "The revision of MCP that is tried first, such as `2025-11-25`; the server chooses",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "prompts",
        "boolean",
        "`true`",
        "Whether hosts are offered the prompts of the server; none where `access` lacks `read`",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "resources",
        "boolean",
        "`true`",
        "Whether hosts are offered the resources of the server; none where `access` lacks `read`",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "roots",
        "list of paths",
        "none",
        "Directories that the server is told of as roots, relative to this file",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "sampling",
        "boolean",
        "`false`",
        "Whether the server may ask the host's model, where the host lends it",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "log_level",
        "`debug`, `info`, `notice`, `warning` or `error`",
        "the server decides",
        "Which of its messages the server is asked to send; they go into our log",
    )
    .only(TransportKind::SERVERS),
    config_key("headers", "mapping", "none", "Header fields that are added to each request").only(TransportKind::URLS),
    config_key(
        "ca_file",
        "path",
        "none",
        "Certificates (PEM) to trust besides the system's; the backend's own, when it is among them, \
         whatever names and dates are in it",
    ).only(TransportKind::URLS),
    config_key(
        "client_cert",
        "path",
        "none",
        "A certificate (PEM, with its chain) to show to the backend; read again when the file changes",
    ).only(TransportKind::URLS),
    config_key(
        "client_key",
        "path",
        "`client_cert`",
        "Its key (PEM, not encrypted), in a file that nobody else can write to",
    ).only(TransportKind::URLS),
    config_key(
        "tls_fingerprint",
        "text or list",
        "none",
        "The SHA-256 of the backend's certificate, with or without colons: it is accepted whatever is in \
         it, and no other; `setup` shows it",
    ).only(TransportKind::URLS),
    config_key(
        "tls_skip_verify",
        "boolean",
        "`false`",
        "Accept any certificate; prefer `tls_fingerprint`, which goes before it",
    ).only(TransportKind::URLS),
    config_key(
        "allow_private_url",
        "boolean",
        "`false`",
        "Let a `base_url` of the descriptor be a private or loopback address; a `url` of this \
         file always may",
    ).only(&[TransportKind::Rest]),
    config_key(
        "allow_private_hosts",
        "list",
        "none",
        "Let these hosts, `name` for every port or `name:port`, have private or loopback addresses \
         when the descriptor leads there: a `token_url`, an `authorize_url`, or its `base_url`; or a \
         server, with what it says about logins",
    ).only(TransportKind::URLS),
    config_key(
        "allow_origins",
        "list",
        "none",
        "Call tools whose path is a whole URL at one of these, `https://host` or `https://host:port`; \
         they are left out otherwise. The credential, `headers` and `client_cert` stay at the backend, \
         unless the item is `{origin: \"https://host\", credential: true}`",
    ).only(&[TransportKind::Rest]),
    config_key(
        "fetch_openapi",
        "boolean",
        "`false`",
        "Fetch the descriptor's `openapi_source`, or the document that says what the server has, at \
         the start when it is below the base URL: with the credential, for 5 s and 32 MB at most; \
         without it the start goes on",
    ).only(&[TransportKind::Rest]),
    config_key(
        "fit",
        "boolean",
        "`true`",
        "Learn in the background which tools the server has, where the descriptor says how, and \
         leave out of the list of the next start what it lacks; `false` asks for nothing and keeps \
         nothing",
    ).only(&[TransportKind::Rest]),
    config_key(
        "login",
        "text",
        "the descriptor's `auth`",
        "Which other login of the descriptor is used, where it has some (`_dadl_mcp.auth.logins`)",
    ).only(&[TransportKind::Rest]),
    config_key(
        "defaults",
        "mapping",
        "none",
        "Values of parameters, by their names on the wire, for calls that give none: in every tool \
         that has such a parameter",
    ),
    config_key(
        "overrides",
        "mapping",
        "none",
        "What you say of single tools, by their own names or by globs: `name`, `title`, `description`, `level`, \
         `annotations`, `hidden` (values of parameters that callers neither see nor give) and `keywords`; see \
         [the guide](guide.md#say-something-else-of-a-tool)",
    ),
    config_key(
        "env",
        "mapping",
        "none",
        "Credential names of the descriptor and the names to look up instead. Of a `stdio` server: the \
         variables that it gets besides `PATH`, `HOME` and the like, each a text or `{credential: NAME}`; \
         `${NAME}` means the same",
    ),
    config_key(
        "file_url_allowed_hosts",
        "list",
        "none",
        "ToolMesh's word: what `allow_hosts` of `files` says, for the calls of this backend alone",
    ),
    config_key(
        "allow_private_file_url",
        "boolean",
        "`false`",
        "ToolMesh's word: let the hosts of `file_url_allowed_hosts` have private addresses",
    ),
    config_key("options", "mapping", "none", "See below"),
];

/// The keys of `auth` with `type: mcp`.
pub(crate) const MCP_AUTH: &[ConfigKey] = &[
    config_key("type", "`mcp`", "required", "The authorization that MCP itself specifies"),
    config_key(
        "flow",
        "`authorization_code` or `client_credentials`",
        "`authorization_code`",
        "Whether a person agrees in a browser, or this program has credentials of its own",
    ),
    config_key(
        "client_id",
        "text",
        "registered by `setup`",
        "What the authorization server knows this program by; the URL of a client id metadata document \
         where it takes such",
    ),
    config_key(
        "client_secret",
        "`{credential: NAME}`",
        "none",
        "The credential that holds the secret of that client",
    ),
    config_key(
        "redirect_uri",
        "URL",
        "a free port of this machine",
        "Where the browser comes back to, as it is registered for `client_id`",
    ),
    config_key(
        "scopes",
        "list",
        "what the server asks for",
        "The rights to ask for, and no others",
    ),
    config_key(
        "issuer",
        "URL",
        "the one that the server names",
        "The authorization server: needed where the server names several, and no other is used",
    ),
    config_key(
        "assume_pkce",
        "boolean",
        "`false`",
        "Log in although the authorization server does not say that it knows PKCE with S256",
    ),
];

/// The keys of `options`, besides the values of `{NAME}` placeholders.
pub(crate) const OPTIONS: &[ConfigKey] = &[
    config_key(
        "timeout",
        "duration",
        "`5m`",
        "For a whole call, retries included; uploads and downloads are exempt while bytes move",
    ),
    config_key("connect_timeout", "duration", "`10s`", "For a connection, TLS included").only(TransportKind::URLS),
    config_key(
        "read_timeout",
        "duration",
        "`1m`",
        "Until an answer begins, and between two pieces of it; files that tools save have the two bounds \
         below, and MCP servers `timeout` alone",
    ).only(TransportKind::URLS),
    config_key(
        "start_timeout",
        "duration",
        "`1m`",
        "Until a server has introduced itself and listed what it has; package runners download first",
    )
    .only(TransportKind::SERVERS),
    config_key(
        "first_byte_timeout",
        "duration",
        "`30m`",
        "Until the first byte of a file comes, which a backend may have to prepare",
    ).only(&[TransportKind::Rest]),
    config_key("stall_timeout", "duration", "`10m`", "Between two pieces of such a file").only(&[TransportKind::Rest]),
    config_key(
        "max_response_size",
        "size",
        "`64MB`",
        "For an answer that is not saved to a file; powers of 1024",
    ),
    config_key(
        "streaming_timeout",
        "duration",
        "none",
        "Accepted for ToolMesh and without effect: `read_timeout` bounds a stream",
    ),
    config_key(
        "blob_ttl",
        "duration",
        "`ttl` of `files`",
        "How long saved files are kept when their tool does not say",
    ).only(&[TransportKind::Rest]),
    config_key(
        "max_calls",
        "number",
        "`256`",
        "For calls of this backend that wait for an answer at the same time",
    ),
    config_key(
        "task_wait",
        "duration",
        "`50s`",
        "How long a call waits for a task that it began, counted from when it came; then it answers \
         with the handle of the task. The argument `wait` of a call goes before this",
    ),
    config_key(
        "task_after",
        "duration",
        "`5s`",
        "The same for a host that knows tasks of the protocol, counted from when the task began; then \
         it gets one. `0` gives it at once",
    ),
    config_key(
        "task_wait_progress",
        "duration",
        "none",
        "Without effect: `task_wait` counts for hosts that ask for progress as well",
    ),
    config_key("`NAME`", "text", "none", "The value of `{NAME}` in the base URL; upper case").only(&[TransportKind::Rest]),
];

#[cfg(test)]
mod tests {
    use dadl_descriptor::units;

    use super::super::{
        BackendTimeouts, DEFAULT_MAX_RESPONSE_BYTES, DEFAULT_TASK_AFTER, DEFAULT_TASK_WAIT,
        FileSettings, OperatorLimits, servers::DEFAULT_START_TIMEOUT,
    };
    use super::*;

    #[test]
    fn the_written_defaults_are_the_real_ones() {
        let default = |name: &str| {
            let key = OPTIONS.iter().find(|key| key.name == name).unwrap();
            key.default.trim_matches('`')
        };
        let BackendTimeouts { connect, read, call, first_byte, stall } = BackendTimeouts::default();
        assert_eq!(units::parse_duration(default("first_byte_timeout")), Some(first_byte));
        assert_eq!(units::parse_duration(default("stall_timeout")), Some(stall));
        assert_eq!(units::parse_duration(default("timeout")), Some(call));
        assert_eq!(units::parse_duration(default("connect_timeout")), Some(connect));
        assert_eq!(units::parse_duration(default("read_timeout")), Some(read));
        assert_eq!(units::parse_duration(default("task_wait")), Some(DEFAULT_TASK_WAIT));
        assert_eq!(units::parse_duration(default("task_after")), Some(DEFAULT_TASK_AFTER));
        let size = units::parse_size(default("max_response_size"));
        assert_eq!(size, Some(DEFAULT_MAX_RESPONSE_BYTES));
        assert_eq!(default("max_calls"), OperatorLimits::CALLS_OF_BACKEND.to_string());
        let of_limits = |name: &str| {
            let key = LIMITS.iter().find(|key| key.name == name).unwrap();
            key.default.trim_matches('`')
        };
        let limits = OperatorLimits::default();
        assert_eq!(of_limits("max_result_chars"), limits.result_chars.to_string());
        assert_eq!(units::parse_size(of_limits("max_media_size")), Some(limits.media_bytes));
        assert_eq!(of_limits("max_calls"), limits.calls.to_string());
        assert_eq!(of_limits("max_transfers"), limits.transfers.to_string());
        assert_eq!(of_limits("max_queued_calls"), limits.queued.to_string());
        assert_eq!(units::parse_size(of_limits("max_memory")), Some(limits.memory));
        assert_eq!(units::parse_duration(of_limits("shutdown_grace")), Some(limits.shutdown_grace));
        assert_eq!(units::parse_duration(of_limits("script_timeout")), Some(limits.script_time));
        assert_eq!(of_limits("max_script_calls"), limits.script_calls.to_string());
        assert_eq!(units::parse_duration(of_limits("list_wait")), Some(limits.list_wait));
        assert_eq!(units::parse_duration(default("start_timeout")), Some(DEFAULT_START_TIMEOUT));
        let of_files = |name: &str| {
            let key = FILES.iter().find(|key| key.name == name).unwrap();
            key.default.split_whitespace().next().unwrap().trim_matches('`')
        };
        let upload = units::parse_size(of_files("max_upload_size"));
        assert_eq!(upload, Some(FileSettings::default().max_upload_bytes));
        let total = units::parse_size(of_files("max_total_size"));
        assert_eq!(total, Some(FileSettings::HTTP_TOTAL_BYTES));
        assert_eq!(of_files("max_files"), FileSettings::HTTP_FILES.to_string());
        assert_eq!(units::parse_duration(of_files("ttl")), Some(FileSettings::HTTP_TTL));
    }
}
