//! The catalog of a profile: the same tools, of which fewer may be called.

use std::sync::{Arc, OnceLock};

use dadl_descriptor::model::AccessLevel;

use super::{BackendId, Catalog, CatalogEntry, TaskTools};
use crate::access::{AccessDecision, AccessDenial, ProfileBound, ProfiledTool};

impl Catalog {
    /// Makes the catalog of what `bound` lets through of this one. Schemas are shared.
    #[must_use]
    pub fn narrowed(&self, bound: &ProfileBound) -> Self {
        let same = |entries: &[Option<CatalogEntry>]| -> Vec<Option<CatalogEntry>> {
            entries.iter().map(|entry| Some(entry.as_ref()?.like())).collect()
        };
        // What a server has besides tools is read.
        let may_read =
            bound.levels.as_ref().is_none_or(|levels| levels.contains(Some(&AccessLevel::Read)));
        let by_handle =
            |entry: &CatalogEntry| entry.narrowed(ProfileBound::denial_by_handle, bound);
        let tasks = self.tasks.iter().map(|tools| {
            let TaskTools { watch, cancel, verdicts } = tools.as_ref()?;
            Some(TaskTools {
                watch: by_handle(watch),
                cancel: cancel.as_ref().map(by_handle),
                verdicts: verdicts.iter().map(|it| it.as_ref().map(by_handle)).collect(),
            })
        });
        Self {
            entries: self
                .entries
                .iter()
                .map(|it| it.narrowed(ProfileBound::denial, bound))
                .collect(),
            checks: same(&self.checks),
            switches: same(&self.switches),
            fits: same(&self.fits),
            fit_versions: same(&self.fit_versions),
            tasks: tasks.collect(),
            by_name: Arc::clone(&self.by_name),
            contents: self.contents.narrowed(|backend| bound.has_backend(backend) && may_read),
            profile: Some(Arc::new(bound.clone())),
        }
    }

    /// Returns whether the profile that is served has this backend; without one each is served.
    pub fn serves_backend(&self, name: &str) -> bool {
        self.profile.as_ref().is_none_or(|profile| profile.has_backend(name))
    }

    /// Returns what an entry of a backend is narrowed by.
    pub fn profile(&self) -> Option<&ProfileBound> {
        self.profile.as_deref()
    }
}

impl CatalogEntry {
    /// Returns a copy that decides as this one, unless `bound` leaves it out.
    fn narrowed(
        &self,
        denial: fn(&ProfileBound, ProfiledTool<'_>) -> Option<AccessDenial>,
        bound: &ProfileBound,
    ) -> Self {
        let tool = ProfiledTool {
            backend: &self.backend_name,
            names: [self.declared_name(), &self.name],
            level: self.access(),
        };
        match denial(bound, tool) {
            Some(denial) if self.decision == AccessDecision::Allow => {
                Self { decision: AccessDecision::Deny(denial), output: None, ..self.like() }
            }
            _ => self.like(),
        }
    }

    /// Returns a copy, which compiles its schema anew.
    fn like(&self) -> Self {
        let BackendId(backend) = self.backend;
        Self {
            name: self.name.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            schema_text: Arc::clone(&self.schema_text),
            output: self.output.clone(),
            annotations: self.annotations,
            backend: BackendId(backend),
            backend_name: Arc::clone(&self.backend_name),
            decision: self.decision.clone(),
            absence: self.absence.clone(),
            params: Arc::clone(&self.params),
            descriptor: Arc::clone(&self.descriptor),
            server: self.server.clone(),
            place: self.place,
            overridden: self.overridden.clone(),
            validator: OnceLock::new(),
            schema: OnceLock::new(),
        }
    }
}
