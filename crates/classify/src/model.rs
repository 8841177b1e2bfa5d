//! A model: loaded once, shared by all threads.
//!
//! File: magic, version; header; [`dictionary`](crate::dictionary); a byte that says whether the input matrix is quantised, the input matrix;
//! a byte that says so of the output matrix, the output matrix (fastText's `src/fasttext.cc` and `src/args.cc`).
//! What follows behind is ignored, as in C++.

use std::sync::Arc;

use crate::dictionary::Dictionary;
use crate::features::{self, Hashing, LABEL_PREFIX, Modulus};
use crate::loss::{self, Loss, Tree};
use crate::matrix::{MAX_DECODED_BYTES, Matrix, Role};
use crate::reader::Reader;
use crate::tokens::{Token, tokens};
use crate::{Blob, ModelError};

const MAGIC: u32 = 793_712_314;
/// The newest format, in use since 2017.
const VERSION: i32 = 12;
/// The last format whose supervised models had no character n-grams, whatever their header says.
const VERSION_WITHOUT_SUBWORDS: i32 = 11;
const SUPERVISED: i32 = 3;
const HIERARCHICAL: i32 = 1;
const NEGATIVE_SAMPLING: i32 = 2;
const SOFTMAX: i32 = 3;
const ONE_VS_ALL: i32 = 4;

/// A supervised fastText model, ready to predict. It keeps the blob that it was loaded from and reads its matrices in place.
pub struct Model {
    blob: Blob,
    hashing: Hashing,
    dictionary: Dictionary,
    input: Matrix,
    output: Matrix,
    loss: Loss,
    labels: Vec<String>,
    /// Told apart from other models by its address, which stays taken as long as a scratch knows it.
    identity: Arc<()>,
}

/// A label with its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Index into [`Model::labels`].
    pub label: u32,
    /// As fastText reports it: up to 1.00001, since it adds 1e-5 before it takes logarithms (not with a hierarchical softmax,
    /// where each decision on the way may do so).
    pub probability: f32,
}

/// The memory that predicting needs: one for each thread, and for each model if several are used in turn, since it keeps
/// frequent words (up to 2 MB, in models with character n-grams). It grows with the number of labels and, in models with
/// word n-grams, by 4 bytes a word of the longest text, and gives back what a text of more than a million words took.
#[derive(Default)]
pub struct Scratch {
    model: Option<Arc<()>>,
    features: features::Buffers,
    loss: loss::Buffers,
    hidden: Vec<f32>,
    predictions: Vec<Prediction>,
}

impl Model {
    /// Reads a `.bin` or `.ftz` file. Nothing is allocated for a size that the file does not back with bytes, but for a quantised
    /// matrix that is written out, which is bounded by [`MAX_DECODED_BYTES`](crate::MAX_DECODED_BYTES).
    pub fn load(blob: Blob) -> Result<Self, ModelError> {
        Self::load_decoding(blob, MAX_DECODED_BYTES)
    }

    /// The same with another bound for matrices that are written out.
    fn load_decoding(blob: Blob, max_decoded: u64) -> Result<Self, ModelError> {
        let shared = blob.clone();
        let bytes = (*shared).as_ref();
        let mut reader = Reader::new(bytes);
        let (hashing, dim, loss) = read_header(&mut reader)?;
        let dictionary = Dictionary::read(&mut reader)?;

        let quantised = reader.bool("the input matrix")?;
        let input = if quantised {
            Matrix::read_quantised(&mut reader, bytes, max_decoded, Role::Input, "the input matrix")?
        } else if dictionary.pruned.is_pruned() {
            // Files written by a version of 2017 that fastText itself refuses (its issue 332).
            return Err(ModelError::Unsupported("it is pruned and not quantised; fetch a newer file".into()));
        } else {
            Matrix::read_dense(&mut reader, "the input matrix")?
        };
        let buckets = if hashing.uses_buckets() { hashing.bucket.divisor } else { 0 };
        let rows = u64::from(dictionary.words) + u64::from(dictionary.pruned.rows(buckets));
        if input.rows < rows || u32::try_from(rows).is_err() || input.columns as u64 != dim {
            return Err(reader.corrupt(
                "the input matrix",
                format!(
                    "{} rows of {} where {rows} of {dim} are needed for words and n-grams",
                    input.rows, input.columns
                ),
            ));
        }

        let output_quantised = reader.bool("the output matrix")?;
        let output = if quantised && output_quantised {
            Matrix::read_quantised(&mut reader, bytes, max_decoded, Role::Output, "the output matrix")?
        } else {
            Matrix::read_dense(&mut reader, "the output matrix")?
        };
        if output.rows != dictionary.labels.len() as u64 || output.columns as u64 != dim {
            return Err(reader.corrupt(
                "the output matrix",
                format!(
                    "{} rows of {} where {} labels need {dim}",
                    output.rows,
                    output.columns,
                    dictionary.labels.len()
                ),
            ));
        }
        let loss = match loss {
            HIERARCHICAL => Loss::Hierarchical(Tree::new(&dictionary.labels, &reader)?),
            SOFTMAX => Loss::Softmax,
            _ => Loss::sigmoid(),
        };
        let labels = dictionary
            .labels
            .iter()
            .map(|label| {
                String::from_utf8_lossy(label.name.strip_prefix(LABEL_PREFIX).unwrap_or(&label.name))
                    .into_owned()
            })
            .collect();
        Ok(Self { blob, hashing, dictionary, input, output, loss, labels, identity: Arc::new(()) })
    }

