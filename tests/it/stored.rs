//! What `setup` has stored goes where a person has seen it go, and nowhere else.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    setup::{Home, ROTATING, Run, rotating},
    upstream::{Answer, Upstream},
};

const BEARER: &str = "type: bearer, credential: fake_token";
const TOKEN: &str = "s3cr3t-token-value";

async fn upstream() -> Upstream {
    Upstream::start(vec![Answer::json(200, "[]")]).await
}

fn told(run: &Run, code: i32, text: &str) {
    let (out, err) = (&run.out, &run.err);
    assert_eq!(run.code, code, "{out}{err}");
    assert!(out.contains(text) || err.contains(text), "{text}: {out}{err}");
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN));
}

/// The requests that came with the token.
fn received(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.contains(TOKEN)).count()
}

#[tokio::test]
async fn a_stored_credential_stays_at_the_address_of_its_setup() {
    let (first, second) = (upstream().await, upstream().await);
    let home = Home::new(BEARER, "", &first.url());
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    told(&home.run(&["call", "get"], "").await, 0, "");
    home.describe(BEARER, "", &second.url());
    let refused = format!(
        "the stored credential `fake_token` of backend \"fake\" goes to http://{} only, not to \
         http://{}; if it should, run `dadl-mcp setup fake --dadl fake.dadl --url {}`",
        first.address,
        second.address,
        second.url()
    );
    told(&home.run(&["call", "get"], "").await, 3, &refused);
    told(&home.run(&["doctor"], "").await, 1, "goes to http://");
    // Keeping it is not agreeing, and nobody is asked where there is no terminal.
    told(&home.run(&["setup"], "\n").await, 2, "--yes agrees that it goes to");
    told(&home.run(&["setup", "--from-env"], "").await, 3, "--yes agrees");
    assert_eq!(received(&second), 0);
    told(&home.run(&["setup", "--yes"], "").await, 0, "stored `fake_token`");
    told(&home.run(&["call", "get"], "").await, 0, "");
    assert_eq!(received(&second), 2);
    // It has moved.
    let before = received(&first);
    home.describe(BEARER, "", &first.url());
    told(&home.run(&["call", "get"], "").await, 3, "goes to http://");
    assert_eq!(received(&first), before);
    // A value that is entered here is for here.
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    told(&home.run(&["call", "get"], "").await, 0, "");
}

#[tokio::test]
async fn a_descriptor_of_the_same_name_does_not_send_it_elsewhere() {
    let (upstream, evil) = (upstream().await, upstream().await);
    let home = Home::new(BEARER, "", &upstream.url());
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    let login = "type: oauth2, token_url: HOST/token, client_id_credential: fake_token, \
                 client_secret_credential: fake_token";
    home.describe(login, &evil.url(), &upstream.url());
    let home = home.reaching(evil.address);
    let refused = format!("not to http://{}", evil.address);
    told(&home.run(&["call", "get"], "").await, 3, &refused);
    assert_eq!(evil.requests(), Vec::<String>::new());
}

