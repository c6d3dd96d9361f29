//! Files that somebody else could have written: the credential store, files of secrets, settings
//! that are found without being named.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use crate::{
    setup::{Home, Run},
    upstream::{Answer, Upstream},
};

const BEARER: &str = "type: bearer, credential: fake_token";
const TOKEN: &str = "s3cr3t-token-value";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn told(run: &Run, code: i32, text: &str) {
    let (out, err) = (&run.out, &run.err);
    assert_eq!(run.code, code, "{out}{err}");
    assert!(out.contains(text) || err.contains(text), "{text}: {out}{err}");
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN));
}

async fn bench() -> (Home, Upstream) {
    let upstream = Upstream::start(vec![Answer::json(200, "[]")]).await;
    (Home::new(BEARER, "", &upstream.url()), upstream)
}

/// Lets a file belong to somebody else; only root can.
fn is_given_away(path: &Path) -> bool {
    std::os::unix::fs::lchown(path, Some(12345), None).is_ok()
}

fn take_back(path: &Path) {
    std::os::unix::fs::lchown(path, Some(0), None).unwrap();
}

#[tokio::test]
async fn the_store_is_that_of_its_user_and_so_is_the_way_to_it() {
    let (home, upstream) = bench().await;
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    let count = upstream.requests().len();
    let state = home.store().parent().unwrap().to_owned();
    let above: Vec<PathBuf> = state.ancestors().take(3).map(Path::to_owned).collect();
    for directory in &above {
        let (usual, name) = (fs::metadata(directory).unwrap().permissions(), directory.display());
        for open in [0o777, 0o702] {
            mode(directory, open);
            let refused = format!("every user can write to {name}; run `chmod go-w {name}`");
            told(&home.run(&["call", "get"], "").await, 3, &refused);
            told(&home.run(&["setup"], "new\n").await, 3, &refused);
            told(&home.run_alone(&["setup", "--list"]).await, 3, &refused);
            told(&home.run_alone(&["setup", "--forget", "fake"]).await, 3, &refused);
            told(&home.run(&["doctor"], "").await, 1, &refused);
        }
        fs::set_permissions(directory, usual).unwrap();
    }
    for path in above.iter().chain([&home.store()]) {
        if is_given_away(path) {
            let refused = format!("{} belongs to user 12345, and this process", path.display());
            told(&home.run(&["call", "get"], "").await, 3, &refused);
            told(&home.run(&["setup"], "new\n").await, 3, &refused);
            take_back(path);
        }
    }
    // Others may put files into a sticky directory, but never beside the store.
    mode(&above[1], 0o1777);
    told(&home.run(&["call", "get"], "").await, 0, "");
    mode(&above[0], 0o1777);
    told(&home.run(&["setup"], "new\n").await, 3, "every user can write to");
    mode(&above[0], 0o700);
    mode(&above[1], 0o755);
    assert_eq!(upstream.requests().len(), count + 1);
    assert_eq!(home.stored("fake_token").as_deref(), Some(TOKEN));
}

#[tokio::test]
async fn links_to_the_store_are_followed_and_judged() {
    let (home, _upstream) = bench().await;
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    let elsewhere = home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    mode(&elsewhere, 0o755);
    let moved = elsewhere.join("store.json");
    fs::rename(home.store(), &moved).unwrap();
    symlink(&moved, home.store()).unwrap();
    told(&home.run(&["call", "get"], "").await, 0, "");
    mode(&elsewhere, 0o777);
    let refused =
        format!("every user can write to {}", elsewhere.canonicalize().unwrap().display());
    told(&home.run(&["call", "get"], "").await, 3, &refused);
    mode(&elsewhere, 0o755);
    if is_given_away(&home.store()) {
        told(&home.run(&["call", "get"], "").await, 3, "belongs to user 12345");
        take_back(&home.store());
    }
    if is_given_away(&moved) {
        told(&home.run(&["call", "get"], "").await, 3, "belongs to user 12345");
    }
}

