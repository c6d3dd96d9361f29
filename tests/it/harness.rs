//! A gate and an executor in this process, for one backend with a fixed credential.

use std::{path::PathBuf, sync::Arc};

use dadl_descriptor::{
    model::{CredentialName, Descriptor},
    source::SourceText,
};
use dadl_mcp::{
    access::{AccessLevels, AccessPolicy},
    call::BaseUrl,
    catalog::{BackendTools, Catalog},
    config::{
        BackendSettings,
        credentials::{CredentialSource, SourceError},
    },
    executor::{CallContext, CallError, Executor},
    files::FileStore,
    gate::{CallConsent, Gate},
    http::{auth::Authenticator, backend::Backend},
    outcome::{AnswerPayload, CallOutcome},
};
use secrecy::SecretString;
use serde_json::Value;

/// The credential of every backend, or the sentence that says why there is none.
pub(crate) struct Fixed(pub(crate) Result<String, String>);

impl CredentialSource for Fixed {
    fn find(&self, _: &CredentialName) -> Result<SecretString, SourceError> {
        self.0.clone().map(Into::into).map_err(SourceError::Missing)
    }
}

/// A gate and an executor that allow every level.
pub(crate) struct Harness {
    pub(crate) gate: Gate,
    pub(crate) executor: Executor,
    _home: tempfile::TempDir,
}

impl Harness {
    /// Loads `descriptor` for the backend at `url`.
    pub(crate) fn new(
        descriptor: &str,
        url: &str,
        credential: impl CredentialSource + 'static,
        change: impl FnOnce(&mut BackendSettings),
    ) -> Self {
        Self::with_files(descriptor, url, credential, change, FileStore::new)
    }

    /// The same with the store that `files` makes of a directory.
    pub(crate) fn with_files(
        descriptor: &str,
        url: &str,
        credential: impl CredentialSource + 'static,
        change: impl FnOnce(&mut BackendSettings),
        files: impl FnOnce(PathBuf) -> FileStore,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let loaded = dadl_descriptor::load(&SourceText::new("test.dadl", descriptor));
        let descriptor =
            Arc::new(loaded.descriptor.unwrap_or_else(|| {
                panic!("the descriptor does not load: {:#?}", loaded.diagnostics)
            }));
        let mut settings = BackendSettings::new(descriptor.name.clone(), "test.dadl");
        settings.url = Some(url.to_owned());
        settings.policy =
            AccessPolicy { levels: AccessLevels::new(["all"]), ..AccessPolicy::default() };
        change(&mut settings);
        let catalog = Catalog::build(&[BackendTools {
            name: &settings.name,
            descriptor: Arc::clone(&descriptor),
            server: None,
            policy: &settings.policy,
            task_wait: None,
        }]);
        let Descriptor { auth, auth_rules, .. } = &*descriptor;
        let authenticator =
            Authenticator::with_rules(auth.clone(), auth_rules.clone(), Box::new(credential));
        let confirm = vec![settings.confirm];
        let base = BaseUrl::parse(url).unwrap();
        let gate = Gate::new(Arc::new(catalog), confirm).with_bases(vec![base.clone()]);
        let backend =
            Backend::new(settings, base, authenticator).with_switch(descriptor.switch.clone());
        let backend = backend.with_base_path(descriptor.base_path.clone());
        let executor = Executor::new(vec![backend], files(home.path().join("files")))
            .with_filters(crate::jq::filters());
        Self { gate, executor, _home: home }
    }

    /// Calls a tool as a person who agrees to everything.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Value,
    ) -> Result<CallOutcome, CallError> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let pending = self.gate.check(tool, arguments).unwrap();
        let consent = CallConsent::given_for(pending.digest());
        let call = pending.admit_with(&consent).unwrap();
        self.executor.execute(call, &CallContext::default()).await
    }

    /// Calls a tool that answers JSON.
    pub(crate) async fn value(&self, tool: &str, arguments: Value) -> Value {
        match self.call(tool, arguments).await.unwrap().payload {
            AnswerPayload::Json(text) => text.value().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The names of the saved files.
    pub(crate) fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.executor.files().directory()) else {
            return Vec::new();
        };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}
