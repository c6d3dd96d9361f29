//! `import hosts`: the settings of hosts as they are written, what becomes of each part, and that no secret
//! of theirs is seen anywhere.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::servers::{House, Run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dadl-mcp");

/// What no output may have.
const SECRETS: [&str; 12] = [
    "ghp_0123456789abcdefABCDEF0123456789abcd",
    "hunter2-hunter2",
    "correct-horse",
    "sk-live0123456789abcdef",
    "Zm9vOmJhcjpiYXo",
    "a1b2c3d4e5f6g7h8i9j0k1l2m3n4",
    "s3cr3t-default",
    "tok_in_the_path_0123456789ABCDEF",
    "battery-staple",
    "query-secret-9",
    "client-secret-7",
    "cookie-jar-5",
];

/// A machine with the settings of hosts.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().env("HOME", self.0.path()).current_dir(self.0.path());
        command.stdin(Stdio::null()).output().unwrap().into()
    }

    /// Imports files; returns the run and the backends, the last as they can be read.
    fn import(&self, names: &[&str]) -> (Run, Value) {
        let paths: Vec<String> = names.iter().map(|name| self.path(name)).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let run = self.run(&[&["import", "hosts"], &paths[..]].concat());
        assert_eq!(run.code, Some(0), "{}", run.err);
        for secret in SECRETS {
            assert!(
                !run.out.contains(secret) && !run.err.contains(secret),
                "{secret}\n{}\n{}",
                run.out,
                run.err
            );
        }
        let file: Value = serde_saphyr::from_str(&run.out).unwrap();
        let backends = file["backends"].clone();
        if backends != json!([]) {
            self.is_taken(&run.out);
        }
        (run, backends)
    }

    /// The program itself takes what it wrote.
    fn is_taken(&self, text: &str) {
        let path = self.0.path().join("taken.yaml");
        fs::write(&path, text).unwrap();
        let doctor = self.run(&["health", "--json", "--config", path.to_str().unwrap()]);
        assert_ne!(doctor.code, Some(3), "{}\n{text}", doctor.err);
    }
}

/// The comments above and within a backend that is one.
fn comments(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("# "));
    lines.collect::<Vec<_>>().join(" ")
}

/// A backend as it is read, without what all have.
fn plain(backend: &Value) -> Value {
    let mut backend = backend.clone();
    assert_eq!(backend["levels"], json!({}), "{backend}");
    backend.as_object_mut().unwrap().remove("levels");
    backend
}

#[test]
fn claude_desktop() {
    let machine = Machine::new().with(
        "claude_desktop_config.json",
        r#"{
            "globalShortcut": "x",
            "mcpServers": {
                "GitHub": {
                    "command": "npx",
                    "args": ["-y", "@modelcontextprotocol/server-github"],
                    "env": {
                        "GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_0123456789abcdefABCDEF0123456789abcd",
                        "LOG_LEVEL": "debug", "RETRIES": 3, "COLOR": false,
                        "DATABASE_URL": "postgres://me:hunter2-hunter2@db/shop"
                    },
                    "autoApprove": ["get_issue", "list_issues"]
                },
                "My Files": { "command": "/usr/bin/node", "args": ["server.js", "/home/me/docs"] },
                "dadl": { "command": "/usr/local/bin/dadl-mcp", "args": ["serve"] },
                "idle": { "command": "uvx", "args": ["mcp-server-time"], "disabled": true }
            }
        }"#,
    );
    let (run, backends) = machine.import(&["claude_desktop_config.json"]);
    assert_eq!(
        plain(&backends[0]),
        json!({
            "name": "github", "transport": "stdio", "command": "npx",
            "args": ["-y", "@modelcontextprotocol/server-github"],
            "env": {
                "GITHUB_PERSONAL_ACCESS_TOKEN": { "credential": "github_personal_access_token" },
                "LOG_LEVEL": "debug", "RETRIES": "3", "COLOR": "false",
                "DATABASE_URL": { "credential": "database_url" },
            },
        })
    );
    assert_eq!(
        plain(&backends[1]),
        json!({
            "name": "my-files", "transport": "stdio", "command": "/usr/bin/node",
            "args": ["server.js", "/home/me/docs"],
        })
    );
    assert_eq!(backends.as_array().unwrap().len(), 2, "{}", run.out);
    let told = comments(&run.out);
    assert!(told.contains("- name: idle") && told.contains("switched off in the host"), "{told}");
    assert!(told.contains("`levels: {get_issue: read, list_issues: read}` here"), "{told}");
    assert!(!run.out.contains("dadl-mcp/"), "{}", run.out);
    for told in [
        "is dadl-mcp itself; left out",
        "`dadl-mcp setup github` will ask for `database_url`, `github_personal_access_token`",
        "2 backends, and 1 as comments",
    ] {
        assert!(run.err.contains(told), "{told}: {}", run.err);
    }
}

