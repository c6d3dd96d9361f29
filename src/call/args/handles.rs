//! The handles of files in the arguments of a call: where the caller wrote some, and what goes out in
//! their place.
//!
//! Only what a caller gave counts. Defaults are the author's or the operator's words, and a request that
//! this program makes of what an API said has texts of that API.

use std::{collections::HashMap, sync::Arc};

use dadl_descriptor::model::{Param, ParamRole, ParamStyle};
use serde_json::{Map, Value};

use super::CallArguments;
use crate::call::handle::{self, FileHandle};

/// Where texts name files, and whether they may.
#[derive(Debug, Clone, Default)]
pub(super) struct FileHandles {
    /// The places of the values that were given and name one.
    at: Vec<usize>,
    /// Whether what no parameter is for names one.
    in_others: bool,
    trust: WordTrust,
}

/// Whose words the arguments are.
#[derive(Debug, Clone, Default)]
enum WordTrust {
    /// This program made them.
    #[default]
    Nobody,
    /// A caller gave them.
    Caller,
    /// A script made them, whose caller named the files with these ids.
    Script(Arc<[String]>),
}

impl FileHandles {
    /// Looks at a value that was given for the parameter at this place.
    pub(super) fn note(&mut self, at: usize, value: &Value) {
        if names_file(value) {
            self.at.push(at);
        }
    }

    /// Looks at what no parameter is for.
    pub(super) fn note_others(&mut self, others: &Map<String, Value>) {
        self.in_others = others.values().any(names_file);
    }
}

fn names_file(value: &Value) -> bool {
    handle::any_text(value, &|text| handle::id_of(text).is_some())
}

impl CallArguments {
    /// The same as the words of a caller, whose handles count.
    #[must_use]
    pub(crate) fn of_caller(mut self) -> Self {
        self.handles.trust = WordTrust::Caller;
        self
    }

    /// The same as the words of a script: the files with these ids are its caller's.
    #[must_use]
    pub(crate) fn of_script(mut self, ids: Vec<String>) -> Self {
        self.handles.trust = WordTrust::Script(ids.into());
        self
    }

    /// Returns whether a value that was given names a file, whoever gave it.
    pub(crate) fn names_files(&self) -> bool {
        !self.handles.at.is_empty() || self.handles.in_others
    }

    /// Returns the texts that are sent and stand for files, each as often as it is there.
    pub(crate) fn handles(&self) -> Vec<&str> {
        let mut found = Vec::new();
        let sent = self.places().filter(|(param, _)| matches!(param.role, ParamRole::Sent(_)));
        for value in sent.map(|(_, value)| value).chain(self.named_in_others()) {
            handle::each_text(value, &mut |text| {
                let counts = FileHandle::read(text).is_some_and(|handle| self.trusts(handle.id));
                found.extend(counts.then_some(text));
            });
        }
        found
    }

    /// Returns the texts that stand for files, those that only a script gets among them.
    pub(crate) fn handles_of_script(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for (_, value) in self.places() {
            handle::each_text(value, &mut |text| {
                found.extend(FileHandle::read(text).is_some().then_some(text));
            });
        }
        found
    }

    /// Returns the ids of the files that the caller named.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut found = Vec::new();
        for value in self.places().map(|(_, value)| value).chain(self.named_in_others()) {
            handle::each_text(value, &mut |text| {
                found.extend(handle::id_of(text).filter(|id| self.trusts(id)).map(str::to_owned));
            });
        }
        found
    }

    /// Returns whether a text in the value of a parameter stands for a file.
    pub(crate) fn stands_for_file(&self, param: &Param) -> bool {
        let is_handle = |text: &str| FileHandle::read(text).is_some();
        self.places()
            .any(|(other, value)| other.name == param.name && handle::any_text(value, &is_handle))
    }

    /// Returns whether the text of a parameter stands for a file, or is what a file is: it is nothing
    /// but text, whatever it looks like.
    pub(in crate::call) fn is_of_file(&self, param: &Param, text: &str) -> bool {
        self.places().any(|(other, _)| other.name == param.name) && !handle::is_bare(text)
    }

    /// Returns the arguments with these texts in the place of the handles.
    pub(crate) fn with_inlined(&self, texts: &HashMap<String, String>) -> Self {
        let mut inlined = self.clone();
        for at in &self.handles.at {
            let (Some(param), Some(Some(value))) =
                (self.params.get(*at), inlined.values.get_mut(*at))
            else {
                continue;
            };
            let style = param.param.form.style;
            *value = match handle::replace_texts(value, texts) {
                // Text that is JSON would be taken for that.
                Value::String(text) if style == ParamStyle::Json => {
                    Value::String(text).to_string().into()
                }
                replaced => replaced,
            };
        }
        if self.handles.in_others {
            let others = self.others.iter();
            inlined.others =
                others.map(|(name, it)| (name.clone(), handle::replace_texts(it, texts))).collect();
        }
        inlined
    }

    /// Returns the values that were given and name files, with their parameters.
    fn places(&self) -> impl Iterator<Item = (&Param, &Value)> {
        let at = match self.handles.trust {
            WordTrust::Nobody => &[],
            WordTrust::Caller | WordTrust::Script(_) => self.handles.at.as_slice(),
        };
        at.iter()
            .filter_map(|at| Some((&*self.params.get(*at)?.param, self.values.get(*at)?.as_ref()?)))
    }

    fn named_in_others(&self) -> impl Iterator<Item = &Value> {
        let counts = self.handles.in_others && !matches!(self.handles.trust, WordTrust::Nobody);
        self.others.values().filter(move |_| counts)
    }

    fn trusts(&self, id: &str) -> bool {
        match &self.handles.trust {
            WordTrust::Nobody => false,
            WordTrust::Caller => true,
            WordTrust::Script(ids) => ids.iter().any(|known| known == id),
        }
    }
}
