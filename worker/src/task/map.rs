//! One pass over the documents of a task: read, drop what the dedup before found, lead through the steps, write.

use super::{Attempt, SORT_MEMORY};
use crate::TaskError;
use crate::files::{self, Out};
use crate::frames::{FrameReader, FrameWriter};
use crate::identities::IdentityWriter;
use crate::progress::AttemptProgress;
use crate::reading::{self, Reading};
use gristmill_dedup::droplist::{self, DropList};
use gristmill_dedup::keyfile;
use gristmill_dedup::sort::{Noted, Plain};
use gristmill_job::{FileEntry, FileRole, PROBLEMS_PER_TASK, Problem, Slice, TaskRecord};
use gristmill_pipeline::recipe::OutputFormat;
use gristmill_pipeline::stage::MapStage;
use gristmill_pipeline::step::{SignMany, SignOne, Signer};
use gristmill_pipeline::{Chain, Document, Tally, Verdict};
use gristmill_storage::{
    At, Carry, Compression, Encoding, HashingWriter, Item, Limits, Open, Push, StoreSource, Uri, Writer, open,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

pub(super) fn run(attempt: &Attempt, stage: &MapStage, inputs: Vec<Slice>) -> Result<TaskRecord, TaskError> {
    let mut pass = Pass {
        attempt,
        chain: attempt.open.chain(&stage.steps)?,
        sink: Sink::new(attempt, stage)?,
        tally: Tally::default(),
        problems: Vec::new(),
        progress: AttemptProgress::new(&attempt.progress, attempt.stage),
    };
    match attempt.open.plan.documents_from(attempt.stage) {
        None => inputs.iter().try_for_each(|slice| pass.read_slice(slice))?,
        Some(before) => pass.read_documents(before, stage)?,
    }
    let files = pass.sink.finish(attempt)?;
    pass.progress.at(pass.tally.seen, pass.tally.kept);
    pass.progress.keep();
    Ok(TaskRecord { tally: pass.tally, files, problems: pass.problems, ..attempt.record() })
}

struct Pass<'a> {
    attempt: &'a Attempt,
    chain: Chain,
    sink: Sink,
    tally: Tally,
    problems: Vec<Problem>,
    progress: AttemptProgress<'a>,
}

impl Pass<'_> {
    /// The first pass: records of the input.
    fn read_slice(&mut self, slice: &Slice) -> Result<(), TaskError> {
        let file = &slice.file;
        let uri: Uri =
            file.uri.parse().map_err(|e: gristmill_storage::UriError| TaskError::fatal(e.to_string()))?;
        let (store, key) = self.attempt.open.stores.open(&uri)?;
        let meta = self.attempt.wait({
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.stat(&key).await }
        })??;
        if (meta.size, &meta.tag) != (file.size, &file.tag) {
            return Err(TaskError::fatal(format!(
                "{uri} changed after the job was planned; put the old file back, or plan a new job"
            )));
        }
        let limits = &self.attempt.open.recipe.head.limits;
        let limits = Limits {
            max_body: limits.body.0 as usize,
            max_line: limits.line.0 as usize,
            ..Limits::default()
        };
        let source = Arc::new(StoreSource::new(self.attempt.handle.clone(), store, &key, file.size));
        let range = (!slice.is_whole()).then_some(slice.start..slice.end);
        let what = Open { name: file.name.clone(), format: file.format, slice: range, after: None, limits };
        let mut records = open(source, &what)?;
        while let Some(item) = records.next()? {
            self.attempt.check_stopped()?;
            let at = item.at();
            if let Some(body) = self.read_item(item, slice, at)? {
                records.recycle(body);
            }
        }
        Ok(())
    }

    /// Gives back the body's buffer, if there was one.
    fn read_item(&mut self, item: Item, slice: &Slice, at: At) -> Result<Option<Vec<u8>>, TaskError> {
        match reading::read(item, &slice.file.name) {
            Reading::Document(mut doc) => {
                let outcome = self.walk(&mut doc)?;
                if let Some((reason, detail)) = outcome {
                    self.problem(slice, at, &doc.id, reason, detail);
                }
                Ok(doc.body.map(|body| body.bytes))
            }
            Reading::Skipped(kind) => {
                self.tally.skip(&kind);
                Ok(None)
            }
            Reading::Broken { reason, detail } => {
                self.tally.count("", &Verdict::broken(reason.clone()));
                self.problem(slice, at, "", reason, detail);
                Ok(None)
            }
        }
    }

    /// A later pass: what the pass before kept, less what the dedup between them found.
    fn read_documents(&mut self, before: usize, stage: &MapStage) -> Result<(), TaskError> {
        let attempt = self.attempt;
        let record = attempt.earlier(before, attempt.task)?;
        let drops = stage.after.map(|barrier| Drops::open(attempt, barrier)).transpose()?;
        let mut drops = drops.map(|drops| (drops.list, drops.step, drops.index, drops.reason));
        let mut ordinal = 0;
        for file in record.files.get(&FileRole::Documents).into_iter().flatten() {
            let mut frames = FrameReader::new(attempt.read(file))?;
            while let Some(mut doc) = frames.next().map_err(|e| TaskError::from(e).during(&file.path))? {
                attempt.check_stopped()?;
                if let Some((list, step, index, reason)) = &mut drops {
                    let dropped = list.dropped(ordinal)?.is_some();
                    self.tally.passed(*index, !dropped);
                    if dropped {
                        self.tally.count(step, &Verdict::dropped(*reason));
                        ordinal += 1;
                        continue;
                    }
                }
                ordinal += 1;
                self.walk(&mut doc)?;
            }
        }
        Ok(())
    }

    /// Leads a document through the steps and to the sink. Says why if it was broken.
    fn walk(&mut self, doc: &mut Document) -> Result<Option<(String, String)>, TaskError> {
        let outcome = self.chain.apply(doc, &mut self.tally);
        if self.tally.seen.is_multiple_of(64) {
            self.progress.at(self.tally.seen, self.tally.kept);
        }
        match outcome.verdict {
            Verdict::Keep => self.sink.write(self.attempt, doc).map(|()| None),
            Verdict::Drop(_) => Ok(None),
            Verdict::Broken(reason) => {
                Ok(Some((reason.into_owned(), outcome.step.map(|s| format!("in {s}")).unwrap_or_default())))
            }
        }
    }

    fn problem(&mut self, slice: &Slice, at: At, id: &str, reason: String, detail: String) {
        if self.problems.len() < PROBLEMS_PER_TASK {
            self.problems.push(Problem {
                source: slice.file.uri.clone(),
                offset: at.offset,
                id: id.to_owned(),
                reason,
                detail,
            });
        }
    }
}

