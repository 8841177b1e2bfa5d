//! Sorting what does not fit in memory.
//!
//! Rows gather in a buffer. A full buffer is sorted and written to a scratch file, a JSON line a row, packed by zstd; at
//! the end the files are merged. What fits the buffer never touches the disk. Scratch files have no name: they
//! vanish with the process that made them, however it ends.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Rows are held until they take this much.
pub(super) const BUFFER: usize = 32 << 20;
/// Files merged at once: each takes half a megabyte while it is read.
const FAN_IN: usize = 64;

/// What can be sorted and stored.
pub(super) trait Row: Serialize + DeserializeOwned {
    /// What rows are ordered by.
    type Key<'a>: Ord
    where
        Self: 'a;

    fn key(&self) -> Self::Key<'_>;

    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize;
}

/// Takes rows in any order and gives them back sorted.
pub(super) struct Sorter<T> {
    scratch: PathBuf,
    buffer: usize,
    rows: Vec<T>,
    weight: usize,
    runs: Vec<Stored<T>>,
}

impl<T: Row> Sorter<T> {
    /// Holds about `buffer` bytes; the rest goes to files in the folder `scratch`.
    pub(super) fn new(scratch: &Path, buffer: usize) -> Self {
        Self { scratch: scratch.to_owned(), buffer, rows: Vec::new(), weight: 0, runs: Vec::new() }
    }

    pub(super) fn push(&mut self, row: T) -> io::Result<()> {
        self.weight += row.weight();
        self.rows.push(row);
        if self.weight < self.buffer {
            return Ok(());
        }
        self.spill()
    }

    fn spill(&mut self) -> io::Result<()> {
        self.rows.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        let mut run = StoredWriter::new(&self.scratch)?;
        for row in self.rows.drain(..) {
            run.push(&row)?;
        }
        self.weight = 0;
        self.runs.push(run.finish()?);
        if self.runs.len() < FAN_IN {
            return Ok(());
        }
        let mut merged = StoredWriter::new(&self.scratch)?;
        for row in Sorted::merge(&std::mem::take(&mut self.runs))? {
            merged.push(&row?)?;
        }
        self.runs.push(merged.finish()?);
        Ok(())
    }

    /// All rows in order; whether they are in memory is told by [`Sorted::is_in_memory`].
    pub(super) fn finish(mut self) -> io::Result<Sorted<T>> {
        if self.runs.is_empty() {
            self.rows.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
            return Ok(Sorted::Memory(self.rows.into_iter()));
        }
        if !self.rows.is_empty() {
            self.spill()?;
        }
        Sorted::merge(&self.runs)
    }
}

/// Rows in order.
pub(super) enum Sorted<T> {
    Memory(std::vec::IntoIter<T>),
    Merged(Merge<T>),
}

/// Sorted files being merged: the smallest row of each is at hand.
pub(super) struct Merge<T> {
    runs: Vec<StoredRows<T>>,
    next: BinaryHeap<Head<T>>,
}

/// The first row of a run that is not given yet. The smallest is the greatest, as the heap wants it.
struct Head<T> {
    row: T,
    run: usize,
}

impl<T: Row> Ord for Head<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.row.key(), other.run).cmp(&(self.row.key(), self.run))
    }
}

impl<T: Row> PartialOrd for Head<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Row> PartialEq for Head<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Row> Eq for Head<T> {}

impl<T: Row> Sorted<T> {
    fn merge(runs: &[Stored<T>]) -> io::Result<Self> {
        let mut merge = Merge { runs: Vec::new(), next: BinaryHeap::new() };
        for (number, run) in runs.iter().enumerate() {
            merge.runs.push(run.rows()?);
            merge.advance(number)?;
        }
        Ok(Self::Merged(merge))
    }

    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }
}

impl<T: Row> Merge<T> {
    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(row) = self.runs.get_mut(run).and_then(Iterator::next) {
            self.next.push(Head { row: row?, run });
        }
        Ok(())
    }
}

