//! What other thresholds would keep of a dataset, in little memory: documents are sorted by score, and what each threshold
//! keeps is sorted by language and domain, both on disk where memory does not do.
//!
//! Numbers are exact. Which documents of one score are within a share follows from their ids, as in a job; those without an id are known to
//! a job by their origin, and here by file and row, so that others of them are.

use anyhow::Context as _;
use gristmill_classify::quantile::{Rank, Share};
use gristmill_dedup::sort::{Noted, Sorter};
use gristmill_dedup::stream::Stream;
use gristmill_pipeline::Document;
use gristmill_pipeline::steps::shared::{number, source};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::ops::AddAssign;
use std::path::PathBuf;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_128;

/// For each of two sorts.
const SORT_MEMORY: usize = 64 << 20;
/// A document notes in so many bits which thresholds keep it.
pub(crate) const CUTS_MAX: usize = 64;
/// A sorted name notes in a byte which of the fields it is of.
pub(crate) const BY_MAX: usize = 256;

/// A threshold to look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// The best share of all.
    Share(Share),
    /// All from this score on.
    Score(f64),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.ends_with('%') {
            return text.parse().map(Self::Share).map_err(|error| format!("{error}"));
        }
        match text.parse::<f64>() {
            Ok(score) if !score.is_nan() => Ok(Self::Score(score)),
            _ => Err(format!("{text:?} is neither a share, such as 10%, nor a score, such as 0.5")),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Score(score) => f.write_str(&short(*score)),
        }
    }
}

/// A score in digits that fit a table: `1e308`, and not 309 of them.
pub(crate) fn short(score: f64) -> String {
    let digits = format!("{score:?}");
    digits.strip_suffix(".0").map_or_else(|| digits.clone(), str::to_owned)
}

/// What is looked at, and how.
pub(crate) struct Settings {
    pub(crate) key: String,
    pub(crate) at: Vec<At>,
    pub(crate) lower_better: bool,
    /// The field that holds the number of tokens. None: words are counted.
    pub(crate) tokens: Option<String>,
    /// What documents are counted by: `language`, `domain`, fields.
    pub(crate) by: Vec<String>,
    /// Names of each that are told.
    pub(crate) top: usize,
    /// Documents shown on each side of a threshold.
    pub(crate) samples: usize,
    pub(crate) scratch: PathBuf,
}

/// How much of something there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Amount {
    pub(crate) documents: u64,
    /// Tokens, where a field has them, else words.
    pub(crate) tokens: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.documents += other.documents;
        // A field may say anything.
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.bytes += other.bytes;
    }
}

impl Amount {
    fn without(self, other: Self) -> Self {
        Self {
            documents: self.documents.saturating_sub(other.documents),
            tokens: self.tokens.saturating_sub(other.tokens),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What a sweep finds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) key: String,
    /// What `tokens` are: `words`, or the field.
    pub(crate) tokens: String,
    /// Those that have a score: what shares are of.
    pub(crate) scored: Amount,
    /// Documents without the field,
    pub(crate) missing: u64,
    /// and those that have something else than a number there.
    pub(crate) not_a_number: u64,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) by: Vec<Breakdown>,
}

/// What a threshold keeps.
#[derive(Debug, Serialize)]
pub(crate) struct Cut {
    pub(crate) at: String,
    /// The score of the last document that it keeps.
    pub(crate) threshold: Option<f64>,
    pub(crate) keeps: Amount,
    /// The last ones that it keeps, the last first.
    pub(crate) above: Vec<Sample>,
    /// The first ones that it does not keep.
    pub(crate) below: Vec<Sample>,
}

/// Amounts by language, domain or a field.
#[derive(Debug, Serialize)]
pub(crate) struct Breakdown {
    pub(crate) by: String,
    pub(crate) names: u64,
    /// Those with the most documents.
    pub(crate) top: Vec<Named>,
    /// All others.
    pub(crate) others: Named,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) scored: Amount,
    /// Of each threshold.
    pub(crate) keeps: Vec<Amount>,
}

/// A document near a threshold.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// File and row.
    #[serde(skip)]
    pub(crate) place: (u32, u32),
    pub(crate) score: f64,
    #[serde(flatten)]
    pub(crate) shown: Option<Shown>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Its beginning.
    pub(crate) text: String,
}

