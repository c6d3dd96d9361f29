//! What is known to fail before a person is asked about it.

use dadl_descriptor::model::Tool;

use super::{CallError, Executor};
use crate::{call, gate::PendingCall, shares::ClientKey};

impl Executor {
    /// Refuses a call that sends nothing, whatever a person says: the jq program of the caller does
    /// not compile, a handle stands for no file, or the credential is not set. Other servers are not
    /// asked, and no other file is looked at: that waits for the person.
    ///
    /// # Errors
    ///
    /// What the call would end with.
    pub(crate) async fn check_before_asking(
        &self,
        pending: &PendingCall<'_>,
        client: &ClientKey,
    ) -> Result<(), CallError> {
        let (entry, arguments) = (pending.entry(), pending.arguments());
        self.check_filter(entry, arguments, client).await?;
        let Some(tool) = entry.tool() else { return self.check_handles(arguments).await };
        self.check_sent_handles(arguments).await?;
        self.check_credential(pending, tool).await
    }

    async fn check_credential(
        &self,
        pending: &PendingCall<'_>,
        tool: &Tool,
    ) -> Result<(), CallError> {
        let backend = self.backend(pending.entry())?;
        let (base, door) = (backend.base(), pending.door());
        let plan = call::plan_call(pending.entry(), tool, base, pending.arguments(), door)?;
        Ok(backend.check_credential(&plan).await?)
    }
}
