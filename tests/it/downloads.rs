//! Downloads that break off, disks that are full, processes that are killed.

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use dadl_mcp::{
    files::{DiskSpace, FileStore},
    outcome::{AnswerPayload, CallOutcome, SavedFile},
};
use serde_json::json;

use crate::{
    api::api,
    harness::{Fixed, Harness},
    upstream::{Answer, Upstream},
};

pub(crate) const TOOLS: &str = api!(auth: "type: bearer, credential: token", backend: r#"
  tools:
    export: { method: GET, path: "/disk.raw", access: read, description: "Exports.", response: { binary: true } }
"#);

pub(crate) const MIB: usize = 1024 * 1024;
pub(crate) const VERSION: (&str, &str) = ("ETag", "\"v1\"");
pub(crate) const RANGES: (&str, &str) = ("Accept-Ranges", "bytes");
pub(crate) const BINARY: (&str, &str) = ("Content-Type", "application/octet-stream");

/// 3 MiB in which no two places look alike.
pub(crate) fn content() -> Vec<u8> {
    (0..3 * MIB as u32 / 4)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect()
}

fn harness(upstream: &Upstream) -> Harness {
    Harness::new(TOOLS, &upstream.url(), Fixed(Ok("s3cret".to_owned())), |_| {})
}

/// The start of an answer with this length, and then the end of the connection.
fn broken(fields: &[(&str, &str)], length: usize, start: &[u8]) -> Answer {
    let Answer::Bytes(whole) = Answer::full(200, fields, &vec![0; length]) else { unreachable!() };
    Answer::Close([&whole[..whole.len() - length], start].concat())
}

fn rest(fields: &[(&str, &str)], range: &str, bytes: &[u8]) -> Answer {
    Answer::full(206, &[fields, &[("Content-Range", range)]].concat(), bytes)
}

fn file(outcome: CallOutcome) -> (SavedFile, String) {
    let AnswerPayload::File(file) = outcome.payload else {
        panic!("no file: {:?}", outcome.payload)
    };
    (file, outcome.notes.join("\n"))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder of unfinished files.
pub(crate) const WORKSHOP: &str = ".store/unfinished";

fn left(harness: &Harness) -> Vec<String> {
    harness.files()
}

/// The names in the folder of unfinished files, without that which shows whose it is.
pub(crate) fn unfinished(directory: &Path) -> Vec<String> {
    let mut names = names(&directory.join(WORKSHOP));
    names.retain(|name| name != "made-by-dadl-mcp");
    names
}

async fn upstream_and_harness(answers: Vec<Answer>) -> (Upstream, Harness) {
    let upstream = Upstream::start(answers).await;
    let harness = harness(&upstream);
    (upstream, harness)
}

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let whole = content();
    let (upstream, harness) = upstream_and_harness(vec![
        broken(&[BINARY, RANGES, VERSION], whole.len(), &whole[..2 * MIB]),
        rest(
            &[VERSION],
            &format!("bytes {}-{}/{}", 2 * MIB, 3 * MIB - 1, 3 * MIB),
            &whole[2 * MIB..],
        ),
    ])
    .await;
    let (saved, notes) = file(harness.call("export", json!({})).await.unwrap());
    assert_eq!(notes, "the connection was lost once on the way");
    assert_eq!((saved.size, saved.sha256), (whole.len() as u64, sha256(&whole)));
    assert!(std::fs::read(&saved.path).unwrap() == whole);
    let second = upstream.requests().remove(1).to_lowercase();
    assert!(second.contains(&format!("range: bytes={}-\r\n", 2 * MIB)), "{second}");
    assert!(second.contains("if-range: \"v1\"\r\n"), "{second}");
    assert!(second.contains("authorization: bearer s3cret"), "{second}");
    assert_eq!(left(&harness), ["export.raw"]);
}

#[tokio::test]
async fn another_version_comes_whole() {
    let (old, new) = (content(), vec![7; 2 * MIB]);
    for fields in [&[BINARY, RANGES, ("ETag", "\"v2\"")][..], &[BINARY]] {
        let (upstream, harness) = upstream_and_harness(vec![
            broken(&[BINARY, RANGES, VERSION], old.len(), &old[..2 * MIB]),
            Answer::full(200, fields, &new),
        ])
        .await;
        let (saved, notes) = file(harness.call("export", json!({})).await.unwrap());
        assert!(notes.contains("the server has another version now; it began anew"), "{notes}");
        assert_eq!((saved.size, saved.sha256), (new.len() as u64, sha256(&new)));
        assert_eq!(std::fs::read(&saved.path).unwrap(), new);
        assert_eq!(upstream.requests().len(), 2);
        assert_eq!(left(&harness), ["export.raw"]);
    }
}

#[tokio::test]
async fn a_file_in_an_encoding_that_nobody_asked_for_is_kept_and_told() {
    let fields = [BINARY, ("Content-Encoding", "br")];
    let (_upstream, harness) =
        upstream_and_harness(vec![Answer::full(200, &fields, b"\x8b\x02\x80{}\x03")]).await;
    let (saved, notes) = file(harness.call("export", json!({})).await.unwrap());
    assert_eq!(std::fs::read(&saved.path).unwrap(), b"\x8b\x02\x80{}\x03");
    assert_eq!(notes, "the file is encoded as \"br\", and kept as it came");
}

#[tokio::test]
async fn another_part_than_the_one_that_was_asked_for_is_refused() {
    let whole = content();
    let last = 3 * MIB - 1;
    for (fields, range) in [
        (&[VERSION][..], format!("bytes 0-{last}/{}", 3 * MIB)),
        (&[VERSION], format!("bytes {}-{last}/{}", 2 * MIB, 4 * MIB)),
        (&[VERSION], format!("bytes {}-{}/{}", 2 * MIB, last - 1, 3 * MIB)),
        (&[VERSION], "nonsense".to_owned()),
        (&[("ETag", "\"v2\"")], format!("bytes {}-{last}/{}", 2 * MIB, 3 * MIB)),
        (&[("Content-Encoding", "x")], format!("bytes {}-{last}/{}", 2 * MIB, 3 * MIB)),
    ] {
        let (_upstream, harness) = upstream_and_harness(vec![
            broken(&[BINARY, RANGES, VERSION], whole.len(), &whole[..2 * MIB]),
            rest(fields, &range, &whole[2 * MIB..]),
        ])
        .await;
        let error = harness.call("export", json!({})).await.unwrap_err().for_model();
        assert!(error.starts_with("the download ended after 2097152 bytes: "), "{error}");
        assert!(error.ends_with("nothing was kept"), "{error}");
        assert_eq!(left(&harness), Vec::<String>::new(), "{range}");
    }
}

#[tokio::test]
async fn without_ranges_or_a_strong_validator_nothing_is_kept() {
    let whole = content();
    for fields in [
        &[BINARY][..],
        &[BINARY, VERSION],
        &[BINARY, RANGES],
        &[BINARY, RANGES, ("ETag", "W/\"v1\"")],
    ] {
        let answers = vec![broken(fields, whole.len(), &whole[..2 * MIB])];
        let (upstream, harness) = upstream_and_harness(answers).await;
        let error = harness.call("export", json!({})).await.unwrap_err().for_model();
        assert!(error.ends_with("nothing was kept"), "{error}");
        assert_eq!(upstream.requests().len(), 1, "{fields:?}");
        assert_eq!(left(&harness), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_call_goes_on_with_what_one_before_it_left() {
    let whole = content();
    let range = format!("bytes {}-{}/{}", 2 * MIB, 3 * MIB - 1, 3 * MIB);
    let (upstream, harness) = upstream_and_harness(vec![
        broken(&[BINARY, RANGES, VERSION], whole.len(), &whole[..2 * MIB]),
        Answer::json(404, r#"{"error":"down for maintenance"}"#),
        rest(&[BINARY, VERSION], &range, &whole[2 * MIB..]),
    ])
    .await;
    let error = harness.call("export", json!({})).await.unwrap_err().for_model();
    assert!(error.contains("down for maintenance"), "{error}");
    assert!(error.ends_with("the same call goes on from there"), "{error}");
    assert_eq!(left(&harness), [".store"]);
    let directory = harness.executor.files().directory().to_owned();
    let kept = unfinished(&directory);
    let mark = kept.iter().find(|name| name.ends_with(".unfinished")).unwrap();
    let mark = std::fs::read_to_string(directory.join(WORKSHOP).join(mark)).unwrap();
    assert!(kept.len() == 2 && !mark.contains("s3cret"), "{kept:?} {mark}");
    let (saved, notes) = file(harness.call("export", json!({})).await.unwrap());
    assert_eq!(notes, "2.0 MiB of it were there already, from a call that did not end");
    assert_eq!((saved.size, saved.sha256), (whole.len() as u64, sha256(&whole)));
    assert!(std::fs::read(&saved.path).unwrap() == whole);
    let third = upstream.requests().remove(2).to_lowercase();
    assert!(third.contains(&format!("range: bytes={}-\r\nif-range: \"v1\"", 2 * MIB)), "{third}");
    assert_eq!(left(&harness), ["export.raw"]);
}

#[tokio::test]
async fn a_server_goes_on_with_its_own_files_alone() {
    let whole = content();
    let range = format!("bytes {}-{}/{}", 2 * MIB, 3 * MIB - 1, 3 * MIB);
    let upstream = Upstream::start(vec![
        broken(&[BINARY, RANGES, VERSION], whole.len(), &whole[..2 * MIB]),
        Answer::json(404, "{}"),
        Answer::full(200, &[BINARY, RANGES, VERSION], &whole),
        rest(&[BINARY, VERSION], &range, &whole[2 * MIB..]),
    ])
    .await;
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("files");
    let with = |publishes: bool| {
        let files = |_| {
            let store = FileStore::new(directory.clone());
            if publishes {
                store.publish();
            }
            store
        };
        let credential = Fixed(Ok("s3cret".to_owned()));
        Harness::with_files(TOOLS, &upstream.url(), credential, |_| {}, files)
    };
    let error = with(true).call("export", json!({})).await.unwrap_err().for_model();
    assert!(error.ends_with("the same call goes on from there"), "{error}");
    assert_eq!(names(&directory), [".store"]);
    assert_eq!(unfinished(&directory).len(), 2);
    // A process that saves files elsewhere begins anew, and leaves the part alone.
    let (saved, _) = file(with(false).call("export", json!({})).await.unwrap());
    assert_eq!(saved.path, directory.join("export.raw"));
    assert_eq!(unfinished(&directory).len(), 2);
    let (saved, notes) = file(with(true).call("export", json!({})).await.unwrap());
    assert!(notes.starts_with("2.0 MiB of it were there already"), "{notes}");
    let id = saved.url.unwrap().strip_prefix("/files/").unwrap().to_owned();
    assert_eq!(saved.sha256, sha256(&whole));
    assert_eq!(names(&directory.join(".store")), [id.clone(), format!("{id}.json")]);
    assert!(std::fs::read(directory.join(".store").join(id)).unwrap() == whole);
}

#[tokio::test]
async fn what_one_call_left_of_another_version_is_dropped() {
    let (old, new) = (content(), vec![7; 2 * MIB]);
    let refused = Answer::full(416, &[("Content-Range", "bytes */5")], b"");
    let whole = Answer::full(200, &[BINARY, RANGES, ("ETag", "\"v2\"")], &new);
    for answers in [vec![whole.clone()], vec![refused, whole.clone()]] {
        let first = [
            broken(&[BINARY, RANGES, VERSION], old.len(), &old[..2 * MIB]),
            Answer::json(404, "{}"),
        ];
        let (_upstream, harness) = upstream_and_harness([&first[..], &answers].concat()).await;
        harness.call("export", json!({})).await.unwrap_err();
        let (saved, _) = file(harness.call("export", json!({})).await.unwrap());
        assert_eq!((saved.size, saved.sha256), (new.len() as u64, sha256(&new)));
        assert_eq!(left(&harness), ["export.raw"]);
    }
}

#[tokio::test]
async fn a_full_disk_is_noticed_before_the_first_byte() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 9000000\r\n\r\n";
    let upstream = Upstream::start(vec![Answer::Hang(head.to_vec())]).await;
    let free = |free| {
        move |directory| {
            FileStore::new(directory)
                .with_gauge(Arc::new(move |_| Some(DiskSpace { free, size: 100_000_000 })))
        }
    };
    let credential = || Fixed(Ok(String::new()));
    let harness =
        Harness::with_files(TOOLS, &upstream.url(), credential(), |_| {}, free(13_999_999));
    let error = harness.call("export", json!({})).await.unwrap_err().for_model();
    assert_eq!(
        error,
        "the disk is full: the file has 8.5 MiB, and 8.5 MiB may be written to the directory of \
         files; nothing was kept"
    );
    assert_eq!(harness.files(), Vec::<String>::new());
    upstream.connection_closed().await;
    // One byte more is room enough, and nobody waits for the rest.
    let harness =
        Harness::with_files(TOOLS, &upstream.url(), credential(), |_| {}, free(14_000_000));
    let call = harness.call("export", json!({}));
    tokio::select! {
        outcome = call => panic!("{outcome:?}"),
        () = async { while harness.files().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    // Whoever writes notices that nobody waits.
    while !harness.files().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// A small file system of its own, which only a superuser may have.
#[cfg(target_os = "linux")]
struct Tmpfs(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Tmpfs {
    fn mount(size: &str) -> Self {
        Self::mount_at(tempfile::tempdir().unwrap(), size)
    }

    fn mount_at(directory: tempfile::TempDir, size: &str) -> Self {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(directory.path());
        let done = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        assert!(done, "this user cannot mount");
        Self(directory)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs the right to mount"]
async fn a_disk_that_fills_up_on_the_way_leaves_nothing() {
    let disk = Tmpfs::mount("4m");
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
    let upstream = Upstream::start(vec![Answer::Endless(head.to_vec())]).await;
    // Where the free space is known, and where only writing shows it.
    for knows in [true, false] {
        let directory = disk.0.path().to_owned();
        let files = |_| match knows {
            true => FileStore::new(directory),
            false => FileStore::new(directory).with_gauge(Arc::new(|_| None)),
        };
        let credential = Fixed(Ok(String::new()));
        let harness = Harness::with_files(TOOLS, &upstream.url(), credential, |_| {}, files);
        let error = harness.call("export", json!({})).await.unwrap_err().for_model();
        assert!(error.starts_with("the disk is full: more bytes came"), "{knows}: {error}");
        assert_eq!(left(&harness), Vec::<String>::new());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs the right to mount"]
async fn what_cannot_be_renamed_is_refused_before_it_comes() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("files")).unwrap();
    let other = tempfile::Builder::new().prefix(".store").tempdir_in(home.path()).unwrap();
    // The folder of records is another disk.
    let disk = Tmpfs::mount_at(other, "4m");
    let files = home.path().join("files");
    std::fs::create_dir(files.join(".store")).unwrap();
    let mut bind = Command::new("mount");
    bind.arg("--bind").arg(disk.0.path()).arg(files.join(".store"));
    assert!(bind.status().unwrap().success());
    let upstream = Upstream::start(vec![Answer::full(200, &[BINARY], b"x")]).await;
    let directory = files.clone();
    let credential = Fixed(Ok(String::new()));
    let harness = Harness::with_files(
        TOOLS,
        &upstream.url(),
        credential,
        |_| {},
        |_| FileStore::new(directory),
    );
    let result = harness.call("export", json!({})).await;
    let left = (names(&files), names(&files.join(".store")));
    let unmounted = Command::new("umount").arg(files.join(".store")).status();
    assert!(unmounted.unwrap().success());
    let error = result.unwrap_err().for_model();
    assert!(error.contains("are on different file systems"), "{error}");
    assert_eq!(left, (vec![".store".to_owned()], Vec::new()));
}

#[cfg(unix)]
#[tokio::test]
async fn zeros_take_no_room_on_the_disk() {
    let mut disk = vec![0; 8 * MIB];
    disk[5 * MIB] = 1;
    let (_upstream, harness) =
        upstream_and_harness(vec![Answer::full(200, &[BINARY], &disk)]).await;
    let (saved, _) = file(harness.call("export", json!({})).await.unwrap());
    assert_eq!((saved.size, saved.sha256), (disk.len() as u64, sha256(&disk)));
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&saved.path).unwrap());
    assert!(blocks * 512 < MIB as u64, "{blocks} blocks");
    assert!(std::fs::read(&saved.path).unwrap() == disk);
}

/// The command line in a process of its own.
fn call(upstream: &Upstream, home: &Path) -> Command {
    let descriptor = home.join("fake.dadl");
    std::fs::write(&descriptor, TOOLS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command.args(["call", "export", "--json", "--dadl"]).arg(&descriptor).env_clear();
    command.args(["--url", &upstream.url(), "--files"]).arg(home.join("files"));
    command.env("HOME", home).env("CREDENTIAL_TOKEN", "s3cret");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a call until `size` bytes are on the disk, and marked when another can continue, and returns
/// its process.
async fn until_written(
    upstream: &Upstream,
    home: &Path,
    size: u64,
    continues: bool,
) -> std::process::Child {
    let mut child = call(upstream, home).spawn().unwrap();
    let files = home.join("files");
    loop {
        let written = |name: String| {
            let part = name.ends_with(".part").then(|| files.join(WORKSHOP).join(name))?;
            Some(std::fs::metadata(part).ok()?.len())
        };
        let kept = unfinished(&files);
        let is_marked = !continues || kept.iter().any(|name| name.ends_with(".unfinished"));
        if is_marked && kept.into_iter().filter_map(written).any(|written| written >= size) {
            return child;
        }
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        tokio::task::yield_now().await;
    }
}

/// The start of an answer, and then nothing more.
fn stalled(fields: &[(&str, &str)], whole: &[u8], start: usize) -> Answer {
    let Answer::Close(bytes) = broken(fields, whole.len(), &whole[..start]) else { unreachable!() };
    Answer::Hang(bytes)
}

pub(crate) async fn output(child: std::process::Child) -> (Option<i32>, String, String) {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_continued_by_the_next_one() {
    let home = tempfile::tempdir().unwrap();
    let whole = content();
    let range = format!("bytes {}-{}/{}", 2 * MIB, 3 * MIB - 1, 3 * MIB);
    let upstream = Upstream::start(vec![
        stalled(&[BINARY, RANGES, VERSION], &whole, 2 * MIB),
        rest(&[BINARY, VERSION], &range, &whole[2 * MIB..]),
    ])
    .await;
    let mut child = until_written(&upstream, home.path(), 2 * MIB as u64, true).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let files = home.path().join("files");
    assert_eq!(names(&files), [".store"], "nothing has a final name");
    let (code, out, err) = output(call(&upstream, home.path()).spawn().unwrap()).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&sha256(&whole)), "{out}");
    assert!(err.contains("2.0 MiB of it were there already"), "{err}");
    let second = upstream.requests().remove(1).to_lowercase();
    assert!(second.contains(&format!("range: bytes={}-\r\n", 2 * MIB)), "{second}");
    assert_eq!(names(&files), ["export.raw"]);
    assert!(std::fs::read(files.join("export.raw")).unwrap() == whole);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_is_removed_where_the_server_sends_no_parts() {
    let home = tempfile::tempdir().unwrap();
    let whole = content();
    let upstream = Upstream::start(vec![
        stalled(&[BINARY], &whole, 2 * MIB),
        Answer::full(200, &[BINARY], &whole),
    ])
    .await;
    let mut child = until_written(&upstream, home.path(), 2 * MIB as u64, false).await;
    // As long as it lives, another call leaves its file alone.
    let (code, out, err) = output(call(&upstream, home.path()).spawn().unwrap()).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("export.raw\""), "{out}");
    let files = home.path().join("files");
    assert_eq!(names(&files), [".store", "export.raw"]);
    assert_eq!(unfinished(&files).len(), 1);
    child.kill().unwrap();
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    child.wait().unwrap();
    let (code, out, err) = output(call(&upstream, home.path()).spawn().unwrap()).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("export-2.raw\""), "nothing is replaced: {out}");
    assert!(!upstream.requests().remove(2).to_lowercase().contains("range:"));
    assert_eq!(names(&files), ["export-2.raw", "export.raw"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_call_says_what_it_leaves() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        if signal != "-HUP" || !crate::ending::ignores_hangup() {
            interrupted(signal, code).await;
        }
    }
}

#[cfg(unix)]
async fn interrupted(signal: &str, expected: i32) {
    let home = tempfile::tempdir().unwrap();
    let whole = content();
    let upstream =
        Upstream::start(vec![stalled(&[BINARY, RANGES, VERSION], &whole, 2 * MIB)]).await;
    let child = until_written(&upstream, home.path(), 2 * MIB as u64, true).await;
    let interrupt = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let (code, _, err) = output(child).await;
    assert_eq!(code, Some(expected), "{err}");
    assert!(err.contains("interrupted: the transfer stopped and nothing was kept"), "{err}");
    let files = home.path().join("files");
    assert!(names(&files).is_empty());
    upstream.connection_closed().await;
}