#[test]
fn claude_code_with_its_projects() {
    let server = |args: &str| {
        format!(r#"{{ "type": "stdio", "command": "./run.sh", "args": [{args}], "env": {{}} }}"#)
    };
    let machine = Machine::new()
        .with(
            ".claude.json",
            &format!(
                r#"{{ "oauthAccount": {{ "token": "hunter2-hunter2" }},
                    "mcpServers": {{ "hub": {{ "type": "http", "url": "https://hub.example.com/mcp",
                        "headers": {{ "Authorization": "Bearer correct-horse", "X-Region": "eu" }} }} }},
                    "projects": {{
                        "/srv/shop": {{ "mcpServers": {{ "db": {one} }}, "history": [] }},
                        "/srv/bank": {{ "mcpServers": {{ "db": {two} }} }},
                        "/srv/none": {{}}
                    }} }}"#,
                one = server(r#""--shop""#),
                two = server(r#""--bank""#),
            ),
        )
        .with(
            "shop/.mcp.json",
            r#"{ "mcpServers": {
                "api": { "type": "http", "url": "${API_BASE:-https://api.example.com}/mcp",
                    "headers": { "Authorization": "Bearer ${API_KEY}" } },
                "keyed": { "type": "sse", "url": "https://old.example.com/sse",
                    "headers": { "X-Api-Key": "${OLD_KEY:-s3cr3t-default}" }, "timeout": 30000 },
                "local": { "command": "python", "args": ["tool.py", "--port=${PORT:-8080}"],
                    "env": { "LEVEL": "${LEVEL:-info}", "TOKEN": "${TOKEN:-s3cr3t-default}", "HOST": "${HOST}" } },
                "helped": { "type": "http", "url": "https://h.example.com/mcp", "headersHelper": "/x.sh" },
                "socket": { "type": "ws", "url": "wss://ws.example.com" }
            } }"#,
        );
    let (run, backends) = machine.import(&[".claude.json", "shop/.mcp.json"]);
    let names: Vec<&str> =
        backends.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hub", "db", "db-2", "api", "keyed", "local"], "{}", run.out);
    assert_eq!(
        plain(&backends[0]),
        json!({
            "name": "hub", "transport": "http", "url": "https://hub.example.com/mcp",
            "auth": { "type": "bearer", "credential": "hub_token" }, "headers": { "X-Region": "eu" },
        })
    );
    // Hosts start the servers of a project in its folder.
    assert_eq!(backends[1]["command"], "/srv/shop/run.sh");
    assert_eq!(
        (&backends[1]["cwd"], &backends[2]["cwd"]),
        (&json!("/srv/shop"), &json!("/srv/bank"))
    );
    assert_eq!(backends[3]["url"], "https://api.example.com/mcp");
    assert_eq!(backends[3]["api_key_env"], "API_KEY");
    let keyed = json!({ "type": "apikey", "credential": "old_key", "header_name": "X-Api-Key" });
    assert_eq!(
        (&backends[4]["auth"], &backends[4]["env"]),
        (&keyed, &json!({ "old_key": "OLD_KEY" }))
    );
    assert_eq!(backends[4]["options"], json!({ "timeout": "30000ms" }));
    assert_eq!(backends[5]["args"], json!(["tool.py", "--port=8080"]));
    assert_eq!(
        backends[5]["env"],
        json!({ "LEVEL": "info", "TOKEN": "${TOKEN}", "HOST": "${HOST}" })
    );
    assert_eq!(backends[5]["cwd"], machine.path("shop"));
    let told = comments(&run.out);
    for told_of in ["`headersHelper` is a program", "speaks its transport `ws`", "HTTP+SSE"] {
        assert!(told.contains(told_of), "{told_of}: {told}");
    }
}

