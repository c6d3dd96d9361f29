//! Writes secrets as a server might that wants them to be seen, and tells whether a text says one.
//!
//! It shares nothing with what masks. The fuzz targets and the tests over sockets include this file.

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
    },
};

/// Choices, which end in zeros.
pub(crate) struct ByteChoices<'bytes>(&'bytes [u8]);

impl<'bytes> ByteChoices<'bytes> {
    /// Takes choices from `bytes`.
    pub(crate) fn new(bytes: &'bytes [u8]) -> Self {
        Self(bytes)
    }

    /// Chooses a number below `most`.
    pub(crate) fn below(&mut self, most: u8) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first % most.max(1)
    }
}

/// Writes `text` in one way of many.
pub(crate) fn spell(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    match choices.below(10) {
        0 => json(text, choices),
        1 => percent(text, choices),
        2 => html(text, choices),
        3 if !has_unseen(text) => base64(text, choices),
        4 if !has_unseen(text) => hex(text, choices),
        5 => wide(text, choices),
        6 => unseen(text, choices),
        7 => json(&percent(text, choices), choices),
        8 => percent(&json(text, choices), choices),
        _ => text.to_vec(),
    }
}

/// Returns whether there is something that nobody sees. In Base64 and in digits that is not found.
fn has_unseen(text: &[u8]) -> bool {
    text.windows(2).any(|pair| matches!(pair, [0xE2, 0x80] | [0xC2, 0xAD] | [0x1B, _]))
}

/// Writes some letters as escapes of JSON.
fn json(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
    let mut out = String::new();
    for letter in text.chars() {
        let choice = choices.below(4);
        let needs = matches!(letter, '"' | '\\') || letter.is_control();
        match (letter, choice) {
            ('"' | '\\' | '/', 0 | 1) => out.extend(['\\', letter]),
            (_, 2) => units(letter, &mut out, HexCase::Lower),
            (_, 3) => units(letter, &mut out, HexCase::Upper),
            _ if needs => units(letter, &mut out, HexCase::Lower),
            _ => out.push(letter),
        }
    }
    out.into_bytes()
}

enum HexCase {
    Lower,
    Upper,
}

fn units(letter: char, out: &mut String, case: HexCase) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        out.push_str(&match case {
            HexCase::Lower => format!("\\u{unit:04x}"),
            HexCase::Upper => format!("\\u{unit:04X}"),
        });
    }
}

