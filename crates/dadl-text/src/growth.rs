//! Room for what may become large.
//!
//! An allocator keeps blocks of a few megabytes when they are freed, one set for each of its arenas; larger
//! ones go back to the system at once, and pages of theirs that were never written take nothing. So what is
//! about to be large gets a large block, whatever is needed of it: no answer takes blocks between the two.

use std::io;

use bytes::BytesMut;
use serde::Serialize;

/// A buffer with more is about to be large, in bytes.
const LARGE: usize = 1024 * 1024;

/// The next block of such a buffer has so many bytes more: more than the bound above which every block of
/// the GNU allocator is one of the system (`DEFAULT_MMAP_THRESHOLD_MAX`).
const STEP: usize = 33 * 1024 * 1024;

/// Most of what is written as JSON is no longer, in bytes.
const USUAL: usize = 4 * 1024;

/// Returns for how many bytes to make room in a buffer that has `free` left behind its `length`.
fn wanted(length: usize, free: usize, more: usize) -> usize {
    if more <= free || length + more <= LARGE { more } else { more.max(STEP) }
}

/// Returns how many bytes the block has of what will have this length.
fn block(length: usize) -> usize {
    if length <= LARGE { length } else { length.max(STEP) }
}

/// Makes a buffer for so many bytes.
pub fn buffer(length: usize) -> BytesMut {
    BytesMut::with_capacity(block(length))
}

/// Makes a text for so many bytes.
pub fn text_buffer(length: usize) -> String {
    String::with_capacity(block(length))
}

/// Makes a vector for so many bytes.
pub fn byte_buffer(length: usize) -> Vec<u8> {
    Vec::with_capacity(block(length))
}

/// Returns a copy of a text.
pub fn copy(of: &str) -> String {
    let mut copy = text_buffer(of.len());
    copy.push_str(of);
    copy
}

/// Gives back the memory of a text that was longer before, in a block that was written so far.
pub fn shortened(text: String, before: usize) -> String {
    if before.saturating_sub(text.len()) <= LARGE { text } else { copy(&text) }
}

/// Adds an item to a list.
pub fn push_item<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        let size = size_of::<T>().max(1);
        // Twice as many while it is small, as without this.
        let more = list.len().max(4) * size;
        list.reserve_exact(wanted(list.len() * size, 0, more) / size);
    }
    list.push(item);
}

/// Appends a piece to a buffer.
pub fn append_bytes(buffer: &mut BytesMut, piece: &[u8]) {
    let free = buffer.capacity() - buffer.len();
    buffer.reserve(wanted(buffer.len(), free, piece.len()));
    buffer.extend_from_slice(piece);
}

/// Appends a piece to a vector.
pub fn append_to(vector: &mut Vec<u8>, piece: &[u8]) {
    let free = vector.capacity() - vector.len();
    vector.reserve(wanted(vector.len(), free, piece.len()));
    vector.extend_from_slice(piece);
}

/// Appends a text to another.
pub fn append_text(text: &mut String, more: &str) {
    let free = text.capacity() - text.len();
    text.reserve(wanted(text.len(), free, more.len()));
    text.push_str(more);
}

/// Writes a value as JSON.
///
/// # Errors
///
/// Those of the value: a map whose keys are no texts, or what it says by itself.
pub fn json_bytes(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = GrowingBytes(Vec::with_capacity(USUAL));
    serde_json::to_writer(&mut json, value)?;
    Ok(json.0)
}

/// Bytes that are written one after the other.
struct GrowingBytes(Vec<u8>);

impl io::Write for GrowingBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        append_to(&mut self.0, bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Joins texts.
pub fn join_texts(parts: &[&str]) -> String {
    let mut joined = text_buffer(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| joined.push_str(part));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_gets_a_large_block_and_a_small_one_none() {
        let mut small = Vec::new();
        append_to(&mut small, &[0; 1000]);
        assert!(small.capacity() < LARGE);
        let mut large = BytesMut::new();
        for _ in 0..3 * LARGE / 1000 {
            append_bytes(&mut large, &[1; 1000]);
        }
        assert!(large.capacity() >= STEP);
        assert_eq!(large.len(), 3 * LARGE / 1000 * 1000);
        let mut list = Vec::new();
        for number in 0..LARGE as u64 / 2 {
            let size = list.capacity() * size_of::<u64>();
            assert!(size <= 2 * LARGE || size >= STEP, "{size}");
            push_item(&mut list, number);
        }
        assert!(list.iter().copied().eq(0..LARGE as u64 / 2));
        assert_eq!(
            (text_buffer(9).capacity(), byte_buffer(9).capacity(), buffer(9).capacity()),
            (9, 9, 9)
        );
        assert!(
            text_buffer(LARGE + 1).capacity() >= STEP && copy(&"a".repeat(LARGE)).len() == LARGE
        );
        assert_eq!(join_texts(&["a", "", "bc"]), "abc");
        let long = "a".repeat(2 * LARGE);
        let (part, place) = (long[..9].to_owned(), long.as_ptr());
        let same = shortened(long, 2 * LARGE + 9);
        assert_eq!(same.as_ptr(), place);
        assert_eq!(shortened(part, 2 * LARGE).capacity(), 9);
        let json = json_bytes(&[same.as_str(), "\"\n"]).unwrap();
        assert_eq!(json, format!("[\"{same}\",\"\\\"\\n\"]").into_bytes());
        assert!(json.capacity() >= STEP && json_bytes(&[1, 2]).unwrap() == b"[1,2]");
        let mut text = "a".repeat(LARGE);
        append_text(&mut text, "b");
        assert!(text.capacity() >= STEP && text.ends_with("ab"));
    }
}