type Scratch = Box<dyn FnMut() -> io::Result<File>>;

/// Takes documents in and says what thresholds keep of them.
pub(crate) struct Sweep {
    settings: Settings,
    /// By rank; what they are of and how much is in the note.
    documents: Sorter<u128, Noted, File, Scratch>,
    scored: Amount,
    missing: u64,
    not_a_number: u64,
    note: Vec<u8>,
}

impl Sweep {
    pub(crate) fn new(settings: Settings) -> Self {
        let documents = Sorter::new(SORT_MEMORY, scratch(&settings));
        Self { settings, documents, scored: Amount::default(), missing: 0, not_a_number: 0, note: Vec::new() }
    }

    /// Whether any document had a score so far.
    pub(crate) fn has_scores(&self) -> bool {
        self.scored.documents > 0
    }

    /// Takes in the document at a row of a file.
    pub(crate) fn add(&mut self, (file, row): (u32, u32), doc: &Document) -> anyhow::Result<()> {
        let Some(value) = source::find(doc, &self.settings.key).filter(|value| !value.is_null()) else {
            self.missing += 1;
            return Ok(());
        };
        let score = number(value).map(|score| if self.settings.lower_better { -score } else { score });
        let Some(rank) = score.and_then(|score| Rank::new(score, &doc.id)) else {
            self.not_a_number += 1;
            return Ok(());
        };
        let text = doc.text.as_ref().map_or("", |text| text.as_str());
        let tokens = match &self.settings.tokens {
            Some(field) => source::find(doc, field).and_then(number).map_or(0, |n| n as u64),
            None => text.split_whitespace().count() as u64,
        };
        let amount = Amount { documents: 1, tokens, bytes: text.len() as u64 };
        self.scored += amount;
        self.note.clear();
        self.note.extend_from_slice(&amount.tokens.to_le_bytes());
        self.note.extend_from_slice(&amount.bytes.to_le_bytes());
        for by in &self.settings.by {
            let name = source::name(doc, by);
            self.note.extend_from_slice(&(name.len() as u32).to_le_bytes());
            self.note.extend_from_slice(name.as_bytes());
        }
        let key = u128::from(rank.bits()) << 64 | u128::from(rank.tie());
        self.documents.push(key, u64::from(file) << 32 | u64::from(row), &self.note)?;
        Ok(())
    }

    /// What the thresholds keep. Samples have places only.
    pub(crate) fn finish(self) -> anyhow::Result<Report> {
        let Self { settings, documents, scored, .. } = self;
        let mut cuts: Vec<Cutting> =
            settings.at.iter().map(|at| Cutting::new(*at, scored.documents, &settings)).collect();
        let mut names = Sorter::<u128, Noted, _, _>::new(SORT_MEMORY, scratch(&settings));
        let mut documents = documents.finish()?;
        let (mut at, mut note) = (0_u64, Vec::new());
        while let Some((key, node)) = documents.row() {
            let rank = Rank::from_parts((key >> 64) as u64, key as u64);
            let (amount, mut rest) = read_amount(documents.note())?;
            let sample = Sample {
                place: ((node >> 32) as u32, node as u32),
                score: settings.told(rank.score()),
                shown: None,
            };
            let mut kept = 0_u64;
            for (place, cut) in cuts.iter_mut().enumerate() {
                kept |= u64::from(cut.take(at, rank.score(), amount, &sample)) << place;
            }
            for by in 0..settings.by.len() {
                let name = read_name(&mut rest)?;
                note.clear();
                note.extend_from_slice(&kept.to_le_bytes());
                note.extend_from_slice(&amount.tokens.to_le_bytes());
                note.extend_from_slice(&amount.bytes.to_le_bytes());
                note.push(by as u8);
                note.extend_from_slice(name);
                let key = xxh3_128(note.get(24..).unwrap_or_default());
                names.push(key, at, &note)?;
            }
            at += 1;
            documents.advance()?;
        }
        let cuts: Vec<Cut> = cuts.into_iter().map(|cut| cut.finish(&settings)).collect();
        let by = count(&settings, names.finish()?, scored, &cuts)?;
        Ok(Report {
            tokens: settings.tokens.unwrap_or_else(|| "words".to_owned()),
            key: settings.key,
            scored,
            missing: self.missing,
            not_a_number: self.not_a_number,
            cuts,
            by,
        })
    }
}

