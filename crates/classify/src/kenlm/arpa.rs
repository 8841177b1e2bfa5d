//! From an ARPA text to the bytes of a probing binary (lm/search_hashed.cc), which is then used like one that was read.
//!
//! What is strict there is strict here: n-grams are as many as the text says, every word is among the single ones, every n-gram's context is
//! an n-gram itself, and no probability is above 1. Two things are mended: a text without `<unk>` gets one of 10⁻¹⁰⁰, and where an n-gram
//! without its first word is no n-gram (SRILM prunes so), a blank is put in with the probability that backing off gives.

mod lines;

use std::borrow::Cow;
use std::io::Read;

use super::binary::{Header, Kind};
use super::bytes::{f32_at, u32_at, u64_at};
use super::hashed::{Hashed, Table, combine};
use super::vocabulary::{PROBING_ENTRY_BYTES, PROBING_HEADER_BYTES};
use super::{LoadError, MAX_ORDER, NO_EXTENSION, murmur};
use lines::{Lines, Ngram};

/// Buckets for each n-gram, as `build_binary` has it unless told otherwise.
const PROBING_MULTIPLIER: f32 = 1.5;
/// The logarithm of the probability of `<unk>` where the text has none.
const UNKNOWN_PROB: f32 = -100.0;
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The binary that an ARPA text stands for.
pub(super) fn read(file: &[u8]) -> Result<Vec<u8>, LoadError> {
    let text = if file.starts_with(GZIP) {
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(file)
            .read_to_end(&mut text)
            .map_err(|error| LoadError::Damaged(format!("its gzip does not unpack: {error}")))?;
        Cow::Owned(text)
    } else {
        Cow::Borrowed(file)
    };
    let mut lines = Lines::new(&text);
    let counts = lines.counts()?;
    let order = counts.len();
    if !(2..=MAX_ORDER).contains(&order) {
        let problem = format!("its n-grams have up to {order} words; from 2 to {MAX_ORDER} are possible");
        return Err(LoadError::Unsupported(problem));
    }
    for (length, count) in (1..).zip(&counts) {
        // A digit, words of a letter, something between them all, and a line end.
        if *count > text.len() as u64 / (2 * length + 2) {
            return Err(lines.problem(format!("{count} {length}-grams do not fit into this file")));
        }
    }
    let mut image = Image::new(&counts)?;
    image.read_words(&mut lines, counts.first().copied().unwrap_or_default())?;
    for (length, count) in (1..).zip(counts).skip(1) {
        image.read_ngrams(&mut lines, length, count)?;
    }
    lines.end()?;
    if !image.saw_unknown {
        image.put(image.ngrams.unigrams, UNKNOWN_PROB);
        image.put(image.ngrams.unigrams + 4, 0.0);
    }
    Ok(image.bytes)
}

/// A binary in the making.
struct Image {
    bytes: Vec<u8>,
    vocabulary: Table,
    /// The lowest number that no word has.
    bound: u32,
    saw_unknown: bool,
    ngrams: Hashed,
    /// How many n-grams of each length are in, from two words on, blanks among them.
    entries: Vec<u64>,
    /// Where the values of an n-gram's ends are, the longest first, down to the first that was there before.
    ends: Vec<usize>,
}

impl Image {
    fn new(counts: &[u64]) -> Result<Self, LoadError> {
        let header = Header {
            kind: Kind::Probing { rest: false },
            probing_multiplier: PROBING_MULTIPLIER,
            has_words: false,
            counts: counts.to_vec(),
        };
        let words = counts.first().copied().unwrap_or_default();
        let start = header.bytes() + PROBING_HEADER_BYTES;
        let vocabulary = Table::new(start, words, PROBING_MULTIPLIER, PROBING_ENTRY_BYTES)?;
        let ngrams = Hashed::lay_out(&header, vocabulary.end(), false)?;
        let mut image = Self {
            bytes: vec![0; ngrams.end()],
            vocabulary,
            bound: 1,
            saw_unknown: false,
            ngrams,
            entries: vec![0; counts.len()],
            ends: Vec::new(),
        };
        image.write(0, &header.to_bytes());
        Ok(image)
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.bytes.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }

    fn put(&mut self, at: usize, number: f32) {
        self.write(at, &number.to_le_bytes());
    }

    fn read_words(&mut self, lines: &mut Lines, count: u64) -> Result<(), LoadError> {
        lines.section(1)?;
        let mut missing = vec!["<s>", "</s>"];
        for _ in 0..count {
            let mut word = [&b""[..]];
            let Ngram { prob, backoff } = lines.ngram(&mut word, true)?;
            let [word] = word;
            missing.retain(|marker| word != marker.as_bytes());
            let number = self.insert_word(word);
            let at = self.unigram(number);
            self.put(at, prob);
            self.put(at + 4, backoff);
        }
        if let Some(marker) = missing.first() {
            return Err(lines.problem(format!("the words end here and {marker} was not among them")));
        }
        let bound = self.bound.to_le_bytes();
        let at = self.vocabulary.start() - 4;
        self.write(at, &bound);
        Ok(())
    }

    /// The number of a new word. One that comes twice is numbered twice; its first number is found later.
    fn insert_word(&mut self, word: &[u8]) -> u32 {
        if is_unknown(word) {
            self.saw_unknown = true;
            return 0;
        }
        let (hash, number) = (murmur::hash(word), self.bound);
        // There is room: the table has at least one bucket more than there are words.
        if let Some(entry) = self.vocabulary.probe(&self.bytes, hash, |found| found == 0) {
            self.write(entry, &hash.to_le_bytes());
            self.write(entry + 8, &number.to_le_bytes());
            self.bound += 1;
        }
        number
    }

