//! The store: what it keeps, where, and what happens when many use it.

use std::time::{Duration, UNIX_EPOCH};

use super::{
    super::keyring::{KeyringError, MemoryKeyring},
    *,
};

fn file_store(path: PathBuf) -> CredentialStore {
    // Nothing that these tests do may ask it.
    let broken = Some(KeyringError::Failed("it was asked".to_owned())).into();
    CredentialStore::new(path, Arc::new(MemoryKeyring { broken, ..MemoryKeyring::default() }))
}

fn here() -> BTreeSet<Origin> {
    BTreeSet::from(["https://a.example".parse().unwrap()])
}

fn stored(value: &str) -> StoredCredential {
    StoredCredential {
        origins: Some(here()),
        ..CredentialValue::from(SecretString::from(value)).into()
    }
}

fn value(store: &CredentialStore, backend: &str, name: &str) -> Option<String> {
    let entry = store.entry(backend, name).unwrap();
    entry.map(|entry| entry.credential.value.expose_secret().to_owned())
}

#[test]
fn keeps_what_is_saved_by_backend_and_name() {
    let home = tempfile::tempdir().unwrap();
    let store = file_store(home.path().join("state/credentials.json"));
    assert_eq!(value(&store, "a", "x"), None);
    store.save("a", &[("x", stored("1")), ("y", stored("2"))]).unwrap();
    store.save("b", &[("x", stored("3"))]).unwrap();
    store.save("a", &[("x", stored("4"))]).unwrap();
    assert_eq!(value(&store, "a", "x").as_deref(), Some("4"));
    assert_eq!(value(&store, "a", "y").as_deref(), Some("2"));
    assert_eq!(value(&store, "b", "x").as_deref(), Some("3"));
    let files = fs::read_dir(home.path().join("state")).unwrap();
    let left: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(!format!("{:?}", store.entry("a", "x")).contains('4'));
}

#[cfg(unix)]
#[test]
fn a_store_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let store = file_store(home.path().join("credentials.json"));
    store.save("a", &[("x", stored("1"))]).unwrap();
    let mode = fs::metadata(store.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(store.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = store.entry("a", "x").unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    assert!(store.save("a", &[("x", stored("2"))]).is_err());
    assert!(store.check_writable().is_err());
}

#[test]
fn a_damaged_store_is_left_alone_and_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let store = file_store(home.path().join("credentials.json"));
    create_private(store.path()).unwrap().write_all(b"{\"s3cret\"").unwrap();
    let error = store.save("a", &[("x", stored("1"))]).unwrap_err().to_string();
    assert!(error.contains("is damaged") && !error.contains("s3cret"), "{error}");
    assert_eq!(fs::read(store.path()).unwrap(), b"{\"s3cret\"");
}

#[test]
fn one_process_at_a_time_renews_a_credential() {
    let home = tempfile::tempdir().unwrap();
    let store = file_store(home.path().join("credentials.json"));
    let held = store.try_lock("a", "x").unwrap();
    assert!(held.is_some());
    assert!(store.try_lock("a", "x").unwrap().is_none());
    assert!(store.try_lock("a", "y").unwrap().is_some());
    drop(held);
    assert!(store.try_lock("a", "x").unwrap().is_some());
}

#[test]
fn nothing_is_lost_when_many_write() {
    let home = tempfile::tempdir().unwrap();
    let store = file_store(home.path().join("state/credentials.json"));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..5 {
                    store.check_writable().unwrap();
                    let name = format!("{writer}-{number}");
                    store.save("a", &[(&name, stored(&name))]).unwrap();
                }
            });
        }
    });
    for name in (0..8).flat_map(|writer| (0..5).map(move |number| format!("{writer}-{number}"))) {
        assert_eq!(value(&store, "a", &name), Some(name));
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let store = file_store(home.path().join("file/credentials.json"));
    let error = store.check_writable().unwrap_err().to_string();
    assert!(error.contains("file/credentials.json cannot be used"), "{error}");
}

/// A store whose entries of backend `a` are in a keyring.
struct Bench {
    keyring: Arc<MemoryKeyring>,
    store: CredentialStore,
    _home: tempfile::TempDir,
}