impl Settings {
    /// A score as documents have it.
    fn told(&self, ranked: f64) -> f64 {
        if self.lower_better { 0.0 - ranked } else { ranked }
    }
}

fn scratch(settings: &Settings) -> Scratch {
    let folder = settings.scratch.clone();
    Box::new(move || tempfile::tempfile_in(&folder))
}

fn read_u64(bytes: &[u8]) -> anyhow::Result<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>().context("a sorted row is cut short")?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn read_amount(note: &[u8]) -> anyhow::Result<(Amount, &[u8])> {
    let (tokens, rest) = read_u64(note)?;
    let (bytes, rest) = read_u64(rest)?;
    Ok((Amount { documents: 1, tokens, bytes }, rest))
}

fn read_name<'a>(rest: &mut &'a [u8]) -> anyhow::Result<&'a [u8]> {
    let short = || "a sorted row is cut short";
    let (length, after) = rest.split_first_chunk::<4>().with_context(short)?;
    let (name, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).with_context(short)?;
    *rest = after;
    Ok(name)
}

/// A threshold while documents pass, the best first.
struct Cutting {
    at: At,
    /// The number of documents that a share keeps, or the least score that is kept, as ranked.
    documents: u64,
    least: f64,
    samples: usize,
    keeps: Amount,
    last: Option<f64>,
    above: VecDeque<Sample>,
    below: Vec<Sample>,
}

impl Cutting {
    fn new(at: At, scored: u64, settings: &Settings) -> Self {
        let (documents, least) = match at {
            At::Share(share) => (share.of(scored), f64::NEG_INFINITY),
            At::Score(score) => (u64::MAX, settings.told(score)),
        };
        let (above, below) = (VecDeque::new(), Vec::new());
        Self {
            at,
            documents,
            least,
            samples: settings.samples,
            keeps: Amount::default(),
            last: None,
            above,
            below,
        }
    }

    /// Whether the next document is kept.
    fn take(&mut self, at: u64, score: f64, amount: Amount, sample: &Sample) -> bool {
        let kept = at < self.documents && score >= self.least;
        if kept {
            self.keeps += amount;
            self.last = Some(sample.score);
            self.above.push_front(sample.clone());
            self.above.truncate(self.samples);
        } else if self.below.len() < self.samples {
            self.below.push(sample.clone());
        }
        kept
    }

    fn finish(self, settings: &Settings) -> Cut {
        // Of a score the threshold is that score, whether a document has it or not.
        let threshold = match self.at {
            At::Share(_) => self.last,
            At::Score(_) => Some(settings.told(self.least)),
        };
        Cut {
            at: self.at.to_string(),
            threshold,
            keeps: self.keeps,
            above: self.above.into(),
            below: self.below,
        }
    }
}

/// Sums up rows that are sorted by name.
fn count(
    settings: &Settings,
    mut rows: impl Stream<Key = u128>,
    scored: Amount,
    cuts: &[Cut],
) -> anyhow::Result<Vec<Breakdown>> {
    let keeps: Vec<Amount> = cuts.iter().map(|cut| cut.keeps).collect();
    let mut all: Vec<Breakdown> = Vec::new();
    for by in &settings.by {
        let others = Named { name: String::new(), scored, keeps: keeps.clone() };
        all.push(Breakdown { by: by.clone(), names: 0, top: Vec::new(), others });
    }
    let mut tops: Vec<Top> = settings.by.iter().map(|_| Top::default()).collect();
    while let Some((key, _)) = rows.row() {
        let mut named = Named { keeps: vec![Amount::default(); cuts.len()], ..Named::default() };
        let mut by = 0;
        while let Some((same, _)) = rows.row()
            && same == key
        {
            let (kept, rest) = read_u64(rows.note())?;
            let (amount, rest) = read_amount(rest)?;
            let (of, name) = rest.split_first().context("a sorted row is cut short")?;
            by = usize::from(*of);
            if named.scored.documents == 0 {
                named.name = String::from_utf8_lossy(name).into_owned();
            }
            named.scored += amount;
            for (place, keeps) in named.keeps.iter_mut().enumerate() {
                if kept >> place & 1 == 1 {
                    *keeps += amount;
                }
            }
            rows.advance()?;
        }
        let (Some(top), Some(of)) = (tops.get_mut(by), all.get_mut(by)) else { continue };
        of.names += 1;
        top.add(named, settings.top);
    }
    for (of, top) in all.iter_mut().zip(tops) {
        of.top = top.finish();
        for named in &of.top {
            of.others.scored = of.others.scored.without(named.scored);
            for (others, keeps) in of.others.keeps.iter_mut().zip(&named.keeps) {
                *others = others.without(*keeps);
            }
        }
    }
    Ok(all)
}