#[test]
fn cursor_and_windsurf() {
    let machine = Machine::new()
        .with(
            "shop/.cursor/mcp.json",
            r#"{ "mcpServers": {
                "db": { "command": "${workspaceFolder}/bin/db", "args": ["--root", "${workspaceFolder}"],
                    "env": { "API_KEY": "${env:SHOP_KEY}", "CACHE": "${userHome}/cache" }, "envFile": ".env" },
                "hub": { "url": "https://hub.example.com/mcp?team=a&api_key=query-secret-9" },
                "login": { "url": "https://login.example.com/mcp",
                    "auth": { "CLIENT_ID": "abc", "CLIENT_SECRET": "client-secret-7", "scopes": ["read"] } }
            } }"#,
        )
        .with(
            "mcp_config.json",
            r#"{ "mcpServers": {
                "remote": { "serverUrl": "https://w.example.com/tok_in_the_path_0123456789ABCDEF/mcp" },
                "two": { "serverUrl": "https://w.example.com/mcp", "disabledTools": ["drop", "wipe"],
                    "headers": { "X-Key": "battery-staple", "Authorization": "Basic Zm9vOmJhcjpiYXo" } },
                "basic": { "serverUrl": "https://w.example.com/mcp", "disabledTools": ["drop"],
                    "headers": { "Authorization": "Basic Zm9vOmJhcjpiYXo", "Accept": "x" } },
                "jar": { "url": "https://w.example.com/mcp", "headers": { "Cookie": "session=cookie-jar-5" } }
            } }"#,
        );
    let (run, backends) = machine.import(&["shop/.cursor/mcp.json", "mcp_config.json"]);
    let shop = machine.path("shop");
    assert_eq!(
        plain(&backends[0]),
        json!({
            "name": "db", "transport": "stdio", "command": format!("{shop}/bin/db"),
            "args": ["--root", shop], "cwd": shop,
            "env": { "API_KEY": "${SHOP_KEY}", "CACHE": machine.path("cache") },
        })
    );
    assert_eq!(backends[1]["url"], "https://hub.example.com/mcp?team=a");
    let query = json!({ "type": "apikey", "credential": "api_key", "inject_into": "query", "query_param": "api_key" });
    assert_eq!(backends[1]["auth"], query);
    let login = json!({
        "type": "mcp", "client_id": "abc", "client_secret": { "credential": "login_client_secret" },
        "scopes": ["read"],
    });
    assert_eq!(backends[2]["auth"], login);
    let basic = json!({
        "type": "apikey", "credential": "basic_login", "header_name": "Authorization", "prefix": "Basic ",
    });
    assert_eq!((&backends[3]["name"], &backends[3]["auth"]), (&json!("basic"), &basic));
    assert_eq!(backends[3]["exclude_tools"], json!(["drop"]));
    assert_eq!(backends.as_array().unwrap().len(), 4, "{}", run.out);
    let told = comments(&run.out);
    for told_of in [
        "https://w.example.com/SECRET",
        "several credentials go along",
        "`envFile` is not read",
        "`Cookie` has a secret",
        "`Accept` cannot be set here",
    ] {
        assert!(told.contains(told_of), "{told_of}: {told}");
    }
}

