//! Answers that a server may give that wants a secret to be seen: any status, fields and body. The
//! fuzz targets include this file.

use super::spell::{self, ByteChoices};

/// An answer as it goes over the wire.
pub(crate) fn answer(secret: &str, choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let status = [200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 503];
    let status = pick(&status, choices);
    let kinds = [
        "application/json",
        "application/x-ndjson",
        "text/event-stream",
        "text/plain",
        "text/plain; charset=utf-16le",
        "text/html",
        "application/problem+json",
        "application/octet-stream",
        "nonsense",
    ];
    let kind = pick(&kinds, choices);
    let body = body(secret, choices);
    let mut head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\nConnection: close\r\nContent-Type: {kind}\r\n",
        body.len()
    );
    for _ in 0..choices.below(3) {
        let value = field(&spelled(secret, choices));
        let name = pick(
            &[
                "Set-Cookie: session=",
                "Retry-After: ",
                "Location: /",
                "Link: </",
                "X-Error: ",
                "Content-Disposition: attachment; filename=",
                "ETag: ",
            ],
            choices,
        );
        head.push_str(&format!("{name}{value}\r\n"));
    }
    head.push_str("\r\n");
    [head.into_bytes(), body].concat()
}

fn pick<T: Copy>(all: &[T], choices: &mut ByteChoices<'_>) -> T {
    let at = usize::from(choices.below(u8::try_from(all.len()).unwrap_or(u8::MAX)));
    *all.get(at).or(all.first()).expect("something to choose from")
}

fn spelled(secret: &str, choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let once = spell::spell(secret.as_bytes(), choices);
    if choices.below(2) == 0 { once } else { spell::spell(&once, choices) }
}

/// What a field can hold of it.
fn field(bytes: &[u8]) -> String {
    bytes.iter().filter(|byte| (0x20..0x7F).contains(*byte)).map(|byte| char::from(*byte)).collect()
}

fn body(secret: &str, choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..=choices.below(4) {
        let spelled = spelled(secret, choices);
        let quoted = serde_json::to_string(&String::from_utf8_lossy(&spelled)).unwrap_or_default();
        let piece: Vec<u8> = match choices.below(9) {
            0 => format!("{{\"a\":{quoted}}}\n").into_bytes(),
            1 => format!("{{{quoted}:1,\"error\":{quoted},\"message\":{quoted}}}\n").into_bytes(),
            2 => format!("[{quoted}").into_bytes(),
            3 => [b"{\"a\":\"".as_slice(), &spelled, b"\"}\n"].concat(),
            4 => [b"data: ".as_slice(), &spelled, b"\n\n"].concat(),
            5 => [b"data: {\"a\":\ndata: ".as_slice(), quoted.as_bytes(), b"}\n\n"].concat(),
            6 => [b"<p>".as_slice(), &spelled, b"</p>\n"].concat(),
            7 => (0..40).map(|_| choices.below(255)).collect(),
            _ => spelled,
        };
        body.extend_from_slice(&piece);
    }
    body
}