impl<T: Row> Iterator for Sorted<T> {
    type Item = io::Result<T>;

    fn next(&mut self) -> Option<io::Result<T>> {
        match self {
            Self::Memory(rows) => rows.next().map(Ok),
            Self::Merged(merge) => {
                let Head { row, run } = merge.next.pop()?;
                Some(merge.advance(run).map(|()| row))
            }
        }
    }
}

/// Rows in a scratch file, in the order they were written; read any number of times.
pub(super) struct Stored<T> {
    file: Arc<File>,
    rows: PhantomData<fn() -> T>,
}

/// Writes a [`Stored`].
pub(super) struct StoredWriter<T> {
    out: zstd::Encoder<'static, BufWriter<File>>,
    rows: PhantomData<fn(T)>,
}

impl<T: Row> StoredWriter<T> {
    pub(super) fn new(scratch: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(scratch)?;
        let file = BufWriter::with_capacity(256 << 10, tempfile::tempfile_in(scratch)?);
        Ok(Self { out: zstd::Encoder::new(file, 1)?, rows: PhantomData })
    }

    pub(super) fn push(&mut self, row: &T) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")
    }

    pub(super) fn finish(self) -> io::Result<Stored<T>> {
        let file = self.out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Stored { file: Arc::new(file), rows: PhantomData })
    }
}

impl<T: Row> Stored<T> {
    pub(super) fn rows(&self) -> io::Result<StoredRows<T>> {
        let file = BufReader::with_capacity(64 << 10, FromStart { file: self.file.clone(), at: 0 });
        let lines = BufReader::with_capacity(64 << 10, zstd::Decoder::with_buffer(file)?);
        Ok(StoredRows { lines, line: Vec::new(), rows: PhantomData })
    }
}

/// A file read with a place of one's own: others read it at the same time.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(out, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// The rows of a [`Stored`].
pub(super) struct StoredRows<T> {
    lines: BufReader<zstd::Decoder<'static, BufReader<FromStart>>>,
    line: Vec<u8>,
    rows: PhantomData<fn() -> T>,
}

impl<T: Row> Iterator for StoredRows<T> {
    type Item = io::Result<T>;

    fn next(&mut self) -> Option<io::Result<T>> {
        self.line.clear();
        match self.lines.read_until(b'\n', &mut self.line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_slice(&self.line).map_err(Into::into)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    struct Word(String);

    impl Row for Word {
        type Key<'a> = &'a str;

        fn key(&self) -> &str {
            &self.0
        }

        fn weight(&self) -> usize {
            self.0.len()
        }
    }

    #[test]
    fn sorts_alike_in_memory_and_through_many_files() {
        let folder = tempfile::tempdir().unwrap();
        let words: Vec<Word> = (0..5000_u64)
            .map(|n| Word(format!("{:x}\n\"", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 60))))
            .collect();
        let mut expected = words.clone();
        expected.sort();
        // Buffers of 200 bytes make some 500 runs: more than are merged at once.
        for buffer in [200, 20_000, 1 << 30] {
            let mut sorter = Sorter::new(folder.path(), buffer);
            for word in &words {
                sorter.push(word.clone()).unwrap();
            }
            let sorted = sorter.finish().unwrap();
            assert_eq!(sorted.is_in_memory(), buffer == 1 << 30);
            let got: Vec<Word> = sorted.collect::<io::Result<_>>().unwrap();
            assert!(got == expected, "buffer of {buffer}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "scratch files have no names");
    }

    #[test]
    fn damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = StoredWriter::new(folder.path()).unwrap();
        for n in 0..10_000 {
            run.push(&Word(n.to_string())).unwrap();
        }
        let run = run.finish().unwrap();
        assert_eq!(run.rows().unwrap().flatten().count(), 10_000);
        run.file.set_len(run.file.metadata().unwrap().len() / 2).unwrap();
        assert!(run.rows().unwrap().any(|row| row.is_err()));
    }
}
