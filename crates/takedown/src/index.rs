//! Taking documents out of an index.
//!
//! What is taken down is forgotten: its keys, its shingle set, its id and its address go, and so do those of the documents
//! that were dropped in its favour, which are like it. So nothing of a later job is dropped as a duplicate of what is not
//! there; the same text under another address comes in as any other does, and has to be named itself.
//!
//! Segments keep their numbers and documents their places in them. Only the files that held something of what goes are
//! written anew, under names that hang on the generation and the list alone. Whatever no generation names is deleted then: what was
//! written anew, and what writers left that were killed or came too late.

use crate::TakedownError;
use crate::files::Folder;
use crate::list::{Found, List};
use gristmill_dedup::block::Reader;
use gristmill_dedup::droplist;
use gristmill_dedup::finding::Finding;
use gristmill_dedup::keyfile::{self, FOOTER_BYTES, Footer, node, shard_and_ordinal};
use gristmill_dedup::sets;
use gristmill_dedup::stream::{Key, Stream};
use gristmill_job::index::ids::{IdReader, IdWriter};
use gristmill_job::index::{Generation, Index, Part, Segment, folder};
use gristmill_job::{FileEntry, IndexError, PAGE_TASKS};
use gristmill_storage::{Stores, Uri};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;
use std::time::Duration;
use tokio::runtime::Handle;

/// Jobs may extend an index while it is read. It is read anew so many times.
const ROUNDS: u32 = 5;
/// What was left half written so long ago is nobody's work.
const HALF_WRITTEN: Duration = Duration::from_hours(24);

/// What a takedown came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Documents that the list names.
    pub documents: u64,
    /// Documents that were dropped in favour of those.
    pub like_them: u64,
    /// The generation without them, if there was one to write.
    pub generation: Option<u64>,
}

/// Writes a generation without the documents that a list names, or that have one of the ids, and takes the ones before it
/// away. Done again after it was killed, it goes on; done again after it ended, it does nothing.
#[allow(clippy::implicit_hasher, reason = "nobody has another")]
pub fn take_down(
    handle: &Handle,
    stores: &Stores,
    at: &Uri,
    list: &List,
    ids: &HashSet<String>,
    found: &mut Found,
) -> Result<Taken, TakedownError> {
    let work = Work::open(handle, stores, at, list, ids)?;
    work.sweep()?;
    let before = found.clone();
    for _ in 1..ROUNDS {
        match work.of_generation(work.latest()?, found) {
            // What came since is looked at, too.
            Err(TakedownError::Index(IndexError::Taken { .. })) => found.clone_from(&before),
            other => return other,
        }
    }
    let taken = work.of_generation(work.latest()?, found);
    if let Err(TakedownError::Index(IndexError::Taken { at, generation, by })) = taken {
        work.clean_up(work.latest()?)?;
        return Err(TakedownError::Overtaken { at, generation, by });
    }
    taken
}

/// The record ids of the documents of an index that a list names.
pub fn ids(
    handle: &Handle,
    stores: &Stores,
    at: &Uri,
    list: &List,
) -> Result<HashSet<String>, TakedownError> {
    let (mut named, nobody) = (HashSet::new(), HashSet::new());
    let work = Work::open(handle, stores, at, list, &nobody)?;
    work.each_segment(&work.generation(work.latest()?)?, |_, segment| {
        work.each_document(&segment.ids, |id, url, _| {
            if !id.is_empty() && work.is_named(id, url, &mut list.nothing()) {
                named.insert(id.to_owned());
            }
            Ok(())
        })
    })?;
    Ok(named)
}

struct Work<'a> {
    folder: Folder,
    index: Index,
    list: &'a List,
    ids: &'a HashSet<String>,
}

/// What goes.
#[derive(Default)]
struct Gone {
    /// Documents that are named.
    documents: u64,
    /// Units of documents: those that are named, and those that went in their favour.
    nodes: HashSet<u64>,
    /// Segments that have any.
    segments: HashSet<u32>,
}

impl Gone {
    fn insert(&mut self, node: u64) {
        self.nodes.insert(node);
        self.segments.insert(shard_and_ordinal(node).0);
    }

    fn has(&self, segment: u32, ordinal: u32) -> bool {
        self.nodes.contains(&node(segment, ordinal))
    }
}

