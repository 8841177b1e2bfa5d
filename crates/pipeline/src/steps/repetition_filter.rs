//! `repetition_filter`

use super::shared::check_share;
use crate::step::Context;
use crate::{BuildError, Built, Step, Text, Verdict};
use gristmill_filters::python;
use gristmill_filters::repetition::{Ngrams, Scratch, Segments, segments_pass};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

pub struct RepetitionFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `line`, `paragraph`, or the size of n-grams.
    granularity: Granularity,
    /// The share that may repeat.
    max_fraction: f64,
    /// Lines and paragraphs: measure the characters, not the number.
    #[serde(default = "yes")]
    count_characters: bool,
    /// N-grams: measure the most common one or all repeated ones. By default Gopher's choice: `most_common` up to 4, `all` from 5 to 10.
    #[serde(default)]
    ngram_char_ratio: Option<Measure>,
    #[serde(default)]
    ignore_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Granularity {
    Named(Name),
    Ngram(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Name {
    Line,
    Paragraph,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Measure {
    MostCommon,
    All,
}

fn yes() -> bool {
    true
}

/// N-grams longer than this are no n-grams any more, but would cost as many rounds.
const MAX_NGRAM: usize = 1000;

impl Params {
    fn measure(&self, size: usize) -> Result<Measure, BuildError> {
        match (self.ngram_char_ratio, size) {
            (_, 0 | MAX_NGRAM..) => Err(BuildError::new(format!("n-grams have 1 to {} words", MAX_NGRAM - 1))),
            (Some(measure), _) => Ok(measure),
            (None, 2..=4) => Ok(Measure::MostCommon),
            (None, 5..=10) => Ok(Measure::All),
            (None, _) => Err(BuildError::new("give ngram_char_ratio for n-grams of other sizes than 2 to 10")),
        }
    }
}

impl Step for RepetitionFilter {
    const NAME: &'static str = "repetition_filter";
    const DOC: &'static str = "Drops pages that repeat too much of one kind: lines, paragraphs or n-grams.\n\n\
        One test of `massive_web_repetition_filters`, with a limit of your own.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, table A1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{granularity: 5, max_fraction: 0.15}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("max_fraction", params.max_fraction)?;
        match params.granularity {
            Granularity::Named(_) => Ok(()),
            Granularity::Ngram(size) => params.measure(size).map(|_| ()),
        }
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        let measure = match params.granularity {
            Granularity::Named(_) => Measure::All,
            Granularity::Ngram(size) => params.measure(size)?,
        };
        let mut scratch = Scratch::default();
        Ok(Built::text(move |text, _| {
            let mut lower = match params.ignore_case.then(|| python::lower(text.as_str())) {
                Some(Cow::Owned(lower)) => Some(Text::new(lower)),
                _ => None,
            };
            let text = lower.as_mut().unwrap_or(text);
            if text.as_str().is_empty() {
                return Verdict::dropped("empty");
            }
            let mut segments = |separator, reason| {
                let segments = Segments::of(text.as_str(), separator, &mut scratch);
                Verdict::keep_if(segments_pass(&segments, params.count_characters, params.max_fraction), reason)
            };
            match params.granularity {
                Granularity::Named(Name::Line) => segments("\n", "duplicate lines"),
                Granularity::Named(Name::Paragraph) => segments("\n\n", "duplicate paragraphs"),
                Granularity::Ngram(size) => {
                    let words = text.repetitions(&mut scratch);
                    let mut ngrams = Ngrams::new(words, &mut scratch);
                    ngrams.grow_to(size);
                    let (share, reason) = match measure {
                        Measure::MostCommon => (ngrams.top_share(), "top n-gram"),
                        Measure::All => (ngrams.repeated_share(), "duplicate n-grams"),
                    };
                    Verdict::keep_if(share <= params.max_fraction, reason)
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn one_kind_is_measured() {
        let page = r#"{"text":"Ab\nab\ncdef\n\ncdef"}"#;
        for (params, expected) in [
            ("granularity: line, max_fraction: 0.66", "drop: duplicate lines"),
            ("granularity: line, max_fraction: 0.5, count_characters: false", ""),
            ("granularity: line, max_fraction: 0.9, ignore_case: true", "drop: duplicate lines"),
            ("granularity: paragraph, max_fraction: 0", ""),
            ("granularity: 1, max_fraction: 0.6, ngram_char_ratio: all", "drop: duplicate n-grams"),
            ("granularity: 2, max_fraction: 0", ""),
            ("granularity: 5, max_fraction: 0", ""),
        ] {
            let expected = if expected.is_empty() { keep(page) } else { expected.to_owned() };
            check(&format!("repetition_filter: {{{params}}}"), page, expected);
        }
        check("repetition_filter: {granularity: 11, max_fraction: 0.1}", page, "refused: give ngram_char_ratio for n-grams of other sizes than 2 to 10");
    }
}
