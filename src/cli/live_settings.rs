//! `serve` with settings that change while it runs: they are read again, checked whole, and take the place of
//! those that ran. A mistake keeps what runs, and is told.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{Notify, mpsc},
    task::{JoinError, JoinHandle},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    args::BackendArgs,
    failure::CliFailure,
    known_start::KnownStarts,
    load,
    served_profile::{ServedProfile, publish_all},
    settings_watch::{LOOK, LookFinding, WatchedFiles},
};
use crate::{
    app::{App, ListPace, ReloadReport, watch_lists},
    catalog::BackendId,
    config::{Settings, credentials::CredentialResolver, env_vars::Environment},
    mcp::ServedPaths,
    mcp_client::ServerList,
};

/// A start waits so long until it is written down.
const TO_KEEP: Duration = Duration::from_secs(1);

/// What is served, and where it came from.
pub(super) struct LiveSettings {
    /// The flags, which stay.
    pub(super) args: BackendArgs,
    /// The environment, which stays.
    pub(super) environment: Environment,
    /// Looks credentials up.
    pub(super) credentials: CredentialResolver,
    /// What runs.
    pub(super) app: Arc<App>,
    /// The file that was read.
    pub(super) origin: Option<PathBuf>,
    /// What clients talk to.
    pub(super) served: Vec<ServedProfile>,
    /// The paths of profiles.
    pub(super) paths: ServedPaths,
    /// Before the settings were read first.
    pub(super) begun: SystemTime,
    /// Why the newest settings are not used, if they are not.
    pub(super) trouble: Option<SettingsTrouble>,
    /// What is known of the starts of this server.
    pub(super) starts: Option<KnownStarts>,
    /// Writes down what is known of this one.
    pub(super) keeping: Option<JoinHandle<()>>,
}

/// Why settings are not used.
#[derive(Debug)]
pub(super) struct SettingsTrouble {
    why: String,
    /// The files of descriptors that they name.
    files: Vec<PathBuf>,
}

impl LiveSettings {
    /// Writes down what is known of this start, before anybody is served: a host may end the process right after
    /// the first list. A slow disk holds it up for a moment only.
    pub(super) async fn keep_start(&mut self) {
        if let Some((starts, profile)) = self.starts.as_mut().zip(self.served.first()) {
            self.keeping = starts.keep_first(&self.app, &profile.live);
        }
        if let Some(keeping) = &mut self.keeping
            && tokio::time::timeout(TO_KEEP, keeping).await.is_ok()
        {
            self.keeping = None;
        }
    }

    /// Reads settings again when somebody asks, and when their files change if they are watched, until the
    /// end; returns what ran last.
    pub(super) async fn run(
        mut self,
        asked: Arc<Notify>,
        watches: bool,
        end: CancellationToken,
    ) -> Arc<App> {
        self.follow(asked, watches, &end).await;
        // The next start is the quicker one.
        if let Some(keeping) = self.keeping.take() {
            let _ = keeping.await;
        }
        self.app
    }

