//! Gopher's repetition rules in datatrove's reading: only copies after the first count, n-grams are strings, and the whole text is the
//! measure.

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
        let fails = |limits: &[(usize, f64)], between: &str, measure: fn(&Grams, usize) -> usize| {
            let grams = if limits.is_empty() { Grams::of("", between) } else { Grams::of(text, between) };
            limits.iter().any(|(size, max)| measure(&grams, (*size).max(1)) as f64 / chars as f64 > *max)
        };
        // The most common one has blanks between its words, repeated ones have none: both are datatrove's.
        if fails(&self.top_n_grams, " ", Grams::top) {
            return Some("top n-gram");
        }
        fails(&self.dup_n_grams, "", Grams::repeated).then_some("duplicate n-grams")
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

/// The words of a text, joined to one string, of which n-grams are pieces.
struct Grams {
    joined: String,
    /// Where each word starts, in bytes and in characters, and where a next one would.
    starts: Vec<(usize, usize)>,
    /// Bytes between two words.
    gap: usize,
}

impl Grams {
    fn of(text: &str, between: &str) -> Self {
        let (mut joined, mut starts, mut chars) = (String::with_capacity(text.len()), vec![(0, 0)], 0);
        for word in words(text) {
            joined.push_str(word);
            joined.push_str(between);
            chars += python::len(word) + between.len();
            starts.push((joined.len(), chars));
        }
        Self { joined, starts, gap: between.len() }
    }

    /// The n-gram that starts with a word, and how many characters it has.
    fn gram(&self, at: usize, size: usize) -> Option<(&str, usize)> {
        let (&(start, before), &(end, behind)) = (self.starts.get(at)?, self.starts.get(at + size)?);
        Some((self.joined.get(start..end - self.gap)?, behind - before - self.gap))
    }

    /// Characters of all copies of the most common n-gram; of those equally common, the first.
    fn top(&self, size: usize) -> usize {
        let mut counts: HashMap<&str, (usize, usize), FxBuildHasher> = HashMap::default();
        for at in 0.. {
            let Some((gram, _)) = self.gram(at, size) else { break };
            counts.entry(gram).or_insert((0, at)).0 += 1;
        }
        let most = counts.values().max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)));
        most.map_or(0, |(count, at)| count * self.gram(*at, size).map_or(0, |(_, chars)| chars))
    }

    /// Characters of n-grams that were there before, the next one sought behind each.
    fn repeated(&self, size: usize) -> usize {
        let mut seen: HashSet<&str, FxBuildHasher> = HashSet::default();
        let (mut at, mut all) = (0, 0);
        while let Some((gram, chars)) = self.gram(at, size) {
            if seen.insert(gram) {
                at += 1;
            } else {
                all += chars;
                at += size.max(1);
            }
        }
        all
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
    fn ngrams_are_strings() {
        let (apart, together) = (Grams::of("ab c ab c ab", " "), Grams::of("ab c ab c ab", ""));
        assert_eq!((apart.top(2), together.repeated(2)), (2 * 4, 3));
        assert_eq!((apart.top(9), together.repeated(9)), (0, 0));
        // Without blanks, `ab c` is `a bc`.
        assert_eq!(Grams::of("ab c a bc", "").repeated(2), 3);
        assert_eq!(runs("a\n\nb\n\n\n\nc\nd", 2).collect::<Vec<_>>(), ["a", "b", "c\nd"]);
        assert_eq!(runs("\na", 1).collect::<Vec<_>>(), ["", "a"]);
    }
}
