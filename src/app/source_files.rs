//! What a run was made of, and a run that has nothing yet: both for a start that loads later.

use std::path::PathBuf;

use dadl_descriptor::{code, model::AuthScheme};

use super::{App, LoadedBackend};
use crate::{
    catalog::Catalog,
    config::{Settings, bundled, credentials::CredentialResolver, known_start::ReadFile},
    executor::{BackendClient, Executor},
    files::FileStore,
    gate::Gate,
};

/// The files that descriptors and lists were made of.
#[derive(Debug)]
pub(crate) struct SourceFiles {
    /// The descriptors, in the order of the settings.
    pub descriptors: Vec<ReadFile>,
    /// What else was read for them.
    pub others: Vec<ReadFile>,
}

impl App {
    /// Makes a run without a backend; those of `settings` come with [`App::reloaded`].
    pub(crate) fn without_backends(settings: &Settings, credentials: &CredentialResolver) -> Self {
        let files =
            FileStore::with_settings(settings.files.clone(), settings.file_settings.clone());
        let executor = Executor::new(Vec::<BackendClient>::new(), files)
            .with_secrets(credentials.secrets().clone())
            .with_limits(settings.limits);
        Self {
            gate: Gate::new(Catalog::build(&[]).into(), []),
            executor,
            backends: Vec::new(),
            limits: settings.limits,
            surface: settings.surface,
            profiles: settings.profiles.clone(),
            origin: settings.origin.clone(),
            warnings: Vec::new(),
            offers: Vec::new(),
        }
    }

    /// Returns the files that all this was made of; `None` where it was made of more than these.
    pub(crate) fn source_files(&self, settings: &Settings) -> Option<SourceFiles> {
        let mut found = SourceFiles { descriptors: Vec::new(), others: Vec::new() };
        for (at, backend) in self.backends.iter().enumerate() {
            if !backend.is_made_of_files() {
                return None;
            }
            let (own, others): (Vec<_>, Vec<_>) = backend
                .read
                .iter()
                .partition(|(path, _)| Some(path) == backend.own_file().as_ref());
            let digest = own.first().map(|(_, digest)| digest);
            found.descriptors.push(ReadFile::new(backend.source.name().into(), digest));
            found.others.extend(
                others.into_iter().map(|(path, digest)| ReadFile::new(path.clone(), Some(digest))),
            );
            let Some(note) = backend.note(settings) else { continue };
            let file = ReadFile::now(note.path());
            // It may have been written since.
            let offer = note.read().ok().map(|note| note.offer);
            if offer.as_ref() != self.offers.get(at)?.as_deref() {
                return None;
            }
            found.others.push(file);
        }
        Some(found)
    }
}

impl LoadedBackend {
    /// Returns whether it is known from its files alone that it can be used.
    fn is_made_of_files(&self) -> bool {
        let rotates = match &self.descriptor.auth {
            AuthScheme::OAuth2(oauth2) => oauth2.rotating().is_some(),
            _ => false,
        };
        // A document that was not there is not among the files.
        let is_whole = self.diagnostics.iter().all(|found| found.code != code::OPENAPI);
        self.api().is_some() && self.unused.is_none() && is_whole && !rotates
    }

    /// Returns the file of the descriptor; `None` for one inside the program.
    fn own_file(&self) -> Option<PathBuf> {
        (!bundled::is_bundled(&self.source)).then(|| PathBuf::from(self.source.name()))
    }
}
