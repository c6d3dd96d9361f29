//! What is masked, and what is not.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dadl_text::text::MASK;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    MaskedWriter, Secrets,
    spell::{self, ByteChoices, says},
};

const SECRET: &str = "s3cr3t/T0ken+\"q&x";

fn secrets(values: &[&str]) -> Secrets {
    let secrets = Secrets::default();
    for value in values {
        secrets.add("api_token", value);
    }
    secrets
}

#[track_caller]
fn hides(text: &str, expected: &str) {
    let clean = secrets(&[SECRET]).text(text).into_owned();
    assert_eq!(clean, expected, "{text}");
}

/// Memory is bounded for what was made of secrets, too: no place is told then.
#[test]
fn a_text_that_is_made_of_secrets_is_one() {
    let secrets = Secrets::default();
    secrets.add("token", "hunter22-secret");
    let many = 600_000;
    let json = format!("[{}0]", "\"hunter22-secret\",".repeat(many));
    assert_eq!(secrets.json(&json), "\"[REDACTED]\"");
    assert_eq!(secrets.masked_json(json.clone()), "\"[REDACTED]\"");
    assert_eq!(&secrets.body(json.into())[..], b"\"[REDACTED]\"");
    let text = "hunter22-secret ".repeat(many);
    assert_eq!(secrets.text(&text), "[REDACTED]");
    assert_eq!(secrets.masked(text.clone()), "[REDACTED]");
    assert_eq!(&secrets.body(text.into())[..], b"[REDACTED]");
    let message = format!("{{\"id\":1,\"result\":\"{}\"}}", "hunter22-secret ".repeat(many));
    let message = secrets.message(message.into_bytes());
    assert_eq!(message, br#"{"id":1,"result":"[REDACTED]"}"#);
    // Short ones count alike.
    let secrets = Secrets::default();
    secrets.add("pin", "q7x");
    let json = format!("[{}0]", "\"q7x\",".repeat(many));
    assert_eq!(secrets.json(&json), "\"[REDACTED]\"");
}

/// Hidden characters leave no text in a row by which digits would be told from a digest.
#[test]
fn digits_hide_no_secret_behind_what_nobody_sees() {
    let digits = |text: String| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for gap in ["\u{200b}", "\u{ad}", "\u{2060}", "\u{feff}"] {
        let letters: Vec<String> = SECRET.chars().map(String::from).collect();
        let apart = letters.join(gap);
        hides(&format!("x {} y", digits(apart.clone())), "x [REDACTED] y");
        hides(&format!("x 7{} y", digits(apart.replace('s', "%73"))), "x 7[REDACTED] y");
    }
}

#[test]
fn usual_spellings_are_masked() {
    hides(&format!("a {SECRET} b"), "a [REDACTED] b");
    hides(r"a s3cr3t\/T0ken+\u0022q\u0026x b", "a [REDACTED] b");
    hides("s3cr3t%2FT0ken%2b%22q%26x", "[REDACTED]");
    hides("s3cr3t%252FT0ken%252b%2522q%2526x.", "[REDACTED].");
    hides("s3cr3t&sol;T0ken&#43;&quot;q&amp;x", "[REDACTED]");
    hides(r"s3cr3t%5cu002fT0ken+%5c%22q&amp;x", "[REDACTED]");
    let wide = |text: &str| -> String { text.chars().flat_map(|c| [c, '\0']).collect() };
    hides(&wide(SECRET), &wide("[REDACTED]"));
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02X}")).collect();
    hides(&format!("<{hex}>"), "<[REDACTED]>");
    let pair = STANDARD.encode(format!("user:{SECRET}"));
    hides(&format!("Basic {pair}"), "Basic dXNlcj[REDACTED]==");
}

#[test]
fn what_stands_around_an_escape_is_whole() {
    let secrets = secrets(&["nabcdefgh", "0012345678"]);
    for body in [r#"{"a":"\nabcdefgh"}"#, r#"{"a":"x\u0012345678"}"#, r#"["\\nabcdefgh\\"]"#] {
        let clean = secrets.body(body.as_bytes().to_vec().into());
        let value: Value = serde_json::from_slice(&clean).unwrap();
        assert!(!value.to_string().contains("abcdefgh") && !value.to_string().contains("345678"));
    }
}

