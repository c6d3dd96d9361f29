//! Writes secrets as a server might that wants them to be seen.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};

/// Choices, which end in zeros.
pub struct Choices<'bytes>(&'bytes [u8]);

impl<'bytes> Choices<'bytes> {
    /// Takes choices from `bytes`.
    pub fn new(bytes: &'bytes [u8]) -> Self {
        Self(bytes)
    }

    /// Chooses a number below `most`.
    pub fn below(&mut self, most: u8) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first % most.max(1)
    }

    /// Returns what is left.
    pub fn rest(&self) -> &'bytes [u8] {
        self.0
    }
}

/// Writes `text` in one way of many.
pub fn spell(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(10) {
        0 => json(text, choices),
        1 => percent(text, choices),
        2 => html(text, choices),
        3 => base64(text, choices),
        4 => hex(text, choices),
        5 => wide(text, choices),
        6 => unseen(text, choices),
        7 => json(&percent(text, choices), choices),
        8 => percent(&json(text, choices), choices),
        _ => text.to_vec(),
    }
}

/// Writes some letters as escapes of JSON.
pub fn json(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
    let mut out = String::new();
    for letter in text.chars() {
        let choice = choices.below(4);
        let needs = matches!(letter, '"' | '\\') || letter.is_control();
        match (letter, choice) {
            ('"' | '\\' | '/', 0 | 1) => out.extend(['\\', letter]),
            (_, 2) => units(letter, &mut out, false),
            (_, 3) => units(letter, &mut out, true),
            _ if needs => units(letter, &mut out, false),
            _ => out.push(letter),
        }
    }
    out.into_bytes()
}

fn units(letter: char, out: &mut String, is_upper: bool) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        out.push_str(&if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
    }
}

/// Writes some bytes as escapes of URLs.
pub fn percent(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
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
pub fn html(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
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
pub fn base64(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
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
pub fn hex(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let digits = text.iter().flat_map(|byte| match choices.below(2) {
        0 => format!("{byte:02x}").into_bytes(),
        _ => format!("{byte:02X}").into_bytes(),
    });
    digits.collect()
}

/// Writes it in UTF-16.
pub fn wide(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
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
pub fn unseen(text: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else { return text.to_vec() };
    let mut out = String::new();
    for letter in text.chars() {
        out.push(letter);
        out.push_str(match choices.below(6) {
            1 => "\u{200B}",
            2 => "\u{AD}",
            3 => "\0",
            4 => "\u{1B}[0m",
            _ => "",
        });
    }
    out.into_bytes()
}
