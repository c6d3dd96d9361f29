//! What a script reaches as `api`.

use std::{fmt, sync::Arc};

use dadl_text::{names::OrMeant, text::quoted_text};
use rquickjs::{Ctx, Function, Object};

/// The members of `api`.
#[derive(Debug)]
pub enum ScriptApi {
    /// These tools.
    Tools(Vec<String>),
    /// Whatever somebody finds by its name, at the moment at which a script names it.
    Open(Arc<dyn ScriptNames>),
}

/// Finds tools for a script: `api.NAME` and `api.BACKEND.NAME`.
pub trait ScriptNames: fmt::Debug + Send + Sync {
    /// Returns the names of the backends, as a script writes them.
    fn backends(&self) -> &[String];

    /// Returns the names of the tools of a backend, or all where `backend` is empty.
    fn tools(&self, backend: &str) -> Vec<String>;

    /// Returns what a tool is called in [`ScriptEvent::Call`](super::engine::ScriptEvent::Call); `backend` is empty
    /// for `api.NAME`.
    ///
    /// # Errors
    ///
    /// There is no such tool.
    fn find(&self, backend: &str, name: &str) -> Result<String, UnknownScriptTool>;
}

/// There is no tool of the name that a script has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool {}{:#}", quoted_text(.name, LONGEST_NAME), OrMeant(.nearest.as_deref()))]
pub struct UnknownScriptTool {
    /// The name.
    pub name: String,
    /// One that may be meant, as the script would write it.
    pub nearest: Option<String>,
}

/// So much of a name that nothing has is repeated.
const LONGEST_NAME: usize = 100;

impl ScriptApi {
    /// Gives the prelude its way to the names.
    pub(super) fn add_lookups<'js>(
        &self,
        ctx: &Ctx<'js>,
        host: &Object<'js>,
    ) -> rquickjs::Result<()> {
        let Self::Open(names) = self else { return Ok(()) };
        let known = Arc::clone(names);
        let find = move |backend: String, name: String| match known.find(&backend, &name) {
            Ok(tool) => vec![tool, String::new()],
            Err(mistake) => vec![String::new(), mistake.to_string()],
        };
        host.set("find", Function::new(ctx.clone(), find)?)?;
        let known = Arc::clone(names);
        let tools = move |backend: String| {
            let mut tools = known.tools(&backend);
            if backend.is_empty() {
                let backends = known.backends().iter().filter(|it| !it.is_empty());
                let more = backends.filter(|it| !tools.contains(it)).cloned();
                let more: Vec<String> = more.collect();
                tools.extend(more);
            }
            tools
        };
        host.set("names", Function::new(ctx.clone(), tools)?)
    }
}
