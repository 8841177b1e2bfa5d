//! Drawing examples: a uniform sample of the texts of any number of files, read by several lanes.
//!
//! What is drawn is decided by the words alone that an example has, and not by a record's id, file or place: so the sample is the same
//! however the corpus is cut, named and read, and texts of the same words count once. Those that both labels have drawn say nothing of either
//! and are left out. So no text is both learned from and held out. All lanes draw into one sample; its texts wait in one file on disk, and
//! memory is some 100 bytes for each example, whatever its length.

use super::Work;
use super::progress::Progress;
use crate::display::words;
use crate::failure::Failure;
use anyhow::{Context as _, anyhow};
use gristmill_classify::card::Source;
use gristmill_classify::preprocess;
use gristmill_classify::sample::{Sample, lot};
use gristmill_classify::train;
use gristmill_pipeline::Document;
use gristmill_storage::{Input, InputError, Listing, Open, StoreSource, Uri, open};
use gristmill_worker::reading::{self, Reading};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Broken records that a lane tells of; all are counted.
const TOLD: u64 = 3;

/// A label and where its examples come from.
pub(super) struct Class<'a> {
    pub(super) label: &'a str,
    pub(super) inputs: &'a [String],
    pub(super) fields: &'a [String],
    /// Examples wanted.
    pub(super) size: u32,
    pub(super) seed: u32,
}

/// The examples of a label.
pub(super) struct Drawn {
    pub(super) sample: Sample<Place>,
    pub(super) source: Source,
    spool: File,
    /// The examples that were asked for.
    asked: u64,
    /// The fields of a record that has no text in those asked for.
    met: Option<String>,
}

/// Where a text waits.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) class: usize,
    offset: u64,
    length: usize,
}

impl Drawn {
    pub(super) fn read(&self, place: Place, out: &mut String) -> io::Result<()> {
        let mut bytes = std::mem::take(out).into_bytes();
        bytes.resize(place.length, 0);
        self.spool.read_exact_at(&mut bytes, place.offset)?;
        *out = String::from_utf8(bytes).map_err(io::Error::other)?;
        Ok(())
    }

    /// Takes out what another label has drawn, too.
    pub(super) fn part(&mut self, other: &mut Self) {
        let both = self.sample.part(&mut other.sample);
        for drawn in [self, other] {
            drawn.source.drawn = drawn.sample.len() as u64;
            if both > 0 {
                drawn.source.unusable.insert("a text of both labels".to_owned(), both);
            }
        }
    }

    /// Refuses what nothing can be learned from: some to learn from and some to hold out are needed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let Source { label, inputs, seen, unusable, drawn, .. } = &self.source;
        if *drawn >= 2 {
            return Ok(());
        }
        let reasons = unusable.iter().map(|(reason, count)| format!(", of which {count} have {reason}"));
        let met = self.met.as_ref().map(|met| format!(". A record has these fields: {met}"));
        let why = format!(
            "label {label}: two different texts are needed at least, and there are {drawn} in {}; records: {seen}{}{}",
            inputs.join(", "),
            reasons.collect::<String>(),
            met.unwrap_or_default()
        );
        Err(Failure::Request(anyhow!(why)))
    }

    /// Says what was drawn.
    pub(super) fn tell(&self) {
        let Source { label, seen, unusable, drawn, .. } = &self.source;
        let asked = (*drawn < self.asked).then(|| format!(", {} were asked for", words::count(self.asked)));
        let reasons =
            unusable.iter().map(|(reason, count)| format!("; {} left out: {reason}", words::count(*count)));
        eprintln!(
            "{label}: {} examples of {} records{}{}",
            words::count(*drawn),
            words::count(*seen),
            asked.unwrap_or_default(),
            reasons.collect::<String>()
        );
    }
}