impl Bench {
    fn new(room: Option<usize>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let keyring = Arc::new(MemoryKeyring { room, ..MemoryKeyring::default() });
        let store = CredentialStore::new(home.path().join("credentials.json"), keyring.clone());
        let bench = Self { keyring, store, _home: home };
        bench.move_to(StorePlace::Keyring, &[("x", stored("s3cret"))]).unwrap();
        bench
    }

    /// The store as another process sees it.
    fn other(&self) -> CredentialStore {
        CredentialStore::new(self.store.path().to_owned(), self.keyring.clone())
    }

    fn move_to(
        &self,
        place: StorePlace,
        entries: &[(&str, StoredCredential)],
    ) -> Result<Option<KeyringError>, StoreError> {
        self.store.save_at(place, "a", entries, OtherEntries::Keep)
    }

    fn file(&self) -> String {
        fs::read_to_string(self.store.path()).unwrap()
    }

    fn is(&self, error: Option<KeyringError>) {
        *self.keyring.broken.lock().unwrap() = error;
    }
}

#[test]
fn a_keyring_holds_all_entries_of_a_backend_and_the_file_none() {
    let bench = Bench::new(None);
    let store = &bench.store;
    store.save("b", &[("x", stored("in-the-file"))]).unwrap();
    store.save("a", &[("y", stored("2"))]).unwrap();
    assert_eq!(value(store, "a", "x").as_deref(), Some("s3cret"));
    assert_eq!(value(&bench.other(), "a", "y").as_deref(), Some("2"));
    assert_eq!(value(store, "b", "x").as_deref(), Some("in-the-file"));
    assert_eq!(store.place("a").unwrap(), Some(StorePlace::Keyring));
    assert_eq!(store.place("b").unwrap(), Some(StorePlace::File));
    assert_eq!(store.place("c").unwrap(), None);
    assert!(bench.file().contains("in-the-file") && !bench.file().contains("s3cret"));
    // An older version must not take this for a store without `a`.
    assert!(bench.file().contains("\"version\": 3"), "{}", bench.file());
    let account = format!("a ({})", store.path().display());
    assert_eq!(bench.keyring.accounts(), [account]);
    assert!(!format!("{store:?}").contains("s3cret"), "{store:?}");
}

#[test]
fn a_keyring_is_asked_once_until_somebody_changes_the_item() {
    let bench = Bench::new(None);
    let other = bench.other();
    assert!(other.may_wait("a", StoreUse::LookUp) && !other.may_wait("b", StoreUse::Replace));
    assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
    assert!(!other.may_wait("a", StoreUse::LookUp) && other.may_wait("a", StoreUse::Replace));
    let count = bench.keyring.count();
    assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
    assert_eq!(value(&other, "b", "x"), None);
    assert_eq!(bench.keyring.count(), count);
    bench.store.save("a", &[("x", stored("newer"))]).unwrap();
    assert_eq!(value(&other, "a", "x").as_deref(), Some("newer"));
}

#[test]
fn a_keyring_that_fails_is_an_error_that_says_what_to_do() {
    let bench = Bench::new(None);
    let other = bench.other();
    let cases = [
        (KeyringError::Locked, "is locked", "; unlock it, or `dadl-mcp setup a --store file`"),
        (KeyringError::Timeout(Duration::from_secs(45)), "within 45 s", "; unlock it, or"),
        (KeyringError::Absent("no bus".to_owned()), "(no bus)", "; start dadl-mcp in"),
        (KeyringError::Failed("x".to_owned()), "failed: x", "; `dadl-mcp setup a --store"),
    ];
    for (error, what, next) in cases {
        bench.is(Some(error));
        for text in [
            other.entry("a", "x").unwrap_err().to_string(),
            other.save("a", &[("x", stored("1"))]).unwrap_err().to_string(),
        ] {
            let start = "the credentials of backend \"a\" are in the keyring (";
            assert!(text.starts_with(start), "{text}");
            assert!(text.contains(what) && text.contains(next), "{text}");
        }
    }
    // Another backend has nothing there.
    other.save("b", &[("x", stored("1"))]).unwrap();
    bench.is(None);
    assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
    bench.keyring.remove(&bench.keyring.accounts()[0]).unwrap();
    let text = bench.other().entry("a", "x").unwrap_err().to_string();
    assert!(text.ends_with("their item there is gone; run `dadl-mcp setup a`"), "{text}");
}