#[test]
fn vs_code_asks_for_inputs_and_has_comments() {
    let machine = Machine::new().with(
        "shop/.vscode/mcp.json",
        r#"{
            // What VS Code asks for.
            "inputs": [
                { "type": "promptString", "id": "perplexity-key", "description": "Perplexity API Key", "password": true },
                { "type": "pickString", "id": "region", "options": ["eu", "us"], "default": "eu" },
            ],
            "servers": {
                "perplexity": { "type": "stdio", "command": "npx", "args": ["-y", "server-perplexity-ask"],
                    "env": { "PERPLEXITY_API_KEY": "${input:perplexity-key}", "REGION": "${input:region}" },
                    "dev": { "watch": "src" } },
                "hub": { "type": "http", "url": "https://hub.example.com/mcp",
                    "headers": { "Authorization": "Bearer ${input:perplexity-key}" } },
                "argued": { "type": "stdio", "command": "npx", "args": ["x", "--key", "${input:perplexity-key}"] },
                "literal": { "type": "stdio", "command": "npx", "args": ["x", "--api-key", "hunter2-hunter2",
                    "-e", "TOKEN=correct-horse", "--url=https://me:battery-staple@example.com"] },
                "mixed": { "command": "x", "env": { "DSN": "a ${env:HOST} hunter2-hunter2" } },
            },
        }"#,
    );
    let (run, backends) = machine.import(&["shop/.vscode/mcp.json"]);
    let key = json!({ "credential": "perplexity_key" });
    assert_eq!(backends[0]["env"], json!({ "PERPLEXITY_API_KEY": key, "REGION": "eu" }));
    assert_eq!(
        backends[1]["auth"],
        json!({ "type": "bearer", "credential": "hub_perplexity_key" })
    );
    assert_eq!(backends[2]["env"], json!({ "DSN": { "credential": "dsn" } }));
    assert_eq!(backends.as_array().unwrap().len(), 3, "{}", run.out);
    let told = comments(&run.out);
    for told_of in [
        "`Perplexity API Key`",
        "not taken, since nothing here is like it: `dev`",
        "`${input:perplexity-key}` is not filled in here",
        "its arguments have a secret, where `SECRET` stands now",
        r#"args: [x, "--api-key", SECRET, "-e", TOKEN=SECRET, "--url=SECRET"]"#,
        "`DSN` is put together of `${env:HOST}` and more",
    ] {
        assert!(told.contains(told_of), "{told_of}: {told}");
    }
}

#[test]
fn codex() {
    let machine = Machine::new().with(
        ".codex/config.toml",
        r#"
model = "x"
[mcp_servers.docs]
url = "https://docs.example.com/mcp"
bearer_token_env_var = "DOCS_TOKEN"
http_headers = { "X-Region" = "eu" }
startup_timeout_sec = 20.5
tool_timeout_sec = 90
enabled_tools = ["search", "fetch"]
scopes = []

[mcp_servers."local one"]
command = "uvx"
args = ["mcp-server-git"]
cwd = "/srv/shop"
env_vars = ["GIT_AUTHOR", { name = "GIT_PROXY", source = "local" }]
default_tools_approval_mode = "approve"
[mcp_servers."local one".env]
API_KEY = "sk-live0123456789abcdef"

[mcp_servers.keyed]
url = "https://keyed.example.com/mcp"
env_http_headers = { "X-Key" = "KEYED_KEY" }

[mcp_servers.off]
command = "x"
enabled = false
"#,
    );
    let (run, backends) = machine.import(&[".codex/config.toml"]);
    let find = |name: &str| {
        let all = backends.as_array().unwrap();
        plain(all.iter().find(|it| it["name"] == name).unwrap())
    };
    assert_eq!(
        find("docs"),
        json!({
            "name": "docs", "transport": "http", "url": "https://docs.example.com/mcp",
            "api_key_env": "DOCS_TOKEN", "headers": { "X-Region": "eu" }, "tools": ["search", "fetch"],
            "options": { "timeout": "90s", "start_timeout": "20.5s" },
        })
    );
    assert_eq!(
        find("local-one"),
        json!({
            "name": "local-one", "transport": "stdio", "command": "uvx", "args": ["mcp-server-git"],
            "cwd": "/srv/shop",
            "env": {
                "API_KEY": { "credential": "api_key" }, "GIT_AUTHOR": "${GIT_AUTHOR}",
                "GIT_PROXY": "${GIT_PROXY}",
            },
        })
    );
    assert_eq!(find("keyed")["env"], json!({ "keyed_key": "KEYED_KEY" }));
    assert_eq!(backends.as_array().unwrap().len(), 3, "{}", run.out);
    assert!(comments(&run.out).contains("`default_tools_approval_mode`"), "{}", run.out);
}

