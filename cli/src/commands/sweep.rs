//! `gristmill sweep OUTPUT --key score --at 5%,10%,0.5`: what other thresholds would keep of a dataset, without running again.

use crate::dataset;
use crate::display::words::clean;
use crate::failure::{Failure, Outcome};
use crate::request::{parse_uri, runtime, stores};
use crate::sweep::{
    Amount, At, BY_MAX, Breakdown, CUTS_MAX, Named, Report, Sample, Settings, Shown, Sweep, short,
};
use anyhow::{Context as _, anyhow};
use gristmill_job::FileEntry;
use gristmill_pipeline::{Document, Field};
use gristmill_storage::{Format, Item, Open, Records, StoreSource, Stores, Uri, open};
use indicatif::HumanCount;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

#[derive(clap::Args)]
#[command(
    after_help = "A share is as large as keep_top makes it of the dataset. Where it ends within documents of one score, a hash of their ids \
    says which are in it, as in keep_top; of records without an id those may be others."
)]
pub(crate) struct Args {
    /// The output of a run: a folder or an s3:// prefix
    output: String,
    /// The field with the score; a dot leads into an object
    #[arg(long, value_name = "FIELD")]
    key: String,
    /// Shares of the best, such as 10%, and scores from which on to keep, such as 0.5
    #[arg(
        long,
        value_name = "SHARE|SCORE",
        required = true,
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    at: Vec<At>,
    /// The lowest scores are the best: shares are of them, and scores are kept up to a threshold
    #[arg(long)]
    lower_better: bool,
    /// The field that holds the number of tokens; without it, words are counted
    #[arg(long, value_name = "FIELD")]
    tokens: Option<String>,
    /// Also count by these: language, domain (the host of the url), or a field
    #[arg(long, value_name = "FIELD", value_delimiter = ',', default_value = "language,domain")]
    by: Vec<String>,
    /// Names of each that are told; the others are summed up
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Documents shown on each side of a threshold
    #[arg(long, value_name = "N", default_value_t = 2)]
    samples: usize,
    /// Where documents are sorted that do not fit in memory
    #[arg(long, value_name = "DIR", env = "TMPDIR", default_value = "/tmp")]
    scratch: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Of a sample's text.
const SHOWN_CHARS: usize = 160;

pub(crate) fn run(args: Args) -> Outcome {
    if args.at.len() > CUTS_MAX {
        return Err(Failure::Request(anyhow!(
            "{} thresholds, and at most {CUTS_MAX} are looked at",
            args.at.len()
        )));
    }
    if args.by.len() > BY_MAX {
        let given = args.by.len();
        return Err(Failure::Request(anyhow!(
            "--by has {given} fields, and at most {BY_MAX} are counted by"
        )));
    }
    let output = parse_uri(&args.output)?;
    let (stores, runtime) = (stores(), runtime()?);
    let files = Files::open(&stores, runtime.handle(), output).map_err(Failure::Request)?;
    let key = args.key.clone();
    let mut sweep = Sweep::new(Settings {
        key: args.key,
        at: args.at,
        lower_better: args.lower_better,
        tokens: args.tokens,
        by: args.by,
        top: args.top,
        samples: args.samples,
        scratch: args.scratch,
    });
    let mut fields: Option<Vec<String>> = None;
    for file in 0..files.entries.len() {
        let mut rows = files.rows(file).map_err(Failure::Job)?;
        while let Some((place, doc)) = rows.next().map_err(Failure::Job)? {
            fields.get_or_insert_with(|| numbers_of(&doc));
            sweep.add(place, &doc).map_err(Failure::Job)?;
        }
    }
    if !sweep.has_scores() {
        let fields = fields.unwrap_or_default().join(", ");
        let hint =
            if fields.is_empty() { String::new() } else { format!("; the first has numbers in {fields}") };
        return Err(Failure::Request(anyhow!(
            "no document of {} has a number in the field {key}{hint}",
            args.output
        )));
    }
    let mut report = sweep.finish().map_err(Failure::Job)?;
    files.show(&mut report).map_err(Failure::Job)?;
    let text = if args.json {
        let mut text = serde_json::to_string_pretty(&report).map_err(Failure::job)?;
        text.push('\n');
        text
    } else {
        table(&report)
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::job)
}

/// The fields of a document that hold numbers.
fn numbers_of(doc: &Document) -> Vec<String> {
    let fields = doc.fields.iter().filter(|(_, field)| !matches!(field, Field::Text));
    let names = fields.map(|(name, _)| name);
    names
        .filter(|name| doc.fields.value(name).is_some_and(serde_json::Value::is_number))
        .map(str::to_owned)
        .collect()
}

/// The data files of a dataset.
struct Files<'a> {
    stores: &'a Stores,
    handle: &'a Handle,
    output: Uri,
    entries: Vec<FileEntry>,
}

