//! Where kept documents go: into the dataset, or to the next pass.

use super::grams::Grams;
use super::scores::Scores;
use crate::TaskError;
use crate::files::{self, Out};
use crate::frames::FrameWriter;
use crate::ranks::RankWriter;
use crate::task::Attempt;
use gristmill_dedup::sort::{Noted, Plain};
use gristmill_dedup::substring::Finder;
use gristmill_dedup::{keyfile, sets};
use gristmill_job::index::ids::IdWriter;
use gristmill_job::{FileEntry, FileRole, Job, TaskRecord};
use gristmill_pipeline::Document;
use gristmill_pipeline::recipe::{Layout, OutputFormat};
use gristmill_pipeline::stage::MapStage;
use gristmill_pipeline::step::{Built, Exact, Fuzzy, FuzzySigner, Signer};
use gristmill_storage::{Carry, Compression, Encoding, HashingWriter, Push, Writer};
use std::fs::File;
use std::io;

#[allow(clippy::large_enum_variant, reason = "there is one for each task")]
pub(super) enum Sink {
    Data(DataFiles),
    Next(NextPass),
}

impl Sink {
    pub(super) fn new(attempt: &Attempt, stage: &MapStage) -> Result<Self, TaskError> {
        match stage.before {
            None => Ok(Self::Data(DataFiles::of_layout(attempt))),
            Some(barrier) => Ok(Self::Next(NextPass::new(attempt, barrier)?)),
        }
    }

    pub(super) fn write(&mut self, attempt: &Attempt, doc: &Document) -> Result<(), TaskError> {
        match self {
            Self::Data(files) => files.write(attempt, doc),
            Self::Next(next) => next.write(doc),
        }
    }

    /// Puts the files into the task's record.
    pub(super) fn finish(self, attempt: &Attempt, record: &mut TaskRecord) -> Result<(), TaskError> {
        match self {
            Self::Data(mut files) => {
                files.begin_if_wanted(attempt)?;
                record.files.insert(FileRole::Data, files.finish()?);
                Ok(())
            }
            Self::Next(next) => next.finish(attempt, record),
        }
    }
}

/// Files of the dataset. A file is begun with its first row, so that there are no empty ones where they are not wanted.
pub(super) struct DataFiles {
    /// Where they lie, below the job.
    folder: String,
    encoding: Encoding,
    shard_size: u64,
    even_empty: bool,
    current: Option<(String, Writer<Out>)>,
    carry: Carry,
    files: Vec<FileEntry>,
    row: Vec<u8>,
}

impl DataFiles {
    /// The documents' files.
    fn of_layout(attempt: &Attempt) -> Self {
        let folder = Job::attempt_path(attempt.stage, attempt.task, &attempt.name);
        let files = Self::new(attempt, folder);
        // In DCLM's layout a task has one file, whatever becomes of its documents.
        match attempt.open.recipe.head.output.layout {
            Layout::Parts => files,
            Layout::Dclm => Self { shard_size: u64::MAX, even_empty: true, ..files },
        }
    }

    /// Files of any rows.
    pub(super) fn new(attempt: &Attempt, folder: String) -> Self {
        let output = &attempt.open.recipe.head.output;
        let encoding = match output.format {
            OutputFormat::JsonlZst => Encoding::Jsonl(Compression::Zstd),
            OutputFormat::JsonlGz => Encoding::Jsonl(Compression::Gzip),
            OutputFormat::Jsonl => Encoding::Jsonl(Compression::None),
            OutputFormat::Parquet => Encoding::Parquet,
        };
        Self {
            folder,
            encoding,
            shard_size: output.shard_size.0,
            even_empty: false,
            current: None,
            carry: Carry::default(),
            files: Vec::new(),
            row: Vec::new(),
        }
    }

    fn write(&mut self, attempt: &Attempt, doc: &Document) -> Result<(), TaskError> {
        self.row.clear();
        doc.write_json(&mut self.row);
        let row = std::mem::take(&mut self.row);
        let text = std::str::from_utf8(&row).map_err(|_| TaskError::fatal("JSON that is not UTF-8"))?;
        let written = self.write_row(attempt, text);
        self.row = row;
        written
    }

    pub(super) fn write_row(&mut self, attempt: &Attempt, row: &str) -> Result<(), TaskError> {
        loop {
            let writer = self.writer(attempt)?;
            let fresh = writer.rows() == 0;
            match writer.push(row)? {
                Push::Written => {
                    let full = writer.raw_bytes() >= self.shard_size;
                    return if full { self.close() } else { Ok(()) };
                }
                Push::NextFile if fresh => {
                    return Err(TaskError::fatal("a document fits no file of this format; write JSONL"));
                }
                Push::NextFile => self.close()?,
            }
        }
    }