/// The part of a dedup's drop list that concerns this task's documents.
struct Drops {
    list: DropList<Box<dyn Read + Send>>,
    step: &'static str,
    index: usize,
    reason: &'static str,
}

impl Drops {
    fn open(attempt: &Attempt, barrier: usize) -> Result<Self, TaskError> {
        let shard = attempt.shard()?;
        let tasks = attempt.open.plan.stages.get(attempt.stage).map_or(0, |s| s.tasks);
        let shards = u32::try_from(tasks).map_err(|_| TaskError::fatal("more than 2^32 tasks"))?;
        // The stage just before this one made the list: one file over all shards.
        let record = attempt.earlier(attempt.stage - 1, 0)?;
        let file = record.files.get(&FileRole::Drops).and_then(|files| files.first());
        let file = file.ok_or_else(|| TaskError::fatal("the dedup before left no drop list"))?;
        let tail = file.bytes.saturating_sub(droplist::tail_bytes(shards))..file.bytes;
        let index = droplist::Index::parse(&file.path, &attempt.read_at(file, tail)?)?;
        let (offset, length) = index.byte_range(shard)?;
        let list = index.list(shard, attempt.read_range(file, offset..offset + length))?;
        let step = attempt.open.recipe.steps.get(barrier).map_or("", |spec| spec.def.name);
        Ok(Self { list, step, index: barrier, reason: attempt.barrier(barrier)?.reason })
    }
}

/// Where kept documents go.
#[allow(clippy::large_enum_variant, reason = "there is one for each task")]
enum Sink {
    Data(DataFiles),
    Next(NextPass),
}

impl Sink {
    fn new(attempt: &Attempt, stage: &MapStage) -> Result<Self, TaskError> {
        match stage.before {
            None => Ok(Self::Data(DataFiles::new(attempt))),
            Some(barrier) => Ok(Self::Next(NextPass::new(attempt, barrier)?)),
        }
    }

    fn write(&mut self, attempt: &Attempt, doc: &Document) -> Result<(), TaskError> {
        match self {
            Self::Data(files) => files.write(attempt, doc),
            Self::Next(next) => next.write(doc),
        }
    }

    fn finish(self, attempt: &Attempt) -> Result<BTreeMap<FileRole, Vec<FileEntry>>, TaskError> {
        match self {
            Self::Data(files) => files.finish(),
            Self::Next(next) => next.finish(attempt),
        }
    }
}

/// Files of the dataset. A file is begun with its first document, so that there are no empty ones.
struct DataFiles {
    encoding: Encoding,
    shard_size: u64,
    current: Option<(String, Writer<Out>)>,
    carry: Carry,
    files: Vec<FileEntry>,
    row: Vec<u8>,
}

