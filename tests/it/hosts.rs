//! The examples of `docs/hosts.md`: what a reader copies into the file of a host starts a server that
//! lists tools.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::questions::{Over, Person, Session};

const PAGE: &str = include_str!("../../docs/hosts.md");

/// The blocks of a language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&*fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// Reads the part of TOML that the page uses: tables, and values that are JSON as well.
fn toml(text: &str) -> Value {
    let mut document = json!({});
    let mut table = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[') {
            table = format!("/{}", name.strip_suffix(']').unwrap().replace('.', "/"));
            let mut place = &mut document;
            for key in table[1..].split('/') {
                place = &mut place[key];
            }
            *place = json!({});
        } else {
            let (name, value) = line.split_once(" = ").unwrap();
            let value: Value = serde_json::from_str(value).unwrap();
            document.pointer_mut(&table).unwrap()[name] = value;
        }
    }
    document
}

/// The entries of servers in a file of some host.
fn servers(document: &Value) -> Vec<(&str, &Value)> {
    let keys = ["mcpServers", "servers", "mcp_servers"];
    let servers = keys.iter().find_map(|key| document[*key].as_object());
    let servers = servers.unwrap_or_else(|| panic!("no servers in {document}"));
    servers.iter().map(|(name, server)| (&**name, server)).collect()
}

/// Everything on the page that is an entry of a server.
fn entries() -> Vec<Value> {
    let json = blocks("json").into_iter().map(|text| serde_json::from_str(text).unwrap());
    let toml = blocks("toml").into_iter().map(toml);
    let documents: Vec<Value> = json.chain(toml).collect();
    documents
        .iter()
        .flat_map(servers)
        .map(|(name, server)| {
            assert_eq!(name, "xo");
            server.clone()
        })
        .collect()
}

/// Stands for what the host puts in the place of a reference to a variable.
const TOKEN: &str = "token-of-the-page";

fn filled(value: &str) -> String {
    let is_reference = |text: &str| text.starts_with('$');
    match value.rsplit_once(' ') {
        Some((before, last)) if is_reference(last) => format!("{before} {TOKEN}"),
        None if is_reference(value) => TOKEN.to_owned(),
        _ => value.to_owned(),
    }
}

/// Starts the program as a host does and returns the names of the tools.
async fn listed(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    home: &Path,
) -> Vec<String> {
    let (serve, arguments) = arguments.split_first().unwrap();
    assert_eq!(serve, "serve");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut session =
        Session::start(Over::Stdio, Person::Agrees, &arguments, &environment, home).await;
    let tools = session.tools().await;
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_local_example_starts_and_lists_tools() {
    let mut count = 0;
    for server in
        entries().iter().filter(|server| server["url"].is_null() && server["httpUrl"].is_null())
    {
        let command = server["command"].as_str().unwrap();
        assert!(command == "dadl-mcp" || command.ends_with("/dadl-mcp"), "{server}");
        let mut environment = BTreeMap::new();
        for (name, value) in server["env"].as_object().into_iter().flatten() {
            environment.insert(name.clone(), filled(value.as_str().unwrap()));
        }
        for name in texts(&server["env_vars"]) {
            environment.insert(name, TOKEN.to_owned());
        }
        let names: Vec<&str> = environment.keys().map(String::as_str).collect();
        assert!(
            matches!(
                names[..],
                ["CREDENTIAL_XEN_ORCHESTRA_TOKEN" | "CREDENTIAL_XEN_ORCHESTRA_TOKEN_FILE"]
            ),
            "{server}"
        );
        let home = tempfile::tempdir().unwrap();
        let tools = listed(&texts(&server["args"]), &environment, home.path()).await;
        assert!(tools.contains(&"list_vms".to_owned()), "{server}: {tools:?}");
        assert!(!tools.contains(&"start_vm".to_owned()), "{server}: only reads are listed");
        count += 1;
    }
    assert_eq!(count, 7, "each host has a local example, and Codex two");
}

#[tokio::test]
async fn a_settings_file_is_found_without_being_named() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join(".config/dadl-mcp");
    fs::create_dir_all(&directory).unwrap();
    let [settings] = blocks("yaml")[..] else { panic!("one example of backends.yaml") };
    fs::write(directory.join("backends.yaml"), settings).unwrap();
    let commands: Vec<&str> = PAGE.lines().filter(|line| line.contains(" -- dadl-mcp ")).collect();
    assert!(!commands.is_empty());
    for line in commands {
        let (_, command) = line.split_once(" -- dadl-mcp ").unwrap();
        let arguments: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let tools = listed(&arguments, &BTreeMap::new(), home.path()).await;
        assert!(tools.contains(&"list_vms".to_owned()), "{line}: {tools:?}");
    }
}

#[tokio::test]
async fn every_example_with_a_url_reaches_the_endpoint() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), TOKEN).unwrap();
    let url = "http://127.0.0.1:1/rest/v0";
    let arguments = ["--dadl", "xen-orchestra", "--url", url, "--http-token-file", "token"];
    let mut session =
        Session::start(Over::Http, Person::Agrees, &arguments, &[], home.path()).await;
    let mut count = 0;
    for server in entries() {
        let Some(url) = server["url"].as_str().or(server["httpUrl"].as_str()) else { continue };
        assert!(url.starts_with("https://") && url.ends_with("/mcp"), "{server}");
        // Codex makes the header of a variable.
        let header = match server["headers"]["Authorization"].as_str() {
            Some(header) => filled(header),
            None => {
                format!("Bearer {}", server["bearer_token_env_var"].as_str().map_or("", |_| TOKEN))
            }
        };
        session.authorize(&header);
        assert!(!session.tools().await.is_empty(), "{server}");
        count += 1;
    }
    assert_eq!(count, 5, "each host but Claude Desktop has an example with a URL");
}