    /// Does so until the end.
    async fn follow(&mut self, asked: Arc<Notify>, watches: bool, end: &CancellationToken) {
        let mut files = self.files();
        // They may have changed while they were read.
        let mut is_due = watches && files.is_newer_than(self.begun);
        let mut lists = self.watch_lists();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if is_due {
                // The end does not wait for servers that are asked for their lists.
                let reloaded = tokio::select! {
                    reloaded = self.reload() => Some(reloaded),
                    () = end.cancelled() => None,
                };
                match reloaded {
                    Some(true) => lists = self.watch_lists(),
                    Some(false) => {}
                    None => return,
                }
                files = self.files();
            }
            is_due = tokio::select! {
                () = end.cancelled() => return,
                () = asked.notified() => true,
                Some((backend, list)) = lists.recv() => {
                    self.take_list(backend, &list);
                    false
                }
                _ = looks.tick(), if watches && !files.is_empty() => {
                    let looked = crate::spawn::blocking(move || (files.look(), files)).await;
                    // It does not fail, and files that cannot be looked at are not.
                    let Ok((found, looked)) = looked else { return };
                    files = looked;
                    found == LookFinding::Changed
                }
            };
        }
    }

    /// Returns the files that the settings and descriptors are in; after a mistake also the folders, where
    /// what is missing may come.
    fn files(&self) -> WatchedFiles {
        let of_backends =
            self.app.backends.iter().flat_map(|it| it.read.iter().map(|(path, _)| path));
        let folder = self.origin.as_deref().and_then(|path| path.parent()).map(PathBuf::from);
        let named = self.trouble.iter().flat_map(|trouble| &trouble.files);
        let folder = folder.filter(|_| self.trouble.is_some());
        let known = self.starts.iter().flat_map(KnownStarts::files);
        let all = self.origin.iter().chain(of_backends).chain(named).chain(known);
        WatchedFiles::new(all.cloned().chain(folder))
    }

    /// Has the lists of servers sent when they change; those that were watched before are no longer, as soon
    /// as nobody takes them.
    fn watch_lists(&self) -> mpsc::Receiver<(BackendId, ServerList)> {
        let (sender, lists) = mpsc::channel(1);
        for (at, backend) in self.app.backends.iter().enumerate() {
            let id = BackendId(at);
            let Some((start, server)) = self.app.watch_start(id).zip(backend.server()) else {
                continue;
            };
            let (executor, time) = (self.app.executor.clone(), server.settings.start_timeout);
            let (pace, sender) = (ListPace::default(), sender.clone());
            crate::spawn::task(watch_lists(executor, id, start, time, pace, sender));
        }
        lists
    }

    /// Serves what a server lists by now.
    fn take_list(&mut self, backend: BackendId, list: &ServerList) {
        // Nobody else has it but while settings are read.
        let Some(app) = Arc::get_mut(&mut self.app) else { return };
        let news = app.relisted(backend, list);
        for remark in &news.remarks {
            tracing::warn!("{remark}");
        }
        if !news.is_empty() {
            for profile in &self.served {
                profile.publish(&self.app);
            }
        }
    }

    /// Reads everything again; returns whether other settings run now.
    async fn reload(&mut self) -> bool {
        match self.read().await {
            Ok((app, report, settings)) => {
                if self.trouble.take().is_some() {
                    self.tell_trouble();
                }
                if report.is_empty() {
                    tracing::debug!("the settings were read again: nothing has changed");
                    return false;
                }
                let app = load::list_servers(app).await;
                let is_first = self.app.backends.is_empty();
                self.app = Arc::new(app);
                publish_all(&mut self.served, &self.app, &self.paths);
                if let Some((starts, profile)) = self.starts.as_mut().zip(self.served.first()) {
                    self.keeping = Some(starts.keep(settings, &self.app, &profile.live));
                }
                // Whoever reads it finds them in use.
                if is_first {
                    tracing::debug!("the descriptors are loaded");
                } else {
                    tracing::info!("the settings were read again: {report}");
                }
                true
            }
            Err(trouble) => {
                let known = self.trouble.replace(trouble);
                let why = self.trouble.iter().map(|trouble| &trouble.why).next();
                for profile in &self.served {
                    profile.live.wake_failed(why.map(String::as_str).unwrap_or_default());
                }
                if known.as_ref().map(|known| &known.why) != why {
                    let why = why.map(String::as_str).unwrap_or_default();
                    tracing::error!("the changed settings are not used, what ran goes on: {why}");
                    self.tell_trouble();
                }
                false
            }
        }
    }

    /// Reads everything, and makes of it what could be served.
    async fn read(&self) -> Result<(App, ReloadReport, Settings), SettingsTrouble> {
        let (args, environment) = (self.args.clone(), self.environment.clone());
        let (app, credentials) = (Arc::clone(&self.app), self.credentials.clone());
        let starts = self.starts.clone().filter(|_| app.backends.is_empty());
        let read = move || {
            let trouble = |failure: CliFailure, files| {
                Err(SettingsTrouble { why: failure.lines().join("; "), files })
            };
            let settings = match load::load_settings(&args, &environment) {
                Ok(settings) => settings,
                Err(failure) => return trouble(failure, Vec::new()),
            };
            match app.reloaded(&settings, &credentials) {
                Ok((app, report)) => {
                    let is_new = |text: &str| !starts.iter().any(|starts| starts.has_said(text));
                    let warnings = settings.warnings.iter().chain(&app.warnings);
                    for warning in warnings.filter(|warning| is_new(warning)) {
                        tracing::warn!("{warning}");
                    }
                    Ok((app, report, settings))
                }
                Err(error) => trouble(error.into(), descriptor_files(&settings)),
            }
        };
        let read = crate::spawn::blocking(read).await;
        let failed =
            |error: JoinError| SettingsTrouble { why: error.to_string(), files: Vec::new() };
        read.unwrap_or_else(|error| Err(failed(error)))
    }

    fn tell_trouble(&self) {
        for profile in &self.served {
            profile.live.note_trouble(self.trouble.is_some());
        }
    }
}

/// Returns the files of the descriptors that settings name.
fn descriptor_files(settings: &Settings) -> Vec<PathBuf> {
    let apis = settings.backends.iter().filter(|backend| backend.server.is_none());
    let found = apis.filter_map(|backend| settings.descriptor(backend).ok()?.file());
    found.map(|(path, _)| path).collect()
}
