//! `serve` on stdio: a start that was made before with the same program, settings and files tells hosts the
//! same, and loads the descriptors when something needs them.

use std::{path::PathBuf, sync::Arc};

use tokio::task::JoinHandle;

use super::{args::ServeArgs, console::Console, load};
use crate::{
    app::App,
    config::{
        Settings, Surface,
        known_start::{KnownStart, SaidLine, StartPlace, ToldStart},
    },
    mcp::LiveServer,
};

/// What is known of the starts of a server.
#[derive(Debug, Clone)]
pub(super) struct KnownStarts {
    /// What the flags say about what hosts are told.
    flags: String,
    /// The settings of what runs.
    settings: Settings,
    /// What hosts and the operator were told at this start, where it was known.
    known: Option<KnownStart>,
}

impl KnownStarts {
    /// Finds out what is known of a start with these flags and settings, and tells the operator what was told
    /// then. `None` where everything is loaded at each start: over HTTP, where a server goes on for long, and
    /// where a person reads what is said.
    pub(super) fn of(args: &ServeArgs, settings: &Settings, console: &Console) -> Option<Self> {
        if args.http.is_some() || console.can_ask {
            return None;
        }
        let flags = format!("{:?} {:?}", args.surface, args.profile);
        let place = StartPlace::of(settings, &flags)?;
        let known = place.read(settings);
        if let Err(reason) = &known {
            tracing::debug!(%reason, "this start is not known");
        }
        let known = known.ok();
        if let Some(known) = &known {
            known.said.iter().for_each(load::say_line);
            tracing::debug!("this start is known: descriptors are loaded when they are needed");
        }
        Some(Self { flags, settings: settings.clone(), known })
    }

    /// Returns what was told at a start that is known.
    pub(super) fn told(&self) -> Option<&KnownStart> {
        self.known.as_ref()
    }

    /// Returns the surface that hosts were shown, where the start is known.
    pub(super) fn surface(&self) -> Option<Surface> {
        let told = &self.known.as_ref()?.told;
        Some(if told.is_compact { Surface::Compact } else { Surface::Tools })
    }

    /// Returns the files that a known start was made of.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let made_of = self.known.iter().flat_map(|it| it.descriptors.iter().chain(&it.files));
        made_of.filter(|file| file.digest.is_some()).map(|file| &file.path)
    }

    /// Returns whether the operator was told this already.
    pub(super) fn has_said(&self, text: &str) -> bool {
        self.settings.warnings.iter().any(|said| said == text)
            || self.known.iter().any(|known| known.said.iter().any(|said| said.text == text))
    }

    /// Keeps what hosts are told by `live` of `app`, which was loaded from `settings`. Where that fails,
    /// everything is loaded at the next start.
    pub(super) fn keep(
        &mut self,
        settings: Settings,
        app: &Arc<App>,
        live: &LiveServer,
    ) -> JoinHandle<()> {
        self.settings = settings.clone();
        let (flags, known) = (self.flags.clone(), self.known.take());
        let (app, live) = (Arc::clone(app), live.clone());
        tokio::task::spawn_blocking(move || {
            let Some(place) = StartPlace::of(&settings, &flags) else { return };
            let start = start_of(&settings, &app, &live);
            let Some(start) = start.filter(|start| known.as_ref() != Some(start)) else { return };
            if let Err(reason) = place.write(start) {
                tracing::debug!(%reason, "what hosts are told is not kept");
            }
        })
    }

    /// Does so for the settings that were read at the start, unless they are loaded later.
    pub(super) fn keep_first(
        &mut self,
        app: &Arc<App>,
        live: &LiveServer,
    ) -> Option<JoinHandle<()>> {
        self.known.is_none().then(|| self.keep(self.settings.clone(), app, live))
    }
}

/// Describes a start; `None` where nothing is listed, or where what is told is not for a file.
fn start_of(settings: &Settings, app: &App, live: &LiveServer) -> Option<KnownStart> {
    let files = app.source_files(settings)?;
    let (told, tools) = live.told().ok()?;
    let said: Vec<SaidLine> = load::remarks(app);
    let start = KnownStart {
        descriptors: files.descriptors,
        files: files.others,
        said,
        told,
        tools: tools.into(),
    };
    let is_listed = start.told.count > 0;
    (is_listed && !has_secret(&start, app)).then_some(start)
}

/// Returns whether a secret that is in use is in what would be kept.
fn has_secret(start: &KnownStart, app: &App) -> bool {
    let secrets = app.executor.secrets();
    let ToldStart { info, prompts, templates, .. } = &start.told;
    let said = start.said.iter().map(|line| line.text.as_str());
    let mut texts = [info, prompts, templates, &*start.tools].into_iter().chain(said);
    texts.any(|text| secrets.text(text) != text)
}
