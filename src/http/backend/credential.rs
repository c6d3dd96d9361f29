//! The credential that the requests of a backend carry.

use std::sync::Arc;

use super::{Backend, BackendOrigin, CredentialUnready, ExchangeError};
use crate::{
    call::{CallChannel, CallPlan},
    http::{auth::AppliedCredential, client::ClientPurpose, login::LoginSite},
};

impl Backend {
    /// Returns whether every request can go without a credential.
    pub(crate) fn is_credential_optional(&self) -> bool {
        self.authenticator.is_optional()
    }

    /// Obtains what requests carry, and sends none.
    ///
    /// # Errors
    ///
    /// A credential is missing, or a login failed.
    pub async fn log_in(&self) -> Result<(), ExchangeError> {
        let is_optional = self.is_credential_optional();
        self.applied(self.base.as_url().path(), CallChannel::Terminal, is_optional).await.map(drop)
    }

    /// Finds out whether the credential that `plan` carries is set, if it carries one.
    ///
    /// # Errors
    ///
    /// It is not, or `plan` goes nowhere.
    pub(crate) async fn check_credential(&self, plan: &CallPlan) -> Result<(), ExchangeError> {
        if !self.place(plan)?.has_credential {
            return Ok(());
        }
        let set = self.authenticator.check_set(plan.url.path(), plan.credential_optional).await;
        set.map_err(|error| ExchangeError::Login(self.settings.name.clone(), error.into()))
    }

    /// Returns the line that stands for the credential of a request, which has one where it goes.
    pub(crate) fn masked_credential(&self, plan: &CallPlan) -> Option<String> {
        let has_credential = self.place(plan).is_ok_and(|place| place.has_credential);
        self.authenticator.masked().filter(|_| has_credential)
    }

    /// Returns what a request to `place` carries of the credential.
    pub(super) async fn applied_to(
        &self,
        place: &BackendOrigin,
        plan: &CallPlan,
    ) -> Result<Arc<AppliedCredential>, ExchangeError> {
        if !place.has_credential {
            return Ok(Arc::default());
        }
        self.applied(plan.url.path(), plan.door, plan.credential_optional).await
    }

    /// Returns the credential; a login is made with the client of this backend.
    async fn applied(
        &self,
        path: &str,
        door: CallChannel,
        is_optional: bool,
    ) -> Result<Arc<AppliedCredential>, ExchangeError> {
        let site = || {
            let client = self
                .client(&self.own, ClientPurpose::Answers)
                .map_err(CredentialUnready::Client)?;
            let (settings, base) = (self.settings.clone(), self.base.clone());
            let (guard, marks) = (self.guard.clone(), self.marks(door).to_vec());
            let missing_path = self.missing_path().map(str::to_owned);
            Ok(LoginSite { settings, base, client, guard, missing_path, marks })
        };
        self.authenticator.applied(path, is_optional, site).await.map_err(|error| match error {
            CredentialUnready::Client(error) => error,
            CredentialUnready::Login(error) => {
                ExchangeError::Login(self.settings.name.clone(), error.into())
            }
        })
    }
}
