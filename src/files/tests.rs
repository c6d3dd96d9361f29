//! What is kept, for how long, and what may be read.

use std::time::SystemTime;

use futures_util::{Stream, stream};

use super::{staging::WORKSHOP, time::MachineUptime, *};
use crate::outcome::SavedFile;

mod ages;
mod others;

fn named(total: Option<u64>) -> IncomingFile<'static> {
    IncomingFile {
        name: "a.bin",
        content_type: "x/y",
        total,
        ttl: None,
        idle: Duration::from_secs(60),
        purpose: SavePurpose::Kept,
        client: &ONLY,
    }
}

static ONLY: ClientKey = ClientKey::only();

fn pieces(texts: &[&'static str]) -> impl Stream<Item = Result<Bytes, io::Error>> + Unpin {
    let pieces: Vec<_> = texts.iter().map(|text| Ok(Bytes::from_static(text.as_bytes()))).collect();
    stream::iter(pieces)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn saves_whole_files_under_free_names() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path().join("files"));
    for _ in 0..2 {
        let body = pieces(&["hel", "lo"]);
        let saved = store.save(named(Some(5)), body, &()).await.unwrap();
        assert_eq!(saved.size, 5);
        assert_eq!(
            saved.sha256,
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!(std::fs::read(&saved.path).unwrap(), b"hello");
    }
    assert_eq!(names(store.directory()), ["a-2.bin", "a.bin"]);
}

#[tokio::test]
async fn keeps_nothing_of_a_download_that_ends_early() {
    let home = tempfile::tempdir().unwrap();
    let store = FileStore::new(home.path().to_owned());
    let body = pieces(&["hel"]);
    let error = store.save(named(Some(5)), body, &()).await.unwrap_err();
    assert!(error.to_string().contains("ended after 3 bytes"), "{error}");
    let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err(io::Error::other("gone"))]);
    store.save(named(None), broken, &()).await.unwrap_err();
    assert!(names(home.path()).is_empty());
}

#[tokio::test]
async fn sends_files_below_the_directory_only() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("outside"), "x").unwrap();
    let store = FileStore::new(home.path().join("files"));
    std::fs::create_dir(store.directory()).unwrap();
    std::fs::write(store.directory().join("disk.raw"), "abc").unwrap();
    assert_eq!(store.open("disk.raw").await.ok().unwrap().size, Some(3));
    let outside = home.path().join("outside").display().to_string();
    for reference in ["../outside", &outside, "missing", "", "https://h/x", "."] {
        let error = store.open(reference).await.err().unwrap();
        assert!(matches!(error, FileError::Reference { .. }), "{reference}: {error}");
    }
}

/// A store whose clock says what a test says.
struct Bench {
    home: tempfile::TempDir,
    now: Arc<Mutex<(SystemTime, MachineUptime)>>,
    settings: FileSettings,
}

impl Bench {
    fn new(settings: FileSettings) -> Self {
        let uptime = MachineUptime { boot: "first".to_owned(), milliseconds: 5000 };
        let now = Arc::new(Mutex::new((SystemTime::now(), uptime)));
        Self { home: tempfile::tempdir().unwrap(), now, settings }
    }

    /// A process of its own on the same directory.
    fn store(&self) -> FileStore {
        let (clock, uptime) = (Arc::clone(&self.now), Arc::clone(&self.now));
        FileStore::with_time(
            self.directory(),
            self.settings.clone(),
            Timekeeper::new(
                Arc::new(move || clock.lock().unwrap().0),
                Arc::new(move || uptime.lock().unwrap().1.clone()),
            ),
            Arc::new(SystemResolver),
        )
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("files")
    }