/// Draws the examples of one label, the `class`-th.
pub(super) fn draw(work: &Work, number: usize, class: &Class, listing: &Listing) -> Result<Drawn, Failure> {
    let (records, files) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let _progress = Progress::start(work.args.quiet, {
        let (records, files) = (Arc::clone(&records), Arc::clone(&files));
        let (label, all) = (class.label.to_owned(), words::count(listing.files()));
        move |_| {
            let [records, files] = [&records, &files].map(|n| words::count(n.load(Ordering::Relaxed)));
            format!("drawing {label}: {files} of {all} files, {records} records")
        }
    });
    let queue = Mutex::new(listing.inputs().map_err(Failure::job)?);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failed = AtomicBool::new(false);
    let spool = tempfile::tempfile_in(work.scratch).context("cannot write to the scratch folder");
    let pool = Pool::new(spool.map_err(Failure::Job)?, number, class);
    let lanes = listing.files().clamp(1, work.args.lanes as u64) as usize;
    let tallies: Vec<Result<Tally, Failure>> = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..lanes)
            .map(|_| {
                let (records, files, failed, next, pool) = (&records, &files, &failed, &next, &pool);
                scope.spawn(move || {
                    let tally = Lane::new(work, class, pool).read_all(next, failed, records, files);
                    failed.fetch_or(tally.is_err(), Ordering::Relaxed);
                    tally
                })
            })
            .collect();
        let panicked = |_| Err(Failure::Job(anyhow!("reading panicked")));
        spawned.into_iter().map(|lane| lane.join().unwrap_or_else(panicked)).collect()
    });
    let (sample, spool) = pool.finish();
    let mut all = Drawn {
        source: Source {
            label: class.label.to_owned(),
            inputs: class.inputs.to_vec(),
            fields: class.fields.to_vec(),
            files: listing.files(),
            seen: 0,
            unusable: BTreeMap::new(),
            drawn: sample.len() as u64,
        },
        sample,
        spool,
        asked: class.size.into(),
        met: None,
    };
    for tally in tallies {
        let tally = tally?;
        all.source.seen += tally.seen;
        for (reason, count) in tally.unusable {
            *all.source.unusable.entry(reason).or_default() += count;
        }
        all.met = all.met.or(tally.met);
    }
    if work.stop.load(Ordering::Relaxed) {
        return Err(Failure::Job(anyhow!("stopped; no model was written")));
    }
    all.check()?;
    Ok(all)
}

/// What all lanes draw into.
struct Pool {
    seed: u64,
    sample: Mutex<Sample<Place>>,
    /// The upper half of the lot from which on the sample refuses: most records never wait for it.
    highest: AtomicU64,
    spool: File,
    /// Where the next text will wait.
    end: AtomicU64,
    class: usize,
}

impl Pool {
    fn new(spool: File, number: usize, class: &Class) -> Self {
        Self {
            seed: class.seed.into(),
            sample: Mutex::new(Sample::new(class.size as usize)),
            highest: AtomicU64::new(u64::MAX),
            spool,
            end: AtomicU64::new(0),
            class: number,
        }
    }

    /// Offers an example. Which are drawn in the end does not depend on the order.
    fn offer(&self, words: &[u8]) -> io::Result<()> {
        let upper = |lot: u128| (lot >> 64) as u64;
        let lot = lot(words, self.seed);
        if upper(lot) > self.highest.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut drawn = None;
        {
            let mut sample = self.sample.lock().unwrap_or_else(PoisonError::into_inner);
            sample.offer(lot, || {
                let length = words.len();
                let offset = self.end.fetch_add(length as u64, Ordering::Relaxed);
                *drawn.insert(Place { class: self.class, offset, length })
            });
            self.highest.store(sample.highest().map_or(u64::MAX, upper), Ordering::Relaxed);
        }
        drawn.map_or(Ok(()), |place| self.spool.write_all_at(words, place.offset))
    }

    fn finish(self) -> (Sample<Place>, File) {
        (self.sample.into_inner().unwrap_or_else(PoisonError::into_inner), self.spool)
    }
}

/// One thread that reads.
struct Lane<'a> {
    work: &'a Work<'a>,
    class: &'a Class<'a>,
    pool: &'a Pool,
    tally: Tally,
    text: String,
    words: Vec<u8>,
}

/// What a lane has met.
#[derive(Default)]
struct Tally {
    seen: u64,
    unusable: BTreeMap<String, u64>,
    /// The fields of a record that has no text in those asked for.
    met: Option<String>,
}

impl<'a> Lane<'a> {
    fn new(work: &'a Work<'a>, class: &'a Class<'a>, pool: &'a Pool) -> Self {
        Self { work, class, pool, tally: Tally::default(), text: String::new(), words: Vec::new() }
    }