impl<'a> Work<'a> {
    fn open(
        handle: &Handle,
        stores: &Stores,
        at: &Uri,
        list: &'a List,
        ids: &'a HashSet<String>,
    ) -> Result<Self, TakedownError> {
        let (store, prefix) = stores.open(at)?;
        let folder =
            Folder { handle: handle.clone(), store, prefix: prefix.trim_end_matches('/').to_owned() };
        Ok(Self { folder, index: Index::open(stores, at)?, list, ids })
    }

    /// Writes the generation after this one. Another that was written meanwhile has documents that this one has not: then it is
    /// refused.
    fn of_generation(&self, latest: u64, found: &mut Found) -> Result<Taken, TakedownError> {
        self.clean_up(latest)?;
        let generation = self.generation(latest)?;
        let mut gone = self.named(&generation, found)?;
        if gone.documents == 0 {
            return Ok(Taken::default());
        }
        self.add_like(&generation, &mut gone)?;
        let (next, like_them) = self.without(&generation, &gone)?;
        self.create(&next)?;
        self.clean_up(next.generation)?;
        Ok(Taken { documents: gone.documents, like_them, generation: Some(next.generation) })
    }

    fn latest(&self) -> Result<u64, TakedownError> {
        let index = self.index.clone();
        Ok(self.folder.wait(async move { index.latest().await })??)
    }

    fn generation(&self, number: u64) -> Result<Generation, TakedownError> {
        let index = self.index.clone();
        // Of an index that is not there the first generation is missing.
        Ok(self.folder.wait(async move { index.generation(number.max(1)).await })??)
    }

    fn create(&self, generation: &Generation) -> Result<(), TakedownError> {
        let (index, generation) = (self.index.clone(), generation.clone());
        Ok(self.folder.wait(async move { index.create(&generation).await })??)
    }

    fn page(&self, part: &Part, page: u64) -> Result<Vec<Segment>, TakedownError> {
        let (index, part) = (self.index.clone(), part.clone());
        Ok(self.folder.wait(async move { index.page(&part, page).await })??)
    }

    fn each_segment(
        &self,
        generation: &Generation,
        mut look: impl FnMut(u32, &Segment) -> Result<(), TakedownError>,
    ) -> Result<(), TakedownError> {
        for part in &generation.parts {
            for page in 0..part.pages.len() as u64 {
                let segments = self.page(part, page)?;
                let first = part.first_segment + (page * PAGE_TASKS) as u32;
                (first..).zip(&segments).try_for_each(|(number, segment)| look(number, segment))?;
            }
        }
        Ok(())
    }

    /// The documents of a segment: their ids, and the units that they are known by.
    fn each_document(
        &self,
        file: &FileEntry,
        mut look: impl FnMut(&str, &str, Range<u32>) -> Result<(), TakedownError>,
    ) -> Result<(), TakedownError> {
        let mut reader = IdReader::new(self.folder.read(file, 0..file.bytes))?;
        let mut unit = 0_u32;
        while let Some(ids) = reader.read()? {
            let end = unit.checked_add(ids.units).ok_or_else(|| self.damaged(file, "it has 2^32 units"))?;
            look(&ids.id, &ids.url, unit..end)?;
            unit = end;
        }
        Ok(())
    }

    fn is_named(&self, id: &str, url: &str, found: &mut Found) -> bool {
        self.list.names(id, url, found) || self.ids.contains(id)
    }

    fn named(&self, generation: &Generation, found: &mut Found) -> Result<Gone, TakedownError> {
        let mut gone = Gone::default();
        self.each_segment(generation, |number, segment| {
            self.each_document(&segment.ids, |id, url, units| {
                if self.is_named(id, url, found) {
                    gone.documents += 1;
                    gone.segments.insert(number);
                    units.for_each(|unit| gone.insert(node(number, unit)));
                }
                Ok(())
            })
        })?;
        Ok(gone)
    }

