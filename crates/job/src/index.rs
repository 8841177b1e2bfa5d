//! An index: the documents of earlier jobs, kept so that those of later jobs meet them.
//!
//! ```text
//! INDEX/generations/000001.json     what the index consists of; created, never changed
//!      /files/000001-NAME/…         what a job (NAME hangs on its plan) or a takedown wrote for that generation
//! ```
//!
//! A generation is made of parts, one for each job that extended the index, and a part of segments, one for each task that
//! signed: its keys, its shingle sets where documents are compared, and the ids and addresses of its documents. All that the
//! jobs' dedups saw is there, whether it stayed or went: a document that is like one that went is a duplicate of the one that
//! stayed. Which went, and in whose favour, stands in the part's drop list.
//!
//! Segments are numbered through all parts and keep their numbers for good. A job that reads a generation of n segments
//! knows them as its shards 0 to n - 1, and its own as those from n on: so what it writes of documents is right in the next
//! generation as it stands.
//!
//! Of all that would write generation N + 1 one wins: its manifest is created only if it is absent. What the others wrote for it
//! is named by no generation and never will be, so that whoever comes later may delete it ([`Index::leftovers`]).

pub mod ids;

use crate::layout::Folder;
use crate::{FileEntry, JobError, PAGE_TASKS};
use bytes::Bytes;
use gristmill_storage::{Created, Store, StoreError, Stores, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

/// The version of what is written here.
const FORMAT: u32 = 1;
/// What stands in the place of a generation that a takedown took away.
const REMOVED: &[u8] = b"{\"format\": 1, \"removed\": true}\n";

/// One state of an index. The one before the first, generation 0, has no manifest: it is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    pub format: u32,
    pub generation: u64,
    /// The step that it is of, and all that decides which documents meet and are joined.
    pub joins_by: Value,
    pub parts: Vec<Part>,
    /// Documents that takedowns took out of it, so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub taken_down: u64,
}

/// What one job added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The generation that it came with.
    pub generation: u64,
    pub job: String,
    /// Of the job's input.
    pub input_sha256: String,
    pub first_segment: u32,
    pub segments: u32,
    /// Documents that the job's dedup saw.
    pub documents: u64,
    /// Which of them, or of their units, went, and in whose favour. A drop list over the part's segments.
    pub drops: FileEntry,
    /// The [`Segment`]s, one a line, those of a page in each file.
    pub pages: Vec<FileEntry>,
}

/// What one task signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    pub keys: FileEntry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sets: Option<FileEntry>,
    /// See [`ids`].
    pub ids: FileEntry,
}

impl Segment {
    pub fn into_files(self) -> impl Iterator<Item = FileEntry> {
        [Some(self.keys), self.sets, Some(self.ids)].into_iter().flatten()
    }
}

/// Why an index could not be read or extended.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(
        "there is no index at {at}: correct the address, or let a job make one, with `index: {{at: {at}, extend: true}}`"
    )]
    Missing { at: String },
    #[error(
        "the index {at} has no generation {generation}, its latest is {latest}: give a smaller number, or none for the latest"
    )]
    NoGeneration { at: String, generation: u64, latest: u64 },
    #[error(
        "generation {generation} of the index {at} is gone, a takedown removed it: name a later one, or none for the latest"
    )]
    Removed { at: String, generation: u64 },
    #[error("{uri} is no generation of an index that this version can read: {why}")]
    Unreadable { uri: String, why: String },
    #[error(
        "{at} has a generation {generation} already, by {by}, which this job did not meet: run this job anew, so that it meets those documents, too (`gristmill run --overwrite`; in a cluster, cancel it and submit it with another key), or without `extend`"
    )]
    Taken { at: String, generation: u64, by: String },
}

impl IndexError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Job(error) if error.is_retryable())
    }
}

impl From<StoreError> for IndexError {
    fn from(error: StoreError) -> Self {
        Self::Job(error.into())
    }
}

impl Generation {
    /// The one before the first.
    #[must_use]
    pub fn empty(joins_by: Value) -> Self {
        Self { format: FORMAT, joins_by, ..Self::default() }
    }

    /// Reads a manifest. Whatever it says of files stays below the index.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let format: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match format.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(format!("it is of format {format}, and this version knows {FORMAT}")),
            None => return Err("it names no format".to_owned()),
        }
        let generation: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        generation.check()?;
        Ok(generation)
    }

    fn check(&self) -> Result<(), String> {
        let mut next = Some(0_u32);
        for (number, part) in self.parts.iter().enumerate() {
            if next != Some(part.first_segment) {
                return Err(format!("part {number} begins with segment {}", part.first_segment));
            }
            next = part.first_segment.checked_add(part.segments);
            if next.is_none() {
                return Err("it has more than 2^32 segments".to_owned());
            }
            if part.pages.len() as u64 != u64::from(part.segments).div_ceil(PAGE_TASKS) {
                return Err(format!("part {number} has {} pages of segments", part.pages.len()));
            }
            std::iter::once(&part.drops).chain(&part.pages).try_for_each(check_file)?;
        }
        Ok(())
    }

    /// Segments of all parts.
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.parts.last().map_or(0, |part| part.first_segment.saturating_add(part.segments))
    }

    /// Documents of all parts.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.documents))
    }

    /// The part that a segment is of.
    #[must_use]
    pub fn part_of(&self, segment: u32) -> Option<&Part> {
        let after = self.parts.partition_point(|part| part.first_segment <= segment);
        let part = self.parts.get(after.checked_sub(1)?)?;
        (segment - part.first_segment < part.segments).then_some(part)
    }

    /// As it is stored.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        // Our own types, all keys strings: this cannot fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes.into()
    }

    /// Of what is stored.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.to_bytes()))
    }
}

