//! What a worker's lanes have in hand, in a small file that outlives the process.
//!
//! The supervisor that finds its worker dead reads which tasks were in hand: one of them may have killed it. It hands them to the
//! next worker, which makes those attempts in processes of their own.
//!
//! The file: a little-endian `u64`, the number of attempts that came to an end; then a field of [`FIELD`] bytes for each
//! lane, its task's id or zeros.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a lane's field: more than an id may have.
const FIELD: usize = 1024;

/// Written by the worker.
#[derive(Debug)]
pub struct Notes {
    file: File,
    ended: AtomicU64,
}

/// What a dead worker left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Attempts that came to an end.
    pub ended: u64,
    /// Tasks that were in hand.
    pub in_hand: Vec<String>,
}

impl Notes {
    /// Begins in an empty file.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, ended: AtomicU64::new(0) }
    }

    pub(crate) fn begin(&self, lane: usize, task: &str) {
        let mut field = task.as_bytes().to_vec();
        field.resize(FIELD, 0);
        self.write(&field, lane);
    }

    pub(crate) fn end(&self, lane: usize) {
        self.write(&[0; FIELD], lane);
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        // Best effort, as all notes: without them a task is isolated one death later.
        let _ = self.file.write_all_at(&ended.to_le_bytes(), 0);
    }

    fn write(&self, field: &[u8], lane: usize) {
        let _ = self.file.write_all_at(field, (8 + lane * FIELD) as u64);
    }

    /// Reads what was noted.
    pub fn read(file: &mut File) -> io::Result<Left> {
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let Some((ended, fields)) = bytes.split_first_chunk::<8>() else { return Ok(Left::default()) };
        let task = |field: &[u8]| {
            let id = field.split(|b| *b == 0).next().filter(|id| !id.is_empty())?;
            String::from_utf8(id.to_vec()).ok()
        };
        Ok(Left {
            ended: u64::from_le_bytes(*ended),
            in_hand: fields.chunks(FIELD).filter_map(task).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_hand_is_told() {
        let mut file = tempfile::tempfile().expect("file");
        assert_eq!(Notes::read(&mut file).expect("reads"), Left::default());
        let notes = Notes::new(file.try_clone().expect("clones"));
        notes.begin(2, "job/0/00000007");
        notes.begin(0, "job/0/00000001");
        notes.end(0);
        notes.begin(1, "job/0/00000002");
        let left = Notes::read(&mut file).expect("reads");
        assert_eq!(left, Left { ended: 1, in_hand: vec!["job/0/00000002".into(), "job/0/00000007".into()] });
    }
}
