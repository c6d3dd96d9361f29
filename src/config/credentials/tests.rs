//! Where credentials are looked up, and where they go.

use std::{collections::BTreeSet, io::Write as _};

use super::{
    super::{Origin, SettingsProvenance, store::AccessToken},
    *,
};

fn backend(remap: &[(&str, &str)]) -> BackendSettings {
    let mut backend = BackendSettings::new("b", "b.dadl");
    backend.credentials =
        remap.iter().map(|(name, other)| ((*name).into(), (*other).into())).collect();
    backend
}

fn secret(value: &str) -> CredentialValue {
    SecretString::from(value).into()
}

/// The origin of the backend.
fn here() -> BTreeSet<Origin> {
    BTreeSet::from(["https://b.example".parse().unwrap()])
}

fn resolve(
    variables: &[(&str, &str)],
    backend: &BackendSettings,
    name: &str,
) -> Result<Option<String>, CredentialError> {
    let credentials = CredentialResolver::new(variables.iter().copied().collect());
    let name = CredentialName(name.to_owned());
    let origins = here();
    let recipient = CredentialRecipient { backend, origins: &origins };
    let found = credentials.resolve(recipient, &name)?;
    Ok(found.map(|secret| secret.expose_secret().to_owned()))
}

fn value(text: &str) -> Result<Option<String>, CredentialError> {
    Ok(Some(text.to_owned()))
}

#[test]
fn names_the_variable_after_the_credential() {
    let variables = [("CREDENTIAL_VAULT_STRIPE_KEY", "long"), ("CREDENTIAL_B_TOKEN", "short")];
    let plain = backend(&[]);
    assert_eq!(resolve(&variables, &plain, "vault/stripe-key"), value("long"));
    assert_eq!(resolve(&variables, &plain, "vault/b.token"), value("short"));
    assert_eq!(resolve(&variables, &plain, "B-Token"), value("short"));
    assert_eq!(resolve(&variables, &plain, "other"), Ok(None));
    assert_eq!(resolve(&[("CREDENTIAL_A", "")], &plain, "a"), Ok(None));
}

#[test]
fn a_replaced_name_is_the_only_one() {
    let variables =
        [("CREDENTIAL_TOKEN", "one"), ("CREDENTIAL_SECOND", "two"), ("GH_TOKEN", "three")];
    let name = "token";
    assert_eq!(resolve(&variables, &backend(&[("token", "second")]), name), value("two"));
    let prefixed = backend(&[("token", "CREDENTIAL_SECOND")]);
    assert_eq!(resolve(&variables, &prefixed, name), value("two"));
    assert_eq!(resolve(&variables, &backend(&[("token", "GH_TOKEN")]), name), value("three"));
    // Falling back to the credential of another account would be worse than none.
    assert_eq!(resolve(&variables, &backend(&[("token", "third")]), name), Ok(None));
}

#[test]
fn reads_files_without_their_last_line_break() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b" s3cret \r\n").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(resolve(&[("CREDENTIAL_A_FILE", path)], &backend(&[]), "a"), value(" s3cret "));
    let both = [("CREDENTIAL_A_FILE", path), ("CREDENTIAL_A", "x")];
    let error = resolve(&both, &backend(&[]), "a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "both CREDENTIAL_A and CREDENTIAL_A_FILE are set; unset one of them"
    );
}

