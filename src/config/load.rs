//! Finds the settings: flags first, then the environment, then backends.yaml, then defaults.
//!
//! A backends.yaml of the working directory counts when it is named: hosts start servers in
//! folders that others have filled.

use std::{
    io,
    path::{Path, PathBuf},
};

use dadl_descriptor::{
    diagnostic::Diagnostic,
    source::{SourceError, SourceText},
};
use uuid::Uuid;

use super::{
    BackendSettings, CertificatePin, DescriptorPaths, PrivateHost, Settings, SettingsProvenance,
    backends_file,
    base_url::check_url,
    default_name::default_name,
    dirs,
    env_vars::{self, Environment, UnexpandedVariable},
    file_trust::{self, FileDoubt},
    tool_pins::PinStore,
};
use crate::access::{ALL, AccessLevels, AllowedOrigin};

/// The name under which settings are found without being named.
const FILE_NAME: &str = "backends.yaml";

/// What flags say; each wins over the environment and over the file.
#[derive(Debug, Clone, Default)]
pub struct SettingsOverrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--dadl`: makes one backend without a file.
    pub dadl: Option<String>,
    /// `--url` of that backend.
    pub url: Option<String>,
    /// `--allow-private-host` of that backend.
    pub allow_private_hosts: Vec<PrivateHost>,
    /// `--allow-origin` of that backend.
    pub allow_origins: Vec<AllowedOrigin>,
    /// `--name` of that backend.
    pub name: Option<String>,
    /// `--ca-file` of that backend.
    pub ca_file: Option<PathBuf>,
    /// `--client-cert` of that backend.
    pub client_cert: Option<PathBuf>,
    /// `--client-key` of that backend.
    pub client_key: Option<PathBuf>,
    /// `--tls-fingerprint` of that backend.
    pub tls_fingerprint: Vec<CertificatePin>,
    /// `--tls-skip-verify` of that backend.
    pub tls_skip_verify: bool,
    /// `--access`
    pub access: Option<AccessLevels>,
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
    /// A variable has the name of another one as its value.
    #[error(transparent)]
    Unexpanded(#[from] UnexpandedVariable),
    /// The file has errors.
    #[error("{} cannot be used", text.name())]
    Invalid {
        /// The text of the file.
        text: Box<SourceText>,
        /// All that is wrong with it.
        findings: Vec<Diagnostic>,
    },
    /// There is no file, and no `--dadl`.
    #[error("there is nothing to load: no --dadl was given, and no {FILE_NAME} was found")]
    Nothing {
        /// The file that was looked for.
        own: Option<PathBuf>,
    },
    /// There is no file but one that nobody named.
    #[error(
        "{} is there, but nobody named it: settings decide where credentials go, and the files of \
         a directory may be somebody else's",
        path.display()
    )]
    Unnamed {
        /// The file.
        path: PathBuf,
        /// Where one would be found without being named.
        own: Option<PathBuf>,
    },
    /// Anybody could have written the user's own file.
    #[error("{} cannot be trusted: {doubt}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Why.
        doubt: FileDoubt,
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
    /// See `SettingsError`; a file's problems come all at once.
    pub fn load(
        overrides: &SettingsOverrides,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Self, SettingsError> {
        let access = match &overrides.access {
            Some(levels) => Some(levels.clone()),
            None => environment
                .expanded(env_vars::ACCESS)?
                .map(|text| {
                    parse_levels(text).map_err(|error| SettingsError::Flag {
                        name: env_vars::ACCESS,
                        reason: error.to_string(),
                    })
                })
                .transpose()?,
        };
        let files = match &overrides.files {
            Some(files) => Some(files.clone()),
            None => environment.expanded(env_vars::FILES)?.map(PathBuf::from),
        };
        let files = files
            .map(|files| directory.join(files))
            .or_else(|| dirs::files_dir(environment))
            .unwrap_or_else(files_of_this_process);
        let config_home = dirs::config_dir(environment);
        let mut warnings = Vec::new();
        let (backends, file_settings, limits, (surface, profiles), origin) = match &overrides.dadl {
            Some(dadl) => {
                let backend = from_flags(dadl, overrides, access, directory)?;
                (vec![backend], Default::default(), Default::default(), Default::default(), None)
            }
            None => {
                let found = find_file(overrides, environment, directory, config_home.as_deref())?;
                warnings.extend(found.warning);
                let file = from_file(&found.path, found.provenance, access)?;
                warnings.extend(file.warnings);
                let shown = (file.surface, file.profiles);
                (file.backends, file.files, file.limits, shown, Some(found.path))
            }
        };
        let authorities = backends.iter().filter_map(|backend| backend.ca_file.as_deref());
        let named = origin.as_deref().into_iter().chain(authorities);
        warnings.extend(named.chain(file_settings.ca_file.as_deref()).filter_map(file_warning));
        let beside = origin.as_deref().and_then(Path::parent).map(Path::to_owned);
        let own = config_home.map(|home| home.join("descriptors"));
        let places = DescriptorPaths {
            base: Some(beside.clone().unwrap_or_else(|| directory.to_owned())),
            folders: beside.into_iter().chain(own).collect(),
        };
        Ok(Self {
            backends,
            beside: Vec::new(),
            files,
            cache: dirs::cache_dir(environment),
            pins: PinStore::of(environment),
            file_settings,
            limits,
            surface,
            profiles,
            origin,
            places,
            warnings,
        })
    }
}

/// Says when anybody could have written a file that the operator has named: their word counts.
fn file_warning(path: &Path) -> Option<String> {
    let doubts = file_trust::way_to(path).unwrap_or_default();
    let doubt = doubts.into_iter().find(FileDoubt::is_anybodys)?;
    Some(format!("{} is used, but {doubt}", path.display()))
}

/// Names a directory that nobody else can have filled, for a user without a home: one of the
/// working directory could lead anywhere.
fn files_of_this_process() -> PathBuf {
    std::env::temp_dir().join(format!("dadl-mcp-files-{}", Uuid::new_v4()))
}

/// Why a text is no list of access levels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LevelsError {
    /// It has no word.
    #[error("no access level is given")]
    Empty,
    /// A word of it is none.
    #[error("`{0}` is no access level")]
    Word(String),
}

/// Reads access levels separated by commas.
///
/// # Errors
///
/// See [`LevelsError`].
pub(crate) fn parse_levels(text: &str) -> Result<AccessLevels, LevelsError> {
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    match words.iter().find(|word| !backends_file::is_level(word)) {
        Some(word) => Err(LevelsError::Word((*word).to_owned())),
        None if words.is_empty() => Err(LevelsError::Empty),
        None => Ok(AccessLevels::new(words)),
    }
}

/// Makes the backend of `--dadl`. The bound alone decides about levels, so that a denial tells to
/// widen `--access` and not a file that is not there.
fn from_flags(
    dadl: &str,
    overrides: &SettingsOverrides,
    access: Option<AccessLevels>,
    directory: &Path,
) -> Result<BackendSettings, SettingsError> {
    let name = match &overrides.name {
        Some(name) if backends_file::is_backend_name(name) => name.clone(),
        Some(name) => {
            let reason = format!(
                "`{name}` is no name for a backend: use lower-case letters, digits and hyphens, \
                 and begin with a letter"
            );
            return Err(SettingsError::Flag { name: "--name", reason });
        }
        None => default_name(dadl),
    };
    if let Some(url) = &overrides.url {
        check_url(url).map_err(|problem| SettingsError::Flag {
            name: "--url",
            reason: format!("it {problem}"),
        })?;
    }
    let mut backend = BackendSettings::new(name, dadl);
    backend.url.clone_from(&overrides.url);
    backend.allow_private_hosts.clone_from(&overrides.allow_private_hosts);
    backend.ca_file = overrides.ca_file.as_ref().map(|path| directory.join(path));
    backend.client_cert = overrides.client_cert.as_ref().map(|path| directory.join(path));
    backend.client_key = overrides.client_key.as_ref().map(|path| directory.join(path));
    backend.tls_fingerprint.clone_from(&overrides.tls_fingerprint);
    backend.tls_skip_verify = overrides.tls_skip_verify;
    backend.policy.origins.clone_from(&overrides.allow_origins);
    backend.policy.levels = AccessLevels::new([ALL]);
    backend.policy.bound = Some(access.unwrap_or_default());
    Ok(backend)
}

/// A settings file.
struct FoundFile {
    path: PathBuf,
    provenance: SettingsProvenance,
    /// Which other file is not used.
    warning: Option<String>,
}

/// Returns the settings file: one that is named must be there; the user's own is there or not, and
/// one of the working directory does not count.
fn find_file(
    overrides: &SettingsOverrides,
    environment: &Environment,
    directory: &Path,
    config_home: Option<&Path>,
) -> Result<FoundFile, SettingsError> {
    let named = match &overrides.config {
        Some(named) => Some(named.clone()),
        None => environment.expanded(env_vars::CONFIG)?.map(PathBuf::from),
    };
    if let Some(named) = named {
        let (path, provenance) = (directory.join(&named), SettingsProvenance::Named(named));
        return Ok(FoundFile { path, provenance, warning: None });
    }
    let own = config_home.map(|home| home.join(FILE_NAME));
    let unnamed = Some(directory.join(FILE_NAME)).filter(|path| path.is_file());
    let Some(path) = own.clone().filter(|path| path.is_file()) else {
        return Err(match unnamed {
            Some(_) => SettingsError::Unnamed { path: Path::new(".").join(FILE_NAME), own },
            None => SettingsError::Nothing { own },
        });
    };
    // It is found without a word of anybody's.
    let doubts = file_trust::way_to(&path).unwrap_or_default();
    if let Some(doubt) = doubts.into_iter().find(FileDoubt::is_anybodys) {
        return Err(SettingsError::Untrusted { path, doubt });
    }
    let same = |other: &PathBuf| path.canonicalize().ok() == other.canonicalize().ok();
    let warning = unnamed.filter(|unnamed| !same(unnamed)).map(|_| {
        format!(
            "./{FILE_NAME} is not used, because nobody named it; `--config ./{FILE_NAME}` uses it \
             instead of {}",
            path.display()
        )
    });
    Ok(FoundFile { path, provenance: SettingsProvenance::Own, warning })
}

fn from_file(
    path: &Path,
    provenance: SettingsProvenance,
    bound: Option<AccessLevels>,
) -> Result<backends_file::ConfigFile, SettingsError> {
    let name = path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|error| SettingsError::Read { path: name.clone(), error })?;
    let source = SourceText::from_bytes(name.clone(), bytes)
        .map_err(|error| unreadable_error(name, &error))?;
    let mut file =
        backends_file::read_backends_file(&source, path.parent().unwrap_or(Path::new("")));
    if file.backends.is_empty() {
        return Err(SettingsError::Invalid { text: Box::new(source), findings: file.findings });
    }
    for backend in &mut file.backends {
        backend.policy.bound.clone_from(&bound);
        backend.provenance.clone_from(&provenance);
    }
    Ok(file)
}

fn unreadable_error(name: String, error: &SourceError) -> SettingsError {
    let findings = vec![dadl_descriptor::unreadable(error)];
    SettingsError::Invalid { text: Box::new(SourceText::new(name, "")), findings }
}