    /// Adds what went in favour of what goes. Parts come in order, and a document goes in favour of one of the same part, which
    /// stayed, or of an earlier one: one round finds all.
    fn add_like(&self, generation: &Generation, gone: &mut Gone) -> Result<(), TakedownError> {
        for part in &generation.parts {
            self.each_drop(part, |dropped, survivor| {
                if gone.nodes.contains(&survivor) {
                    gone.insert(dropped);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn each_drop(
        &self,
        part: &Part,
        mut look: impl FnMut(u64, u64) -> Result<(), TakedownError>,
    ) -> Result<(), TakedownError> {
        let file = &part.drops;
        let tail = self.folder.tail(file, droplist::tail_bytes(part.segments))?;
        let index = droplist::Index::parse(&self.folder.uri(&file.path), &tail)?;
        for segment in part.first_segment..part.first_segment + part.segments {
            let (offset, length) = index.byte_range(segment)?;
            if length > 0 {
                let mut list = index.list(segment, self.folder.read(file, offset..offset + length))?;
                while let Some((ordinal, survivor, note)) = list.next_entry()? {
                    let dropped = node(segment, ordinal);
                    let stays = Finding::decode(note).is_some_and(|finding| finding.stays);
                    if dropped != survivor && !stays {
                        look(dropped, survivor)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next generation, and how many documents went that are not named.
    fn without(&self, generation: &Generation, gone: &Gone) -> Result<(Generation, u64), TakedownError> {
        let mut hash = Sha256::new();
        hash.update(generation.sha256());
        hash.update(self.list.sha256());
        let mut ids: Vec<&String> = self.ids.iter().collect();
        ids.sort_unstable();
        for id in ids {
            hash.update(id);
        }
        let digest = hex::encode(hash.finalize());
        let mut next = generation.clone();
        next.generation = generation.generation + 1;
        let to = folder(next.generation, &format!("takedown-{}", digest.get(..16).unwrap_or_default()));
        let mut like_them = 0;
        for part in &mut next.parts {
            let end = part.first_segment + part.segments;
            if !gone.segments.iter().any(|segment| (part.first_segment..end).contains(segment)) {
                continue;
            }
            part.drops = self.drops_without(part, gone, &to)?;
            for page in 0..part.pages.len() {
                let mut segments = self.page(part, page as u64)?;
                let first = part.first_segment + page as u32 * PAGE_TASKS as u32;
                let mut changed = false;
                for (number, segment) in
                    (first..).zip(&mut segments).filter(|(n, _)| gone.segments.contains(n))
                {
                    let left = self.segment_without(segment, number, gone, &to)?;
                    part.documents = part.documents.saturating_sub(left.named + left.like_them);
                    next.taken_down += left.named + left.like_them;
                    like_them += left.like_them;
                    *segment = left.segment;
                    changed = true;
                }
                if changed && let Some(entry) = part.pages.get_mut(page) {
                    let path = format!("{to}/segments-{:06}-{page:06}.jsonl", part.first_segment);
                    let index = self.index.clone();
                    *entry = self.folder.wait(async move { index.write_page(&path, &segments).await })??;
                }
            }
        }
        Ok((next, like_them))
    }

    fn drops_without(&self, part: &Part, gone: &Gone, to: &str) -> Result<FileEntry, TakedownError> {
        let path = format!("{to}/{:08}.drops", part.first_segment);
        self.folder.write(&path, |out| {
            let mut writer = droplist::Writer::new(out, part.first_segment, part.segments, false);
            self.each_drop(part, |dropped, survivor| {
                if gone.nodes.contains(&dropped) {
                    Ok(())
                } else {
                    Ok(writer.push(dropped, survivor, &[])?)
                }
            })?;
            Ok(writer.finish()?.entries)
        })
    }

    fn segment_without(
        &self,
        segment: &Segment,
        number: u32,
        gone: &Gone,
        to: &str,
    ) -> Result<Left, TakedownError> {
        let (mut named, mut like_them) = (0, 0);
        let path = |extension: &str| format!("{to}/{number:08}.{extension}");
        let ids = self.folder.write(&path("ids"), |out| {
            let mut writer = IdWriter::new(out)?;
            let mut nothing = self.list.nothing();
            self.each_document(&segment.ids, |id, url, mut units| {
                let count = units.end - units.start;
                let is_named = self.is_named(id, url, &mut nothing);
                let is_like = !is_named && count > 0 && units.all(|unit| gone.has(number, unit));
                named += u64::from(is_named);
                like_them += u64::from(is_like && !id.is_empty());
                let (id, url) = if is_named || is_like { ("", "") } else { (id, url) };
                Ok(writer.push(count, id, url)?)
            })?;
            Ok(writer.finish()?.0)
        })?;
        let keys = match self.key_bits(&segment.keys)? {
            u64::BITS => self.keys_without::<u64>(&segment.keys, number, gone, &path("keys"))?,
            _ => self.keys_without::<u128>(&segment.keys, number, gone, &path("keys"))?,
        };
        let sets = match &segment.sets {
            None => None,
            Some(file) => Some(self.folder.write(&path("sets"), |out| {
                let name = self.folder.uri(&file.path);
                let input = self.folder.read(file, 0..file.bytes);
                let kept = sets::without(&name, input, file.bytes, out, |ordinal| gone.has(number, ordinal))?;
                Ok(kept.entries)
            })?),
        };
        Ok(Left { segment: Segment { keys, sets, ids }, named, like_them })
    }

    fn key_bits(&self, file: &FileEntry) -> Result<u32, TakedownError> {
        let tail = self.folder.tail(file, FOOTER_BYTES as u64)?;
        Ok(keyfile::key_bits(&self.folder.uri(&file.path), &tail)?)
    }

    fn keys_without<K: Key>(
        &self,
        file: &FileEntry,
        number: u32,
        gone: &Gone,
        path: &str,
    ) -> Result<FileEntry, TakedownError> {
        let tail = self.folder.tail(file, FOOTER_BYTES as u64)?;
        let footer = Footer::<K>::parse(&self.folder.uri(&file.path), &tail)?;
        let input = self.folder.read(file, 0..file.bytes);
        let rows = footer.all(0, input)?;
        self.folder.write(path, |out| {
            let mut rows = Without { rows, gone, number };
            rows.skip()?;
            Ok(keyfile::write_sorted(&mut rows, footer.notes, out)?.entries)
        })
    }

    /// Takes away the generations before the latest one that a takedown wrote, then the files that none names any more.
    fn clean_up(&self, latest: u64) -> Result<(), TakedownError> {
        let index = self.index.clone();
        let numbers = self.folder.wait(async move { index.generations().await })??;
        let mut is_replaced = false;
        for number in numbers.into_iter().rev().filter(|number| *number <= latest) {
            let generation = match self.generation(number) {
                Err(TakedownError::Index(IndexError::Removed { .. })) => continue,
                other => other?,
            };
            if is_replaced {
                let index = self.index.clone();
                self.folder.wait(async move { index.remove(number).await })??;
            }
            is_replaced |= generation.parts.iter().all(|part| part.generation < number);
        }
        let index = self.index.clone();
        let leftovers = self.folder.wait(async move { index.leftovers().await })??;
        self.folder.delete(&leftovers)
    }

    fn sweep(&self) -> Result<(), TakedownError> {
        let index = self.index.clone();
        Ok(self.folder.wait(async move { index.sweep(HALF_WRITTEN).await })??)
    }

    fn damaged(&self, file: &FileEntry, why: &str) -> TakedownError {
        TakedownError::Damaged { uri: self.folder.uri(&file.path), why: why.to_owned() }
    }
}

/// What is left of a segment.
struct Left {
    segment: Segment,
    named: u64,
    like_them: u64,
}

/// The rows of a key file but those of documents that go.
struct Without<'a, K, R> {
    rows: Reader<K, R>,
    gone: &'a Gone,
    number: u32,
}

impl<K: Key, R: Read> Without<'_, K, R> {
    fn skip(&mut self) -> Result<(), gristmill_dedup::Error> {
        while self.rows.row().is_some_and(|(_, ordinal)| self.gone.has(self.number, ordinal as u32)) {
            self.rows.advance()?;
        }
        Ok(())
    }
}

impl<K: Key, R: Read> Stream for Without<'_, K, R> {
    type Key = K;

    fn row(&self) -> Option<(K, u64)> {
        self.rows.row()
    }

    fn note(&self) -> &[u8] {
        self.rows.note()
    }

    fn advance(&mut self) -> Result<(), gristmill_dedup::Error> {
        self.rows.advance()?;
        self.skip()
    }
}

#[cfg(test)]
mod tests;
