//! Taking documents out of a dataset.
//!
//! ```text
//! OUTPUT/_takedowns/000001.json             which list, and the record ids that it comes to; created only if absent, so that there is
//!                                           one takedown at a time. It forgets the ids when it is done.
//!       /_takedowns/000001-replaced.json    the files that it replaced; written before the manifest, deleted after it
//!       /data/part-00003-000-t1.jsonl.zst   a file without those documents
//! ```
//!
//! The manifest counts them as dropped by `takedown`. Rows that stay keep their JSON text.
//!
//! Their record ids go wherever else a dedup wrote them: rows of `clusters/` that name one, as document or survivor; the field
//! `duplicate_of` of documents that were copies of one; entries of `duplicate_ids`; components that the manifest names as held back;
//! lines of `_problems.jsonl`. Counts (`duplicates`, `size`) stay: they say how many there were. A document that went as a
//! duplicate is in the dataset by its id alone, so that the list has to name that, or an index to know its address.

mod rewriting;

use crate::TakedownError;
use crate::files::Folder;
use crate::list::{Found, List};
use gristmill_job::{FileEntry, Manifest, Problem, Takedown};
use gristmill_pipeline::Document;
use gristmill_storage::{Created, Format, Item, Open, StoreError, Stores, Uri, open};
use rewriting::{Fate, Rewriting};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use tokio::runtime::Handle;

/// The reason in the manifest's account.
const REASON: &str = "takedown";
const PROBLEMS: &str = "_problems.jsonl";
/// Of a document that a dedup tells of: the one that it is a copy of.
const DUPLICATE_OF: &str = "duplicate_of";
/// Of one that stayed: those that are copies of it.
const DUPLICATE_IDS: &str = "duplicate_ids";

/// A dataset, its manifest read.
pub struct Dataset {
    folder: Folder,
    manifest: Manifest,
}

/// What a list names of a dataset.
#[derive(Default)]
pub struct Named {
    pub documents: u64,
    /// Record ids of those, and what a takedown of the same list knew that was killed here.
    pub ids: HashSet<String>,
    /// The files that they are in.
    files: HashSet<String>,
    /// Files with documents that say which others they are copies of, or which are copies of them.
    telling: HashSet<String>,
}

/// What there is to do, and that it has begun.
#[derive(Default)]
pub struct Pending {
    documents: u64,
    /// The files to write anew.
    hit: HashSet<String>,
    /// The problems that are left, if any go.
    problems: Option<Vec<u8>>,
    is_any: bool,
}

/// `_takedowns/N.json`
#[derive(PartialEq, Serialize, Deserialize)]
struct Begun {
    list_sha256: String,
    /// What is taken out here and at other places, where it may be forgotten before this takedown goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
}

/// Who goes.
struct Gone<'a> {
    list: &'a List,
    ids: &'a HashSet<String>,
}

