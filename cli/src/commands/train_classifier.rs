//! `gristmill train-classifier`: a fastText quality classifier from good texts and ordinary ones.
//!
//! [`inputs`] finds the files, [`examples`] draws from them, and the rest is `gristmill_classify`: a part of the examples of each label is held
//! out, the others are learned from, the held-out ones tell how good the model is, and a card says all of it.
//!
//! The same texts, settings and seed give the same model, bit by bit, in whatever files, order and number of lanes the texts are read, if
//! training has one thread; more threads learn faster, as well, and never twice the same.

mod examples;
mod inputs;
mod progress;

use crate::failure::{Failure, Outcome};
use crate::request::{parse_uri, runtime, stores};
use crate::service::stop_signal;
use anyhow::{Context as _, anyhow, ensure};
use clap::builder::TypedValueParser as _;
use examples::{Class, Drawn};
use gristmill_classify::card::{FileSummary, ModelCard};
use gristmill_classify::evaluate::Evaluation;
use gristmill_classify::train::{self, Settings, TextSummary, TrainingLoss, TrainingText};
use gristmill_classify::{Model, sample};
use gristmill_job::resolve::Resolver;
use gristmill_pipeline::resources::Wanted;
use gristmill_storage::{BlockingWriter, Kind, Stores, Uri};
use progress::Progress;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

#[derive(clap::Args)]
#[command(after_help = "For example, with what you like and what a crawl's deduplicated pages are:\n  \
    gristmill train-classifier --positive 'liked/*.jsonl.gz' --negative out/ --output models/quality.bin\n\
    and then in a recipe:\n  \
    - fasttext: {model: quality.bin, label: hq, key: quality}\n\n\
    Beside the model, quality.card.md and quality.card.json say what it learned from and how well it does on examples held out. \
    The same texts and options give the same model, bit by bit, on processors of one kind, unless --threads is more than 1.")]
pub(crate) struct Args {
    /// Files of good texts, in any input format; globs, folders, lists, s3://, or the output of a run (repeatable)
    #[arg(long, value_name = "URI", required = true)]
    positive: Vec<String>,
    /// Files of ordinary texts (repeatable)
    #[arg(long, value_name = "URI", required = true)]
    negative: Vec<String>,
    /// Where the model goes, a path or s3:// address that ends in .bin
    #[arg(long, value_name = "URI")]
    output: String,
    /// Replace a model that is there
    #[arg(long)]
    overwrite: bool,

    /// The fields of positives whose texts, one after the other, are an example
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',', default_value = "text")]
    positive_field: Vec<String>,
    /// The same of negatives
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',', default_value = "text")]
    negative_field: Vec<String>,
    /// What positives are called, without __label__, which is put before it
    #[arg(long, value_name = "NAME", default_value = "hq")]
    positive_label: String,
    /// What negatives are called
    #[arg(long, value_name = "NAME", default_value = "cc")]
    negative_label: String,
    /// Examples drawn of each label, if there are as many
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(2..))]
    examples: u32,
    /// The share of them that is not learned from, to tell how good the model is
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    held_out: f64,
    /// Where chance starts, in drawing and in training
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
    seed: u32,

    /// Words of the longest n-gram of words
    #[arg(long, value_name = "N", default_value_t = Settings::default().word_ngrams)]
    word_ngrams: u32,
    /// Columns of the matrices
    #[arg(long, value_name = "N", default_value_t = Settings::default().dim)]
    dim: u32,
    /// The learning rate at the start
    #[arg(long, value_name = "RATE", default_value_t = Settings::default().lr)]
    lr: f64,
    /// How often each example is learned from
    #[arg(long, value_name = "N", default_value_t = Settings::default().epoch)]
    epoch: u32,
    /// Words seen less often are left out
    #[arg(long, value_name = "N", default_value_t = Settings::default().min_count)]
    min_count: u32,
    /// Rows for n-grams; the model's size is 4 bytes for each column of them
    #[arg(long, value_name = "N", default_value_t = Settings::default().bucket)]
    bucket: u32,
    /// Characters of the shortest n-gram of characters
    #[arg(long, value_name = "N", default_value_t = Settings::default().minn)]
    minn: u32,
    /// Characters of the longest; 0 for none
    #[arg(long, value_name = "N", default_value_t = Settings::default().maxn)]
    maxn: u32,
    /// Threads that learn at once; more than 1 are faster, and the model is another each time
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,

    /// Files read at once; the model does not depend on it
    #[arg(long, default_value_t = super::run::default_lanes(), value_parser = clap::value_parser!(u16).range(1..=1024).map(usize::from))]
    lanes: usize,
    /// Where examples and the model lie until all is done
    #[arg(long, value_name = "DIR", env = "TMPDIR", default_value = "/tmp")]
    scratch: PathBuf,
    /// Print nothing on the way
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let output = args.output()?;
    let (stores, runtime) = (stores(), runtime()?);
    let handle = runtime.handle();
    if !args.overwrite {
        refuse_present(&stores, handle, &output)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut signal = runtime.block_on(async { stop_signal() })?;
    let stopping = Arc::clone(&stop);
    runtime.spawn(async move {
        if signal.wait_for(|stop| *stop).await.is_ok() {
            stopping.store(true, Ordering::Relaxed);
        }
    });
    let scratch = tempfile::Builder::new()
        .prefix("gristmill-train-")
        .tempdir_in(&args.scratch)
        .with_context(|| format!("cannot use the scratch folder {}", args.scratch.display()))
        .map_err(Failure::Request)?;
    let work = Work { args, stores: &stores, handle, scratch: scratch.path(), stop: &stop };
    let card = work.train()?;
    if let Err(error) = work.publish(&card, &output) {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Job(error));
        }
        // It may have taken days.
        let model = scratch.keep().join(MODEL);
        let kept = format!("cannot write {output}; the trained model lies in {}", model.display());
        return Err(Failure::Job(error.context(kept)));
    }
    report(&card, args).map_err(Failure::job)
}

