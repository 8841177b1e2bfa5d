//! What `aggregate` steps observed, summed up over the whole corpus.
//!
//! DCLM's aggregators (mlfoundations/dclm, `baselines/aggregators.py`) hold all values of a shard; here the tasks left
//! them sorted, and one merge goes through them once or twice. Percentiles are NumPy's with `method="nearest"`,
//! histograms of numbers NumPy's with ten bins.

use super::merge::{Part, Sources, merge};
use super::{Attempt, MapStage};
use crate::TaskError;
use gristmill_dedup::order::number;
use gristmill_dedup::stream::Stream;
use gristmill_job::{Aggregate, FileEntry, FileRole, TaskRecord};
use gristmill_pipeline::stage::Stage;
use gristmill_pipeline::step::Kind as StepKind;
use gristmill_pipeline::steps::aggregate::{Kind, Params};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Texts that a histogram names; of the others it says how many there are.
const TEXTS_MAX: usize = 1000;

pub(super) fn run(attempt: &Attempt) -> Result<TaskRecord, TaskError> {
    let (pass, _) = attempt.signing_stage()?;
    let Some(Stage::Map(stage)) = attempt.open.plan.stages.get(pass).map(|planned| &planned.stage) else {
        return Err(TaskError::fatal("no pass observes for this stage"));
    };
    let mut aggregates = Vec::new();
    for (place, step) in observing(attempt, stage).into_iter().enumerate() {
        let params = attempt.open.recipe.canonical.pointer(&format!("/steps/{step}/aggregate"));
        let params: Params = serde_json::from_value(params.cloned().unwrap_or_default())
            .map_err(|e| TaskError::fatal(format!("step {step}: {e}")))?;
        let values = Values::count(attempt, pass, place)?;
        let result = values.sum_up(params.kind)?;
        aggregates.push(Aggregate { step, of: params, values: values.numbers + values.texts, result });
    }
    Ok(TaskRecord { aggregates, ..attempt.record() })
}

/// The places in the recipe of a pass's steps that observe.
fn observing(attempt: &Attempt, stage: &MapStage) -> Vec<usize> {
    let steps = attempt.open.recipe.steps.get(stage.steps.clone()).unwrap_or_default();
    steps.iter().filter(|spec| spec.def.kind == StepKind::Observe).map(|spec| spec.index).collect()
}

/// The values that one step observed.
struct Values<'a> {
    attempt: &'a Attempt,
    pass: usize,
    /// Among the pass's steps that observe.
    place: usize,
    numbers: u64,
    texts: u64,
}

impl<'a> Values<'a> {
    fn count(attempt: &'a Attempt, pass: usize, place: usize) -> Result<Self, TaskError> {
        let mut values = Self { attempt, pass, place, numbers: 0, texts: 0 };
        for record in attempt.records(pass) {
            let record = record?;
            values.numbers += values.file(&record, false).map_or(0, |file| file.rows);
            values.texts += values.file(&record, true).map_or(0, |file| file.rows);
        }
        Ok(values)
    }

    fn file(&self, record: &TaskRecord, texts: bool) -> Option<FileEntry> {
        record.files.get(&FileRole::Observed)?.get(2 * self.place + usize::from(texts)).cloned()
    }

    /// Calls `take` with every number, in ascending order.
    fn each_number(&self, mut take: impl FnMut(f64)) -> Result<(), TaskError> {
        let file = |record: &TaskRecord| self.file(record, false);
        let sources = Sources {
            stage: self.pass,
            file,
            nodes: false,
            part: Part { range: 0, ranges: 1, notes: false },
        };
        let mut rows = merge::<u64>(self.attempt, &sources)?;
        while let Some((ordered, _)) = rows.row() {
            take(number(ordered));
            rows.advance()?;
        }
        Ok(())
    }

