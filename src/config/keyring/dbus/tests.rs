//! A fake service on a real socket.

use std::{os::unix::net::UnixListener, thread};

use secrecy::ExposeSecret as _;

use super::*;
use crate::config::keyring::{Keyring as _, KeyringError, OsKeyring};

/// What a fake service says to a method, and whether a prompt ends before that.
enum Said {
    Values(&'static str, fn(&mut Writer)),
    Ended(bool),
    Error(&'static str),
    TooMuch,
}

fn message(kind: u8, fields: impl FnOnce(&mut Writer), types: &str, body: &Writer) -> Vec<u8> {
    let mut message = Writer::default();
    message.bytes.extend([b'l', kind, 0, 1]);
    message.number(body.bytes.len().try_into().unwrap());
    message.number(7);
    message.array(8, |all| {
        text_field(all, 7, "s", ":1.9");
        fields(all);
        all.align(8);
        all.bytes.push(8);
        all.signature("g");
        all.signature(types);
    });
    message.align(8);
    message.bytes.extend(&body.bytes);
    message.bytes
}

fn text_field(fields: &mut Writer, code: u8, kind: &str, text: &str) {
    fields.align(8);
    fields.bytes.push(code);
    fields.signature(kind);
    fields.text(text);
}

fn reply_to(serial: u32) -> impl Fn(&mut Writer) {
    move |fields| {
        fields.align(8);
        fields.bytes.push(5);
        fields.signature("u");
        fields.number(serial);
    }
}

fn sent(said: Said, serial: u32) -> Vec<u8> {
    let mut body = Writer::default();
    match said {
        Said::Values(types, write) => {
            write(&mut body);
            message(METHOD_RETURN, reply_to(serial), types, &body)
        }
        Said::Ended(dismissed) => {
            body.boolean(dismissed);
            body.signature("s");
            body.text("");
            let fields = |fields: &mut Writer| {
                text_field(fields, 1, "o", "/prompt");
                text_field(fields, 2, "s", "org.freedesktop.Secret.Prompt");
                text_field(fields, 3, "s", "Completed");
            };
            let mut bytes = message(SIGNAL, fields, "bv", &body);
            bytes.extend(message(METHOD_RETURN, reply_to(serial), "", &Writer::default()));
            bytes
        }
        Said::Error(name) => {
            body.text("no\u{1b} such thing");
            let fields = |fields: &mut Writer| {
                text_field(fields, 4, "s", name);
                reply_to(serial)(fields);
            };
            message(ERROR, fields, "s", &body)
        }
        Said::TooMuch => {
            let mut bytes = message(METHOD_RETURN, reply_to(serial), "", &body);
            bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
            bytes
        }
    }
}

/// Asks a fake service for a secret; returns what came of it and the methods that were called.
fn ask(said: fn(&str) -> Said) -> (Result<Option<String>, KeyringError>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("the bus");
    let listener = UnixListener::bind(&path).unwrap();
    let service = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let mut bus = Connection { stream, until, serial: 0, signals: Vec::new() };
        let mut hello = Vec::new();
        while !hello.ends_with(b"BEGIN\r\n") {
            let mut byte = [0];
            bus.read(&mut byte).unwrap();
            hello.extend(byte);
            if hello.ends_with(b"\r\n") && !hello.ends_with(b"BEGIN\r\n") {
                bus.write(b"OK 0123456789abcdef\r\n").unwrap();
            }
        }
        assert!(hello.starts_with(b"\0AUTH EXTERNAL 3"), "{hello:?}");
        let mut called = Vec::new();
        while let Ok(message) = bus.receive() {
            let serial = u32::try_from(called.len() + 1).unwrap();
            let bytes = sent(said(&message.member), serial);
            called.push(format!("{} {}", message.path, message.member));
            bus.write(&bytes).unwrap();
        }
        called
    });
    let address = format!("unix:path={}", path.display()).replace(' ', "%20");
    let environment = [("DBUS_SESSION_BUS_ADDRESS", &*address)].into_iter().collect();
    let found = OsKeyring::new(&environment).get("account");
    let found = found.map(|it| it.map(|it| it.expose_secret().to_owned()));
    (found, service.join().unwrap())
}