#[tokio::test]
async fn a_file_of_a_secret_is_not_one_that_others_can_write() {
    let (home, _upstream) = bench().await;
    let file = home.path().join("token");
    fs::write(&file, TOKEN).unwrap();
    let path = file.display().to_string();
    let home = home.with("CREDENTIAL_FAKE_TOKEN_FILE", &path);
    // As container runtimes mount secrets: everybody may read them.
    for usual in [0o400, 0o440, 0o444, 0o600, 0o640, 0o644] {
        mode(&file, usual);
        told(&home.run(&["call", "get"], "").await, 0, "");
    }
    for open in [0o602, 0o666, 0o777] {
        mode(&file, open);
        let refused = format!(
            "CREDENTIAL_FAKE_TOKEN_FILE: {path} cannot be trusted: every user can write to {path}"
        );
        told(&home.run(&["call", "get"], "").await, 3, &refused);
        let serve = ["serve", "--http", "0", "--http-token-file", "token"];
        told(&home.run(&serve, "").await, 3, "--http-token-file: token cannot be trusted");
    }
    mode(&file, 0o600);
    if is_given_away(&file) {
        told(&home.run(&["call", "get"], "").await, 3, "belongs to user 12345");
        take_back(&file);
    }
    // A volume of Kubernetes: a sticky directory for all, and links in it.
    let volume = home.path().join("volume");
    fs::create_dir_all(volume.join("..2026")).unwrap();
    fs::rename(&file, volume.join("..2026/token")).unwrap();
    symlink("..2026", volume.join("..data")).unwrap();
    symlink("..data/token", volume.join("token")).unwrap();
    mode(&volume, 0o1777);
    let home = home.with("CREDENTIAL_FAKE_TOKEN_FILE", "volume/token");
    let run = home.run(&["call", "get"], "").await;
    told(&run, 0, "");
    assert!(!run.err.contains("replaced"), "{}", run.err);
    mode(&volume, 0o777);
    told(&home.run(&["call", "get"], "").await, 0, "may be replaced by another file");
}

#[tokio::test]
async fn what_is_found_without_being_named_is_not_anybodys() {
    let (home, upstream) = bench().await;
    let home = home.with("CREDENTIAL_FAKE_TOKEN", TOKEN);
    let folder = home.path().join(".config/dadl-mcp");
    fs::create_dir_all(folder.join("descriptors")).unwrap();
    let descriptor = folder.join("descriptors/mine.dadl");
    fs::copy(home.path().join("fake.dadl"), &descriptor).unwrap();
    let settings = folder.join("backends.yaml");
    let text = format!("backends: [{{name: fake, dadl: mine, url: '{}'}}]\n", upstream.url());
    fs::write(&settings, text).unwrap();
    let call = ["call", "get"];
    told(&home.run_alone(&call).await, 0, "");
    for (path, usual) in [
        (&settings, 0o644),
        (&folder, 0o755),
        (&folder.join("descriptors"), 0o755),
        (&descriptor, 0o644),
    ] {
        mode(path, usual | 0o002);
        let refused = format!("cannot be trusted: every user can write to {}", path.display());
        told(&home.run_alone(&call).await, 3, &refused);
        told(&home.run_alone(&["doctor", "--json"]).await, 1, "cannot be trusted");
        mode(path, usual);
    }
    // Somebody else's in a directory where everybody can put something, such as `HOME=/tmp`.
    mode(&folder, 0o1777);
    told(&home.run_alone(&call).await, 0, "");
    if is_given_away(&settings) {
        told(&home.run_alone(&call).await, 3, "belongs to user 12345");
        // Where nobody else can put anything, the user has let it be there, as containers do.
        mode(&folder, 0o755);
        told(&home.run_alone(&call).await, 0, "");
    }
    assert!(upstream.requests().iter().all(|request| request.contains(TOKEN)));
}

#[tokio::test]
async fn what_is_named_counts_and_is_told_when_anybody_could_change_it() {
    let (home, upstream) = bench().await;
    let home = home.with("CREDENTIAL_FAKE_TOKEN", TOKEN);
    for name in ["my.yaml", "ca.pem"] {
        let text = format!(
            "backends: [{{name: fake, dadl: ./fake.dadl, url: '{}', ca_file: ca.pem}}]\n",
            upstream.url()
        );
        fs::write(home.path().join("my.yaml"), text).unwrap();
        let key = rcgen::generate_simple_self_signed(["x.example".to_owned()]).unwrap();
        fs::write(home.path().join("ca.pem"), key.cert.pem()).unwrap();
        mode(&home.path().join(name), 0o666);
        let run = home.run_alone(&["call", "get", "--config", "my.yaml"]).await;
        let path = home.path().join(name).canonicalize().unwrap();
        let told_so = format!("{name} is used, but every user can write to {}", path.display());
        told(&run, 0, &told_so);
        assert_eq!(run.err.matches("every user").count(), 1, "{}", run.err);
        mode(&home.path().join(name), 0o644);
    }
}
