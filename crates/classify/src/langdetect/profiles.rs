//! langdetect's data: how often n-grams are seen in each language, and which characters are taken for one another.

use super::{LangdetectError, archive};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use std::collections::HashMap;

/// langdetect's profiles and tables, as its archive holds them.
///
/// langdetect takes profiles in the order in which the file system lists them, so that its sums are rounded otherwise on another machine,
/// in the last places. Here they come in the order of their names.
pub struct Profiles {
    pub(super) languages: Vec<String>,
    /// N-gram → its place in `ends`.
    grams: FxHashMap<Gram, u32>,
    /// Where the shares of each n-gram end.
    ends: Vec<u32>,
    /// For each n-gram the languages that have it, and which share of their n-grams of that length it is.
    shares: Vec<(u16, f64)>,
    pub(super) tables: Tables,
}

/// Which characters are taken for one another.
#[derive(Default)]
pub(super) struct Tables {
    /// Characters of Latin-1 that are no letters.
    pub(super) latin1_blanks: Vec<char>,
    /// Ideographs that stand for others like them.
    pub(super) ideographs: FxHashMap<char, char>,
    /// Letter and mark → the letter with the mark, for Vietnamese.
    pub(super) composed: FxHashMap<(char, char), char>,
}

#[derive(Deserialize)]
struct Profile {
    name: String,
    freq: HashMap<String, u64>,
    /// N-grams of one, two and three characters that were counted.
    n_words: [u64; 3],
}

/// An n-gram as a number: 21 bits for each character, the last one lowest.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Gram(u64);

impl Gram {
    pub(super) const BLANK: Self = Self(' ' as u64 + 1);

    /// With a character before it; it has had `length` so far.
    pub(super) fn after(self, char: char, length: usize) -> Self {
        Self(self.0 | ((u64::from(u32::from(char)) + 1) << (21 * length)))
    }
}

impl Profiles {
    /// Reads the archive `langdetect-1.0.9.tar.gz` as PyPI has it.
    pub fn load(bytes: &[u8]) -> Result<Self, LangdetectError> {
        const TABLES: &str = "";
        let mut files = archive::files(bytes, |path| {
            let (_, path) = path.split_once('/')?;
            match path.strip_prefix("langdetect/")? {
                "utils/messages.properties" => Some(TABLES.to_owned()),
                path => path
                    .strip_prefix("profiles/")
                    .filter(|name| !name.is_empty() && !name.starts_with('.'))
                    .map(str::to_owned),
            }
        })?;
        files.sort();
        let (tables, profiles): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| name == TABLES);
        let [(_, tables)] = &tables[..] else {
            return Err(LangdetectError::Archive(
                "it has no langdetect/utils/messages.properties".to_owned(),
            ));
        };
        if profiles.is_empty() || profiles.len() > usize::from(u16::MAX) {
            return Err(LangdetectError::Archive(format!(
                "it has {} files in langdetect/profiles",
                profiles.len()
            )));
        }
        Self::new(&profiles, Tables::parse(tables)?)
    }

    fn new(files: &[(String, String)], tables: Tables) -> Result<Self, LangdetectError> {
        let mut languages = Vec::new();
        let mut all: FxHashMap<Gram, Vec<(u16, f64)>> = FxHashMap::default();
        for (index, (file, json)) in files.iter().enumerate() {
            let damaged =
                |problem: String| LangdetectError::Damaged { file: format!("profiles/{file}"), problem };
            let profile: Profile = serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
            if languages.contains(&profile.name) {
                return Err(damaged(format!("{} is there twice", profile.name)));
            }
            languages.push(profile.name);
            for (gram, count) in profile.freq {
                // No text has a longer one.
                let Some(total) = gram.chars().count().checked_sub(1).and_then(|n| profile.n_words.get(n))
                else {
                    continue;
                };
                if *total == 0 {
                    return Err(damaged(format!("none are as long as {gram:?}")));
                }
                let key = gram
                    .chars()
                    .rev()
                    .enumerate()
                    .fold(Gram::default(), |key, (at, char)| key.after(char, at));
                all.entry(key).or_default().push((index as u16, count as f64 / *total as f64));
            }
        }
        let (mut grams, mut ends, mut shares) = (FxHashMap::default(), Vec::new(), Vec::new());
        for (key, of_gram) in all {
            shares.extend(of_gram);
            grams.insert(key, ends.len() as u32);
            ends.push(shares.len() as u32);
        }
        Ok(Self { languages, grams, ends, shares, tables })
    }

    /// The languages, in the order of [`Guess::language`](super::Guess::language).
    #[must_use]
    pub fn languages(&self) -> &[String] {
        &self.languages
    }

    pub(super) fn find(&self, gram: Gram) -> Option<u32> {
        self.grams.get(&gram).copied()
    }

    pub(super) fn shares(&self, gram: u32) -> &[(u16, f64)] {
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let at = gram as usize;
        let from = at.checked_sub(1).map_or(0, end);
        self.shares.get(from..end(at)).unwrap_or_default()
    }
}

impl Tables {
    /// Reads `messages.properties`: lines `NAME=characters`, escaped as Python does.
    fn parse(text: &str) -> Result<Self, LangdetectError> {
        let mut lines = HashMap::new();
        let mut tables = Self::default();
        for line in text.lines().map(str::trim) {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let chars = unescape(value)
                .ok_or_else(|| damaged(format!("{name} has characters that cannot be read")))?;
            if name.starts_with("NGram.KANJI_")
                && let Some(first) = chars.first()
            {
                tables.ideographs.extend(chars.iter().map(|char| (*char, *first)));
            }
            lines.insert(name, chars);
        }
        let mut take = |name: &str| lines.remove(name).ok_or_else(|| damaged(format!("{name} is missing")));
        tables.latin1_blanks = take("NGram.LATIN1_EXCLUDE")?;
        let (letters, marks) = (take("TO_NORMALIZE_VI_CHARS")?, take("DMARK_CLASS")?);
        for (mark, name) in marks.into_iter().zip(["0300", "0301", "0303", "0309", "0323"]) {
            let composed = take(&format!("NORMALIZED_VI_CHARS_{name}"))?;
            tables
                .composed
                .extend(letters.iter().zip(composed).map(|(letter, composed)| ((*letter, mark), composed)));
        }
        Ok(tables)
    }
}

fn damaged(problem: String) -> LangdetectError {
    LangdetectError::Damaged { file: "messages.properties".to_owned(), problem }
}

/// Characters as they are, or as `\uXXXX`.
fn unescape(value: &str) -> Option<Vec<char>> {
    let mut pieces = value.split('\\');
    let mut chars: Vec<char> = pieces.next().unwrap_or_default().chars().collect();
    for piece in pieces {
        let (code, after) = piece.strip_prefix('u')?.split_at_checked(4)?;
        chars.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        chars.extend(after.chars());
    }
    Some(chars)
}