fn usual(method: &str) -> Said {
    match method {
        "Hello" => Said::Values("s", |body| body.text(":1.1")),
        "OpenSession" => Said::Values("vo", |body| {
            body.signature("s");
            body.text("");
            body.text("/session");
        }),
        "SearchItems" => Said::Values("aoao", |body| {
            body.array(4, |_| ());
            body.array(4, |items| items.text("/item"));
        }),
        "Unlock" => Said::Values("aoo", |body| {
            body.array(4, |_| ());
            body.text("/prompt");
        }),
        "AddMatch" => Said::Values("", |_| ()),
        "Prompt" => Said::Ended(false),
        "GetSecret" => Said::Values("(oayays)", |body| {
            body.structure();
            body.text("/session");
            body.blob(&[]);
            body.blob("s3cr3t ☃".as_bytes());
            body.text("text/plain");
        }),
        other => panic!("{other}"),
    }
}

#[test]
fn a_locked_item_is_unlocked_by_a_prompt_and_read() {
    let (found, called) = ask(usual);
    assert_eq!(found.unwrap().as_deref(), Some("s3cr3t ☃"));
    let service = "/org/freedesktop/secrets";
    assert_eq!(
        called,
        [
            "/org/freedesktop/DBus Hello",
            &format!("{service} OpenSession"),
            &format!("{service} SearchItems"),
            &format!("{service} Unlock"),
            "/org/freedesktop/DBus AddMatch",
            "/prompt Prompt",
            "/item GetSecret",
        ]
    );
}

#[test]
fn a_prompt_that_was_dismissed_leaves_it_locked() {
    let said = |method: &str| if method == "Prompt" { Said::Ended(true) } else { usual(method) };
    assert_eq!(ask(said).0.unwrap_err(), KeyringError::Locked);
}

#[test]
fn a_bus_without_a_service_is_told() {
    let (found, _) = ask(|method| match method {
        "OpenSession" => Said::Error("org.freedesktop.DBus.Error.ServiceUnknown"),
        other => usual(other),
    });
    assert!(matches!(found, Err(KeyringError::Absent(_))), "{found:?}");
}

#[test]
fn an_error_is_shown_without_its_controls() {
    let (found, _) = ask(|method| match method {
        "GetSecret" => Said::Error("org.example.Odd"),
        other => usual(other),
    });
    let error = found.unwrap_err().to_string();
    assert!(error.starts_with("failed: org.example.Odd: no"), "{error}");
    assert!(!error.contains('\u{1b}'), "{error}");
}

#[test]
fn a_message_that_is_too_long_is_not_waited_for() {
    let (found, _) = ask(|method| match method {
        "SearchItems" => Said::TooMuch,
        other => usual(other),
    });
    assert!(matches!(found, Err(KeyringError::Failed(_))), "{found:?}");
}

#[test]
fn a_text_that_ends_too_early_is_none() {
    let mut reader = Reader::new(&[9, 0, 0, 0, b'x'], false);
    assert!(reader.text().is_err());
    let mut reader = Reader::new(&[0, 0, 0, 1, b'x', 0], true);
    assert_eq!(reader.text().unwrap(), "x");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_a_bus_sends_is_read_within_its_bytes(
        head in proptest::collection::vec(0_u8..0x80, 0..80),
        kinds in "[ybiuhsogaxtd({v]{0,3}",
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
        big_endian: bool,
    ) {
        let mut message = Message { big_endian, body, ..Message::default() };
        let _ = message.take_fields(&head);
        let _ = (message.reader().paths(), message.reader().blob(), message.reader().text());
        let mut reader = message.reader();
        while reader.skip(&kinds).is_ok() && reader.at < message.body.len() {}
        let read = reader.at;
        proptest::prop_assert!(read <= message.body.len().next_multiple_of(8));
        let _ = message.answered();
    }
}
