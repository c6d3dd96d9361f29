//! Room for what comes in pieces and may become large.
//!
//! An allocator keeps blocks of a few megabytes when they are freed, one set for each of its arenas; larger
//! ones go back to the system at once, and pages of theirs that were never written take nothing. So a
//! buffer that has become large gets a large block next, and not one of twice the size.

use bytes::BytesMut;

/// A buffer with more is about to be large, in bytes.
const LARGE: usize = 1024 * 1024;

/// The next block of such a buffer has so many bytes more: more than the bound above which every block of
/// the GNU allocator is one of the system (`DEFAULT_MMAP_THRESHOLD_MAX`).
const STEP: usize = 33 * 1024 * 1024;

/// Returns for how many bytes to make room in a buffer that has `free` left behind its `length`.
fn wanted(length: usize, free: usize, more: usize) -> usize {
    if more <= free || length + more <= LARGE { more } else { more.max(STEP) }
}

/// Appends a piece to a buffer.
pub(crate) fn append(buffer: &mut BytesMut, piece: &[u8]) {
    let free = buffer.capacity() - buffer.len();
    buffer.reserve(wanted(buffer.len(), free, piece.len()));
    buffer.extend_from_slice(piece);
}

/// Appends a piece to a vector.
pub(crate) fn append_to(vector: &mut Vec<u8>, piece: &[u8]) {
    let free = vector.capacity() - vector.len();
    vector.reserve(wanted(vector.len(), free, piece.len()));
    vector.extend_from_slice(piece);
}

/// Appends a text to another.
pub(crate) fn append_text(text: &mut String, more: &str) {
    let free = text.capacity() - text.len();
    text.reserve(wanted(text.len(), free, more.len()));
    text.push_str(more);
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
            append(&mut large, &[1; 1000]);
        }
        assert!(large.capacity() >= STEP);
        assert_eq!(large.len(), 3 * LARGE / 1000 * 1000);
        let mut text = "a".repeat(LARGE);
        append_text(&mut text, "b");
        assert!(text.capacity() >= STEP && text.ends_with("ab"));
    }
}
