//! A secret as the texts have it that were made of it.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use super::{
    escapes::{self, EscapeReading},
    view::TextView,
    wanted::SHORTEST,
};

/// A longer secret is looked for in parts of this length.
pub(super) const PART: usize = 1024;

/// No more of a secret is looked for.
const MOST: usize = 64 * 1024;

/// So many layers of what looks like escapes are taken out of a secret.
const MOST_LAYERS: usize = 4;

/// So many bytes of a secret at most can be those of an escape that began before it.
const MOST_EATEN: usize = 4;

/// So many bytes of a secret at most can be those of an escape that goes on behind it.
const LONGEST_ESCAPE: usize = 16;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SecretSpelling {
    pub(super) bytes: Vec<u8>,
    /// Whether a character of Base64 before it holds some of its bits, and one behind it.
    pub(super) shares: (bool, bool),
}

impl SecretSpelling {
    fn whole(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), shares: (false, false) }
    }
}

/// Adds the spellings of a secret that is masked wherever it is.
pub(super) fn of_long(secret: &str, all: &mut Vec<SecretSpelling>) {
    let bytes = secret.as_bytes();
    let bytes = bytes.get(..MOST).unwrap_or(bytes);
    all.extend(spelling_parts(bytes).map(SecretSpelling::whole));
    // One that looks as if it had escapes is also what these stand for, as they are taken out with
    // those that it is written with.
    let mut meant = bytes.to_vec();
    for _ in 0..MOST_LAYERS {
        let next =
            TextView::plain(&meant, 0).unescaped(EscapeReading::Strict).text().bytes.to_vec();
        if next == meant || next.len() < SHORTEST {
            break;
        }
        all.extend(spelling_parts(&next).map(SecretSpelling::whole));
        meant = next;
    }
    // What stands before it may make an escape of its beginning, as `\` does with `n` and `%` with two
    // digits, also of those that it is written with.
    for count in 1..=MOST_EATEN {
        for text in [bytes, &meant] {
            let rest = text.get(count..).filter(|rest| rest.len() >= SHORTEST).unwrap_or_default();
            all.extend(spelling_parts(rest).map(SecretSpelling::whole));
        }
    }
    // Its backslashes, one by one, may be taken for those of escapes around them.
    let plain: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\\').collect();
    if plain.len() >= SHORTEST && plain.len() < bytes.len() {
        all.extend(spelling_parts(&plain).map(SecretSpelling::whole));
    }
    // What stands behind it may make an escape of its last ones, as a quote does with `\`.
    for text in [bytes, &meant] {
        all.extend(before_escapes(text).flat_map(spelling_parts).map(SecretSpelling::whole));
    }
    spelling_parts(bytes).for_each(|part| in_base64(part, all));
    let rest = bytes.get(MOST_EATEN..).filter(|rest| rest.len() >= SHORTEST).unwrap_or_default();
    spelling_parts(rest).for_each(|part| in_base64(part, all));
    // UTF-16: what both orders of bytes have in common.
    let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).take(MOST).collect();
    if secret.is_ascii() {
        let core = wide.get(..wide.len().saturating_sub(1)).unwrap_or_default();
        spelling_parts(core).for_each(|part| in_base64(part, all));
        // In hexadecimal digits.
        all.extend(spelling_parts(core).map(SecretSpelling::whole));
        return;
    }
    let swapped: Vec<u8> = secret.encode_utf16().flat_map(u16::to_be_bytes).take(MOST).collect();
    for wide in [&wide, &swapped] {
        spelling_parts(wide).for_each(|part| in_base64(part, all));
        all.push(SecretSpelling::whole(wide.clone()));
        // Bytes of zero are passed over, like everything that shows nothing.
        let shown = wide.iter().copied().filter(|byte| *byte != 0);
        all.push(SecretSpelling::whole(shown.collect::<Vec<u8>>()));
    }
    let narrow: Option<Vec<u8>> =
        secret.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    all.extend(narrow.map(SecretSpelling::whole));
}

/// Adds the spellings of a short secret, which is masked as a whole value or beside a name.
pub(super) fn of_short(secret: &str, all: &mut Vec<Vec<u8>>) {
    all.push(secret.as_bytes().to_vec());
    let encoded = STANDARD_NO_PAD.encode(secret);
    if encoded.contains(['+', '/']) {
        all.push(encoded.replace('+', "-").replace('/', "_").into_bytes());
    }
    all.push(encoded.into_bytes());
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    all.push(hex.to_ascii_uppercase().into_bytes());
    all.push(hex.into_bytes());
}

/// Returns how many bytes what is looked for of a secret has at least, where escapes around it take some.
pub(super) fn least_of(secret: &str) -> usize {
    let bytes = secret.as_bytes();
    let ends = before_escapes(bytes).map(<[u8]>::len);
    let backslashes = bytes.iter().filter(|byte| **byte == b'\\').count();
    ends.chain([bytes.len().saturating_sub(MOST_EATEN + backslashes)]).min().unwrap_or_default()
}

/// Returns what stands before each sign near the end with which an escape may begin that ends behind it.
fn before_escapes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let signs = bytes.iter().enumerate().rev().take(LONGEST_ESCAPE);
    let ends = signs.filter(|(_, byte)| escapes::is_starter(**byte)).map(|(end, _)| end);
    ends.filter(|end| *end >= SHORTEST).filter_map(|end| bytes.get(..end))
}

/// Cuts a long secret; the last part is as long as the others.
fn spelling_parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let last = (bytes.len() > PART && !bytes.len().is_multiple_of(PART))
        .then(|| bytes.get(bytes.len() - PART..))
        .flatten();
    let is_whole = bytes.len() <= PART;
    bytes.chunks(PART).filter(move |part| is_whole || part.len() == PART).chain(last)
}

/// Adds what Base64 makes of `part` at each of the three places that it can have in a larger text:
/// the characters that depend on nothing else.
fn in_base64(part: &[u8], all: &mut Vec<SecretSpelling>) {
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(part);
        padded.resize(padded.len().next_multiple_of(3), 0);
        let (from, to) = (before * 8, (before + part.len()) * 8);
        let encoded = STANDARD_NO_PAD.encode(&padded).into_bytes();
        let own = encoded.get(from.div_ceil(6)..to / 6).unwrap_or_default();
        let shares = (!from.is_multiple_of(6), !to.is_multiple_of(6));
        if own.iter().any(|byte| matches!(byte, b'+' | b'/')) {
            let swapped = own.iter().map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                byte => *byte,
            });
            all.push(SecretSpelling { bytes: swapped.collect(), shares });
        }
        all.push(SecretSpelling { bytes: own.to_vec(), shares });
    }
}
