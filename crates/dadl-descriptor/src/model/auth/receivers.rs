//! Who gets a credential, as far as a descriptor decides.

use url::Url;

use crate::model::{AuthScheme, CredentialName, auth::login::OAuth2Grant};

/// Who gets a credential, or what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver<'auth> {
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
    pub fn receivers(&self, name: &CredentialName) -> Vec<Receiver<'_>> {
        if !self.credentials().contains(&name) {
            return Vec::new();
        }
        let Self::OAuth2(oauth2) = self else { return vec![Receiver::Api] };
        let mut receivers = vec![match &oauth2.token_url {
            Some(url) => Receiver::Token(url),
            None => Receiver::TokenOfItsOwn,
        }];
        // The client identifier is in the address that the browser opens.
        if let OAuth2Grant::RefreshToken { client_id, consent: Some(consent), .. } = &oauth2.grant
            && client_id == name
        {
            receivers.push(Receiver::Authorize(&consent.authorize_url));
        }
        receivers.push(Receiver::ApiByToken);
        receivers
    }
}
