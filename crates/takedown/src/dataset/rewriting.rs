//! Files of a dataset written anew, beside the old ones.

use super::Dataset;
use crate::TakedownError;
use gristmill_job::FileEntry;
use gristmill_pipeline::Document;
use gristmill_storage::{BlockingWriter, Carry, Compression, Encoding, Push, Writer};
use std::collections::HashSet;

const ENCODINGS: [Encoding; 4] = [
    Encoding::Jsonl(Compression::Zstd),
    Encoding::Jsonl(Compression::Gzip),
    Encoding::Jsonl(Compression::None),
    Encoding::Parquet,
];

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It keeps its bytes.
    Stays,
    /// It is written as the document is by now.
    Changed,
    Goes,
}

/// A takedown at work on a dataset's files.
pub(super) struct Rewriting<'a> {
    dataset: &'a Dataset,
    number: usize,
    /// The files to write anew.
    hit: &'a HashSet<String>,
    /// Files, and lists of files, that others take the place of.
    replaced: Vec<String>,
    /// Files, lists not counted.
    rewritten: u64,
}

impl<'a> Rewriting<'a> {
    pub(super) fn new(dataset: &'a Dataset, number: usize, hit: &'a HashSet<String>) -> Self {
        Self { dataset, number, hit, replaced: Vec::new(), rewritten: 0 }
    }

    /// What was replaced, and how many files were written.
    pub(super) fn done(self) -> (Vec<String>, u64) {
        (self.replaced, self.rewritten)
    }

    /// The files, and the lists of more of them, those with rows that do not stay written anew.
    pub(super) fn all(
        &mut self,
        files: &[FileEntry],
        lists: &[FileEntry],
        fate: &dyn Fn(&mut Document) -> Fate,
    ) -> Result<(Vec<FileEntry>, Vec<FileEntry>), TakedownError> {
        let files = self.files(files, fate)?;
        let mut all = Vec::with_capacity(lists.len());
        for list in lists {
            let before = self.rewritten;
            let files = self.files(&self.dataset.read_list(list)?, fate)?;
            if self.rewritten == before {
                all.push(list.clone());
                continue;
            }
            let path = renamed(&list.path, self.number, 0, ".jsonl");
            all.push(self.dataset.write_list(path, &files)?);
            self.replaced.push(list.path.clone());
        }
        Ok((files, all))
    }

    fn files(
        &mut self,
        files: &[FileEntry],
        fate: &dyn Fn(&mut Document) -> Fate,
    ) -> Result<Vec<FileEntry>, TakedownError> {
        let mut all = Vec::with_capacity(files.len());
        for file in files {
            if self.hit.contains(&file.path) {
                all.extend(self.rewrite(file, fate)?);
                self.replaced.push(file.path.clone());
                self.rewritten += 1;
            } else {
                all.push(file.clone());
            }
        }
        Ok(all)
    }

    /// One file, or several where the columns of what is left need them.
    fn rewrite(
        &self,
        file: &FileEntry,
        fate: &dyn Fn(&mut Document) -> Fate,
    ) -> Result<Vec<FileEntry>, TakedownError> {
        let encoding = ENCODINGS.into_iter().find(|encoding| file.path.ends_with(encoding.extension()));
        let encoding = encoding.ok_or_else(|| self.dataset.damaged(file, "it is of no known format"))?;
        let begin = |carry: Carry, piece: usize| -> Result<(String, Writer<BlockingWriter>), TakedownError> {
            let path = renamed(&file.path, self.number, piece, encoding.extension());
            let out = self.dataset.folder.create(&path);
            Ok((path, Writer::new(out, encoding, carry)?))
        };
        let mut written = Vec::new();
        let mut current = Some(begin(Carry::default(), 0)?);
        self.dataset.each_row(file, |doc, row| {
            let (fate, mut changed) = (fate(doc), Vec::new());
            if fate == Fate::Goes {
                return Ok(());
            }
            if fate == Fate::Changed {
                doc.write_json(&mut changed);
            }
            let changed = String::from_utf8_lossy(&changed);
            let row = if fate == Fate::Changed { &changed } else { row };
            let Some((path, mut writer)) = current.take() else { return Ok(()) };
            if writer.push(row)? == Push::Written {
                current = Some((path, writer));
                return Ok(());
            }
            let carry = finish(path, writer, &mut written)?;
            let (path, mut next) = begin(carry, written.len())?;
            if next.push(row)? == Push::NextFile {
                return Err(self.dataset.damaged(file, "a row of it fits no file"));
            }
            current = Some((path, next));
            Ok(())
        })?;
        if let Some((path, writer)) = current {
            finish(path, writer, &mut written)?;
        }
        Ok(written)
    }
}

fn finish(
    path: String,
    writer: Writer<BlockingWriter>,
    files: &mut Vec<FileEntry>,
) -> Result<Carry, TakedownError> {
    let finished = writer.finish()?;
    finished.inner.finish()?;
    let written = finished.written;
    files.push(FileEntry { path, rows: written.rows, bytes: written.bytes, sha256: written.sha256 });
    Ok(finished.carry)
}

/// `data/part-0.jsonl` → `data/part-0-t1.jsonl` → `data/part-0-t2.jsonl`; further files of one `data/part-0-t2.1.jsonl`.
fn renamed(path: &str, takedown: usize, piece: usize, extension: &str) -> String {
    let stem = path.strip_suffix(extension).unwrap_or(path);
    let is_ours = |end: &str| {
        let (number, piece) = end.split_once('.').unwrap_or((end, "0"));
        [number, piece].iter().all(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let stem = match stem.rsplit_once("-t") {
        Some((before, end)) if is_ours(end) => before,
        _ => stem,
    };
    // A piece of an earlier takedown's keeps apart from the others.
    let earlier =
        path.strip_suffix(extension).and_then(|stem| Some(stem.rsplit_once("-t")?.1.split_once('.')?.1));
    match (earlier.filter(|n| n.bytes().all(|byte| byte.is_ascii_digit())), piece) {
        (None, 0) => format!("{stem}-t{takedown}{extension}"),
        (None, piece) => format!("{stem}-t{takedown}.{piece}{extension}"),
        (Some(earlier), piece) => format!("{stem}-{earlier}-t{takedown}.{piece}{extension}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_the_takedown() {
        for (path, piece, expected) in [
            ("data/part-00000-000.jsonl.zst", 0, "data/part-00000-000-t3.jsonl.zst"),
            ("data/part-00000-000-t1.jsonl.zst", 0, "data/part-00000-000-t3.jsonl.zst"),
            ("data/part-00000-000-t12.jsonl.zst", 2, "data/part-00000-000-t3.2.jsonl.zst"),
            ("data/part-00000-000-t1.2.jsonl.zst", 0, "data/part-00000-000-2-t3.0.jsonl.zst"),
            (
                "processed_data/my-text_processed.jsonl.zst",
                0,
                "processed_data/my-text_processed-t3.jsonl.zst",
            ),
        ] {
            assert_eq!(renamed(path, 3, piece, ".jsonl.zst"), expected, "{path}");
        }
    }
}