#[test]
fn says_why_a_file_cannot_be_used() {
    let error = |path: &str| {
        let found = resolve(&[("CREDENTIAL_A_FILE", path)], &backend(&[]), "a");
        found.unwrap_err().to_string()
    };
    assert!(error("/no/such/file").starts_with("CREDENTIAL_A_FILE: /no/such/file cannot be"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(error(empty.path().to_str().unwrap()).ends_with("is empty"));
}

#[test]
fn a_missing_credential_names_its_variable() {
    let name = CredentialName("vault/stripe-key".to_owned());
    insta::assert_snapshot!(
        CredentialResolver::missing_hint(&backend(&[]), &name),
        @"credential `vault/stripe-key` is not set; set CREDENTIAL_VAULT_STRIPE_KEY or CREDENTIAL_VAULT_STRIPE_KEY_FILE, or run `dadl-mcp setup b --dadl b.dadl`"
    );
}

#[test]
fn the_store_comes_after_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().to_str().unwrap();
    let credentials = |variables: &[(&str, &str)]| {
        let environment: Environment = variables.iter().copied().collect();
        CredentialResolver::new(environment.with("XDG_STATE_HOME", state))
    };
    let (owner, origins) = (backend(&[]), here());
    let one = CredentialRecipient { backend: &owner, origins: &origins };
    let name = CredentialName("a".to_owned());
    let text = |found: Result<Option<SecretString>, CredentialError>| {
        found.unwrap().map(|secret| secret.expose_secret().to_owned())
    };
    let latest = |credentials: &CredentialResolver| {
        Ok(credentials.latest(one, &name)?.map(|latest| latest.value))
    };
    let bare = credentials(&[]);
    assert_eq!(text(bare.resolve(one, &name)), None);
    bare.replace(one, &name, &secret("stored")).unwrap();
    assert_eq!(text(bare.resolve(one, &name)).as_deref(), Some("stored"));
    assert!(bare.origin(one, &name).unwrap().unwrap().ends_with("credentials.json"));
    let set = credentials(&[("CREDENTIAL_A", "outside")]);
    assert_eq!(text(set.resolve(one, &name)).as_deref(), Some("outside"));
    // What the server gave instead of it counts, until the operator sets another.
    assert_eq!(text(latest(&set)).as_deref(), Some("outside"));
    set.replace(one, &name, &secret("newer")).unwrap();
    assert_eq!(text(latest(&set)).as_deref(), Some("newer"));
    let reset = credentials(&[("CREDENTIAL_A", "another")]);
    assert_eq!(text(latest(&reset)).as_deref(), Some("another"));
    assert_eq!(text(latest(&bare)).as_deref(), Some("newer"));
}

#[test]
fn a_draft_is_stored_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().to_str().unwrap();
    let environment: Environment = [("CREDENTIAL_A", "outside")].into_iter().collect();
    let credentials = CredentialResolver::new(environment.with("XDG_STATE_HOME", state));
    let (owner, origins) = (backend(&[]), here());
    let one = CredentialRecipient { backend: &owner, origins: &origins };
    let name = |text: &str| CredentialName(text.to_owned());
    let draft = credentials.draft();
    draft.set(&name("a"), "new-a".into());
    draft.set(&name("b"), "new-b".into());
    assert!(!draft.has_replaced());
    let ends = std::time::SystemTime::now();
    let access = AccessToken { token: "access-b".into(), ends };
    let credential = CredentialValue { value: "newer-b".into(), access: Some(access) };
    draft.replace(one, &name("b"), &credential).unwrap();
    assert!(draft.has_replaced() && !credentials.has_replaced());
    let text = |found: Option<SecretString>| found.unwrap().expose_secret().to_owned();
    let latest = |credentials: &CredentialResolver, text: &str| {
        credentials.latest(one, &name(text)).unwrap().map(|latest| latest.value)
    };
    assert_eq!(text(draft.resolve(one, &name("a")).unwrap()), "new-a");
    assert_eq!(text(latest(&draft, "b")), "newer-b");
    assert_eq!(text(latest(&credentials, "a")), "outside");
    assert!(!format!("{draft:?}").contains("new"), "{draft:?}");
    assert_eq!(draft.commit(one, StorePlace::File).unwrap().names, ["a", "b"]);
    assert_eq!(text(latest(&credentials, "a")), "new-a");
    assert_eq!(text(credentials.resolve(one, &name("a")).unwrap()), "outside");
    assert_eq!(text(credentials.resolve(one, &name("b")).unwrap()), "newer-b");
    let access = credentials.latest(one, &name("b")).unwrap().unwrap().access;
    assert_eq!(access.unwrap().token.expose_secret(), "access-b");
}

#[test]
fn debug_shows_no_value() {
    let credentials = CredentialResolver::new([("CREDENTIAL_A", "s3cret")].into_iter().collect());
    assert!(!format!("{credentials:?}").contains("s3cret"));
}

