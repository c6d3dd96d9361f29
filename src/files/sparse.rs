//! Writes a file without its long runs of zeros, which become holes: a raw disk is mostly empty.
//!
//! What counts is the content, so that nobody has to say what a file is. Length and bytes are the
//! same for whoever reads it.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

/// Zeros are looked for in pieces of this size: a block of most file systems.
const BLOCK: usize = 4096;
/// Fewer zeros are written: a file of many small holes is slow to read.
const LEAST_HOLE: u64 = 64 * 1024;
/// Pieces that are smaller on average are written as one.
const SMALL_PIECE: usize = 32 * 1024;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A file that is being written, from its start to its end.
#[derive(Debug)]
pub(super) struct SparseFile {
    file: File,
    digest: Sha256,
    /// How many zeros are not written yet.
    zeros: u64,
}

impl SparseFile {
    /// Writes into `file` from where it stands; `digest` is that of what lies before.
    pub(super) fn new(file: File, digest: Sha256) -> Self {
        Self { file, digest, zeros: 0 }
    }

    /// Appends pieces.
    pub(super) fn append(&mut self, pieces: Vec<Bytes>) -> io::Result<()> {
        let total: usize = pieces.iter().map(Bytes::len).sum();
        if pieces.len() > 1 && total / pieces.len() < SMALL_PIECE {
            let mut whole = BytesMut::with_capacity(total);
            pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
            return self.append_piece(&whole);
        }
        pieces.iter().try_for_each(|piece| self.append_piece(piece))
    }

    fn append_piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.digest.update(piece);
        // The data that are not written yet, from `start` to `at`.
        let (mut start, mut at) = (0, 0);
        for block in piece.chunks(BLOCK) {
            if is_zero(block) {
                self.write(piece.get(start..at).unwrap_or_default())?;
                self.zeros += block.len() as u64;
                start = at + block.len();
            }
            at += block.len();
        }
        self.write(piece.get(start..).unwrap_or_default())
    }

    /// Writes data, and before them the zeros that are too few for a hole.
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let zeros = std::mem::take(&mut self.zeros);
        if zeros >= LEAST_HOLE {
            let zeros = i64::try_from(zeros).map_err(io::Error::other)?;
            self.file.seek(SeekFrom::Current(zeros))?;
        } else {
            io::copy(&mut io::repeat(0).take(zeros), &mut self.file)?;
        }
        self.file.write_all(data)
    }

    /// Gives a file that ends with zeros its length.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.zeros > 0 {
            let length = self.file.stream_position()? + std::mem::take(&mut self.zeros);
            self.file.set_len(length)?;
            self.file.seek(SeekFrom::End(0))?;
        }
        Ok(())
    }

    /// Forgets everything.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.zeros = 0;
        self.digest = Sha256::new();
        Ok(())
    }

    /// Returns the digest of the whole file, and the file.
    pub(super) fn finish(mut self) -> io::Result<(Vec<u8>, File)> {
        self.settle()?;
        Ok((self.digest.finalize().to_vec(), self.file))
    }
}

fn is_zero(block: &[u8]) -> bool {
    // Data show themselves in the first bytes; only zeros are read to their end.
    let (start, rest) = block.split_at(block.len().min(16));
    start.iter().all(|byte| *byte == 0) && ZEROS.starts_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pieces: &[&[u8]]) -> (Vec<u8>, u64, Vec<u8>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sparse = SparseFile::new(file.reopen().unwrap(), Sha256::new());
        for piece in pieces {
            sparse.append(vec![Bytes::copy_from_slice(piece)]).unwrap();
        }
        let (digest, _) = sparse.finish().unwrap();
        (std::fs::read(file.path()).unwrap(), taken(file.as_file()), digest)
    }

    #[cfg(unix)]
    fn taken(file: &File) -> u64 {
        std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512
    }

    #[cfg(not(unix))]
    fn taken(_: &File) -> u64 {
        0
    }

    #[test]
    fn zeros_take_no_room() {
        let zeros = vec![0; 1 << 20];
        let (bytes, taken, _) = written(&[b"start", &zeros, b"middle", &zeros]);
        assert_eq!(bytes.len(), 11 + 2 * zeros.len());
        assert!(bytes.starts_with(b"start\0") && bytes.ends_with(&zeros));
        assert!(taken <= 128 * 1024, "{taken}");
        let (bytes, taken, _) = written(&[&zeros]);
        assert_eq!(bytes, zeros);
        assert_eq!(taken, 0);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config {
            failure_persistence: None, ..proptest::test_runner::Config::with_cases(64)
        })]

        #[test]
        fn what_is_read_is_what_came(
            runs in proptest::collection::vec((0_u8..3, 0_usize..150_000), 0..8),
            cuts in proptest::collection::vec(1_usize..100_000, 1..6),
        ) {
            let mut content = Vec::new();
            for (byte, length) in runs {
                content.resize(content.len() + length, byte);
            }
            let mut pieces = Vec::new();
            let mut rest = &*content;
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                pieces.push(piece);
                rest = after;
            }
            let (bytes, _, digest) = written(&pieces);
            proptest::prop_assert!(bytes == content);
            proptest::prop_assert_eq!(digest, Sha256::digest(&content).to_vec());
        }
    }
}
