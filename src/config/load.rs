//! Finds the settings: flags first, then the environment, then backends.yaml, then defaults.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    BackendSettings, FileSettings, Limits, Settings, dirs,
    env_vars::{self, Environment},
    file,
};
use crate::{
    access::{ALL, Levels},
    descriptor::{
        self,
        diagnostic::Diagnostic,
        source::{Source, SourceError},
    },
};

/// The name under which settings are found without being named.
const FILE_NAME: &str = "backends.yaml";

/// What flags say; each wins over the environment and over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--dadl`: makes one backend without a file.
    pub dadl: Option<String>,
    /// `--url` of that backend.
    pub url: Option<String>,
    /// `--name` of that backend.
    pub name: Option<String>,
    /// `--ca-file` of that backend.
    pub ca_file: Option<PathBuf>,
    /// `--tls-skip-verify` of that backend.
    pub tls_skip_verify: bool,
    /// `--access`
    pub access: Option<Levels>,
    /// `--files`
    pub files: Option<PathBuf>,
}

/// Why there are no settings. The operator's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A flag or a variable has a value that cannot be used.
    #[error("{name}: {reason}")]
    Flag {
        /// The flag or variable.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The file has errors.
    #[error("{} cannot be used", text.name())]
    Invalid {
        /// The text of the file.
        text: Box<Source>,
        /// All that is wrong with it.
        findings: Vec<Diagnostic>,
    },
    /// There is no file, and no `--dadl`.
    #[error("there is nothing to load: no --dadl was given, and no {FILE_NAME} was found")]
    Nothing {
        /// The files that were looked for.
        tried: Vec<PathBuf>,
    },
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

impl Settings {
    /// Finds and reads the settings; relative paths are relative to `directory`, which may be
    /// empty for that of the process.
    ///
    /// # Errors
    ///
    /// See [`SettingsError`]; a file's problems come all at once.
    pub fn load(
        overrides: &Overrides,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Self, SettingsError> {
        let access = match (&overrides.access, environment.get(env_vars::ACCESS)) {
            (Some(levels), _) => Some(levels.clone()),
            (None, Some(text)) => Some(
                parse_levels(text)
                    .map_err(|reason| SettingsError::Flag { name: env_vars::ACCESS, reason })?,
            ),
            (None, None) => None,
        };
        let files = overrides
            .files
            .clone()
            .or_else(|| environment.path(env_vars::FILES))
            .map(|files| directory.join(files))
            .or_else(|| dirs::files(environment))
            .unwrap_or_else(|| directory.join("dadl-mcp-files"));
        let config_home = dirs::config(environment);
        let (backends, file_settings, limits, origin) = match &overrides.dadl {
            Some(dadl) => {
                let backend = from_flags(dadl, overrides, access, directory)?;
                (vec![backend], FileSettings::default(), Limits::default(), None)
            }
            None => {
                let path = find_file(overrides, environment, directory, config_home.as_deref())?;
                let (backends, files, limits) = from_file(&path, access)?;
                (backends, files, limits, Some(path))
            }
        };
        let beside = origin.as_deref().and_then(Path::parent).unwrap_or(directory).to_owned();
        let own = config_home.map(|home| home.join("descriptors"));
        let descriptor_directories = std::iter::once(beside).chain(own).collect();
        Ok(Self {
            backends,
            beside: Vec::new(),
            files,
            file_settings,
            limits,
            origin,
            descriptor_directories,
        })
    }
}

/// Reads access levels separated by commas.
///
/// # Errors
///
/// Says which word is none.
pub fn parse_levels(text: &str) -> Result<Levels, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    match words.iter().find(|word| !file::is_level(word)) {
        Some(word) => Err(format!("`{word}` is no access level")),
        None if words.is_empty() => Err("no access level is given".to_owned()),
        None => Ok(Levels::new(words)),
    }
}

/// Makes the backend of `--dadl`. The bound alone decides about levels, so that a denial tells to
/// widen `--access` and not a file that is not there.
fn from_flags(
    dadl: &str,
    overrides: &Overrides,
    access: Option<Levels>,
    directory: &Path,
) -> Result<BackendSettings, SettingsError> {
    let name = match &overrides.name {
        Some(name) if file::is_backend_name(name) => name.clone(),
        Some(name) => {
            let reason = format!(
                "`{name}` is no name for a backend: use lower-case letters, digits and hyphens, \
                 and begin with a letter"
            );
            return Err(SettingsError::Flag { name: "--name", reason });
        }
        None => name_of(dadl),
    };
    if let Some(url) = &overrides.url {
        file::check_url(url).map_err(|problem| SettingsError::Flag {
            name: "--url",
            reason: format!("it {problem}"),
        })?;
    }
    let mut backend = BackendSettings::new(name, dadl);
    backend.url.clone_from(&overrides.url);
    backend.ca_file = overrides.ca_file.as_ref().map(|path| directory.join(path));
    backend.tls_skip_verify = overrides.tls_skip_verify;
    backend.policy.levels = Levels::new([ALL]);
    backend.policy.bound = Some(access.unwrap_or_default());
    Ok(backend)
}

/// Makes the name of a backend out of its descriptor's path.
fn name_of(dadl: &str) -> String {
    let base = dadl.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = base.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let name: String = stem.chars().map(allowed).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    if name.is_empty() { "backend".to_owned() } else { name.to_owned() }
}

/// Returns the settings file: one that is named must be there, others may.
fn find_file(
    overrides: &Overrides,
    environment: &Environment,
    directory: &Path,
    config_home: Option<&Path>,
) -> Result<PathBuf, SettingsError> {
    let named = overrides.config.clone().or_else(|| environment.path(env_vars::CONFIG));
    if let Some(path) = named {
        return Ok(directory.join(path));
    }
    let candidates: Vec<PathBuf> = std::iter::once(directory.join(FILE_NAME))
        .chain(config_home.map(|home| home.join(FILE_NAME)))
        .collect();
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.ok_or(SettingsError::Nothing { tried: candidates })
}

fn from_file(
    path: &Path,
    bound: Option<Levels>,
) -> Result<(Vec<BackendSettings>, FileSettings, Limits), SettingsError> {
    let name = path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|error| SettingsError::Read { path: name.clone(), error })?;
    let source =
        Source::from_bytes(name.clone(), bytes).map_err(|error| unreadable(name, &error))?;
    let file::File { mut backends, files, limits, findings } =
        file::read(&source, path.parent().unwrap_or(Path::new("")));
    if backends.is_empty() {
        return Err(SettingsError::Invalid { text: Box::new(source), findings });
    }
    for backend in &mut backends {
        backend.policy.bound.clone_from(&bound);
    }
    Ok((backends, files, limits))
}

fn unreadable(name: String, error: &SourceError) -> SettingsError {
    let findings = vec![descriptor::unreadable(error)];
    SettingsError::Invalid { text: Box::new(Source::new(name, "")), findings }
}