/// A backend in settings that somebody has written down, and where it goes.
fn written(origin: &str) -> (BackendSettings, BTreeSet<Origin>) {
    let mut backend = backend(&[]);
    backend.provenance = SettingsProvenance::Own;
    (backend, BTreeSet::from([origin.parse().unwrap()]))
}

/// Credentials whose store is below `home`, with one that the version before has stored.
fn with_old_store(home: &tempfile::TempDir) -> CredentialResolver {
    let folder = home.path().join("dadl-mcp");
    let environment: Environment =
        [("XDG_STATE_HOME", home.path().to_str().unwrap())].into_iter().collect();
    let credentials = CredentialResolver::new(environment);
    // It makes the directory as the program does.
    credentials.store().unwrap().check_writable().unwrap();
    let path = folder.join("credentials.json");
    std::fs::write(&path, r#"{"version":1,"backends":{"b":{"a":{"value":"old"}}}}"#).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    credentials
}

#[test]
fn what_was_stored_before_is_bound_by_the_first_who_wrote_it_down() {
    let home = tempfile::tempdir().unwrap();
    let credentials = with_old_store(&home);
    let name = CredentialName("a".to_owned());
    let (first, second) = (written("https://first.example"), written("https://second.example"));
    let resolve = |credentials: &CredentialResolver, owner: &BackendSettings, origins| {
        let recipient = CredentialRecipient { backend: owner, origins };
        let found = credentials.resolve(recipient, &name).map_err(|error| error.to_string());
        found.map(|found| found.unwrap().expose_secret().to_owned())
    };
    // Neither flags nor a draft bind anything.
    let flags = backend(&[]);
    assert!(resolve(&credentials, &flags, &first.1).unwrap_err().contains("flags do not decide"));
    let draft = credentials.draft();
    assert_eq!(resolve(&draft, &second.0, &second.1).as_deref(), Ok("old"));
    assert_eq!(resolve(&credentials, &first.0, &first.1).as_deref(), Ok("old"));
    let error = resolve(&credentials, &second.0, &second.1).unwrap_err();
    assert!(error.contains("goes to https://first.example only, not to https://second.example"));
    assert_eq!(resolve(&credentials, &flags, &first.1).as_deref(), Ok("old"));
    // A draft is somebody's consent when it is stored, and not before.
    let recipient = CredentialRecipient { backend: &second.0, origins: &second.1 };
    draft.commit(recipient, StorePlace::File).unwrap();
    assert_eq!(resolve(&credentials, &second.0, &second.1).as_deref(), Ok("old"));
    assert!(resolve(&credentials, &first.0, &first.1).is_err());
}

#[test]
fn what_is_stored_elsewhere_is_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let credentials = with_old_store(&home);
    let name = CredentialName("a".to_owned());
    let (first, second) = (written("https://first.example"), written("https://second.example"));
    let here = CredentialRecipient { backend: &first.0, origins: &first.1 };
    let there = CredentialRecipient { backend: &second.0, origins: &second.1 };
    credentials.replace(here, &name, &secret("next")).unwrap();
    for refused in [
        credentials.check_replaceable(there, &name),
        credentials.replace(there, &name, &secret("stolen")),
    ] {
        assert!(matches!(refused, Err(CredentialError::Binding(_))), "{refused:?}");
    }
    let found = credentials.resolve(here, &name).unwrap().unwrap();
    assert_eq!(found.expose_secret(), "next");
    // One that came instead of a value that the environment has no more is of no use to anybody.
    let state = home.path().to_str().unwrap();
    let set = |value: &str| {
        CredentialResolver::new(
            [("XDG_STATE_HOME", state), ("CREDENTIAL_A", value)].into_iter().collect(),
        )
    };
    set("one").replace(here, &name, &secret("after-one")).unwrap();
    assert!(set("one").replace(there, &name, &secret("stolen")).is_err());
    assert!(set("one").latest(there, &name).is_err());
    let found = set("two").latest(there, &name).unwrap().unwrap().value;
    assert_eq!(found.expose_secret(), "two");
    set("two").replace(there, &name, &secret("after-two")).unwrap();
    let found = set("two").latest(there, &name).unwrap().unwrap().value;
    assert_eq!(found.expose_secret(), "after-two");
}
