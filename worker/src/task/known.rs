//! Documents of an index among those that a dedup joins.
//!
//! The index holds what went as well as what stayed. Whatever meets a document that went is a duplicate of the one in whose
//! favour it went, so that the one takes the other's place before anything is joined.

use super::Attempt;
use super::signed::Signed;
use crate::TaskError;
use crate::files::Located;
use gristmill_dedup::droplist::{self, DropList};
use gristmill_dedup::edges::{self, Edges};
use gristmill_dedup::finding::Finding;
use gristmill_dedup::keyfile::shard_and_ordinal;
use gristmill_dedup::stream::Stream;
use gristmill_job::FileRole;
use gristmill_job::index::ids::IdReader;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom};

/// Edges on the scratch disk, which are read more than once.
pub(super) struct Settled {
    file: File,
    bytes: u64,
    /// How many there are.
    pub(super) count: u64,
}

/// Edges, which come in order, documents of the index among their first nodes only.
pub(super) fn settle(attempt: &Attempt, edges: &mut impl Stream<Key = u64>) -> Result<Settled, TaskError> {
    let mut settled = edges::Writer::new(attempt.sort_memory(), attempt.scratch());
    let mut stays = Stays::of(attempt);
    while let Some((first, other)) = edges.row() {
        attempt.check_stopped()?;
        settled.push(stays.instead_of(first)?, other)?;
        edges.advance()?;
    }
    let mut file: File = attempt.scratch()()?;
    let summary = settled.finish(BufWriter::new(&mut file))?;
    Ok(Settled { file, bytes: summary.bytes, count: summary.entries })
}

impl Settled {
    pub(super) fn open(&mut self) -> Result<Edges<BufReader<File>>, TaskError> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(Edges::open("settled pairs", BufReader::new(self.file.try_clone()?), self.bytes)?)
    }
}

/// Which documents of the index stayed, asked for in node order: one segment's list is open at a time.
struct Stays<'a> {
    attempt: &'a Attempt,
    /// The part of the index that was asked for last: its drop list, and where those of its segments lie.
    part: Option<(u32, Located, droplist::Index)>,
    open: Option<(u32, DropList<Box<dyn Read + Send>>)>,
    /// The last question and its answer: a list gives each entry once.
    last: Option<(u64, u64)>,
}

impl<'a> Stays<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        Self { attempt, part: None, open: None, last: None }
    }

    /// The document in whose favour this one went; itself if it stayed, or is none of the index.
    fn instead_of(&mut self, node: u64) -> Result<u64, TaskError> {
        if !self.attempt.is_known(node) {
            return Ok(node);
        }
        if let Some((_, answer)) = self.last.filter(|(asked, _)| *asked == node) {
            return Ok(answer);
        }
        let answer = self.look(node)?;
        self.last = Some((node, answer));
        Ok(answer)
    }

    fn look(&mut self, node: u64) -> Result<u64, TaskError> {
        let (segment, ordinal) = shard_and_ordinal(node);
        let list = match self.open.take().filter(|(open, _)| *open == segment) {
            Some((_, list)) => list,
            None => self.list(segment)?,
        };
        let (_, list) = self.open.insert((segment, list));
        let Some((survivor, note)) = list.entry(ordinal)? else { return Ok(node) };
        let stays = !note.is_empty() && Finding::decode(note).is_some_and(|finding| finding.stays);
        Ok(if stays { node } else { survivor })
    }

    fn list(&mut self, segment: u32) -> Result<DropList<Box<dyn Read + Send>>, TaskError> {
        let handle = &self.attempt.handle;
        let part = match self.part.take().filter(|(end, ..)| segment < *end) {
            Some(part) => part,
            None => {
                let (first, segments, located) = self.part_of(segment)?;
                let bytes = located.file.bytes;
                let tail = bytes.saturating_sub(droplist::tail_bytes(segments))..bytes;
                let index = droplist::Index::parse(&located.name(), &located.read_at(handle, tail)?)?;
                (first + segments, located, index)
            }
        };
        let (_, located, index) = self.part.insert(part);
        let (offset, length) = index.byte_range(segment)?;
        Ok(index.list(segment, located.read(handle, offset..offset + length))?)
    }

    fn part_of(&self, segment: u32) -> Result<(u32, u32, Located), TaskError> {
        let parts = self.attempt.index().into_iter().flat_map(|index| index.drops());
        let mut parts = parts.filter(|(first, segments, _)| segment >= *first && segment - first < *segments);
        parts.next().ok_or_else(|| TaskError::fatal(format!("the index has no segment {segment}")))
    }
}

/// A segment, the first unit behind the documents that were read, and their ids.
type Opened = (u32, u32, IdReader<Box<dyn Read + Send>>);

/// Who documents of the index are, asked for in node order: one segment's ids are open at a time.
pub(super) struct KnownIds<'a> {
    signed: Signed<'a>,
    open: Option<Opened>,
    id: String,
}

impl<'a> KnownIds<'a> {
    pub(super) fn of(attempt: &'a Attempt) -> Self {
        Self { signed: Signed::of(attempt), open: None, id: String::new() }
    }

    /// The record id of a document of the index.
    pub(super) fn id(&mut self, node: u64) -> Result<&str, TaskError> {
        let (segment, ordinal) = shard_and_ordinal(node);
        let (_, mut next, mut reader) = match self.open.take().filter(|(open, ..)| *open == segment) {
            Some(open) => open,
            None => {
                let file = self.signed.file(segment, FileRole::Ids)?;
                (segment, 0, IdReader::new(file.read_all(&self.signed.attempt.handle))?)
            }
        };
        while next <= ordinal {
            let ids = reader.read()?;
            let ids = ids.ok_or_else(|| {
                TaskError::fatal(format!("segment {segment} of the index has no document {ordinal}"))
            })?;
            ids.id.clone_into(&mut self.id);
            next = next.saturating_add(ids.units);
        }
        self.open = Some((segment, next, reader));
        Ok(&self.id)
    }
}
