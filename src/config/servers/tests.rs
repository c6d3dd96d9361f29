//! Entries of backends.yaml that are other MCP servers.

use std::{path::Path, time::Duration};

use dadl_descriptor::{model::AccessLevel, source::SourceText};

use super::*;
use crate::config::{backends_file, credentials::CredentialResolver};

fn file(entries: &str) -> backends_file::ConfigFile {
    let text = SourceText::new("backends.yaml", format!("backends:\n{entries}\n"));
    backends_file::read_backends_file(&text, Path::new("/etc/dadl"))
}

/// Reads an entry that has no error.
fn server(entry: &str) -> (BackendSettings, ServerSettings) {
    let mut file = file(entry);
    assert_eq!(file.findings, []);
    let backend = file.backends.remove(0);
    let server = *backend.server.clone().unwrap();
    (backend, server)
}

/// Returns what is said of an entry that cannot be used.
fn errors(entry: &str) -> String {
    let file = file(entry);
    assert!(file.backends.is_empty(), "{entry}");
    let said = file.findings.iter().map(|finding| {
        format!("{} [{}]", finding.message, finding.help.as_deref().unwrap_or_default())
    });
    said.collect::<Vec<_>>().join("\n")
}

fn process(entry: &str) -> (BackendSettings, StdioSettings) {
    let (backend, server) = server(entry);
    let ServerConnection::Stdio(process) = server.connection else { panic!("{server:?}") };
    (backend, process)
}

#[test]
fn a_program_has_arguments_variables_and_rules() {
    let (backend, settings) = server(
        r#"
  - name: git
    transport: stdio
    command: ./bin/git-server
    args: [--repo, "/srv/a b"]
    cwd: work
    env: { LEVEL: 3, DEBUG: true, MODE: plain, TOKEN: { credential: git_token }, KEY: "${GIT_KEY}", OLD: "${CREDENTIAL_OLD_KEY}" }
    hint: The company's repositories
    access: [read, write]
    tools: ["git_*"]
    confirm: never
    levels: { "git_log": read, "git_*": write, "*": unclassified }
    start: lazy
    protocol: 2025-06-18
    resources: false
    roots: [., /srv]
    sampling: true
    options: { timeout: 2m, start_timeout: 5s, max_response_size: 1MB, max_calls: 4, task_wait: 9s }
"#,
    );
    let ServerConnection::Stdio(process) = &settings.connection else { panic!("{settings:?}") };
    assert_eq!(process.command, Path::new("/etc/dadl/./bin/git-server"));
    assert_eq!(process.args, ["--repo", "/srv/a b"]);
    assert_eq!(process.cwd.as_deref(), Some(Path::new("/etc/dadl/work")));
    let literal = |text: &str| EnvValue::Literal(text.to_owned());
    let credential = |name: &str| EnvValue::Credential(CredentialName(name.to_owned()));
    let expected = [
        ("DEBUG", literal("true")),
        ("KEY", credential("GIT_KEY")),
        ("LEVEL", literal("3")),
        ("MODE", literal("plain")),
        ("OLD", credential("old_key")),
        ("TOKEN", credential("git_token")),
    ];
    assert!(!format!("{process:?}").contains("plain"), "{process:?}");
    assert!(process.env.iter().map(|(name, value)| (name.as_str(), value.clone())).eq(expected));
    // One that is named by its variable is looked up there, one with a name of ours as ever.
    let variables =
        |name: &str| CredentialResolver::variable_names(&backend, &CredentialName(name.to_owned()));
    assert_eq!(variables("GIT_KEY"), ["GIT_KEY", "CREDENTIAL_GIT_KEY"]);
    assert_eq!(variables("git_token"), ["CREDENTIAL_GIT_TOKEN"]);
    assert_eq!(variables("old_key"), ["CREDENTIAL_OLD_KEY"]);
    let level = |tool| settings.levels.level_of(tool).map(AccessLevel::as_str);
    assert_eq!(
        (level("git_log"), level("git_push"), level("x")),
        (Some("read"), Some("write"), None)
    );
    assert_eq!((settings.start, settings.protocol), (ServerStart::Lazy, Some("2025-06-18")));
    assert_eq!((settings.resources, settings.sampling), (false, true));
    assert_eq!(settings.roots, [Path::new("/etc/dadl/."), Path::new("/srv")]);
    assert_eq!(settings.start_timeout, Duration::from_secs(5));
    assert_eq!((backend.timeouts.call.as_secs(), backend.max_calls), (120, 4));
    assert_eq!((backend.hint.as_deref(), &*backend.dadl), (Some("The company's repositories"), ""));
}