/// The names with the most documents; of equals the first.
#[derive(Default)]
struct Top {
    order: BTreeSet<(Reverse<u64>, String)>,
    named: BTreeMap<String, Named>,
}

impl Top {
    fn add(&mut self, named: Named, most: usize) {
        self.order.insert((Reverse(named.scored.documents), named.name.clone()));
        self.named.insert(named.name.clone(), named);
        if self.order.len() > most
            && let Some((_, name)) = self.order.pop_last()
        {
            self.named.remove(&name);
        }
    }

    fn finish(mut self) -> Vec<Named> {
        self.order.iter().filter_map(|(_, name)| self.named.remove(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_scores_are_told_apart() {
        let at = |text: &str| text.parse::<At>();
        assert_eq!(at("10%").map(|at| at.to_string()), Ok("10%".to_owned()));
        assert_eq!(at(" -2.5 "), Ok(At::Score(-2.5)));
        for wrong in ["", "ten", "NaN", "101%", "%"] {
            assert!(at(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn scores_are_told_shortly() {
        for (score, expected) in [
            (0.5, "0.5"),
            (7.0, "7"),
            (-12.25, "-12.25"),
            (0.0, "0"),
            (1e308, "1e308"),
            (-1e-300, "-1e-300"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(short(score), expected);
            assert_eq!(At::Score(score).to_string(), expected);
        }
    }

    #[test]
    fn the_best_names_are_told_and_the_others_summed_up() {
        let settings = Settings {
            key: "q".to_owned(),
            at: vec![At::Share("40%".parse().expect("a share")), At::Score(7.0), At::Score(100.0)],
            lower_better: false,
            tokens: None,
            by: vec!["k".to_owned()],
            top: 1,
            samples: 2,
            scratch: std::env::temp_dir(),
        };
        let mut sweep = Sweep::new(settings);
        for n in 0..10_u32 {
            let name = if n % 3 == 0 { "a".to_owned() } else { format!("b{n}") };
            let record = serde_json::json!({"id": n.to_string(), "q": n, "k": name, "text": "x y"});
            let doc = Document::from_json(&record.to_string(), String::new).expect("a record");
            sweep.add((0, n), &doc).expect("memory");
        }
        for record in [r#"{"text":"x"}"#, r#"{"q":null}"#, r#"{"q":"1"}"#] {
            sweep.add((1, 0), &Document::from_json(record, String::new).expect("a record")).expect("memory");
        }
        let report = sweep.finish().expect("sorted");
        assert_eq!((report.missing, report.not_a_number), (2, 1));
        assert_eq!(report.scored, Amount { documents: 10, tokens: 20, bytes: 30 });
        let told = |samples: &[Sample]| samples.iter().map(|sample| sample.score).collect::<Vec<_>>();
        let cuts: Vec<_> = report
            .cuts
            .iter()
            .map(|cut| (cut.keeps.documents, cut.threshold, told(&cut.above), told(&cut.below)))
            .collect();
        assert_eq!(
            cuts,
            [
                (4, Some(6.0), vec![6.0, 7.0], vec![5.0, 4.0]),
                (3, Some(7.0), vec![7.0, 8.0], vec![6.0, 5.0]),
                (0, Some(100.0), vec![], vec![9.0, 8.0]),
            ]
        );
        let [by] = &report.by[..] else { panic!("one") };
        assert_eq!((by.names, by.top.len(), by.top[0].name.as_str()), (7, 1, "a"));
        let documents = |named: &Named| named.keeps.iter().map(|keeps| keeps.documents).collect::<Vec<_>>();
        assert_eq!((by.top[0].scored.documents, documents(&by.top[0])), (4, vec![2, 1, 0]));
        assert_eq!((by.others.scored.documents, documents(&by.others)), (6, vec![2, 2, 0]));
    }
}