/// A file of an index lies in it.
fn check_file(file: &FileEntry) -> Result<(), String> {
    let plain = !file.path.is_empty()
        && Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_)));
    if plain { Ok(()) } else { Err(format!("{:?} is no path below the index", file.path)) }
}

/// Where an index lies.
#[derive(Clone)]
pub struct Index {
    folder: Folder,
    at: String,
}

impl Index {
    pub fn open(stores: &Stores, at: &Uri) -> Result<Self, JobError> {
        Ok(Self { folder: Folder::open(stores, at)?, at: at.to_string() })
    }

    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        self.folder.store()
    }

    /// The whole key of a path below the index.
    #[must_use]
    pub fn key(&self, path: &str) -> String {
        self.folder.key(path)
    }

    /// The numbers of the generations that are there, ascending.
    pub async fn generations(&self) -> Result<Vec<u64>, IndexError> {
        let paths = self.folder.paths("generations/").await?;
        let number = |path: &String| path.strip_prefix("generations/")?.strip_suffix(".json")?.parse().ok();
        let mut numbers: Vec<u64> = paths.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The number of the latest generation; 0 if there is none.
    pub async fn latest(&self) -> Result<u64, IndexError> {
        Ok(self.generations().await?.last().copied().unwrap_or(0))
    }

    /// A generation that must be there; not the empty one.
    pub async fn generation(&self, number: u64) -> Result<Generation, IndexError> {
        let path = generation_path(number);
        let Some(bytes) = self.folder.read_raw(&path).await? else {
            let latest = self.latest().await?;
            if latest == 0 {
                return Err(IndexError::Missing { at: self.at.clone() });
            }
            return Err(IndexError::NoGeneration { at: self.at.clone(), generation: number, latest });
        };
        let unreadable = |why| IndexError::Unreadable { uri: self.store().uri(&self.folder.key(&path)), why };
        if bytes == REMOVED {
            return Err(IndexError::Removed { at: self.at.clone(), generation: number });
        }
        let generation = Generation::parse(&bytes).map_err(unreadable)?;
        if generation.generation != number {
            return Err(unreadable(format!("it says that it is generation {}", generation.generation)));
        }
        Ok(generation)
    }

    /// Creates the manifest of a generation. If it is there with the same content, this very call made it, once before.
    pub async fn create(&self, generation: &Generation) -> Result<(), IndexError> {
        match self.folder.create_raw(&generation_path(generation.generation), generation.to_bytes()).await? {
            Created::New => Ok(()),
            Created::Exists => self.check_free(generation).await,
        }
    }

    /// Whether nobody else has made such a generation.
    pub async fn check_free(&self, generation: &Generation) -> Result<(), IndexError> {
        let number = generation.generation;
        let by = match self.folder.read_raw(&generation_path(number)).await? {
            None => return Ok(()),
            Some(bytes) if bytes == generation.to_bytes() => return Ok(()),
            Some(bytes) => match Generation::parse(&bytes).ok().and_then(|there| there.parts.last().cloned())
            {
                Some(part) if part.generation == number => format!("job {}", part.job),
                _ => "a takedown".to_owned(),
            },
        };
        Err(IndexError::Taken { at: self.at.clone(), generation: number, by })
    }

    /// Whether the job has written a generation when it was here before; an error, if another has. A takedown may have taken it
    /// away since: then the part that came with it tells whose it was.
    pub async fn written(&self, number: u64, job: &str, input_sha256: &str) -> Result<bool, IndexError> {
        let Some(bytes) = self.folder.read_raw(&generation_path(number)).await? else { return Ok(false) };
        let there = if bytes == REMOVED { self.latest().await? } else { number };
        let generation = self.generation(there).await?;
        let part = generation.parts.into_iter().find(|part| part.generation == number);
        let by = match part {
            Some(part) if part.job == job && part.input_sha256 == input_sha256 => return Ok(true),
            Some(part) => format!("job {}", part.job),
            None => "a takedown".to_owned(),
        };
        Err(IndexError::Taken { at: self.at.clone(), generation: number, by })
    }

    /// Whether a generation was taken away.
    pub async fn is_removed(&self, number: u64) -> Result<bool, IndexError> {
        Ok(self.folder.read_raw(&generation_path(number)).await?.is_some_and(|bytes| bytes == REMOVED))
    }

    /// Takes a generation away that a later one replaces. Its number stays taken.
    pub async fn remove(&self, number: u64) -> Result<(), IndexError> {
        Ok(self.store().put(&self.folder.key(&generation_path(number)), REMOVED.into()).await?)
    }

    /// Files that no generation names or ever will: those written for one that is there by now, or was, in another form. Files for
    /// the next generation are somebody's work.
    pub async fn leftovers(&self) -> Result<Vec<String>, IndexError> {
        let mut named = HashSet::new();
        let mut latest = None;
        // The latest first: what is named by one that comes meanwhile is named by it, or was written for that one.
        for number in self.generations().await?.into_iter().rev() {
            match self.name_files(number, &mut named).await {
                Ok(()) => {}
                // Where the latest goes while it is read, somebody else is at it.
                Err(IndexError::Removed { .. }) if latest.is_some() => {}
                Err(IndexError::Removed { .. }) => return Ok(Vec::new()),
                Err(IndexError::Job(JobError::Store(StoreError::NotFound { .. }))) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
            latest = latest.or(Some(number));
        }
        let mut paths = self.folder.paths("files/").await?;
        paths.retain(|path| {
            written_for(path).is_some_and(|number| Some(number) <= latest) && !named.contains(path)
        });
        Ok(paths)
    }

    /// Adds the files of a generation.
    async fn name_files(&self, number: u64, named: &mut HashSet<String>) -> Result<(), IndexError> {
        for part in &self.generation(number).await?.parts {
            named.insert(part.drops.path.clone());
            for (page, file) in (0..).zip(&part.pages) {
                // Generations have most of their pages in common.
                if named.insert(file.path.clone()) {
                    let segments = self.page(part, page).await?;
                    named.extend(segments.into_iter().flat_map(Segment::into_files).map(|file| file.path));
                }
            }
        }
        Ok(())
    }

    /// Deletes what killed writers left half written and is older than `age`.
    pub async fn sweep(&self, age: Duration) -> Result<(), IndexError> {
        self.folder.sweep("", age).await?;
        Ok(())
    }

    /// The segments of a page of a part.
    pub async fn page(&self, part: &Part, page: u64) -> Result<Vec<Segment>, IndexError> {
        let file = usize::try_from(page).ok().and_then(|page| part.pages.get(page));
        let path = file.map_or_else(String::new, |file| file.path.clone());
        let unreadable =
            |why: String| IndexError::Unreadable { uri: self.store().uri(&self.folder.key(&path)), why };
        let file = file.ok_or_else(|| unreadable(format!("a part has no page {page}")))?;
        let missing = || StoreError::NotFound { uri: self.store().uri(&self.folder.key(&path)) };
        let bytes = self.folder.read_raw(&file.path).await?.ok_or_else(missing)?;
        let segments = parse_page(file, &bytes).map_err(unreadable)?;
        let first = page * PAGE_TASKS;
        if segments.len() as u64 != u64::from(part.segments).saturating_sub(first).min(PAGE_TASKS) {
            return Err(unreadable(format!("it has {} segments", segments.len())));
        }
        Ok(segments)
    }

    /// Writes a page of segments.
    pub async fn write_page(&self, path: &str, segments: &[Segment]) -> Result<FileEntry, IndexError> {
        let bytes = page_bytes(segments);
        let entry = FileEntry {
            path: path.to_owned(),
            rows: segments.len() as u64,
            bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
        };
        self.store().put(&self.folder.key(path), bytes.into()).await?;
        Ok(entry)
    }
}

/// Where what is written for a generation lies; `name` tells its writers apart.
#[must_use]
pub fn folder(generation: u64, name: &str) -> String {
    format!("files/{generation:06}-{name}")
}

/// The generation that a file was written for.
fn written_for(path: &str) -> Option<u64> {
    path.strip_prefix("files/")?.split_once('-')?.0.parse().ok()
}

fn generation_path(number: u64) -> String {
    format!("generations/{number:06}.json")
}

fn page_bytes(segments: &[Segment]) -> Vec<u8> {
    let mut lines = Vec::new();
    for segment in segments {
        // Our own types, all keys strings: this cannot fail.
        let _ = serde_json::to_writer(&mut lines, segment);
        lines.push(b'\n');
    }
    lines
}

fn parse_page(file: &FileEntry, bytes: &[u8]) -> Result<Vec<Segment>, String> {
    let sha256 = hex::encode(Sha256::digest(bytes));
    if sha256 != file.sha256 {
        return Err(format!("its sha256 is {sha256}, not {}", file.sha256));
    }
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read = |line: &[u8]| -> Result<Segment, String> {
        let segment: Segment = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        [Some(&segment.keys), segment.sets.as_ref(), Some(&segment.ids)]
            .into_iter()
            .flatten()
            .try_for_each(check_file)?;
        Ok(segment)
    };
    lines.map(read).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests;