#[test]
fn little_need_be_said() {
    let (backend, process) = process("  - { name: a, transport: stdio, command: npx }");
    assert_eq!(process, StdioSettings { command: "npx".into(), ..StdioSettings::default() });
    let settings = backend.server.unwrap();
    assert_eq!((settings.start, settings.protocol), (ServerStart::Eager, None));
    assert_eq!((settings.start_timeout, settings.resources), (DEFAULT_START_TIMEOUT, true));
    let (backend, settings) =
        server("  - { name: a, transport: http, url: 'https://a.example/mcp?team=1' }");
    assert_eq!(backend.url.as_deref(), Some("https://a.example/mcp?team=1"));
    let auth = HttpServerSettings {
        auth: AuthScheme::None,
        authorization: Some(Box::new(McpAuthorization::default())),
    };
    assert_eq!(settings.connection, ServerConnection::Http(auth));
}

#[test]
fn a_mixed_file_of_toolmesh_needs_no_change() {
    let file = file(
        r#"
  - name: deepl
    transport: rest
    dadl: deepl.dadl
    allow_private_file_url: true
  - name: docs
    transport: rest
    dadl: docs.dadl
    file_url_allowed_hosts: [files.example.com, "intranet:8443"]
    allow_private_file_url: true
  - name: github
    transport: http
    url: https://api.githubcopilot.com/mcp/
    api_key_env: GITHUB_TOKEN
    hint: Code
    include_tools: ["list_*"]
    expose_tools: [list_issues]
    file_url_allowed_hosts: [github.com]
  - name: db
    transport: stdio
    command: npx
    args: ["-y", "some-database-server"]
    env: { DATABASE_URL: "${DATABASE_URL}" }
    include_tools: [query]
    options: { timeout: 30s, streaming_timeout: 1h }
"#,
    );
    assert_eq!(file.findings, []);
    let [deepl, docs, github, db] = &file.backends[..] else { panic!("{:?}", file.backends) };
    // What ToolMesh allows at once has to be named here.
    assert_eq!((&deepl.file_hosts.hosts[..], file.warnings.len()), (&[][..], 1), "{file:?}");
    assert!(file.warnings[0].contains("`allow_private_file_url` of backend `deepl` has no effect"));
    assert_eq!(docs.file_hosts.hosts, ["files.example.com", "intranet:8443"]);
    assert!(docs.file_hosts.allow_private);
    let ServerConnection::Http(http) = &github.server.as_ref().unwrap().connection else {
        panic!("{github:?}")
    };
    let AuthScheme::Token { credential, placement } = &http.auth else { panic!("{http:?}") };
    let bearer =
        TokenPlacement::Header { name: header::AUTHORIZATION, prefix: "Bearer ".to_owned() };
    assert_eq!(*placement, bearer);
    let variables = CredentialResolver::variable_names(github, credential);
    assert_eq!(variables, ["GITHUB_TOKEN", "CREDENTIAL_GITHUB_TOKEN"]);
    assert!(db.server.is_some() && github.policy.tools.is_some());
}