impl<'a> Files<'a> {
    fn open(stores: &'a Stores, handle: &'a Handle, output: Uri) -> anyhow::Result<Self> {
        let manifest = dataset::manifest(stores, handle, &output)?;
        let manifest = manifest.ok_or_else(|| {
            anyhow!("{output} has no manifest.json: it is no dataset of ours, or not ready")
        })?;
        let entries = dataset::data_files(stores, handle, &output, &manifest)?;
        Ok(Self { stores, handle, output, entries })
    }

    fn rows(&self, number: usize) -> anyhow::Result<Rows> {
        let file = self.entries.get(number).context("there is no such file")?;
        let (store, key) = self.stores.open(&self.output.join(&file.path)?)?;
        let size = self.handle.block_on(store.stat(&key))?.size;
        anyhow::ensure!(
            size == file.bytes,
            "{}: {size} bytes, and not {} as the manifest says; `gristmill verify` tells more",
            file.path,
            file.bytes
        );
        let (format, _) = Format::of_name(&file.path);
        let format = format.with_context(|| format!("{}: of no known format", file.path))?;
        let source = Arc::new(StoreSource::new(self.handle.clone(), store, &key, size));
        let records = open(source, &Open::whole(&file.path, format))?;
        Ok(Rows { records, path: file.path.clone(), file: u32::try_from(number)?, row: 0 })
    }

    /// Reads what is shown of the samples: of the files that have some, up to the last.
    fn show(&self, report: &mut Report) -> anyhow::Result<()> {
        let samples = |report: &mut Report, take: &mut dyn FnMut(&mut Sample)| {
            report.cuts.iter_mut().flat_map(|cut| cut.above.iter_mut().chain(&mut cut.below)).for_each(take);
        };
        let mut wanted: BTreeMap<u32, HashMap<u32, Option<Shown>>> = BTreeMap::new();
        samples(report, &mut |sample| {
            wanted.entry(sample.place.0).or_default().insert(sample.place.1, None);
        });
        for (file, wanted) in &mut wanted {
            let mut left = wanted.len();
            let mut rows = self.rows(*file as usize)?;
            while left > 0
                && let Some(((_, row), doc)) = rows.next()?
            {
                if let Some(shown) = wanted.get_mut(&row) {
                    *shown = Some(shown_of(&doc));
                    left -= 1;
                }
            }
        }
        samples(report, &mut |sample| {
            sample.shown =
                wanted.get(&sample.place.0).and_then(|rows| rows.get(&sample.place.1)).cloned().flatten();
        });
        Ok(())
    }
}

fn shown_of(doc: &Document) -> Shown {
    let text = doc.text.as_ref().map_or("", |text| text.as_str());
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(SHOWN_CHARS) {
        words.truncate(end);
        words.push('…');
    }
    Shown { id: doc.id.clone(), url: doc.fields.str("url").map(std::borrow::Cow::into_owned), text: words }
}

/// The documents of a file.
struct Rows {
    records: Box<dyn Records>,
    path: String,
    file: u32,
    row: u32,
}

