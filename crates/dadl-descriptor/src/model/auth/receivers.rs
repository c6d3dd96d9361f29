//! Who gets a credential, as far as a descriptor decides.

use url::Url;

use crate::model::{AuthScheme, CredentialName, auth::login::OAuth2Grant};

/// Who gets a credential, or what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialReceiver<'auth> {
    /// The API itself gets it.
    Api,
    /// The API gets the access token that it gives.
    ApiByToken,
    /// The page where a person agrees.
    Authorize(&'auth Url),
    /// The token endpoint.
    Token(&'auth Url),
    /// The token endpoint that the credential itself names: that of a service account.
    TokenOfItsOwn,
}

impl AuthScheme {
    /// Returns who gets the credential `name`; nobody when it is none of
    /// [`credentials`](Self::credentials).
    pub fn receivers(&self, name: &CredentialName) -> Vec<CredentialReceiver<'_>> {
        if !self.credentials().contains(&name) {
            return Vec::new();
        }
        let Self::OAuth2(oauth2) = self else { return vec![CredentialReceiver::Api] };
        let mut receivers = vec![match &oauth2.token_url {
            Some(url) => CredentialReceiver::Token(url),
            None => CredentialReceiver::TokenOfItsOwn,
        }];
        // The client identifier is in the address that the browser opens.
        if let OAuth2Grant::RefreshToken { client_id, consent: Some(consent), .. } = &oauth2.grant
            && client_id == name
        {
            receivers.push(CredentialReceiver::Authorize(&consent.authorize_url));
        }
        receivers.push(CredentialReceiver::ApiByToken);
        receivers
    }
}
