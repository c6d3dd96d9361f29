//! Settings from flags, variables and files.

use std::{fmt::Write as _, path::Path, time::Duration};

use dadl_descriptor::{model::AccessLevel, source::SourceText};

use super::{env_vars::Environment, *};
use crate::access::{AccessDecision, AccessLevels};

/// Reads a file that has no error.
fn read(text: &str) -> Vec<BackendSettings> {
    let file = backends_file::read_backends_file(
        &SourceText::new("backends.yaml", text),
        Path::new("/etc/dadl"),
    );
    assert_eq!(file.findings, []);
    file.backends
}

/// Reads a file with errors and shows each with its place.
fn errors(text: &str) -> String {
    let source = SourceText::new("backends.yaml", text);
    let file = backends_file::read_backends_file(&source, Path::new(""));
    assert!(file.backends.is_empty());
    file.findings.iter().fold(String::new(), |mut shown, finding| {
        let place = source.position(finding.span.start);
        let marked = source.slice(finding.span.clone());
        write!(
            shown,
            "{}:{}: {} {} [{marked}]",
            place.line, place.column, finding.code.0, finding.message
        )
        .unwrap();
        if let Some(help) = &finding.help {
            write!(shown, "\n     {help}").unwrap();
        }
        shown.push('\n');
        shown
    })
}

#[test]
fn reads_every_key() {
    let backends = read(
        r#"
backends:
  - name: xo
    transport: rest
    dadl: xen-orchestra
    url: https://xo.example.com/rest/v0
    hint: "the lab"
    access: [read, write]
    tools: ["*_vm*"]
    exclude_tools: [delete_vm]
    expose_tools: [list_vms]
    confirm: never
    headers: { X-Request-Source: dadl-mcp }
    ca_file: lab.pem
    client_cert: me.pem
    client_key: /keys/me.pem
    tls_fingerprint: "AB:CD:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:EF"
    tls_skip_verify: true
    allow_private_url: true
    allow_private_hosts: [sso.example.com, "10.0.0.1:8443"]
    allow_origins: ["https://files.example.com:8443", {origin: "https://b.example.com", credential: true}]
    env: { xen_orchestra_token: lab_token }
    options:
      timeout: 2m
      connect_timeout: 5s
      read_timeout: 30s
      first_byte_timeout: 45m
      stall_timeout: 20m
      max_response_size: 1MB
      streaming_timeout: 1h
      task_wait: 40s
      task_after: 0
      task_wait_progress: 10m
      blob_ttl: 1h
      REGION: eu-1
"#,
    );
    let [backend] = &backends[..] else { panic!("{backends:?}") };
    assert_eq!(backend.name, "xo");
    assert_eq!(backend.url.as_deref(), Some("https://xo.example.com/rest/v0"));
    assert_eq!(backend.hint.as_deref(), Some("the lab"));
    assert_eq!(backend.confirm, ConfirmPolicy::Never);
    assert_eq!(backend.headers[0].0, "x-request-source");
    assert_eq!(backend.ca_file.as_deref(), Some(Path::new("/etc/dadl/lab.pem")));
    assert_eq!(backend.client_cert.as_deref(), Some(Path::new("/etc/dadl/me.pem")));
    assert_eq!(backend.client_key.as_deref(), Some(Path::new("/keys/me.pem")));
    assert!(backend.tls_skip_verify && backend.allow_private_url);
    let pin = format!("abcd{}ef", "00".repeat(29)).parse().unwrap();
    assert_eq!(backend.tls_fingerprint, [pin]);
    let hosts: Vec<PrivateHost> =
        ["sso.example.com", "10.0.0.1:8443"].map(|host| host.parse().unwrap()).into();
    assert_eq!(backend.allow_private_hosts, hosts);
    let origins = backend.policy.origins.iter().map(|it| (it.to_string(), it.credential));
    let expected = [("https://files.example.com:8443", false), ("https://b.example.com", true)];
    assert!(origins.eq(expected.map(|(origin, credential)| (origin.to_owned(), credential))));
    assert_eq!(backend.credentials["xen_orchestra_token"], "lab_token");
    assert_eq!(backend.timeouts.call, Duration::from_secs(120));
    assert_eq!(backend.timeouts.connect, Duration::from_secs(5));
    assert_eq!(backend.timeouts.read, Duration::from_secs(30));
    let BackendTimeouts { first_byte, stall, .. } = backend.timeouts;
    assert_eq!((first_byte.as_secs(), stall.as_secs()), (45 * 60, 20 * 60));
    assert_eq!((backend.task_wait, backend.task_after), (Duration::from_secs(40), Duration::ZERO));
    assert_eq!(backend.max_response_bytes, 1024 * 1024);
    assert_eq!(backend.file_ttl, Some(Duration::from_secs(3600)));
    assert_eq!(backend.variables["REGION"], "eu-1");
    let decide = |tool, access| backend.policy.decide(tool, Some(&access), None);
    assert_eq!(decide("start_vm", AccessLevel::Write), AccessDecision::Allow);
    assert_ne!(decide("delete_vm", AccessLevel::Write), AccessDecision::Allow);
    assert_ne!(decide("list_hosts", AccessLevel::Read), AccessDecision::Allow);
}

