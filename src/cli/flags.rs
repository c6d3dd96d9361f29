//! The flags in use, so that a command which is shown leads to the same backends when it is pasted.
//! No flag holds a secret.

use std::path::{Path, PathBuf};

use super::args::{BackendArgs, CliCommand, ServeArgs};
use crate::{
    access::AccessLevels,
    config::{
        env_vars::{self, Environment},
        parse_levels,
        shell::shell_quoted,
    },
    gate::TerminalCommand,
};

/// The flags that say which backends there are, and what is allowed on them.
#[derive(Debug, Clone, Default)]
pub(super) struct BackendFlags {
    /// All but `--access`, each with its value.
    words: Vec<String>,
    /// The same for another working directory.
    elsewhere: Vec<String>,
    /// What else a server was started with.
    serving: Vec<String>,
    access: Option<AccessLevels>,
    /// What variables say in the place of flags: a terminal of its own does not have them.
    varied: FlagVariables,
    is_demo: bool,
    /// The levels that count where the command has none.
    usual: AccessLevels,
}

/// Flags that variables stand for.
#[derive(Debug, Clone, Default)]
struct FlagVariables {
    config: Option<String>,
    access: Option<AccessLevels>,
}

impl BackendFlags {
    /// Takes the flags of a command.
    pub(super) fn of(command: &CliCommand, environment: &Environment) -> Self {
        let (backends, demo) = match command {
            CliCommand::Call(args) => (&args.backends, args.simulated.demo),
            CliCommand::Doctor(args) => (&args.backends, args.simulated.demo),
            CliCommand::Health(args) => (&args.backends, args.simulated.demo),
            CliCommand::List(args) => (&args.backends, args.simulated.demo),
            CliCommand::Pin(args) => (&args.backends, false),
            CliCommand::Search(args) => (&args.backends, args.simulated.demo),
            CliCommand::Serve(args) => (&args.backends, args.demo),
            CliCommand::Setup(args) => (&args.backends, false),
            CliCommand::Show(args) => (&args.backends, args.simulated.demo),
            CliCommand::Task(args) => (&args.backends, args.simulated.demo),
            CliCommand::Watch(args) => (&args.backends, args.demo),
            _ => return Self::default(),
        };
        let usual = environment.get(env_vars::ACCESS).and_then(|words| parse_levels(words).ok());
        Self {
            words: flag_words(backends, demo, |path| path.to_owned()),
            elsewhere: flag_words(backends, demo, |path| {
                std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
            }),
            serving: match command {
                CliCommand::Serve(args) => serve_words(args),
                _ => Vec::new(),
            },
            access: backends.access.clone(),
            varied: FlagVariables {
                config: environment.get(env_vars::CONFIG).map(str::to_owned),
                access: usual.clone(),
            },
            is_demo: demo,
            usual: usual.unwrap_or_default(),
        }
    }

    /// Returns whether what is called is gone at the end of the process.
    pub(super) fn is_demo(&self) -> bool {
        self.is_demo
    }

    /// Returns the command that a host starts, wherever it is: `program` is its name.
    pub(super) fn server(&self, program: &Path) -> String {
        let words = [self.elsewhere.as_slice(), &self.serving].concat();
        self.line(&format!("{} serve", shell_quoted(&program.display().to_string())), &words)
    }

    /// Returns a command of this program, after its name, as a shell takes it.
    pub(super) fn command(&self, command: &str) -> String {
        self.line(&format!("dadl-mcp {command}"), &self.words)
    }

    /// Says how a person gets from a terminal of their own to what this process serves.
    pub(super) fn terminal(&self) -> TerminalCommand {
        let names = |flag: &str| self.elsewhere.iter().any(|word| word == flag);
        let has_no_file = names("--dadl");
        let mut words = self.elsewhere.clone();
        if let Some(path) = self.varied.config.as_deref()
            && !has_no_file
            && !names("--config")
            && !self.is_demo
        {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
            words.extend(["--config".to_owned(), path.display().to_string()]);
        }
        let access = self.access.clone().or_else(|| self.varied.access.clone());
        let flags = Self { access, ..self.clone() }.line("", &words);
        TerminalCommand { flags, has_no_file }
    }

    fn line(&self, command: &str, words: &[String]) -> String {
        let access =
            self.access.iter().flat_map(|levels| ["--access".to_owned(), join_levels(levels)]);
        let mut line = command.to_owned();
        for word in words.iter().cloned().chain(access) {
            line.push(' ');
            line.push_str(&shell_quoted(&word));
        }
        line
    }

    /// Returns the flag that allows one more level.
    pub(super) fn allowing(&self, level: &str) -> String {
        let levels = self.access.as_ref().unwrap_or(&self.usual);
        let words = join_levels(levels);
        let words = words.split(',').chain([level]).map(str::to_owned);
        format!("--access {}", join_levels(&AccessLevels::new(words)))
    }
}

/// Writes what a server alone takes; a token is no flag that a host needs on standard streams.
fn serve_words(args: &ServeArgs) -> Vec<String> {
    let valued = [
        ("--demo-changes", args.demo_changes.map(|changes| changes.to_string())),
        ("--surface", args.surface.map(|surface| surface.to_string())),
        ("--max-result-chars", args.max_result_chars.map(|most| most.to_string())),
    ];
    let valued = valued.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
    valued.flatten().collect()
}