impl Rows {
    fn next(&mut self) -> anyhow::Result<Option<((u32, u32), Document)>> {
        let Some(item) = self.records.next()? else { return Ok(None) };
        let Item::Json { line, .. } = item else {
            return Err(anyhow!(
                "{}: row {} is no record; `gristmill verify` tells more",
                self.path,
                self.row
            ));
        };
        let place = (self.file, self.row);
        let doc = Document::from_json(&line, || format!("{}#{}", self.path, place.1));
        self.row = self.row.checked_add(1).context("more than 2^32 rows in a file")?;
        Ok(Some((place, doc.with_context(|| format!("{}: row {}", self.path, place.1))?)))
    }
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    let Report { key, scored, missing, not_a_number, .. } = report;
    let _ = writeln!(
        out,
        "{} documents have {key}; without it {}, not a number {}\n",
        HumanCount(scored.documents),
        HumanCount(*missing),
        HumanCount(*not_a_number)
    );
    let mut rows =
        vec![["at", "threshold", "documents", "", &report.tokens, "", "bytes", ""].map(str::to_owned)];
    for cut in &report.cuts {
        let count = |amount: fn(&Amount) -> u64| {
            let (part, whole) = (amount(&cut.keeps), amount(scored));
            [HumanCount(part).to_string(), percent(part, whole)]
        };
        let [documents, of_documents] = count(|amount| amount.documents);
        let [tokens, of_tokens] = count(|amount| amount.tokens);
        let [bytes, of_bytes] = count(|amount| amount.bytes);
        let threshold = cut.threshold.map_or_else(|| "-".to_owned(), short);
        rows.push([cut.at.clone(), threshold, documents, of_documents, tokens, of_tokens, bytes, of_bytes]);
    }
    columns(&mut out, &rows);
    for by in &report.by {
        out.push('\n');
        columns(&mut out, &by_rows(report, by));
    }
    for cut in &report.cuts {
        let _ = writeln!(out, "\nat {}", cut.at);
        for (side, samples) in
            [("kept", cut.above.iter().rev().collect::<Vec<_>>()), ("not", cut.below.iter().collect())]
        {
            for sample in samples {
                let shown = sample.shown.as_ref();
                let name = shown.map_or("", |shown| shown.url.as_deref().unwrap_or(&shown.id));
                let text = shown.map_or("", |shown| &shown.text);
                let score = short(sample.score);
                let _ = writeln!(out, "  {side:<4}  {score}  {}\n        {}", clean(name), clean(text));
            }
        }
    }
    out
}

/// Documents by name, of each threshold.
fn by_rows(report: &Report, by: &Breakdown) -> Vec<Vec<String>> {
    let mut head = vec![by.by.clone(), "documents".to_owned()];
    head.extend(report.cuts.iter().flat_map(|cut| [format!("at {}", cut.at), String::new()]));
    let row = |name: String, named: &Named| {
        let mut row = vec![name, HumanCount(named.scored.documents).to_string()];
        for keeps in &named.keeps {
            let (part, whole) = (keeps.documents, named.scored.documents);
            row.extend([HumanCount(part).to_string(), percent(part, whole)]);
        }
        row
    };
    let mut rows = vec![head];
    let name = |named: &Named| if named.name.is_empty() { "(none)".to_owned() } else { clean(&named.name) };
    rows.extend(by.top.iter().map(|named| row(name(named), named)));
    let others = by.names - by.top.len() as u64;
    if others > 0 {
        rows.push(row(format!("({} others)", HumanCount(others)), &by.others));
    }
    rows
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}%", 100.0 * part as f64 / whole as f64) }
}

/// Rows in columns: the first to the left, the others to the right.
fn columns<R: AsRef<[String]>>(out: &mut String, rows: &[R]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.as_ref().iter().enumerate() {
            let width = width(column);
            let _ =
                if column == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