#[test]
fn a_key_without_a_certificate_is_told() {
    let found = errors("backends: [{name: a, dadl: a, client_key: key.pem}]\n");
    assert!(found.contains("`client_key` is the key of a certificate that nothing"), "{found}");
    assert!(found.contains("add `client_cert: ..`"), "{found}");
}

#[test]
fn an_origin_is_written_whole_and_once() {
    let of = |origins: &str| {
        errors(&format!("backends: [{{name: a, dadl: a, allow_origins: {origins}}}]\n"))
    };
    for wrong in ["files.example.com", "\"https://a.example/api\"", "\"https://u@a.example\""] {
        for item in [wrong.to_owned(), format!("{{origin: {wrong}, credential: true}}")] {
            let found = of(&format!("[{item}]"));
            assert!(found.contains("D010 what `allow_origins` has here is no origin"), "{found}");
        }
    }
    for (wrong, expected) in [
        ("\"https://a.example\"", "`allow_origins` must be a list, not text"),
        ("[7]", "an item of `allow_origins` must be text, not a number"),
        ("[{credential: true}]", "an item of `allow_origins` has no `origin`"),
        (
            "[\"https://a.example\", {origin: \"https://A.example:443\"}]",
            "https://a.example stands twice in `allow_origins`",
        ),
        (
            "[{origin: \"https://a.example\", credentials: true}]",
            "unknown key `credentials` in an item of `allow_origins`",
        ),
        (
            "[{origin: \"https://a.example\", credential: 1}]",
            "`credential` must be `true` or `false`",
        ),
    ] {
        let found = of(wrong);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn the_example_is_right_and_shows_every_key() {
    let text = include_str!("../../backends.yaml.example");
    read(text);
    // What is commented out has to be right as well; prose has a space after the `#`.
    let all: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("# "))
        .map(|line| {
            let bare = line.trim_start();
            let indent = &line[..line.len() - bare.len()];
            format!("{indent}{}\n", bare.strip_prefix('#').unwrap_or(bare))
        })
        .collect();
    read(&all);
    // ToolMesh's words for what ours say, or without effect.
    let left_out = ["include_tools", "streaming_timeout", "task_wait_progress", "`NAME`"];
    let servers = keys::FILES.iter().chain(keys::LIMITS).chain(keys::MCP_AUTH);
    for key in keys::BACKEND.iter().chain(keys::OPTIONS).chain(servers) {
        let shown = all.contains(&format!("{}:", key.name));
        assert_ne!(shown, left_out.contains(&key.name), "{}", key.name);
    }
}

#[test]
fn what_has_no_effect_says_so() {
    let text = "backends: [{ name: a, dadl: a.dadl, options: { task_wait_progress: 10m } }]";
    let file = backends_file::read_backends_file(
        &SourceText::new("test.yaml", text),
        Path::new("/etc/dadl"),
    );
    assert_eq!((file.backends.len(), file.findings.len()), (1, 0));
    let [warning] = &*file.warnings else { panic!("{:?}", file.warnings) };
    assert!(
        warning.starts_with("`task_wait_progress` of backend \"a\" has no effect"),
        "{warning}"
    );
    for (given, expected) in [("0", 0), ("0s", 0), ("7s", 7)] {
        let text =
            format!("backends: [{{ name: a, dadl: a.dadl, options: {{ task_after: {given} }} }}]");
        let file = backends_file::read_backends_file(
            &SourceText::new("test.yaml", text),
            Path::new("/etc/dadl"),
        );
        assert_eq!(file.backends[0].task_after, Duration::from_secs(expected), "{given}");
    }
    for wrong in ["5", "-1s", "soon", "[]"] {
        let text =
            format!("backends: [{{ name: a, dadl: a.dadl, options: {{ task_after: {wrong} }} }}]");
        let file = backends_file::read_backends_file(
            &SourceText::new("test.yaml", text),
            Path::new("/etc/dadl"),
        );
        assert_eq!(file.findings[0].message, "`task_after` is not a duration", "{wrong}");
    }
}

#[test]
fn reads_what_is_said_about_files() {
    let settings = |text: &str| {
        let text = format!("files:\n  {text}\nbackends: [{{name: a, dadl: a.dadl}}]\n");
        let file = backends_file::read_backends_file(
            &SourceText::new("test.yaml", text),
            Path::new("/etc/dadl"),
        );
        let messages: Vec<String> =
            file.findings.iter().map(|finding| finding.message.clone()).collect();
        assert_eq!(file.backends.is_empty(), !messages.is_empty());
        if messages.is_empty() { Ok(file.files) } else { Err(messages.join("; ")) }
    };
    let all = settings(
        "{allow_hosts: [H.example, 'h:8443'], allow_public: true, allow_private: true, \
         allow_directories: [in, /srv], ca_file: ca.pem, max_upload_size: 2MB, max_total_size: 1GB, \
         max_files: 9, ttl: 2h, public_url: 'https://m.example/'}",
    );
    let expected = FileSettings {
        allow_hosts: vec!["h.example".into(), "h:8443".into()],
        allow_public: true,
        allow_private: true,
        allow_directories: vec!["/etc/dadl/in".into(), "/srv".into()],
        ca_file: Some("/etc/dadl/ca.pem".into()),
        max_upload_bytes: 2 * 1024 * 1024,
        max_total_bytes: Some(1024 * 1024 * 1024),
        max_files: Some(9),
        ttl: Some(Duration::from_secs(7200)),
        public_url: Some("https://m.example".into()),
    };
    assert_eq!(all, Ok(expected));
    assert_eq!(settings("{ttl: 2h}").unwrap().max_files, None);
    for (wrong, expected) in [
        ("allow_host: [h]", "unknown key `allow_host` in files"),
        ("allow_hosts: h", "`allow_hosts` must be a list, not text"),
        ("allow_hosts: ['https://h']", "`https://h` is no host"),
        ("allow_hosts: ['*']", "`*` is no host"),
        ("allow_private: true", "`allow_private` is for hosts in `allow_hosts`, which names none"),
        ("max_files: 0", "`max_files` is not a whole number above zero"),
        ("max_total_size: big", "`max_total_size` is not a size above zero"),
        ("ttl: 0s", "`ttl` is not a duration longer than zero"),
        ("public_url: h", "`public_url` must begin with http:// or https://"),
    ] {
        assert_eq!(settings(wrong).unwrap_err(), expected);
    }
}

#[test]
fn nothing_is_a_size_for_what_is_shown() {
    let most = |size: &str| {
        let limits = format!("limits: {{ max_media_size: {size} }}");
        let text = format!("{limits}\nbackends: [{{name: a, dadl: a.dadl}}]\n");
        let file = backends_file::read_backends_file(
            &SourceText::new("test.yaml", text),
            Path::new("/etc/dadl"),
        );
        let message = file.findings.first().map(|finding| finding.message.clone());
        message.map_or(Ok(file.limits.media_bytes), Err)
    };
    assert_eq!(most("0"), Ok(0));
    assert_eq!(most("5MB"), Ok(5 * 1024 * 1024));
    assert_eq!(most("much"), Err("`max_media_size` is not a size".to_owned()));
}

#[test]
fn an_entry_of_toolmesh_is_read_as_it_is() {
    let backends = read(
        "backends:\n- {name: a, transport: rest, dadl: a.dadl, include_tools: [x], access: 'read, audit'}\n",
    );
    let policy = &backends[0].policy;
    let audit = AccessLevel::Custom("audit".into());
    assert_eq!(policy.decide("x", Some(&audit), None), AccessDecision::Allow);
    assert_ne!(policy.decide("y", Some(&AccessLevel::Read), None), AccessDecision::Allow);
    assert_ne!(policy.decide("x", Some(&AccessLevel::Write), None), AccessDecision::Allow);
}

/// A file with a mistake in nearly every line.
const MISTAKES: &str = r#"
backend: []
backends:
  - name: My_XO
    transport: rset
    dadle: xen-orchestra
    url: ftp://xo.example.com
    acess: read
    access: [read, "no level"]
    tools: "list_*"
    exclude_tools: ["[a"]
    confirm: maybe
    tls_skip_verify: yes
    options: { timout: 5m, read_timeout: 30, max_response_size: huge }
    headers: { Authorization: x, "a b": y, X-A: 1 }
    hint:
  - dadl: a.dadl
    url: https://ada:secret@a.example
  - name: mcp
    transport: stdio
    command: ./server
  - name: twin
    dadl: a.dadl
    tools: [a]
    include_tools: [b]
  - name: twin
    dadl: a.dadl
    url: https://a.example/?x=1
    api_key_env: KEY
  - text
"#;

#[test]
fn reports_all_problems_at_once() {
    insta::assert_snapshot!(
        errors(MISTAKES),
        @r#"
        2:1: D008 unknown key `backend` in the file [backend]
             did you mean `backends`?
        4:5: D009 backend `My_XO` has no `dadl` []
             add `dadl: ..`
        4:11: D102 `My_XO` is no name for a backend [My_XO]
             use lower-case letters, digits and hyphens, and begin with a letter
        5:16: D010 unknown value `rset` of `transport` [rset]
             did you mean `rest`?
        6:5: D008 unknown key `dadle` in backend `My_XO` [dadle]
             did you mean `dadl`?
        7:10: D104 `url` must begin with http:// or https:// [ftp://xo.example.com]
             write a base URL such as `https://xo.example.com/rest/v0`
        8:5: D008 unknown key `acess` in backend `My_XO` [acess]
             did you mean `access`?
        9:20: D010 `no level` is no access level ["no level"]
             levels are words such as `read`, `write`, `admin`, `dangerous`, `unclassified` and `all`
        10:12: D006 `tools` must be a list, not text ["list_*"]
        11:21: D006 `[a` is no glob: unclosed character class; missing ']' (in `exclude_tools`) ["[a"]
             write the name of a tool, or a glob such as `list_*`
        12:14: D010 unknown value `maybe` of `confirm` [maybe]
             known values are `ask`, `never`
        13:22: D006 `tls_skip_verify` must be `true` or `false`, not text [yes]
        14:16: D008 unknown key `timout` in options [timout]
             did you mean `timeout`?
        14:42: D403 `read_timeout` is not a duration longer than zero [30]
             write a number and a unit, such as `500ms`, `2s`, `1m` or `1h30m`
        14:65: D404 `max_response_size` is not a size above zero [huge]
             write a number and a unit, such as `500KB` or `64MB`
        15:16: D306 header `Authorization` cannot be set here [Authorization]
             a credential comes from a CREDENTIAL_ variable; the rest follows from the request
        15:34: D306 `a b` is no name for a header ["a b"]
        15:49: D006 header `X-A` must be text, not a number [1]
             write "1"
        16:5: D006 `hint` has no value [hint]
             remove the key, or give it a value
        17:5: D009 a backend has no `name` []
             add `name: ..`
        18:10: D104 `url` must not hold a user name or a password; use a credential [https://ada:secret@a.example]
             write a base URL such as `https://xo.example.com/rest/v0`
        25:5: D003 `tools` and `include_tools` mean the same [include_tools]
             keep `tools`
        26:11: D003 two backends are called `twin` [twin]
             give one another name
        28:10: D104 `url` must not have a query or a fragment [https://a.example/?x=1]
             write a base URL such as `https://xo.example.com/rest/v0`
        29:5: D008 `api_key_env` is a key of `transport: http`, and this backend has `transport: rest` [api_key_env]
             remove the key, or write `transport: http`
        30:5: D006 a backend must be a mapping, not text [text]
        "#
    );
}

#[test]
fn header_fields_of_the_program_cannot_be_set() {
    for name in dadl_text::names::header::OURS {
        let text =
            format!("backends:\n  - name: a\n    dadl: a.dadl\n    headers: {{{name}: x}}\n");
        let errors = errors(&text);
        assert!(errors.contains(&format!("header `{name}` cannot be set here")), "{errors}");
    }
}

#[test]
fn a_file_without_backends_says_so() {
    insta::assert_snapshot!(errors(""), @r"
        1:1: D009 the file is empty []
             list at least one backend under `backends:`
        ");
    insta::assert_snapshot!(errors("backends: []\n"), @r"
        1:1: D009 `backends` names no backend [backends]
             list at least one backend under `backends:`
        ");
    insta::assert_snapshot!(errors("- a\n"), @"1:1: D006 the file must be a mapping, not a list [- a]");
    insta::assert_snapshot!(errors("backends: {}\n"), @"1:11: D006 `backends` must be a list, not a mapping [{}]");
    insta::assert_snapshot!(errors("backends: [\n"), @r"
        1:11: D002 a bracket or brace has no partner []
             close it
        ");
    insta::assert_snapshot!(errors("backends: []\nbackends: []\n"), @r"
        1:1: D009 `backends` names no backend [backends]
             list at least one backend under `backends:`
        2:1: D003 the key `backends` occurs twice [backends]
             remove or rename one of the two
        ");
}

/// A home directory for [`Settings::load`].
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, name: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("backends: [{{name: {name}, dadl: a.dadl}}]")).unwrap();
    }

    fn environment(&self) -> Environment {
        Environment::from_iter([("HOME", self.0.path().to_str().unwrap())])
    }

    fn load(
        &self,
        overrides: &SettingsOverrides,
        environment: &Environment,
    ) -> Result<Settings, SettingsError> {
        let directory = self.0.path().join("work");
        std::fs::create_dir_all(&directory).unwrap();
        Settings::load(overrides, environment, &directory)
    }

    /// The name of the only backend.
    fn name(&self, overrides: &SettingsOverrides, environment: &Environment) -> String {
        self.load(overrides, environment).unwrap().backends.remove(0).name
    }
}

#[test]
#[cfg(unix)]
fn finds_the_file_that_is_named_or_the_users_own() {
    let home = Home::new();
    let environment = home.environment();
    let none = SettingsOverrides::default();
    let error = home.load(&none, &environment).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"there is nothing to load: no --dadl was given, and no backends.yaml was found");
    // Whoever filled the working directory does not say where credentials go.
    home.write("work/backends.yaml", "project");
    let error = home.load(&none, &environment).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"./backends.yaml is there, but nobody named it: settings decide where credentials go, and the files of a directory may be somebody else's");
    home.write(".config/dadl-mcp/backends.yaml", "user");
    let own = home.load(&none, &environment).unwrap();
    assert_eq!(own.backends[0].name, "user");
    assert_eq!(own.backends[0].provenance, SettingsProvenance::Own);
    let [warning] = &*own.warnings else { panic!("{:?}", own.warnings) };
    let warning = warning.replace(home.0.path().to_str().unwrap(), "~");
    insta::assert_snapshot!(warning, @"./backends.yaml is not used, because nobody named it; `--config ./backends.yaml` uses it instead of ~/.config/dadl-mcp/backends.yaml");
    let project = SettingsOverrides {
        config: Some("./backends.yaml".into()),
        ..SettingsOverrides::default()
    };
    let project = home.load(&project, &environment).unwrap();
    assert_eq!((&*project.backends[0].name, &*project.warnings), ("project", &[][..]));
    let named = SettingsProvenance::Named("./backends.yaml".into());
    assert_eq!(project.backends[0].provenance, named);
    home.write("work/variable.yaml", "variable");
    let environment = environment.with("DADL_MCP_CONFIG", "variable.yaml");
    assert_eq!(home.name(&none, &environment), "variable");
    home.write("work/flag.yaml", "flag");
    let flag =
        SettingsOverrides { config: Some("flag.yaml".into()), ..SettingsOverrides::default() };
    assert_eq!(home.name(&flag, &environment), "flag");
    let dadl =
        SettingsOverrides { dadl: Some("some/My_API.dadl".into()), ..SettingsOverrides::default() };
    assert_eq!(home.name(&dadl, &environment), "my-api");
    let flags = home.load(&dadl, &environment).unwrap();
    assert_eq!(flags.backends[0].provenance, SettingsProvenance::Flags);
    assert_eq!(flags.places.folders, [home.0.path().join(".config/dadl-mcp/descriptors")]);
    let missing =
        SettingsOverrides { config: Some("missing.yaml".into()), ..SettingsOverrides::default() };
    assert!(home.load(&missing, &environment).unwrap_err().to_string().contains("missing.yaml"));
}

#[test]
fn access_bounds_a_file_and_sets_the_levels_of_a_flag() {
    let home = Home::new();
    home.write(".config/dadl-mcp/backends.yaml", "a");
    let environment = home.environment();
    let write = SettingsOverrides {
        access: Some(AccessLevels::new(["write"])),
        ..SettingsOverrides::default()
    };
    let allows = |overrides: &SettingsOverrides, environment: &Environment, access| {
        let settings = home.load(overrides, environment).unwrap();
        settings.backends[0].policy.decide("t", Some(&access), None) == AccessDecision::Allow
    };
    // The file allows reads alone, the flag writes alone: nothing is left.
    assert!(!allows(&write, &environment, AccessLevel::Read));
    assert!(!allows(&write, &environment, AccessLevel::Write));
    let flags = SettingsOverrides { dadl: Some("a.dadl".into()), ..write };
    assert!(allows(&flags, &environment, AccessLevel::Write));
    assert!(!allows(&flags, &environment, AccessLevel::Read));
    let default = SettingsOverrides { dadl: Some("a.dadl".into()), ..SettingsOverrides::default() };
    assert!(allows(&default, &environment, AccessLevel::Read));
    assert!(!allows(&default, &environment, AccessLevel::Write));
    let environment = environment.with("DADL_MCP_ACCESS", "read, admin");
    assert!(allows(&default, &environment, AccessLevel::Admin));
    let environment = environment.with("DADL_MCP_ACCESS", "re ad");
    let error = home.load(&default, &environment).unwrap_err().to_string();
    assert_eq!(error, "DADL_MCP_ACCESS: `re ad` is no access level");
}

#[test]
fn flags_are_checked_like_the_file() {
    let home = Home::new();
    let error = |overrides| home.load(&overrides, &home.environment()).unwrap_err().to_string();
    let dadl = || SettingsOverrides { dadl: Some("a.dadl".into()), ..SettingsOverrides::default() };
    insta::assert_snapshot!(error(SettingsOverrides { name: Some("A".into()), ..dadl() }), @"--name: `A` is no name for a backend: use lower-case letters, digits and hyphens, and begin with a letter");
    insta::assert_snapshot!(error(SettingsOverrides { url: Some("xo.example".into()), ..dadl() }), @"--url: it must begin with http:// or https://");
}

#[test]
fn files_have_a_place_even_without_a_home() {
    let home = Home::new();
    let dadl = SettingsOverrides { dadl: Some("a.dadl".into()), ..SettingsOverrides::default() };
    let files = |environment| home.load(&dadl, &environment).unwrap().files;
    assert!(files(home.environment()).ends_with(".local/state/dadl-mcp/files"));
    // A link of this name in the working directory could lead anywhere.
    let (one, other) = (files(Environment::default()), files(Environment::default()));
    assert!(one.starts_with(std::env::temp_dir()) && one != other, "{}", one.display());
    let environment = home.environment().with("DADL_MCP_FILES", "exports");
    assert!(files(environment).ends_with("work/exports"));
}
