//! Room for what may become large.
//!
//! An allocator keeps blocks of a few megabytes when they are freed, one set for each of its arenas; larger
//! ones go back to the system at once, and pages of theirs that were never written take nothing. So what is
//! about to be large gets a large block, whatever is needed of it: no answer takes blocks between the two.

use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// A buffer with more is about to be large, in bytes.
const LARGE: usize = 1024 * 1024;

/// The next block of such a buffer has so many bytes more: more than the bound above which every block of
/// the GNU allocator is one of the system (`DEFAULT_MMAP_THRESHOLD_MAX`).
const STEP: usize = 33 * 1024 * 1024;

/// A message that is no longer leaves its block to the next one, in bytes.
const SPARED: usize = 4 * LARGE;

/// The block of such a message. What is fresh costs more than what is written to it: the system clears each page,
/// one by one.
static SPARE: Mutex<Option<Vec<u8>>> = Mutex::new(None);

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

/// Makes a vector for a message of so many bytes; see [`spare_block`].
pub fn message_buffer(length: usize) -> Vec<u8> {
    let spare = (LARGE < length && length <= SPARED)
        .then(|| SPARE.lock().unwrap_or_else(PoisonError::into_inner).take());
    spare.flatten().unwrap_or_else(|| byte_buffer(length))
}

/// Takes the block of a message that was sent, for the next one that is large.
pub fn spare_block(mut message: Vec<u8>) {
    // Of a block of the system no more than the message was ever written.
    if message.capacity() < STEP || message.len() > SPARED {
        return;
    }
    message.clear();
    *SPARE.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
}

/// Returns a message as bytes whose block is spared once they are sent.
pub fn spared_bytes(message: Vec<u8>) -> Bytes {
    if message.capacity() < STEP { message.into() } else { Bytes::from_owner(SparedBlock(message)) }
}

/// Spares its block at its end.
struct SparedBlock(Vec<u8>);

impl AsRef<[u8]> for SparedBlock {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SparedBlock {
    fn drop(&mut self) {
        spare_block(std::mem::take(&mut self.0));
    }
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
    reserve(vector, piece.len());
    vector.extend_from_slice(piece);
}

/// Makes room in a vector for so many bytes more.
pub fn reserve(vector: &mut Vec<u8>, more: usize) {
    let free = vector.capacity() - vector.len();
    if more > free {
        vector.reserve(wanted(vector.len(), free, more));
    }
}

/// Appends a text to another.
pub fn append_text(text: &mut String, more: &str) {
    let free = text.capacity() - text.len();
    text.reserve(wanted(text.len(), free, more.len()));
    text.push_str(more);
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
    fn the_block_of_a_message_is_that_of_the_next_one() {
        let mut message = message_buffer(2 * LARGE);
        message.resize(2 * LARGE, b'a');
        let place = message.as_ptr();
        let bytes = spared_bytes(message);
        assert_eq!((bytes.len(), bytes.as_ptr()), (2 * LARGE, place));
        drop(bytes);
        // None is taken for what is small, or larger than what is kept.
        let (small, large) = (message_buffer(LARGE), message_buffer(SPARED + 1));
        assert!(small.capacity() == LARGE && large.as_ptr() != place);
        let (next, other) = (message_buffer(2 * LARGE), message_buffer(2 * LARGE));
        assert!(next.as_ptr() == place && next.is_empty() && other.as_ptr() != place);
        // Nor is one kept of which more was written.
        let mut written = next;
        written.resize(SPARED + 1, b'a');
        spare_block(written);
        assert!(SPARE.lock().unwrap().is_none());
    }

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
        let mut text = "a".repeat(LARGE);
        append_text(&mut text, "b");
        assert!(text.capacity() >= STEP && text.ends_with("ab"));
    }
}