    /// Lets a file be there that this program did not write.
    fn put(&self, name: &str, text: &str) {
        let path = self.directory().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory().join(name)).unwrap()
    }

    fn published(&self) -> FileStore {
        let store = self.store();
        store.publish();
        store
    }

    fn pass(&self, seconds: u64) {
        let mut now = self.now.lock().unwrap();
        let passed = Duration::from_secs(seconds);
        *now = (now.0 + passed, now.1.clone().after(passed));
    }

    /// Sets the clock; no time passes.
    fn jump(&self, seconds: i64) {
        let by = Duration::from_secs(seconds.unsigned_abs());
        let mut now = self.now.lock().unwrap();
        now.0 = if seconds < 0 { now.0 - by } else { now.0 + by };
    }

    /// Starts the machine anew.
    fn restart(&self) {
        let mut now = self.now.lock().unwrap();
        now.1 = MachineUptime { boot: format!("{}+", now.1.boot), milliseconds: 3000 };
    }

    /// What is in the folder of unfinished files, without what shows whose it is.
    fn unfinished(&self) -> Vec<String> {
        let names = folder::file_names(&staging::staging_folder(&self.directory()));
        names.into_iter().filter(|name| name.contains('.')).collect()
    }

    fn names(&self, below: &str) -> Vec<String> {
        names(&self.home.path().join("files").join(below))
    }
}

async fn save(store: &FileStore, ttl: Option<u64>, text: &'static str) -> SavedFile {
    try_save(store, ttl, text).await.unwrap()
}

async fn try_save(
    store: &FileStore,
    ttl: Option<u64>,
    text: &'static str,
) -> Result<SavedFile, FileError> {
    let incoming = IncomingFile { ttl: ttl.map(Duration::from_secs), ..named(None) };
    store.save(incoming, pieces(&[text]), &()).await
}

async fn read(store: &FileStore, reference: &str) -> Result<(String, String, Vec<u8>), String> {
    let upload = store.open(reference).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut stream = upload.stream;
    while let Some(piece) = stream.next().await {
        bytes.extend(piece.unwrap());
    }
    Ok((upload.name, upload.content_type, bytes))
}

#[tokio::test]
async fn a_published_file_has_an_id_and_comes_back_by_it() {
    let bench = Bench::new(FileSettings {
        public_url: Some("https://m.example".to_owned()),
        ..FileSettings::default()
    });
    let store = bench.published();
    let saved = save(&store, None, "hello").await;
    let url = saved.url.unwrap();
    let id = url.strip_prefix("https://m.example/files/").unwrap().to_owned();
    let reference = saved.reference.unwrap();
    assert_eq!(reference, format!("dadl-file:{id}"));
    let expires = time::rfc3339(time::unix_seconds(bench.now.lock().unwrap().0) + 24 * 3600);
    assert_eq!(saved.expires, Some(expires));
    let expected = Ok(("a.bin".to_owned(), "x/y".to_owned(), b"hello".to_vec()));
    // Another process reads the same directory.
    for store in [&store, &bench.published()] {
        for reference in
            [&reference, &url, &format!("/files/{id}"), &format!("http://127.0.0.1:9/files/{id}")]
        {
            assert_eq!(read(store, reference).await, expected, "{reference}");
        }
    }
    // Knowing a directory is no way around knowing the id.
    for reference in [format!(".store/{id}"), format!(".store/{id}.json"), format!("./.store/{id}")]
    {
        let error = read(&store, &reference).await.unwrap_err();
        assert!(error.contains("outside the directory"), "{error}");
    }
    assert_eq!(bench.names(""), [".store"]);
    assert_eq!(bench.names(".store"), [id.clone(), format!("{id}.json")]);
}

#[tokio::test]
async fn an_expired_url_of_this_server_is_not_fetched() {
    let bench = Bench::new(FileSettings {
        public_url: Some("https://m.example".to_owned()),
        ..FileSettings::default()
    });
    let store = bench.published();
    for reference in
        ["https://m.example/files/0", "dadl-file:0", &format!("dadl-file:{}", "0".repeat(32))]
    {
        let error = read(&store, reference).await.unwrap_err();
        assert!(error.contains("is not in the store; it may have expired"), "{error}");
    }
    let error = read(&store, "https://m.example.evil/files/0").await.unwrap_err();
    assert!(error.contains("`allow_hosts`"), "{error}");
}

#[tokio::test]
async fn a_file_expires_when_its_time_has_come() {
    let bench = Bench::new(FileSettings::default());
    let store = bench.published();
    let short = save(&store, Some(60), "short").await.reference.unwrap();
    let long = save(&store, Some(3600), "long").await.reference.unwrap();
    bench.pass(59);
    assert!(read(&store, &short).await.is_ok());
    bench.pass(1);
    let error = read(&store, &short).await.unwrap_err();
    assert!(error.contains("it may have expired; upload it with PUT"), "{error}");
    assert_eq!(bench.names(".store").len(), 2, "the bytes are gone as well");
    bench.pass(3600);
    // Another process removes it when it starts.
    bench.store().sweep().await;
    assert!(bench.names(".store").is_empty());
    assert!(read(&store, &long).await.is_err());
}