    fn number(&self, word: &[u8]) -> Option<u32> {
        match self.vocabulary.find(&self.bytes, murmur::hash(word)) {
            Some(at) => Some(u32_at(&self.bytes, at)),
            None => is_unknown(word).then_some(0),
        }
    }

    fn unigram(&self, number: u32) -> usize {
        self.ngrams.unigrams + number as usize * self.ngrams.unigram_bytes
    }

    fn read_ngrams(&mut self, lines: &mut Lines, length: usize, count: u64) -> Result<(), LoadError> {
        lines.section(length)?;
        let longest = length == self.entries.len();
        let mut words = vec![&b""[..]; length];
        // The last word first.
        let mut numbers = vec![0; length];
        for _ in 0..count {
            let Ngram { prob, backoff } = lines.ngram(&mut words, !longest)?;
            for (number, word) in numbers.iter_mut().zip(words.iter().rev()) {
                *number = self.number(word).ok_or_else(|| {
                    lines.problem(format!("{:?} is not among the words", String::from_utf8_lossy(word)))
                })?;
            }
            let value = self.insert(&numbers, false).map_err(|problem| lines.problem(problem))?.value;
            // No longer n-gram ends in this one, as far as is known.
            self.put(value, -prob.abs());
            if !longest {
                self.put(value + 4, backoff);
            }
            self.mark_ends(&numbers).map_err(|problem| lines.problem(problem))?;
            self.mark_context(&numbers).map_err(|problem| lines.problem(problem))?;
        }
        Ok(())
    }

    fn table(&self, length: usize) -> &Table {
        self.ngrams.middles.get(length - 2).unwrap_or(&self.ngrams.longest)
    }

    /// Puts an n-gram of two words or more in, unless one that is there will do.
    fn insert(&mut self, ngram: &[u32], present_will_do: bool) -> Result<Inserted, &'static str> {
        let key = hash(ngram);
        let table = self.table(ngram.len());
        let buckets = table.buckets;
        let will_do = |found| found == 0 || present_will_do && found == key;
        let entry = table.probe(&self.bytes, key, will_do).ok_or(TOO_MANY_BLANKS)?;
        let is_new = u64_at(&self.bytes, entry) == 0;
        if is_new {
            if let Some(entries) = self.entries.get_mut(ngram.len() - 1) {
                *entries += 1;
                if *entries >= buckets {
                    return Err(TOO_MANY_BLANKS);
                }
            }
            self.write(entry, &key.to_le_bytes());
        }
        Ok(Inserted { value: entry + 8, is_new })
    }

    /// Notes at the longest end of an n-gram that something longer ends in it. Ends that are missing are put in.
    fn mark_ends(&mut self, ngram: &[u32]) -> Result<(), &'static str> {
        let mut ends = std::mem::take(&mut self.ends);
        ends.clear();
        let mut known = ngram.len() - 1;
        while let Some(end @ [_, _, ..]) = ngram.get(..known) {
            let Inserted { value, is_new } = self.insert(end, true)?;
            ends.push(value);
            if !is_new {
                break;
            }
            self.put(value + 4, NO_EXTENSION);
            known -= 1;
        }
        if let Some(&[word]) = ngram.get(..known) {
            ends.push(self.unigram(word));
        }
        let mut prob = ends.last().map_or(0.0, |end| -f32_at(&self.bytes, *end).abs());
        // The missing ones from the shortest on: a word more in front costs the backoff of what stands before the last word.
        for (missing, end) in (known + 1..).zip(ends.iter().rev().skip(1)) {
            let context = ngram.get(1..missing).unwrap_or_default();
            if let Some(value) = self.find(context) {
                prob += self.mark_extension(value);
            }
            self.put(*end, prob);
        }
        for end in &ends {
            self.put(*end, f32_at(&self.bytes, *end).abs());
        }
        self.ends = ends;
        Ok(())
    }

    /// Notes at an n-gram's context that something longer begins with it.
    fn mark_context(&mut self, ngram: &[u32]) -> Result<(), &'static str> {
        let context = ngram.get(1..).unwrap_or_default();
        let value = self.find(context).ok_or("its words but the last are no n-gram of this file")?;
        self.mark_extension(value);
        Ok(())
    }

    /// Where the value of an n-gram is that is not of full length.
    fn find(&self, ngram: &[u32]) -> Option<usize> {
        match ngram {
            [word] => Some(self.unigram(*word)),
            _ => self.table(ngram.len()).find(&self.bytes, hash(ngram)),
        }
    }

    /// The backoff of a value, which is no longer [`NO_EXTENSION`].
    fn mark_extension(&mut self, value: usize) -> f32 {
        let backoff = f32_at(&self.bytes, value + 4) + 0.0;
        self.put(value + 4, backoff);
        backoff
    }
}

struct Inserted {
    value: usize,
    is_new: bool,
}

const TOO_MANY_BLANKS: &str = "too many n-grams are missing that longer ones end in; \
    do not prune them, or build a trie with KenLM's build_binary";

fn is_unknown(word: &[u8]) -> bool {
    word == b"<unk>" || word == b"<UNK>"
}

/// The hash of an n-gram whose last word stands first.
fn hash(ngram: &[u32]) -> u64 {
    let (last, before) = ngram.split_first().map_or((0, &[][..]), |(last, before)| (*last, before));
    before.iter().fold(u64::from(last), |hash, word| combine(hash, *word))
}
