//! Training a classifier: examples in, a `.bin` file out that stock fastText loads.
//!
//! **Protocol.** [`TrainingText`] takes examples, one after the other in an order that should be random (see [`crate::sample::mix`]), and writes them
//! to a file in fastText's format; [`train`] reads that file once for the dictionary and once an epoch, and writes the model.
//! The trainer is the `fasttext` crate, which follows the C++ library step by step.
//!
//! An example's words are those that predicting sees ([`crate::tokens`](mod@crate::tokens)): a text ends at a literal `</s>`, and what looks like a label is left
//! out, since fastText would learn it as one.
//!
//! **Reproducibility.** With one thread the same text, settings and seed give the same file, bit by bit, on processors of the same kind
//! (sums are vectorised as the processor allows). With more, threads write the same weights without locks, as in C++: faster,
//! as good, and never twice the same.
//!
//! **Memory.** `(words + bucket) × dim × 4` bytes, 0.8 GB for the buckets that are the default, and the dictionary. Buckets that the
//! system has no memory for are refused before anything is read; what words take is known only when they are counted.
//!
//! **Failure.** A label that fastText could not read back, a setting out of range, no examples, less than two labels, a full disk: a
//! [`TrainError`]. A stop that was asked for is one too; no model is written then.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fasttext::FastText;
use fasttext::args::{Args, LossName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::evaluate::{Evaluation, Scored, evaluate};
use crate::features::LABEL_PREFIX;
use crate::tokens::{EOS, tokens};
use crate::{Model, Scratch};

/// How to train. The defaults are DCLM's: fastText's own for supervised models, and word bigrams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Columns of the matrices.
    pub dim: u32,
    /// Words of the longest n-gram of words.
    pub word_ngrams: u32,
    /// Characters of the shortest n-gram of characters.
    pub minn: u32,
    /// Characters of the longest; 0 for none.
    pub maxn: u32,
    /// Rows for n-grams.
    pub bucket: u32,
    /// Words seen less often are left out.
    pub min_count: u32,
    /// The learning rate at the start; it falls to 0.
    pub lr: f64,
    /// How often each example is learned from.
    pub epoch: u32,
    /// What is learned.
    pub loss: TrainingLoss,
    /// Where chance starts.
    pub seed: u32,
    /// See the module about more than one.
    pub threads: u32,
}

/// What is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingLoss {
    /// One distribution over all labels.
    Softmax,
    /// A tree of decisions, for very many labels.
    Hierarchical,
    /// Each label by itself.
    OneVsAll,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dim: 100,
            word_ngrams: 2,
            minn: 0,
            maxn: 0,
            bucket: 2_000_000,
            min_count: 1,
            lr: 0.1,
            epoch: 5,
            loss: TrainingLoss::Softmax,
            seed: 0,
            threads: 1,
        }
    }
}

/// Why no model came out.
#[derive(Debug, Error)]
pub enum TrainError {
    /// fastText separates labels and words by blanks.
    #[error("{0:?} cannot be a label: give a name without blanks and NUL bytes")]
    Label(String),
    /// It would stand there twice, and nobody would find the label by its name.
    #[error("{0:?} cannot be a label: give a name without __label__, which is put before it")]
    Prefixed(String),
    /// A setting is out of its range.
    #[error("{name} is {value}: give a number from {least} to {most}")]
    Setting {
        /// Which.
        name: &'static str,
        /// As given.
        value: u32,
        /// The range.
        least: u32,
        /// The range.
        most: u32,
    },
    /// The learning rate is out of its range, or no number.
    #[error("lr is {0}: give a number above 0 and up to 10")]
    Rate(f64),
    /// No n-gram of characters is as long as that.
    #[error(
        "minn is {minn} and maxn {maxn}: give a maxn that is not less, or 0 for no n-grams of characters"
    )]
    Subwords {
        /// As given.
        minn: u32,
        /// As given.
        maxn: u32,
    },
    /// The system does not have what the model takes.
    #[error(
        "a model of {bucket} buckets and {dim} columns takes {bytes} bytes of memory, and the system does not give as much: lower bucket or dim"
    )]
    Memory {
        /// As given.
        bucket: u32,
        /// As given.
        dim: u32,
        /// Of the buckets alone.
        bytes: u64,
    },
    /// There is nothing to tell apart.
    #[error("a classifier needs examples of two labels or more, and there are {0}: add inputs")]
    Labels(usize),
    /// The training text or the model could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The label that scores are wanted for is unknown to the model.
    #[error("the model has no label {0:?}: name one of its labels")]
    UnknownLabel(String),
    /// The trainer gave up.
    #[error("fastText could not train: {0}")]
    Trainer(#[from] fasttext::error::FastTextError),
    /// The system gives no threads.
    #[error("training needs threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A stop was asked for.
    #[error("training was stopped; no model was written")]
    Stopped,
}

