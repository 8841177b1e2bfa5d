//! N-gram language models in KenLM's formats: the logarithm, to base 10, of how likely a model takes a sentence to be.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use gristmill_classify::kenlm::Model;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::load(Arc::new(std::fs::read("en.arpa.bin")?))?; // or a memory map
//! println!("{}", model.score("▁Where ▁is ▁the ▁station ?"));
//! # Ok(())
//! # }
//! ```
//!
//! A model is an ARPA text (as it is or packed by gzip), or what KenLM's `build_binary` makes of one: `probing` (its default, and the kind
//! that CCNet published), `rest_probing`, and `trie` with quantised values (`-q`, `-b`), compressed pointers (`-a`), both or neither. Binary
//! files are used as they lie; nothing of them is copied. An ARPA text becomes in memory the very bytes that `build_binary probing` writes.
//!
//! Reading order: here the course of a score; `binary` (the header of a file), `vocabulary` (words to numbers), `hashed` and `trie` (where the
//! n-grams are), `arpa` (making a model of a text), `bytes` and `murmur` (how they are read and hashed). Formats and rules are facts of
//! kpu/kenlm (LGPL), file by file as the modules say. Sums are done in its order and precision, so that scores agree to the last bit; tests
//! hold us against the library itself (`tests/golden/kenlm.rs`).
//!
//! **Failure.** A file that is cut off, damaged or of another kind is a [`LoadError`], as far as that shows without reading all of it: a file of
//! gigabytes is not read through. A damaged n-gram gives a wrong score, never a panic and never more work than its table is long.

mod arpa;
mod binary;
mod bytes;
mod hashed;
mod murmur;
#[cfg(test)]
mod tests;
mod trie;
mod vocabulary;

use std::sync::Arc;

use crate::Blob;
use binary::{Header, Kind};
use hashed::Hashed;
use trie::Trie;
use vocabulary::Vocabulary;

/// The longest n-grams that a model may have.
pub const MAX_ORDER: usize = 16;

/// A language model.
pub struct Model {
    file: Blob,
    order: usize,
    vocabulary: Vocabulary,
    ngrams: Ngrams,
    begin_sentence: u32,
    end_sentence: u32,
}

enum Ngrams {
    Hashed(Hashed),
    Trie(Trie),
}

/// What a model remembers of the words before the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// The last word first.
    words: [u32; MAX_ORDER - 1],
    /// What each further word of the context costs where no n-gram reaches that far.
    backoffs: [f32; MAX_ORDER - 1],
    length: usize,
}

