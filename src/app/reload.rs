//! Other settings take the place of those that run, all at once or not at all.

use std::{fmt, sync::Arc};

use super::{
    App, LoadedBackend, build_catalog, checked_backends, confirm_policies, error::BuildError,
    known_servers, new_clients, offers_of, places, remarks,
};
use crate::{
    config::{Settings, credentials::CredentialResolver},
    executor::NextClient,
    files::{HostResolver, SystemResolver},
};

/// What a reload changed, by the names of backends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReloadReport {
    /// They are new.
    pub added: Vec<String>,
    /// Their settings or descriptors are others.
    pub changed: Vec<String>,
    /// They are gone.
    pub removed: Vec<String>,
    /// Limits or profiles are others.
    pub others: bool,
}

impl ReloadReport {
    /// Returns whether everything is as it was.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ReloadReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("new", &self.added), ("changed", &self.changed), ("gone", &self.removed)];
        let kinds = kinds.iter().filter(|(_, names)| !names.is_empty());
        let mut parts: Vec<String> =
            kinds.map(|(kind, names)| format!("{kind}: {}", names.join(", "))).collect();
        if parts.is_empty() {
            parts.push(
                if self.others { "limits or profiles" } else { "nothing has changed" }.to_owned(),
            );
        }
        formatter.write_str(&parts.join("; "))
    }
}

impl App {
    /// Makes what comes after this with other settings. Backends whose settings and files are the same
    /// keep their clients: connections, logins, the processes of servers. Servers that are new are not
    /// asked yet.
    ///
    /// # Errors
    ///
    /// All problems of all backends; nothing has changed then.
    pub(crate) fn reloaded(
        &self,
        settings: &Settings,
        credentials: &CredentialResolver,
    ) -> Result<(Self, ReloadReport), BuildError> {
        let resolver: Arc<dyn HostResolver> = Arc::new(SystemResolver);
        let fresh = checked_backends(settings, credentials, &resolver)?;
        let report = self.compared(&fresh, settings);
        let files = self.executor.files();
        let order: Vec<Option<usize>> =
            fresh.iter().map(|loaded| self.position_of_same(loaded)).collect();
        let all = fresh.into_iter().zip(&order);
        let mut new: Vec<LoadedBackend> =
            all.filter(|(_, kept)| kept.is_none()).map(|(loaded, _)| loaded).collect();
        let (made, mut warnings) = new_clients(&mut new, credentials, files);
        let new: Vec<Arc<LoadedBackend>> = new.into_iter().map(Arc::new).collect();
        let mut made = new.iter().map(Arc::clone).zip(made);
        let (mut backends, mut clients) = (Vec::new(), Vec::new());
        for kept in order {
            match kept.and_then(|at| Some((at, self.backends.get(at)?))) {
                Some((at, known)) => {
                    backends.push(Arc::clone(known));
                    clients.push(NextClient::Kept(at));
                }
                None => {
                    let Some((loaded, client)) = made.next() else { continue };
                    backends.push(loaded);
                    clients.push(NextClient::New(Box::new(client)));
                }
            }
        }
        warnings.extend(remarks(&new));
        let known = known_servers(&backends, settings);
        let offers = offers_of(&known);
        let executor = self.executor.succeeded_by(clients, settings.limits, known);
        let catalog = Arc::new(build_catalog(&backends, &offers));
        let gate = self.gate.for_backends(catalog, confirm_policies(&backends), places(&backends));
        let next = Self {
            gate,
            executor,
            backends,
            limits: settings.limits,
            surface: self.surface,
            profiles: settings.profiles.clone(),
            origin: settings.origin.clone(),
            warnings,
            offers,
        };
        Ok((next, report))
    }

    /// Returns where the backend is that is the same.
    fn position_of_same(&self, fresh: &LoadedBackend) -> Option<usize> {
        self.backends.iter().position(|known| known.is_same(fresh))
    }

    fn compared(&self, fresh: &[LoadedBackend], settings: &Settings) -> ReloadReport {
        let name = |backend: &LoadedBackend| backend.settings.name.clone();
        let is_known = |it: &&LoadedBackend| {
            self.backends.iter().any(|known| known.settings.name == it.settings.name)
        };
        let is_there = |it: &&Arc<LoadedBackend>| {
            fresh.iter().any(|fresh| fresh.settings.name == it.settings.name)
        };
        let (old, new): (Vec<_>, Vec<_>) = fresh.iter().partition(is_known);
        let changed = old.into_iter().filter(|it| self.position_of_same(it).is_none());
        ReloadReport {
            added: new.into_iter().map(name).collect(),
            changed: changed.map(name).collect(),
            removed: self.backends.iter().filter(|it| !is_there(it)).map(|it| name(it)).collect(),
            others: settings.limits != self.limits || settings.profiles != self.profiles,
        }
    }
}

impl LoadedBackend {
    /// Returns whether the settings and the files of both say the same.
    fn is_same(&self, other: &Self) -> bool {
        self.settings == other.settings
            && self.read == other.read
            // That of a server may have been found out since.
            && self.descriptor.auth == other.descriptor.auth
    }
}
