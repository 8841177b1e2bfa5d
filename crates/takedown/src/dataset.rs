//! Taking documents out of a dataset.
//!
//! ```text
//! OUTPUT/_takedowns/000001.json             which list: created only if absent, so that there is one takedown at a time
//!       /_takedowns/000001-replaced.json    the files that it replaced; written before the manifest, deleted after it
//!       /data/part-00003-000-t1.jsonl.zst   a file without those documents
//! ```
//!
//! The manifest counts them as dropped by `takedown`. Rows that stay keep their JSON text. Of the files that say which documents
//! were joined, rows that name one of them go, too.

use crate::TakedownError;
use crate::files::Folder;
use crate::list::{Found, List};
use gristmill_job::{FileEntry, Manifest, Takedown};
use gristmill_pipeline::Document;
use gristmill_storage::{
    BlockingWriter, Carry, Compression, Created, Encoding, Format, Item, Open, Push, StoreError, Stores, Uri,
    Writer, open,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use tokio::runtime::Handle;

/// The reason in the manifest's account.
const REASON: &str = "takedown";
const ENCODINGS: [Encoding; 4] = [
    Encoding::Jsonl(Compression::Zstd),
    Encoding::Jsonl(Compression::Gzip),
    Encoding::Jsonl(Compression::None),
    Encoding::Parquet,
];

/// A dataset, its manifest read.
pub struct Dataset {
    folder: Folder,
    manifest: Manifest,
}

/// What a list names of a dataset.
#[derive(Default)]
pub struct Named {
    pub documents: u64,
    /// Record ids of those.
    pub ids: HashSet<String>,
    /// The files that they are in.
    files: HashSet<String>,
}

/// `_takedowns/N.json`
#[derive(PartialEq, Serialize, Deserialize)]
struct Begun {
    list_sha256: String,
}

/// `_takedowns/N-replaced.json`
#[derive(Serialize, Deserialize)]
struct Replaced {
    files: Vec<String>,
}

/// What a takedown came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub documents: u64,
    /// Files that were written anew.
    pub files: u64,
}

impl Dataset {
    pub fn open(handle: &Handle, stores: &Stores, at: &Uri) -> Result<Self, TakedownError> {
        let (store, prefix) = stores.open(at)?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        let folder = Folder { handle: handle.clone(), store, prefix };
        let missing = || StoreError::NotFound { uri: folder.uri("manifest.json") };
        let bytes = folder.get("manifest.json")?.ok_or_else(missing)?;
        let manifest = serde_json::from_slice(&bytes).map_err(|error| TakedownError::Manifest {
            uri: folder.uri("manifest.json"),
            why: error.to_string(),
        })?;
        Ok(Self { folder, manifest })
    }

    /// Finds the documents that a list names.
    pub fn find(&self, list: &List, found: &mut Found) -> Result<Named, TakedownError> {
        let mut named = Named::default();
        self.each_file(|file| {
            let before = named.documents;
            self.each_row(file, |doc, _| {
                if names(list, doc, found) {
                    named.documents += 1;
                    named.ids.insert(doc.id.clone());
                }
                Ok(())
            })?;
            if named.documents > before {
                named.files.insert(file.path.clone());
            }
            Ok(())
        })?;
        named.ids.remove("");
        Ok(named)
    }

    /// Takes them out. Done again after it was killed, it goes on; done again after it ended, it does nothing.
    pub fn take_down(mut self, list: &List, named: &Named) -> Result<Taken, TakedownError> {
        let number = self.manifest.takedowns.len() + 1;
        let last = self.manifest.takedowns.last().filter(|last| last.list_sha256 == list.sha256());
        if let Some(last) = last {
            let taken = Taken { documents: last.documents, files: last.files };
            self.clean_up(number - 1)?;
            return Ok(taken);
        }
        // What a killed one left to delete.
        self.clean_up(number - 1)?;
        let documents = named.documents;
        if documents == 0 {
            return Ok(Taken::default());
        }
        self.begin(number, list)?;
        let is_gone = |id: &str| named.ids.contains(id) || list.names(id, "", &mut list.nothing());
        let in_data = |doc: &Document| names(list, doc, &mut list.nothing());
        let in_clusters = |doc: &Document| {
            is_gone(&doc.id) || doc.fields.str("survivor").is_some_and(|survivor| is_gone(&survivor))
        };
        let mut work = Rewriting { dataset: &self, number, replaced: Vec::new(), rewritten: 0 };
        let manifest = &self.manifest;
        let (files, file_lists) =
            work.all(&manifest.files, &manifest.file_lists, Some(&named.files), &in_data)?;
        let taken = Taken { documents, files: work.rewritten };
        let (clusters, cluster_lists) =
            work.all(&manifest.clusters, &manifest.cluster_lists, None, &in_clusters)?;
        let replaced = Replaced { files: work.replaced };
        let manifest = &mut self.manifest;
        (manifest.files, manifest.file_lists) = (files, file_lists);
        (manifest.clusters, manifest.cluster_lists) = (clusters, cluster_lists);
        manifest.documents.kept = manifest.documents.kept.saturating_sub(documents);
        *manifest.documents.dropped.entry(REASON.to_owned()).or_default() += documents;
        let list_sha256 = list.sha256().to_owned();
        manifest.takedowns.push(Takedown { list_sha256, documents, files: taken.files });
        self.folder.put(&replaced_path(number), to_json(&replaced))?;
        self.folder.put("manifest.json", to_json(&self.manifest))?;
        self.clean_up(number)?;
        Ok(taken)
    }