#[test]
fn a_write_that_fails_leaves_the_item_of_before() {
    let bench = Bench::new(None);
    let other = bench.other();
    assert_eq!(value(&bench.store, "a", "x").as_deref(), Some("s3cret"));
    bench.is(Some(KeyringError::Locked));
    assert!(bench.store.save("a", &[("x", stored("lost"))]).is_err());
    bench.is(None);
    for store in [&bench.store, &other] {
        assert_eq!(value(store, "a", "x").as_deref(), Some("s3cret"));
    }
    bench.store.save("a", &[("x", stored("kept"))]).unwrap();
    assert_eq!(value(&other, "a", "x").as_deref(), Some("kept"));
}

#[test]
fn entries_move_between_the_file_and_the_keyring() {
    let bench = Bench::new(None);
    let (store, other) = (&bench.store, bench.other());
    assert_eq!(bench.move_to(StorePlace::File, &[("y", stored("2"))]), Ok(None));
    assert!(bench.keyring.accounts().is_empty());
    assert!(bench.file().contains("s3cret") && bench.file().contains("\"version\": 3"));
    assert_eq!(value(&other, "a", "x").as_deref(), Some("s3cret"));
    assert_eq!(bench.move_to(StorePlace::Keyring, &[]), Ok(None));
    assert!(!bench.file().contains("s3cret"));
    for (name, expected) in [("x", "s3cret"), ("y", "2")] {
        assert_eq!(value(store, "a", name).as_deref(), Some(expected));
        assert_eq!(value(&other, "a", name).as_deref(), Some(expected));
    }
    bench.is(Some(KeyringError::Locked));
    // Nothing is lost unless that is asked for.
    let file = bench.file();
    assert!(bench.other().save_at(StorePlace::File, "a", &[], OtherEntries::Keep).is_err());
    assert_eq!(bench.file(), file);
    let left =
        bench.other().save_at(StorePlace::File, "a", &[("x", stored("new"))], OtherEntries::Forget);
    assert_eq!(left, Ok(Some(KeyringError::Locked)));
    assert_eq!(value(store, "a", "x").as_deref(), Some("new"));
    assert_eq!(value(store, "a", "y"), None);
    // A move into a keyring that does not take it changes nothing.
    let text = bench.move_to(StorePlace::Keyring, &[]).unwrap_err().to_string();
    assert!(text.contains("is locked"), "{text}");
    assert_eq!(value(store, "a", "x").as_deref(), Some("new"));
}

#[test]
fn access_tokens_give_way_where_an_item_has_little_room() {
    let bench = Bench::new(Some(300));
    let access = AccessToken { token: "t".repeat(200).into(), ends: UNIX_EPOCH };
    let credential = CredentialValue { value: "refresh".into(), access: Some(access) };
    let entry = StoredCredential { credential, ..stored("refresh") };
    bench.store.save("a", &[("x", entry)]).unwrap();
    let found = bench.other().entry("a", "x").unwrap().unwrap();
    assert!(found.credential.access.is_none());
    assert_eq!(found.credential.value.expose_secret(), "refresh");
    let text = bench.store.save("a", &[("y", stored(&"v".repeat(400)))]).unwrap_err();
    assert!(text.to_string().contains("has room for 300 bytes in an item"), "{text}");
    assert_eq!(value(&bench.store, "a", "x").as_deref(), Some("refresh"));
}

#[test]
fn nothing_is_lost_when_many_write_to_a_keyring_and_it_moves() {
    let bench = Bench::new(None);
    std::thread::scope(|scope| {
        for writer in 0..6 {
            let store = bench.other();
            scope.spawn(move || {
                for number in 0..5 {
                    let name = format!("{writer}-{number}");
                    store.save("a", &[(&name, stored(&name))]).unwrap();
                    assert_eq!(value(&store, "a", &name), Some(name));
                }
            });
        }
        let bench = &bench;
        scope.spawn(move || {
            for place in
                [StorePlace::File, StorePlace::Keyring, StorePlace::File, StorePlace::Keyring]
            {
                bench.move_to(place, &[]).unwrap();
            }
        });
    });
    for name in (0..6).flat_map(|writer| (0..5).map(move |number| format!("{writer}-{number}"))) {
        assert_eq!(value(&bench.store, "a", &name), Some(name));
    }
}