    /// Calls `take` with every text, and how often it occurs.
    fn each_text(&self, mut take: impl FnMut(&str, u64)) -> Result<(), TaskError> {
        let file = |record: &TaskRecord| self.file(record, true);
        let sources =
            Sources { stage: self.pass, file, nodes: false, part: Part { range: 0, ranges: 1, notes: true } };
        let mut rows = merge::<u128>(self.attempt, &sources)?;
        let mut text = Vec::new();
        while rows.row().is_some() {
            text.clear();
            text.extend_from_slice(rows.note());
            let mut count = 0;
            while rows.row().is_some() && rows.note() == text {
                count += 1;
                rows.advance()?;
            }
            take(&String::from_utf8_lossy(&text), count);
        }
        Ok(())
    }

    fn sum_up(&self, kind: Kind) -> Result<Map<String, Value>, TaskError> {
        let mut result = Map::new();
        if self.numbers > 0 {
            match kind {
                Kind::Percentiles => self.percentiles(&mut result)?,
                Kind::Histogram => self.bins(&mut result)?,
            }
        }
        if self.texts > 0 {
            self.counts(&mut result)?;
        }
        Ok(result)
    }

    fn percentiles(&self, result: &mut Map<String, Value>) -> Result<(), TaskError> {
        const WANTED: [(&str, f64); 8] = [
            ("min", 0.0),
            ("p25", 0.25),
            ("median", 0.5),
            ("p75", 0.75),
            ("p90", 0.9),
            ("p95", 0.95),
            ("p99", 0.99),
            ("max", 1.0),
        ];
        // The nearest rank, and of two equally near ones the even one.
        let last = (self.numbers - 1) as f64;
        let ranks = WANTED.map(|(name, share)| (name, (last * share).round_ties_even() as u64));
        let (mut rank, mut sum) = (0, Sum::default());
        self.each_number(|value| {
            for (name, _) in ranks.iter().filter(|(_, wanted)| *wanted == rank) {
                result.insert((*name).to_owned(), json!(value));
            }
            sum.add(value);
            rank += 1;
        })?;
        result.insert("mean".to_owned(), json!(sum.total() / self.numbers as f64));
        Ok(())
    }

    fn bins(&self, result: &mut Map<String, Value>) -> Result<(), TaskError> {
        const BINS: usize = 10;
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        self.each_number(|value| {
            least = least.min(value);
            greatest = greatest.max(value);
        })?;
        if least >= greatest {
            (least, greatest) = (least - 0.5, greatest + 0.5);
        }
        let width = (greatest - least) / BINS as f64;
        let edges: Vec<f64> = (0..=BINS)
            .map(|edge| if edge == BINS { greatest } else { least + width * edge as f64 })
            .collect();
        let mut counts = [0_u64; BINS];
        let mut bin = 0;
        // They come in order, so the bin only moves on. The last bin has its upper edge, too.
        self.each_number(|value| {
            while bin + 1 < BINS && edges.get(bin + 1).is_some_and(|edge| value >= *edge) {
                bin += 1;
            }
            if let Some(count) = counts.get_mut(bin) {
                *count += 1;
            }
        })?;
        result.insert("edges".to_owned(), json!(edges));
        result.insert("counts".to_owned(), json!(counts));
        Ok(())
    }

    fn counts(&self, result: &mut Map<String, Value>) -> Result<(), TaskError> {
        // The most frequent; of equals the first by their bytes.
        let mut most: BinaryHeap<Reverse<(u64, Reverse<String>)>> = BinaryHeap::new();
        let (mut others, mut in_others) = (0_u64, 0_u64);
        self.each_text(|text, count| {
            most.push(Reverse((count, Reverse(text.to_owned()))));
            if most.len() > TEXTS_MAX
                && let Some(Reverse((count, _))) = most.pop()
            {
                others += 1;
                in_others += count;
            }
        })?;
        let counts: Map<String, Value> = most
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse((count, Reverse(text)))| (text, json!(count)))
            .collect();
        result.insert("texts".to_owned(), Value::Object(counts));
        if others > 0 {
            result.insert("other_texts".to_owned(), json!({"texts": others, "documents": in_others}));
        }
        Ok(())
    }
}

/// A sum that does not lose small values beside large ones (Neumaier's).
#[derive(Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    fn total(&self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn small_values_are_not_lost() {
        let mut sum = Sum::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.total().to_bits(), 2.0_f64.to_bits());
    }
}