    fn writer(&mut self, attempt: &Attempt) -> Result<&mut Writer<Out>, TaskError> {
        let current = match self.current.take() {
            Some(current) => current,
            None => {
                let extension = self.encoding.extension();
                let name = format!("part-{:05}-{:03}{extension}", attempt.task, self.files.len());
                let path = format!("{}/{name}", self.folder);
                let out = attempt.create(&path);
                (path, Writer::new(out, self.encoding, std::mem::take(&mut self.carry))?)
            }
        };
        Ok(&mut self.current.insert(current).1)
    }

    fn close(&mut self) -> Result<(), TaskError> {
        if let Some((path, writer)) = self.current.take() {
            let finished = writer.finish()?;
            finished.inner.finish()?;
            self.carry = finished.carry;
            self.files.push(files::entry(path, finished.written.rows, finished.written));
        }
        Ok(())
    }

    /// Begins a file where there has to be one.
    fn begin_if_wanted(&mut self, attempt: &Attempt) -> Result<(), TaskError> {
        if self.even_empty && self.files.is_empty() {
            self.writer(attempt)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<FileEntry>, TaskError> {
        self.close()?;
        Ok(self.files)
    }
}

/// Documents for the next pass, and what the barrier before it needs: keys, and ranks to choose survivors by, or scores.
pub(super) struct NextPass {
    path: String,
    frames: FrameWriter<HashingWriter<Out>>,
    /// Units up to here: the next document's first has this number.
    units: u32,
    signer: Signatures,
    /// Where an index keeps what is signed.
    ids: Option<Ids>,
}

struct Ids {
    path: String,
    writer: IdWriter<HashingWriter<Out>>,
}

type Scratch = Box<dyn FnMut() -> io::Result<File>>;

#[allow(clippy::large_enum_variant, reason = "there is one for each task")]
enum Signatures {
    Exact {
        units: Exact,
        /// With the rank as note.
        keys: keyfile::Writer<u128, Noted, File, Scratch>,
    },
    Fuzzy {
        signer: Box<dyn FuzzySigner>,
        keys: keyfile::Writer<u64, Plain, File, Scratch>,
        signed: Vec<u64>,
        path: String,
        ranks: RankWriter<HashingWriter<Out>>,
        rank: Vec<u8>,
        /// Where documents that meet are compared.
        sets: Option<Sets>,
        /// Where sources are guarded.
        sources: Option<Sources>,
    },
    Scores(Scores),
    Bloom(Grams),
    Spans {
        finder: Finder,
        keys: keyfile::Writer<u64, Plain, File, Scratch>,
    },
}

struct Sets {
    path: String,
    writer: sets::Writer<HashingWriter<Out>>,
}

struct Sources {
    path: String,
    writer: RankWriter<HashingWriter<Out>>,
}

impl Signatures {
    fn of(attempt: &Attempt, barrier: usize) -> Result<Self, TaskError> {
        let signer = match attempt.built(barrier)? {
            Built::Barrier(barrier) => barrier.signer,
            Built::Selection(selection) => return Ok(Self::Scores(Scores::new(attempt, selection))),
            Built::Bloom(bloom) => return Ok(Self::Bloom(Grams::new(attempt, bloom)?)),
            Built::Spans(spans) => {
                let keys =
                    keyfile::Writer::new(attempt.sort_memory(), Box::new(attempt.scratch()) as Scratch);
                return Ok(Self::Spans { finder: spans.finder()?, keys });
            }
            _ => return Err(TaskError::fatal("what stands behind the pass is no barrier")),
        };
        let scratch: Scratch = Box::new(attempt.scratch());
        match signer {
            Signer::Exact(units) => {
                Ok(Self::Exact { units, keys: keyfile::Writer::new(attempt.sort_memory(), scratch) })
            }
            Signer::Fuzzy(Fuzzy { signer, verify, guard }) => {
                let path = attempt.path("ranks.zst");
                let ranks = RankWriter::new(attempt.create_hashed(&path))?;
                let keys = keyfile::Writer::new(attempt.sort_memory(), scratch);
                let sources = match guard {
                    Some(_) => {
                        let path = attempt.path("sources.zst");
                        Some(Sources { writer: RankWriter::new(attempt.create_hashed(&path))?, path })
                    }
                    None => None,
                };
                let sets = verify.map(|_| {
                    let path = attempt.path("sets");
                    Sets { writer: sets::Writer::new(attempt.create_hashed(&path)), path }
                });
                Ok(Self::Fuzzy {
                    signer,
                    keys,
                    signed: Vec::new(),
                    path,
                    ranks,
                    rank: Vec::new(),
                    sets,
                    sources,
                })
            }
        }
    }
}

impl NextPass {
    fn new(attempt: &Attempt, barrier: usize) -> Result<Self, TaskError> {
        let signer = Signatures::of(attempt, barrier)?;
        let path = attempt.path("documents.zst");
        let frames = FrameWriter::new(attempt.create_hashed(&path))?;
        let ids = match attempt.open.plan.indexes.get(&barrier) {
            Some(index) if index.extend => {
                let path = attempt.path("ids.zst");
                Some(Ids { writer: IdWriter::new(attempt.create_hashed(&path))?, path })
            }
            _ => None,
        };
        Ok(Self { path, frames, units: 0, signer, ids })
    }

    fn write(&mut self, doc: &Document) -> Result<(), TaskError> {
        let first = self.units;
        let mut next = Some(first);
        match &mut self.signer {
            Signatures::Exact { units, keys } => {
                let mut failed = None;
                units.sign(doc, &mut |key, rank| {
                    if let (Some(key), Some(number)) = (key, next)
                        && let Err(error) = keys.push(key, number, rank)
                    {
                        failed.get_or_insert(error);
                    }
                    next = next.and_then(|number| number.checked_add(1));
                });
                failed.map_or(Ok(()), Err)?;
            }
            Signatures::Fuzzy { signer, keys, signed, ranks, rank, sets, sources, .. } => {
                signed.clear();
                signer.keys(doc, signed);
                for key in signed.iter() {
                    keys.push(*key, first, &[])?;
                }
                if let (Some(sets), false) = (sets, signed.is_empty()) {
                    sets.writer.push(first, signer.set())?;
                }
                signer.rank(doc, rank);
                ranks.push(rank)?;
                if let Some(sources) = sources {
                    signer.source(doc, rank);
                    sources.writer.push(rank)?;
                }
                next = first.checked_add(1);
            }
            Signatures::Spans { finder, keys } => {
                let text = doc.text.as_ref().map_or("", |text| text.as_str());
                let mut failed = None;
                let units = finder.anchors(text, |place, key| {
                    // What has no number any more fails below.
                    let unit = u32::try_from(place).ok().and_then(|place| first.checked_add(place));
                    if let Some(unit) = unit
                        && let Err(error) = keys.push(key, unit, &[])
                    {
                        failed.get_or_insert(error);
                    }
                });
                failed.map_or(Ok(()), Err)?;
                next = u32::try_from(units).ok().and_then(|units| first.checked_add(units));
            }
            Signatures::Scores(scores) => {
                scores.push(doc, first)?;
                next = first.checked_add(1);
            }
            Signatures::Bloom(grams) => {
                grams.write(doc, first)?;
                next = first.checked_add(1);
            }
        }
        self.units = next.ok_or_else(|| {
            TaskError::fatal(
                "more than 2^32 documents, or units of documents, in a task; make tasks.size smaller",
            )
        })?;
        if let Some(ids) = &mut self.ids {
            ids.writer.push(self.units - first, &doc.id, &doc.fields.str("url").unwrap_or_default())?;
        }
        Ok(self.frames.write(doc, self.units - first)?)
    }

    fn finish(self, attempt: &Attempt, record: &mut TaskRecord) -> Result<(), TaskError> {
        let written = &mut record.files;
        let (documents, out) = self.frames.finish()?;
        written.insert(FileRole::Documents, vec![files::finish(out, self.path, documents)?]);
        if let Some(Ids { path, writer }) = self.ids {
            let (count, out) = writer.finish()?;
            written.insert(FileRole::Ids, vec![files::finish(out, path, count)?]);
        }
        let path = attempt.path("keys");
        let mut out = attempt.create_hashed(&path);
        let summary = match self.signer {
            Signatures::Exact { keys, .. } => keys.finish(&mut out)?,
            Signatures::Scores(scores) => scores.finish(&mut out)?,
            Signatures::Spans { keys, .. } => keys.finish(&mut out)?,
            Signatures::Fuzzy { keys, path, ranks, sets, sources, .. } => {
                let (count, ranks) = ranks.finish()?;
                written.insert(FileRole::Ranks, vec![files::finish(ranks, path, count)?]);
                if let Some(Sources { path, writer }) = sources {
                    let (count, out) = writer.finish()?;
                    written.insert(FileRole::Sources, vec![files::finish(out, path, count)?]);
                }
                if let Some(Sets { path, writer }) = sets {
                    let (summary, out) = writer.finish()?;
                    written.insert(FileRole::Sets, vec![files::finish(out, path, summary.entries)?]);
                }
                keys.finish(&mut out)?
            }
            Signatures::Bloom(grams) => return grams.finish(attempt, record),
        };
        written.insert(FileRole::Keys, vec![files::finish(out, path, summary.entries)?]);
        Ok(())
    }
}