/// Why a language model cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LoadError {
    /// Neither an ARPA text nor a binary of KenLM.
    #[error("not a language model: {0}; give an ARPA file or what KenLM's build_binary makes of one")]
    Unknown(String),
    /// Sound as far as it was read, but not for this library.
    #[error("this language model cannot be used: {0}")]
    Unsupported(String),
    /// A binary whose parts contradict each other.
    #[error("the language model is cut off or damaged: {0}; fetch it again")]
    Damaged(String),
    /// A line of an ARPA text.
    #[error("line {line} of the ARPA file: {problem}")]
    Arpa {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a table says of an n-gram.
#[derive(Clone, Copy, Debug)]
struct Gram {
    prob: f32,
    backoff: f32,
    /// No longer n-gram ends in this one, so that looking for one is in vain.
    longest_match: bool,
}

/// Where n-grams are looked up: from the last word towards the first, each step one word further back.
trait Search {
    /// The place of an n-gram, from which those that are one word longer are found.
    type Node;

    fn unigram(&self, file: &[u8], word: u32) -> (Gram, Self::Node);
    /// An n-gram that is neither a single word nor of the model's full length; `middle` 0 is for two words.
    fn middle(&self, file: &[u8], middle: usize, context: u32, node: &mut Self::Node) -> Option<Gram>;
    /// The probability of an n-gram of full length.
    fn longest(&self, file: &[u8], context: u32, node: &Self::Node) -> Option<f32>;
}

impl Model {
    /// Looks over a model; a binary is then read where and when it is needed.
    pub fn load(file: Blob) -> Result<Self, LoadError> {
        let bytes = (*file).as_ref();
        match Header::read(bytes)? {
            Some(header) => {
                let laid_out = Self::lay_out(bytes, &header)?;
                Ok(Self { file, ..laid_out })
            }
            None => {
                let image = arpa::read(bytes)?;
                let header = Header::read(&image)?
                    .ok_or_else(|| LoadError::Damaged("no model was made".to_owned()))?;
                let laid_out = Self::lay_out(&image, &header)?;
                Ok(Self { file: Arc::new(image), ..laid_out })
            }
        }
    }

    /// Where in a binary its parts are. The file itself is still to be put in.
    fn lay_out(bytes: &[u8], header: &Header) -> Result<Self, LoadError> {
        let mut vocabulary_end = 0;
        let (vocabulary, ngrams, end);
        match header.kind {
            Kind::Probing { rest } => {
                vocabulary = Vocabulary::probing(bytes, header, &mut vocabulary_end)?;
                let hashed = Hashed::lay_out(header, vocabulary_end, rest)?;
                end = hashed.end();
                ngrams = Ngrams::Hashed(hashed);
            }
            Kind::Trie { quantised, compressed } => {
                vocabulary = Vocabulary::sorted(bytes, header, &mut vocabulary_end)?;
                let trie = Trie::lay_out(bytes, header, vocabulary_end, quantised, compressed)?;
                end = trie.end();
                ngrams = Ngrams::Trie(trie);
            }
        }
        if bytes.len() < end {
            let problem = format!("it has {} bytes and its header speaks of {end}", bytes.len());
            return Err(LoadError::Damaged(problem));
        }
        // The words themselves are not needed, but the first is always the same and so shows that the sizes are right.
        if header.has_words && !bytes.get(end..).is_some_and(|words| words.starts_with(b"<unk>\0")) {
            return Err(LoadError::Damaged("its words are not where they should be".to_owned()));
        }
        let begin_sentence = vocabulary.index(bytes, b"<s>");
        let end_sentence = vocabulary.index(bytes, b"</s>");
        if begin_sentence == 0 || end_sentence == 0 {
            return Err(LoadError::Damaged("<s> or </s> is not among its words".to_owned()));
        }
        let order = header.counts.len();
        Ok(Self { file: Arc::new([]), order, vocabulary, ngrams, begin_sentence, end_sentence })
    }

    /// The length of the longest n-grams.
    #[must_use]
    pub fn order(&self) -> usize {
        self.order
    }

    /// The logarithm of the probability of a sentence whose words are separated by ASCII white space, its end included: Python's
    /// `kenlm.Model.score(sentence)`.
    #[must_use]
    pub fn score(&self, sentence: &str) -> f32 {
        let mut state = self.begin_sentence();
        let mut sum = 0.0_f32;
        for word in words(sentence.as_bytes()) {
            sum += self.next_word(&mut state, word);
        }
        sum + self.end_sentence(&state)
    }

    /// The state at the start of a sentence. That in the midst of nowhere is `State::default()`.
    #[must_use]
    pub fn begin_sentence(&self) -> State {
        let file = (*self.file).as_ref();
        let mut state = State { length: 1, ..State::default() };
        state.words[0] = self.begin_sentence;
        state.backoffs[0] = match &self.ngrams {
            Ngrams::Hashed(hashed) => hashed.unigram(file, self.begin_sentence).0.backoff,
            Ngrams::Trie(trie) => trie.unigram(file, self.begin_sentence).0.backoff,
        };
        state
    }

    /// The logarithm of the probability that this word comes next; it becomes the last word of the state.
    #[must_use]
    pub fn next_word(&self, state: &mut State, word: &[u8]) -> f32 {
        let file = (*self.file).as_ref();
        let (score, next) = self.next(file, state, self.vocabulary.index(file, word));
        *state = next;
        score
    }

    /// The logarithm of the probability that the sentence ends here.
    #[must_use]
    pub fn end_sentence(&self, state: &State) -> f32 {
        self.next((*self.file).as_ref(), state, self.end_sentence).0
    }

    fn next(&self, file: &[u8], state: &State, word: u32) -> (f32, State) {
        match &self.ngrams {
            Ngrams::Hashed(hashed) => self.next_by(hashed, file, state, word),
            Ngrams::Trie(trie) => self.next_by(trie, file, state, word),
        }
    }

    /// The probability of the longest n-gram that ends in `word`, and the backoffs of the context beyond it: `FullScore` of lm/model.cc.
    fn next_by<S: Search>(&self, search: &S, file: &[u8], state: &State, word: u32) -> (f32, State) {
        let (unigram, mut node) = search.unigram(file, word);
        let mut next = State::default();
        next.words[0] = word;
        next.backoffs[0] = unigram.backoff;
        next.length = usize::from(extends(unigram.backoff));
        let Gram { mut prob, mut longest_match, .. } = unigram;
        let mut matched = 1;
        let context = state.words.get(..state.length).unwrap_or_default();
        for (middle, &before) in context.iter().enumerate() {
            if longest_match {
                break;
            }
            if middle + 2 == self.order {
                if let Some(longest) = search.longest(file, before, &node) {
                    prob = longest;
                    matched = self.order;
                }
                break;
            }
            let Some(gram) = search.middle(file, middle, before, &mut node) else { break };
            matched = middle + 2;
            Gram { prob, longest_match, .. } = gram;
            if let Some(backoff) = next.backoffs.get_mut(middle + 1) {
                *backoff = gram.backoff;
            }
            if extends(gram.backoff) {
                next.length = matched;
            }
        }
        for (to, from) in next.words.iter_mut().take(next.length).skip(1).zip(context) {
            *to = *from;
        }
        let unmatched = state.backoffs.get(matched - 1..state.length).unwrap_or_default();
        (unmatched.iter().fold(prob, |prob, backoff| prob + backoff), next)
    }
}

/// A backoff of minus zero says that the n-gram is not the beginning of a longer one and need not be remembered (lm/blank.hh).
const NO_EXTENSION: f32 = -0.0;

fn extends(backoff: f32) -> bool {
    backoff.to_bits() != NO_EXTENSION.to_bits()
}

/// The words of a sentence as C's `isspace` separates them.
pub(crate) fn words(sentence: &[u8]) -> impl Iterator<Item = &[u8]> {
    sentence.split(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).filter(|word| !word.is_empty())
}
