//! The card for people.

use std::fmt::{self, Write as _};

use super::{ModelCard, Source};
use crate::evaluate::{CalibrationBin, RocPoint};
use crate::train::{Settings, TextSummary};

/// Lines of the table of thresholds, beside its last.
const THRESHOLDS: usize = 20;

impl ModelCard {
    /// The card as Markdown, under the name of the model.
    #[must_use]
    pub fn to_markdown(&self, name: &str) -> String {
        let mut out = String::new();
        // A String takes everything.
        let _ = self.write(name, &mut out);
        out
    }

    fn write(&self, name: &str, out: &mut String) -> fmt::Result {
        let Self { model, evaluation, positive, .. } = self;
        writeln!(out, "# {name}\n")?;
        writeln!(out, "A fastText classifier; the probability of `{positive}` is the score.\n")?;
        writeln!(out, "- file: {} bytes, sha256 `{}`", model.bytes, model.sha256)?;
        writeln!(out, "- trained by: gristmill {}", self.version)?;
        writeln!(out, "- preprocess: `{}`, before training and before predicting", self.preprocess)?;
        writeln!(out, "\n## Examples\n")?;
        writeln!(
            out,
            "Drawn uniformly and mixed under the seed {}; texts of the same words count once.\n",
            self.sample_seed
        )?;
        self.sources.iter().try_for_each(|source| source.write(out))?;
        writeln!(out)?;
        writeln!(out, "| | examples | words | bytes | sha256 |\n|---|---|---|---|---|")?;
        self.training.write("training", out)?;
        self.held_out.write("held out", out)?;
        writeln!(out, "\n## Training\n")?;
        self.settings.write(out)?;
        writeln!(out, "- mean loss: {:.6}", self.loss)?;
        writeln!(out, "\n## On the examples held out\n")?;
        writeln!(out, "{} positives, {} negatives.\n", evaluation.positives, evaluation.negatives)?;
        writeln!(out, "- area under the ROC curve: {:.4}", evaluation.auc)?;
        writeln!(
            out,
            "- from a score of {} on: precision {:.4}, recall {:.4}, accuracy {:.4}",
            evaluation.threshold, evaluation.precision, evaluation.recall, evaluation.accuracy
        )?;
        writeln!(
            out,
            "\n| threshold | negatives let through | positives let through (recall) | precision |"
        )?;
        writeln!(out, "|---|---|---|---|")?;
        let step = evaluation.roc.len().div_ceil(THRESHOLDS).max(1);
        let last = evaluation.roc.len().saturating_sub(1);
        let shown = evaluation.roc.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last);
        shown.map(|(_, point)| point).try_for_each(|point| point.write(out))?;
        writeln!(
            out,
            "\nCalibration: where scores are probabilities, the share of positives is near the mean score.\n"
        )?;
        writeln!(out, "| scores from | examples | mean score | share of positives |\n|---|---|---|---|")?;
        evaluation.calibration.iter().try_for_each(|bin| bin.write(out))
    }
}

impl Source {
    fn write(&self, out: &mut String) -> fmt::Result {
        let quoted =
            |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        write!(
            out,
            "- `{}`: {} drawn of {} records in {} files of {}; text from {}",
            self.label,
            self.drawn,
            self.seen,
            self.files,
            quoted(&self.inputs),
            quoted(&self.fields)
        )?;
        for (reason, count) in &self.unusable {
            write!(out, "; {count} left out: {reason}")?;
        }
        writeln!(out)
    }
}

impl TextSummary {
    fn write(&self, name: &str, out: &mut String) -> fmt::Result {
        let of_labels: Vec<String> =
            self.examples.iter().map(|(label, count)| format!("{count} `{label}`")).collect();
        writeln!(
            out,
            "| {name} | {} | {} | {} | `{}` |",
            of_labels.join(", "),
            self.words,
            self.bytes,
            self.sha256
        )
    }
}

impl Settings {
    fn write(&self, out: &mut String) -> fmt::Result {
        let Self { dim, word_ngrams, minn, maxn, bucket, min_count, lr, epoch, loss, seed, threads } = self;
        writeln!(out, "- dim {dim}, wordNgrams {word_ngrams}, minn {minn}, maxn {maxn}, bucket {bucket}")?;
        writeln!(
            out,
            "- lr {lr}, epoch {epoch}, minCount {min_count}, loss {loss:?}, seed {seed}, threads {threads}"
        )
    }
}

impl RocPoint {
    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "| {:.6} | {:.1} % | {:.1} % | {:.4} |",
            self.threshold,
            100.0 * self.false_positive_rate,
            100.0 * self.true_positive_rate,
            self.precision
        )
    }
}

impl CalibrationBin {
    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "| {:.1} | {} | {:.4} | {:.4} |",
            self.from, self.examples, self.mean_score, self.positive_share
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::card;

    #[test]
    fn a_card_reads_as_markdown() {
        let text = card().to_markdown("quality.bin");
        for line in [
            "# quality.bin",
            "- file: 3 bytes, sha256 `ba78`",
            "- `hq`: 4 drawn of 10 records in 3 files of `good/*.jsonl`, `a|b/`; text from `question`, `answer`; \
             2 left out: no text in field answer",
            "| training | 2 `cc`, 2 `hq` | 9 | 99 | `` |",
            "- dim 100, wordNgrams 2, minn 0, maxn 0, bucket 2000000",
            "- from a score of 0.5 on: precision 1.0000, recall 1.0000, accuracy 1.0000",
            "| 0.700000 | 0.0 % | 100.0 % | 1.0000 |",
            "| 0.7 | 1 | 0.7000 | 1.0000 |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
    }
}