impl Args {
    fn output(&self) -> Result<Uri, Failure> {
        let request = |why: String| Err(Failure::Request(anyhow!(why)));
        if self.positive_label == self.negative_label {
            return request(format!("both labels are {:?}; give two names", self.positive_label));
        }
        if !(self.held_out > 0.0 && self.held_out < 1.0) {
            return request(format!("--held-out is a share between 0 and 1, not {}", self.held_out));
        }
        let output = parse_uri(&self.output)?;
        if !matches!(output, Uri::File(_) | Uri::S3 { .. } | Uri::Memory { .. }) {
            return request(format!(
                "{output}: a model cannot be written there; give a path or an s3:// address"
            ));
        }
        if output.file_name().strip_suffix(".bin").is_none_or(str::is_empty) {
            return request(format!("{output}: the name of a model ends in .bin"));
        }
        Ok(output)
    }

    fn settings(&self) -> Settings {
        Settings {
            dim: self.dim,
            word_ngrams: self.word_ngrams,
            minn: self.minn,
            maxn: self.maxn,
            bucket: self.bucket,
            min_count: self.min_count,
            lr: self.lr,
            epoch: self.epoch,
            loss: TrainingLoss::Softmax,
            seed: self.seed,
            threads: self.threads,
        }
    }

    /// Positives and negatives.
    fn classes(&self) -> [Class<'_>; 2] {
        let class =
            |label, inputs, fields| Class { label, inputs, fields, size: self.examples, seed: self.seed };
        [
            class(&self.positive_label, &self.positive, &self.positive_field),
            class(&self.negative_label, &self.negative, &self.negative_field),
        ]
    }
}

fn refuse_present(stores: &Stores, handle: &Handle, output: &Uri) -> Outcome {
    let (store, key) = stores.open(output).map_err(Failure::request)?;
    match handle.block_on(store.stat(&key)) {
        Ok(_) => Err(Failure::Request(anyhow!("{output} is there already; --overwrite replaces it"))),
        Err(error) if error.kind() == Kind::NotFound => Ok(()),
        Err(error) => Err(Failure::request(error)),
    }
}

/// The name of the model within the scratch folder.
const MODEL: &str = "model.bin";
const PREPROCESS: &str = "quality";

struct Work<'a> {
    args: &'a Args,
    stores: &'a Stores,
    handle: &'a Handle,
    scratch: &'a Path,
    stop: &'a Arc<AtomicBool>,
}

