//! Drawing examples: a uniform sample of the texts of any number of files, read by several lanes.
//!
//! What is drawn is decided by the prepared text alone, and not by a record's id, file or place: so the sample is the same however the
//! corpus is cut, named and read, equal texts count once, and none of them is both learned from and held out. Texts wait on disk, in a
//! file for each lane; memory is some 100 bytes for each example, whatever its length.

use super::Work;
use super::progress::Progress;
use crate::display::words;
use crate::failure::Failure;
use anyhow::{Context as _, anyhow};
use gristmill_classify::card::Source;
use gristmill_classify::preprocess;
use gristmill_classify::sample::Sample;
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
    spools: Vec<File>,
}

/// Where a text waits.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) class: usize,
    spool: usize,
    offset: u64,
    length: usize,
}

impl Drawn {
    pub(super) fn read(&self, place: Place, out: &mut String) -> io::Result<()> {
        let mut bytes = std::mem::take(out).into_bytes();
        bytes.resize(place.length, 0);
        let spool = self.spools.get(place.spool).ok_or(io::ErrorKind::NotFound)?;
        spool.read_exact_at(&mut bytes, place.offset)?;
        *out = String::from_utf8(bytes).map_err(io::Error::other)?;
        Ok(())
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
    let lanes = listing.files().clamp(1, work.args.lanes as u64) as usize;
    let lanes: Vec<Result<Lane, Failure>> = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..lanes)
            .map(|spool| {
                let (records, files, failed, next) = (&records, &files, &failed, &next);
                scope.spawn(move || {
                    let lane = Lane::new(work, class, Place { class: number, spool, ..Place::default() });
                    let lane = lane.and_then(|lane| lane.read_all(next, failed, records, files));
                    failed.fetch_or(lane.is_err(), Ordering::Relaxed);
                    lane
                })
            })
            .collect();
        let panicked = |_| Err(Failure::Job(anyhow!("reading panicked")));
        spawned.into_iter().map(|lane| lane.join().unwrap_or_else(panicked)).collect()
    });
    let mut all = Drawn {
        sample: Sample::new(class.seed.into(), class.size as usize),
        source: Source {
            label: class.label.to_owned(),
            inputs: class.inputs.to_vec(),
            fields: class.fields.to_vec(),
            files: listing.files(),
            seen: 0,
            unusable: BTreeMap::new(),
            drawn: 0,
        },
        spools: Vec::new(),
    };
    let mut met = None;
    for lane in lanes {
        let lane = lane?;
        all.sample.merge(lane.sample).map_err(Failure::job)?;
        all.source.seen += lane.seen;
        for (reason, count) in lane.unusable {
            *all.source.unusable.entry(reason).or_default() += count;
        }
        all.spools.push(lane.spool);
        met = met.or(lane.met);
    }
    all.source.drawn = all.sample.len() as u64;
    if work.stop.load(Ordering::Relaxed) {
        return Err(Failure::Job(anyhow!("stopped; no model was written")));
    }
    check(&all.source, class, met.as_deref())?;
    if !work.args.quiet {
        told(&all.source, class);
    }
    Ok(all)
}

/// Refuses what nothing can be learned from: some to learn from and some to hold out are needed.
fn check(source: &Source, class: &Class, met: Option<&str>) -> Result<(), Failure> {
    if source.drawn >= 2 {
        return Ok(());
    }
    let reasons = source.unusable.iter().map(|(reason, count)| format!(", of which {count} have {reason}"));
    let why = format!(
        "label {}: two different texts are needed at least, and there are {} in {}; records: {}{}{}",
        source.label,
        source.drawn,
        class.inputs.join(", "),
        source.seen,
        reasons.collect::<String>(),
        met.map(|met| format!(". A record has these fields: {met}")).unwrap_or_default()
    );
    Err(Failure::Request(anyhow!(why)))
}

fn told(source: &Source, class: &Class) {
    let fewer = source.drawn < u64::from(class.size);
    let asked = fewer.then(|| format!(", {} were asked for", words::count(class.size.into())));
    let reasons = source
        .unusable
        .iter()
        .map(|(reason, count)| format!("; {} left out: {reason}", words::count(*count)));
    eprintln!(
        "{}: {} examples of {} records{}{}",
        source.label,
        words::count(source.drawn),
        words::count(source.seen),
        asked.unwrap_or_default(),
        reasons.collect::<String>()
    );
}

/// What one thread draws.
struct Lane<'a> {
    work: &'a Work<'a>,
    class: &'a Class<'a>,
    sample: Sample<Place>,
    spool: File,
    /// Where the next text will wait.
    end: Place,
    seen: u64,
    unusable: BTreeMap<String, u64>,
    /// The fields of a record that has no text in those asked for.
    met: Option<String>,
    text: String,
}

impl<'a> Lane<'a> {
    fn new(work: &'a Work<'a>, class: &'a Class<'a>, end: Place) -> Result<Self, Failure> {
        let spool = tempfile::tempfile_in(work.scratch).context("cannot write to the scratch folder");
        Ok(Self {
            work,
            class,
            sample: Sample::new(class.seed.into(), class.size as usize),
            spool: spool.map_err(Failure::Job)?,
            end,
            seen: 0,
            unusable: BTreeMap::new(),
            met: None,
            text: String::new(),
        })
    }

    fn read_all(
        mut self,
        next: impl Fn() -> Option<Result<Input, InputError>>,
        failed: &AtomicBool,
        records: &AtomicU64,
        files: &AtomicU64,
    ) -> Result<Self, Failure> {
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
                        if self.unusable.values().sum::<u64>() < TOLD {
                            eprintln!("gristmill: {} at {at}: {reason}: {detail}", input.uri);
                        }
                        self.leave_out(reason);
                    }
                    Reading::Document(doc) => self.offer(&doc).map_err(Failure::Job)?,
                }
                self.seen += 1;
                records.fetch_add(1, Ordering::Relaxed);
            }
            files.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self)
    }

    fn leave_out(&mut self, reason: impl Into<String>) {
        *self.unusable.entry(reason.into()).or_default() += 1;
    }

    fn offer(&mut self, doc: &Document) -> anyhow::Result<()> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let whole = join_fields(doc, self.class.fields, &mut text);
        let prepared = preprocess::quality(&text);
        match whole {
            Err(reason) => {
                self.leave_out(reason);
                if self.met.is_none() {
                    let names: Vec<&str> = doc.fields.iter().map(|(name, _)| name).collect();
                    self.met = Some(names.join(", "));
                }
            }
            Ok(()) if prepared.is_empty() => self.leave_out("an empty text"),
            Ok(()) => self.offer_text(&prepared).context("cannot write to the scratch folder")?,
        }
        drop(prepared);
        self.text = text;
        Ok(())
    }

    fn offer_text(&mut self, text: &str) -> io::Result<()> {
        let (spool, end) = (&self.spool, &mut self.end);
        let mut written = Ok(());
        self.sample.offer(text, || {
            let place = Place { length: text.len(), ..*end };
            written = spool.write_all_at(text.as_bytes(), place.offset);
            end.offset += text.len() as u64;
            place
        });
        written
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
}
