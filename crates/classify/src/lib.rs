//! fastText classifiers: any supervised model that the C++ library writes, with its labels and probabilities, faster. And what belongs to
//! filtering by one: training your own, and the score that a share of a corpus reaches.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use gristmill_classify::{Model, Scratch};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::load(Arc::new(std::fs::read("lid.176.ftz")?))?; // or a memory map
//! let mut scratch = Scratch::default(); // one a thread
//! for best in model.predict(&mut scratch, "Where is the station?", 1) {
//!     println!("{} {}", model.labels()[best.label as usize], best.probability);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`Model`] (the file and the course of a prediction), [`tokens`](mod@tokens) (words), `features` (rows of the input matrix),
//! `matrix` and `sums` (sums and products), `loss` (probabilities), [`preprocess`] (what DCLM does before and after). Then, each by itself,
//! [`sample`] (examples from shards), [`mod@train`], [`mod@evaluate`], [`card`] (what is kept beside a model), [`quantile`] (thresholds by rank).
//!
//! Beside fastText: [`kenlm`] and [`sentencepiece`], and of both [`ccnet`] (the perplexity of a text).
//!
//! **Exactness.** Everything is done in C++'s order and precision, so that predictions do not merely come close: with the wheel
//! `fasttext-wheel` 0.9.2 they agree to the last bit or two (a libm's `exp` and `log` remain). Rules come from
//! facebookresearch/fastText (MIT), file by file as the modules say; tests hold us against the library itself (`tests/golden/lid.rs`).
//!
//! **Failure.** A model file that is cut off, damaged or of another kind is a [`ModelError`] at load. Predicting cannot fail; a model whose
//! weights are not numbers predicts nothing (C++ throws).

mod cache;
pub mod card;
pub mod ccnet;
mod dictionary;
mod error;
pub mod evaluate;
mod features;
mod heap;
pub mod kenlm;
pub mod langdetect;
mod loss;
mod matrix;
mod model;
mod prefetch;
pub mod preprocess;
pub mod quantile;
mod reader;
pub mod sample;
pub mod sentencepiece;
mod sums;
pub mod tokens;
pub mod train;

use std::sync::Arc;

pub use error::ModelError;
pub use matrix::MAX_DECODED_BYTES;
pub use model::{Model, Prediction, Scratch};
pub use preprocess::hq_probability;

/// The bytes of a model file: a vector, or a memory map that all lanes and processes share.
pub type Blob = Arc<dyn AsRef<[u8]> + Send + Sync>;
