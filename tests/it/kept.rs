//! Files that are not ours: what lies in the directory of files is kept whatever its name and its age,
//! and so is what appears there during a download.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use crate::{
    downloads::{TOOLS, names, output},
    upstream::{Answer, Upstream},
};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn command(url: &str, home: &Path, arguments: &[&str]) -> Command {
    let descriptor = home.join("fake.dadl");
    fs::write(&descriptor, TOOLS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
    command.args(arguments).arg("--dadl").arg(&descriptor).env_clear();
    command.args(["--url", url, "--files"]).arg(home.join("files"));
    command.env("HOME", home).env("CREDENTIAL_TOKEN", "s3cret");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn old_files_of_others_are_there_after_a_start() {
    let home = tempfile::tempdir().unwrap();
    let files = home.path().join("files");
    let id = "0123456789abcdef".repeat(2);
    let theirs = [
        "holiday.iso.part".to_owned(),
        "export.raw.part".to_owned(),
        format!("{id}.part"),
        format!(".store/{id}"),
        format!(".store/{id}.part"),
        format!(".store/{id}.json.part"),
        ".store/notes.part".to_owned(),
        ".store/mine.txt".to_owned(),
    ];
    fs::create_dir_all(files.join(".store")).unwrap();
    for name in &theirs {
        fs::write(files.join(name), name).unwrap();
        let file = File::options().write(true).open(files.join(name)).unwrap();
        file.set_modified(SystemTime::now() - YEAR).unwrap();
    }
    let answer = Answer::full(200, &[("Content-Type", "application/octet-stream")], b"new");
    let upstream = Upstream::start(vec![answer]).await;
    for arguments in [&["serve"][..], &["call", "export"]] {
        let child = command(&upstream.url(), home.path(), arguments).spawn().unwrap();
        let (code, _, err) = output(child).await;
        assert_eq!(code, Some(0), "{err}");
        for name in &theirs {
            let text = fs::read_to_string(files.join(name)).ok();
            assert_eq!(text.as_ref(), Some(name), "after {arguments:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_appears_during_a_download_is_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let files = home.path().join("files");
    let backend = Upstream::by_hand().await;
    let child =
        command(&backend.origin(), home.path(), &["call", "export", "--json"]).spawn().unwrap();
    let mut asked = backend.asked().await;
    let start = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 8\r\n\
                 Connection: close\r\n\r\nthe ";
    asked.send(start).await;
    // It has begun when there is an unfinished file, wherever that is.
    while !["", ".store", ".store/unfinished"]
        .into_iter()
        .any(|folder| names(&files.join(folder)).iter().any(|name| name.ends_with(".part")))
    {
        tokio::task::yield_now().await;
    }
    fs::write(files.join("export.raw"), "the work of a person").unwrap();
    asked.send("rest").await;
    let (code, out, err) = output(child).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(fs::read_to_string(files.join("export.raw")).unwrap(), "the work of a person");
    assert_eq!(fs::read_to_string(files.join("export-2.raw")).unwrap(), "the rest");
    assert!(out.contains("export-2.raw\""), "{out}");
}