#[test]
fn a_secret_of_one_server_is_not_written_in_another() {
    let machine = Machine::new().with(
        "mcp.json",
        r#"{ "mcpServers": {
            "one": { "command": "x", "args": ["correct-horse"] },
            "two": { "command": "x", "env": { "PASSWORD": "correct-horse" } },
            "three": { "command": "x", "env": { "PASSWORD": "hunter2-hunter2" } },
            "four": { "command": "x y", "env": { "DADL_MCP_ACCESS": "all", "a b": "c", "list": [] } },
            "five": { "command": "x", "args": "-y" },
            "Six!": { "command": "x", "description": "Say \u202e \u001b[31m", "args": ["\u001b[31m\n"] },
            "6": { "url": "ftp://example.com" },
            "eight": { "command": "sh", "args": ["-c", "node x.js --token battery-staple"] },
            "nine": { "url": "https://client-secret-7@example.com/mcp" },
            "ten": { "command": "x", "env": { "CONFIG": "{\"password\": \"cookie-jar-5\"}" } },
            "postgres": { "command": "x", "args": ["server-postgres"], "env": { "PGPASSWORD": "postgres" } },
            "none": {}, "text": "x"
        } }"#,
    );
    let (run, backends) = machine.import(&["mcp.json"]);
    let all = backends.as_array().unwrap();
    let names: Vec<&str> = all.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["two", "three", "four", "six", "ten", "postgres"], "{}", run.out);
    assert_eq!(all[4]["env"], json!({ "CONFIG": { "credential": "config" } }));
    // A word is no reason to leave a server out.
    assert_eq!(all[5]["env"], json!({ "PGPASSWORD": { "credential": "pgpassword" } }));
    // Two secrets are two credentials.
    assert_eq!(all[0]["env"], json!({ "PASSWORD": { "credential": "password" } }));
    assert_eq!(all[1]["env"], json!({ "PASSWORD": { "credential": "three_password" } }));
    assert_eq!(
        (&all[2]["command"], &all[2]["args"], all[2].get("env")),
        (&json!("x"), &json!(["y"]), None)
    );
    assert_eq!(all[3]["args"], json!(["\u{1b}[31m\n"]));
    let hidden = |it: char| it != '\n' && (it.is_control() || it == '\u{202e}');
    assert!(!run.out.contains(hidden) && !run.err.contains(hidden), "{:?}", run.out);
    let told = comments(&run.out);
    for told_of in [
        "a secret of these files is in it",
        "`args` is no list",
        "`DADL_MCP_ACCESS` in `env` is no variable that a server can get",
        "- name: mcp-6",
        "neither a `command` nor a `url`",
    ] {
        assert!(told.contains(told_of), "{told_of}: {told}");
    }
}

#[test]
fn the_same_server_of_two_hosts_is_one_backend() {
    let text = r#"{ "mcpServers": { "time": { "command": "uvx", "args": ["mcp-server-time"] } } }"#;
    let other = text.replace("time\":", "Time\":").replace("mcp-server-time", "mcp-server-time@1");
    let machine = Machine::new().with("a.json", text).with("b.json", text).with("c.json", &other);
    let (run, backends) = machine.import(&["a.json", "b.json", "c.json"]);
    let names: Vec<&Value> = backends.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["time", "time-2"]);
    assert!(run.err.contains("is the same as the backend `time`; left out"), "{}", run.err);
}