    /// One takedown at a time.
    fn begin(&self, number: usize, list: &List) -> Result<(), TakedownError> {
        let path = format!("_takedowns/{number:06}.json");
        let mine = Begun { list_sha256: list.sha256().to_owned() };
        let (store, key) = (self.folder.store.clone(), self.folder.key(&path));
        let bytes = to_json(&mine);
        if self.folder.wait(async move { store.create(&key, bytes.into()).await })?? == Created::New {
            return Ok(());
        }
        let there = self.folder.get(&path)?.and_then(|bytes| serde_json::from_slice::<Begun>(&bytes).ok());
        match there {
            Some(there) if there != mine => {
                Err(TakedownError::Begun { uri: self.folder.uri(&path), list: there.list_sha256 })
            }
            _ => Ok(()),
        }
    }

    /// Deletes what a takedown replaced, once the manifest lists it no more.
    fn clean_up(&self, number: usize) -> Result<(), TakedownError> {
        let path = replaced_path(number);
        let Some(bytes) = self.folder.get(&path)? else { return Ok(()) };
        let replaced: Replaced = serde_json::from_slice(&bytes).map_err(|error| TakedownError::Damaged {
            uri: self.folder.uri(&path),
            why: error.to_string(),
        })?;
        self.folder.delete(&replaced.files)?;
        self.folder.delete(&[path])
    }

    fn each_file(
        &self,
        mut look: impl FnMut(&FileEntry) -> Result<(), TakedownError>,
    ) -> Result<(), TakedownError> {
        self.manifest.files.iter().try_for_each(&mut look)?;
        for list in &self.manifest.file_lists {
            self.read_list(list)?.iter().try_for_each(&mut look)?;
        }
        Ok(())
    }

    fn each_row(
        &self,
        file: &FileEntry,
        mut look: impl FnMut(&Document, &str) -> Result<(), TakedownError>,
    ) -> Result<(), TakedownError> {
        let (Some(format), _) = Format::of_name(&file.path) else {
            return Err(self.damaged(file, "it is of no known format"));
        };
        let mut records = open(self.folder.source(file), &Open::whole(&file.path, format))?;
        let mut rows = 0;
        while let Some(item) = records.next()? {
            let Item::Json { line, .. } = item else {
                return Err(self.damaged(file, "it holds what is no row"));
            };
            let doc = Document::from_json(&line, String::new);
            look(&doc.map_err(|error| self.damaged(file, &error.to_string()))?, &line)?;
            rows += 1;
        }
        if rows == file.rows { Ok(()) } else { Err(self.damaged(file, &format!("it has {rows} rows"))) }
    }

    fn read_list(&self, list: &FileEntry) -> Result<Vec<FileEntry>, TakedownError> {
        let bytes = self.folder.get(&list.path)?.unwrap_or_default();
        if hex::encode(Sha256::digest(&bytes)) != list.sha256 {
            return Err(self.damaged(list, "it has another sha256"));
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let read =
            |line| serde_json::from_slice(line).map_err(|error| self.damaged(list, &error.to_string()));
        lines.map(read).collect()
    }

    fn write_list(&self, path: String, files: &[FileEntry]) -> Result<FileEntry, TakedownError> {
        let mut bytes = Vec::new();
        for file in files {
            // Our own type, all keys strings: this cannot fail.
            let _ = serde_json::to_writer(&mut bytes, file);
            bytes.push(b'\n');
        }
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let entry = FileEntry { path, rows: files.len() as u64, bytes: bytes.len() as u64, sha256 };
        self.folder.put(&entry.path, bytes)?;
        Ok(entry)
    }

    fn damaged(&self, file: &FileEntry, why: &str) -> TakedownError {
        TakedownError::Damaged { uri: self.folder.uri(&file.path), why: why.to_owned() }
    }
}

/// A takedown at work on a dataset's files.
struct Rewriting<'a> {
    dataset: &'a Dataset,
    number: usize,
    /// Files, and lists of files, that others take the place of.
    replaced: Vec<String>,
    /// Files, lists not counted.
    rewritten: u64,
}

impl Rewriting<'_> {
    /// The files, and the lists of more of them, those with rows that go written anew.
    fn all(
        &mut self,
        files: &[FileEntry],
        lists: &[FileEntry],
        hit: Option<&HashSet<String>>,
        goes: &dyn Fn(&Document) -> bool,
    ) -> Result<(Vec<FileEntry>, Vec<FileEntry>), TakedownError> {
        let files = self.files(files, hit, goes)?;
        let mut all = Vec::with_capacity(lists.len());
        for list in lists {
            let before = self.rewritten;
            let files = self.files(&self.dataset.read_list(list)?, hit, goes)?;
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

    /// `hit`: the files that have such rows, if that is known.
    fn files(
        &mut self,
        files: &[FileEntry],
        hit: Option<&HashSet<String>>,
        goes: &dyn Fn(&Document) -> bool,
    ) -> Result<Vec<FileEntry>, TakedownError> {
        let mut all = Vec::with_capacity(files.len());
        for file in files {
            let mut some = hit.is_some_and(|hit| hit.contains(&file.path));
            if hit.is_none() {
                self.dataset.each_row(file, |doc, _| {
                    some |= goes(doc);
                    Ok(())
                })?;
            }
            if some {
                all.extend(self.rewrite(file, goes)?);
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
        goes: &dyn Fn(&Document) -> bool,
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
            let Some((path, mut writer)) = current.take() else { return Ok(()) };
            if goes(doc) || writer.push(row)? == Push::Written {
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

fn names(list: &List, doc: &Document, found: &mut Found) -> bool {
    list.names(&doc.id, &doc.fields.str("url").unwrap_or_default(), found)
}

fn replaced_path(number: usize) -> String {
    format!("_takedowns/{number:06}-replaced.json")
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    // Our own types, all keys strings: this cannot fail.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
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
