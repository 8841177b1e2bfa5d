//! `stop_word_filter`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct StopWordFilter;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Count distinct stop words, as Gopher does, and not each coming.
    count_unique: bool,
    /// Stop words, at least.
    min_stop_word: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self { count_unique: false, min_stop_word: 2 }
    }
}

impl Step for StopWordFilter {
    const NAME: &'static str = "stop_word_filter";
    const DOC: &'static str = "Keeps pages with English stop words.\n\n\
        The words are `the`, `be`, `to`, `of`, `and`, `that`, `have` and `with`, in any case, between white space: `the,` is none.";
    const ORIGIN: &'static str =
        "Gopher, arXiv 2112.11446, A.1.1; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{count_unique: false, min_stop_word: 2}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        // The count is compared only where a stop word was found: none at all never passes, whatever the bound.
        let (unique, min) = (params.count_unique, params.min_stop_word.max(1));
        Ok(Built::text(move |text, _| {
            let survey = text.survey();
            let found = if unique { survey.distinct_stop_words() } else { survey.stop_words };
            Verdict::keep_if(found >= min, "no stop words")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn stop_words_are_counted_or_told_apart() {
        for (text, count, unique) in [("The the", true, false), ("the OF", true, true), ("the, of", false, false), ("", false, false)] {
            let page = format!(r#"{{"text":"{text}"}}"#);
            let expected = |kept: bool| if kept { keep(&page) } else { "drop: no stop words".to_owned() };
            check("stop_word_filter", &page, expected(count));
            check("stop_word_filter: {count_unique: true}", &page, expected(unique));
        }
    }
}