#[tokio::test]
async fn files_on_stdio_stay_unless_somebody_says_otherwise() {
    let bench = Bench::new(FileSettings::default());
    let store = bench.store();
    let kept = save(&store, None, "kept").await;
    assert_eq!((kept.url, kept.reference, kept.expires), (None, None, None));
    assert_eq!(bench.names(""), ["a.bin"], "nothing is noted about it");
    let short = save(&store, Some(60), "short").await;
    assert!(short.expires.is_some());
    assert_eq!(short.path.file_name().unwrap(), "a-2.bin");
    bench.pass(61);
    store.sweep().await;
    assert_eq!(bench.names(""), [".store", "a.bin"]);
    assert!(bench.names(".store").is_empty());
}

#[tokio::test]
async fn a_setting_lets_all_files_expire() {
    let bench =
        Bench::new(FileSettings { ttl: Some(Duration::from_secs(10)), ..FileSettings::default() });
    save(&bench.store(), None, "x").await;
    bench.pass(10);
    bench.store().sweep().await;
    assert_eq!(bench.names(""), [".store"]);
}

#[tokio::test]
async fn quotas_name_their_setting() {
    let bench = Bench::new(FileSettings {
        max_files: Some(2),
        max_total_bytes: Some(8),
        ..FileSettings::default()
    });
    let store = bench.store();
    save(&store, Some(60), "12345").await;
    let error = try_save(&store, None, "6789").await.unwrap_err().to_string();
    assert!(error.contains("`max_total_size` of `files` in backends.yaml is 8"), "{error}");
    let announced = IncomingFile { total: Some(4), ..named(None) };
    let error = store.save(announced, pieces(&[]), &()).await.unwrap_err().to_string();
    assert!(error.contains("`max_total_size`"), "{error}");
    save(&store, None, "678").await;
    let error = try_save(&bench.store(), None, "").await.unwrap_err().to_string();
    assert!(error.contains("`max_files` of `files` in backends.yaml is 2"), "{error}");
    assert_eq!(bench.names(""), [".store", "a-2.bin", "a.bin"]);
    // What has expired makes room, and so does what a person removed.
    bench.pass(60);
    save(&store, None, "1").await;
    std::fs::remove_file(store.directory().join("a-2.bin")).unwrap();
    save(&store, None, "2").await;
}

fn host(name: &str) -> ClientKey {
    ClientKey { host: name.to_owned(), session: String::new() }
}

#[tokio::test]
async fn the_last_part_of_a_quota_is_for_those_who_have_little() {
    let bench = Bench::new(FileSettings {
        max_files: Some(16),
        max_total_bytes: Some(80),
        ..FileSettings::default()
    });
    let (greedy, modest) = (host("192.0.2.1"), host("192.0.2.2"));
    let of =
        |client, total| IncomingFile { client, ttl: Some(Duration::from_secs(60)), ..named(total) };
    let ten = "1234567890";
    let store = bench.store();
    for _ in 0..7 {
        store.save(of(&greedy, None), pieces(&[ten]), &()).await.unwrap();
    }
    // Also after a restart, whether the length was announced or not.
    let store = bench.store();
    for total in [None, Some(1)] {
        let error = store.save(of(&greedy, total), pieces(&["1"]), &()).await.unwrap_err();
        assert!(error.to_string().contains("the rest of `max_total_size` (80) is kept"), "{error}");
    }
    let mut first = store.begin(of(&modest, Some(5))).await.unwrap();
    let error = store.save(of(&modest, Some(6)), pieces(&["1"]), &()).await.unwrap_err();
    assert!(error.to_string().contains("`max_total_size`"), "{error}");
    store.save(of(&modest, None), pieces(&["12345"]), &()).await.unwrap();
    first.receive(pieces(&["12345"]), &()).await.unwrap();
    first.finish(&()).await.unwrap();
    // What is full is full for everybody.
    let third = host("192.0.2.3");
    let error = store.save(of(&third, None), pieces(&["1"]), &()).await.unwrap_err();
    assert!(error.to_string().contains("in backends.yaml is 80"), "{error}");
    // Their number has shares as well, and what has expired counts no more.
    bench.pass(60);
    for _ in 0..14 {
        store.save(of(&greedy, None), pieces(&[]), &()).await.unwrap();
    }
    let error = store.save(of(&greedy, None), pieces(&[]), &()).await.unwrap_err();
    assert!(error.to_string().contains("the rest of `max_files` (16) is kept"), "{error}");
    for _ in 0..2 {
        store.save(of(&modest, None), pieces(&[]), &()).await.unwrap();
    }
    assert!(store.state().of_hosts.is_empty());
    // The only client of a process has everything.
    bench.pass(60);
    store.save(named(Some(80)), pieces(&[&ten.repeat(8).leak()[..]]), &()).await.unwrap();
}

