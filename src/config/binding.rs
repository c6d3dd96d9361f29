//! Which stored credential may go where.
//!
//! What is stored is bound to the origins that a person has seen in `setup`, so that neither
//! another URL nor another descriptor of the same name gets it. Entries of before know nothing of
//! that: settings that somebody has written down bind them, once, and flags do not.

use std::collections::BTreeSet;

use super::{BackendSettings, Origin, SettingsProvenance};

/// Who asks for a credential, and where it would go.
#[derive(Debug, Clone, Copy)]
pub struct CredentialRecipient<'settings> {
    /// The backend.
    pub backend: &'settings BackendSettings,
    /// Every origin to which the credential, or what a login makes of it, is sent.
    pub origins: &'settings BTreeSet<Origin>,
}

/// Why a stored credential does not go to a backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// It goes elsewhere.
    #[error(
        "the stored credential `{name}` of backend \"{backend}\" goes to {bound} only, not to \
         {wanted}; if it should, run `{command}`"
    )]
    Elsewhere {
        /// The name of the backend.
        backend: String,
        /// The name of the credential.
        name: String,
        /// Where it goes.
        bound: String,
        /// Where this backend would send it.
        wanted: String,
        /// The command in which a person can agree.
        command: String,
    },
    /// It was stored by a version that did not say where it goes.
    #[error(
        "the stored credential `{name}` of backend \"{backend}\" does not say yet where it may \
         go, and flags do not decide that; run `{command}` once"
    )]
    Unbound {
        /// The name of the backend.
        backend: String,
        /// The name of the credential.
        name: String,
        /// The command in which a person can agree.
        command: String,
    },
}

/// How a stored credential that may go to a recipient is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingStatus {
    /// To all of its origins.
    Here,
    /// Not yet.
    NotYet,
}

impl CredentialRecipient<'_> {
    /// Returns whether the credential `name`, stored for `bound`, may go to this recipient.
    ///
    /// # Errors
    ///
    /// See [`BindingError`].
    pub(super) fn check(
        &self,
        name: &str,
        bound: Option<&BTreeSet<Origin>>,
    ) -> Result<BindingStatus, BindingError> {
        let Self { backend, origins } = self;
        let (name, command) = (name.to_owned(), backend.setup_command());
        let Some(bound) = bound else {
            // A recipient that goes nowhere is a mistake of ours.
            if backend.provenance != SettingsProvenance::Flags && !origins.is_empty() {
                return Ok(BindingStatus::NotYet);
            }
            return Err(BindingError::Unbound { backend: backend.name.clone(), name, command });
        };
        if !origins.is_empty() && origins.is_subset(bound) {
            return Ok(BindingStatus::Here);
        }
        Err(BindingError::Elsewhere {
            backend: backend.name.clone(),
            name,
            bound: join_origins(bound),
            wanted: join_origins(origins.difference(bound)),
            command,
        })
    }
}

/// Writes origins for people.
pub(crate) fn join_origins<'origins>(
    origins: impl IntoIterator<Item = &'origins Origin>,
) -> String {
    let texts: Vec<&str> = origins.into_iter().map(Origin::as_str).collect();
    match texts.as_slice() {
        [] => "nowhere".to_owned(),
        texts => texts.join(" and "),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(texts: &[&str]) -> BTreeSet<Origin> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn check(
        provenance: SettingsProvenance,
        wanted: &[&str],
        bound: Option<&[&str]>,
    ) -> Result<BindingStatus, BindingError> {
        let mut backend = BackendSettings::new("shop", "shop");
        backend.provenance = provenance;
        let recipient = CredentialRecipient { backend: &backend, origins: &origins(wanted) };
        let bound = bound.map(origins);
        recipient.check("key", bound.as_ref())
    }

    #[test]
    fn what_is_bound_goes_nowhere_else() {
        let (a, b) = ("https://a.example", "https://b.example");
        for provenance in [
            SettingsProvenance::Flags,
            SettingsProvenance::Own,
            SettingsProvenance::Named("x".into()),
        ] {
            assert_eq!(check(provenance.clone(), &[a], Some(&[a])), Ok(BindingStatus::Here));
            assert_eq!(check(provenance.clone(), &[a], Some(&[a, b])), Ok(BindingStatus::Here));
            assert!(check(provenance.clone(), &[a, b], Some(&[a])).is_err());
            assert!(check(provenance.clone(), &[], Some(&[a])).is_err());
            assert!(check(provenance, &[a], Some(&[])).is_err());
        }
        assert_eq!(
            check(SettingsProvenance::Own, &[a, b], Some(&[a])).unwrap_err().to_string(),
            "the stored credential `key` of backend \"shop\" goes to https://a.example only, not \
             to https://b.example; if it should, run `dadl-mcp setup shop`"
        );
    }

    #[test]
    fn what_is_bound_to_nothing_waits_for_somebody_who_wrote_it_down() {
        let a = "https://a.example";
        assert_eq!(check(SettingsProvenance::Own, &[a], None), Ok(BindingStatus::NotYet));
        assert_eq!(
            check(SettingsProvenance::Named("x".into()), &[a], None),
            Ok(BindingStatus::NotYet)
        );
        assert!(check(SettingsProvenance::Own, &[], None).is_err());
        assert_eq!(
            check(SettingsProvenance::Flags, &[a], None).unwrap_err().to_string(),
            "the stored credential `key` of backend \"shop\" does not say yet where it may go, \
             and flags do not decide that; run `dadl-mcp setup shop --dadl shop` once"
        );
    }

    proptest! {
        #[test]
        fn every_origin_has_to_be_agreed_to(
            wanted in proptest::collection::btree_set(0_u16..6, 1..5),
            bound in proptest::collection::btree_set(0_u16..6, 0..5),
        ) {
            let texts = |ports: &BTreeSet<u16>| -> Vec<String> {
                ports.iter().map(|port| format!("http://h:{}", 1000 + port)).collect()
            };
            let (wanted_texts, bound_texts) = (texts(&wanted), texts(&bound));
            let wanted_texts: Vec<&str> = wanted_texts.iter().map(String::as_str).collect();
            let bound_texts: Vec<&str> = bound_texts.iter().map(String::as_str).collect();
            let checked = check(SettingsProvenance::Flags, &wanted_texts, Some(&bound_texts));
            prop_assert_eq!(checked.is_ok(), wanted.iter().all(|port| bound.contains(port)));
        }
    }
}