/// What a set of examples holds, and a hash to know it by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSummary {
    /// Examples of each label.
    pub examples: BTreeMap<String, u64>,
    /// Words, ends of lines not counted.
    pub words: u64,
    /// Bytes in fastText's format.
    pub bytes: u64,
    /// SHA-256 of these bytes, in hexadecimal digits.
    pub sha256: String,
}

/// A file of examples in the making.
pub struct TrainingText {
    path: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    line: Vec<u8>,
    examples: BTreeMap<String, u64>,
    words: u64,
    bytes: u64,
}

impl TrainingText {
    /// Starts the file; what was there is lost.
    pub fn create(path: &Path) -> Result<Self, TrainError> {
        let file = File::create(path).map_err(|source| TrainError::Io { path: path.into(), source })?;
        Ok(Self {
            path: path.into(),
            out: BufWriter::new(file),
            hash: Sha256::new(),
            line: Vec::new(),
            examples: BTreeMap::new(),
            words: 0,
            bytes: 0,
        })
    }

    /// Adds an example. `label` has no prefix; `text` has been prepared as it will be for predicting. A text without a word is an example too.
    pub fn add(&mut self, label: &str, text: &str) -> Result<(), TrainError> {
        check_label(label)?;
        self.line.clear();
        self.line.extend_from_slice(LABEL_PREFIX);
        self.line.extend_from_slice(label.as_bytes());
        self.words += push_words(text, &mut self.line);
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.bytes += self.line.len() as u64;
        match self.examples.get_mut(label) {
            Some(count) => *count += 1,
            None => {
                self.examples.insert(label.into(), 1);
            }
        }
        self.out.write_all(&self.line).map_err(|source| TrainError::Io { path: self.path.clone(), source })
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<TextSummary, TrainError> {
        self.out.flush().map_err(|source| TrainError::Io { path: self.path, source })?;
        Ok(TextSummary {
            examples: self.examples,
            words: self.words,
            bytes: self.bytes,
            sha256: hex::encode(self.hash.finalize()),
        })
    }
}

/// Puts the words of a text that are learned from behind what stands in `line`, a blank before each that is not the first, and says how
/// many they are. Texts of which this makes the same are one example.
pub fn push_words(text: &str, line: &mut Vec<u8>) -> u64 {
    let mut count = 0;
    for token in tokens(text) {
        if !token.is_eos() && !token.bytes.starts_with(LABEL_PREFIX) {
            if !line.is_empty() {
                line.push(b' ');
            }
            line.extend_from_slice(token.bytes);
            count += 1;
        }
    }
    count
}

/// Refuses a label that is not one word to fastText, or has its prefix already.
pub fn check_label(label: &str) -> Result<(), TrainError> {
    if label.as_bytes().starts_with(LABEL_PREFIX) {
        return Err(TrainError::Prefixed(label.into()));
    }
    let mut words = tokens(label).map(|token| token.bytes);
    let is_one_word = words.next() == Some(label.as_bytes()) && words.next() == Some(EOS);
    if is_one_word { Ok(()) } else { Err(TrainError::Label(label.into())) }
}

/// Trains with the examples in the file `text`, which `summary` describes, and writes the model to the file `model`. Returns the mean loss.
/// When `stop` becomes true, it ends soon.
pub fn train(
    text: &Path,
    summary: &TextSummary,
    settings: &Settings,
    model: &Path,
    stop: &Arc<AtomicBool>,
) -> Result<f64, TrainError> {
    if summary.examples.len() < 2 {
        return Err(TrainError::Labels(summary.examples.len()));
    }
    let arguments = settings.arguments(text)?;
    settings.check_memory(&arguments)?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(settings.threads as usize).build()?;
    let trained = threads.install(|| FastText::train_with_abort(arguments, stop.clone()))?;
    if stop.load(Ordering::Relaxed) {
        return Err(TrainError::Stopped);
    }
    let failed = |source| TrainError::Io { path: model.into(), source };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(model).map_err(failed)?);
    trained.save(&mut out)?;
    out.flush().map_err(failed)?;
    Ok(trained.last_train_loss())
}

/// Predicts the examples in the file `text`, which [`TrainingText`] wrote and training did not see, and compares: an example of the label
/// `positive` is a positive, and that label's probability is the score.
pub fn test(model: &Model, text: &Path, positive: &str) -> Result<Evaluation, TrainError> {
    let label = model.label(positive).ok_or_else(|| TrainError::UnknownLabel(positive.into()))?;
    let failed = |source| TrainError::Io { path: text.into(), source };
    let mut scratch = Scratch::default();
    let mut scored = Vec::new();
    for line in BufReader::new(File::open(text).map_err(failed)?).lines() {
        let line = line.map_err(failed)?;
        let (first, words) = line.split_once(' ').unwrap_or((&line, ""));
        let score = f64::from(model.probability(&mut scratch, words, label));
        let is_positive = first.as_bytes().strip_prefix(LABEL_PREFIX) == Some(positive.as_bytes());
        scored.push(Scored { score, is_positive });
    }
    Ok(evaluate(scored, 0.5))
}

