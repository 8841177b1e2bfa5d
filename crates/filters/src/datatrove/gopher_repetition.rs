//! Gopher's repetition rules in datatrove's reading: only copies after the first count, n-grams are strings with their blanks, and the
//! whole text is the measure.

use super::words;
use crate::python;
use rustc_hash::FxBuildHasher;
use std::collections::{HashMap, HashSet};

/// Limits of Gopher's repetition rules (Rae et al. 2021, table A1); none: the rule is off.
#[derive(Clone, Debug, PartialEq)]
pub struct GopherRepetition {
    pub dup_line_frac: Option<f64>,
    pub dup_para_frac: Option<f64>,
    pub dup_line_char_frac: Option<f64>,
    pub dup_para_char_frac: Option<f64>,
    /// Sizes, and the share of characters of the most common n-gram.
    pub top_n_grams: Vec<(usize, f64)>,
    /// Sizes, and the share of characters in n-grams that were there before.
    pub dup_n_grams: Vec<(usize, f64)>,
}

impl Default for GopherRepetition {
    fn default() -> Self {
        Self {
            dup_line_frac: Some(0.3),
            dup_para_frac: Some(0.3),
            dup_line_char_frac: Some(0.2),
            dup_para_char_frac: Some(0.2),
            top_n_grams: vec![(2, 0.2), (3, 0.18), (4, 0.16)],
            dup_n_grams: vec![(5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)],
        }
    }
}

impl GopherRepetition {
    /// Why a text fails, if it does.
    #[must_use]
    pub fn judge(&self, text: &str) -> Option<&'static str> {
        let chars = python::len(text);
        if chars == 0 {
            return Some("empty");
        }
        let above = |part: usize, whole: usize, max: Option<f64>| {
            max.is_some_and(|max| max != 0.0 && part as f64 / whole as f64 > max)
        };
        let paragraphs = Duplicates::of(runs(python::strip(text), 2));
        if above(paragraphs.repeated, paragraphs.all, self.dup_para_frac)
            || above(paragraphs.chars, chars, self.dup_para_char_frac)
        {
            return Some("duplicate paragraphs");
        }
        let lines = Duplicates::of(runs(text, 1));
        if above(lines.repeated, lines.all, self.dup_line_frac)
            || above(lines.chars, chars, self.dup_line_char_frac)
        {
            return Some("duplicate lines");
        }
        let grams = Grams::of(text);
        let fails = |limits: &[(usize, f64)], measure: &dyn Fn(usize) -> usize| {
            limits.iter().any(|(size, max)| measure(*size) as f64 / chars as f64 > *max)
        };
        if fails(&self.top_n_grams, &|size| grams.top(size)) {
            return Some("top n-gram");
        }
        fails(&self.dup_n_grams, &|size| grams.repeated(size)).then_some("duplicate n-grams")
    }
}

/// What lies between runs of at least so many newlines: `re.split(r"\n{min,}", text)`.
fn runs(text: &str, min: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|tail| tail.find('\n')) {
            let start = from + found;
            let run = text.bytes().skip(start).take_while(|byte| *byte == b'\n').count();
            if run >= min {
                rest = text.get(start + run..);
                return text.get(..start);
            }
            from = start + run;
        }
        rest = None;
        Some(text)
    })
}

#[derive(Default)]
struct Duplicates {
    all: usize,
    repeated: usize,
    chars: usize,
}

impl Duplicates {
    fn of<'t>(parts: impl Iterator<Item = &'t str>) -> Self {
        let mut seen: HashSet<&str, FxBuildHasher> = HashSet::default();
        let mut all = Self::default();
        for part in parts {
            all.all += 1;
            if !seen.insert(part) {
                all.repeated += 1;
                all.chars += python::len(part);
            }
        }
        all
    }
}

/// The words of a text, numbered, and where each starts in a string of all of them, a blank between two.
struct Grams {
    ids: Vec<u32>,
    starts: Vec<usize>,
}

impl Grams {
    fn of(text: &str) -> Self {
        let mut numbers: HashMap<&str, u32, FxBuildHasher> = HashMap::default();
        let (mut ids, mut starts, mut at) = (Vec::new(), vec![0], 0);
        for word in words(text) {
            let next = numbers.len() as u32;
            ids.push(*numbers.entry(word).or_insert(next));
            at += python::len(word) + 1;
            starts.push(at);
        }
        Self { ids, starts }
    }

    /// Characters of the n-gram at a place, its blanks included.
    fn chars(&self, at: usize, size: usize) -> usize {
        let bound = |index: usize| self.starts.get(index).copied().unwrap_or(0);
        (bound(at + size) - bound(at)).saturating_sub(1)
    }

    /// Characters of all copies of the most common n-gram; of those equally common, the first.
    fn top(&self, size: usize) -> usize {
        let mut counts: HashMap<&[u32], (usize, usize), FxBuildHasher> = HashMap::default();
        for (at, gram) in self.ids.windows(size.max(1)).enumerate() {
            counts.entry(gram).or_insert((0, at)).0 += 1;
        }
        let most = counts.values().max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)));
        most.map_or(0, |(count, at)| count * self.chars(*at, size))
    }

    /// Characters of n-grams that were there before, the next one sought behind each.
    fn repeated(&self, size: usize) -> usize {
        let mut seen: HashSet<&[u32], FxBuildHasher> = HashSet::default();
        let (mut at, mut chars) = (0, 0);
        while let Some(gram) = self.ids.get(at..at + size.max(1)) {
            if seen.insert(gram) {
                at += 1;
            } else {
                chars += self.chars(at, size);
                at += size.max(1);
            }
        }
        chars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_reason() {
        let words: Vec<String> = (0..30).map(|n| format!("word{n}")).collect();
        let plain = words.join(" ");
        for (text, expected) in [
            (plain.clone(), None),
            // An n-gram that comes once is the most common one of a text that is hardly longer.
            ("a short text".to_owned(), Some("top n-gram")),
            (String::new(), Some("empty")),
            ("one\n\ntwo\n\none\n\n\ntwo".to_owned(), Some("duplicate paragraphs")),
            ("one\ntwo\none\n\ntwo".to_owned(), Some("duplicate lines")),
            ("a b and a b or a b if a b so".to_owned(), Some("top n-gram")),
            (format!("{plain}. Now {plain}"), Some("duplicate n-grams")),
        ] {
            assert_eq!(GopherRepetition::default().judge(&text), expected, "{text}");
        }
    }

    #[test]
    fn ngrams_have_their_blanks() {
        let grams = Grams::of("ab c ab c ab");
        assert_eq!((grams.top(2), grams.repeated(2)), (2 * 4, 4));
        assert_eq!((grams.top(9), grams.repeated(9)), (0, 0));
        assert_eq!(runs("a\n\nb\n\n\n\nc\nd", 2).collect::<Vec<_>>(), ["a", "b", "c\nd"]);
        assert_eq!(runs("\na", 1).collect::<Vec<_>>(), ["", "a"]);
    }
}