impl Work<'_> {
    fn train(&self) -> Result<ModelCard, Failure> {
        let classes = self.args.classes();
        let settings = self.args.settings();
        settings.check().map_err(Failure::request)?;
        classes.iter().try_for_each(|class| train::check_label(class.label)).map_err(Failure::request)?;
        let listings =
            classes.iter().map(|class| inputs::list(self, class.inputs)).collect::<Result<Vec<_>, _>>()?;
        let mut drawn = (0..)
            .zip(classes.iter().zip(&listings))
            .map(|(number, (class, listing))| examples::draw(self, number, class, listing))
            .collect::<Result<Vec<_>, _>>()?;
        if let [positives, negatives] = &mut drawn[..] {
            positives.part(negatives);
        }
        drawn.iter().try_for_each(Drawn::check)?;
        if !self.args.quiet {
            drawn.iter().for_each(Drawn::tell);
        }
        let [training, held_out] = self.write(&drawn).map_err(Failure::Job)?;

        let model = self.scratch.join(MODEL);
        let progress = Progress::start(self.args.quiet, {
            let (words, bytes) = (training.words, training.bytes);
            move |_| format!("learning from {words} words in {bytes} bytes")
        });
        let trained = train::train(&self.scratch.join("training"), &training, &settings, &model, self.stop);
        drop(progress);
        let loss = trained.map_err(Failure::job)?;
        let (model, evaluation) = self.test(&drawn).map_err(Failure::Job)?;
        Ok(ModelCard {
            version: gristmill_job::VERSION.to_owned(),
            positive: self.args.positive_label.clone(),
            sources: drawn.into_iter().map(|drawn| drawn.source).collect(),
            sample_seed: self.args.seed.into(),
            preprocess: PREPROCESS.to_owned(),
            training,
            held_out,
            settings,
            loss,
            model,
            evaluation,
        })
    }

    /// Writes the examples in their random order: those to learn from, and of each label the first few to hold out.
    fn write(&self, drawn: &[Drawn]) -> anyhow::Result<[TextSummary; 2]> {
        let mut training = TrainingText::create(&self.scratch.join("training"))?;
        let mut held_out = TrainingText::create(&self.scratch.join("held-out"))?;
        let mut left: Vec<u64> =
            drawn.iter().map(|drawn| share(drawn.source.drawn, self.args.held_out)).collect();
        let mut buffer = String::new();
        for place in sample::mix(drawn.iter().map(|drawn| drawn.sample.clone()), self.args.seed.into()) {
            let Some((drawn, left)) = drawn.get(place.class).zip(left.get_mut(place.class)) else { continue };
            drawn.read(place, &mut buffer).context("cannot read the scratch folder")?;
            let out = if *left > 0 { &mut held_out } else { &mut training };
            *left = left.saturating_sub(1);
            out.add(&drawn.source.label, &buffer)?;
        }
        Ok([training.finish()?, held_out.finish()?])
    }

    /// How the model does on the examples held out.
    fn test(&self, drawn: &[Drawn]) -> anyhow::Result<(FileSummary, Evaluation)> {
        // The resolver maps it: it need not fit beside what training took.
        let resolver = Resolver::new(self.stores.clone(), self.scratch.to_owned(), self.scratch.to_owned());
        let (_, found) = self.handle.block_on(resolver.resolve(&[Wanted::named(MODEL)]))?;
        let file = found.get(MODEL)?;
        let summary = FileSummary { bytes: (*file.bytes).as_ref().len() as u64, sha256: file.sha256.clone() };
        let model =
            Model::load(Arc::clone(&file.bytes)).context("the model that was trained cannot be loaded")?;
        let positive = drawn.first().map_or("", |positives| &positives.source.label);
        let evaluation = train::test(&model, &self.scratch.join("held-out"), positive)?;
        Ok((summary, evaluation))
    }

    /// Puts the card and, last, the model in their places.
    fn publish(&self, card: &ModelCard, output: &Uri) -> anyhow::Result<()> {
        ensure!(!self.stop.load(Ordering::Relaxed), "stopped; no model was written");
        let name = output.file_name();
        let (store, key) = self.stores.open(output)?;
        let stem = key.strip_suffix(".bin").unwrap_or(&key);
        let json = serde_json::to_string_pretty(card)? + "\n";
        for (extension, text) in [("card.json", json), ("card.md", card.to_markdown(name))] {
            self.handle.block_on(store.put(&format!("{stem}.{extension}"), text.into()))?;
        }
        let mut out = BlockingWriter::new(self.handle, store, &key);
        let mut model =
            std::fs::File::open(self.scratch.join(MODEL)).context("cannot read the model back")?;
        std::io::copy(&mut model, &mut out)?;
        out.finish()?;
        Ok(())
    }
}

/// A share of so many, but one at least and not all.
fn share(count: u64, share: f64) -> u64 {
    ((count as f64 * share).round() as u64).clamp(1, count.saturating_sub(1).max(1))
}

fn report(card: &ModelCard, args: &Args) -> std::io::Result<()> {
    let Evaluation { positives, negatives, precision, recall, accuracy, auc, threshold, .. } =
        card.evaluation;
    let mut out = std::io::stdout().lock();
    let counts = |summary: &BTreeMap<String, u64>| {
        summary.iter().map(|(label, count)| format!("{count} {label}")).collect::<Vec<_>>().join(", ")
    };
    writeln!(out, "model      {} ({} bytes, sha256 {})", args.output, card.model.bytes, card.model.sha256)?;
    writeln!(out, "trained    {}; mean loss {:.4}", counts(&card.training.examples), card.loss)?;
    writeln!(out, "held out   {positives} positives, {negatives} negatives")?;
    writeln!(out, "AUC        {auc:.4}")?;
    writeln!(out, "at {threshold:<7} precision {precision:.4}, recall {recall:.4}, accuracy {accuracy:.4}")?;
    let stem = args.output.strip_suffix(".bin").unwrap_or(&args.output);
    writeln!(out, "more       {stem}.card.md")
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_part_is_held_out_and_a_part_is_not() {
        for (count, part, expected) in
            [(2, 0.1, 1), (2, 0.9, 1), (10, 0.1, 1), (10, 0.25, 3), (200_000, 0.1, 20_000)]
        {
            assert_eq!(share(count, part), expected, "{part} of {count}");
        }
    }
}
