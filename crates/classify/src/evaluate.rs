//! How well a score tells positives from negatives: on examples that training did not see.
//!
//! Thresholds differ from corpus to corpus, so that the whole curve is given and not one point of it. Everything is computed in
//! one sorted pass, and equal scores are passed together: no figure depends on the order of the examples.

use serde::{Deserialize, Serialize};

/// Bins of the calibration table.
const BINS: usize = 10;
/// Points of the ROC curve: one for each hundredth of the negatives let through, and the ends.
const ROC_POINTS: u64 = 100;

/// A held-out example: its score, and whether it is a positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// Between 0 and 1 for a probability. What is no number counts as 0.
    pub score: f64,
    /// What is true.
    pub is_positive: bool,
}

/// See the module. Figures that divide by nothing are 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Held-out positives.
    pub positives: u64,
    /// Held-out negatives.
    pub negatives: u64,
    /// The score from which on an example is called positive here.
    pub threshold: f64,
    /// Of those called positive, the share that are.
    pub precision: f64,
    /// Of the positives, the share called so.
    pub recall: f64,
    /// Of all, the share called rightly.
    pub accuracy: f64,
    /// The chance that a positive scores higher than a negative; equal scores count half.
    pub auc: f64,
    /// From the highest threshold to the lowest.
    pub roc: Vec<RocPoint>,
    /// Ten bins of the score from 0 to 1.
    pub calibration: Vec<CalibrationBin>,
}

/// What a threshold lets through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Scores from here on are let through.
    pub threshold: f64,
    /// The share of negatives let through.
    pub false_positive_rate: f64,
    /// The share of positives let through: recall.
    pub true_positive_rate: f64,
    /// Of what is let through, the share of positives.
    pub precision: f64,
}

/// The examples whose scores lie in a tenth of the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// The lower end, which belongs to the bin.
    pub from: f64,
    /// How many examples.
    pub examples: u64,
    /// Their mean score.
    pub mean_score: f64,
    /// The share of positives among them: near the mean score if scores are probabilities.
    pub positive_share: f64,
}

/// Positives and negatives counted.
#[derive(Clone, Copy, Default)]
struct Counts {
    positives: u64,
    negatives: u64,
}

impl Counts {
    fn add(&mut self, is_positive: bool) {
        if is_positive { self.positives += 1 } else { self.negatives += 1 }
    }

    fn total(self) -> u64 {
        self.positives + self.negatives
    }
}

/// Compares scores with the truth. Examples with scores of `threshold` or more are called positive.
#[must_use]
pub fn evaluate(mut examples: Vec<Scored>, threshold: f64) -> Evaluation {
    for example in &mut examples {
        // Adding zero makes -0 a 0.
        example.score = if example.score.is_nan() { 0.0 } else { example.score + 0.0 };
    }
    examples.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut all, mut called) = (Counts::default(), Counts::default());
    for example in &examples {
        all.add(example.is_positive);
        if example.score >= threshold {
            called.add(example.is_positive);
        }
    }
    let (auc, roc) = curve(&examples, all);
    Evaluation {
        positives: all.positives,
        negatives: all.negatives,
        threshold,
        precision: share(called.positives, called.total()),
        recall: share(called.positives, all.positives),
        accuracy: share(called.positives + all.negatives - called.negatives, all.total()),
        auc,
        roc,
        calibration: calibration(&examples),
    }
}

/// The area under the curve, and points of it. `examples` are sorted, best first.
fn curve(examples: &[Scored], all: Counts) -> (f64, Vec<RocPoint>) {
    let mut passed = Counts::default();
    let mut roc: Vec<RocPoint> = Vec::new();
    let mut hundredths = 0;
    // Twice the pairs of a positive and a negative that are in order.
    let mut ordered: u128 = 0;
    for group in examples.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let before = passed;
        for example in group {
            passed.add(example.is_positive);
        }
        let new = passed.negatives - before.negatives;
        ordered += u128::from(new) * u128::from(before.positives + passed.positives);
        let reached = passed.negatives * ROC_POINTS / all.negatives.max(1);
        if roc.is_empty() || reached > hundredths || passed.total() == all.total() {
            hundredths = reached;
            roc.push(RocPoint {
                threshold: group.first().map_or(0.0, |example| example.score),
                false_positive_rate: share(passed.negatives, all.negatives),
                true_positive_rate: share(passed.positives, all.positives),
                precision: share(passed.positives, passed.total()),
            });
        }
    }
    let pairs = u128::from(all.positives) * u128::from(all.negatives);
    let auc = if pairs == 0 { 0.0 } else { ordered as f64 / (2 * pairs) as f64 };
    (auc, roc)
}