impl Gone<'_> {
    fn has(&self, id: &str) -> bool {
        self.ids.contains(id) || self.list.names(id, "", &mut self.list.nothing())
    }

    fn in_data(&self, doc: &mut Document) -> Fate {
        if names(self.list, doc, &mut self.list.nothing()) {
            Fate::Goes
        } else if self.forget(doc) {
            Fate::Changed
        } else {
            Fate::Stays
        }
    }

    fn in_clusters(&self, doc: &mut Document) -> Fate {
        let survivor = doc.fields.str("survivor").unwrap_or_default();
        if self.has(&doc.id) || self.has(&survivor) { Fate::Goes } else { Fate::Stays }
    }

    /// Takes the ids of others that go out of a document.
    fn forget(&self, doc: &mut Document) -> bool {
        let is_copy = doc.fields.str(DUPLICATE_OF).is_some_and(|id| self.has(&id));
        if is_copy {
            doc.fields.remove(DUPLICATE_OF);
        }
        let is_gone = |id: &Value| id.as_str().is_some_and(|id| self.has(id));
        let Some(Value::Array(ids)) = doc.fields.value(DUPLICATE_IDS) else { return is_copy };
        let left: Vec<Value> = ids.iter().filter(|id| !is_gone(id)).cloned().collect();
        if left.len() == ids.len() {
            return is_copy;
        }
        doc.fields.set(DUPLICATE_IDS, left);
        true
    }
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
        self.each_file(&self.manifest.files, &self.manifest.file_lists, |file| {
            let before = named.documents;
            let mut tells = false;
            self.each_row(file, |doc, _| {
                tells |= doc.fields.contains(DUPLICATE_OF) || doc.fields.contains(DUPLICATE_IDS);
                if names(list, doc, found) {
                    named.documents += 1;
                    named.ids.insert(doc.id.clone());
                }
                Ok(())
            })?;
            if named.documents > before {
                named.files.insert(file.path.clone());
            }
            if tells {
                named.telling.insert(file.path.clone());
            }
            Ok(())
        })?;
        let begun = self.begun(self.number())?.filter(|begun| begun.list_sha256 == list.sha256());
        named.ids.extend(begun.into_iter().flat_map(|begun| begun.ids));
        named.ids.remove("");
        Ok(named)
    }

    /// Whether ids may stand in it beside those of its own documents.
    #[must_use]
    pub fn tells(&self, named: &Named) -> bool {
        let manifest = &self.manifest;
        !named.telling.is_empty() || !manifest.clusters.is_empty() || !manifest.cluster_lists.is_empty()
    }

    /// Finds out what is to be done, and writes down that it has begun. `ids`: of all documents that are taken down, here and
    /// elsewhere.
    pub fn begin(&self, list: &List, named: Named, ids: &HashSet<String>) -> Result<Pending, TakedownError> {
        // What a killed one left to delete.
        self.clean_up(self.number() - 1)?;
        let (gone, manifest) = (Gone { list, ids }, &self.manifest);
        let Named { documents, files: mut hit, telling, .. } = named;
        self.each_file(&manifest.files, &manifest.file_lists, |file| {
            if telling.contains(&file.path)
                && !hit.contains(&file.path)
                && self.any(file, |doc| gone.forget(doc))?
            {
                hit.insert(file.path.clone());
            }
            Ok(())
        })?;
        self.each_file(&manifest.clusters, &manifest.cluster_lists, |file| {
            if self.any(file, |doc| gone.in_clusters(doc) != Fate::Stays)? {
                hit.insert(file.path.clone());
            }
            Ok(())
        })?;
        let problems = self.problems_without(&gone)?;
        let held = manifest.joined.iter().flat_map(|joined| &joined.components_held);
        let is_any =
            !hit.is_empty() || problems.is_some() || held.into_iter().any(|held| gone.has(&held.survivor));
        if is_any {
            self.write_begun(list, ids)?;
        }
        Ok(Pending { documents, hit, problems, is_any })
    }

    /// Takes them out. Done again after it was killed, it goes on; done again after it ended, it does nothing.
    pub fn take_down(
        mut self,
        list: &List,
        pending: Pending,
        ids: &HashSet<String>,
    ) -> Result<Taken, TakedownError> {
        if !pending.is_any {
            return Ok(Taken::default());
        }
        let (gone, number) = (Gone { list, ids }, self.number());
        let mut work = Rewriting::new(&self, number, &pending.hit);
        let manifest = &self.manifest;
        let (files, file_lists) =
            work.all(&manifest.files, &manifest.file_lists, &|doc| gone.in_data(doc))?;
        let (clusters, cluster_lists) =
            work.all(&manifest.clusters, &manifest.cluster_lists, &|doc| gone.in_clusters(doc))?;
        let (replaced, rewritten) = work.done();
        let (documents, manifest) = (pending.documents, &mut self.manifest);
        (manifest.files, manifest.file_lists) = (files, file_lists);
        (manifest.clusters, manifest.cluster_lists) = (clusters, cluster_lists);
        for joined in &mut manifest.joined {
            joined.components_held.retain(|held| !gone.has(&held.survivor));
        }
        if documents > 0 {
            manifest.documents.kept = manifest.documents.kept.saturating_sub(documents);
            *manifest.documents.dropped.entry(REASON.to_owned()).or_default() += documents;
        }
        let list_sha256 = list.sha256().to_owned();
        manifest.takedowns.push(Takedown { list_sha256, documents, files: rewritten });
        if let Some(problems) = pending.problems {
            self.folder.put(PROBLEMS, problems)?;
        }
        self.folder.put(&replaced_path(number), to_json(&Replaced { files: replaced }))?;
        self.folder.put("manifest.json", to_json(&self.manifest))?;
        self.clean_up(number)?;
        Ok(Taken { documents, files: rewritten })
    }

    /// Of the next takedown.
    fn number(&self) -> usize {
        self.manifest.takedowns.len() + 1
    }

    fn begun(&self, number: usize) -> Result<Option<Begun>, TakedownError> {
        let bytes = self.folder.get(&begun_path(number))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// One takedown at a time.
    fn write_begun(&self, list: &List, ids: &HashSet<String>) -> Result<(), TakedownError> {
        let path = begun_path(self.number());
        let mut ids: Vec<String> = ids.iter().cloned().collect();
        ids.sort_unstable();
        let mine = Begun { list_sha256: list.sha256().to_owned(), ids };
        let (store, key) = (self.folder.store.clone(), self.folder.key(&path));
        let bytes = to_json(&mine);
        if self.folder.wait(async move { store.create(&key, bytes.into()).await })?? == Created::New {
            return Ok(());
        }
        match self.begun(self.number())? {
            Some(there) if there.list_sha256 != mine.list_sha256 => {
                Err(TakedownError::Begun { uri: self.folder.uri(&path), list: there.list_sha256 })
            }
            Some(there) if there == mine => Ok(()),
            // What that one knew is among what is known now.
            _ => self.folder.put(&path, to_json(&mine)),
        }
    }

    /// Deletes what a takedown replaced, once the manifest lists it no more, and what it knew.
    fn clean_up(&self, number: usize) -> Result<(), TakedownError> {
        let path = replaced_path(number);
        if let Some(bytes) = self.folder.get(&path)? {
            let damaged = |error: serde_json::Error| TakedownError::Damaged {
                uri: self.folder.uri(&path),
                why: error.to_string(),
            };
            let replaced: Replaced = serde_json::from_slice(&bytes).map_err(damaged)?;
            self.folder.delete(&replaced.files)?;
            self.folder.delete(&[path])?;
        }
        match self.begun(number)? {
            Some(Begun { list_sha256, ids }) if !ids.is_empty() => {
                self.folder.put(&begun_path(number), to_json(&Begun { list_sha256, ids: Vec::new() }))
            }
            _ => Ok(()),
        }
    }

    /// The problems without those of documents that go, if there are any.
    fn problems_without(&self, gone: &Gone) -> Result<Option<Vec<u8>>, TakedownError> {
        let bytes = self.folder.get(PROBLEMS)?.unwrap_or_default();
        let stays = |line: &&[u8]| {
            serde_json::from_slice::<Problem>(line).map_or(true, |problem| !gone.has(&problem.id))
        };
        let left: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').filter(stays).collect();
        let left = left.concat();
        Ok((left.len() < bytes.len()).then_some(left))
    }

    fn each_file(
        &self,
        files: &[FileEntry],
        lists: &[FileEntry],
        mut look: impl FnMut(&FileEntry) -> Result<(), TakedownError>,
    ) -> Result<(), TakedownError> {
        files.iter().try_for_each(&mut look)?;
        for list in lists {
            self.read_list(list)?.iter().try_for_each(&mut look)?;
        }
        Ok(())
    }

    /// Whether something holds of any row of a file.
    fn any(&self, file: &FileEntry, holds: impl Fn(&mut Document) -> bool) -> Result<bool, TakedownError> {
        let mut any = false;
        self.each_row(file, |doc, _| {
            any = any || holds(doc);
            Ok(())
        })?;
        Ok(any)
    }

    fn each_row(
        &self,
        file: &FileEntry,
        mut look: impl FnMut(&mut Document, &str) -> Result<(), TakedownError>,
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
            look(&mut doc.map_err(|error| self.damaged(file, &error.to_string()))?, &line)?;
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

fn names(list: &List, doc: &Document, found: &mut Found) -> bool {
    list.names(&doc.id, &doc.fields.str("url").unwrap_or_default(), found)
}

fn begun_path(number: usize) -> String {
    format!("_takedowns/{number:06}.json")
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
