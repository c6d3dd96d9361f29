//! What others put into the directory: never replaced, never removed.

use super::*;

const YEAR: u64 = 365 * 24 * 60 * 60;

fn id() -> String {
    FileId::random().as_str().to_owned()
}

/// All that a process does at its start and later, on both kinds of servers.
async fn everything(bench: &Bench) {
    for store in [bench.store(), bench.published()] {
        store.sweep().await;
        let saved = save(&store, Some(60), "x").await;
        bench.pass(61);
        store.sweep().await;
        assert!(!saved.path.exists());
    }
}

#[tokio::test]
async fn what_somebody_changed_is_theirs() {
    let bench = Bench::new(FileSettings::default());
    let store = bench.store();
    let saved = save(&store, Some(60), "short").await;
    std::fs::write(&saved.path, "the work of a person").unwrap();
    bench.pass(61);
    store.sweep().await;
    assert_eq!(bench.names(""), [".store", "a.bin"]);
}

#[cfg(unix)]
#[tokio::test]
async fn another_file_of_the_same_name_size_and_time_is_theirs() {
    for removes in [true, false] {
        let bench = Bench::new(FileSettings::default());
        let store = bench.store();
        let saved = save(&store, Some(60), "short").await;
        let written = std::fs::metadata(&saved.path).unwrap().modified().unwrap();
        let theirs = bench.directory().join("theirs");
        std::fs::write(&theirs, "SHORT").unwrap();
        std::fs::File::options().append(true).open(&theirs).unwrap().set_modified(written).unwrap();
        std::fs::rename(&theirs, &saved.path).unwrap();
        if removes {
            let records = bench.names(".store");
            let id = FileId::parse(records[0].strip_suffix(".json").unwrap()).unwrap();
            store.remove(&id).await;
        } else {
            bench.pass(61);
            store.sweep().await;
        }
        assert_eq!(bench.text("a.bin"), "SHORT");
        assert!(bench.names(".store").is_empty());
    }
}