/// Writes some bytes as escapes of URLs.
fn percent(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text {
        match (byte, choices.below(3)) {
            (b' ', 0) => out.push(b'+'),
            (b'%' | b'+', 0) | (_, 1) => out.extend(format!("%{byte:02x}").bytes()),
            (_, 2) => out.extend(format!("%{byte:02X}").bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

/// Writes some letters as references of HTML.
fn html(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
    let mut out = String::new();
    for letter in text.chars() {
        let code = u32::from(letter);
        match (letter, choices.below(4)) {
            ('&', 0) => out.push_str("&amp;"),
            ('"', 0) => out.push_str("&quot;"),
            ('/', 0) => out.push_str("&sol;"),
            ('&', _) | (_, 1) => out.push_str(&format!("&#{code};")),
            (_, 2) => out.push_str(&format!("&#x{code:x};")),
            (_, 3) => out.push_str(&format!("&#X{code:04X};")),
            _ => out.push(letter),
        }
    }
    out.into_bytes()
}

/// Writes it in Base64, as a part of something or by itself.
fn base64(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let (before, behind) = (usize::from(choices.below(6)), usize::from(choices.below(4)));
    let around = b"user:x";
    let mut whole = around.get(..before).unwrap_or_default().to_vec();
    whole.extend_from_slice(text);
    whole.extend(around.iter().take(behind));
    match choices.below(4) {
        0 => STANDARD.encode(whole),
        1 => URL_SAFE.encode(whole),
        2 => STANDARD_NO_PAD.encode(whole),
        _ => URL_SAFE_NO_PAD.encode(whole),
    }
    .into_bytes()
}

/// Writes it in hexadecimal digits.
fn hex(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let digits = text.iter().flat_map(|byte| match choices.below(2) {
        0 => format!("{byte:02x}").into_bytes(),
        _ => format!("{byte:02X}").into_bytes(),
    });
    digits.collect()
}

/// Writes it in UTF-16.
fn wide(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
    match choices.below(3) {
        0 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => {
            [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        }
    }
}

/// Puts what nobody sees between letters.
fn unseen(text: &[u8], choices: &mut ByteChoices<'_>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
    let mut out = String::new();
    for letter in text.chars() {
        out.push(letter);
        out.push_str(match choices.below(6) {
            1 => "\u{200B}",
            2 => "\u{AD}",
            _ => "",
        });
    }
    out.into_bytes()
}

/// Returns whether `text` says `secret` to somebody who decodes it in up to `layers` steps.
pub(crate) fn says(text: &[u8], secret: &[u8], layers: u8) -> bool {
    if text.windows(secret.len()).any(|part| part == secret) {
        return true;
    }
    if layers == 0 {
        return false;
    }
    let mut others = decoded(text);
    others.sort_unstable();
    others.dedup();
    // What is shorter than the secret says it in no way.
    let is_other = |other: &&Vec<u8>| *other != text && other.len() >= secret.len();
    others.iter().filter(is_other).any(|other| says(other, secret, layers - 1))
}

/// Decodes a text in every way.
fn decoded(text: &[u8]) -> Vec<Vec<u8>> {
    let as_text = String::from_utf8_lossy(text);
    let spaced: Vec<u8> = text.iter().map(|it| if *it == b'+' { b' ' } else { *it }).collect();
    let mut all = vec![
        of_percent(text),
        of_percent(&spaced),
        text.iter().copied().filter(|byte| *byte != 0).collect(),
        of_json(&as_text).into_bytes(),
        of_html(&as_text).into_bytes(),
        as_text.replace("\u{1B}[0m", "").replace(['\0', '\u{200B}', '\u{AD}'], "").into_bytes(),
    ];
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    for run in text.split(|byte| !is_letter(byte)).filter(|run| run.len() >= 10) {
        let standard: Vec<u8> = run
            .iter()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                byte => *byte,
            })
            .collect();
        for part in (0..4).filter_map(|skip| standard.get(skip..)) {
            for end in [part.len() / 4 * 4, part.len()] {
                all.extend(part.get(..end).and_then(|part| engine.decode(part).ok()));
            }
        }
    }
    for run in text.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() >= 16) {
        for part in (0..2).filter_map(|skip| run.get(skip..)) {
            let bytes = part.chunks_exact(2).filter_map(|pair| number(pair, 16));
            all.push(bytes.filter_map(|code| u8::try_from(code).ok()).collect());
        }
    }
    all
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

fn of_percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        match code.filter(|_| *first == b'%').and_then(|pair| number(pair, 16)) {
            Some(code) => {
                out.extend(u8::try_from(code));
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn of_json(text: &str) -> String {
    let mut out = String::new();
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    loop {
        let digits = rest.strip_prefix("\\u").and_then(|rest| rest.get(..4));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        if let Some(unit) = unit {
            units.push(unit);
            rest = rest.get(6..).unwrap_or_default();
            continue;
        }
        out.push_str(&String::from_utf16_lossy(&units));
        units.clear();
        let mut letters = rest.chars();
        let Some(first) = letters.next() else { return out };
        let second = letters.clone().next();
        match second.filter(|second| first == '\\' && "\"\\/".contains(*second)) {
            Some(second) => {
                out.push(second);
                letters.next();
            }
            None => out.push(first),
        }
        rest = letters.as_str();
    }
}

fn of_html(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let letter = after.split_once(';').and_then(|(name, after)| {
            let code = match name.strip_prefix('#') {
                Some(digits) => match digits.strip_prefix(['x', 'X']) {
                    Some(digits) => number(digits.as_bytes(), 16)?,
                    None => number(digits.as_bytes(), 10)?,
                },
                None => u32::from(match name {
                    "amp" => '&',
                    "quot" => '"',
                    "sol" => '/',
                    _ => return None,
                }),
            };
            Some((char::from_u32(code)?, after))
        });
        match letter {
            Some((letter, after)) => {
                out.push(letter);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out + rest
}