#[test]
fn a_key_of_another_transport_says_whose_it_is() {
    insta::assert_snapshot!(errors(
        "  - { name: a, transport: stdio, command: x, dadl: a, url: 'https://a.example', tls_skip_verify: true, fit: false, api_key_env: A, options: { connect_timeout: 1s, HOST: x, blob_ttl: 1h } }",
    ), @r"
    `dadl` is a key of `transport: rest`, and this backend has `transport: stdio` [remove the key]
    `url` is a key of `transport: rest` or `http`, and this backend has `transport: stdio` [remove the key]
    `tls_skip_verify` is a key of `transport: rest` or `http`, and this backend has `transport: stdio` [remove the key]
    `fit` is a key of `transport: rest`, and this backend has `transport: stdio` [remove the key]
    `api_key_env` is a key of `transport: http`, and this backend has `transport: stdio` [remove the key, or write `transport: http`]
    `connect_timeout` is a key of `transport: rest` or `http`, and this backend has `transport: stdio` [remove the key]
    unknown key `HOST` in options [known keys are `timeout`, `start_timeout`, `max_response_size`, `streaming_timeout`, `max_calls`, `task_wait`, `task_after`, `task_wait_progress`]
    `blob_ttl` is a key of `transport: rest`, and this backend has `transport: stdio` [remove the key]
    ");
    insta::assert_snapshot!(errors(
        "  - { name: a, transport: http, url: 'https://a.example', command: x, args: [], allow_origins: [], option: 1 }",
    ), @r"
    `command` is a key of `transport: stdio`, and this backend has `transport: http` [remove the key, or write `transport: stdio`]
    `args` is a key of `transport: stdio`, and this backend has `transport: http` [remove the key, or write `transport: stdio`]
    `allow_origins` is a key of `transport: rest`, and this backend has `transport: http` [remove the key]
    unknown key `option` in backend `a` [did you mean `options`?]
    ");
    insta::assert_snapshot!(errors(
        "  - { name: a, dadl: a, command: x, levels: { x: read }, start: lazy, options: { start_timeout: 1s } }",
    ), @r"
    `command` is a key of `transport: stdio`, and this backend has `transport: rest` [remove the key, or write `transport: stdio`]
    `levels` is a key of `transport: stdio` or `http`, and this backend has `transport: rest` [the levels of an API are in its descriptor]
    `start` is a key of `transport: stdio` or `http`, and this backend has `transport: rest` [remove the key]
    `start_timeout` is a key of `transport: stdio` or `http`, and this backend has `transport: rest` [remove the key]
    ");
}

#[test]
fn what_a_server_is_started_with_is_checked() {
    let of = |rest: &str| errors(&format!("  - {{ name: a, transport: stdio, {rest} }}"));
    for (entry, expected) in [
        (
            "hint: x",
            "backend `a` has no `command` [write `command: npx`, and its arguments under `args`]",
        ),
        ("command: ''", "`command` names no program"),
        (
            "command: npx -y server",
            "`command` is the program alone [write its arguments under `args`",
        ),
        (
            "command: x, args: -y server",
            "`args` must be a list, not text [one item for each argument",
        ),
        ("command: x, args: ['${TOKEN}']", "`${TOKEN}` in `args` is not replaced [others can see"),
        ("command: x, args: ['--key=${TOKEN}']", "`${TOKEN}` in `args` is not replaced"),
        ("command: x, args: ['$TOKEN']", "`$TOKEN` in `args` is not replaced"),
        ("command: x, args: [\"a\\0b\"]", "an item of `args` has a NUL"),
        (
            "command: x, env: { A: 'a${B}c' }",
            "`A` in `env`: `${B}` is not replaced [where the whole",
        ),
        ("command: x, env: { A: '%B1%' }", "`A` in `env`: `%B1%` is not replaced"),
        ("command: x, env: { A: [1] }", "`A` in `env` must be text, not a list"),
        ("command: x, env: { A: }", "`A` in `env` must be text"),
        ("command: x, env: { A: { credentials: b } }", "unknown key `credentials` in `A` in `env`"),
        ("command: x, env: { A: {} }", "`A` in `env` has no `credential`"),
        ("command: x, env: { A: { credential: ' ' } }", "a credential has a name"),
        ("command: x, env: { 'A B': c }", "`A B` is no name for a variable"),
        (
            "command: x, env: { DADL_MCP_CONFIG: c }",
            "`DADL_MCP_CONFIG` is a variable of dadl-mcp itself",
        ),
        ("command: x, levels: [read]", "levels must be a mapping, not a list"),
        ("command: x, levels: { a: all }", "`all` is no access level of a tool"),
        ("command: x, levels: { a: 're ad' }", "`re ad` is no access level of a tool"),
        ("command: x, levels: { '[a': read }", "is no glob: unclosed character class"),
        ("command: x, levels: { a: 1 }", "the level of `a` must be text, not a number"),
        ("command: x, start: never", "unknown value `never` of `start`"),
        ("command: x, protocol: 2025-06-19", "[did you mean `2025-06-18`?]"),
        ("command: x, options: { start_timeout: 0s }", "`start_timeout` is not a duration longer"),
    ] {
        let said = of(entry);
        assert!(said.contains(expected), "{entry}: {said}");
    }
}

#[test]
fn what_a_url_leads_to_is_checked() {
    let of = |rest: &str| errors(&format!("  - {{ name: a, transport: http, {rest} }}"));
    for (entry, expected) in [
        ("hint: x", "backend `a` has no `url` [a server over HTTP needs one, such as"),
        ("url: a.example", "`url` is no URL that begins with http:// or https://"),
        ("url: 'ftp://a.example'", "`url` is no URL that begins with http:// or https://"),
        ("url: '${URL}'", "`url` is `${URL}`, the name of a variable that nobody replaced"),
        ("url: 'https://u:p@a.example'", "`url` must not hold a user name or a password"),
        ("url: 'https://a.example/#x'", "`url` must not have a fragment"),
        (
            "url: 'https://a.example', headers: { Mcp-Session-Id: x }",
            "header `Mcp-Session-Id` cannot be set here: the protocol sets it",
        ),
        ("url: 'https://a.example', headers: { ACCEPT: x }", "header `ACCEPT` cannot be set here"),
        (
            "url: 'https://a.example', headers: { Authorization: x }",
            "header `Authorization` cannot be set here",
        ),
        (
            "url: 'https://a.example', api_key_env: sk-123",
            "what `api_key_env` has here is no name for a variable",
        ),
    ] {
        let said = of(entry);
        assert!(said.contains(expected), "{entry}: {said}");
        assert!(!said.contains("sk-123"), "{said}");
    }
}

#[test]
fn a_server_at_a_url_authenticates_as_a_descriptor_says() {
    let auth = |auth: &str| {
        let entry = format!(
            "  - {{ name: a, transport: http, url: 'https://a.example/mcp', auth: {auth} }}"
        );
        let (backend, settings) = server(&entry);
        let ServerConnection::Http(http) = settings.connection else { panic!("{backend:?}") };
        http.auth
    };
    let basic = auth("{ type: basic, username_credential: user, password_credential: pass }");
    assert!(matches!(basic, AuthScheme::Basic { password: Some(_), .. }), "{basic:?}");
    assert_eq!(auth("{ type: bearer, credential: none }"), AuthScheme::None);
    let flow = "{ type: oauth2, flow: authorization_code, authorize_url: 'https://l.example/a', token_url: 'https://l.example/t', client_id_credential: id, refresh_token_credential: r, rotates_refresh_token: true }";
    let AuthScheme::OAuth2(oauth2) = auth(flow) else { panic!("{flow}") };
    assert_eq!(oauth2.consent().unwrap().authorize_url.as_str(), "https://l.example/a");
}

#[test]
fn what_is_wrong_with_auth_is_said_where_it_is() {
    let with = |more: &str| {
        let head = "  - { name: a, transport: http, url: 'https://a.example/mcp', ";
        errors(&format!("{head}{more} }}"))
    };
    let both = with("api_key_env: A, auth: { type: bearer, credential: a }");
    assert!(
        both.contains("`auth` and `api_key_env` both say what is sent [keep `auth`]"),
        "{both}"
    );
    let kind = with("auth: { type: barer, credential: a }");
    assert!(kind.contains("authentication type"), "{kind}");
    let key = with("auth: { type: bearer, credential: a, haeder_name: X }");
    assert!(key.contains("unknown key `haeder_name`"), "{key}");
    let none = with("auth: { type: bearer }");
    assert!(none.contains("has no `credential`"), "{none}");
    let api = errors("  - { name: a, dadl: a, auth: { type: bearer, credential: a } }");
    assert!(api.contains("`auth` is a key of `transport: http`"), "{api}");
}
