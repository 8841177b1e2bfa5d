//! langdetect: Nakatani Shuyo's language identifier of 55 languages, as the Python package `langdetect` 1.0.9 ports it.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use gristmill_classify::langdetect::{Detector, Profiles};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let profiles = Arc::new(Profiles::load(&std::fs::read("langdetect-1.0.9.tar.gz")?)?);
//! let mut detector = Detector::new(Arc::clone(&profiles), 0); // one a thread
//! for guess in detector.detect("Wo ist der Bahnhof?").unwrap_or_default() {
//!     println!("{} {}", profiles.languages()[guess.language], guess.probability);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A text is cut into n-grams of one to three characters. A trial starts from equal chances, draws n-grams at random, and multiplies each
//! language's chance by how often that language has the n-gram, until one language has nearly all or a thousand are drawn. What is told is the
//! mean of seven trials. The numbers drawn are those of Python's generator, and every trial is computed in Python's order and precision, so
//! that the same seed gives the same probabilities.
//!
//! Reading order: [`Profiles`] (the archive of PyPI: counts of n-grams, tables of characters), `text` (what of a text counts), `random`
//! (Python's), [`Detector`] (the trials).
//!
//! **Exactness.** The rules are those of Mimino666/langdetect 1.0.9 (Apache-2.0), file by file, its slips included; `tests/golden/langdetect.rs`
//! holds us against it. Two things differ. Profiles are taken in the order of their names: langdetect takes them as the file system lists
//! them, and the last places of its sums vary with that. Letters that Unicode has had since 15.0 are known as capitals here.
//!
//! **Failure.** An archive that is another or damaged is a [`LangdetectError`]. A text without any known n-gram has no language: langdetect raises.

mod archive;
mod profiles;
mod random;
mod text;

use random::Random;
use std::sync::Arc;

pub use profiles::Profiles;

const TRIALS: u32 = 7;
/// Draws of a trial.
const MAX_DRAWS: u32 = 1000;
/// A language that has so much of the chances ends a trial.
const SURE: f64 = 0.99999;
/// Languages with more than this are told.
const LEAST_TOLD: f64 = 0.1;
/// Added to every language's share of an n-gram, that none is nothing: about ALPHA, varied from trial to trial, over a base.
const ALPHA: f64 = 0.5;
const ALPHA_WIDTH: f64 = 0.05;
const BASE: f64 = 10_000.0;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LangdetectError {
    #[error("not the archive langdetect-1.0.9.tar.gz of PyPI: {0}")]
    Archive(String),
    #[error("the archive of langdetect is damaged: {file}: {problem}; fetch it again")]
    Damaged { file: String, problem: String },
}

/// A language of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// Its place among [`Profiles::languages`].
    pub language: usize,
    pub probability: f64,
}

/// Tells languages. Keeps buffers: one a thread.
pub struct Detector {
    profiles: Arc<Profiles>,
    /// As the seed leaves it: every text starts from here.
    seeded: Random,
    buffers: [String; 2],
    chars: Vec<char>,
    grams: Vec<u32>,
    chances: Vec<f64>,
    factors: Vec<f64>,
    means: Vec<f64>,
    guesses: Vec<Guess>,
}

impl Detector {
    #[must_use]
    pub fn new(profiles: Arc<Profiles>, seed: i64) -> Self {
        let none = vec![0.0; profiles.languages.len()];
        Self {
            profiles,
            seeded: Random::new(seed),
            buffers: Default::default(),
            chars: Vec::new(),
            grams: Vec::new(),
            chances: none.clone(),
            factors: none.clone(),
            means: none,
            guesses: Vec::new(),
        }
    }

    /// The likely languages of a text, the likeliest first; there may be none. Nothing if the text has no known n-gram: a text of digits, or in
    /// a script of no language known.
    pub fn detect(&mut self, text: &str) -> Option<&[Guess]> {
        text::clean(text, &self.profiles.tables, &mut self.buffers, &mut self.chars);
        text::grams(&self.chars, &self.profiles, &mut self.grams);
        if self.grams.is_empty() {
            return None;
        }
        let mut random = self.seeded.clone();
        self.means.fill(0.0);
        for _ in 0..TRIALS {
            self.run_trial(&mut random);
            for (mean, chance) in self.means.iter_mut().zip(&self.chances) {
                *mean += chance / f64::from(TRIALS);
            }
        }
        self.guesses.clear();
        let guesses = self
            .means
            .iter()
            .enumerate()
            .map(|(language, probability)| Guess { language, probability: *probability });
        self.guesses.extend(guesses.filter(|guess| guess.probability > LEAST_TOLD));
        self.guesses.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        Some(&self.guesses)
    }

    fn run_trial(&mut self, random: &mut Random) {
        let equal = 1.0 / self.chances.len() as f64;
        self.chances.fill(equal);
        let alpha = ALPHA + random.gauss() * ALPHA_WIDTH;
        for drawn in 0..=MAX_DRAWS {
            let gram =
                self.grams.get(random.below(self.grams.len() as u32) as usize).copied().unwrap_or_default();
            self.weigh(gram, alpha / BASE);
            if drawn % 5 == 0 && self.level() > SURE {
                return;
            }
        }
    }

    /// Multiplies each language's chance by its share of an n-gram.
    fn weigh(&mut self, gram: u32, least: f64) {
        self.factors.fill(least);
        for (language, share) in self.profiles.shares(gram) {
            if let Some(factor) = self.factors.get_mut(usize::from(*language)) {
                *factor += share;
            }
        }
        for (chance, factor) in self.chances.iter_mut().zip(&self.factors) {
            *chance *= factor;
        }
    }

    /// Makes the chances sum to 1; returns the best.
    fn level(&mut self) -> f64 {
        let sum = self.chances.iter().fold(0.0, |sum, chance| sum + chance);
        let mut best: f64 = 0.0;
        for chance in &mut self.chances {
            *chance /= sum;
            best = best.max(*chance);
        }
        best
    }
}

#[cfg(test)]
mod tests;