#[test]
fn a_probe_leaves_nothing_behind() {
    let bench = Bench::new(None);
    bench.store.check_keyring().unwrap();
    assert_eq!(bench.keyring.accounts().len(), 1);
    bench.is(Some(KeyringError::Absent("no bus".to_owned())));
    let text = bench.store.check_keyring().unwrap_err().to_string();
    assert!(text.contains("cannot be reached (no bus)"), "{text}");
}

/// A store as the version before wrote it, with one entry and its access token.
const OLD: &str = r#"{
  "version": 1,
  "backends": {
    "a": {
      "x": { "value": "s3cret", "replaces": "print", "access": { "token": "t", "ends": 9 } },
      "y": { "value": "2" }
    },
    "b": { "x": { "value": "3" } }
  }
}"#;

#[test]
fn a_store_of_the_version_before_is_read_and_bound_once() {
    let home = tempfile::tempdir().unwrap();
    let store = file_store(home.path().join("credentials.json"));
    create_private(store.path()).unwrap().write_all(OLD.as_bytes()).unwrap();
    assert_eq!(store.entry("a", "x").unwrap().unwrap().origins, None);
    // Reading changes nothing.
    assert_eq!(fs::read_to_string(store.path()).unwrap(), OLD);
    store.bind("a", &here()).unwrap();
    let other: BTreeSet<Origin> = BTreeSet::from(["https://other.example".parse().unwrap()]);
    store.bind("a", &other).unwrap();
    for (name, text) in [("x", "s3cret"), ("y", "2")] {
        let entry = store.entry("a", name).unwrap().unwrap();
        assert_eq!(entry.origins, Some(here()));
        assert_eq!(entry.credential.value.expose_secret(), text);
    }
    let entry = store.entry("a", "x").unwrap().unwrap();
    assert_eq!(entry.replaces.as_deref(), Some("print"));
    assert_eq!(entry.credential.access.unwrap().token.expose_secret(), "t");
    // What belongs to others waits for them.
    assert_eq!(store.entry("b", "x").unwrap().unwrap().origins, None);
    // The version before refuses what it would take for a store without origins.
    assert!(fs::read_to_string(store.path()).unwrap().contains("\"version\": 3"));
}

#[test]
fn an_item_of_the_version_before_is_read_and_bound_once() {
    let home = tempfile::tempdir().unwrap();
    let keyring = Arc::new(MemoryKeyring::default());
    let store = CredentialStore::new(home.path().join("credentials.json"), keyring.clone());
    let note = r#"{"version": 2, "backends": {},
        "keyring": {"a": {"account": "a (file)", "revision": "r"}}}"#;
    create_private(store.path()).unwrap().write_all(note.as_bytes()).unwrap();
    let item = r#"{"revision": "r", "entries": {"x": {"value": "s3cret"}}}"#;
    keyring.set("a (file)", &item.into()).unwrap();
    assert_eq!(value(&store, "a", "x").as_deref(), Some("s3cret"));
    store.bind("a", &here()).unwrap();
    let other = CredentialStore::new(store.path().to_owned(), keyring.clone());
    let entry = other.entry("a", "x").unwrap().unwrap();
    assert_eq!((entry.credential.value.expose_secret(), entry.origins), ("s3cret", Some(here())));
    assert_eq!(keyring.accounts(), ["a (file)"]);
    let file = fs::read_to_string(store.path()).unwrap();
    assert!(file.contains("\"version\": 3") && !file.contains("s3cret"), "{file}");
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let store = file_store(home.path().join("credentials.json"));
    let later = OLD.replace("\"version\": 1", "\"version\": 4");
    create_private(store.path()).unwrap().write_all(later.as_bytes()).unwrap();
    for error in [
        store.entry("a", "x").unwrap_err(),
        store.save("a", &[("x", stored("1"))]).unwrap_err(),
        store.bind("a", &here()).unwrap_err(),
        store.forget("a").unwrap_err(),
        store.list().unwrap_err(),
    ] {
        assert!(error.to_string().ends_with("was written by a newer version of dadl-mcp"));
    }
    assert_eq!(fs::read_to_string(store.path()).unwrap(), later);
}