#[tokio::test]
async fn files_that_look_like_ours_stay() {
    let bench = Bench::new(FileSettings::default());
    let names = [
        "old.xva.part".to_owned(),
        format!("{}.part", id()),
        format!("{}.unfinished", id()),
        ".store/x.part".to_owned(),
        ".store/mine.txt".to_owned(),
        format!(".store/{}", id()),
        format!(".store/{}.part", id()),
        format!(".store/{}.unfinished", id()),
        format!(".store/{}.json", id()),
        format!(".store/{}.json.part", id()),
    ];
    for name in &names {
        bench.put(name, "theirs");
    }
    // What an earlier version wrote about a file that it did not finish.
    let mark = format!(".store/{}.unfinished", id());
    bench.put(&mark, r#"{"part":"old.xva.part","resume":null}"#);
    bench.pass(YEAR);
    everything(&bench).await;
    for name in &names {
        assert_eq!(bench.text(name), "theirs", "{name}");
    }
    assert!(bench.directory().join(mark).exists());
}

#[cfg(unix)]
#[tokio::test]
async fn links_lead_to_nothing_that_is_removed() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new(FileSettings::default());
    let elsewhere = tempfile::tempdir().unwrap();
    let theirs = elsewhere.path().join(format!("{}.part", id()));
    std::fs::write(&theirs, "theirs").unwrap();
    // In our own folder, beside an unfinished file of a process that lives.
    std::fs::create_dir_all(bench.directory()).unwrap();
    let made = staging::make_file(&bench.directory()).unwrap();
    let folder = staging::staging_folder(&bench.directory());
    let (link, named) = (folder.join(format!("{}.part", id())), folder.join("notes.txt"));
    symlink(&theirs, &link).unwrap();
    std::fs::write(&named, "theirs").unwrap();
    everything(&bench).await;
    assert!(link.is_symlink() && named.exists() && made.path.exists() && theirs.exists());
    // The store of records itself.
    let bench = Bench::new(FileSettings::default());
    let record = elsewhere.path().join(format!("{}.json", id()));
    let other = bench.store();
    let saved = save(&other, Some(60), "x").await;
    let text = std::fs::read_to_string(
        std::fs::read_dir(bench.directory().join(".store"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    )
    .unwrap();
    std::fs::write(&record, text).unwrap();
    std::fs::remove_dir_all(bench.directory().join(".store")).unwrap();
    symlink(elsewhere.path(), bench.directory().join(".store")).unwrap();
    bench.pass(YEAR);
    let error = try_save(&bench.published(), None, "x").await.unwrap_err().to_string();
    assert!(error.contains("it is a link, which is not followed"), "{error}");
    bench.store().sweep().await;
    assert!(record.exists() && saved.path.exists() && theirs.exists());
    // The folder of unfinished files.
    let bench = Bench::new(FileSettings::default());
    std::fs::create_dir_all(bench.directory().join(STORE)).unwrap();
    symlink(elsewhere.path(), staging::staging_folder(&bench.directory())).unwrap();
    let error = try_save(&bench.store(), None, "x").await.unwrap_err().to_string();
    assert!(error.contains("is not a folder that dadl-mcp made"), "{error}");
    assert!(theirs.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_is_a_link_works() {
    let bench = Bench::new(FileSettings::default());
    let real = bench.home.path().join("real");
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, bench.directory()).unwrap();
    everything(&bench).await;
    let saved = save(&bench.store(), None, "x").await;
    assert_eq!(std::fs::read_to_string(real.join(saved.path.file_name().unwrap())).unwrap(), "x");
    assert_eq!(bench.names(""), [".store", "a.bin"]);
}

#[tokio::test]
async fn what_a_dead_process_left_goes_and_what_a_living_one_writes_stays() {
    let bench = Bench::new(FileSettings::default());
    std::fs::create_dir_all(bench.directory()).unwrap();
    let living = staging::make_file(&bench.directory()).unwrap();
    let dead = staging::make_file(&bench.directory()).unwrap();
    drop(dead.file);
    bench.pass(YEAR);
    bench.store().sweep().await;
    assert!(living.path.exists() && !dead.path.exists());
    drop(living.file);
    bench.store().sweep().await;
    assert!(bench.names("").is_empty());
}

#[tokio::test]
async fn what_can_be_continued_is_kept_for_a_day_after_it_was_found() {
    if time::boot_id().is_none() {
        return;
    }
    let bench = Bench::new(FileSettings::default());
    std::fs::create_dir_all(bench.directory()).unwrap();
    let made = staging::make_file(&bench.directory()).unwrap();
    let request = RequestFingerprint([7; 32]);
    let resume = (&request, "\"v1\"", None);
    unfinished::write_mark(&bench.directory(), &made.id, false, resume).unwrap().keep();
    drop(made.file);
    assert!(unfinished::take_leftover(&bench.directory(), &request, true).is_none());
    // However wrong the clock is, and however old the file.
    bench.jump(YEAR as i64);
    for _ in 0..2 {
        bench.store().sweep().await;
        assert!(unfinished::take_leftover(&bench.directory(), &request, false).is_some());
        bench.pass(24 * 3600 - 1);
        bench.store().sweep().await;
        assert!(made.path.exists());
        bench.jump(-(YEAR as i64));
        bench.restart();
    }
    bench.store().sweep().await;
    bench.pass(24 * 3600 - 1);
    // Who goes on with it, and is killed as well, begins the day anew.
    assert!(unfinished::take_leftover(&bench.directory(), &request, false).is_some());
    bench.pass(3600);
    bench.store().sweep().await;
    bench.pass(24 * 3600 - 1);
    bench.store().sweep().await;
    assert!(made.path.exists());
    bench.pass(1);
    bench.store().sweep().await;
    assert!(bench.names("").is_empty());
}

#[tokio::test]
async fn a_record_waits_for_a_file_that_is_about_to_get_its_name() {
    let bench = Bench::new(FileSettings::default());
    let store = bench.published();
    let reference = save(&store, Some(60), "x").await.reference.unwrap();
    let id = FileId::parse(reference.strip_prefix(REFERENCE).unwrap()).unwrap();
    // As it was a moment before the name was given.
    staging::make_file(&bench.directory()).unwrap();
    let part = staging::part_path(&bench.directory(), &id);
    let file = bench.directory().join(".store").join(id.as_str());
    std::fs::rename(&file, &part).unwrap();
    let living = std::fs::File::open(&part).unwrap();
    living.try_lock().unwrap();
    bench.published().sweep().await;
    assert!(read(&store, &reference).await.is_err());
    std::fs::rename(&part, &file).unwrap();
    assert!(read(&bench.published(), &reference).await.is_ok());
    assert!(read(&store, &reference).await.is_ok());
    // A process that is killed there leaves nothing.
    staging::make_file(&bench.directory()).unwrap();
    std::fs::rename(&file, &part).unwrap();
    drop(living);
    bench.published().sweep().await;
    bench.published().sweep().await;
    assert_eq!((bench.names(""), bench.names(".store").len()), (vec![".store".to_owned()], 0));
}

#[tokio::test]
async fn a_file_that_appeared_meanwhile_is_not_replaced() {
    for ttl in [None, Some(60)] {
        let bench = Bench::new(FileSettings::default());
        let store = bench.store();
        let incoming = IncomingFile { ttl: ttl.map(Duration::from_secs), ..named(None) };
        let mut saving = store.begin(incoming).await.unwrap();
        saving.receive(pieces(&["ours"]), &()).await.unwrap();
        bench.put("a.bin", "theirs");
        std::fs::create_dir(bench.directory().join("a-2.bin")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("nowhere", bench.directory().join("a-3.bin")).unwrap();
        #[cfg(not(unix))]
        bench.put("a-3.bin", "theirs");
        let saved = saving.finish(&()).await.unwrap();
        assert_eq!(saved.path, bench.directory().join("a-4.bin"));
        assert_eq!((bench.text("a.bin"), bench.text("a-4.bin")), ("theirs".into(), "ours".into()));
        bench.pass(61);
        store.sweep().await;
        assert_eq!(saved.path.exists(), ttl.is_none());
        assert_eq!(bench.text("a.bin"), "theirs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_save_under_one_name_get_one_each() {
    let bench = Bench::new(FileSettings::default());
    let saves = (0..12).map(|number| {
        let store = bench.store();
        let ttl = (number % 2 == 0).then_some(60);
        tokio::spawn(async move { save(&store, ttl, "x").await.path })
    });
    let mut paths: Vec<PathBuf> =
        futures_util::future::join_all(saves).await.into_iter().map(Result::unwrap).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 12);
    assert!(paths.iter().all(|path| std::fs::read_to_string(path).unwrap() == "x"));
    assert!(bench.unfinished().is_empty());
    assert_eq!(bench.names(".store").len(), 6);
}

#[tokio::test]
async fn nobody_reads_an_unfinished_file() {
    let bench = Bench::new(FileSettings::default());
    let store = bench.store();
    let mut saving = store.begin(named(None)).await.unwrap();
    saving.receive(pieces(&["secret"]), &()).await.unwrap();
    for name in bench.unfinished() {
        let error = read(&store, &format!("{STORE}/{WORKSHOP}/{name}")).await.unwrap_err();
        assert!(error.contains("outside the directory"), "{error}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        failure_persistence: None, ..proptest::test_runner::Config::with_cases(48)
    })]

    #[test]
    fn nothing_of_others_is_touched_wherever_it_lies(
        files in proptest::collection::btree_map(
            (
                proptest::sample::select(vec!["", ".store/", ".store/unfinished/", "sub/"]),
                "(a\\.bin|a-2\\.bin|[0-9a-f]{32}|[a-c]{1,3})(|\\.part|\\.json|\\.unfinished|\\.seen|\\.json\\.part)",
            ),
            "[a-z{}\":0-9]{0,20}",
            1..8,
        ),
        age in 0..YEAR,
    ) {
        let bench = Bench::new(FileSettings::default());
        for ((folder, name), text) in &files {
            bench.put(&format!("{folder}{name}"), text);
        }
        bench.pass(age);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for store in [bench.store(), bench.published()] {
                // Where the folder is somebody else's, nothing is saved.
                if let Ok(saved) = try_save(&store, Some(60), "x").await {
                    bench.pass(61);
                    store.sweep().await;
                    assert!(!saved.path.exists());
                }
                store.sweep().await;
            }
        });
        for ((folder, name), text) in &files {
            proptest::prop_assert_eq!(&bench.text(&format!("{folder}{name}")), text);
        }
    }
}
