//! What a worker's lanes have in hand, in a small file that outlives the process.
//!
//! The supervisor that finds its worker dead reads which tasks were in hand: one of them may have killed it. It hands them to the
//! next worker, which makes those attempts in processes of their own.
//!
//! The file is first a list in JSON, the suspects that the supervisor hands over. The worker takes them and begins anew: eight
//! bytes to know it by, the number of attempts that came to an end as a little-endian `u64`, then a field of 1,024
//! bytes for each lane, its task's id or zeros.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: &[u8; 8] = b"gmnotes1";
/// Bytes before the first field.
const HEAD: usize = 16;
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
    /// Hands suspects over to the worker that will take this empty file.
    pub fn hand_over(file: &mut File, suspects: &BTreeSet<String>) -> io::Result<()> {
        file.write_all(&serde_json::to_vec(suspects)?)
    }

    /// Takes the file over, with the suspects in it.
    pub fn take(mut file: File) -> io::Result<(Self, BTreeSet<String>)> {
        let mut json = Vec::new();
        file.read_to_end(&mut json)?;
        let suspects = serde_json::from_slice(&json)?;
        file.set_len(0)?;
        file.write_all_at(MAGIC, 0)?;
        Ok((Self { file, ended: AtomicU64::new(0) }, suspects))
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
        let _ = self.file.write_all_at(&ended.to_le_bytes(), MAGIC.len() as u64);
    }

    fn write(&self, field: &[u8], lane: usize) {
        let _ = self.file.write_all_at(field, (HEAD + lane * FIELD) as u64);
    }

    /// Reads what was noted.
    pub fn read(file: &mut File) -> io::Result<Left> {
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let Some(notes) = bytes.strip_prefix(MAGIC) else { return Ok(Left::default()) };
        let (ended, fields) = notes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
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
    fn suspects_go_in_and_what_was_in_hand_comes_out() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("notes");
        let mut file = File::create_new(&path).expect("creates");
        let suspects = BTreeSet::from(["job/0/00000005".to_owned()]);
        Notes::hand_over(&mut file, &suspects).expect("writes");
        let mut file = File::open(&path).expect("opens");
        assert_eq!(Notes::read(&mut file).expect("reads"), Left::default(), "not taken yet");

        let theirs = File::options().read(true).write(true).open(&path).expect("opens");
        let (notes, taken) = Notes::take(theirs).expect("takes");
        assert_eq!(taken, suspects);
        assert_eq!(Notes::read(&mut file).expect("reads"), Left::default(), "nothing begun yet");
        notes.begin(2, "job/0/00000007");
        notes.begin(0, "job/0/00000001");
        notes.end(0);
        notes.begin(1, "job/0/00000002");
        let left = Notes::read(&mut file).expect("reads");
        assert_eq!(left, Left { ended: 1, in_hand: vec!["job/0/00000002".into(), "job/0/00000007".into()] });
    }
}