#[test]
fn what_is_stored_is_listed_and_forgotten() {
    let bench = Bench::new(None);
    bench.store.save("b", &[("y", stored("2")), ("x", stored("3"))]).unwrap();
    let all = bench.other().list().unwrap();
    let shown: Vec<_> = all
        .iter()
        .map(|listed| {
            let names: Vec<&str> =
                listed.entries.as_ref().unwrap().keys().map(String::as_str).collect();
            (listed.backend.as_str(), listed.place, names.join(","))
        })
        .collect();
    let expected =
        [("a", StorePlace::Keyring, "x".to_owned()), ("b", StorePlace::File, "x,y".to_owned())];
    assert_eq!(shown, expected);
    assert!(!format!("{all:?}").contains("s3cret"));
    // A keyring that does not answer is said, and what is there is not lost.
    bench.is(Some(KeyringError::Locked));
    let file = bench.file();
    let all = bench.other().list().unwrap();
    assert!(all[0].entries.is_err() && all[1].entries.is_ok());
    assert!(bench.other().forget("a").is_err());
    assert_eq!(bench.file(), file);
    bench.is(None);
    let forgotten = bench.other().forget("a").unwrap().unwrap();
    assert_eq!((forgotten.place, forgotten.names), (StorePlace::Keyring, vec!["x".to_owned()]));
    assert!(bench.keyring.accounts().is_empty());
    assert_eq!(value(&bench.store, "a", "x"), None);
    assert_eq!(bench.store.forget("a").unwrap(), None);
    let forgotten = bench.store.forget("b").unwrap().unwrap();
    assert_eq!((forgotten.place, forgotten.names.len()), (StorePlace::File, 2));
    assert!(bench.other().list().unwrap().is_empty());
}

/// What a process leaves that is killed at each step of a write.
#[test]
fn a_process_that_is_killed_loses_nothing() {
    let bench = Bench::new(None);
    let store = &bench.store;
    store.save("b", &[("x", stored("1"))]).unwrap();
    // While it wrote the new file.
    for half in ["", "{\"version\": 3, \"back"] {
        fs::write(store.beside("new").unwrap(), half).unwrap();
        assert_eq!(value(&bench.other(), "b", "x").as_deref(), Some("1"));
        store.save("b", &[("y", stored("2"))]).unwrap();
        assert_eq!(value(&bench.other(), "b", "x").as_deref(), Some("1"));
    }
    // After the note and before the item.
    let note = |revision: &str| {
        store
            .change(|content| {
                content.keyring.get_mut("a").unwrap().revision = revision.to_owned();
                Ok(())
            })
            .unwrap();
    };
    note("of nobody");
    assert_eq!(value(&bench.other(), "a", "x").as_deref(), Some("s3cret"));
    bench.other().save("a", &[("y", stored("2"))]).unwrap();
    for (name, text) in [("x", "s3cret"), ("y", "2")] {
        assert_eq!(value(&bench.other(), "a", name).as_deref(), Some(text));
    }
    // After an item of a move and before the note.
    let account = format!("b ({})", store.path().display());
    bench.keyring.set(&account, &"{}".into()).unwrap();
    assert_eq!(value(&bench.other(), "b", "y").as_deref(), Some("2"));
    store.save_at(StorePlace::Keyring, "b", &[], OtherEntries::Keep).unwrap();
    assert_eq!(value(&bench.other(), "b", "y").as_deref(), Some("2"));
    // Between the two halves of forgetting: it can be done again.
    bench.keyring.remove(&account).unwrap();
    assert!(bench.other().entry("b", "y").is_err());
    assert_eq!(bench.other().forget("b").unwrap().unwrap().place, StorePlace::Keyring);
    assert_eq!(value(&bench.other(), "b", "y"), None);
}