    fn read_all(
        mut self,
        next: impl Fn() -> Option<Result<Input, InputError>>,
        failed: &AtomicBool,
        records: &AtomicU64,
        files: &AtomicU64,
    ) -> Result<Tally, Failure> {
        let over = || failed.load(Ordering::Relaxed) || self.work.stop.load(Ordering::Relaxed);
        let work = self.work;
        while let Some(input) = next().filter(|_| !over()) {
            let input = input.map_err(Failure::job)?;
            let uri: Uri =
                input.uri.parse().map_err(|error: gristmill_storage::UriError| Failure::job(error))?;
            let (store, key) = work.stores.open(&uri).map_err(Failure::job)?;
            let source = StoreSource::new(work.handle.clone(), store, &key, input.size);
            let what = Open::whole(&input.name, input.format);
            let mut items = open(Arc::new(source), &what).map_err(Failure::job)?;
            while let Some(item) = items.next().map_err(Failure::job)? {
                if over() {
                    break;
                }
                let at = item.at();
                match reading::read(item, &input.name) {
                    Reading::Skipped(_) => continue,
                    Reading::Broken { reason, detail } => {
                        if self.tally.unusable.values().sum::<u64>() < TOLD {
                            eprintln!("gristmill: {} at {at}: {reason}: {detail}", input.uri);
                        }
                        self.leave_out(reason);
                    }
                    Reading::Document(doc) => self.offer(&doc).map_err(Failure::Job)?,
                }
                self.tally.seen += 1;
                records.fetch_add(1, Ordering::Relaxed);
            }
            files.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.tally)
    }

    fn leave_out(&mut self, reason: impl Into<String>) {
        *self.tally.unusable.entry(reason.into()).or_default() += 1;
    }

    fn offer(&mut self, doc: &Document) -> anyhow::Result<()> {
        self.text.clear();
        self.words.clear();
        let whole = join_fields(doc, self.class.fields, &mut self.text);
        train::push_words(&preprocess::quality(&self.text), &mut self.words);
        match whole {
            Err(reason) => {
                self.leave_out(reason);
                if self.tally.met.is_none() {
                    let names: Vec<&str> = doc.fields.iter().map(|(name, _)| name).collect();
                    self.tally.met = Some(names.join(", "));
                }
            }
            Ok(()) if self.words.is_empty() => self.leave_out("an empty text"),
            Ok(()) => self.pool.offer(&self.words).context("cannot write to the scratch folder")?,
        }
        Ok(())
    }
}

/// The texts of some fields, one after the other, or why there are none.
fn join_fields(doc: &Document, fields: &[String], out: &mut String) -> Result<(), String> {
    for (at, field) in fields.iter().enumerate() {
        let text = match field.as_str() {
            "text" if doc.text.is_none() && doc.body.is_some() => {
                return Err("a page in place of a text; extract it first".to_owned());
            }
            "text" => doc.text.as_ref().map(|text| Cow::Borrowed(text.as_str())),
            field => doc.fields.str(field),
        };
        let text = text.ok_or_else(|| format!("no text in field {field}"))?;
        if at > 0 {
            out.push('\n');
        }
        out.push_str(&text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_classify::sample;

    #[test]
    fn an_example_is_the_text_of_its_fields() {
        let joined = |record: &str, fields: &[&str]| {
            let doc = Document::from_json(record, String::new).expect("a record");
            let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
            let mut out = String::new();
            join_fields(&doc, &fields, &mut out).map(|()| out)
        };
        let record = r#"{"text":"a","question":"b\nc","n":1,"none":null}"#;
        assert_eq!(joined(record, &["text"]), Ok("a".to_owned()));
        assert_eq!(joined(record, &["question", "text"]), Ok("b\nc\na".to_owned()));
        for field in ["n", "none", "absent"] {
            assert_eq!(joined(record, &[field]), Err(format!("no text in field {field}")));
        }
    }

    #[test]
    fn lanes_draw_into_one_sample_and_one_file() {
        const TEXTS: usize = 10_000;
        let text = |number: usize| format!("text {number:05}");
        let class = Class { label: "hq", inputs: &[], fields: &[], size: 100, seed: 1 };
        let draw = |lanes: usize| {
            let pool = Pool::new(tempfile::tempfile().expect("a file"), 0, &class);
            std::thread::scope(|scope| {
                for lane in 0..lanes {
                    let pool = &pool;
                    let numbers = (lane..TEXTS).step_by(lanes);
                    scope.spawn(move || {
                        numbers.for_each(|n| pool.offer(text(n).as_bytes()).expect("written"))
                    });
                }
            });
            let (sample, spool) = pool.finish();
            let read = |place: Place| {
                let mut bytes = vec![0; place.length];
                spool.read_exact_at(&mut bytes, place.offset).expect("read");
                String::from_utf8(bytes).expect("a text")
            };
            let texts: Vec<String> = sample::mix([sample], 1).into_iter().map(read).collect();
            (texts, spool.metadata().expect("a file").len())
        };
        let (alone, _) = draw(1);
        assert_eq!(alone.len(), 100);
        let (together, spooled) = draw(16);
        assert_eq!(together, alone);
        // 560 are drawn at one time or another if there is one sample; 16 samples of a sixteenth would draw 4,500.
        assert!(spooled < 1_000 * text(0).len() as u64, "{spooled} bytes");
    }
}