impl DataFiles {
    fn new(attempt: &Attempt) -> Self {
        let output = &attempt.open.recipe.head.output;
        let encoding = match output.format {
            OutputFormat::JsonlZst => Encoding::Jsonl(Compression::Zstd),
            OutputFormat::JsonlGz => Encoding::Jsonl(Compression::Gzip),
            OutputFormat::Jsonl => Encoding::Jsonl(Compression::None),
            OutputFormat::Parquet => Encoding::Parquet,
        };
        let shard_size = output.shard_size.0;
        Self {
            encoding,
            shard_size,
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

    fn write_row(&mut self, attempt: &Attempt, row: &str) -> Result<(), TaskError> {
        loop {
            let (_, writer) = match &mut self.current {
                Some(current) => current,
                None => {
                    let name = format!(
                        "part-{:05}-{:03}{}",
                        attempt.task,
                        self.files.len(),
                        self.encoding.extension()
                    );
                    let path = attempt.path(&name);
                    let out = attempt.create(&path);
                    let writer = Writer::new(out, self.encoding, std::mem::take(&mut self.carry))?;
                    self.current.insert((path, writer))
                }
            };
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

    fn close(&mut self) -> Result<(), TaskError> {
        if let Some((path, writer)) = self.current.take() {
            let finished = writer.finish()?;
            finished.inner.finish()?;
            self.carry = finished.carry;
            self.files.push(files::entry(path, finished.written.rows, finished.written));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<BTreeMap<FileRole, Vec<FileEntry>>, TaskError> {
        self.close()?;
        Ok(BTreeMap::from([(FileRole::Data, self.files)]))
    }
}

/// Documents for the next pass, and what the dedup before it needs: keys, and identities to choose survivors by.
struct NextPass {
    path: String,
    frames: FrameWriter<HashingWriter<Out>>,
    ordinal: u32,
    signer: Signatures,
}

type Scratch = Box<dyn FnMut() -> io::Result<File>>;

#[allow(clippy::large_enum_variant, reason = "there is one for each task")]
enum Signatures {
    One {
        sign: SignOne,
        /// With the identity as note.
        keys: keyfile::Writer<u128, Noted, File, Scratch>,
    },
    Many {
        sign: SignMany,
        keys: keyfile::Writer<u64, Plain, File, Scratch>,
        signed: Vec<u64>,
        path: String,
        identities: IdentityWriter<HashingWriter<Out>>,
    },
}

impl NextPass {
    fn new(attempt: &Attempt, barrier: usize) -> Result<Self, TaskError> {
        let scratch: Scratch = Box::new(attempt.scratch());
        let signer = match attempt.barrier(barrier)?.signer {
            Signer::One(sign) => Signatures::One { sign, keys: keyfile::Writer::new(SORT_MEMORY, scratch) },
            Signer::Many(sign) => {
                let path = attempt.path("identities.zst");
                let identities = IdentityWriter::new(attempt.create_hashed(&path))?;
                let keys = keyfile::Writer::new(SORT_MEMORY, scratch);
                Signatures::Many { sign, keys, signed: Vec::new(), path, identities }
            }
        };
        let path = attempt.path("documents.zst");
        let frames = FrameWriter::new(attempt.create_hashed(&path))?;
        Ok(Self { path, frames, ordinal: 0, signer })
    }

    fn write(&mut self, doc: &Document) -> Result<(), TaskError> {
        match &mut self.signer {
            Signatures::One { sign, keys } => {
                if let Some(key) = sign(doc) {
                    keys.push(key, self.ordinal, doc.id.as_bytes())?;
                }
            }
            Signatures::Many { sign, keys, signed, identities, .. } => {
                signed.clear();
                sign(doc, signed);
                for key in signed.iter() {
                    keys.push(*key, self.ordinal, &[])?;
                }
                identities.push(&doc.id)?;
            }
        }
        self.frames.write(doc)?;
        self.ordinal = self
            .ordinal
            .checked_add(1)
            .ok_or_else(|| TaskError::fatal("more than 2^32 documents in a task"))?;
        Ok(())
    }

    fn finish(self, attempt: &Attempt) -> Result<BTreeMap<FileRole, Vec<FileEntry>>, TaskError> {
        let mut written = BTreeMap::new();
        let (documents, out) = self.frames.finish()?;
        written.insert(FileRole::Documents, vec![files::finish(out, self.path, documents)?]);
        let path = attempt.path("keys");
        let mut out = attempt.create_hashed(&path);
        let summary = match self.signer {
            Signatures::One { keys, .. } => keys.finish(&mut out)?,
            Signatures::Many { keys, path, identities, .. } => {
                let (count, identities) = identities.finish()?;
                written.insert(FileRole::Identities, vec![files::finish(identities, path, count)?]);
                keys.finish(&mut out)?
            }
        };
        written.insert(FileRole::Keys, vec![files::finish(out, path, summary.entries)?]);
        Ok(written)
    }
}