#[test]
fn json_stays_json() {
    let evil = r#"","b":"x"#;
    let secrets = secrets(&[evil, "1234567890", "longer-secret"]);
    let body = r#"{"a":"","b":"x","n":1234567890,"m":[5,1234567890],"longer-secret":true}"#;
    let clean = secrets.body(body.as_bytes().to_vec().into());
    let value: Value = serde_json::from_slice(&clean).unwrap();
    assert_eq!(value, json!({"a":"","b":"x","n":MASK,"m":[5,MASK],MASK:true}));
}

#[test]
fn the_envelope_of_a_message_stays() {
    let secrets = secrets(&["secret-id-7"]);
    let message = json!({
        "jsonrpc": "2.0", "id": "secret-id-7",
        "result": {"id": "secret-id-7", "_meta": {"secret-id-7": "secret-id-7"}},
    });
    let clean = secrets.message(message.to_string().into_bytes());
    let clean: Value = serde_json::from_slice(&clean).unwrap();
    assert_eq!(clean["id"], "secret-id-7");
    assert_eq!(clean["result"], json!({"id": MASK, "_meta": {MASK: MASK}}));
    let params = json!({"method": "m", "params": {"progressToken": "secret-id-7", "message": "secret-id-7"}});
    let clean = secrets.message(params.to_string().into_bytes());
    let clean: Value = serde_json::from_slice(&clean).unwrap();
    assert_eq!(clean["params"], json!({"progressToken": "secret-id-7", "message": MASK}));
}

