//! When files go: by the time that has passed, whatever the clock says.

use super::*;

const DAY: u64 = 24 * 60 * 60;

async fn is_there(store: &FileStore, reference: &str) -> bool {
    read(store, reference).await.is_ok()
}

/// A published file that is kept for an hour.
async fn stored(bench: &Bench) -> String {
    save(&bench.published(), Some(3600), "x").await.reference.unwrap()
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_early() {
    for jump in [365 * DAY as i64, -365 * DAY as i64] {
        let bench = Bench::new(FileSettings::default());
        let reference = stored(&bench).await;
        let running = bench.published();
        bench.jump(jump);
        // The process that goes on, and one that is started with the wrong clock.
        assert!(is_there(&running, &reference).await, "{jump}");
        assert!(is_there(&bench.published(), &reference).await, "{jump}");
        bench.pass(3599);
        assert!(is_there(&running, &reference).await, "{jump}");
        assert!(is_there(&bench.published(), &reference).await, "{jump}");
        // Nor is it kept longer than it should be.
        bench.pass(1);
        assert!(!is_there(&running, &reference).await, "{jump}");
        assert!(!is_there(&bench.published(), &reference).await, "{jump}");
        assert!(bench.names(".store").is_empty());
    }
}

#[tokio::test]
async fn a_file_that_is_saved_with_a_wrong_clock_lives_as_long() {
    let bench = Bench::new(FileSettings::default());
    bench.jump(-20_000 * DAY as i64);
    let reference = stored(&bench).await;
    bench.jump(20_000 * DAY as i64);
    assert!(is_there(&bench.published(), &reference).await);
    bench.pass(3599);
    assert!(is_there(&bench.published(), &reference).await);
    bench.pass(1);
    assert!(!is_there(&bench.published(), &reference).await);
}

#[tokio::test]
async fn after_a_restart_the_clock_counts_once_it_was_right_for_an_hour() {
    let bench = Bench::new(FileSettings::default());
    let reference = stored(&bench).await;
    bench.restart();
    assert!(is_there(&bench.published(), &reference).await);
    bench.pass(2 * 3600);
    // The first look, by a process that ends.
    assert!(is_there(&bench.published(), &reference).await);
    assert_eq!(bench.unfinished().len(), 1);
    bench.pass(3599);
    assert!(is_there(&bench.published(), &reference).await);
    bench.pass(1);
    assert!(!is_there(&bench.published(), &reference).await);
    assert_eq!(bench.names(""), [".store"]);
    assert!(bench.names(".store").is_empty());
}

#[tokio::test]
async fn after_a_restart_a_jump_is_noticed_as_well() {
    let bench = Bench::new(FileSettings::default());
    let reference = stored(&bench).await;
    bench.restart();
    // The battery was empty; a server of time puts the clock right after a while.
    bench.jump(365 * DAY as i64);
    for _ in 0..3 {
        assert!(is_there(&bench.published(), &reference).await);
        bench.pass(1000);
    }
    bench.jump(-365 * DAY as i64);
    assert!(is_there(&bench.published(), &reference).await);
    bench.pass(500);
    // The time is over, and nothing that was seen before counts.
    for _ in 0..3 {
        bench.pass(1199);
        assert!(is_there(&bench.published(), &reference).await);
    }
    bench.jump(2 * 3600);
    assert!(is_there(&bench.published(), &reference).await, "it jumped once more");
    bench.pass(3600);
    assert!(!is_there(&bench.published(), &reference).await);
}

#[tokio::test]
async fn a_file_from_an_earlier_version_goes_by_the_clock() {
    let bench = Bench::new(FileSettings::default());
    let reference = stored(&bench).await;
    let name = format!(".store/{}.json", reference.strip_prefix(REFERENCE).unwrap());
    let mut record: serde_json::Value = serde_json::from_str(&bench.text(&name)).unwrap();
    let fields = record.as_object_mut().unwrap();
    assert!(fields.remove("until").is_some() && fields.contains_key("inode"));
    fields.remove("inode");
    bench.put(&name, &record.to_string());
    bench.pass(3599);
    assert!(is_there(&bench.published(), &reference).await);
    bench.pass(1);
    assert!(is_there(&bench.published(), &reference).await);
    bench.pass(3600);
    assert!(!is_there(&bench.published(), &reference).await);
    assert!(bench.names(".store").is_empty());
}

#[tokio::test]
async fn a_file_that_was_removed_takes_what_was_seen_with_it() {
    let bench = Bench::new(FileSettings::default());
    let reference = stored(&bench).await;
    bench.restart();
    bench.pass(2 * 3600);
    let store = bench.published();
    assert!(is_there(&store, &reference).await);
    assert_eq!(bench.unfinished().len(), 1);
    let id = FileId::parse(reference.strip_prefix(REFERENCE).unwrap()).unwrap();
    assert!(store.remove(&id).await);
    assert_eq!(bench.names(""), [".store"]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        failure_persistence: None, ..proptest::test_runner::Config::with_cases(64)
    })]

    #[test]
    fn no_series_of_jumps_and_restarts_removes_a_file_early(
        steps in proptest::collection::vec((0_u8..4, 0_u64..2000, -400_000_i64..400_000), 1..12),
    ) {
        let bench = Bench::new(FileSettings::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let reference = stored(&bench).await;
            let running = bench.published();
            let (mut passed, mut since_jump) = (0, 0);
            for (kind, seconds, jump) in steps {
                match kind {
                    0 => bench.restart(),
                    1 => {
                        bench.jump(jump);
                        since_jump = 0;
                    }
                    _ => {
                        bench.pass(seconds);
                        passed += seconds;
                        since_jump += seconds;
                    }
                }
                // A clock that was wrong for an hour cannot be told from one that is right.
                if passed >= 3600 || since_jump >= 3600 {
                    break;
                }
                let new = bench.published();
                for store in [&running, &new] {
                    assert!(is_there(store, &reference).await, "after {passed} s");
                }
            }
        });
    }
}