/// Writes levels as `--access` takes them.
fn join_levels(levels: &AccessLevels) -> String {
    levels.to_string().replace(", ", ",")
}

/// Writes flags again, with their paths as `place` gives them.
fn flag_words(args: &BackendArgs, demo: bool, place: impl Fn(&Path) -> PathBuf) -> Vec<String> {
    let BackendArgs {
        config,
        dadl,
        url,
        allow_private_hosts,
        allow_origins,
        name,
        ca_file,
        client_cert,
        client_key,
        tls_fingerprints,
        tls_skip_verify,
        access: _,
        files,
    } = args;
    let path = |path: &PathBuf| place(path).display().to_string();
    // A name is no path; a path has something of one.
    let descriptor = |text: &String| {
        if text.contains(['/', '\\']) || text.ends_with(".dadl") {
            path(&PathBuf::from(text))
        } else {
            text.clone()
        }
    };
    let hosts = allow_private_hosts.iter().map(ToString::to_string);
    let valued = [
        ("--config", config.as_ref().map(path)),
        ("--dadl", dadl.as_ref().map(descriptor)),
        ("--url", url.clone()),
        ("--name", name.clone()),
        ("--ca-file", ca_file.as_ref().map(path)),
        ("--client-cert", client_cert.as_ref().map(path)),
        ("--client-key", client_key.as_ref().map(path)),
        ("--files", files.as_ref().map(path)),
    ];
    let valued = valued.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
    let valued = valued.chain(hosts.map(|host| ("--allow-private-host", host)));
    let origins = allow_origins.iter().map(|origin| ("--allow-origin", origin.to_string()));
    let valued = valued.chain(origins);
    let pins = tls_fingerprints.iter().map(|pin| ("--tls-fingerprint", pin.to_string()));
    let valued = valued.chain(pins);
    let alone = [("--demo", demo), ("--tls-skip-verify", *tls_skip_verify)];
    let alone = alone.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned());
    alone.chain(valued.flat_map(|(flag, value)| [flag.to_owned(), value])).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    fn flags(line: &str, environment: &Environment) -> BackendFlags {
        BackendFlags::of(&Cli::try_parse_from(line.split(' ')).unwrap().command, environment)
    }

    #[test]
    fn a_command_keeps_the_flags_in_use() {
        let none = Environment::from_iter([("X", "y")]);
        assert_eq!(flags("dadl-mcp list --all", &none).command("list"), "dadl-mcp list");
        let line = "dadl-mcp call x --dadl ./a$b.dadl --url http://x.example/1 --access write,read \
                    --tls-skip-verify --allow-private-host a.lan:1 --files f \
                    --allow-origin https://a.lan";
        assert_eq!(
            flags(line, &none).command("show x"),
            "dadl-mcp show x --tls-skip-verify --dadl './a$b.dadl' --url http://x.example/1 \
             --files f --allow-private-host a.lan:1 --allow-origin https://a.lan --access \
             read,write"
        );
        assert_eq!(
            flags("dadl-mcp watch --demo xen-orchestra VM", &none).command("list"),
            "dadl-mcp list --demo"
        );
    }

    #[test]
    fn a_host_starts_it_from_anywhere() {
        let none = Environment::from_iter([("X", "y")]);
        let line = "dadl-mcp serve --dadl ./x.dadl --ca-file ca.pem --client-cert me.pem \
                    --client-key key.pem --access write";
        let here = std::env::current_dir().unwrap();
        let here = here.display();
        let expected = format!(
            "/bin/dadl-mcp serve --dadl {here}/x.dadl --ca-file {here}/ca.pem --client-cert \
             {here}/me.pem --client-key {here}/key.pem --access write"
        );
        assert_eq!(flags(line, &none).server(Path::new("/bin/dadl-mcp")), expected);
        let line = "dadl-mcp serve --dadl xen-orchestra";
        assert!(flags(line, &none).server(Path::new("x")).ends_with("--dadl xen-orchestra"));
    }

    #[test]
    fn a_level_is_added_to_those_that_count() {
        let none = Environment::from_iter([("X", "y")]);
        let list = |environment: &Environment| flags("dadl-mcp list", environment);
        assert_eq!(list(&none).allowing("write"), "--access read,write");
        let admin = Environment::from_iter([(env_vars::ACCESS, "admin")]);
        assert_eq!(list(&admin).allowing("write"), "--access admin,write");
        let given = flags("dadl-mcp list --access dangerous", &admin);
        assert_eq!(given.allowing("read"), "--access dangerous,read");
    }

    /// What a shown command says is read as what was typed.
    #[test]
    fn a_shown_command_means_the_same() {
        let none = Environment::from_iter([("X", "y")]);
        let line = "dadl-mcp list --config a/b.yaml --access read,custom --files out";
        let shown = flags(line, &none).command("list");
        assert_eq!(flags(&shown, &none).command("list"), shown);
    }
}