    /// The labels without their prefix `__label__`; what is not UTF-8 in them is replaced by U+FFFD. See
    /// [`label_bytes`](Self::label_bytes).
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// A label exactly as the file has it, with the prefix.
    pub fn label_bytes(&self, label: u32) -> Option<&[u8]> {
        self.dictionary.labels.get(label as usize).map(|label| &*label.name)
    }

    /// The number of the label that is called so, without its prefix.
    pub fn label(&self, name: &str) -> Option<u32> {
        self.labels.iter().position(|label| label == name).map(|at| at as u32)
    }

    /// The length of the blob and what was allocated besides. A blob that is a memory map is shared with other processes and
    /// only resident where it was read.
    pub fn memory_bytes(&self) -> usize {
        let tree = if let Loss::Hierarchical(tree) = &self.loss { tree.bytes() } else { 0 };
        let labels: usize = self.labels.iter().map(|label| size_of::<String>() + label.len()).sum();
        (*self.blob).as_ref().len()
            + self.dictionary.bytes()
            + self.input.bytes()
            + self.output.bytes()
            + tree
            + labels
    }

    /// The `k` most probable labels of one line of text, best first: what fastText's Python `predict(text, k)` returns, in its order.
    ///
    /// Fewer come back if the model has fewer, if a hierarchical softmax gives the others less than 1e-5, or if the text has
    /// nothing that the model knows (then none). Python refuses a text with newlines; here they separate words and nothing else, so
    /// the whole text counts. A literal `</s>` ends the text, as it does in C++.
    pub fn predict<'s>(&self, scratch: &'s mut Scratch, text: &str, k: usize) -> &'s [Prediction] {
        self.predict_tokens(scratch, tokens(text), k)
    }

    /// The probability of one label, as [`predict`](Self::predict) would report it if all were asked for; 0 where it would not.
    pub fn probability(&self, scratch: &mut Scratch, text: &str, label: u32) -> f32 {
        self.probability_tokens(scratch, tokens(text), label)
    }

    /// The same as [`predict`](Self::predict) for a text that was taken apart before, for several models say.
    pub fn predict_tokens<'s, 't>(
        &self,
        scratch: &'s mut Scratch,
        tokens: impl IntoIterator<Item = Token<'t>>,
        k: usize,
    ) -> &'s [Prediction] {
        let blob = (*self.blob).as_ref();
        let Scratch { model, features, loss, hidden, predictions } = scratch;
        predictions.clear();
        if k == 0 {
            return predictions;
        }
        if model.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &self.identity)) {
            features.forget();
            *model = Some(self.identity.clone());
        }
        hidden.clear();
        hidden.resize(self.input.columns, 0.0);
        let entries = self.dictionary.entries(blob);
        let adder = self.input.adder(blob);
        let count =
            features::rows(&self.hashing, &self.dictionary, entries, tokens, features, &adder, hidden);
        if count == 0 {
            return predictions;
        }
        let share = (1.0 / count as f64) as f32;
        for sum in &mut *hidden {
            *sum *= share;
        }
        self.loss.predict(&self.output, blob, hidden, k, loss);
        predictions.extend(
            loss.best.iter().map(|best| Prediction { label: best.label, probability: best.score.exp() }),
        );
        predictions
    }

    /// The same as [`probability`](Self::probability) for a text that was taken apart before.
    pub fn probability_tokens<'t>(
        &self,
        scratch: &mut Scratch,
        tokens: impl IntoIterator<Item = Token<'t>>,
        label: u32,
    ) -> f32 {
        let all = self.predict_tokens(scratch, tokens, self.labels.len());
        all.iter().find(|best| best.label == label).map_or(0.0, |best| best.probability)
    }
}

/// How n-grams are hashed, the number of columns, and which loss.
fn read_header(reader: &mut Reader<'_>) -> Result<(Hashing, u64, i32), ModelError> {
    const SECTION: &str = "the header";
    let magic = reader.i32(SECTION)? as u32;
    if magic != MAGIC {
        return Err(ModelError::NotFastText { found: magic });
    }
    let version = reader.i32(SECTION)?;
    if version > VERSION {
        return Err(ModelError::Unsupported(format!("its format is {version}, newer than {VERSION}")));
    }
    let dim = reader.count32(SECTION, "dim")?;
    for _ in ["ws", "epoch", "minCount", "neg"] {
        reader.i32(SECTION)?;
    }
    let word_ngrams = reader.count32(SECTION, "wordNgrams")?;
    let loss = reader.i32(SECTION)?;
    let kind = reader.i32(SECTION)?;
    let bucket = reader.count32(SECTION, "bucket")?;
    let minn = reader.count32(SECTION, "minn")?;
    let mut maxn = reader.count32(SECTION, "maxn")?;
    reader.i32(SECTION)?; // lrUpdateRate
    reader.i64(SECTION)?; // t, a double
    if kind != SUPERVISED {
        return Err(ModelError::Unsupported(
            "it holds word vectors (cbow or skipgram) and no classifier; train one with `supervised`".into(),
        ));
    }
    if ![HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL].contains(&loss) {
        return Err(reader.corrupt(SECTION, format!("loss number {loss}")));
    }
    if version == VERSION_WITHOUT_SUBWORDS {
        maxn = 0;
    }
    if dim == 0 {
        return Err(reader.corrupt(SECTION, "vectors of no dimension".into()));
    }
    let hashing = Hashing { minn, maxn, word_ngrams, bucket: Modulus::new(bucket) };
    hashing.check(reader)?;
    Ok((hashing, dim.into(), loss))
}

#[cfg(test)]
mod tests;
