//! The accounting: in + made of others = kept + dropped by reason + broken by reason, for a task, a stage, a job.

use crate::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of the documents of a task, a stage or a job. Tallies add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Documents that came in, readable or not.
    #[serde(rename = "in")]
    pub seen: u64,
    pub kept: u64,
    /// Documents that steps made of others, beyond those they made them of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made: u64,
    /// `"<step>: <reason>"` → documents.
    pub dropped: BTreeMap<String, u64>,
    /// reason → documents.
    pub broken: BTreeMap<String, u64>,
    /// Records that are no documents (`warcinfo`, `request`, …) by kind. Not part of the balance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
    /// Where several extractors were tried on a page: extractor → pages of which something came to the end of the pass by its
    /// text. Not part of the balance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extracted_by: BTreeMap<String, u64>,
    /// Step number in the recipe → documents that met it and passed it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<usize, Passage>,
}

/// Documents that met a step, and those that came out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    #[serde(rename = "in")]
    pub seen: u64,
    pub out: u64,
    /// Of those that met it, those that it broke.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken: u64,
    /// Of those that met it, those that became several.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub split: u64,
    /// Of those that came out, those that are more than what went in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made: u64,
    /// Units (lines, members of a list) that a dedup took out of documents that came out of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub units_taken: u64,
}

/// A count that does not add up: a defect of ours, never of the data.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "documents do not add up: {seen} in and {made} made of them, but {kept} kept + {dropped} dropped + {broken} broken; please report this"
)]
pub struct Imbalance {
    seen: u64,
    made: u64,
    kept: u64,
    dropped: u64,
    broken: u64,
}

impl Tally {
    /// Counts one document that came to its verdict at `step`.
    pub fn count(&mut self, step: &str, verdict: &Verdict) {
        self.seen += 1;
        self.ended(step, verdict);
    }

    /// Counts the end of a document whose beginning was counted before.
    pub fn ended(&mut self, step: &str, verdict: &Verdict) {
        match verdict {
            Verdict::Keep => self.kept += 1,
            Verdict::Drop(reason) => add(&mut self.dropped, &format!("{step}: {reason}"), 1),
            Verdict::Broken(reason) => add(&mut self.broken, reason, 1),
        }
    }

    /// Counts a document that met a step, and what came out of it: nothing, the document, or several.
    pub fn passed(&mut self, step: usize, out: u64) {
        let passage = self.steps.entry(step).or_default();
        passage.seen += 1;
        passage.out += out;
        passage.split += u64::from(out > 1);
        passage.made += out.saturating_sub(1);
    }

    /// Counts a document that met a step and did not come out of it.
    pub fn stopped(&mut self, step: usize, verdict: &Verdict) {
        self.passed(step, 0);
        if matches!(verdict, Verdict::Broken(_)) {
            self.steps.entry(step).or_default().broken += 1;
        }
    }

    /// Counts units that a step took out of a document that passed it.
    pub fn took(&mut self, step: usize, units: u64) {
        self.steps.entry(step).or_default().units_taken += units;
    }

    /// Counts a page that is kept by the text of one of several extractors.
    pub fn extracted(&mut self, by: &str) {
        add(&mut self.extracted_by, by, 1);
    }

    pub fn skip(&mut self, kind: &str) {
        add(&mut self.skipped, kind, 1);
    }

    pub fn add(&mut self, other: &Tally) {
        self.seen += other.seen;
        self.kept += other.kept;
        self.made += other.made;
        for (mine, theirs) in [
            (&mut self.dropped, &other.dropped),
            (&mut self.broken, &other.broken),
            (&mut self.skipped, &other.skipped),
            (&mut self.extracted_by, &other.extracted_by),
        ] {
            for (key, n) in theirs {
                add(mine, key, *n);
            }
        }
        for (step, passage) in &other.steps {
            let mine = self.steps.entry(*step).or_default();
            mine.seen += passage.seen;
            mine.out += passage.out;
            mine.broken += passage.broken;
            mine.split += passage.split;
            mine.made += passage.made;
            mine.units_taken += passage.units_taken;
        }
    }

    /// The tally of two passes in a row: what the first kept is what the second saw.
    pub fn then(&mut self, next: &Tally) {
        let kept = next.kept;
        let seen = self.seen;
        self.add(next);
        self.seen = seen;
        self.kept = kept;
    }

    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    #[must_use]
    pub fn broken_total(&self) -> u64 {
        self.broken.values().sum()
    }

    /// Nothing vanishes: checked before every commit.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let (dropped, broken) = (self.dropped_total(), self.broken_total());
        if self.seen + self.made == self.kept + dropped + broken {
            return Ok(());
        }
        Err(Imbalance { seen: self.seen, made: self.made, kept: self.kept, dropped, broken })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn add(map: &mut BTreeMap<String, u64>, key: &str, n: u64) {
    match map.get_mut(key) {
        Some(count) => *count += n,
        None => {
            map.insert(key.to_owned(), n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_passes_in_a_row_balance() {
        let mut first = Tally::default();
        for verdict in [Verdict::Keep, Verdict::Keep, Verdict::dropped("short"), Verdict::broken("charset")] {
            first.count("a", &verdict);
        }
        let mut second = Tally::default();
        for verdict in [Verdict::Keep, Verdict::dropped("copy")] {
            second.count("b", &verdict);
        }
        first.then(&second);
        assert_eq!((first.seen, first.kept), (4, 1));
        assert_eq!(first.balance(), Ok(()));
        first.kept += 1;
        assert!(first.balance().is_err());
    }
}
