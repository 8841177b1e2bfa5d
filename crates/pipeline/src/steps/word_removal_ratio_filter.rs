//! `word_removal_ratio_filter`

use super::shared::number;
use super::word_counter_enricher::Model;
use crate::step::{Context, NO_TEXT, Needs};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::splitter::Splitter;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct WordRemovalRatioFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The field with the number of words before.
    prev_word_count_key: String,
    /// The field with the number of words now; without it, or where a page has none, they are counted.
    #[serde(default)]
    new_word_count_key: Option<String>,
    /// The share of words that may be gone.
    #[serde(default = "max_removed_ratio")]
    max_removed_ratio: f64,
    /// How words are told.
    #[serde(default)]
    model: Model,
    /// Leave out words that start with no letter or digit.
    #[serde(default = "yes")]
    ignore_punctuation: bool,
    /// Leave out words of white space.
    #[serde(default = "yes")]
    ignore_whitespace: bool,
}

fn max_removed_ratio() -> f64 {
    0.05
}

fn yes() -> bool {
    true
}

impl Step for WordRemovalRatioFilter {
    const NAME: &'static str = "word_removal_ratio_filter";
    const DOC: &'static str = "Drops pages that lost too many words since `word_counter_enricher` counted them.\n\n\
        A page that had no words is dropped; one without the count is broken.";
    const ORIGIN: &'static str = "RefinedWeb, arXiv 2306.01116, appendix G.2; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{prev_word_count_key: previous_word_count, max_removed_ratio: 0.05}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let params = params.clone();
        let splitter = Splitter {
            model: params.model.into(),
            ignore_punctuation: params.ignore_punctuation,
            ignore_whitespace: params.ignore_whitespace,
        };
        Ok(Built::map(move |doc| {
            let Some(before) = doc.fields.value(&params.prev_word_count_key).and_then(number) else {
                return Verdict::broken(format!("no number in field {}", params.prev_word_count_key));
            };
            if before == 0.0 {
                return Verdict::dropped("no words before");
            }
            let now = match (&params.new_word_count_key, &mut doc.text) {
                (Some(key), _) if !key.is_empty() && doc.fields.contains(key) => {
                    match doc.fields.value(key).and_then(number) {
                        Some(now) => now,
                        None => return Verdict::broken(format!("no number in field {key}")),
                    }
                }
                (_, Some(text)) => splitter.count(text) as f64,
                (_, None) => return Verdict::broken(NO_TEXT),
            };
            let removed = (before - now) / before;
            Verdict::keep_if(removed <= params.max_removed_ratio, "words removed")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn lost_words_are_a_share_of_those_before() {
        let step = "word_removal_ratio_filter: {prev_word_count_key: before, new_word_count_key: now, max_removed_ratio: 0.5}";
        for (fields, expected) in [
            (r#""before":4"#, ""),
            (r#""before":5"#, "drop: words removed"),
            (r#""before":5,"now":3"#, ""),
            (r#""before":0"#, "drop: no words before"),
            (r#""now":3"#, "broken: no number in field before"),
            (r#""before":"4""#, "broken: no number in field before"),
        ] {
            let page = format!(r#"{{{fields},"text":"two words"}}"#);
            check(step, &page, if expected.is_empty() { keep(&page) } else { expected.to_owned() });
        }
        // The text is looked at only where words have to be counted.
        check(step, r#"{"before":2,"now":true}"#, keep(r#"{"before":2,"now":true}"#));
        check(step, r#"{"before":false}"#, "drop: no words before");
        check(step, r#"{"before":2}"#, "broken: no text");
    }
}