impl Settings {
    /// Refuses what is out of its range or too large for the system, as [`train`] does.
    pub fn check(&self) -> Result<(), TrainError> {
        self.check_memory(&self.arguments(Path::new(""))?)
    }

    /// The trainer takes its memory without asking, and the process ends where there is none. Asking costs nothing.
    fn check_memory(&self, arguments: &Args) -> Result<(), TrainError> {
        let Self { bucket, dim, .. } = *self;
        let numbers = u64::from(arguments.bucket.unsigned_abs()) * u64::from(dim);
        let given = usize::try_from(numbers).is_ok_and(|n| Vec::<f32>::new().try_reserve_exact(n).is_ok());
        let bytes = numbers * size_of::<f32>() as u64;
        if given { Ok(()) } else { Err(TrainError::Memory { bucket, dim, bytes }) }
    }

    /// As the trainer wants them.
    fn arguments(&self, text: &Path) -> Result<Args, TrainError> {
        let within = |name, value: u32, least: u32, most: u32| {
            let number = i32::try_from(value).ok().filter(|_| (least..=most).contains(&value));
            number.ok_or(TrainError::Setting { name, value, least, most })
        };
        if !(self.lr > 0.0 && self.lr <= 10.0) {
            return Err(TrainError::Rate(self.lr));
        }
        if self.maxn > 0 && self.minn > self.maxn {
            return Err(TrainError::Subwords { minn: self.minn, maxn: self.maxn });
        }
        let mut arguments = Args::default();
        arguments.apply_supervised_defaults();
        // Without n-grams there is nothing that a bucket could hold.
        let has_ngrams = self.word_ngrams > 1 || self.maxn > 0;
        let bucket = if has_ngrams { within("bucket", self.bucket, 1, 1 << 28)? } else { 0 };
        Ok(Args {
            input: text.into(),
            dim: within("dim", self.dim, 1, 1 << 12)?,
            word_ngrams: within("word_ngrams", self.word_ngrams, 1, 16)?,
            minn: within("minn", self.minn, 0, 16)?,
            maxn: within("maxn", self.maxn, 0, 16)?,
            bucket,
            min_count: within("min_count", self.min_count, 1, i32::MAX as u32)?,
            lr: self.lr,
            epoch: within("epoch", self.epoch, 1, 1000)?,
            loss: match self.loss {
                TrainingLoss::Softmax => LossName::Softmax,
                TrainingLoss::Hierarchical => LossName::HierarchicalSoftmax,
                TrainingLoss::OneVsAll => LossName::OneVsAll,
            },
            seed: within("seed", self.seed, 0, i32::MAX as u32)?,
            thread: within("threads", self.threads, 1, 1024)?,
            verbose: 0,
            ..arguments
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Lines that lean towards their label, and some that do not.
    fn examples(count: u32, from: u32) -> impl Iterator<Item = (&'static str, String)> {
        (from..from + count).map(|at| {
            let label = ["hq", "cc"][at as usize % 2];
            let word = |place: u32| {
                let own = if at % 2 == 0 { "proof" } else { "shop" };
                let number = at.wrapping_mul(2_654_435_761).rotate_left(place * 7) % 50;
                if (at / 2 + place).is_multiple_of(3) {
                    format!("{own}{} ", number % 9)
                } else {
                    format!("word{number} ")
                }
            };
            (label, (0..12).map(word).collect())
        })
    }

    fn write(path: &Path, examples: impl Iterator<Item = (&'static str, String)>) -> TextSummary {
        let mut text = TrainingText::create(path).unwrap();
        for (label, words) in examples {
            text.add(label, &words).unwrap();
        }
        text.finish().unwrap()
    }

    fn small() -> Settings {
        Settings { dim: 8, bucket: 500, epoch: 8, lr: 0.5, ..Settings::default() }
    }

    #[test]
    fn a_trained_model_tells_labels_apart_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let summary = write(&at("text"), examples(300, 0));
        write(&at("held-out"), examples(100, 300));
        let go = Arc::new(AtomicBool::new(false));
        for loss in [TrainingLoss::Softmax, TrainingLoss::Hierarchical, TrainingLoss::OneVsAll] {
            let settings = Settings { loss, ..small() };
            for name in ["first", "second"] {
                train(&at("text"), &summary, &settings, &at(name), &go).unwrap();
            }
            let bytes = fs::read(at("first")).unwrap();
            assert!(bytes == fs::read(at("second")).unwrap(), "{loss:?} differs from run to run");
            train(&at("text"), &summary, &Settings { seed: 1, ..settings }, &at("second"), &go).unwrap();
            assert!(bytes != fs::read(at("second")).unwrap(), "{loss:?} does not depend on the seed");
            let model = Model::load(Arc::new(bytes)).unwrap();
            let tested = test(&model, &at("held-out"), "hq").unwrap();
            assert_eq!((tested.positives, tested.negatives), (50, 50));
            assert!(tested.auc > 0.95, "{loss:?}: {tested:?}");
            assert!(matches!(test(&model, &at("held-out"), "none"), Err(TrainError::UnknownLabel(_))));
        }
    }

    #[test]
    fn examples_are_written_as_predicting_sees_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let mut text = TrainingText::create(&path).unwrap();
        for (label, example) in
            [("hq", "a\tb\n\0c\u{a0}d"), ("cc", "a __label__hq b </s> c"), ("hq", ""), ("日本", "x</s>")]
        {
            text.add(label, example).unwrap();
        }
        for label in ["", "a b", "a\n", "</s>"] {
            assert!(matches!(text.add(label, "x"), Err(TrainError::Label(_))), "{label:?}");
        }
        let summary = text.finish().unwrap();
        let expected = "__label__hq a b c\u{a0}d\n__label__cc a b\n__label__hq\n__label__日本 x</s>\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(summary.words, 6);
        assert_eq!(summary.bytes, expected.len() as u64);
        assert_eq!(summary.sha256, hex::encode(Sha256::digest(expected)));
        assert_eq!(
            summary.examples,
            [("cc", 1), ("hq", 2), ("日本", 1)].map(|(label, count)| (label.to_owned(), count)).into()
        );
    }

    #[test]
    fn texts_of_the_same_words_are_one_example() {
        for text in ["a b", " a\n\nb", "a\tb </s> c", "__label__hq a __label__cc b", "\0a\x0bb\0"] {
            let mut line = Vec::new();
            assert_eq!(push_words(text, &mut line), 2, "{text:?}");
            assert_eq!(line, b"a b", "{text:?}");
        }
        let mut line = Vec::new();
        assert_eq!((push_words(" \n__label__hq", &mut line), line.len()), (0, 0));
    }

    #[test]
    fn what_cannot_be_trained_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (text, model) = (folder.path().join("text"), folder.path().join("model"));
        let summary = write(&text, examples(10, 0));
        let check = |settings: Settings, stop: bool, message: &str| {
            let stop = Arc::new(AtomicBool::new(stop));
            let error = train(&text, &summary, &settings, &model, &stop).unwrap_err().to_string();
            assert_eq!(error, message);
            assert!(!model.exists());
        };
        check(Settings { dim: 0, ..small() }, false, "dim is 0: give a number from 1 to 4096");
        for (lr, told) in [(f64::NAN, "NaN"), (0.0, "0"), (-1.0, "-1"), (10.5, "10.5")] {
            let message = format!("lr is {told}: give a number above 0 and up to 10");
            check(Settings { lr, ..small() }, false, &message);
        }
        check(
            Settings { minn: 5, maxn: 2, ..small() },
            false,
            "minn is 5 and maxn 2: give a maxn that is not less, or 0 for no n-grams of characters",
        );
        assert!(Settings { minn: 5, maxn: 0, ..small() }.check().is_ok(), "no n-grams of characters");
        check(Settings { bucket: 0, ..small() }, false, "bucket is 0: give a number from 1 to 268435456");
        let seed = "seed is 4294967295: give a number from 0 to 2147483647";
        check(Settings { seed: u32::MAX, ..small() }, false, seed);
        check(small(), true, "training was stopped; no model was written");
        // A system that is told to promise any memory promises this, too.
        if !fs::read("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| mode.starts_with(b"1")) {
            check(
                Settings { bucket: 1 << 28, dim: 1 << 12, ..small() },
                false,
                "a model of 268435456 buckets and 4096 columns takes 4398046511104 bytes of memory, and the system does not \
                 give as much: lower bucket or dim",
            );
        }
        assert!(matches!(check_label("__label__hq"), Err(TrainError::Prefixed(_))));
        let one = write(&text, examples(1, 0));
        let stop = Arc::new(AtomicBool::new(false));
        assert!(matches!(train(&text, &one, &small(), &model, &stop), Err(TrainError::Labels(1))));
    }

    #[test]
    fn the_defaults_are_those_of_dclm() {
        let settings: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, Settings::default());
        let json = serde_json::to_string(&settings).unwrap();
        assert!(json.starts_with(r#"{"dim":100,"word_ngrams":2,"minn":0,"maxn":0,"bucket":2000000,"min_count":1,"lr":0.1,"epoch":5,"loss":"softmax""#));
        assert!(serde_json::from_str::<Settings>(r#"{"dimension":1}"#).is_err());
    }
}