/// Writes a store as the version before did, and settings for the backend at `url`.
fn older(home: &Home, settings: &Path, url: &str) {
    fs::create_dir_all(home.store().parent().unwrap()).unwrap();
    let store = json!({ "version": 1, "backends": { "fake": { "fake_token": { "value": TOKEN }}}});
    fs::write(home.store(), store.to_string()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(home.store(), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let descriptor = home.path().join("fake.dadl");
    write_settings(settings, &descriptor, url);
}

fn write_settings(settings: &Path, descriptor: &Path, url: &str) {
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let text =
        format!("backends: [{{name: fake, dadl: '{}', url: '{url}'}}]\n", descriptor.display());
    fs::write(settings, text).unwrap();
}

fn origins(home: &Home) -> Value {
    let text = fs::read_to_string(home.store()).unwrap();
    let store: Value = serde_json::from_str(&text).unwrap();
    store["backends"]["fake"]["fake_token"]["origins"].clone()
}

#[tokio::test]
async fn a_store_of_the_version_before_goes_on_and_is_bound_once() {
    for (settings, flags) in
        [(".config/dadl-mcp/backends.yaml", &[][..]), ("my.yaml", &["--config", "my.yaml"][..])]
    {
        let (first, second) = (upstream().await, upstream().await);
        let home = Home::new(BEARER, "", &first.url());
        let settings = home.path().join(settings);
        older(&home, &settings, &first.url());
        let call = [&["call", "get"], flags].concat();
        // Flags decide nothing.
        let command = format!("run `dadl-mcp setup fake --dadl fake.dadl --url {}`", first.url());
        told(&home.run(&["call", "get"], "").await, 3, &command);
        told(&home.run(&["setup"], "\n").await, 2, "without an address to which it may go");
        assert_eq!((origins(&home), received(&first)), (Value::Null, 0));
        // Nobody has to do anything who has written down where the backend is.
        told(&home.run_alone(&call).await, 0, "");
        assert_eq!(origins(&home), json!([format!("http://{}", first.address)]));
        assert_eq!(received(&first), 1);
        told(&home.run(&["call", "get"], "").await, 0, "");
        // Once.
        write_settings(&settings, &home.path().join("fake.dadl"), &second.url());
        told(&home.run_alone(&call).await, 3, "goes to http://");
        assert_eq!(received(&second), 0);
        let setup = [&["setup", "--yes"], flags].concat();
        told(&home.run_alone(&setup).await, 0, "stored `fake_token`");
        told(&home.run_alone(&call).await, 0, "");
    }
}

#[tokio::test]
async fn a_person_binds_what_flags_do_not() {
    let upstream = upstream().await;
    let home = Home::new(BEARER, "", &upstream.url());
    older(&home, &home.path().join("unused.yaml"), &upstream.url());
    told(&home.run(&["setup", "--yes"], "").await, 0, "stored `fake_token`");
    assert_eq!(origins(&home), json!([format!("http://{}", upstream.address)]));
    told(&home.run(&["call", "get"], "").await, 0, "");
}

#[tokio::test]
async fn setup_with_settings_binds_what_it_keeps() {
    let upstream = upstream().await;
    let home = Home::new(BEARER, "", &upstream.url());
    older(&home, &home.path().join("my.yaml"), &upstream.url());
    let run = home.run_alone_with(&["setup", "--config", "my.yaml"], "\n").await;
    told(&run, 0, "stored `fake_token`");
    assert_eq!(origins(&home), json!([format!("http://{}", upstream.address)]));
}

#[tokio::test]
async fn a_refresh_token_that_came_at_run_time_is_bound_too() {
    let (login, api) = rotating().await;
    let evil = upstream().await;
    let at = format!("http://{}", login.address);
    let home = Home::new(ROTATING, &at, &api.url())
        .reaching(login.address)
        .with("CREDENTIAL_FAKE_ID", "client-7")
        .with("CREDENTIAL_FAKE_REFRESH", "refresh-token-0");
    told(&home.run(&["call", "get"], "").await, 0, "");
    assert_eq!(home.stored("fake_refresh").as_deref(), Some("refresh-token-1"));
    let before = fs::read_to_string(home.store()).unwrap();
    // The one that the server gave stays with it, and is not lost to another.
    home.describe(ROTATING, &evil.url(), &api.url());
    let home = home.reaching(evil.address);
    told(&home.run(&["call", "get"], "").await, 3, "goes to http://");
    let home = home.with("CREDENTIAL_FAKE_REFRESH", "");
    told(&home.run(&["call", "get"], "").await, 3, "goes to http://");
    assert_eq!(evil.requests(), Vec::<String>::new());
    assert_eq!(fs::read_to_string(home.store()).unwrap(), before);
}

#[tokio::test]
async fn what_is_stored_is_listed_without_values_and_removed() {
    let upstream = upstream().await;
    let home = Home::new(BEARER, "", &upstream.url());
    let run = home.run_alone(&["setup", "--list"]).await;
    assert_eq!((run.code, &*run.out), (0, "{\"backends\":[]}\n"));
    told(&home.run(&["setup"], &format!("{TOKEN}\n")).await, 0, "stored `fake_token`");
    let run = home.run_alone(&["setup", "--list", "--json"]).await;
    told(&run, 0, "");
    let shown: Value = serde_json::from_str(&run.out).unwrap();
    let expected = json!({ "backends": [{
        "backend": "fake", "place": "file", "where": home.store(),
        "credentials": { "fake_token": [format!("http://{}", upstream.address)] },
    }]});
    assert_eq!(shown, expected);
    told(&home.run_alone(&["setup", "fakee", "--forget"]).await, 2, "did you mean `fake`?");
    let run = home.run_alone(&["setup", "--forget", "fake"]).await;
    told(&run, 0, "removed `fake_token` of backend \"fake\" from /");
    assert_eq!(home.stored("fake_token"), None);
    told(&home.run(&["call", "get"], "").await, 3, "is not set");
    told(&home.run_alone(&["setup", "--forget", "fake"]).await, 2, "nothing is stored");
    told(&home.run_alone(&["setup", "--forget"]).await, 2, "BACKEND");
}

/// A process that is killed anywhere leaves what was there, or what it was to write.
#[tokio::test]
async fn a_setup_that_is_killed_loses_nothing() {
    let upstream = upstream().await;
    let home = Home::new(BEARER, "", &upstream.url());
    told(&home.run(&["setup", "--no-check"], "value-0\n").await, 0, "stored `fake_token`");
    let new = home.store().with_extension("json.new");
    let (mut last, mut kept) = (0, 0);
    for number in 1..=24_u32 {
        let mut command = home.command(&["setup", "--no-check", "--from-env"]);
        command.env("CREDENTIAL_FAKE_TOKEN", format!("value-{number}"));
        let mut child = command.spawn().unwrap();
        match number % 4 {
            // It gets to the end.
            0 => assert!(child.wait().await.unwrap().success()),
            // It has hardly begun.
            1 => child.kill().await.unwrap(),
            // It has looked at the store.
            2 => {
                let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
                log.next_line().await.unwrap();
                child.kill().await.unwrap();
            }
            // It writes.
            _ => {
                while !new.exists() && child.try_wait().unwrap().is_none() {
                    tokio::task::yield_now().await;
                }
                child.kill().await.unwrap();
            }
        }
        let found = home.stored("fake_token").unwrap();
        if found == format!("value-{number}") {
            (last, kept) = (number, kept + 1);
        }
        assert_eq!(found, format!("value-{last}"));
    }
    assert!(kept >= 6, "{kept}");
    told(&home.run_alone(&["setup", "--list"]).await, 0, "fake_token");
}
