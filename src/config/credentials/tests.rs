//! Where credentials are looked up, and where they go.

use std::{collections::BTreeSet, io::Write as _};

use super::{super::Origin, *};

fn backend(remap: &[(&str, &str)]) -> BackendSettings {
    let mut backend = BackendSettings::new("b", "b.dadl");
    backend.credentials =
        remap.iter().map(|(name, other)| ((*name).into(), (*other).into())).collect();
    backend
}

/// The origin of the backend.
fn here() -> BTreeSet<Origin> {
    BTreeSet::from(["https://b.example".parse().unwrap()])
}

fn resolve(
    variables: &[(&str, &str)],
    backend: &BackendSettings,
    name: &str,
) -> Result<Option<String>, String> {
    let credentials = Credentials::new(variables.iter().copied().collect());
    let name = CredentialName(name.to_owned());
    let origins = here();
    let recipient = Recipient { backend, origins: &origins };
    let found = credentials.resolve(recipient, &name).map_err(|error| error.to_string())?;
    Ok(found.map(|secret| secret.expose_secret().to_owned()))
}

fn value(text: &str) -> Result<Option<String>, String> {
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
    assert_eq!(error, "both CREDENTIAL_A and CREDENTIAL_A_FILE are set; unset one of them");
}

#[test]
fn says_why_a_file_cannot_be_used() {
    let error =
        |path: &str| resolve(&[("CREDENTIAL_A_FILE", path)], &backend(&[]), "a").unwrap_err();
    assert!(error("/no/such/file").starts_with("CREDENTIAL_A_FILE: /no/such/file cannot be"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(error(empty.path().to_str().unwrap()).ends_with("is empty"));
}

#[test]
fn a_missing_credential_names_its_variable() {
    let name = CredentialName("vault/stripe-key".to_owned());
    insta::assert_snapshot!(
        Credentials::missing(&backend(&[]), &name),
        @"credential `vault/stripe-key` is not set; set CREDENTIAL_VAULT_STRIPE_KEY or CREDENTIAL_VAULT_STRIPE_KEY_FILE, or run `dadl-mcp setup b`"
    );
}

#[test]
fn the_store_comes_after_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().to_str().unwrap();
    let credentials = |variables: &[(&str, &str)]| {
        let environment: Environment = variables.iter().copied().collect();
        Credentials::new(environment.with("XDG_STATE_HOME", state))
    };
    let (owner, origins) = (backend(&[]), here());
    let one = Recipient { backend: &owner, origins: &origins };
    let name = CredentialName("a".to_owned());
    let text = |found: Result<Option<SecretString>, CredentialError>| {
        found.unwrap().map(|secret| secret.expose_secret().to_owned())
    };
    let latest =
        |credentials: &Credentials| Ok(credentials.latest(one, &name)?.map(|(secret, _)| secret));
    let bare = credentials(&[]);
    assert_eq!(text(bare.resolve(one, &name)), None);
    bare.replace(one, &name, &"stored".into(), None).unwrap();
    assert_eq!(text(bare.resolve(one, &name)).as_deref(), Some("stored"));
    assert!(bare.origin(one, &name).unwrap().unwrap().ends_with("credentials.json"));
    let set = credentials(&[("CREDENTIAL_A", "outside")]);
    assert_eq!(text(set.resolve(one, &name)).as_deref(), Some("outside"));
    // What the server gave instead of it counts, until the operator sets another.
    assert_eq!(text(latest(&set)).as_deref(), Some("outside"));
    set.replace(one, &name, &"newer".into(), None).unwrap();
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
    let credentials = Credentials::new(environment.with("XDG_STATE_HOME", state));
    let (owner, origins) = (backend(&[]), here());
    let one = Recipient { backend: &owner, origins: &origins };
    let name = |text: &str| CredentialName(text.to_owned());
    let draft = credentials.draft();
    draft.set(&name("a"), "new-a".into());
    draft.set(&name("b"), "new-b".into());
    assert!(!draft.has_replaced());
    let ends = std::time::SystemTime::now();
    let access = Access { token: "access-b".into(), ends };
    draft.replace(one, &name("b"), &"newer-b".into(), Some(&access)).unwrap();
    assert!(draft.has_replaced() && !credentials.has_replaced());
    let text = |found: Option<SecretString>| found.unwrap().expose_secret().to_owned();
    let latest = |credentials: &Credentials, text: &str| {
        credentials.latest(one, &name(text)).unwrap().map(|(secret, _)| secret)
    };
    assert_eq!(text(draft.resolve(one, &name("a")).unwrap()), "new-a");
    assert_eq!(text(latest(&draft, "b")), "newer-b");
    assert_eq!(text(latest(&credentials, "a")), "outside");
    assert!(!format!("{draft:?}").contains("new"), "{draft:?}");
    assert_eq!(draft.commit(one, Place::File).unwrap().names, ["a", "b"]);
    assert_eq!(text(latest(&credentials, "a")), "new-a");
    assert_eq!(text(credentials.resolve(one, &name("a")).unwrap()), "outside");
    assert_eq!(text(credentials.resolve(one, &name("b")).unwrap()), "newer-b");
    let (_, access) = credentials.latest(one, &name("b")).unwrap().unwrap();
    assert_eq!(access.unwrap().token.expose_secret(), "access-b");
}

#[test]
fn debug_shows_no_value() {
    let credentials = Credentials::new([("CREDENTIAL_A", "s3cret")].into_iter().collect());
    assert!(!format!("{credentials:?}").contains("s3cret"));
}
