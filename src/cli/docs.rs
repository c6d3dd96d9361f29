//! Generates the tables of `docs/configuration.md` and fails when the file has others.
//!
//! `UPDATE_DOCS=1 cargo test` rewrites the file.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use clap::{Arg, CommandFactory as _};

use super::{args::Cli, exit::ExitReason};
use crate::config::{
    env_vars::{self, Environment},
    keys::{self, ConfigKey, TransportKind},
};

#[test]
fn the_tables_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let written = fs::read_to_string(&path).unwrap();
    let generated = [
        ("commands", commands()),
        ("flags", flags()),
        ("variables", variable_table()),
        ("file-keys", key_table(keys::FILES)),
        ("limit-keys", key_table(keys::LIMITS)),
        ("profile-keys", key_table(keys::PROFILE)),
        ("backend-keys", backend_key_table(keys::BACKEND)),
        ("option-keys", backend_key_table(keys::OPTIONS)),
        ("mcp-auth-keys", key_table(keys::MCP_AUTH)),
        ("exit-codes", exit_codes()),
    ]
    .iter()
    .fold(written.clone(), |text, (name, markdown)| replace_table(&text, name, markdown));
    if Environment::of_process().get("UPDATE_DOCS").is_some() {
        fs::write(&path, generated).unwrap();
    } else {
        assert!(
            written == generated,
            "docs/configuration.md has drifted; run `UPDATE_DOCS=1 cargo test` and look at the diff"
        );
    }
}

/// Replaces what is between the markers of `name`.
fn replace_table(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = text.split_once(&begin).expect(name);
    let (_, after) = rest.split_once(&end).expect(name);
    format!("{before}{begin}\n{table}\n{end}{after}")
}

fn commands() -> String {
    let mut command = Cli::command();
    command.build();
    let rows = shown(&command).into_iter().map(|(name, subcommand)| {
        let positionals: String = subcommand
            .get_positionals()
            .map(|positional| {
                let name = positional.get_value_names().map_or_else(
                    || positional.get_id().to_string().to_uppercase(),
                    |names| names[0].to_string(),
                );
                let many = positional.get_num_args().is_some_and(|range| range.max_values() > 1);
                let name = if many { format!("{name}..") } else { name };
                if positional.is_required_set() { format!(" {name}") } else { format!(" [{name}]") }
            })
            .collect();
        vec![format!("`{name}{positionals}`"), about(subcommand)]
    });
    markdown_table(&["command", "does"], rows)
}

/// The subcommands that are for people, and theirs, by what is typed.
fn shown(command: &clap::Command) -> Vec<(String, &clap::Command)> {
    let mut found = Vec::new();
    for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = subcommand.get_name();
        found.push((name.to_owned(), subcommand));
        found.extend(
            shown(subcommand).into_iter().map(|(inner, it)| (format!("{name} {inner}"), it)),
        );
    }
    found
}

fn about(command: &clap::Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn flags() -> String {
    let mut command = Cli::command();
    command.build();
    // Flags with the same name and meaning share a row.
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (name, subcommand) in shown(&command) {
        for argument in subcommand.get_arguments() {
            if argument.is_positional() || argument.get_id() == "help" {
                continue;
            }
            let commands = found.entry((flag_row(argument), meaning(argument))).or_default();
            commands.push(format!("`{name}`"));
        }
    }
    let all = shown(&command).len();
    let rows = found.into_iter().map(|((flag, meaning), commands)| {
        let commands = if commands.len() == all { "all".to_owned() } else { commands.join(", ") };
        vec![flag, commands, meaning]
    });
    markdown_table(&["flag", "commands", "meaning"], rows)
}

fn flag_row(argument: &Arg) -> String {
    let mut flag = match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => String::new(),
    };
    if argument.get_action().takes_values() {
        let names = argument.get_value_names().unwrap_or_default();
        flag.push(' ');
        flag.push_str(&names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    }
    match argument.get_short() {
        Some(short) => format!("`{flag}`, `-{short}`"),
        None => format!("`{flag}`"),
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
    let mut meaning = help.unwrap_or_default().replace("\n\n", ". ");
    // Help names the variable; the table of variables says more about it.
    if let Some((before, _)) = meaning.clone().split_once(" [env: ")
        && let Some((_, after)) = meaning.clone().split_once(']')
    {
        meaning = format!("{before}{after}");
    }
    if argument.get_action().takes_values() {
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if !values.is_empty() {
            let _ = write!(meaning, ": {}", values.join(", "));
        }
        if let Some(default) = argument.get_default_values().first() {
            let _ = write!(meaning, " (default `{}`)", default.to_string_lossy());
        }
    }
    meaning
}

fn variable_table() -> String {
    let rows = env_vars::ALL.iter().map(|variable| {
        let names: Vec<String> =
            variable.name.split(", ").map(|name| format!("`{name}`")).collect();
        let flag = variable.flag.map(|flag| format!("`{flag}`")).unwrap_or_default();
        vec![names.join(", "), flag, variable.meaning.to_owned()]
    });
    markdown_table(&["variable", "flag that wins over it", "meaning"], rows)
}

fn key_table(keys: &[ConfigKey]) -> String {
    markdown_table(&["key", "value", "default", "meaning"], keys.iter().map(key_row))
}

/// The same with the transports that a key is for.
fn backend_key_table(keys: &[ConfigKey]) -> String {
    let rows = keys.iter().map(|key| {
        let words: Vec<String> =
            key.transports.iter().map(|it| format!("`{}`", it.word())).collect();
        let is_for_all = key.transports == TransportKind::ALL;
        let mut row = key_row(key);
        row.insert(1, if is_for_all { "all".to_owned() } else { words.join(", ") });
        row
    });
    markdown_table(&["key", "transport", "value", "default", "meaning"], rows)
}

fn key_row(key: &ConfigKey) -> Vec<String> {
    let name = format!("`{}`", key.name.trim_matches('`'));
    vec![name, key.kind.to_owned(), key.default.to_owned(), key.meaning.to_owned()]
}

fn exit_codes() -> String {
    let rows = ExitReason::ALL
        .iter()
        .map(|(exit, meaning)| vec![exit.code().to_string(), (*meaning).into()]);
    markdown_table(&["code", "meaning"], rows)
}

fn markdown_table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule: Vec<String> = head.iter().map(|_| "---".to_owned()).collect();
    let mut table = line(&head) + &line(&rule);
    table.extend(rows.into_iter().map(|row| line(&row)));
    table
}