#[tokio::test]
async fn files_that_are_being_written_count() {
    let bench = Bench::new(FileSettings {
        max_files: Some(1),
        max_total_bytes: Some(8),
        ..FileSettings::default()
    });
    let store = bench.store();
    let reached = std::cell::Cell::new(false);
    let silence = stream::poll_fn(|_| {
        reached.set(true);
        std::task::Poll::<Option<Result<Bytes, io::Error>>>::Pending
    });
    let endless = stream::iter([Ok(Bytes::from_static(b"12345"))]).chain(silence);
    let mut first = Box::pin(store.save(named(None), endless, &()));
    while !reached.get() {
        assert!(futures_util::poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!((bench.names(""), bench.unfinished().len()), (vec![STORE.to_owned()], 1));
    let error = try_save(&store, None, "x").await.unwrap_err().to_string();
    assert!(error.contains("`max_files`"), "{error}");
    drop(first);
    assert!(bench.names("").is_empty(), "a caller that goes away leaves nothing");
    save(&store, None, "12345678").await;
}

#[tokio::test]
async fn an_upload_has_a_bound_of_its_own() {
    let bench = Bench::new(FileSettings { max_upload_bytes: 4, ..FileSettings::default() });
    let store = bench.store();
    for total in [None, Some(5)] {
        let incoming = IncomingFile { purpose: SavePurpose::Upload, ..named(total) };
        let error = store.save(incoming, pieces(&["12", "345"]), &()).await.unwrap_err();
        assert!(error.to_string().contains("`max_upload_size`"), "{error}");
    }
    assert!(bench.names("").is_empty());
    // An answer of a backend is no upload.
    save(&store, None, "12345").await;
}

#[tokio::test]
async fn a_record_names_no_file_elsewhere() {
    let bench = Bench::new(FileSettings::default());
    let victim = bench.home.path().join("victim");
    std::fs::write(&victim, "x").unwrap();
    let modified = record::modified_nanos(&std::fs::metadata(&victim).unwrap());
    let store = bench.home.path().join("files/.store");
    std::fs::create_dir_all(&store).unwrap();
    let id = FileId::random();
    for file in ["../victim", &victim.display().to_string()] {
        let record = serde_json::json!({
            "name": "x", "file": file, "content_type": "x/y", "size": 1, "sha256": "",
            "expires": 1, "modified": modified,
        });
        std::fs::write(store.join(format!("{}.json", id.as_str())), record.to_string()).unwrap();
        bench.store().sweep().await;
        assert!(victim.exists());
        assert!(read(&bench.store(), &format!("dadl-file:{}", id.as_str())).await.is_err());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_pipes_are_no_way_out() {
    let bench = Bench::new(FileSettings::default());
    let directory = bench.home.path().join("files");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(bench.home.path().join("secret"), "x").unwrap();
    std::os::unix::fs::symlink("../secret", directory.join("link")).unwrap();
    std::os::unix::fs::symlink("..", directory.join("up")).unwrap();
    let store = bench.store();
    for reference in ["link", "up/secret", "up/files/../secret"] {
        let error = read(&store, reference).await.unwrap_err();
        assert!(error.contains("outside the directory"), "{reference}: {error}");
    }
    std::fs::write(directory.join("inside"), "y").unwrap();
    std::os::unix::fs::symlink("inside", directory.join("alias")).unwrap();
    assert_eq!(read(&store, "alias").await.unwrap().2, b"y");
    // A socket stands for everything that is no regular file.
    let _socket = std::os::unix::net::UnixListener::bind(directory.join("socket")).unwrap();
    assert!(read(&store, "socket").await.unwrap_err().contains("is no regular file"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_name_is_a_file_of_the_directory_and_nothing_else() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "x").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for folder in ["below", ".store"] {
        std::fs::create_dir(at(folder)).unwrap();
    }
    for file in ["a.json", "below/b c.json", "dadl-file:0f"] {
        std::fs::write(at(file), "x").unwrap();
    }
    std::os::unix::fs::symlink(outside.path().join("secret"), at("link")).unwrap();
    let settings = FileSettings {
        allow_directories: vec![outside.path().to_owned()],
        ..FileSettings::default()
    };
    let store = FileStore::with_settings(directory.path().to_owned(), settings);
    for name in ["a.json", "below/b c.json", "./a.json"] {
        assert_eq!(store.has(name).await, name != "./a.json", "{name}");
    }
    let absolute = at("a.json").display().to_string();
    let url = format!("file://{absolute}");
    let long = "a".repeat(5000);
    for name in [
        "",
        "none",
        "below",
        "..",
        "../x",
        "below/../a.json",
        "link",
        "a\0b",
        "a\nb",
        &absolute,
        &url,
        &long,
        "https://example.com/a.json",
    ] {
        assert!(!store.has(name).await, "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_operator_names_other_directories() {
    let home = tempfile::tempdir().unwrap();
    let exports = home.path().join("ex ports");
    std::fs::create_dir_all(exports.join("a")).unwrap();
    std::fs::write(exports.join("a/b.csv"), "1,2").unwrap();
    std::fs::write(home.path().join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(home.path().join("secret"), exports.join("link")).unwrap();
    let url = |path: &Path| Url::from_file_path(path).unwrap().to_string();
    let settings =
        FileSettings { allow_directories: vec![exports.clone()], ..FileSettings::default() };
    let store = FileStore::with_settings(home.path().join("files"), settings);
    let expected = ("b.csv".to_owned(), "text/csv".to_owned(), b"1,2".to_vec());
    let wanted = exports.join("a/b.csv");
    for reference in [url(&wanted), wanted.display().to_string()] {
        assert_eq!(read(&store, &reference).await.unwrap(), expected, "{reference}");
    }
    assert!(url(&wanted).contains("ex%20ports"));
    for path in [exports.join("link"), home.path().join("secret"), exports.join("../secret")] {
        let error = read(&store, &url(&path)).await.unwrap_err();
        assert!(error.contains("outside the directory"), "{error}");
    }
    let none = FileStore::new(home.path().join("files"));
    assert!(read(&none, &url(&wanted)).await.is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        failure_persistence: None, ..proptest::test_runner::Config::with_cases(512)
    })]

    #[test]
    fn no_reference_leads_outside(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "..", "/", "./", "\\", "files", "secret", "inside", "up", "link", "%2e%2e", "%2f",
                "file://", "file:///", "HOME", ".store", "\0", "dadl-file:", "?x", "#", "~",
            ]),
            0..7,
        ),
    ) {
        static BENCH: std::sync::LazyLock<(tempfile::TempDir, FileStore)> =
            std::sync::LazyLock::new(|| {
                let home = tempfile::tempdir().unwrap();
                let store = FileStore::new(home.path().join("files"));
                std::fs::create_dir(store.directory()).unwrap();
                std::fs::write(home.path().join("secret"), "secret").unwrap();
                std::fs::write(store.directory().join("inside"), "inside").unwrap();
                #[cfg(unix)]
                {
                    std::os::unix::fs::symlink("..", store.directory().join("up")).unwrap();
                    let secret = home.path().join("secret");
                    std::os::unix::fs::symlink(secret, store.directory().join("link")).unwrap();
                }
                (home, store)
            });
        let (home, store) = &*BENCH;
        let reference = parts.concat().replace("HOME", &home.path().display().to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Ok((_, _, bytes)) = runtime.block_on(read(store, &reference)) {
            proptest::prop_assert_eq!(bytes, b"inside", "{}", reference);
        }
    }
}