#[test]
fn nothing_is_read_unless_it_is_named() {
    let text = r#"{ "mcpServers": { "time": { "command": "uvx" } } }"#;
    let machine =
        Machine::new().with(".cursor/mcp.json", text).with(".mcp.json", "{ not even JSON");
    let listed = machine.run(&["import", "hosts"]);
    let places = listed.json();
    let exists = |path: &str| {
        let path = machine.path(path);
        let place = places.as_array().unwrap().iter().find(|it| it["path"] == path.as_str());
        place.map(|it| it["exists"].as_bool().unwrap())
    };
    assert_eq!(exists(".cursor/mcp.json"), Some(true), "{}", listed.out);
    assert_eq!(exists(".mcp.json"), Some(true));
    assert_eq!(exists(".codex/config.toml"), Some(false));
    assert!(!listed.out.contains("uvx"), "{}", listed.out);
    assert!(listed.err.contains("none of these files was read"), "{}", listed.err);
}

#[test]
fn what_is_no_settings_file_is_told_without_its_text() {
    let machine = Machine::new()
        .with("broken.json", "{ \"mcpServers\": { \"x\": hunter2-hunter2 } }")
        .with("broken.toml", "[mcp_servers.x]\nkey = hunter2-hunter2\n")
        .with("other.json", r#"{ "token": "hunter2-hunter2" }"#)
        .with("empty.json", r#"{ "mcpServers": {} }"#);
    for (name, code, told) in [
        ("broken.json", 3, "line 1, column"),
        ("broken.toml", 3, "line 2"),
        ("other.json", 3, "none of `mcpServers`"),
        ("empty.json", 1, "no server that could be a backend"),
        ("absent.json", 3, "cannot be read"),
    ] {
        let run = machine.run(&["import", "hosts", &machine.path(name)]);
        assert_eq!(run.code, Some(code), "{name}: {}", run.err);
        assert!(run.err.contains(told), "{name}: {}", run.err);
        assert!(!run.err.contains("hunter2") && run.out.is_empty(), "{name}: {}", run.err);
    }
}

#[test]
fn no_file_is_written_over() {
    let text = r#"{ "mcpServers": { "time": { "command": "uvx", "args": ["mcp-server-time"] } } }"#;
    let machine = Machine::new().with("mcp.json", text);
    let (from, to) = (machine.path("mcp.json"), machine.path("backends.yaml"));
    let arguments = ["import", "hosts", from.as_str(), "--output", to.as_str()];
    let written = machine.run(&arguments);
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""), "{}", written.err);
    let first = fs::read_to_string(&to).unwrap();
    assert!(first.contains("name: time"), "{first}");
    let again = machine.run(&arguments);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("is there already"), "{}", again.err);
    assert_eq!(fs::read_to_string(&to).unwrap(), first);
    assert!(machine.run(&["import", "hosts", "--output", &to]).code == Some(2));
}