#[test]
fn short_secrets_are_masked_as_values_and_beside_names_only() {
    let secrets = secrets(&["hunter2", "1234", "admin"]);
    let check = |text: &str, expected: &str| assert_eq!(secrets.text(text), expected);
    check(r#"{"x":"hunter2"}"#, r#"{"x":"[REDACTED]"}"#);
    check("the password is hunter2.", "the password is [REDACTED].");
    check("GET /?token=hunter2&a=b", "GET /?token=[REDACTED]&a=b");
    check("api_token: 1234", "api_token: [REDACTED]");
    check(r#"{"api-token": "admin"}"#, r#"{"api-token": "[REDACTED]"}"#);
    check("aHVudGVyMg==", "[REDACTED]==");
    check(r#"{"x":"\u0068unter2"}"#, r#"{"x":"[REDACTED]"}"#);
    for harmless in [
        "hunter2000 and xhunter2",
        r#"{"hunter2":1,"role":"admin","port":"1234","n":1234,"author":"admin"}"#,
        "the admin has 1234 items",
    ] {
        check(harmless, harmless);
    }
}

#[test]
fn harmless_text_stays() {
    let secrets = secrets(&[SECRET, "user-and-password"]);
    for harmless in
        ["user", "s3cr3t", r"C:\users\x %20 &amp; &#65;", "dXNlcjpwYXNz", "", "\u{200B}"]
    {
        assert_eq!(secrets.text(harmless), harmless);
    }
    assert_eq!(Secrets::default().text("anything"), "anything");
}

#[test]
fn values_that_servers_gave_make_room_for_new_ones() {
    let secrets = Secrets::default();
    secrets.add("given", "given-secret");
    secrets.add_derived("cookie", "cookie-that-is-used");
    for number in 0..200 {
        secrets.add_derived("cookie", &format!("cookie-number-{number}-x"));
        secrets.add_derived("cookie", "cookie-that-is-used");
    }
    for hidden in ["given-secret", "cookie-that-is-used", "cookie-number-199-x"] {
        assert_eq!(secrets.text(hidden), MASK);
    }
    assert_eq!(secrets.text("cookie-number-0-x"), "cookie-number-0-x");
}

#[test]
fn long_secrets_are_masked_wholly() {
    let long: String = (0..3000).map(|number| format!("{number:x}.")).collect();
    let secrets = secrets(&[&long]);
    assert_eq!(secrets.text(&format!("<{long}>")), "<[REDACTED]>");
    let escaped = long.replace('.', "\\u002E");
    assert_eq!(secrets.text(&format!("<{escaped}>")), "<[REDACTED]>");
}

#[test]
fn a_secret_between_two_blocks_is_found() {
    let secrets = secrets(&[SECRET]);
    for length in (256 * 1024 - 120..256 * 1024 + 60).step_by(7) {
        let text =
            format!("{}\\u0073%33cr3t\\/T0ken+%22q&#38;x{}", "-".repeat(length), "y".repeat(9));
        let clean = secrets.text(&text).into_owned();
        assert!(clean.ends_with("-[REDACTED]yyyyyyyyy"), "{length}");
    }
}

#[test]
fn no_secret_shows_in_debug() {
    assert_eq!(format!("{:?}", secrets(&["hidden-secret"])), "Secrets(1)");
}

#[test]
fn a_stream_masks_what_comes_in_pieces() {
    use std::io::Write as _;
    let mut out = Vec::new();
    let mut writer = MaskedWriter::new(&mut out, secrets(&["hidden-secret"]));
    for piece in ["a hidd", "en-sec", "ret\nb hidden", "-secret"] {
        writer.write_all(piece.as_bytes()).unwrap();
    }
    drop(writer);
    assert_eq!(String::from_utf8(out).unwrap(), "a [REDACTED]\nb [REDACTED]");
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() }
}

#[test]
fn a_secret_that_ends_like_the_beginning_of_an_escape_is_found() {
    for secret in [
        r"Aa0:  aA0   AAA\",
        r"Aa0\u-a\A0-AAA-bcd",
        "Aa0-aA0-AAA-bcd%",
        r"Aa0-aA0-AAA-bc\u00",
        "Aa0-aA0-AAA-bc&am",
        "Aa0-aA0-AAA-bc%4",
    ] {
        let secrets = secrets(&[secret]);
        for behind in ["", "\"", "n", "41", "p;", "41\"}"] {
            let mut spelled = vec![secret.to_owned(), secret.replace(' ', "+")];
            spelled.push(secret.replace(' ', "+").replacen('A', "%41", 1));
            spelled.push(secret.replacen('A', r"\u0041", 1));
            spelled.push(secret.replacen('A', "&#65;", 2));
            for spelled in spelled {
                let text = format!("x {spelled}{behind}");
                let clean = secrets.text(&text).into_owned();
                assert!(clean.contains(MASK), "{text:?} -> {clean:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_spelling_of_two_layers_shows_a_secret(
        secret in "[ -~]{8,24}|[a-zA-Z0-9/+_-]{12,40}|[a-zé]{9,12}",
        choices in prop::collection::vec(any::<u8>(), 0..160),
        before in r#"[ -~]{0,9}|[\\%&"0-9a-z]{0,6}"#,
        behind in "[ -~]{0,9}",
    ) {
        prop_assume!(secret.trim() == secret && !super::wanted::is_short(&secret));
        // What is left of a short one whose escapes are taken out occurs by chance.
        prop_assume!(secret.len() >= 16 || !secret.contains(['\\', '%', '&']));
        // Whose backslash is whose cannot be told from a mix of spellings (SECURITY.md).
        prop_assume!(!secret.contains('\\'));
        prop_assume!(secret.len() >= 12 || !before.contains(['\\', '%', '&']));
        let secrets = secrets(&[&secret]);
        let mut choices = ByteChoices::new(&choices);
        let once = spell::spell(secret.as_bytes(), &mut choices);
        let twice = spell::spell(&once, &mut choices);
        for spelled in [once, twice] {
            let text = [before.as_bytes(), &spelled, behind.as_bytes()].concat();
            let clean = secrets.body(text.clone().into());
            prop_assert!(
                !says(&clean, secret.as_bytes(), 2),
                "{:?} -> {:?}", String::from_utf8_lossy(&text), String::from_utf8_lossy(&clean)
            );
        }
    }

    #[test]
    fn json_is_masked_into_json(
        secret in r#"[ -~]{8,12}|["\\,:{}\[\]a-z0-9]{8,12}|[0-9]{8,12}"#,
        before in r#"[\\"a-z0-9 ,:]{0,6}"#,
        number in any::<u64>(),
    ) {
        prop_assume!(secret.trim() == secret);
        let secrets = secrets(&[&secret, &number.to_string(), &before]);
        let value = json!({
            "a": format!("{before}{secret}"), "n": number, &secret: [secret, number, before],
            "text": json!({ "b": secret, "c": number }).to_string(),
        });
        for text in [value.to_string(), format!("{value:#}"), value.to_string().replace('a', "\\u0061")] {
            let clean = secrets.json(&text).into_owned();
            let read: Result<Value, _> = serde_json::from_str(&clean);
            prop_assert!(read.is_ok(), "{text} -> {clean}");
        }
    }

    #[test]
    fn any_bytes_are_passed_over(bytes in any::<Vec<u8>>(), text in ".*") {
        let secrets = secrets(&["0123456789abcdef", "short"]);
        prop_assert_eq!(secrets.body(bytes.clone().into()), bytes);
        let _ = secrets.text(&text);
    }
}