fn calibration(examples: &[Scored]) -> Vec<CalibrationBin> {
    (0..BINS)
        .map(|at| {
            let (mut counts, mut sum) = (Counts::default(), 0.0);
            // Scores below 0 and above 1 go into the outermost bins.
            let is_in = |score: f64| ((score * BINS as f64).max(0.0) as usize).min(BINS - 1) == at;
            for example in examples.iter().filter(|example| is_in(example.score)) {
                counts.add(example.is_positive);
                sum += example.score;
            }
            CalibrationBin {
                from: at as f64 / BINS as f64,
                examples: counts.total(),
                mean_score: if counts.total() == 0 { 0.0 } else { sum / counts.total() as f64 },
                positive_share: share(counts.positives, counts.total()),
            }
        })
        .collect()
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scored(examples: &[(f64, bool)]) -> Vec<Scored> {
        examples
            .iter()
            .map(|(score, is_positive)| Scored { score: *score, is_positive: *is_positive })
            .collect()
    }

    fn near(got: f64, expected: f64) -> bool {
        (got - expected).abs() < 1e-12
    }

    #[test]
    fn figures_are_those_of_the_textbook() {
        let got = evaluate(
            scored(&[(0.9, true), (0.8, false), (0.7, true), (0.5, true), (0.5, false), (0.1, false)]),
            0.5,
        );
        assert_eq!((got.positives, got.negatives), (3, 3));
        assert!(
            near(got.precision, 0.6) && near(got.recall, 1.0) && near(got.accuracy, 4.0 / 6.0),
            "{got:?}"
        );
        // 3 + 2 + 1.5 of nine pairs.
        assert!(near(got.auc, 6.5 / 9.0), "{got:?}");
        let points: Vec<_> = got
            .roc
            .iter()
            .map(|point| (point.threshold, point.false_positive_rate, point.true_positive_rate))
            .collect();
        let third = 1.0 / 3.0;
        assert_eq!(
            points,
            [(0.9, 0.0, third), (0.8, third, third), (0.5, 2.0 * third, 1.0), (0.1, 1.0, 1.0)]
        );
        let bins: Vec<_> = got.calibration.iter().map(|bin| (bin.examples, bin.positive_share)).collect();
        let none = (0, 0.0);
        assert_eq!(bins, [none, (1, 0.0), none, none, none, (2, 0.5), none, (1, 1.0), (1, 0.0), (1, 1.0)]);
    }

    #[test]
    fn nothing_and_one_sided_sets_have_figures_too() {
        assert_eq!(
            evaluate(Vec::new(), 0.5),
            Evaluation {
                threshold: 0.5,
                calibration: evaluate(Vec::new(), 0.5).calibration,
                ..Evaluation::default()
            }
        );
        let got = evaluate(scored(&[(f64::NAN, true), (1.00001, true)]), 0.5);
        assert!(near(got.recall, 0.5) && near(got.precision, 1.0) && near(got.auc, 0.0), "{got:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn the_area_is_the_share_of_pairs_in_order(examples in prop::collection::vec((0_u8..30, any::<bool>()), 0..300)) {
            let examples: Vec<(f64, bool)> = examples.into_iter().map(|(score, is_positive)| (f64::from(score) / 29.0, is_positive)).collect();
            let (positives, negatives): (Vec<_>, Vec<_>) = examples.iter().partition(|(_, is_positive)| *is_positive);
            let half = |a: f64, b: f64| if a > b { 1.0 } else if a < b { 0.0 } else { 0.5 };
            let ordered: f64 = positives.iter().flat_map(|(a, _)| negatives.iter().map(|(b, _)| half(*a, *b))).sum();
            let got = evaluate(scored(&examples), 0.5);
            let pairs = (positives.len() * negatives.len()) as f64;
            let expected = if pairs > 0.0 { ordered / pairs } else { 0.0 };
            prop_assert!(near(got.auc, expected), "{} and not {expected}", got.auc);
            prop_assert!(got.roc.len() <= 102);
            prop_assert!(got.roc.is_sorted_by(|a, b| a.threshold > b.threshold && a.true_positive_rate <= b.true_positive_rate));
            prop_assert_eq!(got.calibration.iter().map(|bin| bin.examples).sum::<u64>(), examples.len() as u64);
        }
    }
}