#[test]
fn a_document_may_still_be_called_hosts() {
    let document = r#"{ "openapi": "3.0.3", "info": { "title": "x", "version": "1" }, "paths": { "/a": { "get": { "operationId": "getA" } } } }"#;
    let machine = Machine::new().with("hosts", document);
    let imported = machine.run(&["import", "./hosts"]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    assert!(imported.out.contains("get_a"), "{}", imported.out);
    // Neither is nothing, and each has flags of its own.
    for wrong in [&["import"][..], &["import", "hosts", "--name", "x"]] {
        assert_eq!(machine.run(wrong).code, Some(2), "{wrong:?}");
    }
    assert!(!Path::new(&machine.path("backends.yaml")).exists());
}

/// A server with these tools: name and annotations.
fn listing(tools: &[(&str, Value)]) -> Value {
    let tool = |(name, annotations): &(&str, Value)| json!({ "name": name, "inputSchema": { "type": "object" }, "annotations": annotations });
    let tools: Vec<Value> = tools.iter().map(tool).collect();
    json!({ "on": { "tools/list": [{ "result": { "tools": tools } }] } })
}

fn tools_of_all_kinds() -> Value {
    let (reads, changes) = (
        json!({ "readOnlyHint": true }),
        json!({ "readOnlyHint": false, "destructiveHint": false }),
    );
    listing(&[
        ("get_issue", reads.clone()),
        ("get_repo", reads.clone()),
        ("add_note", changes),
        ("drop_all", json!({ "destructiveHint": true })),
        ("delete_repo", reads.clone()),
        ("say", json!({})),
        ("list_\u{202e}x", reads),
    ])
}

/// What `doctor` found of a subject.
fn findings(run: &Run, subject: &str) -> String {
    let report: Value = serde_json::from_str(&run.out).unwrap();
    let checks = report["checks"].as_array().unwrap().iter();
    let found = checks.filter(|check| check["subject"] == subject);
    found.map(|check| check["finding"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
}

#[test]
fn doctor_shows_what_a_server_proposes_and_what_it_gets() {
    let more = json!({
        "env": { "LOG_LEVEL": "battery-staple", "TOKEN": { "credential": "notes_token" } },
        "cwd": "/",
    });
    let house = House::new().server("notes", &tools_of_all_kinds(), more);
    let house = house.with("CREDENTIAL_NOTES_TOKEN", "correct-horse");
    let run = house.run(&["doctor", "--json"]);
    let levels = findings(&run, "levels");
    assert!(
        levels.starts_with(
            "7 tools have no level; by the word of the server alone, which nobody has checked"
        ),
        "{levels}"
    );
    assert!(
        levels.contains("levels: {\"get_*\": read, add_note: write, drop_all: dangerous}\n"),
        "{levels}"
    );
    assert!(
        levels.contains("of `delete_repo` the server says less than the name does"),
        "{levels}"
    );
    assert!(
        !run.out.contains("battery-staple") && !run.out.contains("correct-horse"),
        "{}",
        run.out
    );
    let environment = findings(&run, "environment");
    assert!(
        environment.contains("LOG_LEVEL (a text), TOKEN (the credential `notes_token`)"),
        "{environment}"
    );
    assert_eq!(findings(&run, "directory"), "/");
    let server = findings(&run, "server");
    assert!(server.contains("speaks MCP") && server.contains("7 tools, 1 resources"), "{server}");
    // Nothing of it counts before a person has written it.
    assert_eq!(house.run(&["list"]).names(), Vec::<String>::new());
}

#[test]
fn what_is_proposed_can_be_pasted() {
    let house = House::new().server("notes", &tools_of_all_kinds(), json!({}));
    let listed = house.run(&["list", "--all"]).json();
    let proposed = |name: &str| {
        let tool = listed.as_array().unwrap().iter().find(|it| it["server_tool"] == name).unwrap();
        tool.get("proposed_by_server").cloned()
    };
    assert_eq!(proposed("get_issue"), Some(json!("read")));
    assert_eq!((proposed("delete_repo"), proposed("say")), (None, None));
    let levels = findings(&house.run(&["doctor", "--json"]), "levels");
    let yaml = levels.lines().next().unwrap().rsplit_once("levels: ").unwrap().1;
    let levels: Value = serde_saphyr::from_str(yaml).unwrap();
    let more = json!({ "levels": levels, "access": ["read", "write", "dangerous"] });
    let house = House::new().server("notes", &tools_of_all_kinds(), more);
    let names = house.run(&["list"]).names();
    assert_eq!(names, ["get_issue", "get_repo", "add_note", "drop_all"]);
    // Those that have one are not proposed again.
    let levels = findings(&house.run(&["doctor", "--json"]), "levels");
    assert!(levels.starts_with("3 tools have no level, and the server says nothing"), "{levels}");
}

#[cfg(unix)]
#[test]
fn a_person_gets_the_lines_below_the_list() {
    use crate::terminal::{Input, on_terminal_of};
    let house = House::new().server("notes", &tools_of_all_kinds(), json!({}));
    let bytes = on_terminal_of(100, house.command(&["list", "--all"]), Input::Typed(String::new()));
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    assert!(text.contains("backend `notes`: 7 tools have no level"), "{text}");
    let line = "\n    levels: {\"get_*\": read, add_note: write, drop_all: dangerous}\n";
    assert!(text.contains(line), "{text}");
}
