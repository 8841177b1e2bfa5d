//! `word_length_modifier`

use super::shared::apply;
use super::word_counter_enricher::Model;
use crate::step::Context;
use crate::{BuildError, Built, Step};
use gristmill_filters::lines::{Ends, retain};
use gristmill_filters::python;
use gristmill_filters::splitter::Splitter;
use schemars::JsonSchema;
use serde::Deserialize;

pub struct WordLengthModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Characters of a word, at most.
    max_length: usize,
    /// How words are told.
    model: Model,
    /// Leave out words that start with no letter or digit.
    ignore_punctuation: bool,
    /// Leave out words of white space.
    ignore_whitespace: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_length: 1000, model: Model::default(), ignore_punctuation: false, ignore_whitespace: true }
    }
}

impl Step for WordLengthModifier {
    const NAME: &'static str = "word_length_modifier";
    const DOC: &'static str = "Takes out lines with a giant word.\n\nA text of which nothing is left is dropped.";
    const ORIGIN: &'static str = "C4 (tensorflow_datasets, text/c4_utils.py); mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{max_length: 1000, model: split}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { max_length, model, ignore_punctuation, ignore_whitespace } = params.clone();
        let splitter = Splitter { model: model.into(), ignore_punctuation, ignore_whitespace };
        Ok(Built::text(move |text, _| {
            let edit = retain(text.as_str(), Ends::Keep, |line| {
                // A line of no more bytes has no longer word.
                line.len() <= max_length || splitter.all(line, |word| python::len(word) <= max_length)
            });
            apply(text, edit)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn giants_take_their_line_along() {
        let page = "{\"text\":\"äöü a\\nabcd\\n\\na\u{a0}b\\\"c\"}";
        check("word_length_modifier: {max_length: 3}", page, keep(r#"{"text":"äöü a\n"}"#));
        check("word_length_modifier: {max_length: 3, model: split}", page, keep("{\"text\":\"äöü a\\n\\na\u{a0}b\\\"c\"}"));
        check("word_length_modifier: {max_length: 0}", r#"{"text":"a"}"#, "drop: nothing left");
    }
}
